//! Where publishes leave the broker. The broker knows no reading: it offers every publish that passed the protocol's
//! rules to an [`Inlet`], together with the acknowledgement owed for it, and is told later what became of it.
//!
//! Invariant: a [`Receipt`] is either settled, given back, or dropped; dropping it without settling tells the session
//! that nobody will ever answer, so that no acknowledgement is invented.

use std::{
    future::Future,
    sync::{Arc, Weak},
};

use bytestring::ByteString;

use super::{
    hub::Core,
    line::{Line, Settled, Verdict},
    principal::Principal,
    rights::Rights,
};
use crate::domain::{Identity, Outcome, Settle};

/// Takes the publishes of all connections.
pub trait Inlet: Send + Sync + 'static {
    /// Takes a publish, refuses it, or says that there is no room. Called on the connection's task: must not block.
    fn offer(&self, publish: Inbound<'_>, receipt: Option<Receipt>) -> Offer;

    /// Whether a topic carries reports, whoever sends them: then it is no matter of rights who may publish to it, since
    /// each report is asked for the device that it speaks of ([`Sender::may_report`]).
    fn is_for_reports(&self, topic: &str) -> bool {
        let _none_are = topic;
        false
    }

    /// Resolves when there may be room again after [`Offer::Busy`].
    fn room(&self) -> impl Future<Output = ()> + Send;
}

/// A publish as it stands in the socket's buffer; whoever sent it has the right to.
#[derive(Debug, Clone, Copy)]
pub struct Inbound<'a> {
    /// The topic, an alias already resolved; holds neither wildcards nor NUL.
    pub topic: &'a str,
    /// The payload's bytes.
    pub payload: &'a [u8],
    /// Whether the client says that the payload is UTF-8 text (MQTT 5 payload format indicator).
    pub payload_format_utf8: bool,
    /// User properties (MQTT 5), in the client's order.
    pub user_properties: &'a [(ByteString, ByteString)],
    /// Who sent it.
    pub sender: Sender<'a>,
}

/// Who sent a publish, and for whom it may speak.
#[derive(Clone, Copy)]
pub struct Sender<'a> {
    pub(super) principal: &'a Principal,
    pub(super) rights: &'a Rights,
    pub(super) core: &'a Arc<Core>,
}

impl std::fmt::Debug for Sender<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Sender").field(self.principal).finish()
    }
}

impl<'a> Sender<'a> {
    /// The device that sent it; none for applications and for anonymous clients.
    #[must_use]
    pub const fn device(&self) -> Option<&'a Identity> {
        self.principal.identity()
    }

    /// Its name: `class/device`, an application's, or `anonymous`.
    #[must_use]
    pub fn name(&self) -> String {
        self.principal.to_string()
    }

    /// Says something to whoever has subscribed, at `QoS` 0, in the gateway's own name.
    pub fn say(&self, topic: &str, payload: Vec<u8>) {
        self.core.say(topic, payload);
    }

    /// A receipt that also says something to whoever has subscribed, at `QoS` 0, once it is settled: `stored` or
    /// `quarantined`, each a topic and a payload. Without a receipt (`QoS` 0) it does only that.
    #[must_use]
    pub fn replying(
        &self,
        receipt: Option<Receipt>,
        stored: (String, Vec<u8>),
        quarantined: Option<(String, Vec<u8>)>,
    ) -> Receipt {
        let words = Words {
            core: Arc::downgrade(self.core),
            stored,
            quarantined,
        };
        let mut receipt = receipt.unwrap_or(Receipt {
            line: None,
            turn: 0,
            words: None,
        });
        receipt.words = Some(Box::new(words));
        receipt
    }

    /// Whether the sender may report for a device: whether it may publish to `v1/{class}/{device}/up`.
    #[must_use]
    pub fn may_report(&self, class: &str, device: &str) -> bool {
        self.rights.may_report(self.principal, class, device)
    }
}

/// What an inlet says to a publish.
#[derive(Debug)]
pub enum Offer {
    /// It was taken; the receipt, if one was given, is settled later.
    Owed,
    /// It is no publish for this inlet; the receipt is given back, and the broker hands the publish to whoever has
    /// subscribed to its topic.
    Ordinary(Option<Receipt>),
    /// It is answered now; the receipt is given back.
    Refused(Option<Receipt>, Refusal),
    /// There is no room; the broker keeps the publish, reads no more from that socket and offers it again after
    /// [`Inlet::room`].
    Busy(Option<Receipt>),
}

/// Why a publish is refused at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The identity may not publish to the topic.
    NotAuthorised,
    /// The topic is not one that anything takes.
    TopicInvalid,
    /// A quota or a lane's bound is used up; the client may try again later.
    QuotaExceeded,
}

impl Refusal {
    /// The name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotAuthorised => "not_authorised",
            Self::TopicInvalid => "topic_invalid",
            Self::QuotaExceeded => "quota",
        }
    }
}

/// The acknowledgement owed for one publish: 24 bytes, no allocation of its own unless it says more than that.
#[derive(Debug)]
pub struct Receipt {
    line: Option<Arc<Line>>,
    /// Position among the session's owed acknowledgements.
    turn: u32,
    words: Option<Box<Words>>,
}

/// What is said to subscribers when a receipt is settled.
#[derive(Debug)]
struct Words {
    core: Weak<Core>,
    stored: (String, Vec<u8>),
    quarantined: Option<(String, Vec<u8>)>,
}

impl Words {
    fn say(self, outcome: Outcome) {
        let said = match outcome {
            Outcome::Stored => Some(self.stored),
            Outcome::Quarantined(_) => self.quarantined,
            Outcome::Refused => None,
        };
        if let (Some((topic, payload)), Some(core)) = (said, self.core.upgrade()) {
            core.say(&topic, payload);
        }
    }
}

impl Receipt {
    pub(super) fn new(line: &Arc<Line>, turn: u32) -> Self {
        Self {
            line: Some(Arc::clone(line)),
            turn,
            words: None,
        }
    }

    /// Takes the receipt back unsettled: whoever holds it answers in another way.
    pub(super) fn withdraw(mut self) {
        self.line = None;
    }

    /// The publish was handed to whoever subscribed: answered with MQTT 5's code.
    pub(super) fn answer(mut self, code: u8) {
        self.tell(Verdict::Handed(code));
    }

    fn tell(&mut self, verdict: Verdict) {
        if let Some(line) = self.line.take() {
            line.settle(Settled {
                turn: self.turn,
                verdict,
            });
        }
    }
}

impl Settle for Receipt {
    fn settle(mut self, outcome: Outcome) {
        self.tell(Verdict::Outcome(outcome));
        if let Some(words) = self.words.take() {
            words.say(outcome);
        }
    }

    fn is_owed(&self) -> bool {
        self.line.is_some()
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.tell(Verdict::Abandoned);
    }
}

const _: () = assert!(
    size_of::<Option<Receipt>>() <= 32,
    "a receipt waits for every publish in flight"
);
