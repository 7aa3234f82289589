//! The recorder behind the `metrics` macros, and its text for Prometheus.

use std::time::Duration;

use metrics::Label;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use thiserror::Error;

use super::{
    metric::{Kind, Metric, describe},
    process,
};

/// Seconds: from an acknowledgement on a fast disk (a fifth of a millisecond) to a stalled platform (half a minute).
const SECONDS: [f64; 15] = [
    0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
];
/// Bytes: from a small payload to the largest batch, by fours.
const BYTES: [f64; 10] = [
    64.0,
    256.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
];
/// Counts: readings in a payload, a block, a batch.
const COUNTS: [f64; 9] = [
    1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16_384.0, 65_536.0,
];

/// Histograms hold every observation until they are emptied into their buckets: how often that must happen.
pub(super) const UPKEEP: Duration = Duration::from_secs(5);

/// Why there is no recorder.
#[derive(Debug, Error)]
pub enum ExporterError {
    /// One is there already, or its settings are wrong.
    #[error("metrics recorder: {0}")]
    Install(#[from] BuildError),
}

/// Renders every metric of the process.
#[derive(Clone)]
pub struct Exporter {
    handle: PrometheusHandle,
}

impl std::fmt::Debug for Exporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Exporter")
    }
}

impl Exporter {
    /// Makes the process's recorder: once, before the first metric is touched.
    ///
    /// # Errors
    /// [`ExporterError::Install`]: there is one already.
    pub fn install() -> Result<Self, ExporterError> {
        let handle = builder()?.install_recorder()?;
        describe(process::METRICS);
        Ok(Self { handle })
    }

    /// One that is not the process's: for tests.
    #[cfg(test)]
    pub(crate) fn detached() -> Self {
        let handle = PrometheusBuilder::new().build_recorder().handle();
        Self { handle }
    }

    /// The text of /metrics, with the process's own figures as of now.
    #[must_use]
    pub fn render(&self) -> String {
        process::sample();
        self.handle.render()
    }

    /// How often [`Exporter::upkeep`] is due.
    #[must_use]
    pub const fn upkeep_interval() -> Duration {
        UPKEEP
    }

    /// Empties histograms into their buckets, so that memory stays bounded while nobody scrapes.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

/// What /metrics looks like when each of these metrics has been touched once: for `promtool check metrics`.
///
/// # Errors
/// [`ExporterError::Install`]: buckets or names are wrong.
pub fn exposition(stages: &[&[Metric]]) -> Result<String, ExporterError> {
    let recorder = builder()?.build_recorder();
    let handle = recorder.handle();
    metrics::with_local_recorder(&recorder, || {
        for metric in stages.iter().copied().flatten() {
            describe(std::slice::from_ref(metric));
            let labels: Vec<Label> = metric
                .labels
                .iter()
                .map(|name| Label::new(*name, "example"))
                .collect();
            match metric.kind {
                Kind::Counter => metrics::counter!(metric.name, labels).absolute(1),
                Kind::Gauge => metrics::gauge!(metric.name, labels).set(1.0),
                Kind::Histogram => metrics::histogram!(metric.name, labels).record(1.0),
            }
        }
    });
    Ok(handle.render())
}

/// Buckets follow from the unit that the name ends in; what ends in no unit is a count.
fn builder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_bytes".to_owned()), &BYTES)?
        .set_buckets(&COUNTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &[Metric] = &[
        Metric {
            name: "sensegate_things_total",
            kind: Kind::Counter,
            labels: &["lane"],
            help: "Things.",
        },
        Metric {
            name: "sensegate_wait_seconds",
            kind: Kind::Histogram,
            labels: &[],
            help: "Waiting.",
        },
        Metric {
            name: "sensegate_group_readings",
            kind: Kind::Histogram,
            labels: &[],
            help: "Readings of a group.",
        },
    ];

    #[test]
    fn buckets_follow_the_unit_in_the_name() {
        let text = exposition(&[SAMPLE]).unwrap();
        assert!(
            text.contains("# HELP sensegate_things_total Things."),
            "{text}"
        );
        assert!(
            text.contains("sensegate_things_total{lane=\"example\"} 1"),
            "{text}"
        );
        assert!(
            text.contains("sensegate_wait_seconds_bucket{le=\"0.0002\"} 0"),
            "{text}"
        );
        assert!(
            text.contains("sensegate_group_readings_bucket{le=\"65536\"} 1"),
            "{text}"
        );
    }
}
