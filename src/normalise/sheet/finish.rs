//! A sheet that is complete becomes a reading's bytes, or is left out because it says nothing new.

use super::{
    super::{
        memory::{Memory, Noted},
        payload::{Encoded, Reject},
        quality::Quality,
        wire,
    },
    OBSERVED_AT, READINGS, RECEIVED_AT, Sheet, TIME_SOURCE, TIME_SOURCE_ARRIVAL,
    TIME_SOURCE_DEVICE, TIMES_BYTES, VALUE,
};
use crate::domain::{QuarantineReason, UnixNanos};

impl Sheet<'_> {
    /// Ends the reading: judges its time and appends it.
    pub(in crate::normalise) fn finish(&mut self) -> Result<(), Reject> {
        if self.fields == 0 && self.out.scratch.qualities.is_empty() {
            let detail = format!("no value for any field of class {}", self.class.id());
            return Err(Reject::new(QuarantineReason::Empty, detail));
        }
        if self.readings == self.limits.readings_per_payload_max {
            let detail = format!("more than {} readings in one payload", self.readings);
            return Err(Reject::new(QuarantineReason::TooLarge, detail));
        }
        let (observed_at, source) = match self.observed_at {
            Some(observed_at) => (observed_at, TIME_SOURCE_DEVICE),
            None => (self.received_at, TIME_SOURCE_ARRIVAL),
        };
        if observed_at.abs_diff(self.received_at) > self.limits.skew_max {
            self.out.skewed += 1;
            self.flag(0, Quality::TIME_SKEWED);
        }
        if !self.out.scratch.noted.is_empty() && self.is_stale(observed_at) {
            self.out.suppressed[self.lane] += 1;
            self.readings += 1;
            self.clear();
            return Ok(());
        }
        self.append(observed_at, source)?;
        self.out.ran(self.lane, self.class.index());
        self.lane = self.class.lane();
        self.readings += 1;
        self.out.count += 1;
        self.clear();
        Ok(())
    }

    /// Judges alarms by the values noted; whether the reading says nothing new.
    fn is_stale(&mut self, at: UnixNanos) -> bool {
        let Some(memory) = self.memory else {
            return false;
        };
        let mut name = std::mem::take(&mut self.out.scratch.name);
        let noted = std::mem::take(&mut self.out.scratch.noted);
        name.clear();
        name.push_str(self.class.id());
        name.push('/');
        name.push_str(self.device);
        self.judge_alarms((memory, &noted), (&name, at));
        let is_plain = self.out.scratch.qualities.is_empty() && self.lane == self.class.lane();
        let is_news = self.news.is_none_or(|news| {
            let times = (news.heartbeat_ns, at);
            memory.is_news(&name, (&noted, news.bands), times, &mut self.out.changes) || !is_plain
        });
        self.out.scratch.name = name;
        self.out.scratch.noted = noted;
        !is_news
    }

    /// Raises and clears alarms.
    fn judge_alarms(&mut self, (memory, noted): (&Memory, &[Noted]), of: (&str, UnixNanos)) {
        let plan = &self.class.plan;
        let rules = noted.iter().flat_map(|&(number, value)| {
            let slot = plan.by_number(number);
            let rules = slot.map_or(&[][..], |(_, slot)| &slot.thresholds);
            rules.iter().map(move |rule| (number, value, rule))
        });
        let mut values = rules
            .clone()
            .map(|(_, value, rule)| (&rule.threshold, value))
            .peekable();
        if values.peek().is_none() {
            return;
        }
        let mut changes = std::mem::take(&mut self.out.changes);
        memory.judge(of, values, &mut changes, |place, crossing| {
            if let Some((number, _, rule)) = rules.clone().nth(place) {
                self.put_alarm(&rule.code, rule.level, (number, crossing));
            }
        });
        self.out.changes = changes;
    }

    fn append(&mut self, observed_at: UnixNanos, source: u8) -> Result<(), Reject> {
        let Encoded { bytes, scratch, .. } = &mut *self.out;
        let value = scratch.value.len();
        let length = scratch.head.len()
            + TIMES_BYTES
            + (1 + wire::varint_bytes(value as u64) + value)
            + scratch.qualities.len()
            + scratch.attributes.bytes.len()
            + scratch.tail.len();
        if length > self.limits.reading_bytes_max {
            let detail = format!(
                "the reading takes {length} bytes, at most {} are taken",
                self.limits.reading_bytes_max
            );
            return Err(Reject::new(QuarantineReason::TooLarge, detail));
        }
        bytes.reserve(length + 11);
        bytes.push(READINGS);
        wire::put_varint(bytes, length as u64);
        bytes.extend_from_slice(&scratch.head);
        bytes.push(OBSERVED_AT);
        bytes.extend_from_slice(&observed_at.0.to_le_bytes());
        bytes.push(RECEIVED_AT);
        bytes.extend_from_slice(&self.received_at.0.to_le_bytes());
        bytes.extend_from_slice(&[TIME_SOURCE, source, VALUE]);
        wire::put_bytes(bytes, &scratch.value);
        bytes.extend_from_slice(&scratch.qualities);
        bytes.extend_from_slice(&scratch.attributes.bytes);
        bytes.extend_from_slice(&scratch.tail);
        Ok(())
    }
}
