//! A profile compiled: every source a number, every field of every class it can give with its candidates and its way from
//! raw value to field, ready to be run without a look at any text of the file.

use std::{collections::HashMap, sync::OnceLock};

use foldhash::fast::FixedState;

use super::{
    super::{
        memory::Band,
        moment::TimeFormat,
        point::{Key, OwnedKey},
        quality::Quality,
        sheet::News,
    },
    linear::Linear,
    number::Number,
    reply::ReplyPlan,
    spec::{Bits, Encoding, Fallback, FieldTimes, Rounding, Series, Strictness, Unmapped},
    stage::Source,
    topic::Pattern,
};

/// Codes below this are found by their place.
const PLACES_MAX: u64 = 4_096;

/// From the keys of a codec to sources.
#[derive(Debug, Default)]
pub(super) struct Table {
    names: HashMap<Box<str>, Source, FixedState>,
    codes: HashMap<u64, Source, FixedState>,
    places: Vec<Option<Source>>,
}

impl Table {
    pub(super) fn insert(&mut self, key: OwnedKey, source: Source) {
        match key {
            OwnedKey::Name(name) => {
                self.names.insert(name, source);
            }
            OwnedKey::Code(code) => match usize::try_from(code) {
                Ok(at) if code < PLACES_MAX => {
                    if self.places.len() <= at {
                        self.places.resize(at + 1, None);
                    }
                    if let Some(place) = self.places.get_mut(at) {
                        *place = Some(source);
                    }
                }
                _ => {
                    self.codes.insert(code, source);
                }
            },
        }
    }

    /// The key that means a source.
    #[cfg(any(test, feature = "harness"))]
    pub(super) fn key_of(&self, source: Source) -> Option<OwnedKey> {
        let is_it = |of: &Source| *of == source;
        let name = self.names.iter().find(|(_, of)| is_it(of));
        let code = || self.codes.iter().find(|(_, of)| is_it(of));
        let place = || {
            (0_u64..)
                .zip(&self.places)
                .find(|(_, of)| **of == Some(source))
        };
        name.map(|(name, _)| OwnedKey::Name(name.clone()))
            .or_else(|| code().map(|(code, _)| OwnedKey::Code(*code)))
            .or_else(|| place().map(|(code, _)| OwnedKey::Code(code)))
    }

    #[inline]
    pub(super) fn get(&self, key: Key<'_>) -> Option<Source> {
        match key {
            Key::Name(name) => self.names.get(name).copied(),
            Key::Code(code) if code < PLACES_MAX => {
                *self.places.get(usize::try_from(code).ok()?)?
            }
            Key::Code(code) => self.codes.get(&code).copied(),
        }
    }
}

/// What a raw value stands for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Stands {
    Code(i32),
    Bool(bool),
    Number(Number),
    Text(Box<str>),
}

/// A raw value as the file writes it, as a number if it is one, and what is said of it.
pub(super) type Entry<T> = (Box<str>, Option<Number>, T);
/// A source and the texts that it has to be one of.
pub(super) type Condition = (Source, Box<[Box<str>]>);

/// What becomes of a number that a map does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unmatched {
    /// It stands for itself.
    Passed,
    /// It cannot be read: the map is one of codes.
    Refused,
}

/// Who names the unit of a raw value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UnitFrom {
    /// The file.
    File,
    /// The format, where it does.
    Wire,
}

/// From a raw value to a field's value.
#[derive(Debug)]
pub(super) struct Take {
    /// Unique among all fields of all profiles of this process: conversions that depend on a unit of the wire are kept
    /// under it.
    pub(super) id: u64,
    pub(super) missing_numbers: Box<[Number]>,
    pub(super) missing_texts: Box<[Box<str>]>,
    pub(super) bits: Option<Bits>,
    pub(super) map: Box<[Entry<Stands>]>,
    pub(super) unmatched: Unmatched,
    pub(super) scale: Number,
    pub(super) offset: Number,
    /// Scale, offset and the unit that the file names.
    pub(super) linear: Linear,
    pub(super) unit_from: UnitFrom,
    /// The unit that the wire named first and what it makes of `linear`: devices of a profile name one and the same.
    pub(super) wire: OnceLock<(&'static str, Linear)>,
    /// The class's unit.
    pub(super) unit: Box<str>,
    pub(super) rounding: Rounding,
}

/// A field of a class.
#[derive(Debug)]
pub(super) struct FieldPlan {
    pub(super) slot: usize,
    pub(super) number: u32,
    pub(super) from: Box<[Source]>,
    pub(super) take: Take,
    pub(super) series: Option<Series>,
}

/// What a status says.
#[derive(Debug, Clone)]
pub(super) struct Meaning {
    pub(super) quality: Option<Quality>,
    /// Numbers of the fields it speaks of; none: of all.
    pub(super) fields: Box<[u32]>,
    pub(super) alarm: Option<AlarmPlan>,
}

/// An alarm that a status raises.
#[derive(Debug, Clone)]
pub(super) struct AlarmPlan {
    pub(super) code: Box<str>,
    pub(super) level: i32,
    pub(super) field_number: u32,
}

/// A word or text of status.
#[derive(Debug)]
pub(super) struct StatusPlan {
    pub(super) from: Box<[Source]>,
    pub(super) bits: Box<[(u8, Meaning)]>,
    pub(super) values: Box<[Entry<Meaning>]>,
}

/// A class that the profile can give.
#[derive(Debug)]
pub(super) struct ClassPlan {
    /// Place in the catalogue of classes.
    pub(super) class: usize,
    /// Ascending by slot.
    pub(super) fields: Box<[FieldPlan]>,
    /// For each source the places of the fields that it is a candidate of, so that a frame of two values costs two
    /// fields and not all of its class.
    pub(super) told_by: Box<[Box<[usize]>]>,
    /// Dead bands; none where every reading is passed on.
    pub(super) bands: Option<Box<[Band]>>,
    pub(super) heartbeat_ns: Option<u64>,
    pub(super) status: Box<[StatusPlan]>,
}

/// [`ClassPlan::told_by`] of a class's fields.
pub(super) fn told_by(fields: &[FieldPlan]) -> Box<[Box<[usize]>]> {
    let mut of: Vec<Vec<usize>> = Vec::new();
    for (at, field) in fields.iter().enumerate() {
        for source in &field.from {
            let source = usize::from(source.0);
            if of.len() <= source {
                of.resize_with(source + 1, Vec::new);
            }
            of.get_mut(source).into_iter().for_each(|of| of.push(at));
        }
    }
    of.into_iter().map(Vec::into_boxed_slice).collect()
}

impl ClassPlan {
    /// The fields that these sources tell, as a bit for each.
    pub(super) fn mark(&self, told: &[Source], fields: &mut Vec<u64>) {
        fields.clear();
        fields.resize(self.fields.len().div_ceil(64), 0);
        for source in told {
            for at in self
                .told_by
                .get(usize::from(source.0))
                .into_iter()
                .flatten()
            {
                if let Some(word) = fields.get_mut(at / 64) {
                    *word |= 1 << (at % 64);
                }
            }
        }
    }

