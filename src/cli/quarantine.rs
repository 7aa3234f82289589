//! `sensegate quarantine`: what could not be read, listed, shown, exported, read again and thrown away. Looking needs the
//! data directory alone; changes go through the gateway that runs, or through the spool if none does.

use std::io::{self, Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::ArgMatches;
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    Exit, Failure,
    classes::print_json,
    print_plain, settled, sources,
    spool::{printable, time_text},
    table,
};
use crate::{
    config::parse_duration,
    domain::{Clock as _, QuarantineReason, SystemClock, UnixNanos},
    gateway::{self, Action, By, Earnest, GatewayError, Request, Summary},
    spool::{QuarantineSight, Quarantined, Selection},
};

/// Bytes of a line of `show`.
const DUMP_WIDTH: usize = 16;

pub(super) fn quarantine(given: &ArgMatches) -> Result<(), Failure> {
    match given.subcommand() {
        Some(("list", given)) => list(given),
        Some(("show", given)) => show(given),
        Some(("export", given)) => export(given),
        Some(("replay", given)) if given.get_flag("vouch") => change(given, Action::ReplayVouched),
        Some(("replay", given)) => change(given, Action::Replay),
        Some(("purge", given)) => change(given, Action::Purge),
        _ => Err(Failure::new(
            Exit::Usage,
            "quarantine list, show, export, replay or purge?",
        )),
    }
}

impl From<GatewayError> for Failure {
    fn from(error: GatewayError) -> Self {
        Self::lines(error.exit_code(), vec![error.to_string()])
    }
}

fn list(given: &ArgMatches) -> Result<(), Failure> {
    let wanted = selection(given)?;
    let mut entries = Vec::new();
    each(given, &wanted, |entry| {
        entries.push(entry);
        Ok(())
    })?;
    if given.get_flag("json") {
        return print_json(&entries.iter().map(entry_json).collect());
    }
    let head = [
        "NUMBER", "RECEIVED", "LANE", "REASON", "CLASS", "DEVICE", "CLIENT", "BYTES", "DETAIL",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(entries.iter().map(|entry| {
        vec![
            entry.id.to_string(),
            time_text(entry.received_at),
            entry.lane.to_string(),
            entry.reason.to_string(),
            printable(&entry.class),
            printable(&entry.device),
            printable(&entry.client),
            entry.payload.len().to_string(),
            printable(&entry.detail),
        ]
    }));
    print_plain(&table(&rows))
}

fn show(given: &ArgMatches) -> Result<(), Failure> {
    let id = given.get_one::<u64>("id").copied().unwrap_or_default();
    let wanted = Selection {
        ids: vec![id],
        from: id,
        limit: Some(1),
        ..Selection::default()
    };
    let mut found = None;
    each(given, &wanted, |entry| {
        found = Some(entry);
        Ok(())
    })?;
    let entry = found.ok_or_else(|| {
        let line =
            format!("entry {id} is not in quarantine; `sensegate quarantine list` lists them");
        Failure::new(Exit::Data, line)
    })?;
    if given.get_flag("json") {
        return print_json(&entry_json(&entry));
    }
    let rows = [
        ("number", entry.id.to_string()),
        ("received", time_text(entry.received_at)),
        ("lane", entry.lane.to_string()),
        ("reason", entry.reason.to_string()),
        ("detail", printable(&entry.detail)),
        ("class", printable(&entry.class)),
        ("device", printable(&entry.device)),
        ("client", printable(&entry.client)),
        ("topic", printable(&entry.topic)),
        ("kind", kind(&entry).to_owned()),
        ("bytes", entry.payload.len().to_string()),
    ];
    let head = table(&rows.map(|(name, value)| vec![name.to_owned(), value]));
    print_plain(&format!("{head}\n{}", dump(&entry.payload)))
}

/// Bytes as digits and, where they are ASCII, as text.
fn dump(bytes: &[u8]) -> String {
    let mut out = String::new();
    for (at, line) in bytes.chunks(DUMP_WIDTH).enumerate() {
        let digits: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let text: String = line
            .iter()
            .map(|byte| match byte {
                0x20..=0x7E => char::from(*byte),
                _ => '.',
            })
            .collect();
        let (digits, width) = (digits.join(" "), DUMP_WIDTH * 3);
        out.push_str(&format!(
            "{:08x}  {digits:width$} {text}\n",
            at * DUMP_WIDTH
        ));
    }
    out
}

fn export(given: &ArgMatches) -> Result<(), Failure> {
    let wanted = selection(given)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let failed = |error: &io::Error| Failure::new(Exit::Io, format!("standard output: {error}"));
    each(given, &wanted, |entry| {
        let mut shown = described(&entry);
        if let Value::Object(members) = &mut shown {
            members.insert(
                "payload_base64".to_owned(),
                STANDARD.encode(&entry.payload).into(),
            );
        }
        writeln!(out, "{shown}").map_err(|error| failed(&error))
    })?;
    out.flush().map_err(|error| failed(&error))
}

/// Shows each entry that is meant, page by page.
fn each(
    given: &ArgMatches,
    wanted: &Selection,
    mut visit: impl FnMut(Quarantined) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let sight = QuarantineSight::of(&settled(&sources(given))?.spool.data_dir)?;
    let mut left = wanted.limit.unwrap_or(u64::MAX);
    let mut from = Some(0);
    while let Some(at) = from {
        let page = sight.page(wanted, at)?;
        from = page.next;
        for entry in page.entries {
            if left == 0 {
                return Ok(());
            }
            left -= 1;
            visit(entry)?;
        }
    }
    Ok(())
}

fn change(given: &ArgMatches, action: Action) -> Result<(), Failure> {
    let request = Request {
        action,
        earnest: if given.get_flag("dry-run") {
            Earnest::Tried
        } else {
            Earnest::Done
        },
        selection: selection(given)?,
    };
    let config = settled(&sources(given))?;
    let (by, summary) = gateway::quarantine(&config, &request, |summary| {
        // Progress is for people who wait; nothing is lost if nobody reads it.
        writeln!(
            io::stderr(),
            "sensegate: {} entries, {} done",
            summary.entries,
            summary.released
        )
        .ok();
    })?;
    if given.get_flag("json") {
        let mut shown = json!(summary);
        if let Value::Object(members) = &mut shown {
            members.insert("by".to_owned(), by_name(by).into());
        }
        print_json(&shown)?;
    } else {
        print_plain(&summary_text(&request, by, &summary))?;
    }
    match &summary.stopped {
        Some(why) => Err(Failure::new(
            Exit::TempFail,
            format!("ended before the last entry: {why}"),
        )),
        None => Ok(()),
    }
}

const fn by_name(by: By) -> &'static str {
    match by {
        By::Daemon => "gateway",
        By::Command => "command",
    }
}

