//! The benchmarks of the gateway as it is shipped, beside a yardstick or another broker, on one machine, in one script each:
//! `suite` is the ingest path, `compare` two builds of it, `city_mix` what all classes send, `fan_out` publish and subscribe, `tls` what TLS costs, `storm` a
//! reconnect storm, `checks` authentication alone. Loads run in the lab's own process, everything measured in children.

mod process;
mod figures;
mod machine;
mod table;
mod readings;
mod entry;
mod closed;
mod idle;
mod rig;
mod suite;
mod report;
mod compare;
mod city_mix;
mod fan_out;
mod tls;
mod storm;
mod checks;
mod signers;

pub use checks::{CheckScript, checks};
pub use city_mix::{CityMixScript, city_mix};
pub use closed::Closed;
pub use compare::{CompareScript, compare};
pub use entry::{Entry, Office, Seal, Unissued};
pub use fan_out::{FanOut, FanOutScript, Pace, Pattern, Scenario, fan_out};
pub use idle::Idle;
pub use machine::Machine;
pub use process::{Cpu, resident_bytes};
pub use readings::{CLASS, payload_bytes};
pub use report::markdown;
pub use rig::Broken;
pub use storm::{Moment, Paced, Rush, Signal, StormScript, storm};
pub use suite::{Results, Script, run};
pub use table::{Report, Table};
pub use tls::{Herd, TlsScript, tls};

/// `count` by `by`; 0 if that is nothing.
fn ratio(count: u64, by: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let count = count as f64;
    if by > 0.0 { count / by } else { 0.0 }
}

#[cfg(test)]
mod tests;
