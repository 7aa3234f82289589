//! The gateway as the command line sees it: started, and its stages' metrics listed.

use super::{Failure, Sources};
use crate::{
    config::Config,
    gateway::{self, Reread},
    telemetry::{self, Metric},
};

/// Names of [`gateway::STAGES`], in its order.
const NAMES: [&str; gateway::STAGES.len()] = ["broker", "ingest", "spool", "uplink"];

/// Runs the gateway until it is stopped or fails.
pub(super) fn serve(config: Config, sources: &Sources) -> Result<(), Failure> {
    let sources = sources.clone();
    let reread = Reread::by(move || {
        let merged = sources.merge().map_err(|error| error.to_string())?;
        merged.config().map_err(|error| error.to_string())
    });
    gateway::run(config, reread)
        .map_err(|error| Failure::lines(error.exit_code(), vec![error.to_string()]))
}

/// Every metric, by the stage that keeps it.
pub(super) fn metrics() -> Vec<(&'static str, &'static [Metric])> {
    let stages = NAMES.into_iter().zip(gateway::STAGES);
    stages.chain([("process", telemetry::METRICS)]).collect()
}
