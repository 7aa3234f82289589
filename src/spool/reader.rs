//! The spool as the uplink sees it: what is to be delivered, and what became of it.
//!
//! Reading costs a look into the tail cache, or an iterator bounded below by the lane's oldest item: tombstones of what
//! was delivered are never scanned. What a reader says about sequences (delivered, refused) is left in the writer's
//! inbox and is durable with its next commit; saying it twice does no harm.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::watch;

use super::{
    block::{self, BlockFault, BlockReader, GapNote, GapReason},
    error::SpoolError,
    keys,
    ledger::Ledger,
    shared::{Chore, Shared, View, lock},
    tail::Fresh,
};
use crate::{
    domain::{Incarnation, Lane, LaneMap, Sequence, SequenceRange, UnixNanos},
    store::{Key, Start, Step, StoreError},
};

/// How long a reader waits for the writer to seal a gap or mend a damage.
const CHORE_DEADLINE: Duration = Duration::from_secs(5);
/// How often a read starts again after the writer changed something under it.
const READ_ATTEMPTS: usize = 4;
/// Refusals of one lane that may wait for the disk: more than a window of batches holds readings.
const REFUSALS_WAITING_MAX: usize = 1 << 17;
/// Bytes of a platform's reason that are kept.
const REFUSAL_REASON_BYTES_MAX: usize = 256;

/// Something to be delivered: consecutive sequences of one lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// Readings.
    Readings {
        /// Their sequences.
        range: SequenceRange,
        /// Encoded as entries of `Batch.readings`, ready to be concatenated.
        bytes: Bytes,
        /// When the first of their block was received.
        oldest_received_at: UnixNanos,
    },
    /// Sequences that will never come.
    Gap {
        /// The sequences.
        range: SequenceRange,
        /// Why.
        reason: GapReason,
        /// More of why, for people.
        detail: String,
    },
}

impl Item {
    /// The item's sequences.
    #[must_use]
    pub const fn range(&self) -> SequenceRange {
        match self {
            Self::Readings { range, .. } | Self::Gap { range, .. } => *range,
        }
    }

    fn fresh(fresh: Fresh) -> Self {
        Self::Readings {
            range: fresh.range,
            bytes: fresh.bytes,
            oldest_received_at: fresh.oldest,
        }
    }
}

/// A lane as of the last commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LaneState {
    /// The oldest sequence that the platform is not known to hold; equal to `committed_next` if it holds all.
    pub oldest: Sequence,
    /// The sequence behind the last one committed.
    pub committed_next: Sequence,
    /// Bytes of the lane's items on disk.
    pub bytes: u64,
    /// Readings on disk that are not delivered.
    pub readings: u64,
    /// When the oldest of them was received; none if there is none.
    pub oldest_received_at: Option<UnixNanos>,
}

/// Reads the lanes for delivery. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SpoolReader {
    shared: Arc<Shared>,
}

/// Resolves when a lane changes; never for a lane that nobody watches.
async fn one(lane: &mut Option<watch::Receiver<u64>>) {
    if let Some(seen) = lane
        && seen.changed().await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}

/// Wakes when there may be something new to read in some lanes.
#[derive(Debug)]
pub struct Commits {
    lanes: LaneMap<Option<watch::Receiver<u64>>>,
}

impl Commits {
    /// Resolves when something was committed since the last call. Cancel safe. For ever pending once the spool is gone.
    pub async fn changed(&mut self) {
        let LaneMap {
            alarm,
            telemetry,
            bulk,
        } = &mut self.lanes;
        tokio::select! {
            () = one(alarm) => {}
            () = one(telemetry) => {}
            () = one(bulk) => {}
        }
    }
}

