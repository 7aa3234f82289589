//! One connection's task: the shell around a session. It is a hand-written future so that an idle connection costs this
//! struct, its session and its line, and nothing else: bytes are read into the worker's scratch and packets are handled
//! there; only a packet that has not arrived completely, and bytes that the client does not take, are kept here.
//!
//! ```text
//!  Greeting ──CONNECT──▶ Open ──any end──▶ Leaving ──flushed──▶ Lingering ──▶ (done)
//!      └───▶ Claiming ────┘ the session comes from the connection that had it
//! ```
//!
//! Backpressure: a publish that the inlet has no room for stays in `partial`, unread bytes behind it; the socket is not
//! read until there is room. The client's silence does not count meanwhile: it may be talking, we do not listen.
//!
//! Lingering: after the last word the socket's other half is read and thrown away for a moment, since closing on unread
//! bytes would reset the connection and take the last word with it.

use std::{
    future::Future,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use rmqtt_codec::v5::{ConnectAck, DisconnectReasonCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{
    certificate::PeerCertificate,
    gate::Entry,
    hub::{Core, Hub},
    inlet::Inlet,
    line::{Line, Signals},
    lines::Slot,
    metrics::Ending,
    pulse::Ticks,
    scratch::{Scratch, with_scratch},
    session::{Mail, Session},
    stage::{Hold, Stage},
    transport::Stream,
};

/// Bytes that may wait for a slow reader before its own packets are left unread.
const UNSENT_BYTES_MAX: usize = 64 * 1024;
/// Reads in one turn, so that a flood on one socket does not starve the others of the worker.
const ROUNDS_MAX: usize = 8;
/// How long the broker waits for the client to close after its last word.
const LINGER: Ticks = Ticks(8);

/// A connection.
pub(crate) struct Connection<I: Inlet> {
    pub(crate) hub: Arc<Hub<I>>,
    pub(crate) line: Arc<Line>,
    pub(crate) session: Option<Box<Session>>,
    /// The answer to CONNECT, while the session is being claimed.
    pub(crate) connack: Option<Box<ConnectAck>>,
    pub(crate) hold: Option<Box<Hold>>,
    /// Held as long as this connection may offer publishes.
    pub(crate) intake: Option<TaskTrackerToken>,
    partial: Vec<u8>,
    unsent: Vec<u8>,
    stream: Stream,
    slot: Slot,
    pub(crate) peer: IpAddr,
    pub(crate) entry: Entry,
    pub(crate) stage: Stage,
}

impl<I: Inlet> Connection<I> {
    pub(crate) fn new(
        hub: Arc<Hub<I>>,
        stream: Stream,
        peer: IpAddr,
        entry: Entry,
        intake: TaskTrackerToken,
    ) -> Self {
        let deadline = Ticks::at_least(hub.core.config.connect_deadline);
        let line = Arc::new(Line::new(hub.core.pulse.now(), deadline));
        let slot = hub.core.lines.add(&line);
        hub.core.metrics.connections.increment(1.0);
        Self {
            hub,
            line,
            session: None,
            connack: None,
            hold: None,
            intake: Some(intake),
            partial: Vec::new(),
            unsent: Vec::new(),
            stream,
            slot,
            peer,
            entry,
            stage: Stage::Greeting,
        }
    }

    pub(crate) fn core(&self) -> &Core {
        &self.hub.core
    }

    fn turn(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Poll<()> {
        for _ in 0..ROUNDS_MAX {
            let mut progress = self.hear_news(cx, scratch);
            progress |= self.try_again(cx, scratch);
            progress |= self.read(cx, scratch);
            if self.unsent.is_empty() {
                progress |= self.send_mail(scratch);
            }
            self.write(cx, scratch);
            progress |= self.wants_mail();
            if self.stage == Stage::Leaving && self.unsent.is_empty() {
                self.linger(cx);
                progress = true;
            }
            if self.stage == Stage::Done {
                return Poll::Ready(());
            }
            if !progress {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes what other threads brought; `true` if there may be more to do because of it.
    fn hear_news(&mut self, cx: &Context<'_>, scratch: &mut Scratch) -> bool {
        let mut news = std::mem::take(&mut scratch.news);
        self.line.collect(cx.waker(), &mut news);
        let mut progress = !news.notes.is_empty() || news.signals != Signals::default();
        if let Some(inherited) = news.inherited.take() {
            self.claim(inherited, scratch);
            progress = true;
        }
        self.hear_outcomes(&mut news, scratch);
        if news.signals != Signals::default() {
            self.hear_signals(news.signals, scratch);
        }
        scratch.news = news;
        if self.core().is_closed() && self.intake.is_some() {
            self.shut_intake();
        }
        progress
    }

    /// Whether mail can leave that has not: what was written has left the buffers.
    fn wants_mail(&self) -> bool {
        let waits = |session: &Session| session.mail == Mail::Waits;
        self.stage == Stage::Open
            && self.unsent.is_empty()
            && self.session.as_deref().is_some_and(waits)
    }

    fn shut_intake(&mut self) {
        self.hold = None;
        self.line.arriving(None);
        if self.stage == Stage::Open {
            self.line
                .allow_silence(self.core().pulse.now(), Ticks::NEVER);
        }
        self.intake = None;
    }

    /// The client's certificate, if it has shown one.
    pub(crate) fn certificate(&self) -> Option<Arc<PeerCertificate>> {
        self.stream.certificate()
    }

    /// Whether a revocation list in force now holds the client's certificate.
    pub(crate) fn is_listed(&self) -> bool {
        let shown = self.certificate();
        shown.is_some_and(|shown| self.core().transport.is_revoked(&shown))
    }

    /// Offers a publish again that there was no room for.
    fn try_again(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> bool {
        let since = match self.hold.as_deref_mut() {
            None => return false,
            Some(Hold::Acknowledgements) => {
                if self
                    .session
                    .as_ref()
                    .is_some_and(|s| s.kept.inbox.is_full(&s.terms))
                {
                    return false;
                }
                None
            }
            Some(Hold::Check(check, _)) => {
                let Poll::Ready(outcome) = check.as_mut().poll(cx) else {
                    return false;
                };
                if let Some(Hold::Check(_, connect)) = self.hold.take().map(|hold| *hold) {
                    self.checked(*connect, outcome, scratch);
                    self.handle_partial(scratch);
                }
                return true;
            }
            Some(Hold::Rate(pause)) => {
                if pause.as_mut().poll(cx).is_pending() {
                    return false;
                }
                None
            }
            Some(Hold::Room(room, since)) => {
                if room.as_mut().poll(cx).is_pending() {
                    return false;
                }
                Some(*since)
            }
        };
        self.hold = None;
        let core = self.core();
        if let Some(since) = since {
            let held = core.clock.steady().saturating_duration_since(since);
            core.metrics.backpressure.record(held.as_secs_f64());
        }
        let silence = self.silence_max();
        self.line.allow_silence(self.core().pulse.now(), silence);
        self.handle_partial(scratch);
        true
    }

    /// How long the client may be silent.
    pub(crate) fn silence_max(&self) -> Ticks {
        self.session.as_ref().map_or(Ticks::NEVER, |session| {
            let seconds = u32::from(session.terms.keep_alive_s);
            Ticks::from_seconds(seconds).half_as_long_again()
        })
    }

    fn may_read(&self) -> bool {
        match self.stage {
            Stage::Greeting | Stage::Open => {
                self.hold.is_none() && self.intake.is_some() && self.unsent.len() < UNSENT_BYTES_MAX
            }
            Stage::Lingering => true,
            Stage::Claiming | Stage::Leaving | Stage::Done => false,
        }
    }

    fn read(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> bool {
        if !self.may_read() {
            return false;
        }
        let mut bytes = scratch.lend_read();
        let mut buffer = ReadBuf::new(&mut bytes);
        let polled = Pin::new(&mut self.stream).poll_read(cx, &mut buffer);
        let progress = match polled {
            Poll::Pending => false,
            Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                if self.stage != Stage::Lingering {
                    self.take_in(buffer.filled(), scratch);
                }
                true
            }
            Poll::Ready(ended) => {
                let ending = ended.map_or(Ending::Failed, |()| Ending::Closed);
                self.depart(ending);
                self.stage = Stage::Done;
                true
            }
        };
        scratch.read = bytes;
        progress
    }

    fn take_in(&mut self, bytes: &[u8], scratch: &mut Scratch) {
        // CONNECT has its deadline, however it drips in.
        if self.stage != Stage::Greeting {
            self.line.hear(self.core().pulse.now());
        }
        scratch.tally.received_bytes += u64::try_from(bytes.len()).unwrap_or_default();
        if self.partial.is_empty() {
            let used = self.handle_packets(bytes, scratch);
            let rest = bytes.get(used..).unwrap_or_default();
            self.partial.extend_from_slice(rest);
            self.note_arriving(used);
        } else {
            self.partial.extend_from_slice(bytes);
            self.handle_partial(scratch);
        }
    }

    /// Handles the packets in `partial`.
    pub(crate) fn handle_partial(&mut self, scratch: &mut Scratch) {
        let mut bytes = std::mem::take(&mut self.partial);
        let used = self.handle_packets(&bytes, scratch);
        if used < bytes.len() {
            bytes.drain(..used);
            if bytes.capacity() / 4 > bytes.len() {
                bytes.shrink_to_fit();
            }
            self.partial = bytes;
        }
        self.note_arriving(used);
    }

    fn note_arriving(&self, used: usize) {
        if self.partial.is_empty() || self.hold.is_some() || self.stage == Stage::Claiming {
            self.line.arriving(None);
        } else if used > 0 || !self.line.is_arriving() {
            self.line.arriving(Some(self.core().pulse.now()));
        }
    }

    fn write(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) {
        if self.unsent.is_empty() && scratch.out.is_empty() {
            return;
        }
        let fresh = self.unsent.is_empty();
        if !fresh {
            self.unsent.extend_from_slice(&scratch.out);
            scratch.out.clear();
        }
        let mut sent = 0;
        let failed = loop {
            let waiting = if fresh {
                &scratch.out[..]
            } else {
                &self.unsent[..]
            };
            let rest = waiting.get(sent..).unwrap_or_default();
            if rest.is_empty() {
                break false;
            }
            match Pin::new(&mut self.stream).poll_write(cx, rest) {
                Poll::Pending => break false,
                Poll::Ready(Ok(count)) if count > 0 => sent += count,
                Poll::Ready(_) => break true,
            }
        };
        scratch.tally.sent_bytes += u64::try_from(sent).unwrap_or_default();
        if failed {
            self.unsent = Vec::new();
            scratch.out.clear();
            self.depart(Ending::Failed);
            self.stage = Stage::Done;
            return;
        }
        if fresh {
            self.unsent
                .extend_from_slice(scratch.out.get(sent..).unwrap_or_default());
            scratch.out.clear();
        } else {
            self.unsent.drain(..sent.min(self.unsent.len()));
        }
        if self.unsent.is_empty() {
            self.unsent = Vec::new();
            self.line.leaving(None);
        } else if sent > 0 || fresh {
            self.line.leaving(Some(self.core().pulse.now()));
        }
    }

    fn linger(&mut self, cx: &mut Context<'_>) {
        match Pin::new(&mut self.stream).poll_shutdown(cx) {
            Poll::Ready(Ok(())) => {
                self.stage = Stage::Lingering;
                self.line.allow_silence(self.core().pulse.now(), LINGER);
            }
            Poll::Ready(Err(_)) | Poll::Pending => self.stage = Stage::Done,
        }
    }
}

impl<I: Inlet> Future for Connection<I> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let connection = self.get_mut();
        with_scratch(|scratch| {
            let polled = connection.turn(cx, scratch);
            connection.core().metrics.tallied(&mut scratch.tally);
            polled
        })
    }
}

impl<I: Inlet> Drop for Connection<I> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.core().metrics.panics.increment(1);
            // Whatever state the session is in, nobody goes on with it; and nothing that may panic runs now.
            if let Some(session) = &mut self.session {
                session.expiry_s = 0;
                session.will = None;
            }
        }
        self.depart(Ending::Failed);
        self.line.hang_up();
        let core = self.core();
        core.lines.remove(self.slot);
        core.gate.exit(self.peer);
        core.metrics.connections.decrement(1.0);
    }
}
