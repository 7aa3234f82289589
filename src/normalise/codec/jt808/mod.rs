//! JT/T 808-2011, -2013 and -2019: positioning terminals of road vehicles, and of much else that moves.
//!
//! ```text
//! 7E │ id 2 │ attr 2 │ [version 1] │ phone 6 or 10, BCD │ serial 2 │ [total 2, number 2] │ body │ xor │ 7E
//!      attr: bits 0..9 length of the body, 10..12 encryption, 13 several packets, 14 edition 2019 (version, phone of 10)
//!      between the marks 7D 02 stands for 7E and 7D 01 for 7D; the xor is over all between the marks, without escapes
//!
//! body 0200: alarm 4 │ status 4 │ latitude 4 │ longitude 4 │ altitude 2 │ speed 2 │ direction 2 │ time 6, BCD │ extras
//! extra:     id 1 │ length 1 │ value
//! ```
//!
//! | message | what comes of it |
//! |---|---|
//! | 0200 position, 0201 and 0500 replies with a position | one record |
//! | 0704 batch of positions | a record for each; the head `batch_type` is 1 for those that were kept back |
//! | 0900 transparent | one record of `transparent.type` and `transparent.data` |
//! | all others: 0002 heartbeat, 0100 registration, 0102 authentication … | no record |
//!
//! Heads: `address` (the phone's digits as on the wire, leading zeros and all), `command` (message id), `serial`,
//! `version` (2019 only), `batch_type`.
//!
//! | key | value |
//! |---|---|
//! | `time` | local, year 2000 and later; missing if it is no date (clock not set) |
//! | `latitude`, `longitude` | deg, 6 places, negative in the south and west (status bits 2 and 3) |
//! | `altitude`, `speed`, `direction` | m; km/h, 1 place; deg |
//! | `alarm`, `status` | the two words, whole |
//! | `mileage` 01, `fuel` 02, `recorder_speed` 03 | km; L; km/h; 1 place each |
//! | `confirm_event` 04, `carriage_temperature` 06 | whole; Cel |
//! | `video_alarm` 14, `video_loss` 15, `video_blocked` 16, `storage_fault` 17 | words of JT/T 1078, whole |
//! | `vehicle_signals` 25, `io` 2A, `analog` 2B, `signal_strength` 30, `satellites` 31 | whole |
//! | `extra.64` | any extra by its id in two hexadecimal digits: bytes, or the number of the table above |
//! | `extra.EB.00A8` | an extra inside an extra whose layout the option `nested` gives |
//!
//! An extra of the table whose length is not the standard's comes as bytes: vendors use the ids for something else. The
//! option `extras` takes numbers and text out of such bytes, under a name of its own.
//!
//! Quality: with status bit 1 at 0 (not positioned) what comes of the satellites is uncertain, or missing and bad by the
//! option `unfixed`; a position of 0, 0 is then missing and bad in any case. An extra cut off by the end of the body is
//! missing and bad, and the last; what stands before it holds.
//!
//! Tolerated: one mark that ends a frame and begins the next; noise and marks between frames; items of a batch that are
//! no position, as long as one is; a count of a batch that is wrong. A body under RSA is refused as unsupported.

#[cfg(any(test, feature = "harness"))]
mod encode;
mod extras;
mod options;
mod packet;
mod position;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub(crate) use options::Options;

use super::{
    super::{
        payload::Reject,
        point::{Key, OwnedKey, Point, Sink, Value},
    },
    Codec, Decoded, Framing, Part,
    bits::{Bytes, HexText, xor8},
    check_failed, malformed, unsupported,
};
use extras::Extras;
use options::Unfixed;
use packet::Header;

/// Heads and points that bear a name on the wire of no table.
const NAMES: [&str; 15] = [
    "address",
    "command",
    "serial",
    "version",
    "batch_type",
    "time",
    "latitude",
    "longitude",
    "altitude",
    "speed",
    "direction",
    "alarm",
    "status",
    "transparent.type",
    "transparent.data",
];

/// The format.
#[derive(Debug, Clone)]
pub(crate) struct Jt808 {
    unfixed: Unfixed,
    extras: Extras,
}

impl Jt808 {
    /// # Errors
    /// Which option is wrong, and how.
    pub(crate) fn new(options: Options) -> Result<Self, String> {
        let taken = |name: &str| NAMES.contains(&name);
        if let Some(name) = options.names().find(|name| taken(name)) {
            return Err(format!("extras: the name {name:?} is the format's own"));
        }
        Ok(Self {
            unfixed: options.unfixed,
            extras: Extras::new(&options)?,
        })
    }

