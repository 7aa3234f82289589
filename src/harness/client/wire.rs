//! MQTT as a device speaks it, 3.1.1 and 5. What is sent once per connection goes through the codec library; PUBLISH
//! and the acknowledgements are framed here, because a load generator sends and reads hundreds of thousands a second:
//!
//! ```text
//! PUBLISH  | 0x30 dup<<3 qos<<1 | remaining (varint) | topic len (2) | topic | packet id (2)* | 0x00** | payload |
//! PUBACK   | 0x40 | 2 or more | packet id (2) | reason code** | properties** |
//!            * QoS 1 and 2   ** MQTT 5; an absent reason code is 0
//! ```

use std::num::NonZeroU16;

use bytes::{Bytes, BytesMut};
use rmqtt_codec::{
    types::{Protocol, QoS},
    v3, v5,
};
use thiserror::Error;
use tokio_util::codec::Encoder as _;

/// Largest packet taken from a gateway, bytes: commands and acknowledgements are small.
pub(super) const INBOUND_BYTES_MAX: usize = 1 << 20;

/// The protocol's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// MQTT 3.1.1.
    V3,
    /// MQTT 5.
    V5,
}

/// Quality of service of a publish.
#[expect(clippy::enum_variant_names, reason = "the protocol's own names")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qos {
    /// At most once: no acknowledgement.
    AtMostOnce = 0,
    /// At least once: PUBACK.
    AtLeastOnce = 1,
    /// Exactly once: PUBREC, PUBREL, PUBCOMP.
    ExactlyOnce = 2,
}

impl Qos {
    /// The level of a number, 0 to 2.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }
}

/// Why bytes could not be written or read as MQTT.
#[derive(Debug, Error)]
pub enum WireError {
    /// The codec refused to encode a packet.
    #[error("packet cannot be encoded: {0:?}")]
    Encode(rmqtt_codec::error::EncodeError),
    /// The codec could not read a packet of the gateway.
    #[error("packet of the gateway cannot be read: {0:?}")]
    Decode(rmqtt_codec::error::DecodeError),
    /// A packet breaks the framing.
    #[error("the gateway sent a malformed packet: {0}")]
    Malformed(&'static str),
    /// A topic or a packet that is longer than the protocol allows.
    #[error("{0} is too long for MQTT")]
    TooLong(&'static str),
}

/// What a connection introduces itself with.
#[derive(Debug, Clone, Default)]
pub struct Login<'a> {
    /// Client id; may be empty.
    pub client_id: &'a str,
    /// Username and password.
    pub credentials: Option<(&'a str, &'a [u8])>,
    /// Keep-alive, seconds; 0: none.
    pub keep_alive_s: u16,
    /// Seconds that the session outlives the connection; 0: a clean session.
    pub session_expiry_s: u32,
}

/// An encoded CONNECT.
///
/// # Errors
/// A text is longer than MQTT allows.
pub fn connect(version: Version, login: &Login<'_>) -> Result<Bytes, WireError> {
    let mut out = BytesMut::new();
    let username = login.credentials.map(|(name, _)| name.into());
    let password = login
        .credentials
        .map(|(_, secret)| Bytes::copy_from_slice(secret));
    match version {
        Version::V3 => {
            let packet = v3::Packet::from(v3::Connect {
                protocol: Protocol::default(),
                clean_session: login.session_expiry_s == 0,
                keep_alive: login.keep_alive_s,
                last_will: None,
                client_id: login.client_id.into(),
                username,
                password,
                cert: None,
            });
            v3::Codec::default()
                .encode(packet, &mut out)
                .map_err(WireError::Encode)?;
        }
        Version::V5 => {
            let packet = v5::Packet::Connect(Box::new(v5::Connect {
                clean_start: login.session_expiry_s == 0,
                keep_alive: login.keep_alive_s,
                session_expiry_interval_secs: login.session_expiry_s,
                client_id: login.client_id.into(),
                username,
                password,
                request_problem_info: true,
                ..v5::Connect::default()
            }));
            v5::Codec::default()
                .encode(packet, &mut out)
                .map_err(WireError::Encode)?;
        }
    }
    Ok(out.freeze())
}

/// An encoded SUBSCRIBE of one filter at `QoS` 1, with packet id 1.
///
/// # Errors
/// The filter is longer than MQTT allows.
pub fn subscribe(version: Version, filter: &str) -> Result<Bytes, WireError> {
    subscribe_to(version, (NonZeroU16::MIN, Qos::AtLeastOnce), &[filter])
}

/// An encoded SUBSCRIBE of these filters, all at one level.
///
/// # Errors
/// A filter is longer than MQTT allows.
pub fn subscribe_to(
    version: Version,
    (packet_id, qos): (NonZeroU16, Qos),
    filters: &[&str],
) -> Result<Bytes, WireError> {
    let mut out = BytesMut::new();
    let qos = match qos {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
        Qos::ExactlyOnce => QoS::ExactlyOnce,
    };
    let options = v5::SubscriptionOptions {
        qos,
        ..v5::SubscriptionOptions::default()
    };
    match version {
        Version::V3 => v3::Codec::default().encode(
            v3::Packet::Subscribe {
                packet_id,
                topic_filters: filters.iter().map(|&f| (f.into(), qos)).collect(),
            },
            &mut out,
        ),
        Version::V5 => v5::Codec::default().encode(
            v5::Packet::Subscribe(v5::Subscribe {
                packet_id,
                id: None,
                user_properties: Vec::new(),
                topic_filters: filters.iter().map(|&f| (f.into(), options)).collect(),
            }),
            &mut out,
        ),
    }
    .map_err(WireError::Encode)?;
    Ok(out.freeze())
}

/// Where in an encoded PUBLISH the parts stand that a sender changes from one sending to the next, bytes from its
/// start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spots {
    /// The packet id, 2 bytes; 0 at `QoS` 0.
    pub packet_id: usize,
    /// The payload.
    pub payload: usize,
}

