//! What is wrong with a configuration: one line each, naming the place, the key and the value. All of them are
//! collected, so that an operator mends a file once and not line by line.

use std::{fmt, io, path::PathBuf};

use thiserror::Error;

/// Where a setting's value comes from; the order is the order of precedence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The table's default.
    Default,
    /// A line of the TOML file.
    File {
        /// The file as it was named.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// An environment variable.
    Env(String),
    /// A flag, with its dashes.
    Flag(String),
}

impl Origin {
    /// Rank in the order of precedence: the highest wins.
    pub(super) const fn rank(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::File { .. } => 1,
            Self::Env(_) => 2,
            Self::Flag(_) => 3,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Env(name) => write!(f, "env {name}"),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// One thing that is wrong, or that looks wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where the value stands.
    pub origin: Origin,
    /// The setting's key; empty if the problem is not a setting's.
    pub key: String,
    /// The value and what is wrong with it.
    pub what: String,
}

impl Problem {
    pub(super) fn new(origin: Origin, key: &str, what: impl Into<String>) -> Self {
        Self {
            origin,
            key: key.to_owned(),
            what: what.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::File { .. } if self.key.is_empty() => write!(f, "{}: ", self.origin)?,
            Origin::File { .. } => write!(f, "{}: {}: ", self.origin, self.key)?,
            Origin::Default if self.key.is_empty() => {}
            Origin::Default => write!(f, "{}: ", self.key)?,
            Origin::Env(name) | Origin::Flag(name) => write!(f, "{name}: ")?,
        }
        f.write_str(&self.what)
    }
}

/// Why there is no configuration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {what}")]
    Unreadable {
        /// The file as it was named.
        path: String,
        /// What kind of failure it is.
        kind: io::ErrorKind,
        /// What the system says.
        what: String,
    },
    /// Settings are wrong; all that were found, never none.
    #[error("{}", lines(.0))]
    Invalid(Vec<Problem>),
}

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    lines.join("\n")
}
