//! Canonical JSON: an object with the class's fields by their proto or JSON names beside an optional `observed_at`, or
//! an array of such objects. Read in one pass, straight into the sheet; values follow proto3's JSON mapping.

use super::{
    class::Class,
    payload::{Encoded, Limits, Payload, Reject},
    plan::{FIELDS_MAX, Form, Integer, Slot},
    scan::{DEPTH_MAX, Fault, FaultKind, Next, Number, Scanner},
    sheet::{Sheet, member, twice},
    time,
};
use crate::domain::{QuarantineReason, UnixNanos};

/// Largest whole number that every double below it can tell from its neighbours: 2^53.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

impl From<Fault> for Reject {
    fn from(fault: Fault) -> Self {
        match fault.kind {
            FaultKind::Wanted(what) => Self::new(
                QuarantineReason::MalformedJson,
                format!("byte {}: {what} is wanted", fault.at),
            ),
            FaultKind::Deep => Self::new(
                QuarantineReason::TooLarge,
                format!("byte {}: nested deeper than {DEPTH_MAX} levels", fault.at),
            ),
        }
    }
}

/// Reads a payload into `out`.
pub(super) fn read(
    class: &Class,
    payload: &Payload<'_>,
    limits: &Limits,
    out: &mut Encoded,
) -> Result<(), Reject> {
    let text = std::str::from_utf8(payload.bytes).map_err(|why| {
        let detail = format!("byte {}: not UTF-8", why.valid_up_to());
        Reject::new(QuarantineReason::MalformedJson, detail)
    })?;
    let mut sheet = Sheet::new(class, payload, limits, out)?;
    let mut scanner = Scanner::new(text);
    match scanner.next()? {
        Next::Object => object(&mut scanner, &mut sheet)?,
        Next::Array => array(&mut scanner, &mut sheet)?,
        other => {
            scanner.value()?;
            scanner.end()?;
            let detail = format!(
                "{} where an object or an array of objects is wanted",
                other.name()
            );
            return Err(Reject::new(QuarantineReason::NotAnObject, detail));
        }
    }
    Ok(scanner.end()?)
}

fn array(scanner: &mut Scanner<'_>, sheet: &mut Sheet<'_>) -> Result<(), Reject> {
    scanner.expect(b'[', "an array")?;
    if scanner.take(b']') {
        return Err(Reject::new(
            QuarantineReason::Empty,
            "an array without a reading",
        ));
    }
    loop {
        element(scanner, sheet)
            .map_err(|reject| reject.within(&format!("reading {}", sheet.readings() + 1)))?;
        if !scanner.take(b',') {
            return Ok(scanner.expect(b']', "a comma or the end of the array")?);
        }
    }
}

fn element(scanner: &mut Scanner<'_>, sheet: &mut Sheet<'_>) -> Result<(), Reject> {
    match scanner.next()? {
        Next::Object => object(scanner, sheet),
        other => {
            let detail = format!("{} where an object is wanted", other.name());
            Err(Reject::new(QuarantineReason::NotAnObject, detail))
        }
    }
}

/// Which members of an object have been seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    slots: [u64; FIELDS_MAX / 64],
    observed_at: bool,
    /// The slot that comes next if members keep the order of their fields.
    expected: usize,
}

impl Seen {
    /// Marks a slot; false if it was marked already.
    #[inline]
    pub(super) fn mark(&mut self, slot: usize) -> bool {
        let bit = 1 << (slot % 64);
        let Some(word) = self.slots.get_mut(slot / 64) else {
            return false;
        };
        let fresh = *word & bit == 0;
        *word |= bit;
        fresh
    }
}

#[inline]
fn object(scanner: &mut Scanner<'_>, sheet: &mut Sheet<'_>) -> Result<(), Reject> {
    scanner.expect(b'{', "an object")?;
    if !scanner.take(b'}') {
        let mut seen = Seen::default();
        loop {
            let name = scanner.name()?;
            one_member(scanner, sheet, &name, &mut seen)?;
            if !scanner.take(b',') {
                scanner.expect(b'}', "a comma or the end of the object")?;
                break;
            }
        }
    }
    sheet.finish()
}

#[inline]
fn one_member(
    scanner: &mut Scanner<'_>,
    sheet: &mut Sheet<'_>,
    name: &str,
    seen: &mut Seen,
) -> Result<(), Reject> {
    if let Some((at, slot)) = sheet.class().plan.by_name(name, seen.expected) {
        seen.expected = at + 1;
        if !seen.mark(at) {
            return Err(twice(name));
        }
        return value(scanner, sheet, slot);
    }
    if matches!(name, "observed_at" | "observedAt") {
        if seen.observed_at {
            return Err(twice(name));
        }
        seen.observed_at = true;
        sheet.observed_at = observed_at(scanner, name)?;
        return Ok(());
    }
    sheet.put_unknown(name, scanner.value()?)
}

fn observed_at(scanner: &mut Scanner<'_>, name: &str) -> Result<Option<UnixNanos>, Reject> {
    let time = match scanner.next()? {
        Next::Null => {
            scanner.word(Next::Null)?;
            return Ok(None);
        }
        Next::Text => time::from_text(&scanner.text()?),
        Next::Number => time::from_millis(scanner.number()?),
        _ => None,
    };
    time.map(Some).ok_or_else(|| {
        let detail = format!(
            "{}: neither RFC 3339 text with an offset nor Unix milliseconds, from 1970 to 2554",
            member(name)
        );
        Reject::new(QuarantineReason::ObservedAt, detail)
    })
}

