//! One record of a pack as it stands, and the base values that the records before it have set.

use std::borrow::Cow;

use super::super::{
    super::{
        payload::Reject,
        point::{Decimal, Value},
    },
    malformed,
    pointer::{Kind, Name, Scalar, Sign, Tree, decimal},
    unsupported,
};
use crate::domain::QuarantineReason;

/// Bits of versions that are known: the ten of RFC 8428, with the feature of secondary units (RFC 9100).
const VERSION_KNOWN: i64 = 0x1F;

/// A record before it is resolved.
#[derive(Debug, Default)]
pub(super) struct Record<'a> {
    pub(super) base_name: Option<Cow<'a, str>>,
    pub(super) base_time: Option<Value<'static>>,
    pub(super) base_unit: Option<Cow<'a, str>>,
    pub(super) base_value: Option<Value<'static>>,
    pub(super) base_sum: Option<Value<'static>>,
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) unit: Option<Cow<'a, str>>,
    pub(super) time: Option<Value<'static>>,
    pub(super) number: Option<Value<'static>>,
    pub(super) sum: Option<Value<'static>>,
    /// Text, boolean or data.
    pub(super) other: Option<Scalar<'a>>,
}

/// The labels of RFC 8428, clause 4 and, for CBOR, table 4.
fn label(name: &Name<'_>) -> Result<Label, Reject> {
    Ok(match name {
        Name::Text(text) => match &**text {
            "bn" => Label::BaseName,
            "bt" => Label::BaseTime,
            "bu" => Label::BaseUnit,
            "bv" => Label::BaseValue,
            "bs" => Label::BaseSum,
            "bver" => Label::BaseVersion,
            "n" => Label::Name,
            "u" => Label::Unit,
            "v" => Label::Number,
            "vs" => Label::Text,
            "vb" => Label::Bool,
            "vd" => Label::Data,
            "s" => Label::Sum,
            "t" => Label::Time,
            other if other.ends_with('_') => return Err(not_understood(other)),
            _ => Label::Unknown,
        },
        Name::Number(number) => match number {
            -1 => Label::BaseVersion,
            -2 => Label::BaseName,
            -3 => Label::BaseTime,
            -4 => Label::BaseUnit,
            -5 => Label::BaseValue,
            -6 => Label::BaseSum,
            0 => Label::Name,
            1 => Label::Unit,
            2 => Label::Number,
            3 => Label::Text,
            4 => Label::Bool,
            5 => Label::Sum,
            6 => Label::Time,
            8 => Label::Data,
            _ => Label::Unknown,
        },
        Name::Other => Label::Unknown,
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Label {
    BaseName,
    BaseTime,
    BaseUnit,
    BaseValue,
    BaseSum,
    BaseVersion,
    Name,
    Unit,
    Number,
    Text,
    Bool,
    Data,
    Sum,
    Time,
    /// To be ignored, as the update time is.
    Unknown,
}

#[cold]
fn not_understood(label: &str) -> Reject {
    let short: String = label.chars().take(40).collect();
    unsupported(format_args!(
        "{short:?} must be understood (RFC 8428, clause 4.4), and is not"
    ))
}

#[cold]
fn wrong(label: Label, wanted: &str) -> Reject {
    Reject::new(
        QuarantineReason::FrameMalformed,
        format!("{label:?} is {wanted}"),
    )
}

impl<'a> Record<'a> {
    /// Reads the record that comes next.
    pub(super) fn read<C: Tree<'a>>(at: &mut C) -> Result<Self, Reject> {
        if at.kind()? != Kind::Object {
            return Err(malformed(0, "a pack is an array of records"));
        }
        let mut record = Self::default();
        let mut left = at.enter()?;
        while at.more(&mut left)? {
            let label = label(&at.name()?)?;
            if label == Label::Unknown {
                at.skip()?;
                continue;
            }
            if at.kind()? != Kind::Scalar {
                return Err(wrong(label, "neither number nor text"));
            }
            record.member(label, at.scalar()?)?;
        }
        if record.number.is_some() && record.other.is_some() {
            let detail = "a record has one value (RFC 8428, clause 4.2)";
            return Err(Reject::new(QuarantineReason::FieldDuplicate, detail));
        }
        Ok(record)
    }

    fn member(&mut self, label: Label, scalar: Scalar<'a>) -> Result<(), Reject> {
        match label {
            Label::BaseName => set(&mut self.base_name, label, text(label, scalar)?),
            Label::BaseTime => set(&mut self.base_time, label, number(label, &scalar)?),
            Label::BaseUnit => set(&mut self.base_unit, label, text(label, scalar)?),
            Label::BaseValue => set(&mut self.base_value, label, number(label, &scalar)?),
            Label::BaseSum => set(&mut self.base_sum, label, number(label, &scalar)?),
            Label::Name => set(&mut self.name, label, text(label, scalar)?),
            Label::Unit => set(&mut self.unit, label, text(label, scalar)?),
            Label::Time => set(&mut self.time, label, number(label, &scalar)?),
            Label::Number => set(&mut self.number, label, number(label, &scalar)?),
            Label::Sum => set(&mut self.sum, label, number(label, &scalar)?),
            Label::Text => {
                let text = match text(label, scalar)? {
                    Cow::Borrowed(text) => Scalar::Plain(Value::Text(text)),
                    Cow::Owned(text) => Scalar::Text(text),
                };
                set(&mut self.other, label, text)
            }
            Label::Bool if !matches!(scalar, Scalar::Plain(Value::Bool(_))) => {
                Err(wrong(label, "no boolean"))
            }
            Label::Bool => set(&mut self.other, label, scalar),
            Label::Data => set(&mut self.other, label, data(scalar)?),
            Label::BaseVersion => version(number(label, &scalar)?),
            Label::Unknown => Ok(()),
        }
    }
}

fn set<T>(place: &mut Option<T>, label: Label, value: T) -> Result<(), Reject> {
    if place.replace(value).is_none() {
        return Ok(());
    }
    let detail = format!("{label:?} stands twice, or beside another value");
    Err(Reject::new(QuarantineReason::FieldDuplicate, detail))
}

fn version(version: Value<'_>) -> Result<(), Reject> {
    match version {
        Value::Whole(version @ 0..) if version & !VERSION_KNOWN == 0 => Ok(()),
        _ => Err(unsupported(format_args!("version {version:?} of SenML"))),
    }
}

fn text<'a>(label: Label, scalar: Scalar<'a>) -> Result<Cow<'a, str>, Reject> {
    scalar.into_text()?.ok_or_else(|| wrong(label, "no text"))
}

