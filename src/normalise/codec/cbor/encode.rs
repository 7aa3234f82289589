//! The way back: the tree that the pointers grow, as CBOR of definite lengths and shortest heads.

use super::{
    super::{
        super::point::{Moment, Value},
        encoding::{Encoder, Report},
        pointer::{Branch, branch},
    },
    Cbor,
};

impl Encoder for Cbor {
    fn encode(&self, report: &Report<'_>) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        write_cbor(&branch(&self.pointers, report)?, &mut bytes)?;
        Ok(bytes)
    }
}

/// A branch as CBOR.
pub(in super::super) fn write_cbor(branch: &Branch<'_>, out: &mut Vec<u8>) -> Result<(), String> {
    match branch {
        Branch::Object(members) => {
            head(5, members.len() as u64, out);
            for (name, member) in members {
                match name.parse::<i64>() {
                    Ok(number) if number.to_string() == *name => whole(number, out),
                    _ => text(name, out),
                }
                write_cbor(member, out)?;
            }
        }
        Branch::Array(elements) => {
            head(4, elements.len() as u64, out);
            for element in elements {
                write_cbor(element, out)?;
            }
        }
        Branch::Text(name) => text(name, out),
        Branch::Scalar(value) => scalar(*value, out)?,
    }
    Ok(())
}

fn scalar(value: Value<'_>, out: &mut Vec<u8>) -> Result<(), String> {
    match value {
        Value::Missing => out.push(0xF6),
        Value::Bool(value) => out.push(if value { 0xF5 } else { 0xF4 }),
        Value::Whole(number) => whole(number, out),
        Value::Large(number) => head(0, number, out),
        Value::Decimal(number) => {
            out.extend([0xC4, 0x82]);
            whole(-i64::from(number.places), out);
            whole(number.mantissa, out);
        }
        Value::Real(real) => {
            out.push(0xFB);
            out.extend(real.to_be_bytes());
        }
        Value::Text(value) => text(value, out),
        Value::Bytes(bytes) => {
            head(2, bytes.len() as u64, out);
            out.extend(bytes);
        }
        Value::Time(Moment::Unix(time)) => {
            out.push(0xC1);
            head(0, time.0 / 1_000_000_000, out);
        }
        Value::Time(Moment::Local(_)) => return Err("CBOR has no time without a zone".to_owned()),
    }
    Ok(())
}

fn whole(number: i64, out: &mut Vec<u8>) {
    match u64::try_from(number) {
        Ok(number) => head(0, number, out),
        Err(_below) => head(1, (!number).unsigned_abs(), out),
    }
}

fn text(text: &str, out: &mut Vec<u8>) {
    head(3, text.len() as u64, out);
    out.extend(text.as_bytes());
}

fn head(major: u8, number: u64, out: &mut Vec<u8>) {
    let bytes = number.to_be_bytes();
    let (info, width) = match number {
        0..=23 => (bytes[7], 0),
        24..=0xFF => (24, 1),
        0x100..=0xFFFF => (25, 2),
        0x1_0000..=0xFFFF_FFFF => (26, 4),
        _ => (27, 8),
    };
    out.push(major << 5 | info);
    out.extend(bytes.iter().skip(8 - width));
}
