//! The rules of a class declaration, and what a declaration that keeps them becomes. A rule that is broken is named
//! with the file, the line and the message or field that breaks it, so that whoever wrote the file can mend it.

use std::fmt;

use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, EnumDescriptor, ExtensionDescriptor,
    FieldDescriptor, FileDescriptor, Kind, MessageDescriptor, Syntax,
};
use thiserror::Error;

use super::{
    class::{
        AlarmRule, Class, ClassOptions, EnumCode, Field, FieldKind, PropertyOptions,
        ThresholdOptions,
    },
    memory::{Beyond, Threshold},
    plan::{FIELDS_MAX, Form, Integer, Plan},
    ucum::{self, UnitError},
};
use crate::domain::{ClassId, IdentityError, Lane};

/// A rule of class declarations that is broken.
#[derive(Debug, Clone, PartialEq, Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum Rule {
    #[error("`id` is no class id: {0}")]
    Id(IdentityError),
    #[error("class id {id:?} is taken by {by} already")]
    DuplicateId { id: String, by: String },
    #[error("`lane` is missing: one of CLASS_LANE_ALARM, CLASS_LANE_TELEMETRY, CLASS_LANE_BULK")]
    Lane,
    #[error("`interval_s` is missing or 0: the nominal seconds between two messages of a device")]
    Interval,
    #[error("a class is written in proto3")]
    Syntax,
    #[error("a class has 1 to {FIELDS_MAX} fields, this one has {0}")]
    Fields(usize),
    #[error("the field is not `optional`, so absent and zero could not be told apart")]
    NotOptional,
    #[error("{0} fields are not supported in a class")]
    Kind(&'static str),
    #[error("the name is taken: `observed_at` is the time of a reading, and a name may stand once")]
    Name,
    #[error("unit {unit:?} is no UCUM unit: {why}")]
    Unit { unit: String, why: UnitError },
    #[error("min {min} is greater than max {max}")]
    Range { min: f64, max: f64 },
    #[error("a unit or a plausible range makes no sense on {0}")]
    Unitless(&'static str),
    #[error("enum {0} has no zero value whose name ends in _UNSPECIFIED")]
    EnumZero(String),
    #[error("enum {0} is not closed: it has no value but the zero one")]
    EnumEmpty(String),
    #[error("enum value {0} has no `code`, or another value has the same")]
    EnumCode(String),
    #[error("threshold {code:?}: {why}")]
    Threshold { code: String, why: &'static str },
    #[error("`alarms_of`: {0}")]
    AlarmsOf(&'static str),
}

/// Where in which file a rule is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file as it would be imported.
    pub(super) file: String,
    /// Line, from 1; none where the file's text is not at hand.
    pub(super) line: Option<usize>,
    /// Message, or message and field.
    pub(super) subject: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.subject),
            None => write!(f, "{}: {}", self.file, self.subject),
        }
    }
}

type Broken = (Place, Rule);

/// The options of `sensegate/classes/v1/options.proto`.
#[derive(Debug)]
pub(super) struct Options {
    class: ExtensionDescriptor,
    property: ExtensionDescriptor,
    code: ExtensionDescriptor,
}

impl Options {
    /// The options as the pool declares them; none if it does not.
    pub(super) fn of(pool: &DescriptorPool) -> Option<Self> {
        let named =
            |name: &str| pool.get_extension_by_name(&format!("sensegate.classes.v1.{name}"));
        Some(Self {
            class: named("class")?,
            property: named("property")?,
            code: named("code")?,
        })
    }

    /// The class that a message declares; none for a message without the `class` option.
    pub(super) fn class(
        &self,
        message: &MessageDescriptor,
        index: usize,
    ) -> Result<Option<Class>, Broken> {
        let Some(options) = option::<ClassOptions>(&message.options(), &self.class) else {
            return Ok(None);
        };
        let broken = |rule| (message_place(message), rule);
        ClassId::new(&options.id).map_err(|why| broken(Rule::Id(why)))?;
        let lane = u8::try_from(options.lane)
            .ok()
            .and_then(Lane::from_number)
            .ok_or_else(|| broken(Rule::Lane))?;
        if options.interval_s == 0 {
            return Err(broken(Rule::Interval));
        }
        if message.parent_file().syntax() != Syntax::Proto3 {
            return Err(broken(Rule::Syntax));
        }
        let count = message.fields().len();
        if !(1..=FIELDS_MAX).contains(&count) {
            return Err(broken(Rule::Fields(count)));
        }
        let (fields, forms) = self.fields(message)?;
        let plan = Plan::new(&options.id, &fields, forms);
        Ok(Some(Class {
            index,
            options,
            lane,
            fields,
            descriptor: message.clone(),
            plan,
        }))
    }

