//! What a gateway sends, as far as a device cares: the answers to its packets, and messages.

use bytes::BytesMut;
use rmqtt_codec::v5;
use tokio_util::codec::Decoder as _;

use super::wire::{INBOUND_BYTES_MAX, Version, WireError};

/// Kinds of packets that answer one of ours by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckKind {
    /// To a `QoS` 1 publish: it is durable.
    PubAck,
    /// To a `QoS` 2 publish: it is durable.
    PubRec,
    /// The end of a `QoS` 2 exchange.
    PubComp,
    /// To a SUBSCRIBE.
    SubAck,
}

/// A packet of the gateway, as far as a device cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inbound {
    /// The answer to CONNECT.
    ConnAck {
        /// Reason or return code; 0: welcome.
        code: u8,
        /// Most publishes that may await their acknowledgement.
        receive_max: u16,
    },
    /// An acknowledgement.
    Ack {
        /// Of what.
        kind: AckKind,
        /// Its packet id.
        packet_id: u16,
        /// Reason code; 0 in 3.1.1 and where absent. Of a SUBACK the highest, which is a refusal if there is one.
        code: u8,
    },
    /// A command for the device, with its packet id at `QoS` 1 and 2.
    Publish(Option<u16>),
    /// The gateway says goodbye, with its reason.
    Disconnect(u8),
    /// Anything else, PINGRESP above all.
    Other,
}

/// The first packet in `bytes` and its length; none while it is incomplete.
///
/// # Errors
/// The bytes are no MQTT.
pub fn next_inbound(version: Version, bytes: &[u8]) -> Result<Option<(Inbound, usize)>, WireError> {
    let Some(&first) = bytes.first() else {
        return Ok(None);
    };
    let Some((remaining, header)) = remaining_length(bytes)? else {
        return Ok(None);
    };
    let Some(frame) = bytes.get(..header + remaining) else {
        return Ok(None);
    };
    let body = frame.get(header..).unwrap_or_default();
    let ack = |kind| {
        Ok(Inbound::Ack {
            kind,
            packet_id: packet_id(body)?,
            code: body.get(2).copied().unwrap_or(0),
        })
    };
    let packet = match first >> 4 {
        2 => connack(version, frame, body)?,
        3 => Inbound::Publish(published_id(first, body)?),
        4 => ack(AckKind::PubAck)?,
        5 => ack(AckKind::PubRec)?,
        7 => ack(AckKind::PubComp)?,
        9 => Inbound::Ack {
            kind: AckKind::SubAck,
            packet_id: packet_id(body)?,
            code: suback_code(version, body)?,
        },
        14 => Inbound::Disconnect(body.first().copied().unwrap_or(0)),
        _ => Inbound::Other,
    };
    Ok(Some((packet, frame.len())))
}

/// The highest code of a SUBACK; MQTT 5 puts properties before its codes.
fn suback_code(version: Version, body: &[u8]) -> Result<u8, WireError> {
    let rest = body.get(2..).unwrap_or_default();
    let codes = match version {
        Version::V3 => Some(rest),
        Version::V5 => {
            let mut length = 0_usize;
            let end = rest.iter().take(4).position(|byte| byte & 0x80 == 0);
            for byte in rest.iter().take(end.map_or(0, |end| end + 1)).rev() {
                length = length << 7 | usize::from(byte & 0x7F);
            }
            end.and_then(|end| rest.get(end + 1 + length..))
        }
    };
    let highest = codes.and_then(|codes| codes.iter().max());
    highest
        .copied()
        .ok_or(WireError::Malformed("a SUBACK without a code"))
}

fn packet_id(body: &[u8]) -> Result<u16, WireError> {
    body.first_chunk::<2>()
        .map(|id| u16::from_be_bytes(*id))
        .ok_or(WireError::Malformed(
            "an acknowledgement without a packet id",
        ))
}

fn published_id(first: u8, body: &[u8]) -> Result<Option<u16>, WireError> {
    if first & 0b0110 == 0 {
        return Ok(None);
    }
    let topic_len = usize::from(packet_id(body)?);
    packet_id(body.get(2 + topic_len..).unwrap_or_default()).map(Some)
}

/// `(remaining length, length of the fixed header)`; none while incomplete. Also used by the yardstick's server.
pub(in crate::harness) fn remaining_length(
    bytes: &[u8],
) -> Result<Option<(usize, usize)>, WireError> {
    let mut value = 0_usize;
    for (at, &byte) in bytes.iter().enumerate().skip(1).take(4) {
        value |= usize::from(byte & 0x7F) << (7 * (at - 1));
        if byte & 0x80 == 0 {
            if value > INBOUND_BYTES_MAX {
                return Err(WireError::Malformed("a packet beyond 1 MiB"));
            }
            return Ok(Some((value, at + 1)));
        }
    }
    if bytes.len() >= 5 {
        return Err(WireError::Malformed("a length of more than four bytes"));
    }
    Ok(None)
}

fn connack(version: Version, frame: &[u8], body: &[u8]) -> Result<Inbound, WireError> {
    let code = *body
        .get(1)
        .ok_or(WireError::Malformed("a CONNACK without a code"))?;
    let receive_max = match version {
        Version::V3 => u16::MAX,
        Version::V5 => match v5::Codec::default().decode(&mut BytesMut::from(frame)) {
            Ok(Some((v5::Packet::ConnectAck(ack), _))) => ack.receive_max.get(),
            Ok(_) => return Err(WireError::Malformed("CONNACK")),
            Err(fault) => return Err(WireError::Decode(fault)),
        },
    };
    Ok(Inbound::ConnAck { code, receive_max })
}
