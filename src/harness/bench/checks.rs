//! Authentication alone: credentials of many devices, checked in a loop of one thread by the code that CONNECT calls, beside
//! the bare cryptography of the same credentials.

use std::{
    fs::File,
    hint::black_box,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use ring::hmac;
use rustix::time::{ClockId, clock_gettime};
use thiserror::Error;

use super::{
    figures::{Figures, quotient},
    machine::Machine,
    readings::device_name,
    rig::Broken,
    signers::{Algorithm, Signers},
    table::{Report, Table},
};
use crate::{
    broker::{
        access::Access,
        auth::{Answer, Authentication, Credentials, token},
    },
    config::AuthConfig,
    domain::{Clock as _, Identity, SystemClock, UnixNanos},
};

/// Devices whose credentials are checked in turn, so that nothing is remembered from one to the next.
pub(super) const DEVICES: usize = 1024;
/// Checks between two looks at the clock.
const BATCH: usize = 256;
pub(super) const KEY: &[u8] = b"a key of the benchmark, 32 bytes";

/// Why checks cannot be measured.
#[derive(Debug, Error)]
pub(super) enum Unchecked {
    /// A key or a signature cannot be made.
    #[error("making {0}")]
    Key(&'static str),
    /// The gateway's own code does not let them in.
    #[error("{0}: credentials that are right were turned away")]
    TurnedAway(&'static str),
    /// Its configuration.
    #[error("setting up authentication: {0}")]
    SetUp(String),
}

/// How checks are measured.
#[derive(Debug, Clone)]
pub struct CheckScript {
    /// The machine's folder.
    pub dir: PathBuf,
    /// Runs of each.
    pub runs: u32,
    /// Time of each.
    pub measured: Duration,
}

/// What one device shows.
pub(super) struct Shown {
    pub(super) username: Option<String>,
    pub(super) password: Vec<u8>,
}

pub(super) type Bare = Box<dyn Fn(usize) -> bool>;

/// One kind of credentials.
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) shown: Vec<Shown>,
    pub(super) authentication: Access,
    /// The cryptography alone of the n-th device.
    pub(super) bare: Bare,
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kind")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Measures each kind; tells its progress.
///
/// # Errors
/// Keys cannot be made, or what is right is turned away.
pub fn checks(script: &CheckScript, progress: &mut dyn Write) -> Result<Report, Broken> {
    let kinds = kinds(&script.dir)?;
    let mut figures: Vec<[Vec<f64>; 2]> = kinds.iter().map(|_| Default::default()).collect();
    for _ in 0..script.runs {
        for (kind, [whole, bare]) in kinds.iter().zip(&mut figures) {
            whole.push(kind.whole(script.measured)?);
            bare.push(kind.alone(script.measured)?);
            let each = whole.last().copied().unwrap_or_default();
            writeln!(progress, "{}: {each:.0} checks/s of a core", kind.name)?;
            progress.flush()?;
        }
    }
    let machine = Machine::describe(&script.dir)?;
    let mut report = Report::on(
        &machine,
        &[format!("sensegate {}", env!("CARGO_PKG_VERSION"))],
    );
    report.notes.push(format!(
        "{} runs of {} s each, medians; checks by seconds of the thread's processor time; {DEVICES} devices in turn; beside it the bare \
         cryptography (HMAC: one hash under the ready key; tokens: the signature alone)",
        script.runs,
        script.measured.as_secs_f64()
    ));
    let row = |(kind, [whole, bare]): (&Kind, &[Vec<f64>; 2])| {
        let (whole, bare) = (all(whole), all(bare));
        vec![
            kind.name.to_owned(),
            whole.middle(0),
            whole.range(0),
            bare.middle(0),
            format!("{:.2}", quotient(whole.median(), bare.median())),
        ]
    };
    report.tables = vec![Table {
        title: "Checks of credentials by one core".to_owned(),
        columns: vec![
            "credentials",
            "checks/s",
            "lowest–highest",
            "bare cryptography/s",
            "of that",
        ],
        rows: kinds.iter().zip(&figures).map(row).collect(),
    }];
    Ok(report)
}

fn all(figures: &[f64]) -> Figures {
    Figures::of(figures, |figure: &f64| *figure)
}

impl Kind {
    fn is_admitted(&self, device: usize, now: UnixNanos) -> bool {
        let Some(shown) = self.shown.get(device) else {
            return false;
        };
        let authentication: &Authentication = &self.authentication.authentication;
        let answer = authentication.ask(&Credentials {
            username: shown.username.as_deref(),
            password: Some(black_box(&shown.password)),
            certificate: None,
            now,
        });
        matches!(answer, Answer::Admitted(_))
    }

    fn whole(&self, measured: Duration) -> Result<f64, Broken> {
        let now = SystemClock.now();
        self.per_s(measured, |device| self.is_admitted(device, now))
    }

    fn alone(&self, measured: Duration) -> Result<f64, Broken> {
        self.per_s(measured, &self.bare)
    }

    fn per_s(&self, measured: Duration, check: impl Fn(usize) -> bool) -> Result<f64, Broken> {
        let (since, mut count) = (thread_time(), 0);
        loop {
            for n in count..count + BATCH {
                if !black_box(check(n % DEVICES)) {
                    return Err(broken(Unchecked::TurnedAway(self.name)));
                }
            }
            count += BATCH;
            let elapsed = thread_time().saturating_sub(since);
            if elapsed >= measured {
                let count = u64::try_from(count).unwrap_or(u64::MAX);
                return Ok(super::ratio(count, elapsed.as_secs_f64()));
            }
        }
    }
}

/// Processor time of this thread.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or(0), nanos.unwrap_or(0))
}

fn broken(why: Unchecked) -> Broken {
    Broken::Io(io::Error::other(why))
}

fn kinds(dir: &Path) -> Result<Vec<Kind>, Broken> {
    let signers = Signers::new().map_err(broken)?;
    let file = dir.join("jwks.json");
    // It holds a secret: the gateway takes none that others may read.
    File::options()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&file)?
        .write_all(signers.jwks().to_string().as_bytes())?;
    let mut kinds = vec![derived().map_err(broken)?];
    for (algorithm, name) in [
        (Algorithm::Hs256, "JWT, HS256"),
        (Algorithm::Rs256, "JWT, RS256 (2,048 bits)"),
        (Algorithm::Es256, "JWT, ES256"),
        (Algorithm::EdDsa, "JWT, EdDSA"),
    ] {
        let kind = signers.kind((algorithm, name), &file);
        kinds.push(kind.map_err(broken)?);
    }
    Ok(kinds)
}

