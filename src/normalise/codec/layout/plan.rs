//! What options are compiled into: a flat row of steps whose values, words and times go by number.

use super::{
    options::{Form, Sign},
    scalar::{Int, Kind},
};

/// Words that conditions, bits and counts of one layout may refer to.
pub(super) const WORDS_MAX: usize = 16;
/// Times that points of one layout may refer to.
pub(super) const MOMENTS_MAX: usize = 4;

/// A row of steps. A step with children is followed by them.
#[derive(Debug, Clone, Default)]
pub(super) struct Plan {
    pub(super) ops: Vec<Op>,
    /// Names of the points, by code.
    pub(super) names: Vec<Box<str>>,
    /// Names of the heads.
    pub(super) heads: Vec<Box<str>>,
}

/// One step.
#[derive(Debug, Clone)]
pub(super) struct Op {
    pub(super) at: Option<usize>,
    pub(super) when: Option<When>,
    pub(super) step: Step,
    /// Behind the step and its children.
    pub(super) end: usize,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Field(Box<Field>),
    Skip(usize),
    Group,
    Repeat(Repeat),
    Tlv(Tlv),
}

/// Where a value goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Nowhere,
    Head(Box<str>),
    Point(u64),
}

/// How many bytes or elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    Fixed(usize),
    Word(usize),
    Rest,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Wire(Kind, Count),
    Word(usize),
}

/// One value.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) place: Place,
    pub(super) source: Source,
    pub(super) bits: Option<(u8, u8)>,
    pub(super) sign: Option<Sign>,
    /// Added to and combined with every byte; none if that changes nothing.
    pub(super) mangle: Option<(u8, u8)>,
    pub(super) sub: i64,
    pub(super) times: i64,
    pub(super) decimals: u8,
    pub(super) missing_numbers: Box<[i128]>,
    pub(super) missing_bytes: Box<[Box<[u8]>]>,
    pub(super) form: Form,
    /// Where the whole word is kept.
    pub(super) keep_word: Option<usize>,
    /// Where the number behind bits and sign is kept.
    pub(super) keep_number: Option<usize>,
    pub(super) keep_moment: Option<usize>,
    /// The time at which it was observed.
    pub(super) observed: Option<usize>,
}

#[derive(Debug, Clone)]
pub(super) struct Repeat {
    pub(super) count: Count,
    pub(super) is_record: bool,
    pub(super) step_s: i64,
}

#[derive(Debug, Clone)]
pub(super) struct Tlv {
    pub(super) key_bytes: u8,
    pub(super) mask: u64,
    pub(super) length: Option<(Int, i64)>,
    /// Key and step, sorted by key.
    pub(super) entries: Box<[(u64, usize)]>,
}

/// A compiled condition.
#[derive(Debug, Clone)]
pub(super) struct When {
    pub(super) word: Option<usize>,
    pub(super) mask: i128,
    pub(super) bit: Option<u8>,
    pub(super) among: Box<[i128]>,
    pub(super) not: Option<i128>,
    pub(super) bytes_left: usize,
}

impl When {
    /// Whether it holds.
    #[inline]
    pub(super) fn holds(&self, words: &Words, bytes_left: usize) -> bool {
        if bytes_left < self.bytes_left {
            return false;
        }
        let Some(slot) = self.word else {
            return true;
        };
        let Some(word) = words.get(slot).copied().flatten() else {
            return false;
        };
        let masked = word & self.mask;
        self.bit.is_none_or(|bit| word >> bit & 1 == 1)
            && (self.among.is_empty() || self.among.contains(&masked))
            && self.not != Some(masked)
    }
}

/// What the words of a frame were.
pub(super) type Words = [Option<i128>; WORDS_MAX];
