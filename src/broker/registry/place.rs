//! One client's place in the registry and how it moves.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{Down, Due};
use crate::broker::{
    exchange::Exchange,
    line::{Inherited, Line},
    mailbox::Mailbox,
    pulse::Tick,
    session::{Kept, Will},
};

/// A session whose client is away.
#[derive(Debug)]
pub(crate) struct Absence {
    /// Its state.
    pub(crate) kept: Box<Kept>,
    /// When it ends.
    pub(crate) expires: Tick,
    /// Its will, and when that is published if the client has not come back.
    pub(crate) will: Option<(Tick, Box<Will>)>,
    /// The ended connection's line, where outcomes still arrive; none after a restart.
    pub(crate) line: Option<Arc<Line>>,
}

/// What becomes of a session when its connection ends.
#[derive(Debug)]
pub(crate) enum Leaving {
    /// It is kept until it expires.
    Stays(Box<Absence>),
    /// It ends.
    Ends(Box<Kept>),
    /// The connection waited for it and never got it; if it has come meanwhile, it is kept until then.
    Unclaimed(Tick),
}

/// What is left to do after a session's connection ended.
#[derive(Debug, Default)]
pub(crate) struct Left {
    /// A will with a delay that nobody waits for any more.
    pub(crate) will: Option<Box<Will>>,
    /// A session that has ended.
    pub(crate) ended: Option<Box<Kept>>,
    /// It ended for want of room for sessions of clients that are away.
    pub(crate) no_room: bool,
}

impl Left {
    /// What is left of a session that the registry does not know any more.
    pub(super) fn of(leaving: Leaving) -> Self {
        match leaving {
            Leaving::Stays(absence) => Self {
                will: absence.will.map(|(_, will)| will),
                ended: Some(absence.kept),
                no_room: false,
            },
            Leaving::Ends(kept) => Self {
                ended: Some(kept),
                ..Self::default()
            },
            Leaving::Unclaimed(_) => Self::default(),
        }
    }

    fn with_mailbox(mut self, mailbox: Option<Arc<Mailbox>>) -> Self {
        if let Some(kept) = &mut self.ended {
            kept.mailbox = mailbox.or_else(|| kept.mailbox.take());
        }
        self
    }
}

#[derive(Debug)]
pub(super) enum Place {
    Here(Arc<Line>),
    Coming {
        line: Option<Arc<Line>>,
        from: Arc<Line>,
    },
    Away(Box<Absence>),
}

/// Where a client goes next.
pub(super) enum Next {
    Same,
    Place(Place),
    Gone,
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) id: Arc<str>,
    pub(super) place: Place,
    /// The session's mailbox, once it has one.
    pub(super) mailbox: Option<Arc<Mailbox>>,
    /// The subscription to the device's own messages.
    pub(super) down: Option<Down>,
}

impl Client {
    /// Whether a connection serves it.
    pub(super) fn is_with(&self, line: &Arc<Line>) -> bool {
        matches!(&self.place, Place::Here(here) if Arc::ptr_eq(here, line))
    }

    /// The session is no longer: the next one starts with nothing.
    pub(super) fn end(&mut self) -> Option<Arc<Mailbox>> {
        self.down = None;
        self.mailbox.take()
    }

    /// Its mailbox; one that is made here is handed to the connection that serves it.
    pub(super) fn mailbox_of(
        &mut self,
        exchange: &Exchange,
        number: Option<NonZeroU32>,
    ) -> Arc<Mailbox> {
        if let Some(mailbox) = &self.mailbox {
            return Arc::clone(mailbox);
        }
        let mailbox = exchange.mailbox(number, 0);
        self.mailbox = Some(Arc::clone(&mailbox));
        match &mut self.place {
            Place::Here(line) => {
                mailbox.attach(line);
                line.hand_mailbox(Arc::clone(&mailbox));
            }
            Place::Coming { .. } => {}
            Place::Away(absence) => absence.kept.mailbox = Some(Arc::clone(&mailbox)),
        }
        mailbox
    }

