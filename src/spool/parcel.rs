//! What ingest hands to the spool for one payload, and what it is told if that is not taken.

use super::{
    group::Entry,
    quarantine::{self, Kind, QuarantineEntry},
};
use crate::domain::{LaneMap, Outcome, PieceId};

/// Readings as the normaliser wrote them: entries of `Batch.readings`.
#[derive(Debug, Clone, Copy)]
pub struct Readings<'a> {
    /// The entries.
    pub bytes: &'a [u8],
    /// How many there are.
    pub count: u32,
}

/// What came of a payload beside its readings.
#[derive(Debug, Clone, Copy, Default)]
pub struct Parcel<'a> {
    /// What of it belongs into quarantine.
    pub entries: &'a [QuarantineEntry<'a>],
    /// Readings that a rule of the operator left out.
    pub suppressed: LaneMap<u32>,
    /// Pieces in quarantine that are whole with this payload: they leave it, and its ledger, in the same batch.
    pub joined: &'a [PieceId],
}

/// Why something was not taken; the receipt comes back.
#[derive(Debug)]
#[must_use = "the receipt in it is owed an answer"]
pub enum Unplaced<R> {
    /// The open group is full, or the disk takes no writes. Stop reading; wait for room; offer again.
    Busy(Option<R>),
    /// The lane, or the quarantine, is full and its policy is to refuse.
    LaneFull(Option<R>),
    /// The spool is closed.
    Closed(Option<R>),
}

pub(super) fn entry(entry: &QuarantineEntry<'_>) -> Entry {
    Entry {
        lane: entry.lane,
        reason: entry.reason,
        bytes: quarantine::encode(entry, Kind::Payload),
        piece: entry.piece,
    }
}

/// What a payload came to, as its sender is told. A piece that waits is stored: nothing is wrong with it.
pub(super) fn outcome(parcel: &Parcel<'_>, read: Option<()>) -> Outcome {
    let broken = parcel.entries.iter().find(|entry| entry.piece.is_none());
    match (read, broken) {
        (None, Some(entry)) => Outcome::Quarantined(entry.reason),
        _ => Outcome::Stored,
    }
}
