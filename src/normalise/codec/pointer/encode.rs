//! The way back: a tree grown from pointers and values, written as JSON here and as CBOR by its codec.

use std::fmt::Write as _;

use super::{
    super::{
        super::point::{Decimal, Moment, OwnedKey, Value},
        encoding::{Encoder, Report},
    },
    Pointer, Pointers, TimeUnit,
    path::{Step, as_number},
    trie::End,
};
use crate::domain::UnixNanos;

/// A value on its way out.
#[derive(Debug, Clone)]
pub(in super::super) enum Branch<'v> {
    Object(Vec<(String, Branch<'v>)>),
    Array(Vec<Branch<'v>>),
    /// Text of a pointer.
    Text(String),
    Scalar(Value<'v>),
}

/// Longest array that a pointer's index grows.
const ELEMENTS_MAX: usize = 1_024;

impl Branch<'_> {
    /// Nothing has been put here yet.
    const fn is_bare(&self) -> bool {
        match self {
            Self::Object(members) => members.is_empty(),
            Self::Scalar(value) => matches!(value, Value::Missing),
            _ => false,
        }
    }
}

/// The tree in which a report's values stand where their pointers say; a record's element, and those around it, is the
/// only one of its list. Times in `times` that the report does not give are its own; the address stands where the profile
/// has a pointer to it, as a point.
pub(in super::super) fn branch<'v>(
    pointers: &Pointers,
    report: &Report<'v>,
) -> Result<Branch<'v>, String> {
    let trie = &pointers.trie;
    let mut names = vec!["0".to_owned(); trie.levels() + 1];
    let mut given = Vec::new();
    for (key, value) in report.points {
        let OwnedKey::Code(id) = key else {
            return Err(format!("{key:?} is no pointer"));
        };
        let (leaf, level, steps, is_name) = trie
            .meaning(*id)
            .ok_or_else(|| format!("pointer {id} is unknown"))?;
        match (is_name, value) {
            (true, Value::Text(name)) => {
                if let Some(place) = names.get_mut(level) {
                    (*name).clone_into(place);
                }
            }
            (true, _) => {}
            (false, _) => given.push((level, steps, *value, leaf.end)),
        }
    }
    let mut root = Branch::Object(Vec::new());
    for (level, steps, value, end) in &given {
        let place = step_all(pointers, &mut root, (*level, &names), steps)?;
        *place = leaf(pointers, report.at, *value, *end);
    }
    for (level, steps) in trie.times() {
        if !given.iter().any(|(l, s, ..)| *l == level && *s == steps) {
            let end = step_all(pointers, &mut root, (level, &names), steps)?;
            *end = Branch::Scalar(stamp(report.at, pointers.options.time_unit));
        }
    }
    Ok(root)
}

fn stamp(at: UnixNanos, unit: TimeUnit) -> Value<'static> {
    Value::Large(match unit {
        TimeUnit::S => at.0 / 1_000_000_000,
        TimeUnit::Ms | TimeUnit::Auto => at.0 / 1_000_000,
        TimeUnit::Us => at.0 / 1_000,
        TimeUnit::Ns => at.0,
    })
}

fn leaf<'v>(pointers: &Pointers, at: UnixNanos, value: Value<'v>, end: End) -> Branch<'v> {
    let value = match value {
        Value::Time(Moment::Unix(at)) => stamp(at, pointers.options.time_unit),
        other => other,
    };
    let value = Branch::Scalar(value);
    let options = &pointers.options;
    let Some(member) = options.value_member.clone().filter(|_| end == End::Member) else {
        return value;
    };
    let time = options.time_sibling.clone();
    let time = time.map(|time| (time, Branch::Scalar(stamp(at, options.time_unit))));
    Branch::Object(
        [Some((member, value)), time]
            .into_iter()
            .flatten()
            .collect(),
    )
}

fn step_all<'t, 'v>(
    pointers: &Pointers,
    root: &'t mut Branch<'v>,
    (level, names): (usize, &[String]),
    steps: &[Step],
) -> Result<&'t mut Branch<'v>, String> {
    let mut at = root;
    for (list, name) in pointers
        .options
        .each()
        .iter()
        .zip(names.iter().skip(1))
        .take(level)
    {
        for step in super::path::Path::parse(list)?.steps {
            at = one_step(at, &step)?;
        }
        at = one_step(at, &Step::Member(name.as_str().into()))?;
    }
    for step in steps {
        at = one_step(at, step)?;
    }
    Ok(at)
}

