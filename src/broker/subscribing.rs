//! SUBSCRIBE and UNSUBSCRIBE: what is granted, by rights and limits, and the retained messages that come with it.
//!
//! A session that outlives a restart is answered once its subscriptions are durable: a client that was granted one and
//! finds its session again never lacks it.

use std::sync::Arc;

use bytes::BytesMut;
use rmqtt_codec::v5::{Subscribe, Unsubscribe};

use super::{
    archive::Changes,
    exchange::{Hearing, Options, Posting},
    hub::Core,
    key::Key,
    limits::{Limit, Who},
    line::{Line, Note},
    mailbox::Mailbox,
    message::{Letter, SubscriptionIds},
    registry::Down,
    session::{Session, Subscription, is_own_down},
    topics::{Filter, FilterLimits},
    wire::{Version, Violation},
};

/// MQTT 3.1.1: the subscription is refused.
const FAILURE: u8 = 0x80;
const NOT_AUTHORISED: u8 = 0x87;
const FILTER_INVALID: u8 = 0x8f;
const QUOTA_EXCEEDED: u8 = 0x97;
const NO_SUBSCRIPTION: u8 = 0x11;

/// Handles SUBSCRIBE; the answer leaves now or once it is durable.
pub(crate) fn subscribe(
    core: &Core,
    line: &Arc<Line>,
    session: &mut Session,
    subscribe: &Subscribe,
    out: &mut BytesMut,
) -> Result<(), Violation> {
    let mut desk = Desk {
        core,
        line,
        session,
        changes: Changes::default(),
        posting: Posting::default(),
    };
    let id = subscribe.id.map_or(0, u32::from);
    let mut codes = Vec::with_capacity(subscribe.topic_filters.len());
    for (at, (filter, options)) in subscribe.topic_filters.iter().enumerate() {
        let options = Options::from(*options);
        let subscription = Subscription {
            filter: Box::from(&**filter),
            options,
            id,
        };
        codes.push(match desk.judge(at, &subscription)? {
            Err(code) => code,
            Ok(()) => {
                desk.grant(subscription);
                options.qos().value()
            }
        });
    }
    if desk.session.terms.version == Version::V3 {
        for code in codes.iter_mut().filter(|code| **code > 2) {
            *code = FAILURE;
        }
    }
    let note = Note::Suback(subscribe.packet_id.get(), codes.into_boxed_slice());
    desk.answer(note, out)
}

/// Handles UNSUBSCRIBE; the answer leaves now or once it is durable.
pub(crate) fn unsubscribe(
    core: &Core,
    line: &Arc<Line>,
    session: &mut Session,
    unsubscribe: &Unsubscribe,
    out: &mut BytesMut,
) -> Result<(), Violation> {
    let mut desk = Desk {
        core,
        line,
        session,
        changes: Changes::default(),
        posting: Posting::default(),
    };
    let filters = unsubscribe.topic_filters.iter();
    let codes: Box<[u8]> = filters.map(|filter| desk.remove(filter)).collect();
    let note = Note::Unsuback(unsubscribe.packet_id.get(), codes);
    desk.answer(note, out)
}

struct Desk<'a> {
    core: &'a Core,
    line: &'a Arc<Line>,
    session: &'a mut Session,
    changes: Changes,
    posting: Posting,
}

