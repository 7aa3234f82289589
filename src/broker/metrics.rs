//! The broker's metrics. Labels are bounded sets; a device is never one. Connections count in locals and add once per
//! turn, so the hot path touches each shared counter once for a burst.

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use rmqtt_codec::v5::{ConnectAckReason, DisconnectReasonCode};

use super::{scratch::Tally, session::Released, wire::Version};
use crate::telemetry::{Kind, Metric};

const CONNECTIONS: &str = "sensegate_mqtt_connections";
pub(super) const CONNECTS: &str = "sensegate_mqtt_connects_total";
const DISCONNECTS: &str = "sensegate_mqtt_disconnects_total";
const PUBLISHES: &str = "sensegate_mqtt_publishes_received_total";
const RECEIVED_BYTES: &str = "sensegate_mqtt_received_bytes_total";
const SENT_BYTES: &str = "sensegate_mqtt_sent_bytes_total";
const ACKS: &str = "sensegate_mqtt_acknowledgements_sent_total";
const DROPPED: &str = "sensegate_mqtt_publishes_dropped_total";
const VIOLATIONS: &str = "sensegate_mqtt_protocol_errors_total";
const AUTH_FAILURES: &str = "sensegate_mqtt_authentication_failures_total";
const BACKPRESSURE: &str = "sensegate_mqtt_backpressure_seconds";
const ACCEPT_ERRORS: &str = "sensegate_mqtt_accept_errors_total";
const AWAY: &str = "sensegate_mqtt_sessions_away";
const AWAY_LOST: &str = "sensegate_mqtt_sessions_not_kept_total";
const PANICS: &str = "sensegate_mqtt_connection_panics_total";
const WILLS: &str = "sensegate_mqtt_wills_total";
const MESSAGES: &str = "sensegate_mqtt_messages_sent_total";

/// Every metric of the broker.
pub const METRICS: &[Metric] = &[
    metric(CONNECTIONS, Kind::Gauge, &[], "Open MQTT connections."),
    metric(
        CONNECTS,
        Kind::Counter,
        &["outcome"],
        "CONNECT packets answered, and connections turned away before, by outcome.",
    ),
    metric(
        DISCONNECTS,
        Kind::Counter,
        &["reason"],
        "Connections ended, by reason.",
    ),
    metric(
        PUBLISHES,
        Kind::Counter,
        &["qos"],
        "PUBLISH packets taken from clients, by QoS.",
    ),
    metric(
        RECEIVED_BYTES,
        Kind::Counter,
        &[],
        "Bytes read from MQTT clients.",
    ),
    metric(
        SENT_BYTES,
        Kind::Counter,
        &[],
        "Bytes written to MQTT clients.",
    ),
    metric(
        ACKS,
        Kind::Counter,
        &["result"],
        "PUBACK and PUBREC packets sent, by what they said of the publish.",
    ),
    metric(
        DROPPED,
        Kind::Counter,
        &["reason"],
        "Publishes at QoS 0 that were refused, by reason: their clients cannot be told.",
    ),
    metric(
        VIOLATIONS,
        Kind::Counter,
        &["version"],
        "Connections ended because the client broke the protocol, by version.",
    ),
    metric(
        AUTH_FAILURES,
        Kind::Counter,
        &[],
        "CONNECT packets turned away for their credentials.",
    ),
    metric(
        BACKPRESSURE,
        Kind::Histogram,
        &[],
        "Time for which a connection was not read because there was no room for its publish.",
    ),
    metric(
        ACCEPT_ERRORS,
        Kind::Counter,
        &[],
        "Errors while accepting connections, such as too many open files.",
    ),
    metric(
        AWAY,
        Kind::Gauge,
        &[],
        "Sessions kept for clients that are away.",
    ),
    metric(
        AWAY_LOST,
        Kind::Counter,
        &[],
        "Sessions that ended with their connection because too many are kept already.",
    ),
    metric(
        PANICS,
        Kind::Counter,
        &[],
        "Connection tasks that panicked; each one is a bug.",
    ),
    metric(
        WILLS,
        Kind::Counter,
        &["outcome"],
        "Wills of connections that died, by what became of them.",
    ),
    metric(
        MESSAGES,
        Kind::Counter,
        &[],
        "Messages sent to devices, repetitions not counted.",
    ),
];

const fn metric(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric {
        name,
        kind,
        labels,
        help,
    }
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The client said DISCONNECT.
    Client,
    /// The client closed the socket without a word.
    Closed,
    /// The socket failed.
    Failed,
    /// The broker ended it.
    Broker(DisconnectReasonCode),
    /// The client was turned away at CONNECT.
    TurnedAway,
    /// CONNECT did not come in time.
    ConnectDeadline,
    /// A packet took too long to arrive, or answers too long to leave.
    Stalled,
}

