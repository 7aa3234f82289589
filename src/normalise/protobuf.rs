//! `sensegate.device.v1.Report`: samples whose value is the class's message already. The value is checked field by field
//! against the plan and kept byte for byte, fields that the class does not know included. What the Report and its
//! samples do not declare is refused: it would have no place to be kept in.

use super::{
    class::Class,
    json::Seen,
    payload::{Encoded, Limits, Payload, Reject},
    plan::{Form, Integer, Slot},
    sheet::Sheet,
    wire::{self, Wire},
};
use crate::domain::{QuarantineReason, UnixNanos};

const SAMPLES: (u32, u8) = (1, wire::LENGTH);
const OBSERVED_AT: (u32, u8) = (1, wire::FIXED64);
const VALUE: (u32, u8) = (2, wire::LENGTH);

/// Reads a payload into `out`.
pub(super) fn read(
    class: &Class,
    payload: &Payload<'_>,
    limits: &Limits,
    out: &mut Encoded,
) -> Result<(), Reject> {
    let mut sheet = Sheet::new(class, payload, limits, out)?;
    let mut report = Wire::new(payload.bytes);
    while !report.is_empty() {
        match report.key() {
            Some(SAMPLES) => {}
            Some((number, _)) => {
                return Err(malformed(format!(
                    "field {number} is not what sensegate.device.v1.Report declares"
                )));
            }
            None => return Err(malformed("the report has a broken key")),
        }
        let bytes = report
            .bytes()
            .ok_or_else(|| malformed("the report ends within a sample"))?;
        sample(bytes, &mut sheet)
            .map_err(|reject| reject.within(&format!("sample {}", sheet.readings() + 1)))?;
    }
    if sheet.readings() == 0 {
        return Err(Reject::new(
            QuarantineReason::Empty,
            "a report without a sample",
        ));
    }
    Ok(())
}

fn sample(bytes: &[u8], sheet: &mut Sheet<'_>) -> Result<(), Reject> {
    let mut sample = Wire::new(bytes);
    let mut value = None;
    while !sample.is_empty() {
        let key = sample.key().ok_or_else(|| malformed("a broken key"))?;
        let repeated = match key {
            OBSERVED_AT => {
                let at = sample
                    .fixed64()
                    .ok_or_else(|| malformed("observed_at_ns is cut off"))?;
                sheet.observed_at.replace(UnixNanos(at)).is_some()
            }
            VALUE => {
                let bytes = sample
                    .bytes()
                    .ok_or_else(|| malformed("value is cut off"))?;
                value.replace(bytes).is_some()
            }
            (number, _) => {
                return Err(malformed(format!(
                    "field {number} is not what sensegate.device.v1.Sample declares"
                )));
            }
        };
        if repeated {
            let detail = format!("field {} of the sample stands twice", key.0);
            return Err(Reject::new(QuarantineReason::FieldDuplicate, detail));
        }
    }
    let value = value.unwrap_or_default();
    let known = message(value, sheet)?;
    sheet.put_value(value, known);
    sheet.finish()
}

/// Checks the class's message; gives the number of fields that the class knows.
fn message(bytes: &[u8], sheet: &mut Sheet<'_>) -> Result<usize, Reject> {
    let class = sheet.class();
    let mut value = Wire::new(bytes);
    let mut seen = Seen::default();
    let mut known = 0;
    while !value.is_empty() {
        let (number, wire_type) = value
            .key()
            .ok_or_else(|| malformed("value: a broken key"))?;
        let Some((at, slot)) = class.plan.by_number(number) else {
            skip(&mut value, wire_type)
                .ok_or_else(|| malformed(format!("value: field {number} is cut off or a group")))?;
            sheet.count_unknown();
            continue;
        };
        if wire_type != slot.form.wire_type() {
            let detail = format!(
                "{}: wire type {wire_type} where {} is wanted",
                place(slot),
                slot.form.wire_type()
            );
            return Err(Reject::new(QuarantineReason::FieldType, detail));
        }
        if !seen.mark(at) {
            let detail = format!("{} stands twice", place(slot));
            return Err(Reject::new(QuarantineReason::FieldDuplicate, detail));
        }
        field(&mut value, slot, sheet)?;
        known += 1;
    }
    Ok(known)
}