fn number(label: Label, scalar: &Scalar<'_>) -> Result<Value<'static>, Reject> {
    match *scalar {
        Scalar::Plain(Value::Whole(whole)) => Ok(Value::Whole(whole)),
        Scalar::Plain(Value::Large(whole)) => Ok(Value::Large(whole)),
        Scalar::Plain(Value::Decimal(decimal)) => Ok(Value::Decimal(decimal)),
        Scalar::Plain(Value::Real(real)) if real.is_finite() => Ok(Value::Real(real)),
        _ => Err(wrong(label, "no finite number")),
    }
}

/// Bytes: as they are in CBOR, in base64 for URLs without padding in JSON.
fn data(scalar: Scalar<'_>) -> Result<Scalar<'_>, Reject> {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    if matches!(scalar, Scalar::Bytes(_) | Scalar::Plain(Value::Bytes(_))) {
        return Ok(scalar);
    }
    let text = text(Label::Data, scalar)?;
    let decoded = URL_SAFE_NO_PAD.decode(text.trim_end_matches('='));
    decoded
        .map(Scalar::Bytes)
        .map_err(|why| wrong(Label::Data, &format!("no base64: {why}")))
}

/// The sum of a number and its base, exact if both are.
pub(super) fn sum(base: Option<Value<'static>>, number: Value<'static>) -> Value<'static> {
    let Some(base) = base else {
        return number;
    };
    exact_sum(base, number).unwrap_or_else(|| Value::Real(real(base) + real(number)))
}

fn exact_sum(a: Value<'static>, b: Value<'static>) -> Option<Value<'static>> {
    let (a, a_places) = parts(a)?;
    let (b, b_places) = parts(b)?;
    let places = a_places.max(b_places);
    let aligned = |mantissa: i128, own: u8| {
        mantissa.checked_mul(10_i128.checked_pow(u32::from(places - own))?)
    };
    let total = aligned(a, a_places)?.checked_add(aligned(b, b_places)?)?;
    let sign = if total < 0 { Sign::Minus } else { Sign::Plus };
    decimal(
        sign,
        u64::try_from(total.unsigned_abs()).ok()?,
        i64::from(places),
    )
}

/// Mantissa and places of an exact number.
fn parts(value: Value<'_>) -> Option<(i128, u8)> {
    match value {
        Value::Whole(whole) => Some((i128::from(whole), 0)),
        Value::Large(whole) => Some((i128::from(whole), 0)),
        Value::Decimal(Decimal { mantissa, places }) => Some((i128::from(mantissa), places)),
        _ => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "the nearest double is wanted")]
fn real(value: Value<'_>) -> f64 {
    match value {
        Value::Real(real) => real,
        other => parts(other).map_or(0.0, |(mantissa, places)| {
            mantissa as f64 / 10_f64.powi(i32::from(places))
        }),
    }
}

/// Seconds as nanoseconds; of a double, which knows no more, to the microsecond. None beyond the year 10000 or so.
pub(super) fn nanos(seconds: Value<'_>) -> Option<i128> {
    match seconds {
        Value::Real(real) if real.abs() < 3e11 => {
            #[expect(clippy::cast_possible_truncation, reason = "below 2^64")]
            let micros = (real * 1e6).round() as i128;
            Some(micros * 1_000)
        }
        other => {
            let (mantissa, places) = parts(other)?;
            let scaled = mantissa.checked_mul(1_000_000_000)?;
            Some(scaled / 10_i128.checked_pow(u32::from(places))?)
        }
    }
}
