//! The uplink's metrics and the handles that its tasks hold.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use super::{
    core::{Dispatch, Now},
    fault::LinkFault,
};
use crate::{
    domain::{Lane, LaneMap},
    telemetry::{Kind, Metric},
};

macro_rules! metric {
    ($name:ident, $text:literal, $kind:ident, [$($label:literal),*], $help:literal) => {
        const $name: Metric =
            Metric { name: $text, kind: Kind::$kind, labels: &[$($label),*], help: $help };
    };
}

metric!(
    BATCHES,
    "sensegate_uplink_batches_sent_total",
    Counter,
    ["lane"],
    "Batches handed to the platform's stream, repeated ones included."
);
metric!(
    READINGS,
    "sensegate_uplink_readings_sent_total",
    Counter,
    ["lane"],
    "Readings handed to the platform's stream, repeated ones included."
);
metric!(
    BYTES,
    "sensegate_uplink_sent_bytes_total",
    Counter,
    ["lane"],
    "Bytes of readings handed to the platform's stream, before compression."
);
metric!(
    GAPS,
    "sensegate_uplink_gaps_sent_total",
    Counter,
    ["lane"],
    "Gap records handed to the platform's stream."
);
metric!(
    ACCEPTED,
    "sensegate_uplink_readings_accepted_total",
    Counter,
    ["lane"],
    "Readings that the platform acknowledged as stored."
);
metric!(
    REFUSED,
    "sensegate_uplink_readings_refused_total",
    Counter,
    ["lane"],
    "Readings that the platform refused for good."
);
metric!(
    ENDED,
    "sensegate_uplink_streams_ended_total",
    Counter,
    ["group", "reason"],
    "Streams, or attempts at one, that ended, by reason."
);
metric!(
    CONNECTED,
    "sensegate_uplink_connected",
    Gauge,
    ["group"],
    "1 while the lane group has a stream to the platform."
);
metric!(
    IN_FLIGHT,
    "sensegate_uplink_in_flight_bytes",
    Gauge,
    ["group"],
    "Bytes sent and not yet acknowledged."
);
metric!(
    UNDELIVERED,
    "sensegate_uplink_backlog_readings",
    Gauge,
    ["lane"],
    "Durable readings that the platform does not hold yet."
);
metric!(
    ACK,
    "sensegate_uplink_ack_seconds",
    Histogram,
    ["lane"],
    "Time from handing a batch to the stream to its acknowledgement."
);
metric!(
    DELIVERY,
    "sensegate_uplink_delivery_seconds",
    Histogram,
    ["lane"],
    "Time from receiving a batch's oldest reading to the platform's acknowledgement."
);

/// All of the uplink's metrics.
pub const METRICS: &[Metric] = &[
    BATCHES,
    READINGS,
    BYTES,
    GAPS,
    ACCEPTED,
    REFUSED,
    ENDED,
    CONNECTED,
    IN_FLIGHT,
    UNDELIVERED,
    ACK,
    DELIVERY,
];

/// Handles of one lane.
pub(super) struct LaneMeters {
    batches: Counter,
    readings: Counter,
    bytes: Counter,
    gaps: Counter,
    accepted: Counter,
    pub(super) refused: Counter,
    undelivered: Gauge,
    ack: Histogram,
    delivery: Histogram,
}

impl LaneMeters {
    fn new(lane: Lane) -> Self {
        let lane = lane.name();
        Self {
            batches: counter!(BATCHES.name, "lane" => lane),
            readings: counter!(READINGS.name, "lane" => lane),
            bytes: counter!(BYTES.name, "lane" => lane),
            gaps: counter!(GAPS.name, "lane" => lane),
            accepted: counter!(ACCEPTED.name, "lane" => lane),
            refused: counter!(REFUSED.name, "lane" => lane),
            undelivered: gauge!(UNDELIVERED.name, "lane" => lane),
            ack: histogram!(ACK.name, "lane" => lane),
            delivery: histogram!(DELIVERY.name, "lane" => lane),
        }
    }

    pub(super) fn sent(&self, dispatch: &Dispatch) {
        if dispatch.readings == 0 {
            self.gaps.increment(1);
            return;
        }
        self.batches.increment(1);
        self.readings.increment(dispatch.readings);
        self.bytes.increment(dispatch.bytes as u64);
    }

    #[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
    pub(super) fn undelivered(&self, readings: u64) {
        self.undelivered.set(readings as f64);
    }

    pub(super) fn landed(&self, dispatch: &Dispatch, now: &Now) {
        if dispatch.readings == 0 {
            return;
        }
        self.accepted.increment(dispatch.readings);
        self.ack
            .record(now.steady.saturating_duration_since(dispatch.sent_at));
        if let Some(received) = dispatch.oldest_received_at {
            let nanos = now.calendar.0.saturating_sub(received.0);
            self.delivery.record(Duration::from_nanos(nanos));
        }
    }
}

/// Handles of one lane group's task.
pub(super) struct Meters {
    group: &'static str,
    pub(super) lanes: LaneMap<LaneMeters>,
    pub(super) connected: Gauge,
    pub(super) in_flight: Gauge,
}

impl Meters {
    pub(super) fn new(group: &'static str) -> Self {
        Self {
            group,
            lanes: LaneMap::from_fn(LaneMeters::new),
            connected: gauge!(CONNECTED.name, "group" => group),
            in_flight: gauge!(IN_FLIGHT.name, "group" => group),
        }
    }

    pub(super) fn ended(&self, fault: &LinkFault) {
        counter!(ENDED.name, "group" => self.group, "reason" => fault.name()).increment(1);
        self.connected.set(0.0);
        self.in_flight.set(0.0);
    }
}
