//! One element of a data field, read as its identifier says and handed to the sink. The bytes are those of the frame less
//! 33H each.

use super::super::super::{
    payload::Reject,
    point::{Civil, Decimal, Key, Moment, Point, Sink, Value},
    quality::Quality,
};
use super::super::bits::{HexText, bcd, bcd_le, gb18030};
use super::items::{Item, Kind, Sign};

/// Width of one number of a series.
const SERIES_BYTES: usize = 4;

/// Hands over an element.
pub(super) fn hand_over<S: Sink>(
    code: u64,
    item: Item,
    raw: &[u8],
    sink: &mut S,
) -> Result<(), Reject> {
    let point = |value| Point {
        unit: item.unit,
        ..Point::new(Key::Code(code), value)
    };
    let moment = |time: Option<Civil>| {
        let value = time.map_or(Value::Missing, |time| Value::Time(Moment::Local(time)));
        Point::new(Key::Code(code), value)
    };
    match item.kind {
        Kind::Number(places, sign) => sink.point(number(point(Value::Missing), raw, places, sign)),
        Kind::Demand(sign) => {
            let (value, time) = raw.split_at_checked(3).unwrap_or_default();
            let mut reached = number(point(Value::Missing), value, 4, sign);
            reached.time = minute(time).map(Moment::Local);
            sink.point(reached)
        }
        Kind::Series(sign) => {
            for (place, raw) in (0_u64..).zip(raw.chunks_exact(SERIES_BYTES)) {
                let mut one = number(point(Value::Missing), raw, 2, sign);
                one.key = Key::Code(code | place << 32);
                sink.point(one)?;
            }
            Ok(())
        }
        Kind::Bits => sink.point(point(Value::Whole(whole_le(raw)))),
        Kind::Date => sink.point(moment(day(raw))),
        Kind::Clock => sink.point(clock(code, raw)),
        Kind::Minute => sink.point(moment(minute(raw))),
        Kind::Second => sink.point(moment(second(raw))),
        Kind::Digits => sink.point(point(Value::Text(HexText::of_le(raw).as_str()))),
        Kind::Text => text(code, raw, sink),
        Kind::Raw => sink.point(point(Value::Bytes(raw))),
    }
}

/// A number of BCD; all FF says that there is none, and digits that are none spoil this element only.
fn number<'a>(point: Point<'a>, raw: &[u8], places: u8, sign: Sign) -> Point<'a> {
    let mut digits = [0; 9];
    let width = raw.len();
    for (place, byte) in digits.iter_mut().zip(raw) {
        *place = *byte;
    }
    let digits = digits.get_mut(..width).unwrap_or_default();
    let mut negative = false;
    if let (Sign::TopBit, Some(top)) = (sign, digits.last_mut()) {
        negative = *top & 0x80 != 0;
        *top &= 0x7F;
    }
    match bcd_le(digits) {
        Some(magnitude) if !raw.is_empty() && width <= 9 => {
            let mantissa = if negative { -magnitude } else { magnitude };
            let value = match places {
                0 => Value::Whole(mantissa),
                _ => Value::Decimal(Decimal::new(mantissa, places)),
            };
            Point { value, ..point }
        }
        _ if raw.iter().all(|byte| *byte == 0xFF) => point,
        _ => point.quality(Quality::BAD),
    }
}

/// Binary, least significant byte first; the widest word has 4 bytes, a profile may have up to 7.
fn whole_le(raw: &[u8]) -> i64 {
    raw.iter()
        .rev()
        .fold(0, |word: i64, byte| word.wrapping_shl(8) | i64::from(*byte))
}

fn year(byte: u8) -> Option<u16> {
    Some(2000 + u16::from(bcd(byte)?))
}

fn day(raw: &[u8]) -> Option<Civil> {
    let &[_week_day, day, month, years] = raw else {
        return None;
    };
    Civil::new((year(years)?, bcd(month)?, bcd(day)?), (0, 0, 0))
}

fn minute(raw: &[u8]) -> Option<Civil> {
    let &[minute, hour, day, month, years] = raw else {
        return None;
    };
    let date = (year(years)?, bcd(month)?, bcd(day)?);
    Civil::new(date, (bcd(hour)?, bcd(minute)?, 0))
}

fn second(raw: &[u8]) -> Option<Civil> {
    let &[second, minute, hour, _week_day, day, month, years] = raw else {
        return None;
    };
    let date = (year(years)?, bcd(month)?, bcd(day)?);
    Civil::new(date, (bcd(hour)?, bcd(minute)?, bcd(second)?))
}

fn clock(code: u64, raw: &[u8]) -> Point<'static> {
    let of_day = || {
        let &[second, minute, hour] = raw else {
            return None;
        };
        let (hour, minute, second) = (bcd(hour)?, bcd(minute)?, bcd(second)?);
        (hour < 24 && minute < 60 && second < 60)
            .then(|| i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second))
    };
    let value = of_day().map_or(Value::Missing, Value::Whole);
    Point::new(Key::Code(code), value).unit("s")
}

/// Text stands with its last character first, filled with NUL or spaces in front.
fn text<S: Sink>(code: u64, raw: &[u8], sink: &mut S) -> Result<(), Reject> {
    let mut turned = [0; 256];
    for (place, byte) in turned.iter_mut().zip(raw.iter().rev()) {
        *place = *byte;
    }
    let turned = turned.get(..raw.len()).unwrap_or_default();
    let filled = turned.iter().take_while(|byte| **byte == 0).count();
    let text = gb18030(turned.get(filled..).unwrap_or_default());
    sink.point(Point::new(Key::Code(code), Value::Text(text.trim())))
}
