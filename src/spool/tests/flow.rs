//! The ordinary day: append, settle, read, deliver; full lanes, busy groups, quarantine, a stop and a start.

use futures_check::poll_once;

use super::*;

mod futures_check {
    use std::{
        future::Future,
        pin::Pin,
        task::{Context, Poll, Waker},
    };

    /// Whether a future is ready at its next poll.
    pub(super) fn poll_once(future: Pin<&mut impl Future<Output = ()>>) -> bool {
        matches!(
            future.poll(&mut Context::from_waker(Waker::noop())),
            Poll::Ready(())
        )
    }
}

#[test]
fn what_is_settled_can_be_read_in_sequence_and_is_gone_once_delivered() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(&config(dir.path()));
    assert!(bench.recovery.created);
    assert_eq!(bench.append(Lane::Telemetry, &["a", "b"]), Outcome::Stored);
    assert_eq!(bench.append(Lane::Telemetry, &["c"]), Outcome::Stored);
    assert_eq!(bench.append(Lane::Alarm, &["!"]), Outcome::Stored);
    let items = bench.read(Lane::Telemetry);
    assert_eq!(values(&items), ["a", "b", "c"]);
    assert_eq!(items[0].range().first, Sequence(0));
    let state = bench.reader.lane_state(Lane::Telemetry);
    assert_eq!(
        (state.oldest, state.committed_next, state.readings),
        (Sequence(0), Sequence(3), 3)
    );
    assert!(state.oldest_received_at.is_some());

    bench.delivered(Lane::Telemetry, 0, 3);
    assert_eq!(bench.read(Lane::Telemetry), []);
    let state = bench.reader.lane_state(Lane::Telemetry);
    assert_eq!(
        (state.oldest, state.bytes, state.oldest_received_at),
        (Sequence(3), 0, None)
    );
    let ledger = bench.ledger(Lane::Telemetry);
    assert_eq!(
        (ledger.received, ledger.delivered, ledger.spooled),
        (3, 3, 0)
    );
    assert_eq!(bench.ledger(Lane::Alarm).spooled, 1);
    bench.close();
}

#[test]
fn receipts_are_settled_in_order_of_arrival() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(&config(dir.path()));
    for number in 0..500 {
        let lane = Lane::ALL[usize::try_from(number % 3).unwrap()];
        let bytes = entries(&["x"]);
        let readings = Readings {
            bytes: &bytes,
            count: 1,
        };
        bench
            .inlet
            .append(lane, readings, bench.slip(number))
            .unwrap();
    }
    for number in 0..500 {
        assert_eq!(
            bench.settled.recv_timeout(PATIENCE).unwrap(),
            (number, Outcome::Stored)
        );
    }
    bench.close();
}

#[test]
fn a_lane_has_no_hole_and_a_payload_stays_in_one_block() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(&config(dir.path()));
    let bytes = entries(&["p"; 7]);
    for number in 0..100 {
        let readings = Readings {
            bytes: &bytes,
            count: 7,
        };
        bench
            .inlet
            .append(Lane::Bulk, readings, bench.slip(number))
            .unwrap();
    }
    (0..100).for_each(|_| {
        bench.settled.recv_timeout(PATIENCE).unwrap();
    });
    let mut next = Sequence(0);
    for item in bench.read(Lane::Bulk) {
        assert_eq!(item.range().first, next);
        assert_eq!(item.range().count() % 7, 0);
        assert!(item.range().count() <= 16);
        next = item.range().next;
    }
    assert_eq!(next, Sequence(700));
    bench.close();
}

#[test]
fn a_reader_cuts_at_both_ends_and_reads_the_same_from_disk_as_from_memory() {
    let dir = tempfile::tempdir().unwrap();
    let mut without_tail = config(dir.path());
    let bench = Bench::open(&without_tail);
    for payload in [["a", "b", "c"], ["d", "e", "f"], ["g", "h", "i"]] {
        bench.append(Lane::Bulk, &payload);
    }
    assert!(bench.reader.cached(Lane::Bulk, Sequence(4)));
    let cut = |bench: &Bench| {
        bench
            .reader
            .read(Lane::Bulk, Sequence(1), Sequence(8), 1 << 20)
            .unwrap()
    };
    let fresh = cut(&bench);
    assert_eq!(values(&fresh), ["b", "c", "d", "e", "f", "g", "h"]);
    assert_eq!(fresh[0].range(), range(1, 3));
    let few = bench.reader.read(Lane::Bulk, Sequence(0), ALL, 1).unwrap();
    assert_eq!(values(&few), ["a", "b", "c"]);
    bench.close();

    without_tail.tail_bytes_max = 0;
    let bench = Bench::open(&without_tail);
    assert!(!bench.reader.cached(Lane::Bulk, Sequence(4)));
    assert_eq!(bodies(&cut(&bench)), bodies(&fresh));
    let few = bench.reader.read(Lane::Bulk, Sequence(0), ALL, 1).unwrap();
    assert_eq!(values(&few), ["a", "b", "c"]);
    bench.close();
}

