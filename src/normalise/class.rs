//! A device class as the rest of the gateway sees it: names, lane, interval, fields with units and ranges. Built by
//! `rules` from the class's protobuf descriptor, immutable from then on.

use prost_reflect::MessageDescriptor;

use super::{
    memory::{Beyond, Threshold},
    plan::Plan,
};
use crate::domain::Lane;

/// A device class in force.
#[derive(Debug)]
pub struct Class {
    pub(super) index: usize,
    pub(super) options: ClassOptions,
    pub(super) lane: Lane,
    pub(super) fields: Vec<Field>,
    pub(super) descriptor: MessageDescriptor,
    pub(super) plan: Plan,
}

impl Class {
    /// The id in topics and in readings, for example `flue_gas_cems`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.options.id
    }

    /// The class's place in its [`super::Classes`], from 0 without holes.
    #[must_use]
    pub const fn index(&self) -> usize {
        self.index
    }

    /// Chinese name.
    #[must_use]
    pub fn name_zh(&self) -> &str {
        &self.options.name_zh
    }

    /// English name.
    #[must_use]
    pub fn name_en(&self) -> &str {
        &self.options.name_en
    }

    /// Id of the domain, for example `environment`.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.options.domain
    }

    /// Chinese name of the domain.
    #[must_use]
    pub fn domain_zh(&self) -> &str {
        &self.options.domain_zh
    }

    /// The lane that the class's readings take.
    #[must_use]
    pub const fn lane(&self) -> Lane {
        self.lane
    }

    /// Nominal time between two messages of one device, seconds.
    #[must_use]
    pub const fn interval_s(&self) -> u32 {
        self.options.interval_s
    }

    /// Devices of this class in the nominal city.
    #[must_use]
    pub const fn nominal_count(&self) -> u32 {
        self.options.nominal_count
    }

    /// What vendors of this class mostly send, for example `hj212`.
    #[must_use]
    pub fn format(&self) -> &str {
        &self.options.format
    }

    /// Pointers to standards; empty if none is known.
    #[must_use]
    pub fn standards(&self) -> &[String] {
        &self.options.standards
    }

    /// The fields, ascending by number.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Full name of the class's message, for example `sensegate.classes.v1.FlueGasCems`.
    #[must_use]
    pub fn message_name(&self) -> &str {
        self.descriptor.full_name()
    }

    /// The .proto file that declares the class, as it would be imported.
    #[must_use]
    pub fn file_name(&self) -> String {
        self.descriptor.parent_file().name().to_owned()
    }
}

/// A property of a class.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Name in the .proto file and in canonical JSON, for example `tilt_angle`.
    pub name: String,
    /// The name's other form in canonical JSON, for example `tiltAngle`.
    pub json_name: String,
    /// Chinese name; empty where none is given.
    pub name_zh: String,
    /// English name; empty where the field's own name says it.
    pub name_en: String,
    /// Field number in the class's message.
    pub number: u32,
    /// What values it takes.
    pub kind: FieldKind,
    /// Unit, a UCUM code; empty where a unit makes no sense.
    pub unit: String,
    /// Lower end of the plausible range, included, in the field's unit.
    pub min: Option<f64>,
    /// Upper end of the plausible range, included, in the field's unit.
    pub max: Option<f64>,
    /// True for a value that only grows until it wraps or its device is replaced.
    pub counter: bool,
    /// Values beyond which an alarm is up.
    pub(super) thresholds: Vec<AlarmRule>,
}

impl Field {
    /// The alarms that the field's values raise, for listings.
    pub fn alarms(&self) -> impl Iterator<Item = Alarm<'_>> {
        self.thresholds.iter().map(|rule| {
            let Threshold {
                beyond,
                hysteresis,
                hold_ns,
                ..
            } = &rule.threshold;
            let (raised, cleared) = match beyond {
                Beyond::Above(limit) => (
                    format!("≥ {limit}"),
                    format!("< {}", shown(limit - hysteresis)),
                ),
                Beyond::Below(limit) => (
                    format!("≤ {limit}"),
                    format!("> {}", shown(limit + hysteresis)),
                ),
                Beyond::Is(numbers) => (self.spelled(numbers), "any other".to_owned()),
            };
            Alarm {
                code: &rule.code,
                level: match rule.level {
                    1 => "notice",
                    2 => "warning",
                    3 => "serious",
                    _ => "critical",
                },
                raised,
                cleared,
                hold_s: hold_ns / 1_000_000_000,
            }
        })
    }

    /// Codes of an enum or truth values.
    fn spelled(&self, numbers: &[f64]) -> String {
        let spelled = numbers.iter().map(|number| match &self.kind {
            FieldKind::Enum(codes) => {
                let mut codes = codes.iter();
                let known = codes.find(|code| f64::from(code.number).total_cmp(number).is_eq());
                known.map_or("", |code| code.code.as_str())
            }
            _ if *number > 0.0 => "true",
            _ => "false",
        });
        spelled.collect::<Vec<&str>>().join(", ")
    }
}

