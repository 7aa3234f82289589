//! Retained messages: the last one of each topic, durable and bounded.
//!
//! Invariant: what is kept in memory is what the archive keeps, in the same order: whoever changes a topic holds the
//! turn from deciding on the change until it is taken.

use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};

use crate::{
    broker::{archive::Changes, line::locked, message::Message, records, topics::Retained},
    domain::UnixNanos,
};

/// A retained message and the number of its record.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) number: u64,
    pub(crate) message: Arc<Message>,
}

/// All retained messages.
#[derive(Debug)]
pub(crate) struct RetainedMessages {
    topics: Retained<Kept>,
    turn: Mutex<()>,
    next: AtomicU64,
    messages_max: usize,
    bytes_max: usize,
}

/// There is no room for another retained message.
pub(super) struct Full;

/// The turn to change the retained messages.
pub(super) struct Turn<'a> {
    messages: &'a RetainedMessages,
    change: Change,
    _turn: Option<MutexGuard<'a, ()>>,
}

enum Change {
    None,
    Remove,
    Set(u64),
}

impl RetainedMessages {
    pub(crate) fn new(messages_max: usize, bytes_max: usize) -> Self {
        Self {
            topics: Retained::default(),
            turn: Mutex::new(()),
            next: AtomicU64::new(1),
            messages_max,
            bytes_max,
        }
    }

    /// Decides what a message changes; the change is made by [`Turn::done`].
    pub(super) fn turn(&self, message: &Message, changes: &mut Changes) -> Result<Turn<'_>, Full> {
        if !message.retain {
            return Ok(Turn {
                messages: self,
                change: Change::None,
                _turn: None,
            });
        }
        let turn = locked(&self.turn);
        let known = self.topics.get(&message.topic);
        let change = if message.payload.is_empty() {
            if let Some(known) = &known {
                changes.delete(records::retained_key(known.number));
            }
            Change::Remove
        } else {
            let freed = known.as_ref().map_or(0, |known| known.message.cost());
            let bytes = self.topics.bytes().saturating_sub(freed) + message.cost();
            let another = known.is_none() && self.topics.len() >= self.messages_max;
            if another || bytes > self.bytes_max {
                return Err(Full);
            }
            let number = known.map_or_else(
                || self.next.fetch_add(1, Ordering::Relaxed),
                |known| known.number,
            );
            let record = records::encode(&records::message(message));
            changes.put(records::retained_key(number), record);
            Change::Set(number)
        };
        Ok(Turn {
            messages: self,
            change,
            _turn: Some(turn),
        })
    }

    /// Takes a message that was loaded.
    pub(crate) fn load(&self, number: u64, message: Message) {
        self.next.fetch_max(number + 1, Ordering::Relaxed);
        self.set(number, &Arc::new(message));
    }

    fn set(&self, number: u64, message: &Arc<Message>) {
        let message = match message.body {
            // The record of letters must not live as long as this.
            Some(_) => Arc::new(message.unrecorded()),
            None => Arc::clone(message),
        };
        let topic = message.topic.clone();
        let cost = message.cost();
        self.topics.set(&topic, Kept { number, message }, cost);
    }

    /// Visits the messages that a filter matches and that are not too old.
    pub(crate) fn matching(
        &self,
        filter: &str,
        now: UnixNanos,
        mut visit: impl FnMut(&Arc<Message>),
    ) {
        self.topics.matching(filter, &mut |_, kept| {
            if !kept.message.is_expired(now) {
                visit(&kept.message);
            }
        });
    }

    /// Removes messages that are too old; returns their records' removal.
    pub(crate) fn expire(&self, now: UnixNanos) -> Changes {
        let mut changes = Changes::default();
        let _turn = locked(&self.turn);
        self.topics.retain(&mut |_, kept| {
            let stays = !kept.message.is_expired(now);
            if !stays {
                changes.delete(records::retained_key(kept.number));
            }
            stays
        });
        changes
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.topics.len()
    }

    /// What they cost, bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.topics.bytes()
    }
}

impl Turn<'_> {
    /// The change is taken.
    pub(super) fn done(self, message: &Arc<Message>) {
        match self.change {
            Change::None => {}
            Change::Remove => {
                self.messages.topics.remove(&message.topic);
            }
            Change::Set(number) => self.messages.set(number, message),
        }
    }
}
