//! The writer's desk: the books, and how a group becomes one write batch. No receipts here: whoever holds them settles
//! them after [`Desk::commit`] has returned.
//!
//! Books change only together with what they speak of: a batch is built on copies (a [`Draft`]), and the copies become
//! the books once the batch is on disk (`save`).

use std::sync::Arc;

use bytes::Bytes;

use super::{
    block::{BlockWriter, Placed},
    book::Book,
    group::Contents,
    keys,
    metrics::WriterMetrics,
    pieces::Pieces,
    quarantine::Sum,
    ranges::RangeSet,
    retire::Leaving,
    shared::{Chore, LaneInbox, Shared, lock},
    tail::Fresh,
};
use crate::{
    config::{StoreBounds, WhenFull},
    domain::{Lane, LaneMap, Sequence, SequenceRange},
    store::{Batch, Durability, StoreError},
};

/// A full lane is emptied a little below its bound, so that not every commit has to drop.
const DROP_FRACTION: u64 = 64;

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
pub(super) struct Draft {
    pub(super) books: Books,
    pub(super) batch: Batch,
}

/// What lies on disk, bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stored {
    pub(super) lanes: LaneMap<u64>,
    pub(super) quarantine: u64,
}

/// Bounds that the desk keeps.
#[derive(Debug, Clone, Copy)]
pub(super) struct DeskBounds {
    pub(super) lanes: LaneMap<StoreBounds>,
    pub(super) quarantine_bytes_max: u64,
    pub(super) block_readings_max: usize,
}

/// The writer's state.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) shared: Arc<Shared>,
    pub(super) books: Books,
    pub(super) bounds: DeskBounds,
    blocks: BlockWriter,
    pub(super) metrics: WriterMetrics,
    pub(super) files_dropped_at: LaneMap<Sequence>,
    pub(super) pieces: Pieces,
}

impl Desk {
    pub(super) fn new(
        shared: Arc<Shared>,
        books: Books,
        bounds: DeskBounds,
        blocks: BlockWriter,
    ) -> Self {
        let desk = Self {
            shared,
            books,
            bounds,
            blocks,
            metrics: WriterMetrics::new(),
            files_dropped_at: LaneMap::default(),
            pieces: Pieces::default(),
        };
        for lane in Lane::ALL {
            desk.publish(lane);
        }
        desk.observe();
        desk
    }

    /// Bytes on disk.
    pub(super) fn stored(&self) -> Stored {
        Stored {
            lanes: LaneMap::from_fn(|lane| self.books.lanes[lane].bytes),
            quarantine: self.books.sum.bytes,
        }
    }

    pub(super) fn lane_bounds(&self, lane: Lane) -> StoreBounds {
        self.bounds.lanes[lane]
    }

    pub(super) const fn block_readings_max(&self) -> u64 {
        self.bounds.block_readings_max as u64
    }

    pub(super) fn draft(&self) -> Draft {
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
            if self.chore(lane, chore)? {
                answer.try_send(()).ok();
                self.shared.announce(lane);
            }
        }
        if inbox.refused.is_empty() {
            return Ok(());
        }
        let mut draft = self.draft();
        let (mut leaving, sum) = self.leaving(&mut draft, lane);
        match leaving.refuse(&std::mem::take(&mut inbox.refused), sum) {
            Ok(()) => self.save(draft, Durability::Buffered)?,
            Err(fault) => {
                tracing::error!(%lane, %fault, "refused readings cannot be read from disk");
            }
        }
        self.publish(lane);
        Ok(())
    }

    /// Whether it could be done.
    fn chore(&mut self, lane: Lane, chore: Chore) -> Result<bool, GaveUp> {
        let mut draft = self.draft();
        let (mut leaving, sum) = self.leaving(&mut draft, lane);
        let lost = match chore {
            Chore::Seal(first) => leaving.seal(first).map(|()| Vec::new()),
            Chore::Mend(at) => leaving.mend(at, sum, self.shared.clock.now()),
        };
        let lost = match lost {
            Ok(lost) => lost,
            Err(fault) => {
                tracing::error!(%lane, ?chore, %fault, "the disk cannot be read");
                return Ok(false);
            }
        };
        for range in &lost {
            tracing::error!(%lane, first = %range.first, next = %range.next, "stored readings are lost: a gap takes their place");
        }
        self.save(draft, Durability::Buffered)?;
        self.forget(lane, &lost);
        self.publish(lane);
        Ok(true)
    }

    /// Writes a group and what the platform holds: one batch, synced if somebody may be owed an acknowledgement for it.
    pub(super) fn commit(
        &mut self,
        contents: &mut Contents,
        told: &LaneMap<RangeSet>,
    ) -> Result<(), GaveUp> {
        let started = self.shared.clock.steady();
        let synced = !contents.blocks.is_empty()
            || !contents.entries.is_empty()
            || !contents.joined.is_empty();
        let mut draft = self.draft();
        for lane in Lane::ALL {
            if !told[lane].is_empty() {
                self.deliver(&mut draft, lane, &told[lane]);
            }
        }
        self.admit(&mut draft, contents);
        let (fresh, readings) = self.place(&mut draft, contents);
        self.save(
            draft,
            if synced {
                Durability::Synced
            } else {
                Durability::Buffered
            },
        )?;
        if readings > 0 {
            self.metrics.group(readings);
        }
        if synced {
            let took = self
                .shared
                .clock
                .steady()
                .saturating_duration_since(started);
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
                told.iter()
                    .for_each(|range| inbox[lane].delivered.insert(range));
            }
        }
    }

    /// Blocks take their sequences and are compressed.
    pub(super) fn place(
        &mut self,
        draft: &mut Draft,
        contents: &mut Contents,
    ) -> (Vec<(Lane, Fresh)>, u64) {
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
            fresh.push((
                block.lane,
                Fresh {
                    range,
                    bytes,
                    oldest,
                },
            ));
        }
        (fresh, readings)
    }

    /// Lets readers see what was committed.
    pub(super) fn show(&self, fresh: Vec<(Lane, Fresh)>) {
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
            ranges
                .iter()
                .for_each(|range| tail.forget_within(lane, *range));
        }
    }

    /// Lanes that drop their oldest readings do so until they are within their bounds again.
    pub(super) fn make_room(&mut self) -> Result<(), GaveUp> {
        for lane in Lane::ALL {
            while self.drop_oldest(lane)? {}
        }
        Ok(())
    }

    /// Whether there was something to drop.
    fn drop_oldest(&mut self, lane: Lane) -> Result<bool, GaveUp> {
        let bounds = self.bounds.lanes[lane];
        if bounds.when_full != WhenFull::DropOldest
            || self.books.lanes[lane].bytes <= bounds.bytes_max
        {
            return Ok(false);
        }
        let target = bounds.bytes_max - bounds.bytes_max / DROP_FRACTION;
        let held = lock(&self.shared.held)[lane];
        let mut draft = self.draft();
        let (mut leaving, _) = self.leaving(&mut draft, lane);
        let dropped = leaving.drop_oldest(target, held).unwrap_or_else(|fault| {
            tracing::error!(%lane, %fault, "the lane's oldest blocks cannot be read to drop them");
            Vec::new()
        });
        if dropped.is_empty() {
            return Ok(false);
        }
        self.save(draft, Durability::Buffered)?;
        self.forget(lane, &dropped);
        self.publish(lane);
        self.shared.announce(lane);
        Ok(true)
    }
}
