//! What a city measures: prefixes, atoms, how large each is and of which dimension. Sizes are exact fractions of the
//! coherent SI unit (kilogram, not gram); where UCUM still has a measured value that has since been fixed or measured
//! better (`eV` of SI 2019, `u` of CODATA 2022, `AU` of IAU 2012), it is the later one.
//!
//! Against UCUM §4, plane angle, amount of substance, level, acidity and arbitrary units keep dimensions of their own:
//! a city that reads `mol` as `1` or `dB` as `1` has a fault in a profile, no conversion.

/// π as a fraction, too small by 2.5e-17 of itself: in a double it is the same as π. What has one power of π on both
/// sides (`deg` and `gon`) converts exactly; `deg` to `rad`, `sph` to `sr` and `Oe` to `A/m` carry that error.
const PI: (i128, i128) = (245_850_922, 78_256_779);

/// A base of the dimensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Base {
    Length,
    Mass,
    Time,
    Current,
    Temperature,
    Amount,
    Intensity,
    Angle,
    Information,
    Acidity,
    InternationalUnit,
    Neper,
    Bel,
    BelSoundPressure,
    BelVolt,
    BelMillivolt,
    BelMicrovolt,
    BelWatt,
    BelKilowatt,
    BitLevel,
}

use Base::{
    Acidity, Amount, Angle, Bel, BelKilowatt, BelMicrovolt, BelMillivolt, BelSoundPressure,
    BelVolt, BelWatt, BitLevel, Current, Information, Intensity, InternationalUnit, Length, Mass,
    Neper, Temperature, Time,
};

/// Every base in the order of its discriminant, with its word.
pub(super) const BASES: [(Base, &str); 20] = [
    (Length, "length"),
    (Mass, "mass"),
    (Time, "time"),
    (Current, "electric current"),
    (Temperature, "temperature"),
    (Amount, "amount of substance"),
    (Intensity, "luminous intensity"),
    (Angle, "plane angle"),
    (Information, "information"),
    (Acidity, "acidity"),
    (InternationalUnit, "international units"),
    (Neper, "level in neper"),
    (Bel, "level in bel"),
    (BelSoundPressure, "sound pressure level"),
    (BelVolt, "level over 1 V"),
    (BelMillivolt, "level over 1 mV"),
    (BelMicrovolt, "level over 1 uV"),
    (BelWatt, "level over 1 W"),
    (BelKilowatt, "level over 1 kW"),
    (BitLevel, "logarithm to base two"),
];

/// Bases with their exponents.
pub(super) type Dimension = &'static [(Base, i8)];

const NUMBER: Dimension = &[];
const LENGTH: Dimension = &[(Length, 1)];
const AREA: Dimension = &[(Length, 2)];
const VOLUME: Dimension = &[(Length, 3)];
const MASS: Dimension = &[(Mass, 1)];
const TIME: Dimension = &[(Time, 1)];
const TEMPERATURE: Dimension = &[(Temperature, 1)];
const AMOUNT: Dimension = &[(Amount, 1)];
const ANGLE: Dimension = &[(Angle, 1)];
const SOLID_ANGLE: Dimension = &[(Angle, 2)];
const INFORMATION: Dimension = &[(Information, 1)];
const FREQUENCY: Dimension = &[(Time, -1)];
const SPEED: Dimension = &[(Length, 1), (Time, -1)];
const ACCELERATION: Dimension = &[(Length, 1), (Time, -2)];
const FORCE: Dimension = &[(Mass, 1), (Length, 1), (Time, -2)];
const PRESSURE: Dimension = &[(Mass, 1), (Length, -1), (Time, -2)];
const ENERGY: Dimension = &[(Mass, 1), (Length, 2), (Time, -2)];
const POWER: Dimension = &[(Mass, 1), (Length, 2), (Time, -3)];
const CHARGE: Dimension = &[(Current, 1), (Time, 1)];
const VOLTAGE: Dimension = &[(Mass, 1), (Length, 2), (Time, -3), (Current, -1)];
const CAPACITANCE: Dimension = &[(Mass, -1), (Length, -2), (Time, 4), (Current, 2)];
const RESISTANCE: Dimension = &[(Mass, 1), (Length, 2), (Time, -3), (Current, -2)];
const CONDUCTANCE: Dimension = &[(Mass, -1), (Length, -2), (Time, 3), (Current, 2)];
const FLUX: Dimension = &[(Mass, 1), (Length, 2), (Time, -2), (Current, -1)];
const INDUCTION: Dimension = &[(Mass, 1), (Time, -2), (Current, -1)];
const INDUCTANCE: Dimension = &[(Mass, 1), (Length, 2), (Time, -2), (Current, -2)];
const FIELD: Dimension = &[(Current, 1), (Length, -1)];
const LIGHT: Dimension = &[(Intensity, 1), (Angle, 2)];
const ILLUMINANCE: Dimension = &[(Intensity, 1), (Angle, 2), (Length, -2)];
const DOSE: Dimension = &[(Length, 2), (Time, -2)];
const ION_DOSE: Dimension = &[(Current, 1), (Time, 1), (Mass, -1)];
const CATALYSIS: Dimension = &[(Amount, 1), (Time, -1)];
const DENSITY: Dimension = &[(Mass, 1), (Length, -3)];
const VISCOSITY: Dimension = &[(Mass, 1), (Length, -1), (Time, -1)];
const DIFFUSIVITY: Dimension = &[(Length, 2), (Time, -1)];

