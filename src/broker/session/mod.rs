//! The session: what the broker knows of a client, and what it decides on its packets. Plain structs driven by events,
//! no I/O, no clock: the connection hands in packets and settled receipts and sends what was written.
//!
//! ```text
//!  Session  one connection's terms: version, identity, limits, aliases, will
//!    └─ Kept  what outlives the connection if the client wants it: Inbox, Outbox, subscription
//! ```
//!
//! Invariants: acknowledgements leave in the order of the publishes; none leaves before its outcome is known; at most
//! the agreed number of exchanges is open in either direction; every queue has a bound.

mod greeting;
mod inbox;
mod outbox;
mod subscription;
mod lasting;
mod mail;

pub(crate) use greeting::{Agreement, Terms, agree, seconds};
pub(crate) use inbox::{Admission, Inbox, Lasting, Released};
pub(crate) use lasting::{Letters, Presence, restore};
pub(crate) use mail::Mail;
pub(crate) use outbox::{Aliases, Outbox};
pub(crate) use subscription::{Subscription, down_topic, is_own_down};

use std::{num::NonZeroU32, sync::Arc};

use bytestring::ByteString;
use rmqtt_codec::v5::{Disconnect, DisconnectReasonCode};

use super::{
    archive::Changes,
    exchange::Exchange,
    limits::Allowance,
    line::Line,
    mailbox::Mailbox,
    message::Message,
    principal::Principal,
    records,
    wire::{Answers, Publish, TooLarge, Violation},
};
use crate::domain::UnixNanos;

/// What a session keeps when its client is away.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// Publishes from the client.
    pub(crate) inbox: Inbox,
    /// Letters in flight to the client; made with the first one.
    pub(crate) outbox: Option<Box<Outbox>>,
    /// Where its letters wait; made with the first subscription or message that needs one.
    pub(crate) mailbox: Option<Arc<Mailbox>>,
    /// What it has subscribed to.
    pub(crate) subscriptions: Vec<Subscription>,
    /// Its number, if something of it is kept over a restart.
    pub(crate) number: Option<NonZeroU32>,
}

impl Kept {
    /// The connection is gone: no owed acknowledgement can be sent any more, the client will ask again.
    pub(crate) fn interrupt(&mut self) {
        self.inbox.interrupt();
    }

    /// Lets outcomes that are still expected on an old line reach the new one.
    pub(crate) fn adopt_outcomes(&self, old: &Line, new: &Arc<Line>) {
        if self.inbox.expects() {
            old.forward_to(new);
        }
    }

    /// The session has ended: nothing of it stays in any book.
    pub(crate) fn retire(mut self, exchange: &Exchange) {
        let mut changes = Changes::default();
        let number = self.number.map(NonZeroU32::get);
        if let Some(mailbox) = &self.mailbox {
            for subscription in self.subscriptions.drain(..) {
                exchange
                    .subscribers
                    .remove(&subscription.filter, mailbox.id);
            }
            for letter in mailbox.close(&exchange.postage) {
                if let Some(number) = number {
                    changes.delete(records::letter_key(number, letter.position));
                }
            }
        }
        if let Some(number) = number {
            changes.delete(records::session_key(number));
            for position in self.outbox.iter().flat_map(|outbox| outbox.positions()) {
                changes.delete(records::letter_key(number, position));
            }
            for id in self.inbox.held() {
                changes.delete(records::received_key(number, id));
            }
            exchange.archive.note(changes, None);
        }
    }
}

/// The message that a client left to be published when its connection dies.
#[derive(Debug)]
pub(crate) struct Will {
    pub(crate) principal: Principal,
    pub(crate) message: Message,
    pub(crate) payload_utf8: bool,
    pub(crate) user_properties: Vec<(ByteString, ByteString)>,
    /// Seconds that it waits for the client to come back.
    pub(crate) delay_s: u32,
    /// Seconds that it is worth once it is published.
    pub(crate) expiry_s: Option<u32>,
}

