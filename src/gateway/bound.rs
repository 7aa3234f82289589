//! The addresses that were bound, written to a file for whoever started the gateway on port 0.

use std::{fs, net::SocketAddr, path::Path};

use serde_json::{Map, Value, json};

use super::GatewayError;
use crate::{broker::BoundAddress, config::Transport};

/// Where the gateway listens.
#[derive(Debug, Clone)]
pub(super) struct Addresses {
    pub(super) mqtt: Vec<BoundAddress>,
    pub(super) admin: Option<SocketAddr>,
}

impl Addresses {
    /// Says in the log where the gateway listens.
    pub(super) fn tell(&self) {
        for BoundAddress { transport, address } in &self.mqtt {
            tracing::info!("listening for MQTT at {}://{address}", transport.scheme());
        }
        if let Some(address) = self.admin {
            tracing::info!(%address, "serving /metrics, /healthz, /readyz");
        }
    }

    /// Writes them as one JSON object, MQTT's by scheme and in the order of the configuration; the file appears whole
    /// or not at all.
    pub(super) fn write(&self, path: &Path) -> Result<(), GatewayError> {
        let of = |transport| {
            let bound = self.mqtt.iter().filter(|one| one.transport == transport);
            bound.map(|one| one.address).collect::<Vec<_>>()
        };
        let mut written = Map::new();
        for transport in Transport::ALL {
            written.insert(transport.scheme().to_owned(), json!(of(transport)));
        }
        written.insert("admin".to_owned(), json!(self.admin));
        written.insert("pid".to_owned(), json!(std::process::id()));
        let written = Value::Object(written);
        let part = path.with_extension("part");
        fs::write(&part, format!("{written}\n"))
            .and_then(|()| fs::rename(&part, path))
            .map_err(|source| GatewayError::BoundFile {
                path: path.to_owned(),
                source,
            })
    }
}
