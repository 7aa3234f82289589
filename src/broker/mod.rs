//! The embedded MQTT broker: 3.1.1 and 5 on one port. It knows no reading and no disk: publishes leave through an
//! [`Inlet`], and an acknowledgement leaves for the client only when the receipt that went along is settled.
//!
//! ```text
//!  listener ─▶ connection (task) ─▶ wire ─▶ session ─▶ inlet.offer(publish, receipt)
//!                  ▲    ▲                                           │
//!                  │    └──────────── line ◀── receipt.settle ◀─────┘  (any thread)
//!                  │ sweep: keep-alive, deadlines, expiry
//!                  └ registry: sessions by identity and client id, here or away
//! ```
//!
//! Order of a stop: [`Handle::close_intake`], then whoever holds receipts settles them, then
//! [`Handle::disconnect_all`] sends what is owed and says good-bye.

mod inlet;
pub mod principal;
pub mod certificate;
pub mod auth;
pub mod rights;
pub mod access;
pub mod archive;
mod topics;
mod listener;
pub mod transport;
mod gate;
mod limits;
mod connection;
mod arrival;
mod conduct;
mod paying;
mod farewell;
mod stage;
mod scratch;
mod session;
mod subscribing;
mod ordinary;
mod exchange;
mod mailbox;
mod message;
mod records;
mod restore;
mod wire;
mod line;
mod lines;
mod key;
mod registry;
mod sweep;
mod pulse;
mod hub;
mod handle;
mod metrics;

pub use exchange::{Delivery, EXCHANGE_METRICS};
pub use handle::{Disconnected, Handle, MessageQos};
pub use inlet::{Inbound, Inlet, Offer, Receipt, Refusal, Sender};
pub use limits::{METRICS as LIMIT_METRICS, Offender, Offenders};
pub use listener::BindError;
pub use metrics::METRICS;
pub use transport::Reloaded;

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener as StdListener},
    sync::Arc,
};

use tokio::net::TcpListener;

use self::{
    access::Access,
    archive::Memory,
    hub::{Core, Hub},
    listener::Porch,
    transport::{Port, Transport},
};
use crate::{
    config::{self, AuthConfig, MqttConfig},
    domain::{Clock, SystemClock},
    supervise::TaskSet,
};

/// The broker, before it listens.
#[derive(Debug)]
pub struct Broker;

/// A broker that listens on every address and serves nobody yet.
#[derive(Debug)]
pub struct Bound {
    listeners: Vec<StdListener>,
    transport: Transport,
    config: MqttConfig,
    access: Access,
}

/// What a listener was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoundAddress {
    /// What carries MQTT there.
    pub transport: config::Transport,
    /// Address and port.
    pub address: SocketAddr,
}

impl fmt::Display for BoundAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.transport.scheme(), self.address)
    }
}

impl Broker {
    /// Listens on every address of the configuration.
    ///
    /// # Errors
    /// An address cannot be listened on, a file of access or a listener's certificates cannot be used.
    pub fn bind(mqtt: &MqttConfig, auth: &AuthConfig) -> Result<Bound, BindError> {
        if mqtt.listen.is_empty() {
            return Err(BindError::NoAddress);
        }
        let access = Access::load(auth)?;
        let transport = Transport::load(mqtt, Arc::new(SystemClock))?;
        let listeners = mqtt.listen.iter().map(|one| listener::listen(one.address));
        Ok(Bound {
            listeners: listeners.collect::<Result<_, _>>()?,
            transport,
            config: mqtt.clone(),
            access,
        })
    }
}

impl Bound {
    /// What is listened on, in the order of the configuration, with the ports that were chosen for port 0.
    ///
    /// # Errors
    /// The system does not say.
    pub fn addresses(&self) -> io::Result<Vec<BoundAddress>> {
        let bound = |(listener, port): (&StdListener, &Arc<Port>)| {
            Ok(BoundAddress {
                transport: port.kind(),
                address: listener.local_addr()?,
            })
        };
        self.listeners
            .iter()
            .zip(self.transport.ports())
            .map(bound)
            .collect()
    }

    /// Starts to serve: one task for each listener, one for those who wait to come in and one for the sweep in `tasks`, and
    /// one for each connection. What must survive a restart is kept in `memory`'s archive.
    ///
    /// # Errors
    /// A listener cannot be handed to the runtime.
    pub fn serve<I: Inlet>(
        self,
        inlet: Arc<I>,
        clock: Arc<dyn Clock>,
        memory: Memory,
        tasks: &mut TaskSet,
    ) -> io::Result<Handle> {
        let Memory { archive, records } = memory;
        let core = Core::new(self.config, self.access, self.transport, clock, archive);
        let core = Arc::new(core);
        restore::restore(&core, records).tell();
        let hub = Arc::new(Hub {
            core: Arc::clone(&core),
            inlet,
        });
        for (listener, port) in self.listeners.into_iter().zip(core.transport.ports()) {
            let listener = TcpListener::from_std(listener)?;
            let intake = core.intakes.token();
            let porch = Porch::new(Arc::clone(&hub), Arc::clone(port));
            tasks.spawn("mqtt-accept", porch.accept(listener, intake, tasks.token()));
        }
        let intake = core.intakes.token();
        let admit = listener::admit(Arc::clone(&hub), intake, tasks.token());
        tasks.spawn("mqtt-admission", admit);
        tasks.spawn("mqtt-sweep", sweep::sweep(hub, tasks.token()));
        Ok(Handle::new(core))
    }
}

#[cfg(feature = "fuzz")]
pub mod fuzz;
#[cfg(test)]
mod tests;
