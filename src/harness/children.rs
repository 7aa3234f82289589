//! The real binaries as child processes: the gateway and the reference platform, started as an operator starts them,
//! killed as a power cut kills them. What they print goes to files beside their data. All flags that the lab uses
//! are written down here and nowhere else.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    os::unix::{fs::OpenOptionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use thiserror::Error;

/// How long a child may take until it is ready.
const READY_DEADLINE: Duration = Duration::from_secs(60);
/// How long a child may take to stop in order.
const STOP_DEADLINE: Duration = Duration::from_secs(60);
/// Pause between two looks at a file or a process that cannot wake us.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Why a child is not as it should be.
#[derive(Debug, Error)]
pub enum ChildError {
    /// It could not be started.
    #[error("{name}: cannot start {program}: {source}")]
    Start {
        /// Which child.
        name: &'static str,
        /// Its binary.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It ended before it was ready or without being asked to.
    #[error("{name} ended ({status}), see {log}")]
    Ended {
        /// Which child.
        name: &'static str,
        /// How.
        status: ExitStatus,
        /// What it had to say.
        log: PathBuf,
    },
    /// It took too long.
    #[error("{name} was not {wanted} within {limit:?}, see {log}")]
    Late {
        /// Which child.
        name: &'static str,
        /// What was waited for.
        wanted: &'static str,
        /// For how long.
        limit: Duration,
        /// What it had to say.
        log: PathBuf,
    },
    /// What it says about its addresses cannot be read.
    #[error("{name} reports its addresses as {text:?}")]
    Bound {
        /// Which child.
        name: &'static str,
        /// What it wrote.
        text: String,
    },
    /// Files, pipes or signals.
    #[error("{name}: {source}")]
    Io {
        /// Which child.
        name: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// A child process; killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    fn spawn(name: &'static str, command: &mut Command, log: PathBuf) -> Result<Self, ChildError> {
        let io = |source| ChildError::Io { name, source };
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(io)?;
        let child = command
            // A group of its own: an interrupt at the terminal is the lab's to hear, which then stops its children.
            .process_group(0)
            .stdin(Stdio::null())
            .stderr(Stdio::from(file))
            .spawn()
            .map_err(|source| ChildError::Start {
                name,
                program: command.get_program().into(),
                source,
            })?;
        Ok(Self { name, child, log })
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// An error if it has ended.
    ///
    /// # Errors
    /// It has ended, and how.
    pub fn check(&mut self) -> Result<(), ChildError> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.ended(status)),
            Err(source) => Err(self.io(source)),
        }
    }

    /// SIGKILL, and waits until it is gone.
    ///
    /// # Errors
    /// The system does not let us.
    pub fn kill(&mut self) -> Result<(), ChildError> {
        let gone = self.child.kill().and_then(|()| self.child.wait());
        gone.map(drop).map_err(|source| self.io(source))
    }

    /// SIGTERM, and waits until it has stopped in order.
    ///
    /// # Errors
    /// It ended with a failure, or not in time.
    pub fn stop(&mut self) -> Result<(), ChildError> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            kill_process(pid, Signal::TERM).map_err(|e| self.io(e.into()))?;
        }
        let by = Instant::now() + STOP_DEADLINE;
        while Instant::now() < by {
            match self.child.try_wait().map_err(|e| self.io(e))? {
                None => std::thread::sleep(LOOK_EVERY),
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(self.ended(status)),
            }
        }
        Err(self.late("stopped", STOP_DEADLINE))
    }

    fn ended(&self, status: ExitStatus) -> ChildError {
        ChildError::Ended {
            name: self.name,
            status,
            log: self.log.clone(),
        }
    }

    fn late(&self, wanted: &'static str, limit: Duration) -> ChildError {
        ChildError::Late {
            name: self.name,
            wanted,
            limit,
            log: self.log.clone(),
        }
    }

    const fn io(&self, source: io::Error) -> ChildError {
        ChildError::Io {
            name: self.name,
            source,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already gone is as good.
        self.child.kill().unwrap_or_default();
        drop(self.child.wait());
    }
}

/// The two binaries, side by side as cargo and an installation leave them.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// `sensegate`.
    pub gateway: PathBuf,
    /// `sensegate-lab`.
    pub lab: PathBuf,
}

impl Binaries {
    /// Those beside the executable that runs, which is the lab.
    ///
    /// # Errors
    /// The system does not tell where it lies.
    pub fn beside_this() -> io::Result<Self> {
        let lab = std::env::current_exe()?;
        let gateway = lab.with_file_name("sensegate");
        Ok(Self { gateway, lab })
    }
}

/// How a gateway is started.
#[derive(Debug, Clone)]
pub struct GatewaySpec {
    /// Its data and its logs lie below this.
    pub dir: PathBuf,
    /// Where the platform listens; none: nowhere that answers.
    pub platform: Option<SocketAddr>,
    /// Key of the devices; none: anonymous.
    pub auth_key: Option<Vec<u8>>,
    /// Further flags.
    pub further: Vec<String>,
}

/// Addresses that a gateway listens on, as its file says.
#[derive(Debug, Clone, Deserialize)]
struct GatewayBound {
    mqtt: Vec<SocketAddr>,
    admin: Option<SocketAddr>,
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    /// Its process.
    pub process: Process,
    /// MQTT.
    pub mqtt: SocketAddr,
    /// Metrics and status.
    pub admin: SocketAddr,
}

