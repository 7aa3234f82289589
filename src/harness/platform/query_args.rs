//! `sensegate-lab query`: asks the platform's data and prints JSON lines.

use std::{
    io::{self, BufWriter, Write},
    path::PathBuf,
};

use anyhow::Context as _;
use clap::{Arg, ArgMatches, Command, value_parser};
use prost::Message as _;
use serde::Serialize;
use serde_json::json;

use super::{
    query::{StoredData, StoredReading},
    view::{Catalogue, shown},
};
use crate::proto::platform::Reading;

/// The subcommand.
#[must_use]
pub fn command() -> Command {
    let data_dir = Arg::new("data-dir")
        .long("data-dir")
        .value_parser(value_parser!(PathBuf))
        .required(true)
        .help("the platform's data; a running platform is not disturbed");
    let device = Arg::new("device")
        .required(true)
        .value_name("CLASS/DEVICE")
        .help("the device, as class/device or as its id alone");
    let limit = Arg::new("limit")
        .long("limit")
        .value_parser(value_parser!(usize))
        .default_value("1000")
        .help("prints at most so many");
    Command::new("query")
        .about("Asks what the reference platform has stored; prints JSON lines")
        .subcommand_required(true)
        .arg(data_dir)
        .subcommand(Command::new("count").about("readings: all, per lane, per class"))
        .subcommand(Command::new("devices").about("readings per device"))
        .subcommand(
            Command::new("device")
                .about("readings of one device")
                .arg(device)
                .arg(limit.clone()),
        )
        .subcommand(Command::new("gaps").about("gap records"))
        .subcommand(Command::new("refused").about("readings that were refused"))
        .subcommand(Command::new("duplicates").about(
            "sequences stored twice, and what devices sent twice; fails if any is stored twice",
        ))
        .subcommand(
            Command::new("holes").about("sequences that are missing; fails if there are any"),
        )
        .subcommand(Command::new("positions").about("where each lane of each gateway stands"))
        .subcommand(
            Command::new("readings")
                .about("the readings themselves")
                .arg(limit),
        )
}

struct Lines(BufWriter<io::Stdout>);

impl Lines {
    fn put(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        serde_json::to_writer(&mut self.0, value)?;
        Ok(self.0.write_all(b"\n")?)
    }
}

/// Runs the subcommand.
///
/// # Errors
/// The data cannot be read, or what was asked for (duplicates, holes) was found.
pub fn run(args: &ArgMatches, catalogue: &dyn Catalogue) -> anyhow::Result<()> {
    let dir = args
        .get_one::<PathBuf>("data-dir")
        .context("--data-dir is missing")?;
    let data = StoredData::open(dir).with_context(|| dir.display().to_string())?;
    let mut out = Lines(BufWriter::new(io::stdout()));
    let found = match args.subcommand() {
        Some(("count", _)) => out.put(&data.counts()?).map(|()| 0),
        Some(("devices", _)) => devices(&data, &mut out),
        Some(("device", asked)) => {
            let device = asked
                .get_one::<String>("device")
                .context("no device")?
                .clone();
            let wanted = move |reading: &StoredReading<'_>| {
                let whole = [reading.class, b"/", reading.device].concat();
                device.as_bytes() == reading.device || device.as_bytes() == whole
            };
            readings(&data, asked, catalogue, &mut out, wanted)
        }
        Some(("readings", asked)) => readings(&data, asked, catalogue, &mut out, |_| true),
        Some(("gaps", _)) => each(&data.gaps()?, &mut out),
        Some(("refused", _)) => each(&data.refused()?, &mut out),
        Some(("positions", _)) => {
            let positions = data.positions()?;
            let shown: Vec<_> = positions
                .iter()
                .map(|(holder, held)| shown(holder, held))
                .collect();
            each(&shown, &mut out)
        }
        Some(("duplicates", _)) => {
            let audit = data.audit()?;
            each(&audit.twice, &mut out)?;
            out.put(&json!({ "stored_twice": audit.twice.len(), "sent_twice": audit.sent_twice }))?;
            Ok(audit.twice.len())
        }
        Some(("holes", _)) => {
            let audit = data.audit()?;
            let wrong = [audit.holes, audit.positions_wrong].concat();
            each(&wrong, &mut out)?;
            Ok(wrong.len())
        }
        _ => anyhow::bail!("nothing was asked"),
    }?;
    out.0.flush()?;
    anyhow::ensure!(found == 0, "{found} found");
    Ok(())
}

fn each(values: &[impl Serialize], out: &mut Lines) -> anyhow::Result<usize> {
    for value in values {
        out.put(value)?;
    }
    Ok(0)
}

fn devices(data: &StoredData, out: &mut Lines) -> anyhow::Result<usize> {
    for (device, readings) in data.devices()? {
        out.put(&json!({ "device": device, "readings": readings }))?;
    }
    Ok(0)
}

fn readings(
    data: &StoredData,
    asked: &ArgMatches,
    catalogue: &dyn Catalogue,
    out: &mut Lines,
    wanted: impl Fn(&StoredReading<'_>) -> bool,
) -> anyhow::Result<usize> {
    let mut left = asked
        .get_one::<usize>("limit")
        .copied()
        .unwrap_or(usize::MAX);
    let mut failed = Ok(());
    data.readings(|stored| {
        if left == 0 || failed.is_err() || !wanted(&stored) {
            return;
        }
        left -= 1;
        let reading = match Reading::decode(stored.reading) {
            Ok(reading) => catalogue.render(&reading),
            Err(fault) => json!({ "undecodable": fault.to_string() }),
        };
        failed = out.put(&json!({
            "gateway": stored.holder.gateway,
            "lane": stored.holder.lane.name(),
            "sequence": stored.sequence.0,
            "backlog": stored.backlog,
            "stored_at_ns": stored.stored_at_ns,
            "reading": reading,
        }));
    })?;
    failed.map(|()| 0)
}
