//! Replies of a meter, for simulated devices and tests: one frame for each value, as a meter answers one identifier at a
//! time; the values of a frozen series share theirs.

use super::super::super::point::{Civil, Moment, OwnedKey, Value};
use super::super::encoding::{Calendar, Encoder, Report, to_bcd};
use super::items::{Item, Kind, Sign};
use super::{BIAS, Dlt645, END, START, sum8};

/// Bytes that wake the receiver.
const WAKE: [u8; 4] = [0xFE; 4];
/// A reply to a reading.
const READ_REPLY: u8 = 0x91;

impl Encoder for Dlt645 {
    fn encode(&self, report: &Report<'_>) -> Result<Vec<u8>, String> {
        let address = hex::decode(format!("{:0>12}", report.address))
            .ok()
            .filter(|address| address.len() == 6)
            .ok_or_else(|| format!("address {:?} has not up to 12 digits", report.address))?;
        let mut payload = Vec::new();
        for (key, value) in report.points {
            let OwnedKey::Code(code) = key else {
                continue;
            };
            if code >> 32 != 0 {
                continue;
            }
            let di = u32::try_from(*code).map_err(|_error| format!("{code:X} is no identifier"))?;
            let item = self
                .item(di)
                .ok_or_else(|| format!("{di:08X} is not known"))?;
            let mut data = di.to_le_bytes().to_vec();
            match item.kind {
                Kind::Series(sign) => series(report, di, sign, &mut data)?,
                _ => data
                    .extend(element(report, item, *value).map_err(|e| format!("{di:08X}: {e}"))?),
            }
            frame(&address, &data, &mut payload)?;
        }
        Ok(payload)
    }
}

fn frame(address: &[u8], data: &[u8], payload: &mut Vec<u8>) -> Result<(), String> {
    let length = u8::try_from(data.len()).map_err(|_error| "the data is too long".to_owned())?;
    payload.extend(WAKE);
    let from = payload.len();
    payload.push(START);
    payload.extend(address.iter().rev());
    payload.extend([START, READ_REPLY, length]);
    payload.extend(data.iter().map(|byte| byte.wrapping_add(BIAS)));
    let sum = sum8(payload.get(from..).unwrap_or_default());
    payload.extend([sum, END]);
    Ok(())
}

/// The numbers of a series, from the total on without a gap.
fn series(report: &Report<'_>, di: u32, sign: Sign, data: &mut Vec<u8>) -> Result<(), String> {
    for place in 0..64_u64 {
        let code = OwnedKey::Code(u64::from(di) | place << 32);
        let found = report.points.iter().find(|(key, _)| *key == code);
        let Some((_, value)) = found else {
            break;
        };
        data.extend(number(*value, 4, 2, sign)?);
    }
    Ok(())
}

fn element(report: &Report<'_>, item: Item, value: Value<'_>) -> Result<Vec<u8>, String> {
    let bytes = usize::from(item.bytes.unwrap_or_default());
    let calendar = report.calendar();
    match (item.kind, value) {
        (Kind::Number(places, sign), _) => number(value, bytes, places, sign),
        (Kind::Demand(sign), _) => {
            let mut data = number(value, 3, 4, sign)?;
            data.extend(minute(calendar));
            Ok(data)
        }
        (Kind::Bits, Value::Whole(word)) => {
            Ok(word.to_le_bytes().into_iter().take(bytes).collect())
        }
        (Kind::Clock, Value::Whole(seconds)) => {
            let parts = [seconds % 60, seconds / 60 % 60, seconds / 3_600];
            let parts = parts.map(|part| to_bcd(u8::try_from(part).unwrap_or(0)));
            Ok(parts.to_vec())
        }
        (Kind::Date | Kind::Minute | Kind::Second, Value::Time(moment)) => {
            Ok(time(item.kind, calendar_of(moment, report)))
        }
        (Kind::Digits, Value::Text(digits)) => {
            let mut digits = hex::decode(digits).map_err(|error| error.to_string())?;
            digits.reverse();
            Ok(digits)
        }
        (Kind::Text, Value::Text(text)) => {
            let mut data: Vec<u8> = text.bytes().rev().collect();
            data.resize(bytes, b' ');
            Ok(data)
        }
        (Kind::Raw, Value::Bytes(raw)) => Ok(raw.to_vec()),
        (_, Value::Missing) => Ok(vec![0xFF; bytes]),
        _ => Err(format!("{value:?} cannot be written")),
    }
}

fn number(value: Value<'_>, bytes: usize, places: u8, sign: Sign) -> Result<Vec<u8>, String> {
    let mantissa = match value {
        Value::Missing => return Ok(vec![0xFF; bytes]),
        Value::Whole(whole) if places == 0 => whole,
        Value::Decimal(decimal) if decimal.places == places => decimal.mantissa,
        _ => return Err(format!("{value:?} is no number with {places} decimals")),
    };
    let mut magnitude = mantissa.unsigned_abs();
    let mut data = Vec::with_capacity(bytes);
    for _ in 0..bytes {
        data.push(to_bcd(u8::try_from(magnitude % 100).unwrap_or(0)));
        magnitude /= 100;
    }
    let top = data
        .last_mut()
        .filter(|top| sign == Sign::None || **top < 0x80);
    match top {
        Some(top) if magnitude == 0 && (mantissa >= 0 || sign == Sign::TopBit) => {
            *top |= if mantissa < 0 { 0x80 } else { 0 };
            Ok(data)
        }
        _ => Err(format!("{mantissa} does not fit {bytes} bytes")),
    }
}

fn calendar_of(moment: Moment, report: &Report<'_>) -> Calendar {
    let at = match moment {
        Moment::Unix(at) => Some((at, report.east_s)),
        Moment::Local(civil) => Civil::at(civil, 0).map(|at| (at, 0)),
    };
    let (at, east_s) = at.unwrap_or((report.at, report.east_s));
    Report {
        at,
        east_s,
        ..*report
    }
    .calendar()
}

fn years(calendar: Calendar) -> u8 {
    to_bcd(u8::try_from(calendar.year % 100).unwrap_or(0))
}

fn minute(calendar: Calendar) -> [u8; 5] {
    [
        to_bcd(calendar.minute),
        to_bcd(calendar.hour),
        to_bcd(calendar.day),
        to_bcd(calendar.month),
        years(calendar),
    ]
}

fn time(kind: Kind, calendar: Calendar) -> Vec<u8> {
    let date = [
        // the day of the week is not read
        0,
        to_bcd(calendar.day),
        to_bcd(calendar.month),
        years(calendar),
    ];
    match kind {
        Kind::Minute => minute(calendar).to_vec(),
        Kind::Second => {
            let clock = [calendar.second, calendar.minute, calendar.hour];
            clock.map(to_bcd).into_iter().chain(date).collect()
        }
        _ => date.to_vec(),
    }
}
