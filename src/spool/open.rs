//! Opening: the store is recovered, the books are read, what a damaged log took with it is accounted for, and the books
//! are held against what is really there. The writer does not run yet.

use std::sync::Arc;

use super::{
    block::BlockWriter,
    book::Book,
    desk::{Books, Desk, DeskBounds},
    error::SpoolError,
    intake::{Intake, SpoolInlet},
    keys,
    ledger::Ledger,
    quarantine::Sum,
    ranges::RangeSet,
    reader::SpoolReader,
    recount::{self, Recount},
    recovery,
    release::Quarantine,
    shared::{Origin, Shared},
    writer::SpoolWriter,
};
use crate::{
    config::SpoolConfig,
    domain::{Clock, Incarnation, Lane, LaneMap, Settle, UnixNanos},
    store::{self, Batch, Durability, LogDamage, Store, StoreError, StoreOptions},
};

/// The durable queue.
#[derive(Debug)]
pub struct Spool;

/// An open spool: recovery is done, the writer does not run yet.
#[derive(Debug)]
pub struct Opened<R> {
    /// Where ingest puts readings.
    pub inlet: SpoolInlet<R>,
    /// What the uplink reads.
    pub reader: SpoolReader,
    /// What operators look at and change.
    pub quarantine: Quarantine,
    /// To be started; until then nothing is committed.
    pub writer: SpoolWriter<R>,
    /// What was found on disk.
    pub recovery: Recovery,
}

/// What was found on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// Whether the spool was created now.
    pub created: bool,
    /// A log that could not be read to its end.
    pub log_damage: Option<LogDamage>,
    /// Readings known to be lost with that log, by lane.
    pub lost: LaneMap<u64>,
    /// The ledger as it was found, losses included.
    pub ledger: Ledger,
    /// What the books say of the items on disk that is not so; empty if everything is as it should be.
    pub imbalances: Vec<String>,
}

impl Spool {
    /// Opens the store of the configured directory, creating both if they are not there: for the spool, and for others
    /// whose keys are outside [`super::KINDS`].
    ///
    /// # Errors
    /// The directory cannot be used, see [`StoreError`].
    pub fn open_store(config: &SpoolConfig, now: UnixNanos) -> Result<store::Opened, StoreError> {
        let how = StoreOptions {
            wal_bytes_max: config.wal_bytes_max,
        };
        let (store, log_damage) = Store::open(&config.data_dir, &how, now)?;
        Ok(store::Opened {
            store: Arc::new(store),
            log_damage,
        })
    }

