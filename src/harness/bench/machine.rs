//! On what a benchmark ran: without it the figures say nothing.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

/// Synced appends timed.
const SYNCS: usize = 200;

/// A machine, as far as it matters.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Kernel.
    pub kernel: String,
    /// Processor and how many of it.
    pub processor: String,
    /// Memory.
    pub memory: String,
    /// Compiler, where one is installed.
    pub rustc: String,
    /// Median time of a 64 KiB append with fdatasync in the benchmark's folder.
    pub fdatasync: Duration,
}

impl Machine {
    /// This machine, with the disk below `dir`.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn describe(dir: &Path) -> io::Result<Self> {
        let first = |file: &str, key: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix(key));
            line.map(|value| value.trim_start_matches([':', '\t', ' ']).trim().to_owned())
                .unwrap_or_default()
        };
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let rustc = Command::new("rustc")
            .arg("--version")
            .output()
            .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        Ok(Self {
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?
                .trim()
                .to_owned(),
            processor: format!("{cores} × {}", first("/proc/cpuinfo", "model name")),
            memory: first("/proc/meminfo", "MemTotal"),
            rustc: rustc.unwrap_or_default(),
            fdatasync: fdatasync(dir)?,
        })
    }
}

fn fdatasync(dir: &Path) -> io::Result<Duration> {
    let path = dir.join("fdatasync");
    let mut file = File::create(&path)?;
    let block = vec![0x5A; 64 * 1024];
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let before = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        times.push(before.elapsed());
    }
    fs::remove_file(path)?;
    times.sort_unstable();
    Ok(times.get(SYNCS / 2).copied().unwrap_or_default())
}
