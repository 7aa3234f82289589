//! Cuts the byte stream into control packets.
//!
//! ```text
//! | type, flags: 1 byte | remaining length: 1..4 bytes, 7 bits each, low first | remaining length bytes |
//! ```
//!
//! The first byte and the length are judged as soon as they are there, before the rest arrives: the limit counts the
//! whole packet, as MQTT 5 defines Maximum Packet Size.

use rmqtt_codec::v5::DisconnectReasonCode;

use super::Violation;

/// The first byte of CONNECT.
pub(super) const CONNECT: u8 = 0x10;

/// One whole control packet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    /// Type and flags.
    pub(crate) first: u8,
    /// Everything behind the remaining length.
    pub(crate) body: &'a [u8],
    /// The packet with its header.
    pub(crate) whole: &'a [u8],
}

/// A connection's first packet; `None` if it has not arrived completely. What does not begin as CONNECT is not waited
/// for: an HTTP request or a TLS handshake would be, up to the deadline, if its first byte happened to be a packet's.
pub(crate) fn first_frame(buffer: &[u8], bytes_max: u32) -> Result<Option<Frame<'_>>, Violation> {
    match buffer.first() {
        Some(&first) if first != CONNECT => {
            Err(Violation::protocol("the first packet is not CONNECT"))
        }
        _ => frame(buffer, bytes_max),
    }
}

/// The first packet in `buffer`; `None` if it has not arrived completely.
pub(crate) fn frame(buffer: &[u8], bytes_max: u32) -> Result<Option<Frame<'_>>, Violation> {
    let Some((&first, rest)) = buffer.split_first() else {
        return Ok(None);
    };
    if !is_client_packet(first) {
        return Err(Violation::malformed("no packet that a client may send"));
    }
    let mut remaining = 0_u32;
    for (at, &byte) in rest.iter().take(4).enumerate() {
        remaining |= u32::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return cut(buffer, first, at + 2, remaining, bytes_max);
        }
    }
    if rest.len() >= 4 {
        return Err(Violation::malformed(
            "remaining length has more than four bytes",
        ));
    }
    Ok(None)
}

fn cut(
    buffer: &[u8],
    first: u8,
    header: usize,
    remaining: u32,
    bytes_max: u32,
) -> Result<Option<Frame<'_>>, Violation> {
    let total = header.saturating_add(usize::try_from(remaining).unwrap_or(usize::MAX));
    if u32::try_from(total).unwrap_or(u32::MAX) > bytes_max {
        return Err(Violation::new(
            DisconnectReasonCode::PacketTooLarge,
            "packet is larger than the maximum packet size",
        ));
    }
    let (Some(whole), Some(body)) = (buffer.get(..total), buffer.get(header..total)) else {
        return Ok(None);
    };
    Ok(Some(Frame { first, body, whole }))
}

/// Whether a client may send a packet of this type with these flags, in any version.
const fn is_client_packet(first: u8) -> bool {
    match first >> 4 {
        3 => (first >> 1) & 3 != 3,
        1 | 4 | 5 | 7 | 12 | 14 | 15 => first & 0x0f == 0,
        6 | 8 | 10 => first & 0x0f == 2,
        _ => false,
    }
}

/// Reads the fields of a packet from its body, in place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Violation> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(Violation::malformed("packet ends inside a field"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Violation> {
        let (&byte, rest) = self
            .rest
            .split_first()
            .ok_or(Violation::malformed("packet ends inside a field"))?;
        self.rest = rest;
        Ok(byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Violation> {
        Ok(u16::from_be_bytes([self.u8()?, self.u8()?]))
    }

    pub(crate) fn variable(&mut self) -> Result<usize, Violation> {
        let mut value = 0_usize;
        for at in 0..4 {
            let byte = self.u8()?;
            value |= usize::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Violation::malformed(
            "variable byte integer has more than four bytes",
        ))
    }

    /// Bytes behind a two-byte length.
    pub(crate) fn binary(&mut self) -> Result<&'a [u8], Violation> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    /// UTF-8 behind a two-byte length, without NUL.
    pub(crate) fn text(&mut self) -> Result<&'a str, Violation> {
        let bytes = self.binary()?;
        let text = std::str::from_utf8(bytes)
            .map_err(|_not_utf8| Violation::malformed("text is not UTF-8"))?;
        if bytes.contains(&0) {
            return Err(Violation::malformed("text holds NUL"));
        }
        Ok(text)
    }

    /// The bytes of a property section.
    pub(crate) fn properties(&mut self) -> Result<Self, Violation> {
        let length = self.variable()?;
        Ok(Self::new(self.take(length)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(buffer: &[u8], max: u32) -> Result<Option<usize>, DisconnectReasonCode> {
        match frame(buffer, max) {
            Ok(found) => Ok(found.map(|f| f.whole.len())),
            Err(violation) => Err(violation.reason),
        }
    }

    #[test]
    fn a_packet_is_cut_only_when_it_is_complete() {
        let packet = [0xc0, 0x00, 0xff];
        assert_eq!(total(&packet[..1], 100), Ok(None));
        assert_eq!(total(&packet, 100), Ok(Some(2)));
        let publish = [0x30, 0x05, 0, 1, b'a', b'x', b'y'];
        for end in 0..publish.len() {
            assert_eq!(total(&publish[..end], 100), Ok(None));
        }
        assert_eq!(total(&publish, 100), Ok(Some(7)));
    }

    #[test]
    fn the_size_limit_counts_the_whole_packet_and_strikes_before_the_body_arrives() {
        assert_eq!(total(&[0x30, 98], 100), Ok(None));
        assert_eq!(
            total(&[0x30, 99], 100),
            Err(DisconnectReasonCode::PacketTooLarge)
        );
        let huge = [0x30, 0xff, 0xff, 0xff, 0x7f];
        assert_eq!(
            total(&huge, 1 << 20),
            Err(DisconnectReasonCode::PacketTooLarge)
        );
    }

    #[test]
    fn a_first_packet_is_judged_by_its_first_byte() {
        for bytes in [
            &b"P"[..],
            b"GET / HTTP/1.1",
            b"\x16\x03\x01",
            b"\x30\xff\xff\x3f",
        ] {
            let fault = first_frame(bytes, 1 << 20).unwrap_err();
            assert_eq!(
                fault.reason,
                DisconnectReasonCode::ProtocolError,
                "{bytes:x?}"
            );
        }
        for waits in [&b""[..], b"\x10", b"\x10\x02\x00"] {
            assert!(first_frame(waits, 1 << 20).unwrap().is_none(), "{waits:x?}");
        }
        assert_eq!(
            first_frame(b"\x10\x00", 1 << 20).unwrap().unwrap().first,
            CONNECT
        );
    }

    #[test]
    fn reserved_types_flags_and_lengths_are_malformed_at_once() {
        let malformed = Err(DisconnectReasonCode::MalformedPacket);
        for first in [
            0x00, 0x36, 0x3f, 0x20, 0x11, 0x60, 0x80, 0x90, 0xa0, 0xb0, 0xd0, 0xc1, 0xe4,
        ] {
            assert_eq!(total(&[first], 100), malformed, "{first:#x}");
        }
        assert_eq!(total(&[0x30, 0x80, 0x80, 0x80, 0x80], 100), malformed);
        assert_eq!(total(&[0x30, 0x80, 0x80, 0x80], 100), Ok(None));
    }
}