#[test]
fn a_reader_is_woken_by_a_commit_in_its_lanes_only() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(&config(dir.path()));
    let mut commits = bench.reader.commits(&[Lane::Telemetry, Lane::Bulk]);
    let mut changed = Box::pin(commits.changed());
    assert!(!poll_once(changed.as_mut()));
    bench.append(Lane::Alarm, &["x"]);
    assert!(!poll_once(changed.as_mut()));
    bench.append(Lane::Bulk, &["x"]);
    assert!(poll_once(changed.as_mut()));
    drop(changed);
    bench.close();
}

#[test]
fn a_full_group_is_busy_until_the_writer_has_taken_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.group.bytes_max = 1000;
    let opened: Opened<()> = Spool::open_alone(&config, Arc::new(SystemClock)).unwrap();
    let bytes = entries(&["0123456789"; 10]);
    let offer = || {
        opened.inlet.append(
            Lane::Bulk,
            Readings {
                bytes: &bytes,
                count: 10,
            },
            Some(()),
        )
    };
    let mut taken = 0;
    while offer().is_ok() {
        taken += 1;
        assert!(taken < 100);
    }
    assert!(matches!(offer(), Err(Unplaced::Busy(Some(())))));
    let mut room = Box::pin(opened.inlet.room());
    assert!(!poll_once(room.as_mut()));
    let writer = opened.writer.start().unwrap();
    let started = std::time::Instant::now();
    while !poll_once(room.as_mut()) {
        assert!(started.elapsed() < PATIENCE);
        std::thread::yield_now();
    }
    drop(room);
    assert!(offer().is_ok());
    writer.close().unwrap();
    assert_eq!(opened.reader.ledger().lanes.bulk.received, (taken + 1) * 10);
    assert!(matches!(offer(), Err(Unplaced::Closed(Some(())))));
}

#[test]
fn a_full_lane_refuses_until_something_is_delivered() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.lanes.bulk.bytes_max = 4000;
    let bench = Bench::open(&config);
    let body = &*"x".repeat(60);
    let mut stored = 0;
    while bench.append(Lane::Bulk, &[body; 10]) == Outcome::Stored {
        stored += 10;
        assert!(stored < 1000);
    }
    // The other lanes go on, and at QoS 0 the loss is counted.
    assert_eq!(bench.append(Lane::Alarm, &["!"]), Outcome::Stored);
    let bytes = entries(&[body; 10]);
    let readings = Readings {
        bytes: &bytes,
        count: 10,
    };
    bench.inlet.append(Lane::Bulk, readings, None).unwrap();
    bench.done();
    let ledger = bench.ledger(Lane::Bulk);
    assert_eq!(ledger.dropped(crate::domain::DropReason::RefusedQos0), 10);
    assert_eq!((ledger.received, ledger.spooled), (stored + 10, stored));
    bench.delivered(Lane::Bulk, 0, stored);
    assert_eq!(bench.append(Lane::Bulk, &[body; 10]), Outcome::Stored);
    bench.close();
}

#[test]
fn what_cannot_be_read_is_durable_in_quarantine_and_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.quarantine.bytes_max = 5000;
    let bench = Bench::open(&config);
    let reason = QuarantineReason::MalformedJson;
    for number in 0..20_u8 {
        assert_eq!(
            bench.quarantine(Lane::Alarm, &[number; 500]),
            Outcome::Quarantined(reason)
        );
    }
    let ledger = bench.ledger(Lane::Alarm);
    assert_eq!(ledger.received, 20);
    let dropped = ledger.dropped(crate::domain::DropReason::QuarantineCapacity);
    assert_eq!(ledger.quarantined + dropped, 20);
    assert!(dropped > 0 && ledger.quarantined > 5);
    bench.close();
    let kept = listed(dir.path());
    assert_eq!(kept.len() as u64, ledger.quarantined);
    assert_eq!(kept.last().unwrap().payload, vec![19; 500]);
    assert_eq!(kept.last().unwrap().topic, "v1/manhole_cover/d1/up");
    let stat = super::super::stat(dir.path()).unwrap();
    assert_eq!(stat.quarantine, [(reason, ledger.quarantined)]);
    assert!(stat.quarantine_bytes <= 5000);
}

