//! What the platform holds of one lane: a position and up to [`AHEAD_MAX`] ranges ahead of it, merged as they meet.
//! Decides what of a message is new; the rest was stored before and counts once only.

use crate::{
    domain::{Sequence, SequenceRange},
    proto::platform,
};

/// Ranges held ahead of the position.
pub const AHEAD_MAX: usize = 16;

/// Why a message cannot be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unplaced {
    /// It lies ahead, and the platform takes strictly in sequence.
    #[error("sequence {0} does not follow {1}")]
    Hole(u64, u64),
    /// It would begin one range too many.
    #[error("more than {AHEAD_MAX} ranges ahead")]
    Ranges,
    /// Beyond the end of the sequence space.
    #[error("sequences overflow")]
    Overflow,
}

/// What is held of a lane.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LanePosition {
    next: u64,
    ahead: Vec<SequenceRange>,
}

impl LanePosition {
    /// Everything below is held.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// Held ranges above it, ascending, apart.
    #[must_use]
    pub fn ahead(&self) -> &[SequenceRange] {
        &self.ahead
    }

    /// The held range around a sequence.
    #[must_use]
    pub fn around(&self, sequence: u64) -> Option<SequenceRange> {
        if sequence < self.next {
            return Some(SequenceRange::new(Sequence(0), Sequence(self.next)));
        }
        self.ahead
            .iter()
            .copied()
            .find(|range| range.contains(Sequence(sequence)))
    }

    /// Takes `first .. first + count`; gives the parts that are new.
    ///
    /// # Errors
    /// It cannot be stored; nothing has changed.
    pub fn take(
        &mut self,
        first: u64,
        count: u64,
        accepts_ahead: AcceptsAhead,
    ) -> Result<Vec<SequenceRange>, Unplaced> {
        let next = first.checked_add(count).ok_or(Unplaced::Overflow)?;
        if first > self.next && accepts_ahead == AcceptsAhead::No {
            return Err(Unplaced::Hole(first, self.next));
        }
        let fresh = self.missing(first, next);
        let mut after = self.clone();
        for part in &fresh {
            after.add(*part);
        }
        if after.ahead.len() > AHEAD_MAX {
            return Err(Unplaced::Ranges);
        }
        *self = after;
        Ok(fresh)
    }

    fn missing(&self, first: u64, next: u64) -> Vec<SequenceRange> {
        let mut missing = Vec::new();
        let mut at = first.max(self.next);
        for range in &self.ahead {
            if range.first.0 >= next {
                break;
            }
            if at < range.first.0 {
                missing.push(SequenceRange::new(Sequence(at), range.first));
            }
            at = at.max(range.next.0);
        }
        if at < next {
            missing.push(SequenceRange::new(Sequence(at), Sequence(next)));
        }
        missing
    }

    fn add(&mut self, part: SequenceRange) {
        self.ahead.push(part);
        self.ahead.sort_by_key(|range| range.first);
        let mut merged: Vec<SequenceRange> = Vec::with_capacity(self.ahead.len());
        for range in self.ahead.drain(..) {
            if range.first.0 <= self.next {
                self.next = self.next.max(range.next.0);
                continue;
            }
            match merged.last_mut() {
                Some(last) if range.first <= last.next => last.next = last.next.max(range.next),
                _ => merged.push(range),
            }
        }
        self.ahead = merged;
    }

    /// As Resume names it, and as it is stored.
    #[must_use]
    pub fn to_wire(&self, lane: u8) -> platform::LanePosition {
        platform::LanePosition {
            lane: i32::from(lane),
            next_sequence: self.next,
            ahead: self
                .ahead
                .iter()
                .map(|range| platform::SequenceRange {
                    first_sequence: range.first.0,
                    next_sequence: range.next.0,
                })
                .collect(),
        }
    }

    /// From what is stored.
    #[must_use]
    pub fn from_wire(wire: &platform::LanePosition) -> Self {
        let mut position = Self {
            next: wire.next_sequence,
            ahead: Vec::new(),
        };
        for range in &wire.ahead {
            let (first, next) = (
                Sequence(range.first_sequence),
                Sequence(range.next_sequence),
            );
            position.add(SequenceRange::new(first, next));
        }
        position
    }
}

/// Whether batches ahead of a lane's position are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AcceptsAhead {
    /// Up to [`AHEAD_MAX`] ranges.
    #[default]
    Yes,
    /// Strictly in sequence.
    No,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_hole_is_refused_when_the_platform_takes_in_sequence_only() {
        let mut position = LanePosition::default();
        assert_eq!(
            position.take(3, 2, AcceptsAhead::No),
            Err(Unplaced::Hole(3, 0))
        );
        assert_eq!(position.take(0, 2, AcceptsAhead::No).unwrap().len(), 1);
        assert_eq!(position.next(), 2);
    }

    #[test]
    fn the_seventeenth_range_ahead_is_refused() {
        let mut position = LanePosition::default();
        for at in 0..16 {
            position.take(10 + at * 10, 5, AcceptsAhead::Yes).unwrap();
        }
        let before = position.clone();
        assert_eq!(
            position.take(500, 5, AcceptsAhead::Yes),
            Err(Unplaced::Ranges)
        );
        assert_eq!(position, before);
        position.take(0, 10, AcceptsAhead::Yes).unwrap();
        assert_eq!((position.next(), position.ahead().len()), (15, 15));
    }

    proptest! {
        #[test]
        fn every_sequence_is_taken_once(takes in prop::collection::vec((0_u64..40, 0_u64..9), 0..30)) {
            let mut position = LanePosition::default();
            let mut stored = BTreeSet::new();
            for (first, count) in takes {
                for part in position.take(first, count, AcceptsAhead::Yes).unwrap() {
                    for sequence in part.first.0..part.next.0 {
                        prop_assert!(stored.insert(sequence), "{} twice", sequence);
                    }
                }
                for sequence in first..first + count {
                    prop_assert!(stored.contains(&sequence) && position.around(sequence).is_some());
                }
            }
            prop_assert_eq!(&LanePosition::from_wire(&position.to_wire(2)), &position);
            for sequence in 0..60 {
                prop_assert_eq!(position.around(sequence).is_some(), stored.contains(&sequence));
            }
        }
    }
}
