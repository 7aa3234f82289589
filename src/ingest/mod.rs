//! From a publish to readings in the spool's open group, with the receipt of whoever is owed the acknowledgement.
//!
//! Runs on the connection's task and never waits: a topic is read, rights are checked, the payload is normalised into
//! a scratch buffer of the worker, and its bytes are appended to the open group. What cannot be read goes to
//! quarantine the same way. It knows neither sockets nor disks.

mod metrics;
mod topic;

pub use metrics::METRICS;

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use bytestring::ByteString;

use self::{
    metrics::{ClassCounters, IngestMetrics},
    topic::{Topic, TopicFault},
};
use crate::{
    broker::{Inbound, Inlet, Offer, Receipt, Refusal},
    config::NormaliseConfig,
    domain::{Clock, Lane, QuarantineReason, Settle, UnixNanos},
    normalise::{Class, Classes, Encoded, Limits, Payload, Reject, normalise},
    spool::{QuarantineEntry, Readings, SpoolInlet, Unplaced},
};

/// Lane of a payload whose class the gateway does not know: it only ever stands in quarantine.
const LANE_OF_UNKNOWN_CLASS: Lane = Lane::Telemetry;

/// Beyond this a worker's scratch buffer is given back after the payload that needed it.
const SCRATCH_BYTES_KEPT: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Encoded> = RefCell::new(Encoded::default());
}

/// The classes in force with what is counted for each.
#[derive(Debug)]
struct Catalogue {
    classes: Arc<Classes>,
    counters: ClassCounters,
}

/// The broker's inlet for readings.
#[derive(Debug)]
pub struct Ingest<R: Settle = Receipt> {
    catalogue: ArcSwap<Catalogue>,
    limits: Limits,
    spool: SpoolInlet<R>,
    clock: Arc<dyn Clock>,
    metrics: IngestMetrics,
    taken: AtomicU64,
}

impl<R: Settle> Ingest<R> {
    /// An inlet that normalises by `classes` and appends to `spool`.
    #[must_use]
    pub fn new(
        config: &NormaliseConfig,
        classes: Arc<Classes>,
        spool: SpoolInlet<R>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            catalogue: ArcSwap::from_pointee(Catalogue::new(classes)),
            limits: Limits::from(config),
            spool,
            clock,
            metrics: IngestMetrics::new(),
            taken: AtomicU64::new(0),
        }
    }

    /// Puts other classes in force; publishes under way finish with those they started with.
    pub fn replace_classes(&self, classes: Arc<Classes>) {
        self.catalogue.store(Arc::new(Catalogue::new(classes)));
    }

    /// How many classes are in force.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.catalogue.load().classes.len()
    }

    /// Readings taken since the start, for the status line.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    fn place(&self, source: &Source<'_>, receipt: Option<R>) -> Result<(), Unplaced<R>> {
        let catalogue = self.catalogue.load();
        let Some(class) = catalogue.classes.get(source.topic.class) else {
            let reject = Reject {
                reason: QuarantineReason::UnknownClass,
                detail: format!("class {:?} is not in the catalogue", source.topic.class),
            };
            return self.quarantine(source, LANE_OF_UNKNOWN_CLASS, &reject, receipt);
        };
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.clear();
            let placed = match self.normalise(class, source, scratch) {
                Ok(()) => self.append(&catalogue, class, scratch, receipt),
                Err(reject) => self.quarantine(source, class.lane(), &reject, receipt),
            };
            if scratch.bytes.capacity() > SCRATCH_BYTES_KEPT {
                scratch.bytes = Vec::new();
            }
            placed
        })
    }

    fn normalise(
        &self,
        class: &Class,
        source: &Source<'_>,
        scratch: &mut Encoded,
    ) -> Result<(), Reject> {
        let attributes: Vec<(&str, &str)> = source
            .user_properties
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        let payload = Payload {
            device: source.topic.device,
            format: source.topic.format,
            bytes: source.payload,
            received_at: source.received_at,
            attributes: &attributes,
        };
        normalise(class, &payload, &self.limits, scratch)
    }

    fn append(
        &self,
        catalogue: &Catalogue,
        class: &Class,
        encoded: &Encoded,
        receipt: Option<R>,
    ) -> Result<(), Unplaced<R>> {
        let readings = Readings {
            bytes: &encoded.bytes,
            count: encoded.count,
        };
        self.spool.append(class.lane(), readings, receipt)?;
        self.taken
            .fetch_add(u64::from(encoded.count), Ordering::Relaxed);
        catalogue.counters.received(class.index(), encoded.count);
        self.metrics.flagged(encoded);
        Ok(())
    }

    fn quarantine(
        &self,
        source: &Source<'_>,
        lane: Lane,
        reject: &Reject,
        receipt: Option<R>,
    ) -> Result<(), Unplaced<R>> {
        let entry = QuarantineEntry {
            lane,
            reason: reject.reason,
            class: source.topic.class,
            device: source.topic.device,
            topic: source.topic.text,
            detail: &reject.detail,
            received_at: source.received_at,
            payload: source.payload,
        };
        self.spool.quarantine(entry, receipt)?;
        self.metrics.quarantined(reject.reason);
        tracing::debug!(
            topic = source.topic.text,
            reason = %reject.reason,
            detail = reject.detail,
            "payload quarantined"
        );
        Ok(())
    }
}

impl Inlet for Ingest<Receipt> {
    fn offer(&self, publish: Inbound<'_>, receipt: Option<Receipt>) -> Offer {
        let topic = match Topic::parse(publish.topic) {
            Ok(topic) => topic,
            Err(TopicFault::NotIngest) => return Offer::Ordinary(receipt),
            Err(TopicFault::Invalid) => return self.refuse(receipt, Refusal::TopicInvalid),
        };
        let source = Source {
            topic,
            payload: publish.payload,
            user_properties: publish.user_properties,
            received_at: self.clock.now(),
        };
        match self.place(&source, receipt) {
            Ok(()) => Offer::Owed,
            Err(Unplaced::Busy(receipt) | Unplaced::Closed(receipt)) => Offer::Busy(receipt),
            Err(Unplaced::LaneFull(receipt)) => self.refuse(receipt, Refusal::QuotaExceeded),
        }
    }

    async fn room(&self) {
        self.spool.room().await;
    }
}

impl Ingest<Receipt> {
    fn refuse(&self, receipt: Option<Receipt>, refusal: Refusal) -> Offer {
        self.metrics.refused(refusal);
        Offer::Refused(receipt, refusal)
    }
}

/// A publish on a topic of ingest.
struct Source<'a> {
    topic: Topic<'a>,
    payload: &'a [u8],
    user_properties: &'a [(ByteString, ByteString)],
    received_at: UnixNanos,
}

impl Catalogue {
    fn new(classes: Arc<Classes>) -> Self {
        let counters = ClassCounters::new(&classes);
        Self { classes, counters }
    }
}
