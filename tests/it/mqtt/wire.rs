//! The packets of both versions by hand: what a client sends, right or wrong, and what it hears.

/// The protocol's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V3,
    V5,
}

/// For tests that hold in both.
pub(crate) const BOTH: [Version; 2] = [Version::V3, Version::V5];

/// A property's value; texts are bytes, so that they can be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Byte(u8),
    Short(u16),
    Long(u32),
    Variable(u32),
    Bytes(Vec<u8>),
    Pair(String, String),
}

/// Properties in their order.
pub(crate) type Props = Vec<(u8, Value)>;

pub(crate) const PAYLOAD_FORMAT: u8 = 0x01;
pub(crate) const MESSAGE_EXPIRY: u8 = 0x02;
pub(crate) const CONTENT_TYPE: u8 = 0x03;
pub(crate) const RESPONSE_TOPIC: u8 = 0x08;
pub(crate) const CORRELATION_DATA: u8 = 0x09;
pub(crate) const SUBSCRIPTION_ID: u8 = 0x0b;
pub(crate) const SESSION_EXPIRY: u8 = 0x11;
pub(crate) const ASSIGNED_ID: u8 = 0x12;
pub(crate) const SERVER_KEEP_ALIVE: u8 = 0x13;
pub(crate) const AUTH_METHOD: u8 = 0x15;
pub(crate) const REQUEST_PROBLEM: u8 = 0x17;
pub(crate) const WILL_DELAY: u8 = 0x18;
pub(crate) const REQUEST_RESPONSE: u8 = 0x19;
pub(crate) const RESPONSE_INFORMATION: u8 = 0x1a;
pub(crate) const REASON_STRING: u8 = 0x1f;
pub(crate) const RECEIVE_MAX: u8 = 0x21;
pub(crate) const ALIAS_MAX: u8 = 0x22;
pub(crate) const TOPIC_ALIAS: u8 = 0x23;
pub(crate) const MAXIMUM_QOS: u8 = 0x24;
pub(crate) const RETAIN_AVAILABLE: u8 = 0x25;
pub(crate) const USER: u8 = 0x26;
pub(crate) const PACKET_MAX: u8 = 0x27;
pub(crate) const WILDCARDS_AVAILABLE: u8 = 0x28;
pub(crate) const IDS_AVAILABLE: u8 = 0x29;
pub(crate) const SHARED_AVAILABLE: u8 = 0x2a;

/// A text as a property.
pub(crate) fn text(value: &str) -> Value {
    Value::Bytes(value.as_bytes().to_vec())
}

/// A user property.
pub(crate) fn pair(name: &str, value: &str) -> (u8, Value) {
    (USER, Value::Pair(name.to_owned(), value.to_owned()))
}

/// The value of a property that stands at most once.
pub(crate) fn property(props: &Props, wanted: u8) -> Option<&Value> {
    props.iter().find(|(id, _)| *id == wanted).map(|(_, v)| v)
}

/// A CONNECT. The fields that MQTT 3.1.1 has not are left out there.
#[derive(Debug, Clone)]
pub(crate) struct Connect {
    pub(crate) version: Version,
    pub(crate) client_id: String,
    pub(crate) clean: bool,
    pub(crate) keep_alive_s: u16,
    pub(crate) props: Props,
    pub(crate) will: Option<Message>,
}

impl Connect {
    /// Clean start, session expiry 0, no will.
    pub(crate) fn new(version: Version, client_id: &str) -> Self {
        Self {
            version,
            client_id: client_id.to_owned(),
            clean: true,
            keep_alive_s: 60,
            props: Vec::new(),
            will: None,
        }
    }

    /// A session that outlives its connection: no clean start, and ten minutes in MQTT 5.
    pub(crate) fn lasting(version: Version, client_id: &str) -> Self {
        let connect = Self {
            clean: false,
            ..Self::new(version, client_id)
        };
        connect.with(SESSION_EXPIRY, Value::Long(600))
    }

    pub(crate) fn with(mut self, id: u8, value: Value) -> Self {
        self.props.push((id, value));
        self
    }

    pub(crate) fn will(self, will: Message) -> Self {
        Self {
            will: Some(will),
            ..self
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut body = Vec::new();
        string(&mut body, b"MQTT");
        let mut flags = u8::from(self.clean) << 1;
        if let Some(will) = &self.will {
            flags |= 4 | (will.qos << 3) | (u8::from(will.retain) << 5);
        }
        let level = match self.version {
            Version::V3 => 4,
            Version::V5 => 5,
        };
        body.extend([level, flags]);
        body.extend(self.keep_alive_s.to_be_bytes());
        if self.version == Version::V5 {
            properties(&mut body, &self.props);
        }
        string(&mut body, self.client_id.as_bytes());
        if let Some(will) = &self.will {
            if self.version == Version::V5 {
                properties(&mut body, &will.props);
            }
            string(&mut body, will.topic.as_bytes());
            string(&mut body, &will.payload);
        }
        packet(0x10, &body)
    }
}

/// A PUBLISH in either direction, or a will.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "the packet's own flags")]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) dup: bool,
    pub(crate) id: u16,
    pub(crate) props: Props,
}

