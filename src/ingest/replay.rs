//! A quarantine entry read once more, by the classes and profiles of today: the same two paths that a publish takes,
//! without a connection.
//!
//! - The time is that of the first receipt, and the readings carry the attribute `replayed = "true"`. What the transport
//!   knew besides (MQTT user properties) is not kept in quarantine.
//! - Nothing is remembered: what is days late neither raises nor clears an alarm, is not left out because it says nothing
//!   new, and asks no device for anything.
//! - Who may report for whom was not always asked when the payload came: it could not be read. So it is asked now, of
//!   what the entry tells: a sender speaks for the device of its topic and for itself. For more an operator has to
//!   [vouch](Trust::Vouched): else a payload could lie in quarantine until somebody mends a profile, and then speak for
//!   a device that its sender has no right to speak for.
//! - A reading that the platform refused is sent again as it is: the payload that it came from is gone.

use std::sync::Arc;

use super::topic::{Form, Topic};
use crate::{
    config::NormaliseConfig,
    domain::{LaneMap, QuarantineReason},
    normalise::{
        Classes, Encoded, Limits, Payload, Profile, Profiles, Reject, Report, normalise,
        with_attribute,
    },
    spool::{QuarantineEntry, Quarantined, Replayed},
};

/// The mark of a replayed reading.
const MARK: (&str, &str) = ("replayed", "true");

/// For whom a sender is believed to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// For the device of its topic and for itself.
    Own,
    /// For whichever device its payload names: an operator says so.
    Vouched,
}

/// Reads entries again.
#[derive(Debug)]
pub struct Replay {
    classes: Arc<Classes>,
    profiles: Arc<Profiles>,
    limits: Limits,
    trust: Trust,
    scratch: Encoded,
}

impl Replay {
    /// By these classes and profiles.
    #[must_use]
    pub fn new(
        config: &NormaliseConfig,
        (classes, profiles): (Arc<Classes>, Arc<Profiles>),
        trust: Trust,
    ) -> Self {
        Self {
            classes,
            profiles,
            limits: Limits::from(config),
            trust,
            scratch: Encoded::default(),
        }
    }

    /// What comes of an entry now.
    ///
    /// # Errors
    /// Nothing of it can be read, still; with today's reason.
    pub fn read(&mut self, entry: &Quarantined) -> Result<Replayed, Reject> {
        if entry.encoded {
            return again(entry);
        }
        self.scratch.clear();
        let topic = Topic::parse(&entry.topic).ok();
        let profile = match topic.map(|topic| topic.form) {
            Some(Form::Canonical(_)) => None,
            Some(Form::Profile(id)) => Some((self.profiles.get(id), id)),
            None => Some((self.profiles.of_topic(&entry.topic), "the topic")),
        };
        match (profile, topic) {
            (Some((Some(profile), _)), _) => {
                let profile = profile.clone();
                self.by_profile(&profile, entry, topic)
            }
            (Some((None, what)), _) => Err(Reject {
                reason: QuarantineReason::NoProfile,
                detail: format!("there is no profile for {what:?}"),
            }),
            (None, Some(topic)) => self.canonical(entry, &topic),
            (None, None) => Ok(Replayed::default()),
        }
    }

    fn canonical(&mut self, entry: &Quarantined, topic: &Topic<'_>) -> Result<Replayed, Reject> {
        let class = self.classes.get(topic.class).ok_or_else(|| Reject {
            reason: QuarantineReason::UnknownClass,
            detail: format!("class {:?} is not in the catalogue", topic.class),
        })?;
        let Form::Canonical(format) = topic.form else {
            return Ok(Replayed::default());
        };
        let payload = Payload {
            device: topic.device,
            format,
            bytes: &entry.payload,
            received_at: entry.received_at,
            memory: None,
            attributes: &[MARK],
        };
        normalise(class, &payload, &self.limits, &mut self.scratch)?;
        Ok(taken(&self.scratch))
    }

    fn by_profile(
        &mut self,
        profile: &Profile,
        entry: &Quarantined,
        topic: Option<Topic<'_>>,
    ) -> Result<Replayed, Reject> {
        let publisher = entry.client.split_once('/');
        let canonical = topic.map(|topic| (topic.class, topic.device));
        let trust = self.trust;
        let may_report = |class: &str, device: &str| {
            let wanted = Some((class, device));
            trust == Trust::Vouched || canonical == wanted || publisher == wanted
        };
        let report = Report {
            topic: &entry.topic,
            canonical,
            publisher,
            bytes: &entry.payload,
            received_at: entry.received_at,
            attributes: &[MARK],
            memory: None,
            may_report: &may_report,
        };
        let outcome = profile.read(&report, (&self.classes, &self.limits), &mut self.scratch);
        let mut unread = outcome.unread.into_iter();
        let mut replayed = taken(&self.scratch);
        if replayed.readings() == 0
            && let Some(first) = unread.next()
        {
            return Err(first.reject);
        }
        for part in unread {
            replayed.keep(&QuarantineEntry {
                lane: profile.lane(&self.classes),
                reason: part.reject.reason,
                class: profile.first_class(&self.classes).unwrap_or(&entry.class),
                device: &entry.device,
                topic: &entry.topic,
                detail: &part.reject.detail,
                client: &entry.client,
                received_at: entry.received_at,
                payload: entry.payload.get(part.range).unwrap_or_default(),
                piece: None,
            });
        }
        Ok(replayed)
    }
}

fn taken(encoded: &Encoded) -> Replayed {
    let mut start = 0;
    let runs = encoded.runs.iter().map(|run| {
        let bytes = encoded.bytes.get(start..run.end).unwrap_or_default();
        start = run.end;
        (run.lane, bytes.to_vec(), run.count)
    });
    Replayed::new(runs.collect(), encoded.suppressed)
}

/// A refused reading as it was, marked.
fn again(entry: &Quarantined) -> Result<Replayed, Reject> {
    let bytes = with_attribute(&entry.payload, MARK)?;
    Ok(Replayed::new(
        vec![(entry.lane, bytes, 1)],
        LaneMap::default(),
    ))
}
