//! Single values on their way to bytes.

use std::ops::Range;

use super::{
    super::{
        super::{
            super::point::{Decimal, Moment, Value},
            encoding::{Calendar, Report, to_bcd},
        },
        frame::unhex,
        options::{Form, Sign},
        plan::{Count, Field, Op, Source, Step},
        scalar::{self, Digits, Int, Kind, Part, to_ordered},
        text::Column,
        value::with_bits,
    },
    Writer, local,
};

impl Writer<'_> {
    /// What later steps need of the words before them; from the last step to the first, since needs add up.
    pub(super) fn demand(&mut self, range: Range<usize>, nth: usize) -> Result<(), String> {
        let plan = self.plan;
        for at in range.rev() {
            let Some(op) = plan.ops.get(at) else { continue };
            match &op.step {
                Step::Field(field) => {
                    let value = self.value(field, nth);
                    match (&field.source, value) {
                        (Source::Word(slot), _) => {
                            let number = self.wanted(field, value)?;
                            let (shift, width) = field.bits.unwrap_or((0, 64));
                            self.want(Some(*slot), (number & ((1 << width) - 1)) << shift);
                        }
                        (Source::Wire(_, Count::Word(slot)), Some(Value::Text(text))) => {
                            let bytes = text_bytes(field, text)?.len();
                            self.want(Some(*slot), i128::try_from(bytes).unwrap_or(0));
                        }
                        _ => {}
                    }
                }
                Step::Repeat(repeat) => {
                    if let Count::Word(slot) = repeat.count {
                        let count = self.occurrences(at + 1..op.end);
                        self.want(Some(slot), i128::try_from(count).unwrap_or(0));
                    }
                }
                _ => {}
            }
            self.demand_condition(op, at, nth);
        }
        Ok(())
    }

    fn demand_condition(&mut self, op: &Op, at: usize, nth: usize) {
        if let Some(when) = &op.when
            && self.is_present(at..op.end, nth)
        {
            self.want(when.word, when.among.first().copied().unwrap_or(0));
            self.want(when.word, when.bit.map_or(0, |bit| 1 << bit));
        }
    }

    fn want(&mut self, slot: Option<usize>, number: i128) {
        if let Some(demand) = slot.and_then(|slot| self.demands.get_mut(slot)) {
            *demand |= number;
        }
    }

    fn wanted(&self, field: &Field, value: Option<Value<'_>>) -> Result<i128, String> {
        let demand = |slot: Option<usize>| {
            slot.and_then(|slot| self.demands.get(slot).copied())
                .unwrap_or(0)
        };
        let number = match value {
            Some(value) => raw_number(field, value)?,
            None if demand(field.keep_number) == 0 && demand(field.keep_word) == 0 => {
                field.missing_numbers.first().copied().unwrap_or(0)
            }
            None => 0,
        };
        Ok(number | demand(field.keep_number))
    }

    /// Writes a field; gives the place behind it.
    pub(super) fn field(&mut self, field: &Field, nth: usize, at: usize) -> Result<usize, String> {
        let value = self.value(field, nth);
        let (kind, count) = match &field.source {
            Source::Word(slot) => {
                let word = self.words.get(*slot).copied().flatten();
                self.remember(field, word.unwrap_or(0));
                return Ok(at);
            }
            Source::Wire(kind, count) => (kind, *count),
        };
        let width = match count {
            Count::Fixed(width) => Some(width),
            Count::Word(slot) => self
                .words
                .get(slot)
                .copied()
                .flatten()
                .and_then(|word| usize::try_from(word).ok()),
            Count::Rest => None,
        };
        let is_fill =
            matches!(value, None | Some(Value::Missing)) && !field.missing_bytes.is_empty();
        let raw = match (kind, field.missing_bytes.first()) {
            (_, Some(fill)) if is_fill => fill
                .iter()
                .copied()
                .cycle()
                .take(width.unwrap_or(fill.len()))
                .collect(),
            (Kind::Int(int), _) => {
                let word = self.word(field, *int, value)?;
                self.remember(field, word);
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "two's complement of at most 64 bits"
                )]
                to_ordered(word as u64, int.bytes, int.order)
            }
            (Kind::BcdBe | Kind::BcdLe, _) => {
                let number = self.wanted(field, value)?;
                self.remember(field, number);
                bcd(field, kind, number, width.unwrap_or(0))?
            }
            (_, _) => plain(field, kind, value, (width, self.report))?,
        };
        let raw: Vec<u8> = match field.mangle {
            Some((add, xor)) => raw
                .iter()
                .map(|byte| (byte ^ xor).wrapping_sub(add))
                .collect(),
            None => raw,
        };
        self.put(at, &raw);
        Ok(at + raw.len())
    }

    fn word(&self, field: &Field, int: Int, value: Option<Value<'_>>) -> Result<i128, String> {
        let number = self.wanted(field, value)?;
        let (shift, width) = field.bits.unwrap_or((0, int.bytes * 8));
        let all = (1_i128 << width) - 1;
        let number = match field.sign {
            Some(Sign::Bit) if number < 0 => -number | 1 << (width - 1),
            _ => number,
        };
        let is_signed = int.is_signed || field.sign == Some(Sign::Twos);
        let (low, high) = if is_signed {
            (-(all + 1) / 2, all / 2)
        } else {
            (0, all)
        };
        if !(low..=high).contains(&number) {
            return Err(format!("{number} does not fit {width} bits"));
        }
        let demand = field
            .keep_word
            .and_then(|slot| self.demands.get(slot).copied())
            .unwrap_or(0);
        let word = (number & all) << shift | demand;
        let raw = int.read(&{
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "two's complement of at most 64 bits"
            )]
            to_ordered(word as u64, int.bytes, int.order)
        });
        Ok(raw)
    }

    fn remember(&mut self, field: &Field, word: i128) {
        let number = with_bits(field, word);
        for (slot, kept) in [(field.keep_word, word), (field.keep_number, number)] {
            if let Some(place) = slot.and_then(|slot| self.words.get_mut(slot)) {
                *place = Some(kept);
            }
        }
    }
}

