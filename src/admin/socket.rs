//! A Unix domain socket in the data directory, for operators' commands that need the running daemon: `admin.sock`, for
//! the daemon's own user and root only, by its mode and by who connects.
//!
//! ```text
//! client ─▶ one line                          a request, at most 64 KiB
//! client ◀─ lines, the last one the outcome   while it is carried out; then the connection is closed
//! ```
//! One command at a time: the next connection waits in the backlog. What the lines say is the composition root's affair.
//! A client that goes away, or the gateway's stop, ends the command where it can be ended.

use std::{
    fs::{self, Permissions},
    io::{self, BufRead as _, BufReader, Write as _},
    ops::ControlFlow,
    os::unix::{self, fs::PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    sync::mpsc,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::supervise::TaskResult;

/// Its name in the data directory.
const FILE: &str = "admin.sock";
/// Longest request.
const REQUEST_BYTES_MAX: u64 = 64 * 1024;
/// How long a client may take to send its request, or to take a line.
const CLIENT_DEADLINE: Duration = Duration::from_secs(5);
/// Lines that wait for a slow client.
const LINES_MAX: usize = 16;
/// Longest silence of the daemon: the command of somebody else may come first.
const SILENCE_MAX: Duration = Duration::from_secs(600);
/// Longest line of an answer.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// Carries out what operators ask.
pub trait Orders: Send + Sync + 'static {
    /// Carries a request out and answers it with the last line. Tells lines meanwhile, and ends early if it is told to.
    /// Blocks: it runs on a thread for that.
    fn carry_out(&self, request: &str, tell: &mut dyn FnMut(String) -> ControlFlow<()>) -> String;
}

/// The socket, bound.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Binds the socket of a data directory that this process owns; one that a dead process left is replaced.
    ///
    /// # Errors
    /// The directory's path is too long for a socket, or takes no file.
    pub fn bind(data_dir: &Path) -> io::Result<Self> {
        let path = data_dir.join(FILE);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        Ok(Self { listener, path })
    }

    /// Serves until the token is cancelled.
    ///
    /// # Errors
    /// None so far; the signature is a task's.
    pub async fn serve<O: Orders>(self, orders: Arc<O>, token: CancellationToken) -> TaskResult {
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = token.cancelled() => break,
            };
            match accepted {
                Ok((stream, _)) if is_ours(&stream) => {
                    if let Err(error) = converse(stream, &orders, &token).await {
                        tracing::debug!(%error, "admin socket: a client went away");
                    }
                }
                Ok(_) => tracing::warn!("admin socket: another user's connection is refused"),
                Err(error) => {
                    tracing::warn!(%error, "admin socket: accept failed");
                    tokio::time::sleep(CLIENT_DEADLINE).await;
                }
            }
        }
        fs::remove_file(&self.path).ok();
        Ok(())
    }
}

/// Whether it is the daemon's own user, or root, who connects.
fn is_ours(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream
        .peer_cred()
        .is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
}

async fn converse<O: Orders>(
    mut stream: UnixStream,
    orders: &Arc<O>,
    token: &CancellationToken,
) -> io::Result<()> {
    let (reader, mut writer) = stream.split();
    let mut request = String::new();
    let mut reader = tokio::io::BufReader::new(reader.take(REQUEST_BYTES_MAX));
    timeout(CLIENT_DEADLINE, reader.read_line(&mut request)).await??;
    if !request.ends_with('\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let (lines, mut told) = mpsc::channel(LINES_MAX);
    let (orders, stop) = (Arc::clone(orders), token.clone());
    let work = tokio::task::spawn_blocking(move || {
        let mut tell = |line| match lines.blocking_send(line) {
            Ok(()) if !stop.is_cancelled() => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        };
        let outcome = orders.carry_out(&request, &mut tell);
        lines.blocking_send(outcome).ok();
    });
    let mut told_all = Ok(());
    while let Some(line) = told.recv().await {
        let line = line + "\n";
        told_all = match timeout(CLIENT_DEADLINE, writer.write_all(line.as_bytes())).await {
            Ok(written) => written,
            Err(late) => Err(late.into()),
        };
        if told_all.is_err() {
            // The command learns it with its next line.
            told.close();
        }
    }
    work.await.map_err(io::Error::other)?;
    told_all
}

/// Asks the daemon of a data directory; shows each line of its answer until `show` breaks. False: no daemon listens.
///
/// # Errors
/// The connection broke, or is not permitted.
pub fn ask(
    data_dir: &Path,
    request: &str,
    mut show: impl FnMut(&str) -> ControlFlow<()>,
) -> io::Result<bool> {
    use io::ErrorKind::{ConnectionRefused, InvalidInput, NotFound};
    let mut stream = match unix::net::UnixStream::connect(data_dir.join(FILE)) {
        // A path that is too long for a socket has none.
        Err(error) if matches!(error.kind(), ConnectionRefused | InvalidInput | NotFound) => {
            return Ok(false);
        }
        connected => connected?,
    };
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    stream.set_write_timeout(Some(CLIENT_DEADLINE))?;
    stream.write_all(request.as_bytes())?;
    stream.write_all(b"\n")?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        let read = io::Read::take(&mut reader, ANSWER_BYTES_MAX).read_line(&mut line)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if show(line.trim_end()).is_break() {
            return Ok(true);
        }
    }
}
