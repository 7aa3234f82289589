//! SZY 206-2016, the metering of water abstraction (the national water resources monitoring project); SL 427 has the same
//! frame.
//!
//! ```text
//!  68  L 1  68  C 1  address 5  AFN 1  data  CS 1  16          L: bytes from C to the end of the data
//!               │
//!               bit 7 up, bit 6 split (DIVS 1 behind C), bits 5..4 count, bits 3..0 kind of data
//!
//!  data of C0, a report:           values …  alarm 2  state 2  Tp 5: second minute hour day, BCD; delay, binary
//!  data of B0, a reply:            values …  alarm 2  state 2
//!  data of 81, an alarm:           alarm 2  what the maker adds
//!  data of 5E, the state:          alarm 2  state 2
//! ```
//!
//! CS is a CRC-8 of polynomial E5, initial 0, over C to the end of the data. Numbers are BCD, least significant byte first;
//! the top digit of a signed one is F for minus.
//!
//! | key | kind | bytes, decimals | unit | |
//! |---|---|---|---|---|
//! | `rain` | 1 | 3, 1 | mm | |
//! | `level` | 2 | 4, 3 | m | signed |
//! | `flow` | 3 | 5, 3 | m3/s or m3/h | top digit: two bits of sign, two of unit (00 m3/s, 11 m3/h) |
//! | `volume` | 3 | 5, 0 | m3 | behind each `flow`, see [`Flow`] |
//! | `velocity` | 4 | 3, 3 | m/s | signed |
//! | `gate` | 5 | 3, 2 | m | |
//! | `power` | 6 | 3, 0 | W | |
//! | `air_pressure` | 7 | 3, 0 | hPa | |
//! | `wind_speed`, `wind_direction` | 8 | 3, 2 | m/s | direction in the top digit, whole |
//! | `water_temperature` | 9 | 2, 1 | Cel | signed |
//! | `quality_0` … `quality_39` | A | 4, 0 | | by bit of the map in front; decimals and unit are the profile's |
//! | `soil_moisture` | B | 2, 1 | % | |
//! | `evaporation` | C | 3, 1 | mm | signed |
//! | `water_pressure` | F | 4, 2 | kPa | |
//! | `alarm`, `state` | all | 2 | | words as whole numbers, low byte first ([`Words`]) |
//! | `data` | E, 81 | | | bytes that this codec does not read |
//!
//! A second, third … value of a kind is `level_2`, `level_3` …
//!
//! Heads: `address` (ten hexadecimal digits), `command` (AFN as two), `kind` (whole), `direction` (`up`, `down`), `link`
//! (whole: F0 login, F1 logout, F2 keep-alive of AFN 02). Tp of five bytes has neither month nor year, so it is no time:
//! `tp_day` (whole), `tp_time` (text, `084500`), `tp_delay` (whole, minutes); Tp of seven bytes is `time` ([`Tp`]).
//!
//! Bytes that are AA throughout, or FF, are missing; what are no digits is missing and `Bad`. Frames of other functions, and
//! those that a centre sends, have heads and no record. Split frames are refused: they count down, and say nowhere how many
//! they are. Pictures, whose frames carry a false L, are no frames here.

use serde::Deserialize;

use super::{
    super::{
        payload::Reject,
        point::{Key, OwnedKey, Sink, Value},
    },
    Codec, Decoded, Framing,
    bits::{Bytes, HexText},
    check_failed, malformed, unsupported,
};

mod data;
#[cfg(any(test, feature = "harness"))]
mod encode;
mod kinds;

#[cfg(test)]
mod tests;

const MARK: u8 = 0x68;
const END: u8 = 0x16;
/// Control, address and function: the least that L counts.
const LEN_MIN: u8 = 7;
/// Bytes that L does not count: three in front, two behind.
const AROUND: usize = 5;

/// Which bytes of flow there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Flow {
    /// Rate and volume where the bytes are enough for as many of both, rates otherwise.
    #[default]
    Auto,
    /// Rates, however many.
    Rate,
}

/// What the top digit of a rate of flow is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FlowUnit {
    /// Two bits of sign and two of unit.
    #[default]
    Coded,
    /// F is a minus sign; the rate is in m3/s.
    PerSecond,
    /// F is a minus sign; the rate is in m3/h.
    PerHour,
}

/// Order of the bytes of alarm and state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Words {
    /// Low byte first, as all numbers of the format.
    #[default]
    LowFirst,
    /// High byte first.
    HighFirst,
}

/// Form of the time tag.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Tp {
    /// Second, minute, hour, day, delay.
    #[default]
    Day,
    /// Second, minute, hour, day, month, year, delay, as SL 427-2021 has it.
    Date,
}

/// The `[codec]` table of a profile.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    /// `auto` (default), or `rate` for terminals with two meters that send no volume: their bytes are as many.
    pub(crate) flow: Flow,
    /// `coded` (default), or `per_second`, `per_hour` for terminals that know a sign alone.
    pub(crate) flow_unit: FlowUnit,
    /// `low_first` (default), `high_first`.
    pub(crate) words: Words,
    /// `day` (default), or `date` for terminals of SL 427-2021.
    pub(crate) tp: Tp,
}

/// The codec.
#[derive(Debug, Clone)]
pub(crate) struct Szy206 {
    options: Options,
}

const fn crc8_table() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0_u8;
    loop {
        let mut crc = byte;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x80 == 0 {
                crc << 1
            } else {
                crc << 1 ^ 0xE5
            };
            bit += 1;
        }
        #[expect(clippy::indexing_slicing, reason = "at compile time")]
        {
            table[byte as usize] = crc;
        }
        if byte == u8::MAX {
            return table;
        }
        byte += 1;
    }
}

