//! rumqttc, both versions of the protocol: two clients in one library that share little but their shape.

use std::{fs, time::Duration};

use ::rumqttc::{
    AsyncClient, ConnectReturnCode as OldCode, ConnectionError as OldError, Event, EventLoop,
    LastWill, MqttOptions, Outgoing, Packet, Publish, QoS, SubscribeReasonCode, TlsConfiguration,
    Transport as Carrier,
    v5::{
        self,
        mqttbytes::{
            QoS as NewQoS,
            v5::{
                ConnectReturnCode as NewCode, Filter, LastWill as NewWill, LastWillProperties,
                Packet as NewPacket, PubAckReason, PubRecReason, Publish as NewPublish,
                PublishProperties, SubscribeReasonCode as NewGrant,
            },
        },
    },
};
use tokio::{
    runtime::Runtime,
    sync::mpsc,
    task::{AbortHandle, JoinSet},
    time::timeout,
};

use super::{
    foreign::Player,
    round::{Access, Heard, Message, Round, Seen, Transport},
};
use crate::support::DEADLINE;

/// Seconds that a session of somebody who is away lasts.
const SESSION_S: u32 = 300;
/// Requests and events under way between a round and a connection's task.
const UNDER_WAY: usize = 64;

pub(super) struct Rumqttc(Runtime);

impl Rumqttc {
    pub(super) fn new() -> Self {
        Self(Runtime::new().unwrap())
    }
}

impl Player for Rumqttc {
    fn play(&mut self, round: &Round, start: &dyn Fn()) -> Seen {
        match self.0.block_on(play(round, start)) {
            Ok(heard) => Seen::Heard(heard),
            Err(code) => Seen::Refused(code),
        }
    }
}

/// How a session begins and ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Session {
    Clean,
    /// Outlives the connection.
    Stays,
    /// Was there before, and ends with the connection.
    Resumed,
}

/// What a connection's task tells.
enum News {
    Connected,
    /// SUBACK: the codes.
    Granted(Vec<u8>),
    /// A publish has gone all its way.
    Settled,
    Heard(Heard),
    /// CONNACK with a code.
    Refused(u8),
    Ended(String),
}

enum Client {
    Old(AsyncClient),
    New(v5::AsyncClient),
}

struct Link {
    client: Client,
    task: AbortHandle,
    connected: bool,
    refused: Option<u8>,
    granted: Option<Vec<u8>>,
    settled: usize,
    heard: Vec<Heard>,
    ended: Option<String>,
}

/// The connections of a round. Each is driven by a task of its own, and all tell their news here.
struct Table<'a> {
    round: &'a Round,
    links: Vec<Link>,
    tasks: JoinSet<()>,
    tell: mpsc::Sender<(usize, News)>,
    news: mpsc::Receiver<(usize, News)>,
}

impl<'a> Table<'a> {
    fn new(round: &'a Round) -> Self {
        let (tell, news) = mpsc::channel(UNDER_WAY);
        Self {
            round,
            links: Vec::new(),
            tasks: JoinSet::new(),
            tell,
            news,
        }
    }

    /// Connects one more; its number.
    async fn open(
        &mut self,
        name: &str,
        session: Session,
        will: Option<&Message>,
    ) -> Result<usize, u8> {
        let number = self.links.len();
        let name = format!("{}-{name}", self.round.name);
        let tell = self.tell.clone();
        let (client, task) = if self.round.version == 5 {
            let options = new_options(self.round, &name, session, will);
            let (client, events) = v5::AsyncClient::new(options, UNDER_WAY);
            (
                Client::New(client),
                self.tasks.spawn(drive_new(events, number, tell)),
            )
        } else {
            let options = old_options(self.round, &name, session, will);
            let (client, events) = AsyncClient::new(options, UNDER_WAY);
            (
                Client::Old(client),
                self.tasks.spawn(drive_old(events, number, tell)),
            )
        };
        self.links.push(Link {
            client,
            task,
            connected: false,
            refused: None,
            granted: None,
            settled: 0,
            heard: Vec::new(),
            ended: None,
        });
        let answered = |links: &[Link]| links[number].connected || links[number].refused.is_some();
        self.until("CONNACK", answered).await;
        self.links[number].refused.map_or(Ok(number), Err)
    }

