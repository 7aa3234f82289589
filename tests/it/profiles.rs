//! What the city's devices really send: every class in the format that is usual for it, over real MQTT, to the platform's
//! disk; and profiles of an operator's own.

use std::{collections::BTreeMap, fs, path::Path};

use prost::Message as _;
use rand::{SeedableRng as _, rngs::SmallRng};
use rumqttc::v5::mqttbytes::v5::ConnectReturnCode;
use sensegate::{
    broker::auth,
    domain::{Clock as _, Identity, SystemClock},
    harness::{
        devices::{Roster, dialects, embedded},
        platform::query::StoredData,
    },
    normalise::{Classes, Field, FieldKind, Intended, render},
    proto::platform::Reading,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    client::Client,
    device::KEY,
    platform::Platform,
    support::{Node, eventually},
};

const PROFILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/profiles");

/// A vector of an embedded profile: what is sent, and what is to be stored.
struct Sent {
    profile: String,
    class: String,
    /// Where the format says so; else the topic that names the profile.
    topic: Option<String>,
    payload: Vec<u8>,
    readings: Vec<toml::Table>,
}

fn profiles() -> Vec<toml::Table> {
    fn collect(dir: &Path, found: &mut Vec<toml::Table>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, found);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "toml")
            {
                let mut table: toml::Table =
                    toml::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
                let name = path.file_stem().unwrap().to_string_lossy().into_owned();
                table.entry("id").or_insert(toml::Value::String(name));
                found.push(table);
            }
        }
    }
    let mut found = Vec::new();
    collect(Path::new(PROFILES), &mut found);
    found
}

/// The first vector of a profile that gives readings and needs nothing before it.
fn first_vector(profile: &toml::Table) -> Option<Sent> {
    let text = |table: &toml::Table, key: &str| {
        table
            .get(key)
            .and_then(toml::Value::as_str)
            .map(str::to_owned)
    };
    let vectors = profile.get("vector")?.as_array()?;
    let vector = vectors
        .iter()
        .filter_map(toml::Value::as_table)
        .find(|vector| vector.contains_key("expect"))?;
    let payload = match (text(vector, "payload"), text(vector, "payload_hex")) {
        (Some(text), _) => text.into_bytes(),
        (None, Some(digits)) => hex::decode(digits.split_whitespace().collect::<String>()).unwrap(),
        (None, None) => return None,
    };
    let readings = vector["expect"].as_array().unwrap();
    Some(Sent {
        profile: text(profile, "id")?,
        class: text(profile, "class")?,
        topic: text(vector, "topic"),
        payload,
        readings: readings
            .iter()
            .filter_map(toml::Value::as_table)
            .cloned()
            .collect(),
    })
}

async fn connected(
    gateway: &crate::support::Gateway,
    class: &str,
    device: &str,
) -> Result<Client, ConnectReturnCode> {
    let name = format!("{class}/{device}");
    let token = auth::token(KEY, &Identity::parse(&name).unwrap());
    Client::connect(gateway.mqtt, &name, &token).await
}

/// What the platform has stored, by class and device, as people see it.
fn stored(dir: &Path, classes: &Classes) -> BTreeMap<(String, String), Vec<Value>> {
    let mut found: BTreeMap<_, Vec<Value>> = BTreeMap::new();
    let data = StoredData::open(dir).unwrap();
    data.readings(|stored| {
        let reading = Reading::decode(stored.reading).unwrap();
        let key = (reading.class_id.clone(), reading.device_id.clone());
        found
            .entry(key)
            .or_default()
            .push(render::reading(classes, &reading));
    })
    .unwrap();
    found
}

