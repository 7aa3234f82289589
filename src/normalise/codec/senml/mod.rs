//! `SenML` packs in JSON and CBOR (RFC 8428, RFC 8798, RFC 9100); the first byte tells which.
//!
//! ```text
//! [ {"bn":"urn:dev:ow:10e2:", "bt":1276020076, "bu":"A", "n":"voltage","u":"V","v":120.1}, {"n":"current","t":-5,"v":1.2}, … ]
//!    base name, time, unit: hold until set anew               resolved: bn+n, bt+t, u or bu, bv+v, bs+s
//! ```
//!
//! # Keys
//! | spelled | means |
//! |---|---|
//! | `voltage` | value of the records of this name: `n` without the base name; with [`Options::split`] what stands behind the last separator of both together |
//! | (empty) | value of records that have only a base name |
//! | `voltage#sum` | their sum over time, in the unit times seconds |
//! | `#offset` | seconds between now and the observation, negative in the past: only in records of relative times |
//!
//! Head: `address`, the base name without [`Options::strip_prefix`] and [`Options::strip_suffix`]. Where a pack has
//! several base names, a record ends with each and the head is given anew: it holds for the records that follow.
//!
//! # Points
//! `v` exact where both it and its base are decimal, `vs` text, `vb` boolean, `vd` bytes. Units are those of the registry
//! as UCUM codes. Times from 2^28 s on are absolute and go with each point; all of them are one record. Times below are
//! relative to now, which a codec does not know: each run of one such time is a record, with `#offset` unless that is 0.
//! A profile makes a time of it with `time = { from = "#offset", format = "relative_s" }`.
//! A record without a value takes the base value if it has a name or a time of its own.
//!
//! # Refused
//! A label ending in `_` that is not known (clause 4.4), versions beyond 26, labels that stand twice, two values in one
//! record, units that are not registered (see [`Options::unknown_unit`]). Other unknown labels are ignored, the update time
//! too. Tolerated: names of any characters, integer and text labels in either notation. No quality is known.

mod record;
mod units;
#[cfg(any(test, feature = "harness"))]
mod encode;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use self::record::{Record, nanos, sum};
use super::{
    super::{
        payload::Reject,
        point::{Decimal, Key, Moment, OwnedKey, Point, Sink, Value},
    },
    Codec, Decoded,
    cbor::CborTree,
    malformed,
    pointer::{Json, Kind, Scalar, Tree},
};
use crate::domain::{QuarantineReason, UnixNanos};

/// Times below are relative to now (RFC 8428, clause 4.5.3), nanoseconds.
const ABSOLUTE_FROM: i128 = (1 << 28) * 1_000_000_000;
/// Most bytes of a resolved name: twice the longest device URN in use.
const NAME_BYTES_MAX: usize = 256;
/// Behind a name, for its sum.
const SUM: &str = "#sum";
const OFFSET: &str = "#offset";

/// Beside `kind`.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    /// What stands before the device's id in the base name, such as `urn:dev:ow:`. Default: nothing. A name without it
    /// stays whole.
    pub(crate) strip_prefix: String,
    /// What stands behind it, such as `:`. Default: nothing.
    pub(crate) strip_suffix: String,
    /// Separator at whose last place in the resolved name the address ends and the key begins, for devices whose base name
    /// is not their own. Default: none, and the base name is the address.
    pub(crate) split: Option<String>,
    /// What becomes of a value whose unit nobody registered. Default `reject`: it might be any quantity.
    pub(crate) unknown_unit: UnknownUnit,
}

/// What becomes of a value whose unit nobody registered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UnknownUnit {
    #[default]
    Reject,
    /// It comes without one; the profile knows it.
    Ignore,
}

/// `SenML`.
#[derive(Debug, Clone)]
pub(crate) struct Senml {
    options: Options,
}

impl Senml {
    /// By the options of a profile.
    pub(crate) fn new(options: Options) -> Result<Self, String> {
        if options.split.as_deref() == Some("") {
            return Err("split: a separator is wanted".to_owned());
        }
        Ok(Self { options })
    }

