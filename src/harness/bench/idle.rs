//! Thousands of authenticated connections that say nothing: how fast they connect, what each costs in memory, and
//! what they cost the processor while idle. Their packets are encoded beforehand, so that the HMACs of the load are
//! not measured.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{
    process::{Cpu, resident_bytes},
    readings::CLASS,
};
use crate::harness::{
    client::{
        AckKind, Driver, Engine, Inbound, Links, Lost, Opening, Turn, Version, WireError, subscribe,
    },
    devices::{Unacknowledged, login},
};

const GREETING_MAX: usize = 256;
/// Own addresses 127.0.0.1 … to connect from: 28,000 ports each.
const SOURCES: u8 = 8;
/// An idle load.
#[derive(Debug, Clone)]
pub struct Idle {
    /// The server.
    pub server: SocketAddr,
    /// Its process.
    pub process_id: u32,
    /// Connections.
    pub connections: usize,
    /// Key of the devices.
    pub key: Vec<u8>,
    /// Pause before the idle time is measured: what connecting left to do is done.
    pub settle: Duration,
    /// How long the idle processor time is measured.
    pub measured: Duration,
}

/// What an idle load found.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    /// Connections.
    pub connections: usize,
    /// From the first SYN to the last CONNACK.
    pub connecting: Duration,
    /// The server's processor time for it.
    pub connecting_cpu: Cpu,
    /// Resident bytes before the first connection.
    pub resident_before: u64,
    /// Resident bytes with all of them subscribed and idle.
    pub resident_after: u64,
    /// The idle time measured.
    pub idle: Duration,
    /// The server's processor time within it.
    pub idle_cpu: Cpu,
}

impl Outcome {
    /// Connections a second.
    #[must_use]
    pub fn connects_per_s(&self) -> f64 {
        let count = u64::try_from(self.connections).unwrap_or(0);
        super::ratio(count, self.connecting.as_secs_f64())
    }

    /// Resident bytes per connection.
    #[must_use]
    pub fn bytes_per_connection(&self) -> f64 {
        let grown = self.resident_after.saturating_sub(self.resident_before);
        super::ratio(
            grown,
            f64::from(u32::try_from(self.connections).unwrap_or(u32::MAX)),
        )
    }
}

impl Idle {
    /// Connects all, subscribes all, then looks on.
    ///
    /// # Errors
    /// epoll failed, a connection was lost, the server's process is gone.
    pub fn run(&self) -> io::Result<Outcome> {
        let mut load = Load::new(self).map_err(io::Error::other)?;
        load.resident_before = resident_bytes(self.process_id)?;
        Engine::new(self.connections)?.run(&mut load)?;
        match (load.fault, load.outcome) {
            (None, Some(outcome)) => Ok(outcome),
            (fault, _) => Err(io::Error::other(fault.unwrap_or_default())),
        }
    }
}

enum Phase {
    Connecting,
    Subscribing,
    Settling { until: Instant },
    Idle { since: Instant, cpu: Cpu },
}

struct Load<'a> {
    plan: &'a Idle,
    packets: Vec<(Bytes, Bytes)>,
    opened: usize,
    up: usize,
    subscribed: usize,
    began: Option<(Instant, Cpu)>,
    connecting: (Duration, Cpu),
    resident_before: u64,
    phase: Phase,
    outcome: Option<Outcome>,
    fault: Option<String>,
}

impl<'a> Load<'a> {
    fn new(plan: &'a Idle) -> Result<Self, WireError> {
        let packets = (0..plan.connections)
            .map(|link| {
                let name = format!("{CLASS}/idle-{link:05}");
                let named = Some((name.as_str(), plan.key.as_slice()));
                let connect = login(Version::V5, named, Unacknowledged::LetGo, link)?;
                Ok((connect, subscribe(Version::V5, &format!("v1/{name}/down"))?))
            })
            .collect::<Result<_, WireError>>()?;
        Ok(Self {
            plan,
            packets,
            opened: 0,
            up: 0,
            subscribed: 0,
            began: None,
            connecting: (Duration::ZERO, Cpu::default()),
            resident_before: 0,
            phase: Phase::Connecting,
            outcome: None,
            fault: None,
        })
    }

    fn open_more(&mut self, links: &mut Links) -> io::Result<()> {
        while self.opened - self.up < GREETING_MAX {
            let Some((connect, _)) = self.packets.get(self.opened) else {
                return Ok(());
            };
            let host = self.opened % usize::from(SOURCES);
            let host = u8::try_from(host + 1).unwrap_or(1);
            links.open(
                self.opened,
                &Opening {
                    gateway: self.plan.server,
                    source: Some(IpAddr::V4(Ipv4Addr::new(127, 0, 0, host))),
                    version: Version::V5,
                    connect,
                    tls: None,
                },
            )?;
            self.opened += 1;
        }
        Ok(())
    }

    fn subscribe(&self, links: &mut Links) {
        for (link, (_, packet)) in self.packets.iter().enumerate() {
            if let Some(out) = links.queue(link) {
                out.extend_from_slice(packet);
            }
        }
    }

    fn step(&mut self, links: &mut Links, now: Instant) -> io::Result<()> {
        let cpu = || Cpu::of(self.plan.process_id);
        match self.phase {
            Phase::Connecting => {
                let before = cpu()?;
                let (since, before) = *self.began.get_or_insert((now, before));
                self.open_more(links)?;
                if self.up == self.plan.connections {
                    self.connecting = (now - since, Cpu::of(self.plan.process_id)?.since(before));
                    self.subscribe(links);
                    self.phase = Phase::Subscribing;
                }
            }
            Phase::Subscribing if self.subscribed == self.plan.connections => {
                let until = now + self.plan.settle;
                self.phase = Phase::Settling { until };
            }
            Phase::Settling { until } if now >= until => {
                self.phase = Phase::Idle {
                    since: now,
                    cpu: cpu()?,
                };
            }
            Phase::Idle { since, cpu: before } if now >= since + self.plan.measured => {
                self.outcome = Some(Outcome {
                    connections: self.plan.connections,
                    connecting: self.connecting.0,
                    connecting_cpu: self.connecting.1,
                    resident_before: self.resident_before,
                    resident_after: resident_bytes(self.plan.process_id)?,
                    idle: now - since,
                    idle_cpu: cpu()?.since(before),
                });
            }
            _ => {}
        }
        Ok(())
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
            } if code < 0x80 => self.subscribed += 1,
            Inbound::Ack {
                kind: AckKind::SubAck,
                code,
                ..
            } => {
                self.fault = Some(format!(
                    "a subscription to the own topic was refused: {code:#x}"
                ));
            }
            _ => {}
        }
    }

    fn lost(&mut self, link: usize, why: Lost, _now: Instant) {
        self.fault = Some(format!("connection {link} was lost: {why:?}"));
    }

    fn turn(&mut self, links: &mut Links, now: Instant) -> Turn {
        if let Err(e) = self.step(links, now) {
            self.fault = Some(e.to_string());
        }
        if self.fault.is_some() || self.outcome.is_some() {
            return Turn::Stop;
        }
        Turn::Until(now + Duration::from_millis(5))
    }
}
