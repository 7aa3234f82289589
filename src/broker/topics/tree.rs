//! Who hears which topics. Filters without wildcards, the bulk, are looked up by name; the others stand in a trie.
//!
//! Publishers read while others subscribe: either side holds a lock only for one look into one of many maps. Whoever
//! subscribes to a filter with a wildcard also waits for the others who do; a publisher never does.
//!
//! Invariants: a subscription that is there from before a visit until after it is visited once; one that comes or goes
//! meanwhile is visited once or not at all. The visitor is called without a lock.

use std::{
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::{
    filter::has_wildcards,
    members::Members,
    shards::{Shards, remove},
    trie::Trie,
};

/// Subscriptions by filter and key. A filter is valid and without `$share/{name}/`.
pub(crate) struct Tree<S> {
    exact: Shards<Members<S>>,
    wild: Trie<S>,
    len: AtomicUsize,
}

impl<S> Default for Tree<S> {
    fn default() -> Self {
        Self {
            exact: Shards::default(),
            wild: Trie::default(),
            len: AtomicUsize::new(0),
        }
    }
}

impl<S> fmt::Debug for Tree<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

impl<S: Clone> Tree<S> {
    /// Adds a subscription; returns the one of the same key to the same filter that it replaces.
    pub(crate) fn subscribe(&self, filter: &str, key: u64, value: S) -> Option<S> {
        let old = if has_wildcards(filter) {
            self.wild.subscribe(filter, key, value)
        } else {
            let filter = filter.as_bytes();
            let mut shard = self.exact.of(filter);
            match shard.get_mut(filter) {
                Some(members) => members.insert(key, value),
                None => {
                    let mut members = Members::None;
                    members.insert(key, value);
                    shard.insert(filter.into(), members);
                    None
                }
            }
        };
        if old.is_none() {
            self.len.fetch_add(1, Ordering::Relaxed);
        }
        old
    }

    /// Removes a subscription.
    pub(crate) fn unsubscribe(&self, filter: &str, key: u64) -> Option<S> {
        let old = if has_wildcards(filter) {
            self.wild.unsubscribe(filter, key)
        } else {
            let filter = filter.as_bytes();
            let mut shard = self.exact.of(filter);
            let members = shard.get_mut(filter)?;
            let old = members.remove(key);
            if members.is_none() {
                remove(&mut shard, filter);
            }
            old
        }?;
        self.len.fetch_sub(1, Ordering::Relaxed);
        Some(old)
    }

    /// Visits every subscription whose filter matches a topic; a key with several of them is visited for each.
    pub(crate) fn matches(&self, topic: &str, visit: &mut impl FnMut(u64, &S)) {
        let exact = {
            let topic = topic.as_bytes();
            self.exact.of(topic).get(topic).cloned()
        };
        if let Some(members) = exact {
            members.visit(visit);
        }
        self.wild.matches(topic, visit);
    }

    /// How many subscriptions there are.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::atomic::AtomicBool, thread};

    use proptest::prelude::*;

    use super::{super::filter::topic_matches, *};

    impl<S> Tree<S> {
        fn is_bare(&self) -> bool
        where
            S: Clone,
        {
            self.len() == 0 && self.exact.len() == 0 && self.wild.nodes() == 0
        }
    }

    fn matched<S: Clone + Ord>(tree: &Tree<S>, topic: &str) -> Vec<(u64, S)> {
        let mut all = Vec::new();
        tree.matches(topic, &mut |key, value: &S| all.push((key, value.clone())));
        all.sort();
        all
    }

    fn filters() -> impl Strategy<Value = String> {
        let level = prop::sample::select(vec!["", "a", "b", "$a", "+"]);
        let end = prop::sample::select(vec!["", "#", "/#"]);
        (prop::collection::vec(level, 1..5), end).prop_map(|(levels, end)| match end {
            "#" => "#".to_owned(),
            end => levels.join("/") + end,
        })
    }

    fn topics() -> impl Strategy<Value = String> {
        let level = prop::sample::select(vec!["", "a", "b", "$a", "c"]);
        prop::collection::vec(level, 1..6).prop_map(|levels| levels.join("/"))
    }

    proptest! {
        #[test]
        fn the_tree_finds_what_a_list_of_filters_finds_and_leaves_nothing_behind(
            steps in prop::collection::vec((filters(), 0..4_u64, 0..4_u8), 1..120),
            topics in prop::collection::vec(topics(), 1..40),
        ) {
            let (tree, mut model) = (Tree::default(), BTreeMap::new());
            for (at, (filter, key, step)) in steps.into_iter().enumerate() {
                if step == 0 {
                    let removed = model.remove(&(filter.clone(), key));
                    prop_assert_eq!(tree.unsubscribe(&filter, key), removed);
                } else {
                    let replaced = model.insert((filter.clone(), key), at);
                    prop_assert_eq!(tree.subscribe(&filter, key, at), replaced);
                }
                prop_assert_eq!(tree.len(), model.len());
            }
            for topic in topics {
                let matching = model.iter().filter(|((filter, _), _)| topic_matches(filter, &topic));
                let mut expected: Vec<_> = matching.map(|((_, key), at)| (*key, *at)).collect();
                expected.sort_unstable();
                prop_assert_eq!(matched(&tree, &topic), expected, "{}", topic);
            }
            for ((filter, key), at) in model {
                prop_assert_eq!(tree.unsubscribe(&filter, key), Some(at));
                prop_assert_eq!(tree.unsubscribe(&filter, key), None);
            }
            prop_assert!(tree.is_bare());
        }
    }

    const STAYS: [&str; 5] = ["s/a/b", "s/+/b", "s/#", "+/a/+", "#"];

    fn storm(tree: &Tree<u64>, keys: std::ops::Range<u64>) {
        let filters = ["s/a/b", "s/+/b", "s/a/#", "+/a/b/#", "s/a/+"];
        for key in keys.cycle().take(4_000) {
            for filter in filters {
                tree.subscribe(filter, key, key);
            }
            for filter in filters {
                assert_eq!(tree.unsubscribe(filter, key), Some(key));
            }
        }
    }

    fn publish(tree: &Tree<u64>, storming: &AtomicBool) {
        while storming.load(Ordering::Relaxed) {
            let mut seen = matched(tree, "s/a/b");
            seen.retain(|(key, _)| *key < 1_000);
            assert_eq!(seen, [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4)]);
        }
    }

    #[test]
    fn what_stays_subscribed_is_visited_once_throughout_a_storm() {
        let tree = Tree::default();
        for (key, filter) in (0..).zip(STAYS) {
            tree.subscribe(filter, key, key);
        }
        let storming = AtomicBool::new(true);
        thread::scope(|scope| {
            let storms =
                [1_000..1_100, 2_000..2_100].map(|keys| scope.spawn(|| storm(&tree, keys)));
            let publishers = [(); 2].map(|()| scope.spawn(|| publish(&tree, &storming)));
            let ends = storms.map(thread::ScopedJoinHandle::join);
            storming.store(false, Ordering::Relaxed);
            let ends = ends
                .into_iter()
                .chain(publishers.map(thread::ScopedJoinHandle::join));
            assert!(ends.into_iter().all(|end| end.is_ok()));
        });
        for (key, filter) in (0..).zip(STAYS) {
            tree.unsubscribe(filter, key);
        }
        assert!(tree.is_bare());
    }

    #[test]
    fn a_visitor_may_subscribe() {
        let tree = Tree::default();
        tree.subscribe("a", 1, 1);
        tree.subscribe("+", 1, 1);
        tree.matches("a", &mut |key, _| {
            tree.unsubscribe("a", key);
            tree.unsubscribe("+", key);
        });
        assert!(tree.is_bare());
    }

    #[test]
    fn sixty_five_thousand_levels_are_kept_matched_and_removed_without_a_stack() {
        let tree = Tree::default();
        let topic = "/".repeat(65_535);
        let deep = format!("{}#", "/".repeat(65_534));
        let wide = vec!["+"; 32_768].join("/") + "/#";
        for (key, filter) in (0..).zip([topic.as_str(), &deep, &wide, "/#", "#"]) {
            assert_eq!(tree.subscribe(filter, key, ()), None);
        }
        assert_eq!(matched(&tree, &topic).len(), 5);
        let dropped = Tree::default();
        dropped.subscribe(&deep, 0, ());
        drop(dropped);
        for (key, filter) in (0..).zip([topic.as_str(), &deep, &wide, "/#", "#"]) {
            assert_eq!(tree.unsubscribe(filter, key), Some(()));
        }
        assert!(tree.is_bare());
    }
}
