//! `sensegate spool stat` and `sensegate quarantine list`.

use clap::ArgMatches;

use super::{Exit, Failure};

pub(super) fn spool(_given: &ArgMatches) -> Result<(), Failure> {
    Err(Failure::new(Exit::Unavailable, "not in this build"))
}

pub(super) fn quarantine(_given: &ArgMatches) -> Result<(), Failure> {
    Err(Failure::new(Exit::Unavailable, "not in this build"))
}
