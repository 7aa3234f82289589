//! A round: what some clients of one library do with the gateway, and what they must hear.
//!
//! A publisher connects; it publishes `before` (at `QoS` 1 at least, for it has to be there next); the subscribers connect one after another and subscribe to their filters
//! (with `away` they leave a lasting session behind and come back later); a client with a `will` connects and breaks off;
//! the publisher publishes `publish`, all of it without waiting for one acknowledgement after another. When `heard`
//! messages have come, the publisher says `end`, to which every subscriber subscribes too: what somebody hears twice or
//! unasked is there before it. All else is published and subscribed to at the round's `QoS`.
//!
//! The same description goes to every library, as JSON to those of other languages, and one judge reads what they heard.

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

/// Below this every client may publish and subscribe.
pub(super) const ROOT: &str = "round";
/// Messages of a round, where their number matters.
const MANY: usize = 20;
/// More than one read, one TLS record's usual piece and one WebSocket frame of most libraries.
const LONG: usize = 9000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Tcp,
    Tls,
    /// TLS with a client certificate.
    Mutual,
    Ws,
    Wss,
}

/// Where and as whom to connect.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Access {
    #[serde(skip)]
    pub(super) transport: Transport,
    #[serde(skip)]
    pub(super) address: SocketAddr,
    pub(super) url: String,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    /// Files: who issued the gateway's certificate, and the client's own.
    pub(super) ca: Option<PathBuf>,
    pub(super) cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One topic, one subscriber, many messages in their order.
    Exact,
    /// `+` and `#`, each heard by a subscriber of its own.
    Wildcard,
    /// Messages kept for who comes later, replaced and taken away.
    Retained,
    /// Two subscribers share.
    Shared,
    /// The last word of a client that breaks off.
    Will,
    /// The subscriber is away while messages come, and finds them in its session.
    Away,
}

pub(super) const KINDS: [Kind; 6] = [
    Kind::Exact,
    Kind::Wildcard,
    Kind::Retained,
    Kind::Shared,
    Kind::Will,
    Kind::Away,
];

#[derive(Clone, Debug, Serialize)]
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: String,
    pub(super) retain: bool,
}

#[derive(Clone, Debug, Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "what the drivers are told, one flag each"
)]
pub(super) struct Round {
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) access: Access,
    /// 4 for MQTT 3.1.1, or 5.
    pub(super) version: u8,
    pub(super) qos: u8,
    pub(super) before: Vec<Message>,
    pub(super) subscribers: Vec<Vec<String>>,
    pub(super) away: bool,
    /// Say that all have subscribed and wait for a line before publishing.
    pub(super) wait: bool,
    pub(super) will: Option<Message>,
    pub(super) publish: Vec<Message>,
    pub(super) heard: usize,
    pub(super) end: String,
    #[serde(skip)]
    expected: Expected,
}

/// A message as a client's library hands it over. `mark` is a user property that each message of MQTT 5 carries: the name of
/// its round.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Heard {
    pub(super) topic: String,
    pub(super) payload: String,
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) mark: Option<String>,
}

/// What came of a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// What each subscriber heard, but for the end.
    Heard(Vec<Vec<Heard>>),
    /// The code of CONNACK.
    Refused(u8),
}

#[derive(Clone, Debug)]
enum Expected {
    /// Each subscriber hears this: kept messages first, and each topic's in their order.
    Each(Vec<Vec<Heard>>),
    /// All of them together hear this, each in its order.
    Together(Vec<Heard>),
    /// CONNACK has this code of MQTT 5, or the one of 3.1.1 that means the same.
    Refused(u8),
    /// The test looks at it itself.
    Unknown,
}

fn message(topic: &str, payload: impl Into<String>) -> Message {
    Message {
        topic: topic.to_owned(),
        payload: payload.into(),
        retain: false,
    }
}

fn kept(topic: &str, payload: &str) -> Message {
    Message {
        retain: true,
        ..message(topic, payload)
    }
}

/// Numbered texts for a topic: not only ASCII, and one of them long.
fn many(topic: &str) -> Vec<Message> {
    let text = |number| match number {
        7 => format!("{number:02} {}", "长".repeat(LONG / 3)),
        _ => format!("{number:02} 井盖倾斜"),
    };
    (0..MANY)
        .map(|number| message(topic, text(number)))
        .collect()
}

impl Round {
    pub(super) fn new(kind: Kind, name: &str, access: Access, version: u8, qos: u8) -> Self {
        let mut round = Self {
            name: name.to_owned(),
            access,
            version,
            qos,
            before: Vec::new(),
            subscribers: Vec::new(),
            away: false,
            wait: false,
            will: None,
            publish: Vec::new(),
            heard: 0,
            end: format!("{ROOT}/{name}/end"),
            expected: Expected::Unknown,
        };
        round.plan(kind, &format!("{ROOT}/{name}/said"));
        round.heard = match &round.expected {
            Expected::Each(each) => each.iter().map(Vec::len).sum(),
            Expected::Together(all) => all.len(),
            Expected::Refused(_) | Expected::Unknown => 0,
        };
        round
    }

