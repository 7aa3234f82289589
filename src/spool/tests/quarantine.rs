//! Entries that leave quarantine on an operator's command: what stands where, before and after, and after a crash.

use super::*;
use crate::{
    domain::{DropReason, PieceId},
    spool::{Fate, Parcel, Released, Replayed, Selection},
};

fn reading(lane: Lane, body: &str) -> Fate {
    Fate::Replay(Replayed::new(
        vec![(lane, entries(&[body]), 1)],
        LaneMap::default(),
    ))
}

fn ids(bench: &Bench) -> Vec<u64> {
    let page = bench.quarantine.page(&Selection::default(), 0).unwrap();
    page.entries.iter().map(|entry| entry.id).collect()
}

#[test]
fn a_replayed_entry_stands_in_its_lane_and_no_longer_in_quarantine() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(&config(dir.path()));
    bench.append(Lane::Telemetry, &["live"]);
    bench.quarantine(Lane::Telemetry, b"{one");
    bench.quarantine(Lane::Telemetry, b"{two");
    let fates = vec![(0, reading(Lane::Telemetry, "mended"))];
    assert_eq!(bench.quarantine.release(fates).unwrap(), [Released::Done]);
    assert_eq!(values(&bench.read(Lane::Telemetry)), ["live", "mended"]);
    let ledger = bench.ledger(Lane::Telemetry);
    assert_eq!(
        (ledger.received, ledger.spooled, ledger.quarantined),
        (3, 2, 1)
    );
    assert_eq!(ids(&bench), [1]);
    bench.delivered(Lane::Telemetry, 0, 2);
    assert_eq!(bench.ledger(Lane::Telemetry).delivered, 2);
    bench.close();
    let again = Bench::open(&config(dir.path()));
    assert_eq!(again.recovery.imbalances, Vec::<String>::new());
    again.close();
}

#[test]
fn what_is_gone_is_not_placed_again() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(&config(dir.path()));
    bench.quarantine(Lane::Bulk, b"{");
    let twice = || {
        vec![
            (0, reading(Lane::Bulk, "a")),
            (0, reading(Lane::Bulk, "a")),
            (5, reading(Lane::Bulk, "b")),
        ]
    };
    assert_eq!(
        bench.quarantine.release(twice()).unwrap(),
        [Released::Done, Released::Gone, Released::Gone]
    );
    assert_eq!(
        bench.quarantine.release(twice()).unwrap(),
        [Released::Gone; 3]
    );
    assert_eq!(values(&bench.read(Lane::Bulk)), ["a"]);
    bench.ledger(Lane::Bulk);
    bench.close();
}

#[test]
fn readings_of_other_lanes_several_of_them_and_none_keep_every_ledger_balanced() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(&config(dir.path()));
    for payload in [b"{0", b"{1", b"{2"] {
        bench.quarantine(Lane::Telemetry, payload);
    }
    let many = Replayed::new(
        vec![
            (Lane::Alarm, entries(&["!"]), 1),
            (Lane::Bulk, entries(&["x", "y"]), 2),
        ],
        LaneMap::default(),
    );
    let mut part = Replayed::new(
        vec![(Lane::Telemetry, entries(&["z"]), 1)],
        LaneMap::default(),
    );
    part.keep(&QuarantineEntry {
        lane: Lane::Bulk,
        reason: QuarantineReason::FrameCheck,
        class: "water_meter",
        device: "d1",
        topic: "t",
        detail: "half of it",
        client: "",
        received_at: UnixNanos(7),
        payload: b"rest",
        piece: None,
    });
    let fates = vec![
        (0, Fate::Replay(many)),
        (1, Fate::Replay(part)),
        (2, Fate::Replay(Replayed::default())),
    ];
    assert_eq!(
        bench.quarantine.release(fates).unwrap(),
        [Released::Done; 3]
    );
    let telemetry = bench.ledger(Lane::Telemetry);
    assert_eq!(
        (telemetry.received, telemetry.spooled, telemetry.suppressed),
        (2, 1, 1)
    );
    assert_eq!(telemetry.quarantined, 0);
    let bulk = bench.ledger(Lane::Bulk);
    assert_eq!((bulk.received, bulk.spooled, bulk.quarantined), (3, 2, 1));
    assert_eq!(bench.ledger(Lane::Alarm).received, 1);
    let left = listed(dir.path());
    assert_eq!(left.len(), 1);
    assert_eq!(
        (left[0].reason, left[0].payload.as_slice()),
        (QuarantineReason::FrameCheck, &b"rest"[..])
    );
    bench.close();
}

