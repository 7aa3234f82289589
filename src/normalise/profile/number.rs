//! Numbers as they were written: whole, decimal, or already binary floating point.

use super::{
    super::point::{Decimal, Value},
    spec::Rounding,
};

/// Whole numbers up to this are doubles exactly: 2^53.
pub(super) const EXACT_MAX: u64 = 1 << 53;
/// Characters of a number that are read exactly.
const CHARACTERS_MAX: usize = 30;
/// Mantissas below this take one more digit.
const MANTISSA_MAX: i64 = i64::MAX / 10;
/// Powers of ten by their exponents, up to 10^18.
pub(super) const POWERS: [i64; 19] = [
    1,
    10,
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
    1_000_000_000,
    10_000_000_000,
    100_000_000_000,
    1_000_000_000_000,
    10_000_000_000_000,
    100_000_000_000_000,
    1_000_000_000_000_000,
    10_000_000_000_000_000,
    100_000_000_000_000_000,
    1_000_000_000_000_000_000,
];

/// A number before it is a double.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    /// `mantissa / 10^places`.
    Exact {
        mantissa: i64,
        places: u8,
    },
    /// A whole number beyond `i64`, for counters of 64 bits.
    Large(u64),
    Real(f64),
}

impl From<Decimal> for Number {
    fn from(decimal: Decimal) -> Self {
        Self::Exact {
            mantissa: decimal.mantissa,
            places: decimal.places,
        }
    }
}

impl Number {
    pub(super) const fn whole(mantissa: i64) -> Self {
        Self::Exact {
            mantissa,
            places: 0,
        }
    }

    /// A whole number that need not fit a word.
    pub(super) fn wide(whole: i128) -> Self {
        match (i64::try_from(whole), u64::try_from(whole)) {
            (Ok(whole), _) => Self::whole(whole),
            (_, Ok(large)) => Self::Large(large),
            _ => Self::Real(whole as f64),
        }
    }

    /// Mantissa and places.
    #[inline]
    pub(super) fn exact(self) -> Option<(i128, u8)> {
        match self {
            Self::Exact { mantissa, places } => Some((mantissa.into(), places)),
            Self::Large(whole) => Some((whole.into(), 0)),
            Self::Real(_) => None,
        }
    }

    /// As a codec would say it.
    pub(super) const fn value(self) -> Value<'static> {
        match self {
            Self::Exact {
                mantissa,
                places: 0,
            } => Value::Whole(mantissa),
            Self::Exact { mantissa, places } => Value::Decimal(Decimal::new(mantissa, places)),
            Self::Large(whole) => Value::Large(whole),
            Self::Real(number) => Value::Real(number),
        }
    }

    /// Reads decimal text: a sign, digits, a point, an exponent; blanks around it. None for anything else, names of
    /// numbers that are none included. What has more digits than a word is the nearest double, if it is not whole.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (negative, digits) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        let (mut mantissa, mut places, mut seen_point, mut seen_digit) =
            (0_i64, 0_u8, false, false);
        for (at, byte) in digits.iter().enumerate() {
            match byte {
                b'0'..=b'9' if at < CHARACTERS_MAX && mantissa < MANTISSA_MAX => {
                    mantissa = mantissa * 10 + i64::from(byte - b'0');
                    places += u8::from(seen_point);
                    seen_digit = true;
                }
                b'.' if !seen_point => seen_point = true,
                b'0'..=b'9' | b'e' | b'E' if seen_digit => return Self::long(text),
                _ => return None,
            }
        }
        let mantissa = if negative { -mantissa } else { mantissa };
        seen_digit.then_some(Self::Exact { mantissa, places })
    }

    /// A number with an exponent or many digits.
    #[cold]
    fn long(text: &str) -> Option<Self> {
        if let Ok(whole) = text.parse() {
            return Some(Self::wide(whole));
        }
        let number: f64 = text.parse().ok()?;
        number.is_finite().then_some(Self::Real(number))
    }

    pub(super) fn real(self) -> f64 {
        match self {
            Self::Exact { mantissa, places } => ratio(mantissa.into(), power(places)),
            Self::Large(whole) => whole as f64,
            Self::Real(number) => number,
        }
    }

    /// Whether two numbers are the same, however they are written.
    pub(super) fn is(self, other: Self) -> bool {
        if let (
            Self::Exact {
                mantissa: a,
                places: p,
            },
            Self::Exact {
                mantissa: b,
                places: q,
            },
        ) = (self, other)
            && p == q
        {
            return a == b;
        }
        match (self.exact(), other.exact()) {
            (Some((a, p)), Some((b, q))) => a.checked_mul(power(q)) == b.checked_mul(power(p)),
            _ => self.real().total_cmp(&other.real()).is_eq(),
        }
    }

    /// The whole number that this is, or is rounded to.
    pub(super) fn to_whole(self, rounding: Rounding) -> Option<i128> {
        match self {
            Self::Exact {
                mantissa,
                places: 0,
            } => Some(mantissa.into()),
            Self::Exact { mantissa, places } => divided(mantissa.into(), power(places), rounding),
            Self::Large(whole) => Some(whole.into()),
            Self::Real(number) => {
                let whole = match rounding {
                    Rounding::Nearest => number.round(),
                    Rounding::Exact => number,
                };
                // Beyond 2^63 no field takes it anyhow.
                let fits = whole.fract().abs() < f64::EPSILON && whole.abs() < 9.3e18;
                #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
                fits.then_some(whole as i128)
            }
        }
    }
}

