//! What the spool tells Prometheus. Handles are taken once, so the exporter must be installed before the spool opens.

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use super::{book::Book, quarantine::Sum};
use crate::{
    domain::{DropReason, Lane, LaneMap, QuarantineReason, UnixNanos},
    telemetry::{Kind, Metric},
};

const RECEIVED: &str = "sensegate_readings_received_total";
const DELIVERED: &str = "sensegate_readings_delivered_total";
const SUPPRESSED: &str = "sensegate_readings_suppressed_total";
const DROPPED: &str = "sensegate_readings_dropped_total";
const SPOOLED: &str = "sensegate_readings_spooled";
const QUARANTINED: &str = "sensegate_readings_quarantined";
const LANE_BYTES: &str = "sensegate_spool_lane_bytes";
const OLDEST_AGE: &str = "sensegate_spool_oldest_age_seconds";
const QUARANTINE_BYTES: &str = "sensegate_quarantine_bytes";
const QUARANTINE_ENTRIES: &str = "sensegate_quarantine_entries";
const QUARANTINE_RELEASED: &str = "sensegate_quarantine_released_total";
const COMMIT_SECONDS: &str = "sensegate_spool_commit_seconds";
const GROUP_READINGS: &str = "sensegate_spool_group_readings";
const RAW_BYTES: &str = "sensegate_spool_block_raw_bytes_total";
const STORED_BYTES: &str = "sensegate_spool_block_stored_bytes_total";
const BLOCKS: &str = "sensegate_spool_blocks_total";
const WRITABLE: &str = "sensegate_spool_writable";
const WRITE_FAILURES: &str = "sensegate_spool_write_failures_total";
const BUSY: &str = "sensegate_spool_busy_total";
const LANE_FULL: &str = "sensegate_spool_lane_full_total";
const QUARANTINE_FULL: &str = "sensegate_quarantine_full_total";

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

/// The spool's metrics.
pub const METRICS: &[Metric] = &[
    metric(
        RECEIVED,
        Kind::Counter,
        &["lane"],
        "Readings received; an unreadable payload counts as one.",
    ),
    metric(
        DELIVERED,
        Kind::Counter,
        &["lane"],
        "Readings that the platform holds.",
    ),
    metric(
        SUPPRESSED,
        Kind::Counter,
        &["lane"],
        "Readings left out by a rule of the operator.",
    ),
    metric(
        DROPPED,
        Kind::Counter,
        &["lane", "reason"],
        "Readings dropped, by reason.",
    ),
    metric(
        SPOOLED,
        Kind::Gauge,
        &["lane"],
        "Readings on disk that are not yet delivered.",
    ),
    metric(
        QUARANTINED,
        Kind::Gauge,
        &["lane"],
        "Payloads and readings in quarantine.",
    ),
    metric(
        LANE_BYTES,
        Kind::Gauge,
        &["lane"],
        "Bytes of undelivered blocks on disk.",
    ),
    metric(
        OLDEST_AGE,
        Kind::Gauge,
        &["lane"],
        "Age of the oldest undelivered reading.",
    ),
    metric(QUARANTINE_BYTES, Kind::Gauge, &[], "Bytes in quarantine."),
    metric(
        QUARANTINE_ENTRIES,
        Kind::Gauge,
        &["reason"],
        "Entries in quarantine, by reason.",
    ),
    metric(
        QUARANTINE_RELEASED,
        Kind::Counter,
        &[],
        "Entries that operators replayed or purged.",
    ),
    metric(
        COMMIT_SECONDS,
        Kind::Histogram,
        &[],
        "Time of a synced group commit, compression included.",
    ),
    metric(
        GROUP_READINGS,
        Kind::Histogram,
        &[],
        "Readings in a group commit.",
    ),
    metric(
        RAW_BYTES,
        Kind::Counter,
        &[],
        "Bytes of readings put into blocks, before compression.",
    ),
    metric(
        STORED_BYTES,
        Kind::Counter,
        &[],
        "Bytes of the blocks written, headers included.",
    ),
    metric(BLOCKS, Kind::Counter, &[], "Blocks written."),
    metric(
        WRITABLE,
        Kind::Gauge,
        &[],
        "1 while the disk takes what the spool writes, otherwise 0.",
    ),
    metric(
        WRITE_FAILURES,
        Kind::Counter,
        &[],
        "Writes that failed and were retried.",
    ),
    metric(
        BUSY,
        Kind::Counter,
        &[],
        "Payloads put off because the open group was full.",
    ),
    metric(
        LANE_FULL,
        Kind::Counter,
        &["lane"],
        "Payloads refused because their lane was full.",
    ),
    metric(
        QUARANTINE_FULL,
        Kind::Counter,
        &[],
        "Payloads that cannot be read and were refused because the quarantine was full.",
    ),
];

