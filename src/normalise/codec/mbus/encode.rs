//! Telegrams of a meter, for simulated devices and tests: one long frame with a long header. The VIFs are found by asking
//! the tables that read them.

use super::super::super::point::{Civil, Moment, OwnedKey, Value};
use super::super::encoding::{Calendar, Encoder, Report};
use super::key::{Modifier, Place, Quantity};
use super::vif::{self, Extension, Kind, Meaning};
use super::{END, MAKER_DATA, Mbus, START, sum8};

const REPLY_WITH_DATA: u8 = 0x08;
const LONG_HEADER: u8 = 0x72;
/// "SGT", whose letters count from @.
const MAKER: u16 = 19 << 10 | 7 << 5 | 20;
const HEAT_OUTLET: u8 = 0x04;
const MORE: u8 = 0x80;

impl Encoder for Mbus {
    fn encode(&self, report: &Report<'_>) -> Result<Vec<u8>, String> {
        let mut id = hex::decode(format!("{:0>8}", report.address))
            .ok()
            .filter(|id| id.len() == 4)
            .ok_or_else(|| format!("address {:?} has not up to 8 digits", report.address))?;
        id.reverse();
        let access = u8::try_from(report.serial % 256).unwrap_or(0);
        let mut body = vec![REPLY_WITH_DATA, 1, LONG_HEADER];
        body.extend(id);
        body.extend(MAKER.to_le_bytes());
        body.extend([1, HEAT_OUTLET, access, 0, 0, 0]);
        let mut rest: &[u8] = &[];
        for (key, value) in report.points {
            let OwnedKey::Code(code) = key else {
                continue;
            };
            let place = Place::of_code(*code).ok_or_else(|| format!("{code:X} is no key"))?;
            match value {
                Value::Bytes(bytes) if place.quantity == Quantity::MakerData.number() => {
                    rest = bytes;
                }
                _ => self.record(place, *value, report, &mut body)?,
            }
        }
        if !rest.is_empty() {
            body.push(MAKER_DATA);
            body.extend(rest);
        }
        let length = u8::try_from(body.len()).map_err(|_error| "the telegram is too long")?;
        let mut payload = vec![START, length, length, START];
        payload.extend(&body);
        payload.extend([sum8(&body), END]);
        Ok(payload)
    }
}

impl Mbus {
    fn record(
        &self,
        place: Place,
        value: Value<'_>,
        report: &Report<'_>,
        body: &mut Vec<u8>,
    ) -> Result<(), String> {
        let (coding, bytes) = coded(value, report)?;
        let exponent = match value {
            Value::Decimal(decimal) => -i8::try_from(decimal.places).map_err(|e| e.to_string())?,
            _ => 0,
        };
        body.extend(data_information(place, coding));
        match place.quantity.checked_sub(128) {
            Some(text) => {
                let text = usize::try_from(text)
                    .ok()
                    .and_then(|text| self.texts.get(text));
                let text = text.ok_or("a plain text that is not spelled")?;
                body.extend([0xFC, u8::try_from(text.len()).map_err(|e| e.to_string())?]);
                body.extend(text.bytes().rev());
                body.push(factor(exponent, 0).ok_or("more than 6 decimals")?);
            }
            None => body.extend(value_information(place, exponent)?),
        }
        body.extend(bytes);
        Ok(())
    }
}

impl Place {
    /// The way back from a number.
    fn of_code(code: u64) -> Option<Self> {
        let modifier = usize::try_from(code >> 10 & 0x3F).ok()?;
        Some(Self {
            quantity: code & 0xFF,
            function: code >> 8 & 3,
            modifier: *Modifier::ALL.get(modifier)?,
            storage: code >> 16 & 0xFF_FFFF,
            tariff: code >> 40 & 0xFFF,
            unit: code >> 52,
        })
    }
}

/// The coding of a value, and its bytes.
fn coded(value: Value<'_>, report: &Report<'_>) -> Result<(u8, Vec<u8>), String> {
    let whole = |whole: i64| match i32::try_from(whole) {
        Ok(short) if short != i32::MIN => (0x04, short.to_le_bytes().to_vec()),
        _ => (0x07, whole.to_le_bytes().to_vec()),
    };
    Ok(match value {
        Value::Missing => (0x0C, vec![0xFF; 4]),
        Value::Whole(number) => whole(number),
        Value::Decimal(decimal) => whole(decimal.mantissa),
        Value::Large(number) => (0x07, number.to_le_bytes().to_vec()),
        Value::Real(real) => {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the wire has no more digits"
            )]
            let short = real as f32;
            (0x05, short.to_le_bytes().to_vec())
        }
        Value::Text(text) => {
            let len = u8::try_from(text.len())
                .ok()
                .filter(|len| *len <= 0xBF && text.is_ascii());
            let mut bytes = vec![len.ok_or_else(|| format!("{text:?} is too long or no ASCII"))?];
            bytes.extend(text.bytes().rev());
            (0x0D, bytes)
        }
        Value::Time(moment) => (0x04, minute(moment, report)),
        Value::Bool(_) | Value::Bytes(_) => return Err(format!("{value:?} cannot be written")),
    })
}

