//! A spool in memory: what the uplink needs of one, with what it was told about delivery.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use prost::encoding::message;
use sensegate::{
    domain::{
        Clock as _, Incarnation, Lane, LaneMap, Sequence, SequenceRange, SystemClock, UnixNanos,
    },
    proto::platform::Reading,
    spool::{GapReason, Item, LaneState},
    uplink::Source,
};
use tokio::sync::watch;

#[derive(Debug, Default)]
struct MemoryLane {
    /// By first sequence; gone once delivered.
    items: BTreeMap<u64, Item>,
    next: u64,
    refused: Vec<(u64, String)>,
}

#[derive(Debug)]
struct Inner {
    lanes: Mutex<LaneMap<MemoryLane>>,
    commits: watch::Sender<u64>,
    incarnation: Incarnation,
    cached: bool,
}

/// A cheap handle.
#[derive(Debug, Clone)]
pub(super) struct MemorySpool(Arc<Inner>);

fn split(bytes: &Bytes, skip: u64) -> Bytes {
    let mut rest = bytes.clone();
    for _ in 0..skip {
        let mut at = rest.slice(1..);
        let len = prost::encoding::decode_varint(&mut at).unwrap();
        rest = at.slice(usize::try_from(len).unwrap()..);
    }
    rest
}

impl MemorySpool {
    pub(super) fn new(incarnation: u8) -> Self {
        Self(Arc::new(Inner {
            lanes: Mutex::new(LaneMap::from_fn(|_| MemoryLane::default())),
            commits: watch::Sender::new(0),
            incarnation: Incarnation([incarnation; 16]),
            cached: incarnation.is_multiple_of(2),
        }))
    }

    fn lanes(&self) -> MutexGuard<'_, LaneMap<MemoryLane>> {
        self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, lane: Lane, count: u64, item: impl FnOnce(SequenceRange) -> Item) {
        {
            let mut lanes = self.lanes();
            let lane = &mut lanes[lane];
            let range = SequenceRange::new(Sequence(lane.next), Sequence(lane.next + count));
            lane.items.insert(lane.next, item(range));
            lane.next += count;
        }
        self.0.commits.send_modify(|commits| *commits += 1);
    }

    /// Commits a block of readings as if they had been received at this time.
    pub(super) fn commit_at(&self, lane: Lane, count: u64, received_at: UnixNanos) {
        self.push(lane, count, |range| {
            let mut bytes = Vec::new();
            for sequence in range.first.0..range.next.0 {
                let reading = Reading {
                    device_id: format!("dev-{}", sequence % 7),
                    class_id: if sequence % 2 == 0 {
                        "water_level"
                    } else {
                        "air_quality"
                    }
                    .into(),
                    observed_at_ns: received_at.0 + sequence,
                    received_at_ns: received_at.0,
                    value: Bytes::from(sequence.to_be_bytes().to_vec()),
                    ..Reading::default()
                };
                message::encode(15, &reading, &mut bytes);
            }
            Item::Readings {
                range,
                bytes: bytes.into(),
                oldest_received_at: received_at,
            }
        });
    }

    pub(super) fn commit(&self, lane: Lane, count: u64) {
        self.commit_at(lane, count, SystemClock.now());
    }

    pub(super) fn gap(&self, lane: Lane, count: u64) {
        self.push(lane, count, |range| Item::Gap {
            range,
            reason: GapReason::Capacity,
            detail: "dropped".to_owned(),
        });
    }

    /// Sequences that are not reported as delivered.
    pub(super) fn undelivered(&self, lane: Lane) -> u64 {
        self.lanes()[lane]
            .items
            .values()
            .map(|item| item.range().count())
            .sum()
    }

    pub(super) fn refused_readings(&self, lane: Lane) -> Vec<(u64, String)> {
        self.lanes()[lane].refused.clone()
    }
}

impl Source for MemorySpool {
    type Error = Infallible;

    fn incarnation(&self) -> Incarnation {
        self.0.incarnation
    }

    fn lane_state(&self, lane: Lane) -> LaneState {
        let lanes = self.lanes();
        let lane = &lanes[lane];
        let first = lane.items.values().next();
        LaneState {
            oldest: first.map_or(Sequence(lane.next), |item| item.range().first),
            committed_next: Sequence(lane.next),
            bytes: 0,
            readings: 0,
            oldest_received_at: first.and_then(|item| match item {
                Item::Readings {
                    oldest_received_at, ..
                } => Some(*oldest_received_at),
                Item::Gap { .. } => None,
            }),
        }
    }

    fn read(
        &self,
        lane: Lane,
        range: SequenceRange,
        bytes_max: usize,
    ) -> Result<Vec<Item>, Infallible> {
        let lanes = self.lanes();
        let mut found = Vec::new();
        let mut bytes_found = 0;
        for item in lanes[lane].items.values() {
            let mut item = item.clone();
            if item.range().next <= range.first || item.range().first >= range.next {
                continue;
            }
            let skip = range.first.0.saturating_sub(item.range().first.0);
            match &mut item {
                Item::Readings { range, bytes, .. } => {
                    *bytes = split(bytes, skip);
                    range.first = range.first.plus(skip);
                    bytes_found += bytes.len();
                }
                Item::Gap { range, .. } => range.first = range.first.plus(skip),
            }
            if bytes_found > bytes_max && !found.is_empty() {
                break;
            }
            found.push(item);
        }
        Ok(found)
    }

    fn cached(&self, _lane: Lane, _from: Sequence) -> bool {
        self.0.cached
    }

    async fn committed(&self, lanes: &'static [Lane], seen: LaneMap<Sequence>) {
        let mut commits = self.0.commits.subscribe();
        let more = |_: &u64| {
            lanes
                .iter()
                .any(|&lane| self.lane_state(lane).committed_next > seen[lane])
        };
        commits.wait_for(more).await.map(drop).unwrap_or_default();
    }

    fn delivered(&self, lane: Lane, range: SequenceRange) {
        self.lanes()[lane]
            .items
            .retain(|_, item| item.range().first < range.first || item.range().next > range.next);
        self.0.commits.send_modify(|commits| *commits += 1);
    }

    fn refused(&self, lane: Lane, sequence: Sequence, reason: String) {
        self.lanes()[lane].refused.push((sequence.0, reason));
    }

    fn hold(&self, _lane: Lane, _range: Option<SequenceRange>) {}
}

impl MemorySpool {
    /// Resolves when everything is delivered.
    pub(super) async fn drained(&self) {
        let mut commits = self.0.commits.subscribe();
        let empty = |_: &u64| Lane::ALL.iter().all(|&lane| self.undelivered(lane) == 0);
        commits.wait_for(empty).await.map(drop).unwrap_or_default();
    }

    /// Resolves when the lane is delivered.
    pub(super) async fn lane_drained(&self, lane: Lane) {
        let mut commits = self.0.commits.subscribe();
        commits
            .wait_for(|_| self.undelivered(lane) == 0)
            .await
            .map(drop)
            .unwrap_or_default();
    }
}
