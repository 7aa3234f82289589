//! The gateway as the admin pages and systemd see it, put together from what each stage tells.

use std::{sync::Arc, time::Instant};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    admin::{
        DropReport, LaneReport, OffenderReport, OffendersReport, Report, Status, UplinkReport,
    },
    broker::{Handle, Offender},
    config::{NodeConfig, StoreBounds},
    domain::{Clock, DropReason, Lane, LaneMap},
    ingest::Ingest,
    spool::{SpoolHealth, SpoolReader},
    supervise::Liveness,
    uplink::{GroupStatus, StatusView},
    vault::VaultHealth,
};

/// What the composition root shows.
#[derive(Debug)]
pub(super) struct GatewayStatus {
    pub(super) node: NodeConfig,
    pub(super) bounds: LaneMap<StoreBounds>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) started: Instant,
    pub(super) tasks: Vec<Liveness>,
    pub(super) broker: Handle,
    pub(super) ingest: Arc<Ingest>,
    pub(super) spool: SpoolReader,
    pub(super) spool_health: SpoolHealth,
    pub(super) vault_health: VaultHealth,
    pub(super) uplink: StatusView,
}

impl Status for GatewayStatus {
    fn dead(&self) -> Vec<String> {
        if self.tasks.iter().all(Liveness::all_alive) {
            Vec::new()
        } else {
            vec!["a task has ended".to_owned()]
        }
    }

    fn unready(&self) -> Vec<String> {
        let mut reasons = self.dead();
        reasons.extend(self.spool_health.ailment());
        reasons.extend(self.vault_health.ailment());
        reasons
    }

    fn report(&self) -> Report {
        let groups = self.uplink.groups();
        Report {
            gateway_id: self.node.gateway_id.clone(),
            district: self.node.district.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            incarnation: self.spool.incarnation().to_string(),
            uptime_s: self.clock.steady().duration_since(self.started).as_secs(),
            classes: self.ingest.classes(),
            connections: u64::try_from(self.broker.connections()).unwrap_or(u64::MAX),
            connects_waiting: u64::try_from(self.broker.connects_waiting()).unwrap_or(u64::MAX),
            lanes: Lane::ALL.iter().map(|&lane| self.lane(lane)).collect(),
            troubles: self.troubles(&groups),
            uplinks: groups.into_iter().map(uplink).collect(),
            offenders: self.offenders(),
        }
    }

    fn offenders(&self) -> OffendersReport {
        let offenders = self.broker.offenders();
        let list = |list: Vec<Offender>| list.into_iter().map(offender).collect();
        OffendersReport {
            identities: list(offenders.identities),
            addresses: list(offenders.addresses),
        }
    }
}

impl GatewayStatus {
    fn lane(&self, lane: Lane) -> LaneReport {
        let state = self.spool.lane_state(lane);
        let ledger = self.spool.ledger().lanes[lane];
        let age = state
            .oldest_received_at
            .map_or(0, |oldest| self.clock.now().abs_diff(oldest).as_secs());
        let dropped = |&reason: &DropReason| DropReport {
            reason: reason.name(),
            readings: ledger.dropped(reason),
        };
        LaneReport {
            lane,
            received: ledger.received,
            delivered: ledger.delivered,
            spooled: ledger.spooled,
            quarantined: ledger.quarantined,
            suppressed: ledger.suppressed,
            dropped: DropReason::ALL.iter().map(dropped).collect(),
            balances: ledger.balances(),
            bytes: state.bytes,
            bytes_max: self.bounds[lane].bytes_max,
            oldest_age_s: age,
        }
    }

    fn troubles(&self, groups: &[GroupStatus]) -> Vec<String> {
        let mut troubles = self.unready();
        troubles.extend(self.broker.access_troubles());
        for group in groups.iter().filter(|group| group.connected.is_none()) {
            let why = group
                .last_error
                .as_ref()
                .map_or_else(|| "not connected yet".to_owned(), |(_, why)| why.clone());
            troubles.push(format!("no platform for {}: {why}", group.group));
        }
        for lane in Lane::ALL {
            if !self.spool.ledger().lanes[lane].balances() {
                troubles.push(format!("the ledger of lane {lane} does not balance"));
            }
        }
        troubles
    }
}

fn offender(offender: Offender) -> OffenderReport {
    let seconds = i64::try_from(offender.last_seen.0 / 1_000_000_000).unwrap_or(i64::MAX);
    let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    OffenderReport {
        name: offender.name,
        count: offender.count,
        error: offender.error,
        limit: offender.limit,
        last_seen: at.format(&Rfc3339).unwrap_or_default(),
    }
}

fn uplink(group: GroupStatus) -> UplinkReport {
    let state = match (&group.connected, &group.last_error) {
        (Some(_), _) => "connected".to_owned(),
        (None, Some((_, why))) => why.clone(),
        (None, None) => "connecting".to_owned(),
    };
    UplinkReport {
        lanes: group.group.to_owned(),
        connected: group.connected.is_some(),
        platform: group.connected.unwrap_or_default(),
        state,
        in_flight_bytes: u64::try_from(group.in_flight_bytes).unwrap_or(u64::MAX),
    }
}
