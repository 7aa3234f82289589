//! From the file to the plan: every name is looked up, every unit converted, every spelling asked of its codec. All faults
//! of a file are told at once, each with its key.

mod fields;
mod classes;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    path::Path,
    sync::atomic::AtomicU64,
};

use foldhash::fast::FixedState;

use super::{
    super::{
        class::Class,
        classes::Classes,
        codec::{Any, Codec as _},
        memory::Band,
        moment::{TimeFormat, zone_east_s},
        wire,
    },
    plan::{ClassPlan, ClassRule, Condition, FieldPlan, Nested, Profile, Table, TimeRule, told_by},
    reply::ReplyPlan,
    spec::{self, ClassSpec, Spec},
    stage::Source,
    topic::Pattern,
};
use fields::{status_plan, take};

/// Most sources of a profile.
const SOURCES_MAX: usize = 4_096;
/// Key of `Reading.profile_id`.
const PROFILE_ID: u8 = 10 << 3 | wire::LENGTH;
static TAKES: AtomicU64 = AtomicU64::new(0);

/// Something that is wrong in a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where: the key from the top of the file, for example `fields.pm2_5.unit`.
    pub key: String,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.what)
    }
}

struct Compiler<'a> {
    classes: &'a Classes,
    problems: Vec<Problem>,
    codec: Any,
    nested: Option<Any>,
    table: Table,
    nested_table: Table,
    captures: Vec<(Box<str>, Source)>,
    known_captures: Vec<String>,
    sources: Vec<Box<str>>,
    by_name: HashMap<String, Source, FixedState>,
}

/// Compiles a profile; `name` is what it is called if it does not say, `dir` is where files lie that it names.
///
/// # Errors
/// All that is wrong with it.
pub(super) fn compile(
    (name, dir): (&str, &Path),
    spec: &Spec,
    classes: &Classes,
) -> Result<Profile, Vec<Problem>> {
    let mut problems = Vec::new();
    let id = spec.id.as_deref().unwrap_or(name);
    if id.is_empty()
        || id.len() > 128
        || !id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    {
        let what = format!("{id:?}: an id has 1 to 128 letters, digits, `.`, `_` and `-`");
        problems.push(Problem {
            key: "id".to_owned(),
            what,
        });
    }
    let patterns = patterns(&spec.topics, &mut problems);
    let open = |key: &str, codec: &spec::CodecSpec, problems: &mut Vec<Problem>| {
        let opened = Any::open(&codec.kind, codec.options.clone(), dir);
        opened
            .map_err(|what| {
                problems.push(Problem {
                    key: key.to_owned(),
                    what,
                });
            })
            .ok()
    };
    let codec = open("codec", &spec.codec, &mut problems);
    let nested = match &spec.nested {
        None => None,
        Some(nested) => open("nested.codec", &nested.codec, &mut problems),
    };
    let Some(codec) = codec else {
        return Err(problems);
    };
    let known_captures = patterns
        .iter()
        .flat_map(Pattern::captures)
        .map(str::to_owned)
        .chain(["class".to_owned(), "device".to_owned()])
        .collect();
    let compiler = Compiler {
        classes,
        problems,
        codec,
        nested,
        table: Table::default(),
        nested_table: Table::default(),
        captures: Vec::new(),
        known_captures,
        sources: Vec::new(),
        by_name: HashMap::default(),
    };
    compiler.run(id, spec, patterns)
}

fn patterns(topics: &[String], problems: &mut Vec<Problem>) -> Vec<Pattern> {
    let mut patterns = Vec::new();
    for topic in topics {
        match Pattern::parse(topic) {
            Ok(pattern) => patterns.push(pattern),
            Err(what) => problems.push(Problem {
                key: "topics".to_owned(),
                what: format!("{topic:?}: {what}"),
            }),
        }
    }
    patterns
}

