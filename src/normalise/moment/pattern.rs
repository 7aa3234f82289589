//! From the letters of a pattern to its steps.

use thiserror::Error;

/// Longest format taken, bytes.
const FORMAT_BYTES_MAX: usize = 64;

/// One thing to read of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Year,
    ShortYear,
    Two(Field),
    OneOrTwo(Field),
    /// So many digits of a second.
    Fraction(u8),
    /// A point or comma and any number of digits, or nothing.
    AnyFraction,
    Offset,
    /// An offset, or the end.
    AnyOffset,
    Byte(u8),
}

/// Two digits of calendar or clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Month,
    Day,
    Hour,
    Minute,
    Second,
}

/// Why a text is no format of times.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "at byte {at}: {why}; known are the names rfc3339, iso_basic, unix, unix_s, unix_ms, unix_us, \
     unix_ns, and patterns of yyyy yy MM M dd d HH H mm m ss s S..SSSSSSSSS X XXX Z and quoted text as 'T'"
)]
pub(crate) struct TimeFormatError {
    /// Byte of the format at which it goes wrong.
    pub(crate) at: usize,
    #[source]
    pub(crate) why: FormatFault,
}

/// What is wrong at that byte.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum FormatFault {
    #[error("{0:?} is neither a name nor letters of a pattern")]
    Letters(String),
    #[error("a quote is not closed")]
    Quote,
    #[error("{0:?} repeats what the pattern has already")]
    Twice(String),
    #[error("what stands before has no fixed length, and more digits follow")]
    Digits,
    #[error("no {0}")]
    Needs(&'static str),
    #[error("longer than {FORMAT_BYTES_MAX} bytes")]
    TooLong,
}

/// The steps of a pattern.
pub(super) fn pattern(format: &str) -> Result<Vec<Step>, TimeFormatError> {
    let fault = |at, why| TimeFormatError { at, why };
    if format.len() > FORMAT_BYTES_MAX {
        return Err(fault(FORMAT_BYTES_MAX, FormatFault::TooLong));
    }
    let mut steps: Vec<Step> = Vec::new();
    let mut at = 0;
    while let Some(rest) = format.get(at..).filter(|rest| !rest.is_empty()) {
        let known = steps.len();
        let len = if rest.starts_with('\'') {
            quoted(rest, &mut steps).ok_or_else(|| fault(at, FormatFault::Quote))?
        } else {
            piece(rest, &mut steps).map_err(|why| fault(at, why))?
        };
        let (before, new) = steps.split_at_checked(known).unwrap_or_default();
        if let (Some(last), Some(next)) = (before.last(), new.first())
            && last.is_open()
            && next.is_digits()
        {
            return Err(fault(at, FormatFault::Digits));
        }
        at += len;
    }
    complete(&steps).map_err(|why| fault(format.len(), why))?;
    Ok(steps)
}

/// Text in quotes, or a quote written as two; its length with them, none if it does not end.
fn quoted(rest: &str, steps: &mut Vec<Step>) -> Option<usize> {
    let inside = rest.strip_prefix('\'')?;
    let text = inside.get(..inside.find('\'')?)?;
    let literal = if text.is_empty() { "'" } else { text };
    steps.extend(literal.bytes().map(Step::Byte));
    Some(text.len() + 2)
}

/// A run of one letter, or a character that stands for itself; its length.
fn piece(rest: &str, steps: &mut Vec<Step>) -> Result<usize, FormatFault> {
    let Some(letter) = rest.chars().next() else {
        return Ok(0);
    };
    if !letter.is_ascii_alphabetic() {
        steps.extend(rest.bytes().take(letter.len_utf8()).map(Step::Byte));
        return Ok(letter.len_utf8());
    }
    let len = rest
        .bytes()
        .take_while(|b| char::from(*b) == letter)
        .count();
    let run = rest.get(..len).unwrap_or_default();
    let step = match run {
        "yyyy" => Step::Year,
        "yy" => Step::ShortYear,
        "MM" => Step::Two(Field::Month),
        "M" => Step::OneOrTwo(Field::Month),
        "dd" => Step::Two(Field::Day),
        "d" => Step::OneOrTwo(Field::Day),
        "HH" => Step::Two(Field::Hour),
        "H" => Step::OneOrTwo(Field::Hour),
        "mm" => Step::Two(Field::Minute),
        "m" => Step::OneOrTwo(Field::Minute),
        "ss" => Step::Two(Field::Second),
        "s" => Step::OneOrTwo(Field::Second),
        "X" | "XX" | "XXX" | "Z" => Step::Offset,
        _ if letter == 'S' && len <= 9 => Step::Fraction(u8::try_from(len).unwrap_or(9)),
        _ => {
            let word = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
            let letters = if len > 1 { len } else { word };
            return Err(FormatFault::Letters(
                rest.get(..letters).unwrap_or_default().to_owned(),
            ));
        }
    };
    if steps.iter().any(|other| other.part() == step.part()) {
        return Err(FormatFault::Twice(run.to_owned()));
    }
    steps.push(step);
    Ok(len)
}

/// Whether the steps make a time: a date, and a clock without gaps.
fn complete(steps: &[Step]) -> Result<(), FormatFault> {
    let has = |part| steps.iter().any(|step| step.part() == Some(part));
    for (needed, word, by) in [
        (Part::Year, "year", None),
        (Part::Field(Field::Month), "month", None),
        (Part::Field(Field::Day), "day", None),
        (
            Part::Field(Field::Hour),
            "hour",
            Some(Part::Field(Field::Minute)),
        ),
        (
            Part::Field(Field::Minute),
            "minute",
            Some(Part::Field(Field::Second)),
        ),
        (Part::Field(Field::Second), "second", Some(Part::Fraction)),
    ] {
        if !has(needed) && by.is_none_or(has) {
            return Err(FormatFault::Needs(word));
        }
    }
    Ok(())
}

/// What a step reads, whatever its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Year,
    Field(Field),
    Fraction,
    Offset,
}

impl Step {
    fn part(self) -> Option<Part> {
        match self {
            Self::Year | Self::ShortYear => Some(Part::Year),
            Self::Two(field) | Self::OneOrTwo(field) => Some(Part::Field(field)),
            Self::Fraction(_) | Self::AnyFraction => Some(Part::Fraction),
            Self::Offset | Self::AnyOffset => Some(Part::Offset),
            Self::Byte(_) => None,
        }
    }

    /// Whether a digit behind it could still be its own.
    fn is_open(self) -> bool {
        matches!(self, Self::OneOrTwo(_) | Self::Offset)
    }

    fn is_digits(self) -> bool {
        match self {
            Self::Byte(byte) => byte.is_ascii_digit(),
            Self::Offset | Self::AnyOffset | Self::AnyFraction => false,
            _ => true,
        }
    }
}
