//! From one unit to another, exactly: a unit is measured in coherent SI units as a fraction and a power of ten, and two
//! measures of one dimension make a [`Conversion`]. Powers of ten stay apart until the end, so that `pg` to `Gg` does not
//! run out of bits on the way.
//!
//! A temperature with a zero of its own (`Cel`, `[degF]`, `[degRe]`) shifts where it is the whole unit, prefixed or
//! annotated or not; in a product (`W/(m2.Cel)`) it is a difference, as of kelvin. Annotations mean nothing, as UCUM
//! says (`%{RH}` is `%`, `{count}` is `1`), but on a level: `dB{mW}` and `dB{A}` are over different references and do
//! not convert, while a bare `dB` is taken for either.
//!
//! Dimension does not tell `Gy` from `Sv`, `Hz` from `Bq` or `J` from `N.m`; they convert, as in UCUM.

use thiserror::Error;

use super::{
    Part, Side, Symbol, UnitError, read,
    table::{BASES, NAMED, Scale},
};

/// `y = x · mul_num / mul_den + add_num / add_den`, both fractions reduced, both denominators positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Conversion {
    /// Positive.
    pub(crate) mul_num: i128,
    pub(crate) mul_den: i128,
    pub(crate) add_num: i128,
    pub(crate) add_den: i128,
}

impl Conversion {
    /// Between two spellings of one unit.
    pub(crate) const IDENTITY: Self = Self {
        mul_num: 1,
        mul_den: 1,
        add_num: 0,
        add_den: 1,
    };

    /// Whether every number stays as it is.
    #[cfg(test)]
    pub(crate) fn is_identity(self) -> bool {
        self == Self::IDENTITY
    }
}

/// Why a number of one unit cannot become a number of another.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no conversion from {from:?} to {to:?}: {why}")]
pub(crate) struct ConversionError {
    pub(crate) from: String,
    pub(crate) to: String,
    #[source]
    pub(crate) why: Mismatch,
}

/// What stands between two units.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Mismatch {
    /// One of them is no unit of the table.
    #[error("{unit:?} is no UCUM unit: {why}")]
    Unit { unit: String, why: UnitError },
    /// They measure different things.
    #[error("the one measures {from}, the other {to}")]
    Dimension { from: String, to: String },
    /// They are levels over different references.
    #[error("the one is a level over {from:?}, the other over {to:?}")]
    Reference { from: String, to: String },
    /// A factor of zero, or numbers that take more than 127 bits.
    #[error("factor or offset is zero or no fraction of 127 bits")]
    NotRepresentable,
}

/// How a number of unit `from` becomes one of unit `to`.
///
/// # Errors
/// [`ConversionError`] names both and what stands between them.
pub(crate) fn conversion(from: &str, to: &str) -> Result<Conversion, ConversionError> {
    between(from, to).map_err(|why| ConversionError {
        from: from.to_owned(),
        to: to.to_owned(),
        why,
    })
}

fn between(from: &str, to: &str) -> Result<Conversion, Mismatch> {
    let (from, to) = (Measure::of(from)?, Measure::of(to)?);
    if from.exponents != to.exponents {
        return Err(Mismatch::Dimension {
            from: in_words(&from.exponents),
            to: in_words(&to.exponents),
        });
    }
    if let (Some(from), Some(to)) = (from.reference, to.reference)
        && from != to
    {
        return Err(Mismatch::Reference {
            from: from.to_owned(),
            to: to.to_owned(),
        });
    }
    factor_and_offset(&from, &to).ok_or(Mismatch::NotRepresentable)
}

fn factor_and_offset(from: &Measure<'_>, to: &Measure<'_>) -> Option<Conversion> {
    let per_unit = to.size.inverse()?;
    let mul = from.size.times(per_unit)?;
    let mul = mul.times_ten(from.tens.checked_sub(to.tens)?)?;
    if mul == Fraction::ZERO {
        return None;
    }
    let add = from.zero.minus(to.zero)?.times(per_unit)?;
    let add = add.times_ten(to.tens.checked_neg()?)?;
    Some(Conversion {
        mul_num: mul.num,
        mul_den: mul.den,
        add_num: add.num,
        add_den: add.den,
    })
}

/// A unit in coherent SI units: `size · 10^tens` of them, its zero at `zero`.
struct Measure<'a> {
    size: Fraction,
    tens: i32,
    zero: Fraction,
    exponents: [i8; BASES.len()],
    /// What a level is over, where an annotation says it.
    reference: Option<&'a str>,
}

impl<'a> Measure<'a> {
    fn of(unit: &'a str) -> Result<Self, Mismatch> {
        let mut measure = Self {
            size: Fraction::ONE,
            tens: 0,
            zero: Fraction::ZERO,
            exponents: [0; BASES.len()],
            reference: None,
        };
        let mut parts: u32 = 0;
        let mut fits = true;
        read(unit, |side, part| {
            parts += 1;
            fits = fits && measure.take(side, part).is_some();
        })
        .map_err(|why| Mismatch::Unit {
            unit: unit.to_owned(),
            why,
        })?;
        if !fits {
            return Err(Mismatch::NotRepresentable);
        }
        if parts > 1 {
            measure.zero = Fraction::ZERO;
        }
        Ok(measure)
    }

