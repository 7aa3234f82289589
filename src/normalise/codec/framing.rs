//! What a codec offers, and how a payload of frames is cut.

use super::super::{
    payload::Reject,
    point::{OwnedKey, Sink},
};
use crate::domain::QuarantineReason;

/// What stands at the front of the bytes that are left of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// After `skip` bytes that belong to no frame: a frame of `len` bytes. Its check has not been looked at.
    Frame { skip: usize, len: usize },
    /// After `skip` bytes that belong to no frame: the beginning of one whose end is still to come.
    Partial { skip: usize },
    /// No frame begins here.
    Nothing,
}

/// What a frame came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decoded<'a> {
    /// Its points are with the sink.
    Whole,
    /// It is one of several packets.
    Part(Part<'a>),
}

/// One packet of a message that takes several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part<'a> {
    /// What the packets of one message have in common, within a device: made of address, command and the like.
    pub(crate) message: u64,
    /// From 1.
    pub(crate) number: u16,
    pub(crate) total: u16,
    /// What is to be joined.
    pub(crate) body: &'a [u8],
}

/// A reject for bytes that break their format.
pub(crate) fn malformed(at: usize, what: impl std::fmt::Display) -> Reject {
    Reject::new(
        QuarantineReason::FrameMalformed,
        format!("byte {at}: {what}"),
    )
}

/// A reject for a check that fails; both numbers are shown in hexadecimal.
pub(crate) fn check_failed(kind: &str, found: u64, computed: u64) -> Reject {
    Reject::new(
        QuarantineReason::FrameCheck,
        format!("{kind}: {found:02X} in the frame, {computed:02X} computed"),
    )
}

/// A reject for what the format allows and this codec cannot read, such as an encrypted body.
pub(crate) fn unsupported(what: impl std::fmt::Display) -> Reject {
    Reject::new(QuarantineReason::FrameUnsupported, what.to_string())
}

/// A format.
pub(crate) trait Codec {
    /// The key that a profile means by a source as spelled in it. Called while a profile is compiled; codecs that read by
    /// a table of pointers enter it there.
    ///
    /// # Errors
    /// What is wrong with the spelling, and what it should look like.
    fn key(&mut self, spelled: &str) -> Result<OwnedKey, String>;

    /// What stands at the front of the bytes; formats without frames take the payload as one.
    fn frame(&self, bytes: &[u8]) -> Framing {
        if bytes.is_empty() {
            Framing::Nothing
        } else {
            Framing::Frame {
                skip: 0,
                len: bytes.len(),
            }
        }
    }

    /// Checks a frame and hands its points to the sink.
    ///
    /// # Errors
    /// Why the frame cannot be read, or what the sink says. The sink may hold points of it by then: whoever calls starts
    /// the sink anew.
    fn decode<'a, S: Sink>(&self, frame: &'a [u8], sink: &mut S) -> Result<Decoded<'a>, Reject>;

    /// Hands over the points of a message whose packets are joined: the first packet's frame and all bodies in order.
    ///
    /// # Errors
    /// As [`Codec::decode`].
    fn decode_joined<S: Sink>(
        &self,
        _first: &[u8],
        _body: &[u8],
        _sink: &mut S,
    ) -> Result<(), Reject> {
        Err(unsupported("a message of several packets"))
    }
}
