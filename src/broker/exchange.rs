//! Where a message that is no reading goes: to every mailbox whose subscription matches its topic, and into the retained
//! messages. Runs on the publisher's task and never waits.
//!
//! ```text
//!  route ─▶ targets (subscriptions, shared groups, a device's own down topic), one for each session
//!        ─▶ letters of sessions that outlive a restart, retained message ─▶ archive ─▶ durable ─▶ deposited, acknowledged
//!        ─▶ all other letters: pushed now
//! ```
//!
//! Invariants: a publish at `QoS` 1 or 2 is acknowledged when every letter that has to be durable is; a message that is
//! not taken for want of room has been handed to nobody.

mod drafts;
mod metrics;
mod retained;
mod subscribers;
mod targets;

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use rmqtt_codec::types::QoS;

pub use self::metrics::EXCHANGE_METRICS;
use self::metrics::ExchangeMetrics;
pub(crate) use self::{
    drafts::Posting,
    retained::RetainedMessages,
    subscribers::{Hearing, Options, Subscribers},
};
use self::{
    drafts::{Draft, forget, put_body, put_letter},
    targets::Target,
};
use super::{
    archive::{Archive, Changes, NoRoom, Written},
    inlet::Receipt,
    mailbox::{Mailbox, Postage, Posted},
    message::{Bodies, Letter, Message},
    records,
    registry::Registry,
};
use crate::domain::UnixNanos;

/// No subscription matched; MQTT 5's word for it in PUBACK and PUBREC.
pub(crate) const NO_SUBSCRIBERS: u8 = 0x10;

/// Routes messages.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) subscribers: Subscribers,
    pub(crate) retained: RetainedMessages,
    pub(crate) archive: Arc<dyn Archive>,
    pub(crate) postage: Arc<Postage>,
    pub(crate) metrics: ExchangeMetrics,
    /// How long a letter waits for a client that is away, nanoseconds.
    pub(crate) wait_max_ns: u64,
    mailboxes: AtomicU64,
    sessions: AtomicU32,
    pub(crate) bodies: Arc<Bodies>,
    next_body: AtomicU64,
}

/// A message to route.
#[derive(Debug)]
pub(crate) struct Dispatch {
    /// The message.
    pub(crate) message: Message,
    /// The publisher's mailbox, for subscriptions that do not want its own messages.
    pub(crate) from: Option<u64>,
    /// What has to become durable with the message.
    pub(crate) changes: Changes,
    /// The acknowledgement owed.
    pub(crate) receipt: Option<Receipt>,
}

/// What became of a message.
#[derive(Debug)]
pub(crate) enum Routed {
    /// It was handed over; the receipt, given back, can be answered with the code now.
    Now(Option<Receipt>, u8),
    /// Something has to become durable first; then the receipt is settled.
    Later,
    /// The archive has no room: the message was handed to nobody.
    NoRoom,
    /// No more retained messages are kept.
    RetainedFull(Option<Receipt>),
}

/// What became of a message, over all sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delivery {
    /// Sessions that the message was queued for.
    pub queued: usize,
    /// Sessions whose queue was full.
    pub full: usize,
}

impl Exchange {
    pub(crate) fn new(
        archive: Arc<dyn Archive>,
        postage: Arc<Postage>,
        retained: RetainedMessages,
        wait_max: Duration,
    ) -> Self {
        Self {
            subscribers: Subscribers::default(),
            retained,
            bodies: Arc::new(Bodies::new(Arc::clone(&archive))),
            archive,
            postage,
            metrics: ExchangeMetrics::new(),
            wait_max_ns: u64::try_from(wait_max.as_nanos()).unwrap_or(u64::MAX),
            mailboxes: AtomicU64::new(1),
            sessions: AtomicU32::new(1),
            next_body: AtomicU64::new(1),
        }
    }

    /// Numbers of records that were loaded are not given again.
    pub(crate) fn skip_to(&self, session: u32, body: u64) {
        self.sessions.fetch_max(session, Ordering::Relaxed);
        self.next_body.fetch_max(body, Ordering::Relaxed);
    }