/// Dimensions that have a word of their own.
pub(super) const NAMED: &[(Dimension, &str)] = &[
    (NUMBER, "a number"),
    (AREA, "area"),
    (VOLUME, "volume"),
    (SOLID_ANGLE, "solid angle"),
    (FREQUENCY, "frequency"),
    (SPEED, "speed"),
    (ACCELERATION, "acceleration"),
    (FORCE, "force"),
    (PRESSURE, "pressure"),
    (ENERGY, "energy"),
    (POWER, "power"),
    (CHARGE, "electric charge"),
    (VOLTAGE, "voltage"),
    (CAPACITANCE, "capacitance"),
    (RESISTANCE, "electric resistance"),
    (CONDUCTANCE, "electric conductance"),
    (FLUX, "magnetic flux"),
    (INDUCTION, "magnetic flux density"),
    (INDUCTANCE, "inductance"),
    (FIELD, "magnetic field strength"),
    (LIGHT, "luminous flux"),
    (ILLUMINANCE, "illuminance"),
    (DOSE, "energy by mass (a dose)"),
    (ION_DOSE, "ion dose"),
    (CATALYSIS, "catalytic activity"),
    (DENSITY, "mass by volume (a density)"),
    (VISCOSITY, "dynamic viscosity"),
    (DIFFUSIVITY, "kinematic viscosity"),
    (&[(Length, -1)], "number by length"),
    (&[(Length, -2)], "number by area"),
    (&[(Length, -3)], "number by volume"),
    (&[(Length, 3), (Time, -1)], "volume flow"),
    (&[(Mass, 1), (Time, -1)], "mass flow"),
    (&[(Information, 1), (Time, -1)], "data rate"),
    (&[(Intensity, 1), (Length, -2)], "luminance"),
    (
        &[(Amount, 1), (Length, -3)],
        "amount by volume (a concentration)",
    ),
    (&[(Mass, 1), (Time, -3)], "power by area"),
    (&[(Length, 2), (Time, -3)], "dose rate"),
    (&[(Angle, 1), (Time, -1)], "angular speed"),
    (
        &[(Mass, -1), (Length, -3), (Time, 3), (Current, 2)],
        "electric conductivity",
    ),
    (
        &[(Mass, 1), (Length, 1), (Time, -3), (Current, -1)],
        "electric field strength",
    ),
];

/// What a prefix multiplies by: `2^twos · 10^tens`.
#[derive(Debug, Clone)]
pub(super) struct Prefix {
    pub(super) code: &'static str,
    pub(super) twos: u8,
    pub(super) tens: i8,
}

const fn prefix(code: &'static str, tens: i8) -> Prefix {
    Prefix {
        code,
        twos: 0,
        tens,
    }
}

const fn binary(code: &'static str, twos: u8) -> Prefix {
    Prefix {
        code,
        twos,
        tens: 0,
    }
}

pub(super) const PREFIXES: &[Prefix] = &[
    prefix("Y", 24),
    prefix("Z", 21),
    prefix("E", 18),
    prefix("P", 15),
    prefix("T", 12),
    prefix("G", 9),
    prefix("M", 6),
    prefix("k", 3),
    prefix("h", 2),
    prefix("da", 1),
    prefix("d", -1),
    prefix("c", -2),
    prefix("m", -3),
    prefix("u", -6),
    prefix("n", -9),
    prefix("p", -12),
    prefix("f", -15),
    prefix("a", -18),
    prefix("z", -21),
    prefix("y", -24),
    binary("Ki", 10),
    binary("Mi", 20),
    binary("Gi", 30),
    binary("Ti", 40),
];

