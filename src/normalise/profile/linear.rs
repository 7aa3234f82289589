//! Numbers as they were written, scaled and converted without losing a digit: 0.1 steps, thousandths and unit conversions
//! are fractions of whole numbers, and become binary floating point once, at the end.

use super::{
    super::ucum::Conversion,
    number::{EXACT_MAX, Number, POWERS, divided, power, ratio, reduced},
    spec::Rounding,
};

/// Most decimal places of a number in a profile.
const PLACES_MAX: u32 = 18;

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

    use super::{super::super::point::Decimal, *};

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
    fn binary_numbers_are_scaled_without_a_rounded_factor() {
        for (scale, raw, wanted) in [("0.001", 412.5, 0.4125), ("3.6", 86.5, 311.4)] {
            let found = linear(scale, "0").apply(Number::Real(raw)).real();
            assert!(found.total_cmp(&wanted).is_eq(), "{raw} {scale}: {found}");
        }
    }

    #[test]
    fn counters_of_64_bits_are_scaled_to_their_last_digit() {
        let doubled = linear("2", "0").apply(Number::Large(u64::MAX));
        assert_eq!(
            doubled.to_whole(Rounding::Exact),
            Some(i128::from(u64::MAX) * 2)
        );
    }

    proptest! {
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
