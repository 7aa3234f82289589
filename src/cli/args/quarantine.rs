//! What `sensegate quarantine` accepts: the same filters for everything that it does.

use clap::{Arg, ArgAction, ArgGroup, Command, value_parser};

use super::{OF_DATA, argument, config, json, with_settings};
use crate::config::settings;

/// Names of the arguments that select entries.
const FILTERS: [&str; 8] = [
    "id", "reason", "class", "device", "topic", "since", "until", "from",
];

pub(super) fn command() -> Command {
    Command::new("quarantine")
        .about("Looks at what could not be read, reads it again, or throws it away")
        .after_help(
            "All of it works while the gateway runs. `list`, `show` and `export` only look at the disk; `replay` and `purge` ask\n\
             the running gateway by the socket admin.sock in its data directory, or open the spool themselves if none runs.\n\
             An entry is meant if it meets every condition that is given; see docs/quarantine.md.",
        )
        .subcommand_required(true)
        .subcommand(list())
        .subcommand(show())
        .subcommand(with_settings(
            filtered(
                Command::new("export")
                    .about("Writes entries as JSON lines, payloads in base64; oldest first"),
            ),
            OF_DATA,
        ))
        .subcommand(replay())
        .subcommand(purge())
}

fn list() -> Command {
    let list = filtered(Command::new("list").about("Lists entries, oldest first"))
        .mut_arg("limit", |limit| limit.default_value("100"));
    with_settings(list.arg(json()), OF_DATA)
}

fn show() -> Command {
    let show = Command::new("show")
        .about("Shows an entry with its bytes")
        .arg(
            Arg::new("id")
                .value_name("NUMBER")
                .value_parser(value_parser!(u64))
                .required(true)
                .help("The entry's number, as `list` shows it"),
        );
    with_settings(show.arg(json()), OF_DATA)
}

fn replay() -> Command {
    let replay = filtered(
        Command::new("replay")
            .about("Reads entries by today's profiles and delivers what now reads, with the time of its first receipt")
            .after_help(
                "Entries of reason platform_refused or device_rights are replayed only if --reason or --id names them.",
            ),
    );
    let vouch = Arg::new("vouch")
        .long("vouch")
        .action(ArgAction::SetTrue)
        .help("Senders may speak for whichever device their payloads name, not only for their own");
    with_stages(replay.arg(vouch).arg(dry_run()).arg(json()))
}

fn purge() -> Command {
    let purge = filtered(
        Command::new("purge").about("Throws entries away; they are counted as dropped (purged)"),
    );
    let all = Arg::new("all")
        .long("all")
        .action(ArgAction::SetTrue)
        .help("Every entry");
    let which = ArgGroup::new("which")
        .args(FILTERS)
        .arg("all")
        .multiple(true)
        .required(true);
    with_stages(purge.arg(all).group(which).arg(dry_run()).arg(json()))
}

fn dry_run() -> Arg {
    Arg::new("dry-run")
        .long("dry-run")
        .action(ArgAction::SetTrue)
        .help("Changes nothing; says what would be")
}

fn filtered(command: Command) -> Command {
    let text = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    command
        .arg(
            text("id", "N", "Number of an entry; repeatable")
                .value_parser(value_parser!(u64))
                .action(ArgAction::Append),
        )
        .arg(text("reason", "WORD", "Why it is here; repeatable").action(ArgAction::Append))
        .arg(text(
            "class",
            "ID",
            "Class of the device, as far as it was known",
        ))
        .arg(text(
            "device",
            "ID",
            "Id of the device, as far as it was known",
        ))
        .arg(text("topic", "FILTER", "Topics that match an MQTT filter"))
        .arg(text(
            "since",
            "TIME",
            "Received then or later: RFC 3339, or a span before now such as 2h",
        ))
        .arg(text("until", "TIME", "Received before then"))
        .arg(text("from", "N", "This number or a higher one").value_parser(value_parser!(u64)))
        .arg(text("limit", "N", "Most entries").value_parser(value_parser!(u64)))
}

/// Settings of the stages that a change needs when no gateway runs: those that say where things are stand in the help.
fn with_stages(command: Command) -> Command {
    let shown = [
        "spool.data_dir",
        "normalise.class_dir",
        "normalise.profile_dir",
    ];
    settings()
        .filter(|setting| {
            let stage = setting.section().split('.').next().unwrap_or_default();
            ["spool", "normalise"].contains(&stage)
        })
        .filter(|setting| !setting.flag.is_empty())
        .fold(command.arg(config()), |command, setting| {
            command.arg(argument(setting).hide(!shown.contains(&setting.key)))
        })
}
