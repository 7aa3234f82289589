//! GB/T 26875.3-2011: user information transmission devices of fire systems.
//!
//! ```text
//! 40 40 │ serial 2 │ version 2 │ time 6 │ source 6 │ target 6 │ length 2 │ command 1 │ data │ sum │ 23 23
//!         numbers and addresses with their lowest byte first; the sum is over all from the serial to the end of the data
//!         times are second, minute, hour, day, month, year, binary
//!
//! data: type 1 │ count of objects 1 │ object │ object │ …
//! ```
//!
//! A record for each object of a frame of command 2 (sent) or 5 (answer); other commands, no data (a registration) and
//! types that go down to the device are frames without a record. Heads: `address` (source), `target`, `command`,
//! `serial`, `version` (two bytes, the major one first), `sent` (time of the frame), `type`. Addresses are 12 hexadecimal
//! digits, highest first.
//!
//! Every object has `object`: `ADDRESS` of the device, `ADDRESS.SSAA` of a system (type and address, two hexadecimal
//! digits each) or `ADDRESS.SSAA.PPPPPPPP` of a part (its address), so that a profile can name a device by the frame
//! or by the object. `time` is the object's, local, and missing if it is no date. The others, by the type of the frame:
//!
//! | type | keys |
//! |---|---|
//! | 1 to 8 | `system_type` `system_address` |
//! | 2, 3, 7 | `part_type` `part_address` (8 hexadecimal digits, highest first) |
//! | 1 system status | `system_status` (word) |
//! | 2 part status | `part_status` (word: 1 fire, 2 fault, 3 shield …), `part_description` |
//! | 3 analog value of a part | `analog.N` of kind N; 1 to 12 also by name: `event_count` `height` `temperature` `pressure_mpa` `pressure_kpa` `gas` (`%{LEL}`) `duration` `voltage` `current` `flow` `air_flow` `wind_speed` |
//! | 4 operation | `system_operation` (bits) `system_operator` |
//! | 5 version, 6 and 7 configuration | `system_version_major` `system_version_minor`; `system_description`; `part_description` |
//! | 8 clock of a system, 28 of the device | `time` alone |
//! | 21 device status | `device_status` (bits) |
//! | 24 operation, 25 version, 26 configuration of the device | `device_operation` `device_operator`; `device_version_major` `device_version_minor`; `device_description` |
//! | 128 to 254 | one record of `data`: all bytes behind the count |
//!
//! Text is GB 18030 to its first NUL; broken bytes never fail a reading. The format has no marks of quality.
//!
//! Tolerated: bytes behind the last object; part status without the 31 bytes of text, where the length of the data says
//! so. Objects that are cut off fail the frame: what they would say is not known.

mod analog;
#[cfg(any(test, feature = "harness"))]
mod encode;
mod object;
#[cfg(test)]
mod tests;

use super::{
    super::{
        payload::Reject,
        point::{Civil, Key, Moment, OwnedKey, Point, Sink, Value},
    },
    Codec, Decoded, Framing,
    bits::{Bytes, HexText, gb18030, sum8},
    check_failed, malformed,
};
use object::Object;

const START: [u8; 2] = [0x40, 0x40];
const END: [u8; 2] = [0x23, 0x23];
const HEADER_LEN: usize = 27;
/// Header, sum, end.
const FRAME_MIN: usize = HEADER_LEN + 3;
/// The standard's limit of the data.
const DATA_MAX: usize = 1024;
const TEXT_LEN: usize = 31;

/// Heads and points that bear names.
const NAMES: [&str; 28] = [
    "address",
    "target",
    "command",
    "serial",
    "version",
    "sent",
    "type",
    "object",
    "time",
    "system_type",
    "system_address",
    "system_status",
    "system_operation",
    "system_operator",
    "system_version_major",
    "system_version_minor",
    "system_description",
    "part_type",
    "part_address",
    "part_status",
    "part_description",
    "device_status",
    "device_operation",
    "device_operator",
    "device_version_major",
    "device_version_minor",
    "device_description",
    "data",
];

/// The `[codec]` table of a profile.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    /// In which order the digits of addresses are shown, in heads and points. Default `highest_first`: what the
    /// standard's numbers mean.
    pub(crate) addresses: Addresses,
}

/// The order of an address's digits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Addresses {
    /// As a number.
    #[default]
    HighestFirst,
    /// As on the wire, for devices that hold digits there.
    Wire,
}

/// The format.
#[derive(Debug, Clone)]
pub(crate) struct Gb26875 {
    addresses: Addresses,
}

