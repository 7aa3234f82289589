//! The settings table: every setting of the daemon, once. Flags, environment variables, TOML keys, `--print-config` and
//! docs/configuration.md are made from it; a setting that is not here does not exist.

mod access;
mod delivery;
mod listeners;
mod limits;
mod holdings;
mod node;
mod queue;
mod reception;
mod sessions;

use std::{net::SocketAddr, path::PathBuf, sync::LazyLock};

use super::setting::{Preset, Setting, Shape};

const TABLES: [&[Setting]; 9] = [
    node::SETTINGS,
    listeners::SETTINGS,
    reception::SETTINGS,
    access::SETTINGS,
    limits::SETTINGS,
    holdings::SETTINGS,
    sessions::SETTINGS,
    queue::SETTINGS,
    delivery::SETTINGS,
];

/// Section by section, in the order in which the tables name them first: a section may be spread over tables.
static ORDERED: LazyLock<Vec<&'static Setting>> = LazyLock::new(|| {
    let mut all: Vec<&Setting> = TABLES.into_iter().flatten().collect();
    let mut sections: Vec<&str> = Vec::new();
    for setting in &all {
        if !sections.contains(&setting.section()) {
            sections.push(setting.section());
        }
    }
    all.sort_by_key(|setting| sections.iter().position(|s| *s == setting.section()));
    all
});

/// All settings, in the order of the reference.
pub fn settings() -> impl Iterator<Item = &'static Setting> {
    ORDERED.iter().copied()
}

/// A setting's former name: still taken, from a file, a variable or a flag.
#[derive(Debug, Clone, Copy)]
pub struct Former {
    /// The key that it had.
    pub key: &'static str,
    /// The flag that it had.
    pub flag: &'static str,
    /// The key that it has.
    pub now: &'static str,
}

impl Former {
    /// The environment variable that it had.
    #[must_use]
    pub fn env(&self) -> String {
        format!("SENSEGATE_{}", self.flag.replace('-', "_").to_uppercase())
    }
}

/// Former names that are still taken.
pub(super) const FORMER: &[Former] = &[Former {
    key: "auth.method",
    flag: "auth",
    now: "auth.methods",
}];

/// The setting of a key, or of the key that it had.
#[must_use]
pub fn setting(key: &str) -> Option<&'static Setting> {
    let former = FORMER.iter().find(|former| former.key == key);
    let key = former.map_or(key, |former| former.now);
    settings().find(|setting| setting.key == key)
}

/// The former name of a setting.
#[must_use]
pub fn former(setting: &Setting) -> Option<&'static Former> {
    FORMER.iter().find(|former| former.now == setting.key)
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;
const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

fn narrow_usize(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

fn narrow_u32(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn narrow_u16(n: u64) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_error| {
        "is no address with a port, for example 0.0.0.0:1883 or [::]:1883".to_owned()
    })
}

/// Whether an address is taken already; port 0 is a new one each time.
fn address_clash(taken: impl IntoIterator<Item = SocketAddr>, one: SocketAddr) -> bool {
    one.port() != 0 && taken.into_iter().any(|other| other == one)
}

fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() || text.contains('\0') {
        return Err("is no path".to_owned());
    }
    Ok(PathBuf::from(text))
}
