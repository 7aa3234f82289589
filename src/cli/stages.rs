//! The gateway as the command line sees it: started, and its stages' metrics listed.

use super::{Exit, Failure, Sources};
use crate::{
    config::Config,
    telemetry::{self, Metric},
};

/// Runs the gateway until it is stopped or fails.
pub(super) fn serve(_config: Config, _sources: &Sources) -> Result<(), Failure> {
    Err(Failure::new(Exit::Unavailable, "not in this build"))
}

/// Every metric, by the stage that keeps it.
pub(super) fn metrics() -> Vec<(&'static str, &'static [Metric])> {
    vec![("process", telemetry::METRICS)]
}
