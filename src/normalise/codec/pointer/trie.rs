//! All pointers of a profile as one tree of steps, so that a payload is walked once and what no pointer asks for is
//! stepped over. One root for each level of elements: the payload, its elements, the elements of these.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::{
    options::Options,
    path::{Path, Step, Target, as_number},
    tree::Name,
};

/// Most pointers of one profile; one bit each while a payload is read.
pub(super) const LEAVES_MAX: usize = 256;
/// Most levels of elements below the payload.
pub(super) const LEVELS_MAX: usize = 4;
/// Most selections at one place; one bit each.
pub(super) const SELECTS_MAX: usize = 32;
/// Up to so many members are compared one by one; more are hashed.
const COMPARED_MAX: usize = 8;

/// Where a pointer ends.
#[derive(Debug, Clone)]
pub(super) struct Leaf {
    pub(super) id: u64,
    pub(super) spelled: Box<str>,
    level: usize,
    path: Path,
    pub(super) is_time: bool,
    pub(super) end: End,
}

/// How a pointer was spelled where values may be objects with a value member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Down to whatever holds the value: an object without the value member is text.
    Holder,
    /// Down to the value member: an object that has none gives nothing.
    Member,
}

#[derive(Debug, Clone)]
pub(super) struct Child {
    name: Box<str>,
    number: Option<i64>,
    pub(super) node: usize,
}

#[derive(Debug, Clone)]
pub(super) struct Select {
    pub(super) member: Box<str>,
    pub(super) equals: Box<str>,
    pub(super) number: Option<i64>,
    pub(super) node: usize,
}

/// A place in the tree of steps.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    children: Vec<Child>,
    by_name: HashMap<Box<str>, usize, FixedState>,
    pub(super) selects: Vec<Select>,
    /// Indexes into the leaves.
    pub(super) leaves: Vec<usize>,
    /// The elements of the next level are in the value here.
    pub(super) is_each: bool,
}

impl Node {
    pub(super) const fn has_children(&self) -> bool {
        !self.children.is_empty()
    }

    /// Nothing further down is asked for.
    pub(super) const fn is_end(&self) -> bool {
        self.children.is_empty() && self.selects.is_empty()
    }

    /// The place of a member; `next` is the one that comes next if members keep the order of the profile.
    #[inline]
    pub(super) fn child(&self, name: &Name<'_>, next: &mut usize) -> Option<usize> {
        let at = match name {
            Name::Text(text) => self.named(text, *next),
            Name::Number(number) => self.numbered(*number, *next),
            Name::Other => None,
        }?;
        *next = at + 1;
        self.children.get(at).map(|child| child.node)
    }

    #[inline]
    fn named(&self, text: &str, next: usize) -> Option<usize> {
        if self
            .children
            .get(next)
            .is_some_and(|child| *child.name == *text)
        {
            return Some(next);
        }
        if self.children.len() <= COMPARED_MAX {
            return self.children.iter().position(|child| *child.name == *text);
        }
        self.by_name.get(text).copied()
    }

    fn numbered(&self, number: i64, next: usize) -> Option<usize> {
        let is_it = |child: &Child| child.number == Some(number);
        if self.children.get(next).is_some_and(is_it) {
            return Some(next);
        }
        self.children.iter().position(is_it)
    }
}

/// The pointers of a profile.
#[derive(Debug, Clone)]
pub(super) struct Trie {
    pub(super) nodes: Vec<Node>,
    pub(super) leaves: Vec<Leaf>,
    /// The node at which each level begins.
    roots: Vec<usize>,
    /// The leaf of each level's own names, if asked for.
    own_names: Vec<Option<usize>>,
    times: Vec<(usize, Path)>,
    value_member: Option<Box<str>>,
}

impl Trie {
    pub(super) fn new(options: &Options) -> Result<Self, String> {
        let each = options.each();
        if each.len() > LEVELS_MAX {
            return Err(format!("each: more than {LEVELS_MAX} levels"));
        }
        let levels = each.len() + 1;
        let mut trie = Self {
            nodes: vec![Node::default(); levels],
            leaves: Vec::new(),
            roots: (0..levels).collect(),
            own_names: vec![None; levels],
            times: Vec::new(),
            value_member: options.value_member.as_deref().map(Into::into),
        };
        for (level, spelled) in each.iter().enumerate() {
            let path = Path::parse(spelled)?;
            let is_fit = path.target == Target::Value && path.dots == usize::from(level > 0);
            if !is_fit {
                return Err(format!(
                    "each: {spelled:?}; the first is spelled from the root (/list), the others from the element of \
                     the one before (./list)"
                ));
            }
            let node = trie.enter(level, &path.steps)?;
            trie.node(node).is_each = true;
        }
        for spelled in &options.times {
            let path = trie.trimmed(Path::parse(spelled)?).0;
            trie.times.push((trie.level(&path, spelled)?, path));
        }
        Ok(trie)
    }

    /// Levels of elements below the payload.
    pub(super) const fn levels(&self) -> usize {
        self.roots.len() - 1
    }

    pub(super) fn root(&self, level: usize) -> usize {
        self.roots.get(level).copied().unwrap_or_default()
    }

