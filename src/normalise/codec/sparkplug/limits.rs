//! Bounds of what is remembered, and how strict the sequence is.

use crate::config::SparkplugGaps;

/// Bounds, and how strict the sequence is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Most nodes; the least recently used goes first.
    pub(crate) nodes_max: usize,
    /// Most scopes: nodes and devices with a certificate; the least recently used goes first.
    pub(crate) scopes_max: usize,
    /// Most metrics of one certificate.
    pub(crate) metrics_max: usize,
    /// Most bytes of all certificates; the least recently used goes first.
    pub(crate) bytes_max: usize,
    /// Least time between two rebirth requests to one node: a rebirth is every certificate of the node.
    pub(crate) rebirth_every_s: u32,
    /// What a gap in the sequence does.
    pub(crate) gaps: SparkplugGaps,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            nodes_max: 20_000,
            scopes_max: 200_000,
            metrics_max: 20_000,
            bytes_max: 256 << 20,
            rebirth_every_s: 60,
            gaps: SparkplugGaps::Distrust,
        }
    }
}