    /// A number for a session that outlives a restart. Four thousand million of them are never used up: only sessions
    /// with something to remember take one, and keep it.
    pub(crate) fn session_number(&self) -> NonZeroU32 {
        let number = self.sessions.fetch_add(1, Ordering::Relaxed);
        NonZeroU32::new(number).unwrap_or(NonZeroU32::MAX)
    }

    /// An empty mailbox.
    pub(crate) fn mailbox(&self, number: Option<NonZeroU32>, next_position: u64) -> Arc<Mailbox> {
        let id = self.mailboxes.fetch_add(1, Ordering::Relaxed);
        Arc::new(Mailbox::new(id, number, next_position))
    }

    /// Gives a message a record of its own.
    pub(crate) fn recorded(&self, mut message: Message) -> Arc<Message> {
        let number = self.next_body.fetch_add(1, Ordering::Relaxed);
        message.body = Some(self.bodies.body(number));
        Arc::new(message)
    }

    /// Hands a message to everybody who is to hear it.
    pub(crate) fn route(&self, registry: &Registry, dispatch: Dispatch) -> (Routed, Delivery) {
        let Dispatch {
            message,
            from,
            mut changes,
            receipt,
        } = dispatch;
        let mut delivery = Delivery::default();
        let keeping = match self.retained.turn(&message, &mut changes) {
            Ok(keeping) => keeping,
            Err(retained::Full) => return (Routed::RetainedFull(receipt), delivery),
        };
        let targets = targets::collect(self, registry, &message, from);
        let code = if targets.is_empty() {
            NO_SUBSCRIBERS
        } else {
            0
        };
        let lasts = |target: &&Target| target.lasts(message.qos);
        let lasting = targets.iter().filter(lasts).count();
        let qos = message.qos;
        let message = match lasting {
            0 => Arc::new(message),
            _ => self.recorded(message),
        };
        let mut drafts = Vec::with_capacity(lasting);
        for target in targets.iter().filter(|target| target.lasts(qos)) {
            drafts.extend(self.draft(target, &message, (&mut changes, &mut delivery)));
        }
        if !drafts.is_empty() {
            put_body(&mut changes, &message);
        }
        let routed = if changes.is_empty() {
            Routed::Now(receipt, code)
        } else if self.record(changes, drafts, receipt.map(|receipt| (receipt, code))) {
            Routed::Later
        } else {
            targets::give_back(targets);
            return (Routed::NoRoom, Delivery::default());
        };
        keeping.done(&message);
        for target in targets.iter().filter(|target| !target.lasts(qos)) {
            delivery.count(&self.push(&target.mailbox, target.letter(&message)));
        }
        targets::give_back(targets);
        (routed, delivery)
    }

    /// Puts a letter into a mailbox now.
    pub(crate) fn push(&self, mailbox: &Mailbox, letter: Letter) -> Posted {
        let (posted, displaced) = mailbox.push(letter, &self.postage);
        match posted {
            Posted::Queued => {}
            Posted::Full => self.metrics.dropped_full.increment(1),
            Posted::Away => self.metrics.dropped_away.increment(1),
        }
        self.metrics.dropped_oldest(displaced.len());
        posted
    }

    fn draft(
        &self,
        target: &Target,
        message: &Arc<Message>,
        (changes, delivery): (&mut Changes, &mut Delivery),
    ) -> Option<Draft> {
        let Some(place) = target.mailbox.reserve(message.cost(), &self.postage) else {
            self.metrics.dropped_full.increment(1);
            delivery.full += 1;
            return None;
        };
        self.metrics.dropped_oldest(place.displaced.len());
        for letter in &place.displaced {
            forget(changes, &target.mailbox, letter);
        }
        delivery.queued += 1;
        let mut letter = target.letter(message);
        letter.position = place.position;
        put_letter(changes, &target.mailbox, &letter);
        Some(Draft {
            mailbox: Arc::clone(&target.mailbox),
            letter,
        })
    }

