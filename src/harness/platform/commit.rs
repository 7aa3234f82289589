//! The commit thread: the one owner of positions and counts. It takes what all streams have received, decides what is
//! new, writes readings, positions and counts in one synced write, and only then lets the streams answer.
//!
//! A new Hello for a lane fences the streams that had it before: what they still bring is dropped unanswered, so that
//! a position told in Resume holds until the new stream itself moves it.

use std::{collections::HashMap, sync::Arc, thread::JoinHandle};

use bytes::Bytes;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{
    faults::{FaultBoard, Faults},
    group::{Ask, Body, Group, Origin, Receipt, Sheet},
    keys::{Holder, Kind, key, key_at},
    position::{AcceptsAhead, LanePosition, Unplaced},
    store::{Held, Store, StoreError},
    view::View,
    wire::{RawBatch, Readings},
};
use crate::{
    domain::{Clock, Lane, SequenceRange},
    proto::platform::{Accepted, Gap, Resume},
};

/// Messages that one synced write takes at most.
const GROUP_MAX: usize = 256;
/// Bytes that one synced write takes at most, about.
const GROUP_BYTES_MAX: usize = 16 << 20;
/// Messages waiting for the commit thread, all streams together.
pub(super) const QUEUE_MAX: usize = 256;

/// How the platform dies when it is told to crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CrashBy {
    /// The process aborts.
    #[default]
    Abort,
    /// This platform falls silent and loses what it had not stored: for tests in one process.
    Silence,
}

/// What the commit thread is given.
pub(super) struct Commit {
    pub(super) store: Store,
    pub(super) held: Held,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) faults: FaultBoard,
    pub(super) view: Arc<View>,
    pub(super) accepts_ahead: AcceptsAhead,
    pub(super) crash_by: CrashBy,
    /// Cancelled: the platform is dead.
    pub(super) dead: CancellationToken,
}

impl Commit {
    /// Starts the thread; it ends when every sender is gone or the platform dies.
    pub(super) fn start(
        self,
        asks: mpsc::Receiver<Ask>,
    ) -> std::io::Result<JoinHandle<Result<(), StoreError>>> {
        let epochs = HashMap::new();
        let mut thread = Thread {
            commit: self,
            epochs,
        };
        let dead = thread.commit.dead.clone();
        std::thread::Builder::new()
            .name("platform-commit".to_owned())
            .spawn(move || {
                let ended = thread.run(asks);
                // without it nothing can be stored: the streams must not wait for ever
                dead.cancel();
                ended
            })
    }
}

struct Thread {
    commit: Commit,
    epochs: HashMap<Holder, u64>,
}

impl Thread {
    fn run(&mut self, mut asks: mpsc::Receiver<Ask>) -> Result<(), StoreError> {
        while let Some(first) = asks.blocking_recv() {
            let group = self.gather(first, &mut asks);
            if self.commit.dead.is_cancelled() {
                return Ok(());
            }
            self.write(group)?;
        }
        Ok(())
    }

    /// Takes what waits, up to the bounds of a group.
    fn gather(&mut self, first: Ask, asks: &mut mpsc::Receiver<Ask>) -> Group {
        let mut group = Group::default();
        self.take(first, &mut group);
        for _ in 1..GROUP_MAX {
            let full = group.bytes >= GROUP_BYTES_MAX || self.commit.dead.is_cancelled();
            let Some(ask) = (!full).then(|| asks.try_recv().ok()).flatten() else {
                break;
            };
            self.take(ask, &mut group);
        }
        group
    }

    fn take(&mut self, ask: Ask, group: &mut Group) {
        match ask {
            Ask::Hello {
                holders,
                epoch,
                answer,
            } => {
                // told after the write: what it names must survive a crash
                let resume = self.resume(&holders, epoch);
                group.resumes.push((answer, resume));
            }
            Ask::Store {
                from,
                message,
                slot,
            } => {
                let faults = self.commit.faults.get();
                if matches!(message, Body::Batch(_)) && self.commit.faults.crashes_now() {
                    self.crash();
                    return;
                }
                let outcome = match message {
                    Body::Batch(batch) => self.batch(&from, &batch, &faults, group),
                    Body::Gap(gap) => self.gap(&from, &gap, group),
                };
                match outcome {
                    Ok(Some(receipt)) => group.answers.push((slot, Ok(receipt))),
                    Ok(None) => {}
                    Err(status) => group.answers.push((slot, Err(status))),
                }
            }
        }
    }

    fn crash(&self) {
        if self.commit.crash_by == CrashBy::Abort {
            std::process::abort();
        }
        self.commit.dead.cancel();
    }

    fn resume(&mut self, holders: &[Holder], epoch: u64) -> Resume {
        let mut positions = Vec::with_capacity(holders.len());
        for holder in holders {
            self.epochs.insert(holder.clone(), epoch);
            let lane = holder.lane.number();
            let held = self
                .commit
                .held
                .positions
                .entry(holder.clone())
                .or_default();
            positions.push(held.to_wire(lane));
        }
        Resume {
            positions,
            accepts_ahead: self.commit.accepts_ahead == AcceptsAhead::Yes,
        }
    }

    /// The lane's holder; none if a newer stream has the lane.
    fn holder(&self, from: &Origin, lane: i32) -> Result<Option<Holder>, Status> {
        let lane = u8::try_from(lane).ok().and_then(Lane::from_number);
        let lane = lane
            .filter(|lane| from.lanes.contains(lane))
            .ok_or_else(|| Status::invalid_argument("a lane that Hello did not name"))?;
        let holder = Holder {
            gateway: from.gateway.clone(),
            incarnation: from.incarnation,
            lane,
        };
        let current = self.epochs.get(&holder) == Some(&from.epoch);
        Ok(current.then_some(holder))
    }

