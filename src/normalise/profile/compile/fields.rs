//! What a file says of one field, and of one status word.

use std::sync::{OnceLock, atomic::Ordering};

use super::{
    super::{
        super::{
            class::{Class, Field, FieldKind},
            quality::Quality,
            ucum::{self, Conversion},
        },
        linear::Linear,
        number::Number,
        plan::{AlarmPlan, Meaning, Stands, StatusPlan, Take, UnitFrom, Unmatched},
        spec::{self, Digits, FieldSpec, MapTo, StatusSpec},
        stage::Source,
    },
    TAKES,
};

pub(super) type Fault = (&'static str, String);

fn digits(part: &'static str, digits: Option<&Digits>, usual: i64) -> Result<Number, Fault> {
    let Some(digits) = digits else {
        return Ok(Number::whole(usual));
    };
    let text = digits.text();
    Number::parse(&text).ok_or_else(|| (part, format!("{text:?} is no number")))
}

pub(super) fn take(spec: &FieldSpec, field: &Field) -> Result<Take, Fault> {
    let scale = digits("scale", spec.scale.as_ref(), 1)?;
    let offset = digits("offset", spec.offset.as_ref(), 0)?;
    if let Some(bits) = spec.bits
        && (bits.width == 0 || bits.shift.saturating_add(bits.width) > 64)
    {
        return Err(("bits", "a part of a word of 64 bits is wanted".to_owned()));
    }
    let unit = match &spec.unit {
        None => Conversion::IDENTITY,
        Some(unit) => {
            let unit = ucum::alias(unit).unwrap_or(unit);
            ucum::conversion(unit, &field.unit).map_err(|why| ("unit", why.to_string()))?
        }
    };
    let linear = Linear::new(scale, offset, unit)
        .ok_or_else(|| ("scale", "too many digits to be exact".to_owned()))?;
    let mut missing_numbers = Vec::new();
    let mut missing_texts: Vec<Box<str>> = Vec::new();
    for digits in &spec.missing {
        let text = digits.text();
        missing_numbers.extend(Number::parse(&text));
        missing_texts.push(text.into());
    }
    let mut map = Vec::new();
    for (raw, to) in &spec.map {
        map.push((raw.as_str().into(), Number::parse(raw), stands(to, field)?));
    }
    Ok(Take {
        id: TAKES.fetch_add(1, Ordering::Relaxed),
        missing_numbers: missing_numbers.into(),
        missing_texts: missing_texts.into(),
        bits: spec.bits,
        unmatched: if map.iter().any(|(_, _, to)| matches!(to, Stands::Code(_))) {
            Unmatched::Refused
        } else {
            Unmatched::Passed
        },
        map: map.into(),
        scale,
        offset,
        linear,
        wire: OnceLock::new(),
        unit_from: if spec.unit.is_none() {
            UnitFrom::Wire
        } else {
            UnitFrom::File
        },
        unit: field.unit.as_str().into(),
        rounding: spec.round,
    })
}

fn stands(to: &MapTo, field: &Field) -> Result<Stands, Fault> {
    let wrong = |what: String| Err(("map", what));
    match (to, &field.kind) {
        (MapTo::Text(text), FieldKind::Enum(codes)) => {
            match codes
                .iter()
                .find(|code| code.code == *text || code.name == *text)
            {
                Some(code) => Ok(Stands::Code(code.number)),
                None => {
                    let known: Vec<&str> = codes.iter().map(|code| code.code.as_str()).collect();
                    wrong(format!("{text:?} is none of {}", known.join(", ")))
                }
            }
        }
        (MapTo::Bool(value), FieldKind::Bool) => Ok(Stands::Bool(*value)),
        (MapTo::Text(text), FieldKind::Text) => Ok(Stands::Text(text.as_str().into())),
        (
            MapTo::Number(number),
            FieldKind::Double | FieldKind::Float | FieldKind::Signed | FieldKind::Unsigned,
        ) => Number::parse(&number.to_string())
            .map(Stands::Number)
            .ok_or_else(|| ("map", format!("{number} is no number"))),
        (_, kind) => wrong(format!(
            "{to:?} is not what a field of kind {} takes",
            kind.name()
        )),
    }
}

pub(super) fn status_plan(
    spec: &StatusSpec,
    from: &[Source],
    class: &Class,
) -> Result<StatusPlan, String> {
    let mut bits = Vec::new();
    for (bit, said) in &spec.bits {
        let number = bit.parse().ok().filter(|number: &u8| *number < 64);
        let number = number.ok_or_else(|| format!("bit {bit:?} is none of 0 to 63"))?;
        bits.push((number, meaning(said, class)?));
    }
    let mut values = Vec::new();
    for (value, said) in &spec.values {
        values.push((
            value.as_str().into(),
            Number::parse(value),
            meaning(said, class)?,
        ));
    }
    Ok(StatusPlan {
        from: from.into(),
        bits: bits.into(),
        values: values.into(),
    })
}

fn meaning(said: &spec::Meaning, class: &Class) -> Result<Meaning, String> {
    let field = |name: &String| {
        let found = class.fields().iter().find(|field| field.name == *name);
        found
            .map(|field| field.number)
            .ok_or_else(|| format!("{name:?} is no field of class {}", class.id()))
    };
    let fields: Vec<u32> = said.fields.iter().map(field).collect::<Result<_, _>>()?;
    let quality = match &said.quality {
        None => None,
        Some(name) => Some(
            Quality::named(name)
                .ok_or_else(|| format!("{name:?} is no OPC UA status that is known here"))?,
        ),
    };
    let level = match said.level.as_deref() {
        None | Some("warning") => 2,
        Some("info") => 1,
        Some("serious") => 3,
        Some("critical") => 4,
        Some(other) => {
            return Err(format!(
                "level {other:?} is none of info, warning, serious, critical"
            ));
        }
    };
    let alarm = said.alarm.as_ref().map(|code| AlarmPlan {
        code: code.as_str().into(),
        level,
        field_number: fields.first().copied().unwrap_or(0),
    });
    Ok(Meaning {
        quality,
        fields: fields.into(),
        alarm,
    })
}
