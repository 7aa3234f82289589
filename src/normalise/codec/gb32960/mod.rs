//! GB/T 32960.3-2016: remote supervision of electric vehicles; and the family of GB 17691-2018, Annex Q (emissions of heavy
//! vehicles), which has the same frame.
//!
//! ```text
//! 23 23 │ command 1 │ response 1 │ VIN 17 │ encryption 1 │ length 2 │ data │ xor      GB/T 32960.3
//! 23 23 │ command 1 │ VIN 17 │ version 1 │ encryption 1 │ length 2 │ data │ xor       GB 17691
//!         the xor is over all from the command to the end of the data; numbers are big-endian
//!
//! data of 02 (now) and 03 (kept back): time 6, binary │ block id 1, block │ block id 1, block │ …
//! ```
//!
//! A record is the data of one frame of command 02 or 03. Other commands, and replies without blocks, are frames without
//! a record. Heads: `address` (VIN), `command`, `response` or `version`; of a login or logout also `time`, `serial`, and
//! of a login `iccid`; `serial` also of the data of GB 17691.
//!
//! | block | keys (N: number of the part in the frame, M: place in its list from 1) |
//! |---|---|
//! | | `time` (local) |
//! | 01 vehicle | `vehicle_state` `charge_state` `run_mode` `speed` `mileage` `voltage` `current` `soc` `dcdc_state` `gear` `insulation` `accelerator` `brake` |
//! | 02 motors | `motorN.` and `state` `controller_temperature` `speed` `torque` `temperature` `voltage` `current` |
//! | 03 fuel cell | `fuel_cell.` and `voltage` `current` `consumption` `hydrogen_temperature` `hydrogen_temperature_probe` `hydrogen_concentration` `hydrogen_concentration_sensor` `hydrogen_pressure` `hydrogen_pressure_sensor` `dcdc_state` `probeM` |
//! | 04 engine | `engine.state` `engine.speed` `engine.fuel_rate` |
//! | 05 position | `position_state` `longitude` `latitude` |
//! | 06 extremes | `cell_voltage_max` `cell_voltage_min` `probe_temperature_max` `probe_temperature_min`; each also with `_battery`, and with `_cell` or `_probe`, behind it: where |
//! | 07 alarms | `alarm_level` `alarm` (word) `battery_faultM` `motor_faultM` `engine_faultM` `other_faultM` (codes) |
//! | 08 cells | `batteryN.voltage` `batteryN.current` `batteryN.cells` `batteryN.cellM` |
//! | 09 probes | `batteryN.probeM` |
//! | 80 … FE | `user.80`: bytes of a block of the vendor, which begins with its length |
//! | others | `unread`: the bytes from the block's id on; nothing behind it can be read |
//!
//! With the option `edition` at `gb17691`:
//!
//! | block | keys |
//! |---|---|
//! | 01 OBD | `obd_protocol` `mil` `diagnosis_support` `diagnosis_ready` `calibration_id` `cvn` `iupr` (bytes) `fault_codeM` |
//! | 02 engine | `speed` `atmospheric_pressure` `engine_torque` `friction_torque` `engine_speed` `fuel_rate` `nox_upstream` `nox_downstream` `urea_level` `air_flow` `scr_inlet_temperature` `scr_outlet_temperature` `dpf_pressure` `coolant_temperature` `tank_level` `position_state` `longitude` `latitude` `mileage` |
//! | others | `unread` |
//!
//! Values carry the scale, offset and unit of the standard, exactly. All bits set (FF, FFFF, FFFFFFFF) is missing; one
//! less (FE …, GB/T 32960.3 only) is missing and bad: the vehicle says that the value is abnormal. A position marked as
//! not valid is the last one that was and says so, or missing and bad by the option `unfixed`; 0, 0 is then missing and
//! bad in any case. Encrypted data is unsupported.

mod blocks;
#[cfg(any(test, feature = "harness"))]
mod encode;
mod fields;
mod tables;
#[cfg(test)]
mod tests;

