//! Readings for people: wire bytes back to JSON with names, units, codes and quality in words. Off the path of a
//! reading, so it may reflect and allocate. A reading of a class that is not in force is shown with its raw bytes.

use prost::Message as _;
use prost_reflect::{DynamicMessage, Value as Typed};
use serde_json::{Map, Value, json};
use thiserror::Error;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    attributes::MEMBER_PREFIX,
    class::{Class, Field, FieldKind},
    classes::Classes,
    quality::Quality,
};
use crate::proto::platform::{AlarmLevel, Batch, Reading, TimeSource};

/// Why bytes cannot be shown.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ShowError {
    /// Not an encoded `sensegate.platform.v1.Reading`, or not entries of `Batch.readings`.
    #[error("not an encoded reading: {0}")]
    Reading(prost::DecodeError),
    /// The value is not a message of its class.
    #[error("the value is no message of class {class}: {why}")]
    Value {
        /// The class's id.
        class: String,
        /// What breaks it.
        why: prost::DecodeError,
    },
}

/// Shows readings as [`super::normalise`] writes them and blocks keep them: entries of `Batch.readings`.
///
/// # Errors
/// The bytes are no such entries.
pub fn readings(classes: &Classes, entries: &[u8]) -> Result<Vec<Value>, ShowError> {
    let batch = Batch::decode(entries).map_err(ShowError::Reading)?;
    Ok(batch
        .readings
        .iter()
        .map(|each| reading(classes, each))
        .collect())
}

/// Shows one reading. A value that cannot be decoded is shown as `value_hex`, with the fault beside it.
#[must_use]
pub fn reading(classes: &Classes, reading: &Reading) -> Value {
    let mut shown = Map::new();
    let mut put = |name: &str, value: Value| shown.insert(name.to_owned(), value);
    put("device_id", json!(reading.device_id));
    put("class_id", json!(reading.class_id));
    put("observed_at", time(reading.observed_at_ns));
    put("received_at", time(reading.received_at_ns));
    put("time_source", json!(time_source(reading)));
    match classes.get(&reading.class_id) {
        None => {
            put("value_hex", json!(hex::encode(&reading.value)));
        }
        Some(class) => {
            put("class_zh", json!(class.name_zh()));
            put("class_en", json!(class.name_en()));
            put("lane", json!(class.lane().name()));
            match values(class, reading) {
                Ok((known, unknown)) => {
                    put("values", known);
                    if let Some(unknown) = unknown {
                        put("unknown_fields_hex", unknown);
                    }
                }
                Err(fault) => {
                    put("value_hex", json!(hex::encode(&reading.value)));
                    put("value_fault", json!(fault.to_string()));
                }
            }
        }
    }
    let told = shown.get("values").and_then(Value::as_object);
    let elsewhere = qualities_elsewhere(classes.get(&reading.class_id), reading, told);
    if !elsewhere.is_empty() {
        shown.insert("qualities".to_owned(), elsewhere.into());
    }
    if !reading.attributes.is_empty() {
        shown.insert("attributes".to_owned(), json!(sorted(reading)));
    }
    if !reading.alarms.is_empty() {
        shown.insert("alarms".to_owned(), alarms(reading));
    }
    if !reading.profile_id.is_empty() {
        shown.insert("profile_id".to_owned(), json!(reading.profile_id));
    }
    Value::Object(shown)
}

/// The canonical JSON that gives this reading again: the inverse of [`super::normalise`] but for the transport's
/// attributes and for numbers that an enum does not know.
///
/// # Errors
/// The value is no message of the class.
pub fn canonical(class: &Class, reading: &Reading) -> Result<Value, ShowError> {
    let message = decode(class, reading)?;
    let mut members = Map::new();
    if reading.time_source() == TimeSource::Device {
        members.insert("observed_at".to_owned(), time(reading.observed_at_ns));
    }
    for (field, typed) in present(class, &message) {
        members.insert(field.name.clone(), plain(field, &typed));
    }
    for (key, raw) in &reading.attributes {
        if let Some(name) = key.strip_prefix(MEMBER_PREFIX)
            && let Ok(value) = serde_json::from_str(raw)
        {
            members.insert(name.to_owned(), value);
        }
    }
    Ok(Value::Object(members))
}

fn decode(class: &Class, reading: &Reading) -> Result<DynamicMessage, ShowError> {
    DynamicMessage::decode(class.descriptor.clone(), reading.value.clone()).map_err(|why| {
        ShowError::Value {
            class: class.id().to_owned(),
            why,
        }
    })
}

fn present<'a>(
    class: &'a Class,
    message: &'a DynamicMessage,
) -> impl Iterator<Item = (&'a Field, Typed)> {
    class.fields().iter().filter_map(|field| {
        let descriptor = class.descriptor.get_field(field.number)?;
        let held = message.has_field(&descriptor);
        held.then(|| (field, message.get_field(&descriptor).into_owned()))
    })
}