/// One unit of UCUM: `num / den · 10^tens` coherent SI units.
#[derive(Debug, Clone)]
pub(super) struct Atom {
    pub(super) code: &'static str,
    /// Whether it takes a prefix.
    pub(super) is_metric: bool,
    pub(super) num: i128,
    pub(super) den: i128,
    pub(super) tens: i8,
    pub(super) dimension: Dimension,
    pub(super) scale: Scale,
}

/// What an atom is beside a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// A ratio: nothing beside.
    Ratio,
    /// A temperature whose zero lies so many kelvin above absolute zero, as a fraction.
    Zero(i128, i128),
    /// A logarithm over a reference, which an annotation may name.
    Level,
}

impl Atom {
    const fn over(self, den: i128) -> Self {
        Self { den, ..self }
    }

    const fn zero_at(self, num: i128, den: i128) -> Self {
        Self {
            scale: Scale::Zero(num, den),
            ..self
        }
    }
}

/// Takes no prefix: so many units of ten to some power.
const fn plain(code: &'static str, num: i128, tens: i8, dimension: Dimension) -> Atom {
    Atom {
        code,
        is_metric: false,
        num,
        den: 1,
        tens,
        dimension,
        scale: Scale::Ratio,
    }
}

/// Takes a prefix.
const fn metric(code: &'static str, num: i128, tens: i8, dimension: Dimension) -> Atom {
    Atom {
        is_metric: true,
        ..plain(code, num, tens, dimension)
    }
}

/// Takes a prefix and is one coherent unit.
const fn si(code: &'static str, dimension: Dimension) -> Atom {
    metric(code, 1, 0, dimension)
}

const fn level(code: &'static str, dimension: Dimension) -> Atom {
    Atom {
        scale: Scale::Level,
        ..si(code, dimension)
    }
}

