//! What one session may send: messages and bytes per second, two buckets of 8 bytes, and for a device the bucket of its
//! class, shared with all devices of it.
//!
//! Every packet counts, by what it costs the broker to take it:
//!
//! | packet | quarters of a message |
//! |---|---:|
//! | PUBACK, PUBREC, PUBCOMP: answers to the broker's own messages | 1 |
//! | SUBSCRIBE, UNSUBSCRIBE, AUTH: the tree, the disk, a check | 16 |
//! | PUBLISH, PUBREL, PINGREQ and everything else | 4 |
//!
//! Time comes in the pulse's eighths of a second: a packet costs no look at the clock, and what is paused goes on in
//! lumps of that length.

use std::{sync::Arc, time::Duration};

use super::{
    bucket::{Bucket, Nanos, Rate, SharedBucket},
    limit::Limit,
};
use crate::{
    broker::{
        principal::Principal,
        pulse::{Tick, Ticks},
    },
    config::RateLimits,
};

/// What [`cost`] of a message is.
pub(crate) const MESSAGE: u32 = 4;

const PUBLISH: u8 = 3;

/// What a packet costs, in quarters of a message, by its first byte.
pub(crate) const fn cost(first: u8) -> u32 {
    match first >> 4 {
        4 | 5 | 7 => 1,
        8 | 10 | 15 => 4 * MESSAGE,
        _ => MESSAGE,
    }
}

/// The rates of a session; two of these exist, for devices and for applications.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PacketLimits {
    messages: Rate,
    bytes: Rate,
}

impl PacketLimits {
    /// Rates per second and how much may come at once; at least two ticks' worth, below which the rate would be missed.
    pub(crate) fn new(messages_per_s: u32, bytes_per_s: u64, burst: Duration) -> Self {
        let burst = burst.max(Ticks::LENGTH * 2);
        Self {
            messages: Rate::per_second(u64::from(messages_per_s) * u64::from(MESSAGE), burst),
            bytes: Rate::per_second(bytes_per_s, burst),
        }
    }
}

/// The rates of sessions by who has them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SessionRates {
    device: PacketLimits,
    application: PacketLimits,
}

impl SessionRates {
    pub(crate) fn new(rates: &RateLimits) -> Self {
        Self {
            device: PacketLimits::new(rates.messages_per_s, rates.bytes_per_s, rates.burst),
            application: PacketLimits::new(
                rates.application_messages_per_s,
                rates.application_bytes_per_s,
                rates.burst,
            ),
        }
    }

    /// The rates of a principal's sessions.
    pub(crate) const fn of(&self, principal: &Principal) -> &PacketLimits {
        match principal {
            Principal::Application(_) => &self.application,
            Principal::Device(_) | Principal::Anonymous => &self.device,
        }
    }
}

/// More was sent than a limit allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overdrawn {
    /// How long until there is room again.
    pub(crate) wait: Duration,
    /// The limit.
    pub(crate) limit: Limit,
}

impl Overdrawn {
    /// Rounded up to when the pulse has surely moved far enough.
    fn new(wait: Duration, limit: Limit) -> Self {
        let ticks = Ticks::at_least(wait).0.max(1);
        Self {
            wait: Ticks::LENGTH.saturating_mul(ticks) + Ticks::LENGTH / 8,
            limit,
        }
    }
}

/// What a session may still send.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Budget {
    messages: Bucket,
    bytes: Bucket,
}

const _: () = assert!(
    size_of::<Budget>() <= 16,
    "a million sessions have one each"
);

impl Budget {
    /// Pays if the session may send more; otherwise nothing is paid and the packets are to be handed in again later.
    ///
    /// # Errors
    /// [`Overdrawn`]: a rate is exceeded.
    pub(crate) fn spend(
        &mut self,
        limits: &PacketLimits,
        now: Tick,
        packets: u32,
        bytes: u64,
    ) -> Result<(), Overdrawn> {
        let (now, packets) = (Nanos::from(now), u64::from(packets));
        self.messages
            .ready(&limits.messages, now, packets)
            .map_err(|wait| Overdrawn::new(wait, Limit::Messages))?;
        self.bytes
            .spend(&limits.bytes, now, bytes)
            .map_err(|wait| Overdrawn::new(wait, Limit::Bytes))?;
        self.messages.charge(&limits.messages, now, packets);
        Ok(())
    }

    /// Takes back what was paid for packets that are handed in again later.
    fn refund(&mut self, limits: &PacketLimits, packets: u32, bytes: u64) {
        self.messages.refund(&limits.messages, u64::from(packets));
        self.bytes.refund(&limits.bytes, bytes);
    }
}

/// What all devices of a class may publish.
#[derive(Debug)]
pub(crate) struct ClassBudget {
    rate: Rate,
    bucket: SharedBucket,
}

impl ClassBudget {
    pub(crate) fn new(messages_per_s: u32, burst: Duration) -> Self {
        let burst = burst.max(Ticks::LENGTH * 2);
        Self {
            rate: Rate::per_second(u64::from(messages_per_s), burst),
            bucket: SharedBucket::default(),
        }
    }

    /// Whether this has the rate that it should have.
    pub(crate) fn has_rate_of(&self, other: &Self) -> bool {
        self.rate == other.rate
    }

    /// Pays for publishes.
    pub(crate) fn spend(&self, now: Tick, publishes: u32) -> Result<(), Overdrawn> {
        self.bucket
            .spend(&self.rate, now.into(), u64::from(publishes))
            .map_err(|wait| Overdrawn::new(wait, Limit::ClassMessages))
    }
}

/// What a session may send, its class included.
#[derive(Debug, Default)]
pub(crate) struct Allowance {
    budget: Budget,
    class: Option<Arc<ClassBudget>>,
    next: Next,
}

