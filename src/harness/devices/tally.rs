//! Counts of a running fleet that others may watch. Written by the fleet's thread alone.

use std::sync::atomic::{AtomicU64, Ordering};

use hdrhistogram::Histogram;

/// A count, written by one thread and read by any.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// The count.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

/// What a fleet has done so far.
#[derive(Debug, Default)]
pub struct Tally {
    /// Readings sent, repeats not counted.
    pub sent: Count,
    /// Readings acknowledged as durable.
    pub acknowledged: Count,
    /// Publishes answered with an error.
    pub rejected: Count,
    /// Readings whose connection ended before their acknowledgement.
    pub in_doubt: Count,
    /// Readings that waited because their connection's window was full or it was down.
    pub delayed: Count,
    /// Connections that are up.
    pub connected: Count,
    /// Connections that were lost.
    pub lost: Count,
    /// Connections that the gateway did not welcome.
    pub refused: Count,
    /// Commands received.
    pub commands: Count,
    /// Median time to the acknowledgement over the last second, µs.
    pub p50_us: Count,
    /// 99th percentile of the same.
    pub p99_us: Count,
    /// Readings acknowledged, by class: places of [`super::Roster::patterns`].
    pub by_pattern: Vec<Count>,
}

impl Tally {
    pub(super) fn new(patterns: usize) -> Self {
        Self {
            by_pattern: std::iter::repeat_with(Count::default)
                .take(patterns)
                .collect(),
            ..Self::default()
        }
    }
}

/// Times to the acknowledgement, in microseconds from 1 µs to 10 min with three digits.
#[derive(Debug, Clone)]
pub struct Latency(Histogram<u64>);

/// Longest time told apart, µs.
const LONGEST_US: u64 = 600_000_000;

impl Latency {
    /// An empty one.
    ///
    /// # Errors
    /// The bounds are not a histogram's; they are constants.
    pub fn new() -> Result<Self, hdrhistogram::CreationError> {
        Ok(Self(Histogram::new_with_bounds(1, LONGEST_US, 3)?))
    }

    /// Adds one time; longer ones count as the longest.
    pub fn record(&mut self, elapsed: std::time::Duration) {
        let us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        self.0.saturating_record(us.clamp(1, LONGEST_US));
    }

    /// The time that a part of all (0.0 to 1.0) does not exceed, µs; 0 if there is none.
    #[must_use]
    pub fn quantile_us(&self, part: f64) -> u64 {
        if self.0.is_empty() {
            return 0;
        }
        self.0.value_at_quantile(part)
    }

    /// Joins another's times in.
    pub fn join(&mut self, other: &Self) {
        // Same bounds on both sides: cannot fail.
        self.0.add(&other.0).unwrap_or_default();
    }

    /// How many times were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}
