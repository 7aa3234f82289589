//! What the platform's data says, read beside a running platform or after it: every stored reading with its lane and
//! sequence, and whether the promise held: each sequence once, none missing.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::{BuildHasher as _, RandomState},
    path::Path,
};

use prost::Message as _;
use serde::Serialize;

use super::{
    keys::{self, Holder, Kind, Stored},
    position::LanePosition,
    store::{Store, StoreError},
    wire::{Glimpse, Readings},
};
use crate::{
    domain::{Sequence, SequenceRange},
    proto::platform::Gap,
};

/// A stored reading.
#[derive(Debug, Clone, Copy)]
pub struct StoredReading<'a> {
    /// Whose lane.
    pub holder: &'a Holder,
    /// Its sequence.
    pub sequence: Sequence,
    /// Whether it came as backlog.
    pub backlog: bool,
    /// When it was stored, Unix nanoseconds.
    pub stored_at_ns: u64,
    /// Device id.
    pub device: &'a [u8],
    /// Class id.
    pub class: &'a [u8],
    /// When it was observed, Unix nanoseconds.
    pub observed_at_ns: u64,
    /// When the gateway received it, Unix nanoseconds.
    pub received_at_ns: u64,
    /// The encoded `Reading`.
    pub reading: &'a [u8],
}

/// Sequences of a lane and what they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stretch {
    /// The gateway's id.
    pub gateway: String,
    /// The incarnation, hexadecimal.
    pub incarnation: String,
    /// The lane's name.
    pub lane: &'static str,
    /// The first sequence.
    pub first: u64,
    /// The sequence behind the last.
    pub next: u64,
    /// What is to be said about them.
    pub note: String,
}

/// How many readings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All.
    pub readings: u64,
    /// Per lane.
    pub lanes: BTreeMap<&'static str, u64>,
    /// Per class.
    pub classes: BTreeMap<String, u64>,
    /// Sequences that gap records stand for.
    pub gap_sequences: u64,
    /// Readings refused.
    pub refused: u64,
}

/// Whether the promise held.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// Readings stored.
    pub readings: u64,
    /// Sequences that are stored twice: never, if each counts once.
    pub twice: Vec<Stretch>,
    /// Sequences below a lane's end that are neither stored, nor refused, nor a gap.
    pub holes: Vec<Stretch>,
    /// Positions that do not agree with what is stored.
    pub positions_wrong: Vec<Stretch>,
    /// Readings of the same device, class, time and value as an earlier one, at another sequence: a device that sent
    /// twice.
    pub sent_twice: u64,
}

/// The platform's data, as it was when it was opened.
#[derive(Debug)]
pub struct StoredData {
    store: Store,
}

const DAMAGED: StoreError = StoreError::Damaged("batch");

