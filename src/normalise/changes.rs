//! What a payload changed of what is remembered of devices. A payload that is not placed, because the spool has no room just
//! then, or not read to its end, comes again: then nothing of it may be remembered, or an alarm that it raised would not be
//! raised, and a reading that is news would be none.

use super::memory::{Noted, State};
use crate::domain::UnixNanos;

/// Changes in their order; reused from payload to payload.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Names of devices, one behind the other.
    names: String,
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    /// Where the device's name begins.
    name: usize,
    was: Was,
}

/// What something was before.
#[derive(Debug)]
pub(super) enum Was {
    /// Alarms that were not normal.
    Alarms(Vec<(u16, State)>),
    /// When the latest reading that alarms were judged by was observed, Unix nanoseconds.
    JudgedAt(u64),
    /// Values that had been passed on, and when.
    Told(Vec<Noted>, Option<UnixNanos>),
}

impl Changes {
    pub(super) const fn len(&self) -> usize {
        self.steps.len()
    }

    pub(super) fn clear(&mut self) {
        self.names.clear();
        self.steps.clear();
    }

    pub(super) fn add(&mut self, name: &str, was: Was) {
        let begins = self.names.len();
        self.names.push_str(name);
        self.steps.push(Step { name: begins, was });
    }

    /// Takes the last change back: the device's name, and what was before.
    pub(super) fn undo(&mut self, undo: impl FnOnce(&str, Was)) {
        let Some(step) = self.steps.pop() else {
            return;
        };
        undo(self.names.get(step.name..).unwrap_or_default(), step.was);
        self.names.truncate(step.name);
    }
}
