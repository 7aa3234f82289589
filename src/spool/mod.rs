//! The durable queue: what is acknowledged to a device stands here until the platform holds it.
//!
//! ```text
//!  ingest ──append──▶ intake ──group──▶ writer thread ──one synced batch──▶ store
//!                     (short lock)        │  ▲                                │
//!  connection ◀──────settle───────────────┘  └─ inbox: delivered, refused     │
//!                                         └─▶ views, tail ──▶ reader ◀────────┘ ──▶ uplink
//! ```
//! Three lanes, each with a gapless sequence: every number is a reading or belongs to a gap that says why there is none.
//! Readings stand in blocks (`block` draws one), blocks and gaps in the store under their lane and first sequence
//! (`keys`), and a book for each lane says where it stands and keeps the ledger (`book`), in the same batch. It knows
//! neither MQTT nor gRPC, and of a reading only where it ends.
//!
//! Read in this order: `block`, `keys`, `book`; `intake`, `writer`, `desk`, `save`; `reader`, `retire`, `mend`; `open`. Beside the flow: `quarantine`, `selection`, `release`.

mod block;
mod keys;
mod ranges;
mod ledger;
mod book;
mod quarantine;
mod pieces;
mod selection;
mod readings;
mod error;
mod metrics;
mod health;
mod tail;
mod shared;
mod group;
mod intake;
mod parcel;
mod writer;
mod desk;
mod admit;
mod save;
mod release;
mod reader;
mod retire;
mod mend;
mod open;
mod recovery;
mod recount;
mod stat;
#[cfg(test)]
mod tests;

#[expect(
    clippy::module_name_repetitions,
    reason = "other stages have an error, an inlet, a reader of their own beside them"
)]
pub use self::{
    error::SpoolError, health::SpoolHealth, intake::SpoolInlet, reader::SpoolReader,
    stat::SpoolStat, writer::SpoolWriter,
};
pub use block::GapReason;
pub use keys::KINDS;
pub use ledger::{LaneLedger, Ledger};
pub use metrics::METRICS;
pub use open::{Opened, Recovery, Spool};
pub use parcel::{Parcel, Readings, Unplaced};
pub use quarantine::{QuarantineEntry, Quarantined};
pub use reader::{Commits, Item, LaneState};
pub use release::{Fate, Quarantine, Released, Replayed};
pub use selection::{Page, QuarantineSight, Selection};
pub use stat::{LaneStat, stat};
pub use writer::RunningWriter;
