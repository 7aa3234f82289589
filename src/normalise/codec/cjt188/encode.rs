//! Replies of a meter, for simulated devices and tests: the layout whose keys are asked for, in the units that meters use.

use super::super::super::point::{Civil, Moment, OwnedKey, Value};
use super::super::encoding::{Encoder, Report, to_bcd};
use super::names::HISTORY;
use super::{Cjt188, END, START, TimeOrder, sum8};

/// Bytes that wake the receiver.
const WAKE: [u8; 3] = [0xFE; 3];
const COLD_WATER: u8 = 0x10;
const HEAT: u8 = 0x20;
const READ_REPLY: u8 = 0x81;
const CUBIC_METRE: u8 = 0x2C;
const CUBIC_METRE_PER_HOUR: u8 = 0x35;
const KILOWATT_HOUR: u8 = 0x05;
const KILOWATT: u8 = 0x17;
/// Keys that only a heat meter has.
const OF_HEAT: [&str; 7] = [
    "heat",
    "heat_settlement",
    "power",
    "flow",
    "supply_temperature",
    "return_temperature",
    "working_time",
];

/// Writes one layout.
struct Layout<'a> {
    report: &'a Report<'a>,
    data: Vec<u8>,
}

impl Layout<'_> {
    fn value(&self, name: &str) -> Option<Value<'_>> {
        let is_it = |key: &OwnedKey| matches!(key, OwnedKey::Name(key) if **key == *name);
        let found = self.report.points.iter().find(|(key, _)| is_it(key));
        found.map(|(_, value)| *value)
    }

    /// A number, 0 where none is given.
    fn number(&mut self, name: &str, places: u8, bytes: usize) -> Result<(), String> {
        let mantissa = match self.value(name) {
            None => 0,
            Some(Value::Missing) => {
                self.data.extend(std::iter::repeat_n(0xFF, bytes));
                return Ok(());
            }
            Some(Value::Whole(whole)) if places == 0 => whole,
            Some(Value::Decimal(decimal)) if decimal.places == places => decimal.mantissa,
            Some(other) => return Err(format!("{name}: {other:?} has not {places} decimals")),
        };
        let mut left = u64::try_from(mantissa)
            .map_err(|_error| format!("{name}: {mantissa} is below zero"))?;
        for _ in 0..bytes {
            self.data
                .push(to_bcd(u8::try_from(left % 100).unwrap_or(0)));
            left /= 100;
        }
        match left {
            0 => Ok(()),
            _ => Err(format!("{name}: {mantissa} does not fit {bytes} bytes")),
        }
    }

    fn united(&mut self, name: &str, places: u8, unit: u8) -> Result<(), String> {
        self.number(name, places, 4)?;
        self.data.push(unit);
        Ok(())
    }

    /// The clock, of the report where no other is given.
    fn time(&mut self, order: TimeOrder) {
        let calendar = match self.value("time") {
            Some(Value::Time(Moment::Local(civil))) => {
                let at = Civil::at(civil, 0).unwrap_or(self.report.at);
                Report {
                    at,
                    east_s: 0,
                    ..*self.report
                }
                .calendar()
            }
            Some(Value::Missing) => {
                self.data.extend([0; 7]);
                return;
            }
            _ => self.report.calendar(),
        };
        let years =
            [calendar.year % 100, calendar.year / 100].map(|y| u8::try_from(y).unwrap_or(0));
        let [low, high] = years;
        let (minute, second) = (calendar.minute, calendar.second);
        let mut parts = [
            second,
            minute,
            calendar.hour,
            calendar.day,
            calendar.month,
            low,
            high,
        ];
        if order == TimeOrder::YearFirst {
            parts.reverse();
        }
        self.data.extend(parts.map(to_bcd));
    }

    fn status(&mut self) -> Result<(), String> {
        let status = match self.value("status") {
            None => 0,
            Some(Value::Whole(status)) => u16::try_from(status).map_err(|e| e.to_string())?,
            Some(other) => return Err(format!("status: {other:?} is no whole number")),
        };
        self.data.extend(status.to_le_bytes());
        match self.value("extension") {
            Some(Value::Bytes(extension)) => {
                let extension = extension.to_vec();
                self.data.extend(extension);
            }
            None => {}
            Some(other) => return Err(format!("extension: {other:?} is no bytes")),
        }
        Ok(())
    }
}

impl Cjt188 {
    fn metering(&self, layout: &mut Layout<'_>, serial: u8, is_heat: IsHeat) -> Result<(), String> {
        let volume = self.options.volume_decimals;
        layout.data.extend([0x90, 0x1F, serial]);
        match is_heat {
            IsHeat::Yes => {
                layout.united("heat_settlement", 2, KILOWATT_HOUR)?;
                layout.united("heat", 2, KILOWATT_HOUR)?;
                layout.united("power", 2, KILOWATT)?;
                layout.united("flow", self.options.flow_decimals, CUBIC_METRE_PER_HOUR)?;
                layout.united("volume", volume, CUBIC_METRE)?;
                layout.number("supply_temperature", 2, 3)?;
                layout.number("return_temperature", 2, 3)?;
                layout.number("working_time", 0, 3)?;
            }
            IsHeat::No => {
                layout.united("volume", volume, CUBIC_METRE)?;
                layout.united("volume_settlement", volume, CUBIC_METRE)?;
            }
        }
        layout.time(self.options.time_order);
        layout.status()
    }
}

/// Which of the two layouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IsHeat {
    Yes,
    No,
}

impl Encoder for Cjt188 {
    fn encode(&self, report: &Report<'_>) -> Result<Vec<u8>, String> {
        let address = hex::decode(format!("{:0>14}", report.address))
            .ok()
            .filter(|address| address.len() == 7)
            .ok_or_else(|| format!("address {:?} has not up to 14 digits", report.address))?;
        let serial = u8::try_from(report.serial % 256).unwrap_or(0);
        let names = || {
            report.points.iter().filter_map(|(key, _)| match key {
                OwnedKey::Name(name) => Some(&**name),
                OwnedKey::Code(_) => None,
            })
        };
        let is_heat = if names().any(|name| OF_HEAT.contains(&name)) {
            IsHeat::Yes
        } else {
            IsHeat::No
        };
        let kind = if is_heat == IsHeat::Yes {
            HEAT
        } else {
            COLD_WATER
        };
        let mut payload = Vec::new();
        if names().any(|name| !HISTORY.contains(&name)) {
            let mut layout = Layout {
                report,
                data: Vec::new(),
            };
            self.metering(&mut layout, serial, is_heat)?;
            frame(kind, &address, &layout.data, &mut payload)?;
        }
        for (place, name) in (0x20_u8..).zip(HISTORY) {
            if names().any(|asked| asked == name) {
                let mut layout = Layout {
                    report,
                    data: vec![0xD1, place, serial],
                };
                layout.united(name, self.options.volume_decimals, CUBIC_METRE)?;
                frame(kind, &address, &layout.data, &mut payload)?;
            }
        }
        Ok(payload)
    }
}

fn frame(kind: u8, address: &[u8], data: &[u8], payload: &mut Vec<u8>) -> Result<(), String> {
    let length = u8::try_from(data.len()).map_err(|_error| "the data is too long".to_owned())?;
    payload.extend(WAKE);
    let from = payload.len();
    payload.extend([START, kind]);
    payload.extend(address.iter().rev());
    payload.extend([READ_REPLY, length]);
    payload.extend(data);
    let sum = sum8(payload.get(from..).unwrap_or_default());
    payload.extend([sum, END]);
    Ok(())
}
