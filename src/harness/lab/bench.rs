//! `sensegate-lab bench`: each part's script with what the command line says, and its report.

use std::{
    fs,
    io::{self, Write as _},
};

use super::{
    Folder,
    bench_args::{
        Auth, Bench, CityMix, Compare, FanOut, Form, Ingest, Measuring, Part, Storm, Tls,
    },
};
use crate::harness::{
    bench::{
        Broken, CheckScript, CityMixScript, CompareScript, FanOutScript, Machine, Report, Script,
        StormScript, TlsScript, checks, city_mix, compare, fan_out, markdown, run as run_ingest,
        storm, tls,
    },
    children::Binaries,
};

pub(super) fn run(args: Bench) -> anyhow::Result<()> {
    match args.part {
        None => ingest(args.ingest),
        Some(Part::FanOut(args)) => run_fan_out(args),
        Some(Part::Tls(args)) => run_tls(args),
        Some(Part::Storm(args)) => run_storm(args),
        Some(Part::Auth(args)) => run_auth(args),
        Some(Part::CityMix(args)) => run_city_mix(args),
        Some(Part::Compare(args)) => run_compare(args),
    }
}

fn ingest(args: Ingest) -> anyhow::Result<()> {
    let folder = Folder::of(args.dir, "bench")?;
    let options = Script {
        binaries: Binaries::beside_this()?,
        dir: folder.path.clone(),
        runs: args.runs,
        warm_up: args.warm_up,
        measured: args.measured,
        idle_connections: args.idle_connections,
    };
    let machine = Machine::describe(&folder.path)?;
    let results = if args.markdown {
        run_ingest(&options, &mut io::sink())
    } else {
        run_ingest(&options, &mut io::stdout())
    };
    let ended = results.map_err(anyhow::Error::from).and_then(|results| {
        let text = markdown(&options, &machine, &results)?;
        writeln!(io::stdout(), "{text}")?;
        Ok(())
    });
    folder.close(ended)
}

/// Runs a script in its folder and prints its report.
fn reported(
    folder: Folder,
    form: Form,
    run: impl FnOnce(&mut dyn io::Write) -> Result<Report, Broken>,
) -> anyhow::Result<()> {
    let report = if form.markdown {
        run(&mut io::sink())
    } else {
        run(&mut io::stdout())
    };
    let ended = report.map_err(anyhow::Error::from).and_then(|report| {
        if let Some(file) = &form.json {
            fs::write(file, format!("{:#}\n", report.json()))?;
        }
        write!(io::stdout(), "{report}")?;
        Ok(())
    });
    folder.close(ended)
}

fn folder(measuring: Measuring, what: &str) -> io::Result<(Folder, u32, Form)> {
    let folder = Folder::of(measuring.dir, what)?;
    Ok((folder, measuring.runs.max(1), measuring.form))
}

fn run_fan_out(args: FanOut) -> anyhow::Result<()> {
    let (folder, runs, form) = folder(args.measuring, "bench-fan-out")?;
    let script = FanOutScript {
        binaries: Binaries::beside_this()?,
        dir: folder.path.clone(),
        runs,
        warm_up: args.warm_up,
        measured: args.measured,
        pairs: args.pairs,
        many: args.many,
        filters: args.filters,
        only: args.only,
    };
    reported(folder, form, |progress| fan_out(&script, progress))
}

fn run_tls(args: Tls) -> anyhow::Result<()> {
    let (folder, runs, form) = folder(args.measuring, "bench-tls")?;
    anyhow::ensure!(args.from < args.to, "--from is not below --to");
    let script = TlsScript {
        binaries: Binaries::beside_this()?,
        dir: folder.path.clone(),
        runs,
        warm_up: args.warm_up,
        measured: args.measured,
        loads: args.loads,
        counts: [args.from, args.to],
    };
    reported(folder, form, |progress| tls(&script, progress))
}

fn run_storm(args: Storm) -> anyhow::Result<()> {
    let (folder, runs, form) = folder(args.measuring, "bench-storm")?;
    let script = StormScript {
        binaries: Binaries::beside_this()?,
        dir: folder.path.clone(),
        runs,
        devices: args.devices,
        others: args.others,
        per_s: args.rate,
        calm: args.calm,
        away: args.away,
    };
    reported(folder, form, |progress| storm(&script, progress))
}

fn run_auth(args: Auth) -> anyhow::Result<()> {
    let (folder, runs, form) = folder(args.measuring, "bench-auth")?;
    let script = CheckScript {
        dir: folder.path.clone(),
        runs,
        measured: args.measured,
    };
    reported(folder, form, |progress| checks(&script, progress))
}

fn run_city_mix(args: CityMix) -> anyhow::Result<()> {
    let (folder, runs, form) = folder(args.measuring, "bench-city-mix")?;
    let plan = CityMixScript {
        script: Script {
            binaries: Binaries::beside_this()?,
            dir: folder.path.clone(),
            runs,
            warm_up: args.warm_up,
            measured: args.measured,
            idle_connections: 0,
        },
        connections: args.connections,
        window: usize::from(args.window),
        payloads: args.payloads,
        only: args.only,
    };
    reported(folder, form, |progress| city_mix(&plan, progress))
}

fn run_compare(args: Compare) -> anyhow::Result<()> {
    let (folder, runs, form) = folder(args.measuring, "bench-compare")?;
    let plan = CompareScript {
        script: Script {
            binaries: Binaries::beside_this()?,
            dir: folder.path.clone(),
            runs,
            warm_up: args.warm_up,
            measured: args.measured,
            idle_connections: 0,
        },
        other: args.other,
        loads: args.loads,
    };
    reported(folder, form, |progress| compare(&plan, progress))
}
