//! A group: the payloads that are written with one sync and acknowledged together, as the intake fills it and the
//! writer empties it.

use crate::domain::{Lane, LaneMap, Outcome, PieceId, QuarantineReason, UnixNanos};

/// Capacity for so many receipts is kept; a burst's is given back.
const RECEIPTS_KEPT: usize = 1 << 16;

/// Readings of one lane that will become one block.
#[derive(Debug)]
pub(super) struct OpenBlock {
    pub(super) lane: Lane,
    pub(super) bytes: Vec<u8>,
    pub(super) count: u64,
    /// When it was opened.
    pub(super) oldest: UnixNanos,
}

/// What goes into quarantine.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) lane: Lane,
    pub(super) reason: QuarantineReason,
    pub(super) bytes: Vec<u8>,
    /// Its name, if it is a piece that waits for the rest.
    pub(super) piece: Option<PieceId>,
}

/// What a group writes, receipts aside.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// In the order in which they were opened: each lane's in sequence.
    pub(super) blocks: Vec<OpenBlock>,
    pub(super) entries: Vec<Entry>,
    /// Pieces that have become whole: their entries go.
    pub(super) joined: Vec<PieceId>,
    /// Readings at `QoS` 0 that a full lane had no room for, and payloads that the quarantine had none for.
    pub(super) refused_qos0: LaneMap<u64>,
    /// Readings that a rule of the operator left out.
    pub(super) suppressed: LaneMap<u64>,
}

impl Contents {
    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
            && self.entries.is_empty()
            && self.joined.is_empty()
            && self.refused_qos0.iter().all(|(_, count)| *count == 0)
            && self.suppressed.iter().all(|(_, count)| *count == 0)
    }
}

/// A group: what is written together and acknowledged together.
#[derive(Debug)]
pub(super) struct Group<R> {
    pub(super) contents: Contents,
    /// In order of arrival.
    pub(super) receipts: Vec<(R, Outcome)>,
    /// Each lane's block that still takes readings, by its place.
    pub(super) open: LaneMap<Option<usize>>,
    pub(super) lane_bytes: LaneMap<u64>,
    /// Of the entries for the quarantine.
    pub(super) entry_bytes: u64,
    pub(super) bytes: usize,
    /// Payloads put in, whatever became of them.
    pub(super) payloads: usize,
}

impl<R> Group<R> {
    pub(super) fn new() -> Self {
        Self {
            contents: Contents::default(),
            receipts: Vec::new(),
            open: LaneMap::default(),
            lane_bytes: LaneMap::default(),
            entry_bytes: 0,
            bytes: 0,
            payloads: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.contents.is_empty() && self.receipts.is_empty()
    }

    pub(super) fn owe(&mut self, receipt: Option<R>, outcome: Outcome) {
        self.receipts
            .extend(receipt.map(|receipt| (receipt, outcome)));
    }

    /// Empties it for the next use; keeps what is worth keeping.
    pub(super) fn clear(&mut self) {
        self.contents.blocks.clear();
        self.contents.entries.clear();
        self.contents.joined.clear();
        self.contents.refused_qos0 = LaneMap::default();
        self.contents.suppressed = LaneMap::default();
        self.receipts.clear();
        self.receipts.shrink_to(RECEIPTS_KEPT);
        self.open = LaneMap::default();
        self.lane_bytes = LaneMap::default();
        self.entry_bytes = 0;
        self.bytes = 0;
        self.payloads = 0;
    }
}
