//! From what the spool gives to what goes on the wire: adjacent blocks become one batch, gaps stand between batches,
//! and sequences that the spool skips without a word become a gap too, so that the lane stays gapless.

use std::{collections::VecDeque, time::Instant};

use super::{
    codec::{Batch, Outgoing},
    core::{Dispatch, Flow},
    fault::LinkFault,
    source::{GapReason, Item},
};
use crate::{
    domain::{Lane, Sequence, SequenceRange, UnixNanos},
    proto::platform::Gap,
};

/// Bytes that a gap is counted as in the window.
const GAP_BYTES: usize = 64;

/// A message and its entry in the window.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) message: Outgoing,
    /// `sent_at` is set when it is sent.
    pub(super) dispatch: Dispatch,
}

/// Why sequences are missing here.
#[derive(Debug, Clone, Copy)]
pub(super) enum Trouble {
    /// They were delivered once and deleted; the platform came back with an older state.
    Delivered,
    /// They should be there.
    Missing,
}

/// A gap of the uplink's own finding.
pub(super) fn lost(lane: Lane, flow: Flow, range: SequenceRange, trouble: &Trouble) -> Parcel {
    let (reason, detail) = match trouble {
        Trouble::Delivered => (
            GapReason::Operator,
            "delivered before and deleted; the platform resumed at an older position",
        ),
        Trouble::Missing => (GapReason::Corruption, "missing in the gateway's spool"),
    };
    gap((lane, flow), range, reason, detail.to_owned())
}

fn gap(
    (lane, flow): (Lane, Flow),
    range: SequenceRange,
    reason: GapReason,
    detail: String,
) -> Parcel {
    let message = Outgoing::Gap(Gap {
        lane: i32::from(lane.number()),
        first_sequence: range.first.0,
        count: range.count(),
        reason: i32::from(reason.code()),
        detail,
    });
    Parcel {
        message,
        dispatch: dispatch((lane, flow), range, GAP_BYTES),
    }
}

fn dispatch((lane, flow): (Lane, Flow), range: SequenceRange, bytes: usize) -> Dispatch {
    Dispatch {
        lane,
        flow,
        range,
        bytes,
        readings: 0,
        oldest_received_at: None,
        sent_at: Instant::now(),
    }
}

/// Adjacent readings on their way to one batch.
struct Open {
    batch: Batch,
    bytes: usize,
    next: Sequence,
    oldest: UnixNanos,
}

/// Puts what was read for `range` into messages of about `bytes_max` bytes.
pub(super) fn parcels(
    (lane, flow, backlog): (Lane, Flow, bool),
    range: SequenceRange,
    items: Vec<Item>,
    bytes_max: usize,
) -> Result<VecDeque<Parcel>, LinkFault> {
    let mut out = VecDeque::new();
    let mut open: Option<Open> = None;
    let mut at = range.first;
    for item in items {
        let found = item.range();
        if found.first < at || found.next > range.next || found.is_empty() {
            let asked = format!("{}..{}", at, range.next);
            let given = format!("{}..{}", found.first, found.next);
            return Err(LinkFault::Source(format!(
                "lane {lane}: asked for {asked}, got {given}"
            )));
        }
        if at < found.first {
            out.extend(open.take().map(|open| close(open, flow)));
            let skipped = SequenceRange::new(at, found.first);
            tracing::error!(%lane, first = %at, next = %found.first, "missing in the spool");
            out.push_back(lost(lane, flow, skipped, &Trouble::Missing));
        }
        at = found.next;
        match item {
            Item::Gap {
                range,
                reason,
                detail,
            } => {
                out.extend(open.take().map(|open| close(open, flow)));
                out.push_back(gap((lane, flow), range, reason, detail));
            }
            Item::Readings {
                range,
                bytes,
                oldest_received_at,
            } => {
                if open
                    .as_ref()
                    .is_some_and(|open| open.bytes + bytes.len() > bytes_max)
                {
                    out.extend(open.take().map(|open| close(open, flow)));
                }
                let open = open.get_or_insert_with(|| Open {
                    batch: Batch {
                        lane,
                        first: range.first,
                        count: 0,
                        backlog,
                        readings: vec![],
                    },
                    bytes: 0,
                    next: range.first,
                    oldest: oldest_received_at,
                });
                let count = u32::try_from(range.count()).unwrap_or(u32::MAX);
                open.batch.count = open.batch.count.saturating_add(count);
                open.bytes += bytes.len();
                open.next = range.next;
                open.oldest = open.oldest.min(oldest_received_at);
                open.batch.readings.push(bytes);
            }
        }
    }
    out.extend(open.map(|open| close(open, flow)));
    Ok(out)
}

fn close(open: Open, flow: Flow) -> Parcel {
    let range = SequenceRange::new(open.batch.first, open.next);
    let mut dispatch = dispatch((open.batch.lane, flow), range, open.bytes);
    dispatch.readings = range.count();
    dispatch.oldest_received_at = Some(open.oldest);
    Parcel {
        message: Outgoing::Batch(open.batch),
        dispatch,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn range(first: u64, next: u64) -> SequenceRange {
        SequenceRange::new(Sequence(first), Sequence(next))
    }

    fn readings(first: u64, next: u64, bytes: usize) -> Item {
        Item::Readings {
            range: range(first, next),
            bytes: Bytes::from(vec![0; bytes]),
            oldest_received_at: UnixNanos(1_000 - first),
        }
    }

    fn shape(parcels: &VecDeque<Parcel>) -> Vec<(&'static str, u64, u64)> {
        let kind = |parcel: &Parcel| match parcel.message {
            Outgoing::Batch(_) => "batch",
            _ => "gap",
        };
        parcels
            .iter()
            .map(|p| (kind(p), p.dispatch.range.first.0, p.dispatch.range.next.0))
            .collect()
    }

    #[test]
    fn adjacent_blocks_become_one_batch_up_to_its_size() {
        let items = vec![readings(5, 7, 40), readings(7, 9, 40), readings(9, 12, 40)];
        let parcels = parcels((Lane::Bulk, Flow::Live, false), range(5, 99), items, 100).unwrap();
        assert_eq!(shape(&parcels), [("batch", 5, 9), ("batch", 9, 12)]);
        assert_eq!(parcels[0].dispatch.oldest_received_at, Some(UnixNanos(993)));
        assert_eq!(parcels[0].dispatch.readings, 4);
    }

    #[test]
    fn gaps_stand_between_batches_and_silent_holes_become_gaps() {
        let gap = Item::Gap {
            range: range(7, 9),
            reason: GapReason::Capacity,
            detail: String::new(),
        };
        let items = vec![readings(5, 7, 40), gap, readings(11, 12, 40)];
        let parcels = parcels((Lane::Bulk, Flow::Live, false), range(5, 99), items, 100).unwrap();
        let expected = [
            ("batch", 5, 7),
            ("gap", 7, 9),
            ("gap", 9, 11),
            ("batch", 11, 12),
        ];
        assert_eq!(shape(&parcels), expected);
    }

    #[test]
    fn a_spool_that_gives_what_was_not_asked_for_is_not_forwarded() {
        let items = vec![readings(4, 7, 40)];
        assert!(parcels((Lane::Bulk, Flow::Live, false), range(5, 99), items, 100).is_err());
    }
}
