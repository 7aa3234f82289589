//! What one place of a payload is to say, and how far what it says is from it.

mod fields;

use super::{
    super::{
        super::{
            class::{Field, FieldKind},
            moment::{Clock, WrittenTime},
            point::Moment,
        },
        linear::{Linear, Scaled},
        number::Number,
        plan::{FieldPlan, Stands, Take, TimeRule, Unmatched},
        spec::Rounding,
        stage::Cell,
        take,
    },
    Intended,
    forms::{self, Form, Kept},
    side::Heard,
};
use crate::domain::UnixNanos;
use fields::{of_field, part};

/// A format may cut a time down to its minute.
const TIME_STEP_NS: u64 = 60_000_000_000;

/// A little less than as far: what lies there is nearer to the wish than what was heard.
const BEYOND: f64 = 0.98;

/// A value that stands for what is wished: as a text, and as a number if it is one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Raw {
    text: String,
    number: Option<Number>,
}

impl Raw {
    fn of_text(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            number: Number::parse(text),
        }
    }

    fn of_whole(whole: i128) -> Self {
        Self {
            text: whole.to_string(),
            number: Some(Number::wide(whole)),
        }
    }

    fn is(&self, heard: &Kept) -> bool {
        match heard {
            Kept::Text(text) => *text == self.text || self.is_number(Number::parse(text)),
            Kept::Number(number) => self.is_number(Some(*number)),
            Kept::Bool(value) => {
                let number = Number::whole(i64::from(*value));
                self.text == value.to_string() || self.is_number(Some(number))
            }
            _ => false,
        }
    }

    fn is_number(&self, number: Option<Number>) -> bool {
        self.number.zip(number).is_some_and(|(a, b)| a.is(b))
    }
}

/// What a place is to say.
#[derive(Debug, Clone)]
pub(super) enum Wish<'a> {
    /// Any of these.
    Raws(Vec<Raw>),
    /// A number of the class, behind scale, offset and unit.
    Number {
        take: &'a Take,
        number: Number,
        is_whole: IsWhole,
    },
    /// Some bits of a word.
    Word {
        bits: i128,
        mask: i128,
    },
    Time {
        at: UnixNanos,
        rule: &'a TimeRule,
    },
    Kept(Kept),
}

/// Whether a field takes whole numbers only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IsWhole {
    Yes,
    No,
}

impl<'a> Wish<'a> {
    pub(super) fn text(text: &str) -> Self {
        Self::any_text(std::iter::once(text))
    }

