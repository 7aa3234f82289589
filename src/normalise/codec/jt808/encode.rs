//! The way back: a position report 0200 in one frame, of edition 2019 where the address has more than 12 digits.

use super::{
    super::{
        super::point::{OwnedKey, Value},
        bits::xor8,
        encoding::{Encoder, Report, to_bcd},
    },
    Jt808,
    extras::{Field, STANDARD},
    options::{Layout, Take},
    packet::{Attributes, ESCAPE, MARK},
    position::{FIXED, SOUTH, WEST},
};

/// The body in work.
#[derive(Default)]
struct Body {
    alarm: u32,
    status: Option<u32>,
    latitude: i64,
    longitude: i64,
    altitude: i64,
    speed: i64,
    direction: i64,
    has_place: bool,
    /// By code, in the order of the report.
    extras: Vec<(u64, Vec<u8>)>,
}

impl Encoder for Jt808 {
    fn encode(&self, report: &Report<'_>) -> Result<Vec<u8>, String> {
        let mut body = Body::default();
        for (key, value) in report.points {
            match key {
                OwnedKey::Name(name) => body.basic(name, value)?,
                OwnedKey::Code(code) => self.put_extra(*code, value, &mut body)?,
            }
        }
        let content = self.body_bytes(&body, report)?;
        let plain = header(report, content.len())?.into_iter().chain(content);
        let mut plain: Vec<u8> = plain.collect();
        plain.push(xor8(&plain));
        Ok(escaped(&plain))
    }
}

impl Body {
    fn basic(&mut self, name: &str, value: &Value<'_>) -> Result<(), String> {
        let word = |value| {
            let raw = raw(value, 0)?;
            u32::try_from(raw).map_err(|fault| format!("{name}: {raw}: {fault}"))
        };
        match name {
            "time" => {}
            "alarm" => self.alarm = word(value)?,
            "status" => self.status = Some(word(value)?),
            "latitude" => (self.latitude, self.has_place) = (raw(value, 6)?, true),
            "longitude" => (self.longitude, self.has_place) = (raw(value, 6)?, true),
            "altitude" => self.altitude = raw(value, 0)?,
            "speed" => self.speed = raw(value, 1)?,
            "direction" => self.direction = raw(value, 0)?,
            _ => return Err(format!("{name:?} is not in a position report")),
        }
        Ok(())
    }

    /// The status word, with the signs of the place; ignition on where nothing is said.
    fn status(&self) -> u32 {
        let fixed = if self.has_place { FIXED } else { 0 };
        let said = self.status.unwrap_or(fixed | 1) & !(SOUTH | WEST);
        let south = if self.latitude < 0 { SOUTH } else { 0 };
        said | south | if self.longitude < 0 { WEST } else { 0 }
    }
}

impl Jt808 {
    fn put_extra(&self, code: u64, value: &Value<'_>, body: &mut Body) -> Result<(), String> {
        let known = STANDARD.iter().find(|known| u64::from(known.id) == code);
        let field = self.extras.fields.iter().find(|field| field.code == code);
        let (extra, at, bytes) = match (field, known, value) {
            (_, _, Value::Missing) => return Ok(()),
            (Some(field), ..) => (field.extra, field.at, field_bytes(field, value)?),
            (None, _, Value::Bytes(bytes)) => (code, 0, bytes.to_vec()),
            (None, Some(known), _) => (code, 0, number(raw(value, known.decimals)?, known.take)?),
            (None, None, _) => return Err(format!("extra {code:X} takes bytes")),
        };
        let place = body.extras.iter().position(|(other, _)| *other == extra);
        let place = place.unwrap_or_else(|| {
            body.extras.push((extra, Vec::new()));
            body.extras.len() - 1
        });
        if let Some((_, content)) = body.extras.get_mut(place) {
            let end = at + bytes.len();
            content.resize(content.len().max(end), 0);
            if let Some(room) = content.get_mut(at..end) {
                room.copy_from_slice(&bytes);
            }
        }
        Ok(())
    }

