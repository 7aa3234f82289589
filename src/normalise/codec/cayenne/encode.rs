//! The way back: every channel and type that the report names, in its order; parts that it does not name are 0.

use super::{
    super::{
        super::point::{Decimal, Moment, OwnedKey, Value},
        encoding::{Encoder, Report},
    },
    Cayenne,
    types::{self, Form, Part},
};

impl Encoder for Cayenne {
    fn encode(&self, report: &Report<'_>) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        let mut last = None;
        let mut parts_at = 0;
        for (key, value) in report.points {
            let OwnedKey::Code(code) = key else {
                return Err(format!("{key:?} is no key of this format"));
            };
            let [.., channel, id, place] = code.to_be_bytes();
            let kind = types::find(id).ok_or_else(|| format!("type {id} is not known"))?;
            let place = usize::from(place);
            let part = kind
                .parts
                .get(place)
                .ok_or_else(|| format!("{} has no part {place}", kind.name))?;
            // Parts of one value follow each other; the first part anew begins the next value.
            if last.is_none_or(|(element, before)| element != code >> 8 || before >= place) {
                out.extend([channel, id]);
                parts_at = out.len();
                let all: usize = kind.parts.iter().map(|part| usize::from(part.bytes)).sum();
                out.resize(parts_at + all, 0);
            }
            last = Some((code >> 8, place));
            let before = kind.parts.iter().take(place);
            let at = parts_at + before.map(|part| usize::from(part.bytes)).sum::<usize>();
            let raw = raw_of(part, *value).map_err(|e| format!("{}: {e}", kind.name))?;
            let places = out.iter_mut().skip(at).zip(raw);
            places.for_each(|(place, byte)| *place = byte);
        }
        Ok(out)
    }
}

/// The bytes of a value; steps between the format's own are rounded.
fn raw_of(part: &Part, value: Value<'_>) -> Result<Vec<u8>, String> {
    let width = usize::from(part.bytes);
    let (times, places) = match part.form {
        Form::Unsigned { times, places } => (times, places),
        Form::Signed { places } => (1, places),
        Form::Seconds => (1, 0),
    };
    let power = 10_f64.powi(i32::from(places));
    let raw = match value {
        Value::Bool(value) => f64::from(u8::from(value)),
        Value::Whole(value) => value as f64 * power / times as f64,
        Value::Decimal(Decimal { mantissa, places }) => {
            mantissa as f64 / 10_f64.powi(i32::from(places)) * power / times as f64
        }
        Value::Real(value) => value * power / times as f64,
        Value::Time(Moment::Unix(time)) => (time.0 / 1_000_000_000) as f64,
        other => return Err(format!("{other:?} is not written in this format")),
    }
    .round();
    let bits = 8 * i32::from(part.bytes);
    let (low, high) = match part.form {
        Form::Signed { .. } => (-2_f64.powi(bits - 1), 2_f64.powi(bits - 1) - 1.0),
        _ => (0.0, 2_f64.powi(bits) - 1.0),
    };
    if !(low..=high).contains(&raw) {
        return Err(format!("{raw} does not fit {width} bytes"));
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "within 32 bits by the line above"
    )]
    let bytes = (raw as i64).to_be_bytes();
    Ok(bytes.iter().copied().skip(8 - width).collect())
}
