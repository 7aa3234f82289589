//! Marks, escapes and the header: what stands around a body.

use super::super::{super::payload::Reject, Framing, bits::Bytes, malformed};

pub(super) const MARK: u8 = 0x7E;
pub(super) const ESCAPE: u8 = 0x7D;

const HEADER_MAX: usize = 2 + 2 + 1 + 10 + 2 + 4;
const BODY_MAX: usize = 0x3FF;

/// What can stand between two marks: header, body, check.
pub(super) const PLAIN_MAX: usize = HEADER_MAX + BODY_MAX + 1;

/// Attributes of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attributes(pub(super) u16);

impl Attributes {
    pub(super) const PACKETS: u16 = 1 << 13;
    pub(super) const EDITION_2019: u16 = 1 << 14;

    const fn has(self, bit: u16) -> bool {
        self.0 & bit != 0
    }

    fn body_len(self) -> usize {
        usize::from(self.0 & 0x3FF)
    }

    fn header_len(self) -> usize {
        let edition = if self.has(Self::EDITION_2019) { 17 } else { 12 };
        edition + if self.has(Self::PACKETS) { 4 } else { 0 }
    }
}

/// The header of a message.
#[derive(Debug)]
pub(super) struct Header<'a> {
    pub(super) command: u16,
    pub(super) version: Option<u8>,
    /// BCD.
    pub(super) phone: &'a [u8],
    pub(super) serial: u16,
    /// How many there are, and which one this is, from 1.
    pub(super) packets: Option<(u16, u16)>,
    pub(super) body_len: usize,
    pub(super) encryption: u16,
}

impl<'a> Header<'a> {
    pub(super) fn take(bytes: &mut Bytes<'a>) -> Result<Self, Reject> {
        let command = bytes.u16_be()?;
        let attributes = Attributes(bytes.u16_be()?);
        let (version, phone_len) = if attributes.has(Attributes::EDITION_2019) {
            (Some(bytes.u8()?), 10)
        } else {
            (None, 6)
        };
        let phone = bytes.take(phone_len)?;
        let serial = bytes.u16_be()?;
        let packets = if attributes.has(Attributes::PACKETS) {
            Some((bytes.u16_be()?, bytes.u16_be()?))
        } else {
            None
        };
        Ok(Self {
            command,
            version,
            phone,
            serial,
            packets,
            body_len: attributes.body_len(),
            encryption: attributes.0 >> 10 & 7,
        })
    }

    /// What the packets of a message have in common: phone, command, count and the serial number of the first, since
    /// those of the others follow it.
    pub(super) fn message_id(&self, number: u16) -> u64 {
        let total = self.packets.map_or(0, |(total, _)| total);
        let first = self.serial.wrapping_sub(number).wrapping_add(1);
        let words = [self.command, total, first]
            .into_iter()
            .flat_map(u16::to_be_bytes);
        let all = self.phone.iter().copied().chain(words);
        // FNV-1a
        all.fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        })
    }
}

/// The first frame. A mark closes it; where the same mark opens a frame whose length is right, it is left to that one:
/// the frame before it shares it, or was cut off.
pub(super) fn find(bytes: &[u8]) -> Framing {
    let is_mark = |byte: &u8| *byte == MARK;
    let Some(first) = bytes.iter().position(is_mark) else {
        return Framing::Nothing;
    };
    let marks = bytes.iter().skip(first).take_while(|byte| is_mark(byte));
    let skip = first + marks.count() - 1;
    let inner = bytes.get(skip + 1..).unwrap_or_default();
    let Some(inner_len) = inner.iter().position(is_mark) else {
        return Framing::Partial { skip };
    };
    let behind = inner.get(inner_len + 1..).unwrap_or_default();
    let next_len = behind.iter().position(is_mark);
    let next = next_len.and_then(|len| behind.get(..len));
    let is_shared = next.is_some_and(has_its_length);
    Framing::Frame {
        skip,
        len: inner_len + if is_shared { 1 } else { 2 },
    }
}

/// Whether what stands between two marks is as long as its header says.
fn has_its_length(escaped: &[u8]) -> bool {
    let mut room = [0; 4];
    let Some([_, _, high, low]) = front(escaped, &mut room) else {
        return false;
    };
    let attributes = Attributes(u16::from_be_bytes([high, low]));
    let escapes = escaped.iter().filter(|byte| **byte == ESCAPE).count();
    escaped.len() - escapes == attributes.header_len() + attributes.body_len() + 1
}

/// The first four bytes without escapes.
fn front(escaped: &[u8], room: &mut [u8; 4]) -> Option<[u8; 4]> {
    let mut from = escaped.iter();
    for place in &mut *room {
        *place = match *from.next()? {
            ESCAPE => meant(*from.next()?)?,
            byte => byte,
        };
    }
    Some(*room)
}

/// The byte that an escape stands for.
const fn meant(second: u8) -> Option<u8> {
    match second {
        1 => Some(ESCAPE),
        2 => Some(MARK),
        _ => None,
    }
}

/// A frame without its marks; the closing one may be that of the frame behind it.
pub(super) fn between_marks(frame: &[u8]) -> Result<&[u8], Reject> {
    let inner = frame
        .strip_prefix(&[MARK])
        .ok_or_else(|| malformed(0, "a frame begins with 7E"))?;
    Ok(inner.strip_suffix(&[MARK]).unwrap_or(inner))
}

#[inline]
pub(super) fn has_escapes(bytes: &[u8]) -> bool {
    bytes.contains(&ESCAPE)
}

/// The bytes without escapes, in `room`.
pub(super) fn unescape<'r>(escaped: &[u8], room: &'r mut [u8]) -> Result<&'r [u8], Reject> {
    let mut len = 0;
    let mut from = escaped.iter().enumerate();
    while let Some((at, byte)) = from.next() {
        let plain = if *byte == ESCAPE {
            let second = from.next().and_then(|(_, second)| meant(*second));
            second.ok_or_else(|| malformed(at, "7D is followed by 01 or 02"))?
        } else {
            *byte
        };
        let place = room.get_mut(len).ok_or_else(|| {
            malformed(at, format_args!("more than {len} bytes between the marks"))
        })?;
        *place = plain;
        len += 1;
    }
    Ok(room.get(..len).unwrap_or_default())
}

/// The body of an escaped message, still escaped, behind a header of so many bytes and before the check.
pub(super) fn body_of(escaped: &[u8], header_len: usize) -> &[u8] {
    let mut start = 0;
    for _ in 0..header_len {
        start += if escaped.get(start) == Some(&ESCAPE) {
            2
        } else {
            1
        };
    }
    let check_len = match escaped.last_chunk() {
        Some([ESCAPE, _]) => 2,
        _ => 1,
    };
    let end = escaped.len().saturating_sub(check_len);
    escaped.get(start..end).unwrap_or_default()
}
