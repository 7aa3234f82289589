//! How many readings a second the spool makes durable, and how many it hands out again. `cargo bench --bench spool`; set
//! `SPOOL_BENCH_DIR` to measure another disk than the temporary folder's. Three rounds, each on a store of its own: the
//! machine's other work shows in their spread.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a measurement may end at the first thing that is wrong, and prints what it found"
)]

use std::{
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use sensegate::{
    config::Config,
    domain::{Lane, Sequence, SequenceRange, SystemClock},
    spool::{Opened, Readings, Spool},
};

const READINGS: u64 = 6_000_000;
/// Readings of one payload here: what an array of a gateway for sub-devices holds.
const PAYLOAD: u32 = 32;
const ROUNDS: u32 = 3;

fn main() {
    for round in 1..=ROUNDS {
        let dir = std::env::var("SPOOL_BENCH_DIR")
            .map_or_else(|_| tempfile::tempdir(), tempfile::tempdir_in)
            .unwrap();
        let Pace {
            written,
            stored,
            drained,
        } = measure(dir.path());
        println!(
            "round {round}: written and synced {written:.2} M readings/s, {stored:.2} bytes stored for each encoded; \
             drained {drained:.2} M readings/s"
        );
    }
}

struct Pace {
    /// Million readings/s.
    written: f64,
    /// Bytes on disk for each byte put in.
    stored: f64,
    /// Million readings/s.
    drained: f64,
}

fn measure(dir: &Path) -> Pace {
    // No tail in memory: draining reads the disk.
    let changes = [
        ("spool.data_dir", dir.to_str().unwrap()),
        ("spool.lanes.telemetry.bytes_max", "8GiB"),
        ("spool.tail_bytes_max", "0"),
    ];
    let config = Config::with(&changes).unwrap().spool;
    let opened: Opened<()> = Spool::open_alone(&config, Arc::new(SystemClock)).unwrap();
    let writer = opened.writer.start().unwrap();
    let payloads: Vec<Vec<u8>> = (0..4096)
        .map(|at| payload(at * u64::from(PAYLOAD)))
        .collect();

    let started = Instant::now();
    let rounds = usize::try_from(READINGS / u64::from(PAYLOAD)).unwrap();
    let mut bytes = 0;
    for payload in payloads.iter().cycle().take(rounds) {
        bytes += payload.len();
        let readings = Readings {
            bytes: payload,
            count: PAYLOAD,
        };
        while opened
            .inlet
            .append(Lane::Telemetry, readings, Some(()))
            .is_err()
        {
            thread::sleep(Duration::from_micros(200));
        }
    }
    let state = || opened.reader.lane_state(Lane::Telemetry);
    while state().readings < READINGS {
        thread::sleep(Duration::from_millis(1));
    }
    let written = pace(started);

    let held = state();
    let started = Instant::now();
    let mut at = Sequence(0);
    while at < held.committed_next {
        let end = Sequence(u64::MAX);
        let items = opened
            .reader
            .read(Lane::Telemetry, at, end, 1 << 20)
            .unwrap();
        let next = items.last().unwrap().range().next;
        opened
            .reader
            .delivered(Lane::Telemetry, SequenceRange::new(at, next))
            .unwrap();
        at = next;
    }
    while state().readings > 0 {
        thread::sleep(Duration::from_millis(1));
    }
    let drained = pace(started);
    writer.close().unwrap();
    Pace {
        written,
        stored: held.bytes as f64 / bytes as f64,
        drained,
    }
}

fn pace(started: Instant) -> f64 {
    READINGS as f64 / started.elapsed().as_secs_f64() / 1e6
}

/// Readings of about the size and shape of the city's: device, class, two times, a few fields.
fn payload(number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for at in number..number + u64::from(PAYLOAD) {
        let reading = format!(
            "\n\u{c}510104-{:05}\u{12}\u{c}flue_gas_cem\u{19}{:08}!{:08}2\u{14}{:04}-{:04}-{:04}-{:04}",
            at % 20_000,
            at / 977,
            at / 978,
            at * 7919 % 9973,
            at * 104_729 % 9967,
            at * 1_299_709 % 9949,
            at % 8191
        );
        bytes.push(0x7A);
        bytes.push(u8::try_from(reading.len()).unwrap());
        bytes.extend_from_slice(reading.as_bytes());
    }
    bytes
}
