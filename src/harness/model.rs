//! What a platform must hold at the end: every reading that was acknowledged exactly once. The model is exact and
//! small: a reading is a bit.
//!
//! A simulated device numbers its readings and hides the number below the millisecond of their observed time
//! (`observed_at_ns = whole milliseconds + serial`, so a serial ends at 999,999 and the time stays true to the
//! millisecond); a replaying device's serial is the place of the time in its series. So a stored reading names its
//! bit. A publish whose connection ended before its acknowledgement is in doubt: it may be stored once or not at all;
//! one that was sent again may be stored as often as it was sent, as MQTT's "at least once" says.
//!
//! A device whose format cuts its times down to seconds or minutes, has none, or makes several readings of a payload
//! names no bit: of such a device the readings are counted.

use std::{collections::HashMap, fmt};

use super::devices::{Role, Roster};

/// Serials of one device end here.
pub const SERIALS_MAX: u32 = 1_000_000;
/// Examples kept of each kind of fault.
const EXAMPLES_MAX: usize = 8;

/// A set of serials, a bit each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Bits(Vec<u64>);

impl Bits {
    /// Adds a serial; false if it was there.
    fn insert(&mut self, serial: u32) -> bool {
        let (word, mask) = split(serial);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0.get_mut(word).is_some_and(|bits| {
            let fresh = *bits & mask == 0;
            *bits |= mask;
            fresh
        })
    }

    fn contains(&self, serial: u32) -> bool {
        let (word, mask) = split(serial);
        self.0.get(word).is_some_and(|bits| bits & mask != 0)
    }

    fn count(&self) -> u64 {
        self.0.iter().map(|bits| u64::from(bits.count_ones())).sum()
    }

    fn missing_from<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = u32> + 'a {
        (0_u32..).zip(&self.0).flat_map(move |(word, bits)| {
            let held = usize::try_from(word)
                .ok()
                .and_then(|word| other.0.get(word))
                .copied()
                .unwrap_or(0);
            let lacking = bits & !held;
            (0..64_u32)
                .filter(move |bit| lacking >> bit & 1 == 1)
                .map(move |bit| word * 64 + bit)
        })
    }
}

fn split(serial: u32) -> (usize, u64) {
    (
        usize::try_from(serial / 64).unwrap_or(usize::MAX),
        1 << (serial % 64),
    )
}

#[derive(Debug, Clone, Default)]
struct DeviceModel {
    acked: Bits,
    doubtful: Bits,
    repeated: Bits,
}

/// What every device of a roster was promised.
#[derive(Debug, Clone)]
pub struct Model {
    devices: Vec<DeviceModel>,
}

impl Model {
    /// A model of so many devices, nothing sent.
    #[must_use]
    pub fn new(devices: usize) -> Self {
        Self {
            devices: vec![DeviceModel::default(); devices],
        }
    }

    /// The gateway acknowledged a reading as durable.
    pub fn acknowledged(&mut self, device: usize, serial: u32) {
        self.with(device, |d| d.acked.insert(serial));
    }

    /// The connection ended before a reading was acknowledged, or it was sent at `QoS` 0.
    pub fn in_doubt(&mut self, device: usize, serial: u32) {
        self.with(device, |d| d.doubtful.insert(serial));
    }

    /// A reading was sent again.
    pub fn sent_again(&mut self, device: usize, serial: u32) {
        self.with(device, |d| d.repeated.insert(serial));
    }

    fn with(&mut self, device: usize, change: impl FnOnce(&mut DeviceModel) -> bool) {
        if let Some(device) = self.devices.get_mut(device) {
            change(device);
        }
    }

    /// Readings acknowledged, all devices.
    #[must_use]
    pub fn acknowledged_count(&self) -> u64 {
        self.devices.iter().map(|d| d.acked.count()).sum()
    }
}

/// The comparison of a model with what a platform holds; stored readings are told one by one.
#[derive(Debug)]
pub struct Audit<'a> {
    roster: &'a Roster,
    model: &'a Model,
    places: HashMap<(&'a str, &'a str), usize>,
    stored: Vec<Bits>,
    /// Readings of devices that are counted only.
    counted: Vec<u64>,
    verdict: Verdict,
}

