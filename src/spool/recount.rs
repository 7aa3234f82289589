//! The books held against what is on disk, by headers alone. A long backlog is not read through: up to a bound, the start
//! would take too long; what is not counted is found when it is read.

use super::{block::Header, book::Book, error::SpoolError, keys};
use crate::{
    domain::{Sequence, SequenceRange, UnixNanos},
    store::{Key, Start, Step, Store},
};

/// Bytes of items that are looked at when the spool opens: a fraction of a second.
const RECOUNT_BYTES_MAX: u64 = 256 << 20;
/// Items that are.
const RECOUNT_ITEMS_MAX: u64 = 200_000;

/// What is on disk of a lane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Recount {
    /// Whether the bound was not reached.
    pub(super) counted_all: bool,
    /// Readings that are not done with, refused ones included.
    pub(super) readings: u64,
    /// Sequences of gaps that are not done with.
    pub(super) gaps: u64,
    /// Bytes of all items.
    pub(super) bytes: u64,
}

/// Counts a lane's items, up to a bound.
pub(super) fn recount(store: &Store, book: &Book) -> Result<Recount, SpoolError> {
    let mut count = Recount {
        counted_all: true,
        ..Recount::default()
    };
    let mut items = 0;
    each(store, book, |header, bytes| {
        items += 1;
        count.bytes += bytes;
        if let Some(header) = header {
            let open: u64 = book
                .open_parts(header.range)
                .iter()
                .map(|part| part.count())
                .sum();
            if header.is_gap() {
                count.gaps += open;
            } else {
                count.readings += open;
            }
        }
        count.counted_all = count.bytes <= RECOUNT_BYTES_MAX && items <= RECOUNT_ITEMS_MAX;
        count.counted_all
    })?;
    Ok(count)
}

/// What an operator wants to know of a lane's items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Inventory {
    pub(super) blocks: u64,
    pub(super) gaps: u64,
    pub(super) unreadable: u64,
    pub(super) raw_bytes: u64,
    pub(super) oldest: Option<UnixNanos>,
    pub(super) newest: Option<UnixNanos>,
}

/// Looks at all of a lane's items.
pub(super) fn inventory(store: &Store, book: &Book) -> Result<Inventory, SpoolError> {
    let mut found = Inventory::default();
    each(store, book, |header, _| {
        match header {
            None => found.unreadable += 1,
            Some(header) if header.is_gap() => found.gaps += 1,
            Some(header) => {
                found.blocks += 1;
                found.raw_bytes += u64::from(header.raw_bytes);
                found.oldest = Some(
                    found
                        .oldest
                        .map_or(header.oldest, |oldest| oldest.min(header.oldest)),
                );
                found.newest = found.newest.max(Some(header.newest));
            }
        }
        true
    })?;
    Ok(found)
}

/// Shows each item's header and bytes until told to stop; jumps over what is done with.
fn each(
    store: &Store,
    book: &Book,
    mut visit: impl FnMut(Option<Header>, u64) -> bool,
) -> Result<(), SpoolError> {
    let lane = book.lane;
    if book.low == book.next {
        return Ok(());
    }
    let head = head(store, book)?;
    let mut last: Option<Key> = None;
    let mut more = true;
    for part in book.open_parts(SequenceRange::new(book.low, book.next)) {
        if !more {
            break;
        }
        let bounds = keys::item(lane, head)..keys::item(lane, part.next);
        store.scan(
            bounds,
            Start::AtOrBefore(keys::item(lane, part.first)),
            |key, value| {
                let header = Header::peek(value).ok();
                if last.is_none_or(|last| last < *key) {
                    last = Some(*key);
                    more = visit(header, value.len() as u64);
                }
                match header {
                    _ if !more => Step::Stop,
                    Some(header) if header.is_gap() => {
                        Step::Seek(keys::item(lane, header.range.next))
                    }
                    Some(_) | None => Step::Next,
                }
            },
        )?;
    }
    Ok(())
}

/// Where the item that holds the cursor starts: at the cursor, or before it if the platform holds a part of the item.
fn head(store: &Store, book: &Book) -> Result<Sequence, SpoolError> {
    let lane = book.lane;
    let low = book.low;
    let mut head = low;
    if store.get(&keys::item(lane, low))?.is_some() {
        return Ok(low);
    }
    let bounds = keys::item(lane, Sequence(0))..keys::item(lane, low.plus(1));
    store.scan(
        bounds,
        Start::AtOrBefore(keys::item(lane, low)),
        |_, value| {
            let range = Header::peek(value)
                .map_or_else(|_| SequenceRange::default(), |header| header.range);
            if range.contains(low) {
                head = range.first;
            }
            Step::Stop
        },
    )?;
    Ok(head)
}
