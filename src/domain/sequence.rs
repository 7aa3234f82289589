//! Positions in a lane. A lane's sequence is gapless: every number is a reading or belongs to a gap record.

use std::fmt;

/// The position of a reading in its lane, counted from 0 for each incarnation of a spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sequence(pub u64);

impl Sequence {
    /// The sequence `count` positions on.
    #[must_use]
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Sequences `first .. next`, `next` not included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SequenceRange {
    /// The first sequence in the range.
    pub first: Sequence,
    /// The sequence behind the last one.
    pub next: Sequence,
}

impl SequenceRange {
    /// The range `first .. next`; empty if `next` is not behind `first`.
    #[must_use]
    pub const fn new(first: Sequence, next: Sequence) -> Self {
        Self { first, next }
    }

    /// How many sequences it holds.
    #[must_use]
    pub const fn count(self) -> u64 {
        self.next.0.saturating_sub(self.first.0)
    }

    /// Whether it holds nothing.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.count() == 0
    }

    /// Whether the sequence lies in it.
    #[must_use]
    pub const fn contains(self, sequence: Sequence) -> bool {
        self.first.0 <= sequence.0 && sequence.0 < self.next.0
    }
}

/// 16 random bytes, made when a spool is created: a gateway whose disk was lost comes back as a new incarnation, and
/// its sequences start at 0 again.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Incarnation(pub [u8; 16]);

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Incarnation({self})")
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}
