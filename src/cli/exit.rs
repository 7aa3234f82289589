//! Exit codes and failures. A failure is lines for people, each standing alone, and one code for scripts and systemd.

use std::fmt;

use crate::{
    broker::access::AccessError,
    config::{ConfigError, key::Keyless},
    normalise::ClassError,
};

macro_rules! exits {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// Exit codes, as sysexits.h has them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Exit { $($(#[$doc])* $name = $code,)* }

        impl Exit {
            /// The code with its meaning, for `--help` and the reference.
            pub const ALL: &'static [(Self, &'static str)] = &[$((Self::$name, $text),)*];
        }
    };
}

exits! {
    /// All is well.
    Success = 0, "success";
    /// The command line is wrong.
    Usage = 64, "usage: unknown flag or subcommand, or an argument is missing";
    /// Input is wrong.
    Data = 65, "data: a payload cannot be read, or what is on disk is damaged";
    /// There is no input.
    NoInput = 66, "no input: a named file or the spool does not exist";
    /// Something outside is not available.
    Unavailable = 69, "unavailable: an address to listen on is in use or not this host's";
    /// A fault of the program.
    Software = 70, "software: a part of the gateway failed";
    /// The system gave no thread, signal or file.
    System = 71, "the operating system refused a thread, a signal handler or the like";
    /// An output cannot be created.
    CannotCreate = 73, "cannot create a file or directory";
    /// Reading or writing failed.
    Io = 74, "input or output failed";
    /// Try again.
    TempFail = 75, "temporary: the data directory is locked by another process";
    /// Not permitted.
    NoPermission = 77, "no permission";
    /// The configuration is wrong.
    Config = 78, "configuration: a setting or a class file is wrong, or the data directory is of another version";
}

impl Exit {
    /// The code.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// Why a subcommand failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    exit: u8,
    lines: Vec<String>,
}

impl Failure {
    /// One line.
    #[must_use]
    pub fn new(exit: Exit, line: impl Into<String>) -> Self {
        Self::lines(exit.code(), vec![line.into()])
    }

    /// Several lines, each of them about one thing that is wrong.
    #[must_use]
    pub const fn lines(exit: u8, lines: Vec<String>) -> Self {
        Self { exit, lines }
    }

    /// A failure to read a file.
    #[must_use]
    pub fn reading(path: &str, error: &std::io::Error) -> Self {
        let exit = match error.kind() {
            std::io::ErrorKind::NotFound => Exit::NoInput,
            std::io::ErrorKind::PermissionDenied => Exit::NoPermission,
            _ => Exit::Io,
        };
        Self::new(exit, format!("{path}: {error}"))
    }

    /// The lines, to be told together with others.
    #[must_use]
    pub fn into_lines(self) -> Vec<String> {
        self.lines
    }

    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        let known = Exit::ALL.iter().find(|(exit, _)| exit.code() == self.exit);
        known.map_or(Exit::Software, |(exit, _)| *exit)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            writeln!(f, "sensegate: {}", line.replace('\n', "; "))?;
        }
        Ok(())
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        match error {
            ConfigError::Unreadable { kind, .. } => {
                let exit = match kind {
                    std::io::ErrorKind::PermissionDenied => Exit::NoPermission,
                    _ => Exit::NoInput,
                };
                Self::new(exit, error.to_string())
            }
            ConfigError::Invalid(problems) => {
                let lines = problems.iter().map(ToString::to_string).collect();
                Self::lines(Exit::Config.code(), lines)
            }
        }
    }
}

impl From<Keyless> for Failure {
    fn from(error: Keyless) -> Self {
        let denied =
            |source: &std::io::Error| source.kind() == std::io::ErrorKind::PermissionDenied;
        let exit = match &error {
            Keyless::Absent(_) => Exit::NoInput,
            Keyless::Unreadable { source, .. } if denied(source) => Exit::NoPermission,
            Keyless::NotMade { source, .. } if denied(source) => Exit::NoPermission,
            Keyless::Unreadable { .. } => Exit::NoInput,
            Keyless::NotMade { .. } => Exit::CannotCreate,
            Keyless::Unfit { .. } => Exit::Config,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<AccessError> for Failure {
    fn from(error: AccessError) -> Self {
        let lines = error.0.iter().map(ToString::to_string).collect();
        Self::lines(Exit::Config.code(), lines)
    }
}

impl From<ClassError> for Failure {
    fn from(error: ClassError) -> Self {
        let exit = match &error {
            ClassError::Unreadable { .. } => Exit::NoInput,
            ClassError::Syntax(_) | ClassError::Rule { .. } => Exit::Config,
            ClassError::Embedded(_) => Exit::Software,
        };
        Self::new(exit, error.to_string())
    }
}
