//! What the devices of a class really send: the format that the catalogue names for it, written through the embedded
//! profile that reads it. All that has to be tried out (which ids the format holds, which fields and numbers it can say,
//! in which forms) is tried out once for a class, before its devices start.

mod shapes;

use std::sync::Arc;

use thiserror::Error;

use super::pattern::{Pattern, Property, Shape};
use crate::{
    domain::UnixNanos,
    normalise::{
        ClassError, Classes, Encoded, Intended, Intent, Inverse, Learned, Limits, Profile,
        Profiles, ProfilesError, Report, Sent, render,
    },
};
use shapes::{bounds, intended, shapes};

/// A moment with digits down to the nanosecond, to see which of them a format keeps: 2024-01-23T03:31:40.250000007Z.
const PROBE_AT: UnixNanos = UnixNanos(1_705_980_700_250_000_007);
/// Digits that texts have in formats that take nothing else.
const TEXT_DIGITS: [usize; 4] = [16, 8, 12, 10];
/// How often a number that a format has no room for is halved.
const HALVINGS: i32 = 40;
/// What the trial of a payload may give.
const LIMITS: Limits = Limits {
    readings_per_payload_max: 4_096,
    reading_bytes_max: 64 * 1024,
    skew_max: std::time::Duration::from_secs(100 * 365 * 86_400),
};

/// What devices send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speech {
    /// Canonical JSON and protobuf, whatever the class.
    Canonical,
    /// Each class the format that the catalogue names for it; canonical where no profile reads that.
    Catalogue,
}

/// Why the dialects cannot be made ready.
#[derive(Debug, Error)]
pub enum DialectError {
    /// The classes.
    #[error(transparent)]
    Class(#[from] ClassError),
    /// The profiles.
    #[error(transparent)]
    Profiles(#[from] ProfilesError),
    /// A profile cannot be written.
    #[error("{class}: {why}")]
    Unsayable {
        /// The class.
        class: String,
        /// What its format cannot say.
        why: String,
    },
}

/// How the devices of a format are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Naming {
    /// As others, with a prefix.
    Free,
    /// So many digits.
    Digits(usize),
    /// A part of a fire-alarm system, by GB/T 26875.3.
    Part,
}

impl Naming {
    const ALL: [Self; 8] = [
        Self::Free,
        Self::Digits(12),
        Self::Digits(10),
        Self::Digits(14),
        Self::Digits(16),
        Self::Digits(8),
        Self::Digits(6),
        Self::Part,
    ];

    fn name(self, prefix: &str, class: usize, number: u32) -> String {
        match self {
            Self::Free => format!("{prefix}{class:03}{number:06}"),
            Self::Digits(width) => {
                let digits = width.saturating_sub(3);
                format!("{class:03}{number:0digits$}")
            }
            Self::Part => format!("{class:012}.0101.{number:08X}"),
        }
    }
}

/// What a property is in the format.
#[derive(Debug, Clone)]
enum Said {
    /// The profile does not read it.
    Not,
    /// As it is, by this factor where the format has less room than the class.
    Value { factor: f64 },
    /// The same without its sign, which the format lacks.
    Magnitude { factor: f64 },
    /// A text of so many digits.
    Digits(usize),
    /// One of these; the first is the calm one.
    Choice(Vec<Intended>),
}

/// The format of a class.
#[derive(Debug, Clone)]
pub struct Dialect {
    profile: Arc<Profile>,
    classes: Arc<Classes>,
    class: String,
    learned: Learned,
    naming: Naming,
    said: Vec<Said>,
    /// Readings that a payload gives; some formats have a frame for each value.
    pub(in crate::harness) readings: u64,
    /// Whether the format keeps a time to the nanosecond, so that it tells the reading's number.
    pub(in crate::harness) tells_serial: bool,
}

/// The dialects of patterns, in their order; none for a class whose format no profile reads.
///
/// # Errors
/// Classes or profiles are damaged, or a format cannot be written.
pub fn dialects(patterns: &[Pattern]) -> Result<Vec<Option<Dialect>>, DialectError> {
    let classes = Arc::new(Classes::embedded()?);
    let profiles = Profiles::load(None, &classes)?;
    let mut found = Vec::new();
    for pattern in patterns {
        let class = classes.get(&pattern.class);
        let id = class.map(|class| format!("{}.{}", class.id(), class.format()));
        let profile = id.and_then(|id| profiles.get(&id));
        let dialect = profile.map(|profile| Dialect::new(pattern, profile, &classes));
        found.push(dialect.transpose()?);
    }
    Ok(found)
}

impl Dialect {
    fn new(
        pattern: &Pattern,
        profile: &Arc<Profile>,
        classes: &Arc<Classes>,
    ) -> Result<Self, DialectError> {
        let mut dialect = Self {
            profile: Arc::clone(profile),
            classes: Arc::clone(classes),
            class: pattern.class.clone(),
            learned: Learned::default(),
            naming: Naming::Free,
            said: Vec::new(),
            readings: 1,
            tells_serial: false,
        };
        let mut inverse = Inverse::new(profile, classes);
        let mut fault = "no field".to_owned();
        for naming in Naming::ALL {
            dialect.naming = naming;
            match dialect.try_out(pattern, &mut inverse) {
                Ok(()) => {
                    dialect.learned = inverse.into_learned();
                    return Ok(dialect);
                }
                Err(why) if naming == Naming::Free => fault = why,
                Err(_) => {}
            }
        }
        Err(DialectError::Unsayable {
            class: pattern.class.clone(),
            why: fault,
        })
    }

    /// The id of a device.
    pub(in crate::harness) fn name(&self, prefix: &str, class: usize, number: u32) -> String {
        self.naming.name(prefix, class, number)
    }

