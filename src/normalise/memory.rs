//! What is remembered of devices from reading to reading: which alarms are up, and what was last passed on. A plain state
//! machine with time handed in; bounded in devices, the least recently heard goes first. It does not survive a restart: an
//! alarm that is still up is raised again by the next reading, and the first reading of every device is passed on.
//!
//! ```text
//!             beyond the threshold            for the hold time
//!   normal ─────────────────────▶ pending ─────────────────────▶ active ──▶ raised
//!      ▲                            │ back                          │ back by more than the hysteresis
//!      └────────────────────────────┴───────────────────────────────┴──▶ cleared
//! ```

use std::{
    hash::BuildHasher as _,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use foldhash::fast::FixedState;

use super::{
    changes::{Changes, Was},
    codec::sparkplug::{Births, Limits},
    pieces::Pieces,
    recent::Recent,
};
use crate::{
    config::{MemoryConfig, SparkplugGaps},
    domain::UnixNanos,
};

/// Parts of the memory, each under a lock of its own.
const SHARDS: usize = 64;

/// When a value is beyond a threshold.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Beyond {
    /// It is this or greater.
    Above(f64),
    /// It is this or less.
    Below(f64),
    /// It is one of these: codes of an enum, 1 for true.
    Is(Box<[f64]>),
}

/// A threshold of a class's field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Threshold {
    /// Place among the thresholds of the class.
    pub(crate) id: u16,
    pub(crate) beyond: Beyond,
    /// How far a value has to come back before the alarm clears, in the field's unit.
    pub(crate) hysteresis: f64,
    /// How long values have to be beyond before the alarm is raised.
    pub(crate) hold_ns: u64,
}

impl Threshold {
    fn is_beyond(&self, value: f64) -> bool {
        match &self.beyond {
            Beyond::Above(limit) => value >= *limit,
            Beyond::Below(limit) => value <= *limit,
            Beyond::Is(values) => values.iter().any(|one| one.total_cmp(&value).is_eq()),
        }
    }

    fn is_back(&self, value: f64) -> bool {
        match &self.beyond {
            Beyond::Above(limit) => value < limit - self.hysteresis,
            Beyond::Below(limit) => value > limit + self.hysteresis,
            Beyond::Is(_) => !self.is_beyond(value),
        }
    }
}

/// What a value did to an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crossing {
    Raised,
    Cleared,
}

/// Of an alarm that is not normal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Pending { since: UnixNanos },
    Active,
}

/// What a field may change by without being passed on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Band {
    pub(crate) field_number: u32,
    /// In the field's unit; none: any change is passed on.
    pub(crate) width: f64,
}

/// What is remembered of a device.
#[derive(Debug, Default)]
struct Device {
    /// Alarms that are not normal, by threshold.
    alarms: Vec<(u16, State)>,
    /// When the latest reading that alarms were judged by was observed, Unix nanoseconds.
    judged_at: u64,
    /// Values that were last passed on, by field number.
    told: Vec<(u32, f64)>,
    told_at: Option<UnixNanos>,
}

/// The memory of all devices.
#[derive(Debug)]
pub struct Memory {
    shards: Box<[Mutex<Recent<Device>>]>,
    /// Most devices of a shard.
    devices_max: usize,
    hasher: FixedState,
    /// Birth certificates of Sparkplug's nodes.
    births: Mutex<Births>,
    pieces: Pieces,
}

/// A field's value in a reading.
pub(crate) type Noted = (u32, f64);

