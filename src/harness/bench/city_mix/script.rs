//! The script: the mix and canonical JSON against gateways on fresh data, in turn and in changing order, and the report.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use super::{
    super::{
        closed::{Closed, Feed},
        entry::Entry,
        figures::{Figures, ms, quotient, us_each},
        machine::Machine,
        process::Cpu,
        ratio,
        readings::{CLASS, payload_bytes},
        rig::{Broken, Rig, Setup, raise_open_files},
        suite::{GatewayRun, Script, settled},
        table::{Report, Table},
    },
    mix::{Mix, Recipe},
};

/// A connection of the load speaks for many devices, as a vendor's platform or a DTU does.
const RIGHTS: [&str; 2] = ["--rights", "open"];

/// How the city's mix is measured.
#[derive(Debug, Clone)]
pub struct CityMixScript {
    /// The binaries, and how long and how often is measured.
    pub script: Script,
    /// Connections.
    pub connections: usize,
    /// Publishes in flight on each.
    pub window: usize,
    /// Payloads prepared, about.
    pub payloads: u32,
    /// Only classes of this format.
    pub only: Option<String>,
}

#[derive(Debug, Clone, Copy)]
enum Turn {
    Mix,
    Canonical,
}

/// The runs of both; those of one number were made one after the other.
#[derive(Debug, Default)]
struct Runs {
    mix: Vec<GatewayRun>,
    canonical: Vec<GatewayRun>,
}

/// Runs everything; tells its progress.
///
/// # Errors
/// The mix cannot be prepared, a gateway does not start, a load breaks, readings are refused or lost.
pub fn city_mix(plan: &CityMixScript, progress: &mut dyn Write) -> Result<Report, Broken> {
    raise_open_files()?;
    let mut mix = Mix::prepared(Recipe {
        payloads: plan.payloads,
        only: plan.only.as_deref(),
    })?;
    let mut runs = Runs::default();
    for number in 1..=plan.script.runs {
        let dir = plan.script.dir.join(format!("city-mix-{number}"));
        let turns = if number.is_multiple_of(2) {
            [Turn::Canonical, Turn::Mix]
        } else {
            [Turn::Mix, Turn::Canonical]
        };
        for turn in turns {
            let (name, feed, runs): (_, Option<&mut dyn Feed>, _) = match turn {
                Turn::Mix => ("mix", Some(&mut mix), &mut runs.mix),
                Turn::Canonical => ("canonical", None, &mut runs.canonical),
            };
            let run = against_gateway(plan, &dir.join(name), feed)?;
            tell(progress, name, &run)?;
            runs.push(run);
        }
        fs::remove_dir_all(&dir)?;
    }
    report(plan, &mix, &runs)
}

/// One load against a gateway on fresh data, with the proof that nothing is missing; none: canonical JSON.
fn against_gateway(
    plan: &CityMixScript,
    dir: &Path,
    feed: Option<&mut dyn Feed>,
) -> Result<GatewayRun, Broken> {
    let setup = Setup {
        flags: RIGHTS.map(str::to_owned).to_vec(),
        ..Setup::default()
    };
    let rig = Rig::start(&plan.script.binaries, dir, setup)?;
    let load = Closed {
        server: rig.gateway.mqtt,
        process_id: rig.gateway.process.id(),
        connections: plan.connections,
        window: plan.window,
        entry: Entry::keyed(rig.key.clone()),
        warm_up: plan.script.warm_up,
        measured: plan.script.measured,
    };
    let load = match feed {
        Some(feed) => load.run_with(feed)?,
        None => load.run()?,
    };
    settled(rig, dir, load)
}

fn tell(progress: &mut dyn Write, name: &str, run: &GatewayRun) -> io::Result<()> {
    writeln!(
        progress,
        "{name:<9} {:.0} readings/s in {:.0} payloads/s, p50 {} µs, p99 {} µs",
        run.load.rate(),
        run.load.payload_rate(),
        run.load.latency.quantile_us(0.5),
        run.load.latency.quantile_us(0.99)
    )?;
    progress.flush()
}

fn report(plan: &CityMixScript, mix: &Mix, runs: &Runs) -> Result<Report, Broken> {
    let script = &plan.script;
    let machine = Machine::describe(&script.dir)?;
    let version = script.binaries.gateway_version()?;
    let mut report = Report::on(&machine, &[version]);
    let sums = mix.sums();
    report.notes.push(format!(
        "mix: {} classes in {} formats, each as often as its devices and its interval in the nominal city say and at least once: \
         {} payloads, of up to 900 devices a class, prepared beforehand and sent round and round",
        sums.classes,
        mix.formats.len(),
        sums.payloads
    ));
    report.notes.push(format!(
        "canonical: `{CLASS}`, {} bytes of JSON, 5 properties, one device a connection",
        payload_bytes()
    ));
    report.notes.push(format!(
        "{} connections × {} in flight, QoS 1, MQTT 5; one thread, on the same machine; {} runs each, {} s after {} s of \
         warm-up, medians; both in turn, the order changing; the ratio is the median of the ratios of runs that followed each \
         other",
        plan.connections,
        plan.window,
        script.runs,
        script.measured.as_secs_f64(),
        script.warm_up.as_secs_f64()
    ));
    report.tables = vec![rates(runs), accounts(mix, runs), formats(mix)];
    Ok(report)
}

