//! A client that speaks in packets, and the broker it speaks to: a child process that lets anyone do anything.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::{
    heard::{Ack, Codes, Connack, Heard, take},
    wire::{
        Connect, Message, PINGREQ, PUBACK, PUBCOMP, PUBREC, PUBREL, Props, Version, ack,
        disconnect, subscribe, unsubscribe,
    },
};
use crate::support::{DEADLINE, Gateway, Node};

/// No proof of who one is, and every right.
const OPEN: [&str; 4] = ["--auth-method", "anonymous", "--rights", "open"];

/// A running broker and the data that outlives its process.
pub(crate) struct Broker {
    node: Node,
    gateway: Option<Gateway>,
}

impl Broker {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// With further flags.
    pub(crate) fn with(flags: &[&str]) -> Self {
        Self::bare(&[&OPEN, flags].concat())
    }

    /// With these flags only.
    pub(crate) fn bare(flags: &[&str]) -> Self {
        let node = Node::new(flags);
        let gateway = Some(node.start());
        Self { node, gateway }
    }

    fn gateway(&self) -> &Gateway {
        self.gateway.as_ref().unwrap()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.gateway().mqtt
    }

    /// The address of a listener, in the order of the flags; the plain one is the first.
    pub(crate) fn listener(&self, at: usize) -> SocketAddr {
        self.gateway().listeners[at].1
    }

    /// `kill -9` and a new start on the same data.
    pub(crate) fn kill_and_restart(&mut self) {
        self.kill();
        self.start_again();
    }

    pub(crate) fn kill(&mut self) {
        self.gateway.take().unwrap().kill();
    }

    pub(crate) fn start_again(&mut self) {
        self.gateway = Some(self.node.start());
    }

    /// An orderly stop.
    pub(crate) fn stop(&mut self) {
        let status = self.gateway.take().unwrap().terminate();
        assert_eq!(status.code(), Some(0));
    }

    /// A connection of which nothing is known yet.
    pub(crate) async fn dial(&self, version: Version) -> Client {
        Client::dial(self.address(), version).await
    }

