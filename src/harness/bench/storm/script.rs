//! A storm on the gateway and on the yardstick in turn, several times, on fresh data each time.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    thread,
    time::Duration,
};

use super::{
    paced::{Paced, Steady},
    rush::{Rush, Storm},
    signal::{Moment, Signal},
};
use crate::harness::{
    bench::{
        entry::Entry,
        figures::{Figures, ms},
        machine::Machine,
        rig::{Broken, Rig, Setup, raise_open_files},
        table::{Report, Table},
    },
    children::{Binaries, Yardstick},
    devices::{Latency, Unacknowledged},
};

/// How a storm is measured.
#[derive(Debug, Clone)]
pub struct StormScript {
    /// The binaries.
    pub binaries: Binaries,
    /// Data and logs lie below this.
    pub dir: PathBuf,
    /// Runs on each server.
    pub runs: u32,
    /// Devices that reconnect at once.
    pub devices: usize,
    /// Devices that go on sending.
    pub others: usize,
    /// Readings a second of these.
    pub per_s: u32,
    /// How long the quiet before is measured.
    pub calm: Duration,
    /// How long the devices are away.
    pub away: Duration,
}

#[derive(Debug)]
struct Run {
    storm: Storm,
    steady: Steady,
}

impl StormScript {
    fn against(
        &self,
        (server, process_id): (SocketAddr, u32),
        key: Option<&Vec<u8>>,
    ) -> Result<Run, Broken> {
        let signal = Arc::new(Signal::default());
        let entry = |sessions| Entry {
            sessions,
            key: key.cloned(),
            ..Entry::anonymous()
        };
        let paced = Paced {
            server,
            devices: self.others,
            per_s: self.per_s,
            entry: entry(Unacknowledged::LetGo),
        };
        let rush = Rush {
            server,
            process_id,
            devices: self.devices,
            entry: entry(Unacknowledged::SendAgain),
            calm: self.calm,
            away: self.away,
        };
        let for_paced = Arc::clone(&signal);
        let steady = thread::Builder::new()
            .name("steady".to_owned())
            .spawn(move || paced.run(&for_paced))?;
        let storm = rush.run(&signal);
        let steady = steady.join().or(Err(Broken::Panicked("the steady load")))?;
        // Whichever failed first makes the other fail: the steady one's own fault says more.
        let steady = steady?;
        let storm = storm?;
        Ok(Run { storm, steady })
    }

    fn against_gateway(&self) -> Result<Run, Broken> {
        let dir = self.dir.join("gateway");
        let rig = Rig::start(&self.binaries, &dir, Setup::default())?;
        let server = (rig.gateway.mqtt, rig.gateway.process.id());
        let run = self.against(server, Some(&rig.key))?;
        if run.steady.rejected > 0 {
            return Err(Broken::Rejected(run.steady.rejected));
        }
        rig.drained(run.steady.acknowledged_in_all)?;
        rig.end(&dir)?;
        Ok(run)
    }

    fn against_yardstick(&self) -> Result<Run, Broken> {
        let dir = self.dir.join("yardstick");
        let mut yardstick = Yardstick::start(&self.binaries, &dir)?;
        let run = self.against((yardstick.mqtt, yardstick.process.id()), None)?;
        yardstick.process.kill()?;
        fs::remove_dir_all(&dir)?;
        Ok(run)
    }
}

/// Runs everything; tells its progress.
///
/// # Errors
/// A server does not start, not all come back, readings are lost.
pub fn storm(script: &StormScript, progress: &mut dyn Write) -> Result<Report, Broken> {
    raise_open_files()?;
    let (mut gateway, mut yardstick) = (Vec::new(), Vec::new());
    for _ in 0..script.runs {
        let run = script.against_gateway()?;
        tell(progress, "sensegate", &run)?;
        gateway.push(run);
        let run = script.against_yardstick()?;
        tell(progress, "yardstick", &run)?;
        yardstick.push(run);
    }
    let machine = Machine::describe(&script.dir)?;
    let mut report = Report::on(&machine, &[script.binaries.gateway_version()?]);
    report.notes.extend([
        format!(
            "{} runs each, medians; sensegate and yardstick in turn; {} devices reconnect at once {} s after all were cut off, {} others \
             send {} readings/s; limits at their defaults",
            script.runs,
            script.devices,
            script.away.as_secs_f64(),
            script.others,
            script.per_s
        ),
        "times of readings count from when they were due, on a schedule of 1 ms, to their acknowledgement".to_owned(),
        "sensegate checks each HMAC and resumes each session; the yardstick does neither".to_owned(),
        "load: two threads on the same machine, one for the storm, one for the others".to_owned(),
    ]);
    let servers = [("sensegate", gateway.as_slice()), ("yardstick", &yardstick)];
    report.tables = vec![back_table(servers), others_table(servers)];
    Ok(report)
}

