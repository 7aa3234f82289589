//! Numbers and simple values as their heads write them.

use super::{
    super::{
        super::{payload::Reject, point::Value},
        malformed,
        pointer::Sign,
        unsupported,
    },
    reader::Head,
};

pub(super) fn whole(number: u64) -> Value<'static> {
    i64::try_from(number).map_or(Value::Large(number), Value::Whole)
}

/// -1 - number.
pub(super) fn negative(number: u64) -> Value<'static> {
    match i64::try_from(number) {
        Ok(number) => Value::Whole(-1 - number),
        Err(_beyond) => Value::Real(-1.0 - as_real(number)),
    }
}

#[expect(clippy::cast_precision_loss, reason = "the nearest double is wanted")]
pub(super) const fn as_real(number: u64) -> f64 {
    number as f64
}

pub(super) fn big(bytes: &[u8], sign: Sign) -> Value<'static> {
    let digits = bytes
        .iter()
        .position(|byte| *byte != 0)
        .unwrap_or(bytes.len());
    let bytes = bytes.get(digits..).unwrap_or_default();
    if bytes.len() <= 8 {
        let number = bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte));
        return match sign {
            Sign::Minus => negative(number),
            Sign::Plus => whole(number),
        };
    }
    let size = bytes
        .iter()
        .fold(0.0, |size, byte| size * 256.0 + f64::from(*byte));
    negated(Value::Real(size), sign)
}

pub(super) fn negated(value: Value<'static>, sign: Sign) -> Value<'static> {
    match value {
        Value::Real(real) if sign == Sign::Minus => Value::Real(-real),
        other => other,
    }
}

pub(super) const LENGTHENED: &str = "a simple value in a longer form than allowed";

/// RFC 8949, clause 3.3: simple values below 32 take one byte.
pub(super) const fn is_lengthened(head: Head) -> bool {
    head.info == 24 && head.number < 32
}

#[inline]
pub(super) fn simple(at: usize, head: Head) -> Result<Value<'static>, Reject> {
    Ok(match (head.info, head.number) {
        (20, _) => Value::Bool(false),
        (21, _) => Value::Bool(true),
        (22 | 23, _) => Value::Missing,
        (25, bits) => Value::Real(half(bits)),
        (26, bits) => Value::Real(f64::from(f32::from_bits(
            u32::try_from(bits).unwrap_or_default(),
        ))),
        (27, bits) => Value::Real(f64::from_bits(bits)),
        _ if is_lengthened(head) => return Err(malformed(at, LENGTHENED)),
        _ => {
            return Err(unsupported(format_args!(
                "byte {at}: simple value {}",
                head.number
            )));
        }
    })
}

/// A float of 16 bits: one of sign, five of exponent, ten of fraction.
fn half(bits: u64) -> f64 {
    let exponent = i32::try_from(bits >> 10 & 0x1F).unwrap_or_default();
    let fraction = as_real(bits & 0x3FF);
    let size = match exponent {
        0 => fraction * 2_f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (fraction + 1_024.0) * 2_f64.powi(exponent - 25),
    };
    if bits >> 15 & 1 == 1 { -size } else { size }
}