#[test]
fn a_full_quarantine_that_refuses_loses_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.quarantine = StoreBounds {
        bytes_max: 5000,
        when_full: WhenFull::Refuse,
    };
    let bench = Bench::open(&config);
    let reason = Outcome::Quarantined(QuarantineReason::MalformedJson);
    let mut taken = 0;
    while bench.quarantine(Lane::Bulk, &[b'{'; 500]) == reason {
        taken += 1;
    }
    assert!((5..10).contains(&taken), "{taken}");
    // Nobody is owed an answer: it is counted, and what can be read of the payload is kept.
    let bytes = entries(&["a"]);
    let unread = [entry(Lane::Bulk, &[b'{'; 500])];
    let readings = Readings {
        bytes: &bytes,
        count: 1,
    };
    let place = |receipt| {
        let parcel = Parcel {
            entries: &unread,
            ..Parcel::default()
        };
        let runs = std::iter::once((Lane::Bulk, readings));
        bench.inlet.place(runs, parcel, receipt)
    };
    assert!(matches!(
        place(bench.slip(1)),
        Err(Unplaced::LaneFull(Some(_)))
    ));
    place(None).unwrap();
    assert_eq!(bench.append(Lane::Bulk, &["b"]), Outcome::Stored);
    let ledger = bench.ledger(Lane::Bulk);
    assert_eq!((ledger.quarantined, ledger.spooled), (taken, 2));
    assert_eq!(ledger.dropped(DropReason::RefusedQos0), 1);
    assert_eq!(ledger.dropped(DropReason::QuarantineCapacity), 0);

    // An operator makes room.
    let purged = bench
        .quarantine
        .release(vec![(0, Fate::Purge), (1, Fate::Purge)]);
    assert_eq!(purged.unwrap(), [Released::Done; 2]);
    bench.done();
    assert_eq!(bench.quarantine(Lane::Bulk, &[b'{'; 500]), reason);
    bench.close();

    // The bound holds from the start on.
    let bench = Bench::open(&config);
    assert_eq!(bench.quarantine(Lane::Bulk, &[b'{'; 500]), reason);
    assert_eq!(bench.quarantine(Lane::Bulk, &[b'{'; 500]), Outcome::Refused);
    assert_eq!(listed(dir.path()).len() as u64, taken);
    bench.close();
}

#[test]
fn a_purged_entry_is_counted_as_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(&config(dir.path()));
    bench.quarantine(Lane::Alarm, b"{");
    assert_eq!(
        bench.quarantine.release(vec![(0, Fate::Purge)]).unwrap(),
        [Released::Done]
    );
    let ledger = bench.ledger(Lane::Alarm);
    assert_eq!((ledger.received, ledger.quarantined), (1, 0));
    assert_eq!(ledger.dropped(DropReason::Purged), 1);
    assert_eq!(super::super::stat(dir.path()).unwrap().quarantine_bytes, 0);
    bench.close();
}

#[test]
fn after_a_crash_at_any_moment_an_entry_is_in_quarantine_or_in_its_lane() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(&config(dir.path()));
    for _ in 0..40 {
        bench.quarantine(Lane::Telemetry, b"{");
    }
    for id in 0..40 {
        let quarantine = bench.quarantine.clone();
        let fates = vec![(id, reading(Lane::Telemetry, "r"))];
        let work = std::thread::spawn(move || quarantine.release(fates).unwrap());
        let copy = bench.crashed(dir.path());
        assert_eq!(work.join().unwrap(), [Released::Done]);
        let found = Bench::open(&config(copy.path()));
        assert_eq!(found.recovery.imbalances, Vec::<String>::new());
        let placed = values(&found.read(Lane::Telemetry)).len();
        assert_eq!(placed + ids(&found).len(), 40);
        assert_eq!(found.ledger(Lane::Telemetry).received, 40);
        found.close();
    }
    bench.close();
}

#[test]
fn a_full_lane_that_refuses_takes_no_replay_and_the_entry_stays() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.lanes[Lane::Bulk].bytes_max = 64;
    let bench = Bench::open(&config);
    bench.quarantine(Lane::Bulk, b"{");
    let large = "x".repeat(100);
    assert_eq!(
        bench
            .quarantine
            .release(vec![(0, reading(Lane::Bulk, &large))])
            .unwrap(),
        [Released::LaneFull(Lane::Bulk)]
    );
    assert_eq!(ids(&bench), [0]);
    assert_eq!(bench.ledger(Lane::Bulk).quarantined, 1);
    bench.close();
}

