//! A lane's book: where it stands and its ledger, kept on disk beside the items it speaks of.
//!
//! ```text
//!        low                            next
//!         │    done: held by the        │
//!         ▼    platform already         ▼
//! ────────█████████░░░░░░░░░█████████████
//! gone     items    gone     items
//! ```
//! Invariant: every sequence in `low .. next` that is not in `done` belongs to exactly one item on disk, and items that
//! lie wholly in `done` are gone. Everything that follows — what a delivered range deletes, what a damage has lost —
//! is arithmetic on this, without looking at the readings.
//!
//! A reading that the platform refused is in quarantine already, but keeps its place in its block until the platform has
//! moved past it: were the block sent again without it, the sequence would have a hole. `refused` says which these are.
//!
//! ```text
//! 0..8   "SGBOOK\0\1"    found in the bytes of a damaged log too
//! 8      lane
//! 9      count of drop reasons n
//! 10..   low, next, bytes, gaps, received, delivered, spooled, quarantined, suppressed   u64 big-endian each
//! ..     n × (reason u8, count u64)
//! ..+4   CRC-32C over all of it
//! ```

use super::{
    block::{GapNote, GapOf},
    ledger::LaneLedger,
    ranges::RangeSet,
};
use crate::domain::{DropReason, Lane, Sequence, SequenceRange};

pub(super) const MAGIC: [u8; 8] = *b"SGBOOK\0\x01";
const PREFIX_BYTES: usize = 10;
const FIELDS: usize = 9;
/// Reasons up to this code always stand in a book; later ones only once something was dropped for them, so that software
/// that does not know them can open what has none.
const REASONS_ALWAYS: u8 = 4;

/// Where a lane stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Book {
    pub(super) lane: Lane,
    /// The oldest sequence that is not done with.
    pub(super) low: Sequence,
    /// The sequence that the next reading takes.
    pub(super) next: Sequence,
    /// Bytes of the items on disk.
    pub(super) bytes: u64,
    /// Sequences of gaps on disk that the platform does not know of yet.
    pub(super) gaps: u64,
    pub(super) ledger: LaneLedger,
    /// What is done with above `low`; kept under a key of its own.
    pub(super) done: RangeSet,
    /// Refused readings, at or above `low`, not in `done`; kept under a key of its own.
    pub(super) refused: RangeSet,
}

impl Book {
    pub(super) fn new(lane: Lane) -> Self {
        Self {
            lane,
            low: Sequence(0),
            next: Sequence(0),
            bytes: 0,
            gaps: 0,
            ledger: LaneLedger::default(),
            done: RangeSet::default(),
            refused: RangeSet::default(),
        }
    }

    /// Whether cursor, gaps and ledger tell the same story.
    pub(super) fn is_consistent(&self) -> bool {
        let open = (self.next.0)
            .checked_sub(self.low.0)
            .and_then(|all| all.checked_sub(self.done.count()));
        let within = self
            .done
            .iter()
            .all(|range| self.low < range.first && range.next <= self.next);
        let stored = [self.ledger.spooled, self.gaps, self.refused.count()];
        within && open.is_some() && open == stored.into_iter().try_fold(0_u64, u64::checked_add)
    }

    /// A block of new readings takes its sequences.
    pub(super) fn place(&mut self, count: u64) -> SequenceRange {
        let range = SequenceRange::new(self.next, self.next.plus(count));
        self.next = range.next;
        self.ledger.received += count;
        self.ledger.spooled += count;
        range
    }

    /// What lies between the cursor and the end, and is not done with.
    pub(super) fn open_parts(&self, range: SequenceRange) -> Vec<SequenceRange> {
        let range = SequenceRange::new(range.first.max(self.low), range.next.min(self.next));
        self.done.uncovered(range)
    }

    /// The platform holds `count` sequences of a gap.
    pub(super) fn deliver_gap(&mut self, gap: Option<&GapNote>, count: u64) {
        self.gaps = self.gaps.saturating_sub(count);
        if let Some(gap) = gap.filter(|gap| gap.of == GapOf::Readings && !gap.sealed) {
            // The platform was never told of the gap: it holds the readings that were believed lost.
            let found = self.ledger.drop_less(gap.reason.drop_reason(), count);
            self.ledger.delivered += found;
        }
    }

    /// Stored readings become a gap.
    pub(super) fn lose(&mut self, reason: DropReason, range: SequenceRange) {
        let readings = range.count() - self.refused.covered_count(range);
        let lost = readings.min(self.ledger.spooled);
        self.ledger.spooled -= lost;
        self.ledger.drop_more(reason, lost);
        self.gaps += range.count();
        self.refused.remove(range);
    }

