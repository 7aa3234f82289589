//! What the command line accepts. Flags of settings come from the settings table; a subcommand takes those that it uses.

mod quarantine;
mod settings;
use std::path::PathBuf;

use clap::{
    Arg, ArgAction, Command,
    builder::PathBufValueParser,
    error::{ContextKind, ContextValue},
    value_parser,
};

use super::exit::Exit;
use crate::config::{Setting, former, settings};
use settings::{Shown, argument, config, with_all_settings, with_settings};

/// Settings of subcommands that only look at classes.
const OF_CLASSES: &[&str] = &["normalise.class_dir"];
/// Settings of subcommands that only look at profiles.
const OF_PROFILES: &[&str] = &["normalise.class_dir", "normalise.profile_dir"];
/// Settings of `profile explain`.
const OF_EXPLAIN: &[&str] = &[
    "normalise.class_dir",
    "normalise.profile_dir",
    "normalise.readings_per_payload_max",
    "normalise.reading_bytes_max",
    "normalise.skew_max",
];
/// Settings of `decode`.
const OF_DECODE: &[&str] = &[
    "normalise.class_dir",
    "normalise.readings_per_payload_max",
    "normalise.reading_bytes_max",
    "normalise.skew_max",
];
/// Settings of subcommands that only look at the data directory.
const OF_DATA: &[&str] = &["spool.data_dir"];
/// Settings of `token`.
const OF_TOKEN: &[&str] = &["auth.key_file", "auth.class_keys_dir", "spool.data_dir"];
/// Settings of `rights explain`.
const OF_RIGHTS: &[&str] = &["auth.rights"];

/// The whole command line.
pub(super) fn command() -> Command {
    let root = Command::new("sensegate")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Ingestion gateway of a city's IoT perception platform: MQTT in, durable before acknowledged, gRPC out")
        .after_help(exit_codes())
        .subcommand_help_heading("Subcommands")
        .args_conflicts_with_subcommands(true)
        .disable_help_subcommand(true);
    with_all_settings(root, Shown::No)
        .subcommand(with_all_settings(
            Command::new("run")
                .about("Runs the gateway")
                .after_help("SIGTERM and SIGINT stop in flow order; SIGHUP reads log level, classes, profiles, keys and rights again."),
            Shown::Yes,
        ))
        .subcommand(with_all_settings(
            Command::new("check")
                .about("Says what is wrong with configuration, keys, rights and classes: all of it, with file, line and key"),
            Shown::Yes,
        ))
        .subcommand(classes())
        .subcommand(profile())
        .subcommand(decode())
        .subcommand(
            Command::new("spool")
                .about("Looks at the spool; also while the gateway runs")
                .subcommand_required(true)
                .subcommand(with_settings(
                    Command::new("stat")
                        .about("Shows lanes, backlog, ledger and quarantine")
                        .arg(json()),
                    OF_DATA,
                )),
        )
        .subcommand(
            Command::new("sessions")
                .about("Looks at what is kept of MQTT sessions; also while the gateway runs")
                .subcommand_required(true)
                .subcommand(with_settings(
                    Command::new("stat")
                        .about("Counts the records on disk, by kind: sessions, queued and retained messages")
                        .arg(json()),
                    OF_DATA,
                )),
        )
        .subcommand(quarantine::command())
        .subcommand(token())
        .subcommand(rights())
        .subcommand(password())
        .subcommand(docs())
}

fn classes() -> Command {
    Command::new("classes")
        .about("Shows the device classes in force")
        .subcommand_required(true)
        .subcommand(with_settings(
            Command::new("list").about("Lists the classes").arg(json()),
            OF_CLASSES,
        ))
        .subcommand(with_settings(
            Command::new("show")
                .about("Shows a class with its fields, units and ranges")
                .arg(
                    Arg::new("id")
                        .value_name("ID")
                        .required(true)
                        .help("The class's id"),
                )
                .arg(json()),
            OF_CLASSES,
        ))
}

fn profile() -> Command {
    let text = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    Command::new("profile")
        .about("Shows the profiles in force, and how one of them reads a payload")
        .subcommand_required(true)
        .subcommand(with_settings(
            Command::new("list").about("Lists the profiles").arg(json()),
            OF_PROFILES,
        ))
        .subcommand(with_settings(
            with_payload(
                Command::new("explain")
                    .about("Tells step by step how a payload becomes readings, or why not")
                    .arg(
                        Arg::new("profile")
                            .value_name("PROFILE")
                            .required(true)
                            .help("File of a profile, or the id of one in force"),
                    )
                    .arg(text(
                        "topic",
                        "TOPIC",
                        "Topic as published; default: the one that names the profile",
                    ))
                    .arg(
                        text("device", "ID", "Id of the device that publishes")
                            .default_value("device"),
                    ),
            ),
            OF_EXPLAIN,
        ))
        .subcommand(with_settings(
            with_payload(
                Command::new("new")
                    .about("Writes a commented draft of a profile from a sample payload")
                    .arg(text("class", "ID", "Class of the devices").required(true))
                    .arg(text("codec", "KIND", "Codec of the payload").default_value("json")),
            ),
            OF_CLASSES,
        ))
}

