//! All devices of a run in one thread: when each is due, on which connection it speaks, and what the model may
//! believe. Backpressure is the gateway's: a full window makes the connection's devices wait, never memory grow.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use rand::{SeedableRng as _, rngs::SmallRng};
use thiserror::Error;

use super::{
    actor::{Actor, Pace},
    roster::Roster,
    session::{Identities, Protocols, Session, Settled, Unacknowledged, login},
    tally::{Latency, Tally},
};
use crate::{
    domain::{Clock, SystemClock},
    harness::{
        client::{
            AckKind, Driver, Engine, Inbound, LinkStage, Links, Lost, Opening, PINGREQ, Qos, Turn,
            Version, WireError, publish, subscribe,
        },
        model::Model,
    },
};

/// Connections that may be greeting at once: below a listener's usual backlog.
const GREETING_MAX: usize = 256;
/// How often idle connections are looked at for their PINGREQ.
const PING_SWEEP: Duration = Duration::from_secs(20);
/// How often the latency shown is renewed.
const LATENCY_EVERY: Duration = Duration::from_secs(1);
/// Longest time between two looks at the order to stop.
const TURN_MAX: Duration = Duration::from_millis(50);

/// What a fleet is told.
#[derive(Debug, Clone)]
pub struct FleetOptions {
    /// The gateway; may be changed while the fleet runs (a gateway that comes back elsewhere).
    pub gateway: Arc<ArcSwap<SocketAddr>>,
    /// Own loopback addresses 127.0.0.1 … to connect from; 0: the system's choice.
    pub source_addresses: u8,
    /// Who the devices say they are.
    pub identities: Identities,
    /// Which versions they speak.
    pub protocols: Protocols,
    /// At which `QoS` they publish.
    pub qos: Qos,
    /// Most publishes in flight per connection.
    pub window: usize,
    /// How fast they live.
    pub pace: Pace,
    /// What becomes of readings whose connection ends.
    pub unacknowledged: Unacknowledged,
    /// Seed of everything that is random.
    pub seed: u64,
}