#[test]
fn every_class_has_a_profile_for_the_format_that_is_usual_for_it() {
    let classes = Classes::embedded().unwrap();
    let ids: Vec<String> = profiles()
        .iter()
        .map(|profile| profile["id"].as_str().unwrap().to_owned())
        .collect();
    let missing: Vec<String> = classes
        .iter()
        .map(|class| format!("{}.{}", class.id(), class.format()))
        .filter(|id| !ids.contains(id))
        .collect();
    assert!(
        missing.is_empty(),
        "{} of {}: {missing:?}",
        missing.len(),
        classes.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_class_in_its_usual_format_is_stored_value_by_value_and_unit_by_unit() {
    let classes = Classes::embedded().unwrap();
    let dir = TempDir::new().unwrap();
    let platform = Platform::start_in(dir.path()).await;
    let sent: Vec<Sent> = profiles().iter().filter_map(first_vector).collect();
    // A station, a panel, a gateway in a house speaks for its boxes, detectors, sensors: by a rule, like any other.
    let collectors = sent.iter().filter(|sent| sent.readings.len() > 1);
    let rules: Vec<String> = collectors
        .map(|sent| {
            format!(
                "[[allow]]\nclass = \"{0}\"\npublish = [\"v1/{0}/+/up\"]\n",
                sent.class
            )
        })
        .collect();
    let rights = dir.path().join("rights.toml");
    fs::write(
        &rights,
        format!("device_defaults = true\n{}", rules.concat()),
    )
    .unwrap();
    let rights = rights.to_str().unwrap();
    let node = Node::new(&["--platform", &platform.url(), "--rights", rights]);
    let gateway = node.start();
    assert_eq!(sent.len(), classes.len());
    let mut readings = 0;
    for sent in &sent {
        let device = sent.readings[0]
            .get("device")
            .and_then(toml::Value::as_str)
            .unwrap_or("vector");
        let mut client = connected(&gateway, &sent.class, device).await.unwrap();
        let named = format!("v1/{}/{device}/up/{}", sent.class, sent.profile);
        let topic = sent.topic.as_ref().unwrap_or(&named);
        let answer = client.publish_bytes(topic, sent.payload.clone()).await;
        assert_eq!(answer, Ok(()), "{}", sent.profile);
        readings += sent.readings.len() as u64;
    }
    platform.holds(readings).await;
    let found = stored(dir.path(), &classes);
    for sent in &sent {
        for wanted in &sent.readings {
            let device = wanted
                .get("device")
                .and_then(toml::Value::as_str)
                .unwrap_or("vector");
            let key = (sent.class.clone(), device.to_owned());
            let values: Value = serde_json::to_value(&wanted["values"]).unwrap();
            let holds = |reading: &&Value| is_like(reading, &values);
            let all = &found[&key];
            let reading = all
                .iter()
                .find(holds)
                .unwrap_or_else(|| panic!("{}: {all:#?}", sent.profile));
            assert_eq!(reading["profile_id"], sent.profile.as_str());
            let class = classes.get(&sent.class).unwrap();
            for field in class.fields().iter().filter(|field| !field.unit.is_empty()) {
                let shown = &reading["values"][&field.name];
                assert!(
                    shown.is_null() || shown["unit"] == field.unit.as_str(),
                    "{}",
                    sent.profile
                );
            }
        }
    }
    assert_eq!(gateway.metric("sensegate_readings_quarantined", ""), 0.0);
    platform.stop().await;
}

/// Codes, truth values and texts as they were meant; numbers as near as formats of tenths and eighths come.
fn is_meant(field: &Field, meant: &Intended, stored: &Value) -> bool {
    match (meant, &field.kind) {
        (Intended::Number(meant), _) => {
            let span = field.max.unwrap_or(1_000.0) - field.min.unwrap_or(0.0);
            let stored = stored.as_f64().or_else(|| stored.as_str()?.parse().ok());
            stored.is_some_and(|stored| (stored - meant).abs() <= span * 0.01)
        }
        (Intended::Bool(meant), _) => stored == meant,
        (Intended::Text(meant), _) => stored == meant.as_str(),
        (Intended::Code(meant), FieldKind::Enum(codes)) => codes
            .iter()
            .any(|code| code.number == *meant && stored == code.code.as_str()),
        (Intended::Code(_), _) => false,
    }
}

/// What a simulated device meant: class, device, values, and fields that share their place with others.
type Meant = (String, String, Vec<(u32, Intended)>, Vec<u32>);

#[tokio::test(flavor = "multi_thread")]
async fn a_simulated_device_of_each_class_is_stored_as_it_meant_its_values() {
    let classes = Classes::embedded().unwrap();
    let dir = TempDir::new().unwrap();
    let platform = Platform::start_in(dir.path()).await;
    let node = Node::new(&["--platform", &platform.url()]);
    let gateway = node.start();
    let patterns = embedded().unwrap();
    let formats = dialects(&patterns).unwrap();
    let roster = Roster::of_city_speaking(patterns, formats, (0.0, "sim-"));
    let mut rng = SmallRng::seed_from_u64(226);
    let (mut readings, mut meant): (u64, Vec<Meant>) = (0, Vec::new());
    for member in &roster.members {
        let dialect = roster.dialect_of(member).unwrap();
        let (class, device) = (roster.class_of(member), member.device.as_str());
        let pattern = &roster.patterns[member.pattern()];
        let mut values = pattern.start(&mut rng);
        pattern.advance(&mut values, &mut rng);
        let sent = dialect
            .write(pattern, &values, (device, SystemClock.now(), 1))
            .unwrap();
        let mut client = connected(&gateway, class, device).await.unwrap();
        let topic = format!("v1/{class}/{device}/{}", sent.topic_suffix);
        let answer = client.publish_bytes(&topic, sent.bytes).await;
        assert_eq!(answer, Ok(()), "{class}");
        readings += dialect.readings();
        meant.push((
            class.to_owned(),
            device.to_owned(),
            dialect.intended(pattern, &values),
            sent.yielded,
        ));
    }
    assert_eq!(meant.len(), 226);
    platform.holds(readings).await;
    let found = stored(dir.path(), &classes);
    for (class, device, values, yielded) in meant {
        let stored = &found[&(class.clone(), device)];
        for (number, meant) in values
            .iter()
            .filter(|(number, _)| !yielded.contains(number))
        {
            let fields = classes.get(&class).unwrap().fields();
            let field = fields.iter().find(|field| field.number == *number).unwrap();
            let mut shown = stored.iter().map(|reading| &reading["values"][&field.name]);
            let shown = shown.find(|shown| !shown["value"].is_null());
            let shown = shown.unwrap_or_else(|| panic!("{class}: no {}: {stored:#?}", field.name));
            assert!(
                is_meant(field, meant, &shown["value"]),
                "{class}: {}: {meant:?} {shown}",
                field.name
            );
            if !field.unit.is_empty() {
                assert_eq!(
                    shown["unit"],
                    field.unit.as_str(),
                    "{class}: {}",
                    field.name
                );
            }
        }
    }
    assert_eq!(gateway.metric("sensegate_readings_quarantined", ""), 0.0);
    platform.stop().await;
}

fn is_like(reading: &Value, wanted: &Value) -> bool {
    let shown = reading["values"].as_object().unwrap();
    let wanted = wanted.as_object().unwrap();
    shown.len() == wanted.len()
        && wanted.iter().all(|(field, wanted)| {
            let found = shown.get(field).map(|shown| &shown["value"]);
            found.is_some_and(|found| {
                found == wanted
                    || found
                        .as_f64()
                        .zip(wanted.as_f64())
                        .is_some_and(|(a, b)| a == b)
            })
        })
}

const ACME: &str = r#"
class = "air_station"
topics = ["acme/{device}/data"]
[codec]
kind = "json"
[fields.pm2_5]
from = "/pm25"
unit = "mg/m3"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_vendors_topic_is_read_by_the_operators_profile_and_a_bad_file_changes_nothing() {
    let (files, data) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let platform = Platform::start_in(data.path()).await;
    let file = files.path().join("acme.toml");
    fs::write(&file, ACME).unwrap();
    let flags = [
        "--platform",
        &platform.url(),
        "--profile-dir",
        files.path().to_str().unwrap(),
        // Only what the test asks for is read again.
        "--watch-interval",
        "1h",
    ];
    let node = Node::new(&flags);
    let gateway = node.start();
    let mut client = connected(&gateway, "air_station", "7").await.unwrap();
    let report = |pm: &str| format!("{{\"pm25\": {pm}}}").into_bytes();
    assert_eq!(
        client.publish_bytes("acme/7/data", report("0.033")).await,
        Ok(())
    );
    // For another device it has no right to report, by whichever topic.
    assert_eq!(
        client.publish_bytes("acme/8/data", report("0.5")).await,
        Err(0x83)
    );

    fs::write(&file, ACME.replace("mg/m3", "kPa")).unwrap();
    gateway.reload();
    assert_eq!(
        client.publish_bytes("acme/7/data", report("0.034")).await,
        Ok(())
    );
    fs::write(&file, ACME.replace("mg/m3", "ug/m3")).unwrap();
    gateway.reload();
    assert_eq!(
        client.publish_bytes("acme/7/data", report("35")).await,
        Ok(())
    );

    platform.holds(3).await;
    let classes = Classes::embedded().unwrap();
    let found = stored(data.path(), &classes);
    let found = &found[&("air_station".to_owned(), "7".to_owned())];
    let values: Vec<f64> = found
        .iter()
        .map(|reading| reading["values"]["pm2_5"]["value"].as_f64().unwrap())
        .collect();
    assert_eq!(values, [33.0, 34.0, 35.0]);
    eventually("the refused report is in quarantine", || {
        gateway.metric(
            "sensegate_ingest_quarantined_payloads_total",
            "device_rights",
        ) == 1.0
    })
    .await;
    platform.stop().await;
}

const OWN_THRESHOLD: &str = r#"syntax = "proto3";
package city.alarms.v1;
import "sensegate/classes/v1/options.proto";
message Dust {
  option (sensegate.classes.v1.alarms_of) = "air_station";
  optional double pm2_5 = 1 [(sensegate.classes.v1.property) = {
    thresholds: [{code: "own" level: THRESHOLD_LEVEL_NOTICE above: 35.5 hysteresis: 2}]
  }];
}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn profiles_and_classes_are_taken_as_their_files_change() {
    let (files, data) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let platform = Platform::start_in(data.path()).await;
    let [class_dir, profile_dir] = ["classes", "profiles"].map(|name| files.path().join(name));
    fs::create_dir_all(profile_dir.join("acme")).unwrap();
    fs::create_dir(&class_dir).unwrap();
    let node = Node::new(&[
        "--platform",
        &platform.url(),
        "--profile-dir",
        profile_dir.to_str().unwrap(),
        "--class-dir",
        class_dir.to_str().unwrap(),
        "--watch-interval",
        "50ms",
    ]);
    let gateway = node.start();
    let mut client = connected(&gateway, "air_station", "7").await.unwrap();
    let report = |pm: &str| format!("{{\"pm25\": {pm}}}").into_bytes();
    // No device may report where nobody reads.
    let answer = client.publish_bytes("acme/7/data", report("1")).await;
    assert_eq!(answer, Err(0x87));

    let reloads = |result: &str| gateway.metric("sensegate_ingest_reloads_total", result);
    let file = profile_dir.join("acme/station.toml");
    fs::write(&file, ACME).unwrap();
    eventually("a new file is taken", || reloads("in_force") == 1.0).await;
    let answer = client.publish_bytes("acme/7/data", report("0.033")).await;
    assert_eq!(answer, Ok(()));

    fs::write(&file, ACME.replace("mg/m3", "furlong")).unwrap();
    eventually("a wrong file is refused", || reloads("refused") == 1.0).await;
    let answer = client.publish_bytes("acme/7/data", report("0.034")).await;
    assert_eq!(answer, Ok(()), "the set before it is in force");

    fs::write(&file, ACME.replace("mg/m3", "ug/m3")).unwrap();
    eventually("a mended file is taken", || reloads("in_force") == 2.0).await;
    let answer = client.publish_bytes("acme/7/data", report("35")).await;
    assert_eq!(answer, Ok(()));

    fs::write(class_dir.join("own.proto"), OWN_THRESHOLD).unwrap();
    eventually("a new class file is taken", || reloads("in_force") == 3.0).await;
    let answer = client.publish_bytes("acme/7/data", report("36")).await;
    assert_eq!(answer, Ok(()));

    platform.holds(4).await;
    let classes = Classes::embedded().unwrap();
    let found = stored(data.path(), &classes);
    let found = &found[&("air_station".to_owned(), "7".to_owned())];
    let told: Vec<(f64, bool)> = found
        .iter()
        .map(|reading| {
            let value = reading["values"]["pm2_5"]["value"].as_f64().unwrap();
            (value, reading.get("alarms").is_some())
        })
        .collect();
    // An alarm goes by the faster lane.
    for wanted in [(33.0, false), (34.0, false), (35.0, false), (36.0, true)] {
        assert!(told.contains(&wanted), "{told:?}");
    }
    platform.stop().await;
}
