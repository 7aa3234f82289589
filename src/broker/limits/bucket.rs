//! A token bucket that is one number: the time until which what was taken is paid for (GCRA, the generic cell rate
//! algorithm of ITU-T I.371, in its virtual scheduling form). Time is handed in; all arithmetic is in whole nanoseconds.
//!
//! ```text
//!            depth: what may be taken ahead
//!  ──────┬──────────────────────────┬─────────▶ time
//!       now     paid until ──▶      │
//!               each taking moves it by amount ÷ rate; beyond the depth nothing is given
//! ```
//!
//! Invariants: in any span of time `t` a bucket gives at most `rate × (t + depth)`, takings larger than a bucket aside;
//! a bucket that nobody takes from is full again after `depth`. A taking larger than the whole bucket passes when the
//! bucket is full and is paid for afterwards, so a large packet is late but never impossible.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::broker::pulse::{Tick, Ticks};

const SECOND_NS: u64 = 1_000_000_000;

/// Steady time, nanoseconds since the broker started; 584 years fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Nanos(pub(crate) u64);

impl Nanos {
    /// A span; saturates.
    pub(crate) fn of(span: Duration) -> Self {
        Self(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX))
    }

    /// The span since an earlier time; none if the other one is later.
    pub(crate) const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// A later time.
    pub(crate) fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(Self::of(span).0))
    }
}

impl From<Tick> for Nanos {
    fn from(tick: Tick) -> Self {
        Self(u64::from(tick.0).saturating_mul(Self::of(Ticks::LENGTH).0))
    }
}

/// How fast a bucket fills and how deep it is: shared by all buckets of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    amount: u64,
    per_ns: u64,
    depth_ns: u64,
}

impl Rate {
    /// So much per second, at least 1; the bucket holds `depth`'s worth of it.
    pub(crate) fn per_second(amount: u64, depth: Duration) -> Self {
        let mut rate = Self {
            amount: amount.max(1),
            per_ns: SECOND_NS,
            depth_ns: Nanos::of(depth).0.max(1),
        };
        // Takings are rounded up one by one, and all that the depth is worth must fit nevertheless.
        let whole = rate.depth_ns.saturating_mul(rate.amount) / SECOND_NS;
        rate.depth_ns = rate.depth_ns.max(rate.cost(1).saturating_mul(whole));
        rate
    }

    /// So much per second, at least 1; the bucket holds `burst`, at least 1.
    pub(crate) fn with_burst(amount: u64, burst: u64) -> Self {
        let mut rate = Self::per_second(amount, Duration::ZERO);
        rate.depth_ns = rate.cost(1).saturating_mul(burst.max(1));
        rate
    }

    /// So much per minute, at least 1; the bucket holds a minute's worth.
    pub(crate) fn per_minute(amount: u64) -> Self {
        let mut rate = Self {
            amount: amount.max(1),
            per_ns: 60 * SECOND_NS,
            depth_ns: 60 * SECOND_NS,
        };
        rate.depth_ns = rate.depth_ns.max(rate.cost(1).saturating_mul(rate.amount));
        rate
    }

    /// How long an amount takes to flow in, rounded up.
    const fn cost(&self, amount: u64) -> u64 {
        amount.saturating_mul(self.per_ns).div_ceil(self.amount)
    }

    /// How long an empty bucket takes to be full.
    pub(crate) const fn depth(&self) -> Duration {
        Duration::from_nanos(self.depth_ns)
    }
}

/// A bucket, 8 bytes; full at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Bucket {
    paid_until: u64,
}

impl Bucket {
    /// Whether an amount may be taken; the error is how long that takes.
    pub(crate) fn ready(self, rate: &Rate, now: Nanos, amount: u64) -> Result<(), Duration> {
        let ahead = self.paid_until.saturating_sub(now.0);
        let ahead_max = rate.depth_ns - rate.cost(amount).min(rate.depth_ns);
        if ahead <= ahead_max {
            Ok(())
        } else {
            Err(Duration::from_nanos(ahead - ahead_max))
        }
    }

    /// Takes an amount, ready or not.
    pub(crate) fn charge(&mut self, rate: &Rate, now: Nanos, amount: u64) {
        let from = self.paid_until.max(now.0);
        self.paid_until = from.saturating_add(rate.cost(amount));
    }

    /// Takes an amount if the bucket is ready; the error is how long that takes.
    pub(crate) fn spend(&mut self, rate: &Rate, now: Nanos, amount: u64) -> Result<(), Duration> {
        self.ready(rate, now, amount)?;
        self.charge(rate, now, amount);
        Ok(())
    }

    /// Puts an amount back.
    pub(crate) fn refund(&mut self, rate: &Rate, amount: u64) {
        self.paid_until = self.paid_until.saturating_sub(rate.cost(amount));
    }

    /// Whether the bucket is full.
    pub(crate) const fn is_full(self, now: Nanos) -> bool {
        self.paid_until <= now.0
    }
}

/// A bucket that many threads take from.
#[derive(Debug, Default)]
pub(crate) struct SharedBucket {
    paid_until: AtomicU64,
}

