//! What `sensegate-lab` understands. The platform's and the query's own commands are beside them.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum};

use super::bench_args::Bench;
use crate::harness::devices::Speech;

/// The lab's commands.
#[derive(Debug, Subcommand)]
pub(super) enum Task {
    /// Platform, gateway and devices of all classes on this machine, shown live; proves that nothing is lost
    Demo(Demo),
    /// Simulated devices of all classes, and replayed series, against a gateway
    Devices(Devices),
    /// Benchmarks of the gateway beside yardsticks: without a further word, of the ingest path
    Bench(Bench),
    /// kill -9 of gateway and platform at random moments under load; proves that nothing is lost or doubled
    SoakKill(SoakKill),
    /// The yardstick: a bare server that syncs to a file before it acknowledges
    Yardstick(Yardstick),
}

/// `demo`.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Part of the nominal city's 22 million devices; each class has at least one
    #[arg(long, default_value_t = 0.00005)]
    pub scale: f64,
    /// Readings a second of the simulated devices; wins over --speed
    #[arg(long)]
    pub rate: Option<f64>,
    /// Divides the classes' nominal intervals
    #[arg(long, default_value_t = 200.0)]
    pub speed: f64,
    /// Divides the time between two samples of the recorded series
    #[arg(long, default_value_t = 20_000.0)]
    pub replay_speed: f64,
    /// How long devices report, for example 30s, 5m
    #[arg(long, default_value = "30s", value_parser = duration)]
    pub duration: Duration,
    /// Folder of all data and logs; default: one of its own, removed at a good end
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// Seed of the devices' values
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// What devices send
    #[arg(long, value_enum, default_value_t = Format::Catalogue)]
    pub format: Format,
}

/// What devices send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// JSON and protobuf of the gateway's own, whatever the class
    Canonical,
    /// Each class the format that the catalogue names for it
    Catalogue,
}

impl From<Format> for Speech {
    fn from(format: Format) -> Self {
        match format {
            Format::Canonical => Self::Canonical,
            Format::Catalogue => Self::Catalogue,
        }
    }
}

/// Versions that devices speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Protocol {
    /// MQTT 3.1.1
    #[value(name = "3")]
    V3,
    /// MQTT 5
    #[value(name = "5")]
    V5,
    /// Both in turn
    Mixed,
}

/// `devices`.
#[derive(Debug, Args)]
pub(super) struct Devices {
    /// The gateway
    #[arg(long, default_value = "127.0.0.1:1883")]
    pub gateway: SocketAddr,
    /// Part of the nominal city's 22 million devices; each class has at least one
    #[arg(long, default_value_t = 0.00005)]
    pub scale: f64,
    /// Divides the classes' nominal intervals
    #[arg(long, default_value_t = 1.0)]
    pub speed: f64,
    /// Divides the time between two samples of the recorded series
    #[arg(long, default_value_t = 1.0)]
    pub replay_speed: f64,
    /// Readings a second of the simulated devices; wins over --speed
    #[arg(long)]
    pub rate: Option<f64>,
    /// How long devices report, for example 30s, 5m; default: until interrupted
    #[arg(long, value_parser = duration)]
    pub duration: Option<Duration>,
    /// Connections that devices share; only without --auth-key-file, where each device has its own
    #[arg(long, default_value_t = 100)]
    pub connections: usize,
    /// 0, 1 or 2
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=2))]
    pub qos: u8,
    /// Version that devices speak
    #[arg(long, value_enum, default_value_t = Protocol::Mixed)]
    pub protocol: Protocol,
    /// Most publishes in flight per connection
    #[arg(long, default_value_t = 16)]
    pub window: usize,
    /// File with the gateway's key; without it devices are anonymous
    #[arg(long)]
    pub auth_key_file: Option<PathBuf>,
    /// Lets go of readings whose connection ends before their acknowledgement, instead of sending them again
    #[arg(long)]
    pub let_go: bool,
    /// Own loopback addresses to connect from, for more than 28,000 connections
    #[arg(long, default_value_t = 0)]
    pub source_addresses: u8,
    /// Seed of the devices' values
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// What devices send
    #[arg(long, value_enum, default_value_t = Format::Catalogue)]
    pub format: Format,
    /// Compares with the reference platform's data in this folder at the end; fails if a reading is missing or doubled
    #[arg(long)]
    pub verify: Option<PathBuf>,
}

/// `soak-kill`.
#[derive(Debug, Args)]
pub(super) struct SoakKill {
    /// Rounds
    #[arg(long, default_value_t = 50)]
    pub rounds: u32,
    /// Seed of moments, victims and devices; printed, so that a failure can be repeated
    #[arg(long)]
    pub seed: Option<u64>,
    /// Readings a second
    #[arg(long, default_value_t = 2000.0)]
    pub rate: f64,
    /// In the last round the platform is dead for this long
    #[arg(long, default_value = "0s", value_parser = duration)]
    pub platform_away: Duration,
    /// Folder of all data and logs; default: one of its own, removed at a good end
    #[arg(long)]
    pub dir: Option<PathBuf>,
}

/// `yardstick`.
#[derive(Debug, Args)]
pub(super) struct Yardstick {
    /// Address to listen on; its first line of output is the one it bound
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// File that payloads are appended to
    #[arg(long)]
    pub file: PathBuf,
}

/// A duration with its unit: `250ms`, `10s`, `5m`, `2h`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let split = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit_s = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("{text:?} has no unit: ms, s, m or h")),
    };
    let number: f64 = number.parse().map_err(|e| format!("{text:?}: {e}"))?;
    Duration::try_from_secs_f64(number * unit_s).map_err(|e| format!("{text:?}: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_needs_its_unit() {
        assert_eq!(duration("1.5m").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("250ms").unwrap(), Duration::from_millis(250));
        for bad in ["10", "s", "-1s", "1d", ""] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
    }
}
