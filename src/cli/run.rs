//! `sensegate run`: the settings, the log and the key in order, then the gateway until it ends.

use super::{Exit, Failure, stages};
use crate::{
    config::{
        Config, LogConfig, LogFormat, Sources,
        key::{self, Found, Missing, credentials},
    },
    spool::SpoolError,
    store,
    telemetry::logging::{self, Lines},
};

pub(super) fn run(sources: &Sources) -> Result<(), Failure> {
    let merged = sources.merge()?;
    let warnings: Vec<String> = merged.warnings().iter().map(ToString::to_string).collect();
    let mut config = merged.config()?;
    start_log(&config.log)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    // Before a key is made there: what another version wrote stays untouched.
    store::accept(&config.spool.data_dir).map_err(SpoolError::from)?;
    settle_key(&mut config)?;
    stages::serve(config, sources)
}

fn start_log(config: &LogConfig) -> Result<(), Failure> {
    let lines = match config.format {
        LogFormat::Text => Lines::Text,
        LogFormat::Json => Lines::Json,
    };
    logging::install(lines, &config.filter)
        .map_err(|error| Failure::new(Exit::Config, error.to_string()))
}

fn settle_key(config: &mut Config) -> Result<(), Failure> {
    let credentials = credentials();
    let data_dir = &config.spool.data_dir;
    match key::settle(
        &mut config.auth,
        data_dir,
        credentials.as_deref(),
        Missing::Make,
    )? {
        Found::Made(path) => tracing::info!(
            path = %path.display(),
            "no key was given: made one at random; `sensegate token` issues devices' passwords from it"
        ),
        Found::File(path) => tracing::info!(path = %path.display(), "the key was read"),
        Found::Setting | Found::NotNeeded => {}
    }
    Ok(())
}