    fn body_bytes(&self, body: &Body, report: &Report<'_>) -> Result<Vec<u8>, String> {
        let mut out = body.alarm.to_be_bytes().to_vec();
        out.extend(body.status().to_be_bytes());
        out.extend(number(body.latitude.saturating_abs(), Take::U32)?);
        out.extend(number(body.longitude.saturating_abs(), Take::U32)?);
        out.extend(number(body.altitude, Take::I16)?);
        out.extend(number(body.speed, Take::U16)?);
        out.extend(number(body.direction, Take::U16)?);
        let at = report.calendar();
        let year = u8::try_from(at.year % 100).unwrap_or_default();
        out.extend([year, at.month, at.day, at.hour, at.minute, at.second].map(to_bcd));
        let mut nested = Vec::<(u8, Vec<u8>)>::new();
        for (code, content) in &body.extras {
            if let Ok(id) = u8::try_from(*code) {
                put_short(&mut out, id, content)?;
                continue;
            }
            let outer = u8::try_from(code >> 16 & 0xFF).unwrap_or_default();
            let layout = self.extras.nested.iter().find(|(id, _)| *id == outer);
            let (_, layout) = layout.ok_or_else(|| format!("extra {outer:02X} is not nested"))?;
            let inner = u16::try_from(code & 0xFFFF).unwrap_or_default();
            let item = nested_item(*layout, inner, content)?;
            match nested.iter_mut().find(|(id, _)| *id == outer) {
                Some((_, items)) => items.extend(item),
                None => nested.push((outer, item)),
            }
        }
        for (id, items) in nested {
            put_short(&mut out, id, &items)?;
        }
        Ok(out)
    }
}

fn put_short(out: &mut Vec<u8>, id: u8, content: &[u8]) -> Result<(), String> {
    let len = u8::try_from(content.len()).map_err(|fault| format!("extra {id:02X}: {fault}"))?;
    out.extend([id, len]);
    out.extend(content);
    Ok(())
}

fn nested_item(layout: Layout, id: u16, content: &[u8]) -> Result<Vec<u8>, String> {
    let fits = |what: &str| format!("extra {id:04X} has an {what} that does not fit its layout");
    let len = u16::try_from(content.len()).map_err(|fault| fault.to_string())?;
    let [len_high, len_low] = len.to_be_bytes();
    let [id_high, id_low] = id.to_be_bytes();
    let front = match layout {
        Layout::Id8Len8 | Layout::Id16Len8 if len_high != 0 => return Err(fits("length")),
        Layout::Id8Len8 if id_high != 0 => return Err(fits("id")),
        Layout::Id8Len8 => vec![id_low, len_low],
        Layout::Id16Len8 => vec![id_high, id_low, len_low],
        Layout::Id16Len16 => vec![id_high, id_low, len_high, len_low],
        Layout::Len16Id16 => {
            let [high, low] = len.saturating_add(2).to_be_bytes();
            vec![high, low, id_high, id_low]
        }
    };
    Ok(front.into_iter().chain(content.iter().copied()).collect())
}

fn field_bytes(field: &Field, value: &Value<'_>) -> Result<Vec<u8>, String> {
    match (field.take, value) {
        (Take::Bytes, Value::Bytes(bytes)) => Ok(bytes.to_vec()),
        (Take::Text, Value::Text(text)) => Ok(encoding_rs::GB18030.encode(text).0.into_owned()),
        (Take::Bcd, value) => {
            let digits = raw(value, field.decimals)?.to_string();
            let len = field.len.unwrap_or_else(|| digits.len().div_ceil(2)) * 2;
            bcd(&digits, len)
        }
        (take, value) => number(raw(value, field.decimals)?, take),
    }
}

