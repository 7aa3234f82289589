//! A payload read by a profile: what comes in and what it comes to. How it is cut: [`super::frames`].

use std::cell::RefCell;

use super::{
    super::{
        classes::Classes,
        memory::Memory,
        payload::{Encoded, Limits, Reject},
        pieces::Waiting,
        point::Value,
    },
    emit::Emission,
    frames::Reading,
    plan::Profile,
    reply::Reply,
    stage::{Reach, Stage},
};
use crate::domain::{PieceId, QuarantineReason, UnixNanos};

/// A publish as a profile sees it.
#[derive(Clone, Copy)]
pub struct Report<'a> {
    /// The topic as published.
    pub topic: &'a str,
    /// Class and device of the topic, where it is `v1/{class}/{device}/up/PROFILE`.
    pub canonical: Option<(&'a str, &'a str)>,
    /// Class and device that published; none for an application.
    pub publisher: Option<(&'a str, &'a str)>,
    /// The bytes.
    pub bytes: &'a [u8],
    /// When they arrived.
    pub received_at: UnixNanos,
    /// What the transport knew.
    pub attributes: &'a [(&'a str, &'a str)],
    /// What is remembered of devices.
    pub memory: Option<&'a Memory>,
    /// Whether the sender may report for a device of a class.
    pub may_report: &'a dyn Fn(&str, &str) -> bool,
}

impl std::fmt::Debug for Report<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Report")
            .field("topic", &self.topic)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

/// A part of a payload that could not be read, or not yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// Where it lies in the payload.
    pub range: std::ops::Range<usize>,
    /// Why.
    pub reject: Reject,
    /// Its name, if it waits for the rest of its frame or message.
    pub piece: Option<PieceId>,
}

impl Unread {
    pub(super) const fn new(range: std::ops::Range<usize>, reject: Reject) -> Self {
        Self {
            range,
            reject,
            piece: None,
        }
    }
}

/// What a payload came to, beside the readings.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Frames that were read; some say nothing of a device's values.
    pub frames: u32,
    /// Records that were for no class of the profile, by its `when`.
    pub skipped: u32,
    /// Points that the profile does not mention.
    pub unmapped: u32,
    /// Bytes between frames.
    pub noise: usize,
    /// Frames that belong into quarantine.
    pub unread: Vec<Unread>,
    /// Pieces of earlier payloads that have become whole with this one: they leave quarantine.
    pub joined: Vec<PieceId>,
    /// What is to be said to devices at once.
    pub says: Vec<Saying>,
    /// What the sender waits for, once all of it is durable.
    pub reply: Option<Reply>,
    waits: Waits,
}

/// What waited on the topic before the payload, and what waits there behind it.
#[derive(Debug, Default)]
struct Waits {
    before: Option<Waiting>,
    behind: Waiting,
}

/// A message to devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saying {
    /// Its topic.
    pub topic: String,
    /// Its payload.
    pub payload: Vec<u8>,
}

impl Outcome {
    /// The payload was placed: what waits now is remembered.
    pub fn keep_pieces(&mut self, profile: &Profile, report: &Report<'_>) {
        let behind = std::mem::take(&mut self.waits.behind);
        self.remember(profile, report, behind);
    }

    /// The payload was not placed and will come again: all is as before.
    pub fn return_pieces(&mut self, profile: &Profile, report: &Report<'_>) {
        let before = self.waits.before.take().unwrap_or_default();
        self.remember(profile, report, before);
    }

    /// Whether a part of a frame or message waited for this payload, or waits now.
    #[must_use]
    pub fn had_pieces(&self) -> bool {
        self.waits.before.is_some() || self.unread.iter().any(|unread| unread.piece.is_some())
    }

    fn remember(&self, profile: &Profile, report: &Report<'_>, waiting: Waiting) {
        if let Some(memory) = report.memory
            && profile.codec.comes_in_pieces()
        {
            let pieces = memory.pieces();
            pieces.keep(&waiting_on(profile, report), waiting, report.received_at);
        }
    }
}

