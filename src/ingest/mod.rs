//! From a publish to readings in the spool's open group, with the receipt of whoever is owed the acknowledgement.
//!
//! Runs on the connection's task and never waits: a topic is read, rights are checked, the payload is normalised into
//! a scratch buffer of the worker, and its bytes are appended to the open group. What cannot be read goes to
//! quarantine the same way. It knows neither sockets nor disks.

mod metrics;
mod topic;
mod replay;
mod source;
mod catalogue;

pub use metrics::METRICS;
pub use replay::{Replay, Trust};

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use self::{
    catalogue::{Catalogue, class_label},
    metrics::IngestMetrics,
    source::{Source, replying},
    topic::{Form, Topic, TopicFault},
};
use crate::{
    broker::{Inbound, Inlet, Offer, Receipt, Refusal},
    config::NormaliseConfig,
    domain::{Clock, Lane, QuarantineReason},
    normalise::{
        Class, Classes, Encoded, Limits, Memory, Payload, PayloadFormat, Profile, ProfileOutcome,
        Profiles, Reject, Report, Saying, normalise,
    },
    spool::{Parcel, QuarantineEntry, Readings, SpoolInlet, Unplaced},
};
use arc_swap::ArcSwap;

/// Lane of a payload whose class the gateway does not know: it only ever stands in quarantine.
const LANE_OF_UNKNOWN_CLASS: Lane = Lane::Telemetry;

/// Beyond this a worker's scratch buffer is given back after the payload that needed it.
const SCRATCH_BYTES_KEPT: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Encoded> = RefCell::new(Encoded::default());
}

/// The broker's inlet for readings.
#[derive(Debug)]
pub struct Ingest {
    catalogue: ArcSwap<Catalogue>,
    limits: Limits,
    memory: Memory,
    spool: SpoolInlet<Receipt>,
    clock: Arc<dyn Clock>,
    metrics: IngestMetrics,
    taken: AtomicU64,
}

