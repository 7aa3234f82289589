//! What the transports count: handshakes by how they ended, PROXY headers that were not taken, reloads of certificates
//! and when those expire. Labels are bounded sets; a client is never one.

use metrics::{Counter, counter, gauge};

use crate::{
    config::Transport,
    domain::UnixNanos,
    telemetry::{Kind, Metric},
};

const HANDSHAKES: &str = "sensegate_mqtt_handshakes_total";
const PROXY_FAULTS: &str = "sensegate_mqtt_proxy_failures_total";
const RELOADS: &str = "sensegate_tls_reloads_total";
const EXPIRY: &str = "sensegate_tls_certificate_expiry_timestamp_seconds";

/// Every metric of the transports.
pub const METRICS: &[Metric] = &[
    Metric {
        name: HANDSHAKES,
        kind: Kind::Counter,
        labels: &["transport", "result"],
        help: "TLS and WebSocket handshakes ended, by transport and result.",
    },
    Metric {
        name: PROXY_FAULTS,
        kind: Kind::Counter,
        labels: &["reason"],
        help: "Connections closed for want of a PROXY header that could be trusted, by reason.",
    },
    Metric {
        name: RELOADS,
        kind: Kind::Counter,
        labels: &["result"],
        help: "Listeners whose certificates, keys and revocation lists were read again, by result.",
    },
    Metric {
        name: EXPIRY,
        kind: Kind::Gauge,
        labels: &["listener"],
        help: "When the listener's certificate expires, in seconds since 1970.",
    },
];

/// How a handshake ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handshake {
    /// It succeeded.
    Done,
    /// It succeeded by resuming an earlier session.
    Resumed,
    /// The client's certificate is missing, or is not taken.
    Certificate,
    /// The client refused: an alert came.
    Refused,
    /// What the client sent is not the protocol, or nothing in common was found.
    Protocol,
    /// The HTTP request opened no WebSocket.
    Http,
    /// The connection ended before: the client left, or the deadline passed.
    Unfinished,
}

const RESULTS: [&str; 7] = [
    "done",
    "resumed",
    "certificate",
    "refused",
    "protocol",
    "http",
    "unfinished",
];

/// A listener's counters, fetched once.
pub(super) struct Handshakes([Counter; 7]);

impl Handshakes {
    pub(super) fn new(transport: Transport) -> Self {
        let transport = transport.scheme();
        Self(
            RESULTS
                .map(|result| counter!(HANDSHAKES, "transport" => transport, "result" => result)),
        )
    }

    pub(super) fn count(&self, how: Handshake) {
        let [
            done,
            resumed,
            certificate,
            refused,
            protocol,
            http,
            unfinished,
        ] = &self.0;
        match how {
            Handshake::Done => done,
            Handshake::Resumed => resumed,
            Handshake::Certificate => certificate,
            Handshake::Refused => refused,
            Handshake::Protocol => protocol,
            Handshake::Http => http,
            Handshake::Unfinished => unfinished,
        }
        .increment(1);
    }
}

impl std::fmt::Debug for Handshakes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handshakes").finish_non_exhaustive()
    }
}

/// Why a connection was closed before its PROXY header was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unannounced {
    /// Its address may not tell addresses.
    Untrusted,
    /// What came is no header, or none that is understood.
    Malformed,
    /// Nothing or too little came in time.
    Deadline,
    /// It ended before.
    Closed,
    /// Too many wait for their header already.
    Crowded,
}

impl Unannounced {
    pub(crate) fn count(self) {
        let reason = match self {
            Self::Untrusted => "untrusted",
            Self::Malformed => "malformed",
            Self::Deadline => "deadline",
            Self::Closed => "closed",
            Self::Crowded => "crowded",
        };
        counter!(PROXY_FAULTS, "reason" => reason).increment(1);
    }
}

pub(super) fn reloaded(result: &'static str) {
    counter!(RELOADS, "result" => result).increment(1);
}

pub(super) fn expires(listener: &str, at: UnixNanos) {
    let seconds = at.0 / 1_000_000_000;
    #[expect(
        clippy::cast_precision_loss,
        reason = "a gauge; exact for 285 million years"
    )]
    gauge!(EXPIRY, "listener" => listener.to_owned()).set(seconds as f64);
}
