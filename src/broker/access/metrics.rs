//! Metrics of access: who was let in by which method and why not, what rights refused, and how reloads went.

use metrics::{Counter, counter};

use crate::telemetry::{Kind, Metric};

const AUTHENTICATIONS: &str = "sensegate_access_authentications_total";
const DENIALS: &str = "sensegate_access_denials_total";
const RELOADS: &str = "sensegate_access_reloads_total";

/// Every metric of access.
pub const METRICS: &[Metric] = &[
    Metric {
        name: AUTHENTICATIONS,
        kind: Kind::Counter,
        labels: &["method", "result"],
        help: "Credentials of CONNECT packets, by the method that decided on them and what it found.",
    },
    Metric {
        name: DENIALS,
        kind: Kind::Counter,
        labels: &["kind"],
        help: "Publishes and subscriptions that no rule allows.",
    },
    Metric {
        name: RELOADS,
        kind: Kind::Counter,
        labels: &["result"],
        help: "Reloads of keys, token keys, passwords, revocations and rights, by whether they were put in force.",
    },
];

/// Counts what a method found; both are names of a bounded set, never a client's.
pub(crate) fn authenticated(method: &'static str, result: &'static str) {
    counter!(AUTHENTICATIONS, "method" => method, "result" => result).increment(1);
}

/// Whether what was read again is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reloaded {
    InForce,
    Refused,
}

/// Counts a reload.
pub(crate) fn reloaded(result: Reloaded) {
    let result = match result {
        Reloaded::InForce => "in_force",
        Reloaded::Refused => "refused",
    };
    counter!(RELOADS, "result" => result).increment(1);
}

/// Counts denials, fetched once: a client may be refused as often as it likes.
pub(crate) struct Denials {
    pub(crate) publish: Counter,
    pub(crate) subscribe: Counter,
}

impl Denials {
    pub(crate) fn new() -> Self {
        Self {
            publish: counter!(DENIALS, "kind" => "publish"),
            subscribe: counter!(DENIALS, "kind" => "subscribe"),
        }
    }
}

impl std::fmt::Debug for Denials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Denials")
    }
}
