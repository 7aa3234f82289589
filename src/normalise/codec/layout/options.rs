//! What a profile's `[codec]` table may say beside `kind = "layout"`. The module above has examples.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The table itself.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    /// How frames are found; without it the payload is one frame, since most radios deliver it so.
    pub(crate) frame: Frame,
    /// The check of a frame; none by default, since a radio's payload has been checked already.
    pub(crate) check: Option<Check>,
    /// The payload is text whose values stand between separators: `take` names them by `field`.
    pub(crate) text: Option<Text>,
    /// Bytes behind the last take: `ignore`, since later firmware appends, or `refuse` where a frame is known to be whole
    /// and its check is weak.
    pub(crate) trailing: Trailing,
    /// What is read, in order.
    pub(crate) take: Vec<Take>,
}

/// What becomes of bytes that no take reads at the end of a body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Trailing {
    #[default]
    Ignore,
    Refuse,
}

/// Where a frame begins and ends.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Frame {
    /// Bytes that every frame begins with, in hexadecimal. Empty: it begins where the one before ended.
    pub(crate) start: String,
    /// Bytes that every frame ends with, in hexadecimal.
    pub(crate) end: String,
    /// A field that holds the number of bytes.
    pub(crate) length: Option<Length>,
    /// Bytes of every frame.
    pub(crate) fixed: Option<usize>,
    /// Two bytes that stand for one between start and end, such as `7D01 = "7D"`. Needs both, and no length.
    pub(crate) escape: BTreeMap<String, String>,
    /// A length above this is noise; 4096, since a longer one would hold back all that follows it.
    pub(crate) bytes_max: usize,
}

impl Default for Frame {
    fn default() -> Self {
        Self {
            start: String::new(),
            end: String::new(),
            length: None,
            fixed: None,
            escape: BTreeMap::new(),
            bytes_max: 4096,
        }
    }
}

/// The length field of a frame.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Length {
    /// Offset from the frame's first byte.
    pub(crate) at: usize,
    /// `u8`, `u16be` and the like.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// What the whole frame has beyond the number in the field.
    #[serde(default)]
    pub(crate) plus: i64,
}

/// The check of a frame.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Check {
    /// `sum8`, `xor8`, `sum16`, `crc8`, `crc16_modbus`, `crc16_ccitt` (1021, initial FFFF), `crc16_xmodem` (1021,
    /// initial 0), `crc16_kermit`, or `crc16` with `poly`; `none`.
    pub(crate) kind: String,
    /// First byte of the span; 0. Negative: from the frame's end.
    #[serde(default)]
    pub(crate) from: i64,
    /// First byte behind the span; where the check stands. Negative: from the frame's end.
    pub(crate) to: Option<i64>,
    /// Where the check stands; right before `frame.end`. Negative: from the frame's end.
    pub(crate) at: Option<i64>,
    /// Byte order of two bytes: `be`, `le`, or `either` for fleets whose makers did not agree. By kind if not given:
    /// `le` for `crc16_modbus`, else `be`.
    pub(crate) order: Option<CheckOrder>,
    /// Polynomial without its top bit; for `crc8` (07) and `crc16`.
    pub(crate) poly: Option<u16>,
    /// Initial value.
    pub(crate) init: Option<u16>,
    /// What the result is combined with by exclusive or.
    pub(crate) xorout: Option<u16>,
    /// Least significant bit first.
    pub(crate) reflected: Option<bool>,
}

/// Byte order of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CheckOrder {
    Be,
    Le,
    Either,
}

/// Separators of a text payload.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Text {
    /// One character between values: `,` or `;`.
    pub(crate) fields: char,
    /// One character between records, a line break for example; without it a frame is one record.
    pub(crate) records: Option<char>,
    /// One character between name and value; without it values go by place, the first is 0.
    pub(crate) equals: Option<char>,
}

