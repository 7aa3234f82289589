//! The line to a connection's task: what other threads tell it. Settled receipts come from the spool's writer thread,
//! answers that had to become durable from the archive's, signals from the sweep, from a successor or from a stop.
//!
//! The connection collects everything under one short lock and leaves its waker behind in the same lock; whoever brings
//! the first news takes the waker, so a burst wakes the task once and no news is missed.
//!
//! The line also shows the sweep, without a lock, since when the connection has been silent or stalled.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    task::Waker,
};

use super::{
    mailbox::Mailbox,
    pulse::{Tick, Ticks},
    session::Kept,
};
use crate::domain::Outcome;

/// Takes a mutex; a panic elsewhere while it was held does not spread, what it guards is valid after every statement.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What became of a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The inlet's word.
    Outcome(Outcome),
    /// It was handed to whoever subscribed; MQTT 5's code for it.
    Handed(u8),
    /// The inlet's word that it is stored, and now its `QoS` 2 identifier is durable too.
    Recorded(Outcome),
    /// The receipt was dropped: nobody knows.
    Abandoned,
}

/// A settled receipt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settled {
    /// Position among the session's owed acknowledgements.
    pub(crate) turn: u32,
    /// What became of the publish.
    pub(crate) verdict: Verdict,
}

/// An answer to the client that had to wait until something was durable.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// SUBACK with its codes.
    Suback(u16, Box<[u8]>),
    /// UNSUBACK with its codes.
    Unsuback(u16, Box<[u8]>),
    /// PUBREL of a message that the client has received.
    Pubrel(u16),
    /// PUBCOMP of a publish that the client has released.
    Pubcomp(u16),
}

/// Things that may be told to a connection, as a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Signals(u16);

impl Signals {
    /// Another connection has taken the session over.
    pub(crate) const TAKEN_OVER: Self = Self(1);
    /// No packet came within the time allowed.
    pub(crate) const SILENT: Self = Self(2);
    /// A packet has been arriving, or bytes have been waiting to leave, for too long.
    pub(crate) const STALLED: Self = Self(4);
    /// Look at the broker's state: the intake is closed.
    pub(crate) const LOOK: Self = Self(8);
    /// Send what is owed, say good-bye, close.
    pub(crate) const SHUTDOWN: Self = Self(16);
    /// Close at once.
    pub(crate) const ABORT: Self = Self(32);
    /// The session's mailbox has mail.
    pub(crate) const MAIL: Self = Self(64);
    /// Rights or revocations have changed: look whether the client may still be here.
    pub(crate) const RECHECK: Self = Self(128);
    /// What the client was let in with is no longer valid.
    pub(crate) const EXPIRED: Self = Self(256);

    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    const fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// What a successor is handed by the connection that it took over from.
#[derive(Debug)]
pub(crate) enum Inherited {
    /// The session.
    Session(Box<Kept>),
    /// There is nothing: it ended, or its task panicked.
    Nothing,
}

/// The shared end of a connection.
#[derive(Debug)]
pub(crate) struct Line {
    heard: AtomicU32,
    silence_max: AtomicU32,
    arriving_since: AtomicU32,
    leaving_since: AtomicU32,
    /// When the client's credentials end.
    valid_until: AtomicU32,
    post: Mutex<Post>,
}

#[derive(Debug, Default)]
struct Post {
    settled: Vec<Settled>,
    notes: Vec<Note>,
    /// A mailbox that was made for the session while it was here.
    mailbox: Option<Arc<Mailbox>>,
    inherited: Option<Inherited>,
    waker: Option<Waker>,
    /// Where receipts of an ended connection are settled once its session lives on.
    forward: Option<Arc<Line>>,
    signals: Signals,
}

/// What a connection collected from its line; the buffers are the worker's.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// Settled receipts, in the order of settling.
    pub(crate) settled: Vec<Settled>,
    /// Answers that had to wait.
    pub(crate) notes: Vec<Note>,
    /// A mailbox that was made for the session.
    pub(crate) mailbox: Option<Arc<Mailbox>>,
    /// What a predecessor handed over.
    pub(crate) inherited: Option<Inherited>,
    /// Signals since the last time.
    pub(crate) signals: Signals,
}

/// Marks that nothing is arriving or leaving.
const IDLE: u32 = u32::MAX;

impl Line {
    pub(crate) fn new(now: Tick, connect_deadline: Ticks) -> Self {
        Self {
            heard: AtomicU32::new(now.0),
            silence_max: AtomicU32::new(connect_deadline.0),
            arriving_since: AtomicU32::new(IDLE),
            leaving_since: AtomicU32::new(IDLE),
            valid_until: AtomicU32::new(IDLE),
            post: Mutex::new(Post::default()),
        }
    }

    /// Notes that a client has sent something.
    pub(crate) fn hear(&self, now: Tick) {
        self.heard.store(now.0, Ordering::Relaxed);
    }

    /// Sets how long the client may be silent from now on; [`Ticks::NEVER`] while the broker itself does not read.
    pub(crate) fn allow_silence(&self, now: Tick, most: Ticks) {
        self.hear(now);
        self.silence_max.store(most.0, Ordering::Relaxed);
    }

