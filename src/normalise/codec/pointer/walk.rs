//! Walks a value along the pointers of a level, once; an object that was asked whether it is selected is read once more
//! if it is.

use super::{
    super::super::{
        payload::Reject,
        point::{Moment, Value},
    },
    moment::moment,
    options::{Arrays, Options},
    tree::{Kind, Name, Scalar, Tree},
    trie::{End, LEAVES_MAX, Leaf, Node, Trie},
};
use crate::domain::QuarantineReason;

/// What takes the values of a walk.
pub(super) trait Listen<'a> {
    /// Whether an array may come as a series.
    const SERIES: bool;

    fn value(&mut self, id: u64, value: Scalar<'a>, time: Option<Moment>) -> Result<(), Reject>;
}

/// What a walk came to.
pub(super) struct Walked<C> {
    pub(super) has_found: bool,
    /// Where the elements of the next level are.
    pub(super) elements: Option<C>,
}

/// Walks the value at a place along the pointers of a level; what they end at goes to the listener.
#[inline]
pub(super) fn walk<'a, C: Tree<'a>, L: Listen<'a>>(
    trie: &Trie,
    options: &Options,
    level: usize,
    (at, listener): (&mut C, &mut L),
) -> Result<Walked<C>, Reject> {
    let mut walk = Walk {
        trie,
        options,
        listener,
        seen: [0; LEAVES_MAX / 64],
        has_found: false,
        elements: None,
    };
    walk.node(at, trie.root(level))?;
    Ok(Walked {
        has_found: walk.has_found,
        elements: walk.elements,
    })
}

struct Walk<'w, L, C> {
    trie: &'w Trie,
    options: &'w Options,
    listener: &'w mut L,
    /// One bit for each leaf.
    seen: [u64; LEAVES_MAX / 64],
    has_found: bool,
    elements: Option<C>,
}

/// An object that may be a value with its time.
struct Observed<C> {
    value: Option<C>,
    time: Option<Moment>,
}

impl<'a, L: Listen<'a>, C: Tree<'a>> Walk<'_, L, C> {
    /// Reads the value that comes next, as the pointers below a node want it, and passes it.
    fn node(&mut self, at: &mut C, node: usize) -> Result<(), Reject> {
        let Some(node) = self.trie.nodes.get(node) else {
            return at.skip();
        };
        if node.is_each && self.elements.replace(at.clone()).is_some() {
            return Err(twice("the list of elements"));
        }
        if let [leaf] = *node.leaves.as_slice()
            && node.is_end()
        {
            return self.leaf(at, leaf);
        }
        for leaf in &node.leaves {
            self.leaf(&mut at.clone(), *leaf)?;
        }
        if node.is_end() {
            return at.skip();
        }
        match at.kind()? {
            Kind::Object => self.object(at, node),
            Kind::Array => self.array(at, node),
            Kind::Scalar => at.skip(),
        }
    }

    fn object(&mut self, at: &mut C, node: &Node) -> Result<(), Reject> {
        if !node.selects.is_empty() {
            let end = self.selected(at, node)?;
            if !node.has_children() {
                *at = end;
                return Ok(());
            }
        }
        let mut left = at.enter()?;
        let mut next = 0;
        while at.more(&mut left)? {
            let name = at.name()?;
            match node.child(&name, &mut next) {
                Some(child) => self.node(at, child)?,
                None => at.skip()?,
            }
        }
        Ok(())
    }

    fn array(&mut self, at: &mut C, node: &Node) -> Result<(), Reject> {
        let mut left = at.enter()?;
        let mut index = 0;
        let mut next = 0;
        while at.more(&mut left)? {
            let child = node.child(&Name::Number(index), &mut next);
            index += 1;
            let is_selecting = !node.selects.is_empty() && at.kind()? == Kind::Object;
            let end = if is_selecting {
                Some(self.selected(at, node)?)
            } else {
                None
            };
            match (child, end) {
                (Some(child), _) => self.node(at, child)?,
                (None, Some(end)) => *at = end,
                (None, None) => at.skip()?,
            }
        }
        Ok(())
    }

    /// Reads the object here along all selections that it meets, and says where it ends.
    fn selected(&mut self, at: &C, node: &Node) -> Result<C, Reject> {
        let mut end = at.clone();
        let mut met = 0_u32;
        let mut left = end.enter()?;
        while end.more(&mut left)? {
            let name = end.name()?;
            let is_asked = |member: &str| super::json::as_text(&name) == Some(member);
            if !node.selects.iter().any(|select| is_asked(&select.member))
                || end.kind()? != Kind::Scalar
            {
                end.skip()?;
                continue;
            }
            let scalar = end.scalar()?;
            for (bit, select) in node.selects.iter().enumerate() {
                let is_met = is_asked(&select.member)
                    && scalar.show(|value| Ok(reads_as(value, &select.equals, select.number)))?;
                met |= u32::from(is_met) << bit;
            }
        }
        for (bit, select) in node.selects.iter().enumerate() {
            if met >> bit & 1 == 1 {
                self.node(&mut at.clone(), select.node)?;
            }
        }
        Ok(end)
    }

    /// Reads what stands where a pointer ends, and passes it.
    #[inline]
    fn leaf(&mut self, at: &mut C, leaf: usize) -> Result<(), Reject> {
        let trie = self.trie;
        let Some(leaf) = trie.leaves.get(leaf) else {
            return at.skip();
        };
        self.mark(leaf)?;
        match at.kind()? {
            Kind::Scalar => self.plain(at, leaf, None),
            Kind::Array => self.many(at, leaf, None),
            Kind::Object if self.options.value_member.is_some() => self.one_observed(at, leaf),
            Kind::Object => self.plain(at, leaf, None),
        }
    }