    /// A round that ends with CONNACK.
    pub(super) fn refused(name: &str, access: Access, version: u8, code: u8) -> Self {
        let mut round = Self::new(Kind::Exact, name, access, version, 0);
        round.expected = Expected::Refused(code);
        round
    }

    /// One of several rounds at the same time: everyone publishes, and hears everyone.
    pub(super) fn square(name: &str, access: Access, version: u8, qos: u8) -> Self {
        let mut round = Self::new(Kind::Exact, name, access, version, qos);
        round.expected = Expected::Unknown;
        round.wait = true;
        round
    }

    fn plan(&mut self, kind: Kind, base: &str) {
        match kind {
            Kind::Exact | Kind::Shared | Kind::Away => {
                // The level is one of the standard's own examples of what topics may hold.
                let topic = format!("{base}/区 / ünit");
                self.publish = many(&topic);
                let all = self.arriving(&self.publish);
                if kind == Kind::Shared {
                    let filter = format!("$share/{}/{topic}", self.name);
                    self.subscribers = vec![vec![filter.clone()], vec![filter]];
                    self.expected = Expected::Together(all);
                } else {
                    self.subscribers = vec![vec![topic]];
                    self.away = kind == Kind::Away;
                    self.expected = Expected::Each(vec![all]);
                }
            }
            Kind::Wildcard => {
                let at = |rest: &str| message(&format!("{base}{rest}"), rest);
                let both = at("/deep/level");
                let (one, deep, deeper) = (at("/a/level"), at("/deep"), at("/deep/x/y"));
                let neither = at("/a/b/level");
                self.subscribers = vec![
                    vec![format!("{base}/+/level")],
                    vec![format!("{base}/deep/#")],
                ];
                self.expected = Expected::Each(vec![
                    self.arriving(&[one.clone(), both.clone()]),
                    self.arriving(&[deep.clone(), both.clone(), deeper.clone()]),
                ]);
                self.publish = vec![one, deep, neither, both, deeper];
            }
            Kind::Retained => self.plan_retained(base),
            Kind::Will => {
                let topic = format!("{base}/gone");
                let will = message(&topic, "the last word");
                self.subscribers = vec![vec![topic]];
                self.expected = Expected::Each(vec![self.arriving(std::slice::from_ref(&will))]);
                self.will = Some(will);
            }
        }
    }

    fn plan_retained(&mut self, base: &str) {
        let topics = ["/1", "/2", "/3"].map(|rest| format!("{base}{rest}"));
        let [stays, changed, taken] = topics.each_ref();
        self.before = topics.iter().map(|topic| kept(topic, "old")).collect();
        self.before.extend([kept(changed, "new"), kept(taken, "")]);
        self.subscribers = vec![vec![format!("{base}/+")]];
        // To who is there already a message that is kept comes like any other, and so does one that takes it away.
        let live = [kept(taken, "live"), kept(stays, ""), kept(changed, "")];
        let mut all = self.arriving(&[kept(stays, "old"), kept(changed, "new")]);
        for heard in &mut all {
            heard.retain = true;
        }
        all.extend(self.arriving(&live));
        self.expected = Expected::Each(vec![all]);
        self.publish = live.to_vec();
    }

    /// These messages as an ordinary subscription hears them.
    pub(super) fn arriving(&self, messages: &[Message]) -> Vec<Heard> {
        let heard = |message: &Message| Heard {
            topic: message.topic.clone(),
            payload: message.payload.clone(),
            qos: self.qos,
            retain: false,
            mark: self.mark(),
        };
        messages.iter().map(heard).collect()
    }

    /// The user property of its messages, if the version has such.
    pub(super) fn mark(&self) -> Option<String> {
        (self.version == 5).then(|| self.name.clone())
    }

    /// Panics unless this is what had to be heard.
    pub(super) fn judge(&self, seen: &Seen) {
        let Self { name, expected, .. } = self;
        match (expected, seen) {
            (Expected::Each(expected), Seen::Heard(heard)) => {
                assert_eq!(heard.len(), expected.len(), "{name}");
                for (expected, heard) in expected.iter().zip(heard) {
                    assert_eq!(by_topic(heard), by_topic(expected), "{name}");
                }
            }
            (Expected::Together(expected), Seen::Heard(heard)) => {
                for share in heard {
                    assert!(share.is_sorted(), "{name}: out of order: {share:?}");
                    assert!(!share.is_empty(), "{name}: one has no share");
                }
                let mut together = heard.concat();
                together.sort();
                assert_eq!(&together, expected, "{name}");
            }
            (Expected::Refused(expected), Seen::Refused(code)) => {
                let code = match code {
                    4 => 0x86,
                    5 => 0x87,
                    code => *code,
                };
                assert_eq!(code, *expected, "{name}");
            }
            _ => panic!("{name}: {seen:?} instead of {expected:?}"),
        }
    }
}

/// What the order of means something: the standard promises it for each topic, and that kept messages are there at once.
fn by_topic(heard: &[Heard]) -> Vec<Heard> {
    let kept = heard.iter().take_while(|heard| heard.retain).count();
    let mut sorted = heard.to_vec();
    let (kept, live) = sorted.split_at_mut(kept);
    kept.sort_by(|one, other| one.topic.cmp(&other.topic));
    live.sort_by(|one, other| one.topic.cmp(&other.topic));
    sorted
}
