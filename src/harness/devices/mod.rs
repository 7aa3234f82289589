//! Simulated devices of all classes, and devices that replay recorded series, over real MQTT: [`pattern`] says how
//! values move, [`roster`] which devices there are, [`dialect`] in which format of its class each speaks, [`payload`] what
//! they send in canonical form, [`crew`] drives them all in one
//! thread, [`tally`] is what others may watch meanwhile.

mod pattern;
mod roster;
mod catalogue;
mod dialect;
mod payload;
mod tally;
mod session;
mod actor;
mod crew;
mod fleet;

pub use actor::{AT_NOMINAL_SPEED, Pace};
pub use catalogue::embedded;
pub use dialect::{Dialect, DialectError, Speech, dialects};
pub use fleet::{Fleet, FleetEnd, FleetError, FleetOptions};
pub use pattern::{Pattern, Property, Shape};
pub use roster::{Member, Role, Roster};
pub use session::{Identities, Protocols, Unacknowledged, login};
pub use tally::{Latency, Tally};

#[cfg(test)]
mod tests;
