//! One lane on one stream: what the platform holds, what was sent, what is still to send.
//!
//! ```text
//!   0 ────── held ──────┐ hole ┌─ held ─┐ hole ┌── in flight ──┐ live … committed_next
//!                   position    (ahead)                        ▲ next live read
//! ```
//! The live position moves up with the commits. When undelivered readings are too old and the platform accepts ranges
//! ahead, the live position jumps to `committed_next` and leaves a *hole*, which drains beside it, lowest first. A
//! jump that would leave more than [`AHEAD_MAX`] ranges ahead is not made: the lane goes on strictly in sequence.

use std::{
    collections::{BTreeSet, VecDeque},
    time::{Duration, Instant},
};

use thiserror::Error;

use super::{Position, RangeSet, session::Now};
use crate::{
    domain::{Lane, Sequence, SequenceRange, UnixNanos},
    uplink::source::LaneState,
};

/// Ranges that a platform holds ahead of a lane's position; more would make every commit of the platform slower.
pub const AHEAD_MAX: usize = 16;

/// How the platform broke the contract. It is reported and not obeyed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Contract {
    /// The first answer is not a Resume, a later one is, or an answer is empty.
    #[error("{0}")]
    Order(&'static str),
    /// A lane that the stream does not carry, or names twice.
    #[error("lane {0} is not carried by this stream or named twice")]
    Lane(i32),
    /// Resume is beyond what was ever committed.
    #[error("lane {lane}: resume at {next}, but only {committed} were ever committed")]
    ResumeBeyond {
        /// The lane.
        lane: Lane,
        /// What the platform says.
        next: Sequence,
        /// The sequence behind the last durable one.
        committed: Sequence,
    },
    /// Ranges ahead that touch, overlap, descend or are empty.
    #[error("lane {0}: ranges ahead are not ascending and apart")]
    ResumeAhead(Lane),
    /// Accepted or refused is what this stream never sent.
    #[error("lane {lane}: {what} {first}..{next}, which was never sent")]
    NeverSent {
        /// The lane.
        lane: Lane,
        /// `accepted` or `refused`.
        what: &'static str,
        /// First sequence named.
        first: Sequence,
        /// The sequence behind the last one named.
        next: Sequence,
    },
    /// An acknowledgement that takes back an earlier one.
    #[error("lane {lane}: accepted through {next} after {held}")]
    Backwards {
        /// The lane.
        lane: Lane,
        /// What the platform says.
        next: Sequence,
        /// What it had said.
        held: Sequence,
    },
}

/// Whether the platform stores batches that lie ahead of a lane's position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ahead {
    /// It does: a backlog drains beside the live flow.
    Accepted,
    /// It does not: strictly in sequence.
    Refused,
}

/// Which part of a lane a batch belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// In step with the commits.
    Live,
    /// A hole behind the live position.
    Backlog,
}

/// A batch or gap on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dispatch {
    /// Its lane.
    pub lane: Lane,
    /// Live or backlog.
    pub flow: Flow,
    /// Its sequences.
    pub range: SequenceRange,
    /// Bytes that it takes of the window.
    pub bytes: usize,
    /// Readings in it; 0 for a gap.
    pub readings: u64,
    /// When the oldest of them was received.
    pub oldest_received_at: Option<UnixNanos>,
    /// When it was handed to the stream.
    pub sent_at: Instant,
}

/// An acknowledgement: everything of the lane in `first .. next`; `first` 0 means everything below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The lane.
    pub lane: Lane,
    /// The first sequence.
    pub first: Sequence,
    /// The sequence behind the last one.
    pub next: Sequence,
}

/// What an acknowledgement settles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    /// What to tell the spool.
    pub delivered: Vec<SequenceRange>,
    /// The batches that landed.
    pub landed: Vec<Dispatch>,
}