/// A payload as text, as digits or from a file.
fn with_payload(command: Command) -> Command {
    let text = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    command
        .arg(text("payload", "TEXT", "The payload as text").conflicts_with("hex"))
        .arg(text("hex", "DIGITS", "The payload as hexadecimal digits"))
        .arg(
            Arg::new("file")
                .value_name("FILE")
                .value_parser(PathBufValueParser::new())
                .default_value("-")
                .help("File with the payload; `-` is standard input"),
        )
}

fn decode() -> Command {
    with_settings(
        Command::new("decode")
            .about("Reads a payload as the gateway would, and prints its readings as JSON with quality")
            .arg(
                Arg::new("class")
                    .long("class")
                    .value_name("ID")
                    .required(true)
                    .help("Class of the device"),
            )
            .arg(
                Arg::new("device")
                    .long("device")
                    .value_name("ID")
                    .default_value("device")
                    .help("Id of the device"),
            )
            .arg(
                Arg::new("format")
                    .long("format")
                    .value_name("WORD")
                    .value_parser(["json", "pb"])
                    .default_value("json")
                    .help("Canonical JSON, or protobuf (sensegate.device.v1.Report)"),
            )
            .arg(
                Arg::new("file")
                    .value_name("FILE")
                    .value_parser(PathBufValueParser::new())
                    .default_value("-")
                    .help("The payload; - is standard input"),
            ),
        OF_DECODE,
    )
}

fn token() -> Command {
    with_settings(
        Command::new("token")
            .about("Issues the MQTT password of a device: hex HMAC-SHA256 of its username")
            .after_help("One device: its password. Several: a line each, username, tab, password.")
            .arg(
                Arg::new("device")
                    .long("device")
                    .value_name("CLASS/DEVICE")
                    .action(ArgAction::Append)
                    .required(true)
                    .help("The device's username; repeatable"),
            ),
        OF_TOKEN,
    )
}

fn rights() -> Command {
    let explain = Command::new("explain")
        .about("Says which rule allows something, or that none does")
        .after_help("Ends with 77 if it is not allowed.")
        .arg(
            Arg::new("principal")
                .long("principal")
                .value_name("WHO")
                .required(true)
                .help("CLASS/DEVICE, app:NAME, or anonymous"),
        )
        .arg(
            Arg::new("publish")
                .long("publish")
                .value_name("TOPIC")
                .required_unless_present("subscribe")
                .conflicts_with("subscribe")
                .help("The topic that it would publish to"),
        )
        .arg(
            Arg::new("subscribe")
                .long("subscribe")
                .value_name("FILTER")
                .help("The filter that it would subscribe to"),
        );
    Command::new("rights")
        .about("Looks at who may publish and subscribe to what")
        .subcommand_required(true)
        .subcommand(with_settings(explain, OF_RIGHTS))
}

fn password() -> Command {
    Command::new("password")
        .about("Makes lines for the password file")
        .subcommand_required(true)
        .subcommand(
            Command::new("hash")
                .about(
                    "Reads a password from standard input and prints its line, with a fresh salt",
                )
                .arg(
                    Arg::new("name")
                        .long("name")
                        .value_name("NAME")
                        .required(true)
                        .help("An application's name, or CLASS/DEVICE"),
                ),
        )
}

fn docs() -> Command {
    let part = |name: &'static str, about: &'static str| Command::new(name).about(about);
    Command::new("docs")
        .about("Writes the reference pages")
        .hide(true)
        .subcommand_required(true)
        .subcommand(part("configuration", "docs/configuration.md"))
        .subcommand(part("example-config", "config/sensegate.toml"))
        .subcommand(part("metrics", "docs/metrics.md"))
        .subcommand(part("exposition", "Every metric once, for promtool"))
        .subcommand(part("classes", "docs/classes.md"))
        .subcommand(part("alarms", "docs/alarms.md"))
}

fn json() -> Arg {
    Arg::new("json")
        .long("json")
        .action(ArgAction::SetTrue)
        .help("As JSON")
}

fn exit_codes() -> String {
    let mut text = "Exit codes (sysexits.h):".to_owned();
    for (exit, meaning) in Exit::ALL {
        text.push_str(&format!("\n  {:>2}  {meaning}", exit.code()));
    }
    text
}

/// What clap has to say, in one line.
pub(super) fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let first: Vec<&str> = text
        .lines()
        .map(str::trim)
        .skip_while(|line| line.is_empty())
        .take_while(|line| !line.is_empty())
        .collect();
    let mut line = first.join(" ");
    if let Some(rest) = line.strip_prefix("error: ") {
        line = rest.to_owned();
    }
    let suggestion = [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand]
        .into_iter()
        .find_map(|kind| match error.get(kind)? {
            ContextValue::String(near) => Some(near.clone()),
            ContextValue::Strings(near) => near.first().cloned(),
            _ => None,
        });
    match suggestion {
        Some(near) => format!("{line}, did you mean {near}?"),
        None => format!("{line}; see --help"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clap_finds_no_fault_in_it() {
        command().debug_assert();
    }
}
