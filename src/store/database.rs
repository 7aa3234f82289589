//! Reading and writing: batches that are all or nothing, scans between bounds, whole files let go of.

use std::{
    fmt,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use rocksdb::{DB, ReadOptions, WriteBatch, WriteOptions};

use super::{
    error::StoreError,
    folder::{self, Folder},
    options::{LogTrust, StoreOptions, options},
    wal::{self, LogDamage},
};
use crate::domain::UnixNanos;

/// Length of every key.
pub const KEY_BYTES: usize = 10;

/// A key. Their order as bytes is the order of scans.
pub type Key = [u8; KEY_BYTES];

/// How often a look at a store that a daemon is writing starts again when files vanish under it.
const LOOK_ATTEMPTS: usize = 5;

/// When a write is on the disk itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Before the call returns: it survives a loss of power.
    Synced,
    /// With the next synced write: until then it survives the process, not the machine.
    Buffered,
}

/// Where a scan starts.
#[derive(Debug, Clone, Copy)]
pub enum Start {
    /// At the first key that is not below this one.
    At(Key),
    /// At the last key that is not above this one; if there is none within the bounds, as [`Start::At`].
    AtOrBefore(Key),
}

/// What a scan does after a key.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    /// Goes to the next key.
    Next,
    /// Goes to the first key that is not below this one: jumps over tombstones.
    Seek(Key),
    /// Ends.
    Stop,
}

/// Changes that happen together or not at all.
#[derive(Debug, Default)]
pub struct Batch {
    changes: Vec<(Key, Option<Vec<u8>>)>,
}

impl Batch {
    /// Sets a key's value.
    pub fn put(&mut self, key: Key, value: Vec<u8>) {
        self.changes.push((key, Some(value)));
    }

    /// Removes a key.
    pub fn delete(&mut self, key: Key) {
        self.changes.push((key, None));
    }

    /// Adds another batch's changes behind its own.
    pub fn append(&mut self, mut other: Self) {
        self.changes.append(&mut other.changes);
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The changes in their order; `None`: the key is removed.
    #[must_use]
    pub fn into_changes(self) -> Vec<(Key, Option<Vec<u8>>)> {
        self.changes
    }

    fn build(&self) -> WriteBatch {
        let bytes: usize = self
            .changes
            .iter()
            .map(|(_, value)| 2 * KEY_BYTES + value.as_ref().map_or(0, Vec::len))
            .sum();
        let mut batch = WriteBatch::with_capacity_bytes(bytes);
        for (key, value) in &self.changes {
            match value {
                Some(value) => batch.put(key, value),
                None => batch.delete(key),
            }
        }
        batch
    }
}

/// The open store. One process owns it; its threads share it.
pub struct Store {
    db: DB,
    /// The data directory, for messages.
    path: PathBuf,
    /// Keeps the directory's lock until the database is closed; none if it is only looked at.
    _folder: Option<Folder>,
    #[cfg(test)]
    full: std::sync::atomic::AtomicBool,
}

/// A store that has one owner and several users, and what was found when it was opened.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The store; it is closed when the last user lets go of it.
    pub store: Arc<Store>,
    /// A log that could not be read to its end.
    pub log_damage: Option<LogDamage>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store of a data directory, creating both if they are not there. A torn tail of the log is cut. If the
    /// log is damaged otherwise, it is copied aside, everything up to the damage is taken, and the damage is reported.
    ///
    /// # Errors
    /// The directory is locked, not writable, no directory, of a newer format, foreign; or the disk is full, fails, or
    /// is damaged beyond the log.
    pub fn open(
        path: &Path,
        how: &StoreOptions,
        now: UnixNanos,
    ) -> Result<(Self, Option<LogDamage>), StoreError> {
        let folder = Folder::own(path)?;
        let opened = DB::open(&options(how, LogTrust::TornTail), folder.store());
        let first = match opened {
            Ok(db) => return Ok((Self::of(db, folder), None)),
            Err(error) => StoreError::of(path, &error),
        };
        let StoreError::Corrupt { cause, .. } = &first else {
            return Err(first);
        };
        let damage = wal::set_aside(&folder, cause, now)?;
        tracing::error!(
            path = %path.display(),
            aside = %damage.aside.display(),
            bytes = damage.log_bytes,
            %cause,
            "the write-ahead log is damaged: it is set aside, and what lies before the damage is recovered"
        );
        match DB::open(&options(how, LogTrust::PointInTime), folder.store()) {
            Ok(db) => Ok((Self::of(db, folder), Some(damage))),
            Err(error) => Err(StoreError::of(path, &error)),
        }
    }

    fn of(db: DB, folder: Folder) -> Self {
        Self {
            db,
            path: folder.path().to_owned(),
            _folder: Some(folder),
            #[cfg(test)]
            full: Default::default(),
        }
    }

