//! The demonstration: platform, gateway and devices on one machine, shown live, and at the end the proof that the
//! platform holds every acknowledged reading once and that the gateway's ledger balances.

mod view;

use std::{
    fs, io,
    io::Write,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use thiserror::Error;

use super::{
    children::{Binaries, ChildError, Gateway, GatewaySpec, Platform, PlatformSpec},
    client::Qos,
    devices::{
        DialectError, Fleet, FleetError, FleetOptions, Identities, Pace, Protocols, Roster, Speech,
        Unacknowledged, dialects, embedded,
    },
    evidence::{LiveView, Unreadable, audit},
    model::{Model, Verdict},
    scrape::{LedgerView, Samples, Unanswered},
    series::{Damaged, recorded},
};
use crate::normalise::ClassError;
pub use view::{Screen, View};

/// How often the view is renewed.
const SHOW_EVERY: Duration = Duration::from_secs(1);
/// How long the platform may take to receive what is on disk when the devices have stopped.
const DRAIN_DEADLINE: Duration = Duration::from_secs(120);
/// Pause between two looks at the drain.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How a demonstration runs.
#[derive(Debug, Clone)]
pub struct Staging {
    /// The binaries.
    pub binaries: Binaries,
    /// Data and logs of everything lie below this.
    pub dir: PathBuf,
    /// Part of the nominal city's devices.
    pub scale: f64,
    /// Readings a second of the simulated devices; none: by the pace.
    pub rate: Option<f64>,
    /// How fast devices live.
    pub pace: Pace,
    /// How long devices report.
    pub duration: Duration,
    /// Seed of the devices.
    pub seed: u64,
    /// What the devices send.
    pub speech: Speech,
}

/// Why a demonstration failed.
#[derive(Debug, Error)]
pub enum Failed {
    /// A child process.
    #[error(transparent)]
    Child(#[from] ChildError),
    /// The devices.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// The classes.
    #[error(transparent)]
    Class(#[from] ClassError),
    /// The formats of the classes.
    #[error(transparent)]
    Dialect(Box<DialectError>),
    /// The recorded series.
    #[error(transparent)]
    Series(#[from] Damaged),
    /// The gateway's metrics.
    #[error(transparent)]
    Scrape(#[from] Unanswered),
    /// The platform's evidence.
    #[error(transparent)]
    Evidence(#[from] Unreadable),
    /// Files or the terminal.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The platform did not get everything in time.
    #[error("after {limit:?} the platform still lacks readings:\n{ledger}")]
    NotDrained {
        /// For how long it was waited.
        limit: Duration,
        /// The ledger then.
        ledger: Box<LedgerView>,
    },
    /// The ledger is off.
    #[error("the ledger does not balance:\n{0}")]
    Ledger(Box<LedgerView>),
    /// A reading is missing, doubled or unknown.
    #[error("the promise is broken: {0}")]
    Promise(Box<Verdict>),
}

/// What a demonstration ends with.
#[derive(Debug)]
pub struct Shown {
    /// The comparison of what was promised with what is stored.
    pub verdict: Verdict,
    /// The gateway's ledger at the end.
    pub ledger: LedgerView,
}

/// The devices of a run: the city's mix at a scale, and the recorded series.
///
/// # Errors
/// The embedded classes, profiles or series are damaged.
pub fn city(scale: f64, speech: Speech) -> Result<Roster, Failed> {
    let patterns = embedded()?;
    let dialects = match speech {
        Speech::Canonical => Vec::new(),
        Speech::Catalogue => dialects(&patterns).map_err(|why| Failed::Dialect(Box::new(why)))?,
    };
    let mut roster = Roster::of_city_speaking(patterns, dialects, (scale, "510104-"));
    roster.add_replays(recorded()?, "510104-");
    Ok(roster)
}

/// Runs the demonstration until its time is over or `stop` is set.
///
/// # Errors
/// Something does not start, or the promise is broken.
pub fn run(options: &Staging, stop: &AtomicBool, out: &mut dyn Write) -> Result<Shown, Failed> {
    let roster = Arc::new(city(options.scale, options.speech)?);
    let key = device_key();
    let platform_spec = PlatformSpec {
        dir: options.dir.clone(),
        further: Vec::new(),
    };
    let mut platform = Platform::start(&options.binaries, &platform_spec)?;
    let mut gateway = Gateway::start(
        &options.binaries,
        &GatewaySpec {
            dir: options.dir.clone(),
            platform: Some(platform.grpc),
            auth_key: Some(key.clone()),
            further: Vec::new(),
        },
    )?;
    writeln!(
        out,
        "{} devices of {} classes; MQTT on {}, metrics on http://{}/metrics, platform on {}",
        roster.members.len(),
        roster.patterns.len(),
        gateway.mqtt,
        gateway.admin,
        platform.grpc
    )?;
    let fleet = Fleet::start(
        Arc::clone(&roster),
        fleet_options(options, &roster, (gateway.mqtt, key)),
    )?;
    let mut view = View::new(Arc::clone(&roster));
    let mut screen = Screen::new(out);
    let until = Instant::now() + options.duration;
    while Instant::now() < until && !stop.load(Ordering::Relaxed) {
        thread::sleep(SHOW_EVERY.min(until.saturating_duration_since(Instant::now())));
        gateway.process.check()?;
        platform.process.check()?;
        let live = LiveView::of(platform.admin)?;
        let ledger = LedgerView::of(&Samples::of(gateway.admin)?);
        screen.show(&view.frame(&fleet.tally, &live, &ledger))?;
    }
    let end = fleet.finish()?;
    let ledger = drained(&gateway, &platform, &end.model)?;
    gateway.process.stop()?;
    platform.process.stop()?;
    let verdict = audit(&platform_spec.data_dir(), &roster, &end.model)?;
    view::close(out, (&ledger, &verdict), &end.latency)?;
    if !verdict.holds() {
        return Err(Failed::Promise(Box::new(verdict)));
    }
    Ok(Shown { verdict, ledger })
}

fn fleet_options(
    options: &Staging,
    roster: &Roster,
    (gateway, key): (SocketAddr, Vec<u8>),
) -> FleetOptions {
    let pace = match options.rate {
        Some(rate) => Pace {
            speed: rate / roster.nominal_rate(),
            ..options.pace
        },
        None => options.pace,
    };
    FleetOptions {
        gateway: Arc::new(ArcSwap::from_pointee(gateway)),
        source_addresses: 0,
        identities: Identities::Keyed(key),
        protocols: Protocols::Mixed,
        qos: Qos::AtLeastOnce,
        window: 16,
        pace,
        unacknowledged: Unacknowledged::SendAgain,
        seed: options.seed,
    }
}

/// A key for the devices of one run.
#[must_use]
pub fn device_key() -> Vec<u8> {
    hex::encode(rand::random::<[u8; 32]>()).into_bytes()
}

/// Waits until everything acknowledged has left the spool and the ledger balances.
///
/// # Errors
/// It does not within the deadline.
pub fn drained(
    gateway: &Gateway,
    platform: &Platform,
    model: &Model,
) -> Result<LedgerView, Failed> {
    let promised = model.acknowledged_count();
    let by = Instant::now() + DRAIN_DEADLINE;
    loop {
        let ledger = LedgerView::of(&Samples::of(gateway.admin)?);
        let stored = LiveView::of(platform.admin)?.readings;
        let complete = stored >= promised && ledger.total(|lane| lane.spooled) == 0;
        if complete && ledger.balances() {
            return Ok(ledger);
        }
        if Instant::now() >= by {
            let ledger = Box::new(ledger);
            return Err(if complete {
                Failed::Ledger(ledger)
            } else {
                Failed::NotDrained {
                    limit: DRAIN_DEADLINE,
                    ledger,
                }
            });
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// A folder for one run below the system's temporary one.
///
/// # Errors
/// It cannot be made.
pub fn own_dir(what: &str) -> io::Result<PathBuf> {
    let dir = std::env::temp_dir().join(format!("sensegate-{what}-{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    Ok(dir)
}
