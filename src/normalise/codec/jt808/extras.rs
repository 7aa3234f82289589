//! Extras of a position: id, length, value; those of the standard, of vendors, and inside one another.
//!
//! An extra's code is its id; inside another, `1 << 32 | outer << 16 | inner`; a named value out of one is
//! `2 << 32 | place in the options`.

use super::{
    super::{
        super::{
            payload::Reject,
            point::{Decimal, Key, Point, Sink, Value},
            quality::Quality,
        },
        bits::{bcd_be, gb18030},
    },
    options::{Layout, Options, Take},
};

const INSIDE: u64 = 1 << 32;
const NAMED: u64 = 2 << 32;

/// Decimal digits of an `i64`.
const DECIMALS_MAX: u8 = 18;

/// An extra of the standard.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standard {
    pub(super) id: u8,
    pub(super) name: &'static str,
    pub(super) take: Take,
    pub(super) decimals: u8,
    unit: Option<&'static str>,
}

const fn standard(
    id: u8,
    name: &'static str,
    take: Take,
    decimals: u8,
    unit: Option<&'static str>,
) -> Standard {
    Standard {
        id,
        name,
        take,
        decimals,
        unit,
    }
}

/// Sorted by id.
pub(super) static STANDARD: [Standard; 14] = [
    standard(0x01, "mileage", Take::U32, 1, Some("km")),
    standard(0x02, "fuel", Take::U16, 1, Some("L")),
    standard(0x03, "recorder_speed", Take::U16, 1, Some("km/h")),
    standard(0x04, "confirm_event", Take::U16, 0, None),
    standard(0x06, "carriage_temperature", Take::Signed15, 0, Some("Cel")),
    standard(0x14, "video_alarm", Take::U32, 0, None),
    standard(0x15, "video_loss", Take::U32, 0, None),
    standard(0x16, "video_blocked", Take::U32, 0, None),
    standard(0x17, "storage_fault", Take::U16, 0, None),
    standard(0x25, "vehicle_signals", Take::U32, 0, None),
    standard(0x2A, "io", Take::U16, 0, None),
    standard(0x2B, "analog", Take::U32, 0, None),
    standard(0x30, "signal_strength", Take::U8, 0, None),
    standard(0x31, "satellites", Take::U8, 0, None),
];

/// A value to be taken out of an extra.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) extra: u64,
    pub(super) code: u64,
    pub(super) name: Option<Box<str>>,
    pub(super) take: Take,
    pub(super) at: usize,
    pub(super) len: Option<usize>,
    pub(super) decimals: u8,
}

/// What is known of extras.
#[derive(Debug, Clone)]
pub(super) struct Extras {
    pub(super) nested: Box<[(u8, Layout)]>,
    pub(super) fields: Box<[Field]>,
}

impl Extras {
    pub(super) fn new(options: &Options) -> Result<Self, String> {
        let nested = options.nested.iter().map(|(id, layout)| {
            let id = hex(id, 2).and_then(|id| u8::try_from(id).ok());
            let id = id.ok_or_else(|| "nested: an id is two hexadecimal digits".to_owned())?;
            Ok((id, *layout))
        });
        let nested = nested.collect::<Result<Box<[_]>, String>>()?;
        let mut fields = Vec::<Field>::new();
        for (place, option) in (0_u64..).zip(&options.extras) {
            let extra = extra_code(&option.id).ok_or_else(|| {
                format!(
                    "extras: the id {:?} is not like \"06\" or \"EB.00A8\"",
                    option.id
                )
            })?;
            if option.decimals > DECIMALS_MAX {
                return Err(format!(
                    "extras: {} decimals of {:?}",
                    option.decimals, option.id
                ));
            }
            if option.take.size().is_some() && option.len.is_some() {
                return Err(format!(
                    "extras: len of {:?}, whose type has a length",
                    option.id
                ));
            }
            let name = option.name.as_deref();
            let twice = fields.iter().any(|other| match name {
                Some(name) => other.name.as_deref() == Some(name),
                None => other.code == extra,
            });
            if twice || name.is_some_and(|name| is_standard(name) || name.starts_with("extra.")) {
                return Err(format!(
                    "extras: {:?} stands twice",
                    name.unwrap_or(&option.id)
                ));
            }
            fields.push(Field {
                extra,
                code: name.map_or(extra, |_| NAMED | place),
                name: name.map(Box::from),
                take: option.take,
                at: usize::from(option.at),
                len: option.len.map(usize::from),
                decimals: option.decimals,
            });
        }
        let fields = fields.into();
        Ok(Self { nested, fields })
    }

