//! What the writer thread tells the others, and what they leave for it: views of the lanes, an inbox, a bell.
//!
//! The writer owns the books. Everybody else sees copies that it publishes after each commit, under short locks that
//! are never held across disk or await.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc::SyncSender},
    time::Duration,
};

use tokio::sync::watch;

use super::{health::Health, ledger::LaneLedger, ranges::RangeSet, release::Order, tail::Tail};
use crate::{
    domain::{Clock, Incarnation, Lane, LaneMap, Sequence, SequenceRange, UnixNanos},
    store::Store,
};

/// Locks without minding that another thread panicked: what is behind these locks is valid after every statement.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A lane as of the last commit.
#[derive(Debug, Clone, Default)]
pub(super) struct View {
    /// The oldest sequence that is not done with.
    pub(super) low: Sequence,
    /// The first sequence of the item that holds `low`: the lower bound of every iterator.
    pub(super) head: Sequence,
    /// The sequence behind the last one committed.
    pub(super) next: Sequence,
    /// Bytes of the lane's items on disk.
    pub(super) bytes: u64,
    /// When the reading at `low`'s block had been received, if there is one.
    pub(super) oldest_received_at: Option<UnixNanos>,
    /// What is done with above `low`.
    pub(super) done: Arc<RangeSet>,
    pub(super) ledger: LaneLedger,
}

/// Work that a reader needs done before it can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chore {
    /// Seal the gap that starts here, so that it can be told to the platform.
    Seal(Sequence),
    /// The item that holds this sequence is unreadable or missing: put a gap in its place.
    Mend(Sequence),
}

/// What others left for the writer about one lane.
#[derive(Debug, Default)]
pub(super) struct LaneInbox {
    pub(super) chores: Vec<(Chore, SyncSender<()>)>,
    pub(super) refused: Vec<(Sequence, String)>,
    pub(super) delivered: RangeSet,
}

impl LaneInbox {
    pub(super) fn is_empty(&self) -> bool {
        self.chores.is_empty() && self.refused.is_empty() && self.delivered.is_empty()
    }
}

/// Wakes the writer thread.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rung: Mutex<bool>,
    woken: Condvar,
}

impl Bell {
    pub(super) fn ring(&self) {
        let mut rung = lock(&self.rung);
        if !*rung {
            *rung = true;
            drop(rung);
            self.woken.notify_one();
        }
    }

    /// Waits until it rings, at most so long.
    pub(super) fn wait(&self, at_most: Duration) {
        let rung = lock(&self.rung);
        let (mut rung, _) = self
            .woken
            .wait_timeout_while(rung, at_most, |rung| !*rung)
            .unwrap_or_else(PoisonError::into_inner);
        *rung = false;
    }
}

/// Everything that the writer, the readers and the inlet share and that knows nothing of receipts.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) store: Arc<Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) incarnation: Incarnation,
    pub(super) bell: Bell,
    pub(super) health: Health,
    pub(super) tail: Mutex<Tail>,
    pub(super) inbox: Mutex<LaneMap<LaneInbox>>,
    /// What operators asked of the quarantine.
    pub(super) orders: Mutex<Vec<Order>>,
    /// In flight: not to be dropped for want of room.
    pub(super) held: Mutex<LaneMap<Option<SequenceRange>>>,
    views: LaneMap<Mutex<View>>,
    /// Counts what may interest a reader: commits, gaps.
    changed: LaneMap<watch::Sender<u64>>,
}

/// What [`Shared`] starts from.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) store: Arc<Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) incarnation: Incarnation,
    pub(super) tail_bytes_max: usize,
}

impl Shared {
    pub(super) fn new(origin: Origin) -> Self {
        Self {
            store: origin.store,
            clock: origin.clock,
            incarnation: origin.incarnation,
            bell: Bell::default(),
            health: Health::default(),
            tail: Mutex::new(Tail::new(origin.tail_bytes_max)),
            inbox: Mutex::default(),
            orders: Mutex::default(),
            held: Mutex::default(),
            views: LaneMap::from_fn(|_| Mutex::default()),
            changed: LaneMap::from_fn(|_| watch::Sender::new(0)),
        }
    }

    pub(super) fn view(&self, lane: Lane) -> View {
        lock(&self.views[lane]).clone()
    }

    pub(super) fn publish(&self, lane: Lane, view: View) {
        *lock(&self.views[lane]) = view;
    }

    /// Wakes those who wait for something new in a lane.
    pub(super) fn announce(&self, lane: Lane) {
        self.changed[lane].send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(super) fn subscribe(&self, lane: Lane) -> watch::Receiver<u64> {
        self.changed[lane].subscribe()
    }

    pub(super) fn leave(&self, lane: Lane, put: impl FnOnce(&mut LaneInbox)) {
        put(&mut lock(&self.inbox)[lane]);
        self.bell.ring();
    }

    pub(super) fn take_inbox(&self) -> LaneMap<LaneInbox> {
        std::mem::take(&mut *lock(&self.inbox))
    }
}
