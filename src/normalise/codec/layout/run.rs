//! Going through a plan over one frame.
//!
//! Linear in the frame's bytes for a given plan: an element of a repetition ends behind the furthest byte that was read
//! in it, whatever `at` did, and one that reads nothing ends the repetition.

mod fields;

use std::ops::Range;

use super::{
    super::{
        super::{
            payload::Reject,
            point::{Key, Moment, Sink, Value},
        },
        malformed,
    },
    options::Trailing,
    plan::{Count, MOMENTS_MAX, Plan, Repeat, Step, Tlv, WORDS_MAX, Words},
};

/// A frame in work.
#[derive(Debug)]
pub(super) struct Run<'p, 'f, S> {
    plan: &'p Plan,
    frame: &'f [u8],
    sink: &'p mut S,
    words: Words,
    moments: [Option<Moment>; MOMENTS_MAX],
    /// Behind the furthest byte that was read in the element in work.
    far: usize,
    /// Points have been given since the last record ended.
    is_open: bool,
    flow: Flow,
}

/// The element that offsets are counted in.
#[derive(Debug, Clone, Copy)]
struct Scope {
    origin: usize,
    end: usize,
    /// Later than the time that it refers to.
    shift_s: i64,
}

/// Whether steps follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    /// An unknown key has ended the frame.
    Over,
}

impl<'p, 'f, S: Sink> Run<'p, 'f, S> {
    pub(super) fn new(plan: &'p Plan, frame: &'f [u8], sink: &'p mut S) -> Self {
        Self {
            plan,
            frame,
            sink,
            words: [None; WORDS_MAX],
            moments: [None; MOMENTS_MAX],
            far: 0,
            is_open: false,
            flow: Flow::On,
        }
    }

    /// Reads the body from a place to an end.
    pub(super) fn body(mut self, body: Range<usize>, trailing: Trailing) -> Result<(), Reject> {
        let scope = Scope {
            origin: 0,
            end: body.end,
            shift_s: 0,
        };
        self.steps(0..self.plan.ops.len(), scope, body.start)?;
        if trailing == Trailing::Refuse && self.flow == Flow::On && self.far < body.end {
            return Err(malformed(self.far, "bytes behind the last value"));
        }
        self.end_record()
    }

    fn end_record(&mut self) -> Result<(), Reject> {
        if std::mem::take(&mut self.is_open) {
            self.sink.end_record()?;
        }
        Ok(())
    }

    /// Goes through steps that are siblings; gives the place behind the last.
    fn steps(&mut self, range: Range<usize>, scope: Scope, from: usize) -> Result<usize, Reject> {
        let plan = self.plan;
        let mut cursor = from;
        let mut at = range.start;
        while let Some(op) = plan.ops.get(at).filter(|_| at < range.end) {
            let children = at + 1..op.end;
            let before = at;
            at = op.end;
            let place = op.at.map_or(cursor, |at| scope.origin.saturating_add(at));
            let left = scope.end.saturating_sub(place);
            if op
                .when
                .as_ref()
                .is_some_and(|when| !when.holds(&self.words, left))
            {
                self.forget(before..op.end);
                continue;
            }
            cursor = match &op.step {
                Step::Field(field) => self.field(field, scope, place)?,
                Step::Skip(bytes) => {
                    self.bytes(place, *bytes, scope)?;
                    place.saturating_add(*bytes)
                }
                Step::Group => self.steps(children, scope, place)?,
                Step::Repeat(repeat) => self.repeat(repeat, children, scope, place)?,
                Step::Tlv(tlv) => self.row(tlv, scope, place)?,
            };
            if self.flow == Flow::Over {
                break;
            }
        }
        Ok(cursor)
    }

    /// Words of steps that are passed over are not those of an element before.
    fn forget(&mut self, range: Range<usize>) {
        let plan = self.plan;
        for op in plan.ops.get(range).unwrap_or_default() {
            if let Step::Field(field) = &op.step {
                self.keep(field.keep_word, None);
                self.keep(field.keep_number, None);
            }
        }
    }

    fn keep(&mut self, slot: Option<usize>, word: Option<i128>) {
        if let Some(place) = slot.and_then(|slot| self.words.get_mut(slot)) {
            *place = word;
        }
    }