    pub(super) fn key(&self, spelled: &str) -> Result<u64, String> {
        if let Some(known) = STANDARD.iter().find(|known| known.name == spelled) {
            return Ok(u64::from(known.id));
        }
        if let Some(field) = self
            .fields
            .iter()
            .find(|field| field.name.as_deref() == Some(spelled))
        {
            return Ok(field.code);
        }
        let Some(id) = spelled.strip_prefix("extra.") else {
            return Err(format!(
                "{spelled:?} is no value of JT/T 808: it is latitude, longitude, speed, direction, altitude, alarm, \
                 status, time, the name of an extra (mileage, fuel, signal_strength, satellites …), an extra by its id \
                 (extra.EB, extra.EB.00A8), or a name of the option extras"
            ));
        };
        let code = extra_code(id).ok_or_else(|| {
            format!("{spelled:?}: an extra is spelled like extra.EB or extra.EB.00A8, in hexadecimal digits")
        })?;
        let outer = u8::try_from(code >> 16 & 0xFF).unwrap_or_default();
        if code & INSIDE != 0 && self.layout(outer).is_none() {
            return Err(format!(
                "{spelled:?}: the option nested does not say how extra {outer:02X} is laid out"
            ));
        }
        Ok(code)
    }

    fn layout(&self, id: u8) -> Option<Layout> {
        self.nested
            .iter()
            .find(|(nested, _)| *nested == id)
            .map(|(_, layout)| *layout)
    }

    /// All extras; one that is cut off is the last.
    pub(super) fn read<S: Sink>(&self, mut rest: &[u8], sink: &mut S) -> Result<(), Reject> {
        while let [id, len, behind @ ..] = rest {
            let code = u64::from(*id);
            let Some((value, next)) = behind.split_at_checked(usize::from(*len)) else {
                return cut_off(code, sink);
            };
            rest = next;
            self.one(code, value, sink)?;
            if let Some(layout) = self.layout(*id) {
                self.inside(code, layout, value, sink)?;
            }
        }
        Ok(())
    }

    fn inside<S: Sink>(
        &self,
        outer: u64,
        layout: Layout,
        mut rest: &[u8],
        sink: &mut S,
    ) -> Result<(), Reject> {
        while let Some((inner, len, behind)) = front(layout, rest) {
            let code = INSIDE | outer << 16 | u64::from(inner);
            let Some((value, next)) = behind.split_at_checked(len) else {
                return cut_off(code, sink);
            };
            rest = next;
            self.one(code, value, sink)?;
        }
        Ok(())
    }

    fn one<S: Sink>(&self, code: u64, value: &[u8], sink: &mut S) -> Result<(), Reject> {
        let mut is_replaced = false;
        for field in self.fields.iter().filter(|field| field.extra == code) {
            is_replaced |= field.code == code;
            let from = value.get(field.at..);
            let bytes = match field.len.or_else(|| field.take.size()) {
                Some(len) => from.and_then(|from| from.get(..len)),
                None => from,
            };
            let point = Point::new(Key::Code(field.code), Value::Missing);
            match bytes {
                Some(bytes) => hand_over(point, field.take, field.decimals, bytes, sink)?,
                None => sink.point(point.quality(Quality::BAD))?,
            }
        }
        if is_replaced {
            return Ok(());
        }
        let mut point = Point::new(Key::Code(code), Value::Bytes(value));
        let known = STANDARD.iter().find(|known| u64::from(known.id) == code);
        match known.filter(|known| known.take.size() == Some(value.len())) {
            Some(known) => {
                point.unit = known.unit;
                hand_over(point, known.take, known.decimals, value, sink)
            }
            None => sink.point(point),
        }
    }
}

