//! The writer's desk: the books, and how a group becomes one write batch. No receipts here: whoever holds them settles
//! them after [`Desk::commit`] has returned.
//!
//! Books change only together with what they speak of: a batch is built on copies (a [`Draft`]), and the copies become
//! the books once the batch is on disk. A write that fails is repeated until it succeeds; only a spool that is being
//! closed gives up.

use std::{sync::Arc, thread, time::Duration};

use bytes::Bytes;

use super::{
    block::{BlockWriter, Header, Placed},
    book::Book,
    intake::Contents,
    keys,
    metrics::WriterMetrics,
    quarantine::Sum,
    ranges::RangeSet,
    retire::Leaving,
    shared::{Chore, LaneInbox, Shared, View, lock},
    tail::Fresh,
};
use crate::{
    config::{LaneBounds, WhenFull},
    domain::{DropReason, Lane, LaneMap, Sequence, SequenceRange, UnixNanos},
    store::{Batch, Durability, Start, Step, StoreError},
};

/// Pause before a failed write is repeated.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// How often a failed write is repeated once the spool is to be closed.
const CLOSING_ATTEMPTS: u32 = 3;
/// A full lane is emptied a little below its bound, so that not every commit has to drop.
const DROP_FRACTION: u64 = 64;
/// Sequences that a lane's cursor moves before files that hold nothing else are let go.
const DROP_FILES_EVERY: u64 = 4_000_000;

/// The spool is being closed and the disk takes nothing: what it said last.
#[derive(Debug)]
pub(super) struct GaveUp(pub(super) String);

/// What is on disk, as the writer knows it.
#[derive(Debug, Clone)]
pub(super) struct Books {
    pub(super) lanes: LaneMap<Book>,
    pub(super) sum: Sum,
}

/// The books as they will be, and the batch that makes them so.
#[derive(Debug)]
struct Draft {
    books: Books,
    batch: Batch,
}

/// Bounds that the desk keeps.
#[derive(Debug, Clone, Copy)]
pub(super) struct DeskBounds {
    pub(super) lanes: LaneMap<LaneBounds>,
    pub(super) quarantine_bytes_max: u64,
}

/// The writer's state.
#[derive(Debug)]
pub(super) struct Desk {
    shared: Arc<Shared>,
    books: Books,
    bounds: DeskBounds,
    blocks: BlockWriter,
    metrics: WriterMetrics,
    files_dropped_at: LaneMap<Sequence>,
}

impl Desk {
    pub(super) fn new(shared: Arc<Shared>, books: Books, bounds: DeskBounds, blocks: BlockWriter) -> Self {
        let desk = Self {
            shared,
            books,
            bounds,
            blocks,
            metrics: WriterMetrics::new(),
            files_dropped_at: LaneMap::default(),
        };
        for lane in Lane::ALL {
            desk.publish(lane);
        }
        desk.observe();
        desk
    }

    /// Bytes of each lane on disk.
    pub(super) fn stored_bytes(&self) -> LaneMap<u64> {
        LaneMap::from_fn(|lane| self.books.lanes[lane].bytes)
    }

    fn draft(&self) -> Draft {
        Draft {
            books: self.books.clone(),
            batch: Batch::default(),
        }
    }

