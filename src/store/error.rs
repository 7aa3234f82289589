//! What can go wrong with the disk, by what the caller can do about it. Every message is one line and names the path.

use std::{io, path::PathBuf};

use thiserror::Error;

/// A failure of the store.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Another process owns the data directory. Stop: two owners would destroy each other's data.
    #[error("data directory {} is locked by another process", path.display())]
    Locked {
        /// The data directory.
        path: PathBuf,
    },
    /// The path exists, but is no directory.
    #[error("data directory {} is not a directory", path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// This process may not create or write files there.
    #[error("data directory {} is not writable: {source}", path.display())]
    NotWritable {
        /// The path that could not be written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Written by a newer version of this software; nothing was touched.
    #[error("data directory {} has format version {found}, this software knows up to {known}: use the newer version", path.display())]
    NewerFormat {
        /// The data directory.
        path: PathBuf,
        /// The version found.
        found: u32,
        /// The newest version that this software reads.
        known: u32,
    },
    /// There is something in the directory, but not a spool of this software; nothing was touched.
    #[error("{} is no data directory of sensegate: {what}", path.display())]
    Foreign {
        /// The path that is wrong.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// There is no spool there (offline tools only).
    #[error("data directory {} holds no spool", path.display())]
    Missing {
        /// The data directory.
        path: PathBuf,
    },
    /// No space left. Retry: space may return.
    #[error("disk of {} is full: {cause}", path.display())]
    Full {
        /// Where the store is.
        path: PathBuf,
        /// What `RocksDB` said.
        cause: String,
    },
    /// The disk fails. Retry: it may be passing.
    #[error("disk of {} fails: {cause}", path.display())]
    Io {
        /// Where the store is.
        path: PathBuf,
        /// What `RocksDB` or the system said.
        cause: String,
    },
    /// Bytes on disk are not what was written.
    #[error("store {} is damaged: {cause}", path.display())]
    Corrupt {
        /// Where the store is.
        path: PathBuf,
        /// What `RocksDB` said.
        cause: String,
    },
    /// Anything else that `RocksDB` says.
    #[error("store {}: {cause}", path.display())]
    Other {
        /// Where the store is.
        path: PathBuf,
        /// What `RocksDB` said.
        cause: String,
    },
}

/// `RocksDB`'s subcode and the system's text for ENOSPC and EDQUOT.
const FULL_MARKS: [&str; 4] = [
    "No space left on device",
    "Disk quota exceeded",
    "NoSpace",
    "Max allowed space was reached",
];

impl StoreError {
    /// Sorts what `RocksDB` said.
    pub(super) fn of(path: &std::path::Path, error: &rocksdb::Error) -> Self {
        use rocksdb::ErrorKind;

        let cause = error.as_ref().replace('\n', " ");
        let path = path.to_owned();
        if FULL_MARKS.iter().any(|mark| cause.contains(mark)) {
            return Self::Full { path, cause };
        }
        match error.kind() {
            ErrorKind::Corruption => Self::Corrupt { path, cause },
            ErrorKind::IOError
            | ErrorKind::TimedOut
            | ErrorKind::Busy
            | ErrorKind::TryAgain
            | ErrorKind::Incomplete => Self::Io { path, cause },
            _ => Self::Other { path, cause },
        }
    }

    /// Sorts what the system said about a path.
    pub(super) fn of_io(path: &std::path::Path, source: io::Error) -> Self {
        use io::ErrorKind;

        let path = path.to_owned();
        match source.kind() {
            ErrorKind::NotADirectory | ErrorKind::AlreadyExists => Self::NotADirectory { path },
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                Self::NotWritable { path, source }
            }
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full {
                path,
                cause: source.to_string(),
            },
            _ => Self::Io {
                path,
                cause: source.to_string(),
            },
        }
    }

    /// Whether writing again later may help.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Io { .. })
    }
}
