//! The types of Cayenne LPP as a table, and how one value is read.

use super::{
    super::super::point::{Decimal, Moment},
    Value,
};
use crate::domain::UnixNanos;

/// One type id.
#[derive(Debug)]
pub(super) struct Type {
    pub(super) id: u8,
    pub(super) name: &'static str,
    pub(super) parts: &'static [Part],
}

/// One value of a type.
#[derive(Debug)]
pub(super) struct Part {
    /// Empty where the type has only one.
    pub(super) name: &'static str,
    /// On the wire: 1 to 4, most significant first.
    pub(super) bytes: u8,
    pub(super) form: Form,
    pub(super) unit: Option<&'static str>,
}

/// What the bytes of a value mean.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    /// Raw number times `times` over `10^places`.
    Unsigned { times: i64, places: u8 },
    /// The same of a two's complement.
    Signed { places: u8 },
    /// Seconds since 1970.
    Seconds,
}

const fn part(name: &'static str, bytes: u8, form: Form, unit: Option<&'static str>) -> Part {
    Part {
        name,
        bytes,
        form,
        unit,
    }
}

const fn plain(places: u8) -> Form {
    Form::Unsigned { times: 1, places }
}

const fn signed(places: u8) -> Form {
    Form::Signed { places }
}

macro_rules! types {
    ($($id:literal $name:literal $(($part:literal $bytes:literal $form:expr, $unit:expr))+;)*) => {
        /// All types, by id.
        pub(super) static TYPES: &[Type] = &[$(Type {
            id: $id,
            name: $name,
            parts: &[$(part($part, $bytes, $form, $unit)),+],
        }),*];
    };
}

types! {
    0 "digital_in" ("" 1 plain(0), None);
    1 "digital_out" ("" 1 plain(0), None);
    2 "analog_in" ("" 2 signed(2), None);
    3 "analog_out" ("" 2 signed(2), None);
    100 "generic" ("" 4 plain(0), None);
    101 "illuminance" ("" 2 plain(0), Some("lx"));
    102 "presence" ("" 1 plain(0), None);
    103 "temperature" ("" 2 signed(1), Some("Cel"));
    104 "humidity" ("" 1 Form::Unsigned { times: 5, places: 1 }, Some("%{RH}"));
    113 "accelerometer" ("x" 2 signed(3), Some("[g]")) ("y" 2 signed(3), Some("[g]")) ("z" 2 signed(3), Some("[g]"));
    115 "barometer" ("" 2 plain(1), Some("hPa"));
    116 "voltage" ("" 2 plain(2), Some("V"));
    117 "current" ("" 2 plain(3), Some("A"));
    118 "frequency" ("" 4 plain(0), Some("Hz"));
    120 "percentage" ("" 1 plain(0), Some("%"));
    121 "altitude" ("" 2 signed(0), Some("m"));
    125 "concentration" ("" 2 plain(0), Some("[ppm]"));
    128 "power" ("" 2 plain(0), Some("W"));
    130 "distance" ("" 4 plain(3), Some("m"));
    131 "energy" ("" 4 plain(3), Some("kW.h"));
    132 "direction" ("" 2 plain(0), Some("deg"));
    133 "unixtime" ("" 4 Form::Seconds, None);
    134 "gyrometer" ("x" 2 signed(2), Some("deg/s")) ("y" 2 signed(2), Some("deg/s")) ("z" 2 signed(2), Some("deg/s"));
    135 "colour" ("red" 1 plain(0), None) ("green" 1 plain(0), None) ("blue" 1 plain(0), None);
    136 "gps" ("latitude" 3 signed(4), Some("deg")) ("longitude" 3 signed(4), Some("deg")) ("altitude" 3 signed(2), Some("m"));
    142 "switch" ("" 1 plain(0), None);
}

/// The type of an id.
pub(super) fn find(id: u8) -> Option<&'static Type> {
    let place = TYPES.binary_search_by_key(&id, |kind| kind.id).ok()?;
    TYPES.get(place)
}

impl Part {
    /// The value in as many bytes as the part has.
    pub(super) fn value(&self, raw: &[u8]) -> Value<'static> {
        let number = raw
            .iter()
            .fold(0_i64, |sum, byte| sum << 8 | i64::from(*byte));
        let (mantissa, places) = match self.form {
            Form::Unsigned { times, places } => (number * times, places),
            Form::Signed { places } => {
                let unused = 64 - 8 * u32::from(self.bytes);
                (number << unused >> unused, places)
            }
            Form::Seconds => {
                let nanos = number.unsigned_abs().saturating_mul(1_000_000_000);
                return Value::Time(Moment::Unix(UnixNanos(nanos)));
            }
        };
        match places {
            0 => Value::Whole(mantissa),
            places => Value::Decimal(Decimal::new(mantissa, places)),
        }
    }
}
