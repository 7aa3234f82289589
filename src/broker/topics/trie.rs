//! Filters with wildcards, as a trie whose edges lie in one sharded map: an edge is found by the number of the node that
//! it leaves and the text of its level. So a node with a hundred thousand children costs an insertion no more than any
//! other, a walk holds no lock from one step to the next, and nothing is dropped recursively.
//!
//! ```text
//!  city/+/lamp   (0,"city")─▶1   (1,"+")─▶2   (2,"lamp")─▶3: members
//!  city/#        (0,"city")─▶1   (1,"#")─▶4: members
//!
//!  key of an edge: ┌ number of the node, 8 bytes ┬ text of the level ┐
//! ```
//!
//! Invariants: numbers of nodes are never used again, so a walk that holds the number of a node that is gone finds
//! nothing; a node stays while it has a member or a child; only the holder of `next` changes edges.

use std::sync::{
    Mutex,
    atomic::{AtomicU32, Ordering},
};

use smallvec::SmallVec;

use super::{
    members::Members,
    shards::{Shards, remove},
};
use crate::broker::line::locked;

const ROOT: u64 = 0;
const ONE_LEVEL: &str = "+";
const ALL_BELOW: &str = "#";

/// Of which kinds a node has children.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Links {
    one_level: u32,
    all_below: u32,
    named: u32,
}

impl Links {
    fn of(&mut self, level: &str) -> &mut u32 {
        match level {
            ONE_LEVEL => &mut self.one_level,
            ALL_BELOW => &mut self.all_below,
            _ => &mut self.named,
        }
    }

    /// The levels of filters that a level of a topic leads to.
    fn towards(self, level: &str) -> impl Iterator<Item = &str> {
        let one_level = (self.one_level > 0).then_some(ONE_LEVEL);
        let named = (self.named > 0).then_some(level);
        one_level.into_iter().chain(named)
    }
}

/// The root's links, read by every walk without a lock.
#[derive(Default)]
struct Root {
    one_level: AtomicU32,
    all_below: AtomicU32,
    named: AtomicU32,
}

impl Root {
    fn links(&self) -> Links {
        Links {
            one_level: self.one_level.load(Ordering::Acquire),
            all_below: self.all_below.load(Ordering::Acquire),
            named: self.named.load(Ordering::Acquire),
        }
    }

    fn store(&self, links: Links) {
        self.one_level.store(links.one_level, Ordering::Release);
        self.all_below.store(links.all_below, Ordering::Release);
        self.named.store(links.named, Ordering::Release);
    }
}

struct Node<S> {
    number: u64,
    links: Links,
    members: Members<S>,
}

impl<S> Node<S> {
    const fn step(&self) -> Step {
        Step {
            number: self.number,
            links: self.links,
        }
    }
}

/// Where a walk stands.
#[derive(Clone, Copy)]
struct Step {
    number: u64,
    links: Links,
}

type Steps = SmallVec<[Step; 8]>;

/// The key of an edge, written into the same buffer over and over.
#[derive(Default)]
struct Edge(SmallVec<[u8; 64]>);

impl Edge {
    fn key(&mut self, from: u64, level: &str) -> &[u8] {
        self.0.clear();
        self.0.extend_from_slice(&from.to_ne_bytes());
        self.0.extend_from_slice(level.as_bytes());
        &self.0
    }
}

pub(super) struct Trie<S> {
    edges: Shards<Node<S>>,
    root: Root,
    /// The number of the next node.
    next: Mutex<u64>,
}

impl<S> Default for Trie<S> {
    fn default() -> Self {
        Self {
            edges: Shards::default(),
            root: Root::default(),
            next: Mutex::new(ROOT + 1),
        }
    }
}

impl<S: Clone> Trie<S> {
    pub(super) fn subscribe(&self, filter: &str, key: u64, value: S) -> Option<S> {
        let mut next = locked(&self.next);
        let (mut above, mut edge) = (Edge::default(), Edge::default());
        let mut from = ROOT;
        for level in filter.split('/') {
            let key = edge.key(from, level);
            let known = self.edges.of(key).get(key).map(|node| node.number);
            let number = known.unwrap_or_else(|| {
                let number = *next;
                *next += 1;
                let node = Node {
                    number,
                    links: Links::default(),
                    members: Members::None,
                };
                self.edges.of(key).insert(key.into(), node);
                self.link(from, &above, |links| *links.of(level) += 1);
                number
            });
            std::mem::swap(&mut above, &mut edge);
            from = number;
        }
        let mut edges = self.edges.of(&above.0);
        edges.get_mut(&*above.0)?.members.insert(key, value)
    }

