//! The data of a frame: values of one kind, the words of alarm and state, the time tag.

use super::{
    super::{
        super::{
            payload::Reject,
            point::{Civil, Decimal, Key, Moment, Point, Sink, Value},
            quality::Quality,
        },
        bits::{Bytes, HexText, bcd},
        malformed,
    },
    Flow, FlowUnit, Options, Tp, Words,
    kinds::{self, Form, Top},
};

struct Data<'a, 's, S> {
    options: &'a Options,
    sink: &'s mut S,
    points: usize,
}

/// Reads what stands behind the function of a frame from a terminal.
pub(super) fn read<S: Sink>(
    mut bytes: Bytes<'_>,
    function: u8,
    kind: u64,
    options: &Options,
    sink: &mut S,
) -> Result<(), Reject> {
    let mut data = Data {
        options,
        sink,
        points: 0,
    };
    match function {
        0x02 => {
            if let [link, ..] = bytes.rest() {
                data.sink
                    .head(Key::Name("link"), Value::Whole(i64::from(*link)))?;
            }
            return Ok(());
        }
        0x5E => {
            data.word(kinds::ALARM, bytes.array()?)?;
            data.word(kinds::STATE, bytes.array()?)?;
        }
        0x81 => {
            data.word(kinds::ALARM, bytes.array()?)?;
            data.unread(bytes.rest())?;
        }
        0xB0 => data.values_and_words(bytes, kind, 0)?,
        0xC0 => {
            let tp = match options.tp {
                Tp::Day => 5,
                Tp::Date => 7,
            };
            data.values_and_words(bytes, kind, tp)?;
        }
        _ => return Ok(()),
    }
    if data.points > 0 {
        data.sink.end_record()
    } else {
        Ok(())
    }
}

impl<S: Sink> Data<'_, '_, S> {
    fn point(&mut self, point: Point<'_>) -> Result<(), Reject> {
        self.points += 1;
        self.sink.point(point)
    }

    fn word(&mut self, kind: u64, bytes: [u8; 2]) -> Result<(), Reject> {
        let word = match self.options.words {
            Words::LowFirst => u16::from_le_bytes(bytes),
            Words::HighFirst => u16::from_be_bytes(bytes),
        };
        self.point(Point::new(
            Key::Code(kinds::code(kind, 0)),
            Value::Whole(i64::from(word)),
        ))
    }