    pub(super) fn any_text<'t>(texts: impl Iterator<Item = &'t str>) -> Self {
        Self::Raws(texts.map(Raw::of_text).collect())
    }

    /// Text that is to stand there sign by sign, although it may look like a number.
    pub(super) fn exact_text(text: &str) -> Self {
        Self::Raws(vec![Raw {
            text: text.to_owned(),
            number: None,
        }])
    }

    /// Beyond the wish as far as what is heard stays behind it: formats that cut instead of rounding come nearer then.
    pub(super) fn beyond(&self, heard: &Heard) -> Option<Self> {
        let Self::Number {
            take,
            number,
            is_whole: IsWhole::No,
        } = self
        else {
            return None;
        };
        let found = found(take, heard)?.real();
        let beyond = number.real() + (number.real() - found) * BEYOND;
        let number = Number::parse(&beyond.to_string())?;
        Some(Self::Number {
            take,
            number,
            is_whole: IsWhole::No,
        })
    }

    pub(super) const fn time(at: UnixNanos, rule: &'a TimeRule) -> Self {
        Self::Time { at, rule }
    }

    /// What the fields of one source wish together; those that cannot be asked are added to `yielded`.
    pub(super) fn of_fields(
        group: &[(&'a Field, &'a FieldPlan, &Intended)],
        yielded: &mut Vec<u32>,
    ) -> Result<Self, String> {
        let (parts, wholes): (Vec<_>, Vec<_>) = group
            .iter()
            .partition(|(_, plan, _)| plan.take.bits.is_some());
        let mut whole = None;
        for (field, plan, value) in wholes {
            let wish = of_field(field, &plan.take, value)?;
            whole = match whole {
                None => Some((wish, field.number)),
                Some((held, of)) => {
                    let (held, is_both) = both(held, wish);
                    if is_both == Agreed::No {
                        yielded.push(field.number);
                    }
                    Some((held, of))
                }
            };
        }
        let (mut word, mut mask) = (0, 0);
        for (field, plan, value) in &parts {
            let Some(bits) = plan.take.bits else { continue };
            let ones = ((1_i128 << bits.width) - 1) << bits.shift;
            let part = part(field, &plan.take, value)? << bits.shift;
            if part & !ones != 0 {
                return Err(format!("it does not fit {} bits", bits.width));
            }
            if mask & ones & (word ^ part) != 0 {
                yielded.push(field.number);
                continue;
            }
            word |= part;
            mask |= ones;
        }
        match whole {
            Some((wish, _)) if parts.is_empty() => Ok(wish),
            Some((wish, number)) => {
                yielded.push(number);
                let all = wish.whole().unwrap_or(0);
                Ok(Self::Raws(vec![Raw::of_whole(all & !mask | word)]))
            }
            None => Ok(Self::Word { bits: word, mask }),
        }
    }

    /// The bits of a word, the others as in another word.
    pub(super) fn over(&self, word: i128) -> Self {
        match self {
            Self::Word { bits, mask } => Self::Word {
                bits: word & !mask | bits,
                mask: *mask,
            },
            other => other.clone(),
        }
    }

    /// Whether it is to be said after the others, which decide what it is said over.
    pub(super) const fn is_last(&self) -> bool {
        matches!(self, Self::Word { .. })
    }

    /// The whole number that it wishes, if it is one.
    fn whole(&self) -> Option<i128> {
        match self {
            Self::Raws(raws) => raws
                .iter()
                .find_map(|raw| raw.number)?
                .to_whole(Rounding::Exact),
            Self::Number { take, number, .. } => {
                let places = take.linear.inverse(*number).to_places(0)?;
                Some(i128::from(places))
            }
            Self::Word { bits, .. } => Some(*bits),
            Self::Time { .. } | Self::Kept(_) => None,
        }
    }

    /// The forms in which it may be said, in the order in which they are tried.
    pub(super) fn forms(&self, unit: Option<&'static str>) -> Vec<Form> {
        match self {
            Self::Raws(_) => vec![
                Form::Unsaid,
                Form::Least,
                Form::Bool,
                Form::Text,
                Form::Real,
            ],
            Self::Number { take, number, .. } => {
                forms::of_numbers(linear(take, unit).inverse(*number)).collect()
            }
            Self::Word { .. } => vec![Form::Least, Form::Real],
            Self::Time { rule, .. } => (0..rule.formats.len())
                .map(Form::Stamp)
                .chain([Form::Moment, Form::Unsaid])
                .collect(),
            Self::Kept(_) => vec![Form::Kept],
        }
    }

    /// The value in a form; none where there is no such form of it.
    pub(super) fn kept(&self, form: Form, unit: Option<&'static str>) -> Option<Kept> {
        match (self, form) {
            (Self::Raws(raws), Form::Text) => Some(Kept::Text(raws.first()?.text.clone())),
            (Self::Raws(raws), Form::Bool) => {
                let is = |value| raws.iter().any(|raw| raw.is(&Kept::Bool(value)));
                [false, true].into_iter().find(|v| is(*v)).map(Kept::Bool)
            }
            (Self::Raws(raws), form) => {
                let number = raws.iter().find_map(|raw| raw.number)?;
                form.of_number(Linear::IDENTITY.apply(number))
            }
            (
                Self::Number {
                    take,
                    number,
                    is_whole,
                },
                form,
            ) => {
                let raw = linear(take, unit).inverse(*number);
                let is_cut = || raw.places(forms::PLACES_MAX) == forms::PLACES_MAX;
                // Nothing that is cut is a whole number again.
                if form == Form::Least && *is_whole == IsWhole::Yes && is_cut() {
                    return None;
                }
                form.of_number(raw)
            }
            (Self::Word { bits, .. }, form) => {
                form.of_number(Linear::IDENTITY.apply(Number::wide(*bits)))
            }
            (Self::Time { at, .. }, Form::Moment) => Some(Kept::Time(Moment::Unix(*at))),
            (Self::Time { at, rule }, Form::Stamp(place)) => {
                let written = rule.formats.get(place)?.write(*at, rule.east_s)?;
                Some(match written {
                    WrittenTime::Text(text) => Kept::Text(text),
                    WrittenTime::Count(count) => Kept::Number(Number::wide(count.into())),
                })
            }
            (Self::Time { .. }, _) => None,
            (Self::Kept(kept), _) => Some(kept.clone()),
        }
    }

    /// How far what is heard is from the wish; 0: it is the wish.
    ///
    /// # Errors
    /// It is something else.
    pub(super) fn distance(&self, heard: &Heard) -> Result<f64, String> {
        let other = || format!("it is read back as {:?}", heard.value);
        match self {
            Self::Raws(raws) => {
                let is_it = raws.iter().any(|raw| raw.is(&heard.value));
                is_it.then_some(0.0).ok_or_else(other)
            }
            Self::Word { bits, mask } => {
                let word = heard.whole().ok_or_else(other)?;
                let is_it = (word ^ bits) & mask == 0;
                is_it.then_some(0.0).ok_or_else(other)
            }
            Self::Number {
                take,
                number,
                is_whole,
            } => distance(take, *number, *is_whole, heard).ok_or_else(other),
            Self::Time { at, rule } => {
                let value = heard.value.value();
                let clock = Clock {
                    east_s: rule.east_s,
                    received_at: *at,
                };
                let found = rule
                    .formats
                    .iter()
                    .find_map(|format| format.parse(&value, clock));
                let apart = found.map(|found| found.0.abs_diff(at.0));
                apart
                    .filter(|apart| *apart < TIME_STEP_NS)
                    .map(|apart| apart as f64)
                    .ok_or_else(other)
            }
            Self::Kept(kept) if *kept == heard.value => Ok(0.0),
            Self::Kept(_) => Err(other()),
        }
    }
}

