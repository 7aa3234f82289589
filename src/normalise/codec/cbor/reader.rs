//! CBOR as a [`Tree`]: heads of items, spans, halves of floats; nothing is built but text that comes in pieces.
//!
//! Our own: `minicbor` needs its own stepping over (ours is bounded in depth) and a reader of names and tags around it
//! all the same, `ciborium` builds values; what is left is the head of an item.

use std::borrow::Cow;

use super::super::{
    super::{
        payload::Reject,
        point::{Decimal, Moment, Value},
        time,
    },
    malformed,
    pointer::{Kind, Name, Scalar, Sign, TimeUnit, Tree, decimal, moment},
    unsupported,
};
use crate::domain::QuarantineReason;

/// Deepest nesting of what is stepped over, as in JSON.
const DEPTH_MAX: usize = 32;

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;
const SIMPLE: u8 = 7;

/// The low five bits of an item of open length, and of the break that ends it.
const OPEN: u8 = 31;
const BREAK: u8 = 0xFF;

/// Tags that make one value of what follows.
const TAG_TIME_TEXT: u64 = 0;
const TAG_TIME_NUMBER: u64 = 1;
const TAG_BIG: u64 = 2;
const TAG_BIG_NEGATIVE: u64 = 3;
const TAG_DECIMAL: u64 = 4;

/// A place in CBOR.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cbor<'a> {
    all: &'a [u8],
    at: usize,
}

/// The first bytes of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    major: u8,
    info: u8,
    /// Value, length, count, tag or bits of a float; 0 where the length is open.
    number: u64,
}

impl Head {
    const fn is_open(self) -> bool {
        self.info == OPEN
    }

    const fn is_container(self) -> bool {
        matches!(self.major, ARRAY | MAP)
    }

    const fn is_scalar_tag(self) -> bool {
        self.major == TAG && self.number <= TAG_DECIMAL
    }
}

/// What is left of an array or map.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Left {
    /// Elements, or members with their names.
    Count(u64),
    UntilBreak,
    /// The same in a map that is stepped over, where the break may not part a name from its value.
    InPairs {
        is_at_name: bool,
    },
}

impl<'a> Cbor<'a> {
    /// The start of a payload.
    pub(crate) const fn new(payload: &'a [u8]) -> Self {
        Self {
            all: payload,
            at: 0,
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.all.get(self.at..).unwrap_or_default()
    }

    fn wrong(&self, what: &str) -> Reject {
        malformed(self.at, what)
    }

    #[inline]
    fn take(&mut self, count: u64) -> Result<&'a [u8], Reject> {
        let taken = usize::try_from(count)
            .ok()
            .and_then(|count| self.rest().get(..count));
        let taken =
            taken.ok_or_else(|| malformed(self.at, format_args!("{count} bytes are wanted")))?;
        self.at += taken.len();
        Ok(taken)
    }

    fn is_break(&self) -> bool {
        self.rest().first() == Some(&BREAK)
    }

    /// The head of the next item.
    #[inline]
    fn head(&mut self) -> Result<Head, Reject> {
        let start = self.at;
        let first = self.take(1)?.first().copied().unwrap_or_default();
        let (major, info) = (first >> 5, first & 0x1F);
        let number = match info {
            0..=23 => u64::from(info),
            24..=27 => {
                let bytes = self.take(1 << (info - 24))?;
                bytes
                    .iter()
                    .fold(0, |number, byte| number << 8 | u64::from(*byte))
            }
            OPEN if matches!(major, BYTES | TEXT | ARRAY | MAP) => 0,
            _ => return Err(malformed(start, format_args!("{first:02X} begins no item"))),
        };
        Ok(Head {
            major,
            info,
            number,
        })
    }

    /// Passes tags that say nothing of how an item is read.
    #[inline]
    fn pass_tags(&mut self) -> Result<Head, Reject> {
        loop {
            let mut behind = *self;
            let head = behind.head()?;
            if head.major != TAG || head.is_scalar_tag() {
                return Ok(head);
            }
            *self = behind;
        }
    }