    /// The fields whose bit is set, ascending by slot.
    #[inline]
    pub(super) fn marked<'a>(&'a self, fields: &'a [u64]) -> impl Iterator<Item = &'a FieldPlan> {
        let words = self.fields.chunks(64).zip(fields);
        words.flat_map(|(fields, word)| {
            let mut word = *word;
            std::iter::from_fn(move || {
                let at = word.trailing_zeros();
                word &= word.checked_sub(1)?;
                fields.get(usize::try_from(at).ok()?)
            })
        })
    }

    /// When a reading of it is news; none: always.
    pub(super) fn news(&self) -> Option<News<'_>> {
        let bands = self.bands.as_deref()?;
        Some(News {
            bands,
            heartbeat_ns: self.heartbeat_ns,
        })
    }
}

/// Which class a record has.
#[derive(Debug)]
pub(super) enum ClassRule {
    Fixed(usize),
    Chosen {
        from: Box<[Source]>,
        map: HashMap<Box<str>, usize, FixedState>,
        other: Option<usize>,
    },
}

/// Where a record's time comes from.
#[derive(Debug)]
pub(super) struct TimeRule {
    pub(super) from: Box<[Source]>,
    pub(super) formats: Box<[TimeFormat]>,
    pub(super) east_s: i32,
    pub(super) fallback: Fallback,
    pub(super) fields: FieldTimes,
}

/// A codec in a value of the outer one.
#[derive(Debug)]
pub(super) struct Nested {
    pub(super) from: Box<[Source]>,
    pub(super) encoding: Encoding,
    pub(super) codec: super::super::codec::Any,
    pub(super) table: Table,
}

/// A profile in force.
#[derive(Debug)]
pub struct Profile {
    pub(super) id: Box<str>,
    pub(super) title: Box<str>,
    /// The entry `profile_id` of `sensegate.platform.v1.Reading`.
    pub(super) id_entry: Box<[u8]>,
    pub(super) patterns: Box<[Pattern]>,
    pub(super) codec: super::super::codec::Any,
    pub(super) table: Table,
    pub(super) nested: Option<Nested>,
    /// What each source is called, in the order of their numbers.
    pub(super) sources: Box<[Box<str>]>,
    /// Captures of the topic: name and source.
    pub(super) captures: Box<[(Box<str>, Source)]>,
    pub(super) device: Box<[Source]>,
    pub(super) class: ClassRule,
    pub(super) classes: Box<[ClassPlan]>,
    pub(super) when: Box<[Condition]>,
    pub(super) time: TimeRule,
    pub(super) strictness: Strictness,
    pub(super) unmapped: Unmapped,
    pub(super) attributes: Box<[(Box<str>, Source)]>,
    pub(super) reply: Option<ReplyPlan>,
}

impl Profile {
    /// Its id, as in topics, readings and metrics.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What its file says of itself.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The name of its codec.
    #[must_use]
    pub const fn codec(&self) -> &'static str {
        self.codec.name()
    }

    /// Ids of the classes that it can give.
    #[must_use]
    pub fn class_ids<'c>(&self, classes: &'c super::super::classes::Classes) -> Vec<&'c str> {
        let found = self
            .classes
            .iter()
            .filter_map(|plan| classes.by_index(plan.class));
        found.map(super::super::class::Class::id).collect()
    }

    /// The lane of what cannot be read by it: that of its class, or of the first of several.
    #[must_use]
    pub(crate) fn lane(&self, classes: &super::super::classes::Classes) -> crate::domain::Lane {
        let class = self
            .classes
            .first()
            .and_then(|plan| classes.by_index(plan.class));
        class.map_or(
            crate::domain::Lane::Telemetry,
            super::super::class::Class::lane,
        )
    }

    /// The id of the class that it gives, or of the first of several.
    #[must_use]
    pub fn first_class<'c>(&self, classes: &'c super::super::classes::Classes) -> Option<&'c str> {
        let class = classes.by_index(self.classes.first()?.class)?;
        Some(class.id())
    }
}
