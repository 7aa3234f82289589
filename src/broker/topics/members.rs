//! Who subscribed to one filter: nobody, one (the bulk of all filters), a few, or a hundred thousand.
//!
//! ```text
//!  None ─▶ One(entry) ─▶ Few([entry; 2..=32]) ─▶ Many(slots by key, each [entry; about 8 to 32])
//! ```
//!
//! A reader clones it, which is one pointer, and visits without the lock that it came from. A writer replaces the list,
//! of many only the slot that the key falls into, so that a reader sees each entry that was there all the while.

use std::{
    iter::once,
    sync::{Arc, Mutex},
};

use crate::broker::line::locked;

/// Entries in one list: what a writer copies.
const LIST_MAX: usize = 32;

/// How much a table of slots grows and shrinks at once.
const STEP: usize = 4;

#[derive(Debug, Clone)]
pub(super) struct Entry<S> {
    key: u64,
    value: S,
}

type List<S> = Arc<[Entry<S>]>;

#[derive(Debug)]
pub(super) struct Wide<S> {
    /// A power of two.
    slots: Box<[Mutex<List<S>>]>,
}

#[derive(Debug, Clone, Default)]
pub(super) enum Members<S> {
    #[default]
    None,
    One(Entry<S>),
    Few(List<S>),
    Many(Arc<Wide<S>>, usize),
}

impl<S: Clone> Members<S> {
    pub(super) const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Adds an entry; returns the one that it replaces.
    pub(super) fn insert(&mut self, key: u64, value: S) -> Option<S> {
        let entry = Entry { key, value };
        match self {
            Self::None => {
                *self = Self::One(entry);
                None
            }
            Self::One(one) if one.key == key => Some(std::mem::replace(one, entry).value),
            Self::One(one) => {
                *self = Self::Few(Arc::new([one.clone(), entry]));
                None
            }
            Self::Few(list) => {
                let old = put(list, entry);
                if list.len() > LIST_MAX {
                    *self = Self::Many(Arc::new(Wide::new(STEP, list)), list.len());
                }
                old
            }
            Self::Many(wide, len) => {
                let old = put(&mut locked(wide.slot(key)), entry);
                *len += usize::from(old.is_none());
                if *len > wide.slots.len() * LIST_MAX {
                    *wide = Arc::new(Wide::new(wide.slots.len() * STEP, &wide.entries()));
                }
                old
            }
        }
    }

    /// Removes an entry.
    pub(super) fn remove(&mut self, key: u64) -> Option<S> {
        match self {
            Self::One(one) if one.key == key => {
                let Self::One(one) = std::mem::take(self) else {
                    return None;
                };
                Some(one.value)
            }
            Self::None | Self::One(_) => None,
            Self::Few(list) => {
                let old = take(list, key);
                if let [one] = &**list {
                    *self = Self::One(one.clone());
                }
                old
            }
            Self::Many(wide, len) => {
                let old = take(&mut locked(wide.slot(key)), key)?;
                *len -= 1;
                if *len <= LIST_MAX / STEP {
                    *self = Self::Few(wide.entries().into());
                } else if wide.slots.len() > STEP && *len < wide.slots.len() * STEP / 2 {
                    *wide = Arc::new(Wide::new(wide.slots.len() / STEP, &wide.entries()));
                }
                Some(old)
            }
        }
    }

    /// Visits every entry.
    pub(super) fn visit(&self, visit: &mut impl FnMut(u64, &S)) {
        let mut all = |list: &[Entry<S>]| list.iter().for_each(|e| visit(e.key, &e.value));
        match self {
            Self::None => {}
            Self::One(one) => all(std::slice::from_ref(one)),
            Self::Few(list) => all(list),
            Self::Many(wide, _) => {
                for slot in &wide.slots {
                    let list = Arc::clone(&locked(slot));
                    all(&list);
                }
            }
        }
    }
}

impl<S: Clone> Wide<S> {
    fn new(slots: usize, entries: &[Entry<S>]) -> Self {
        let mut lists = vec![Vec::new(); slots];
        for entry in entries {
            if let Some(list) = lists.get_mut(place(entry.key, slots)) {
                list.push(entry.clone());
            }
        }
        let slots = lists.into_iter().map(|list| Mutex::new(list.into()));
        Self {
            slots: slots.collect(),
        }
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "the place is below the number of slots"
    )]
    fn slot(&self, key: u64) -> &Mutex<List<S>> {
        &self.slots[place(key, self.slots.len())]
    }

    fn entries(&self) -> Vec<Entry<S>> {
        let mut entries = Vec::new();
        for slot in &self.slots {
            entries.extend(locked(slot).iter().cloned());
        }
        entries
    }
}

/// The slot of a key: keys count upwards, so they are mixed first.
fn place(key: u64, slots: usize) -> usize {
    let mixed = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    usize::try_from(mixed).unwrap_or_default() % slots
}

fn put<S: Clone>(list: &mut List<S>, entry: Entry<S>) -> Option<S> {
    let Some(at) = list.iter().position(|e| e.key == entry.key) else {
        *list = list.iter().cloned().chain(once(entry)).collect();
        return None;
    };
    let known = Arc::make_mut(list).get_mut(at)?;
    Some(std::mem::replace(known, entry).value)
}

fn take<S: Clone>(list: &mut List<S>, key: u64) -> Option<S> {
    let at = list.iter().position(|e| e.key == key)?;
    let (before, rest) = list.split_at(at);
    let (old, after) = rest.split_first()?;
    let old = old.value.clone();
    *list = before.iter().chain(after).cloned().collect();
    Some(old)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn visited<S: Clone>(members: &Members<S>) -> BTreeMap<u64, S> {
        let mut all = BTreeMap::new();
        members.visit(&mut |key, value: &S| {
            assert!(all.insert(key, value.clone()).is_none());
        });
        all
    }

    proptest! {
        #[test]
        fn members_are_a_map_at_every_size(
            steps in prop::collection::vec((0..200_u64, 0..5_u8), 0..1_500),
        ) {
            let (mut members, mut model) = (Members::None, BTreeMap::new());
            for (at, (key, step)) in steps.into_iter().enumerate() {
                if step == 0 {
                    prop_assert_eq!(members.remove(key), model.remove(&key));
                } else {
                    prop_assert_eq!(members.insert(key, at), model.insert(key, at));
                }
            }
            prop_assert_eq!(visited(&members), model.clone());
            for key in model.keys() {
                members.remove(*key);
            }
            prop_assert!(members.is_none());
        }
    }

    #[test]
    fn a_reader_keeps_what_it_has_begun_to_read() {
        let mut members = Members::None;
        for key in 0..10_000_u64 {
            members.insert(key, key);
        }
        let reader = members.clone();
        for key in 0..10_000_u64 {
            assert_eq!(members.remove(key), Some(key));
        }
        assert!(members.is_none());
        drop(visited(&reader));
    }
}
