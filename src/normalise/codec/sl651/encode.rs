//! The way back: a timed report, an hourly one where there are series, packets where there is a picture.

use super::{
    super::{
        super::point::{OwnedKey, Value},
        bits::crc16_modbus,
        encoding::{Encoder, Report, to_bcd},
    },
    START, STX, SYN, Sl651,
    elements::{self, Kind},
};

/// Most bytes of a body that goes in packets, as stations cut them.
const PACKET: usize = 1_000;
const CENTRE: u8 = 1;

/// Digits and places of a number with at most seven places.
fn number(value: Value<'_>) -> Result<(i64, u8), String> {
    match value {
        Value::Bool(value) => Ok((i64::from(value), 0)),
        Value::Whole(value) => Ok((value, 0)),
        Value::Decimal(value) if value.places <= 7 => Ok((value.mantissa, value.places)),
        Value::Real(value) => {
            let thousandths = (value * 1_000.0).round();
            let digits = format!("{thousandths:.0}");
            digits
                .parse()
                .map(|number| (number, 3))
                .map_err(|error| format!("{value}: {error}"))
        }
        other => Err(format!("{other:?} is no number that SL 651 can carry")),
    }
}

fn bcd(number: u64, width: usize) -> Result<Vec<u8>, String> {
    let digits = format!("{number:0width$}", width = width * 2);
    hex_bytes(&digits).ok_or_else(|| format!("{number} does not fit into {width} bytes"))
}

