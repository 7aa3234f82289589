//! Subscriptions of all sessions but a device's to its own topic: those are known by identity and cost no tree anything.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use foldhash::fast::RandomState;
use rmqtt_codec::{types::QoS, v5::SubscriptionOptions};

use crate::broker::{
    line::locked,
    mailbox::Mailbox,
    topics::{Group, Tree},
};

/// The options' byte of SUBSCRIBE (MQTT 5, 3.8.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Options(pub(crate) u8);

impl Options {
    pub(crate) const fn qos(self) -> QoS {
        match self.0 & 3 {
            0 => QoS::AtMostOnce,
            1 => QoS::AtLeastOnce,
            _ => QoS::ExactlyOnce,
        }
    }

    pub(crate) const fn no_local(self) -> bool {
        self.0 & 4 != 0
    }

    pub(crate) const fn retain_as_published(self) -> bool {
        self.0 & 8 != 0
    }

    /// 0: retained messages are sent, 1: to a new subscription, 2: never.
    pub(crate) const fn retain_handling(self) -> u8 {
        (self.0 >> 4) & 3
    }
}

impl From<SubscriptionOptions> for Options {
    fn from(options: SubscriptionOptions) -> Self {
        let handling: u8 = options.retain_handling.into();
        Self(
            options.qos.value()
                | (u8::from(options.no_local) << 2)
                | (u8::from(options.retain_as_published) << 3)
                | (handling << 4),
        )
    }
}

/// A session that hears a filter.
#[derive(Debug, Clone)]
pub(crate) struct Hearing {
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) options: Options,
    /// Subscription identifier; 0: none.
    pub(crate) id: u32,
}

/// By which kind of subscription a message reaches a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// The session's own.
    Own,
    /// One that it shares with others.
    Shared,
}

#[derive(Debug, Clone)]
enum Subscriber {
    Own(Hearing),
    Shared(Arc<Group<Hearing>>),
}

#[derive(Debug)]
struct Shared {
    key: u64,
    group: Arc<Group<Hearing>>,
    members: usize,
}

/// All subscriptions.
#[derive(Debug, Default)]
pub(crate) struct Subscribers {
    tree: Tree<Subscriber>,
    /// Shared subscriptions by `{name}/{filter}`.
    shared: Mutex<HashMap<Box<str>, Shared, RandomState>>,
    shared_keys: AtomicU64,
}

/// Keys of shared groups are told from mailboxes by this bit.
const SHARED: u64 = 1 << 63;

impl Subscribers {
    /// Adds or replaces a session's subscription; a filter with `$share/{name}/` joins that group.
    pub(crate) fn add(&self, filter: &str, hearing: Hearing) {
        let key = hearing.mailbox.id;
        let Some(named) = filter.strip_prefix("$share/") else {
            self.tree.subscribe(filter, key, Subscriber::Own(hearing));
            return;
        };
        let Some((_, inner)) = named.split_once('/') else {
            return;
        };
        let mut groups = locked(&self.shared);
        let shared = groups.entry(named.into()).or_insert_with(|| {
            let key = SHARED | self.shared_keys.fetch_add(1, Ordering::Relaxed);
            let group = Arc::new(Group::default());
            let subscriber = Subscriber::Shared(Arc::clone(&group));
            self.tree.subscribe(inner, key, subscriber);
            Shared {
                key,
                group,
                members: 0,
            }
        });
        if shared.group.add(key, hearing).is_none() {
            shared.members += 1;
        }
    }

    /// Removes a session's subscription.
    pub(crate) fn remove(&self, filter: &str, mailbox: u64) {
        let Some(named) = filter.strip_prefix("$share/") else {
            self.tree.unsubscribe(filter, mailbox);
            return;
        };
        let Some((_, inner)) = named.split_once('/') else {
            return;
        };
        let mut groups = locked(&self.shared);
        let Some(shared) = groups.get_mut(named) else {
            return;
        };
        if shared.group.remove(mailbox).is_some() {
            shared.members = shared.members.saturating_sub(1);
        }
        if shared.members == 0 {
            self.tree.unsubscribe(inner, shared.key);
            groups.remove(named);
        }
    }

    /// Visits everybody who hears a topic; of each shared subscription one.
    pub(crate) fn visit(&self, topic: &str, mut visit: impl FnMut(&Hearing, Route)) {
        self.tree
            .matches(topic, &mut |_, subscriber| match subscriber {
                Subscriber::Own(hearing) => visit(hearing, Route::Own),
                Subscriber::Shared(group) => {
                    if let Some(hearing) = group.pick(|member| member.mailbox.is_ready()) {
                        visit(&hearing, Route::Shared);
                    }
                }
            });
    }

    /// How many filters there are, each session's and each shared one.
    pub(crate) fn len(&self) -> usize {
        self.tree.len()
    }
}
