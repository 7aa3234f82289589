//! Settings as flags.

use super::{Arg, ArgAction, Command, PathBuf, Setting, former, settings, value_parser};

/// Whether flags stand in the help text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    Yes,
    No,
}

pub(super) fn with_all_settings(command: Command, shown: Shown) -> Command {
    let print = Arg::new("print-config")
        .long("print-config")
        .action(ArgAction::SetTrue)
        .help("Print the merged settings as TOML, each with its origin, and end");
    settings()
        .filter(|setting| !setting.flag.is_empty())
        .fold(command.arg(config()).arg(print), |command, setting| {
            command.arg(argument(setting).hide(shown == Shown::No))
        })
}

pub(super) fn with_settings(command: Command, keys: &[&str]) -> Command {
    settings()
        .filter(|setting| keys.contains(&setting.key))
        .fold(command.arg(config()), |command, setting| {
            command.arg(argument(setting))
        })
}

pub(super) fn config() -> Arg {
    Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help("TOML file of settings")
        .long_help(
            "TOML file of settings [env: SENSEGATE_CONFIG=] [default: /etc/sensegate/sensegate.toml, if it is there]",
        )
}

pub(super) fn argument(setting: &'static Setting) -> Arg {
    let mut origin = format!("[env: {}=]", setting.env());
    if !setting.default_text().is_empty() {
        origin = format!("{origin} [default: {}]", setting.default_text());
    }
    let action = if setting.is_list() {
        ArgAction::Append
    } else {
        ArgAction::Set
    };
    former(setting)
        .into_iter()
        .fold(Arg::new(setting.key), |arg, former| arg.alias(former.flag))
        .long(setting.flag)
        .value_name(setting.placeholder())
        .action(action)
        .help_heading(heading(setting))
        .help(format!("{} {origin}", setting.help))
        .long_help(format!("{} {}\n{origin}", setting.help, setting.reason))
}

pub(super) fn heading(setting: &Setting) -> &'static str {
    match setting.section().split('.').next() {
        Some("mqtt") => "MQTT",
        Some("auth") => "Authentication",
        Some("normalise") => "Payloads and classes",
        Some("sessions") => "Sessions",
        Some("spool") => "Spool",
        Some("uplink") => "Platform",
        Some("log" | "admin") => "Log and admin pages",
        _ => "Node",
    }
}
