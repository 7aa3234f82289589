//! The way back: the same plan, writing. What the report's points need (flags, counts, lengths, selectors) is worked out
//! first and put into the words that conditions and counts refer to.
//!
//! Points of one key go to the elements of a repetition in their order. Where two alternatives of one name are told apart
//! by a selector, the report has to name the selector's value itself if it names it at all.

mod words;

use std::ops::Range;

use super::{
    super::{
        super::point::{Moment, OwnedKey, Value},
        encoding::{Encoder, Report},
    },
    Layout,
    plan::{Count, Field, Place, Plan, Source, Step, Tlv, WORDS_MAX, Words},
    scalar::{Kind, to_ordered},
    text::{self, Text},
};
use crate::domain::UnixNanos;

impl Encoder for Layout {
    fn encode(&self, report: &Report<'_>) -> Result<Vec<u8>, String> {
        let mut out = match &self.text {
            Some(text) => [self.cut.start.clone(), write_text(text, report)?].concat(),
            None => {
                let mut writer = Writer::new(&self.plan, report, self.cut.start.clone());
                let all = 0..self.plan.ops.len();
                writer.demand(all.clone(), 0)?;
                writer.steps(
                    all,
                    Element {
                        origin: 0,
                        nth: None,
                    },
                    self.cut.start.len(),
                )?;
                writer.out
            }
        };
        let end = &self.cut.end;
        if let Some(check) = &self.check {
            out.resize(check.room(out.len(), end.len()), 0);
        }
        out.extend(end);
        self.cut.write_length(&mut out)?;
        if let Some(check) = &self.check {
            check.write(&mut out, end.len())?;
        }
        Ok(self.cut.escape(out))
    }
}

/// Where offsets are counted, and which of a key's points are meant; none outside of repetitions.
#[derive(Debug, Clone, Copy)]
struct Element {
    origin: usize,
    nth: Option<usize>,
}

struct Writer<'a> {
    plan: &'a Plan,
    report: &'a Report<'a>,
    out: Vec<u8>,
    words: Words,
    demands: [i128; WORDS_MAX],
}

impl<'a> Writer<'a> {
    fn new(plan: &'a Plan, report: &'a Report<'a>, out: Vec<u8>) -> Self {
        Self {
            plan,
            report,
            out,
            words: [None; WORDS_MAX],
            demands: [0; WORDS_MAX],
        }
    }

    fn nth(&self, code: u64, nth: usize) -> Option<Value<'a>> {
        let points = self.report.points.iter();
        let mut points = points.filter(|(key, _)| *key == OwnedKey::Code(code));
        points.nth(nth).map(|(_, value)| *value)
    }

    fn fields(&self, range: Range<usize>) -> impl Iterator<Item = &'a Field> {
        let ops = self.plan.ops.get(range).unwrap_or_default().iter();
        ops.filter_map(|op| match &op.step {
            Step::Field(field) => Some(&**field),
            _ => None,
        })
    }

    fn is_present(&self, range: Range<usize>, nth: usize) -> bool {
        self.fields(range).any(|field| match field.place {
            Place::Point(code) => self.nth(code, nth).is_some(),
            _ => false,
        })
    }

    /// How often the most frequent key of these steps is reported.
    fn occurrences(&self, range: Range<usize>) -> usize {
        let points = self.fields(range).filter_map(|field| match field.place {
            Place::Point(code) => Some(code),
            _ => None,
        });
        let counts = points.map(|code| {
            let keys = self.report.points.iter().map(|(key, _)| key);
            keys.filter(|key| **key == OwnedKey::Code(code)).count()
        });
        counts.max().unwrap_or(0)
    }

    /// What a field is to say: its point, or what the report says of the whole frame.
    fn value(&self, field: &Field, nth: usize) -> Option<Value<'a>> {
        let is_time = field.keep_moment.is_some()
            || matches!(field.source, Source::Wire(Kind::Calendar(_), _));
        match &field.place {
            Place::Point(code) if self.nth(*code, nth).is_some() => self.nth(*code, nth),
            Place::Head(name) if **name == *"address" => Some(Value::Text(self.report.address)),
            Place::Head(name) if **name == *"serial" => {
                Some(Value::Whole(i64::from(self.report.serial)))
            }
            _ if is_time => Some(Value::Time(Moment::Unix(self.report.at))),
            _ => None,
        }
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        let end = at + bytes.len();
        if self.out.len() < end {
            self.out.resize(end, 0);
        }
        let places = self.out.iter_mut().skip(at).zip(bytes);
        places.for_each(|(place, byte)| *place = *byte);
    }

    fn steps(
        &mut self,
        range: Range<usize>,
        element: Element,
        from: usize,
    ) -> Result<usize, String> {
        let plan = self.plan;
        let nth = element.nth.unwrap_or(0);
        let mut cursor = from;
        let mut at = range.start;
        while let Some(op) = plan.ops.get(at).filter(|_| at < range.end) {
            let children = at + 1..op.end;
            let is_present = self.is_present(at..op.end, nth);
            at = op.end;
            if let Some(when) = &op.when {
                let left = if is_present { usize::MAX } else { 0 };
                if !when.holds(&self.words, left) {
                    continue;
                }
            }
            let place = op.at.map_or(cursor, |at| element.origin + at);
            cursor = match &op.step {
                Step::Field(field) => self.field(field, nth, place)?,
                Step::Skip(bytes) => {
                    self.put(place, &vec![0; *bytes]);
                    place + bytes
                }
                Step::Group => self.steps(children, element, place)?,
                Step::Repeat(repeat) => {
                    let count = match repeat.count {
                        Count::Fixed(count) => count,
                        _ => self.occurrences(children.clone()),
                    };
                    (0..count).try_fold(place, |at, nth| self.element(children.clone(), nth, at))?
                }
                Step::Tlv(tlv) => self.row(tlv, children, element.nth, place)?,
            };
        }
        Ok(cursor)
    }

    fn element(&mut self, steps: Range<usize>, nth: usize, at: usize) -> Result<usize, String> {
        let kept: Vec<_> = self
            .fields(steps.clone())
            .flat_map(|field| [field.keep_word, field.keep_number])
            .flatten()
            .collect();
        for slot in kept {
            if let Some(demand) = self.demands.get_mut(slot) {
                *demand = 0;
            }
        }
        self.demand(steps.clone(), nth)?;
        self.steps(
            steps,
            Element {
                origin: at,
                nth: Some(nth),
            },
            at,
        )?;
        Ok(self.out.len().max(at))
    }

    fn row(
        &mut self,
        tlv: &Tlv,
        children: Range<usize>,
        nth: Option<usize>,
        at: usize,
    ) -> Result<usize, String> {
        let mut cursor = at;
        let mut child = children.start;
        while let Some(op) = self.plan.ops.get(child).filter(|_| child < children.end) {
            let steps = child..op.end;
            child = op.end;
            let key = tlv
                .entries
                .iter()
                .find(|(_, op)| *op == steps.start)
                .map_or(0, |(key, _)| *key);
            let all = nth.map_or_else(|| 0..self.occurrences(steps.clone()), |nth| nth..nth + 1);
            for nth in all
                .filter(|nth| self.is_present(steps.clone(), *nth))
                .collect::<Vec<_>>()
            {
                self.put(
                    cursor,
                    &to_ordered(key, tlv.key_bytes, super::scalar::Order::Be),
                );
                let length_at = cursor + usize::from(tlv.key_bytes);
                let value_at =
                    length_at + tlv.length.map_or(0, |(kind, _)| usize::from(kind.bytes));
                self.put(length_at, &vec![0; value_at - length_at]);
                cursor = self.element(steps.clone(), nth, value_at)?;
                if let Some((kind, plus)) = tlv.length {
                    let length = i64::try_from(cursor - value_at).unwrap_or(i64::MAX) - plus;
                    let length = u64::try_from(length).map_err(|e| e.to_string())?;
                    self.put(length_at, &to_ordered(length, kind.bytes, kind.order));
                }
            }
        }
        Ok(cursor)
    }
}

