//! The canonical topics of ingest: `v1/{class}/{device}/up` (JSON), `v1/{class}/{device}/up/pb` (protobuf) and
//! `v1/{class}/{device}/up/PROFILE` (whatever that profile reads).

use crate::{
    domain::{ClassId, DeviceId},
    normalise::PayloadFormat,
};

/// A topic of ingest, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Topic<'a> {
    /// The topic as published.
    pub(super) text: &'a str,
    pub(super) class: &'a str,
    pub(super) device: &'a str,
    pub(super) form: Form<'a>,
}

/// How the payload is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form<'a> {
    /// As the class says.
    Canonical(PayloadFormat),
    /// As the profile of this id says.
    Profile(&'a str),
}

/// Why a topic carries no reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TopicFault {
    /// It is no topic of ingest at all.
    NotIngest,
    /// It has the form of one, but a class or device id that cannot be one.
    Invalid,
}

impl<'a> Topic<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, TopicFault> {
        let rest = text.strip_prefix("v1/").ok_or(TopicFault::NotIngest)?;
        let (class, rest) = rest.split_once('/').ok_or(TopicFault::NotIngest)?;
        let (device, kind) = rest.split_once('/').ok_or(TopicFault::NotIngest)?;
        let form = match kind {
            "up" => Form::Canonical(PayloadFormat::Json),
            "up/pb" => Form::Canonical(PayloadFormat::Protobuf),
            _ => match kind.strip_prefix("up/") {
                Some(id) if !id.is_empty() && !id.contains('/') => Form::Profile(id),
                _ => return Err(TopicFault::NotIngest),
            },
        };
        if !ClassId::is_valid(class) || !DeviceId::is_valid(device) {
            return Err(TopicFault::Invalid);
        }
        Ok(Self {
            text,
            class,
            device,
            form,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topics_of_ingest_are_read() {
        let json = Topic::parse("v1/manhole_cover/7/up").unwrap();
        assert_eq!((json.class, json.device), ("manhole_cover", "7"));
        assert_eq!(json.form, Form::Canonical(PayloadFormat::Json));
        let protobuf = Topic::parse("v1/manhole_cover/7/up/pb").unwrap();
        assert_eq!(protobuf.form, Form::Canonical(PayloadFormat::Protobuf));
        let profile = Topic::parse("v1/manhole_cover/7/up/acme.tlv").unwrap();
        assert_eq!(profile.form, Form::Profile("acme.tlv"));
    }

    #[test]
    fn other_topics_carry_no_reading() {
        for text in [
            "",
            "v1",
            "v1/a/b",
            "v1/a/b/down",
            "v2/a/b/up",
            "v1/a/b/up/",
            "v1/a/b/up/x/y",
            "a/b",
        ] {
            assert_eq!(Topic::parse(text), Err(TopicFault::NotIngest), "{text:?}");
        }
        for text in ["v1//b/up", "v1/a//up", "v1/$a/b/up"] {
            assert_eq!(Topic::parse(text), Err(TopicFault::Invalid), "{text:?}");
        }
    }
}
