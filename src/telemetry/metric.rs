//! A metric as its stage declares it: the single source of `# HELP`, `# TYPE` and docs/metrics.md.

use metrics::{describe_counter, describe_gauge, describe_histogram};

/// What kind of number a metric is, as Prometheus understands it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Observations in buckets.
    Histogram,
}

/// A metric's name, kind, labels and meaning.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Full name, `sensegate_` first, base unit and `_total` last.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Label names; their values are bounded sets (never a device).
    pub labels: &'static [&'static str],
    /// One sentence for the operator.
    pub help: &'static str,
}

/// Registers the help texts of a stage's metrics with the installed recorder.
pub fn describe(metrics: &[Metric]) {
    for metric in metrics {
        match metric.kind {
            Kind::Counter => describe_counter!(metric.name, metric.help),
            Kind::Gauge => describe_gauge!(metric.name, metric.help),
            Kind::Histogram => describe_histogram!(metric.name, metric.help),
        }
    }
}
