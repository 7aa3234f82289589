//! Payloads of simulated devices: metrics by their names.

use super::{
    super::{
        super::{
            point::{Moment, OwnedKey, Value},
            quality::Quality,
            wire,
        },
        encoding::{Encoder, Report},
    },
    Sparkplug,
    command::{put_field, put_key, put_number},
    metric::datatype,
};
use crate::domain::UnixNanos;

/// One metric to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written<'a> {
    /// The whole name, also where only its alias is written.
    pub(crate) name: &'a str,
    pub(crate) value: Value<'a>,
    /// When the value was captured.
    pub(crate) at: UnixNanos,
    pub(crate) quality: Quality,
    pub(crate) is_historical: bool,
}

impl<'a> Written<'a> {
    /// Of now and of good quality.
    pub(crate) const fn new(name: &'a str, value: Value<'a>, at: UnixNanos) -> Self {
        Self {
            name,
            value,
            at,
            quality: Quality::GOOD,
            is_historical: false,
        }
    }
}

/// How a metric is named on the wire.
#[derive(Debug, Clone, Copy)]
pub(super) enum Naming {
    Name,
    /// As in certificates.
    #[cfg(test)]
    Both(u64),
    #[cfg(test)]
    Alias(u64),
}

/// Whether name and datatype stand in a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    Yes,
    #[cfg(test)]
    No,
}

impl Naming {
    const fn parts(self) -> (Stands, Option<u64>) {
        match self {
            Self::Name => (Stands::Yes, None),
            #[cfg(test)]
            Self::Both(alias) => (Stands::Yes, Some(alias)),
            #[cfg(test)]
            Self::Alias(alias) => (Stands::No, Some(alias)),
        }
    }
}

impl Encoder for Sparkplug {
    fn encode(&self, report: &Report<'_>) -> Result<Vec<u8>, String> {
        let mut out = payload_of(report.at, Some(u64::from(report.serial % 256)));
        for (key, value) in report.points {
            let OwnedKey::Name(name) = key else {
                return Err(format!("{key:?}: metrics are named"));
            };
            let metric = Written::new(name, *value, report.at);
            put_metric(&mut out, &metric, Naming::Name)?;
        }
        Ok(out)
    }
}

pub(super) fn payload_of(at: UnixNanos, seq: Option<u64>) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    put_number(&mut out, 1, at.0 / 1_000_000);
    if let Some(seq) = seq {
        put_number(&mut out, 3, seq);
    }
    out
}

pub(super) fn put_metric(
    out: &mut Vec<u8>,
    written: &Written<'_>,
    naming: Naming,
) -> Result<(), String> {
    let mut metric = Vec::with_capacity(64);
    let (name, alias) = naming.parts();
    if name == Stands::Yes {
        put_field(&mut metric, 1, written.name.as_bytes());
    }
    if let Some(alias) = alias {
        put_number(&mut metric, 2, alias);
    }
    put_number(&mut metric, 3, written.at.0 / 1_000_000);
    if name == Stands::Yes {
        put_number(&mut metric, 4, u64::from(datatype_of(written.value)));
    }
    if written.is_historical {
        put_number(&mut metric, 5, 1);
    }
    if written.quality != Quality::GOOD {
        put_field(&mut metric, 9, &quality_set(written.quality));
    }
    put_value(&mut metric, written)?;
    put_field(out, 2, &metric);
    Ok(())
}

/// The widest datatype of a value; null says nothing of its own.
const fn datatype_of(value: Value<'_>) -> u32 {
    match value {
        Value::Missing | Value::Decimal(_) | Value::Real(_) => datatype::DOUBLE,
        Value::Bool(_) => datatype::BOOLEAN,
        Value::Whole(_) => datatype::INT64,
        Value::Large(_) => datatype::UINT64,
        Value::Text(_) => datatype::STRING,
        Value::Bytes(_) => datatype::BYTES,
        Value::Time(_) => datatype::DATE_TIME,
    }
}

fn put_value(out: &mut Vec<u8>, written: &Written<'_>) -> Result<(), String> {
    let mut real = |value: f64| {
        put_key(out, 13, wire::FIXED64);
        out.extend_from_slice(&value.to_bits().to_le_bytes());
    };
    match written.value {
        Value::Decimal(value) => {
            real(value.mantissa as f64 / 10_f64.powi(i32::from(value.places)));
        }
        Value::Real(value) => real(value),
        Value::Missing => put_number(out, 7, 1),
        Value::Bool(value) => put_number(out, 14, u64::from(value)),
        Value::Whole(value) => put_number(out, 11, value.cast_unsigned()),
        Value::Large(value) => put_number(out, 11, value),
        Value::Text(text) => put_field(out, 15, text.as_bytes()),
        Value::Bytes(bytes) => put_field(out, 16, bytes),
        Value::Time(Moment::Unix(time)) => put_number(out, 11, time.0 / 1_000_000),
        Value::Time(Moment::Local(_)) => {
            return Err(format!("{}: times of Sparkplug are UTC", written.name));
        }
    }
    Ok(())
}

/// A property set of the one property `Quality`.
fn quality_set(quality: Quality) -> Vec<u8> {
    let code = match quality.severity() {
        "good" => 192,
        "bad" => 0,
        _ => 500,
    };
    let mut value = Vec::new();
    put_number(&mut value, 1, u64::from(datatype::INT32));
    put_number(&mut value, 3, code);
    let mut set = Vec::new();
    put_field(&mut set, 1, b"Quality");
    put_field(&mut set, 2, &value);
    set
}
