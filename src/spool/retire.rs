//! What leaves a lane, and how: delivered, refused by the platform, dropped for want of room. Each function looks at the
//! items on disk, writes the deletions into a batch and moves the book; nothing is written here.
//!
//! An item that the platform holds in part stays until it holds all of it: the book's `done` remembers the part. Only
//! gaps, which have no payload, are rewritten to what is left of them.

use super::{
    block::{self, BlockReader, GapNote, GapOf, GapReason, Header},
    book::Book,
    keys,
    quarantine::{self, Kind, QuarantineEntry, Sum},
    ranges::RangeSet,
    readings,
};
use crate::{
    domain::{DropReason, QuarantineReason, Sequence, SequenceRange, UnixNanos},
    store::{Batch, Key, Start, Step, Store, StoreError},
};

/// Ranges that are done with ahead of the cursor: more than that means a platform that acknowledges every other reading.
const DONE_RANGES_MAX: usize = 1 << 14;
/// Items that one pass drops: bounds the batch.
const DROPPED_AT_ONCE_MAX: usize = 1024;

/// An item that a walk met.
#[derive(Debug)]
struct Met {
    key: Key,
    /// None: it cannot be read.
    header: Option<Header>,
    gap: Option<GapNote>,
    bytes: u64,
}

impl Met {
    fn of(key: &Key, header: Option<Header>, value: &[u8]) -> Self {
        Self {
            key: *key,
            gap: header
                .filter(Header::is_gap)
                .and_then(|header| gap_of(&header, value)),
            header,
            bytes: value.len() as u64,
        }
    }
}

/// What may be dropped to bring a lane down to a target.
#[derive(Debug)]
struct Dropping {
    /// Bytes still to go.
    excess: u64,
    held: SequenceRange,
    blocks: Vec<Met>,
    /// Gaps between the blocks that may take in what is dropped.
    growing: Vec<GapNote>,
}

impl Dropping {
    fn is_enough(&self) -> bool {
        self.excess == 0 || self.blocks.len() >= DROPPED_AT_ONCE_MAX
    }

    fn consider(&mut self, item: Met) {
        let Some(header) = item.header else { return };
        let overlaps = header.range.first < self.held.next && self.held.first < header.range.next;
        let met = self.blocks.last().is_some_and(|last| last.key >= item.key);
        if header.is_gap() {
            self.growing.extend(item.gap.filter(GapNote::may_grow));
        } else if !overlaps && !met {
            self.excess = self.excess.saturating_sub(item.bytes);
            self.blocks.push(item);
        }
    }
}

/// One lane while something leaves it.
pub(super) struct Leaving<'a> {
    pub(super) store: &'a Store,
    pub(super) book: &'a mut Book,
    /// The first sequence of the lane's oldest item: the lower bound of every iterator.
    pub(super) head: Sequence,
    pub(super) batch: &'a mut Batch,
}

