//! Coarse time for keep-alive and deadlines: one counter of eighths of a second that the sweep advances, so that a
//! connection notes the time of a packet with one load and one store, and needs no timer of its own.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use crate::domain::UnixNanos;

/// Eighths of a second since the broker started; wraps after 17 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tick(pub(crate) u32);

impl Tick {
    /// Time passed since an earlier tick; none if the other one is later.
    pub(crate) const fn since(self, earlier: Self) -> Ticks {
        Ticks(self.0.saturating_sub(earlier.0))
    }

    /// A later tick.
    pub(crate) const fn plus(self, ticks: Ticks) -> Self {
        Self(self.0.saturating_add(ticks.0))
    }
}

/// A span in eighths of a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticks(pub(crate) u32);

impl Ticks {
    /// No limit.
    pub(crate) const NEVER: Self = Self(u32::MAX);
    /// Length of a tick.
    pub(crate) const LENGTH: Duration = Duration::from_millis(125);

    /// At least the duration.
    pub(crate) fn at_least(duration: Duration) -> Self {
        let ticks = duration.as_millis().div_ceil(Self::LENGTH.as_millis());
        Self(u32::try_from(ticks).unwrap_or(u32::MAX - 1))
    }

    /// One and a half times the span, MQTT's patience with a keep-alive.
    pub(crate) const fn half_as_long_again(self) -> Self {
        Self(self.0.saturating_add(self.0 / 2))
    }

    /// At least so many seconds.
    pub(crate) fn from_seconds(seconds: u32) -> Self {
        Self(seconds.saturating_mul(8).min(u32::MAX - 1))
    }
}

/// The counter.
#[derive(Debug)]
pub(crate) struct Pulse {
    started: Instant,
    tick: AtomicU32,
}

impl Pulse {
    pub(crate) const fn new(started: Instant) -> Self {
        Self {
            started,
            tick: AtomicU32::new(0),
        }
    }

    /// The tick as the sweep last saw it.
    pub(crate) fn now(&self) -> Tick {
        Tick(self.tick.load(Ordering::Relaxed))
    }

    /// The tick at which a time of the calendar will have come.
    pub(crate) fn tick_of(&self, at: UnixNanos, now: UnixNanos) -> Tick {
        let left = Duration::from_nanos(at.0.saturating_sub(now.0));
        self.now().plus(Ticks::at_least(left))
    }

    /// Moves the counter to a steady time.
    pub(crate) fn advance(&self, steady: Instant) -> Tick {
        let passed = steady.saturating_duration_since(self.started).as_millis();
        let tick = u32::try_from(passed / Ticks::LENGTH.as_millis()).unwrap_or(u32::MAX);
        self.tick.store(tick, Ordering::Relaxed);
        Tick(tick)
    }
}