fn rates(runs: &Runs) -> Table {
    let mut table = Table {
        title: "Ingest".to_owned(),
        columns: vec![
            "load",
            "readings/s",
            "lowest–highest",
            "of canonical",
            "payloads/s",
            "µs of CPU/reading (user + system)",
            "µs of CPU/payload",
            "p50",
            "p99",
        ],
        rows: Vec::new(),
    };
    let pairs: Vec<f64> = runs
        .mix
        .iter()
        .zip(&runs.canonical)
        .map(|(mix, canonical)| quotient(mix.load.rate(), canonical.load.rate()))
        .collect();
    let of = Figures::of(&pairs, |ratio: &f64| *ratio).middle(3);
    for (name, runs, of) in [
        ("city mix", &runs.mix, of.as_str()),
        ("canonical JSON", &runs.canonical, ""),
    ] {
        let cpu = |part: fn(Cpu) -> Cpu| {
            let each = |run: &GatewayRun| us_each(part(run.load.server_cpu), run.load.acknowledged);
            Figures::of(runs, each).middle(2)
        };
        let rates = Figures::of(runs, |run| run.load.rate());
        let payload = |run: &GatewayRun| us_each(run.load.server_cpu, run.load.payloads);
        let latency = |part| {
            let quantile = |run: &GatewayRun| ms(run.load.latency.quantile_us(part));
            format!("{} ms", Figures::of(runs, quantile).middle(1))
        };
        table.rows.push(vec![
            name.to_owned(),
            rates.middle(0),
            rates.range(0),
            of.to_owned(),
            Figures::of(runs, |run| run.load.payload_rate()).middle(0),
            format!("{} ({} + {})", cpu(|cpu| cpu), cpu(user), cpu(system)),
            Figures::of(runs, payload).middle(2),
            latency(0.5),
            latency(0.99),
        ]);
    }
    table
}

fn user(cpu: Cpu) -> Cpu {
    Cpu {
        system: std::time::Duration::ZERO,
        ..cpu
    }
}

fn system(cpu: Cpu) -> Cpu {
    Cpu {
        user: std::time::Duration::ZERO,
        ..cpu
    }
}

/// All runs together: what was acknowledged, what is stored, and what a reading takes.
fn accounts(mix: &Mix, runs: &Runs) -> Table {
    let mut table = Table {
        title: "All runs".to_owned(),
        columns: vec![
            "load",
            "acknowledged in all",
            "stored by the platform",
            "the rest reached it after",
            "µs of the platform's CPU/reading",
            "µs of the load's CPU/reading",
            "bytes a reading: payload",
            "encoded",
            "in the spool",
        ],
        rows: Vec::new(),
    };
    let sums = mix.sums();
    let of_mix = ratio(sums.bytes, ratio(sums.readings, 1.0));
    let of_canonical = ratio(payload_bytes() as u64, 1.0);
    for (name, runs, payload_bytes) in [
        ("city mix", &runs.mix, of_mix),
        ("canonical JSON", &runs.canonical, of_canonical),
    ] {
        let acknowledged: u64 = runs.iter().map(|run| run.load.acknowledged_in_all).sum();
        let stored: u64 = runs.iter().map(|run| run.stored).sum();
        let figure = |each: fn(&GatewayRun) -> f64| Figures::of(runs, each);
        table.rows.push(vec![
            name.to_owned(),
            acknowledged.to_string(),
            stored.to_string(),
            format!("{} s", figure(|run| run.drained.as_secs_f64()).middle(1)),
            figure(|run| us_each(run.platform_cpu, run.stored)).middle(2),
            figure(|run| us_each(run.load.load_cpu, run.load.acknowledged)).middle(2),
            format!("{payload_bytes:.1}"),
            figure(|run| run.raw_bytes).middle(1),
            figure(|run| run.spool_bytes).middle(1),
        ]);
    }
    table
}

fn formats(mix: &Mix) -> Table {
    let sums = mix.sums();
    let mut table = Table {
        title: "The mix; `--only FORMAT` measures one of them alone".to_owned(),
        columns: vec![
            "format",
            "classes",
            "of the payloads",
            "readings a payload",
            "bytes a payload",
        ],
        rows: Vec::new(),
    };
    for (name, format) in &mix.formats {
        let payloads = ratio(format.payloads, 1.0);
        table.rows.push(vec![
            format!("`{name}`"),
            format.classes.to_string(),
            format!(
                "{:.1} %",
                100.0 * quotient(payloads, ratio(sums.payloads, 1.0))
            ),
            format!("{:.2}", ratio(format.readings, payloads)),
            format!("{:.0}", ratio(format.bytes, payloads)),
        ]);
    }
    table
}
