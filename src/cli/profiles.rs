//! `sensegate profile`: which profiles there are, and how one of them reads a payload.

use std::path::PathBuf;

use clap::ArgMatches;
use serde_json::{Value, json};

use super::{
    Exit, Failure,
    classes::{find, in_force, print_json},
    decode::input,
    print_plain, settled, sources, table,
};
use crate::{
    domain::{Clock as _, DeviceId, SystemClock},
    normalise::{Limits, Profiles, Report, explain, skeleton},
};

pub(super) fn profiles(given: &ArgMatches) -> Result<(), Failure> {
    match given.subcommand() {
        Some(("explain", given)) => show(given),
        Some(("new", given)) => draft(given),
        Some((_, given)) => list(given),
        None => Err(Failure::new(Exit::Usage, "list, explain or new?")),
    }
}

fn list(given: &ArgMatches) -> Result<(), Failure> {
    let config = settled(&sources(given))?.normalise;
    let classes = in_force(&config)?;
    let profiles = load(config.profile_dir.as_deref(), &classes)?;
    if given.get_flag("json") {
        let all = profiles.iter().map(|profile| {
            json!({
                "id": profile.id(),
                "title": profile.title(),
                "codec": profile.codec(),
                "classes": profile.class_ids(&classes),
            })
        });
        return print_json(&Value::Array(all.collect()));
    }
    let mut rows = vec![
        ["ID", "CODEC", "CLASSES", "TITLE"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(profiles.iter().map(|profile| {
        vec![
            profile.id().to_owned(),
            profile.codec().to_owned(),
            profile.class_ids(&classes).join(" "),
            profile.title().to_owned(),
        ]
    }));
    print_plain(&table(&rows))
}

fn show(given: &ArgMatches) -> Result<(), Failure> {
    let config = settled(&sources(given))?;
    let classes = in_force(&config.normalise)?;
    let text = |name| given.get_one::<String>(name).map_or("", String::as_str);
    let device = DeviceId::new(text("device"))
        .map_err(|error| Failure::new(Exit::Usage, format!("--device: {error}")))?;
    let named = text("profile");
    let file = PathBuf::from(named);
    let profile = if file.is_file() {
        Profiles::file(&file, &classes)
            .map_err(|error| Failure::lines(Exit::Config.code(), error.faults))?
    } else {
        let profiles = load(config.normalise.profile_dir.as_deref(), &classes)?;
        profiles.get(named).cloned().ok_or_else(|| {
            let line = format!(
                "{named:?} is neither a file nor a profile; `sensegate profile list` names them"
            );
            Failure::new(Exit::Data, line)
        })?
    };
    let bytes = sample(given, u64::from(config.mqtt.packet_bytes_max))?;
    let class = profile.first_class(&classes).unwrap_or_default().to_owned();
    let topic = given.get_one::<String>("topic");
    let report = Report {
        topic: topic.map_or("", String::as_str),
        canonical: topic.is_none().then_some((class.as_str(), device.as_str())),
        publisher: Some((class.as_str(), device.as_str())),
        bytes: &bytes,
        received_at: SystemClock.now(),
        attributes: &[],
        memory: None,
        may_report: &|_, _| true,
    };
    let limits = Limits::from(&config.normalise);
    print_plain(&explain(&profile, &report, &classes, &limits))
}

fn draft(given: &ArgMatches) -> Result<(), Failure> {
    let config = settled(&sources(given))?;
    let classes = in_force(&config.normalise)?;
    let text = |name| given.get_one::<String>(name).map_or("", String::as_str);
    let class = find(&classes, text("class"))?;
    let sample = sample(given, u64::from(config.mqtt.packet_bytes_max))?;
    let draft =
        skeleton(class, text("codec"), &sample).map_err(|why| Failure::new(Exit::Data, why))?;
    print_plain(&draft)
}

/// The payload that was given, as text, as digits or as a file.
fn sample(given: &ArgMatches, bytes_max: u64) -> Result<Vec<u8>, Failure> {
    match (
        given.get_one::<String>("payload"),
        given.get_one::<String>("hex"),
    ) {
        (Some(text), _) => Ok(text.clone().into_bytes()),
        (None, Some(digits)) => {
            let digits: String = digits.split_whitespace().collect();
            hex::decode(digits).map_err(|why| Failure::new(Exit::Usage, format!("--hex: {why}")))
        }
        (None, None) => input(given, bytes_max),
    }
}

fn load(
    dir: Option<&std::path::Path>,
    classes: &crate::normalise::Classes,
) -> Result<Profiles, Failure> {
    Profiles::load(dir, classes).map_err(|error| Failure::lines(Exit::Config.code(), error.faults))
}
