//! The blocks of a report.

use super::{
    super::{
        super::{
            payload::Reject,
            point::{Decimal, Key, Point, Sink, Value},
            quality::Quality,
        },
        bits::{Bytes, gb18030},
    },
    Gb32960, Unfixed,
    fields::{Group, code},
    tables::{
        ALARMS, CELLS, ENGINE, EXTREMES, FUEL_CELL, MOTOR, OBD, POSITION, PROBES, STREAM, VEHICLE,
    },
};

pub(super) const NOT_VALID: u8 = 1;
pub(super) const SOUTH: u8 = 1 << 1;
pub(super) const WEST: u8 = 1 << 2;

/// Places of position state, longitude, latitude in [`STREAM`].
const STREAM_POSITION: u16 = 15;

impl Gb32960 {
    /// A block of GB/T 32960.3; false if its length is not known.
    pub(super) fn block<S: Sink>(
        &self,
        id: u8,
        bytes: &mut Bytes<'_>,
        sink: &mut S,
    ) -> Result<bool, Reject> {
        match id {
            0x01 => VEHICLE.read(0, 0..13, bytes, sink)?,
            0x02 => {
                for _ in 0..count8(bytes)? {
                    let number = bytes.u8()?;
                    MOTOR.read(number, 0..7, bytes, sink)?;
                }
            }
            0x03 => {
                FUEL_CELL.read(0, 0..3, bytes, sink)?;
                let probes = count16(bytes)?;
                FUEL_CELL.read_list((0, 0), (1, probes), bytes, sink)?;
                FUEL_CELL.read(0, 3..10, bytes, sink)?;
            }
            0x04 => ENGINE.read(0, 0..3, bytes, sink)?,
            0x05 => self.position(&POSITION, 0, bytes, sink)?,
            0x06 => EXTREMES.read(0, 0..12, bytes, sink)?,
            0x07 => {
                ALARMS.read(0, 0..2, bytes, sink)?;
                for list in 0..4 {
                    let faults = count8(bytes)?;
                    ALARMS.read_list((0, list), (1, faults), bytes, sink)?;
                }
            }
            0x08 => {
                for _ in 0..count8(bytes)? {
                    let number = bytes.u8()?;
                    CELLS.read(number, 0..3, bytes, sink)?;
                    let first = bytes.u16_be()?;
                    let cells = count8(bytes)?;
                    CELLS.read_list((number, 0), (first, cells), bytes, sink)?;
                }
            }
            0x09 => {
                for _ in 0..count8(bytes)? {
                    let number = bytes.u8()?;
                    let probes = count16(bytes)?;
                    PROBES.read_list((number, 0), (1, probes), bytes, sink)?;
                }
            }
            0x80..=0xFE => return user_block(id, bytes, sink),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// A block of GB 17691; false if its length is not known.
    pub(super) fn engine_block<S: Sink>(
        &self,
        id: u8,
        bytes: &mut Bytes<'_>,
        sink: &mut S,
    ) -> Result<bool, Reject> {
        match id {
            0x01 => {
                OBD.read(0, 0..4, bytes, sink)?;
                bytes.take(17)?; // the VIN again
                for name in ["calibration_id", "cvn"] {
                    let text = gb18030(bytes.take(18)?);
                    sink.point(Point::new(Key::Name(name), Value::Text(text.trim())))?;
                }
                let iupr = Value::Bytes(bytes.take(36)?);
                sink.point(Point::new(Key::Name("iupr"), iupr))?;
                let faults = count8(bytes)?;
                OBD.read_list((0, 0), (1, faults), bytes, sink)?;
            }
            0x02 => {
                STREAM.read(0, 0..STREAM_POSITION, bytes, sink)?;
                self.position(&STREAM, STREAM_POSITION, bytes, sink)?;
                STREAM.read(0, 18..19, bytes, sink)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// State, longitude, latitude, at this place of a group and the two behind it.
    fn position<S: Sink>(
        &self,
        group: &Group,
        at: u16,
        bytes: &mut Bytes<'_>,
        sink: &mut S,
    ) -> Result<(), Reject> {
        let state = bytes.u8()?;
        let (longitude, latitude) = (bytes.u32_be()?, bytes.u32_be()?);
        let given = if state & NOT_VALID == 0 {
            Quality::GOOD
        } else if self.options.unfixed == Unfixed::Missing || (longitude, latitude) == (0, 0) {
            Quality::BAD
        } else {
            Quality::LAST_USABLE
        };
        let fields = group.fields.iter().skip(usize::from(at));
        let raws = [(u32::from(state), 0), (longitude, WEST), (latitude, SOUTH)];
        for ((place, field), (raw, negative)) in (at..).zip(fields).zip(raws) {
            let (value, quality) = match field.value(raw) {
                read if negative == 0 => read,
                (Value::Missing, Quality::GOOD) => (Value::Missing, given),
                (Value::Missing, quality) => (Value::Missing, quality),
                _ if given == Quality::BAD => (Value::Missing, given),
                (Value::Decimal(degrees), _) if state & negative != 0 => {
                    let south_or_west = Decimal::new(-degrees.mantissa, degrees.places);
                    (Value::Decimal(south_or_west), given)
                }
                (value, _) => (value, given),
            };
            group.hand_over((0, place), field, (value, quality), sink)?;
        }
        Ok(())
    }
}

/// A block of the vendor: length 2, bytes. One whose length is not right cannot be read.
fn user_block<S: Sink>(id: u8, bytes: &mut Bytes<'_>, sink: &mut S) -> Result<bool, Reject> {
    let content = bytes.u16_be().and_then(|len| bytes.take(usize::from(len)));
    let Ok(content) = content else {
        return Ok(false);
    };
    sink.point(Point::new(
        Key::Code(code(id, 0, 0, 0)),
        Value::Bytes(content),
    ))?;
    Ok(true)
}

/// A count; abnormal and invalid ones stand before no element.
fn count8(bytes: &mut Bytes<'_>) -> Result<u16, Reject> {
    let count = bytes.u8()?;
    Ok(if count >= 0xFE { 0 } else { u16::from(count) })
}

/// A count; abnormal and invalid ones stand before no element.
fn count16(bytes: &mut Bytes<'_>) -> Result<u16, Reject> {
    let count = bytes.u16_be()?;
    Ok(if count >= 0xFFFE { 0 } else { count })
}