fn header(report: &Report<'_>, body_len: usize) -> Result<Vec<u8>, String> {
    let body_len = u16::try_from(body_len).ok().filter(|len| *len <= 0x3FF);
    let body_len = body_len.ok_or_else(|| "a body has at most 1023 bytes".to_owned())?;
    let mut out = vec![0x02, 0x00];
    if report.address.len() > 12 {
        out.extend((body_len | Attributes::EDITION_2019).to_be_bytes());
        out.push(1);
        out.extend(bcd(report.address, 20)?);
    } else {
        out.extend(body_len.to_be_bytes());
        out.extend(bcd(report.address, 12)?);
    }
    let serial = u16::try_from(report.serial & 0xFFFF).unwrap_or_default();
    out.extend(serial.to_be_bytes());
    Ok(out)
}

/// Decimal digits as BCD, with zeros before them up to `len` digits.
fn bcd(digits: &str, len: usize) -> Result<Vec<u8>, String> {
    if digits.len() > len || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("{digits:?} is not a number of up to {len} digits"));
    }
    let padded = format!("{digits:0>len$}");
    let pairs = padded.as_bytes().chunks(2);
    Ok(pairs
        .map(|pair| pair.iter().fold(0, |sum, digit| sum << 4 | (digit & 0x0F)))
        .collect())
}

/// A number on the wire, big-endian.
fn number(raw: i64, take: Take) -> Result<Vec<u8>, String> {
    let fault = |_| format!("{raw} does not fit {take:?}");
    match take {
        Take::U8 => u8::try_from(raw).map(|raw| vec![raw]).map_err(fault),
        Take::U16 => u16::try_from(raw)
            .map(|raw| raw.to_be_bytes().to_vec())
            .map_err(fault),
        Take::U32 => u32::try_from(raw)
            .map(|raw| raw.to_be_bytes().to_vec())
            .map_err(fault),
        Take::I8 => i8::try_from(raw)
            .map(|raw| raw.to_be_bytes().to_vec())
            .map_err(fault),
        Take::I16 => i16::try_from(raw)
            .map(|raw| raw.to_be_bytes().to_vec())
            .map_err(fault),
        Take::I32 => i32::try_from(raw)
            .map(|raw| raw.to_be_bytes().to_vec())
            .map_err(fault),
        Take::Signed15 => {
            let magnitude = i16::try_from(raw.saturating_abs())
                .map_err(fault)?
                .unsigned_abs();
            let sign = if raw < 0 { 0x8000 } else { 0 };
            Ok((magnitude | sign).to_be_bytes().to_vec())
        }
        Take::Bcd | Take::Text | Take::Bytes => Err(format!("{raw} is no {take:?}")),
    }
}

/// A number in steps of so many decimal places.
fn raw(value: &Value<'_>, places: u8) -> Result<i64, String> {
    let overflow = || format!("{value:?} is too large");
    let scale = |power: u8| 10_i64.checked_pow(u32::from(power)).ok_or_else(overflow);
    match value {
        Value::Bool(value) => Ok(i64::from(*value)),
        Value::Whole(value) => value.checked_mul(scale(places)?).ok_or_else(overflow),
        Value::Decimal(value) if value.places > places => {
            Ok(value.mantissa / scale(value.places - places)?)
        }
        Value::Decimal(value) => {
            let more = scale(places - value.places)?;
            value.mantissa.checked_mul(more).ok_or_else(overflow)
        }
        Value::Real(value) => {
            let steps = value * 10_f64.powi(i32::from(places));
            format!("{steps:.0}")
                .parse()
                .map_err(|fault| format!("{value}: {fault}"))
        }
        _ => Err(format!("{value:?} is no number")),
    }
}

fn escaped(plain: &[u8]) -> Vec<u8> {
    let mut out = vec![MARK];
    for byte in plain {
        match *byte {
            MARK => out.extend([ESCAPE, 2]),
            ESCAPE => out.extend([ESCAPE, 1]),
            byte => out.push(byte),
        }
    }
    out.push(MARK);
    out
}
