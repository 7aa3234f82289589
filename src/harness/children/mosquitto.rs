//! Debian's mosquitto as a child, beside which the gateway is measured. It cannot be asked to choose a port, so a free
//! one is looked for; whoever takes it in between makes it end, and another is tried.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::process::{ChildError, Process};

/// Where Debian installs it; a user's PATH need not name that folder.
const PROGRAM: &str = "/usr/sbin/mosquitto";
const PORTS_TRIED: usize = 5;
const READY_DEADLINE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(5);
const NAME: &str = "mosquitto";

/// How its listener proves who it is, and asks of clients.
#[derive(Debug, Clone)]
pub struct MosquittoTls {
    /// Certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Authority of the clients' certificates; none: clients show none.
    pub client_authority: Option<PathBuf>,
}

/// A running mosquitto.
#[derive(Debug)]
pub struct Mosquitto {
    /// Its process.
    pub process: Process,
    /// MQTT.
    pub mqtt: SocketAddr,
}

impl Mosquitto {
    /// Its version, as it says itself; none where it is not installed.
    #[must_use]
    pub fn version() -> Option<String> {
        let output = Command::new(PROGRAM).arg("-h").output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text.lines().next()?.trim();
        (!line.is_empty()).then(|| line.to_owned())
    }

    /// Starts it on a free port with a configuration of its own: nobody is asked who he is, nothing is kept on disk,
    /// `queue_max` messages wait for a subscriber and `inflight_max` are in flight to it.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub fn start(
        dir: &Path,
        (queue_max, inflight_max): (u32, u16),
        tls: Option<&MosquittoTls>,
    ) -> Result<Self, ChildError> {
        let io = |source| ChildError::Io { name: NAME, source };
        fs::create_dir_all(dir).map_err(io)?;
        let mut tried = 0;
        loop {
            let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
            let mqtt = free.map_err(io)?;
            let file = dir.join("mosquitto.conf");
            fs::write(&file, configuration(mqtt, (queue_max, inflight_max), tls)).map_err(io)?;
            let mut command = Command::new(PROGRAM);
            command.arg("-c").arg(&file).stdout(Stdio::null());
            let process = Process::spawn(NAME, &mut command, dir.join("mosquitto.log"))?;
            tried += 1;
            match ready(process, mqtt) {
                Err(ChildError::Ended { .. }) if tried < PORTS_TRIED => {}
                started => return started,
            }
        }
    }
}

/// Waits until a port is served.
fn ready(mut process: Process, mqtt: SocketAddr) -> Result<Mosquitto, ChildError> {
    let by = Instant::now() + READY_DEADLINE;
    while Instant::now() < by {
        process.check()?;
        if TcpStream::connect_timeout(&mqtt, READY_DEADLINE).is_ok() {
            return Ok(Mosquitto { process, mqtt });
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Err(process.late("ready", READY_DEADLINE))
}

fn configuration(
    mqtt: SocketAddr,
    (queue_max, inflight_max): (u32, u16),
    tls: Option<&MosquittoTls>,
) -> String {
    let mut lines = vec![
        format!("listener {} {}", mqtt.port(), mqtt.ip()),
        "allow_anonymous true".to_owned(),
        "persistence false".to_owned(),
        "log_dest stderr".to_owned(),
        "log_type error".to_owned(),
        "connection_messages false".to_owned(),
        "set_tcp_nodelay true".to_owned(),
        // Where it is started by root it would become another user, who may not read the key.
        "user root".to_owned(),
        format!("max_queued_messages {queue_max}"),
        format!("max_inflight_messages {inflight_max}"),
    ];
    if let Some(tls) = tls {
        lines.push(format!("certfile {}", tls.certificate.display()));
        lines.push(format!("keyfile {}", tls.key.display()));
        lines.push("tls_version tlsv1.3".to_owned());
        if let Some(authority) = &tls.client_authority {
            lines.push(format!("cafile {}", authority.display()));
            lines.push("require_certificate true".to_owned());
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_asks_for_certificates_only_where_it_is_told_whose() {
        let address = SocketAddr::from(([127, 0, 0, 1], 1883));
        let mut tls = MosquittoTls {
            certificate: "c".into(),
            key: "k".into(),
            client_authority: None,
        };
        let plain = configuration(address, (1000, 20), None);
        assert!(plain.starts_with("listener 1883 127.0.0.1\n"));
        assert!(plain.contains("\nmax_queued_messages 1000\n") && !plain.contains("certfile"));
        assert!(!configuration(address, (0, 0), Some(&tls)).contains("require_certificate"));
        tls.client_authority = Some("a".into());
        let text = configuration(address, (0, 0), Some(&tls));
        assert!(text.contains("\ncafile a\nrequire_certificate true\n"));
    }
}
