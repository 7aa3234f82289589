//! How a connection answers packets: CONNECT and the claim of a session, publishes and their offers, and the rest. The
//! session decides; here its decisions meet the registry and the inlet.

use std::sync::Arc;

use bytes::BytesMut;
use rmqtt_codec::{
    types::QoS,
    v5::{Connect, ConnectAck, ConnectAckReason, DisconnectReasonCode},
};
use tokio::time::{Duration, sleep};

use super::{
    auth::{Admitted, Answer, Credentials, Denied},
    connection::Connection,
    gate::Entry,
    hub::{Core, Hub},
    inlet::{Inbound, Inlet, Offer, Receipt, Refusal},
    key::Key,
    limits::{Limit, Who},
    line::{Inherited, Line, News, Settled, Verdict},
    metrics::Ending,
    ordinary::{self, NotTaken},
    paying::{Paid, fits, pay},
    pulse::Ticks,
    registry::{Absence, Joined},
    scratch::Scratch,
    session::{Admission, Agreement, Kept, Mail, Session, agree, seconds, too_large},
    stage::{Hold, Stage},
    subscribing,
    wire::{
        Ack, Answers, Frame, Greeting, Publish, Reasons, Request, Version, Violation, first_frame,
        frame, read_greeting, read_request,
    },
};

/// Pause before a publish of an MQTT 3.1.1 client is offered again that a full lane refused.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// What became of a packet.
enum Handled {
    /// It is done with.
    Done,
    /// It has to be handled again later.
    Later(Box<Hold>),
    /// The client said good-bye.
    Farewell,
}

impl<I: Inlet> Connection<I> {
    /// Handles whole packets; returns how many bytes were used.
    pub(crate) fn handle_packets(&mut self, bytes: &[u8], scratch: &mut Scratch) -> usize {
        let mut used = 0;
        while matches!(self.stage, Stage::Greeting | Stage::Open) && self.hold.is_none() {
            let rest = bytes.get(used..).unwrap_or_default();
            let config = &self.core().config;
            let most = config.packet_bytes_max;
            let found = match self.stage {
                Stage::Greeting => {
                    first_frame(rest, most.min(config.limits.sizes.connect_bytes_max))
                }
                _ => frame(rest, most),
            };
            let handled = match found {
                Ok(None) => break,
                Ok(Some(frame)) => self
                    .handle_packet(frame, scratch)
                    .map(|handled| (handled, frame.whole.len())),
                Err(violation) => Err(violation),
            };
            match handled {
                Ok((Handled::Done | Handled::Farewell, count)) => used += count,
                Ok((Handled::Later(hold), _)) => {
                    self.hold = Some(hold);
                    self.line
                        .allow_silence(self.core().pulse.now(), Ticks::NEVER);
                }
                Err(violation) => self.violate(violation, scratch),
            }
        }
        self.release(scratch);
        match self.stage {
            Stage::Greeting | Stage::Claiming | Stage::Open => used,
            Stage::Leaving | Stage::Lingering | Stage::Done => bytes.len(),
        }
    }

    fn handle_packet(
        &mut self,
        frame: Frame<'_>,
        scratch: &mut Scratch,
    ) -> Result<Handled, Violation> {
        if self.stage == Stage::Greeting {
            self.greet(frame, scratch)?;
            return Ok(Handled::Done);
        }
        let Some(session) = self.session.as_deref_mut() else {
            return Ok(Handled::Done);
        };
        match pay(&self.hub.core, session, frame) {
            Paid::Yes => {}
            Paid::Later(hold) => return Ok(Handled::Later(hold)),
            Paid::Never(limit) => {
                self.release(scratch);
                let reason = DisconnectReasonCode::MessageRateTooHigh;
                self.dismiss(reason, Some(limit.name()), scratch);
                return Ok(Handled::Done);
            }
        }
        let handled = if frame.first >> 4 == 3 {
            handle_publish(&self.hub, &self.line, session, (frame, scratch))?
        } else {
            handle_request(
                &self.hub.core,
                &self.line,
                session,
                (frame, &mut scratch.out),
            )?
        };
        match handled {
            Handled::Farewell => self.depart(Ending::Client),
            Handled::Later(_) => session.allowance.keep(),
            Handled::Done => {}
        }
        Ok(handled)
    }

    fn greet(&mut self, frame: Frame<'_>, scratch: &mut Scratch) -> Result<(), Violation> {
        match read_greeting(frame)? {
            Greeting::Connect(version, connect) => self.connect(version, *connect, scratch),
            Greeting::Refused(version, reason) => self.turn_away(version, reason, scratch),
        }
        Ok(())
    }

