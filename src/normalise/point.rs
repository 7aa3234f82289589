//! What a codec says and a profile listens to: points. A codec knows its format and nothing of classes; a profile knows
//! where each field of a class comes from and nothing of frames. Between them stands the [`Sink`].
//!
//! ```text
//!  payload ──framing──▶ frame ──decode──▶ head(key, value) …          holds for every record of the frame
//!                                    ├──▶ point(key, value, …) …      belongs to the record in work
//!                                    └──▶ end_record()                one report of one device
//! ```
//!
//! Codecs are generic over the sink and call it for every point: no list of points, no map, no text is built on the way.

use super::{payload::Reject, quality::Quality};
use crate::domain::UnixNanos;

/// How a codec names a value. Formats that write names use names; formats that write numbers use numbers, and their
/// codec says how a profile spells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key<'a> {
    /// As it stands in the payload, for example `a34004-Rtd`.
    Name(&'a str),
    /// A data identifier, register, element id or place in a pointer table.
    Code(u64),
}

/// A key as a profile holds it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum OwnedKey {
    Name(Box<str>),
    Code(u64),
}

impl OwnedKey {
    pub(crate) fn as_key(&self) -> Key<'_> {
        match self {
            Self::Name(name) => Key::Name(name),
            Self::Code(code) => Key::Code(*code),
        }
    }
}

/// A number as written in decimal digits: `mantissa / 10^places`, exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal {
    pub(crate) mantissa: i64,
    pub(crate) places: u8,
}

impl Decimal {
    pub(crate) const fn new(mantissa: i64, places: u8) -> Self {
        Self { mantissa, places }
    }
}

/// A value as the format has it, before scale, unit and maps of the profile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    /// The format itself says that there is none: null, fill bytes, an invalid mark.
    Missing,
    Bool(bool),
    Whole(i64),
    /// Beyond `i64`, for counters of 64 bits.
    Large(u64),
    Decimal(Decimal),
    Real(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
    Time(Moment),
}

/// A time of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// A point in time.
    Unix(UnixNanos),
    /// A calendar time whose zone the profile knows.
    Local(Civil),
}

/// Calendar and clock as written. Made by [`Civil::new`] only, so that it is a date that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Civil {
    /// Seconds from 1970-01-01 00:00 of the same calendar, as if its zone were UTC. Not negative.
    seconds: u64,
    nanos: u32,
}

impl Civil {
    /// Of year, month, day and hour, minute, second; none if there is no such date from 1970 to 2554. Second 60 is
    /// the second after, as in Unix time.
    pub(crate) fn new(date: (u16, u8, u8), clock: (u8, u8, u8)) -> Option<Self> {
        let (year, month, day) = (u64::from(date.0), u64::from(date.1), u64::from(date.2));
        let (hour, minute, second) = (u64::from(clock.0), u64::from(clock.1), u64::from(clock.2));
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days_in_month = match month {
            2 => 28 + u64::from(is_leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        let fits = (1970..=2554).contains(&year)
            && (1..=days_in_month).contains(&day)
            && hour <= 23
            && minute <= 59
            && second <= 60;
        if !fits {
            return None;
        }
        // Years begin in March, so that the leap day is the last of its year.
        let y = year - u64::from(month <= 2);
        let (era, year_of_era) = (y / 400, y % 400);
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * 146_097 + day_of_era - 719_468;
        Some(Self {
            seconds: days * 86_400 + hour * 3_600 + minute * 60 + second,
            nanos: 0,
        })
    }

    /// The same with a fraction of a second; none from a whole second on.
    pub(crate) fn with_nanos(self, nanos: u32) -> Option<Self> {
        (nanos < 1_000_000_000).then_some(Self { nanos, ..self })
    }

    /// The same, so many seconds later.
    pub(crate) fn plus_seconds(self, seconds: u64) -> Self {
        Self {
            seconds: self.seconds.saturating_add(seconds),
            ..self
        }
    }

    /// In a zone so many seconds east of UTC; none before 1970 or behind 2554.
    pub(crate) fn at(self, east_s: i32) -> Option<UnixNanos> {
        let seconds = self.seconds.checked_add_signed(-i64::from(east_s))?;
        let nanos = seconds
            .checked_mul(1_000_000_000)?
            .checked_add(u64::from(self.nanos))?;
        Some(UnixNanos(nanos))
    }
}

/// A value with what the format says about it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point<'a> {
    pub(crate) key: Key<'a>,
    pub(crate) value: Value<'a>,
    /// Unit on the wire, a UCUM code; none where only the profile knows it.
    pub(crate) unit: Option<&'static str>,
    pub(crate) quality: Quality,
    /// When this value was observed, where that is not the record's time.
    pub(crate) time: Option<Moment>,
}

impl<'a> Point<'a> {
    /// Of good quality, without a unit, of the record's time.
    pub(crate) const fn new(key: Key<'a>, value: Value<'a>) -> Self {
        Self {
            key,
            value,
            unit: None,
            quality: Quality::GOOD,
            time: None,
        }
    }

    pub(crate) const fn unit(self, unit: &'static str) -> Self {
        Self {
            unit: Some(unit),
            ..self
        }
    }

    pub(crate) const fn quality(self, quality: Quality) -> Self {
        Self { quality, ..self }
    }
}

/// What takes the points of a frame.
pub(crate) trait Sink {
    /// A value of the frame that holds for all of its records: address, command, serial number, time of sending.
    fn head(&mut self, key: Key<'_>, value: Value<'_>) -> Result<(), Reject>;

    /// A value of the record in work.
    fn point(&mut self, point: Point<'_>) -> Result<(), Reject>;

    /// The record in work is complete. Not called for a frame that reports nothing (a heartbeat, a registration).
    fn end_record(&mut self) -> Result<(), Reject>;
}