/// A number without the last digits, which sums of decimals do not keep.
fn shown(number: f64) -> f64 {
    (number * 1e9).round() / 1e9
}

/// An alarm that values of a field raise, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm<'a> {
    /// Its code.
    pub code: &'a str,
    /// Its level.
    pub level: &'static str,
    /// Values that raise it, in the field's unit.
    pub raised: String,
    /// Values that clear it.
    pub cleared: String,
    /// How long values have to be so before it is raised, seconds.
    pub hold_s: u64,
}

/// A threshold with the alarm that it raises.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AlarmRule {
    pub(super) code: String,
    /// Number of `sensegate.platform.v1.AlarmLevel`.
    pub(super) level: i32,
    pub(super) threshold: Threshold,
}

/// What values a field takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldKind {
    /// A 64-bit floating point number.
    Double,
    /// A 32-bit floating point number.
    Float,
    /// An integer that may be negative (`sint64`, `int64`, … or their 32-bit forms).
    Signed,
    /// An integer that is never negative (`uint64`, `fixed64`, … or their 32-bit forms).
    Unsigned,
    /// True or false.
    Bool,
    /// Text, UTF-8.
    Text,
    /// One of these codes; the zero value, which says nothing, is not among them.
    Enum(Vec<EnumCode>),
}

impl FieldKind {
    /// A word for listings.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Double | Self::Float => "number",
            Self::Signed | Self::Unsigned => "integer",
            Self::Bool => "boolean",
            Self::Text => "text",
            Self::Enum(_) => "code",
        }
    }
}

/// A value of a closed enum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnumCode {
    /// The code in canonical JSON, for example `open`.
    pub code: String,
    /// The value's name in the .proto file, for example `COVER_STATE_OPEN`.
    pub name: String,
    /// The number on the wire.
    pub number: i32,
}

/// `sensegate.classes.v1.ClassOptions`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct ClassOptions {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(string, tag = "2")]
    pub(super) name_zh: String,
    #[prost(string, tag = "3")]
    pub(super) name_en: String,
    #[prost(string, tag = "4")]
    pub(super) domain: String,
    #[prost(string, tag = "5")]
    pub(super) domain_zh: String,
    #[prost(int32, tag = "6")]
    pub(super) lane: i32,
    #[prost(uint32, tag = "7")]
    pub(super) interval_s: u32,
    #[prost(uint32, tag = "8")]
    pub(super) nominal_count: u32,
    #[prost(string, tag = "9")]
    pub(super) format: String,
    #[prost(string, repeated, tag = "10")]
    pub(super) standards: Vec<String>,
}

/// `sensegate.classes.v1.PropertyOptions`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PropertyOptions {
    #[prost(message, repeated, tag = "7")]
    pub(super) thresholds: Vec<ThresholdOptions>,
    #[prost(string, tag = "1")]
    pub(super) unit: String,
    #[prost(double, optional, tag = "2")]
    pub(super) min: Option<f64>,
    #[prost(double, optional, tag = "3")]
    pub(super) max: Option<f64>,
    #[prost(bool, tag = "4")]
    pub(super) counter: bool,
    #[prost(string, tag = "5")]
    pub(super) name_zh: String,
    #[prost(string, tag = "6")]
    pub(super) name_en: String,
}

/// `sensegate.classes.v1.Threshold`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ThresholdOptions {
    #[prost(string, tag = "1")]
    pub(super) code: String,
    #[prost(int32, tag = "2")]
    pub(super) level: i32,
    #[prost(double, optional, tag = "3")]
    pub(super) above: Option<f64>,
    #[prost(double, optional, tag = "4")]
    pub(super) below: Option<f64>,
    #[prost(string, repeated, tag = "5")]
    pub(super) is: Vec<String>,
    #[prost(double, tag = "6")]
    pub(super) hysteresis: f64,
    #[prost(uint32, tag = "7")]
    pub(super) hold_s: u32,
}
