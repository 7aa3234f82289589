//! Who may publish to which topics and hear which filters. A device's own topics are the rule that holds without any
//! other: it publishes under its own `up` topics and hears its own `down` topic.

use super::principal::Principal;
use crate::domain::Identity;

/// The rights in force.
#[derive(Debug, Default)]
pub(crate) struct Rights;

impl Rights {
    /// Whether a client may publish to a topic.
    pub(crate) fn may_publish(&self, principal: &Principal, topic: &str) -> bool {
        match (principal, own(topic, Direction::Up)) {
            (Principal::Device(identity), Some(inner)) => inner == identity.as_str(),
            (Principal::Anonymous, Some(inner)) => Identity::parse(inner).is_ok(),
            (Principal::Application(_), _) | (_, None) => false,
        }
    }

    /// Whether a client may hear everything that a filter matches.
    pub(crate) fn may_subscribe(&self, principal: &Principal, filter: &str) -> bool {
        own(filter, Direction::Down).is_some_and(|inner| {
            principal
                .identity()
                .is_some_and(|identity| inner == identity.as_str())
        })
    }
}

enum Direction {
    Up,
    Down,
}

/// The `{class}/{device}` of a device's own topic.
fn own(topic: &str, direction: Direction) -> Option<&str> {
    let inner = topic.strip_prefix("v1/")?;
    match direction {
        Direction::Up => inner
            .strip_suffix("/pb")
            .unwrap_or(inner)
            .strip_suffix("/up"),
        Direction::Down => inner.strip_suffix("/down"),
    }
}
