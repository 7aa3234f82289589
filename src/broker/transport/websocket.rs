//! MQTT over WebSocket (MQTT 5, section 6; RFC 6455), on the framing of [`super::frame`] rather than a library's:
//! tungstenite keeps a read buffer for each connection and hands out owned messages, while here frames are taken apart
//! in the buffer of whoever reads, and an idle connection keeps its place in a frame and nothing else.
//!
//! ```text
//!  Opening ──101──▶ Open ──close, end──▶ Ended
//!     └──other──▶ Refused: the answer leaves, what still comes is thrown away, then the error is told
//! ```
//!
//! Every write is one binary frame. Control frames leave between data frames only; of several pings the last one is
//! answered, so nobody can make answers pile up.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{
    Port,
    frame::{Decoded, Decoder, SENT_HEAD_BYTES_MAX, close, pong, sent_head},
    metrics::Handshake,
    tls::TlsStream,
    upgrade::{HEAD_BYTES_MAX, Opening, read},
};

/// Longest frame to a client: a record of TLS holds it with its header, and the client need not wait for more.
const FRAME_BYTES_MAX: usize = 16 * 1024 - SENT_HEAD_BYTES_MAX;
/// Reads in one turn that bring no MQTT.
const ROUNDS_MAX: usize = 16;
/// Bytes thrown away while a refused client is expected to close.
const DISCARDED_BYTES_MAX: usize = 64 * 1024;
/// "Normal closure".
const CLOSE_NORMAL: u16 = 1000;

/// What a WebSocket runs on.
pub(crate) trait Below: AsyncRead + AsyncWrite + Unpin {
    /// How its own handshake ended; `None` if it has not succeeded.
    fn established(&self) -> Option<Handshake>;
}

impl Below for TcpStream {
    fn established(&self) -> Option<Handshake> {
        Some(Handshake::Done)
    }
}

impl Below for TlsStream {
    fn established(&self) -> Option<Handshake> {
        self.established()
    }
}

/// A WebSocket over something.
#[derive(Debug)]
pub(crate) struct WebSocket<S: Below> {
    below: S,
    phase: Phase,
    decoder: Decoder,
    /// Header of the frame that is leaving.
    head: [u8; SENT_HEAD_BYTES_MAX],
    head_at: u8,
    head_end: u8,
    /// Bytes of that frame's payload that have not left.
    payload_left: u32,
    /// A control frame that is leaving; once some of it has left, the rest follows before anything else.
    control: Vec<u8>,
    /// The payload of a pong that waits for its turn.
    pong: Option<Box<[u8]>>,
    /// Bytes that came right behind the request.
    early: Vec<u8>,
    port: Arc<Port>,
}

#[derive(Debug)]
enum Phase {
    Opening(Vec<u8>),
    Answering(Box<Answer>),
    Open,
    Ended,
}

/// What the client's request is answered.
#[derive(Debug)]
struct Answer {
    bytes: Vec<u8>,
    sent: usize,
    verdict: Verdict,
    discarded: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Accepted,
    Refused,
}

impl<S: Below> WebSocket<S> {
    pub(super) fn new(below: S, port: Arc<Port>) -> Self {
        Self {
            below,
            phase: Phase::Opening(Vec::new()),
            decoder: Decoder::new(port.message_bytes_max),
            head: [0; SENT_HEAD_BYTES_MAX],
            head_at: 0,
            head_end: 0,
            payload_left: 0,
            control: Vec::new(),
            pong: None,
            early: Vec::new(),
            port,
        }
    }

    pub(super) const fn below(&self) -> &S {
        &self.below
    }

