//! The types of single values: how they are spelled, and how bytes are read as them.

use super::{
    super::{
        super::point::{Civil, Decimal},
        bits::{bcd, bcd_be, bcd_le},
    },
    options::Sign,
};

/// Order of the bytes of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// ABCD.
    Be,
    /// DCBA.
    Le,
    /// Words of two bytes, least significant word first.
    Cdab,
    /// Words of two bytes, each with its bytes swapped.
    Badc,
}

/// A whole number on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Int {
    pub(super) bytes: u8,
    pub(super) is_signed: bool,
    pub(super) order: Order,
}

/// A type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Int(Int),
    /// Of 4 or 8 bytes.
    Float(u8, Order),
    BcdBe,
    BcdLe,
    HexBe,
    HexLe,
    Text,
    Gb18030,
    Digits,
    Bytes,
    Calendar(Calendar),
}

const SPELLINGS: &str = "u8 to u64 and i8 to i64, f32, f64 (more than one byte: with be, le, cdab or badc), bool, bcdbe, \
    bcdle, hex, hexle, ascii, gb18030, digits, bytes, bcdtime, bintime";

impl Int {
    pub(super) fn parse(spelled: &str) -> Result<Self, String> {
        let fault =
            || format!("{spelled:?} is no whole number such as u8, u16be, i32le or u32cdab");
        let is_signed = spelled.starts_with('i');
        let rest = spelled.strip_prefix(['u', 'i']).ok_or_else(fault)?;
        let digits = rest.trim_end_matches(|c: char| !c.is_ascii_digit());
        let suffix = rest.strip_prefix(digits).unwrap_or_default();
        let bits: u8 = digits.parse().map_err(|_not_a_number| fault())?;
        let bytes = bits / 8;
        if !bits.is_multiple_of(8) || !(1..=8).contains(&bytes) {
            return Err(fault());
        }
        let order = order(suffix, bytes).ok_or_else(fault)?;
        Ok(Self {
            bytes,
            is_signed,
            order,
        })
    }

    /// Of as many bytes as it has.
    #[inline]
    pub(super) fn read(self, raw: &[u8]) -> i128 {
        let unsigned = ordered(raw, self.order);
        if self.is_signed {
            let unused = 64 - 8 * u32::from(self.bytes);
            i128::from((unsigned << unused).cast_signed() >> unused)
        } else {
            i128::from(unsigned)
        }
    }
}

fn order(suffix: &str, bytes: u8) -> Option<Order> {
    match (suffix, bytes) {
        ("", 1) | ("be", 2..) => Some(Order::Be),
        ("le", 2..) => Some(Order::Le),
        ("cdab", 4 | 6 | 8) => Some(Order::Cdab),
        ("badc", 4 | 6 | 8) => Some(Order::Badc),
        _ => None,
    }
}

#[inline]
fn ordered(raw: &[u8], order: Order) -> u64 {
    let push = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
    match order {
        Order::Be => raw.iter().fold(0, push),
        Order::Le => raw.iter().rev().fold(0, push),
        Order::Cdab => raw.rchunks(2).flatten().fold(0, push),
        Order::Badc => raw
            .chunks(2)
            .flat_map(|word| word.iter().rev())
            .fold(0, push),
    }
}

/// The bytes of a number in an order; the way back of what reads them.
#[cfg(any(test, feature = "harness"))]
pub(super) fn to_ordered(number: u64, bytes: u8, order: Order) -> Vec<u8> {
    let be: Vec<u8> = number
        .to_be_bytes()
        .into_iter()
        .skip(8 - usize::from(bytes))
        .collect();
    match order {
        Order::Be => be,
        Order::Le => be.into_iter().rev().collect(),
        Order::Cdab => be.rchunks(2).flatten().copied().collect(),
        Order::Badc => be
            .chunks(2)
            .flat_map(|word| word.iter().rev())
            .copied()
            .collect(),
    }
}

