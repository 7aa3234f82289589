//! Settings of the durable queue: where it lies, its bounds per lane, its group commit.

use std::path::PathBuf;

use super::{GIB, KIB, MIB, Preset, Setting, Shape, TIB, narrow_usize};
use crate::{
    config::stages::{Config, WhenFull},
    domain::Lane,
};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "spool.data_dir",
        flag: "data-dir",
        default: Preset::Text("/var/lib/sensegate"),
        help: "Where everything durable lives; one gateway at a time.",
        reason: "The Filesystem Hierarchy Standard's place, and systemd's StateDirectory.",
        shape: Shape::Text {
            named: "DIR",
            set: |config, text| {
                if text.is_empty() || text.contains('\0') {
                    return Err("is no path".to_owned());
                }
                config.spool.data_dir = PathBuf::from(text);
                Ok(())
            },
        },
    },
    Setting {
        key: "spool.quarantine_bytes_max",
        flag: "quarantine-bytes-max",
        default: Preset::Text("256MiB"),
        help: "Most bytes kept in quarantine; what happens beyond says spool.quarantine_when_full.",
        reason: "A million bad payloads: enough to find what is wrong, too little to push out what is right.",
        shape: Shape::Size {
            min: MIB,
            max: TIB,
            set: |config, n| config.spool.quarantine.bytes_max = n,
        },
    },
    Setting {
        key: "spool.quarantine_when_full",
        flag: "quarantine-when-full",
        default: Preset::Text("drop-oldest"),
        help: "What happens when the quarantine is full: `drop-oldest` entries, counted as dropped, or `refuse` what cannot be read (0x97), \
               so that nothing acknowledged leaves it without an operator. What the platform refuses, which is acknowledged already, \
               still takes the place of the oldest.",
        reason: "A device with a fault sends for ever: refused, MQTT 3.1.1 devices would wait with their good readings behind it.",
        shape: Shape::Choice {
            of: &["refuse", "drop-oldest"],
            set: |config, word| config.spool.quarantine.when_full = when_full(word),
        },
    },
    Setting {
        key: "spool.tail_bytes_max",
        flag: "spool-tail-bytes-max",
        default: Preset::Text("32MiB"),
        help: "Freshly committed blocks kept in memory, so that the uplink in step with the flow reads no disk.",
        reason: "Two full groups.",
        shape: Shape::Size {
            min: 0,
            max: 4 * GIB,
            set: |config, n| config.spool.tail_bytes_max = narrow_usize(n),
        },
    },
    Setting {
        key: "spool.zstd_level",
        flag: "spool-zstd-level",
        default: Preset::Text("1"),
        help: "zstd level of blocks on disk.",
        reason: "Measured: level 1 halves the bytes at 0.3 µs a reading; higher levels cost more than they save.",
        shape: Shape::Count {
            min: 1,
            max: 19,
            set: |config, n| config.spool.zstd_level = i32::try_from(n).unwrap_or(1),
        },
    },
    Setting {
        key: "spool.wal_bytes_max",
        flag: "spool-wal-bytes-max",
        default: Preset::Text("192MiB"),
        help: "Bound of RocksDB's write-ahead log.",
        reason: "Opening after a crash reads it: 0.4 s at 117 MB, 1.9 s at 503 MB.",
        shape: Shape::Size {
            min: 16 * MIB,
            max: 16 * GIB,
            set: |config, n| config.spool.wal_bytes_max = n,
        },
    },
    Setting {
        key: "spool.group.block_readings_max",
        flag: "block-readings-max",
        default: Preset::Text("1024"),
        help: "Readings after which a block is closed.",
        reason: "Measured: 1,024 readings and zstd give 2.0 M readings/s synced; larger blocks gain nothing.",
        shape: Shape::Count {
            min: 1,
            max: 65_536,
            set: |config, n| config.spool.group.block_readings_max = narrow_usize(n),
        },
    },
    Setting {
        key: "spool.group.bytes_max",
        flag: "group-bytes-max",
        default: Preset::Text("16MiB"),
        help: "Bytes that may wait for a commit, all lanes; beyond, sockets are not read.",
        reason: "A second of the whole city's planned peak (111,000 readings/s at 130 bytes) while a commit takes 30 ms at worst.",
        shape: Shape::Size {
            min: 64 * KIB,
            max: GIB,
            set: |config, n| config.spool.group.bytes_max = narrow_usize(n),
        },
    },
    lane_bytes(
        Lane::Alarm,
        "2GiB",
        "At 30 bytes a compressed alarm some 70 million: alarms of weeks without a platform.",
    ),
    lane_when_full(
        Lane::Alarm,
        "refuse",
        "An alarm is never dropped: its sender keeps it.",
    ),
    lane_bytes(
        Lane::Telemetry,
        "16GiB",
        "A district's 2,070 readings/s at 60 bytes fill it in 36 hours without a platform.",
    ),
    lane_when_full(
        Lane::Telemetry,
        "drop-oldest",
        "The city wants to know how it is now; a gap record tells the platform what is missing.",
    ),
    lane_bytes(
        Lane::Bulk,
        "4GiB",
        "What can wait is seldom and gives way first.",
    ),
    lane_when_full(
        Lane::Bulk,
        "drop-oldest",
        "As for telemetry: the newest is worth most.",
    ),
];

