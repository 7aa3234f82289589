//! What of a record one reading tells, and at which time.

use super::{
    super::{super::point::Moment, plan::TimeRule},
    Cell, Clock, FieldTimes, Source, Stage, UnixNanos, Waiting,
};

/// What of a record one reading tells: all without a time of their own, or those of one time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) stage: &'a Stage,
    /// Further values that belong to the reading, by time.
    pub(super) time: Option<UnixNanos>,
    /// Whether the cells belong to it.
    pub(super) cells: Cells,
    pub(super) rule: &'a TimeRule,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cells {
    Told,
    Untold,
}

impl<'a> Part<'a> {
    pub(super) fn get(&self, source: Source) -> Option<&'a Cell> {
        let further = self.time.and_then(|time| {
            self.stage.further.iter().rev().find(|further| {
                further.source == source && self.rule.own(&further.cell) == Some(time)
            })
        });
        match (further, self.cells) {
            (Some(further), _) => Some(&further.cell),
            (None, Cells::Told) => self.stage.get(source),
            (None, Cells::Untold) => None,
        }
    }

    /// The first candidate with a value, or else the first that says there is none.
    pub(super) fn first(&self, from: &[Source]) -> Option<&'a Cell> {
        let mut found = from.iter().filter_map(|source| self.get(*source));
        let first = found.next()?;
        if first.value != Waiting::Missing {
            return Some(first);
        }
        found
            .find(|cell| cell.value != Waiting::Missing)
            .or(Some(first))
    }
}

impl TimeRule {
    /// A value's own time.
    pub(super) fn own(&self, cell: &Cell) -> Option<UnixNanos> {
        match cell.time? {
            Moment::Unix(time) => Some(time),
            Moment::Local(civil) => civil.at(self.east_s),
        }
    }

    /// The times of a record's values that are not the record's own, ascending.
    pub(super) fn others(&self, stage: &Stage, at: Option<UnixNanos>) -> Vec<UnixNanos> {
        if self.fields == FieldTimes::Ignore {
            return Vec::new();
        }
        let further = stage.further.iter();
        let times = further.filter_map(|further| self.own(&further.cell));
        let mut times: Vec<UnixNanos> = times.filter(|time| Some(*time) != at).collect();
        times.sort_unstable();
        times.dedup();
        times
    }

    /// The time of a record; none if it has none that can be read.
    pub(super) fn of(&self, stage: &Stage, received_at: UnixNanos) -> Option<UnixNanos> {
        let clock = Clock {
            east_s: self.east_s,
            received_at,
        };
        self.from.iter().find_map(|source| {
            let value = stage.value(stage.get(*source)?);
            self.formats
                .iter()
                .find_map(|format| format.parse(&value, clock))
        })
    }
}
