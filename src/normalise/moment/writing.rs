//! The way back, for simulated devices and for tests: a time as a format writes it.

use std::fmt::Write as _;

use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

use super::{
    Kind, TimeFormat,
    pattern::{Field, Step},
};
use crate::domain::UnixNanos;

/// A time on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WrittenTime {
    Text(String),
    /// A count since 1970.
    Count(u64),
}

impl TimeFormat {
    /// What [`TimeFormat::parse`] reads as this time, as exactly as the format can say it; none for a time that is none on
    /// the calendar, and for a format relative to an arrival that is still to come.
    pub(crate) fn write(&self, at: UnixNanos, east_s: i32) -> Option<WrittenTime> {
        match &self.0 {
            Kind::Unix(each) => Some(WrittenTime::Count(at.0 / each)),
            Kind::Relative(_) => None,
            Kind::UnixByMagnitude => Some(WrittenTime::Count(at.0 / 1_000_000_000)),
            Kind::Rfc3339 => local(at, east_s)?
                .format(&Rfc3339)
                .ok()
                .map(WrittenTime::Text),
            Kind::Pattern(steps) => {
                let at = local(at, east_s)?;
                let mut text = Vec::new();
                for step in steps {
                    put(*step, at, &mut text);
                }
                String::from_utf8(text).ok().map(WrittenTime::Text)
            }
        }
    }
}

fn local(at: UnixNanos, east_s: i32) -> Option<OffsetDateTime> {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0)).ok()?;
    Some(at.to_offset(UtcOffset::from_whole_seconds(east_s).ok()?))
}

fn put(step: Step, at: OffsetDateTime, out: &mut Vec<u8>) {
    let field = |field| match field {
        Field::Month => u8::from(at.month()),
        Field::Day => at.day(),
        Field::Hour => at.hour(),
        Field::Minute => at.minute(),
        Field::Second => at.second(),
    };
    let mut text = String::new();
    match step {
        Step::Year => write!(text, "{:04}", at.year()),
        Step::ShortYear => write!(text, "{:02}", at.year().rem_euclid(100)),
        Step::Two(part) => write!(text, "{:02}", field(part)),
        Step::OneOrTwo(part) => write!(text, "{}", field(part)),
        Step::Fraction(digits) => {
            let all = format!("{:09}", at.nanosecond());
            write!(text, "{}", all.get(..usize::from(digits)).unwrap_or(&all))
        }
        Step::AnyFraction => match at.nanosecond() {
            0 => Ok(()),
            nanos => write!(text, ".{nanos:09}"),
        },
        Step::Offset | Step::AnyOffset => {
            let (hours, minutes, _) = at.offset().as_hms();
            let sign = if at.offset().is_negative() { '-' } else { '+' };
            write!(text, "{sign}{:02}:{:02}", hours.abs(), minutes.abs())
        }
        Step::Byte(byte) => {
            out.push(byte);
            Ok(())
        }
    }
    // Writing to a text does not fail.
    .unwrap_or_default();
    out.extend(text.bytes());
}