    pub(super) fn own_name(&self, level: usize) -> Option<&Leaf> {
        let leaf = self.own_names.get(level).copied().flatten()?;
        self.leaves.get(leaf)
    }

    /// Whether values at a level are asked for.
    pub(super) fn has_values(&self, level: usize) -> bool {
        let mut leaves = self.leaves.iter();
        leaves.any(|leaf| leaf.level == level && leaf.path.target == Target::Value)
    }

    /// Enters a pointer; the same one twice is one.
    pub(super) fn key(&mut self, spelled: &str) -> Result<u64, String> {
        let path = Path::parse(spelled)?;
        let level = self.level(&path, spelled)?;
        let (path, end) = self.trimmed(path);
        let mut leaves = self.leaves.iter();
        let is_it = |leaf: &&Leaf| {
            leaf.level == level
                && leaf.path.steps == path.steps
                && leaf.path.target == path.target
                && leaf.end == end
        };
        if let Some(leaf) = leaves.find(is_it) {
            return Ok(leaf.id);
        }
        let at = self.leaves.len();
        if at == LEAVES_MAX {
            return Err(format!("more than {LEAVES_MAX} pointers"));
        }
        match path.target {
            Target::OwnName if level == 0 => {
                return Err(format!(
                    "{spelled:?} is for elements, and there is no `each`"
                ));
            }
            Target::OwnName => {
                if let Some(name) = self.own_names.get_mut(level) {
                    *name = Some(at);
                }
            }
            Target::Value => {
                let node = self.enter(level, &path.steps)?;
                self.node(node).leaves.push(at);
            }
        }
        let mut times = self.times.iter();
        let id = at as u64;
        self.leaves.push(Leaf {
            id,
            spelled: spelled.into(),
            level,
            is_time: times.any(|(l, time)| *l == level && time.steps == path.steps),
            path,
            end,
        });
        Ok(id)
    }

    fn level(&self, path: &Path, spelled: &str) -> Result<usize, String> {
        let levels = self.levels();
        match path.dots {
            0 => Ok(0),
            1 if levels == 0 => Ok(0),
            dots if dots <= levels => Ok(levels + 1 - dots),
            dots => Err(format!(
                "{spelled:?}: {dots} dots, but `each` has {levels} levels; what stands outside of all elements is spelled \
                 from the root (/{})",
                spelled.trim_start_matches(['.', '/'])
            )),
        }
    }

    /// Without the value member at its end, which every leaf looks into by itself; and whether there was one.
    fn trimmed(&self, mut path: Path) -> (Path, End) {
        let is_inside = matches!(
            (path.steps.last(), &self.value_member),
            (Some(Step::Member(name)), Some(member)) if name == member
        );
        if !is_inside {
            return (path, End::Holder);
        }
        path.steps.pop();
        (path, End::Member)
    }

    /// The node at the end of steps, made if need be.
    fn enter(&mut self, level: usize, steps: &[Step]) -> Result<usize, String> {
        let mut at = self.root(level);
        for step in steps {
            at = match step {
                Step::Member(name) => self.member(at, name),
                Step::Select { member, equals } => self.selection(at, member, equals)?,
            };
        }
        Ok(at)
    }

    fn member(&mut self, at: usize, name: &str) -> usize {
        let fresh = self.nodes.len();
        let node = self.node(at);
        if let Some(child) = node.children.iter().find(|child| *child.name == *name) {
            return child.node;
        }
        node.by_name.insert(name.into(), node.children.len());
        node.children.push(Child {
            name: name.into(),
            number: as_number(name),
            node: fresh,
        });
        self.nodes.push(Node::default());
        fresh
    }

    fn selection(&mut self, at: usize, member: &str, equals: &str) -> Result<usize, String> {
        let fresh = self.nodes.len();
        let node = self.node(at);
        let mut selects = node.selects.iter();
        if let Some(known) = selects.find(|s| *s.member == *member && *s.equals == *equals) {
            return Ok(known.node);
        }
        if node.selects.len() == SELECTS_MAX {
            return Err(format!("more than {SELECTS_MAX} selections at one place"));
        }
        node.selects.push(Select {
            member: member.into(),
            equals: equals.into(),
            number: as_number(equals),
            node: fresh,
        });
        self.nodes.push(Node::default());
        Ok(fresh)
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "nodes are named by their index and never removed"
    )]
    fn node(&mut self, at: usize) -> &mut Node {
        &mut self.nodes[at]
    }
}

#[cfg(any(test, feature = "harness"))]
impl Trie {
    /// What a key means: its level, its steps, whether it is an element's own name.
    pub(super) fn meaning(&self, id: u64) -> Option<(&Leaf, usize, &[Step], bool)> {
        let leaf = self.leaves.iter().find(|leaf| leaf.id == id)?;
        let is_name = leaf.path.target == Target::OwnName;
        Some((leaf, leaf.level, &leaf.path.steps, is_name))
    }

    /// The pointers of `times`.
    pub(super) fn times(&self) -> impl Iterator<Item = (usize, &[Step])> {
        self.times
            .iter()
            .map(|(level, path)| (*level, path.steps.as_slice()))
    }
}
