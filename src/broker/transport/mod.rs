//! What carries MQTT: TCP, TLS, WebSocket, and WebSocket over TLS. A [`Stream`] is bytes of MQTT whatever is below; its
//! handshakes are made while the connection's task reads or writes, so a silent one costs that connection and nothing
//! else, and meets the deadline of CONNECT.
//!
//! ```text
//!  listener ──accept──▶ [PROXY header] ──▶ gate ──▶ Port::stream ──▶ connection
//!                                                       │
//!            Tcp ── socket        Ws  ── websocket ── socket
//!            Tls ── tls ── socket Wss ── websocket ── tls ── socket
//! ```
//!
//! Each listener is a [`Port`]. What its certificates make is replaced as a whole by [`Transport::reload`]; connections
//! that are open keep what they were made with.

pub mod frame;
mod material;
mod metrics;
pub mod proxy;
mod stream;
mod tls;
pub mod upgrade;
mod websocket;

use std::{net::IpAddr, sync::Arc};

use arc_swap::ArcSwap;
use ipnet::IpNet;
use rustls::ServerConfig;
use thiserror::Error;
use tokio::net::TcpStream;

use self::{
    material::Material,
    metrics::{Handshakes, expires, reloaded},
    tls::TlsStream,
    websocket::WebSocket,
};
pub use self::{material::MaterialFault, metrics::METRICS};
pub(crate) use self::{metrics::Unannounced, stream::Stream};
use super::certificate::PeerCertificate;
use crate::{
    config::{ListenerConfig, MqttConfig, ProxyConfig, TlsConfig, Transport as Kind},
    domain::Clock,
};

/// A WebSocket message may have this many bytes even where packets are bounded lower: clients put several in one.
const MESSAGE_BYTES_MIN: u32 = 64 * 1024;

/// A listener whose certificates cannot be used.
#[derive(Debug, Error)]
#[error("{listener}: {fault}")]
#[expect(
    clippy::module_name_repetitions,
    reason = "it is named beside the errors of other stages"
)]
pub struct TransportError {
    /// The listener.
    pub listener: String,
    /// What is wrong.
    pub fault: MaterialFault,
}

/// What reading certificates again came to, listeners counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// New material is in force.
    pub replaced: usize,
    /// The files hold what they held.
    pub unchanged: usize,
    /// The files are wrong, the old material stays in force.
    pub failed: usize,
}

/// All listeners' transports.
#[derive(Debug)]
pub(crate) struct Transport {
    ports: Vec<Arc<Port>>,
    clock: Arc<dyn Clock>,
}

/// One listener's transport.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) name: Box<str>,
    kind: Kind,
    proxy: ProxyConfig,
    secure: Option<Secure>,
    handshakes: Handshakes,
    message_bytes_max: u32,
}

#[derive(Debug)]
struct Secure {
    files: TlsConfig,
    material: ArcSwap<Material>,
}

impl Transport {
    /// Reads the certificates of every listener.
    pub(crate) fn load(config: &MqttConfig, clock: Arc<dyn Clock>) -> Result<Self, TransportError> {
        let ports = config
            .listen
            .iter()
            .map(|listener| Port::open(listener, config.packet_bytes_max, &clock).map(Arc::new));
        Ok(Self {
            ports: ports.collect::<Result<_, _>>()?,
            clock,
        })
    }

    /// The listeners, in the order of the configuration.
    pub(crate) fn ports(&self) -> impl Iterator<Item = &Arc<Port>> {
        self.ports.iter()
    }

    /// Reads the certificates of every listener again; each is replaced as a whole or stays. Reads files: not for a
    /// worker of the runtime.
    pub(crate) fn reload(&self) -> Reloaded {
        let mut total = Reloaded::default();
        for port in &self.ports {
            port.reload(&self.clock, &mut total);
        }
        total
    }

    /// Whether a revocation list of any listener in force now holds the certificate.
    pub(crate) fn is_revoked(&self, certificate: &PeerCertificate) -> bool {
        self.ports
            .iter()
            .filter_map(|port| port.secure.as_ref())
            .any(|secure| secure.material.load().is_revoked(certificate))
    }
}

