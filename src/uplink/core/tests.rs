//! The core against a model of spool, wire and platform: whatever is lost, repeated or restarted, every sequence ends
//! up at the platform, none is sent twice on one stream, and the spool deletes only what the platform holds.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use proptest::prelude::*;

use super::{AHEAD_MAX, Accepted, Ahead, Dispatch, Limits, Now, Plan, Position, RangeSet, Session};
use crate::{
    domain::{Lane, LaneMap, Sequence, SequenceRange, UnixNanos},
    uplink::source::LaneState,
};

const LANES: [Lane; 2] = [Lane::Telemetry, Lane::Bulk];
const READING_BYTES: u64 = 10;

fn range(first: u64, next: u64) -> SequenceRange {
    SequenceRange::new(Sequence(first), Sequence(next))
}

#[derive(Debug, Clone, Copy)]
struct Block {
    range: SequenceRange,
    received_at: UnixNanos,
}

/// A lane's spool: blocks go only when they lie wholly inside what is reported as delivered.
#[derive(Debug, Default)]
struct Spool {
    blocks: Vec<Block>,
    next: u64,
}

impl Spool {
    fn state(&self) -> LaneState {
        let oldest = self.blocks.first();
        LaneState {
            oldest: oldest.map_or(Sequence(self.next), |block| block.range.first),
            committed_next: Sequence(self.next),
            bytes: self
                .blocks
                .iter()
                .map(|block| block.range.count() * READING_BYTES)
                .sum(),
            readings: self.blocks.iter().map(|block| block.range.count()).sum(),
            oldest_received_at: oldest.map(|block| block.received_at),
        }
    }

    fn delivered(&mut self, range: SequenceRange) {
        self.blocks
            .retain(|block| block.range.first < range.first || block.range.next > range.next);
    }

    /// What a read of one block gives, and what it skips.
    fn read(&self, range: SequenceRange) -> Vec<SequenceRange> {
        let found = self
            .blocks
            .iter()
            .map(|block| block.range)
            .find(|block| block.next > range.first && block.first < range.next);
        let Some(block) = found else {
            return vec![range];
        };
        let trimmed = SequenceRange::new(block.first.max(range.first), block.next);
        let skipped = SequenceRange::new(range.first, trimmed.first);
        [skipped, trimmed]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect()
    }
}

struct World {
    spools: LaneMap<Spool>,
    platform: LaneMap<RangeSet>,
    backup: LaneMap<RangeSet>,
    accepts_ahead: Ahead,
    session: Session,
    sent: LaneMap<RangeSet>,
    up: VecDeque<(Lane, SequenceRange)>,
    down: VecDeque<Accepted>,
    now: Now,
    limits: Limits,
}

#[derive(Debug, Clone)]
enum Op {
    Commit(usize, u64),
    Pump(usize),
    Take(usize),
    Answer(usize),
    Advance(u64),
    Reconnect,
    Backup,
    Restore,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0_usize..2, 1_u64..40).prop_map(|(lane, count)| Op::Commit(lane, count)),
        8 => (1_usize..6).prop_map(Op::Pump),
        8 => (1_usize..6).prop_map(Op::Take),
        8 => (1_usize..6).prop_map(Op::Answer),
        4 => (1_u64..3_000).prop_map(Op::Advance),
        2 => Just(Op::Reconnect),
        1 => Just(Op::Backup),
        1 => Just(Op::Restore),
    ]
}

impl World {
    fn new(accepts_ahead: Ahead) -> Self {
        let limits = Limits {
            batch_bytes_max: 300,
            window_bytes_max: 1_000,
            batch_deadline: Duration::from_secs(10),
            backlog_age: Duration::from_secs(2),
            backlog_rate_max: 200,
        };
        let now = Now {
            steady: Instant::now(),
            calendar: UnixNanos::from_millis(1_000_000),
        };
        let session = Session::resume(&LANES, &[], accepts_ahead, (limits, &now), |_| {
            LaneState::default()
        });
        Self {
            spools: LaneMap::default_spools(),
            platform: LaneMap::from_fn(|_| RangeSet::default()),
            backup: LaneMap::from_fn(|_| RangeSet::default()),
            accepts_ahead,
            session: session.unwrap(),
            sent: LaneMap::from_fn(|_| RangeSet::default()),
            up: VecDeque::new(),
            down: VecDeque::new(),
            now,
            limits,
        }
    }

