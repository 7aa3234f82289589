//! One value for each topic, found by topic or by filter.
//!
//! All topics stand in one map in the order of their bytes. A query by filter walks it upwards and leaps over what
//! cannot match:
//!
//! ```text
//!  +/state     a/alarm ─leap▶ a/state ✓ a/tension ─leap▶ b/alarm ─leap▶ …
//!              < a/state                > a/state…: on to the next first level, which is not below "a0" ('0' = '/' + 1)
//! ```
//!
//! The map is locked for a batch of steps at a time and the walk goes on from the last topic, so others wait for
//! microseconds while a query takes as long as it takes. What is there all the while is visited once. Visitors are called
//! without the lock, except the one of [`Retained::retain`].

use std::{
    collections::BTreeMap,
    fmt,
    ops::Bound,
    sync::{Arc, Mutex},
};

use super::filter::{has_wildcards, is_hidden};
use crate::broker::line::locked;

/// Steps of a walk under one lock.
const BATCH: usize = 32;

/// Topics that are passed over one by one before a leap is made: a step costs a fraction of a search.
const PASSED_MAX: usize = 4;

struct Slot<M> {
    value: M,
    bytes: usize,
}

type Slots<M> = BTreeMap<Arc<str>, Slot<M>>;

struct Topics<M> {
    slots: Slots<M>,
    bytes: usize,
}

/// Values by topic.
pub(crate) struct Retained<M> {
    topics: Mutex<Topics<M>>,
}

impl<M> Default for Retained<M> {
    fn default() -> Self {
        let topics = Topics {
            slots: BTreeMap::new(),
            bytes: 0,
        };
        Self {
            topics: Mutex::new(topics),
        }
    }
}

impl<M> fmt::Debug for Retained<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let topics = locked(&self.topics);
        f.debug_struct("Retained")
            .field("len", &topics.slots.len())
            .field("bytes", &topics.bytes)
            .finish()
    }
}

impl<M: Clone> Retained<M> {
    /// Sets a topic's value, which counts for `bytes`; returns the one before.
    pub(crate) fn set(&self, topic: &str, value: M, bytes: usize) -> Option<M> {
        let slot = Slot { value, bytes };
        let topics = &mut *locked(&self.topics);
        topics.bytes += bytes;
        if let Some(known) = topics.slots.get_mut(topic) {
            let old = std::mem::replace(known, slot);
            topics.bytes -= old.bytes;
            return Some(old.value);
        }
        topics.slots.insert(topic.into(), slot);
        None
    }

    /// Removes a topic's value.
    pub(crate) fn remove(&self, topic: &str) -> Option<M> {
        let topics = &mut *locked(&self.topics);
        let old = topics.slots.remove(topic)?;
        topics.bytes -= old.bytes;
        Some(old.value)
    }

    /// A topic's value.
    pub(crate) fn get(&self, topic: &str) -> Option<M> {
        let topics = locked(&self.topics);
        topics.slots.get(topic).map(|slot| slot.value.clone())
    }

    /// Visits the values of all topics that a valid filter (without `$share/{name}/`) matches.
    pub(crate) fn matching(&self, filter: &str, visit: &mut impl FnMut(&str, &M)) {
        if !has_wildcards(filter) {
            if let Some(value) = self.get(filter) {
                visit(filter, &value);
            }
            return;
        }
        let mut walk = Walk::new(filter);
        let mut found = Vec::with_capacity(BATCH);
        loop {
            let ended = walk.batch(&locked(&self.topics).slots, &mut found);
            for (topic, value) in found.drain(..) {
                visit(&topic, &value);
            }
            if ended {
                return;
            }
        }
    }

    /// Removes the values that are not to be kept. The closure is called under the lock: it must be quick and must not
    /// come back here.
    pub(crate) fn retain(&self, keep: &mut impl FnMut(&str, &M) -> bool) {
        let mut from = Bound::Unbounded;
        loop {
            let topics = &mut *locked(&self.topics);
            let mut last = None;
            let mut gone = Vec::new();
            let range = topics
                .slots
                .range::<str, _>((from.as_ref().map(|t: &Arc<str>| &**t), Bound::Unbounded));
            for (topic, slot) in range.take(BATCH) {
                if !keep(topic, &slot.value) {
                    gone.push(Arc::clone(topic));
                }
                last = Some(topic);
            }
            let Some(last) = last.map(Arc::clone) else {
                return;
            };
            for topic in gone {
                if let Some(old) = topics.slots.remove(&topic) {
                    topics.bytes -= old.bytes;
                }
            }
            from = Bound::Excluded(last);
        }
    }

