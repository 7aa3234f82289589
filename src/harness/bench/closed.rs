//! The closed load: each connection keeps its window full and sends the next publish on each acknowledgement.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::{
    entry::{Entry, Pass},
    process::Cpu,
    readings::{Readings, device_name},
};
use crate::harness::{
    client::{AckKind, Driver, Engine, Inbound, Links, Lost, Opening, Turn, Version},
    devices::Latency,
};

/// Names of its devices begin so.
const PREFIX: &str = "bench";
const GREETING_MAX: usize = 256;
/// How long what is in flight at the end may take.
const DRAIN_MAX: Duration = Duration::from_secs(20);

/// What a load sends.
pub(super) trait Feed {
    /// Appends the next publish of a connection; says how many readings it holds.
    fn append(&mut self, link: usize, packet_id: u16, out: &mut Vec<u8>, now: Instant) -> u32;
}

impl Feed for Readings {
    fn append(&mut self, link: usize, packet_id: u16, out: &mut Vec<u8>, now: Instant) -> u32 {
        Self::append(self, link, packet_id, out, now);
        1
    }
}

/// A closed load.
#[derive(Debug, Clone)]
pub struct Closed {
    /// The server.
    pub server: SocketAddr,
    /// Its process, whose processor time is measured.
    pub process_id: u32,
    /// Connections.
    pub connections: usize,
    /// Publishes in flight on each.
    pub window: usize,
    /// How the devices come in.
    pub entry: Entry,
    /// Time before the measurement begins.
    pub warm_up: Duration,
    /// Time measured.
    pub measured: Duration,
}

/// What a closed load found.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Readings acknowledged within the time measured.
    pub acknowledged: u64,
    /// Payloads acknowledged within it.
    pub payloads: u64,
    /// Readings acknowledged in all, warm-up and end included.
    pub acknowledged_in_all: u64,
    /// Readings answered with an error, in all.
    pub rejected: u64,
    /// The time measured.
    pub elapsed: Duration,
    /// The server's processor time within it.
    pub server_cpu: Cpu,
    /// The load's own processor time within it.
    pub load_cpu: Cpu,
    /// Times to the acknowledgement within it.
    pub latency: Latency,
}

impl Outcome {
    /// Acknowledged readings a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        super::ratio(self.acknowledged, self.elapsed.as_secs_f64())
    }

    /// Acknowledged payloads a second.
    #[must_use]
    pub fn payload_rate(&self) -> f64 {
        super::ratio(self.payloads, self.elapsed.as_secs_f64())
    }
}

impl Closed {
    /// Connects, warms up, measures, drains.
    ///
    /// # Errors
    /// epoll failed, a connection was lost, or nothing could be encoded.
    pub fn run(&self) -> io::Result<Outcome> {
        let readings = Readings::of(PREFIX, self.connections);
        self.run_with(&mut readings.map_err(io::Error::other)?)
    }

    /// The same with other readings.
    pub(super) fn run_with(&self, feed: &mut dyn Feed) -> io::Result<Outcome> {
        let mut load = Load::new(self, feed)?;
        Engine::new(self.connections)?.run(&mut load)?;
        load.outcome()
    }
}

enum Phase {
    Connecting,
    WarmingUp {
        until: Instant,
    },
    Measuring {
        since: Instant,
        server: Cpu,
        load: Cpu,
    },
    Draining {
        until: Instant,
    },
}

/// What is known at the end of the time measured.
struct Measured {
    acknowledged: u64,
    payloads: u64,
    elapsed: Duration,
    server_cpu: Cpu,
    load_cpu: Cpu,
}

struct Load<'a> {
    plan: &'a Closed,
    passes: Vec<Pass>,
    feed: &'a mut dyn Feed,
    /// When the publish of a connection's slot was sent, and how many readings it holds.
    sent: Vec<(Instant, u32)>,
    opened: usize,
    up: usize,
    in_flight: u64,
    phase: Phase,
    acknowledged_in_all: u64,
    rejected: u64,
    measured: Option<Measured>,
    acknowledged: u64,
    payloads: u64,
    latency: Latency,
    fault: Option<String>,
}

impl<'a> Load<'a> {
    fn new(plan: &'a Closed, feed: &'a mut dyn Feed) -> io::Result<Self> {
        let pass = |link| plan.entry.pass(&device_name(PREFIX, link), link);
        let passes = (0..plan.connections).map(pass);
        Ok(Self {
            passes: passes.collect::<Result<_, _>>().map_err(io::Error::other)?,
            feed,
            sent: vec![(Instant::now(), 0); plan.connections * plan.window],
            opened: 0,
            up: 0,
            in_flight: 0,
            phase: Phase::Connecting,
            acknowledged_in_all: 0,
            rejected: 0,
            measured: None,
            acknowledged: 0,
            payloads: 0,
            latency: Latency::new().map_err(io::Error::other)?,
            fault: None,
            plan,
        })
    }

