//! Damage met while reading: what cannot be read is set aside as it was found, a gap takes its place, and delivery goes
//! on. The extent of a loss follows from the book's invariant, not from what the damaged bytes say of themselves.

use super::{
    block::{self, BlockReader, Codec, GapNote, GapOf, GapReason, Header},
    keys,
    quarantine::Sum,
    readings,
    retire::Leaving,
};
use crate::{
    domain::{DropReason, Sequence, SequenceRange, UnixNanos},
    store::{Start, Step, StoreError},
};

/// Bytes of damaged blocks that are kept for whoever wants to look at them.
const DAMAGED_BYTES_MAX: u64 = 64 << 20;
/// A damaged item shorter than this that says it is a gap is believed to be one.
const GAP_BYTES_MAX: usize = 1024;

/// What stands where a sequence should be.
enum Found {
    /// An item that can be read to its end.
    Sound(Header),
    /// One that cannot.
    Damaged {
        first: Sequence,
        value: Vec<u8>,
    },
    Nothing,
}

impl Leaving<'_> {
    /// Seals the gap that starts here, if there is one and it is not sealed yet.
    pub(super) fn seal(&mut self, first: Sequence) -> Result<(), StoreError> {
        let key = keys::item(self.book.lane, first);
        let Some(value) = self.store.get(&key)? else {
            return Ok(());
        };
        let gap = block::open(&value).and_then(|(header, payload)| GapNote::of(&header, payload));
        if let Ok(gap) = gap.map(|gap| GapNote {
            sealed: true,
            ..gap
        }) {
            self.batch.put(key, gap.encode());
        }
        Ok(())
    }

    /// Puts a gap where a sequence should be and is not, or is unreadable; the sequences that were lost.
    pub(super) fn mend(
        &mut self,
        at: Sequence,
        sum: &mut Sum,
        now: UnixNanos,
    ) -> Result<Vec<SequenceRange>, StoreError> {
        if self
            .book
            .open_parts(SequenceRange::new(at, at.plus(1)))
            .is_empty()
        {
            return Ok(Vec::new());
        }
        let mut was_gap = false;
        let (from, detail) = match self.find(at) {
            Ok(Found::Sound(header)) if header.range.contains(at) => return Ok(Vec::new()),
            Ok(Found::Sound(header)) => (header.range.next, "a stored block is missing"),
            Ok(Found::Nothing) => (self.book.low, "a stored block is missing"),
            Ok(Found::Damaged { first, value }) => {
                was_gap = value.get(1) == Some(&(Codec::Gap as u8)) && value.len() < GAP_BYTES_MAX;
                self.set_aside(first, value, sum);
                (first, "a stored block did not pass its check")
            }
            // The database itself cannot read what stands there.
            Err(StoreError::Corrupt { .. }) => (at, "a stored block cannot be read"),
            Err(fault) => return Err(fault),
        };
        let until = self.next_readable(at)?;
        let parts = self.book.open_parts(SequenceRange::new(from, until));
        for part in &parts {
            if !was_gap {
                self.book.lose(DropReason::Corruption, *part);
            }
            self.put_gap(&GapNote {
                range: *part,
                reason: GapReason::Corruption,
                detail: detail.to_owned(),
                sealed: false,
                of: if was_gap {
                    GapOf::Numbers
                } else {
                    GapOf::Readings
                },
                since: now,
            });
        }
        Ok(parts)
    }

    fn find(&self, at: Sequence) -> Result<Found, StoreError> {
        let lane = self.book.lane;
        let bounds = keys::item(lane, self.head.min(self.book.low))..keys::item(lane, at.plus(1));
        let mut found = Found::Nothing;
        self.store.scan(
            bounds,
            Start::AtOrBefore(keys::item(lane, at)),
            |key, value| {
                found = match block::open(value) {
                    Ok((header, payload)) if is_whole(&header, payload) => Found::Sound(header),
                    Ok(_) | Err(_) => Found::Damaged {
                        first: Sequence(keys::number(key)),
                        value: value.to_vec(),
                    },
                };
                Step::Stop
            },
        )?;
        Ok(found)
    }

    /// The first sequence behind `at` at which a readable key stands, or the lane's end.
    fn next_readable(&self, at: Sequence) -> Result<Sequence, StoreError> {
        let lane = self.book.lane;
        let mut step = 1_u64;
        loop {
            let from = at.plus(step);
            if from >= self.book.next {
                return Ok(self.book.next);
            }
            let start = keys::item(lane, from);
            let mut next = self.book.next;
            let scanned =
                self.store
                    .scan(start..keys::items_end(lane), Start::At(start), |key, _| {
                        next = Sequence(keys::number(key));
                        Step::Stop
                    });
            match scanned {
                Ok(()) => return Ok(next),
                Err(StoreError::Corrupt { .. }) => step = step.saturating_mul(2),
                Err(fault) => return Err(fault),
            }
        }
    }

    fn set_aside(&mut self, first: Sequence, value: Vec<u8>, sum: &mut Sum) {
        let bytes = value.len() as u64;
        self.batch.delete(keys::item(self.book.lane, first));
        self.book.bytes = self.book.bytes.saturating_sub(bytes);
        if sum.damaged_bytes.saturating_add(bytes) <= DAMAGED_BYTES_MAX {
            sum.damaged_bytes += bytes;
            self.batch.put(keys::damaged(self.book.lane, first), value);
        } else {
            tracing::error!(lane = %self.book.lane, %first, bytes, "too many damaged blocks are set aside already: this one's bytes are not kept");
        }
    }
}

/// Whether a checked item can be handed out whole and in parts.
fn is_whole(header: &Header, payload: &[u8]) -> bool {
    if header.is_gap() {
        return GapNote::of(header, payload).is_ok();
    }
    let entries = BlockReader::new()
        .ok()
        .and_then(|mut blocks| blocks.readings(header, payload).ok());
    entries.is_some_and(|entries| {
        readings::offset_of(&entries, header.range.count()) == Some(entries.len())
    })
}
