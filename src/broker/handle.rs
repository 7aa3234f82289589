//! What others may ask of the running broker: to deliver a message to a device, and to stop in order.

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use rmqtt_codec::types::QoS;
use tokio::time::timeout;

use super::{
    access::{Access, AccessError, metrics},
    archive::Changes,
    exchange::{Delivery, Dispatch, Routed},
    hub::Core,
    limits::Offenders,
    line::Signals,
    message::Message,
    session::down_topic,
    transport::Reloaded,
};
use crate::{config::AuthConfig, domain::Identity};

/// How long aborted connections may take to notice.
const ABORT_DEADLINE: Duration = Duration::from_secs(1);

/// A handle to the running broker; cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(super) core: Arc<Core>,
}

/// How carefully a message is delivered to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "MQTT's own names")]
pub enum MessageQos {
    /// At most once; not kept for a client that is away.
    AtMostOnce,
    /// At least once.
    AtLeastOnce,
    /// Exactly once.
    ExactlyOnce,
}

impl From<MessageQos> for QoS {
    fn from(how: MessageQos) -> Self {
        match how {
            MessageQos::AtMostOnce => Self::AtMostOnce,
            MessageQos::AtLeastOnce => Self::AtLeastOnce,
            MessageQos::ExactlyOnce => Self::ExactlyOnce,
        }
    }
}

/// How the connections ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disconnected {
    /// Connections that had to be cut at the deadline.
    pub cut: usize,
}

impl Handle {
    pub(super) const fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Queues a message on `v1/{class}/{device}/down` for every session that subscribed to it: the device's own, and any
    /// that may hear it. For sessions that outlive a restart it is durable before it is sent. It is sent within the
    /// client's receive maximum, repeated when the client comes back, and dropped if it is larger than the client takes.
    /// `None`: there is no room for what has to be recorded; try again later.
    #[must_use]
    pub fn deliver(
        &self,
        identity: &Identity,
        payload: Bytes,
        how: MessageQos,
    ) -> Option<Delivery> {
        let dispatch = Dispatch {
            message: Message {
                topic: down_topic(identity),
                payload,
                forwarded: Box::default(),
                qos: how.into(),
                retain: false,
                expires: None,
                taken_at: self.core.clock.now(),
                body: None,
            },
            from: None,
            changes: Changes::default(),
            receipt: None,
        };
        let (routed, delivery) = self.core.exchange.route(&self.core.registry, dispatch);
        match routed {
            Routed::Now(..) | Routed::Later | Routed::RetainedFull(_) => Some(delivery),
            Routed::NoRoom => None,
        }
    }

    /// Reads anew who may come in and what they may do; what is in force stays so. Blocks: not for a worker of the
    /// runtime.
    ///
    /// # Errors
    /// All that is wrong with the files.
    pub fn read_access(&self, config: &AuthConfig) -> Result<Access, AccessError> {
        Access::load_after(config, Some(&self.core.access.load()))
    }

    /// Puts it in force, for those who are in as well: they are told to look whether they may stay.
    pub fn replace_access(&self, access: Access) {
        self.core.access.store(Arc::new(access));
        metrics::reloaded(metrics::Reloaded::InForce);
        self.core.lines.signal_all(Signals::RECHECK);
    }

    /// Counts an access that was read and could not be put in force.
    pub fn refuse_access(&self) {
        metrics::reloaded(metrics::Reloaded::Refused);
    }

    /// The files and folders that the access in force was read from.
    #[must_use]
    pub fn access_files(&self) -> Vec<PathBuf> {
        self.core.access.load().files().to_vec()
    }

    /// What an operator should see of the access in force: that anyone is let in, or may do anything.
    #[must_use]
    pub fn access_troubles(&self) -> Vec<String> {
        self.core.access.load().troubles()
    }

    /// Open connections.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.core.tasks.len()
    }

    /// Sockets that wait for their turn to come in.
    #[must_use]
    pub fn connects_waiting(&self) -> usize {
        self.core.admission.waiting()
    }

    /// Who ran into limits most often since the start.
    #[must_use]
    pub fn offenders(&self) -> Offenders {
        self.core.incidents.offenders()
    }

    /// Puts classes in force: each has a rate of its own, all other names share one.
    pub fn replace_classes<'a>(&self, classes: impl IntoIterator<Item = &'a str>) {
        self.core.limits.replace_classes(classes);
    }

    /// Sessions kept for clients that are away.
    #[must_use]
    pub fn sessions_away(&self) -> usize {
        self.core.registry.away()
    }

    /// Reads the listeners' certificates, keys and revocation lists again, each listener's as a whole or not at all.
    /// Open connections go on with what they were made with, and look whether their certificate is revoked now. Reads
    /// files: not for a worker of the runtime.
    #[must_use]
    pub fn reload_certificates(&self) -> Reloaded {
        let reloaded = self.core.transport.reload();
        if reloaded.replaced > 0 {
            self.core.lines.signal_all(Signals::RECHECK);
        }
        reloaded
    }

    /// Stops accepting and reading. When it resolves, no further publish will be offered; acknowledgements that are
    /// settled later are still sent.
    pub async fn close_intake(&self) {
        self.core.closing.cancel();
        self.core.close();
        self.core.lines.signal_all(Signals::LOOK);
        self.core.intakes.close();
        self.core.intakes.wait().await;
    }

    /// Sends every acknowledgement that is settled, says good-bye and closes. Connections that still have something to
    /// send at the deadline are cut.
    pub async fn disconnect_all(&self, deadline: Duration) -> Disconnected {
        self.close_intake().await;
        self.core.lines.signal_all(Signals::SHUTDOWN);
        self.core.tasks.close();
        if timeout(deadline, self.core.tasks.wait()).await.is_ok() {
            return Disconnected { cut: 0 };
        }
        let cut = self.core.tasks.len();
        self.core.lines.signal_all(Signals::ABORT);
        if timeout(ABORT_DEADLINE, self.core.tasks.wait())
            .await
            .is_err()
        {
            tracing::error!("MQTT connections did not end when they were cut");
        }
        Disconnected { cut }
    }
}
