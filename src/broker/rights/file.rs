//! The file of rights: TOML, read with the line of every value. All that is wrong is told at once.
//!
//! ```toml
//! device_defaults = true              # a device's own up and down topics
//!
//! [[allow]]
//! identity = "dtu/510104-7"           # or class = "…", application = "…", anyone = true
//! publish = ["v1/manhole_cover/+/up"]
//! subscribe = ["v1/manhole_cover/+/down"]
//! ```

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Grants, Rights, Scope,
    pattern::{Part, Pattern},
};
use crate::{
    broker::{
        access::{Fault, Place},
        principal::Principal,
    },
    domain::{ClassId, Identity},
};

/// Most filters of a file.
const FILTERS_MAX: usize = 1_000_000;

impl Rights {
    /// Reads the text of a file. What it does not allow is refused.
    ///
    /// # Errors
    /// Everything that is wrong, each with its line and key.
    pub fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        let mut reader = Reader {
            line_ends: text.match_indices('\n').map(|(at, _)| at).collect(),
            rights: Self::with(Scope::Nothing),
            filters: 0,
            faults: Vec::new(),
        };
        match DeTable::parse(text) {
            Ok(root) => reader.root(root.get_ref()),
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                let what = error.message().replace('\n', "; ");
                let line = reader.line(at);
                reader.faults.push(Fault::at(Place::Line(line), what));
            }
        }
        if reader.faults.is_empty() {
            Ok(reader.rights)
        } else {
            Err(reader.faults)
        }
    }
}

/// Whom a rule is for.
enum Subject {
    Identity(Identity),
    Class(ClassId),
    Application(Box<str>),
    Anyone,
}

impl Subject {
    /// What is known of every client that the rule is for.
    const fn parts(&self) -> &'static [Part] {
        match self {
            Self::Identity(_) | Self::Class(_) => &[Part::Class, Part::Device],
            Self::Application(_) => &[Part::Application],
            // A filter with a part that a client has not does not match for it.
            Self::Anyone => &[Part::Class, Part::Device, Part::Application],
        }
    }
}

#[derive(Clone, Copy)]
enum Right {
    Publish,
    Subscribe,
}

struct Reader {
    /// Where each line ends.
    line_ends: Vec<usize>,
    rights: Rights,
    filters: usize,
    faults: Vec<Fault>,
}

impl Reader {
    fn root(&mut self, root: &DeTable<'_>) {
        for (name, value) in root {
            let at = name.span().start;
            match (&**name.get_ref(), value.get_ref()) {
                ("device_defaults", DeValue::Boolean(true)) => self.rights.scope = Scope::Own,
                ("device_defaults", DeValue::Boolean(false)) => {}
                ("device_defaults", _) => {
                    self.fault(at, "device_defaults", "is neither true nor false");
                }
                ("allow", DeValue::Array(rules)) => {
                    for rule in rules {
                        self.rule(rule);
                    }
                }
                ("allow", _) => self.fault(at, "allow", "is a list of rules: write [[allow]]"),
                (other, _) => {
                    let what = "is an unknown key: device_defaults and [[allow]] are known";
                    self.fault(at, other, what);
                }
            }
        }
        if self.filters > FILTERS_MAX {
            self.fault(0, "allow", &format!("has more than {FILTERS_MAX} filters"));
        }
    }

    fn rule(&mut self, rule: &Spanned<DeValue<'_>>) {
        let at = rule.span().start;
        let DeValue::Table(table) = rule.get_ref() else {
            return self.fault(at, "allow", "is a list of rules: write [[allow]]");
        };
        let mut subject = None;
        let mut grants = Vec::new();
        for (name, value) in table {
            let key = format!("allow.{}", name.get_ref());
            let at = name.span().start;
            match &**name.get_ref() {
                "publish" => grants.push((Right::Publish, key, value)),
                "subscribe" => grants.push((Right::Subscribe, key, value)),
                word @ ("identity" | "class" | "application" | "anyone") => {
                    match read_subject(word, value.get_ref()) {
                        Ok(_) if subject.is_some() => {
                            self.fault(at, &key, "is a second whom: a rule is for one");
                        }
                        Ok(found) => subject = Some(found),
                        Err(what) => {
                            self.fault(at, &key, &what);
                            subject = subject.or(Some(Subject::Anyone));
                        }
                    }
                }
                _ => {
                    let what = "is an unknown key: identity, class, application or anyone, publish and subscribe are known";
                    self.fault(at, &key, what);
                }
            }
        }
        let Some(subject) = subject else {
            let what = "is for nobody: it needs identity, class, application or anyone = true";
            return self.fault(at, "allow", what);
        };
        if grants.is_empty() {
            self.fault(at, "allow", "grants nothing: it needs publish or subscribe");
        }
        for (right, key, filters) in grants {
            self.grant(&subject, right, &key, filters);
        }
    }

    fn grant(
        &mut self,
        subject: &Subject,
        right: Right,
        key: &str,
        filters: &Spanned<DeValue<'_>>,
    ) {
        let DeValue::Array(filters) = filters.get_ref() else {
            let at = filters.span().start;
            return self.fault(at, key, "is no list of filters: write [\"…\"]");
        };
        for filter in filters {
            let at = filter.span().start;
            let DeValue::String(text) = filter.get_ref() else {
                self.fault(at, key, "holds something that is no text");
                continue;
            };
            let line = u32::try_from(self.line(at)).unwrap_or(u32::MAX);
            match Pattern::parse(text, line, subject.parts()) {
                Err(what) => self.fault(at, key, &format!("{text:?} {what}")),
                Ok(pattern) => {
                    self.filters += 1;
                    let grants = self.grants(subject);
                    match right {
                        Right::Publish => grants.publish.add(text, pattern),
                        Right::Subscribe => grants.subscribe.add(text, pattern),
                    }
                }
            }
        }
    }

    fn grants(&mut self, subject: &Subject) -> &mut Grants {
        let rights = &mut self.rights;
        let (names, name) = match subject {
            Subject::Identity(identity) => (&mut rights.identities, identity.as_str()),
            Subject::Class(class) => (&mut rights.classes, class.as_str()),
            Subject::Application(name) => (&mut rights.applications, &**name),
            Subject::Anyone => return &mut rights.anyone,
        };
        names.entry(Box::from(name)).or_default()
    }

    fn fault(&mut self, at: usize, key: &str, what: &str) {
        let place = Place::LineKey(self.line(at), key.to_owned());
        self.faults.push(Fault::at(place, what.to_owned()));
    }

    fn line(&self, at: usize) -> usize {
        self.line_ends.partition_point(|&end| end < at) + 1
    }
}

fn read_subject(word: &str, value: &DeValue<'_>) -> Result<Subject, String> {
    match (word, value) {
        ("anyone", DeValue::Boolean(true)) => Ok(Subject::Anyone),
        ("anyone", _) => Err("can only be true".to_owned()),
        (_, DeValue::String(text)) => match word {
            "identity" => Identity::parse(text)
                .map(Subject::Identity)
                .map_err(|error| error.to_string()),
            "class" => ClassId::new(text)
                .map(Subject::Class)
                .map_err(|error| error.to_string()),
            _ => match Principal::application(text) {
                Some(_) => Ok(Subject::Application(Box::from(&**text))),
                None => Err(format!("{text:?} is no application's name")),
            },
        },
        _ => Err("is no text".to_owned()),
    }
}
