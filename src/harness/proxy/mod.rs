//! A TCP proxy that misbehaves on order: late, slow, silent, cut, or broken off after so many bytes. Stands between
//! devices and gateway or between gateway and platform; its own address stays while what is behind it comes and goes.
//!
//! ```text
//! client ──▶ read ──(at most QUEUE chunks, each with its due time)──▶ write ──▶ server     and the same back
//!               └─ allowance of bytes ends: both sides reset   stall: nobody reads   rate: pause after each chunk
//! ```

mod pipe;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use pipe::{Allowance, End, pump};

/// Whether bytes and connections pass at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// They do.
    #[default]
    Passing,
    /// Nothing passes, though connections stay: a silent network.
    Stalled,
    /// New connections are taken and reset at once.
    Refusing,
}

/// What is wrong with the network just now; as [`Default`] nothing is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Faults {
    /// Time by which every byte is late, each way.
    pub delay: Duration,
    /// Bytes a second, each way and connection; none: as fast as it goes.
    pub bytes_per_s: Option<u32>,
    /// What is wrong beyond slowness.
    pub mode: Mode,
    /// Connections made from now on break off once so many bytes have passed, both ways together.
    pub break_after_bytes: Option<u64>,
}

#[derive(Debug)]
struct Shared {
    faults: watch::Sender<Faults>,
    upstream: watch::Sender<SocketAddr>,
    cut: watch::Sender<CancellationToken>,
    passed: AtomicU64,
    accepted: AtomicU64,
}

/// A running proxy; dropping it ends it and all its connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Proxy {
    /// Starts on a free port of 127.0.0.1 before `upstream`. Call within a tokio runtime.
    ///
    /// # Errors
    /// No port to listen on.
    pub async fn start(upstream: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            faults: watch::Sender::new(Faults::default()),
            upstream: watch::Sender::new(upstream),
            cut: watch::Sender::new(CancellationToken::new()),
            passed: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
        });
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let accepting = accept(listener, Arc::clone(&shared), tasks.clone());
        let stopped = stop.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = accepting => {}
            }
        });
        Ok(Self {
            address,
            shared,
            tasks,
            stop,
        })
    }

    /// Where to connect to.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// New connections go to this server.
    pub fn set_upstream(&self, upstream: SocketAddr) {
        self.shared.upstream.send_replace(upstream);
    }

    /// From now on these faults, for connections that exist too.
    pub fn set_faults(&self, faults: Faults) {
        self.shared.faults.send_replace(faults);
    }

    /// Resets every connection that exists.
    pub fn cut(&self) {
        let before = self.shared.cut.send_replace(CancellationToken::new());
        before.cancel();
    }

    /// Bytes passed on, both ways.
    #[must_use]
    pub fn passed_bytes(&self) -> u64 {
        self.shared.passed.load(Ordering::Relaxed)
    }

    /// Connections taken so far.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// Ends the proxy, resets its connections and waits for its tasks.
    pub async fn stop(self) {
        self.stop.cancel();
        self.cut();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.cancel();
        self.cut();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, tasks: TaskTracker) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            // Out of descriptors or memory: let others finish first.
            tokio::task::yield_now().await;
            continue;
        };
        shared.accepted.fetch_add(1, Ordering::Relaxed);
        if shared.faults.borrow().mode == Mode::Refusing {
            reset(&client);
            continue;
        }
        let cut = shared.cut.borrow().clone();
        tasks.spawn(serve(client, Arc::clone(&shared), cut));
    }
}

async fn serve(mut client: TcpStream, shared: Arc<Shared>, cut: CancellationToken) {
    let address = *shared.upstream.borrow();
    let connected = tokio::select! {
        () = cut.cancelled() => None,
        server = connect(address) => server.ok(),
    };
    let Some(mut server) = connected else {
        reset(&client);
        return;
    };
    let break_after = shared.faults.borrow().break_after_bytes;
    let allowance = Arc::new(Allowance::new(break_after));
    let end = {
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = server.split();
        let up = pump(&mut from_client, &mut to_server, &shared, &allowance);
        let down = pump(&mut from_server, &mut to_client, &shared, &allowance);
        let both = async {
            let (up, down) = tokio::join!(up, down);
            if up == End::Broken || down == End::Broken {
                End::Broken
            } else {
                End::Closed
            }
        };
        tokio::select! {
            () = cut.cancelled() => End::Broken,
            () = allowance.used_up() => End::Broken,
            end = both => end,
        }
    };
    if end == End::Broken {
        reset(&client);
        reset(&server);
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_nodelay(true)?;
    socket.connect(address).await
}

/// The next close of this socket sends RST.
fn reset(stream: &TcpStream) {
    let socket = socket2::SockRef::from(stream);
    // A socket that is gone already needs no reset.
    socket.set_linger(Some(Duration::ZERO)).unwrap_or_default();
}

#[cfg(test)]
mod tests;
