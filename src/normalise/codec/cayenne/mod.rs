//! Cayenne LPP (myDevices, Low Power Payload 1.0 and the ids that were added since): the payload of many `LoRaWAN` devices.
//! There is no check: the radio's own has been verified before the bytes come here.
//!
//! ```text
//!  ┌─────────┬──────┬──────────────┐
//!  │ channel │ type │ value        │ …      one after the other to the end of the payload
//!  │ 1       │ 1    │ by type, BE  │
//!  └─────────┴──────┴──────────────┘
//! ```
//!
//! A profile spells a key `channel.type`, or `channel.type.part` for types of several values: `1.temperature`,
//! `6.accelerometer.x`, `1.gps.latitude`.
//!
//! | type | id | parts | unit, step |
//! |---|---|---|---|
//! | `digital_in`, `digital_out` | 0, 1 | | 1 |
//! | `analog_in`, `analog_out` | 2, 3 | | 0.01, signed |
//! | `generic` | 100 | | 1, 32 bits |
//! | `illuminance` | 101 | | lx |
//! | `presence` | 102 | | 1 |
//! | `temperature` | 103 | | 0.1 Cel, signed |
//! | `humidity` | 104 | | 0.5 %{RH} |
//! | `accelerometer` | 113 | `x` `y` `z` | 0.001 g, signed |
//! | `barometer` | 115 | | 0.1 hPa |
//! | `voltage` | 116 | | 0.01 V |
//! | `current` | 117 | | 0.001 A |
//! | `frequency` | 118 | | Hz |
//! | `percentage` | 120 | | % |
//! | `altitude` | 121 | | m, signed |
//! | `concentration` | 125 | | ppm |
//! | `power` | 128 | | W |
//! | `distance` | 130 | | 0.001 m |
//! | `energy` | 131 | | 0.001 kWh |
//! | `direction` | 132 | | deg |
//! | `unixtime` | 133 | | a time |
//! | `gyrometer` | 134 | `x` `y` `z` | 0.01 deg/s, signed |
//! | `colour` | 135 | `red` `green` `blue` | 1 |
//! | `gps` | 136 | `latitude` `longitude` `altitude` | 0.0001 deg, 0.0001 deg, 0.01 m, signed |
//! | `switch` | 142 | | 1 |
//!
//! A payload is one record. Numbers are whole or exact decimals. A type that is not in the table has no known length: the
//! payload ends there with what was read, and the head `unread` holds the bytes from that channel on. A known type whose
//! value is cut short breaks the payload. The format knows no quality and no missing value.

mod types;
#[cfg(any(test, feature = "harness"))]
mod encode;
#[cfg(test)]
mod tests;

use serde::Deserialize;

use super::{
    super::{
        payload::Reject,
        point::{Key, OwnedKey, Point, Sink, Value},
    },
    Codec, Decoded,
    bits::Bytes,
};
use types::{TYPES, Type};

/// The `[codec]` table beside `kind`: the format leaves nothing to choose.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {}

/// Cayenne LPP.
#[derive(Debug, Clone)]
pub(crate) struct Cayenne(());

impl Cayenne {
    /// Nothing can be wrong with options that there are not; the form is that of all codecs.
    ///
    /// # Errors
    /// None.
    pub(crate) fn new(Options {}: Options) -> Result<Self, String> {
        Ok(Self(()))
    }
}

/// Channel, type and part in one number, the part lowest.
fn code(channel: u8, id: u8, part: usize) -> u64 {
    u64::from(channel) << 16 | u64::from(id) << 8 | (part as u64 & 0xFF)
}

fn spellings_of(kind: &Type) -> String {
    let parts = kind.parts.iter().map(|part| match part.name {
        "" => kind.name.to_owned(),
        part => format!("{}.{part}", kind.name),
    });
    parts.collect::<Vec<_>>().join(", ")
}

impl Codec for Cayenne {
    fn key(&mut self, spelled: &str) -> Result<OwnedKey, String> {
        let form = "it is spelled channel.type or channel.type.part, such as 1.temperature or 1.gps.latitude";
        let (channel, what) = spelled
            .split_once('.')
            .ok_or_else(|| format!("{spelled:?} has no type: {form}"))?;
        let channel: u8 = channel
            .parse()
            .map_err(|_not_a_number| format!("{channel:?} is no channel from 0 to 255: {form}"))?;
        let (name, part) = what.split_once('.').unwrap_or((what, ""));
        let kind = TYPES.iter().find(|kind| kind.name == name).ok_or_else(|| {
            let names: Vec<_> = TYPES.iter().map(|kind| kind.name).collect();
            format!("{name:?} is no type; there are {}", names.join(", "))
        })?;
        let place = kind.parts.iter().position(|known| known.name == part);
        let place = place
            .ok_or_else(|| format!("{what:?} is no value; there are {}", spellings_of(kind)))?;
        Ok(OwnedKey::Code(code(channel, kind.id, place)))
    }

    fn decode<'a, S: Sink>(&self, frame: &'a [u8], sink: &mut S) -> Result<Decoded<'a>, Reject> {
        let mut bytes = Bytes::new(frame);
        let mut is_open = false;
        while !bytes.is_empty() {
            let before = bytes.rest();
            let (channel, id) = (bytes.u8()?, bytes.u8()?);
            let Some(kind) = types::find(id) else {
                sink.head(Key::Name("unread"), Value::Bytes(before))?;
                break;
            };
            for (place, part) in kind.parts.iter().enumerate() {
                let raw = bytes.take(usize::from(part.bytes))?;
                let point = Point::new(Key::Code(code(channel, id, place)), part.value(raw));
                sink.point(Point {
                    unit: part.unit,
                    ..point
                })?;
            }
            is_open = true;
        }
        if is_open {
            sink.end_record()?;
        }
        Ok(Decoded::Whole)
    }
}
