//! Water, gas and heat meters: CJ/T 188-2004 and -2018 (frame: clause on the link layer; data: clause on reading data).
//!
//! ```text
//!  FE…  68  T  A0…A6  C  L  DI DI SER value…(L)  CS  16      CS = sum of all bytes from 68, modulo 256
//!           │  │      └ control: 81 reply to a reading, C1 refused, A1 layout of a vendor
//!           │  └ 7 bytes BCD, least first; the last two are the maker's
//!           └ 10–19 water, 20–29 heat, 30–39 gas, 40–49 others
//!
//!  901F, water and gas:  volume 4+1  volume_settlement 4+1  time 7  status 2
//!  901F, heat:           heat_settlement 4+1  heat 4+1  power 4+1  flow 4+1  volume 4+1
//!                        supply_temperature 3  return_temperature 3  working_time 3  time 7  status 2
//!  D120–D12B:            volume 4+1, of the 1st to 12th settlement ago
//!  901F with C = A1:     volume 1+4  volume_settlement 1+4  flow 1+4  time 7  extension
//! ```
//!
//! `4+1` is a number of BCD, least significant byte first, and its unit byte; `1+4` the other way round. The two bytes of
//! the identifier are taken in both orders.
//!
//! Keys (points), units from the wire: `volume`, `volume_settlement`, `volume_history1` … `volume_history12`, `flow`,
//! `heat`, `heat_settlement`, `power`, `supply_temperature`, `return_temperature` (Cel), `working_time` (h), `time`
//! (the meter's clock; missing where it is zero or no date), `status` (whole number of 16 bits, low byte first: bits 0–1
//! valve 0 open, 1 closed, 3 faulty; bit 2 battery low), `extension` (bytes behind the layout).
//!
//! Heads: `address` (14 digits), `type` (the type byte), `command` (the control byte), `serial` (SER), `error` (the status
//! of a refusal, else SER).
//!
//! A refusal, a request, a reply to anything but a reading is a frame without a record. A number of FF is missing; one
//! whose digits are none is missing with quality `Bad`; one whose unit byte the standard does not list has no unit and is
//! `Uncertain`. Text of a DTU in front of a frame is noise. Deviations: time from the year on (`time_order`), flow or
//! volume with other decimals (`flow_decimals`, `volume_decimals`), bytes behind the layout.

mod names;
mod units;
#[cfg(any(test, feature = "harness"))]
mod encode;
#[cfg(test)]
mod tests;

use super::super::{
    payload::Reject,
    point::{Civil, Decimal, Key, Moment, OwnedKey, Point, Sink, Value},
    quality::Quality,
};
use super::dlt645::start68::{self, END, START, Shape};
use super::{
    Codec, Decoded, Framing,
    bits::{Bytes, HexText, bcd, bcd_le, sum8},
    check_failed, malformed, unsupported,
};
use names::{HEADS, HISTORY, POINTS};

/// Bytes of a frame around its data.
const AROUND: usize = 13;
/// Where the data begins.
const DATA_AT: usize = 11;
const READ_REPLY: u8 = 0x81;
const VENDOR_REPLY: u8 = 0xA1;
const REPLY: u8 = 0x80;
const REFUSED: u8 = 0x40;
/// Metering data, as the standard spells it.
const METERING: u16 = 0x901F;
/// Volume of the last settlement; those before follow.
const HISTORY_FIRST: u16 = 0xD120;

/// The `[codec]` table of a profile.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    /// In which order the meter writes its clock. No order can be told from the bytes. Default: as the standard.
    pub(crate) time_order: TimeOrder,
    /// Decimals of volumes. Default 2; some meters count litres with 3.
    pub(crate) volume_decimals: u8,
    /// Decimals of the flow. Default 4, as the standard has it for heat meters.
    pub(crate) flow_decimals: u8,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            time_order: TimeOrder::SecondFirst,
            volume_decimals: 2,
            flow_decimals: 4,
        }
    }
}

/// The order of a clock's 7 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TimeOrder {
    /// ss mm hh DD MM, year with its low digits first: the standard.
    SecondFirst,
    /// Year with its high digits first, MM DD hh mm ss: a vendor's.
    YearFirst,
}

/// CJ/T 188.
#[derive(Debug)]
pub(crate) struct Cjt188 {
    options: Options,
}

/// Where the unit byte of a number stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UnitAt {
    Behind,
    Before,
}

impl Cjt188 {
    /// By the options of a profile.
    ///
    /// # Errors
    /// Decimals that no number of 8 digits has.
    pub(crate) fn new(options: Options) -> Result<Self, String> {
        if options.volume_decimals > 8 || options.flow_decimals > 8 {
            return Err("volume_decimals and flow_decimals are 0 to 8".to_owned());
        }
        Ok(Self { options })
    }