    /// Changes the links of the node that an edge leads to.
    fn link(&self, number: u64, edge: &Edge, change: impl FnOnce(&mut Links)) {
        if number == ROOT {
            let mut links = self.root.links();
            change(&mut links);
            self.root.store(links);
        } else if let Some(node) = self.edges.of(&edge.0).get_mut(&*edge.0) {
            change(&mut node.links);
        }
    }

    pub(super) fn unsubscribe(&self, filter: &str, key: u64) -> Option<S> {
        let _next = locked(&self.next);
        let mut edge = Edge::default();
        let mut from = ROOT;
        let mut path: SmallVec<[u64; 16]> = SmallVec::new();
        for level in filter.split('/') {
            path.push(from);
            let key = edge.key(from, level);
            from = self.edges.of(key).get(key)?.number;
        }
        let removed = {
            let mut edges = self.edges.of(&edge.0);
            edges.get_mut(&*edge.0)?.members.remove(key)?
        };
        self.prune(filter, path);
        Some(removed)
    }

    /// Removes the nodes of a path, from its end, that have neither members nor children.
    fn prune(&self, filter: &str, mut path: SmallVec<[u64; 16]>) {
        let mut edge = Edge::default();
        let mut gone = None;
        for level in filter.rsplit('/') {
            let Some(from) = path.pop() else { return };
            let key = edge.key(from, level);
            let mut edges = self.edges.of(key);
            let Some(node) = edges.get_mut(key) else {
                return;
            };
            if let Some(gone) = gone {
                *node.links.of(gone) -= 1;
            }
            if !node.members.is_none() || node.links != Links::default() {
                return;
            }
            remove(&mut edges, key);
            gone = Some(level);
        }
        if let Some(gone) = gone {
            self.link(ROOT, &edge, |links| *links.of(gone) -= 1);
        }
    }

    /// Visits the members of every filter that matches a topic: level by level with all the nodes that the levels so far
    /// lead to.
    pub(super) fn matches(&self, topic: &str, visit: &mut impl FnMut(u64, &S)) {
        let mut links = self.root.links();
        if topic.starts_with('$') {
            // MQTT-4.7.2-1
            (links.one_level, links.all_below) = (0, 0);
        }
        let mut edge = Edge::default();
        let (mut here, mut below) = (Steps::new(), Steps::new());
        here.push(Step {
            number: ROOT,
            links,
        });
        let (above, last) = match topic.rsplit_once('/') {
            Some((above, last)) => (Some(above), last),
            None => (None, topic),
        };
        for level in above.into_iter().flat_map(|above| above.split('/')) {
            for step in here.drain(..) {
                self.visit_all_below(step, &mut edge, visit);
                for level in step.links.towards(level) {
                    let key = edge.key(step.number, level);
                    below.extend(self.edges.of(key).get(key).map(Node::step));
                }
            }
            if below.is_empty() {
                return;
            }
            std::mem::swap(&mut here, &mut below);
        }
        for step in here {
            self.visit_all_below(step, &mut edge, visit);
            for level in step.links.towards(last) {
                if let Some((end, members)) = self.end(edge.key(step.number, level)) {
                    members.visit(visit);
                    // `sport/#` matches `sport` (MQTT 5 4.7.1.2).
                    self.visit_all_below(end, &mut edge, visit);
                }
            }
        }
    }

    fn visit_all_below(&self, step: Step, edge: &mut Edge, visit: &mut impl FnMut(u64, &S)) {
        if step.links.all_below > 0
            && let Some((_, members)) = self.end(edge.key(step.number, ALL_BELOW))
        {
            members.visit(visit);
        }
    }

    fn end(&self, key: &[u8]) -> Option<(Step, Members<S>)> {
        let edges = self.edges.of(key);
        let node = edges.get(key)?;
        Some((node.step(), node.members.clone()))
    }

    /// How many nodes there are besides the root.
    #[cfg(test)]
    pub(super) fn nodes(&self) -> usize {
        self.edges.len()
    }
}
