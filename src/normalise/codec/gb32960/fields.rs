//! The values of the blocks: name, width, step, offset, unit; and how a profile spells them.
//!
//! A value's code: block `<< 48` │ number of the part `<< 32` │ place in the table `<< 16` │ place in a list, from 1.

use super::{
    super::super::{
        payload::Reject,
        point::{Decimal, Key, Point, Sink, Value},
        quality::Quality,
    },
    Bytes, Edition,
    tables::{GROUPS_17691, GROUPS_32960},
};

/// What of a value's highest numbers is no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marks {
    /// All bits are missing, one less is missing and bad.
    InvalidAndAbnormal,
    /// All bits are missing.
    Invalid,
    /// A number, a word of bits: all is as it stands.
    None,
}

/// A number of a block: `(raw * step + offset) / 10^places`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) name: &'static str,
    /// Bytes: 1, 2 or 4.
    pub(super) size: u8,
    pub(super) step: i64,
    pub(super) offset: i64,
    pub(super) places: u8,
    pub(super) unit: Option<&'static str>,
    pub(super) marks: Marks,
}

/// A list whose length the frame says; its elements are named by their place.
pub(super) struct List {
    pub(super) name: &'static str,
    pub(super) element: Field,
}

/// The values of a block or of one part of it.
pub(super) struct Group {
    pub(super) block: u8,
    pub(super) prefix: &'static str,
    /// Behind the prefix stand the part's number and a point.
    pub(super) is_numbered: bool,
    pub(super) fields: &'static [Field],
    pub(super) lists: &'static [List],
}

/// The place of the first list in a code.
pub(super) const LISTS: u16 = 0x100;

impl Field {
    pub(super) const fn max(&self) -> u32 {
        match self.size {
            1 => 0xFF,
            2 => 0xFFFF,
            _ => u32::MAX,
        }
    }

    pub(super) fn take(&self, bytes: &mut Bytes<'_>) -> Result<u32, Reject> {
        match self.size {
            1 => bytes.u8().map(u32::from),
            2 => bytes.u16_be().map(u32::from),
            _ => bytes.u32_be(),
        }
    }

    fn number(&self, raw: u32) -> Value<'static> {
        let mantissa = i64::from(raw) * self.step + self.offset;
        if self.places == 0 {
            Value::Whole(mantissa)
        } else {
            Value::Decimal(Decimal::new(mantissa, self.places))
        }
    }

    #[inline]
    pub(super) fn value(&self, raw: u32) -> (Value<'static>, Quality) {
        match self.marks {
            Marks::InvalidAndAbnormal | Marks::Invalid if raw == self.max() => {
                (Value::Missing, Quality::GOOD)
            }
            Marks::InvalidAndAbnormal if raw == self.max() - 1 => (Value::Missing, Quality::BAD),
            _ => (self.number(raw), Quality::GOOD),
        }
    }
}

pub(super) fn groups(edition: Edition) -> &'static [&'static Group] {
    match edition {
        Edition::Gbt32960 => &GROUPS_32960,
        Edition::Gb17691 | Edition::Gb17691SerialInBlock => &GROUPS_17691,
    }
}

pub(super) fn code(block: u8, part: u8, place: u16, index: u16) -> u64 {
    let (block, part) = (u64::from(block), u64::from(part));
    block << 48 | part << 32 | u64::from(place) << 16 | u64::from(index)
}

impl Group {
    /// Hands over fields from `from` up to `to`, as they follow in the block.
    pub(super) fn read<S: Sink>(
        &self,
        part: u8,
        range: std::ops::Range<u16>,
        bytes: &mut Bytes<'_>,
        sink: &mut S,
    ) -> Result<(), Reject> {
        let fields = self
            .fields
            .get(usize::from(range.start)..usize::from(range.end));
        for (place, field) in range.zip(fields.unwrap_or_default()) {
            let (value, quality) = field.value(field.take(bytes)?);
            self.hand_over((part, place), field, (value, quality), sink)?;
        }
        Ok(())
    }

