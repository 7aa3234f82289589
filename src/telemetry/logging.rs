//! The log: one line an event, on standard error, where journald and containers take it from. The filter can be changed
//! while the gateway runs.

use std::{
    env,
    io::{self, IsTerminal as _},
    sync::OnceLock,
};

use thiserror::Error;
use tracing_subscriber::{
    Layer as _, Registry,
    filter::{ParseError, Targets},
    fmt,
    layer::SubscriberExt as _,
    reload::{self, Handle},
    util::SubscriberInitExt as _,
};

/// Form of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// For people; coloured on a terminal, without the time where journald adds it.
    Text,
    /// One JSON object a line.
    Json,
}

/// Why the log is not as it was asked for.
#[derive(Debug, Error)]
pub enum LogError {
    /// The filter cannot be read.
    #[error("log.level: {filter:?} is no filter: {source}")]
    Filter {
        /// The filter as given.
        filter: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// The log was set up before.
    #[error("the log is set up already")]
    Twice,
    /// The log was not set up, or is gone.
    #[error("the log is not set up")]
    Gone,
}

static FILTER: OnceLock<Handle<Targets, Registry>> = OnceLock::new();

/// Sets the log up: once, first of all.
///
/// # Errors
/// [`LogError`]: the filter cannot be read, or the log is there already.
pub fn install(lines: Lines, filter: &str) -> Result<(), LogError> {
    let (layer, handle) = reload::Layer::new(targets(filter)?);
    // systemd tells by this variable that standard error goes to the journal, which stamps lines itself.
    let journal = env::var_os("JOURNAL_STREAM").is_some() && !io::stderr().is_terminal();
    let format = fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    let format = match (lines, journal) {
        (Lines::Json, _) => format.json().flatten_event(true).boxed(),
        (Lines::Text, true) => format.without_time().boxed(),
        (Lines::Text, false) => format.boxed(),
    };
    tracing_subscriber::registry()
        .with(layer)
        .with(format)
        .try_init()
        .map_err(|_error| LogError::Twice)?;
    FILTER.set(handle).map_err(|_handle| LogError::Twice)
}

/// Puts another filter in force.
///
/// # Errors
/// [`LogError`]: the filter cannot be read, or there is no log; the old filter stays in force.
pub fn refilter(filter: &str) -> Result<(), LogError> {
    let targets = targets(filter)?;
    FILTER
        .get()
        .ok_or(LogError::Gone)?
        .reload(targets)
        .map_err(|_error| LogError::Gone)
}

fn targets(filter: &str) -> Result<Targets, LogError> {
    filter.parse().map_err(|source| LogError::Filter {
        filter: filter.to_owned(),
        source,
    })
}
