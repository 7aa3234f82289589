//! Who comes in, who waits, who is turned away: the decisions about new connections, with time handed in.
//!
//! ```text
//!  socket ─▶ its address shut, or too fast? ──yes──▶ Refused
//!               │ no
//!               ▼
//!            nobody waits and the rate allows it? ──yes──▶ Enters     (no detour for ordinary connections)
//!               │ no
//!               ▼
//!            the waiting room ──its turn──▶ Enters, or ──too long──▶ Late
//! ```

use std::{net::IpAddr, time::Duration};

use super::{
    bucket::{Bucket, Nanos, Rate},
    limit::Limit,
    room::{Entered, Room},
    sources::{Sources, Unwelcome},
};
use crate::config::ConnectLimits;

/// Connections per second that are turned away with a word, after their CONNECT; others are closed unheard. The longest
/// time for a CONNECT bounds with this how many there are.
const HEARD_PER_S: u64 = 64;

/// What becomes of a new socket.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Offered<T> {
    /// It comes in.
    Enters(T),
    /// It waits; the socket of another address may have to go for it.
    Waits(Option<(IpAddr, T)>),
    /// It does not come in.
    Refused(T, Limit),
}

/// What is next in the waiting room.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn<T> {
    /// This one comes in; it has waited so long.
    Enters(IpAddr, T, Duration),
    /// This one has waited too long.
    Late(IpAddr, T),
    /// Nobody's turn before this time has passed.
    In(Duration),
    /// Nobody waits.
    Empty,
}

/// The door.
#[derive(Debug)]
pub(crate) struct Door<T> {
    connects: Rate,
    bucket: Bucket,
    heard: Rate,
    heard_bucket: Bucket,
    wait_max: Duration,
    pub(crate) sources: Sources,
    room: Room<T>,
}

impl<T> Door<T> {
    pub(crate) fn new(limits: &ConnectLimits) -> Self {
        Self {
            connects: Rate::per_second(u64::from(limits.per_s), limits.burst),
            bucket: Bucket::default(),
            heard: Rate::with_burst(HEARD_PER_S, HEARD_PER_S),
            heard_bucket: Bucket::default(),
            wait_max: limits.wait_max,
            sources: Sources::new(limits),
            room: Room::new(limits.waiting_max),
        }
    }

    /// A socket of a source is there.
    pub(crate) fn offer(&mut self, source: IpAddr, pending: T, now: Nanos) -> Offered<T> {
        match self.sources.connect(source, now) {
            Err(Unwelcome::Penalty) => return Offered::Refused(pending, Limit::AuthFailures),
            Err(Unwelcome::Rate) => return Offered::Refused(pending, Limit::ConnectsPerAddress),
            Ok(()) => {}
        }
        if self.room.is_empty() && self.bucket.spend(&self.connects, now, 1).is_ok() {
            return Offered::Enters(pending);
        }
        match self.room.enter(source, pending, now) {
            Entered::Waits => Offered::Waits(None),
            Entered::Instead(other, displaced) => Offered::Waits(Some((other, displaced))),
            Entered::Full(pending) => Offered::Refused(pending, Limit::ConnectsWaiting),
        }
    }

    /// What is next in the waiting room.
    pub(crate) fn turn(&mut self, now: Nanos) -> Turn<T> {
        if let Some(late) = self.room.expire(now, self.wait_max) {
            return Turn::Late(late.source, late.pending);
        }
        let Some(oldest) = self.room.oldest() else {
            return Turn::Empty;
        };
        if let Err(wait) = self.bucket.ready(&self.connects, now, 1) {
            let late = oldest.plus(self.wait_max).since(now);
            return Turn::In(wait.min(late));
        }
        let Some(next) = self.room.next() else {
            return Turn::Empty;
        };
        self.bucket.charge(&self.connects, now, 1);
        Turn::Enters(next.source, next.pending, now.since(next.since))
    }

    /// Whether one that does not come in may be told so.
    pub(crate) fn hear(&mut self, now: Nanos) -> bool {
        self.heard_bucket.spend(&self.heard, now, 1).is_ok()
    }