    fn outcome(self) -> io::Result<Outcome> {
        if let Some(fault) = self.fault {
            return Err(io::Error::other(fault));
        }
        let measured = self
            .measured
            .ok_or_else(|| io::Error::other("the load ended before it was measured"))?;
        Ok(Outcome {
            acknowledged: measured.acknowledged,
            payloads: measured.payloads,
            acknowledged_in_all: self.acknowledged_in_all,
            rejected: self.rejected,
            elapsed: measured.elapsed,
            server_cpu: measured.server_cpu,
            load_cpu: measured.load_cpu,
            latency: self.latency,
        })
    }

    /// Goes on with a slot that was acknowledged, unless the load is over.
    fn send_more(&mut self, (link, slot): (usize, usize), out: &mut Vec<u8>, now: Instant) {
        if !matches!(self.phase, Phase::Draining { .. }) {
            self.send(link, slot, out, now);
        }
    }

    /// Appends the next publish of a connection's slot.
    fn send(&mut self, link: usize, slot: usize, out: &mut Vec<u8>, now: Instant) {
        let id = u16::try_from(slot + 1).unwrap_or(u16::MAX);
        let readings = self.feed.append(link, id, out, now);
        if let Some(sent) = self.sent.get_mut(link * self.plan.window + slot) {
            *sent = (now, readings);
        }
        self.in_flight += 1;
    }

    fn settled(&mut self, (link, slot): (usize, usize), code: u8, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let Some(&(at, readings)) = self.sent.get(link * self.plan.window + slot) else {
            return;
        };
        if code >= 0x80 {
            self.rejected += u64::from(readings);
        } else {
            self.acknowledged_in_all += u64::from(readings);
            self.acknowledged += u64::from(readings);
            self.payloads += 1;
        }
        if let Phase::Measuring { .. } = self.phase {
            self.latency.record(now.saturating_duration_since(at));
        }
    }

    fn open_more(&mut self, links: &mut Links) {
        while self.opened < self.plan.connections && self.opened - self.up < GREETING_MAX {
            let Some(pass) = self.passes.get(self.opened) else {
                return;
            };
            let opening = Opening {
                gateway: self.plan.server,
                source: None,
                version: Version::V5,
                connect: &pass.connect,
                tls: pass.tls.as_ref(),
            };
            if let Err(e) = links.open(self.opened, &opening) {
                self.fault = Some(format!("connecting: {e}"));
            }
            self.opened += 1;
        }
    }

    fn fill_windows(&mut self, links: &mut Links, now: Instant) {
        for link in 0..self.plan.connections {
            let Some(out) = links.queue(link) else {
                continue;
            };
            for slot in 0..self.plan.window {
                self.send(link, slot, out, now);
            }
        }
    }

    /// What comes after the phase that ends now.
    fn next_phase(&mut self, links: &mut Links, now: Instant) -> io::Result<()> {
        match self.phase {
            Phase::Connecting if self.up == self.plan.connections => {
                self.fill_windows(links, now);
                let until = now + self.plan.warm_up;
                self.phase = Phase::WarmingUp { until };
            }
            Phase::WarmingUp { until } if now >= until => {
                self.acknowledged = 0;
                self.payloads = 0;
                self.latency.clear();
                let server = Cpu::of(self.plan.process_id)?;
                let load = Cpu::of(std::process::id())?;
                self.phase = Phase::Measuring {
                    since: now,
                    server,
                    load,
                };
            }
            Phase::Measuring {
                since,
                server,
                load,
            } if now >= since + self.plan.measured => {
                self.measured = Some(Measured {
                    acknowledged: self.acknowledged,
                    payloads: self.payloads,
                    elapsed: now - since,
                    server_cpu: Cpu::of(self.plan.process_id)?.since(server),
                    load_cpu: Cpu::of(std::process::id())?.since(load),
                });
                let until = now + DRAIN_MAX;
                self.phase = Phase::Draining { until };
            }
            _ => {}
        }
        Ok(())
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
                let slot = usize::from(packet_id).saturating_sub(1);
                self.settled((link, slot), code, now);
                self.send_more((link, slot), out, now);
            }
            _ => {}
        }
    }

    fn lost(&mut self, link: usize, why: Lost, _now: Instant) {
        self.fault = Some(format!("connection {link} was lost: {why:?}"));
    }

    fn turn(&mut self, links: &mut Links, now: Instant) -> Turn {
        self.open_more(links);
        if let Err(e) = self.next_phase(links, now) {
            self.fault = Some(format!("the server's process: {e}"));
        }
        let drained = match self.phase {
            Phase::Draining { until } => self.in_flight == 0 || now >= until,
            _ => false,
        };
        if self.fault.is_some() || drained {
            links.say_goodbye();
            return Turn::Stop;
        }
        Turn::Until(now + Duration::from_millis(10))
    }
}