impl Ingest {
    /// An inlet that normalises by classes and profiles and appends to `spool`.
    #[must_use]
    pub fn new(
        config: &NormaliseConfig,
        (classes, profiles): (Arc<Classes>, Arc<Profiles>),
        spool: SpoolInlet<Receipt>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            catalogue: ArcSwap::from_pointee(Catalogue::new(classes, profiles)),
            limits: Limits::from(config),
            memory: Memory::new(config.memory),
            spool,
            clock,
            metrics: IngestMetrics::new(),
            taken: AtomicU64::new(0),
        }
    }

    /// Puts other classes and profiles in force; publishes under way finish with those they started with.
    pub fn replace(&self, classes: Arc<Classes>, profiles: Arc<Profiles>) {
        self.catalogue
            .store(Arc::new(Catalogue::new(classes, profiles)));
        metrics::reloaded("in_force");
    }

    /// Others were to be put in force and are wrong: those in force stay.
    pub fn keep_in_force(&self) {
        metrics::reloaded("refused");
    }

    /// The classes and profiles in force.
    #[must_use]
    pub fn in_force(&self) -> (Arc<Classes>, Arc<Profiles>) {
        let catalogue = self.catalogue.load();
        (
            Arc::clone(&catalogue.classes),
            Arc::clone(&catalogue.profiles),
        )
    }

    /// How many profiles are in force.
    #[must_use]
    pub fn profiles(&self) -> usize {
        self.catalogue.load().profiles.len()
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

    fn place(
        &self,
        source: &Source<'_>,
        receipt: Option<Receipt>,
    ) -> Result<(), Unplaced<Receipt>> {
        let catalogue = self.catalogue.load();
        let topic = match source.topic {
            Some(topic) => topic,
            None => match catalogue.profiles.of_topic(source.text) {
                Some(profile) => return self.place_by(&catalogue, profile, source, receipt),
                None => return self.without_profile(source, "the topic", receipt),
            },
        };
        let format = match topic.form {
            Form::Canonical(format) => format,
            Form::Profile(id) => match catalogue.profiles.get(id) {
                Some(profile) => return self.place_by(&catalogue, profile, source, receipt),
                None => return self.without_profile(source, id, receipt),
            },
        };
        let Some(class) = catalogue.classes.get(topic.class) else {
            let reject = Reject {
                reason: QuarantineReason::UnknownClass,
                detail: format!("class {:?} is not in the catalogue", topic.class),
            };
            return self.quarantine(source, LANE_OF_UNKNOWN_CLASS, &reject, receipt);
        };
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.clear();
            let read = self.normalise(class, (topic.device, format), source, scratch);
            let placed = match read {
                Ok(()) => {
                    let parcel = Parcel {
                        suppressed: scratch.suppressed,
                        ..Parcel::default()
                    };
                    self.append(&catalogue, scratch, parcel, receipt)
                        .inspect_err(|_| scratch.forget(&self.memory))
                }
                Err(reject) => {
                    scratch.forget(&self.memory);
                    self.quarantine(source, class.lane(), &reject, receipt)
                }
            };
            scratch.relax(SCRATCH_BYTES_KEPT);
            placed
        })
    }

    fn without_profile(
        &self,
        source: &Source<'_>,
        what: &str,
        receipt: Option<Receipt>,
    ) -> Result<(), Unplaced<Receipt>> {
        let reject = Reject {
            reason: QuarantineReason::NoProfile,
            detail: format!("there is no profile for {what:?}"),
        };
        self.quarantine(source, LANE_OF_UNKNOWN_CLASS, &reject, receipt)
    }

    fn place_by(
        &self,
        catalogue: &Catalogue,
        profile: &Profile,
        source: &Source<'_>,
        receipt: Option<Receipt>,
    ) -> Result<(), Unplaced<Receipt>> {
        let attributes = source.attributes();
        let may_report = |class: &str, device: &str| source.sender.may_report(class, device);
        let sender = source.sender.device();
        let report = Report {
            topic: source.text,
            canonical: source.topic.map(|topic| (topic.class, topic.device)),
            publisher: sender.map(|device| (device.class(), device.device())),
            bytes: source.payload,
            received_at: source.received_at,
            attributes: &attributes,
            memory: Some(&self.memory),
            may_report: &may_report,
        };
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.clear();
            let classes = (&*catalogue.classes, &self.limits);
            let mut outcome = profile.read(&report, classes, scratch);
            for Saying { topic, payload } in &outcome.says {
                source.sender.say(topic, payload.clone());
            }
            let receipt = match outcome.reply.take() {
                None => receipt,
                Some(reply) => Some(replying(source, receipt, reply)),
            };
            let placed =
                self.append_read((catalogue, profile), source, (scratch, &outcome), receipt);
            match &placed {
                Ok(()) => {
                    self.metrics.read_by_profile(&outcome);
                    outcome.keep_pieces(profile, &report);
                }
                Err(_) => {
                    scratch.forget(&self.memory);
                    outcome.return_pieces(profile, &report);
                }
            }
            if outcome.had_pieces() {
                self.metrics.waiting(self.memory.waiting());
            }
            scratch.relax(SCRATCH_BYTES_KEPT);
            placed
        })
    }

    /// Appends what a profile read, and what it could not read.
    fn append_read(
        &self,
        (catalogue, profile): (&Catalogue, &Profile),
        source: &Source<'_>,
        (scratch, outcome): (&Encoded, &ProfileOutcome),
        receipt: Option<Receipt>,
    ) -> Result<(), Unplaced<Receipt>> {
        let (class, device) = source.names();
        let lane = profile.lane(&catalogue.classes);
        let class = profile.first_class(&catalogue.classes).unwrap_or(class);
        let client = if outcome.unread.is_empty() {
            String::new()
        } else {
            source.sender.name()
        };
        let mut entries = Vec::with_capacity(outcome.unread.len());
        for unread in &outcome.unread {
            entries.push(QuarantineEntry {
                lane,
                reason: unread.reject.reason,
                class,
                device,
                topic: source.text,
                detail: &unread.reject.detail,
                client: &client,
                received_at: source.received_at,
                payload: source.payload.get(unread.range.clone()).unwrap_or_default(),
                piece: unread.piece,
            });
        }
        let parcel = Parcel {
            entries: &entries,
            suppressed: scratch.suppressed,
            joined: &outcome.joined,
        };
        self.append(catalogue, scratch, parcel, receipt)?;
        for unread in &outcome.unread {
            let label = class_label(catalogue, class);
            self.metrics.quarantined(label, unread.reject.reason);
        }
        Ok(())
    }

    fn normalise(
        &self,
        class: &Class,
        (device, format): (&str, PayloadFormat),
        source: &Source<'_>,
        scratch: &mut Encoded,
    ) -> Result<(), Reject> {
        let attributes = source.attributes();
        let payload = Payload {
            device,
            format,
            bytes: source.payload,
            received_at: source.received_at,
            attributes: &attributes,
            memory: Some(&self.memory),
        };
        normalise(class, &payload, &self.limits, scratch)
    }

    fn append(
        &self,
        catalogue: &Catalogue,
        encoded: &Encoded,
        parcel: Parcel<'_>,
        receipt: Option<Receipt>,
    ) -> Result<(), Unplaced<Receipt>> {
        let runs = encoded.runs.iter().scan(0, |start, run| {
            let bytes = encoded.bytes.get(*start..run.end).unwrap_or_default();
            *start = run.end;
            let count = run.count;
            Some((run.lane, Readings { bytes, count }))
        });
        self.spool.place(runs, parcel, receipt)?;
        self.taken
            .fetch_add(u64::from(encoded.count), Ordering::Relaxed);
        for run in &encoded.runs {
            catalogue.counters.received(run.class, run.count);
        }
        self.metrics.flagged(encoded);
        Ok(())
    }

    fn quarantine(
        &self,
        source: &Source<'_>,
        lane: Lane,
        reject: &Reject,
        receipt: Option<Receipt>,
    ) -> Result<(), Unplaced<Receipt>> {
        let (class, device) = source.names();
        let client = source.sender.name();
        let entry = QuarantineEntry {
            lane,
            reason: reject.reason,
            class,
            device,
            topic: source.text,
            detail: &reject.detail,
            client: &client,
            received_at: source.received_at,
            payload: source.payload,
            piece: None,
        };
        self.spool.quarantine(entry, receipt)?;
        let catalogue = self.catalogue.load();
        self.metrics
            .quarantined(class_label(&catalogue, class), reject.reason);
        tracing::debug!(
            topic = source.text,
            reason = %reject.reason,
            detail = reject.detail,
            "payload quarantined"
        );
        Ok(())
    }
}

impl Inlet for Ingest {
    fn offer(&self, publish: Inbound<'_>, receipt: Option<Receipt>) -> Offer {
        let topic = match Topic::parse(publish.topic) {
            Ok(topic) => Some(topic),
            Err(TopicFault::NotIngest) if self.is_for_reports(publish.topic) => None,
            Err(TopicFault::NotIngest) => return Offer::Ordinary(receipt),
            Err(TopicFault::Invalid) => return self.refuse(receipt, Refusal::TopicInvalid),
        };
        let source = Source {
            text: publish.topic,
            topic,
            sender: publish.sender,
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

    fn is_for_reports(&self, topic: &str) -> bool {
        self.catalogue.load().profiles.of_topic(topic).is_some()
    }

    async fn room(&self) {
        self.spool.room().await;
    }
}

impl Ingest {
    fn refuse(&self, receipt: Option<Receipt>, refusal: Refusal) -> Offer {
        self.metrics.refused(refusal);
        Offer::Refused(receipt, refusal)
    }
}