    /// Hands over what a reply to a reading holds.
    fn reading<S: Sink>(&self, frame: &Opened<'_>, sink: &mut S) -> Result<(), Reject> {
        let mut data = Bytes::new(frame.data);
        let [first, second] = data.array()?;
        let serial = data.u8()?;
        sink.head(Key::Name("serial"), Value::Whole(i64::from(serial)))?;
        let orders = [[first, second], [second, first]].map(u16::from_be_bytes);
        let history = orders.iter().find_map(|di| {
            let place = di.checked_sub(HISTORY_FIRST)?;
            HISTORY.get(usize::from(place)).copied()
        });
        if orders.contains(&METERING) {
            match (frame.control, frame.kind) {
                (VENDOR_REPLY, _) => self.vendor(&mut data, sink)?,
                (_, 0x20..=0x29) => self.heat(&mut data, sink)?,
                _ => self.water(&mut data, sink)?,
            }
        } else if let Some(name) = history {
            self.volume(name, UnitAt::Behind, &mut data, sink)?;
        } else {
            return Err(unsupported(format_args!(
                "data identifier {first:02X}{second:02X}"
            )));
        }
        if !data.is_empty() {
            sink.point(named("extension", Value::Bytes(data.rest())))?;
        }
        sink.end_record()
    }

    fn water<S: Sink>(&self, data: &mut Bytes<'_>, sink: &mut S) -> Result<(), Reject> {
        self.volume("volume", UnitAt::Behind, data, sink)?;
        self.volume("volume_settlement", UnitAt::Behind, data, sink)?;
        self.time(data, sink)?;
        status(data, sink)
    }

    fn heat<S: Sink>(&self, data: &mut Bytes<'_>, sink: &mut S) -> Result<(), Reject> {
        for name in ["heat_settlement", "heat", "power"] {
            sink.point(united(name, 2, UnitAt::Behind, data)?)?;
        }
        let flow = self.options.flow_decimals;
        sink.point(united("flow", flow, UnitAt::Behind, data)?)?;
        self.volume("volume", UnitAt::Behind, data, sink)?;
        for name in ["supply_temperature", "return_temperature"] {
            sink.point(number(name, data.take(3)?, 2).unit("Cel"))?;
        }
        sink.point(number("working_time", data.take(3)?, 0).unit("h"))?;
        self.time(data, sink)?;
        status(data, sink)
    }

    fn vendor<S: Sink>(&self, data: &mut Bytes<'_>, sink: &mut S) -> Result<(), Reject> {
        self.volume("volume", UnitAt::Before, data, sink)?;
        self.volume("volume_settlement", UnitAt::Before, data, sink)?;
        let flow = self.options.flow_decimals;
        sink.point(united("flow", flow, UnitAt::Before, data)?)?;
        self.time(data, sink)
    }

    fn volume<S: Sink>(
        &self,
        name: &'static str,
        unit: UnitAt,
        data: &mut Bytes<'_>,
        sink: &mut S,
    ) -> Result<(), Reject> {
        sink.point(united(name, self.options.volume_decimals, unit, data)?)
    }

    fn time<S: Sink>(&self, data: &mut Bytes<'_>, sink: &mut S) -> Result<(), Reject> {
        let raw = data.array()?;
        let value = self
            .civil(raw)
            .map_or(Value::Missing, |time| Value::Time(Moment::Local(time)));
        sink.point(named("time", value))
    }

    fn civil(&self, raw: [u8; 7]) -> Option<Civil> {
        let [
            mut second,
            mut minute,
            mut hour,
            mut day,
            mut month,
            mut low,
            mut high,
        ] = raw;
        if self.options.time_order == TimeOrder::YearFirst {
            [high, low, month, day, hour, minute, second] = raw;
        }
        let year = u16::from(bcd(high)?) * 100 + u16::from(bcd(low)?);
        let clock = (bcd(hour)?, bcd(minute)?, bcd(second)?);
        Civil::new((year, bcd(month)?, bcd(day)?), clock)
    }
}

const fn named<'a>(name: &'static str, value: Value<'a>) -> Point<'a> {
    Point::new(Key::Name(name), value)
}

