//! A reconnect storm: thousands of devices lose their connections at once and come back at once, while other devices go on
//! sending readings. `rush` is the storm, `paced` the others, each in a thread of its own; `signal` is what they know of
//! each other.

mod paced;
mod rush;
mod script;
mod signal;

pub use paced::Paced;
pub use rush::Rush;
pub use script::{StormScript, storm};
pub use signal::{Moment, Signal};