/// Type F.
fn minute(moment: Moment, report: &Report<'_>) -> Vec<u8> {
    let (at, east_s) = match moment {
        Moment::Unix(at) => (at, report.east_s),
        Moment::Local(civil) => (Civil::at(civil, 0).unwrap_or(report.at), 0),
    };
    let Calendar {
        year,
        month,
        day,
        hour,
        minute,
        ..
    } = Report {
        at,
        east_s,
        ..*report
    }
    .calendar();
    let years = u8::try_from(year % 100).unwrap_or(0);
    vec![
        minute,
        1 << 5 | hour,
        (years & 7) << 5 | day,
        years >> 3 << 4 | month,
    ]
}

fn data_information(place: Place, coding: u8) -> Vec<u8> {
    let low = |number: u64| u8::try_from(number & 0xFF).unwrap_or(0);
    let mut bytes = vec![coding | low(place.function) << 4 | low(place.storage & 1) << 6];
    let (mut storage, mut tariff, mut unit) = (place.storage >> 1, place.tariff, place.unit);
    while storage | tariff | unit != 0 {
        if let Some(last) = bytes.last_mut() {
            *last |= MORE;
        }
        bytes.push(low(storage & 0x0F) | low(tariff & 3) << 4 | low(unit & 1) << 6);
        (storage, tariff, unit) = (storage >> 4, tariff >> 2, unit >> 1);
    }
    bytes
}

/// The VIFE that brings one exponent to another.
fn factor(wanted: i8, from: i8) -> Option<u8> {
    let bits = u8::try_from(wanted - from + 6)
        .ok()
        .filter(|bits| *bits <= 7)?;
    Some(0x70 | bits)
}

fn value_information(place: Place, exponent: i8) -> Result<Vec<u8>, String> {
    let is_it = |meaning: Meaning| meaning.quantity.number() == place.quantity;
    let codes = |table: fn(u8) -> Meaning| (0_u8..0x80).map(move |vif| (vif, table(vif)));
    let all = codes(vif::primary).map(|(vif, meaning)| (vec![vif], meaning));
    let all = all.chain(codes(vif::behind_fb).map(|(vife, meaning)| (vec![0xFB, vife], meaning)));
    let all = all.chain(codes(vif::behind_fd).map(|(vife, meaning)| (vec![0xFD, vife], meaning)));
    let all: Vec<_> = all.filter(|(_, meaning)| is_it(*meaning)).collect();
    let exact = all.iter().find(|(_, meaning)| meaning.exponent == exponent);
    let (mut bytes, meaning) = exact
        .or_else(|| {
            all.iter()
                .find(|(_, meaning)| factor(exponent, meaning.exponent).is_some())
        })
        .cloned()
        .ok_or_else(|| {
            format!(
                "no VIF of quantity {} with exponent {exponent}",
                place.quantity
            )
        })?;
    let mut extensions = Vec::new();
    if meaning.kind == Kind::Number && meaning.exponent != exponent {
        extensions.extend(factor(exponent, meaning.exponent));
    }
    extensions.extend(modifier(place.modifier));
    let count = extensions.len();
    if let Some(last) = bytes.last_mut().filter(|_| count > 0) {
        *last |= MORE;
    }
    let chained = (1..)
        .zip(extensions)
        .map(|(number, e)| if number < count { e | MORE } else { e });
    bytes.extend(chained);
    Ok(bytes)
}

fn modifier(modifier: Modifier) -> Vec<u8> {
    if modifier == Modifier::None {
        return Vec::new();
    }
    let says = |vife: &u8| match vif::extension(*vife) {
        Extension::Modifier(m) | Extension::Lasting(m, _) | Extension::When(m) => m == modifier,
        _ => false,
    };
    match (0..0x80).find(says) {
        Some(vife) => vec![vife],
        None => (0..0x80)
            .find(|vife| vif::further(*vife) == modifier)
            .map_or_else(Vec::new, |v| vec![0x7C, v]),
    }
}