    /// Notes since when a packet has been arriving.
    pub(crate) fn arriving(&self, since: Option<Tick>) {
        self.arriving_since
            .store(since.map_or(IDLE, |tick| tick.0), Ordering::Relaxed);
    }

    /// Whether a packet was arriving at the last look.
    pub(crate) fn is_arriving(&self) -> bool {
        self.arriving_since.load(Ordering::Relaxed) != IDLE
    }

    /// Notes since when bytes have been waiting to leave without any progress.
    pub(crate) fn leaving(&self, since: Option<Tick>) {
        self.leaving_since
            .store(since.map_or(IDLE, |tick| tick.0), Ordering::Relaxed);
    }

    /// Notes when the client's credentials end.
    pub(crate) fn valid_until(&self, until: Tick) {
        self.valid_until.store(until.0, Ordering::Relaxed);
    }

    /// What the sweep has to tell the connection, if anything.
    pub(crate) fn overdue(&self, now: Tick, stall_max: Ticks) -> Option<Signals> {
        let stalled = |since: &AtomicU32| {
            let since = since.load(Ordering::Relaxed);
            since != IDLE && now.since(Tick(since)) > stall_max
        };
        if stalled(&self.arriving_since) || stalled(&self.leaving_since) {
            return Some(Signals::STALLED);
        }
        let until = self.valid_until.load(Ordering::Relaxed);
        if until != IDLE && until <= now.0 {
            return Some(Signals::EXPIRED);
        }
        let most = Ticks(self.silence_max.load(Ordering::Relaxed));
        let silent = now.since(Tick(self.heard.load(Ordering::Relaxed)));
        (most != Ticks::NEVER && silent > most).then_some(Signals::SILENT)
    }

    /// Tells the connection something and wakes it.
    pub(crate) fn signal(&self, signal: Signals) {
        let waker = {
            let mut post = locked(&self.post);
            post.signals.add(signal);
            post.waker.take()
        };
        wake(waker);
    }

    /// Brings a settled receipt, to the connection that holds the session now.
    pub(crate) fn settle(&self, settled: Settled) {
        let mut next = match self.settle_here(settled) {
            None => return,
            Some(next) => next,
        };
        while let Some(further) = next.settle_here(settled) {
            next = further;
        }
    }

    fn settle_here(&self, settled: Settled) -> Option<Arc<Self>> {
        let waker = {
            let mut post = locked(&self.post);
            if let Some(next) = &post.forward {
                return Some(Arc::clone(next));
            }
            post.settled.push(settled);
            post.waker.take()
        };
        wake(waker);
        None
    }

    /// Sends receipts that are still outstanding here on to `next`, and those that were settled meanwhile at once.
    pub(crate) fn forward_to(&self, next: &Arc<Self>) {
        let settled = {
            let mut post = locked(&self.post);
            post.forward = Some(Arc::clone(next));
            std::mem::take(&mut post.settled)
        };
        for one in settled {
            next.settle(one);
        }
    }

    /// Leaves an answer for the client; none once the connection's session has gone on to another one: the client asks
    /// again there.
    pub(crate) fn note(&self, note: Note) {
        let waker = {
            let mut post = locked(&self.post);
            if post.forward.is_some() {
                return;
            }
            post.notes.push(note);
            post.waker.take()
        };
        wake(waker);
    }

    /// Hands the connection a mailbox that was made for its session.
    pub(crate) fn hand_mailbox(&self, mailbox: Arc<Mailbox>) {
        locked(&self.post).mailbox = Some(mailbox);
        self.signal(Signals::MAIL);
    }

    /// Takes a mailbox that the connection did not fetch before its end.
    pub(crate) fn take_mailbox(&self) -> Option<Arc<Mailbox>> {
        locked(&self.post).mailbox.take()
    }

    /// Takes what a predecessor handed over too late.
    pub(crate) fn take_inherited(&self) -> Option<Inherited> {
        locked(&self.post).inherited.take()
    }

    /// Hands the session of a predecessor to this connection.
    pub(crate) fn inherit(&self, inherited: Inherited) {
        let waker = {
            let mut post = locked(&self.post);
            post.inherited = Some(inherited);
            post.waker.take()
        };
        wake(waker);
    }

    /// Collects everything there is and leaves the waker for the next news.
    pub(crate) fn collect(&self, waker: &Waker, news: &mut News) {
        let mut post = locked(&self.post);
        news.settled.clear();
        news.settled.append(&mut post.settled);
        news.notes.clear();
        news.notes.append(&mut post.notes);
        news.mailbox = post.mailbox.take();
        news.inherited = post.inherited.take();
        news.signals = std::mem::take(&mut post.signals);
        if !post.waker.as_ref().is_some_and(|w| w.will_wake(waker)) {
            post.waker = Some(waker.clone());
        }
    }

    /// Lets go of the waker of a task that ends.
    pub(crate) fn hang_up(&self) {
        let waker = locked(&self.post).waker.take();
        drop(waker);
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
