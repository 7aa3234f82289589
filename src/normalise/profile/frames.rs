//! A payload cut into frames, each frame's points staged, each record made a reading; and what comes in pieces joined.
//!
//! ```text
//!   tail of an earlier payload ┐
//!   payload ───────────────────┴▶ frame ─▶ whole ─▶ points ─▶ records
//!                                 │  └─▶ packet n of m ─▶ the others have come? ─▶ joined ─▶ points
//!                                 └ ends later: waits, and stands in quarantine until the rest has come
//! ```
//! A tail that does not become a sound frame with the payload behind it stays in quarantine, and the payload is read alone.

use std::ops::Range;

use super::{
    super::{
        codec::{Any, Codec as _, Decoded, Framing, Part, malformed, sparkplug::Topic},
        payload::Reject,
        pieces::{Message, Origin, Packet, Waiting},
        point::{Key, Point, Sink, Value},
    },
    emit::Emission,
    nested,
    plan::{Profile, Table},
    read::{Outcome, Report, Saying, Unread},
    reply::Reply,
    spec::Unmapped,
    stage::{Reach, Stage},
};
use crate::domain::{PieceId, QuarantineReason};

/// A payload in work.
pub(super) struct Reading<'a, 'e> {
    pub(super) profile: &'a Profile,
    pub(super) report: &'a Report<'a>,
    pub(super) stage: &'a mut Stage,
    pub(super) emission: Emission<'e>,
    pub(super) outcome: Outcome,
    /// What waits on the topic from now on.
    pub(super) waiting: Waiting,
}

/// The tail of an earlier payload and this one make no sound frame.
struct NotJoined;

/// Bytes to be cut: those of the payload, behind a tail of earlier ones.
#[derive(Clone, Copy)]
struct Cut<'b> {
    bytes: &'b [u8],
    tail: usize,
    tail_pieces: &'b [PieceId],
}

impl Cut<'_> {
    /// Where bytes of a range came from.
    fn origin(&self, range: &Range<usize>) -> Origin {
        let stored = if range.start < self.tail {
            self.tail_pieces.to_vec()
        } else {
            Vec::new()
        };
        Origin {
            stored,
            here: Some(self.here(range)),
        }
    }

    /// The part of a range that is the payload's.
    fn here(&self, range: &Range<usize>) -> Range<usize> {
        range.start.saturating_sub(self.tail)..range.end.saturating_sub(self.tail)
    }
}

