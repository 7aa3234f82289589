//! A set of sequences kept as disjoint ranges: which sequences of a lane are done with, and which acknowledgements wait.
//!
//! Invariant: ranges neither touch nor overlap, so that a lane delivered in order costs one entry and a backlog drained
//! beside the live flow costs two.

use std::collections::BTreeMap;

use crate::domain::{Sequence, SequenceRange};

/// Disjoint ranges of sequences, ascending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RangeSet {
    /// First sequence → the sequence behind the last one.
    ranges: BTreeMap<u64, u64>,
}

impl RangeSet {
    /// How many disjoint ranges there are.
    pub(super) fn len(&self) -> usize {
        self.ranges.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many sequences the set holds.
    pub(super) fn count(&self) -> u64 {
        self.ranges.iter().map(|(first, next)| next - first).sum()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = SequenceRange> + '_ {
        self.ranges.iter().map(range_of)
    }

    /// Adds a range, merging it with those that it touches.
    pub(super) fn insert(&mut self, range: SequenceRange) {
        if range.is_empty() {
            return;
        }
        let (mut first, mut next) = (range.first.0, range.next.0);
        while let Some((&f, &n)) = self.ranges.range(..=next).next_back() {
            if n < first {
                break;
            }
            self.ranges.remove(&f);
            first = first.min(f);
            next = next.max(n);
        }
        self.ranges.insert(first, next);
    }

    /// The range that holds a sequence.
    pub(super) fn holding(&self, sequence: Sequence) -> Option<SequenceRange> {
        let range = range_of(self.ranges.range(..=sequence.0).next_back()?);
        range.contains(sequence).then_some(range)
    }

    /// The parts of a range that the set does not hold, ascending.
    pub(super) fn uncovered(&self, range: SequenceRange) -> Vec<SequenceRange> {
        let mut parts = Vec::new();
        let mut at = range.first;
        if let Some(held) = self.holding(at) {
            at = held.next;
        }
        for held in self
            .ranges
            .range(at.0..range.next.0.max(at.0))
            .map(range_of)
        {
            parts.push(SequenceRange::new(at, held.first));
            at = held.next;
        }
        parts.push(SequenceRange::new(at, range.next));
        parts.retain(|part| !part.is_empty());
        parts
    }

    /// How many sequences of a range the set does not hold.
    pub(super) fn uncovered_count(&self, range: SequenceRange) -> u64 {
        self.uncovered(range)
            .into_iter()
            .map(SequenceRange::count)
            .sum()
    }

    /// How many sequences of a range the set holds.
    pub(super) fn covered_count(&self, range: SequenceRange) -> u64 {
        range.count() - self.uncovered_count(range)
    }

    /// Takes a range out.
    pub(super) fn remove(&mut self, range: SequenceRange) {
        if range.is_empty() {
            return;
        }
        let touched: Vec<SequenceRange> = self
            .ranges
            .range(..range.next.0)
            .rev()
            .map(range_of)
            .take_while(|held| held.next > range.first)
            .collect();
        for held in touched {
            self.ranges.remove(&held.first.0);
            self.insert(SequenceRange::new(held.first, held.next.min(range.first)));
            self.insert(SequenceRange::new(held.first.max(range.next), held.next));
        }
    }

    /// Where the first range behind a sequence starts.
    pub(super) fn start_behind(&self, sequence: Sequence) -> Option<Sequence> {
        let (first, _) = self.ranges.range(sequence.0.saturating_add(1)..).next()?;
        Some(Sequence(*first))
    }

    /// Moves a low cursor over what the set holds right behind it, forgetting everything below the cursor.
    pub(super) fn absorb(&mut self, low: Sequence) -> Sequence {
        let mut low = low;
        while let Some((&first, &next)) = self.ranges.first_key_value() {
            if first > low.0 {
                break;
            }
            low = Sequence(low.0.max(next));
            self.ranges.remove(&first);
        }
        low
    }

    /// The ranges as big-endian pairs of first and next.
    pub(super) fn encode(&self) -> Vec<u8> {
        self.ranges
            .iter()
            .flat_map(|(first, next)| [first.to_be_bytes(), next.to_be_bytes()])
            .flatten()
            .collect()
    }

    /// Reads what [`RangeSet::encode`] wrote.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (pairs, rest) = bytes.as_chunks::<16>();
        let mut set = Self::default();
        for pair in pairs {
            let (first, next) = pair.split_first_chunk::<8>()?;
            let next = next.first_chunk::<8>()?;
            set.insert(SequenceRange::new(
                Sequence(u64::from_be_bytes(*first)),
                Sequence(u64::from_be_bytes(*next)),
            ));
        }
        rest.is_empty().then_some(set)
    }
}

fn range_of((&first, &next): (&u64, &u64)) -> SequenceRange {
    SequenceRange::new(Sequence(first), Sequence(next))
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
        fn it_holds_what_a_plain_set_of_numbers_holds(
            inserts in proptest::collection::vec((0_u64..60, 0_u64..12), 0..20),
            asked in (0_u64..60, 0_u64..20),
            low in 0_u64..20,
        ) {
            let mut set = RangeSet::default();
            let mut model = BTreeSet::new();
            for (first, count) in inserts {
                set.insert(range(first, first + count));
                model.extend(first..first + count);
            }
            prop_assert_eq!(set.count(), model.len() as u64);
            prop_assert!(set.iter().zip(set.iter().skip(1)).all(|(a, b)| a.next < b.first));
            let asked = range(asked.0, asked.0 + asked.1);
            let missing: Vec<u64> = (asked.first.0..asked.next.0).filter(|s| !model.contains(s)).collect();
            let told: Vec<u64> = set.uncovered(asked).iter().flat_map(|r| r.first.0..r.next.0).collect();
            prop_assert_eq!(&told, &missing);
            prop_assert_eq!(set.uncovered_count(asked), missing.len() as u64);
            prop_assert_eq!(RangeSet::decode(&set.encode()), Some(set.clone()));
            let mut without = set.clone();
            without.remove(asked);
            let left: Vec<u64> = without.iter().flat_map(|r| r.first.0..r.next.0).collect();
            let expected: Vec<u64> =
                model.iter().copied().filter(|s| !asked.contains(Sequence(*s))).collect();
            prop_assert_eq!(left, expected);
            prop_assert_eq!(set.covered_count(asked), asked.count() - missing.len() as u64);
            let moved = set.absorb(Sequence(low));
            let mut at = low;
            while model.contains(&at) { at += 1; }
            prop_assert_eq!(moved.0, at);
            prop_assert!(set.iter().all(|r| r.first > moved));
        }
    }
}
