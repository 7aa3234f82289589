//! Settings of what sessions may hold: subscriptions, what waits for them, retained messages.

use super::{DAY, GIB, KIB, MIB, Preset, SECOND, Setting, Shape, narrow_u16, narrow_usize};
use crate::config::limits::WhenQueueFull;

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "mqtt.subscriptions_total_max",
        flag: "mqtt-subscriptions-total-max",
        default: Preset::Text("1000000"),
        help: "Most subscriptions of all sessions; a device's own filter does not count.",
        reason: "Some 100 bytes each.",
        shape: Shape::Count {
            min: 1,
            max: 100_000_000,
            set: |config, n| config.mqtt.limits.sessions.subscriptions_total_max = narrow_usize(n),
        },
    },
    Setting {
        key: "mqtt.sessions_per_device_max",
        flag: "mqtt-sessions-per-device-max",
        default: Preset::Text("8"),
        help: "Most sessions of one device, here and away.",
        reason: "A device needs one; a stolen key must not fill the broker with sessions.",
        shape: Shape::Count {
            min: 1,
            max: 1_000_000,
            set: |config, n| config.mqtt.limits.sessions.per_device_max = narrow_usize(n),
        },
    },
    Setting {
        key: "mqtt.sessions_per_application_max",
        flag: "mqtt-sessions-per-application-max",
        default: Preset::Text("1000"),
        help: "Most sessions of one application, here and away.",
        reason: "The instances of a service that share its name.",
        shape: Shape::Count {
            min: 1,
            max: 10_000_000,
            set: |config, n| config.mqtt.limits.sessions.per_application_max = narrow_usize(n),
        },
    },
    Setting {
        key: "mqtt.message_expiry_max",
        flag: "mqtt-message-expiry-max",
        default: Preset::Text("1d"),
        help: "Longest time that a message waits for a client that is away; longer or absent expiries are cut to it.",
        reason: "A command of yesterday is not to be carried out today.",
        shape: Shape::Duration {
            min_ms: SECOND,
            max_ms: 365 * DAY,
            set: |config, d| config.mqtt.limits.sessions.message_expiry_max = d,
        },
    },
    Setting {
        key: "mqtt.will_delay_max",
        flag: "mqtt-will-delay-max",
        default: Preset::Text("1h"),
        help: "Longest delay of a will; longer ones are cut to it.",
        reason: "As long as the longest session: a will outlives none.",
        shape: Shape::Duration {
            min_ms: SECOND,
            max_ms: 30 * DAY,
            set: |config, d| config.mqtt.limits.sessions.will_delay_max = d,
        },
    },
    Setting {
        key: "mqtt.inflight_max",
        flag: "mqtt-inflight-max",
        default: Preset::Text("256"),
        help: "Most QoS 1 and 2 messages in flight to one client, whatever more it offers to take.",
        reason: "Full throughput at a round trip of some milliseconds; each is kept until it is acknowledged.",
        shape: Shape::Count {
            min: 1,
            max: 4_096,
            set: |config, n| config.mqtt.limits.queues.inflight_max = narrow_u16(n),
        },
    },
    Setting {
        key: "mqtt.queue_when_full",
        flag: "mqtt-queue-when-full",
        default: Preset::Text("drop_newest"),
        help: "What happens to a message for a session whose queue is full: `drop_newest` drops it, `drop_oldest` drops what waits longest. \
               Dropped messages are counted.",
        reason: "Commands make sense in their order from the first; where only the last state counts, the oldest may go.",
        shape: Shape::Choice {
            of: &["drop_newest", "drop_oldest"],
            set: |config, word| {
                config.mqtt.limits.queues.when_full = if word == "drop_newest" {
                    WhenQueueFull::DropNewest
                } else {
                    WhenQueueFull::DropOldest
                };
            },
        },
    },
    Setting {
        key: "mqtt.queue_messages_max",
        flag: "mqtt-queue-messages-max",
        default: Preset::Text("1000"),
        help: "Most messages that wait for one session, here or away; beyond, see mqtt.queue_when_full.",
        reason: "A slow subscriber costs its own queue and nobody else's.",
        shape: Shape::Count {
            min: 1,
            max: 60_000,
            set: |config, n| config.mqtt.limits.queues.messages_max = narrow_usize(n),
        },
    },
    Setting {
        key: "mqtt.queue_bytes_max",
        flag: "mqtt-queue-bytes-max",
        default: Preset::Text("1MiB"),
        help: "Most bytes that wait for one session.",
        reason: "The messages of its queue at a kibibyte each.",
        shape: Shape::Size {
            min: KIB,
            max: 16 * GIB,
            set: |config, n| config.mqtt.limits.queues.bytes_max = narrow_usize(n),
        },
    },
    Setting {
        key: "mqtt.queues_bytes_max",
        flag: "mqtt-queues-bytes-max",
        default: Preset::Text("256MiB"),
        help: "Most bytes that wait for all sessions.",
        reason: "What a node can spare; a message that waits for many sessions counts for each.",
        shape: Shape::Size {
            min: MIB,
            max: 1024 * GIB,
            set: |config, n| config.mqtt.limits.queues.total_bytes_max = narrow_usize(n),
        },
    },
    Setting {
        key: "mqtt.retained_messages_max",
        flag: "mqtt-retained-messages-max",
        default: Preset::Text("100000"),
        help: "Most retained messages; beyond, a new topic is refused (MQTT 5: 0x97).",
        reason: "One for each of a node's connections.",
        shape: Shape::Count {
            min: 1,
            max: 100_000_000,
            set: |config, n| config.mqtt.limits.retained.messages_max = narrow_usize(n),
        },
    },
    Setting {
        key: "mqtt.retained_bytes_max",
        flag: "mqtt-retained-bytes-max",
        default: Preset::Text("64MiB"),
        help: "Most bytes of retained messages, topics and payloads.",
        reason: "Over 600 bytes for each.",
        shape: Shape::Size {
            min: MIB,
            max: 1024 * GIB,
            set: |config, n| config.mqtt.limits.retained.bytes_max = narrow_usize(n),
        },
    },
    Setting {
        key: "mqtt.retained_payload_bytes_max",
        flag: "mqtt-retained-payload-bytes-max",
        default: Preset::Text("64KiB"),
        help: "Largest payload of a retained message.",
        reason: "Retained messages are states, not files.",
        shape: Shape::Size {
            min: 1,
            max: 256 * MIB,
            set: |config, n| config.mqtt.limits.retained.payload_bytes_max = narrow_usize(n),
        },
    },
];
