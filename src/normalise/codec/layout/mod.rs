//! A codec whose format is described by the profile alone: fixed frames, keyed rows (TLV), separated text. For devices
//! whose payload is a page in a manual, which are most of those behind `LoRaWAN` and data terminals.
//!
//! ```text
//!  payload ─frame─▶ frame ─escape─▶ bytes ─check─▶ body ─take, take, take …─▶ heads, points
//! ```
//!
//! What is read is a row of `take`s, each beginning where the one before ended unless it says `at`. Its `name` is the source
//! that the profile listens to (a number within; `key` looks it up); with `head = true` it is a head of that name, such as
//! `address`. All names are resolved when the profile is compiled; reading a payload allocates nothing but text in
//! GB 18030 that is not ASCII. Every table is checked by then: what cannot work is refused with the number of its `take`.
//!
//! # Keyed rows: Milesight (channel and type are the key, the length follows from it)
//!
//! ```toml
//! [codec]
//! kind = "layout"
//!
//! [[codec.take]]
//! tlv = { key = 2 }
//! take = [
//!   { key = "0175", name = "battery", type = "u8" },
//!   { key = "0367", name = "temperature", type = "i16le", decimals = 1 },
//!   { key = "0468", name = "humidity", type = "u8", times = 5, decimals = 1 },   # steps of a half, exact
//!   { key = "FF01", skip = 1 },                                                  # known, not wanted
//! ]
//! ```
//!
//! A key that is not listed ends the frame with what was read, and the head `unread` holds the bytes from there on. With
//! `tlv = { key = 1, length = "u8" }` the length stands in the row and unknown keys are passed over.
//!
//! # Flags say what follows: Decentlab (numbers offset by 32768)
//!
//! ```toml
//! [codec]
//! kind = "layout"
//! take = [
//!   { type = "u8" },                                              # protocol version
//!   { name = "device", type = "u16be" },
//!   { name = "flags", type = "u16be" },
//!   { when = { name = "flags", bit = 0 }, take = [
//!     { name = "depth", type = "u16be", sub = 32768 },
//!     { name = "temperature", type = "u16be", sub = 32768, decimals = 1 },
//!     { name = "conductivity", type = "u16be" },
//!     { skip = 2 },
//!   ] },
//!   { when = { name = "flags", bit = 1 }, name = "battery", type = "u16be", decimals = 3 },
//! ]
//! ```
//!
//! # Fixed places, bits of a word: Dragino LDDS75
//!
//! ```toml
//! [codec]
//! kind = "layout"
//! take = [
//!   { name = "battery", type = "u16be", bits = [0, 14], decimals = 3 },
//!   { name = "distance", type = "u16be", missing = [0, 20] },     # no sensor, too near
//!   { name = "interrupt", type = "bool" },
//!   { name = "temperature", type = "i16be", decimals = 1, missing = ["7FFF"] },
//!   { name = "sensor_ok", type = "bool" },
//! ]
//! ```
//!
//! # Frames with address and CRC among other bytes
//!
//! ```toml
//! [codec]
//! kind = "layout"
//! frame = { start = "AA55", end = "0D0A", length = { at = 2, type = "u8", plus = 5 } }
//! check = { kind = "crc16_modbus", from = 2 }                     # up to where it stands, before the end
//! take = [
//!   { skip = 1 },                                                 # length; the start is behind us
//!   { name = "address", head = true, type = "hex", bytes = 4 },
//!   { name = "time", type = "bcdtime", pattern = "yyMMddHHmmss" },
//!   { name = "count", type = "u8" },
//!   { repeat = { count = "count", step_s = 300 }, time = "time", take = [
//!     { name = "level", type = "bcdbe", bytes = 3, decimals = 3, missing = ["FF"] },
//!   ] },
//! ]
//! ```
//!
//! # Text
//!
//! ```toml
//! [codec]
//! kind = "layout"
//! text = { fields = ";", equals = "=" }                           # records = "\n" for several
//! take = [
//!   { name = "address", head = true, field = "id", as = "text" },
//!   { name = "temperature", field = "T", missing = ["NA"] },
//! ]
//! ```
//!
//! # Values
//! Numbers are whole, or exact decimals: `(raw - sub) * times / 10^decimals`. A unit that a byte of the frame selects is
//! two takes of one name, each with `when` and its decimals. A value that `missing` lists is missing; one whose bytes its
//! type does not have (a digit above 9, a 13th month, a number beyond 64 bits) is missing with quality *out of range*, and
//! the others of the frame stand. A frame that is too short for its takes is refused; bytes behind the last take are what
//! later firmware added, unless `trailing = "refuse"`. A frame without points is no record; `repeat.record` makes every element one.

