//! M-Bus meters on a wire: EN 13757-2 (link layer) and EN 13757-3 (application layer, variable data).
//!
//! ```text
//!  68 L L 68  C A CI  data  CS 16      CS = sum of C to the end of the data, modulo 256; L = bytes so summed
//!
//!  CI 72  id 4  maker 2  version  medium  access  status  configuration 2  records
//!  CI 7A                                  access  status  configuration 2  records
//!  CI 78                                                                   records
//!  record  DIF DIFE…  VIF VIFE…  value      2F fills, 0F and 1F: the rest is the maker's
//! ```
//!
//! Keys (points) are spelled `quantity[.modifier][.max|.min|.error][.storageN][.tariffN][.unitN]`, what follows the
//! quantity in any order: `energy`, `energy.storage1`, `power.max`, `volume.tariff2.storage3`, `volume.unit1`,
//! `energy.positive`, `voltage.l1`. `error` is the value during an error, storage, tariff and unit 0 are not written.
//!
//! | quantity | unit |
//! |---|---|
//! | `energy`, `reactive_energy`, `apparent_energy` | kW.h (or MJ, Mcal), kV.A{reactive}.h, kV.A.h |
//! | `power`, `maximum_power`, `reactive_power`, `apparent_power` | kW (or MJ/h), kV.A{reactive}, kV.A |
//! | `volume`, `mass`, `volume_flow`, `mass_flow` | m3, kg, m3/h (or m3/min, m3/s), kg/h |
//! | `temperature.flow`, `.return`, `.external`, `.difference` | Cel, the last K (or \[degF\]) |
//! | `pressure`, `relative_humidity`, `voltage`, `current`, `frequency`, `phase` | bar, %{RH}, V, A, Hz, deg |
//! | `on_time`, `operating_time`, `battery_left`, `battery_time`, … | s, min, h, d, as the meter has it |
//! | `time`, `date`, `fabrication_number`, `digital_input`, `error_flags`, … | |
//! | `text:%RH`, `text:cust. ID` | a quantity that the meter names in plain text |
//! | `maker_data` | bytes behind 0F or 1F |
//!
//! The unit of one quantity is the same for all powers of ten; numbers stay exact. A wrong spelling is answered with all
//! quantities and modifiers.
//!
//! Heads: `address` (8 digits of the id), `manufacturer` (three letters), `version`, `medium` (name), `medium_code`,
//! `access_number`, `status`, `primary_address`, `command` (C), `error` (code of an application error), `more` (true
//! behind 1F: the meter has more telegrams).
//!
//! Quality: a status of a permanent or temporary error or of an application error makes all values `Uncertain`; what a
//! record says of itself (VIFE of errors) goes before: no data is missing, overflow and underflow
//! `UncertainEngineeringUnitsExceeded`, others `Bad`. Calendars are the meter's, in summer time where it keeps that.
//! Encrypted telegrams, fixed data (CI 73) and most significant byte first (CI 76) are unsupported. A telegram to a
//! meter, an application error and a reply without data have no record.

mod key;
mod vif;
mod record;
mod values;
#[cfg(any(test, feature = "harness"))]
mod encode;
#[cfg(test)]
mod tests;

use super::super::{
    payload::Reject,
    point::{Key, OwnedKey, Point, Sink, Value},
    quality::Quality,
};
use super::dlt645::start68::{self, END, START, Shape};
use super::{
    Codec, Decoded, Framing,
    bits::{Bytes, HexText, sum8},
    check_failed, malformed, unsupported,
};
use key::{Place, Quantity};
use record::Head;

/// Bytes of a frame around what its length counts.
const AROUND: usize = 6;
/// Where what the length counts begins.
const COUNTED_AT: usize = 4;
/// Names of heads.
const HEADS: [&str; 11] = [
    "address",
    "manufacturer",
    "version",
    "medium",
    "medium_code",
    "access_number",
    "status",
    "primary_address",
    "command",
    "error",
    "more",
];
/// Of the control byte: the bits of a reply with data, without those that tell of access demand and data flow.
const REPLY_BITS: u8 = 0x4F;
const REPLY: u8 = 0x08;
const FILL: u8 = 0x2F;
const MAKER_DATA: u8 = 0x0F;
const MAKER_DATA_AND_MORE: u8 = 0x1F;

