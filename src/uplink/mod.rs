//! Delivery to the platform: batches of already encoded blocks over one gRPC stream per lane group, acknowledged
//! cumulatively, resumed where the platform says.
//!
//! ```text
//!   spool ──Source──▶ pump ──Outgoing──▶ codec ──HTTP/2──▶ platform
//!     ▲                │ ▲                                    │
//!     └──delivered─────┘ └───────── Accepted, Refused ◀───────┘
//! ```
//!
//! - [`core`] decides: what to send next, what an acknowledgement settles, how long to pause. It does no I/O, reads no
//!   clock and draws no random number of its own.
//! - [`Uplink`] is the shell: connections, streams, timers. Two lane groups, `[alarm]` and `[telemetry, bulk]`, each
//!   with its own connection, so that bulk data in flight never stands before an alarm.
//!
//! Invariants: nothing is reported to the spool as delivered unless the platform said so for sequences that this stream
//! sent or that the platform itself named in its Resume; a platform that breaks the contract is reported and never
//! obeyed; no fault of the platform ends the task: it reconnects for ever.
//!
//! It refuses to know what a reading is: blocks go from the spool to the wire as bytes.

mod assemble;
pub mod core;
mod codec;
mod fault;
mod group;
mod link;
mod metrics;
mod pump;
mod source;
mod spool_source;
mod status;
mod task;

pub use codec::{Batch, DeliverCodec, Outgoing};
pub use fault::LinkFault;
pub use link::Introduction;
pub use metrics::METRICS;
pub use source::Source;
pub use status::{GroupStatus, LaneStatus, StatusView};
pub use task::Uplink;
