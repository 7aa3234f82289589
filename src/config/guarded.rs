//! Files that decide who may do what. One that holds secrets may not be read by everyone on the node, and none of them
//! may be changed by everyone; each has a size beyond which it is some other file.

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use thiserror::Error;

/// Who must not get at a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privacy {
    /// It holds secrets: nobody outside owner and group may read or change it.
    Secret,
    /// It is relied on: nobody outside owner and group may change it.
    Trusted,
}

/// Why a file is not taken.
#[derive(Debug, Error)]
pub enum FileFault {
    /// It cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It may not be used.
    #[error("{}: {what}", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

/// Opens a file that nobody outside may get at.
///
/// # Errors
/// [`FileFault`]: it cannot be opened, or its mode lets others in.
pub fn open(path: &Path, privacy: Privacy) -> Result<File, FileFault> {
    let unreadable = |source| FileFault::Unreadable {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode();
    let (bits, what) = match privacy {
        Privacy::Secret => (0o007, "lets everyone read or change it: chmod 600"),
        Privacy::Trusted => (0o002, "lets everyone change it: chmod o-w"),
    };
    if mode & bits != 0 {
        return Err(FileFault::Unfit {
            path: path.to_owned(),
            what: format!("mode {:04o} {what}", mode & 0o7777),
        });
    }
    Ok(file)
}

/// Reads a file of at most `bytes_max` bytes that nobody outside may get at.
///
/// # Errors
/// [`FileFault`]: it cannot be read, its mode lets others in, or it is longer.
pub fn read(path: &Path, bytes_max: u64, privacy: Privacy) -> Result<Vec<u8>, FileFault> {
    let mut bytes = Vec::new();
    open(path, privacy)?
        .take(bytes_max.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|source| FileFault::Unreadable {
            path: path.to_owned(),
            source,
        })?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len > bytes_max) {
        return Err(FileFault::Unfit {
            path: path.to_owned(),
            what: format!("is longer than the {bytes_max} bytes that are read"),
        });
    }
    Ok(bytes)
}

/// Takes away the line break that an editor leaves at the end of a secret.
pub(super) fn without_line_break(mut bytes: Vec<u8>) -> Vec<u8> {
    while bytes
        .last()
        .is_some_and(|byte| matches!(byte, b'\n' | b'\r'))
    {
        bytes.pop();
    }
    bytes
}

/// A secret of a file: at most `bytes_max` bytes, without the line break at its end.
///
/// # Errors
/// As [`read`] with [`Privacy::Secret`].
pub fn secret(path: &Path, bytes_max: u64) -> Result<Vec<u8>, FileFault> {
    read(path, bytes_max, Privacy::Secret).map(without_line_break)
}
