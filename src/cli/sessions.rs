//! `sensegate sessions stat`: what of the MQTT sessions is on disk, looked at from outside, also while the gateway runs.

use clap::ArgMatches;
use serde_json::{Value, json};

use super::{Exit, Failure, classes::print_json, print_plain, settled, sources, table};
use crate::{
    gateway::GatewayError,
    vault::{KindStat, VaultError, stat},
};

pub(super) fn sessions(given: &ArgMatches) -> Result<(), Failure> {
    let Some((_, given)) = given.subcommand() else {
        return Err(Failure::new(Exit::Usage, "sessions stat?"));
    };
    let kinds = stat(&settled(&sources(given))?.spool.data_dir)?;
    if given.get_flag("json") {
        return print_json(&stat_json(&kinds));
    }
    let mut rows = vec![
        ["RECORDS OF", "NUMBER", "BYTES"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(kinds.iter().map(|kind| {
        vec![
            kind.name.to_string(),
            kind.records.to_string(),
            kind.bytes.to_string(),
        ]
    }));
    let (records, bytes) = total(&kinds);
    rows.push(vec![
        "all".to_owned(),
        records.to_string(),
        bytes.to_string(),
    ]);
    print_plain(&table(&rows))
}

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        let error = GatewayError::from(error);
        Self::lines(error.exit_code(), vec![error.to_string()])
    }
}

fn stat_json(kinds: &[KindStat]) -> Value {
    let kind = |kind: &KindStat| {
        json!({
            "kind": kind.kind,
            "name": kind.name,
            "records": kind.records,
            "bytes": kind.bytes,
        })
    };
    let (records, bytes) = total(kinds);
    json!({
        "kinds": kinds.iter().map(kind).collect::<Vec<_>>(),
        "records": records,
        "bytes": bytes,
    })
}

fn total(kinds: &[KindStat]) -> (u64, u64) {
    kinds.iter().fold((0, 0), |(records, bytes), kind| {
        (records + kind.records, bytes + kind.bytes)
    })
}
