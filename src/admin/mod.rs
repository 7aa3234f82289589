//! What an operator and their tools see of a running gateway: /metrics, /healthz, /readyz, a status page, and systemd's
//! notifications; and the socket on which operators' commands come. It asks a [`Status`] that the composition root supplies, and knows no stage.

mod report;
mod guard;
mod page;
mod routes;
mod notify;
mod socket;

use std::{io, net::SocketAddr, sync::Arc};

use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use notify::Notifier;
pub use report::{
    DropReport, LaneReport, OffenderReport, OffendersReport, Report, Status, UplinkReport,
};
pub use socket::{Orders, Socket, ask};

use crate::{supervise::TaskResult, telemetry::Exporter};

/// Why there are no admin pages.
#[derive(Debug, Error)]
#[expect(
    clippy::module_name_repetitions,
    reason = "each stage has an error by its name"
)]
pub enum AdminError {
    /// The address cannot be bound.
    #[error("admin.listen: {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

impl AdminError {
    /// The exit code that this ends the process with: 69, a port is not available.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Bind { .. } => 69,
        }
    }
}

/// The admin listener: bound, not serving yet.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    address: SocketAddr,
}

impl Admin {
    /// Binds the address; connections wait in the backlog until [`Admin::serve`].
    ///
    /// # Errors
    /// [`AdminError::Bind`]: in use, not this host's, or not permitted.
    pub async fn bind(address: SocketAddr) -> Result<Self, AdminError> {
        let failed = |source| AdminError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// The address that was bound, with the port that the system chose if it was 0.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the token is cancelled, and keeps the exporter's histograms small meanwhile.
    ///
    /// # Errors
    /// None so far; the signature is a task's.
    pub async fn serve<S: Status>(
        self,
        status: Arc<S>,
        exporter: Exporter,
        token: CancellationToken,
    ) -> TaskResult {
        let upkeep = upkeep(exporter.clone());
        let routes = routes::routes(status, exporter);
        let serve = axum::serve(guard::Guard::new(self.listener), routes);
        // Pages are short and their connections end by themselves: there is nothing to drain.
        tokio::select! {
            result = serve => result?,
            () = upkeep => {}
            () = token.cancelled() => {}
        }
        Ok(())
    }
}

/// Empties histograms into their buckets, for ever.
async fn upkeep(exporter: Exporter) {
    let mut ticks = tokio::time::interval(Exporter::upkeep_interval());
    loop {
        ticks.tick().await;
        exporter.upkeep();
    }
}

#[cfg(test)]
mod tests;
