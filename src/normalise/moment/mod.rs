//! Times as vendors write them: a format of a profile's text, compiled once into a flat list of steps.
//!
//! ```text
//!  name      rfc3339 · iso_basic (20151212T121212.5+08:00, fraction and offset may be missing)
//!            unix_s · unix_ms · unix_us · unix_ns · unix (by magnitude: below 1e11 s, 1e14 ms, 1e17 us, else ns)
//!  pattern   yyyy yy   year, yy of 2000 to 2099        HH H   hour        SSS    fraction, one to nine S: so many digits
//!            MM M      month                           mm m   minute      X XXX Z  offset: Z, +08:00, +0800 or +08
//!            dd d      day                             ss s   second      'T' ''   text as it is, a quote
//!            every other character that is no letter of ASCII stands for itself: yyyy年M月d日 H:mm
//!  relative  relative_s · relative_ms (from the arrival of the payload, negative before it: -5 is five seconds ago)
//! ```
//!
//! Two letters are two digits, one letter is one or two. What a pattern leaves out of the clock is zero. A time without
//! an offset of its own is in the zone of the profile ([`zone_east_s`]). Where a payload has a point in time in a type of its
//! own, that is taken whatever the profile says. A number is read by a pattern as its decimal digits, and by a Unix
//! format to the nanosecond. `unix` takes milliseconds from before 1973-03-03 for seconds: for clocks that run, only.
//!
//! A day may end at 24:00:00 (ISO 8601), which is the next day's 00:00:00; not in `rfc3339`, which has no such hour.
//! Second 60 is the second after, as in Unix time. From 1970 to 2554, on the device's calendar too.

mod amount;
mod pattern;
mod reading;
#[cfg(any(test, feature = "harness"))]
mod writing;

use thiserror::Error;

use super::{
    point::{Moment, Value},
    time,
};
use crate::domain::UnixNanos;
use amount::{Amount, decimal};
use pattern::{Step, TimeFormatError, pattern};
use reading::{offset, read};
#[cfg(any(test, feature = "harness"))]
pub(crate) use writing::WrittenTime;

/// Farthest zone from UTC, hours (Kiribati).
const ZONE_HOURS_MAX: u8 = 14;

/// How a profile's device writes its times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TimeFormat(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Rfc3339,
    /// A count since 1970 of so many nanoseconds each.
    Unix(u64),
    UnixByMagnitude,
    /// A count from arrival of so many nanoseconds each, negative before it.
    Relative(u64),
    Pattern(Box<[Step]>),
}

/// What a time is read against where it does not say all of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clock {
    /// Seconds east of UTC, for times without an offset of their own.
    pub(crate) east_s: i32,
    /// When the payload arrived, for times relative to that.
    pub(crate) received_at: UnixNanos,
}

impl TimeFormat {
    /// Of a profile's text.
    ///
    /// # Errors
    /// [`TimeFormatError`] says where it goes wrong and what there is.
    pub(crate) fn new(text: &str) -> Result<Self, TimeFormatError> {
        Ok(Self(match text {
            "rfc3339" => Kind::Rfc3339,
            "unix_s" => Kind::Unix(1_000_000_000),
            "unix_ms" => Kind::Unix(1_000_000),
            "unix_us" => Kind::Unix(1_000),
            "unix_ns" => Kind::Unix(1),
            "unix" => Kind::UnixByMagnitude,
            "relative_s" => Kind::Relative(1_000_000_000),
            "relative_ms" => Kind::Relative(1_000_000),
            "iso_basic" => {
                let mut steps = pattern("yyyyMMdd'T'HHmmss")?;
                steps.extend([Step::AnyFraction, Step::AnyOffset]);
                Kind::Pattern(steps.into())
            }
            _ => Kind::Pattern(pattern(text)?.into()),
        }))
    }

    /// Whether it says how far a time is from arrival, and not which time it is.
    #[cfg(any(test, feature = "harness"))]
    pub(crate) const fn is_relative(&self) -> bool {
        matches!(self.0, Kind::Relative(_))
    }

    /// The time that a payload's value means, by a clock where it does not say all of it; none if it is not written so,
    /// or is no time from 1970 to 2554.
    pub(crate) fn parse(&self, value: &Value<'_>, clock: Clock) -> Option<UnixNanos> {
        let Clock { east_s, .. } = clock;
        match (&self.0, *value) {
            (_, Value::Time(Moment::Unix(time))) => Some(time),
            (_, Value::Time(Moment::Local(civil))) => civil.at(east_s),
            (Kind::Rfc3339, Value::Text(text)) => time::from_text(text.trim_ascii()),
            (Kind::Rfc3339, _) => None,
            (Kind::Unix(each), value) => Amount::of(value)?.nanos(*each),
            (Kind::UnixByMagnitude, value) => {
                let amount = Amount::of(value)?;
                amount.nanos(amount.likely_unit())
            }
            (Kind::Relative(each), value) => amount::from(clock.received_at, value, *each),
            (Kind::Pattern(steps), Value::Text(text)) => {
                read(steps, text.trim_ascii().as_bytes(), east_s)
            }
            (Kind::Pattern(steps), value) => {
                let mut digits = [0; 20];
                read(
                    steps,
                    decimal(Amount::of(value)?.whole()?, &mut digits),
                    east_s,
                )
            }
        }
    }
}

/// Why a text is no zone.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "unknown zone: it is an offset such as +08:00 or -03:30 of at most {ZONE_HOURS_MAX} hours, Z or UTC, or \
     Asia/Shanghai, which is +08:00 all year since 1992; other names stand for rules of summer time, which are not kept \
     here"
)]
pub(crate) struct ZoneError;

/// Seconds east of UTC of a profile's zone.
///
/// # Errors
/// [`ZoneError`] says how a zone is written.
pub(crate) fn zone_east_s(text: &str) -> Result<i32, ZoneError> {
    match *text.as_bytes() {
        [b'Z'] | [b'U', b'T', b'C'] => Ok(0),
        [b'+' | b'-', _, _, b':', _, _] => match offset(text.as_bytes()) {
            Some((east_s, [])) if east_s.unsigned_abs() <= u32::from(ZONE_HOURS_MAX) * 3_600 => {
                Ok(east_s)
            }
            _ => Err(ZoneError),
        },
        _ if text == "Asia/Shanghai" => Ok(8 * 3_600),
        _ => Err(ZoneError),
    }
}

#[cfg(test)]
mod tests;
