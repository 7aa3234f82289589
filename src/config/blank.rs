//! A configuration before its settings: every field empty. The table's setters fill it; a test holds that none is left.

use std::{path::PathBuf, time::Duration};

use super::{
    access::AuthConfig,
    limits::LimitsConfig,
    listener::ListenerDefaults,
    stages::{
        AdminConfig, Compression, Config, GroupCommit, LogConfig, LogFormat, MemoryConfig,
        MqttConfig, NodeConfig, NormaliseConfig, SessionsConfig, SparkplugGaps, SpoolConfig,
        StoreBounds, UplinkConfig, WhenFull,
    },
};
use crate::domain::LaneMap;

pub(super) fn blank() -> Config {
    Config {
        node: NodeConfig {
            gateway_id: String::new(),
            district: String::new(),
            stop_deadline: Duration::ZERO,
            worker_threads: 0,
            bound_file: None,
            watch_interval: Duration::ZERO,
        },
        log: LogConfig {
            format: LogFormat::Text,
            filter: String::new(),
        },
        mqtt: mqtt(),
        auth: AuthConfig::only(Vec::new()),
        normalise: NormaliseConfig {
            class_dir: None,
            profile_dir: None,
            memory: MemoryConfig {
                devices_max: 0,
                pieces_bytes_max: 0,
                pieces_deadline: Duration::ZERO,
                sparkplug_gaps: SparkplugGaps::Distrust,
            },
            readings_per_payload_max: 0,
            reading_bytes_max: 0,
            skew_max: Duration::ZERO,
        },
        sessions: SessionsConfig { group_bytes_max: 0 },
        spool: SpoolConfig {
            data_dir: PathBuf::new(),
            lanes: LaneMap::from_fn(|_| StoreBounds {
                bytes_max: 0,
                when_full: WhenFull::Refuse,
            }),
            group: GroupCommit {
                block_readings_max: 0,
                bytes_max: 0,
            },
            quarantine: StoreBounds {
                bytes_max: 0,
                when_full: WhenFull::DropOldest,
            },
            tail_bytes_max: 0,
            zstd_level: 0,
            wal_bytes_max: 0,
        },
        uplink: uplink(),
        admin: AdminConfig { listen: None },
    }
}

fn mqtt() -> MqttConfig {
    MqttConfig {
        listen: Vec::new(),
        listener_defaults: ListenerDefaults::default(),
        connections_max: 0,
        connections_per_address_max: 0,
        packet_bytes_max: 0,
        receive_max: 0,
        topic_alias_max: 0,
        keep_alive_max: Duration::ZERO,
        connect_deadline: Duration::ZERO,
        stall_deadline: Duration::ZERO,
        subscriptions_max: 0,
        session_expiry_max: Duration::ZERO,
        sessions_away_max: 0,
        limits: LimitsConfig::blank(),
    }
}

const fn uplink() -> UplinkConfig {
    UplinkConfig {
        platforms: Vec::new(),
        batch_bytes_max: 0,
        window_bytes_max: 0,
        backoff_min: Duration::ZERO,
        backoff_max: Duration::ZERO,
        connect_deadline: Duration::ZERO,
        batch_deadline: Duration::ZERO,
        keep_alive: Duration::ZERO,
        backlog_rate_max: 0,
        backlog_age: Duration::ZERO,
        compression: Compression::Off,
    }
}