/// The branch behind a step, grown if need be.
fn one_step<'t, 'v>(at: &'t mut Branch<'v>, step: &Step) -> Result<&'t mut Branch<'v>, String> {
    match step {
        Step::Member(name) => match as_number(name).and_then(|n| usize::try_from(n).ok()) {
            Some(index) if index < ELEMENTS_MAX => element(at, index),
            _ => member(at, name),
        },
        Step::Select { member, equals } => {
            let list = as_list(at)?;
            let is_selected = |branch: &Branch<'_>| match branch {
                Branch::Object(members) => members.iter().any(|(name, branch)| {
                    **name == **member && matches!(branch, Branch::Text(text) if **text == **equals)
                }),
                _ => false,
            };
            let index = list.iter().position(is_selected).unwrap_or(list.len());
            if index == list.len() {
                let text = Branch::Text(equals.to_string());
                list.push(Branch::Object(vec![(member.to_string(), text)]));
            }
            list.get_mut(index).ok_or_else(|| unreached(equals))
        }
    }
}

fn unreached(step: &str) -> String {
    format!("there is no place for {step:?}")
}

fn as_list<'t, 'v>(at: &'t mut Branch<'v>) -> Result<&'t mut Vec<Branch<'v>>, String> {
    if at.is_bare() {
        *at = Branch::Array(Vec::new());
    }
    match at {
        Branch::Array(list) => Ok(list),
        _ => Err("a place is an array for one pointer and none for another".to_owned()),
    }
}

fn element<'t, 'v>(at: &'t mut Branch<'v>, index: usize) -> Result<&'t mut Branch<'v>, String> {
    if let Branch::Object(members) = at
        && !members.is_empty()
    {
        return member(at, &index.to_string());
    }
    let list = as_list(at)?;
    if list.len() <= index {
        list.resize(index + 1, Branch::Scalar(Value::Missing));
    }
    list.get_mut(index).ok_or_else(|| unreached("element"))
}

fn member<'t, 'v>(at: &'t mut Branch<'v>, name: &str) -> Result<&'t mut Branch<'v>, String> {
    if at.is_bare() {
        *at = Branch::Object(Vec::new());
    }
    let Branch::Object(members) = at else {
        return Err(unreached(name));
    };
    let index = members
        .iter()
        .position(|(known, _)| known == name)
        .unwrap_or(members.len());
    if index == members.len() {
        members.push((name.to_owned(), Branch::Scalar(Value::Missing)));
    }
    let place = members.get_mut(index).map(|(_, branch)| branch);
    place.ok_or_else(|| unreached(name))
}

impl Encoder for Pointer {
    fn encode(&self, report: &Report<'_>) -> Result<Vec<u8>, String> {
        let mut text = String::new();
        write_json(&branch(&self.pointers, report)?, &mut text)?;
        Ok(text.into_bytes())
    }
}

/// A branch as JSON text.
pub(in super::super) fn write_json(branch: &Branch<'_>, out: &mut String) -> Result<(), String> {
    match branch {
        Branch::Object(members) => {
            out.push('{');
            for (at, (name, member)) in members.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                write_text(name, out)?;
                out.push(':');
                write_json(member, out)?;
            }
            out.push('}');
        }
        Branch::Array(elements) => {
            out.push('[');
            for (at, element) in elements.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                write_json(element, out)?;
            }
            out.push(']');
        }
        Branch::Text(text) => write_text(text, out)?,
        Branch::Scalar(value) => write_scalar(*value, out)?,
    }
    Ok(())
}

fn write_text(text: &str, out: &mut String) -> Result<(), String> {
    out.push_str(&serde_json::to_string(text).map_err(|why| why.to_string())?);
    Ok(())
}

fn write_scalar(value: Value<'_>, out: &mut String) -> Result<(), String> {
    let written = match value {
        Value::Missing => write!(out, "null"),
        Value::Bool(value) => write!(out, "{value}"),
        Value::Whole(value) => write!(out, "{value}"),
        Value::Large(value) => write!(out, "{value}"),
        Value::Decimal(value) => write_decimal(value, out),
        Value::Real(value) if value.is_finite() => write!(out, "{value:?}"),
        Value::Text(text) => return write_text(text, out),
        other => return Err(format!("JSON has no {other:?}")),
    };
    written.map_err(|why| why.to_string())
}

/// A decimal with its point where people put it.
fn write_decimal(value: Decimal, out: &mut String) -> std::fmt::Result {
    let sign = if value.mantissa < 0 { "-" } else { "" };
    let places = usize::from(value.places);
    let digits = format!("{:0>1$}", value.mantissa.unsigned_abs(), places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let point = if places == 0 { "" } else { "." };
    write!(out, "{sign}{whole}{point}{fraction}")
}
