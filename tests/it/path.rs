//! From the device's publish to the platform's disk.

use rumqttc::QoS;
use sensegate::harness::platform::query::StoredData;
use tempfile::TempDir;

use crate::{
    device::{Device, DeviceV5},
    platform::Platform,
    support::{Node, eventually},
};

const MANHOLE: &str =
    r#"{"cover_state":"tilted","tilt_angle":31.5,"water_overflow":true,"battery":87,"signal":-71}"#;

#[tokio::test(flavor = "multi_thread")]
async fn readings_of_every_qos_and_both_protocols_arrive_in_the_schema_of_their_class() {
    let platform = Platform::start().await;
    let node = Node::new(&["--platform", &platform.url()]);
    let gateway = node.start();

    let mut old = Device::connect(gateway.mqtt, "manhole_cover", "510104-1").await;
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        old.report(MANHOLE, qos).await;
    }
    let mut new = DeviceV5::connect(gateway.mqtt, "air_station", "510104-2").await;
    assert_eq!(new.report(r#"{"pm25": 35.5}"#).await, Ok(()));

    platform.holds(4).await;
    let readings = platform.readings_of("510104-1");
    assert_eq!(readings.len(), 3);
    for reading in readings {
        assert_eq!(reading["cover_state"], "tilted");
        assert_eq!(reading["tilt_angle"], 31.5);
        assert_eq!(reading["water_overflow"], true);
        assert_eq!(reading["battery"], 87.0);
        assert_eq!(reading.as_object().unwrap().len(), 5);
    }
    assert_eq!(gateway.terminate().code(), Some(0));
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_stands_in_quarantine_and_the_ledger_balances() {
    let platform = Platform::start().await;
    let node = Node::new(&["--platform", &platform.url()]);
    let gateway = node.start();

    let mut device = DeviceV5::connect(gateway.mqtt, "manhole_cover", "7").await;
    assert_eq!(device.report("{ not json").await, Err(0x99));
    assert_eq!(device.report(r#"{"cover_state":"ajar"}"#).await, Err(0x83));
    assert_eq!(device.report(MANHOLE).await, Ok(()));

    let mut old = Device::connect(gateway.mqtt, "manhole_cover", "8").await;
    old.report("neither is this", QoS::AtLeastOnce).await;

    platform.holds(1).await;
    eventually("delivery settles in the ledger", || {
        gateway.metric("sensegate_readings_delivered_total", "") == 1.0
    })
    .await;
    assert_eq!(gateway.metric("sensegate_readings_received_total", ""), 4.0);
    assert_eq!(gateway.metric("sensegate_readings_quarantined", ""), 3.0);
    assert_eq!(
        gateway.metric(
            "sensegate_ingest_quarantined_payloads_total",
            "malformed_json"
        ),
        2.0
    );
    assert_eq!(
        gateway.metric("sensegate_ingest_quarantined_payloads_total", "enum_code"),
        1.0
    );
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_publishes_its_own_readings_and_nobody_elses() {
    let platform = Platform::start().await;
    let node = Node::new(&["--platform", &platform.url()]);
    let gateway = node.start();

    let mut device = DeviceV5::connect(gateway.mqtt, "manhole_cover", "7").await;
    for topic in [
        "v1/manhole_cover/8/up",
        "v1/air_station/7/up",
        "v1/manhole_cover/7/down",
        "elsewhere",
    ] {
        assert_eq!(device.publish(topic, MANHOLE).await, Err(0x87), "{topic}");
    }
    assert_eq!(device.report(MANHOLE).await, Ok(()));
    platform.holds(1).await;
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readings_taken_while_the_platform_is_away_arrive_once_when_it_is_back() {
    let data = TempDir::new().unwrap();
    let platform = Platform::start_in(data.path()).await;
    let url = platform.url();
    let address = platform.address();
    let node = Node::new(&["--platform", &url]);
    let gateway = node.start();
    let mut device = Device::connect(gateway.mqtt, "manhole_cover", "7").await;

    device.report(MANHOLE, QoS::AtLeastOnce).await;
    platform.holds(1).await;
    platform.stop().await;
    for _ in 0..100 {
        device.report(MANHOLE, QoS::AtLeastOnce).await;
    }
    // The gateway dies as well: what it acknowledged is on its disk.
    gateway.kill();
    let gateway = node.start();
    let platform = Platform::start_at(data.path(), address).await;
    platform.holds(101).await;
    platform.stop().await;

    let audit = StoredData::open(data.path()).unwrap().audit().unwrap();
    assert_eq!(audit.readings, 101);
    assert!(
        audit.twice.is_empty() && audit.holes.is_empty(),
        "{audit:?}"
    );
    drop(gateway);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_endpoint_serves_when_the_first_does_not_answer() {
    let platform = Platform::start().await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let first = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let node = Node::new(&["--platform", &first, "--platform", &platform.url()]);
    let gateway = node.start();
    let mut device = Device::connect(gateway.mqtt, "manhole_cover", "7").await;
    device.report(MANHOLE, QoS::AtLeastOnce).await;
    platform.holds(1).await;
    assert_eq!(gateway.page("/readyz").0, 200);
    assert_eq!(gateway.page("/healthz").0, 200);
    platform.stop().await;
}
