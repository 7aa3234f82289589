//! The open group: where the broker puts its changes, under one short lock, and where those wait who are to be told.
//!
//! The broker's threads append; the writer swaps the whole group for an empty one. The bytes of both, the one that fills
//! and the one that is being written, are bounded for `append`; `note` is always taken, because it gives room back or is
//! bounded by its caller.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use super::{
    group::{Group, Urgency, weight},
    health::Health,
    metrics::VaultMetrics,
};
use crate::broker::archive::{Archive, Changes, NoRoom, Then, Written};

/// How long a group that nobody waits for may wait for company.
const LAZY_PAUSE: Duration = Duration::from_millis(50);
/// How long a writer without work sleeps: nothing depends on it.
const IDLE_INTERVAL: Duration = Duration::from_secs(60);

/// Locks without minding that another thread panicked: what is behind these locks is valid after every statement.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether changes are still taken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Door {
    #[default]
    Open,
    /// To be closed: what was put in before is written.
    Closed,
    /// What the store holds is not known: nothing more may be written.
    Condemned(String),
}

#[derive(Debug, Default)]
struct Gate {
    group: Group,
    /// Bytes of the group that the writer has taken; none: it has nothing in hand.
    writing: Option<usize>,
    /// Somebody found no room, and none has come since.
    refused: bool,
    door: Door,
}

impl Gate {
    fn bytes(&self) -> usize {
        self.group
            .bytes
            .saturating_add(self.writing.unwrap_or_default())
    }

    fn is_urgent(&self) -> bool {
        self.group.urgency == Urgency::Now || self.refused || self.door != Door::Open
    }
}

/// What the broker's side and the writer share.
#[derive(Debug)]
pub(super) struct Shared {
    gate: Mutex<Gate>,
    /// There is something for the writer to do.
    woken: Condvar,
    bytes_max: usize,
    /// A group is dealt with: there may be room.
    room: Notify,
    pub(super) health: Health,
    pub(super) metrics: VaultMetrics,
}

impl Shared {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            gate: Mutex::default(),
            woken: Condvar::new(),
            bytes_max,
            room: Notify::new(),
            health: Health::default(),
            metrics: VaultMetrics::new(),
        }
    }

    /// Waits until there is something to write, and then, if nobody waits for it, for what may come with it. Takes the
    /// group, and tells how the door was when it did.
    pub(super) fn take(&self) -> (Group, Door) {
        let idle = |gate: &mut Gate| gate.group.is_empty() && gate.door == Door::Open;
        let lazy = |gate: &mut Gate| self.calls_for(gate) == Some(Urgency::Whenever);
        let gate = lock(&self.gate);
        let (gate, _) = self
            .woken
            .wait_timeout_while(gate, IDLE_INTERVAL, idle)
            .unwrap_or_else(PoisonError::into_inner);
        let (mut gate, _) = self
            .woken
            .wait_timeout_while(gate, LAZY_PAUSE, lazy)
            .unwrap_or_else(PoisonError::into_inner);
        let group = std::mem::take(&mut gate.group);
        gate.writing = (!group.is_empty()).then_some(group.bytes);
        (group, gate.door.clone())
    }

    /// Everybody whom the group that was taken last concerns has been told.
    pub(super) fn settled(&self) {
        let mut gate = lock(&self.gate);
        gate.writing = None;
        gate.refused = false;
        self.metrics.waiting(gate.bytes());
        drop(gate);
        self.room.notify_waiters();
    }

    /// Takes no more.
    pub(super) fn shut(&self, door: Door) {
        let mut gate = lock(&self.gate);
        if !matches!(gate.door, Door::Condemned(_)) {
            gate.door = door;
        }
        drop(gate);
        self.woken.notify_one();
        self.room.notify_waiters();
    }

    pub(super) fn is_open(&self) -> bool {
        lock(&self.gate).door == Door::Open
    }

    /// Resolves when nothing waits and everybody has been told.
    pub(super) async fn drained(&self) {
        loop {
            let mut settled = pin!(self.room.notified());
            settled.as_mut().enable();
            let drained = {
                let gate = lock(&self.gate);
                gate.group.is_empty() && gate.writing.is_none()
            };
            if drained {
                return;
            }
            settled.await;
        }
    }

    /// What the writer is needed for: it is woken when this changes.
    fn calls_for(&self, gate: &Gate) -> Option<Urgency> {
        if gate.group.is_empty() {
            None
        } else if gate.is_urgent() || gate.group.bytes >= self.bytes_max / 2 {
            Some(Urgency::Now)
        } else {
            Some(Urgency::Whenever)
        }
    }

    /// Puts a call in. If the door is shut, whoever waits is told at once.
    fn put(
        &self,
        mut gate: MutexGuard<'_, Gate>,
        changes: Changes,
        then: Option<Then>,
        urgency: Urgency,
    ) {
        if gate.door != Door::Open {
            drop(gate);
            // There is no writer any more whose thread could tell it.
            if let Some(then) = then {
                then(Written::Abandoned);
            }
            return;
        }
        let before = self.calls_for(&gate);
        gate.group.put(changes, then, urgency);
        let after = self.calls_for(&gate);
        self.metrics.waiting(gate.bytes());
        drop(gate);
        if before != after {
            self.woken.notify_one();
        }
    }
}

/// The archive as the broker holds it.
#[derive(Debug)]
pub(super) struct Intake {
    pub(super) shared: Arc<Shared>,
}

impl Archive for Intake {
    fn append(&self, changes: Changes, then: Option<Then>) -> Result<(), NoRoom> {
        let shared = &*self.shared;
        let mut gate = lock(&shared.gate);
        let expected = gate.bytes().saturating_add(weight(&changes));
        // One that is larger than the bound is taken when it would be alone.
        let room = gate.group.is_empty() || expected <= shared.bytes_max;
        if !room && gate.door == Door::Open {
            gate.refused = true;
            drop(gate);
            shared.metrics.busy.increment(1);
            shared.woken.notify_one();
            return Err(NoRoom { changes, then });
        }
        shared.put(gate, changes, then, Urgency::Now);
        Ok(())
    }

    fn note(&self, changes: Changes, then: Option<Then>) {
        let urgency = match then {
            Some(_) => Urgency::Now,
            None => Urgency::Whenever,
        };
        self.shared
            .put(lock(&self.shared.gate), changes, then, urgency);
    }

    fn room(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let mut room = pin!(shared.room.notified());
            room.as_mut().enable();
            let refused = {
                let gate = lock(&shared.gate);
                gate.refused && gate.door == Door::Open
            };
            if refused {
                room.await;
            }
        })
    }
}
