//! Letters from the mailbox to the client, as many as its window and the socket have room for.

use std::sync::Arc;

use bytes::BytesMut;

use super::{
    super::{
        archive::Changes,
        exchange::Exchange,
        line::{Line, Note},
        mailbox::{Room, Taken},
        message::{Letter, packet_id},
        records::{self, LetterRecord},
        wire::Ack,
    },
    Session,
    outbox::{Advance, Moment, NOT_FOUND, Sent},
    too_large,
};
use crate::{broker::wire::Violation, domain::UnixNanos};

/// Bytes of one turn: what is written beyond the socket's own buffer would have to be kept.
const TURN_BYTES: usize = 64 * 1024;

/// Whether mail waits for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mail {
    /// None that is known of.
    None,
    /// Some.
    Waits,
    /// Some, and the client's window is closed.
    Blocked,
}

impl Session {
    /// Sends what waits in the mailbox; returns how many letters were sent.
    pub(crate) fn send_mail(
        &mut self,
        exchange: &Exchange,
        now: UnixNanos,
        (out, letters): (&mut BytesMut, &mut Vec<Letter>),
    ) -> u64 {
        let Some(mailbox) = self.kept.mailbox.clone() else {
            self.mail = Mail::None;
            return 0;
        };
        // Only sessions that outlive their connections have letters that waited.
        let wait_max = mailbox.number.map_or(u64::MAX, |_| exchange.wait_max_ns);
        let moment = Moment {
            now,
            stale_before: UnixNanos(now.0.saturating_sub(wait_max)),
        };
        let mut sent = 0;
        while self.mail == Mail::Waits && out.len() < TURN_BYTES {
            let in_flight = self.kept.outbox.as_ref().map_or(0, |o| o.in_flight());
            let room = Room {
                exchanges: usize::from(self.terms.receive_max).saturating_sub(in_flight),
                bytes: TURN_BYTES.saturating_sub(out.len()),
            };
            self.mail = match mailbox.take(room, &exchange.postage, letters) {
                Taken::Everything => Mail::None,
                Taken::Some if letters.is_empty() => Mail::Blocked,
                Taken::Some => Mail::Waits,
            };
            for letter in letters.drain(..) {
                let position = letter.position;
                let outbox = self.kept.outbox.get_or_insert_default();
                let mut answers = super::answers(&self.terms, out);
                match outbox.send(letter, &mut self.aliases_out, moment, &mut answers) {
                    Sent::Yes => {
                        sent += 1;
                        continue;
                    }
                    Sent::Expired => exchange.metrics.dropped_expired.increment(1),
                    Sent::TooLarge => exchange.metrics.dropped_too_large.increment(1),
                }
                exchange.forget(&mailbox, position);
            }
        }
        sent
    }

    /// Sends what a resumed session owes its client again.
    pub(crate) fn resume(&mut self, exchange: &Exchange, now: UnixNanos, out: &mut BytesMut) {
        let Some(outbox) = &mut self.kept.outbox else {
            return;
        };
        let mut answers = super::answers(&self.terms, out);
        let refused = outbox.resume(&mut self.aliases_out, now, &mut answers);
        if let Some(mailbox) = &self.kept.mailbox {
            for position in refused {
                exchange.metrics.dropped_too_large.increment(1);
                exchange.forget(mailbox, position);
            }
        }
    }

    /// PUBACK, PUBREC or PUBCOMP of the client.
    pub(crate) fn acknowledged(
        &mut self,
        exchange: &Exchange,
        line: &Arc<Line>,
        (ack, id, code): (Ack, u16, u8),
        out: &mut BytesMut,
    ) -> Result<(), Violation> {
        let outbox = self.kept.outbox.as_deref_mut();
        let advance = outbox.map_or(Advance::Nothing, |o| o.acknowledged(ack, id, code));
        let mailbox = self.kept.mailbox.clone();
        match advance {
            Advance::Done(position) => {
                if let Some(mailbox) = &mailbox {
                    exchange.forget(mailbox, position);
                }
                if self.mail == Mail::Blocked {
                    self.mail = Mail::Waits;
                }
                Ok(())
            }
            Advance::Received(position) => {
                let Some(number) = mailbox.and_then(|mailbox| mailbox.number) else {
                    return self.release(packet_id(position), out);
                };
                let mut changes = Changes::default();
                let key = records::letter_key(number.get(), position);
                changes.put(key, records::encode(&LetterRecord::default()));
                let line = Arc::clone(line);
                let release = move || line.note(Note::Pubrel(packet_id(position)));
                exchange.note(changes, release);
                Ok(())
            }
            Advance::Nothing if ack == Ack::Pubrec && code < 0x80 => {
                let mut answers = self.answers(out);
                too_large(answers.ack(Ack::Pubrel, id, NOT_FOUND, None))
            }
            Advance::Nothing | Advance::Underway => Ok(()),
        }
    }

    /// PUBREL of a message that the client has.
    pub(crate) fn release(&mut self, id: u16, out: &mut BytesMut) -> Result<(), Violation> {
        let owed = self.kept.outbox.as_mut().is_some_and(|o| o.release(id));
        if !owed {
            return Ok(());
        }
        too_large(self.answers(out).ack(Ack::Pubrel, id, 0, None))
    }

    /// PUBREL of the client. A session that outlives a restart answers once the identifier is forgotten durably: else
    /// the next message that uses it would be taken for this one.
    pub(crate) fn released(
        &mut self,
        exchange: &Exchange,
        line: &Arc<Line>,
        id: u16,
        out: &mut BytesMut,
    ) -> Result<(), Violation> {
        let known = self.kept.inbox.released(id);
        match (known, self.kept.number) {
            (true, Some(number)) => {
                let mut changes = Changes::default();
                changes.delete(records::received_key(number.get(), id));
                let line = Arc::clone(line);
                exchange.note(changes, move || line.note(Note::Pubcomp(id)));
                Ok(())
            }
            (true, None) => too_large(self.answers(out).ack(Ack::Pubcomp, id, 0, None)),
            (false, _) => too_large(self.answers(out).ack(Ack::Pubcomp, id, NOT_FOUND, None)),
        }
    }

    /// An answer that had to wait until something was durable.
    pub(crate) fn answer(&mut self, note: Note, out: &mut BytesMut) -> Result<(), Violation> {
        match note {
            Note::Suback(id, codes) => too_large(self.answers(out).suback(id, &codes)),
            Note::Unsuback(id, codes) => too_large(self.answers(out).unsuback(id, &codes)),
            Note::Pubrel(id) => self.release(id, out),
            Note::Pubcomp(id) => too_large(self.answers(out).ack(Ack::Pubcomp, id, 0, None)),
        }
    }
}
