//! What the operator sees of the uplink: one snapshot per lane group, written by the group's task alone.

use tokio::sync::watch;

use crate::domain::{Lane, Sequence, UnixNanos};

/// Where a lane stands at the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneStatus {
    /// The lane.
    pub lane: Lane,
    /// Everything below is held by the platform.
    pub position: Sequence,
    /// The next live sequence.
    pub live: Sequence,
    /// The sequence behind the last durable one.
    pub committed_next: Sequence,
    /// Readings of a backlog beside the live flow that are not sent yet.
    pub backlog: u64,
    /// Ranges that the platform holds ahead of `position`.
    pub ahead_ranges: usize,
}

/// Where a lane group's stream stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupStatus {
    /// The group's name: its lanes, joined by `+`.
    pub group: &'static str,
    /// The endpoint it is connected to, if it is.
    pub connected: Option<String>,
    /// When it was connected, or lost its connection; none before the first.
    pub since: Option<UnixNanos>,
    /// Why the last stream ended, and when.
    pub last_error: Option<(UnixNanos, String)>,
    /// Bytes in flight.
    pub in_flight_bytes: usize,
    /// Batches and gaps in flight.
    pub in_flight_batches: usize,
    /// Its lanes; empty before the first Resume.
    pub lanes: Vec<LaneStatus>,
}

/// A handle to look at the uplink.
#[derive(Debug, Clone)]
pub struct StatusView {
    pub(super) groups: Vec<watch::Receiver<GroupStatus>>,
}

impl StatusView {
    /// All groups as they stand now, in order of precedence.
    #[must_use]
    pub fn groups(&self) -> Vec<GroupStatus> {
        self.groups
            .iter()
            .map(|group| group.borrow().clone())
            .collect()
    }

    /// Whether every group has a stream.
    #[must_use]
    pub fn all_connected(&self) -> bool {
        self.groups
            .iter()
            .all(|group| group.borrow().connected.is_some())
    }
}
