//! What a device of a class plausibly reports: each property a slow walk within the middle of its range; counters
//! only grow; states rest at their first code and flags at false, so that alarms are seldom.

use rand::{Rng as _, rngs::SmallRng};

use crate::domain::Lane;

/// Chance that a flag is raised or a state leaves its first code, per reading.
const EVENT_CHANCE: f64 = 0.002;
/// Chance that a raised flag or another state goes back, per reading.
const CALM_CHANCE: f64 = 0.3;
/// Part of its walking range that a value moves at most from one reading to the next.
const STEP: f64 = 0.01;

/// A class as its devices act it out.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// Class id.
    pub class: String,
    /// Domain id.
    pub domain: String,
    /// Lane of its readings.
    pub lane: Lane,
    /// Nominal time between two readings of a device, seconds.
    pub interval_s: u32,
    /// Devices of the class in the nominal city.
    pub nominal_count: u32,
    /// Its properties.
    pub properties: Vec<Property>,
}

/// A property as its devices act it out.
#[derive(Debug, Clone)]
pub struct Property {
    /// Name in the class's message.
    pub name: String,
    /// Name by protobuf's JSON mapping.
    pub json_name: String,
    /// Field number.
    pub number: u32,
    /// How its value moves and is written.
    pub shape: Shape,
}

/// How a value moves and is written.
#[derive(Debug, Clone)]
pub enum Shape {
    /// Walks between two bounds; written with so many decimals.
    Real {
        /// Lowest value reached.
        low: f64,
        /// Highest value reached.
        high: f64,
        /// Decimals written.
        decimals: usize,
    },
    /// Walks between two bounds in whole numbers, encoded as `sint64`.
    Signed {
        /// Lowest value reached.
        low: f64,
        /// Highest value reached.
        high: f64,
    },
    /// Walks between two bounds in whole numbers, encoded as `uint64`.
    Unsigned {
        /// Lowest value reached.
        low: f64,
        /// Highest value reached.
        high: f64,
    },
    /// Only grows, up to its highest value, then starts again.
    Counter {
        /// Where it wraps.
        high: f64,
        /// Most that it grows from one reading to the next.
        step: f64,
        /// Decimals written; none: whole, encoded as `uint64`.
        decimals: Option<usize>,
    },
    /// True or false, mostly false.
    Flag,
    /// A code of a closed list, mostly its first: code and number.
    State(Vec<(String, i32)>),
    /// A short text that stays.
    Text,
}

impl Pattern {
    /// The values that a new device starts with, in the order of the properties.
    pub fn start(&self, rng: &mut SmallRng) -> Box<[f64]> {
        self.properties
            .iter()
            .map(|property| match &property.shape {
                Shape::Real { low, high, .. }
                | Shape::Signed { low, high }
                | Shape::Unsigned { low, high } => low + (high - low) * rng.random::<f64>(),
                Shape::Counter { high, .. } => high * 0.5 * rng.random::<f64>(),
                Shape::Text => f64::from(rng.random_range(0..100_000_u32)),
                Shape::Flag | Shape::State(_) => 0.0,
            })
            .collect()
    }

    /// Moves a device's values on to its next reading.
    pub fn advance(&self, values: &mut [f64], rng: &mut SmallRng) {
        for (property, value) in self.properties.iter().zip(values) {
            match &property.shape {
                Shape::Real { low, high, .. }
                | Shape::Signed { low, high }
                | Shape::Unsigned { low, high } => {
                    let step = (high - low) * STEP * (rng.random::<f64>() * 2.0 - 1.0);
                    *value = (*value + step).clamp(*low, *high);
                }
                Shape::Counter { high, step, .. } => {
                    *value = (*value + step * rng.random::<f64>()) % *high;
                }
                Shape::Flag => *value = event(*value, 2, rng),
                Shape::State(codes) => *value = event(*value, codes.len(), rng),
                Shape::Text => {}
            }
        }
    }
}

/// The next of `states` states, of which 0 is the calm one.
fn event(value: f64, states: usize, rng: &mut SmallRng) -> f64 {
    if value > 0.0 {
        return if rng.random_bool(CALM_CHANCE) {
            0.0
        } else {
            value
        };
    }
    if states > 1 && rng.random_bool(EVENT_CHANCE) {
        let other = rng.random_range(1..states);
        return u32::try_from(other).map_or(0.0, f64::from);
    }
    0.0
}