/// Why a fleet cannot start or had to end.
#[derive(Debug, Error)]
pub enum FleetError {
    /// A device's name does not fit into MQTT.
    #[error("a device's packets cannot be encoded: {0}")]
    Wire(#[from] WireError),
    /// No thread, no epoll.
    #[error("the devices' loop: {0}")]
    Io(#[from] io::Error),
    /// The fleet's thread panicked.
    #[error("the devices' thread panicked")]
    Panicked,
    /// The histogram's bounds.
    #[error("latency histogram: {0}")]
    Latency(#[from] hdrhistogram::CreationError),
}

/// A running fleet.
#[derive(Debug)]
pub struct Fleet {
    /// What it has done so far.
    pub tally: Arc<Tally>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<FleetEnd, FleetError>>,
}

/// What a fleet leaves behind.
#[derive(Debug)]
pub struct FleetEnd {
    /// What was promised to its devices.
    pub model: Model,
    /// Times to the acknowledgement, whole run.
    pub latency: Latency,
}

impl Fleet {
    /// Starts the devices of a roster.
    ///
    /// # Errors
    /// No thread or epoll, or a name that does not fit into MQTT.
    pub fn start(roster: Arc<Roster>, options: FleetOptions) -> Result<Self, FleetError> {
        let stop = Arc::new(AtomicBool::new(false));
        let tally = Arc::new(Tally::new(roster.patterns.len()));
        let mut crew = Crew::new(roster, options, (Arc::clone(&tally), Arc::clone(&stop)))?;
        let thread = thread::Builder::new()
            .name("devices".to_owned())
            .spawn(move || {
                let mut engine = Engine::new(crew.sessions.len())?;
                engine.run(&mut crew)?;
                Ok(crew.end())
            })?;
        Ok(Self {
            tally,
            stop,
            thread,
        })
    }

    /// No more readings; what is in flight may still be acknowledged until the deadline, then connections close.
    ///
    /// # Errors
    /// The loop had failed.
    pub fn finish(self) -> Result<FleetEnd, FleetError> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or(Err(FleetError::Panicked))
    }
}

/// How long a stopping fleet waits for what is in flight.
const FINISH_DEADLINE: Duration = Duration::from_secs(30);

struct Crew {
    roster: Arc<Roster>,
    options: FleetOptions,
    clock: SystemClock,
    rng: SmallRng,
    actors: Vec<Actor>,
    sessions: Vec<Session>,
    last_sent: Vec<Instant>,
    /// Devices by the time at which they are due.
    due: BinaryHeap<Reverse<(Instant, usize)>>,
    /// Connections by the time at which they may be opened.
    to_open: BinaryHeap<Reverse<(Instant, usize)>>,
    greeting: usize,
    /// Connections that have room again and devices waiting.
    roomy: VecDeque<usize>,
    model: Model,
    tally: Arc<Tally>,
    recent: Latency,
    latency: Latency,
    next_latency: Instant,
    next_sweep: Instant,
    stop: Arc<AtomicBool>,
    stop_by: Option<Instant>,
    payload: Vec<u8>,
}

impl Crew {
    fn new(
        roster: Arc<Roster>,
        options: FleetOptions,
        (tally, stop): (Arc<Tally>, Arc<AtomicBool>),
    ) -> Result<Self, FleetError> {
        let now = Instant::now();
        let devices = roster.members.len();
        let links = match options.identities {
            Identities::Keyed(_) => devices,
            Identities::Anonymous { connections } => connections.min(devices).max(1),
        };
        let mut actors: Vec<Actor> = (0..devices)
            .map(|place| Actor::new(&roster, place, options.seed))
            .collect();
        let due = actors
            .iter_mut()
            .enumerate()
            .filter_map(|(place, actor)| {
                let after = actor.first_due(&roster, place, options.pace)?;
                Some(Reverse((now + after, place)))
            })
            .collect();
        Ok(Self {
            model: Model::new(devices),
            rng: SmallRng::seed_from_u64(options.seed),
            sessions: std::iter::repeat_with(|| Session::new(options.window))
                .take(links)
                .collect(),
            last_sent: vec![now; links],
            to_open: (0..links).map(|link| Reverse((now, link))).collect(),
            greeting: 0,
            roomy: VecDeque::new(),
            clock: SystemClock,
            actors,
            due,
            tally,
            recent: Latency::new()?,
            latency: Latency::new()?,
            next_latency: now + LATENCY_EVERY,
            next_sweep: now + PING_SWEEP,
            stop,
            stop_by: None,
            payload: Vec::new(),
            roster,
            options,
        })
    }

    fn end(mut self) -> FleetEnd {
        for session in &mut self.sessions {
            for flight in session.abandon() {
                self.tally.in_doubt.add(1);
                self.model.in_doubt(flight.device, flight.serial);
            }
        }
        self.latency.join(&self.recent);
        FleetEnd {
            model: self.model,
            latency: self.latency,
        }
    }

    fn link_of(&self, device: usize) -> usize {
        device % self.sessions.len().max(1)
    }

    /// Opens what may be opened now.
    fn open_links(&mut self, links: &mut Links, now: Instant) {
        while self.greeting < GREETING_MAX {
            let Some(Reverse((_, link))) =
                self.to_open.peek().filter(|Reverse((at, _))| *at <= now)
            else {
                return;
            };
            let link = *link;
            self.to_open.pop();
            match self.open(links, link) {
                Ok(()) => self.greeting += 1,
                Err(_) => self.ended(link, now),
            }
        }
    }

    fn open(&self, links: &mut Links, link: usize) -> Result<(), FleetError> {
        let version = self.options.protocols.of(link);
        let connect = self.connect_of(version, link)?;
        let source = (self.options.source_addresses > 0).then(|| {
            let host = link % usize::from(self.options.source_addresses);
            IpAddr::V4(Ipv4Addr::new(
                127,
                0,
                0,
                u8::try_from(host + 1).unwrap_or(1),
            ))
        });
        links.open(
            link,
            &Opening {
                gateway: **self.options.gateway.load(),
                source,
                version,
                connect: &connect,
            },
        )?;
        Ok(())
    }

    fn connect_of(&self, version: Version, link: usize) -> Result<Bytes, WireError> {
        let username = match &self.options.identities {
            Identities::Anonymous { .. } => None,
            Identities::Keyed(key) => self
                .roster
                .members
                .get(link)
                .map(|m| (format!("{}/{}", self.roster.class_of(m), m.device), key)),
        };
        let username = username
            .as_ref()
            .map(|(name, key)| (name.as_str(), key.as_slice()));
        login(version, username, self.options.unacknowledged, link)
    }

    /// A connection ended, or could not be opened.
    fn ended(&mut self, link: usize, now: Instant) {
        let Some(session) = self.sessions.get_mut(link) else {
            return;
        };
        if session.up {
            self.tally.lost.add(1);
            self.tally
                .connected
                .set(self.tally.connected.get().saturating_sub(1));
        } else {
            self.greeting = self.greeting.saturating_sub(1);
        }
        let (doubtful, pause) = session.ended(self.options.unacknowledged, &mut self.rng);
        for flight in doubtful {
            self.tally.in_doubt.add(1);
            self.model.in_doubt(flight.device, flight.serial);
        }
        self.to_open.push(Reverse((now + pause, link)));
    }

    /// Sends a device's next reading if its connection has room; otherwise it waits there.
    fn report(&mut self, links: &mut Links, device: usize, now: Instant) {
        let link = self.link_of(device);
        let Some(session) = self.sessions.get_mut(link) else {
            return;
        };
        let queue = links.queue(link).filter(|_| session.has_room());
        let Some(out) = queue else {
            session.waiting.push_back(device);
            self.tally.delayed.add(1);
            return;
        };
        let roster = &*self.roster;
        let (Some(actor), Some(member)) = (self.actors.get_mut(device), roster.members.get(device))
        else {
            return;
        };
        self.payload.clear();
        let time = self.clock.now();
        let Some(serial) = actor.next_reading(roster, device, time, &mut self.payload) else {
            return;
        };
        let form = if actor.speaks_protobuf() { "/pb" } else { "" };
        let topic = format!("v1/{}/{}/up{form}", roster.class_of(member), member.device);
        let (version, qos) = (self.options.protocols.of(link), self.options.qos);
        let packet_id = session.next_id();
        let start = out.len();
        if publish(version, (qos, packet_id), &topic, &self.payload, out).is_err() {
            out.truncate(start);
            return;
        }
        self.tally.sent.add(1);
        if qos == Qos::AtMostOnce {
            self.model.in_doubt(device, serial);
        } else {
            let again = self.options.unacknowledged == Unacknowledged::SendAgain;
            let packet = out.get(start..).filter(|_| again).map(Box::from);
            session.sent((packet_id, device, serial), packet, now);
        }
        if let Some(last) = self.last_sent.get_mut(link) {
            *last = now;
        }
        if let Some(interval) = actor.interval(roster, device, self.options.pace) {
            self.due.push(Reverse((now + interval, device)));
        }
    }

    fn report_due(&mut self, links: &mut Links, now: Instant) {
        while let Some(link) = self.roomy.pop_front() {
            let waiting = self.sessions.get_mut(link);
            let next = waiting.and_then(|s| {
                if s.has_room() {
                    s.waiting.pop_front()
                } else {
                    None
                }
            });
            if let Some(device) = next {
                self.report(links, device, now);
                self.roomy.push_back(link);
            }
        }
        while let Some(Reverse((_, device))) = self.due.peek().filter(|Reverse((at, _))| *at <= now)
        {
            let device = *device;
            self.due.pop();
            self.report(links, device, now);
        }
    }

    /// Renews the latency shown, and keeps idle connections alive.
    fn sweep(&mut self, links: &mut Links, now: Instant) {
        if now >= self.next_latency {
            self.next_latency = now + LATENCY_EVERY;
            self.tally.p50_us.set(self.recent.quantile_us(0.5));
            self.tally.p99_us.set(self.recent.quantile_us(0.99));
            self.latency.join(&self.recent);
            self.recent.clear();
        }
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now + PING_SWEEP;
        for (link, last) in self.last_sent.iter_mut().enumerate() {
            let idle = now.saturating_duration_since(*last) >= PING_SWEEP;
            if idle
                && links.stage(link) == LinkStage::Up
                && let Some(out) = links.queue(link)
            {
                out.extend_from_slice(&PINGREQ);
                *last = now;
            }
        }
    }

    /// Whether the fleet is to end now: asked to, and nothing in flight or no more time.
    fn finished(&mut self, links: &mut Links, now: Instant) -> bool {
        if !self.stop.load(Ordering::Relaxed) {
            return false;
        }
        let by = *self.stop_by.get_or_insert(now + FINISH_DEADLINE);
        if now < by && !self.sessions.iter().all(Session::is_idle) {
            return false;
        }
        links.say_goodbye();
        true
    }

    fn settled(&mut self, settled: Settled, now: Instant) {
        match settled {
            Settled::Stored(flight) => {
                self.model.acknowledged(flight.device, flight.serial);
                self.tally.acknowledged.add(1);
                self.recent
                    .record(now.saturating_duration_since(flight.sent_at));
                let member = self.roster.members.get(flight.device);
                if let Some(count) = member.and_then(|m| self.tally.by_pattern.get(m.pattern())) {
                    count.add(1);
                }
            }
            Settled::Rejected => self.tally.rejected.add(1),
            Settled::Nothing => {}
        }
    }

    fn welcomed(&mut self, link: usize, receive_max: u16, out: &mut Vec<u8>) {
        self.greeting = self.greeting.saturating_sub(1);
        self.tally.connected.add(1);
        let member = self.roster.members.get(link);
        if let (Identities::Keyed(_), Some(member)) = (&self.options.identities, member) {
            let filter = format!("v1/{}/{}/down", self.roster.class_of(member), member.device);
            if let Ok(packet) = subscribe(self.options.protocols.of(link), &filter) {
                out.extend_from_slice(&packet);
            }
        }
        let model = &mut self.model;
        if let Some(session) = self.sessions.get_mut(link) {
            session.welcome(receive_max, out, |device, serial| {
                model.sent_again(device, serial);
            });
        }
        self.roomy.push_back(link);
    }
}

impl Driver for Crew {
    fn inbound(&mut self, link: usize, packet: Inbound, out: &mut Vec<u8>, now: Instant) {
        match packet {
            Inbound::ConnAck { receive_max, .. } => self.welcomed(link, receive_max, out),
            Inbound::Ack {
                kind: AckKind::SubAck,
                ..
            } => {}
            Inbound::Ack {
                kind,
                packet_id,
                code,
            } => {
                let Some(session) = self.sessions.get_mut(link) else {
                    return;
                };
                let settled = session.settle(kind, (packet_id, code), out);
                let waiting = !session.waiting.is_empty();
                self.roomy.extend(waiting.then_some(link));
                self.settled(settled, now);
            }
            Inbound::Publish(packet_id) => {
                self.tally.commands.add(1);
                if let Some([high, low]) = packet_id.map(u16::to_be_bytes) {
                    out.extend_from_slice(&[0x40, 2, high, low]);
                }
            }
            Inbound::Disconnect(_) | Inbound::Other => {}
        }
    }

    fn lost(&mut self, link: usize, _why: Lost, now: Instant) {
        self.ended(link, now);
    }

    fn turn(&mut self, links: &mut Links, now: Instant) -> Turn {
        if self.finished(links, now) {
            return Turn::Stop;
        }
        self.open_links(links, now);
        self.sweep(links, now);
        if self.stop_by.is_none() {
            self.report_due(links, now);
        } else {
            self.roomy.clear();
        }
        let due = self.due.peek().filter(|_| self.stop_by.is_none());
        let to_open = self.to_open.peek().filter(|_| self.greeting < GREETING_MAX);
        let next = [due, to_open]
            .into_iter()
            .flatten()
            .map(|Reverse((at, _))| *at)
            .min();
        let latest = now + TURN_MAX;
        Turn::Until(next.map_or(latest, |at| at.min(latest)))
    }
}
