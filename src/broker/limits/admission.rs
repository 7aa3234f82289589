//! New connections: the shell around the [`Door`]. A listener offers each socket that it accepts; what may come in comes
//! back at once, on the listener's own task; only what had to wait comes through [`Admission::attend`], one task for all
//! listeners. Generic over what a listener has in hand, so that every transport passes the same door.

use std::{
    convert::Infallible,
    net::IpAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use tokio::{sync::Notify, task::yield_now, time::sleep};

use super::{
    bucket::Nanos,
    door::{Door, Offered, Turn},
    incidents::{Incidents, Who},
    limit::Limit,
    metrics::{WAITED, WAITING},
};
use crate::{
    broker::{
        gate::{Entry, Gate, source},
        line::locked,
        metrics::CONNECTS,
    },
    config::ConnectLimits,
    domain::Clock,
};

/// Turns of the waiting room before other tasks get theirs.
const TURNS_MAX: usize = 64;

/// What becomes of a socket.
#[derive(Debug)]
pub(crate) enum Verdict<T> {
    /// It comes in on these terms, and is counted in at the [`Gate`]; the connection's end counts it out.
    Enters(T, Entry),
    /// It waits for its turn.
    Waits,
    /// It was closed.
    Shut,
}

/// When the waiting room is looked at again.
enum Rest {
    Moment,
    For(Duration),
    UntilNews,
}

/// Who comes in.
pub(crate) struct Admission<T> {
    door: Mutex<Door<T>>,
    gate: Arc<Gate>,
    incidents: Arc<Incidents>,
    clock: Arc<dyn Clock>,
    started: Instant,
    news: Notify,
    shut_out: Counter,
    waiting: Gauge,
    waited: Histogram,
}

impl<T> std::fmt::Debug for Admission<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admission").finish_non_exhaustive()
    }
}

impl<T> Admission<T> {
    pub(crate) fn new(
        limits: &ConnectLimits,
        gate: Arc<Gate>,
        incidents: Arc<Incidents>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            door: Mutex::new(Door::new(limits)),
            gate,
            incidents,
            started: clock.steady(),
            clock,
            news: Notify::new(),
            shut_out: counter!(CONNECTS, "outcome" => "shut_out"),
            waiting: gauge!(WAITING),
            waited: histogram!(WAITED),
        }
    }

    /// A socket from an address is there. What does not come in is closed here, or waits here.
    pub(crate) fn offer(&self, from: IpAddr, pending: T) -> Verdict<T> {
        let from = source(from);
        if !self.gate.has_room(from) {
            // The gate has its own words for that.
            return self.enter(from, pending);
        }
        let offered = locked(&self.door).offer(from, pending, self.now());
        match offered {
            Offered::Enters(pending) => self.enter(from, pending),
            Offered::Waits(None) => {
                self.waiting.increment(1.0);
                self.news.notify_one();
                Verdict::Waits
            }
            Offered::Waits(Some((other, displaced))) => {
                drop(displaced);
                self.shut_out.increment(1);
                self.bite(Limit::ConnectsWaiting, other);
                Verdict::Waits
            }
            Offered::Refused(pending, limit) => self.turn_away(from, pending, limit),
        }
    }

    /// Lets in those who wait, each at its turn, for ever.
    pub(crate) async fn attend(&self, mut welcome: impl FnMut(T, Entry)) -> Infallible {
        loop {
            match self.take_turns(&mut welcome) {
                Rest::Moment => yield_now().await,
                Rest::For(time) => sleep(time).await,
                Rest::UntilNews => self.news.notified().await,
            }
        }
    }

    fn take_turns(&self, welcome: &mut impl FnMut(T, Entry)) -> Rest {
        for _ in 0..TURNS_MAX {
            let now = self.now();
            let turn = locked(&self.door).turn(now);
            let verdict = match turn {
                Turn::In(time) => return Rest::For(time),
                Turn::Empty => return Rest::UntilNews,
                Turn::Enters(from, pending, waited) => {
                    self.waited.record(waited.as_secs_f64());
                    self.enter(from, pending)
                }
                Turn::Late(from, pending) => self.turn_away(from, pending, Limit::ConnectWait),
            };
            self.waiting.decrement(1.0);
            if let Verdict::Enters(pending, entry) = verdict {
                welcome(pending, entry);
            }
        }
        Rest::Moment
    }

    /// Closes every socket that waits.
    pub(crate) fn close(&self) {
        let room = locked(&self.door).clear();
        self.waiting.set(0.0);
        drop(room);
    }

    /// Sockets that wait.
    pub(crate) fn waiting(&self) -> usize {
        locked(&self.door).waiting()
    }

    /// Whether clients of an address are turned away because too many failed to authenticate; one that came in before is
    /// asked at its CONNECT, before anything is computed for it.
    pub(crate) fn is_shut(&self, from: IpAddr) -> bool {
        let from = source(from);
        let now = self.now();
        let shut = locked(&self.door).sources.is_shut(from, now);
        if shut {
            self.bite(Limit::AuthFailures, from);
        }
        shut
    }

    /// A client of an address failed to authenticate.
    pub(crate) fn failed(&self, from: IpAddr) {
        let now = self.now();
        locked(&self.door).sources.failed(source(from), now);
    }

    /// A client of an address proved who it is.
    pub(crate) fn proved(&self, from: IpAddr) {
        let now = self.now();
        locked(&self.door).sources.proved(source(from), now);
    }

    fn enter(&self, from: IpAddr, pending: T) -> Verdict<T> {
        let entered = self.gate.enter(from);
        let (Ok(entry) | Err(entry)) = entered;
        match entry {
            Entry::Busy => self.bite(Limit::Connections, from),
            Entry::AddressQuota => self.bite(Limit::ConnectionsPerAddress, from),
            Entry::Free | Entry::ConnectRate => {}
        }
        match entered {
            Ok(entry) => Verdict::Enters(pending, entry),
            Err(_) => self.shut(pending),
        }
    }

    /// Some are told why, after their CONNECT.
    fn turn_away(&self, from: IpAddr, pending: T, limit: Limit) -> Verdict<T> {
        self.bite(limit, from);
        let now = self.now();
        if !locked(&self.door).hear(now) {
            return self.shut(pending);
        }
        match self.enter(from, pending) {
            Verdict::Enters(pending, Entry::Free) => Verdict::Enters(pending, Entry::ConnectRate),
            other => other,
        }
    }

    fn shut(&self, pending: T) -> Verdict<T> {
        drop(pending);
        self.shut_out.increment(1);
        Verdict::Shut
    }

    fn bite(&self, limit: Limit, from: IpAddr) {
        self.incidents.note(limit, Who::Source(from));
    }

    fn now(&self) -> Nanos {
        Nanos::of(self.clock.steady().saturating_duration_since(self.started))
    }
}
