//! Publishes from the client: which acknowledgements are owed, in which order, and which `QoS` 2 identifiers are held.
//!
//! Every offered publish takes a *turn*, counted up for the whole session; its receipt names the turn. Answers are
//! kept until all turns before them are answered, so acknowledgements leave in the order of the publishes.
//!
//! ```text
//!           PUBLISH              stored               PUBREL
//!  (free) ──────────▶ Pending ──────────▶ Received ──────────▶ (free)        QoS 2 identifiers
//!     ▲                  │ refused or quarantined
//!     └──────────────────┘
//! ```
//!
//! When a connection ends, what it was owed can no longer be sent: the client will send those publishes again. Turns
//! whose identifiers are Pending stay, mute, so that the outcome still reaches the identifier; all others are forgotten.

use std::collections::VecDeque;

use rmqtt_codec::{types::QoS, v5::DisconnectReasonCode};

use super::Terms;
use crate::{
    broker::{
        inlet::Refusal,
        line::{Settled, Verdict},
        wire::{Ack, Answers, Version, Violation},
    },
    domain::{Outcome, QuarantineReason},
};

/// Most `QoS` 2 identifiers an MQTT 3.1.1 client may leave unreleased; it cannot be told a receive maximum.
const HELD_V3_MAX: usize = 4096;

/// What to do with a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Offer it.
    Offer,
    /// It was offered before; its acknowledgement is owed again.
    Repeated,
    /// Too many are in flight for a client that cannot be told a limit: read on when some are answered.
    Wait,
}

/// Whether a session outlives a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lasting {
    /// It does.
    Yes,
    /// It ends with its connection.
    No,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// The outcome is not known yet.
    Waits,
    /// The identifier's first publish is still under way: its outcome is this one's too.
    Follows,
    /// The acknowledgement's code, and what a reason string may say.
    Code(u8, Option<&'static str>),
    /// MQTT 3.1.1 has no word for it: only the end of the connection says that it was not taken.
    Unspeakable,
}

#[derive(Debug, Clone, Copy)]
struct Owed {
    id: u16,
    ack: Ack,
    /// Its connection is gone: the answer is not sent.
    mute: bool,
    answer: Answer,
}

impl Owed {
    fn is_qos2(&self) -> bool {
        self.ack == Ack::Pubrec
    }

    /// The answer once its turn has come, `None` while it is not known.
    fn due(&self) -> Option<Result<(u8, Option<&'static str>), Violation>> {
        match self.answer {
            Answer::Waits | Answer::Follows => None,
            Answer::Code(code, reason) => Some(Ok((code, reason))),
            Answer::Unspeakable if self.mute => Some(Ok((0x80, None))),
            Answer::Unspeakable => Some(Err(Violation::new(
                DisconnectReasonCode::QuotaExceeded,
                "a publish was not taken, which MQTT 3.1.1 cannot say",
            ))),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    Pending,
    Received,
}

/// The state of publishes from the client.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    owed: VecDeque<Owed>,
    /// The turn of `owed`'s front.
    first: u32,
    /// `QoS` 2 identifiers in ascending order.
    held: Vec<(u16, Held)>,
    /// Exchanges of this connection that count towards the receive maximum.
    in_flight: u16,
}

impl Inbox {
    /// The turn that the next publish takes.
    pub(crate) fn next_turn(&self) -> u32 {
        self.first
            .wrapping_add(u32::try_from(self.owed.len()).unwrap_or(u32::MAX))
    }

    /// Whether an MQTT 3.1.1 client has so many publishes unanswered that no more are taken from it for now.
    pub(crate) fn is_full(&self, terms: &Terms) -> bool {
        terms.version == Version::V3 && self.owed.len() >= usize::from(terms.receive_max_ours)
    }

    /// Judges a publish by its packet identifier. Changes nothing.
    pub(crate) fn admit(&self, qos: QoS, id: u16, terms: &Terms) -> Result<Admission, Violation> {
        if qos == QoS::AtMostOnce {
            return Ok(Admission::Offer);
        }
        if qos == QoS::ExactlyOnce && self.find(id).is_ok() {
            return Ok(Admission::Repeated);
        }
        match terms.version {
            Version::V5 if self.in_flight >= terms.receive_max_ours => Err(Violation::new(
                DisconnectReasonCode::ReceiveMaximumExceeded,
                "more publishes in flight than the receive maximum",
            )),
            Version::V3 if self.held.len() >= HELD_V3_MAX => Err(Violation::new(
                DisconnectReasonCode::QuotaExceeded,
                "too many QoS 2 publishes are not released",
            )),
            Version::V3 if self.is_full(terms) => Ok(Admission::Wait),
            _ => Ok(Admission::Offer),
        }
    }

