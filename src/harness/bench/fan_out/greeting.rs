//! The first packets of a fan-out load's connections.

use std::num::NonZeroU16;

use bytes::Bytes;

use super::{Scenario, idle_filter};
use crate::harness::{
    client::{Version, WireError, subscribe_to},
    devices::{Unacknowledged, login},
};

/// Filters of one idle session, within `mqtt.subscriptions_max`, and of one SUBSCRIBE, within `mqtt.filters_max`.
const SESSION_FILTERS: usize = 200;
const SUBSCRIBE_FILTERS: usize = 50;

/// What a connection says when it is up.
pub(super) struct Greeting {
    pub(super) connect: Bytes,
    pub(super) subscribes: Vec<Bytes>,
}

/// Of publishers, then subscribers, then idle sessions full of filters.
///
/// # Errors
/// A topic does not fit a packet.
pub(super) fn greetings(scenario: &Scenario) -> Result<Vec<Greeting>, WireError> {
    let Scenario {
        pattern,
        qos,
        filters,
        ..
    } = *scenario;
    let mut greetings = Vec::new();
    let mut greet = |filters: Vec<String>| {
        let connect = login(Version::V5, None, Unacknowledged::LetGo, greetings.len())?;
        let mut subscribes = Vec::new();
        let mut packet_id = NonZeroU16::MIN;
        for some in filters.chunks(SUBSCRIBE_FILTERS) {
            let some: Vec<&str> = some.iter().map(String::as_str).collect();
            subscribes.push(subscribe_to(Version::V5, (packet_id, qos), &some)?);
            packet_id = packet_id.saturating_add(1);
        }
        greetings.push(Greeting {
            connect,
            subscribes,
        });
        Ok::<_, WireError>(())
    };
    for _ in 0..pattern.publishers() {
        greet(Vec::new())?;
    }
    for subscriber in 0..pattern.subscribers() {
        greet(vec![pattern.filter(subscriber)])?;
    }
    let idle: Vec<usize> = (0..filters).collect();
    for some in idle.chunks(SESSION_FILTERS) {
        greet(some.iter().map(|&number| idle_filter(number)).collect())?;
    }
    Ok(greetings)
}
