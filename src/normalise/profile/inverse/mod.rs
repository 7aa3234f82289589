//! The way back through a profile, for simulated devices and for tests: from what a device is to report to the payload
//! that the profile reads as just that. Not in the daemon.
//!
//! ```text
//!  Intent ──fields, by source──▶ wishes ──▶ inner side ──encode──▶ base64, hex ─┐
//!                                  └──────▶ outer side ◀─────────────────────────┘ ──encode──▶ payload
//! ```
//!
//! Formats differ in the kinds of values that they take and in the places of their decimals, and only their codec knows. So
//! every wish is tried in one *form* after another: encoded, decoded again, and the form whose value comes closest is
//! taken and remembered for the next payload.

mod forms;
mod side;
mod wish;
mod places;

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use thiserror::Error;

use super::{
    super::{
        class::{Class, Field},
        classes::Classes,
        moment::TimeFormat,
    },
    plan::{ClassPlan, ClassRule, FieldPlan, Profile, Stands},
    spec::Encoding,
    stage::Source,
};
use crate::domain::UnixNanos;
use forms::Kept;
use places::place;
pub use side::Learned;
use side::{Care, Side};
use wish::Wish;

/// Addresses that are tried where the profile takes the device from the topic, so that the format's own may be any.
const ADDRESSES: [&str; 6] = [
    "1",
    "00000001",
    "0000000001",
    "000000000001",
    "00000000000001",
    "0",
];

/// A value that a field is to have, in the class's unit.
#[derive(Debug, Clone, PartialEq)]
pub enum Intended {
    /// Of numbers and integers.
    Number(f64),
    /// Of booleans.
    Bool(bool),
    /// An enum value's number.
    Code(i32),
    /// Of texts.
    Text(String),
}

/// What a device is to report.
#[derive(Debug, Clone, Copy)]
pub struct Intent<'a> {
    /// The class's id.
    pub class: &'a str,
    /// The device's id, as the reading is to have it.
    pub device: &'a str,
    /// When the values are observed.
    pub observed_at: UnixNanos,
    /// Number of the frame, where frames are numbered.
    pub serial: u32,
    /// Values by field number.
    pub values: &'a [(u32, Intended)],
}

/// A payload of an intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// What the topic ends with, behind `v1/{class}/{device}/`.
    pub topic_suffix: String,
    /// The payload.
    pub bytes: Vec<u8>,
    /// Numbers of fields that share their place in the payload with others and were not asked: the others' values decide
    /// what they are read as.
    pub yielded: Vec<u32>,
}

/// What a profile's format cannot say.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("profile {profile}: {of}: {why}")]
pub struct Unsayable {
    /// The profile's id.
    pub profile: String,
    /// Which field, or `device`, `time`, `when`.
    pub of: String,
    /// Why not.
    pub why: String,
}

/// The way back through one profile.
#[derive(Debug)]
pub struct Inverse<'p> {
    profile: &'p Profile,
    classes: &'p Classes,
    learned: Learned,
    care: Care,
}

/// Wishes for one source, and what they are for.
struct Place<'a> {
    of: String,
    from: &'a [Source],
    wish: Wish<'a>,
}

impl<'p> Inverse<'p> {
    /// Of a profile that was compiled against these classes.
    #[must_use]
    pub fn new(profile: &'p Profile, classes: &'p Classes) -> Self {
        Self::resumed(profile, classes, Learned::default())
    }

    /// With what another inverse of the same profile has learned.
    #[must_use]
    pub const fn resumed(profile: &'p Profile, classes: &'p Classes, learned: Learned) -> Self {
        Self {
            profile,
            classes,
            learned,
            care: Care::Looks,
        }
    }

    /// What it has learned, for the next.
    #[must_use]
    pub fn into_learned(self) -> Learned {
        self.learned
    }

