//! Listening and accepting. Every address is bound before anything is served; accepting never ends by an error: what is
//! wrong with one connection is its own matter, and when files run out the loop pauses and counts.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener},
    sync::Arc,
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::task_tracker::TaskTrackerToken};

use super::{
    access::AccessError, connection::Connection, gate::Entry, hub::Hub, inlet::Inlet,
    limits::Verdict,
};
use crate::supervise::TaskResult;

/// Connections that may wait to be accepted: a district that reconnects after a power cut comes all at once.
const BACKLOG: i32 = 4096;
/// First pause after an error that others will follow.
const PAUSE_MIN: Duration = Duration::from_millis(10);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// A socket that was accepted and may have to wait for its turn.
pub(crate) type Pending = (TcpStream, SocketAddr);

/// Why the broker cannot start.
#[derive(Debug, Error)]
pub enum BindError {
    /// No address is configured.
    #[error("no address to listen on for MQTT")]
    NoAddress,
    /// An address cannot be listened on.
    #[error("cannot listen on {address} for MQTT: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// A file that says who may do what cannot be used.
    #[error(transparent)]
    Access(#[from] AccessError),
}

/// Listens on an address; IPv6 addresses take IPv6 only, so that both families of a port can be listed.
pub(crate) fn listen(address: SocketAddr) -> Result<StdListener, BindError> {
    let listen = || -> io::Result<StdListener> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    listen().map_err(|source| BindError::Listen { address, source })
}

/// Accepts connections until the intake closes, then waits to be stopped.
pub(crate) async fn accept<I: Inlet>(
    hub: Arc<Hub<I>>,
    listener: TcpListener,
    intake: TaskTrackerToken,
    stop: CancellationToken,
) -> TaskResult {
    let core = &hub.core;
    let mut pause = PAUSE_MIN;
    loop {
        let accepted = tokio::select! {
            biased;
            () = core.closing.cancelled() => break,
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                pause = PAUSE_MIN;
                if let Verdict::Enters(pending, entry) =
                    core.admission.offer(peer.ip(), (stream, peer))
                {
                    welcome(&hub, pending, entry);
                }
            }
            Err(error) if concerns_one(&error) => core.metrics.accept_errors.increment(1),
            Err(error) => {
                core.metrics.accept_errors.increment(1);
                tracing::warn!(%error, ?pause, "cannot accept MQTT connections");
                sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
    drop(listener);
    drop(intake);
    stop.cancelled().await;
    Ok(())
}

/// Lets in the sockets that had to wait for their turn, until the intake closes; then waits to be stopped.
pub(crate) async fn admit<I: Inlet>(
    hub: Arc<Hub<I>>,
    intake: TaskTrackerToken,
    stop: CancellationToken,
) -> TaskResult {
    let core = &hub.core;
    tokio::select! {
        biased;
        () = core.closing.cancelled() => {}
        () = stop.cancelled() => {}
        never = core.admission.attend(|pending, entry| welcome(&hub, pending, entry)) => match never {},
    }
    core.admission.close();
    drop(intake);
    stop.cancelled().await;
    Ok(())
}

/// Whether an error of accept is about the connection that was to be accepted.
fn concerns_one(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
            | io::ErrorKind::PermissionDenied
    )
}

fn welcome<I: Inlet>(hub: &Arc<Hub<I>>, (stream, peer): Pending, entry: Entry) {
    let core = &hub.core;
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let intake = core.intakes.token();
    let connection = Connection::new(Arc::clone(hub), stream, peer.ip(), entry, intake);
    drop(core.tasks.spawn(connection));
}
