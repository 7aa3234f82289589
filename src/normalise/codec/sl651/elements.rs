//! What the standard says of its elements (SL 651-2014, annex C): how they are written and in which unit.

/// How the bytes of an element are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// BCD, most significant digits first, decimals by the definition byte.
    Digits,
    /// Days, hours, minutes between the values of a uniform series, BCD.
    Step,
    /// Values of so many binary bytes, with so many decimals, five minutes apart.
    Series { width: usize, places: u8 },
    /// A binary number: the status word.
    Word,
}

/// Seconds between the values of an hour's series.
pub(super) const SERIES_STEP_S: u64 = 300;

pub(super) const TIME: u64 = 0xF0;
pub(super) const STATION: u64 = 0xF1;
pub(super) const MANUAL: u64 = 0xF2;
pub(super) const PICTURE: u64 = 0xF3;
/// The mark before the two-byte ids that makers and provinces define.
pub(super) const CUSTOM: u64 = 0xFF;
pub(super) const STEP: u64 = 0x04;
const STATUS: u64 = 0x45;

pub(super) const fn kind(id: u64) -> Kind {
    match id {
        STEP => Kind::Step,
        STATUS => Kind::Word,
        0xF4 => Kind::Series {
            width: 1,
            places: 1,
        },
        0xF5..=0xFC => Kind::Series {
            width: 2,
            places: 2,
        },
        _ => Kind::Digits,
    }
}

/// The unit of an element, as UCUM has it; none where it has none, and for elements that the standard leaves to others.
pub(super) const fn unit(id: u64) -> Option<&'static str> {
    Some(match id {
        0x01 => "m2",
        0x02 | 0x03 | 0x0D => "Cel",
        STEP => "s",
        0x06 | 0x07 | 0x1A..=0x26 | 0xF4 => "mm",
        0x08 => "hPa",
        0x09 | 0x0E | 0x0F | 0x39..=0x43 | 0xF5..=0xFC => "m",
        0x10..=0x18 => "%",
        0x27..=0x31 => "m3/s",
        0x32 => "10*4.t",
        0x35..=0x37 => "m/s",
        0x38 | 0x70..=0x72 => "V",
        0x44 => "kg/m3",
        0x46 => "[pH]",
        0x47 | 0x4A | 0x4C..=0x57 => "mg/L",
        0x48 => "uS/cm",
        0x49 => "{NTU}",
        0x4B => "mV",
        0x58..=0x5F => "kPa",
        0x60..=0x67 => "m3",
        0x68..=0x6F => "m3/h",
        0x73..=0x75 => "A",
        _ => return None,
    })
}
