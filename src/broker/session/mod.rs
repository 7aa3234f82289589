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

pub(crate) use greeting::{Agreement, Terms, agree, seconds};
pub(crate) use inbox::{Admission, Inbox, Released};
pub(crate) use outbox::Outbox;
pub(crate) use subscription::{Grant, down_topic};

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use rmqtt_codec::v5::{Disconnect, DisconnectReasonCode};

use super::{
    line::Message,
    principal::Principal,
    wire::{Ack, Answers, Publish, TooLarge, Version, Violation},
};
use crate::domain::Identity;

/// What a session keeps when its client is away.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// Publishes from the client.
    pub(crate) inbox: Inbox,
    /// Messages to the client; made with the first one.
    pub(crate) outbox: Option<Box<Outbox>>,
    /// The subscription to the device's own messages.
    pub(crate) down: Option<Grant>,
}

impl Kept {
    /// The connection is gone: no owed acknowledgement can be sent any more, the client will ask again.
    pub(crate) fn interrupt(&mut self) {
        self.inbox.interrupt();
    }

    /// Queues a message for a client that is away; `false` if it does not hear it or the queue is full.
    pub(crate) fn queue(&mut self, message: &Arc<Message>) -> Queued {
        let Some(grant) = self.down else {
            return Queued::NotHeard;
        };
        let outbox = self.outbox.get_or_insert_default();
        outbox.queue(message, grant)
    }
}

/// What became of a message for a client that is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Queued {
    /// It waits for the client.
    Waits,
    /// The session has no subscription for it, or takes it at `QoS` 0, which is not kept.
    NotHeard,
    /// The queue is full.
    Full,
}

/// The message that a client left to be published when its connection dies.
#[derive(Debug)]
pub(crate) struct Will {
    pub(crate) identity: Option<Identity>,
    pub(crate) topic: Box<str>,
    pub(crate) payload: Bytes,
    pub(crate) payload_utf8: bool,
    pub(crate) user_properties: Vec<(ByteString, ByteString)>,
    /// Seconds that it waits for the client to come back.
    pub(crate) delay_s: u32,
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
    /// The will, until the client says good-bye.
    pub(crate) will: Option<Box<Will>>,
    /// Topic aliases of the client; the alias less one is the index.
    aliases: Vec<Option<Arc<str>>>,
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
        Answers {
            out,
            version: self.terms.version,
            bytes_max: self.terms.packet_bytes_max,
            reasons: self.terms.reasons,
        }
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
        if publish.retain && self.terms.version == Version::V5 {
            return Err(Violation::new(
                DisconnectReasonCode::RetainNotSupported,
                "retained messages are not available",
            ));
        }
        self.kept.inbox.admit(publish.qos, publish.id, &self.terms)
    }

    /// An acknowledgement of the client.
    pub(crate) fn acknowledged(
        &mut self,
        ack: Ack,
        (id, code): (u16, u8),
        answers: &mut Answers<'_>,
    ) -> Result<(), Violation> {
        if ack == Ack::Pubrel {
            return too_large(self.kept.inbox.released(id, answers));
        }
        match &mut self.kept.outbox {
            Some(outbox) => too_large(outbox.acknowledged(ack, (id, code), answers)),
            None if ack == Ack::Pubrec => {
                too_large(answers.ack(Ack::Pubrel, id, outbox::NOT_FOUND, None))
            }
            None => Ok(()),
        }
    }

    /// How many messages may be sent to the client now.
    pub(crate) fn window(&self) -> usize {
        match (&self.kept.outbox, self.kept.down) {
            (_, None) => 0,
            (None, Some(_)) => usize::from(self.terms.receive_max),
            (Some(outbox), Some(_)) => outbox.window(self.terms.receive_max),
        }
    }

    /// Sends a message, or nothing if the client does not hear it or takes no packet as large.
    pub(crate) fn send(&mut self, message: Arc<Message>, answers: &mut Answers<'_>) {
        if let Some(grant) = self.kept.down {
            self.kept
                .outbox
                .get_or_insert_default()
                .send(message, grant, answers);
        }
    }

    /// Sends what a resumed session owes its client, and what had to wait for room.
    pub(crate) fn resume(&mut self, answers: &mut Answers<'_>) {
        if let Some(outbox) = &mut self.kept.outbox {
            outbox.resume(answers);
        }
        self.send_queued(answers);
    }

    /// Sends what waits in the session's own queue while there is room.
    pub(crate) fn send_queued(&mut self, answers: &mut Answers<'_>) {
        if let (Some(outbox), Some(grant)) = (&mut self.kept.outbox, self.kept.down) {
            outbox.send_queued(grant, self.terms.receive_max, answers);
        }
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

/// A client whose maximum packet size has no room for an acknowledgement cannot be served.
pub(crate) fn too_large(written: Result<(), TooLarge>) -> Result<(), Violation> {
    written.map_err(|TooLarge| {
        Violation::new(
            DisconnectReasonCode::PacketTooLarge,
            "the client's maximum packet size has no room for the answer",
        )
    })
}