    /// The bytes of a text or byte string; in pieces they are joined.
    #[inline]
    fn string(&mut self, head: Head) -> Result<Cow<'a, [u8]>, Reject> {
        if !head.is_open() {
            return self.take(head.number).map(Cow::Borrowed);
        }
        let mut joined = Vec::new();
        while !self.is_break() {
            joined.extend_from_slice(self.piece(head.major)?);
        }
        self.at += 1;
        Ok(Cow::Owned(joined))
    }

    fn piece(&mut self, major: u8) -> Result<&'a [u8], Reject> {
        let start = self.at;
        let piece = self.head()?;
        if piece.major != major || piece.is_open() {
            return Err(malformed(start, "a piece of the same string is wanted"));
        }
        self.take(piece.number)
    }

    #[inline]
    fn text(&mut self, head: Head) -> Result<Cow<'a, str>, Reject> {
        let start = self.at;
        let broken = || malformed(start, "text that is not UTF-8");
        Ok(match self.string(head)? {
            Cow::Borrowed(bytes) => {
                Cow::Borrowed(std::str::from_utf8(bytes).map_err(|_broken| broken())?)
            }
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8(bytes).map_err(|_broken| broken())?),
        })
    }

    fn tagged(&mut self, head: Head) -> Result<Scalar<'a>, Reject> {
        let start = self.at;
        match head.number {
            TAG_TIME_TEXT => {
                let inner = self.head()?;
                if inner.major != TEXT {
                    return Err(malformed(start, "text is wanted behind tag 0"));
                }
                let time = time::from_text(&self.text(inner)?).map(Moment::Unix);
                time.map(|time| Scalar::Plain(Value::Time(time)))
                    .ok_or_else(|| no_time(start))
            }
            TAG_TIME_NUMBER => {
                let number = self.untagged()?;
                let time = number.show(|number| Ok(moment(number, TimeUnit::S)))?;
                time.map(|time| Scalar::Plain(Value::Time(time)))
                    .ok_or_else(|| no_time(start))
            }
            TAG_DECIMAL => self.decimal_fraction(),
            _ => {
                let inner = self.head()?;
                if inner.major != BYTES {
                    return Err(malformed(
                        start,
                        "bytes are wanted behind a tag of big numbers",
                    ));
                }
                let bytes = self.string(inner)?;
                let sign = if head.number == TAG_BIG {
                    Sign::Plus
                } else {
                    Sign::Minus
                };
                Ok(Scalar::Plain(big(&bytes, sign)))
            }
        }
    }

    /// `[exponent, mantissa]` of tag 4.
    fn decimal_fraction(&mut self) -> Result<Scalar<'a>, Reject> {
        let start = self.at;
        let wanted = || malformed(start, "an exponent and a mantissa are wanted behind tag 4");
        let mut left = self
            .open(|head| head.major == ARRAY)
            .map_err(|_other| wanted())?;
        let mut numbers = [Value::Missing; 2];
        for number in &mut numbers {
            if !self.more(&mut left)? {
                return Err(wanted());
            }
            let mut behind = *self;
            let head = behind.head()?;
            let found = if head.major == TAG && matches!(head.number, TAG_BIG | TAG_BIG_NEGATIVE) {
                *self = behind;
                self.tagged(head)?
            } else {
                self.untagged()?
            };
            let Scalar::Plain(found) = found else {
                return Err(wanted());
            };
            *number = found;
        }
        let [Value::Whole(exponent), mantissa] = numbers else {
            return Err(wanted());
        };
        if self.more(&mut left)? {
            return Err(wanted());
        }
        let (sign, size) = match mantissa {
            Value::Whole(whole) if whole < 0 => (Sign::Minus, whole.unsigned_abs()),
            Value::Whole(whole) => (Sign::Plus, whole.unsigned_abs()),
            Value::Large(whole) => (Sign::Plus, whole),
            _ => return Err(wanted()),
        };
        let exact = decimal(sign, size, exponent.saturating_neg());
        Ok(Scalar::Plain(exact.unwrap_or_else(|| {
            let exponent = i32::try_from(exponent.clamp(-1_000, 1_000)).unwrap_or_default();
            let size = Value::Real(as_real(size) * 10_f64.powi(exponent));
            negated(size, sign)
        })))
    }

    fn open(&mut self, is_wanted: impl Fn(Head) -> bool) -> Result<Left, Reject> {
        let start = self.at;
        let head = self.pass_tags()?;
        if !is_wanted(head) {
            return Err(malformed(start, "an array or a map is wanted"));
        }
        self.head()?;
        Ok(if head.is_open() {
            Left::UntilBreak
        } else {
            Left::Count(head.number)
        })
    }

    /// A scalar without a tag that is part of it.
    #[inline]
    fn untagged(&mut self) -> Result<Scalar<'a>, Reject> {
        let start = self.at;
        let head = self.head()?;
        Ok(match head.major {
            UNSIGNED => Scalar::Plain(whole(head.number)),
            NEGATIVE => Scalar::Plain(negative(head.number)),
            BYTES => match self.string(head)? {
                Cow::Borrowed(bytes) => Scalar::Plain(Value::Bytes(bytes)),
                Cow::Owned(bytes) => Scalar::Bytes(bytes),
            },
            TEXT => match self.text(head)? {
                Cow::Borrowed(text) => Scalar::Plain(Value::Text(text)),
                Cow::Owned(text) => Scalar::Text(text),
            },
            SIMPLE => Scalar::Plain(simple(start, head)?),
            _ => return Err(malformed(start, "a value without members is wanted")),
        })
    }

    /// Passes an item, however nested, and checks that it is well-formed.
    fn pass(&mut self) -> Result<(), Reject> {
        let mut open = [Left::Count(0); DEPTH_MAX];
        let mut depth = 0;
        loop {
            let start = self.at;
            let head = self.head()?;
            let is_opened = match head.major {
                BYTES | TEXT => self.string_passed(head)?,
                TAG => continue,
                SIMPLE if is_lengthened(head) => return Err(malformed(start, LENGTHENED)),
                ARRAY | MAP => true,
                _ => false,
            };
            if is_opened {
                let place = open.get_mut(depth).ok_or_else(|| deep(start))?;
                *place = items(head);
                depth += 1;
            }
            loop {
                let Some(innermost) = depth.checked_sub(1).and_then(|at| open.get_mut(at)) else {
                    return Ok(());
                };
                if self.goes_on(innermost)? {
                    break;
                }
                depth -= 1;
            }
        }
    }

    fn string_passed(&mut self, head: Head) -> Result<bool, Reject> {
        if !head.is_open() {
            self.take(head.number)?;
            return Ok(false);
        }
        while !self.is_break() {
            self.piece(head.major)?;
        }
        self.at += 1;
        Ok(false)
    }

    #[inline]
    fn goes_on(&mut self, left: &mut Left) -> Result<bool, Reject> {
        match left {
            Left::Count(0) => Ok(false),
            Left::Count(count) => {
                *count -= 1;
                Ok(true)
            }
            Left::UntilBreak => {
                let is_over = self.is_break();
                self.at += usize::from(is_over);
                Ok(!is_over)
            }
            Left::InPairs { is_at_name } => {
                let is_over = self.is_break();
                if is_over && !*is_at_name {
                    return Err(self.wrong("a value is wanted behind its name"));
                }
                *is_at_name = !*is_at_name;
                self.at += usize::from(is_over);
                Ok(!is_over)
            }
        }
    }
}