impl Memory {
    /// Nothing, and room for what is to come.
    #[must_use]
    pub fn new(config: MemoryConfig) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::new(Recent::default())).collect();
        let limits = Limits {
            gaps: config.sparkplug_gaps,
            ..Limits::default()
        };
        Self {
            shards,
            devices_max: config.devices_max.div_ceil(SHARDS).max(1),
            hasher: FixedState::default(),
            births: Mutex::new(Births::new(limits)),
            pieces: Pieces::new(&config),
        }
    }

    /// Room for so many devices, and the defaults for everything else.
    #[cfg(any(test, feature = "harness"))]
    #[must_use]
    pub fn of_devices(devices_max: usize) -> Self {
        Self::new(MemoryConfig {
            devices_max,
            pieces_bytes_max: 1 << 20,
            pieces_deadline: Duration::from_secs(60),
            sparkplug_gaps: SparkplugGaps::Distrust,
        })
    }

    /// The certificates, for one message.
    pub(crate) fn births(&self) -> MutexGuard<'_, Births> {
        locked(&self.births)
    }

    /// Beginnings of frames, and packets of messages.
    pub(super) const fn pieces(&self) -> &Pieces {
        &self.pieces
    }

    /// Topics on which a part of a frame or of a message waits for the rest, and the bytes of it all.
    #[must_use]
    pub fn waiting(&self) -> (usize, usize) {
        self.pieces.held()
    }

    /// Devices that are remembered.
    #[must_use]
    pub fn devices(&self) -> usize {
        self.shards.iter().map(|shard| locked(shard).len()).sum()
    }

    fn with<T>(&self, name: &str, look: impl FnOnce(&mut Device) -> T) -> Option<T> {
        let at = usize::try_from(self.hasher.hash_one(name)).unwrap_or(0) % SHARDS;
        let mut shard = locked(self.shards.get(at)?);
        if shard.touch(name).is_none() {
            if shard.len() >= self.devices_max {
                shard.pop_oldest();
            }
            shard.insert(name, Device::default());
        }
        shard.touch(name).map(look)
    }

    /// Judges a reading's values by the thresholds of their fields; `crossed` is told of each that is crossed, with its
    /// place among them. Readings older than the one judged last change nothing.
    pub(super) fn judge<'t>(
        &self,
        (name, at): (&str, UnixNanos),
        values: impl Iterator<Item = (&'t Threshold, f64)>,
        changes: &mut Changes,
        mut crossed: impl FnMut(usize, Crossing),
    ) {
        self.with(name, |device| {
            if at.0 < device.judged_at {
                return;
            }
            if at.0 > device.judged_at {
                changes.add(name, Was::JudgedAt(device.judged_at));
                device.judged_at = at.0;
            }
            for (place, (threshold, value)) in values.enumerate() {
                let Some((next, crossing)) = device.judge(threshold, value, at) else {
                    continue;
                };
                changes.add(name, Was::Alarms(device.alarms.clone()));
                device.turn(threshold.id, next);
                if let Some(crossing) = crossing {
                    crossed(place, crossing);
                }
            }
        });
    }

    /// Whether a reading is to be passed on: a field has left its band, one without a band has changed, a field has
    /// come or gone, or the heartbeat is due. If so, it is what later readings are compared with.
    pub(super) fn is_news(
        &self,
        name: &str,
        (values, bands): (&[Noted], &[Band]),
        (heartbeat_ns, at): (Option<u64>, UnixNanos),
        changes: &mut Changes,
    ) -> bool {
        let news = self.with(name, |device| {
            if !device.is_news((values, bands), heartbeat_ns, at) {
                return false;
            }
            let told = std::mem::replace(&mut device.told, values.to_vec());
            changes.add(name, Was::Told(told, device.told_at.replace(at)));
            true
        });
        news.unwrap_or(true)
    }

    /// Takes back what was changed since there were so many changes.
    pub(super) fn undo(&self, changes: &mut Changes, since: usize) {
        while changes.len() > since {
            changes.undo(|name, was| {
                self.with(name, |device| match was {
                    Was::Alarms(alarms) => device.alarms = alarms,
                    Was::JudgedAt(at) => device.judged_at = at,
                    Was::Told(told, at) => (device.told, device.told_at) = (told, at),
                });
            });
        }
    }
}

