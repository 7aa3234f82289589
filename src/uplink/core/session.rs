//! One stream: its lanes, their order of precedence, the window and the deadlines.
//!
//! Precedence: the live flow of each lane in the order of lanes, then the backlog of each lane, at its capped rate and
//! in at most half of the window. Every flow is owed one batch in flight whatever the others use, so that none starves.

use std::time::{Duration, Instant};

use super::{
    Bucket,
    flow::{Accepted, Ahead, Contract, Dispatch, Flow, LaneFlow, Settled},
};
use crate::{
    domain::{Lane, Sequence, SequenceRange, UnixNanos},
    uplink::source::LaneState,
};

/// Batches and gaps in flight on one stream: bounds the bookkeeping when blocks are tiny.
pub const BATCHES_MAX: usize = 256;

/// Live readings that are worth a batch of their own while another is in flight. Fewer wait for its acknowledgement or
/// for [`COALESCE`]: small batches cost both sides more than the readings in them, the platform a sync for each.
const COALESCE_READINGS: u64 = 512;

/// Longest that live readings wait for company. Alarms never do.
const COALESCE: Duration = Duration::from_millis(5);

/// Undelivered bytes, in windows, beyond which a lane is behind even if its readings are young.
const BEHIND_WINDOWS: u64 = 16;

/// Both times, as the shell read them.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// For deadlines.
    pub steady: Instant,
    /// For the age of readings.
    pub calendar: UnixNanos,
}

/// Bounds of a stream.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Largest batch, bytes.
    pub batch_bytes_max: usize,
    /// Bytes in flight.
    pub window_bytes_max: usize,
    /// How long a batch may stay unacknowledged.
    pub batch_deadline: Duration,
    /// Age beyond which undelivered readings are backlog.
    pub backlog_age: Duration,
    /// Readings/s of a lane's backlog.
    pub backlog_rate_max: u64,
}

/// What the platform says of a lane in Resume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The lane.
    pub lane: Lane,
    /// Everything below is held.
    pub next: Sequence,
    /// Ranges above it that are held too.
    pub ahead: Vec<SequenceRange>,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Read these sequences and send what comes, in order.
    Read {
        /// The lane.
        lane: Lane,
        /// Live or backlog.
        flow: Flow,
        /// What is next; the read may give less.
        range: SequenceRange,
        /// At most about so many bytes.
        bytes_max: usize,
    },
    /// The platform asks for what the spool no longer has: say so with a gap.
    Lost {
        /// The lane.
        lane: Lane,
        /// Live or backlog.
        flow: Flow,
        /// What is gone.
        range: SequenceRange,
    },
    /// Nothing to send before the next acknowledgement or commit, or this time.
    Wait(Option<Instant>),
}

#[derive(Debug)]
struct LaneSlot {
    flow: LaneFlow,
    bucket: Bucket,
}

impl LaneSlot {
    /// Until when these live readings wait for more to join them; none: they go at once.
    fn company_until(&self, range: SequenceRange) -> Option<Instant> {
        if self.flow.lane == Lane::Alarm || range.count() >= COALESCE_READINGS {
            return None;
        }
        let live = self.flow.in_flight().filter(|d| d.flow == Flow::Live);
        live.map(|d| d.sent_at + COALESCE).max()
    }
}

/// One stream between Resume and its end.
#[derive(Debug)]
pub struct Session {
    limits: Limits,
    lanes: Vec<LaneSlot>,
    bytes: usize,
    batches: usize,
}

impl Session {
    /// Begins after Resume. Lanes that the platform does not name start at 0; lanes that the stream does not carry are
    /// ignored.
    ///
    /// # Errors
    /// The platform's positions break the contract.
    pub fn resume(
        lanes: &[Lane],
        positions: &[Position],
        ahead: Ahead,
        (limits, now): (Limits, &Now),
        state: impl Fn(Lane) -> LaneState,
    ) -> Result<Self, Contract> {
        let mut slots = Vec::with_capacity(lanes.len());
        for &lane in lanes {
            let mut named = positions.iter().filter(|position| position.lane == lane);
            let start = Position {
                lane,
                next: Sequence(0),
                ahead: Vec::new(),
            };
            let position = named.next().unwrap_or(&start);
            if named.next().is_some() {
                return Err(Contract::Lane(i32::from(lane.number())));
            }
            let flow = LaneFlow::resume(position, &state(lane), ahead)?;
            slots.push(LaneSlot {
                flow,
                bucket: Bucket::new(limits.backlog_rate_max, now.steady),
            });
        }
        Ok(Self {
            limits,
            lanes: slots,
            bytes: 0,
            batches: 0,
        })
    }

