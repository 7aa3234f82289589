//! A payload read by a profile: cut into frames, each frame's points staged, each record made a reading.

use std::cell::RefCell;

use super::{
    super::{
        classes::Classes,
        codec::{Any, Codec as _, Decoded, Framing, sparkplug::Topic},
        memory::Memory,
        payload::{Encoded, Limits, Reject},
        point::{Key, Point, Sink, Value},
    },
    emit::Emission,
    nested,
    plan::{Profile, Table},
    spec::Unmapped,
    stage::{Reach, Stage},
};
use crate::domain::{QuarantineReason, UnixNanos};

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

/// A part of a payload that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// Where it lies in the payload.
    pub range: std::ops::Range<usize>,
    /// Why.
    pub reject: Reject,
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
    /// What is to be said to devices at once.
    pub says: Vec<Saying>,
}

/// A message to devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saying {
    /// Its topic.
    pub topic: String,
    /// Its payload.
    pub payload: Vec<u8>,
}

thread_local! {
    static STAGE: RefCell<Stage> = RefCell::default();
}

impl Profile {
    /// Appends the payload's readings to `out`. Frames stand for themselves: one that cannot be read leaves the others.
    pub fn read(
        &self,
        report: &Report<'_>,
        (classes, limits): (&Classes, &Limits),
        out: &mut Encoded,
    ) -> Outcome {
        STAGE.with_borrow_mut(|stage| {
            let mut outcome = Outcome::default();
            stage.begin(self.sources.len());
            self.stage_topic(report, stage);
            let mut emission = Emission::new(self, classes, limits, report, out);
            let mut at = 0;
            loop {
                let rest = report.bytes.get(at..).unwrap_or_default();
                match self.codec.frame(rest) {
                    Framing::Frame { skip, len } => {
                        outcome.noise += skip;
                        let range = at + skip..at + skip + len;
                        at = range.end.max(at + 1);
                        let frame = report.bytes.get(range.clone()).unwrap_or_default();
                        stage.open(Reach::Frame);
                        let mark = emission.mark();
                        let heard = (frame, report);
                        let read = self.frame(heard, stage, &mut emission, &mut outcome.says);
                        outcome.frames += u32::from(read.is_ok());
                        if let Err(reject) = read {
                            emission.rewind(mark);
                            outcome.unread.push(Unread { range, reject });
                        }
                    }
                    Framing::Partial { skip } => {
                        outcome.noise += skip;
                        outcome
                            .unread
                            .push(incomplete(at + skip, report.bytes.len()));
                        break;
                    }
                    Framing::Nothing => {
                        outcome.noise += rest.len();
                        break;
                    }
                }
            }
            outcome.unmapped = stage.unmapped;
            outcome.skipped = emission.skipped();
            self.judge_whole(report, &emission, &mut outcome);
            outcome
        })
    }

    fn frame(
        &self,
        (frame, report): (&[u8], &Report<'_>),
        stage: &mut Stage,
        emission: &mut Emission<'_>,
        says: &mut Vec<Saying>,
    ) -> Result<(), Reject> {
        let mut listener = Listener {
            profile: self,
            table: &self.table,
            stage,
            emission,
        };
        if let (Any::Sparkplug(_), Some(memory), None) =
            (&self.codec, report.memory, report.canonical)
            && let Some(topic) = Topic::parse(report.topic)?
        {
            let mut births = memory.births();
            let read = births.read(topic, frame, &mut listener);
            // Asked for only where it is wanted, and not again and again.
            if let Some(command) = births.rebirth_command(topic, report.received_at) {
                let (topic, payload) = (command.topic, command.payload);
                says.push(Saying { topic, payload });
            }
            return read.map(|_effect| ());
        }
        match self.codec.decode(frame, &mut listener)? {
            Decoded::Whole => Ok(()),
            Decoded::Part(part) => Err(Reject::new(
                QuarantineReason::FrameIncomplete,
                format!("packet {} of {}", part.number, part.total),
            )),
        }
    }

    /// A payload that gave nothing at all belongs into quarantine as a whole.
    fn judge_whole(&self, report: &Report<'_>, emission: &Emission<'_>, outcome: &mut Outcome) {
        if !outcome.unread.is_empty() || emission.readings() > 0 {
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
        outcome.unread.push(Unread {
            range: 0..report.bytes.len(),
            reject,
        });
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

fn incomplete(start: usize, end: usize) -> Unread {
    let detail = format!("byte {start}: a frame begins whose end is not in the payload");
    Unread {
        range: start..end,
        reject: Reject::new(QuarantineReason::FrameIncomplete, detail),
    }
}

/// What the outer codec speaks to.
struct Listener<'a, 'e> {
    profile: &'a Profile,
    table: &'a Table,
    stage: &'a mut Stage,
    emission: &'a mut Emission<'e>,
}

impl Sink for Listener<'_, '_> {
    #[inline]
    fn head(&mut self, key: Key<'_>, value: Value<'_>) -> Result<(), Reject> {
        if let Some(source) = self.table.get(key) {
            self.stage.put(source, value, Reach::Frame);
        }
        Ok(())
    }

    #[inline]
    fn point(&mut self, point: Point<'_>) -> Result<(), Reject> {
        match self.table.get(point.key) {
            Some(source) => self.stage.point(source, &point),
            None if self.profile.unmapped == Unmapped::Keep => self.emission.keep(&point),
            None => self.stage.unmapped = self.stage.unmapped.saturating_add(1),
        }
        Ok(())
    }

    fn end_record(&mut self) -> Result<(), Reject> {
        if let Some(nested) = &self.profile.nested {
            nested::read(nested, self.stage)?;
        }
        let ended = self.emission.record(self.stage);
        self.stage.open(Reach::Record);
        ended
    }
}
