//! The real spool as the uplink's [`Source`].

use super::source::{Item, LaneState, Source};
use crate::{
    domain::{Incarnation, Lane, LaneMap, Sequence, SequenceRange},
    proto::platform::GapReason,
    spool::{self, SpoolError, SpoolReader},
};

impl Source for SpoolReader {
    type Error = SpoolError;

    fn incarnation(&self) -> Incarnation {
        Self::incarnation(self)
    }

    fn lane_state(&self, lane: Lane) -> LaneState {
        let state = Self::lane_state(self, lane);
        LaneState {
            oldest: state.oldest,
            committed_next: state.committed_next,
            bytes: state.bytes,
            oldest_received_at: state.oldest_received_at,
        }
    }

    fn read(
        &self,
        lane: Lane,
        range: SequenceRange,
        bytes_max: usize,
    ) -> Result<Vec<Item>, SpoolError> {
        let items = Self::read(self, lane, range.first, range.next, bytes_max)?;
        Ok(items.into_iter().map(Item::from).collect())
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

impl From<spool::Item> for Item {
    fn from(item: spool::Item) -> Self {
        match item {
            spool::Item::Readings {
                range,
                bytes,
                oldest_received_at,
            } => Self::Readings {
                range,
                bytes,
                oldest_received_at,
            },
            spool::Item::Gap {
                range,
                reason,
                detail,
            } => Self::Gap {
                range,
                reason: match reason {
                    spool::GapReason::Capacity => GapReason::Capacity,
                    spool::GapReason::Expired => GapReason::Expired,
                    spool::GapReason::Corruption => GapReason::Corruption,
                    spool::GapReason::Operator => GapReason::Operator,
                },
                detail,
            },
        }
    }
}
