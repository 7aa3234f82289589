//! The composition root: binds every port, opens the store, wires the stages together by their narrow interfaces,
//! runs until a signal or a failure, and stops in flow order. It decides nothing about readings.

mod error;
mod bound;
mod kept;
mod operate;
mod orders;
mod reload;
mod running;
mod status;
mod watch;

#[expect(
    clippy::module_name_repetitions,
    reason = "`Error` alone would say nothing where it is used"
)]
pub use error::GatewayError;
pub use operate::{Action, Earnest, Request, Summary};
pub use orders::{By, quarantine};
pub use reload::Reread;

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use self::running::Running;
use crate::{
    broker,
    config::Config,
    domain::SystemClock,
    ingest, spool,
    supervise::TaskFailure,
    telemetry::{self, Exporter, Metric},
    uplink, vault,
};

/// Every stage's metrics, for the exporter and for docs/metrics.md.
pub const STAGES: [(&str, &[Metric]); 9] = [
    ("broker", broker::METRICS),
    ("access", broker::access::METRICS),
    ("broker: limits", broker::LIMIT_METRICS),
    ("exchange", broker::EXCHANGE_METRICS),
    ("transport", broker::transport::METRICS),
    ("vault", vault::METRICS),
    ("ingest", ingest::METRICS),
    ("spool", spool::METRICS),
    ("uplink", uplink::METRICS),
];

/// Runs the gateway until SIGTERM or SIGINT, or until a part of it fails. SIGHUP reloads certificates, classes, access and
/// the log filter, and so does a change of the files that certificates, access, classes and profiles were read from;
/// `reread` gives the configuration as it stands then.
///
/// # Errors
/// [`GatewayError`] says what could not be bound, opened or kept running; its exit code is one of sysexits.h.
pub fn run(config: Config, reread: Reread) -> Result<(), GatewayError> {
    match telemetry::raise_open_files() {
        Ok(files) => tracing::debug!(files, "limit of open files"),
        Err(error) => tracing::warn!(%error, "the limit of open files stays as it is"),
    }
    let exporter = Exporter::install()?;
    for (_, metrics) in STAGES {
        telemetry::describe(metrics);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.node.worker_threads)
        .thread_name("sensegate")
        .enable_all()
        .build()
        .map_err(GatewayError::Runtime)?;
    let ended = runtime.block_on(Box::pin(serve(config, reread, exporter)));
    runtime.shutdown_background();
    ended
}

async fn serve(config: Config, reread: Reread, exporter: Exporter) -> Result<(), GatewayError> {
    let mut signals = Signals::new().map_err(GatewayError::Runtime)?;
    let mut running = Box::pin(Running::start(config, Arc::new(SystemClock), exporter)).await?;
    let changes = running.changes();
    let failure = loop {
        tokio::select! {
            biased;
            failure = running.failure() => break Some(failure),
            asked = signals.next() => match asked {
                Asked::Stop(name) => {
                    tracing::info!(signal = name, "stopping");
                    break None;
                }
                Asked::Reload => Box::pin(running.reload(&reread)).await,
            },
            () = changes.notified() => Box::pin(running.reload(&reread)).await,
        }
    };
    if let Some(failure) = &failure {
        tracing::error!(%failure, "a part of the gateway failed: stopping");
    }
    let stopped = Box::pin(running.stop()).await;
    match failure {
        Some(failure) => Err(failure.into()),
        None => stopped,
    }
}

/// What a signal asks for.
enum Asked {
    Stop(&'static str),
    Reload,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Asked::Stop("SIGINT"),
            _ = self.hangup.recv() => Asked::Reload,
        }
    }
}

impl From<TaskFailure> for GatewayError {
    fn from(failure: TaskFailure) -> Self {
        Self::Failed(failure)
    }
}
