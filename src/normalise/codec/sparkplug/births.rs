//! What a host application of Sparkplug remembers: birth certificates, so that an alias is read as the name that its
//! node gave it, and the sequence, so that a certificate that was missed does not make a wrong name out of an alias.
//!
//! ```text
//!              NBIRTH, DBIRTH                          NBIRTH (node and, one by one, its devices)
//!   unknown ───────────────────▶ trusted ──gap of seq──▶ distrusted ──DBIRTH (the device alone)──▶ trusted
//!      ▲                            │                        │
//!      └──── NDEATH, DDEATH ────────┴──────── evicted ───────┘
//! ```
//!
//! A scope is a node, or one of its devices; each has the certificate in force. Data of a scope that is not trusted is
//! read as far as it comes by names, refused as [`QuarantineReason::State`] where it comes by aliases, and makes the
//! node's rebirth wanted. Trust is a number: a scope is trusted while it has its node's epoch, and a node that misses a
//! message, is born or dies gets a new one. Epochs are never used twice.
//!
//! What no host can see is the loss of an NBIRTH together with just as many messages behind it as make the next number
//! the expected one. A node that comes back with other aliases dies first (its will has `QoS` 1), which is seen.
//!
//! No clock, no input or output: the time is handed in, and what is to be sent is handed back.

use std::hash::BuildHasher as _;

use foldhash::fast::FixedState;

use super::{
    super::super::{
        payload::Reject,
        point::{Key, Sink, Value},
        recent::Recent,
    },
    command,
    limits::Limits,
    names::{Known, Names},
    payload::Envelope,
    topic::{Kind, Topic},
};
use crate::{
    config::SparkplugGaps,
    domain::{QuarantineReason, UnixNanos},
};

/// What a scope costs beside its names: its slots, its place in the map.
const SCOPE_BYTES: usize = 256;

/// What a message was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// A certificate; its values are with the sink.
    Born,
    /// Data; its values are with the sink.
    Data,
    /// A death; the scope is forgotten. Nothing but heads is with the sink.
    Died,
    /// The death of a session that another has followed already: no news.
    DiedBefore,
    /// A command on its way to a node.
    Command,
}

/// What a message came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// What the message did.
    pub(crate) effect: Effect,
    /// Whether [`Births::rebirth_command`] is worth a call. It is so too after a [`QuarantineReason::State`].
    pub(crate) is_rebirth_wanted: bool,
}

/// A message to be published, `QoS` 0, not retained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command {
    /// Where to.
    pub(crate) topic: String,
    /// What.
    pub(crate) payload: Vec<u8>,
}

/// The birth certificates in force.
#[derive(Debug, Default)]
pub(crate) struct Births {
    limits: Limits,
    nodes: Recent<Node>,
    scopes: Recent<Scope>,
    bytes: usize,
    epochs: u64,
    /// `group/node` of the message in work and, in `scope`, the same with its device. Kept for their memory.
    node: String,
    scope: String,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    epoch: u64,
    /// The sequence number of the next message; none where nothing is known of the sequence.
    next: Option<u8>,
    bd_seq: Option<u64>,
    is_rebirth_wanted: bool,
    asked_at: Option<UnixNanos>,
    /// Hash of the message counted last: one that comes again is no gap.
    last: u64,
}

#[derive(Debug)]
struct Scope {
    epoch: u64,
    names: Names,
    bytes: usize,
}

impl Births {
    /// None so far.
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Reads a message, and remembers what it says.
    ///
    /// # Errors
    /// Why it cannot be read, or what the sink says; the sink may hold a part of it by then.
    pub(crate) fn read<S: Sink>(
        &mut self,
        topic: Topic<'_>,
        payload: &[u8],
        sink: &mut S,
    ) -> Result<Outcome, Reject> {
        if matches!(topic.kind, Kind::NodeCommand | Kind::DeviceCommand) {
            return Ok(Outcome {
                effect: Effect::Command,
                is_rebirth_wanted: false,
            });
        }
        self.name(topic);
        let envelope = Envelope::read(payload).inspect_err(|_| self.lose_count())?;
        topic_heads(topic, sink)?;
        envelope.heads(sink)?;
        let read = match topic.kind {
            Kind::NodeDeath => self.node_death(&envelope),
            Kind::NodeBirth => self.node_birth(&envelope, sink),
            _ => {
                let hash = FixedState::default().hash_one((topic.device, payload));
                self.rest((topic.kind, hash), &envelope, sink)
            }
        };
        let mut is_rebirth_wanted = false;
        if let Some(node) = self.nodes.touch(&self.node) {
            let is_unknown = |reject: &Reject| reject.reason == QuarantineReason::State;
            node.is_rebirth_wanted |= read.as_ref().is_err_and(is_unknown);
            is_rebirth_wanted = node.is_rebirth_wanted;
        }
        read.map(|effect| Outcome {
            effect,
            is_rebirth_wanted,
        })
    }

