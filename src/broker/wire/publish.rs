//! PUBLISH, read in place. It is the one packet of the hot path: the library's codec would allocate twice for each and
//! share the buffer's reference count; it also takes subscription identifiers from clients, NUL and wildcards in topic
//! names. A test holds that both readers agree on every packet that the library writes.

use bytestring::ByteString;
use rmqtt_codec::{
    types::QoS,
    v5::{DisconnectReasonCode, LastWill},
};

use super::{Frame, Reader, USER_PROPERTIES_MAX, Version, Violation};

/// A publish, borrowed from the bytes it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "the packet's own flags")]
pub(crate) struct Publish<'a> {
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    /// Empty if the topic is named by its alias.
    pub(crate) topic: &'a str,
    /// 0 at `QoS` 0.
    pub(crate) id: u16,
    pub(crate) alias: Option<u16>,
    /// Seconds that the message is worth.
    pub(crate) expiry_s: Option<u32>,
    /// The property section.
    properties: &'a [u8],
    pub(crate) payload: &'a [u8],
    pub(crate) payload_utf8: bool,
    pub(crate) user_properties: Vec<(ByteString, ByteString)>,
}

impl<'a> Publish<'a> {
    /// Reads a frame whose type is PUBLISH.
    pub(crate) fn read(version: Version, frame: Frame<'a>) -> Result<Self, Violation> {
        let qos = match (frame.first >> 1) & 3 {
            0 => QoS::AtMostOnce,
            1 => QoS::AtLeastOnce,
            2 => QoS::ExactlyOnce,
            _ => return Err(Violation::malformed("QoS 3")),
        };
        if frame.first & 8 != 0 && qos == QoS::AtMostOnce {
            return Err(Violation::malformed("DUP at QoS 0"));
        }
        let mut reader = Reader::new(frame.body);
        let topic = reader.text()?;
        check_topic(topic)?;
        let id = match qos {
            QoS::AtMostOnce => 0,
            QoS::AtLeastOnce | QoS::ExactlyOnce => match reader.u16()? {
                0 => return Err(Violation::malformed("packet identifier 0")),
                id => id,
            },
        };
        let mut publish = Self {
            qos,
            retain: frame.first & 1 != 0,
            topic,
            id,
            alias: None,
            expiry_s: None,
            properties: &[],
            payload: &[],
            payload_utf8: false,
            user_properties: Vec::new(),
        };
        match version {
            Version::V3 if topic.is_empty() => {
                return Err(Violation::malformed("empty topic"));
            }
            Version::V3 => {}
            Version::V5 => {
                let properties = reader.properties()?;
                publish.properties = properties.rest();
                publish.read_properties(properties)?;
            }
        }
        publish.payload = reader.rest();
        Ok(publish)
    }

    fn read_properties(&mut self, mut reader: Reader<'a>) -> Result<(), Violation> {
        let mut seen = 0_u64;
        while !reader.is_empty() {
            let property = reader.u8()?;
            let bit = match property {
                USER => 0,
                _ => 1_u64.checked_shl(u32::from(property)).unwrap_or(0),
            };
            if seen & bit != 0 {
                return Err(Violation::protocol("a property stands twice"));
            }
            seen |= bit;
            self.read_property(property, &mut reader)?;
        }
        if self.topic.is_empty() && self.alias.is_none() {
            return Err(Violation::protocol("neither topic nor topic alias"));
        }
        Ok(())
    }

    fn read_property(&mut self, property: u8, reader: &mut Reader<'a>) -> Result<(), Violation> {
        match property {
            PAYLOAD_FORMAT => {
                self.payload_utf8 = match reader.u8()? {
                    0 => false,
                    1 => true,
                    _ => return Err(Violation::protocol("payload format indicator above 1")),
                }
            }
            MESSAGE_EXPIRY => {
                self.expiry_s = Some(u32::from(reader.u16()?) << 16 | u32::from(reader.u16()?));
            }
            CONTENT_TYPE => {
                reader.text()?;
            }
            RESPONSE_TOPIC => {
                let topic = reader.text()?;
                if topic.is_empty() || topic.contains(['+', '#']) {
                    return Err(Violation::protocol("response topic is no topic name"));
                }
            }
            CORRELATION_DATA => {
                reader.binary()?;
            }
            SUBSCRIPTION_ID => {
                return Err(Violation::protocol("subscription identifier from a client"));
            }
            TOPIC_ALIAS => self.alias = Some(reader.u16()?),
            USER => {
                if self.user_properties.len() >= USER_PROPERTIES_MAX {
                    return Err(Violation::new(
                        DisconnectReasonCode::QuotaExceeded,
                        "too many user properties",
                    ));
                }
                let pair = (reader.text()?.into(), reader.text()?.into());
                self.user_properties.push(pair);
            }
            _ => {
                return Err(Violation::malformed(
                    "a property that PUBLISH does not have",
                ));
            }
        }
        Ok(())
    }
}