fn linear(take: &Take, unit: Option<&'static str>) -> Linear {
    let mut cell = Cell::default();
    cell.unit = unit;
    take::linear(take, &cell).unwrap_or(take.linear)
}

/// What a field is read as.
fn found(take: &Take, heard: &Heard) -> Option<Scaled> {
    let number = match &heard.value {
        Kept::Number(number) => *number,
        Kept::Text(text) => Number::parse(text)?,
        Kept::Bool(value) => Number::whole(i64::from(*value)),
        _ => return None,
    };
    let is_missing = take
        .missing_numbers
        .iter()
        .any(|missing| missing.is(number));
    let is_mapped = take
        .map
        .iter()
        .any(|(_, raw, _)| raw.is_some_and(|raw| raw.is(number)));
    if is_missing || is_mapped {
        return None;
    }
    Some(linear(take, heard.unit).apply(number))
}

fn distance(take: &Take, wished: Number, is_whole: IsWhole, heard: &Heard) -> Option<f64> {
    let found = found(take, heard)?;
    if is_whole == IsWhole::Yes {
        // The wire's steps may be several of the class's.
        let (found, wished) = (
            found.to_whole(take.rounding)?,
            wished.to_whole(Rounding::Exact)?,
        );
        return Some(found.abs_diff(wished) as f64);
    }
    Some((found.real() - wished.real()).abs())
}

/// Whether one value can be what two fields wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Agreed {
    Yes,
    No,
}

fn both<'a>(held: Wish<'a>, other: Wish<'a>) -> (Wish<'a>, Agreed) {
    if let (Wish::Raws(a), Wish::Raws(b)) = (&held, &other) {
        let is_shared = |raw: &&Raw| b.iter().any(|b| *b == **raw || b.is_number(raw.number));
        let shared: Vec<Raw> = a.iter().filter(is_shared).cloned().collect();
        if !shared.is_empty() {
            return (Wish::Raws(shared), Agreed::Yes);
        }
    }
    (held, Agreed::No)
}
