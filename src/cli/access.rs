//! `sensegate rights` and `sensegate password`: what an operator asks before a file goes into force.

use std::io::{self, Read as _};

use clap::ArgMatches;

use super::{Exit, Failure, print_plain, settled, sources};
use crate::{
    broker::{
        access::Access,
        auth,
        principal::Principal,
        rights::{Asked, check_filter, check_topic},
    },
    config::AuthConfig,
    domain::Identity,
};

/// Longest password read from standard input, bytes.
const PASSWORD_BYTES_MAX: u64 = 4096;

pub(super) fn rights(given: &ArgMatches) -> Result<(), Failure> {
    match given.subcommand() {
        Some((_, given)) => explain(given),
        None => Err(Failure::new(Exit::Usage, "explain?")),
    }
}

pub(super) fn password(given: &ArgMatches) -> Result<(), Failure> {
    match given.subcommand() {
        Some((_, given)) => hash(given),
        None => Err(Failure::new(Exit::Usage, "hash?")),
    }
}

/// Says which rule allows something, or that none does.
fn explain(given: &ArgMatches) -> Result<(), Failure> {
    let text = |name: &str| given.get_one::<String>(name).map(String::as_str);
    let who = principal(text("principal").unwrap_or_default())?;
    let usage = |flag: &str, what: String| Failure::new(Exit::Usage, format!("--{flag}: {what}"));
    let asked = match (text("publish"), text("subscribe")) {
        (Some(topic), _) => {
            check_topic(topic).map_err(|what| usage("publish", format!("{topic:?} {what}")))?;
            Asked::Publish(topic)
        }
        (None, Some(filter)) => {
            check_filter(filter)
                .map_err(|what| usage("subscribe", format!("{filter:?} {what}")))?;
            Asked::Subscribe(filter)
        }
        (None, None) => return Err(Failure::new(Exit::Usage, "--publish or --subscribe?")),
    };
    // Nothing but the rights: who may come in is another question.
    let mut config = AuthConfig::only(Vec::new());
    config.rights = settled(&sources(given))?.auth.rights;
    let access = Access::load(&config)?;
    match access.rights().why(&who, asked) {
        Some(why) => print_plain(&format!("allowed: {why}\n")),
        None => Err(Failure::new(
            Exit::NoPermission,
            "not allowed: no rule allows it",
        )),
    }
}

fn principal(text: &str) -> Result<Principal, Failure> {
    let unfit = |what: String| Failure::new(Exit::Usage, format!("--principal: {what}"));
    if let Some(name) = text.strip_prefix("app:") {
        let found = Principal::application(name);
        return found.ok_or_else(|| unfit(format!("{name:?} is no application's name")));
    }
    if text == "anonymous" {
        return Ok(Principal::Anonymous);
    }
    let identity = Identity::parse(text);
    identity.map(Principal::Device).map_err(|error| {
        unfit(format!(
            "{error}; CLASS/DEVICE, app:NAME or anonymous is wanted"
        ))
    })
}

/// Prints a line for the password file.
fn hash(given: &ArgMatches) -> Result<(), Failure> {
    let name = given.get_one::<String>("name").map_or("", String::as_str);
    let mut password = Vec::new();
    io::stdin()
        .lock()
        .take(PASSWORD_BYTES_MAX)
        .read_to_end(&mut password)
        .map_err(|error| Failure::reading("standard input", &error))?;
    while password
        .last()
        .is_some_and(|byte| matches!(byte, b'\n' | b'\r'))
    {
        password.pop();
    }
    let line = auth::hashed(name, &password).map_err(|what| Failure::new(Exit::Data, what))?;
    print_plain(&format!("{line}\n"))
}
