//! What a broker says, taken apart; anything that it may not say fails the test: reserved flags, reason codes of other
//! packets, properties where they do not belong, integers that are longer than they need to be.

use super::wire::{Message, PUBACK, PUBCOMP, PUBREC, PUBREL, Props, USER, Value, Version};

/// A packet from the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    Connack(Connack),
    Message(Message),
    Ack(Ack),
    Suback(Codes),
    Unsuback(Codes),
    Pong,
    Goodbye { code: u8, props: Props },
    Auth,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Connack {
    pub(crate) present: bool,
    pub(crate) code: u8,
    pub(crate) props: Props,
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP, told apart by the first byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ack {
    pub(crate) first: u8,
    pub(crate) id: u16,
    pub(crate) code: u8,
    pub(crate) props: Props,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Codes {
    pub(crate) id: u16,
    pub(crate) codes: Vec<u8>,
    pub(crate) props: Props,
}

/// The first whole packet in the buffer, taken out of it, and its length.
pub(crate) fn take(version: Version, buffer: &mut Vec<u8>) -> Option<(Heard, usize)> {
    let mut length = 0_usize;
    for at in 1..5 {
        let byte = *buffer.get(at)?;
        length |= usize::from(byte & 0x7f) << (7 * (at - 1));
        if byte & 0x80 == 0 {
            assert!(byte > 0 || at == 1, "a length that is not the shortest");
            let end = at + 1 + length;
            if buffer.len() < end {
                return None;
            }
            let packet: Vec<u8> = buffer.drain(..end).collect();
            return Some((read(version, packet[0], &packet[at + 1..]), end));
        }
    }
    panic!("a remaining length of five bytes");
}

fn read(version: Version, first: u8, body: &[u8]) -> Heard {
    let mut reader = Reader {
        version,
        rest: body,
    };
    let heard = match first {
        0x20 => {
            let flags = reader.byte();
            assert!(flags < 2, "reserved flags of CONNACK: {flags:#x}");
            Heard::Connack(Connack {
                present: flags == 1,
                code: reader.byte(),
                props: reader.props(),
            })
        }
        0x30..=0x3f => Heard::Message(reader.message(first)),
        PUBACK | PUBREC | PUBREL | PUBCOMP => Heard::Ack(Ack {
            first,
            id: reader.short(),
            code: reader.code(),
            props: reader.props_if_any(),
        }),
        0x90 => Heard::Suback(reader.codes()),
        0xb0 => Heard::Unsuback(reader.codes()),
        0xd0 => Heard::Pong,
        0xe0 if version == Version::V5 => Heard::Goodbye {
            code: reader.code(),
            props: reader.props_if_any(),
        },
        0xf0 if version == Version::V5 => {
            reader.rest = &[];
            Heard::Auth
        }
        _ => panic!("a broker does not send {first:#x}"),
    };
    assert!(reader.rest.is_empty(), "bytes behind {heard:?}");
    check(version, &heard);
    heard
}

const CONNACK_CODES: &[u8] = &[
    0, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97,
    0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f,
];
const PUBLISH_CODES: &[u8] = &[0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
const RELEASE_CODES: &[u8] = &[0, 0x92];
const SUBSCRIBE_CODES: &[u8] = &[
    0, 1, 2, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2,
];
const UNSUBSCRIBE_CODES: &[u8] = &[0, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91];
/// Those that a broker may use.
const DISCONNECT_CODES: &[u8] = &[
    0, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95,
    0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2,
];

const CONNACK_PROPS: &[u8] = &[
    0x11, 0x12, 0x13, 0x15, 0x16, 0x1a, 0x1c, 0x1f, 0x21, 0x22, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29,
    0x2a,
];
const PUBLISH_PROPS: &[u8] = &[0x01, 0x02, 0x03, 0x08, 0x09, 0x0b, 0x23, 0x26];
const REASON_PROPS: &[u8] = &[0x1f, 0x26];
const DISCONNECT_PROPS: &[u8] = &[0x1c, 0x1f, 0x26];
const SUBSCRIPTION_ID: u8 = 0x0b;

/// The codes and properties that the packet may have.
fn check(version: Version, heard: &Heard) {
    let old = version == Version::V3;
    let (codes, allowed, props): (&[u8], &[u8], &[(u8, Value)]) = match heard {
        Heard::Connack(connack) if old => (&[connack.code], &[0, 1, 2, 3, 4, 5], &[]),
        Heard::Connack(connack) => (&[connack.code], CONNACK_CODES, &connack.props),
        Heard::Ack(ack) if [PUBACK, PUBREC].contains(&ack.first) => {
            (&[ack.code], PUBLISH_CODES, &ack.props)
        }
        Heard::Ack(ack) => (&[ack.code], RELEASE_CODES, &ack.props),
        Heard::Suback(suback) if old => (&suback.codes, &[0, 1, 2, 0x80], &[]),
        Heard::Suback(suback) => (&suback.codes, SUBSCRIBE_CODES, &suback.props),
        Heard::Unsuback(unsuback) => (&unsuback.codes, UNSUBSCRIBE_CODES, &unsuback.props),
        Heard::Goodbye { code, props } => (&[*code], DISCONNECT_CODES, props),
        Heard::Message(message) => (&[], &[], &message.props),
        Heard::Pong | Heard::Auth => (&[], &[], &[]),
    };
    let known = codes.iter().all(|code| allowed.contains(code));
    assert!(known, "a code that is not this packet's: {heard:02x?}");
    let allowed = match heard {
        Heard::Connack(_) => CONNACK_PROPS,
        Heard::Message(_) => PUBLISH_PROPS,
        Heard::Goodbye { .. } => DISCONNECT_PROPS,
        _ => REASON_PROPS,
    };
    for (at, (id, _)) in props.iter().enumerate() {
        assert!(
            allowed.contains(id),
            "a property of another packet: {heard:02x?}"
        );
        let twice = props[..at].iter().any(|(other, _)| other == id);
        let often = [USER, SUBSCRIPTION_ID].contains(id);
        assert!(often || !twice, "a property stands twice: {heard:02x?}");
    }
    if let Heard::Message(message) = heard {
        assert!(!message.dup || message.qos > 0, "DUP at QoS 0: {heard:?}");
        assert!(!message.topic.contains(['+', '#', '\0']), "{heard:?}");
    }
}

struct Reader<'a> {
    version: Version,
    rest: &'a [u8],
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> Vec<u8> {
        let (taken, rest) = self.rest.split_at(count);
        self.rest = rest;
        taken.to_vec()
    }

    fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn short(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    fn long(&mut self) -> u32 {
        u32::from(self.short()) << 16 | u32::from(self.short())
    }

    fn variable(&mut self) -> u32 {
        let mut value = 0;
        for at in 0..4 {
            let byte = self.byte();
            value |= u32::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                assert!(byte > 0 || at == 0, "an integer that is not the shortest");
                return value;
            }
        }
        panic!("a variable byte integer of five bytes");
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = self.short();
        self.take(usize::from(length))
    }

    fn text(&mut self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }

    /// A code that is left out is 0.
    fn code(&mut self) -> u8 {
        if self.rest.is_empty() { 0 } else { self.byte() }
    }

    fn props_if_any(&mut self) -> Props {
        if self.rest.is_empty() {
            return Vec::new();
        }
        self.props()
    }

    fn props(&mut self) -> Props {
        if self.version == Version::V3 {
            return Vec::new();
        }
        let length = usize::try_from(self.variable()).unwrap();
        let section = self.take(length);
        let mut reader = Reader {
            version: self.version,
            rest: &section,
        };
        let mut props = Vec::new();
        while !reader.rest.is_empty() {
            let id = reader.byte();
            props.push((id, reader.value(id)));
        }
        props
    }

    fn value(&mut self, id: u8) -> Value {
        match id {
            0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28..=0x2a => Value::Byte(self.byte()),
            0x13 | 0x21..=0x23 => Value::Short(self.short()),
            0x02 | 0x11 | 0x18 | 0x27 => Value::Long(self.long()),
            0x0b => Value::Variable(self.variable()),
            0x03 | 0x08 | 0x09 | 0x12 | 0x15 | 0x16 | 0x1a | 0x1c | 0x1f => {
                Value::Bytes(self.bytes())
            }
            0x26 => Value::Pair(self.text(), self.text()),
            _ => panic!("there is no property {id:#x}"),
        }
    }

    fn message(&mut self, first: u8) -> Message {
        let qos = (first >> 1) & 3;
        assert!(qos < 3, "QoS 3");
        let topic = self.text();
        let id = if qos > 0 { self.short() } else { 0 };
        assert_eq!(id > 0, qos > 0, "the packet identifier of {topic}");
        let props = self.props();
        Message {
            topic,
            payload: self.take(self.rest.len()),
            qos,
            retain: first & 1 != 0,
            dup: first & 8 != 0,
            id,
            props,
        }
    }

    fn codes(&mut self) -> Codes {
        let id = self.short();
        let props = self.props();
        Codes {
            id,
            codes: self.take(self.rest.len()),
            props,
        }
    }
}

#[test]
fn what_a_broker_may_not_say_is_noticed() {
    let bad: [(Version, &[u8]); 20] = [
        (Version::V3, &[0x20, 2, 2, 0]),    // a reserved flag of CONNACK
        (Version::V3, &[0x20, 2, 0, 6]),    // a code that does not exist
        (Version::V5, &[0x20, 3, 0, 1, 0]), // a code of the other version
        (Version::V5, &[0x20, 2, 0, 0]),    // no property length
        (Version::V5, &[0x20, 5, 0, 0, 2, 0x01, 1]), // a property of PUBLISH
        (Version::V3, &[0x21, 2, 0, 0]),    // a reserved flag of the header
        (Version::V3, &[0x20, 0x82, 0, 0, 0]), // a length that is not the shortest
        (Version::V3, &[0x36, 5, 0, 1, b'a', 0, 1]), // QoS 3
        (Version::V3, &[0x32, 5, 0, 1, b'a', 0, 0]), // identifier 0
        (Version::V3, &[0x38, 3, 0, 1, b'a']), // DUP at QoS 0
        (Version::V3, &[0x30, 3, 0, 1, b'#']), // a wildcard
        (Version::V5, &[0x30, 8, 0, 1, b'a', 4, 0x01, 1, 0x01, 1]), // a property twice
        (Version::V5, &[0x40, 3, 0, 1, 0x92]), // a code of PUBCOMP
        (Version::V5, &[0x62, 3, 0, 1, 0x91]), // a code of PUBREC
        (Version::V3, &[0x60, 2, 0, 1]),    // PUBREL without its flag
        (Version::V3, &[0x90, 3, 0, 1, 0x87]), // a code of MQTT 5
        (Version::V5, &[0xb0, 4, 0, 1, 0, 1]), // a code of SUBACK
        (Version::V3, &[0xe0, 0]),          // MQTT 3.1.1 brokers say no good-bye
        (Version::V5, &[0xe0, 7, 0x8b, 5, 0x11, 0, 0, 0, 1]), // a session expiry
        (Version::V5, &[0xe0, 1, 4]),       // a client's code
    ];
    for (version, bytes) in bad {
        let heard = std::panic::catch_unwind(|| take(version, &mut bytes.to_vec()));
        assert!(heard.is_err(), "{bytes:02x?}: {heard:?}");
    }
    let mut good = vec![0x20, 3, 0, 0, 0, 0xd0, 0];
    let connack = take(Version::V5, &mut good);
    assert!(matches!(connack, Some((Heard::Connack(_), 5))));
    assert_eq!(take(Version::V5, &mut good), Some((Heard::Pong, 2)));
    assert_eq!(take(Version::V5, &mut good), None);
}
