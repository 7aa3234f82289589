//! What every test has in common: the daemon, a clean client that is served all the while, and the reckoning at the end.

use std::{
    net::SocketAddr,
    sync::mpsc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::raw::{CLEAN, Connect, Packet, Raw, V3, V5, publish5, up};
use crate::support::{DEADLINE, Gateway, Node};

/// How long a reading of a clean client may wait for its acknowledgement: milliseconds on a free machine, and here the
/// machine is shared with the attack and with other tests.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pause of the clean client between readings.
const PACE: Duration = Duration::from_millis(200);
/// Memory that may be in use after an attack beyond what was before: buffers of the workers, pages that the allocator
/// keeps, tables of the store. What an attack leaks, it leaks by hundreds.
const SLACK_KIB: u64 = 32 * 1024;

/// A daemon under attack.
pub(super) struct Scene {
    pub(super) gateway: Gateway,
    clean: Clean,
    before_kib: u64,
    newcomers: u32,
    _node: Node,
}

impl Scene {
    pub(super) fn open(flags: &[&str]) -> Self {
        Self::on(Node::new(flags))
    }

    pub(super) fn on(node: Node) -> Self {
        let gateway = node.start();
        let clean = Clean::start(gateway.mqtt);
        let mut scene = Self {
            gateway,
            clean,
            before_kib: 0,
            newcomers: 0,
            _node: node,
        };
        scene.greet_newcomer();
        scene.before_kib = scene.gateway.resident_kib();
        scene
    }

    /// A hostile connection that has not said anything yet.
    pub(super) fn dial(&self) -> Raw {
        Raw::dial(self.gateway.mqtt)
    }

    /// A hostile client that was let in: the credentials are good, the rest is not.
    pub(super) fn connected(&self, connect: &Connect) -> Raw {
        let mut client = self.dial();
        client.send(&connect.bytes());
        assert_eq!(client.connack(), 0, "{connect:?}");
        client
    }

    /// The same, with nothing special about its CONNECT, in MQTT 5.
    pub(super) fn device(&self, device: &str) -> Raw {
        self.connected(&Connect::of(V5, device))
    }

    /// A whole crowd of such devices.
    pub(super) fn crowd(&self, name: &str, count: usize) -> Vec<Raw> {
        let device = |n| self.device(&format!("{name}-{n}"));
        (0..count).map(device).collect()
    }

    /// Each of these ends an MQTT 5 connection with one of its reason codes.
    pub(super) fn each_ends_with(&self, cases: &[(&str, Vec<u8>, &[u8])]) {
        for (what, bytes, codes) in cases {
            let mut client = self.device("faulty");
            client.send(bytes);
            let word = client.last_word();
            assert!(
                word.is_some_and(|code| codes.contains(&code)),
                "{what}: {word:x?} instead of {codes:x?}"
            );
        }
    }

    /// Each of these ends an MQTT 3.1.1 connection, which is told nothing.
    pub(super) fn each_ends_v3(&self, cases: &[(&str, Vec<u8>)]) {
        for (what, bytes) in cases {
            let mut client = self.connected(&Connect::of(V3, "faulty"));
            client.send(bytes);
            assert_eq!(client.last_word(), None, "{what}");
        }
    }

    /// The clean client is served now, while everything stands as it does.
    pub(super) fn clean_is_served(&self) {
        self.clean.served();
    }

    /// Somebody new comes in and is served.
    pub(super) fn greet_newcomer(&mut self) {
        self.newcomers += 1;
        let name = format!("newcomer-{}", self.newcomers);
        let mut client = CleanClient::connect(self.gateway.mqtt, &name);
        client.report();
        client.leave();
    }

    /// Waits until something holds; the clean client is served in between.
    pub(super) fn until(&self, what: &str, mut holds: impl FnMut(&Gateway) -> bool) {
        let begun = Instant::now();
        while !holds(&self.gateway) {
            assert!(
                begun.elapsed() < DEADLINE,
                "{what}: not within {DEADLINE:?}"
            );
            self.clean.next_turn();
        }
    }

    /// Waits until the daemon's memory is back where it was, by the slack. A worker's allocator gives back what it has
    /// only when that worker has something to do, so newcomers give every worker something.
    pub(super) fn memory_is_bounded(&mut self) {
        let most = self.before_kib + SLACK_KIB;
        let begun = Instant::now();
        while self.gateway.resident_kib() > most {
            let now = self.gateway.resident_kib();
            assert!(
                begun.elapsed() < DEADLINE / 2,
                "{now} KiB in use, {} before",
                self.before_kib
            );
            self.greet_newcomer();
            self.clean.next_turn();
        }
    }

    /// So many connections have ended for this reason.
    pub(super) fn ended(&self, reason: &str) -> f64 {
        let label = format!("reason=\"{reason}\"");
        self.gateway
            .metric("sensegate_mqtt_disconnects_total", &label)
    }

    /// Waits until the clean client is the only one connected.
    pub(super) fn only_the_clean_is_left(&self) {
        self.until("the hostile connections are gone", |gateway| {
            gateway.metric("sensegate_mqtt_connections", "") <= 1.0
        });
    }

    /// The reckoning.
    pub(super) fn close(mut self) {
        self.clean.served();
        self.only_the_clean_is_left();
        self.greet_newcomer();
        self.memory_is_bounded();
        let (_, metrics) = self.gateway.page("/metrics");
        let panics = "sensegate_mqtt_connection_panics_total";
        let line = metrics.lines().find(|line| line.starts_with(panics));
        assert_eq!(line, Some(&*format!("{panics} 0")));
        assert_eq!(self.gateway.page("/healthz").0, 200);
        self.clean.end();
    }
}

/// A client that keeps to the protocol and reports at a slow pace.
struct CleanClient {
    raw: Raw,
    topic: String,
    last_id: u16,
}

impl CleanClient {
    fn connect(address: SocketAddr, name: &str) -> Self {
        let begun = Instant::now();
        let mut raw = Raw::dial_from(CLEAN, address).unwrap();
        raw.send(&Connect::of(V5, name).bytes());
        assert_eq!(raw.connack(), 0);
        let waited = begun.elapsed();
        assert!(waited < PATIENCE, "{name} waited {waited:?} to be let in");
        Self {
            raw,
            topic: up(name),
            last_id: 0,
        }
    }

    /// A reading at `QoS` 1, acknowledged as stored and in time.
    fn report(&mut self) {
        self.last_id = self.last_id % 1000 + 1;
        let begun = Instant::now();
        self.raw.send(&publish5(1, &self.topic, self.last_id, &[]));
        let wanted = Packet {
            first: 0x40,
            body: self.last_id.to_be_bytes().to_vec(),
        };
        assert_eq!(self.raw.receive(), Some(wanted), "{}", self.topic);
        let waited = begun.elapsed();
        assert!(waited < PATIENCE, "{} waited {waited:?}", self.topic);
    }

    fn leave(mut self) {
        self.raw.send(&[0xe0, 0]);
        assert_eq!(self.raw.receive(), None);
    }
}

/// The clean client's thread.
struct Clean {
    turns: mpsc::SyncSender<Turn>,
    thread: JoinHandle<()>,
}

enum Turn {
    /// Report at once, and say when it is acknowledged.
    Now(mpsc::SyncSender<()>),
    /// Say when the next report is acknowledged that is due anyway.
    Next(mpsc::SyncSender<()>),
}

impl Clean {
    fn start(address: SocketAddr) -> Self {
        let (turns, asked) = mpsc::sync_channel::<Turn>(1);
        let (came_in, is_in) = mpsc::sync_channel(1);
        let thread = thread::spawn(move || {
            let mut client = CleanClient::connect(address, "clean");
            came_in.send(()).unwrap();
            let mut waiting = None;
            loop {
                match asked.recv_timeout(PACE) {
                    Ok(Turn::Now(done)) => {
                        client.report();
                        done.send(()).unwrap();
                    }
                    Ok(Turn::Next(done)) => waiting = Some(done),
                    Err(mpsc::RecvTimeoutError::Timeout) => {
                        client.report();
                        waiting
                            .take()
                            .into_iter()
                            .for_each(|done: mpsc::SyncSender<()>| done.send(()).unwrap());
                    }
                    Err(mpsc::RecvTimeoutError::Disconnected) => return client.leave(),
                }
            }
        });
        is_in
            .recv_timeout(DEADLINE)
            .expect("the clean client is let in before any attack");
        Self { turns, thread }
    }

    fn ask(&self, turn: impl FnOnce(mpsc::SyncSender<()>) -> Turn) {
        let (done, answer) = mpsc::sync_channel(1);
        self.turns
            .send(turn(done))
            .expect("the clean client is still connected");
        answer
            .recv_timeout(DEADLINE)
            .expect("the clean client is served");
    }

    fn served(&self) {
        self.ask(Turn::Now);
    }

    fn next_turn(&self) {
        self.ask(Turn::Next);
    }

    fn end(self) {
        drop(self.turns);
        self.thread.join().expect("the clean client was served");
    }
}