    pub(super) fn hand_over<S: Sink>(
        &self,
        (part, place): (u8, u16),
        field: &Field,
        (value, quality): (Value<'_>, Quality),
        sink: &mut S,
    ) -> Result<(), Reject> {
        let point = Point::new(Key::Code(code(self.block, part, place, 0)), value);
        let unit = field.unit;
        sink.point(Point {
            unit,
            quality,
            ..point
        })
    }

    /// Hands over so many elements of a list, the first of which has the index `first`.
    pub(super) fn read_list<S: Sink>(
        &self,
        (part, place): (u8, u16),
        (first, count): (u16, u16),
        bytes: &mut Bytes<'_>,
        sink: &mut S,
    ) -> Result<(), Reject> {
        let Some(list) = self.lists.get(usize::from(place)) else {
            return Ok(());
        };
        let size = usize::from(list.element.size);
        let elements = bytes.take(usize::from(count) * size)?;
        let base = code(self.block, part, LISTS + place, 0);
        for (index, raw) in (u64::from(first)..).zip(elements.chunks_exact(size)) {
            let raw = raw
                .iter()
                .fold(0, |sum: u32, byte| sum << 8 | u32::from(*byte));
            let (value, quality) = list.element.value(raw);
            let point = Point::new(Key::Code(base | index & 0xFFFF), value);
            let unit = list.element.unit;
            sink.point(Point {
                unit,
                quality,
                ..point
            })?;
        }
        Ok(())
    }

    /// The code of a value of this group.
    fn key(&self, spelled: &str) -> Option<u64> {
        let mut rest = spelled.strip_prefix(self.prefix)?;
        let mut part = 0;
        if self.is_numbered {
            let (number, behind) = rest.split_once('.')?;
            part = u8::try_from(ordinal(number)?).ok()?;
            rest = behind;
        }
        if let Some((place, _)) = (0..).zip(self.fields).find(|(_, field)| field.name == rest) {
            return Some(code(self.block, part, place, 0));
        }
        let mut lists = (LISTS..).zip(self.lists);
        lists.find_map(|(place, list)| {
            let index = ordinal(rest.strip_prefix(list.name)?)?;
            Some(code(self.block, part, place, index))
        })
    }
}

/// A number in digits, without zeros before it.
fn ordinal(digits: &str) -> Option<u16> {
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_plain = is_plain && (digits == "0" || !digits.starts_with('0'));
    if is_plain { digits.parse().ok() } else { None }
}

pub(super) fn key(spelled: &str, edition: Edition) -> Result<u64, String> {
    if let Some(id) = spelled
        .strip_prefix("user.")
        .filter(|_| edition == Edition::Gbt32960)
    {
        let is_hex = id.len() == 2 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let id = u8::from_str_radix(id, 16)
            .ok()
            .filter(|id| is_hex && *id >= 0x80);
        return id.map(|id| code(id, 0, 0, 0)).ok_or_else(|| {
            format!("{spelled:?}: a block of the vendor is spelled user.80 to user.FE")
        });
    }
    groups(edition).iter().find_map(|group| group.key(spelled)).ok_or_else(|| match edition {
        Edition::Gbt32960 => format!(
            "{spelled:?} is no value of GB/T 32960.3: there are speed, mileage, soc, motor1.speed, fuel_cell.voltage, \
             engine.speed, longitude, cell_voltage_max, alarm, battery1.voltage, battery1.cell1, battery1.probe1, \
             user.80 and others of its tables"
        ),
        Edition::Gb17691 | Edition::Gb17691SerialInBlock => format!(
            "{spelled:?} is no value of GB 17691, Annex Q: there are speed, engine_speed, nox_downstream, urea_level, \
             mileage, fault_code1 and others of its tables"
        ),
    })
}