#[rustfmt::skip]
pub(super) const ATOMS: &[Atom] = &[
    // base units
    si("m", LENGTH), si("s", TIME), metric("g", 1, -3, MASS), si("rad", ANGLE), si("K", TEMPERATURE),
    si("C", CHARGE), si("cd", &[(Intensity, 1)]),
    // SI
    si("mol", AMOUNT), si("sr", SOLID_ANGLE), si("Hz", FREQUENCY), si("N", FORCE), si("Pa", PRESSURE),
    si("J", ENERGY), si("W", POWER), si("A", &[(Current, 1)]), si("V", VOLTAGE), si("F", CAPACITANCE),
    si("Ohm", RESISTANCE), si("S", CONDUCTANCE), si("Wb", FLUX),
    si("Cel", TEMPERATURE).zero_at(27_315, 100),
    si("T", INDUCTION), si("H", INDUCTANCE), si("lm", LIGHT), si("lx", ILLUMINANCE), si("Bq", FREQUENCY),
    si("Gy", DOSE), si("Sv", DOSE), si("kat", CATALYSIS),
    // numbers
    plain("10*", 1, 1, NUMBER), plain("10^", 1, 1, NUMBER), plain("[pi]", PI.0, 0, NUMBER).over(PI.1),
    plain("%", 1, -2, NUMBER), plain("[ppth]", 1, -3, NUMBER), plain("[ppm]", 1, -6, NUMBER),
    plain("[ppb]", 1, -9, NUMBER), plain("[pptr]", 1, -12, NUMBER),
    // angle
    plain("deg", PI.0, 0, ANGLE).over(PI.1 * 180), plain("gon", PI.0, 0, ANGLE).over(PI.1 * 200),
    plain("'", PI.0, 0, ANGLE).over(PI.1 * 10_800), plain("''", PI.0, 0, ANGLE).over(PI.1 * 648_000),
    plain("circ", PI.0 * 2, 0, ANGLE).over(PI.1), plain("sph", PI.0 * 4, 0, SOLID_ANGLE).over(PI.1),
    // time
    plain("min", 60, 0, TIME), plain("h", 3_600, 0, TIME), plain("d", 86_400, 0, TIME),
    plain("wk", 604_800, 0, TIME),
    plain("a", 31_557_600, 0, TIME), plain("a_j", 31_557_600, 0, TIME),
    plain("a_t", 86_400 * 36_524_219, -5, TIME), plain("a_g", 31_556_952, 0, TIME),
    plain("mo", 2_629_800, 0, TIME), plain("mo_j", 2_629_800, 0, TIME),
    plain("mo_s", 86_400 * 2_953_059, -5, TIME), plain("mo_g", 2_629_746, 0, TIME),
    metric("Bd", 1, 0, FREQUENCY),
    // length, area, volume, speed
    plain("AU", 149_597_870_700, 0, LENGTH), metric("pc", 3_085_678, 10, LENGTH),
    plain("[in_i]", 254, -4, LENGTH), plain("[ft_i]", 3_048, -4, LENGTH), plain("[yd_i]", 9_144, -4, LENGTH),
    plain("[mi_i]", 1_609_344, -3, LENGTH), plain("[nmi_i]", 1_852, 0, LENGTH),
    metric("ar", 100, 0, AREA), plain("[acr_us]", 62_726_400_000, 0, AREA).over(15_499_969),
    metric("l", 1, -3, VOLUME), metric("L", 1, -3, VOLUME), si("st", VOLUME),
    plain("[gal_us]", 3_785_411_784, -12, VOLUME),
    plain("[kn_i]", 1_852, 0, SPEED).over(3_600), plain("[c]", 299_792_458, 0, SPEED),
    metric("Gal", 1, -2, ACCELERATION), metric("[g]", 980_665, -5, ACCELERATION),
    // mass, amount
    metric("t", 1, 3, MASS), metric("u", 166_053_906_892, -38, MASS),
    plain("[lb_av]", 45_359_237, -8, MASS), plain("[oz_av]", 45_359_237, -8, MASS).over(16),
    si("eq", AMOUNT), si("osm", AMOUNT), metric("g%", 10, 0, DENSITY),
    metric("U", 1, -6, CATALYSIS).over(60),
    // force, pressure, energy, power, flow of matter
    metric("dyn", 1, -5, FORCE), metric("bar", 1, 5, PRESSURE), plain("atm", 101_325, 0, PRESSURE),
    metric("att", 980_665, -1, PRESSURE), plain("[psi]", 44_482_216_152_605, -5, PRESSURE).over(64_516),
    metric("m[Hg]", 133_322, 0, PRESSURE), metric("m[H2O]", 980_665, -2, PRESSURE),
    plain("[in_i'Hg]", 33_863_788, -4, PRESSURE), plain("[in_i'H2O]", 24_908_891, -5, PRESSURE),
    metric("erg", 1, -7, ENERGY), metric("eV", 1_602_176_634, -28, ENERGY), metric("cal", 4_184, -3, ENERGY),
    plain("[Btu]", 105_435, -2, ENERGY), plain("[HP]", 74_569_987_158_227_022, -14, POWER),
    metric("P", 1, -1, VISCOSITY), metric("St", 1, -4, DIFFUSIVITY),
    // electricity, magnetism
    si("mho", CONDUCTANCE), metric("G", 1, -4, INDUCTION), metric("Mx", 1, -8, FLUX),
    metric("Oe", 250 * PI.1, 0, FIELD).over(PI.0),
    // radiation
    metric("Ci", 37, 9, FREQUENCY), metric("R", 258, -6, ION_DOSE), metric("RAD", 1, -2, DOSE),
    metric("REM", 1, -2, DOSE),
    // temperature
    plain("[degF]", 5, 0, TEMPERATURE).over(9).zero_at(45_967, 180), plain("[degR]", 5, 0, TEMPERATURE).over(9),
    plain("[degRe]", 5, 0, TEMPERATURE).over(4).zero_at(27_315, 100),
    // information
    si("bit", INFORMATION), metric("By", 8, 0, INFORMATION),
    // levels, acidity, arbitrary units
    level("Np", &[(Neper, 1)]), level("B", &[(Bel, 1)]),
    level("B[SPL]", &[(BelSoundPressure, 1)]), level("B[V]", &[(BelVolt, 1)]),
    level("B[mV]", &[(BelMillivolt, 1)]), level("B[uV]", &[(BelMicrovolt, 1)]),
    level("B[W]", &[(BelWatt, 1)]), level("B[kW]", &[(BelKilowatt, 1)]),
    plain("bit_s", 1, 0, &[(BitLevel, 1)]), plain("[pH]", 1, 0, &[(Acidity, 1)]),
    si("[iU]", &[(InternationalUnit, 1)]),
];
