//! The driver of a fan-out load. Connections by number: publishers, then subscribers, then idle sessions with filters.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::{
    Pace, Scenario,
    account::{Account, PAYLOAD_BYTES, Stamp, Sums},
    greeting::{Greeting, greetings},
};
use crate::harness::{
    bench::{Cpu, process::resident_bytes, readings::put},
    client::{
        AckKind, Driver, Engine, Inbound, Links, Lost, Message, Opening, Qos, Spots, Turn, Version,
        WireError, puback, publish,
    },
    devices::Latency,
};

const GREETING_MAX: usize = 256;
/// How long deliveries are waited for at the end, and how long none may come before they are taken as lost.
const DRAIN_MAX: Duration = Duration::from_secs(20);
const QUIET: Duration = Duration::from_secs(2);
/// A flood keeps so many bytes waiting for each publisher's socket, in steps of so many messages.
const FLOOD_BYTES: usize = 32 * 1024;
const FLOOD_MESSAGES: usize = 64;
const LOOK_EVERY: Duration = Duration::from_millis(2);
const OVERDUE_EVERY: Duration = Duration::from_secs(1);

/// A fan-out load.
#[derive(Debug, Clone)]
pub struct FanOut {
    /// The server.
    pub server: SocketAddr,
    /// Its process.
    pub process_id: u32,
    /// What is sent to whom.
    pub scenario: Scenario,
    /// Time before the measurement begins.
    pub warm_up: Duration,
    /// Time measured.
    pub measured: Duration,
}

/// What it found.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Within the time measured.
    pub sums: Sums,
    /// From the first message to the last delivery.
    pub sums_in_all: Sums,
    /// The time measured.
    pub elapsed: Duration,
    /// The server's processor time within it.
    pub server_cpu: Cpu,
    /// The load's own processor time within it; its one thread has one core.
    pub load_cpu: Cpu,
    /// Resident bytes of the server at its end.
    pub resident_bytes: u64,
    /// From handing a message to the socket to its delivery, each delivery within the time measured.
    pub latency: Latency,
}

impl Outcome {
    /// Deliveries a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        super::super::ratio(self.sums.delivered, self.elapsed.as_secs_f64())
    }
}

impl FanOut {
    /// Connects, subscribes, warms up, measures, waits for what is on its way.
    ///
    /// # Errors
    /// epoll failed, a connection was lost, a subscription was refused.
    pub fn run(&self) -> io::Result<Outcome> {
        let mut load = Load::new(self)?;
        Engine::new(load.greetings.len())?.run(&mut load)?;
        match (load.fault, load.outcome) {
            (None, Some(outcome)) => Ok(outcome),
            (fault, _) => Err(io::Error::other(fault.unwrap_or_default())),
        }
    }
}

enum Phase {
    Connecting,
    Subscribing,
    WarmingUp {
        until: Instant,
    },
    Measuring(Box<Measuring>),
    Draining {
        until: Instant,
        seen: u64,
        quiet_since: Instant,
    },
}

struct Measuring {
    since: Instant,
    sums: Sums,
    server: Cpu,
    load: Cpu,
}

struct Load<'a> {
    plan: &'a FanOut,
    greetings: Vec<Greeting>,
    templates: Vec<(Vec<u8>, Spots)>,
    account: Account,
    began: Instant,
    opened: usize,
    up: usize,
    subscribed: usize,
    subscribes: usize,
    phase: Phase,
    overdue_at: Instant,
    latency: Latency,
    outcome: Option<Outcome>,
    fault: Option<String>,
}

impl<'a> Load<'a> {
    fn new(plan: &'a FanOut) -> io::Result<Self> {
        let Scenario {
            pattern, qos, pace, ..
        } = plan.scenario;
        let greetings = greetings(&plan.scenario).map_err(io::Error::other)?;
        let payload = [b'.'; PAYLOAD_BYTES];
        let templates = (0..pattern.publishers()).map(|publisher| {
            let (mut packet, topic) = (Vec::new(), pattern.topic(publisher));
            let spots = publish(Version::V5, (qos, 1), &topic, &payload, &mut packet)?;
            Ok((packet, spots))
        });
        let window = match pace {
            Pace::Window(window) => window,
            Pace::Flood => 0,
        };
        let now = Instant::now();
        let acknowledgements = usize::from(qos != Qos::AtMostOnce);
        Ok(Self {
            templates: templates
                .collect::<Result<_, WireError>>()
                .map_err(io::Error::other)?,
            account: Account::new(
                (pattern.publishers(), window),
                pattern.fan(),
                acknowledgements,
                now,
            ),
            began: now,
            opened: 0,
            up: 0,
            subscribed: 0,
            subscribes: greetings
                .iter()
                .map(|greeting| greeting.subscribes.len())
                .sum(),
            greetings,
            phase: Phase::Connecting,
            overdue_at: now,
            latency: Latency::new().map_err(io::Error::other)?,
            outcome: None,
            fault: None,
            plan,
        })
    }

    fn open_more(&mut self, links: &mut Links) -> io::Result<()> {
        while self.opened - self.up < GREETING_MAX {
            let Some(greeting) = self.greetings.get(self.opened) else {
                return Ok(());
            };
            let opening = Opening {
                gateway: self.plan.server,
                source: None,
                version: Version::V5,
                connect: &greeting.connect,
                tls: None,
            };
            links.open(self.opened, &opening)?;
            self.opened += 1;
        }
        Ok(())
    }

