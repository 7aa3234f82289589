//! The examples that a profile carries of itself: payloads, and what they are to become.

use serde_json::{Map, Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    super::{
        classes::Classes,
        payload::{Encoded, Limits},
        render,
    },
    plan::Profile,
    read::Report,
    spec::{Spec, VectorSpec},
};
use crate::domain::UnixNanos;

/// Arrival of a vector that does not say when: 2024-01-01T00:00:00Z.
const ARRIVAL: UnixNanos = UnixNanos(1_704_067_200_000_000_000);
/// What a vector's payload may give.
const LIMITS: Limits = Limits {
    readings_per_payload_max: 4_096,
    reading_bytes_max: 64 * 1024,
    // Vectors are as old as their sources.
    skew_max: std::time::Duration::from_secs(100 * 365 * 86_400),
};

/// Runs all vectors; one line for each that did not come out as expected.
pub(super) fn run(profile: &Profile, spec: &Spec, classes: &Classes) -> Vec<String> {
    let mut faults = Vec::new();
    for vector in &spec.vectors {
        if let Err(why) = one(profile, vector, classes) {
            faults.push(format!("vector {:?}: {why}", vector.name));
        }
    }
    faults
}

fn one(profile: &Profile, vector: &VectorSpec, classes: &Classes) -> Result<(), String> {
    let (shown, refused, reply) = outcome(profile, vector, classes)?;
    if vector.reply.is_some() && vector.reply != reply {
        return Err(format!("the reply is {reply:?}"));
    }
    if let Some(wanted) = &vector.reject {
        return if refused.iter().any(|(reason, _)| reason == wanted) {
            Ok(())
        } else {
            Err(format!(
                "{wanted} is wanted, found {} and {refused:?}",
                json!(shown)
            ))
        };
    }
    if let Some((reason, detail)) = refused.first() {
        return Err(format!("{reason}: {detail}"));
    }
    if shown.len() != vector.expect.len() {
        let (found, wanted) = (shown.len(), vector.expect.len());
        return Err(format!(
            "{found} readings, {wanted} are wanted: {}",
            json!(shown)
        ));
    }
    for (number, (shown, wanted)) in shown.iter().zip(&vector.expect).enumerate() {
        let wanted = serde_json::to_value(wanted).map_err(|why| why.to_string())?;
        compare(shown, &wanted).map_err(|why| format!("reading {}: {why}", number + 1))?;
    }
    Ok(())
}

type Refused = Vec<(String, String)>;
type Found = (Vec<Value>, Refused, Option<String>);

/// The readings as people see them, what was refused, and what the sender is told in the end.
fn outcome(profile: &Profile, vector: &VectorSpec, classes: &Classes) -> Result<Found, String> {
    let bytes = match (&vector.payload, &vector.payload_hex) {
        (Some(text), None) => text.clone().into_bytes(),
        (None, Some(digits)) => {
            let digits: String = digits.split_whitespace().collect();
            hex::decode(digits).map_err(|why| format!("payload_hex: {why}"))?
        }
        _ => return Err("one of payload and payload_hex is wanted".to_owned()),
    };
    let received_at = match &vector.received_at {
        None => ARRIVAL,
        Some(text) => instant(text).ok_or("received_at: no RFC 3339 time")?,
    };
    let class = profile.first_class(classes).unwrap_or("class");
    let canonical = vector.topic.is_none().then_some((class, "vector"));
    let report = Report {
        topic: vector.topic.as_deref().unwrap_or_default(),
        canonical,
        publisher: None,
        bytes: &bytes,
        received_at,
        attributes: &[],
        memory: None,
        may_report: &|_, _| true,
    };
    let mut out = Encoded::default();
    let outcome = profile.read(&report, (classes, &LIMITS), &mut out);
    let shown = render::readings(classes, &out.bytes).map_err(|why| why.to_string())?;
    let reply = outcome.reply.and_then(|reply| match out.count {
        0 => reply.quarantined,
        _ => Some(reply.stored),
    });
    let reply = reply.map(|said| String::from_utf8_lossy(&said.payload).into_owned());
    let refused = outcome
        .unread
        .into_iter()
        .map(|unread| (unread.reject.reason.name().to_owned(), unread.reject.detail))
        .collect();
    Ok((shown, refused, reply))
}

fn instant(text: &str) -> Option<UnixNanos> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(time.unix_timestamp_nanos())
        .ok()
        .map(UnixNanos)
}

fn compare(shown: &Value, wanted: &Value) -> Result<(), String> {
    let Some(wanted) = wanted.as_object() else {
        return Err("a table is wanted".to_owned());
    };
    for (key, wanted) in wanted {
        let found = match key.as_str() {
            "device" => shown["device_id"].clone(),
            "class" => shown["class_id"].clone(),
            "observed_at" => {
                let time = |value: &Value| value.as_str().and_then(instant);
                if time(&shown["observed_at"]).is_some()
                    && time(&shown["observed_at"]) == time(wanted)
                {
                    continue;
                }
                shown["observed_at"].clone()
            }
            "time_source" => shown["time_source"].clone(),
            "values" => part(shown, "value"),
            "units" => part(shown, "unit"),
            "quality" => quality(shown),
            "alarms" => alarms(shown),
            "attributes" => shown
                .get("attributes")
                .cloned()
                .unwrap_or_else(|| json!({})),
            other => {
                return Err(format!(
                    "{other:?} is nothing that a vector says of a reading"
                ));
            }
        };
        if !same(&found, wanted) {
            return Err(format!("{key}: found {found}, {wanted} is wanted"));
        }
    }
    Ok(())
}

/// Of every field its value, or its unit.
fn part(shown: &Value, name: &str) -> Value {
    let mut found = Map::new();
    for (field, said) in shown["values"].as_object().into_iter().flatten() {
        if let Some(value) = said.get(name) {
            found.insert(field.clone(), value.clone());
        }
    }
    Value::Object(found)
}

fn quality(shown: &Value) -> Value {
    let mut found = part(shown, "quality");
    if let (Some(found), Some(others)) = (found.as_object_mut(), shown["qualities"].as_object()) {
        found.extend(others.clone());
    }
    found
}

fn alarms(shown: &Value) -> Value {
    let raised = shown["alarms"].as_array().into_iter().flatten();
    raised.map(|alarm| alarm["code"].clone()).collect()
}

/// Equal, numbers as numbers: 1 and 1.0 are the same.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            a == b
                || a.as_f64()
                    .zip(b.as_f64())
                    .is_some_and(|(a, b)| a.total_cmp(&b).is_eq())
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}
