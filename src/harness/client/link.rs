//! Connections by number. Each keeps only what is on its way: bytes not yet written, and the beginning of a packet
//! that has not fully arrived.
//!
//! ```text
//! Down ──open──▶ Greeting (TCP and CONNECT under way) ──CONNACK 0──▶ Up
//!   ▲───────────────── close, or the peer or the network ended it ────┘
//! ```

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use mio::{Interest, Registry, Token, net::TcpStream};
use socket2::{Domain, Protocol, Socket, Type};

use super::{
    DISCONNECT,
    carrier::{Carrier, Tls},
    wire::Version,
};

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkStage {
    /// No socket.
    Down,
    /// Connecting, or waiting for CONNACK.
    Greeting,
    /// Welcome.
    Up,
}

/// How a connection is opened.
#[derive(Debug, Clone, Copy)]
pub struct Opening<'a> {
    /// The gateway.
    pub gateway: SocketAddr,
    /// Own address to bind to; none: the system's choice.
    pub source: Option<IpAddr>,
    /// The protocol spoken.
    pub version: Version,
    /// The encoded CONNECT.
    pub connect: &'a [u8],
    /// The client's side of TLS; none: plain TCP.
    pub tls: Option<&'a Tls>,
}

#[derive(Debug)]
pub(super) struct Link {
    pub(super) carrier: Option<Carrier>,
    pub(super) stage: LinkStage,
    pub(super) version: Version,
    pub(super) out: Vec<u8>,
    written: usize,
    pub(super) partial: Vec<u8>,
    dirty: bool,
}

impl Link {
    const fn new() -> Self {
        Self {
            carrier: None,
            stage: LinkStage::Down,
            version: Version::V3,
            out: Vec::new(),
            written: 0,
            partial: Vec::new(),
            dirty: false,
        }
    }

    pub(super) fn read(&mut self, scratch: &mut [u8]) -> io::Result<usize> {
        match &mut self.carrier {
            None => Err(io::ErrorKind::WouldBlock.into()),
            Some(carrier) => carrier.read(scratch),
        }
    }

    /// Whether a read that did not fill its buffer has taken everything.
    pub(super) const fn is_drained_by_a_short_read(&self) -> bool {
        matches!(self.carrier, Some(Carrier::Plain(_)) | None)
    }

    /// Writes what waits, as far as the socket takes it.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let Some(carrier) = &mut self.carrier else {
            return Ok(());
        };
        while let Some(rest) = self.out.get(self.written..).filter(|rest| !rest.is_empty()) {
            match carrier.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => self.written += n,
                Err(e) if would_block(&e) => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.out.clear();
        self.written = 0;
        match carrier.flush() {
            Err(e) if would_block(&e) => Ok(()),
            flushed => flushed,
        }
    }
}

/// Whether an error of a socket only says: not now.
pub(super) fn would_block(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected
    )
}

/// All connections of an engine, by number.
#[derive(Debug)]
pub struct Links {
    registry: Registry,
    links: Vec<Link>,
    dirty: Vec<usize>,
}

impl Links {
    pub(super) fn new(registry: Registry, count: usize) -> Self {
        Self {
            registry,
            links: std::iter::repeat_with(Link::new).take(count).collect(),
            dirty: Vec::new(),
        }
    }

    /// How many there are, up or down.
    #[must_use]
    pub fn count(&self) -> usize {
        self.links.len()
    }

    /// Where a connection stands; a number beyond the last is down.
    #[must_use]
    pub fn stage(&self, index: usize) -> LinkStage {
        self.links.get(index).map_or(LinkStage::Down, |l| l.stage)
    }

    /// Starts to connect; the CONNECT leaves as soon as the socket allows.
    ///
    /// # Errors
    /// No socket could be made, bound or connected.
    pub fn open(&mut self, index: usize, opening: &Opening<'_>) -> io::Result<()> {
        let Some(link) = self.links.get_mut(index) else {
            return Ok(());
        };
        let mut stream = connecting(opening)?;
        self.registry.register(
            &mut stream,
            Token(index),
            Interest::READABLE | Interest::WRITABLE,
        )?;
        link.carrier = Some(Carrier::new(stream, opening.tls)?);
        link.stage = LinkStage::Greeting;
        link.version = opening.version;
        link.out.clear();
        link.written = 0;
        link.partial.clear();
        link.out.extend_from_slice(opening.connect);
        Ok(())
    }

    /// Queues a DISCONNECT on every connection that is up.
    pub fn say_goodbye(&mut self) {
        for index in 0..self.links.len() {
            if self.stage(index) != LinkStage::Up {
                continue;
            }
            if let Some(out) = self.queue(index) {
                out.extend_from_slice(&DISCONNECT);
            }
        }
    }

    /// Ends a connection without a word; what waited to be written is gone.
    pub fn close(&mut self, index: usize) {
        if let Some(link) = self.links.get_mut(index) {
            link.carrier = None;
            link.stage = LinkStage::Down;
            link.out = Vec::new();
            link.written = 0;
            link.partial = Vec::new();
        }
    }

    /// The bytes that wait to be written to a connection, to append to; they leave at the end of the turn. None while
    /// it is down.
    pub fn queue(&mut self, index: usize) -> Option<&mut Vec<u8>> {
        let link = self.links.get_mut(index)?;
        if link.stage == LinkStage::Down {
            return None;
        }
        if !link.dirty {
            link.dirty = true;
            self.dirty.push(index);
        }
        Some(&mut link.out)
    }

    /// Bytes that wait to be written to a connection because its socket takes no more.
    #[must_use]
    pub fn waiting_bytes(&self, index: usize) -> usize {
        let link = self.links.get(index);
        link.map_or(0, |link| link.out.len() - link.written)
    }

    pub(super) fn get(&mut self, index: usize) -> Option<&mut Link> {
        self.links.get_mut(index)
    }

    /// Flushes every connection that was written to since the last time; returns those that broke.
    pub(super) fn flush_dirty(&mut self) -> Vec<(usize, io::Error)> {
        let mut broken = Vec::new();
        for index in self.dirty.drain(..) {
            let Some(link) = self.links.get_mut(index) else {
                continue;
            };
            link.dirty = false;
            if let Err(e) = link.flush() {
                broken.push((index, e));
            }
        }
        broken
    }
}

fn connecting(opening: &Opening<'_>) -> io::Result<TcpStream> {
    let socket = Socket::new(
        Domain::for_address(opening.gateway),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if let Some(source) = opening.source {
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    match socket.connect(&opening.gateway.into()) {
        Ok(()) => {}
        Err(e) if e.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
        Err(e) => return Err(e),
    }
    Ok(TcpStream::from_std(socket.into()))
}
