//! Where credentials say who their holder is. A template for certificates is matched against a name in the certificate;
//! a template for tokens is filled in with claims.
//!
//! What comes out is text; whether it is an identity is for [`Identity::parse`](crate::domain::Identity::parse) alone to
//! say, so that no credential makes an id that holds `/`, `+`, `#`, a leading `$`, NUL or nothing.
//!
//! A match is a function of the name: a capture reaches to the first place where what follows it in the template begins,
//! the last one to the end. So one name never says two identities.

use std::fmt;

use crate::domain::DeviceId;

/// Longest template, bytes.
const TEMPLATE_BYTES_MAX: usize = 256;
/// What stands before an application's name in a template for tokens.
const APPLICATION: &str = "app:";

/// Which name of a certificate is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectSource {
    /// The common name of its subject.
    CommonName,
    /// Its DNS names (subject alternative names).
    SanDns,
    /// Its URIs (subject alternative names).
    SanUri,
}

/// Who a name names; nothing is checked yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named<'a> {
    /// A device.
    Device {
        /// Its class.
        class: &'a str,
        /// Its id.
        device: &'a str,
    },
    /// An application.
    Application(&'a str),
}

/// A template for certificates: `cn:{class}/{device}`, `san-uri:urn:city:{class}:{device}`, `san-dns:{application}.apps.city`.
#[derive(Clone, PartialEq, Eq)]
pub struct SubjectTemplate {
    source: SubjectSource,
    pieces: Vec<Piece>,
    text: Box<str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(Box<str>),
    Placeholder(Box<str>),
}

impl SubjectTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it, in words that follow the value.
    pub fn parse(text: &str) -> Result<Self, String> {
        let sources = [
            ("cn:", SubjectSource::CommonName),
            ("san-dns:", SubjectSource::SanDns),
            ("san-uri:", SubjectSource::SanUri),
        ];
        let (source, pattern) = sources
            .iter()
            .find_map(|(prefix, source)| Some((*source, text.strip_prefix(prefix)?)))
            .ok_or("says not where to look: cn:, san-dns: or san-uri: comes first")?;
        let pieces = pieces(pattern)?;
        let mut names: Vec<&str> = pieces.iter().filter_map(Piece::placeholder).collect();
        names.sort_unstable();
        if names != ["class", "device"] && names != ["application"] {
            return Err("needs {class} and {device}, or {application}, each once".to_owned());
        }
        let adjacent = |pair: &[Piece]| pair.iter().all(|piece| piece.placeholder().is_some());
        if pieces.windows(2).any(adjacent) {
            return Err("has nothing between {class} and {device} that would part them".to_owned());
        }
        Ok(Self {
            source,
            pieces,
            text: Box::from(text),
        })
    }

    /// Which name it is matched against.
    #[must_use]
    pub const fn source(&self) -> SubjectSource {
        self.source
    }

    /// Who a name names, if it matches.
    #[must_use]
    pub fn read<'a>(&self, name: &'a str) -> Option<Named<'a>> {
        let (mut class, mut device, mut application) = (None, None, None);
        let mut rest = name;
        let mut pieces = self.pieces.iter().peekable();
        while let Some(piece) = pieces.next() {
            let placeholder = match piece {
                Piece::Literal(literal) => {
                    rest = rest.strip_prefix(&**literal)?;
                    continue;
                }
                Piece::Placeholder(placeholder) => placeholder,
            };
            let value = match pieces.next() {
                None => std::mem::take(&mut rest),
                Some(Piece::Literal(literal)) if pieces.peek().is_none() => {
                    std::mem::take(&mut rest).strip_suffix(&**literal)?
                }
                Some(Piece::Literal(literal)) => {
                    let (value, behind) = rest.split_once(&**literal)?;
                    rest = behind;
                    value
                }
                Some(Piece::Placeholder(_)) => return None,
            };
            match &**placeholder {
                "class" => class = Some(value),
                "device" => device = Some(value),
                _ => application = Some(value),
            }
        }
        if !rest.is_empty() {
            return None;
        }
        match (class, device, application) {
            (Some(class), Some(device), None) => Some(Named::Device { class, device }),
            (None, None, Some(name)) => Some(Named::Application(name)),
            _ => None,
        }
    }
}

impl fmt::Debug for SubjectTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

/// What a filled-in template for tokens is to be read as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// `class/device`.
    Device(String),
    /// An application's name.
    Application(String),
}

/// A template for tokens: `{sub}`, `{device_class}/{device_id}`, `app:{sub}`.
#[derive(Clone, PartialEq, Eq)]
pub struct ClaimTemplate {
    application: bool,
    pieces: Vec<Piece>,
    text: Box<str>,
}

