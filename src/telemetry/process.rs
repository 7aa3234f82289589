//! What the process uses, read from /proc when somebody asks.

use std::{fs, io, sync::OnceLock, time::Duration};

use metrics::{counter, gauge};
use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    time::{ClockId, clock_gettime},
};

use super::metric::{Kind, Metric};

/// The unit of times in /proc: fixed at 100 in the kernel's interface on every architecture that is built for.
const CLOCK_TICKS_PER_SECOND: u64 = 100;

/// Start of the process: worked out once, for the calendar clock may be set later.
static START: OnceLock<f64> = OnceLock::new();

/// The process's own metrics.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "sensegate_build_info",
        kind: Kind::Gauge,
        labels: &["version"],
        help: "Always 1; the label tells the version that runs.",
    },
    Metric {
        name: "sensegate_process_cpu_seconds_total",
        kind: Kind::Counter,
        labels: &["mode"],
        help: "CPU time used, in whole seconds, in user and in system mode.",
    },
    Metric {
        name: "sensegate_process_resident_memory_bytes",
        kind: Kind::Gauge,
        labels: &[],
        help: "Resident memory.",
    },
    Metric {
        name: "sensegate_process_open_fds",
        kind: Kind::Gauge,
        labels: &[],
        help: "Open file descriptors; each connection is one.",
    },
    Metric {
        name: "sensegate_process_max_fds",
        kind: Kind::Gauge,
        labels: &[],
        help: "Limit of open file descriptors.",
    },
    Metric {
        name: "sensegate_process_threads",
        kind: Kind::Gauge,
        labels: &[],
        help: "Threads of the process.",
    },
    Metric {
        name: "sensegate_process_start_time_seconds",
        kind: Kind::Gauge,
        labels: &[],
        help: "Start of the process, Unix time.",
    },
];

/// Sets the process's metrics. What cannot be read keeps its last value.
pub(super) fn sample() {
    gauge!("sensegate_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    if let Some(stat) = fs::read_to_string("/proc/self/stat")
        .ok()
        .as_deref()
        .and_then(Stat::parse)
    {
        let tick = CLOCK_TICKS_PER_SECOND;
        counter!("sensegate_process_cpu_seconds_total", "mode" => "user")
            .absolute(stat.user / tick);
        counter!("sensegate_process_cpu_seconds_total", "mode" => "system")
            .absolute(stat.system / tick);
        gauge!("sensegate_process_threads").set(float(stat.threads));
        let started = *START.get_or_init(|| start(&stat));
        gauge!("sensegate_process_start_time_seconds").set(started);
    }
    if let Some(resident) = resident_bytes() {
        gauge!("sensegate_process_resident_memory_bytes").set(float(resident));
    }
    if let Ok(entries) = fs::read_dir("/proc/self/fd") {
        // One of them is the listing itself.
        let open = entries.count().saturating_sub(1);
        gauge!("sensegate_process_open_fds").set(float(u64::try_from(open).unwrap_or_default()));
    }
    if let Some(limit) = getrlimit(Resource::Nofile).current {
        gauge!("sensegate_process_max_fds").set(float(limit));
    }
}

/// Raises the soft limit of open files to the hard one, for each connection is a file; tells what is in force.
///
/// # Errors
/// What the system says; the old limit is still in force then.
pub fn raise_open_files() -> io::Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised)?;
    Ok(limit.maximum.unwrap_or(u64::MAX))
}

/// The fields of /proc/self/stat that are used.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    user: u64,
    system: u64,
    threads: u64,
    start_ticks: u64,
}

impl Stat {
    fn parse(line: &str) -> Option<Self> {
        // The command's name may hold spaces and parentheses: fields are counted behind the last one.
        let (_, rest) = line.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let field = |at: usize| fields.get(at)?.trim().parse().ok();
        Some(Self {
            user: field(11)?,
            system: field(12)?,
            threads: field(17)?,
            start_ticks: field(19)?,
        })
    }
}

/// From /proc/self/status, which counts in KiB and so needs no page size.
fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Unix time of the start; without /proc/stat, which a hardened unit hides.
fn start(stat: &Stat) -> f64 {
    let seconds = |clock| {
        let time = clock_gettime(clock);
        Duration::try_from(time).unwrap_or_default().as_secs_f64()
    };
    let age = seconds(ClockId::Boottime) - float(stat.start_ticks) / float(CLOCK_TICKS_PER_SECOND);
    seconds(ClockId::Realtime) - age
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a metric's value is a float; 2^53 bytes are far off"
)]
const fn float(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let line = "42 (a) b (c)) S 1 42 42 0 -1 4194560 9 0 0 0 150 50 0 0 20 0 7 0 12345 1000000 321 18446744073709551615 1";
        let wanted = Stat {
            user: 150,
            system: 50,
            threads: 7,
            start_ticks: 12345,
        };
        assert_eq!(Stat::parse(line), Some(wanted));
        assert_eq!(Stat::parse("42 (x"), None);
    }
}
