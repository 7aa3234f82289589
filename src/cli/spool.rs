//! `sensegate spool stat`: the data directory looked at from outside, also while the gateway runs.

use clap::ArgMatches;
use serde_json::{Value, json};

use super::{Exit, Failure, classes::print_json, print_plain, settled, sources, table};
use crate::{
    domain::{DropReason, Lane, UnixNanos},
    gateway::GatewayError,
    spool::{LaneLedger, SpoolError, SpoolStat, stat},
};

pub(super) fn spool(given: &ArgMatches) -> Result<(), Failure> {
    let Some((_, given)) = given.subcommand() else {
        return Err(Failure::new(Exit::Usage, "spool stat?"));
    };
    let stat = stat(&settled(&sources(given))?.spool.data_dir)?;
    if given.get_flag("json") {
        return print_json(&stat_json(&stat));
    }
    print_plain(&stat_text(&stat))
}

impl From<SpoolError> for Failure {
    fn from(error: SpoolError) -> Self {
        let error = GatewayError::from(error);
        Self::lines(error.exit_code(), vec![error.to_string()])
    }
}

fn stat_text(stat: &SpoolStat) -> String {
    let mut text = [stat_head(stat), stat_lanes(stat), stat_ledger(stat)].join("\n");
    for (reason, count) in &stat.quarantine {
        text.push_str(&format!("quarantined as {reason}: {count}\n"));
    }
    text
}

fn stat_head(stat: &SpoolStat) -> String {
    let incarnation = stat
        .incarnation
        .map_or_else(|| "none yet".to_owned(), |i| i.to_string());
    let bytes = |bytes: u64| format!("{bytes} bytes");
    let balances = if stat.balances { "yes" } else { "NO" };
    let rows = [
        ("incarnation", incarnation),
        ("format", stat.format_version.to_string()),
        ("table files", bytes(stat.table_bytes)),
        ("quarantine", bytes(stat.quarantine_bytes)),
        ("damaged", bytes(stat.damaged_bytes)),
        ("balances", balances.to_owned()),
    ];
    table(&rows.map(|(name, value)| vec![name.to_owned(), value]))
}

fn stat_lanes(stat: &SpoolStat) -> String {
    let head = [
        "LANE",
        "OLDEST",
        "NEXT",
        "READINGS",
        "BLOCKS",
        "GAPS",
        "BYTES",
        "RAW BYTES",
        "SINCE",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(stat.lanes.iter().map(|(name, lane)| {
        vec![
            name.to_string(),
            lane.oldest.to_string(),
            lane.next.to_string(),
            lane.readings.to_string(),
            lane.blocks.to_string(),
            lane.gaps.to_string(),
            lane.bytes.to_string(),
            lane.raw_bytes.to_string(),
            lane.oldest_received_at.map(time_text).unwrap_or_default(),
        ]
    }));
    table(&rows)
}

fn stat_ledger(stat: &SpoolStat) -> String {
    let head = [
        "LEDGER",
        "RECEIVED",
        "DELIVERED",
        "SPOOLED",
        "QUARANTINED",
        "SUPPRESSED",
        "DROPPED",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let lanes = stat.ledger.lanes.iter();
    rows.extend(lanes.map(|(lane, ledger)| ledger_row(lane.name(), ledger)));
    rows.push(ledger_row("all", &stat.ledger.total()));
    table(&rows)
}

fn ledger_row(name: &str, ledger: &LaneLedger) -> Vec<String> {
    let reasons: Vec<String> = DropReason::ALL
        .iter()
        .filter(|reason| ledger.dropped(**reason) > 0)
        .map(|reason| format!("{reason} {}", ledger.dropped(*reason)))
        .collect();
    let dropped = if reasons.is_empty() {
        "0".to_owned()
    } else {
        reasons.join(", ")
    };
    let mut row = vec![name.to_owned()];
    let numbers = [
        ledger.received,
        ledger.delivered,
        ledger.spooled,
        ledger.quarantined,
        ledger.suppressed,
    ];
    row.extend(numbers.map(|n| n.to_string()));
    row.push(dropped);
    row
}

fn stat_json(stat: &SpoolStat) -> Value {
    let lane = |lane: Lane| {
        let state = &stat.lanes[lane];
        json!({
            "lane": lane.name(),
            "oldest": state.oldest.0,
            "next": state.next.0,
            "readings": state.readings,
            "blocks": state.blocks,
            "gaps": state.gaps,
            "unreadable": state.unreadable,
            "bytes": state.bytes,
            "raw_bytes": state.raw_bytes,
            "oldest_received_at": state.oldest_received_at.map(time_text),
            "newest_received_at": state.newest_received_at.map(time_text),
            "ledger": ledger_json(&stat.ledger.lanes[lane]),
        })
    };
    let quarantine: serde_json::Map<String, Value> = stat
        .quarantine
        .iter()
        .map(|(reason, count)| (reason.name().to_owned(), json!(count)))
        .collect();
    json!({
        "incarnation": stat.incarnation.map(|incarnation| incarnation.to_string()),
        "format_version": stat.format_version,
        "balances": stat.balances,
        "lanes": Lane::ALL.map(lane),
        "total": ledger_json(&stat.ledger.total()),
        "quarantine": quarantine,
        "quarantine_bytes": stat.quarantine_bytes,
        "damaged_bytes": stat.damaged_bytes,
        "table_bytes": stat.table_bytes,
    })
}

fn ledger_json(ledger: &LaneLedger) -> Value {
    let dropped: serde_json::Map<String, Value> = DropReason::ALL
        .iter()
        .map(|reason| (reason.name().to_owned(), json!(ledger.dropped(*reason))))
        .collect();
    json!({
        "received": ledger.received,
        "delivered": ledger.delivered,
        "spooled": ledger.spooled,
        "quarantined": ledger.quarantined,
        "suppressed": ledger.suppressed,
        "dropped": dropped,
        "balances": ledger.balances(),
    })
}

pub(super) fn time_text(at: UnixNanos) -> String {
    time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0))
        .ok()
        .and_then(|at| {
            at.format(&time::format_description::well_known::Rfc3339)
                .ok()
        })
        .unwrap_or_else(|| at.0.to_string())
}

/// What a device wrote may hold what a terminal obeys.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
