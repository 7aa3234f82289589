//! One value of a reply.

use super::super::super::{
    payload::Reject,
    point::{Decimal, Key, Point, Sink, Value},
    quality::Quality,
};
use super::super::bits::{bcd_be, gb18030};
use super::map::{Field, Form, Order};

/// Bytes of a value at most.
const BYTES_MAX: usize = 250;

/// Hands over a bit of coils or inputs; nothing if there are fewer.
pub(super) fn coil<S: Sink>(field: Field, values: &[u8], sink: &mut S) -> Result<(), Reject> {
    let Some(byte) = values.get(field.at / 8) else {
        return Ok(());
    };
    let is_on = byte >> (field.at % 8) & 1 == 1;
    sink.point(Point::new(Key::Code(field.code), Value::Bool(is_on)))
}

/// Hands over a value of registers; nothing if there are fewer.
pub(super) fn register<S: Sink>(field: Field, values: &[u8], sink: &mut S) -> Result<(), Reject> {
    let Some(raw) = values
        .get(field.at..)
        .and_then(|raw| raw.get(..field.bytes))
    else {
        return Ok(());
    };
    let key = Key::Code(field.code);
    if field.form == Form::Text {
        let mut bytes = [0; BYTES_MAX];
        arrange(raw, field.order, &mut bytes);
        let text = gb18030(bytes.get(..raw.len()).unwrap_or_default());
        return sink.point(Point::new(key, Value::Text(text.trim())));
    }
    let mut bytes = [0; 8];
    let (_, low) = bytes.split_at_mut(8_usize.saturating_sub(raw.len()));
    arrange(raw, field.order, low);
    if field.form == Form::Bcd {
        return sink.point(match bcd_be(&bytes) {
            Some(mantissa) => Point::new(key, decimal(mantissa, field.places)),
            None if raw.iter().all(|byte| *byte == 0xFF) => Point::new(key, Value::Missing),
            None => Point::new(key, Value::Missing).quality(Quality::BAD),
        });
    }
    sink.point(Point::new(key, number(field, bytes)))
}

/// Puts the bytes of a value in order, most significant first.
pub(super) fn arrange(raw: &[u8], order: Order, into: &mut [u8]) {
    let from_last = matches!(order, Order::Cdab | Order::Dcba);
    let changed_over = matches!(order, Order::Badc | Order::Dcba);
    let words = raw.len() / 2;
    for (place, word) in into.chunks_exact_mut(2).take(words).enumerate() {
        let from = if from_last { words - 1 - place } else { place };
        if let Some(pair) = raw.get(from * 2..from * 2 + 2) {
            word.copy_from_slice(pair);
        }
        if changed_over {
            word.reverse();
        }
    }
}

fn decimal(mantissa: i64, places: u8) -> Value<'static> {
    match places {
        0 => Value::Whole(mantissa),
        _ => Value::Decimal(Decimal::new(mantissa, places)),
    }
}

/// A number of up to 64 bits, filled with zeros in front.
fn number(field: Field, bytes: [u8; 8]) -> Value<'static> {
    let [.., a, b, c, d] = bytes;
    let whole = match field.form {
        Form::F32 => return Value::Real(f64::from(f32::from_be_bytes([a, b, c, d]))),
        Form::F64 => return Value::Real(f64::from_be_bytes(bytes)),
        Form::Bool => return Value::Bool(u16::from_be_bytes([c, d]) >> field.shift & 1 == 1),
        Form::Bits => {
            let mask = u32::MAX.unbounded_shr(32 - u32::from(field.width));
            i64::from(u32::from(u16::from_be_bytes([c, d]) >> field.shift) & mask)
        }
        Form::I16 => i64::from(i16::from_be_bytes([c, d])),
        Form::I32 => i64::from(i32::from_be_bytes([a, b, c, d])),
        Form::I64 => i64::from_be_bytes(bytes),
        Form::U64 => {
            let large = u64::from_be_bytes(bytes);
            match i64::try_from(large) {
                Ok(whole) => whole,
                Err(_) if field.places == 0 => return Value::Large(large),
                // beyond what a decimal holds: the nearest number
                Err(_) => return Value::Real(large as f64 / 10_f64.powi(field.places.into())),
            }
        }
        Form::U16 | Form::U32 | Form::Bcd | Form::Text => i64::from_be_bytes(bytes),
    };
    decimal(whole, field.places)
}
