//! The open group: where connections put their readings, under one short lock, and where their receipts wait.
//!
//! Connections append; the writer thread swaps the whole group for an empty one as soon as it is idle. So at most two
//! groups are in memory: one that fills and one that is being written. When the filling one has reached its bound,
//! connections are told [`Unplaced::Busy`] and stop reading their sockets.

mod filling;

use std::{
    iter::{empty, once},
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::Notify;

use super::{
    desk::Stored,
    group::{Entry, Group, OpenBlock},
    metrics::IntakeMetrics,
    parcel::{Parcel, Readings, Unplaced, entry, outcome},
    quarantine::QuarantineEntry,
    shared::{Shared, lock},
};
use crate::{
    config::{GroupCommit, StoreBounds, WhenFull},
    domain::{Lane, LaneMap, Outcome, Settle},
};

/// A block is closed at this size, whatever its readings count: it must fit a message to the platform.
pub(super) const BLOCK_BYTES_MAX: usize = 1 << 20;
/// What a receipt or a small payload costs beside its bytes.
const OVERHEAD_BYTES: usize = 64;
/// How often one who was refused by a full lane tries again, if nothing happens earlier.
const FULL_PAUSE: Duration = Duration::from_millis(250);
/// A full lane has room again when this part of its bound is free.
const ROOM_FRACTION: u64 = 64;

/// Of a lane, or of the quarantine.
#[derive(Debug, Default)]
struct LaneGate {
    /// Bytes on disk, as of the last commit.
    stored: u64,
    /// Bytes of the group that is being written, before compression.
    writing: u64,
    /// Somebody was refused, and no room has come since.
    full: bool,
    /// Size of the last block: what the next one reserves.
    block_bytes: usize,
}

/// The group that the writer took last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// Its receipts are not all settled.
    Writing,
    /// Nothing of it is owed.
    Settled,
}

impl LaneGate {
    /// Takes what is stored now, and what the open group brings; whether there is room again.
    fn has_room_again(&mut self, (stored, open): (u64, u64), bound: u64) -> bool {
        self.stored = stored;
        self.writing = 0;
        let freed = self.full && stored.saturating_add(open) < bound - bound / ROOM_FRACTION;
        self.full &= !freed;
        freed
    }

    /// Whether so many bytes more, behind those of the open group, are too many; it is full then, so that room is told.
    fn overflows(&mut self, (open, coming): (u64, u64), bound: u64) -> bool {
        let expected = self.stored.saturating_add(self.writing);
        let over = expected.saturating_add(open).saturating_add(coming) > bound;
        self.full |= over;
        over
    }
}

#[derive(Debug)]
struct Gate<R> {
    group: Group<R>,
    lanes: LaneMap<LaneGate>,
    quarantine: LaneGate,
    taken: Taken,
    closed: bool,
}

/// The shared side of all inlets.
#[derive(Debug)]
pub(super) struct Intake<R> {
    gate: Mutex<Gate<R>>,
    bounds: LaneMap<StoreBounds>,
    quarantine_bounds: StoreBounds,
    limits: GroupCommit,
    /// A group has been taken.
    taken: Notify,
    /// A lane that was full has room.
    lane_room: Notify,
    /// Every receipt of the group that was taken last is settled.
    settled: Notify,
    shared: Arc<Shared>,
    metrics: IntakeMetrics,
}

impl<R: Settle> Intake<R> {
    pub(super) fn new(
        (bounds, quarantine_bounds): (LaneMap<StoreBounds>, StoreBounds),
        limits: GroupCommit,
        shared: Arc<Shared>,
    ) -> Self {
        let gate = Gate {
            group: Group::new(),
            lanes: LaneMap::from_fn(|_| LaneGate::default()),
            quarantine: LaneGate::default(),
            taken: Taken::Settled,
            closed: false,
        };
        Self {
            gate: Mutex::new(gate),
            bounds,
            quarantine_bounds,
            limits,
            taken: Notify::new(),
            lane_room: Notify::new(),
            settled: Notify::new(),
            shared,
            metrics: IntakeMetrics::new(),
        }
    }

    /// Payloads in the open group; none once it is closed or half full, for then it should be taken.
    pub(super) fn waiting(&self) -> Option<usize> {
        let gate = lock(&self.gate);
        let growing = !gate.closed && gate.group.bytes < self.limits.bytes_max / 2;
        growing.then_some(gate.group.payloads)
    }