/// What an audit found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Readings acknowledged to devices.
    pub acknowledged: u64,
    /// Different readings of those devices that the platform holds.
    pub stored: u64,
    /// Acknowledged and not stored.
    pub missing: u64,
    /// Stored a second time though sent once.
    pub doubled: u64,
    /// Stored again because they were sent again before their acknowledgement arrived.
    pub repeated: u64,
    /// Stored and never acknowledged, their connection having ended first.
    pub doubtful_stored: u64,
    /// Stored and never sent.
    pub unknown: u64,
    /// Some of the faults, for people.
    pub examples: Vec<String>,
}

impl Verdict {
    /// Whether everything acknowledged is stored exactly once, and nothing that was never sent.
    #[must_use]
    pub const fn holds(&self) -> bool {
        self.missing == 0 && self.doubled == 0 && self.unknown == 0
    }

    fn example(&mut self, text: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(text());
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} acknowledged, {} stored: {} missing, {} doubled, {} unknown ({} in doubt were stored, {} repeats of sent again)",
            self.acknowledged,
            self.stored,
            self.missing,
            self.doubled,
            self.unknown,
            self.doubtful_stored,
            self.repeated
        )?;
        for example in &self.examples {
            write!(f, "\n  {example}")?;
        }
        Ok(())
    }
}

impl<'a> Audit<'a> {
    /// Opens an audit.
    #[must_use]
    pub fn new(roster: &'a Roster, model: &'a Model) -> Self {
        let places = roster
            .members
            .iter()
            .enumerate()
            .map(|(place, m)| ((roster.class_of(m), m.device.as_str()), place))
            .collect();
        Self {
            roster,
            model,
            places,
            stored: vec![Bits::default(); roster.members.len()],
            counted: vec![0; roster.members.len()],
            verdict: Verdict::default(),
        }
    }

    /// The platform holds this reading, once; called again if it holds it twice.
    pub fn stored(&mut self, class: &str, device: &str, observed_at_ns: u64) {
        let Some(&place) = self.places.get(&(class, device)) else {
            self.verdict.unknown += 1;
            self.verdict
                .example(|| format!("unknown device {class}/{device}"));
            return;
        };
        if self.is_counted(place).is_some() {
            if let Some(count) = self.counted.get_mut(place) {
                *count += 1;
            }
            return;
        }
        let serial = self.serial(place, observed_at_ns);
        let known = self.model.devices.get(place).zip(serial);
        let Some((promised, serial)) = known.filter(|(promised, serial)| {
            promised.acked.contains(*serial) || promised.doubtful.contains(*serial)
        }) else {
            self.verdict.unknown += 1;
            self.verdict
                .example(|| format!("never sent: {class}/{device} at {observed_at_ns}"));
            return;
        };
        let fresh = self.stored.get_mut(place).is_some_and(|s| s.insert(serial));
        if fresh {
            self.verdict.stored += 1;
            self.verdict.doubtful_stored += u64::from(!promised.acked.contains(serial));
        } else if promised.repeated.contains(serial) {
            self.verdict.repeated += 1;
        } else {
            self.verdict.doubled += 1;
            self.verdict
                .example(|| format!("doubled: {class}/{device} at {observed_at_ns}"));
        }
    }

    /// Readings that each payload of a device gives, if they are counted only.
    fn is_counted(&self, place: usize) -> Option<u64> {
        let dialect = self.roster.dialect_of(self.roster.members.get(place)?)?;
        (!dialect.tells_serial).then_some(dialect.readings)
    }

