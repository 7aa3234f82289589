//! A granted filter, taken apart once: levels of text, wildcards, and places for what the identity says. Matching walks
//! the levels of what is asked; it allocates nothing and does not recurse.

use crate::broker::principal::Principal;

/// Longest topic or filter of MQTT, bytes (a two-byte length).
const TOPIC_BYTES_MAX: usize = 65_535;

/// A granted filter.
#[derive(Debug)]
pub(super) struct Pattern {
    levels: Box<[Level]>,
    /// As it stands in the file.
    pub(super) text: Box<str>,
    /// Its line.
    pub(super) line: u32,
}

#[derive(Debug, PartialEq, Eq)]
enum Level {
    /// This text.
    Text(Box<str>),
    /// What the authenticated identity says.
    Of(Part),
    /// `+`.
    One,
    /// `#`, the last.
    Rest,
}

/// A part of the authenticated identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Class,
    Device,
    Application,
}

impl Part {
    const ALL: [(Self, &'static str); 3] = [
        (Self::Class, "{class}"),
        (Self::Device, "{device}"),
        (Self::Application, "{application}"),
    ];

    fn of(self, principal: &Principal) -> Option<&str> {
        match (self, principal) {
            (Self::Class, Principal::Device(identity)) => Some(identity.class()),
            (Self::Device, Principal::Device(identity)) => Some(identity.device()),
            (Self::Application, Principal::Application(name)) => Some(name),
            _ => None,
        }
    }
}

impl Pattern {
    /// Reads a filter of a rule; `parts` are those that every client of the rule has.
    pub(super) fn parse(text: &str, line: u32, parts: &[Part]) -> Result<Self, String> {
        check_filter(text)?;
        let levels = text.split('/').map(|level| match level {
            "+" => Ok(Level::One),
            "#" => Ok(Level::Rest),
            _ => match Part::ALL.iter().find(|(_, name)| *name == level) {
                Some((part, _)) if parts.contains(part) => Ok(Level::Of(*part)),
                Some((_, name)) => Err(format!("{name} is nothing that all clients of this rule have")),
                None if level.contains(['{', '}']) => Err(format!(
                    "level {level:?} holds a brace: {{class}}, {{device}} or {{application}} is a whole level"
                )),
                None => Ok(Level::Text(Box::from(level))),
            },
        });
        Ok(Self {
            levels: levels.collect::<Result<_, _>>()?,
            text: Box::from(text),
            line,
        })
    }

    /// Whether it matches one topic only, whoever asks.
    pub(super) fn is_exact(&self) -> bool {
        self.levels
            .iter()
            .all(|level| matches!(level, Level::Text(_)))
    }

    /// Whether it matches a topic (MQTT 5, section 4.7).
    pub(super) fn matches(&self, principal: &Principal, topic: &str) -> bool {
        self.reaches(principal, topic, |_| true)
    }

    /// Whether every topic that a filter matches is one that it matches itself.
    pub(super) fn covers(&self, principal: &Principal, filter: &str) -> bool {
        // `#` stands for any number of levels, so only `#` covers it.
        self.reaches(principal, filter, |level| level != "#")
    }

    fn reaches(&self, principal: &Principal, asked: &str, one: impl Fn(&str) -> bool) -> bool {
        // Wildcards do not reach topics that begin with a dollar sign (MQTT-4.7.2-1).
        if asked.starts_with('$') && matches!(self.levels.first(), Some(Level::One | Level::Rest)) {
            return false;
        }
        let mut levels = asked.split('/');
        for granted in &self.levels {
            if *granted == Level::Rest {
                return true;
            }
            let Some(level) = levels.next() else {
                return false;
            };
            let holds = match granted {
                Level::Text(text) => is_same(text, level),
                Level::Of(part) => part
                    .of(principal)
                    .is_some_and(|value| is_same(value, level)),
                Level::One => one(level),
                Level::Rest => true,
            };
            if !holds {
                return false;
            }
        }
        levels.next().is_none()
    }
}

/// Whether a level that is granted as text is the one that is asked. No text is a wildcard, an empty level is none that an
/// identity could say.
fn is_same(granted: &str, asked: &str) -> bool {
    granted == asked && !matches!(asked, "+" | "#")
}

/// Whether a text is a topic filter of MQTT.
///
/// # Errors
/// What is wrong with it, in words that follow the value.
pub fn check_filter(text: &str) -> Result<(), String> {
    check(text)?;
    if text.starts_with("$share/") {
        return Err(
            "is a shared subscription: a right is on the filter behind its name".to_owned(),
        );
    }
    let mut levels = text.split('/').peekable();
    while let Some(level) = levels.next() {
        if level == "#" && levels.peek().is_some() {
            return Err("has `#` before its end".to_owned());
        }
        if level.len() > 1 && level.contains(['+', '#']) {
            return Err(format!(
                "level {level:?} holds a wildcard: it is a whole level"
            ));
        }
    }
    Ok(())
}

/// Whether a text is a topic of MQTT.
///
/// # Errors
/// What is wrong with it, in words that follow the value.
pub fn check_topic(text: &str) -> Result<(), String> {
    check(text)?;
    if text.contains(['+', '#']) {
        return Err("holds a wildcard: a topic has none".to_owned());
    }
    Ok(())
}

fn check(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    if text.len() > TOPIC_BYTES_MAX {
        return Err(format!(
            "has {} bytes, MQTT allows {TOPIC_BYTES_MAX}",
            text.len()
        ));
    }
    if text.contains('\0') {
        return Err("holds NUL".to_owned());
    }
    Ok(())
}
