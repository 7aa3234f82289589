//! Where the points of a record wait until it is complete: one cell for each source that the profile mentions. Points come
//! in any order, candidates compete, a class may be chosen by the last point; so nothing is decided before the record ends.
//!
//! Cells are not cleared from record to record. Each holds the number of the *scope* that wrote it: topic and headers of
//! the payload, heads of the frame, points of the record. A cell counts while its scope is open.

use std::ops::Range;

use super::{
    super::{
        point::{Moment, Point, Value},
        quality::Quality,
    },
    number::Number,
    spec::{Anchor, Series},
};
use crate::domain::UnixNanos;

/// A source of the profile: its place among the cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Source(pub(super) u16);

/// A value that waits; texts and bytes lie in the stage's buffer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Waiting {
    Missing,
    Bool(bool),
    Number(Number),
    Text(Range<usize>),
    Bytes(Range<usize>),
    Time(Moment),
}

/// A value with what was said about it.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    scope: u64,
    pub(super) value: Waiting,
    pub(super) unit: Option<&'static str>,
    pub(super) quality: Quality,
    pub(super) time: Option<Moment>,
}

impl Default for Cell {
    fn default() -> Self {
        Self {
            scope: 0,
            value: Waiting::Missing,
            unit: None,
            quality: Quality::GOOD,
            time: None,
        }
    }
}

/// A further value of a source: of another time, or one of a series.
#[derive(Debug, Clone)]
pub(super) struct Further {
    pub(super) source: Source,
    pub(super) cell: Cell,
}

/// How far a scope reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Payload,
    Frame,
    Record,
}

/// A scope in force: its number, and how much lay in the buffers when it was opened.
#[derive(Debug, Clone, Copy, Default)]
struct Scope {
    number: u64,
    held: Held,
}

/// How much lies in the buffers.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    texts: usize,
    bytes: usize,
    told: usize,
}

/// The cells, with the buffers behind them. Reused from payload to payload.
#[derive(Debug, Default)]
pub(crate) struct Stage {
    cells: Vec<Cell>,
    pub(super) further: Vec<Further>,
    texts: String,
    bytes: Vec<u8>,
    /// Sources that were told in a scope that is open, some of them twice.
    told: Vec<Source>,
    scopes: [Scope; 3],
    last_scope: u64,
    /// Points that the profile does not mention.
    pub(super) unmapped: u32,
    /// Where a record's device id is written, so that it takes no allocation.
    pub(super) device: String,
    /// Which fields of its class the record in work tells: a bit for each.
    pub(super) fields: Vec<u64>,
}

/// Texts or bytes of one record that wait; what a payload may have anyhow.
const BUFFER_BYTES_KEPT: usize = 64 * 1024;

impl Stage {
    /// Begins a payload for a profile of so many sources.
    pub(super) fn begin(&mut self, sources: usize) {
        if self.cells.len() < sources {
            self.cells.resize_with(sources, Cell::default);
        }
        if self.texts.capacity() > BUFFER_BYTES_KEPT {
            self.texts = String::new();
        }
        if self.bytes.capacity() > BUFFER_BYTES_KEPT {
            self.bytes = Vec::new();
        }
        self.unmapped = 0;
        self.open(Reach::Payload);
    }

    /// Ends the scope and those within it; opens them anew, empty.
    pub(super) fn open(&mut self, reach: Reach) {
        let from = reach as usize;
        let held = match self.scopes.get(from) {
            Some(scope) if reach != Reach::Payload => scope.held,
            _ => Held::default(),
        };
        self.texts.truncate(held.texts);
        self.bytes.truncate(held.bytes);
        self.told.truncate(held.told);
        for scope in self.scopes.iter_mut().skip(from) {
            self.last_scope += 1;
            let number = self.last_scope;
            *scope = Scope { number, held };
        }
        self.further.clear();
    }

    /// The scopes within this one begin behind what it holds now.
    fn settle(&mut self, reach: Reach) {
        let held = Held {
            texts: self.texts.len(),
            bytes: self.bytes.len(),
            told: self.told.len(),
        };
        for scope in self.scopes.iter_mut().skip(reach as usize + 1) {
            scope.held = held;
        }
    }

    fn scope(&self, reach: Reach) -> u64 {
        let scope = self.scopes.get(reach as usize);
        scope.map_or(0, |scope| scope.number)
    }

    /// Sources with a value in force are among these.
    pub(super) fn told(&self) -> &[Source] {
        &self.told
    }

