//! What SIGHUP changes: the listeners' certificates, the classes, access (keys, token keys, passwords, revocations, rights)
//! and the log filter, all or nothing each. A set that is wrong leaves the old one in force and is told in the log.
//! Everything else takes a restart.

use std::{fmt, path::Path, sync::Arc};

use super::error::GatewayError;
use crate::{
    broker::{Handle, access::Access},
    config::{
        AuthConfig, Config, NormaliseConfig,
        key::{self, Missing},
    },
    normalise::{Classes, Profiles},
};

/// Reads the configuration again, as the command line merged it at the start; the error is one line for each problem.
pub struct Reread(Box<dyn Fn() -> Result<Config, String> + Send + Sync>);

impl Reread {
    /// By a function that merges flags, environment and file again.
    #[must_use]
    pub fn by(read: impl Fn() -> Result<Config, String> + Send + Sync + 'static) -> Self {
        Self(Box::new(read))
    }

    pub(super) fn read(&self) -> Result<Config, String> {
        (self.0)()
    }
}

impl fmt::Debug for Reread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reread")
    }
}

/// Classes and profiles of the binary and of the folders, if any are configured. Both or neither: profiles are compiled
/// against the classes. Reads files: not for a worker of the runtime.
pub(super) fn schema(
    config: &NormaliseConfig,
) -> Result<(Arc<Classes>, Arc<Profiles>), GatewayError> {
    let classes = match &config.class_dir {
        None => Classes::embedded()?,
        Some(dir) => Classes::with_dir(dir)?,
    };
    let profiles = Profiles::load(config.profile_dir.as_deref(), &classes)?;
    Ok((Arc::new(classes), Arc::new(profiles)))
}

/// Who may come in and what they may do, as the files have it now; the error is one line for each thing that is wrong.
/// Reads files: not for a worker of the runtime.
pub(super) fn access(
    broker: &Handle,
    mut config: AuthConfig,
    data_dir: &Path,
) -> Result<Access, Vec<String>> {
    let credentials = key::credentials();
    key::settle(&mut config, data_dir, credentials.as_deref(), Missing::Fail)
        .map_err(|error| vec![error.to_string()])?;
    broker
        .read_access(&config)
        .map_err(|error| error.0.iter().map(ToString::to_string).collect())
}