    #[expect(clippy::type_complexity, reason = "two lists side by side, here only")]
    fn fields(
        &self,
        message: &MessageDescriptor,
    ) -> Result<(Vec<Field>, Vec<(Form, String)>), Broken> {
        let mut descriptors: Vec<FieldDescriptor> = message.fields().collect();
        descriptors.sort_by_key(FieldDescriptor::number);
        let mut fields: Vec<Field> = Vec::with_capacity(descriptors.len());
        let mut forms = Vec::with_capacity(descriptors.len());
        for descriptor in descriptors {
            let (field, form) = self
                .field(&descriptor)
                .map_err(|rule| (field_place(message, &descriptor), rule))?;
            let clashes = |other: &Field| {
                [&other.name, &other.json_name].contains(&&field.name)
                    || [&other.name, &other.json_name].contains(&&field.json_name)
            };
            if fields.iter().any(clashes) {
                return Err((field_place(message, &descriptor), Rule::Name));
            }
            fields.push(field);
            forms.push(form);
        }
        Ok((fields, forms))
    }

    fn field(&self, descriptor: &FieldDescriptor) -> Result<(Field, (Form, String)), Rule> {
        if descriptor.is_map() {
            return Err(Rule::Kind("map"));
        }
        if descriptor.cardinality() == Cardinality::Repeated {
            return Err(Rule::Kind("repeated"));
        }
        if descriptor
            .containing_oneof()
            .is_some_and(|oneof| !oneof.is_synthetic())
        {
            return Err(Rule::Kind("oneof"));
        }
        let (kind, form, zero) = self.kind(&descriptor.kind())?;
        if !descriptor.supports_presence() {
            return Err(Rule::NotOptional);
        }
        if matches!(descriptor.name(), "observed_at" | "observedAt")
            || descriptor.json_name() == "observedAt"
        {
            return Err(Rule::Name);
        }
        let property =
            option::<PropertyOptions>(&descriptor.options(), &self.property).unwrap_or_default();
        check_property(&property, &kind)?;
        let thresholds = thresholds(&property.thresholds, &kind, descriptor.number())?;
        let field = Field {
            name: descriptor.name().to_owned(),
            json_name: descriptor.json_name().to_owned(),
            name_zh: property.name_zh,
            name_en: property.name_en,
            number: descriptor.number(),
            kind,
            unit: property.unit,
            min: property.min,
            max: property.max,
            counter: property.counter,
            thresholds,
        };
        Ok((field, (form, zero)))
    }

    fn kind(&self, kind: &Kind) -> Result<(FieldKind, Form, String), Rule> {
        let signed = |form| (FieldKind::Signed, Form::Integer(form), String::new());
        let unsigned = |form| (FieldKind::Unsigned, Form::Integer(form), String::new());
        Ok(match kind {
            Kind::Double => (FieldKind::Double, Form::Double, String::new()),
            Kind::Float => (FieldKind::Float, Form::Float, String::new()),
            Kind::Int32 => signed(Integer::Int32),
            Kind::Int64 => signed(Integer::Int64),
            Kind::Sint32 => signed(Integer::Sint32),
            Kind::Sint64 => signed(Integer::Sint64),
            Kind::Sfixed32 => signed(Integer::Sfixed32),
            Kind::Sfixed64 => signed(Integer::Sfixed64),
            Kind::Uint32 => unsigned(Integer::Uint32),
            Kind::Uint64 => unsigned(Integer::Uint64),
            Kind::Fixed32 => unsigned(Integer::Fixed32),
            Kind::Fixed64 => unsigned(Integer::Fixed64),
            Kind::Bool => (FieldKind::Bool, Form::Bool, String::new()),
            Kind::String => (FieldKind::Text, Form::Text, String::new()),
            Kind::Bytes => return Err(Rule::Kind("bytes")),
            Kind::Message(_) => return Err(Rule::Kind("message")),
            Kind::Enum(descriptor) => {
                let (codes, zero) = self.codes(descriptor)?;
                (FieldKind::Enum(codes), Form::Enum, zero)
            }
        })
    }

    /// The codes of a closed enum and the name of its zero value.
    fn codes(&self, descriptor: &EnumDescriptor) -> Result<(Vec<EnumCode>, String), Rule> {
        let zero = descriptor
            .values()
            .find(|value| value.number() == 0 && value.name().ends_with("_UNSPECIFIED"))
            .ok_or_else(|| Rule::EnumZero(descriptor.name().to_owned()))?;
        let mut codes: Vec<EnumCode> = Vec::new();
        for value in descriptor.values().filter(|value| value.number() != 0) {
            let options = value.options();
            let code = match &*options.get_extension(&self.code) {
                prost_reflect::Value::String(code) => code.clone(),
                _ => String::new(),
            };
            if code.is_empty() || codes.iter().any(|other| other.code == code) {
                return Err(Rule::EnumCode(value.name().to_owned()));
            }
            codes.push(EnumCode {
                code,
                name: value.name().to_owned(),
                number: value.number(),
            });
        }
        if codes.is_empty() {
            return Err(Rule::EnumEmpty(descriptor.name().to_owned()));
        }
        Ok((codes, zero.name().to_owned()))
    }
}

