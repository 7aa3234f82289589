//! Analog values of parts: what a number of each kind means.

use super::super::super::point::{Decimal, Key, Point, Value};

/// A kind of the standard.
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) places: u8,
    unit: Option<&'static str>,
}

const fn kind(name: &'static str, places: u8, unit: &'static str) -> Kind {
    let unit = if unit.is_empty() { None } else { Some(unit) };
    Kind { name, places, unit }
}

/// Kinds 1 to 12.
static KINDS: [Kind; 12] = [
    kind("event_count", 0, ""),
    kind("height", 2, "m"),
    kind("temperature", 1, "Cel"),
    kind("pressure_mpa", 1, "MPa"),
    kind("pressure_kpa", 1, "kPa"),
    kind("gas", 1, "%{LEL}"),
    kind("duration", 0, "s"),
    kind("voltage", 1, "V"),
    kind("current", 1, "A"),
    kind("flow", 1, "L/s"),
    kind("air_flow", 1, "m3/min"),
    kind("wind_speed", 0, "m/s"),
];

pub(super) fn of(number: u64) -> Option<&'static Kind> {
    let place = usize::try_from(number).ok()?.checked_sub(1)?;
    KINDS.get(place)
}

/// A value of a kind; one that the standard does not know comes as it stands.
pub(super) fn point(number: u8, raw: i16) -> Point<'static> {
    let code = u64::from(number);
    let known = of(code);
    let value = match known {
        Some(kind) if kind.places > 0 => Value::Decimal(Decimal::new(raw.into(), kind.places)),
        _ => Value::Whole(raw.into()),
    };
    let unit = known.and_then(|kind| kind.unit);
    Point {
        unit,
        ..Point::new(Key::Code(code), value)
    }
}

/// The code of a value by its number or name.
pub(super) fn key(spelled: &str) -> Result<u64, String> {
    if let Some(number) = spelled.strip_prefix("analog.") {
        let number: Result<u8, _> = number.parse();
        return number.map(u64::from).map_err(|fault| {
            format!("{spelled:?}: analog values are analog.0 to analog.255: {fault}")
        });
    }
    let known = (1..).zip(&KINDS).find(|(_, kind)| kind.name == spelled);
    known.map(|(code, _)| code).ok_or_else(|| {
        format!(
            "{spelled:?} is no value of GB/T 26875.3: there are object, system_status, part_status, part_description, \
             device_status, system_operation, time and others, analog.1 to analog.255, and the kinds of analog values \
             by name: temperature, pressure_mpa, height …"
        )
    })
}
