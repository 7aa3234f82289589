//! A first draft of a profile, from a class and a sample payload: what the payload holds, and what of it looks like a field
//! of the class. A guess is marked as one; the integrator decides.

use std::{fmt::Write as _, path::Path};

use serde_json::Value as Json;

use super::{
    super::{
        class::{Class, Field, FieldKind},
        codec::{Any, Codec as _, Framing},
        payload::Reject,
        point::{Key, Point, Sink, Value},
    },
    take,
};

/// Most sources that a draft lists.
const FOUND_MAX: usize = 500;
/// What vendors call things, and what the catalogue calls them.
const SYNONYMS: &[(&str, &str)] = &[
    ("temp", "temperature"),
    ("t", "temperature"),
    ("rh", "humidity"),
    ("hum", "humidity"),
    ("humi", "humidity"),
    ("pm25", "pm2_5"),
    ("volt", "voltage"),
    ("vol", "volume"),
    ("bat", "battery"),
    ("batt", "battery"),
    ("rssi", "signal"),
    ("csq", "signal"),
    ("pres", "pressure"),
    ("ws", "wind_speed"),
    ("wd", "wind_direction"),
    ("lat", "latitude"),
    ("lng", "longitude"),
    ("lon", "longitude"),
    ("lvl", "level"),
];
/// Names that times go by.
const TIMES: &[&str] = &[
    "ts",
    "time",
    "timestamp",
    "datatime",
    "eventtime",
    "observedat",
    "t",
];

/// A source of the sample with its value.
struct Found {
    source: String,
    value: String,
}

/// Writes the draft.
///
/// # Errors
/// The codec is unknown, or cannot read the sample.
pub fn skeleton(class: &Class, kind: &str, sample: &[u8]) -> Result<String, String> {
    let found = match kind {
        "json" => pointers(sample)?,
        _ => points(kind, sample)?,
    };
    let mut out = String::new();
    write(&mut out, class, kind, &found, sample).map_err(|why| why.to_string())?;
    Ok(out)
}

fn pointers(sample: &[u8]) -> Result<Vec<Found>, String> {
    let json: Json =
        serde_json::from_slice(sample).map_err(|why| format!("the sample is no JSON: {why}"))?;
    let mut found = Vec::new();
    walk(&json, String::new(), &mut found);
    Ok(found)
}

fn walk(json: &Json, at: String, found: &mut Vec<Found>) {
    if found.len() >= FOUND_MAX {
        return;
    }
    match json {
        Json::Object(members) => {
            for (name, value) in members {
                let name = name
                    .replace('~', "~0")
                    .replace('/', "~1")
                    .replace('[', "~2");
                walk(value, format!("{at}/{name}"), found);
            }
        }
        Json::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                walk(value, format!("{at}/{index}"), found);
            }
        }
        value => found.push(Found {
            source: at,
            value: value.to_string(),
        }),
    }
}

/// Lists what a codec says of the sample.
struct Lister(Vec<Found>);

impl Lister {
    fn put(&mut self, key: Key<'_>, value: Value<'_>) {
        let mut text = String::new();
        take::as_text(value, &mut text);
        let source = match key {
            Key::Name(name) => name.to_owned(),
            // How the codec spells it, its page says.
            Key::Code(code) => format!("{code:X}"),
        };
        let is_new = self.0.iter().all(|known| known.source != source);
        if is_new && self.0.len() < FOUND_MAX {
            self.0.push(Found {
                source,
                value: text,
            });
        }
    }
}

impl Sink for Lister {
    fn head(&mut self, key: Key<'_>, value: Value<'_>) -> Result<(), Reject> {
        self.put(key, value);
        Ok(())
    }

    fn point(&mut self, point: Point<'_>) -> Result<(), Reject> {
        self.put(point.key, point.value);
        Ok(())
    }

    fn end_record(&mut self) -> Result<(), Reject> {
        Ok(())
    }
}

fn points(kind: &str, sample: &[u8]) -> Result<Vec<Found>, String> {
    let codec = Any::open(kind, toml::Table::new(), Path::new("."))?;
    let mut lister = Lister(Vec::new());
    let mut rest = sample;
    while let Framing::Frame { skip, len } = codec.frame(rest) {
        let end = skip.saturating_add(len).max(1);
        let frame = rest.get(skip..end).unwrap_or_default();
        codec
            .decode(frame, &mut lister)
            .map_err(|reject| reject.to_string())?;
        rest = rest.get(end..).unwrap_or_default();
    }
    if lister.0.is_empty() {
        return Err(format!("the sample holds no frame of {kind} with values"));
    }
    Ok(lister.0)
}

