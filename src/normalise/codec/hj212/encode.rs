//! The way back: one frame of real-time values (CN 2011), every value flagged as normal.

use std::fmt::Write;

use super::{
    super::{
        super::point::{Moment, OwnedKey, Value},
        encoding::{Calendar, Encoder, Report},
    },
    Hj212, check,
};
use crate::domain::UnixNanos;

fn digits(at: Calendar) -> String {
    let Calendar {
        year,
        month,
        day,
        hour,
        minute,
        second,
    } = at;
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}")
}

fn written(value: Value<'_>, report: &Report<'_>) -> Result<String, String> {
    let number = |mantissa: i64, places: u8| {
        let places = usize::from(places);
        let all = format!("{:0width$}", mantissa.unsigned_abs(), width = places + 1);
        let (whole, fraction) = all.split_at(all.len() - places);
        let sign = if mantissa < 0 { "-" } else { "" };
        let point = if places > 0 { "." } else { "" };
        format!("{sign}{whole}{point}{fraction}")
    };
    let text = match value {
        Value::Missing => String::new(),
        Value::Bool(value) => u8::from(value).to_string(),
        Value::Whole(value) => value.to_string(),
        Value::Large(value) => value.to_string(),
        Value::Decimal(value) => number(value.mantissa, value.places),
        Value::Real(value) => value.to_string(),
        Value::Text(text) => text.to_owned(),
        Value::Bytes(_) => return Err("bytes do not fit into HJ 212".to_owned()),
        Value::Time(moment) => {
            let (at, east_s) = match moment {
                Moment::Unix(at) => (at, report.east_s),
                Moment::Local(civil) => (civil.at(0).unwrap_or(UnixNanos(0)), 0),
            };
            digits(
                Report {
                    at,
                    east_s,
                    ..*report
                }
                .calendar(),
            )
        }
    };
    if text.contains([';', ',', '=', '&', '#']) {
        return Err(format!("`{text}` has a separator of HJ 212"));
    }
    Ok(text)
}

fn contents(report: &Report<'_>) -> Result<String, String> {
    let mut contents = format!("DataTime={}", digits(report.calendar()));
    let mut factor = None;
    let flag = |contents: &mut String, factor: Option<&str>| {
        factor.map_or(Ok(()), |factor| write!(contents, ",{factor}-Flag=N"))
    };
    for (key, value) in report.points {
        let OwnedKey::Name(key) = key else {
            return Err("HJ 212 has names, not numbers".to_owned());
        };
        let of = key.rsplit_once('-').map(|(factor, _)| factor);
        let separator = if of.is_some() && of == factor {
            ','
        } else {
            flag(&mut contents, factor).map_err(|error| error.to_string())?;
            ';'
        };
        factor = of;
        contents.push(separator);
        contents.push_str(&format!("{key}={}", written(*value, report)?));
    }
    flag(&mut contents, factor).map_err(|error| error.to_string())?;
    Ok(contents)
}

impl Encoder for Hj212 {
    fn encode(&self, report: &Report<'_>) -> Result<Vec<u8>, String> {
        let sent = digits(report.calendar());
        let millis = report.serial % 1_000;
        let (address, contents) = (report.address, contents(report)?);
        let segment = format!(
            "QN={sent}{millis:03};ST=31;CN=2011;PW=123456;MN={address};Flag=4;CP=&&{contents}&&"
        );
        let (len, crc) = (segment.len(), check::crc(segment.as_bytes()));
        if len > 9_999 {
            return Err(format!("{len} bytes do not fit into a frame of HJ 212"));
        }
        Ok(format!("##{len:04}{segment}{crc:04X}\r\n").into_bytes())
    }
}
