//! A group: the changes that are written with one sync, as the intake fills it and the writer empties it.
//!
//! Coalescing keeps of each key the last change only. It must not forget the removal of a record that the store holds
//! from before: a removal goes with the setting that it undoes only if the store surely holds nothing under that key.

use std::collections::HashMap;

use crate::{
    broker::archive::{Changes, RecordKey, Then},
    store::Batch,
};

/// What a call costs in memory beside the bytes of its changes.
const CALL_OVERHEAD_BYTES: usize = 96;

/// Bytes that changes take while they wait.
pub(super) const fn weight(changes: &Changes) -> usize {
    changes.bytes().saturating_add(CALL_OVERHEAD_BYTES)
}

/// When a group is to be on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Urgency {
    /// Nobody waits for it.
    #[default]
    Whenever,
    /// Somebody does.
    Now,
}

/// What is written together.
#[derive(Default)]
pub(super) struct Group {
    entries: Vec<(RecordKey, Option<Vec<u8>>)>,
    /// In the order of the calls.
    pub(super) thens: Vec<Then>,
    pub(super) urgency: Urgency,
    /// Calls put in, whether somebody waits or not.
    pub(super) calls: usize,
    pub(super) bytes: usize,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group")
            .field("entries", &self.entries.len())
            .field("thens", &self.thens.len())
            .field("urgency", &self.urgency)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl Group {
    pub(super) const fn is_empty(&self) -> bool {
        self.calls == 0
    }

    /// Puts a call's changes behind those of earlier ones.
    pub(super) fn put(&mut self, changes: Changes, then: Option<Then>, urgency: Urgency) {
        self.calls += 1;
        self.bytes = self.bytes.saturating_add(weight(&changes));
        self.entries.extend(changes.into_entries());
        self.thens.extend(then);
        if urgency == Urgency::Now {
            self.urgency = Urgency::Now;
        }
    }

    /// Takes the changes out, of each key the last one.
    pub(super) fn coalesced(&mut self, is_absent: impl Fn(&RecordKey) -> bool) -> Coalesced {
        coalesce(std::mem::take(&mut self.entries), is_absent)
    }
}

/// What is left of a group's changes.
#[derive(Debug, Default)]
pub(super) struct Coalesced {
    pub(super) batch: Batch,
    /// Records that are set.
    pub(super) set: u64,
    /// Records that are removed.
    pub(super) removed: u64,
    /// Records that were set and removed in this group: their bytes are not written.
    pub(super) cancelled: u64,
}

/// A key within a group.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// Its first change sets it: before that, only the store knows whether there is one.
    set_first: bool,
    /// The place of its last change.
    last: usize,
}

fn coalesce(
    entries: Vec<(RecordKey, Option<Vec<u8>>)>,
    is_absent: impl Fn(&RecordKey) -> bool,
) -> Coalesced {
    let mut seen: HashMap<RecordKey, Seen> = HashMap::with_capacity(entries.len());
    for (at, (key, value)) in entries.iter().enumerate() {
        seen.entry(*key)
            .and_modify(|seen| seen.last = at)
            .or_insert_with(|| Seen {
                set_first: value.is_some(),
                last: at,
            });
    }
    let mut left = Coalesced::default();
    for (at, (key, value)) in entries.into_iter().enumerate() {
        let Some(Seen { set_first, .. }) = seen.get(&key).filter(|seen| seen.last == at) else {
            continue;
        };
        match value {
            Some(value) => {
                left.set += 1;
                left.batch.put(key, value);
            }
            None => {
                left.cancelled += u64::from(*set_first);
                if !set_first || !is_absent(&key) {
                    left.removed += 1;
                    left.batch.delete(key);
                }
            }
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn key(number: u8) -> RecordKey {
        [0x61, 0, 0, 0, 0, 0, 0, 0, 0, number]
    }

    fn group(changes: &[(u8, Option<u8>)]) -> Group {
        let mut group = Group::default();
        for (number, value) in changes {
            let mut one = Changes::default();
            match value {
                Some(value) => one.put(key(*number), vec![*value]),
                None => one.delete(key(*number)),
            }
            group.put(one, None, Urgency::Whenever);
        }
        group
    }

    type Model = BTreeMap<RecordKey, Vec<u8>>;

    fn apply(model: &mut Model, changes: impl IntoIterator<Item = (RecordKey, Option<Vec<u8>>)>) {
        for (key, value) in changes {
            match value {
                Some(value) => drop(model.insert(key, value)),
                None => drop(model.remove(&key)),
            }
        }
    }

    #[test]
    fn a_record_set_and_removed_at_once_leaves_nothing_where_there_was_nothing() {
        let left = group(&[(1, Some(1)), (1, None)]).coalesced(|_| true);
        assert!(left.batch.is_empty());
        assert_eq!((left.set, left.removed, left.cancelled), (0, 0, 1));
    }

    #[test]
    fn a_record_that_was_there_before_is_removed_even_if_it_is_set_first() {
        let left = group(&[(1, Some(1)), (1, None)]).coalesced(|_| false);
        assert_eq!(left.batch.into_changes(), [(key(1), None)]);
        let left = group(&[(1, None), (1, Some(1)), (1, None)]).coalesced(|_| true);
        assert_eq!(left.batch.into_changes(), [(key(1), None)]);
    }

    proptest! {
        /// Groups written coalesced leave what their changes leave one by one, whatever the store says that it does not
        /// know.
        #[test]
        fn coalescing_changes_nothing(
            groups in prop::collection::vec(
                prop::collection::vec((0_u8..6, prop::option::of(any::<u8>())), 0..24),
                0..8,
            ),
            unsure in 0_u8..6,
        ) {
            let mut plain = Model::new();
            let mut coalesced = Model::new();
            for changes in groups {
                let one_by_one = changes.iter().map(|(number, value)| (key(*number), value.map(|v| vec![v])));
                apply(&mut plain, one_by_one);
                let absent = |asked: &RecordKey| *asked != key(unsure) && !coalesced.contains_key(asked);
                let left = group(&changes).coalesced(absent);
                let written = left.batch.into_changes();
                prop_assert_eq!(written.len() as u64, left.set + left.removed);
                let distinct: std::collections::BTreeSet<_> = written.iter().map(|(key, _)| *key).collect();
                prop_assert_eq!(distinct.len(), written.len());
                apply(&mut coalesced, written);
                prop_assert_eq!(&plain, &coalesced);
            }
        }
    }
}
