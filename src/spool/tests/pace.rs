//! How fast it is, for whoever asks: `cargo test --release --lib spool::tests::pace -- --ignored --nocapture`. Set
//! `SPOOL_PACE_DIR` to measure another disk than the one of the temporary folder.

use std::time::Instant;

use super::*;

const READINGS: u64 = 6_000_000;
/// Readings of one payload here: what an array of a gateway device holds.
const PAYLOAD: u64 = 32;

/// Readings of about the size and shape of the city's: device, class, two times, a few fields.
fn payload(number: u64, bytes: &mut Vec<u8>) {
    bytes.clear();
    for at in number..number + PAYLOAD {
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
}

#[test]
#[ignore = "a measurement, not a test"]
fn readings_written_and_drained_each_second() {
    let dir = std::env::var("SPOOL_PACE_DIR").map_or_else(|_| tempfile::tempdir(), tempfile::tempdir_in).unwrap();
    let mut config = config(dir.path());
    config.lanes = LaneMap::from_fn(|_| LaneBounds { bytes_max: 8 << 30, when_full: WhenFull::Refuse });
    config.group = GroupCommit { block_readings_max: 1024, bytes_max: 16 << 20 };
    config.tail_bytes_max = 0;
    config.wal_bytes_max = 192 << 20;
    let opened: Opened<()> = Spool::open(&config, Arc::new(SystemClock)).unwrap();
    let writer = opened.writer.start().unwrap();
    let mut bytes = Vec::new();
    let mut raw = 0_u64;
    let payloads: Vec<Vec<u8>> = (0..4096)
        .map(|number| {
            payload(number * PAYLOAD, &mut bytes);
            bytes.clone()
        })
        .collect();
    let started = Instant::now();
    for payload in payloads.iter().cycle().take(usize::try_from(READINGS / PAYLOAD).unwrap()) {
        raw += payload.len() as u64;
        let readings = Readings { bytes: payload, count: 32 };
        while let Err(refused) = opened.inlet.append(Lane::Telemetry, readings, Some(())) {
            assert!(matches!(refused, Unplaced::Busy(_)));
            std::thread::sleep(Duration::from_micros(200));
        }
    }
    while opened.reader.ledger().lanes.telemetry.received < READINGS {
        std::thread::sleep(Duration::from_millis(1));
    }
    let took = started.elapsed();
    let state = opened.reader.lane_state(Lane::Telemetry);
    println!(
        "written, synced: {:.2} M readings/s, {} bytes each raw, {:.2} bytes stored per byte",
        READINGS as f64 / took.as_secs_f64() / 1e6,
        raw / READINGS,
        state.bytes as f64 / raw as f64
    );
    let started = Instant::now();
    let mut at = Sequence(0);
    while at < state.committed_next {
        let items = opened.reader.read(Lane::Telemetry, at, ALL, 1 << 20).unwrap();
        let next = items.last().unwrap().range().next;
        opened.reader.delivered(Lane::Telemetry, SequenceRange::new(at, next)).unwrap();
        at = next;
    }
    while opened.reader.lane_state(Lane::Telemetry).readings > 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    println!("drained: {:.2} M readings/s", READINGS as f64 / started.elapsed().as_secs_f64() / 1e6);
    writer.close().unwrap();
}
