//! Every packet of a client but PUBLISH, through the library's codec. What the library lets pass is checked here first:
//!
//! - CONNECT: will flags without a will, a password without a username (3.1.1), bytes behind the last field, NUL in
//!   texts, authentication data without a method; and it refuses what MQTT 5 allows, an empty client identifier without
//!   clean start.
//! - Every MQTT 5 property section ([`properties`]).
//! - MQTT 3.1.1 SUBSCRIBE: reserved bits beside the `QoS`. PINGREQ and DISCONNECT with a body.
//!
//! Its size limit counts the remaining length only: frames are cut before, so it is given none.

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use rmqtt_codec::{
    error::DecodeError,
    types::QoS,
    v3,
    v5::{self, ConnectAckReason, DisconnectReasonCode, ToReasonCode},
};
use tokio_util::codec::Decoder;

use super::{Ack, Frame, Reader, Version, Violation, frame::CONNECT, properties};

/// A CONNECT, or how to turn it away.
#[derive(Debug)]
pub(crate) enum Greeting {
    /// CONNECT, lifted to MQTT 5's form.
    Connect(Version, Box<v5::Connect>),
    /// A CONNECT that is answered with a CONNACK and the end.
    Refused(Version, ConnectAckReason),
}

/// What a client asks for once it is connected.
#[derive(Debug)]
pub(crate) enum Request {
    /// PUBACK, PUBREC, PUBREL or PUBCOMP of an id with a reason code.
    Acknowledge(Ack, u16, u8),
    /// SUBSCRIBE.
    Subscribe(v5::Subscribe),
    /// UNSUBSCRIBE.
    Unsubscribe(v5::Unsubscribe),
    /// PINGREQ.
    Ping,
    /// DISCONNECT.
    Disconnect(v5::Disconnect),
    /// AUTH.
    Auth,
    /// A second CONNECT.
    Connect,
}

const CLEAN_START: u8 = 0x02;
const WILL: u8 = 0x04;
const WILL_DETAILS: u8 = 0x38;
const PASSWORD: u8 = 0x40;
const USERNAME: u8 = 0x80;

/// Reads the first packet of a connection.
pub(crate) fn read_greeting(frame: Frame<'_>) -> Result<Greeting, Violation> {
    if frame.first != CONNECT {
        return Err(Violation::protocol("the first packet is not CONNECT"));
    }
    let mut reader = Reader::new(frame.body);
    let name = reader.binary()?;
    let level = reader.u8()?;
    let version = match (name, level) {
        (b"MQTT", 5) => Version::V5,
        (b"MQTT", 4) | (b"MQIsdp", 3) => Version::V3,
        (b"MQTT", 0..=3) | (b"MQIsdp", _) => {
            return Ok(Greeting::Refused(
                Version::V3,
                ConnectAckReason::UnsupportedProtocolVersion,
            ));
        }
        (b"MQTT", _) => {
            return Ok(Greeting::Refused(
                Version::V5,
                ConnectAckReason::UnsupportedProtocolVersion,
            ));
        }
        _ => return Err(Violation::protocol("not MQTT")),
    };
    let flags_at = frame.whole.len() - reader.rest().len();
    match read_connect(version, frame, reader, flags_at) {
        Ok(connect) => Ok(Greeting::Connect(version, Box::new(connect))),
        Err(fault) => Ok(Greeting::Refused(version, connack_reason(fault))),
    }
}

fn connack_reason(fault: Violation) -> ConnectAckReason {
    match fault.reason {
        DisconnectReasonCode::ProtocolError => ConnectAckReason::ProtocolError,
        DisconnectReasonCode::QuotaExceeded => ConnectAckReason::QuotaExceeded,
        _ => ConnectAckReason::MalformedPacket,
    }
}

fn read_connect(
    version: Version,
    frame: Frame<'_>,
    reader: Reader<'_>,
    flags_at: usize,
) -> Result<v5::Connect, Violation> {
    let flags = check_layout(version, reader)?;
    // The library refuses an empty client identifier without clean start, whatever the version; the session decides
    // that. So it is shown clean start, and told the truth afterwards.
    let mut bytes = BytesMut::from(frame.whole);
    if let Some(byte) = bytes.get_mut(flags_at) {
        *byte |= CLEAN_START;
    }
    let clean = flags & CLEAN_START != 0;
    let mut connect = match version {
        Version::V3 => match v3::Codec::new(0).decode(&mut bytes).map_err(violation)? {
            Some((v3::Packet::Connect(connect), _)) => lift_connect(v3::Connect {
                clean_session: clean,
                ..*connect
            }),
            _ => return Err(Violation::malformed("CONNECT")),
        },
        Version::V5 => match v5::Codec::new(0, 0).decode(&mut bytes).map_err(violation)? {
            Some((v5::Packet::Connect(connect), _)) => v5::Connect {
                clean_start: clean,
                ..*connect
            },
            _ => return Err(Violation::malformed("CONNECT")),
        },
    };
    check_connect(&connect)?;
    // A will may outlive its connection by far: it must not hold the whole packet.
    if let Some(will) = &mut connect.last_will {
        will.message = Bytes::copy_from_slice(&will.message);
    }
    Ok(connect)
}