impl Ending {
    const fn name(self) -> &'static str {
        use DisconnectReasonCode as Reason;
        match self {
            Self::Client => "client",
            Self::Closed => "closed",
            Self::Failed => "io_error",
            Self::TurnedAway => "turned_away",
            Self::ConnectDeadline => "connect_deadline",
            Self::Stalled => "stalled",
            Self::Broker(Reason::MalformedPacket) => "malformed",
            Self::Broker(Reason::ProtocolError) => "protocol_error",
            Self::Broker(Reason::KeepAliveTimeout) => "keep_alive",
            Self::Broker(Reason::SessionTakenOver) => "taken_over",
            Self::Broker(Reason::ServerShuttingDown) => "shutdown",
            Self::Broker(Reason::PacketTooLarge) => "packet_too_large",
            Self::Broker(Reason::ReceiveMaximumExceeded) => "receive_maximum",
            Self::Broker(Reason::TopicAliasInvalid) => "topic_alias",
            Self::Broker(Reason::TopicNameInvalid) => "topic_invalid",
            Self::Broker(Reason::RetainNotSupported) => "retain",
            Self::Broker(Reason::QuotaExceeded) => "quota",
            Self::Broker(Reason::NotAuthorized) => "not_authorised",
            Self::Broker(Reason::MessageRateTooHigh) => "message_rate",
            Self::Broker(_) => "other",
        }
    }
}

/// Handles to every metric, fetched once.
pub(crate) struct BrokerMetrics {
    pub(crate) connections: Gauge,
    publishes: [Counter; 3],
    received_bytes: Counter,
    sent_bytes: Counter,
    pub(crate) backpressure: Histogram,
    pub(crate) accept_errors: Counter,
    pub(crate) auth_failures: Counter,
    pub(crate) away: Gauge,
    pub(crate) away_lost: Counter,
    pub(crate) panics: Counter,
    pub(crate) messages: Counter,
    acks: [Counter; 3],
    accepted: Counter,
}

impl std::fmt::Debug for BrokerMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BrokerMetrics").finish_non_exhaustive()
    }
}

impl BrokerMetrics {
    pub(crate) fn new() -> Self {
        Self {
            connections: gauge!(CONNECTIONS),
            publishes: ["0", "1", "2"].map(|qos| counter!(PUBLISHES, "qos" => qos)),
            received_bytes: counter!(RECEIVED_BYTES),
            sent_bytes: counter!(SENT_BYTES),
            backpressure: histogram!(BACKPRESSURE),
            accept_errors: counter!(ACCEPT_ERRORS),
            auth_failures: counter!(AUTH_FAILURES),
            away: gauge!(AWAY),
            away_lost: counter!(AWAY_LOST),
            panics: counter!(PANICS),
            messages: counter!(MESSAGES),
            acks: ["stored", "quarantined", "refused"]
                .map(|result| counter!(ACKS, "result" => result)),
            accepted: counter!(CONNECTS, "outcome" => "accepted"),
        }
    }

    pub(crate) fn accepted(&self) {
        self.accepted.increment(1);
    }

    pub(crate) fn turned_away(&self, reason: ConnectAckReason) {
        use ConnectAckReason as Reason;
        let outcome = match reason {
            Reason::BadUserNameOrPassword | Reason::NotAuthorized => "not_authorised",
            Reason::Banned => "banned",
            Reason::BadAuthenticationMethod => "authentication_method",
            Reason::ServerBusy => "busy",
            Reason::QuotaExceeded => "quota",
            Reason::ConnectionRateExceeded => "rate",
            Reason::UnsupportedProtocolVersion => "version",
            Reason::ClientIdentifierNotValid => "client_id",
            Reason::MalformedPacket | Reason::ProtocolError => "malformed",
            Reason::RetainNotSupported => "retain",
            _ => "other",
        };
        if matches!(
            reason,
            Reason::BadUserNameOrPassword | Reason::NotAuthorized | Reason::Banned
        ) {
            self.auth_failures.increment(1);
        }
        counter!(CONNECTS, "outcome" => outcome).increment(1);
    }

    pub(crate) fn ended(&self, ending: Ending) {
        counter!(DISCONNECTS, "reason" => ending.name()).increment(1);
    }

    pub(crate) fn violated(&self, version: Version) {
        counter!(VIOLATIONS, "version" => version.name()).increment(1);
    }

    pub(crate) fn dropped(&self, reason: &'static str) {
        counter!(DROPPED, "reason" => reason).increment(1);
    }

    pub(crate) fn will(&self, outcome: &'static str) {
        counter!(WILLS, "outcome" => outcome).increment(1);
    }

    pub(crate) fn tallied(&self, tally: &mut Tally) {
        for (counter, count) in self.publishes.iter().zip(&mut tally.publishes) {
            if *count > 0 {
                counter.increment(u64::from(std::mem::take(count)));
            }
        }
        if tally.received_bytes > 0 {
            self.received_bytes
                .increment(std::mem::take(&mut tally.received_bytes));
        }
        if tally.sent_bytes > 0 {
            self.sent_bytes
                .increment(std::mem::take(&mut tally.sent_bytes));
        }
    }

    pub(crate) fn released(&self, released: Released) {
        let counts = [released.success, released.quarantined, released.refused];
        for (counter, count) in self.acks.iter().zip(counts) {
            if count > 0 {
                counter.increment(u64::from(count));
            }
        }
    }
}