    fn turn_away(&mut self, version: Version, reason: ConnectAckReason, scratch: &mut Scratch) {
        self.core().metrics.turned_away(reason);
        let faulty = matches!(
            reason,
            ConnectAckReason::MalformedPacket | ConnectAckReason::ProtocolError
        );
        if faulty {
            self.core().metrics.violated(version);
        }
        // MQTT 3.1.1 closes on a CONNECT that breaks the protocol, without a word.
        if version == Version::V5 || !faulty {
            let connack = ConnectAck {
                reason_code: reason,
                ..ConnectAck::default()
            };
            let mut answers = Answers {
                out: &mut scratch.out,
                version,
                bytes_max: u32::MAX,
                reasons: Reasons::Unwanted,
            };
            // Nothing else can be said if this cannot.
            answers.connack(connack).unwrap_or_default();
        }
        self.depart(Ending::TurnedAway);
    }

    fn connect(&mut self, version: Version, connect: Connect, scratch: &mut Scratch) {
        let refusal = match self.entry {
            Entry::Free => None,
            Entry::Busy => Some(ConnectAckReason::ServerBusy),
            Entry::AddressQuota => Some(ConnectAckReason::QuotaExceeded),
            Entry::ConnectRate => Some(ConnectAckReason::ConnectionRateExceeded),
        };
        if let Some(reason) = refusal {
            return self.turn_away(version, reason, scratch);
        }
        let core = self.core();
        if core.admission.is_shut(self.peer) {
            let reason = ConnectAckReason::ConnectionRateExceeded;
            return self.turn_away(version, reason, scratch);
        }
        let certificate = self.certificate();
        let credentials = Credentials {
            username: connect.username.as_deref(),
            password: connect.password.as_deref(),
            certificate: certificate.as_deref(),
            now: core.clock.now(),
        };
        match core.access.load().authentication.ask(&credentials) {
            Answer::Admitted(admitted) => self.admit((version, connect), admitted, scratch),
            Answer::Denied(denied) => self.deny(version, denied, scratch),
            Answer::Slow(check) => {
                let check = Box::pin(check.run());
                let connect = Box::new((version, connect));
                self.hold = Some(Box::new(Hold::Check(check, connect)));
            }
        }
    }

    /// The check of a password has ended.
    pub(crate) fn checked(
        &mut self,
        (version, connect): (Version, Connect),
        outcome: Result<Admitted, Denied>,
        scratch: &mut Scratch,
    ) {
        match outcome {
            Ok(admitted) => self.admit((version, connect), admitted, scratch),
            Err(denied) => self.deny(version, denied, scratch),
        }
    }

    fn deny(&mut self, version: Version, denied: Denied, scratch: &mut Scratch) {
        let reason = denied.into();
        self.judged(Some(reason));
        self.turn_away(version, reason, scratch);
    }

    fn admit(
        &mut self,
        (version, connect): (Version, Connect),
        admitted: Admitted,
        scratch: &mut Scratch,
    ) {
        // Lists may have changed since the handshake.
        if self.is_listed() {
            return self.deny(version, Denied::Banned, scratch);
        }
        let core = self.core();
        let access = core.access.load();
        let agreed = agree(
            version,
            connect,
            &core.config,
            (admitted, &access),
            rand::random,
        );
        drop(access);
        self.judged(agreed.as_ref().err().copied());
        let Agreement {
            mut session,
            connack,
            clean,
        } = match agreed {
            Ok(agreement) => agreement,
            Err(reason) => return self.turn_away(version, reason, scratch),
        };
        let key = Key::new(&session.principal, &session.client_id);
        session.allowance = core.limits.allowance(&session.principal);
        let now = core.pulse.now();
        let joined = core.registry.join(&key, &self.line, clean, now);
        if matches!(joined, Joined::TooMany) {
            let who = Who::Principal(&session.principal);
            core.limits.bite(Limit::Sessions, who);
            return self.turn_away(version, ConnectAckReason::QuotaExceeded, scratch);
        }
        self.session = Some(session);
        match joined {
            Joined::TooMany => {}
            Joined::New(before) => {
                if let Some(Absence { kept, will, .. }) = before.map(|absence| *absence) {
                    kept.retire(&self.core().exchange);
                    if let Some((_, will)) = will {
                        self.hub.publish_will(will);
                    }
                }
                self.open(*connack, None, scratch);
            }
            Joined::Resumed(absence) => {
                let Absence { kept, line, .. } = *absence;
                if let Some(line) = line {
                    kept.adopt_outcomes(&line, &self.line);
                }
                self.open(*connack, Some(kept), scratch);
            }
            Joined::Coming => {
                self.connack = Some(connack);
                self.stage = Stage::Claiming;
            }
        }
    }

