//! What the uplink needs of the spool, and nothing more: so that it can be driven by the real one, by a fake in tests
//! and by a simulated one.

use std::future::Future;

use crate::domain::{Incarnation, Lane, LaneMap, Sequence, SequenceRange};
pub(super) use crate::spool::{GapReason, Item, LaneState};

/// The durable queue as the uplink sees it; a cheap handle.
pub trait Source: Clone + Send + Sync + 'static {
    /// Why reading failed.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The spool's incarnation.
    fn incarnation(&self) -> Incarnation;

    /// Where a lane stands now.
    fn lane_state(&self, lane: Lane) -> LaneState;

    /// Items at or after `from` and below `until`, in sequence, about `bytes_max` bytes of them but at least one if
    /// there is any; the first is trimmed at `from`. May block on the disk unless [`Source::cached`].
    ///
    /// # Errors
    /// The disk cannot be read.
    fn read(
        &self,
        lane: Lane,
        range: SequenceRange,
        bytes_max: usize,
    ) -> Result<Vec<Item>, Self::Error>;

    /// Whether a read at `from` is served from memory.
    fn cached(&self, lane: Lane, from: Sequence) -> bool;

    /// Resolves when one of the lanes has more committed than `seen`.
    fn committed(
        &self,
        lanes: &'static [Lane],
        seen: LaneMap<Sequence>,
    ) -> impl Future<Output = ()> + Send;

    /// The platform holds this range: what lies wholly inside may be deleted. Idempotent; never blocks.
    fn delivered(&self, lane: Lane, range: SequenceRange);

    /// The platform will never take this reading: it belongs in quarantine. Never blocks.
    fn refused(&self, lane: Lane, sequence: Sequence, reason: String);

    /// What is in flight at the old end of the lane and must not be dropped to make room; none: nothing is.
    fn hold(&self, lane: Lane, range: Option<SequenceRange>);
}
