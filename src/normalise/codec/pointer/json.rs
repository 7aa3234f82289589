//! JSON as a [`Tree`]: the scanner of the canonical format, numbers kept exact, escapes resolved on demand.

use std::borrow::Cow;

use super::{
    super::super::{
        payload::Reject,
        point::{Decimal, Value},
        scan::{DEPTH_MAX, Fault, FaultKind, Next, Scanner},
    },
    tree::{Kind, Name, Scalar, Tree},
};
use crate::domain::QuarantineReason;

/// Most places of a decimal: 10^18 is the largest power of ten in an `i64`.
const PLACES_MAX: i64 = 18;

/// A place in JSON text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Json<'a> {
    scanner: Scanner<'a>,
}

/// What is left of an array or object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Open {
    end: u8,
    is_first: bool,
}

impl<'a> Json<'a> {
    /// The start of a payload. A byte order mark is passed over, as RFC 8259, clause 8.1 allows.
    pub(crate) fn new(payload: &'a [u8]) -> Result<Self, Reject> {
        let payload = payload.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(payload);
        let text = std::str::from_utf8(payload).map_err(|why| {
            let detail = format!("byte {}: not UTF-8", why.valid_up_to());
            Reject::new(QuarantineReason::MalformedJson, detail)
        })?;
        Ok(Self {
            scanner: Scanner::new(text),
        })
    }
}

#[cold]
fn refused(fault: Fault) -> Reject {
    match fault.kind {
        FaultKind::Wanted(what) => Reject::new(
            QuarantineReason::MalformedJson,
            format!("byte {}: {what} is wanted", fault.at),
        ),
        FaultKind::Deep => Reject::new(
            QuarantineReason::TooLarge,
            format!("byte {}: nested deeper than {DEPTH_MAX} levels", fault.at),
        ),
    }
}

impl<'a> Tree<'a> for Json<'a> {
    type Left = Open;

    #[inline]
    fn kind(&mut self) -> Result<Kind, Reject> {
        Ok(match self.scanner.next().map_err(refused)? {
            Next::Object => Kind::Object,
            Next::Array => Kind::Array,
            _ => Kind::Scalar,
        })
    }

    #[inline]
    fn enter(&mut self) -> Result<Open, Reject> {
        let (start, end) = match self.scanner.next().map_err(refused)? {
            Next::Object => (b'{', b'}'),
            _ => (b'[', b']'),
        };
        self.scanner
            .expect(start, "an object or array")
            .map_err(refused)?;
        Ok(Open {
            end,
            is_first: true,
        })
    }

    #[inline]
    fn more(&mut self, left: &mut Open) -> Result<bool, Reject> {
        if std::mem::take(&mut left.is_first) {
            return Ok(!self.scanner.take(left.end));
        }
        if self.scanner.take(b',') {
            return Ok(true);
        }
        self.scanner
            .expect(left.end, "a comma or the end of the object or array")
            .map_err(refused)?;
        Ok(false)
    }

    #[inline]
    fn name(&mut self) -> Result<Name<'a>, Reject> {
        self.scanner.name().map(Name::Text).map_err(refused)
    }

    #[inline]
    fn raw(&mut self) -> Result<Value<'a>, Reject> {
        self.scanner.value().map(Value::Text).map_err(refused)
    }

    #[inline]
    fn scalar(&mut self) -> Result<Scalar<'a>, Reject> {
        let next = self.scanner.next().map_err(refused)?;
        Ok(match next {
            Next::Number => Scalar::Plain(number(self.scanner.number().map_err(refused)?.text)),
            Next::True | Next::False => {
                self.scanner.word(next).map_err(refused)?;
                Scalar::Plain(Value::Bool(next == Next::True))
            }
            Next::Null => {
                self.scanner.word(next).map_err(refused)?;
                Scalar::Plain(Value::Missing)
            }
            Next::Text => {
                let quoted = self.scanner.value().map_err(refused)?;
                let text = quoted
                    .get(1..quoted.len().saturating_sub(1))
                    .unwrap_or_default();
                if text.as_bytes().contains(&b'\\') {
                    Scalar::Escaped(text)
                } else {
                    Scalar::Plain(Value::Text(text))
                }
            }
            Next::Object | Next::Array => Scalar::Plain(self.raw()?),
        })
    }

    fn end(&mut self) -> Result<(), Reject> {
        self.scanner.end().map_err(refused)
    }
}

/// The value of a number's text: whole, or exact to the last digit, or, where neither fits, the nearest double.
#[inline]
pub(crate) fn number(text: &str) -> Value<'static> {
    short(text)
        .or_else(|| exact(text))
        .unwrap_or_else(|| Value::Real(text.parse().unwrap_or(f64::NAN)))
}

