//! SL 651-2014, the hydrological telemetry of water level, rain, flow and water quality stations, in its HEX/BCD coding:
//!
//! ```text
//!  up    7E 7E  centre 1  station 5  password 2  function 1  0LLL 2  STX 02  body L            end 1  CRC 2
//!  down  7E 7E  station 5  centre 1  password 2  function 1  8LLL 2  STX 02  body L            end 1  CRC 2
//!  packet                                                    .LLL 2  SYN 16  total+number 3, part of a body L-3
//!
//!  body     serial 2, sent yyMMddHHmmss 6 BCD, then by function, mostly:
//!           F1 F1 station 5, type 1;  F0 F0 observed yyMMddHHmm 5 BCD;  elements …;  F0 F0 …;  elements …
//!  element  id 1 (FF: 2), definition 1 (bits 7..3 bytes, bits 2..0 decimals), value
//! ```
//!
//! The CRC is CRC-16/MODBUS over all that stands before it, high byte first. End is ETX 03, ETB 17, ENQ 05, EOT 04,
//! ACK 06, NAK 15 or ESC 1B.
//!
//! | key | as | |
//! |---|---|---|
//! | `address` | head | station address, ten hexadecimal digits, `0012345678` |
//! | `command` | head | function code, two hexadecimal digits: `32` timed, `33` added, `34` hourly report … |
//! | `direction` | head | `up`, `down` |
//! | `centre`, `serial` | heads | whole numbers |
//! | `sent` | head | time of sending |
//! | `station`, `station_type` | heads | address and type that the body repeats; type as hexadecimal digits, `48` river |
//! | `clock_unset` | head | true where a time has the year of a clock never set; absent otherwise |
//! | `F0` | point | observation time of the record; missing where the clock is unset or there is no such date |
//! | `20`, `39`, `FF03` | points | elements by their hexadecimal id, with the standard's unit |
//! | `F4`, `F5` … `FC` | points | one for each value of the hour's series, each of its own time, 300 s apart |
//! | `04` | point | step of a uniform report in seconds; the values of its element follow in steps |
//! | `45` | point | status and alarm word, whole |
//! | `F2`, `F3` | points | text set by hand; picture, bytes |
//! | `version` | point | software version (function 45) |
//!
//! A record begins at each `F0`. FF throughout is missing; FF before digits is a minus sign. What are no digits is missing
//! and `Bad`, and the rest is read on. Heartbeats, configuration, confirmations and all that a centre sends have heads and
//! no record. Messages of several packets (SYN) are joined; only the first packet has serial number and time.
//!
//! By option: a CRC with swapped bytes ([`Crc`]), another year of unset clocks. The ASCII coding of the standard (SOH 01)
//! is none of this codec.

use serde::Deserialize;

use super::{
    super::{
        payload::Reject,
        point::{Key, OwnedKey, Sink, Value},
    },
    Codec, Decoded, Framing, Part,
    bits::{Bytes, HexText, crc16_modbus},
    check_failed, malformed,
};

mod body;
mod elements;
#[cfg(any(test, feature = "harness"))]
mod encode;

#[cfg(test)]
mod tests;

const SOH: [u8; 2] = [0x7E; 2];
const STX: u8 = 0x02;
const SYN: u8 = 0x16;
/// Bytes before a body.
const START: usize = 14;
/// End mark and CRC behind it.
const TAIL: usize = 3;

/// Which CRC is taken for right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Crc {
    /// High byte first, as the standard has it.
    #[default]
    Standard,
    /// That, or low byte first, as Modbus has it.
    EitherOrder,
}

/// The `[codec]` table of a profile.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    /// `standard` (default), or `either_order` for stations that send the CRC low byte first.
    pub(crate) crc: Crc,
    /// The year, of two digits, that a clock never set shows. 59 by default, where common clock chips wake up.
    pub(crate) unset_year: u8,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            crc: Crc::Standard,
            unset_year: 59,
        }
    }
}

