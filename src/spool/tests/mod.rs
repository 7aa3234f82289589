//! The spool on a real `RocksDB`, from the outside: what is settled, what is read, what the ledger says.

mod flow;
mod loss;
mod model;
mod quarantine;

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{Arc, mpsc},
    time::Duration,
};

use tempfile::TempDir;

use super::{
    Item, LaneLedger, Opened, QuarantineEntry, Readings, RunningWriter, Spool, SpoolInlet,
    SpoolReader, Unplaced,
    open::Recovery,
    shared::{Chore, Shared},
};
use crate::{
    config::{GroupCommit, SpoolConfig, StoreBounds, WhenFull},
    domain::{
        Lane, LaneMap, Outcome, QuarantineReason, Sequence, SequenceRange, Settle, SystemClock,
        UnixNanos,
    },
};

const PATIENCE: Duration = Duration::from_secs(20);
const ALL: Sequence = Sequence(u64::MAX);

/// A receipt that tells its number and its outcome.
#[derive(Debug)]
struct Slip(u64, mpsc::Sender<(u64, Outcome)>);

impl Settle for Slip {
    fn settle(self, outcome: Outcome) {
        self.1.send((self.0, outcome)).ok();
    }
}

fn config(dir: &Path) -> SpoolConfig {
    let lane = StoreBounds {
        bytes_max: 64 << 20,
        when_full: WhenFull::Refuse,
    };
    SpoolConfig {
        data_dir: dir.to_owned(),
        lanes: LaneMap::from_fn(|_| lane),
        group: GroupCommit {
            block_readings_max: 16,
            bytes_max: 1 << 20,
        },
        quarantine: StoreBounds {
            bytes_max: 1 << 20,
            when_full: WhenFull::DropOldest,
        },
        tail_bytes_max: 1 << 20,
        zstd_level: 1,
        wal_bytes_max: 64 << 20,
    }
}

/// An open spool with its writer running.
struct Bench {
    inlet: SpoolInlet<Slip>,
    reader: SpoolReader,
    quarantine: super::Quarantine,
    writer: RunningWriter<Slip>,
    recovery: Recovery,
    slips: mpsc::Sender<(u64, Outcome)>,
    settled: mpsc::Receiver<(u64, Outcome)>,
}

impl Bench {
    fn open(config: &SpoolConfig) -> Self {
        let opened: Opened<Slip> = Spool::open_alone(config, Arc::new(SystemClock)).unwrap();
        let (slips, settled) = mpsc::channel();
        Self {
            inlet: opened.inlet,
            reader: opened.reader,
            quarantine: opened.quarantine,
            writer: opened.writer.start().unwrap(),
            recovery: opened.recovery,
            slips,
            settled,
        }
    }

    fn slip(&self, number: u64) -> Option<Slip> {
        Some(Slip(number, self.slips.clone()))
    }

    /// Appends one payload of readings and waits until it is settled.
    fn append(&self, lane: Lane, bodies: &[&str]) -> Outcome {
        let bytes = entries(bodies);
        let readings = Readings {
            bytes: &bytes,
            count: u32::try_from(bodies.len()).unwrap(),
        };
        match self.inlet.append(lane, readings, self.slip(0)) {
            Ok(()) => self.settled.recv_timeout(PATIENCE).unwrap().1,
            Err(Unplaced::LaneFull(_)) => Outcome::Refused,
            Err(other) => panic!("{other:?}"),
        }
    }

    fn quarantine(&self, lane: Lane, payload: &[u8]) -> Outcome {
        match self.inlet.quarantine(entry(lane, payload), self.slip(0)) {
            Ok(()) => self.settled.recv_timeout(PATIENCE).unwrap().1,
            Err(Unplaced::LaneFull(_)) => Outcome::Refused,
            Err(other) => panic!("{other:?}"),
        }
    }

