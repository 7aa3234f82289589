//! The metrics of limits.

use crate::telemetry::{Kind, Metric};

pub(super) const LIMITED: &str = "sensegate_mqtt_limited_total";
pub(super) const WAITING: &str = "sensegate_mqtt_connects_waiting";
pub(super) const WAITED: &str = "sensegate_mqtt_connect_wait_seconds";

/// Every metric of limits.
pub const METRICS: &[Metric] = &[
    Metric {
        name: LIMITED,
        kind: Kind::Counter,
        labels: &["limit"],
        help: "How often a limit bit a client, by limit; docs/limits.md says what the client sees.",
    },
    Metric {
        name: WAITING,
        kind: Kind::Gauge,
        labels: &[],
        help: "Sockets that wait for their turn to come in.",
    },
    Metric {
        name: WAITED,
        kind: Kind::Histogram,
        labels: &[],
        help: "How long connections that had to wait for their turn waited until they were let in.",
    },
];
