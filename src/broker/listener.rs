//! Listening and accepting. Every address is bound before anything is served; accepting never ends by an error: what is
//! wrong with one connection is its own matter, and when files run out the loop pauses and counts.
//!
//! Behind a proxy a connection first has to say whose it is. It does so in a task of its own, within the deadline of
//! CONNECT, and only then passes the gate, under the address that the proxy names; the loop never waits for it.

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpListener as StdListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::task_tracker::TaskTrackerToken};

use super::{
    access::AccessError,
    connection::Connection,
    gate::Entry,
    hub::Hub,
    inlet::Inlet,
    limits::Verdict,
    transport::{Port, TransportError, Unannounced, proxy},
};
use crate::supervise::TaskResult;

/// Connections that may wait to be accepted: a district that reconnects after a power cut comes all at once.
const BACKLOG: i32 = 4096;
/// First pause after an error that others will follow.
const PAUSE_MIN: Duration = Duration::from_millis(10);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// Connections of one listener that may be awaiting their PROXY header. Balancers send it with the first packet.
const UNANNOUNCED_MAX: usize = 4096;

/// A socket that was accepted, whose address is known, and that may have to wait for its turn.
#[derive(Debug)]
pub(crate) struct Pending {
    socket: TcpStream,
    source: IpAddr,
    port: Arc<Port>,
}

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
    /// A listener's certificates cannot be used.
    #[error(transparent)]
    Transport(#[from] TransportError),
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

/// A listener that accepts, and what it hands each connection.
pub(crate) struct Porch<I: Inlet> {
    hub: Arc<Hub<I>>,
    port: Arc<Port>,
    unannounced: AtomicUsize,
}

impl<I: Inlet> Porch<I> {
    pub(crate) const fn new(hub: Arc<Hub<I>>, port: Arc<Port>) -> Self {
        Self {
            hub,
            port,
            unannounced: AtomicUsize::new(0),
        }
    }

    /// Accepts connections until the intake closes, then waits to be stopped.
    pub(crate) async fn accept(
        self,
        listener: TcpListener,
        intake: TaskTrackerToken,
        stop: CancellationToken,
    ) -> TaskResult {
        let porch = Arc::new(self);
        let core = &porch.hub.core;
        let mut pause = PAUSE_MIN;
        loop {
            let accepted = tokio::select! {
                biased;
                () = core.closing.cancelled() => break,
                () = stop.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((socket, peer)) => {
                    pause = PAUSE_MIN;
                    porch.receive(socket, peer);
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

    fn receive(self: &Arc<Self>, socket: TcpStream, peer: SocketAddr) {
        if self.port.proxies().is_none() {
            self.offer(socket, peer.ip());
        } else if !self.port.trusts(peer.ip()) {
            tracing::debug!(listener = &*self.port.name, %peer, "no proxy that is trusted");
            Unannounced::Untrusted.count();
        } else if self.unannounced.fetch_add(1, Ordering::Relaxed) >= UNANNOUNCED_MAX {
            self.unannounced.fetch_sub(1, Ordering::Relaxed);
            Unannounced::Crowded.count();
        } else {
            let core = &self.hub.core;
            let intake = core.intakes.token();
            let announced = Arc::clone(self).announce(socket, peer, intake);
            drop(core.tasks.spawn(announced));
        }
    }

    /// Waits for the header that says whose connection it is.
    async fn announce(
        self: Arc<Self>,
        mut socket: TcpStream,
        peer: SocketAddr,
        intake: TaskTrackerToken,
    ) {
        let core = &self.hub.core;
        let header = tokio::select! {
            biased;
            () = core.closing.cancelled() => None,
            header = timeout(core.config.connect_deadline, header(&mut socket)) => {
                Some(header.unwrap_or(Err(Unannounced::Deadline)))
            }
        };
        self.unannounced.fetch_sub(1, Ordering::Relaxed);
        match header {
            None => {}
            Some(Ok(header)) => {
                let source = header.source.unwrap_or(peer);
                self.offer(socket, source.ip());
            }
            Some(Err(why)) => {
                tracing::debug!(listener = &*self.port.name, %peer, ?why, "no PROXY header");
                why.count();
            }
        }
        drop(intake);
    }

    /// Lets a socket in, or has it wait for its turn.
    fn offer(&self, socket: TcpStream, source: IpAddr) {
        let pending = Pending {
            socket,
            source,
            port: Arc::clone(&self.port),
        };
        if let Verdict::Enters(pending, entry) = self.hub.core.admission.offer(source, pending) {
            welcome(&self.hub, pending, entry);
        }
    }
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

fn welcome<I: Inlet>(hub: &Arc<Hub<I>>, pending: Pending, entry: Entry) {
    let core = &hub.core;
    let Pending {
        socket,
        source,
        port,
    } = pending;
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let stream = match port.stream(socket) {
        Ok(stream) => stream,
        Err(error) => {
            tracing::error!(listener = &*port.name, %error, "no TLS session");
            core.gate.exit(source);
            return;
        }
    };
    let intake = core.intakes.token();
    let connection = Connection::new(Arc::clone(hub), stream, source, entry, intake);
    drop(core.tasks.spawn(connection));
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

/// Reads a PROXY header and not one byte more.
async fn header(socket: &mut TcpStream) -> Result<proxy::Header, Unannounced> {
    let mut bytes = [0; proxy::HEADER_BYTES_MAX];
    let mut have = 0;
    loop {
        let read = bytes.get(..have).unwrap_or_default();
        match proxy::parse(read) {
            Ok(Some((header, _))) => return Ok(header),
            Ok(None) => {}
            Err(_) => return Err(Unannounced::Malformed),
        }
        let wanted = proxy::wanted(read);
        let rest = bytes.get_mut(have..wanted).unwrap_or_default();
        match socket.read(rest).await {
            Ok(count) if count > 0 => have += count,
            _ => return Err(Unannounced::Closed),
        }
    }
}
