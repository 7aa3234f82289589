//! Replies of units, for simulated devices and tests: one for each block of the map that a value is given for, behind its
//! request where the map says the first register.

use super::super::super::point::{OwnedKey, Value};
use super::super::bits::crc16_modbus;
use super::super::encoding::{Encoder, Report, to_bcd};
use super::map::{Block, Field, Form, bytes_of, reads_bits};
use super::{Modbus, values::arrange};

impl Encoder for Modbus {
    fn encode(&self, report: &Report<'_>) -> Result<Vec<u8>, String> {
        let mut payload = Vec::new();
        for block in &self.blocks {
            let value = |field: &Field| {
                let found = report
                    .points
                    .iter()
                    .find(|(key, _)| *key == OwnedKey::Code(field.code));
                found.map(|(_, value)| *value)
            };
            if block.fields.iter().all(|field| value(field).is_none()) {
                continue;
            }
            let unit = match block.unit {
                Some(unit) => unit,
                None => report.address.parse().map_err(|_error| {
                    format!("address {:?} is no unit of 1 to 247", report.address)
                })?,
            };
            let bytes = block
                .count
                .map_or(block.reach, |count| bytes_of(block.function, count));
            let mut values = vec![0; bytes];
            for field in &block.fields {
                if let Some(value) = value(field) {
                    write(block, *field, value, &mut values)
                        .map_err(|what| format!("{:?}: {value:?} {what}", field.form))?;
                }
            }
            if let Some(start) = block.start {
                let is_bits = reads_bits(block.function);
                let count = if is_bits { bytes * 8 } else { bytes / 2 };
                let count = u16::try_from(count).unwrap_or(0);
                let mut request = vec![unit, block.function];
                request.extend(start.to_be_bytes());
                request.extend(block.count.unwrap_or(count).to_be_bytes());
                frame(request, &mut payload);
            }
            let bytes = u8::try_from(bytes).map_err(|error| error.to_string())?;
            let mut reply = vec![unit, block.function, bytes];
            reply.extend(values);
            frame(reply, &mut payload);
        }
        Ok(payload)
    }
}

fn frame(body: Vec<u8>, payload: &mut Vec<u8>) {
    let crc = crc16_modbus(&body);
    payload.extend(body);
    payload.extend(crc.to_le_bytes());
}

fn write(block: &Block, field: Field, value: Value<'_>, values: &mut [u8]) -> Result<(), String> {
    let behind = || "lies behind the reply's end".to_owned();
    if reads_bits(block.function) {
        let byte = values.get_mut(field.at / 8).ok_or_else(behind)?;
        if value == Value::Bool(true) {
            *byte |= 1 << (field.at % 8);
        }
        return Ok(());
    }
    let raw = values
        .get_mut(field.at..field.at + field.bytes)
        .ok_or_else(behind)?;
    let mut ordered = bytes(field, value)?;
    // several values may share a register
    if matches!(field.form, Form::Bits | Form::Bool) {
        let mut old = vec![0; ordered.len()];
        arrange(raw, field.order, &mut old);
        ordered = ordered
            .iter()
            .zip(old)
            .map(|(new, old)| new | old)
            .collect();
    }
    arrange(&ordered, field.order, raw);
    Ok(())
}

fn bytes(field: Field, value: Value<'_>) -> Result<Vec<u8>, String> {
    let mantissa = match value {
        Value::Text(text) if field.form == Form::Text => {
            let mut bytes = text.as_bytes().to_vec();
            bytes.resize(field.bytes, b' ');
            return Ok(bytes);
        }
        Value::Real(real) if field.form == Form::F64 => return Ok(real.to_be_bytes().to_vec()),
        Value::Real(real) if field.form == Form::F32 => {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the wire has no more digits"
            )]
            let short = real as f32;
            return Ok(short.to_be_bytes().to_vec());
        }
        Value::Bool(is_on) if field.form == Form::Bool => i128::from(is_on) << field.shift,
        Value::Whole(bits) if field.form == Form::Bits && bits < 1 << field.width => {
            i128::from(bits) << field.shift
        }
        Value::Large(large) if field.places == 0 => i128::from(large),
        Value::Whole(whole) if field.places == 0 => i128::from(whole),
        Value::Decimal(decimal) if decimal.places == field.places => i128::from(decimal.mantissa),
        _ => return Err(format!("is not of {} decimals", field.places)),
    };
    let bits = 8 * u32::try_from(field.bytes).unwrap_or(8);
    let (least, most) = match field.form {
        Form::I16 | Form::I32 | Form::I64 => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
        Form::Bcd => (0, 10_i128.pow(bits / 4) - 1),
        _ => (0, (1 << bits) - 1),
    };
    if !(least..=most).contains(&mantissa) {
        return Err(format!("is not within {least} to {most}"));
    }
    if field.form == Form::Bcd {
        let digit_pairs = (0..bits / 8)
            .rev()
            .map(|place| mantissa / 100_i128.pow(place) % 100);
        return Ok(digit_pairs
            .map(|pair| to_bcd(u8::try_from(pair).unwrap_or(0)))
            .collect());
    }
    let wide = mantissa.to_be_bytes();
    Ok(wide.get(16 - field.bytes..).unwrap_or_default().to_vec())
}
