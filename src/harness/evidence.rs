//! What the reference platform holds, as the lab sees it: its live view while it runs, and the audit of its data
//! against the model of what devices were promised.

use std::{collections::BTreeMap, net::SocketAddr, path::Path};

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use super::{
    devices::Roster,
    model::{Audit, Model, Verdict},
    platform::{Catalogue, StoreError, query::StoredData},
    scrape::{Unanswered, get},
};
use crate::{
    normalise::{ClassError, Classes, render},
    proto::platform::Reading,
};

/// Why the platform's evidence cannot be had.
#[derive(Debug, Error)]
pub enum Unreadable {
    /// Its live view cannot be read.
    #[error(transparent)]
    Scrape(#[from] Unanswered),
    /// Its live view is none.
    #[error("the platform's live view: {0}")]
    Json(#[from] serde_json::Error),
    /// Its data cannot be read.
    #[error("the platform's data: {0}")]
    Store(#[from] StoreError),
}

/// The platform's live view, as far as the lab shows it.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct LiveView {
    /// Readings stored, each once.
    pub readings: u64,
    /// The same per lane.
    pub lanes: BTreeMap<String, u64>,
    /// The same per domain.
    pub domains: BTreeMap<String, u64>,
}

impl LiveView {
    /// Asks a running platform.
    ///
    /// # Errors
    /// It does not answer, or with something else.
    pub fn of(admin: SocketAddr) -> Result<Self, Unreadable> {
        Ok(serde_json::from_str(&get(admin, "/snapshot")?)?)
    }
}

/// Compares everything in a platform's data with what was promised. Reads beside a running platform or after it.
///
/// # Errors
/// The data cannot be read.
pub fn audit(data_dir: &Path, roster: &Roster, model: &Model) -> Result<Verdict, Unreadable> {
    let mut audit = Audit::new(roster, model);
    StoredData::open(data_dir)?.readings(|stored| {
        let class = String::from_utf8_lossy(stored.class);
        let device = String::from_utf8_lossy(stored.device);
        audit.stored(&class, &device, stored.observed_at_ns);
    })?;
    Ok(audit.close())
}

/// The gateway's own classes as the platform's catalogue: domains, names and units for its live view.
#[derive(Debug)]
pub struct CityCatalogue(Classes);

impl CityCatalogue {
    /// The classes that the gateway embeds.
    ///
    /// # Errors
    /// They break a rule of classes.
    pub fn embedded() -> Result<Self, ClassError> {
        Ok(Self(Classes::embedded()?))
    }
}

impl Catalogue for CityCatalogue {
    fn domain(&self, class: &str) -> Option<String> {
        self.0.get(class).map(|class| class.domain().to_owned())
    }

    fn render(&self, reading: &Reading) -> Value {
        render::reading(&self.0, reading)
    }
}