pub(super) fn loaded(config: &AuthConfig) -> Result<Access, Unchecked> {
    Access::load(config).map_err(|e| Unchecked::SetUp(e.to_string()))
}

/// Passwords of devices: the HMAC of their names.
fn derived() -> Result<Kind, Unchecked> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, KEY);
    let names: Vec<String> = (0..DEVICES).map(|n| device_name("check", n)).collect();
    let shown = names.iter().map(|name| {
        let identity = Identity::parse(name).map_err(|_fault| Unchecked::Key("a name"))?;
        Ok(Shown {
            username: Some(name.clone()),
            password: token(KEY, &identity).into_bytes(),
        })
    });
    let tags: Vec<_> = names
        .iter()
        .map(|name| hmac::sign(&key, name.as_bytes()))
        .collect();
    Ok(Kind {
        name: "HMAC-SHA256 password",
        shown: shown.collect::<Result<_, _>>()?,
        authentication: loaded(&AuthConfig::hmac(KEY))?,
        bare: Box::new(move |n| {
            let pair = names.get(n).zip(tags.get(n));
            pair.is_some_and(|(name, tag)| {
                hmac::verify(&key, name.as_bytes(), tag.as_ref()).is_ok()
            })
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_takes_all_credentials_that_are_measured() {
        let dir = tempfile::TempDir::new().unwrap();
        let now = SystemClock.now();
        for kind in kinds(dir.path()).unwrap() {
            for device in [0, DEVICES - 1] {
                assert!(kind.is_admitted(device, now), "{}", kind.name);
                assert!((kind.bare)(device), "{}", kind.name);
            }
            assert!(!kind.is_admitted(DEVICES, now));
        }
    }
}
