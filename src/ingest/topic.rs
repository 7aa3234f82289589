//! The canonical topics of ingest: `v1/{class}/{device}/up` (JSON) and `v1/{class}/{device}/up/pb` (protobuf).

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
    pub(super) format: PayloadFormat,
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
        let format = match kind {
            "up" => PayloadFormat::Json,
            "up/pb" => PayloadFormat::Protobuf,
            _ => return Err(TopicFault::NotIngest),
        };
        if !ClassId::is_valid(class) || !DeviceId::is_valid(device) {
            return Err(TopicFault::Invalid);
        }
        Ok(Self {
            text,
            class,
            device,
            format,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_topics_of_ingest_are_read() {
        let json = Topic::parse("v1/manhole_cover/7/up").unwrap();
        assert_eq!((json.class, json.device), ("manhole_cover", "7"));
        assert_eq!(json.format, PayloadFormat::Json);
        let protobuf = Topic::parse("v1/manhole_cover/7/up/pb").unwrap();
        assert_eq!(protobuf.format, PayloadFormat::Protobuf);
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
            "v1/a/b/up/x",
            "a/b",
        ] {
            assert_eq!(Topic::parse(text), Err(TopicFault::NotIngest), "{text:?}");
        }
        for text in ["v1//b/up", "v1/a//up", "v1/$a/b/up"] {
            assert_eq!(Topic::parse(text), Err(TopicFault::Invalid), "{text:?}");
        }
    }
}
