//! Letters on their way to the client: what was sent and is not finished, and topic aliases towards the client.
//!
//! ```text
//!  QoS 1:  Sent ──PUBACK──▶ (free)
//!  QoS 2:  Sent ──PUBREC──▶ Releasing ──durable──▶ Released ──PUBCOMP──▶ (free)
//!            └─ PUBREC with a code of 0x80 and above ──▶ (free)
//! ```
//!
//! Releasing is for sessions that outlive a restart: if PUBREL left before the record says so, a restart would send the
//! message again under an identifier that the client has forgotten, and it would count twice.
//!
//! At most the client's receive maximum is in flight; a client that comes back is sent everything in flight again, in
//! the first order ([MQTT-4.4.0-1], [MQTT-4.6.0-1]).

use std::collections::VecDeque;

use rmqtt_codec::types::QoS;

use super::super::{
    message::{Letter, packet_id},
    wire::{Ack, Answers, Outgoing, TooLarge},
};
use crate::domain::UnixNanos;

/// MQTT 5: packet identifier not found.
pub(crate) const NOT_FOUND: u8 = 0x92;

#[derive(Debug)]
enum State {
    Sent(Letter),
    Releasing,
    Released,
}

#[derive(Debug)]
struct Flight {
    id: u16,
    position: u64,
    state: State,
}

/// The state of letters to the client.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    in_flight: VecDeque<Flight>,
}

/// What an acknowledgement of the client did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Advance {
    /// Nothing: it named no exchange.
    Nothing,
    /// The letter at this position is done with.
    Done(u64),
    /// The client has the message; PUBREL is owed.
    Received(u64),
    /// PUBREL is on its way already.
    Underway,
}

/// Now, and since when a message may have waited for a client that was away.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) now: UnixNanos,
    pub(crate) stale_before: UnixNanos,
}

/// What became of a letter that was to be sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It was.
    Yes,
    /// It was too old.
    Expired,
    /// It is larger than the client takes.
    TooLarge,
}

impl Outbox {
    /// Letters in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Sends a letter; one that is too old or larger than the client takes is not sent, as MQTT 5 demands
    /// ([MQTT-3.3.2-5], [MQTT-3.1.2-25]).
    pub(crate) fn send(
        &mut self,
        letter: Letter,
        aliases: &mut Aliases,
        Moment { now, stale_before }: Moment,
        answers: &mut Answers<'_>,
    ) -> Sent {
        let message = &letter.message;
        if !letter.again && (message.is_expired(now) || message.taken_at < stale_before) {
            return Sent::Expired;
        }
        let written = write(&letter, aliases, now, answers);
        if written == Err(TooLarge) {
            return Sent::TooLarge;
        }
        if letter.qos != QoS::AtMostOnce {
            self.in_flight.push_back(Flight {
                id: letter.packet_id(),
                position: letter.position,
                state: State::Sent(letter),
            });
        }
        Sent::Yes
    }

    /// A letter that the client had received before a restart.
    pub(crate) fn load_released(&mut self, position: u64) {
        self.in_flight.push_back(Flight {
            id: packet_id(position),
            position,
            state: State::Released,
        });
    }

    /// Sends everything in flight again; returns the positions of what the client does not take.
    pub(crate) fn resume(
        &mut self,
        aliases: &mut Aliases,
        now: UnixNanos,
        answers: &mut Answers<'_>,
    ) -> Vec<u64> {
        let mut refused = Vec::new();
        self.in_flight.retain_mut(|flight| {
            let written = match &mut flight.state {
                State::Sent(letter) => {
                    letter.again = true;
                    write(letter, aliases, now, answers)
                }
                State::Releasing | State::Released => {
                    flight.state = State::Released;
                    answers.ack(Ack::Pubrel, flight.id, 0, None)
                }
            };
            if written.is_err() {
                refused.push(flight.position);
            }
            written.is_ok()
        });
        refused
    }