/// What the length of a frame comes to.
enum Fit {
    Whole(usize),
    /// More bytes are wanted.
    Short,
    /// There is no end where the length says.
    Broken,
    /// The length or the command is none.
    Noise,
}

fn fit(bytes: &[u8]) -> Fit {
    let Some(header) = bytes.first_chunk::<HEADER_LEN>() else {
        return Fit::Short;
    };
    let [.., low, high, command] = *header;
    let data_len = usize::from(u16::from_le_bytes([low, high]));
    if data_len > DATA_MAX || command == 0 {
        return Fit::Noise;
    }
    match bytes.get(..FRAME_MIN + data_len) {
        None => Fit::Short,
        Some(frame) if frame.ends_with(&END) => Fit::Whole(frame.len()),
        Some(_) => Fit::Broken,
    }
}

impl Gb26875 {
    /// # Errors
    /// None: every combination of these options is one.
    pub(crate) fn new(options: Options) -> Result<Self, String> {
        let addresses = options.addresses;
        Ok(Self { addresses })
    }

    fn hex(&self, address: &[u8]) -> HexText {
        match self.addresses {
            Addresses::HighestFirst => HexText::of_le(address),
            Addresses::Wire => HexText::of(address),
        }
    }

    fn data<S: Sink>(
        &self,
        source: &HexText,
        mut bytes: Bytes<'_>,
        sink: &mut S,
    ) -> Result<(), Reject> {
        let kind = bytes.u8()?;
        sink.head(Key::Name("type"), Value::Whole(i64::from(kind)))?;
        let count = bytes.u8()?;
        if kind >= 128 {
            let data = Value::Bytes(bytes.rest());
            sink.point(Point::new(Key::Name("data"), data))?;
            return sink.end_record();
        }
        let has_text = bytes.rest().len() != usize::from(count) * (46 - TEXT_LEN);
        let is_read = matches!(kind, 1..=8 | 21 | 24..=26 | 28);
        for _ in 0..if is_read { count } else { 0 } {
            let mut object = Object::new(source);
            if kind <= 8 {
                object.system(&mut bytes, sink)?;
            }
            if matches!(kind, 2 | 3 | 7) {
                object.part(self, &mut bytes, sink)?;
            }
            sink.point(Point::new(
                Key::Name("object"),
                Value::Text(object.as_str()),
            ))?;
            match kind {
                2 if !has_text => word(&mut bytes, "part_status", sink)?,
                2 => {
                    word(&mut bytes, "part_status", sink)?;
                    text(&mut bytes, TEXT_LEN, "part_description", sink)?;
                }
                _ => content(kind, &mut bytes, sink)?,
            }
            if !matches!(kind, 5..=7 | 25 | 26) {
                let time = moment(bytes.array()?);
                sink.point(Point::new(Key::Name("time"), time))?;
            }
            sink.end_record()?;
        }
        Ok(())
    }
}

/// What an object says, between its name and its time.
fn content<S: Sink>(kind: u8, bytes: &mut Bytes<'_>, sink: &mut S) -> Result<(), Reject> {
    let mut pair = |[first, second]: [&'static str; 2], bytes: &mut Bytes<'_>| {
        byte(bytes, first, sink)?;
        byte(bytes, second, sink)
    };
    match kind {
        1 => word(bytes, "system_status", sink),
        3 => {
            let kind = bytes.u8()?;
            sink.point(analog::point(kind, bytes.u16_le()?.cast_signed()))
        }
        4 => pair(["system_operation", "system_operator"], bytes),
        5 => pair(["system_version_major", "system_version_minor"], bytes),
        6 => {
            let len = usize::from(bytes.u8()?);
            text(bytes, len, "system_description", sink)
        }
        7 => text(bytes, TEXT_LEN, "part_description", sink),
        21 => byte(bytes, "device_status", sink),
        24 => pair(["device_operation", "device_operator"], bytes),
        25 => pair(["device_version_major", "device_version_minor"], bytes),
        26 => {
            let len = usize::from(bytes.u8()?);
            text(bytes, len, "device_description", sink)
        }
        _ => Ok(()),
    }
}

fn byte<S: Sink>(bytes: &mut Bytes<'_>, name: &str, sink: &mut S) -> Result<(), Reject> {
    let value = Value::Whole(i64::from(bytes.u8()?));
    sink.point(Point::new(Key::Name(name), value))
}

fn word<S: Sink>(bytes: &mut Bytes<'_>, name: &str, sink: &mut S) -> Result<(), Reject> {
    let value = Value::Whole(i64::from(bytes.u16_le()?));
    sink.point(Point::new(Key::Name(name), value))
}

fn text<S: Sink>(
    bytes: &mut Bytes<'_>,
    len: usize,
    name: &str,
    sink: &mut S,
) -> Result<(), Reject> {
    let text = gb18030(bytes.take(len)?);
    sink.point(Point::new(Key::Name(name), Value::Text(&text)))
}

/// Second, minute, hour, day, month, year from 2000; missing if there is no such time.
fn moment(bytes: [u8; 6]) -> Value<'static> {
    let [second, minute, hour, day, month, year] = bytes;
    let civil = Civil::new((2000 + u16::from(year), month, day), (hour, minute, second));
    civil.map_or(Value::Missing, |civil| Value::Time(Moment::Local(civil)))
}