impl Port {
    fn open(
        listener: &ListenerConfig,
        packet_bytes_max: u32,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, TransportError> {
        let name = listener.to_string();
        let secure = match &listener.tls {
            None => None,
            Some(files) => {
                let loaded = Material::load(files, listener.transport, clock);
                let material = loaded.map_err(|fault| TransportError {
                    listener: name.clone(),
                    fault,
                })?;
                announce(&name, &material);
                Some(Secure {
                    files: files.clone(),
                    material: ArcSwap::from_pointee(material),
                })
            }
        };
        Ok(Self {
            name: name.into(),
            kind: listener.transport,
            proxy: listener.proxy.clone(),
            secure,
            handshakes: Handshakes::new(listener.transport),
            message_bytes_max: packet_bytes_max.max(MESSAGE_BYTES_MIN),
        })
    }

    /// What carries MQTT here.
    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }

    /// Who may tell clients' addresses, if they are told at all.
    pub(crate) fn proxies(&self) -> Option<&[IpNet]> {
        match &self.proxy {
            ProxyConfig::Off => None,
            ProxyConfig::V2 { trusted } => Some(trusted),
        }
    }

    /// Whether an address may tell clients' addresses.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.proxies()
            .is_some_and(|trusted| trusted.iter().any(|network| network.contains(&address)))
    }

    /// The MQTT of a socket that was accepted here.
    ///
    /// # Errors
    /// TLS takes no session with its configuration, which was checked when it was made.
    pub(crate) fn stream(self: &Arc<Self>, socket: TcpStream) -> Result<Stream, rustls::Error> {
        let port = Arc::clone(self);
        let Some(secure) = &self.secure else {
            return Ok(match self.kind {
                Kind::WebSocket | Kind::SecureWebSocket => {
                    Stream::Ws(Box::new(WebSocket::new(socket, port)))
                }
                Kind::Tcp | Kind::Tls => Stream::Tcp(socket),
            });
        };
        let tls = TlsStream::new(socket, secure.server(), Arc::clone(self))?;
        Ok(match self.kind {
            Kind::WebSocket | Kind::SecureWebSocket => {
                Stream::Wss(Box::new(WebSocket::new(tls, port)))
            }
            Kind::Tcp | Kind::Tls => Stream::Tls(Box::new(tls)),
        })
    }

    fn reload(&self, clock: &Arc<dyn Clock>, total: &mut Reloaded) {
        let Some(secure) = &self.secure else { return };
        let listener = &*self.name;
        match secure
            .material
            .load()
            .reload(&secure.files, self.kind, clock)
        {
            Ok(None) => {
                reloaded("unchanged");
                total.unchanged += 1;
            }
            Ok(Some(material)) => {
                announce(listener, &material);
                secure.material.store(Arc::new(material));
                tracing::info!(listener, "certificates were read again and are in force");
                reloaded("replaced");
                total.replaced += 1;
            }
            Err(fault) => {
                tracing::error!(listener, %fault, "certificates stay as they were");
                reloaded("failed");
                total.failed += 1;
            }
        }
    }
}

impl Secure {
    fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.material.load().server)
    }
}

fn announce(listener: &str, material: &Material) {
    for warning in &material.warnings {
        tracing::warn!(listener, "{warning}");
    }
    expires(listener, material.not_after);
}

/// What `sensegate check` says of the listeners' certificates.
#[derive(Debug, Default)]
pub struct Examined {
    /// What keeps a listener from starting.
    pub faults: Vec<String>,
    /// What can be used, and an operator should know.
    pub warnings: Vec<String>,
}

/// Reads every listener's certificates without listening.
#[must_use]
pub fn examine(listeners: &[ListenerConfig], clock: &Arc<dyn Clock>) -> Examined {
    let mut examined = Examined::default();
    for listener in listeners {
        let Some(files) = &listener.tls else { continue };
        match Material::load(files, listener.transport, clock) {
            Ok(material) => {
                let warnings = material.warnings.iter();
                examined
                    .warnings
                    .extend(warnings.map(|warning| format!("{listener}: {warning}")));
            }
            Err(fault) => examined.faults.push(format!("{listener}: {fault}")),
        }
    }
    examined
}

#[cfg(test)]
mod tests;