/// Whether the next packet costs anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Next {
    #[default]
    Costs,
    /// It was paid for when it was handled in vain.
    IsPaid,
}

impl Allowance {
    /// Of a device, with its class's budget, or of somebody without one.
    pub(crate) fn new(class: Option<Arc<ClassBudget>>) -> Self {
        Self {
            class,
            ..Self::default()
        }
    }

    /// Pays for one packet by its first byte and its length; all or nothing.
    ///
    /// # Errors
    /// [`Overdrawn`]: a rate is exceeded.
    pub(crate) fn spend(
        &mut self,
        limits: &PacketLimits,
        now: Tick,
        first: u8,
        bytes: usize,
    ) -> Result<(), Overdrawn> {
        if std::mem::take(&mut self.next) == Next::IsPaid {
            return Ok(());
        }
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.budget.spend(limits, now, cost(first), bytes)?;
        if first >> 4 == PUBLISH
            && let Some(class) = &self.class
            && let Err(overdrawn) = class.spend(now, 1)
        {
            self.budget.refund(limits, cost(first), bytes);
            return Err(overdrawn);
        }
        Ok(())
    }

    /// The packet that was just paid for could not be handled and will be handed in again: once more for nothing.
    pub(crate) fn keep(&mut self) {
        self.next = Next::IsPaid;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PINGREQ: u8 = 0xc0;
    const PUBACK: u8 = 0x40;
    const SUBSCRIBE: u8 = 0x82;

    fn packets(allowance: &mut Allowance, limits: &PacketLimits, now: Tick, first: u8) -> usize {
        (0..1_000_000)
            .take_while(|_| allowance.spend(limits, now, first, 2).is_ok())
            .count()
    }

    #[test]
    fn every_packet_counts_by_its_cost() {
        let limits = PacketLimits::new(100, 1 << 30, Duration::from_secs(1));
        for (first, most) in [
            (PINGREQ, 100),
            (0x32, 100),
            (0x62, 100),
            (PUBACK, 400),
            (SUBSCRIBE, 25),
        ] {
            let mut allowance = Allowance::default();
            let sent = packets(&mut allowance, &limits, Tick(8), first);
            assert_eq!(sent, most, "{first:#x}");
            // A second later the same again.
            let sent = packets(&mut allowance, &limits, Tick(16), first);
            assert_eq!(sent, most, "{first:#x}");
        }
    }

    #[test]
    fn whichever_is_exceeded_first_is_told_and_nothing_is_paid_then() {
        let limits = PacketLimits::new(1_000_000, 1_000, Duration::from_secs(1));
        let mut budget = Budget::default();
        budget
            .spend(&limits, Tick(0), MESSAGE, 5_000)
            .expect("a packet larger than the bucket passes");
        let before = budget.bytes;
        let overdrawn = budget.spend(&limits, Tick(0), MESSAGE, 1).unwrap_err();
        assert_eq!(overdrawn.limit, Limit::Bytes);
        assert!((4_001..4_300).contains(&overdrawn.wait.as_millis()));
        assert_eq!(budget.bytes, before);
        budget.spend(&limits, Tick(33), MESSAGE, 1).unwrap();
    }

    #[test]
    fn after_the_wait_there_is_room_whatever_the_phase_of_the_clock() {
        let limits = PacketLimits::new(8, 1 << 20, Duration::ZERO);
        let mut budget = Budget::default();
        let mut tick = Tick(0);
        let mut sent = 0;
        while tick.0 < 8 * 60 {
            match budget.spend(&limits, tick, MESSAGE, 1) {
                Ok(()) => sent += 1,
                Err(overdrawn) => {
                    let ticks = overdrawn.wait.as_nanos() / Ticks::LENGTH.as_nanos();
                    tick = tick.plus(Ticks(u32::try_from(ticks).unwrap()));
                    assert!({ budget }.spend(&limits, tick, MESSAGE, 1).is_ok());
                }
            }
        }
        assert!((480..=483).contains(&sent), "{sent}");
    }

    #[test]
    fn a_packet_that_has_to_be_handed_in_again_is_paid_for_once() {
        let limits = PacketLimits::new(10, 1 << 30, Duration::from_secs(1));
        let mut allowance = Allowance::default();
        for _ in 0..10 {
            for _ in 0..5 {
                assert!(allowance.spend(&limits, Tick(8), PINGREQ, 2).is_ok());
                allowance.keep();
            }
            assert!(allowance.spend(&limits, Tick(8), PINGREQ, 2).is_ok());
        }
        assert!(allowance.spend(&limits, Tick(8), PINGREQ, 2).is_err());
    }

    #[test]
    fn a_class_bounds_its_devices_together_and_what_is_no_publish_not_at_all() {
        let limits = PacketLimits::new(1_000, 1 << 30, Duration::from_secs(1));
        let class = Arc::new(ClassBudget::new(100, Duration::from_secs(1)));
        let mut devices: Vec<_> = (0..4)
            .map(|_| Allowance::new(Some(Arc::clone(&class))))
            .collect();
        let mut sent = 0;
        for _ in 0..1000 {
            for device in &mut devices {
                sent += usize::from(device.spend(&limits, Tick(8), 0x30, 100).is_ok());
            }
        }
        assert_eq!(sent, 100);
        let refused = devices[0].spend(&limits, Tick(8), 0x30, 100).unwrap_err();
        assert_eq!(refused.limit, Limit::ClassMessages);
        // What the class refused did not cost the device anything.
        assert_eq!(
            packets(&mut devices[0], &limits, Tick(8), PINGREQ),
            1_000 - 25
        );
    }
}