use super::{
    super::{
        payload::Reject,
        point::{Civil, Key, Moment, OwnedKey, Point, Sink, Value},
    },
    Codec, Decoded, Framing,
    bits::{Bytes, gb18030, xor8},
    check_failed, malformed, unsupported,
};

const START: [u8; 2] = [0x23, 0x23];
const HEADER_LEN: usize = 24;

/// Heads and points that are not in a table.
const NAMES: [&str; 11] = [
    "address",
    "command",
    "response",
    "version",
    "serial",
    "iccid",
    "time",
    "unread",
    "calibration_id",
    "cvn",
    "iupr",
];

/// The `[codec]` table of a profile.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    /// Which of the standards with this frame. Default `gbt32960`.
    pub(crate) edition: Edition,
    /// What becomes of a position that is marked as not valid. Default `last`: the standard has the vehicle repeat the
    /// last that was valid.
    pub(crate) unfixed: Unfixed,
}

/// A standard with this frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Edition {
    /// GB/T 32960.3-2016.
    #[default]
    Gbt32960,
    /// GB 17691-2018, Annex Q; the serial number stands between time and blocks.
    Gb17691,
    /// The same; a serial number stands behind every block's id.
    Gb17691SerialInBlock,
}

/// What becomes of a position that is marked as not valid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unfixed {
    /// It is kept, as a last usable value.
    #[default]
    Last,
    /// It is missing and bad.
    Missing,
}

/// The format.
#[derive(Debug, Clone)]
pub(crate) struct Gb32960 {
    options: Options,
}

/// What stands before the data.
struct Header<'a> {
    command: u8,
    vin: &'a [u8],
    /// Response flag of GB/T 32960.3, version of the terminal's software of GB 17691.
    other: u8,
    encryption: u8,
    data_len: usize,
}

impl<'a> Header<'a> {
    fn take(bytes: &mut Bytes<'a>, edition: Edition) -> Result<Self, Reject> {
        if bytes.array()? != START {
            return Err(malformed(0, "a frame begins with 23 23"));
        }
        let command = bytes.u8()?;
        let (vin, other) = if edition == Edition::Gbt32960 {
            let response = bytes.u8()?;
            (bytes.take(17)?, response)
        } else {
            (bytes.take(17)?, bytes.u8()?)
        };
        Ok(Self {
            command,
            vin,
            other,
            encryption: bytes.u8()?,
            data_len: usize::from(bytes.u16_be()?),
        })
    }

    /// Whether such a frame is likely: two marks in noise are not enough.
    fn is_likely(&self) -> bool {
        let is_text = |byte: &u8| matches!(byte, 0 | 0x20..=0x7E);
        self.command != 0
            && self.vin.iter().all(is_text)
            && matches!(self.encryption, 1..=5 | 0xFE | 0xFF)
    }
}

impl Gb32960 {
    /// # Errors
    /// None: every combination of these options is one.
    pub(crate) fn new(options: Options) -> Result<Self, String> {
        Ok(Self { options })
    }

    fn heads<S: Sink>(&self, header: &Header<'_>, sink: &mut S) -> Result<(), Reject> {
        let vin = String::from_utf8_lossy(header.vin);
        let vin = vin.trim_matches(['\0', ' ']);
        sink.head(Key::Name("address"), Value::Text(vin))?;
        sink.head(
            Key::Name("command"),
            Value::Whole(i64::from(header.command)),
        )?;
        let other = match self.options.edition {
            Edition::Gbt32960 => "response",
            Edition::Gb17691 | Edition::Gb17691SerialInBlock => "version",
        };
        sink.head(Key::Name(other), Value::Whole(i64::from(header.other)))
    }

    /// Time and serial number of a login or logout, the SIM card of a login.
    fn session<S: Sink>(command: u8, mut bytes: Bytes<'_>, sink: &mut S) -> Result<(), Reject> {
        let Ok(time) = bytes.array() else {
            return Ok(()); // a reply
        };
        sink.head(Key::Name("time"), moment(time))?;
        if let Ok(serial) = bytes.u16_be() {
            sink.head(Key::Name("serial"), Value::Whole(i64::from(serial)))?;
        }
        match bytes.take(20) {
            Ok(iccid) if command == 1 => {
                let iccid = gb18030(iccid);
                sink.head(Key::Name("iccid"), Value::Text(&iccid))
            }
            _ => Ok(()),
        }
    }

