//! What a profile may spell.

/// Names of heads.
pub(super) const HEADS: [&str; 5] = ["address", "type", "command", "serial", "error"];
/// Names of points.
pub(super) const POINTS: [&str; 12] = [
    "volume",
    "volume_settlement",
    "flow",
    "heat",
    "heat_settlement",
    "power",
    "supply_temperature",
    "return_temperature",
    "working_time",
    "time",
    "status",
    "extension",
];
/// Volumes of settlements.
pub(super) const HISTORY: [&str; 12] = [
    "volume_history1",
    "volume_history2",
    "volume_history3",
    "volume_history4",
    "volume_history5",
    "volume_history6",
    "volume_history7",
    "volume_history8",
    "volume_history9",
    "volume_history10",
    "volume_history11",
    "volume_history12",
];
