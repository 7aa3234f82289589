//! Where the broker keeps what must survive a restart: sessions, their queues, retained messages. The broker encodes its
//! own records and knows no disk; an [`Archive`] keeps bytes under keys and says when they are safe.
//!
//! Invariants: changes of one call happen together or not at all; calls take effect in their order; `then` is called
//! once for each call, in the order of the calls, and says `Durable` only after the synced write that holds the changes.

#[cfg(any(test, feature = "fuzz", feature = "harness"))]
mod forgetful;

use std::{fmt, future::Future, pin::Pin, sync::Arc};

#[cfg(any(test, feature = "fuzz", feature = "harness"))]
pub use forgetful::{Forgetful, forgetful};

/// Length of a record's key, bytes. The first byte is one of [`KINDS`].
pub const RECORD_KEY_BYTES: usize = 10;

/// A record's key; keys of a kind are loaded in the order of their bytes.
pub type RecordKey = [u8; RECORD_KEY_BYTES];

/// First bytes of all keys that the broker uses.
pub const KINDS: std::ops::Range<u8> = 0x60..0x70;

/// What the records of each kind are, by the first byte of their keys: for operators.
pub const KIND_NAMES: [(u8, &str); 5] = [
    (0x60, "sessions"),
    (0x61, "queued entries"),
    (0x62, "message bodies"),
    (0x63, "retained messages"),
    (0x64, "incoming QoS 2 identifiers"),
];

/// Changes that happen together.
#[derive(Debug, Default)]
pub struct Changes {
    entries: Vec<(RecordKey, Option<Vec<u8>>)>,
    bytes: usize,
}

impl Changes {
    /// Sets a record.
    pub fn put(&mut self, key: RecordKey, value: Vec<u8>) {
        self.bytes += RECORD_KEY_BYTES + value.len();
        self.entries.push((key, Some(value)));
    }

    /// Removes a record.
    pub fn delete(&mut self, key: RecordKey) {
        self.bytes += RECORD_KEY_BYTES;
        self.entries.push((key, None));
    }

    /// Bytes of keys and values.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing changes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The changes in their order; `None`: the record is removed.
    #[must_use]
    pub fn into_entries(self) -> Vec<(RecordKey, Option<Vec<u8>>)> {
        self.entries
    }
}

/// What became of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// They are on the disk.
    Durable,
    /// The archive was closed before they were.
    Abandoned,
    /// They were not taken and will be offered again. An archive never says so: whoever gets [`NoRoom`] does.
    NotTaken,
}

/// Called once when changes are durable, on the archive's own thread: must not block.
pub type Then = Box<dyn FnOnce(Written) + Send>;

/// Changes that were not taken: too many bytes wait for the disk.
pub struct NoRoom {
    /// The changes, as they were given.
    pub changes: Changes,
    /// Who was to be told.
    pub then: Option<Then>,
}

impl fmt::Debug for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoRoom")
            .field("changes", &self.changes)
            .finish_non_exhaustive()
    }
}

/// Keeps the broker's records.
pub trait Archive: fmt::Debug + Send + Sync + 'static {
    /// Queues changes; never blocks.
    ///
    /// # Errors
    /// So many bytes wait for the disk that these are not taken: try again after [`Archive::room`].
    fn append(&self, changes: Changes, then: Option<Then>) -> Result<(), NoRoom>;

    /// Queues changes that give room back or that cannot wait: always taken. Only for deletions and small records whose
    /// number is bounded elsewhere.
    fn note(&self, changes: Changes, then: Option<Then>);

    /// Resolves when there may be room again.
    fn room(&self) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// An archive and what it held when it was opened.
pub struct Memory {
    /// Keeps what comes.
    pub archive: Arc<dyn Archive>,
    /// Every record that was kept, in the order of keys.
    pub records: Box<dyn Iterator<Item = (RecordKey, Vec<u8>)> + Send>,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("archive", &self.archive)
            .finish_non_exhaustive()
    }
}