impl SpoolReader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    #[cfg(test)]
    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Which spool this is: a new one after its disk was lost.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.shared.incarnation
    }

    /// Where a lane stands.
    #[must_use]
    pub fn lane_state(&self, lane: Lane) -> LaneState {
        let view = self.shared.view(lane);
        LaneState {
            oldest: view.low,
            committed_next: view.next,
            bytes: view.bytes,
            readings: view.ledger.spooled,
            oldest_received_at: view.oldest_received_at,
        }
    }

    /// The ledger as of the last commit.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        Ledger {
            lanes: LaneMap::from_fn(|lane| self.shared.view(lane).ledger),
        }
    }

    /// Wakes when something is committed in one of these lanes, from now on.
    #[must_use]
    pub fn commits(&self, lanes: &[Lane]) -> Commits {
        Commits {
            lanes: LaneMap::from_fn(|lane| {
                lanes.contains(&lane).then(|| self.shared.subscribe(lane))
            }),
        }
    }

    /// Whether a read from here is served from memory; otherwise it may block on the disk.
    #[must_use]
    pub fn cached(&self, lane: Lane, from: Sequence) -> bool {
        let from = from.max(self.shared.view(lane).low);
        lock(&self.shared.tail).holds(lane, from)
    }

    /// Items at or behind `from`, below `until`, in sequence and without a hole between them: whole blocks (cut only at
    /// `from` and `until`) while they fit into `bytes_max`, at least one. What the platform holds already and the spool
    /// has let go of is passed over, so the first item may start behind `from`. Empty if there is nothing to deliver.
    /// Blocks on the disk unless [`SpoolReader::cached`].
    ///
    /// # Errors
    /// The disk cannot be read, or a damage or a gap cannot be written down because the disk takes no writes.
    pub fn read(
        &self,
        lane: Lane,
        from: Sequence,
        until: Sequence,
        bytes_max: usize,
    ) -> Result<Vec<Item>, SpoolError> {
        for _ in 0..READ_ATTEMPTS {
            let view = self.shared.view(lane);
            let mut wanted = SequenceRange::new(from.max(view.low), until.min(view.next));
            // What the platform holds is passed over, and a read ends where it begins: nothing in between is missing.
            if let Some(done) = view.done.holding(wanted.first) {
                wanted.first = done.next;
            }
            if let Some(done) = view.done.start_behind(wanted.first) {
                wanted.next = wanted.next.min(done);
            }
            if wanted.is_empty() {
                return Ok(Vec::new());
            }
            let fresh = lock(&self.shared.tail).read(lane, wanted, bytes_max);
            if !fresh.is_empty() {
                return Ok(fresh.into_iter().map(Item::fresh).collect());
            }
            let mut pass = Pass::new(&view, wanted, bytes_max)?;
            let scanned = pass.scan(&self.shared, lane, &view);
            if let Err(fault) = scanned {
                match fault {
                    StoreError::Corrupt { .. } => pass.chore = Some(Chore::Mend(pass.at)),
                    other => return Err(other.into()),
                }
            }
            if !pass.items.is_empty() {
                return Ok(pass.items);
            }
            match pass.chore {
                None => return Ok(Vec::new()),
                Some(chore) => self.await_chore(lane, chore)?,
            }
        }
        Err(SpoolError::Unanswered(lane))
    }

    fn await_chore(&self, lane: Lane, chore: Chore) -> Result<(), SpoolError> {
        let (done, answer) = mpsc::sync_channel(1);
        self.shared
            .leave(lane, |inbox| inbox.chores.push((chore, done)));
        let answered = answer.recv_timeout(CHORE_DEADLINE);
        answered.ok().ok_or(SpoolError::Unanswered(lane))
    }

    /// The platform holds these sequences: they are deleted and the ledger moves, durably with the next commit. What is
    /// gone already is passed over.
    ///
    /// # Errors
    /// The range reaches beyond what was ever committed; nothing is done then.
    pub fn delivered(&self, lane: Lane, range: SequenceRange) -> Result<(), SpoolError> {
        let view = self.shared.view(lane);
        if range.next > view.next {
            return Err(SpoolError::NotCommitted {
                lane,
                range,
                committed_next: view.next,
            });
        }
        let range = SequenceRange::new(range.first.max(view.low), range.next);
        if !range.is_empty() {
            self.shared
                .leave(lane, |inbox| inbox.delivered.insert(range));
        }
        Ok(())
    }

    /// The platform will never take this reading: it goes to quarantine, durably with the next commit. To be said before
    /// the range around it is said to be delivered.
    ///
    /// # Errors
    /// The sequence was never committed, or too many refusals wait for the disk.
    pub fn refused(
        &self,
        lane: Lane,
        sequence: Sequence,
        reason: String,
    ) -> Result<(), SpoolError> {
        let view = self.shared.view(lane);
        if sequence >= view.next {
            return Err(SpoolError::NotCommitted {
                lane,
                range: SequenceRange::new(sequence, sequence.plus(1)),
                committed_next: view.next,
            });
        }
        let mut reason = reason;
        reason.truncate(reason.floor_char_boundary(REFUSAL_REASON_BYTES_MAX));
        let mut inbox = lock(&self.shared.inbox);
        let waiting = inbox[lane].refused.len();
        if waiting >= REFUSALS_WAITING_MAX {
            return Err(SpoolError::RefusalsWaiting { lane, waiting });
        }
        inbox[lane].refused.push((sequence, reason));
        drop(inbox);
        self.shared.bell.ring();
        Ok(())
    }

    /// What is in flight: a full lane that drops its oldest readings leaves these alone. None: nothing is.
    pub fn hold(&self, lane: Lane, range: Option<SequenceRange>) {
        lock(&self.shared.held)[lane] = range;
    }
}

