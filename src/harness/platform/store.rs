//! The platform's `RocksDB`: opened once by the platform, read-only beside it by queries.

use std::{collections::HashMap, path::Path};

use prost::Message as _;
use rocksdb::{DB, Direction, IteratorMode, Options, ReadOptions, WriteBatch, WriteOptions};
use thiserror::Error;

use super::{
    keys::{self, Holder, Kind},
    position::LanePosition,
};
use crate::proto::platform;

/// Why the platform's data cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// `RocksDB` says no.
    #[error("{0}")]
    Rocks(#[from] rocksdb::Error),
    /// A record does not read back.
    #[error("a {0} record is damaged")]
    Damaged(&'static str),
}

/// Memtable, bytes: a batch passes through it once.
const WRITE_BUFFER: usize = 64 << 20;
/// Values from this size on lie outside the tree, so that compaction moves keys only.
const BLOB_MIN: u64 = 1 << 10;
/// Bound of the write-ahead log, bytes: keeps a restart short.
const WAL_MAX: u64 = 192 << 20;
/// Attempts at opening beside a running platform, which may delete a file in between.
const OPEN_ATTEMPTS: u32 = 5;

fn options() -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_write_buffer_size(WRITE_BUFFER);
    options.set_max_write_buffer_number(3);
    options.set_max_total_wal_size(WAL_MAX);
    options.set_enable_blob_files(true);
    options.set_min_blob_size(BLOB_MIN);
    options.set_keep_log_file_num(2);
    options.set_max_open_files(-1);
    options
}

/// The open store.
#[derive(Debug)]
pub(super) struct Store {
    db: DB,
}

/// What the platform keeps in memory of what it holds.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Positions.
    pub(super) positions: HashMap<Holder, LanePosition>,
    /// Readings per lane holder and class.
    pub(super) counts: HashMap<Holder, HashMap<Vec<u8>, u64>>,
    /// Sequences lost to gaps, per record.
    pub(super) gaps: (u64, u64),
    /// Refused readings.
    pub(super) refused: u64,
}

impl Store {
    /// Opens or creates the store for the platform.
    ///
    /// # Errors
    /// Locked by another, not writable, damaged.
    pub(super) fn open(dir: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            db: DB::open(&options(), dir)?,
        })
    }

    /// Opens the store for reading as it is at this moment, also while a platform runs on it.
    ///
    /// # Errors
    /// Not there, damaged.
    pub(super) fn open_read_only(dir: &Path) -> Result<Self, StoreError> {
        let mut options = options();
        options.create_if_missing(false);
        let mut attempt = 1;
        loop {
            match DB::open_for_read_only(&options, dir, false) {
                Ok(db) => return Ok(Self { db }),
                Err(fault) if attempt >= OPEN_ATTEMPTS => return Err(fault.into()),
                Err(_raced) => attempt += 1,
            }
        }
    }

    /// Writes a group, synced.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn write(&self, batch: WriteBatch) -> Result<(), StoreError> {
        let mut options = WriteOptions::default();
        options.set_sync(true);
        Ok(self.db.write_opt(batch, &options)?)
    }

    /// Calls `each` with key and value of every record of a kind, in order of keys.
    ///
    /// # Errors
    /// The disk cannot be read, or `each` says so.
    pub(super) fn each(
        &self,
        kind: Kind,
        mut each: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut reading = ReadOptions::default();
        reading.set_iterate_upper_bound(vec![kind.byte() + 1]);
        reading.set_readahead_size(4 << 20);
        let from = [kind.byte()];
        let mode = IteratorMode::From(&from, Direction::Forward);
        for entry in self.db.iterator_opt(mode, reading) {
            let (key, value) = entry?;
            each(&key, &value)?;
        }
        Ok(())
    }

    /// Loads what the platform keeps in memory.
    ///
    /// # Errors
    /// The disk cannot be read or a record is damaged.
    pub(super) fn load(&self) -> Result<Held, StoreError> {
        let mut held = Held::default();
        self.each(Kind::Position, |key, value| {
            let damaged = || StoreError::Damaged("position");
            let (holder, _) = keys::split(key).ok_or_else(damaged)?;
            let wire = platform::LanePosition::decode(value).map_err(|_fault| damaged())?;
            held.positions
                .insert(holder, LanePosition::from_wire(&wire));
            Ok(())
        })?;
        self.each(Kind::Count, |key, value| {
            let damaged = || StoreError::Damaged("count");
            let (holder, class) = keys::split(key).ok_or_else(damaged)?;
            let count = u64::from_be_bytes(value.try_into().map_err(|_fault| damaged())?);
            held.counts
                .entry(holder)
                .or_default()
                .insert(class.to_vec(), count);
            Ok(())
        })?;
        self.each(Kind::Gap, |_key, value| {
            let gap = platform::Gap::decode(value).map_err(|_fault| StoreError::Damaged("gap"))?;
            held.gaps.0 += 1;
            held.gaps.1 += gap.count;
            Ok(())
        })?;
        self.each(Kind::Refused, |_key, _value| {
            held.refused += 1;
            Ok(())
        })?;
        Ok(held)
    }
}
