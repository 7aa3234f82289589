//! How a client comes in: its CONNECT, the proof of who it is, the claim of its session, CONNACK.

use std::sync::Arc;

use rmqtt_codec::v5::{Connect, ConnectAck, ConnectAckReason};

use super::{
    auth::{Admitted, Answer, Credentials, Denied},
    connection::Connection,
    gate::Entry,
    inlet::Inlet,
    key::Key,
    limits::{Limit, Who},
    line::Inherited,
    metrics::Ending,
    registry::{Absence, Joined},
    scratch::Scratch,
    session::{Agreement, Kept, agree, too_large},
    stage::{Hold, Stage},
    wire::{Answers, Frame, Greeting, Reasons, Version, Violation, read_greeting},
};

impl<I: Inlet> Connection<I> {
    pub(crate) fn greet(
        &mut self,
        frame: Frame<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), Violation> {
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
        // Who was revoked while the check ran had no session yet that could be ended.
        let outcome = outcome.and_then(|admitted| {
            let core = self.core();
            let shown = self.certificate();
            let (principal, until) = (&admitted.principal, admitted.until);
            let access = core.access.load();
            access.recheck(principal, shown.as_deref(), until, core.clock.now())?;
            Ok(admitted)
        });
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
}
