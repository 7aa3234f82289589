//! Each scenario against the gateway and against mosquitto in turn, several times, each time a fresh server.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{FanOut, Outcome, Pace, Pattern, Scenario};
use crate::harness::{
    bench::{
        figures::{Figures, core_percent, ms, quotient, us_each},
        machine::Machine,
        rig::{Broken, raise_open_files},
        table::{Report, Table},
    },
    children::{Binaries, Gateway, GatewaySpec, Mosquitto},
    client::Qos,
};

/// Messages that wait for one subscriber: the default of both servers, set for both.
const QUEUE_MAX: u32 = 1000;
/// Messages in flight to one subscriber at `QoS` 1: our default, set for both (mosquitto's is 20).
const INFLIGHT_MAX: u16 = 256;
/// Rates of one client far beyond what a load reaches; the limits are checked all the same.
const LIMITS: [&str; 4] = [
    "--mqtt-messages-per-s",
    "10000000",
    "--mqtt-bytes-per-s",
    "8GiB",
];
/// Above this part of a core the load is what limits, percent.
const LOAD_BUSY_PERCENT: f64 = 95.0;

/// How fan-out is measured.
#[derive(Debug, Clone)]
pub struct FanOutScript {
    /// The binaries.
    pub binaries: Binaries,
    /// Data and logs lie below this.
    pub dir: PathBuf,
    /// Runs of each scenario on each server.
    pub runs: u32,
    /// Time before each measurement.
    pub warm_up: Duration,
    /// Time of each measurement.
    pub measured: Duration,
    /// Pairs of 1 → 1.
    pub pairs: usize,
    /// Subscribers of 1 → many and publishers of many → 1.
    pub many: usize,
    /// Filters of idle sessions, where a scenario has them.
    pub filters: usize,
    /// Only scenarios whose name has this text in it.
    pub only: Option<String>,
}

#[derive(Debug, Default)]
struct Runs {
    gateway: Vec<Outcome>,
    mosquitto: Vec<Outcome>,
}

impl FanOutScript {
    fn scenarios(&self) -> Vec<Scenario> {
        let mut all = Vec::new();
        let patterns = [
            (Pattern::Pairs(self.pairs), Pace::Window(10), 0),
            (Pattern::OneToMany(self.many), Pace::Window(10), 0),
            (Pattern::ManyToOne(self.many), Pace::Window(1), 0),
            (Pattern::Pairs(self.pairs), Pace::Window(10), self.filters),
        ];
        for (pattern, pace, filters) in patterns {
            for qos in [Qos::AtMostOnce, Qos::AtLeastOnce] {
                all.push(Scenario {
                    pattern,
                    qos,
                    pace,
                    filters,
                });
            }
        }
        for (pattern, _, filters) in patterns {
            let (qos, pace) = (Qos::AtMostOnce, Pace::Flood);
            all.push(Scenario {
                pattern,
                qos,
                pace,
                filters,
            });
        }
        let wanted = |scenario: &Scenario| {
            let only = self.only.as_deref();
            only.is_none_or(|text| scenario.name().contains(text))
        };
        all.retain(wanted);
        all
    }

    fn load(
        &self,
        (server, process_id): (std::net::SocketAddr, u32),
        scenario: Scenario,
    ) -> FanOut {
        FanOut {
            server,
            process_id,
            scenario,
            warm_up: self.warm_up,
            measured: self.measured,
        }
    }

    fn against_gateway(&self, dir: &Path, scenario: Scenario) -> Result<Outcome, Broken> {
        let mut further = vec!["--rights".to_owned(), "open".to_owned()];
        further.extend(LIMITS.map(str::to_owned));
        further.extend([
            "--mqtt-queue-messages-max".to_owned(),
            QUEUE_MAX.to_string(),
            "--mqtt-inflight-max".to_owned(),
            INFLIGHT_MAX.to_string(),
        ]);
        let mut gateway = Gateway::start(
            &self.binaries,
            &GatewaySpec {
                dir: dir.to_owned(),
                platform: None,
                auth_key: None,
                further,
            },
        )?;
        let outcome = self
            .load((gateway.mqtt, gateway.process.id()), scenario)
            .run()?;
        gateway.process.stop()?;
        Ok(outcome)
    }

    fn against_mosquitto(&self, dir: &Path, scenario: Scenario) -> Result<Outcome, Broken> {
        let mut server = Mosquitto::start(dir, (QUEUE_MAX, INFLIGHT_MAX), None)?;
        let outcome = self
            .load((server.mqtt, server.process.id()), scenario)
            .run()?;
        server.process.kill()?;
        Ok(outcome)
    }
}

/// Runs everything; tells its progress.
///
/// # Errors
/// A server does not start, or a load breaks.
pub fn fan_out(script: &FanOutScript, progress: &mut dyn Write) -> Result<Report, Broken> {
    raise_open_files()?;
    let mut measured = Vec::new();
    for scenario in script.scenarios() {
        let mut runs = Runs::default();
        for number in 1..=script.runs {
            let dir = script.dir.join(format!("fan-out-{number}"));
            let outcome = script.against_gateway(&dir.join("gateway"), scenario)?;
            tell(progress, ("sensegate", &scenario), &outcome)?;
            runs.gateway.push(outcome);
            let outcome = script.against_mosquitto(&dir.join("mosquitto"), scenario)?;
            tell(progress, ("mosquitto", &scenario), &outcome)?;
            runs.mosquitto.push(outcome);
            fs::remove_dir_all(&dir)?;
        }
        measured.push((scenario, runs));
    }
    report(script, &measured)
}

