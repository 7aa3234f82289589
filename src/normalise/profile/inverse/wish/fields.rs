//! What is wished of one field.

use super::{Field, FieldKind, Intended, IsWhole, Number, Raw, Stands, Take, Unmatched, Wish};

pub(super) fn of_field<'a>(
    field: &Field,
    take: &'a Take,
    value: &Intended,
) -> Result<Wish<'a>, String> {
    let raws = raws(take, value);
    if !raws.is_empty() {
        return Ok(Wish::Raws(raws));
    }
    let wrong = || {
        Err(format!(
            "{value:?} is nothing that a {} takes",
            field.kind.name()
        ))
    };
    match (value, &field.kind) {
        (Intended::Number(number), FieldKind::Double | FieldKind::Float) => {
            of_number(take, *number, IsWhole::No)
        }
        (Intended::Number(number), FieldKind::Signed | FieldKind::Unsigned) => {
            of_number(take, *number, IsWhole::Yes)
        }
        (Intended::Code(number), FieldKind::Enum(codes)) if take.unmatched == Unmatched::Passed => {
            let found = codes.iter().find(|code| code.number == *number);
            let found = found.ok_or_else(|| format!("{number} is no code"))?;
            let texts = [found.code.as_str(), found.name.as_str()];
            let texts = texts.into_iter().map(Raw::of_text);
            Ok(Wish::Raws(
                texts.chain([Raw::of_whole(i128::from(*number))]).collect(),
            ))
        }
        (Intended::Bool(value), FieldKind::Bool) if take.map.is_empty() => Ok(Wish::Raws(vec![
            Raw::of_whole(i128::from(*value)),
            Raw::of_text(if *value { "true" } else { "false" }),
        ])),
        (Intended::Text(text), FieldKind::Text) => Ok(Wish::text(text)),
        (Intended::Code(_) | Intended::Bool(_), _) if !take.map.is_empty() => {
            Err(format!("{value:?} is not in the profile's map"))
        }
        _ => wrong(),
    }
}

pub(super) fn of_number(take: &Take, number: f64, is_whole: IsWhole) -> Result<Wish<'_>, String> {
    let text = number.to_string();
    let number = Number::parse(&text).ok_or_else(|| format!("{text} is no number"))?;
    Ok(Wish::Number {
        take,
        number,
        is_whole,
    })
}

/// The raw values that a map reads as this.
pub(super) fn raws(take: &Take, value: &Intended) -> Vec<Raw> {
    let is_it = |stands: &Stands| match (stands, value) {
        (Stands::Code(a), Intended::Code(b)) => a == b,
        (Stands::Bool(a), Intended::Bool(b)) => a == b,
        (Stands::Number(a), Intended::Number(b)) => a.real().total_cmp(b).is_eq(),
        (Stands::Text(a), Intended::Text(b)) => **a == **b,
        _ => false,
    };
    let found = take.map.iter().filter(|(_, _, stands)| is_it(stands));
    found
        .map(|(text, number, _)| Raw {
            text: text.to_string(),
            number: *number,
        })
        .collect()
}

/// The part of a word that a field of bits is read from.
pub(super) fn part(field: &Field, take: &Take, value: &Intended) -> Result<i128, String> {
    let wish = of_field(field, take, value)?;
    wish.whole()
        .ok_or_else(|| format!("{value:?} is no part of a word"))
}