fn write_text(text: &Text, report: &Report<'_>) -> Result<Vec<u8>, String> {
    let of = |code: u64| {
        let points = report.points.iter();
        points
            .filter(move |(key, _)| *key == OwnedKey::Code(code))
            .map(|(_, value)| *value)
    };
    let codes = text.columns.iter().filter_map(|column| match column.place {
        Place::Point(code) => Some(code),
        _ => None,
    });
    let records = codes.map(|code| of(code).count()).max().unwrap_or(0).max(1);
    let mut lines = Vec::new();
    for nth in 0..records {
        let mut elements: Vec<(usize, Vec<u8>)> = Vec::new();
        for column in &text.columns {
            let value = match &column.place {
                Place::Point(code) => of(*code).nth(nth),
                Place::Head(name) if **name == *"address" => Some(Value::Text(report.address)),
                Place::Head(_) => Some(Value::Time(Moment::Unix(report.at))),
                Place::Nowhere => None,
            };
            let value = value.map_or_else(
                || Ok(Vec::new()),
                |value| words::text_of(column, value, report),
            )?;
            match &column.field {
                text::Field::Place(place) => elements.push((*place, value)),
                text::Field::Name(name) if !value.is_empty() => {
                    let equals = text.equals.unwrap_or(b'=');
                    elements.push((
                        elements.len(),
                        [name.as_bytes(), &[equals], &value].concat(),
                    ));
                }
                text::Field::Name(_) => {}
            }
        }
        let last = elements.iter().map(|(place, _)| *place).max().unwrap_or(0);
        let row: Vec<Vec<u8>> = (0..=last)
            .map(|place| {
                let element = elements.iter().find(|(known, _)| *known == place);
                element.map(|(_, value)| value.clone()).unwrap_or_default()
            })
            .collect();
        lines.push(row.join(&text.fields));
    }
    let between = text.records.unwrap_or(b'\n');
    match (lines.len(), text.records) {
        (2.., None) => Err("this text layout has one record only".to_owned()),
        _ => Ok(lines.join(&between)),
    }
}

/// A time as the calendar of the device shows it.
fn local(moment: Moment, report: &Report<'_>) -> Report<'static> {
    let (at, east_s) = match moment {
        Moment::Unix(at) => (at, report.east_s),
        Moment::Local(civil) => (civil.at(0).unwrap_or(UnixNanos(0)), 0),
    };
    Report {
        address: "",
        at,
        east_s,
        serial: 0,
        points: &[],
    }
}
