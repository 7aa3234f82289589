//! What the data identifiers of DL/T 645-2007 mean: width, decimals, sign and unit, as rules over the four bytes of the
//! identifier (annex A, tables A.1 to A.6), since its tables are regular.

/// Of active energy, and so on. UCUM knows no var: reactive quantities are volt-amperes with a note.
pub(super) const KILOWATT_HOUR: &str = "kW.h";
pub(super) const KILOVAR_HOUR: &str = "kV.A{reactive}.h";
pub(super) const KILOVOLTAMPERE_HOUR: &str = "kV.A.h";
const KILOWATT: &str = "kW";
const KILOVAR: &str = "kV.A{reactive}";
const KILOVOLTAMPERE: &str = "kV.A";
/// Units that a profile may give to identifiers of its own.
pub(super) const UNITS: &[&str] = &[
    KILOWATT_HOUR,
    KILOVAR_HOUR,
    KILOVOLTAMPERE_HOUR,
    KILOWATT,
    KILOVAR,
    KILOVOLTAMPERE,
    "W.h",
    "W",
    "V",
    "mV",
    "A",
    "mA",
    "Hz",
    "Cel",
    "%",
    "deg",
    "h",
    "min",
    "s",
    "ms",
    "d",
    "1",
];

/// Whether the top bit of the most significant byte is a sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    None,
    TopBit,
}

/// How the bytes of an element are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// BCD, least significant byte first, with so many decimals.
    Number(u8, Sign),
    /// A number of 3 bytes with 4 decimals and the time `YYMMDDhhmm` at which it was reached.
    Demand(Sign),
    /// Several numbers of 4 bytes with 2 decimals: a total and its tariffs.
    Series(Sign),
    /// Binary, least significant byte first: a status word.
    Bits,
    /// YYMMDDWW.
    Date,
    /// hhmmss, as seconds of the day.
    Clock,
    /// `YYMMDDhhmm`.
    Minute,
    /// `YYMMDDWWhhmmss`.
    Second,
    /// Digits that are a number's name: an address.
    Digits,
    /// Text, last character first.
    Text,
    /// Left to the profile.
    Raw,
}

/// What an identifier means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Item {
    /// Width; none where the rest of the data belongs to it.
    pub(super) bytes: Option<u8>,
    pub(super) kind: Kind,
    pub(super) unit: Option<&'static str>,
}

impl Item {
    const fn new(bytes: u8, kind: Kind) -> Self {
        Self {
            bytes: Some(bytes),
            kind,
            unit: None,
        }
    }

    const fn number(bytes: u8, places: u8, sign: Sign, unit: &'static str) -> Self {
        Self {
            bytes: Some(bytes),
            kind: Kind::Number(places, sign),
            unit: Some(unit),
        }
    }

    const fn plain(bytes: u8) -> Self {
        Self::new(bytes, Kind::Number(0, Sign::None))
    }

    /// An identifier that this table does not know.
    pub(super) const RAW: Self = Self {
        bytes: None,
        kind: Kind::Raw,
        unit: None,
    };
}

/// What the standard says of an identifier that is no block.
pub(super) const fn standard(di: u32) -> Option<Item> {
    let [di3, di2, di1, di0] = di.to_be_bytes();
    match di3 {
        0x00 if di2 == 0x90 => remaining(di1, di0),
        0x00 if di1 <= 0x3F && di0 <= 0x0C => match power(di2) {
            Some((Power::Active, sign)) => Some(Item::number(4, 2, sign, KILOWATT_HOUR)),
            Some((Power::Reactive, sign)) => Some(Item::number(4, 2, sign, KILOVAR_HOUR)),
            Some((Power::Apparent, sign)) => Some(Item::number(4, 2, sign, KILOVOLTAMPERE_HOUR)),
            None => None,
        },
        0x01 if di1 <= 0x3F && di0 <= 0x0C => demand(di2),
        0x02 => momentary(di2, di1, di0),
        0x03 => match (di2, di1, di0) {
            // how often: losses of power, programmings, clearings, openings of covers, and the like
            (0x11, 0, 0) | (0x30, 0x00..=0x0F, 0) => Some(Item::plain(3)),
            _ => None,
        },
        0x04 if di2 == 0 => parameter(di1, di0),
        0x05 => frozen(di2, di1, di0),
        _ => None,
    }
}

enum Power {
    Active,
    Reactive,
    Apparent,
}

/// The quantity that DI2 of an energy or a demand means; phases A, B and C repeat the sums at 14H, 28H and 3CH.
const fn power(di2: u8) -> Option<(Power, Sign)> {
    let of_sum = match di2 {
        0x15..=0x1E => di2 - 0x14,
        0x29..=0x32 => di2 - 0x28,
        0x3D..=0x46 => di2 - 0x3C,
        _ => di2,
    };
    match of_sum {
        0x00 => Some((Power::Active, Sign::TopBit)),
        0x01 | 0x02 => Some((Power::Active, Sign::None)),
        0x03 | 0x04 => Some((Power::Reactive, Sign::TopBit)),
        0x05..=0x08 => Some((Power::Reactive, Sign::None)),
        0x09 | 0x0A => Some((Power::Apparent, Sign::None)),
        // total, fundamental and harmonic energies and losses, of the sum and of each phase
        0x80..=0x86 | 0x94..=0x9A | 0xA8..=0xAE | 0xBC..=0xC2 => Some((Power::Active, Sign::None)),
        _ => None,
    }
}

