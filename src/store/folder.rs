//! The data directory before `RocksDB` sees it: is it one, is it ours, is it free, is it of a version we know. Nothing is
//! written until the answer to all of these is yes.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::error::StoreError;

/// The newest version of the data directory that this software reads, and the one that it writes.
pub const FORMAT_VERSION: u32 = 1;

const FORMAT_FILE: &str = "FORMAT";
const LOCK_FILE: &str = "LOCK";
const STORE_DIR: &str = "store";
const FORMAT_WORD: &str = "sensegate";

/// A data directory that this process owns until the value is dropped.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Holds the lock.
    _lock: File,
}

impl Folder {
    /// Takes a directory, creating it if it is not there.
    pub(super) fn own(path: &Path) -> Result<Self, StoreError> {
        let version = known_version(path)?;
        fs::create_dir_all(path).map_err(|source| StoreError::of_io(path, source))?;
        let lock = own_lock(path)?;
        let folder = Self {
            path: path.to_owned(),
            _lock: lock,
        };
        if version.is_none() {
            // Another process may have come first, between the look and the lock.
            if known_version(path)?.is_none() {
                folder.write_version()?;
            }
        }
        Ok(folder)
    }

    /// Where `RocksDB`'s files are.
    pub(super) fn store(&self) -> PathBuf {
        self.path.join(STORE_DIR)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn write_version(&self) -> Result<(), StoreError> {
        let target = self.path.join(FORMAT_FILE);
        let part = self.path.join("FORMAT.part");
        let written = write_synced(
            &part,
            format!("{FORMAT_WORD} {FORMAT_VERSION}\n").as_bytes(),
        )
        .and_then(|()| fs::rename(&part, &target))
        .and_then(|()| File::open(&self.path)?.sync_all());
        written.map_err(|source| StoreError::of_io(&target, source))
    }
}

/// Where `RocksDB`'s files are in a data directory that is only looked at.
pub(super) fn look(path: &Path) -> Result<PathBuf, StoreError> {
    match known_version(path)? {
        Some(_) => Ok(path.join(STORE_DIR)),
        None => Err(StoreError::Missing {
            path: path.to_owned(),
        }),
    }
}

/// Whether a directory is, or can become, one of this software's; touches nothing.
///
/// # Errors
/// It was written by a newer version, belongs to something else, or is no directory.
pub fn accept(path: &Path) -> Result<(), StoreError> {
    known_version(path).map(|_version| ())
}

/// The version of a data directory; none if it is empty or not there.
fn known_version(path: &Path) -> Result<Option<u32>, StoreError> {
    match fs::metadata(path) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(StoreError::of_io(path, source)),
        Ok(found) if !found.is_dir() => {
            return Err(StoreError::NotADirectory {
                path: path.to_owned(),
            });
        }
        Ok(_) => {}
    }
    let file = path.join(FORMAT_FILE);
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(source) if source.kind() == io::ErrorKind::NotFound => {
            let foreign = path.join(STORE_DIR);
            return if foreign.exists() {
                Err(StoreError::Foreign {
                    path: foreign,
                    what: "it has a store, but no FORMAT file",
                })
            } else {
                Ok(None)
            };
        }
        Err(source) if source.kind() == io::ErrorKind::InvalidData => {
            return Err(StoreError::Foreign {
                path: file,
                what: "its FORMAT file is not text",
            });
        }
        Err(source) => return Err(StoreError::of_io(&file, source)),
    };
    let version = text
        .trim()
        .strip_prefix(FORMAT_WORD)
        .and_then(|rest| rest.trim().parse::<u32>().ok())
        .ok_or(StoreError::Foreign {
            path: file,
            what: "its FORMAT file does not say \"sensegate\" and a version",
        })?;
    if version > FORMAT_VERSION {
        return Err(StoreError::NewerFormat {
            path: path.to_owned(),
            found: version,
            known: FORMAT_VERSION,
        });
    }
    Ok(Some(version))
}

fn own_lock(path: &Path) -> Result<File, StoreError> {
    let file = path.join(LOCK_FILE);
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&file)
        .map_err(|source| StoreError::of_io(&file, source))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(StoreError::of_io(&file, source)),
    }
}

pub(super) fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_owner_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let owned = Folder::own(dir.path()).unwrap();
        let second = Folder::own(dir.path()).unwrap_err();
        assert!(matches!(second, StoreError::Locked { .. }));
        assert!(second.to_string().contains("locked by another process"));
        drop(owned);
        assert!(Folder::own(dir.path()).is_ok());
    }

    #[test]
    fn a_newer_directory_is_refused_untouched() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FORMAT_FILE), "sensegate 2\n").unwrap();
        let refused = Folder::own(dir.path()).unwrap_err();
        assert!(matches!(
            refused,
            StoreError::NewerFormat {
                found: 2,
                known: 1,
                ..
            }
        ));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_not_ours_is_refused_untouched() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FORMAT_FILE), "mosquitto").unwrap();
        assert!(matches!(
            Folder::own(dir.path()),
            Err(StoreError::Foreign { .. })
        ));
        fs::remove_file(dir.path().join(FORMAT_FILE)).unwrap();
        fs::create_dir(dir.path().join(STORE_DIR)).unwrap();
        assert!(matches!(
            Folder::own(dir.path()),
            Err(StoreError::Foreign { .. })
        ));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_is_no_directory() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(
            Folder::own(&file),
            Err(StoreError::NotADirectory { .. })
        ));
        let below = Folder::own(&file.join("below")).unwrap_err();
        assert!(matches!(below, StoreError::NotADirectory { .. }), "{below}");
    }

    #[test]
    fn an_empty_directory_holds_no_spool_to_look_at() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(look(dir.path()), Err(StoreError::Missing { .. })));
    }
}
