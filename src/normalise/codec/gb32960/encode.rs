//! The way back: a report of command 02 with the blocks that its points belong to. What else a block has is invalid.

use std::collections::BTreeMap;

use super::{
    super::{
        super::point::{OwnedKey, Value},
        bits::xor8,
        encoding::{Encoder, Report},
    },
    Edition, Gb32960, START,
    blocks::{SOUTH, WEST},
    fields::{Field, Group, LISTS, Marks, code, groups},
    tables::{
        ALARMS, CELLS, ENGINE, EXTREMES, FUEL_CELL, MOTOR, OBD, POSITION, PROBES, STREAM, VEHICLE,
    },
};

/// Values as they stand on the wire, by their codes.
#[derive(Default)]
struct Raws<'a> {
    numbers: BTreeMap<u64, u32>,
    signs: u8,
    user: BTreeMap<u8, &'a [u8]>,
    texts: BTreeMap<&'a str, &'a [u8]>,
}

impl Encoder for Gb32960 {
    fn encode(&self, report: &Report<'_>) -> Result<Vec<u8>, String> {
        let mut raws = Raws::default();
        for (key, value) in report.points {
            match (key, value) {
                (OwnedKey::Name(name), _) if &**name == "time" => {}
                (OwnedKey::Name(name), Value::Text(text)) => {
                    raws.texts.insert(name, text.as_bytes());
                }
                (OwnedKey::Name(name), Value::Bytes(bytes)) => {
                    raws.texts.insert(name, bytes);
                }
                (OwnedKey::Name(name), _) => return Err(format!("{name:?} is no number")),
                (OwnedKey::Code(code), value) => {
                    raws.put(*code, value, self.options.edition)?;
                }
            }
        }
        let at = report.calendar();
        let year = u8::try_from(at.year.saturating_sub(2000)).unwrap_or_default();
        let mut data = vec![year, at.month, at.day, at.hour, at.minute, at.second];
        let serial = u16::try_from(report.serial & 0xFFFF)
            .unwrap_or_default()
            .to_be_bytes();
        match self.options.edition {
            Edition::Gbt32960 => raws.blocks_32960(&mut data)?,
            Edition::Gb17691 => {
                data.extend(serial);
                raws.blocks_17691(&mut data, &[])?;
            }
            Edition::Gb17691SerialInBlock => raws.blocks_17691(&mut data, &serial)?,
        }
        self.framed(report.address, &data)
    }
}

impl Gb32960 {
    fn framed(&self, vin: &str, data: &[u8]) -> Result<Vec<u8>, String> {
        if vin.len() > 17 {
            return Err(format!("{vin:?} has more than 17 characters"));
        }
        let vin = vin.bytes().chain(std::iter::repeat(0)).take(17);
        let len = u16::try_from(data.len()).map_err(|fault| format!("data: {fault}"))?;
        let mut out = START.to_vec();
        out.push(2);
        if self.options.edition == Edition::Gbt32960 {
            out.push(0xFE);
            out.extend(vin);
        } else {
            out.extend(vin);
            out.push(1);
        }
        out.push(1);
        out.extend(len.to_be_bytes());
        out.extend(data);
        out.push(xor8(out.get(START.len()..).unwrap_or_default()));
        Ok(out)
    }
}

impl<'a> Raws<'a> {
    fn put(&mut self, code: u64, value: &Value<'a>, edition: Edition) -> Result<(), String> {
        let block = u8::try_from(code >> 48).unwrap_or_default();
        if let (0x80.., Value::Bytes(bytes)) = (block, value) {
            self.user.insert(block, bytes);
            return Ok(());
        }
        let place = u16::try_from(code >> 16 & 0xFFFF).unwrap_or_default();
        let group = groups(edition).iter().find(|group| group.block == block);
        let group = group.ok_or_else(|| format!("{code:X} is in no block"))?;
        let field = match place.checked_sub(LISTS) {
            None => group.fields.get(usize::from(place)),
            Some(list) => group.lists.get(usize::from(list)).map(|list| &list.element),
        };
        let field = field.ok_or_else(|| format!("{code:X} is not in its block"))?;
        let sign = match field.name {
            "latitude" => SOUTH,
            "longitude" => WEST,
            _ => 0,
        };
        let raw = match raw(field, value) {
            Ok(raw) => raw,
            Err(_) if sign != 0 => {
                self.signs |= sign;
                raw_of_negative(field, value)?
            }
            Err(fault) => return Err(fault),
        };
        self.numbers.insert(code, raw);
        Ok(())
    }

    fn has(&self, block: u8) -> bool {
        self.numbers
            .keys()
            .any(|code| code >> 48 == u64::from(block))
    }

    /// Numbers of the parts of a block.
    fn parts(&self, block: u8) -> Vec<u8> {
        let codes = self
            .numbers
            .keys()
            .filter(|code| **code >> 48 == u64::from(block));
        let mut parts: Vec<_> = codes
            .filter_map(|c| u8::try_from(c >> 32 & 0xFF).ok())
            .collect();
        parts.dedup();
        parts
    }

