//! The password file: `name:$argon2id$…` lines in the PHC string format, for the few. Argon2 (RFC 9106) is slow on purpose,
//! tens of milliseconds and megabytes for each check; so
//!
//! - a check never runs on a worker of the runtime: [`SlowCheck::run`] hands it to a blocking thread,
//! - only so many run at once and only so many wait, whatever clients do: the [`Lane`] bounds both,
//! - a password that was right is remembered, so that a client which comes back costs a hash. What is remembered is an
//!   HMAC under a random key of this process, over name, line and password: useless to whoever reads the memory later, and
//!   void as soon as the line changes. The lane outlives reloads.
//!
//! An unknown name costs the same check as a known one, so that the time does not tell which names there are.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt,
    sync::{Arc, Mutex},
};

use argon2::{
    Algorithm, Argon2, Params, PasswordHash, PasswordHasher as _, Version,
    password_hash::{Salt, SaltString},
};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;

use super::{Admitted, Denied, Word, accepted, derived::keyed};
use crate::{
    broker::{
        access::{Fault, Place, metrics},
        line::locked,
        principal::Principal,
    },
    config::PasswordConfig,
    domain::Identity,
};

/// Most lines: for the few.
const LINES_MAX: usize = 65_536;
/// Longest password that is checked, bytes.
const PASSWORD_BYTES_MAX: usize = 1024;
/// Most checks that wait for their turn: at two at a time and 30 ms each the last waits 4 s, within the deadline of CONNECT.
const WAITING_MAX: usize = 256;
/// Dearest line that is taken, so that no file can stall its gateway: 64 MiB, 10 passes.
const MEMORY_KIB_MAX: u32 = 64 * 1024;
const PASSES_MAX: u32 = 10;
const LANES_MAX: u32 = 4;

/// A parsed line: what Argon2 has to give again.
#[derive(Clone)]
struct Phc {
    params: Params,
    salt: Box<[u8]>,
    hash: Box<[u8]>,
}

impl fmt::Debug for Phc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Phc")
            .field("params", &self.params)
            .finish_non_exhaustive()
    }
}

/// The lines of a password file.
pub(crate) struct PasswordFile {
    lines: HashMap<Box<str>, (Principal, Arc<Phc>)>,
    /// What an unknown name is checked against.
    nobody: Arc<Phc>,
    lane: Arc<Lane>,
}

impl fmt::Debug for PasswordFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordFile")
            .field("lines", &self.lines.len())
            .finish_non_exhaustive()
    }
}

impl PasswordFile {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// Every line that cannot be read.
    pub(crate) fn read(text: &str, lane: Arc<Lane>) -> Result<Self, Vec<Fault>> {
        let mut lines: HashMap<Box<str>, (Principal, Arc<Phc>)> = HashMap::new();
        let mut faults = Vec::new();
        for (number, line) in (1..).zip(text.lines().map(str::trim)) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match entry(line) {
                Ok((name, _, _)) if lines.contains_key(name) => {
                    let what = format!("{name:?} stands there twice");
                    faults.push(Fault::at(Place::Line(number), what));
                }
                Ok((name, principal, phc)) => {
                    lines.insert(Box::from(name), (principal, Arc::new(phc)));
                }
                Err(what) => faults.push(Fault::at(Place::Line(number), what)),
            }
        }
        if lines.len() > LINES_MAX {
            let what = format!("has more than {LINES_MAX} lines");
            faults.push(Fault::at(Place::Whole, what));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let usual = lines.values().next().map(|(_, phc)| phc.params.clone());
        let nobody = Arc::new(Phc {
            params: usual.unwrap_or_default(),
            salt: Box::from(rand::random::<[u8; 16]>()),
            hash: Box::from(rand::random::<[u8; 32]>()),
        });
        Ok(Self {
            lines,
            nobody,
            lane,
        })
    }

    pub(super) fn ask(&self, username: &str, password: &[u8]) -> Word {
        if password.len() > PASSWORD_BYTES_MAX {
            return Word::Passed;
        }
        let (principal, phc) = match self.lines.get(username) {
            Some((principal, phc)) => (Some(principal), phc),
            None => (None, &self.nobody),
        };
        let tag = self.lane.tag(username, phc, password);
        if let Some(principal) = principal
            && locked(&self.lane.verified).has(&tag)
        {
            return accepted(principal.clone(), None);
        }
        let check = SlowCheck {
            lane: Arc::clone(&self.lane),
            phc: Arc::clone(phc),
            password: Box::from(password),
            tag,
            principal: principal.cloned(),
            banned: false,
        };
        if principal.is_some() {
            Word::Slow(check)
        } else {
            Word::Unknown(check)
        }
    }
}