    fn reconnect(&mut self) {
        self.up.clear();
        self.down.clear();
        let positions: Vec<Position> = LANES
            .iter()
            .map(|&lane| Position {
                lane,
                next: self.platform[lane].position(),
                ahead: self.platform[lane].ahead().collect(),
            })
            .collect();
        let spools = &self.spools;
        self.session = Session::resume(
            &LANES,
            &positions,
            self.accepts_ahead,
            (self.limits, &self.now),
            |lane| spools[lane].state(),
        )
        .unwrap();
        for lane in LANES {
            for range in self.session.known(lane) {
                assert!(
                    self.platform[lane].covers(range),
                    "known but not held: {range:?}"
                );
                self.spools[lane].delivered(range);
            }
            self.sent[lane] = self.platform[lane].clone();
        }
    }

    /// Sends one read's worth; `false` if there is nothing to send now.
    fn pump(&mut self) -> Option<Instant> {
        let states = LaneMap::from_fn(|lane| self.spools[lane].state());
        let (lane, flow, parts) = match self.session.plan(&self.now, |lane| states[lane]) {
            Plan::Wait(until) => return until.or(Some(self.now.steady)),
            Plan::Lost { lane, flow, range } => (lane, flow, vec![range]),
            Plan::Read {
                lane, flow, range, ..
            } => (lane, flow, self.spools[lane].read(range)),
        };
        for part in parts {
            assert!(!part.is_empty());
            assert_eq!(
                self.sent[lane].missing(part),
                [part],
                "sent twice on one stream"
            );
            self.sent[lane].insert(part);
            let block = self.spools[lane]
                .blocks
                .iter()
                .find(|b| b.range.contains(part.first));
            self.session.sent(Dispatch {
                lane,
                flow,
                range: part,
                bytes: usize::try_from(part.count() * READING_BYTES).unwrap(),
                readings: part.count(),
                oldest_received_at: block.map(|block| block.received_at),
                sent_at: self.now.steady,
            });
            self.up.push_back((lane, part));
        }
        None
    }

    fn take(&mut self) {
        let Some((lane, part)) = self.up.pop_front() else {
            return;
        };
        let held = &mut self.platform[lane];
        assert!(
            self.accepts_ahead == Ahead::Accepted || part.first <= held.position(),
            "{part:?} leaves a hole behind {}",
            held.position()
        );
        held.insert(part);
        assert!(
            held.ahead_count() <= AHEAD_MAX,
            "{} ranges ahead",
            held.ahead_count()
        );
        let around = held.around(part.first).unwrap();
        self.down.push_back(Accepted {
            lane,
            first: around.first,
            next: around.next,
        });
    }

    fn answer(&mut self) {
        let Some(accepted) = self.down.pop_front() else {
            return;
        };
        let settled = self.session.accepted(accepted).unwrap();
        for range in settled.delivered {
            assert!(self.platform[accepted.lane].covers(range));
            self.spools[accepted.lane].delivered(range);
        }
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Commit(lane, count) => {
                let spool = &mut self.spools[LANES[lane]];
                let range = range(spool.next, spool.next + count);
                spool.blocks.push(Block {
                    range,
                    received_at: self.now.calendar,
                });
                spool.next += count;
            }
            Op::Pump(times) => (0..times).for_each(|_| {
                self.pump();
            }),
            Op::Take(times) => (0..times).for_each(|_| self.take()),
            Op::Answer(times) => (0..times).for_each(|_| self.answer()),
            Op::Advance(millis) => self.advance(Duration::from_millis(millis)),
            Op::Reconnect => self.reconnect(),
            Op::Backup => self.backup = LaneMap::from_fn(|lane| self.platform[lane].clone()),
            Op::Restore => {
                self.platform = LaneMap::from_fn(|lane| self.backup[lane].clone());
                self.reconnect();
            }
        }
    }

    fn advance(&mut self, by: Duration) {
        self.now.steady += by;
        self.now.calendar.0 += u64::try_from(by.as_nanos()).unwrap();
    }

    fn settle(&mut self) {
        for _ in 0..20_000 {
            let quiet = self.pump().is_some() && self.up.is_empty() && self.down.is_empty();
            self.take();
            self.answer();
            if quiet && self.is_done() {
                return;
            }
            if quiet {
                self.advance(Duration::from_millis(50));
            }
        }
        panic!("never settles");
    }

    fn is_done(&self) -> bool {
        LANES
            .iter()
            .all(|&lane| self.platform[lane].position().0 == self.spools[lane].next)
    }
}

