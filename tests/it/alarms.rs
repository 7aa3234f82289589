//! Alarms of the classes, over real MQTT to the platform's disk: raised by the reading that crosses, cleared by the one that
//! comes back, changed by the operator.

use std::{fs, path::Path};

use prost::Message as _;
use sensegate::{
    broker::auth,
    domain::{Identity, Lane},
    harness::platform::query::StoredData,
    proto::platform::{AlarmLevel, Reading},
};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::{
    client::Client,
    device::{DeviceV5, KEY},
    platform::Platform,
    support::Node,
};

/// An alarm in a stored reading: its code, its level, the field, and whether it is up.
type Said = (String, AlarmLevel, u32, bool);

/// Lane and alarms of every stored reading, in the order in which they were observed.
fn stored(dir: &Path) -> Vec<(Lane, Vec<Said>)> {
    let mut found = Vec::new();
    StoredData::open(dir)
        .unwrap()
        .readings(|stored| {
            let reading = Reading::decode(stored.reading).unwrap();
            let alarms = reading.alarms.iter().map(|alarm| {
                let code = alarm.code.clone();
                (code, alarm.level(), alarm.field_number, alarm.active)
            });
            found.push((
                stored.observed_at_ns,
                (stored.holder.lane, alarms.collect()),
            ));
        })
        .unwrap();
    found.sort_by_key(|(observed_at_ns, _)| *observed_at_ns);
    found.into_iter().map(|(_, said)| said).collect()
}

fn raised(code: &str, level: AlarmLevel, field: u32) -> Said {
    (code.to_owned(), level, field, true)
}

fn cleared(code: &str, level: AlarmLevel, field: u32) -> Said {
    (code.to_owned(), level, field, false)
}

