//! The spool looked at from outside, for the operator's commands: reads only, takes no lock, also while a daemon runs.

use std::path::Path;

use super::{
    error::SpoolError,
    ledger::Ledger,
    open::{incarnation, ledger_of, read_books},
    recount::{self, Inventory},
};
use crate::{
    domain::{Incarnation, Lane, LaneMap, QuarantineReason, Sequence, UnixNanos},
    store::{FORMAT_VERSION, Store},
};

/// A spool at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolStat {
    /// Which spool it is; none if it was never opened by a daemon.
    pub incarnation: Option<Incarnation>,
    /// Version of the data directory's format.
    pub format_version: u32,
    /// Each lane.
    pub lanes: LaneMap<LaneStat>,
    /// What became of every reading.
    pub ledger: Ledger,
    /// Whether the ledger balances, and the lanes' cursors agree with it.
    pub balances: bool,
    /// Entries in quarantine by reason; reasons without one are left out.
    pub quarantine: Vec<(QuarantineReason, u64)>,
    /// Bytes in quarantine.
    pub quarantine_bytes: u64,
    /// Bytes of damaged blocks set aside.
    pub damaged_bytes: u64,
    /// Bytes of table files on disk.
    pub table_bytes: u64,
}

/// A lane at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LaneStat {
    /// The oldest sequence not delivered.
    pub oldest: Sequence,
    /// The sequence that the next reading takes.
    pub next: Sequence,
    /// Readings not delivered.
    pub readings: u64,
    /// Blocks on disk.
    pub blocks: u64,
    /// Gaps on disk.
    pub gaps: u64,
    /// Items that cannot be read.
    pub unreadable: u64,
    /// Bytes of items on disk.
    pub bytes: u64,
    /// Bytes of their readings before compression.
    pub raw_bytes: u64,
    /// When the first reading on disk was received.
    pub oldest_received_at: Option<UnixNanos>,
    /// When the last one was.
    pub newest_received_at: Option<UnixNanos>,
}

/// Looks at the spool of a data directory. Reads every item's header: a long backlog takes a while.
///
/// # Errors
/// There is no spool, it is of a newer version, or it cannot be read.
pub fn stat(data_dir: &Path) -> Result<SpoolStat, SpoolError> {
    let store = Store::look(data_dir)?;
    let books = read_books(&store)?;
    let mut lanes: LaneMap<LaneStat> = LaneMap::default();
    for lane in Lane::ALL {
        let book = &books.lanes[lane];
        let Inventory {
            blocks,
            gaps,
            unreadable,
            raw_bytes,
            oldest,
            newest,
        } = recount::inventory(&store, book)?;
        lanes[lane] = LaneStat {
            oldest: book.low,
            next: book.next,
            readings: book.ledger.spooled,
            blocks,
            gaps,
            unreadable,
            bytes: book.bytes,
            raw_bytes,
            oldest_received_at: oldest,
            newest_received_at: newest,
        };
    }
    let ledger = ledger_of(&books);
    let reasons = QuarantineReason::ALL.iter();
    let counted = reasons.map(|reason| (*reason, books.sum.count(*reason)));
    Ok(SpoolStat {
        incarnation: incarnation(&store)?,
        format_version: FORMAT_VERSION,
        lanes,
        balances: ledger.balances() && books.lanes.iter().all(|(_, book)| book.is_consistent()),
        ledger,
        quarantine: counted.filter(|(_, count)| *count > 0).collect(),
        quarantine_bytes: books.sum.bytes,
        damaged_bytes: books.sum.damaged_bytes,
        table_bytes: store.table_bytes(),
    })
}