    /// A predecessor has handed over its session.
    pub(crate) fn claim(&mut self, inherited: Inherited, scratch: &mut Scratch) {
        let Some(connack) = self.connack.take() else {
            return;
        };
        let kept = match inherited {
            Inherited::Session(kept) => Some(kept),
            Inherited::Nothing => None,
        };
        self.open(*connack, kept, scratch);
        self.handle_partial(scratch);
    }

    fn open(&mut self, mut connack: ConnectAck, kept: Option<Box<Kept>>, scratch: &mut Scratch) {
        connack.session_present = kept.is_some();
        let core = Arc::clone(&self.hub.core);
        let Some(session) = &mut self.session else {
            return;
        };
        if let Some(kept) = kept {
            session.kept = *kept;
        }
        if let Some(until) = session.until {
            self.line
                .valid_until(core.pulse.tick_of(until, core.clock.now()));
        }
        let written = session.answers(&mut scratch.out).connack(connack);
        if written.is_ok() {
            session.resume(&core.exchange, core.clock.now(), &mut scratch.out);
            session.begin(&core.exchange, &self.line);
        }
        self.stage = Stage::Open;
        let silence = self.silence_max();
        self.line.allow_silence(core.pulse.now(), silence);
        if too_large(written).is_err() {
            // Whatever is said to this client would be larger than it takes.
            core.metrics.turned_away(ConnectAckReason::PacketTooLarge);
            self.depart(Ending::TurnedAway);
        } else {
            core.metrics.accepted();
        }
    }

    /// Takes settled receipts, and answers that had to wait until something was durable.
    pub(crate) fn hear_outcomes(&mut self, news: &mut News, scratch: &mut Scratch) {
        let Some(session) = &mut self.session else {
            return;
        };
        if let Some(mailbox) = news.mailbox.take() {
            session.kept.mailbox.get_or_insert(mailbox);
        }
        let version = session.terms.version;
        for settled in news.settled.drain(..) {
            let lasting = session.lasting();
            let inbox = &mut session.kept.inbox;
            if let Some((id, outcome)) = inbox.settled(settled, version, lasting) {
                let line = Arc::clone(&self.line);
                let exchange = &self.hub.core.exchange;
                session.record_received(exchange, id, move || {
                    line.settle(Settled {
                        turn: settled.turn,
                        verdict: Verdict::Recorded(outcome),
                    });
                });
            }
        }
        if self.stage != Stage::Open {
            return;
        }
        let mut failed = None;
        for note in news.notes.drain(..) {
            let answered = session.answer(note, &mut scratch.out);
            failed = failed.or_else(|| answered.err());
        }
        match failed {
            Some(violation) => self.dismiss(violation.reason, Some(violation.what), scratch),
            None => self.release(scratch),
        }
    }

    /// Sends what waits in the mailbox; `true` if anything was.
    pub(crate) fn send_mail(&mut self, scratch: &mut Scratch) -> bool {
        let Some(session) = &mut self.session else {
            return false;
        };
        if self.stage != Stage::Open || session.mail != Mail::Waits {
            return false;
        }
        let core = &self.hub.core;
        let Scratch { out, letters, .. } = scratch;
        let sent = session.send_mail(&core.exchange, core.clock.now(), (out, letters));
        core.metrics.messages.increment(sent);
        sent > 0
    }

    /// Sends the acknowledgements whose turn has come.
    pub(crate) fn release(&mut self, scratch: &mut Scratch) {
        let Some(session) = &mut self.session else {
            return;
        };
        if self.stage != Stage::Open || !session.kept.inbox.expects() {
            return;
        }
        let mut answers = session.answers(&mut scratch.out);
        match session.kept.inbox.release(&mut answers) {
            Ok(released) => {
                session.kept.inbox.relax();
                self.hub.core.metrics.released(released);
            }
            Err(violation) => self.dismiss(violation.reason, Some(violation.what), scratch),
        }
    }
}

