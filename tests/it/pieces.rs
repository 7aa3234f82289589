//! Frames that come in several publishes, and what SDKs wait for: over real MQTT, with the gateway killed in between.

use std::{fs, path::Path};

use rumqttc::v5::{
    Event,
    mqttbytes::{QoS, v5::Packet},
};
use sensegate::{broker::auth, domain::Identity};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::{
    client::Client,
    device::KEY,
    platform::Platform,
    support::{DEADLINE, Gateway, Node, eventually},
};

/// Answer of a meter, CJ/T 188: 12 m3.
const METER: &str = "fefefe6810962911800100008116901f02001200002c000000002c0000000000000002007d16";
const TOPIC: &str = "v1/water_meter_residential/7/up/meter";
const PROFILE: &str = r#"
id = "meter"
class = "water_meter_residential"
[codec]
kind = "cjt188"
[fields.volume]
from = "volume"
"#;

async fn connected(gateway: &Gateway, class: &str, device: &str) -> Client {
    let name = format!("{class}/{device}");
    let token = auth::token(KEY, &Identity::parse(&name).unwrap());
    Client::connect(gateway.mqtt, &name, &token).await.unwrap()
}

fn node(platform: &Platform, files: &Path, further: &[&str]) -> Node {
    let url = platform.url();
    let fixed = ["--platform", &url, "--profile-dir", files.to_str().unwrap()];
    Node::new(&[&fixed, further].concat())
}

fn counted(gateway: &Gateway) -> [f64; 3] {
    [
        gateway.metric("sensegate_readings_received_total", ""),
        gateway.metric("sensegate_readings_quarantined", ""),
        gateway.metric("sensegate_readings_delivered_total", ""),
    ]
}

fn bytes() -> Vec<u8> {
    hex::decode(METER).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_halves_of_a_frame_are_acknowledged_each_and_become_one_reading() {
    let (files, data) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    fs::write(files.path().join("meter.toml"), PROFILE).unwrap();
    let platform = Platform::start_in(data.path()).await;
    let node = node(&platform, files.path(), &[]);
    let gateway = node.start();
    let mut client = connected(&gateway, "water_meter_residential", "7").await;
    let frame = bytes();
    assert_eq!(
        client.publish_bytes(TOPIC, frame[..20].to_vec()).await,
        Ok(())
    );
    eventually("the piece stands in quarantine", || {
        counted(&gateway) == [1.0, 1.0, 0.0]
    })
    .await;
    // Another connection of the same device brings the rest.
    let mut again = connected(&gateway, "water_meter_residential", "7").await;
    assert_eq!(
        again.publish_bytes(TOPIC, frame[20..].to_vec()).await,
        Ok(())
    );
    platform.holds(1).await;
    eventually("the piece has left quarantine", || {
        counted(&gateway) == [1.0, 0.0, 1.0]
    })
    .await;
    let joined = gateway.metric("sensegate_ingest_profile_events_total", "joined_piece");
    assert_eq!(joined, 1.0);
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_killed_between_the_halves_still_has_both() {
    let (files, data) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    fs::write(files.path().join("meter.toml"), PROFILE).unwrap();
    let platform = Platform::start_in(data.path()).await;
    let node = node(&platform, files.path(), &[]);
    let gateway = node.start();
    let mut client = connected(&gateway, "water_meter_residential", "7").await;
    let frame = bytes();
    assert_eq!(
        client.publish_bytes(TOPIC, frame[..20].to_vec()).await,
        Ok(())
    );
    gateway.kill();
    let gateway = node.start();
    let mut client = connected(&gateway, "water_meter_residential", "7").await;
    // Nothing is known of the beginning any more: the end alone is no frame, and is kept as well.
    assert_eq!(
        client.publish_bytes(TOPIC, frame[20..].to_vec()).await,
        Err(0x99)
    );
    assert_eq!(client.publish_bytes(TOPIC, frame).await, Ok(()));
    platform.holds(1).await;
    eventually("both halves stand in quarantine", || {
        counted(&gateway)[1] == 2.0
    })
    .await;
    platform.stop().await;
}

const ALINK: &str = r#"
class = "air_station"
topics = ["/sys/{product}/{device}/thing/event/property/post"]
[codec]
kind = "json"
value_member = "value"
[fields.pm2_5]
from = "/params/PM25"
[reply]
topic = "/sys/${topic.product}/${topic.device}/thing/event/property/post_reply"
payload = '{"id":"${/id}","code":200}'
refusal = '{"id":"${/id}","code":460}'
"#;

const RULES: &str = r#"
device_defaults = true
[[allow]]
class = "air_station"
subscribe = ["/sys/+/{device}/thing/event/property/post_reply"]
"#;

impl Client {
    /// The next message of a subscription.
    async fn told(&mut self) -> (String, Value) {
        let told = async {
            loop {
                if let Event::Incoming(Packet::Publish(publish)) = self.events.poll().await.unwrap()
                {
                    let topic = String::from_utf8(publish.topic.to_vec()).unwrap();
                    return (topic, serde_json::from_slice(&publish.payload).unwrap());
                }
            }
        };
        timeout(DEADLINE, told).await.expect("a message comes")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sdk_is_answered_once_its_report_is_durable_at_either_quality_of_service() {
    let (files, data) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    fs::write(files.path().join("alink.toml"), ALINK).unwrap();
    let rules = data.path().join("rights.toml");
    fs::write(&rules, RULES).unwrap();
    let platform = Platform::start_in(data.path()).await;
    let node = node(
        &platform,
        files.path(),
        &["--rights", rules.to_str().unwrap()],
    );
    let gateway = node.start();
    let mut client = connected(&gateway, "air_station", "7").await;
    let reply = "/sys/a1/7/thing/event/property/post_reply";
    client
        .client
        .subscribe(reply, QoS::AtMostOnce)
        .await
        .unwrap();
    let report = |id: u32, value: &str| {
        format!(r#"{{"id":"{id}","params":{{"PM25":{{"value":{value}}}}}}}"#)
    };
    let post = "/sys/a1/7/thing/event/property/post";
    for (id, qos) in [
        (1, QoS::AtLeastOnce),
        (2, QoS::AtMostOnce),
        (3, QoS::ExactlyOnce),
    ] {
        let sent = client.client.publish(post, qos, false, report(id, "35"));
        sent.await.unwrap();
        let (topic, said) = client.told().await;
        assert_eq!(topic, reply);
        assert_eq!(said, json!({"id": id.to_string(), "code": 200}));
    }
    platform.holds(3).await;
    let sent = client
        .client
        .publish(post, QoS::AtLeastOnce, false, report(4, "\"much\""));
    sent.await.unwrap();
    assert_eq!(client.told().await.1, json!({"id": "4", "code": 460}));
    assert_eq!(counted(&gateway)[1], 1.0);
    platform.stop().await;
}
