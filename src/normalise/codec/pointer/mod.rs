//! JSON of any shape (RFC 8259), read by pointers (RFC 6901): what IoT platforms and most gateways send.
//!
//! # Keys
//! The pointers of a profile are compiled into one tree of steps; the payload is walked once, what no pointer asks for is
//! checked and stepped over.
//!
//! | spelled | means |
//! |---|---|
//! | `/data/pm25` | member of a member, from the payload's root |
//! | `/rxInfo/0/rssi` | element of an array, from 0 |
//! | `/a~1b`, `~0`, `~2`, `~3` | `/`, `~`, `[`, `]` in a name |
//! | `/services[service_id=Battery]/properties/level` | the element whose member reads so (text, whole number, boolean), wherever in the element it stands; an object in place of the array is asked itself |
//! | `./value`, `.` | from the record's element (see `each`), the element itself |
//! | `../sn` | from the element around it; one more dot for each level. With one level of `each` there is none around: `/sn` |
//! | `#name`, `.#name` | the element's own name in its object, its index in its array; `..#name` of the element around it |
//! | `.[type=3]/value` | the same only if the record's element reads so |
//!
//! # Records, heads, points
//! Without `each` the payload is one record and everything in it a point. With `each`, every element is a record:
//!
//! ```text
//! each = "/list"           { "gw": "A", "list": [ {"sn": 1, "v": 2}, {"sn": 3, "v": 4} ] }
//!                            /gw: head            ./sn  ./v  end    ./sn  ./v  end
//! each = ["/a", "./b"]     { "a": [ {"sn": 1, "b": [ {"v": 2}, {"v": 3} ]} ] }
//!                                    ../sn         ./v ../sn end, ./v ../sn end
//! ```
//!
//! Pointers from the root are heads then, handed over before the first record even if they stand behind the list; an array
//! there, or in an element around the record's, is text.
//! A payload, or an element, without anything that is asked for gives no record.
//!
//! # Values
//! Whole numbers are `Whole` (`Large` beyond), decimals exact `Decimal`s, both also with an exponent as far as that is
//! exact, else `Real`. Text is lent; only an escaped one beyond half a KiB is copied. `null` is missing. An object or array
//! where a pointer ends is its text, but for two: `{value, time}` with [`Options::value_member`], which is the value at its
//! own time, and an array of values, which is a series: points of one key in the order of the array, null included, so
//! that the profile counts its steps; `[{value, time}, …]` is a series whose values know their times. Numbers in quotes
//! stay text ([`number_in_text`] reads them). No head is fixed, no quality is known, no unit.
//!
//! # Refused
//! What is not JSON, nested deeper than 32 levels, a time sibling or pointer of `times` that is no time, and what a
//! pointer finds twice: of two readings of one value neither is taken for the other.

#[cfg(any(test, feature = "harness"))]
mod encode;
mod json;
mod moment;
mod options;
mod path;
mod tree;
mod trie;
mod walk;
mod records;

#[cfg(test)]
mod tests;

#[cfg(any(test, feature = "harness"))]
pub(super) use encode::{Branch, branch, write_json};
pub(crate) use json::{Json, Sign, decimal};
pub(crate) use moment::{TimeUnit, moment};
pub(crate) use options::Options;
pub(crate) use tree::{Kind, Name, Scalar, Tree};

use super::{
    super::{
        payload::Reject,
        point::{OwnedKey, Sink},
    },
    Codec, Decoded,
};

/// Pointers over a tree, whatever its notation.
#[derive(Debug, Clone)]
pub(super) struct Pointers {
    options: Options,
    trie: trie::Trie,
}

impl Pointers {
    pub(super) fn new(options: Options) -> Result<Self, String> {
        options.check()?;
        let trie = trie::Trie::new(&options)?;
        Ok(Self { options, trie })
    }

    pub(super) fn key(&mut self, spelled: &str) -> Result<OwnedKey, String> {
        self.trie.key(spelled).map(OwnedKey::Code)
    }

    pub(super) fn read<'a, S: Sink>(
        &self,
        payload: impl Tree<'a>,
        sink: &mut S,
    ) -> Result<(), Reject> {
        records::read(&self.trie, &self.options, payload, sink)
    }
}

/// JSON by pointers.
#[derive(Debug, Clone)]
pub(crate) struct Pointer {
    pointers: Pointers,
}

impl Pointer {
    /// Without pointers; [`Codec::key`] enters them.
    pub(crate) fn new(options: Options) -> Result<Self, String> {
        Pointers::new(options).map(|pointers| Self { pointers })
    }
}

impl Codec for Pointer {
    fn key(&mut self, spelled: &str) -> Result<OwnedKey, String> {
        self.pointers.key(spelled)
    }

    fn decode<'a, S: Sink>(&self, frame: &'a [u8], sink: &mut S) -> Result<Decoded<'a>, Reject> {
        self.pointers.read(Json::new(frame)?, sink)?;
        Ok(Decoded::Whole)
    }
}
