//! A publish that is no reading: ordinary MQTT, from the publisher's session to whoever subscribed.

use bytes::Bytes;
use rmqtt_codec::types::QoS;

use super::{
    archive::Changes,
    exchange::{Dispatch, Routed},
    hub::Core,
    inlet::Receipt,
    message::Message,
    records,
    session::Session,
    wire::Publish,
};

/// Why a publish was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// The archive has no room for what has to be recorded: it is offered again.
    NoRoom,
    /// No more retained messages are kept, or none as large.
    Full,
}

/// Hands a publish on; its acknowledgement is owed or answered.
pub(crate) fn publish(
    core: &Core,
    session: &mut Session,
    (publish, topic): (&Publish<'_>, &str),
    receipt: Option<Receipt>,
) -> Result<(), NotTaken> {
    let retained_max = core.config.limits.retained.payload_bytes_max;
    if publish.retain && publish.payload.len() > retained_max {
        if let Some(receipt) = receipt {
            receipt.withdraw();
        }
        return Err(NotTaken::Full);
    }
    let message = Message {
        topic: Box::from(topic),
        payload: Bytes::copy_from_slice(publish.payload),
        forwarded: publish.forwarded(),
        qos: publish.qos,
        retain: publish.retain,
        expires: core.expiry(publish.expiry_s),
        body: None,
    };
    let mut changes = Changes::default();
    if publish.qos == QoS::ExactlyOnce && session.lasts() {
        let number = session.numbered(&core.exchange, &mut changes);
        let key = records::received_key(number.get(), publish.id);
        changes.put(key, Vec::new());
    }
    let dispatch = Dispatch {
        message,
        from: session.kept.mailbox.as_ref().map(|mailbox| mailbox.id),
        changes,
        receipt,
    };
    let inbox = &mut session.kept.inbox;
    match core.exchange.route(&core.registry, dispatch).0 {
        Routed::Now(receipt, code) => {
            if let Some(receipt) = receipt {
                receipt.withdraw();
            }
            inbox.handed(publish.qos, publish.id, code);
            Ok(())
        }
        Routed::Later => {
            inbox.taken(publish.qos, publish.id);
            Ok(())
        }
        Routed::NoRoom => Err(NotTaken::NoRoom),
        Routed::RetainedFull(receipt) => {
            if let Some(receipt) = receipt {
                receipt.withdraw();
            }
            Err(NotTaken::Full)
        }
    }
}