fn field(value: &mut Wire<'_>, slot: &Slot, sheet: &mut Sheet<'_>) -> Result<(), Reject> {
    let cut = || malformed(format!("{}: cut off", place(slot)));
    match slot.form {
        Form::Double => {
            let bits = value.fixed64().ok_or_else(cut)?;
            sheet.judge(slot, f64::from_bits(bits));
        }
        Form::Float => {
            let bits = value.fixed32().ok_or_else(cut)?;
            sheet.judge(slot, f64::from(f32::from_bits(bits)));
        }
        Form::Integer(form) => {
            let number = integer(value, form).ok_or_else(cut)?;
            sheet.judge(slot, number.ok_or_else(|| misfit(slot))?);
        }
        Form::Bool => {
            let is_true = value.varint().ok_or_else(cut)? != 0;
            sheet.note(slot, f64::from(u8::from(is_true)));
        }
        Form::Enum => {
            let number = signed(value.varint().ok_or_else(cut)?);
            let number = i32::try_from(number).map_err(|_wide| misfit(slot))?;
            sheet.note(slot, f64::from(number));
            if !slot.knows(number) {
                sheet.flag_unknown_code(slot);
            }
        }
        Form::Text => {
            let text = value.bytes().ok_or_else(cut)?;
            std::str::from_utf8(text)
                .map_err(|_broken| malformed(format!("{}: not UTF-8", place(slot))))?;
        }
    }
    Ok(())
}

/// An integer's value; the outer none if it is cut off, the inner if it does not fit the field's type.
#[expect(
    clippy::option_option,
    reason = "two ways to fail, told apart by the one caller"
)]
fn integer(value: &mut Wire<'_>, form: Integer) -> Option<Option<f64>> {
    let narrow = |number: i64| i32::try_from(number).ok().map(f64::from);
    Some(match form {
        Integer::Int32 => narrow(signed(value.varint()?)),
        Integer::Int64 => Some(signed(value.varint()?) as f64),
        Integer::Uint32 => u32::try_from(value.varint()?).ok().map(f64::from),
        Integer::Uint64 => Some(value.varint()? as f64),
        Integer::Sint32 => narrow(wire::unzigzag(value.varint()?)),
        Integer::Sint64 => Some(wire::unzigzag(value.varint()?) as f64),
        Integer::Fixed32 => Some(f64::from(value.fixed32()?)),
        Integer::Fixed64 => Some(value.fixed64()? as f64),
        Integer::Sfixed32 => Some(f64::from(value.fixed32()?.cast_signed())),
        Integer::Sfixed64 => Some(value.fixed64()?.cast_signed() as f64),
    })
}

const fn signed(bits: u64) -> i64 {
    bits.cast_signed()
}

/// Steps over a field; none if it is cut off, a group or of no known wire type.
fn skip(value: &mut Wire<'_>, wire_type: u8) -> Option<()> {
    match wire_type {
        wire::VARINT => drop(value.varint()?),
        wire::FIXED64 => drop(value.take(8)?),
        wire::LENGTH => drop(value.bytes()?),
        wire::FIXED32 => drop(value.take(4)?),
        _ => return None,
    }
    Some(())
}

fn place(slot: &Slot) -> String {
    format!("value: field {} ({})", slot.number, slot.name)
}

fn misfit(slot: &Slot) -> Reject {
    let detail = format!("{}: the number does not fit the field's type", place(slot));
    Reject::new(QuarantineReason::FieldRange, detail)
}

fn malformed(detail: impl Into<String>) -> Reject {
    Reject::new(QuarantineReason::MalformedProtobuf, detail)
}