/// The fields that the class knows, and the wire bytes of the others.
fn values(class: &Class, reading: &Reading) -> Result<(Value, Option<Value>), ShowError> {
    let message = decode(class, reading)?;
    let mut known = Map::new();
    for (field, typed) in present(class, &message) {
        let mut shown = Map::new();
        shown.insert("value".to_owned(), plain(field, &typed));
        if !field.unit.is_empty() {
            shown.insert("unit".to_owned(), json!(field.unit));
        }
        if !field.name_zh.is_empty() {
            shown.insert("name_zh".to_owned(), json!(field.name_zh));
        }
        let of_field = |number: u32| number == field.number;
        if let Some(quality) = qualities(reading, of_field).next() {
            shown.insert("quality".to_owned(), quality);
        }
        known.insert(field.name.clone(), Value::Object(shown));
    }
    let mut unknown = Vec::new();
    for field in message.unknown_fields() {
        field.encode(&mut unknown);
    }
    let unknown = (!unknown.is_empty()).then(|| json!(hex::encode(unknown)));
    Ok((Value::Object(known), unknown))
}

fn plain(field: &Field, typed: &Typed) -> Value {
    match typed {
        Typed::Bool(value) => json!(value),
        Typed::I32(value) => json!(value),
        Typed::I64(value) => json!(value),
        Typed::U32(value) => json!(value),
        Typed::U64(value) => json!(value),
        Typed::F32(value) => number(f64::from(*value)),
        Typed::F64(value) => number(*value),
        Typed::String(value) => json!(value),
        Typed::EnumNumber(number) => code(field, *number),
        // No class has a field of these kinds.
        Typed::Bytes(_) | Typed::Message(_) | Typed::List(_) | Typed::Map(_) => Value::Null,
    }
}

/// A number; one that is not finite as text, like proto3's JSON mapping.
fn number(value: f64) -> Value {
    if value.is_finite() {
        json!(value)
    } else if value.is_nan() {
        json!("NaN")
    } else if value > 0.0 {
        json!("Infinity")
    } else {
        json!("-Infinity")
    }
}

/// An enum's code; the number where the enum has no code for it.
fn code(field: &Field, number: i32) -> Value {
    let FieldKind::Enum(codes) = &field.kind else {
        return json!(number);
    };
    let known = codes.iter().find(|code| code.number == number);
    known.map_or_else(|| json!(number), |code| json!(code.code))
}

/// Qualities of the fields that are chosen by number, in words.
fn qualities(reading: &Reading, chosen: impl Fn(u32) -> bool) -> impl Iterator<Item = Value> {
    reading
        .qualities
        .iter()
        .filter(move |quality| chosen(quality.field_number))
        .map(|quality| {
            let quality = Quality(quality.status_code);
            match quality.name() {
                Some(name) => json!(name),
                None => json!(format!("{} 0x{:08X}", quality.severity(), quality.0)),
            }
        })
}

/// Qualities that do not stand beside a value: of the whole reading, of fields without one, of fields that the class does
/// not know.
fn qualities_elsewhere(
    class: Option<&Class>,
    reading: &Reading,
    told: Option<&Map<String, Value>>,
) -> Map<String, Value> {
    let field = |number: u32| {
        let mut fields = class?.fields().iter();
        fields.find(|field| field.number == number)
    };
    let shown = |number: u32| {
        let names = field(number).zip(told);
        names.is_some_and(|(field, told)| told.contains_key(&field.name))
    };
    let mut elsewhere = Map::new();
    for quality in &reading.qualities {
        let number = quality.field_number;
        if shown(number) {
            continue;
        }
        let key = match number {
            0 => "reading".to_owned(),
            number => {
                field(number).map_or_else(|| format!("field {number}"), |field| field.name.clone())
            }
        };
        if let Some(words) = qualities(reading, |other| other == number).next() {
            elsewhere.insert(key, words);
        }
    }
    elsewhere
}

fn alarms(reading: &Reading) -> Value {
    let shown = reading.alarms.iter().map(|alarm| {
        let level = match alarm.level() {
            AlarmLevel::Unspecified => "unspecified",
            AlarmLevel::Notice => "notice",
            AlarmLevel::Warning => "warning",
            AlarmLevel::Serious => "serious",
            AlarmLevel::Critical => "critical",
        };
        json!({ "code": alarm.code, "level": level, "field": alarm.field_number, "active": alarm.active })
    });
    Value::Array(shown.collect())
}

fn sorted(reading: &Reading) -> Map<String, Value> {
    let attributes = reading.attributes.iter();
    attributes
        .map(|(key, value)| (key.clone(), json!(value)))
        .collect()
}

fn time_source(reading: &Reading) -> &'static str {
    match reading.time_source() {
        TimeSource::Unspecified => "unspecified",
        TimeSource::Device => "device",
        TimeSource::Network => "network",
        TimeSource::Arrival => "arrival",
    }
}

fn time(nanos: u64) -> Value {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(nanos))
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .map_or_else(|| json!(nanos), Value::String)
}
