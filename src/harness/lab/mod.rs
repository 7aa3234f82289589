//! The command line of the lab: reads what is asked, hands it to the part that does it, turns its end into an exit
//! code: 0 good, 1 a broken promise or a failure, 64 a wrong call.

mod args;
mod bench_args;
mod bench;
mod devices;

use std::{
    fs,
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use clap::{Command, FromArgMatches as _, Subcommand as _};
use tokio::signal::unix::{SignalKind, signal};

use super::{
    chaos::{self, KillPlan},
    children::Binaries,
    demo::{self, Staging},
    devices::Pace,
    evidence::CityCatalogue,
    platform,
    yardstick::Server,
};
use args::Task;

/// Exit code of a wrong call, as in sysexits.
const USAGE: u8 = 64;

/// The lab's `main`.
#[must_use]
pub fn main() -> ExitCode {
    let matches = match command().try_get_matches() {
        Ok(matches) => matches,
        Err(e) => {
            let code = if e.use_stderr() {
                ExitCode::from(USAGE)
            } else {
                ExitCode::SUCCESS
            };
            // Nobody is left to tell if even this cannot be printed.
            e.print().unwrap_or_default();
            return code;
        }
    };
    let done = match matches.subcommand() {
        Some(("platform", args)) => run_platform(args),
        Some(("query", args)) => run_query(args),
        _ => Task::from_arg_matches(&matches)
            .map_err(anyhow::Error::from)
            .and_then(run),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            writeln!(io::stderr(), "sensegate-lab: {e:#}").unwrap_or_default();
            ExitCode::FAILURE
        }
    }
}

fn command() -> Command {
    Task::augment_subcommands(
        Command::new("sensegate-lab")
            .about("Simulated devices, reference platform, load and faults around sensegate")
            .version(env!("CARGO_PKG_VERSION"))
            .subcommand_required(true),
    )
    .subcommand(platform::command())
    .subcommand(platform::query_command())
}

fn run(task: Task) -> anyhow::Result<()> {
    match task {
        Task::Demo(args) => run_demo(args),
        Task::Devices(args) => devices::run(&args, &*interrupted()?),
        Task::Bench(args) => bench::run(args),
        Task::SoakKill(args) => run_soak_kill(args),
        Task::Yardstick(args) => run_yardstick(&args),
    }
}

fn run_platform(args: &clap::ArgMatches) -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let catalogue = Arc::new(CityCatalogue::embedded()?);
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(platform::run(args, catalogue))
}

fn run_query(args: &clap::ArgMatches) -> anyhow::Result<()> {
    platform::query_run(args, &CityCatalogue::embedded()?)
}

fn run_demo(args: args::Demo) -> anyhow::Result<()> {
    let folder = Folder::of(args.dir, "demo")?;
    let options = Staging {
        binaries: Binaries::beside_this()?,
        dir: folder.path.clone(),
        scale: args.scale,
        rate: args.rate,
        pace: Pace {
            speed: args.speed,
            replay_speed: args.replay_speed,
        },
        duration: args.duration,
        seed: args.seed,
        speech: args.format.into(),
    };
    let stop = interrupted()?;
    let ended = demo::run(&options, &stop, &mut io::stdout());
    folder.close(ended.map(drop).map_err(Into::into))
}

fn run_soak_kill(args: args::SoakKill) -> anyhow::Result<()> {
    let folder = Folder::of(args.dir, "soak-kill")?;
    let plan = KillPlan {
        binaries: Binaries::beside_this()?,
        dir: folder.path.clone(),
        rounds: args.rounds,
        seed: args.seed.unwrap_or_else(rand::random),
        rate: args.rate,
        platform_away: args.platform_away,
    };
    let mut out = io::stdout();
    writeln!(out, "seed {}", plan.seed)?;
    let proof = chaos::run(&plan, |round| {
        // A closed pipe does not end the proof.
        writeln!(io::stdout(), "{round}").unwrap_or_default();
    });
    let ended = proof.map_err(anyhow::Error::from).and_then(|proof| {
        writeln!(out, "{}{}", proof.ledger, proof.verdict)?;
        Ok(())
    });
    folder.close(ended)
}

fn run_yardstick(args: &args::Yardstick) -> anyhow::Result<()> {
    let file = fs::File::options()
        .create(true)
        .append(true)
        .open(&args.file)?;
    let server = Server::bind(args.listen, file)?;
    writeln!(io::stdout(), "{}", server.address()?)?;
    server.run(&*interrupted()?)?;
    Ok(())
}

/// The folder of a run.
struct Folder {
    path: PathBuf,
    ownership: Ownership,
}

enum Ownership {
    /// Asked for by name: it stays.
    Given,
    /// Made for this run: it goes at a good end.
    Own,
}

impl Folder {
    fn of(given: Option<PathBuf>, what: &str) -> io::Result<Self> {
        let (path, ownership) = match given {
            Some(path) => (path, Ownership::Given),
            None => (demo::own_dir(what)?, Ownership::Own),
        };
        fs::create_dir_all(&path)?;
        Ok(Self { path, ownership })
    }

    /// The run is over: tidies up, or says where to look.
    fn close(self, ended: anyhow::Result<()>) -> anyhow::Result<()> {
        match (ended, self.ownership) {
            (Ok(()), Ownership::Own) => Ok(fs::remove_dir_all(self.path)?),
            (Ok(()), Ownership::Given) => Ok(()),
            (Err(e), _) => {
                Err(e.context(format!("data and logs are kept in {}", self.path.display())))
            }
        }
    }
}

/// A mark that SIGINT or SIGTERM sets.
fn interrupted() -> io::Result<Arc<AtomicBool>> {
    let mark = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&mark);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let guard = runtime.enter();
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    drop(guard);
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            });
            set.store(true, Ordering::Relaxed);
            if io::stderr().is_terminal() {
                writeln!(io::stderr(), "\nstopping in order").unwrap_or_default();
            }
        })?;
    Ok(mark)
}
