//! An archive in memory, for tests and rigs: durable at once, unless it is told to behave like a disk that is slow, full
//! or closed. It outlives a broker, and yields what was durable to the next one.
//!
//! Invariants: as [`Archive`] demands; what is held is not among the records yet, as on a disk that has not answered.

use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::{Archive, Changes, KINDS, Memory, NoRoom, RecordKey, Then, Written};

/// A memory that remembers nothing, with an archive of its own: for those who only need one.
#[must_use]
pub fn forgetful() -> Memory {
    Forgetful::new().memory()
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Disk {
    /// Takes everything at once.
    #[default]
    Quick,
    /// Takes nothing until it is released.
    Held,
    /// Closed: everything is abandoned.
    Closed,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Room {
    #[default]
    Enough,
    None,
}

#[derive(Default)]
struct State {
    disk: Disk,
    room: Room,
    records: BTreeMap<RecordKey, Vec<u8>>,
    held: VecDeque<(Changes, Option<Then>)>,
    /// What is to be told, in order; one thread at a time tells it, without the lock.
    owed: VecDeque<(Then, Written)>,
    telling: bool,
}

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    room: Notify,
}

/// The archive; clones are the same one.
#[derive(Clone, Default)]
pub struct Forgetful {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Forgetful {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state();
        f.debug_struct("Forgetful")
            .field("disk", &state.disk)
            .field("room", &state.room)
            .field("records", &state.records.len())
            .field("held", &state.held.len())
            .finish_non_exhaustive()
    }
}

impl Forgetful {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The archive and what it holds, for a broker that starts.
    #[must_use]
    pub fn memory(&self) -> Memory {
        Memory {
            archive: Arc::new(self.clone()),
            records: Box::new(self.records().into_iter()),
        }
    }

    /// Another one that holds what was durable here, as the disk after a crash: what is held here is lost to it.
    #[must_use]
    pub fn restarted(&self) -> Self {
        let restarted = Self::new();
        restarted.state().records = self.records();
        restarted
    }

    /// Every record that is durable.
    #[must_use]
    pub fn records(&self) -> BTreeMap<RecordKey, Vec<u8>> {
        self.state().records.clone()
    }

    /// From now on nothing becomes durable.
    pub fn hold(&self) {
        self.state().disk = Disk::Held;
    }

    /// Makes durable what was held, in order, and whatever comes from now on.
    pub fn release(&self) {
        let mut state = self.state();
        state.disk = Disk::Quick;
        while let Some((changes, then)) = state.held.pop_front() {
            state.make_durable(changes, then);
        }
        self.tell(state);
    }

    /// Closes it: what is held and whatever still comes is abandoned.
    pub fn close(&self) {
        let mut state = self.state();
        state.disk = Disk::Closed;
        while let Some((_changes, then)) = state.held.pop_front() {
            state.owe(then, Written::Abandoned);
        }
        self.tell(state);
    }

    /// From now on [`Archive::append`] finds no room.
    pub fn fill(&self) {
        self.state().room = Room::None;
    }

    /// There is room again.
    pub fn make_room(&self) {
        self.state().room = Room::Enough;
        self.inner.room.notify_waiters();
    }

    /// Calls whose changes are held.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.state().held.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.inner)
    }

    fn take<'a>(&'a self, mut state: MutexGuard<'a, State>, changes: Changes, then: Option<Then>) {
        match state.disk {
            Disk::Quick => state.make_durable(changes, then),
            Disk::Held => state.held.push_back((changes, then)),
            Disk::Closed => state.owe(then, Written::Abandoned),
        }
        self.tell(state);
    }

    /// Tells what is owed. Whoever is told may come back with changes: their turn is after those before them.
    fn tell<'a>(&'a self, mut state: MutexGuard<'a, State>) {
        if state.telling {
            return;
        }
        while let Some((then, written)) = state.owed.pop_front() {
            state.telling = true;
            drop(state);
            then(written);
            state = self.state();
        }
        state.telling = false;
    }
}

fn locked(inner: &Inner) -> MutexGuard<'_, State> {
    inner.state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn make_durable(&mut self, changes: Changes, then: Option<Then>) {
        for (key, value) in changes.into_entries() {
            debug_assert!(KINDS.contains(&key[0]), "{key:?} is of no kind");
            match value {
                Some(value) => drop(self.records.insert(key, value)),
                None => drop(self.records.remove(&key)),
            }
        }
        self.owe(then, Written::Durable);
    }

    fn owe(&mut self, then: Option<Then>, written: Written) {
        self.owed.extend(then.map(|then| (then, written)));
    }
}

impl Archive for Forgetful {
    fn append(&self, changes: Changes, then: Option<Then>) -> Result<(), NoRoom> {
        let state = self.state();
        if state.room == Room::None {
            return Err(NoRoom { changes, then });
        }
        self.take(state, changes, then);
        Ok(())
    }

    fn note(&self, changes: Changes, then: Option<Then>) {
        self.take(self.state(), changes, then);
    }

    fn room(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            let mut room = pin!(inner.room.notified());
            room.as_mut().enable();
            let now = locked(&inner).room;
            if now == Room::None {
                room.await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn key(number: u8) -> RecordKey {
        [0x60, 0, 0, 0, 0, 0, 0, 0, 0, number]
    }

    fn put(number: u8) -> Changes {
        let mut changes = Changes::default();
        changes.put(key(number), vec![number]);
        changes
    }

    fn told(number: u8, to: &mpsc::Sender<(u8, Written)>) -> Option<Then> {
        let to = to.clone();
        Some(Box::new(move |written| to.send((number, written)).unwrap()))
    }

    #[test]
    fn what_is_held_is_told_in_order_when_it_is_released_and_is_lost_to_a_restart_before() {
        let archive = Forgetful::new();
        let (sender, heard) = mpsc::channel();
        archive.append(put(1), told(1, &sender)).unwrap();
        archive.hold();
        archive.append(put(2), told(2, &sender)).unwrap();
        archive.note(put(3), told(3, &sender));
        assert_eq!(
            heard.try_iter().collect::<Vec<_>>(),
            [(1, Written::Durable)]
        );
        assert_eq!(archive.restarted().records().len(), 1);
        archive.release();
        let heard: Vec<_> = heard.try_iter().collect();
        assert_eq!(heard, [(2, Written::Durable), (3, Written::Durable)]);
        let keys: Vec<_> = archive
            .restarted()
            .memory()
            .records
            .map(|(key, _)| key)
            .collect();
        assert_eq!(keys, [key(1), key(2), key(3)]);
    }

    #[test]
    fn a_closed_one_abandons() {
        let archive = Forgetful::new();
        let (sender, heard) = mpsc::channel();
        archive.hold();
        archive.append(put(1), told(1, &sender)).unwrap();
        archive.close();
        archive.note(put(2), told(2, &sender));
        let heard: Vec<_> = heard.try_iter().collect();
        assert_eq!(heard, [(1, Written::Abandoned), (2, Written::Abandoned)]);
        assert!(archive.records().is_empty());
    }

    #[tokio::test]
    async fn a_full_one_gives_everything_back_and_says_when_there_is_room() {
        let archive = Forgetful::new();
        archive.fill();
        let back = archive.append(put(1), None).unwrap_err();
        archive.note(put(2), None);
        let room = archive.room();
        archive.make_room();
        room.await;
        archive.append(back.changes, back.then).unwrap();
        assert_eq!(archive.records().len(), 2);
    }
}
