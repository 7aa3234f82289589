//! The reference platform: what the gateway delivers to in tests, measurements and the demonstration.
//!
//! ```text
//!   stream ─┐                       ┌─ answers ─▶ stream
//!   stream ─┼─ asks (bounded) ─▶ commit thread ── one synced write ──▶ RocksDB
//!   stream ─┘                       └─ tally ─▶ live view ◀── HTTP, snapshot()
//! ```
//! It holds the contract's other half: readings and positions in one transaction, so that every reading counts once;
//! answers only after the sync; up to 16 ranges ahead of a lane's position. And it can be told to misbehave
//! ([`Faults`]).

#![expect(
    clippy::module_name_repetitions,
    reason = "the harness has many configurations and handles; these are the platform's"
)]

mod args;
mod commit;
mod faults;
mod group;
mod http;
mod keys;
mod position;
pub mod query;
mod query_args;
mod service;
mod store;
mod view;
mod wire;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, atomic::AtomicU64},
    thread::JoinHandle,
    time::Duration,
};

use thiserror::Error;
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use args::{command, run};
pub use commit::CrashBy;
pub use faults::{FaultBoard, Faults};
pub use keys::Holder;
pub use position::{AHEAD_MAX, AcceptsAhead, LanePosition};
pub use query_args::{command as query_command, run as query_run};
pub use store::StoreError;
pub use view::{Catalogue, Latency, NoCatalogue, Position, Snapshot};

use self::{
    commit::Commit,
    service::{PlatformService, Shared},
    store::Store,
    view::View,
};
use crate::domain::{Clock, SystemClock};

/// HTTP/2 window of a stream, bytes: more than a gateway has in flight.
const STREAM_WINDOW: u32 = 16 << 20;
/// HTTP/2 window of a connection, bytes.
const CONNECTION_WINDOW: u32 = 32 << 20;
/// Largest HTTP/2 frame, bytes: fewer of them for the same batch.
const FRAME_BYTES_MAX: u32 = 1 << 20;
/// How long an orderly stop waits for streams to end.
const STOP_DEADLINE: Duration = Duration::from_secs(5);

/// How to run a platform.
#[derive(Debug, Clone)]
pub struct PlatformConfig {
    /// Where gateways connect; port 0 picks one.
    pub listen: SocketAddr,
    /// Where its data lives; created if it is not there.
    pub data_dir: PathBuf,
    /// Where the live view is served over HTTP; none: nowhere.
    pub admin_listen: Option<SocketAddr>,
    /// Whether batches ahead of a lane's position are stored.
    pub accepts_ahead: AcceptsAhead,
    /// Whether zstd is taken on the wire.
    pub compression: bool,
    /// What it does wrong.
    pub faults: Faults,
    /// How it dies when told to.
    pub crash_by: CrashBy,
    /// What it knows about classes.
    pub catalogue: Arc<dyn Catalogue>,
}

impl PlatformConfig {
    /// A well-behaved platform on a free port of the loopback, without HTTP.
    #[must_use]
    pub fn local(data_dir: PathBuf) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            data_dir,
            admin_listen: None,
            accepts_ahead: AcceptsAhead::Yes,
            compression: true,
            faults: Faults::default(),
            crash_by: CrashBy::Silence,
            catalogue: Arc::new(NoCatalogue),
        }
    }
}

/// Why a platform does not start, or ended badly.
#[derive(Debug, Error)]
pub enum PlatformError {
    /// An address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// Its data cannot be used.
    #[error("{0}: {1}")]
    Store(PathBuf, StoreError),
    /// The commit thread cannot be started or has died.
    #[error("commit thread: {0}")]
    Thread(String),
}

/// A cheap handle to a running platform.
#[derive(Debug, Clone)]
pub struct PlatformHandle {
    view: Arc<View>,
    faults: FaultBoard,
    dead: CancellationToken,
}

impl PlatformHandle {
    /// What it shows at this moment.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.view.snapshot()
    }

    /// Replaces the faults in force.
    pub fn set_faults(&self, faults: Faults) {
        self.faults.set(faults);
    }

    /// The faults in force.
    #[must_use]
    pub fn faults(&self) -> Faults {
        Faults::clone(&self.faults.get())
    }

    /// Whether it died (a crash that was ordered, or a disk that failed).
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.dead.is_cancelled()
    }

    /// Resolves when it dies.
    pub async fn died(&self) {
        self.dead.cancelled().await;
    }
}