    /// Fields of a group from one place up to another.
    fn fields(&self, out: &mut Vec<u8>, group: &Group, part: u8, range: std::ops::Range<u16>) {
        let fields = group.fields.iter().skip(usize::from(range.start));
        for (place, field) in range.zip(fields) {
            let raw = self.numbers.get(&code(group.block, part, place, 0));
            let raw = raw.copied().unwrap_or_else(|| missing(field));
            let is_place_state = field.name == "position_state";
            let raw = if is_place_state {
                raw | u32::from(self.signs)
            } else {
                raw
            };
            push(out, field, raw);
        }
    }

    /// Elements of a list up to the last that is there.
    fn list(&self, group: &Group, part: u8, place: u16) -> (u16, Vec<u8>) {
        let mut out = Vec::new();
        let Some(list) = group.lists.get(usize::from(place)) else {
            return (0, out);
        };
        let base = code(group.block, part, LISTS + place, 0);
        let last = self.numbers.range(base..=base | 0xFFFF).next_back();
        let count = last
            .and_then(|(code, _)| u16::try_from(code & 0xFFFF).ok())
            .unwrap_or(0);
        for index in 1..=count {
            let raw = self.numbers.get(&(base | u64::from(index)));
            let raw = raw.copied().unwrap_or_else(|| missing(&list.element));
            push(&mut out, &list.element, raw);
        }
        (count, out)
    }

    fn blocks_32960(&self, out: &mut Vec<u8>) -> Result<(), String> {
        let short = |count: u16| u8::try_from(count).map_err(|fault| format!("{count}: {fault}"));
        for group in [&VEHICLE, &ENGINE, &POSITION, &EXTREMES] {
            if self.has(group.block) {
                out.push(group.block);
                self.fields(out, group, 0, 0..32);
            }
        }
        for group in [&MOTOR, &CELLS, &PROBES] {
            let parts = self.parts(group.block);
            if parts.is_empty() {
                continue;
            }
            out.extend([
                group.block,
                short(u16::try_from(parts.len()).unwrap_or(u16::MAX))?,
            ]);
            for part in parts {
                out.push(part);
                self.fields(out, group, part, 0..32);
                let (count, elements) = self.list(group, part, 0);
                match group.block {
                    0x08 => out.extend([0, 1, short(count)?]),
                    0x09 => out.extend(count.to_be_bytes()),
                    _ => {}
                }
                out.extend(elements);
            }
        }
        if self.has(FUEL_CELL.block) {
            out.push(FUEL_CELL.block);
            self.fields(out, &FUEL_CELL, 0, 0..3);
            let (count, probes) = self.list(&FUEL_CELL, 0, 0);
            out.extend(count.to_be_bytes());
            out.extend(probes);
            self.fields(out, &FUEL_CELL, 0, 3..32);
        }
        if self.has(ALARMS.block) {
            out.push(ALARMS.block);
            self.fields(out, &ALARMS, 0, 0..32);
            for list in 0..4 {
                let (count, faults) = self.list(&ALARMS, 0, list);
                out.push(short(count)?);
                out.extend(faults);
            }
        }
        for (id, content) in &self.user {
            out.push(*id);
            let len = u16::try_from(content.len()).map_err(|fault| fault.to_string())?;
            out.extend(len.to_be_bytes());
            out.extend(*content);
        }
        Ok(())
    }

    fn blocks_17691(&self, out: &mut Vec<u8>, serial: &[u8]) -> Result<(), String> {
        if self.has(OBD.block) || !self.texts.is_empty() {
            out.push(OBD.block);
            out.extend(serial);
            self.fields(out, &OBD, 0, 0..32);
            for (name, len) in [("", 17), ("calibration_id", 18), ("cvn", 18), ("iupr", 36)] {
                let text = self.texts.get(name).copied().unwrap_or_default();
                out.extend(text.iter().copied().chain(std::iter::repeat(0)).take(len));
            }
            let (count, faults) = self.list(&OBD, 0, 0);
            out.push(u8::try_from(count).map_err(|fault| format!("{count}: {fault}"))?);
            out.extend(faults);
        }
        if self.has(STREAM.block) {
            out.push(STREAM.block);
            out.extend(serial);
            self.fields(out, &STREAM, 0, 0..32);
        }
        Ok(())
    }
}

fn missing(field: &Field) -> u32 {
    if field.marks == Marks::None {
        0
    } else {
        field.max()
    }
}

fn push(out: &mut Vec<u8>, field: &Field, raw: u32) {
    let bytes = raw.to_be_bytes();
    let from = bytes.len() - usize::from(field.size);
    out.extend(bytes.get(from..).unwrap_or_default());
}

/// The number on the wire.
fn raw(field: &Field, value: &Value<'_>) -> Result<u32, String> {
    if *value == Value::Missing {
        return Ok(missing(field));
    }
    let steps = (mantissa(value, field.places)? - field.offset) / field.step;
    let fits = u32::try_from(steps).ok().filter(|raw| *raw <= field.max());
    fits.ok_or_else(|| format!("{value:?} does not fit {:?}", field.name))
}

fn raw_of_negative(field: &Field, value: &Value<'_>) -> Result<u32, String> {
    let degrees = mantissa(value, field.places)?.unsigned_abs();
    u32::try_from(degrees).map_err(|fault| format!("{value:?}: {fault}"))
}

/// A number in steps of so many decimal places.
fn mantissa(value: &Value<'_>, places: u8) -> Result<i64, String> {
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
