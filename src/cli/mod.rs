//! The command line: reads arguments, hands each subcommand what it asks for, and turns every failure into one line on
//! standard error and an exit code of sysexits.h.

mod exit;
mod args;
mod run;
mod check;
mod classes;
mod decode;
mod profiles;
mod spool;
mod quarantine;
mod sessions;
mod token;
mod access;
mod docs;
mod stages;

use std::{
    env,
    ffi::OsString,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::ArgMatches;

pub use exit::{Exit, Failure};

use crate::config::{Config, Merged, Sources, settings};

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    match dispatch(env::args_os()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nothing is left to tell it to if standard error is gone.
            io::stderr()
                .write_all(failure.to_string().as_bytes())
                .unwrap_or_default();
            ExitCode::from(failure.exit().code())
        }
    }
}

fn dispatch(arguments: impl Iterator<Item = OsString>) -> Result<(), Failure> {
    let matches = match args::command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) if error.use_stderr() => {
            return Err(Failure::new(Exit::Usage, args::one_line(&error)));
        }
        Err(asked) => {
            return print(
                &asked.render().ansi().to_string(),
                asked.render().to_string(),
            );
        }
    };
    match matches.subcommand() {
        None if wants_print(&matches) => print_config(&sources(&matches)),
        None => Err(Failure::new(
            Exit::Usage,
            "a subcommand is needed: run, check, classes, profile, decode, spool, sessions, quarantine, token, rights or password; see --help",
        )),
        Some(("run", given)) if wants_print(given) => print_config(&sources(given)),
        Some(("check", given)) if wants_print(given) => print_config(&sources(given)),
        Some(("run", given)) => run::run(&sources(given)),
        Some(("check", given)) => check::check(&sources(given)),
        Some(("classes", given)) => classes::classes(given),
        Some(("decode", given)) => decode::decode(given),
        Some(("profile", given)) => profiles::profiles(given),
        Some(("spool", given)) => spool::spool(given),
        Some(("sessions", given)) => sessions::sessions(given),
        Some(("quarantine", given)) => quarantine::quarantine(given),
        Some(("token", given)) => token::token(given),
        Some(("rights", given)) => access::rights(given),
        Some(("password", given)) => access::password(given),
        Some(("docs", given)) => docs::docs(given),
        Some((other, _)) => Err(Failure::new(
            Exit::Usage,
            format!("{other:?} is no subcommand"),
        )),
    }
}

/// The sources of the configuration that this process was started with.
fn sources(given: &ArgMatches) -> Sources {
    let mut sources =
        Sources::new().with_env(env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }));
    if let Some(path) = given.get_one::<PathBuf>("config") {
        sources = sources.with_file(path);
    }
    for setting in settings() {
        // A subcommand that does not take this setting has no such argument.
        if let Ok(Some(values)) = given.try_get_many::<String>(setting.key) {
            sources = sources.with_flag(setting.key, values.cloned().collect());
        }
    }
    sources
}

/// The configuration, for subcommands that need it to be right.
fn settled(sources: &Sources) -> Result<Config, Failure> {
    Ok(sources.merge()?.config()?)
}

fn wants_print(given: &ArgMatches) -> bool {
    given.get_flag("print-config")
}

fn print_config(sources: &Sources) -> Result<(), Failure> {
    let merged: Merged = sources.merge()?;
    let text = merged.to_toml();
    print(&text, text.clone())?;
    merged.config()?;
    Ok(())
}

/// Writes to standard output: `coloured` on a terminal, `plain` elsewhere. A reader that went away is no failure.
fn print(coloured: &str, plain: String) -> Result<(), Failure> {
    use io::IsTerminal as _;
    let mut out = io::stdout().lock();
    let text = if out.is_terminal() { coloured } else { &plain };
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Io, format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes plain text to standard output.
fn print_plain(text: &str) -> Result<(), Failure> {
    print(text, text.to_owned())
}

/// Writes a line to standard error that is no failure.
fn warn(line: &str) {
    io::stderr()
        .write_all(format!("sensegate: warning: {line}\n").as_bytes())
        .unwrap_or_default();
}

/// A table in columns as wide as their widest cell.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|at| {
            let cells = rows.iter().filter_map(|row| row.get(at));
            cells.map(|cell| width(cell)).max().unwrap_or_default()
        })
        .collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, wanted) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(
                ' ',
                wanted.saturating_sub(width(cell)) + 2,
            ));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Columns that a terminal gives a text: two for a Chinese character.
fn width(text: &str) -> usize {
    text.chars()
        .map(|c| if matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ff60}') { 2 } else { 1 })
        .sum()
}
