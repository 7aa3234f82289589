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
    line::{Inherited, Line, News},
    metrics::Ending,
    pulse::Ticks,
    registry::{Absence, Joined, adopt_outcomes},
    scratch::Scratch,
    session::{Admission, Agreement, Kept, Session, agree, seconds, too_large},
    stage::{Hold, Stage},
    wire::{
        Answers, Frame, Greeting, Publish, Reasons, Request, Version, Violation, frame,
        read_greeting, read_request,
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
            let handled = match frame(rest, self.core().config.packet_bytes_max) {
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
        if matches!(handled, Handled::Farewell) {
            self.depart(Ending::Client);
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
        };
        if let Some(reason) = refusal {
            return self.turn_away(version, reason, scratch);
        }
        let core = self.core();
        let credentials = Credentials {
            username: connect.username.as_deref(),
            password: connect.password.as_deref(),
            certificate: None,
            now: core.clock.now(),
        };
        match core.access.load().authentication.ask(&credentials) {
            Answer::Admitted(admitted) => self.admit((version, connect), admitted, scratch),
            Answer::Denied(denied) => self.turn_away(version, denied.into(), scratch),
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
            Err(denied) => self.turn_away(version, denied.into(), scratch),
        }
    }

    fn admit(
        &mut self,
        (version, connect): (Version, Connect),
        admitted: Admitted,
        scratch: &mut Scratch,
    ) {
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
        let Agreement {
            session,
            connack,
            clean,
        } = match agreed {
            Ok(agreement) => agreement,
            Err(reason) => return self.turn_away(version, reason, scratch),
        };
        let key = Key::new(&session.principal, &session.client_id);
        let now = core.pulse.now();
        let joined = core.registry.join(&key, &self.line, clean, now);
        self.session = Some(session);
        match joined {
            Joined::New(will) => {
                if let Some(will) = will {
                    self.hub.publish_will(will);
                }
                self.open(*connack, None, scratch);
            }
            Joined::Resumed(absence) => {
                let Absence { kept, line, .. } = *absence;
                adopt_outcomes(&kept, &line, &self.line);
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
        let Some(session) = &mut self.session else {
            return;
        };
        if let Some(kept) = kept {
            session.kept = *kept;
        }
        self.line.set_hears(session.hears());
        let mut answers = session.answers(&mut scratch.out);
        let written = answers.connack(connack);
        if written.is_ok() {
            session.resume(&mut answers);
        }
        self.stage = Stage::Open;
        let silence = self.silence_max();
        self.line.allow_silence(self.core().pulse.now(), silence);
        if too_large(written).is_err() {
            // Whatever is said to this client would be larger than it takes.
            self.core()
                .metrics
                .turned_away(ConnectAckReason::PacketTooLarge);
            self.depart(Ending::TurnedAway);
        } else {
            self.core().metrics.accepted();
        }
    }

    /// Takes settled receipts and messages to send.
    pub(crate) fn hear_outcomes(&mut self, news: &mut News, scratch: &mut Scratch) {
        let Some(session) = &mut self.session else {
            news.mail.clear();
            return;
        };
        if !news.mail.is_empty() {
            self.hub
                .core
                .metrics
                .messages
                .increment(u64::try_from(news.mail.len()).unwrap_or_default());
            let mut answers = session.answers(&mut scratch.out);
            for message in news.mail.drain(..) {
                session.send(message, &mut answers);
            }
        }
        if news.settled.is_empty() {
            return;
        }
        let version = session.terms.version;
        for settled in news.settled.drain(..) {
            session.kept.inbox.settled(settled, version);
        }
        if self.stage == Stage::Open {
            self.release(scratch);
        }
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
    let version = session.terms.version;
    let publish = Publish::read(version, frame)?;
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
    let rights = &hub.core.access.load().rights;
    if !rights.may_publish(&session.principal, topic) {
        return Ok(refuse(hub, session, &publish, Refusal::NotAuthorised));
    }
    let inbox = &mut session.kept.inbox;
    let receipt = (publish.qos != QoS::AtMostOnce).then(|| Receipt::new(line, inbox.next_turn()));
    let inbound = Inbound {
        identity: session.principal.identity(),
        topic,
        payload: publish.payload,
        payload_format_utf8: publish.payload_utf8,
        user_properties: &publish.user_properties,
    };
    let pause = match hub.inlet.offer(inbound, receipt) {
        Offer::Owed => {
            inbox.taken(publish.qos, publish.id);
            if let Some(count) = scratch
                .tally
                .publishes
                .get_mut(usize::from(publish.qos.value()))
            {
                *count += 1;
            }
            return Ok(Handled::Done);
        }
        Offer::Busy(receipt) => {
            withdraw(receipt);
            Duration::ZERO
        }
        Offer::Ordinary(receipt) => {
            withdraw(receipt);
            return Ok(refuse(hub, session, &publish, Refusal::NotAuthorised));
        }
        Offer::Refused(receipt, refusal) => {
            withdraw(receipt);
            return Ok(refuse(hub, session, &publish, refusal));
        }
    };
    Ok(Handled::Later(Box::new(wait_for_room(hub, pause))))
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
    line: &Line,
    session: &mut Session,
    (frame, out): (Frame<'_>, &mut BytesMut),
) -> Result<Handled, Violation> {
    let config = &core.config;
    match read_request(session.terms.version, frame)? {
        Request::Acknowledge(ack, id, code) => {
            let mut answers = session.answers(out);
            session.acknowledged(ack, (id, code), &mut answers)?;
            session.send_queued(&mut answers);
        }
        Request::Ping => session.answers(out).pong(),
        Request::Subscribe(subscribe) => {
            let codes = session.subscribe(&subscribe, config.subscriptions_max)?;
            line.set_hears(session.hears());
            too_large(
                session
                    .answers(out)
                    .suback(subscribe.packet_id.get(), &codes),
            )?;
        }
        Request::Unsubscribe(unsubscribe) => {
            let codes = session.unsubscribe(&unsubscribe);
            line.set_hears(session.hears());
            too_large(
                session
                    .answers(out)
                    .unsuback(unsubscribe.packet_id.get(), &codes),
            )?;
        }
        Request::Disconnect(disconnect) => {
            session.farewell(&disconnect, seconds(config.session_expiry_max))?;
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
