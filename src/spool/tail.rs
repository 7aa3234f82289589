//! The freshly committed readings, kept in memory as they were appended, so that the live flow is neither read back
//! from disk nor decompressed. Bounded in bytes, all lanes together; the lane that holds most lets go first.

use std::collections::VecDeque;

use bytes::Bytes;

use super::readings;
use crate::domain::{Lane, LaneMap, Sequence, SequenceRange, UnixNanos};

/// What an entry costs beside its bytes.
const ENTRY_BYTES: usize = 128;

/// A block's readings as they were appended.
#[derive(Debug, Clone)]
pub(super) struct Fresh {
    pub(super) range: SequenceRange,
    pub(super) bytes: Bytes,
    pub(super) oldest: UnixNanos,
}

impl Fresh {
    /// The part of it from one sequence up to another; none if nothing is left or its bytes cannot be cut.
    pub(super) fn trimmed(&self, from: Sequence, until: Sequence) -> Option<Self> {
        let range = SequenceRange::new(self.range.first.max(from), self.range.next.min(until));
        if range == self.range {
            return Some(self.clone());
        }
        if range.is_empty() {
            return None;
        }
        let start = readings::offset_of(&self.bytes, range.first.0 - self.range.first.0)?;
        let end = readings::offset_of(&self.bytes, range.next.0 - self.range.first.0)?;
        let cut = start <= end && end <= self.bytes.len();
        cut.then(|| Self {
            range,
            bytes: self.bytes.slice(start..end),
            oldest: self.oldest,
        })
    }
}

#[derive(Debug, Default)]
struct LaneTail {
    /// Ascending; each entry starts where the one before it ended, or later.
    entries: VecDeque<Fresh>,
    bytes: usize,
}

impl LaneTail {
    fn pop(&mut self) -> bool {
        let popped = self.entries.pop_front();
        let freed = popped.as_ref().map_or(0, cost);
        self.bytes = self.bytes.saturating_sub(freed);
        popped.is_some()
    }

    fn position(&self, sequence: Sequence) -> Option<usize> {
        let at = self
            .entries
            .partition_point(|entry| entry.range.next <= sequence);
        self.entries.get(at)?.range.contains(sequence).then_some(at)
    }
}

fn cost(entry: &Fresh) -> usize {
    entry.bytes.len() + ENTRY_BYTES
}

/// The tails of all lanes.
#[derive(Debug)]
pub(super) struct Tail {
    lanes: LaneMap<LaneTail>,
    bytes_max: usize,
}

impl Tail {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            lanes: LaneMap::from_fn(|_| LaneTail::default()),
            bytes_max,
        }
    }

    pub(super) fn push(&mut self, lane: Lane, fresh: Fresh) {
        let tail = &mut self.lanes[lane];
        tail.bytes += cost(&fresh);
        tail.entries.push_back(fresh);
        while self.bytes() > self.bytes_max {
            let fullest = self.fullest();
            if !self.lanes[fullest].pop() {
                break;
            }
        }
    }

    fn bytes(&self) -> usize {
        self.lanes.iter().map(|(_, tail)| tail.bytes).sum()
    }

    fn fullest(&self) -> Lane {
        let fullest = self.lanes.iter().max_by_key(|(_, tail)| tail.bytes);
        fullest.map_or(Lane::Telemetry, |(lane, _)| lane)
    }

    /// Lets go of what lies wholly within a range.
    pub(super) fn forget_within(&mut self, lane: Lane, range: SequenceRange) {
        let tail = &mut self.lanes[lane];
        let within =
            |entry: &Fresh| range.first <= entry.range.first && entry.range.next <= range.next;
        while tail.entries.front().is_some_and(within) {
            tail.pop();
        }
        let reaches =
            |entry: &Fresh| entry.range.first < range.next && range.first >= entry.range.next;
        if tail.entries.front().is_some_and(reaches) {
            tail.entries.retain(|entry| !within(entry));
            tail.bytes = tail.entries.iter().map(cost).sum();
        }
    }

    pub(super) fn holds(&self, lane: Lane, sequence: Sequence) -> bool {
        self.lanes[lane].position(sequence).is_some()
    }

    /// The entry that holds a sequence.
    pub(super) fn entry(&self, lane: Lane, sequence: Sequence) -> Option<&Fresh> {
        let tail = &self.lanes[lane];
        tail.entries.get(tail.position(sequence)?)
    }

    /// Entries in a row from a sequence on, below another, while they fit; empty if the tail does not reach so far back.
    pub(super) fn read(&self, lane: Lane, wanted: SequenceRange, bytes_max: usize) -> Vec<Fresh> {
        let tail = &self.lanes[lane];
        let mut found: Vec<Fresh> = Vec::new();
        let mut bytes = 0;
        let mut at = wanted.first;
        let start = tail.position(at).unwrap_or(tail.entries.len());
        for entry in tail.entries.range(start..) {
            if entry.range.first > at || at >= wanted.next {
                break;
            }
            let Some(part) = entry.trimmed(at, wanted.next) else {
                break;
            };
            bytes += part.bytes.len();
            if bytes > bytes_max && !found.is_empty() {
                break;
            }
            at = part.range.next;
            found.push(part);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh(first: u64, count: u64) -> Fresh {
        let entries: Vec<u8> = (0..count).flat_map(|_| *b"z\x01x").collect();
        Fresh {
            range: SequenceRange::new(Sequence(first), Sequence(first + count)),
            bytes: entries.into(),
            oldest: UnixNanos(1),
        }
    }

    fn firsts(found: &[Fresh]) -> Vec<(u64, u64)> {
        found
            .iter()
            .map(|f| (f.range.first.0, f.range.next.0))
            .collect()
    }

    #[test]
    fn what_was_just_committed_is_read_without_the_disk() {
        let mut tail = Tail::new(10_000);
        tail.push(Lane::Bulk, fresh(10, 5));
        tail.push(Lane::Bulk, fresh(15, 5));
        let wanted = SequenceRange::new(Sequence(12), Sequence(18));
        let found = tail.read(Lane::Bulk, wanted, 1000);
        assert_eq!(firsts(&found), [(12, 15), (15, 18)]);
        assert_eq!(found[0].bytes.len(), 9);
        assert!(
            tail.read(
                Lane::Bulk,
                SequenceRange::new(Sequence(9), Sequence(18)),
                1000
            )
            .is_empty()
        );
        tail.forget_within(Lane::Bulk, SequenceRange::new(Sequence(3), Sequence(16)));
        assert!(!tail.holds(Lane::Bulk, Sequence(14)) && tail.holds(Lane::Bulk, Sequence(15)));
    }

    #[test]
    fn the_fullest_lane_lets_go_of_its_oldest_first() {
        let mut tail = Tail::new(3 * ENTRY_BYTES);
        tail.push(Lane::Alarm, fresh(0, 1));
        for first in 0..9 {
            tail.push(Lane::Bulk, fresh(first, 1));
        }
        assert!(tail.holds(Lane::Alarm, Sequence(0)));
        assert!(!tail.holds(Lane::Bulk, Sequence(0)) && tail.holds(Lane::Bulk, Sequence(8)));
        assert!(tail.bytes() <= 3 * ENTRY_BYTES);
    }
}
