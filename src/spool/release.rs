//! Entries that leave quarantine because an operator says so: purged, or replayed.
//!
//! ```text
//! replay ─▶ page of entries ─▶ read again ─▶ order ─▶ inbox ─▶ writer: one synced batch ─▶ answer
//!                                                              │ entry deleted
//!                                                              │ its readings in blocks of their own
//!                                                              │ what of it is still unreadable: new entries
//!                                                              └ books, sum
//! ```
//! Only the writer thread changes anything, and one order is one batch: after a crash at any moment an entry stands in
//! quarantine or its readings stand in their lanes, never both and never neither. An entry that has gone meanwhile (by
//! the bound, by another order) takes its replayed readings with it: nothing is placed twice.
//!
//! The ledger sees a replay as if the payload arrived only now, in place of the first time: the entry leaves `received` and
//! `quarantined`, and what came of it is received. One reading of one payload in the same lane leaves `received` as it
//! was. What reads to nothing at all (a heartbeat) is suppressed. A purge moves from `quarantined` to `dropped(purged)`.
//!
//! A lane that is full takes no replay, if its policy is to refuse; a lane that drops its oldest does that.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        mpsc::{self, SyncSender},
    },
    time::Duration,
};

use super::{
    desk::{Desk, Draft, GaveUp},
    error::SpoolError,
    group::{Contents, OpenBlock},
    intake::BLOCK_BYTES_MAX,
    keys,
    quarantine::{self, Kind, OF_DAMAGED, QuarantineEntry},
    selection::{self, Page, Selection},
    shared::{Shared, lock},
};
use crate::{
    config::WhenFull,
    domain::{DropReason, Lane, LaneMap, QuarantineReason, UnixNanos},
    store::{Durability, StoreError},
};

/// Orders that wait for the writer at most: one command at a time, and those whose caller gave up waiting.
const ORDERS_MAX: usize = 4;
/// How long the writer may take to answer; a disk that takes no writes takes longer.
const ORDER_DEADLINE: Duration = Duration::from_secs(30);

/// What came of an entry that was read again.
#[derive(Debug, Default)]
pub struct Replayed {
    /// Runs of readings: lane, entries of `Batch.readings`, how many.
    pub runs: Vec<(Lane, Vec<u8>, u32)>,
    /// Readings that a rule of the operator left out.
    pub suppressed: LaneMap<u32>,
    rest: Vec<(Lane, QuarantineReason, Vec<u8>)>,
}

impl Replayed {
    /// These readings, and so many that a rule left out.
    #[must_use]
    pub const fn new(runs: Vec<(Lane, Vec<u8>, u32)>, suppressed: LaneMap<u32>) -> Self {
        Self {
            runs,
            suppressed,
            rest: Vec::new(),
        }
    }

    /// Keeps a part that still cannot be read, as an entry of its own.
    pub fn keep(&mut self, entry: &QuarantineEntry<'_>) {
        let bytes = quarantine::encode(entry, Kind::Payload);
        self.rest.push((entry.lane, entry.reason, bytes));
    }

    /// Readings in all runs.
    #[must_use]
    pub fn readings(&self) -> u64 {
        self.runs
            .iter()
            .map(|(_, _, count)| u64::from(*count))
            .sum()
    }

    /// Parts that still cannot be read.
    #[must_use]
    pub const fn rest(&self) -> usize {
        self.rest.len()
    }
}

/// What is to become of an entry.
#[derive(Debug)]
pub enum Fate {
    /// It is thrown away.
    Purge,
    /// What came of it takes its place.
    Replay(Replayed),
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Released {
    /// As it was asked.
    Done,
    /// It was not there any more.
    Gone,
    /// It stays: its lane is full.
    LaneFull(Lane),
}

/// Work for the writer, and where its answer goes.
#[derive(Debug)]
pub(super) struct Order {
    fates: Vec<(u64, Fate)>,
    answer: SyncSender<Vec<Released>>,
}

/// The quarantine of an open spool: read from the store, changed by the writer thread.
#[derive(Debug, Clone)]
pub struct Quarantine {
    shared: Arc<Shared>,
}

impl Quarantine {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The entries from a number on that match, a page of them.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub fn page(&self, wanted: &Selection, from: u64) -> Result<Page, SpoolError> {
        selection::page(&self.shared.store, wanted, from)
    }

    /// The number that the next entry takes.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub fn end(&self) -> Result<u64, SpoolError> {
        selection::end(&self.shared.store)
    }

    /// Does this to these entries, all in one durable batch; what became of each. Blocks until it is on disk.
    ///
    /// # Errors
    /// The writer did not answer in time. It may still do it: ask again, what is done is not done twice.
    pub fn release(&self, fates: Vec<(u64, Fate)>) -> Result<Vec<Released>, SpoolError> {
        let (answer, answered) = mpsc::sync_channel(1);
        let mut orders = lock(&self.shared.orders);
        if orders.len() >= ORDERS_MAX || self.shared.health.is_closing() {
            return Err(SpoolError::Unreleased);
        }
        orders.push(Order { fates, answer });
        drop(orders);
        self.shared.bell.ring();
        let answered = answered.recv_timeout(ORDER_DEADLINE);
        answered.ok().ok_or(SpoolError::Unreleased)
    }
}

/// An order while it becomes a batch.
struct Releasing {
    draft: Draft,
    contents: Contents,
    now: UnixNanos,
    seen: BTreeSet<u64>,
}

