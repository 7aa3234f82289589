//! The storm: devices that are connected and quiet lose their connections at once, and a while later come back at once.
//! Who is turned away or lost comes again after a pause that doubles, as devices do.
//!
//! ```text
//! Gathering ─▶ Settling ─▶ Before ─▶ Away ─▶ During ─▶ After ─▶ the end
//! ```

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};

use super::signal::{Moment, Signal};
use crate::harness::{
    bench::{
        Cpu,
        entry::{Entry, Pass, Unissued},
        readings::device_name,
    },
    client::{AckKind, Driver, Engine, Inbound, Links, Lost, Opening, Turn, Version, subscribe},
    devices::Latency,
};

const PREFIX: &str = "storm";
/// Connections under way at once while they gather; in the storm there is no such bound.
const GREETING_MAX: usize = 256;
/// Sockets opened between two looks at those that are open.
const OPENED_PER_TURN: usize = 500;
/// Own addresses 127.0.0.1 … to connect from.
const SOURCES: usize = 8;
const SETTLE: Duration = Duration::from_secs(2);
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(4);
/// How long all of it may take.
const STORM_MAX: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(5);
const SEED: u64 = 19_000;

/// A storm.
#[derive(Debug, Clone)]
pub struct Rush {
    /// The server.
    pub server: SocketAddr,
    /// Its process.
    pub process_id: u32,
    /// Devices.
    pub devices: usize,
    /// How they come in.
    pub entry: Entry,
    /// How long the quiet before is, and after.
    pub calm: Duration,
    /// How long they are away.
    pub away: Duration,
}

/// What a storm found.
#[derive(Debug)]
pub struct Storm {
    /// From the first SYN to the last CONNACK.
    pub until_all_back: Duration,
    /// From the first SYN of all to each device's CONNACK.
    pub back: Latency,
    /// Attempts that were turned away by CONNACK, by code.
    pub turned_away: BTreeMap<u8, u64>,
    /// Attempts that ended without an answer.
    pub unanswered: u64,
    /// The server's processor time during it.
    pub server_cpu: Cpu,
}

impl Rush {
    /// Runs the storm.
    ///
    /// # Errors
    /// epoll failed, credentials could not be made, not all came back in time, or the others failed.
    pub fn run(&self, signal: &Arc<Signal>) -> io::Result<Storm> {
        let load = Load::new(self, signal).map_err(io::Error::other);
        let ended = load.and_then(|mut load| {
            Engine::new(self.devices)?.run(&mut load)?;
            match load.fault {
                None => Ok(load.storm),
                Some(fault) => Err(io::Error::other(fault)),
            }
        });
        signal.end();
        ended
    }
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Gathering,
    Settling { until: Instant },
    Before { until: Instant },
    Away { until: Instant },
    During { since: Instant, server: Cpu },
    After { until: Instant },
    Over,
}

struct Load<'a> {
    plan: &'a Rush,
    signal: Arc<Signal>,
    passes: Vec<(Pass, Bytes)>,
    attempts: Vec<u32>,
    to_open: BinaryHeap<Reverse<(Instant, usize)>>,
    opened: usize,
    up: usize,
    subscribed: usize,
    phase: Phase,
    random: SmallRng,
    began: Instant,
    storm: Storm,
    fault: Option<String>,
}

impl<'a> Load<'a> {
    fn new(plan: &'a Rush, signal: &Arc<Signal>) -> Result<Self, Unissued> {
        let passes = (0..plan.devices).map(|link| {
            let name = device_name(PREFIX, link);
            let down = subscribe(Version::V5, &format!("v1/{name}/down"))?;
            Ok((plan.entry.pass(&name, link)?, down))
        });
        let back = Latency::new();
        Ok(Self {
            passes: passes.collect::<Result<_, Unissued>>()?,
            attempts: vec![0; plan.devices],
            to_open: BinaryHeap::new(),
            opened: 0,
            up: 0,
            subscribed: 0,
            phase: Phase::Gathering,
            random: SmallRng::seed_from_u64(SEED),
            began: Instant::now(),
            storm: Storm {
                until_all_back: Duration::ZERO,
                back: back.map_err(io::Error::other)?,
                turned_away: BTreeMap::new(),
                unanswered: 0,
                server_cpu: Cpu::default(),
            },
            fault: None,
            signal: Arc::clone(signal),
            plan,
        })
    }

    fn open(&self, link: usize, links: &mut Links) -> io::Result<()> {
        let Some((pass, _)) = self.passes.get(link) else {
            return Ok(());
        };
        let host = u8::try_from(link % SOURCES + 1).unwrap_or(1);
        let opening = Opening {
            gateway: self.plan.server,
            source: Some(IpAddr::V4(Ipv4Addr::new(127, 0, 0, host))),
            version: Version::V5,
            connect: &pass.connect,
            tls: pass.tls.as_ref(),
        };
        links.open(link, &opening)
    }

