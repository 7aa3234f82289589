//! Opening: the vault takes its place on the store that the spool uses. The writer does not run yet.

use std::sync::Arc;

use super::{
    intake::{Intake, Shared},
    records::Records,
    writer::VaultWriter,
};
use crate::{
    broker::archive::{Memory, RECORD_KEY_BYTES},
    config::SessionsConfig,
    store,
};

const _: () = assert!(
    RECORD_KEY_BYTES == store::KEY_BYTES,
    "the broker's keys are the store's"
);

/// Keeps the broker's records.
#[derive(Debug)]
pub struct Vault;

/// An open vault: the writer does not run yet.
#[derive(Debug)]
pub struct Opened {
    /// What the broker is given: the archive, and what it held. The records are read while they are asked for.
    pub memory: Memory,
    /// To be started; until then nothing is written.
    pub writer: VaultWriter,
}

impl Vault {
    /// Opens the vault on an open store. Install the metrics exporter first.
    #[must_use]
    pub fn open(config: &SessionsConfig, store: &store::Opened) -> Opened {
        if let Some(damage) = &store.log_damage {
            tracing::error!(
                aside = %damage.aside.display(),
                log_bytes = damage.log_bytes,
                cause = damage.cause,
                "sessions may have lost their last changes with the damaged log: subscriptions, queued and retained \
                 messages that were acknowledged; which ones is not known"
            );
        }
        let shared = Arc::new(Shared::new(config.group_bytes_max));
        let records = Records::new(Arc::clone(&store.store), Arc::clone(&shared));
        let intake = Intake {
            shared: Arc::clone(&shared),
        };
        Opened {
            memory: Memory {
                archive: Arc::new(intake),
                records: Box::new(records),
            },
            writer: VaultWriter::new(Arc::clone(&store.store), shared),
        }
    }
}
