//! The durable queue: what is acknowledged to a device stands here until the platform holds it.
mod block;
mod error;
mod health;
mod keys;
mod ledger;
mod ranges;
mod reader;
mod readings;
mod shared;
mod tail;

pub use block::GapReason;
pub use error::SpoolError;
pub use ledger::{LaneLedger, Ledger};
pub use reader::{Commits, Item, LaneState, SpoolReader};
