//! What was seen lately, in bounded room: two generations of entries. Entries in use move to the young one; when that is
//! full, or old enough for everything in it to have lost its meaning, it becomes the old one and the old one is
//! forgotten, all at once. So a storm of strangers may make the broker forget, and never makes it grow.

use std::{collections::HashMap, hash::Hash, time::Duration};

use foldhash::fast::RandomState;

use super::bucket::Nanos;

/// Entries by key.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    young: HashMap<K, V, RandomState>,
    old: HashMap<K, V, RandomState>,
    generation_max: usize,
    span: Duration,
    turned: Nanos,
}

impl<K: Eq + Hash, V: Default> Recent<K, V> {
    /// At most `2 × generation_max` entries; one that is not used for `span` may be forgotten.
    pub(crate) fn new(generation_max: usize, span: Duration) -> Self {
        Self {
            young: HashMap::default(),
            old: HashMap::default(),
            generation_max: generation_max.max(1),
            span,
            turned: Nanos(0),
        }
    }

    /// The entry of a key, a new one if there is none.
    pub(crate) fn entry(&mut self, key: K, now: Nanos) -> &mut V {
        if now.since(self.turned) >= self.span
            || (self.young.len() >= self.generation_max && !self.young.contains_key(&key))
        {
            self.turn(now);
        }
        let old = &mut self.old;
        self.young
            .entry(key)
            .or_insert_with_key(|key| old.remove(key).unwrap_or_default())
    }

    /// The entry of a key, if there is one.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.young.get_mut(key).or_else(|| self.old.get_mut(key))
    }

    fn turn(&mut self, now: Nanos) {
        self.old = std::mem::take(&mut self.young);
        self.turned = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_nanos(100);

    #[test]
    fn an_entry_in_use_is_kept_and_one_out_of_use_forgotten_after_two_spans() {
        let mut recent = Recent::<u32, u32>::new(1000, SPAN);
        for now in (0..1000).step_by(10) {
            *recent.entry(1, Nanos(now)) += 1;
            if now == 500 {
                *recent.entry(2, Nanos(now)) += 1;
            }
        }
        assert_eq!(*recent.entry(1, Nanos(1000)), 100);
        assert_eq!(recent.get_mut(&2), None);
    }

    #[test]
    fn strangers_never_make_it_grow() {
        let mut recent = Recent::<u32, u32>::new(100, SPAN);
        for stranger in 0..100_000 {
            *recent.entry(stranger, Nanos(1)) += 1;
            assert!(recent.young.len() <= 100 && recent.old.len() <= 100);
        }
        assert_eq!(recent.get_mut(&99_999), Some(&mut 1));
    }
}