trait DefaultSpools {
    fn default_spools() -> Self;
}

impl DefaultSpools for LaneMap<Spool> {
    fn default_spools() -> Self {
        Self::from_fn(|_| Spool::default())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn everything_arrives_whatever_is_lost_or_restarted(
        ops in prop::collection::vec(op(), 0..120),
        accepts_ahead in prop_oneof![Just(Ahead::Accepted), Just(Ahead::Refused)],
    ) {
        let mut world = World::new(accepts_ahead);
        for op in &ops {
            world.apply(op);
        }
        world.settle();
        for lane in LANES {
            prop_assert_eq!(world.platform[lane].ahead_count(), 0);
            prop_assert!(world.spools[lane].blocks.is_empty(), "{:?}", world.spools[lane]);
        }
        prop_assert_eq!(world.session.in_flight_bytes(), 0);
        prop_assert_eq!(world.session.in_flight_batches(), 0);
    }
}

mod contract {
    use super::*;
    use crate::uplink::core::{Contract, Flow};

    fn world_with(count: u64) -> World {
        let mut world = World::new(Ahead::Accepted);
        world.apply(&Op::Commit(0, count));
        world
    }

    fn say(world: &mut World, first: u64, next: u64) -> Result<(), Contract> {
        let lane = Lane::Telemetry;
        let accepted = Accepted {
            lane,
            first: Sequence(first),
            next: Sequence(next),
        };
        world.session.accepted(accepted).map(drop)
    }

    #[test]
    fn accepting_what_was_never_sent_is_a_fault_and_changes_nothing() {
        let mut world = world_with(20);
        assert!(matches!(
            say(&mut world, 0, 20),
            Err(Contract::NeverSent { .. })
        ));
        world.pump();
        assert!(matches!(
            say(&mut world, 0, 21),
            Err(Contract::NeverSent { .. })
        ));
        assert_eq!(world.session.in_flight_batches(), 1);
        assert_eq!(say(&mut world, 0, 20), Ok(()));
        assert_eq!(
            say(&mut world, 0, 20),
            Ok(()),
            "saying it twice does no harm"
        );
    }

    #[test]
    fn accepting_backwards_is_a_fault() {
        let mut world = world_with(20);
        world.pump();
        say(&mut world, 0, 20).unwrap();
        assert!(matches!(
            say(&mut world, 0, 19),
            Err(Contract::Backwards { .. })
        ));
        assert!(matches!(
            say(&mut world, 5, 5),
            Err(Contract::Backwards { .. })
        ));
    }

    #[test]
    fn a_lane_of_another_stream_is_a_fault() {
        let mut world = world_with(20);
        let accepted = Accepted {
            lane: Lane::Alarm,
            first: Sequence(0),
            next: Sequence(0),
        };
        assert_eq!(world.session.accepted(accepted), Err(Contract::Lane(1)));
    }

    #[test]
    fn a_refusal_is_news_once_and_only_for_what_is_in_flight() {
        let mut world = world_with(20);
        let lane = Lane::Telemetry;
        assert!(world.session.refused(lane, Sequence(3)).is_err());
        world.pump();
        assert_eq!(world.session.refused(lane, Sequence(3)), Ok(true));
        assert_eq!(world.session.refused(lane, Sequence(3)), Ok(false));
        say(&mut world, 0, 20).unwrap();
        assert!(world.session.refused(lane, Sequence(3)).is_err());
    }