    fn report<S: Sink>(&self, mut bytes: Bytes<'_>, sink: &mut S) -> Result<(), Reject> {
        let time = moment(bytes.array()?);
        if bytes.is_empty() {
            return Ok(()); // a reply
        }
        if self.options.edition == Edition::Gb17691 {
            let serial = bytes.u16_be()?;
            sink.head(Key::Name("serial"), Value::Whole(i64::from(serial)))?;
        }
        sink.point(Point::new(Key::Name("time"), time))?;
        while !bytes.is_empty() {
            let whole = bytes.rest();
            let id = bytes.u8()?;
            let is_read = match self.options.edition {
                Edition::Gbt32960 => self.block(id, &mut bytes, sink)?,
                Edition::Gb17691 => self.engine_block(id, &mut bytes, sink)?,
                Edition::Gb17691SerialInBlock => {
                    bytes.u16_be()?;
                    self.engine_block(id, &mut bytes, sink)?
                }
            };
            if !is_read {
                sink.point(Point::new(Key::Name("unread"), Value::Bytes(whole)))?;
                break;
            }
        }
        sink.end_record()
    }
}

impl Codec for Gb32960 {
    fn key(&mut self, spelled: &str) -> Result<OwnedKey, String> {
        if NAMES.contains(&spelled) {
            return Ok(OwnedKey::Name(spelled.into()));
        }
        fields::key(spelled, self.options.edition).map(OwnedKey::Code)
    }

    fn frame(&self, bytes: &[u8]) -> Framing {
        let marks = bytes
            .windows(2)
            .enumerate()
            .filter(|(_, pair)| *pair == START);
        for (skip, _) in marks {
            let rest = bytes.get(skip..).unwrap_or_default();
            let Ok(header) = Header::take(&mut Bytes::new(rest), self.options.edition) else {
                return Framing::Partial { skip };
            };
            if header.is_likely() {
                let len = HEADER_LEN + header.data_len + 1;
                return if len <= rest.len() {
                    Framing::Frame { skip, len }
                } else {
                    Framing::Partial { skip }
                };
            }
        }
        match bytes {
            [.., 0x23] => Framing::Partial {
                skip: bytes.len() - 1,
            },
            _ => Framing::Nothing,
        }
    }

    fn decode<'a, S: Sink>(&self, frame: &'a [u8], sink: &mut S) -> Result<Decoded<'a>, Reject> {
        let (found, before) = frame
            .split_last()
            .ok_or_else(|| malformed(0, "an empty frame"))?;
        let computed = xor8(before.get(START.len()..).unwrap_or_default());
        let mut bytes = Bytes::new(before);
        let header = Header::take(&mut bytes, self.options.edition)?;
        if bytes.rest().len() != header.data_len {
            let what = format_args!(
                "{} bytes of data where the header says {}",
                bytes.rest().len(),
                header.data_len
            );
            return Err(malformed(bytes.at(), what));
        }
        if *found != computed {
            return Err(check_failed("xor", u64::from(*found), u64::from(computed)));
        }
        if header.encryption != 1 && header.data_len != 0 {
            let what = format_args!("data under encryption {:02X}", header.encryption);
            return Err(unsupported(what));
        }
        self.heads(&header, sink)?;
        match header.command {
            2 | 3 if header.data_len != 0 => self.report(bytes, sink)?,
            1 | 4 => Self::session(header.command, bytes, sink)?,
            _ => {}
        }
        Ok(Decoded::Whole)
    }
}

/// Year from 2000, month, day, hour, minute, second; missing if there is no such time.
fn moment(bytes: [u8; 6]) -> Value<'static> {
    let [year, month, day, hour, minute, second] = bytes;
    let civil = Civil::new((2000 + u16::from(year), month, day), (hour, minute, second));
    civil.map_or(Value::Missing, |civil| Value::Time(Moment::Local(civil)))
}
