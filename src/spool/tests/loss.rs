//! The bad day: crashes, torn and damaged logs, damaged blocks, full lanes that drop, full disks.

use std::{path::PathBuf, sync::atomic::Ordering};

use super::*;
use crate::{
    domain::DropReason,
    spool::{GapReason, keys},
    store::{Batch, Durability, Store, StoreOptions},
};

fn dropping(dir: &Path, bytes_max: u64) -> SpoolConfig {
    let mut config = config(dir);
    config.lanes.bulk = StoreBounds {
        bytes_max,
        when_full: WhenFull::DropOldest,
    };
    config
}

fn at(config: &SpoolConfig, dir: &Path) -> SpoolConfig {
    SpoolConfig {
        data_dir: dir.to_owned(),
        ..config.clone()
    }
}

/// Bodies that do not compress.
fn noise(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..100)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            char::from(b'!' + u8::try_from(state % 90).unwrap())
        })
        .collect()
}

fn append_noise(bench: &Bench, lane: Lane, from: u64, blocks: u64) {
    for block in 0..blocks {
        let bodies: Vec<String> = (0..10).map(|at| noise(from + block * 10 + at)).collect();
        let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
        assert_eq!(bench.append(lane, &bodies), Outcome::Stored);
    }
}

fn log_of(dir: &Path) -> PathBuf {
    let mut logs: Vec<PathBuf> = fs::read_dir(dir.join("store"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "log"))
        .collect();
    logs.sort();
    logs.pop().unwrap()
}

#[test]
fn every_settled_reading_survives_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let bench = Bench::open(&config);
    bench.append(Lane::Telemetry, &["a", "b"]);
    bench.delivered(Lane::Telemetry, 0, 1);
    bench.quarantine(Lane::Telemetry, b"?");
    bench.append(Lane::Telemetry, &["c"]);
    let copy = bench.crashed(dir.path());
    let again = Bench::open(&at(&config, copy.path()));
    assert!(!again.recovery.created);
    assert_eq!(again.recovery.imbalances, Vec::<String>::new());
    assert_eq!(again.reader.incarnation(), bench.reader.incarnation());
    assert_eq!(values(&again.read(Lane::Telemetry)), ["b", "c"]);
    let ledger = again.ledger(Lane::Telemetry);
    assert_eq!(
        (
            ledger.received,
            ledger.delivered,
            ledger.spooled,
            ledger.quarantined
        ),
        (4, 1, 2, 1)
    );
    again.append(Lane::Telemetry, &["d"]);
    assert_eq!(bodies(&again.read(Lane::Telemetry))[&3], "d");
    again.close();
    bench.close();
}

#[test]
fn a_torn_tail_takes_nothing_that_was_settled_before() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let bench = Bench::open(&config);
    append_noise(&bench, Lane::Alarm, 0, 3);
    let settled_bytes = fs::metadata(log_of(dir.path())).unwrap().len();
    append_noise(&bench, Lane::Alarm, 30, 1);
    let copy = bench.crashed(dir.path());
    let log = log_of(copy.path());
    let bytes = fs::read(&log).unwrap();
    for torn in [
        settled_bytes + 1,
        settled_bytes + 500,
        bytes.len() as u64 - 1,
    ] {
        let torn = usize::try_from(torn).unwrap();
        let copy = bench.crashed(dir.path());
        fs::write(log_of(copy.path()), &bytes[..torn]).unwrap();
        let again = Bench::open(&at(&config, copy.path()));
        assert_eq!(again.recovery.log_damage, None);
        assert_eq!(bodies(&again.read(Lane::Alarm)).len(), 30);
        assert!(again.reader.ledger().balances());
        again.close();
    }
    bench.close();
}