/// The `[codec]` table of a profile: nothing is to be chosen.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {}

/// M-Bus.
#[derive(Debug)]
pub(crate) struct Mbus {
    /// Plain texts that the profile spells, in order of their numbers.
    texts: Vec<String>,
}

/// What a header says of all records.
#[derive(Debug, Clone, Copy)]
struct Header {
    quality: Quality,
}

impl Mbus {
    /// By the options of a profile.
    ///
    /// # Errors
    /// None: there is nothing to be wrong.
    pub(crate) fn new(_options: Options) -> Result<Self, String> {
        Ok(Self { texts: Vec::new() })
    }

    fn records<S: Sink>(
        &self,
        header: Header,
        data: &mut Bytes<'_>,
        sink: &mut S,
    ) -> Result<(), Reject> {
        if data.is_empty() {
            return Ok(());
        }
        while !data.is_empty() {
            let at = data.at();
            match data.u8()? {
                FILL => {}
                dif @ (MAKER_DATA | MAKER_DATA_AND_MORE) => {
                    if dif == MAKER_DATA_AND_MORE {
                        sink.head(Key::Name("more"), Value::Bool(true))?;
                    }
                    if !data.is_empty() {
                        let code = Place::new(Quantity::MakerData.number()).code();
                        let point = Point::new(Key::Code(code), Value::Bytes(data.rest()));
                        sink.point(point.quality(header.quality))?;
                    }
                    break;
                }
                dif if dif & 0x0F == 0x0F => {
                    return Err(malformed(at, format_args!("special function {dif:02X}")));
                }
                dif => {
                    let mut head = Head::read(dif, data, &self.texts)?;
                    if head.quality == Quality::GOOD {
                        head.quality = header.quality;
                    }
                    values::hand_over(&head, data, sink)?;
                }
            }
        }
        sink.end_record()
    }
}

/// The twelve bytes of a long header.
fn long_header<S: Sink>(data: &mut Bytes<'_>, sink: &mut S) -> Result<Header, Reject> {
    let id: [u8; 4] = data.array()?;
    sink.head(
        Key::Name("address"),
        Value::Text(HexText::of_le(&id).as_str()),
    )?;
    let maker = data.u16_le()?;
    let letters = [maker >> 10, maker >> 5, maker].map(|letter| {
        let [low, _] = (letter & 0x1F).to_le_bytes();
        b'@' + low
    });
    let letters = std::str::from_utf8(&letters).unwrap_or_default();
    sink.head(Key::Name("manufacturer"), Value::Text(letters))?;
    sink.head(Key::Name("version"), Value::Whole(i64::from(data.u8()?)))?;
    let medium = data.u8()?;
    sink.head(Key::Name("medium"), Value::Text(medium_name(medium)))?;
    sink.head(Key::Name("medium_code"), Value::Whole(i64::from(medium)))?;
    short_header(data, sink)
}

/// The four bytes of a short header, and the last of a long one.
fn short_header<S: Sink>(data: &mut Bytes<'_>, sink: &mut S) -> Result<Header, Reject> {
    let [access, status, _, configuration] = data.array()?;
    sink.head(Key::Name("access_number"), Value::Whole(i64::from(access)))?;
    sink.head(Key::Name("status"), Value::Whole(i64::from(status)))?;
    let mode = configuration & 0x1F;
    if mode != 0 {
        return Err(unsupported(format_args!(
            "an encrypted telegram (mode {mode})"
        )));
    }
    let is_faulty = status & 0b11 == 0b10 || status & 0b1_1000 != 0;
    let quality = if is_faulty {
        Quality::UNCERTAIN
    } else {
        Quality::GOOD
    };
    Ok(Header { quality })
}

