//! A broker in a nutshell for [`super::session`]: the real connections over socket pairs, an inlet and an archive that
//! do as the bytes say, and time that stands still in between.

use std::{
    collections::VecDeque,
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr},
    os::{fd::OwnedFd, unix::net::UnixStream as StdUnixStream},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::BytesMut;
use rmqtt_codec::{v3, v5};
use tokio::{
    net::{TcpStream, UnixStream},
    sync::Notify,
    task::{JoinHandle, yield_now},
};
use tokio_util::codec::Decoder;

use super::super::{
    access::Access,
    archive::Forgetful,
    auth::token,
    connection::Connection,
    gate::Entry,
    hub::{Core, Hub},
    inlet::{Inbound, Inlet, Offer, Receipt},
    line::locked,
    sweep,
    transport::{Stream, Transport},
};
use crate::{
    config::{AuthConfig, MqttConfig, RightsConfig},
    domain::{Clock, Identity, Outcome, Settle as _, UnixNanos},
};

/// The key of the nutshell's devices.
const KEY: &[u8] = b"0123456789abcdef";
/// Receipts that the inlet holds before it is busy.
const RECEIPTS_MAX: usize = 32;
/// How often everybody's turn comes after each step: enough for a takeover.
const TURNS: usize = 6;
/// Sweeps that visit every shard of the sessions.
const SWEEPS: usize = 64;

#[derive(Debug, Default)]
pub(super) struct StillClock {
    ahead_ms: AtomicU64,
}

impl StillClock {
    fn ahead(&self) -> Duration {
        Duration::from_millis(self.ahead_ms.load(Ordering::Relaxed))
    }
}

fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

