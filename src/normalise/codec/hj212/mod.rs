//! HJ 212-2017 and HJ/T 212-2005: what stations at pollution sources and of ambient air, water and noise send. Text in
//! frames (HJ 212-2017, 6.3):
//!
//! ```text
//!  ## dddd  QN=…;ST=…;CN=…;PW=…;MN=…;Flag=…;[PNUM=…;PNO=…;]CP=&&contents&&  hhhh  CR LF
//!     │     └──────────────────────── data segment ──────────────────────┘  │
//!     its length in decimal digits                                          its CRC in hexadecimal digits
//!
//!  contents:  DataTime=yyyyMMddHHmmss;factor-kind=value,factor-kind=value,factor-Flag=N;…
//! ```
//!
//! | | as | |
//! |---|---|---|
//! | `QN`, `ST`, `CN`, `PW`, `MN` | heads | text; empty is missing. `MN` is `address` too, `CN` is `command` too |
//! | `Flag`, `PNUM`, `PNO` | heads | whole numbers |
//! | `DataTime` | head | time, 14 or 17 digits; one that is no date is missing |
//! | `a34004-Rtd`, `w01018-Avg`, `01-ZsRtd`, `Leq-Rtd` | points | spelled as on the wire; 2005 codes are no different |
//! | `RestartTime`, `PolId` and whatever has no factor | points | `…Time` of 14 or 17 digits is a time |
//! | `a34004-Flag` | no point | quality of the factor's values |
//! | `w01018-SampleTime` | no point | time of the factor's values |
//!
//! Units are known to the factor code (HJ 524, HJ 525) and not to the wire. A frame is one record.
//!
//! | flag | | quality |
//! |---|---|---|
//! | N, 3, 1, none | normal; weather parameter (1) | good |
//! | F, M | out of service, in maintenance | `BadOutOfService` |
//! | S | set by hand | `UncertainSubstituteValue` |
//! | D | instrument failed | `BadSensorFailure` |
//! | P | without power (2005) | `BadDeviceFailure` |
//! | C, 0 | calibration | `UncertainSensorCalibration` |
//! | T | above the measuring range | `UncertainSensorNotAccurate` |
//! | B | no communication with the instrument | `BadNoCommunication` |
//! | any other, 2 | | `Uncertain` |
//!
//! The flag is that of the values of the same factor which stand next to it, whether `,` or `;` is between them.
//!
//! Always tolerated: no CR LF, a CRC in lower case, empty `MN` and `PW`, a missing `&&` at the end, text in GB 18030,
//! written dates, a frame without contents. By option: swapped or wrong CRC ([`Crc`]), a wrong length ([`Length`]).
//! A frame whose length runs into the next `##dddd` ends there, so that it spoils no other frame.

use serde::Deserialize;

use super::{
    super::{
        payload::Reject,
        point::{OwnedKey, Sink},
    },
    Codec, Decoded, Framing, Part, check_failed, malformed,
};

mod check;
mod content;
mod heads;
#[cfg(any(test, feature = "harness"))]
mod encode;

#[cfg(test)]
mod tests;

use heads::{Heads, text_of};

/// `##` and the four digits of the length.
const START: usize = 6;
const CRC_DIGITS: usize = 4;
/// Most pairs before the contents; the standard has eight.
const HEADS_MAX: usize = 16;
/// Most values of one factor in a row. The standard has seven kinds, for statistics with conversions 13.
const RUN_MAX: usize = 32;

/// Which CRC is taken for right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Crc {
    /// As the standard has it.
    #[default]
    Standard,
    /// That, or with its two bytes swapped.
    EitherOrder,
    /// Any: it is not looked at.
    Unchecked,
}

/// Where a frame ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Length {
    /// Where its length says.
    #[default]
    Declared,
    /// Behind the `&&` that closes the contents, whatever the length says.
    Found,
}

/// What becomes of a frame that says it is one of several (`PNUM`, `PNO`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Packets {
    /// It waits for the others, and all of them are one record.
    #[default]
    Joined,
    /// It is a record of its own.
    Alone,
}

