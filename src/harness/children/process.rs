//! One child process: started with its errors in a file, checked, killed, stopped in order.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
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
    pub(super) fn spawn(
        name: &'static str,
        command: &mut Command,
        log: PathBuf,
    ) -> Result<Self, ChildError> {
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

    pub(super) fn late(&self, wanted: &'static str, limit: Duration) -> ChildError {
        ChildError::Late {
            name: self.name,
            wanted,
            limit,
            log: self.log.clone(),
        }
    }

    pub(super) const fn io(&self, source: io::Error) -> ChildError {
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

/// The content of a file that a child writes once it is ready.
pub(super) fn written(process: &mut Process, file: &Path) -> Result<String, ChildError> {
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

/// The line that a child prints once it is ready.
pub(super) fn first_line(process: &mut Process) -> Result<String, ChildError> {
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