impl Desk<'_> {
    /// Whether a subscription is granted; the code if it is not.
    fn judge(&self, at: usize, subscription: &Subscription) -> Result<Result<(), u8>, Violation> {
        let config = &self.core.config;
        let sizes = &config.limits.sizes;
        let limits = FilterLimits {
            bytes_max: sizes.topic_bytes_max,
            levels_max: sizes.topic_levels_max,
        };
        let Ok(filter) = Filter::parse(&subscription.filter, &limits) else {
            return Ok(Err(FILTER_INVALID));
        };
        if filter.share().is_some() && subscription.options.no_local() {
            return Err(Violation::protocol("no local on a shared subscription"));
        }
        let access = self.core.access.load();
        if !access
            .rights
            .may_subscribe(&self.session.principal, filter.inner())
        {
            return Ok(Err(NOT_AUTHORISED));
        }
        let known = self.session.subscription(&subscription.filter).is_some();
        let own = self.session.kept.subscriptions.len();
        let all = self.core.exchange.subscribers.len();
        let limit = if at >= sizes.filters_max {
            Limit::Filters
        } else if known {
            return Ok(Ok(()));
        } else if own >= config.subscriptions_max {
            Limit::Subscriptions
        } else if all >= config.limits.sessions.subscriptions_total_max {
            Limit::SubscriptionsTotal
        } else {
            return Ok(Ok(()));
        };
        let who = Who::Principal(&self.session.principal);
        self.core.limits.bite(limit, who);
        Ok(Err(QUOTA_EXCEEDED))
    }

    fn grant(&mut self, subscription: Subscription) {
        let session = &mut *self.session;
        if session.lasts() {
            session
                .kept
                .number
                .get_or_insert_with(|| self.core.exchange.session_number());
        }
        let known = session.subscription(&subscription.filter);
        let is_new = known.is_none();
        match known.and_then(|at| session.kept.subscriptions.get_mut(at)) {
            Some(known) => *known = subscription.clone(),
            None => session.kept.subscriptions.push(subscription.clone()),
        }
        self.install(&subscription);
        let wants_retained = match subscription.options.retain_handling() {
            0 => true,
            1 => is_new,
            _ => false,
        };
        if wants_retained && !subscription.filter.starts_with("$share/") {
            self.post_retained(&subscription);
        }
    }

    fn install(&mut self, subscription: &Subscription) {
        if is_own_down(&self.session.principal, &subscription.filter) {
            let down = Down {
                options: subscription.options,
                id: subscription.id,
                number: self.session.kept.number,
            };
            let key = Key::new(&self.session.principal, &self.session.client_id);
            self.core.registry.set_down(&key, self.line, Some(down));
            return;
        }
        let hearing = Hearing {
            mailbox: self.mailbox(),
            options: subscription.options,
            id: subscription.id,
        };
        self.core
            .exchange
            .subscribers
            .add(&subscription.filter, hearing);
    }

    fn mailbox(&mut self) -> Arc<Mailbox> {
        if let Some(mailbox) = &self.session.kept.mailbox {
            return Arc::clone(mailbox);
        }
        let key = Key::new(&self.session.principal, &self.session.client_id);
        let number = self.session.kept.number;
        let make = || self.core.exchange.mailbox(number, 0);
        let mailbox = self.core.registry.mailbox(&key, self.line, make);
        self.session.kept.mailbox = Some(Arc::clone(&mailbox));
        mailbox
    }

    fn post_retained(&mut self, subscription: &Subscription) {
        let mut letters = Vec::new();
        let now = self.core.clock.now();
        let exchange = Arc::clone(&self.core.exchange);
        exchange
            .retained
            .matching(&subscription.filter, now, |message| {
                let mut ids = SubscriptionIds::new();
                ids.extend((subscription.id != 0).then_some(subscription.id));
                letters.push(Letter {
                    message: Arc::clone(message),
                    position: 0,
                    qos: subscription.options.qos().less_value(message.qos),
                    retain: true,
                    again: false,
                    ids,
                });
            });
        if letters.is_empty() {
            return;
        }
        let mailbox = self.mailbox();
        let posting = exchange.post_retained(&mailbox, (letters, now), &mut self.changes);
        self.posting.append(posting);
    }

    fn remove(&mut self, filter: &str) -> u8 {
        let Some(at) = self.session.subscription(filter) else {
            let sizes = &self.core.config.limits.sizes;
            let limits = FilterLimits {
                bytes_max: sizes.topic_bytes_max,
                levels_max: sizes.topic_levels_max,
            };
            return match Filter::parse(filter, &limits) {
                Ok(_) => NO_SUBSCRIPTION,
                Err(_) => FILTER_INVALID,
            };
        };
        self.session.kept.subscriptions.remove(at);
        if is_own_down(&self.session.principal, filter) {
            let key = Key::new(&self.session.principal, &self.session.client_id);
            self.core.registry.set_down(&key, self.line, None);
        } else if let Some(mailbox) = &self.session.kept.mailbox {
            self.core.exchange.subscribers.remove(filter, mailbox.id);
        }
        0
    }

    fn answer(self, note: Note, out: &mut BytesMut) -> Result<(), Violation> {
        let Self {
            core,
            line,
            session,
            mut changes,
            posting,
        } = self;
        if !session.put_record(&mut changes) {
            return session.answer(note, out);
        }
        let line = Arc::clone(line);
        core.exchange
            .note_posting(changes, posting, move || line.note(note));
        Ok(())
    }
}
