//! The uplink's decisions as plain structs: events in, decisions out; time and randomness are handed in.

mod backoff;
mod bucket;
mod flow;
mod ranges;
mod session;

pub use backoff::{Backoff, Endpoints};
pub use bucket::Bucket;
pub use flow::{AHEAD_MAX, Accepted, Ahead, Contract, Dispatch, Flow, Settled};
pub use ranges::RangeSet;
pub use session::{BATCHES_MAX, Limits, Now, Plan, Position, Session};
#[cfg(test)]
mod tests;