    /// What the platform already holds of a lane, for the spool to hear.
    #[must_use]
    pub fn known(&self, lane: Lane) -> Vec<SequenceRange> {
        self.slot(lane)
            .map(|slot| slot.flow.known())
            .unwrap_or_default()
    }

    /// Decides what to send next.
    pub fn plan(&mut self, now: &Now, state: impl Fn(Lane) -> LaneState) -> Plan {
        if self.batches >= BATCHES_MAX {
            return Plan::Wait(None);
        }
        let mut wake = None;
        let mut wake_at =
            |at: Instant| wake = Some(wake.map_or(at, |earlier: Instant| earlier.min(at)));
        let behind_bytes = BEHIND_WINDOWS.saturating_mul(self.limits.window_bytes_max as u64);
        for at in 0..self.lanes.len() {
            let room = self.room(at, Flow::Live);
            let Some(slot) = self.lanes.get_mut(at) else {
                continue;
            };
            let state = state(slot.flow.lane);
            slot.flow
                .jump_if_behind(&state, behind_bytes, self.limits.backlog_age, now);
            let Some(range) = slot.flow.next(Flow::Live, &state).filter(|_| room) else {
                continue;
            };
            let ready = slot.company_until(range).unwrap_or(now.steady);
            if ready <= now.steady {
                return self.ask(at, Flow::Live, range, &state);
            }
            wake_at(ready);
        }
        for at in 0..self.lanes.len() {
            let room = self.room(at, Flow::Backlog);
            let Some(slot) = self.lanes.get_mut(at) else {
                continue;
            };
            let state = state(slot.flow.lane);
            let Some(range) = slot.flow.next(Flow::Backlog, &state).filter(|_| room) else {
                continue;
            };
            let ready = slot.bucket.ready_at(now.steady);
            if ready <= now.steady {
                return self.ask(at, Flow::Backlog, range, &state);
            }
            wake_at(ready);
        }
        Plan::Wait(wake)
    }

    fn ask(&self, at: usize, flow: Flow, range: SequenceRange, state: &LaneState) -> Plan {
        let Some(lane) = self.lanes.get(at).map(|slot| slot.flow.lane) else {
            return Plan::Wait(None);
        };
        if range.first < state.oldest {
            let range = SequenceRange::new(range.first, range.next.min(state.oldest));
            return Plan::Lost { lane, flow, range };
        }
        Plan::Read {
            lane,
            flow,
            range,
            bytes_max: self.limits.batch_bytes_max,
        }
    }

    /// Whether a flow may put another batch into the window.
    fn room(&self, at: usize, flow: Flow) -> bool {
        let mine = |slot: &LaneSlot| slot.flow.in_flight().filter(|d| d.flow == flow).count();
        if self.lanes.get(at).is_some_and(|slot| mine(slot) == 0) {
            return true;
        }
        let backlog = || {
            let all = self.lanes.iter().flat_map(|slot| slot.flow.in_flight());
            all.filter(|d| d.flow == Flow::Backlog)
                .map(|d| d.bytes)
                .sum::<usize>()
        };
        let window = self.limits.window_bytes_max;
        self.bytes < window && (flow == Flow::Live || backlog() < window / 2)
    }

    /// Whether a batch of this flow that begins here counts as backlog on the wire.
    #[must_use]
    pub fn is_backlog(&self, lane: Lane, flow: Flow, first: Sequence) -> bool {
        self.slot(lane)
            .is_some_and(|slot| slot.flow.is_backlog(flow, first))
    }

