//! What a load runs against: a gateway and its platform on fresh data, and the proof afterwards that nothing is missing.

use std::{
    fs, io,
    net::SocketAddr,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use thiserror::Error;

use super::entry::Unissued;
use crate::harness::{
    children::{Binaries, ChildError, Gateway, GatewaySpec, Platform, PlatformSpec},
    demo::device_key,
    devices::DialectError,
    evidence::{LiveView, Unreadable},
    scrape::{LedgerView, Samples, Unanswered},
};

/// How long the platform may take to receive the rest after a load.
const DRAIN_DEADLINE: Duration = Duration::from_secs(180);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The limit on a class, where the gateway has one: a benchmark sends in one class what a city sends in 226.
const CLASS_RATE: [&str; 2] = ["--mqtt-class-messages-per-s", "10000000"];

/// Why a benchmark did not come to its end.
#[derive(Debug, Error)]
pub enum Broken {
    /// A child process.
    #[error(transparent)]
    Child(#[from] ChildError),
    /// The load, or files.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The devices' credentials.
    #[error(transparent)]
    Unissued(#[from] Unissued),
    /// Payloads of the classes' formats cannot be made.
    #[error(transparent)]
    Dialect(Box<DialectError>),
    /// The gateway's metrics.
    #[error(transparent)]
    Scrape(#[from] Unanswered),
    /// The platform's live view.
    #[error(transparent)]
    Evidence(#[from] Unreadable),
    /// The limit of open files.
    #[error("raising the limit of open files: {0}")]
    Limit(rustix::io::Errno),
    /// A part of a load ended by a panic.
    #[error("{0} panicked")]
    Panicked(&'static str),
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

/// Children inherit the limit.
pub(super) fn raise_open_files() -> Result<(), Broken> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).map_err(Broken::Limit)
}

/// How a rig is set up.
#[derive(Debug, Default)]
pub(super) struct Setup<'a> {
    /// Further flags of the gateway.
    pub(super) flags: Vec<String>,
    /// What the gateway is told instead of the platform's address.
    pub(super) through: Option<&'a dyn Through>,
}

/// Something between gateway and platform: from the platform's address to its own.
pub(super) trait Through: std::fmt::Debug {
    /// Stands before a platform.
    ///
    /// # Errors
    /// It cannot listen.
    fn before(&self, platform: SocketAddr) -> io::Result<SocketAddr>;
}

/// A gateway with its platform.
#[derive(Debug)]
pub(super) struct Rig {
    pub(super) gateway: Gateway,
    pub(super) platform: Platform,
    /// Key of the devices' passwords.
    pub(super) key: Vec<u8>,
}

impl Rig {
    /// Starts both on fresh data below a folder.
    pub(super) fn start(binaries: &Binaries, dir: &Path, setup: Setup<'_>) -> Result<Self, Broken> {
        let key = device_key();
        let platform = Platform::start(
            binaries,
            &PlatformSpec {
                dir: dir.to_owned(),
                further: Vec::new(),
            },
        )?;
        let address = match setup.through {
            Some(through) => through.before(platform.grpc)?,
            None => platform.grpc,
        };
        let mut further = setup.flags;
        if binaries.gateway_knows(CLASS_RATE[0])? {
            further.extend(CLASS_RATE.map(str::to_owned));
        }
        let gateway = Gateway::start(
            binaries,
            &GatewaySpec {
                dir: dir.to_owned(),
                platform: Some(address),
                auth_key: Some(key.clone()),
                further,
            },
        )?;
        Ok(Self {
            gateway,
            platform,
            key,
        })
    }

    /// Waits until the platform holds everything; says how much that is and how long it took.
    pub(super) fn drained(&self, acknowledged: u64) -> Result<(u64, Duration), Broken> {
        let since = Instant::now();
        loop {
            let stored = LiveView::of(self.platform.admin)?.readings;
            let elapsed = since.elapsed();
            let ledger = Box::new(LedgerView::of(&Samples::of(self.gateway.admin)?));
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

    /// Stops both in order and removes their data.
    pub(super) fn end(mut self, dir: &Path) -> Result<(), Broken> {
        self.gateway.process.stop()?;
        self.platform.process.stop()?;
        Ok(fs::remove_dir_all(dir)?)
    }
}