    async fn until(&mut self, what: &str, holds: impl Fn(&[Link]) -> bool) {
        while !holds(&self.links) {
            let told = timeout(DEADLINE, self.news.recv()).await;
            let (number, news) = told
                .unwrap_or_else(|_| panic!("{}: no {what}", self.round.name))
                .unwrap();
            let link = &mut self.links[number];
            match news {
                News::Connected => link.connected = true,
                News::Granted(codes) => link.granted = Some(codes),
                News::Settled => link.settled += 1,
                News::Heard(heard) => link.heard.push(heard),
                News::Refused(code) => link.refused = Some(code),
                News::Ended(how) => link.ended = Some(how),
            }
            let open = self.links.iter().find_map(|link| link.ended.as_ref());
            if let Some(how) = open
                && !holds(&self.links)
            {
                panic!("{}: {how} before {what}", self.round.name);
            }
        }
    }

    async fn subscribe(&mut self, number: usize, filters: &[String]) {
        let qos = self.round.qos;
        match &self.links[number].client {
            Client::Old(client) => {
                let filters = filters
                    .iter()
                    .map(|filter| ::rumqttc::SubscribeFilter::new(filter.clone(), old_qos(qos)));
                client.subscribe_many(filters).await.unwrap();
            }
            Client::New(client) => {
                let filters = filters
                    .iter()
                    .map(|filter| Filter::new(filter, new_qos(qos)));
                client.subscribe_many(filters).await.unwrap();
            }
        }
        self.until("SUBACK", |links| links[number].granted.is_some())
            .await;
        let granted = self.links[number].granted.take().unwrap();
        assert_eq!(granted, vec![qos; filters.len()], "{}", self.round.name);
    }

    /// Hands all of them over, then waits until all are acknowledged.
    async fn publish(&mut self, number: usize, messages: &[Message], qos: u8) {
        let goal = self.links[number].settled + messages.len();
        for message in messages {
            let (topic, payload, retain) =
                (&message.topic, message.payload.clone(), message.retain);
            match &self.links[number].client {
                Client::Old(client) => client
                    .publish(topic, old_qos(qos), retain, payload)
                    .await
                    .unwrap(),
                Client::New(client) => {
                    let properties = PublishProperties {
                        user_properties: marks(self.round),
                        ..PublishProperties::default()
                    };
                    client
                        .publish_with_properties(topic, new_qos(qos), retain, payload, properties)
                        .await
                        .unwrap();
                }
            }
        }
        self.until("acknowledgements", |links| links[number].settled >= goal)
            .await;
    }

    /// Says good-bye, and waits until the gateway has closed.
    async fn leave(&mut self, number: usize) {
        match &self.links[number].client {
            Client::Old(client) => client.disconnect().await.unwrap(),
            Client::New(client) => client.disconnect().await.unwrap(),
        }
        self.until("end", |links| links[number].ended.is_some())
            .await;
        self.links[number].ended = None;
    }
}

#[expect(
    clippy::too_many_lines,
    reason = "one client's life from CONNECT to DISCONNECT"
)]
async fn play(round: &Round, start: &dyn Fn()) -> Result<Vec<Vec<Heard>>, u8> {
    let mut table = Table::new(round);
    let publisher = table.open("publisher", Session::Clean, None).await?;
    table
        .publish(publisher, &round.before, round.qos.max(1))
        .await;
    let session = match round.away {
        true => Session::Stays,
        false => Session::Clean,
    };
    let mut subscribers = Vec::new();
    for (number, filters) in round.subscribers.iter().enumerate() {
        let name = format!("subscriber-{number}");
        let link = table.open(&name, session, None).await?;
        table.subscribe(link, filters).await;
        if round.away {
            table.leave(link).await;
        }
        subscribers.push(link);
    }
    start();
    if round.will.is_some() {
        let link = table
            .open("willing", Session::Clean, round.will.as_ref())
            .await?;
        table.links[link].task.abort();
    }
    table.publish(publisher, &round.publish, round.qos).await;
    for (number, link) in subscribers.iter_mut().enumerate() {
        if round.away {
            let name = format!("subscriber-{number}");
            *link = table.open(&name, Session::Resumed, None).await?;
        }
        table
            .subscribe(*link, std::slice::from_ref(&round.end))
            .await;
    }
    let heard = |links: &[Link]| {
        subscribers
            .iter()
            .map(|&link| links[link].heard.len())
            .sum()
    };
    table
        .until("messages", |links| {
            let heard: usize = heard(links);
            heard >= round.heard
        })
        .await;
    let end = Message {
        topic: round.end.clone(),
        payload: "end".to_owned(),
        retain: false,
    };
    table.publish(publisher, &[end], round.qos).await;
    let is_end = |heard: &Heard| heard.topic == round.end;
    let all = |links: &[Link]| {
        subscribers
            .iter()
            .all(|&link| links[link].heard.iter().any(is_end))
    };
    table.until("the end", all).await;
    let mut all = Vec::new();
    for &link in &subscribers {
        table.leave(link).await;
        table.links[link].heard.retain(|heard| !is_end(heard));
        all.push(std::mem::take(&mut table.links[link].heard));
    }
    table.leave(publisher).await;
    Ok(all)
}