    /// An object where a pointer ends, if values may be objects with their time.
    fn one_observed(&mut self, at: &mut C, leaf: &Leaf) -> Result<(), Reject> {
        let mut whole = at.clone();
        let observed = self.observed(at)?;
        let Some(mut value) = observed.value else {
            return match leaf.end {
                End::Member => Ok(()),
                End::Holder => self.plain(&mut whole, leaf, None),
            };
        };
        match value.kind()? {
            Kind::Array => self.many(&mut value, leaf, observed.time),
            Kind::Object | Kind::Scalar => self.plain(&mut value, leaf, observed.time),
        }
    }

    fn mark(&mut self, leaf: &Leaf) -> Result<(), Reject> {
        let bit = 1 << (leaf.id % 64);
        let word = usize::try_from(leaf.id / 64)
            .ok()
            .and_then(|word| self.seen.get_mut(word));
        let is_first = word.is_some_and(|word| {
            let is_first = *word & bit == 0;
            *word |= bit;
            is_first
        });
        if is_first {
            Ok(())
        } else {
            Err(twice(&leaf.spelled))
        }
    }

    /// Takes an object apart into value and time, and passes it.
    fn observed(&mut self, at: &mut C) -> Result<Observed<C>, Reject> {
        let is = |name: &Name<'a>, option: &Option<String>| {
            option.is_some() && super::json::as_text(name) == option.as_deref()
        };
        let (mut value, mut time) = (None, None);
        let mut left = at.enter()?;
        while at.more(&mut left)? {
            let name = at.name()?;
            let place = if is(&name, &self.options.value_member) {
                &mut value
            } else if is(&name, &self.options.time_sibling) {
                &mut time
            } else {
                at.skip()?;
                continue;
            };
            if place.replace(at.clone()).is_some() {
                return Err(twice(super::json::as_text(&name).unwrap_or_default()));
            }
            at.skip()?;
        }
        let time = match time {
            Some(mut time) => self.time(&mut time)?,
            None => None,
        };
        Ok(Observed { value, time })
    }

    /// A time beside a value; null is none.
    fn time(&self, at: &mut C) -> Result<Option<Moment>, Reject> {
        let scalar = at.scalar()?;
        if scalar == Scalar::Plain(Value::Missing) {
            return Ok(None);
        }
        scalar
            .show(|value| self.moment(value, self.options.time_sibling.as_deref()))
            .map(Some)
    }

    fn moment(&self, value: Value<'_>, place: Option<&str>) -> Result<Moment, Reject> {
        moment(value, self.options.time_unit).ok_or_else(|| {
            let place = place.unwrap_or_default();
            let found: String = format!("{value:?}").chars().take(64).collect();
            let detail = format!("{place:?}: {found} is no time from 1970 to 2554");
            Reject::new(QuarantineReason::ObservedAt, detail)
        })
    }

    /// An array where a pointer ends: a series, or text.
    fn many(&mut self, at: &mut C, leaf: &Leaf, time: Option<Moment>) -> Result<(), Reject> {
        if !L::SERIES || self.options.arrays == Arrays::Text || !self.is_series(at.clone())? {
            return self.plain(at, leaf, time);
        }
        let mut left = at.enter()?;
        while at.more(&mut left)? {
            if self.options.value_member.is_none() || at.kind()? != Kind::Object {
                self.plain(at, leaf, time)?;
                continue;
            }
            let observed = self.observed(at)?;
            if let Some(mut value) = observed.value {
                self.plain(&mut value, leaf, observed.time.or(time))?;
            }
        }
        Ok(())
    }

    /// Whether an array begins as values do.
    fn is_series(&self, mut at: C) -> Result<bool, Reject> {
        let mut left = at.enter()?;
        if !at.more(&mut left)? {
            return Ok(true);
        }
        Ok(match at.kind()? {
            Kind::Scalar => true,
            Kind::Array => false,
            Kind::Object => self.options.value_member.is_some(),
        })
    }

    /// One value as it stands.
    #[inline]
    fn plain(&mut self, at: &mut C, leaf: &Leaf, time: Option<Moment>) -> Result<(), Reject> {
        self.has_found = true;
        let mut scalar = match at.kind()? {
            Kind::Scalar => at.scalar()?,
            Kind::Object | Kind::Array => Scalar::Plain(at.raw()?),
        };
        if leaf.is_time && scalar != Scalar::Plain(Value::Missing) {
            let time = scalar.show(|value| self.moment(value, Some(&leaf.spelled)))?;
            scalar = Scalar::Plain(Value::Time(time));
        }
        self.listener.value(leaf.id, scalar, time)
    }
}

/// Whether a value is the one that a selection wants.
fn reads_as(value: Value<'_>, wanted: &str, number: Option<i64>) -> bool {
    match value {
        Value::Text(text) => text == wanted,
        Value::Whole(whole) => number == Some(whole),
        Value::Bool(value) => wanted == if value { "true" } else { "false" },
        _ => false,
    }
}

#[cold]
fn twice(what: &str) -> Reject {
    let detail = format!("{what:?} stands twice");
    Reject::new(QuarantineReason::FieldDuplicate, detail)
}