/// The codec.
#[derive(Debug, Clone)]
pub(crate) struct Sl651 {
    options: Options,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

/// What stands before a body.
#[derive(Debug, Clone, Copy)]
struct Header {
    station: [u8; 5],
    centre: u8,
    function: u8,
    direction: Direction,
    len: usize,
    in_packets: bool,
}

impl Header {
    /// Of bytes that begin a frame; none if they begin none.
    fn of(bytes: &[u8]) -> Option<Self> {
        let [0x7E, 0x7E, front @ .., _, _, function, high, low, mark] =
            *bytes.first_chunk::<START>()?
        else {
            return None;
        };
        let direction = match high >> 4 {
            0 => Direction::Up,
            8 => Direction::Down,
            _ => return None,
        };
        let (station, centre) = match (direction, front) {
            (Direction::Up, [centre, a, b, c, d, e]) => ([a, b, c, d, e], centre),
            (Direction::Down, [a, b, c, d, e, centre]) => ([a, b, c, d, e], centre),
        };
        matches!(mark, STX | SYN).then_some(Self {
            station,
            centre,
            function,
            direction,
            len: usize::from(high & 0x0F) << 8 | usize::from(low),
            in_packets: mark == SYN,
        })
    }

    const fn frame_len(&self) -> usize {
        START + self.len + TAIL
    }

    fn tell<S: Sink>(&self, sink: &mut S) -> Result<(), Reject> {
        let (station, function) = (HexText::of(&self.station), HexText::of(&[self.function]));
        let direction = match self.direction {
            Direction::Up => "up",
            Direction::Down => "down",
        };
        sink.head(Key::Name("address"), Value::Text(station.as_str()))?;
        sink.head(Key::Name("command"), Value::Text(function.as_str()))?;
        sink.head(Key::Name("direction"), Value::Text(direction))?;
        sink.head(Key::Name("centre"), Value::Whole(i64::from(self.centre)))
    }

    /// What the packets of a message have in common. The serial number is in the first of them alone.
    fn message(&self, total: u16) -> u64 {
        let station = self
            .station
            .iter()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        station << 24 | u64::from(self.function) << 16 | u64::from(total)
    }
}

/// Whether a byte ends a frame.
const fn is_end(byte: u8) -> bool {
    matches!(byte, 0x03 | 0x04 | 0x05 | 0x06 | 0x15 | 0x17 | 0x1B)
}

/// Where the next frame starts behind the front of one.
fn next_start(bytes: &[u8]) -> Option<usize> {
    let behind = bytes.get(2..)?;
    let found = behind
        .windows(START)
        .position(|window| Header::of(window).is_some())?;
    Some(2 + found)
}

impl Sl651 {
    pub(crate) fn new(options: Options) -> Result<Self, String> {
        match options.unset_year {
            0..=99 => Ok(Self { options }),
            year => Err(format!(
                "unset_year = {year}: a year of two digits is wanted"
            )),
        }
    }

    /// The header of a frame and the frame without its end mark and CRC, which is checked.
    fn checked<'a>(&self, frame: &'a [u8]) -> Result<(Header, &'a [u8]), Reject> {
        let header = Header::of(frame).ok_or_else(|| malformed(0, "no header of SL 651"))?;
        let len = header.frame_len();
        let short = || {
            let have = frame.len();
            malformed(
                START,
                format_args!("{len} bytes are declared, {have} are there"),
            )
        };
        let ([before @ .., end], crc) = frame
            .get(..len)
            .and_then(|frame| frame.split_last_chunk())
            .ok_or_else(short)?
        else {
            return Err(short());
        };
        let found = u16::from_be_bytes(*crc);
        let computed = frame.get(..len - crc.len()).map_or(0, crc16_modbus);
        let is_right = found == computed
            || self.options.crc == Crc::EitherOrder && found.swap_bytes() == computed;
        if !is_right {
            return Err(check_failed("CRC", u64::from(found), u64::from(computed)));
        }
        if !is_end(*end) {
            return Err(malformed(
                before.len(),
                format_args!("{end:02X} ends no frame"),
            ));
        }
        Ok((header, before))
    }
}

