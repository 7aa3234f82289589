//! Whether a text is a unit of the Unified Code for Units of Measure, case sensitive (UCUM, §2). Validation only.
//!
//! ```text
//! unit       = [ "/" ] component { ( "." | "/" ) component }
//! component  = "(" unit ")" | factor | annotation | symbol [ exponent ] [ annotation ]
//! symbol     = atom | prefix metric-atom           exponent = [ "+" | "-" ] digits
//! ```
//!
//! Our own, because the crates at hand either carry the whole table with conversion as a 0.1 (`ucum-units`,
//! `octofhir-ucum-core`, `tlq-ucum`) or rest since 2020 under CECILL-B (`ucum`): a table of what a city measures and a
//! page of grammar serve a check at start better.

use thiserror::Error;

/// Longest unit taken, bytes: the longest of the catalogue has 11.
const UNIT_BYTES_MAX: usize = 64;
/// Deepest nesting of parentheses.
const DEPTH_MAX: usize = 4;

/// Why a text is no UCUM unit.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UnitError {
    /// Nothing where a component is wanted.
    #[error("a component is missing at byte {0}")]
    Missing(usize),
    /// A symbol that is neither an atom nor a prefixed metric atom of the table.
    #[error("{0:?} is no unit atom")]
    Atom(String),
    /// A bracket, brace or parenthesis without its partner, or an annotation with what it may not hold.
    #[error("unbalanced or misplaced {0:?}")]
    Bracket(char),
    /// Bytes behind the end of a component.
    #[error("unexpected {0:?}")]
    Trailing(char),
    /// Longer than any unit.
    #[error("longer than {UNIT_BYTES_MAX} bytes or nested too deeply")]
    TooLong,
}

const PREFIXES: &[&str] = &[
    "Y", "Z", "E", "P", "T", "G", "M", "k", "h", "da", "d", "c", "m", "u", "n", "p", "f", "a", "z",
    "y", "Ki", "Mi", "Gi", "Ti",
];

/// Atoms that take a prefix.
const METRIC: &[&str] = &[
    // base units
    "m", "s", "g", "rad", "K", "C", "cd", // SI
    "mol", "sr", "Hz", "N", "Pa", "J", "W", "A", "V", "F", "Ohm", "S", "Wb", "Cel", "T", "H", "lm",
    "lx", "Bq", "Gy", "Sv", "kat", // beside SI
    "l", "L", "ar", "t", "bar", "u", "eV", "pc", "cal", "eq", "osm", "g%", "mho", "B", "B[SPL]",
    "B[V]", "B[mV]", "B[uV]", "B[W]", "B[kW]", "bit", "By", "Bd", "Gal", "dyn", "erg", "P", "St",
    "G", "Oe", "Mx", "Ci", "R", "RAD", "REM", "st", "Np", "m[Hg]", "m[H2O]", "[iU]", "U", "att",
];

/// Atoms that stand alone.
const PLAIN: &[&str] = &[
    "10*",
    "10^",
    "%",
    "[ppth]",
    "[ppm]",
    "[ppb]",
    "[pptr]",
    "[pi]",
    "[pH]",
    "gon",
    "deg",
    "'",
    "''",
    "min",
    "h",
    "d",
    "wk",
    "mo",
    "a",
    "a_t",
    "a_j",
    "a_g",
    "mo_j",
    "mo_s",
    "mo_g",
    "AU",
    "atm",
    "[g]",
    "[c]",
    "[in_i]",
    "[ft_i]",
    "[yd_i]",
    "[mi_i]",
    "[nmi_i]",
    "[kn_i]",
    "[acr_us]",
    "[gal_us]",
    "[lb_av]",
    "[oz_av]",
    "[psi]",
    "[degF]",
    "[degR]",
    "[degRe]",
    "[HP]",
    "[Btu]",
    "[in_i'Hg]",
    "[in_i'H2O]",
    "circ",
    "sph",
    "bit_s",
];

/// Checks a unit.
///
/// # Errors
/// [`UnitError`] names the part that is wrong.
pub(super) fn validate(unit: &str) -> Result<(), UnitError> {
    if unit.len() > UNIT_BYTES_MAX {
        return Err(UnitError::TooLong);
    }
    let mut rest = unit;
    term(unit, &mut rest, 0)?;
    rest.chars()
        .next()
        .map_or(Ok(()), |c| Err(UnitError::Trailing(c)))
}

fn term(unit: &str, rest: &mut &str, depth: usize) -> Result<(), UnitError> {
    if depth > DEPTH_MAX {
        return Err(UnitError::TooLong);
    }
    if depth == 0
        && let Some(behind) = rest.strip_prefix('/')
    {
        *rest = behind;
    }
    loop {
        component(unit, rest, depth)?;
        match rest.strip_prefix(['.', '/']) {
            Some(behind) => *rest = behind,
            None => return Ok(()),
        }
    }
}