    fn read<'a, S: Sink>(&self, mut at: impl Tree<'a>, sink: &mut S) -> Result<(), Reject> {
        if at.kind()? != Kind::Array {
            return Err(malformed(0, "a pack is an array of records"));
        }
        let mut pack = Pack::new(&self.options, sink);
        let mut left = at.enter()?;
        while at.more(&mut left)? {
            pack.record(Record::read(&mut at)?)?;
        }
        at.end()?;
        pack.end_record()
    }
}

impl Codec for Senml {
    fn key(&mut self, spelled: &str) -> Result<OwnedKey, String> {
        let name = spelled.strip_suffix(SUM).unwrap_or(spelled);
        let is_known = spelled == OFFSET || !name.contains('#') && name.len() <= NAME_BYTES_MAX;
        if is_known {
            return Ok(OwnedKey::Name(spelled.into()));
        }
        Err(format!(
            "{spelled:?}: a record's name is wanted, as in voltage, with #sum behind it for its sum; or #offset"
        ))
    }

    fn decode<'a, S: Sink>(&self, frame: &'a [u8], sink: &mut S) -> Result<Decoded<'a>, Reject> {
        if frame.first().is_some_and(|byte| byte & 0x80 != 0) && !frame.starts_with(b"\xEF\xBB\xBF")
        {
            self.read(CborTree::new(frame), sink)?;
        } else {
            self.read(Json::new(frame)?, sink)?;
        }
        Ok(Decoded::Whole)
    }
}

/// A pack in work: what its records have set so far.
struct Pack<'p, 'a, S> {
    options: &'p Options,
    sink: &'p mut S,
    base_name: Cow<'a, str>,
    base_time: i128,
    base_unit: Option<Cow<'a, str>>,
    base_value: Option<Value<'static>>,
    base_sum: Option<Value<'static>>,
    /// The address last given.
    address: String,
    /// A name put together.
    name: String,
    /// Relative time of the record in work.
    offset: Option<i128>,
    has_points: bool,
}

impl<'p, 'a, S: Sink> Pack<'p, 'a, S> {
    fn new(options: &'p Options, sink: &'p mut S) -> Self {
        Self {
            options,
            sink,
            base_name: Cow::Borrowed(""),
            base_time: 0,
            base_unit: None,
            base_value: None,
            base_sum: None,
            address: String::new(),
            name: String::new(),
            offset: None,
            has_points: false,
        }
    }

    fn record(&mut self, record: Record<'a>) -> Result<(), Reject> {
        let is_own = record.name.is_some() || record.time.is_some();
        self.base_name = record
            .base_name
            .unwrap_or_else(|| std::mem::take(&mut self.base_name));
        if let Some(time) = record.base_time {
            self.base_time = seconds(time)?;
        }
        self.base_unit = record.base_unit.or_else(|| self.base_unit.take());
        self.base_value = record.base_value.or(self.base_value);
        self.base_sum = record.base_sum.or(self.base_sum);

        let number = record.number.map(|number| sum(self.base_value, number));
        let is_bare = number.is_none() && record.other.is_none() && record.sum.is_none();
        let number = number.or_else(|| self.base_value.filter(|_| is_own && is_bare));
        let total = match record.sum {
            Some(total) => Some(sum(self.base_sum, total)),
            None => self.base_sum.filter(|_| is_own || !is_bare),
        };
        if number.is_none() && record.other.is_none() && total.is_none() {
            return Ok(());
        }
        let relative = record.time.map_or(Ok(0), seconds)?;
        let time = self.time(self.base_time.saturating_add(relative))?;
        self.named(record.name.as_deref().unwrap_or_default())?;
        let unit = record.unit.as_deref().or(self.base_unit.as_deref());
        let unit = match (number, unit) {
            (Some(_), Some(unit)) => self.unit(unit)?,
            _ => None,
        };
        self.put(number, (unit, time), record.other, total)
    }

