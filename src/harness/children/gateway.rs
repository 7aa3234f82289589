//! The gateway as a child: all flags that the lab gives it stand here.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde::Deserialize;

use super::{
    Binaries,
    process::{ChildError, Process, written},
};

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
    /// All of them as URLs; an older gateway has those of plain TCP alone and does not say so.
    #[serde(default)]
    listeners: Vec<String>,
    admin: Option<SocketAddr>,
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    /// Its process.
    pub process: Process,
    /// MQTT over plain TCP.
    pub mqtt: SocketAddr,
    /// MQTT over TLS, if a further flag asks for it.
    pub mqtts: Option<SocketAddr>,
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
        let addresses = bound.and_then(|b| {
            let sealed = b
                .listeners
                .iter()
                .find_map(|url| url.strip_prefix("mqtts://"));
            let sealed = sealed.and_then(|address| address.parse().ok());
            Some((*b.mqtt.first()?, sealed, b.admin?))
        });
        let (mqtt, mqtts, admin) = addresses.ok_or(ChildError::Bound { name: NAME, text })?;
        Ok(Self {
            process,
            mqtt,
            mqtts,
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
