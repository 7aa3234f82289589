//! How long to pause after a failure and whom to try next.
//!
//! Exponential with full jitter: the pause is uniform in `0 ..= min(cap, base · 2^round)`, so that the gateways of a
//! city do not come back in step after the platform was away. A round is one pass over all endpoints.

use std::time::Duration;

use rand::Rng;

/// Pauses after failures.
#[derive(Debug, Clone)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    round: u32,
}

/// Doublings after which the pause is certainly at its cap.
const ROUNDS_MAX: u32 = 32;

impl Backoff {
    /// Pauses from `min`, doubling up to `max`.
    #[must_use]
    pub const fn new(min: Duration, max: Duration) -> Self {
        Self { min, max, round: 0 }
    }

    /// Draws the next pause.
    pub fn pause(&mut self, rng: &mut impl Rng) -> Duration {
        let ceiling = self.ceiling();
        self.round = (self.round + 1).min(ROUNDS_MAX);
        draw(ceiling, rng)
    }

    /// Draws a pause as long as they get: for faults that only an operator can mend.
    pub fn longest(&self, rng: &mut impl Rng) -> Duration {
        self.max / 2 + draw(self.max / 2, rng)
    }

    /// The upper end of the next pause.
    #[must_use]
    pub fn ceiling(&self) -> Duration {
        let doubled = self
            .min
            .saturating_mul(1_u32.checked_shl(self.round).unwrap_or(u32::MAX));
        doubled.min(self.max)
    }

    /// Forgets the failures: something was delivered.
    pub const fn reset(&mut self) {
        self.round = 0;
    }
}

fn draw(ceiling: Duration, rng: &mut impl Rng) -> Duration {
    let nanos = u64::try_from(ceiling.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(rng.random_range(0..=nanos))
}

/// The platform's endpoints, tried in turn. One that worked is tried first again.
#[derive(Debug, Clone)]
pub struct Endpoints {
    urls: Vec<String>,
    at: usize,
    failed: usize,
}

impl Endpoints {
    /// Endpoints in order of preference.
    #[must_use]
    pub const fn new(urls: Vec<String>) -> Self {
        Self {
            urls,
            at: 0,
            failed: 0,
        }
    }

    /// The endpoint to try; empty if there is none at all.
    #[must_use]
    pub fn current(&self) -> &str {
        self.urls.get(self.at).map_or("", String::as_str)
    }

    /// The current one worked: stay with it.
    pub const fn worked(&mut self) {
        self.failed = 0;
    }

    /// The current one failed: go on to the next. `true` when all have failed in a row, so that a pause is due.
    pub fn failed(&mut self) -> bool {
        self.failed += 1;
        self.at = (self.at + 1) % self.urls.len().max(1);
        let round_over = self.failed >= self.urls.len();
        if round_over {
            self.failed = 0;
        }
        round_over
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn pauses_grow_to_their_cap_and_use_the_whole_width() {
        let (min, max) = (Duration::from_millis(100), Duration::from_secs(30));
        let mut rng = StdRng::seed_from_u64(7);
        let mut backoff = Backoff::new(min, max);
        let mut ceilings = Vec::new();
        for _ in 0..80 {
            let ceiling = backoff.ceiling();
            ceilings.push(ceiling);
            assert!(backoff.pause(&mut rng) <= ceiling);
        }
        assert_eq!(ceilings[..3], [min, min * 2, min * 4]);
        assert_eq!(*ceilings.last().unwrap(), max);
        let drawn: Vec<Duration> = (0..1_000).map(|_| backoff.pause(&mut rng)).collect();
        assert!(drawn.iter().any(|d| *d < max / 20) && drawn.iter().any(|d| *d > max / 20 * 19));
        backoff.reset();
        assert_eq!(backoff.ceiling(), min);
    }

    #[test]
    fn the_longest_pause_is_never_short() {
        let mut rng = StdRng::seed_from_u64(7);
        let backoff = Backoff::new(Duration::from_millis(1), Duration::from_secs(10));
        for _ in 0..100 {
            let pause = backoff.longest(&mut rng);
            assert!(pause >= Duration::from_secs(5) && pause <= Duration::from_secs(10));
        }
    }

    #[test]
    fn endpoints_are_tried_in_turn_and_a_round_ends_in_a_pause() {
        let mut endpoints = Endpoints::new(vec!["a".into(), "b".into(), "c".into()]);
        let mut tried = Vec::new();
        let mut pauses = Vec::new();
        for _ in 0..6 {
            tried.push(endpoints.current().to_owned());
            pauses.push(endpoints.failed());
        }
        assert_eq!(tried, ["a", "b", "c", "a", "b", "c"]);
        assert_eq!(pauses, [false, false, true, false, false, true]);
    }

    #[test]
    fn an_endpoint_that_worked_is_kept() {
        let mut endpoints = Endpoints::new(vec!["a".into(), "b".into()]);
        assert!(!endpoints.failed());
        endpoints.worked();
        assert_eq!(endpoints.current(), "b");
        assert!(
            !endpoints.failed(),
            "one failure after success is no full round"
        );
    }
}
