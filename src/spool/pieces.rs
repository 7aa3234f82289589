//! Which entries of the quarantine are pieces that wait for the rest of their message, by the names that the intake gives
//! them. Known only as long as the process runs and bounded: an entry that is no longer known stays in quarantine.

use std::collections::BTreeMap;

use crate::{domain::PieceId, store::Key};

/// Most pieces that are known; the oldest are forgotten first.
const PIECES_MAX: usize = 1 << 16;

/// Names and keys of pieces.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    keys: BTreeMap<PieceId, Key>,
}

impl Pieces {
    /// A piece stands under a key.
    pub(super) fn enter(&mut self, piece: PieceId, key: Key) {
        self.keys.insert(piece, key);
        while self.keys.len() > PIECES_MAX {
            self.keys.pop_first();
        }
    }

    /// A piece is whole: its key.
    pub(super) fn leave(&mut self, piece: PieceId) -> Option<Key> {
        self.keys.remove(&piece)
    }
}
