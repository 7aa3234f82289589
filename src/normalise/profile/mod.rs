//! Profiles: how the payloads of a vendor, or of a standard, become readings. A profile is a TOML file; compiled against
//! the classes in force it is a plan, and the set of all profiles finds the one for a topic.
//!
//! ```text
//!  *.toml ──spec──▶ compile ──▶ Profile ─┐
//!  classes ───────────┘                  ├─▶ Profiles ── topic ──▶ Profile ── payload ──▶ readings, frames unread
//!  built-in *.toml ──────────────────────┘
//! ```
//!
//! A set is made whole or not at all: while one file is wrong, the set before it stays in force.

mod compile;
mod emit;
mod explain;
mod frames;
#[cfg(any(test, feature = "harness"))]
mod inverse;
mod nested;
mod number;
mod linear;
mod plan;
mod read;
mod reply;
mod set;
mod skeleton;
mod spec;
mod stage;
mod take;
mod topic;
mod vectors;

pub use compile::Problem;
pub use explain::explain;
#[cfg(any(test, feature = "harness"))]
pub use inverse::{Intended, Intent, Inverse, Learned, Sent, Unsayable};
pub use plan::Profile;
pub use read::{Outcome, Report, Saying, Unread};
pub use reply::Reply;
pub use set::{Checked, Profiles, ProfilesError};
pub use skeleton::skeleton;

#[cfg(test)]
mod tests;