    /// Swaps the filled group for an empty one.
    pub(super) fn take(&self, empty: &mut Group<R>) {
        let mut gate = lock(&self.gate);
        if gate.group.is_empty() {
            return;
        }
        std::mem::swap(&mut gate.group, empty);
        gate.taken = Taken::Writing;
        for lane in Lane::ALL {
            gate.lanes[lane].writing = empty.lane_bytes[lane];
            let last = empty.open[lane].and_then(|at| empty.contents.blocks.get(at));
            gate.lanes[lane].block_bytes = last.map_or(0, |block| block.bytes.len());
        }
        gate.quarantine.writing = empty.entry_bytes;
        drop(gate);
        self.taken.notify_waiters();
    }

    /// What lies on disk after the group that was taken last has been written.
    pub(super) fn stored(&self, stored: Stored) {
        let mut gate = lock(&self.gate);
        let open = gate.group.entry_bytes;
        let bound = self.quarantine_bounds.bytes_max;
        let mut freed = gate
            .quarantine
            .has_room_again((stored.quarantine, open), bound);
        for lane in Lane::ALL {
            let open = gate.group.lane_bytes[lane];
            freed |= gate.lanes[lane].has_room_again((stored.lanes[lane], open), self.limit(lane));
        }
        drop(gate);
        if freed {
            self.lane_room.notify_waiters();
        }
    }

    /// Every receipt of the group that was taken last is settled.
    pub(super) fn settled(&self) {
        lock(&self.gate).taken = Taken::Settled;
        self.settled.notify_waiters();
    }

    /// Resolves when nothing waits for a commit and no receipt is owed.
    pub(super) async fn drained(&self) {
        loop {
            let mut settled = pin!(self.settled.notified());
            settled.as_mut().enable();
            let drained = {
                let gate = lock(&self.gate);
                gate.group.is_empty() && gate.taken == Taken::Settled
            };
            if drained {
                return;
            }
            settled.await;
        }
    }

    /// Takes nothing more from now on.
    pub(super) fn close(&self) {
        lock(&self.gate).closed = true;
        self.taken.notify_waiters();
        self.lane_room.notify_waiters();
        self.shared.bell.ring();
    }

    pub(super) fn is_closed(&self) -> bool {
        lock(&self.gate).closed
    }

    /// The bytes at which a lane takes nothing more. A lane that drops its oldest is at its bound all the time; it is
    /// full only if the writer can find nothing to drop.
    fn limit(&self, lane: Lane) -> u64 {
        let bounds = &self.bounds[lane];
        match bounds.when_full {
            WhenFull::Refuse => bounds.bytes_max,
            WhenFull::DropOldest => bounds
                .bytes_max
                .saturating_add(2 * self.limits.bytes_max as u64),
        }
    }

    /// Rings the writer if the group was empty before.
    fn put(&self, gate: &mut Gate<R>, put: impl FnOnce(&mut Gate<R>)) -> bool {
        let first = gate.group.is_empty();
        put(gate);
        gate.group.payloads += 1;
        first
    }

    fn has_room(&self, group: &Group<R>, bytes: usize) -> bool {
        group.is_empty() || group.bytes.saturating_add(bytes) <= self.limits.bytes_max
    }
}

/// Where ingest puts readings. Cheap to clone.
#[derive(Debug)]
pub struct SpoolInlet<R> {
    intake: Arc<Intake<R>>,
}

impl<R> Clone for SpoolInlet<R> {
    fn clone(&self) -> Self {
        Self {
            intake: Arc::clone(&self.intake),
        }
    }
}

impl<R: Settle> SpoolInlet<R> {
    pub(super) fn new(intake: Arc<Intake<R>>) -> Self {
        Self { intake }
    }

    /// Appends a payload's readings to the open group; they stay together in one block. The receipt is settled with
    /// [`Outcome::Stored`] once they are durable. At `QoS` 0 (no receipt), a full lane's readings are counted as dropped.
    ///
    /// # Errors
    /// They were not taken, see [`Unplaced`]; the receipt comes back.
    pub fn append(
        &self,
        lane: Lane,
        readings: Readings<'_>,
        receipt: Option<R>,
    ) -> Result<(), Unplaced<R>> {
        self.place(once((lane, readings)), Parcel::default(), receipt)
    }