impl Publish<'_> {
    /// The properties that go along to whoever subscribed, in their order: all but expiry and alias.
    pub(crate) fn forwarded(&self) -> Box<[u8]> {
        if self.alias.is_none() && self.expiry_s.is_none() {
            return Box::from(self.properties);
        }
        let mut forwarded = Vec::with_capacity(self.properties.len());
        let mut rest = self.properties;
        while let Some(length) = property_bytes(rest) {
            let (property, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            if !matches!(property.first(), Some(&(MESSAGE_EXPIRY | TOPIC_ALIAS))) {
                forwarded.extend_from_slice(property);
            }
            rest = behind;
        }
        forwarded.into_boxed_slice()
    }
}

/// Bytes of the first property of a section that was read before; `None` at its end.
fn property_bytes(section: &[u8]) -> Option<usize> {
    let text = |at: usize| match (section.get(at), section.get(at + 1)) {
        (Some(&high), Some(&low)) => 2 + usize::from(u16::from_be_bytes([high, low])),
        _ => 2,
    };
    Some(match *section.first()? {
        PAYLOAD_FORMAT => 2,
        MESSAGE_EXPIRY => 5,
        TOPIC_ALIAS => 3,
        USER => {
            let name = text(1);
            1 + name + text(1 + name)
        }
        _ => 1 + text(1),
    })
}

/// Payload format and user properties among forwarded properties.
pub(crate) fn read_forwarded(
    forwarded: &[u8],
) -> Result<(bool, Vec<(ByteString, ByteString)>), Violation> {
    let mut publish = Publish {
        qos: QoS::AtMostOnce,
        retain: false,
        topic: "-",
        id: 0,
        alias: None,
        expiry_s: None,
        properties: forwarded,
        payload: &[],
        payload_utf8: false,
        user_properties: Vec::new(),
    };
    publish.read_properties(Reader::new(forwarded))?;
    Ok((publish.payload_utf8, publish.user_properties))
}

/// The forwarded properties of a message that did not come in a PUBLISH: a will's.
pub(crate) fn forwarded_of(will: &LastWill) -> Box<[u8]> {
    let mut out = Vec::new();
    if let Some(utf8) = will.is_utf8_payload {
        out.extend_from_slice(&[PAYLOAD_FORMAT, u8::from(utf8)]);
    }
    let mut put = |property: Option<u8>, bytes: &[u8]| {
        out.extend(property);
        // A field of a packet is never longer.
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend(bytes.iter().take(usize::from(length)));
    };
    if let Some(text) = &will.content_type {
        put(Some(CONTENT_TYPE), text.as_bytes());
    }
    if let Some(text) = &will.response_topic {
        put(Some(RESPONSE_TOPIC), text.as_bytes());
    }
    if let Some(bytes) = &will.correlation_data {
        put(Some(CORRELATION_DATA), bytes);
    }
    for (name, value) in &will.user_properties {
        put(Some(USER), name.as_bytes());
        put(None, value.as_bytes());
    }
    out.into_boxed_slice()
}

fn check_topic(topic: &str) -> Result<(), Violation> {
    let fault = |what| Violation::new(DisconnectReasonCode::TopicNameInvalid, what);
    if topic.bytes().any(|b| matches!(b, b'+' | b'#')) {
        return Err(fault("wildcard in a topic name"));
    }
    Ok(())
}