    /// Opens the spool on a store of its own.
    ///
    /// # Errors
    /// As [`Spool::open_store`] and [`Spool::open`].
    pub fn open_alone<R: Settle>(
        config: &SpoolConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Opened<R>, SpoolError> {
        let store = Self::open_store(config, clock.now())?;
        Self::open(config, store, clock)
    }

    /// Opens the spool on an open store, creating it if it is not there. Install the metrics exporter first.
    ///
    /// # Errors
    /// The store cannot be read or written, or the spool's own records are damaged.
    pub fn open<R: Settle>(
        config: &SpoolConfig,
        store: store::Opened,
        clock: Arc<dyn Clock>,
    ) -> Result<Opened<R>, SpoolError> {
        let store::Opened { store, log_damage } = store;
        let known = incarnation(&store)?;
        let created = known.is_none();
        let incarnation = match known {
            Some(incarnation) => incarnation,
            None => create(&store)?,
        };
        let mut books = read_books(&store)?;
        let lost = match &log_damage {
            Some(damage) => recovery::account(&store, damage, &mut books, clock.now())?,
            None => LaneMap::default(),
        };
        let imbalances = hold_against_disk(&store, &mut books)?;
        let recovery = Recovery {
            created,
            log_damage,
            lost,
            ledger: ledger_of(&books),
            imbalances,
        };
        let blocks = BlockWriter::new(config.zstd_level).map_err(|source| SpoolError::Start {
            what: "the compressor",
            source,
        })?;
        let shared = Arc::new(Shared::new(Origin {
            store,
            clock,
            incarnation,
            tail_bytes_max: config.tail_bytes_max,
        }));
        let bounds = DeskBounds {
            lanes: config.lanes,
            quarantine_bytes_max: config.quarantine.bytes_max,
            block_readings_max: config.group.block_readings_max,
        };
        let intake = Intake::new(
            (config.lanes, config.quarantine),
            config.group,
            Arc::clone(&shared),
        );
        let intake = Arc::new(intake);
        let desk = Desk::new(Arc::clone(&shared), books, bounds, blocks);
        Ok(Opened {
            inlet: SpoolInlet::new(Arc::clone(&intake)),
            reader: SpoolReader::new(Arc::clone(&shared)),
            quarantine: Quarantine::new(Arc::clone(&shared)),
            writer: SpoolWriter::new(intake, shared, desk),
            recovery,
        })
    }
}

/// The spool's incarnation; none if there is none yet.
pub(super) fn incarnation(store: &Store) -> Result<Option<Incarnation>, SpoolError> {
    match store.get(&keys::incarnation())? {
        None => Ok(None),
        Some(bytes) => match <[u8; 16]>::try_from(bytes) {
            Ok(bytes) => Ok(Some(Incarnation(bytes))),
            Err(_) => Err(SpoolError::Book {
                what: "its incarnation",
            }),
        },
    }
}

fn create(store: &Store) -> Result<Incarnation, SpoolError> {
    let incarnation = Incarnation(rand::random());
    let mut batch = Batch::default();
    batch.put(keys::incarnation(), incarnation.0.to_vec());
    store.write(&batch, Durability::Synced)?;
    Ok(incarnation)
}

/// The books as they are on disk.
pub(super) fn read_books(store: &Store) -> Result<Books, SpoolError> {
    let mut lanes = LaneMap::from_fn(Book::new);
    for lane in Lane::ALL {
        if let Some(bytes) = store.get(&keys::book(lane))? {
            let book = Book::decode(&bytes).filter(|book| book.lane == lane);
            lanes[lane] = book.ok_or(SpoolError::Book {
                what: "a lane's book",
            })?;
        }
        if let Some(bytes) = store.get(&keys::done(lane))? {
            let done = RangeSet::decode(&bytes);
            lanes[lane].done = done.ok_or(SpoolError::Book {
                what: "a lane's delivered ranges",
            })?;
        }
        if let Some(bytes) = store.get(&keys::refused(lane))? {
            let refused = RangeSet::decode(&bytes);
            lanes[lane].refused = refused.ok_or(SpoolError::Book {
                what: "a lane's refused readings",
            })?;
        }
    }
    let sum = match store.get(&keys::quarantine_sum())? {
        Some(bytes) => Sum::decode(&bytes).ok_or(SpoolError::Book {
            what: "the quarantine's sum",
        })?,
        None => Sum::default(),
    };
    Ok(Books { lanes, sum })
}

pub(super) fn ledger_of(books: &Books) -> Ledger {
    Ledger {
        lanes: LaneMap::from_fn(|lane| books.lanes[lane].ledger),
    }
}

/// Says loudly where the books and the disk differ; bytes are set right, sequences that are missing are mended when they
/// are read.
fn hold_against_disk(store: &Store, books: &mut Books) -> Result<Vec<String>, SpoolError> {
    let mut faults = Vec::new();
    for lane in Lane::ALL {
        let book = &mut books.lanes[lane];
        if !book.ledger.balances() {
            faults.push(format!(
                "lane {lane}: the ledger does not balance: {:?}",
                book.ledger
            ));
        }
        if !book.is_consistent() {
            faults.push(format!(
                "lane {lane}: cursor {}, end {} and the ledger do not fit",
                book.low, book.next
            ));
        }
        let Recount {
            counted_all,
            readings,
            gaps,
            bytes,
        } = recount::recount(store, book)?;
        if !counted_all {
            continue;
        }
        let expected = (book.ledger.spooled + book.refused.count(), book.gaps);
        if (readings, gaps) != expected {
            faults.push(format!(
                "lane {lane}: {readings} readings and {gaps} sequences of gaps are on disk, the books say {} and {}",
                expected.0, expected.1
            ));
        }
        if bytes != book.bytes {
            faults.push(format!(
                "lane {lane}: {bytes} bytes are on disk, the books say {}",
                book.bytes
            ));
            book.bytes = bytes;
        }
    }
    for fault in &faults {
        tracing::error!("{fault}");
    }
    Ok(faults)
}
