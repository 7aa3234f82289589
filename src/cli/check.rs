//! `sensegate check`: everything that can be known to be wrong without starting, all of it at once.

use std::sync::Arc;

use super::{Exit, Failure, print_plain, warn};
use crate::{
    broker::{access::Access, transport},
    config::{
        AuthMethod, Config, ConfigError, Sources,
        key::{self, Keyless, Missing, credentials},
    },
    domain::{Clock, SystemClock},
    normalise::{Checked, Classes, Profiles},
};

pub(super) fn check(sources: &Sources) -> Result<(), Failure> {
    let merged = sources.merge()?;
    for warning in merged.warnings() {
        warn(&warning.to_string());
    }
    let mut faults: Vec<String> = merged.problems().iter().map(ToString::to_string).collect();
    let mut exit = (!faults.is_empty()).then_some(Exit::Config);
    let mut add = |failure: Failure| {
        exit = exit.or_else(|| Some(failure.exit()));
        faults.extend(failure.into_lines());
    };
    let classes = merged
        .class_dir()
        .map_or_else(Classes::embedded, Classes::with_dir);
    let mut counted = String::new();
    match classes {
        Ok(classes) => match Profiles::check(merged.profile_dir(), &classes) {
            Ok(Checked { profiles, vectors }) => {
                let classes = classes.len();
                counted = format!("{classes} classes, {profiles} profiles, {vectors} vectors");
            }
            Err(error) => add(Failure::lines(Exit::Config.code(), error.faults)),
        },
        Err(error) => add(Failure::from(error)),
    }
    let certificates = transport::examine(
        merged.listeners(),
        &(Arc::new(SystemClock) as Arc<dyn Clock>),
    );
    for warning in &certificates.warnings {
        warn(warning);
    }
    if !certificates.faults.is_empty() {
        add(Failure::lines(Exit::Config.code(), certificates.faults));
    }
    for failure in access_faults(merged.config()) {
        add(failure);
    }
    match exit {
        Some(exit) => Err(Failure::lines(exit.code(), faults)),
        None => print_plain(&format!("all is well: {counted}\n")),
    }
}

/// What is wrong with keys and with the files that say who may do what; that there is no key yet is nothing wrong, for
/// the first start makes one.
fn access_faults(config: Result<Config, ConfigError>) -> Vec<Failure> {
    let Ok(mut config) = config else {
        return Vec::new();
    };
    let credentials = credentials();
    let data_dir = &config.spool.data_dir;
    let settled = key::settle(
        &mut config.auth,
        data_dir,
        credentials.as_deref(),
        Missing::Fail,
    );
    let mut failures = Vec::new();
    if let Err(error) = settled {
        // The others are looked at all the same.
        config
            .auth
            .methods
            .retain(|&method| method != AuthMethod::Hmac);
        if !matches!(error, Keyless::Absent(_)) {
            failures.push(Failure::from(error));
        }
    }
    if let Err(error) = Access::load(&config.auth) {
        failures.push(error.into());
    }
    failures
}
