//! The closed load: each connection keeps its window full and sends the next publish on each acknowledgement. Packets
//! are encoded once; a send copies the template, puts the packet id, the time and fifteen digits of its values in, so
//! that readings differ and a block compresses as the city's would.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::process::Cpu;
use crate::{
    domain::{Clock as _, SystemClock},
    harness::{
        client::{
            AckKind, Driver, Engine, Inbound, Links, Lost, Opening, Qos, Spots, Turn, Version,
            WireError, publish,
        },
        devices::{Latency, Unacknowledged, login},
    },
};

/// The class of the load: telemetry with five numbers.
pub const CLASS: &str = "utility_tunnel_env";
/// A payload; `###` are digits that change, `T` the time in Unix milliseconds.
pub(super) const PAYLOAD: &str = "{\"oxygen\":20.1###,\"methane\":1.2###,\"hydrogen_sulfide\":2.3###,\
    \"temperature\":18.4###,\"humidity\":61.5###,\"observed_at\":TTTTTTTTTTTTT}";
const DIGIT_GROUPS: usize = 5;
const GREETING_MAX: usize = 256;
/// How long what is in flight at the end may take.
const DRAIN_MAX: Duration = Duration::from_secs(20);

/// Bytes of one payload.
#[must_use]
pub const fn payload_bytes() -> usize {
    PAYLOAD.len()
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
    /// Key of the devices; none: anonymous.
    pub key: Option<Vec<u8>>,
    /// Time before the measurement begins.
    pub warm_up: Duration,
    /// Time measured.
    pub measured: Duration,
}

/// What a closed load found.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Acknowledged within the time measured.
    pub acknowledged: u64,
    /// Acknowledged in all, warm-up and end included.
    pub acknowledged_in_all: u64,
    /// Answered with an error, in all.
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
}

impl Closed {
    /// Connects, warms up, measures, drains.
    ///
    /// # Errors
    /// epoll failed, a connection was lost, or nothing could be encoded.
    pub fn run(&self) -> io::Result<Outcome> {
        let mut load = Load::new(self).map_err(io::Error::other)?;
        Engine::new(self.connections)?.run(&mut load)?;
        load.outcome()
    }
}

struct Template {
    packet: Vec<u8>,
    spots: Spots,
    connect: Bytes,
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

struct Load<'a> {
    plan: &'a Closed,
    templates: Vec<Template>,
    digits: Vec<[u8; 3]>,
    digit_spots: [usize; DIGIT_GROUPS],
    time_spot: usize,
    time_text: [u8; 13],
    time_as_of: Instant,
    random: u64,
    sent_at: Vec<Instant>,
    opened: usize,
    up: usize,
    in_flight: u64,
    phase: Phase,
    acknowledged_in_all: u64,
    rejected: u64,
    measured: Option<(u64, Duration, Cpu, Cpu)>,
    acknowledged: u64,
    latency: Latency,
    fault: Option<String>,
}

impl<'a> Load<'a> {
    fn new(plan: &'a Closed) -> Result<Self, WireError> {
        let payload = PAYLOAD.as_bytes();
        let mut digit_spots = [0; DIGIT_GROUPS];
        for (spot, (at, _)) in digit_spots.iter_mut().zip(PAYLOAD.match_indices("###")) {
            *spot = at;
        }
        let templates = (0..plan.connections)
            .map(|link| {
                let username = format!("{CLASS}/bench-{link:05}");
                let mut packet = Vec::new();
                let topic = format!("v1/{username}/up");
                let version = Version::V5;
                let spots = publish(version, (Qos::AtLeastOnce, 1), &topic, payload, &mut packet)?;
                let named = plan.key.as_deref().map(|key| (username.as_str(), key));
                let connect = login(version, named, Unacknowledged::LetGo, link)?;
                Ok(Template {
                    packet,
                    spots,
                    connect,
                })
            })
            .collect::<Result<_, WireError>>()?;
        let now = Instant::now();
        Ok(Self {
            templates,
            digits: (0..1000).map(three_digits).collect(),
            digit_spots,
            time_spot: PAYLOAD.find('T').unwrap_or(0),
            time_text: [b'0'; 13],
            time_as_of: now.checked_sub(Duration::from_secs(1)).unwrap_or(now),
            random: 0x2545_F491_4F6C_DD1D,
            sent_at: vec![now; plan.connections * plan.window],
            opened: 0,
            up: 0,
            in_flight: 0,
            phase: Phase::Connecting,
            acknowledged_in_all: 0,
            rejected: 0,
            measured: None,
            acknowledged: 0,
            latency: Latency::new().map_err(|_bounds| WireError::TooLong("histogram"))?,
            fault: None,
            plan,
        })
    }

