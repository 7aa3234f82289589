//! The `[codec]` table of a profile.

use std::collections::BTreeMap;

/// The options.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    /// What becomes of a position that the terminal does not vouch for (status bit 1 at 0). Default `uncertain`: most
    /// terminals repeat the last position that they had.
    pub(crate) unfixed: Unfixed,
    /// Extras that hold further extras, by id in two hexadecimal digits, for example `{ EB = "len16_id16" }`. Default
    /// none: vendors use one id in several ways.
    pub(crate) nested: BTreeMap<String, Layout>,
    /// Numbers and text to be taken out of extras. Default none.
    pub(crate) extras: Vec<Field>,
}

/// What becomes of a position without a fix.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unfixed {
    /// It is kept and uncertain.
    #[default]
    Uncertain,
    /// It is missing and bad.
    Missing,
}

/// How extras stand inside an extra; numbers are big-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Layout {
    /// Id 1, length 1, value.
    Id8Len8,
    /// Id 2, length 1, value.
    Id16Len8,
    /// Id 2, length 2, value.
    Id16Len16,
    /// Length 2, which counts the id too; id 2, value.
    Len16Id16,
}

/// A value inside the bytes of an extra.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Field {
    /// The extra, as behind `extra.` in a key: `06` or `EB.00A8`.
    pub(crate) id: String,
    /// The key. Default: that of the extra itself, whose bytes then do not come.
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// How the bytes are read.
    #[serde(rename = "type")]
    pub(crate) take: Take,
    /// The first byte inside the extra, from 0. Default 0.
    #[serde(default)]
    pub(crate) at: u16,
    /// Count of bytes, for `bcd`, `text` and `bytes`. Default: to the end of the extra.
    #[serde(default)]
    pub(crate) len: Option<u16>,
    /// Decimal places of a number. Default 0.
    #[serde(default)]
    pub(crate) decimals: u8,
}

/// How bytes of an extra are read; numbers are big-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Take {
    U8,
    U16,
    U32,
    I8,
    I16,
    I32,
    /// 16 bits, the highest of which is the sign and the others the magnitude.
    Signed15,
    /// At most 18 digits.
    Bcd,
    /// GB 18030, to its first NUL.
    Text,
    Bytes,
}

impl Take {
    /// Bytes of a number of this type; none where the length is free.
    pub(super) const fn size(self) -> Option<usize> {
        match self {
            Self::U8 | Self::I8 => Some(1),
            Self::U16 | Self::I16 | Self::Signed15 => Some(2),
            Self::U32 | Self::I32 => Some(4),
            Self::Bcd | Self::Text | Self::Bytes => None,
        }
    }
}

impl Options {
    /// Keys that the options add.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.extras.iter().filter_map(|field| field.name.as_deref())
    }
}