    /// Puts a payload that cannot be read into quarantine. The receipt is settled with [`Outcome::Quarantined`] once it
    /// is durable.
    ///
    /// # Errors
    /// It was not taken, see [`Unplaced`]; the receipt comes back.
    pub fn quarantine(
        &self,
        entry: QuarantineEntry<'_>,
        receipt: Option<R>,
    ) -> Result<(), Unplaced<R>> {
        let parcel = Parcel {
            entries: &[entry],
            ..Parcel::default()
        };
        self.place(empty(), parcel, receipt)
    }

    /// Takes all that came of one payload: runs of readings, each for a lane, and what of it belongs into quarantine. All
    /// of it is durable at once, and the receipt is settled then: with [`Outcome::Stored`] if there are readings, else
    /// with the first entry's reason. One receipt for several lanes and the quarantine: if one of them is full and refuses,
    /// none is taken.
    ///
    /// # Errors
    /// Nothing was taken, see [`Unplaced`]; the receipt comes back.
    pub fn place<'r>(
        &self,
        runs: impl Iterator<Item = (Lane, Readings<'r>)> + Clone,
        parcel: Parcel<'_>,
        receipt: Option<R>,
    ) -> Result<(), Unplaced<R>> {
        let intake = &*self.intake;
        let encoded: Vec<Entry> = parcel.entries.iter().map(entry).collect();
        let read = runs.clone().map(|(_, readings)| readings.bytes.len());
        let unread: usize = encoded.iter().map(|entry| entry.bytes.len()).sum();
        let bytes = OVERHEAD_BYTES + read.sum::<usize>() + unread;
        let mut gate = lock(&intake.gate);
        if gate.closed {
            return Err(Unplaced::Closed(receipt));
        }
        let lane_full = intake.is_refused(&mut gate, runs.clone());
        let quarantine_full = intake.is_quarantine_full(&mut gate, unread as u64);
        let is_refused = lane_full || quarantine_full;
        if is_refused && receipt.as_ref().is_some_and(Settle::is_owed) {
            return Err(Unplaced::LaneFull(receipt));
        }
        let outcome = if is_refused {
            Outcome::Refused
        } else {
            outcome(&parcel, runs.clone().next().map(drop))
        };
        // What is counted as dropped takes no room.
        let takes_room = !lane_full || !quarantine_full && !encoded.is_empty();
        if takes_room && !intake.has_room(&gate.group, bytes) {
            intake.metrics.busy.increment(1);
            return Err(Unplaced::Busy(receipt));
        }
        let ring = intake.put(&mut gate, |gate| {
            for (lane, readings) in runs {
                if lane_full {
                    gate.group.contents.refused_qos0[lane] += u64::from(readings.count);
                } else {
                    intake.extend_block(gate, lane, &readings);
                }
            }
            if takes_room {
                gate.group.bytes += bytes;
            }
            for lane in Lane::ALL {
                gate.group.contents.suppressed[lane] += u64::from(parcel.suppressed[lane]);
            }
            if quarantine_full {
                for entry in encoded {
                    gate.group.contents.refused_qos0[entry.lane] += 1;
                }
            } else {
                gate.group.entry_bytes += unread as u64;
                gate.group.contents.entries.extend(encoded);
            }
            if !lane_full {
                gate.group.contents.joined.extend(parcel.joined);
            }
            gate.group.owe(receipt, outcome);
        });
        drop(gate);
        if ring {
            intake.shared.bell.ring();
        }
        Ok(())
    }

    /// Resolves when it is worth offering again what was not taken: the open group has room, and if a lane was full,
    /// it has room or some time has passed.
    pub async fn room(&self) {
        let intake = &*self.intake;
        let mut taken = pin!(intake.taken.notified());
        let mut lane_room = pin!(intake.lane_room.notified());
        taken.as_mut().enable();
        lane_room.as_mut().enable();
        let (closed, group_full, lane_full) = {
            let gate = lock(&intake.gate);
            let group_full = gate.group.bytes >= intake.limits.bytes_max / 2;
            (
                gate.closed,
                group_full,
                gate.quarantine.full || gate.lanes.iter().any(|(_, lane)| lane.full),
            )
        };
        if closed {
            tokio::time::sleep(FULL_PAUSE).await;
        } else if group_full {
            taken.await;
        } else if lane_full {
            // The pause ends the wait of one whose lane never was full, too.
            let _waited = tokio::time::timeout(FULL_PAUSE, lane_room).await;
        }
    }
}