/// Of up to 18 digits without an exponent, as nearly all are.
#[inline]
fn short(text: &str) -> Option<Value<'static>> {
    let (sign, digits) = match text.as_bytes() {
        [b'-', digits @ ..] => (-1, digits),
        digits => (1, digits),
    };
    if digits.len() > 18 {
        return None;
    }
    let mut mantissa = 0_i64;
    let mut behind_point = digits.len();
    for (at, byte) in digits.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            mantissa = mantissa * 10 + i64::from(digit);
        } else if *byte == b'.' {
            behind_point = at + 1;
        } else {
            return None;
        }
    }
    Some(match u8::try_from(digits.len() - behind_point).ok()? {
        0 => Value::Whole(sign * mantissa),
        places => Value::Decimal(Decimal::new(sign * mantissa, places)),
    })
}

#[inline]
fn exact(text: &str) -> Option<Value<'static>> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let mut mantissa = 0_u64;
    let mut places = 0_i64;
    let mut step = 0;
    for (at, byte) in digits.bytes().enumerate() {
        match byte {
            b'0'..=b'9' => {
                mantissa = mantissa
                    .checked_mul(10)?
                    .checked_add(u64::from(byte - b'0'))?;
                places += step;
            }
            b'.' => step = 1,
            _ => {
                let exponent: i32 = digits.get(at + 1..)?.parse().ok()?;
                places -= i64::from(exponent);
                break;
            }
        }
    }
    let sign = if digits.len() == text.len() {
        Sign::Plus
    } else {
        Sign::Minus
    };
    decimal(sign, mantissa, places)
}

/// Of a number whose size stands apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    Plus,
    Minus,
}

/// A decimal number as a value, if it is exact there.
pub(crate) fn decimal(sign: Sign, mantissa: u64, places: i64) -> Option<Value<'static>> {
    let signed = match sign {
        Sign::Minus => 0_i64.checked_sub_unsigned(mantissa),
        Sign::Plus => i64::try_from(mantissa).ok(),
    };
    match places {
        0 => match signed {
            Some(whole) => Some(Value::Whole(whole)),
            None if sign == Sign::Minus => None,
            None => Some(Value::Large(mantissa)),
        },
        1..=PLACES_MAX => Some(Value::Decimal(Decimal::new(
            signed?,
            u8::try_from(places).ok()?,
        ))),
        _ if mantissa == 0 => Some(Value::Whole(0)),
        _ if places > 0 => None,
        _ => {
            let zeros = u32::try_from(-places).ok().filter(|zeros| *zeros <= 18)?;
            signed?
                .checked_mul(10_i64.checked_pow(zeros)?)
                .map(Value::Whole)
        }
    }
}

/// The number that a text is, as JSON writes numbers; for devices that quote them.
pub(crate) fn number_in_text(text: &str) -> Option<Value<'static>> {
    let mut scanner = Scanner::new(text);
    if !text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return None;
    }
    let whole = scanner.number().ok()?.text;
    (whole.len() == text.len()).then(|| number(whole))
}

/// Resolves the escapes of a text into a scratch; none if it does not fit or a surrogate stands alone.
pub(super) fn unescape<'s>(text: &str, scratch: &'s mut [u8]) -> Option<&'s str> {
    let mut rest = text;
    let mut len = 0_usize;
    let mut put = |bytes: &[u8]| {
        let place = scratch.get_mut(len..len.checked_add(bytes.len())?)?;
        place.copy_from_slice(bytes);
        len += bytes.len();
        Some(())
    };
    while let Some((plain, escape)) = rest.split_once('\\') {
        put(plain.as_bytes())?;
        let (character, behind) = one_escape(escape)?;
        put(character.encode_utf8(&mut [0; 4]).as_bytes())?;
        rest = behind;
    }
    put(rest.as_bytes())?;
    std::str::from_utf8(scratch.get(..len)?).ok()
}

/// The character of an escape, behind its backslash, and what follows.
fn one_escape(escape: &str) -> Option<(char, &str)> {
    let mut characters = escape.chars();
    let plain = match characters.next()? {
        'b' => '\u{8}',
        'f' => '\u{C}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => {
            let (high, rest) = four_digits(characters.as_str())?;
            if let Some(character) = char::from_u32(high) {
                return Some((character, rest));
            }
            let (low, rest) = four_digits(rest.strip_prefix("\\u")?)?;
            let pair = [u16::try_from(high).ok()?, u16::try_from(low).ok()?];
            let character = char::decode_utf16(pair).next()?.ok()?;
            return Some((character, rest));
        }
        other => other,
    };
    Some((plain, characters.as_str()))
}

fn four_digits(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    Some((u32::from_str_radix(digits, 16).ok()?, rest))
}

/// Resolves the escapes of a text of any length.
pub(super) fn unescape_any(text: &str) -> Result<String, Reject> {
    let mut scratch = vec![0; text.len()];
    unescape(text, &mut scratch)
        .map(str::to_owned)
        .ok_or_else(|| {
            let detail = "a text with half of a surrogate pair";
            Reject::new(QuarantineReason::MalformedJson, detail)
        })
}

/// A member's name as text, for those who compare it; what is no text is none.
pub(super) fn as_text<'n>(name: &'n Name<'_>) -> Option<&'n str> {
    match name {
        Name::Text(Cow::Borrowed(text)) => Some(text),
        Name::Text(Cow::Owned(text)) => Some(text),
        Name::Number(_) | Name::Other => None,
    }
}
