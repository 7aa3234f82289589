//! Times as platforms and devices write them into trees.
//!
//! | written as | example | read as |
//! |---|---|---|
//! | number, or text of 9 digits and more | `1524448722000` | Unix time in `time_unit` |
//! | RFC 3339 | `2021-08-13T10:10:10.555Z`, a blank for the T | point in time |
//! | ISO 8601, basic | `20151212T121212Z`, `20151212T201212.5+0800` | point in time |
//! | either without a zone | `2021-08-13 18:10:10`, `20151212T201212` | calendar of the profile's zone |
//! | 14 digits of text | `20240123101501`, 17 with milliseconds | calendar of the profile's zone |

use super::super::super::{
    point::{Civil, Decimal, Moment, Value},
    time,
};
use crate::domain::UnixNanos;

/// What a number counts from 1970 on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TimeUnit {
    S,
    /// What the platforms write.
    #[default]
    Ms,
    Us,
    Ns,
    /// By the size of the number: whichever unit puts it between 1973 and 5138.
    Auto,
}

impl TimeUnit {
    const fn nanos(self, size: i128) -> i128 {
        match (self, size) {
            (Self::S, _) | (Self::Auto, ..100_000_000_000) => 1_000_000_000,
            (Self::Ms, _) | (Self::Auto, ..100_000_000_000_000) => 1_000_000,
            (Self::Us, _) | (Self::Auto, ..100_000_000_000_000_000) => 1_000,
            (Self::Ns | Self::Auto, _) => 1,
        }
    }
}

/// A value as a time; none if it is none from 1970 to 2554.
#[inline]
pub(crate) fn moment(value: Value<'_>, unit: TimeUnit) -> Option<Moment> {
    match value {
        Value::Time(time) => Some(time),
        Value::Text(text) => text_moment(text, unit),
        number => number_moment(number, unit).map(Moment::Unix),
    }
}

#[inline]
fn number_moment(value: Value<'_>, unit: TimeUnit) -> Option<UnixNanos> {
    let nanos = match value {
        Value::Whole(whole) => i128::from(whole) * unit.nanos(i128::from(whole)),
        Value::Large(whole) => i128::from(whole) * unit.nanos(i128::from(whole)),
        Value::Decimal(Decimal { mantissa, places }) => {
            let scale = 10_i128.checked_pow(u32::from(places))?;
            let mantissa = i128::from(mantissa);
            mantissa * unit.nanos(mantissa / scale) / scale
        }
        Value::Real(real) => real_nanos(real, unit)?,
        _ => return None,
    };
    u64::try_from(nanos).ok().map(UnixNanos)
}

/// A double of this size knows microseconds and not much more: what it says below them is its own noise.
fn real_nanos(real: f64, unit: TimeUnit) -> Option<i128> {
    if !(0.0..1e19).contains(&real) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "below 2^64")]
    let whole = real as i128;
    let per_unit = unit.nanos(whole);
    if per_unit < 1_000 {
        return Some(whole * per_unit);
    }
    #[expect(clippy::cast_precision_loss, reason = "at most 1e6")]
    let micros = (real.fract() * (per_unit / 1_000) as f64).round();
    #[expect(clippy::cast_possible_truncation, reason = "at most 1e6")]
    let micros = micros as i128;
    Some(whole * per_unit + micros * 1_000)
}

