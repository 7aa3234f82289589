//! Where everything stands in the store: one column family, keys of ten bytes, so that a commit is one write batch and
//! no second family pins the log.
//!
//! ```text
//! 0     kind
//! 1     lane number, or 0
//! 2..10 number, big-endian: the first sequence of an item, an entry's id, or 0
//! ```
//! Big-endian numbers make the order of keys the order of sequences.

use std::ops::Range;

use crate::{
    domain::{Lane, Sequence},
    store::Key,
};

/// 16 bytes of incarnation.
const INCARNATION: u8 = 0x01;
/// A lane's book: cursor, next sequence, bytes, ledger.
const BOOK: u8 = 0x02;
/// A lane's ranges that are done with, above its cursor; absent if there are none.
const DONE: u8 = 0x03;
/// A lane's refused readings whose blocks are still there; absent if there are none.
const REFUSED: u8 = 0x05;
/// What the quarantine holds in sum.
const QUARANTINE_SUM: u8 = 0x04;
/// Blocks and gaps of a lane.
const ITEM: u8 = 0x10;
/// Quarantined payloads and readings.
const QUARANTINE: u8 = 0x20;
/// Blocks that did not pass their check, as they were found.
const DAMAGED: u8 = 0x21;

/// First bytes of all keys of the spool. Others who use the same store keep theirs outside; nothing of the spool scans or
/// drops beyond.
pub const KINDS: Range<u8> = 0x01..0x60;

const _: () = {
    let used = [
        INCARNATION,
        BOOK,
        DONE,
        REFUSED,
        QUARANTINE_SUM,
        ITEM,
        QUARANTINE,
        DAMAGED,
    ];
    let mut at = 0;
    while at < used.len() {
        #[expect(clippy::indexing_slicing, reason = "at compile time")]
        let kind = used[at];
        assert!(
            KINDS.start <= kind && kind < KINDS.end,
            "a key of the spool lies outside KINDS"
        );
        at += 1;
    }
};

const fn key(kind: u8, lane: u8, number: u64) -> Key {
    let n = number.to_be_bytes();
    [kind, lane, n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7]]
}

pub(super) const fn incarnation() -> Key {
    key(INCARNATION, 0, 0)
}

pub(super) const fn book(lane: Lane) -> Key {
    key(BOOK, lane.number(), 0)
}

pub(super) const fn done(lane: Lane) -> Key {
    key(DONE, lane.number(), 0)
}

pub(super) const fn refused(lane: Lane) -> Key {
    key(REFUSED, lane.number(), 0)
}

pub(super) const fn quarantine_sum() -> Key {
    key(QUARANTINE_SUM, 0, 0)
}

pub(super) const fn item(lane: Lane, first: Sequence) -> Key {
    key(ITEM, lane.number(), first.0)
}

/// The key behind every item of a lane.
pub(super) const fn items_end(lane: Lane) -> Key {
    key(ITEM, lane.number() + 1, 0)
}

pub(super) const fn quarantine(id: u64) -> Key {
    key(QUARANTINE, 0, id)
}

/// The key behind every quarantine entry.
pub(super) const fn quarantine_end() -> Key {
    key(QUARANTINE, 1, 0)
}

pub(super) const fn damaged(lane: Lane, first: Sequence) -> Key {
    key(DAMAGED, lane.number(), first.0)
}

/// The number in a key.
pub(super) const fn number(key: &Key) -> u64 {
    let [_, _, a, b, c, d, e, f, g, h] = *key;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}
