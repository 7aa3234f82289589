//! TLS below MQTT, by rustls' unbuffered interface: records are read into the worker's scratch and sealed there, so an
//! idle connection keeps its session's keys and no buffer. (The buffered interface keeps 4 KiB for the next read.)
//!
//! ```text
//!  Handshake ──done──▶ Open ──close_notify, end──▶ Ended
//!      └──fault──▶ Refused: the alert leaves, what still comes is thrown away, then the error is told
//! ```
//!
//! Refused waits for the client to close, since closing on unread bytes would reset the connection and take the alert
//! with it; the deadline of CONNECT bounds that wait.

mod scratch;
mod step;

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use rustls::{Error as TlsError, HandshakeKind, ServerConfig, server::UnbufferedServerConnection};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use self::{
    scratch::{SCRATCH, SEALED_BYTES_MAX, Scratch},
    step::{Sink, Step, Word, drain, step},
};
use super::{super::certificate::PeerCertificate, Port, metrics::Handshake};
use crate::config::Transport;

/// Least room for a read, however small the caller's buffer is.
const READ_BYTES_MIN: usize = 4 * 1024;
/// Bytes that a handshake may leave unfinished: more than the longest sensible chain of certificates (three of RSA
/// 4096 have 6 KB). It bounds what a client costs before anybody knows it.
const HANDSHAKE_BYTES_MAX: usize = 16 * 1024;
/// Bytes of an unfinished record afterwards: the largest record of TLS 1.2 has 18,437 (RFC 5246, section 6.2.3).
const RECORD_BYTES_MAX: usize = 20 * 1024;
/// Reads in one turn that bring no MQTT.
const ROUNDS_MAX: usize = 16;
/// Bytes thrown away while a refused client is expected to close.
const DISCARDED_BYTES_MAX: usize = 64 * 1024;

/// TLS over a socket.
pub(crate) struct TlsStream {
    socket: TcpStream,
    session: UnbufferedServerConnection,
    /// Bytes of records and handshake messages that are not complete.
    incoming: Vec<u8>,
    /// Bytes of MQTT that the caller had no room for.
    plain: Vec<u8>,
    /// Records that the socket has not taken.
    outgoing: Vec<u8>,
    /// Bytes of the caller's that are sealed in `outgoing` and not yet reported as written.
    promised: usize,
    phase: Phase,
    port: Arc<Port>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Handshake,
    Open,
    Refused { discarded: usize },
    Ended,
}

impl std::fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsStream")
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

impl TlsStream {
    pub(super) fn new(
        socket: TcpStream,
        server: Arc<ServerConfig>,
        port: Arc<Port>,
    ) -> Result<Self, TlsError> {
        Ok(Self {
            socket,
            session: UnbufferedServerConnection::new(server)?,
            incoming: Vec::new(),
            plain: Vec::new(),
            outgoing: Vec::new(),
            promised: 0,
            phase: Phase::Handshake,
            port,
        })
    }

    /// The client's certificate, once it is verified.
    pub(super) fn certificate(&self) -> Option<PeerCertificate> {
        if self.session.is_handshaking() {
            return None;
        }
        PeerCertificate::read(self.session.peer_certificates()?.first()?)
    }

    /// How the handshake ended, if it succeeded.
    pub(super) fn established(&self) -> Option<Handshake> {
        match self.phase {
            Phase::Handshake | Phase::Refused { .. } => None,
            Phase::Open | Phase::Ended => Some(match self.session.handshake_kind() {
                Some(HandshakeKind::Resumed) => Handshake::Resumed,
                _ => Handshake::Done,
            }),
        }
    }