#[test]
fn a_damaged_log_is_accounted_for_and_no_sequence_is_used_twice() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let bench = Bench::open(&config);
    append_noise(&bench, Lane::Alarm, 0, 20);
    let copy = bench.crashed(dir.path());
    let log = log_of(copy.path());
    let mut bytes = fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(&log, &bytes).unwrap();
    bench.close();

    let again = Bench::open(&at(&config, copy.path()));
    let aside = &again.recovery.log_damage.as_ref().unwrap().aside;
    assert!(fs::read_dir(aside).unwrap().count() > 0);
    let lost = again.recovery.lost.alarm;
    let kept = bodies(&again.read(Lane::Alarm)).len() as u64;
    assert!(lost > 0 && kept > 0, "{lost} lost, {kept} kept");
    assert_eq!(lost + kept, 200);
    let ledger = again.ledger(Lane::Alarm);
    assert_eq!((ledger.received, ledger.spooled), (200, kept));
    assert_eq!(ledger.dropped(DropReason::Corruption), lost);
    again.append(Lane::Alarm, &["new"]);
    let items = again.read(Lane::Alarm);
    let (&sequence, body) = bodies(&items)
        .into_iter()
        .next_back()
        .as_ref()
        .map(|(s, b)| (s, b.clone()))
        .unwrap();
    assert!(sequence > 200 && body == "new");
    // Block, gap, gap, block: no hole.
    assert!(
        items
            .iter()
            .zip(items.iter().skip(1))
            .all(|(a, b)| a.range().next == b.range().first)
    );
    // The platform had received some of it before the damage.
    let next = again.reader.lane_state(Lane::Alarm).committed_next;
    again.delivered(Lane::Alarm, 0, next.0);
    assert!(again.read(Lane::Alarm).is_empty());
    assert_eq!(again.ledger(Lane::Alarm).spooled, 0);
    again.close();
    let again = Bench::open(&at(&config, copy.path()));
    assert_eq!(
        (again.recovery.log_damage, again.recovery.imbalances),
        (None, vec![])
    );
    again.writer.close().unwrap();
}

/// Changes one stored item of a spool that is not open.
fn damage(
    config: &SpoolConfig,
    lane: Lane,
    first: u64,
    change: impl FnOnce(Vec<u8>) -> Option<Vec<u8>>,
) {
    let how = StoreOptions {
        wal_bytes_max: 1 << 26,
    };
    let (store, _) = Store::open(&config.data_dir, &how, UnixNanos(0)).unwrap();
    let key = keys::item(lane, Sequence(first));
    let mut batch = Batch::default();
    match change(store.get(&key).unwrap().unwrap()) {
        Some(value) => batch.put(key, value),
        None => batch.delete(key),
    }
    store.write(&batch, Durability::Synced).unwrap();
}

#[test]
fn a_damaged_block_becomes_a_gap_and_delivery_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let bench = Bench::open(&config);
    append_noise(&bench, Lane::Telemetry, 0, 4);
    bench.delivered(Lane::Telemetry, 12, 15);
    bench.close();
    damage(&config, Lane::Telemetry, 10, |mut value| {
        value[60] ^= 1;
        Some(value)
    });
    let bench = Bench::open(&config);
    let items = bench.read(Lane::Telemetry);
    assert_eq!(gaps(&items), [(10, 12), (15, 20)]);
    assert!(matches!(
        &items[1],
        Item::Gap {
            reason: GapReason::Corruption,
            ..
        }
    ));
    assert_eq!(bodies(&items).len(), 30);
    let ledger = bench.ledger(Lane::Telemetry);
    assert_eq!((ledger.spooled, ledger.delivered), (30, 3));
    assert_eq!(ledger.dropped(DropReason::Corruption), 7);
    // The platform has been told of the gap: its acknowledgement does not make readings of it.
    bench.delivered(Lane::Telemetry, 0, 40);
    assert_eq!(bench.ledger(Lane::Telemetry).delivered, 33);
    bench.close();
    let stat = super::super::stat(dir.path()).unwrap();
    assert!(stat.balances && stat.damaged_bytes > 500);
}

#[test]
fn a_missing_block_becomes_a_gap_and_is_reported_at_open() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let bench = Bench::open(&config);
    append_noise(&bench, Lane::Bulk, 0, 3);
    bench.close();
    damage(&config, Lane::Bulk, 20, |_| None);
    let bench = Bench::open(&config);
    assert!(
        bench
            .recovery
            .imbalances
            .iter()
            .any(|fault| fault.contains("20 readings"))
    );
    let items = bench.read(Lane::Bulk);
    assert_eq!((gaps(&items), bodies(&items).len()), (vec![(20, 30)], 20));
    assert_eq!(bench.ledger(Lane::Bulk).dropped(DropReason::Corruption), 10);
    bench.close();
}

#[test]
fn a_full_lane_that_drops_its_oldest_leaves_one_gap() {
    let dir = tempfile::tempdir().unwrap();
    let config = dropping(dir.path(), 20_000);
    let bench = Bench::open(&config);
    append_noise(&bench, Lane::Bulk, 0, 100);
    bench.done();
    let state = bench.reader.lane_state(Lane::Bulk);
    assert!(state.bytes <= 20_000, "{state:?}");
    bench.close();
    let stat = super::super::stat(dir.path()).unwrap();
    assert_eq!(stat.lanes.bulk.gaps, 1);
    let bench = Bench::open(&config);
    assert_eq!(bench.recovery.imbalances, Vec::<String>::new());
    let items = bench.read(Lane::Bulk);
    let told = gaps(&items);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].0, 0);
    let kept = bodies(&items);
    assert_eq!(
        (*kept.first_key_value().unwrap().0, kept.len() as u64),
        (told[0].1, 1000 - told[0].1)
    );
    assert!(
        kept.iter()
            .all(|(sequence, body)| *body == noise(*sequence))
    );
    let ledger = bench.ledger(Lane::Bulk);
    assert_eq!(
        (ledger.dropped(DropReason::Capacity), ledger.received),
        (told[0].1, 1000)
    );
    // Told to the platform, the gap is sealed: what is dropped later stands in another one.
    append_noise(&bench, Lane::Bulk, 1000, 20);
    bench.done();
    assert_eq!(gaps(&bench.read(Lane::Bulk)).len(), 2);
    bench.close();
}