    pub(crate) async fn connect(&self, connect: &Connect) -> (Client, Connack) {
        let mut client = self.dial(connect.version).await;
        client.send(&connect.bytes()).await;
        match client.hear().await {
            Some(Heard::Connack(connack)) => (client, connack),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn open(&self, connect: &Connect) -> Client {
        let (client, connack) = self.connect(connect).await;
        assert_eq!(connack.code, 0, "{connack:?}");
        client
    }

    /// A client with a clean session.
    pub(crate) async fn client(&self, version: Version, client_id: &str) -> Client {
        self.open(&Connect::new(version, client_id)).await
    }

    /// Leaves a lasting session behind that hears `filter`, and its client away.
    pub(crate) async fn absent(&self, version: Version, client_id: &str, filter: &str) {
        let mut client = self.open(&Connect::lasting(version, client_id)).await;
        assert_eq!(client.subscribe(filter, 2).await, 2);
        client.leave().await;
    }
}

pub(crate) struct Client {
    stream: TcpStream,
    pub(crate) version: Version,
    buffer: Vec<u8>,
    inbox: VecDeque<Message>,
    last_id: u16,
    /// The length of the largest packet that it heard.
    pub(crate) largest: usize,
}

impl Client {
    async fn dial(address: SocketAddr, version: Version) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            version,
            buffer: Vec::new(),
            inbox: VecDeque::new(),
            last_id: 0,
            largest: 0,
        }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next packet; `None` when the broker closes.
    pub(crate) async fn hear(&mut self) -> Option<Heard> {
        loop {
            if let Some((heard, length)) = take(self.version, &mut self.buffer) {
                self.largest = self.largest.max(length);
                return Some(heard);
            }
            let read = timeout(DEADLINE, self.stream.read_buf(&mut self.buffer)).await;
            match read.expect("the broker says something") {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The next packet but messages, which are put aside for later.
    pub(crate) async fn answer(&mut self) -> Heard {
        loop {
            match self.hear().await.expect("an answer, not the end") {
                Heard::Message(message) => self.inbox.push_back(message),
                other => return other,
            }
        }
    }

    pub(crate) async fn acknowledgement(&mut self) -> Ack {
        match self.answer().await {
            Heard::Ack(ack) => ack,
            other => panic!("{other:?}"),
        }
    }

    /// An identifier that is not in use.
    pub(crate) fn next_id(&mut self) -> u16 {
        self.last_id += 1;
        self.last_id
    }

    /// Publishes and goes through the whole exchange; the reason code at its end.
    pub(crate) async fn publish(&mut self, message: Message) -> u8 {
        let id = if message.qos > 0 { self.next_id() } else { 0 };
        let message = message.id(id);
        self.send(&message.bytes(self.version)).await;
        let first = match message.qos {
            0 => return 0,
            1 => PUBACK,
            _ => PUBREC,
        };
        let ack = self.acknowledgement().await;
        assert_eq!((ack.first, ack.id), (first, id));
        if first == PUBREC && ack.code < 0x80 {
            return self.release(id).await;
        }
        ack.code
    }

    /// PUBREL, and the code of its PUBCOMP.
    pub(crate) async fn release(&mut self, id: u16) -> u8 {
        self.send(&ack(PUBREL, id, 0)).await;
        let ack = self.acknowledgement().await;
        assert_eq!((ack.first, ack.id), (PUBCOMP, id));
        ack.code
    }

    /// Publishes a text; it must be taken.
    pub(crate) async fn say(&mut self, topic: &str, payload: &str, qos: u8) {
        let code = self.publish(Message::new(topic, payload).qos(qos)).await;
        assert!(code < 0x80, "{topic}: {code:#x}");
    }

    /// Subscribes with options as one byte; the code.
    pub(crate) async fn subscribe(&mut self, filter: &str, options: u8) -> u8 {
        let codes = self.subscribe_all(&[(filter, options)], &Vec::new()).await;
        assert_eq!(codes.codes.len(), 1);
        codes.codes[0]
    }

    pub(crate) async fn subscribe_all(&mut self, filters: &[(&str, u8)], props: &Props) -> Codes {
        let id = self.next_id();
        self.send(&subscribe(self.version, id, filters, props))
            .await;
        match self.answer().await {
            Heard::Suback(codes) if codes.id == id => codes,
            other => panic!("{other:?}"),
        }
    }

    /// Ends subscriptions; MQTT 3.1.1 gives no codes.
    pub(crate) async fn unsubscribe(&mut self, filters: &[&str]) -> Vec<u8> {
        let id = self.next_id();
        self.send(&unsubscribe(self.version, id, filters)).await;
        match self.answer().await {
            Heard::Unsuback(codes) if codes.id == id => codes.codes,
            other => panic!("{other:?}"),
        }
    }

    /// The next message, which is not acknowledged.
    pub(crate) async fn arriving(&mut self) -> Message {
        if let Some(message) = self.inbox.pop_front() {
            return message;
        }
        match self.hear().await {
            Some(Heard::Message(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    /// The next message, acknowledged.
    pub(crate) async fn message(&mut self) -> Message {
        let message = self.arriving().await;
        self.accept(&message).await;
        message
    }

    /// Goes through a message's exchange as its receiver.
    pub(crate) async fn accept(&mut self, message: &Message) {
        match message.qos {
            0 => {}
            1 => self.send(&ack(PUBACK, message.id, 0)).await,
            _ => {
                self.received(message.id).await;
                self.send(&ack(PUBCOMP, message.id, 0)).await;
            }
        }
    }

    /// PUBREC, and the PUBREL that answers it.
    pub(crate) async fn received(&mut self, id: u16) {
        self.send(&ack(PUBREC, id, 0)).await;
        let release = self.acknowledgement().await;
        assert_eq!((release.first, release.id), (PUBREL, id));
    }

    /// Every message that was for this client before now, acknowledged: `by` publishes one more, on a topic of its own,
    /// and what comes before that one was there.
    pub(crate) async fn all_until(&mut self, by: &mut Self) -> Vec<Message> {
        let topic = self.end_of_messages().await;
        by.say(&topic, "end", 1).await;
        self.up_to(&topic).await
    }

    /// The same for a client that publishes itself.
    pub(crate) async fn all(&mut self) -> Vec<Message> {
        let topic = self.end_of_messages().await;
        self.say(&topic, "end", 1).await;
        self.up_to(&topic).await
    }

    async fn end_of_messages(&mut self) -> String {
        // Behind a dollar sign no wildcard of a test's own matches it.
        let topic = format!(
            "$end/{}/{}",
            self.stream.local_addr().unwrap(),
            self.last_id
        );
        assert!(self.subscribe(&topic, 1).await < 3);
        topic
    }

    async fn up_to(&mut self, end: &str) -> Vec<Message> {
        let mut messages = Vec::new();
        loop {
            let message = self.message().await;
            if message.topic == end {
                self.unsubscribe(&[end]).await;
                return messages;
            }
            messages.push(message);
        }
    }

    pub(crate) async fn ping(&mut self) {
        self.send(&PINGREQ).await;
        assert_eq!(self.answer().await, Heard::Pong);
    }

    /// Says good-bye and waits until the broker has closed.
    pub(crate) async fn leave(mut self) {
        self.send(&disconnect(self.version, 0, &Vec::new())).await;
        assert_eq!(self.end().await, None);
    }

    /// Breaks the connection without a word.
    pub(crate) fn vanish(self) {
        drop(self.stream);
    }

    /// Waits for the end of the connection, past messages; the code of the DISCONNECT before it, if there was one.
    pub(crate) async fn end(&mut self) -> Option<u8> {
        loop {
            match self.hear().await {
                None => return None,
                Some(Heard::Message(_)) => {}
                Some(Heard::Goodbye { code, .. }) => {
                    assert_eq!(self.hear().await, None, "words behind DISCONNECT");
                    return Some(code);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// The connection ends; an MQTT 5 client is told this code.
    pub(crate) async fn ends_with(&mut self, code: u8) {
        let expected = (self.version == Version::V5).then_some(code);
        assert_eq!(self.end().await, expected);
    }
}

/// Lets time pass where time itself is what the test is about: expiries, delays and keep-alives of whole seconds.
pub(crate) async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Whether what is awaited took at least `least` and at most `most`.
pub(crate) fn lasted(since: Instant, least: Duration, most: Duration) {
    let time = since.elapsed();
    assert!(least <= time && time <= most, "{time:?}");
}

/// The payloads of messages as texts.
pub(crate) fn texts(messages: &[Message]) -> Vec<String> {
    messages.iter().map(Message::text).collect()
}