/// What heads and points have for names rather than ids.
const NAMES: [&str; 10] = [
    "address",
    "command",
    "direction",
    "centre",
    "serial",
    "sent",
    "station",
    "station_type",
    "clock_unset",
    "version",
];

impl Codec for Sl651 {
    fn key(&mut self, spelled: &str) -> Result<OwnedKey, String> {
        if NAMES.contains(&spelled) {
            return Ok(OwnedKey::Name(spelled.into()));
        }
        let is_hex = spelled.bytes().all(|byte| byte.is_ascii_hexdigit());
        match (spelled.len(), u64::from_str_radix(spelled, 16)) {
            (2, Ok(elements::STATION)) if is_hex => {
                Err("`F1` is the station's address: use `station`".to_owned())
            }
            (2, Ok(id)) if is_hex && id != elements::CUSTOM => Ok(OwnedKey::Code(id)),
            (4, Ok(id)) if is_hex && id >> 8 == elements::CUSTOM => Ok(OwnedKey::Code(id)),
            _ => Err(format!(
                "`{spelled}` is no SL 651 key: an element id in hexadecimal digits (`39`, `F4`, `FF03`) or one of {} is \
                 wanted",
                NAMES.join(", ")
            )),
        }
    }

    fn frame(&self, bytes: &[u8]) -> Framing {
        let mut skip = 0;
        while let Some(rest) = bytes.get(skip..).filter(|rest| !rest.is_empty()) {
            let Some(found) = rest.iter().position(|byte| *byte == 0x7E) else {
                break;
            };
            skip += found;
            let rest = bytes.get(skip..).unwrap_or_default();
            if let Some(header) = Header::of(rest) {
                let len = header.frame_len();
                if rest.get(START + header.len).is_some_and(|end| is_end(*end)) && rest.len() >= len
                {
                    return Framing::Frame { skip, len };
                }
                // Its length is spoilt, or its end is still to come: it must not swallow the next one.
                let within = rest.get(..len).unwrap_or(rest);
                let whole = || (rest.len() >= len).then_some(len);
                return next_start(within).or_else(whole).map_or(
                    Framing::Partial { skip },
                    |len| Framing::Frame { skip, len },
                );
            }
            if rest.len() < START && SOH.starts_with(rest.get(..2).unwrap_or(rest)) {
                return Framing::Partial { skip };
            }
            skip += 1;
        }
        Framing::Nothing
    }

    fn decode<'a, S: Sink>(&self, frame: &'a [u8], sink: &mut S) -> Result<Decoded<'a>, Reject> {
        let (header, before) = self.checked(frame)?;
        let mut bytes = Bytes::new(before);
        bytes.take(START)?;
        if header.in_packets {
            let [high, middle, low] = bytes.array()?;
            let total = u16::from(high) << 4 | u16::from(middle >> 4);
            let number = u16::from(middle & 0x0F) << 8 | u16::from(low);
            if !(1..=total).contains(&number) {
                return Err(malformed(START, format_args!("packet {number} of {total}")));
            }
            if total > 1 {
                return Ok(Decoded::Part(Part {
                    message: header.message(total),
                    number,
                    total,
                    body: bytes.rest(),
                }));
            }
        }
        header.tell(sink)?;
        body::read(bytes, &header, self.options.unset_year, sink)?;
        Ok(Decoded::Whole)
    }

    fn decode_joined<S: Sink>(
        &self,
        first: &[u8],
        body: &[u8],
        sink: &mut S,
    ) -> Result<(), Reject> {
        let (header, _) = self.checked(first)?;
        header.tell(sink)?;
        body::read(Bytes::new(body), &header, self.options.unset_year, sink)
    }
}
