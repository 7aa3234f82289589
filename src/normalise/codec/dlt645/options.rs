//! The identifiers that a profile adds, and how it spells all of them.

use super::items::{Item, Kind, Sign, UNITS, standard};

/// The `[codec]` table of a profile.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    /// Identifiers of a vendor, or others than the standard has them; they go before the table. Default none.
    pub(crate) items: Vec<ItemOption>,
}

/// One identifier.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ItemOption {
    /// Eight hexadecimal digits, DI3 first.
    pub(crate) di: String,
    /// Width of its data, 1 to 200.
    pub(crate) bytes: u8,
    /// Digits behind the point; default none.
    #[serde(default)]
    pub(crate) decimals: u8,
    /// What its bytes are; default BCD.
    #[serde(default)]
    pub(crate) form: Form,
    /// Unit as a UCUM code that electricity meters use; default none, the profile's field says it.
    #[serde(default)]
    pub(crate) unit: Option<String>,
}

/// What the bytes of an added identifier are; least significant byte first in all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Form {
    /// BCD.
    #[default]
    Bcd,
    /// BCD whose top bit is a sign.
    SignedBcd,
    /// A binary number.
    Bits,
    /// Text, last character first.
    Text,
    /// `YYMMDDhhmm`.
    Minute,
    /// Bytes as they are.
    Raw,
}

/// Reads eight hexadecimal digits.
pub(super) fn identifier(spelled: &str) -> Result<u32, String> {
    let is_di = spelled.len() == 8 && spelled.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !is_di {
        return Err(format!(
            "{spelled:?} is no data identifier: eight hexadecimal digits, DI3 first, such as 00010000"
        ));
    }
    u32::from_str_radix(spelled, 16).map_err(|error| format!("{spelled:?}: {error}"))
}

impl ItemOption {
    /// The identifier and what it means.
    pub(super) fn compile(&self) -> Result<(u32, Item), String> {
        let di = identifier(&self.di)?;
        let numbers_end = match self.form {
            Form::Bcd | Form::SignedBcd => 9,
            Form::Bits => 7,
            Form::Text | Form::Minute | Form::Raw => 200,
        };
        if self.bytes == 0 || self.bytes > numbers_end || self.decimals > 18 {
            let most = format_args!("1 to {numbers_end} bytes and 0 to 18 decimals");
            return Err(format!("{}: {:?} takes {most}", self.di, self.form));
        }
        let unit = match &self.unit {
            None => None,
            Some(unit) => Some(*UNITS.iter().find(|known| *known == unit).ok_or_else(|| {
                format!("{}: unit {unit:?} is none of {}", self.di, UNITS.join(", "))
            })?),
        };
        let kind = match self.form {
            Form::Bcd => Kind::Number(self.decimals, Sign::None),
            Form::SignedBcd => Kind::Number(self.decimals, Sign::TopBit),
            Form::Bits => Kind::Bits,
            Form::Text => Kind::Text,
            Form::Minute if self.bytes == 5 => Kind::Minute,
            Form::Minute => return Err(format!("{}: a minute takes 5 bytes", self.di)),
            Form::Raw => Kind::Raw,
        };
        let bytes = Some(self.bytes);
        Ok((di, Item { bytes, kind, unit }))
    }
}

/// What a block stands for: the place of its only FF, and the first number that goes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    di: u32,
    shift: u32,
    first: u32,
}

impl Block {
    /// Of an identifier with one FF behind DI3 whose elements the standard knows.
    pub(super) fn of(di: u32) -> Option<Self> {
        let mut places = [16, 8, 0]
            .into_iter()
            .filter(|shift| di >> shift & 0xFF == 0xFF);
        let shift = places.next()?;
        // frozen values have no blocks here: their series say nowhere how long they are
        if places.next().is_some() || di >> 24 == 0x05 {
            return None;
        }
        let block = |first| Self { di, shift, first };
        [block(0), block(1)]
            .into_iter()
            .find(|block| standard(block.element(0)).is_some_and(|item| item.bytes.is_some()))
    }

    /// The identifier of an element, from 0.
    pub(super) fn element(self, place: u32) -> u32 {
        let number = self.first.saturating_add(place).min(0xFF);
        self.di & !(0xFF << self.shift) | number << self.shift
    }
}
