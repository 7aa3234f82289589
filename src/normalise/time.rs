//! Observed times as devices write them: RFC 3339 text with an offset, or Unix milliseconds.

use super::scan::Number;
use crate::domain::UnixNanos;

const NANOS_PER_SECOND: u64 = 1_000_000_000;
/// 2^64, the first number of nanoseconds that does not fit.
const NANOS_END: f64 = 18_446_744_073_709_551_616.0;

/// RFC 3339 text; none if it is not, or lies before 1970 or behind 2554. Digits behind the ninth of a fraction are cut;
/// a leap second counts as the second after it, as in Unix time.
pub(super) fn from_text(text: &str) -> Option<UnixNanos> {
    let bytes = text.as_bytes();
    let (date, rest) = bytes.split_at_checked(10)?;
    let (clock, rest) = rest.split_at_checked(9)?;
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = date else {
        return None;
    };
    let &[b'T' | b't' | b' ', h1, h2, b':', n1, n2, b':', s1, s2] = clock else {
        return None;
    };
    let year = two(y1, y2)? * 100 + two(y3, y4)?;
    let (month, day) = (two(m1, m2)?, two(d1, d2)?);
    let (hour, minute, second) = (two(h1, h2)?, two(n1, n2)?, two(s1, s2)?);
    if !(1..=days_in(year, month)?).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (nanos, zone) = fraction(rest)?;
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    let seconds = u64::try_from(seconds - offset(zone)?).ok()?;
    let nanos = seconds.checked_mul(NANOS_PER_SECOND)?.checked_add(nanos)?;
    Some(UnixNanos(nanos))
}

/// Unix milliseconds; a fraction goes down to nanoseconds. None if negative or behind 2554.
pub(super) fn from_millis(number: Number<'_>) -> Option<UnixNanos> {
    if number.whole {
        let millis: u64 = number.text.parse().ok()?;
        return millis.checked_mul(1_000_000).map(UnixNanos);
    }
    let nanos = number.text.parse::<f64>().ok()? * 1e6;
    if !(0.0..NANOS_END).contains(&nanos) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked; the fraction of a nanosecond goes"
    )]
    let nanos = nanos as u64;
    Some(UnixNanos(nanos))
}

fn two(tens: u8, ones: u8) -> Option<i64> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| i64::from(byte - b'0'));
    Some(digit(tens)? * 10 + digit(ones)?)
}

/// Nanoseconds of a fraction, if there is one, and what stands behind it.
fn fraction(rest: &[u8]) -> Option<(u64, &[u8])> {
    let Some(digits) = rest.strip_prefix(b".") else {
        return Some((0, rest));
    };
    let count = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let (digits, zone) = digits.split_at_checked(count)?;
    if digits.is_empty() {
        return None;
    }
    let nanos = (0..9).fold(0, |nanos, place| {
        nanos * 10 + u64::from(digits.get(place).map_or(0, |digit| digit - b'0'))
    });
    Some((nanos, zone))
}

/// Seconds east of UTC.
fn offset(zone: &[u8]) -> Option<i64> {
    match *zone {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (two(h1, h2)?, two(m1, m2)?);
            let seconds = hours * 3_600 + minutes * 60;
            let known = hours <= 23 && minutes <= 59;
            known.then_some(if sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

fn days_in(year: i64, month: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 => Some(if leap { 29 } else { 28 }),
        _ => None,
    }
}

/// Days from 1970-01-01 in the Gregorian calendar, counted in years that begin in March.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year
        - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

    use super::*;

    #[test]
    fn times_of_the_field_are_read() {
        for (text, nanos) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-11-23T08:00:00+08:00", 1_795_392_000_000_000_000),
            ("2026-11-23 00:00:00.5z", 1_795_392_000_500_000_000),
            ("2026-11-23T00:00:00.1234567899Z", 1_795_392_000_123_456_789),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000_000_000),
            ("1969-12-31T16:00:01-08:00", 1_000_000_000),
        ] {
            assert_eq!(from_text(text), Some(UnixNanos(nanos)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2026-11-23",
            "2026-11-23T00:00:00",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-11-23T24:00:00Z",
            "2026-11-23T00:00:00.Z",
            "2026-11-23T00:00:00+8:00",
            "2026-11-23T00:00:00+0800",
            "20261123T000000Z",
            "1969-12-31T23:59:59Z",
            "9999-01-01T00:00:00Z",
            "2026-11-23T00:00:00Zx",
            "2026-00-10T00:00:00Z",
            "二〇二六年",
        ] {
            assert_eq!(from_text(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_time_reads_as_the_time_crate_reads_it(
            nanos in 86_400_000_000_000..=18_000_000_000_000_000_000_u64, hours in -23_i8..=23,
        ) {
            let zone = UtcOffset::from_hms(hours, 0, 0).unwrap();
            let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(nanos)).unwrap();
            let text = time.to_offset(zone).format(&Rfc3339).unwrap();
            prop_assert_eq!(from_text(&text), Some(UnixNanos(nanos)), "{}", text);
        }

        #[test]
        fn no_text_panics(text in "[0-9TZ:.+-]{0,30}|\\PC{0,30}") {
            let _read = from_text(&text);
        }
    }
}
