//! What can go wrong in the spool, by what the caller can do about it.

use std::io;

use thiserror::Error;

use crate::{
    domain::{Lane, Sequence, SequenceRange},
    store::StoreError,
};

/// A failure of the spool.
#[derive(Debug, Error)]
pub enum SpoolError {
    /// The store could not be opened, read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the spool knows of itself cannot be read: its disk needs an operator.
    #[error("spool: {what} cannot be read; move the data directory aside to start anew")]
    Book {
        /// Which record.
        what: &'static str,
    },
    /// An acknowledgement of sequences that were never committed: the platform speaks of another spool.
    #[error("lane {lane}: sequences {}..{} were acknowledged, but only those below {committed_next} were ever committed", range.first, range.next)]
    NotCommitted {
        /// The lane.
        lane: Lane,
        /// What was acknowledged.
        range: SequenceRange,
        /// The sequence behind the last one committed.
        committed_next: Sequence,
    },
    /// More refusals wait for the disk than are kept in memory; the platform will refuse again.
    #[error("lane {lane}: {waiting} refused readings wait for the disk already")]
    RefusalsWaiting {
        /// The lane.
        lane: Lane,
        /// How many wait.
        waiting: usize,
    },
    /// The writer did not answer in time: the disk takes no writes. Try again later.
    #[error("lane {0}: the spool's writer does not answer; see the readiness of the disk")]
    Unanswered(Lane),
    /// The writer did not answer an operator's order in time, or takes none: try again later.
    #[error("the spool's writer does not answer; what it does later is not done twice: try again")]
    Unreleased,
    /// The spool was closed while somebody still waited, and the disk took no writes.
    #[error(
        "spool closed with {receipts} receipts unsettled, because the disk took no writes: {cause}"
    )]
    Unsettled {
        /// Receipts that were dropped; their senders will send again.
        receipts: usize,
        /// What the disk said.
        cause: String,
    },
    /// The writer thread ended by a panic.
    #[error("the spool's writer thread panicked")]
    Panicked,
    /// The compressor or the writer thread could not be made.
    #[error("spool: {what}: {source}")]
    Start {
        /// What could not be made.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}