const PAYLOAD_FORMAT: u8 = 0x01;
const MESSAGE_EXPIRY: u8 = 0x02;
const CONTENT_TYPE: u8 = 0x03;
const RESPONSE_TOPIC: u8 = 0x08;
const CORRELATION_DATA: u8 = 0x09;
const SUBSCRIPTION_ID: u8 = 0x0b;
const TOPIC_ALIAS: u8 = 0x23;
const USER: u8 = 0x26;

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use proptest::prelude::*;
    use rmqtt_codec::{types, v3, v5};
    use tokio_util::codec::Encoder;

    use super::*;
    use crate::broker::wire::frame;

    fn read(version: Version, bytes: &[u8]) -> Result<Publish<'_>, DisconnectReasonCode> {
        let frame = frame(bytes, 1 << 20).map_err(|v| v.reason)?.expect("whole");
        Publish::read(version, frame).map_err(|v| v.reason)
    }

    fn publishes() -> impl Strategy<Value = types::Publish> {
        let text = "[a-zA-Z0-9/\u{4e00}-\u{4e80}]{1,40}";
        let properties = (
            proptest::option::of(1_u16..),
            proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20)),
            proptest::option::of(1_u32..),
            proptest::option::of(text),
            proptest::collection::vec((text, text), 0..4),
            any::<bool>(),
        )
            .prop_map(|(alias, correlation, expiry, content, user, utf8)| {
                v5::PublishProperties {
                    topic_alias: alias.and_then(std::num::NonZeroU16::new),
                    correlation_data: correlation.map(Into::into),
                    message_expiry_interval: expiry.and_then(std::num::NonZeroU32::new),
                    response_topic: content.clone().map(Into::into),
                    content_type: content.map(Into::into),
                    user_properties: user
                        .into_iter()
                        .map(|(k, v)| (k.into(), v.into()))
                        .collect(),
                    is_utf8_payload: utf8,
                    subscription_ids: Vec::new(),
                }
            });
        let payload = proptest::collection::vec(any::<u8>(), 0..300);
        (
            0_u8..3,
            any::<(bool, bool)>(),
            text,
            1_u16..,
            payload,
            properties,
        )
            .prop_map(|(qos, (dup, retain), topic, id, payload, properties)| {
                types::Publish {
                    dup: dup && qos > 0,
                    retain,
                    qos: QoS::try_from(qos).unwrap(),
                    topic: topic.into(),
                    packet_id: std::num::NonZeroU16::new(id).filter(|_| qos > 0),
                    payload: payload.into(),
                    properties: Some(properties),
                }
            })
    }

    fn bytes(version: Version, publish: &types::Publish) -> BytesMut {
        let mut bytes = BytesMut::new();
        let publish = Box::new(publish.clone());
        match version {
            Version::V3 => v3::Codec::default()
                .encode(v3::Packet::Publish(publish), &mut bytes)
                .unwrap(),
            Version::V5 => v5::Codec::default()
                .encode(v5::Packet::Publish(publish), &mut bytes)
                .unwrap(),
        }
        bytes
    }

    proptest! {
        #[test]
        fn what_the_library_writes_is_read_as_it_was_meant(publish in publishes()) {
            for version in [Version::V3, Version::V5] {
                let bytes = bytes(version, &publish);
                let read = read(version, &bytes).unwrap();
                prop_assert_eq!(read.topic, &*publish.topic);
                prop_assert_eq!(read.payload, &*publish.payload);
                prop_assert_eq!(read.id, publish.packet_id.map_or(0, Into::into));
                prop_assert_eq!((read.qos, read.retain), (publish.qos, publish.retain));
                if version == Version::V5 {
                    let properties = publish.properties.as_ref().unwrap();
                    prop_assert_eq!(read.alias, properties.topic_alias.map(Into::into));
                    prop_assert_eq!(read.payload_utf8, properties.is_utf8_payload);
                    prop_assert_eq!(&read.user_properties, &properties.user_properties);
                    let (utf8, user) = read_forwarded(&read.forwarded()).unwrap();
                    prop_assert_eq!(utf8, properties.is_utf8_payload);
                    prop_assert_eq!(&user, &properties.user_properties);
                }
            }
        }
    }

    #[test]
    fn what_a_publish_must_not_hold_has_its_reason_code() {
        use DisconnectReasonCode as Code;
        let cases: [(&[u8], Code); 13] = [
            (b"\x30\x04\x00\x01+\x00", Code::TopicNameInvalid),
            (b"\x30\x04\x00\x01#\x00", Code::TopicNameInvalid),
            (b"\x30\x04\x00\x01\x00\x00", Code::MalformedPacket),
            (b"\x30\x04\x00\x01\xff\x00", Code::MalformedPacket),
            (b"\x38\x04\x00\x01a\x00", Code::MalformedPacket),
            (b"\x32\x06\x00\x01a\x00\x00\x00", Code::MalformedPacket),
            (b"\x30\x03\x00\x00\x00", Code::ProtocolError),
            (b"\x30\x06\x00\x01a\x02\x0b\x01", Code::ProtocolError),
            (b"\x30\x06\x00\x01a\x02\x01\x02", Code::ProtocolError),
            (
                b"\x30\x08\x00\x01a\x04\x01\x01\x01\x01",
                Code::ProtocolError,
            ),
            (b"\x30\x08\x00\x01a\x04\x08\x00\x01#", Code::ProtocolError),
            (b"\x30\x06\x00\x01a\x02\x24\x01", Code::MalformedPacket),
            (b"\x30\x04\x00\x01a\x05", Code::MalformedPacket),
        ];
        for (bytes, reason) in cases {
            assert_eq!(read(Version::V5, bytes).unwrap_err(), reason, "{bytes:x?}");
        }
        assert_eq!(
            read(Version::V3, b"\x30\x02\x00\x00").unwrap_err(),
            Code::MalformedPacket
        );
    }
}
