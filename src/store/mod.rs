//! The store: `RocksDB`, opened once, behind a narrow interface. The only module that names `rocksdb`.
//!
//! It knows folders, locks, format versions, the write-ahead log and its damages, and which errors mean a full disk. It
//! knows nothing of lanes, blocks or ledgers: keys of ten bytes and values of any length, in one column family.
//!
//! ```text
//! data-dir/
//!   LOCK              flock, held while a process owns the directory
//!   FORMAT            "sensegate 1": checked before anything else is touched
//!   store/            RocksDB's own files
//!   damaged-<time>/   copies of logs that could not be read to their end; never deleted by this software
//! ```

mod error;
mod folder;
mod options;
mod database;
mod wal;

#[expect(
    clippy::module_name_repetitions,
    reason = "the stages above have errors and options of their own beside them"
)]
pub use self::{error::StoreError, options::StoreOptions};
pub use database::{Batch, Durability, KEY_BYTES, Key, Opened, Start, Step, Store};
pub use folder::{FORMAT_VERSION, accept};
pub use wal::LogDamage;