    /// Numbers of the class's fields that the profile reads.
    #[must_use]
    pub fn fields(&self, class: &str) -> Vec<u32> {
        let plan = self.plan(class);
        plan.map(|(_, plan, _)| plan.fields.iter().map(|field| field.number).collect())
            .unwrap_or_default()
    }

    /// The only values that a field can have, where a map says so.
    #[must_use]
    pub fn choices(&self, class: &str, field: u32) -> Option<Vec<Intended>> {
        let (_, plan, _) = self.plan(class)?;
        let field = plan.fields.iter().find(|plan| plan.number == field)?;
        if field.take.map.is_empty() {
            return None;
        }
        let width = field.take.bits.map_or(63, |bits| bits.width.min(63));
        let fits = |raw: &Option<super::number::Number>| {
            raw.is_none_or(|raw| {
                field.take.bits.is_none() || raw.real() < 2_f64.powi(i32::from(width))
            })
        };
        let stands = field.take.map.iter().filter(|(_, raw, _)| fits(raw));
        Some(
            stands
                .map(|(_, _, stands)| match stands {
                    Stands::Code(code) => Intended::Code(*code),
                    Stands::Bool(value) => Intended::Bool(*value),
                    Stands::Number(number) => Intended::Number(number.real()),
                    Stands::Text(text) => Intended::Text(text.to_string()),
                })
                .collect(),
        )
    }

    /// Most that a field's part of a word holds.
    #[must_use]
    pub fn width(&self, class: &str, field: u32) -> Option<u8> {
        let (_, plan, _) = self.plan(class)?;
        let field = plan.fields.iter().find(|plan| plan.number == field)?;
        field.take.bits.map(|bits| bits.width)
    }

    /// The payload of an intent in the forms that were learned from earlier ones, encoded once and not looked at again.
    ///
    /// # Errors
    /// As [`Inverse::write`].
    pub fn write_as_learned(&mut self, intent: &Intent<'_>) -> Result<Sent, Unsayable> {
        self.care = Care::Trusts;
        let sent = self.write(intent);
        self.care = Care::Looks;
        sent.or_else(|_| self.write(intent))
    }

    /// The payload of an intent. Whatever is put into it is read back on the way.
    ///
    /// # Errors
    /// What the profile's format cannot say.
    pub fn write(&mut self, intent: &Intent<'_>) -> Result<Sent, Unsayable> {
        let (class, plan, value) = self.plan(intent.class).ok_or_else(|| {
            self.unsayable(
                "class",
                format!("{} is none of the profile's", intent.class),
            )
        })?;
        let (mut places, yielded) = self.places(class, plan, intent)?;
        if let (ClassRule::Chosen { from, .. }, Some(value)) = (&self.profile.class, value) {
            places.push(place("class", from, Wish::text(value)));
        }
        for (source, values) in &self.profile.when {
            let choices = values.iter().map(|value| &**value);
            let from = std::slice::from_ref(source);
            places.push(place("when", from, Wish::any_text(choices)));
        }
        let rule = &self.profile.time;
        // When the payload will arrive is not known; such formats say a point in time otherwise as well.
        let is_relative = rule.formats.iter().all(TimeFormat::is_relative);
        if !rule.from.is_empty() && !is_relative {
            let wish = Wish::time(intent.observed_at, rule);
            places.push(place("time", &rule.from, wish));
        }
        let own = self.device_source();
        if let Some(source) = own {
            let wish = Wish::exact_text(intent.device);
            places.push(place("device", std::slice::from_ref(source), wish));
        }
        let mut fault: Option<Fault> = None;
        let addresses = ADDRESSES.iter().filter(|_| own.is_none()).copied();
        let known = self.learned.address.clone().filter(|_| own.is_none());
        for address in known
            .as_deref()
            .into_iter()
            .chain([intent.device])
            .chain(addresses)
        {
            match self.encode(intent, address, &places) {
                Ok(bytes) => {
                    self.learned.address = own.is_none().then(|| address.to_owned());
                    return Ok(Sent {
                        topic_suffix: format!("up/{}", self.profile.id),
                        bytes,
                        yielded,
                    });
                }
                // The address with which most was said is the format's.
                Err(why) if fault.as_ref().is_none_or(|held| held.left > why.left) => {
                    fault = Some(why);
                }
                Err(_) => {}
            }
        }
        let no_address = || self.unsayable("device", "no address".to_owned());
        Err(fault.map_or_else(no_address, |fault| fault.why))
    }

