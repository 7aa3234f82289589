//! What the broker sends, written into one buffer so that a turn's answers leave in one write.
//!
//! Acknowledgements take their shortest form. The client's maximum packet size is kept here: a packet that is too large
//! loses its reason string first; if it still does not fit, it is not written and the caller is told. (The library's own
//! limit is not used: it computes `limit - 7` and overflows for clients that allow less.)

use bytes::{BufMut, BytesMut};
use rmqtt_codec::{types::QoS, v3, v5};
use tokio_util::codec::Encoder;

use super::Version;

/// The four packets of acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ack {
    /// Of a `QoS` 1 publish.
    Puback,
    /// Of a `QoS` 2 publish.
    Pubrec,
    /// Of a PUBREC.
    Pubrel,
    /// Of a PUBREL.
    Pubcomp,
}

impl Ack {
    /// The packet of a type number.
    pub(crate) const fn of_type(number: u8) -> Option<Self> {
        match number {
            4 => Some(Self::Puback),
            5 => Some(Self::Pubrec),
            6 => Some(Self::Pubrel),
            7 => Some(Self::Pubcomp),
            _ => None,
        }
    }

    const fn first_byte(self) -> u8 {
        match self {
            Self::Puback => 0x40,
            Self::Pubrec => 0x50,
            Self::Pubrel => 0x62,
            Self::Pubcomp => 0x70,
        }
    }
}

/// The packet is larger than the client allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLarge;

/// Writes packets for one client.
#[derive(Debug)]
pub(crate) struct Answers<'a> {
    /// Where they go.
    pub(crate) out: &'a mut BytesMut,
    /// The client's version.
    pub(crate) version: Version,
    /// The client's maximum packet size, bytes.
    pub(crate) bytes_max: u32,
    /// Whether the client wants reason strings.
    pub(crate) reasons: Reasons,
}

/// Whether a client wants reason strings (MQTT 5 request problem information).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reasons {
    /// It takes them.
    Wanted,
    /// It does not.
    Unwanted,
}

impl Answers<'_> {
    fn fits(&self, remaining: usize) -> bool {
        let total = remaining + 1 + variable_length(remaining);
        remaining < 1 << 28 && u32::try_from(total).is_ok_and(|total| total <= self.bytes_max)
    }

    fn may_reason(&self, fixed: usize, text: &str) -> bool {
        self.reasons == Reasons::Wanted && self.fits(reasoned(fixed, text))
    }

    fn begin(&mut self, first: u8, remaining: usize) -> Result<(), TooLarge> {
        if !self.fits(remaining) {
            return Err(TooLarge);
        }
        self.out.reserve(remaining + 5);
        self.out.put_u8(first);
        put_variable(self.out, remaining);
        Ok(())
    }

    /// Writes an acknowledgement; code and reason reach MQTT 5 clients only.
    pub(crate) fn ack(
        &mut self,
        ack: Ack,
        id: u16,
        code: u8,
        reason: Option<&str>,
    ) -> Result<(), TooLarge> {
        let first = ack.first_byte();
        if self.version == Version::V3 || code == 0 {
            self.begin(first, 2)?;
            self.out.put_u16(id);
            return Ok(());
        }
        let reason = reason.filter(|text| self.may_reason(3, text));
        self.begin(first, reason.map_or(3, |text| reasoned(3, text)))?;
        self.out.put_u16(id);
        self.out.put_u8(code);
        self.put_reason(reason);
        Ok(())
    }

    fn put_reason(&mut self, reason: Option<&str>) {
        let Some(text) = reason else { return };
        put_variable(self.out, 3 + text.len());
        self.out.put_u8(0x1f);
        self.out
            .put_u16(u16::try_from(text.len()).unwrap_or(u16::MAX));
        self.out.put_slice(text.as_bytes());
    }

    /// Writes PINGRESP.
    pub(crate) fn pong(&mut self) {
        self.out.put_slice(&[0xd0, 0]);
    }

    /// Writes SUBACK with one code for each filter.
    pub(crate) fn suback(&mut self, id: u16, codes: &[u8]) -> Result<(), TooLarge> {
        self.listed(0x90, id, codes)
    }

    /// Writes UNSUBACK; codes reach MQTT 5 clients only.
    pub(crate) fn unsuback(&mut self, id: u16, codes: &[u8]) -> Result<(), TooLarge> {
        match self.version {
            Version::V3 => self.listed(0xb0, id, &[]),
            Version::V5 => self.listed(0xb0, id, codes),
        }
    }

    fn listed(&mut self, first: u8, id: u16, codes: &[u8]) -> Result<(), TooLarge> {
        let properties = usize::from(self.version == Version::V5);
        self.begin(first, 2 + properties + codes.len())?;
        self.out.put_u16(id);
        self.out.put_bytes(0, properties);
        self.out.put_slice(codes);
        Ok(())
    }

    /// Writes a PUBLISH to the client. MQTT 3.1.1 has no properties: there it loses them.
    pub(crate) fn publish(&mut self, publish: &Outgoing<'_>) -> Result<(), TooLarge> {
        let topic_bytes = u16::try_from(publish.topic.len()).map_err(|_too_long| TooLarge)?;
        let id_bytes = if publish.qos == QoS::AtMostOnce { 0 } else { 2 };
        let properties = publish.properties_bytes();
        let section = match self.version {
            Version::V3 => 0,
            Version::V5 => variable_length(properties) + properties,
        };
        let first = 0x30
            | (publish.qos.value() << 1)
            | u8::from(publish.retain)
            | if publish.again { 8 } else { 0 };
        self.begin(
            first,
            2 + publish.topic.len() + id_bytes + section + publish.payload.len(),
        )?;
        self.out.put_u16(topic_bytes);
        self.out.put_slice(publish.topic.as_bytes());
        if id_bytes != 0 {
            self.out.put_u16(publish.id);
        }
        if self.version == Version::V5 {
            put_variable(self.out, properties);
            self.put_properties(publish);
        }
        self.out.put_slice(publish.payload);
        Ok(())
    }

    fn put_properties(&mut self, publish: &Outgoing<'_>) {
        self.out.put_slice(publish.forwarded);
        if let Some(seconds) = publish.expiry_s {
            self.out.put_u8(0x02);
            self.out.put_u32(seconds);
        }
        if let Some(alias) = publish.alias {
            self.out.put_u8(0x23);
            self.out.put_u16(alias);
        }
        for id in publish.subscription_ids {
            self.out.put_u8(0x0b);
            put_variable(self.out, usize::try_from(*id).unwrap_or_default());
        }
    }

    /// Writes DISCONNECT to an MQTT 5 client; MQTT 3.1.1 has none from the server.
    pub(crate) fn disconnect(&mut self, code: u8, reason: Option<&str>) -> Result<(), TooLarge> {
        if self.version == Version::V3 {
            return Ok(());
        }
        let reason = reason.filter(|text| self.may_reason(1, text));
        self.begin(0xe0, reason.map_or(1, |text| reasoned(1, text)))?;
        self.out.put_u8(code);
        self.put_reason(reason);
        Ok(())
    }

    /// Writes CONNACK.
    pub(crate) fn connack(&mut self, ack: v5::ConnectAck) -> Result<(), TooLarge> {
        let start = self.out.len();
        let written = match self.version {
            Version::V3 => {
                let ack = v3::ConnectAck {
                    return_code: return_code(ack.reason_code),
                    session_present: ack.session_present,
                };
                v3::Codec::new(0).encode(v3::Packet::ConnectAck(ack), self.out)
            }
            Version::V5 => {
                v5::Codec::new(0, 0).encode(v5::Packet::ConnectAck(Box::new(ack)), self.out)
            }
        };
        let bytes = u32::try_from(self.out.len() - start).unwrap_or(u32::MAX);
        if written.is_err() || bytes > self.bytes_max {
            self.out.truncate(start);
            return Err(TooLarge);
        }
        Ok(())
    }
}

