//! What the payload of a field means under its type.

use std::borrow::Cow;

use prost_reflect::{EnumDescriptor, Kind};

use super::{
    super::super::{
        point::{Decimal, Moment, Value},
        quality::Quality,
        wire::{Wire, unzigzag},
    },
    fields::{Fields, Raw},
};
use crate::domain::UnixNanos;

/// The type of a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    Text,
    Bytes,
    /// By the name of its value: place of its names.
    Enum(usize),
    /// `google.protobuf.Timestamp`.
    Timestamp,
    /// `google.protobuf.Duration`, in seconds.
    Duration,
}

/// The names of an enum's values, by number.
#[derive(Debug)]
pub(super) struct EnumNames(Box<[(i32, Box<str>)]>);

impl EnumNames {
    /// Of two names of one number the first is taken.
    pub(super) fn of(descriptor: &EnumDescriptor) -> Self {
        let values = descriptor.values();
        let mut names: Vec<(i32, Box<str>)> = values
            .map(|value| (value.number(), value.name().into()))
            .collect();
        names.sort_by_key(|name| name.0);
        names.dedup_by_key(|name| name.0);
        Self(names.into())
    }

    fn name(&self, number: i32) -> Option<&str> {
        let place = self.0.binary_search_by_key(&number, |name| name.0).ok()?;
        self.0.get(place).map(|name| &*name.1)
    }
}

/// A value, whose text may have been repaired.
#[derive(Debug)]
pub(super) enum Read<'a> {
    Value(Value<'a>),
    /// A value that its type does not have.
    Odd(Value<'a>),
    Text(Cow<'a, str>),
}

impl Read<'_> {
    pub(super) fn value(&self) -> Value<'_> {
        match self {
            Self::Value(value) | Self::Odd(value) => *value,
            Self::Text(text) => Value::Text(text),
        }
    }

    pub(super) const fn quality(&self) -> Quality {
        match self {
            Self::Value(_) | Self::Text(_) => Quality::GOOD,
            Self::Odd(_) => Quality::OUT_OF_RANGE,
        }
    }
}

impl Scalar {
    /// Of a kind that is neither message nor enum.
    pub(super) const fn of(kind: &Kind) -> Option<Self> {
        Some(match kind {
            Kind::Double => Self::Double,
            Kind::Float => Self::Float,
            Kind::Int32 => Self::Int32,
            Kind::Int64 => Self::Int64,
            Kind::Uint32 => Self::Uint32,
            Kind::Uint64 => Self::Uint64,
            Kind::Sint32 => Self::Sint32,
            Kind::Sint64 => Self::Sint64,
            Kind::Fixed32 => Self::Fixed32,
            Kind::Fixed64 => Self::Fixed64,
            Kind::Sfixed32 => Self::Sfixed32,
            Kind::Sfixed64 => Self::Sfixed64,
            Kind::Bool => Self::Bool,
            Kind::String => Self::Text,
            Kind::Bytes => Self::Bytes,
            Kind::Message(_) | Kind::Enum(_) => return None,
        })
    }

    /// The value of a field; none if its wire type is another or, of a time, its message is broken.
    #[inline]
    pub(super) fn read<'a>(self, raw: Raw<'a>, enums: &'a [EnumNames]) -> Option<Read<'a>> {
        let value = match (self, raw) {
            (Self::Double, Raw::Fixed64(bits)) => Value::Real(f64::from_bits(bits)),
            (Self::Float, Raw::Fixed32(bits)) => Value::Real(f64::from(f32::from_bits(bits))),
            (Self::Int32, Raw::Varint(bits)) => Value::Whole(i64::from(low32(bits).cast_signed())),
            (Self::Int64, Raw::Varint(bits)) | (Self::Sfixed64, Raw::Fixed64(bits)) => {
                Value::Whole(bits.cast_signed())
            }
            (Self::Uint32, Raw::Varint(bits)) => Value::Whole(i64::from(low32(bits))),
            (Self::Uint64, Raw::Varint(bits)) | (Self::Fixed64, Raw::Fixed64(bits)) => {
                i64::try_from(bits).map_or(Value::Large(bits), Value::Whole)
            }
            (Self::Sint32, Raw::Varint(bits)) => Value::Whole(unzigzag(u64::from(low32(bits)))),
            (Self::Sint64, Raw::Varint(bits)) => Value::Whole(unzigzag(bits)),
            (Self::Fixed32, Raw::Fixed32(bits)) => Value::Whole(i64::from(bits)),
            (Self::Sfixed32, Raw::Fixed32(bits)) => Value::Whole(i64::from(bits.cast_signed())),
            (Self::Bool, Raw::Varint(bits)) => Value::Bool(bits != 0),
            (Self::Text, Raw::Bytes(text)) => {
                return Some(Read::Text(String::from_utf8_lossy(text)));
            }
            (Self::Bytes, Raw::Bytes(bytes)) => Value::Bytes(bytes),
            (Self::Enum(place), Raw::Varint(bits)) => {
                let number = low32(bits).cast_signed();
                match enums.get(place).and_then(|names| names.name(number)) {
                    Some(name) => Value::Text(name),
                    None => return Some(Read::Odd(Value::Whole(i64::from(number)))),
                }
            }
            (Self::Timestamp, Raw::Bytes(bytes)) => return timestamp(bytes),
            (Self::Duration, Raw::Bytes(bytes)) => return duration(bytes),
            _ => return None,
        };
        Some(Read::Value(value))
    }