impl StoredData {
    /// Opens it read-only.
    ///
    /// # Errors
    /// Not there, damaged.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            store: Store::open_read_only(data_dir)?,
        })
    }

    /// Calls `each` with every stored reading, by holder and sequence.
    ///
    /// # Errors
    /// The data cannot be read or is damaged.
    pub fn readings(&self, mut each: impl FnMut(StoredReading<'_>)) -> Result<(), StoreError> {
        self.store.each(Kind::Batch, |key, value| {
            let (holder, tail) = keys::split(key).ok_or(DAMAGED)?;
            let first = keys::sequence(tail).ok_or(DAMAGED)?;
            let stored = Stored::decode(value).ok_or(DAMAGED)?;
            for (sequence, glimpse) in (first.0..).zip(Readings::new(stored.readings)) {
                let glimpse: Glimpse<'_> = glimpse.map_err(|_fault| DAMAGED)?;
                each(StoredReading {
                    holder: &holder,
                    sequence: Sequence(sequence),
                    backlog: stored.backlog,
                    stored_at_ns: stored.stored_at_ns,
                    device: glimpse.device,
                    class: glimpse.class,
                    observed_at_ns: glimpse.observed_at_ns,
                    received_at_ns: glimpse.received_at_ns,
                    reading: glimpse.reading,
                });
            }
            Ok(())
        })
    }

    /// Counts by reading everything, not from the platform's counters.
    ///
    /// # Errors
    /// The data cannot be read or is damaged.
    pub fn counts(&self) -> Result<Counts, StoreError> {
        let mut counts = Counts::default();
        let mut classes: HashMap<Vec<u8>, u64> = HashMap::new();
        self.readings(|reading| {
            counts.readings += 1;
            *counts.lanes.entry(reading.holder.lane.name()).or_default() += 1;
            match classes.get_mut(reading.class) {
                Some(count) => *count += 1,
                None => drop(classes.insert(reading.class.to_vec(), 1)),
            }
        })?;
        let name = |class: Vec<u8>| String::from_utf8_lossy(&class).into_owned();
        counts.classes = classes
            .into_iter()
            .map(|(class, count)| (name(class), count))
            .collect();
        counts.gap_sequences = self.gaps()?.iter().map(|gap| gap.next - gap.first).sum();
        counts.refused = self.refused()?.len() as u64;
        Ok(counts)
    }

    /// Readings per device, `class/device`.
    ///
    /// # Errors
    /// The data cannot be read or is damaged.
    pub fn devices(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let mut devices: HashMap<Vec<u8>, u64> = HashMap::new();
        self.readings(|reading| {
            let name = [reading.class, b"/", reading.device].concat();
            *devices.entry(name).or_default() += 1;
        })?;
        let name = |device: Vec<u8>| String::from_utf8_lossy(&device).into_owned();
        Ok(devices
            .into_iter()
            .map(|(device, count)| (name(device), count))
            .collect())
    }

    /// Gap records.
    ///
    /// # Errors
    /// The data cannot be read or is damaged.
    pub fn gaps(&self) -> Result<Vec<Stretch>, StoreError> {
        let mut gaps = Vec::new();
        self.store.each(Kind::Gap, |key, value| {
            let damaged = || StoreError::Damaged("gap");
            let (holder, _) = keys::split(key).ok_or_else(damaged)?;
            let gap = Gap::decode(value).map_err(|_fault| damaged())?;
            let range = range(gap.first_sequence, gap.first_sequence + gap.count);
            let note = format!("{}: {}", gap.reason().as_str_name(), gap.detail);
            gaps.push(stretch(&holder, range, note));
            Ok(())
        })?;
        Ok(gaps)
    }

    /// Refused readings.
    ///
    /// # Errors
    /// The data cannot be read or is damaged.
    pub fn refused(&self) -> Result<Vec<Stretch>, StoreError> {
        let mut refused = Vec::new();
        self.store.each(Kind::Refused, |key, value| {
            let damaged = || StoreError::Damaged("refusal");
            let (holder, tail) = keys::split(key).ok_or_else(damaged)?;
            let at = keys::sequence(tail).ok_or_else(damaged)?.0;
            let note = String::from_utf8_lossy(value).into_owned();
            refused.push(stretch(&holder, range(at, at + 1), note));
            Ok(())
        })?;
        Ok(refused)
    }

    /// Where each lane of each gateway stands.
    ///
    /// # Errors
    /// The data cannot be read or is damaged.
    pub fn positions(&self) -> Result<Vec<(Holder, LanePosition)>, StoreError> {
        let mut positions: Vec<_> = self.store.load()?.positions.into_iter().collect();
        positions.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(positions)
    }

    /// Checks that every sequence below a lane's end is there once.
    ///
    /// # Errors
    /// The data cannot be read or is damaged.
    pub fn audit(&self) -> Result<Audit, StoreError> {
        let mut audit = Audit::default();
        let mut stretches: BTreeMap<Holder, Vec<SequenceRange>> = BTreeMap::new();
        let mut seen = HashSet::new();
        let hasher = RandomState::new();
        self.readings(|reading| {
            audit.readings += 1;
            let parts = stretches.entry(reading.holder.clone()).or_default();
            extend(parts, range(reading.sequence.0, reading.sequence.0 + 1));
            let same = (
                reading.device,
                reading.class,
                reading.observed_at_ns,
                value(reading.reading),
            );
            if !seen.insert(hasher.hash_one(same)) {
                audit.sent_twice += 1;
            }
        })?;
        for kind in [Kind::Gap, Kind::Refused] {
            self.store.each(kind, |key, value| {
                let damaged = || StoreError::Damaged("gap");
                let (holder, tail) = keys::split(key).ok_or_else(damaged)?;
                let first = keys::sequence(tail).ok_or_else(damaged)?.0;
                let count = match kind {
                    Kind::Gap => Gap::decode(value).map_err(|_fault| damaged())?.count,
                    _ => 1,
                };
                extend(
                    stretches.entry(holder).or_default(),
                    range(first, first + count),
                );
                Ok(())
            })?;
        }
        let positions = self.positions()?;
        for (holder, parts) in stretches {
            let position = positions.iter().find(|(other, _)| *other == holder);
            audit.lane(&holder, parts, position.map(|(_, position)| position));
        }
        Ok(audit)
    }
}

impl Audit {
    /// Whether every reading is there, once.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.twice.is_empty() && self.holes.is_empty() && self.positions_wrong.is_empty()
    }

    fn lane(
        &mut self,
        holder: &Holder,
        mut parts: Vec<SequenceRange>,
        position: Option<&LanePosition>,
    ) {
        parts.sort_by_key(|part| part.first);
        let mut runs: Vec<SequenceRange> = vec![range(0, 0)];
        for part in parts {
            let Some(last) = runs.last_mut() else { return };
            if part.first < last.next {
                let twice = SequenceRange::new(part.first, part.next.min(last.next));
                self.twice
                    .push(stretch(holder, twice, "stored twice".to_owned()));
            }
            if part.first <= last.next {
                last.next = last.next.max(part.next);
            } else {
                let hole = SequenceRange::new(last.next, part.first);
                self.holes
                    .push(stretch(holder, hole, "not stored".to_owned()));
                runs.push(part);
            }
        }
        let base = runs.first().map_or(0, |run| run.next.0);
        let ahead = runs.get(1..).unwrap_or_default();
        let agrees = position.is_some_and(|held| held.next() == base && held.ahead() == ahead);
        if !agrees {
            let told = position.map_or(0, LanePosition::next);
            let note = format!("the position says {told}, the data {base}");
            self.positions_wrong
                .push(stretch(holder, range(told.min(base), told.max(base)), note));
        }
    }
}

/// Lengthens the last part if the new one follows it.
fn extend(parts: &mut Vec<SequenceRange>, part: SequenceRange) {
    match parts.last_mut() {
        Some(last) if last.next == part.first => last.next = part.next,
        _ => parts.push(part),
    }
}

const fn range(first: u64, next: u64) -> SequenceRange {
    SequenceRange::new(Sequence(first), Sequence(next))
}

fn stretch(holder: &Holder, range: SequenceRange, note: String) -> Stretch {
    Stretch {
        gateway: holder.gateway.clone(),
        incarnation: hex::encode(holder.incarnation),
        lane: holder.lane.name(),
        first: range.first.0,
        next: range.next.0,
        note,
    }
}

/// The class message of an encoded reading.
fn value(reading: &[u8]) -> bytes::Bytes {
    crate::proto::platform::Reading::decode(reading)
        .map(|decoded| decoded.value)
        .unwrap_or_default()
}
