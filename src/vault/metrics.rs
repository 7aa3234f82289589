//! What the vault tells Prometheus. Handles are taken once, so the exporter must be installed before the vault opens.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use super::group::Coalesced;
use crate::telemetry::{Kind, Metric};

const RECORDS: &str = "sensegate_vault_records_total";
const CANCELLED: &str = "sensegate_vault_cancelled_total";
const WAITING_BYTES: &str = "sensegate_vault_waiting_bytes";
const COMMIT_SECONDS: &str = "sensegate_vault_commit_seconds";
const COMMITS: &str = "sensegate_vault_commits_total";
const WRITE_FAILURES: &str = "sensegate_vault_write_failures_total";
const WRITABLE: &str = "sensegate_vault_writable";
const BUSY: &str = "sensegate_vault_busy_total";
const UNREADABLE: &str = "sensegate_vault_unreadable_total";

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

/// The vault's metrics.
pub const METRICS: &[Metric] = &[
    metric(
        RECORDS,
        Kind::Counter,
        &["change"],
        "Records of sessions written, by what became of them: set or removed.",
    ),
    metric(
        CANCELLED,
        Kind::Counter,
        &[],
        "Records that were removed again before they were written, so that their bytes never were.",
    ),
    metric(
        WAITING_BYTES,
        Kind::Gauge,
        &[],
        "Bytes of records that wait for a commit.",
    ),
    metric(
        COMMIT_SECONDS,
        Kind::Histogram,
        &[],
        "Time of a group commit of session records.",
    ),
    metric(
        COMMITS,
        Kind::Counter,
        &[],
        "Group commits of session records.",
    ),
    metric(
        WRITE_FAILURES,
        Kind::Counter,
        &[],
        "Writes of session records that failed and were retried.",
    ),
    metric(
        WRITABLE,
        Kind::Gauge,
        &[],
        "1 while the disk takes what sessions need kept, otherwise 0.",
    ),
    metric(
        BUSY,
        Kind::Counter,
        &[],
        "Changes put off because too many bytes waited for a commit.",
    ),
    metric(
        UNREADABLE,
        Kind::Counter,
        &[],
        "Damaged places passed over when the records were loaded.",
    ),
];

/// Numbers as gauges take them; exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a double")]
const fn float(number: usize) -> f64 {
    number as f64
}

/// The vault's handles.
#[derive(Debug)]
pub(super) struct VaultMetrics {
    set: Counter,
    removed: Counter,
    cancelled: Counter,
    waiting_bytes: Gauge,
    commit_seconds: Histogram,
    commits: Counter,
    writable: Gauge,
    failures: Counter,
    pub(super) busy: Counter,
    pub(super) unreadable: Counter,
}

impl VaultMetrics {
    pub(super) fn new() -> Self {
        let writable = gauge!(WRITABLE);
        writable.set(1.0);
        Self {
            set: counter!(RECORDS, "change" => "set"),
            removed: counter!(RECORDS, "change" => "removed"),
            cancelled: counter!(CANCELLED),
            waiting_bytes: gauge!(WAITING_BYTES),
            commit_seconds: histogram!(COMMIT_SECONDS),
            commits: counter!(COMMITS),
            writable,
            failures: counter!(WRITE_FAILURES),
            busy: counter!(BUSY),
            unreadable: counter!(UNREADABLE),
        }
    }

    pub(super) fn committed(&self, written: &Coalesced, took: Duration) {
        self.set.increment(written.set);
        self.removed.increment(written.removed);
        self.cancelled.increment(written.cancelled);
        self.commits.increment(1);
        self.commit_seconds.record(took.as_secs_f64());
    }

    pub(super) fn waiting(&self, bytes: usize) {
        self.waiting_bytes.set(float(bytes));
    }

    pub(super) fn write_failed(&self) {
        self.writable.set(0.0);
        self.failures.increment(1);
    }

    pub(super) fn write_succeeded(&self) {
        self.writable.set(1.0);
    }
}
