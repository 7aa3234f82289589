//! The way back: reports of real-time data (C0), a frame for each kind.

use super::{
    super::{
        super::point::{OwnedKey, Value},
        encoding::{Encoder, Report, to_bcd},
    },
    END, Flow, MARK, Szy206, Tp, Words, crc8,
    kinds::{self, Form, Top},
};

/// What a simulated device says of its Tp's delay, minutes.
const DELAY: u8 = 10;

fn mantissa(value: Value<'_>, places: u8) -> Result<i64, String> {
    let (mantissa, have) = match value {
        Value::Bool(value) => (i64::from(value), 0),
        Value::Whole(value) => (value, 0),
        Value::Decimal(value) => (value.mantissa, value.places),
        Value::Real(value) => {
            let scaled = (value * 10_f64.powi(i32::from(places))).round();
            let digits = format!("{scaled:.0}");
            (
                digits
                    .parse()
                    .map_err(|error| format!("{value}: {error}"))?,
                places,
            )
        }
        other => return Err(format!("{other:?} is no number that SZY 206 can carry")),
    };
    let more = places
        .checked_sub(have)
        .ok_or_else(|| format!("{value:?} has more than {places} decimals"))?;
    let scaled = 10_i64
        .checked_pow(u32::from(more))
        .and_then(|scale| mantissa.checked_mul(scale));
    scaled.ok_or_else(|| format!("{value:?} does not fit"))
}

fn digits(value: Value<'_>, form: Form, top: u8) -> Result<Vec<u8>, String> {
    if value == Value::Missing {
        return Ok(vec![0xAA; form.width]);
    }
    let number = mantissa(value, form.places)?;
    let (mut rest, mut bytes) = (number.unsigned_abs(), Vec::new());
    for _ in 0..form.width {
        bytes.push(to_bcd(u8::try_from(rest % 100).unwrap_or(0)));
        rest /= 100;
    }
    let has_top = bytes.last().is_some_and(|last| *last > 0x0F);
    let wants_top = form.top != Top::Digit;
    if rest > 0
        || has_top && wants_top
        || number < 0 && matches!(form.top, Top::Digit | Top::Direction)
    {
        return Err(format!("{value:?} does not fit into {} bytes", form.width));
    }
    let sign = match (form.top, number < 0) {
        (Top::Sign, true) => 0xF,
        (Top::SignAndUnit, true) => 0xC,
        (Top::Direction, _) => top,
        _ => 0,
    };
    if let Some(last) = bytes.last_mut() {
        *last |= sign << 4;
    }
    Ok(bytes)
}

/// The values of a report by kind and index.
struct Values<'a> {
    all: Vec<(u64, u64, Value<'a>)>,
}

impl<'a> Values<'a> {
    fn of(&self, kind: u64) -> Vec<(u64, Value<'a>)> {
        let of_kind = self.all.iter().filter(|(of, ..)| *of == kind);
        let mut values: Vec<_> = of_kind.map(|(_, index, value)| (*index, *value)).collect();
        values.sort_by_key(|(index, _)| *index);
        values
    }

