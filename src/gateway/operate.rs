//! What an operator does to the quarantine: replay and purge, on the open spool, whether a running daemon or a command
//! on its own has it open. Page by page, each page one durable batch, so that it can be stopped between two pages and
//! begun again; what is done is not done twice.
//!
//! Entries that the bounds of today's command do not reach are those that were put in after it began: a replay that puts
//! remainders back does not meet them.

use std::{collections::BTreeMap, ops::ControlFlow};

use serde::{Deserialize, Serialize};

use crate::{
    domain::QuarantineReason,
    ingest::{Replay, Trust},
    spool::{Fate, Page, Quarantine, Quarantined, Released, Selection, SpoolError},
};

/// Reasons that a replay leaves aside unless they are named: for a mended profile does not mend them.
const TO_BE_NAMED: [QuarantineReason; 2] = [
    QuarantineReason::PlatformRefused,
    QuarantineReason::DeviceRights,
];

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Read entries again, and deliver what now reads.
    Replay,
    /// The same; a sender may speak for whichever device its payload names.
    ReplayVouched,
    /// Throw entries away.
    Purge,
}

/// Whether it is done or only tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Earnest {
    /// It is done.
    Done,
    /// Nothing is changed; the summary says what would be.
    Tried,
}

/// An operator's request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// What.
    pub action: Action,
    /// Whether.
    pub earnest: Earnest,
    /// To which entries.
    pub selection: Selection,
}

/// What came of a request, so far or in the end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Entries looked at.
    pub entries: u64,
    /// Entries that were replayed or, by a purge, thrown away.
    pub released: u64,
    /// Readings that came of them.
    pub readings: u64,
    /// Readings, or whole entries without any, that a rule leaves out.
    pub suppressed: u64,
    /// Parts of replayed entries that went back into quarantine.
    pub kept_parts: u64,
    /// Entries that cannot be read, by today's reason.
    pub unreadable: BTreeMap<String, u64>,
    /// Entries of reasons that a replay takes only by name.
    pub aside: u64,
    /// Entries that were gone when their turn came.
    pub gone: u64,
    /// Why it ended before the last entry.
    pub stopped: Option<String>,
}

/// Carries a request out; tells how far it is after each page, and ends if it is told to.
pub(super) fn operate(
    quarantine: &Quarantine,
    request: &Request,
    replay: impl FnOnce(Trust) -> Replay,
    mut tell: impl FnMut(&Summary) -> ControlFlow<()>,
) -> Result<Summary, SpoolError> {
    let mut work = Work {
        quarantine,
        request,
        replay: match request.action {
            Action::Replay => Some(replay(Trust::Own)),
            Action::ReplayVouched => Some(replay(Trust::Vouched)),
            Action::Purge => None,
        },
        left: request.selection.limit.unwrap_or(u64::MAX),
        end: quarantine.end()?,
        summary: Summary::default(),
    };
    let mut from = Some(0);
    while let Some(at) = from {
        let page = quarantine.page(&request.selection, at)?;
        from = page.next.filter(|next| *next < work.end);
        work.page(page)?;
        if work.left == 0 || work.summary.stopped.is_some() {
            break;
        }
        if tell(&work.summary).is_break() {
            work.summary.stopped = Some("it was told to stop".to_owned());
            break;
        }
    }
    Ok(work.summary)
}

struct Work<'a> {
    quarantine: &'a Quarantine,
    request: &'a Request,
    /// None: a purge.
    replay: Option<Replay>,
    left: u64,
    end: u64,
    summary: Summary,
}

impl Work<'_> {
    fn page(&mut self, page: Page) -> Result<(), SpoolError> {
        let mut fates = Vec::new();
        for entry in &page.entries {
            if self.left == 0 || entry.id >= self.end {
                break;
            }
            if self.is_aside(entry) {
                self.summary.aside += 1;
                continue;
            }
            self.left -= 1;
            self.summary.entries += 1;
            if let Some(fate) = self.fate(entry) {
                fates.push((entry.id, fate));
            }
        }
        if self.replay.is_none() {
            for id in page.damaged {
                self.summary.entries += 1;
                fates.push((id, Fate::Purge));
            }
        }
        self.release(fates)
    }

    fn is_aside(&self, entry: &Quarantined) -> bool {
        let wanted = &self.request.selection;
        self.replay.is_some()
            && TO_BE_NAMED.contains(&entry.reason)
            && !wanted.reasons.contains(&entry.reason)
            && !wanted.ids.contains(&entry.id)
    }

    /// What is to become of an entry; none if it stays.
    fn fate(&mut self, entry: &Quarantined) -> Option<Fate> {
        let Some(replay) = &mut self.replay else {
            return Some(Fate::Purge);
        };
        match replay.read(entry) {
            Ok(replayed) => Some(Fate::Replay(replayed)),
            Err(reject) => {
                let name = reject.reason.name().to_owned();
                *self.summary.unreadable.entry(name).or_default() += 1;
                None
            }
        }
    }

    fn release(&mut self, fates: Vec<(u64, Fate)>) -> Result<(), SpoolError> {
        let counts: Vec<Count> = fates.iter().map(|(_, fate)| Count::of(fate)).collect();
        let released = match self.request.earnest {
            Earnest::Done if fates.is_empty() => Vec::new(),
            Earnest::Done => self.quarantine.release(fates)?,
            Earnest::Tried => vec![Released::Done; fates.len()],
        };
        for (released, count) in released.into_iter().zip(counts) {
            match released {
                Released::Done => {
                    self.summary.released += 1;
                    self.summary.readings += count.readings;
                    self.summary.suppressed += count.suppressed;
                    self.summary.kept_parts += count.kept_parts;
                }
                Released::Gone => self.summary.gone += 1,
                Released::LaneFull(lane) => {
                    self.summary.stopped = Some(format!("lane {lane} is full"));
                }
            }
        }
        Ok(())
    }
}

/// What comes of an entry.
struct Count {
    readings: u64,
    suppressed: u64,
    kept_parts: u64,
}

impl Count {
    fn of(fate: &Fate) -> Self {
        let Fate::Replay(replayed) = fate else {
            return Self {
                readings: 0,
                suppressed: 0,
                kept_parts: 0,
            };
        };
        let rules = replayed.suppressed.iter().map(|(_, n)| u64::from(*n));
        let (readings, kept_parts) = (replayed.readings(), replayed.rest() as u64);
        let suppressed: u64 = rules.sum();
        let nothing = readings == 0 && kept_parts == 0 && suppressed == 0;
        Self {
            readings,
            suppressed: suppressed + u64::from(nothing),
            kept_parts,
        }
    }
}