impl Compiler<'_> {
    fn problem(&mut self, key: impl Into<String>, what: impl Into<String>) {
        self.problems.push(Problem {
            key: key.into(),
            what: what.into(),
        });
    }

    fn run(
        mut self,
        id: &str,
        spec: &Spec,
        patterns: Vec<Pattern>,
    ) -> Result<Profile, Vec<Problem>> {
        let (class, ids) = self.class_rule(&spec.class);
        let device = match &spec.device {
            Some(texts) => self.sources("device", texts.iter()),
            None => self.sources("device", ["topic.device"].into_iter()),
        };
        let when = self.conditions(spec);
        let time = self.time_rule(&spec.time);
        let nested_from = spec.nested.as_ref().map(|nested| {
            (
                self.sources("nested.from", nested.from.iter()),
                nested.encoding,
            )
        });
        let attributes = self.attributes(spec);
        let reply = self.reply(spec);
        if spec.fields.is_empty() {
            self.problem("fields", "a profile without fields gives no reading");
        }
        let mut fields: BTreeMap<&str, Box<[Source]>> = BTreeMap::new();
        for (name, field) in &spec.fields {
            let key = format!("fields.{name}.from");
            let from = self.sources(&key, field.from.iter());
            fields.insert(name, from);
        }
        let status: Vec<Box<[Source]>> = spec
            .status
            .iter()
            .map(|status| self.sources("status.from", status.from.iter()))
            .collect();
        self.unused_fields(spec, &ids);
        let classes = ids
            .iter()
            .filter_map(|id| self.class_plan(id, spec, &fields, &status))
            .collect();
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        let mut id_entry = vec![PROFILE_ID];
        wire::put_bytes(&mut id_entry, id.as_bytes());
        let nested = self
            .nested
            .zip(nested_from)
            .map(|(codec, (from, encoding))| Nested {
                from,
                encoding,
                codec,
                table: self.nested_table,
            });
        Ok(Profile {
            id: id.into(),
            title: spec.title.as_str().into(),
            id_entry: id_entry.into(),
            patterns: patterns.into(),
            codec: self.codec,
            table: self.table,
            nested,
            sources: self.sources.into(),
            captures: self.captures.into(),
            device,
            class,
            classes,
            when,
            time,
            strictness: spec.strictness,
            unmapped: spec.unmapped,
            attributes,
            reply,
        })
    }

    fn conditions(&mut self, spec: &Spec) -> Box<[Condition]> {
        let conditions = spec.when.iter().filter_map(|(spelled, values)| {
            let source = self.source("when", spelled)?;
            Some((source, values.iter().map(Box::from).collect()))
        });
        conditions.collect()
    }

    fn attributes(&mut self, spec: &Spec) -> Box<[(Box<str>, Source)]> {
        let attributes = spec.attributes.iter().filter_map(|(name, spelled)| {
            let key = format!("attributes.{name}");
            Some((name.as_str().into(), self.source(&key, spelled)?))
        });
        attributes.collect()
    }

    fn reply(&mut self, spec: &Spec) -> Option<ReplyPlan> {
        let reply = spec.reply.as_ref()?;
        let plan = ReplyPlan::new(reply, |key, spelled| self.source(key, spelled));
        plan.map_err(|(key, what)| self.problem(key, what)).ok()
    }

    fn sources<'t>(&mut self, key: &str, spelled: impl Iterator<Item = &'t str>) -> Box<[Source]> {
        let found: Box<[Source]> = spelled
            .filter_map(|spelled| self.source(key, spelled))
            .collect();
        found
    }

    /// The source that a spelling means, asked of its codec the first time.
    fn source(&mut self, key: &str, spelled: &str) -> Option<Source> {
        if let Some(source) = self.by_name.get(spelled) {
            return Some(*source);
        }
        if self.sources.len() >= SOURCES_MAX {
            self.problem(key, format!("more than {SOURCES_MAX} sources"));
            return None;
        }
        let source = Source(u16::try_from(self.sources.len()).ok()?);
        let entered = if let Some(capture) = spelled.strip_prefix("topic.") {
            self.capture(spelled, capture, source)
        } else if matches!(spelled, "publisher.class" | "publisher.device") {
            self.captures.push((spelled.into(), source));
            Ok(())
        } else if let Some(inner) = spelled.strip_prefix("in:") {
            match &mut self.nested {
                Some(codec) => codec
                    .key(inner)
                    .map(|key| self.nested_table.insert(key, source)),
                None => Err("there is no [nested] codec that it could be of".to_owned()),
            }
        } else {
            self.codec
                .key(spelled)
                .map(|key| self.table.insert(key, source))
        };
        if let Err(what) = entered {
            self.problem(key, format!("{spelled:?}: {what}"));
            return None;
        }
        self.sources.push(spelled.into());
        self.by_name.insert(spelled.to_owned(), source);
        Some(source)
    }

    fn capture(&mut self, spelled: &str, capture: &str, source: Source) -> Result<(), String> {
        if self.known_captures.iter().any(|known| known == capture) {
            self.captures.push((spelled.into(), source));
            return Ok(());
        }
        Err(format!(
            "no topic captures it; there are {}",
            self.known_captures.join(", ")
        ))
    }

    fn class_rule(&mut self, class: &ClassSpec) -> (ClassRule, Vec<String>) {
        match class {
            ClassSpec::Fixed(id) => (ClassRule::Fixed(0), vec![id.clone()]),
            ClassSpec::Chosen(chosen) => {
                let from = self.sources("class.from", chosen.from.iter());
                let mut ids: Vec<String> = Vec::new();
                let mut place = |id: &String| {
                    ids.iter().position(|known| known == id).unwrap_or_else(|| {
                        ids.push(id.clone());
                        ids.len() - 1
                    })
                };
                let map = chosen
                    .map
                    .iter()
                    .map(|(value, id)| (value.as_str().into(), place(id)));
                let map = map.collect();
                let other = chosen.other.as_ref().map(place);
                (ClassRule::Chosen { from, map, other }, ids)
            }
        }
    }

    fn time_rule(&mut self, time: &spec::TimeSpec) -> TimeRule {
        let from = match &time.from {
            None => Box::default(),
            Some(texts) => self.sources("time.from", texts.iter()),
        };
        let mut formats = Vec::new();
        for format in time.format.iter() {
            match TimeFormat::new(format) {
                Ok(format) => formats.push(format),
                Err(what) => self.problem("time.format", format!("{format:?}: {what}")),
            }
        }
        let east_s = zone_east_s(&time.zone).unwrap_or_else(|what| {
            self.problem("time.zone", format!("{:?}: {what}", time.zone));
            0
        });
        TimeRule {
            from,
            formats: formats.into(),
            east_s,
            fallback: time.fallback,
            fields: time.fields,
        }
    }
}
