//! The words that every stage shares: who sent a reading, which lane it takes, where it stands in that lane, what
//! became of it, and what time it is. No I/O, no configuration, no third-party engine.

mod clock;
mod identity;
mod lane;
mod outcome;
mod sequence;

pub use clock::{Clock, SystemClock, UnixNanos};
pub use identity::{ClassId, DeviceId, Identity, IdentityError};
pub use lane::{Lane, LaneMap};
pub use outcome::{DropReason, Outcome, PieceId, QuarantineReason, Settle};
pub use sequence::{Incarnation, Sequence, SequenceRange};