impl Kind {
    pub(super) fn parse(spelled: &str, pattern: Option<&str>) -> Result<Self, String> {
        let pattern = pattern.unwrap_or("yyMMddHHmmss");
        Ok(match spelled {
            "bool" => Self::Int(Int {
                bytes: 1,
                is_signed: false,
                order: Order::Be,
            }),
            "bcdbe" => Self::BcdBe,
            "bcdle" => Self::BcdLe,
            "hex" => Self::HexBe,
            "hexle" => Self::HexLe,
            "ascii" => Self::Text,
            "gb18030" => Self::Gb18030,
            "digits" => Self::Digits,
            "bytes" => Self::Bytes,
            "bcdtime" => Self::Calendar(Calendar::parse(pattern, Digits::Bcd)?),
            "bintime" => Self::Calendar(Calendar::parse(pattern, Digits::Binary)?),
            float if float.starts_with('f') => {
                let (bytes, suffix) = match (float.strip_prefix("f32"), float.strip_prefix("f64")) {
                    (Some(suffix), _) => (4, suffix),
                    (_, Some(suffix)) => (8, suffix),
                    _ => return Err(format!("{float:?} is no type; there are {SPELLINGS}")),
                };
                let order = order(suffix, bytes)
                    .ok_or_else(|| format!("{float:?} wants be, le, cdab or badc at its end"))?;
                Self::Float(bytes, order)
            }
            int => Int::parse(int)
                .map(Self::Int)
                .map_err(|_fault| format!("{int:?} is no type; there are {SPELLINGS}"))?,
        })
    }

    /// Bytes, where the type says it.
    pub(super) fn width(&self) -> Option<usize> {
        match self {
            Self::Int(int) => Some(usize::from(int.bytes)),
            Self::Float(bytes, _) => Some(usize::from(*bytes)),
            Self::Calendar(calendar) => Some(calendar.bytes()),
            _ => None,
        }
    }

    /// Bytes that can be read at most, where that is bounded.
    pub(super) fn width_max(&self) -> usize {
        match self {
            Self::BcdBe | Self::BcdLe => 9,
            Self::HexBe | Self::HexLe => 16,
            _ => usize::MAX,
        }
    }
}

/// A floating point number of 4 or 8 bytes.
#[inline]
pub(super) fn float(raw: &[u8], order: Order) -> f64 {
    let bits = ordered(raw, order);
    match u32::try_from(bits) {
        Ok(bits) if raw.len() == 4 => f64::from(f32::from_bits(bits)),
        _ => f64::from_bits(bits),
    }
}

/// BCD, with the sign in its top digit or bit where asked for; none if a digit is above 9.
#[inline]
pub(super) fn digits(raw: &[u8], kind: &Kind, sign: Option<Sign>) -> Option<i64> {
    if raw.len() > 9 {
        return None;
    }
    let mut bytes = [0; 9];
    let bytes = bytes.get_mut(..raw.len())?;
    bytes.copy_from_slice(raw);
    let is_le = *kind == Kind::BcdLe;
    let top = if is_le {
        bytes.last_mut()
    } else {
        bytes.first_mut()
    }?;
    let is_minus = match sign {
        Some(Sign::Nibble) => {
            let nibble = *top >> 4;
            *top &= 0x0F;
            match nibble {
                0 => false,
                1 | 8 | 0x0F => true,
                _ => return None,
            }
        }
        Some(Sign::Bit) => {
            let is_minus = *top & 0x80 != 0;
            *top &= 0x7F;
            is_minus
        }
        _ => false,
    };
    let number = if is_le { bcd_le(bytes) } else { bcd_be(bytes) }?;
    Some(if is_minus { -number } else { number })
}

/// A number written in decimal digits, with or without a point; none if it is not one or has more than 18 digits.
pub(super) fn decimal(text: &str) -> Option<Decimal> {
    let text = text.trim();
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let count = whole.len() + fraction.len();
    if count == 0 || count > 18 {
        return None;
    }
    let mantissa = whole
        .bytes()
        .chain(fraction.bytes())
        .try_fold(0_i64, |sum, byte| {
            byte.is_ascii_digit()
                .then(|| sum * 10 + i64::from(byte - b'0'))
        })?;
    let signed = if text.starts_with('-') {
        -mantissa
    } else {
        mantissa
    };
    Some(Decimal::new(signed, u8::try_from(fraction.len()).ok()?))
}

