//! Topic patterns with captures: `/sys/{product}/{device}/thing/event/property/post`. A level is a text, a capture or `+`;
//! the last may be `#` or `{name...}`, which takes the rest.

/// A level of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Level {
    Text(Box<str>),
    Capture(Box<str>),
    Any,
    /// All that is left, at least one level.
    Rest(Option<Box<str>>),
}

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    levels: Box<[Level]>,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > 1_024 {
            return Err("a topic pattern has 1 to 1024 bytes".to_owned());
        }
        let count = text.split('/').count();
        let mut names: Vec<&str> = Vec::new();
        let mut levels = Vec::with_capacity(count);
        for (at, level) in text.split('/').enumerate() {
            let is_last = at + 1 == count;
            let level = match level
                .strip_prefix('{')
                .and_then(|rest| rest.strip_suffix('}'))
            {
                Some(name) => {
                    let (name, rest) = match name.strip_suffix("...") {
                        Some(name) => (name, true),
                        None => (name, false),
                    };
                    if name.is_empty()
                        || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                    {
                        return Err(format!(
                            "{{{name}}}: a capture is called by letters, digits and _"
                        ));
                    }
                    if names.contains(&name) {
                        return Err(format!("{{{name}}} stands twice"));
                    }
                    names.push(name);
                    match (rest, is_last) {
                        (false, _) => Level::Capture(name.into()),
                        (true, true) => Level::Rest(Some(name.into())),
                        (true, false) => {
                            return Err(format!("{{{name}...}} has to be the last level"));
                        }
                    }
                }
                None if level == "+" => Level::Any,
                None if level == "#" && is_last => Level::Rest(None),
                None if level.contains(['+', '#', '{', '}', '\0']) => {
                    return Err(format!(
                        "{level:?}: a level is a text, {{capture}}, + or a last #"
                    ));
                }
                None => Level::Text(level.into()),
            };
            levels.push(level);
        }
        Ok(Self {
            levels: levels.into(),
        })
    }

    /// Names of the captures.
    pub(super) fn captures(&self) -> impl Iterator<Item = &str> {
        self.levels.iter().filter_map(|level| match level {
            Level::Capture(name) | Level::Rest(Some(name)) => Some(&**name),
            Level::Text(_) | Level::Any | Level::Rest(None) => None,
        })
    }

    /// Whether a topic matches; captures are handed over as they are found, so that those of a topic which turns out
    /// not to match may be among them. MQTT keeps topics that begin with `$` from wildcards: so do patterns that begin
    /// with a capture or a wildcard.
    pub(super) fn matches<'t>(&self, topic: &'t str, mut found: impl FnMut(&str, &'t str)) -> bool {
        let mut rest = Some(topic);
        for (at, level) in self.levels.iter().enumerate() {
            let Some(left) = rest else { return false };
            if at == 0 && left.starts_with('$') && !matches!(level, Level::Text(_)) {
                return false;
            }
            let (here, behind) = match left.split_once('/') {
                Some((here, behind)) => (here, Some(behind)),
                None => (left, None),
            };
            match level {
                Level::Text(text) if **text == *here => {}
                Level::Text(_) => return false,
                Level::Any => {}
                Level::Capture(_) if here.is_empty() => return false,
                Level::Capture(name) => found(name, here),
                Level::Rest(name) => {
                    if let Some(name) = name {
                        found(name, left);
                    }
                    return true;
                }
            }
            rest = behind;
        }
        rest.is_none()
    }

    /// How exact it is, level by level: of two patterns that match, the one with the greater list goes first.
    pub(super) fn weight(&self) -> Vec<u8> {
        let weight = |level: &Level| match level {
            Level::Text(_) => 3,
            Level::Capture(_) | Level::Any => 2,
            Level::Rest(_) => 1,
        };
        self.levels.iter().map(weight).collect()
    }

    /// The text of the first level, if it is one.
    pub(super) fn first(&self) -> Option<&str> {
        match self.levels.first() {
            Some(Level::Text(text)) => Some(text),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pattern: &str, topic: &str) -> Option<Vec<(String, String)>> {
        let mut captures = Vec::new();
        let pattern = Pattern::parse(pattern).unwrap();
        let keep = |name: &str, text: &str| captures.push((name.to_owned(), text.to_owned()));
        pattern.matches(topic, keep).then_some(captures)
    }

    #[test]
    fn captures_take_one_level_and_the_last_may_take_the_rest() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let pattern = "/sys/{product}/{device}/thing/#";
        assert_eq!(
            found(pattern, "/sys/p/7/thing/event/post"),
            Some(vec![pair("product", "p"), pair("device", "7")])
        );
        assert_eq!(found(pattern, "/sys/p/7/thing"), None);
        assert_eq!(found(pattern, "/sys/p//thing/x"), None);
        assert_eq!(
            found("a/{rest...}", "a/b/c"),
            Some(vec![pair("rest", "b/c")])
        );
        assert_eq!(found("a/+/c", "a//c"), Some(vec![]));
    }

    #[test]
    fn a_topic_of_the_server_is_matched_by_its_name_only() {
        assert_eq!(found("{x}/a", "$sys/a"), None);
        assert_eq!(found("#", "$sys/a"), None);
        assert!(found("$oc/devices/{device}/up", "$oc/devices/7/up").is_some());
    }

    #[test]
    fn patterns_that_are_none_are_refused() {
        for text in [
            "", "a/#/b", "a{b}", "{a}/{a}", "{}", "{a b}", "a+", "{x...}/y",
        ] {
            assert!(Pattern::parse(text).is_err(), "{text:?}");
        }
    }
}