fn check_property(property: &PropertyOptions, kind: &FieldKind) -> Result<(), Rule> {
    let measured = matches!(
        kind,
        FieldKind::Double | FieldKind::Float | FieldKind::Signed | FieldKind::Unsigned
    );
    let ranged = property.min.is_some() || property.max.is_some();
    if !measured && (ranged || property.counter || !property.unit.is_empty()) {
        return Err(Rule::Unitless(kind.name()));
    }
    if !property.unit.is_empty() {
        ucum::validate(&property.unit).map_err(|why| Rule::Unit {
            unit: property.unit.clone(),
            why,
        })?;
    }
    match (property.min, property.max) {
        (Some(min), Some(max)) if min > max || min.is_nan() || max.is_nan() => {
            Err(Rule::Range { min, max })
        }
        _ => Ok(()),
    }
}

pub(super) fn thresholds(
    options: &[ThresholdOptions],
    kind: &FieldKind,
    field_number: u32,
) -> Result<Vec<AlarmRule>, Rule> {
    let mut rules: Vec<AlarmRule> = Vec::new();
    for (place, option) in options.iter().enumerate() {
        let broken = |why| Rule::Threshold {
            code: option.code.clone(),
            why,
        };
        if option.code.is_empty() || rules.iter().any(|rule| rule.code == option.code) {
            return Err(broken("a code is wanted, and once"));
        }
        if !(1..=4).contains(&option.level) {
            return Err(broken("a level is wanted"));
        }
        if !option.hysteresis.is_finite() || option.hysteresis < 0.0 {
            return Err(broken("a hysteresis is 0 or more"));
        }
        let beyond = match (option.above, option.below, &*option.is) {
            (Some(limit), None, []) if limit.is_finite() => Beyond::Above(limit),
            (None, Some(limit), []) if limit.is_finite() => Beyond::Below(limit),
            (None, None, [_, ..]) => {
                let values = option.is.iter().map(|code| value_of(code, kind));
                let values: Option<Box<[f64]>> = values.collect();
                Beyond::Is(values.ok_or_else(|| broken("`is` names what the field does not have"))?)
            }
            _ => return Err(broken("one of above, below and is is wanted")),
        };
        let is_number = !matches!(kind, FieldKind::Bool | FieldKind::Enum(_) | FieldKind::Text);
        if is_number == matches!(beyond, Beyond::Is(_)) {
            return Err(broken(
                "numbers are above or below, codes and truth values are one of `is`",
            ));
        }
        // Fields have at most a handful of thresholds, classes at most 256 fields.
        let id = u64::from(field_number) * 64 + place as u64;
        rules.push(AlarmRule {
            code: option.code.clone(),
            level: option.level,
            threshold: Threshold {
                id: u16::try_from(id).map_err(|_large| broken("too many thresholds"))?,
                beyond,
                hysteresis: option.hysteresis,
                hold_ns: u64::from(option.hold_s) * 1_000_000_000,
            },
        });
    }
    Ok(rules)
}

fn value_of(code: &str, kind: &FieldKind) -> Option<f64> {
    match kind {
        FieldKind::Bool => match code {
            "true" => Some(1.0),
            "false" => Some(0.0),
            _ => None,
        },
        FieldKind::Enum(codes) => {
            let known = codes.iter().find(|known| known.code == code)?;
            Some(f64::from(known.number))
        }
        _ => None,
    }
}

/// An option, decoded; none where it is not set.
pub(super) fn option<T: prost::Message + Default>(
    options: &DynamicMessage,
    extension: &ExtensionDescriptor,
) -> Option<T> {
    if !options.has_extension(extension) {
        return None;
    }
    match &*options.get_extension(extension) {
        prost_reflect::Value::Message(message) => message.transcode_to().ok(),
        _ => None,
    }
}

pub(super) fn message_place(message: &MessageDescriptor) -> Place {
    place(
        &message.parent_file(),
        message.path(),
        message.name().to_owned(),
    )
}

pub(super) fn field_place(message: &MessageDescriptor, field: &FieldDescriptor) -> Place {
    let subject = format!("{}.{}", message.name(), field.name());
    place(&message.parent_file(), field.path(), subject)
}

fn place(file: &FileDescriptor, path: &[i32], subject: String) -> Place {
    let line = file
        .file_descriptor_proto()
        .source_code_info
        .iter()
        .flat_map(|info| &info.location)
        .find(|location| location.path == path)
        .and_then(|location| usize::try_from(*location.span.first()?).ok())
        .map(|line| line + 1);
    Place {
        file: file.name().to_owned(),
        line,
        subject,
    }
}
