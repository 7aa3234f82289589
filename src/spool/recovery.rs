//! After a damaged log: what it held and what recovery could not take is gone, though it was acknowledged. This accounts
//! for it, so that the loss is reported and no sequence is ever used twice.
//!
//! The lost part of the log held the lanes' books too. Its bytes are searched for them: the last one found says how far
//! the lane had come, so how many readings are lost. It may have come further than any book that can still be read, so
//! the lane goes on at a sequence that the log cannot have reached. Two gaps bridge the distance:
//!
//! ```text
//! recovered next ──── counted gap ────▶ last book found ──── uncounted gap ────▶ where the lane goes on
//!                  (lost readings)                         (numbers passed over)
//! ```

use super::{
    block::{GapNote, GapOf, GapReason},
    book::{Book, MAGIC},
    desk::Books,
    error::SpoolError,
    keys,
};
use crate::{
    domain::{DropReason, Lane, LaneMap, SequenceRange, UnixNanos},
    store::{Batch, Durability, LogDamage, Store, StoreError},
};

/// More readings than a byte of log can hold, however well they are compressed.
const READINGS_PER_LOG_BYTE_MAX: u64 = 8;

/// Accounts for what a damaged log took with it; the readings known to be lost.
pub(super) fn account(
    store: &Store,
    damage: &LogDamage,
    books: &mut Books,
    now: UnixNanos,
) -> Result<LaneMap<u64>, SpoolError> {
    let latest = latest_books(damage)?;
    let mut batch = Batch::default();
    let mut lost = LaneMap::default();
    for lane in Lane::ALL {
        let book = &mut books.lanes[lane];
        let reached = latest[lane].as_ref();
        let known = reached.map_or(book.next, |reached| reached.next.max(book.next));
        let beyond = known.plus(
            damage
                .log_bytes
                .saturating_mul(READINGS_PER_LOG_BYTE_MAX)
                .max(1),
        );
        let received = reached.map_or(0, |reached| {
            reached.ledger.received.saturating_sub(book.ledger.received)
        });
        let readings = SequenceRange::new(book.next, known);
        // Unreadable payloads were received too, and have no sequence.
        lost[lane] = received.max(readings.count());
        book.ledger.received += lost[lane];
        book.ledger.drop_more(DropReason::Corruption, lost[lane]);
        let passed_over = SequenceRange::new(known, beyond);
        for (range, of) in [(readings, GapOf::Readings), (passed_over, GapOf::Numbers)] {
            put_gap(&mut batch, book, &gap(range, of, now));
        }
        book.next = beyond;
        batch.put(keys::book(lane), book.encode());
        tracing::error!(
            %lane,
            lost = lost[lane],
            first = %readings.first,
            goes_on_at = %book.next,
            aside = %damage.aside.display(),
            "acknowledged readings are lost with the damaged log"
        );
    }
    store.write(&batch, Durability::Synced)?;
    Ok(lost)
}

fn gap(range: SequenceRange, of: GapOf, now: UnixNanos) -> GapNote {
    let detail = match of {
        GapOf::Readings => "readings lost with a damaged log",
        GapOf::Numbers => "numbers passed over after a damaged log",
    };
    GapNote {
        range,
        reason: GapReason::Corruption,
        detail: detail.to_owned(),
        sealed: false,
        of,
        since: now,
    }
}

fn put_gap(batch: &mut Batch, book: &mut Book, gap: &GapNote) {
    if gap.range.is_empty() {
        return;
    }
    let value = gap.encode();
    book.bytes += value.len() as u64;
    book.gaps += gap.range.count();
    batch.put(keys::item(book.lane, gap.range.first), value);
}

/// The furthest book of each lane that can be read in the bytes of the logs.
fn latest_books(damage: &LogDamage) -> Result<LaneMap<Option<Book>>, SpoolError> {
    let mut latest: LaneMap<Option<Book>> = LaneMap::from_fn(|_| None);
    for log in &damage.logs {
        let bytes = std::fs::read(log).map_err(|source| StoreError::Io {
            path: log.clone(),
            cause: source.to_string(),
        })?;
        for book in books_in(&bytes) {
            let known = &mut latest[book.lane];
            if known.as_ref().is_none_or(|known| known.next < book.next) {
                *known = Some(book);
            }
        }
    }
    Ok(latest)
}

fn books_in(bytes: &[u8]) -> impl Iterator<Item = Book> + '_ {
    let [mark, ..] = MAGIC;
    let starts = bytes
        .iter()
        .enumerate()
        .filter(move |(_, byte)| **byte == mark);
    starts.filter_map(|(at, _)| {
        let rest = bytes.get(at..)?;
        rest.starts_with(&MAGIC)
            .then(|| Book::decode(rest))
            .flatten()
    })
}
