//! Finding frames that begin with 68 among other bytes: DL/T 645, CJ/T 188 and M-Bus share the byte, not the layout.
//!
//! One pass: every 68 is looked at once, in constant time, by what its format knows of a frame's shape. A whole frame
//! wins over the beginning of one in front of it, since a 68 of the noise may look like a beginning.

use super::super::Framing;

/// The first byte of a frame.
pub(in super::super) const START: u8 = 0x68;
/// The last.
pub(in super::super) const END: u8 = 0x16;

/// What a 68 and the bytes behind it are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Shape {
    /// A frame of so many bytes, by its length and its last byte.
    Whole(usize),
    /// What is there could be a frame's beginning.
    Beginning,
    /// A head that is a frame's without doubt, and no end where its length says.
    Broken,
    /// None of these.
    Other,
}

/// What stands at the front of a payload. A broken frame is handed over up to whatever comes behind it, so that its
/// decoding says what is wrong with it.
pub(in super::super) fn find(bytes: &[u8], shape: impl Fn(&[u8]) -> Shape) -> Framing {
    let starts = bytes.iter().enumerate().filter(|(_, byte)| **byte == START);
    let (mut begun, mut broken) = (None, None);
    for (at, _) in starts {
        match shape(bytes.get(at..).unwrap_or_default()) {
            Shape::Whole(len) => {
                return match broken {
                    Some(skip) => Framing::Frame {
                        skip,
                        len: at - skip,
                    },
                    None => Framing::Frame { skip: at, len },
                };
            }
            Shape::Beginning if begun.is_none() => begun = Some(at),
            Shape::Broken if broken.is_none() && begun.is_none() => broken = Some(at),
            _ => {}
        }
    }
    match (broken, begun) {
        (Some(skip), begun) => Framing::Frame {
            skip,
            len: begun.unwrap_or(bytes.len()) - skip,
        },
        (None, Some(skip)) => Framing::Partial { skip },
        (None, None) => Framing::Nothing,
    }
}
