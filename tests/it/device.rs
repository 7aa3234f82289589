//! A device as its makers build it: rumqttc, MQTT 3.1.1 or 5, one publish after another.

use std::{net::SocketAddr, time::Duration};

use rumqttc::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, Packet, QoS, v5};
use sensegate::{broker::auth, domain::Identity};
use tokio::{sync::watch, task::JoinSet, time::timeout};

use crate::support::DEADLINE;

/// The gateway key of every test.
pub(crate) const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

/// A device that speaks MQTT 3.1.1.
pub(crate) struct Device {
    client: AsyncClient,
    events: EventLoop,
    username: String,
}

/// What a device connects with: the password that the gateway's key gives its username.
pub(crate) fn options(host: &str, port: u16, username: &str) -> MqttOptions {
    let (_, device) = username.split_once('/').unwrap();
    let mut options = MqttOptions::new(device, host, port);
    let identity = Identity::parse(username).unwrap();
    options.set_credentials(username, auth::token(KEY, &identity));
    options.set_keep_alive(Duration::from_secs(30));
    options
}

impl Device {
    /// Connects with the password that the gateway's key gives its username.
    pub(crate) async fn connect(address: SocketAddr, class: &str, device: &str) -> Self {
        let username = format!("{class}/{device}");
        let options = options(&address.ip().to_string(), address.port(), &username);
        Self::connect_with(options)
            .await
            .expect("the broker lets the device in")
    }

    /// Connects as the options say; the error is the client library's.
    pub(crate) async fn connect_with(options: MqttOptions) -> Result<Self, ConnectionError> {
        let username = options.credentials().unwrap().username;
        let (client, mut events) = AsyncClient::new(options, 64);
        let answered = async {
            loop {
                if let Event::Incoming(Packet::ConnAck(_)) = events.poll().await? {
                    return Ok::<(), ConnectionError>(());
                }
            }
        };
        timeout(DEADLINE, answered)
            .await
            .expect("the broker answers")?;
        Ok(Self {
            client,
            events,
            username,
        })
    }

    /// Publishes on the device's own `up` topic and waits for the acknowledgement of its `QoS`.
    pub(crate) async fn report(&mut self, payload: &str, qos: QoS) {
        let topic = format!("v1/{}/up", self.username);
        self.publish(&topic, payload.as_bytes(), qos).await;
    }

    pub(crate) async fn publish(&mut self, topic: &str, payload: &[u8], qos: QoS) {
        self.client
            .publish(topic, qos, false, payload)
            .await
            .unwrap();
        self.await_packet(|packet| match qos {
            QoS::AtMostOnce => true,
            QoS::AtLeastOnce => matches!(packet, Packet::PubAck(_)),
            QoS::ExactlyOnce => matches!(packet, Packet::PubComp(_)),
        })
        .await;
    }

    async fn await_packet(&mut self, wanted: impl Fn(&Packet) -> bool) {
        let found = async {
            loop {
                match self.events.poll().await.unwrap() {
                    Event::Incoming(packet) if wanted(&packet) => return,
                    Event::Outgoing(rumqttc::Outgoing::Publish(0)) => return,
                    _ => {}
                }
            }
        };
        timeout(DEADLINE, found).await.expect("the broker answers");
    }
}

/// A device that publishes as fast as its window allows until the connection ends.
pub(crate) struct Flood {
    acknowledged: watch::Receiver<u64>,
    tasks: JoinSet<()>,
}

