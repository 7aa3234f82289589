//! The three delivery lanes. A backlog in one never delays another.

use std::{
    fmt,
    ops::{Index, IndexMut},
    str::FromStr,
};

/// A delivery lane; the order is the order of precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Lane {
    /// Alarms: first in everything.
    Alarm = 1,
    /// The ordinary flow.
    Telemetry = 2,
    /// What can wait.
    Bulk = 3,
}

impl Lane {
    /// All lanes, in order of precedence.
    pub const ALL: [Self; 3] = [Self::Alarm, Self::Telemetry, Self::Bulk];

    /// The lane's number on the wire and on disk (`sensegate.platform.v1.Lane`).
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The lane of a number on the wire or on disk.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Alarm),
            2 => Some(Self::Telemetry),
            3 => Some(Self::Bulk),
            _ => None,
        }
    }

    /// The lane's name in flags, metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alarm => "alarm",
            Self::Telemetry => "telemetry",
            Self::Bulk => "bulk",
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Lane {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|lane| lane.name() == name)
            .ok_or_else(|| format!("{name:?} is no lane: alarm, telemetry or bulk"))
    }
}

/// One value for each lane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LaneMap<T> {
    /// The alarm lane's.
    pub alarm: T,
    /// The telemetry lane's.
    pub telemetry: T,
    /// The bulk lane's.
    pub bulk: T,
}

impl<T> LaneMap<T> {
    /// Makes one value for each lane.
    pub fn from_fn(mut value: impl FnMut(Lane) -> T) -> Self {
        Self {
            alarm: value(Lane::Alarm),
            telemetry: value(Lane::Telemetry),
            bulk: value(Lane::Bulk),
        }
    }

    /// Lanes with their values, in order of precedence.
    pub fn iter(&self) -> impl Iterator<Item = (Lane, &T)> {
        Lane::ALL.into_iter().map(|lane| (lane, &self[lane]))
    }
}

impl<T> Index<Lane> for LaneMap<T> {
    type Output = T;

    fn index(&self, lane: Lane) -> &T {
        match lane {
            Lane::Alarm => &self.alarm,
            Lane::Telemetry => &self.telemetry,
            Lane::Bulk => &self.bulk,
        }
    }
}

impl<T> IndexMut<Lane> for LaneMap<T> {
    fn index_mut(&mut self, lane: Lane) -> &mut T {
        match lane {
            Lane::Alarm => &mut self.alarm,
            Lane::Telemetry => &mut self.telemetry,
            Lane::Bulk => &mut self.bulk,
        }
    }
}
