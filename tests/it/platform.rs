//! The reference platform in the test's own process.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use prost::Message as _;
use sensegate::{
    harness::platform::{self, PlatformConfig, RunningPlatform, query::StoredData},
    normalise::{Classes, render},
    proto::platform::Reading,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::eventually;

/// A running platform and its data.
pub(crate) struct Platform {
    running: RunningPlatform,
    dir: PathBuf,
    _own: Option<TempDir>,
}

impl Platform {
    /// A platform with data of its own.
    pub(crate) async fn start() -> Self {
        let own = TempDir::new().unwrap();
        let mut platform = Self::start_in(own.path()).await;
        platform._own = Some(own);
        platform
    }

    /// A platform on data that outlives it.
    pub(crate) async fn start_in(dir: &Path) -> Self {
        Self::start_at(dir, SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// The same at the address that an earlier one had.
    pub(crate) async fn start_at(dir: &Path, listen: SocketAddr) -> Self {
        let mut config = PlatformConfig::local(dir.to_owned());
        config.listen = listen;
        let running = platform::start(config).await.unwrap();
        Self {
            running,
            dir: dir.to_owned(),
            _own: None,
        }
    }

    pub(crate) fn url(&self) -> String {
        self.running.url()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running.address()
    }

    /// Waits until exactly this many readings are stored.
    pub(crate) async fn holds(&self, readings: u64) {
        let handle = self.running.handle();
        eventually(&format!("{readings} readings stored"), || {
            handle.snapshot().readings >= readings
        })
        .await;
        assert_eq!(handle.snapshot().readings, readings);
    }

    /// A device's stored readings, in sequence, as the canonical JSON that gives them again.
    pub(crate) fn readings_of(&self, device: &str) -> Vec<Value> {
        let classes = Classes::embedded().unwrap();
        let mut found = Vec::new();
        StoredData::open(&self.dir)
            .unwrap()
            .readings(|stored| {
                if stored.device == device.as_bytes() {
                    let reading = Reading::decode(stored.reading).unwrap();
                    found.push(
                        render::canonical(classes.get(&reading.class_id).unwrap(), &reading)
                            .unwrap(),
                    );
                }
            })
            .unwrap();
        found
    }

    /// Stops it and closes its data: before the test's process ends, or the engine's threads would outlive what they
    /// stand on.
    pub(crate) async fn stop(self) {
        self.running.stop().await.unwrap();
    }
}
