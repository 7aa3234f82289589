//! Fan-out beside mosquitto: publishers, subscribers and idle sessions full of filters that match nothing, in one epoll
//! loop; every message carries its own time, so that each delivery is counted and timed.
//!
//! Two paces. *Windowed*: a publisher has so many messages on their way and sends the next when all that one is owed for it
//! (each subscriber's delivery, and the PUBACK at `QoS` 1) has come: no queue overflows, and the rate is what the server
//! gives. *Flood* (`QoS` 0): publishers write as fast as their sockets take it; what the server drops then is its loss.

mod account;
mod greeting;
mod load;
mod script;

pub use load::FanOut;
pub use script::{FanOutScript, fan_out};

use self::load::Outcome;
use crate::harness::client::Qos;

/// Who publishes to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// So many publishers, each with a subscriber of its own.
    Pairs(usize),
    /// One publisher, so many subscribers.
    OneToMany(usize),
    /// So many publishers, one subscriber.
    ManyToOne(usize),
}

impl Pattern {
    const fn publishers(self) -> usize {
        match self {
            Self::Pairs(count) | Self::ManyToOne(count) => count,
            Self::OneToMany(_) => 1,
        }
    }

    const fn subscribers(self) -> usize {
        match self {
            Self::Pairs(count) | Self::OneToMany(count) => count,
            Self::ManyToOne(_) => 1,
        }
    }

    /// Deliveries of one message.
    const fn fan(self) -> usize {
        match self {
            Self::Pairs(_) | Self::ManyToOne(_) => 1,
            Self::OneToMany(count) => count,
        }
    }

    fn topic(self, publisher: usize) -> String {
        format!("bench/d{:02}/{publisher:05}/state", publisher % 23)
    }

    fn filter(self, subscriber: usize) -> String {
        match self {
            Self::Pairs(_) => self.topic(subscriber),
            Self::OneToMany(_) => self.topic(0),
            Self::ManyToOne(_) => "bench/+/+/state".to_owned(),
        }
    }

    fn name(self) -> String {
        match self {
            Self::Pairs(count) => format!("1 → 1, {count} pairs"),
            Self::OneToMany(count) => format!("1 → {count}"),
            Self::ManyToOne(count) => format!("{count} → 1"),
        }
    }
}

/// How publishers send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// So many messages of each on their way.
    Window(usize),
    /// As fast as the socket takes it.
    Flood,
}

/// One load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scenario {
    /// Who publishes to whom.
    pub pattern: Pattern,
    /// Level of publishes and subscriptions; 0 or 1.
    pub qos: Qos,
    /// How publishers send.
    pub pace: Pace,
    /// Filters of idle sessions in the tree.
    pub filters: usize,
}

impl Scenario {
    fn name(&self) -> String {
        let pace = match self.pace {
            Pace::Window(window) => format!("window {window}"),
            Pace::Flood => "flood".to_owned(),
        };
        let filters = match self.filters {
            0 => String::new(),
            count => format!(", {count} filters"),
        };
        let pattern = self.pattern.name();
        format!("{pattern}{filters}, QoS {}, {pace}", self.qos as u8)
    }
}

/// A filter that an idle session holds: a third each of exact ones, with `+` and with `#`. All begin like the topics of
/// the load, none matches one.
fn idle_filter(number: usize) -> String {
    let district = number % 23;
    match number % 3 {
        0 => format!("bench/d{district:02}/x{number:05}/state"),
        1 => format!("bench/+/x{number:05}/state"),
        _ => format!("bench/d{district:02}/x{number:05}/#"),
    }
}