/// One lane on one stream.
#[derive(Debug)]
pub(super) struct LaneFlow {
    pub(super) lane: Lane,
    held: RangeSet,
    /// Held, or in flight.
    sent: RangeSet,
    holes: VecDeque<SequenceRange>,
    live: Sequence,
    ahead: Ahead,
    in_flight: VecDeque<Dispatch>,
    refused: BTreeSet<Sequence>,
    /// Where Resume cut: the spool's block around it may have been reported in part only.
    cuts: BTreeSet<Sequence>,
    /// When the oldest reading of the last live batch was received.
    lag: Option<UnixNanos>,
    /// Below this the lane was behind when the stream began.
    behind_until: Sequence,
    oldest_at_resume: Sequence,
}

impl LaneFlow {
    pub(super) fn resume(
        position: &Position,
        state: &LaneState,
        ahead: Ahead,
    ) -> Result<Self, Contract> {
        let lane = position.lane;
        let committed = state.committed_next;
        let mut held = RangeSet::below(position.next);
        let mut last = position.next;
        for range in &position.ahead {
            if range.is_empty() || range.first <= last {
                return Err(Contract::ResumeAhead(lane));
            }
            held.insert(*range);
            last = range.next;
        }
        if last > committed {
            return Err(Contract::ResumeBeyond {
                lane,
                next: last,
                committed,
            });
        }
        let live = held.end();
        let holes = held.missing(SequenceRange::new(Sequence(0), live)).into();
        let cuts = [position.next]
            .into_iter()
            .chain(position.ahead.iter().map(|r| r.next))
            .collect();
        Ok(Self {
            lane,
            sent: held.clone(),
            held,
            holes,
            live,
            ahead,
            in_flight: VecDeque::new(),
            refused: BTreeSet::new(),
            cuts,
            lag: None,
            behind_until: Sequence(0),
            oldest_at_resume: state.oldest,
        })
    }

    /// What the spool should hear right after Resume: all that the platform holds and the spool still has.
    pub(super) fn known(&self) -> Vec<SequenceRange> {
        let base = SequenceRange::new(self.oldest_at_resume, self.held.position());
        std::iter::once(base)
            .chain(self.held.ahead())
            .filter(|range| !range.is_empty())
            .collect()
    }

    /// Leaves a hole behind and goes on live if what is next to send is old, or much.
    pub(super) fn jump_if_behind(
        &mut self,
        state: &LaneState,
        bytes_max: u64,
        age: Duration,
        now: &Now,
    ) {
        let unsent = SequenceRange::new(self.live, state.committed_next);
        if unsent.is_empty() {
            return;
        }
        let undelivered_live = self.holes.is_empty() && self.in_flight.is_empty();
        let oldest = match self.lag {
            None if undelivered_live => state.oldest_received_at,
            lag => lag,
        };
        let old = oldest.is_some_and(|at| now.calendar.0.saturating_sub(at.0) > nanos(age));
        let much = undelivered_live && self.lag.is_none() && state.bytes > bytes_max;
        if !old && !much {
            return;
        }
        self.behind_until = state.committed_next;
        let whole = SequenceRange::new(Sequence(0), state.committed_next);
        if self.ahead == Ahead::Refused || self.held.missing(whole).len() > AHEAD_MAX {
            return;
        }
        match self.holes.back_mut() {
            Some(hole) if hole.next == unsent.first => hole.next = unsent.next,
            _ => self.holes.push_back(unsent),
        }
        self.live = state.committed_next;
        self.lag = None;
    }

    /// What is next to send, if anything.
    pub(super) fn next(&self, flow: Flow, state: &LaneState) -> Option<SequenceRange> {
        let range = match flow {
            Flow::Live => SequenceRange::new(self.live, state.committed_next),
            Flow::Backlog => *self.holes.front()?,
        };
        (!range.is_empty()).then_some(range)
    }

    /// Whether a batch that begins here counts as backlog on the wire.
    pub(super) fn is_backlog(&self, flow: Flow, first: Sequence) -> bool {
        flow == Flow::Backlog || first < self.behind_until
    }

