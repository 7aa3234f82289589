//! Units of the Unified Code for Units of Measure, case sensitive (UCUM, §2): whether a text is one, and how a number of
//! one becomes a number of another, exactly.
//!
//! ```text
//! unit       = [ "/" ] component { ( "." | "/" ) component }
//! component  = "(" unit ")" | factor | annotation | symbol [ exponent ] [ annotation ]
//! symbol     = atom | prefix metric-atom           exponent = [ "+" | "-" ] digits
//!
//!   "kW.h" ──read──▶ kilo·watt above, hour above ──measure──▶ 3 600 000 × (mass · length² / time²)
//!                                                    two measures of one dimension ──▶ Conversion
//! ```
//!
//! Here is the grammar; [`table`] has what a city measures, `convert` the arithmetic, `alias` what vendors write instead.
//!
//! Our own, because the crates at hand either carry the whole table with conversion as a 0.1 (`ucum-units`,
//! `octofhir-ucum-core`, `tlq-ucum`), in floating point, or rest since 2020 under CECILL-B (`ucum`): a table of what a
//! city measures and a page of grammar serve a check at start better, and a decimal reading stays exact.

mod alias;
mod convert;
mod table;

use thiserror::Error;

pub(crate) use alias::alias;
pub(crate) use convert::{Conversion, conversion};
use table::{ATOMS, Atom, PREFIXES, Prefix};

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

/// Checks a unit.
///
/// # Errors
/// [`UnitError`] names the part that is wrong.
pub(super) fn validate(unit: &str) -> Result<(), UnitError> {
    read(unit, |_, _| {})
}

/// Where a component stands in the fraction that a unit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Above,
    Below,
}

impl Side {
    fn other(self) -> Self {
        match self {
            Self::Above => Self::Below,
            Self::Below => Self::Above,
        }
    }
}

/// A component, parentheses dissolved.
#[derive(Debug, Clone, Copy)]
enum Part<'a> {
    /// Decimal digits.
    Factor(&'a str),
    /// An annotation that stands alone: the number 1.
    Annotation,
    Symbol(Symbol<'a>),
}

#[derive(Debug, Clone, Copy)]
struct Symbol<'a> {
    prefix: Option<&'static Prefix>,
    atom: &'static Atom,
    /// Sign and digits as written; empty where there is none.
    exponent: &'a str,
    annotation: Option<&'a str>,
}

impl<'a> Symbol<'a> {
    fn find(text: &'a str) -> Option<Self> {
        let named = |name: &str| ATOMS.iter().find(|atom| atom.code == name);
        let of = |name: &str| {
            if let Some(atom) = named(name) {
                return Some((None, atom));
            }
            PREFIXES.iter().find_map(|prefix| {
                let atom = named(name.strip_prefix(prefix.code)?)?;
                atom.is_metric.then_some((Some(prefix), atom))
            })
        };
        let base = without_exponent(text);
        let (name, (prefix, atom)) = of(text)
            .map(|found| (text, found))
            .or_else(|| Some((base, of(base)?)))?;
        Some(Self {
            prefix,
            atom,
            exponent: text.strip_prefix(name).unwrap_or_default(),
            annotation: None,
        })
    }
}

/// Hands out the components of a unit from left to right.
fn read<'a>(unit: &'a str, take: impl FnMut(Side, Part<'a>)) -> Result<(), UnitError> {
    if unit.len() > UNIT_BYTES_MAX {
        return Err(UnitError::TooLong);
    }
    let mut reader = Reader {
        unit,
        rest: unit,
        take,
    };
    reader.term(0, Side::Above)?;
    reader
        .rest
        .chars()
        .next()
        .map_or(Ok(()), |c| Err(UnitError::Trailing(c)))
}

struct Reader<'a, F> {
    unit: &'a str,
    rest: &'a str,
    take: F,
}

impl<'a, F: FnMut(Side, Part<'a>)> Reader<'a, F> {
    fn term(&mut self, depth: usize, outside: Side) -> Result<(), UnitError> {
        if depth > DEPTH_MAX {
            return Err(UnitError::TooLong);
        }
        let mut side = outside;
        if depth == 0
            && let Some(behind) = self.rest.strip_prefix('/')
        {
            self.rest = behind;
            side = outside.other();
        }
        loop {
            self.component(depth, side)?;
            let Some(behind) = self.rest.strip_prefix(['.', '/']) else {
                return Ok(());
            };
            side = if self.rest.starts_with('/') {
                outside.other()
            } else {
                outside
            };
            self.rest = behind;
        }
    }

    fn component(&mut self, depth: usize, side: Side) -> Result<(), UnitError> {
        if let Some(inside) = self.rest.strip_prefix('(') {
            self.rest = inside;
            self.term(depth + 1, side)?;
            self.rest = self.rest.strip_prefix(')').ok_or(UnitError::Bracket('('))?;
            return Ok(());
        }
        if self.rest.starts_with('{') {
            self.annotation()?;
            (self.take)(side, Part::Annotation);
            return Ok(());
        }
        let text = symbol(self.rest)?;
        if text.is_empty() {
            return Err(UnitError::Missing(self.unit.len() - self.rest.len()));
        }
        self.rest = self.rest.strip_prefix(text).unwrap_or_default();
        let is_factor = text.bytes().all(|b| b.is_ascii_digit());
        let found = if is_factor { None } else { Symbol::find(text) };
        if !is_factor && found.is_none() {
            return Err(UnitError::Atom(text.to_owned()));
        }
        let annotation = if self.rest.starts_with('{') {
            Some(self.annotation()?)
        } else {
            None
        };
        let part = found.map_or(Part::Factor(text), |symbol| {
            Part::Symbol(Symbol {
                annotation,
                ..symbol
            })
        });
        (self.take)(side, part);
        Ok(())
    }

    fn annotation(&mut self) -> Result<&'a str, UnitError> {
        let inside = self.rest.strip_prefix('{').ok_or(UnitError::Bracket('{'))?;
        let (text, behind) = inside.split_once('}').ok_or(UnitError::Bracket('{'))?;
        if let Some(bad) = text.chars().find(|c| *c == '{' || !c.is_ascii_graphic()) {
            return Err(UnitError::Bracket(bad));
        }
        self.rest = behind;
        Ok(text)
    }
}

/// The text up to the next operator, brackets taken whole.
fn symbol(rest: &str) -> Result<&str, UnitError> {
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

#[cfg(test)]
mod tests;
