//! Who may publish to which topics and hear which filters. Deny is the rule; everything else is granted by name.
//!
//! Without a file a device has its own topics: it publishes on `v1/{class}/{device}/up` and `…/up/pb` and hears
//! `v1/{class}/{device}/down`. With a file the file says everything: what it does not allow is refused, also to a device
//! on its own topics, unless it says `device_defaults = true`.
//!
//! A subscription is granted if one granted filter covers it: every topic that it could match is one that is granted.
//! Values of templates come from the authenticated identity alone and stand for exactly one level, compared as text; a
//! wildcard in what is asked is covered by wildcards only. So nothing that a client calls itself widens anything.
//!
//! A device on its own topic costs one comparison and no allocation: it is asked for every publish.

mod file;
mod pattern;

use std::{collections::HashMap, fmt};

use self::pattern::Pattern;
pub use self::pattern::{check_filter, check_topic};
use super::{access::metrics::Denials, principal::Principal};
use crate::domain::{ClassId, DeviceId};

type ByName = HashMap<Box<str>, Grants, foldhash::fast::RandomState>;

/// The rights in force.
#[derive(Debug)]
pub struct Rights {
    scope: Scope,
    identities: ByName,
    classes: ByName,
    applications: ByName,
    anyone: Grants,
    denials: Denials,
}

/// What holds without a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Nothing.
    Nothing,
    /// A device's own topics.
    Own,
    /// Everything.
    Open,
}

/// What one name is granted.
#[derive(Debug, Default)]
struct Grants {
    publish: Granted,
    subscribe: Granted,
}

/// Granted filters: those without wildcard and template are looked up, the others tried one by one.
#[derive(Debug, Default)]
struct Granted {
    exact: HashMap<Box<str>, u32, foldhash::fast::RandomState>,
    patterns: Vec<Pattern>,
}

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked<'a> {
    /// To publish to a topic.
    Publish(&'a str),
    /// To hear what a filter matches, `$share/{name}/` already taken off.
    Subscribe(&'a str),
}

/// Why something is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why<'a> {
    /// Everything is.
    Open,
    /// It is one of the device's own topics.
    Own,
    /// By a rule of the file.
    Rule {
        /// Line of the filter in the file.
        line: u32,
        /// The filter as it stands there; `None`: the topic itself.
        filter: Option<&'a str>,
    },
}

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("rights are open: everything is allowed"),
            Self::Own => f.write_str("it is the device's own topic"),
            Self::Rule { line, filter: None } => write!(f, "line {line} names it"),
            Self::Rule {
                line,
                filter: Some(filter),
            } => write!(f, "line {line} allows {filter:?}"),
        }
    }
}

impl Default for Rights {
    /// A device's own topics.
    fn default() -> Self {
        Self::with(Scope::Own)
    }
}

impl Rights {
    fn with(scope: Scope) -> Self {
        Self {
            scope,
            identities: ByName::default(),
            classes: ByName::default(),
            applications: ByName::default(),
            anyone: Grants::default(),
            denials: Denials::new(),
        }
    }

    /// Everyone may do everything.
    #[must_use]
    pub fn open() -> Self {
        Self::with(Scope::Open)
    }