fn tell(
    progress: &mut dyn Write,
    (server, scenario): (&str, &Scenario),
    outcome: &Outcome,
) -> io::Result<()> {
    writeln!(
        progress,
        "{server:<9} {}: {:.0}/s, loss {:.2} %, p99 {} µs, load at {:.0} % of a core",
        scenario.name(),
        outcome.rate(),
        outcome.sums_in_all.loss_percent(),
        outcome.latency.quantile_us(0.99),
        core_percent(outcome.load_cpu, outcome.elapsed)
    )?;
    progress.flush()
}

fn report(script: &FanOutScript, measured: &[(Scenario, Runs)]) -> Result<Report, Broken> {
    let machine = Machine::describe(&script.dir)?;
    let versions = [
        script.binaries.gateway_version()?,
        Mosquitto::version().unwrap_or_default(),
    ];
    let mut report = Report::on(&machine, &versions);
    report.notes.extend([
        format!(
            "{} runs each, {} s after {} s of warm-up, medians; sensegate and mosquitto in turn",
            script.runs,
            script.measured.as_secs_f64(),
            script.warm_up.as_secs_f64()
        ),
        format!(
            "both: MQTT 5, anonymous, everything allowed, at most {QUEUE_MAX} messages waiting for a subscriber and {INFLIGHT_MAX} in \
             flight to it; mosquitto without persistence; messages of 128 bytes"
        ),
        format!(
            "load: one thread on the same machine, at most one core; where it used more than {LOAD_BUSY_PERCENT} % of that (†), the \
             figure is a lower bound of the server's"
        ),
    ]);
    let (mut windowed, mut flood) = (windowed_table(), flood_table());
    for (scenario, runs) in measured {
        for (server, outcomes, other) in [
            ("sensegate", &runs.gateway, &runs.mosquitto),
            ("mosquitto", &runs.mosquitto, &runs.gateway),
        ] {
            let head = vec![scenario.name(), server.to_owned()];
            if scenario.pace == Pace::Flood {
                flood.rows.push([head, flood_row(outcomes, other)].concat());
            } else {
                windowed
                    .rows
                    .push([head, windowed_row(outcomes, other)].concat());
            }
        }
    }
    report.tables = vec![windowed, flood];
    Ok(report)
}

fn windowed_table() -> Table {
    Table {
        title: "Fan-out, each publisher with a window of messages on their way".to_owned(),
        columns: vec![
            "load",
            "server",
            "delivered/s",
            "lowest–highest",
            "of the other's",
            "lost",
            "p50",
            "p99",
            "µs of server CPU/delivered",
            "load, % of a core",
        ],
        rows: Vec::new(),
    }
}

fn flood_table() -> Table {
    Table {
        title: "Fan-out, publishers write as fast as their sockets take it".to_owned(),
        columns: vec![
            "load",
            "server",
            "published/s",
            "delivered/s",
            "lowest–highest",
            "of the other's",
            "lost",
            "p99",
            "µs of server CPU/delivered",
            "resident",
            "load, % of a core",
        ],
        rows: Vec::new(),
    }
}

fn windowed_row(runs: &[Outcome], other: &[Outcome]) -> Vec<String> {
    let latency = |part| {
        let of = |run: &Outcome| ms(run.latency.quantile_us(part));
        format!("{} ms", Figures::of(runs, of).middle(2))
    };
    let [rate, range, ratio] = rates(runs, other);
    vec![
        rate,
        range,
        ratio,
        lost(runs),
        latency(0.5),
        latency(0.99),
        server_cpu(runs),
        load_cpu(runs),
    ]
}

fn flood_row(runs: &[Outcome], other: &[Outcome]) -> Vec<String> {
    let published = Figures::of(runs, |run: &Outcome| {
        crate::harness::bench::ratio(run.sums.published, run.elapsed.as_secs_f64())
    });
    let p99 = Figures::of(runs, |run: &Outcome| ms(run.latency.quantile_us(0.99)));
    let resident = Figures::of(runs, |run: &Outcome| {
        crate::harness::bench::ratio(run.resident_bytes, 1_048_576.0)
    });
    let [rate, range, ratio] = rates(runs, other);
    vec![
        published.middle(0),
        rate,
        range,
        ratio,
        lost(runs),
        format!("{} ms", p99.middle(1)),
        server_cpu(runs),
        format!("{} MiB", resident.middle(0)),
        load_cpu(runs),
    ]
}

/// Deliveries a second: the median, the range, and the ratio to the other server's median.
fn rates(runs: &[Outcome], other: &[Outcome]) -> [String; 3] {
    let rates = Figures::of(runs, Outcome::rate);
    let others = Figures::of(other, Outcome::rate);
    let ratio = quotient(rates.median(), others.median());
    [rates.middle(0), rates.range(0), format!("{ratio:.2}")]
}

fn lost(runs: &[Outcome]) -> String {
    let lost = Figures::of(runs, |run: &Outcome| run.sums_in_all.loss_percent());
    format!("{} %", lost.middle(2))
}

fn server_cpu(runs: &[Outcome]) -> String {
    Figures::of(runs, |run: &Outcome| {
        us_each(run.server_cpu, run.sums.delivered)
    })
    .middle(2)
}

fn load_cpu(runs: &[Outcome]) -> String {
    let used = Figures::of(runs, |run: &Outcome| {
        core_percent(run.load_cpu, run.elapsed)
    });
    let mark = if used.median() > LOAD_BUSY_PERCENT {
        " †"
    } else {
        ""
    };
    format!("{}{mark}", used.middle(0))
}
