//! A publish that is no reading: ordinary MQTT, from the publisher's session to whoever subscribed.

use bytes::Bytes;
use rmqtt_codec::types::QoS;

use super::{
    archive::Changes,
    exchange::{Dispatch, Routed},
    hub::Core,
    inlet::Receipt,
    limits::{Limit, Who},
    message::Message,
    records,
    session::Session,
    wire::{Publish, Version},
};

/// Why a publish was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// The archive has no room for what has to be recorded: it is offered again.
    NoRoom,
    /// No more retained messages are kept, or none as large.
    Full,
}

/// Hands a publish on; its acknowledgement is owed or answered. What cannot be retained is refused in MQTT 5; MQTT 3.1.1
/// has no word for that: there it is handed on and not retained.
pub(crate) fn publish(
    core: &Core,
    session: &mut Session,
    sent: (&Publish<'_>, &str),
    receipt: Option<Receipt>,
) -> Result<(), NotTaken> {
    let publish = sent.0;
    let bite = |limit, session: &Session| {
        core.limits.bite(limit, Who::Principal(&session.principal));
    };
    let retained_max = core.config.limits.retained.payload_bytes_max;
    let mut retain = publish.retain;
    if retain && publish.payload.len() > retained_max {
        bite(Limit::RetainedPayload, session);
        if session.terms.version == Version::V5 {
            withdraw(receipt);
            return Err(NotTaken::Full);
        }
        retain = false;
    }
    let routed = match route(core, session, (sent, retain), receipt) {
        Routed::RetainedFull(receipt) => {
            bite(Limit::Retained, session);
            if session.terms.version == Version::V5 {
                withdraw(receipt);
                return Err(NotTaken::Full);
            }
            route(core, session, (sent, false), receipt)
        }
        routed => routed,
    };
    let inbox = &mut session.kept.inbox;
    match routed {
        Routed::Now(receipt, code) => {
            withdraw(receipt);
            inbox.handed(publish.qos, publish.id, code);
            Ok(())
        }
        Routed::Later => {
            inbox.taken(publish.qos, publish.id);
            Ok(())
        }
        Routed::NoRoom | Routed::RetainedFull(_) => Err(NotTaken::NoRoom),
    }
}

fn route(
    core: &Core,
    session: &mut Session,
    ((publish, topic), retain): ((&Publish<'_>, &str), bool),
    receipt: Option<Receipt>,
) -> Routed {
    let message = Message {
        topic: Box::from(topic),
        payload: Bytes::copy_from_slice(publish.payload),
        forwarded: publish.forwarded(),
        qos: publish.qos,
        retain,
        expires: core.expiry(publish.expiry_s),
        taken_at: core.clock.now(),
        body: None,
    };
    let mut changes = Changes::default();
    if publish.qos == QoS::ExactlyOnce && session.lasts() {
        let number = session.numbered(&core.exchange);
        let key = records::received_key(number.get(), publish.id);
        changes.put(key, Vec::new());
    }
    let dispatch = Dispatch {
        message,
        from: session.kept.mailbox.as_ref().map(|mailbox| mailbox.id),
        changes,
        receipt,
    };
    core.exchange.route(&core.registry, dispatch).0
}

fn withdraw(receipt: Option<Receipt>) {
    if let Some(receipt) = receipt {
        receipt.withdraw();
    }
}
