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
//! Invariant: a session's state is in exactly one place: with its connection, in a successor's line, or Away here.

use std::{
    collections::HashMap,
    hash::BuildHasher,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use foldhash::fast::RandomState;

use super::{
    key::{Key, Subject},
    line::{Inherited, Line, Message, Posted, Signals, locked},
    pulse::Tick,
    session::{Kept, Queued, Will},
};
use crate::domain::Identity;

const SHARDS: usize = 64;

/// A session whose client is away.
#[derive(Debug)]
pub(crate) struct Absence {
    /// Its state.
    pub(crate) kept: Box<Kept>,
    /// When it ends.
    pub(crate) expires: Tick,
    /// Its will, and when that is published if the client has not come back.
    pub(crate) will: Option<(Tick, Box<Will>)>,
    /// The ended connection's line, where outcomes still arrive.
    pub(crate) line: Arc<Line>,
}

#[derive(Debug)]
enum Place {
    Here(Arc<Line>),
    Coming {
        line: Option<Arc<Line>>,
        from: Arc<Line>,
    },
    Away(Box<Absence>),
}

#[derive(Debug)]
struct Client {
    id: Arc<str>,
    place: Place,
}

impl Client {
    /// Whether it is away and its session has expired; a will that is due goes to `due`.
    fn expire(&mut self, now: Tick, due: &mut impl Extend<Box<Will>>) -> bool {
        let Place::Away(absence) = &mut self.place else {
            return false;
        };
        let expired = absence.expires.since(now).0 == 0;
        let will_due = |at: Tick| expired || at.since(now).0 == 0;
        if absence.will.as_ref().is_some_and(|(at, _)| will_due(*at)) {
            due.extend(absence.will.take().map(|(_, will)| will));
        }
        expired
    }
}

type Shard = HashMap<Subject, Vec<Client>, RandomState>;

/// All sessions.
#[derive(Debug)]
pub(crate) struct Registry {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    away: AtomicUsize,
    away_max: usize,
}

/// What a client finds when it comes in.
#[derive(Debug)]
pub(crate) enum Joined {
    /// There was no session, or it ends here; with it the wait of its will.
    New(Option<Box<Will>>),
    /// Its session, as it left it.
    Resumed(Box<Absence>),
    /// Another connection has it and was told to hand it over to the line.
    Coming,
}

/// What becomes of a session when its connection ends.
#[derive(Debug)]
pub(crate) enum Leaving {
    /// It is kept until it expires.
    Stays(Box<Absence>),
    /// It ends.
    Ends,
    /// The connection waited for it and never got it; if it has come meanwhile, it is kept until then.
    Unclaimed(Tick),
}

/// What became of a session that was to be kept.
#[derive(Debug)]
pub(crate) enum Left {
    /// It ended, was kept, or went to a successor; a will with a delay that nobody waits for any more is given back.
    Done(Option<Box<Will>>),
    /// There is no room for another session of a client that is away.
    NoRoom(Option<Box<Will>>),
}

/// What became of a message, over all sessions of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delivery {
    /// Sessions that the message was queued for.
    pub queued: usize,
    /// Sessions whose queue was full.
    pub full: usize,
}