fn text_moment(text: &str, unit: TimeUnit) -> Option<Moment> {
    let text = text.trim_ascii();
    if let Some(time) = time::from_text(text) {
        return Some(Moment::Unix(time));
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits == text.len() && digits >= 9 && !matches!(digits, 14 | 17) {
        return number_moment(super::json::number_in_text(text)?, unit).map(Moment::Unix);
    }
    let (civil, zone) = calendar(text.as_bytes())?;
    match zone {
        b"" => Some(Moment::Local(civil)),
        zone => civil.at(east(zone)?).map(Moment::Unix),
    }
}

/// Date, clock and fraction in digits, and what stands behind them.
fn calendar(bytes: &[u8]) -> Option<(Civil, &[u8])> {
    let mut digits = [0; 14];
    let mut at = 0;
    for digit in &mut digits {
        let is_between = matches!(bytes.get(at), Some(b'-' | b':' | b'T' | b't' | b' ' | b'/'));
        at += usize::from(is_between && at > 0);
        let byte = bytes.get(at).filter(|byte| byte.is_ascii_digit())?;
        *digit = byte - b'0';
        at += 1;
    }
    let [y1, y2, y3, y4, m1, m2, d1, d2, h1, h2, n1, n2, s1, s2] = digits;
    let year = u16::from(y1 * 10 + y2) * 100 + u16::from(y3 * 10 + y4);
    let date = (year, m1 * 10 + m2, d1 * 10 + d2);
    let civil = Civil::new(date, (h1 * 10 + h2, n1 * 10 + n2, s1 * 10 + s2))?;
    let rest = bytes.get(at..)?;
    let (fraction, is_plain) = match rest {
        [b'.' | b',', fraction @ ..] => (fraction, false),
        fraction => (fraction, true),
    };
    let count = fraction
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if is_plain && !matches!(count, 0 | 3) || !is_plain && count == 0 {
        return None;
    }
    let nanos = (0..9).fold(0, |nanos, place| {
        let digit = fraction.get(place).filter(|_| place < count);
        nanos * 10 + digit.map_or(0, |digit| u32::from(digit - b'0'))
    });
    Some((civil.with_nanos(nanos)?, fraction.get(count..)?))
}

/// Seconds east of UTC: `Z`, `+0800`, `+08:00` or `+08`.
fn east(zone: &[u8]) -> Option<i32> {
    let number = |tens: u8, ones: u8| {
        let is_number = tens.is_ascii_digit() && ones.is_ascii_digit();
        is_number.then(|| i32::from(tens - b'0') * 10 + i32::from(ones - b'0'))
    };
    let (sign, hours, minutes) = match *zone {
        [b'Z' | b'z'] => return Some(0),
        [sign, h1, h2] => (sign, number(h1, h2)?, 0),
        [sign, h1, h2, m1, m2] | [sign, h1, h2, b':', m1, m2] => {
            (sign, number(h1, h2)?, number(m1, m2)?)
        }
        _ => return None,
    };
    let seconds = hours * 3_600 + minutes * 60;
    match sign {
        b'+' if hours <= 23 && minutes <= 59 => Some(seconds),
        b'-' if hours <= 23 && minutes <= 59 => Some(-seconds),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(text: &str) -> Option<u64> {
        match moment(Value::Text(text), TimeUnit::Ms)? {
            Moment::Unix(time) => Some(time.0),
            Moment::Local(_) => None,
        }
    }

    #[test]
    fn a_point_in_time_is_read_however_it_is_written() {
        let at = 1_449_922_332_000_000_000;
        for text in [
            "20151212T121212Z",
            "2015-12-12T12:12:12Z",
            "20151212T201212+0800",
            "2015-12-12 20:12:12+08:00",
            "20151212T201212.000+08",
            "1449922332000",
        ] {
            assert_eq!(unix(text), Some(at), "{text}");
        }
        assert_eq!(unix("20151212T121212.5Z"), Some(at + 500_000_000));
    }

    #[test]
    fn a_calendar_without_a_zone_is_left_to_the_profile() {
        let civil = Civil::new((2024, 1, 23), (10, 15, 1)).unwrap();
        for text in [
            "20240123101501",
            "2024-01-23 10:15:01",
            "2024/01/23 10:15:01",
            "20240123T101501",
        ] {
            let found = moment(Value::Text(text), TimeUnit::Ms);
            assert_eq!(found, Some(Moment::Local(civil)), "{text}");
        }
        let found = moment(Value::Text("20240123101501250"), TimeUnit::Ms);
        let civil = civil.with_nanos(250_000_000).unwrap();
        assert_eq!(found, Some(Moment::Local(civil)));
    }

    #[test]
    fn numbers_count_in_their_unit() {
        let of = |value, unit| moment(value, unit);
        let at = |nanos| Some(Moment::Unix(UnixNanos(nanos)));
        let second = 1_524_448_722;
        for (value, unit) in [
            (Value::Whole(second), TimeUnit::S),
            (Value::Whole(second * 1_000), TimeUnit::Ms),
            (Value::Whole(second), TimeUnit::Auto),
            (Value::Whole(second * 1_000), TimeUnit::Auto),
            (Value::Whole(second * 1_000_000), TimeUnit::Auto),
            (Value::Whole(second * 1_000_000_000), TimeUnit::Auto),
            (Value::Whole(second * 1_000_000), TimeUnit::Us),
            (Value::Decimal(Decimal::new(second * 10, 1)), TimeUnit::S),
            (Value::Real(1_524_448_722_000.0), TimeUnit::Ms),
        ] {
            assert_eq!(
                of(value, unit),
                at(1_524_448_722_000_000_000),
                "{value:?} {unit:?}"
            );
        }
        let real = Value::Real(1_276_020_076.001);
        assert_eq!(of(real, TimeUnit::S), at(1_276_020_076_001_000_000));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "now",
            "20151312T121212Z",
            "20151212T121212Q",
            "2015",
            "20240101",
            "-5",
            "2015-12-12T12:12:12.Z",
        ] {
            let found = moment(Value::Text(text), TimeUnit::Ms);
            assert_eq!(found, None, "{text}");
        }
        for value in [
            Value::Missing,
            Value::Bool(true),
            Value::Whole(-1),
            Value::Real(f64::NAN),
        ] {
            assert_eq!(moment(value, TimeUnit::Ms), None);
        }
        assert_eq!(moment(Value::Whole(i64::MAX), TimeUnit::S), None);
    }
}
