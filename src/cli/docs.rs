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
        Some("alarms") => alarms(&Classes::embedded()?),
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
         SIGHUP reads the file again and puts `log.level`, classes, profiles and everything of `auth` in force, with the files that it\n\
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

const ALARMS: &str = r#"# Alarms of the classes

Made by `sensegate docs alarms` from the embedded .proto files; do not edit.

A value that reaches a threshold raises an alarm: the reading that crosses it carries the alarm and takes the alarm lane,
whatever its class's lane is; the readings after it do not. The reading whose value is back by more than the hysteresis
carries the same alarm as cleared and takes the alarm lane too. Where a hold time stands, values have to be beyond the threshold
for so long before the alarm is raised, by the times at which they were observed. What a device says itself is not
changed: its profile turns its own alarm bits into alarms, and one of the same code, level and field is not said twice.

The state is kept in memory (`normalise.devices_remembered_max`): after a restart, an alarm that is still up is raised again by
the next reading. Alarms are judged as readings come in, so a reading older than the one judged last changes nothing.

The numbers are starting points from national standards and common practice; beside each in
`proto/sensegate/classes/v1/*.proto` stands its source. Classes whose limits follow from a permit, a design or a place
have none: emissions (HJ 212), noise, levels of rivers and tanks, displacement, tilt, pressure of networks.

## Other numbers, more alarms, or none

A message in a .proto file of `--class-dir` says the thresholds of a class's fields anew. Its fields are named as those of the
class, of any type; each one's thresholds take the place of the class's, and a field without any has no alarms from then on.
Fields that are not named keep theirs. It takes effect at start, on SIGHUP and when a file of the folder changes, and `sensegate classes show ID` shows it.

```proto
syntax = "proto3";
package city.alarms.v1;
import "sensegate/classes/v1/options.proto";

message RoadWaterlogging {
  option (sensegate.classes.v1.alarms_of) = "road_waterlogging";
  optional double water_depth = 1 [(sensegate.classes.v1.property) = {
    thresholds: [{code: "flood_low" level: THRESHOLD_LEVEL_WARNING above: 10 hysteresis: 2 hold_s: 120}]
  }];
}

message SmokeDetector {
  option (sensegate.classes.v1.alarms_of) = "smoke_detector";
  optional bool state = 1;  // none
}
```

The same holds for all devices of a class. What a single site needs is a class of its own, or a matter of the platform.
"#;

fn alarms(classes: &Classes) -> Result<String, fmt::Error> {
    let mut all: Vec<&Class> = classes.iter().collect();
    all.retain(|class| {
        class
            .fields()
            .iter()
            .any(|field| field.alarms().next().is_some())
    });
    all.sort_by_key(|class| (class.domain(), class.id()));
    let mut out = String::from(ALARMS);
    write!(
        out,
        "\n## What is set\n\n{} of {} classes.\n\n\
         | class | field | alarm | level | raised | cleared | hold |\n|---|---|---|---|---|---|---|\n",
        all.len(),
        classes.len()
    )?;
    for class in all {
        for field in class.fields() {
            for alarm in field.alarms() {
                let unit = match field.unit.as_str() {
                    "" => String::new(),
                    unit => format!(" {unit}"),
                };
                let hold = match alarm.hold_s {
                    0 => String::new(),
                    seconds => format!("{seconds} s"),
                };
                writeln!(
                    out,
                    "| `{}` | `{}` | `{}` | {} | {}{unit} | {} | {hold} |",
                    class.id(),
                    field.name,
                    alarm.code,
                    alarm.level,
                    alarm.raised,
                    alarm.cleared
                )?;
            }
        }
    }
    Ok(out)
}
