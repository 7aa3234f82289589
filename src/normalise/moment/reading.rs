//! From a text to a time, step by step. Nothing is built on the way.

use super::super::point::Civil;
use super::pattern::{Field, Step};
use crate::domain::UnixNanos;

const SECONDS_PER_DAY: u64 = 86_400;

/// What has been read of a text.
#[derive(Debug, Clone, Copy)]
struct Read {
    year: u16,
    month: u8,
    day: u8,
    clock: (u8, u8, u8),
    nanos: u32,
    east_s: i32,
}

/// The time that a text means, in a zone so many seconds east of UTC if it does not say its own.
pub(super) fn read(steps: &[Step], text: &[u8], east_s: i32) -> Option<UnixNanos> {
    let mut read = Read {
        year: 0,
        month: 0,
        day: 0,
        clock: (0, 0, 0),
        nanos: 0,
        east_s,
    };
    let mut rest = text;
    for step in steps {
        rest = read.step(*step, rest)?;
    }
    if !rest.is_empty() {
        return None;
    }
    read.time()
}

impl Read {
    fn step<'a>(&mut self, step: Step, rest: &'a [u8]) -> Option<&'a [u8]> {
        match step {
            Step::Year => {
                let (century, rest) = two(rest)?;
                let (year, rest) = two(rest)?;
                self.year = u16::from(century) * 100 + u16::from(year);
                Some(rest)
            }
            Step::ShortYear => {
                let (year, rest) = two(rest)?;
                self.year = 2_000 + u16::from(year);
                Some(rest)
            }
            Step::Two(field) => {
                let (number, rest) = two(rest)?;
                self.set(field, number);
                Some(rest)
            }
            Step::OneOrTwo(field) => {
                let (number, rest) = two(rest).or_else(|| one(rest))?;
                self.set(field, number);
                Some(rest)
            }
            Step::Byte(byte) => rest.strip_prefix(&[byte]),
            Step::Fraction(count) => {
                let (digits, rest) = rest.split_at_checked(usize::from(count))?;
                self.nanos = nanos(digits)?;
                Some(rest)
            }
            Step::AnyFraction => {
                let [b'.' | b',', behind @ ..] = rest else {
                    return Some(rest);
                };
                let count = behind.iter().take_while(|b| b.is_ascii_digit()).count();
                let (digits, rest) = behind.split_at_checked(count.max(1))?;
                self.nanos = nanos(digits)?;
                Some(rest)
            }
            Step::AnyOffset if rest.is_empty() => Some(rest),
            Step::Offset | Step::AnyOffset => {
                let (east_s, rest) = offset(rest)?;
                self.east_s = east_s;
                Some(rest)
            }
        }
    }

    fn set(&mut self, field: Field, number: u8) {
        match field {
            Field::Month => self.month = number,
            Field::Day => self.day = number,
            Field::Hour => self.clock.0 = number,
            Field::Minute => self.clock.1 = number,
            Field::Second => self.clock.2 = number,
        }
    }

    fn time(self) -> Option<UnixNanos> {
        let date = (self.year, self.month, self.day);
        let civil = match (self.clock, self.nanos) {
            ((24, 0, 0), 0) => Civil::new(date, (0, 0, 0))?.plus_seconds(SECONDS_PER_DAY),
            (clock, nanos) => Civil::new(date, clock)?.with_nanos(nanos)?,
        };
        civil.at(self.east_s)
    }
}

fn digit(byte: u8) -> Option<u8> {
    byte.is_ascii_digit().then(|| byte - b'0')
}

fn one(text: &[u8]) -> Option<(u8, &[u8])> {
    let (first, rest) = text.split_first()?;
    Some((digit(*first)?, rest))
}

fn two(text: &[u8]) -> Option<(u8, &[u8])> {
    let [tens, ones, rest @ ..] = text else {
        return None;
    };
    Some((digit(*tens)? * 10 + digit(*ones)?, rest))
}

/// Nanoseconds of the digits of a fraction; those behind the ninth are cut.
fn nanos(digits: &[u8]) -> Option<u32> {
    let mut nanos = 0;
    for byte in digits.iter().take(9) {
        nanos = nanos * 10 + u32::from(digit(*byte)?);
    }
    let missing = 9_usize.saturating_sub(digits.len());
    Some(nanos * 10_u32.pow(u32::try_from(missing).ok()?))
}

/// Seconds east of UTC of `Z`, `+08:00`, `+0800` or `+08`, and what stands behind.
pub(super) fn offset(text: &[u8]) -> Option<(i32, &[u8])> {
    let (sign, rest) = text.split_first()?;
    let sign = match sign {
        b'Z' | b'z' => return Some((0, rest)),
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, rest) = two(rest)?;
    let (minutes, rest) = match rest {
        [b':', behind @ ..] => two(behind)?,
        rest => two(rest).unwrap_or((0, rest)),
    };
    let known = hours <= 23 && minutes <= 59;
    known.then_some((
        sign * (i32::from(hours) * 3_600 + i32::from(minutes) * 60),
        rest,
    ))
}
