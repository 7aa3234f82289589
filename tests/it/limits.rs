//! Limits on the real binary: what one client may cost the others.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use sensegate::{broker::auth, domain::Identity, telemetry::raise_open_files};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::{
    device::{DeviceV5, KEY},
    support::{DEADLINE, Gateway, Node, eventually},
};

const MANHOLE: &str = r#"{"cover_state":"tilted","tilt_angle":31.5}"#;
const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// A platform that is not there: nothing of this needs one.
const NOWHERE: &str = "http://127.0.0.1:1";

const V3: u8 = 4;
const V5: u8 = 5;

async fn dial(gateway: &Gateway, source: Ipv4Addr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((source, 0))).unwrap();
    socket.connect(gateway.mqtt).await.unwrap()
}

/// CONNECT of a device, clean start, by hand: the answers of interest come before a library would speak.
fn connect(version: u8, username: &str, password: &str) -> Vec<u8> {
    let mut body = Vec::new();
    let text = |body: &mut Vec<u8>, text: &str| {
        body.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
        body.extend(text.as_bytes());
    };
    text(&mut body, "MQTT");
    body.extend([version, 0xc2, 0, 60]);
    if version == V5 {
        body.push(0);
    }
    text(&mut body, username);
    text(&mut body, username);
    text(&mut body, password);
    // A remaining length of two bytes.
    let length = u8::try_from(body.len() & 0x7f).unwrap() | 0x80;
    let mut packet = vec![0x10, length, u8::try_from(body.len() >> 7).unwrap()];
    packet.extend(body);
    packet
}

fn device(version: u8, name: &str) -> Vec<u8> {
    let username = format!("manhole_cover/{name}");
    let identity = Identity::parse(&username).unwrap();
    connect(version, &username, &auth::token(KEY, &identity))
}

/// The code of the CONNACK; `None` if the gateway closes without one.
async fn code(stream: &mut TcpStream) -> Option<u8> {
    let mut connack = [0_u8; 4];
    let read = timeout(DEADLINE, stream.read_exact(&mut connack)).await;
    read.expect("the gateway answers or closes").ok()?;
    assert_eq!(connack[0], 0x20);
    Some(connack[3])
}

async fn try_connect(gateway: &Gateway, source: Ipv4Addr, packet: &[u8]) -> Option<u8> {
    let mut stream = dial(gateway, source).await;
    stream.write_all(packet).await.unwrap();
    code(&mut stream).await
}

fn offender(gateway: &Gateway, kind: &str, name: &str) -> Value {
    let (status, body) = gateway.page("/offenders.json");
    assert_eq!(status, 200);
    let page: Value = serde_json::from_str(&body).unwrap();
    let mut list = page[kind].as_array().unwrap().iter();
    list.find(|offender| offender["name"] == name)
        .cloned()
        .unwrap_or_default()
}

