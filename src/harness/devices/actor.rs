//! One device: what it sends next and when.

use std::time::Duration;

use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};

use super::{
    payload::{Names, report, write_json, write_sample_json},
    roster::{Role, Roster},
};
use crate::{domain::UnixNanos, harness::model::SERIALS_MAX};

/// One in so many devices speaks protobuf.
const PROTOBUF_EVERY: usize = 8;
/// Nanoseconds in a millisecond.
const MILLI_NS: u64 = 1_000_000;

/// How fast devices live.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Simulated devices' intervals are divided by this.
    pub speed: f64,
    /// The recorded time between two samples of a replay is divided by this.
    pub replay_speed: f64,
}

/// Intervals as the classes say, series as recorded.
pub const AT_NOMINAL_SPEED: Pace = Pace {
    speed: 1.0,
    replay_speed: 1.0,
};

/// A device's state.
#[derive(Debug)]
pub(super) struct Actor {
    rng: SmallRng,
    values: Box<[f64]>,
    /// Number of its next reading.
    serial: u32,
    protobuf: bool,
    names: Names,
}

impl Actor {
    /// The device at a place of the roster; the same seed gives the same values.
    #[must_use]
    pub(super) fn new(roster: &Roster, place: usize, seed: u64) -> Self {
        let mixed = seed
            ^ u64::try_from(place)
                .unwrap_or(0)
                .wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut rng = SmallRng::seed_from_u64(mixed);
        let member = roster.members.get(place);
        let role = member.map(|member| &member.role);
        let is_canonical = member.is_some_and(|member| roster.dialect_of(member).is_none());
        let (values, simulated) = match role {
            Some(Role::Simulated(pattern)) => (
                roster
                    .patterns
                    .get(*pattern)
                    .map(|pattern| pattern.start(&mut rng))
                    .unwrap_or_default(),
                true,
            ),
            _ => (Box::default(), false),
        };
        Self {
            rng,
            values,
            serial: 0,
            protobuf: simulated && is_canonical && place % PROTOBUF_EVERY == PROTOBUF_EVERY - 1,
            names: if place.is_multiple_of(2) {
                Names::Proto
            } else {
                Names::Json
            },
        }
    }

    /// Whether its payloads are protobuf.
    #[must_use]
    pub(super) const fn speaks_protobuf(&self) -> bool {
        self.protobuf
    }

    /// How long after the start its first reading is due: devices report at any moment of their interval.
    pub(super) fn first_due(
        &mut self,
        roster: &Roster,
        place: usize,
        pace: Pace,
    ) -> Option<Duration> {
        let part = self.rng.random::<f64>();
        match roster.members.get(place)?.role {
            Role::Simulated(_) => {
                let interval = self.interval(roster, place, pace)?;
                Some(interval.mul_f64(part))
            }
            Role::Replay { .. } => Some(Duration::ZERO),
        }
    }

    /// Time from the reading just sent to the next; none if there is no next.
    #[must_use]
    pub(super) fn interval(&self, roster: &Roster, place: usize, pace: Pace) -> Option<Duration> {
        match &roster.members.get(place)?.role {
            Role::Simulated(_) if self.serial >= SERIALS_MAX => None,
            Role::Simulated(pattern) => {
                let nominal = f64::from(roster.patterns.get(*pattern)?.interval_s);
                Duration::try_from_secs_f64(nominal / pace.speed).ok()
            }
            Role::Replay { series, .. } => {
                let next = usize::try_from(self.serial).ok()?;
                let later = series.samples.get(next)?.observed_at_ns;
                let before = series.samples.get(next.checked_sub(1)?)?.observed_at_ns;
                let recorded = Duration::from_nanos(later.saturating_sub(before));
                Duration::try_from_secs_f64(recorded.as_secs_f64() / pace.replay_speed).ok()
            }
        }
    }

    /// Makes the next reading: its serial, its payload appended to `out`. None if it has no more.
    pub(super) fn next_reading(
        &mut self,
        roster: &Roster,
        place: usize,
        now: UnixNanos,
        out: &mut Vec<u8>,
    ) -> Option<u32> {
        let serial = self.serial;
        let member = roster.members.get(place)?;
        match &member.role {
            Role::Simulated(pattern) => {
                if serial >= SERIALS_MAX {
                    return None;
                }
                let pattern = roster.patterns.get(*pattern)?;
                let observed_at_ns = now.0 - now.0 % MILLI_NS + u64::from(serial);
                pattern.advance(&mut self.values, &mut self.rng);
                if let Some(dialect) = roster.dialect_of(member) {
                    let said = (member.device.as_str(), UnixNanos(observed_at_ns), serial);
                    out.extend(dialect.write(pattern, &self.values, said)?.bytes);
                } else if self.protobuf {
                    out.extend_from_slice(&report(pattern, &self.values, observed_at_ns));
                } else {
                    write_json(pattern, &self.values, observed_at_ns, self.names, out);
                }
            }
            Role::Replay { series, .. } => {
                let sample = series.samples.get(usize::try_from(serial).ok()?)?;
                write_sample_json(series.property, sample.value, sample.observed_at_ns, out);
            }
        }
        self.serial += 1;
        Some(serial)
    }
}