    /// The next element of packed bytes; none if they are cut off or elements of this type are not packed.
    #[inline]
    pub(super) fn unpack<'a>(self, packed: &mut Wire<'a>) -> Option<Raw<'a>> {
        Some(match self {
            Self::Double | Self::Fixed64 | Self::Sfixed64 => Raw::Fixed64(packed.fixed64()?),
            Self::Float | Self::Fixed32 | Self::Sfixed32 => Raw::Fixed32(packed.fixed32()?),
            Self::Text | Self::Bytes | Self::Timestamp | Self::Duration => return None,
            _ => Raw::Varint(packed.varint()?),
        })
    }

    /// Whether elements of this type may come packed.
    pub(super) const fn is_packable(self) -> bool {
        !matches!(
            self,
            Self::Text | Self::Bytes | Self::Timestamp | Self::Duration
        )
    }

    /// The payload of a field of this type that is left out because it is zero or empty.
    pub(super) const fn zero(self) -> Raw<'static> {
        match self {
            Self::Double | Self::Fixed64 | Self::Sfixed64 => Raw::Fixed64(0),
            Self::Float | Self::Fixed32 | Self::Sfixed32 => Raw::Fixed32(0),
            Self::Text | Self::Bytes | Self::Timestamp | Self::Duration => Raw::Bytes(&[]),
            _ => Raw::Varint(0),
        }
    }
}

/// Seconds and nanoseconds of a `Timestamp` or `Duration`.
fn seconds(bytes: &[u8]) -> Option<(i64, i32)> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut fields = Fields::new(bytes, 0);
    while let Some(field) = fields.next().ok()? {
        match field {
            (1, Raw::Varint(bits)) => seconds = bits.cast_signed(),
            (2, Raw::Varint(bits)) => nanos = low32(bits).cast_signed(),
            _ => {}
        }
    }
    Some((seconds, nanos))
}

fn timestamp(bytes: &[u8]) -> Option<Read<'static>> {
    let (seconds, nanos) = seconds(bytes)?;
    let nanos = u32::try_from(nanos).ok().filter(|n| *n < 1_000_000_000);
    let unix = u64::try_from(seconds)
        .ok()
        .zip(nanos)
        .and_then(|(seconds, nanos)| {
            let whole = seconds.checked_mul(1_000_000_000)?;
            whole.checked_add(u64::from(nanos))
        });
    Some(match unix {
        Some(unix) => Read::Value(Value::Time(Moment::Unix(UnixNanos(unix)))),
        None => Read::Odd(Value::Missing),
    })
}

/// Exact; beyond 292 years there are no nanoseconds left.
fn duration(bytes: &[u8]) -> Option<Read<'static>> {
    let (seconds, nanos) = seconds(bytes)?;
    let all = seconds
        .checked_mul(1_000_000_000)
        .and_then(|whole| whole.checked_add(i64::from(nanos)));
    Some(Read::Value(match all {
        Some(all) => Value::Decimal(Decimal::new(all, 9)),
        None => Value::Whole(seconds),
    }))
}

/// The low 32 bits, as protobuf reads a varint that is too wide for its field.
#[inline]
fn low32(bits: u64) -> u32 {
    u32::try_from(bits & u64::from(u32::MAX)).unwrap_or_default()
}