fn limited(gateway: &Gateway, limit: &str) -> f64 {
    gateway.metric(
        "sensegate_mqtt_limited_total",
        &format!("limit=\"{limit}\""),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_connects_from_one_address_wait_beside_a_device_that_is_served_in_time() {
    raise_open_files().unwrap();
    let node = Node::new(&[
        "--platform",
        NOWHERE,
        "--mqtt-connects-per-s",
        "50",
        "--mqtt-connects-waiting-max",
        "1000",
        "--mqtt-connect-wait-max",
        "2m",
    ]);
    let gateway = node.start();
    let mut crowd = Vec::new();
    for _ in 0..2_000 {
        crowd.push(dial(&gateway, HERE).await);
    }
    eventually("the waiting room is full", || {
        limited(&gateway, "connects_waiting") > 500.0
    })
    .await;

    let begun = Instant::now();
    let mut stream = dial(&gateway, ELSEWHERE).await;
    stream.write_all(&device(V5, "7")).await.unwrap();
    assert_eq!(code(&mut stream).await, Some(0));
    assert!(begun.elapsed() < Duration::from_secs(2), "{begun:?}");

    let waiting = gateway.metric("sensegate_mqtt_connects_waiting", "");
    assert!((500.0..=1_000.0).contains(&waiting), "{waiting}");
    let crowd_at = offender(&gateway, "addresses", "127.0.0.1");
    assert!(crowd_at["count"].as_u64() > Some(500), "{crowd_at}");
    let (_, page) = gateway.page("/");
    assert!(page.contains("<td>127.0.0.1</td>"), "{page}");
    drop(crowd);
    assert_eq!(gateway.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_pings_is_slowed_down_and_another_device_reports_meanwhile() {
    let node = Node::new(&[
        "--platform",
        NOWHERE,
        "--mqtt-messages-per-s",
        "50",
        "--mqtt-rate-burst",
        "1s",
    ]);
    let gateway = node.start();
    let mut flood = dial(&gateway, HERE).await;
    flood.write_all(&device(V3, "flood")).await.unwrap();
    assert_eq!(code(&mut flood).await, Some(0));
    flood.write_all(&[0xc0, 0].repeat(5_000)).await.unwrap();
    eventually("the flood is noticed", || {
        limited(&gateway, "messages") > 0.0
    })
    .await;

    let mut honest = DeviceV5::connect(gateway.mqtt, "manhole_cover", "7").await;
    for _ in 0..20 {
        assert_eq!(honest.report(MANHOLE).await, Ok(()));
    }
    let flooder = offender(&gateway, "identities", "manhole_cover/flood");
    assert_eq!(flooder["limit"], "messages");
    assert_eq!(
        offender(&gateway, "identities", "manhole_cover/7"),
        Value::Null
    );
    // It is still there, slowed down: 5,000 at 50 a second are a minute and a half.
    let mut pong = [0_u8; 2];
    timeout(DEADLINE, flood.read_exact(&mut pong))
        .await
        .expect("pongs come")
        .unwrap();
    assert_eq!(pong, [0xd0, 0]);
    assert_eq!(gateway.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_beyond_its_connection_rate_is_told_so_in_either_version() {
    let node = Node::new(&[
        "--platform",
        NOWHERE,
        "--mqtt-connects-per-address-per-s",
        "1",
        "--mqtt-connects-per-address-burst",
        "20",
    ]);
    let gateway = node.start();
    let mut codes = Vec::new();
    for version in [V5, V3].repeat(30) {
        codes.push((
            version,
            try_connect(&gateway, HERE, &device(version, "7")).await,
        ));
    }
    assert!(codes.contains(&(V5, Some(0x9f))), "{codes:?}");
    assert!(codes.contains(&(V3, Some(3))), "{codes:?}");
    assert!(limited(&gateway, "connects_per_address") > 0.0);
    let refused = gateway.metric("sensegate_mqtt_connects_total", "outcome=\"rate\"");
    assert!(refused > 0.0);
    let other = try_connect(&gateway, ELSEWHERE, &device(V5, "8")).await;
    assert_eq!(other, Some(0));
    assert_eq!(gateway.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_guesses_passwords_is_shut_for_a_while_and_no_other() {
    let node = Node::new(&[
        "--platform",
        NOWHERE,
        "--mqtt-auth-failures-per-minute",
        "5",
        "--mqtt-auth-penalty-max",
        "1m",
    ]);
    let gateway = node.start();
    let guess = connect(V5, "manhole_cover/7", "0123456789abcdef");
    let mut codes = Vec::new();
    for _ in 0..20 {
        codes.push(try_connect(&gateway, HERE, &guess).await);
    }
    let refused = |&&code: &&Option<u8>| code == Some(0x86);
    let checked = codes.iter().filter(refused).count();
    assert!((6..12).contains(&checked), "{codes:?}");
    assert!(codes.contains(&Some(0x9f)), "{codes:?}");
    let other = try_connect(&gateway, ELSEWHERE, &device(V5, "7")).await;
    assert_eq!(other, Some(0));
    let guesser = offender(&gateway, "addresses", "127.0.0.1");
    assert_eq!(guesser["limit"], "auth_failures");
    assert_eq!(gateway.terminate().code(), Some(0));
}
