//! The script: each scenario against the gateway and against the yardstick in turn, several times, on fresh data each
//! time; then the idle connections; then the bytes.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use thiserror::Error;

use super::{
    closed::{self, Closed},
    idle::{self, Idle},
};
use crate::harness::{
    children::{Binaries, ChildError, Gateway, GatewaySpec, Platform, PlatformSpec, Yardstick},
    demo::device_key,
    evidence::{LiveView, Unreadable},
    proxy::Proxy,
    scrape::{LedgerView, Samples, Unanswered, names},
};

/// How long the platform may take to receive the rest after a load.
const DRAIN_DEADLINE: Duration = Duration::from_secs(180);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The loads: connections and window.
pub(super) const SCENARIOS: [(usize, usize); 2] = [(2000, 1), (200, 10)];

/// How the benchmark runs.
#[derive(Debug, Clone)]
pub struct Script {
    /// The binaries; of a release build if the figures are to say something.
    pub binaries: Binaries,
    /// Data lies below this; on the disk that is to be measured.
    pub dir: PathBuf,
    /// Runs of each scenario.
    pub runs: u32,
    /// Time before each measurement.
    pub warm_up: Duration,
    /// Time of each measurement.
    pub measured: Duration,
    /// Idle connections; 0: leaves that out.
    pub idle_connections: usize,
}