const fn medium_name(medium: u8) -> &'static str {
    match medium {
        0x00 => "other",
        0x01 => "oil",
        0x02 => "electricity",
        0x03 => "gas",
        0x04 => "heat outlet",
        0x05 => "steam",
        0x06 => "warm water",
        0x07 => "water",
        0x08 => "heat cost allocator",
        0x09 => "compressed air",
        0x0A => "cooling outlet",
        0x0B => "cooling inlet",
        0x0C => "heat inlet",
        0x0D => "heat and cooling",
        0x0E => "bus",
        0x14 => "calorific value",
        0x15 => "hot water",
        0x16 => "cold water",
        0x17 => "dual water",
        0x18 => "pressure",
        0x19 => "a/d converter",
        0x1A => "smoke detector",
        0x1B => "room sensor",
        0x1C => "gas detector",
        0x28 => "waste water",
        _ => "unknown",
    }
}

/// The shape of what begins with 68.
fn shape(bytes: &[u8]) -> Shape {
    let length = match *bytes {
        [_, first, second, start, ..] if first == second && start == START && first >= 3 => first,
        [_, first, second] if first == second && first >= 3 => return Shape::Beginning,
        [_, first] if first >= 3 => return Shape::Beginning,
        [_] => return Shape::Beginning,
        _ => return Shape::Other,
    };
    let len = usize::from(length) + AROUND;
    match bytes.get(len - 1) {
        None => Shape::Beginning,
        Some(&END) => Shape::Whole(len),
        Some(_) => Shape::Broken,
    }
}

/// What the length of a frame counts, if its shape and sum are right.
fn open(frame: &[u8]) -> Result<&[u8], Reject> {
    let &[START, length, again, START, ..] = frame else {
        return Err(malformed(0, "68, the length twice, and 68 are wanted"));
    };
    let end = COUNTED_AT + usize::from(length);
    let (Some(counted), Some(&sum)) = (frame.get(COUNTED_AT..end), frame.get(end)) else {
        return Err(malformed(
            1,
            format_args!("{length} bytes are said, fewer there"),
        ));
    };
    if length != again || frame.len() != end + 2 || frame.get(end + 1) != Some(&END) {
        return Err(malformed(
            end + 1,
            "16 is wanted at the end that the length says",
        ));
    }
    let computed = sum8(counted);
    if computed != sum {
        return Err(check_failed("sum", u64::from(sum), u64::from(computed)));
    }
    Ok(counted)
}

impl Codec for Mbus {
    fn key(&mut self, spelled: &str) -> Result<OwnedKey, String> {
        if HEADS.contains(&spelled) {
            return Ok(OwnedKey::Name(spelled.into()));
        }
        let place = Place::spelled(spelled, &mut self.texts)?;
        Ok(OwnedKey::Code(place.code()))
    }

    fn frame(&self, bytes: &[u8]) -> Framing {
        start68::find(bytes, shape)
    }

    fn decode<'a, S: Sink>(&self, frame: &'a [u8], sink: &mut S) -> Result<Decoded<'a>, Reject> {
        open(frame)?;
        let counted = frame
            .get(..frame.len().saturating_sub(2))
            .unwrap_or_default();
        let mut data = Bytes::new(counted);
        data.take(COUNTED_AT)?;
        let [control, address, information] = data.array()?;
        sink.head(Key::Name("command"), Value::Whole(i64::from(control)))?;
        sink.head(
            Key::Name("primary_address"),
            Value::Whole(i64::from(address)),
        )?;
        if control & REPLY_BITS != REPLY {
            return Ok(Decoded::Whole);
        }
        let header = match information {
            0x72 => long_header(&mut data, sink)?,
            0x7A => short_header(&mut data, sink)?,
            0x78 => Header {
                quality: Quality::GOOD,
            },
            0x70 => {
                let error = data.rest().first().map_or(0, |error| i64::from(*error));
                sink.head(Key::Name("error"), Value::Whole(error))?;
                return Ok(Decoded::Whole);
            }
            _ => {
                return Err(unsupported(format_args!(
                    "control information {information:02X}"
                )));
            }
        };
        self.records(header, &mut data, sink)?;
        Ok(Decoded::Whole)
    }
}