/// Walks through CONNECT behind the protocol level and returns its flags.
fn check_layout(version: Version, mut reader: Reader<'_>) -> Result<u8, Violation> {
    let flags = reader.u8()?;
    if flags & 1 != 0 {
        return Err(Violation::malformed("CONNECT's reserved flag is set"));
    }
    if flags & WILL == 0 && flags & WILL_DETAILS != 0 {
        return Err(Violation::malformed("will flags without a will"));
    }
    if version == Version::V3 && flags & PASSWORD != 0 && flags & USERNAME == 0 {
        return Err(Violation::malformed("password without username"));
    }
    reader.u16()?;
    if version == Version::V5 {
        properties::check(reader.properties()?)?;
    }
    reader.text()?;
    if flags & WILL != 0 {
        if version == Version::V5 {
            properties::check(reader.properties()?)?;
        }
        reader.text()?;
        reader.binary()?;
    }
    if flags & USERNAME != 0 {
        reader.text()?;
    }
    if flags & PASSWORD != 0 {
        reader.binary()?;
    }
    if reader.is_empty() {
        Ok(flags)
    } else {
        Err(Violation::malformed("bytes behind CONNECT's last field"))
    }
}

fn check_connect(connect: &v5::Connect) -> Result<(), Violation> {
    if connect.auth_data.is_some() && connect.auth_method.is_none() {
        return Err(Violation::protocol("authentication data without a method"));
    }
    let Some(will) = &connect.last_will else {
        return Ok(());
    };
    if will.topic.is_empty() || will.topic.contains(['+', '#']) {
        return Err(Violation::malformed("the will's topic is no topic name"));
    }
    if will
        .response_topic
        .as_ref()
        .is_some_and(|t| t.is_empty() || t.contains(['+', '#']))
    {
        return Err(Violation::protocol(
            "the will's response topic is no topic name",
        ));
    }
    Ok(())
}

fn lift_connect(connect: v3::Connect) -> v5::Connect {
    let will = |will: v3::LastWill| v5::LastWill {
        qos: will.qos,
        retain: will.retain,
        topic: will.topic,
        message: will.message,
        will_delay_interval_sec: None,
        correlation_data: None,
        message_expiry_interval: None,
        content_type: None,
        user_properties: Vec::new(),
        is_utf8_payload: None,
        response_topic: None,
    };
    v5::Connect {
        clean_start: connect.clean_session,
        keep_alive: connect.keep_alive,
        session_expiry_interval_secs: if connect.clean_session { 0 } else { u32::MAX },
        last_will: connect.last_will.map(will),
        client_id: connect.client_id,
        username: connect.username,
        password: connect.password,
        ..v5::Connect::default()
    }
}

/// Reads a packet of a connected client; PUBLISH is not among them.
pub(crate) fn read_request(version: Version, frame: Frame<'_>) -> Result<Request, Violation> {
    if let Some(ack) = Ack::of_type(frame.first >> 4) {
        // The short form, which is nearly every one.
        if let Ok([high, low]) = <[u8; 2]>::try_from(frame.body) {
            return match u16::from_be_bytes([high, low]) {
                0 => Err(Violation::malformed("packet identifier 0")),
                id => Ok(Request::Acknowledge(ack, id, 0)),
            };
        }
    }
    match frame.first >> 4 {
        1 => return Ok(Request::Connect),
        12 | 14 if frame.body.is_empty() => {}
        12 => return Err(Violation::malformed("PINGREQ with a body")),
        14 if version == Version::V3 => return Err(Violation::malformed("DISCONNECT with a body")),
        8 if version == Version::V3 => check_v3_subscribe(frame.body)?,
        15 if version == Version::V5 => return Ok(Request::Auth),
        _ if version == Version::V5 => check_section(frame)?,
        _ => {}
    }
    let mut bytes = BytesMut::from(frame.whole);
    match version {
        Version::V3 => match v3::Codec::new(0).decode(&mut bytes).map_err(violation)? {
            Some((packet, _)) => lift(packet),
            None => Err(Violation::malformed("packet ends early")),
        },
        Version::V5 => match v5::Codec::new(0, 0).decode(&mut bytes).map_err(violation)? {
            Some((packet, _)) => request(packet),
            None => Err(Violation::malformed("packet ends early")),
        },
    }
}

