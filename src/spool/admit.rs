//! What a group brings beside its blocks: entries for the quarantine, pieces that have become whole, readings that nobody
//! had room for or that a rule left out.

use std::collections::BTreeSet;

use super::{
    desk::{Desk, Draft},
    group::{Contents, Entry},
    keys, quarantine,
};
use crate::domain::{DropReason, PieceId};

impl Desk {
    /// Quarantine entries come and go, and readings that nobody had room for.
    pub(super) fn admit(&mut self, draft: &mut Draft, contents: &mut Contents) {
        let Draft { books, batch } = draft;
        let coming: u64 = contents
            .entries
            .iter()
            .map(|entry| entry.bytes.len() as u64)
            .sum();
        let bound = self.bounds.quarantine_bytes_max.saturating_sub(coming);
        match books.sum.evict(&self.shared.store, bound, batch) {
            Ok(lanes) => {
                for lane in lanes {
                    let ledger = &mut books.lanes[lane].ledger;
                    ledger.quarantined = ledger.quarantined.saturating_sub(1);
                    ledger.drop_more(DropReason::QuarantineCapacity, 1);
                }
            }
            Err(fault) => tracing::error!(%fault, "the quarantine cannot be read to make room"),
        }
        self.join(draft, contents);
        let Draft { books, batch } = draft;
        for entry in contents.entries.drain(..) {
            let ledger = &mut books.lanes[entry.lane].ledger;
            ledger.received += 1;
            ledger.quarantined += 1;
            let key = books.sum.admit(entry.reason, entry.bytes.len());
            if let Some(piece) = entry.piece {
                self.pieces.enter(piece, key);
            }
            batch.put(key, entry.bytes);
        }
        for (lane, count) in contents.refused_qos0.iter() {
            let ledger = &mut books.lanes[lane].ledger;
            ledger.received += count;
            ledger.drop_more(DropReason::RefusedQos0, *count);
        }
        for (lane, count) in contents.suppressed.iter() {
            let ledger = &mut books.lanes[lane].ledger;
            ledger.received += count;
            ledger.suppressed += count;
        }
    }

    /// Pieces that are whole now leave quarantine, as if they had come with the payload that completed them. One that has
    /// gone meanwhile (by the bound, by an operator) is counted already.
    fn join(&mut self, draft: &mut Draft, contents: &mut Contents) {
        if contents.joined.is_empty() {
            return;
        }
        let mut joined: BTreeSet<PieceId> = contents.joined.drain(..).collect();
        let stays = |entry: &Entry| entry.piece.is_none_or(|piece| !joined.remove(&piece));
        contents.entries.retain(stays);
        for piece in joined {
            let known = self.pieces.leave(piece);
            // What made room a moment ago is gone, though the disk still shows it.
            let low = draft.books.sum.low;
            let Some(key) = known.filter(|key| keys::number(key) >= low) else {
                continue;
            };
            let entry = match self.shared.store.get(&key) {
                Ok(Some(entry)) => entry,
                Ok(None) => continue,
                Err(fault) => {
                    tracing::error!(%fault, "a piece that is whole now cannot be read: it stays in quarantine");
                    continue;
                }
            };
            let (lane, reason) = quarantine::peek(&entry).unwrap_or(quarantine::OF_DAMAGED);
            let Draft { books, batch } = &mut *draft;
            batch.delete(key);
            books.sum.release(reason, entry.len());
            let ledger = &mut books.lanes[lane].ledger;
            ledger.received = ledger.received.saturating_sub(1);
            ledger.quarantined = ledger.quarantined.saturating_sub(1);
        }
    }
}
