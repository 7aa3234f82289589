//! The real spool as the uplink's [`Source`].

use super::source::{Item, LaneState, Source};
use crate::{
    domain::{Incarnation, Lane, LaneMap, Sequence, SequenceRange},
    spool::{SpoolError, SpoolReader},
};

impl Source for SpoolReader {
    type Error = SpoolError;

    fn incarnation(&self) -> Incarnation {
        Self::incarnation(self)
    }

    fn lane_state(&self, lane: Lane) -> LaneState {
        Self::lane_state(self, lane)
    }

    fn read(
        &self,
        lane: Lane,
        range: SequenceRange,
        bytes_max: usize,
    ) -> Result<Vec<Item>, SpoolError> {
        Self::read(self, lane, range.first, range.next, bytes_max)
    }

    fn cached(&self, lane: Lane, from: Sequence) -> bool {
        Self::cached(self, lane, from)
    }

    async fn committed(&self, lanes: &'static [Lane], seen: LaneMap<Sequence>) {
        let mut commits = self.commits(lanes);
        let news = |lane: &Lane| Self::lane_state(self, *lane).committed_next > seen[*lane];
        while !lanes.iter().any(news) {
            commits.changed().await;
        }
    }

    fn delivered(&self, lane: Lane, range: SequenceRange) {
        if let Err(fault) = Self::delivered(self, lane, range) {
            tracing::error!(%fault, "an acknowledgement was not applied");
        }
    }

    fn refused(&self, lane: Lane, sequence: Sequence, reason: String) {
        if let Err(fault) = Self::refused(self, lane, sequence, reason) {
            tracing::error!(%fault, "a refusal was not applied");
        }
    }

    fn hold(&self, lane: Lane, range: Option<SequenceRange>) {
        Self::hold(self, lane, range);
    }
}