#[test]
fn readings_that_the_platform_held_though_they_were_dropped_count_as_delivered() {
    let dir = tempfile::tempdir().unwrap();
    let config = dropping(dir.path(), 20_000);
    let bench = Bench::open(&config);
    append_noise(&bench, Lane::Bulk, 0, 100);
    bench.done();
    let dropped = bench.ledger(Lane::Bulk).dropped(DropReason::Capacity);
    // Its acknowledgement had been lost; it comes with the next Resume, before the gap is told.
    bench.delivered(Lane::Bulk, 0, 100);
    let ledger = bench.ledger(Lane::Bulk);
    assert_eq!(
        (ledger.delivered, ledger.dropped(DropReason::Capacity)),
        (100, dropped - 100)
    );
    assert_eq!(bench.reader.lane_state(Lane::Bulk).oldest, Sequence(100));
    let items = bench.read(Lane::Bulk);
    assert_eq!(gaps(&items), [(100, dropped)]);
    bench.delivered(Lane::Bulk, 100, dropped);
    let ledger = bench.ledger(Lane::Bulk);
    assert_eq!(
        (ledger.delivered, ledger.dropped(DropReason::Capacity)),
        (100, dropped - 100)
    );
    bench.close();
}

#[test]
fn what_is_in_flight_is_not_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let config = dropping(dir.path(), 20_000);
    let bench = Bench::open(&config);
    append_noise(&bench, Lane::Bulk, 0, 3);
    bench.reader.hold(Lane::Bulk, Some(range(0, 15)));
    append_noise(&bench, Lane::Bulk, 30, 100);
    bench.done();
    let items = bench.read(Lane::Bulk);
    assert_eq!(
        (items[0].range(), items[1].range()),
        (range(0, 10), range(10, 20))
    );
    assert_eq!(gaps(&items)[0].0, 20);
    bench.close();
}

#[test]
fn a_full_disk_stops_acknowledgements_not_the_process_and_is_survived() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(&config(dir.path()));
    let health = bench.writer.health();
    bench.append(Lane::Alarm, &["a"]);
    assert_eq!(health.ailment(), None);
    bench
        .shared()
        .store
        .pretended_full()
        .store(true, Ordering::Relaxed);
    let bytes = entries(&["b"]);
    let readings = Readings {
        bytes: &bytes,
        count: 1,
    };
    bench
        .inlet
        .append(Lane::Alarm, readings, bench.slip(1))
        .unwrap();
    let started = std::time::Instant::now();
    while health.ailment().is_none() {
        assert!(started.elapsed() < PATIENCE);
        std::thread::yield_now();
    }
    assert!(health.ailment().unwrap().contains("is full"));
    assert!(bench.settled.try_recv().is_err());
    assert_eq!(values(&bench.read(Lane::Alarm)), ["a"]);
    bench
        .shared()
        .store
        .pretended_full()
        .store(false, Ordering::Relaxed);
    assert_eq!(
        bench.settled.recv_timeout(PATIENCE).unwrap(),
        (1, Outcome::Stored)
    );
    bench.done();
    assert_eq!(health.ailment(), None);
    assert_eq!(values(&bench.read(Lane::Alarm)), ["a", "b"]);
    bench.close();
}

#[test]
fn a_spool_closed_on_a_full_disk_says_what_it_could_not_settle() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(&config(dir.path()));
    let health = bench.writer.health();
    bench
        .shared()
        .store
        .pretended_full()
        .store(true, Ordering::Relaxed);
    let bytes = entries(&["b"]);
    let readings = Readings {
        bytes: &bytes,
        count: 1,
    };
    bench
        .inlet
        .append(Lane::Alarm, readings, bench.slip(1))
        .unwrap();
    let fault = bench.writer.close().unwrap_err();
    assert!(
        fault.to_string().contains("1 receipts unsettled"),
        "{fault}"
    );
    assert!(bench.settled.try_recv().is_err());
    assert!(health.ailment().unwrap().contains("ended"));
}