    fn leaving<'a>(&'a self, draft: &'a mut Draft, lane: Lane) -> (Leaving<'a>, &'a mut Sum) {
        let leaving = Leaving {
            store: &self.shared.store,
            book: &mut draft.books.lanes[lane],
            head: self.shared.view(lane).head,
            batch: &mut draft.batch,
        };
        (leaving, &mut draft.books.sum)
    }

    /// Does what readers wait for, and takes refused readings out of a lane. Rare, so each has a batch of its own.
    pub(super) fn tend(&mut self, lane: Lane, inbox: &mut LaneInbox) -> Result<(), GaveUp> {
        for (chore, answer) in inbox.chores.drain(..) {
            let mut draft = self.draft();
            let (mut leaving, sum) = self.leaving(&mut draft, lane);
            let lost = match chore {
                Chore::Seal(first) => leaving.seal(first).map(|()| Vec::new()),
                Chore::Mend(at) => leaving.mend(at, sum, self.shared.clock.now()),
            };
            match lost {
                Err(fault) => tracing::error!(%lane, ?chore, %fault, "the disk cannot be read"),
                Ok(lost) => {
                    for range in &lost {
                        tracing::error!(%lane, first = %range.first, next = %range.next, "stored readings are lost: a gap takes their place");
                    }
                    self.save(draft, Durability::Buffered)?;
                    self.forget(lane, &lost);
                    answer.try_send(()).ok();
                    self.shared.announce(lane);
                }
            }
        }
        if !inbox.refused.is_empty() {
            let refused = std::mem::take(&mut inbox.refused);
            let mut draft = self.draft();
            let (mut leaving, sum) = self.leaving(&mut draft, lane);
            match leaving.refuse(&refused, sum) {
                Ok(()) => self.save(draft, Durability::Buffered)?,
                Err(fault) => {
                    tracing::error!(%lane, %fault, "refused readings cannot be read from disk");
                }
            }
        }
        Ok(())
    }

    /// Writes a group and what the platform holds: one batch, synced if somebody may be owed an acknowledgement for it.
    pub(super) fn commit(&mut self, contents: &mut Contents, told: &LaneMap<RangeSet>) -> Result<(), GaveUp> {
        let started = self.shared.clock.steady();
        let synced = !contents.blocks.is_empty() || !contents.entries.is_empty();
        let mut draft = self.draft();
        for lane in Lane::ALL {
            if !told[lane].is_empty() {
                self.deliver(&mut draft, lane, &told[lane]);
            }
        }
        self.admit(&mut draft, contents);
        let (fresh, readings) = self.place(&mut draft, contents);
        self.save(draft, if synced { Durability::Synced } else { Durability::Buffered })?;
        if readings > 0 {
            self.metrics.group(readings);
        }
        if synced {
            let took = self.shared.clock.steady().saturating_duration_since(started);
            self.metrics.commit_seconds.record(took);
        }
        for lane in Lane::ALL {
            self.forget(lane, &told[lane].iter().collect::<Vec<_>>());
        }
        self.show(fresh);
        Ok(())
    }

    fn deliver(&self, draft: &mut Draft, lane: Lane, told: &RangeSet) {
        let (mut leaving, _) = self.leaving(draft, lane);
        match leaving.deliver(told) {
            Ok(()) => {}
            Err(fault @ StoreError::Corrupt { .. }) => {
                tracing::error!(%lane, %fault, "delivered blocks cannot be read: they are passed over, not deleted");
                leaving.deliver_unseen(told);
            }
            Err(fault) => {
                tracing::error!(%lane, %fault, "delivered blocks cannot be read yet");
                let mut inbox = lock(&self.shared.inbox);
                told.iter().for_each(|range| inbox[lane].delivered.insert(range));
            }
        }
    }

    /// Quarantine entries, and readings that nobody had room for.
    fn admit(&self, draft: &mut Draft, contents: &mut Contents) {
        let Draft { books, batch } = draft;
        let coming: u64 = contents.entries.iter().map(|(_, _, entry)| entry.len() as u64).sum();
        let bound = self.bounds.quarantine_bytes_max.saturating_sub(coming);
        match books.sum.evict(&self.shared.store, bound, batch) {
            Ok(lanes) => {
                for lane in lanes {
                    let ledger = &mut books.lanes[lane].ledger;
                    ledger.quarantined = ledger.quarantined.saturating_sub(1);
                    ledger.drop_more(DropReason::QuarantineCapacity, 1);
                }
            }
            Err(fault) => tracing::error!(%fault, "the quarantine cannot be read to make room"),
        }
        for (lane, reason, entry) in contents.entries.drain(..) {
            let ledger = &mut books.lanes[lane].ledger;
            ledger.received += 1;
            ledger.quarantined += 1;
            batch.put(books.sum.admit(reason, entry.len()), entry);
        }
        for (lane, count) in contents.refused_qos0.iter() {
            let ledger = &mut books.lanes[lane].ledger;
            ledger.received += count;
            ledger.drop_more(DropReason::RefusedQos0, *count);
        }
    }

    /// Blocks take their sequences and are compressed.
    fn place(&mut self, draft: &mut Draft, contents: &mut Contents) -> (Vec<(Lane, Fresh)>, u64) {
        let now = self.shared.clock.now();
        let mut readings = 0;
        let mut fresh = Vec::with_capacity(contents.blocks.len());
        for block in contents.blocks.drain(..) {
            let book = &mut draft.books.lanes[block.lane];
            let range = book.place(block.count);
            readings += block.count;
            let placed = Placed {
                range,
                oldest: block.oldest,
                newest: now.max(block.oldest),
            };
            let value = self.blocks.encode(&placed, &block.bytes);
            self.metrics.block(block.bytes.len(), value.len());
            book.bytes += value.len() as u64;
            draft.batch.put(keys::item(block.lane, range.first), value);
            let bytes = if block.bytes.capacity() > 2 * block.bytes.len() {
                Bytes::copy_from_slice(&block.bytes)
            } else {
                Bytes::from(block.bytes)
            };
            let oldest = block.oldest;
            fresh.push((block.lane, Fresh { range, bytes, oldest }));
        }
        (fresh, readings)
    }

    /// Lets readers see what was committed.
    fn show(&self, fresh: Vec<(Lane, Fresh)>) {
        let mut new = LaneMap::from_fn(|_| false);
        let mut tail = lock(&self.shared.tail);
        for (lane, fresh) in fresh {
            tail.push(lane, fresh);
            new[lane] = true;
        }
        drop(tail);
        for lane in Lane::ALL {
            self.publish(lane);
            if new[lane] {
                self.shared.announce(lane);
            }
        }
    }

    fn forget(&self, lane: Lane, ranges: &[SequenceRange]) {
        if !ranges.is_empty() {
            let mut tail = lock(&self.shared.tail);
            ranges.iter().for_each(|range| tail.forget_within(lane, *range));
        }
    }

    /// Lanes that drop their oldest readings do so until they are within their bounds again.
    pub(super) fn make_room(&mut self) -> Result<(), GaveUp> {
        for lane in Lane::ALL {
            let bounds = self.bounds.lanes[lane];
            let target = bounds.bytes_max - bounds.bytes_max / DROP_FRACTION;
            while bounds.when_full == WhenFull::DropOldest && self.books.lanes[lane].bytes > bounds.bytes_max {
                let held = lock(&self.shared.held)[lane];
                let mut draft = self.draft();
                let (mut leaving, _) = self.leaving(&mut draft, lane);
                let dropped = match leaving.drop_oldest(target, held) {
                    Ok(dropped) if !dropped.is_empty() => dropped,
                    Ok(_) => break,
                    Err(fault) => {
                        tracing::error!(%lane, %fault, "the lane's oldest blocks cannot be read to drop them");
                        break;
                    }
                };
                self.save(draft, Durability::Buffered)?;
                self.forget(lane, &dropped);
                self.publish(lane);
                self.shared.announce(lane);
            }
        }
        Ok(())
    }

    /// Makes everything written so far durable.
    pub(super) fn settle_disk(&mut self) -> Result<(), GaveUp> {
        let mut draft = self.draft();
        for lane in Lane::ALL {
            draft.batch.put(keys::book(lane), draft.books.lanes[lane].encode());
        }
        self.save(draft, Durability::Synced)
    }

    /// Writes a draft, and makes its books the books.
    fn save(&mut self, mut draft: Draft, durability: Durability) -> Result<(), GaveUp> {
        for lane in Lane::ALL {
            let (old, new) = (&self.books.lanes[lane], &draft.books.lanes[lane]);
            for (key, old, new) in [
                (keys::done(lane), &old.done, &new.done),
                (keys::refused(lane), &old.refused, &new.refused),
            ] {
                if old != new && new.is_empty() {
                    draft.batch.delete(key);
                } else if old != new {
                    draft.batch.put(key, new.encode());
                }
            }
            if old != new {
                draft.batch.put(keys::book(lane), new.encode());
            }
        }
        if self.books.sum != draft.books.sum {
            draft.batch.put(keys::quarantine_sum(), draft.books.sum.encode());
        }
        if draft.batch.is_empty() {
            return Ok(());
        }
        self.write(&draft.batch, durability)?;
        self.books = draft.books;
        for lane in Lane::ALL {
            self.publish(lane);
        }
        Ok(())
    }

    fn write(&self, batch: &Batch, durability: Durability) -> Result<(), GaveUp> {
        let health = &self.shared.health;
        let mut closing_attempts = 0;
        loop {
            let fault = match self.shared.store.write(batch, durability) {
                Ok(()) => {
                    if health.succeeded() {
                        self.metrics.write_succeeded();
                        tracing::info!("the disk takes writes again");
                    }
                    return Ok(());
                }
                Err(fault) => fault,
            };
            if health.cause().is_none() {
                tracing::error!(%fault, "the disk takes no writes: nothing is acknowledged until it does");
            }
            health.failed(fault.to_string());
            self.metrics.write_failed();
            if matches!(fault, StoreError::Full { .. }) {
                Lane::ALL.into_iter().for_each(|lane| self.drop_files(lane));
            }
            if health.is_closing() {
                closing_attempts += 1;
                if closing_attempts >= CLOSING_ATTEMPTS {
                    return Err(GaveUp(fault.to_string()));
                }
            }
            thread::sleep(RETRY_PAUSE);
        }
    }

    /// Lets go of files that hold nothing but what was delivered, now and then.
    pub(super) fn tidy(&mut self) {
        for lane in Lane::ALL {
            let low = self.books.lanes[lane].low;
            if low.0.saturating_sub(self.files_dropped_at[lane].0) >= DROP_FILES_EVERY {
                self.files_dropped_at[lane] = low;
                self.drop_files(lane);
            }
        }
    }

    fn drop_files(&self, lane: Lane) {
        let gone = keys::item(lane, Sequence(0))..keys::item(lane, self.shared.view(lane).head);
        if let Err(fault) = self.shared.store.drop_files(gone) {
            tracing::warn!(%lane, %fault, "files of delivered blocks cannot be let go");
        }
    }

    /// Shows a lane as it is now.
    fn publish(&self, lane: Lane) {
        let book = &self.books.lanes[lane];
        let before = self.shared.view(lane);
        let (head, oldest_received_at) = self.head(book, &before);
        let done = if *before.done == book.done {
            before.done
        } else {
            Arc::new(book.done.clone())
        };
        let view = View {
            low: book.low,
            head,
            next: book.next,
            bytes: book.bytes,
            oldest_received_at,
            done,
            ledger: book.ledger,
        };
        self.shared.publish(lane, view);
    }

    /// Where the item that holds the cursor starts, and when it was received.
    fn head(&self, book: &Book, before: &View) -> (Sequence, Option<UnixNanos>) {
        if book.low == book.next {
            return (book.low, None);
        }
        if before.low == book.low && before.oldest_received_at.is_some() {
            return (before.head, before.oldest_received_at);
        }
        if let Some(fresh) = lock(&self.shared.tail).entry(book.lane, book.low) {
            return (fresh.range.first, Some(fresh.oldest));
        }
        let bounds = keys::item(book.lane, before.head.min(book.low))..keys::item(book.lane, book.low.plus(1));
        let at = Start::AtOrBefore(keys::item(book.lane, book.low));
        let mut found = (book.low, None);
        let scanned = self.shared.store.scan(bounds, at, |key, value| {
            found = match Header::peek(value) {
                Ok(header) if header.range.next <= book.low => (book.low, None),
                Ok(header) => (header.range.first, Some(header.oldest)),
                Err(_) => (Sequence(keys::number(key)), None),
            };
            Step::Stop
        });
        if let Err(fault) = scanned {
            tracing::warn!(lane = %book.lane, %fault, "the lane's oldest block cannot be read");
        }
        found
    }

    /// Sets the gauges.
    pub(super) fn observe(&self) {
        let now = self.shared.clock.now();
        for (lane, book) in self.books.lanes.iter() {
            let oldest = self.shared.view(lane).oldest_received_at;
            self.metrics.lane(book, oldest, now);
        }
        self.metrics.quarantine(self.books.sum.bytes);
    }
}
