//! Payloads of simulated devices, through `DynamicMessage`: slow, and independent of the way back.

use std::collections::HashSet;

use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MapKey, ReflectMessage as _, Value as Held,
    prost::{Message as _, bytes::Bytes},
};

use super::{
    super::{
        super::point::{Decimal, Moment, OwnedKey, Value},
        encoding::{Encoder, Report},
    },
    Message,
    path::{Pick, Segment, segments},
    schema::is_wrapper,
};

/// Which element of a repeated message a point goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Element {
    Last,
    Another,
}

impl Encoder for Message {
    fn encode(&self, report: &Report<'_>) -> Result<Vec<u8>, String> {
        let mut message = DynamicMessage::new(self.descriptor.clone());
        let mut in_element = HashSet::new();
        for (key, value) in report.points {
            let OwnedKey::Code(code) = key else {
                return Err(format!("{key:?}: keys of messages are codes"));
            };
            let place = usize::try_from(*code).unwrap_or(usize::MAX);
            let spelled = self.keys.get(place).ok_or("an unknown code")?;
            let segments = segments(spelled)?;
            let mut element = Element::Last;
            let is_in_elements =
                segments.len() > 1 && segments.iter().any(|s| s.pick == Pick::Every);
            if is_in_elements && !in_element.insert(*code) {
                in_element.clear();
                in_element.insert(*code);
                element = Element::Another;
            }
            set(&mut message, &segments, element, *value)
                .map_err(|why| format!("{spelled}: {why}"))?;
        }
        Ok(message.encode_to_vec())
    }
}

fn set(
    message: &mut DynamicMessage,
    segments: &[Segment<'_>],
    element: Element,
    value: Value<'_>,
) -> Result<(), String> {
    let (segment, rest) = segments.split_first().ok_or("an empty key")?;
    let descriptor = message.descriptor();
    let field = descriptor
        .get_field_by_name(segment.field)
        .or_else(|| descriptor.get_field_by_json_name(segment.field))
        .ok_or("an unknown field")?;
    let of_entries = match field.kind() {
        Kind::Message(entry) if field.is_map() => Some(entry.map_entry_value_field()),
        _ => None,
    };
    let single = of_entries.as_ref().unwrap_or(&field);
    let held = message.get_field_mut(&field);
    let fresh = || Held::default_value(&single.kind());
    let slot = match (held, segment.pick) {
        (Held::List(list), Pick::Every) => {
            if rest.is_empty() || list.is_empty() || element == Element::Another {
                list.push(fresh());
            }
            list.last_mut().ok_or("an empty list")?
        }
        (Held::Map(map), Pick::Entry(entry)) => {
            let key = map_key(&field, entry)?;
            map.entry(key).or_insert_with(fresh)
        }
        (held, _) => held,
    };
    if rest.is_empty() {
        *slot = leaf(&single.kind(), value)?;
        return Ok(());
    }
    match slot {
        Held::Message(below) => set(below, rest, element, value),
        _ => Err(format!("{} is no message", segment.field)),
    }
}

fn map_key(field: &FieldDescriptor, entry: &str) -> Result<MapKey, String> {
    let Kind::Message(message) = field.kind() else {
        return Err("no map".to_owned());
    };
    let wrong = |_why| "a map's key of another type".to_owned();
    Ok(match message.map_entry_key_field().kind() {
        Kind::String => MapKey::String(entry.to_owned()),
        Kind::Bool => MapKey::Bool(entry == "true"),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => MapKey::I32(entry.parse().map_err(wrong)?),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => MapKey::I64(entry.parse().map_err(wrong)?),
        Kind::Uint32 | Kind::Fixed32 => MapKey::U32(entry.parse().map_err(wrong)?),
        _ => MapKey::U64(entry.parse().map_err(wrong)?),
    })
}

fn leaf(kind: &Kind, value: Value<'_>) -> Result<Held, String> {
    let misfit = || format!("{value:?} does not fit {kind:?}");
    Ok(match (kind, value) {
        (Kind::Double, _) => Held::F64(real(value).ok_or_else(misfit)?),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a float holds what a float can"
        )]
        (Kind::Float, _) => Held::F32(real(value).ok_or_else(misfit)? as f32),
        (Kind::Int32 | Kind::Sint32 | Kind::Sfixed32, Value::Whole(value)) => {
            Held::I32(i32::try_from(value).map_err(|_wide| misfit())?)
        }
        (Kind::Int64 | Kind::Sint64 | Kind::Sfixed64, Value::Whole(value)) => Held::I64(value),
        (Kind::Uint32 | Kind::Fixed32, Value::Whole(value)) => {
            Held::U32(u32::try_from(value).map_err(|_wide| misfit())?)
        }
        (Kind::Uint64 | Kind::Fixed64, Value::Whole(value)) => {
            Held::U64(u64::try_from(value).map_err(|_negative| misfit())?)
        }
        (Kind::Uint64 | Kind::Fixed64, Value::Large(value)) => Held::U64(value),
        (Kind::Bool, Value::Bool(value)) => Held::Bool(value),
        (Kind::String, Value::Text(text)) => Held::String(text.to_owned()),
        (Kind::Bytes, Value::Bytes(bytes)) => Held::Bytes(Bytes::copy_from_slice(bytes)),
        (Kind::Enum(names), Value::Text(name)) => {
            let value = names.get_value_by_name(name).ok_or_else(misfit)?;
            Held::EnumNumber(value.number())
        }
        (Kind::Enum(_), Value::Whole(number)) => {
            Held::EnumNumber(i32::try_from(number).map_err(|_wide| misfit())?)
        }
        (Kind::Message(message), value) => {
            let mut held = DynamicMessage::new(message.clone());
            if is_wrapper(message.full_name()) {
                let field = message.get_field_by_name("value").ok_or_else(misfit)?;
                held.set_field(&field, leaf(&field.kind(), value)?);
            } else {
                let (seconds, nanos) = parts(value).ok_or_else(misfit)?;
                held.set_field_by_number(1, Held::I64(seconds));
                held.set_field_by_number(2, Held::I32(nanos));
            }
            Held::Message(held)
        }
        _ => return Err(misfit()),
    })
}

fn real(value: Value<'_>) -> Option<f64> {
    match value {
        Value::Real(value) => Some(value),
        Value::Whole(value) => Some(value as f64),
        Value::Decimal(value) => Some(value.mantissa as f64 / 10_f64.powi(i32::from(value.places))),
        _ => None,
    }
}

/// Seconds and nanoseconds of a `Timestamp` or `Duration`.
fn parts(value: Value<'_>) -> Option<(i64, i32)> {
    const SECOND: i64 = 1_000_000_000;
    let (nanos, whole) = match value {
        Value::Time(Moment::Unix(time)) => (i64::try_from(time.0).ok()?, 0),
        Value::Decimal(Decimal {
            mantissa,
            places: 9,
        }) => (mantissa, 0),
        Value::Whole(seconds) => (0, seconds),
        _ => return None,
    };
    let rest = i32::try_from(nanos % SECOND).ok()?;
    Some((whole + nanos / SECOND, rest))
}
