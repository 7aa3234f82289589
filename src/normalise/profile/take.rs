//! From a value that waits to a field of the reading in work.

use std::fmt::Write as _;

use super::{
    super::{
        payload::Reject,
        plan::{Form, Slot},
        point::Value,
        sheet::Sheet,
        ucum,
    },
    linear::Linear,
    number::Number,
    plan::{Stands, Take, UnitFrom, Unmatched},
    spec::{Bits, Rounding},
    stage::{Cell, Stage, Waiting},
};
use crate::domain::QuarantineReason;

/// What became of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    Done,
    /// There is no value: the format says so, or a sentinel does.
    Absent,
}

/// What a value is after its part of a word was taken and its map was asked.
enum Meant<'a> {
    Number(Number),
    Text(&'a str),
    Bool(bool),
    Stands(&'a Stands),
    Other(&'static str),
}

/// Puts a field.
///
/// # Errors
/// The value is none that the field takes.
pub(super) fn put(
    sheet: &mut Sheet<'_>,
    slot: &Slot,
    take: &Take,
    (cell, stage): (&Cell, &Stage),
) -> Result<Put, Reject> {
    if let (Waiting::Number(number), Some(linear)) = (&cell.value, take.plain(cell))
        && slot.form == Form::Double
    {
        if take
            .missing_numbers
            .iter()
            .any(|missing| missing.is(*number))
        {
            return Ok(Put::Absent);
        }
        sheet.put_number(slot, linear.real(*number));
        return Ok(Put::Done);
    }
    let Some(meant) = meant(take, cell, stage)? else {
        return Ok(Put::Absent);
    };
    let done = match (&slot.form, meant) {
        (_, Meant::Stands(stands)) => put_stands(sheet, slot, stands),
        (Form::Double | Form::Float, meant) => {
            let number = number(&meant).ok_or_else(|| mistyped(slot, &meant))?;
            let scaled = linear(take, cell)?.apply(number).real();
            let fits = slot.form == Form::Double || scaled.abs() <= f64::from(f32::MAX);
            fits.then(|| sheet.put_number(slot, scaled))
        }
        (Form::Integer(form), meant) => {
            let number = number(&meant).ok_or_else(|| mistyped(slot, &meant))?;
            let whole = linear(take, cell)?.apply(number).to_whole(take.rounding);
            put_whole(sheet, slot, *form, whole)
        }
        (Form::Bool, Meant::Bool(value)) => {
            sheet.put_bool(slot, value);
            Some(())
        }
        (Form::Bool, meant) => {
            let value = match number(&meant).and_then(|n| n.to_whole(Rounding::Exact)) {
                Some(0) => false,
                Some(1) => true,
                _ => return Err(mistyped(slot, &meant)),
            };
            sheet.put_bool(slot, value);
            Some(())
        }
        (Form::Enum, meant) => {
            let code = code(slot, &meant).ok_or_else(|| unknown_code(slot, &meant))?;
            sheet.put_code(slot, code);
            Some(())
        }
        (Form::Text, Meant::Text(text)) => {
            sheet.put_text(slot, text);
            Some(())
        }
        (Form::Text, meant) => {
            let mut text = String::new();
            describe(&meant, &mut text);
            sheet.put_text(slot, &text);
            Some(())
        }
    };
    done.map(|()| Put::Done).ok_or_else(|| {
        let detail = format!("field {}: the value does not fit its type", slot.name);
        Reject::new(QuarantineReason::FieldRange, detail)
    })
}

impl Take {
    /// Scale, offset and unit where nothing else is to be done to a value and they are known already.
    #[inline]
    fn plain(&self, cell: &Cell) -> Option<&Linear> {
        if self.bits.is_some() || !self.map.is_empty() {
            return None;
        }
        match cell.unit {
            Some(unit) if self.unit_from == UnitFrom::Wire => {
                let (known, linear) = self.wire.get()?;
                std::ptr::eq(*known, unit).then_some(linear)
            }
            _ => Some(&self.linear),
        }
    }
}

fn put_stands(sheet: &mut Sheet<'_>, slot: &Slot, stands: &Stands) -> Option<()> {
    match (stands, &slot.form) {
        (Stands::Code(code), _) => sheet.put_code(slot, *code),
        (Stands::Bool(value), _) => sheet.put_bool(slot, *value),
        (Stands::Text(text), _) => sheet.put_text(slot, text),
        (Stands::Number(number), Form::Integer(form)) => {
            return put_whole(sheet, slot, *form, number.to_whole(Rounding::Exact));
        }
        (Stands::Number(number), _) => sheet.put_number(slot, number.real()),
    }
    Some(())
}

fn put_whole(
    sheet: &mut Sheet<'_>,
    slot: &Slot,
    form: super::super::plan::Integer,
    whole: Option<i128>,
) -> Option<()> {
    let whole = whole?;
    match i64::try_from(whole) {
        Ok(whole) => sheet.put_signed(slot, form, whole),
        Err(_) => sheet.put_unsigned(slot, form, u64::try_from(whole).ok()?),
    }
}

fn meant<'s>(take: &'s Take, cell: &Cell, stage: &'s Stage) -> Result<Option<Meant<'s>>, Reject> {
    // Where a part of a word is the value, sentinels speak of the part.
    if take.bits.is_none() && is_missing(take, cell, stage) {
        return Ok(None);
    }
    let mut meant = match &cell.value {
        Waiting::Missing => return Ok(None),
        Waiting::Bool(value) => Meant::Bool(*value),
        Waiting::Number(number) => Meant::Number(*number),
        Waiting::Text(range) => Meant::Text(stage.text(range)),
        Waiting::Bytes(_) => Meant::Other("bytes"),
        Waiting::Time(_) => Meant::Other("a time"),
    };
    if let Some(bits) = take.bits {
        let part = part_of(number(&meant), bits).ok_or_else(|| {
            let detail = "a part of a word is wanted of what is no whole number";
            Reject::new(QuarantineReason::FieldType, detail)
        })?;
        if take.missing_numbers.iter().any(|missing| missing.is(part)) {
            return Ok(None);
        }
        meant = Meant::Number(part);
    }
    if take.map.is_empty() {
        return Ok(Some(meant));
    }
    let stands = take.map.iter().find(|(text, number, _)| match &meant {
        Meant::Text(found) => {
            let same_number = || {
                number
                    .zip(Number::parse(found))
                    .is_some_and(|(a, b)| a.is(b))
            };
            *found == &**text || same_number()
        }
        Meant::Number(found) => number.is_some_and(|number| number.is(*found)),
        Meant::Bool(found) => matches!((&**text, found), ("true", true) | ("false", false)),
        Meant::Stands(_) | Meant::Other(_) => false,
    });
    Ok(Some(match stands {
        Some((_, _, stands)) => Meant::Stands(stands),
        // The class's own numbers mean something else than the wire's, once a map says what those mean.
        None if matches!(meant, Meant::Number(_)) && take.unmatched == Unmatched::Refused => {
            let detail = format!("{} is not in the profile's map", shown(&meant));
            return Err(Reject::new(QuarantineReason::EnumCode, detail));
        }
        None => meant,
    }))
}

/// Some bits of a word; none of what is no whole number.
fn part_of(number: Option<Number>, bits: Bits) -> Option<Number> {
    match number? {
        Number::Exact {
            mantissa,
            places: 0,
        } if mantissa >= 0 && bits.width < 63 => {
            let mask = (1_i64 << bits.width) - 1;
            Some(Number::whole(mantissa >> bits.shift & mask))
        }
        number => {
            let mask = (1_i128 << bits.width) - 1;
            let word = number.to_whole(Rounding::Exact)?;
            Some(Number::wide(word >> bits.shift & mask))
        }
    }
}

fn is_missing(take: &Take, cell: &Cell, stage: &Stage) -> bool {
    match &cell.value {
        Waiting::Missing => true,
        Waiting::Number(number) => take
            .missing_numbers
            .iter()
            .any(|missing| missing.is(*number)),
        Waiting::Text(range) => {
            let text = stage.text(range).trim();
            let is_named = |missing: &str| *missing == *text;
            let is_number = || {
                let number = Number::parse(text).filter(|_| !take.missing_numbers.is_empty());
                number.is_some_and(|found| {
                    take.missing_numbers.iter().any(|missing| missing.is(found))
                })
            };
            text.is_empty()
                || take.missing_texts.iter().any(|missing| is_named(missing))
                || is_number()
        }
        Waiting::Bool(_) | Waiting::Bytes(_) | Waiting::Time(_) => false,
    }
}

/// Scale, offset and unit; the unit of the wire where the format says one and the file does not.
pub(super) fn linear(take: &Take, cell: &Cell) -> Result<Linear, Reject> {
    let Some(unit) = cell.unit.filter(|_| take.unit_from == UnitFrom::Wire) else {
        return Ok(take.linear);
    };
    if let Some((known, linear)) = take.wire.get()
        && std::ptr::eq(*known, unit)
    {
        return Ok(*linear);
    }
    let known = UNITS.with_borrow(|units| units.get(&(unit.as_ptr().addr(), take.id)).copied());
    if let Some(linear) = known {
        return Ok(linear);
    }
    let wrong = |why: String| Reject::new(QuarantineReason::Unit, why);
    let linear = if *unit == *take.unit {
        take.linear
    } else {
        let conversion =
            ucum::conversion(unit, &take.unit).map_err(|why| wrong(why.to_string()))?;
        Linear::new(take.scale, take.offset, conversion)
            .ok_or_else(|| wrong(format!("{unit} to {}: too many digits", take.unit)))?
    };
    let (first, _) = take.wire.get_or_init(|| (unit, linear));
    if std::ptr::eq(*first, unit) {
        return Ok(linear);
    }
    UNITS.with_borrow_mut(|units| {
        // Profiles are loaded anew now and then; their conversions are not to pile up.
        if units.len() >= UNITS_MAX {
            units.clear();
        }
        units.insert((unit.as_ptr().addr(), take.id), linear);
    });
    Ok(linear)
}

/// Conversions that a worker remembers: one for each field and unit that its frames name.
const UNITS_MAX: usize = 4_096;

thread_local! {
    static UNITS: std::cell::RefCell<std::collections::HashMap<(usize, u64), Linear, foldhash::fast::FixedState>> =
        std::cell::RefCell::default();
}

fn number(meant: &Meant<'_>) -> Option<Number> {
    match meant {
        Meant::Number(number) => Some(*number),
        Meant::Text(text) => Number::parse(text),
        Meant::Bool(value) => Some(Number::whole(i64::from(*value))),
        Meant::Stands(_) | Meant::Other(_) => None,
    }
}

fn code(slot: &Slot, meant: &Meant<'_>) -> Option<i32> {
    if let Meant::Text(text) = meant
        && let Some(code) = slot.code(text)
    {
        return Some(code);
    }
    let whole = number(meant)?.to_whole(Rounding::Exact)?;
    i32::try_from(whole).ok().filter(|code| slot.knows(*code))
}

/// A value as text, for attributes and messages.
pub(super) fn as_text(value: Value<'_>, out: &mut String) {
    let written = match value {
        Value::Missing => Ok(()),
        Value::Bool(value) => write!(out, "{value}"),
        Value::Whole(value) => write!(out, "{value}"),
        Value::Large(value) => write!(out, "{value}"),
        Value::Decimal(value) => write!(out, "{}", Number::from(value).real()),
        Value::Real(value) => write!(out, "{value}"),
        Value::Text(text) => {
            out.push_str(text);
            Ok(())
        }
        Value::Bytes(bytes) => bytes.iter().try_for_each(|byte| write!(out, "{byte:02X}")),
        Value::Time(moment) => write!(out, "{moment:?}"),
    };
    // Writing to a text does not fail.
    written.unwrap_or_default();
}

fn describe(meant: &Meant<'_>, out: &mut String) {
    match meant {
        Meant::Number(Number::Exact {
            mantissa,
            places: 0,
        }) => write!(out, "{mantissa}"),
        Meant::Number(Number::Large(whole)) => write!(out, "{whole}"),
        Meant::Number(number) => write!(out, "{}", number.real()),
        Meant::Text(text) => write!(out, "{text:?}"),
        Meant::Bool(value) => write!(out, "{value}"),
        Meant::Stands(stands) => write!(out, "{stands:?}"),
        Meant::Other(what) => write!(out, "{what}"),
    }
    .unwrap_or_default();
}

fn shown(meant: &Meant<'_>) -> String {
    let mut text = String::new();
    describe(meant, &mut text);
    text.chars().take(40).collect()
}

fn mistyped(slot: &Slot, meant: &Meant<'_>) -> Reject {
    let detail = format!(
        "field {}: {} where {} is wanted",
        slot.name,
        shown(meant),
        slot.form.wanted()
    );
    Reject::new(QuarantineReason::FieldType, detail)
}

fn unknown_code(slot: &Slot, meant: &Meant<'_>) -> Reject {
    let detail = format!(
        "field {}: {} is none of {}",
        slot.name,
        shown(meant),
        slot.codes_listed()
    );
    Reject::new(QuarantineReason::EnumCode, detail)
}