    fn encode(
        &mut self,
        intent: &Intent<'_>,
        address: &str,
        places: &[Place<'_>],
    ) -> Result<Vec<u8>, Fault> {
        let last = |why| Fault { left: 0, why };
        let profile = self.profile;
        let clock = (intent.observed_at, profile.time.east_s, intent.serial);
        let mut outer = Side::new(&profile.codec, &profile.table, address, clock);
        if self.is_object() {
            outer.be_object(address);
        }
        if let Some(nested) = &profile.nested {
            let mut inner = Side::new(&nested.codec, &nested.table, address, clock);
            self.solve(&mut inner, places, |inverse, source| {
                inverse.is_inner(source)
            })?;
            let bytes = inner
                .encode()
                .map_err(|why| last(self.unsayable("nested", why)))?;
            let kept = match nested.encoding {
                Encoding::Base64 => Kept::Text(STANDARD.encode(bytes)),
                Encoding::Hex => Kept::Text(hex::encode(bytes)),
                Encoding::Plain => Kept::of_plain(bytes),
            };
            let wish = [place("nested", &nested.from, Wish::Kept(kept))];
            self.solve(&mut outer, &wish, |_, _| true)?;
        }
        self.solve(&mut outer, places, |inverse, source| {
            !inverse.is_inner(source)
        })?;
        outer
            .encode()
            .map_err(|why| last(self.unsayable("payload", why)))
    }

    /// Puts the wishes of one side into it. Some formats say a value only beside others (a heading beside a place): what
    /// cannot be said is tried again as long as others could.
    fn solve(
        &mut self,
        side: &mut Side<'_>,
        places: &[Place<'_>],
        is_here: impl Fn(&Self, Source) -> bool,
    ) -> Result<(), Fault> {
        let own = |inverse: &Self, place: &Place<'_>| {
            let mut own = place
                .from
                .iter()
                .filter(|source| !inverse.is_capture(**source));
            own.next().is_none_or(|source| is_here(inverse, *source))
        };
        let mut open: Vec<&Place<'_>> = places.iter().filter(|place| own(self, place)).collect();
        open.sort_by_key(|place| place.wish.is_last());
        while !open.is_empty() {
            let before = open.len();
            let mut fault = None;
            let mut left = Vec::new();
            for place in open {
                if let Err(why) = self.put(side, place) {
                    fault = fault.or(Some(why));
                    left.push(place);
                }
            }
            match fault {
                Some(why) if left.len() == before => return Err(Fault { left: before, why }),
                _ => open = left,
            }
        }
        Ok(())
    }

    /// Puts one wish where its first candidate is that takes it.
    fn put(&mut self, side: &mut Side<'_>, place: &Place<'_>) -> Result<(), Unsayable> {
        let mut fault = None;
        for source in place
            .from
            .iter()
            .filter(|source| !self.is_capture(**source))
        {
            match side.put((*source, &place.wish), &self.learned, self.care) {
                Ok(lesson) => {
                    self.learned.keep(*source, lesson);
                    return Ok(());
                }
                Err(why) => fault = fault.or(Some(why)),
            }
        }
        let why = fault.unwrap_or_else(|| "it comes from the topic".to_owned());
        Err(self.unsayable(&place.of, why))
    }
}

/// What could not be said, and how many wishes were left by then.
struct Fault {
    left: usize,
    why: Unsayable,
}

#[cfg(test)]
mod tests;