/// The raw number of a value: what reading makes of it, backwards; steps between the format's own are rounded.
fn raw_number(field: &Field, value: Value<'_>) -> Result<i128, String> {
    let steps = |mantissa: i128, places: u8| {
        let above = mantissa.saturating_mul(10_i128.pow(u32::from(field.decimals)));
        let below = i128::from(field.times) * 10_i128.pow(u32::from(places.min(18)));
        let half = below.abs() / 2;
        let rounded = if above < 0 {
            above - half
        } else {
            above + half
        };
        rounded / below + i128::from(field.sub)
    };
    let real = |value: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "saturates, and the range is looked at after"
        )]
        let rounded =
            (value * 10_f64.powi(i32::from(field.decimals)) / field.times as f64).round() as i128;
        rounded + i128::from(field.sub)
    };
    Ok(match value {
        Value::Missing => *field
            .missing_numbers
            .first()
            .ok_or("there is no number for a missing value")?,
        Value::Bool(is) => i128::from(is != (field.form == Form::Not)) + i128::from(field.sub),
        Value::Whole(number) => steps(i128::from(number), 0),
        Value::Large(number) => steps(i128::from(number), 0),
        Value::Decimal(Decimal { mantissa, places }) => steps(i128::from(mantissa), places),
        Value::Real(number) => real(number),
        Value::Text(digits) => digits
            .parse()
            .map_err(|_not_whole| format!("{digits:?} is no number"))?,
        Value::Time(moment) => {
            let nanos = match moment {
                Moment::Unix(at) => at.0,
                Moment::Local(civil) => civil.at(0).map_or(0, |at| at.0),
            };
            let step = if field.form == Form::UnixMs {
                1_000_000
            } else {
                1_000_000_000
            };
            steps(i128::from(nanos / step), 0)
        }
        Value::Bytes(_) => return Err("bytes are no number".to_owned()),
    })
}

fn bcd(field: &Field, kind: &Kind, number: i128, width: usize) -> Result<Vec<u8>, String> {
    let digits = format!("{:0digits$}", number.unsigned_abs(), digits = width * 2);
    let mut raw = unhex(&digits)?;
    let mut fits = raw.len() == width;
    if let Some(top) = raw.first_mut() {
        let minus = if number < 0 { 0xF0 } else { 0 };
        match field.sign {
            Some(Sign::Nibble) => {
                fits &= *top < 0x10;
                *top |= minus;
            }
            Some(_) => {
                fits &= *top < 0x80;
                *top |= minus & 0x80;
            }
            None => fits &= number >= 0,
        }
    }
    if !fits {
        return Err(format!("{number} does not fit {width} bytes of BCD"));
    }
    if *kind == Kind::BcdLe {
        raw.reverse();
    }
    Ok(raw)
}

fn text_bytes(field: &Field, text: &str) -> Result<Vec<u8>, String> {
    match &field.source {
        Source::Wire(Kind::HexBe | Kind::HexLe, _) => unhex(text),
        Source::Wire(Kind::Gb18030, _) => Ok(encoding_rs::GB18030.encode(text).0.into_owned()),
        _ => Ok(text.as_bytes().to_vec()),
    }
}

