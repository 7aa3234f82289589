//! The broker's durable records: what they are called and what stands in them. An archive keeps them and understands
//! nothing of it.
//!
//! ```text
//! key    0 kind | 1..5 session's number, big-endian | 5..10 position, big-endian      (a session's records)
//!        0 kind | 1..9 number, big-endian | 9 zero                                    (bodies, retained messages)
//! value  0 version (1) | protobuf
//!
//! 0x60 session    who and which client, expiry, since when away, will, subscriptions
//! 0x61 letter     a message that waits for a session, or a QoS 2 exchange up to its PUBCOMP
//! 0x62 body       the message of letters
//! 0x63 retained   a retained message
//! 0x64 received   a QoS 2 identifier of a publish from the client, up to its PUBREL
//! ```
//!
//! Numbers of fields are for ever: a field that is no longer needed leaves its number unused.

use rmqtt_codec::types::QoS;

use super::{archive::RecordKey, message::Message};
use crate::domain::UnixNanos;

pub(crate) const SESSION: u8 = 0x60;
pub(crate) const LETTER: u8 = 0x61;
pub(crate) const BODY: u8 = 0x62;
pub(crate) const RETAINED: u8 = 0x63;
pub(crate) const RECEIVED: u8 = 0x64;

const VERSION: u8 = 1;

/// A session that outlives its connections.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SessionRecord {
    /// 1: a device, 2: an application, 3: an anonymous client.
    #[prost(uint32, tag = "1")]
    pub(crate) principal_kind: u32,
    /// The device's identity or the application's name.
    #[prost(string, tag = "2")]
    pub(crate) principal: String,
    #[prost(string, tag = "3")]
    pub(crate) client_id: String,
    /// Seconds that it outlives a connection.
    #[prost(uint32, tag = "4")]
    pub(crate) expiry_s: u32,
    /// Since when the client is away, nanoseconds since 1970; 0: it was connected.
    #[prost(uint64, tag = "5")]
    pub(crate) away_since: u64,
    /// Letters from this position on were never sent; 0: not known.
    #[prost(uint64, tag = "6")]
    pub(crate) unsent_from: u64,
    #[prost(message, optional, tag = "7")]
    pub(crate) will: Option<WillRecord>,
    #[prost(message, repeated, tag = "8")]
    pub(crate) subscriptions: Vec<SubscriptionRecord>,
}

/// A will that waits.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct WillRecord {
    #[prost(message, optional, tag = "1")]
    pub(crate) message: Option<MessageRecord>,
    #[prost(uint32, tag = "2")]
    pub(crate) delay_s: u32,
    /// Seconds that the message is worth once it is published; absent: for ever.
    #[prost(uint32, optional, tag = "3")]
    pub(crate) expiry_s: Option<u32>,
}

/// A subscription.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SubscriptionRecord {
    /// As the client wrote it, `$share` and all.
    #[prost(string, tag = "1")]
    pub(crate) filter: String,
    /// The options' byte of SUBSCRIBE.
    #[prost(uint32, tag = "2")]
    pub(crate) options: u32,
    /// 0: none.
    #[prost(uint32, tag = "3")]
    pub(crate) id: u32,
}

/// A message that waits for a session.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LetterRecord {
    /// The body's number; 0: the client has it, PUBREL is owed.
    #[prost(uint64, tag = "1")]
    pub(crate) body: u64,
    #[prost(uint32, tag = "2")]
    pub(crate) qos: u32,
    #[prost(bool, tag = "3")]
    pub(crate) retain: bool,
    #[prost(uint32, repeated, tag = "4")]
    pub(crate) ids: Vec<u32>,
}

/// A message.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct MessageRecord {
    #[prost(string, tag = "1")]
    pub(crate) topic: String,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) payload: bytes::Bytes,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) forwarded: Vec<u8>,
    #[prost(uint32, tag = "4")]
    pub(crate) qos: u32,
    #[prost(bool, tag = "5")]
    pub(crate) retain: bool,
    /// When it is too old, nanoseconds since 1970; 0: never.
    #[prost(uint64, tag = "6")]
    pub(crate) expires: u64,
    /// When the broker took it, nanoseconds since 1970.
    #[prost(uint64, tag = "7")]
    pub(crate) taken_at: u64,
}

