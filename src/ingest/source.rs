//! A publish as ingest sees it, and the receipt that is owed for it.

use bytestring::ByteString;

use super::topic::Topic;
use crate::{
    broker::{Receipt, Sender},
    domain::UnixNanos,
    normalise::{Reply, Saying},
};

/// A publish on a topic of ingest.
pub(super) struct Source<'a> {
    pub(super) text: &'a str,
    /// The topic taken apart; none for topics that only profiles know.
    pub(super) topic: Option<Topic<'a>>,
    pub(super) sender: Sender<'a>,
    pub(super) payload: &'a [u8],
    pub(super) user_properties: &'a [(ByteString, ByteString)],
    pub(super) received_at: UnixNanos,
}

impl<'a> Source<'a> {
    pub(super) fn attributes(&self) -> Vec<(&'a str, &'a str)> {
        let properties = self.user_properties.iter();
        properties
            .map(|(name, value)| (&**name, &**value))
            .collect()
    }

    /// Class and device as far as the topic, or else the sender, tells them.
    pub(super) fn names(&self) -> (&'a str, &'a str) {
        let of_topic = self.topic.map(|topic| (topic.class, topic.device));
        let of_sender = || {
            let device = self.sender.device()?;
            Some((device.class(), device.device()))
        };
        of_topic.or_else(of_sender).unwrap_or_default()
    }
}

/// A receipt, if one is owed, that also says what the sender waits for.
pub(super) fn replying(source: &Source<'_>, receipt: Option<Receipt>, reply: Reply) -> Receipt {
    let words = |saying: Saying| (saying.topic, saying.payload);
    let quarantined = reply.quarantined.map(words);
    let sender = source.sender;
    sender.replying(receipt, words(reply.stored), quarantined)
}
