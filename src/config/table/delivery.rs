//! Settings of delivery to the platform.

use super::{DAY, HOUR, KIB, MIB, MINUTE, Preset, SECOND, Setting, Shape, narrow_usize};
use crate::config::stages::Compression;

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "uplink.platforms",
        flag: "platform",
        default: Preset::Text("http://127.0.0.1:7443"),
        help: "Endpoint of the platform, `http://host:port`; repeatable, in order of preference.",
        reason: "The reference platform of the laboratory on this node. Until a platform answers, readings wait in the spool.",
        shape: Shape::List {
            named: "URL",
            set: |config, items| {
                if items.is_empty() {
                    return Err((
                        String::new(),
                        "is no endpoint: at least one is needed".to_owned(),
                    ));
                }
                for (at, item) in items.iter().enumerate() {
                    check_endpoint(item).map_err(|what| (item.clone(), what))?;
                    if items.iter().take(at).any(|earlier| earlier == item) {
                        return Err((item.clone(), "stands there twice".to_owned()));
                    }
                }
                config.uplink.platforms = items.to_vec();
                Ok(())
            },
        },
    },
    Setting {
        key: "uplink.batch_bytes_max",
        flag: "uplink-batch-bytes-max",
        default: Preset::Text("1MiB"),
        help: "Largest batch, before compression.",
        reason: "gRPC receivers take 4 MiB unless told otherwise; 1 MiB is some 8,000 readings and already amortises everything.",
        shape: Shape::Size {
            min: 64 * KIB,
            max: 3 * MIB,
            set: |config, n| config.uplink.batch_bytes_max = narrow_usize(n),
        },
    },
    Setting {
        key: "uplink.window_bytes_max",
        flag: "uplink-window-bytes-max",
        default: Preset::Text("8MiB"),
        help: "Bytes in flight per stream before an acknowledgement.",
        reason: "Eight batches: 100 ms of round trip at 80 MB/s.",
        shape: Shape::Size {
            min: 64 * KIB,
            max: 1024 * MIB,
            set: |config, n| config.uplink.window_bytes_max = narrow_usize(n),
        },
    },
    Setting {
        key: "uplink.backoff_min",
        flag: "uplink-backoff-min",
        default: Preset::Text("200ms"),
        help: "First pause after a failure; it doubles, with full jitter.",
        reason: "A platform that restarts is back within a second.",
        shape: Shape::Duration {
            min_ms: 10,
            max_ms: MINUTE,
            set: |config, d| config.uplink.backoff_min = d,
        },
    },
    Setting {
        key: "uplink.backoff_max",
        flag: "uplink-backoff-max",
        default: Preset::Text("30s"),
        help: "Longest pause between attempts; they never end.",
        reason: "23 gateways at one attempt in 15 s on average are nothing to the platform.",
        shape: Shape::Duration {
            min_ms: 10,
            max_ms: HOUR,
            set: |config, d| config.uplink.backoff_max = d,
        },
    },
    Setting {
        key: "uplink.connect_deadline",
        flag: "uplink-connect-deadline",
        default: Preset::Text("10s"),
        help: "How long connecting and the platform's first answer may take before the next endpoint is tried.",
        reason: "Longer than any healthy answer, short enough to fail over within a minute.",
        shape: Shape::Duration {
            min_ms: 100,
            max_ms: 10 * MINUTE,
            set: |config, d| config.uplink.connect_deadline = d,
        },
    },
    Setting {
        key: "uplink.batch_deadline",
        flag: "uplink-batch-deadline",
        default: Preset::Text("30s"),
        help: "How long a batch may stay unacknowledged before the stream is given up and begun again.",
        reason: "A platform stores a batch in milliseconds; half a minute is a stall.",
        shape: Shape::Duration {
            min_ms: SECOND,
            max_ms: HOUR,
            set: |config, d| config.uplink.batch_deadline = d,
        },
    },
    Setting {
        key: "uplink.keep_alive",
        flag: "uplink-keep-alive",
        default: Preset::Text("15s"),
        help: "Interval of HTTP/2 keep-alive pings.",
        reason: "Finds a dead link within half a minute; firewalls keep idle connections longer than that.",
        shape: Shape::Duration {
            min_ms: SECOND,
            max_ms: HOUR,
            set: |config, d| config.uplink.keep_alive = d,
        },
    },
    Setting {
        key: "uplink.backlog_rate_max",
        flag: "backlog-rate-max",
        default: Preset::Text("200000"),
        help: "Readings/s at which a backlog drains beside the live flow, per lane.",
        reason: "A day of a district (180 million readings) in a quarter of an hour, at a tenth of what the wire carries.",
        shape: Shape::Count {
            min: 1,
            max: 100_000_000,
            set: |config, n| config.uplink.backlog_rate_max = n,
        },
    },
    Setting {
        key: "uplink.backlog_age",
        flag: "backlog-age",
        default: Preset::Text("10s"),
        help: "Undelivered readings older than this are backlog: the live flow goes ahead of them.",
        reason: "A reconnect takes a second or two and is no backlog yet.",
        shape: Shape::Duration {
            min_ms: SECOND,
            max_ms: DAY,
            set: |config, d| config.uplink.backlog_age = d,
        },
    },
    Setting {
        key: "uplink.compression",
        flag: "uplink-compression",
        default: Preset::Text("zstd"),
        help: "Compression on the wire: `zstd`, if the platform takes it, or `off`.",
        reason: "Measured: 0.25 µs a reading for about a third of the bytes; links from districts are leased.",
        shape: Shape::Choice {
            of: &["zstd", "off"],
            set: |config, word| {
                config.uplink.compression = if word == "off" {
                    Compression::Off
                } else {
                    Compression::Zstd
                };
            },
        },
    },
];

/// `http://host:port`, nothing behind it: TLS is not offered yet, and a path would be ignored silently.
fn check_endpoint(text: &str) -> Result<(), String> {
    const FORM: &str = "is no endpoint of the form http://host:port";
    if text.starts_with("https://") {
        return Err("asks for TLS, which this version does not offer: http://host:port".to_owned());
    }
    let authority = text.strip_prefix("http://").ok_or(FORM)?;
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    let (host, port) = authority.rsplit_once(':').ok_or(FORM)?;
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let bracketed = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .is_some_and(|v6| v6.parse::<std::net::Ipv6Addr>().is_ok());
    if !(bracketed || (!host.is_empty() && host.chars().all(bare))) {
        return Err(FORM.to_owned());
    }
    match port.parse::<u16>() {
        Ok(1..) => Ok(()),
        _ => Err(format!("{FORM}: {port:?} is no port")),
    }
}
