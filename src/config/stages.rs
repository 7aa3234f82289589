//! What each stage is told, validated. Units are in the names; limits carry their reasons in the settings table.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use super::{
    access::AuthConfig,
    limits::LimitsConfig,
    listener::{ListenerConfig, ListenerDefaults},
};
use crate::domain::LaneMap;

/// The whole configuration; only the command line and the composition root see it.
#[derive(Debug, Clone)]
pub struct Config {
    /// Who this gateway is and how it runs.
    pub node: NodeConfig,
    /// Logging.
    pub log: LogConfig,
    /// The MQTT listeners and sessions.
    pub mqtt: MqttConfig,
    /// Who may connect, and what they may do.
    pub auth: AuthConfig,
    /// Classes and payload limits.
    pub normalise: NormaliseConfig,
    /// What of the sessions survives a restart.
    pub sessions: SessionsConfig,
    /// The durable queue.
    pub spool: SpoolConfig,
    /// Delivery to the platform.
    pub uplink: UplinkConfig,
    /// Metrics, health and status.
    pub admin: AdminConfig,
}

/// Who this gateway is and how it runs.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// The gateway's id at the platform, unique in the city.
    pub gateway_id: String,
    /// District code (GB/T 2260 or a local zone code).
    pub district: String,
    /// How long an orderly stop may take.
    pub stop_deadline: Duration,
    /// Threads of the asynchronous runtime.
    pub worker_threads: usize,
    /// Where the addresses that were bound are written, as JSON, once the gateway is ready.
    pub bound_file: Option<PathBuf>,
    /// How often files that may change while running are looked at.
    pub watch_interval: Duration,
}

/// Form of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Logging.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// Form of the lines.
    pub format: LogFormat,
    /// A `tracing` filter, for example `info` or `info,sensegate::uplink=debug`.
    pub filter: String,
}

/// The MQTT listeners and sessions.
#[derive(Debug, Clone)]
pub struct MqttConfig {
    /// Where to listen.
    pub listen: Vec<ListenerConfig>,
    /// What listeners took that did not say otherwise.
    pub listener_defaults: ListenerDefaults,
    /// Most connections at once.
    pub connections_max: usize,
    /// Most connections at once from one source address.
    pub connections_per_address_max: usize,
    /// Largest packet taken, bytes; told to MQTT 5 clients.
    pub packet_bytes_max: u32,
    /// Most `QoS` 1 and 2 publishes of one client awaiting acknowledgement; told to MQTT 5 clients.
    pub receive_max: u16,
    /// Highest topic alias that a client may use; told to MQTT 5 clients.
    pub topic_alias_max: u16,
    /// Longest keep-alive granted; longer or absent ones are replaced (MQTT 5) or enforced (3.1.1).
    pub keep_alive_max: Duration,
    /// How long a connection may take to send its CONNECT.
    pub connect_deadline: Duration,
    /// How long a started packet may take to arrive, and a client may take to read what it is sent.
    pub stall_deadline: Duration,
    /// Most subscriptions of one session.
    pub subscriptions_max: usize,
    /// Longest session expiry granted.
    pub session_expiry_max: Duration,
    /// Most sessions kept for clients that are away.
    pub sessions_away_max: usize,
    /// What a client may cost.
    pub limits: LimitsConfig,
}

/// Classes and payload limits.
#[derive(Debug, Clone)]
pub struct NormaliseConfig {
    /// Folder of further .proto files with classes.
    pub class_dir: Option<PathBuf>,
    /// Folder of further profiles.
    pub profile_dir: Option<PathBuf>,
    /// What is remembered of devices.
    pub memory: MemoryConfig,
    /// Most readings in one payload.
    pub readings_per_payload_max: usize,
    /// Largest encoded reading, bytes.
    pub reading_bytes_max: usize,
    /// Largest difference between a device's clock and the gateway's that is not flagged.
    pub skew_max: Duration,
}