impl SharedBucket {
    /// As [`Bucket::spend`]; one compare-and-swap unless others come in between.
    pub(crate) fn spend(&self, rate: &Rate, now: Nanos, amount: u64) -> Result<(), Duration> {
        let mut seen = self.paid_until.load(Ordering::Relaxed);
        loop {
            let mut bucket = Bucket { paid_until: seen };
            bucket.spend(rate, now, amount)?;
            let swapped = self.paid_until.compare_exchange_weak(
                seen,
                bucket.paid_until,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            match swapped {
                Ok(_) => return Ok(()),
                Err(other) => seen = other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The bucket as a schoolbook has it: tokens that flow in and are taken, in exact billionths.
    struct Model {
        tokens: i128,
        at: u64,
        per_s: i128,
        depth_ns: i128,
    }

    impl Model {
        fn new(per_s: u64, depth: Duration) -> Self {
            let depth_ns = i128::from(Nanos::of(depth).0);
            let per_s = i128::from(per_s);
            Self {
                tokens: per_s * depth_ns,
                at: 0,
                per_s,
                depth_ns,
            }
        }

        fn flow(&mut self, now: u64) {
            let more = i128::from(now - self.at) * self.per_s;
            self.tokens = (self.tokens + more).min(self.per_s * self.depth_ns);
            self.at = now;
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn a_bucket_decides_as_the_schoolbook_does(
            per_s in 1_u64..2_000_000,
            depth_ms in 1_u64..5_000,
            steps in prop::collection::vec((0_u64..400_000_000, 1_u64..3_000), 1..200),
        ) {
            let depth = Duration::from_millis(depth_ms);
            let rate = Rate::per_second(per_s, depth);
            let (mut bucket, mut model) = (Bucket::default(), Model::new(per_s, rate.depth()));
            let mut now = 0;
            let mut takings = 0_i128;
            for (pause, amount) in steps {
                now += pause;
                model.flow(now);
                // Rounding up to whole nanoseconds may cost one for each taking since the start.
                let slack = (takings + 1) * i128::from(per_s);
                let wanted = i128::from(amount) * i128::from(SECOND_NS);
                let enough = wanted.min(model.per_s * model.depth_ns);
                match bucket.spend(&rate, Nanos(now), amount) {
                    Ok(()) => {
                        prop_assert!(model.tokens >= enough, "gave what was not there");
                        model.tokens -= wanted;
                        takings += 1;
                    }
                    Err(wait) => {
                        prop_assert!(model.tokens < enough + slack, "refused from {}", model.tokens);
                        let later = Nanos(now).plus(wait);
                        prop_assert!(bucket.ready(&rate, later, amount).is_ok());
                        prop_assert!(bucket.ready(&rate, Nanos(later.0 - 1), amount).is_err());
                    }
                }
            }
        }

        #[test]
        fn no_numbers_make_it_panic(
            amount in any::<u64>(), per_s in any::<u64>(), now in any::<u64>(), burst in any::<u64>(),
        ) {
            for rate in [
                Rate::per_second(per_s, Duration::from_nanos(burst)),
                Rate::with_burst(per_s, burst),
                Rate::per_minute(per_s),
            ] {
                let mut bucket = Bucket::default();
                bucket.charge(&rate, Nanos(now), amount);
                bucket.refund(&rate, amount / 2);
                bucket.spend(&rate, Nanos(now), amount).unwrap_or_default();
            }
        }
    }

    #[test]
    fn a_burst_of_exactly_its_size_passes_at_once_and_the_rate_holds_afterwards() {
        let rate = Rate::with_burst(10, 25);
        let mut bucket = Bucket::default();
        let taken = |bucket: &mut Bucket, now| {
            (0..1000)
                .take_while(|_| bucket.spend(&rate, now, 1).is_ok())
                .count()
        };
        assert_eq!(taken(&mut bucket, Nanos(0)), 25);
        assert_eq!(taken(&mut bucket, Nanos(SECOND_NS)), 10);
        assert_eq!(taken(&mut bucket, Nanos(100 * SECOND_NS)), 25);
    }

    #[test]
    fn a_taking_larger_than_the_bucket_passes_and_is_paid_for() {
        let rate = Rate::per_second(1_000, Duration::from_secs(1));
        let mut bucket = Bucket::default();
        assert_eq!(bucket.spend(&rate, Nanos(0), 10_000), Ok(()));
        let wait = bucket.spend(&rate, Nanos(0), 1).unwrap_err();
        assert_eq!(wait.as_secs(), 9);
    }

    #[test]
    fn threads_together_get_no_more_than_the_rate_gives() {
        let rate = Rate::with_burst(1, 5_000);
        let bucket = SharedBucket::default();
        let taken: usize = std::thread::scope(|scope| {
            let take = || {
                let tries = 0..4_000;
                tries
                    .filter(|_| bucket.spend(&rate, Nanos(7), 1).is_ok())
                    .count()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads.into_iter().map(|t| t.join().unwrap()).sum()
        });
        assert_eq!(taken, 5_000);
    }
}
