//! `sensegate docs`: the reference pages, made from the tables that the program itself uses, so that they cannot lie.

use std::fmt::{self, Write as _};

use clap::ArgMatches;

use super::{
    Exit, Failure,
    classes::{kind, range},
    print_plain, stages,
};
use crate::{
    config::{example_toml, settings},
    normalise::{Class, Classes},
    telemetry::{self, Kind, Metric},
};

pub(super) fn docs(given: &ArgMatches) -> Result<(), Failure> {
    let text = match given.subcommand_name() {
        Some("configuration") => configuration(),
        Some("example-config") => Ok(example_toml()),
        Some("metrics") => metrics(),
        Some("classes") => classes(&Classes::embedded()?),
        _ => return exposition(),
    };
    print_plain(&text.map_err(|error| Failure::new(Exit::Software, error.to_string()))?)
}

fn exposition() -> Result<(), Failure> {
    let stages: Vec<&[Metric]> = stages::metrics()
        .into_iter()
        .map(|(_, metrics)| metrics)
        .collect();
    let text = telemetry::exposition(&stages)
        .map_err(|error| Failure::new(Exit::Software, error.to_string()))?;
    print_plain(&text)
}

fn configuration() -> Result<String, fmt::Error> {
    let mut out = String::from(
        "# Configuration\n\n\
         Made by `sensegate docs configuration` from the settings table; do not edit.\n\n\
         A setting is taken from the first of: its flag, its environment variable, the TOML file (`--config`, or\n\
         `SENSEGATE_CONFIG`, or `/etc/sensegate/sensegate.toml` if it is there), its default. A list replaces the list of a\n\
         lower source; in a variable its items are separated by commas. An empty variable counts as absent. Sizes take `B`,\n\
         `KiB`, `MiB`, `GiB`, `TiB`, `kB`, `MB`, `GB`, `TB`; durations `ms`, `s`, `m`, `h`, `d`.\n\n\
         `sensegate check` says everything that is wrong; `--print-config` prints what is in force and where it comes from.\n\
         SIGHUP reads the file again and puts `log.level`, the classes and everything of `auth` in force, with the files that it\n\
         names and the listeners' certificates; everything else needs a restart.\n",
    );
    let mut section = "";
    for setting in settings() {
        if section != setting.section() {
            section = setting.section();
            write!(out, "\n## [{section}]\n")?;
        }
        write!(out, "\n### `{}`\n\n{}\n\n", setting.key, setting.help)?;
        if setting.flag.is_empty() {
            writeln!(out, "- no flag; variable `{}`", setting.env())?;
        } else {
            let again = if setting.is_list() {
                ", repeatable"
            } else {
                ""
            };
            writeln!(
                out,
                "- flag `--{}`{again}; variable `{}`",
                setting.flag,
                setting.env()
            )?;
        }
        let default = match setting.default_text() {
            "" => "unset".to_owned(),
            text => format!("`{text}`"),
        };
        writeln!(out, "- {}; default: {default}", setting.type_text())?;
        writeln!(out, "- {}", setting.reason)?;
    }
    out.push_str("\n## Exit codes\n\n| code | meaning |\n|---:|---|\n");
    for (exit, meaning) in Exit::ALL {
        writeln!(out, "| {} | {meaning} |", exit.code())?;
    }
    Ok(out)
}

fn metrics() -> Result<String, fmt::Error> {
    let mut out = String::from(
        "# Metrics\n\n\
         Made by `sensegate docs metrics` from each stage's list; do not edit. Served at `/metrics` of `admin.listen`.\n\
         A device is never a label. Histograms of seconds and bytes have fixed buckets that follow from the unit in the name.\n",
    );
    for (stage, metrics) in stages::metrics() {
        write!(
            out,
            "\n## {stage}\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n"
        )?;
        for metric in metrics {
            let kind = match metric.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            let labels: Vec<String> = metric.labels.iter().map(|l| format!("`{l}`")).collect();
            let (name, labels) = (metric.name, labels.join(", "));
            writeln!(out, "| `{name}` | {kind} | {labels} | {} |", metric.help)?;
        }
    }
    Ok(out)
}

fn classes(classes: &Classes) -> Result<String, fmt::Error> {
    let mut all: Vec<&Class> = classes.iter().collect();
    all.sort_by_key(|class| (class.domain(), class.id()));
    let mut out = String::from(
        "# Classes and topics\n\n\
         Made by `sensegate docs classes` from the embedded .proto files; do not edit.\n\n\
         A device publishes to `v1/{class}/{device}/up` (canonical JSON: an object with these fields, or an array of them,\n\
         each with an optional `observed_at`) or to `v1/{class}/{device}/up/pb` (`sensegate.device.v1.Report`), and hears its\n\
         commands on `v1/{class}/{device}/down`. A number outside of its range is kept and flagged as uncertain.\n",
    );
    let mut domain = "";
    for class in all {
        if domain != class.domain() {
            domain = class.domain();
            write!(out, "\n## {domain} {}\n", class.domain_zh())?;
        }
        write!(
            out,
            "\n### `{}` {} {}\n\nLane {}, every {} s.\n\n| field | type | unit | range |\n|---|---|---|---|\n",
            class.id(),
            class.name_en(),
            class.name_zh(),
            class.lane(),
            class.interval_s()
        )?;
        for field in class.fields() {
            let kind = kind(&field.kind).replace('|', ", ");
            let (name, unit) = (&field.name, &field.unit);
            writeln!(out, "| `{name}` | {kind} | {unit} | {} |", range(field))?;
        }
    }
    Ok(out)
}