/// Why a benchmark did not come to its end.
#[derive(Debug, Error)]
pub enum Broken {
    /// A child process.
    #[error(transparent)]
    Child(#[from] ChildError),
    /// The load, or files.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The gateway's metrics.
    #[error(transparent)]
    Scrape(#[from] Unanswered),
    /// The platform's live view.
    #[error(transparent)]
    Evidence(#[from] Unreadable),
    /// The limit of open files.
    #[error("raising the limit of open files: {0}")]
    Limit(rustix::io::Errno),
    /// Readings were answered with an error: the figures would flatter.
    #[error("{0} readings were not taken")]
    Rejected(u64),
    /// Readings were lost or doubled, or the ledger is off.
    #[error("{acknowledged} readings were acknowledged, the platform holds {stored}:\n{ledger}")]
    Ledger {
        /// Acknowledged.
        acknowledged: u64,
        /// Stored.
        stored: u64,
        /// The gateway's ledger.
        ledger: Box<LedgerView>,
    },
}

/// What a load against the gateway gave.
#[derive(Debug, Clone)]
pub struct GatewayRun {
    /// The load's figures.
    pub load: closed::Outcome,
    /// Readings that the platform holds.
    pub stored: u64,
    /// From the last acknowledgement until the platform had everything.
    pub drained: Duration,
    /// Bytes of a reading in a block before compression.
    pub raw_bytes: f64,
    /// Bytes of a reading in the spool.
    pub spool_bytes: f64,
    /// Processor time of the platform for all of it.
    pub platform_cpu: super::Cpu,
}

/// All figures.
#[derive(Debug, Default)]
pub struct Results {
    /// Per scenario: the gateway's runs and the yardstick's.
    pub closed: Vec<(Vec<GatewayRun>, Vec<closed::Outcome>)>,
    /// The idle connections: of the gateway and of the yardstick.
    pub idle: Option<(idle::Outcome, idle::Outcome)>,
    /// Bytes of a reading on the wire to the platform, HTTP/2 and its answers included.
    pub wire_bytes: f64,
}

/// Runs everything; tells its progress.
///
/// # Errors
/// Something does not start, a load breaks, readings are lost.
pub fn run(options: &Script, progress: &mut dyn Write) -> Result<Results, Broken> {
    raise_open_files()?;
    let mut results = Results::default();
    for scenario in SCENARIOS {
        let (mut gateway, mut yardstick) = (Vec::new(), Vec::new());
        for number in 1..=options.runs {
            let dir = options.dir.join(format!("{}-{number}", scenario.0));
            let run = against_gateway(options, &dir.join("gateway"), scenario, None)?;
            tell(progress, "gateway", scenario, &run.load)?;
            gateway.push(run);
            let run = against_yardstick(options, &dir.join("yardstick"), scenario)?;
            tell(progress, "yardstick", scenario, &run)?;
            yardstick.push(run);
            fs::remove_dir_all(&dir)?;
        }
        results.closed.push((gateway, yardstick));
    }
    results.wire_bytes = wire(options, &options.dir.join("wire"))?;
    if options.idle_connections > 0 {
        results.idle = Some(idle(options, &options.dir.join("idle"), progress)?);
    }
    Ok(results)
}

fn tell(
    progress: &mut dyn Write,
    who: &str,
    (connections, window): (usize, usize),
    load: &closed::Outcome,
) -> io::Result<()> {
    writeln!(
        progress,
        "{who:<9} {connections} × {window}: {:.0}/s, p50 {} µs, p99 {} µs",
        load.rate(),
        load.latency.quantile_us(0.5),
        load.latency.quantile_us(0.99)
    )?;
    progress.flush()
}

/// Children inherit the limit.
fn raise_open_files() -> Result<(), Broken> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).map_err(Broken::Limit)
}

fn started(
    options: &Script,
    dir: &Path,
    through: Option<&dyn Fn(std::net::SocketAddr) -> io::Result<std::net::SocketAddr>>,
) -> Result<(Gateway, Platform, Vec<u8>), Broken> {
    let key = device_key();
    let platform = Platform::start(
        &options.binaries,
        &PlatformSpec {
            dir: dir.to_owned(),
            further: Vec::new(),
        },
    )?;
    let address = match through {
        Some(through) => through(platform.grpc)?,
        None => platform.grpc,
    };
    let gateway = Gateway::start(
        &options.binaries,
        &GatewaySpec {
            dir: dir.to_owned(),
            platform: Some(address),
            auth_key: Some(key.clone()),
            // One class carries the whole load here; in a city none does.
            further: ["--mqtt-class-messages-per-s", "100000000"]
                .map(str::to_owned)
                .into(),
        },
    )?;
    Ok((gateway, platform, key))
}

fn against_gateway(
    options: &Script,
    dir: &Path,
    (connections, window): (usize, usize),
    through: Option<&dyn Fn(std::net::SocketAddr) -> io::Result<std::net::SocketAddr>>,
) -> Result<GatewayRun, Broken> {
    let (mut gateway, mut platform, key) = started(options, dir, through)?;
    let load = Closed {
        server: gateway.mqtt,
        process_id: gateway.process.id(),
        connections,
        window,
        key: Some(key),
        warm_up: options.warm_up,
        measured: options.measured,
    }
    .run()?;
    if load.rejected > 0 {
        return Err(Broken::Rejected(load.rejected));
    }
    let (stored, drained) = drained(&gateway, &platform, load.acknowledged_in_all)?;
    let samples = Samples::of(gateway.admin)?;
    let readings = samples.count(names::RECEIVED, None);
    let per_reading = |name| samples.sum(name, None) / super::ratio(readings, 1.0).max(1.0);
    let run = GatewayRun {
        load,
        stored,
        drained,
        raw_bytes: per_reading(names::RAW_BYTES),
        spool_bytes: per_reading(names::STORED_BYTES),
        platform_cpu: super::Cpu::of(platform.process.id())?,
    };
    gateway.process.stop()?;
    platform.process.stop()?;
    Ok(run)
}

/// Waits until the platform holds everything; says how much that is and how long it took.
fn drained(
    gateway: &Gateway,
    platform: &Platform,
    acknowledged: u64,
) -> Result<(u64, Duration), Broken> {
    let since = Instant::now();
    loop {
        let stored = LiveView::of(platform.admin)?.readings;
        let elapsed = since.elapsed();
        let ledger = Box::new(LedgerView::of(&Samples::of(gateway.admin)?));
        let settled = ledger.balances() && ledger.total(|lane| lane.spooled) == 0;
        if stored == acknowledged && settled {
            return Ok((stored, elapsed));
        }
        if elapsed >= DRAIN_DEADLINE || stored > acknowledged {
            return Err(Broken::Ledger {
                acknowledged,
                stored,
                ledger,
            });
        }
        thread::sleep(LOOK_EVERY);
    }
}

fn against_yardstick(
    options: &Script,
    dir: &Path,
    (connections, window): (usize, usize),
) -> Result<closed::Outcome, Broken> {
    let mut yardstick = Yardstick::start(&options.binaries, dir)?;
    let load = Closed {
        server: yardstick.mqtt,
        process_id: yardstick.process.id(),
        connections,
        window,
        key: None,
        warm_up: options.warm_up,
        measured: options.measured,
    }
    .run()?;
    yardstick.process.kill()?;
    Ok(load)
}

/// Bytes per reading between gateway and platform, counted by a proxy between them.
fn wire(options: &Script, dir: &Path) -> Result<f64, Broken> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let proxy = std::cell::OnceCell::new();
    let through = |platform| {
        let started = runtime.block_on(Proxy::start(platform))?;
        Ok(proxy.get_or_init(|| started).address())
    };
    let (connections, window) = SCENARIOS[0];
    let run = against_gateway(options, dir, (connections, window), Some(&through))?;
    fs::remove_dir_all(dir)?;
    let passed = proxy.get().map_or(0, Proxy::passed_bytes);
    Ok(super::ratio(passed, super::ratio(run.stored, 1.0)))
}

fn idle(
    options: &Script,
    dir: &Path,
    progress: &mut dyn Write,
) -> Result<(idle::Outcome, idle::Outcome), Broken> {
    let load = |server, process_id, key| Idle {
        server,
        process_id,
        connections: options.idle_connections,
        key,
        settle: Duration::from_secs(3),
        measured: Duration::from_secs(10),
    };
    let (mut gateway, mut platform, key) = started(options, dir, None)?;
    let of_gateway = load(gateway.mqtt, gateway.process.id(), key).run()?;
    gateway.process.stop()?;
    platform.process.stop()?;
    let mut yardstick = Yardstick::start(&options.binaries, dir)?;
    let of_yardstick = load(yardstick.mqtt, yardstick.process.id(), device_key()).run()?;
    yardstick.process.kill()?;
    fs::remove_dir_all(dir)?;
    writeln!(
        progress,
        "idle: {:.0} connects/s, {:.0} bytes each",
        of_gateway.connects_per_s(),
        of_gateway.bytes_per_connection()
    )?;
    Ok((of_gateway, of_yardstick))
}