    /// A publish was taken: its acknowledgement is owed. Nothing is owed at `QoS` 0.
    pub(crate) fn taken(&mut self, qos: QoS, id: u16) {
        self.begin(qos, id, Answer::Waits);
    }

    /// A publish was refused at once: that is its acknowledgement, in its turn.
    pub(crate) fn refused(&mut self, qos: QoS, id: u16, refusal: Refusal, version: Version) {
        let answer = match (version, refusal) {
            (Version::V3, _) => Answer::Unspeakable,
            (_, Refusal::NotAuthorised) => Answer::Code(0x87, None),
            (_, Refusal::TopicInvalid) => Answer::Code(0x90, None),
            (_, Refusal::QuotaExceeded) => Answer::Code(0x97, None),
        };
        self.begin(qos, id, answer);
    }

    fn begin(&mut self, qos: QoS, id: u16, answer: Answer) {
        let ack = match qos {
            QoS::AtMostOnce => return,
            QoS::AtLeastOnce => Ack::Puback,
            QoS::ExactlyOnce => Ack::Pubrec,
        };
        if ack == Ack::Pubrec
            && let Err(at) = self.find(id)
        {
            self.held.insert(at, (id, Held::Pending));
        }
        self.in_flight = self.in_flight.saturating_add(1);
        self.owed.push_back(Owed {
            id,
            ack,
            mute: false,
            answer,
        });
    }

    /// A `QoS` 2 publish came again: its PUBREC is owed once more.
    pub(crate) fn repeated(&mut self, id: u16) {
        let known = self.find(id).ok().and_then(|at| self.held.get(at));
        let answer = match known {
            Some((_, Held::Pending)) => Answer::Follows,
            Some((_, Held::Received)) | None => Answer::Code(0, None),
        };
        self.owed.push_back(Owed {
            id,
            ack: Ack::Pubrec,
            mute: false,
            answer,
        });
    }

    /// A receipt was settled. Returns the identifier that has to become durable before PUBREC may say so: of a session
    /// that outlives a restart.
    pub(crate) fn settled(
        &mut self,
        settled: Settled,
        version: Version,
        lasting: Lasting,
    ) -> Option<(u16, Outcome)> {
        let place = usize::try_from(settled.turn.wrapping_sub(self.first)).unwrap_or(usize::MAX);
        let owed = self.owed.get_mut(place)?;
        if owed.answer != Answer::Waits {
            return None;
        }
        let answer = answer(settled.verdict, version);
        if let (Verdict::Outcome(outcome), Answer::Code(code, _)) = (settled.verdict, answer)
            && lasting == Lasting::Yes
            && owed.is_qos2()
            && code < 0x80
        {
            return Some((owed.id, outcome));
        }
        owed.answer = answer;
        None
    }

    /// A publish was handed over at once: answered in its turn with MQTT 5's code.
    pub(crate) fn handed(&mut self, qos: QoS, id: u16, code: u8) {
        self.begin(qos, id, Answer::Code(code, None));
    }

    /// Identifiers that the client has not released.
    pub(crate) fn held(&self) -> impl Iterator<Item = u16> {
        self.held.iter().map(|&(id, _)| id)
    }

    /// An identifier that was received before a restart.
    pub(crate) fn load_held(&mut self, id: u16) {
        if let Err(at) = self.find(id) {
            self.held.insert(at, (id, Held::Received));
        }
    }

    /// Writes every acknowledgement whose turn has come; returns how many of each kind.
    pub(crate) fn release(&mut self, answers: &mut Answers<'_>) -> Result<Released, Violation> {
        let mut released = Released::default();
        while let Some(&owed) = self.owed.front()
            && let Some(due) = owed.due()
        {
            let (code, reason) = due?;
            self.pop();
            if owed.is_qos2() {
                self.conclude(owed, code, reason);
            } else {
                self.in_flight = self.in_flight.saturating_sub(1);
            }
            if !owed.mute {
                released.count(code);
                super::too_large(answers.ack(owed.ack, owed.id, code, reason))?;
            }
        }
        Ok(released)
    }

    fn pop(&mut self) -> Option<Owed> {
        let owed = self.owed.pop_front()?;
        self.first = self.first.wrapping_add(1);
        Some(owed)
    }