const fn lane_bytes(lane: Lane, default: &'static str, reason: &'static str) -> Setting {
    type Set = fn(&mut Config, u64);
    let (key, flag, help, set): (_, _, _, Set) = match lane {
        Lane::Alarm => (
            "spool.lanes.alarm.bytes_max",
            "lane-alarm-bytes-max",
            "Most bytes of undelivered alarms on disk.",
            |config, n| config.spool.lanes.alarm.bytes_max = n,
        ),
        Lane::Telemetry => (
            "spool.lanes.telemetry.bytes_max",
            "lane-telemetry-bytes-max",
            "Most bytes of undelivered telemetry on disk.",
            |config, n| config.spool.lanes.telemetry.bytes_max = n,
        ),
        Lane::Bulk => (
            "spool.lanes.bulk.bytes_max",
            "lane-bulk-bytes-max",
            "Most bytes of undelivered bulk readings on disk.",
            |config, n| config.spool.lanes.bulk.bytes_max = n,
        ),
    };
    Setting {
        key,
        flag,
        default: Preset::Text(default),
        help,
        reason,
        shape: Shape::Size {
            min: MIB,
            max: 64 * TIB,
            set,
        },
    }
}

const fn lane_when_full(lane: Lane, default: &'static str, reason: &'static str) -> Setting {
    type Set = fn(&mut Config, &str);
    let (key, flag, help, set): (_, _, _, Set) = match lane {
        Lane::Alarm => (
            "spool.lanes.alarm.when_full",
            "lane-alarm-when-full",
            "What happens when the alarm lane is full: `refuse` new readings, or `drop-oldest` and record the gap.",
            |config, word| config.spool.lanes.alarm.when_full = when_full(word),
        ),
        Lane::Telemetry => (
            "spool.lanes.telemetry.when_full",
            "lane-telemetry-when-full",
            "What happens when the telemetry lane is full: `refuse` or `drop-oldest`.",
            |config, word| config.spool.lanes.telemetry.when_full = when_full(word),
        ),
        Lane::Bulk => (
            "spool.lanes.bulk.when_full",
            "lane-bulk-when-full",
            "What happens when the bulk lane is full: `refuse` or `drop-oldest`.",
            |config, word| config.spool.lanes.bulk.when_full = when_full(word),
        ),
    };
    Setting {
        key,
        flag,
        default: Preset::Text(default),
        help,
        reason,
        shape: Shape::Choice {
            of: &["refuse", "drop-oldest"],
            set,
        },
    }
}

fn when_full(word: &str) -> WhenFull {
    match word {
        "drop-oldest" => WhenFull::DropOldest,
        _ => WhenFull::Refuse,
    }
}
