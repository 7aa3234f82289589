//! Readings go into the block of their lane, if the lane has room.

use super::{BLOCK_BYTES_MAX, Gate, Intake, Lane, OpenBlock, Readings, Settle, WhenFull};

impl<R: Settle> Intake<R> {
    /// Whether one of the lanes is full; it is entered as full then, so that room in it is told.
    pub(super) fn is_refused<'r>(
        &self,
        gate: &mut Gate<R>,
        runs: impl Iterator<Item = (Lane, Readings<'r>)>,
    ) -> bool {
        let mut refused = false;
        for (lane, readings) in runs {
            let bytes = (gate.group.lane_bytes[lane], readings.bytes.len() as u64);
            if gate.lanes[lane].overflows(bytes, self.limit(lane)) {
                self.metrics.lane_full[lane].increment(1);
                refused = true;
            }
        }
        refused
    }

    /// Whether entries of so many bytes are refused.
    pub(super) fn is_quarantine_full(&self, gate: &mut Gate<R>, coming: u64) -> bool {
        let bounds = self.quarantine_bounds;
        if coming == 0 || bounds.when_full == WhenFull::DropOldest {
            return false;
        }
        let bytes = (gate.group.entry_bytes, coming);
        let is_full = gate.quarantine.overflows(bytes, bounds.bytes_max);
        if is_full {
            self.metrics.quarantine_full.increment(1);
        }
        is_full
    }

    pub(super) fn extend_block(&self, gate: &mut Gate<R>, lane: Lane, readings: &Readings<'_>) {
        if readings.count == 0 {
            return;
        }
        let count = u64::from(readings.count);
        let group = &mut gate.group;
        group.lane_bytes[lane] += readings.bytes.len() as u64;
        let open = group.open[lane].and_then(|at| group.contents.blocks.get_mut(at));
        if let Some(block) = open {
            let fits = block.count + count <= self.limits.block_readings_max as u64
                && block.bytes.len() + readings.bytes.len() <= BLOCK_BYTES_MAX;
            if fits {
                block.bytes.extend_from_slice(readings.bytes);
                block.count += count;
                return;
            }
            gate.lanes[lane].block_bytes = block.bytes.len();
        }
        let reserve = gate.lanes[lane].block_bytes.max(readings.bytes.len());
        let mut bytes = Vec::with_capacity(reserve);
        bytes.extend_from_slice(readings.bytes);
        group.open[lane] = Some(group.contents.blocks.len());
        group.contents.blocks.push(OpenBlock {
            lane,
            bytes,
            count,
            oldest: self.shared.clock.now(),
        });
    }
}
