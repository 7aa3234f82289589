//! An MQTT 5 client that brings any credentials and reads reason codes.

use std::{net::SocketAddr, time::Duration};

use rumqttc::v5::{
    AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, StateError,
    mqttbytes::{
        QoS,
        v5::{ConnectReturnCode, DisconnectReasonCode, Packet, PubAckReason},
    },
};
use tokio::time::timeout;

use crate::support::DEADLINE;

/// A client that was let in.
pub(crate) struct Client {
    pub(crate) client: AsyncClient,
    pub(crate) events: EventLoop,
}

impl Client {
    /// Connects with these credentials; the error is the reason code of CONNACK. The username is the client id too.
    pub(crate) fn connect(
        address: SocketAddr,
        username: &str,
        password: &str,
    ) -> impl Future<Output = Result<Self, ConnectReturnCode>> + Send + use<> {
        let mut options = Self::options(address, username);
        options.set_credentials(username, password);
        Self::with(options)
    }

    /// What a client of this id would start with; it brings no credentials.
    pub(crate) fn options(address: SocketAddr, client_id: &str) -> MqttOptions {
        let host = address.ip().to_string();
        let mut options = MqttOptions::new(client_id, host, address.port());
        options.set_keep_alive(Duration::from_secs(30));
        options.set_connection_timeout(DEADLINE.as_secs());
        options
    }

    /// Connects with these; the error is the reason code of CONNACK.
    pub(crate) async fn with(options: MqttOptions) -> Result<Self, ConnectReturnCode> {
        let (client, mut events) = AsyncClient::new(options, 64);
        let answered = timeout(DEADLINE, events.poll()).await;
        match answered.expect("the broker answers") {
            Ok(Event::Incoming(Packet::ConnAck(_))) => Ok(Self { client, events }),
            Err(ConnectionError::ConnectionRefused(code)) => Err(code),
            other => panic!("{other:?} is no answer to CONNECT"),
        }
    }

    /// Publishes at `QoS` 1; the error is the reason code of PUBACK.
    pub(crate) async fn publish(&mut self, topic: &str, payload: &str) -> Result<(), u8> {
        self.publish_bytes(topic, payload.to_owned().into_bytes())
            .await
    }

    /// The same with a payload that is no text.
    pub(crate) async fn publish_bytes(&mut self, topic: &str, payload: Vec<u8>) -> Result<(), u8> {
        let sent = self.client.publish(topic, QoS::AtLeastOnce, false, payload);
        sent.await.unwrap();
        let answered = async {
            loop {
                if let Event::Incoming(Packet::PubAck(ack)) = self.events.poll().await.unwrap() {
                    return ack.reason;
                }
            }
        };
        match timeout(DEADLINE, answered)
            .await
            .expect("the broker answers")
        {
            PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Ok(()),
            PubAckReason::ImplementationSpecificError => Err(0x83),
            PubAckReason::NotAuthorized => Err(0x87),
            PubAckReason::PayloadFormatInvalid => Err(0x99),
            other => panic!("unexpected reason {other:?}"),
        }
    }

    /// Waits until the broker sends it away.
    pub(crate) async fn dismissed(&mut self) -> DisconnectReasonCode {
        let told = async {
            loop {
                let error = match self.events.poll().await {
                    Ok(_) => continue,
                    Err(ConnectionError::MqttState(StateError::ServerDisconnect {
                        reason_code,
                        ..
                    })) => return reason_code,
                    Err(error) => error,
                };
                // The library may report the connection's end before what it read together with it.
                let said = self
                    .events
                    .state
                    .events
                    .iter()
                    .find_map(|event| match event {
                        Event::Incoming(Packet::Disconnect(said)) => Some(said.reason_code),
                        _ => None,
                    });
                return said.unwrap_or_else(|| panic!("{error} is no DISCONNECT"));
            }
        };
        timeout(DEADLINE, told)
            .await
            .expect("the broker ends the session")
    }
}
