//! What the gateway tells the admin pages about itself: plain numbers, taken at once.

use serde::Serialize;

use crate::domain::Lane;

/// The gateway as the admin pages see it. Every call is cheap and does not block.
pub trait Status: Send + Sync + 'static {
    /// What is dead that should be alive; empty if every task runs.
    fn dead(&self) -> Vec<String>;
    /// Why nothing can be acknowledged now; empty if the spool takes writes and the broker listens.
    fn unready(&self) -> Vec<String>;
    /// Everything for the status page.
    fn report(&self) -> Report;
    /// Who runs into limits most.
    fn offenders(&self) -> OffendersReport;
}

/// The status page's content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The gateway's id at the platform.
    pub gateway_id: String,
    /// Its district.
    pub district: String,
    /// Version of the program.
    pub version: String,
    /// The spool's incarnation, hexadecimal.
    pub incarnation: String,
    /// Seconds since start.
    pub uptime_s: u64,
    /// Classes in force.
    pub classes: usize,
    /// MQTT connections now.
    pub connections: u64,
    /// Sockets that wait for their turn to become one.
    pub connects_waiting: u64,
    /// The lanes in order of precedence.
    pub lanes: Vec<LaneReport>,
    /// The uplink's streams.
    pub uplinks: Vec<UplinkReport>,
    /// What an operator should look at; empty if all is well.
    pub troubles: Vec<String>,
    /// Who runs into limits most.
    pub offenders: OffendersReport,
}

/// Who ran into limits most often since the start, most frequent first; bounded lists.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OffendersReport {
    /// Devices and applications.
    pub identities: Vec<OffenderReport>,
    /// Source addresses.
    pub addresses: Vec<OffenderReport>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OffenderReport {
    /// The identity or the address.
    pub name: String,
    /// How often, at most.
    pub count: u64,
    /// How much of the count may be others'.
    pub error: u64,
    /// The limit that it ran into last.
    pub limit: &'static str,
    /// When that was, RFC 3339.
    pub last_seen: String,
}

impl Report {
    /// Readings received since the spool was created, all lanes.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.received).sum()
    }

    /// Readings in the spool, all lanes.
    #[must_use]
    pub fn spooled(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.spooled).sum()
    }
}

/// One lane's ledger and backlog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LaneReport {
    /// Which lane.
    #[serde(serialize_with = "lane_name")]
    pub lane: Lane,
    /// Readings received since the spool was created.
    pub received: u64,
    /// Readings that the platform holds.
    pub delivered: u64,
    /// Readings in the spool.
    pub spooled: u64,
    /// Readings and payloads in quarantine.
    pub quarantined: u64,
    /// Readings suppressed by a rule.
    pub suppressed: u64,
    /// Readings dropped, by reason.
    pub dropped: Vec<DropReport>,
    /// Whether `received` is the sum of the others.
    pub balances: bool,
    /// Bytes of undelivered blocks.
    pub bytes: u64,
    /// Their bound.
    pub bytes_max: u64,
    /// Age of the oldest undelivered reading, seconds.
    pub oldest_age_s: u64,
}

/// Readings dropped for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DropReport {
    /// The reason's name.
    pub reason: &'static str,
    /// How many.
    pub readings: u64,
}

/// One stream to the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UplinkReport {
    /// The lanes that it carries, for example `telemetry+bulk`.
    pub lanes: String,
    /// The endpoint in use or tried last.
    pub platform: String,
    /// In a word or two: `connected`, `waiting 3 s after: …`.
    pub state: String,
    /// Whether it is connected.
    pub connected: bool,
    /// Bytes in flight.
    pub in_flight_bytes: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn lane_name<S: serde::Serializer>(lane: &Lane, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(lane.name())
}
