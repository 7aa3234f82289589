//! Every open connection's line, so that the sweep can visit all of them and a stop can tell all of them. Slots are
//! reused; shards keep a visit's lock short.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use super::line::{Line, Signals, locked};

/// Shards of the lines; the sweep visits one at each tick.
pub(crate) const SHARDS: usize = 16;

#[derive(Debug, Default)]
struct Shard {
    lines: Vec<Option<Arc<Line>>>,
    free: Vec<u32>,
}

/// All lines.
#[derive(Debug)]
pub(crate) struct Lines {
    shards: [Mutex<Shard>; SHARDS],
    next: AtomicUsize,
}

/// Where a line stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    shard: u32,
    place: u32,
}

impl Lines {
    pub(crate) fn new() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            next: AtomicUsize::new(0),
        }
    }

    /// Adds a line.
    pub(crate) fn add(&self, line: &Arc<Line>) -> Slot {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % SHARDS;
        let mut place = 0;
        if let Some(shard) = self.shards.get(turn) {
            let mut shard = locked(shard);
            place = shard.free.pop().unwrap_or_else(|| {
                shard.lines.push(None);
                u32::try_from(shard.lines.len() - 1).unwrap_or(u32::MAX)
            });
            if let Some(slot) = usize::try_from(place)
                .ok()
                .and_then(|at| shard.lines.get_mut(at))
            {
                *slot = Some(Arc::clone(line));
            }
        }
        Slot {
            shard: u32::try_from(turn).unwrap_or_default(),
            place,
        }
    }

    /// Removes a line.
    pub(crate) fn remove(&self, slot: Slot) {
        let shard = usize::try_from(slot.shard)
            .ok()
            .and_then(|at| self.shards.get(at));
        let Some(shard) = shard else { return };
        let mut shard = locked(shard);
        let place = usize::try_from(slot.place).unwrap_or(usize::MAX);
        let removed = shard.lines.get_mut(place).and_then(Option::take);
        if removed.is_some() {
            shard.free.push(slot.place);
        }
        drop(shard);
        drop(removed);
    }

    /// Visits the lines of one shard.
    pub(crate) fn visit(&self, turn: usize, mut visit: impl FnMut(&Line)) {
        if let Some(shard) = self.shards.get(turn % SHARDS) {
            for line in locked(shard).lines.iter().flatten() {
                visit(line);
            }
        }
    }

    /// Tells every connection.
    pub(crate) fn signal_all(&self, signal: Signals) {
        for turn in 0..SHARDS {
            self.visit(turn, |line| line.signal(signal));
        }
    }
}