/// A platform that runs in this process.
#[derive(Debug)]
pub struct RunningPlatform {
    address: SocketAddr,
    admin_address: Option<SocketAddr>,
    handle: PlatformHandle,
    stop: CancellationToken,
    tasks: TaskTracker,
    commit: JoinHandle<Result<(), StoreError>>,
}

impl RunningPlatform {
    /// Where gateways connect.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The endpoint as a gateway is told it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where the live view is served.
    #[must_use]
    pub const fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// A handle to it.
    #[must_use]
    pub fn handle(&self) -> PlatformHandle {
        self.handle.clone()
    }

    /// Stops: streams end, what was received is stored, the data is closed.
    ///
    /// # Errors
    /// The commit thread had died of a fault.
    pub async fn stop(self) -> Result<(), PlatformError> {
        self.stop.cancel();
        self.end().await
    }

    /// Dies at once as far as one process allows: nothing more is stored or answered.
    ///
    /// # Errors
    /// The commit thread had died of a fault.
    pub async fn kill(self) -> Result<(), PlatformError> {
        self.handle.dead.cancel();
        self.stop.cancel();
        self.end().await
    }

    async fn end(self) -> Result<(), PlatformError> {
        self.tasks.close();
        let ended = tokio::time::timeout(STOP_DEADLINE, self.tasks.wait()).await;
        if ended.is_err() {
            tracing::warn!("streams did not end in time");
            self.handle.dead.cancel();
        }
        let joined = tokio::task::spawn_blocking(move || self.commit.join()).await;
        match joined {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(fault))) => Err(PlatformError::Thread(fault.to_string())),
            Ok(Err(_)) | Err(_) => Err(PlatformError::Thread("panicked".to_owned())),
        }
    }
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), PlatformError> {
    let failed = |fault| PlatformError::Listen(address, fault);
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Binds, opens the data and runs until it is stopped.
///
/// # Errors
/// A port is in use, the data is locked, not writable or damaged.
pub async fn start(config: PlatformConfig) -> Result<RunningPlatform, PlatformError> {
    let (listener, address) = bind(config.listen).await?;
    let admin = match config.admin_listen {
        Some(listen) => Some(bind(listen).await?),
        None => None,
    };
    let dir = config.data_dir.clone();
    let failed = |fault| PlatformError::Store(config.data_dir.clone(), fault);
    let opened = tokio::task::spawn_blocking(move || {
        let store = Store::open(&dir)?;
        let held = store.load()?;
        Ok((store, held))
    });
    let opened = opened
        .await
        .map_err(|fault| PlatformError::Thread(fault.to_string()))?;
    let (store, held) = opened.map_err(failed)?;

    let thread = |fault: &dyn std::fmt::Display| PlatformError::Thread(fault.to_string());
    let view = Arc::new(View::new(&held, config.catalogue).map_err(|fault| thread(&fault))?);
    let faults = FaultBoard::new(config.faults);
    let (stop, dead) = (CancellationToken::new(), CancellationToken::new());
    let (asks, queue) = mpsc::channel(commit::QUEUE_MAX);
    let commit = Commit {
        store,
        held,
        clock: Arc::new(SystemClock) as Arc<dyn Clock>,
        faults: faults.clone(),
        view: Arc::clone(&view),
        accepts_ahead: config.accepts_ahead,
        crash_by: config.crash_by,
        dead: dead.clone(),
    };
    let commit = commit.start(queue).map_err(|fault| thread(&fault))?;
    let handle = PlatformHandle {
        view: Arc::clone(&view),
        faults: faults.clone(),
        dead: dead.clone(),
    };
    let tasks = TaskTracker::new();
    let service = PlatformService(Arc::new(Shared {
        asks,
        faults,
        view,
        streams: tasks.clone(),
        stop: stop.clone(),
        dead: dead.clone(),
        epochs: AtomicU64::new(0),
        compression: config.compression,
    }));
    tasks.spawn(serve(listener, service, stop.clone(), dead));
    let admin_address = admin.as_ref().map(|(_, bound)| *bound);
    if let Some((listener, _)) = admin {
        tasks.spawn(http::serve(listener, handle.clone(), stop.clone()));
    }
    Ok(RunningPlatform {
        address,
        admin_address,
        handle,
        stop,
        tasks,
        commit,
    })
}

async fn serve(
    listener: TcpListener,
    service: PlatformService,
    stop: CancellationToken,
    dead: CancellationToken,
) {
    let ended = async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = dead.cancelled() => {}
        }
    };
    let served = tonic::transport::Server::builder()
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME_BYTES_MAX)
        .add_service(service)
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), ended)
        .await;
    if let Err(fault) = served {
        tracing::error!(%fault, "the platform's listener ended");
    }
}
