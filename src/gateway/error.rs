//! Why the gateway does not start or does not go on, with the exit code that tells a supervisor what to do about it.

use std::{io, path::PathBuf};

use thiserror::Error;

use crate::{
    admin::AdminError,
    broker::BindError,
    normalise::{ClassError, ProfilesError},
    spool::SpoolError,
    store::StoreError,
    supervise::TaskFailure,
    telemetry::ExporterError,
    vault::VaultError,
};

/// Why the gateway does not start or does not go on.
#[derive(Debug, Error)]
pub enum GatewayError {
    /// The runtime or its signals cannot be set up.
    #[error("cannot set up the runtime: {0}")]
    Runtime(io::Error),
    /// The metrics recorder cannot be installed.
    #[error(transparent)]
    Metrics(#[from] ExporterError),
    /// A port for MQTT cannot be had, or a file of access cannot be used.
    #[error(transparent)]
    Mqtt(#[from] BindError),
    /// The admin port cannot be had.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// A class declaration is wrong.
    #[error(transparent)]
    Classes(#[from] ClassError),
    /// A profile is wrong.
    #[error("profiles:\n{0}")]
    Profiles(#[from] ProfilesError),
    /// The data directory cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The spool cannot be opened or written.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// What sessions need kept cannot be read or written.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The bound addresses cannot be written where they were asked for.
    #[error("node.bound_file: {}: {source}", path.display())]
    BoundFile {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The running gateway did not carry out what it was asked.
    #[error("{}: the running gateway: {why}", path.display())]
    Asked {
        /// Its data directory.
        path: PathBuf,
        /// What it, or the system, says.
        why: String,
    },
    /// A task ended though nobody had asked it to.
    #[error(transparent)]
    Failed(TaskFailure),
}

impl GatewayError {
    /// The exit code, as in sysexits.h.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Runtime(_) => 71,
            Self::Metrics(_) | Self::Failed(_) => 70,
            Self::Mqtt(BindError::Access(_) | BindError::Transport(_))
            | Self::Classes(_)
            | Self::Profiles(_) => 78,
            Self::Mqtt(_) => 69,
            Self::Admin(error) => error.exit_code(),
            Self::BoundFile { .. } => 73,
            Self::Store(error)
            | Self::Spool(SpoolError::Store(error))
            | Self::Vault(VaultError::Store(error)) => store_exit_code(error),
            Self::Spool(SpoolError::Book { .. }) => 65,
            Self::Asked { .. } | Self::Spool(_) | Self::Vault(_) => 74,
        }
    }
}

const fn store_exit_code(error: &StoreError) -> u8 {
    match error {
        StoreError::Locked { .. } => 75,
        StoreError::NotWritable { .. } | StoreError::NotADirectory { .. } => 73,
        StoreError::NewerFormat { .. } | StoreError::Foreign { .. } => 78,
        StoreError::Missing { .. } => 66,
        StoreError::Corrupt { .. } => 65,
        _ => 74,
    }
}