#[inline]
fn value(scanner: &mut Scanner<'_>, sheet: &mut Sheet<'_>, slot: &Slot) -> Result<(), Reject> {
    let next = scanner.next()?;
    match (next, &slot.form) {
        (Next::Null, _) => scanner.word(next)?,
        (Next::Number, Form::Double | Form::Float) => {
            double(sheet, slot, scanner.number()?)?;
        }
        (Next::Number, Form::Integer(form)) => integer(sheet, slot, *form, scanner.number()?)?,
        (Next::Number, Form::Enum) => code_number(sheet, slot, scanner.number()?)?,
        (Next::True | Next::False, Form::Bool) => {
            scanner.word(next)?;
            sheet.put_bool(slot, next == Next::True);
        }
        (Next::Text, Form::Text) => sheet.put_text(slot, &scanner.text()?),
        (Next::Text, Form::Enum) => code(sheet, slot, &scanner.text()?)?,
        (Next::Text, Form::Double | Form::Float | Form::Integer(_)) => {
            number_as_text(sheet, slot, &scanner.text()?)?;
        }
        (other, form) => return Err(mistyped(slot, other.name(), form.wanted())),
    }
    Ok(())
}

#[inline]
fn double(sheet: &mut Sheet<'_>, slot: &Slot, number: Number<'_>) -> Result<(), Reject> {
    let value: f64 = number.text.parse().unwrap_or(f64::INFINITY);
    let max = match slot.form {
        Form::Float => f64::from(f32::MAX),
        _ => f64::MAX,
    };
    if value.abs() > max {
        return Err(misfit(slot, number.text));
    }
    sheet.put_number(slot, value);
    Ok(())
}

#[inline]
fn integer(
    sheet: &mut Sheet<'_>,
    slot: &Slot,
    form: Integer,
    number: Number<'_>,
) -> Result<(), Reject> {
    let put = if !number.whole {
        whole(number.text).and_then(|value| sheet.put_signed(slot, form, value))
    } else if let Ok(value) = number.text.parse::<u64>() {
        sheet.put_unsigned(slot, form, value)
    } else {
        let value = number.text.parse::<i64>().ok();
        value.and_then(|value| sheet.put_signed(slot, form, value))
    };
    put.ok_or_else(|| misfit(slot, number.text))
}

/// The integer that a number with a fraction or an exponent stands for, as in `1.0` and `2e3`.
fn whole(text: &str) -> Option<i64> {
    let value: f64 = text.parse().ok()?;
    #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
    (value.fract() == 0.0 && value.abs() <= WHOLE_MAX).then_some(value as i64)
}

/// Numbers may come as text (proto3's JSON mapping), and what is no finite number only so.
fn number_as_text(sheet: &mut Sheet<'_>, slot: &Slot, text: &str) -> Result<(), Reject> {
    if let Form::Double | Form::Float = slot.form {
        let special = match text {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        };
        if let Some(value) = special {
            sheet.put_number(slot, value);
            return Ok(());
        }
    }
    let Some(number) = as_number(text) else {
        return Err(mistyped(slot, "text that is no number", slot.form.wanted()));
    };
    match slot.form {
        Form::Integer(form) => integer(sheet, slot, form, number),
        _ => double(sheet, slot, number),
    }
}

fn as_number(text: &str) -> Option<Number<'_>> {
    if !text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return None;
    }
    let number = Scanner::new(text).number().ok()?;
    (number.text.len() == text.len()).then_some(number)
}

#[inline]
fn code(sheet: &mut Sheet<'_>, slot: &Slot, text: &str) -> Result<(), Reject> {
    let number = slot.code(text).ok_or_else(|| {
        let short: String = text.chars().take(64).collect();
        unknown_code(slot, &format!("{short:?}"))
    })?;
    sheet.put_code(slot, number);
    Ok(())
}

fn code_number(sheet: &mut Sheet<'_>, slot: &Slot, number: Number<'_>) -> Result<(), Reject> {
    let known = whole_number(number)
        .and_then(|value| i32::try_from(value).ok())
        .filter(|value| slot.knows(*value))
        .ok_or_else(|| unknown_code(slot, number.text))?;
    sheet.put_code(slot, known);
    Ok(())
}

fn whole_number(number: Number<'_>) -> Option<i64> {
    if number.whole {
        number.text.parse().ok()
    } else {
        whole(number.text)
    }
}

fn unknown_code(slot: &Slot, found: &str) -> Reject {
    let detail = format!(
        "{}: {found} is none of {}",
        member(&slot.name),
        slot.codes_listed()
    );
    Reject::new(QuarantineReason::EnumCode, detail)
}

fn mistyped(slot: &Slot, found: &str, wanted: &str) -> Reject {
    let detail = format!("{}: {found} where {wanted} is wanted", member(&slot.name));
    Reject::new(QuarantineReason::FieldType, detail)
}

fn misfit(slot: &Slot, found: &str) -> Reject {
    let short: String = found.chars().take(40).collect();
    let detail = format!(
        "{}: {short} does not fit the field's type",
        member(&slot.name)
    );
    Reject::new(QuarantineReason::FieldRange, detail)
}
