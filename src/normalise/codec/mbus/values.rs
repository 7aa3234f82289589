//! The value of a record, by its coding (EN 13757-3, data field of the DIF and annex A: types A to I).

use super::super::super::{
    payload::Reject,
    point::{Civil, Decimal, Key, Moment, Point, Sink, Value},
    quality::Quality,
};
use super::super::bits::{Bytes, HexText, bcd_le};
use super::super::malformed;
use super::record::{Head, Presence};
use super::vif::Kind;

/// Longest text, and twice as long in UTF-8.
const TEXT_BYTES_MAX: usize = 0xBF;
/// Most decimal places of an exact number, as everywhere: factors of ten add up over the VIFEs of a record, and what no
/// meter means must not be more than 128 bits can be divided by.
const PLACES_MAX: i8 = 18;

/// Takes a record's value and hands it over.
pub(super) fn hand_over<S: Sink>(
    head: &Head,
    data: &mut Bytes<'_>,
    sink: &mut S,
) -> Result<(), Reject> {
    let at = data.at();
    let raw = match head.coding {
        0x0 | 0x8 => return Ok(()),
        width @ (0x1..=0x4) => data.take(usize::from(width))?,
        0x5 => data.take(4)?,
        0x6 => data.take(6)?,
        0x7 => data.take(8)?,
        coding @ (0x9..=0xC) => data.take(usize::from(coding - 8))?,
        0xE => data.take(6)?,
        0xD => return variable(head, data, sink),
        coding => return Err(malformed(at, format_args!("coding {coding:X} of a DIF"))),
    };
    match head.coding {
        0x5 => sink.point(point(head, real(head, raw))),
        0x9..=0xC | 0xE if head.kind == Kind::Digits && head.presence == Presence::Present => {
            sink.point(point(head, Value::Text(HexText::of_le(raw).as_str())))
        }
        0x9..=0xC | 0xE => sink.point(digits(head, raw)),
        _ => sink.point(point(head, binary(head, raw))),
    }
}

fn point<'a>(head: &Head, value: Value<'a>) -> Point<'a> {
    let value = match head.presence {
        Presence::Present => value,
        Presence::Absent => Value::Missing,
    };
    Point {
        unit: head.unit,
        quality: head.quality,
        ..Point::new(Key::Code(head.place.code()), value)
    }
}

/// A whole number by a power of ten, exact unless it is beyond 64 bits or [`PLACES_MAX`].
pub(super) fn scaled(mantissa: i64, exponent: i8) -> Value<'static> {
    match u8::try_from(exponent) {
        Ok(0) => Value::Whole(mantissa),
        Ok(zeros) => {
            let whole = 10_i64
                .checked_pow(zeros.into())
                .and_then(|p| mantissa.checked_mul(p));
            let beyond = || Value::Real(mantissa as f64 * 10_f64.powi(zeros.into()));
            whole.map_or_else(beyond, Value::Whole)
        }
        Err(_) if exponent >= -PLACES_MAX => {
            Value::Decimal(Decimal::new(mantissa, exponent.unsigned_abs()))
        }
        Err(_) => Value::Real(mantissa as f64 / 10_f64.powi(exponent.unsigned_abs().into())),
    }
}

fn real(head: &Head, raw: &[u8]) -> Value<'static> {
    let bytes = raw.first_chunk().copied().unwrap_or_default();
    let real = f64::from(f32::from_le_bytes(bytes));
    let power = 10_f64.powi(i32::from(head.exponent.unsigned_abs()));
    Value::Real(if head.exponent < 0 {
        real / power
    } else {
        real * power
    })
}

/// Binary, least significant byte first. The most negative number is none.
fn binary(head: &Head, raw: &[u8]) -> Value<'static> {
    if head.kind == Kind::Calendar
        && let Some(value) = calendar(raw)
    {
        return value;
    }
    let mut wide = [0; 8];
    for (place, byte) in wide.iter_mut().zip(raw) {
        *place = *byte;
    }
    let unsigned = u64::from_le_bytes(wide);
    if matches!(head.kind, Kind::Bits | Kind::Digits) {
        return i64::try_from(unsigned).map_or(Value::Large(unsigned), Value::Whole);
    }
    let unused = 64_u32.saturating_sub(raw.iter().fold(0, |bits, _| bits + 8));
    let signed = unsigned.unbounded_shl(unused).cast_signed();
    if signed == i64::MIN {
        return Value::Missing;
    }
    scaled(signed.unbounded_shr(unused), head.exponent)
}

