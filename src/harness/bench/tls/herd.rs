//! Connections that come in two herds and stay: how fast the second comes, and what each of it costs in memory. The slope
//! between the two counts leaves out what a server takes once.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use bytes::Bytes;

use crate::harness::{
    bench::{
        Cpu,
        entry::{Entry, Pass, Unissued},
        process::resident_bytes,
        readings::device_name,
    },
    client::{AckKind, Driver, Engine, Inbound, Links, Lost, Opening, Turn, Version, subscribe},
};

const GREETING_MAX: usize = 256;
/// Own addresses 127.0.0.1 … to connect from: 28,000 ports each.
const SOURCES: usize = 8;
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Two herds.
#[derive(Debug, Clone)]
pub struct Herd {
    /// The server.
    pub server: SocketAddr,
    /// Its process.
    pub process_id: u32,
    /// How they come in.
    pub entry: Entry,
    /// Connections after the first herd, and after the second.
    pub counts: [usize; 2],
    /// Pause before memory is read: what connecting left to do is done.
    pub settle: Duration,
}

/// What was found.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome {
    /// Connections of the second herd.
    pub connections: u64,
    /// From the second herd's first SYN to its last CONNACK.
    pub connecting: Duration,
    /// The server's processor time for it.
    pub server_cpu: Cpu,
    /// The load's.
    pub load_cpu: Cpu,
    /// Resident bytes of the server with the first herd, and with both.
    pub resident: [u64; 2],
}

impl Outcome {
    /// Connections a second, handshake and CONNACK included.
    #[must_use]
    pub fn connects_per_s(&self) -> f64 {
        super::super::ratio(self.connections, self.connecting.as_secs_f64())
    }

    /// Resident bytes that each connection of the second herd added.
    #[must_use]
    pub fn bytes_per_connection(&self) -> f64 {
        let [first, both] = self.resident;
        let each = super::super::ratio(self.connections, 1.0);
        super::super::ratio(both.saturating_sub(first), each)
    }
}

impl Herd {
    /// Connects and subscribes the first herd, then the second.
    ///
    /// # Errors
    /// epoll failed, a connection was lost, credentials could not be made.
    pub fn run(&self) -> io::Result<Outcome> {
        let mut load = Load::new(self).map_err(io::Error::other)?;
        Engine::new(load.passes.len())?.run(&mut load)?;
        match (load.fault, load.is_done) {
            (None, true) => Ok(load.outcome),
            (fault, _) => Err(io::Error::other(fault.unwrap_or_default())),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Connecting {
        since: Instant,
        server: Cpu,
        load: Cpu,
    },
    Subscribing,
    Settling {
        until: Instant,
    },
}

struct Load<'a> {
    plan: &'a Herd,
    passes: Vec<(Pass, Bytes)>,
    /// Connections wanted now.
    wanted: usize,
    opened: usize,
    up: usize,
    asked: usize,
    subscribed: usize,
    phase: Option<Phase>,
    outcome: Outcome,
    is_done: bool,
    fault: Option<String>,
}

impl<'a> Load<'a> {
    fn new(plan: &'a Herd) -> Result<Self, Unissued> {
        let [first, both] = plan.counts;
        let passes = (0..both).map(|link| {
            let name = device_name("herd", link);
            let down = subscribe(Version::V5, &format!("v1/{name}/down"))?;
            Ok((plan.entry.pass(&name, link)?, down))
        });
        Ok(Self {
            passes: passes.collect::<Result<_, Unissued>>()?,
            wanted: first,
            opened: 0,
            up: 0,
            asked: 0,
            subscribed: 0,
            phase: None,
            outcome: Outcome {
                connections: u64::try_from(both.saturating_sub(first)).unwrap_or(0),
                ..Outcome::default()
            },
            is_done: false,
            fault: None,
            plan,
        })
    }

    fn open_more(&mut self, links: &mut Links) -> io::Result<()> {
        while self.opened < self.wanted && self.opened - self.up < GREETING_MAX {
            let Some((pass, _)) = self.passes.get(self.opened) else {
                return Ok(());
            };
            let host = u8::try_from(self.opened % SOURCES + 1).unwrap_or(1);
            let opening = Opening {
                gateway: self.plan.server,
                source: Some(IpAddr::V4(Ipv4Addr::new(127, 0, 0, host))),
                version: Version::V5,
                connect: &pass.connect,
                tls: pass.tls.as_ref(),
            };
            links.open(self.opened, &opening)?;
            self.opened += 1;
        }
        Ok(())
    }

    fn connecting(&self, now: Instant) -> io::Result<Phase> {
        Ok(Phase::Connecting {
            since: now,
            server: Cpu::of(self.plan.process_id)?,
            load: Cpu::of(std::process::id())?,
        })
    }

    fn step(&mut self, links: &mut Links, now: Instant) -> io::Result<()> {
        let phase = match self.phase {
            Some(phase) => phase,
            None => self.connecting(now)?,
        };
        self.phase = Some(self.next(phase, links, now)?);
        Ok(())
    }

    fn next(&mut self, phase: Phase, links: &mut Links, now: Instant) -> io::Result<Phase> {
        match phase {
            Phase::Connecting {
                since,
                server,
                load,
            } => {
                self.open_more(links)?;
                if self.up < self.wanted {
                    return Ok(phase);
                }
                self.outcome.connecting = now - since;
                self.outcome.server_cpu = Cpu::of(self.plan.process_id)?.since(server);
                self.outcome.load_cpu = Cpu::of(std::process::id())?.since(load);
                for link in self.asked..self.wanted {
                    if let Some(((_, packet), out)) = self.passes.get(link).zip(links.queue(link)) {
                        out.extend_from_slice(packet);
                    }
                }
                self.asked = self.wanted;
                Ok(Phase::Subscribing)
            }
            Phase::Subscribing if self.subscribed == self.wanted => Ok(Phase::Settling {
                until: now + self.plan.settle,
            }),
            Phase::Settling { until } if now >= until => {
                let resident = resident_bytes(self.plan.process_id)?;
                let [first, both] = &mut self.outcome.resident;
                if self.wanted == self.passes.len() {
                    *both = resident;
                    self.is_done = true;
                    return Ok(phase);
                }
                *first = resident;
                self.wanted = self.passes.len();
                self.connecting(now)
            }
            _ => Ok(phase),
        }
    }
}

impl Driver for Load<'_> {
    fn inbound(&mut self, _link: usize, packet: Inbound, _out: &mut Vec<u8>, _now: Instant) {
        match packet {
            Inbound::ConnAck { .. } => self.up += 1,
            Inbound::Ack {
                kind: AckKind::SubAck,
                code,
                ..
            } => {
                self.subscribed += 1;
                if code >= 0x80 {
                    self.fault = Some(format!("a subscription was refused: {code:#x}"));
                }
            }
            _ => {}
        }
    }

    fn lost(&mut self, link: usize, why: Lost, _now: Instant) {
        let why = format!("connection {link} was lost: {why:?}");
        self.fault.get_or_insert(why);
    }

    fn turn(&mut self, links: &mut Links, now: Instant) -> Turn {
        if let Err(e) = self.step(links, now) {
            self.fault = Some(e.to_string());
        }
        if self.fault.is_some() || self.is_done {
            return Turn::Stop;
        }
        Turn::Until(now + LOOK_EVERY)
    }
}
