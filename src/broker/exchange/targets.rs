//! Who hears a message: one target for each session whose subscriptions match, with the highest `QoS` and all
//! identifiers of them ([MQTT-3.3.4-2] to -5), and one more for each shared subscription that picks the session.

use std::{cell::RefCell, sync::Arc};

use rmqtt_codec::types::QoS;

use super::{
    Exchange,
    subscribers::{Hearing, Route},
};
use crate::{
    broker::{
        mailbox::Mailbox,
        message::{Letter, Message, SubscriptionIds},
        registry::Registry,
    },
    domain::Identity,
};

/// A session that hears a message.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) mailbox: Arc<Mailbox>,
    /// The highest `QoS` it wants.
    qos: QoS,
    /// The retain flag goes along.
    retain_as_published: bool,
    route: Route,
    ids: SubscriptionIds,
}

impl Target {
    fn of(hearing: &Hearing, route: Route) -> Self {
        let mut ids = SubscriptionIds::new();
        ids.extend(std::num::NonZeroU32::new(hearing.id).map(u32::from));
        Self {
            mailbox: Arc::clone(&hearing.mailbox),
            qos: hearing.options.qos(),
            retain_as_published: hearing.options.retain_as_published(),
            route,
            ids,
        }
    }

    /// Whether its letter has to be durable before the publisher is acknowledged.
    pub(super) fn lasts(&self, published: QoS) -> bool {
        self.mailbox.number.is_some() && self.qos.less_value(published) != QoS::AtMostOnce
    }

    /// Its letter.
    pub(super) fn letter(&self, message: &Arc<Message>) -> Letter {
        Letter {
            message: Arc::clone(message),
            position: 0,
            qos: self.qos.less_value(message.qos),
            retain: self.retain_as_published && message.retain,
            again: false,
            ids: self.ids.clone(),
        }
    }

    fn merge(&mut self, other: &Self) {
        if other.qos.value() > self.qos.value() {
            self.qos = other.qos;
        }
        self.retain_as_published |= other.retain_as_published;
        for id in &other.ids {
            if !self.ids.contains(id) {
                self.ids.push(*id);
            }
        }
    }
}

thread_local! {
    static TARGETS: RefCell<Vec<Target>> = const { RefCell::new(Vec::new()) };
}

/// Beyond this a worker's list is given back after the message that needed it.
const TARGETS_KEPT: usize = 4096;

/// Collects the targets of a message; the list is the worker's and is to be given back.
pub(super) fn collect(
    exchange: &Exchange,
    registry: &Registry,
    message: &Message,
    from: Option<u64>,
) -> Vec<Target> {
    let mut targets = TARGETS.take();
    let wants =
        |hearing: &Hearing| !(hearing.options.no_local() && from == Some(hearing.mailbox.id));
    exchange
        .subscribers
        .visit(&message.topic, |hearing, route| {
            if wants(hearing) {
                targets.push(Target::of(hearing, route));
            }
        });
    if let Some(identity) = down_of(&message.topic) {
        registry.hearers(exchange, &identity, |mailbox, down| {
            let hearing = Hearing {
                mailbox,
                options: down.options,
                id: down.id,
            };
            if wants(&hearing) {
                targets.push(Target::of(&hearing, Route::Own));
            }
        });
    }
    merge_overlapping(&mut targets);
    targets
}

/// Gives a list back.
pub(super) fn give_back(mut targets: Vec<Target>) {
    targets.clear();
    if targets.capacity() <= TARGETS_KEPT {
        TARGETS.set(targets);
    }
}

fn merge_overlapping(targets: &mut Vec<Target>) {
    if targets.len() < 2 {
        return;
    }
    targets.sort_unstable_by_key(|target| (target.mailbox.id, target.route == Route::Shared));
    targets.dedup_by(|later, first| {
        let same = later.mailbox.id == first.mailbox.id
            && later.route == first.route
            && first.route == Route::Own;
        if same {
            first.merge(later);
        }
        same
    });
}

/// The device whose own topic for messages this is.
fn down_of(topic: &str) -> Option<Identity> {
    let inner = topic.strip_prefix("v1/")?.strip_suffix("/down")?;
    Identity::parse(inner).ok()
}
