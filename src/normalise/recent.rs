//! Named values of which the least recently used one is known. Slots of a vector linked in the order of use: finding,
//! using and dropping are constant in time, and no slot is ever moved.

use std::{collections::HashMap, sync::Arc};

/// No slot.
const NONE: usize = usize::MAX;

/// The values.
#[derive(Debug)]
pub(crate) struct Recent<T> {
    places: HashMap<Arc<str>, usize, foldhash::fast::RandomState>,
    slots: Vec<Slot<T>>,
    free: Vec<usize>,
    newest: usize,
    oldest: usize,
}

#[derive(Debug)]
struct Slot<T> {
    name: Arc<str>,
    /// None while the slot is free.
    value: Option<T>,
    newer: usize,
    older: usize,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self {
            places: HashMap::default(),
            slots: Vec::new(),
            free: Vec::new(),
            newest: NONE,
            oldest: NONE,
        }
    }
}

impl<T> Recent<T> {
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// The value of a name, which is now the most recently used one.
    pub(crate) fn touch(&mut self, name: &str) -> Option<&mut T> {
        let place = *self.places.get(name)?;
        if place != self.newest {
            self.unlink(place);
            self.link(place);
        }
        self.slots.get_mut(place)?.value.as_mut()
    }

    /// Enters a value as the most recently used one; gives the one that had the name.
    pub(crate) fn insert(&mut self, name: &str, value: T) -> Option<T> {
        let before = self.remove(name);
        let name: Arc<str> = name.into();
        let slot = Slot {
            name: Arc::clone(&name),
            value: Some(value),
            newer: NONE,
            older: NONE,
        };
        let place = match self.free.pop() {
            Some(place) => {
                if let Some(free) = self.slots.get_mut(place) {
                    *free = slot;
                }
                place
            }
            None => {
                self.slots.push(slot);
                self.slots.len() - 1
            }
        };
        self.places.insert(name, place);
        self.link(place);
        before
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<T> {
        let place = self.places.remove(name)?;
        self.vacate(place)
    }

    /// Drops the least recently used value, and gives it.
    pub(crate) fn pop_oldest(&mut self) -> Option<T> {
        let place = self.oldest;
        let name = Arc::clone(&self.slots.get(place)?.name);
        self.places.remove(&*name);
        self.vacate(place)
    }

    fn vacate(&mut self, place: usize) -> Option<T> {
        self.unlink(place);
        self.free.push(place);
        let slot = self.slots.get_mut(place)?;
        slot.name = Arc::default();
        slot.value.take()
    }

    fn link(&mut self, place: usize) {
        let before = std::mem::replace(&mut self.newest, place);
        if let Some(slot) = self.slots.get_mut(place) {
            slot.older = before;
            slot.newer = NONE;
        }
        match self.slots.get_mut(before) {
            Some(slot) => slot.newer = place,
            None => self.oldest = place,
        }
    }

    fn unlink(&mut self, place: usize) {
        let Some(slot) = self.slots.get(place) else {
            return;
        };
        let (newer, older) = (slot.newer, slot.older);
        match self.slots.get_mut(newer) {
            Some(slot) => slot.older = older,
            None => self.newest = older,
        }
        match self.slots.get_mut(older) {
            Some(slot) => slot.newer = newer,
            None => self.oldest = newer,
        }
    }
}
