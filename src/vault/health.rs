//! Whether the disk takes what the sessions need kept. While it does not, nobody is told `Durable` and the process lives
//! on.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::intake::{Shared, lock};

/// The disk as the last write found it, and the thread.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Why the last write failed; none: it did not.
    cause: std::sync::Mutex<Option<String>>,
    /// Cancelled when the writer thread has ended, however it did.
    ended: CancellationToken,
}

impl Health {
    /// Tells whether this is the first failure of an episode.
    pub(super) fn failed(&self, cause: String) -> bool {
        lock(&self.cause).replace(cause).is_none()
    }

    /// Tells whether it had failed before.
    pub(super) fn succeeded(&self) -> bool {
        lock(&self.cause).take().is_some()
    }

    pub(super) fn end(&self) {
        self.ended.cancel();
    }
}

/// Tells whether what sessions need kept is kept. Cheap to clone.
#[derive(Debug, Clone)]
pub struct VaultHealth {
    shared: Arc<Shared>,
}

impl VaultHealth {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Why nothing is kept at present, in one line; none if all is well.
    #[must_use]
    pub fn ailment(&self) -> Option<String> {
        let health = &self.shared.health;
        if health.ended.is_cancelled() {
            return Some("the vault's writer has ended".to_owned());
        }
        let cause = lock(&health.cause).clone();
        cause.map(|cause| format!("sessions are not kept: {cause}"))
    }

    /// Resolves when the writer thread has ended, whether it was asked to or not.
    pub async fn ended(&self) {
        self.shared.health.ended.cancelled().await;
    }
}