type Tag = [u8; 16];

/// Where passwords are checked: how many at once, how many waiting, and which were right.
pub(crate) struct Lane {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    verified: Mutex<Verified>,
    key: Hmac<Sha256>,
    checks_max: usize,
    cache_max: usize,
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane")
            .field("checks_max", &self.checks_max)
            .finish_non_exhaustive()
    }
}

/// Tags of passwords that were right; beyond `most` the oldest goes.
#[derive(Default)]
struct Verified {
    tags: HashSet<Tag>,
    order: VecDeque<Tag>,
    most: usize,
}

impl Verified {
    fn has(&self, tag: &Tag) -> bool {
        self.tags.contains(tag)
    }

    fn remember(&mut self, tag: Tag) {
        if self.most == 0 || !self.tags.insert(tag) {
            return;
        }
        self.order.push_back(tag);
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.tags.remove(&oldest);
        }
    }
}

impl Lane {
    pub(crate) fn new(config: &PasswordConfig) -> Self {
        Self {
            running: Arc::new(Semaphore::new(config.checks_max)),
            waiting: Arc::new(Semaphore::new(WAITING_MAX)),
            verified: Mutex::new(Verified {
                most: config.cache_max,
                ..Verified::default()
            }),
            key: keyed(&rand::random::<[u8; 32]>()),
            checks_max: config.checks_max,
            cache_max: config.cache_max,
        }
    }

    /// Whether it is what a configuration asks for, and may be kept when others change.
    pub(crate) const fn fits(&self, config: &PasswordConfig) -> bool {
        self.checks_max == config.checks_max && self.cache_max == config.cache_max
    }

    /// Takes a turn and keeps it.
    #[cfg(test)]
    pub(super) fn occupied(&self) -> tokio::sync::OwnedSemaphorePermit {
        Arc::clone(&self.running).try_acquire_owned().unwrap()
    }

    fn tag(&self, name: &str, phc: &Phc, password: &[u8]) -> Tag {
        // Salt and hash come first and have the lengths of their line; the name cannot hold NUL.
        let mac = self
            .key
            .clone()
            .chain_update(phc.hash.len().to_be_bytes())
            .chain_update(&phc.hash)
            .chain_update(phc.salt.len().to_be_bytes())
            .chain_update(&phc.salt)
            .chain_update(name)
            .chain_update([0])
            .chain_update(password)
            .finalize()
            .into_bytes();
        mac.first_chunk().copied().unwrap_or_default()
    }
}

/// A check of a password that takes long. Whoever asked runs it, and treats its end as the answer.
pub(crate) struct SlowCheck {
    lane: Arc<Lane>,
    phc: Arc<Phc>,
    password: Box<[u8]>,
    tag: Tag,
    /// Who it is if the password is right; `None`: nobody, whatever the password.
    principal: Option<Principal>,
    banned: bool,
}

impl fmt::Debug for SlowCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlowCheck")
            .field("principal", &self.principal)
            .finish_non_exhaustive()
    }
}

impl SlowCheck {
    /// Who it will be if the password is right.
    pub(super) const fn principal(&self) -> Option<&Principal> {
        self.principal.as_ref()
    }

    /// The same check of a client that is revoked.
    pub(super) fn banned(self) -> Self {
        Self {
            banned: true,
            ..self
        }
    }

    /// Checks, in its turn. Dropping the future before its turn gives the turn to others.
    pub(crate) async fn run(self) -> Result<Admitted, Denied> {
        let outcome = self.decide().await;
        let result = match &outcome {
            Ok(_) => "accepted",
            Err(Denied::Banned) => "revoked",
            Err(Denied::Busy) => "busy",
            Err(Denied::BadCredentials | Denied::NotAuthorised) => "secret",
        };
        metrics::authenticated("password", result);
        outcome
    }