    /// Reads once from the socket and steps the session over what came.
    fn read_on(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let Scratch {
                inward, outward, ..
            } = scratch;
            let kept = self.incoming.len();
            let room = buffer.remaining().max(READ_BYTES_MIN);
            let end = kept.saturating_add(room).min(inward.len());
            if let Some(front) = inward.get_mut(..kept) {
                front.copy_from_slice(&self.incoming);
            }
            let mut fresh = ReadBuf::new(inward.get_mut(kept..end).unwrap_or_default());
            ready!(Pin::new(&mut self.socket).poll_read(cx, &mut fresh))?;
            let count = fresh.filled().len();
            if count == 0 {
                self.end();
                return Poll::Ready(Ok(()));
            }
            let records = inward.get_mut(..kept + count).unwrap_or_default();
            outward.clear();
            let mut sink = Sink {
                buffer,
                rest: &mut self.plain,
            };
            let step = step(
                &mut self.session,
                records,
                outward,
                &mut sink,
                Word::Nothing,
            );
            self.keep(records.get(step.used..).unwrap_or_default());
            self.settle(step, outward);
            Poll::Ready(self.send(cx, outward))
        })
    }

    fn keep(&mut self, rest: &[u8]) {
        if rest.is_empty() {
            self.incoming = Vec::new();
        } else {
            self.incoming.clear();
            self.incoming.extend_from_slice(rest);
        }
    }

    /// Draws the consequences of a step for the phase.
    fn settle(&mut self, step: Step, outward: &mut Vec<u8>) {
        let handshaking = self.session.is_handshaking();
        let most = if handshaking {
            HANDSHAKE_BYTES_MAX
        } else {
            RECORD_BYTES_MAX
        };
        let fault = step.fault.or_else(|| {
            (self.incoming.len() > most)
                .then(|| TlsError::General("an endless handshake message".to_owned()))
        });
        if let Some(fault) = fault {
            self.refuse(&fault, outward);
        } else if self.phase == Phase::Handshake && !handshaking {
            self.phase = Phase::Open;
            if self.port.kind == Transport::Tls {
                let how = self.established().unwrap_or(Handshake::Done);
                self.port.handshakes.count(how);
            }
        }
        if step.closed {
            self.end();
        }
    }

    fn refuse(&mut self, fault: &TlsError, outward: &mut Vec<u8>) {
        drain(&mut self.session, outward);
        if self.phase == Phase::Handshake {
            let how = match fault {
                TlsError::InvalidCertificate(_) | TlsError::NoCertificatesPresented => {
                    Handshake::Certificate
                }
                TlsError::AlertReceived(_) => Handshake::Refused,
                _ => Handshake::Protocol,
            };
            self.port.handshakes.count(how);
            let peer = self.socket.peer_addr().ok();
            tracing::debug!(listener = &*self.port.name, ?peer, error = %fault, "no TLS handshake");
        }
        self.incoming = Vec::new();
        self.phase = Phase::Refused { discarded: 0 };
    }

    fn end(&mut self) {
        if self.phase == Phase::Handshake {
            self.port.handshakes.count(Handshake::Unfinished);
        }
        self.phase = Phase::Ended;
    }

    /// Sends records after those that wait; what the socket does not take waits too.
    fn send(&mut self, cx: &mut Context<'_>, records: &[u8]) -> io::Result<()> {
        let mut sent = 0;
        while self.outgoing.is_empty() && sent < records.len() {
            let rest = records.get(sent..).unwrap_or_default();
            match Pin::new(&mut self.socket).poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(count) => sent += count?,
                Poll::Pending => break,
            }
        }
        self.outgoing
            .extend_from_slice(records.get(sent..).unwrap_or_default());
        Ok(())
    }

    /// Sends what waits.
    fn push(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            let count = ready!(Pin::new(&mut self.socket).poll_write(cx, &self.outgoing))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.drain(..count.min(self.outgoing.len()));
        }
        self.outgoing = Vec::new();
        Poll::Ready(Ok(()))
    }

    /// Lets the alert leave and waits for the client to close.
    fn see_off(&mut self, cx: &mut Context<'_>, discarded: usize) -> Poll<io::Result<()>> {
        ready!(self.push(cx))?;
        ready!(Pin::new(&mut self.socket).poll_shutdown(cx))?;
        let refused = || io::Error::new(io::ErrorKind::InvalidData, "TLS was refused");
        let mut discarded = discarded;
        while discarded < DISCARDED_BYTES_MAX {
            let count = SCRATCH.with_borrow_mut(|scratch| {
                let mut buffer = ReadBuf::new(&mut scratch.inward);
                let polled = Pin::new(&mut self.socket).poll_read(cx, &mut buffer);
                polled.map_ok(|()| buffer.filled().len())
            });
            match ready!(count)? {
                0 => break,
                count => discarded += count,
            }
            self.phase = Phase::Refused { discarded };
        }
        Poll::Ready(Err(refused()))
    }

    /// Seals a word and sends it.
    fn say(&mut self, cx: &mut Context<'_>, word: Word<'_>) -> io::Result<()> {
        SCRATCH.with_borrow_mut(|scratch| {
            let outward = &mut scratch.outward;
            outward.clear();
            let mut nowhere = ReadBuf::new(&mut []);
            let mut sink = Sink {
                buffer: &mut nowhere,
                rest: &mut self.plain,
            };
            let step = step(
                &mut self.session,
                &mut self.incoming,
                outward,
                &mut sink,
                word,
            );
            self.incoming.drain(..step.used.min(self.incoming.len()));
            if let Some(fault) = step.fault {
                self.phase = Phase::Ended;
                return Err(io::Error::new(io::ErrorKind::InvalidData, fault));
            }
            self.send(cx, outward)
        })
    }
}