    fn gather(&mut self, links: &mut Links) -> io::Result<()> {
        while self.opened < self.plan.devices && self.opened - self.up < GREETING_MAX {
            self.open(self.opened, links)?;
            self.opened += 1;
        }
        Ok(())
    }

    /// Opens what is due, without waiting for what was opened before.
    fn rush(&mut self, links: &mut Links, now: Instant) {
        for _ in 0..OPENED_PER_TURN {
            let due = self.to_open.peek().filter(|Reverse((at, _))| *at <= now);
            let Some(&Reverse((_, link))) = due else {
                return;
            };
            self.to_open.pop();
            if self.open(link, links).is_err() {
                self.storm.unanswered += 1;
                self.try_again(link, now);
            }
        }
    }

    fn try_again(&mut self, link: usize, now: Instant) {
        let Some(attempts) = self.attempts.get_mut(link) else {
            return;
        };
        let pause = PAUSE_MIN
            .saturating_mul(1 << (*attempts).min(6))
            .min(PAUSE_MAX);
        *attempts += 1;
        let pause = pause.mul_f64(0.5 + 0.5 * self.random.random::<f64>());
        self.to_open.push(Reverse((now + pause, link)));
    }

    fn step(&mut self, links: &mut Links, now: Instant) -> io::Result<Phase> {
        let phase = self.phase;
        Ok(match phase {
            Phase::Gathering => {
                if self.signal.is_flowing() {
                    self.gather(links)?;
                }
                if self.subscribed < self.plan.devices {
                    return Ok(phase);
                }
                let until = now + SETTLE;
                Phase::Settling { until }
            }
            Phase::Settling { until } if now >= until => {
                self.signal.enter(Moment::Before);
                let until = now + self.plan.calm;
                Phase::Before { until }
            }
            Phase::Before { until } if now >= until => {
                self.signal.enter(Moment::Elsewhen);
                for link in 0..self.plan.devices {
                    links.close(link);
                }
                self.up = 0;
                let until = now + self.plan.away;
                Phase::Away { until }
            }
            Phase::Away { until } if now >= until => {
                self.signal.enter(Moment::During);
                self.to_open = (0..self.plan.devices)
                    .map(|link| Reverse((now, link)))
                    .collect();
                let server = Cpu::of(self.plan.process_id)?;
                Phase::During { since: now, server }
            }
            Phase::During { since, server } => {
                self.rush(links, now);
                if self.up < self.plan.devices {
                    return Ok(phase);
                }
                self.signal.enter(Moment::Elsewhen);
                self.storm.until_all_back = now - since;
                self.storm.server_cpu = Cpu::of(self.plan.process_id)?.since(server);
                let until = now + self.plan.calm;
                Phase::After { until }
            }
            Phase::After { until } if now >= until => Phase::Over,
            _ => phase,
        })
    }
}

impl Driver for Load<'_> {
    fn inbound(&mut self, link: usize, packet: Inbound, out: &mut Vec<u8>, now: Instant) {
        match (packet, self.phase) {
            (Inbound::ConnAck { .. }, Phase::Gathering) => {
                self.up += 1;
                if let Some((_, down)) = self.passes.get(link) {
                    out.extend_from_slice(down);
                }
            }
            (Inbound::ConnAck { .. }, Phase::During { since, .. }) => {
                self.up += 1;
                self.storm.back.record(now.saturating_duration_since(since));
            }
            (
                Inbound::Ack {
                    kind: AckKind::SubAck,
                    code,
                    ..
                },
                _,
            ) => {
                self.subscribed += 1;
                if code >= 0x80 {
                    self.fault = Some(format!("a subscription was refused: {code:#x}"));
                }
            }
            _ => {}
        }
    }

    fn lost(&mut self, link: usize, why: Lost, now: Instant) {
        let Phase::During { .. } = self.phase else {
            let why = format!("storm connection {link} was lost outside the storm: {why:?}");
            self.fault.get_or_insert(why);
            return;
        };
        match why {
            Lost::Refused(code) => *self.storm.turned_away.entry(code).or_default() += 1,
            Lost::Closed | Lost::Broken(_) => self.storm.unanswered += 1,
        }
        self.try_again(link, now);
    }

    fn turn(&mut self, links: &mut Links, now: Instant) -> Turn {
        match self.step(links, now) {
            Ok(phase) => self.phase = phase,
            Err(e) => self.fault = Some(e.to_string()),
        }
        if now.saturating_duration_since(self.began) >= STORM_MAX {
            let up = self.up;
            let late = format!("{up} of {} devices are back", self.plan.devices);
            self.fault.get_or_insert(late);
        }
        if self.signal.is_over() {
            let ended = || "the steady load has ended".to_owned();
            self.fault.get_or_insert_with(ended);
        }
        if self.fault.is_some() || matches!(self.phase, Phase::Over) {
            return Turn::Stop;
        }
        match (self.phase, self.to_open.peek()) {
            (Phase::During { .. }, Some(Reverse((at, _)))) => {
                Turn::Until((*at).min(now + LOOK_EVERY))
            }
            _ => Turn::Until(now + LOOK_EVERY),
        }
    }
}