/// Items in a container that is stepped over: names count for themselves.
const fn items(head: Head) -> Left {
    if head.is_open() && head.major == MAP {
        Left::InPairs { is_at_name: true }
    } else if head.is_open() {
        Left::UntilBreak
    } else if head.major == MAP {
        Left::Count(head.number.saturating_mul(2))
    } else {
        Left::Count(head.number)
    }
}

#[cold]
fn deep(at: usize) -> Reject {
    let detail = format!("byte {at}: nested deeper than {DEPTH_MAX} levels");
    Reject::new(QuarantineReason::TooLarge, detail)
}

#[cold]
fn no_time(at: usize) -> Reject {
    let detail = format!("byte {at}: tagged as a time, but none from 1970 to 2554");
    Reject::new(QuarantineReason::ObservedAt, detail)
}

fn whole(number: u64) -> Value<'static> {
    i64::try_from(number).map_or(Value::Large(number), Value::Whole)
}

/// -1 - number.
fn negative(number: u64) -> Value<'static> {
    match i64::try_from(number) {
        Ok(number) => Value::Whole(-1 - number),
        Err(_beyond) => Value::Real(-1.0 - as_real(number)),
    }
}

#[expect(clippy::cast_precision_loss, reason = "the nearest double is wanted")]
const fn as_real(number: u64) -> f64 {
    number as f64
}