#[test]
fn a_reading_that_the_platform_refuses_goes_to_quarantine_and_the_rest_is_delivered() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(&config(dir.path()));
    let refused = "\u{a}\u{2}d1\u{12}\u{3}abc";
    bench.append(Lane::Telemetry, &["a", refused, "c"]);
    bench.append(Lane::Telemetry, &["d"]);
    for _ in 0..2 {
        bench
            .reader
            .refused(Lane::Telemetry, Sequence(1), "no such class".to_owned())
            .unwrap();
        bench
            .reader
            .refused(Lane::Telemetry, Sequence(3), "nor that".to_owned())
            .unwrap();
        bench.done();
    }
    let ledger = bench.ledger(Lane::Telemetry);
    assert_eq!((ledger.spooled, ledger.quarantined), (2, 2));
    // Sent again after a reconnect, it keeps its sequence.
    assert_eq!(
        values(&bench.read(Lane::Telemetry)),
        ["a", refused, "c", "d"]
    );
    bench.delivered(Lane::Telemetry, 0, 4);
    let ledger = bench.ledger(Lane::Telemetry);
    assert_eq!(
        (ledger.delivered, ledger.spooled, ledger.quarantined),
        (2, 0, 2)
    );
    assert_eq!(bench.reader.lane_state(Lane::Telemetry).bytes, 0);
    bench.close();
    let kept = listed(dir.path());
    assert_eq!(
        (kept[0].device.as_str(), kept[0].class.as_str()),
        ("d1", "abc")
    );
    assert_eq!(
        (kept[0].detail.as_str(), kept[0].encoded),
        ("no such class", true)
    );
    assert_eq!(kept[0].payload, refused.as_bytes());
}

#[test]
fn the_live_flow_may_be_delivered_before_the_backlog() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(&config(dir.path()));
    for payload in [["a", "b"], ["c", "d"], ["e", "f"]] {
        bench.append(Lane::Bulk, &payload);
    }
    bench.delivered(Lane::Bulk, 2, 5);
    bench.delivered(Lane::Bulk, 2, 5);
    assert_eq!(bench.ledger(Lane::Bulk).delivered, 3);
    assert_eq!(bench.reader.lane_state(Lane::Bulk).oldest, Sequence(0));
    // A read ends where the platform holds what follows; the last block stays until all of it is delivered.
    let items = bench
        .reader
        .read(Lane::Bulk, Sequence(0), ALL, 1 << 20)
        .unwrap();
    assert_eq!(values(&items), ["a", "b"]);
    bench.close();
    let bench = Bench::open(&config(dir.path()));
    assert_eq!(bench.recovery.imbalances, Vec::<String>::new());
    assert_eq!(values(&bench.read(Lane::Bulk)), ["a", "b", "f"]);
    bench.delivered(Lane::Bulk, 0, 2);
    let state = bench.reader.lane_state(Lane::Bulk);
    assert_eq!((state.oldest, state.readings), (Sequence(5), 1));
    assert_eq!(values(&bench.read(Lane::Bulk)), ["f"]);
    bench.delivered(Lane::Bulk, 0, 6);
    assert_eq!(bench.reader.lane_state(Lane::Bulk).bytes, 0);
    assert_eq!(bench.ledger(Lane::Bulk).delivered, 6);
    bench.close();
}

#[test]
fn an_acknowledgement_of_what_was_never_committed_is_reported_and_not_obeyed() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(&config(dir.path()));
    bench.append(Lane::Alarm, &["a"]);
    let fault = bench
        .reader
        .delivered(Lane::Alarm, range(0, 2))
        .unwrap_err();
    assert!(fault.to_string().contains("only those below 1"), "{fault}");
    assert!(
        bench
            .reader
            .refused(Lane::Alarm, Sequence(1), String::new())
            .is_err()
    );
    bench.done();
    assert_eq!(bench.ledger(Lane::Alarm).delivered, 0);
    bench.close();
}

#[test]
fn a_spool_can_be_looked_at_while_it_runs() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(&config(dir.path()));
    bench.append(Lane::Alarm, &["a", "b"]);
    bench.append(Lane::Bulk, &["c"]);
    bench.delivered(Lane::Bulk, 0, 1);
    let stat = super::super::stat(dir.path()).unwrap();
    assert_eq!(stat.incarnation, Some(bench.reader.incarnation()));
    assert_eq!((stat.lanes.alarm.readings, stat.lanes.alarm.blocks), (2, 1));
    assert_eq!(
        (stat.lanes.bulk.readings, stat.lanes.bulk.next),
        (0, Sequence(1))
    );
    assert!(stat.balances && stat.ledger == bench.reader.ledger());
    bench.close();
}

#[test]
fn closing_settles_everything_that_was_taken() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(&config(dir.path()));
    let bytes = entries(&["x"]);
    for number in 0..1000 {
        let readings = Readings {
            bytes: &bytes,
            count: 1,
        };
        bench
            .inlet
            .append(Lane::Bulk, readings, bench.slip(number))
            .unwrap();
    }
    let incarnation = bench.reader.incarnation();
    bench.writer.close().unwrap();
    assert_eq!(bench.settled.try_iter().count(), 1000);
    drop((bench.inlet, bench.reader, bench.quarantine));
    let bench = Bench::open(&config(dir.path()));
    assert_eq!(bench.reader.incarnation(), incarnation);
    assert_eq!(bench.ledger(Lane::Bulk).spooled, 1000);
    bench.close();
}
