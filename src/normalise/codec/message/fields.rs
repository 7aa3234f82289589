//! The fields of a protobuf message as they stand on the wire, one after the other, with the byte at which they break.
//! Groups (proto2) are stepped over whole, without recursion.

use super::super::{
    super::{
        payload::Reject,
        wire::{self, Wire},
    },
    malformed,
};

const GROUP_START: u8 = 3;
const GROUP_END: u8 = 4;

/// A field's payload, before anybody knows its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Raw<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
    /// A group, stepped over.
    Group,
}

/// The fields of one message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a> {
    wire: Wire<'a>,
    /// Bytes of the message.
    len: usize,
    /// Where the message begins in the payload, for errors.
    base: usize,
}

impl<'a> Fields<'a> {
    /// Of a message that begins at byte `base` of the payload.
    pub(crate) const fn new(bytes: &'a [u8], base: usize) -> Self {
        Self {
            wire: Wire::new(bytes),
            len: bytes.len(),
            base,
        }
    }

    /// The next field's number and payload; none at the end.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Raw<'a>)>, Reject> {
        if self.wire.is_empty() {
            return Ok(None);
        }
        let start = self.wire;
        match self.field() {
            Some(field) => Ok(Some(field)),
            None => Err(malformed(
                self.position(start),
                "a protobuf field begins that is cut off or of no known wire type",
            )),
        }
    }

    /// Where the payload of a field of so many bytes begins that has just been taken.
    pub(crate) fn base_of(&self, bytes: &[u8]) -> usize {
        self.position(self.wire).saturating_sub(bytes.len())
    }

    #[inline]
    fn field(&mut self) -> Option<(u32, Raw<'a>)> {
        let (number, wire_type) = self.wire.key()?;
        let raw = match wire_type {
            wire::VARINT => Raw::Varint(self.wire.varint()?),
            wire::FIXED64 => Raw::Fixed64(self.wire.fixed64()?),
            wire::LENGTH => Raw::Bytes(self.wire.bytes()?),
            wire::FIXED32 => Raw::Fixed32(self.wire.fixed32()?),
            GROUP_START => self.group(number)?,
            _ => return None,
        };
        Some((number, raw))
    }

    /// Steps over a group; inner groups are counted, since only the outermost one's number is worth a check.
    #[cold]
    fn group(&mut self, outermost: u32) -> Option<Raw<'a>> {
        let mut depth = 1_usize;
        loop {
            let (number, wire_type) = self.wire.key()?;
            match wire_type {
                wire::VARINT => drop(self.wire.varint()?),
                wire::FIXED64 => drop(self.wire.take(8)?),
                wire::LENGTH => drop(self.wire.bytes()?),
                wire::FIXED32 => drop(self.wire.take(4)?),
                GROUP_START => depth += 1,
                GROUP_END if depth > 1 => depth -= 1,
                GROUP_END => return (number == outermost).then_some(Raw::Group),
                _ => return None,
            }
        }
    }

    /// The byte of the payload at which a reader of this message stands. The reader does not count, so that reading
    /// stays fast; its rest is measured by halving.
    #[cold]
    fn position(&self, wire: Wire<'a>) -> usize {
        let (mut least, mut most) = (0, self.len);
        while least < most {
            let middle = least + (most - least).div_ceil(2);
            let mut probe = wire;
            if probe.take(middle).is_some() {
                least = middle;
            } else {
                most = middle - 1;
            }
        }
        self.base + (self.len - least)
    }
}
