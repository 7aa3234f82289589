//! Who runs into limits most: a bounded list of identities and one of source addresses, by the space-saving sketch
//! (Metwally, Agrawal, El Abbadi: Efficient computation of frequent and top-k elements in data streams, 2005).
//!
//! A newcomer takes the place of the one with the lowest count and inherits that count as its possible error: whoever
//! offends more often than one time in [`KEPT`] is certainly in the list, and no list grows.

use std::net::IpAddr;

use super::limit::Limit;
use crate::domain::UnixNanos;

/// Offenders kept of each kind: more than a page shows, and 64 names are looked through within a microsecond.
pub(crate) const KEPT: usize = 64;

/// An offender as the pages show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offender {
    /// The identity, the application, or the source address (of IPv6, its /64).
    pub name: String,
    /// How often it ran into a limit, at most.
    pub count: u64,
    /// How much of the count may be others'.
    pub error: u64,
    /// The limit that it ran into last.
    pub limit: &'static str,
    /// When that was.
    pub last_seen: UnixNanos,
}

/// The most frequent offenders, most frequent first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Offenders {
    /// Devices and applications.
    pub identities: Vec<Offender>,
    /// Source addresses.
    pub addresses: Vec<Offender>,
}

#[derive(Debug)]
struct Entry<K> {
    who: K,
    count: u64,
    error: u64,
    limit: Limit,
    last_seen: UnixNanos,
}

/// The sketch of one kind.
#[derive(Debug)]
pub(crate) struct Sketch<K> {
    entries: Vec<Entry<K>>,
}

impl<K> Default for Sketch<K> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
        }
    }
}

impl<K: ToString> Sketch<K> {
    /// Counts an offence of somebody; a name is made only for one that is not in the list yet.
    pub(crate) fn note<Q>(&mut self, who: &Q, limit: Limit, now: UnixNanos)
    where
        Q: ?Sized,
        K: PartialEq<Q> + for<'a> From<&'a Q>,
    {
        let known = self.entries.iter_mut().find(|entry| entry.who == *who);
        if let Some(entry) = known {
            entry.count = entry.count.saturating_add(1);
            entry.limit = limit;
            entry.last_seen = now;
            return;
        }
        let fresh = |error: u64| Entry {
            who: K::from(who),
            count: error.saturating_add(1),
            error,
            limit,
            last_seen: now,
        };
        if self.entries.len() < KEPT {
            self.entries.push(fresh(0));
        } else if let Some(least) = self.entries.iter_mut().min_by_key(|entry| entry.count) {
            *least = fresh(least.count);
        }
    }

    /// The list, most frequent first.
    pub(crate) fn list(&self) -> Vec<Offender> {
        let mut list: Vec<_> = self
            .entries
            .iter()
            .map(|entry| Offender {
                name: entry.who.to_string(),
                count: entry.count,
                error: entry.error,
                limit: entry.limit.name(),
                last_seen: entry.last_seen,
            })
            .collect();
        list.sort_by_key(|offender| std::cmp::Reverse(offender.count - offender.error));
        list
    }
}

/// A source address as a key of the sketch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address(IpAddr);

impl From<&IpAddr> for Address {
    fn from(address: &IpAddr) -> Self {
        Self(*address)
    }
}

impl PartialEq<IpAddr> for Address {
    fn eq(&self, other: &IpAddr) -> bool {
        self.0 == *other
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(network) => write!(f, "{network}/64"),
        }
    }
}

/// A name as a key of the sketch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name(Box<str>);

impl From<&str> for Name {
    fn from(name: &str) -> Self {
        Self(Box::from(name))
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_frequent_offender_stands_first_however_many_others_there_are() {
        let mut sketch = Sketch::<Name>::default();
        for round in 0..100_000_u64 {
            sketch.note("one-off", Limit::Bytes, UnixNanos(0));
            let stranger = format!("stranger-{round}");
            sketch.note(&*stranger, Limit::Messages, UnixNanos(round));
            if round % 10 == 0 {
                sketch.note("culprit", Limit::Messages, UnixNanos(round));
            }
        }
        let list = sketch.list();
        assert_eq!(list.len(), KEPT);
        assert_eq!((&*list[0].name, list[0].count), ("one-off", 100_000));
        assert_eq!((&*list[1].name, list[1].limit), ("culprit", "messages"));
        assert_eq!(list[1].last_seen, UnixNanos(99_990));
    }

    #[test]
    fn an_ipv6_network_is_named_as_one() {
        let mut sketch = Sketch::<Address>::default();
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        sketch.note(&at("2001:db8::"), Limit::ConnectWait, UnixNanos(1));
        sketch.note(&at("10.0.0.1"), Limit::ConnectWait, UnixNanos(1));
        sketch.note(&at("10.0.0.1"), Limit::ConnectWait, UnixNanos(1));
        let names: Vec<_> = sketch.list().into_iter().map(|o| o.name).collect();
        assert_eq!(names, ["10.0.0.1", "2001:db8::/64"]);
    }

    proptest! {
        #[test]
        fn counts_are_never_too_low_and_wrong_by_no_more_than_they_say(
            names in prop::collection::vec(0_u32..200, 1..3_000),
        ) {
            let mut sketch = Sketch::<Name>::default();
            let mut truth = HashMap::<String, u64>::new();
            for name in names {
                let name = (name * name / 300).to_string();
                sketch.note(&*name, Limit::Messages, UnixNanos(0));
                *truth.entry(name).or_default() += 1;
            }
            let total: u64 = truth.values().sum();
            let list = sketch.list();
            prop_assert!(list.len() <= KEPT);
            for offender in &list {
                let real = truth[&offender.name];
                prop_assert!(offender.count >= real && offender.count - offender.error <= real);
            }
            for (name, real) in truth {
                if real > total / u64::try_from(KEPT).unwrap() {
                    prop_assert!(list.iter().any(|offender| offender.name == name), "{name}");
                }
            }
        }
    }
}