fn marks(round: &Round) -> Vec<(String, String)> {
    let mark = |mark| ("mark".to_owned(), mark);
    round.mark().map(mark).into_iter().collect()
}

fn old_qos(qos: u8) -> QoS {
    ::rumqttc::qos(qos).unwrap()
}

fn new_qos(qos: u8) -> NewQoS {
    v5::mqttbytes::qos(qos).unwrap()
}

/// The host as the library wants it, and what carries the protocol.
fn carrier(access: &Access) -> (String, Carrier) {
    let read = |file| fs::read(file).unwrap();
    let tls = || TlsConfiguration::Simple {
        ca: read(access.ca.as_ref().unwrap()),
        alpn: None,
        client_auth: access
            .cert
            .as_ref()
            .map(|cert| (read(cert), read(access.key.as_ref().unwrap()))),
    };
    let host = access.address.ip().to_string();
    match access.transport {
        Transport::Tcp => (host, Carrier::Tcp),
        Transport::Tls | Transport::Mutual => (host, Carrier::Tls(tls())),
        Transport::Ws => (access.url.clone(), Carrier::Ws),
        Transport::Wss => (access.url.clone(), Carrier::Wss(tls())),
    }
}

fn old_options(round: &Round, name: &str, session: Session, will: Option<&Message>) -> MqttOptions {
    let Access {
        address,
        user,
        password,
        ..
    } = &round.access;
    let (host, carrier) = carrier(&round.access);
    let mut options = MqttOptions::new(name, host, address.port());
    options.set_transport(carrier);
    options.set_keep_alive(Duration::from_secs(60));
    options.set_max_packet_size(1 << 20, 1 << 20);
    // MQTT 3.1.1 knows no session that is resumed and ends: the test's username is not used again.
    options.set_clean_session(session == Session::Clean);
    if let (Some(user), Some(password)) = (user, password) {
        options.set_credentials(user, password);
    }
    if let Some(will) = will {
        let qos = old_qos(round.qos);
        options.set_last_will(LastWill::new(&will.topic, will.payload.clone(), qos, false));
    }
    options
}

fn new_options(
    round: &Round,
    name: &str,
    session: Session,
    will: Option<&Message>,
) -> v5::MqttOptions {
    let Access {
        address,
        user,
        password,
        ..
    } = &round.access;
    let (host, carrier) = carrier(&round.access);
    let mut options = v5::MqttOptions::new(name, host, address.port());
    options.set_transport(carrier);
    options.set_keep_alive(Duration::from_secs(60));
    options.set_clean_start(session == Session::Clean);
    let expiry = match session {
        Session::Stays => SESSION_S,
        Session::Clean | Session::Resumed => 0,
    };
    options.set_session_expiry_interval(Some(expiry));
    if let (Some(user), Some(password)) = (user, password) {
        options.set_credentials(user, password);
    }
    if let Some(will) = will {
        let properties = LastWillProperties {
            delay_interval: None,
            payload_format_indicator: None,
            message_expiry_interval: None,
            content_type: None,
            response_topic: None,
            correlation_data: None,
            user_properties: marks(round),
        };
        let (qos, payload) = (new_qos(round.qos), will.payload.clone());
        options.set_last_will(NewWill::new(
            &will.topic,
            payload,
            qos,
            false,
            Some(properties),
        ));
    }
    options
}

