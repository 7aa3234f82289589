//! What waits for the rest of it: the beginning of a frame whose end a later payload brings, and packets of a message that
//! takes several. Kept for each topic and profile; bounded in bytes and in time, the topic longest silent goes first.
//!
//! Every piece that waits stands in quarantine as well, durable and acknowledged. So what is forgotten here, by a bound
//! or by a restart, is not lost: it stays there. When a message is complete, its pieces leave quarantine in the same
//! batch that takes its readings.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{
        Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use super::{memory::locked, recent::Recent};
use crate::{
    config::MemoryConfig,
    domain::{PieceId, UnixNanos},
};

/// Most bytes that wait on one topic.
pub(super) const TOPIC_BYTES_MAX: usize = 256 * 1024;
/// Most payloads of one frame, and most messages of one topic that have begun.
const PARTS_MAX: usize = 64;
/// What a piece costs beside its bytes.
const PIECE_OVERHEAD: usize = 128;

/// Where the bytes of a frame came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Origin {
    /// Pieces of earlier payloads, which stand in quarantine.
    pub(super) stored: Vec<PieceId>,
    /// Its part of the payload that is being read.
    pub(super) here: Option<Range<usize>>,
}

/// One packet of a message.
#[derive(Debug, Clone)]
pub(super) struct Packet {
    body: Vec<u8>,
    pub(super) origin: Origin,
}

/// A message of which some packets have come.
#[derive(Debug, Clone)]
pub(super) struct Message {
    /// What its packets have in common.
    key: u64,
    pub(super) total: u16,
    /// The whole frame of the first packet.
    first: Vec<u8>,
    pub(super) packets: BTreeMap<u16, Packet>,
}

impl Message {
    /// The first frame and all bodies in order, once every packet is there.
    pub(super) fn joined(&self) -> Option<(&[u8], Vec<u8>)> {
        if self.packets.len() < usize::from(self.total) {
            return None;
        }
        let bodies: Vec<&[u8]> = self.packets.values().map(|packet| &*packet.body).collect();
        Some((&self.first, bodies.concat()))
    }

    fn bytes(&self) -> usize {
        let packets = self.packets.values();
        let bodies: usize = packets
            .map(|packet| packet.body.len() + PIECE_OVERHEAD)
            .sum();
        self.first.len() + bodies
    }
}

/// What waits on a topic.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waiting {
    /// The beginning of a frame, and the payloads that brought it.
    pub(super) tail: Vec<u8>,
    pub(super) tail_pieces: Vec<PieceId>,
    pub(super) messages: Vec<Message>,
    heard_at: UnixNanos,
    /// Of the topic.
    name_bytes: usize,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.tail.is_empty() && self.messages.is_empty()
    }

    fn bytes(&self) -> usize {
        let messages: usize = self.messages.iter().map(Message::bytes).sum();
        self.name_bytes + self.tail.len() + self.tail_pieces.len() * PIECE_OVERHEAD + messages
    }

    /// Keeps the beginning of a frame; whether it may still become one.
    pub(super) fn keep_tail(
        &mut self,
        bytes: &[u8],
        mut pieces: Vec<PieceId>,
        last: PieceId,
    ) -> bool {
        let fits = bytes.len() <= TOPIC_BYTES_MAX && pieces.len() < PARTS_MAX;
        if fits {
            pieces.push(last);
            self.tail = bytes.to_vec();
            self.tail_pieces = pieces;
        }
        fits
    }

    /// Adds a packet, which replaces one of its number; gives its message if that is complete now.
    pub(super) fn add(
        &mut self,
        (key, number, total): (u64, u16, u16),
        frame: &[u8],
        packet: Packet,
    ) -> Added {
        let mut added = Added::default();
        let place = self
            .messages
            .iter()
            .position(|message| message.key == key && message.total == total);
        let mut message = match place {
            Some(place) => self.messages.remove(place),
            None => Message {
                key,
                total,
                first: Vec::new(),
                packets: BTreeMap::new(),
            },
        };
        if number == 1 {
            message.first = frame.to_vec();
        }
        added.replaced = message.packets.insert(number, packet);
        if message.packets.len() >= usize::from(total) {
            added.complete = Some(message);
            return added;
        }
        self.messages.push(message);
        while self.messages.len() > PARTS_MAX || self.bytes() > TOPIC_BYTES_MAX {
            added.given_up.push(self.messages.remove(0));
        }
        added
    }
}

/// What adding a packet did.
#[derive(Debug, Default)]
pub(super) struct Added {
    /// The message whose last packet it was.
    pub(super) complete: Option<Message>,
    /// The packet that had its number.
    pub(super) replaced: Option<Packet>,
    /// Messages that there is no room for any more.
    pub(super) given_up: Vec<Message>,
}

impl Packet {
    pub(super) fn new(body: &[u8], origin: Origin) -> Self {
        Self {
            body: body.to_vec(),
            origin,
        }
    }
}

#[derive(Debug, Default)]
struct Held {
    topics: Recent<Waiting>,
    bytes: usize,
}

/// What waits on all topics.
#[derive(Debug)]
pub(super) struct Pieces {
    held: Mutex<Held>,
    /// Topics with something that waits, so that most payloads need not look.
    topics: AtomicUsize,
    next: AtomicU64,
    bytes_max: usize,
    deadline_ns: u64,
}

impl Pieces {
    pub(super) fn new(config: &MemoryConfig) -> Self {
        Self {
            held: Mutex::default(),
            topics: AtomicUsize::new(0),
            next: AtomicU64::new(1),
            bytes_max: config.pieces_bytes_max,
            deadline_ns: u64::try_from(config.pieces_deadline.as_nanos()).unwrap_or(u64::MAX),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.topics.load(Ordering::Relaxed) == 0
    }

    /// A name that no other piece has since the start of the process.
    pub(super) fn name(&self) -> PieceId {
        PieceId(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Takes what waits on a topic and is not too old.
    pub(super) fn take(&self, topic: &str, now: UnixNanos) -> Option<Waiting> {
        let mut held = locked(&self.held);
        let waiting = held.topics.remove(topic)?;
        held.bytes = held.bytes.saturating_sub(waiting.bytes());
        self.topics.store(held.topics.len(), Ordering::Relaxed);
        drop(held);
        let age = now.0.saturating_sub(waiting.heard_at.0);
        (age <= self.deadline_ns).then_some(waiting)
    }

    /// Keeps what waits on a topic from now on.
    pub(super) fn keep(&self, topic: &str, waiting: Waiting, now: UnixNanos) {
        if waiting.is_empty() {
            return;
        }
        let waiting = Waiting {
            heard_at: now,
            name_bytes: topic.len(),
            ..waiting
        };
        let mut held = locked(&self.held);
        held.bytes += waiting.bytes();
        if let Some(before) = held.topics.insert(topic, waiting) {
            held.bytes = held.bytes.saturating_sub(before.bytes());
        }
        while held.bytes > self.bytes_max
            && let Some(oldest) = held.topics.pop_oldest()
        {
            held.bytes = held.bytes.saturating_sub(oldest.bytes());
        }
        self.topics.store(held.topics.len(), Ordering::Relaxed);
    }

    /// Topics on which something waits, and its bytes.
    pub(super) fn held(&self) -> (usize, usize) {
        let held = locked(&self.held);
        (held.topics.len(), held.bytes)
    }
}
