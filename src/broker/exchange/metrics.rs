//! What subscribers get and what they lose.

use metrics::{Counter, Gauge, counter, gauge};

use super::Exchange;
use crate::telemetry::{Kind, Metric};

const LETTERS_DROPPED: &str = "sensegate_mqtt_messages_dropped_total";
const SUBSCRIPTIONS: &str = "sensegate_mqtt_subscriptions";
const RETAINED: &str = "sensegate_mqtt_retained_messages";
const RETAINED_BYTES: &str = "sensegate_mqtt_retained_bytes";
const QUEUED_BYTES: &str = "sensegate_mqtt_queued_bytes";

/// Every metric of message exchange.
pub const EXCHANGE_METRICS: &[Metric] = &[
    Metric {
        name: LETTERS_DROPPED,
        kind: Kind::Counter,
        labels: &["reason"],
        help: "Messages that a session did not get, by reason: its queue was full, it was away at QoS 0, the message was too old or larger than the client takes.",
    },
    Metric {
        name: SUBSCRIPTIONS,
        kind: Kind::Gauge,
        labels: &[],
        help: "Subscriptions of all sessions; a shared one counts once, a device's to its own topic not at all.",
    },
    Metric {
        name: RETAINED,
        kind: Kind::Gauge,
        labels: &[],
        help: "Retained messages.",
    },
    Metric {
        name: RETAINED_BYTES,
        kind: Kind::Gauge,
        labels: &[],
        help: "What retained messages count against their bound.",
    },
    Metric {
        name: QUEUED_BYTES,
        kind: Kind::Gauge,
        labels: &[],
        help: "What messages that wait for sessions count against the bound of all queues.",
    },
];

/// Handles, fetched once.
pub(crate) struct ExchangeMetrics {
    pub(crate) dropped_full: Counter,
    pub(crate) dropped_away: Counter,
    pub(crate) dropped_expired: Counter,
    pub(crate) dropped_too_large: Counter,
    displaced: Counter,
    subscriptions: Gauge,
    retained: Gauge,
    retained_bytes: Gauge,
    queued_bytes: Gauge,
}

impl std::fmt::Debug for ExchangeMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExchangeMetrics").finish_non_exhaustive()
    }
}

impl ExchangeMetrics {
    pub(super) fn new() -> Self {
        let dropped = |reason: &'static str| counter!(LETTERS_DROPPED, "reason" => reason);
        Self {
            dropped_full: dropped("queue_full"),
            dropped_away: dropped("away"),
            dropped_expired: dropped("expired"),
            dropped_too_large: dropped("too_large"),
            displaced: dropped("displaced"),
            subscriptions: gauge!(SUBSCRIPTIONS),
            retained: gauge!(RETAINED),
            retained_bytes: gauge!(RETAINED_BYTES),
            queued_bytes: gauge!(QUEUED_BYTES),
        }
    }

    /// Letters made room for newer ones.
    pub(super) fn dropped_oldest(&self, count: usize) {
        if count > 0 {
            self.displaced
                .increment(u64::try_from(count).unwrap_or_default());
        }
    }
}

impl Exchange {
    /// Shows the gauges.
    #[expect(
        clippy::cast_precision_loss,
        reason = "gauges; exact up to 2^52 of anything"
    )]
    pub(crate) fn show(&self) {
        let metrics = &self.metrics;
        metrics.subscriptions.set(self.subscribers.len() as f64);
        metrics.retained.set(self.retained.len() as f64);
        metrics.retained_bytes.set(self.retained.bytes() as f64);
        metrics.queued_bytes.set(self.postage.total() as f64);
    }
}
