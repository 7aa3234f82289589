//! What the platform shows while it runs: counters since its data began, latencies since it started, and the readings
//! that came last, decoded.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use hdrhistogram::Histogram;
use prost::Message as _;
use serde::Serialize;
use serde_json::{Value, json};

use super::{keys::Holder, position::LanePosition, store::Held, wire::Glimpse};
use crate::{
    domain::{Lane, LaneMap},
    proto::platform::Reading,
};

/// Readings kept for the live view.
const LAST_MAX: usize = 20;
/// Of how many readings one is measured.
const LATENCY_EVERY: u64 = 16;
/// Longest latency told apart, microseconds: an hour.
const LATENCY_MAX_US: u64 = 3_600_000_000;

/// What the platform knows about classes beyond their ids.
pub trait Catalogue: fmt::Debug + Send + Sync + 'static {
    /// The class's domain.
    fn domain(&self, class: &str) -> Option<String>;
    /// The reading with names and units.
    fn render(&self, reading: &Reading) -> Value;
}

/// Knows no classes: domains are unknown and values stay encoded.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCatalogue;

impl Catalogue for NoCatalogue {
    fn domain(&self, _class: &str) -> Option<String> {
        None
    }

    fn render(&self, reading: &Reading) -> Value {
        json!({
            "class": reading.class_id,
            "device": reading.device_id,
            "observed_at_ns": reading.observed_at_ns,
            "received_at_ns": reading.received_at_ns,
            "value": hex::encode(&reading.value),
        })
    }
}

/// What one write of the commit thread adds.
#[derive(Debug, Default)]
pub(super) struct Tally {
    lanes: LaneMap<u64>,
    classes: HashMap<Vec<u8>, u64>,
    pub(super) gaps: (u64, u64),
    pub(super) refused: u64,
    again: u64,
    batches: u64,
    bytes: u64,
    latencies: Vec<(u64, u64)>,
    pub(super) sample: Option<(Lane, Bytes)>,
}

impl Tally {
    pub(super) fn batch(&mut self, lane: Lane, stored: u64, again: u64, bytes: usize) {
        self.lanes[lane] += stored;
        self.again += again;
        self.batches += 1;
        self.bytes += bytes as u64;
    }

    pub(super) fn class(&mut self, class: &[u8], count: u64) {
        match self.classes.get_mut(class) {
            Some(sum) => *sum += count,
            None => drop(self.classes.insert(class.to_vec(), count)),
        }
    }

    /// Measures one of a few readings.
    pub(super) fn latency(&mut self, glimpse: &Glimpse<'_>, sequence: u64, stored_at_ns: u64) {
        if !sequence.is_multiple_of(LATENCY_EVERY) {
            return;
        }
        let since = |then: u64| stored_at_ns.saturating_sub(then) / 1_000;
        self.latencies
            .push((since(glimpse.observed_at_ns), since(glimpse.received_at_ns)));
    }
}

/// A latency's distribution, milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Latency {
    /// How many readings were measured.
    pub count: u64,
    /// Median.
    pub p50_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// Longest.
    pub max_ms: f64,
}

/// Where a lane of a gateway stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Position {
    /// The gateway's id.
    pub gateway: String,
    /// The incarnation of its spool, hexadecimal.
    pub incarnation: String,
    /// The lane's name.
    pub lane: &'static str,
    /// Everything below is held.
    pub next: u64,
    /// Ranges held above it: first, next.
    pub ahead: Vec<(u64, u64)>,
}

/// The live view at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Snapshot {
    /// Readings stored, each once.
    pub readings: u64,
    /// Readings stored per lane.
    pub lanes: BTreeMap<&'static str, u64>,
    /// Readings stored per class.
    pub classes: BTreeMap<String, u64>,
    /// Readings stored per domain.
    pub domains: BTreeMap<String, u64>,
    /// Gap records.
    pub gap_records: u64,
    /// Sequences that gaps stand for.
    pub gap_sequences: u64,
    /// Readings refused.
    pub refused: u64,
    /// Readings that came again since the start, and were not stored again.
    pub repeated: u64,
    /// Batches taken since the start.
    pub batches: u64,
    /// Bytes of readings taken since the start.
    pub bytes: u64,
    /// Synced writes since the start.
    pub commits: u64,
    /// Streams opened since the start.
    pub streams_opened: u64,
    /// Streams open now.
    pub streams_open: u64,
    /// From observation to durable storage, of a sample since the start.
    pub observed_to_stored: Latency,
    /// From the gateway's receipt to durable storage, of a sample since the start.
    pub received_to_stored: Latency,
    /// Where each lane of each gateway stands.
    pub positions: Vec<Position>,
    /// Readings that came last, decoded, latest first.
    pub last: Vec<Value>,
}

struct Totals {
    lanes: LaneMap<u64>,
    classes: HashMap<Vec<u8>, u64>,
    gaps: (u64, u64),
    refused: u64,
    again: u64,
    batches: u64,
    bytes: u64,
    commits: u64,
    observed: Histogram<u64>,
    received: Histogram<u64>,
    positions: HashMap<Holder, LanePosition>,
    last: VecDeque<(Lane, Bytes)>,
}

