//! What streams ask of the commit thread, and one synced write in the making: what it puts down, and who hears of it
//! afterwards.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use rocksdb::WriteBatch;
use tokio::sync::{mpsc, oneshot};
use tonic::Status;

use super::{
    faults::Faults,
    keys::{Holder, Kind, Stored, key_at},
    view::Tally,
    wire::{Glimpse, RawBatch},
};
use crate::{
    domain::{Lane, SequenceRange},
    proto::platform::{Accepted, Gap, Refused, Resume},
};

/// What a stream asks of the commit thread.
#[derive(Debug)]
pub(super) enum Ask {
    /// A new stream: where do its lanes resume?
    Hello {
        holders: Vec<Holder>,
        epoch: u64,
        answer: oneshot::Sender<Resume>,
    },
    /// A message of a stream; the answer goes into the slot that the stream reserved for it.
    Store {
        from: Arc<Origin>,
        message: Body,
        slot: mpsc::OwnedPermit<Answer>,
    },
}

/// A stream as the commit thread knows it.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) gateway: String,
    pub(super) incarnation: [u8; 16],
    pub(super) lanes: Vec<Lane>,
    pub(super) epoch: u64,
}

/// Readings, or why there are none.
#[derive(Debug)]
pub(super) enum Body {
    Batch(RawBatch),
    Gap(Gap),
}

/// What a stream tells its gateway after the write.
pub(super) type Answer = Result<Receipt, Status>;

/// Refusals first, then the acknowledgement that covers them.
#[derive(Debug)]
pub(super) struct Receipt {
    pub(super) refused: Vec<Refused>,
    pub(super) accepted: Accepted,
}

/// A write in the making.
#[derive(Default)]
pub(super) struct Group {
    pub(super) write: WriteBatch,
    pub(super) moved: HashSet<Holder>,
    pub(super) counted: HashSet<(Holder, Vec<u8>)>,
    pub(super) answers: Vec<(mpsc::OwnedPermit<Answer>, Answer)>,
    pub(super) resumes: Vec<(oneshot::Sender<Resume>, Resume)>,
    pub(super) tally: Tally,
    pub(super) bytes: usize,
}

/// One batch on its way into a group.
pub(super) struct Sheet<'a> {
    pub(super) holder: &'a Holder,
    pub(super) batch: &'a RawBatch,
    pub(super) glimpses: &'a [Glimpse<'a>],
    pub(super) faults: &'a Faults,
    pub(super) stored_at_ns: u64,
    pub(super) classes: HashMap<&'a [u8], u64, foldhash::fast::RandomState>,
    pub(super) refused: Vec<Refused>,
}

impl Sheet<'_> {
    /// Puts down a part of the batch that is new.
    pub(super) fn put(&mut self, part: SequenceRange, group: &mut Group) {
        let at = |sequence: u64| usize::try_from(sequence - self.batch.first).unwrap_or(usize::MAX);
        let glimpses = self
            .glimpses
            .get(at(part.first.0)..at(part.next.0))
            .unwrap_or_default();
        let mut run = Run {
            first: part.first.0,
            count: 0,
            bytes: Vec::new(),
        };
        for (sequence, glimpse) in (part.first.0..).zip(glimpses) {
            if let Some(reason) = self.faults.refusal(sequence, glimpse.device, glimpse.class) {
                self.close(&mut run, sequence + 1, group);
                group
                    .write
                    .put(key_at(Kind::Refused, self.holder, sequence), &reason);
                self.refused.push(Refused {
                    lane: self.batch.lane,
                    sequence,
                    reason,
                });
                continue;
            }
            run.count += 1;
            run.bytes.extend_from_slice(glimpse.entry);
            *self.classes.entry(glimpse.class).or_default() += 1;
            group.tally.latency(glimpse, sequence, self.stored_at_ns);
        }
        self.close(&mut run, part.next.0, group);
    }

    /// Puts the run down; the next begins at `next`.
    fn close(&self, run: &mut Run, next: u64, group: &mut Group) {
        if run.count > 0 {
            let stored = Stored {
                backlog: self.batch.backlog,
                count: run.count,
                stored_at_ns: self.stored_at_ns,
                readings: &run.bytes,
            };
            group
                .write
                .put(key_at(Kind::Batch, self.holder, run.first), stored.encode());
        }
        run.bytes.clear();
        run.count = 0;
        run.first = next;
    }
}

/// Consecutive readings on their way to one record.
struct Run {
    first: u64,
    count: u32,
    bytes: Vec<u8>,
}
