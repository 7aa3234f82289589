//! The real binaries as child processes: the gateway and the reference platform, started as an operator starts them,
//! killed as a power cut kills them. What they print goes to files beside their data. All flags that the lab uses
//! are written down here and nowhere else.

mod process;
mod gateway;
mod platform;
mod mosquitto;

use std::{io, path::PathBuf, process::Command};

pub use gateway::{Gateway, GatewaySpec};
pub use mosquitto::{Mosquitto, MosquittoTls};
pub use platform::{Platform, PlatformSpec, Yardstick};
pub use process::{ChildError, Process};

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

    /// Whether the gateway's `run` has a flag: an older one lacks some.
    ///
    /// # Errors
    /// It cannot be asked.
    pub fn gateway_knows(&self, flag: &str) -> io::Result<bool> {
        let help = Command::new(&self.gateway)
            .args(["run", "--help"])
            .output()?;
        let text = String::from_utf8_lossy(&help.stdout);
        Ok(text.split_whitespace().any(|word| word == flag))
    }

    /// What the gateway says of its version.
    ///
    /// # Errors
    /// It cannot be asked.
    pub fn gateway_version(&self) -> io::Result<String> {
        let said = Command::new(&self.gateway).arg("--version").output()?;
        Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
    }
}
