//! A device's values as the two payloads of the canonical topic: JSON and protobuf.

use std::io::Write as _;

use bytes::Bytes;
use prost::{
    Message as _,
    encoding::{WireType, encode_key, encode_varint},
};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

use super::pattern::{Pattern, Property, Shape};
use crate::proto::device::{Report, Sample};

/// Which of a property's two names a device writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// The proto names.
    Proto,
    /// The names of protobuf's JSON mapping.
    Json,
}

/// Appends the JSON object of one reading. Its time is RFC 3339 text with nanoseconds at the offset of China.
pub(super) fn write_json(
    pattern: &Pattern,
    values: &[f64],
    observed_at_ns: u64,
    names: Names,
    out: &mut Vec<u8>,
) {
    out.push(b'{');
    for (property, value) in pattern.properties.iter().zip(values) {
        let name = match names {
            Names::Proto => &property.name,
            Names::Json => &property.json_name,
        };
        put(out, format_args!("\"{name}\":"));
        write_value(property, *value, out);
        out.push(b',');
    }
    put(
        out,
        format_args!("\"observed_at\":\"{}\"}}", rfc3339(observed_at_ns)),
    );
}

/// Appends the JSON object of one property's value with its time, as a device that replays a series sends it.
pub(super) fn write_sample_json(
    property: &str,
    value: f64,
    observed_at_ns: u64,
    out: &mut Vec<u8>,
) {
    put(
        out,
        format_args!(
            "{{\"{property}\":{value:.4},\"observed_at\":\"{}\"}}",
            rfc3339(observed_at_ns)
        ),
    );
}

fn write_value(property: &Property, value: f64, out: &mut Vec<u8>) {
    match &property.shape {
        Shape::Real { decimals, .. } => put(out, format_args!("{value:.decimals$}")),
        Shape::Counter {
            decimals: Some(decimals),
            ..
        } => put(out, format_args!("{value:.decimals$}")),
        Shape::Signed { .. } | Shape::Unsigned { .. } | Shape::Counter { .. } => {
            put(out, format_args!("{}", whole(value)));
        }
        Shape::Flag => out.extend_from_slice(if value > 0.0 { b"true" } else { b"false" }),
        Shape::State(codes) => put(out, format_args!("\"{}\"", state(codes, value).0)),
        Shape::Text => put(out, format_args!("\"T{value:05.0}\"")),
    }
}

/// A `sensegate.device.v1.Report` of one sample.
#[must_use]
pub(super) fn report(pattern: &Pattern, values: &[f64], observed_at_ns: u64) -> Vec<u8> {
    let mut message = Vec::new();
    for (property, value) in pattern.properties.iter().zip(values) {
        encode_property(property, *value, &mut message);
    }
    Report {
        samples: vec![Sample {
            observed_at_ns: Some(observed_at_ns),
            value: Bytes::from(message),
        }],
    }
    .encode_to_vec()
}

fn encode_property(property: &Property, value: f64, out: &mut Vec<u8>) {
    let number = property.number;
    match &property.shape {
        Shape::Real { .. }
        | Shape::Counter {
            decimals: Some(_), ..
        } => {
            prost::encoding::double::encode(number, &value, out);
        }
        Shape::Signed { .. } => prost::encoding::sint64::encode(number, &whole(value), out),
        Shape::Unsigned { .. } | Shape::Counter { decimals: None, .. } => {
            prost::encoding::uint64::encode(number, &whole(value).unsigned_abs(), out);
        }
        Shape::Flag => prost::encoding::bool::encode(number, &(value > 0.0), out),
        Shape::State(codes) => {
            encode_key(number, WireType::Varint, out);
            encode_varint(u64::from(state(codes, value).1.unsigned_abs()), out);
        }
        Shape::Text => prost::encoding::string::encode(number, &format!("T{value:05.0}"), out),
    }
}

fn state(codes: &[(String, i32)], value: f64) -> (&str, i32) {
    let at = usize::try_from(whole(value)).unwrap_or(0);
    codes
        .get(at)
        .map_or(("", 0), |(code, number)| (code.as_str(), *number))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "saturates; ranges end far below"
)]
fn whole(value: f64) -> i64 {
    value.round() as i64
}

/// RFC 3339 with as many digits as the nanoseconds need.
fn rfc3339(unix_ns: u64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ns))
        .ok()
        .zip(UtcOffset::from_hms(8, 0, 0).ok())
        .and_then(|(at, offset)| at.to_offset(offset).format(&Rfc3339).ok())
        .unwrap_or_default()
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a Vec cannot fail.
    out.write_fmt(text).unwrap_or_default();
}
