//! The lab's own servers as children: the reference platform and the yardstick.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde::Deserialize;

use super::{
    Binaries,
    process::{ChildError, Process, first_line},
};

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
