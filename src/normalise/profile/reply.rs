//! What a device's SDK waits for after a report: rendered from the report's values while it is read, said once its readings
//! are durable.

use super::{
    super::point::Value,
    read::Saying,
    spec::ReplySpec,
    stage::{Source, Stage, Waiting},
    take,
};

/// Longest reply, bytes: a value of the payload must not make a flood of it.
const REPLY_BYTES_MAX: usize = 4_096;

/// The reply to a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Once its readings are durable.
    pub stored: Saying,
    /// If nothing of it could be read: it stands in quarantine.
    pub quarantined: Option<Saying>,
}

/// `[reply]` compiled.
#[derive(Debug)]
pub(super) struct ReplyPlan {
    topic: Template,
    payload: Template,
    refusal: Option<Template>,
}

/// Text with sources between `${` and `}`.
#[derive(Debug)]
struct Template(Box<[Bit]>);

#[derive(Debug)]
enum Bit {
    Text(Box<str>),
    Source(Source),
}

/// What a value may hold to stand in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    /// Neither wildcards nor NUL (MQTT 5, 4.7.1).
    Topic,
    /// Anything, escaped as within a JSON string (RFC 8259, 7).
    Payload,
}

impl ReplyPlan {
    /// Compiles; `source` finds a source by its key in the file and its spelling.
    ///
    /// # Errors
    /// The key that is wrong, and why.
    pub(super) fn new(
        spec: &ReplySpec,
        mut source: impl FnMut(&str, &str) -> Option<Source>,
    ) -> Result<Self, (&'static str, String)> {
        let mut parse = |key: &'static str, text: &str| {
            Template::parse(text, |spelled| source(key, spelled)).map_err(|why| (key, why))
        };
        let refusal = spec.refusal.as_deref();
        Ok(Self {
            topic: parse("reply.topic", &spec.topic)?,
            payload: parse("reply.payload", &spec.payload)?,
            refusal: refusal
                .map(|text| parse("reply.refusal", text))
                .transpose()?,
        })
    }

    /// The reply to what is staged; none if it lacks a value that the reply has to repeat.
    pub(super) fn render(&self, stage: &Stage) -> Option<Reply> {
        let topic = self.topic.render(stage, Within::Topic)?;
        let say = |template: &Template| {
            let payload = template.render(stage, Within::Payload)?.into_bytes();
            let topic = topic.clone();
            Some(Saying { topic, payload })
        };
        Some(Reply {
            stored: say(&self.payload)?,
            quarantined: self.refusal.as_ref().and_then(say),
        })
    }
}

impl Template {
    fn parse(text: &str, mut source: impl FnMut(&str) -> Option<Source>) -> Result<Self, String> {
        let mut bits = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("${") {
            let (spelled, after) = behind
                .split_once('}')
                .ok_or_else(|| format!("{text:?}: `${{` without its `}}`"))?;
            let found = source(spelled).ok_or_else(|| format!("{spelled:?} is no source"))?;
            bits.push(Bit::Text(before.into()));
            bits.push(Bit::Source(found));
            rest = after;
        }
        bits.push(Bit::Text(rest.into()));
        Ok(Self(bits.into()))
    }

    fn render(&self, stage: &Stage, within: Within) -> Option<String> {
        let mut out = String::new();
        let mut text = String::new();
        for bit in &self.0 {
            match bit {
                Bit::Text(text) => out.push_str(text),
                Bit::Source(source) => {
                    let cell = stage
                        .get(*source)
                        .filter(|cell| cell.value != Waiting::Missing)?;
                    text.clear();
                    write(stage.value(cell), within, &mut text)?;
                    out.push_str(&text);
                }
            }
        }
        (out.len() <= REPLY_BYTES_MAX).then_some(out)
    }
}

fn write(value: Value<'_>, within: Within, out: &mut String) -> Option<()> {
    take::as_text(value, out);
    match within {
        Within::Topic => (!out.contains(['+', '#', '\0'])).then_some(()),
        Within::Payload => {
            let quoted = serde_json::to_string(out).ok()?;
            out.clear();
            out.push_str(quoted.get(1..quoted.len() - 1)?);
            Some(())
        }
    }
}