    fn subscribe(&self, links: &mut Links) {
        for (link, greeting) in self.greetings.iter().enumerate() {
            if greeting.subscribes.is_empty() {
                continue;
            }
            if let Some(out) = links.queue(link) {
                for packet in &greeting.subscribes {
                    out.extend_from_slice(packet);
                }
            }
        }
    }

    /// Sends what the pace allows now.
    fn send_more(&mut self, links: &mut Links, now: Instant) {
        match self.plan.scenario.pace {
            Pace::Window(_) => {
                let free = self.account.take_free();
                for &(publisher, slot) in &free {
                    self.send(links, (publisher, slot), now);
                }
                self.account.give_back(free);
            }
            Pace::Flood => {
                for publisher in 0..self.templates.len() {
                    if links.waiting_bytes(publisher) >= FLOOD_BYTES {
                        continue;
                    }
                    for _ in 0..FLOOD_MESSAGES {
                        self.send(links, (publisher, 0), now);
                    }
                }
            }
        }
    }

    fn send(&mut self, links: &mut Links, (publisher, slot): (usize, usize), now: Instant) {
        let Some((packet, spots)) = self.templates.get_mut(publisher) else {
            return;
        };
        let Some(out) = links.queue(publisher) else {
            return;
        };
        let since = now.saturating_duration_since(self.began).as_nanos();
        let stamp = Stamp {
            publisher: u32::try_from(publisher).unwrap_or(u32::MAX),
            slot: u32::try_from(slot).unwrap_or(u32::MAX),
            generation: self.account.sent((publisher, slot), now),
            sent_ns: u64::try_from(since).unwrap_or(u64::MAX),
        };
        put(packet, spots.payload, &stamp.bytes());
        if spots.packet_id > 0 {
            let id = u16::try_from(slot + 1).unwrap_or(u16::MAX);
            put(packet, spots.packet_id, &id.to_be_bytes());
        }
        out.extend_from_slice(packet);
    }

    fn step(&mut self, links: &mut Links, now: Instant) -> io::Result<()> {
        match &mut self.phase {
            Phase::Connecting => {
                self.open_more(links)?;
                if self.up == self.greetings.len() {
                    self.subscribe(links);
                    self.phase = Phase::Subscribing;
                }
            }
            Phase::Subscribing if self.subscribed == self.subscribes => {
                let until = now + self.plan.warm_up;
                self.phase = Phase::WarmingUp { until };
            }
            Phase::WarmingUp { until } if now >= *until => {
                self.latency.clear();
                self.phase = Phase::Measuring(Box::new(Measuring {
                    since: now,
                    sums: self.account.sums,
                    server: Cpu::of(self.plan.process_id)?,
                    load: Cpu::of(std::process::id())?,
                }));
            }
            Phase::Measuring(measuring) if now >= measuring.since + self.plan.measured => {
                self.outcome = Some(Outcome {
                    sums: self.account.sums.since(measuring.sums),
                    sums_in_all: Sums::default(),
                    elapsed: now - measuring.since,
                    server_cpu: Cpu::of(self.plan.process_id)?.since(measuring.server),
                    load_cpu: Cpu::of(std::process::id())?.since(measuring.load),
                    resident_bytes: resident_bytes(self.plan.process_id)?,
                    latency: self.latency.clone(),
                });
                self.phase = Phase::Draining {
                    until: now + DRAIN_MAX,
                    seen: self.account.sums.delivered,
                    quiet_since: now,
                };
            }
            _ => {}
        }
        if matches!(self.phase, Phase::WarmingUp { .. } | Phase::Measuring(_)) {
            if now >= self.overdue_at {
                self.account.give_up_overdue(now);
                self.overdue_at = now + OVERDUE_EVERY;
            }
            self.send_more(links, now);
        }
        Ok(())
    }

    /// Whether all deliveries have come, or no more will.
    fn is_drained(&mut self, now: Instant) -> bool {
        let Phase::Draining {
            until,
            seen,
            quiet_since,
        } = &mut self.phase
        else {
            return false;
        };
        let sums = self.account.sums;
        if sums.delivered != *seen {
            (*seen, *quiet_since) = (sums.delivered, now);
        }
        let quiet = now.saturating_duration_since(*quiet_since) >= QUIET;
        let over = sums.delivered >= sums.expected || quiet || now >= *until;
        if let Some(outcome) = self.outcome.as_mut().filter(|_| over) {
            outcome.sums_in_all = sums;
        }
        over
    }
}

impl Driver for Load<'_> {
    fn inbound(&mut self, link: usize, packet: Inbound, _out: &mut Vec<u8>, _now: Instant) {
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
            Inbound::Ack {
                kind: AckKind::PubAck,
                packet_id,
                code,
            } => {
                let slot = usize::from(packet_id).saturating_sub(1);
                self.account.acknowledged((link, slot), code);
            }
            Inbound::Disconnect(code) => {
                self.fault = Some(format!("the server closes connection {link}: {code:#x}"));
            }
            _ => {}
        }
    }

    fn message(&mut self, _link: usize, message: Message<'_>, out: &mut Vec<u8>, now: Instant) {
        if let Some(packet_id) = message.packet_id {
            out.extend_from_slice(&puback(packet_id));
        }
        let Some(stamp) = Stamp::of(message.frame) else {
            self.fault = Some("a message that nobody sent".to_owned());
            return;
        };
        self.account.delivered(stamp);
        if let Phase::Measuring(_) = self.phase {
            let sent_at = self.began + Duration::from_nanos(stamp.sent_ns);
            self.latency.record(now.saturating_duration_since(sent_at));
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
        if self.fault.is_some() || self.is_drained(now) {
            return Turn::Stop;
        }
        Turn::Until(now + LOOK_EVERY)
    }
}
