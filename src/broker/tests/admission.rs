//! The door as clients meet it: source addresses take turns, who does not come in is told, and nobody waits for ever.

use std::net::Ipv4Addr;

use tokio::net::TcpSocket;

use super::*;
use v5::ConnectAckReason;

const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A rig whose connects are limited in some way.
fn rig(change: impl FnOnce(&mut config::ConnectLimits)) -> Rig {
    let mut mqtt = config();
    change(&mut mqtt.limits.connects);
    Rig::with(&mqtt, &hmac())
}

async fn dial_from(rig: &Rig, source: Ipv4Addr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((source, 0).into()).unwrap();
    socket.connect(rig.address).await.unwrap()
}

async fn client_from(rig: &Rig, source: Ipv4Addr, connect: v5::Connect) -> Client5 {
    let mut client = Client {
        stream: dial_from(rig, source).await,
        codec: v5::Codec::default(),
        buffer: BytesMut::new(),
    };
    client.send(v5::Packet::Connect(Box::new(connect))).await;
    client
}

async fn answer(client: &mut Client5) -> ConnectAckReason {
    match client.receive().await {
        Some(v5::Packet::ConnectAck(ack)) => ack.reason_code,
        other => panic!("{other:?}"),
    }
}

/// Waits until so many sockets wait; the broker accepts at its own pace.
async fn waiting(rig: &Rig, count: usize) {
    let reached = async {
        while rig.handle.connects_waiting() != count {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, reached).await.expect("sockets wait");
}

fn offenders(rig: &Rig) -> Vec<(String, &'static str)> {
    let offenders = rig.handle.offenders();
    let list = offenders.addresses.into_iter();
    list.map(|offender| (offender.name, offender.limit))
        .collect()
}

#[tokio::test]
async fn a_storm_from_one_address_waits_and_a_device_from_another_is_let_in_at_its_turn() {
    let rig = rig(|connects| {
        connects.per_s = 10;
        connects.burst = Duration::from_millis(10);
        connects.wait_max = Duration::from_secs(600);
    });
    let mut storm = Vec::new();
    for _ in 0..200 {
        storm.push(dial_from(&rig, Ipv4Addr::LOCALHOST).await);
    }
    let mut device = client_from(&rig, ELSEWHERE, connect5()).await;
    assert_eq!(answer(&mut device).await, ConnectAckReason::Success);
    device.ping().await;
    // 200 at 10 a second are 20 s; its turn was the second or third.
    assert!(rig.handle.connects_waiting() > 50);
    rig.stop().await;
}

#[tokio::test]
async fn a_stop_closes_those_who_wait() {
    let rig = rig(|connects| {
        connects.per_s = 1;
        connects.burst = Duration::from_millis(10);
    });
    let _first = Client5::open(&rig).await;
    let mut second = Client5::dial(&rig).await;
    waiting(&rig, 1).await;
    rig.handle.close_intake().await;
    assert!(second.is_closed::<v5::Packet>().await);
    rig.stop().await;
}

#[tokio::test]
async fn the_waiting_room_is_bounded_and_who_finds_it_full_is_told_in_either_version() {
    let rig = rig(|connects| {
        connects.per_s = 1;
        connects.burst = Duration::from_millis(10);
        connects.waiting_max = 5;
        connects.wait_max = Duration::from_secs(600);
    });
    let _first = Client5::open(&rig).await;
    let mut room = Vec::new();
    for _ in 0..5 {
        room.push(dial_from(&rig, Ipv4Addr::LOCALHOST).await);
    }
    // The room loses one a second and is filled up at once by those who come while it has room.
    let mut refused = 0;
    while refused < 3 {
        let mut client = client_from(&rig, Ipv4Addr::LOCALHOST, connect5()).await;
        let told = timeout(Duration::from_millis(300), client.receive()).await;
        match told {
            Ok(Some(v5::Packet::ConnectAck(ack))) => {
                assert_eq!(ack.reason_code, ConnectAckReason::ConnectionRateExceeded);
                assert!(client.is_closed().await);
                refused += 1;
            }
            Ok(other) => panic!("{other:?}"),
            Err(_waits) => room.push(client.stream),
        }
        assert!(rig.handle.connects_waiting() <= 5);
    }
    assert_eq!(
        offenders(&rig),
        [("127.0.0.1".to_owned(), "connects_waiting")]
    );
    rig.stop().await;
}

#[tokio::test]
async fn who_waits_too_long_is_told_and_closed() {
    let rig = rig(|connects| {
        connects.per_s = 1;
        connects.burst = Duration::from_millis(10);
        connects.wait_max = Duration::from_secs(10);
    });
    let _first = Client5::open(&rig).await;
    let mut late = Vec::new();
    for _ in 0..3 {
        late.push(client_from(&rig, ELSEWHERE, connect5()).await);
    }
    waiting(&rig, 3).await;
    rig.pass(Duration::from_secs(11));
    for client in &mut late {
        let told = answer(client).await;
        assert_eq!(told, ConnectAckReason::ConnectionRateExceeded);
        assert!(client.is_closed().await);
    }
    assert_eq!(offenders(&rig), [("127.0.0.2".to_owned(), "connect_wait")]);
    rig.stop().await;
}

#[tokio::test]
async fn an_address_that_connects_too_fast_is_told_and_another_is_served() {
    let rig = rig(|connects| {
        connects.per_address_per_s = 1;
        connects.per_address_burst = 2;
    });
    let _first = Client5::open(&rig).await;
    let _second = Client3::open(&rig).await;
    let (mut third, ack) = Client5::connect(&rig, connect5()).await;
    assert_eq!(ack.reason_code, ConnectAckReason::ConnectionRateExceeded);
    assert!(third.is_closed().await);
    let (_, ack) = Client3::connect(&rig, connect3()).await;
    assert_eq!(ack.return_code, v3::ConnectAckReason::ServiceUnavailable);
    let mut other = client_from(&rig, ELSEWHERE, connect5()).await;
    assert_eq!(answer(&mut other).await, ConnectAckReason::Success);
    rig.pass(Duration::from_secs(1));
    Client5::open(&rig).await.leave().await;
    rig.stop().await;
}

#[tokio::test]
async fn failed_authentications_shut_their_address_for_a_while_and_no_other() {
    let rig = rig(|connects| connects.auth_failures_per_minute = 2);
    let wrong = || v5::Connect {
        password: Some("wrong".into()),
        ..connect5()
    };
    // It came in before; it is asked at its CONNECT all the same.
    let mut early = Client5::dial(&rig).await;
    for _ in 0..3 {
        let (_, ack) = Client5::connect(&rig, wrong()).await;
        assert_eq!(ack.reason_code, ConnectAckReason::BadUserNameOrPassword);
    }
    let (_, ack) = Client5::connect(&rig, connect5()).await;
    assert_eq!(ack.reason_code, ConnectAckReason::ConnectionRateExceeded);
    early.send(v5::Packet::Connect(Box::new(connect5()))).await;
    let told = answer(&mut early).await;
    assert_eq!(told, ConnectAckReason::ConnectionRateExceeded);
    let mut other = client_from(&rig, ELSEWHERE, connect5()).await;
    assert_eq!(answer(&mut other).await, ConnectAckReason::Success);
    assert_eq!(offenders(&rig), [("127.0.0.1".to_owned(), "auth_failures")]);
    rig.pass(Duration::from_secs(1));
    Client5::open(&rig).await.leave().await;
    rig.stop().await;
}