mod options;
mod scalar;
mod plan;
mod compile;
mod frame;
mod check;
mod value;
mod run;
mod text;
#[cfg(any(test, feature = "harness"))]
mod encode;
#[cfg(test)]
mod tests;

pub(crate) use options::Options;

use super::{
    super::{
        payload::Reject,
        point::{OwnedKey, Sink},
    },
    Codec, Decoded, Framing, malformed,
};
use check::Check;
use frame::{Cut, UNESCAPED_MAX};
use options::Trailing;
use plan::Plan;
use run::Run;
use text::Text;

/// A compiled layout.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    cut: Cut,
    check: Option<Check>,
    text: Option<Text>,
    plan: Plan,
    trailing: Trailing,
}

impl Layout {
    /// Compiles the options.
    ///
    /// # Errors
    /// What of them cannot work, and where it stands.
    pub(crate) fn new(options: Options) -> Result<Self, String> {
        if options.take.is_empty() {
            return Err("nothing to take".to_owned());
        }
        let (text, plan) = match &options.text {
            Some(text) => {
                let (text, plan) = Text::new(text, &options.take)?;
                (Some(text), plan)
            }
            None => (None, compile::compile(&options.take)?),
        };
        let check = options.check.as_ref().map(Check::new).transpose()?;
        Ok(Self {
            cut: Cut::new(&options.frame)?,
            check: check.flatten(),
            text,
            plan,
            trailing: options.trailing,
        })
    }

    /// Reads a frame without escapes.
    fn read<S: Sink>(&self, frame: &[u8], sink: &mut S) -> Result<(), Reject> {
        if let Some(check) = &self.check {
            check.verify(frame, self.cut.end.len())?;
        }
        let start = self.cut.start.len();
        let end = self.body_end(frame.len()).filter(|end| *end >= start);
        let end = end.ok_or_else(|| malformed(frame.len(), "too short for a body"))?;
        match &self.text {
            Some(text) => text.read(frame.get(start..end).unwrap_or_default(), sink),
            None => Run::new(&self.plan, frame, sink).body(start..end, self.trailing),
        }
    }

    /// Where the body ends: before the frame's end, and before the check if it stands there.
    fn body_end(&self, bytes: usize) -> Option<usize> {
        let end = bytes.checked_sub(self.cut.end.len())?;
        let Some(check) = &self.check else {
            return Some(end);
        };
        let place = check.place(bytes, self.cut.end.len())?;
        Some(if place + check.bytes() == end {
            place
        } else {
            end
        })
    }
}

impl Codec for Layout {
    fn key(&mut self, spelled: &str) -> Result<OwnedKey, String> {
        let code = self.plan.names.iter().position(|name| **name == *spelled);
        if let Some(code) = code {
            return Ok(OwnedKey::Code(code as u64));
        }
        if self.plan.heads.iter().any(|name| **name == *spelled) || spelled == "unread" {
            return Ok(OwnedKey::Name(spelled.into()));
        }
        let names: Vec<_> = self
            .plan
            .names
            .iter()
            .chain(&self.plan.heads)
            .map(|name| &**name)
            .collect();
        Err(format!(
            "{spelled:?} is no name of a take; there are {}",
            names.join(", ")
        ))
    }

    fn frame(&self, bytes: &[u8]) -> Framing {
        self.cut.find(bytes)
    }

    fn decode<'a, S: Sink>(&self, frame: &'a [u8], sink: &mut S) -> Result<Decoded<'a>, Reject> {
        self.cut.verify(frame)?;
        if self.cut.escapes.is_empty() {
            self.read(frame, sink)?;
        } else {
            let mut unescaped = [0; UNESCAPED_MAX];
            self.read(self.cut.unescape(frame, &mut unescaped)?, sink)?;
        }
        Ok(Decoded::Whole)
    }
}
