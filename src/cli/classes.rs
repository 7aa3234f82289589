//! `sensegate classes`: the classes in force, for people and for scripts.

use clap::ArgMatches;
use serde_json::{Value, json};

use super::{Exit, Failure, print_plain, settled, sources, table};
use crate::{
    config::NormaliseConfig,
    normalise::{Class, Classes, Field, FieldKind},
};

pub(super) fn classes(given: &ArgMatches) -> Result<(), Failure> {
    match given.subcommand() {
        Some(("show", given)) => show(given),
        Some((_, given)) => list(given),
        None => Err(Failure::new(Exit::Usage, "list or show?")),
    }
}

/// The classes that a configuration puts in force.
pub(super) fn in_force(config: &NormaliseConfig) -> Result<Classes, Failure> {
    Ok(match &config.class_dir {
        Some(dir) => Classes::with_dir(dir)?,
        None => Classes::embedded()?,
    })
}

/// The class of an id, or a failure that names it.
pub(super) fn find<'a>(classes: &'a Classes, id: &str) -> Result<&'a Class, Failure> {
    classes.get(id).ok_or_else(|| {
        Failure::new(
            Exit::Data,
            format!("{id:?} is no class; `sensegate classes list` names them"),
        )
    })
}

fn list(given: &ArgMatches) -> Result<(), Failure> {
    let classes = in_force(&settled(&sources(given))?.normalise)?;
    if given.get_flag("json") {
        let all: Vec<Value> = classes.iter().map(as_json).collect();
        return print_json(&Value::Array(all));
    }
    let head = ["ID", "DOMAIN", "LANE", "INTERVAL", "FIELDS", "NAME", "名称"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(classes.iter().map(|class| {
        vec![
            class.id().to_owned(),
            class.domain().to_owned(),
            class.lane().to_string(),
            format!("{}s", class.interval_s()),
            class.fields().len().to_string(),
            class.name_en().to_owned(),
            class.name_zh().to_owned(),
        ]
    }));
    print_plain(&table(&rows))
}

fn show(given: &ArgMatches) -> Result<(), Failure> {
    let classes = in_force(&settled(&sources(given))?.normalise)?;
    let id = given.get_one::<String>("id").map_or("", String::as_str);
    let class = find(&classes, id)?;
    if given.get_flag("json") {
        return print_json(&as_json(class));
    }
    let mut text = table(&[
        vec!["id".to_owned(), class.id().to_owned()],
        vec![
            "name".to_owned(),
            format!("{} {}", class.name_en(), class.name_zh()),
        ],
        vec![
            "domain".to_owned(),
            format!("{} {}", class.domain(), class.domain_zh()),
        ],
        vec!["lane".to_owned(), class.lane().to_string()],
        vec!["interval".to_owned(), format!("{}s", class.interval_s())],
        vec![
            "topic".to_owned(),
            format!("v1/{}/{{device}}/up", class.id()),
        ],
        vec!["message".to_owned(), class.message_name().to_owned()],
    ]);
    if !class.standards().is_empty() {
        text.push_str(&format!("standards  {}\n", class.standards().join(", ")));
    }
    let head = ["FIELD", "NUMBER", "TYPE", "UNIT", "RANGE", "名称"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(class.fields().iter().map(|field| {
        vec![
            field.name.clone(),
            field.number.to_string(),
            kind(&field.kind),
            field.unit.clone(),
            range(field),
            field.name_zh.clone(),
        ]
    }));
    text.push('\n');
    text.push_str(&table(&rows));
    let alarms = alarms(class);
    if alarms.len() > 1 {
        text.push('\n');
        text.push_str(&table(&alarms));
    }
    print_plain(&text)
}

/// The alarms of a class below their head.
fn alarms(class: &Class) -> Vec<Vec<String>> {
    let head = ["FIELD", "ALARM", "LEVEL", "RAISED", "CLEARED", "HOLD"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for field in class.fields() {
        rows.extend(field.alarms().map(|alarm| {
            vec![
                field.name.clone(),
                alarm.code.to_owned(),
                alarm.level.to_owned(),
                alarm.raised,
                alarm.cleared,
                format!("{}s", alarm.hold_s),
            ]
        }));
    }
    rows
}

/// Kind of a field in words, with the codes of an enum.
pub(super) fn kind(kind: &FieldKind) -> String {
    match kind {
        FieldKind::Enum(codes) => {
            let codes: Vec<&str> = codes.iter().map(|code| code.code.as_str()).collect();
            codes.join("|")
        }
        other => other.name().to_owned(),
    }
}

/// Plausible range of a field.
pub(super) fn range(field: &Field) -> String {
    match (field.min, field.max) {
        (None, None) => String::new(),
        (Some(min), None) => format!("{min}.."),
        (None, Some(max)) => format!("..{max}"),
        (Some(min), Some(max)) => format!("{min}..{max}"),
    }
}

fn as_json(class: &Class) -> Value {
    let fields: Vec<Value> = class.fields().iter().map(field_json).collect();
    json!({
        "id": class.id(),
        "name_zh": class.name_zh(),
        "name_en": class.name_en(),
        "domain": class.domain(),
        "domain_zh": class.domain_zh(),
        "lane": class.lane().name(),
        "interval_s": class.interval_s(),
        "nominal_count": class.nominal_count(),
        "format": class.format(),
        "standards": class.standards(),
        "message": class.message_name(),
        "fields": fields,
    })
}

fn field_json(field: &Field) -> Value {
    let codes = match &field.kind {
        FieldKind::Enum(codes) => codes
            .iter()
            .map(|code| json!({"code": code.code, "name": code.name, "number": code.number}))
            .collect(),
        _ => Value::Null,
    };
    let alarms: Vec<Value> = field
        .alarms()
        .map(|alarm| {
            json!({
                "code": alarm.code,
                "level": alarm.level,
                "raised": alarm.raised,
                "cleared": alarm.cleared,
                "hold_s": alarm.hold_s,
            })
        })
        .collect();
    json!({
        "name": field.name,
        "json_name": field.json_name,
        "name_zh": field.name_zh,
        "name_en": field.name_en,
        "number": field.number,
        "kind": field.kind.name(),
        "codes": codes,
        "unit": field.unit,
        "min": field.min,
        "max": field.max,
        "counter": field.counter,
        "alarms": alarms,
    })
}

/// Prints JSON, indented.
pub(super) fn print_json(value: &Value) -> Result<(), Failure> {
    print_plain(&format!("{value:#}\n"))
}