/// The live view; the commit thread adds to it once per write, anyone may look.
pub(super) struct View {
    totals: Mutex<Totals>,
    catalogue: Arc<dyn Catalogue>,
    pub(super) streams_opened: AtomicU64,
    pub(super) streams_open: AtomicU64,
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").finish_non_exhaustive()
    }
}

impl View {
    pub(super) fn new(
        held: &Held,
        catalogue: Arc<dyn Catalogue>,
    ) -> Result<Self, hdrhistogram::CreationError> {
        let mut lanes = LaneMap::default();
        let mut classes: HashMap<Vec<u8>, u64> = HashMap::new();
        for (holder, counts) in &held.counts {
            for (class, count) in counts {
                lanes[holder.lane] += count;
                *classes.entry(class.clone()).or_default() += count;
            }
        }
        let histogram = || Histogram::new_with_bounds(1, LATENCY_MAX_US, 3);
        let totals = Totals {
            lanes,
            classes,
            gaps: held.gaps,
            refused: held.refused,
            again: 0,
            batches: 0,
            bytes: 0,
            commits: 0,
            observed: histogram()?,
            received: histogram()?,
            positions: held.positions.clone(),
            last: VecDeque::with_capacity(LAST_MAX),
        };
        Ok(Self {
            totals: Mutex::new(totals),
            catalogue,
            streams_opened: AtomicU64::new(0),
            streams_open: AtomicU64::new(0),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a write; `moved` are the positions that it changed.
    pub(super) fn add<'a>(
        &self,
        tally: Tally,
        moved: impl Iterator<Item = (&'a Holder, &'a LanePosition)>,
    ) {
        let mut totals = self.lock();
        for lane in Lane::ALL {
            totals.lanes[lane] += tally.lanes[lane];
        }
        for (class, count) in tally.classes {
            *totals.classes.entry(class).or_default() += count;
        }
        totals.gaps.0 += tally.gaps.0;
        totals.gaps.1 += tally.gaps.1;
        totals.refused += tally.refused;
        totals.again += tally.again;
        totals.batches += tally.batches;
        totals.bytes += tally.bytes;
        totals.commits += 1;
        for (observed, received) in tally.latencies {
            totals.observed.saturating_record(observed);
            totals.received.saturating_record(received);
        }
        for (holder, position) in moved {
            totals.positions.insert(holder.clone(), position.clone());
        }
        if let Some(sample) = tally.sample {
            totals.last.truncate(LAST_MAX - 1);
            totals.last.push_front(sample);
        }
    }

    /// The view at this moment.
    pub(super) fn snapshot(&self) -> Snapshot {
        let (mut snapshot, last) = self.counters();
        for (class, count) in &snapshot.classes {
            let domain = self
                .catalogue
                .domain(class)
                .unwrap_or_else(|| "unknown".to_owned());
            *snapshot.domains.entry(domain).or_default() += count;
        }
        snapshot.last = last
            .into_iter()
            .map(|(lane, bytes)| self.rendered(lane, bytes))
            .collect();
        snapshot.streams_opened = self.streams_opened.load(Ordering::Relaxed);
        snapshot.streams_open = self.streams_open.load(Ordering::Relaxed);
        snapshot
    }

    fn counters(&self) -> (Snapshot, VecDeque<(Lane, Bytes)>) {
        let totals = self.lock();
        let mut positions: Vec<_> = totals.positions.iter().collect();
        positions.sort_by_key(|(holder, _)| *holder);
        let snapshot = Snapshot {
            readings: totals.lanes.iter().map(|(_, count)| count).sum(),
            lanes: totals
                .lanes
                .iter()
                .map(|(lane, count)| (lane.name(), *count))
                .collect(),
            classes: totals
                .classes
                .iter()
                .map(|(class, count)| (String::from_utf8_lossy(class).into_owned(), *count))
                .collect(),
            gap_records: totals.gaps.0,
            gap_sequences: totals.gaps.1,
            refused: totals.refused,
            repeated: totals.again,
            batches: totals.batches,
            bytes: totals.bytes,
            commits: totals.commits,
            observed_to_stored: latency(&totals.observed),
            received_to_stored: latency(&totals.received),
            positions: positions
                .into_iter()
                .map(|(holder, held)| shown(holder, held))
                .collect(),
            ..Snapshot::default()
        };
        (snapshot, totals.last.clone())
    }

    fn rendered(&self, lane: Lane, bytes: Bytes) -> Value {
        match Reading::decode(bytes) {
            Ok(reading) => json!({
                "lane": lane.name(),
                "reading": self.catalogue.render(&reading),
            }),
            Err(fault) => json!({ "lane": lane.name(), "undecodable": fault.to_string() }),
        }
    }
}

pub(super) fn shown(holder: &Holder, held: &LanePosition) -> Position {
    Position {
        gateway: holder.gateway.clone(),
        incarnation: hex::encode(holder.incarnation),
        lane: holder.lane.name(),
        next: held.next(),
        ahead: held
            .ahead()
            .iter()
            .map(|range| (range.first.0, range.next.0))
            .collect(),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "latencies are far below 52 bits"
)]
fn latency(histogram: &Histogram<u64>) -> Latency {
    let millis = |micros: u64| micros as f64 / 1_000.0;
    Latency {
        count: histogram.len(),
        p50_ms: millis(histogram.value_at_quantile(0.5)),
        p99_ms: millis(histogram.value_at_quantile(0.99)),
        max_ms: millis(histogram.max()),
    }
}
