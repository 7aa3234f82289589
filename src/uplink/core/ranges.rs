//! A set of sequences as ascending ranges that neither touch nor overlap: what the platform holds of a lane, and what
//! was sent. Small by contract (a few ranges ahead), so a sorted vector is the right shape.

use crate::domain::{Sequence, SequenceRange};

/// A set of sequences.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RangeSet {
    ranges: Vec<SequenceRange>,
}

impl RangeSet {
    /// Everything below `next`.
    #[must_use]
    pub fn below(next: Sequence) -> Self {
        let mut set = Self::default();
        set.insert(SequenceRange::new(Sequence(0), next));
        set
    }

    /// Adds a range, merged with what it touches.
    pub fn insert(&mut self, range: SequenceRange) {
        if range.is_empty() {
            return;
        }
        let from = self.ranges.partition_point(|held| held.next < range.first);
        let to = self.ranges.partition_point(|held| held.first <= range.next);
        let mut merged = range;
        for held in self.ranges.get(from..to).unwrap_or_default() {
            merged.first = merged.first.min(held.first);
            merged.next = merged.next.max(held.next);
        }
        self.ranges.splice(from..to, [merged]);
    }

    /// The range that holds the sequence.
    #[must_use]
    pub fn around(&self, sequence: Sequence) -> Option<SequenceRange> {
        let at = self.ranges.partition_point(|held| held.next <= sequence);
        self.ranges
            .get(at)
            .copied()
            .filter(|held| held.contains(sequence))
    }

    /// Whether every sequence of the range is held.
    #[must_use]
    pub fn covers(&self, range: SequenceRange) -> bool {
        range.is_empty()
            || self
                .around(range.first)
                .is_some_and(|held| range.next <= held.next)
    }

    /// The sequence behind the range that begins at 0: everything below is held.
    #[must_use]
    pub fn position(&self) -> Sequence {
        self.around(Sequence(0))
            .map_or(Sequence(0), |base| base.next)
    }

    /// The parts of `range` that are not held, ascending.
    #[must_use]
    pub fn missing(&self, range: SequenceRange) -> Vec<SequenceRange> {
        let mut missing = Vec::new();
        let mut at = range.first;
        for held in &self.ranges {
            if held.next <= at {
                continue;
            }
            if held.first >= range.next {
                break;
            }
            if at < held.first {
                missing.push(SequenceRange::new(at, held.first));
            }
            at = held.next;
        }
        if at < range.next {
            missing.push(SequenceRange::new(at, range.next));
        }
        missing
    }

    /// The sequence behind the highest one held.
    #[must_use]
    pub fn end(&self) -> Sequence {
        self.ranges.last().map_or(Sequence(0), |last| last.next)
    }

    /// Ranges that do not begin at 0.
    pub fn ahead(&self) -> impl Iterator<Item = SequenceRange> + '_ {
        self.ranges
            .iter()
            .copied()
            .filter(|range| range.first.0 > 0)
    }

    /// How many ranges lie ahead of the position.
    #[must_use]
    pub fn ahead_count(&self) -> usize {
        self.ahead().count()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn range(first: u64, next: u64) -> SequenceRange {
        SequenceRange::new(Sequence(first), Sequence(next))
    }

    proptest! {
        #[test]
        fn a_range_set_is_a_set_of_numbers(
            inserts in prop::collection::vec((0_u64..60, 0_u64..12), 0..20),
            asked in (0_u64..60, 0_u64..20),
        ) {
            let mut set = RangeSet::default();
            let mut numbers = BTreeSet::new();
            for (first, count) in inserts {
                set.insert(range(first, first + count));
                numbers.extend(first..first + count);
            }
            for pair in set.ranges.windows(2) {
                prop_assert!(pair[0].next < pair[1].first, "{set:?}");
            }
            for number in 0..80 {
                prop_assert_eq!(set.around(Sequence(number)).is_some(), numbers.contains(&number));
            }
            let asked = range(asked.0, asked.0 + asked.1);
            let missing: BTreeSet<u64> =
                set.missing(asked).iter().flat_map(|r| r.first.0..r.next.0).collect();
            let expected: BTreeSet<u64> =
                (asked.first.0..asked.next.0).filter(|n| !numbers.contains(n)).collect();
            prop_assert_eq!(set.covers(asked), expected.is_empty());
            prop_assert_eq!(missing, expected);
            let position = (0..).find(|n| !numbers.contains(n)).unwrap();
            prop_assert_eq!(set.position(), Sequence(position));
        }
    }
}
