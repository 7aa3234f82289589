//! The classes and profiles in force, with what is counted for each.

use std::sync::Arc;

use super::metrics::ClassCounters;
use crate::normalise::{Class, Classes, Profiles};

/// The classes and profiles in force with what is counted for each.
#[derive(Debug)]
pub(super) struct Catalogue {
    pub(super) classes: Arc<Classes>,
    pub(super) profiles: Arc<Profiles>,
    pub(super) counters: ClassCounters,
}

impl Catalogue {
    pub(super) fn new(classes: Arc<Classes>, profiles: Arc<Profiles>) -> Self {
        let counters = ClassCounters::new(&classes);
        Self {
            classes,
            profiles,
            counters,
        }
    }
}

/// A class as a label: what devices write into topics must not make series.
pub(super) fn class_label(catalogue: &Catalogue, class: &str) -> String {
    let known = catalogue.classes.get(class).map(Class::id);
    known.unwrap_or("unknown").to_owned()
}