    /// A message without marks and escapes; `escaped` is the same with its escapes.
    fn message<'a, S: Sink>(
        &self,
        plain: &[u8],
        escaped: &'a [u8],
        sink: &mut S,
    ) -> Result<Decoded<'a>, Reject> {
        let (found, checked) = plain
            .split_last()
            .ok_or_else(|| malformed(0, "nothing between the marks"))?;
        let computed = xor8(checked);
        if *found != computed {
            return Err(check_failed("xor", u64::from(*found), u64::from(computed)));
        }
        let mut bytes = Bytes::new(checked);
        let header = Header::take(&mut bytes)?;
        if bytes.rest().len() != header.body_len {
            let what = format_args!(
                "a body of {} bytes where the header says {}",
                bytes.rest().len(),
                header.body_len
            );
            return Err(malformed(bytes.at(), what));
        }
        if header.encryption != 0 {
            return Err(unsupported(format_args!(
                "a body under encryption {} of message {:04X}",
                header.encryption, header.command
            )));
        }
        if let Some((total, number)) = header.packets.filter(|(total, _)| *total != 1) {
            if number == 0 || number > total {
                return Err(malformed(
                    bytes.at(),
                    format_args!("packet {number} of {total}"),
                ));
            }
            return Ok(Decoded::Part(Part {
                message: header.message_id(number),
                number,
                total,
                body: packet::body_of(escaped, bytes.at()),
            }));
        }
        self.body(&header, bytes, sink)?;
        Ok(Decoded::Whole)
    }

    fn body<S: Sink>(
        &self,
        header: &Header<'_>,
        mut bytes: Bytes<'_>,
        sink: &mut S,
    ) -> Result<(), Reject> {
        let address = HexText::of(header.phone);
        sink.head(Key::Name("address"), Value::Text(address.as_str()))?;
        sink.head(
            Key::Name("command"),
            Value::Whole(i64::from(header.command)),
        )?;
        sink.head(Key::Name("serial"), Value::Whole(i64::from(header.serial)))?;
        if let Some(version) = header.version {
            sink.head(Key::Name("version"), Value::Whole(i64::from(version)))?;
        }
        match header.command {
            0x0200 => self.position(bytes, sink)?,
            0x0201 | 0x0500 => {
                bytes.u16_be()?; // serial number of the request
                self.position(bytes, sink)?;
            }
            0x0704 => return self.batch(bytes, sink),
            0x0900 => {
                let kind = Value::Whole(i64::from(bytes.u8()?));
                sink.point(Point::new(Key::Name("transparent.type"), kind))?;
                let content = Value::Bytes(bytes.rest());
                sink.point(Point::new(Key::Name("transparent.data"), content))?;
            }
            _ => return Ok(()),
        }
        sink.end_record()
    }

    /// Positions, each behind its length. One that is none is passed over while another can be read.
    fn batch<S: Sink>(&self, mut bytes: Bytes<'_>, sink: &mut S) -> Result<(), Reject> {
        let count = bytes.u16_be()?;
        let kind = Value::Whole(i64::from(bytes.u8()?));
        sink.head(Key::Name("batch_type"), kind)?;
        let mut first_fault = None;
        let mut records = 0_u32;
        while !bytes.is_empty() {
            let item = bytes.u16_be().and_then(|len| {
                let at = bytes.at();
                Ok((at, bytes.take(usize::from(len))?))
            });
            match item {
                Ok((_, item)) if item.len() >= position::BASIC_LEN => {
                    self.position(Bytes::new(item), sink)?;
                    sink.end_record()?;
                    records += 1;
                }
                Ok((at, item)) => {
                    let what = format_args!("a position of {} bytes", item.len());
                    first_fault.get_or_insert_with(|| malformed(at, what));
                }
                Err(fault) => {
                    first_fault.get_or_insert(fault);
                    break;
                }
            }
        }
        match first_fault {
            Some(fault) if records == 0 => Err(fault),
            None if records == 0 && count > 0 => Err(malformed(
                bytes.at(),
                format_args!("{count} positions are wanted"),
            )),
            _ => Ok(()),
        }
    }
}

impl Codec for Jt808 {
    fn key(&mut self, spelled: &str) -> Result<OwnedKey, String> {
        if NAMES.contains(&spelled) {
            return Ok(OwnedKey::Name(spelled.into()));
        }
        self.extras.key(spelled).map(OwnedKey::Code)
    }

    fn frame(&self, bytes: &[u8]) -> Framing {
        packet::find(bytes)
    }

    fn decode<'a, S: Sink>(&self, frame: &'a [u8], sink: &mut S) -> Result<Decoded<'a>, Reject> {
        let escaped = packet::between_marks(frame)?;
        if packet::has_escapes(escaped) {
            let mut room = [0; packet::PLAIN_MAX];
            let plain = packet::unescape(escaped, &mut room)?;
            self.message(plain, escaped, sink)
        } else {
            self.message(escaped, escaped, sink)
        }
    }

    /// The bodies are joined as they stand in their frames, with their escapes.
    fn decode_joined<S: Sink>(
        &self,
        first: &[u8],
        body: &[u8],
        sink: &mut S,
    ) -> Result<(), Reject> {
        let escaped = packet::between_marks(first)?;
        let mut room = [0; packet::PLAIN_MAX];
        let plain = packet::unescape(escaped, &mut room)?;
        let header = Header::take(&mut Bytes::new(plain))?;
        let body = if packet::has_escapes(body) {
            let mut room = vec![0; body.len()];
            let len = packet::unescape(body, &mut room)?.len();
            room.truncate(len);
            Cow::Owned(room)
        } else {
            Cow::Borrowed(body)
        };
        self.body(&header, Bytes::new(&body), sink)
    }
}
