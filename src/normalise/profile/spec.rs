//! A profile as its file says it. Everything here is text and numbers; what they mean for a class is [`super::compile`]'s
//! to say.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One text or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Texts {
    One(String),
    Many(Vec<String>),
}

impl Texts {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts.as_slice(),
        }
        .iter()
        .map(String::as_str)
    }
}

/// A number that must not lose digits on its way through binary floating point: `0.1` or `"0.1"`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Digits {
    Whole(i64),
    Real(f64),
    Text(String),
}

impl Digits {
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Whole(number) => number.to_string(),
            // The shortest text that reads back as the same number: the digits that the file has.
            Self::Real(number) => number.to_string(),
            Self::Text(text) => text.trim().to_owned(),
        }
    }
}

/// The file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spec {
    pub(crate) id: Option<String>,
    #[serde(default)]
    pub(crate) title: String,
    /// Topics with captures, beside `v1/{class}/{device}/up/PROFILE`.
    #[serde(default)]
    pub(crate) topics: Vec<String>,
    pub(crate) class: ClassSpec,
    pub(crate) device: Option<Texts>,
    pub(crate) codec: CodecSpec,
    pub(crate) nested: Option<NestedSpec>,
    /// What records are for this profile: source → values. All have to hold.
    #[serde(default)]
    pub(crate) when: BTreeMap<String, Texts>,
    #[serde(default)]
    pub(crate) time: TimeSpec,
    #[serde(default)]
    pub(crate) strictness: Strictness,
    #[serde(default)]
    pub(crate) unmapped: Unmapped,
    #[serde(default)]
    pub(crate) fields: BTreeMap<String, FieldSpec>,
    /// Attributes of a reading by name: where each comes from.
    #[serde(default)]
    pub(crate) attributes: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) status: Vec<StatusSpec>,
    #[serde(default)]
    pub(crate) report: ReportSpec,
    pub(crate) reply: Option<ReplySpec>,
    #[serde(default, rename = "vector")]
    pub(crate) vectors: Vec<VectorSpec>,
}

/// The class of a record.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum ClassSpec {
    Fixed(String),
    Chosen(ChosenClass),
}

/// A class that a value of the payload, or a capture of the topic, chooses.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChosenClass {
    pub(crate) from: Texts,
    pub(crate) map: BTreeMap<String, String>,
    /// For values that the map does not have.
    pub(crate) other: Option<String>,
}

/// `[codec]`: its kind and the options of that kind.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct CodecSpec {
    pub(crate) kind: String,
    #[serde(flatten)]
    pub(crate) options: toml::Table,
}

/// A codec inside a value of the outer one.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NestedSpec {
    pub(crate) from: Texts,
    #[serde(default)]
    pub(crate) encoding: Encoding,
    pub(crate) codec: CodecSpec,
}

/// How a value of the outer codec holds the bytes of the inner one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Encoding {
    #[default]
    Base64,
    Hex,
    /// Text, or bytes, as it stands.
    Plain,
}

/// `[time]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TimeSpec {
    pub(crate) from: Option<Texts>,
    pub(crate) format: Texts,
    pub(crate) zone: String,
    pub(crate) fallback: Fallback,
    pub(crate) fields: FieldTimes,
}

impl Default for TimeSpec {
    fn default() -> Self {
        Self {
            from: None,
            format: Texts::Many(vec!["rfc3339".to_owned(), "unix".to_owned()]),
            zone: "+08:00".to_owned(),
            fallback: Fallback::Arrival,
            fields: FieldTimes::Split,
        }
    }
}

/// What counts where a record has no time that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fallback {
    /// The time of arrival; the reading says so.
    #[default]
    Arrival,
    /// Quarantine.
    Reject,
}

/// What becomes of values with a time of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FieldTimes {
    /// Each distinct time is a reading of its own.
    #[default]
    Split,
    /// They belong to the record's time.
    Ignore,
}

/// What becomes of a payload of which one value cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Strictness {
    /// Quarantine, whole.
    #[default]
    Whole,
    /// The value is left out, its field flagged bad and its text kept as an attribute; the rest is a reading.
    Field,
}

/// What becomes of points that the profile does not mention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unmapped {
    /// They are counted.
    #[default]
    Count,
    /// They are kept as attributes `member.NAME`, within the bounds of attributes.
    Keep,
}

/// `[fields.NAME]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FieldSpec {
    /// Candidates; the first with a value counts.
    pub(crate) from: Texts,
    pub(crate) unit: Option<String>,
    pub(crate) scale: Option<Digits>,
    pub(crate) offset: Option<Digits>,
    #[serde(default)]
    pub(crate) missing: Vec<Digits>,
    /// Raw value → code of an enum field, true/false of a boolean, text.
    #[serde(default)]
    pub(crate) map: BTreeMap<String, MapTo>,
    pub(crate) bits: Option<Bits>,
    #[serde(default)]
    pub(crate) round: Rounding,
    pub(crate) dead_band: Option<f64>,
    pub(crate) series: Option<Series>,
}

/// Several values of one field in a record, without times of their own: they were taken at a steady pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Series {
    /// Seconds from one value to the next.
    pub(crate) step_s: u32,
    /// Whose time the record's time is.
    #[serde(default)]
    pub(crate) time_of: Anchor,
}

/// A value of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Anchor {
    #[default]
    First,
    Last,
}

/// What a raw value stands for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub(crate) enum MapTo {
    Bool(bool),
    Number(f64),
    Text(String),
}

/// A part of a whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bits {
    pub(crate) shift: u8,
    #[serde(default = "one")]
    pub(crate) width: u8,
}

const fn one() -> u8 {
    1
}

/// What becomes of decimals where an integer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Rounding {
    /// The value cannot be read.
    #[default]
    Exact,
    /// Half away from zero.
    Nearest,
}

/// `[[status]]`: a word or text that says how the device is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StatusSpec {
    pub(crate) from: Texts,
    /// Bit number → meaning, for words.
    #[serde(default)]
    pub(crate) bits: BTreeMap<String, Meaning>,
    /// Value → meaning, for texts and numbers.
    #[serde(default)]
    pub(crate) values: BTreeMap<String, Meaning>,
}

/// What a status means.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Meaning {
    /// Name of an OPC UA status, for example `BadSensorFailure`.
    pub(crate) quality: Option<String>,
    /// Fields that it speaks of; none: of all.
    #[serde(default)]
    pub(crate) fields: Vec<String>,
    /// Code of the alarm that it raises.
    pub(crate) alarm: Option<String>,
    pub(crate) level: Option<String>,
}

/// `[report]`: what is passed on.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ReportSpec {
    /// Seconds after which a reading is passed on although no field left its dead band.
    pub(crate) heartbeat_s: Option<u32>,
}

/// `[reply]`: what the device's SDK waits for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplySpec {
    /// Sources, captures of the topic among them, stand in `${…}`.
    pub(crate) topic: String,
    /// Likewise; a value is escaped as within a JSON string.
    pub(crate) payload: String,
    /// Instead of `payload` if nothing of the report could be read; none: no reply then.
    pub(crate) refusal: Option<String>,
}

/// `[[vector]]`: what a payload is to become.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VectorSpec {
    pub(crate) name: String,
    pub(crate) topic: Option<String>,
    pub(crate) payload: Option<String>,
    pub(crate) payload_hex: Option<String>,
    /// RFC 3339.
    pub(crate) received_at: Option<String>,
    /// What the sender is told in the end.
    pub(crate) reply: Option<String>,
    #[serde(default)]
    pub(crate) expect: Vec<toml::Table>,
    /// Reason of quarantine.
    pub(crate) reject: Option<String>,
}
