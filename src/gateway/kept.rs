//! What the gateway keeps on disk: one store, opened once, with the spool and the vault on it. Each has a writer thread;
//! the store is closed when both have ended and nobody reads any more.

use std::sync::Arc;

use super::GatewayError;
use crate::{
    broker::{Receipt, archive},
    config::Config,
    domain::Clock,
    spool::{self, Quarantine, Recovery, Spool, SpoolHealth, SpoolInlet, SpoolReader},
    store::Store,
    supervise::TaskSet,
    vault::{self, Vault, VaultHealth},
};

const _: () = assert!(
    spool::KINDS.end <= archive::KINDS.start || archive::KINDS.end <= spool::KINDS.start,
    "the spool and the broker would write over each other's keys"
);

/// Spool and vault on one store, their writers running.
pub(super) struct Kept {
    pub(super) inlet: SpoolInlet<Receipt>,
    pub(super) reader: SpoolReader,
    pub(super) quarantine: Quarantine,
    pub(super) memory: archive::Memory,
    pub(super) writers: Writers,
}

impl Kept {
    pub(super) fn open(config: &Config, clock: &Arc<dyn Clock>) -> Result<Self, GatewayError> {
        let store = Spool::open_store(&config.spool, clock.now())?;
        let spool = Spool::open::<Receipt>(&config.spool, store.clone(), Arc::clone(clock))?;
        tell(&spool.recovery);
        let vault = Vault::open(&config.sessions, &store);
        Ok(Self {
            inlet: spool.inlet,
            reader: spool.reader,
            quarantine: spool.quarantine,
            memory: vault.memory,
            writers: Writers {
                vault: vault.writer.start()?,
                spool: spool.writer.start()?,
                store: store.store,
            },
        })
    }
}

/// The threads that write.
pub(super) struct Writers {
    vault: vault::RunningWriter,
    spool: spool::RunningWriter<Receipt>,
    /// The last to let go of it.
    store: Arc<Store>,
}

impl Writers {
    pub(super) fn spool_health(&self) -> SpoolHealth {
        self.spool.health()
    }

    pub(super) fn vault_health(&self) -> VaultHealth {
        self.vault.health()
    }

    /// A writer thread that ends by itself is a failure of the gateway.
    pub(super) fn watch(&self, tasks: &mut TaskSet) {
        let spool = self.spool.health();
        let stop = tasks.token();
        tasks.spawn("spool-watch", async move {
            tokio::select! {
                () = spool.ended() => Err("the spool's writer thread has ended".into()),
                () = stop.cancelled() => Ok(()),
            }
        });
        let vault = self.vault.health();
        let stop = tasks.token();
        tasks.spawn("vault-watch", async move {
            tokio::select! {
                () = vault.ended() => Err("the vault's writer thread has ended".into()),
                () = stop.cancelled() => Ok(()),
            }
        });
    }

    /// Resolves when everything that was put in is durable and everybody who waited has been told.
    pub(super) async fn drained(&self) {
        self.vault.drained().await;
        self.spool.drained().await;
    }

    /// Writes what is left and ends the threads, the vault's first. Blocks on the disk.
    pub(super) fn close(self) -> Result<(), GatewayError> {
        let vault = self.vault.close();
        let spool = self.spool.close();
        drop(self.store);
        vault?;
        Ok(spool?)
    }
}

fn tell(recovery: &Recovery) {
    if recovery.created {
        tracing::info!("a new spool was created: this is a new incarnation");
    }
    if let Some(damage) = &recovery.log_damage {
        tracing::error!(?damage, lost = ?recovery.lost, "the write-ahead log was damaged and is set aside");
    }
}