    /// The command by which the node of a topic is asked for all of its certificates; none if they are not wanted or it
    /// was asked a short while ago.
    pub(crate) fn rebirth_command(&mut self, topic: Topic<'_>, now: UnixNanos) -> Option<Command> {
        self.name(topic);
        let node = self.nodes.touch(&self.node)?;
        let every = u64::from(self.limits.rebirth_every_s) * 1_000_000_000;
        let is_due = node
            .asked_at
            .is_none_or(|asked| now.0.saturating_sub(asked.0) >= every || now < asked);
        if !node.is_rebirth_wanted || !is_due {
            return None;
        }
        node.asked_at = Some(now);
        let to = Topic {
            kind: Kind::NodeCommand,
            device: None,
            ..topic
        };
        Some(Command {
            topic: to.to_string(),
            payload: command::rebirth(now),
        })
    }

    /// Scopes that are remembered, trusted or not.
    #[cfg(test)]
    pub(crate) fn scopes(&self) -> usize {
        self.scopes.len()
    }

    /// Bytes of their certificates.
    #[cfg(test)]
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    fn name(&mut self, topic: Topic<'_>) {
        self.node.clear();
        self.node.push_str(topic.group);
        self.node.push('/');
        self.node.push_str(topic.node);
        self.scope.clear();
        self.scope.push_str(&self.node);
        if let Some(device) = topic.device {
            self.scope.push('/');
            self.scope.push_str(device);
        }
    }

    fn node_death(&mut self, envelope: &Envelope<'_>) -> Result<Effect, Reject> {
        let died = envelope.bd_seq().inspect_err(|_| self.lose_count())?;
        let Some(node) = self.nodes.touch(&self.node) else {
            return Ok(Effect::Died);
        };
        if let (Some(died), Some(born)) = (died, node.bd_seq)
            && died != born
        {
            return Ok(Effect::DiedBefore);
        }
        // The devices are dead with their node: their epoch is past. A dead node cannot be asked for a birth.
        let asked_at = node.asked_at;
        let node = Node {
            epoch: self.next_epoch(),
            next: None,
            bd_seq: None,
            is_rebirth_wanted: false,
            asked_at,
            last: 0,
        };
        self.put_node(node);
        self.forget_scope();
        Ok(Effect::Died)
    }

    fn node_birth<S: Sink>(
        &mut self,
        envelope: &Envelope<'_>,
        sink: &mut S,
    ) -> Result<Effect, Reject> {
        let bd_seq = envelope.bd_seq();
        let epoch = self.next_epoch();
        let node = Node {
            epoch,
            next: Some(low8(envelope.seq).wrapping_add(1)),
            bd_seq: bd_seq.as_ref().copied().unwrap_or(None),
            is_rebirth_wanted: bd_seq.is_err(),
            asked_at: self.node_in_work().asked_at,
            last: 0,
        };
        self.put_node(node);
        self.birth(epoch, envelope, sink)
    }

    /// Everything that stands within the sequence of a node that has been born.
    fn rest<S: Sink>(
        &mut self,
        (kind, hash): (Kind, u64),
        envelope: &Envelope<'_>,
        sink: &mut S,
    ) -> Result<Effect, Reject> {
        let epoch = self.step(low8(envelope.seq), hash);
        match kind {
            Kind::DeviceBirth => self.birth(epoch, envelope, sink),
            Kind::DeviceDeath => {
                self.forget_scope();
                Ok(Effect::Died)
            }
            _ => self.data(epoch, envelope, sink),
        }
    }