    /// A batch or gap was handed to the stream.
    pub fn sent(&mut self, dispatch: Dispatch) {
        let Some(slot) = self
            .lanes
            .iter_mut()
            .find(|slot| slot.flow.lane == dispatch.lane)
        else {
            return;
        };
        self.bytes += dispatch.bytes;
        self.batches += 1;
        if dispatch.flow == Flow::Backlog {
            slot.bucket.take(dispatch.readings, dispatch.sent_at);
        }
        slot.flow.sent(dispatch);
    }

    /// The platform acknowledges.
    ///
    /// # Errors
    /// What it says breaks the contract; nothing was changed.
    pub fn accepted(&mut self, accepted: Accepted) -> Result<Settled, Contract> {
        let settled = self
            .flow(accepted.lane)?
            .accept(accepted.first, accepted.next)?;
        for dispatch in &settled.landed {
            self.bytes = self.bytes.saturating_sub(dispatch.bytes);
            self.batches = self.batches.saturating_sub(1);
        }
        Ok(settled)
    }

    /// The platform refuses a reading for good. `false`: it had said so before.
    ///
    /// # Errors
    /// The reading is not in flight.
    pub fn refused(&mut self, lane: Lane, sequence: Sequence) -> Result<bool, Contract> {
        self.flow(lane)?.refuse(sequence)
    }

    /// When the oldest batch in flight is overdue, and its lane.
    #[must_use]
    pub fn deadline(&self) -> Option<(Instant, Lane)> {
        let oldest = |slot: &LaneSlot| slot.flow.in_flight().next().map(|d| (d.sent_at, d.lane));
        let (sent_at, lane) = self.lanes.iter().filter_map(oldest).min()?;
        Some((sent_at + self.limits.batch_deadline, lane))
    }

    /// What of the lane must not be dropped.
    #[must_use]
    pub fn hold(&self, lane: Lane) -> Option<SequenceRange> {
        self.slot(lane)?.flow.hold()
    }

    /// Bytes in flight.
    #[must_use]
    pub const fn in_flight_bytes(&self) -> usize {
        self.bytes
    }

    /// Batches and gaps in flight.
    #[must_use]
    pub const fn in_flight_batches(&self) -> usize {
        self.batches
    }

    /// Everything below is held by the platform.
    #[must_use]
    pub fn position(&self, lane: Lane) -> Sequence {
        self.slot(lane)
            .map_or(Sequence(0), |slot| slot.flow.position())
    }

    /// The next live sequence.
    #[must_use]
    pub fn live(&self, lane: Lane) -> Sequence {
        self.slot(lane).map_or(Sequence(0), |slot| slot.flow.live())
    }

    /// Readings of the lane's backlog that are not sent yet.
    #[must_use]
    pub fn backlog(&self, lane: Lane) -> u64 {
        self.slot(lane).map_or(0, |slot| slot.flow.backlog())
    }

    /// Ranges that the platform holds ahead of the lane's position.
    #[must_use]
    pub fn ahead_count(&self, lane: Lane) -> usize {
        self.slot(lane).map_or(0, |slot| slot.flow.ahead_count())
    }

    /// Readings below `committed_next` that the platform does not hold.
    #[must_use]
    pub fn undelivered(&self, lane: Lane, committed_next: Sequence) -> u64 {
        self.slot(lane)
            .map_or(0, |slot| slot.flow.undelivered(committed_next))
    }

    /// Forgets what is in flight: the stream ends, the spool keeps it.
    pub fn abandon(&mut self) {
        self.lanes.clear();
        self.bytes = 0;
        self.batches = 0;
    }

    fn slot(&self, lane: Lane) -> Option<&LaneSlot> {
        self.lanes.iter().find(|slot| slot.flow.lane == lane)
    }

    fn flow(&mut self, lane: Lane) -> Result<&mut LaneFlow, Contract> {
        let slot = self.lanes.iter_mut().find(|slot| slot.flow.lane == lane);
        slot.map(|slot| &mut slot.flow)
            .ok_or_else(|| Contract::Lane(i32::from(lane.number())))
    }
}
