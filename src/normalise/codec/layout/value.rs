//! What single numbers and times come to on their way to the sink.

use super::{
    super::super::point::{Civil, Decimal, Moment, Value},
    compile::MANGLED_MAX,
    options::{Form, Sign},
    plan::{Field, Source},
    scalar::Kind,
};
use crate::domain::UnixNanos;

/// Bytes with a constant added to and combined with each; none if there is no room.
pub(super) fn mangled<'r>(
    raw: &[u8],
    (add, xor): (u8, u8),
    room: &'r mut [u8; MANGLED_MAX],
) -> Option<&'r [u8]> {
    let room = room.get_mut(..raw.len())?;
    for (place, byte) in room.iter_mut().zip(raw) {
        *place = byte.wrapping_add(add) ^ xor;
    }
    Some(room)
}

/// Whether the bytes are among those that mean "no value".
#[inline]
pub(super) fn is_fill(field: &Field, raw: &[u8]) -> bool {
    let matches = |fill: &[u8]| match fill.len() < raw.len() {
        true => raw.chunks(fill.len()).all(|chunk| fill.starts_with(chunk)),
        false => raw == fill,
    };
    !raw.is_empty() && field.missing_bytes.iter().any(|fill| matches(fill))
}

/// What bits and sign make of a word.
#[inline]
pub(super) fn with_bits(field: &Field, word: i128) -> i128 {
    let is_int_signed = matches!(&field.source, Source::Wire(Kind::Int(int), _) if int.is_signed);
    let (taken, width) = match (field.bits, &field.source) {
        (Some((shift, width)), _) => (word >> shift & ((1 << width) - 1), u32::from(width)),
        (None, Source::Wire(Kind::Int(int), _)) if field.sign.is_some() => {
            let width = u32::from(int.bytes) * 8;
            (word & ((1 << width) - 1), width)
        }
        _ => return word,
    };
    let unused = 128 - width;
    match field.sign {
        Some(Sign::Bit) => {
            let top = 1_i128 << (width - 1);
            let magnitude = taken & (top - 1);
            if taken & top == 0 {
                magnitude
            } else {
                -magnitude
            }
        }
        Some(_) => taken << unused >> unused,
        None if is_int_signed => taken << unused >> unused,
        None => taken,
    }
}

/// The value of a raw number; none if it leaves what a value can hold.
#[inline]
pub(super) fn formed(field: &Field, number: i128) -> Option<Value<'static>> {
    let number = number
        .checked_sub(i128::from(field.sub))?
        .checked_mul(i128::from(field.times))?;
    match field.form {
        Form::Bool => Some(Value::Bool(number != 0)),
        Form::Not => Some(Value::Bool(number == 0)),
        Form::UnixS => unix(number, 1_000_000_000),
        Form::UnixMs => unix(number, 1_000_000),
        _ if field.decimals > 0 => {
            let mantissa = i64::try_from(number).ok()?;
            Some(Value::Decimal(Decimal::new(mantissa, field.decimals)))
        }
        _ => match i64::try_from(number) {
            Ok(number) => Some(Value::Whole(number)),
            Err(_) => u64::try_from(number).ok().map(Value::Large),
        },
    }
}

/// A time in nanoseconds of a number of larger steps.
pub(super) fn unix(number: i128, nanos: i128) -> Option<Value<'static>> {
    let nanos = u64::try_from(number.checked_mul(nanos)?).ok()?;
    Some(Value::Time(Moment::Unix(UnixNanos(nanos))))
}

/// So many seconds later; none before 1970.
pub(super) fn shifted(moment: Moment, seconds: i64) -> Option<Moment> {
    if seconds == 0 {
        return Some(moment);
    }
    match moment {
        Moment::Unix(UnixNanos(nanos)) => {
            let later = i128::from(nanos) + i128::from(seconds) * 1_000_000_000;
            u64::try_from(later)
                .ok()
                .map(|nanos| Moment::Unix(UnixNanos(nanos)))
        }
        Moment::Local(civil) if seconds > 0 => {
            Some(Moment::Local(civil.plus_seconds(seconds.unsigned_abs())))
        }
        Moment::Local(civil) => {
            let since = civil.at(0)?.0 / 1_000_000_000;
            let earlier = since.checked_add_signed(seconds)?;
            Civil::new((1970, 1, 1), (0, 0, 0))
                .map(|epoch| Moment::Local(epoch.plus_seconds(earlier)))
        }
    }
}