impl Device {
    /// Publishes the same payload over and over at `QoS` 1, without waiting for each acknowledgement.
    pub(crate) fn flood(self, payload: &str) -> Flood {
        let Self {
            client,
            mut events,
            username,
        } = self;
        let topic = format!("v1/{username}/up");
        let payload = payload.to_owned();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            while client
                .publish(&*topic, QoS::AtLeastOnce, false, &*payload)
                .await
                .is_ok()
            {}
        });
        let (count, acknowledged) = watch::channel(0);
        tasks.spawn(async move {
            let acknowledges = |event: &Event| matches!(event, Event::Incoming(Packet::PubAck(_)));
            while let Ok(event) = events.poll().await {
                if acknowledges(&event) {
                    count.send_modify(|count| *count += 1);
                }
            }
            // The library reports the connection's end before what it read together with it.
            let unread = events
                .state
                .events
                .iter()
                .filter(|event| acknowledges(event));
            count.send_modify(|count| *count += unread.count() as u64);
        });
        Flood {
            acknowledged,
            tasks,
        }
    }
}

impl Flood {
    /// Waits until at least this many publishes are acknowledged.
    pub(crate) async fn acknowledged(&self, least: u64) {
        let mut seen = self.acknowledged.clone();
        let reached = seen.wait_for(|count| *count >= least);
        drop(
            timeout(DEADLINE, reached)
                .await
                .expect("acknowledgements come")
                .unwrap(),
        );
    }

    /// Waits for the connection's end; how many publishes were acknowledged until then.
    pub(crate) async fn until_closed(self) -> u64 {
        timeout(DEADLINE, self.tasks.join_all())
            .await
            .expect("the broker closes");
        *self.acknowledged.borrow()
    }
}

/// A device that speaks MQTT 5 and reads reason codes.
pub(crate) struct DeviceV5 {
    client: v5::AsyncClient,
    events: v5::EventLoop,
    username: String,
}

impl DeviceV5 {
    /// Connects with the password that the gateway's key gives its username.
    pub(crate) async fn connect(address: SocketAddr, class: &str, device: &str) -> Self {
        let username = format!("{class}/{device}");
        let mut options = v5::MqttOptions::new(device, address.ip().to_string(), address.port());
        let identity = Identity::parse(&username).unwrap();
        options.set_credentials(&username, auth::token(KEY, &identity));
        options.set_keep_alive(Duration::from_secs(30));
        let (client, events) = v5::AsyncClient::new(options, 64);
        let mut device = Self {
            client,
            events,
            username,
        };
        device
            .await_packet(|packet| {
                matches!(packet, v5::mqttbytes::v5::Packet::ConnAck(_)).then_some(())
            })
            .await;
        device
    }

    /// Publishes on the device's own `up` topic at `QoS` 1; the error is the reason code.
    pub(crate) async fn report(&mut self, payload: &str) -> Result<(), u8> {
        let topic = format!("v1/{}/up", self.username);
        self.publish(&topic, payload).await
    }

    pub(crate) async fn publish(&mut self, topic: &str, payload: &str) -> Result<(), u8> {
        use v5::mqttbytes::v5::{Packet, PubAckReason};
        let qos = v5::mqttbytes::QoS::AtLeastOnce;
        self.client
            .publish(topic, qos, false, payload.to_owned())
            .await
            .unwrap();
        let reason = self
            .await_packet(|packet| match packet {
                Packet::PubAck(ack) => Some(ack.reason),
                _ => None,
            })
            .await;
        match reason {
            PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Ok(()),
            PubAckReason::ImplementationSpecificError => Err(0x83),
            PubAckReason::NotAuthorized => Err(0x87),
            PubAckReason::TopicNameInvalid => Err(0x90),
            PubAckReason::QuotaExceeded => Err(0x97),
            PubAckReason::PayloadFormatInvalid => Err(0x99),
            other => panic!("unexpected reason {other:?}"),
        }
    }

    async fn await_packet<T>(
        &mut self,
        wanted: impl Fn(&v5::mqttbytes::v5::Packet) -> Option<T>,
    ) -> T {
        let found = async {
            loop {
                if let v5::Event::Incoming(packet) = self.events.poll().await.unwrap()
                    && let Some(found) = wanted(&packet)
                {
                    return found;
                }
            }
        };
        timeout(DEADLINE, found).await.expect("the broker answers")
    }
}