pub(super) fn power(places: u8) -> i128 {
    match POWERS.get(usize::from(places)) {
        Some(power) => i128::from(*power),
        // Places come from at most 30 digits, or from a codec's table.
        None => 10_i128.pow(u32::from(places.min(38))),
    }
}

/// Correctly rounded where both are exact doubles, which decimal values of devices are.
#[inline]
pub(super) fn ratio(over: i128, under: i128) -> f64 {
    let exact = |number: i128| {
        i64::try_from(number)
            .ok()
            .filter(|n| n.unsigned_abs() <= EXACT_MAX)
    };
    if let (Some(over), Some(under)) = (exact(over), exact(under)) {
        return over as f64 / under as f64;
    }
    let (over, under) = reduced(over, under);
    over as f64 / under as f64
}

pub(super) fn reduced(over: i128, under: i128) -> (i128, i128) {
    let (mut a, mut b) = (over.unsigned_abs(), under.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    let divisor = i128::try_from(a).unwrap_or(1).max(1);
    (over / divisor, under / divisor)
}

pub(super) fn divided(over: i128, under: i128, rounding: Rounding) -> Option<i128> {
    if under == 1 {
        return Some(over);
    }
    // Words are divided ten times as fast.
    if let (Ok(over), Ok(under)) = (i64::try_from(over), i64::try_from(under)) {
        if over.checked_rem(under)? == 0 {
            return over.checked_div(under).map(i128::from);
        }
    } else if over % under == 0 {
        return Some(over / under);
    }
    match rounding {
        Rounding::Exact => None,
        Rounding::Nearest => {
            let half = under / 2;
            let away = if (over < 0) == (under < 0) {
                half
            } else {
                -half
            };
            Some(over.checked_add(away)? / under)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_that_are_no_numbers_are_none() {
        for text in [
            "", "-", ".", "NaN", "inf", "1e", "0x10", "1,5", "--1", "1.2.3", "N",
        ] {
            assert_eq!(Number::parse(text), None, "{text:?}");
        }
        assert!(
            Number::parse(" 12.50 ")
                .unwrap()
                .is(Number::parse("12.5").unwrap())
        );
        assert!(Number::parse("1e3").unwrap().is(Number::whole(1000)));
    }

    #[test]
    fn counters_of_64_bits_keep_their_last_digit() {
        for (text, wanted) in [
            ("18446744073709551615", i128::from(u64::MAX)),
            ("-9223372036854775808", i128::from(i64::MIN)),
            ("0000000000000000000000000000012", 12),
            ("9223372036854775808", 1 << 63),
        ] {
            let number = Number::parse(text).unwrap();
            assert_eq!(number.to_whole(Rounding::Exact), Some(wanted), "{text}");
            assert!(number.is(Number::wide(wanted)));
        }
        let long = Number::parse("0.12345678901234567891").unwrap();
        assert!(long.real().total_cmp(&0.123_456_789_012_345_68).is_eq());
    }

    #[test]
    fn a_whole_number_is_wanted_exactly_or_rounded() {
        let half = Number::parse("-2.5").unwrap();
        assert_eq!(half.to_whole(Rounding::Exact), None);
        assert_eq!(half.to_whole(Rounding::Nearest), Some(-3));
        assert_eq!(
            Number::parse("7.0").unwrap().to_whole(Rounding::Exact),
            Some(7)
        );
    }

    proptest! {
        #[test]
        fn a_decimal_text_is_the_double_that_rust_reads(whole in -999_999_i64..999_999, part in 0_u32..1_000_000) {
            let text = format!("{whole}.{part:06}");
            let found = Number::parse(&text).unwrap().real();
            prop_assert!(found.total_cmp(&text.parse().unwrap()).is_eq(), "{} {}", text, found);
        }
    }
}
