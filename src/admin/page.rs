//! The status page: one HTML text without scripts or anything from elsewhere, for a browser through an SSH tunnel.

use std::fmt::{self, Write as _};

use super::report::{LaneReport, OffenderReport, Report};

/// Offenders of each kind on the page; `/offenders.json` has all that are kept.
const OFFENDERS_SHOWN: usize = 10;

const HEAD: &str = "<!doctype html>
<html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"5\"><title>sensegate</title>
<style>
body{font:15px/1.4 system-ui,sans-serif;margin:2em;max-width:70em;color:#222}
h1{font-size:1.3em}h2{font-size:1.05em;margin-top:1.6em}
table{border-collapse:collapse}th,td{padding:.25em .8em;text-align:right;border-bottom:1px solid #ddd}
th:first-child,td:first-child{text-align:left}.bad{color:#a00;font-weight:bold}.good{color:#060}
</style></head><body>
";

pub(super) fn render(report: &Report) -> String {
    let mut out = String::with_capacity(4096);
    // Writing to a String cannot fail.
    write(&mut out, report).unwrap_or_default();
    out
}

fn write(out: &mut String, report: &Report) -> fmt::Result {
    out.push_str(HEAD);
    writeln!(
        out,
        "<h1>sensegate {} — {}, district {}</h1>",
        escaped(&report.version),
        escaped(&report.gateway_id),
        escaped(&report.district)
    )?;
    writeln!(
        out,
        "<p>Up {}; {} connections, {} waiting to come in; {} classes; incarnation {}.</p>",
        span(report.uptime_s),
        report.connections,
        report.connects_waiting,
        report.classes,
        escaped(&report.incarnation)
    )?;
    if report.troubles.is_empty() {
        out.push_str("<p class=\"good\">All is well.</p>\n");
    } else {
        out.push_str("<ul class=\"bad\">\n");
        for trouble in &report.troubles {
            writeln!(out, "<li>{}</li>", escaped(trouble))?;
        }
        out.push_str("</ul>\n");
    }
    lanes(out, report)?;
    uplinks(out, report)?;
    offenders(out, "Identities", &report.offenders.identities)?;
    offenders(out, "Source addresses", &report.offenders.addresses)?;
    out.push_str("</body></html>\n");
    Ok(())
}

fn lanes(out: &mut String, report: &Report) -> fmt::Result {
    out.push_str(
        "<h2>Ledger and backlog</h2><table><tr><th>lane</th><th>received</th><th>delivered</th><th>spooled</th>\
         <th>quarantined</th><th>suppressed</th><th>dropped</th><th>balances</th><th>bytes</th><th>of</th>\
         <th>oldest</th></tr>\n",
    );
    for lane in &report.lanes {
        writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>{}<td>{}</td>\
             <td>{}</td><td>{}</td></tr>",
            lane.lane,
            lane.received,
            lane.delivered,
            lane.spooled,
            lane.quarantined,
            lane.suppressed,
            dropped(lane),
            if lane.balances {
                "<td class=\"good\">yes</td>"
            } else {
                "<td class=\"bad\">NO</td>"
            },
            lane.bytes,
            lane.bytes_max,
            span(lane.oldest_age_s),
        )?;
    }
    out.push_str("</table>\n");
    Ok(())
}

fn uplinks(out: &mut String, report: &Report) -> fmt::Result {
    out.push_str(
        "<h2>Uplink</h2><table><tr><th>lanes</th><th>platform</th><th>state</th><th>bytes in flight</th></tr>\n",
    );
    for uplink in &report.uplinks {
        writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td class=\"{}\">{}</td><td>{}</td></tr>",
            escaped(&uplink.lanes),
            escaped(&uplink.platform),
            if uplink.connected { "good" } else { "bad" },
            escaped(&uplink.state),
            uplink.in_flight_bytes,
        )?;
    }
    out.push_str("</table>\n");
    Ok(())
}

fn offenders(out: &mut String, of: &str, list: &[OffenderReport]) -> fmt::Result {
    if list.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "<h2>{of} that ran into limits most (<a href=\"/offenders.json\">all</a>)</h2><table><tr><th>who</th><th>how often</th>\
         <th>limit</th><th>last seen</th></tr>"
    )?;
    for offender in list.iter().take(OFFENDERS_SHOWN) {
        writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(&offender.name),
            offender.count,
            offender.limit,
            offender.last_seen
        )?;
    }
    out.push_str("</table>\n");
    Ok(())
}

fn dropped(lane: &LaneReport) -> String {
    let by_reason: Vec<String> = lane
        .dropped
        .iter()
        .filter(|drop| drop.readings > 0)
        .map(|drop| format!("{} {}", drop.readings, drop.reason))
        .collect();
    if by_reason.is_empty() {
        "0".to_owned()
    } else {
        by_reason.join(", ")
    }
}

fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}