fn component(unit: &str, rest: &mut &str, depth: usize) -> Result<(), UnitError> {
    if let Some(inside) = rest.strip_prefix('(') {
        *rest = inside;
        term(unit, rest, depth + 1)?;
        *rest = rest.strip_prefix(')').ok_or(UnitError::Bracket('('))?;
        return Ok(());
    }
    if rest.starts_with('{') {
        return annotation(rest);
    }
    let symbol = symbol(rest)?;
    if symbol.is_empty() {
        return Err(UnitError::Missing(unit.len() - rest.len()));
    }
    *rest = rest.strip_prefix(symbol).unwrap_or_default();
    let factor = symbol.bytes().all(|b| b.is_ascii_digit());
    if !factor && !is_unit(symbol) && !is_unit(without_exponent(symbol)) {
        return Err(UnitError::Atom(symbol.to_owned()));
    }
    if rest.starts_with('{') {
        annotation(rest)?;
    }
    Ok(())
}

/// The text up to the next operator, brackets taken whole.
fn symbol<'a>(rest: &&'a str) -> Result<&'a str, UnitError> {
    let mut inside = false;
    for (at, c) in rest.char_indices() {
        match c {
            '[' if !inside => inside = true,
            ']' if inside => inside = false,
            '[' | ']' => return Err(UnitError::Bracket(c)),
            '.' | '/' | '(' | ')' | '{' | '}' if !inside => {
                return Ok(rest.get(..at).unwrap_or_default());
            }
            '!'..='~' => {}
            _ => return Err(UnitError::Trailing(c)),
        }
    }
    if inside {
        return Err(UnitError::Bracket('['));
    }
    Ok(rest)
}

fn without_exponent(symbol: &str) -> &str {
    let base = symbol.trim_end_matches(|c: char| c.is_ascii_digit());
    if base.len() == symbol.len() {
        return symbol;
    }
    base.strip_suffix(['+', '-']).unwrap_or(base)
}

fn is_unit(symbol: &str) -> bool {
    METRIC.contains(&symbol)
        || PLAIN.contains(&symbol)
        || PREFIXES
            .iter()
            .filter_map(|prefix| symbol.strip_prefix(prefix))
            .any(|atom| METRIC.contains(&atom))
}

fn annotation(rest: &mut &str) -> Result<(), UnitError> {
    let inside = rest.strip_prefix('{').ok_or(UnitError::Bracket('{'))?;
    let end = inside.find('}').ok_or(UnitError::Bracket('{'))?;
    let (text, behind) = inside.split_at_checked(end).unwrap_or_default();
    if let Some(bad) = text.chars().find(|c| *c == '{' || !c.is_ascii_graphic()) {
        return Err(UnitError::Bracket(bad));
    }
    *rest = behind.strip_prefix('}').unwrap_or_default();
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_city_measures_is_ucum() {
        for unit in [
            "deg",
            "%",
            "%{RH}",
            "dB{mW}",
            "dB{A}",
            "{count}",
            "1",
            "[ppm]",
            "[pH]",
            "mg/m3",
            "m3/h",
            "kW.h",
            "10*6.m3",
            "/min",
            "/cm3",
            "mm[Hg]",
            "uS/cm",
            "umol/m2/s",
            "nGy/h",
            "Mbit/s",
            "kOhm",
            "m/s2",
            "um/m",
            "A/m2",
            "10*3/ul",
            "10^-3",
            "kg.m2/s2",
            "J/(kg.K)",
            "s-1",
            "m+2",
            "[in_i'Hg]",
            "KiBy",
            "dag",
            "2.m",
            "{a}/{b}",
            "/(m.s)",
            "m[H2O]",
        ] {
            assert_eq!(validate(unit), Ok(()), "{unit}");
        }
    }

    #[test]
    fn what_is_not_ucum_is_refused_and_named() {
        for unit in [
            "", "°C", "mg//l", "m³", "kmin", "mg/", ".m", "[ppm", "ppm]", "{a", "a}", "{a b}",
            "(m", "m)", "celsius", "m 2", "kk", "mm[hg]", "%%", "m^2", "RH%", "()", "m-", "-1",
            "m.-1",
        ] {
            assert!(validate(unit).is_err(), "{unit:?} was taken");
        }
        assert_eq!(
            validate("kelvin"),
            Err(UnitError::Atom("kelvin".to_owned()))
        );
        assert_eq!(validate(&"(".repeat(60)), Err(UnitError::TooLong));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _checked = validate(&text);
        }

        #[test]
        fn no_text_of_unit_characters_panics(text in "[a-zA-Z0-9\\[\\]{}()./*^+%-]{0,24}") {
            let _checked = validate(&text);
        }
    }
}
