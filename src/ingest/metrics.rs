//! What ingest counts. Class is a label on one counter only, and a bounded set: the catalogue's.

use metrics::{Counter, Gauge, counter, gauge};

use crate::{
    broker::Refusal,
    domain::QuarantineReason,
    normalise::{Classes, Encoded, ProfileOutcome},
    telemetry::{Kind, Metric},
};

/// The metrics of ingest.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "sensegate_ingest_readings_total",
        kind: Kind::Counter,
        labels: &["class"],
        help: "Readings normalised and handed to the spool, by class.",
    },
    Metric {
        name: "sensegate_ingest_quarantined_payloads_total",
        kind: Kind::Counter,
        labels: &["class", "reason"],
        help: "Payloads that could not be read as their class says, by class and reason; `unknown`: of no class in force.",
    },
    Metric {
        name: "sensegate_ingest_refused_publishes_total",
        kind: Kind::Counter,
        labels: &["reason"],
        help: "Publishes that were not taken: not authorised, topic invalid, lane or quarantine full.",
    },
    Metric {
        name: "sensegate_ingest_flagged_readings_total",
        kind: Kind::Counter,
        labels: &["flag"],
        help: "Readings taken with a mark: clock skew, a value out of its plausible range, unknown members.",
    },
    Metric {
        name: "sensegate_ingest_profile_events_total",
        kind: Kind::Counter,
        labels: &["event"],
        help: "What profiles met: frames read, records that their conditions left out, points and bytes that nobody mentions, pieces in quarantine that became whole.",
    },
    Metric {
        name: WAITING_TOPICS,
        kind: Kind::Gauge,
        labels: &[],
        help: "Topics on which a part of a frame or message waits for the rest.",
    },
    Metric {
        name: WAITING_BYTES,
        kind: Kind::Gauge,
        labels: &[],
        help: "Bytes of the parts of frames and messages that wait for the rest, bounded by normalise.pieces_bytes_max.",
    },
    Metric {
        name: RELOADS,
        kind: Kind::Counter,
        labels: &["result"],
        help: "Reloads of classes and profiles, by whether they were put in force.",
    },
];

const WAITING_TOPICS: &str = "sensegate_ingest_waiting_piece_topics";
const WAITING_BYTES: &str = "sensegate_ingest_waiting_piece_bytes";
const RELOADS: &str = "sensegate_ingest_reloads_total";

/// Counts a reload of classes and profiles.
pub(super) fn reloaded(result: &'static str) {
    counter!(RELOADS, "result" => result).increment(1);
}

/// Readings by class, indexed as the classes are.
#[derive(Debug)]
pub(super) struct ClassCounters(Vec<Counter>);

impl ClassCounters {
    pub(super) fn new(classes: &Classes) -> Self {
        Self(
            classes
                .iter()
                .map(|class| counter!("sensegate_ingest_readings_total", "class" => class.id().to_owned()))
                .collect(),
        )
    }

    pub(super) fn received(&self, class: usize, readings: u32) {
        if let Some(counter) = self.0.get(class) {
            counter.increment(u64::from(readings));
        }
    }
}

/// Handles to the other metrics of ingest.
#[derive(Debug)]
pub(super) struct IngestMetrics {
    not_authorised: Counter,
    topic_invalid: Counter,
    lane_full: Counter,
    skewed: Counter,
    out_of_range: Counter,
    unknown_member: Counter,
    frames: Counter,
    skipped_records: Counter,
    unmapped_points: Counter,
    noise_bytes: Counter,
    joined_pieces: Counter,
    waiting_topics: Gauge,
    waiting_bytes: Gauge,
}

impl IngestMetrics {
    pub(super) fn new() -> Self {
        let refused =
            |reason| counter!("sensegate_ingest_refused_publishes_total", "reason" => reason);
        let flagged = |flag| counter!("sensegate_ingest_flagged_readings_total", "flag" => flag);
        let event = |event| counter!("sensegate_ingest_profile_events_total", "event" => event);
        Self {
            frames: event("frame"),
            skipped_records: event("skipped_record"),
            unmapped_points: event("unmapped_point"),
            noise_bytes: event("noise_byte"),
            joined_pieces: event("joined_piece"),
            waiting_topics: gauge!(WAITING_TOPICS),
            waiting_bytes: gauge!(WAITING_BYTES),
            not_authorised: refused("not_authorised"),
            topic_invalid: refused("topic_invalid"),
            lane_full: refused("lane_full"),
            skewed: flagged("clock_skew"),
            out_of_range: flagged("out_of_range"),
            unknown_member: flagged("unknown_member"),
        }
    }

    pub(super) fn read_by_profile(&self, outcome: &ProfileOutcome) {
        for (counter, count) in [
            (&self.frames, u64::from(outcome.frames)),
            (&self.skipped_records, u64::from(outcome.skipped)),
            (&self.unmapped_points, u64::from(outcome.unmapped)),
            (&self.noise_bytes, outcome.noise as u64),
            (&self.joined_pieces, outcome.joined.len() as u64),
        ] {
            if count > 0 {
                counter.increment(count);
            }
        }
    }

    /// Says how many topics and bytes wait for the rest of a frame or message.
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a double")]
    pub(super) fn waiting(&self, (topics, bytes): (usize, usize)) {
        self.waiting_topics.set(topics as f64);
        self.waiting_bytes.set(bytes as f64);
    }

    /// Most classes never have most reasons, so a series begins with its first payload.
    #[expect(clippy::unused_self, reason = "who counts has the handles")]
    pub(super) fn quarantined(&self, class: String, reason: QuarantineReason) {
        let name = "sensegate_ingest_quarantined_payloads_total";
        counter!(name, "class" => class, "reason" => reason.name()).increment(1);
    }

    pub(super) fn refused(&self, refusal: Refusal) {
        match refusal {
            Refusal::NotAuthorised => self.not_authorised.increment(1),
            Refusal::TopicInvalid => self.topic_invalid.increment(1),
            Refusal::QuotaExceeded => self.lane_full.increment(1),
        }
    }

    pub(super) fn flagged(&self, encoded: &Encoded) {
        for (counter, count) in [
            (&self.skewed, encoded.skewed),
            (&self.out_of_range, encoded.out_of_range),
            (&self.unknown_member, encoded.unknown_members),
        ] {
            if count > 0 {
                counter.increment(u64::from(count));
            }
        }
    }
}
