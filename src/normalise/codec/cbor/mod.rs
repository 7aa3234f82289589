//! CBOR (RFC 8949), read by the pointers of the `pointer` codec: the same spellings, the same options, the same records.
//!
//! ```text
//! item = head [ content ]        head = major type 3 bit, info 5 bit, 0 1 2 4 or 8 bytes of number, big-endian
//!  0 unsigned   1 negative   2 bytes   3 text   4 array   5 map   6 tag   7 false true null undefined, floats
//! ```
//!
//! What differs from JSON:
//!
//! | in CBOR | read as |
//! |---|---|
//! | name that is a number | step with that number: `/-2/0`; a step of digits means an index in an array, and in a map the number or the text, whichever is there |
//! | name that is neither number nor text | stepped over |
//! | bytes | `Bytes`, lent |
//! | array or map where a pointer ends | `Bytes`: the item as it stands |
//! | floats of 16, 32, 64 bits | `Real`, not finite ones too: the profile says what they mean |
//! | undefined | missing, as null |
//! | tag 0, tag 1 | `Time` |
//! | tags 2, 3 (big numbers) | whole up to 64 bits, then `Real` |
//! | tag 4 (decimal fraction) | `Decimal` |
//! | other tags | as if they were not there |
//!
//! Items of open length are read too. Refused beside what `pointer` refuses: bytes behind the item, nesting deeper than 32
//! levels, simple values that nobody has assigned where a pointer ends. No check sum, no head of its own, no quality.

mod reader;
mod number;
mod pass;
#[cfg(any(test, feature = "harness"))]
mod encode;

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(super) use encode::write_cbor;
pub(crate) use reader::Cbor as CborTree;

use super::{
    super::{
        payload::Reject,
        point::{OwnedKey, Sink},
    },
    Codec, Decoded,
    pointer::{Options, Pointers},
};

/// CBOR by pointers.
#[derive(Debug, Clone)]
pub(crate) struct Cbor {
    pointers: Pointers,
}

impl Cbor {
    /// Without pointers; [`Codec::key`] enters them.
    pub(crate) fn new(options: Options) -> Result<Self, String> {
        Pointers::new(options).map(|pointers| Self { pointers })
    }
}

impl Codec for Cbor {
    fn key(&mut self, spelled: &str) -> Result<OwnedKey, String> {
        self.pointers.key(spelled)
    }

    fn decode<'a, S: Sink>(&self, frame: &'a [u8], sink: &mut S) -> Result<Decoded<'a>, Reject> {
        self.pointers.read(CborTree::new(frame), sink)?;
        Ok(Decoded::Whole)
    }
}
