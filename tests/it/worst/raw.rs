//! A client that sends whatever bytes it likes, and what it takes to make them. Nothing here is a library's: a library
//! would refuse to write most of it.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use sensegate::{broker::auth, domain::Identity};
use socket2::{Domain, Socket, Type};

use crate::{device::KEY, support::DEADLINE};

/// Where hostile clients come from: another address than the clean ones, as it would be.
pub(super) const HOSTILE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Where clean clients come from.
pub(super) const CLEAN: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);

/// A connection without manners.
#[derive(Debug)]
pub(super) struct Raw {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// A packet as it came.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) first: u8,
    pub(super) body: Vec<u8>,
}

impl Raw {
    /// Connects from the hostile address.
    pub(super) fn dial(address: SocketAddr) -> Self {
        Self::dial_from(HOSTILE, address).unwrap()
    }

    pub(super) fn dial_from(source: Ipv4Addr, address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((source, 0)).into())?;
        socket.connect(&address.into())?;
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        Ok(Self {
            stream,
            unread: Vec::new(),
        })
    }

    /// Goes on with a connection that spoke something else before.
    pub(super) fn over(stream: TcpStream) -> Self {
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    /// Reads on, whatever it is, until the broker hangs up.
    pub(super) fn drain(&mut self) {
        let mut bytes = [0; 4096];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    panic!("the broker does not hang up")
                }
                Err(_) => return,
            }
        }
    }

    /// A second hand on the same connection, to send while the first one reads.
    pub(super) fn other_hand(&self) -> Self {
        Self {
            stream: self.stream.try_clone().unwrap(),
            unread: Vec::new(),
        }
    }

    /// Sends; if the broker has hung up already, what it says on its way out is what counts.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        drop(self.stream.write_all(bytes));
    }

    /// Sends until the broker does not take any more for `patience`, or hangs up; the bytes that it took.
    pub(super) fn flood(&mut self, bytes: &[u8], most: usize, patience: Duration) -> usize {
        self.stream.set_write_timeout(Some(patience)).unwrap();
        let mut taken = 0;
        while taken < most {
            match self.stream.write(bytes) {
                Ok(count) if count > 0 => taken += count,
                _ => break,
            }
        }
        taken
    }

    /// Whether the broker still takes bytes.
    pub(super) fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The next packet; `None` once the broker has hung up.
    pub(super) fn receive(&mut self) -> Option<Packet> {
        loop {
            if let Some((packet, used)) = cut(&self.unread) {
                self.unread.drain(..used);
                return Some(packet);
            }
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes) {
                Ok(0) => return None,
                Ok(count) => self.unread.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    panic!("the broker neither answers nor hangs up")
                }
                Err(_) => return None,
            }
        }
    }

    /// Reads on until the broker hangs up: the reason code of its last word, if it had one.
    pub(super) fn last_word(&mut self) -> Option<u8> {
        let mut word = None;
        while let Some(packet) = self.receive() {
            word = match packet.first {
                0xe0 => Some(packet.body.first().copied().unwrap_or(0)),
                0x20 => packet.body.get(1).copied(),
                _ => None,
            };
        }
        word
    }

    /// The code of the CONNACK that must come next.
    pub(super) fn connack(&mut self) -> u8 {
        let packet = self.receive().expect("an answer to CONNECT");
        assert_eq!(packet.first, 0x20, "{packet:?}");
        packet.body[1]
    }

    /// The code of the SUBACK that must come next, for one filter.
    pub(super) fn suback(&mut self) -> u8 {
        let packet = self.receive().expect("an answer to SUBSCRIBE");
        assert_eq!(packet.first, 0x90, "{packet:?}");
        *packet.body.last().unwrap()
    }

    /// Whether PINGREQ is answered next.
    pub(super) fn answers_ping(&mut self) -> bool {
        self.send(&[0xc0, 0]);
        self.receive().is_some_and(|packet| packet.first == 0xd0)
    }

    /// Vanishes with a reset, which leaves no port behind on either side.
    pub(super) fn reset(self) {
        socket2::SockRef::from(&self.stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }

    /// Takes next to nothing from now on.
    pub(super) fn shrink_window(&self) {
        socket2::SockRef::from(&self.stream)
            .set_recv_buffer_size(2048)
            .unwrap();
    }
}

fn cut(bytes: &[u8]) -> Option<(Packet, usize)> {
    let (&first, rest) = bytes.split_first()?;
    let mut length = 0;
    for (at, &byte) in rest.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            let body = rest.get(at + 1..at + 1 + length)?;
            let packet = Packet {
                first,
                body: body.to_vec(),
            };
            return Some((packet, at + 2 + length));
        }
    }
    None
}

/// A variable byte integer.
pub(super) fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).unwrap();
        value >>= 7;
        bytes.push(if value == 0 { low } else { low | 0x80 });
        if value == 0 {
            return bytes;
        }
    }
}