fn big(bytes: &[u8], sign: Sign) -> Value<'static> {
    let digits = bytes
        .iter()
        .position(|byte| *byte != 0)
        .unwrap_or(bytes.len());
    let bytes = bytes.get(digits..).unwrap_or_default();
    if bytes.len() <= 8 {
        let number = bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte));
        return match sign {
            Sign::Minus => negative(number),
            Sign::Plus => whole(number),
        };
    }
    let size = bytes
        .iter()
        .fold(0.0, |size, byte| size * 256.0 + f64::from(*byte));
    negated(Value::Real(size), sign)
}

fn negated(value: Value<'static>, sign: Sign) -> Value<'static> {
    match value {
        Value::Real(real) if sign == Sign::Minus => Value::Real(-real),
        other => other,
    }
}

const LENGTHENED: &str = "a simple value in a longer form than allowed";

/// RFC 8949, clause 3.3: simple values below 32 take one byte.
const fn is_lengthened(head: Head) -> bool {
    head.info == 24 && head.number < 32
}

#[inline]
fn simple(at: usize, head: Head) -> Result<Value<'static>, Reject> {
    Ok(match (head.info, head.number) {
        (20, _) => Value::Bool(false),
        (21, _) => Value::Bool(true),
        (22 | 23, _) => Value::Missing,
        (25, bits) => Value::Real(half(bits)),
        (26, bits) => Value::Real(f64::from(f32::from_bits(
            u32::try_from(bits).unwrap_or_default(),
        ))),
        (27, bits) => Value::Real(f64::from_bits(bits)),
        _ if is_lengthened(head) => return Err(malformed(at, LENGTHENED)),
        _ => {
            return Err(unsupported(format_args!(
                "byte {at}: simple value {}",
                head.number
            )));
        }
    })
}

/// A float of 16 bits: one of sign, five of exponent, ten of fraction.
fn half(bits: u64) -> f64 {
    let exponent = i32::try_from(bits >> 10 & 0x1F).unwrap_or_default();
    let fraction = as_real(bits & 0x3FF);
    let size = match exponent {
        0 => fraction * 2_f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (fraction + 1_024.0) * 2_f64.powi(exponent - 25),
    };
    if bits >> 15 & 1 == 1 { -size } else { size }
}

impl<'a> Tree<'a> for Cbor<'a> {
    type Left = Left;

    #[inline]
    fn kind(&mut self) -> Result<Kind, Reject> {
        Ok(match self.pass_tags()?.major {
            MAP => Kind::Object,
            ARRAY => Kind::Array,
            _ => Kind::Scalar,
        })
    }

    #[inline]
    fn enter(&mut self) -> Result<Left, Reject> {
        self.open(Head::is_container)
    }

    #[inline]
    fn more(&mut self, left: &mut Left) -> Result<bool, Reject> {
        self.goes_on(left)
    }

    #[inline]
    fn name(&mut self) -> Result<Name<'a>, Reject> {
        let head = self.pass_tags()?;
        Ok(match head.major {
            TEXT => {
                self.head()?;
                Name::Text(self.text(head)?)
            }
            UNSIGNED | NEGATIVE => match self.untagged()? {
                Scalar::Plain(Value::Whole(number)) => Name::Number(number),
                _ => Name::Other,
            },
            _ => {
                self.pass()?;
                Name::Other
            }
        })
    }

    fn skip(&mut self) -> Result<(), Reject> {
        self.pass()
    }

    fn raw(&mut self) -> Result<Value<'a>, Reject> {
        let start = self.at;
        self.pass()?;
        Ok(Value::Bytes(
            self.all.get(start..self.at).unwrap_or_default(),
        ))
    }

    #[inline]
    fn scalar(&mut self) -> Result<Scalar<'a>, Reject> {
        let head = self.pass_tags()?;
        if head.major == TAG {
            self.head()?;
            return self.tagged(head);
        }
        if head.is_container() {
            return self.raw().map(Scalar::Plain);
        }
        self.untagged()
    }

    fn end(&mut self) -> Result<(), Reject> {
        if self.rest().is_empty() {
            Ok(())
        } else {
            Err(self.wrong("the end is wanted"))
        }
    }
}
