//! What source addresses did lately: how fast they connect, and how often what they said of themselves was wrong.
//!
//! An address behind which whole districts stand must not be shut for one faulty device: each success forgives a
//! failure. Beyond the failures allowed in a minute the address is turned away for a second; if it goes on, for two,
//! four and so on up to the longest time set. It starts afresh when it has had no failure for a minute.

use std::{net::IpAddr, time::Duration};

use super::{
    bucket::{Bucket, Nanos, Rate},
    recent::Recent,
};
use crate::config::ConnectLimits;

/// Addresses that are remembered, twice: 64 bytes each, 4 MiB at worst.
const GENERATION_MAX: usize = 32 * 1024;
/// The first penalty.
const PENALTY_MIN: Duration = Duration::from_secs(1);
/// Doublings after which the longest penalty is reached in any case.
const STRIKES_MAX: u8 = 30;

#[derive(Debug, Clone, Copy, Default)]
struct Conduct {
    connects: Bucket,
    failures: Bucket,
    shut_until: Nanos,
    strikes: u8,
}

/// Why a source is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unwelcome {
    /// It connects too fast.
    Rate,
    /// Too many of its connections failed to authenticate.
    Penalty,
}

/// The sources seen lately.
#[derive(Debug)]
pub(crate) struct Sources {
    lately: Recent<IpAddr, Conduct>,
    connects: Rate,
    failures: Rate,
    penalty_max: Duration,
}

impl Sources {
    pub(crate) fn new(limits: &ConnectLimits) -> Self {
        let connects = Rate::with_burst(
            u64::from(limits.per_address_per_s),
            u64::from(limits.per_address_burst),
        );
        let failures = Rate::per_minute(u64::from(limits.auth_failures_per_minute));
        let memory = connects
            .depth()
            .max(failures.depth())
            .max(limits.auth_penalty_max);
        Self {
            lately: Recent::new(GENERATION_MAX, memory),
            connects,
            failures,
            penalty_max: limits.auth_penalty_max,
        }
    }

    /// A source connects.
    pub(crate) fn connect(&mut self, source: IpAddr, now: Nanos) -> Result<(), Unwelcome> {
        let conduct = self.lately.entry(source, now);
        if now < conduct.shut_until {
            return Err(Unwelcome::Penalty);
        }
        conduct
            .connects
            .spend(&self.connects, now, 1)
            .map_err(|_wait| Unwelcome::Rate)
    }

    /// Whether a source is turned away for its failures.
    pub(crate) fn is_shut(&mut self, source: IpAddr, now: Nanos) -> bool {
        self.lately
            .get_mut(&source)
            .is_some_and(|conduct| now < conduct.shut_until)
    }

    /// A connection of a source failed to authenticate.
    pub(crate) fn failed(&mut self, source: IpAddr, now: Nanos) {
        let conduct = self.lately.entry(source, now);
        if conduct.failures.is_full(now) {
            conduct.strikes = 0;
        }
        let allowed = conduct.failures.spend(&self.failures, now, 1).is_ok();
        // What was on its way when the door shut is one offence.
        if allowed || now < conduct.shut_until {
            return;
        }
        let penalty = PENALTY_MIN
            .saturating_mul(1 << conduct.strikes)
            .min(self.penalty_max);
        conduct.shut_until = now.plus(penalty);
        conduct.strikes = (conduct.strikes + 1).min(STRIKES_MAX);
    }

    /// A connection of a source proved who it is.
    pub(crate) fn proved(&mut self, source: IpAddr, now: Nanos) {
        if let Some(conduct) = self.lately.get_mut(&source)
            && !conduct.failures.is_full(now)
        {
            conduct.failures.refund(&self.failures, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const SECOND: u64 = 1_000_000_000;

    fn sources() -> Sources {
        Sources::new(&ConnectLimits {
            per_s: 1,
            burst: Duration::ZERO,
            per_address_per_s: 10,
            per_address_burst: 20,
            waiting_max: 1,
            wait_max: Duration::ZERO,
            auth_failures_per_minute: 6,
            auth_penalty_max: Duration::from_secs(8),
        })
    }

    #[test]
    fn a_source_may_connect_in_a_burst_and_then_at_its_rate() {
        let mut sources = sources();
        let mut count = |now| {
            (0..100)
                .filter(|_| sources.connect(HERE, Nanos(now)).is_ok())
                .count()
        };
        assert_eq!(count(0), 20);
        assert_eq!(count(SECOND), 10);
        assert_eq!(count(SECOND), 0);
        let there = IpAddr::from([10, 0, 0, 1]);
        assert_eq!(sources.connect(there, Nanos(SECOND)), Ok(()));
    }

    #[test]
    fn penalties_double_up_to_the_longest_and_a_quiet_minute_ends_them() {
        let mut sources = sources();
        let mut now = 0;
        for penalty in [1, 2, 4, 8, 8] {
            let mut failures = 0;
            while !sources.is_shut(HERE, Nanos(now)) {
                sources.failed(HERE, Nanos(now));
                failures += 1;
                assert!(failures <= 7);
            }
            assert_eq!(sources.connect(HERE, Nanos(now)), Err(Unwelcome::Penalty));
            // More failures on their way change nothing.
            sources.failed(HERE, Nanos(now));
            now += penalty * SECOND;
            assert!(sources.is_shut(HERE, Nanos(now - 1)));
            assert!(!sources.is_shut(HERE, Nanos(now)), "{penalty}");
        }
        now += 70 * SECOND;
        for _ in 0..6 {
            sources.failed(HERE, Nanos(now));
            assert!(!sources.is_shut(HERE, Nanos(now)));
        }
        sources.failed(HERE, Nanos(now));
        assert!(sources.is_shut(HERE, Nanos(now + SECOND - 1)));
        assert!(!sources.is_shut(HERE, Nanos(now + SECOND)));
    }

    #[test]
    fn one_faulty_device_behind_a_nat_does_not_shut_out_its_neighbours() {
        let mut sources = sources();
        for second in 0..600 {
            let now = Nanos(second * SECOND);
            sources.failed(HERE, now);
            sources.proved(HERE, now);
            assert!(!sources.is_shut(HERE, now));
        }
    }
}
