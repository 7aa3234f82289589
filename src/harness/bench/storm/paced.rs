//! Devices that send at a steady rate whatever the server does. A reading's time counts from when it was due, not from
//! when it could be sent: what a stall holds back is part of the stall.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use super::signal::{Moment, Signal};
use crate::harness::{
    bench::{
        entry::{Entry, Pass},
        readings::{Readings, device_name},
    },
    client::{AckKind, Driver, Engine, Inbound, Links, Lost, Opening, Turn, Version},
    devices::Latency,
};

const PREFIX: &str = "steady";
const GREETING_MAX: usize = 256;
/// Publishes in flight on one connection, within `mqtt.receive_max`.
const WINDOW: u16 = 32;
/// Finest step of the schedule: epoll's.
const TICK: Duration = Duration::from_millis(1);
/// How long what is in flight at the end may take.
const DRAIN_MAX: Duration = Duration::from_secs(60);

/// A steady load.
#[derive(Debug, Clone)]
pub struct Paced {
    /// The server.
    pub server: SocketAddr,
    /// Devices, each with its connection.
    pub devices: usize,
    /// Readings a second of all of them.
    pub per_s: u32,
    /// How they come in.
    pub entry: Entry,
}

/// What a steady load found.
#[derive(Debug)]
pub struct Steady {
    /// Readings acknowledged in all.
    pub acknowledged_in_all: u64,
    /// Readings answered with an error, in all.
    pub rejected: u64,
    /// Times from due to acknowledged of the readings that were due before the storm.
    pub before: Latency,
    /// Of those that were due during it.
    pub during: Latency,
}

impl Steady {
    /// Times of the readings that were due in a moment; none are kept of those due elsewhen.
    #[must_use]
    pub(super) const fn times(&self, moment: Moment) -> Option<&Latency> {
        match moment {
            Moment::Elsewhen => None,
            Moment::Before => Some(&self.before),
            Moment::During => Some(&self.during),
        }
    }
}

impl Paced {
    /// Connects, tells that readings flow, sends until the storm is over, waits for what is in flight.
    ///
    /// # Errors
    /// epoll failed, a connection was lost, credentials could not be made, acknowledgements did not come.
    pub fn run(&self, signal: &Arc<Signal>) -> io::Result<Steady> {
        let ended = Load::new(self, signal).and_then(|mut load| {
            Engine::new(self.devices)?.run(&mut load)?;
            match load.fault {
                None => Ok(load.steady),
                Some(fault) => Err(io::Error::other(fault)),
            }
        });
        signal.end();
        ended
    }
}

/// A connection's readings: those in flight by packet id, and those that wait.
#[derive(Debug, Default)]
struct Desk {
    in_flight: Vec<Option<(Instant, Moment)>>,
    next: u16,
    waiting: VecDeque<(Instant, Moment)>,
}

impl Desk {
    /// The packet id for the oldest that waits, if its place is free.
    fn next_to_send(&mut self) -> Option<u16> {
        let place = self.in_flight.get_mut(usize::from(self.next))?;
        if place.is_some() || self.waiting.is_empty() {
            return None;
        }
        *place = self.waiting.pop_front();
        let packet_id = self.next + 1;
        self.next = packet_id % WINDOW;
        Some(packet_id)
    }

    fn acknowledged(&mut self, packet_id: u16) -> Option<(Instant, Moment)> {
        let place = usize::from(packet_id.checked_sub(1)?);
        self.in_flight.get_mut(place)?.take()
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.in_flight.iter().all(Option::is_none)
    }
}

struct Load<'a> {
    plan: &'a Paced,
    signal: Arc<Signal>,
    passes: Vec<Pass>,
    readings: Readings,
    desks: Vec<Desk>,
    opened: usize,
    up: usize,
    /// When the schedule began, and how many readings were due since.
    began: Option<(Instant, u64)>,
    ends_by: Option<Instant>,
    steady: Steady,
    fault: Option<String>,
}

impl<'a> Load<'a> {
    fn new(plan: &'a Paced, signal: &Arc<Signal>) -> io::Result<Self> {
        let pass = |link| plan.entry.pass(&device_name(PREFIX, link), link);
        let passes = (0..plan.devices).map(pass).collect::<Result<_, _>>();
        let latency = || Latency::new().map_err(io::Error::other);
        let desk = || Desk {
            in_flight: vec![None; usize::from(WINDOW)],
            ..Desk::default()
        };
        Ok(Self {
            passes: passes.map_err(io::Error::other)?,
            readings: Readings::of(PREFIX, plan.devices).map_err(io::Error::other)?,
            desks: std::iter::repeat_with(desk).take(plan.devices).collect(),
            opened: 0,
            up: 0,
            began: None,
            ends_by: None,
            steady: Steady {
                acknowledged_in_all: 0,
                rejected: 0,
                before: latency()?,
                during: latency()?,
            },
            fault: None,
            signal: Arc::clone(signal),
            plan,
        })
    }

