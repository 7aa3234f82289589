//! The broker as its clients meet it: real sockets on port 0, a scripted inlet, and time that the test owns.

mod admission;
mod bytes;
#[cfg(feature = "harness")]
mod clients;
mod connect;
mod limits;
mod publish;
mod rates;
mod script;
mod session;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use ::bytes::BytesMut;
use rmqtt_codec::{types::QoS, v3, v5};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::timeout,
};
use tokio_util::codec::{Decoder, Encoder};

use self::script::{Mode, Script, Seen};
use super::{pulse::Ticks, *};
use crate::domain::{Identity, UnixNanos};

const KEY: &[u8] = b"a key of the tests";
const DEVICE: &str = "manhole_cover/7";
const UP: &str = "v1/manhole_cover/7/up";
const DOWN: &str = "v1/manhole_cover/7/down";
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
struct TestClock {
    ahead_ms: AtomicU64,
}

impl Clock for TestClock {
    fn now(&self) -> UnixNanos {
        UnixNanos::from_millis(self.ahead_ms.load(Ordering::Relaxed))
    }

    fn steady(&self) -> Instant {
        Instant::now() + Duration::from_millis(self.ahead_ms.load(Ordering::Relaxed))
    }
}

struct Rig {
    address: SocketAddr,
    inlet: Arc<Script>,
    seen: mpsc::Receiver<Seen>,
    clock: Arc<TestClock>,
    handle: Handle,
    tasks: TaskSet,
}

fn config() -> MqttConfig {
    MqttConfig {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        listener_defaults: config::ListenerDefaults::default(),
        connections_max: 1000,
        connections_per_address_max: 1000,
        packet_bytes_max: 4096,
        receive_max: 8,
        topic_alias_max: 4,
        keep_alive_max: Duration::from_secs(600),
        connect_deadline: Duration::from_secs(10),
        stall_deadline: Duration::from_secs(30),
        subscriptions_max: 4,
        session_expiry_max: Duration::from_secs(3600),
        sessions_away_max: 100,
        limits: config::Config::with(&[]).unwrap().mqtt.limits,
    }
}

fn hmac() -> AuthConfig {
    AuthConfig::hmac(KEY)
}

fn token() -> String {
    auth::token(KEY, &Identity::parse(DEVICE).unwrap())
}

impl Rig {
    fn start() -> Self {
        Self::with(&config(), &hmac())
    }

    fn with(mqtt: &MqttConfig, auth: &AuthConfig) -> Self {
        let bound = Broker::bind(mqtt, auth).unwrap();
        let address = bound.addresses().unwrap()[0].address;
        let (sender, seen) = mpsc::channel(4096);
        let inlet = Arc::new(Script::new(sender));
        let clock = Arc::new(TestClock {
            ahead_ms: AtomicU64::new(0),
        });
        let mut tasks = TaskSet::new();
        let handle = bound
            .serve(
                Arc::clone(&inlet),
                Arc::clone(&clock) as Arc<dyn Clock>,
                archive::forgetful(),
                &mut tasks,
            )
            .unwrap();
        Self {
            address,
            inlet,
            seen,
            clock,
            handle,
            tasks,
        }
    }

    fn pass(&self, time: Duration) {
        let ms = u64::try_from(time.as_millis()).unwrap();
        self.clock.ahead_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// Lets time pass, and waits until the broker has noticed it: what happens behind this is stamped with the new time.
    async fn pass_noticed(&self, time: Duration) {
        let pulse = &self.handle.core.pulse;
        let least = pulse.now().plus(Ticks::at_least(time));
        self.pass(time);
        let mut pace = tokio::time::interval(Duration::from_millis(5));
        let noticed = async {
            while pulse.now().0 < least.0 {
                pace.tick().await;
            }
        };
        timeout(PATIENCE, noticed).await.unwrap();
    }

    async fn seen(&mut self) -> Seen {
        timeout(PATIENCE, self.seen.recv())
            .await
            .expect("a publish")
            .unwrap()
    }

    async fn settle(&mut self, outcome: crate::domain::Outcome) -> Seen {
        let mut seen = self.seen().await;
        let receipt = seen.receipt.take().expect("a receipt");
        settle_abroad(vec![(receipt, outcome)]);
        seen
    }

    async fn stop(self) {
        self.handle.disconnect_all(Duration::ZERO).await;
        self.tasks.stop(PATIENCE).await.unwrap();
    }
}

/// Settles receipts on a thread that knows no runtime, as the spool's writer does.
fn settle_abroad(receipts: Vec<(Receipt, crate::domain::Outcome)>) {
    use crate::domain::Settle;
    std::thread::spawn(move || {
        for (receipt, outcome) in receipts {
            receipt.settle(outcome);
        }
    })
    .join()
    .unwrap();
}

/// A client that speaks in packets.
struct Client<C> {
    stream: TcpStream,
    codec: C,
    buffer: BytesMut,
}

type Client5 = Client<v5::Codec>;
type Client3 = Client<v3::Codec>;

impl<C: Default> Client<C> {
    async fn dial(rig: &Rig) -> Self {
        Self {
            stream: TcpStream::connect(rig.address).await.unwrap(),
            codec: C::default(),
            buffer: BytesMut::new(),
        }
    }

    async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    async fn send<P>(&mut self, packet: P)
    where
        C: Encoder<P>,
        C::Error: fmt::Debug,
    {
        let mut bytes = BytesMut::new();
        self.codec.encode(packet, &mut bytes).unwrap();
        self.send_bytes(&bytes).await;
    }