    /// Its connection, or one that waited for it, ends.
    pub(super) fn leave(
        &mut self,
        line: &Arc<Line>,
        leaving: Leaving,
        room: Option<&AtomicUsize>,
    ) -> (Next, Left) {
        let from = match &mut self.place {
            Place::Here(here) if Arc::ptr_eq(here, line) => return self.leave_free(leaving, room),
            Place::Coming { from, .. } if Arc::ptr_eq(from, line) => Arc::clone(from),
            Place::Coming {
                line: Some(next),
                from,
            } if Arc::ptr_eq(next, line) => {
                // The successor gave up before the session came.
                let from = Arc::clone(from);
                let place = Place::Coming { line: None, from };
                return (Next::Place(place), Left::default());
            }
            // A clean start has ended the session meanwhile.
            _ => return (Next::Same, Left::of(leaving)),
        };
        debug_assert!(
            Arc::ptr_eq(&from, line),
            "only its own connection hands over"
        );
        let next = match &self.place {
            Place::Coming { line: next, .. } => next.clone(),
            Place::Here(_) | Place::Away(_) => None,
        };
        match (next, leaving) {
            (None, leaving) => self.leave_free(leaving, room),
            (Some(next), Leaving::Stays(mut absence)) => {
                absence.kept.mailbox.clone_from(&self.mailbox);
                hand_over(*absence, &next);
                (Next::Place(Place::Here(next)), Left::default())
            }
            (Some(next), leaving) => {
                let left = Left::of(leaving).with_mailbox(self.end());
                next.inherit(Inherited::Nothing);
                (Next::Place(Place::Here(next)), left)
            }
        }
    }

    /// Nobody waits for the session.
    fn leave_free(&mut self, leaving: Leaving, room: Option<&AtomicUsize>) -> (Next, Left) {
        let absence = match leaving {
            Leaving::Stays(absence) => absence,
            Leaving::Ends(_) => {
                let left = Left::of(leaving).with_mailbox(self.end());
                return (Next::Gone, left);
            }
            Leaving::Unclaimed(expires) => match self.unclaimed(expires) {
                Some(absence) => absence,
                None => return (Next::Gone, Left::default()),
            },
        };
        self.keep(absence, room)
    }

    fn unclaimed(&self, expires: Tick) -> Option<Box<Absence>> {
        let Place::Here(line) = &self.place else {
            return None;
        };
        match line.take_inherited() {
            Some(Inherited::Session(kept)) => Some(Box::new(Absence {
                kept,
                expires,
                will: None,
                line: Some(Arc::clone(line)),
            })),
            _ => None,
        }
    }

    fn keep(&mut self, mut absence: Box<Absence>, room: Option<&AtomicUsize>) -> (Next, Left) {
        let Some(away) = room else {
            let mut left = Left::of(Leaving::Stays(absence)).with_mailbox(self.end());
            left.no_room = true;
            return (Next::Gone, left);
        };
        away.fetch_add(1, Ordering::Relaxed);
        absence.kept.mailbox.clone_from(&self.mailbox);
        (Next::Place(Place::Away(absence)), Left::default())
    }

    /// When something of it is due, if it is away.
    pub(super) fn due(&self) -> Option<Tick> {
        let Place::Away(absence) = &self.place else {
            return None;
        };
        let will = absence.will.as_ref().map_or(absence.expires, |(at, _)| *at);
        Some(Tick(absence.expires.0.min(will.0)))
    }

    /// Whether it is away and its session has expired; what is due goes to `due`.
    pub(super) fn expire(&mut self, now: Tick, due: &mut Due) -> bool {
        let Place::Away(absence) = &mut self.place else {
            return false;
        };
        let expired = absence.expires.since(now).0 == 0;
        let will_due = |at: Tick| expired || at.since(now).0 == 0;
        if absence.will.as_ref().is_some_and(|(at, _)| will_due(*at)) {
            due.wills.extend(absence.will.take().map(|(_, will)| *will));
        }
        if expired {
            let mut kept = std::mem::take(&mut absence.kept);
            kept.mailbox = self.mailbox.take();
            due.ended.push(*kept);
        }
        expired
    }
}

/// Hands a session to the line of its client's next connection; a will that waited for the client is void then.
fn hand_over(absence: Absence, next: &Arc<Line>) {
    let Absence { kept, line, .. } = absence;
    if let Some(line) = line {
        kept.adopt_outcomes(&line, next);
    }
    next.inherit(Inherited::Session(kept));
}