    /// The time of a point; relative ones part the records instead.
    fn time(&mut self, nanos: i128) -> Result<Option<Moment>, Reject> {
        let offset = (nanos < ABSOLUTE_FROM).then_some(nanos);
        if offset != self.offset {
            self.end_record()?;
            self.offset = offset;
        }
        if offset.is_some() {
            return Ok(None);
        }
        let nanos = u64::try_from(nanos).map_err(|_beyond| no_time())?;
        Ok(Some(Moment::Unix(UnixNanos(nanos))))
    }

    /// Resolves a name: gives its address if that is new and leaves the key.
    fn named(&mut self, name: &str) -> Result<(), Reject> {
        if self.base_name.len() + name.len() > NAME_BYTES_MAX {
            return Err(malformed(
                0,
                format_args!("a name of more than {NAME_BYTES_MAX} bytes"),
            ));
        }
        self.name.clear();
        let Some(split) = &self.options.split else {
            self.name.push_str(name);
            let base = std::mem::take(&mut self.base_name);
            let given = self.addressed(&base);
            self.base_name = base;
            return given;
        };
        self.name.push_str(&self.base_name);
        self.name.push_str(name);
        let Some((address, key)) = self.name.rsplit_once(split.as_str()) else {
            return Ok(());
        };
        let (address, key) = (address.to_owned(), key.len());
        self.name.drain(..self.name.len() - key);
        self.addressed(&address)
    }

    fn addressed(&mut self, name: &str) -> Result<(), Reject> {
        let Options {
            strip_prefix,
            strip_suffix,
            ..
        } = self.options;
        let address = name.strip_prefix(strip_prefix.as_str()).unwrap_or(name);
        let address = address
            .strip_suffix(strip_suffix.as_str())
            .unwrap_or(address);
        if address == self.address || address.is_empty() {
            return Ok(());
        }
        self.end_record()?;
        address.clone_into(&mut self.address);
        self.sink.head(Key::Name("address"), Value::Text(address))
    }

    fn unit(&self, unit: &str) -> Result<Option<&'static str>, Reject> {
        let ucum = units::ucum(unit);
        if ucum.is_some() || self.options.unknown_unit == UnknownUnit::Ignore {
            return Ok(ucum);
        }
        let short: String = unit.chars().take(40).collect();
        let detail = format!("{:?}: {short:?} is no registered unit of SenML", self.name);
        Err(Reject::new(QuarantineReason::Unit, detail))
    }

    fn put(
        &mut self,
        number: Option<Value<'static>>,
        (unit, time): (Option<&'static str>, Option<Moment>),
        other: Option<Scalar<'a>>,
        total: Option<Value<'static>>,
    ) -> Result<(), Reject> {
        self.has_points = true;
        if let Some(number) = number {
            let point = timed(&self.name, number, time);
            self.sink.point(Point { unit, ..point })?;
        }
        if let Some(other) = other {
            other.show(|value| self.sink.point(timed(&self.name, value, time)))?;
        }
        if let Some(total) = total {
            self.name.push_str(SUM);
            self.sink.point(timed(&self.name, total, time))?;
        }
        Ok(())
    }

    fn end_record(&mut self) -> Result<(), Reject> {
        if !std::mem::take(&mut self.has_points) {
            return Ok(());
        }
        if let Some(offset) = self.offset.filter(|offset| *offset != 0) {
            let mantissa = i64::try_from(offset).map_err(|_beyond| no_time())?;
            let seconds = Value::Decimal(Decimal::new(mantissa, 9));
            self.sink
                .point(Point::new(Key::Name(OFFSET), seconds).unit("s"))?;
        }
        self.sink.end_record()
    }
}

const fn timed<'v>(name: &'v str, value: Value<'v>, time: Option<Moment>) -> Point<'v> {
    Point {
        time,
        ..Point::new(Key::Name(name), value)
    }
}

fn seconds(time: Value<'_>) -> Result<i128, Reject> {
    nanos(time).ok_or_else(no_time)
}

#[cold]
fn no_time() -> Reject {
    let detail = "a time that is none from 1970 to 2554, nor near now";
    Reject::new(QuarantineReason::ObservedAt, detail)
}