/// Appends a PUBLISH and says where its changing parts stand. `packet_id` is not used at `QoS` 0.
///
/// # Errors
/// The topic or the payload is longer than MQTT allows.
pub fn publish(
    version: Version,
    (qos, packet_id): (Qos, u16),
    topic: &str,
    payload: &[u8],
    out: &mut Vec<u8>,
) -> Result<Spots, WireError> {
    let start = out.len();
    let topic_len = u16::try_from(topic.len()).or(Err(WireError::TooLong("topic")))?;
    let id_len = if qos == Qos::AtMostOnce { 0 } else { 2 };
    let properties_len = usize::from(version == Version::V5);
    let remaining = 2 + topic.len() + id_len + properties_len + payload.len();
    out.push(0x30 | ((qos as u8) << 1));
    put_varint(
        u32::try_from(remaining).or(Err(WireError::TooLong("payload")))?,
        out,
    )?;
    out.extend_from_slice(&topic_len.to_be_bytes());
    out.extend_from_slice(topic.as_bytes());
    let packet_id_at = if id_len == 0 { 0 } else { out.len() - start };
    if id_len > 0 {
        out.extend_from_slice(&packet_id.to_be_bytes());
    }
    if version == Version::V5 {
        out.push(0);
    }
    let payload_at = out.len() - start;
    out.extend_from_slice(payload);
    Ok(Spots {
        packet_id: packet_id_at,
        payload: payload_at,
    })
}

/// A PUBACK without a reason.
#[must_use]
pub const fn puback(packet_id: u16) -> [u8; 4] {
    let id = packet_id.to_be_bytes();
    [0x40, 2, id[0], id[1]]
}

/// A PUBREL.
#[must_use]
pub const fn pubrel(packet_id: u16) -> [u8; 4] {
    let id = packet_id.to_be_bytes();
    [0x62, 2, id[0], id[1]]
}