/// BCD, least significant byte first; a highest digit of F is a minus sign, all F is none.
fn digits(head: &Head, raw: &[u8]) -> Point<'static> {
    let mut bytes = [0; 6];
    for (place, byte) in bytes.iter_mut().zip(raw) {
        *place = *byte;
    }
    let bytes = bytes.get_mut(..raw.len()).unwrap_or_default();
    if let Some(magnitude) = bcd_le(bytes) {
        return point(head, scaled(magnitude, head.exponent));
    }
    let is_negative = bytes.last().is_some_and(|top| *top >= 0xF0);
    if let Some(top) = bytes.last_mut() {
        *top &= 0x0F;
    }
    match bcd_le(bytes) {
        Some(magnitude) if is_negative => point(head, scaled(-magnitude, head.exponent)),
        _ if raw.iter().all(|byte| *byte == 0xFF) => point(head, Value::Missing),
        _ => point(head, Value::Missing).quality(Quality::BAD),
    }
}

/// Of variable length: the first byte says how long and what.
fn variable<S: Sink>(head: &Head, data: &mut Bytes<'_>, sink: &mut S) -> Result<(), Reject> {
    let at = data.at();
    let lvar = data.u8()?;
    match lvar {
        0x00..=0xBF => text(head, data.take(usize::from(lvar))?, sink),
        0xC0..=0xC9 => sink.point(long_digits(head, data.take(usize::from(lvar - 0xC0))?, 1)),
        0xD0..=0xD9 => sink.point(long_digits(head, data.take(usize::from(lvar - 0xD0))?, -1)),
        0xE0..=0xEF => {
            let raw = data.take(usize::from(lvar - 0xE0))?;
            sink.point(point(
                head,
                if raw.len() <= 8 {
                    binary(head, raw)
                } else {
                    Value::Bytes(raw)
                },
            ))
        }
        0xF0..=0xF4 => {
            let raw = data.take(usize::from(lvar - 0xEC) * 4)?;
            sink.point(point(head, Value::Bytes(raw)))
        }
        0xF5 | 0xF6 => {
            let raw = data.take(if lvar == 0xF5 { 48 } else { 64 })?;
            sink.point(point(head, Value::Bytes(raw)))
        }
        _ => Err(malformed(
            at,
            format_args!("length {lvar:02X} of variable data"),
        )),
    }
}

fn long_digits<'a>(head: &Head, raw: &[u8], sign: i64) -> Point<'a> {
    match bcd_le(raw) {
        Some(magnitude) => point(head, scaled(sign * magnitude, head.exponent)),
        None => point(head, Value::Missing).quality(Quality::BAD),
    }
}

/// Text of ISO 8859-1, its last character first.
fn text<S: Sink>(head: &Head, raw: &[u8], sink: &mut S) -> Result<(), Reject> {
    let mut utf8 = [0; TEXT_BYTES_MAX * 2];
    let mut len = 0;
    for byte in raw.iter().rev() {
        let room = utf8.get_mut(len..len + 2).unwrap_or_default();
        if room.len() == 2 {
            len += char::from(*byte).encode_utf8(room).len();
        }
    }
    let text = std::str::from_utf8(utf8.get(..len).unwrap_or_default()).unwrap_or_default();
    sink.point(point(head, Value::Text(text.trim_matches(['\0', ' ']))))
}

/// A calendar by its width: type G, J, F or I; none for another width.
fn calendar(raw: &[u8]) -> Option<Value<'static>> {
    let civil = match *raw {
        [day, month] => date(day, month, 0, (0, 0, 0)),
        [second, minute, hour] => {
            let seconds = i64::from(hour & 0x1F) * 3_600 + i64::from(minute & 0x3F) * 60;
            let second = i64::from(second & 0x3F);
            let is_clock = hour & 0x1F < 24 && minute & 0x3F < 60 && second < 60;
            let value = Value::Whole(seconds + second);
            return Some(if is_clock { value } else { Value::Missing });
        }
        [minute, hour, day, month] if minute & 0x80 == 0 => {
            date(day, month, hour >> 5 & 3, (hour & 0x1F, minute & 0x3F, 0))
        }
        [second, minute, hour, day, month, _week] if minute & 0x80 == 0 => {
            date(day, month, 1, (hour & 0x1F, minute & 0x3F, second & 0x3F))
        }
        [_, _, _, _] | [_, _, _, _, _, _] => None,
        _ => return None,
    };
    let time = civil.map(|civil| Value::Time(Moment::Local(civil)));
    Some(time.unwrap_or(Value::Missing))
}

/// A date whose year is shared by the high bits of its two bytes. Without a century, years up to 80 are of this one.
fn date(day: u8, month: u8, hundreds: u8, clock: (u8, u8, u8)) -> Option<Civil> {
    let years = u16::from(month >> 4) << 3 | u16::from(day >> 5);
    let century = match hundreds {
        0 if years <= 80 => 2000,
        hundreds => 1900 + 100 * u16::from(hundreds),
    };
    let year = century + years;
    (years < 100).then_some(())?;
    Civil::new((year, month & 0x0F, day & 0x1F), clock)
}