    pub(super) fn sent(&mut self, dispatch: Dispatch) {
        let next = dispatch.range.next;
        self.sent.insert(dispatch.range);
        match dispatch.flow {
            Flow::Live => {
                self.live = self.live.max(next);
                self.lag = dispatch.oldest_received_at.or(self.lag);
            }
            Flow::Backlog => {
                if let Some(hole) = self.holes.front_mut() {
                    hole.first = hole.first.max(next);
                }
                self.holes.pop_front_if(|hole| hole.is_empty());
            }
        }
        self.in_flight.push_back(dispatch);
    }

    pub(super) fn accept(&mut self, first: Sequence, next: Sequence) -> Result<Settled, Contract> {
        let lane = self.lane;
        let range = SequenceRange::new(first, next);
        let held = self.held.around(first).map_or(first, |held| held.next);
        if next < held || (first.0 > 0 && range.is_empty()) {
            return Err(Contract::Backwards { lane, next, held });
        }
        if !self.sent.covers(range) {
            return Err(Contract::NeverSent {
                lane,
                what: "accepted",
                first,
                next,
            });
        }
        let fresh = self.held.missing(range);
        self.held.insert(range);
        let mut landed = Vec::new();
        let held = &self.held;
        self.in_flight.retain(|dispatch| {
            let lands = held.covers(dispatch.range);
            if lands {
                landed.push(*dispatch);
            }
            !lands
        });
        let delivered = fresh
            .into_iter()
            .map(|part| self.whole_blocks(part))
            .collect();
        let held = &self.held;
        self.refused
            .retain(|sequence| held.around(*sequence).is_none());
        Ok(Settled { delivered, landed })
    }

    /// A part that begins or ends inside a block would never be deleted: after such a cut the whole range is reported.
    fn whole_blocks(&mut self, part: SequenceRange) -> SequenceRange {
        if self
            .in_flight
            .iter()
            .any(|dispatch| dispatch.range.contains(part.next) && dispatch.range.first < part.next)
        {
            self.cuts.insert(part.next);
        }
        if !self.cuts.remove(&part.first) {
            return part;
        }
        let around = self.held.around(part.first).unwrap_or(part);
        SequenceRange::new(
            around.first.max(self.oldest_at_resume).min(part.first),
            part.next,
        )
    }

    /// Whether the refusal is news.
    pub(super) fn refuse(&mut self, sequence: Sequence) -> Result<bool, Contract> {
        let one = SequenceRange::new(sequence, sequence.plus(1));
        if !self.sent.covers(one) || self.held.covers(one) {
            let (first, next) = (one.first, one.next);
            return Err(Contract::NeverSent {
                lane: self.lane,
                what: "refused",
                first,
                next,
            });
        }
        Ok(self.refused.insert(sequence))
    }

    /// The oldest contiguous stretch in flight: what drop-oldest would otherwise hit.
    pub(super) fn hold(&self) -> Option<SequenceRange> {
        let lowest = self
            .in_flight
            .iter()
            .map(|dispatch| dispatch.range)
            .min_by_key(|r| r.first)?;
        let sent = self.sent.around(lowest.first)?;
        Some(SequenceRange::new(lowest.first, sent.next))
    }

    pub(super) fn in_flight(&self) -> impl Iterator<Item = &Dispatch> {
        self.in_flight.iter()
    }

    pub(super) fn position(&self) -> Sequence {
        self.held.position()
    }

    pub(super) const fn live(&self) -> Sequence {
        self.live
    }

    pub(super) fn backlog(&self) -> u64 {
        self.holes.iter().map(|hole| hole.count()).sum()
    }

    pub(super) fn undelivered(&self, committed_next: Sequence) -> u64 {
        let whole = SequenceRange::new(Sequence(0), committed_next);
        self.held
            .missing(whole)
            .iter()
            .map(|part| part.count())
            .sum()
    }

    pub(super) fn ahead_count(&self) -> usize {
        self.held.ahead_count()
    }
}

fn nanos(age: Duration) -> u64 {
    u64::try_from(age.as_nanos()).unwrap_or(u64::MAX)
}