static CRC8: [u8; 256] = crc8_table();

fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |crc, byte| {
        CRC8.get(usize::from(crc ^ byte))
            .copied()
            .unwrap_or_default()
    })
}

/// Bytes of a frame, of bytes that begin one.
fn frame_len(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [MARK, len, MARK, ..] if *len >= LEN_MIN => Some(usize::from(*len) + AROUND),
        _ => None,
    }
}

/// Whether a frame stands whole at the front, from its marks.
fn is_whole(bytes: &[u8]) -> bool {
    frame_len(bytes).is_some_and(|len| bytes.get(len - 1) == Some(&END))
}

/// Whether the bytes, fewer than three, may become a frame.
const fn may_start(bytes: &[u8]) -> bool {
    matches!(bytes, [MARK] | [MARK, LEN_MIN..=u8::MAX])
}

impl Szy206 {
    pub(crate) fn new(options: Options) -> Result<Self, String> {
        Ok(Self { options })
    }
}

/// What heads are called.
const HEADS: [&str; 9] = [
    "address",
    "command",
    "kind",
    "direction",
    "link",
    "tp_day",
    "tp_time",
    "tp_delay",
    "time",
];

impl Codec for Szy206 {
    fn key(&mut self, spelled: &str) -> Result<OwnedKey, String> {
        if HEADS.contains(&spelled) {
            return Ok(OwnedKey::Name(spelled.into()));
        }
        let kind_of = |name: &str| kinds::NAMES.iter().find(|(known, _)| *known == name);
        let numbered = spelled.rsplit_once('_').and_then(|(name, number)| {
            let number: u64 = number.parse().ok()?;
            kind_of(name).map(|(_, kind)| (*kind, number))
        });
        match (kind_of(spelled), numbered) {
            (Some((_, kind)), _) if *kind != kinds::QUALITY => {
                Ok(OwnedKey::Code(kinds::code(*kind, 0)))
            }
            (_, Some((kinds::QUALITY, bit @ 0..=39))) => {
                Ok(OwnedKey::Code(kinds::code(kinds::QUALITY, bit)))
            }
            (_, Some((kind, number @ 2..=50)))
                if kinds::form(kind).is_some() && kind != kinds::QUALITY =>
            {
                Ok(OwnedKey::Code(kinds::code(kind, number - 1)))
            }
            _ => {
                let names: Vec<_> = kinds::NAMES.iter().map(|(name, _)| *name).collect();
                Err(format!(
                    "`{spelled}` is no SZY 206 key: one of {}, with `_2` and so on for further values, `quality_0` to \
                     `quality_39`, or of the heads {} is wanted",
                    names.join(", "),
                    HEADS.join(", ")
                ))
            }
        }
    }

    fn frame(&self, bytes: &[u8]) -> Framing {
        let mut skip = 0;
        let mut partial = None;
        while let Some(found) = bytes
            .get(skip..)
            .and_then(|rest| rest.iter().position(|byte| *byte == MARK))
        {
            skip += found;
            let rest = bytes.get(skip..).unwrap_or_default();
            match frame_len(rest) {
                Some(len) if is_whole(rest) => return Framing::Frame { skip, len },
                Some(len) if rest.len() >= len => {
                    // Spoilt, unless a whole one begins within: then its marks were chance.
                    let is_chance = (1..len).any(|at| rest.get(at..).is_some_and(is_whole));
                    if !is_chance {
                        return Framing::Frame { skip, len };
                    }
                }
                Some(_) => partial = partial.or(Some(skip)),
                None if may_start(rest) => partial = partial.or(Some(skip)),
                None => {}
            }
            skip += 1;
        }
        partial.map_or(Framing::Nothing, |skip| Framing::Partial { skip })
    }

    fn decode<'a, S: Sink>(&self, frame: &'a [u8], sink: &mut S) -> Result<Decoded<'a>, Reject> {
        let len = frame_len(frame).ok_or_else(|| malformed(0, "no frame of SZY 206"))?;
        let short = || {
            malformed(
                1,
                format_args!("{len} bytes are declared, {} are there", frame.len()),
            )
        };
        let [before @ .., found, end] = frame.get(..len).ok_or_else(short)? else {
            return Err(short());
        };
        let computed = before.get(3..).map_or(0, crc8);
        if *found != computed {
            return Err(check_failed("CRC", u64::from(*found), u64::from(computed)));
        }
        if *end != END {
            return Err(malformed(len - 1, format_args!("{end:02X} ends no frame")));
        }
        let mut bytes = Bytes::new(before);
        bytes.take(3)?;
        let control = bytes.u8()?;
        if control & 0x40 != 0 {
            return Err(unsupported("a split frame"));
        }
        let address = HexText::of(bytes.take(5)?);
        let function = bytes.u8()?;
        let is_up = control & 0x80 != 0;
        let direction = if is_up { "up" } else { "down" };
        let command = HexText::of(&[function]);
        sink.head(Key::Name("address"), Value::Text(address.as_str()))?;
        sink.head(Key::Name("command"), Value::Text(command.as_str()))?;
        sink.head(Key::Name("kind"), Value::Whole(i64::from(control & 0x0F)))?;
        sink.head(Key::Name("direction"), Value::Text(direction))?;
        if is_up {
            data::read(
                bytes,
                function,
                u64::from(control & 0x0F),
                &self.options,
                sink,
            )?;
        }
        Ok(Decoded::Whole)
    }
}
