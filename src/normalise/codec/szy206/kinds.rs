//! What the kinds of data are called, and how their values are written.

/// How the top digit of a value is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Top {
    /// As a digit.
    Digit,
    /// F is a minus sign.
    Sign,
    /// Two bits of sign, two of unit: a rate of flow.
    SignAndUnit,
    /// A value of its own: the direction of the wind.
    Direction,
}

/// The form of a kind's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) width: usize,
    pub(super) places: u8,
    pub(super) top: Top,
    pub(super) unit: Option<&'static str>,
}

pub(super) const FLOW: u64 = 3;
pub(super) const QUALITY: u64 = 10;
pub(super) const ALARM_KIND: u64 = 13;
/// What a profile names and no control byte does.
pub(super) const VOLUME: u64 = 0x10;
pub(super) const WIND_DIRECTION: u64 = 0x11;
pub(super) const ALARM: u64 = 0x12;
pub(super) const STATE: u64 = 0x13;
pub(super) const DATA: u64 = 0x14;

/// The names that profiles spell. The first 15 are the kinds of the control byte.
pub(super) const NAMES: [(&str, u64); 18] = [
    ("rain", 1),
    ("level", 2),
    ("flow", FLOW),
    ("velocity", 4),
    ("gate", 5),
    ("power", 6),
    ("air_pressure", 7),
    ("wind_speed", 8),
    ("water_temperature", 9),
    ("quality", QUALITY),
    ("soil_moisture", 11),
    ("evaporation", 12),
    ("water_pressure", 15),
    ("volume", VOLUME),
    ("wind_direction", WIND_DIRECTION),
    ("alarm", ALARM),
    ("state", STATE),
    ("data", DATA),
];

/// A key: the kind, and which of its values, from 0.
pub(super) const fn code(kind: u64, index: u64) -> u64 {
    kind << 8 | index
}

pub(super) const fn form(kind: u64) -> Option<Form> {
    let (width, places, top, unit) = match kind {
        1 => (3, 1, Top::Digit, Some("mm")),
        2 => (4, 3, Top::Sign, Some("m")),
        FLOW => (5, 3, Top::SignAndUnit, Some("m3/s")),
        4 => (3, 3, Top::Sign, Some("m/s")),
        5 => (3, 2, Top::Digit, Some("m")),
        6 => (3, 0, Top::Digit, Some("W")),
        7 => (3, 0, Top::Digit, Some("hPa")),
        8 => (3, 2, Top::Direction, Some("m/s")),
        9 => (2, 1, Top::Sign, Some("Cel")),
        11 => (2, 1, Top::Digit, Some("%")),
        12 => (3, 1, Top::Sign, Some("mm")),
        15 => (4, 2, Top::Digit, Some("kPa")),
        VOLUME => (5, 0, Top::Sign, Some("m3")),
        QUALITY => (4, 0, Top::Digit, None),
        _ => return None,
    };
    Some(Form {
        width,
        places,
        top,
        unit,
    })
}