impl ClaimTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it, in words that follow the value.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (application, pattern) = text
            .strip_prefix(APPLICATION)
            .map_or((false, text), |pattern| (true, pattern));
        let pieces = pieces(pattern)?;
        if pieces.iter().all(|piece| piece.placeholder().is_none()) {
            return Err("names no claim: every token would be the same client's".to_owned());
        }
        Ok(Self {
            application,
            pieces,
            text: Box::from(text),
        })
    }

    /// Fills in the claims; `None` if one is absent, is no text, or would be more than one level of a topic. Only a
    /// template that is one claim and nothing else takes a claim with the `/` of `class/device` in it.
    pub fn fill<'a>(&self, claim: impl Fn(&str) -> Option<&'a str>) -> Option<Claimed> {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Placeholder(name) => {
                    let value = claim(name)?;
                    // Classes' and devices' ids have the same rules.
                    if self.pieces.len() > 1 && !DeviceId::is_valid(value) {
                        return None;
                    }
                    text.push_str(value);
                }
            }
        }
        Some(if self.application {
            Claimed::Application(text)
        } else {
            Claimed::Device(text)
        })
    }
}

impl fmt::Debug for ClaimTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl Piece {
    fn placeholder(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Placeholder(name) => Some(name),
        }
    }
}

fn pieces(pattern: &str) -> Result<Vec<Piece>, String> {
    if pattern.len() > TEMPLATE_BYTES_MAX {
        return Err(format!("is longer than {TEMPLATE_BYTES_MAX} bytes"));
    }
    let mut pieces = Vec::new();
    let mut rest = pattern;
    while !rest.is_empty() {
        let (literal, behind) = rest.split_once('{').unwrap_or((rest, ""));
        if literal.contains('}') {
            return Err("has a } without its {".to_owned());
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(Box::from(literal)));
        }
        if literal.len() == rest.len() {
            break;
        }
        let (name, behind) = behind.split_once('}').ok_or("has a { without its }")?;
        if name.is_empty() || name.contains('{') {
            return Err("has braces with no name in them".to_owned());
        }
        pieces.push(Piece::Placeholder(Box::from(name)));
        rest = behind;
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(template: &str, name: &str) -> Option<String> {
        let template = SubjectTemplate::parse(template).unwrap();
        template.read(name).map(|named| match named {
            Named::Device { class, device } => format!("{class}|{device}"),
            Named::Application(name) => name.to_owned(),
        })
    }

    #[test]
    fn a_name_that_matches_says_who_it_names_and_any_other_says_nothing() {
        let cases = [
            ("cn:{class}/{device}", "lamp/7", Some("lamp|7")),
            ("cn:{class}/{device}", "lamp", None),
            ("cn:{class}/{device}", "lamp/7/8", Some("lamp|7/8")),
            (
                "san-uri:urn:city:{class}:{device}",
                "urn:city:lamp:7",
                Some("lamp|7"),
            ),
            (
                "san-uri:urn:city:{class}:{device}",
                "urn:city:lamp:a:b",
                Some("lamp|a:b"),
            ),
            ("san-uri:urn:city:{class}:{device}", "urn:town:lamp:7", None),
            (
                "san-dns:{device}.{class}.city",
                "7.lamp.city",
                Some("lamp|7"),
            ),
            ("san-dns:{device}.{class}.city", "7.lamp.city.evil", None),
            (
                "san-dns:{device}.{class}.city",
                "7.lamp.city.city",
                Some("lamp.city|7"),
            ),
            ("cn:{application}", "board", Some("board")),
            ("cn:app-{application}-x", "app-board-x", Some("board")),
            ("cn:app-{application}-x", "app-", None),
        ];
        for (template, name, wanted) in cases {
            assert_eq!(read(template, name).as_deref(), wanted, "{template} {name}");
        }
    }

    #[test]
    fn a_template_that_could_mean_two_things_is_refused() {
        let cases = [
            ("{class}/{device}", "says not where to look"),
            ("cn:{class}{device}", "nothing between"),
            ("cn:{device}", "needs {class} and {device}"),
            ("cn:{class}/{device}/{application}", "each once"),
            ("cn:{class}/{device}/{device}", "each once"),
            ("cn:fixed", "each once"),
            ("cn:{class}/{device", "{ without its }"),
            ("cn:{class}/device}", "} without its {"),
            ("cn:{}/{device}", "no name"),
        ];
        for (template, wanted) in cases {
            let told = SubjectTemplate::parse(template).unwrap_err();
            assert!(told.contains(wanted), "{template}: {told}");
        }
        assert!(ClaimTemplate::parse("fixed/device").is_err());
        assert!(ClaimTemplate::parse("app:").is_err());
    }

    #[test]
    fn a_claim_fills_one_level_and_a_lone_one_the_whole_identity() {
        let claims = |name: &str| match name {
            "sub" => Some("lamp/7"),
            "class" => Some("lamp"),
            "id" => Some("7"),
            "wild" => Some("+"),
            _ => None,
        };
        let fill = |template: &str| ClaimTemplate::parse(template).unwrap().fill(claims);
        assert_eq!(fill("{sub}"), Some(Claimed::Device("lamp/7".to_owned())));
        assert_eq!(
            fill("{class}/{id}"),
            Some(Claimed::Device("lamp/7".to_owned()))
        );
        assert_eq!(
            fill("app:{class}"),
            Some(Claimed::Application("lamp".to_owned()))
        );
        for none in ["{absent}", "{sub}/{id}", "{class}/{wild}", "lamp/{sub}"] {
            assert_eq!(fill(none), None, "{none}");
        }
    }
}
