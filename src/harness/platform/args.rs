//! `sensegate-lab platform`: the platform as a process. Prints one JSON line with the bound addresses, then runs until
//! it is told to stop.

use std::{io::Write as _, net::SocketAddr, path::PathBuf, sync::Arc};

use anyhow::Context as _;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::{AcceptsAhead, Catalogue, CrashBy, Faults, PlatformConfig, start};

fn number(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name("N")
        .value_parser(value_parser!(u64))
        .default_value("0")
        .help(help)
}

fn text(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name("TEXT").help(help)
}

fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .action(ArgAction::SetTrue)
        .help(help)
}

/// The subcommand.
#[must_use]
pub fn command() -> Command {
    let listen = Arg::new("listen")
        .long("listen")
        .value_parser(value_parser!(SocketAddr))
        .default_value("127.0.0.1:50051")
        .help("where gateways connect; port 0 picks one");
    let data_dir = Arg::new("data-dir")
        .long("data-dir")
        .value_parser(value_parser!(PathBuf))
        .required(true)
        .help("where its data lives");
    let admin = Arg::new("admin-listen")
        .long("admin-listen")
        .value_parser(value_parser!(SocketAddr))
        .help("where the live view and the faults are served over HTTP");
    Command::new("platform")
        .about("Runs the reference platform; prints its addresses as one JSON line")
        .arg(listen)
        .arg(data_dir)
        .arg(admin)
        .arg(switch(
            "in-sequence",
            "takes batches strictly in sequence, none ahead",
        ))
        .arg(switch("no-compression", "does not take zstd on the wire"))
        .arg(number(
            "delay-ms",
            "delay before each batch is taken, milliseconds",
        ))
        .arg(number(
            "refuse-every",
            "refuses every reading whose sequence is a multiple of this",
        ))
        .arg(text("refuse-device", "refuses readings of this device"))
        .arg(text("refuse-class", "refuses readings of this class"))
        .arg(number(
            "crash-after",
            "aborts after so many batches, between receive and store",
        ))
        .arg(number(
            "close-every",
            "closes a stream after so many batches, owing answers",
        ))
        .arg(text(
            "status",
            "answers new streams with this status, for example unavailable",
        ))
        .arg(number(
            "status-times",
            "how many streams get that status; 0: all",
        ))
}

fn config(args: &ArgMatches, catalogue: Arc<dyn Catalogue>) -> anyhow::Result<PlatformConfig> {
    let number = |name| args.get_one::<u64>(name).copied().unwrap_or(0);
    let text = |name| args.get_one::<String>(name).cloned();
    let address = |name| args.get_one::<SocketAddr>(name).copied();
    Ok(PlatformConfig {
        listen: address("listen").context("--listen is missing")?,
        data_dir: args
            .get_one::<PathBuf>("data-dir")
            .cloned()
            .context("--data-dir is missing")?,
        admin_listen: address("admin-listen"),
        accepts_ahead: if args.get_flag("in-sequence") {
            AcceptsAhead::No
        } else {
            AcceptsAhead::Yes
        },
        compression: !args.get_flag("no-compression"),
        faults: Faults {
            delay_ms: number("delay-ms"),
            refuse_every: number("refuse-every"),
            refuse_device: text("refuse-device"),
            refuse_class: text("refuse-class"),
            crash_after_batches: number("crash-after"),
            close_every_batches: number("close-every"),
            status: text("status"),
            status_times: number("status-times"),
        },
        crash_by: CrashBy::Abort,
        catalogue,
    })
}

/// Runs the subcommand until SIGTERM, SIGINT or the platform's own death.
///
/// # Errors
/// It does not start, or dies of a fault.
pub async fn run(args: &ArgMatches, catalogue: Arc<dyn Catalogue>) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let platform = start(config(args, catalogue)?).await?;
    let line = json!({
        "listen": platform.address().to_string(),
        "admin": platform.admin_address().map(|address| address.to_string()),
    });
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush())?;
    let handle = platform.handle();
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = handle.died() => {}
    }
    platform.stop().await?;
    Ok(())
}
