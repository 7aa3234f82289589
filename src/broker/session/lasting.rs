//! What of a session is kept over a restart, and how it is read again.

use std::{collections::VecDeque, num::NonZeroU32, sync::Arc};

use bytestring::ByteString;

use super::{
    super::{
        archive::Changes,
        exchange::{Exchange, Hearing, Options},
        key::Key,
        line::Line,
        message::{Letter, Message},
        principal::Principal,
        records::{self, SessionRecord, SubscriptionRecord, WillRecord},
        registry::Down,
    },
    Kept, Lasting, Mail, Session, Subscription, Will, is_own_down,
};
use crate::domain::{Identity, UnixNanos};

const DEVICE: u32 = 1;
const APPLICATION: u32 = 2;
const ANONYMOUS: u32 = 3;

/// Whether a session's client is connected.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Presence {
    /// It is.
    Here,
    /// It left then.
    Away(UnixNanos),
}

impl Session {
    /// Where a subscription stands among the session's.
    pub(crate) fn subscription(&self, filter: &str) -> Option<usize> {
        let mut subscriptions = self.kept.subscriptions.iter();
        subscriptions.position(|known| &*known.filter == filter)
    }

    /// The number of a session that outlives a restart; with its first one its record is written too.
    pub(crate) fn numbered(&mut self, exchange: &Exchange) -> NonZeroU32 {
        if let Some(number) = self.kept.number {
            return number;
        }
        let number = exchange.session_number();
        self.kept.number = Some(number);
        let mut changes = Changes::default();
        self.put_record(&mut changes);
        exchange.archive.note(changes, None);
        number
    }

    /// Whether received `QoS` 2 identifiers have to be durable.
    pub(crate) const fn lasting(&self) -> Lasting {
        if self.lasts() {
            Lasting::Yes
        } else {
            Lasting::No
        }
    }

    /// Makes a received `QoS` 2 identifier durable, then calls `then`.
    pub(crate) fn record_received(
        &mut self,
        exchange: &Exchange,
        id: u16,
        then: impl FnOnce() + Send + 'static,
    ) {
        let number = self.numbered(exchange);
        let mut changes = Changes::default();
        changes.put(records::received_key(number.get(), id), Vec::new());
        exchange.note(changes, then);
    }

    /// A connection serves the session from now on.
    pub(crate) fn begin(&mut self, exchange: &Exchange, line: &Arc<Line>) {
        if let Some(mailbox) = &self.kept.mailbox
            && mailbox.attach(line)
        {
            self.mail = Mail::Waits;
        }
        // What was kept says that the client is away, and knows another will.
        let mut changes = Changes::default();
        if self.put_record(&mut changes) {
            exchange.archive.note(changes, None);
        }
    }

    /// Adds the session's record to changes; `false` if nothing of it is kept over a restart.
    pub(crate) fn put_record(&self, changes: &mut Changes) -> bool {
        self.put_record_as(Presence::Here, changes)
    }

    /// The same for a session whose client leaves.
    pub(crate) fn put_record_as(&self, presence: Presence, changes: &mut Changes) -> bool {
        let Some(number) = self.kept.number else {
            return false;
        };
        let (principal_kind, principal) = match &self.principal {
            Principal::Device(identity) => (DEVICE, identity.as_str().to_owned()),
            Principal::Application(name) => (APPLICATION, name.to_string()),
            Principal::Anonymous => (ANONYMOUS, String::new()),
        };
        let (away_since, unsent_from) = match presence {
            Presence::Here => (0, 0),
            Presence::Away(since) => (since.0, self.unsent_from()),
        };
        let record = SessionRecord {
            principal_kind,
            principal,
            client_id: self.client_id.to_string(),
            expiry_s: self.expiry_s,
            away_since,
            unsent_from,
            will: self.will.as_deref().map(|will| WillRecord {
                message: Some(records::message(&will.message)),
                delay_s: will.delay_s,
                expiry_s: will.expiry_s,
            }),
            subscriptions: self.kept.subscriptions.iter().map(record_of).collect(),
        };
        let key = records::session_key(number.get());
        changes.put(key, records::encode(&record));
        true
    }

    fn unsent_from(&self) -> u64 {
        let mailbox = self.kept.mailbox.as_ref();
        mailbox.map_or(0, |mailbox| mailbox.untaken_from())
    }
}

fn record_of(subscription: &Subscription) -> SubscriptionRecord {
    SubscriptionRecord {
        filter: subscription.filter.to_string(),
        options: subscription.options.0.into(),
        id: subscription.id,
    }
}

/// A session as its records tell it.
#[derive(Debug)]
pub(crate) struct Restored {
    pub(crate) key: Key,
    pub(crate) kept: Kept,
    pub(crate) down: Option<Down>,
    pub(crate) will: Option<Box<Will>>,
}

/// Letters of a session by position; none: the client has the message and is owed PUBREL.
pub(crate) type Letters = VecDeque<(u64, Option<Letter>)>;

/// Reads a session's record and joins it with its letters, in their order, and the identifiers it has received. `None`
/// if the record makes no sense.
pub(crate) fn restore(
    exchange: &Exchange,
    number: NonZeroU32,
    record: SessionRecord,
    (letters, received): (Letters, Vec<u16>),
) -> Option<Restored> {
    let principal = principal(&record)?;
    let client_id: Arc<str> = Arc::from(record.client_id.as_str());
    let next = letters.back().map_or(0, |(position, _)| position + 1);
    let next = next.max(record.unsent_from);
    let mailbox = exchange.mailbox(Some(number), next);
    let mut kept = Kept {
        number: Some(number),
        ..Kept::default()
    };
    for (position, letter) in letters {
        match letter {
            None => kept.outbox.get_or_insert_default().load_released(position),
            Some(mut letter) => {
                letter.again = record.away_since == 0 || position < record.unsent_from;
                mailbox.load(letter, &exchange.postage);
            }
        }
    }
    for id in received {
        kept.inbox.load_held(id);
    }
    let mut down = None;
    for known in record.subscriptions {
        let options = Options(u8::try_from(known.options).unwrap_or_default());
        let subscription = Subscription {
            filter: known.filter.into_boxed_str(),
            options,
            id: known.id,
        };
        if is_own_down(&principal, &subscription.filter) {
            down = Some(Down {
                options,
                id: known.id,
                number: Some(number),
            });
        } else {
            let hearing = Hearing {
                mailbox: Arc::clone(&mailbox),
                options,
                id: known.id,
            };
            exchange.subscribers.add(&subscription.filter, hearing);
        }
        kept.subscriptions.push(subscription);
    }
    kept.mailbox = Some(mailbox);
    Some(Restored {
        key: Key::new(&principal, &client_id),
        kept,
        down,
        will: record.will.and_then(|will| read_will(will, principal)),
    })
}

fn principal(record: &SessionRecord) -> Option<Principal> {
    match record.principal_kind {
        DEVICE => Identity::parse(&record.principal)
            .ok()
            .map(Principal::Device),
        APPLICATION => Principal::application(&record.principal),
        ANONYMOUS => Some(Principal::Anonymous),
        _ => None,
    }
}

fn read_will(record: WillRecord, principal: Principal) -> Option<Box<Will>> {
    let message: Message = records::read_message(record.message?);
    let (payload_utf8, user_properties) =
        super::super::wire::read_forwarded(&message.forwarded).unwrap_or_default();
    Some(Box::new(Will {
        principal,
        message,
        payload_utf8,
        user_properties: user_properties as Vec<(ByteString, ByteString)>,
        delay_s: record.delay_s,
        expiry_s: record.expiry_s,
    }))
}