/// How the bytes of a calendar write numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Digits {
    Bcd,
    Binary,
    /// Two or four decimal digits of text each.
    Text,
}

/// A part of a calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    LongYear,
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Passed,
}

/// A calendar's parts in the order of the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Calendar {
    pub(super) parts: Box<[Part]>,
    pub(super) digits: Digits,
}

impl Calendar {
    pub(super) fn parse(pattern: &str, digits: Digits) -> Result<Self, String> {
        const PARTS: [(&str, Part); 8] = [
            ("yyyy", Part::LongYear),
            ("yy", Part::Year),
            ("MM", Part::Month),
            ("dd", Part::Day),
            ("HH", Part::Hour),
            ("mm", Part::Minute),
            ("ss", Part::Second),
            ("__", Part::Passed),
        ];
        let mut parts = Vec::new();
        let mut rest = pattern;
        while !rest.is_empty() {
            let found = PARTS
                .iter()
                .find_map(|(token, part)| rest.strip_prefix(token).map(|rest| (rest, *part)));
            let (behind, part) = found.ok_or_else(|| {
                format!(
                    "pattern {pattern:?} stops at {rest:?}; it is made of yyyy yy MM dd HH mm ss __"
                )
            })?;
            parts.push(part);
            rest = behind;
        }
        for (wanted, name) in [(Part::Month, "MM"), (Part::Day, "dd")] {
            if !parts.contains(&wanted) {
                return Err(format!("pattern {pattern:?} has no {name}"));
            }
        }
        if !parts
            .iter()
            .any(|part| matches!(part, Part::Year | Part::LongYear))
        {
            return Err(format!("pattern {pattern:?} has no year"));
        }
        Ok(Self {
            parts: parts.into(),
            digits,
        })
    }

    fn bytes_of(&self, part: Part) -> usize {
        let pairs = if part == Part::LongYear { 2 } else { 1 };
        if self.digits == Digits::Text {
            pairs * 2
        } else {
            pairs
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.parts.iter().map(|part| self.bytes_of(*part)).sum()
    }

    /// The calendar time in as many bytes as it has; none if there is no such date.
    pub(super) fn read(&self, raw: &[u8]) -> Option<Civil> {
        let mut rest = raw;
        let mut date = (0_u16, 0_u8, 0_u8);
        let mut clock = (0_u8, 0_u8, 0_u8);
        for part in &self.parts {
            let (bytes, behind) = rest.split_at_checked(self.bytes_of(*part))?;
            rest = behind;
            if *part == Part::Passed {
                continue;
            }
            let number = self.number(bytes)?;
            let short = u8::try_from(number);
            match part {
                Part::LongYear => date.0 = number,
                Part::Year => date.0 = number.checked_add(2000)?,
                Part::Month => date.1 = short.ok()?,
                Part::Day => date.2 = short.ok()?,
                Part::Hour => clock.0 = short.ok()?,
                Part::Minute => clock.1 = short.ok()?,
                Part::Second => clock.2 = short.ok()?,
                Part::Passed => {}
            }
        }
        Civil::new(date, clock)
    }

    /// The calendar time in text whose digits stand in this order, whatever stands between them.
    pub(super) fn read_digits(&self, text: &[u8]) -> Option<Civil> {
        let mut digits = [0; 32];
        let room = digits.get_mut(..self.bytes())?;
        let mut found = text.iter().filter(|byte| byte.is_ascii_digit());
        for place in room.iter_mut() {
            *place = *found.next()?;
        }
        self.read(room)
    }

    fn number(&self, bytes: &[u8]) -> Option<u16> {
        bytes.iter().try_fold(0_u16, |sum, byte| match self.digits {
            Digits::Bcd => sum.checked_mul(100)?.checked_add(u16::from(bcd(*byte)?)),
            Digits::Binary => Some(sum << 8 | u16::from(*byte)),
            Digits::Text => byte
                .is_ascii_digit()
                .then(|| sum * 10 + u16::from(byte - b'0')),
        })
    }
}
