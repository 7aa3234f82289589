//! Topics, the filters over them, and who asked for what: pure, without a task and without I/O. Called by every
//! connection at once, so each structure here says what a publisher may have to wait for.
//!
//! ```text
//!  filter    is it valid, does it match, does one filter cover another (MQTT 5 4.7, 4.8.2)
//!  tree      filter ─▶ subscriptions: exact ones by name, those with wildcards in a trie
//!  shared    the members of one shared subscription, of which each message goes to one
//!  retained  topic ─▶ value, asked for by filter
//! ```
//!
//! Invariants: nothing recurses, so that no client decides how deep the stack grows; no closure of a caller is called
//! under a lock, except by [`Retained::retain`]; what is removed leaves nothing behind.

mod filter;
mod tree;
mod trie;
mod shards;
mod members;
mod shared;
mod retained;

pub(crate) use filter::{Filter, FilterLimits, check_name, covers, topic_matches};
pub(crate) use retained::Retained;
pub(crate) use shared::Group;
pub(crate) use tree::Tree;