#[test]
fn an_order_waits_for_a_disk_that_takes_writes_again() {
    use std::sync::atomic::Ordering;
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(&config(dir.path()));
    bench.quarantine(Lane::Bulk, b"{");
    let store = Arc::clone(&bench.shared().store);
    store.pretended_full().store(true, Ordering::Relaxed);
    let quarantine = bench.quarantine.clone();
    let work = std::thread::spawn(move || quarantine.release(vec![(0, reading(Lane::Bulk, "r"))]));
    while bench.writer.health().ailment().is_none() {
        std::thread::yield_now();
    }
    store.pretended_full().store(false, Ordering::Relaxed);
    assert_eq!(work.join().unwrap().unwrap(), [Released::Done]);
    assert_eq!(values(&bench.read(Lane::Bulk)), ["r"]);
    drop(store);
    bench.close();
}

#[test]
fn a_page_ends_and_the_next_goes_on_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(&config(dir.path()));
    for _ in 0..300 {
        let entry = entry(Lane::Bulk, b"{");
        bench.inlet.quarantine(entry, None).unwrap();
    }
    bench.quarantine(Lane::Bulk, b"last");
    let all = Selection::default();
    let first = bench.quarantine.page(&all, 0).unwrap();
    assert_eq!((first.entries.len(), first.next), (256, Some(256)));
    let second = bench.quarantine.page(&all, 256).unwrap();
    assert_eq!((second.entries.len(), second.next), (45, None));
    assert_eq!(bench.quarantine.end().unwrap(), 301);
    bench.close();
}

/// Places a payload's readings, with pieces that wait or have become whole.
fn place(bench: &Bench, bodies: &[&str], waits: &[(u64, &[u8])], joined: &[u64]) -> Outcome {
    let bytes = entries(bodies);
    let count = u32::try_from(bodies.len()).unwrap();
    let readings = Readings {
        bytes: &bytes,
        count,
    };
    let runs = (count > 0).then_some((Lane::Telemetry, readings));
    let waits: Vec<_> = waits
        .iter()
        .map(|(name, payload)| QuarantineEntry {
            piece: Some(PieceId(*name)),
            ..entry(Lane::Telemetry, payload)
        })
        .collect();
    let joined: Vec<_> = joined.iter().copied().map(PieceId).collect();
    let parcel = Parcel {
        entries: &waits,
        joined: &joined,
        ..Parcel::default()
    };
    let placed = bench.inlet.place(runs.into_iter(), parcel, bench.slip(0));
    placed.unwrap();
    bench.settled.recv_timeout(PATIENCE).unwrap().1
}

#[test]
fn pieces_leave_quarantine_with_the_readings_of_their_whole() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(&config(dir.path()));
    assert_eq!(place(&bench, &["a"], &[(1, b"##01")], &[]), Outcome::Stored);
    assert_eq!(place(&bench, &[], &[(2, b"35QN")], &[]), Outcome::Stored);
    bench.quarantine(Lane::Telemetry, b"{other");
    let before = bench.ledger(Lane::Telemetry);
    assert_eq!((before.received, before.quarantined), (4, 3));
    place(&bench, &["b"], &[], &[1, 2]);
    let ledger = bench.ledger(Lane::Telemetry);
    assert_eq!(
        (ledger.received, ledger.spooled, ledger.quarantined),
        (3, 2, 1)
    );
    assert_eq!(ids(&bench), [2]);
    // Called again, or never there: nothing happens.
    place(&bench, &["c"], &[], &[1, 9]);
    assert_eq!(bench.ledger(Lane::Telemetry).quarantined, 1);
    bench.close();
    let again = Bench::open(&config(dir.path()));
    assert_eq!(again.recovery.imbalances, Vec::<String>::new());
    assert_eq!(ids(&again), [2]);
    again.close();
}

#[test]
fn a_piece_that_an_operator_threw_away_is_counted_once() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(&config(dir.path()));
    place(&bench, &[], &[(1, b"##01")], &[]);
    bench.quarantine.release(vec![(0, Fate::Purge)]).unwrap();
    place(&bench, &["whole"], &[], &[1]);
    let ledger = bench.ledger(Lane::Telemetry);
    assert_eq!(
        (ledger.received, ledger.spooled, ledger.quarantined),
        (2, 1, 0)
    );
    bench.close();
}

#[test]
fn a_crash_leaves_the_pieces_or_the_whole() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(&config(dir.path()));
    place(&bench, &[], &[(1, b"##01")], &[]);
    let between = bench.crashed(dir.path());
    place(&bench, &["whole"], &[], &[1]);
    let behind = bench.crashed(dir.path());
    bench.close();
    for (copy, counts) in [(between, (1, 0, 1)), (behind, (1, 1, 0))] {
        let again = Bench::open(&config(copy.path()));
        let ledger = again.ledger(Lane::Telemetry);
        assert_eq!(
            (ledger.received, ledger.spooled, ledger.quarantined),
            counts
        );
        again.close();
    }
}
