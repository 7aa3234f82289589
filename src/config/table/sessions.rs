//! Settings of what of the sessions survives a restart.

use super::{GIB, KIB, Preset, Setting, Shape, narrow_usize};

pub(super) const SETTINGS: &[Setting] = &[Setting {
    key: "sessions.group_bytes_max",
    flag: "sessions-group-bytes-max",
    default: Preset::Text("16MiB"),
    help: "Bytes of session records (queued messages, subscriptions, retained messages) that may wait for a commit; beyond, publishes that need one wait.",
    reason: "As for the spool: a second of the planned peak, while a commit takes 30 ms at worst.",
    shape: Shape::Size {
        min: 64 * KIB,
        max: GIB,
        set: |config, n| config.sessions.group_bytes_max = narrow_usize(n),
    },
}];
