//! Whether the disk takes what the spool writes. While it does not, nothing is acknowledged and the process lives on.

use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};

use super::shared::lock;

/// The disk as the last write found it.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Why the last write failed; none: it did not.
    cause: Mutex<Option<String>>,
    failures: AtomicU64,
}

impl Health {
    pub(super) fn failed(&self, cause: String) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        *lock(&self.cause) = Some(cause);
    }

    /// Tells whether it had failed before.
    pub(super) fn succeeded(&self) -> bool {
        lock(&self.cause).take().is_some()
    }

    pub(super) fn cause(&self) -> Option<String> {
        lock(&self.cause).clone()
    }
}
