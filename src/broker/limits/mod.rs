//! What a client may cost. Cores without I/O, with time handed in, and two thin shells: [`Admission`] for new connections
//! and [`Limits`] for those that are in.
//!
//! ```text
//!  accept ─▶ Admission: Sources (rate, failures) ─▶ Door ─▶ at once, or the Room and its turn ─▶ Gate ─▶ connection
//!  packet ─▶ Limits: Allowance (Budget of the session, ClassBudget of all devices of the class)
//!                └─ whatever bites ─▶ Incidents: one counter a limit, and the lists of offenders
//! ```
//!
//! Invariants: every table here has a bound and every operation takes a bounded number of steps; no limit on one client,
//! class or address is paid by another; a device is never a metric's label.

mod bucket;
mod limit;
mod budget;
mod classes;
mod chain;
mod room;
mod recent;
mod sources;
mod door;
mod admission;
mod offenders;
mod incidents;
mod metrics;

pub(crate) use admission::{Admission, Verdict};
pub(crate) use budget::{Allowance, Overdrawn};
pub(crate) use incidents::{Incidents, Who};
pub(crate) use limit::Limit;
pub use metrics::METRICS;
pub use offenders::{Offender, Offenders};

use std::sync::Arc;

use self::{budget::SessionRates, classes::ClassBudgets};
use super::{principal::Principal, pulse::Tick};
use crate::config::{RateLimits, RatePolicy};

/// The limits on clients that are in.
#[derive(Debug)]
pub(crate) struct Limits {
    policy: RatePolicy,
    rates: SessionRates,
    classes: ClassBudgets,
    incidents: Arc<Incidents>,
}

impl Limits {
    pub(crate) fn new(rates: &RateLimits, incidents: Arc<Incidents>) -> Self {
        Self {
            policy: rates.policy,
            rates: SessionRates::new(rates),
            classes: ClassBudgets::new(rates),
            incidents,
        }
    }

    /// What happens to a client that is [`Overdrawn`].
    pub(crate) const fn policy(&self) -> RatePolicy {
        self.policy
    }

    /// What a client that comes in may send.
    pub(crate) fn allowance(&self, principal: &Principal) -> Allowance {
        let class = principal
            .identity()
            .map(|identity| self.classes.of(identity.class()));
        Allowance::new(class)
    }

    /// Pays for a packet of a client, given by its first byte and its length. If a rate is exceeded, nothing is paid, and
    /// the packet is to be handed in again after the wait, or the client to be sent away: [`Self::policy`].
    ///
    /// # Errors
    /// [`Overdrawn`], which is counted here already.
    pub(crate) fn spend(
        &self,
        allowance: &mut Allowance,
        principal: &Principal,
        now: Tick,
        (first, bytes): (u8, usize),
    ) -> Result<(), Overdrawn> {
        let rates = self.rates.of(principal);
        let spent = allowance.spend(rates, now, first, bytes);
        if let Err(overdrawn) = spent {
            self.bite(overdrawn.limit, Who::Principal(principal));
        }
        spent
    }

    /// Puts classes in force.
    pub(crate) fn replace_classes<'a>(&self, classes: impl IntoIterator<Item = &'a str>) {
        self.classes.replace(classes);
    }

    /// Counts that a limit bit somebody.
    pub(crate) fn bite(&self, limit: Limit, who: Who<'_>) {
        self.incidents.note(limit, who);
    }
}
