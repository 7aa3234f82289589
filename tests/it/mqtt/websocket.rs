//! MQTT over WebSocket, frame by frame and by hand.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::{
    client::Broker,
    heard::{Heard, take},
    wire::{BOTH, Connect, PINGREQ, Version},
};
use crate::support::DEADLINE;

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;

struct Socket {
    stream: TcpStream,
    raw: Vec<u8>,
    mqtt: Vec<u8>,
}

impl Socket {
    /// Upgrades and returns the head of the answer beside the socket.
    async fn open(broker: &Broker, subprotocol: &str) -> (Self, String) {
        let address = broker.listener(1);
        let stream = TcpStream::connect(address).await.unwrap();
        let mut socket = Self {
            stream,
            raw: Vec::new(),
            mqtt: Vec::new(),
        };
        // The key and its answer are RFC 6455's own example.
        let request = format!(
            "GET /mqtt HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: {subprotocol}\r\n\r\n"
        );
        socket.stream.write_all(request.as_bytes()).await.unwrap();
        let end = loop {
            let end = socket.raw.windows(4).position(|bytes| bytes == b"\r\n\r\n");
            match end {
                Some(end) => break end,
                None => assert!(socket.fill().await, "an answer to the upgrade"),
            }
        };
        let head = socket.raw.drain(..end + 4).collect();
        (socket, String::from_utf8(head).unwrap().to_lowercase())
    }

    async fn fill(&mut self) -> bool {
        let read = timeout(DEADLINE, self.stream.read_buf(&mut self.raw)).await;
        matches!(read.expect("the broker says something"), Ok(1..))
    }

    /// One frame, masked as a client's must be.
    async fn send(&mut self, first: u8, payload: &[u8]) {
        let mask = [1, 2, 3, 4];
        let mut frame = vec![first, 0x80 | u8::try_from(payload.len()).unwrap()];
        frame.extend(mask);
        frame.extend(
            payload
                .iter()
                .zip(mask.iter().cycle())
                .map(|(byte, mask)| byte ^ mask),
        );
        self.stream.write_all(&frame).await.unwrap();
    }

    /// The next packet; `None` at the end. Every frame before it must be binary.
    async fn hear(&mut self, version: Version) -> Option<Heard> {
        loop {
            if let Some((heard, _)) = take(version, &mut self.mqtt) {
                return Some(heard);
            }
            while self.raw.len() < 2 || self.raw.len() < 2 + usize::from(self.raw[1]) {
                if !self.fill().await {
                    return None;
                }
            }
            let length = usize::from(self.raw[1]);
            assert!(length < 126, "short frames are all that is expected here");
            let frame: Vec<_> = self.raw.drain(..2 + length).collect();
            if frame[0] == CLOSE {
                return None;
            }
            assert_eq!(frame[0], BINARY);
            self.mqtt.extend(&frame[2..]);
        }
    }
}

fn broker() -> Broker {
    Broker::with(&["--mqtt-listen", "ws://127.0.0.1:0"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_client_is_given_the_subprotocol_mqtt_and_hears_binary_frames() {
    let broker = broker();
    for version in BOTH {
        let (mut socket, head) = Socket::open(&broker, "mqtt").await;
        assert!(head.starts_with("http/1.1 101"), "{head}");
        assert!(
            head.contains("\r\nsec-websocket-protocol: mqtt\r\n"),
            "{head}"
        );
        assert!(head.contains("s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
        socket
            .send(BINARY, &Connect::new(version, "c").bytes())
            .await;
        assert!(
            matches!(socket.hear(version).await, Some(Heard::Connack(connack)) if connack.code == 0)
        );
        socket.send(BINARY, &PINGREQ).await;
        assert_eq!(socket.hear(version).await, Some(Heard::Pong));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_may_span_websocket_frames_and_share_them() {
    let broker = broker();
    for version in BOTH {
        let (mut socket, _) = Socket::open(&broker, "other, mqtt").await;
        let mut bytes = Connect::new(version, "c").bytes();
        bytes.extend([PINGREQ, PINGREQ].concat());
        let (first, second) = bytes.split_at(7);
        socket.send(BINARY, first).await;
        socket.send(BINARY, second).await;
        assert!(matches!(
            socket.hear(version).await,
            Some(Heard::Connack(_))
        ));
        assert_eq!(socket.hear(version).await, Some(Heard::Pong));
        assert_eq!(socket.hear(version).await, Some(Heard::Pong));
        socket.send(BINARY, &PINGREQ[..1]).await;
        socket.send(BINARY, &PINGREQ[1..]).await;
        assert_eq!(socket.hear(version).await, Some(Heard::Pong));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_frame_ends_the_connection() {
    let broker = broker();
    for version in BOTH {
        let (mut socket, _) = Socket::open(&broker, "mqtt").await;
        socket
            .send(BINARY, &Connect::new(version, "c").bytes())
            .await;
        assert!(matches!(
            socket.hear(version).await,
            Some(Heard::Connack(_))
        ));
        socket.send(TEXT, &PINGREQ).await;
        match socket.hear(version).await {
            None => {}
            // MQTT 5 may say so first.
            Some(Heard::Goodbye { .. }) => assert_eq!(socket.hear(version).await, None),
            other => panic!("{other:?}"),
        }
    }
}
