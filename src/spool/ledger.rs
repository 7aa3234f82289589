//! The ledger: what became of every reading that was ever received. It is written with the data it speaks of, in one
//! write batch, so it balances after a crash at any moment:
//!
//! received = delivered + spooled + quarantined + suppressed + dropped(by reason)
//!
//! A payload that cannot be read counts as one reading.

use crate::domain::{DropReason, LaneMap};

/// How many drop reasons there are.
pub(super) const DROP_REASONS: usize = DropReason::ALL.len();

/// One lane's counters, in readings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LaneLedger {
    /// Taken from devices, acknowledged or at `QoS` 0.
    pub received: u64,
    /// Held by the platform.
    pub delivered: u64,
    /// In blocks on disk, not yet delivered.
    pub spooled: u64,
    /// In quarantine.
    pub quarantined: u64,
    /// Left out by a rule of the operator.
    pub suppressed: u64,
    pub(super) dropped: [u64; DROP_REASONS],
}

impl LaneLedger {
    /// Readings dropped for a reason.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        slot(reason)
            .and_then(|at| self.dropped.get(at))
            .copied()
            .unwrap_or_default()
    }

    /// Readings dropped, for whatever reason.
    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().sum()
    }

    /// Whether every reading received is accounted for.
    #[must_use]
    pub fn balances(&self) -> bool {
        let accounted = [
            self.delivered,
            self.spooled,
            self.quarantined,
            self.suppressed,
        ]
        .into_iter()
        .chain(self.dropped)
        .try_fold(0_u64, u64::checked_add);
        accounted == Some(self.received)
    }

    pub(super) fn drop_more(&mut self, reason: DropReason, count: u64) {
        if let Some(dropped) = slot(reason).and_then(|at| self.dropped.get_mut(at)) {
            *dropped = dropped.saturating_add(count);
        }
    }

    /// Takes back what had been counted as dropped; returns how much there was to take back.
    pub(super) fn drop_less(&mut self, reason: DropReason, count: u64) -> u64 {
        let Some(dropped) = slot(reason).and_then(|at| self.dropped.get_mut(at)) else {
            return 0;
        };
        let taken = count.min(*dropped);
        *dropped -= taken;
        taken
    }
}

fn slot(reason: DropReason) -> Option<usize> {
    DropReason::ALL.iter().position(|known| *known == reason)
}

/// The ledger of all lanes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Each lane's counters.
    pub lanes: LaneMap<LaneLedger>,
}

impl Ledger {
    /// Whether every lane balances.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.lanes.iter().all(|(_, lane)| lane.balances())
    }

    /// The sum over all lanes.
    #[must_use]
    pub fn total(&self) -> LaneLedger {
        let mut total = LaneLedger::default();
        for (_, lane) in self.lanes.iter() {
            total.received += lane.received;
            total.delivered += lane.delivered;
            total.spooled += lane.spooled;
            total.quarantined += lane.quarantined;
            total.suppressed += lane.suppressed;
            for (sum, dropped) in total.dropped.iter_mut().zip(lane.dropped) {
                *sum += dropped;
            }
        }
        total
    }
}