    /// Keeps a value; what a cell holds already in the record becomes a further one if times differ, and is replaced
    /// otherwise.
    pub(super) fn put(&mut self, source: Source, value: Value<'_>, reach: Reach) {
        let cell = Cell {
            scope: self.scope(reach),
            value: self.keep(value),
            ..Cell::default()
        };
        self.place(source, cell);
        if reach != Reach::Record {
            self.settle(reach);
        }
    }

    /// Keeps a point of the record.
    pub(super) fn point(&mut self, source: Source, point: &Point<'_>) {
        let cell = Cell {
            scope: self.scope(Reach::Record),
            value: self.keep(point.value),
            unit: point.unit,
            quality: point.quality,
            time: point.time,
        };
        let is_taken = self
            .cells
            .get(usize::from(source.0))
            .is_some_and(|held| held.scope == cell.scope);
        if cell.time.is_some() || is_taken {
            self.told.push(source);
            self.further.push(Further { source, cell });
        } else {
            self.place(source, cell);
        }
    }

    #[inline]
    fn place(&mut self, source: Source, cell: Cell) {
        self.told.push(source);
        if let Some(place) = self.cells.get_mut(usize::from(source.0)) {
            *place = cell;
        }
    }

    fn keep(&mut self, value: Value<'_>) -> Waiting {
        match value {
            Value::Missing => Waiting::Missing,
            Value::Bool(value) => Waiting::Bool(value),
            Value::Whole(value) => Waiting::Number(Number::whole(value)),
            Value::Large(value) => Waiting::Number(Number::Large(value)),
            Value::Decimal(value) => Waiting::Number(value.into()),
            Value::Real(value) => Waiting::Number(Number::Real(value)),
            Value::Text(text) => {
                let start = self.texts.len();
                self.texts.push_str(text);
                Waiting::Text(start..self.texts.len())
            }
            Value::Bytes(bytes) => {
                let start = self.bytes.len();
                self.bytes.extend_from_slice(bytes);
                Waiting::Bytes(start..self.bytes.len())
            }
            Value::Time(moment) => Waiting::Time(moment),
        }
    }

    /// Gives the values that a source has in this record the times of a series, the earliest first.
    pub(super) fn spread(&mut self, source: Source, anchor: UnixNanos, series: Series) {
        let step = u64::from(series.step_s).saturating_mul(1_000_000_000);
        let others =
            |further: &&mut Further| further.source == source && further.cell.time.is_none();
        let count = self.further.iter_mut().filter(others).count() as u64;
        let first = match series.time_of {
            Anchor::First => anchor.0,
            Anchor::Last => anchor.0.saturating_sub(step.saturating_mul(count)),
        };
        let mut at = first;
        for further in self.further.iter_mut().filter(others) {
            at = at.saturating_add(step);
            further.cell.time = Some(Moment::Unix(UnixNanos(at)));
        }
        let record = self.scope(Reach::Record);
        let Some(cell) = self.cells.get_mut(usize::from(source.0)) else {
            return;
        };
        if first != anchor.0 && cell.scope == record {
            let mut cell = std::mem::take(cell);
            cell.time = Some(Moment::Unix(UnixNanos(first)));
            self.further.push(Further { source, cell });
        }
    }

    /// The value of a source in force.
    #[inline]
    pub(super) fn get(&self, source: Source) -> Option<&Cell> {
        let cell = self.cells.get(usize::from(source.0))?;
        let [payload, frame, record] = &self.scopes;
        let in_force = record.number == cell.scope
            || frame.number == cell.scope
            || payload.number == cell.scope;
        in_force.then_some(cell)
    }

    /// Text that waits.
    pub(super) fn text(&self, range: &Range<usize>) -> &str {
        self.texts.get(range.clone()).unwrap_or_default()
    }

    pub(super) fn bytes(&self, range: &Range<usize>) -> &[u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }

    /// A value that waits, as a codec would say it.
    pub(super) fn value(&self, cell: &Cell) -> Value<'_> {
        match &cell.value {
            Waiting::Missing => Value::Missing,
            Waiting::Bool(value) => Value::Bool(*value),
            Waiting::Text(range) => Value::Text(self.text(range)),
            Waiting::Bytes(range) => Value::Bytes(self.bytes(range)),
            Waiting::Time(moment) => Value::Time(*moment),
            Waiting::Number(number) => number.value(),
        }
    }
}