    /// Takes a sequence number; gives the node's epoch, a new one if messages are missing. The message counted last may
    /// come again: by its sender, or because there was no room for it.
    fn step(&mut self, seq: u8, hash: u64) -> u64 {
        let mut node = self.node_in_work();
        if node.next == Some(seq.wrapping_add(1)) && node.last == hash {
            return node.epoch;
        }
        node.last = hash;
        let expected = node.next.replace(seq.wrapping_add(1));
        let gaps = self.limits.gaps;
        if gaps != SparkplugGaps::Ignore && expected != Some(seq) {
            node.is_rebirth_wanted = true;
        }
        if gaps == SparkplugGaps::Distrust && expected.is_some_and(|expected| expected != seq) {
            node.epoch = self.next_epoch();
        }
        self.put_node(node);
        node.epoch
    }

    /// A payload that cannot be read had a number, and may have been a certificate.
    #[cold]
    fn lose_count(&mut self) {
        let mut node = self.node_in_work();
        node.next = None;
        node.is_rebirth_wanted = true;
        if self.limits.gaps == SparkplugGaps::Distrust {
            node.epoch = self.next_epoch();
        }
        self.put_node(node);
    }

    fn birth<S: Sink>(
        &mut self,
        epoch: u64,
        envelope: &Envelope<'_>,
        sink: &mut S,
    ) -> Result<Effect, Reject> {
        // Whatever comes of this certificate, the one before is void.
        self.forget_scope();
        let names = Names::of(envelope, self.limits.metrics_max)?;
        let bytes = names.bytes() + self.scope.len() + SCOPE_BYTES;
        if bytes > self.limits.bytes_max {
            let detail = format!("a birth certificate of {bytes} bytes");
            return Err(Reject::new(QuarantineReason::TooLarge, detail));
        }
        while self.bytes + bytes > self.limits.bytes_max
            || self.scopes.len() >= self.limits.scopes_max
        {
            match self.scopes.pop_oldest() {
                Some(gone) => self.bytes -= gone.bytes,
                None => break,
            }
        }
        let scope = Scope {
            epoch,
            names,
            bytes,
        };
        self.scopes.insert(&self.scope, scope);
        self.bytes += bytes;
        // What the sink thinks of the values does not make the names less sound.
        self.data(epoch, envelope, sink)?;
        Ok(Effect::Born)
    }

    fn data<S: Sink>(
        &mut self,
        epoch: u64,
        envelope: &Envelope<'_>,
        sink: &mut S,
    ) -> Result<Effect, Reject> {
        let known = match self.scopes.touch(&self.scope) {
            Some(scope) if scope.epoch == epoch => Known::Births(&scope.names),
            Some(_) => Known::Nothing("messages are missing since the birth certificate"),
            None => Known::Nothing("no birth certificate has come"),
        };
        if matches!(known, Known::Nothing(_))
            && let Some(node) = self.nodes.touch(&self.node)
        {
            node.is_rebirth_wanted = true;
        }
        envelope.read_metrics(known, sink)?;
        Ok(Effect::Data)
    }

    /// The node of the message in work, a new one if it is unknown.
    fn node_in_work(&mut self) -> Node {
        if let Some(node) = self.nodes.touch(&self.node) {
            return *node;
        }
        Node {
            epoch: self.next_epoch(),
            next: None,
            bd_seq: None,
            is_rebirth_wanted: false,
            asked_at: None,
            last: 0,
        }
    }

    fn put_node(&mut self, node: Node) {
        if let Some(known) = self.nodes.touch(&self.node) {
            *known = node;
            return;
        }
        while self.nodes.len() >= self.limits.nodes_max.max(1) {
            self.nodes.pop_oldest();
        }
        self.nodes.insert(&self.node, node);
    }

    fn forget_scope(&mut self) {
        if let Some(gone) = self.scopes.remove(&self.scope) {
            self.bytes -= gone.bytes;
        }
    }

    const fn next_epoch(&mut self) -> u64 {
        self.epochs += 1;
        self.epochs
    }
}

/// Nodes count to 255; those that count on are read as if they did not. A number that is left out is a zero of an
/// encoder that leaves zeros out.
fn low8(seq: Option<u64>) -> u8 {
    seq.unwrap_or(0).to_le_bytes()[0]
}

fn topic_heads<S: Sink>(topic: Topic<'_>, sink: &mut S) -> Result<(), Reject> {
    sink.head(Key::Name("group"), Value::Text(topic.group))?;
    sink.head(Key::Name("node"), Value::Text(topic.node))?;
    if let Some(device) = topic.device {
        sink.head(Key::Name("device"), Value::Text(device))?;
    }
    sink.head(Key::Name("type"), Value::Text(topic.kind.name()))
}
