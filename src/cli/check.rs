//! `sensegate check`: everything that can be known to be wrong without starting, all of it at once.

use std::sync::Arc;

use super::{Exit, Failure, print_plain, run::credentials, warn};
use crate::{
    broker::transport,
    config::{
        ConfigError, Sources,
        key::{self, Keyless, Missing},
    },
    domain::{Clock, SystemClock},
    normalise::Classes,
};

pub(super) fn check(sources: &Sources) -> Result<(), Failure> {
    let merged = sources.merge()?;
    for warning in merged.warnings() {
        warn(&warning.to_string());
    }
    let mut faults: Vec<String> = merged.problems().iter().map(ToString::to_string).collect();
    let mut exit = (!faults.is_empty()).then_some(Exit::Config);
    let classes = merged
        .class_dir()
        .map_or_else(Classes::embedded, Classes::with_dir);
    let count = match classes {
        Ok(classes) => classes.iter().count(),
        Err(error) => {
            let failure = Failure::from(error);
            exit = exit.or_else(|| Some(failure.exit()));
            faults.extend(failure.into_lines());
            0
        }
    };
    let certificates = transport::examine(
        merged.listeners(),
        &(Arc::new(SystemClock) as Arc<dyn Clock>),
    );
    for warning in &certificates.warnings {
        warn(warning);
    }
    if !certificates.faults.is_empty() {
        exit = exit.or(Some(Exit::Config));
        faults.extend(certificates.faults);
    }
    if let Some(failure) = key_fault(merged.config()) {
        exit = exit.or_else(|| Some(failure.exit()));
        faults.extend(failure.into_lines());
    }
    match exit {
        Some(exit) => Err(Failure::lines(exit.code(), faults)),
        None => print_plain(&format!("all is well: {count} classes\n")),
    }
}

/// What is wrong with the key; that there is none yet is nothing wrong, for the first start makes one.
fn key_fault(config: Result<crate::config::Config, ConfigError>) -> Option<Failure> {
    let mut config = config.ok()?;
    let credentials = credentials();
    let data_dir = config.spool.data_dir;
    match key::settle(
        &mut config.auth,
        &data_dir,
        credentials.as_deref(),
        Missing::Fail,
    ) {
        Ok(_) | Err(Keyless::Absent(_)) => None,
        Err(error) => Some(error.into()),
    }
}
