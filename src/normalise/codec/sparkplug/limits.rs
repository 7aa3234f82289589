//! Bounds of what is remembered, and how strict the sequence is.

/// What a gap in the sequence does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gaps {
    /// Aliases of the node and its devices mean nothing until they are born again: the message that was missed may
    /// have been a certificate.
    Distrust,
    /// A rebirth is asked for, aliases are kept meanwhile: for nodes whose aliases are known to be fixed.
    Keep,
    /// Nothing: for nodes that do not count.
    Ignore,
}

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
    pub(crate) gaps: Gaps,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            nodes_max: 20_000,
            scopes_max: 200_000,
            metrics_max: 20_000,
            bytes_max: 256 << 20,
            rebirth_every_s: 60,
            gaps: Gaps::Distrust,
        }
    }
}