    /// PUBACK, PUBREC or PUBCOMP of the client.
    pub(crate) fn acknowledged(&mut self, ack: Ack, id: u16, code: u8) -> Advance {
        let Some(at) = self.in_flight.iter().position(|flight| flight.id == id) else {
            return Advance::Nothing;
        };
        let Some(flight) = self.in_flight.get_mut(at) else {
            return Advance::Nothing;
        };
        let position = flight.position;
        match (ack, &flight.state) {
            (Ack::Pubrec, State::Sent(letter)) if code < 0x80 && letter.qos == QoS::ExactlyOnce => {
                flight.state = State::Releasing;
                Advance::Received(position)
            }
            (Ack::Pubrec, State::Releasing) if code < 0x80 => Advance::Underway,
            // It was lost and comes again: PUBREL does too.
            (Ack::Pubrec, State::Released) if code < 0x80 => Advance::Received(position),
            (Ack::Puback, State::Sent(letter)) if letter.qos == QoS::AtLeastOnce => self.free(at),
            (Ack::Pubrec, State::Sent(_)) | (Ack::Pubcomp, State::Released) => self.free(at),
            // MQTT has no answer to an acknowledgement of nothing.
            _ => Advance::Nothing,
        }
    }

    fn free(&mut self, at: usize) -> Advance {
        let freed = self.in_flight.remove(at);
        if self.in_flight.is_empty() && self.in_flight.capacity() > 16 {
            self.in_flight.shrink_to_fit();
        }
        freed.map_or(Advance::Nothing, |flight| Advance::Done(flight.position))
    }

    /// PUBREL may be sent; `false` if the exchange is over.
    pub(crate) fn release(&mut self, id: u16) -> bool {
        let flight = self.in_flight.iter_mut().find(|flight| flight.id == id);
        flight.is_some_and(|flight| {
            let owed = !matches!(flight.state, State::Sent(_));
            if owed {
                flight.state = State::Released;
            }
            owed
        })
    }

    /// Positions of everything in flight.
    pub(crate) fn positions(&self) -> impl Iterator<Item = u64> {
        self.in_flight.iter().map(|flight| flight.position)
    }
}

fn write(
    letter: &Letter,
    aliases: &mut Aliases,
    now: UnixNanos,
    answers: &mut Answers<'_>,
) -> Result<(), TooLarge> {
    let message = &*letter.message;
    let alias = aliases.of(&message.topic);
    let written = answers.publish(&Outgoing {
        qos: letter.qos,
        id: letter.packet_id(),
        again: letter.again && letter.qos != QoS::AtMostOnce,
        retain: letter.retain,
        topic: match alias {
            Alias::Known(_) => "",
            Alias::None | Alias::New(_) => &message.topic,
        },
        alias: alias.number(),
        expiry_s: message.seconds_left(now),
        subscription_ids: &letter.ids,
        forwarded: &message.forwarded,
        payload: &message.payload,
    });
    if written.is_ok() {
        aliases.told(alias, &message.topic);
    }
    written
}

/// Topic aliases towards a client: the first topics get one; when all are given, the oldest goes to the next topic that
/// comes.
#[derive(Debug, Default)]
pub(crate) struct Aliases {
    max: u16,
    next: u16,
    /// The alias less one is the index.
    topics: Vec<Box<str>>,
}

/// Most aliases kept for one client, whatever it allows: they are searched one by one.
const ALIASES_MAX: u16 = 16;

#[derive(Debug, Clone, Copy)]
enum Alias {
    None,
    /// The client knows it.
    Known(u16),
    /// The client learns it with this packet.
    New(u16),
}

impl Alias {
    const fn number(self) -> Option<u16> {
        match self {
            Self::None => None,
            Self::Known(alias) | Self::New(alias) => Some(alias),
        }
    }
}

impl Aliases {
    /// For a client that takes aliases up to `max`.
    pub(crate) fn new(max: u16) -> Self {
        Self {
            max: max.min(ALIASES_MAX),
            next: 0,
            topics: Vec::new(),
        }
    }

    fn of(&self, topic: &str) -> Alias {
        if self.max == 0 {
            return Alias::None;
        }
        let known = self.topics.iter().position(|known| **known == *topic);
        match known.and_then(|at| u16::try_from(at + 1).ok()) {
            Some(alias) => Alias::Known(alias),
            None => Alias::New(self.next % self.max + 1),
        }
    }

    fn told(&mut self, alias: Alias, topic: &str) {
        let Alias::New(alias) = alias else { return };
        let at = usize::from(alias - 1);
        match self.topics.get_mut(at) {
            Some(known) => *known = Box::from(topic),
            None => self.topics.push(Box::from(topic)),
        }
        self.next = self.next.wrapping_add(1) % self.max;
    }
}