impl Message {
    /// A message of `QoS` 0.
    pub(crate) fn new(topic: &str, payload: impl AsRef<[u8]>) -> Self {
        Self {
            topic: topic.to_owned(),
            payload: payload.as_ref().to_vec(),
            ..Self::default()
        }
    }

    pub(crate) fn qos(self, qos: u8) -> Self {
        Self { qos, ..self }
    }

    pub(crate) fn id(self, id: u16) -> Self {
        Self { id, ..self }
    }

    pub(crate) fn retained(self) -> Self {
        Self {
            retain: true,
            ..self
        }
    }

    pub(crate) fn again(self) -> Self {
        Self { dup: true, ..self }
    }

    pub(crate) fn with(mut self, id: u8, value: Value) -> Self {
        self.props.push((id, value));
        self
    }

    /// The payload as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.payload).into_owned()
    }

    pub(crate) fn bytes(&self, version: Version) -> Vec<u8> {
        let mut body = Vec::new();
        string(&mut body, self.topic.as_bytes());
        if self.qos > 0 {
            body.extend(self.id.to_be_bytes());
        }
        if version == Version::V5 {
            properties(&mut body, &self.props);
        }
        body.extend(&self.payload);
        let flags = (u8::from(self.dup) << 3) | (self.qos << 1) | u8::from(self.retain);
        packet(0x30 | flags, &body)
    }
}

/// The type and flags of the acknowledgements.
pub(crate) const PUBACK: u8 = 0x40;
pub(crate) const PUBREC: u8 = 0x50;
pub(crate) const PUBREL: u8 = 0x62;
pub(crate) const PUBCOMP: u8 = 0x70;

pub(crate) const PINGREQ: [u8; 2] = [0xc0, 0];

/// PUBACK, PUBREC, PUBREL or PUBCOMP; a code is MQTT 5's.
pub(crate) fn ack(first: u8, id: u16, code: u8) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if code > 0 {
        body.push(code);
    }
    packet(first, &body)
}

/// SUBSCRIBE; the options are the whole byte.
pub(crate) fn subscribe(
    version: Version,
    id: u16,
    filters: &[(&str, u8)],
    props: &Props,
) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if version == Version::V5 {
        properties(&mut body, props);
    }
    for (filter, options) in filters {
        string(&mut body, filter.as_bytes());
        body.push(*options);
    }
    packet(0x82, &body)
}

pub(crate) fn unsubscribe(version: Version, id: u16, filters: &[&str]) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if version == Version::V5 {
        body.push(0);
    }
    for filter in filters {
        string(&mut body, filter.as_bytes());
    }
    packet(0xa2, &body)
}

pub(crate) fn disconnect(version: Version, code: u8, props: &Props) -> Vec<u8> {
    if version == Version::V3 || (code == 0 && props.is_empty()) {
        return vec![0xe0, 0];
    }
    let mut body = vec![code];
    properties(&mut body, props);
    packet(0xe0, &body)
}

/// Any packet: first byte, length, body.
pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    variable(&mut out, u32::try_from(body.len()).unwrap());
    out.extend(body);
    out
}

pub(crate) fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(u16::try_from(bytes.len()).unwrap().to_be_bytes());
    out.extend(bytes);
}

fn variable(out: &mut Vec<u8>, mut value: u32) {
    loop {
        let digit = u8::try_from(value % 128).unwrap();
        value /= 128;
        if value == 0 {
            out.push(digit);
            return;
        }
        out.push(digit | 0x80);
    }
}

pub(crate) fn properties(out: &mut Vec<u8>, props: &Props) {
    let mut section = Vec::new();
    for (id, value) in props {
        section.push(*id);
        match value {
            Value::Byte(byte) => section.push(*byte),
            Value::Short(short) => section.extend(short.to_be_bytes()),
            Value::Long(long) => section.extend(long.to_be_bytes()),
            Value::Variable(number) => variable(&mut section, *number),
            Value::Bytes(bytes) => string(&mut section, bytes),
            Value::Pair(name, value) => {
                string(&mut section, name.as_bytes());
                string(&mut section, value.as_bytes());
            }
        }
    }
    variable(out, u32::try_from(section.len()).unwrap());
    out.extend(section);
}