    /// A `QoS` 2 publish is answered: its identifier is received or free, and its repetitions share the answer.
    fn conclude(&mut self, owed: Owed, code: u8, reason: Option<&'static str>) {
        let Ok(at) = self.find(owed.id) else { return };
        if code < 0x80 {
            if let Some((_, held)) = self.held.get_mut(at) {
                *held = Held::Received;
            }
        } else {
            self.held.remove(at);
            self.in_flight = self.in_flight.saturating_sub(1);
        }
        let same = |later: &&mut Owed| later.id == owed.id && later.answer == Answer::Follows;
        for later in self.owed.iter_mut().filter(same) {
            later.answer = Answer::Code(code, reason);
        }
    }

    /// The client's PUBREL; `false` if it names no message that was received.
    pub(crate) fn released(&mut self, id: u16) -> bool {
        let known = self.find(id).ok().filter(|&at| {
            self.held
                .get(at)
                .is_some_and(|(_, held)| *held == Held::Received)
        });
        if let Some(at) = known {
            self.held.remove(at);
            self.in_flight = self.in_flight.saturating_sub(1);
        }
        known.is_some()
    }

    /// The connection is gone.
    pub(crate) fn interrupt(&mut self) {
        self.in_flight = 0;
        for owed in &mut self.owed {
            owed.mute = true;
            if !owed.is_qos2() || owed.answer == Answer::Follows {
                // Nobody waits for it any more.
                owed.ack = Ack::Puback;
                owed.answer = Answer::Code(0, None);
            }
        }
        let undecided = |owed: &Owed| owed.answer == Answer::Waits;
        if self.owed.iter().any(undecided) {
            return;
        }
        // Only answers that could not be written any more: their identifiers still learn of them.
        while let Some(owed) = self.pop() {
            if let (true, Some(Ok((code, reason)))) = (owed.is_qos2(), owed.due()) {
                self.conclude(owed, code, reason);
            }
        }
        self.owed.shrink_to_fit();
    }

    /// Whether outcomes are still expected that a successor must learn of.
    pub(crate) fn expects(&self) -> bool {
        !self.owed.is_empty()
    }

    /// Gives memory back after a burst.
    pub(crate) fn relax(&mut self) {
        if self.owed.is_empty() && self.owed.capacity() > 8 {
            self.owed.shrink_to_fit();
        }
        if self.held.is_empty() && self.held.capacity() > 8 {
            self.held.shrink_to_fit();
        }
    }

    fn find(&self, id: u16) -> Result<usize, usize> {
        self.held.binary_search_by_key(&id, |&(held, _)| held)
    }
}

/// How many acknowledgements left, by what they said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Released {
    pub(crate) success: u32,
    pub(crate) quarantined: u32,
    pub(crate) refused: u32,
}

impl Released {
    const fn count(&mut self, code: u8) {
        match code {
            0 => self.success += 1,
            0x83 | 0x99 => self.quarantined += 1,
            _ => self.refused += 1,
        }
    }
}

fn answer(verdict: Verdict, version: Version) -> Answer {
    match (version, verdict) {
        (_, Verdict::Handed(code)) => Answer::Code(code, None),
        (version, Verdict::Outcome(outcome) | Verdict::Recorded(outcome)) => {
            outcome_answer(outcome, version)
        }
        (Version::V5, Verdict::Abandoned) => Answer::Code(0x80, None),
        (Version::V3, Verdict::Abandoned) => Answer::Unspeakable,
    }
}

const fn outcome_answer(outcome: Outcome, version: Version) -> Answer {
    match (version, outcome) {
        (_, Outcome::Stored) | (Version::V3, Outcome::Quarantined(_)) => Answer::Code(0, None),
        (Version::V5, Outcome::Quarantined(reason)) => {
            Answer::Code(quarantine_code(reason), Some(reason.name()))
        }
        (Version::V5, Outcome::Refused) => Answer::Code(0x97, None),
        (Version::V3, Outcome::Refused) => Answer::Unspeakable,
    }
}

const fn quarantine_code(reason: QuarantineReason) -> u8 {
    match reason {
        QuarantineReason::MalformedJson
        | QuarantineReason::MalformedProtobuf
        | QuarantineReason::NotAnObject
        | QuarantineReason::FrameCheck
        | QuarantineReason::FrameMalformed
        | QuarantineReason::FrameUnsupported
        | QuarantineReason::FrameIncomplete => 0x99,
        _ => 0x83,
    }
}
