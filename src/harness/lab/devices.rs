//! `sensegate-lab devices`: a fleet against any gateway.

use std::{
    fs,
    io::{self, Write as _},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use arc_swap::ArcSwap;

use super::args;
use crate::harness::{
    client::Qos,
    demo::city,
    devices::{Fleet, FleetOptions, Identities, Pace, Protocols, Roster, Tally, Unacknowledged},
    evidence::audit,
};

const SHOW_EVERY: Duration = Duration::from_secs(1);

pub(super) fn run(args: &args::Devices, stop: &AtomicBool) -> anyhow::Result<()> {
    let roster = Arc::new(city(args.scale, args.format.into())?);
    let mut out = io::stdout();
    writeln!(
        out,
        "{} devices of {} classes, nominally {:.1} readings/s",
        roster.members.len(),
        roster.patterns.len(),
        roster.nominal_rate()
    )?;
    let fleet = Fleet::start(Arc::clone(&roster), options(args, &roster)?)?;
    let began = Instant::now();
    let over = |began: Instant| args.duration.is_some_and(|limit| began.elapsed() >= limit);
    while !stop.load(Ordering::Relaxed) && !over(began) {
        let left = args
            .duration
            .map_or(SHOW_EVERY, |d| d.saturating_sub(began.elapsed()));
        thread::sleep(SHOW_EVERY.min(left));
        show(&fleet.tally, began)?;
    }
    let tally = Arc::clone(&fleet.tally);
    let end = fleet.finish()?;
    show(&tally, began)?;
    if let Some(dir) = &args.verify {
        let verdict = audit(dir, &roster, &end.model)?;
        writeln!(out, "{verdict}")?;
        anyhow::ensure!(verdict.holds(), "the promise is broken");
    }
    Ok(())
}

fn options(args: &args::Devices, roster: &Roster) -> anyhow::Result<FleetOptions> {
    let identities = match &args.auth_key_file {
        None => Identities::Anonymous {
            connections: args.connections,
        },
        Some(file) => {
            let mut key = fs::read(file).with_context(|| file.display().to_string())?;
            while key.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
                key.pop();
            }
            Identities::Keyed(key)
        }
    };
    let speed = args
        .rate
        .map_or(args.speed, |rate| rate / roster.nominal_rate());
    Ok(FleetOptions {
        gateway: Arc::new(ArcSwap::from_pointee(args.gateway)),
        source_addresses: args.source_addresses,
        identities,
        protocols: match args.protocol {
            args::Protocol::V3 => Protocols::V3,
            args::Protocol::V5 => Protocols::V5,
            args::Protocol::Mixed => Protocols::Mixed,
        },
        qos: Qos::from_number(args.qos).context("--qos is 0, 1 or 2")?,
        window: args.window.max(1),
        pace: Pace {
            speed,
            replay_speed: args.replay_speed,
        },
        unacknowledged: if args.let_go {
            Unacknowledged::LetGo
        } else {
            Unacknowledged::SendAgain
        },
        seed: args.seed,
    })
}

fn show(tally: &Tally, began: Instant) -> io::Result<()> {
    writeln!(
        io::stdout(),
        "{:>5} s  connected {}  sent {}  acknowledged {}  rejected {}  in doubt {}  delayed {}  lost connections {}  refused connections {}  \
         p50 {} µs  p99 {} µs",
        began.elapsed().as_secs(),
        tally.connected.get(),
        tally.sent.get(),
        tally.acknowledged.get(),
        tally.rejected.get(),
        tally.in_doubt.get(),
        tally.delayed.get(),
        tally.lost.get(),
        tally.refused.get(),
        tally.p50_us.get(),
        tally.p99_us.get()
    )
}