    fn open_more(&mut self, links: &mut Links) -> io::Result<()> {
        while self.opened - self.up < GREETING_MAX {
            let Some(pass) = self.passes.get(self.opened) else {
                return Ok(());
            };
            let opening = Opening {
                gateway: self.plan.server,
                source: None,
                version: Version::V5,
                connect: &pass.connect,
                tls: pass.tls.as_ref(),
            };
            links.open(self.opened, &opening)?;
            self.opened += 1;
        }
        Ok(())
    }

    /// Puts what has become due on its device's desk.
    fn put_due(&mut self, links: &mut Links, now: Instant) {
        let Some((began, mut due)) = self.began else {
            return;
        };
        let moment = self.signal.moment();
        let elapsed_us = now.saturating_duration_since(began).as_micros();
        let until = elapsed_us * u128::from(self.plan.per_s) / 1_000_000;
        let until = u64::try_from(until).unwrap_or(u64::MAX);
        while due < until {
            let link = usize::try_from(due).unwrap_or(0) % self.plan.devices.max(1);
            due += 1;
            let due_at = began + Duration::from_secs_f64(super::super::ratio(due, self.rate()));
            if let Some(desk) = self.desks.get_mut(link) {
                desk.waiting.push_back((due_at, moment));
            }
            if let Some(out) = links.queue(link) {
                self.send_waiting(link, out, now);
            }
        }
        self.began = Some((began, due));
    }

    fn rate(&self) -> f64 {
        f64::from(self.plan.per_s)
    }

    fn send_waiting(&mut self, link: usize, out: &mut Vec<u8>, now: Instant) {
        let Some(desk) = self.desks.get_mut(link) else {
            return;
        };
        while let Some(packet_id) = desk.next_to_send() {
            self.readings.append(link, packet_id, out, now);
        }
    }

    fn step(&mut self, links: &mut Links, now: Instant) -> io::Result<bool> {
        if self.began.is_none() {
            self.open_more(links)?;
            if self.up == self.plan.devices {
                self.began = Some((now, 0));
                self.signal.flows();
            }
        }
        if !self.signal.is_over() {
            self.put_due(links, now);
            return Ok(false);
        }
        let by = *self.ends_by.get_or_insert(now + DRAIN_MAX);
        if self.desks.iter().all(Desk::is_idle) {
            return Ok(true);
        }
        if now >= by {
            return Err(io::Error::other("readings were never acknowledged"));
        }
        Ok(false)
    }

    fn settled(&mut self, link: usize, (packet_id, code): (u16, u8), now: Instant) {
        let desk = self.desks.get_mut(link);
        let Some((due_at, moment)) = desk.and_then(|desk| desk.acknowledged(packet_id)) else {
            self.fault = Some(format!(
                "an acknowledgement of nothing on connection {link}"
            ));
            return;
        };
        let refused = u64::from(code >= 0x80);
        self.steady.rejected += refused;
        self.steady.acknowledged_in_all += 1 - refused;
        let times = match moment {
            Moment::Elsewhen => return,
            Moment::Before => &mut self.steady.before,
            Moment::During => &mut self.steady.during,
        };
        times.record(now.saturating_duration_since(due_at));
    }
}

impl Driver for Load<'_> {
    fn inbound(&mut self, link: usize, packet: Inbound, out: &mut Vec<u8>, now: Instant) {
        match packet {
            Inbound::ConnAck { .. } => self.up += 1,
            Inbound::Ack {
                kind: AckKind::PubAck,
                packet_id,
                code,
            } => {
                self.settled(link, (packet_id, code), now);
                self.send_waiting(link, out, now);
            }
            _ => {}
        }
    }

    fn lost(&mut self, link: usize, why: Lost, _now: Instant) {
        let why = format!("steady connection {link} was lost: {why:?}");
        self.fault.get_or_insert(why);
    }

    fn turn(&mut self, links: &mut Links, now: Instant) -> Turn {
        match self.step(links, now) {
            Ok(false) if self.fault.is_none() => return Turn::Until(now + TICK),
            Ok(_) => {}
            Err(e) => self.fault = Some(e.to_string()),
        }
        links.say_goodbye();
        Turn::Stop
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_wait_for_a_place_and_leave_in_their_order() {
        let mut desk = Desk {
            in_flight: vec![None; usize::from(WINDOW)],
            ..Desk::default()
        };
        let began = Instant::now();
        let due = |n: u16| (began + Duration::from_millis(u64::from(n)), Moment::During);
        desk.waiting.extend((0..WINDOW + 2).map(due));
        let sent: Vec<u16> = std::iter::from_fn(|| desk.next_to_send()).collect();
        assert_eq!(sent, (1..=WINDOW).collect::<Vec<_>>());
        assert_eq!(desk.acknowledged(1), Some(due(0)));
        assert_eq!(desk.next_to_send(), Some(1));
        assert_eq!(desk.next_to_send(), None);
        assert_eq!(desk.acknowledged(1), Some(due(WINDOW)));
        assert_eq!((desk.acknowledged(1), desk.acknowledged(0)), (None, None));
        assert!(!desk.is_idle());
    }
}