/// What is neither a whole number nor BCD.
fn plain(
    field: &Field,
    kind: &Kind,
    value: Option<Value<'_>>,
    (width, report): (Option<usize>, &Report<'_>),
) -> Result<Vec<u8>, String> {
    let mut raw = match (kind, value) {
        (Kind::Calendar(calendar), Some(Value::Time(moment))) => {
            calendar_bytes(calendar, moment, report)
        }
        (Kind::Float(bytes, order), value) => {
            let number = value.map_or(Ok(0.0), real)?;
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a float of four bytes is asked for"
            )]
            let bits = if *bytes == 4 {
                u64::from((number as f32).to_bits())
            } else {
                number.to_bits()
            };
            to_ordered(bits, *bytes, *order)
        }
        (Kind::Digits, Some(value)) => {
            let text = number_text(value)?;
            format!("{text:>width$}", width = width.unwrap_or(0)).into_bytes()
        }
        (_, Some(Value::Text(text))) => text_bytes(field, text)?,
        (_, Some(Value::Bytes(bytes))) => bytes.to_vec(),
        (_, Some(value)) => return Err(format!("{value:?} is not what this type holds")),
        (_, None) => Vec::new(),
    };
    if *kind == Kind::HexLe {
        raw.reverse();
    }
    let width = width.unwrap_or(raw.len());
    if raw.len() > width {
        return Err(format!("{} bytes do not fit {width}", raw.len()));
    }
    raw.resize(width, 0);
    Ok(raw)
}

fn real(value: Value<'_>) -> Result<f64, String> {
    match value {
        Value::Real(number) => Ok(number),
        other => number_text(other)?
            .parse()
            .map_err(|e| format!("{other:?}: {e}")),
    }
}

fn number_text(value: Value<'_>) -> Result<String, String> {
    Ok(match value {
        Value::Whole(number) => number.to_string(),
        Value::Large(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Bool(is) => u8::from(is).to_string(),
        Value::Decimal(Decimal { mantissa, places }) => {
            let places = usize::from(places);
            let digits = format!("{:0width$}", mantissa.unsigned_abs(), width = places + 1);
            let (whole, fraction) = digits
                .split_at_checked(digits.len() - places)
                .unwrap_or((&digits, ""));
            let sign = if mantissa < 0 { "-" } else { "" };
            let point = if places > 0 { "." } else { "" };
            format!("{sign}{whole}{point}{fraction}")
        }
        other => return Err(format!("{other:?} is no number")),
    })
}

fn calendar_bytes(calendar: &scalar::Calendar, moment: Moment, report: &Report<'_>) -> Vec<u8> {
    let Calendar {
        year,
        month,
        day,
        hour,
        minute,
        second,
    } = local(moment, report).calendar();
    let pair = |number: u16| {
        let number = u8::try_from(number % 100).unwrap_or(0);
        match calendar.digits {
            Digits::Bcd => vec![to_bcd(number)],
            Digits::Binary => vec![number],
            Digits::Text => format!("{number:02}").into_bytes(),
        }
    };
    let parts = calendar.parts.iter().flat_map(|part| match part {
        Part::LongYear if calendar.digits == Digits::Binary => year.to_be_bytes().to_vec(),
        Part::LongYear => [pair(year / 100), pair(year)].concat(),
        Part::Year => pair(year),
        Part::Month => pair(month.into()),
        Part::Day => pair(day.into()),
        Part::Hour => pair(hour.into()),
        Part::Minute => pair(minute.into()),
        Part::Second => pair(second.into()),
        Part::Passed => vec![0],
    });
    parts.collect()
}

/// A value as a column of text writes it.
pub(super) fn text_of(
    column: &Column,
    value: Value<'_>,
    report: &Report<'_>,
) -> Result<Vec<u8>, String> {
    Ok(match (column.form, value) {
        (_, Value::Missing) => Vec::new(),
        (_, Value::Text(text)) => encoding_rs::GB18030.encode(text).0.into_owned(),
        (Form::Calendar, Value::Time(moment)) => calendar_bytes(&column.calendar, moment, report),
        (form, Value::Time(Moment::Unix(at))) => {
            let step = if form == Form::UnixMs {
                1_000_000
            } else {
                1_000_000_000
            };
            (at.0 / step).to_string().into_bytes()
        }
        (Form::Not, Value::Bool(is)) => u8::from(!is).to_string().into_bytes(),
        (_, value) => number_text(value)?.into_bytes(),
    })
}
