//! The bare minimum that keeps the first promise, to measure the gateway against: one thread, one epoll, one file.
//! Payloads are appended as they come; each round of the loop is one group: write, fdatasync, then every PUBACK owed.
//! No authentication, no topics, no classes, no delivery; MQTT just enough for a load generator.
//!
//! ```text
//! epoll ─▶ read all that is ready ─▶ append payloads ─▶ fdatasync ─▶ PUBACKs, one write per connection ─▶ epoll
//! ```

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};

use super::client::remaining_length;

const LISTENER: Token = Token(usize::MAX);
const EVENTS_MAX: usize = 4096;
const SCRATCH_BYTES: usize = 64 * 1024;
/// Longest time between two looks at the order to stop.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A bare server, bound and not yet running.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    file: File,
}

/// What a run of it did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Served {
    /// Publishes acknowledged.
    pub publishes: u64,
    /// Groups synced.
    pub groups: u64,
}

struct Peer {
    stream: TcpStream,
    partial: Vec<u8>,
    owed: Vec<u8>,
    v5: bool,
}

impl Server {
    /// Binds to an address and appends to a file.
    ///
    /// # Errors
    /// The port is taken.
    pub fn bind(address: SocketAddr, file: File) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        Ok(Self { listener, file })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The socket is gone.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until told to stop.
    ///
    /// # Errors
    /// epoll or the file fails.
    pub fn run(mut self, stop: &AtomicBool) -> io::Result<Served> {
        let mut poll = Poll::new()?;
        poll.registry()
            .register(&mut self.listener, LISTENER, Interest::READABLE)?;
        let mut events = Events::with_capacity(EVENTS_MAX);
        let mut round = Round {
            peers: Vec::new(),
            free: Vec::new(),
            touched: Vec::new(),
            group: Vec::new(),
            scratch: vec![0; SCRATCH_BYTES],
            served: Served::default(),
        };
        while !stop.load(Ordering::Relaxed) {
            match poll.poll(&mut events, Some(LOOK_EVERY)) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            for event in &events {
                match event.token() {
                    LISTENER => round.accept(&self.listener, poll.registry()),
                    Token(place) => round.read(place),
                }
            }
            if !round.group.is_empty() {
                self.file.write_all(&round.group)?;
                self.file.sync_data()?;
                round.group.clear();
                round.served.groups += 1;
            }
            round.answer();
        }
        Ok(round.served)
    }
}

struct Round {
    peers: Vec<Option<Peer>>,
    free: Vec<usize>,
    /// Peers with something owed to them.
    touched: Vec<usize>,
    group: Vec<u8>,
    scratch: Vec<u8>,
    served: Served,
}

impl Round {
    fn accept(&mut self, listener: &TcpListener, registry: &mio::Registry) {
        while let Ok((mut stream, _)) = listener.accept() {
            let place = self.free.pop().unwrap_or(self.peers.len());
            let interest = Interest::READABLE | Interest::WRITABLE;
            let ready = stream
                .set_nodelay(true)
                .and_then(|()| registry.register(&mut stream, Token(place), interest));
            if ready.is_err() {
                self.free.push(place);
                continue;
            }
            if place == self.peers.len() {
                self.peers.push(None);
            }
            if let Some(slot) = self.peers.get_mut(place) {
                *slot = Some(Peer {
                    stream,
                    partial: Vec::new(),
                    owed: Vec::new(),
                    v5: false,
                });
            }
        }
    }

    fn read(&mut self, place: usize) {
        let Some(Some(peer)) = self.peers.get_mut(place) else {
            return;
        };
        let before = peer.owed.len();
        let alive = peer.read(&mut self.scratch, &mut self.group, &mut self.served);
        if peer.owed.len() > before || !peer.owed.is_empty() {
            self.touched.push(place);
        }
        if !alive {
            self.drop_peer(place);
        }
    }

    fn answer(&mut self) {
        for place in std::mem::take(&mut self.touched) {
            let Some(Some(peer)) = self.peers.get_mut(place) else {
                continue;
            };
            match peer.stream.write(&peer.owed) {
                Ok(written) => {
                    peer.owed.drain(..written);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => self.drop_peer(place),
            }
        }
    }

    fn drop_peer(&mut self, place: usize) {
        if self.peers.get_mut(place).and_then(Option::take).is_some() {
            self.free.push(place);
        }
    }
}

impl Peer {
    /// Reads what is there; false once the connection has ended.
    fn read(&mut self, scratch: &mut [u8], group: &mut Vec<u8>, served: &mut Served) -> bool {
        loop {
            let read = match self.stream.read(scratch) {
                Ok(0) => return false,
                Ok(read) => read,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return true,
                Err(_) => return false,
            };
            let mut joined = std::mem::take(&mut self.partial);
            let fresh = scratch.get(..read).unwrap_or_default();
            let mut rest = if joined.is_empty() {
                fresh
            } else {
                joined.extend_from_slice(fresh);
                &joined[..]
            };
            while let Some((frame, header)) = whole(rest) {
                rest = rest.get(frame.len()..).unwrap_or_default();
                self.packet(frame, header, group, served);
            }
            self.partial = rest.to_vec();
            if read < scratch.len() {
                return true;
            }
        }
    }

    fn packet(&mut self, frame: &[u8], header: usize, group: &mut Vec<u8>, served: &mut Served) {
        let first = frame.first().copied().unwrap_or(0);
        let body = frame.get(header..).unwrap_or_default();
        match first >> 4 {
            1 => {
                self.v5 = body.get(6) == Some(&5);
                let answer: &[u8] = if self.v5 {
                    &[0x20, 3, 0, 0, 0]
                } else {
                    &[0x20, 2, 0, 0]
                };
                self.owed.extend_from_slice(answer);
            }
            3 => {
                if let Some((id, payload)) = self.published(first, body) {
                    group.extend_from_slice(payload);
                    self.owed.extend_from_slice(&[0x40, 2, id[0], id[1]]);
                    served.publishes += 1;
                }
            }
            8 => {
                let [high, low] = body.first_chunk().copied().unwrap_or_default();
                let answer: &[u8] = if self.v5 {
                    &[0x90, 4, high, low, 0, 1]
                } else {
                    &[0x90, 3, high, low, 1]
                };
                self.owed.extend_from_slice(answer);
            }
            12 => self.owed.extend_from_slice(&[0xD0, 0]),
            _ => {}
        }
    }

    /// Packet id and payload of a publish at `QoS` 1.
    fn published<'a>(&self, first: u8, body: &'a [u8]) -> Option<([u8; 2], &'a [u8])> {
        if first & 0b0110 != 0b0010 {
            return None;
        }
        let topic_len = usize::from(u16::from_be_bytes(*body.first_chunk()?));
        let rest = body.get(2 + topic_len..)?;
        let id = *rest.first_chunk()?;
        let properties = if self.v5 {
            1 + usize::from(*rest.get(2)?)
        } else {
            0
        };
        Some((id, rest.get(2 + properties..)?))
    }
}

/// The first packet, if it is all there, and the length of its fixed header. What is no MQTT never becomes whole.
fn whole(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let (remaining, header) = remaining_length(bytes).ok()??;
    Some((bytes.get(..header + remaining)?, header))
}
