//! What SIGHUP changes: the listeners' certificates, the classes and the log filter, all or nothing each. A set that is wrong leaves the old one in
//! force and is told in the log. Everything else takes a restart.

use std::{fmt, sync::Arc};

use crate::{
    config::{Config, NormaliseConfig},
    normalise::{ClassError, Classes},
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

/// The classes of the binary and of the folder, if one is configured. Reads files: not for a worker of the runtime.
pub(super) fn classes(config: &NormaliseConfig) -> Result<Arc<Classes>, ClassError> {
    let classes = match &config.class_dir {
        None => Classes::embedded()?,
        Some(dir) => Classes::with_dir(dir)?,
    };
    Ok(Arc::new(classes))
}
