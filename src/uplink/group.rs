//! What a lane group's task owns and lends to each of its streams in turn.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    core::{Limits, Now},
    metrics::Meters,
    source::Source,
    status::GroupStatus,
};
use crate::domain::{Clock, Lane};

/// What a lane group's task lends to each of its streams.
pub(super) struct Group<S> {
    pub(super) lanes: &'static [Lane],
    pub(super) source: S,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) limits: Limits,
    pub(super) meters: Meters,
    pub(super) status: watch::Sender<GroupStatus>,
    pub(super) stop: CancellationToken,
}

impl<S: Source> Group<S> {
    pub(super) fn now(&self) -> Now {
        Now {
            steady: self.clock.steady(),
            calendar: self.clock.now(),
        }
    }
}
