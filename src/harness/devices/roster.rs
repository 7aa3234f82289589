//! Which devices a run has: the city's mix, scaled down, with at least one of every class, and the devices that
//! replay recorded series. A device's number is its place in the roster.

use std::sync::Arc;

use super::{dialect::Dialect, pattern::Pattern};
use crate::harness::series::Series;

/// What a device plays.
#[derive(Debug, Clone)]
pub enum Role {
    /// Its class's pattern, by its place in [`Roster::patterns`].
    Simulated(usize),
    /// A recorded series, once, from its beginning to its end.
    Replay {
        /// The place of its class in [`Roster::patterns`].
        pattern: usize,
        /// What it replays.
        series: Arc<Series>,
    },
}

/// One device.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its id within its class.
    pub device: String,
    /// What it plays.
    pub role: Role,
}

impl Member {
    /// The place of its class in [`Roster::patterns`].
    #[must_use]
    pub const fn pattern(&self) -> usize {
        match self.role {
            Role::Simulated(pattern) | Role::Replay { pattern, .. } => pattern,
        }
    }
}

/// All devices of a run.
#[derive(Debug, Clone)]
pub struct Roster {
    /// The classes.
    pub patterns: Vec<Pattern>,
    /// The devices.
    pub members: Vec<Member>,
    /// Formats of the classes, in the order of the patterns; none for a class that speaks canonically.
    pub dialects: Vec<Option<Dialect>>,
}

impl Roster {
    /// The city's mix at a scale (1.0: the nominal city), at least one device of every class. Ids start with `prefix`.
    #[must_use]
    pub fn of_city(patterns: Vec<Pattern>, scale: f64, prefix: &str) -> Self {
        Self::of_city_speaking(patterns, Vec::new(), (scale, prefix))
    }

    /// The same, with devices that speak and are named as their formats want it.
    #[must_use]
    pub fn of_city_speaking(
        patterns: Vec<Pattern>,
        dialects: Vec<Option<Dialect>>,
        (scale, prefix): (f64, &str),
    ) -> Self {
        let mut members = Vec::new();
        for (place, pattern) in patterns.iter().enumerate() {
            let dialect = dialects.get(place).and_then(Option::as_ref);
            let wanted = (f64::from(pattern.nominal_count) * scale).round().max(1.0);
            let mut number = 0_u32;
            while f64::from(number) < wanted {
                members.push(Member {
                    device: dialect.map_or_else(
                        || format!("{prefix}{place:03}{number:06}"),
                        |dialect| dialect.name(prefix, place, number),
                    ),
                    role: Role::Simulated(place),
                });
                number += 1;
            }
        }
        Self {
            patterns,
            members,
            dialects,
        }
    }

    /// The format that a device speaks; none: canonical. Replays are canonical, as the series were recorded.
    #[must_use]
    pub fn dialect_of(&self, member: &Member) -> Option<&Dialect> {
        match member.role {
            Role::Simulated(pattern) => self.dialects.get(pattern)?.as_ref(),
            Role::Replay { .. } => None,
        }
    }

    /// Adds one device for each series whose class is known.
    pub fn add_replays(&mut self, series: Vec<Series>, prefix: &str) {
        for series in series {
            let place = self.patterns.iter().position(|p| p.class == series.class);
            if let Some(pattern) = place {
                self.members.push(Member {
                    device: format!("{prefix}{}", series.name),
                    role: Role::Replay {
                        pattern,
                        series: Arc::new(series),
                    },
                });
            }
        }
    }

    /// The class of a device.
    #[must_use]
    pub fn class_of(&self, member: &Member) -> &str {
        self.patterns
            .get(member.pattern())
            .map_or("", |pattern| pattern.class.as_str())
    }

    /// Readings a second of the simulated devices at their nominal intervals.
    #[must_use]
    pub fn nominal_rate(&self) -> f64 {
        self.members
            .iter()
            .filter_map(|member| match member.role {
                Role::Simulated(place) => self.patterns.get(place),
                Role::Replay { .. } => None,
            })
            .map(|pattern| 1.0 / f64::from(pattern.interval_s))
            .sum()
    }
}