impl Clock for StillClock {
    fn now(&self) -> UnixNanos {
        let nanos = self.ahead().as_nanos();
        UnixNanos(1 + u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn steady(&self) -> Instant {
        start() + self.ahead()
    }
}

/// Takes what goes to an `up` topic and settles it when it is told to.
#[derive(Debug, Default)]
pub(super) struct Held {
    receipts: Mutex<VecDeque<Receipt>>,
    busy: AtomicBool,
    room: Notify,
}

impl Inlet for Held {
    fn offer(&self, publish: Inbound<'_>, receipt: Option<Receipt>) -> Offer {
        if !publish.topic.ends_with("/up") {
            return Offer::Ordinary(receipt);
        }
        let mut receipts = locked(&self.receipts);
        if self.busy.load(Ordering::Relaxed) || receipts.len() >= RECEIPTS_MAX {
            return Offer::Busy(receipt);
        }
        receipts.extend(receipt);
        Offer::Owed
    }

    async fn room(&self) {
        self.room.notified().await;
    }
}

impl Held {
    fn make_room(&self) {
        self.busy.store(false, Ordering::Relaxed);
        self.room.notify_waiters();
    }
}

/// The whole.
pub(super) struct Play {
    hub: Arc<Hub<Held>>,
    clock: Arc<StillClock>,
    archive: Forgetful,
    clients: [Option<Client>; 4],
}

struct Client {
    end: UnixStream,
    task: JoinHandle<()>,
    received: BytesMut,
    version: Option<u8>,
}

fn config() -> MqttConfig {
    static CONFIG: OnceLock<MqttConfig> = OnceLock::new();
    let make = || {
        let config = crate::config::Config::with(&[
            ("mqtt.packet_bytes_max", "4KiB"),
            ("mqtt.receive_max", "4"),
            ("mqtt.queue_messages_max", "8"),
        ]);
        config.expect("settings that are known").mqtt
    };
    CONFIG.get_or_init(make).clone()
}

/// The password of a device.
pub(super) fn password(username: &str) -> String {
    token(KEY, &Identity::parse(username).expect("an identity"))
}

impl Play {
    pub(super) fn new() -> Self {
        let auth = AuthConfig {
            rights: RightsConfig::Open,
            ..AuthConfig::hmac(KEY)
        };
        let access = Access::load(&auth).expect("a key");
        let clock = Arc::new(StillClock::default());
        let archive = Forgetful::new();
        let transport = Transport::load(&config(), Arc::clone(&clock) as Arc<dyn Clock>);
        let core = Core::new(
            config(),
            access,
            transport.expect("no certificates"),
            Arc::clone(&clock) as Arc<dyn Clock>,
            Arc::new(archive.clone()),
        );
        Self {
            hub: Arc::new(Hub {
                core: Arc::new(core),
                inlet: Arc::new(Held::default()),
            }),
            clock,
            archive,
            clients: [const { None }; 4],
        }
    }

    /// Opens a connection in a place, if none is there.
    fn client(&mut self, place: usize) -> Option<&mut Client> {
        let slot = self.clients.get_mut(place)?;
        if slot.is_none() {
            let (theirs, ours) = StdUnixStream::pair().expect("a pair of sockets");
            theirs.set_nonblocking(true).expect("a socket");
            ours.set_nonblocking(true).expect("a socket");
            // To the runtime a socket is a socket.
            let ours = std::net::TcpStream::from(OwnedFd::from(ours));
            let stream = Stream::Tcp(TcpStream::from_std(ours).expect("a runtime"));
            let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
            let core = &self.hub.core;
            core.gate.enter(peer).expect("room");
            let intake = core.intakes.token();
            let connection =
                Connection::new(Arc::clone(&self.hub), stream, peer, Entry::Free, intake);
            *slot = Some(Client {
                end: UnixStream::from_std(theirs).expect("a runtime"),
                task: core.tasks.spawn(connection),
                received: BytesMut::new(),
                version: None,
            });
        }
        slot.as_mut()
    }

    pub(super) async fn send(&mut self, place: usize, bytes: &[u8]) {
        if let Some(client) = self.client(place) {
            // What does not fit, or is not taken any more, is lost.
            client.end.try_write(bytes).unwrap_or_default();
        }
        self.settle_down().await;
    }

    pub(super) async fn close(&mut self, place: usize) {
        if let Some(slot) = self.clients.get_mut(place) {
            *slot = None;
        }
        self.settle_down().await;
    }

    /// Settles the oldest receipt.
    pub(super) async fn settle(&mut self, outcome: Outcome) {
        let receipt = locked(&self.hub.inlet.receipts).pop_front();
        if let Some(receipt) = receipt {
            receipt.settle(outcome);
        }
        self.hub.inlet.room.notify_waiters();
        self.settle_down().await;
    }

    /// Drops the oldest receipt.
    pub(super) async fn abandon(&mut self) {
        drop(locked(&self.hub.inlet.receipts).pop_front());
        self.settle_down().await;
    }

    pub(super) async fn busy(&mut self, busy: bool) {
        if busy {
            self.hub.inlet.busy.store(true, Ordering::Relaxed);
        } else {
            self.hub.inlet.make_room();
        }
        self.settle_down().await;
    }

    pub(super) async fn disk(&mut self, what: u8) {
        match what & 3 {
            0 => self.archive.hold(),
            1 => self.archive.release(),
            2 => self.archive.fill(),
            _ => self.archive.make_room(),
        }
        self.settle_down().await;
    }

    pub(super) async fn pass(&mut self, seconds: u64) {
        self.clock
            .ahead_ms
            .fetch_add(seconds * 1000, Ordering::Relaxed);
        for turn in 0..SWEEPS {
            sweep::pass(&self.hub, turn);
        }
        self.settle_down().await;
    }

    /// Lets everybody have a few turns, and reads what was said to the clients.
    async fn settle_down(&mut self) {
        for _ in 0..TURNS {
            yield_now().await;
        }
        for client in self.clients.iter_mut().flatten() {
            client.listen();
            if client.task.is_finished() {
                // Panics are reported by their hook; here they must not pass for an end.
                let ended = (&mut client.task).await;
                assert!(ended.is_ok(), "a connection panicked");
            }
        }
        for slot in &mut self.clients {
            if slot
                .as_ref()
                .is_some_and(|client| client.task.is_finished())
            {
                *slot = None;
            }
        }
    }

    /// Everybody leaves, everything is settled, and all time passes: nothing may be left.
    pub(super) async fn end(mut self) {
        self.disk(1).await;
        self.disk(3).await;
        self.hub.inlet.make_room();
        for place in 0..self.clients.len() {
            self.close(place).await;
        }
        while !locked(&self.hub.inlet.receipts).is_empty() {
            self.settle(Outcome::Stored).await;
        }
        for _ in 0..3 {
            self.pass(40 * 24 * 3600).await;
            while !locked(&self.hub.inlet.receipts).is_empty() {
                self.settle(Outcome::Stored).await;
            }
        }
        for _ in 0..100 {
            if self.hub.core.tasks.is_empty() {
                break;
            }
            yield_now().await;
        }
        let core = &self.hub.core;
        assert_eq!(core.tasks.len(), 0, "a connection outlives its client");
        assert_eq!(core.registry.away(), 0, "a session outlives its expiry");
        assert_eq!(
            core.exchange.subscribers.len(),
            0,
            "a subscription outlives its session"
        );
        assert_eq!(
            core.exchange.postage.total(),
            0,
            "letters without a mailbox are counted"
        );
        let records = self.archive.records();
        let left: Vec<_> = records
            .keys()
            .filter(|key| !matches!(key, [0x63, ..]))
            .collect();
        assert!(
            left.is_empty(),
            "records of sessions that are gone: {left:x?}"
        );
    }
}

impl Client {
    /// Reads everything that the broker said; it must be MQTT.
    fn listen(&mut self) {
        loop {
            let mut bytes = [0; 4096];
            match self.end.try_read(&mut bytes) {
                Ok(0) => break,
                Ok(count) => self
                    .received
                    .extend_from_slice(bytes.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => break,
            }
        }
        if self.version.is_none() {
            match *self.received {
                [0x20, 2, ..] => self.version = Some(4),
                [0x20, _, ..] => self.version = Some(5),
                [] | [0x20] => return,
                [other, ..] => assert_eq!(other, 0x20, "something else goes before CONNACK"),
            }
        }
        self.check();
    }

    fn check(&mut self) {
        if self.version == Some(4) {
            let mut codec = v3::Codec::default();
            while let Some((packet, _)) = codec.decode(&mut self.received).expect("MQTT 3.1.1") {
                if let v3::Packet::Publish(publish) = packet {
                    check_publish(&publish);
                }
            }
        } else {
            let mut codec = v5::Codec::default();
            while let Some((packet, _)) = codec.decode(&mut self.received).expect("MQTT 5") {
                if let v5::Packet::Publish(publish) = packet {
                    check_publish(&publish);
                }
            }
        }
    }
}

fn check_publish(publish: &rmqtt_codec::types::Publish) {
    assert!(!publish.topic.contains(['+', '#', '\0']), "{publish:?}");
    let named = publish.qos == rmqtt_codec::types::QoS::AtMostOnce;
    assert_eq!(publish.packet_id.is_none(), named, "{publish:?}");
}
