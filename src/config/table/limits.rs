//! Settings of what a client may cost. The defaults protect a node of two cores and let every honest device through.

use super::{
    DAY, GIB, HOUR, KIB, MIB, MINUTE, Preset, SECOND, Setting, Shape, narrow_u32, narrow_usize,
};
use crate::{config::limits::RatePolicy, domain::ClassId};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "mqtt.rate_policy",
        flag: "mqtt-rate-policy",
        default: Preset::Text("pause"),
        help: "What happens to a client beyond its rate: `pause` (its socket is not read until there is room again; nothing is lost), or \
               `disconnect` (MQTT 5: 0x96).",
        reason: "A device that sends its backlog is no enemy: TCP slows it down and it loses nothing.",
        shape: Shape::Choice {
            of: &["pause", "disconnect"],
            set: |config, word| {
                config.mqtt.limits.rates.policy = if word == "pause" {
                    RatePolicy::Pause
                } else {
                    RatePolicy::Disconnect
                };
            },
        },
    },
    Setting {
        key: "mqtt.messages_per_s",
        flag: "mqtt-messages-per-s",
        default: Preset::Text("5000"),
        help: "Messages per second of one session of a device. Every packet counts: an acknowledgement of the broker's messages a quarter, \
               a SUBSCRIBE or UNSUBSCRIBE four times, any other once.",
        reason: "A device reports at most once a second and a concentrator some hundred times; 5,000 is a backlog being sent, and 2 % of a node.",
        shape: Shape::Count {
            min: 1,
            max: 10_000_000,
            set: |config, n| config.mqtt.limits.rates.messages_per_s = narrow_u32(n),
        },
    },
    Setting {
        key: "mqtt.bytes_per_s",
        flag: "mqtt-bytes-per-s",
        default: Preset::Text("4MiB"),
        help: "Bytes per second of one session of a device.",
        reason: "The messages of its rate at 800 bytes each, or a packet of the largest size every quarter of a second.",
        shape: Shape::Size {
            min: KIB,
            max: 16 * GIB,
            set: |config, n| config.mqtt.limits.rates.bytes_per_s = n,
        },
    },
    Setting {
        key: "mqtt.application_messages_per_s",
        flag: "mqtt-application-messages-per-s",
        default: Preset::Text("100000"),
        help: "Messages per second of one session of an application, counted as those of a device.",
        reason: "An application acknowledges what all devices send.",
        shape: Shape::Count {
            min: 1,
            max: 10_000_000,
            set: |config, n| config.mqtt.limits.rates.application_messages_per_s = narrow_u32(n),
        },
    },
    Setting {
        key: "mqtt.application_bytes_per_s",
        flag: "mqtt-application-bytes-per-s",
        default: Preset::Text("64MiB"),
        help: "Bytes per second of one session of an application.",
        reason: "As many messages at 600 bytes each.",
        shape: Shape::Size {
            min: KIB,
            max: 16 * GIB,
            set: |config, n| config.mqtt.limits.rates.application_bytes_per_s = n,
        },
    },
    Setting {
        key: "mqtt.rate_burst",
        flag: "mqtt-rate-burst",
        default: Preset::Text("2s"),
        help: "How much a session or a class may send at once after a quiet time: so much time's worth of its rates.",
        reason: "Devices collect while they have no network; at least the grain of the broker's clock, twice.",
        shape: Shape::Duration {
            min_ms: 250,
            max_ms: HOUR,
            set: |config, d| config.mqtt.limits.rates.burst = d,
        },
    },
    Setting {
        key: "mqtt.class_messages_per_s",
        flag: "mqtt-class-messages-per-s",
        default: Preset::Text("100000"),
        help: "Publishes per second of all devices of one class; all classes that are not in force share one such rate.",
        reason: "The whole city is planned with 111,000 readings/s over 226 classes: one class with a faulty firmware must not take a node alone.",
        shape: Shape::Count {
            min: 1,
            max: 100_000_000,
            set: |config, n| config.mqtt.limits.rates.class_messages_per_s = narrow_u32(n),
        },
    },
    Setting {
        key: "mqtt.class_rates",
        flag: "mqtt-class-rate",
        default: Preset::Unset,
        help: "Class with another rate, as `class=messages_per_s`; repeatable.",
        reason: "Most classes send far below the common rate.",
        shape: Shape::List {
            named: "CLASS=RATE",
            set: |config, items| {
                config.mqtt.limits.rates.class_rates = items
                    .iter()
                    .map(|item| class_rate(item).map_err(|what| (item.clone(), what)))
                    .collect::<Result<_, _>>()?;
                Ok(())
            },
        },
    },
    Setting {
        key: "mqtt.connects_per_s",
        flag: "mqtt-connects-per-s",
        default: Preset::Text("20000"),
        help: "Connections let in per second; more wait for their turn, in which source addresses take turns.",
        reason: "As many as a node of two cores can greet; with TLS it greets some 2,000 and a lower rate keeps it free for those who are in.",
        shape: Shape::Count {
            min: 1,
            max: 1_000_000,
            set: |config, n| config.mqtt.limits.connects.per_s = narrow_u32(n),
        },
    },
    Setting {
        key: "mqtt.connects_burst",
        flag: "mqtt-connects-burst",
        default: Preset::Text("250ms"),
        help: "How many connections may come in at once after a quiet time: so much time's worth of the rate.",
        reason: "Longer, and those who are in notice the storm.",
        shape: Shape::Duration {
            min_ms: 10,
            max_ms: MINUTE,
            set: |config, d| config.mqtt.limits.connects.burst = d,
        },
    },
    Setting {
        key: "mqtt.connects_per_address_per_s",
        flag: "mqtt-connects-per-address-per-s",
        default: Preset::Text("10000"),
        help: "Connections per second from one source address (of IPv6: one /64); beyond, they are turned away (MQTT 5: 0x9F, 3.1.1: return code 3).",
        reason: "Whole districts stand behind one address of a carrier's NAT. Lower it where that is not so.",
        shape: Shape::Count {
            min: 1,
            max: 1_000_000,
            set: |config, n| config.mqtt.limits.connects.per_address_per_s = narrow_u32(n),
        },
    },
    Setting {
        key: "mqtt.connects_per_address_burst",
        flag: "mqtt-connects-per-address-burst",
        default: Preset::Text("100000"),
        help: "Connections that may come at once from one source address after a quiet time.",
        reason: "As many as connections in all: what stands behind a NAT returns at once.",
        shape: Shape::Count {
            min: 1,
            max: 10_000_000,
            set: |config, n| config.mqtt.limits.connects.per_address_burst = narrow_u32(n),
        },
    },
    Setting {
        key: "mqtt.connects_waiting_max",
        flag: "mqtt-connects-waiting-max",
        default: Preset::Text("50000"),
        help: "Sockets that may wait for their turn to come in; beyond, the address with the most of them loses one.",
        reason: "Each takes some 100 bytes, a file, and 3 KiB of the system's; at the common rate they are let in within 2.5 s.",
        shape: Shape::Count {
            min: 1,
            max: 10_000_000,
            set: |config, n| config.mqtt.limits.connects.waiting_max = narrow_usize(n),
        },
    },
    Setting {
        key: "mqtt.connect_wait_max",
        flag: "mqtt-connect-wait-max",
        default: Preset::Text("10s"),
        help: "How long a socket may wait for its turn; then it is closed.",
        reason: "A client that has waited longer has given up, or does so before it is answered.",
        shape: Shape::Duration {
            min_ms: SECOND,
            max_ms: 10 * MINUTE,
            set: |config, d| config.mqtt.limits.connects.wait_max = d,
        },
    },
    Setting {
        key: "mqtt.auth_failures_per_minute",
        flag: "mqtt-auth-failures-per-minute",
        default: Preset::Text("600"),
        help: "Failed authentications per minute from one source address, of which each success forgives one; beyond, its connections \
               are turned away for a while (MQTT 5: 0x9F).",
        reason: "Ten devices with wrong credentials that try every second; behind a NAT the others' successes weigh against them.",
        shape: Shape::Count {
            min: 1,
            max: 1_000_000,
            set: |config, n| config.mqtt.limits.connects.auth_failures_per_minute = narrow_u32(n),
        },
    },
    Setting {
        key: "mqtt.auth_penalty_max",
        flag: "mqtt-auth-penalty-max",
        default: Preset::Text("1m"),
        help: "Longest while for which an address is turned away after failed authentications; it starts at a second and doubles.",
        reason: "Guessing gains nothing, and honest neighbours are back soon.",
        shape: Shape::Duration {
            min_ms: SECOND,
            max_ms: DAY,
            set: |config, d| config.mqtt.limits.connects.auth_penalty_max = d,
        },
    },
    Setting {
        key: "mqtt.connect_bytes_max",
        flag: "mqtt-connect-bytes-max",
        default: Preset::Text("8KiB"),
        help: "Largest CONNECT, if below `mqtt.packet_bytes_max`; a larger first packet ends the connection.",
        reason: "Nobody is known yet: an identity, a JWT of 2 KiB and a will fit.",
        shape: Shape::Size {
            min: 256,
            max: 4 * MIB,
            set: |config, n| config.mqtt.limits.sizes.connect_bytes_max = narrow_u32(n),
        },
    },
    Setting {
        key: "mqtt.topic_bytes_max",
        flag: "mqtt-topic-bytes-max",
        default: Preset::Text("1KiB"),
        help: "Longest topic of a publish and longest filter.",
        reason: "A canonical topic has at most 266 bytes.",
        shape: Shape::Size {
            min: 32,
            max: 65_535,
            set: |config, n| config.mqtt.limits.sizes.topic_bytes_max = narrow_usize(n),
        },
    },
    Setting {
        key: "mqtt.topic_levels_max",
        flag: "mqtt-topic-levels-max",
        default: Preset::Text("32"),
        help: "Most levels of a topic or a filter.",
        reason: "A canonical topic has 5; each level of a filter is a place in the tree.",
        shape: Shape::Count {
            min: 4,
            max: 65_536,
            set: |config, n| config.mqtt.limits.sizes.topic_levels_max = narrow_usize(n),
        },
    },
    Setting {
        key: "mqtt.user_properties_max",
        flag: "mqtt-user-properties-max",
        default: Preset::Text("64"),
        help: "Most user properties of one publish; no other packet may have more than 64.",
        reason: "Far beyond any use, and a bound for what one packet makes the broker allocate.",
        shape: Shape::Count {
            min: 1,
            max: 64,
            set: |config, n| config.mqtt.limits.sizes.user_properties_max = narrow_usize(n),
        },
    },
    Setting {
        key: "mqtt.filters_max",
        flag: "mqtt-filters-max",
        default: Preset::Text("64"),
        help: "Most filters in one SUBSCRIBE or UNSUBSCRIBE; each beyond is refused (MQTT 5: 0x97).",
        reason: "A packet holds the worker while its filters are entered; who has more sends several packets.",
        shape: Shape::Count {
            min: 1,
            max: 65_536,
            set: |config, n| config.mqtt.limits.sizes.filters_max = narrow_usize(n),
        },
    },
];

/// Reads `class=rate`.
fn class_rate(text: &str) -> Result<(String, u32), String> {
    let wrong = || "is not of the form class=messages_per_s".to_owned();
    let (class, rate) = text.split_once('=').ok_or_else(wrong)?;
    let rate = rate.parse().ok().filter(|&rate: &u32| rate > 0);
    if !ClassId::is_valid(class) {
        return Err(wrong());
    }
    Ok((class.to_owned(), rate.ok_or_else(wrong)?))
}