/// Checks the property section of an MQTT 5 packet that has one.
fn check_section(frame: Frame<'_>) -> Result<(), Violation> {
    let before = match frame.first >> 4 {
        // Packet identifier and reason code.
        4..=7 => 3,
        // Packet identifier.
        8 | 10 => 2,
        // Reason code.
        14 => 1,
        _ => return Ok(()),
    };
    match frame.body.get(before..) {
        Some(rest) if !rest.is_empty() => properties::check(Reader::new(rest).properties()?),
        _ => Ok(()),
    }
}

fn check_v3_subscribe(body: &[u8]) -> Result<(), Violation> {
    let mut reader = Reader::new(body);
    reader.u16()?;
    while !reader.is_empty() {
        reader.text()?;
        if reader.u8()? > 2 {
            return Err(Violation::malformed("reserved bits beside a filter's QoS"));
        }
    }
    Ok(())
}

fn lift(packet: v3::Packet) -> Result<Request, Violation> {
    let options = |(filter, qos): (ByteString, QoS)| {
        let options = v5::SubscriptionOptions {
            qos,
            ..v5::SubscriptionOptions::default()
        };
        (filter, options)
    };
    request(match packet {
        v3::Packet::Subscribe {
            packet_id,
            topic_filters,
        } => v5::Packet::Subscribe(v5::Subscribe {
            packet_id,
            id: None,
            user_properties: Vec::new(),
            topic_filters: topic_filters.into_iter().map(options).collect(),
        }),
        v3::Packet::Unsubscribe {
            packet_id,
            topic_filters,
        } => v5::Packet::Unsubscribe(v5::Unsubscribe {
            packet_id,
            user_properties: Vec::new(),
            topic_filters,
        }),
        v3::Packet::PingRequest => v5::Packet::PingRequest,
        v3::Packet::Disconnect => v5::Packet::Disconnect(v5::Disconnect::default()),
        _ => return Err(Violation::malformed("a packet that clients do not send")),
    })
}

fn request(packet: v5::Packet) -> Result<Request, Violation> {
    Ok(match packet {
        v5::Packet::PublishAck(ack) => {
            Request::Acknowledge(Ack::Puback, ack.packet_id.get(), ack.reason_code.into())
        }
        v5::Packet::PublishReceived(ack) => {
            Request::Acknowledge(Ack::Pubrec, ack.packet_id.get(), ack.reason_code.into())
        }
        v5::Packet::PublishRelease(ack) => {
            Request::Acknowledge(Ack::Pubrel, ack.packet_id.get(), ack.reason_code.into())
        }
        v5::Packet::PublishComplete(ack) => {
            Request::Acknowledge(Ack::Pubcomp, ack.packet_id.get(), ack.reason_code.into())
        }
        v5::Packet::Subscribe(subscribe) => {
            subscribe
                .topic_filters
                .iter()
                .try_for_each(|(filter, _)| check_filter(filter))?;
            Request::Subscribe(subscribe)
        }
        v5::Packet::Unsubscribe(unsubscribe) => {
            unsubscribe
                .topic_filters
                .iter()
                .try_for_each(check_filter)?;
            Request::Unsubscribe(unsubscribe)
        }
        v5::Packet::PingRequest => Request::Ping,
        v5::Packet::Disconnect(disconnect) => Request::Disconnect(disconnect),
        _ => return Err(Violation::malformed("a packet that clients do not send")),
    })
}

fn check_filter(filter: &ByteString) -> Result<(), Violation> {
    if filter.is_empty() {
        return Err(Violation::malformed("empty topic filter"));
    }
    if filter.contains('\0') {
        return Err(Violation::malformed("text holds NUL"));
    }
    Ok(())
}

fn violation(error: DecodeError) -> Violation {
    let reason = match &error {
        DecodeError::ConnectReservedFlagSet
        | DecodeError::InvalidConnectFlags
        | DecodeError::Utf8Error
        | DecodeError::UnsupportedPacketType => DisconnectReasonCode::MalformedPacket,
        DecodeError::InvalidTopicFilter => DisconnectReasonCode::ProtocolError,
        other => other.to_reason_code(),
    };
    Violation::new(reason, "the packet cannot be read")
}