    fn outcome(self) -> io::Result<Outcome> {
        if let Some(fault) = self.fault {
            return Err(io::Error::other(fault));
        }
        let (acknowledged, elapsed, server_cpu, load_cpu) = self
            .measured
            .ok_or_else(|| io::Error::other("the load ended before it was measured"))?;
        Ok(Outcome {
            acknowledged,
            acknowledged_in_all: self.acknowledged_in_all,
            rejected: self.rejected,
            elapsed,
            server_cpu,
            load_cpu,
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
        self.renew_time(now);
        let Some(Template { packet, spots, .. }) = self.templates.get_mut(link) else {
            return;
        };
        let id = u16::try_from(slot + 1).unwrap_or(u16::MAX).to_be_bytes();
        put(packet, spots.packet_id, &id);
        put(packet, spots.payload + self.time_spot, &self.time_text);
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let mut random = self.random;
        for spot in self.digit_spots {
            let pick = usize::try_from(random % 1000).unwrap_or(0);
            random /= 1000;
            if let Some(digits) = self.digits.get(pick) {
                put(packet, spots.payload + spot, digits);
            }
        }
        out.extend_from_slice(packet);
        if let Some(at) = self.sent_at.get_mut(link * self.plan.window + slot) {
            *at = now;
        }
        self.in_flight += 1;
    }

    fn settled(&mut self, (link, slot): (usize, usize), code: u8, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let refused = u64::from(code >= 0x80);
        self.rejected += refused;
        self.acknowledged_in_all += 1 - refused;
        self.acknowledged += 1 - refused;
        if let Phase::Measuring { .. } = self.phase
            && let Some(at) = self.sent_at.get(link * self.plan.window + slot)
        {
            self.latency.record(now.saturating_duration_since(*at));
        }
    }

    fn renew_time(&mut self, now: Instant) {
        if now.saturating_duration_since(self.time_as_of) >= Duration::from_millis(1) {
            self.time_as_of = now;
            let text = (SystemClock.now().0 / 1_000_000).to_string();
            put(&mut self.time_text, 0, text.as_bytes());
        }
    }

    fn open_more(&mut self, links: &mut Links) {
        while self.opened < self.plan.connections && self.opened - self.up < GREETING_MAX {
            let Some(template) = self.templates.get(self.opened) else {
                return;
            };
            let opening = Opening {
                gateway: self.plan.server,
                source: None,
                version: Version::V5,
                connect: &template.connect,
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
                let server = Cpu::of(self.plan.process_id)?.since(server);
                let load = Cpu::of(std::process::id())?.since(load);
                self.measured = Some((self.acknowledged, now - since, server, load));
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

fn put(bytes: &mut [u8], at: usize, part: &[u8]) {
    if let Some(spot) = bytes.get_mut(at..at + part.len()) {
        spot.copy_from_slice(part);
    }
}

fn three_digits(number: u16) -> [u8; 3] {
    let digit = |divisor: u16| b'0' + u8::try_from(number / divisor % 10).unwrap_or(0);
    [digit(100), digit(10), digit(1)]
}