fn write(
    out: &mut String,
    class: &Class,
    kind: &str,
    found: &[Found],
    sample: &[u8],
) -> std::fmt::Result {
    writeln!(
        out,
        "# A draft. What is marked with ? is a guess: look it over, then `sensegate check`."
    )?;
    writeln!(out, "title = \"\"")?;
    writeln!(
        out,
        "class = \"{}\"  # {}, {}",
        class.id(),
        class.name_en(),
        class.name_zh()
    )?;
    writeln!(
        out,
        "# topics = [\"…/{{device}}/…\"]  # beside v1/{}/{{device}}/up/PROFILE",
        class.id()
    )?;
    writeln!(
        out,
        "# device = [\"topic.device\"]    # or a source of the payload\n"
    )?;
    writeln!(out, "[codec]\nkind = \"{kind}\"\n")?;
    let time = found
        .iter()
        .find(|found| TIMES.contains(&&*plain(&found.source)));
    match time {
        Some(time) => writeln!(
            out,
            "[time]\nfrom = {:?}  # ? {}",
            time.source,
            short(&time.value)
        )?,
        None => writeln!(
            out,
            "# [time]\n# from = \"…\"  # without it, the time of arrival counts"
        )?,
    }
    writeln!(out, "zone = \"+08:00\"\n")?;
    let mut used: Vec<&str> = time.iter().map(|time| time.source.as_str()).collect();
    for field in class.fields() {
        write_field(out, field, found, &mut used)?;
    }
    for left in found
        .iter()
        .filter(|found| !used.contains(&found.source.as_str()))
    {
        writeln!(
            out,
            "# not used: {:?} = {}",
            left.source,
            short(&left.value)
        )?;
    }
    writeln!(out, "\n[[vector]]\nname = \"the sample\"")?;
    match std::str::from_utf8(sample) {
        Ok(text) if !text.contains("'''") => writeln!(out, "payload = '''\n{text}'''")?,
        _ => writeln!(out, "payload_hex = \"{}\"", hex::encode(sample))?,
    }
    writeln!(out, "# [[vector.expect]]\n# values = {{ }}")
}

/// A field with the source that is most like it; that one is used up then.
fn write_field<'f>(
    out: &mut String,
    field: &Field,
    found: &'f [Found],
    used: &mut Vec<&'f str>,
) -> std::fmt::Result {
    let guess = found
        .iter()
        .filter(|found| !used.contains(&found.source.as_str()))
        .find(|found| is_like(&plain(&found.source), field));
    let mark = if guess.is_some() { "" } else { "# " };
    writeln!(out, "{mark}[fields.{}]  # {}", field.name, about(field))?;
    match guess {
        Some(guess) => {
            used.push(&guess.source);
            writeln!(
                out,
                "from = {:?}  # ? {}",
                guess.source,
                short(&guess.value)
            )?;
        }
        None => writeln!(out, "# from = \"…\"")?,
    }
    if !field.unit.is_empty() {
        writeln!(
            out,
            "# unit = \"{}\"  # the wire's, if it is another",
            field.unit
        )?;
    }
    if let FieldKind::Enum(codes) = &field.kind {
        let map = codes.iter().map(|code| format!("\"?\" = {:?}", code.code));
        let map: Vec<String> = map.collect();
        writeln!(out, "# map = {{ {} }}", map.join(", "))?;
    }
    writeln!(out)
}

fn about(field: &Field) -> String {
    let mut text = [field.name_zh.as_str(), field.name_en.as_str()].join(" ");
    if let (Some(min), Some(max)) = (field.min, field.max) {
        write!(text, " {min} to {max} {}", field.unit).unwrap_or_default();
    }
    text.trim().to_owned()
}

/// The last part of a source, letters and digits in small letters.
fn plain(source: &str) -> String {
    let last = source.rsplit('/').next().unwrap_or_default();
    last.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

fn is_like(name: &str, field: &Field) -> bool {
    let wanted = plain(&field.name);
    let synonym = SYNONYMS
        .iter()
        .any(|(short, long)| name == *short && field.name == *long);
    name == wanted
        || synonym
        || (name.len() > 3 && (wanted.contains(name) || name.contains(&wanted)))
}

fn short(value: &str) -> String {
    value.replace('\n', " ").chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::super::classes::Classes, *};

    #[test]
    fn a_draft_is_a_profile_that_reads_its_sample() {
        let classes = Classes::embedded().unwrap();
        let class = classes.get("air_station").unwrap();
        let sample = br#"{"ts": 1705980700, "data": {"pm25": 33, "temp": -4.1, "odd/name": 1}}"#;
        let draft = skeleton(class, "json", sample).unwrap();
        let spec: super::super::spec::Spec =
            toml::from_str(&draft).unwrap_or_else(|why| panic!("{why}\n{draft}"));
        let profile =
            super::super::compile::compile(("draft", Path::new(".")), &spec, &classes).unwrap();
        assert_eq!(profile.class_ids(&classes), ["air_station"]);
        assert!(
            draft.contains("from = \"/data/pm25\"") && draft.contains("from = \"/data/temp\""),
            "{draft}"
        );
        assert!(
            draft.contains("# not used: \"/data/odd~1name\" = 1"),
            "{draft}"
        );
        assert!(skeleton(class, "json", b"{").is_err());
        assert!(skeleton(class, "nothing", b"{}").is_err());
    }
}
