//! Where limits meet a connection: every packet is paid for before it is looked at, and an end that a limit brought about
//! is entered in the book.

use rmqtt_codec::v5::{ConnectAckReason, DisconnectReasonCode};
use tokio::time::sleep;

use super::{
    connection::Connection,
    hub::Core,
    inlet::Inlet,
    limits::{Limit, Who},
    metrics::Ending,
    session::Session,
    stage::{Hold, Stage},
    wire::{Frame, Publish, Violation},
};
use crate::config::RatePolicy;

/// Whether a packet is paid for.
pub(crate) enum Paid {
    /// It is.
    Yes,
    /// The client is beyond its rate: the packet is to be handled later.
    Later(Box<Hold>),
    /// The client is beyond its rate and has to go.
    Never(Limit),
}

/// Pays for a packet from its client's rates.
pub(crate) fn pay(core: &Core, session: &mut Session, frame: Frame<'_>) -> Paid {
    let packet = (frame.first, frame.whole.len());
    let now = core.pulse.now();
    let Session {
        allowance,
        principal,
        ..
    } = session;
    match core.limits.spend(allowance, principal, now, packet) {
        Ok(()) => Paid::Yes,
        Err(overdrawn) => match core.limits.policy() {
            RatePolicy::Pause => Paid::Later(Box::new(Hold::Rate(Box::pin(sleep(overdrawn.wait))))),
            RatePolicy::Disconnect => Paid::Never(overdrawn.limit),
        },
    }
}

/// Whether a publish is of a size that is taken; an alias stands for a topic that was.
pub(crate) fn fits(core: &Core, session: &Session, publish: &Publish<'_>) -> Result<(), Violation> {
    let sizes = &core.config.limits.sizes;
    let levels = || publish.topic.bytes().filter(|&byte| byte == b'/').count() + 1;
    let (limit, reason, what) = if publish.topic.len() > sizes.topic_bytes_max {
        let what = "topic name is too long";
        (
            Limit::TopicBytes,
            DisconnectReasonCode::TopicNameInvalid,
            what,
        )
    } else if levels() > sizes.topic_levels_max {
        let what = "topic name has too many levels";
        (
            Limit::TopicLevels,
            DisconnectReasonCode::TopicNameInvalid,
            what,
        )
    } else if publish.user_properties.len() > sizes.user_properties_max {
        let what = "too many user properties";
        (
            Limit::UserProperties,
            DisconnectReasonCode::QuotaExceeded,
            what,
        )
    } else {
        return Ok(());
    };
    let who = Who::Principal(&session.principal);
    core.limits.bite(limit, who);
    Err(Violation::new(reason, what))
}

impl<I: Inlet> Connection<I> {
    /// Tells the door whether a client could prove who it is.
    pub(crate) fn judged(&self, refusal: Option<ConnectAckReason>) {
        match refusal {
            None => self.core().admission.proved(self.peer),
            Some(ConnectAckReason::BadUserNameOrPassword | ConnectAckReason::NotAuthorized) => {
                self.core().admission.failed(self.peer);
            }
            Some(_) => {}
        }
    }

    /// Enters the limit that brought the connection to its end, if one did.
    pub(crate) fn blame(&self, ending: Ending) {
        use DisconnectReasonCode as Reason;
        let limit = match ending {
            Ending::ConnectDeadline => Limit::ConnectDeadline,
            Ending::Stalled => Limit::Stall,
            Ending::Broker(Reason::PacketTooLarge) if self.stage == Stage::Greeting => {
                Limit::ConnectBytes
            }
            Ending::Broker(Reason::PacketTooLarge) => Limit::PacketBytes,
            Ending::Broker(Reason::ReceiveMaximumExceeded) => Limit::ReceiveMax,
            _ => return,
        };
        let who = match &self.session {
            Some(session) => Who::Principal(&session.principal),
            None => Who::Source(self.peer),
        };
        self.core().limits.bite(limit, who);
    }
}
