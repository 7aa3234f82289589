//! The writer thread: the one place where an acknowledgement is born.
//!
//! ```text
//!        ┌──────────────── bell: a group has begun, or a reader left word ─────────────┐
//!        ▼                                                                             │
//! take the open group ─▶ compress, place ─▶ one synced write ─▶ show to readers ─▶ settle receipts
//! ```
//! It commits whatever is there as soon as it is idle. Under load it lets a group grow for as long as it grows, 5 ms at
//! most (docs/decisions/0006). Receipts are settled in order of arrival, after the write has returned, and
//! nowhere else. A disk that takes no writes stops this loop, so that nothing is acknowledged, and it goes on by itself
//! once the disk does.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{
    desk::{Desk, GaveUp},
    error::SpoolError,
    group::Group,
    health::SpoolHealth,
    intake::Intake,
    ranges::RangeSet,
    shared::{LaneInbox, Shared},
};
use crate::domain::{Lane, LaneMap, Settle};

/// From so many payloads in the open group on the gateway is under load, and up to so many it is worth gathering more.
const GATHER_FROM: usize = 16;
const GATHER_ENOUGH: usize = 256;
/// How often a gathering writer looks whether the group still grows; a step in which fewer payloads come in ends it.
const GATHER_STEP: Duration = Duration::from_micros(500);
const GATHER_GROWTH_MIN: usize = 8;
/// Longest gathering, in steps: 5 ms.
const GATHER_STEPS_MAX: usize = 10;
/// How often gauges are brought up to date while nothing happens.
const IDLE_INTERVAL: Duration = Duration::from_secs(1);

/// The writer before its thread runs.
#[derive(Debug)]
pub struct SpoolWriter<R> {
    intake: Arc<Intake<R>>,
    shared: Arc<Shared>,
    desk: Desk,
}

impl<R: Settle> SpoolWriter<R> {
    pub(super) fn new(intake: Arc<Intake<R>>, shared: Arc<Shared>, desk: Desk) -> Self {
        intake.stored(desk.stored());
        Self {
            intake,
            shared,
            desk,
        }
    }

    /// Starts the thread `spool-writer`.
    ///
    /// # Errors
    /// The system makes no thread.
    pub fn start(self) -> Result<RunningWriter<R>, SpoolError> {
        let intake = Arc::clone(&self.intake);
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new()
            .name("spool-writer".to_owned())
            .spawn(move || self.run())
            .map_err(|source| SpoolError::Start {
                what: "the writer thread",
                source,
            })?;
        Ok(RunningWriter {
            intake,
            shared,
            thread,
        })
    }

    fn run(mut self) -> Result<(), SpoolError> {
        let _ended = self.shared.health.until_ended();
        let mut group = Group::new();
        loop {
            self.shared.bell.wait(IDLE_INTERVAL);
            self.gather();
            // Asked first: what is put in before the closing is taken by this round or by the next.
            let closed = self.intake.is_closed();
            let inbox = self.shared.take_inbox();
            self.intake.take(&mut group);
            let idle = group.is_empty() && inbox.iter().all(|(_, left)| left.is_empty());
            if let Err(GaveUp(cause)) = self.round(&mut group, inbox) {
                let receipts = group.receipts.len();
                return Err(SpoolError::Unsettled { receipts, cause });
            }
            if closed && idle {
                self.desk.leave_orders();
                break;
            }
            if closed {
                self.shared.bell.ring();
            }
        }
        self.desk
            .settle_disk()
            .map_err(|GaveUp(cause)| SpoolError::Unsettled { receipts: 0, cause })
    }

    /// Under load, lets the group grow while it does: a commit has a price of its own (a sync, a write, a context switch
    /// for each side). When idle it returns at once.
    fn gather(&self) {
        let worth = GATHER_FROM..GATHER_ENOUGH;
        let waiting = self.intake.waiting();
        let Some(mut seen) = waiting.filter(|waiting| worth.contains(waiting)) else {
            return;
        };
        for _ in 0..GATHER_STEPS_MAX {
            thread::sleep(GATHER_STEP);
            let grown = seen + GATHER_GROWTH_MIN..GATHER_ENOUGH;
            match self.intake.waiting() {
                Some(waiting) if grown.contains(&waiting) => seen = waiting,
                _ => return,
            }
        }
    }

    fn round(&mut self, group: &mut Group<R>, mut inbox: LaneMap<LaneInbox>) -> Result<(), GaveUp> {
        for lane in Lane::ALL {
            self.desk.tend(lane, &mut inbox[lane])?;
        }
        let told: LaneMap<RangeSet> =
            LaneMap::from_fn(|lane| std::mem::take(&mut inbox[lane].delivered));
        let something =
            !group.contents.is_empty() || told.iter().any(|(_, ranges)| !ranges.is_empty());
        if something {
            self.desk.commit(&mut group.contents, &told)?;
            self.intake.stored(self.desk.stored());
        }
        for (receipt, outcome) in group.receipts.drain(..) {
            receipt.settle(outcome);
        }
        group.clear();
        self.intake.settled();
        let released = self.desk.carry_out()?;
        if something || released {
            self.desk.make_room()?;
            self.desk.tidy();
        }
        self.intake.stored(self.desk.stored());
        self.desk.observe();
        Ok(())
    }
}

/// The running writer.
#[derive(Debug)]
pub struct RunningWriter<R> {
    intake: Arc<Intake<R>>,
    shared: Arc<Shared>,
    thread: JoinHandle<Result<(), SpoolError>>,
}

impl<R: Settle> RunningWriter<R> {
    /// Tells whether the spool can acknowledge.
    #[must_use]
    pub fn health(&self) -> SpoolHealth {
        SpoolHealth::new(Arc::clone(&self.shared))
    }

    /// Resolves when all that was appended is durable and every receipt is settled; not while the disk takes no writes.
    pub async fn drained(&self) {
        self.intake.drained().await;
    }

    /// Takes no more, commits what is there, syncs, settles every receipt and joins the thread. Blocks on the disk.
    ///
    /// # Errors
    /// The disk took no writes, so receipts were dropped unsettled; or the thread had panicked.
    pub fn close(self) -> Result<(), SpoolError> {
        self.shared.health.close();
        self.intake.close();
        self.thread.join().unwrap_or(Err(SpoolError::Panicked))
    }
}