    /// Whether everyone may do everything.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.scope, Scope::Open)
    }

    /// Whether a client may publish to a topic; it holds no wildcard.
    #[must_use]
    pub fn may_publish(&self, principal: &Principal, topic: &str) -> bool {
        let allowed = match self.scope {
            Scope::Open => true,
            Scope::Own if is_own(principal, Asked::Publish(topic)) => true,
            _ => self.rule(principal, Asked::Publish(topic)).is_some(),
        };
        if !allowed {
            self.denials.publish.increment(1);
        }
        allowed
    }

    /// Whether a client may report for a device: what it may publish to the device's `up` topic, it may say in any form.
    #[must_use]
    pub fn may_report(&self, principal: &Principal, class: &str, device: &str) -> bool {
        let is_itself = principal
            .identity()
            .is_some_and(|own| own.class() == class && own.device() == device);
        match self.scope {
            Scope::Open => true,
            Scope::Own if is_itself => true,
            _ => self.may_publish(principal, &format!("v1/{class}/{device}/up")),
        }
    }

    /// Whether a client may hear everything that a filter matches.
    #[must_use]
    pub fn may_subscribe(&self, principal: &Principal, filter: &str) -> bool {
        let allowed = self.why(principal, Asked::Subscribe(filter)).is_some();
        if !allowed {
            self.denials.subscribe.increment(1);
        }
        allowed
    }

    /// Why something is allowed; `None`: it is not.
    #[must_use]
    pub fn why<'a>(&'a self, principal: &Principal, asked: Asked<'_>) -> Option<Why<'a>> {
        match self.scope {
            Scope::Open => Some(Why::Open),
            Scope::Own if is_own(principal, asked) => Some(Why::Own),
            _ => self.rule(principal, asked),
        }
    }

    fn rule<'a>(&'a self, principal: &Principal, asked: Asked<'_>) -> Option<Why<'a>> {
        let named = match principal {
            Principal::Device(identity) => [
                self.identities.get(identity.as_str()),
                self.classes.get(identity.class()),
            ],
            Principal::Application(name) => [self.applications.get(&**name), None],
            Principal::Anonymous => [None, None],
        };
        let mut grants = named.into_iter().flatten().chain([&self.anyone]);
        grants.find_map(|grants| match asked {
            Asked::Publish(_) => grants.publish.why(principal, asked),
            Asked::Subscribe(_) => grants.subscribe.why(principal, asked),
        })
    }
}

impl Granted {
    fn why(&self, principal: &Principal, asked: Asked<'_>) -> Option<Why<'_>> {
        let (Asked::Publish(text) | Asked::Subscribe(text)) = asked;
        if let Some(&line) = self.exact.get(text) {
            return Some(Why::Rule { line, filter: None });
        }
        let grants = |pattern: &&Pattern| match asked {
            Asked::Publish(topic) => pattern.matches(principal, topic),
            Asked::Subscribe(filter) => pattern.covers(principal, filter),
        };
        let pattern = self.patterns.iter().find(grants)?;
        Some(Why::Rule {
            line: pattern.line,
            filter: Some(&pattern.text),
        })
    }

    fn add(&mut self, text: &str, pattern: Pattern) {
        if pattern.is_exact() {
            self.exact.entry(Box::from(text)).or_insert(pattern.line);
        } else {
            self.patterns.push(pattern);
        }
    }
}

/// Whether something is a device's own: publishing on its `up` topics, hearing its `down`. Of an anonymous client every
/// device's `up` is its own, for it is whom its topic says; it hears nothing.
fn is_own(principal: &Principal, asked: Asked<'_>) -> bool {
    match (principal, asked) {
        (Principal::Device(identity), Asked::Publish(topic)) => {
            behind(topic, identity.as_str()).is_some_and(is_up)
        }
        (Principal::Device(identity), Asked::Subscribe(filter)) => {
            behind(filter, identity.as_str()) == Some("/down")
        }
        (Principal::Anonymous, Asked::Publish(topic)) => is_someones(topic),
        (Principal::Anonymous, Asked::Subscribe(_)) | (Principal::Application(_), _) => false,
    }
}

/// `/up`, or one level more: `pb`, or the profile that the payload is for.
fn is_up(behind: &str) -> bool {
    match behind.strip_prefix("/up") {
        Some("") => true,
        Some(rest) => rest
            .strip_prefix('/')
            .is_some_and(|form| !form.is_empty() && !form.contains('/')),
        None => false,
    }
}

/// What stands behind `v1/{class}/{device}` of a device.
fn behind<'a>(topic: &'a str, identity: &str) -> Option<&'a str> {
    topic.strip_prefix("v1/")?.strip_prefix(identity)
}

/// Whether a topic is the `up` topic of some device.
fn is_someones(topic: &str) -> bool {
    let mut levels = topic.split('/');
    let device = [levels.next(), levels.next(), levels.next(), levels.next()];
    let [Some("v1"), Some(class), Some(device), Some("up")] = device else {
        return false;
    };
    let rest = [levels.next(), levels.next()];
    let is_form = match rest {
        [form, None] => form != Some(""),
        _ => false,
    };
    is_form && ClassId::is_valid(class) && DeviceId::is_valid(device)
}

#[cfg(test)]
mod tests;
