//! Two gateways under the ingest load in turn: this build's, and an older one's binary. The order changes from run to run,
//! so that a machine that grows faster or slower favours neither.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
};

use super::{
    closed,
    figures::{Figures, ms, quotient, us_each},
    machine::Machine,
    rig::{Broken, raise_open_files},
    suite::{Script, against_gateway},
    table::{Report, Table},
};
use crate::harness::children::Binaries;

/// How two gateways are compared.
#[derive(Debug, Clone)]
pub struct CompareScript {
    /// This build, and how long and how often it is measured.
    pub script: Script,
    /// The other gateway's binary.
    pub other: PathBuf,
    /// The loads: connections and window.
    pub loads: Vec<(usize, usize)>,
}

/// The runs of one scenario; those of one number were made one after the other.
#[derive(Debug, Default)]
struct Pairs {
    this: Vec<closed::Outcome>,
    other: Vec<closed::Outcome>,
}

impl Pairs {
    /// This build's rate by the other's, of each pair of runs.
    fn ratios(&self) -> Figures {
        let pairs: Vec<f64> = self
            .this
            .iter()
            .zip(&self.other)
            .map(|(this, other)| quotient(this.rate(), other.rate()))
            .collect();
        Figures::of(&pairs, |ratio: &f64| *ratio)
    }
}

/// Runs everything; tells its progress.
///
/// # Errors
/// A gateway does not start, a load breaks, readings are lost.
pub fn compare(plan: &CompareScript, progress: &mut dyn Write) -> Result<Report, Broken> {
    raise_open_files()?;
    let this = &plan.script;
    let mut other = this.clone();
    other.binaries = Binaries {
        gateway: plan.other.clone(),
        lab: this.binaries.lab.clone(),
    };
    let mut all = Vec::new();
    for &scenario in &plan.loads {
        let mut pairs = Pairs::default();
        for number in 1..=this.runs {
            let dir = this.dir.join(format!("compare-{number}"));
            let turns = if number.is_multiple_of(2) {
                [Turn::Other, Turn::This]
            } else {
                [Turn::This, Turn::Other]
            };
            for turn in turns {
                let (name, script, runs) = match turn {
                    Turn::This => ("this", this, &mut pairs.this),
                    Turn::Other => ("other", &other, &mut pairs.other),
                };
                let load = against_gateway(script, &dir.join(name), scenario, None)?.load;
                tell(progress, (name, scenario), &load)?;
                runs.push(load);
            }
            fs::remove_dir_all(&dir)?;
        }
        all.push((scenario, pairs));
    }
    report(plan, &other, &all)
}

#[derive(Debug, Clone, Copy)]
enum Turn {
    This,
    Other,
}

fn tell(
    progress: &mut dyn Write,
    (name, (connections, window)): (&str, (usize, usize)),
    load: &closed::Outcome,
) -> io::Result<()> {
    writeln!(
        progress,
        "{name:<5} {connections} × {window}: {:.0}/s",
        load.rate()
    )?;
    progress.flush()
}

fn report(
    plan: &CompareScript,
    other: &Script,
    all: &[((usize, usize), Pairs)],
) -> Result<Report, Broken> {
    let this = &plan.script;
    let machine = Machine::describe(&this.dir)?;
    let versions = [
        format!("this: {}", this.binaries.gateway_version()?),
        format!(
            "other: {} ({})",
            other.binaries.gateway_version()?,
            plan.other.display()
        ),
    ];
    let mut report = Report::on(&machine, &versions);
    report.notes.push(format!(
        "{} runs each, {} s after {} s of warm-up, medians; both in turn, the order changing; the ratio is the median of the ratios \
         of runs that followed each other",
        this.runs,
        this.measured.as_secs_f64(),
        this.warm_up.as_secs_f64()
    ));
    let (mut each, mut ratios) = (each_table(), ratio_table());
    for ((connections, window), pairs) in all {
        let scenario = format!("{connections} × {window}");
        for (name, runs) in [("this", &pairs.this), ("other", &pairs.other)] {
            let head = vec![scenario.clone(), name.to_owned()];
            each.rows.push([head, row(runs)].concat());
        }
        let of = pairs.ratios();
        let cpu = |runs: &[closed::Outcome]| cpu(runs).median();
        let change = 100.0 * (of.median() - 1.0);
        let cpu_ratio = quotient(cpu(&pairs.this), cpu(&pairs.other));
        ratios.rows.push(vec![
            scenario,
            of.middle(3),
            of.range(3),
            format!("{change:+.1} %"),
            format!("{cpu_ratio:.3}"),
        ]);
    }
    report.tables = vec![each, ratios];
    Ok(report)
}

fn each_table() -> Table {
    Table {
        title: "Ingest, both gateways".to_owned(),
        columns: vec![
            "connections × window",
            "gateway",
            "acknowledged/s",
            "lowest–highest",
            "µs of CPU/reading",
            "p50",
            "p99",
        ],
        rows: Vec::new(),
    }
}

fn ratio_table() -> Table {
    Table {
        title: "This by the other".to_owned(),
        columns: vec![
            "connections × window",
            "rate, ratio",
            "lowest–highest",
            "change",
            "CPU/reading, ratio of medians",
        ],
        rows: Vec::new(),
    }
}

fn cpu(runs: &[closed::Outcome]) -> Figures {
    Figures::of(runs, |run| us_each(run.server_cpu, run.acknowledged))
}

fn row(runs: &[closed::Outcome]) -> Vec<String> {
    let rates = Figures::of(runs, closed::Outcome::rate);
    let latency = |part| Figures::of(runs, |run| ms(run.latency.quantile_us(part))).middle(1);
    vec![
        rates.middle(0),
        rates.range(0),
        cpu(runs).middle(2),
        format!("{} ms", latency(0.5)),
        format!("{} ms", latency(0.99)),
    ]
}
