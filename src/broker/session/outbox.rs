//! Messages to the client, with the state of `QoS` 1 and 2 exchanges.
//!
//! ```text
//!  QoS 1:  Sent ──PUBACK──▶ (free)
//!  QoS 2:  Sent ──PUBREC──▶ Released ──PUBCOMP──▶ (free)      PUBREC with a code of 0x80 and above: (free)
//! ```
//!
//! At most the client's receive maximum is in flight; a client that comes back is sent everything in flight again, in
//! the first order.

use std::{collections::VecDeque, sync::Arc};

use rmqtt_codec::types::QoS;

use super::{Grant, Queued};
use crate::broker::{
    line::{MAIL_MAX, Message},
    wire::{Ack, Answers, PublishHead, TooLarge},
};

/// MQTT 5: packet identifier not found.
pub(crate) const NOT_FOUND: u8 = 0x92;

/// Most exchanges in flight to one client, whatever it allows.
const IN_FLIGHT_MAX: u16 = 64;

#[derive(Debug)]
enum State {
    Sent(Arc<Message>, QoS),
    Released,
}

/// The state of messages to the client.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: VecDeque<Arc<Message>>,
    in_flight: VecDeque<(u16, State)>,
    last_id: u16,
}

impl Outbox {
    /// How many messages may be sent now.
    pub(crate) fn window(&self, receive_max: u16) -> usize {
        if self.waiting.is_empty() {
            self.room(receive_max)
        } else {
            0
        }
    }

    fn room(&self, receive_max: u16) -> usize {
        usize::from(receive_max.min(IN_FLIGHT_MAX)).saturating_sub(self.in_flight.len())
    }

    /// Keeps a message for a client that is away.
    pub(crate) fn queue(&mut self, message: &Arc<Message>, grant: Grant) -> Queued {
        if message.qos.less_value(grant.qos) == QoS::AtMostOnce {
            return Queued::NotHeard;
        }
        if self.waiting.len() >= MAIL_MAX {
            return Queued::Full;
        }
        self.waiting.push_back(Arc::clone(message));
        Queued::Waits
    }

    /// Keeps messages that the connection had not fetched at its end; they have passed a bound already.
    pub(crate) fn keep(&mut self, mail: impl IntoIterator<Item = Arc<Message>>) {
        self.waiting.extend(mail);
    }

    /// Sends a message; one that is larger than the client takes is dropped, as MQTT 5 demands.
    pub(crate) fn send(&mut self, message: Arc<Message>, grant: Grant, answers: &mut Answers<'_>) {
        let qos = message.qos.less_value(grant.qos);
        let id = if qos == QoS::AtMostOnce {
            0
        } else {
            self.free_id()
        };
        let head = PublishHead {
            qos,
            id,
            again: false,
        };
        let written = answers.publish(head, &message.topic, &message.payload);
        if written.is_ok() && qos != QoS::AtMostOnce {
            self.last_id = id;
            self.in_flight.push_back((id, State::Sent(message, qos)));
        }
    }

    /// Sends what waits while there is room.
    pub(crate) fn send_queued(
        &mut self,
        grant: Grant,
        receive_max: u16,
        answers: &mut Answers<'_>,
    ) {
        while self.room(receive_max) > 0
            && let Some(message) = self.waiting.pop_front()
        {
            self.send(message, grant, answers);
        }
    }

    /// Sends everything in flight again.
    pub(crate) fn resume(&mut self, answers: &mut Answers<'_>) {
        self.in_flight.retain(|(id, state)| {
            let written = match state {
                State::Sent(message, qos) => {
                    let head = PublishHead {
                        qos: *qos,
                        id: *id,
                        again: true,
                    };
                    answers.publish(head, &message.topic, &message.payload)
                }
                State::Released => answers.ack(Ack::Pubrel, *id, 0, None),
            };
            written.is_ok()
        });
    }

    /// PUBACK, PUBREC or PUBCOMP of the client.
    pub(crate) fn acknowledged(
        &mut self,
        ack: Ack,
        (id, code): (u16, u8),
        answers: &mut Answers<'_>,
    ) -> Result<(), TooLarge> {
        let at = self.in_flight.iter().position(|&(known, _)| known == id);
        let state = at
            .and_then(|at| self.in_flight.get_mut(at))
            .map(|(_, state)| state);
        match (ack, state) {
            (Ack::Pubrec, Some(state)) if code < 0x80 => {
                *state = State::Released;
                answers.ack(Ack::Pubrel, id, 0, None)
            }
            (Ack::Pubrec, None) if code < 0x80 => answers.ack(Ack::Pubrel, id, NOT_FOUND, None),
            (Ack::Puback, Some(State::Sent(_, QoS::AtLeastOnce)))
            | (Ack::Pubrec, Some(State::Sent(..)))
            | (Ack::Pubcomp, Some(State::Released)) => {
                at.and_then(|at| self.in_flight.remove(at));
                Ok(())
            }
            // An acknowledgement of nothing: MQTT has no answer to it.
            _ => Ok(()),
        }
    }

    /// An identifier that is not in flight; there are far more of them than may be in flight.
    fn free_id(&self) -> u16 {
        let mut id = self.last_id;
        loop {
            id = id.wrapping_add(1);
            if id != 0 && !self.in_flight.iter().any(|&(used, _)| used == id) {
                return id;
            }
        }
    }
}