    /// Waits until the writer has done what was left in its inbox.
    fn done(&self) {
        for _ in 0..2 {
            let (answer, answered) = mpsc::sync_channel(1);
            let nothing = Chore::Mend(ALL);
            self.shared()
                .leave(Lane::Alarm, |inbox| inbox.chores.push((nothing, answer)));
            answered.recv_timeout(PATIENCE).unwrap();
        }
    }

    fn shared(&self) -> &Shared {
        self.reader.shared()
    }

    fn delivered(&self, lane: Lane, first: u64, next: u64) {
        self.reader.delivered(lane, range(first, next)).unwrap();
        self.done();
    }

    fn ledger(&self, lane: Lane) -> LaneLedger {
        let ledger = self.reader.ledger();
        assert!(ledger.balances(), "{ledger:?}");
        ledger.lanes[lane]
    }

    /// Everything that is to be delivered, from a sequence on.
    fn read_from(&self, lane: Lane, from: u64) -> Vec<Item> {
        let mut items = Vec::new();
        let mut at = Sequence(from);
        loop {
            let more = self.reader.read(lane, at, ALL, 2000).unwrap();
            let Some(last) = more.last() else {
                return items;
            };
            at = last.range().next;
            items.extend(more);
        }
    }

    fn read(&self, lane: Lane) -> Vec<Item> {
        self.read_from(lane, 0)
    }

    /// The directory as a crash at this moment would leave it; taken again if `RocksDB` tidied up under the copying.
    fn crashed(&self, dir: &Path) -> TempDir {
        let copy = |to: &Path| -> std::io::Result<()> {
            fs::copy(dir.join("FORMAT"), to.join("FORMAT"))?;
            fs::create_dir(to.join("store"))?;
            for entry in fs::read_dir(dir.join("store"))? {
                let entry = entry?;
                fs::copy(entry.path(), to.join("store").join(entry.file_name()))?;
            }
            Ok(())
        };
        (0..20)
            .find_map(|_| {
                let to = tempfile::tempdir().unwrap();
                copy(to.path()).is_ok().then_some(to)
            })
            .unwrap()
    }

    fn close(self) {
        self.writer.close().unwrap();
    }
}

fn entry(lane: Lane, payload: &[u8]) -> QuarantineEntry<'_> {
    QuarantineEntry {
        lane,
        reason: QuarantineReason::MalformedJson,
        class: "manhole_cover",
        device: "d1",
        topic: "v1/manhole_cover/d1/up",
        detail: "not JSON",
        client: "manhole_cover/d1",
        received_at: UnixNanos(7),
        payload,
        piece: None,
    }
}

/// All of the quarantine, looked at from outside.
fn listed(dir: &Path) -> Vec<super::Quarantined> {
    let sight = super::QuarantineSight::of(dir).unwrap();
    sight.page(&super::Selection::default(), 0).unwrap().entries
}

fn range(first: u64, next: u64) -> SequenceRange {
    SequenceRange::new(Sequence(first), Sequence(next))
}

fn entries(bodies: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for body in bodies {
        bytes.extend_from_slice(&[0x7A, u8::try_from(body.len()).unwrap()]);
        bytes.extend_from_slice(body.as_bytes());
    }
    bytes
}

/// Sequence → reading of some items.
fn bodies(items: &[Item]) -> BTreeMap<u64, String> {
    let mut found = BTreeMap::new();
    for item in items {
        let Item::Readings { range, bytes, .. } = item else {
            continue;
        };
        let mut rest = &bytes[..];
        for sequence in range.first.0..range.next.0 {
            assert_eq!(rest[0], 0x7A);
            let (body, behind) = rest[2..].split_at(usize::from(rest[1]));
            found.insert(sequence, String::from_utf8(body.to_vec()).unwrap());
            rest = behind;
        }
        assert!(rest.is_empty());
    }
    found
}

fn values(items: &[Item]) -> Vec<String> {
    bodies(items).into_values().collect()
}

fn gaps(items: &[Item]) -> Vec<(u64, u64)> {
    items
        .iter()
        .filter(|item| matches!(item, Item::Gap { .. }))
        .map(|item| (item.range().first.0, item.range().next.0))
        .collect()
}
