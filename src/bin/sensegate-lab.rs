//! The lab around the daemon: simulated devices, reference platform, load and faults.

use std::process::ExitCode;

fn main() -> ExitCode {
    sensegate::harness::lab::main()
}