    /// Judges a device by its count.
    fn close_counted(&mut self, place: usize, readings: u64) {
        let stored = self.counted.get(place).copied().unwrap_or(0);
        let Some(promised) = self.model.devices.get(place) else {
            return;
        };
        let acked = promised.acked.count();
        let mut may_be = promised.doubtful.clone();
        promised
            .repeated
            .missing_from(&may_be.clone())
            .for_each(|serial| {
                may_be.insert(serial);
            });
        let missing = (acked * readings).saturating_sub(stored);
        let beyond = stored.saturating_sub(acked * readings);
        // However often a reading was sent again, it is within its connection's life: more than that is not looked at.
        let doubled = if promised.repeated.count() > 0 {
            0
        } else {
            beyond.saturating_sub(may_be.count() * readings)
        };
        self.verdict.stored += stored / readings.max(1);
        self.verdict.missing += missing;
        self.verdict.doubled += doubled;
        self.verdict.doubtful_stored += (beyond - doubled) / readings.max(1);
        if missing + doubled > 0 {
            let device = self
                .roster
                .members
                .get(place)
                .map_or("", |m| m.device.as_str());
            self.verdict.example(|| {
                format!("{device}: {acked} payloads of {readings} readings, {stored} stored")
            });
        }
    }

    fn serial(&self, place: usize, observed_at_ns: u64) -> Option<u32> {
        match &self.roster.members.get(place)?.role {
            Role::Simulated(_) => u32::try_from(observed_at_ns % u64::from(SERIALS_MAX)).ok(),
            Role::Replay { series, .. } => series
                .samples
                .binary_search_by_key(&observed_at_ns, |s| s.observed_at_ns)
                .ok()
                .and_then(|at| u32::try_from(at).ok()),
        }
    }

    /// Closes the audit: what was promised and never told as stored is missing.
    #[must_use]
    pub fn close(mut self) -> Verdict {
        self.verdict.acknowledged = self.model.acknowledged_count();
        for place in 0..self.roster.members.len() {
            if let Some(readings) = self.is_counted(place) {
                self.close_counted(place, readings);
            }
        }
        let devices = self.model.devices.iter().zip(&self.stored);
        for (member, (promised, stored)) in self.roster.members.iter().zip(devices) {
            let class = self.roster.class_of(member);
            let dialect = self.roster.dialect_of(member);
            if dialect.is_some_and(|dialect| !dialect.tells_serial) {
                continue;
            }
            for serial in promised.acked.missing_from(stored) {
                let example = || format!("missing: {class}/{} reading {serial}", member.device);
                self.verdict.missing += 1;
                self.verdict.example(example);
            }
        }
        self.verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::Lane,
        harness::devices::{Pattern, Roster},
    };

    fn roster() -> Roster {
        let pattern = Pattern {
            class: "c".to_owned(),
            domain: "d".to_owned(),
            lane: Lane::Telemetry,
            interval_s: 1,
            nominal_count: 2,
            properties: Vec::new(),
        };
        Roster::of_city(vec![pattern], 1.0, "")
    }

    /// Acknowledges 0 and 70 of device 0, leaves 3 in doubt, sends 5 twice, and audits what the platform holds.
    fn audited(held: &[u64]) -> Verdict {
        let roster = roster();
        let mut model = Model::new(roster.members.len());
        model.acknowledged(0, 0);
        model.acknowledged(0, 70);
        model.in_doubt(0, 3);
        model.sent_again(0, 5);
        model.acknowledged(0, 5);
        let mut audit = Audit::new(&roster, &model);
        for serial in held {
            audit.stored("c", "000000000", 7_000_000 + serial);
        }
        audit.close()
    }

    #[test]
    fn everything_acknowledged_once_holds() {
        let verdict = audited(&[0, 5, 70]);
        assert!(verdict.holds(), "{verdict}");
        assert_eq!((verdict.acknowledged, verdict.stored), (3, 3));
    }

    #[test]
    fn one_in_doubt_and_one_sent_again_may_be_stored() {
        let verdict = audited(&[5, 3, 5, 0, 70]);
        assert!(verdict.holds(), "{verdict}");
        assert_eq!((verdict.doubtful_stored, verdict.repeated), (1, 1));
    }

    #[test]
    fn missing_doubled_and_unknown_are_told_apart() {
        assert_eq!(audited(&[0, 5]).missing, 1);
        assert_eq!(audited(&[0, 0, 5, 70]).doubled, 1);
        assert_eq!(audited(&[0, 3, 3, 5, 70]).doubled, 1);
        assert_eq!(audited(&[0, 5, 70, 71]).unknown, 1);
        assert!(!audited(&[0, 5]).holds());
    }
}
