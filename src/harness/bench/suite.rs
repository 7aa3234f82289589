//! The script: each scenario against the gateway and against the yardstick in turn, several times, on fresh data each
//! time; then the idle connections; then the bytes.

use std::{
    cell::OnceCell,
    fs, io,
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    closed::{self, Closed},
    entry::Entry,
    idle::{self, Idle},
    rig::{Broken, Rig, Setup, Through, raise_open_files},
};
use crate::harness::{
    children::{Binaries, Yardstick},
    demo::device_key,
    proxy::Proxy,
    scrape::{Samples, names},
};

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

/// One closed load against a gateway on fresh data, with the proof that nothing is missing.
pub(super) fn against_gateway(
    options: &Script,
    dir: &Path,
    (connections, window): (usize, usize),
    through: Option<&dyn Through>,
) -> Result<GatewayRun, Broken> {
    let setup = Setup {
        through,
        ..Setup::default()
    };
    let rig = Rig::start(&options.binaries, dir, setup)?;
    let load = Closed {
        server: rig.gateway.mqtt,
        process_id: rig.gateway.process.id(),
        connections,
        window,
        entry: Entry::keyed(rig.key.clone()),
        warm_up: options.warm_up,
        measured: options.measured,
    }
    .run()?;
    settled(rig, dir, load)
}

/// What a load gave, once the platform holds everything and both have ended.
pub(super) fn settled(rig: Rig, dir: &Path, load: closed::Outcome) -> Result<GatewayRun, Broken> {
    if load.rejected > 0 {
        return Err(Broken::Rejected(load.rejected));
    }
    let (stored, drained) = rig.drained(load.acknowledged_in_all)?;
    let samples = Samples::of(rig.gateway.admin)?;
    let readings = samples.count(names::RECEIVED, None);
    let per_reading = |name| samples.sum(name, None) / super::ratio(readings, 1.0).max(1.0);
    let run = GatewayRun {
        load,
        stored,
        drained,
        raw_bytes: per_reading(names::RAW_BYTES),
        spool_bytes: per_reading(names::STORED_BYTES),
        platform_cpu: super::Cpu::of(rig.platform.process.id())?,
    };
    rig.end(dir)?;
    Ok(run)
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
        entry: Entry::anonymous(),
        warm_up: options.warm_up,
        measured: options.measured,
    }
    .run()?;
    yardstick.process.kill()?;
    Ok(load)
}

/// A proxy that counts.
#[derive(Debug)]
struct Between {
    runtime: tokio::runtime::Runtime,
    proxy: OnceCell<Proxy>,
}

impl Through for Between {
    fn before(&self, platform: SocketAddr) -> io::Result<SocketAddr> {
        let started = self.runtime.block_on(Proxy::start(platform))?;
        Ok(self.proxy.get_or_init(|| started).address())
    }
}

/// Bytes per reading between gateway and platform, counted by a proxy between them.
fn wire(options: &Script, dir: &Path) -> Result<f64, Broken> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let between = Between {
        runtime,
        proxy: OnceCell::new(),
    };
    let run = against_gateway(options, dir, SCENARIOS[0], Some(&between))?;
    let proxy = between.proxy;
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
    let rig = Rig::start(&options.binaries, dir, Setup::default())?;
    let of_gateway = load(rig.gateway.mqtt, rig.gateway.process.id(), rig.key.clone()).run()?;
    rig.end(dir)?;
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
