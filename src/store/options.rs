//! How `RocksDB` is run, and why. Measured: options beyond these made no difference that could be told from noise.

use rocksdb::{
    BlockBasedOptions, Cache, DBCompressionType, DBRecoveryMode, InfoLogger, LogLevel, Options,
};

/// Bytes of one memtable: two of them, so that one is filled while the other is flushed.
const WRITE_BUFFER_BYTES: usize = 64 << 20;
const WRITE_BUFFERS_MAX: i32 = 2;
/// Reads are sequential and go through the page cache as well: little is enough.
const BLOCK_CACHE_BYTES: usize = 8 << 20;
/// A block of readings is tens of KiB, so most stand alone in theirs; small ones share.
const TABLE_BLOCK_BYTES: usize = 32 << 10;
/// Files of 64 MB: dropped whole once everything in them is delivered.
const FILE_BYTES: u64 = 64 << 20;
/// A backlog of 100 GB is 1,600 files; the rest of the process needs its file descriptors for connections.
const OPEN_FILES_MAX: i32 = 256;

/// What the owner of the store decides.
#[derive(Debug, Clone, Copy)]
pub struct StoreOptions {
    /// Bound of the write-ahead log, bytes: the time to open follows it.
    pub wal_bytes_max: u64,
}

/// How far the log is believed when it cannot be read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LogTrust {
    /// A torn tail is cut; anything else is an error.
    TornTail,
    /// Everything behind the first damage is given up.
    PointInTime,
}

pub(super) fn options(options: &StoreOptions, trust: LogTrust) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(&Cache::new_lru_cache(BLOCK_CACHE_BYTES));
    table.set_block_size(TABLE_BLOCK_BYTES);
    table.set_format_version(5);

    let mut o = Options::default();
    o.create_if_missing(true);
    o.set_block_based_table_factory(&table);
    // Blocks are compressed before they come here.
    o.set_compression_type(DBCompressionType::None);
    o.set_write_buffer_size(WRITE_BUFFER_BYTES);
    o.set_max_write_buffer_number(WRITE_BUFFERS_MAX);
    o.set_target_file_size_base(FILE_BYTES);
    o.set_max_total_wal_size(options.wal_bytes_max);
    o.set_wal_recovery_mode(match trust {
        LogTrust::TornTail => DBRecoveryMode::TolerateCorruptedTailRecords,
        LogTrust::PointInTime => DBRecoveryMode::PointInTime,
    });
    o.set_max_open_files(OPEN_FILES_MAX);
    o.set_max_background_jobs(2);
    o.set_paranoid_checks(true);
    o.set_bytes_per_sync(1 << 20);
    o.set_skip_stats_update_on_db_open(true);
    o.set_stats_dump_period_sec(0);
    o.set_stats_persist_period_sec(0);
    o.set_max_manifest_file_size(4 << 20);
    // What RocksDB has to say goes where everything else goes, and not into files of its own.
    o.set_info_logger(InfoLogger::new_callback_logger(LogLevel::Warn, log));
    o
}

fn log(level: LogLevel, message: &str) {
    match level {
        LogLevel::Debug | LogLevel::Info | LogLevel::Header => {}
        LogLevel::Warn => tracing::debug!(target: "rocksdb", "{}", message.trim_end()),
        LogLevel::Error | LogLevel::Fatal => {
            tracing::warn!(target: "rocksdb", "{}", message.trim_end());
        }
    }
}