/// An instant of the test's day.
fn at(second: usize) -> String {
    format!("2024-01-23T12:{:02}:{:02}+08:00", second / 60, second % 60)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_crosses_is_in_the_alarm_lane_and_clears_when_it_is_back() {
    let dir = TempDir::new().unwrap();
    let platform = Platform::start_in(dir.path()).await;
    let node = Node::new(&["--platform", &platform.url()]);
    let gateway = node.start();
    // A class of the telemetry lane, two thresholds: 25 and 50 %LEL, 5 back.
    let mut device = DeviceV5::connect(gateway.mqtt, "combustible_gas_gds", "7").await;
    let lels = [3.0, 24.9, 25.0, 40.0, 55.0, 30.0, 20.0, 19.9, 3.0];
    for (second, lel) in lels.iter().enumerate() {
        let report = format!(r#"{{"lel": {lel}, "observed_at": "{}"}}"#, at(second));
        assert_eq!(device.report(&report).await, Ok(()));
    }
    platform.holds(lels.len() as u64).await;
    let low = |said: fn(&str, AlarmLevel, u32) -> Said| said("lel_low", AlarmLevel::Serious, 1);
    let high = |said: fn(&str, AlarmLevel, u32) -> Said| said("lel_high", AlarmLevel::Critical, 1);
    let quiet = (Lane::Telemetry, Vec::new());
    assert_eq!(
        stored(dir.path()),
        [
            quiet.clone(),
            quiet.clone(),
            (Lane::Alarm, vec![low(raised)]),
            quiet.clone(),
            (Lane::Alarm, vec![high(raised)]),
            (Lane::Alarm, vec![high(cleared)]),
            quiet.clone(),
            (Lane::Alarm, vec![low(cleared)]),
            quiet,
        ]
    );
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alarm_with_a_hold_time_waits_for_it_by_the_devices_clock() {
    let dir = TempDir::new().unwrap();
    let platform = Platform::start_in(dir.path()).await;
    let node = Node::new(&["--platform", &platform.url()]);
    let gateway = node.start();
    // 1 NTU, held for 900 s.
    let mut device = DeviceV5::connect(gateway.mqtt, "supply_quality", "7").await;
    let turbidities = [(0, 1.5), (600, 0.5), (900, 1.5), (1799, 1.5), (1800, 1.5)];
    for (second, turbidity) in turbidities {
        let observed_at = at(second);
        let report = format!(r#"{{"turbidity": {turbidity}, "observed_at": "{observed_at}"}}"#);
        assert_eq!(device.report(&report).await, Ok(()));
    }
    platform.holds(5).await;
    let quiet = (Lane::Telemetry, Vec::new());
    let high = raised("turbidity_high", AlarmLevel::Warning, 1);
    assert_eq!(
        stored(dir.path()),
        [
            quiet.clone(),
            quiet.clone(),
            quiet.clone(),
            quiet,
            (Lane::Alarm, vec![high]),
        ]
    );
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_device_and_its_class_both_say_is_said_once() {
    let dir = TempDir::new().unwrap();
    let platform = Platform::start_in(dir.path()).await;
    let node = Node::new(&["--platform", &platform.url()]);
    let gateway = node.start();
    let name = "water_leak_home/7";
    let token = auth::token(KEY, &Identity::parse(name).unwrap());
    let mut client = Client::connect(gateway.mqtt, name, &token).await.unwrap();
    let topic = "v1/water_leak_home/7/up/water_leak_home.onenet";
    for (second, state) in [(0, 1), (1, 1), (2, 0)] {
        let time = 1_705_982_400_000_u64 + second * 1000;
        let report =
            format!(r#"{{"params": {{"leak_state": {{"value": {state}, "time": {time}}}}}}}"#);
        assert_eq!(
            client.publish_bytes(topic, report.into_bytes()).await,
            Ok(())
        );
    }
    platform.holds(3).await;
    let leak = |said: fn(&str, AlarmLevel, u32) -> Said| {
        (Lane::Alarm, vec![said("leak", AlarmLevel::Serious, 1)])
    };
    // The device says it each time; its class, when it comes and when it goes.
    assert_eq!(
        stored(dir.path()),
        [leak(raised), leak(raised), leak(cleared)]
    );
    platform.stop().await;
}

const FLOODS: &str = r#"syntax = "proto3";
package city.alarms.v1;
import "sensegate/classes/v1/options.proto";
message Floods {
  option (sensegate.classes.v1.alarms_of) = "combustible_gas_gds";
  optional double lel = 1 [(sensegate.classes.v1.property) = {
    thresholds: [{code: "own" level: THRESHOLD_LEVEL_NOTICE above: 10 hysteresis: 2}]
  }];
}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_changes_a_classs_alarms_without_a_restart() {
    let (dir, files) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let platform = Platform::start_in(dir.path()).await;
    let class_dir = files.path().to_str().unwrap();
    let node = Node::new(&["--platform", &platform.url(), "--class-dir", class_dir]);
    let gateway = node.start();
    let mut device = DeviceV5::connect(gateway.mqtt, "combustible_gas_gds", "7").await;
    let report = |second| format!(r#"{{"lel": 12, "observed_at": "{}"}}"#, at(second));
    assert_eq!(device.report(&report(0)).await, Ok(()));
    fs::write(files.path().join("own.proto"), FLOODS).unwrap();
    gateway.reload();
    assert_eq!(device.report(&report(1)).await, Ok(()));
    platform.holds(2).await;
    let own = raised("own", AlarmLevel::Notice, 1);
    assert_eq!(
        stored(dir.path()),
        [(Lane::Telemetry, Vec::new()), (Lane::Alarm, vec![own]),]
    );
    platform.stop().await;
}

async fn all_reported(mut device: DeviceV5, payloads: Vec<String>) -> DeviceV5 {
    for payload in payloads {
        assert_eq!(device.report(&payload).await, Ok(()));
    }
    device
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alarm_of_a_payload_that_found_no_room_is_raised_by_it_all_the_same() {
    const DEVICES: usize = 24;
    const PAYLOADS: usize = 10;
    const READINGS: usize = 400;
    const ROUNDS_MAX: usize = 20;
    let dir = TempDir::new().unwrap();
    let platform = Platform::start_in(dir.path()).await;
    // Two payloads fill a group: many are offered again.
    let node = Node::new(&[
        "--platform",
        &platform.url(),
        "--group-bytes-max",
        "64KiB",
        "--mqtt-packet-bytes-max",
        "64KiB",
    ]);
    let gateway = node.start();
    let payload = |number: usize| {
        let readings = (0..READINGS).map(|place| {
            let lel = if place + 1 == READINGS { 3 } else { 60 };
            let at = 1_706_000_000_000 + number * READINGS + place;
            format!(r#"{{"lel": {lel}, "observed_at": {at}}}"#)
        });
        format!("[{}]", readings.collect::<Vec<_>>().join(","))
    };
    let mut devices = Vec::new();
    for number in 0..DEVICES {
        let name = format!("d{number}");
        devices.push(DeviceV5::connect(gateway.mqtt, "combustible_gas_gds", &name).await);
    }
    let mut sent = 0;
    let is_busy = || gateway.metric("sensegate_spool_busy_total", "") > 0.0;
    while !is_busy() {
        assert!(sent < ROUNDS_MAX * PAYLOADS, "no group was full");
        let mut reporting = JoinSet::new();
        for device in devices.drain(..) {
            let payloads: Vec<String> = (sent..sent + PAYLOADS).map(payload).collect();
            reporting.spawn(all_reported(device, payloads));
        }
        devices = reporting.join_all().await;
        sent += PAYLOADS;
    }
    platform.holds((DEVICES * sent * READINGS) as u64).await;
    let said = stored(dir.path());
    let count = |code: &str, up: bool| {
        let alarms = said.iter().flat_map(|(_, alarms)| alarms);
        alarms
            .filter(|(said, _, _, is_up)| said == code && *is_up == up)
            .count()
    };
    for code in ["lel_low", "lel_high"] {
        assert_eq!(count(code, true), DEVICES * sent, "{code} raised");
        assert_eq!(count(code, false), DEVICES * sent, "{code} cleared");
    }
    platform.stop().await;
}