    /// Sockets that wait.
    pub(crate) const fn waiting(&self) -> usize {
        self.room.len()
    }

    /// Sends everybody in the waiting room away.
    pub(crate) fn clear(&mut self) -> Room<T> {
        std::mem::replace(&mut self.room, Room::new(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn limits() -> ConnectLimits {
        ConnectLimits {
            per_s: 100,
            burst: Duration::from_millis(100),
            per_address_per_s: 1_000_000,
            per_address_burst: 1_000_000,
            waiting_max: 5_000,
            wait_max: Duration::from_secs(10),
            auth_failures_per_minute: 1,
            auth_penalty_max: Duration::from_secs(60),
        }
    }

    fn at(number: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, number])
    }

    /// Lets time pass in steps of a millisecond; who came in, with the millisecond.
    fn pass(door: &mut Door<u32>, from_ms: u64, until_ms: u64) -> Vec<(u64, u32)> {
        let mut entered = Vec::new();
        for ms in from_ms..until_ms {
            while let Turn::Enters(_, socket, _) = door.turn(Nanos(ms * 1_000_000)) {
                entered.push((ms, socket));
            }
        }
        entered
    }

    #[test]
    fn ordinary_connections_enter_at_once_and_a_storm_at_the_rate() {
        let mut door = Door::new(&limits());
        let mut at_once = 0;
        for socket in 0..1_000 {
            match door.offer(at(1), socket, Nanos(0)) {
                Offered::Enters(_) => at_once += 1,
                Offered::Waits(None) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(at_once, 10);
        let entered = pass(&mut door, 0, 9_000);
        assert!((895..=900).contains(&entered.len()), "{}", entered.len());
        assert!(entered.is_sorted());
    }

    #[test]
    fn a_lone_device_beside_a_storm_is_let_in_at_its_turn() {
        let mut door = Door::new(&limits());
        for socket in 0..100_000 {
            door.offer(at(1), socket, Nanos(0));
        }
        assert_eq!(door.waiting(), 5_000);
        let displaced = door.offer(at(2), 777_777, Nanos(0));
        assert!(matches!(displaced, Offered::Waits(Some((who, _))) if who == at(1)));
        let entered = pass(&mut door, 0, 100);
        let lone = entered.iter().position(|(_, socket)| *socket == 777_777);
        assert!(lone.is_some_and(|turn| turn <= 2), "{entered:?}");
    }

    #[test]
    fn who_has_waited_too_long_is_sent_away_and_the_wait_ends_no_later() {
        let mut door = Door::new(&ConnectLimits {
            per_s: 1,
            burst: Duration::ZERO,
            ..limits()
        });
        for socket in 0..100 {
            door.offer(at(1), socket, Nanos(0));
        }
        let mut now = 0;
        let (mut entered, mut late) = (0, 0);
        loop {
            match door.turn(Nanos(now)) {
                Turn::Enters(_, _, waited) => {
                    assert!(waited < Duration::from_secs(10));
                    entered += 1;
                }
                Turn::Late(..) => late += 1,
                Turn::In(wait) => now += u64::try_from(wait.as_nanos()).unwrap(),
                Turn::Empty => break,
            }
        }
        assert_eq!(now, 10 * SECOND);
        assert_eq!((entered, late), (9, 90));
    }

    #[test]
    fn an_address_whose_clients_fail_is_turned_away_and_only_some_are_told() {
        let mut door = Door::new(&limits());
        door.sources.failed(at(1), Nanos(0));
        door.sources.failed(at(1), Nanos(0));
        let refused = door.offer(at(1), 1, Nanos(1));
        assert_eq!(refused, Offered::Refused(1, Limit::AuthFailures));
        assert_eq!(door.offer(at(2), 2, Nanos(1)), Offered::Enters(2));
        let heard = (0..1_000).filter(|_| door.hear(Nanos(1))).count();
        assert_eq!(heard, 64);
    }
}