fn handle_publish<I: Inlet>(
    hub: &Hub<I>,
    line: &Arc<Line>,
    session: &mut Session,
    (frame, scratch): (Frame<'_>, &mut Scratch),
) -> Result<Handled, Violation> {
    let publish = Publish::read(session.terms.version, frame)?;
    fits(&hub.core, session, &publish)?;
    let topic = session.resolve(&publish)?;
    match session.admit(&publish)? {
        Admission::Offer => {}
        Admission::Repeated => {
            session.kept.inbox.repeated(publish.id);
            return Ok(Handled::Done);
        }
        Admission::Wait => return Ok(Handled::Later(Box::new(Hold::Acknowledgements))),
    }
    let topic = topic.as_str();
    if !hub
        .core
        .access
        .load()
        .rights
        .may_publish(&session.principal, topic)
    {
        return Ok(refuse(hub, session, &publish, Refusal::NotAuthorised));
    }
    let inbox = &mut session.kept.inbox;
    let receipt = (publish.qos != QoS::AtMostOnce).then(|| Receipt::new(line, inbox.next_turn()));
    let inbound = Inbound {
        topic,
        payload: publish.payload,
        payload_format_utf8: publish.payload_utf8,
        user_properties: &publish.user_properties,
    };
    let handled = match hub.inlet.offer(inbound, receipt) {
        Offer::Owed => {
            inbox.taken(publish.qos, publish.id);
            Handled::Done
        }
        Offer::Busy(receipt) => {
            withdraw(receipt);
            return Ok(Handled::Later(Box::new(wait_for_room(hub, Duration::ZERO))));
        }
        Offer::Ordinary(receipt) => {
            let sent = (&publish, topic);
            match ordinary::publish(&hub.core, session, sent, receipt) {
                Ok(()) => Handled::Done,
                Err(NotTaken::NoRoom) => {
                    let room = hub.core.exchange.archive.room();
                    let hold = Hold::Room(room, hub.core.clock.steady());
                    return Ok(Handled::Later(Box::new(hold)));
                }
                Err(NotTaken::Full) => {
                    return Ok(refuse(hub, session, &publish, Refusal::QuotaExceeded));
                }
            }
        }
        Offer::Refused(receipt, refusal) => {
            withdraw(receipt);
            return Ok(refuse(hub, session, &publish, refusal));
        }
    };
    let counts = &mut scratch.tally.publishes;
    if let Some(count) = counts.get_mut(usize::from(publish.qos.value())) {
        *count += 1;
    }
    Ok(handled)
}

fn refuse<I: Inlet>(
    hub: &Hub<I>,
    session: &mut Session,
    publish: &Publish<'_>,
    refusal: Refusal,
) -> Handled {
    let version = session.terms.version;
    if publish.qos == QoS::AtMostOnce {
        hub.core.metrics.dropped(refusal.name());
        return Handled::Done;
    }
    // MQTT 3.1.1 cannot say that it should come again later: so it comes again from here.
    if version == Version::V3 && refusal == Refusal::QuotaExceeded {
        return Handled::Later(Box::new(wait_for_room(hub, REFUSED_PAUSE)));
    }
    let inbox = &mut session.kept.inbox;
    inbox.refused(publish.qos, publish.id, refusal, version);
    Handled::Done
}

fn wait_for_room<I: Inlet>(hub: &Hub<I>, pause: Duration) -> Hold {
    let inlet = Arc::clone(&hub.inlet);
    let room = async move {
        if !pause.is_zero() {
            sleep(pause).await;
        }
        inlet.room().await;
    };
    Hold::Room(Box::pin(room), hub.core.clock.steady())
}

fn handle_request(
    core: &Core,
    line: &Arc<Line>,
    session: &mut Session,
    (frame, out): (Frame<'_>, &mut BytesMut),
) -> Result<Handled, Violation> {
    match read_request(session.terms.version, frame)? {
        Request::Acknowledge(Ack::Pubrel, id, _) => {
            session.released(&core.exchange, line, id, out)?;
        }
        Request::Acknowledge(ack, id, code) => {
            session.acknowledged(&core.exchange, line, (ack, id, code), out)?;
        }
        Request::Ping => session.answers(out).pong(),
        Request::Subscribe(request) => {
            subscribing::subscribe(core, line, session, &request, out)?;
        }
        Request::Unsubscribe(request) => {
            subscribing::unsubscribe(core, line, session, &request, out)?;
        }
        Request::Disconnect(disconnect) => {
            session.farewell(&disconnect, seconds(core.config.session_expiry_max))?;
            return Ok(Handled::Farewell);
        }
        Request::Auth => {
            return Err(Violation::new(
                DisconnectReasonCode::BadAuthenticationMethod,
                "enhanced authentication is not offered",
            ));
        }
        Request::Connect => return Err(Violation::protocol("a second CONNECT")),
    }
    Ok(Handled::Done)
}

fn withdraw(receipt: Option<Receipt>) {
    if let Some(receipt) = receipt {
        receipt.withdraw();
    }
}
