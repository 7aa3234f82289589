//! The addresses that were bound, written to a file for whoever started the gateway on port 0.

use std::{fs, net::SocketAddr, path::Path};

use serde_json::json;

use super::GatewayError;

/// Where the gateway listens.
#[derive(Debug, Clone)]
pub(super) struct Addresses {
    pub(super) mqtt: Vec<SocketAddr>,
    pub(super) admin: Option<SocketAddr>,
}

impl Addresses {
    /// Says in the log where the gateway listens.
    pub(super) fn tell(&self) {
        for address in &self.mqtt {
            tracing::info!(%address, "listening for MQTT");
        }
        if let Some(address) = self.admin {
            tracing::info!(%address, "serving /metrics, /healthz, /readyz");
        }
    }

    /// Writes them as one JSON object; the file appears whole or not at all.
    pub(super) fn write(&self, path: &Path) -> Result<(), GatewayError> {
        let written = json!({
            "mqtt": self.mqtt,
            "admin": self.admin,
            "pid": std::process::id(),
        });
        let part = path.with_extension("part");
        fs::write(&part, format!("{written}\n"))
            .and_then(|()| fs::rename(&part, path))
            .map_err(|source| GatewayError::BoundFile {
                path: path.to_owned(),
                source,
            })
    }
}
