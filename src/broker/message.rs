//! An application message on its way from one client to others: shared by everybody it goes to, and unchanged. What
//! differs from receiver to receiver stands in its [`Letter`].
//!
//! MQTT 5 properties that a server has to forward unaltered (payload format, content type, response topic, correlation
//! data, user properties: [MQTT-3.3.2-4], -15, -16, -17, -18, -20) are kept as the bytes they came in, in their order.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use rmqtt_codec::types::QoS;
use smallvec::SmallVec;

use super::{
    archive::{Archive, Changes},
    records,
};
use crate::domain::UnixNanos;

/// What a message costs beside its bytes, bytes: the structs and the place in a queue.
const MESSAGE_OVERHEAD: usize = 128;

/// A message.
#[derive(Debug)]
pub(crate) struct Message {
    /// The topic.
    pub(crate) topic: Box<str>,
    /// The payload.
    pub(crate) payload: Bytes,
    /// MQTT 5 properties to forward, as bytes of a property section.
    pub(crate) forwarded: Box<[u8]>,
    /// The sender's `QoS`; a subscription may lower it.
    pub(crate) qos: QoS,
    /// The sender's retain flag.
    pub(crate) retain: bool,
    /// When it is too old to be sent, as its publisher said.
    pub(crate) expires: Option<UnixNanos>,
    /// When the broker took it.
    pub(crate) taken_at: UnixNanos,
    /// Its record, if sessions that outlive a restart wait for it.
    pub(crate) body: Option<Body>,
}

impl Message {
    /// What it counts against the bounds of queues, bytes.
    pub(crate) fn cost(&self) -> usize {
        self.topic.len() + self.payload.len() + self.forwarded.len() + MESSAGE_OVERHEAD
    }

    /// Seconds until it is too old, at least one: what is sent again may be older, and some clients refuse a zero.
    pub(crate) fn seconds_left(&self, now: UnixNanos) -> Option<u32> {
        self.expires.map(|expires| {
            let nanos = expires.0.saturating_sub(now.0);
            u32::try_from(nanos.div_ceil(1_000_000_000)).map_or(u32::MAX, |seconds| seconds.max(1))
        })
    }

    /// Whether it must not be sent any more.
    pub(crate) fn is_expired(&self, now: UnixNanos) -> bool {
        self.expires.is_some_and(|expires| expires.0 <= now.0)
    }

    /// The same message without a record of its own.
    pub(crate) fn unrecorded(&self) -> Self {
        Self {
            topic: self.topic.clone(),
            payload: self.payload.clone(),
            forwarded: self.forwarded.clone(),
            qos: self.qos,
            retain: self.retain,
            expires: self.expires,
            taken_at: self.taken_at,
            body: None,
        }
    }
}

/// Removes the records of bodies that nobody waits for any more, until the broker's own end: what still waits then waits
/// for the next start.
#[derive(Debug)]
pub(crate) struct Bodies {
    archive: Arc<dyn Archive>,
    ended: AtomicBool,
}

impl Bodies {
    pub(crate) const fn new(archive: Arc<dyn Archive>) -> Self {
        Self {
            archive,
            ended: AtomicBool::new(false),
        }
    }

    /// From now on nothing is removed.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// The record of one.
    pub(crate) fn body(self: &Arc<Self>, number: u64) -> Body {
        Body {
            number,
            bodies: Arc::clone(self),
        }
    }
}

/// The record of a message's body; it is removed when the last letter lets go of the message.
#[derive(Debug)]
pub(crate) struct Body {
    /// Its number.
    pub(crate) number: u64,
    bodies: Arc<Bodies>,
}

impl Drop for Body {
    fn drop(&mut self) {
        if self.bodies.ended.load(Ordering::Acquire) {
            return;
        }
        let mut changes = Changes::default();
        changes.delete(records::body_key(self.number));
        self.bodies.archive.note(changes, None);
    }
}

/// Subscription identifiers of a letter; seldom more than one.
pub(crate) type SubscriptionIds = SmallVec<[u32; 2]>;

/// A message for one session.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "the packet's own flags")]
pub(crate) struct Letter {
    /// The message.
    pub(crate) message: Arc<Message>,
    /// Its place in the session's order; 0 at `QoS` 0.
    pub(crate) position: u64,
    /// The `QoS` to send it at.
    pub(crate) qos: QoS,
    /// The retain flag to send it with.
    pub(crate) retain: bool,
    /// It may have been sent before: DUP.
    pub(crate) again: bool,
    /// Identifiers of the subscriptions it matches.
    pub(crate) ids: SubscriptionIds,
}

/// Packet identifiers that positions go round.
const PACKET_IDS: u64 = u16::MAX as u64;

impl Letter {
    /// Its packet identifier. It follows from the position, so that a letter that is sent again after a restart has the
    /// identifier that its receiver may know, and none had to be written down. Far fewer letters are open than there are
    /// identifiers.
    pub(crate) fn packet_id(&self) -> u16 {
        packet_id(self.position)
    }
}

/// The packet identifier of a position.
pub(crate) fn packet_id(position: u64) -> u16 {
    u16::try_from(position % PACKET_IDS).map_or(1, |rest| rest + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packet_identifiers_go_round_without_zero() {
        assert_eq!(packet_id(0), 1);
        assert_eq!(packet_id(65_534), 65_535);
        assert_eq!(packet_id(65_535), 1);
    }
}
