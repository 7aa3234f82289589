//! The real daemon as a child process, made ready by its own `sd_notify` message and addressed by the file in which it
//! writes the ports it bound.

use std::{
    fs::{self, Permissions},
    net::SocketAddr,
    os::unix::{fs::PermissionsExt as _, net::UnixDatagram},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

/// Longest time that any step of a test may take; reached only when something is broken.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A gateway's data, which outlives its processes.
#[derive(Debug)]
pub(crate) struct Node {
    dir: TempDir,
    flags: Vec<String>,
}

/// A running gateway process.
#[derive(Debug)]
pub(crate) struct Gateway {
    child: Child,
    notify: UnixDatagram,
    pub(crate) mqtt: SocketAddr,
    /// Every MQTT address with its scheme, in the order of the flags; the first is [`Self::mqtt`].
    pub(crate) listeners: Vec<(String, SocketAddr)>,
    pub(crate) admin: SocketAddr,
}

impl Node {
    pub(crate) fn new(flags: &[&str]) -> Self {
        Self {
            dir: TempDir::new().unwrap(),
            flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
        }
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn key_file(&self) -> PathBuf {
        let path = self.dir.path().join("auth.key");
        fs::write(&path, crate::device::KEY).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// Starts the daemon on this node's data and waits until it says READY.
    pub(crate) fn start(&self) -> Gateway {
        self.try_start().expect("the gateway becomes ready")
    }

    /// The same, or how the process ended instead.
    pub(crate) fn try_start(&self) -> Result<Gateway, ExitStatus> {
        let socket = self.dir.path().join("notify");
        let bound = self.dir.path().join("bound.json");
        drop(fs::remove_file(&socket));
        drop(fs::remove_file(&bound));
        let notify = UnixDatagram::bind(&socket).unwrap();
        notify
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        let mut child = self
            .command(&bound)
            .env("NOTIFY_SOCKET", &socket)
            .spawn()
            .unwrap();
        for _ in 0..(DEADLINE.as_millis() / 200) {
            if let Some(status) = child.try_wait().unwrap() {
                return Err(status);
            }
            if received(&notify, "READY=1") {
                let (listeners, admin) = addresses(&bound);
                return Ok(Gateway {
                    child,
                    notify,
                    mqtt: listeners[0].1,
                    listeners,
                    admin,
                });
            }
        }
        drop(child.kill());
        panic!("the gateway did not become ready");
    }

    /// Starts the daemon where it must refuse to: its exit code and what it said.
    pub(crate) fn refused(&self) -> (i32, String) {
        let bound = self.dir.path().join("refused.json");
        let output = self
            .command(&bound)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap(), said)
    }

    fn command(&self, bound: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sensegate"));
        command
            .arg("run")
            .args([
                "--mqtt-listen",
                "127.0.0.1:0",
                "--admin-listen",
                "127.0.0.1:0",
            ])
            .args(["--gateway-id", "gw-test", "--district", "510104"])
            .arg("--data-dir")
            .arg(self.data_dir())
            .arg("--bound-file")
            .arg(bound)
            .arg("--auth-key-file")
            .arg(self.key_file())
            .args(&self.flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }
}

impl Gateway {
    /// Ends the process as the OOM killer or a crash would: nothing of its own runs any more.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks for an orderly stop and waits for it.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        signal(&self.child, rustix::process::Signal::TERM);
        self.child.wait().unwrap()
    }

    /// Sends SIGHUP and waits until the gateway says that it has reloaded.
    pub(crate) fn reload(&self) {
        signal(&self.child, rustix::process::Signal::HUP);
        for _ in 0..(DEADLINE.as_millis() / 200) {
            if received(&self.notify, "READY=1") {
                return;
            }
        }
        panic!("the gateway did not say that it has reloaded");
    }

    /// Where the listener of a scheme listens: its `at`th, counted from 0.
    pub(crate) fn listener(&self, scheme: &str, at: usize) -> SocketAddr {
        let mut found = self.listeners.iter().filter(|(name, _)| name == scheme);
        found.nth(at).unwrap().1
    }

    /// Memory that the process holds, KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.unwrap().parse().unwrap()
    }

    /// Files that the process has open.
    pub(crate) fn open_files(&self) -> u64 {
        let files = fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap();
        files.count() as u64
    }

    /// Lowers the limit of open files of the running process.
    pub(crate) fn limit_files(&self, most: u64) {
        use rustix::process::{Pid, Resource, Rlimit, prlimit};
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        prlimit(Some(Pid::from_child(&self.child)), Resource::Nofile, limit).unwrap();
    }

    /// The body of one of the admin listener's pages, and its status code.
    pub(crate) fn page(&self, path: &str) -> (u16, String) {
        http_get(self.admin, path)
    }

    /// The sum of a metric's samples whose labels contain `label`.
    pub(crate) fn metric(&self, name: &str, label: &str) -> f64 {
        let (_, body) = self.page("/metrics");
        body.lines()
            .filter(|line| line.starts_with(name) && line.contains(label))
            .filter(|line| matches!(line.as_bytes().get(name.len()), Some(b'{' | b' ')))
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
            .sum()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, signal).unwrap();
}

fn received(notify: &UnixDatagram, wanted: &str) -> bool {
    let mut datagram = [0_u8; 4096];
    let Ok(length) = notify.recv(&mut datagram) else {
        return false;
    };
    String::from_utf8_lossy(&datagram[..length])
        .lines()
        .any(|line| line == wanted)
}

fn addresses(bound: &Path) -> (Vec<(String, SocketAddr)>, SocketAddr) {
    let bound: Value = serde_json::from_slice(&fs::read(bound).unwrap()).unwrap();
    let listener = |url: &Value| {
        let (scheme, address) = url.as_str().unwrap().split_once("://").unwrap();
        (scheme.to_owned(), address.parse().unwrap())
    };
    let listeners = bound["listeners"].as_array().unwrap();
    (
        listeners.iter().map(listener).collect(),
        bound["admin"].as_str().unwrap().parse().unwrap(),
    )
}

/// One HTTP/1.0 GET by hand: the admin pages need no client library.
pub(crate) fn http_get(address: SocketAddr, path: &str) -> (u16, String) {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: gateway\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

/// Waits until a condition holds. It is asked again after each of the gateway's own answers, so the pace is that of
/// the requests it makes.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    let found = async {
        while !holds() {
            pace.tick().await;
        }
    };
    tokio::time::timeout(DEADLINE, found)
        .await
        .unwrap_or_else(|_| panic!("{what}: not within {DEADLINE:?}"));
}