/// A session with a connection.
#[derive(Debug)]
pub(crate) struct Session {
    /// Who the client is.
    pub(crate) principal: Principal,
    /// The client identifier, given or assigned.
    pub(crate) client_id: Arc<str>,
    /// What was agreed in CONNECT and CONNACK.
    pub(crate) terms: Terms,
    /// Seconds that the session outlives the connection.
    pub(crate) expiry_s: u32,
    /// When the client's credentials end.
    pub(crate) until: Option<UnixNanos>,
    /// The will, until the client says good-bye.
    pub(crate) will: Option<Box<Will>>,
    /// Topic aliases of the client; the alias less one is the index.
    aliases: Vec<Option<Arc<str>>>,
    /// What the client may still send.
    pub(crate) allowance: Allowance,
    /// Topic aliases towards the client.
    aliases_out: Aliases,
    /// Whether mail waits.
    pub(crate) mail: Mail,
    /// What may outlive the connection.
    pub(crate) kept: Kept,
}

/// The topic of a publish once its alias is resolved.
#[derive(Debug)]
pub(crate) enum Topic<'a> {
    /// As given in the packet.
    Given(&'a str),
    /// By its alias.
    Known(Arc<str>),
}

impl Topic<'_> {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Given(topic) => topic,
            Self::Known(topic) => topic,
        }
    }
}

impl Session {
    /// Where to write packets for this client.
    pub(crate) const fn answers<'a>(&self, out: &'a mut bytes::BytesMut) -> Answers<'a> {
        answers(&self.terms, out)
    }

    /// Resolves a publish's topic and learns its alias; doing so twice for the same packet changes nothing.
    pub(crate) fn resolve<'a>(&mut self, publish: &Publish<'a>) -> Result<Topic<'a>, Violation> {
        let Some(alias) = publish.alias else {
            return Ok(Topic::Given(publish.topic));
        };
        if alias == 0 || alias > self.terms.topic_alias_max {
            return Err(Violation::new(
                DisconnectReasonCode::TopicAliasInvalid,
                "topic alias out of bounds",
            ));
        }
        let index = usize::from(alias) - 1;
        if publish.topic.is_empty() {
            let known = self.aliases.get(index).cloned().flatten();
            return known
                .map(Topic::Known)
                .ok_or(Violation::protocol("topic alias was never given a topic"));
        }
        if self.aliases.len() <= index {
            self.aliases.resize(index + 1, None);
        }
        if let Some(slot) = self.aliases.get_mut(index)
            && slot.as_deref() != Some(publish.topic)
        {
            *slot = Some(Arc::from(publish.topic));
        }
        Ok(Topic::Given(publish.topic))
    }

    /// Whether a publish may be offered, by the rules that do not depend on its topic.
    pub(crate) fn admit(&self, publish: &Publish<'_>) -> Result<Admission, Violation> {
        self.kept.inbox.admit(publish.qos, publish.id, &self.terms)
    }

    /// Whether it outlives its connection.
    pub(crate) const fn lasts(&self) -> bool {
        self.expiry_s > 0
    }

    /// The client's DISCONNECT; with reason code 0 its will is forgotten.
    pub(crate) fn farewell(
        &mut self,
        disconnect: &Disconnect,
        expiry_max_s: u32,
    ) -> Result<(), Violation> {
        if let Some(expiry_s) = disconnect.session_expiry_interval_secs {
            if self.expiry_s == 0 && expiry_s != 0 {
                return Err(Violation::protocol(
                    "session expiry raised from 0 in DISCONNECT",
                ));
            }
            self.expiry_s = expiry_s.min(expiry_max_s);
        }
        if disconnect.reason_code == DisconnectReasonCode::NormalDisconnection {
            self.will = None;
        }
        Ok(())
    }
}

/// Where to write packets for a client with these terms.
const fn answers<'a>(terms: &Terms, out: &'a mut bytes::BytesMut) -> Answers<'a> {
    Answers {
        out,
        version: terms.version,
        bytes_max: terms.packet_bytes_max,
        reasons: terms.reasons,
    }
}

/// A client whose maximum packet size has no room for an acknowledgement cannot be served.
pub(crate) fn too_large(written: Result<(), TooLarge>) -> Result<(), Violation> {
    written.map_err(|TooLarge| {
        Violation::new(
            DisconnectReasonCode::PacketTooLarge,
            "the client's maximum packet size has no room for the answer",
        )
    })
}