/// A packet with an honest length.
pub(super) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    [&[first], &varint(body.len())[..], body].concat()
}

/// Bytes behind their two-byte length.
pub(super) fn text(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    let length = u16::try_from(bytes.len()).unwrap();
    [&length.to_be_bytes(), bytes].concat()
}

/// A property section.
pub(super) fn properties(bytes: &[u8]) -> Vec<u8> {
    [&varint(bytes.len())[..], bytes].concat()
}

/// So many user properties.
pub(super) fn user_properties(count: usize) -> Vec<u8> {
    [&[0x26][..], &text("k"), &text("v")].concat().repeat(count)
}

/// An MQTT 5 PUBLISH; `id` 0 is left out at `QoS` 0 only.
pub(super) fn publish5(qos: u8, topic: impl AsRef<[u8]>, id: u16, props: &[u8]) -> Vec<u8> {
    let mut body = text(topic);
    if qos > 0 {
        body.extend(id.to_be_bytes());
    }
    body.extend(properties(props));
    body.extend(br#"{"battery":87}"#);
    packet(0x30 | (qos << 1), &body)
}

/// An MQTT 3.1.1 PUBLISH.
pub(super) fn publish3(qos: u8, topic: impl AsRef<[u8]>, id: u16) -> Vec<u8> {
    let mut body = text(topic);
    if qos > 0 {
        body.extend(id.to_be_bytes());
    }
    body.extend(br#"{"battery":87}"#);
    packet(0x30 | (qos << 1), &body)
}

/// An MQTT 5 SUBSCRIBE of one filter.
pub(super) fn subscribe5(id: u16, filter: impl AsRef<[u8]>, options: u8) -> Vec<u8> {
    let body = [&id.to_be_bytes(), &[0][..], &text(filter), &[options]].concat();
    packet(0x82, &body)
}

/// An MQTT 3.1.1 SUBSCRIBE of one filter.
pub(super) fn subscribe3(id: u16, filter: impl AsRef<[u8]>, qos: u8) -> Vec<u8> {
    packet(
        0x82,
        &[&id.to_be_bytes(), &text(filter)[..], &[qos]].concat(),
    )
}

/// A will.
#[derive(Debug, Clone, Default)]
pub(super) struct Will {
    pub(super) properties: Vec<u8>,
    pub(super) topic: Vec<u8>,
    pub(super) payload: Vec<u8>,
    /// Will QoS and retain, at their places among CONNECT's flags.
    pub(super) flags: u8,
}

/// A CONNECT that may say anything.
#[derive(Debug, Clone)]
pub(super) struct Connect {
    pub(super) level: u8,
    /// Further flags, set beside those that follow from the fields.
    pub(super) flags: u8,
    pub(super) clean: bool,
    pub(super) keep_alive_s: u16,
    pub(super) properties: Vec<u8>,
    pub(super) client_id: Vec<u8>,
    pub(super) will: Option<Will>,
    pub(super) username: Vec<u8>,
    pub(super) password: Vec<u8>,
}

/// MQTT 5.
pub(super) const V5: u8 = 5;
/// MQTT 3.1.1.
pub(super) const V3: u8 = 4;

impl Connect {
    /// As a manhole cover with the right password would.
    pub(super) fn of(level: u8, device: &str) -> Self {
        Self::of_class(level, "manhole_cover", device)
    }

    /// The same for a device of another class.
    pub(super) fn of_class(level: u8, class: &str, device: &str) -> Self {
        let username = format!("{class}/{device}");
        let identity = Identity::parse(&username).unwrap();
        Self {
            level,
            flags: 0,
            clean: true,
            keep_alive_s: 60,
            properties: Vec::new(),
            client_id: device.into(),
            will: None,
            password: auth::token(KEY, &identity).into(),
            username: username.into(),
        }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let section = |bytes: &[u8]| match self.level {
            V5 => properties(bytes),
            _ => Vec::new(),
        };
        let mut flags = 0xc0 | self.flags | if self.clean { 2 } else { 0 };
        let mut tail = text(&self.client_id);
        if let Some(will) = &self.will {
            flags |= 4 | will.flags;
            tail.extend(section(&will.properties));
            tail.extend(text(&will.topic));
            tail.extend(text(&will.payload));
        }
        tail.extend(text(&self.username));
        tail.extend(text(&self.password));
        let mut body = text("MQTT");
        body.extend([self.level, flags]);
        body.extend(self.keep_alive_s.to_be_bytes());
        body.extend(section(&self.properties));
        body.extend(tail);
        packet(0x10, &body)
    }
}

/// The topic on which a manhole cover reports.
pub(super) fn up(device: &str) -> String {
    format!("v1/manhole_cover/{device}/up")
}

/// The topic on which it hears its commands.
pub(super) fn down(device: &str) -> String {
    format!("v1/manhole_cover/{device}/down")
}
