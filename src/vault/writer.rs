//! The writer thread: the one place where the broker is told that something is durable.
//!
//! ```text
//! take the open group ─▶ coalesce ─▶ one write, synced if anybody waits ─▶ tell, in the order of the calls
//! ```
//! A write that fails is repeated until it succeeds; only a vault that is being closed gives up. Meanwhile nobody is told
//! anything, and the bound on waiting bytes holds the broker back.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{
    error::VaultError,
    group::{Coalesced, Group, Urgency},
    health::VaultHealth,
    intake::{Door, Shared},
};
use crate::{
    broker::archive::Written,
    store::{Durability, Store, StoreError},
};

/// Pause before a failed write is repeated.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// How often a failed write is repeated once the vault is to be closed.
const CLOSING_ATTEMPTS: u32 = 3;

/// What is asked of the disk.
#[derive(Debug, Clone, Copy)]
enum Ask<'a> {
    Write(&'a Coalesced, Durability),
    Sync,
}

/// The writer before its thread runs.
#[derive(Debug)]
pub struct VaultWriter {
    store: Arc<Store>,
    shared: Arc<Shared>,
    /// Something was written and not synced.
    unsynced: bool,
}

impl VaultWriter {
    pub(super) const fn new(store: Arc<Store>, shared: Arc<Shared>) -> Self {
        Self {
            store,
            shared,
            unsynced: false,
        }
    }

    /// Starts the thread `vault-writer`.
    ///
    /// # Errors
    /// The system makes no thread.
    pub fn start(self) -> Result<RunningWriter, VaultError> {
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new()
            .name("vault-writer".to_owned())
            .spawn(move || self.run())
            .map_err(VaultError::Start)?;
        Ok(RunningWriter { shared, thread })
    }

    fn run(mut self) -> Result<(), VaultError> {
        let shared = Arc::clone(&self.shared);
        let _ended = Ended(&shared);
        loop {
            let (mut group, door) = self.shared.take();
            if let Door::Condemned(cause) = door {
                tell(&mut group, Written::Abandoned);
                self.shared.settled();
                return Err(VaultError::Unreadable { cause });
            }
            if group.is_empty() {
                if door == Door::Closed {
                    break;
                }
                continue;
            }
            if let Err(cause) = self.commit(&mut group) {
                return Err(self.abandon(group, cause));
            }
            tell(&mut group, Written::Durable);
            self.shared.settled();
        }
        if self.unsynced {
            self.ask(Ask::Sync)
                .map_err(|cause| VaultError::Abandoned { calls: 0, cause })?;
        }
        Ok(())
    }

    /// Brings a group to the disk; the error is why the disk took it not, and comes only once the vault is to be closed.
    fn commit(&mut self, group: &mut Group) -> Result<(), String> {
        let begun = Instant::now();
        let left = group.coalesced(|key| self.store.is_surely_absent(key));
        let durability = match group.urgency {
            Urgency::Now => Durability::Synced,
            Urgency::Whenever => Durability::Buffered,
        };
        if !left.batch.is_empty() {
            self.ask(Ask::Write(&left, durability))?;
            self.unsynced = durability == Durability::Buffered;
        } else if self.unsynced && durability == Durability::Synced {
            self.ask(Ask::Sync)?;
            self.unsynced = false;
        }
        self.shared.metrics.committed(&left, begun.elapsed());
        Ok(())
    }

    fn ask(&self, ask: Ask<'_>) -> Result<(), String> {
        let mut closing_attempts = 0;
        loop {
            let done = match ask {
                Ask::Write(left, durability) => self.store.write(&left.batch, durability),
                Ask::Sync => self.store.sync(),
            };
            let Err(fault) = done else {
                break;
            };
            self.failed(&fault);
            if !self.shared.is_open() {
                closing_attempts += 1;
            }
            if closing_attempts >= CLOSING_ATTEMPTS {
                return Err(fault.to_string());
            }
            thread::sleep(RETRY_PAUSE);
        }
        if self.shared.health.succeeded() {
            self.shared.metrics.write_succeeded();
            tracing::info!("the disk takes what sessions need kept again");
        }
        Ok(())
    }

    fn failed(&self, fault: &StoreError) {
        if self.shared.health.failed(fault.to_string()) {
            tracing::error!(%fault, "the disk takes no writes: nothing of the sessions is kept until it does");
        }
        self.shared.metrics.write_failed();
    }

    /// The vault is to be closed and the disk takes nothing: says so to everybody who waits.
    fn abandon(&self, mut group: Group, cause: String) -> VaultError {
        let mut calls = 0;
        while !group.is_empty() {
            calls += group.calls;
            tell(&mut group, Written::Abandoned);
            (group, _) = self.shared.take();
        }
        self.shared.settled();
        VaultError::Abandoned { calls, cause }
    }
}

fn tell(group: &mut Group, written: Written) {
    for then in group.thens.drain(..) {
        then(written);
    }
}

/// When the thread ends, however it does, nothing may wait for it any more.
struct Ended<'a>(&'a Shared);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.shut(Door::Closed);
        self.0.health.end();
    }
}

/// The running writer.
#[derive(Debug)]
pub struct RunningWriter {
    shared: Arc<Shared>,
    thread: JoinHandle<Result<(), VaultError>>,
}

impl RunningWriter {
    /// Tells whether what sessions need kept is kept.
    #[must_use]
    pub fn health(&self) -> VaultHealth {
        VaultHealth::new(Arc::clone(&self.shared))
    }

    #[cfg(test)]
    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Resolves when all that was put in is written and everybody has been told; not while the disk takes no writes.
    pub async fn drained(&self) {
        self.shared.drained().await;
    }

    /// Takes no more, writes and syncs what is there, tells everybody, and joins the thread. Blocks on the disk. Whoever
    /// comes later is told `Abandoned` at once, on their own thread.
    ///
    /// # Errors
    /// The disk took no writes, so changes were abandoned; the records could not be loaded; or the thread had panicked.
    pub fn close(self) -> Result<(), VaultError> {
        self.shared.shut(Door::Closed);
        self.thread.join().unwrap_or(Err(VaultError::Panicked))
    }
}