    fn resume(next: u64, ahead: Vec<SequenceRange>) -> Result<Session, Contract> {
        let mut world = world_with(50);
        world.advance(Duration::ZERO);
        let position = Position {
            lane: Lane::Telemetry,
            next: Sequence(next),
            ahead,
        };
        let spools = &world.spools;
        Session::resume(
            &LANES,
            &[position],
            Ahead::Accepted,
            (world.limits, &world.now),
            |lane| spools[lane].state(),
        )
    }

    #[test]
    fn a_resume_beyond_what_was_committed_is_a_fault() {
        assert!(resume(50, vec![]).is_ok());
        assert!(matches!(
            resume(51, vec![]),
            Err(Contract::ResumeBeyond { .. })
        ));
        let ahead = vec![range(40, 51)];
        assert!(matches!(
            resume(10, ahead),
            Err(Contract::ResumeBeyond { .. })
        ));
        for ahead in [
            vec![range(10, 20)],
            vec![range(20, 20)],
            vec![range(30, 40), range(20, 25)],
            vec![range(20, 30), range(30, 40)],
        ] {
            assert!(matches!(resume(10, ahead), Err(Contract::ResumeAhead(_))));
        }
    }

    #[test]
    fn live_goes_ahead_of_an_old_backlog_which_drains_at_its_rate() {
        let mut world = World::new(Ahead::Accepted);
        (0..200).for_each(|_| world.apply(&Op::Commit(0, 30)));
        world.advance(Duration::from_secs(60));
        world.reconnect();
        world.apply(&Op::Commit(0, 5));
        let states = LaneMap::from_fn(|lane| world.spools[lane].state());
        // the jump is planned with the first batch: what was committed by then is backlog, what comes after is live
        let plan = world.session.plan(&world.now, |lane| states[lane]);
        assert!(
            matches!(
                plan,
                Plan::Read {
                    flow: Flow::Backlog,
                    ..
                }
            ),
            "{plan:?}"
        );
        world.apply(&Op::Commit(0, 7));
        assert_eq!(world.pump(), None);
        assert_eq!(
            world.up.pop_front(),
            Some((Lane::Telemetry, range(6_005, 6_012)))
        );

        let start = world.now.steady;
        world.reconnect();
        world.settle();
        let took = world.now.steady - start;
        let expected = 6_005 / world.limits.backlog_rate_max;
        assert!(
            took >= Duration::from_secs(expected - 2),
            "{took:?}: faster than the rate"
        );
        assert!(
            took <= Duration::from_secs(expected + 10),
            "{took:?}: slower than the rate"
        );
    }

    #[test]
    fn without_ranges_ahead_an_old_backlog_goes_first_and_at_full_speed() {
        let mut world = World::new(Ahead::Refused);
        (0..200).for_each(|_| world.apply(&Op::Commit(0, 30)));
        world.advance(Duration::from_secs(60));
        world.reconnect();
        let start = world.now.steady;
        world.pump();
        assert_eq!(world.up.front(), Some(&(Lane::Telemetry, range(0, 30))));
        assert!(
            world
                .session
                .is_backlog(Lane::Telemetry, Flow::Live, Sequence(0))
        );
        world.settle();
        assert_eq!(world.now.steady, start);
    }

    #[test]
    fn an_overdue_batch_is_named_with_its_lane() {
        let mut world = world_with(20);
        assert_eq!(world.session.deadline(), None);
        world.pump();
        let due = world.now.steady + world.limits.batch_deadline;
        assert_eq!(world.session.deadline(), Some((due, Lane::Telemetry)));
    }

    #[test]
    fn the_window_bounds_what_is_in_flight_but_owes_each_flow_one_batch() {
        let mut world = World::new(Ahead::Accepted);
        (0..50).for_each(|_| world.apply(&Op::Commit(0, 30)));
        while world.pump().is_none() {}
        let telemetry = world.session.in_flight_bytes();
        assert!((1_000..1_300).contains(&telemetry), "{telemetry}");
        world.apply(&Op::Commit(1, 30));
        assert_eq!(world.pump(), None, "bulk is owed one batch");
        assert!(world.pump().is_some());
    }
}