    /// Reads the request and answers it; ready once a WebSocket is open.
    fn open(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match &mut self.phase {
                Phase::Open | Phase::Ended => return Poll::Ready(Ok(())),
                Phase::Opening(_) => ready!(self.hear_request(cx))?,
                Phase::Answering(_) => {
                    ready!(self.answer(cx))?;
                    self.phase = Phase::Open;
                }
            }
        }
    }

    fn hear_request(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Phase::Opening(request) = &mut self.phase else {
            return Poll::Ready(Ok(()));
        };
        let mut piece = [0; 1024];
        let room = (HEAD_BYTES_MAX - request.len().min(HEAD_BYTES_MAX - 1)).min(piece.len());
        let mut buffer = ReadBuf::new(piece.get_mut(..room).unwrap_or_default());
        ready!(Pin::new(&mut self.below).poll_read(cx, &mut buffer))?;
        if buffer.filled().is_empty() {
            self.end();
            return Poll::Ready(Ok(()));
        }
        request.extend_from_slice(buffer.filled());
        let (bytes, verdict) = match read(request) {
            Opening::More => return Poll::Ready(Ok(())),
            Opening::Accepted { answer, used } => {
                self.early = request.split_off(used.min(request.len()));
                self.early.shrink_to_fit();
                let below = self.below.established();
                self.port.handshakes.count(below.unwrap_or(Handshake::Done));
                (answer, Verdict::Accepted)
            }
            Opening::Refused { answer } => {
                self.port.handshakes.count(Handshake::Http);
                (answer, Verdict::Refused)
            }
        };
        self.phase = Phase::Answering(Box::new(Answer {
            bytes,
            sent: 0,
            verdict,
            discarded: 0,
        }));
        Poll::Ready(Ok(()))
    }

    fn answer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Phase::Answering(answer) = &mut self.phase else {
            return Poll::Ready(Ok(()));
        };
        while let Some(rest) = answer.bytes.get(answer.sent..).filter(|r| !r.is_empty()) {
            answer.sent += some(ready!(Pin::new(&mut self.below).poll_write(cx, rest)))?;
        }
        if answer.verdict == Verdict::Accepted {
            return Poll::Ready(Ok(()));
        }
        ready!(Pin::new(&mut self.below).poll_shutdown(cx))?;
        let mut piece = [0; 1024];
        while answer.discarded < DISCARDED_BYTES_MAX {
            let mut buffer = ReadBuf::new(&mut piece);
            ready!(Pin::new(&mut self.below).poll_read(cx, &mut buffer))?;
            match buffer.filled().len() {
                0 => break,
                count => answer.discarded += count,
            }
        }
        self.phase = Phase::Ended;
        let refused = io::Error::new(io::ErrorKind::InvalidData, "no WebSocket was opened");
        Poll::Ready(Err(refused))
    }

    fn end(&mut self) {
        if matches!(self.phase, Phase::Opening(_)) && self.below.established().is_some() {
            self.port.handshakes.count(Handshake::Unfinished);
        }
        self.phase = Phase::Ended;
    }

    const fn within_frame(&self) -> bool {
        self.head_at < self.head_end || self.payload_left > 0
    }

    /// Sends control frames that wait, if no data frame is on its way.
    fn send_control(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.within_frame() {
            return Poll::Ready(Ok(()));
        }
        loop {
            if self.control.is_empty() {
                let Some(payload) = self.pong.take() else {
                    self.control = Vec::new();
                    return Poll::Ready(Ok(()));
                };
                self.control = pong(&payload);
            }
            let polled = Pin::new(&mut self.below).poll_write(cx, &self.control);
            let count = some(ready!(polled))?;
            self.control.drain(..count.min(self.control.len()));
        }
    }

    /// Says why there is nothing more to say. If the socket does not take it now, the client learns by the end.
    fn say_close(&mut self, cx: &mut Context<'_>, code: u16) -> io::Result<()> {
        if let Some(payload) = self.pong.take() {
            self.control.extend(pong(&payload));
        }
        self.control.extend(close(code));
        match self.send_control(cx) {
            Poll::Ready(sent) => sent,
            Poll::Pending => Ok(()),
        }
    }

    /// Draws the consequences of what came; `true` once the client has closed.
    fn heed(&mut self, cx: &mut Context<'_>, decoded: Decoded) -> io::Result<bool> {
        if decoded.ping.is_some() {
            self.pong = decoded.ping;
        }
        if let Some(code) = decoded.close {
            self.say_close(cx, code)?;
            self.phase = Phase::Ended;
            return Ok(true);
        }
        match self.send_control(cx) {
            Poll::Ready(Err(error)) => Err(error),
            _ => Ok(false),
        }
    }
}

