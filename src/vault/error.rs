//! What can go wrong in the vault, by what the caller can do about it.

use std::io;

use thiserror::Error;

use crate::store::StoreError;

/// A failure of the vault.
#[derive(Debug, Error)]
pub enum VaultError {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The records could not be read when the gateway started. Nothing is written over what is not known; start again
    /// when the disk can be read.
    #[error("sessions cannot be loaded: {cause}")]
    Unreadable {
        /// What the disk said.
        cause: String,
    },
    /// The vault was closed while changes still waited, and the disk took no writes.
    #[error(
        "vault closed with {calls} changes unwritten, because the disk took no writes: {cause}"
    )]
    Abandoned {
        /// Calls whose changes are lost; who waited for them was told so.
        calls: usize,
        /// What the disk said.
        cause: String,
    },
    /// The writer thread ended by a panic.
    #[error("the vault's writer thread panicked")]
    Panicked,
    /// The writer thread could not be made.
    #[error("vault: the writer thread: {0}")]
    Start(io::Error),
}
