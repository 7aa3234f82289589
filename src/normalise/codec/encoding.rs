//! The way back, for simulated devices and for tests: from points to a payload. Not in the daemon.

use super::{
    super::point::{OwnedKey, Value},
    Codec,
};
use crate::domain::UnixNanos;

/// What a device reports in one payload, in the format's own terms: values as they stand on the wire, before any scale.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Report<'a> {
    /// The device's address in the frame, as the codec gives it when it reads.
    pub(crate) address: &'a str,
    /// When the values were observed.
    pub(crate) at: UnixNanos,
    /// Zone of the device's clock, seconds east of UTC.
    pub(crate) east_s: i32,
    /// Number of the frame, where frames are numbered.
    pub(crate) serial: u32,
    /// Keys as [`Codec::key`] gives them.
    pub(crate) points: &'a [(OwnedKey, Value<'a>)],
}

/// A codec that can also write.
pub(crate) trait Encoder: Codec {
    /// A payload that [`Codec::decode`] reads as these points.
    ///
    /// # Errors
    /// Which value does not fit the format.
    fn encode(&self, report: &Report<'_>) -> Result<Vec<u8>, String>;
}

/// A time taken apart, for formats that write calendars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Calendar {
    pub(crate) year: u16,
    pub(crate) month: u8,
    pub(crate) day: u8,
    pub(crate) hour: u8,
    pub(crate) minute: u8,
    pub(crate) second: u8,
}

impl Report<'_> {
    /// The observed time on the device's calendar.
    pub(crate) fn calendar(&self) -> Calendar {
        let seconds = i64::try_from(self.at.0 / 1_000_000_000).unwrap_or(0);
        let local = seconds + i64::from(self.east_s);
        let date = time::OffsetDateTime::from_unix_timestamp(local)
            .unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
        Calendar {
            year: u16::try_from(date.year()).unwrap_or(1970),
            month: u8::from(date.month()),
            day: date.day(),
            hour: date.hour(),
            minute: date.minute(),
            second: date.second(),
        }
    }
}

/// A number from 0 to 99 as a BCD byte.
pub(crate) const fn to_bcd(number: u8) -> u8 {
    ((number / 10) << 4) | (number % 10)
}