impl Gateway {
    /// Starts a gateway on free ports and waits until it is ready.
    ///
    /// # Errors
    /// It does not start or is not ready in time.
    pub fn start(binaries: &Binaries, spec: &GatewaySpec) -> Result<Self, ChildError> {
        const NAME: &str = "gateway";
        let io = |source| ChildError::Io { name: NAME, source };
        fs::create_dir_all(&spec.dir).map_err(io)?;
        let bound_file = spec.dir.join("bound.json");
        match fs::remove_file(&bound_file) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(io(e)),
            _ => {}
        }
        let mut command = Command::new(&binaries.gateway);
        command
            .args(["run", "--gateway-id", "lab", "--district", "510104"])
            .args([
                "--mqtt-listen",
                "127.0.0.1:0",
                "--admin-listen",
                "127.0.0.1:0",
            ])
            .arg("--data-dir")
            .arg(spec.dir.join("data"))
            .arg("--bound-file")
            .arg(&bound_file)
            .stdout(Stdio::null());
        match &spec.auth_key {
            None => {
                command.args(["--auth", "anonymous"]);
            }
            Some(key) => {
                let file = spec.dir.join("devices.key");
                write_secret(&file, key).map_err(io)?;
                command
                    .args(["--auth", "hmac", "--auth-key-file"])
                    .arg(file);
            }
        }
        if let Some(platform) = spec.platform {
            command.arg("--platform").arg(format!("http://{platform}"));
        }
        command.args(&spec.further);
        let mut process = Process::spawn(NAME, &mut command, spec.dir.join("gateway.log"))?;
        let text = written(&mut process, &bound_file)?;
        let bound: Option<GatewayBound> = serde_json::from_str(&text).ok();
        let addresses = bound.and_then(|b| Some((*b.mqtt.first()?, b.admin?)));
        let (mqtt, admin) = addresses.ok_or(ChildError::Bound { name: NAME, text })?;
        Ok(Self {
            process,
            mqtt,
            admin,
        })
    }
}

fn write_secret(file: &Path, key: &[u8]) -> io::Result<()> {
    File::options()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(file)?
        .write_all(key)
}

/// The content of a file that a child writes once it is ready.
fn written(process: &mut Process, file: &Path) -> Result<String, ChildError> {
    let by = Instant::now() + READY_DEADLINE;
    while Instant::now() < by {
        match fs::read_to_string(file) {
            Ok(text) if serde_json::from_str::<serde_json::Value>(&text).is_ok() => {
                return Ok(text);
            }
            _ => process.check()?,
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Err(process.late("ready", READY_DEADLINE))
}

/// How a reference platform is started.
#[derive(Debug, Clone)]
pub struct PlatformSpec {
    /// Its data and its logs lie below this.
    pub dir: PathBuf,
    /// Further flags.
    pub further: Vec<String>,
}

impl PlatformSpec {
    /// Where its data lies.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.dir.join("platform")
    }
}

/// Addresses that a platform listens on, as its first line says.
#[derive(Debug, Clone, Deserialize)]
struct PlatformBound {
    listen: SocketAddr,
    admin: SocketAddr,
}

/// A running reference platform.
#[derive(Debug)]
pub struct Platform {
    /// Its process.
    pub process: Process,
    /// gRPC, from gateways.
    pub grpc: SocketAddr,
    /// Its live view.
    pub admin: SocketAddr,
}

impl Platform {
    /// Starts a platform on free ports and waits until it is ready.
    ///
    /// # Errors
    /// It does not start or is not ready in time.
    pub fn start(binaries: &Binaries, spec: &PlatformSpec) -> Result<Self, ChildError> {
        const NAME: &str = "platform";
        let io = |source| ChildError::Io { name: NAME, source };
        fs::create_dir_all(&spec.dir).map_err(io)?;
        let mut command = Command::new(&binaries.lab);
        command
            .args([
                "platform",
                "--listen",
                "127.0.0.1:0",
                "--admin-listen",
                "127.0.0.1:0",
            ])
            .arg("--data-dir")
            .arg(spec.data_dir())
            .args(&spec.further)
            .stdout(Stdio::piped());
        let mut process = Process::spawn(NAME, &mut command, spec.dir.join("platform.log"))?;
        let text = first_line(&mut process)?;
        let bound: Option<PlatformBound> = serde_json::from_str(&text).ok();
        let bound = bound.ok_or(ChildError::Bound { name: NAME, text })?;
        Ok(Self {
            process,
            grpc: bound.listen,
            admin: bound.admin,
        })
    }
}

/// A running yardstick server.
#[derive(Debug)]
pub struct Yardstick {
    /// Its process.
    pub process: Process,
    /// MQTT.
    pub mqtt: SocketAddr,
}

impl Yardstick {
    /// Starts it on a free port, appending to a file below `dir`.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(binaries: &Binaries, dir: &Path) -> Result<Self, ChildError> {
        const NAME: &str = "yardstick";
        fs::create_dir_all(dir).map_err(|source| ChildError::Io { name: NAME, source })?;
        let mut command = Command::new(&binaries.lab);
        command
            .args(["yardstick", "--listen", "127.0.0.1:0", "--file"])
            .arg(dir.join("payloads"))
            .stdout(Stdio::piped());
        let mut process = Process::spawn(NAME, &mut command, dir.join("yardstick.log"))?;
        let text = first_line(&mut process)?;
        let mqtt = text
            .trim()
            .parse()
            .map_err(|_unparsed: std::net::AddrParseError| ChildError::Bound {
                name: NAME,
                text,
            })?;
        Ok(Self { process, mqtt })
    }
}

/// The line that a child prints once it is ready.
fn first_line(process: &mut Process) -> Result<String, ChildError> {
    let mut text = String::new();
    if let Some(stdout) = process.child.stdout.take() {
        BufReader::new(stdout)
            .read_line(&mut text)
            .map_err(|source| process.io(source))?;
    }
    if text.is_empty() {
        let status = process.child.wait().map_err(|e| process.io(e))?;
        return Err(process.ended(status));
    }
    Ok(text)
}