fn tell(progress: &mut dyn Write, server: &str, run: &Run) -> io::Result<()> {
    let (storm, steady) = (&run.storm, &run.steady);
    writeln!(
        progress,
        "{server:<9} all back after {:.2} s; others' p99 {} µs before, {} µs during; turned away {}, unanswered {}",
        storm.until_all_back.as_secs_f64(),
        steady.before.quantile_us(0.99),
        steady.during.quantile_us(0.99),
        codes(&storm.turned_away),
        storm.unanswered
    )?;
    progress.flush()
}

fn codes(counts: &BTreeMap<u8, u64>) -> String {
    if counts.is_empty() {
        return "0".to_owned();
    }
    let each = counts
        .iter()
        .map(|(code, count)| format!("{count} × {code:#04x}"));
    each.collect::<Vec<_>>().join(", ")
}

fn back_table(servers: [(&str, &[Run]); 2]) -> Table {
    let row = |(server, runs): (&str, &[Run])| {
        let back = |part| {
            Figures::of(runs, move |run: &Run| ms(run.storm.back.quantile_us(part))).middle(0)
        };
        let all = Figures::of(runs, |run| run.storm.until_all_back.as_secs_f64());
        let mut turned_away = BTreeMap::new();
        for (code, count) in runs.iter().flat_map(|run| &run.storm.turned_away) {
            *turned_away.entry(*code).or_default() += count;
        }
        let unanswered = Figures::of(runs, |run| {
            crate::harness::bench::ratio(run.storm.unanswered, 1.0)
        });
        let cpu = Figures::of(runs, |run| run.storm.server_cpu.total().as_secs_f64());
        vec![
            server.to_owned(),
            format!("{} s", all.middle(2)),
            all.range(2),
            format!("{} ms", back(0.5)),
            format!("{} ms", back(0.99)),
            codes(&turned_away),
            unanswered.middle(0),
            format!("{} s", cpu.middle(2)),
        ]
    };
    Table {
        title: "Until all are back".to_owned(),
        columns: vec![
            "server",
            "all back after",
            "lowest–highest",
            "half of them after",
            "99 % after",
            "turned away, all runs",
            "attempts without an answer",
            "server CPU meanwhile",
        ],
        rows: servers.into_iter().map(row).collect(),
    }
}

fn others_table(servers: [(&str, &[Run]); 2]) -> Table {
    let mut rows = Vec::new();
    for (server, runs) in servers {
        for (name, moment) in [("before", Moment::Before), ("during", Moment::During)] {
            let of = |run: &Run, part| {
                let times = run.steady.times(moment);
                ms(times.map_or(0, |times| times.quantile_us(part)))
            };
            let figures = |part| Figures::of(runs, |run| of(run, part));
            let quantile = |part| format!("{} ms", figures(part).middle(2));
            let readings = runs.iter().map(|run| {
                let times = run.steady.times(moment);
                times.map_or(0, Latency::count)
            });
            rows.push(vec![
                server.to_owned(),
                name.to_owned(),
                readings.sum::<u64>().to_string(),
                quantile(0.5),
                quantile(0.99),
                figures(0.99).range(2),
                quantile(1.0),
            ]);
        }
    }
    Table {
        title: "Acknowledgement of the others' readings".to_owned(),
        columns: vec![
            "server",
            "moment",
            "readings, all runs",
            "p50",
            "p99",
            "p99, lowest–highest",
            "longest",
        ],
        rows,
    }
}