/// An outgoing PUBLISH.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "the packet's own flags")]
pub(crate) struct Outgoing<'a> {
    pub(crate) qos: QoS,
    /// Not written at `QoS` 0.
    pub(crate) id: u16,
    /// It may have been sent before: DUP.
    pub(crate) again: bool,
    pub(crate) retain: bool,
    /// Empty if the alias says it.
    pub(crate) topic: &'a str,
    pub(crate) alias: Option<u16>,
    /// Seconds until it is too old.
    pub(crate) expiry_s: Option<u32>,
    pub(crate) subscription_ids: &'a [u32],
    /// Properties as the publisher wrote them.
    pub(crate) forwarded: &'a [u8],
    pub(crate) payload: &'a [u8],
}

impl Outgoing<'_> {
    fn properties_bytes(&self) -> usize {
        let ids = self
            .subscription_ids
            .iter()
            .map(|&id| 1 + variable_length(usize::try_from(id).unwrap_or_default()));
        self.forwarded.len()
            + if self.expiry_s.is_some() { 5 } else { 0 }
            + if self.alias.is_some() { 3 } else { 0 }
            + ids.sum::<usize>()
    }
}

/// Remaining length of a packet with `fixed` bytes, a property section and in it a reason string.
const fn reasoned(fixed: usize, text: &str) -> usize {
    let properties = 3 + text.len();
    fixed + variable_length(properties) + properties
}

const fn variable_length(value: usize) -> usize {
    match value {
        0..=0x7f => 1,
        0x80..=0x3fff => 2,
        0x4000..=0x1f_ffff => 3,
        _ => 4,
    }
}

fn put_variable(out: &mut BytesMut, mut value: usize) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or_default();
        value >>= 7;
        out.put_u8(if value == 0 { low } else { low | 0x80 });
        if value == 0 {
            return;
        }
    }
}

/// MQTT 3.1.1's word for an MQTT 5 reason.
const fn return_code(reason: v5::ConnectAckReason) -> v3::ConnectAckReason {
    use v5::ConnectAckReason as Reason;
    match reason {
        Reason::Success => v3::ConnectAckReason::ConnectionAccepted,
        Reason::UnsupportedProtocolVersion => v3::ConnectAckReason::UnacceptableProtocolVersion,
        Reason::ClientIdentifierNotValid => v3::ConnectAckReason::IdentifierRejected,
        Reason::BadUserNameOrPassword => v3::ConnectAckReason::BadUserNameOrPassword,
        Reason::NotAuthorized | Reason::Banned | Reason::BadAuthenticationMethod => {
            v3::ConnectAckReason::NotAuthorized
        }
        _ => v3::ConnectAckReason::ServiceUnavailable,
    }
}
