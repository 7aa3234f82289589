//! Whether the disk takes what the spool writes. While it does not, nothing is acknowledged and the process lives on.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use tokio_util::sync::CancellationToken;

use super::shared::{Shared, lock};

/// The disk as the last write found it.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Why the last write failed; none: it did not.
    cause: Mutex<Option<String>>,
    closing: AtomicBool,
    /// Cancelled when the writer thread has ended, however it did.
    ended: CancellationToken,
}

impl Health {
    pub(super) fn failed(&self, cause: String) {
        *lock(&self.cause) = Some(cause);
    }

    /// Tells whether it had failed before.
    pub(super) fn succeeded(&self) -> bool {
        lock(&self.cause).take().is_some()
    }

    pub(super) fn cause(&self) -> Option<String> {
        lock(&self.cause).clone()
    }

    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    /// Tells, when it is dropped, that the writer thread has ended.
    pub(super) fn until_ended(&self) -> impl Drop + use<> {
        self.ended.clone().drop_guard()
    }
}

/// Tells whether the spool can acknowledge. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SpoolHealth {
    shared: Arc<Shared>,
}

impl SpoolHealth {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Why nothing is acknowledged at present, in one line; none if all is well.
    #[must_use]
    pub fn ailment(&self) -> Option<String> {
        if self.shared.health.ended.is_cancelled() {
            return Some("the spool's writer has ended".to_owned());
        }
        self.shared.health.cause()
    }

    /// Resolves when the writer thread has ended, whether it was asked to or not.
    pub async fn ended(&self) {
        self.shared.health.ended.cancelled().await;
    }
}