fn hex_bytes(digits: &str) -> Option<Vec<u8>> {
    let nibbles: Vec<u8> = digits
        .chars()
        .map(|digit| {
            digit
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        })
        .collect::<Option<_>>()?;
    let (pairs, []) = nibbles.as_chunks::<2>() else {
        return None;
    };
    Some(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

/// The width that the standard gives to the elements that most stations send.
const fn width(id: u64) -> usize {
    match id {
        0x27..=0x31 | 0x44 => 5,
        0x39..=0x43 | 0x01 => 4,
        0x02 | 0x03 | 0x0D | 0x38 | 0x46 | 0x47 => 2,
        _ => 3,
    }
}

fn digits(id: u64, value: Value<'_>) -> Result<(u8, Vec<u8>), String> {
    if value == Value::Missing {
        return Ok((0, vec![0xFF; width(id)]));
    }
    let (number, places) = number(value)?;
    let needed = number.unsigned_abs().to_string().len().div_ceil(2);
    if number >= 0 {
        return Ok((places, bcd(number.unsigned_abs(), width(id).max(needed))?));
    }
    let mut bytes = vec![0xFF];
    bytes.extend(bcd(number.unsigned_abs(), needed.max(width(id) - 1))?);
    Ok((places, bytes))
}

fn binary(value: Value<'_>, width: usize, places: u8) -> Result<Vec<u8>, String> {
    let missing = (1_i64 << (8 * width)) - 1;
    let raw = match value {
        Value::Missing => missing,
        value => {
            let (number, have) = number(value)?;
            if have > places {
                return Err(format!("{value:?} has more than {places} decimals"));
            }
            let scaled = number.checked_mul(10_i64.pow(u32::from(places - have)));
            scaled
                .filter(|raw| (0..missing).contains(raw))
                .ok_or_else(|| format!("{value:?} does not fit into {width} bytes"))?
        }
    };
    Ok(raw.to_be_bytes().into_iter().skip(8 - width).collect())
}

fn push(out: &mut Vec<u8>, id: u64, places: u8, value: &[u8]) -> Result<(), String> {
    let len = u8::try_from(value.len()).ok().filter(|len| *len < 32);
    let len = len.ok_or_else(|| format!("{} bytes of one element", value.len()))?;
    if id > 0xFF {
        out.push(0xFF);
    }
    out.extend([id.to_be_bytes()[7], len << 3 | places]);
    out.extend(value);
    Ok(())
}

fn element(out: &mut Vec<u8>, id: u64, values: &[Value<'_>]) -> Result<(), String> {
    let value = values.first().copied().unwrap_or(Value::Missing);
    match (elements::kind(id), value) {
        _ if id == elements::TIME || id == elements::STATION => {
            Err(format!("{id:02X} is written of itself"))
        }
        (_, Value::Text(text)) if id == elements::MANUAL => {
            out.extend([0xF2, 0xF2]);
            out.extend(encoding_rs::GB18030.encode(text).0.iter());
            Ok(())
        }
        (_, Value::Bytes(picture)) if id == elements::PICTURE => {
            out.extend([0xF3, 0xF3]);
            out.extend(picture);
            Ok(())
        }
        (Kind::Step, value) => {
            let (seconds, _) = number(value)?;
            let minutes = u64::try_from(seconds).map_err(|error| error.to_string())? / 60;
            let packed = minutes / 1_440 * 10_000 + minutes / 60 % 24 * 100 + minutes % 60;
            push(out, id, 0, &bcd(packed, 3)?)
        }
        (Kind::Word, value) => {
            let (word, _) = number(value)?;
            let word = u32::try_from(word).map_err(|error| error.to_string())?;
            push(out, id, 0, &word.to_be_bytes())
        }
        (Kind::Series { width, places }, _) => {
            let series: Result<Vec<_>, _> = values
                .iter()
                .map(|value| binary(*value, width, places))
                .collect();
            push(out, id, 0, &series?.concat())
        }
        (Kind::Digits, value) => {
            let (places, bytes) = digits(id, value)?;
            push(out, id, places, &bytes)
        }
    }
}

fn body(report: &Report<'_>, address: &[u8]) -> Result<Vec<u8>, String> {
    let at = report.calendar();
    let [_, _, serial @ ..] = report.serial.to_be_bytes();
    let year = u8::try_from(at.year % 100).unwrap_or(0);
    let time = [year, at.month, at.day, at.hour, at.minute, at.second].map(to_bcd);
    let mut body = serial.to_vec();
    body.extend(time);
    body.extend([0xF1, 0xF1]);
    body.extend(address);
    body.extend([b'H', 0xF0, 0xF0]);
    body.extend(time.iter().take(5));
    for run in report.points.chunk_by(|(one, _), (next, _)| {
        let is_series = |key: &OwnedKey| {
            matches!(key, OwnedKey::Code(id) if matches!(elements::kind(*id), Kind::Series { .. }))
        };
        one == next && is_series(one)
    }) {
        let Some((OwnedKey::Code(id), _)) = run.first() else {
            return Err("SL 651 has ids, not names".to_owned());
        };
        let values: Vec<_> = run.iter().map(|(_, value)| *value).collect();
        element(&mut body, *id, &values)?;
    }
    Ok(body)
}

impl Encoder for Sl651 {
    fn encode(&self, report: &Report<'_>) -> Result<Vec<u8>, String> {
        let address = hex_bytes(report.address)
            .filter(|address| address.len() == 5)
            .ok_or_else(|| format!("{:?}: ten hexadecimal digits are wanted", report.address))?;
        let has = |wanted: fn(u64) -> bool| {
            report
                .points
                .iter()
                .any(|(key, _)| matches!(key, OwnedKey::Code(id) if wanted(*id)))
        };
        let function = if has(|id| id == elements::PICTURE) {
            0x36
        } else if has(|id| (0xF4..=0xFC).contains(&id)) {
            0x34
        } else {
            0x32
        };
        let body = body(report, &address)?;
        let parts: Vec<_> = body.chunks(PACKET).collect();
        let mut payload = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            let mut numbers = Vec::new();
            if parts.len() > 1 {
                let both = u32::try_from(parts.len() << 12 | (at + 1)).unwrap_or(u32::MAX);
                numbers.extend(both.to_be_bytes().into_iter().skip(1));
            }
            let len = u16::try_from(part.len() + numbers.len()).unwrap_or(u16::MAX);
            let mut frame = vec![0x7E, 0x7E, CENTRE];
            frame.extend(&address);
            frame.extend([0, 0, function]);
            frame.extend(len.to_be_bytes());
            frame.push(if numbers.is_empty() { STX } else { SYN });
            debug_assert_eq!(frame.len(), START);
            frame.extend(numbers);
            frame.extend(*part);
            frame.push(if at + 1 == parts.len() { 0x03 } else { 0x17 });
            frame.extend(crc16_modbus(&frame).to_be_bytes());
            payload.extend(frame);
        }
        Ok(payload)
    }
}
