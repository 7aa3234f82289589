//! How the daemon ends, and how it refuses to start.

use std::{fs, net::TcpListener};

use rumqttc::QoS;

use crate::{device::Device, platform::Platform, support::Node};

#[tokio::test(flavor = "multi_thread")]
async fn an_orderly_stop_loses_nothing_that_was_acknowledged_and_exits_with_zero() {
    let platform = Platform::start().await;
    let node = Node::new(&["--platform", &platform.url()]);
    let gateway = node.start();
    let mut device = Device::connect(gateway.mqtt, "air_station", "7").await;
    for _ in 0..50 {
        device.report(r#"{"pm25": 12}"#, QoS::AtLeastOnce).await;
    }
    assert_eq!(gateway.terminate().code(), Some(0));
    // What had not reached the platform by then does after the next start.
    let _gateway = node.start();
    platform.holds(50).await;
    platform.stop().await;
}

#[test]
fn a_port_in_use_is_named_and_ends_the_start() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let node = Node::new(&["--mqtt-listen", &address]);
    let (code, error) = node.refused();
    assert_eq!(code, 69, "{error}");
    assert!(error.contains(&address), "{error}");
}

#[test]
fn a_locked_data_directory_is_named_and_ends_the_start() {
    let node = Node::new(&[]);
    let running = node.start();
    let (code, error) = node.refused();
    assert_eq!(code, 75, "{error}");
    assert!(error.contains("data") && error.contains("lock"), "{error}");
    drop(running);
}

#[test]
fn a_data_directory_of_a_newer_version_is_refused_untouched() {
    let node = Node::new(&[]);
    assert_eq!(node.start().terminate().code(), Some(0));
    let format = node.data_dir().join("FORMAT");
    fs::write(&format, "sensegate 999\n").unwrap();
    let (code, error) = node.refused();
    assert_eq!(code, 78, "{error}");
    assert!(error.contains("999"), "{error}");
    assert_eq!(fs::read_to_string(&format).unwrap(), "sensegate 999\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_class_from_the_class_dir_is_taken_after_a_reload_without_a_rebuild() {
    let classes = tempfile::TempDir::new().unwrap();
    let platform = Platform::start().await;
    let dir = classes.path().to_str().unwrap().to_owned();
    let node = Node::new(&["--platform", &platform.url(), "--class-dir", &dir]);
    let gateway = node.start();
    let mut device = Device::connect(gateway.mqtt, "bird_box", "7").await;
    device.report(r#"{"eggs": 3}"#, QoS::AtLeastOnce).await;
    assert_eq!(
        gateway.metric(
            "sensegate_ingest_quarantined_payloads_total",
            "unknown_class"
        ),
        1.0
    );

    fs::write(classes.path().join("birds.proto"), BIRD_BOX).unwrap();
    gateway.reload();
    device.report(r#"{"eggs": 3}"#, QoS::AtLeastOnce).await;
    platform.holds(1).await;

    fs::write(
        classes.path().join("birds.proto"),
        "syntax = \"proto3\"; message {",
    )
    .unwrap();
    gateway.reload();
    device.report(r#"{"eggs": 4}"#, QoS::AtLeastOnce).await;
    platform.holds(2).await;
    platform.stop().await;
}

const BIRD_BOX: &str = r#"
syntax = "proto3";
package city.birds.v1;
import "sensegate/classes/v1/options.proto";

message BirdBox {
  option (sensegate.classes.v1.class) = {
    id: "bird_box" name_zh: "鸟巢箱" name_en: "Bird box" domain: "agriculture" domain_zh: "农业与园林"
    lane: CLASS_LANE_BULK interval_s: 3600 nominal_count: 10 format: "vendor_json"
  };
  optional uint64 eggs = 1 [(sensegate.classes.v1.property) = { unit: "{count}" min: 0 max: 20 }];
}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_under_load_owes_nobody_an_acknowledgement() {
    let platform = Platform::start().await;
    let node = Node::new(&["--platform", &platform.url()]);
    let gateway = node.start();
    let device = Device::connect(gateway.mqtt, "air_station", "7").await;
    let flood = device.flood(r#"{"pm25": 12}"#);
    flood.acknowledged(500).await;
    let stopped = tokio::task::spawn_blocking(move || gateway.terminate());
    let acknowledged = flood.until_closed().await;
    assert_eq!(stopped.await.unwrap().code(), Some(0));
    // What became durable was acknowledged, and what was acknowledged is durable: exactly that arrives.
    let _gateway = node.start();
    platform.holds(acknowledged).await;
    platform.stop().await;
}
