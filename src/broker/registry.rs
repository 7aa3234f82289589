//! Where every session is: with a connection, on its way from one connection to the next, or kept for a client that is
//! away. Sharded by who the client is, so that a device's sessions stand together and a message for it needs one lock.
//!
//! ```text
//!            join                     join (resume)                 leave of the old one
//!  (none) ─────────▶ Here(line) ───────────────────▶ Coming(line) ──────────────────────▶ Here(line)
//!     ▲                │ leave, expiry > 0              the old connection is told to go
//!     │ expired        ▼
//!     └──────────── Away(session) ──join──▶ Here
//! ```
//!
//! Invariants: a session's state is in exactly one place: with its connection, in a successor's line, or Away here. Its
//! mailbox is known here wherever the session is, so that a message for a device finds it. A session that ends is given
//! back to whoever ended it, to be taken out of all books.

mod place;

use std::{
    collections::HashMap,
    hash::BuildHasher,
    num::NonZeroU32,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use foldhash::fast::RandomState;

pub(crate) use self::place::{Absence, Leaving, Left};
use self::place::{Client, Next, Place};
use super::{
    exchange::{Exchange, Options},
    key::{Key, Subject},
    line::{Line, Signals, locked},
    mailbox::Mailbox,
    pulse::Tick,
    session::{Kept, Will},
};
use crate::{config::SessionLimits, domain::Identity};

const SHARDS: usize = 64;

/// Shards with something due that one sweep looks through: each costs a look at all its clients.
const SWEPT_MAX: usize = 8;

#[derive(Debug)]
struct Shard {
    clients: HashMap<Subject, Vec<Client>, RandomState>,
    /// Before this nothing of it is due.
    due: Tick,
}

impl Shard {
    fn note_due(&mut self, client: Option<Tick>) {
        if let Some(due) = client
            && due.0 < self.due.0
        {
            self.due = due;
        }
    }
}

/// Nothing is due.
const NEVER: Tick = Tick(u32::MAX);

/// All sessions.
#[derive(Debug)]
pub(crate) struct Registry {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    away: AtomicUsize,
    away_max: usize,
    per_device_max: usize,
    per_application_max: usize,
}

/// What a client finds when it comes in.
#[derive(Debug)]
pub(crate) enum Joined {
    /// There was no session, or the one that was kept ends here.
    New(Option<Box<Absence>>),
    /// Its session, as it left it.
    Resumed(Box<Absence>),
    /// Another connection has it and was told to hand it over to the line.
    Coming,
    /// There was none, and its owner has as many as it may have.
    TooMany,
}

/// A device's subscription to its own messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Down {
    pub(crate) options: Options,
    /// Subscription identifier; 0: none.
    pub(crate) id: u32,
    /// The number of a session that outlives a restart.
    pub(crate) number: Option<NonZeroU32>,
}

/// Whether a client wants its older session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clean {
    /// It is to be ended.
    Yes,
    /// It is to be resumed.
    No,
}

/// What a sweep over sessions of clients that are away found.
#[derive(Debug, Default)]
pub(crate) struct Due {
    /// Wills whose delay has passed.
    pub(crate) wills: Vec<Will>,
    /// Sessions that have expired.
    pub(crate) ended: Vec<Kept>,
}

impl Registry {
    pub(crate) fn new(away_max: usize, limits: &SessionLimits) -> Self {
        let hasher = RandomState::default();
        let shard = |_| {
            Mutex::new(Shard {
                clients: HashMap::with_hasher(hasher.clone()),
                due: NEVER,
            })
        };
        Self {
            shards: (0..SHARDS).map(shard).collect(),
            hasher: hasher.clone(),
            away: AtomicUsize::new(0),
            away_max,
            per_device_max: limits.per_device_max,
            per_application_max: limits.per_application_max,
        }
    }