thread_local! {
    static STAGE: RefCell<Stage> = RefCell::default();
}

impl Profile {
    /// Appends the payload's readings to `out`. Frames stand for themselves: one that cannot be read leaves the others. What
    /// waited on the topic for this payload is taken from the memory; whoever calls says afterwards whether the outcome
    /// counts ([`Outcome::keep_pieces`], [`Outcome::return_pieces`]).
    pub fn read(
        &self,
        report: &Report<'_>,
        (classes, limits): (&Classes, &Limits),
        out: &mut Encoded,
    ) -> Outcome {
        let before = self.waiting(report);
        STAGE.with_borrow_mut(|stage| {
            stage.begin(self.sources.len());
            self.stage_topic(report, stage);
            let emission = Emission::new(self, classes, limits, report, out);
            let mut reading = Reading {
                profile: self,
                report,
                stage,
                emission,
                outcome: Outcome::default(),
                waiting: Waiting::default(),
            };
            reading.whole_payload(before.as_ref());
            let mut outcome = reading.outcome;
            outcome.unmapped = reading.stage.unmapped;
            outcome.skipped = reading.emission.skipped();
            self.judge_whole(report, &reading.emission, &mut outcome);
            outcome.waits = Waits {
                before,
                behind: reading.waiting,
            };
            outcome
        })
    }

    fn waiting(&self, report: &Report<'_>) -> Option<Waiting> {
        let memory = report.memory.filter(|_| self.codec.comes_in_pieces())?;
        let pieces = memory.pieces();
        (!pieces.is_empty())
            .then(|| pieces.take(&waiting_on(self, report), report.received_at))
            .flatten()
    }

    /// A payload that gave nothing at all belongs into quarantine as a whole.
    fn judge_whole(&self, report: &Report<'_>, emission: &Emission<'_>, outcome: &mut Outcome) {
        if !outcome.unread.is_empty() || emission.readings() > 0 {
            return;
        }
        if outcome.frames == 0 && self.codec.is_behind_a_frame(report.bytes) {
            return;
        }
        let reject = if outcome.frames == 0 {
            let detail = format!(
                "no frame of {} in {} bytes",
                self.codec.name(),
                report.bytes.len()
            );
            Reject::new(QuarantineReason::FrameMalformed, detail)
        } else if outcome.skipped > 0 {
            let detail = format!("profile {}: no record meets its conditions", self.id);
            Reject::new(QuarantineReason::NoProfile, detail)
        } else if self.codec.has_frames_without_values() {
            // A heartbeat, a registration: nothing to keep.
            return;
        } else {
            let detail = format!("profile {}: nothing that it asks for", self.id);
            Reject::new(QuarantineReason::Empty, detail)
        };
        let all = 0..report.bytes.len();
        outcome.unread.push(Unread::new(all, reject));
    }

    fn stage_topic(&self, report: &Report<'_>, stage: &mut Stage) {
        let mut put = |name: &str, text: &str| {
            let known = self.captures.iter().find(|(spelled, _)| {
                spelled
                    .strip_prefix("topic.")
                    .is_some_and(|known| known == name)
            });
            if let Some((_, source)) = known {
                stage.put(*source, Value::Text(text), Reach::Payload);
            }
        };
        if let Some((class, device)) = report.canonical {
            put("class", class);
            put("device", device);
        } else {
            // Patterns are told apart before: the first that matches is the one that was meant.
            for pattern in &self.patterns {
                if pattern.matches(report.topic, |_, _| {}) {
                    pattern.matches(report.topic, &mut put);
                    break;
                }
            }
        }
        let Some((class, device)) = report.publisher else {
            return;
        };
        for (spelled, source) in &self.captures {
            match &**spelled {
                "publisher.class" => stage.put(*source, Value::Text(class), Reach::Payload),
                "publisher.device" => stage.put(*source, Value::Text(device), Reach::Payload),
                _ => {}
            }
        }
    }
}

/// The name under which something waits for the rest of it.
fn waiting_on(profile: &Profile, report: &Report<'_>) -> String {
    format!("{}\0{}", profile.id, report.topic)
}