/// A message's record.
pub(crate) fn message(message: &Message) -> MessageRecord {
    MessageRecord {
        topic: message.topic.clone().into_string(),
        payload: message.payload.clone(),
        forwarded: message.forwarded.to_vec(),
        qos: message.qos.value().into(),
        retain: message.retain,
        expires: message.expires.map_or(0, |expires| expires.0),
        taken_at: message.taken_at.0,
    }
}

/// The message of a record.
pub(crate) fn read_message(record: MessageRecord) -> Message {
    Message {
        topic: record.topic.into_boxed_str(),
        payload: record.payload,
        forwarded: record.forwarded.into_boxed_slice(),
        qos: qos(record.qos),
        retain: record.retain,
        expires: (record.expires != 0).then_some(UnixNanos(record.expires)),
        taken_at: UnixNanos(record.taken_at),
        body: None,
    }
}

/// A `QoS` by its number.
pub(crate) const fn qos(number: u32) -> QoS {
    match number {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    }
}

/// The value of a record.
pub(crate) fn encode(record: &impl prost::Message) -> Vec<u8> {
    let mut value = Vec::with_capacity(1 + record.encoded_len());
    value.push(VERSION);
    // A vector always has room.
    record.encode(&mut value).unwrap_or_default();
    value
}

/// Reads a record's value; `None` if it is none of this version.
pub(crate) fn decode<R: prost::Message + Default>(value: &[u8]) -> Option<R> {
    match value.split_first() {
        Some((&VERSION, record)) => R::decode(record).ok(),
        _ => None,
    }
}

/// The key of a session.
pub(crate) fn session_key(session: u32) -> RecordKey {
    positioned(SESSION, session, 0)
}

/// The key of a letter.
pub(crate) fn letter_key(session: u32, position: u64) -> RecordKey {
    positioned(LETTER, session, position)
}

/// The key of a received `QoS` 2 identifier.
pub(crate) fn received_key(session: u32, id: u16) -> RecordKey {
    positioned(RECEIVED, session, u64::from(id))
}

/// The key of a body.
pub(crate) const fn body_key(number: u64) -> RecordKey {
    numbered(BODY, number)
}

/// The key of a retained message.
pub(crate) const fn retained_key(number: u64) -> RecordKey {
    numbered(RETAINED, number)
}

/// Session and position of a session's record.
pub(crate) fn read_positioned(key: &RecordKey) -> (u32, u64) {
    let [_, a, b, c, d, rest @ ..] = *key;
    let [e, f, g, h, i] = rest;
    (
        u32::from_be_bytes([a, b, c, d]),
        u64::from_be_bytes([0, 0, 0, e, f, g, h, i]),
    )
}

/// The number of a body or a retained message.
pub(crate) const fn read_number(key: &RecordKey) -> u64 {
    let [_, a, b, c, d, e, f, g, h, _] = *key;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

const fn positioned(kind: u8, session: u32, position: u64) -> RecordKey {
    let [a, b, c, d] = session.to_be_bytes();
    let [_, _, _, e, f, g, h, i] = position.to_be_bytes();
    [kind, a, b, c, d, e, f, g, h, i]
}

const fn numbered(kind: u8, number: u64) -> RecordKey {
    let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
    [kind, a, b, c, d, e, f, g, h, 0]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keys_say_what_they_were_made_of(session: u32, position in 0_u64..1 << 40, number: u64) {
            prop_assert_eq!(read_positioned(&letter_key(session, position)), (session, position));
            prop_assert_eq!(read_number(&body_key(number)), number);
        }
    }

    #[test]
    fn a_letter_of_version_1_is_read_as_it_was_written() {
        // The bytes of the first release: they must be readable for ever.
        let value = [1, 0x08, 0x2a, 0x10, 0x02, 0x18, 0x01, 0x22, 0x01, 0x07];
        let letter = LetterRecord {
            body: 42,
            qos: 2,
            retain: true,
            ids: vec![7],
        };
        assert_eq!(encode(&letter), value);
        assert_eq!(decode(&value), Some(letter));
        assert_eq!(decode::<LetterRecord>(&[2, 0x08]), None);
    }
}
