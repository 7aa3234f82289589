//! What `sensegate-lab bench` understands.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};

use super::args::duration;

/// `bench`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Bench {
    /// What is measured; without it, the ingest path and idle connections
    #[command(subcommand)]
    pub part: Option<Part>,
    #[command(flatten)]
    pub ingest: Ingest,
}

/// What is measured.
#[derive(Debug, Subcommand)]
pub(super) enum Part {
    /// Publish and subscribe, beside mosquitto
    FanOut(FanOut),
    /// Handshakes, memory and readings over TLS, beside mosquitto and beside the same without TLS
    Tls(Tls),
    /// Thousands of devices reconnect at once while others send, beside the yardstick
    Storm(Storm),
    /// Checks of passwords and tokens by one core, beside the bare cryptography
    Auth(Auth),
    /// What all classes of the city send, in their own formats, beside canonical JSON
    CityMix(CityMix),
    /// The ingest path of this build and of another gateway's binary in turn
    Compare(Compare),
}

/// Where, how often and how long.
#[derive(Debug, Args)]
pub(super) struct Measuring {
    /// Folder of the data, on the disk to be measured; default: one of its own
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// Runs of each scenario
    #[arg(long, default_value_t = 5)]
    pub runs: u32,
    #[command(flatten)]
    pub form: Form,
}

/// How the report is printed.
#[derive(Debug, Clone, Args)]
pub(super) struct Form {
    /// Prints nothing but the report, as Markdown
    #[arg(long)]
    pub markdown: bool,
    /// Writes the report as JSON into this file too
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// `bench` alone.
#[derive(Debug, Args)]
pub(super) struct Ingest {
    /// Folder of the data, on the disk to be measured; default: one of its own
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// Runs of each scenario
    #[arg(long, default_value_t = 5)]
    pub runs: u32,
    /// Time before each measurement
    #[arg(long, default_value = "3s", value_parser = duration)]
    pub warm_up: Duration,
    /// Time of each measurement
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub measured: Duration,
    /// Idle connections; 0 leaves them out
    #[arg(long, default_value_t = 19_000)]
    pub idle_connections: usize,
    /// Prints nothing but the report, as Markdown
    #[arg(long)]
    pub markdown: bool,
}

/// `bench fan-out`.
#[derive(Debug, Args)]
pub(super) struct FanOut {
    #[command(flatten)]
    pub measuring: Measuring,
    /// Time before each measurement
    #[arg(long, default_value = "2s", value_parser = duration)]
    pub warm_up: Duration,
    /// Time of each measurement
    #[arg(long, default_value = "5s", value_parser = duration)]
    pub measured: Duration,
    /// Pairs of one publisher and one subscriber
    #[arg(long, default_value_t = 200)]
    pub pairs: usize,
    /// Subscribers of one publisher, and publishers to one subscriber
    #[arg(long, default_value_t = 1000)]
    pub many: usize,
    /// Filters of idle sessions, in the scenarios that have them
    #[arg(long, default_value_t = 10_000)]
    pub filters: usize,
    /// Only scenarios whose name has this text in it, for example "QoS 1" or "flood"
    #[arg(long)]
    pub only: Option<String>,
}

/// `bench tls`.
#[derive(Debug, Args)]
pub(super) struct Tls {
    #[command(flatten)]
    pub measuring: Measuring,
    /// Time before each measurement of readings
    #[arg(long, default_value = "2s", value_parser = duration)]
    pub warm_up: Duration,
    /// Time of each measurement of readings
    #[arg(long, default_value = "6s", value_parser = duration)]
    pub measured: Duration,
    /// Connections and publishes in flight on each; repeatable
    #[arg(long = "load", default_values = ["2000x1", "200x10"], value_parser = load, value_name = "CONNECTIONSxWINDOW")]
    pub loads: Vec<(usize, usize)>,
    /// Connections from which the growth of memory is taken
    #[arg(long, default_value_t = 2000)]
    pub from: usize,
    /// Connections to which the growth of memory is taken
    #[arg(long, default_value_t = 10_000)]
    pub to: usize,
}

/// `bench storm`.
#[derive(Debug, Args)]
pub(super) struct Storm {
    #[command(flatten)]
    pub measuring: Measuring,
    /// Devices that reconnect at once
    #[arg(long, default_value_t = 19_000)]
    pub devices: usize,
    /// Devices that go on sending; a server with a limit of 20,000 files has room for 500 beside the default storm
    #[arg(long, default_value_t = 500)]
    pub others: usize,
    /// Readings a second of those that go on
    #[arg(long, default_value_t = 20_000)]
    pub rate: u32,
    /// How long the quiet before the storm is measured
    #[arg(long, default_value = "5s", value_parser = duration)]
    pub calm: Duration,
    /// How long the devices are away
    #[arg(long, default_value = "1s", value_parser = duration)]
    pub away: Duration,
}

/// `bench auth`.
#[derive(Debug, Args)]
pub(super) struct Auth {
    #[command(flatten)]
    pub measuring: Measuring,
    /// Processor time of each measurement
    #[arg(long, default_value = "1s", value_parser = duration)]
    pub measured: Duration,
}

/// `bench city-mix`.
#[derive(Debug, Args)]
pub(super) struct CityMix {
    #[command(flatten)]
    pub measuring: Measuring,
    /// Time before each measurement
    #[arg(long, default_value = "2s", value_parser = duration)]
    pub warm_up: Duration,
    /// Time of each measurement
    #[arg(long, default_value = "8s", value_parser = duration)]
    pub measured: Duration,
    /// Connections
    #[arg(long, default_value_t = 200)]
    pub connections: usize,
    /// Publishes in flight on each
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub window: u16,
    /// Payloads that are prepared and sent round and round, about
    #[arg(long, default_value_t = 4096)]
    pub payloads: u32,
    /// Only classes of this format of the catalogue, for example hj212
    #[arg(long, value_name = "FORMAT")]
    pub only: Option<String>,
}

/// `bench compare`.
#[derive(Debug, Args)]
pub(super) struct Compare {
    #[command(flatten)]
    pub measuring: Measuring,
    /// The other gateway's binary
    #[arg(long)]
    pub other: PathBuf,
    /// Time before each measurement
    #[arg(long, default_value = "2s", value_parser = duration)]
    pub warm_up: Duration,
    /// Time of each measurement
    #[arg(long, default_value = "8s", value_parser = duration)]
    pub measured: Duration,
    /// Connections and publishes in flight on each; repeatable
    #[arg(long = "load", default_values = ["2000x1", "200x10"], value_parser = load, value_name = "CONNECTIONSxWINDOW")]
    pub loads: Vec<(usize, usize)>,
}

/// A closed load: `2000x1`.
fn load(text: &str) -> Result<(usize, usize), String> {
    let wrong = || format!("{text:?} is not of the form 2000x1");
    let (connections, window) = text.split_once('x').ok_or_else(wrong)?;
    match (connections.parse(), window.parse()) {
        (Ok(connections @ 1..), Ok(window @ 1..=64)) => Ok((connections, window)),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_has_connections_and_a_window_that_the_gateway_grants() {
        assert_eq!(load("2000x1"), Ok((2000, 1)));
        for bad in ["2000", "0x1", "1x0", "1x65", "ax1", ""] {
            assert!(load(bad).is_err(), "{bad:?}");
        }
    }
}
