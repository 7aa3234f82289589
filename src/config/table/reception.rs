//! Settings of reception: what MQTT clients may do, and what a payload may be.

use super::{
    DAY, HOUR, KIB, MIB, MINUTE, Preset, SECOND, Setting, Shape, narrow_u16, narrow_u32,
    narrow_usize, path,
};
use crate::config::stages::SparkplugGaps;

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "mqtt.connections_max",
        flag: "mqtt-connections-max",
        default: Preset::Text("100000"),
        help: "Most connections at once; beyond, new ones are closed. The limit of open files bounds it too.",
        reason: "At 2.5 KiB each 250 MB; a district of a million devices raises it together with LimitNOFILE.",
        shape: Shape::Count {
            min: 1,
            max: 10_000_000,
            set: |config, n| config.mqtt.connections_max = narrow_usize(n),
        },
    },
    Setting {
        key: "mqtt.connections_per_address_max",
        flag: "mqtt-connections-per-address-max",
        default: Preset::Text("100000"),
        help: "Most connections at once from one source address.",
        reason: "As many as in all: whole districts stand behind one address of a carrier's NAT. Lower it where that is not so.",
        shape: Shape::Count {
            min: 1,
            max: 10_000_000,
            set: |config, n| config.mqtt.connections_per_address_max = narrow_usize(n),
        },
    },
    Setting {
        key: "mqtt.packet_bytes_max",
        flag: "mqtt-packet-bytes-max",
        default: Preset::Text("1MiB"),
        help: "Largest packet taken; told to MQTT 5 clients. A larger one ends the connection.",
        reason: "A payload of 5 properties has 130 bytes; 1 MiB takes a concentrator's array of thousands.",
        shape: Shape::Size {
            min: KIB,
            max: 256 * MIB,
            set: |config, n| config.mqtt.packet_bytes_max = narrow_u32(n),
        },
    },
    Setting {
        key: "mqtt.receive_max",
        flag: "mqtt-receive-max",
        default: Preset::Text("64"),
        help: "Most QoS 1 and 2 publishes of one client that await acknowledgement; told to MQTT 5 clients.",
        reason: "A window of 10 already reaches full throughput; 64 leaves room for a long round trip.",
        shape: Shape::Count {
            min: 1,
            max: 65_535,
            set: |config, n| config.mqtt.receive_max = narrow_u16(n),
        },
    },
    Setting {
        key: "mqtt.topic_alias_max",
        flag: "mqtt-topic-alias-max",
        default: Preset::Text("8"),
        help: "Highest topic alias that a client may use; told to MQTT 5 clients. 0: none.",
        reason: "A device has two topics of its own; aliases cost memory per connection.",
        shape: Shape::Count {
            min: 0,
            max: 65_535,
            set: |config, n| config.mqtt.topic_alias_max = narrow_u16(n),
        },
    },
    Setting {
        key: "mqtt.keep_alive_max",
        flag: "mqtt-keep-alive-max",
        default: Preset::Text("20m"),
        help: "Longest keep-alive granted; longer or absent ones are replaced (MQTT 5) or enforced (3.1.1).",
        reason: "Carriers' NAT forgets idle connections within 5 to 30 minutes: a dead one must not be kept much longer.",
        shape: Shape::Duration {
            min_ms: 10 * SECOND,
            max_ms: 65_535 * SECOND,
            set: |config, d| config.mqtt.keep_alive_max = d,
        },
    },
    Setting {
        key: "mqtt.connect_deadline",
        flag: "mqtt-connect-deadline",
        default: Preset::Text("10s"),
        help: "How long a connection may take to send its CONNECT.",
        reason: "A narrow-band modem needs seconds; who needs more is no client.",
        shape: Shape::Duration {
            min_ms: 100,
            max_ms: 10 * MINUTE,
            set: |config, d| config.mqtt.connect_deadline = d,
        },
    },
    Setting {
        key: "mqtt.stall_deadline",
        flag: "mqtt-stall-deadline",
        default: Preset::Text("30s"),
        help: "How long a started packet may take to arrive, and a client to read what it is sent.",
        reason: "Bounds the buffers that slow senders and slow readers hold.",
        shape: Shape::Duration {
            min_ms: SECOND,
            max_ms: HOUR,
            set: |config, d| config.mqtt.stall_deadline = d,
        },
    },
    Setting {
        key: "mqtt.subscriptions_max",
        flag: "mqtt-subscriptions-max",
        default: Preset::Text("256"),
        help: "Most subscriptions of one session.",
        reason: "A device has one or two; an application with a filter for each of the city's 226 classes fits.",
        shape: Shape::Count {
            min: 1,
            max: 65_536,
            set: |config, n| config.mqtt.subscriptions_max = narrow_usize(n),
        },
    },
    Setting {
        key: "mqtt.session_expiry_max",
        flag: "mqtt-session-expiry-max",
        default: Preset::Text("1h"),
        help: "Longest session expiry granted to a client that goes away.",
        reason: "A session keeps packet ids of unfinished QoS 2 exchanges; after an hour a device starts afresh.",
        shape: Shape::Duration {
            min_ms: 0,
            max_ms: 30 * DAY,
            set: |config, d| config.mqtt.session_expiry_max = d,
        },
    },
    Setting {
        key: "mqtt.sessions_away_max",
        flag: "mqtt-sessions-away-max",
        default: Preset::Text("100000"),
        help: "Most sessions kept for clients that are away; beyond, the ones longest away go.",
        reason: "As many as connections: a whole network may drop at once and return.",
        shape: Shape::Count {
            min: 0,
            max: 10_000_000,
            set: |config, n| config.mqtt.sessions_away_max = narrow_usize(n),
        },
    },
    Setting {
        key: "normalise.class_dir",
        flag: "class-dir",
        default: Preset::Unset,
        help: "Folder of further .proto files with device classes, beside the embedded ones. Read again on SIGHUP and when a file in it changes.",
        reason: "The 226 classes of the city's catalogue are embedded.",
        shape: Shape::Text {
            named: "DIR",
            set: |config, text| {
                config.normalise.class_dir = Some(path(text)?);
                Ok(())
            },
        },
    },
    Setting {
        key: "normalise.profile_dir",
        flag: "profile-dir",
        default: Preset::Unset,
        help: "Folder of further profiles (*.toml, folders included), beside the embedded ones; one of the same id takes the embedded one's place. Read again on SIGHUP and when a file in it changes, all or nothing.",
        reason: "A profile for every class's usual format is embedded.",
        shape: Shape::Text {
            named: "DIR",
            set: |config, text| {
                config.normalise.profile_dir = Some(path(text)?);
                Ok(())
            },
        },
    },
    Setting {
        key: "normalise.devices_remembered_max",
        flag: "devices-remembered-max",
        default: Preset::Text("1000000"),
        help: "Devices whose alarms and last values (thresholds of classes, dead bands of profiles) are remembered; beyond, the ones longest silent are forgotten.",
        reason: "A district's devices; about 200 bytes each, and only for classes with thresholds or profiles with dead bands.",
        shape: Shape::Count {
            min: 1,
            max: 100_000_000,
            set: |config, n| config.normalise.memory.devices_max = narrow_usize(n),
        },
    },
    Setting {
        key: "normalise.pieces_bytes_max",
        flag: "pieces-bytes-max",
        default: Preset::Text("16MiB"),
        help: "Most bytes of frames and of messages in packets that wait for the rest of them; beyond, the oldest stay in quarantine as pieces.",
        reason: "A piece has some hundred bytes: room for tens of thousands of devices that are in the middle of a message.",
        shape: Shape::Size {
            min: 64 * KIB,
            max: 4096 * MIB,
            set: |config, n| config.normalise.memory.pieces_bytes_max = narrow_usize(n),
        },
    },
    Setting {
        key: "normalise.pieces_deadline",
        flag: "pieces-deadline",
        default: Preset::Text("60s"),
        help: "How long the beginning of a frame, or the packets of a message, wait for the rest; then they stay in quarantine as pieces.",
        reason: "A serial line at 2,400 baud needs a second for a frame, a narrow-band modem some for each packet; HJ 212 repeats a packet after 5 s, three times.",
        shape: Shape::Duration {
            min_ms: 100,
            max_ms: 60 * MINUTE,
            set: |config, d| config.normalise.memory.pieces_deadline = d,
        },
    },
    Setting {
        key: "normalise.sparkplug_gaps",
        flag: "sparkplug-gaps",
        default: Preset::Text("distrust"),
        help: "What a gap in a Sparkplug node's sequence does: its aliases mean nothing until it is born again, they are kept while that is asked for, or nothing.",
        reason: "The message that was missed may have been a certificate with other aliases; keep and ignore are for nodes whose aliases are known to be fixed.",
        shape: Shape::Choice {
            of: &["distrust", "keep", "ignore"],
            set: |config, word| config.normalise.memory.sparkplug_gaps = sparkplug_gaps(word),
        },
    },
    Setting {
        key: "normalise.readings_per_payload_max",
        flag: "readings-per-payload-max",
        default: Preset::Text("1024"),
        help: "Most readings in one payload; a longer array goes to quarantine.",
        reason: "As many as a block holds: one payload never takes more than one block's worth.",
        shape: Shape::Count {
            min: 1,
            max: 65_536,
            set: |config, n| config.normalise.readings_per_payload_max = narrow_usize(n),
        },
    },
    Setting {
        key: "normalise.reading_bytes_max",
        flag: "reading-bytes-max",
        default: Preset::Text("64KiB"),
        help: "Largest encoded reading; a larger one goes to quarantine.",
        reason: "The largest class of the catalogue encodes to under 1 KiB; the rest is room for unknown members.",
        shape: Shape::Size {
            min: KIB,
            max: MIB,
            set: |config, n| config.normalise.reading_bytes_max = narrow_usize(n),
        },
    },
    Setting {
        key: "normalise.skew_max",
        flag: "skew-max",
        default: Preset::Text("5m"),
        help: "Largest difference between a device's clock and the gateway's that is not flagged. Times are never rewritten.",
        reason: "Devices that keep time at all stay within minutes; beyond, the clock is wrong or the reading was held back.",
        shape: Shape::Duration {
            min_ms: SECOND,
            max_ms: 365 * DAY,
            set: |config, d| config.normalise.skew_max = d,
        },
    },
];

fn sparkplug_gaps(word: &str) -> SparkplugGaps {
    match word {
        "keep" => SparkplugGaps::Keep,
        "ignore" => SparkplugGaps::Ignore,
        _ => SparkplugGaps::Distrust,
    }
}
