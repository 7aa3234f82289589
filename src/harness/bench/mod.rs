//! The benchmark of the gateway as it is shipped, beside a yardstick, on one machine, in one script: `suite` runs it,
//! `report` prints it. The loads (`closed`, `idle`) run in the lab's own process, everything measured in children.

mod process;
mod closed;
mod idle;
mod machine;
mod suite;
mod report;

pub use closed::{CLASS, Closed, payload_bytes};
pub use idle::Idle;
pub use machine::Machine;
pub use process::{Cpu, resident_bytes};
pub use report::markdown;
pub use suite::{Broken, Results, Script, run};

/// `count` by `by`; 0 if that is nothing.
fn ratio(count: u64, by: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let count = count as f64;
    if by > 0.0 { count / by } else { 0.0 }
}

#[cfg(test)]
mod tests;