fn cut_off<S: Sink>(code: u64, sink: &mut S) -> Result<(), Reject> {
    sink.point(Point::new(Key::Code(code), Value::Missing).quality(Quality::BAD))
}

/// Id and length of the extra in front, and what stands behind them.
fn front(layout: Layout, bytes: &[u8]) -> Option<(u16, usize, &[u8])> {
    let word = |high: &u8, low: &u8| u16::from_be_bytes([*high, *low]);
    match (layout, bytes) {
        (Layout::Id8Len8, [id, len, behind @ ..]) => {
            Some((u16::from(*id), usize::from(*len), behind))
        }
        (Layout::Id16Len8, [high, low, len, behind @ ..]) => {
            Some((word(high, low), usize::from(*len), behind))
        }
        (Layout::Id16Len16, [id_high, id_low, high, low, behind @ ..]) => {
            Some((word(id_high, id_low), usize::from(word(high, low)), behind))
        }
        (Layout::Len16Id16, [high, low, id_high, id_low, behind @ ..]) => {
            let len = usize::from(word(high, low)).checked_sub(2)?;
            Some((word(id_high, id_low), len, behind))
        }
        _ => None,
    }
}

/// A point with the value that the bytes hold. Numbers have as many bytes as their type; see [`Take::size`].
fn hand_over<S: Sink>(
    point: Point<'_>,
    take: Take,
    decimals: u8,
    bytes: &[u8],
    sink: &mut S,
) -> Result<(), Reject> {
    let unsigned = || {
        bytes
            .iter()
            .fold(0, |sum: i64, byte| sum << 8 | i64::from(*byte))
    };
    let number = match take {
        Take::U8 | Take::U16 | Take::U32 => Some(unsigned()),
        Take::I8 => Some(unsigned() << 56 >> 56),
        Take::I16 => Some(unsigned() << 48 >> 48),
        Take::I32 => Some(unsigned() << 32 >> 32),
        Take::Signed15 => {
            let (word, magnitude) = (unsigned(), unsigned() & 0x7FFF);
            Some(if word == magnitude {
                magnitude
            } else {
                -magnitude
            })
        }
        Take::Bcd => bcd_be(bytes),
        Take::Text => {
            let text = gb18030(bytes);
            let value = Value::Text(&text);
            return sink.point(Point::new(point.key, value));
        }
        Take::Bytes => {
            let value = Value::Bytes(bytes);
            return sink.point(Point::new(point.key, value));
        }
    };
    let value = match number {
        Some(number) if decimals == 0 => Value::Whole(number),
        Some(number) => Value::Decimal(Decimal::new(number, decimals)),
        None => Value::Missing,
    };
    sink.point(Point { value, ..point })
}

fn is_standard(name: &str) -> bool {
    STANDARD.iter().any(|known| known.name == name)
}

/// The code of an extra as spelled behind `extra.`.
fn extra_code(spelled: &str) -> Option<u64> {
    match spelled.split_once('.') {
        None => hex(spelled, 2),
        Some((outer, inner)) => {
            let inner = hex(inner, inner.len().clamp(2, 4))?;
            Some(INSIDE | hex(outer, 2)? << 16 | inner)
        }
    }
}

/// A number of so many hexadecimal digits.
fn hex(spelled: &str, digits: usize) -> Option<u64> {
    let is_hex = spelled.len() == digits && spelled.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u64::from_str_radix(spelled, 16).ok())?
}