    fn place(
        &mut self,
        holder: &Holder,
        first: u64,
        count: u64,
    ) -> Result<Vec<SequenceRange>, Status> {
        let ahead = self.commit.accepts_ahead;
        let position = self
            .commit
            .held
            .positions
            .entry(holder.clone())
            .or_default();
        position
            .take(first, count, ahead)
            .map_err(|fault| match fault {
                Unplaced::Overflow => Status::invalid_argument(fault.to_string()),
                Unplaced::Hole(..) | Unplaced::Ranges => {
                    Status::failed_precondition(fault.to_string())
                }
            })
    }

    fn batch(
        &mut self,
        from: &Origin,
        batch: &RawBatch,
        faults: &Faults,
        group: &mut Group,
    ) -> Result<Option<Receipt>, Status> {
        let Some(holder) = self.holder(from, batch.lane)? else {
            return Ok(None);
        };
        let glimpses = Readings::new(&batch.readings).collect::<Result<Vec<_>, _>>()?;
        if glimpses.len() != batch.count as usize || batch.count == 0 {
            return Err(Status::invalid_argument("count and readings differ"));
        }
        let fresh = self.place(&holder, batch.first, u64::from(batch.count))?;
        let mut sheet = Sheet {
            holder: &holder,
            batch,
            glimpses: &glimpses,
            faults,
            stored_at_ns: self.commit.clock.now().0,
            classes: HashMap::default(),
            refused: Vec::new(),
        };
        for part in fresh {
            sheet.put(part, group);
        }
        let Sheet {
            classes, refused, ..
        } = sheet;
        let stored: u64 = classes.values().sum();
        self.count(&holder, classes, group);
        let again = u64::from(batch.count) - stored - refused.len() as u64;
        group.bytes += batch.readings.len();
        group
            .tally
            .batch(holder.lane, stored, again, batch.readings.len());
        group.tally.refused += refused.len() as u64;
        group.moved.insert(holder.clone());
        if let Some(sample) = glimpses.last() {
            group.tally.sample = Some((holder.lane, Bytes::copy_from_slice(sample.reading)));
        }
        let accepted = self.accepted(&holder, batch.first);
        Ok(Some(Receipt { refused, accepted }))
    }

    fn count<'a>(
        &mut self,
        holder: &Holder,
        classes: impl IntoIterator<Item = (&'a [u8], u64)>,
        group: &mut Group,
    ) {
        let counts = self.commit.held.counts.entry(holder.clone()).or_default();
        for (class, count) in classes {
            match counts.get_mut(class) {
                Some(sum) => *sum += count,
                None => drop(counts.insert(class.to_vec(), count)),
            }
            group.tally.class(class, count);
            group.counted.insert((holder.clone(), class.to_vec()));
        }
    }

    fn gap(
        &mut self,
        from: &Origin,
        gap: &Gap,
        group: &mut Group,
    ) -> Result<Option<Receipt>, Status> {
        let Some(holder) = self.holder(from, gap.lane)? else {
            return Ok(None);
        };
        if gap.count == 0 {
            return Err(Status::invalid_argument("an empty gap"));
        }
        for part in self.place(&holder, gap.first_sequence, gap.count)? {
            let first = part.first.0;
            let kept = Gap {
                first_sequence: first,
                count: part.count(),
                ..gap.clone()
            };
            group
                .write
                .put(key_at(Kind::Gap, &holder, first), kept.encode_to_vec());
            group.tally.gaps.0 += 1;
            group.tally.gaps.1 += part.count();
        }
        group.moved.insert(holder.clone());
        let accepted = self.accepted(&holder, gap.first_sequence);
        Ok(Some(Receipt {
            refused: Vec::new(),
            accepted,
        }))
    }

    /// One transaction: readings, gaps, refusals, positions and counts. Answers leave after it.
    fn write(&mut self, mut group: Group) -> Result<(), StoreError> {
        for holder in &group.moved {
            let Some(position) = self.commit.held.positions.get(holder) else {
                continue;
            };
            let value = position.to_wire(holder.lane.number()).encode_to_vec();
            group.write.put(key(Kind::Position, holder, &[]), value);
        }
        for (holder, class) in &group.counted {
            let counts = self.commit.held.counts.get(holder);
            let count = counts
                .and_then(|counts| counts.get(class))
                .copied()
                .unwrap_or(0);
            group
                .write
                .put(key(Kind::Count, holder, class), count.to_be_bytes());
        }
        if !group.moved.is_empty() {
            self.commit.store.write(group.write)?;
        }
        let positions = &self.commit.held.positions;
        let moved = group
            .moved
            .iter()
            .filter_map(|holder| positions.get_key_value(holder));
        self.commit.view.add(group.tally, moved);
        for (answer, resume) in group.resumes {
            // the stream may be gone already
            drop(answer.send(resume));
        }
        for (slot, answer) in group.answers {
            drop(slot.send(answer));
        }
        Ok(())
    }

    /// What may be said once this message is written. Later messages of the same write are not covered: what is refused
    /// of them has to be told before.
    fn accepted(&self, holder: &Holder, first: u64) -> Accepted {
        let held = self
            .commit
            .held
            .positions
            .get(holder)
            .and_then(|p: &LanePosition| p.around(first));
        let range = held.unwrap_or_default();
        Accepted {
            lane: i32::from(holder.lane.number()),
            first_sequence: range.first.0,
            next_sequence: range.next.0,
        }
    }
}