/// The `[codec]` table of a profile.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    /// `standard` (default), `either_order` for devices that swap the bytes, `unchecked` for devices that compute
    /// something else. Unchecked, a spoilt frame is read as it is.
    pub(crate) crc: Crc,
    /// `declared` (default), or `found` for devices that count other bytes than the data segment's.
    pub(crate) length: Length,
    /// `joined` (default), or `alone` for devices that number packets but never complete a message, or give each of them
    /// a `QN` of its own.
    pub(crate) packets: Packets,
}

/// The codec.
#[derive(Debug, Clone)]
pub(crate) struct Hj212 {
    options: Options,
}

impl Hj212 {
    pub(crate) fn new(options: Options) -> Result<Self, String> {
        Ok(Self { options })
    }

    /// The data segment of a frame, its CRC checked.
    fn segment<'a>(&self, frame: &'a [u8]) -> Result<&'a [u8], Reject> {
        let (declared, behind) =
            start_of(frame).ok_or_else(|| malformed(0, "`##` and four digits are wanted"))?;
        let len = match self.options.length {
            Length::Declared => declared,
            Length::Found => behind.trim_ascii_end().len().saturating_sub(CRC_DIGITS),
        };
        let short = || {
            let have = behind.len();
            malformed(
                START,
                format_args!("{len} bytes and a CRC are declared, {have} are left"),
            )
        };
        let (segment, behind) = behind.split_at_checked(len).ok_or_else(short)?;
        let digits = behind.first_chunk::<CRC_DIGITS>().ok_or_else(short)?;
        if self.options.crc == Crc::Unchecked {
            return Ok(segment);
        }
        let found = hex(digits)
            .ok_or_else(|| malformed(START + len, "four hexadecimal digits of a CRC are wanted"))?;
        let computed = check::crc(segment);
        let is_right = found == computed
            || self.options.crc == Crc::EitherOrder && found.swap_bytes() == computed;
        if is_right {
            Ok(segment)
        } else {
            Err(check_failed("CRC", u64::from(found), u64::from(computed)))
        }
    }

    /// Bytes of the frame at the front, which begins with a declared length; none if its end is still to come.
    fn len(&self, bytes: &[u8]) -> Option<usize> {
        let (declared, behind) = start_of(bytes)?;
        let looks_whole = behind
            .get(declared..)
            .and_then(|behind| behind.first_chunk())
            .is_some_and(|crc| hex(crc).is_some());
        if self.options.length == Length::Declared && looks_whole {
            return Some(with_line_end(bytes, START + declared + CRC_DIGITS));
        }
        let reach = match self.options.length {
            Length::Declared => START + declared + CRC_DIGITS,
            Length::Found => START + REACH_MAX,
        };
        let within = bytes.get(..reach).unwrap_or(bytes);
        let next = next_start(within);
        if self.options.length == Length::Found {
            let own = within
                .get(..next.unwrap_or(within.len()))
                .unwrap_or_default();
            if let Some(end) = closed_at(own) {
                return Some(with_line_end(bytes, end));
            }
        }
        let whole = || (bytes.len() >= reach).then(|| with_line_end(bytes, reach));
        next.or_else(whole)
    }
}

/// How far the end of a frame is looked for: four digits of length.
const REACH_MAX: usize = 9_999 + CRC_DIGITS;

/// The declared length and what follows it, of bytes that begin a frame.
fn start_of(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let ([b'#', b'#', digits @ ..], behind) = bytes.split_first_chunk::<START>()? else {
        return None;
    };
    let declared = digits.iter().try_fold(0, |sum, digit| {
        digit
            .is_ascii_digit()
            .then(|| sum * 10 + usize::from(digit - b'0'))
    })?;
    Some((declared, behind))
}

/// Whether the bytes, fewer than a start has, may become one.
fn may_start(bytes: &[u8]) -> bool {
    let is_right = |(at, byte): (usize, &u8)| {
        if at < 2 {
            *byte == b'#'
        } else {
            byte.is_ascii_digit()
        }
    };
    bytes.len() < START && bytes.iter().enumerate().all(is_right)
}