    /// How many topics have a value.
    pub(crate) fn len(&self) -> usize {
        locked(&self.topics).slots.len()
    }

    /// What all values count for, bytes.
    pub(crate) fn bytes(&self) -> usize {
        locked(&self.topics).bytes
    }
}

/// What a topic says about where to go on.
#[derive(Debug, PartialEq, Eq)]
enum Judgement {
    /// It matches.
    Match,
    /// It does not.
    Pass,
    /// It does not, nor does any below the bound.
    Leap,
    /// Neither it nor any after it matches.
    End,
}

/// A query under way: where it goes on.
struct Walk<'a> {
    filter: &'a str,
    from: String,
    /// Whether a topic that is equal to `from` is past.
    is_past: bool,
}

impl<'a> Walk<'a> {
    fn new(filter: &'a str) -> Self {
        let exact = filter.split(['+', '#']).next().unwrap_or_default();
        Self {
            filter,
            from: exact.strip_suffix('/').unwrap_or(exact).to_owned(),
            is_past: false,
        }
    }

    /// Goes on for a number of steps; whether the end is reached.
    fn batch<M: Clone>(&mut self, slots: &Slots<M>, found: &mut Vec<(Arc<str>, M)>) -> bool {
        let mut steps = 0;
        while steps < BATCH {
            if self.stretch(slots, found, &mut steps) {
                return true;
            }
        }
        false
    }

    /// Goes on from one topic to the next until a leap is worth a search.
    fn stretch<M: Clone>(
        &mut self,
        slots: &Slots<M>,
        found: &mut Vec<(Arc<str>, M)>,
        steps: &mut usize,
    ) -> bool {
        let from = if self.is_past {
            Bound::Excluded(self.from.as_str())
        } else {
            Bound::Included(self.from.as_str())
        };
        let mut passed = 0;
        for (topic, slot) in slots.range::<str, _>((from, Bound::Unbounded)) {
            *steps += 1;
            let judgement = if passed > 0 && **topic < *self.from {
                Judgement::Leap
            } else {
                passed = 0;
                judge(self.filter, topic, &mut self.from)
            };
            match judgement {
                Judgement::Match => found.push((Arc::clone(topic), slot.value.clone())),
                Judgement::Pass => {}
                Judgement::Leap => passed += 1,
                Judgement::End => return true,
            }
            self.is_past = passed == 0;
            if *steps >= BATCH || passed > PASSED_MAX {
                if self.is_past {
                    self.from.clear();
                    self.from.push_str(topic);
                }
                return false;
            }
        }
        true
    }
}

/// Judges a topic; for a leap the first text that can match goes to `bound`.
fn judge(filter: &str, topic: &str, bound: &mut String) -> Judgement {
    if is_hidden(filter, topic) {
        return leap(bound, "", "%"); // '$' + 1
    }
    let mut rest = topic;
    // The part of the topic up to the last level that may change.
    let mut open = None;
    let mut wanted = filter.split('/').peekable();
    while let Some(want) = wanted.next() {
        if want == "#" && wanted.peek().is_none() {
            return Judgement::Match;
        }
        let (level, more) = match rest.split_once('/') {
            Some((level, more)) => (level, Some(more)),
            None => (rest, None),
        };
        let before = topic.len() - rest.len();
        if want == "+" {
            open = topic.get(..before + level.len());
        } else if want != level {
            let prefix = topic.get(..before).unwrap_or_default();
            if rest < want {
                return leap(bound, prefix, want);
            }
            let below = rest
                .as_bytes()
                .iter()
                .lt(want.as_bytes().iter().chain(b"/"));
            if below {
                leap(bound, prefix, want);
                bound.push('/');
                return Judgement::Leap;
            }
            return leap_over(bound, open);
        }
        match more {
            Some(more) => rest = more,
            None => {
                let is_match = match wanted.next() {
                    None => true,
                    Some(want) => want == "#" && wanted.next().is_none(),
                };
                return if is_match {
                    Judgement::Match
                } else {
                    Judgement::Pass
                };
            }
        }
    }
    leap_over(bound, open)
}

fn leap(bound: &mut String, prefix: &str, level: &str) -> Judgement {
    bound.clear();
    bound.push_str(prefix);
    bound.push_str(level);
    Judgement::Leap
}