fn put_varint(mut value: u32, out: &mut Vec<u8>) -> Result<(), WireError> {
    if value > 268_435_455 {
        return Err(WireError::TooLong("packet"));
    }
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(low & 0x7F);
            return Ok(());
        }
        out.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::codec::Decoder as _;

    use super::{
        super::inbound::{AckKind, Inbound, next_inbound},
        *,
    };

    #[test]
    fn a_publish_written_here_is_read_by_the_codec() {
        let payload = vec![b'x'; 200];
        for version in [Version::V3, Version::V5] {
            let mut out = b"before".to_vec();
            let spots = publish(
                version,
                (Qos::AtLeastOnce, 0x1234),
                "v1/a/b/up",
                &payload,
                &mut out,
            )
            .unwrap();
            let frame = &out[6..];
            assert_eq!(frame[spots.packet_id..][..2], [0x12, 0x34]);
            assert_eq!(frame[spots.payload..], payload);
            let mut bytes = BytesMut::from(frame);
            let (topic, read) = match version {
                Version::V3 => match v3::Codec::default().decode(&mut bytes).unwrap().unwrap().0 {
                    v3::Packet::Publish(p) => (p.topic, p.payload),
                    other => panic!("{other:?}"),
                },
                Version::V5 => match v5::Codec::default().decode(&mut bytes).unwrap().unwrap().0 {
                    v5::Packet::Publish(p) => (p.topic, p.payload),
                    other => panic!("{other:?}"),
                },
            };
            assert_eq!((&*topic, &read[..]), ("v1/a/b/up", &payload[..]));
        }
    }

    #[test]
    fn acknowledgements_are_read_with_and_without_a_reason() {
        let read = |bytes: &[u8]| next_inbound(Version::V5, bytes).unwrap();
        let ack = |kind, packet_id, code| Inbound::Ack {
            kind,
            packet_id,
            code,
        };
        assert_eq!(read(&[0x40]), None);
        assert_eq!(read(&[0x40, 2, 0]), None);
        assert_eq!(
            read(&[0x40, 2, 0, 7, 0x40]),
            Some((ack(AckKind::PubAck, 7, 0), 4))
        );
        assert_eq!(
            read(&[0x50, 4, 1, 0, 0x99, 0]),
            Some((ack(AckKind::PubRec, 256, 0x99), 6))
        );
        assert_eq!(
            next_inbound(Version::V3, &[0x20, 2, 0, 5]).unwrap(),
            Some((
                Inbound::ConnAck {
                    code: 5,
                    receive_max: u16::MAX
                },
                4
            ))
        );
        assert!(next_inbound(Version::V5, &[0x40, 0xFF, 0xFF, 0xFF, 0xFF]).is_err());
    }

    #[test]
    fn of_a_suback_with_many_codes_the_refusal_counts() {
        let code = |version, bytes: &[u8]| match next_inbound(version, bytes).unwrap() {
            Some((Inbound::Ack { code, .. }, _)) => code,
            other => panic!("{other:?}"),
        };
        assert_eq!(code(Version::V5, &[0x90, 6, 0, 1, 0, 1, 0x87, 0]), 0x87);
        let reason = [0x90, 8, 0, 1, 4, 0x1F, 0, 1, b'x', 1];
        assert_eq!(code(Version::V5, &reason), 1);
        assert_eq!(code(Version::V3, &[0x90, 4, 0, 1, 0x80, 1]), 0x80);
        assert!(next_inbound(Version::V5, &[0x90, 3, 0, 1, 0x80]).is_err());
    }

    #[test]
    fn a_connect_carries_its_credentials() {
        let login = Login {
            client_id: "c",
            credentials: Some(("a/b", b"secret")),
            keep_alive_s: 60,
            session_expiry_s: 0,
        };
        let bytes = connect(Version::V5, &login).unwrap();
        let packet = v5::Codec::default()
            .decode(&mut BytesMut::from(&bytes[..]))
            .unwrap()
            .unwrap()
            .0;
        let v5::Packet::Connect(packet) = packet else {
            panic!("{packet:?}")
        };
        assert_eq!(packet.username.as_deref(), Some("a/b"));
        assert!(packet.clean_start);
        assert!(!subscribe(Version::V3, "v1/a/b/down").unwrap().is_empty());
    }
}
