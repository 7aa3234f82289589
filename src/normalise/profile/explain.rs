//! How a payload became readings, or why not, told step by step for people.

use std::fmt::Write as _;

use super::{
    super::{
        classes::Classes,
        codec::{Codec as _, Framing},
        payload::{Encoded, Limits, Reject},
        point::{Key, Moment, Point, Sink, Value},
        quality::Quality,
        render,
    },
    plan::{ClassRule, Profile, Table},
    read::Report,
    stage::Source,
    take,
};

/// Longest value that is shown whole, characters.
const SHOWN_MAX: usize = 60;

/// Tells what a profile makes of a payload: frames, heads, points with where they go, readings, what was not read.
#[must_use]
pub fn explain(
    profile: &Profile,
    report: &Report<'_>,
    classes: &Classes,
    limits: &Limits,
) -> String {
    let mut teller = Teller {
        profile,
        classes,
        lines: String::new(),
    };
    teller.line(format_args!(
        "profile {} ({})",
        profile.id(),
        profile.title()
    ));
    teller.topic(report);
    teller.frames(report.bytes);
    teller.outcome(report, limits);
    teller.lines
}

struct Teller<'a> {
    profile: &'a Profile,
    classes: &'a Classes,
    lines: String,
}

impl Teller<'_> {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a text does not fail.
        writeln!(self.lines, "{line}").unwrap_or_default();
    }

    fn topic(&mut self, report: &Report<'_>) {
        if let Some((class, device)) = report.canonical {
            self.line(format_args!(
                "topic: class {class}, device {device}, by the profile's id"
            ));
            return;
        }
        let mut found = String::new();
        for pattern in &self.profile.patterns {
            let is_match = pattern.matches(report.topic, |_, _| {});
            if is_match {
                pattern.matches(report.topic, |name, text| {
                    write!(found, " {name}={text}").unwrap_or_default();
                });
                break;
            }
        }
        self.line(format_args!("topic {:?}:{found}", report.topic));
    }

    fn frames(&mut self, bytes: &[u8]) {
        let profile = self.profile;
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let (start, end) = match profile.codec.frame(rest) {
                Framing::Frame { skip, len } => (at + skip, at + skip + len),
                Framing::Partial { skip } => {
                    self.line(format_args!(
                        "byte {}: a frame begins and does not end",
                        at + skip
                    ));
                    return;
                }
                Framing::Nothing => {
                    if !rest.is_empty() {
                        self.line(format_args!("byte {at}: {} bytes of no frame", rest.len()));
                    }
                    return;
                }
            };
            if start > at {
                self.line(format_args!("byte {at}: {} bytes of no frame", start - at));
            }
            self.line(format_args!(
                "byte {start}: {} frame of {} bytes",
                profile.codec.name(),
                end - start
            ));
            let frame = bytes.get(start..end).unwrap_or_default();
            if let Err(reject) = profile.codec.decode(frame, self) {
                self.line(format_args!("  refused: {reject}"));
            }
            at = end.max(at + 1);
        }
    }

    fn outcome(&mut self, report: &Report<'_>, limits: &Limits) {
        let mut out = Encoded::default();
        let outcome = self.profile.read(report, (self.classes, limits), &mut out);
        match render::readings(self.classes, &out.bytes) {
            Ok(readings) => {
                self.line(format_args!("{} readings", readings.len()));
                for reading in readings {
                    let shown = serde_json::to_string_pretty(&reading).unwrap_or_default();
                    self.line(format_args!("{shown}"));
                }
            }
            Err(why) => self.line(format_args!("readings that cannot be shown: {why}")),
        }
        if outcome.skipped > 0 {
            self.line(format_args!(
                "{} records left out by [when]",
                outcome.skipped
            ));
        }
        if let Some(reply) = &outcome.reply {
            self.line(format_args!(
                "reply once it is durable: {}: {}",
                reply.stored.topic,
                String::from_utf8_lossy(&reply.stored.payload)
            ));
        }
        for unread in &outcome.unread {
            let (start, end) = (unread.range.start, unread.range.end);
            self.line(format_args!(
                "to quarantine: bytes {start} to {end}: {}",
                unread.reject
            ));
        }
    }

    fn tell(&mut self, what: &str, (table, key): (&Table, Key<'_>), said: &Said<'_>) {
        let mut value = String::new();
        match said.value {
            Value::Missing => value.push_str("(no value)"),
            Value::Time(moment) => value.push_str(&time(moment)),
            other => take::as_text(other, &mut value),
        }
        let short: String = value.chars().take(SHOWN_MAX).collect();
        let source = table.get(key);
        let name = match (source, key) {
            (Some(source), _) => self.name(source).to_owned(),
            (None, Key::Name(name)) => name.to_owned(),
            (None, Key::Code(code)) => format!("#{code:X}"),
        };
        let mut line = format!("  {what} {name} = {short}");
        if let Some(unit) = said.unit {
            write!(line, " {unit}").unwrap_or_default();
        }
        if said.quality != Quality::GOOD {
            write!(line, " [{}]", said.quality.name().unwrap_or("?")).unwrap_or_default();
        }
        if let Some(moment) = said.time {
            write!(line, " at {}", time(moment)).unwrap_or_default();
        }
        match source {
            Some(source) => line.push_str(&self.uses(source)),
            None => line.push_str(" (nobody asks for it)"),
        }
        self.line(format_args!("{line}"));
    }

    fn name(&self, source: Source) -> &str {
        self.profile
            .sources
            .get(usize::from(source.0))
            .map_or("?", |name| name)
    }

    /// What a source is used for.
    fn uses(&self, source: Source) -> String {
        let profile = self.profile;
        let mut uses: Vec<String> = Vec::new();
        if profile.device.contains(&source) {
            uses.push("device".to_owned());
        }
        if profile.time.from.contains(&source) {
            uses.push("time".to_owned());
        }
        if profile.when.iter().any(|(wanted, _)| *wanted == source) {
            uses.push("when".to_owned());
        }
        if let ClassRule::Chosen { from, .. } = &profile.class
            && from.contains(&source)
        {
            uses.push("class".to_owned());
        }
        for plan in &profile.classes {
            let class = self.classes.by_index(plan.class);
            for field in &plan.fields {
                if field.from.contains(&source) {
                    let name = class.and_then(|class| class.fields().get(field.slot));
                    let name = name.map_or("?", |field| field.name.as_str());
                    uses.push(format!("field {name}"));
                }
            }
            if plan
                .status
                .iter()
                .any(|status| status.from.contains(&source))
            {
                uses.push("status".to_owned());
            }
        }
        uses.dedup();
        if uses.is_empty() {
            return String::new();
        }
        format!(" -> {}", uses.join(", "))
    }
}

struct Said<'a> {
    value: Value<'a>,
    unit: Option<&'static str>,
    quality: Quality,
    time: Option<Moment>,
}

fn time(moment: Moment) -> String {
    match moment {
        Moment::Unix(at) => format!("{} ns since 1970", at.0),
        Moment::Local(civil) => match civil.at(0) {
            Some(at) => format!("{} s of the profile's zone", at.0 / 1_000_000_000),
            None => "?".to_owned(),
        },
    }
}

impl Sink for Teller<'_> {
    fn head(&mut self, key: Key<'_>, value: Value<'_>) -> Result<(), Reject> {
        let said = Said {
            value,
            unit: None,
            quality: Quality::GOOD,
            time: None,
        };
        let profile = self.profile;
        self.tell("head", (&profile.table, key), &said);
        Ok(())
    }

    fn point(&mut self, point: Point<'_>) -> Result<(), Reject> {
        let said = Said {
            value: point.value,
            unit: point.unit,
            quality: point.quality,
            time: point.time,
        };
        let profile = self.profile;
        self.tell("point", (&profile.table, point.key), &said);
        Ok(())
    }

    fn end_record(&mut self) -> Result<(), Reject> {
        self.line(format_args!("  end of record"));
        Ok(())
    }
}
