//! The way back: one object, or one for each analog value; its type follows from the keys.

use super::{
    super::{
        super::point::{OwnedKey, Value},
        bits::sum8,
        encoding::{Calendar, Encoder, Report},
    },
    Addresses, END, Gb26875, START, TEXT_LEN, analog,
};

/// The type of each key that says one.
const TYPES: [(&str, u8); 10] = [
    ("system_status", 1),
    ("part_status", 2),
    ("system_operation", 4),
    ("system_version_major", 5),
    ("system_description", 6),
    ("part_description", 7),
    ("device_status", 21),
    ("device_operation", 24),
    ("device_version_major", 25),
    ("device_description", 26),
];

/// The points of a report, by name.
struct Points<'a>(&'a [(OwnedKey, Value<'a>)]);

impl<'a> Points<'a> {
    fn value(&self, name: &str) -> Option<&'a Value<'a>> {
        let is_name = |key: &OwnedKey| matches!(key, OwnedKey::Name(other) if &**other == name);
        self.0
            .iter()
            .find(|(key, _)| is_name(key))
            .map(|(_, value)| value)
    }

    fn byte(&self, name: &str) -> Result<u8, String> {
        let raw = self.value(name).map_or(Ok(0), |value| raw(value, 0))?;
        u8::try_from(raw).map_err(|fault| format!("{name}: {raw}: {fault}"))
    }

    fn word(&self, name: &str) -> Result<[u8; 2], String> {
        let raw = self.value(name).map_or(Ok(0), |value| raw(value, 0))?;
        let word = u16::try_from(raw).map_err(|fault| format!("{name}: {raw}: {fault}"))?;
        Ok(word.to_le_bytes())
    }

    fn text(&self, name: &str) -> Vec<u8> {
        match self.value(name) {
            Some(Value::Text(text)) => encoding_rs::GB18030.encode(text).0.into_owned(),
            Some(Value::Bytes(bytes)) => bytes.to_vec(),
            _ => Vec::new(),
        }
    }

    fn analogs(&self) -> impl Iterator<Item = (u64, &'a Value<'a>)> {
        self.0.iter().filter_map(|(key, value)| match key {
            OwnedKey::Code(code) => Some((*code, value)),
            OwnedKey::Name(_) => None,
        })
    }

    /// The type of the frame; the clock of the device where no key says another.
    fn kind(&self) -> u8 {
        if self.analogs().next().is_some() {
            return 3;
        }
        let mut types = TYPES.iter();
        types
            .find(|(name, _)| self.value(name).is_some())
            .map_or(28, |(_, kind)| *kind)
    }
}

impl Encoder for Gb26875 {
    fn encode(&self, report: &Report<'_>) -> Result<Vec<u8>, String> {
        let points = Points(report.points);
        let time = clock(report.calendar());
        let kind = points.kind();
        let mut objects = Vec::new();
        if kind == 3 {
            for (number, value) in points.analogs() {
                let mut object = self.front(kind, &points)?;
                object.push(u8::try_from(number).map_err(|fault| format!("{number}: {fault}"))?);
                let places = analog::of(number).map_or(0, |kind| kind.places);
                let raw = raw(value, places)?;
                let raw = i16::try_from(raw).map_err(|fault| format!("{raw}: {fault}"))?;
                object.extend(raw.to_le_bytes());
                object.extend(time);
                objects.push(object);
            }
        } else {
            let mut object = self.front(kind, &points)?;
            object.extend(content(kind, &points)?);
            if !matches!(kind, 5..=7 | 25 | 26) {
                object.extend(time);
            }
            objects.push(object);
        }
        let count = u8::try_from(objects.len()).map_err(|fault| format!("objects: {fault}"))?;
        let data = [vec![kind, count], objects.concat()].concat();
        self.framed(report, time, &data)
    }
}

impl Gb26875 {
    /// What an object begins with: its system and its part.
    fn front(&self, kind: u8, points: &Points<'_>) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        if kind <= 8 {
            out.extend([points.byte("system_type")?, points.byte("system_address")?]);
        }
        if matches!(kind, 2 | 3 | 7) {
            out.push(points.byte("part_type")?);
            let address = match points.value("part_address") {
                Some(Value::Text(text)) => text,
                _ => "",
            };
            out.extend(self.address(address, 4)?);
        }
        Ok(out)
    }

    /// Hexadecimal digits as the bytes of an address.
    fn address(&self, digits: &str, len: usize) -> Result<Vec<u8>, String> {
        let padded = format!("{digits:0>width$}", width = len * 2);
        let fault = || format!("{digits:?} is not {} hexadecimal digits", len * 2);
        if padded.len() != len * 2 {
            return Err(fault());
        }
        let pairs = padded.as_bytes().chunks(2).map(std::str::from_utf8);
        let bytes = pairs.map(|pair| pair.ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()));
        let mut bytes: Vec<u8> = bytes.collect::<Option<_>>().ok_or_else(fault)?;
        if self.addresses == Addresses::HighestFirst {
            bytes.reverse();
        }
        Ok(bytes)
    }

    fn framed(&self, report: &Report<'_>, time: [u8; 6], data: &[u8]) -> Result<Vec<u8>, String> {
        let serial = u16::try_from(report.serial & 0xFFFF).unwrap_or_default();
        let len = u16::try_from(data.len()).map_err(|fault| format!("data: {fault}"))?;
        let mut checked = serial.to_le_bytes().to_vec();
        checked.extend([1, 1]);
        checked.extend(time);
        checked.extend(self.address(report.address, 6)?);
        checked.extend([0; 6]);
        checked.extend(len.to_le_bytes());
        checked.push(2);
        checked.extend(data);
        checked.push(sum8(&checked));
        Ok([&START[..], &checked, &END].concat())
    }
}

fn content(kind: u8, points: &Points<'_>) -> Result<Vec<u8>, String> {
    let pair = |first, second| Ok(vec![points.byte(first)?, points.byte(second)?]);
    match kind {
        1 => Ok(points.word("system_status")?.to_vec()),
        2 => {
            let status = points.word("part_status")?;
            Ok([&status[..], &fixed(points.text("part_description"))?].concat())
        }
        4 => pair("system_operation", "system_operator"),
        5 => pair("system_version_major", "system_version_minor"),
        6 => counted(points.text("system_description")),
        7 => fixed(points.text("part_description")),
        21 => Ok(vec![points.byte("device_status")?]),
        24 => pair("device_operation", "device_operator"),
        25 => pair("device_version_major", "device_version_minor"),
        26 => counted(points.text("device_description")),
        _ => Ok(Vec::new()),
    }
}

/// Text with NULs up to its length.
fn fixed(mut text: Vec<u8>) -> Result<Vec<u8>, String> {
    if text.len() > TEXT_LEN {
        return Err(format!(
            "a description has at most {TEXT_LEN} bytes, not {}",
            text.len()
        ));
    }
    text.resize(TEXT_LEN, 0);
    Ok(text)
}

/// Text behind its length.
fn counted(mut text: Vec<u8>) -> Result<Vec<u8>, String> {
    let len = u8::try_from(text.len()).map_err(|fault| format!("a description: {fault}"))?;
    text.insert(0, len);
    Ok(text)
}

fn clock(at: Calendar) -> [u8; 6] {
    let year = u8::try_from(at.year.saturating_sub(2000)).unwrap_or_default();
    [at.second, at.minute, at.hour, at.day, at.month, year]
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
