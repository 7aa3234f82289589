//! The operator at the quarantine: the real command line beside the real daemon, and without one.

use std::{fs, io::Write as _, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use prost::Message as _;
use sensegate::{
    broker::auth, domain::Identity, harness::platform::query::StoredData, proto::platform::Reading,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    client::Client,
    device::KEY,
    platform::Platform,
    support::{Gateway, Node},
};

const ACME: &str = r#"
class = "air_station"
topics = ["acme/{device}/data"]
[codec]
kind = "json"
[fields.pm2_5]
from = "/pm25"
unit = "ug/m3"
"#;

/// A node with a folder of profiles, which is empty at first.
struct Scene {
    files: TempDir,
    node: Node,
}

impl Scene {
    fn new(platform: &Platform) -> Self {
        let files = TempDir::new().unwrap();
        let dir = files.path().to_str().unwrap();
        let node = Node::new(&["--platform", &platform.url(), "--profile-dir", dir]);
        Self { files, node }
    }

    fn mend(&self) {
        fs::write(self.files.path().join("acme.toml"), ACME).unwrap();
    }

    /// Runs `sensegate quarantine`: its exit code and what it printed.
    fn ran(&self, arguments: &[&str]) -> (i32, String) {
        let (subcommand, filters) = arguments.split_first().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sensegate"));
        command.env("SENSEGATE_CONFIG", "/dev/null");
        command.args(["quarantine", subcommand, "--data-dir"]);
        command.arg(self.node.data_dir()).args(filters);
        if ["replay", "purge"].contains(subcommand) {
            command.arg("--profile-dir").arg(self.files.path());
        }
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code().unwrap(), text)
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let (code, text) = self.ran(&[arguments, &["--json"]].concat());
        assert_eq!(code, 0, "{arguments:?}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    fn listed(&self, filters: &[&str]) -> Vec<u64> {
        let shown = self.json(&[&["list"], filters].concat());
        let entries = shown.as_array().unwrap().iter();
        entries.map(|entry| entry["id"].as_u64().unwrap()).collect()
    }
}

async fn connected(gateway: &Gateway, class: &str, device: &str) -> Client {
    let name = format!("{class}/{device}");
    let token = auth::token(KEY, &Identity::parse(&name).unwrap());
    Client::connect(gateway.mqtt, &name, &token).await.unwrap()
}

/// A report for a profile that is not there yet.
async fn report(client: &mut Client, device: &str, pm: &str) {
    let topic = format!("v1/air_station/{device}/up/acme");
    let payload = format!("{{\"pm25\": {pm}}}");
    // Quarantined: said so, and acknowledged.
    assert!(client.publish(&topic, &payload).await.is_err());
}

fn stored(dir: &Path) -> Vec<Reading> {
    let mut found = Vec::new();
    StoredData::open(dir)
        .unwrap()
        .readings(|stored| found.push(Reading::decode(stored.reading).unwrap()))
        .unwrap();
    found
}

fn balance(scene: &Scene) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sensegate"));
    command.env("SENSEGATE_CONFIG", "/dev/null");
    command.args(["spool", "stat", "--json", "--data-dir"]);
    let output = command.arg(scene.node.data_dir()).output().unwrap();
    let stat: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(stat["balances"], true, "{stat}");
    stat["total"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mended_profile_and_a_replay_deliver_what_was_quarantined_with_its_first_time() {
    let data = TempDir::new().unwrap();
    let platform = Platform::start_in(data.path()).await;
    let scene = Scene::new(&platform);
    let gateway = scene.node.start();
    let mut client = connected(&gateway, "air_station", "7").await;
    report(&mut client, "7", "33").await;
    report(&mut client, "7", "]").await;
    assert!(
        client
            .publish("v1/air_station/7/up", r#"{"pm2_5": true}"#)
            .await
            .is_err()
    );

    let entries = scene.json(&["list"]);
    assert_eq!(entries[0]["client"], "air_station/7");
    assert_eq!(scene.listed(&["--reason", "no_profile"]), [0, 1]);
    assert_eq!(scene.listed(&["--topic", "v1/+/7/up"]), [2]);
    assert_eq!(
        scene.listed(&["--since", "1h", "--class", "air_station"]),
        [0, 1, 2]
    );
    assert_eq!(scene.listed(&["--until", "1h"]), [] as [u64; 0]);
    let before = scene.json(&["replay"]);
    assert_eq!(
        (&before["by"], &before["released"]),
        (&"gateway".into(), &0.into())
    );

    scene.mend();
    gateway.reload();
    let tried = scene.json(&["replay", "--reason", "no_profile", "--dry-run"]);
    assert_eq!(
        (&tried["entries"], &tried["released"]),
        (&2.into(), &1.into())
    );
    assert_eq!(scene.listed(&[]), [0, 1, 2]);
    let done = scene.json(&["replay"]);
    assert_eq!(
        (&done["entries"], &done["released"]),
        (&3.into(), &1.into())
    );
    let unreadable = done["unreadable"].as_object().unwrap().values();
    assert_eq!(unreadable.filter_map(Value::as_u64).sum::<u64>(), 2);
    assert_eq!(scene.listed(&[]), [1, 2]);

    platform.holds(1).await;
    let reading = stored(data.path()).remove(0);
    assert_eq!(reading.attributes["replayed"], "true");
    assert_eq!(
        (reading.device_id.as_str(), reading.profile_id.as_str()),
        ("7", "acme")
    );
    let received = time::OffsetDateTime::parse(
        entries[0]["received_at"].as_str().unwrap(),
        &time::format_description::well_known::Rfc3339,
    );
    let received = received.unwrap().unix_timestamp_nanos();
    assert_eq!(i128::from(reading.received_at_ns), received);
    assert_eq!(balance(&scene)["received"], 3);
    assert_eq!(
        gateway.metric("sensegate_quarantine_released_total", ""),
        1.0
    );
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_the_command_replays_and_purges_by_itself_and_nothing_counts_twice() {
    let data = TempDir::new().unwrap();
    let platform = Platform::start_in(data.path()).await;
    let scene = Scene::new(&platform);
    let gateway = scene.node.start();
    let mut client = connected(&gateway, "air_station", "7").await;
    report(&mut client, "7", "33").await;
    report(&mut client, "7", "34").await;
    report(&mut client, "7", "]").await;
    gateway.kill();

    scene.mend();
    let first = scene.json(&["replay", "--limit", "1"]);
    assert_eq!(
        (&first["by"], &first["released"]),
        (&"command".into(), &1.into())
    );
    let rest = scene.json(&["replay"]);
    assert_eq!(
        (&rest["released"], &rest["readings"]),
        (&1.into(), &1.into())
    );
    assert_eq!(scene.json(&["replay"])["released"], 0);
    let (code, _) = scene.ran(&["purge"]);
    assert_eq!(code, 64, "a purge of everything has to be asked for");
    assert_eq!(scene.json(&["purge", "--all", "--dry-run"])["released"], 1);
    assert_eq!(
        scene.json(&["purge", "--reason", "no_profile"])["released"],
        1
    );
    assert_eq!(scene.listed(&[]), [] as [u64; 0]);
    let total = balance(&scene);
    assert_eq!(
        (&total["spooled"], &total["quarantined"]),
        (&2.into(), &0.into())
    );
    assert_eq!(total["dropped"]["purged"], 1);

    let gateway = scene.node.start();
    platform.holds(2).await;
    assert!(
        stored(data.path())
            .iter()
            .all(|reading| reading.attributes["replayed"] == "true")
    );
    drop(gateway);
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_speaks_for_another_device_only_if_an_operator_vouches() {
    let platform = Platform::start().await;
    let scene = Scene::new(&platform);
    fs::write(
        scene.files.path().join("acme.toml"),
        ACME.replace("topics = [\"acme/{device}/data\"]", "device = \"/for\""),
    )
    .unwrap();
    let gateway = scene.node.start();
    let mut client = connected(&gateway, "air_station", "7").await;
    let topic = "v1/air_station/7/up/acme";
    let payload = r#"{"pm25": 5, "for": "8"}"#;
    assert!(client.publish(topic, payload).await.is_err());
    assert_eq!(scene.listed(&["--reason", "device_rights"]), [0]);

    assert_eq!(scene.json(&["replay"])["aside"], 1);
    let unvouched = scene.json(&["replay", "--reason", "device_rights"]);
    assert_eq!(unvouched["unreadable"]["device_rights"], 1);
    let vouched = scene.json(&["replay", "--id", "0", "--vouch"]);
    assert_eq!(vouched["released"], 1);
    platform.holds(1).await;
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_is_shown_and_exported_with_its_bytes() {
    let platform = Platform::start().await;
    let scene = Scene::new(&platform);
    let gateway = scene.node.start();
    let mut client = connected(&gateway, "air_station", "7").await;
    report(&mut client, "7", "33").await;
    let (code, shown) = scene.ran(&["show", "0"]);
    assert_eq!(code, 0);
    assert!(
        shown.contains("no_profile") && shown.contains(r#"{"pm25": 33}"#),
        "{shown}"
    );
    assert_eq!(scene.ran(&["show", "9"]).0, 65);
    let (_, exported) = scene.ran(&["export"]);
    let line: Value = serde_json::from_str(exported.trim_end()).unwrap();
    assert_eq!(line["payload_base64"], "eyJwbTI1IjogMzN9");
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_is_for_the_owner_alone_and_survives_what_is_no_request() {
    let platform = Platform::start().await;
    let scene = Scene::new(&platform);
    let gateway = scene.node.start();
    let path = scene.node.data_dir().join("admin.sock");
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for bad in [&b"{}\n"[..], b"\xff\xff\n", b"no line", &[b'x'; 100_000]] {
        let mut stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
        // It may hang up before it has read all of it.
        drop(stream.write_all(bad));
    }
    assert_eq!(scene.json(&["replay"])["by"], "gateway");
    assert!(gateway.terminate().success());
    assert!(!path.exists());
    platform.stop().await;
}