impl Leaving<'_> {
    /// Shows the items that touch a range in which nothing is done with, with headers not checked.
    fn walk(
        &self,
        part: SequenceRange,
        mut visit: impl FnMut(&Key, Result<Header, block::BlockFault>, &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let lane = self.book.lane;
        let bounds = keys::item(lane, self.head)..keys::item(lane, part.next);
        let start = Start::AtOrBefore(keys::item(lane, part.first));
        self.store.scan(bounds, start, |key, value| {
            let header = Header::peek(value);
            let ends = header
                .as_ref()
                .ok()
                .map(|header| (header.range.next, header.is_gap()));
            if ends.is_some_and(|(next, _)| next <= part.first) {
                return Step::Next;
            }
            if !visit(key, header, value) {
                return Step::Stop;
            }
            match ends {
                // Inside a gap stand the tombstones of what it replaced.
                Some((next, true)) => Step::Seek(keys::item(lane, next)),
                Some((_, false)) | None => Step::Next,
            }
        })
    }

    /// The platform holds these sequences.
    pub(super) fn deliver(&mut self, told: &RangeSet) -> Result<(), StoreError> {
        let fresh: Vec<SequenceRange> = told
            .iter()
            .flat_map(|range| self.book.open_parts(range))
            .collect();
        if fresh.is_empty() {
            return Ok(());
        }
        let mut after = self.book.done.clone();
        fresh.iter().for_each(|range| after.insert(*range));
        if after.len() > DONE_RANGES_MAX {
            tracing::error!(lane = %self.book.lane, ranges = after.len(), "the platform's acknowledgements are too scattered to be kept: left aside");
            return Ok(());
        }
        let met = self.met(&fresh)?;
        let mut in_gaps = 0_u64;
        for item in &met {
            match &item.header {
                Some(header) if header.is_gap() => {
                    in_gaps += self.deliver_gap(header, item, &after);
                }
                Some(header) if after.uncovered_count(self.above_low(header.range)) > 0 => {}
                // Wholly held by the platform, or unreadable where the platform holds what stood there.
                Some(_) | None => self.remove(item.key, item.bytes),
            }
        }
        for range in &fresh {
            // Gaps are wholly in one part or another; which one makes no difference to the sum.
            let here = in_gaps.min(range.count() - self.book.refused.covered_count(*range));
            in_gaps -= here;
            self.book.finish(*range, here);
        }
        Ok(())
    }

    /// The platform holds these sequences, but what stands there cannot be read: nothing is deleted.
    pub(super) fn deliver_unseen(&mut self, told: &RangeSet) {
        for range in told
            .iter()
            .flat_map(|range| self.book.open_parts(range))
            .collect::<Vec<_>>()
        {
            self.book.finish(range, 0);
        }
    }

    /// The items that touch some parts of a lane, each once.
    fn met(&self, parts: &[SequenceRange]) -> Result<Vec<Met>, StoreError> {
        let mut met: Vec<Met> = Vec::new();
        for part in parts {
            self.walk(*part, |key, header, value| {
                let item = Met::of(key, header.ok(), value);
                // An unreadable item that starts before is none of this part's business.
                let ours = item.header.is_some() || keys::number(key) >= part.first.0;
                let new = met.last().is_none_or(|last| last.key < *key);
                met.extend(Some(item).filter(|_| ours && new));
                true
            })?;
        }
        Ok(met)
    }

    /// The platform holds sequences of a gap; how many.
    fn deliver_gap(&mut self, header: &Header, item: &Met, after: &RangeSet) -> u64 {
        let range = self.above_low(header.range);
        let left = after.uncovered(range);
        let before = self.book.done.uncovered_count(range);
        let count = before.saturating_sub(left.iter().map(|part| part.count()).sum());
        self.book.deliver_gap(item.gap.as_ref(), count);
        self.remove(item.key, item.bytes);
        for (part, gap) in left.into_iter().zip(item.gap.iter().cycle()) {
            self.put_gap(&GapNote {
                range: part,
                ..gap.clone()
            });
        }
        count
    }

    fn above_low(&self, range: SequenceRange) -> SequenceRange {
        SequenceRange::new(range.first.max(self.book.low), range.next)
    }

    fn remove(&mut self, key: Key, bytes: u64) {
        self.batch.delete(key);
        self.book.bytes = self.book.bytes.saturating_sub(bytes);
    }

    pub(super) fn put_gap(&mut self, gap: &GapNote) {
        let value = gap.encode();
        self.book.bytes += value.len() as u64;
        self.batch
            .put(keys::item(self.book.lane, gap.range.first), value);
    }

    /// The platform will never take these readings: they go to quarantine.
    pub(super) fn refuse(
        &mut self,
        refused: &[(Sequence, String)],
        sum: &mut Sum,
    ) -> Result<(), StoreError> {
        let mut open: Option<(Header, Vec<u8>)> = None;
        for (sequence, reason) in refused {
            let one = SequenceRange::new(*sequence, sequence.plus(1));
            let known = self.book.open_parts(one).is_empty()
                || self.book.refused.holding(*sequence).is_some();
            if known || self.book.refused.len() >= DONE_RANGES_MAX {
                continue;
            }
            let held = open
                .as_ref()
                .is_some_and(|(header, _)| header.range.contains(*sequence));
            if !held {
                open = self.block_of(*sequence)?;
            }
            let Some((header, entries)) = &open else {
                continue;
            };
            let at = sequence.0.saturating_sub(header.range.first.0);
            let reading = readings::reading_at(entries, at).unwrap_or_default();
            let (device, class) = readings::device_and_class(reading);
            let entry = QuarantineEntry {
                lane: self.book.lane,
                reason: QuarantineReason::PlatformRefused,
                class: &class,
                device: &device,
                topic: "",
                detail: reason,
                client: "",
                received_at: header.oldest,
                payload: reading,
                piece: None,
            };
            let value = quarantine::encode(&entry, Kind::Reading);
            self.batch.put(sum.admit(entry.reason, value.len()), value);
            self.book.ledger.spooled = self.book.ledger.spooled.saturating_sub(1);
            self.book.ledger.quarantined += 1;
            self.book.refused.insert(one);
        }
        Ok(())
    }

    /// The readable block that holds a sequence, decompressed.
    fn block_of(&self, sequence: Sequence) -> Result<Option<(Header, Vec<u8>)>, StoreError> {
        let mut found = None;
        self.walk(
            SequenceRange::new(sequence, sequence.plus(1)),
            |_, _, value| {
                let opened = block::open(value).ok();
                found = opened
                    .filter(|(header, _)| header.range.contains(sequence) && !header.is_gap())
                    .and_then(|(header, payload)| {
                        let entries = BlockReader::new().ok()?.readings(&header, payload).ok()?;
                        Some((header, entries))
                    });
                false
            },
        )?;
        Ok(found)
    }

    /// Drops the oldest blocks that are not held until the lane's bytes are at most `target`; where they stood.
    /// What is dropped becomes part of the gap before it, if that one may still grow, or a new gap.
    pub(super) fn drop_oldest(
        &mut self,
        target: u64,
        held: Option<SequenceRange>,
    ) -> Result<Vec<SequenceRange>, StoreError> {
        let mut dropping = Dropping {
            excess: self.book.bytes.saturating_sub(target),
            held: held.unwrap_or_default(),
            blocks: Vec::new(),
            growing: Vec::new(),
        };
        for part in self
            .book
            .open_parts(SequenceRange::new(self.book.low, self.book.next))
        {
            if dropping.is_enough() {
                break;
            }
            self.walk(part, |key, header, value| {
                dropping.consider(Met::of(key, header.ok(), value));
                !dropping.is_enough()
            })?;
        }
        let Dropping {
            blocks: dropped,
            mut growing,
            ..
        } = dropping;
        let mut gaps: Vec<(GapNote, bool)> = Vec::new();
        for (header, item) in dropped.iter().filter_map(|item| Some((item.header?, item))) {
            let parts = self.book.open_parts(header.range);
            self.remove(item.key, item.bytes);
            for part in parts {
                self.book.lose(DropReason::Capacity, part);
                extend(&mut gaps, &mut growing, part, header.oldest);
            }
        }
        for (gap, existed) in &gaps {
            if *existed {
                self.book.bytes = self.book.bytes.saturating_sub(gap.encode().len() as u64);
            }
            self.put_gap(gap);
        }
        Ok(dropped
            .iter()
            .filter_map(|item| Some(item.header?.range))
            .collect())
    }
}

/// Puts a dropped part behind the gap that ends where it starts.
fn extend(
    gaps: &mut Vec<(GapNote, bool)>,
    growing: &mut Vec<GapNote>,
    part: SequenceRange,
    since: UnixNanos,
) {
    if let Some((last, _)) = gaps.last_mut()
        && last.range.next == part.first
    {
        last.range.next = part.next;
        return;
    }
    let stored = growing.iter().position(|gap| gap.range.next == part.first);
    match stored.map(|at| growing.swap_remove(at)) {
        Some(mut gap) => {
            gap.range.next = part.next;
            gaps.push((gap, true));
        }
        None => gaps.push((
            GapNote {
                range: part,
                reason: GapReason::Capacity,
                detail: "the lane was full and dropped its oldest readings".to_owned(),
                sealed: false,
                of: GapOf::Readings,
                since,
            },
            false,
        )),
    }
}

/// The gap of an item whose header says that it is one.
fn gap_of(header: &Header, value: &[u8]) -> Option<GapNote> {
    GapNote::of(header, value.get(block::HEADER_BYTES..)?).ok()
}