/// A number of BCD.
fn number(name: &'static str, raw: &[u8], places: u8) -> Point<'static> {
    match bcd_le(raw) {
        Some(whole) if places == 0 => named(name, Value::Whole(whole)),
        Some(mantissa) => named(name, Value::Decimal(Decimal::new(mantissa, places))),
        None if raw.iter().all(|byte| *byte == 0xFF) => named(name, Value::Missing),
        None => named(name, Value::Missing).quality(Quality::BAD),
    }
}

/// A number of 4 bytes with its unit.
fn united(
    name: &'static str,
    places: u8,
    at: UnitAt,
    data: &mut Bytes<'_>,
) -> Result<Point<'static>, Reject> {
    let (raw, byte) = match at {
        UnitAt::Behind => (data.take(4)?, data.u8()?),
        UnitAt::Before => {
            let byte = data.u8()?;
            (data.take(4)?, byte)
        }
    };
    let point = number(name, raw, places);
    let Some(unit) = units::of(byte) else {
        return Ok(match point.value {
            Value::Missing => point,
            _ => point.quality(Quality::UNCERTAIN),
        });
    };
    let scaled = match point.value {
        Value::Decimal(decimal) if unit.exponent > 0 => hundreds(decimal),
        Value::Whole(whole) if unit.exponent > 0 => Value::Whole(whole * 100),
        value => value,
    };
    Ok(Point {
        value: scaled,
        ..point.unit(unit.ucum)
    })
}

/// A number that counts hundreds of its unit.
fn hundreds(decimal: Decimal) -> Value<'static> {
    match decimal.places {
        0 | 1 => Value::Whole(decimal.mantissa * 10_i64.pow(2 - u32::from(decimal.places))),
        2 => Value::Whole(decimal.mantissa),
        places => Value::Decimal(Decimal::new(decimal.mantissa, places - 2)),
    }
}

fn status<S: Sink>(data: &mut Bytes<'_>, sink: &mut S) -> Result<(), Reject> {
    let status = data.u16_le()?;
    sink.point(named("status", Value::Whole(i64::from(status))))
}

/// The shape of what begins with 68. One byte is little: the type of meter has to be one, too.
fn shape(bytes: &[u8]) -> Shape {
    match bytes.get(1) {
        None => return Shape::Beginning,
        Some(0x10..=0x49) => {}
        Some(_) => return Shape::Other,
    }
    let Some(&length) = bytes.get(10) else {
        return Shape::Beginning;
    };
    let len = usize::from(length) + AROUND;
    match bytes.get(len - 1) {
        None => Shape::Beginning,
        Some(&END) => Shape::Whole(len),
        Some(_) => Shape::Other,
    }
}

/// A frame whose shape and sum are right.
struct Opened<'a> {
    kind: u8,
    address: &'a [u8],
    control: u8,
    data: &'a [u8],
}

fn open(frame: &[u8]) -> Result<Opened<'_>, Reject> {
    let (Some(&kind), Some(address), Some(&control), Some(&length)) =
        (frame.get(1), frame.get(2..9), frame.get(9), frame.get(10))
    else {
        return Err(malformed(frame.len(), "the frame ends within its head"));
    };
    if frame.first() != Some(&START) {
        return Err(malformed(0, "68 is wanted"));
    }
    let end = DATA_AT + usize::from(length);
    let (Some(data), Some(&sum)) = (frame.get(DATA_AT..end), frame.get(end)) else {
        let said = format_args!("{length} bytes of data are said, fewer there");
        return Err(malformed(10, said));
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
    Ok(Opened {
        kind,
        address,
        control,
        data,
    })
}

impl Codec for Cjt188 {
    fn key(&mut self, spelled: &str) -> Result<OwnedKey, String> {
        let mut known = HEADS.iter().chain(&POINTS).chain(&HISTORY);
        if known.any(|name| *name == spelled) {
            return Ok(OwnedKey::Name(spelled.into()));
        }
        Err(format!(
            "{spelled:?} is none of {}, volume_history1 to volume_history12, nor of the heads {}",
            POINTS.join(", "),
            HEADS.join(", ")
        ))
    }

    fn frame(&self, bytes: &[u8]) -> Framing {
        start68::find(bytes, shape)
    }

    fn decode<'a, S: Sink>(&self, frame: &'a [u8], sink: &mut S) -> Result<Decoded<'a>, Reject> {
        let frame = open(frame)?;
        let address = HexText::of_le(frame.address);
        sink.head(Key::Name("address"), Value::Text(address.as_str()))?;
        sink.head(Key::Name("type"), Value::Whole(i64::from(frame.kind)))?;
        sink.head(Key::Name("command"), Value::Whole(i64::from(frame.control)))?;
        match frame.control {
            READ_REPLY | VENDOR_REPLY => self.reading(&frame, sink)?,
            control if control & (REPLY | REFUSED) == REPLY | REFUSED => {
                let error = match *frame.data {
                    [_serial, low, high, ..] => i64::from(u16::from_le_bytes([low, high])),
                    [serial, ..] => i64::from(serial),
                    [] => 0,
                };
                sink.head(Key::Name("error"), Value::Whole(error))?;
            }
            _ => {}
        }
        Ok(Decoded::Whole)
    }
}