/// One pass over the stored items of a lane.
struct Pass {
    items: Vec<Item>,
    blocks: BlockReader,
    /// The sequence that comes next.
    at: Sequence,
    until: Sequence,
    bytes: usize,
    bytes_max: usize,
    /// What has to be done before the pass can go on.
    chore: Option<Chore>,
}

impl Pass {
    fn new(view: &View, wanted: SequenceRange, bytes_max: usize) -> Result<Self, SpoolError> {
        let blocks = BlockReader::new().map_err(|source| SpoolError::Start {
            what: "the decompressor",
            source,
        })?;
        Ok(Self {
            items: Vec::new(),
            blocks,
            at: wanted.first,
            until: wanted.next.min(view.next),
            bytes: 0,
            bytes_max,
            chore: None,
        })
    }

    fn scan(&mut self, shared: &Shared, lane: Lane, view: &View) -> Result<(), StoreError> {
        let bounds = keys::item(lane, view.head)..keys::item(lane, self.until);
        let start = Start::AtOrBefore(keys::item(lane, self.at));
        shared
            .store
            .scan(bounds, start, |key, value| self.visit(lane, key, value))?;
        if self.items.is_empty() && self.chore.is_none() {
            self.chore = Some(Chore::Mend(self.at));
        }
        Ok(())
    }

    fn visit(&mut self, lane: Lane, key: &Key, value: &[u8]) -> Step {
        let opened = block::open(value);
        let range = match &opened {
            Ok((header, _)) => header.range,
            // Unreadable: all that is known is where it starts.
            Err(_) => SequenceRange::new(Sequence(keys::number(key)), Sequence(u64::MAX)),
        };
        if range.next <= self.at {
            return Step::Next;
        }
        if range.first > self.at {
            // What should stand before it is lost.
            self.chore = Some(Chore::Mend(self.at));
            return Step::Stop;
        }
        match opened.and_then(|(header, payload)| self.take(lane, &header, payload)) {
            Ok(step) => step,
            Err(fault) => {
                tracing::error!(%lane, first = keys::number(key), %fault, "stored item is damaged");
                self.chore = Some(Chore::Mend(self.at));
                Step::Stop
            }
        }
    }

    fn take(
        &mut self,
        lane: Lane,
        header: &block::Header,
        payload: &[u8],
    ) -> Result<Step, BlockFault> {
        let range = SequenceRange::new(self.at, header.range.next.min(self.until));
        if header.is_gap() {
            let gap = GapNote::of(header, payload)?;
            if !gap.sealed {
                self.chore = Some(Chore::Seal(header.range.first));
                return Ok(Step::Stop);
            }
            self.at = range.next;
            self.items.push(Item::Gap {
                range,
                reason: gap.reason,
                detail: gap.detail,
            });
            // The keys inside the gap are tombstones of what it replaced: jump over them.
            return Ok(Step::Seek(keys::item(lane, self.at)));
        }
        let raw = usize::try_from(header.raw_bytes).unwrap_or(usize::MAX);
        if !self.items.is_empty() && self.bytes.saturating_add(raw) > self.bytes_max {
            return Ok(Step::Stop);
        }
        let fresh = Fresh {
            range: header.range,
            bytes: self.blocks.readings(header, payload)?.into(),
            oldest: header.oldest,
        };
        let part = fresh
            .trimmed(range.first, range.next)
            .ok_or(BlockFault::Field("entry"))?;
        self.bytes = self.bytes.saturating_add(part.bytes.len());
        self.at = range.next;
        self.items.push(Item::fresh(part));
        let more = self.at < self.until && self.bytes < self.bytes_max;
        Ok(if more { Step::Next } else { Step::Stop })
    }
}
