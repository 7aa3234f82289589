//! Modbus RTU as a DTU forwards it: replies of units on a serial line (Modbus Application Protocol V1.1b3, clause 6;
//! Modbus over Serial Line V1.02, clause 2.5).
//!
//! ```text
//!  unit  fc  n  values(n)  CRC         CRC-16, low byte first, over all before it; registers high byte first
//! ```
//!
//! A reply does not say which registers it holds: the profile's `map` does. An entry fits a reply by unit, function and
//! number of registers; where the DTU forwards the request in front of the reply, by the first register, too. All entries
//! that fit are read; if they say different first registers and the request is not there, none is.
//!
//! ```toml
//! [codec]
//! kind = "modbus"
//! map = [
//!   { name = "humidity", count = 2, at = 0, decimals = 1 },
//!   { name = "temperature", count = 2, at = 1, type = "i16", decimals = 1 },
//! ]
//! ```
//!
//! Keys (points): the names of the map. Heads: `unit`, `function`, `start` (of the request, where it is there),
//! `exception` (the code of an exception).
//!
//! A reply to functions 1 to 4 is one record. Exceptions, acknowledgements of 5, 6, 15, 16 and requests alone are frames
//! without one. BCD of FF is missing, without digits it is missing with quality `Bad`; what a device writes in place of a
//! value (7FFF) is the profile's. Noise of up to 256 bytes in front of a frame is passed over.

mod map;
mod frames;
mod values;
#[cfg(any(test, feature = "harness"))]
mod encode;
#[cfg(test)]
mod tests;

use super::super::{
    payload::Reject,
    point::{Key, OwnedKey, Sink, Value},
};
use super::{Codec, Decoded, Framing, check_failed, malformed, unsupported};
use frames::{EXCEPTION, SHORT, answer_len, crc, reply_len};
pub(crate) use map::Options;
use map::{Block, Unmapped, bytes_of, reads_bits};

/// Names of heads.
const HEADS: [&str; 4] = ["unit", "function", "start", "exception"];

/// Modbus RTU.
#[derive(Debug)]
pub(crate) struct Modbus {
    names: Vec<String>,
    blocks: Vec<Block>,
    unmapped: Unmapped,
}

/// A reply to a reading.
#[derive(Debug, Clone, Copy)]
struct Reply<'a> {
    unit: u8,
    function: u8,
    start: Option<u16>,
    values: &'a [u8],
}

impl Modbus {
    /// By the options of a profile.
    ///
    /// # Errors
    /// Which entry of the map is wrong, and how.
    pub(crate) fn new(options: Options) -> Result<Self, String> {
        let (names, blocks) = map::compile(&options.map)?;
        Ok(Self {
            names,
            blocks,
            unmapped: options.unmapped,
        })
    }

    /// The blocks that a reply may be.
    fn fitting(&self, reply: Reply<'_>) -> impl Iterator<Item = &Block> {
        let bytes = reply.values.len();
        self.blocks.iter().filter(move |block| {
            let start = block.start.zip(reply.start);
            block.function == reply.function
                && block.unit.is_none_or(|unit| unit == reply.unit)
                && start.is_none_or(|(block, asked)| block == asked)
                && block.reach <= bytes
                && block
                    .count
                    .is_none_or(|count| bytes_of(block.function, count) == bytes)
        })
    }

    fn reply<S: Sink>(&self, reply: Reply<'_>, sink: &mut S) -> Result<(), Reject> {
        let mut starts = self.fitting(reply).filter_map(|block| block.start);
        if reply.start.is_none()
            && let Some(first) = starts.next()
            && let Some(other) = starts.find(|start| *start != first)
        {
            return Err(unsupported(format_args!(
                "{reply}: registers from {first} or from {other}, and the request is not in the payload"
            )));
        }
        let mut fitting = self.fitting(reply).peekable();
        if fitting.peek().is_none() {
            return match self.unmapped {
                Unmapped::Ignore => Ok(()),
                Unmapped::Refuse => Err(unsupported(format_args!(
                    "{reply}: no entry of the map fits"
                ))),
            };
        }
        for field in fitting.flat_map(|block| &block.fields) {
            if reads_bits(reply.function) {
                values::coil(*field, reply.values, sink)?;
            } else {
                values::register(*field, reply.values, sink)?;
            }
        }
        sink.end_record()
    }
}

impl std::fmt::Display for Reply<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = self.values.len();
        write!(
            f,
            "unit {} function {} with {bytes} bytes",
            self.unit, self.function
        )
    }
}

impl Codec for Modbus {
    fn key(&mut self, spelled: &str) -> Result<OwnedKey, String> {
        let place = self.names.iter().position(|name| name == spelled);
        if let Some(place) = place.and_then(|place| u64::try_from(place).ok()) {
            return Ok(OwnedKey::Code(place));
        }
        if HEADS.contains(&spelled) {
            return Ok(OwnedKey::Name(spelled.into()));
        }
        Err(format!(
            "{spelled:?} is no name of the map ({}) and none of the heads {}",
            self.names.join(", "),
            HEADS.join(", ")
        ))
    }

    fn frame(&self, bytes: &[u8]) -> Framing {
        frames::find(bytes)
    }

    fn decode<'a, S: Sink>(&self, frame: &'a [u8], sink: &mut S) -> Result<Decoded<'a>, Reject> {
        let &[unit, function, third, fourth, ..] = frame else {
            return Err(malformed(frame.len(), "the frame ends within its head"));
        };
        // a frame longer than a request whose front is one: the reply stands behind it
        let answer = (1..=4)
            .contains(&function)
            .then(|| answer_len(frame))
            .flatten();
        let asked = answer
            .filter(|len| len + SHORT == frame.len())
            .map(|_| SHORT);
        let (request, reply) = frame
            .split_at_checked(asked.unwrap_or(0))
            .unwrap_or_default();
        for part in [request, reply].into_iter().filter(|part| !part.is_empty()) {
            let (found, computed) = crc(part).unwrap_or_default();
            if found != computed {
                return Err(check_failed("CRC", u64::from(found), u64::from(computed)));
            }
        }
        sink.head(Key::Name("unit"), Value::Whole(i64::from(unit)))?;
        sink.head(
            Key::Name("function"),
            Value::Whole(i64::from(function & 0x7F)),
        )?;
        let start = asked.map(|_| u16::from_be_bytes([third, fourth]));
        if let Some(start) = start {
            sink.head(Key::Name("start"), Value::Whole(i64::from(start)))?;
        }
        match (function, reply) {
            (0x81.., _) if frame.len() == EXCEPTION => {
                sink.head(Key::Name("exception"), Value::Whole(i64::from(third)))?;
            }
            (1..=4, [_, _, _, values @ .., _, _]) if reply_len(reply) == Some(reply.len()) => {
                let reply = Reply {
                    unit,
                    function,
                    start,
                    values,
                };
                self.reply(reply, sink)?;
            }
            (1..=6 | 15 | 16, _) if frame.len() >= SHORT => {}
            _ => {
                return Err(malformed(
                    1,
                    format_args!("function {function:02X} has not {} bytes", frame.len()),
                ));
            }
        }
        Ok(Decoded::Whole)
    }
}
