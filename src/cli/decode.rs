//! `sensegate decode`: one payload through the same normaliser that the gateway uses.

use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
};

use clap::ArgMatches;
use serde_json::Value;

use super::{
    Exit, Failure,
    classes::{find, in_force, print_json},
    settled, sources,
};
use crate::{
    domain::{Clock as _, DeviceId, SystemClock},
    normalise::{Encoded, Limits, Payload, PayloadFormat, normalise, render},
};

pub(super) fn decode(given: &ArgMatches) -> Result<(), Failure> {
    let config = settled(&sources(given))?;
    let classes = in_force(&config.normalise)?;
    let text = |name| given.get_one::<String>(name).map_or("", String::as_str);
    let class = find(&classes, text("class"))?;
    let device = DeviceId::new(text("device"))
        .map_err(|error| Failure::new(Exit::Usage, format!("--device: {error}")))?;
    let bytes = input(given, u64::from(config.mqtt.packet_bytes_max))?;
    let payload = Payload {
        device: device.as_str(),
        format: match text("format") {
            "pb" => PayloadFormat::Protobuf,
            _ => PayloadFormat::Json,
        },
        bytes: &bytes,
        received_at: SystemClock.now(),
        attributes: &[],
        memory: None,
    };
    let mut encoded = Encoded::default();
    let limits = Limits::from(&config.normalise);
    normalise(class, &payload, &limits, &mut encoded)
        .map_err(|reject| Failure::new(Exit::Data, reject.to_string()))?;
    let readings = render::readings(&classes, &encoded.bytes)
        .map_err(|error| Failure::new(Exit::Software, error.to_string()))?;
    print_json(&Value::Array(readings))
}

pub(super) fn input(given: &ArgMatches, bytes_max: u64) -> Result<Vec<u8>, Failure> {
    let path = given
        .get_one::<PathBuf>("file")
        .cloned()
        .unwrap_or_default();
    let name = path.display().to_string();
    if name == "-" {
        return bounded(io::stdin().lock(), "standard input", bytes_max);
    }
    let file = File::open(&path).map_err(|error| Failure::reading(&name, &error))?;
    bounded(file, &name, bytes_max)
}

fn bounded(source: impl Read, name: &str, bytes_max: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    source
        .take(bytes_max + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::reading(name, &error))?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len > bytes_max) {
        let line = format!("{name}: is longer than mqtt.packet_bytes_max ({bytes_max} bytes)");
        return Err(Failure::new(Exit::Data, line));
    }
    Ok(bytes)
}
