//! How a draft reaches the disk, and the lanes' new state everybody else. A write that fails is repeated until it
//! succeeds; only a spool that is being closed gives up.

use std::{sync::Arc, thread, time::Duration};

use super::{
    block::Header,
    book::Book,
    desk::{Desk, Draft, GaveUp},
    keys,
    ranges::RangeSet,
    shared::{View, lock},
};
use crate::{
    domain::{Lane, Sequence, UnixNanos},
    store::{Batch, Durability, Key, Start, Step, StoreError},
};

/// Pause before a failed write is repeated.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// How often a failed write is repeated once the spool is to be closed.
const CLOSING_ATTEMPTS: u32 = 3;
/// Sequences that a lane's cursor moves before files that hold nothing else are let go.
const DROP_FILES_EVERY: u64 = 4_000_000;

impl Desk {
    /// Makes everything written so far durable.
    pub(super) fn settle_disk(&mut self) -> Result<(), GaveUp> {
        let mut draft = self.draft();
        for lane in Lane::ALL {
            draft
                .batch
                .put(keys::book(lane), draft.books.lanes[lane].encode());
        }
        self.save(draft, Durability::Synced)
    }

    /// Writes a draft, and makes its books the books.
    pub(super) fn save(&mut self, mut draft: Draft, durability: Durability) -> Result<(), GaveUp> {
        for lane in Lane::ALL {
            let (old, new) = (&self.books.lanes[lane], &draft.books.lanes[lane]);
            put_ranges(&mut draft.batch, keys::done(lane), &old.done, &new.done);
            put_ranges(
                &mut draft.batch,
                keys::refused(lane),
                &old.refused,
                &new.refused,
            );
            if old != new {
                draft.batch.put(keys::book(lane), new.encode());
            }
        }
        if self.books.sum != draft.books.sum {
            draft
                .batch
                .put(keys::quarantine_sum(), draft.books.sum.encode());
        }
        if draft.batch.is_empty() {
            return Ok(());
        }
        self.write(&draft.batch, durability)?;
        self.books = draft.books;
        Ok(())
    }

    fn write(&self, batch: &Batch, durability: Durability) -> Result<(), GaveUp> {
        let mut closing_attempts = 0;
        while let Err(fault) = self.shared.store.write(batch, durability) {
            self.failed(&fault);
            if self.shared.health.is_closing() {
                closing_attempts += 1;
            }
            if closing_attempts >= CLOSING_ATTEMPTS {
                return Err(GaveUp(fault.to_string()));
            }
            thread::sleep(RETRY_PAUSE);
        }
        if self.shared.health.succeeded() {
            self.metrics.write_succeeded();
            tracing::info!("the disk takes writes again");
        }
        Ok(())
    }

    fn failed(&self, fault: &StoreError) {
        if self.shared.health.cause().is_none() {
            tracing::error!(%fault, "the disk takes no writes: nothing is acknowledged until it does");
        }
        self.shared.health.failed(fault.to_string());
        self.metrics.write_failed();
        if matches!(fault, StoreError::Full { .. }) {
            // The one way out that needs no space.
            Lane::ALL.into_iter().for_each(|lane| self.drop_files(lane));
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
    pub(super) fn publish(&self, lane: Lane) {
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
        let bounds = keys::item(book.lane, before.head.min(book.low))
            ..keys::item(book.lane, book.low.plus(1));
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
        self.metrics.quarantine(&self.books.sum);
    }
}

/// Ranges stand on disk only while there are some.
fn put_ranges(batch: &mut Batch, key: Key, old: &RangeSet, new: &RangeSet) {
    if old != new && new.is_empty() {
        batch.delete(key);
    } else if old != new {
        batch.put(key, new.encode());
    }
}