    /// Looks at the store of a data directory as it is now, also while a daemon owns it. Writes nothing.
    ///
    /// # Errors
    /// There is no store, it is of a newer format, or it cannot be read.
    pub fn look(path: &Path) -> Result<Self, StoreError> {
        let store = folder::look(path)?;
        let how = StoreOptions { wal_bytes_max: 0 };
        let mut looked = Err(StoreError::Missing {
            path: path.to_owned(),
        });
        for _ in 0..LOOK_ATTEMPTS {
            let mut options = options(&how, LogTrust::TornTail);
            options.create_if_missing(false);
            match DB::open_for_read_only(&options, &store, false) {
                Ok(db) => {
                    return Ok(Self {
                        db,
                        path: path.to_owned(),
                        _folder: None,
                        #[cfg(test)]
                        full: Default::default(),
                    });
                }
                Err(error) => looked = Err(StoreError::of(path, &error)),
            }
        }
        looked
    }

    fn fault(&self, error: &rocksdb::Error) -> StoreError {
        StoreError::of(&self.path, error)
    }

    /// Applies a batch.
    ///
    /// # Errors
    /// The disk is full or fails: nothing of the batch is visible, and the same batch may be written again.
    pub fn write(&self, batch: &Batch, durability: Durability) -> Result<(), StoreError> {
        self.pretend()?;
        let mut options = WriteOptions::default();
        options.set_sync(durability == Durability::Synced);
        self.db
            .write_opt(batch.build(), &options)
            .map_err(|error| self.fault(&error))
    }

    /// Makes everything written so far survive a loss of power.
    ///
    /// # Errors
    /// The disk is full or fails.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.pretend()?;
        self.db.flush_wal(true).map_err(|error| self.fault(&error))
    }

    /// Whether a key surely has no value. Asks memory alone, so that it costs about as much as a write of one key: if the
    /// disk would have to be read to know, the answer is no.
    #[must_use]
    pub fn is_surely_absent(&self, key: &Key) -> bool {
        !self.db.key_may_exist(key)
    }

    /// Fails as on a full disk while a test says so.
    #[cfg_attr(
        not(test),
        expect(
            clippy::unused_self,
            clippy::unnecessary_wraps,
            reason = "only tests pretend"
        )
    )]
    fn pretend(&self) -> Result<(), StoreError> {
        #[cfg(test)]
        if self.full.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(StoreError::Full {
                path: self.path.clone(),
                cause: "a test says so".to_owned(),
            });
        }
        Ok(())
    }

    /// While this is set, every write fails as on a full disk.
    #[cfg(test)]
    pub(crate) fn pretended_full(&self) -> &std::sync::atomic::AtomicBool {
        &self.full
    }

    /// A key's value.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        self.db.get(key).map_err(|error| self.fault(&error))
    }

    /// Shows keys and values between the bounds, ascending, until `visit` says to stop.
    ///
    /// # Errors
    /// The disk cannot be read, or a key is not of this store's length.
    pub fn scan(
        &self,
        bounds: Range<Key>,
        start: Start,
        mut visit: impl FnMut(&Key, &[u8]) -> Step,
    ) -> Result<(), StoreError> {
        if bounds.start >= bounds.end {
            return Ok(());
        }
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(bounds.start);
        options.set_iterate_upper_bound(bounds.end);
        options.fill_cache(false);
        let mut at = self.db.raw_iterator_opt(options);
        match start {
            Start::At(key) => at.seek(key),
            Start::AtOrBefore(key) => {
                at.seek_for_prev(key);
                if !at.valid() {
                    at.status().map_err(|error| self.fault(&error))?;
                    at.seek(key);
                }
            }
        }
        while let Some((key, value)) = at.item() {
            let key = Key::try_from(key).ok().ok_or_else(|| StoreError::Corrupt {
                path: self.path.clone(),
                cause: format!("a key has {} bytes", key.len()),
            })?;
            match visit(&key, value) {
                Step::Next => at.next(),
                Step::Seek(key) => at.seek(key),
                Step::Stop => return Ok(()),
            }
        }
        at.status().map_err(|error| self.fault(&error))
    }

    /// Lets go of the files that hold nothing but keys of this range: works on a full disk too.
    ///
    /// # Errors
    /// The disk fails.
    pub fn drop_files(&self, range: Range<Key>) -> Result<(), StoreError> {
        // RocksDB takes the end as part of the range.
        let Some(last) = before(range.end).filter(|last| *last >= range.start) else {
            return Ok(());
        };
        self.db
            .delete_file_in_range(range.start, last)
            .map_err(|error| self.fault(&error))
    }

    /// Bytes of table files on disk, deleted entries not yet compacted included.
    #[must_use]
    pub fn table_bytes(&self) -> u64 {
        let bytes = self.db.property_int_value("rocksdb.total-sst-files-size");
        bytes.ok().flatten().unwrap_or_default()
    }

    /// Writes what is in memory to table files, so that the next open has no log to read.
    ///
    /// # Errors
    /// The disk is full or fails.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.db.flush().map_err(|error| self.fault(&error))
    }
}