    fn at(&self, kind: u64, index: u64) -> Value<'a> {
        let found = self
            .all
            .iter()
            .find(|(of, at, _)| (*of, *at) == (kind, index));
        found.map_or(Value::Missing, |(.., value)| *value)
    }

    fn word(&self, kind: u64, words: Words) -> Result<[u8; 2], String> {
        let word = match self.at(kind, 0) {
            Value::Missing => 0,
            value => u16::try_from(mantissa(value, 0)?).map_err(|error| error.to_string())?,
        };
        Ok(match words {
            Words::LowFirst => word.to_le_bytes(),
            Words::HighFirst => word.to_be_bytes(),
        })
    }

    /// The bytes of a kind, every index up to its last.
    fn bytes(&self, kind: u64, flow: Flow) -> Result<Vec<u8>, String> {
        let Some(form) = kinds::form(kind) else {
            return Err(format!("kind {kind} cannot be written"));
        };
        let mut bytes = Vec::new();
        if kind == kinds::QUALITY {
            let values = self.of(kind);
            let map = values
                .iter()
                .fold(0_u64, |map, (bit, _)| map | 1 << (bit % 40));
            bytes.extend(map.to_le_bytes().iter().take(5));
            for (_, value) in values {
                bytes.extend(digits(value, form, 0)?);
            }
            return Ok(bytes);
        }
        let volumes = if kind == kinds::FLOW {
            self.of(kinds::VOLUME)
        } else {
            Vec::new()
        };
        let last = self
            .of(kind)
            .iter()
            .chain(&volumes)
            .map(|(index, _)| *index)
            .max();
        // Rates of an even number would be read as rates and volumes.
        let is_paired = kind == kinds::FLOW && last.is_some_and(|last| last % 2 == 1);
        let is_paired = is_paired && flow == Flow::Auto || !volumes.is_empty();
        for index in 0..=last.unwrap_or(0) {
            let top = match self.at(kinds::WIND_DIRECTION, index) {
                Value::Missing => 0,
                value => u8::try_from(mantissa(value, 0)?).map_err(|error| error.to_string())?,
            };
            if top > 0xF {
                return Err(format!("wind direction {top} does not fit into a digit"));
            }
            bytes.extend(digits(self.at(kind, index), form, top)?);
            if let Some(form) = kinds::form(kinds::VOLUME).filter(|_| is_paired) {
                bytes.extend(digits(self.at(kinds::VOLUME, index), form, 0)?);
            }
        }
        Ok(bytes)
    }
}

impl Encoder for Szy206 {
    fn encode(&self, report: &Report<'_>) -> Result<Vec<u8>, String> {
        let address = u64::from_str_radix(report.address, 16)
            .ok()
            .filter(|_| report.address.len() == 10)
            .ok_or_else(|| format!("{:?}: ten hexadecimal digits are wanted", report.address))?;
        let mut values = Values { all: Vec::new() };
        for (key, value) in report.points {
            let OwnedKey::Code(code) = key else {
                return Err("SZY 206 writes its heads of itself".to_owned());
            };
            values.all.push((code >> 8, code & 0xFF, *value));
        }
        let mut kinds: Vec<_> = values.all.iter().map(|(kind, ..)| *kind).collect();
        for kind in &mut kinds {
            *kind = match *kind {
                kinds::VOLUME => kinds::FLOW,
                kinds::WIND_DIRECTION => 8,
                kind => kind,
            };
        }
        kinds.retain(|kind| !matches!(*kind, kinds::ALARM | kinds::STATE));
        kinds.sort_unstable();
        kinds.dedup();
        if kinds.is_empty() {
            kinds.push(kinds::ALARM_KIND);
        }
        let at = report.calendar();
        let mut payload = Vec::new();
        for kind in kinds {
            let mut body = vec![0xB0 | u8::try_from(kind).map_err(|error| error.to_string())?];
            body.extend(address.to_be_bytes().iter().skip(3));
            body.push(0xC0);
            if kind != kinds::ALARM_KIND {
                body.extend(values.bytes(kind, self.options.flow)?);
            }
            body.extend(values.word(kinds::ALARM, self.options.words)?);
            body.extend(values.word(kinds::STATE, self.options.words)?);
            body.extend([at.second, at.minute, at.hour, at.day].map(to_bcd));
            if self.options.tp == Tp::Date {
                let year = u8::try_from(at.year % 100).unwrap_or(0);
                body.extend([at.month, year].map(to_bcd));
            }
            body.push(DELAY);
            let len =
                u8::try_from(body.len()).map_err(|_error| "more than 255 bytes".to_owned())?;
            payload.extend([MARK, len, MARK]);
            payload.extend(&body);
            payload.extend([crc8(&body), END]);
        }
        Ok(payload)
    }
}