impl<S: Below> Drop for WebSocket<S> {
    fn drop(&mut self) {
        self.end();
    }
}

impl<S: Below> AsyncRead for WebSocket<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.open(cx))?;
        for _ in 0..ROUNDS_MAX {
            if matches!(this.phase, Phase::Ended) {
                return Poll::Ready(Ok(()));
            }
            if let Poll::Ready(sent) = this.send_control(cx) {
                sent?;
            }
            let space = buffer.initialize_unfilled();
            let count = if this.early.is_empty() {
                let mut raw = ReadBuf::new(space);
                ready!(Pin::new(&mut this.below).poll_read(cx, &mut raw))?;
                raw.filled().len()
            } else {
                let count = this.early.len().min(space.len());
                for (place, byte) in space.iter_mut().zip(this.early.drain(..count)) {
                    *place = byte;
                }
                if this.early.is_empty() {
                    this.early = Vec::new();
                }
                count
            };
            if count == 0 {
                this.phase = Phase::Ended;
                return Poll::Ready(Ok(()));
            }
            match this
                .decoder
                .decode(space.get_mut(..count).unwrap_or_default())
            {
                Ok(decoded) => {
                    let payload = decoded.payload;
                    let ended = this.heed(cx, decoded)?;
                    buffer.advance(payload);
                    if payload > 0 || ended {
                        return Poll::Ready(Ok(()));
                    }
                }
                Err(fault) => {
                    tracing::debug!(listener = &*this.port.name, %fault, "WebSocket closed");
                    this.say_close(cx, fault.code())?;
                    this.phase = Phase::Ended;
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, fault)));
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: Below> AsyncWrite for WebSocket<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if !matches!(this.phase, Phase::Open) {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        }
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if !this.within_frame() {
            ready!(this.send_control(cx))?;
            let count = bytes.len().min(FRAME_BYTES_MAX);
            (this.head, this.head_end) = sent_head(count);
            this.head_at = 0;
            this.payload_left = u32::try_from(count).unwrap_or_default();
        }
        loop {
            let head = this
                .head
                .get(usize::from(this.head_at)..usize::from(this.head_end))
                .unwrap_or_default();
            let left = usize::try_from(this.payload_left).unwrap_or_default();
            let payload = bytes.get(..left.min(bytes.len())).unwrap_or_default();
            let slices = [IoSlice::new(head), IoSlice::new(payload)];
            let polled = Pin::new(&mut this.below).poll_write_vectored(cx, &slices);
            let count = some(ready!(polled))?;
            let of_head = count.min(head.len());
            this.head_at = this
                .head_at
                .saturating_add(u8::try_from(of_head).unwrap_or_default());
            let of_payload = count - of_head;
            this.payload_left = this
                .payload_left
                .saturating_sub(u32::try_from(of_payload).unwrap_or_default());
            if of_payload > 0 {
                return Poll::Ready(Ok(of_payload));
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().below).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if matches!(this.phase, Phase::Open) {
            this.say_close(cx, CLOSE_NORMAL)?;
            this.phase = Phase::Ended;
        }
        ready!(this.send_control(cx))?;
        Pin::new(&mut this.below).poll_shutdown(cx)
    }
}

/// A write that took nothing is a failure.
fn some(written: io::Result<usize>) -> io::Result<usize> {
    match written {
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        written => written,
    }
}