    /// The next packet; `None` when the broker closes.
    async fn receive<P>(&mut self) -> Option<P>
    where
        C: Decoder<Item = (P, u32)>,
        C::Error: fmt::Debug,
    {
        loop {
            if let Some((packet, _)) = self.codec.decode(&mut self.buffer).unwrap() {
                return Some(packet);
            }
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.buffer)).await;
            match read.expect("the broker answers") {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Whether the broker closes without another word.
    async fn is_closed<P>(&mut self) -> bool
    where
        C: Decoder<Item = (P, u32)>,
        C::Error: fmt::Debug,
    {
        self.receive().await.is_none()
    }
}

fn connect5() -> v5::Connect {
    v5::Connect {
        clean_start: true,
        keep_alive: 60,
        client_id: "c".into(),
        username: Some(DEVICE.into()),
        password: Some(token().into()),
        ..v5::Connect::default()
    }
}

fn connect3() -> v3::Connect {
    v3::Connect {
        clean_session: true,
        keep_alive: 60,
        client_id: "c".into(),
        username: Some(DEVICE.into()),
        password: Some(token().into()),
        ..v3::Connect::default()
    }
}

impl Client5 {
    async fn connect(rig: &Rig, connect: v5::Connect) -> (Self, v5::ConnectAck) {
        let mut client = Self::dial(rig).await;
        client.send(v5::Packet::Connect(Box::new(connect))).await;
        match client.receive().await {
            Some(v5::Packet::ConnectAck(ack)) => (client, *ack),
            other => panic!("{other:?}"),
        }
    }

    async fn open(rig: &Rig) -> Self {
        let (client, ack) = Self::connect(rig, connect5()).await;
        assert_eq!(ack.reason_code, v5::ConnectAckReason::Success);
        client
    }

    async fn publish(&mut self, qos: u8, id: u16, payload: &[u8]) {
        self.send(v5::Packet::Publish(Box::new(publish(qos, id, payload))))
            .await;
    }

    /// The reason of the DISCONNECT that ends the connection.
    async fn dismissed(&mut self) -> v5::DisconnectReasonCode {
        match self.receive().await {
            Some(v5::Packet::Disconnect(disconnect)) => {
                assert!(self.is_closed().await);
                disconnect.reason_code
            }
            other => panic!("{other:?}"),
        }
    }

    async fn ack(&mut self) -> (u16, u8, Option<String>) {
        match self.receive().await {
            Some(v5::Packet::PublishAck(ack) | v5::Packet::PublishReceived(ack)) => (
                ack.packet_id.get(),
                ack.reason_code.into(),
                ack.reason_string.map(|s| s.to_string()),
            ),
            Some(v5::Packet::PublishComplete(ack)) => {
                (ack.packet_id.get(), ack.reason_code.into(), None)
            }
            other => panic!("{other:?}"),
        }
    }

    async fn subscribe(&mut self, filter: &str, qos: u8) -> Vec<u8> {
        let options = v5::SubscriptionOptions {
            qos: QoS::try_from(qos).unwrap(),
            ..v5::SubscriptionOptions::default()
        };
        self.send(v5::Packet::Subscribe(v5::Subscribe {
            packet_id: id(1),
            id: None,
            user_properties: Vec::new(),
            topic_filters: vec![(filter.into(), options)],
        }))
        .await;
        match self.receive().await {
            Some(v5::Packet::SubscribeAck(ack)) => ack.status.into_iter().map(Into::into).collect(),
            other => panic!("{other:?}"),
        }
    }

    async fn message(&mut self) -> rmqtt_codec::types::Publish {
        match self.receive().await {
            Some(v5::Packet::Publish(publish)) => *publish,
            other => panic!("{other:?}"),
        }
    }

    async fn ping(&mut self) {
        self.send(v5::Packet::PingRequest).await;
        assert_eq!(self.receive().await, Some(v5::Packet::PingResponse));
    }

    async fn leave(mut self) {
        self.send(v5::Packet::Disconnect(v5::Disconnect::default()))
            .await;
        assert!(self.is_closed().await);
    }
}

impl Client3 {
    async fn connect(rig: &Rig, connect: v3::Connect) -> (Self, v3::ConnectAck) {
        let mut client = Self::dial(rig).await;
        client.send(v3::Packet::Connect(Box::new(connect))).await;
        match client.receive().await {
            Some(v3::Packet::ConnectAck(ack)) => (client, ack),
            other => panic!("{other:?}"),
        }
    }

    async fn open(rig: &Rig) -> Self {
        let (client, ack) = Self::connect(rig, connect3()).await;
        assert_eq!(ack.return_code, v3::ConnectAckReason::ConnectionAccepted);
        client
    }

    async fn publish(&mut self, qos: u8, id: u16, payload: &[u8]) {
        self.send(v3::Packet::Publish(Box::new(publish(qos, id, payload))))
            .await;
    }
}

fn id(number: u16) -> std::num::NonZeroU16 {
    std::num::NonZeroU16::new(number).unwrap()
}

fn publish(qos: u8, number: u16, payload: &[u8]) -> rmqtt_codec::types::Publish {
    rmqtt_codec::types::Publish {
        dup: false,
        retain: false,
        qos: QoS::try_from(qos).unwrap(),
        topic: UP.into(),
        packet_id: (qos > 0).then(|| id(number)),
        payload: payload.to_vec().into(),
        properties: None,
    }
}