    async fn decide(self) -> Result<Admitted, Denied> {
        let waiting = Arc::clone(&self.lane.waiting);
        let Ok(waiting) = waiting.try_acquire_owned() else {
            return Err(Denied::Busy);
        };
        let running = Arc::clone(&self.lane.running);
        // Neither semaphore is ever closed.
        let Ok(turn) = running.acquire_owned().await else {
            return Err(Denied::Busy);
        };
        drop(waiting);
        let Self {
            lane,
            phc,
            password,
            tag,
            principal,
            banned,
        } = self;
        let checked = tokio::task::spawn_blocking(move || {
            let right = phc.is_of(&password);
            drop(turn);
            right
        });
        let right = checked.await.unwrap_or(false);
        let Some(principal) = principal.filter(|_| right) else {
            return Err(Denied::BadCredentials);
        };
        if banned {
            return Err(Denied::Banned);
        }
        locked(&lane.verified).remember(tag);
        Ok(Admitted {
            principal,
            until: None,
        })
    }
}

impl Phc {
    fn read(text: &str) -> Result<Self, String> {
        let parsed =
            PasswordHash::new(text).map_err(|error| format!("is no PHC string: {error}"))?;
        if parsed.algorithm.as_str() != "argon2id" {
            return Err(format!(
                "is of {}, only argon2id is taken",
                parsed.algorithm
            ));
        }
        if parsed.version.is_some_and(|version| version != 0x13) {
            return Err("is not of version 19".to_owned());
        }
        let params = Params::try_from(&parsed).map_err(|error| format!("parameters: {error}"))?;
        let limits = [
            ("m", params.m_cost(), MEMORY_KIB_MAX),
            ("t", params.t_cost(), PASSES_MAX),
            ("p", params.p_cost(), LANES_MAX),
        ];
        for (name, given, most) in limits {
            if given > most {
                return Err(format!("{name}={given} is over the limit of {most}"));
            }
        }
        let (Some(salt), Some(hash)) = (parsed.salt, parsed.hash) else {
            return Err("has no salt or no hash".to_owned());
        };
        let mut bytes = [0_u8; Salt::MAX_LENGTH];
        let salt = salt
            .decode_b64(&mut bytes)
            .map_err(|error| format!("salt: {error}"))?;
        if salt.len() < argon2::MIN_SALT_LEN || hash.len() < 16 {
            return Err("has a salt below 8 bytes or a hash below 16".to_owned());
        }
        Ok(Self {
            params,
            salt: Box::from(salt),
            hash: Box::from(hash.as_bytes()),
        })
    }

    fn is_of(&self, password: &[u8]) -> bool {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params.clone());
        let mut computed = vec![0_u8; self.hash.len()];
        argon2
            .hash_password_into(password, &self.salt, &mut computed)
            .is_ok()
            && bool::from(computed.ct_eq(&self.hash))
    }
}

fn entry(line: &str) -> Result<(&str, Principal, Phc), String> {
    // A device's id may hold a colon, a PHC string cannot.
    let (name, phc) = line
        .rsplit_once(':')
        .ok_or("is not of the form name:$argon2id$…")?;
    let principal = named(name)?;
    let phc = Phc::read(phc).map_err(|what| format!("{name:?} {what}"))?;
    Ok((name, principal, phc))
}

/// Who a name of the file is: a device if it is `class/device`, else an application.
fn named(name: &str) -> Result<Principal, String> {
    if name.contains('/') {
        let identity = Identity::parse(name).map_err(|error| error.to_string())?;
        return Ok(Principal::Device(identity));
    }
    Principal::application(name)
        .ok_or_else(|| format!("{name:?} is neither class/device nor an application's name"))
}

/// A line for the password file, with a fresh salt and this version's parameters (19 MiB, 2 passes).
///
/// # Errors
/// The name is nobody's, or the password is empty or longer than is checked.
pub fn hashed(name: &str, password: &[u8]) -> Result<String, String> {
    named(name)?;
    if password.is_empty() || password.len() > PASSWORD_BYTES_MAX {
        return Err(format!("a password has 1 to {PASSWORD_BYTES_MAX} bytes"));
    }
    let salt = SaltString::encode_b64(&rand::random::<[u8; 16]>());
    let salt = salt.map_err(|error| error.to_string())?;
    let phc = Argon2::default().hash_password(password, &salt);
    Ok(format!(
        "{name}:{}",
        phc.map_err(|error| error.to_string())?
    ))
}
