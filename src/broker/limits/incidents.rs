//! The book of what the limits did: a counter for each limit, and who ran into it, in lists of bounded length. Identities
//! stand in the lists only, never in a label.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex},
};

use metrics::{Counter, counter};

use super::{
    limit::Limit,
    metrics::LIMITED,
    offenders::{Address, Name, Offenders, Sketch},
};
use crate::{
    broker::{gate::source, line::locked, principal::Principal},
    domain::Clock,
};

/// Who ran into a limit.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Who<'a> {
    /// A client that is in.
    Principal(&'a Principal),
    /// A source address, before anything else is known.
    Source(IpAddr),
}

/// The book.
pub(crate) struct Incidents {
    clock: Arc<dyn Clock>,
    counters: [Counter; Limit::ALL.len()],
    identities: Mutex<Sketch<Name>>,
    addresses: Mutex<Sketch<Address>>,
}

impl std::fmt::Debug for Incidents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incidents").finish_non_exhaustive()
    }
}

impl Incidents {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            counters: Limit::ALL.map(|limit| counter!(LIMITED, "limit" => limit.name())),
            identities: Mutex::default(),
            addresses: Mutex::default(),
        }
    }

    /// Enters that a limit bit somebody.
    pub(crate) fn note(&self, limit: Limit, who: Who<'_>) {
        if let Some(counter) = self.counters.get(limit.number()) {
            counter.increment(1);
        }
        let now = self.clock.now();
        match who {
            Who::Principal(principal) => {
                let name = match principal {
                    Principal::Device(identity) => identity.as_str(),
                    Principal::Application(name) => name,
                    Principal::Anonymous => "anonymous",
                };
                locked(&self.identities).note(name, limit, now);
            }
            Who::Source(address) => locked(&self.addresses).note(&source(address), limit, now),
        }
    }

    /// The lists as they are now.
    pub(crate) fn offenders(&self) -> Offenders {
        Offenders {
            identities: locked(&self.identities).list(),
            addresses: locked(&self.addresses).list(),
        }
    }
}
