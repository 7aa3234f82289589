//! A map behind many short locks: whoever looks something up waits for at most one insertion or removal nearby.
//!
//! Invariant: a lock is held for one operation on one map, and never while another one is taken.

use std::{
    collections::HashMap,
    hash::BuildHasher,
    sync::{Mutex, MutexGuard},
};

use foldhash::fast::RandomState;

use crate::broker::line::locked;

const SHARDS: usize = 64;

/// A map that has grown is cut down to what it holds when less than one in so many of its places is used.
const SLACK: usize = 8;

/// Below this a map is left as it is.
const CAPACITY_MIN: usize = 64;

pub(super) type Shard<V> = HashMap<Box<[u8]>, V, RandomState>;

/// Bytes to values.
pub(super) struct Shards<V> {
    shards: Box<[Mutex<Shard<V>>]>,
    hasher: RandomState,
}

impl<V> Default for Shards<V> {
    fn default() -> Self {
        let hasher = RandomState::default();
        let shard = || Mutex::new(HashMap::with_hasher(hasher.clone()));
        Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            hasher,
        }
    }
}

impl<V> Shards<V> {
    /// The map that a key belongs to.
    #[expect(
        clippy::indexing_slicing,
        reason = "the remainder is below the number of shards"
    )]
    pub(super) fn of(&self, key: &[u8]) -> MutexGuard<'_, Shard<V>> {
        // The map inside places by the lowest bits of the same hash and tells neighbours apart by the highest.
        let hash = self.hasher.hash_one(key) >> 40;
        let at = usize::try_from(hash).unwrap_or_default() % SHARDS;
        locked(&self.shards[at])
    }

    /// How many values there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| locked(shard).len()).sum()
    }
}

/// Removes a key, and with it the room that a storm has left.
pub(super) fn remove<V>(shard: &mut Shard<V>, key: &[u8]) {
    shard.remove(key);
    let capacity = shard.capacity();
    if capacity > CAPACITY_MIN && shard.len() < capacity / SLACK {
        shard.shrink_to(shard.len() * 2);
    }
}
