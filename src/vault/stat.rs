//! The vault looked at from outside, for the operator's commands: reads only, takes no lock, also while a daemon runs.

use std::{borrow::Cow, path::Path};

use super::{error::VaultError, records::all};
use crate::{
    broker::archive::{KIND_NAMES, KINDS},
    store::{KEY_BYTES, Start, Step, Store},
};

/// The records of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindStat {
    /// First byte of their keys.
    pub kind: u8,
    /// What they are.
    pub name: Cow<'static, str>,
    /// How many there are.
    pub records: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
}

/// Counts the records in a data directory, by kind: those with names, and others if there are some. Reads every record.
///
/// # Errors
/// There is no data directory, it is of a newer version, or it cannot be read.
pub fn stat(data_dir: &Path) -> Result<Vec<KindStat>, VaultError> {
    let store = Store::look(data_dir)?;
    let mut counted: Vec<KindStat> = KINDS
        .map(|kind| {
            let known = KIND_NAMES.iter().find(|(known, _)| *known == kind);
            KindStat {
                kind,
                name: known.map_or_else(
                    || Cow::Owned(format!("of kind {kind:#04x}")),
                    |(_, name)| Cow::Borrowed(*name),
                ),
                records: 0,
                bytes: 0,
            }
        })
        .collect();
    store.scan(all(), Start::At(all().start), |key, value| {
        if let Some(one) = counted.iter_mut().find(|one| one.kind == key[0]) {
            one.records += 1;
            one.bytes += (KEY_BYTES + value.len()) as u64;
        }
        Step::Next
    })?;
    counted.retain(|one| one.records > 0 || matches!(one.name, Cow::Borrowed(_)));
    Ok(counted)
}