impl<'e> Reading<'_, 'e> {
    /// Reads the payload, behind the tail that waited for it if that makes sense.
    pub(super) fn whole_payload(&mut self, before: Option<&Waiting>) {
        let Some(before) = before else {
            return self.alone();
        };
        self.waiting.messages.clone_from(&before.messages);
        if before.tail.is_empty() {
            return self.alone();
        }
        let mark = self.emission.mark();
        let joined = [&before.tail, self.report.bytes].concat();
        let cut = Cut {
            bytes: &joined,
            tail: before.tail.len(),
            tail_pieces: &before.tail_pieces,
        };
        if self.cut(cut).is_err() {
            self.emission.rewind(mark);
            self.outcome = Outcome::default();
            self.waiting = Waiting::default();
            self.waiting.messages.clone_from(&before.messages);
            return self.alone();
        }
        self.name_pieces();
    }

    fn alone(&mut self) {
        let cut = Cut {
            bytes: self.report.bytes,
            tail: 0,
            tail_pieces: &[],
        };
        // Without a tail there is nothing that does not join.
        self.cut(cut).unwrap_or(());
        self.name_pieces();
    }

    fn cut(&mut self, cut: Cut<'_>) -> Result<(), NotJoined> {
        let mut at = 0;
        loop {
            let rest = cut.bytes.get(at..).unwrap_or_default();
            match self.profile.codec.frame(rest) {
                Framing::Frame { skip, len } => {
                    self.outcome.noise += skip;
                    let range = at + skip..at + skip + len;
                    at = range.end.max(at + 1);
                    self.one(cut, range)?;
                }
                Framing::Partial { skip } => {
                    self.outcome.noise += skip;
                    return self.partial(cut, at + skip);
                }
                Framing::Nothing if at < cut.tail => return Err(NotJoined),
                Framing::Nothing => {
                    self.outcome.noise += rest.len();
                    return Ok(());
                }
            }
        }
    }

    /// One frame.
    fn one(&mut self, cut: Cut<'_>, range: Range<usize>) -> Result<(), NotJoined> {
        let is_joined = range.start < cut.tail;
        if cut.tail > 0 && self.outcome.frames == 0 && range.start > 0 {
            return Err(NotJoined);
        }
        let frame = cut.bytes.get(range.clone()).unwrap_or_default();
        self.stage.open(Reach::Frame);
        let mark = self.emission.mark();
        match self.frame(frame, &cut.origin(&range)) {
            Ok(()) => {
                self.outcome.frames += 1;
                Ok(())
            }
            Err(_) if is_joined => Err(NotJoined),
            Err(reject) => {
                self.emission.rewind(mark);
                self.outcome
                    .unread
                    .push(Unread::new(cut.here(&range), reject));
                Ok(())
            }
        }
    }

    /// The beginning of a frame whose end is still to come.
    fn partial(&mut self, cut: Cut<'_>, start: usize) -> Result<(), NotJoined> {
        let is_joined = start < cut.tail;
        if is_joined && start > 0 {
            return Err(NotJoined);
        }
        let range = start..cut.bytes.len();
        let here = cut.here(&range);
        let detail = format!(
            "byte {}: a frame begins whose end is not in the payload",
            here.start
        );
        let reject = Reject::new(QuarantineReason::FrameIncomplete, detail);
        let mut unread = Unread::new(here, reject);
        if let Some(memory) = self.report.memory {
            let name = memory.pieces().name();
            let earlier = if is_joined { cut.tail_pieces } else { &[] };
            let bytes = cut.bytes.get(range).unwrap_or_default();
            if self.waiting.keep_tail(bytes, earlier.to_vec(), name) {
                unread.piece = Some(name);
            }
        }
        self.outcome.unread.push(unread);
        Ok(())
    }

    fn frame(&mut self, frame: &[u8], origin: &Origin) -> Result<(), Reject> {
        let profile = self.profile;
        let report = self.report;
        if let (Any::Sparkplug(_), Some(memory), None) =
            (&profile.codec, report.memory, report.canonical)
            && let Some(topic) = Topic::parse(report.topic)?
        {
            let mut births = memory.births();
            let read = births.read(topic, frame, &mut self.listener());
            // Asked for only where it is wanted, and not again and again.
            if let Some(command) = births.rebirth_command(topic, report.received_at) {
                let (topic, payload) = (command.topic, command.payload);
                self.outcome.says.push(Saying { topic, payload });
            }
            return read.map(|_effect| ());
        }
        match profile.codec.decode(frame, &mut self.listener())? {
            Decoded::Whole => {
                self.outcome.joined.extend(&origin.stored);
                Ok(())
            }
            Decoded::Part(part) => self.packet(frame, &part, origin),
        }
    }

    /// A packet of a message; the message is read if it is the last that was missing.
    fn packet(&mut self, frame: &[u8], part: &Part<'_>, origin: &Origin) -> Result<(), Reject> {
        if part.number == 0 || part.number > part.total {
            return Err(malformed(
                0,
                format_args!("packet {} of {}", part.number, part.total),
            ));
        }
        let packet = Packet::new(part.body, origin.clone());
        let place = (part.message, part.number, part.total);
        let added = self.waiting.add(place, frame, packet);
        // The one that came again is as good.
        if let Some(replaced) = added.replaced {
            self.outcome.joined.extend(replaced.origin.stored);
        }
        for message in added.given_up {
            self.give_up(&message, None);
        }
        let Some(message) = added.complete else {
            return Ok(());
        };
        let Some((first, body)) = message.joined() else {
            return Ok(());
        };
        let mark = self.emission.mark();
        let read = self
            .profile
            .codec
            .decode_joined(first, &body, &mut self.listener());
        match read {
            Ok(()) => {
                for packet in message.packets.values() {
                    self.outcome.joined.extend(&packet.origin.stored);
                }
            }
            Err(reject) => {
                self.emission.rewind(mark);
                self.give_up(&message, Some(&reject));
            }
        }
        Ok(())
    }

    /// What of a message came with this payload belongs into quarantine; the rest is there.
    fn give_up(&mut self, message: &Message, reject: Option<&Reject>) {
        for (number, packet) in &message.packets {
            let Some(here) = &packet.origin.here else {
                continue;
            };
            let reject = reject.cloned();
            let reject = reject.unwrap_or_else(|| missing(*number, message.total));
            self.outcome.unread.push(Unread::new(here.clone(), reject));
        }
    }

    /// Packets of this payload whose message is not complete get names, by which a later payload may call them.
    fn name_pieces(&mut self) {
        let memory = self.report.memory;
        for message in &mut self.waiting.messages {
            for (number, packet) in &mut message.packets {
                let Some(here) = packet.origin.here.take() else {
                    continue;
                };
                let mut unread = Unread::new(here, missing(*number, message.total));
                unread.piece = memory.map(|memory| memory.pieces().name());
                packet.origin.stored.extend(unread.piece);
                self.outcome.unread.push(unread);
            }
        }
    }

    const fn listener(&mut self) -> Listener<'_, 'e> {
        Listener {
            profile: self.profile,
            table: &self.profile.table,
            stage: self.stage,
            emission: &mut self.emission,
            reply: &mut self.outcome.reply,
        }
    }
}

fn missing(number: u16, total: u16) -> Reject {
    let detail = format!("packet {number} of {total}: the others have not come");
    Reject::new(QuarantineReason::FrameIncomplete, detail)
}

/// What the outer codec speaks to.
struct Listener<'a, 'e> {
    profile: &'a Profile,
    table: &'a Table,
    stage: &'a mut Stage,
    emission: &'a mut Emission<'e>,
    reply: &'a mut Option<Reply>,
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
        if let (Some(plan), None) = (&self.profile.reply, &self.reply) {
            *self.reply = plan.render(self.stage);
        }
        let ended = self.emission.record(self.stage);
        self.stage.open(Reach::Record);
        ended
    }
}