/// Where the next frame starts within the bytes of one.
fn next_start(bytes: &[u8]) -> Option<usize> {
    let behind = bytes.get(START..).filter(|behind| behind.contains(&b'#'))?;
    let found = behind
        .windows(START)
        .position(|window| start_of(window).is_some())?;
    Some(START + found)
}

/// Where a frame ends by its marks: four hexadecimal digits behind the `&&` that closes the contents.
fn closed_at(bytes: &[u8]) -> Option<usize> {
    let find = |from: usize| {
        let found = bytes
            .get(from..)?
            .windows(2)
            .position(|window| window == b"&&")?;
        Some(from + found + 2)
    };
    let closed = find(find(START)?)?;
    let crc = bytes.get(closed..)?.first_chunk()?;
    hex(crc).map(|_| closed + CRC_DIGITS)
}

/// The end of a frame with the line end behind it, if there is one.
fn with_line_end(bytes: &[u8], end: usize) -> usize {
    match bytes.get(end..) {
        Some([b'\r', b'\n', ..]) => end + 2,
        Some([b'\r' | b'\n', ..]) => end + 1,
        _ => end,
    }
}

fn hex(digits: &[u8; CRC_DIGITS]) -> Option<u16> {
    digits.iter().try_fold(0, |sum, digit| {
        let nibble = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            b'A'..=b'F' => digit - b'A' + 10,
            _ => return None,
        };
        Some(sum << 4 | u16::from(nibble))
    })
}

impl Codec for Hj212 {
    fn key(&mut self, spelled: &str) -> Result<OwnedKey, String> {
        let example = "keys are spelled as on the wire, for example `a34004-Rtd` or `DataTime`";
        if spelled.is_empty() || spelled.contains([';', ',', '=', '&', ' ']) {
            return Err(format!("`{spelled}` is no HJ 212 key: {example}"));
        }
        match spelled.rsplit_once('-') {
            Some((factor, "Flag")) => Err(format!(
                "`{spelled}` is no value: the flag is the quality of {factor}'s values"
            )),
            Some((factor, "SampleTime")) => Err(format!(
                "`{spelled}` is no value: it is the time of {factor}'s values"
            )),
            Some(("", _) | (_, "")) => {
                Err(format!("`{spelled}` lacks a factor or a kind: {example}"))
            }
            _ => Ok(OwnedKey::Name(spelled.into())),
        }
    }

    fn frame(&self, bytes: &[u8]) -> Framing {
        let mut skip = 0;
        while let Some(rest) = bytes.get(skip..) {
            let Some(found) = rest.iter().position(|byte| *byte == b'#') else {
                break;
            };
            skip += found;
            let rest = bytes.get(skip..).unwrap_or_default();
            if start_of(rest).is_some() {
                return self
                    .len(rest)
                    .map_or(Framing::Partial { skip }, |len| Framing::Frame {
                        skip,
                        len,
                    });
            }
            if may_start(rest) {
                return Framing::Partial { skip };
            }
            skip += 1;
        }
        Framing::Nothing
    }

    fn decode<'a, S: Sink>(&self, frame: &'a [u8], sink: &mut S) -> Result<Decoded<'a>, Reject> {
        let segment = self.segment(frame)?;
        let text = text_of(segment);
        let heads = Heads::of(&text)?;
        if self.options.packets == Packets::Joined
            && let Some((number, total)) = heads.packet()
        {
            // With the `&&` that closes it, so that the packets stay apart when they are joined.
            let contents = segment.windows(5).position(|window| window == b"CP=&&");
            return Ok(Decoded::Part(Part {
                message: heads.message(),
                number,
                total,
                body: contents
                    .and_then(|at| segment.get(at + 5..))
                    .unwrap_or_default(),
            }));
        }
        heads.tell(sink)?;
        content::read(heads.contents, sink)?;
        Ok(Decoded::Whole)
    }

    fn decode_joined<S: Sink>(
        &self,
        first: &[u8],
        body: &[u8],
        sink: &mut S,
    ) -> Result<(), Reject> {
        let text = text_of(self.segment(first)?);
        Heads::of(&text)?.tell(sink)?;
        content::read(&text_of(body), sink)
    }
}
