//! CBOR as a [`Tree`]: heads of items, spans, halves of floats; nothing is built but text that comes in pieces.
//!
//! Our own: `minicbor` needs its own stepping over (ours is bounded in depth) and a reader of names and tags around it
//! all the same, `ciborium` builds values; what is left is the head of an item.

mod tree;

use std::borrow::Cow;

use super::{
    super::{
        super::{
            payload::Reject,
            point::{Moment, Value},
            time,
        },
        malformed,
        pointer::{Kind, Name, Scalar, Sign, TimeUnit, Tree, decimal, moment},
    },
    number::{as_real, big, negated, negative, simple, whole},
};
use crate::domain::QuarantineReason;

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
pub(super) const BYTES: u8 = 2;
pub(super) const TEXT: u8 = 3;
pub(super) const ARRAY: u8 = 4;
pub(super) const MAP: u8 = 5;
pub(super) const TAG: u8 = 6;
pub(super) const SIMPLE: u8 = 7;

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
    pub(super) at: usize,
}

/// The first bytes of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) major: u8,
    pub(super) info: u8,
    /// Value, length, count, tag or bits of a float; 0 where the length is open.
    pub(super) number: u64,
}

impl Head {
    pub(super) const fn is_open(self) -> bool {
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
    pub(super) fn take(&mut self, count: u64) -> Result<&'a [u8], Reject> {
        let taken = usize::try_from(count)
            .ok()
            .and_then(|count| self.rest().get(..count));
        let taken =
            taken.ok_or_else(|| malformed(self.at, format_args!("{count} bytes are wanted")))?;
        self.at += taken.len();
        Ok(taken)
    }

    pub(super) fn is_break(&self) -> bool {
        self.rest().first() == Some(&BREAK)
    }

    /// The head of the next item.
    #[inline]
    pub(super) fn head(&mut self) -> Result<Head, Reject> {
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

    pub(super) fn piece(&mut self, major: u8) -> Result<&'a [u8], Reject> {
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

    #[inline]
    pub(super) fn goes_on(&mut self, left: &mut Left) -> Result<bool, Reject> {
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

#[cold]
fn no_time(at: usize) -> Reject {
    let detail = format!("byte {at}: tagged as a time, but none from 1970 to 2554");
    Reject::new(QuarantineReason::ObservedAt, detail)
}