impl Device {
    /// What a value makes of an alarm: its next state, none for normal, and the crossing; none if nothing changes.
    fn judge(
        &self,
        threshold: &Threshold,
        value: f64,
        at: UnixNanos,
    ) -> Option<(Option<State>, Option<Crossing>)> {
        let held = self.alarms.iter().find(|(id, _)| *id == threshold.id);
        match held.map(|(_, state)| *state) {
            None if !threshold.is_beyond(value) => None,
            None if threshold.hold_ns == 0 => Some((Some(State::Active), Some(Crossing::Raised))),
            None => Some((Some(State::Pending { since: at }), None)),
            Some(State::Pending { .. }) if !threshold.is_beyond(value) => Some((None, None)),
            Some(State::Pending { since }) if at.0.saturating_sub(since.0) >= threshold.hold_ns => {
                Some((Some(State::Active), Some(Crossing::Raised)))
            }
            Some(State::Active) if threshold.is_back(value) => {
                Some((None, Some(Crossing::Cleared)))
            }
            Some(_) => None,
        }
    }

    fn turn(&mut self, id: u16, next: Option<State>) {
        self.alarms.retain(|(held, _)| *held != id);
        self.alarms.extend(next.map(|state| (id, state)));
    }

    fn is_news(
        &self,
        (values, bands): (&[Noted], &[Band]),
        heartbeat_ns: Option<u64>,
        at: UnixNanos,
    ) -> bool {
        let is_due = match (self.told_at, heartbeat_ns) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(told_at), Some(heartbeat)) => at.0.saturating_sub(told_at.0) >= heartbeat,
        };
        let is_like = |&(number, value): &Noted| {
            let told = self.told.iter().find(|(known, _)| *known == number);
            let band = bands.iter().find(|band| band.field_number == number);
            told.is_some_and(|(_, told)| match band {
                Some(band) => (value - told).abs() <= band.width,
                None => value.total_cmp(told).is_eq(),
            })
        };
        let is_same = values.len() == self.told.len() && values.iter().all(is_like);
        !is_same || is_due
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a panic left behind is a device's numbers: the next reading puts them right.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(
        memory: &Memory,
        name: &str,
        rule: &Threshold,
        (value, at): (f64, UnixNanos),
    ) -> Option<Crossing> {
        judge_changing(memory, (name, at), rule, value, &mut Changes::default())
    }

    fn judge_changing(
        memory: &Memory,
        of: (&str, UnixNanos),
        rule: &Threshold,
        value: f64,
        changes: &mut Changes,
    ) -> Option<Crossing> {
        let mut found = None;
        memory.judge(
            of,
            std::iter::once((rule, value)),
            changes,
            |_, crossing| {
                found = Some(crossing);
            },
        );
        found
    }

    fn at(seconds: u64) -> UnixNanos {
        UnixNanos(seconds * 1_000_000_000)
    }

    fn above(limit: f64, hysteresis: f64, hold_s: u64) -> Threshold {
        Threshold {
            id: 0,
            beyond: Beyond::Above(limit),
            hysteresis,
            hold_ns: hold_s * 1_000_000_000,
        }
    }

    #[test]
    fn an_alarm_is_raised_once_and_clears_behind_its_hysteresis() {
        let memory = Memory::of_devices(10);
        let rule = above(60.0, 5.0, 0);
        let judge = |value, second| judge(&memory, "gas/1", &rule, (value, at(second)));
        assert_eq!(judge(59.9, 1), None);
        assert_eq!(judge(60.0, 2), Some(Crossing::Raised));
        assert_eq!(judge(70.0, 3), None);
        assert_eq!(judge(55.0, 4), None);
        assert_eq!(judge(54.9, 5), Some(Crossing::Cleared));
        assert_eq!(judge(54.0, 6), None);
    }

    #[test]
    fn a_peak_shorter_than_the_hold_time_raises_nothing() {
        let memory = Memory::of_devices(10);
        let rule = above(60.0, 0.0, 30);
        let judge = |value, second| judge(&memory, "gas/1", &rule, (value, at(second)));
        assert_eq!(judge(61.0, 0), None);
        assert_eq!(judge(61.0, 29), None);
        assert_eq!(judge(50.0, 31), None);
        assert_eq!(judge(61.0, 40), None);
        assert_eq!(judge(61.0, 70), Some(Crossing::Raised));
    }

    #[test]
    fn a_late_reading_of_earlier_does_not_change_an_alarm() {
        let memory = Memory::of_devices(10);
        let rule = above(60.0, 0.0, 0);
        assert_eq!(
            judge(&memory, "a", &rule, (61.0, at(100))),
            Some(Crossing::Raised)
        );
        assert_eq!(judge(&memory, "a", &rule, (1.0, at(50))), None);
        assert_eq!(
            judge(&memory, "a", &rule, (1.0, at(101))),
            Some(Crossing::Cleared)
        );
    }

    #[test]
    fn codes_raise_and_clear_as_they_come() {
        let memory = Memory::of_devices(10);
        let rule = Threshold {
            id: 3,
            beyond: Beyond::Is(Box::from([2.0, 3.0])),
            hysteresis: 0.0,
            hold_ns: 0,
        };
        assert_eq!(judge(&memory, "cover/1", &rule, (1.0, at(1))), None);
        assert_eq!(
            judge(&memory, "cover/1", &rule, (3.0, at(2))),
            Some(Crossing::Raised)
        );
        assert_eq!(judge(&memory, "cover/1", &rule, (2.0, at(3))), None);
        assert_eq!(
            judge(&memory, "cover/1", &rule, (1.0, at(4))),
            Some(Crossing::Cleared)
        );
    }

    #[test]
    fn what_stays_within_its_band_is_told_again_at_the_heartbeat_only() {
        let memory = Memory::of_devices(10);
        let bands = [Band {
            field_number: 1,
            width: 0.5,
        }];
        let heartbeat = Some(600 * 1_000_000_000);
        let news = |values: &[Noted], second| {
            let mut changes = Changes::default();
            memory.is_news(
                "t/1",
                (values, &bands),
                (heartbeat, at(second)),
                &mut changes,
            )
        };
        assert!(news(&[(1, 20.0), (2, 1.0)], 0));
        assert!(!news(&[(1, 20.5), (2, 1.0)], 60));
        assert!(
            news(&[(1, 20.6), (2, 1.0)], 120),
            "beyond the band of what was told last"
        );
        assert!(!news(&[(1, 20.2), (2, 1.0)], 180));
        assert!(
            news(&[(1, 20.6), (2, 2.0)], 240),
            "a field without a band has changed"
        );
        assert!(news(&[(1, 20.6)], 300), "a field is gone");
        assert!(!news(&[(1, 20.6)], 899));
        assert!(news(&[(1, 20.6)], 900), "the heartbeat is due");
    }

    #[test]
    fn devices_are_bounded() {
        let memory = Memory::of_devices(SHARDS);
        let rule = above(0.0, 0.0, 0);
        for device in 0..10_000 {
            judge(&memory, &format!("class/{device}"), &rule, (1.0, at(1)));
        }
        assert!(memory.devices() <= SHARDS, "{}", memory.devices());
    }

    #[test]
    fn what_is_taken_back_never_was() {
        let memory = Memory::of_devices(10);
        let rule = above(60.0, 5.0, 0);
        let (bands, heartbeat) = ([], (None, at(1)));
        let mut changes = Changes::default();
        for round in 0..3 {
            let raised = judge_changing(&memory, ("gas/1", at(1)), &rule, 61.0, &mut changes);
            assert_eq!(raised, Some(Crossing::Raised), "round {round}");
            assert!(memory.is_news("gas/1", (&[(1, 61.0)], &bands), heartbeat, &mut changes));
            let so_far = changes.len();
            for _again in 0..2 {
                let cleared = judge_changing(&memory, ("gas/1", at(2)), &rule, 1.0, &mut changes);
                assert_eq!(cleared, Some(Crossing::Cleared));
                memory.undo(&mut changes, so_far);
            }
            memory.undo(&mut changes, 0);
        }
    }
}