    /// The platform holds what stood in a range, `in_gaps` sequences of it in gaps: the ledger moves, the cursor moves over
    /// what is done.
    pub(super) fn finish(&mut self, range: SequenceRange, in_gaps: u64) {
        let range = SequenceRange::new(range.first.max(self.low), range.next.min(self.next));
        let elsewhere = in_gaps + self.refused.covered_count(range);
        let readings = range
            .count()
            .saturating_sub(elsewhere)
            .min(self.ledger.spooled);
        self.ledger.spooled -= readings;
        self.ledger.delivered += readings;
        self.refused.remove(range);
        self.done.insert(range);
        self.low = self.done.absorb(self.low);
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let ledger = &self.ledger;
        let mut out = Vec::with_capacity(PREFIX_BYTES + 8 * FIELDS + 9 * DropReason::ALL.len() + 4);
        out.extend_from_slice(&MAGIC);
        out.push(self.lane.number());
        let told =
            |reason: &&DropReason| reason.code() <= REASONS_ALWAYS || ledger.dropped(**reason) > 0;
        let reasons: Vec<DropReason> = DropReason::ALL.iter().filter(told).copied().collect();
        out.push(u8::try_from(reasons.len()).unwrap_or(u8::MAX));
        let fields: [u64; FIELDS] = [
            self.low.0,
            self.next.0,
            self.bytes,
            self.gaps,
            ledger.received,
            ledger.delivered,
            ledger.spooled,
            ledger.quarantined,
            ledger.suppressed,
        ];
        for field in fields {
            out.extend_from_slice(&field.to_be_bytes());
        }
        for reason in reasons {
            out.push(reason.code());
            out.extend_from_slice(&ledger.dropped(reason).to_be_bytes());
        }
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_be_bytes());
        out
    }

    /// Reads a book off the front of some bytes; its done ranges stand elsewhere.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let prefix = bytes.first_chunk::<PREFIX_BYTES>()?;
        let [magic @ .., lane, reasons] = prefix;
        if *magic != MAGIC {
            return None;
        }
        let sealed_bytes = PREFIX_BYTES + 8 * FIELDS + 9 * usize::from(*reasons);
        let (sealed, rest) = bytes.split_at_checked(sealed_bytes)?;
        if u32::from_be_bytes(*rest.first_chunk::<4>()?) != crc32c::crc32c(sealed) {
            return None;
        }
        let mut rest = sealed.get(PREFIX_BYTES..)?;
        let mut field = || {
            let (value, behind) = rest.split_first_chunk::<8>()?;
            rest = behind;
            Some(u64::from_be_bytes(*value))
        };
        let mut book = Self::new(Lane::from_number(*lane)?);
        book.low = Sequence(field()?);
        book.next = Sequence(field()?);
        book.bytes = field()?;
        book.gaps = field()?;
        book.ledger.received = field()?;
        book.ledger.delivered = field()?;
        book.ledger.spooled = field()?;
        book.ledger.quarantined = field()?;
        book.ledger.suppressed = field()?;
        let (dropped, _) = rest.as_chunks::<9>();
        for [code, count @ ..] in dropped {
            let reason = DropReason::from_code(*code)?;
            book.ledger.drop_more(reason, u64::from_be_bytes(*count));
        }
        Some(book)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A book of version 1: lane bulk, low 1, next 9, bytes 300, gaps 2, and a ledger.
    const FIXTURE: &str = "5347424f4f4b000103040000000000000001000000000000000900000000000012c000000000000000020000000000000014";

    fn book() -> Book {
        let mut book = Book::new(Lane::Bulk);
        book.place(9);
        book.bytes = 0x12c0;
        book.finish(SequenceRange::new(Sequence(0), Sequence(1)), 0);
        book.lose(
            DropReason::Capacity,
            SequenceRange::new(Sequence(1), Sequence(3)),
        );
        book.ledger.received += 11;
        book.ledger.quarantined += 11;
        book
    }

    #[test]
    fn a_book_comes_back_as_it_was_written_and_balances() {
        let book = book();
        assert!(book.is_consistent() && book.ledger.balances());
        let bytes = book.encode();
        assert_eq!(Book::decode(&bytes), Some(book));
        assert!(
            hex::encode(&bytes).starts_with(FIXTURE),
            "{}",
            hex::encode(&bytes)
        );
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Book::decode(&flipped), None, "bit {bit}");
        }
    }

    #[test]
    fn a_reason_of_later_software_stands_in_a_book_only_once_it_was_needed() {
        let mut book = book();
        assert_eq!(book.encode().get(9), Some(&REASONS_ALWAYS));
        book.ledger.quarantined -= 1;
        book.ledger.drop_more(DropReason::Purged, 1);
        let bytes = book.encode();
        assert_eq!(bytes.get(9), Some(&(REASONS_ALWAYS + 1)));
        assert_eq!(Book::decode(&bytes), Some(book));
    }

    #[test]
    fn the_platform_may_hold_the_live_flow_before_the_backlog() {
        let mut book = Book::new(Lane::Alarm);
        book.place(100);
        book.finish(SequenceRange::new(Sequence(50), Sequence(80)), 0);
        assert_eq!(book.low, Sequence(0));
        assert!(book.is_consistent());
        book.finish(SequenceRange::new(Sequence(0), Sequence(50)), 0);
        assert_eq!(book.low, Sequence(80));
        assert!(book.done.is_empty() && book.is_consistent());
    }
}