    fn unread(&mut self, bytes: &[u8]) -> Result<(), Reject> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.point(Point::new(
            Key::Code(kinds::code(kinds::DATA, 0)),
            Value::Bytes(bytes),
        ))
    }

    fn values_and_words(
        &mut self,
        mut bytes: Bytes<'_>,
        kind: u64,
        tp: usize,
    ) -> Result<(), Reject> {
        let at = bytes.at();
        let have = bytes.rest().len();
        let len = have.checked_sub(4 + tp).ok_or_else(|| {
            malformed(
                at,
                format_args!("{have} bytes are too few for alarm, state and time"),
            )
        })?;
        let values = bytes.take(len)?;
        match kind {
            kinds::FLOW => self.flow(values, at)?,
            kinds::QUALITY => self.quality(values, at)?,
            kinds::ALARM_KIND => self.unread(values)?,
            kind => match kinds::form(kind) {
                Some(form) => self.all(kind, form, values, at)?,
                None => self.unread(values)?,
            },
        }
        self.word(kinds::ALARM, bytes.array()?)?;
        self.word(kinds::STATE, bytes.array()?)?;
        self.time(bytes.rest())
    }

    fn all(&mut self, kind: u64, form: Form, values: &[u8], at: usize) -> Result<(), Reject> {
        let (values, rest) = (values.chunks_exact(form.width), values.len() % form.width);
        if rest != 0 {
            let width = form.width;
            return Err(malformed(
                at,
                format_args!("values of {width} bytes are wanted, {rest} are over"),
            ));
        }
        for (bytes, index) in values.zip(0..) {
            self.value(kind, index, form, bytes)?;
        }
        Ok(())
    }

    fn flow(&mut self, values: &[u8], at: usize) -> Result<(), Reject> {
        let (Some(rate), Some(volume)) = (kinds::form(kinds::FLOW), kinds::form(kinds::VOLUME))
        else {
            return Ok(());
        };
        let both = rate.width + volume.width;
        if self.options.flow == Flow::Rate || !values.len().is_multiple_of(both) {
            return self.all(kinds::FLOW, rate, values, at);
        }
        for (bytes, index) in values.chunks_exact(both).zip(0..) {
            let (of_rate, of_volume) = bytes.split_at_checked(rate.width).unwrap_or_default();
            self.value(kinds::FLOW, index, rate, of_rate)?;
            self.value(kinds::VOLUME, index, volume, of_volume)?;
        }
        Ok(())
    }

    /// A map of five bytes, then a value for each bit. The 24th, a count of bacteria, may be a byte longer.
    fn quality(&mut self, values: &[u8], at: usize) -> Result<(), Reject> {
        let Some(form) = kinds::form(kinds::QUALITY) else {
            return Ok(());
        };
        let mut bytes = Bytes::new(values);
        let map: [u8; 5] = bytes.array()?;
        let map = map
            .iter()
            .rev()
            .fold(0_u64, |map, byte| map << 8 | u64::from(*byte));
        let wanted = usize::try_from(map.count_ones()).unwrap_or(0) * form.width;
        let over = bytes.rest().len().checked_sub(wanted);
        let is_long = over == Some(1) && map >> 24 & 1 == 1;
        if over != Some(0) && !is_long {
            let have = bytes.rest().len();
            return Err(malformed(
                at,
                format_args!("the map wants {wanted} bytes, {have} are there"),
            ));
        }
        for bit in (0..40).filter(|bit| map >> bit & 1 == 1) {
            let width = form.width + usize::from(bit == 24 && is_long);
            self.value(kinds::QUALITY, bit, form, bytes.take(width)?)?;
        }
        Ok(())
    }

    fn value(&mut self, kind: u64, index: u64, form: Form, bytes: &[u8]) -> Result<(), Reject> {
        let point = Point {
            unit: form.unit,
            ..Point::new(Key::Code(kinds::code(kind, index)), Value::Missing)
        };
        let is_fill = |fill: u8| bytes.iter().all(|byte| *byte == fill);
        let direction = Point::new(
            Key::Code(kinds::code(kinds::WIND_DIRECTION, index)),
            Value::Missing,
        );
        if is_fill(0xAA) || is_fill(0xFF) {
            if form.top == Top::Direction {
                self.point(direction)?;
            }
            return self.point(point);
        }
        let (top, digits) = top_and_digits(bytes);
        let (sign, head, unit) = match (form.top, self.options.flow_unit) {
            (Top::Digit, _) => (Some(1), i64::from(top), form.unit),
            (Top::Direction, _) => {
                self.point(Point {
                    value: Value::Whole(i64::from(top)),
                    ..direction
                })?;
                (Some(1), 0, form.unit)
            }
            (Top::SignAndUnit, FlowUnit::Coded) => match top {
                0x0 => (Some(1), 0, Some("m3/s")),
                0x3 => (Some(1), 0, Some("m3/h")),
                0xC => (Some(-1), 0, Some("m3/s")),
                0xF => (Some(-1), 0, Some("m3/h")),
                _ => (None, 0, None),
            },
            (Top::SignAndUnit, FlowUnit::PerHour) => (sign_of(top), head_of(top), Some("m3/h")),
            (Top::SignAndUnit | Top::Sign, _) => (sign_of(top), head_of(top), form.unit),
        };
        let scale = 10_i64
            .checked_pow(u32::try_from(bytes.len() * 2 - 1).unwrap_or(0))
            .unwrap_or(0);
        match (sign, digits) {
            (Some(sign), Some(digits)) if head <= 9 => {
                let number = sign * (head * scale + digits);
                let value = Value::Decimal(Decimal::new(number, form.places));
                self.point(Point {
                    value,
                    unit,
                    ..point
                })
            }
            _ => self.point(Point {
                quality: Quality::BAD,
                ..point
            }),
        }
    }

    fn time(&mut self, bytes: &[u8]) -> Result<(), Reject> {
        let (clock, delay) = match bytes {
            [second, minute, hour, day, delay] => {
                let day = bcd(*day).map_or(Value::Missing, |day| Value::Whole(i64::from(day)));
                self.sink.head(Key::Name("tp_day"), day)?;
                ([*hour, *minute, *second], delay)
            }
            [second, minute, hour, day, month, year, delay] => {
                let digits = |byte: &u8| bcd(*byte).unwrap_or(u8::MAX);
                let date = (2_000 + u16::from(digits(year)), digits(month), digits(day));
                let civil = Civil::new(date, (digits(hour), digits(minute), digits(second)));
                let value = civil.map_or(Value::Missing, |civil| Value::Time(Moment::Local(civil)));
                self.sink.head(Key::Name("time"), value)?;
                ([*hour, *minute, *second], delay)
            }
            _ => return Ok(()),
        };
        let clock = HexText::of(&clock);
        self.sink
            .head(Key::Name("tp_time"), Value::Text(clock.as_str()))?;
        self.sink
            .head(Key::Name("tp_delay"), Value::Whole(i64::from(*delay)))
    }
}

/// The top digit, whatever it is, and the number that the others make.
fn top_and_digits(bytes: &[u8]) -> (u8, Option<i64>) {
    let Some((last, others)) = bytes.split_last() else {
        return (0, None);
    };
    let low = last & 0x0F;
    let first = (low <= 9).then_some(i64::from(low));
    let digits = others
        .iter()
        .rev()
        .fold(first, |sum, byte| Some(sum? * 100 + i64::from(bcd(*byte)?)));
    (last >> 4, digits)
}

/// F is a minus sign, a digit is none, and the rest is neither.
const fn sign_of(top: u8) -> Option<i64> {
    match top {
        0..=9 => Some(1),
        0xF => Some(-1),
        _ => None,
    }
}

/// The top digit where it is one.
fn head_of(top: u8) -> i64 {
    if top <= 9 { i64::from(top) } else { 0 }
}