/// Over everything that begins as the topic does up to the last level that may change.
fn leap_over(bound: &mut String, open: Option<&str>) -> Judgement {
    open.map_or(Judgement::End, |open| leap(bound, open, "0")) // '/' + 1
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    use proptest::prelude::*;

    use super::{super::filter::topic_matches, *};

    fn matched<M: Clone>(retained: &Retained<M>, filter: &str) -> Vec<String> {
        let mut all = Vec::new();
        retained.matching(filter, &mut |topic, _| all.push(topic.to_owned()));
        all
    }

    fn filters() -> impl Strategy<Value = String> {
        let level = prop::sample::select(vec!["", "a", "b", "a!", "$a", "+", "+"]);
        let end = prop::sample::select(vec!["", "#", "/#"]);
        (prop::collection::vec(level, 1..5), end).prop_map(|(levels, end)| match end {
            "#" => "#".to_owned(),
            end => levels.join("/") + end,
        })
    }

    fn topics() -> impl Strategy<Value = String> {
        // '!' sorts below '/' and '0' right above it; the last one is no ASCII.
        let level = prop::sample::select(vec!["", "a", "b", "a!", "a0", "$a", "!", "0", "市"]);
        prop::collection::vec(level, 1..6).prop_map(|levels| levels.join("/"))
    }

    proptest! {
        #[test]
        fn a_query_finds_what_a_look_at_every_topic_finds(
            steps in prop::collection::vec((topics(), 0..6_usize), 1..300),
            filters in prop::collection::vec(filters(), 1..20),
        ) {
            let (retained, mut model) = (Retained::default(), BTreeMap::new());
            for (topic, bytes) in steps {
                if bytes == 0 {
                    prop_assert_eq!(retained.remove(&topic), model.remove(&topic));
                } else {
                    let old = model.insert(topic.clone(), bytes);
                    prop_assert_eq!(retained.set(&topic, bytes, bytes), old);
                }
                prop_assert_eq!(retained.get(&topic), model.get(&topic).copied());
            }
            for filter in filters {
                let all = model.keys().filter(|topic| topic_matches(&filter, topic));
                let expected: Vec<_> = all.cloned().collect();
                prop_assert_eq!(matched(&retained, &filter), expected, "{}", filter);
            }
            retained.retain(&mut |_, bytes| bytes % 2 == 0);
            model.retain(|_, bytes| *bytes % 2 == 0);
            prop_assert_eq!(retained.len(), model.len());
            prop_assert_eq!(retained.bytes(), model.values().sum::<usize>());
        }
    }

    #[test]
    fn a_query_judges_few_topics_that_do_not_match() {
        let retained = Retained::default();
        for device in 0..100 {
            for name in 0..1_000 {
                retained.set(&format!("v1/d{device}/n{name}"), (), 1);
            }
        }
        let mut walk = Walk::new("+/+/n500");
        let mut found = Vec::new();
        let mut batches = 1;
        while !walk.batch(&locked(&retained.topics).slots, &mut found) {
            batches += 1;
        }
        assert_eq!(found.len(), 100);
        assert!(batches * BATCH < 100 * 20, "{batches}");
    }

    #[test]
    fn what_stays_is_found_once_while_others_come_and_go() {
        let retained = Retained::default();
        for at in 0..500 {
            retained.set(&format!("a/{at}/stays"), at, 1);
        }
        let busy = AtomicBool::new(true);
        thread::scope(|scope| {
            let storm = scope.spawn(|| {
                while busy.load(Ordering::Relaxed) {
                    (0..500).for_each(|at| _ = retained.set(&format!("a/{at}/comes"), at, 1));
                    retained.retain(&mut |topic, _| topic.ends_with("stays"));
                }
            });
            for _ in 0..200 {
                assert_eq!(matched(&retained, "a/+/stays").len(), 500);
                let mut all = matched(&retained, "#");
                all.retain(|topic| topic.ends_with("stays"));
                assert_eq!(all.len(), 500);
            }
            busy.store(false, Ordering::Relaxed);
            storm.join().unwrap();
        });
        assert_eq!((retained.len(), retained.bytes()), (500, 500));
    }

    #[test]
    fn a_visitor_may_change_what_it_visits() {
        let retained = Retained::default();
        for at in 0..100 {
            retained.set(&format!("a/{at}"), (), 1);
        }
        retained.matching("a/#", &mut |topic, ()| {
            retained.remove(topic);
        });
        assert_eq!((retained.len(), retained.bytes()), (0, 0));
    }

    #[test]
    fn sixty_five_thousand_levels_are_kept_and_found() {
        let retained = Retained::default();
        let topic = "/".repeat(65_535);
        retained.set(&topic, (), 1);
        let deep = vec!["+"; 65_536].join("/");
        for filter in ["#", "/#", &topic, &deep] {
            assert_eq!(matched(&retained, filter).len(), 1);
        }
        assert_eq!(matched(&retained, "+/+").len(), 0);
    }
}