async fn drive_old(mut events: EventLoop, number: usize, tell: mpsc::Sender<(usize, News)>) {
    loop {
        let news = match events.poll().await {
            Ok(Event::Incoming(packet)) => old_news(packet),
            Ok(Event::Outgoing(Outgoing::Publish(0))) => Some(News::Settled),
            Ok(Event::Outgoing(_)) => None,
            Err(OldError::ConnectionRefused(code)) => Some(News::Refused(match code {
                OldCode::BadUserNamePassword => 4,
                OldCode::NotAuthorized => 5,
                other => panic!("{other:?}"),
            })),
            Err(error) => Some(News::Ended(error.to_string())),
        };
        if !told(number, &tell, news).await {
            return;
        }
    }
}

async fn drive_new(mut events: v5::EventLoop, number: usize, tell: mpsc::Sender<(usize, News)>) {
    loop {
        let news = match events.poll().await {
            Ok(v5::Event::Incoming(packet)) => new_news(packet),
            Ok(v5::Event::Outgoing(Outgoing::Publish(0))) => Some(News::Settled),
            Ok(v5::Event::Outgoing(_)) => None,
            Err(v5::ConnectionError::ConnectionRefused(code)) => Some(News::Refused(match code {
                NewCode::BadUserNamePassword => 0x86,
                NewCode::NotAuthorized => 0x87,
                other => panic!("{other:?}"),
            })),
            Err(error) => Some(News::Ended(error.to_string())),
        };
        if !told(number, &tell, news).await {
            return;
        }
    }
}

/// Tells it; whether there is more to come.
async fn told(number: usize, tell: &mpsc::Sender<(usize, News)>, news: Option<News>) -> bool {
    let Some(news) = news else {
        return true;
    };
    let last = matches!(news, News::Refused(_) | News::Ended(_));
    // Nobody listens any more when the round has ended.
    tell.send((number, news)).await.is_ok() && !last
}

fn old_news(packet: Packet) -> Option<News> {
    match packet {
        Packet::ConnAck(_) => Some(News::Connected),
        Packet::SubAck(ack) => {
            let code = |code: &SubscribeReasonCode| match code {
                SubscribeReasonCode::Success(qos) => *qos as u8,
                SubscribeReasonCode::Failure => 0x80,
            };
            Some(News::Granted(ack.return_codes.iter().map(code).collect()))
        }
        Packet::PubAck(_) | Packet::PubComp(_) => Some(News::Settled),
        Packet::Publish(Publish {
            topic,
            payload,
            qos,
            retain,
            ..
        }) => Some(News::Heard(Heard {
            topic,
            payload: String::from_utf8(payload.to_vec()).unwrap(),
            qos: qos as u8,
            retain,
            mark: None,
        })),
        _ => None,
    }
}

fn new_news(packet: NewPacket) -> Option<News> {
    match packet {
        NewPacket::ConnAck(_) => Some(News::Connected),
        NewPacket::SubAck(ack) => {
            let code = |code: &NewGrant| match code {
                NewGrant::Success(qos) => *qos as u8,
                _ => 0x80,
            };
            Some(News::Granted(ack.return_codes.iter().map(code).collect()))
        }
        NewPacket::PubAck(ack) => Some(match ack.reason {
            PubAckReason::Success | PubAckReason::NoMatchingSubscribers => News::Settled,
            refused => News::Ended(format!("PUBACK {refused:?}")),
        }),
        NewPacket::PubRec(ack) => match ack.reason {
            PubRecReason::Success | PubRecReason::NoMatchingSubscribers => None,
            refused => Some(News::Ended(format!("PUBREC {refused:?}"))),
        },
        NewPacket::PubComp(_) => Some(News::Settled),
        NewPacket::Publish(NewPublish {
            topic,
            payload,
            qos,
            retain,
            properties,
            ..
        }) => {
            let properties = properties.map(|properties| properties.user_properties);
            let mut properties = properties.into_iter().flatten();
            Some(News::Heard(Heard {
                topic: String::from_utf8(topic.to_vec()).unwrap(),
                payload: String::from_utf8(payload.to_vec()).unwrap(),
                qos: qos as u8,
                retain,
                mark: properties
                    .find(|(name, _)| name == "mark")
                    .map(|(_, mark)| mark),
            }))
        }
        _ => None,
    }
}