    /// Sessions whose clients are away.
    pub(crate) fn away(&self) -> usize {
        self.away.load(Ordering::Relaxed)
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "the remainder is below the number of shards"
    )]
    fn shard(&self, subject: &Subject) -> &Mutex<Shard> {
        let hash = self.hasher.hash_one(subject);
        // The map inside places by the low bits and tags by the highest seven.
        let at = usize::try_from((hash >> 40) & 0xffff).unwrap_or_default() % self.shards.len();
        &self.shards[at]
    }

    /// A client comes in on a line.
    pub(crate) fn join(&self, key: &Key, line: &Arc<Line>, clean: Clean, now: Tick) -> Joined {
        let mut shard = locked(self.shard(&key.subject));
        let clients = shard.clients.entry(key.subject.clone()).or_default();
        let Some(client) = clients.iter_mut().find(|c| c.id == key.client_id) else {
            let most = match &key.subject {
                Subject::Device(_) => self.per_device_max,
                Subject::Application(_) => self.per_application_max,
                Subject::Client(_) => 1,
            };
            if clients.len() >= most.max(1) {
                return Joined::TooMany;
            }
            clients.reserve_exact(1);
            clients.push(Client {
                id: Arc::clone(&key.client_id),
                place: Place::Here(Arc::clone(line)),
                mailbox: None,
                down: None,
            });
            return Joined::New(None);
        };
        let place = std::mem::replace(&mut client.place, Place::Here(Arc::clone(line)));
        let (from, waiting) = match (place, clean) {
            (Place::Away(absence), Clean::No) if absence.expires.since(now).0 > 0 => {
                self.away.fetch_sub(1, Ordering::Relaxed);
                return Joined::Resumed(absence);
            }
            (Place::Away(mut absence), _) => {
                self.away.fetch_sub(1, Ordering::Relaxed);
                client.down = None;
                absence.kept.mailbox = client.mailbox.take();
                return Joined::New(Some(absence));
            }
            (Place::Here(from), _) => (from, None),
            (
                Place::Coming {
                    line: waiting,
                    from,
                },
                _,
            ) => (from, waiting),
        };
        match clean {
            Clean::Yes => {
                // Whoever has the session takes it out of the books when it leaves.
                tell(Some(&from));
                tell(waiting.as_ref());
                client.end();
                Joined::New(None)
            }
            Clean::No => {
                tell(Some(waiting.as_ref().unwrap_or(&from)));
                client.place = Place::Coming {
                    line: Some(Arc::clone(line)),
                    from,
                };
                Joined::Coming
            }
        }
    }

    /// A connection ends.
    pub(crate) fn leave(&self, key: &Key, line: &Arc<Line>, leaving: Leaving) -> Left {
        let mut shard = locked(self.shard(&key.subject));
        let Some(clients) = shard.clients.get_mut(&key.subject) else {
            return Left::of(leaving);
        };
        let Some(at) = clients.iter().position(|c| c.id == key.client_id) else {
            return Left::of(leaving);
        };
        let Some(client) = clients.get_mut(at) else {
            return Left::of(leaving);
        };
        let room = self.away() < self.away_max;
        let (next, left) = client.leave(line, leaving, room.then_some(&self.away));
        match next {
            Next::Same => {}
            Next::Place(place) => client.place = place,
            Next::Gone => {
                clients.swap_remove(at);
                if clients.is_empty() {
                    shard.clients.remove(&key.subject);
                }
                return left;
            }
        }
        let due = client.due();
        shard.note_due(due);
        left
    }

    fn with_client<T>(&self, key: &Key, act: impl FnOnce(&mut Client) -> T) -> Option<T> {
        let mut shard = locked(self.shard(&key.subject));
        let clients = shard.clients.get_mut(&key.subject)?;
        clients.iter_mut().find(|c| c.id == key.client_id).map(act)
    }

    /// The mailbox of a session that a connection serves, made if there is none.
    pub(crate) fn mailbox(
        &self,
        key: &Key,
        line: &Arc<Line>,
        make: impl Fn() -> Arc<Mailbox>,
    ) -> Arc<Mailbox> {
        let known = self.with_client(key, |client| {
            client
                .is_with(line)
                .then(|| Arc::clone(client.mailbox.get_or_insert_with(&make)))
        });
        let mailbox = known.flatten().unwrap_or_else(make);
        mailbox.attach(line);
        mailbox
    }

    /// Notes whether a session hears the device's messages.
    pub(crate) fn set_down(&self, key: &Key, line: &Arc<Line>, down: Option<Down>) {
        self.with_client(key, |client| {
            if client.is_with(line) {
                client.down = down;
            }
        });
    }

    /// Visits the mailboxes of every session of a device that hears its messages.
    pub(crate) fn hearers(
        &self,
        exchange: &Exchange,
        identity: &Identity,
        mut visit: impl FnMut(Arc<Mailbox>, Down),
    ) {
        let subject = Subject::Device(identity.clone());
        let mut shard = locked(self.shard(&subject));
        for client in shard.clients.get_mut(&subject).into_iter().flatten() {
            if let Some(down) = client.down {
                visit(client.mailbox_of(exchange, down.number), down);
            }
        }
    }

    /// Puts a session that was kept over a restart where it was; gives it back if there is no room or another one.
    pub(crate) fn restore(
        &self,
        key: Key,
        absence: Box<Absence>,
        down: Option<Down>,
    ) -> Result<(), Box<Absence>> {
        let mut shard = locked(self.shard(&key.subject));
        let clients = shard.clients.entry(key.subject).or_default();
        let known = clients.iter().any(|client| client.id == key.client_id);
        if known || self.away() >= self.away_max {
            return Err(absence);
        }
        self.away.fetch_add(1, Ordering::Relaxed);
        clients.reserve_exact(1);
        let client = Client {
            id: key.client_id,
            mailbox: absence.kept.mailbox.clone(),
            place: Place::Away(absence),
            down,
        };
        let due = client.due();
        clients.push(client);
        shard.note_due(due);
        Ok(())
    }

    /// Ends the expired sessions and collects the wills that are due, of as many shards as one sweep looks through.
    pub(crate) fn expire(&self, turn: usize, now: Tick, due: &mut Due) {
        if self.away() == 0 {
            return;
        }
        let before = due.ended.len();
        let first = turn.wrapping_mul(SWEPT_MAX) % SHARDS;
        let mut swept = 0;
        for shard in self.shards.iter().cycle().skip(first).take(SHARDS) {
            let mut shard = locked(shard);
            if shard.due.0 > now.0 {
                continue;
            }
            let mut next = NEVER;
            shard.clients.retain(|_, clients| {
                clients.retain_mut(|client| !client.expire(now, due));
                for due in clients.iter().filter_map(Client::due) {
                    next = Tick(next.0.min(due.0));
                }
                !clients.is_empty()
            });
            shard.due = next;
            swept += 1;
            if swept == SWEPT_MAX {
                break;
            }
        }
        let ended = due.ended.len() - before;
        self.away.fetch_sub(ended, Ordering::Relaxed);
    }
}

fn tell(line: Option<&Arc<Line>>) {
    if let Some(line) = line {
        line.signal(Signals::TAKEN_OVER);
    }
}