/// What is remembered of devices from payload to payload.
#[derive(Debug, Clone, Copy)]
pub struct MemoryConfig {
    /// Devices whose alarms and dead bands are remembered.
    pub devices_max: usize,
    /// Bytes of frames and messages of which a part has come.
    pub pieces_bytes_max: usize,
    /// How long a part waits for the rest.
    pub pieces_deadline: Duration,
    /// What a gap in a Sparkplug node's sequence does.
    pub sparkplug_gaps: SparkplugGaps,
}

/// What a gap in a Sparkplug node's sequence does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SparkplugGaps {
    /// Aliases of the node and its devices mean nothing until they are born again: the message that was missed may
    /// have been a certificate.
    Distrust,
    /// A rebirth is asked for, aliases are kept meanwhile: for nodes whose aliases are known to be fixed.
    Keep,
    /// Nothing: for nodes that do not count.
    Ignore,
}

/// What happens when a lane, or the quarantine, has reached its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// New readings are refused: reason code 0x97 (MQTT 5), or the socket is no longer read.
    Refuse,
    /// The oldest undelivered readings make room; a gap record tells the platform. In quarantine the oldest entries do.
    DropOldest,
}

/// Bound of one lane, or of the quarantine.
#[derive(Debug, Clone, Copy)]
pub struct StoreBounds {
    /// Most bytes of undelivered blocks, or of entries, on disk.
    pub bytes_max: u64,
    /// What happens beyond.
    pub when_full: WhenFull,
}

/// Limits of a group commit.
#[derive(Debug, Clone, Copy)]
pub struct GroupCommit {
    /// Readings after which a block is closed.
    pub block_readings_max: usize,
    /// Bytes that may wait for a commit, all lanes; beyond, sockets are not read.
    pub bytes_max: usize,
}

/// The durable queue.
#[derive(Debug, Clone)]
pub struct SpoolConfig {
    /// Where everything durable lives.
    pub data_dir: PathBuf,
    /// Bounds per lane.
    pub lanes: LaneMap<StoreBounds>,
    /// Group commit.
    pub group: GroupCommit,
    /// Bound of the quarantine.
    pub quarantine: StoreBounds,
    /// Bytes of freshly committed blocks kept in memory for the uplink.
    pub tail_bytes_max: usize,
    /// zstd level of blocks.
    pub zstd_level: i32,
    /// Bound of `RocksDB`'s write-ahead log, bytes.
    pub wal_bytes_max: u64,
}

/// What of the sessions survives a restart.
#[derive(Debug, Clone)]
pub struct SessionsConfig {
    /// Bytes of their records that may wait for a commit; beyond, publishes that need one wait.
    pub group_bytes_max: usize,
}

/// Delivery to the platform.
#[derive(Debug, Clone)]
pub struct UplinkConfig {
    /// Endpoints in order of preference, `http://host:port`.
    pub platforms: Vec<String>,
    /// Largest batch, bytes.
    pub batch_bytes_max: usize,
    /// Bytes in flight per stream before an acknowledgement.
    pub window_bytes_max: usize,
    /// First pause after a failure; doubles, with full jitter.
    pub backoff_min: Duration,
    /// Longest pause.
    pub backoff_max: Duration,
    /// How long connecting and the first answer may take.
    pub connect_deadline: Duration,
    /// How long a batch may stay unacknowledged before the stream is given up.
    pub batch_deadline: Duration,
    /// Interval of HTTP/2 keep-alive pings.
    pub keep_alive: Duration,
    /// Readings/s at which a backlog drains beside the live flow, per lane.
    pub backlog_rate_max: u64,
    /// Undelivered readings older than this are backlog: the live flow goes ahead of them.
    pub backlog_age: Duration,
    /// zstd on the wire.
    pub compression: Compression,
}

/// Compression on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// None.
    Off,
    /// zstd, if the platform takes it.
    Zstd,
}

/// Metrics, health and status.
#[derive(Debug, Clone)]
pub struct AdminConfig {
    /// Where /metrics, /healthz, /readyz and the status page are served; none: nowhere.
    pub listen: Option<SocketAddr>,
}