    /// Readings that a payload gives; some formats have a frame for each value.
    #[must_use]
    pub const fn readings(&self) -> u64 {
        self.readings
    }

    /// What a topic of its devices ends with, behind `up`.
    #[must_use]
    pub fn topic_suffix(&self) -> String {
        format!("/{}", self.profile.id())
    }

    /// What the fields are to be for a device's values, as far as the format has them.
    #[must_use]
    pub fn intended(&self, pattern: &Pattern, values: &[f64]) -> Vec<(u32, Intended)> {
        let properties = pattern.properties.iter().zip(&self.said).zip(values);
        properties
            .filter_map(|((property, said), value)| {
                Some((property.number, intended(property, said, *value)?))
            })
            .collect()
    }

    /// The payload of a device's values; none where one of them cannot be said.
    #[must_use]
    pub fn write(
        &self,
        pattern: &Pattern,
        values: &[f64],
        (device, at, serial): (&str, UnixNanos, u32),
    ) -> Option<Sent> {
        let learned = self.learned.clone();
        let mut inverse = Inverse::resumed(&self.profile, &self.classes, learned);
        let values = self.intended(pattern, values);
        let intent = Intent {
            class: &self.class,
            device,
            observed_at: at,
            serial,
            values: &values,
        };
        inverse.write_as_learned(&intent).ok()
    }

    /// Finds what can be said under the present naming, then says all of it and reads it.
    fn try_out(&mut self, pattern: &Pattern, inverse: &mut Inverse<'_>) -> Result<(), String> {
        let device = self.naming.name("510104-", 1, 7);
        let known = inverse.fields(&pattern.class);
        self.said = vec![Said::Not; pattern.properties.len()];
        let mut all = Vec::new();
        let properties = pattern.properties.iter().enumerate();
        let mut open: Vec<_> = properties
            .filter(|(_, property)| known.contains(&property.number))
            .collect();
        // Some formats say a value only beside others: a heading beside a place.
        while !open.is_empty() {
            let before = open.len();
            let (mut left, mut fault) = (Vec::new(), String::new());
            for (at, property) in open {
                match self.try_property(property, &device, (&all, inverse)) {
                    Ok((said, value)) => {
                        all.push((property.number, value));
                        let place = self.said.get_mut(at);
                        place.into_iter().for_each(|place| *place = said.clone());
                    }
                    Err(why) => {
                        fault = why;
                        left.push((at, property));
                    }
                }
            }
            if left.len() == before {
                return Err(fault);
            }
            open = left;
        }
        let sent = inverse
            .write(&self.intent(&device, &all))
            .map_err(|why| why.to_string())?;
        self.look(&device, &sent.bytes)
    }

    const fn intent<'a>(&'a self, device: &'a str, values: &'a [(u32, Intended)]) -> Intent<'a> {
        Intent {
            class: self.class.as_str(),
            device,
            observed_at: PROBE_AT,
            serial: 7,
            values,
        }
    }

    /// How a property can be said beside what is said already, and such a value.
    fn try_property(
        &self,
        property: &Property,
        device: &str,
        (beside, inverse): (&[(u32, Intended)], &mut Inverse<'_>),
    ) -> Result<(Said, Intended), String> {
        let choices = inverse.choices(&self.class, property.number);
        let shapes = match choices.filter(|choices| !choices.is_empty()) {
            None => shapes(property),
            Some(mut choices) => {
                // The calm state first, as the pattern has it.
                let calm = intended(property, &Said::Value { factor: 1.0 }, 0.0);
                let at = choices
                    .iter()
                    .position(|choice| Some(choice) == calm.as_ref());
                choices.swap(0, at.unwrap_or(0));
                vec![Said::Choice(choices)]
            }
        };
        let mut fault = String::new();
        for said in shapes {
            let of = |value| Some((property.number, intended(property, &said, value)?));
            let [low, high] = bounds(property).map(of);
            let (Some(low), Some(high)) = (low, high) else {
                continue;
            };
            let mut is_said = |value: &(u32, Intended)| {
                let values = [beside, std::slice::from_ref(value)].concat();
                inverse.write(&self.intent(device, &values))
            };
            match is_said(&low).and_then(|_| is_said(&high)) {
                Ok(_) => return Ok((said, high.1)),
                Err(why) => fault = why.to_string(),
            }
        }
        Err(fault)
    }

    /// Reads a payload as the gateway would: how many readings it gives, and what is left of its time.
    fn look(&mut self, device: &str, bytes: &[u8]) -> Result<(), String> {
        let report = Report {
            topic: "",
            canonical: Some((&self.class, device)),
            publisher: Some((&self.class, device)),
            bytes,
            received_at: PROBE_AT,
            attributes: &[],
            memory: None,
            may_report: &|_, found| found == device,
        };
        let mut out = Encoded::default();
        let outcome = self
            .profile
            .read(&report, (&self.classes, &LIMITS), &mut out);
        if let Some(unread) = outcome.unread.first() {
            return Err(unread.reject.detail.clone());
        }
        let shown = render::readings(&self.classes, &out.bytes).map_err(|why| why.to_string())?;
        self.readings = u64::try_from(shown.len()).unwrap_or(0);
        let is_exact = |reading: &serde_json::Value| {
            let time = reading
                .get("observed_at")
                .and_then(serde_json::Value::as_str);
            let is_own = reading
                .get("time_source")
                .is_some_and(|source| source == "device");
            is_own && time.is_some_and(|time| time.contains(".250000007"))
        };
        self.tells_serial = shown.len() == 1 && shown.iter().all(is_exact);
        if shown.is_empty() {
            return Err("no reading".to_owned());
        }
        Ok(())
    }
}