const fn demand(di2: u8) -> Option<Item> {
    let (unit, sign) = match power(di2) {
        _ if di2 == 0 || di2 >= 0x80 => return None,
        Some((Power::Active, sign)) => (KILOWATT, sign),
        Some((Power::Reactive, sign)) => (KILOVAR, sign),
        Some((Power::Apparent, sign)) => (KILOVOLTAMPERE, sign),
        None => return None,
    };
    Some(Item {
        bytes: Some(8),
        kind: Kind::Demand(sign),
        unit: Some(unit),
    })
}

/// What is left of prepaid energy or money.
const fn remaining(di1: u8, di0: u8) -> Option<Item> {
    match (di1, di0) {
        (1, 0 | 1) => Some(Item::number(4, 2, Sign::None, KILOWATT_HOUR)),
        (2, 0 | 1) => Some(Item::new(4, Kind::Number(2, Sign::None))),
        _ => None,
    }
}

const fn momentary(di2: u8, di1: u8, di0: u8) -> Option<Item> {
    let (signed, unsigned) = (Sign::TopBit, Sign::None);
    let item = match (di2, di1, di0) {
        (0x01, 1..=3, 0) => Item::number(2, 1, unsigned, "V"),
        (0x02, 1..=3, 0) => Item::number(3, 3, signed, "A"),
        (0x03, 0..=3, 0) => Item::number(3, 4, signed, KILOWATT),
        (0x04, 0..=3, 0) => Item::number(3, 4, signed, KILOVAR),
        (0x05, 0..=3, 0) => Item::number(3, 4, signed, KILOVOLTAMPERE),
        (0x06, 0..=3, 0) => Item::number(2, 3, signed, "1"),
        (0x07, 1..=3, 0) => Item::number(2, 1, unsigned, "deg"),
        (0x08 | 0x09, 1..=3, 0) | (0x0A | 0x0B, 1..=3, 1..=21) => Item::number(2, 2, unsigned, "%"),
        (0x80, 0, 0x01) => Item::number(3, 3, signed, "A"),
        (0x80, 0, 0x02) => Item::number(2, 2, unsigned, "Hz"),
        (0x80, 0, 0x03 | 0x04) => Item::number(3, 4, signed, KILOWATT),
        (0x80, 0, 0x05) => Item::number(3, 4, signed, KILOVAR),
        (0x80, 0, 0x06) => Item::number(3, 4, signed, KILOVOLTAMPERE),
        (0x80, 0, 0x07) => Item::number(2, 1, signed, "Cel"),
        (0x80, 0, 0x08 | 0x09) => Item::number(2, 2, unsigned, "V"),
        (0x80, 0, 0x0A) => Item::number(4, 0, unsigned, "min"),
        (0x80, 0, 0x0B) => Item::new(4, Kind::Number(4, unsigned)),
        _ => return None,
    };
    Some(item)
}

const fn parameter(di1: u8, di0: u8) -> Option<Item> {
    let item = match (di1, di0) {
        (0x01, 0x01) => Item::new(4, Kind::Date),
        (0x01, 0x02) => Item::new(3, Kind::Clock),
        (0x01, 0x03 | 0x04) => Item::number(1, 0, Sign::None, "min"),
        (0x01, 0x05) => Item::number(2, 0, Sign::None, "ms"),
        (0x01, 0x06 | 0x07) => Item::new(5, Kind::Minute),
        (0x01, 0x0C) => Item::new(7, Kind::Second),
        (0x02, 0x01..=0x04 | 0x06 | 0x07) => Item::plain(1),
        (0x02, 0x05) => Item::plain(2),
        (0x03, 0x01 | 0x02 | 0x05) => Item::plain(1),
        (0x03, 0x03 | 0x04) => Item::plain(1),
        (0x03, 0x06 | 0x07) | (0x04, 0x09 | 0x0A) => Item::plain(3),
        (0x04, 0x01 | 0x02) => Item::new(6, Kind::Digits),
        (0x04, 0x03) => Item::new(32, Kind::Text),
        (0x04, 0x04..=0x06) => Item::new(6, Kind::Text),
        (0x04, 0x07 | 0x08) => Item::new(4, Kind::Text),
        (0x04, 0x0B | 0x0C) => Item::new(10, Kind::Text),
        (0x04, 0x0D) => Item::new(16, Kind::Text),
        (0x05, 0x01..=0x07) => Item::new(2, Kind::Bits),
        (0x05, 0x08) => Item::new(4, Kind::Bits),
        _ => return None,
    };
    Some(item)
}

/// Frozen values: at set times, at once, at switches, hourly, daily; DI0 says how many freezes ago.
const fn frozen(di2: u8, di1: u8, di0: u8) -> Option<Item> {
    if di2 > 0x06 || di0 == 0 || di0 == 0xFF {
        return None;
    }
    let (unit, sign) = match di1 {
        0x00 => return Some(Item::new(5, Kind::Minute)),
        0x01 | 0x02 => (KILOWATT_HOUR, Sign::None),
        0x03 | 0x04 if di2 != 0x04 => (KILOVAR_HOUR, Sign::TopBit),
        0x05..=0x08 if di2 != 0x04 => (KILOVAR_HOUR, Sign::None),
        _ => return None,
    };
    Some(Item {
        bytes: None,
        kind: Kind::Series(sign),
        unit: Some(unit),
    })
}
