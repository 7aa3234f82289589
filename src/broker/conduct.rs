//! How a connection answers packets once its client is in: publishes and their offers, and the rest. The session decides;
//! here its decisions meet the exchange and the inlet. How a client comes in: [`super::arrival`].

use std::sync::Arc;

use bytes::BytesMut;
use rmqtt_codec::{types::QoS, v5::DisconnectReasonCode};
use tokio::time::{Duration, sleep};

use super::{
    connection::Connection,
    hub::{Core, Hub},
    inlet::{Inbound, Inlet, Offer, Receipt, Refusal, Sender},
    line::{Line, News, Settled, Verdict},
    metrics::Ending,
    ordinary::{self, NotTaken},
    paying::{Paid, fits, pay},
    pulse::Ticks,
    scratch::Scratch,
    session::{Admission, Mail, Session, seconds},
    stage::{Hold, Stage},
    subscribing,
    wire::{Ack, Frame, Publish, Request, Version, Violation, first_frame, frame, read_request},
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
    let access = hub.core.access.load();
    let is_for_reports = hub.inlet.is_for_reports(topic);
    if !is_for_reports && !access.rights.may_publish(&session.principal, topic) {
        return Ok(refuse(hub, session, &publish, Refusal::NotAuthorised));
    }
    let inbox = &mut session.kept.inbox;
    let receipt = (publish.qos != QoS::AtMostOnce).then(|| Receipt::new(line, inbox.next_turn()));
    let inbound = Inbound {
        topic,
        payload: publish.payload,
        payload_format_utf8: publish.payload_utf8,
        user_properties: &publish.user_properties,
        sender: Sender {
            principal: &session.principal,
            rights: &access.rights,
            core: &hub.core,
        },
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
        // Profiles may change between two looks: then it is a matter of rights after all.
        Offer::Ordinary(receipt)
            if is_for_reports && !access.rights.may_publish(&session.principal, topic) =>
        {
            withdraw(receipt);
            return Ok(refuse(hub, session, &publish, Refusal::NotAuthorised));
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
