//! The addresses that were bound, written to a file for whoever started the gateway on port 0.

use std::{fs, net::SocketAddr, path::Path};

use serde_json::json;

use super::GatewayError;
use crate::{broker::BoundAddress, config::Transport};

/// Where the gateway listens.
#[derive(Debug, Clone)]
pub(super) struct Addresses {
    pub(super) mqtt: Vec<BoundAddress>,
    pub(super) admin: Option<SocketAddr>,
}

impl Addresses {
    /// Says where the gateway listens, in the file if there is to be one, and in the log.
    pub(super) fn tell(&self, file: Option<&Path>) -> Result<(), GatewayError> {
        if let Some(path) = file {
            self.write(path)?;
        }
        for listener in &self.mqtt {
            tracing::info!(%listener, "listening for MQTT");
        }
        if let Some(address) = self.admin {
            tracing::info!(%address, "serving /metrics, /healthz, /readyz");
        }
        Ok(())
    }

    /// Writes them as one JSON object: all of MQTT's as URLs in the order of the configuration, and those of plain TCP
    /// as bare addresses. The file appears whole or not at all.
    fn write(&self, path: &Path) -> Result<(), GatewayError> {
        let plain = self
            .mqtt
            .iter()
            .filter(|one| one.transport == Transport::Tcp);
        let plain: Vec<SocketAddr> = plain.map(|one| one.address).collect();
        let listeners: Vec<String> = self.mqtt.iter().map(ToString::to_string).collect();
        let written = json!({
            "mqtt": plain,
            "listeners": listeners,
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
