//! Damaged logs: copied aside before anything is recovered from them, so that nothing is destroyed by the recovery.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use super::{error::StoreError, folder::Folder};
use crate::domain::UnixNanos;

/// A log that could not be read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogDamage {
    /// The folder with the copies.
    pub aside: PathBuf,
    /// The copies.
    pub logs: Vec<PathBuf>,
    /// Bytes of all of them.
    pub log_bytes: u64,
    /// What was found wrong.
    pub cause: String,
}

/// Copies every log of a store aside.
pub(super) fn set_aside(
    folder: &Folder,
    cause: &str,
    now: UnixNanos,
) -> Result<LogDamage, StoreError> {
    let aside = folder
        .path()
        .join(format!("damaged-{}", now.0 / 1_000_000_000));
    let copied = fs::create_dir_all(&aside).and_then(|()| copy_logs(&folder.store(), &aside));
    let (logs, log_bytes) = copied.map_err(|source| StoreError::of_io(&aside, source))?;
    Ok(LogDamage {
        aside,
        logs,
        log_bytes,
        cause: cause.to_owned(),
    })
}

fn copy_logs(store: &Path, aside: &Path) -> io::Result<(Vec<PathBuf>, u64)> {
    let mut copies = Vec::new();
    let mut bytes = 0;
    for log in logs(store)? {
        let Some(name) = log.file_name() else {
            continue;
        };
        let copy = aside.join(name);
        bytes += fs::copy(&log, &copy)?;
        File::open(&copy)?.sync_all()?;
        copies.push(copy);
    }
    File::open(aside)?.sync_all()?;
    copies.sort();
    Ok((copies, bytes))
}

/// The logs of a store, in no order.
pub(super) fn logs(store: &Path) -> io::Result<Vec<PathBuf>> {
    let mut logs = Vec::new();
    for entry in fs::read_dir(store)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            logs.push(path);
        }
    }
    Ok(logs)
}