    /// None where a number of it grows too large.
    fn take(&mut self, side: Side, part: Part<'a>) -> Option<()> {
        match part {
            Part::Annotation => Some(()),
            Part::Factor(digits) => {
                let factor = Fraction::new(digits.parse().ok()?, 1)?;
                let power = if side == Side::Above { 1 } else { -1 };
                self.size = self.size.times(factor.power(power)?)?;
                Some(())
            }
            Part::Symbol(symbol) => self.take_symbol(side, symbol),
        }
    }

    fn take_symbol(&mut self, side: Side, symbol: Symbol<'a>) -> Option<()> {
        let written: i8 = match symbol.exponent {
            "" => 1,
            digits => digits.parse().ok()?,
        };
        let power = match side {
            Side::Above => written,
            Side::Below => written.checked_neg()?,
        };
        let (atom, tens, twos) = (
            symbol.atom,
            symbol.prefix.map_or(0, |prefix| i32::from(prefix.tens)),
            symbol.prefix.map_or(0, |prefix| prefix.twos),
        );
        let size = Fraction::new(atom.num, atom.den)?.times(Fraction::new(1 << twos, 1)?)?;
        self.size = self.size.times(size.power(power)?)?;
        let tens = (i32::from(atom.tens) + tens) * i32::from(power);
        self.tens = self.tens.checked_add(tens)?;
        for (base, exponent) in atom.dimension {
            let sum = self.exponents.get_mut(*base as usize)?;
            *sum = sum.checked_add(exponent.checked_mul(power)?)?;
        }
        match atom.scale {
            Scale::Zero(num, den) if power == 1 => self.zero = Fraction::new(num, den)?,
            Scale::Level => {
                let named = symbol.annotation.filter(|text| !text.is_empty());
                self.reference = self.reference.or(named);
            }
            Scale::Zero(..) | Scale::Ratio => {}
        }
        Some(())
    }
}

/// A dimension as one says it: `volume flow`, `amount of substance per length squared per time`.
fn in_words(exponents: &[i8; BASES.len()]) -> String {
    let is_named = |dimension: &[_]| {
        BASES.iter().zip(exponents).all(|((base, _), exponent)| {
            let wanted = dimension.iter().find(|(of, _)| of == base);
            wanted.map_or(0, |(_, wanted)| *wanted) == *exponent
        })
    };
    if let Some((_, word)) = NAMED.iter().find(|(dimension, _)| is_named(dimension)) {
        return (*word).to_owned();
    }
    let part = |word: &str, exponent: u8| match exponent {
        1 => word.to_owned(),
        2 => format!("{word} squared"),
        3 => format!("{word} cubed"),
        _ => format!("{word} to the power of {exponent}"),
    };
    let of_sign = |sign: i8| {
        BASES
            .iter()
            .zip(exponents)
            .filter(move |(_, exponent)| exponent.signum() == sign)
            .map(move |((_, word), exponent)| part(word, exponent.unsigned_abs()))
    };
    let mut words = of_sign(1).collect::<Vec<_>>().join(" times ");
    if words.is_empty() {
        words.push_str("number");
    }
    for below in of_sign(-1) {
        words.push_str(" per ");
        words.push_str(&below);
    }
    words
}

/// Reduced, its denominator positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fraction {
    num: i128,
    den: i128,
}

impl Fraction {
    const ONE: Self = Self { num: 1, den: 1 };
    const ZERO: Self = Self { num: 0, den: 1 };

    /// Of a positive denominator.
    fn new(num: i128, den: i128) -> Option<Self> {
        let common = common_divisor(num, den);
        Some(Self {
            num: num.checked_div(common)?,
            den: den.checked_div(common)?,
        })
    }

    /// None of what is not positive.
    fn inverse(self) -> Option<Self> {
        (self.num > 0).then_some(Self {
            num: self.den,
            den: self.num,
        })
    }

    /// Reduced crosswise first, so that only the outcome has to fit.
    fn times(self, other: Self) -> Option<Self> {
        let left = Self::new(self.num, other.den)?;
        let right = Self::new(other.num, self.den)?;
        Some(Self {
            num: left.num.checked_mul(right.num)?,
            den: left.den.checked_mul(right.den)?,
        })
    }

    fn minus(self, other: Self) -> Option<Self> {
        let left = self.num.checked_mul(other.den)?;
        let right = other.num.checked_mul(self.den)?;
        Self::new(left.checked_sub(right)?, self.den.checked_mul(other.den)?)
    }

    fn power(self, exponent: i8) -> Option<Self> {
        let base = match exponent {
            0.. => self,
            _ => self.inverse()?,
        };
        let exponent = u32::from(exponent.unsigned_abs());
        Some(Self {
            num: base.num.checked_pow(exponent)?,
            den: base.den.checked_pow(exponent)?,
        })
    }

    fn times_ten(self, exponent: i32) -> Option<Self> {
        if self == Self::ZERO {
            return Some(self);
        }
        let ten = 10_i128.checked_pow(exponent.unsigned_abs())?;
        self.times(match exponent {
            0.. => Self { num: ten, den: 1 },
            _ => Self { num: 1, den: ten },
        })
    }
}

/// Greatest common divisor; at least 1 where one of both is not 0.
fn common_divisor(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a.saturating_abs(), b.saturating_abs());
    while b != 0 {
        (a, b) = (b, a.checked_rem(b).unwrap_or_default());
    }
    a
}
