//! The forms in which a value may be handed to a codec.

use super::super::{
    super::point::{Decimal, Moment, Value},
    linear::Scaled,
    number::Number,
};

/// Most decimal places that are tried: what coordinates of a millimetre have, and more.
pub(super) const PLACES_MAX: u8 = 9;

/// A value that outlives its payload.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kept {
    Missing,
    Bool(bool),
    Number(Number),
    /// A decimal as it is to stand there, places and all.
    Decimal(i64, u8),
    Text(String),
    Bytes(Vec<u8>),
    Time(Moment),
}

impl Kept {
    pub(super) fn of(value: Value<'_>) -> Self {
        match value {
            Value::Missing => Self::Missing,
            Value::Bool(value) => Self::Bool(value),
            Value::Whole(value) => Self::Number(Number::whole(value)),
            Value::Large(value) => Self::Number(Number::Large(value)),
            Value::Decimal(value) => Self::Number(value.into()),
            Value::Real(value) => Self::Number(Number::Real(value)),
            Value::Text(text) => Self::Text(text.to_owned()),
            Value::Bytes(bytes) => Self::Bytes(bytes.to_owned()),
            Value::Time(moment) => Self::Time(moment),
        }
    }

    /// Bytes as a text, where they are one.
    pub(super) fn of_plain(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::Text(text),
            Err(why) => Self::Bytes(why.into_bytes()),
        }
    }

    pub(super) fn value(&self) -> Value<'_> {
        match self {
            Self::Missing => Value::Missing,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(number) => number.value(),
            Self::Decimal(mantissa, places) => Value::Decimal(Decimal::new(*mantissa, *places)),
            Self::Text(text) => Value::Text(text),
            Self::Bytes(bytes) => Value::Bytes(bytes),
            Self::Time(moment) => Value::Time(*moment),
        }
    }
}

/// A form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As many places as the number needs; none: a whole number.
    Least,
    /// So many places.
    Places(u8),
    Real,
    Bool,
    Text,
    /// A point in time as such.
    Moment,
    /// By the profile's format of this place.
    Stamp(usize),
    /// As it is.
    Kept,
    /// The codec writes it of itself.
    Unsaid,
}

impl Form {
    /// A number in this form.
    pub(super) fn of_number(self, number: Scaled) -> Option<Kept> {
        match self {
            Self::Least => {
                let places = number.places(PLACES_MAX);
                Self::Places(places).of_number(number)
            }
            Self::Places(0) => {
                let whole = number.to_places(0)?;
                Some(Kept::Number(Number::whole(whole)))
            }
            Self::Places(places) => Some(Kept::Decimal(number.to_places(places)?, places)),
            Self::Real => Some(Kept::Number(Number::Real(number.real()))),
            Self::Bool => match number.to_places(0)? {
                0 => Some(Kept::Bool(false)),
                1 => Some(Kept::Bool(true)),
                _ => None,
            },
            Self::Text => Some(Kept::Text(number.real().to_string())),
            Self::Moment | Self::Stamp(_) | Self::Kept | Self::Unsaid => None,
        }
    }
}

/// The forms of numbers, in the order in which they are tried: exact ones, then ever coarser ones.
pub(super) fn of_numbers(number: Scaled) -> impl Iterator<Item = Form> {
    let least = number.places(PLACES_MAX);
    let exact = (least..=PLACES_MAX).map(Form::Places);
    let coarser = (0..least).rev().map(Form::Places);
    std::iter::once(Form::Least)
        .chain(exact)
        .chain([Form::Real])
        .chain(coarser)
        .chain([Form::Bool, Form::Text])
}