    #[inline]
    fn bytes(&mut self, at: usize, count: usize, scope: Scope) -> Result<&'f [u8], Reject> {
        let end = at.saturating_add(count);
        let taken = self.frame.get(at..end).filter(|_| end <= scope.end);
        let taken = taken.ok_or_else(|| malformed(at, format_args!("{count} bytes are wanted")))?;
        self.far = self.far.max(end);
        Ok(taken)
    }

    fn count(&self, count: Count, rest: usize, at: usize) -> Result<usize, Reject> {
        match count {
            Count::Fixed(count) => Ok(count),
            Count::Rest => Ok(rest),
            Count::Word(slot) => {
                let word = self.words.get(slot).copied().flatten();
                let word = word.ok_or_else(|| malformed(at, "its length or count was not read"))?;
                usize::try_from(word).map_err(|_negative| {
                    malformed(at, format_args!("{word} is no length or count"))
                })
            }
        }
    }

    fn repeat(
        &mut self,
        repeat: &Repeat,
        children: Range<usize>,
        scope: Scope,
        from: usize,
    ) -> Result<usize, Reject> {
        let count = match repeat.count {
            Count::Rest => usize::MAX,
            count => self.count(count, 0, from)?,
        };
        let is_to_end = repeat.count == Count::Rest;
        let mut cursor = from;
        let mut shift_s = scope.shift_s;
        for _ in 0..count {
            if is_to_end && cursor >= scope.end {
                break;
            }
            let element = Scope {
                origin: cursor,
                end: scope.end,
                shift_s,
            };
            let next = self.element(children.clone(), element, cursor)?;
            if repeat.is_record {
                self.end_record()?;
            }
            if self.flow == Flow::Over || next <= cursor {
                break;
            }
            cursor = next;
            shift_s = shift_s.saturating_add(repeat.step_s);
        }
        Ok(cursor)
    }

    /// Reads steps as an element of its own; gives the place behind the furthest byte that was read.
    fn element(&mut self, steps: Range<usize>, scope: Scope, from: usize) -> Result<usize, Reject> {
        let before = std::mem::replace(&mut self.far, from);
        self.steps(steps, scope, from)?;
        let end = self.far;
        self.far = end.max(before);
        Ok(end)
    }

    fn row(&mut self, tlv: &Tlv, scope: Scope, from: usize) -> Result<usize, Reject> {
        let mut cursor = from;
        while cursor < scope.end {
            let raw = self.bytes(cursor, usize::from(tlv.key_bytes), scope)?;
            let key = raw
                .iter()
                .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte))
                & tlv.mask;
            let mut at = cursor.saturating_add(raw.len());
            let mut end = None;
            if let Some((kind, plus)) = tlv.length {
                let field = self.bytes(at, usize::from(kind.bytes), scope)?;
                let value_at = at.saturating_add(field.len());
                let length = kind.read(field) + i128::from(plus);
                let length = usize::try_from(length)
                    .map_err(|_negative| malformed(at, format_args!("{length} is no length")))?;
                self.bytes(value_at, length, scope)?;
                at = value_at;
                end = Some(value_at.saturating_add(length));
            }
            let entry = tlv.entries.binary_search_by_key(&key, |(key, _)| *key).ok();
            let entry = entry
                .and_then(|place| tlv.entries.get(place))
                .map(|(_, op)| *op);
            cursor = match (entry, end) {
                (None, None) => {
                    let rest = self.frame.get(cursor..scope.end).unwrap_or_default();
                    self.sink.head(Key::Name("unread"), Value::Bytes(rest))?;
                    self.flow = Flow::Over;
                    break;
                }
                (None, Some(end)) => end,
                (Some(op), end) => {
                    let element = Scope {
                        origin: at,
                        end: end.unwrap_or(scope.end),
                        ..scope
                    };
                    let behind = self.plan.ops.get(op).map_or(op, |op| op.end);
                    let read = self.element(op..behind, element, at)?;
                    end.unwrap_or(read)
                }
            };
            if self.flow == Flow::Over {
                break;
            }
        }
        Ok(cursor)
    }
}