/// One thing that is read: a value, bytes passed over, a group, a repetition, or a row of keyed values.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Take {
    /// The profile's source. Without it the value is only there for `of`, `when`, `count` of what follows.
    pub(crate) name: Option<String>,
    /// Holds for the whole frame and goes by its name, such as `address`.
    pub(crate) head: bool,
    /// Offset from the frame's (in repetitions: the element's) first byte; where the one before ended by default.
    pub(crate) at: Option<usize>,
    /// Only if this holds.
    pub(crate) when: Option<When>,
    /// What the bytes are: `u8` … `u64`, `i8` … `i64` in steps of 8 bits, `f32`, `f64`, each with `be`, `le`, `cdab`
    /// (words swapped) or `badc` (bytes within words swapped); `bool`; `bcdbe`, `bcdle`, `hex`, `hexle`, `ascii`,
    /// `gb18030`, `digits`, `bytes` with `bytes`; `bcdtime`, `bintime` with `pattern`.
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    /// How many bytes, where the type does not say: a number, the name of an earlier value, or `rest`.
    pub(crate) bytes: Option<Width>,
    /// Shift and width of bits within the word.
    pub(crate) bits: Option<(u8, u8)>,
    /// The word of `bits` is this earlier one instead of bytes; with `bits` and without `type` it is the last one.
    pub(crate) of: Option<String>,
    /// How a minus is written where the type does not say.
    pub(crate) sign: Option<Sign>,
    /// Added to every byte modulo 256 before it is read (205 takes away 33H). Children of a group have it too.
    pub(crate) byte_add: Option<u8>,
    /// Combined with every byte by exclusive or before it is read. Children of a group have it too.
    pub(crate) byte_xor: Option<u8>,
    /// Taken from the raw number first; Decentlab's 32768.
    pub(crate) sub: i64,
    /// The number is multiplied by it, exactly; 5 with one decimal are steps of a half.
    pub(crate) times: Option<i64>,
    /// Decimal places of the number, exactly.
    pub(crate) decimals: u8,
    /// Raw numbers, or bytes in hexadecimal (fewer than the value has: all of them are so), that mean "no value".
    pub(crate) missing: Vec<Missing>,
    /// What the number is: `number`, `bool` (not 0), `not` (0), `unix_s`, `unix_ms`; of text fields also `text` and
    /// `calendar`.
    #[serde(rename = "as")]
    pub(crate) form: Option<Form>,
    /// Order of the bytes of a calendar: `yyMMddHHmmss`, with `yyyy` for two bytes of year and `__` for one passed over.
    pub(crate) pattern: Option<String>,
    /// The name of an earlier time at which this (in groups and repetitions: all in it) was observed.
    pub(crate) time: Option<String>,
    /// Bytes passed over.
    pub(crate) skip: Option<usize>,
    /// `take` several times.
    pub(crate) repeat: Option<Repeat>,
    /// `take` by key.
    pub(crate) tlv: Option<Tlv>,
    /// Within `tlv`: the key in hexadecimal.
    pub(crate) key: Option<String>,
    /// Of a text payload: name or place of the value.
    pub(crate) field: Option<TextField>,
    /// Children of a group, repetition or row.
    pub(crate) take: Vec<Take>,
}

/// How many bytes.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Width {
    Fixed(usize),
    Named(String),
}

/// A raw value that means none.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Missing {
    Number(i64),
    Text(String),
}

/// A value of a text payload.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum TextField {
    Place(usize),
    Name(String),
}

/// How a minus is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sign {
    /// Two's complement of the bits taken.
    Twos,
    /// The top bit, with the magnitude in the others.
    Bit,
    /// The top digit of BCD: 0 is plus; 1, 8 and F are minus.
    Nibble,
}

/// What a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Form {
    Number,
    Bool,
    Not,
    UnixS,
    UnixMs,
    Text,
    Calendar,
}

/// A condition; all that is said has to hold.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct When {
    /// An earlier value; the last word that was read if not given. One that was not read fulfils nothing.
    pub(crate) name: Option<String>,
    /// This bit is set.
    pub(crate) bit: Option<u8>,
    /// Only these bits are compared.
    pub(crate) mask: Option<u64>,
    /// It is this number.
    pub(crate) is: Option<i64>,
    /// It is not this number.
    pub(crate) not: Option<i64>,
    /// It is one of these.
    #[serde(rename = "in")]
    pub(crate) among: Vec<i64>,
    /// At least so many bytes are left, for what later firmware appends.
    pub(crate) bytes_left: Option<usize>,
}

/// A repetition, to the end of the body unless `count` is given.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Repeat {
    /// A number or the name of an earlier value.
    pub(crate) count: Option<Width>,
    /// Every element is a record of its own.
    pub(crate) record: bool,
    /// Seconds from each element to the next, beginning at `time`; negative where the latest comes first.
    pub(crate) step_s: i64,
}

/// A row of keyed values, to the end of the body.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tlv {
    /// Bytes of the key, 1 to 8: channel and type are a key of 2.
    pub(crate) key: u8,
    /// Bits of the key that `key` of the children is compared with, in hexadecimal.
    pub(crate) mask: Option<String>,
    /// Type of the length behind the key; without it the length is what the key's children read.
    pub(crate) length: Option<String>,
    /// What the value has beyond the number in the length field.
    #[serde(default)]
    pub(crate) plus: i64,
}
