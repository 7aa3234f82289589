//! A metric as it stands on the wire, and what its value means under a datatype.

use std::borrow::Cow;

use super::super::{
    super::{
        payload::Reject,
        point::{Moment, Value},
        quality::Quality,
    },
    message::fields::{Fields, Raw},
};
use crate::domain::UnixNanos;

/// Numbers of the standard's `DataType`.
pub(super) mod datatype {
    pub(crate) const INT8: u32 = 1;
    pub(crate) const INT16: u32 = 2;
    pub(crate) const INT32: u32 = 3;
    pub(crate) const INT64: u32 = 4;
    pub(crate) const UINT64: u32 = 8;
    pub(crate) const DOUBLE: u32 = 10;
    pub(crate) const BOOLEAN: u32 = 11;
    pub(crate) const STRING: u32 = 12;
    pub(crate) const DATE_TIME: u32 = 13;
    pub(crate) const TEXT: u32 = 14;
    pub(crate) const UUID: u32 = 15;
    pub(crate) const BYTES: u32 = 17;
    pub(crate) const INT8_ARRAY: u32 = 22;
    pub(crate) const DATE_TIME_ARRAY: u32 = 34;
}

/// The value of the metric's `oneof`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Carried<'a> {
    /// Null, or no value at all.
    Nothing,
    Int(u32),
    Long(u64),
    Float(f32),
    Double(f64),
    Boolean(bool),
    Text(&'a [u8]),
    Bytes(&'a [u8]),
    /// A data set, a template or an extension.
    Unread,
}

/// A metric. Text is as it came: nobody pays for checking a name that is not looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Metric<'a> {
    pub(super) name: Option<&'a [u8]>,
    pub(super) alias: Option<u64>,
    /// Milliseconds since 1970; 0 for none.
    pub(super) time_ms: u64,
    pub(super) datatype: Option<u32>,
    pub(super) is_historical: bool,
    pub(super) quality: Quality,
    pub(super) carried: Carried<'a>,
}

impl<'a> Metric<'a> {
    /// Reads a metric that begins at byte `base` of its payload.
    #[inline]
    pub(super) fn read(bytes: &'a [u8], base: usize) -> Result<Self, Reject> {
        let mut metric = Self {
            name: None,
            alias: None,
            time_ms: 0,
            datatype: None,
            is_historical: false,
            quality: Quality::GOOD,
            carried: Carried::Nothing,
        };
        let mut is_null = false;
        let mut fields = Fields::new(bytes, base);
        while let Some(field) = fields.next()? {
            match field {
                (1, Raw::Bytes(name)) => metric.name = Some(name),
                (2, Raw::Varint(alias)) => metric.alias = Some(alias),
                (3, Raw::Varint(time)) => metric.time_ms = time,
                (4, Raw::Varint(datatype)) => metric.datatype = Some(low32(datatype)),
                (5, Raw::Varint(flag)) => metric.is_historical = flag != 0,
                (7, Raw::Varint(flag)) => is_null = flag != 0,
                (9, Raw::Bytes(set)) => {
                    metric.quality = quality(set, fields.base_of(set))?;
                }
                (10, Raw::Varint(value)) => metric.carried = Carried::Int(low32(value)),
                (11, Raw::Varint(value)) => metric.carried = Carried::Long(value),
                (12, Raw::Fixed32(bits)) => metric.carried = Carried::Float(f32::from_bits(bits)),
                (13, Raw::Fixed64(bits)) => metric.carried = Carried::Double(f64::from_bits(bits)),
                (14, Raw::Varint(value)) => metric.carried = Carried::Boolean(value != 0),
                (15, Raw::Bytes(text)) => metric.carried = Carried::Text(text),
                (16, Raw::Bytes(value)) => metric.carried = Carried::Bytes(value),
                (17..=19, _) => metric.carried = Carried::Unread,
                _ => {}
            }
        }
        if is_null {
            metric.carried = Carried::Nothing;
        }
        Ok(metric)
    }

    /// Whether only a datatype says which number is meant: the wire has no sign.
    pub(super) const fn needs_datatype(&self) -> bool {
        self.datatype.is_none() && matches!(self.carried, Carried::Int(_) | Carried::Long(_))
    }

    /// Whether a value can be of a datatype at all: text and bytes are no numbers. What is null can be of any.
    pub(super) const fn can_be(&self, datatype: u32) -> bool {
        match self.carried {
            Carried::Nothing | Carried::Unread => true,
            Carried::Text(_) => matches!(
                datatype,
                0 | datatype::STRING | datatype::TEXT | datatype::UUID
            ),
            Carried::Bytes(_) => matches!(datatype, 0 | datatype::BYTES | 18) || is_array(datatype),
            _ => datatype <= datatype::BOOLEAN || datatype == datatype::DATE_TIME,
        }
    }
}

