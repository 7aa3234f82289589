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
pub use inlet::{Inbound, Inlet, Offer, Receipt, Refusal};
pub use limits::{METRICS as LIMIT_METRICS, Offender, Offenders};
pub use listener::BindError;
pub use metrics::METRICS;

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener},
    sync::Arc,
};

use tokio::net::TcpListener;

use self::{
    access::Access,
    archive::Memory,
    hub::{Core, Hub},
};
use crate::{
    config::{AuthConfig, MqttConfig},
    domain::Clock,
    supervise::TaskSet,
};

/// The broker, before it listens.
#[derive(Debug)]
pub struct Broker;

/// A broker that listens on every address and serves nobody yet.
#[derive(Debug)]
pub struct Bound {
    listeners: Vec<StdListener>,
    config: MqttConfig,
    access: Access,
}

impl Broker {
    /// Listens on every address of the configuration.
    ///
    /// # Errors
    /// An address cannot be listened on, or a file of access cannot be used.
    pub fn bind(mqtt: &MqttConfig, auth: &AuthConfig) -> Result<Bound, BindError> {
        if mqtt.listen.is_empty() {
            return Err(BindError::NoAddress);
        }
        let access = Access::load(auth)?;
        let listeners = mqtt.listen.iter().map(|&address| listener::listen(address));
        Ok(Bound {
            listeners: listeners.collect::<Result<_, _>>()?,
            config: mqtt.clone(),
            access,
        })
    }
}

impl Bound {
    /// The addresses listened on, with the ports that were chosen for port 0.
    ///
    /// # Errors
    /// The system does not say.
    pub fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.listeners.iter().map(StdListener::local_addr).collect()
    }

    /// Starts to serve: one task for each listener, one for those who wait to come in and one for the sweep in `tasks`, and one for each connection. What
    /// must survive a restart is kept in `memory`'s archive.
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
        let core = Core::new(self.config, self.access, clock, archive);
        let core = Arc::new(core);
        restore::restore(&core, records).tell();
        let hub = Arc::new(Hub {
            core: Arc::clone(&core),
            inlet,
        });
        for listener in self.listeners {
            let listener = TcpListener::from_std(listener)?;
            let intake = core.intakes.token();
            let accept = listener::accept(Arc::clone(&hub), listener, intake, tasks.token());
            tasks.spawn("mqtt-accept", accept);
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