fn summary_text(request: &Request, by: By, summary: &Summary) -> String {
    let verb = match (request.action, request.earnest) {
        (Action::Purge, Earnest::Done) => "purged",
        (Action::Purge, Earnest::Tried) => "would be purged",
        (_, Earnest::Done) => "replayed",
        (_, Earnest::Tried) => "would be replayed",
    };
    let mut rows = vec![
        ("by the".to_owned(), by_name(by).to_owned()),
        ("entries looked at".to_owned(), summary.entries.to_string()),
        (verb.to_owned(), summary.released.to_string()),
    ];
    let counted = [
        ("readings", summary.readings),
        ("left out by a rule", summary.suppressed),
        ("parts kept in quarantine", summary.kept_parts),
        ("left aside, to be named", summary.aside),
        ("gone meanwhile", summary.gone),
    ];
    let counted = counted.into_iter().filter(|(_, count)| *count > 0);
    rows.extend(counted.map(|(name, count)| (name.to_owned(), count.to_string())));
    for (reason, count) in &summary.unreadable {
        rows.push((format!("still unreadable: {reason}"), count.to_string()));
    }
    let rows: Vec<Vec<String>> = rows.into_iter().map(|(name, n)| vec![name, n]).collect();
    table(&rows)
}

/// Which entries the arguments mean.
fn selection(given: &ArgMatches) -> Result<Selection, Failure> {
    let text = |name| given.get_one::<String>(name).cloned();
    let number = |name| given.get_one::<u64>(name).copied();
    let reasons = given.get_many::<String>("reason").unwrap_or_default();
    Ok(Selection {
        ids: given.get_many("id").unwrap_or_default().copied().collect(),
        reasons: reasons.map(|name| reason(name)).collect::<Result<_, _>>()?,
        class: text("class"),
        device: text("device"),
        topic: text("topic"),
        since: text("since")
            .map(|since| moment("since", &since))
            .transpose()?,
        until: text("until")
            .map(|until| moment("until", &until))
            .transpose()?,
        from: number("from").unwrap_or_default(),
        limit: number("limit"),
    })
}

fn reason(name: &str) -> Result<QuarantineReason, Failure> {
    let known = QuarantineReason::ALL
        .iter()
        .find(|known| known.name() == name);
    known.copied().ok_or_else(|| {
        let names: Vec<&str> = QuarantineReason::ALL.iter().map(|r| r.name()).collect();
        let line = format!("--reason {name:?} is none of {}", names.join(", "));
        Failure::new(Exit::Usage, line)
    })
}

/// A time, or a span before now.
fn moment(flag: &str, text: &str) -> Result<u64, Failure> {
    if let Ok(span) = parse_duration(text) {
        let span = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        let UnixNanos(now) = SystemClock.now();
        return Ok(now.saturating_sub(span));
    }
    let at = OffsetDateTime::parse(text, &Rfc3339).ok();
    at.and_then(|at| u64::try_from(at.unix_timestamp_nanos()).ok())
        .ok_or_else(|| {
            let line = format!(
                "--{flag} {text:?} is neither RFC 3339 (2026-01-31T08:00:00+08:00) nor a span such as 2h"
            );
            Failure::new(Exit::Usage, line)
        })
}

const fn kind(entry: &Quarantined) -> &'static str {
    if entry.encoded { "reading" } else { "payload" }
}

/// An entry without its bytes.
fn described(entry: &Quarantined) -> Value {
    json!({
        "id": entry.id,
        "lane": entry.lane.name(),
        "reason": entry.reason.name(),
        "kind": kind(entry),
        "class": entry.class,
        "device": entry.device,
        "topic": entry.topic,
        "detail": entry.detail,
        "client": entry.client,
        "received_at": time_text(entry.received_at),
    })
}

fn entry_json(entry: &Quarantined) -> Value {
    let mut shown = described(entry);
    if let Value::Object(members) = &mut shown {
        members.insert("payload_hex".to_owned(), hex::encode(&entry.payload).into());
    }
    shown
}