impl Codec for Gb26875 {
    fn key(&mut self, spelled: &str) -> Result<OwnedKey, String> {
        if NAMES.contains(&spelled) {
            return Ok(OwnedKey::Name(spelled.into()));
        }
        analog::key(spelled).map(OwnedKey::Code)
    }

    /// A frame whose length does not lead to its end is handed over up to the next that is whole, to be refused by
    /// name.
    fn frame(&self, bytes: &[u8]) -> Framing {
        let mut broken = None;
        let mut partial = None;
        let starts = bytes
            .windows(2)
            .enumerate()
            .filter(|(_, pair)| *pair == START);
        for (skip, _) in starts {
            match fit(bytes.get(skip..).unwrap_or_default()) {
                Fit::Whole(len) => {
                    let unread = broken.filter(|start| skip - start >= FRAME_MIN);
                    return unread.map_or(Framing::Frame { skip, len }, |start| Framing::Frame {
                        skip: start,
                        len: skip - start,
                    });
                }
                Fit::Broken => broken = broken.or(Some(skip)),
                Fit::Short => partial = partial.or(Some(skip)),
                Fit::Noise => {}
            }
        }
        match (broken, partial) {
            (Some(skip), partial) => {
                let end = partial
                    .filter(|partial| *partial > skip)
                    .unwrap_or(bytes.len());
                Framing::Frame {
                    skip,
                    len: end - skip,
                }
            }
            (None, Some(skip)) => Framing::Partial { skip },
            (None, None) if bytes.last() == Some(&0x40) => {
                let skip = bytes.len() - 1;
                Framing::Partial { skip }
            }
            (None, None) => Framing::Nothing,
        }
    }

    fn decode<'a, S: Sink>(&self, frame: &'a [u8], sink: &mut S) -> Result<Decoded<'a>, Reject> {
        let inner = frame
            .strip_prefix(&START)
            .ok_or_else(|| malformed(0, "no 40 40"))?;
        let inner = inner.strip_suffix(&END);
        let inner = inner.ok_or_else(|| malformed(frame.len(), "no 23 23 at the end"))?;
        let (found, checked) = inner.split_last().ok_or_else(|| malformed(2, "no sum"))?;
        let mut bytes = Bytes::new(checked);
        let serial = bytes.u16_le()?;
        let [major, minor] = bytes.array()?;
        let sent = moment(bytes.array()?);
        let source = self.hex(bytes.take(6)?);
        let target = self.hex(bytes.take(6)?);
        let data_len = usize::from(bytes.u16_le()?);
        let command = bytes.u8()?;
        if bytes.rest().len() != data_len {
            let len = bytes.rest().len();
            let what = format_args!("{len} bytes of data where the header says {data_len}");
            return Err(malformed(HEADER_LEN, what));
        }
        let computed = sum8(checked);
        if *found != computed {
            return Err(check_failed("sum", u64::from(*found), u64::from(computed)));
        }
        sink.head(Key::Name("address"), Value::Text(source.as_str()))?;
        sink.head(Key::Name("target"), Value::Text(target.as_str()))?;
        sink.head(Key::Name("command"), Value::Whole(i64::from(command)))?;
        sink.head(Key::Name("serial"), Value::Whole(i64::from(serial)))?;
        let version = u16::from_be_bytes([major, minor]);
        sink.head(Key::Name("version"), Value::Whole(i64::from(version)))?;
        sink.head(Key::Name("sent"), sent)?;
        if matches!(command, 2 | 5) && data_len != 0 {
            self.data(&source, bytes, sink)?;
        }
        Ok(Decoded::Whole)
    }
}
