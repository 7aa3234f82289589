//! How a connection ends: the last word, and where its session and its will go.

use std::sync::Arc;

use rmqtt_codec::v5::DisconnectReasonCode;

use super::{
    archive::Changes,
    connection::Connection,
    inlet::Inlet,
    key::Key,
    limits::{Limit, Who},
    line::Signals,
    metrics::Ending,
    pulse::Ticks,
    registry::{Absence, Leaving},
    scratch::Scratch,
    session::{Mail, Presence, Session, Subscription, Will},
    stage::Stage,
    wire::{Version, Violation},
};

/// Whether a connection has its session or waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    Settled,
    Waiting,
}

impl<I: Inlet> Connection<I> {
    /// Takes what the sweep, a successor, a reload or a stop had to say.
    pub(crate) fn hear_signals(&mut self, signals: Signals, scratch: &mut Scratch) {
        if signals.has(Signals::MAIL)
            && let Some(session) = &mut self.session
        {
            session.mail = Mail::Waits;
        }
        let open = matches!(self.stage, Stage::Greeting | Stage::Claiming | Stage::Open);
        if signals.has(Signals::ABORT) {
            if open {
                self.depart(Ending::Broker(DisconnectReasonCode::ServerShuttingDown));
            }
            self.stage = Stage::Done;
        } else if !open {
            if signals.has(Signals::SILENT) || signals.has(Signals::STALLED) {
                self.stage = Stage::Done;
            }
        } else if signals.has(Signals::TAKEN_OVER) {
            self.dismiss(DisconnectReasonCode::SessionTakenOver, None, scratch);
        } else if signals.has(Signals::SHUTDOWN) {
            self.dismiss(DisconnectReasonCode::ServerShuttingDown, None, scratch);
        } else if signals.has(Signals::EXPIRED) {
            let what = Some("the credentials have expired");
            self.dismiss(DisconnectReasonCode::NotAuthorized, what, scratch);
        } else if signals.has(Signals::RECHECK) && !self.may_stay() {
            let what = Some("the credentials are revoked or the rights have changed");
            self.dismiss(DisconnectReasonCode::NotAuthorized, what, scratch);
        } else if signals.has(Signals::STALLED) {
            self.depart(Ending::Stalled);
            self.stage = Stage::Done;
        } else if signals.has(Signals::SILENT) {
            if self.stage == Stage::Open {
                self.dismiss(DisconnectReasonCode::KeepAliveTimeout, None, scratch);
            } else {
                self.depart(Ending::ConnectDeadline);
                self.stage = Stage::Done;
            }
        }
    }

    fn may_stay(&self) -> bool {
        self.session.as_ref().is_none_or(|session| {
            let access = self.core().access.load();
            let now = self.core().clock.now();
            let principal = &session.principal;
            let may_hear = |subscription: &Subscription| {
                let filter = subscription.inner();
                access.rights.may_subscribe(principal, filter)
            };
            let shown = self.certificate();
            let checked = access.recheck(principal, shown.as_deref(), session.until, now);
            checked.is_ok() && !self.is_listed() && session.kept.subscriptions.iter().all(may_hear)
        })
    }

    /// The client broke the protocol.
    pub(crate) fn violate(&mut self, violation: Violation, scratch: &mut Scratch) {
        let version = self
            .session
            .as_ref()
            .map_or(Version::V5, |s| s.terms.version);
        self.core().metrics.violated(version);
        tracing::debug!(
            reason = ?violation.reason,
            what = violation.what,
            principal = self.session.as_ref().map(|s| tracing::field::display(&s.principal)),
            "client broke the protocol"
        );
        self.release(scratch);
        self.dismiss(violation.reason, Some(violation.what), scratch);
    }

    /// Ends the connection with a last word.
    pub(crate) fn dismiss(
        &mut self,
        reason: DisconnectReasonCode,
        what: Option<&'static str>,
        scratch: &mut Scratch,
    ) {
        if self.stage == Stage::Open
            && let Some(session) = &self.session
        {
            let mut answers = session.answers(&mut scratch.out);
            // The connection ends with or without the word.
            answers.disconnect(reason.into(), what).unwrap_or_default();
        }
        self.depart(Ending::Broker(reason));
    }

    /// The connection's session goes where it belongs. Once; what is still to be sent leaves afterwards.
    pub(crate) fn depart(&mut self, ending: Ending) {
        if !matches!(self.stage, Stage::Greeting | Stage::Claiming | Stage::Open) {
            return;
        }
        self.blame(ending);
        self.stage = Stage::Leaving;
        self.core().metrics.ended(ending);
        self.line
            .allow_silence(self.core().pulse.now(), Ticks::NEVER);
        self.line.arriving(None);
        self.hold = None;
        let claim = match self.connack.take() {
            Some(_) => Claim::Waiting,
            None => Claim::Settled,
        };
        if let Some(session) = self.session.take() {
            self.leave(*session, claim);
        }
        self.intake = None;
    }

    fn leave(&self, mut session: Session, claim: Claim) {
        let core = self.core();
        let now = core.pulse.now();
        let key = Key::new(&session.principal, &session.client_id);
        let expires = now.plus(Ticks::from_seconds(session.expiry_s));
        if let Some(mailbox) = self.line.take_mailbox() {
            session.kept.mailbox.get_or_insert(mailbox);
        }
        if let Some(mailbox) = &session.kept.mailbox {
            mailbox.detach(&self.line, &core.exchange.postage);
        }
        let delays = |will: &Will| will.delay_s > 0 && session.expiry_s > 0;
        let due = match &session.will {
            Some(will) if claim == Claim::Waiting || delays(will) => None,
            _ => session.will.take(),
        };
        let leaving = if session.expiry_s == 0 {
            Leaving::Ends(Box::new(session.kept))
        } else if claim == Claim::Waiting {
            Leaving::Unclaimed(expires)
        } else {
            session.kept.interrupt();
            let mut changes = Changes::default();
            if session.put_record_as(Presence::Away(core.clock.now()), &mut changes) {
                core.exchange.archive.note(changes, None);
            }
            let will = session.will.take();
            Leaving::Stays(Box::new(Absence {
                kept: Box::new(session.kept),
                expires,
                will: will.map(|will| (now.plus(Ticks::from_seconds(will.delay_s)), will)),
                line: Some(Arc::clone(&self.line)),
            }))
        };
        let left = core.registry.leave(&key, &self.line, leaving);
        if left.no_room {
            core.metrics.away_lost.increment(1);
            let who = Who::Principal(&session.principal);
            core.limits.bite(Limit::SessionsAway, who);
        }
        if let Some(ended) = left.ended {
            ended.retire(&core.exchange);
        }
        for will in due.into_iter().chain(left.will) {
            self.hub.publish_will(will);
        }
    }
}
