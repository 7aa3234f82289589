//! All devices of a run in one thread: when each is due, on which connection it speaks, and what the model may
//! believe. Backpressure is the gateway's: a full window makes the connection's devices wait, never memory grow.

mod connections;

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rand::{SeedableRng as _, rngs::SmallRng};

use super::{
    actor::Actor,
    fleet::{FleetEnd, FleetError, FleetOptions},
    roster::Roster,
    session::{Identities, Session, Settled, Unacknowledged},
    tally::{Latency, Tally},
};
use crate::{
    domain::{Clock as _, SystemClock},
    harness::{
        client::{AckKind, Driver, Inbound, LinkStage, Links, Lost, PINGREQ, Qos, Turn, publish},
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

/// How long a stopping fleet waits for what is in flight.
const FINISH_DEADLINE: Duration = Duration::from_secs(30);

pub(super) struct Crew {
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
    pub(super) fn new(
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

    /// How many connections it speaks on.
    pub(super) const fn connections(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn end(mut self) -> FleetEnd {
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
        let form = match roster.dialect_of(member) {
            Some(dialect) => dialect.topic_suffix(),
            None if actor.speaks_protobuf() => "/pb".to_owned(),
            None => String::new(),
        };
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

    fn lost(&mut self, link: usize, why: Lost, now: Instant) {
        self.tally
            .refused
            .add(u64::from(matches!(why, Lost::Refused(_))));
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