/// Whether bytes of this datatype are elements.
pub(super) const fn is_array(datatype: u32) -> bool {
    datatype >= datatype::INT8_ARRAY && datatype <= datatype::DATE_TIME_ARRAY
}

/// Milliseconds since 1970 as a time; none for 0 and beyond 2554.
#[inline]
pub(super) fn moment(milliseconds: u64) -> Option<Moment> {
    if milliseconds == 0 {
        return None;
    }
    let nanos = milliseconds.checked_mul(1_000_000)?;
    Some(Moment::Unix(UnixNanos(nanos)))
}

/// Text, with what is no UTF-8 replaced.
#[inline]
pub(super) fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// A number that its datatype cannot hold keeps its value and is marked.
pub(super) fn whole(carried: Carried<'_>, datatype: u32) -> (Value<'static>, Quality) {
    let (bits, is_long) = match carried {
        Carried::Int(value) => (u64::from(value), false),
        Carried::Long(value) => (value, true),
        _ => return (Value::Missing, Quality::GOOD),
    };
    let signed = |width: u32| {
        // Encoders extend the sign to 8, 16, 32 or 64 bits; all of them mean the same number.
        let extended = match (is_long, u32::try_from(bits)) {
            (_, Ok(narrow)) => i64::from(narrow.cast_signed()),
            (_, Err(_wide)) => bits.cast_signed(),
        };
        let span = 1_i64 << (width - 1);
        if (-span..span).contains(&extended) {
            return (Value::Whole(extended), Quality::GOOD);
        }
        if (span..span * 2).contains(&extended) {
            return (Value::Whole(extended - span * 2), Quality::GOOD);
        }
        (Value::Whole(extended), Quality::OUT_OF_RANGE)
    };
    match datatype {
        datatype::INT8 => signed(8),
        datatype::INT16 => signed(16),
        datatype::INT32 => signed(32),
        datatype::INT64 => (Value::Whole(bits.cast_signed()), Quality::GOOD),
        datatype::BOOLEAN => (Value::Bool(bits != 0), Quality::GOOD),
        datatype::DATE_TIME => match bits.checked_mul(1_000_000) {
            Some(nanos) => (Value::Time(Moment::Unix(UnixNanos(nanos))), Quality::GOOD),
            None => (Value::Missing, Quality::OUT_OF_RANGE),
        },
        _ => (unsigned(bits), Quality::GOOD),
    }
}

/// A number without a sign.
pub(super) fn unsigned(bits: u64) -> Value<'static> {
    i64::try_from(bits).map_or(Value::Large(bits), Value::Whole)
}

/// The low 32 bits, as protobuf reads a varint that is too wide for its field.
#[inline]
fn low32(value: u64) -> u32 {
    u32::try_from(value & u64::from(u32::MAX)).unwrap_or_default()
}

/// The property `Quality` of a property set (3.0, 6.4.10).
#[cold]
fn quality(set: &[u8], base: usize) -> Result<Quality, Reject> {
    let mut names = Fields::new(set, base);
    let mut place = 0_usize;
    loop {
        match names.next()? {
            None => return Ok(Quality::GOOD),
            Some((1, Raw::Bytes(b"Quality"))) => break,
            Some((1, _)) => place += 1,
            Some(_) => {}
        }
    }
    let mut values = Fields::new(set, base);
    while let Some((number, raw)) = values.next()? {
        let Raw::Bytes(value) = raw else { continue };
        if number != 2 {
            continue;
        }
        if place == 0 {
            return property(value, values.base_of(value)).map(quality_of);
        }
        place -= 1;
    }
    Ok(Quality::GOOD)
}

/// The whole number of a property; none if it is null or none.
fn property(bytes: &[u8], base: usize) -> Result<Option<u64>, Reject> {
    let mut fields = Fields::new(bytes, base);
    let mut number = None;
    while let Some(field) = fields.next()? {
        match field {
            (3 | 4, Raw::Varint(value)) => number = Some(value),
            (2, Raw::Varint(1..)) => return Ok(None),
            _ => {}
        }
    }
    Ok(number)
}

/// 0, 192 and 500 are the standard's; nodes that pass on OPC DA's codes are read by their top two bits of eight.
const fn quality_of(code: Option<u64>) -> Quality {
    match code {
        None | Some(192..=255) => Quality::GOOD,
        Some(500) => Quality::LAST_USABLE,
        Some(0..=63) => Quality::BAD,
        Some(_) => Quality::UNCERTAIN,
    }
}
