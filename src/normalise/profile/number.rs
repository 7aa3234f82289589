//! Numbers as they were written, scaled and converted without losing a digit: 0.1 steps, thousandths and unit conversions
//! are fractions of whole numbers, and become binary floating point once, at the end.

use super::{
    super::{
        point::{Decimal, Value},
        ucum::Conversion,
    },
    spec::Rounding,
};

/// Whole numbers up to this are doubles exactly: 2^53.
const EXACT_MAX: u64 = 1 << 53;
/// Characters of a text that surely fit a word.
const DIGITS_MAX: usize = 18;
/// Most decimal places of a number in a profile.
const PLACES_MAX: u32 = 18;
/// Powers of ten by their exponents, up to [`PLACES_MAX`].
const POWERS: [i64; 19] = [
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
    fn exact(self) -> Option<(i128, u8)> {
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
                b'0'..=b'9' if at < DIGITS_MAX => {
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
        match (self.exact(), other.exact()) {
            (Some((a, p)), Some((b, q))) if p == q => a == b,
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

/// `x · mul + add`, both fractions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Linear {
    mul: (i128, i128),
    add: (i128, i128),
    /// The same in few digits, where it has few: nearly always.
    short: Option<Short>,
}

/// [`Linear`] in machine words, for values of devices have few digits too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Short {
    mul: (i64, i64),
    add: (i64, i64),
}

impl Short {
    fn of(mul: (i128, i128), add: (i128, i128)) -> Option<Self> {
        let short = |(over, under): (i128, i128)| {
            Some((i64::try_from(over).ok()?, i64::try_from(under).ok()?))
        };
        Some(Self {
            mul: short(mul)?,
            add: short(add)?,
        })
    }

    /// The result as a fraction; none if a step of it takes more than a word.
    #[inline]
    fn apply(&self, mantissa: i64, places: u8) -> Option<(i64, i64)> {
        let power = *POWERS.get(usize::from(places))?;
        let over = mantissa.checked_mul(self.mul.0)?;
        let under = power.checked_mul(self.mul.1)?;
        if self.add.0 == 0 {
            return Some((over, under));
        }
        let added = self.add.0.checked_mul(under)?;
        let over = over.checked_mul(self.add.1)?.checked_add(added)?;
        Some((over, under.checked_mul(self.add.1)?))
    }
}

/// A result that may still be asked for a whole number: `over / under`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scaled {
    Fraction { over: i128, under: i128 },
    Real(f64),
}

impl Scaled {
    #[inline]
    pub(super) fn real(self) -> f64 {
        match self {
            Self::Fraction { over, under } => ratio(over, under),
            Self::Real(number) => number,
        }
    }

    pub(super) fn to_whole(self, rounding: Rounding) -> Option<i128> {
        match self {
            Self::Fraction { over, under } => divided(over, under, rounding),
            Self::Real(number) => Number::Real(number).to_whole(rounding),
        }
    }
}

#[cfg(any(test, feature = "harness"))]
impl Scaled {
    /// As a decimal of so many places, rounded to the nearest; none if it has too many digits.
    pub(super) fn to_places(self, places: u8) -> Option<i64> {
        let rounded = match self {
            Self::Fraction { over, under } => {
                let over = over.checked_mul(power(places))?;
                divided(over, under, Rounding::Nearest)?
            }
            Self::Real(number) => {
                Number::Real(number * 10_f64.powi(i32::from(places))).to_whole(Rounding::Nearest)?
            }
        };
        i64::try_from(rounded).ok()
    }

    /// The fewest places, up to `most`, with which it is exact; `most` where none are.
    pub(super) fn places(self, most: u8) -> u8 {
        let Self::Fraction { over, under } = self else {
            return most;
        };
        let exact = |places: &u8| {
            let over = over.checked_mul(power(*places));
            over.is_some_and(|over| over % under == 0)
        };
        (0..most).find(exact).unwrap_or(most)
    }
}

#[cfg(any(test, feature = "harness"))]
impl Linear {
    pub(super) const IDENTITY: Self = Self {
        mul: (1, 1),
        add: (0, 1),
        short: Some(Short {
            mul: (1, 1),
            add: (0, 1),
        }),
    };

    /// The number that [`Linear::apply`] makes this one.
    pub(super) fn inverse(&self, number: Number) -> Scaled {
        let exact = || {
            let (mantissa, places) = number.exact()?;
            let without = plus((mantissa, power(places)), (-self.add.0, self.add.1))?;
            let (over, under) = times(without, (self.mul.1, self.mul.0))?;
            let sign = under.signum();
            Some(Scaled::Fraction {
                over: over * sign,
                under: under * sign,
            })
        };
        let rough = || {
            let without = number.real() - ratio(self.add.0, self.add.1);
            Scaled::Real(without / ratio(self.mul.0, self.mul.1))
        };
        exact().filter(|_| self.mul.0 != 0).unwrap_or_else(rough)
    }
}

impl Linear {
    /// A profile's scale and offset, then a conversion of units. None if the digits are too many to be exact.
    pub(super) fn new(scale: Number, offset: Number, unit: Conversion) -> Option<Self> {
        let (scale, offset) = (fraction(scale)?, fraction(offset)?);
        let unit_mul = (unit.mul_num, unit.mul_den);
        let mul = times(scale, unit_mul)?;
        let add = plus(times(offset, unit_mul)?, (unit.add_num, unit.add_den))?;
        Some(Self {
            mul,
            add,
            short: Short::of(mul, add),
        })
    }

    #[inline]
    pub(super) fn apply(&self, number: Number) -> Scaled {
        if let Some((over, under)) = self.in_words(number) {
            return Scaled::Fraction {
                over: over.into(),
                under: under.into(),
            };
        }
        let exact = number.exact();
        exact
            .and_then(|(mantissa, places)| self.exact(mantissa, power(places)))
            .unwrap_or_else(|| Scaled::Real(self.rough(number.real())))
    }

    #[inline]
    fn in_words(&self, number: Number) -> Option<(i64, i64)> {
        match (number, &self.short) {
            (Number::Exact { mantissa, places }, Some(short)) => short.apply(mantissa, places),
            _ => None,
        }
    }

    /// The result as a double: [`Linear::apply`]'s, and quicker.
    #[inline]
    pub(super) fn real(&self, number: Number) -> f64 {
        if let Some((over, under)) = self.in_words(number)
            && over.unsigned_abs() <= EXACT_MAX
            && under.unsigned_abs() <= EXACT_MAX
        {
            return over as f64 / under as f64;
        }
        self.apply(number).real()
    }

    #[cold]
    fn exact(&self, mantissa: i128, power: i128) -> Option<Scaled> {
        let over = mantissa.checked_mul(self.mul.0)?;
        let under = power.checked_mul(self.mul.1)?;
        if self.add.0 == 0 {
            return Some(Scaled::Fraction { over, under });
        }
        let (over, under) = plus((over, under), self.add)?;
        Some(Scaled::Fraction { over, under })
    }

    fn rough(&self, number: f64) -> f64 {
        // Not by the quotient, which is rounded already where the factor is a thousandth.
        let scaled = number * (self.mul.0 as f64) / (self.mul.1 as f64);
        if self.add.0 == 0 {
            scaled
        } else {
            scaled + ratio(self.add.0, self.add.1)
        }
    }
}

fn power(places: u8) -> i128 {
    match POWERS.get(usize::from(places)) {
        Some(power) => i128::from(*power),
        // Places come from at most 30 digits, or from a codec's table.
        None => 10_i128.pow(u32::from(places.min(38))),
    }
}

/// Correctly rounded where both are exact doubles, which decimal values of devices are.
#[inline]
fn ratio(over: i128, under: i128) -> f64 {
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

fn reduced(over: i128, under: i128) -> (i128, i128) {
    let (mut a, mut b) = (over.unsigned_abs(), under.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    let divisor = i128::try_from(a).unwrap_or(1).max(1);
    (over / divisor, under / divisor)
}

fn divided(over: i128, under: i128, rounding: Rounding) -> Option<i128> {
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

fn fraction(number: Number) -> Option<(i128, i128)> {
    match number.exact()? {
        (mantissa, places) if u32::from(places) <= PLACES_MAX => {
            Some(reduced(mantissa, power(places)))
        }
        _ => None,
    }
}

fn times(a: (i128, i128), b: (i128, i128)) -> Option<(i128, i128)> {
    Some(reduced(a.0.checked_mul(b.0)?, a.1.checked_mul(b.1)?))
}

fn plus(a: (i128, i128), b: (i128, i128)) -> Option<(i128, i128)> {
    let over = a.0.checked_mul(b.1)?.checked_add(b.0.checked_mul(a.1)?)?;
    Some((over, a.1.checked_mul(b.1)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn linear(scale: &str, offset: &str) -> Linear {
        let number = |text| Number::parse(text).unwrap();
        Linear::new(number(scale), number(offset), Conversion::IDENTITY).unwrap()
    }

    #[test]
    fn tenths_are_the_doubles_that_people_write() {
        let tenth = linear("0.1", "0");
        for (raw, wanted) in [(3, 0.3), (7, 0.7), (2305, 230.5), (-41, -4.1)] {
            let found = tenth.apply(Number::whole(raw)).real();
            assert!(found.total_cmp(&wanted).is_eq(), "{raw}: {found}");
        }
        let current = linear("0.1", "-1000");
        let found = current.apply(Number::whole(10_015)).real();
        assert!(found.total_cmp(&1.5).is_eq(), "{found}");
    }

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
        let doubled = linear("2", "0").apply(Number::Large(u64::MAX));
        assert_eq!(
            doubled.to_whole(Rounding::Exact),
            Some(i128::from(u64::MAX) * 2)
        );
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

    #[test]
    fn binary_numbers_are_scaled_without_a_rounded_factor() {
        for (scale, raw, wanted) in [("0.001", 412.5, 0.4125), ("3.6", 86.5, 311.4)] {
            let found = linear(scale, "0").apply(Number::Real(raw)).real();
            assert!(found.total_cmp(&wanted).is_eq(), "{raw} {scale}: {found}");
        }
    }

    proptest! {
        #[test]
        fn a_decimal_text_is_the_double_that_rust_reads(whole in -999_999_i64..999_999, part in 0_u32..1_000_000) {
            let text = format!("{whole}.{part:06}");
            let found = Number::parse(&text).unwrap().real();
            prop_assert!(found.total_cmp(&text.parse().unwrap()).is_eq(), "{} {}", text, found);
        }

        #[test]
        fn no_number_panics(mantissa: i64, places in 0_u8..=18, scale in "-?[0-9]{1,9}(\\.[0-9]{1,9})?") {
            let linear = linear(&scale, "12.5");
            let number = Decimal::new(mantissa, places).into();
            let scaled = linear.apply(number);
            prop_assert!(scaled.real().is_finite());
            prop_assert!(linear.real(number).total_cmp(&scaled.real()).is_eq());
            let long = linear.exact(i128::from(mantissa), power(places));
            prop_assert!(long.is_none_or(|long| long.real().total_cmp(&scaled.real()).is_eq()));
            let _whole = scaled.to_whole(Rounding::Nearest);
        }
    }
}
