//! Electricity meters: DL/T 645-2007 (link layer: clause 6; identifiers: annex A). The edition of 1997 is another format.
//!
//! ```text
//!  FE…  68  A0…A5  68  C  L  data(L)   CS  16        data = DI0 DI1 DI2 DI3, value        each byte + 33H
//!  └ wakes  └ 6 BCD, least first  └ control          CS   = sum of all bytes from the first 68, modulo 256
//! ```
//!
//! Control: bit 7 reply, bit 6 the meter refuses, bit 5 more frames follow, bits 4–0 function (11H read).
//!
//! Keys (points), the identifier as eight hexadecimal digits, DI3 first:
//!
//! | spelled | means | unit |
//! |---|---|---|
//! | `00010000`, `0001tt00`, `000100nn` | forward active energy, of tariff tt, nn settlements ago; `0000` net, `0002` reverse | kW.h |
//! | `00030000` … `00080000` | reactive energy; `00150000` … phase A, `00290000` … B, `003D0000` … C | kV.A{reactive}.h |
//! | `01010000` … | largest demand, with its own time | kW |
//! | `02010100` `02010200` `02010300` | voltage A, B, C | V |
//! | `02020100` …, `02800001` | current A, B, C, neutral | A |
//! | `02030000` … `02030300` | active power, sum and phases; `0204` reactive, `0205` apparent | kW |
//! | `02060000` … | power factor | 1 |
//! | `02070100` …, `0208`, `0209`, `020A01hh`, `020B01hh` | phase angle; distortion and harmonics of voltage, current | deg, % |
//! | `02800002`, `02800007`, `02800008` | frequency, temperature, clock battery | Hz, Cel, V |
//! | `04000101` `04000102` `0400010C` | date (time of its midnight), clock (seconds of the day), both | |
//! | `04000501` … `04000507` | status words, whole numbers of 16 bits | |
//! | `00900100` `00900200` | energy, money left | kW.h |
//! | `05060101`, `05060101.1` … | daily frozen forward energy, of tariff 1 … | kW.h |
//!
//! Blocks (`0201FF00`, `0001FF00`, `040005FF`) are never spelled: their elements come under their own identifiers.
//! Heads: `address` (12 digits), `command` (the control byte), `di` (eight digits), `error` (the meter's error byte when
//! it refuses), `follows` (true where more frames follow).
//!
//! A reply to a reading is one record; a refusal, a request, another reply is a frame without one. An element of FF is
//! missing, one whose digits are none is missing with quality `Bad`. Of a reply that more frames follow, the whole elements
//! of the first are read; the frames that follow do not say how many they are, and are refused as unsupported.
//! An identifier that neither the standard's table nor `items` knows is handed over as bytes.

mod items;
mod options;
mod values;
pub(super) mod start68;
#[cfg(any(test, feature = "harness"))]
mod encode;
#[cfg(test)]
mod tests;

use super::super::{
    payload::Reject,
    point::{Key, OwnedKey, Sink, Value},
};
use super::{
    Codec, Decoded, Framing,
    bits::{HexText, sum8},
    check_failed, malformed, unsupported,
};
use items::{Item, standard};
pub(crate) use options::Options;
use options::{Block, ItemOption, identifier};
use start68::{END, START, Shape};

/// Bytes of a frame around its data.
const AROUND: usize = 12;
/// Where the data begins.
const DATA_AT: usize = 10;
/// Added to each byte of the data on the wire.
const BIAS: u8 = 0x33;
/// Names of heads.
const HEADS: [&str; 5] = ["address", "command", "di", "error", "follows"];

const REPLY: u8 = 0x80;
const REFUSED: u8 = 0x40;
const FOLLOWS: u8 = 0x20;
const READ: u8 = 0x11;
const READ_ON: u8 = 0x12;

/// DL/T 645-2007.
#[derive(Debug)]
pub(crate) struct Dlt645 {
    /// Of the profile, in order of their identifiers.
    added: Vec<(u32, Item)>,
}