impl Desk {
    /// Carries out what operators asked for, each order in a batch of its own; whether there was anything.
    pub(super) fn carry_out(&mut self) -> Result<bool, GaveUp> {
        let orders = std::mem::take(&mut *lock(&self.shared.orders));
        let any = !orders.is_empty();
        for Order { fates, answer } in orders {
            match self.release(fates) {
                // Whoever asked may have gone.
                Ok(released) => answer.try_send(released).ok(),
                Err(Failed::Closing(gave_up)) => return Err(gave_up),
                Err(Failed::Unread(fault)) => {
                    tracing::error!(%fault, "the quarantine cannot be read");
                    None
                }
            };
        }
        Ok(any)
    }

    fn release(&mut self, fates: Vec<(u64, Fate)>) -> Result<Vec<Released>, Failed> {
        let mut releasing = Releasing {
            draft: self.draft(),
            contents: Contents::default(),
            now: self.shared.clock.now(),
            seen: BTreeSet::new(),
        };
        let mut released = Vec::with_capacity(fates.len());
        for (id, fate) in fates {
            released.push(self.release_one(&mut releasing, id, fate)?);
        }
        let Releasing {
            mut draft,
            mut contents,
            ..
        } = releasing;
        let (fresh, _) = self.place(&mut draft, &mut contents);
        self.save(draft, Durability::Synced)?;
        self.show(fresh);
        let done = |released: &&Released| **released == Released::Done;
        self.metrics.released(released.iter().filter(done).count());
        Ok(released)
    }

    fn release_one(
        &self,
        releasing: &mut Releasing,
        id: u64,
        fate: Fate,
    ) -> Result<Released, StoreError> {
        let key = keys::quarantine(id);
        let Some(entry) = self.shared.store.get(&key)? else {
            return Ok(Released::Gone);
        };
        if !releasing.seen.insert(id) {
            return Ok(Released::Gone);
        }
        if let Fate::Replay(replayed) = &fate
            && let Some(lane) = self.full_lane(releasing, replayed)
        {
            return Ok(Released::LaneFull(lane));
        }
        let (lane, reason) = quarantine::peek(&entry).unwrap_or(OF_DAMAGED);
        let Draft { books, batch } = &mut releasing.draft;
        batch.delete(key);
        books.sum.release(reason, entry.len());
        let ledger = &mut books.lanes[lane].ledger;
        ledger.quarantined = ledger.quarantined.saturating_sub(1);
        match fate {
            Fate::Purge => ledger.drop_more(DropReason::Purged, 1),
            Fate::Replay(replayed) => {
                ledger.received = ledger.received.saturating_sub(1);
                self.receive(releasing, lane, replayed);
            }
        }
        Ok(Released::Done)
    }

    /// What came of an entry of a lane, as if it came now.
    fn receive(&self, releasing: &mut Releasing, lane: Lane, replayed: Replayed) {
        let Replayed {
            runs,
            mut suppressed,
            rest,
        } = replayed;
        let nothing = runs.is_empty() && rest.is_empty();
        if nothing && suppressed.iter().all(|(_, count)| *count == 0) {
            suppressed[lane] = 1;
        }
        let Draft { books, batch } = &mut releasing.draft;
        for (lane, reason, entry) in rest {
            let ledger = &mut books.lanes[lane].ledger;
            ledger.received += 1;
            ledger.quarantined += 1;
            batch.put(books.sum.admit(reason, entry.len()), entry);
        }
        for (lane, count) in suppressed.iter() {
            let ledger = &mut books.lanes[lane].ledger;
            ledger.received += u64::from(*count);
            ledger.suppressed += u64::from(*count);
        }
        for (lane, bytes, count) in runs {
            self.extend_block(releasing, (lane, bytes, u64::from(count)));
        }
    }

    /// Replayed readings stand in blocks of their own, which are of today: their age is that of their stay in the lane.
    fn extend_block(&self, releasing: &mut Releasing, run: (Lane, Vec<u8>, u64)) {
        let (lane, bytes, count) = run;
        if count == 0 {
            return;
        }
        let blocks = &mut releasing.contents.blocks;
        let open = blocks.iter_mut().rev().find(|block| block.lane == lane);
        if let Some(block) = open
            && block.count + count <= self.block_readings_max()
            && block.bytes.len() + bytes.len() <= BLOCK_BYTES_MAX
        {
            block.bytes.extend_from_slice(&bytes);
            block.count += count;
            return;
        }
        blocks.push(OpenBlock {
            lane,
            bytes,
            count,
            oldest: releasing.now,
        });
    }

    /// A lane that refuses what came of an entry.
    fn full_lane(&self, releasing: &Releasing, replayed: &Replayed) -> Option<Lane> {
        Lane::ALL.into_iter().find(|lane| {
            let bounds = self.lane_bounds(*lane);
            let runs = replayed.runs.iter().filter(|(of, _, _)| of == lane);
            let new: usize = runs.map(|(_, bytes, _)| bytes.len()).sum();
            let blocks = releasing.contents.blocks.iter();
            let waiting = blocks.filter(|block| block.lane == *lane);
            let waiting: usize = waiting.map(|block| block.bytes.len()).sum();
            let expected = (releasing.draft.books.lanes[*lane].bytes)
                .saturating_add(waiting.saturating_add(new) as u64);
            new > 0 && bounds.when_full == WhenFull::Refuse && expected > bounds.bytes_max
        })
    }

    /// Orders that nobody will carry out any more; whoever waits is told by it.
    pub(super) fn leave_orders(&self) {
        lock(&self.shared.orders).clear();
    }
}

/// Why an order was not carried out.
enum Failed {
    Unread(StoreError),
    Closing(GaveUp),
}

impl From<StoreError> for Failed {
    fn from(fault: StoreError) -> Self {
        Self::Unread(fault)
    }
}

impl From<GaveUp> for Failed {
    fn from(gave_up: GaveUp) -> Self {
        Self::Closing(gave_up)
    }
}
