//! The composition root: binds every port, opens the spool, wires the stages together by their narrow interfaces,
//! runs until a signal or a failure, and stops in flow order. It decides nothing about readings.

mod bound;
mod classes;
mod error;
mod running;
mod state;

use std::sync::Arc;

pub use error::GatewayError;

use self::running::Running;
use crate::{
    admin::{Admin, Notifier},
    broker::{self, Broker},
    config::Config,
    domain::{Clock, SystemClock},
    ingest::{self, Ingest},
    spool::{self, Spool},
    telemetry,
    uplink::{self, Introduction, Uplink},
};

/// Runs the gateway until SIGTERM or SIGINT, or until a part of it fails.
///
/// # Errors
/// [`GatewayError`] says what could not be bound, opened or kept running; its exit code is in sysexits.h.
pub fn run(config: Config) -> Result<(), GatewayError> {
    raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.node.worker_threads)
        .thread_name("sensegate")
        .enable_all()
        .build()
        .map_err(GatewayError::Runtime)?;
    let ended = runtime.block_on(Box::pin(serve(config)));
    runtime.shutdown_background();
    ended
}
