//! systemd's notifications (`sd_notify`, section 3 of the manual): a datagram of `NAME=value` lines to the socket that systemd names. Without
//! one, every call does nothing. The watchdog is fed only while every task runs: a gateway that is alive but dead is
//! restarted.

use std::{
    env,
    ffi::OsStr,
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
    sync::Arc,
    time::Duration,
};

use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::report::{Report, Status};
use crate::supervise::TaskResult;

/// How often the status line is renewed where no watchdog asks for more.
const BEAT: Duration = Duration::from_secs(5);

/// The way to systemd.
#[derive(Debug, Default)]
pub struct Notifier {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// As systemd's environment variables say; silent if they are not there or of no use.
    #[must_use]
    pub fn from_env() -> Self {
        let Some(path) = env::var_os("NOTIFY_SOCKET") else {
            return Self::default();
        };
        let number = |name| env::var(name).ok()?.parse::<u64>().ok();
        let mine = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC")
            .filter(|&micros| mine && micros > 0)
            .map(Duration::from_micros);
        Self::to(&path, watchdog).unwrap_or_else(|error| {
            tracing::warn!(%error, "NOTIFY_SOCKET cannot be used; systemd hears nothing");
            Self::default()
        })
    }

    /// To a socket by its path; `@` in front means the abstract namespace.
    ///
    /// # Errors
    /// The path is no socket address.
    pub fn to(path: &OsStr, watchdog: Option<Duration>) -> io::Result<Self> {
        let address = match path.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(path)?,
        };
        let socket = UnixDatagram::unbound()?;
        // A supervisor that does not read must not stop the gateway.
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket: Some((socket, address)),
            watchdog,
        })
    }

    /// The gateway listens and can acknowledge; also after a reload.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// A reload has begun; [`Notifier::ready`] ends it.
    pub fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = now
            .tv_sec
            .saturating_mul(1_000_000)
            .saturating_add(now.tv_nsec / 1_000);
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// An orderly stop has begun.
    pub fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=stopping: sending what is owed, syncing the spool");
    }

    /// One line for `systemctl status`.
    pub fn status(&self, line: &str) {
        let line = line.replace('\n', "; ");
        self.send(&format!("STATUS={line}"));
    }

    /// Feeds the watchdog at half its interval while nothing is dead, and renews the status line; until cancelled.
    ///
    /// # Errors
    /// None so far; the signature is a task's.
    pub async fn beat<S: Status>(
        self: Arc<Self>,
        status: Arc<S>,
        token: CancellationToken,
    ) -> TaskResult {
        if self.socket.is_none() {
            token.cancelled().await;
            return Ok(());
        }
        let period = self
            .watchdog
            .map_or(BEAT, |watchdog| (watchdog / 2).min(BEAT));
        let mut ticks = interval(period.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last: Option<(Instant, u64)> = None;
        loop {
            tokio::select! {
                () = token.cancelled() => return Ok(()),
                _ = ticks.tick() => {}
            }
            let dead = status.dead();
            if dead.is_empty() && self.watchdog.is_some() {
                self.send("WATCHDOG=1");
            }
            let report = status.report();
            let now = Instant::now();
            let rate = last.map_or(0, |(then, received)| {
                per_second(report.received().saturating_sub(received), now - then)
            });
            last = Some((now, report.received()));
            self.status(&line(&report, rate, &dead, &status.unready()));
        }
    }

    fn send(&self, text: &str) {
        if let Some((socket, address)) = &self.socket
            && let Err(error) = socket.send_to_addr(text.as_bytes(), address)
        {
            tracing::debug!(%error, "systemd could not be notified");
        }
    }
}

fn per_second(count: u64, span: Duration) -> u64 {
    let millis = span.as_millis().max(1);
    u64::try_from(u128::from(count) * 1000 / millis).unwrap_or(u64::MAX)
}

/// `2070 readings/s, 812 connections, backlog 0; what is wrong`.
fn line(report: &Report, rate: u64, dead: &[String], unready: &[String]) -> String {
    let mut line = format!(
        "{rate} readings/s, {} connections, backlog {}",
        report.connections,
        report.spooled()
    );
    for trouble in dead.iter().chain(unready).chain(&report.troubles) {
        line.push_str("; ");
        line.push_str(trouble);
    }
    line
}
