//! The members of one shared subscription: each message goes to one of them, in turn (MQTT 5 4.8.2).
//!
//! Invariant: whether a member is ready is asked without the lock; who joins or leaves while it is asked may be passed
//! over in that round.

use std::{collections::HashMap, fmt, sync::Mutex};

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use crate::broker::line::locked;

/// Members that are asked for one message: a crowd that is away must not cost every publisher a walk through all of it.
const ASKED_MAX: usize = 1_024;

/// Members that are taken out under one lock once the first was not ready.
const BATCH: usize = 16;

struct Turns<S> {
    members: Vec<(u64, S)>,
    places: HashMap<u64, usize, RandomState>,
    /// Whose turn it is.
    next: usize,
}

/// A shared subscription.
pub(crate) struct Group<S> {
    turns: Mutex<Turns<S>>,
}

impl<S> Default for Group<S> {
    fn default() -> Self {
        Self {
            turns: Mutex::new(Turns {
                members: Vec::new(),
                places: HashMap::default(),
                next: 0,
            }),
        }
    }
}

impl<S> fmt::Debug for Group<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("len", &locked(&self.turns).members.len())
            .finish()
    }
}

impl<S: Clone> Group<S> {
    /// Adds a member; returns what its key stood for before.
    pub(crate) fn add(&self, key: u64, value: S) -> Option<S> {
        let turns = &mut *locked(&self.turns);
        if let Some((_, known)) = turns
            .places
            .get(&key)
            .and_then(|&at| turns.members.get_mut(at))
        {
            return Some(std::mem::replace(known, value));
        }
        turns.places.insert(key, turns.members.len());
        turns.members.push((key, value));
        None
    }

    /// Removes a member.
    pub(crate) fn remove(&self, key: u64) -> Option<S> {
        let turns = &mut *locked(&self.turns);
        let at = turns.places.remove(&key)?;
        let (_, value) = turns.members.swap_remove(at);
        if let Some((moved, _)) = turns.members.get(at) {
            turns.places.insert(*moved, at);
        }
        Some(value)
    }

    /// The next member in turn that is ready; if none is (of the next 1,024), the next in turn.
    pub(crate) fn pick(&self, ready: impl Fn(&S) -> bool) -> Option<S> {
        let (at, len, first) = locked(&self.turns).take()?;
        if ready(&first) {
            return Some(first);
        }
        let asked_max = len.min(ASKED_MAX);
        let mut asked = 1;
        while asked < asked_max {
            let batch = locked(&self.turns).from(at + asked, BATCH.min(asked_max - asked));
            if batch.is_empty() {
                break;
            }
            for member in batch {
                asked += 1;
                if ready(&member) {
                    locked(&self.turns).next = at + asked;
                    return Some(member);
                }
            }
        }
        if asked < len {
            locked(&self.turns).next = at + asked;
        }
        Some(first)
    }
}

impl<S: Clone> Turns<S> {
    /// The next in turn: where it stands, how many there are, and itself.
    fn take(&mut self) -> Option<(usize, usize, S)> {
        let len = self.members.len();
        let at = self.next.checked_rem(len)?;
        self.next = at + 1;
        let (_, value) = self.members.get(at)?;
        Some((at, len, value.clone()))
    }

    /// The members from a place on, round the end.
    fn from(&self, at: usize, count: usize) -> SmallVec<[S; BATCH]> {
        let at = at.checked_rem(self.members.len()).unwrap_or_default();
        let round = self.members.iter().cycle().skip(at).take(count);
        round.map(|(_, value)| value.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, thread};

    use super::*;

    fn group(members: u64) -> Group<u64> {
        let group = Group::default();
        for key in 0..members {
            assert_eq!(group.add(key, key), None);
        }
        group
    }

    #[test]
    fn ready_members_take_turns() {
        let group = group(5);
        let picked: Vec<_> = (0..10).filter_map(|_| group.pick(|_| true)).collect();
        assert_eq!(picked, [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]);
        let picked: Vec<_> = (0..6).filter_map(|_| group.pick(|m| m % 2 == 1)).collect();
        assert_eq!(picked, [1, 3, 1, 3, 1, 3]);
    }

    #[test]
    fn if_none_is_ready_the_next_takes_it_all_the_same() {
        let group = group(3);
        let picked: Vec<_> = (0..4).filter_map(|_| group.pick(|_| false)).collect();
        assert_eq!(picked, [0, 1, 2, 0]);
        assert_eq!(Group::<u64>::default().pick(|_| true), None);
    }

    #[test]
    fn one_ready_member_of_a_thousand_is_found_from_everywhere() {
        let group = group(1_000);
        for at in 0..1_000 {
            group.pick(|_| true);
            assert_eq!(
                group.pick(|member| *member == (at * 7) % 1_000),
                Some((at * 7) % 1_000)
            );
        }
    }

    #[test]
    fn in_a_crowd_a_ready_member_is_found_within_a_few_messages() {
        let group = group(10_000);
        let found = (0..10).filter_map(|_| group.pick(|member| *member == 9_000));
        assert!(found.into_iter().any(|member| member == 9_000));
    }

    #[test]
    fn members_leave_and_are_replaced_by_key() {
        let group = group(100);
        assert_eq!(group.add(7, 700), Some(7));
        for key in (0..100).filter(|key| key % 10 != 7) {
            assert_eq!(group.remove(key), Some(key));
        }
        assert_eq!(group.remove(0), None);
        let mut picked: Vec<_> = (0..10).filter_map(|_| group.pick(|_| true)).collect();
        picked.sort_unstable();
        assert_eq!(picked, [17, 27, 37, 47, 57, 67, 77, 87, 97, 700]);
    }

    #[test]
    fn threads_share_the_members_evenly() {
        let group = group(10);
        let counts = thread::scope(|scope| {
            let pick = || (0..1_000).filter_map(|_| group.pick(|_| true)).collect();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(pick)).collect();
            let mut counts = BTreeMap::new();
            for thread in threads {
                let picked: Vec<u64> = thread.join().unwrap();
                picked
                    .into_iter()
                    .for_each(|m| *counts.entry(m).or_insert(0) += 1);
            }
            counts
        });
        assert!(
            counts.len() == 10 && counts.values().all(|count| *count == 400),
            "{counts:?}"
        );
    }
}
