//! What stands before the contents: who sends, what, and whether it is all.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::{
    super::{
        super::{
            payload::Reject,
            point::{Key, Sink, Value},
        },
        malformed,
    },
    HEADS_MAX, START,
    content::{Pair, Pairs},
};

/// The standard has ASCII alone; names in Chinese are GB 18030 where they are not UTF-8. No separator is part of a
/// character in either.
pub(super) fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => encoding_rs::GB18030.decode_without_bom_handling(bytes).0,
    }
}

/// What stands before the contents.
pub(super) struct Heads<'a> {
    pairs: SmallVec<[Pair<'a>; HEADS_MAX]>,
    /// What stands behind `CP=`.
    pub(super) contents: &'a str,
}

impl<'a> Heads<'a> {
    pub(super) fn of(segment: &'a str) -> Result<Self, Reject> {
        let mut heads = Self {
            pairs: SmallVec::new(),
            contents: "",
        };
        let mut pairs = Pairs::new(segment);
        while let Some(pair) = pairs.next() {
            if pair.key == "CP" {
                heads.contents = pairs.rest();
                break;
            }
            if heads.pairs.len() == HEADS_MAX {
                return Err(malformed(
                    START,
                    format_args!("more than {HEADS_MAX} heads"),
                ));
            }
            heads.pairs.push(pair);
        }
        Ok(heads)
    }

    fn iter(&self) -> impl Iterator<Item = &Pair<'a>> {
        self.pairs.iter()
    }

    fn get(&self, key: &str) -> &'a str {
        self.iter()
            .find(|pair| pair.key == key)
            .map_or("", |pair| pair.value)
    }

    /// Number and total, where the frame is one packet of several. Numbers that cannot be are none: such a frame can be
    /// read on its own.
    pub(super) fn packet(&self) -> Option<(u16, u16)> {
        let total = self.get("PNUM").parse().ok().filter(|total| *total > 1)?;
        let number = self.get("PNO").parse().ok()?;
        (1..=total).contains(&number).then_some((number, total))
    }

    /// What the packets of a message have in common: the number of the request, or else the time of the values. FNV-1a.
    pub(super) fn message(&self) -> u64 {
        let request = match self.get("QN") {
            "" => {
                let mut pairs = Pairs::new(self.contents);
                pairs
                    .find(|pair| pair.key == "DataTime")
                    .map_or("", |pair| pair.value)
            }
            request => request,
        };
        let parts = [
            request,
            self.get("ST"),
            self.get("CN"),
            self.get("MN"),
            self.get("PNUM"),
        ];
        let bytes = parts.iter().flat_map(|part| part.bytes().chain([b';']));
        bytes.fold(0xCBF2_9CE4_8422_2325, |sum, byte| {
            (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
        })
    }

    pub(super) fn tell<S: Sink>(&self, sink: &mut S) -> Result<(), Reject> {
        for pair in self.iter() {
            let value = match (pair.key, pair.value) {
                (_, "") => Value::Missing,
                ("Flag" | "PNUM" | "PNO", text) => {
                    text.parse().map_or(Value::Text(text), Value::Whole)
                }
                (_, text) => Value::Text(text),
            };
            sink.head(Key::Name(pair.key), value)?;
            match pair.key {
                "MN" => sink.head(Key::Name("address"), value)?,
                "CN" => sink.head(Key::Name("command"), value)?,
                _ => {}
            }
        }
        Ok(())
    }
}