    /// Records changes; the letters are deposited and the receipt is answered once that is durable.
    fn record(&self, changes: Changes, drafts: Vec<Draft>, owed: Option<(Receipt, u8)>) -> bool {
        let then = self.then(drafts, owed);
        match self.archive.append(changes, Some(then)) {
            Ok(()) => true,
            Err(NoRoom { then, .. }) => {
                if let Some(then) = then {
                    then(Written::NotTaken);
                }
                false
            }
        }
    }

    fn then(
        &self,
        drafts: Vec<Draft>,
        owed: Option<(Receipt, u8)>,
    ) -> Box<dyn FnOnce(Written) + Send> {
        let postage = Arc::clone(&self.postage);
        let archive = Arc::clone(&self.archive);
        Box::new(move |written| match written {
            Written::Durable => {
                let mut late = Changes::default();
                for Draft { mailbox, letter } in drafts {
                    if let Err(letter) = mailbox.deposit(letter, &postage) {
                        forget(&mut late, &mailbox, &letter);
                    }
                }
                if !late.is_empty() {
                    archive.note(late, None);
                }
                if let Some((receipt, code)) = owed {
                    receipt.answer(code);
                }
            }
            // The publisher is never told that it was taken.
            Written::Abandoned => {}
            Written::NotTaken => {
                for Draft { mailbox, letter } in drafts {
                    mailbox.give_back(letter.message.cost(), &postage);
                }
                if let Some((receipt, _)) = owed {
                    receipt.withdraw();
                }
            }
        })
    }

    /// Sends retained messages to a subscriber: at once, or with what else it waits for to become durable.
    pub(crate) fn post_retained(
        &self,
        mailbox: &Arc<Mailbox>,
        (wanted, now): (Vec<Letter>, UnixNanos),
        changes: &mut Changes,
    ) -> Posting {
        let mut drafts = Vec::new();
        for mut letter in wanted {
            if mailbox.number.is_none() || letter.qos == QoS::AtMostOnce {
                if mailbox.push_retained(letter, &self.postage) == Posted::Full {
                    self.metrics.dropped_full.increment(1);
                }
                continue;
            }
            let cost = letter.message.cost();
            let Some(position) = mailbox.reserve_retained(cost, &self.postage) else {
                self.metrics.dropped_full.increment(1);
                continue;
            };
            letter.position = position;
            let mut message = letter.message.unrecorded();
            message.taken_at = now;
            letter.message = self.recorded(message);
            put_letter(changes, mailbox, &letter);
            put_body(changes, &letter.message);
            drafts.push(Draft {
                mailbox: Arc::clone(mailbox),
                letter,
            });
        }
        Posting(drafts)
    }

    /// Records changes that cannot wait; `then` is called once they are durable.
    pub(crate) fn note(&self, changes: Changes, then: impl FnOnce() + Send + 'static) {
        self.note_posting(changes, Posting::default(), then);
    }

    /// Records changes together with letters that [`Self::post_retained`] left, deposits these once that is durable,
    /// and then calls `then`.
    pub(crate) fn note_posting(
        &self,
        changes: Changes,
        posting: Posting,
        then: impl FnOnce() + Send + 'static,
    ) {
        let deposit = self.then(posting.0, None);
        self.archive.note(
            changes,
            Some(Box::new(move |written| {
                deposit(written);
                if written == Written::Durable {
                    then();
                }
            })),
        );
    }

    /// Removes what is kept of a letter that is done with.
    pub(crate) fn forget(&self, mailbox: &Mailbox, position: u64) {
        if let Some(number) = mailbox.number {
            let mut changes = Changes::default();
            changes.delete(records::letter_key(number.get(), position));
            self.archive.note(changes, None);
        }
    }
}

impl Delivery {
    const fn count(&mut self, posted: &Posted) {
        match posted {
            Posted::Queued => self.queued += 1,
            Posted::Full => self.full += 1,
            Posted::Away => {}
        }
    }
}
