//! Numbers as times: counts since 1970, and numbers whose digits are a date.

use super::super::point::{Decimal, Value};
use crate::domain::UnixNanos;

/// Decimal places of a number that are kept.
const PLACES_MAX: u32 = 18;

/// A number that is not negative: `whole + part / 10^places`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Amount {
    whole: u64,
    part: u64,
    places: u32,
}

impl Amount {
    pub(super) fn of(value: Value<'_>) -> Option<Self> {
        let of_whole = |whole| Self {
            whole,
            part: 0,
            places: 0,
        };
        match value {
            Value::Whole(number) => u64::try_from(number).ok().map(of_whole),
            Value::Large(number) => Some(of_whole(number)),
            Value::Decimal(number) => Self::of_decimal(number),
            Value::Real(number) => Self::of_real(number),
            Value::Text(text) => Self::of_text(text.trim_ascii()),
            Value::Missing | Value::Bool(_) | Value::Bytes(_) | Value::Time(_) => None,
        }
    }

    fn of_decimal(number: Decimal) -> Option<Self> {
        let mantissa = u64::try_from(number.mantissa).ok()?;
        let places = u32::from(number.places);
        let cut = 10_u64.checked_pow(places.saturating_sub(PLACES_MAX));
        let mantissa = cut.map_or(0, |cut| mantissa / cut);
        let places = places.min(PLACES_MAX);
        let one = 10_u64.pow(places);
        Some(Self {
            whole: mantissa / one,
            part: mantissa % one,
            places,
        })
    }

    fn of_real(number: f64) -> Option<Self> {
        /// 2^64, the first that does not fit.
        const END: f64 = 18_446_744_073_709_551_616.0;
        if !(0.0..END).contains(&number) {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the range is checked; what lies below a nanosecond goes"
        )]
        let (whole, part) = (number as u64, (number.fract() * 1e9).round() as u64);
        Some(Self {
            whole,
            part,
            places: 9,
        })
    }

    /// Digits, and digits behind a point if there is one.
    fn of_text(text: &str) -> Option<Self> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !is_digits(whole) || !is_digits(part) {
            return None;
        }
        let kept = part.get(..PLACES_MAX as usize).unwrap_or(part);
        Some(Self {
            whole: whole.parse().ok()?,
            part: kept.parse().ok()?,
            places: u32::try_from(kept.len()).ok()?,
        })
    }

    /// As nanoseconds, of a unit of so many each; what lies below one is cut. None behind 2554.
    pub(super) fn nanos(self, each: u64) -> Option<UnixNanos> {
        let part = u128::from(self.part) * u128::from(each) / 10_u128.pow(self.places);
        let nanos = self.whole.checked_mul(each)?;
        Some(UnixNanos(nanos.checked_add(u64::try_from(part).ok()?)?))
    }

    /// Nanoseconds of the unit in which a count since 1970 is a time of these decades.
    pub(super) fn likely_unit(self) -> u64 {
        match self.whole {
            0..100_000_000_000 => 1_000_000_000,
            100_000_000_000..100_000_000_000_000 => 1_000_000,
            100_000_000_000_000..100_000_000_000_000_000 => 1_000,
            _ => 1,
        }
    }

    /// Itself, where it has no fraction.
    pub(super) fn whole(self) -> Option<u64> {
        (self.part == 0).then_some(self.whole)
    }
}

/// A time and a count of units of so many nanoseconds each, which may be negative.
pub(super) fn from(time: UnixNanos, count: Value<'_>, each: u64) -> Option<UnixNanos> {
    if let Some(amount) = Amount::of(count) {
        let later = amount.nanos(each)?;
        return time.0.checked_add(later.0).map(UnixNanos);
    }
    let positive = match count {
        Value::Whole(number) => Value::Large(number.unsigned_abs()),
        Value::Decimal(number) => {
            Value::Decimal(Decimal::new(number.mantissa.checked_neg()?, number.places))
        }
        Value::Real(number) => Value::Real(-number),
        Value::Text(text) => Value::Text(text.trim_ascii().strip_prefix('-')?),
        _ => return None,
    };
    let earlier = Amount::of(positive)?.nanos(each)?;
    time.0.checked_sub(earlier.0).map(UnixNanos)
}

/// The decimal digits of a number.
pub(super) fn decimal(number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut left = number;
    let mut len = 0;
    for place in digits.iter_mut().rev() {
        *place = b'0' + u8::try_from(left % 10).unwrap_or_default();
        left /= 10;
        len += 1;
        if left == 0 {
            break;
        }
    }
    digits.get(20 - len..).unwrap_or_default()
}