impl Registry {
    pub(crate) fn new(away_max: usize) -> Self {
        let hasher = RandomState::default();
        let shard = |_| Mutex::new(HashMap::with_hasher(hasher.clone()));
        Self {
            shards: (0..SHARDS).map(shard).collect(),
            hasher: hasher.clone(),
            away: AtomicUsize::new(0),
            away_max,
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
        // The map inside uses the high bits; these are the low ones.
        let at = usize::try_from(hash & 0xffff).unwrap_or_default() % self.shards.len();
        &self.shards[at]
    }

    /// A client comes in on a line.
    pub(crate) fn join(&self, key: &Key, line: &Arc<Line>, clean: Clean, now: Tick) -> Joined {
        let mut shard = locked(self.shard(&key.subject));
        let clients = shard.entry(key.subject.clone()).or_default();
        let Some(client) = clients.iter_mut().find(|c| c.id == key.client_id) else {
            clients.reserve_exact(1);
            clients.push(Client {
                id: Arc::clone(&key.client_id),
                place: Place::Here(Arc::clone(line)),
            });
            return Joined::New(None);
        };
        let place = std::mem::replace(&mut client.place, Place::Here(Arc::clone(line)));
        match (place, clean) {
            (Place::Away(absence), Clean::No) if absence.expires.since(now).0 > 0 => {
                self.away.fetch_sub(1, Ordering::Relaxed);
                Joined::Resumed(absence)
            }
            (Place::Away(absence), _) => {
                self.away.fetch_sub(1, Ordering::Relaxed);
                Joined::New(absence.will.map(|(_, will)| will))
            }
            (Place::Here(old), Clean::Yes) => {
                old.signal(Signals::TAKEN_OVER);
                Joined::New(None)
            }
            (Place::Coming { line: waiting, .. }, Clean::Yes) => {
                tell(waiting.as_ref());
                Joined::New(None)
            }
            (Place::Here(from), Clean::No) => {
                from.signal(Signals::TAKEN_OVER);
                client.place = Place::Coming {
                    line: Some(Arc::clone(line)),
                    from,
                };
                Joined::Coming
            }
            (
                Place::Coming {
                    line: waiting,
                    from,
                },
                Clean::No,
            ) => {
                tell(waiting.as_ref());
                client.place = Place::Coming {
                    line: Some(Arc::clone(line)),
                    from,
                };
                Joined::Coming
            }
        }
    }

    /// A connection ends. The unread messages of its line go with the session.
    pub(crate) fn leave(&self, key: &Key, line: &Arc<Line>, leaving: Leaving) -> Left {
        let mut shard = locked(self.shard(&key.subject));
        let Some(clients) = shard.get_mut(&key.subject) else {
            return Left::Done(None);
        };
        let Some(at) = clients.iter().position(|c| c.id == key.client_id) else {
            return Left::Done(None);
        };
        let Some(client) = clients.get_mut(at) else {
            return Left::Done(None);
        };
        let (place, left) = self.depart(&client.place, line, leaving);
        match place {
            Next::Same => {}
            Next::Place(place) => client.place = place,
            Next::Gone => {
                clients.swap_remove(at);
                if clients.is_empty() {
                    shard.remove(&key.subject);
                }
            }
        }
        left
    }

    fn depart(&self, place: &Place, line: &Arc<Line>, leaving: Leaving) -> (Next, Left) {
        match (place, leaving) {
            (Place::Here(here), Leaving::Stays(absence)) if Arc::ptr_eq(here, line) => {
                self.keep(absence)
            }
            (Place::Here(here), Leaving::Unclaimed(expires)) if Arc::ptr_eq(here, line) => {
                match line.take_inherited() {
                    Some(Inherited::Session(kept)) => self.keep(Box::new(Absence {
                        kept,
                        expires,
                        will: None,
                        line: Arc::clone(line),
                    })),
                    _ => (Next::Gone, Left::Done(None)),
                }
            }
            (Place::Here(here), Leaving::Ends) if Arc::ptr_eq(here, line) => {
                (Next::Gone, Left::Done(None))
            }
            (Place::Coming { line: next, from }, leaving) if Arc::ptr_eq(from, line) => {
                match (next, leaving) {
                    (Some(next), Leaving::Stays(absence)) => {
                        hand_over(*absence, next);
                        (Next::Place(Place::Here(Arc::clone(next))), Left::Done(None))
                    }
                    (Some(next), _) => {
                        next.inherit(Inherited::Nothing);
                        (Next::Place(Place::Here(Arc::clone(next))), Left::Done(None))
                    }
                    (None, Leaving::Stays(absence)) => self.keep(absence),
                    (None, _) => (Next::Gone, Left::Done(None)),
                }
            }
            // The successor gave up before the session came.
            (
                Place::Coming {
                    line: Some(next),
                    from,
                },
                _,
            ) if Arc::ptr_eq(next, line) => {
                let from = Arc::clone(from);
                (
                    Next::Place(Place::Coming { line: None, from }),
                    Left::Done(None),
                )
            }
            // A clean start has ended the session meanwhile.
            (_, Leaving::Stays(absence)) => (Next::Same, Left::Done(absence.will.map(|(_, w)| w))),
            (_, Leaving::Ends | Leaving::Unclaimed(_)) => (Next::Same, Left::Done(None)),
        }
    }

    fn keep(&self, mut absence: Box<Absence>) -> (Next, Left) {
        if self.away.load(Ordering::Relaxed) >= self.away_max {
            return (Next::Gone, Left::NoRoom(absence.will.map(|(_, will)| will)));
        }
        self.away.fetch_add(1, Ordering::Relaxed);
        let mail = absence.line.take_mail();
        if !mail.is_empty() {
            absence.kept.outbox.get_or_insert_default().keep(mail);
        }
        (Next::Place(Place::Away(absence)), Left::Done(None))
    }

    /// Queues a message for every session of a device that hears it.
    pub(crate) fn deliver(&self, identity: &Identity, message: &Arc<Message>) -> Delivery {
        let subject = Subject::Device(identity.clone());
        let mut delivery = Delivery::default();
        let mut shard = locked(self.shard(&subject));
        for client in shard.get_mut(&subject).into_iter().flatten() {
            let posted = match &mut client.place {
                Place::Here(line)
                | Place::Coming {
                    line: None,
                    from: line,
                } => line.post(message),
                Place::Coming {
                    line: Some(_),
                    from,
                } => from.post(message),
                Place::Away(absence) => match absence.kept.queue(message) {
                    Queued::Waits => Posted::Queued,
                    Queued::NotHeard => Posted::NotHeard,
                    Queued::Full => Posted::Full,
                },
            };
            match posted {
                Posted::Queued => delivery.queued += 1,
                Posted::Full => delivery.full += 1,
                Posted::NotHeard => {}
            }
        }
        delivery
    }

    /// Ends the expired sessions of one shard and collects the wills that are due.
    pub(crate) fn expire(&self, turn: usize, now: Tick, due: &mut impl Extend<Box<Will>>) {
        let Some(shard) = self.shards.get(turn % self.shards.len()) else {
            return;
        };
        if self.away() == 0 {
            return;
        }
        let mut ended = 0;
        locked(shard).retain(|_, clients| {
            clients.retain_mut(|client| {
                let expired = client.expire(now, due);
                ended += usize::from(expired);
                !expired
            });
            !clients.is_empty()
        });
        self.away.fetch_sub(ended, Ordering::Relaxed);
    }
}

enum Next {
    Same,
    Place(Place),
    Gone,
}

/// Whether a client wants its older session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clean {
    /// It is to be ended.
    Yes,
    /// It is to be resumed.
    No,
}

fn tell(line: Option<&Arc<Line>>) {
    if let Some(line) = line {
        line.signal(Signals::TAKEN_OVER);
    }
}

/// Hands a session to the line of its client's next connection; a will that waited for the client is void then.
fn hand_over(absence: Absence, next: &Arc<Line>) {
    let Absence { mut kept, line, .. } = absence;
    let mail = line.take_mail();
    if !mail.is_empty() {
        kept.outbox.get_or_insert_default().keep(mail);
    }
    adopt_outcomes(&kept, &line, next);
    next.inherit(Inherited::Session(kept));
}

/// Lets outcomes that are still expected on an old line reach the new one.
pub(crate) fn adopt_outcomes(kept: &Kept, old: &Line, new: &Arc<Line>) {
    if kept.inbox.expects() {
        old.forward_to(new);
    }
}