#[derive(Debug)]
struct LaneHandles {
    received: Counter,
    delivered: Counter,
    suppressed: Counter,
    dropped: Vec<(DropReason, Counter)>,
    spooled: Gauge,
    quarantined: Gauge,
    bytes: Gauge,
    oldest_age: Gauge,
}

impl LaneHandles {
    fn new(lane: Lane) -> Self {
        let lane = lane.name();
        let dropped = DropReason::ALL.iter().map(|reason| {
            (
                *reason,
                counter!(DROPPED, "lane" => lane, "reason" => reason.name()),
            )
        });
        Self {
            received: counter!(RECEIVED, "lane" => lane),
            delivered: counter!(DELIVERED, "lane" => lane),
            suppressed: counter!(SUPPRESSED, "lane" => lane),
            dropped: dropped.collect(),
            spooled: gauge!(SPOOLED, "lane" => lane),
            quarantined: gauge!(QUARANTINED, "lane" => lane),
            bytes: gauge!(LANE_BYTES, "lane" => lane),
            oldest_age: gauge!(OLDEST_AGE, "lane" => lane),
        }
    }
}

/// Numbers as gauges and histograms take them; exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a double")]
fn float(number: u64) -> f64 {
    number as f64
}

/// The writer's handles.
#[derive(Debug)]
pub(super) struct WriterMetrics {
    lanes: LaneMap<LaneHandles>,
    quarantine_bytes: Gauge,
    quarantine_entries: Vec<(QuarantineReason, Gauge)>,
    quarantine_released: Counter,
    pub(super) commit_seconds: Histogram,
    group_readings: Histogram,
    raw_bytes: Counter,
    stored_bytes: Counter,
    blocks: Counter,
    writable: Gauge,
    write_failures: Counter,
}

impl WriterMetrics {
    pub(super) fn new() -> Self {
        let writable = gauge!(WRITABLE);
        writable.set(1.0);
        let entries = |reason: &QuarantineReason| {
            (
                *reason,
                gauge!(QUARANTINE_ENTRIES, "reason" => reason.name()),
            )
        };
        Self {
            lanes: LaneMap::from_fn(LaneHandles::new),
            quarantine_bytes: gauge!(QUARANTINE_BYTES),
            quarantine_entries: QuarantineReason::ALL.iter().map(entries).collect(),
            quarantine_released: counter!(QUARANTINE_RELEASED),
            commit_seconds: histogram!(COMMIT_SECONDS),
            group_readings: histogram!(GROUP_READINGS),
            raw_bytes: counter!(RAW_BYTES),
            stored_bytes: counter!(STORED_BYTES),
            blocks: counter!(BLOCKS),
            writable,
            write_failures: counter!(WRITE_FAILURES),
        }
    }

    pub(super) fn block(&self, raw_bytes: usize, stored_bytes: usize) {
        self.raw_bytes.increment(raw_bytes as u64);
        self.stored_bytes.increment(stored_bytes as u64);
        self.blocks.increment(1);
    }

    pub(super) fn group(&self, readings: u64) {
        self.group_readings.record(float(readings));
    }

    pub(super) fn write_failed(&self) {
        self.writable.set(0.0);
        self.write_failures.increment(1);
    }

    pub(super) fn write_succeeded(&self) {
        self.writable.set(1.0);
    }

    pub(super) fn quarantine(&self, sum: &Sum) {
        self.quarantine_bytes.set(float(sum.bytes));
        for (reason, gauge) in &self.quarantine_entries {
            gauge.set(float(sum.count(*reason)));
        }
    }

    pub(super) fn released(&self, entries: usize) {
        self.quarantine_released.increment(entries as u64);
    }

    pub(super) fn lane(&self, book: &Book, oldest: Option<UnixNanos>, now: UnixNanos) {
        let handles = &self.lanes[book.lane];
        let ledger = &book.ledger;
        handles.received.absolute(ledger.received);
        handles.delivered.absolute(ledger.delivered);
        handles.suppressed.absolute(ledger.suppressed);
        for (reason, dropped) in &handles.dropped {
            dropped.absolute(ledger.dropped(*reason));
        }
        handles.spooled.set(float(ledger.spooled));
        handles.quarantined.set(float(ledger.quarantined));
        handles.bytes.set(float(book.bytes));
        let age = oldest.map_or(0.0, |oldest| float(now.0.saturating_sub(oldest.0)) / 1e9);
        handles.oldest_age.set(age);
    }
}

/// The inlet's handles.
#[derive(Debug)]
pub(super) struct IntakeMetrics {
    pub(super) busy: Counter,
    pub(super) lane_full: LaneMap<Counter>,
    pub(super) quarantine_full: Counter,
}

impl IntakeMetrics {
    pub(super) fn new() -> Self {
        Self {
            busy: counter!(BUSY),
            lane_full: LaneMap::from_fn(|lane| counter!(LANE_FULL, "lane" => lane.name())),
            quarantine_full: counter!(QUARANTINE_FULL),
        }
    }
}
