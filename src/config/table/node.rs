//! Settings of the node itself: its name, its logs, its admin address.

use std::thread::available_parallelism;

use super::{HOUR, Preset, SECOND, Setting, Shape, address, narrow_usize};
use crate::{config::stages::LogFormat, domain::DeviceId};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "node.gateway_id",
        flag: "gateway-id",
        default: Preset::Found {
            named: "the host's name",
            find: host_name,
        },
        help: "Id of this gateway at the platform, unique in the city.",
        reason: "A host's name is unique in a well-kept network; the platform keeps sequences by it, so it must not change once readings were sent.",
        shape: Shape::Text {
            named: "ID",
            set: |config, text| {
                DeviceId::new(text).map_err(|error| format!("is no id: {error}"))?;
                text.clone_into(&mut config.node.gateway_id);
                Ok(())
            },
        },
    },
    Setting {
        key: "node.district",
        flag: "district",
        default: Preset::Text("000000"),
        help: "District that this gateway serves: code of GB/T 2260, or a local zone code.",
        reason: "Not assigned: readings are taken and delivered, but the platform cannot file them by district until this is set.",
        shape: Shape::Text {
            named: "CODE",
            set: |config, text| {
                let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
                if text.is_empty() || text.len() > 32 || !text.chars().all(plain) {
                    return Err(
                        "is no district code: 1 to 32 letters, digits, `-`, `_`, `.`".to_owned(),
                    );
                }
                text.clone_into(&mut config.node.district);
                Ok(())
            },
        },
    },
    Setting {
        key: "node.stop_deadline",
        flag: "stop-deadline",
        default: Preset::Text("20s"),
        help: "How long an orderly stop may take: owed acknowledgements sent, the spool synced, batches settled.",
        reason: "A commit takes 30 ms at worst and a batch a second; the rest is reserve, well below systemd's 90 s.",
        shape: Shape::Duration {
            min_ms: SECOND,
            max_ms: HOUR,
            set: |config, d| config.node.stop_deadline = d,
        },
    },
    Setting {
        key: "node.worker_threads",
        flag: "worker-threads",
        default: Preset::Found {
            named: "the number of CPUs",
            find: cpus,
        },
        help: "Threads of the asynchronous runtime.",
        reason: "Connections and normalising are CPU work; more threads than CPUs only add switches.",
        shape: Shape::Count {
            min: 1,
            max: 1024,
            set: |config, n| config.node.worker_threads = narrow_usize(n),
        },
    },
    Setting {
        key: "node.bound_file",
        flag: "bound-file",
        default: Preset::Unset,
        help: "File in which to write the addresses that were bound, as JSON, once they are: {\"listeners\": [URLs], \"mqtt\": [those of plain TCP], \"admin\": ...}.",
        reason: "Of use only where a port is 0, the system's choice.",
        shape: Shape::Text {
            named: "FILE",
            set: |config, text| {
                if text.is_empty() || text.contains('\0') {
                    return Err("is no path".to_owned());
                }
                config.node.bound_file = Some(text.into());
                Ok(())
            },
        },
    },
    Setting {
        key: "node.watch_interval",
        flag: "watch-interval",
        default: Preset::Text("5s"),
        help: "How often files that may change while running (certificates, keys, revocation lists, classes, profiles) are looked at; a change counts \
               once two looks agree. SIGHUP reads them at once.",
        reason: "A look at a dozen files costs microseconds; a revocation should not wait.",
        shape: Shape::Duration {
            min_ms: 50,
            max_ms: HOUR,
            set: |config, d| config.node.watch_interval = d,
        },
    },
    Setting {
        key: "log.format",
        flag: "log-format",
        default: Preset::Text("text"),
        help: "Form of the log lines on standard error: for people, or one JSON object a line.",
        reason: "The journal is read by people first.",
        shape: Shape::Choice {
            of: &["text", "json"],
            set: |config, word| {
                config.log.format = if word == "json" {
                    LogFormat::Json
                } else {
                    LogFormat::Text
                };
            },
        },
    },
    Setting {
        key: "log.level",
        flag: "log-level",
        default: Preset::Text("info"),
        help: "What is logged: a level (off, error, warn, info, debug, trace), or levels by module, \
               for example `info,sensegate::uplink=debug`. Read again on SIGHUP.",
        reason: "Info is quiet: a line per change of state, none per reading or connection.",
        shape: Shape::Text {
            named: "FILTER",
            set: |config, text| {
                check_filter(text)?;
                text.clone_into(&mut config.log.filter);
                Ok(())
            },
        },
    },
    Setting {
        key: "admin.listen",
        flag: "admin-listen",
        default: Preset::Text("127.0.0.1:9464"),
        help: "Address of /metrics, /healthz, /readyz and the status page; `off` for none.",
        reason: "Only this node: the pages have no authentication. 9464 is the customary port of an application's exporter.",
        shape: Shape::Text {
            named: "ADDRESS",
            set: |config, text| {
                config.admin.listen = match text {
                    "off" => None,
                    _ => Some(address(text)?),
                };
                Ok(())
            },
        },
    },
];

/// The first label of the host's name, with what no id may hold replaced.
fn host_name() -> String {
    let uname = rustix::system::uname();
    let name: String = uname
        .nodename()
        .to_string_lossy()
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') {
                c
            } else {
                '-'
            }
        })
        .collect();
    if name.is_empty() {
        "sensegate".to_owned()
    } else {
        name
    }
}

fn cpus() -> String {
    available_parallelism().map_or(2, usize::from).to_string()
}

fn check_filter(filter: &str) -> Result<(), String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    for directive in filter.split(',') {
        let level = directive
            .rsplit_once('=')
            .map_or(directive, |(_, level)| level);
        if !LEVELS.contains(&level.trim().to_lowercase().as_str()) {
            return Err(format!(
                "holds {level:?}, which is no level: {}",
                LEVELS.join(", ")
            ));
        }
    }
    Ok(())
}