/// The key right before another.
fn before(key: Key) -> Option<Key> {
    let mut before = key;
    for byte in before.iter_mut().rev() {
        let (less, borrowed) = byte.overflowing_sub(1);
        *byte = less;
        if !borrowed {
            return Some(before);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const HOW: StoreOptions = StoreOptions {
        wal_bytes_max: 64 << 20,
    };

    fn open(path: &Path) -> (Store, Option<LogDamage>) {
        Store::open(path, &HOW, UnixNanos(1_000_000_000)).unwrap()
    }

    fn key(number: u8) -> Key {
        [1, 0, 0, 0, 0, 0, 0, 0, 0, number]
    }

    fn write(store: &Store, number: u8) {
        let mut batch = Batch::default();
        batch.put(key(number), vec![number; 1000]);
        store.write(&batch, Durability::Synced).unwrap();
    }

    fn numbers(store: &Store) -> Vec<u8> {
        let mut seen = Vec::new();
        store
            .scan(key(0)..key(200), Start::At(key(0)), |key, _| {
                seen.push(key[9]);
                Step::Next
            })
            .unwrap();
        seen
    }

    /// The directory as a crash at this moment would leave it.
    fn crashed(from: &Path) -> tempfile::TempDir {
        let to = tempfile::tempdir().unwrap();
        fs::copy(from.join("FORMAT"), to.path().join("FORMAT")).unwrap();
        fs::create_dir(to.path().join("store")).unwrap();
        for entry in fs::read_dir(from.join("store")).unwrap() {
            let entry = entry.unwrap();
            fs::copy(
                entry.path(),
                to.path().join("store").join(entry.file_name()),
            )
            .unwrap();
        }
        to
    }

    fn log_of(dir: &Path) -> PathBuf {
        let mut logs: Vec<_> = wal::logs(&dir.join("store")).unwrap();
        logs.sort();
        logs.pop().unwrap()
    }

    #[test]
    fn a_scan_starts_jumps_and_ends_where_it_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = open(dir.path());
        for number in [1, 3, 5, 7, 9] {
            write(&store, number);
        }
        let mut seen = Vec::new();
        let from = Start::AtOrBefore(key(4));
        store
            .scan(key(1)..key(9), from, |key, _| {
                seen.push(key[9]);
                if key[9] == 3 {
                    Step::Seek([1, 0, 0, 0, 0, 0, 0, 0, 0, 6])
                } else {
                    Step::Next
                }
            })
            .unwrap();
        assert_eq!(seen, [3, 7]);
        seen.clear();
        store
            .scan(key(2)..key(9), Start::AtOrBefore(key(2)), |key, _| {
                seen.push(key[9]);
                Step::Stop
            })
            .unwrap();
        assert_eq!(seen, [3]);
    }

    #[test]
    fn a_torn_tail_is_cut_without_ado() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = open(dir.path());
        (0..10).for_each(|number| write(&store, number));
        let copy = crashed(dir.path());
        let log = log_of(copy.path());
        let bytes = fs::read(&log).unwrap();
        fs::write(&log, &bytes[..bytes.len() - 400]).unwrap();
        let (store, damage) = open(copy.path());
        assert_eq!(damage, None);
        assert_eq!(numbers(&store), (0..9).collect::<Vec<_>>());
    }

    #[test]
    fn a_damaged_log_is_set_aside_and_reported_and_what_lies_before_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = open(dir.path());
        (0..10).for_each(|number| write(&store, number));
        let copy = crashed(dir.path());
        let log = log_of(copy.path());
        let mut bytes = fs::read(&log).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&log, &bytes).unwrap();
        let (store, damage) = open(copy.path());
        let damage = damage.unwrap();
        assert_eq!(damage.log_bytes, bytes.len() as u64);
        assert_eq!(fs::read(&damage.logs[0]).unwrap(), bytes);
        let kept = numbers(&store);
        assert!(!kept.is_empty() && kept.len() < 10, "{kept:?}");
        write(&store, 100);
        drop(store);
        assert_eq!(open(copy.path()).1, None);
    }

    #[test]
    fn a_look_needs_no_lock_and_sees_what_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = open(dir.path());
        write(&store, 7);
        let looked = Store::look(dir.path()).unwrap();
        assert_eq!(numbers(&looked), [7]);
    }

    #[test]
    fn a_store_has_one_owner() {
        let dir = tempfile::tempdir().unwrap();
        let _store = open(dir.path());
        let second = Store::open(dir.path(), &HOW, UnixNanos(0)).unwrap_err();
        assert!(matches!(second, StoreError::Locked { .. }), "{second}");
    }
}