/// Data less its bias, without a list of its own.
struct Plain {
    bytes: [u8; 256],
    len: usize,
}

impl Plain {
    fn of(data: &[u8]) -> Self {
        let mut bytes = [0; 256];
        for (plain, byte) in bytes.iter_mut().zip(data) {
            *plain = byte.wrapping_sub(BIAS);
        }
        let len = data.len().min(256);
        Self { bytes, len }
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl Dlt645 {
    /// By the options of a profile.
    ///
    /// # Errors
    /// What is wrong with an identifier that the profile adds.
    pub(crate) fn new(options: Options) -> Result<Self, String> {
        let added = options.items.iter().map(ItemOption::compile);
        let mut added = added.collect::<Result<Vec<_>, _>>()?;
        added.sort_unstable_by_key(|(di, _)| *di);
        let twice = added.windows(2).find_map(|pair| match pair {
            [(a, _), (b, _)] if a == b => Some(*a),
            _ => None,
        });
        match twice {
            Some(di) => Err(format!("items: {di:08X} is given twice")),
            None => Ok(Self { added }),
        }
    }

    fn item(&self, di: u32) -> Option<Item> {
        let added = self.added.binary_search_by_key(&di, |(di, _)| *di).ok();
        let added = added.and_then(|place| self.added.get(place));
        added.map(|(_, item)| *item).or_else(|| standard(di))
    }

    /// Hands over what a reply to a reading holds.
    fn reading<S: Sink>(&self, data: &[u8], control: u8, sink: &mut S) -> Result<(), Reject> {
        let Some((&di, values)) = data.split_first_chunk() else {
            return Err(malformed(DATA_AT, "4 bytes of data identifier are wanted"));
        };
        let di = u32::from_le_bytes(di);
        sink.head(
            Key::Name("di"),
            Value::Text(HexText::of(&di.to_be_bytes()).as_str()),
        )?;
        let follows = control & FOLLOWS != 0;
        if follows {
            sink.head(Key::Name("follows"), Value::Bool(true))?;
        }
        match (self.item(di), Block::of(di)) {
            (Some(item), _) => Self::single(di, item, values, sink)?,
            (None, Some(block)) => {
                let left = self.block(block, values, sink)?;
                if left > 0 && !follows {
                    let at = DATA_AT + 4 + values.len() - left;
                    return Err(malformed(
                        at,
                        format_args!("block {di:08X} ends within an element"),
                    ));
                }
            }
            (None, None) => values::hand_over(u64::from(di), Item::RAW, values, sink)?,
        }
        sink.end_record()
    }

    fn single<S: Sink>(di: u32, item: Item, values: &[u8], sink: &mut S) -> Result<(), Reject> {
        match item.bytes.map(usize::from) {
            Some(bytes) if bytes != values.len() => Err(malformed(
                DATA_AT + 4,
                format_args!("{di:08X} has {bytes} bytes, the frame {}", values.len()),
            )),
            _ => values::hand_over(u64::from(di), item, values, sink),
        }
    }

    /// The elements of a block in order; how many bytes are left behind the last.
    fn block<S: Sink>(&self, block: Block, values: &[u8], sink: &mut S) -> Result<usize, Reject> {
        let mut rest = values;
        for place in 0..=u32::from(u8::MAX) {
            let di = block.element(place);
            let Some(item) = self.item(di).filter(|_| !rest.is_empty()) else {
                break;
            };
            let bytes = item.bytes.map_or(rest.len(), usize::from);
            let Some((raw, behind)) = rest.split_at_checked(bytes) else {
                break;
            };
            values::hand_over(u64::from(di), item, raw, sink)?;
            rest = behind;
        }
        Ok(rest.len())
    }
}

/// The shape of what begins with 68.
fn shape(bytes: &[u8]) -> Shape {
    match bytes.get(7) {
        None => return Shape::Beginning,
        Some(&START) => {}
        Some(_) => return Shape::Other,
    }
    let Some(&length) = bytes.get(9) else {
        return Shape::Beginning;
    };
    let len = usize::from(length) + AROUND;
    match bytes.get(len - 1) {
        None => Shape::Beginning,
        Some(&END) => Shape::Whole(len),
        Some(_) => Shape::Broken,
    }
}

/// Address, control byte and data of a frame whose shape and sum are right.
fn open(frame: &[u8]) -> Result<(&[u8], u8, &[u8]), Reject> {
    let (Some(address), Some(&control), Some(&length)) =
        (frame.get(1..7), frame.get(8), frame.get(9))
    else {
        return Err(malformed(frame.len(), "the frame ends within its head"));
    };
    if frame.first() != Some(&START) || frame.get(7) != Some(&START) {
        return Err(malformed(
            0,
            "68 is wanted at the front and behind the address",
        ));
    }
    let end = DATA_AT + usize::from(length);
    let (Some(data), Some(&sum)) = (frame.get(DATA_AT..end), frame.get(end)) else {
        return Err(malformed(
            9,
            format_args!("{length} bytes of data are said, fewer there"),
        ));
    };
    if frame.len() != end + 2 || frame.get(end + 1) != Some(&END) {
        return Err(malformed(
            end + 1,
            "16 is wanted at the end that the length says",
        ));
    }
    let computed = sum8(frame.get(..end).unwrap_or_default());
    if computed != sum {
        return Err(check_failed("sum", u64::from(sum), u64::from(computed)));
    }
    Ok((address, control, data))
}

impl Codec for Dlt645 {
    fn key(&mut self, spelled: &str) -> Result<OwnedKey, String> {
        if HEADS.contains(&spelled) {
            return Ok(OwnedKey::Name(spelled.into()));
        }
        let (digits, place) = match spelled.split_once('.') {
            Some((digits, place)) => match place.parse::<u8>() {
                Ok(place @ 1..=63) => (digits, place),
                _ => {
                    return Err(format!(
                        "{spelled:?}: behind the point stands a tariff, 1 to 63"
                    ));
                }
            },
            None => (spelled, 0),
        };
        let di = identifier(digits)?;
        match self.item(di) {
            Some(item) if place == 0 || matches!(item.kind, items::Kind::Series(_)) => {
                Ok(OwnedKey::Code(u64::from(di) | u64::from(place) << 32))
            }
            Some(_) => Err(format!("{spelled:?}: {digits} has one value only")),
            None if Block::of(di).is_some() => Err(format!(
                "{spelled:?} is a block: spell the identifiers of its elements, such as {:08X}",
                Block::of(di).map_or(di, |block| block.element(0))
            )),
            None => Err(format!(
                "{spelled:?} is not in the table of DL/T 645-2007: say its width under items"
            )),
        }
    }

    fn frame(&self, bytes: &[u8]) -> Framing {
        start68::find(bytes, shape)
    }

    fn decode<'a, S: Sink>(&self, frame: &'a [u8], sink: &mut S) -> Result<Decoded<'a>, Reject> {
        let (address, control, data) = open(frame)?;
        let address = HexText::of_le(address);
        sink.head(Key::Name("address"), Value::Text(address.as_str()))?;
        sink.head(Key::Name("command"), Value::Whole(i64::from(control)))?;
        let plain = Plain::of(data);
        if control & REPLY == 0 {
            return Ok(Decoded::Whole);
        }
        if control & REFUSED != 0 {
            let error = plain
                .as_slice()
                .first()
                .map_or(0, |error| i64::from(*error));
            sink.head(Key::Name("error"), Value::Whole(error))?;
            return Ok(Decoded::Whole);
        }
        match control & 0x1F {
            READ => self.reading(plain.as_slice(), control, sink)?,
            READ_ON => {
                return Err(unsupported(
                    "a frame that continues another (control 92 or B2)",
                ));
            }
            _ => {}
        }
        Ok(Decoded::Whole)
    }
}
