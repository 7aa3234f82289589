//! The rate at which a backlog drains: a token bucket that may go into debt by one batch, so that a batch larger than
//! the bucket still passes and is paid for afterwards.

use std::time::{Duration, Instant};

/// Tokens at a rate.
#[derive(Debug, Clone)]
pub struct Bucket {
    rate: f64,
    burst: f64,
    tokens: f64,
    at: Instant,
}

/// Seconds' worth of tokens that may be saved up: smooths the timer's grain without a surge.
const BURST_S: f64 = 0.1;

impl Bucket {
    /// A full bucket; `rate` tokens per second, at least 1.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "a rate limit needs no more than 52 bits"
    )]
    pub fn new(rate: u64, now: Instant) -> Self {
        let rate = rate.max(1) as f64;
        let burst = (rate * BURST_S).max(1.0);
        Self {
            rate,
            burst,
            tokens: burst,
            at: now,
        }
    }

    /// Takes tokens that were spent; the bucket may go into debt.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a rate limit needs no more than 52 bits"
    )]
    pub fn take(&mut self, count: u64, now: Instant) {
        self.refill(now);
        self.tokens -= count as f64;
    }

    /// When something may be taken: `now`, or the time at which the debt is paid.
    pub fn ready_at(&mut self, now: Instant) -> Instant {
        self.refill(now);
        if self.tokens > 0.0 {
            return now;
        }
        // at least a millisecond: below the timer's grain the wait would spin
        let wait = (-self.tokens / self.rate).clamp(0.001, 3_600.0);
        now + Duration::from_secs_f64(wait)
    }

    fn refill(&mut self, now: Instant) {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = since.mul_add(self.rate, self.tokens).min(self.burst);
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_holds_over_time_whatever_the_batch() {
        let start = Instant::now();
        for batch in [1_u64, 700, 5_000, 40_000] {
            let mut bucket = Bucket::new(10_000, start);
            let (mut now, mut taken) = (start, 0);
            while now < start + Duration::from_secs(60) {
                now = now.max(bucket.ready_at(now));
                bucket.take(batch, now);
                taken += batch;
            }
            let most = 10_000 * 60 + 1_000 + 2 * batch;
            assert!((590_000..=most).contains(&taken), "batch {batch}: {taken}");
        }
    }
}
