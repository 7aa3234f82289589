//! What the broker must not forget, on the disk that the spool uses: sessions, their queues, retained messages.
//!
//! ```text
//!  broker ──append / note──▶ open group ──▶ vault-writer thread: coalesce ─▶ one synced batch ─▶ store
//!    ▲        (short lock)                            │                          (shared with the spool)
//!    └──────────── then(Durable) ◀────────────────────┘ in the order of the calls
//! ```
//! It knows records as the broker encodes them (ten bytes of key, bytes of value) and nothing of what they mean.
//!
//! Rules:
//! - Changes of one call happen together; calls take effect in their order; a group is one write batch.
//! - A call that somebody waits for, and every `append`, is in a synced write before anybody is told `Durable`; and
//!   whoever is told so may rely on all calls before it as well.
//! - A `note` that nobody waits for rides with the next synced write. If none comes within 50 ms it is written without a
//!   sync of its own: it then survives the process, and a loss of power may take it (never what came before it and not
//!   it). So only what does no harm when it is done again may be noted that way, as the deletion of a message that was
//!   delivered.
//! - A record that is set and removed within one group is not written, and if the store surely holds none under its key,
//!   neither is its removal. A group of which nothing is left needs no sync.
//! - A disk that takes no writes stops the writer, so that nothing is told `Durable`; it goes on by itself.
//!
//! Read in this order: `group`, `intake`, `writer`, `records`, `open`.

mod group;
mod intake;
mod health;
mod writer;
mod records;
mod open;
mod error;
mod metrics;
mod stat;
#[cfg(test)]
mod tests;

#[expect(
    clippy::module_name_repetitions,
    reason = "other stages have an error, a health and a writer of their own beside them"
)]
pub use self::{error::VaultError, health::VaultHealth, writer::VaultWriter};
pub use metrics::METRICS;
pub use open::{Opened, Vault};
pub use records::Records;
pub use stat::{KindStat, stat};
pub use writer::RunningWriter;