impl Drop for TlsStream {
    fn drop(&mut self) {
        self.end();
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        for _ in 0..ROUNDS_MAX {
            if !this.plain.is_empty() {
                let count = this.plain.len().min(buffer.remaining());
                buffer.put_slice(this.plain.get(..count).unwrap_or_default());
                this.plain.drain(..count);
                if this.plain.is_empty() {
                    this.plain = Vec::new();
                }
                return Poll::Ready(Ok(()));
            }
            match this.phase {
                Phase::Refused { discarded } => return this.see_off(cx, discarded),
                Phase::Ended => return Poll::Ready(Ok(())),
                // A socket that takes nothing is read all the same once MQTT flows.
                Phase::Handshake => ready!(this.push(cx))?,
                Phase::Open => {
                    if let Poll::Ready(pushed) = this.push(cx) {
                        pushed?;
                    }
                }
            }
            let before = buffer.filled().len();
            ready!(this.read_on(cx, buffer))?;
            if buffer.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.phase != Phase::Open {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        }
        ready!(this.push(cx))?;
        if this.promised > 0 {
            let promised = std::mem::take(&mut this.promised);
            return Poll::Ready(Ok(promised.min(bytes.len())));
        }
        let count = bytes.len().min(SEALED_BYTES_MAX);
        if count == 0 {
            return Poll::Ready(Ok(0));
        }
        this.say(cx, Word::Data(bytes.get(..count).unwrap_or_default()))?;
        if this.outgoing.is_empty() {
            return Poll::Ready(Ok(count));
        }
        this.promised = count;
        Poll::Pending
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut gathered = SCRATCH.with_borrow_mut(|scratch| std::mem::take(&mut scratch.gathered));
        gathered.clear();
        for slice in slices {
            let room = SEALED_BYTES_MAX - gathered.len();
            gathered.extend_from_slice(slice.get(..slice.len().min(room)).unwrap_or_default());
        }
        let polled = self.poll_write(cx, &gathered);
        SCRATCH.with_borrow_mut(|scratch| scratch.gathered = gathered);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().push(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.phase == Phase::Open {
            this.say(cx, Word::Goodbye)?;
            this.phase = Phase::Ended;
        }
        ready!(this.push(cx))?;
        Pin::new(&mut this.socket).poll_shutdown(cx)
    }
}
