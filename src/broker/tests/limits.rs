//! Limits and ends: how many may come in, how long they may be silent or slow, and how the broker stops.

use super::*;
use crate::domain::Outcome;
use v5::{ConnectAckReason, DisconnectReasonCode as Reason};

#[tokio::test]
async fn a_client_beyond_the_limit_is_told_and_closed() {
    let mut mqtt = MqttConfig {
        connections_max: 1,
        ..config()
    };
    let rig = Rig::with(&mqtt, &hmac());
    let _first = Client5::open(&rig).await;
    let (mut second, ack) = Client5::connect(&rig, connect5()).await;
    assert_eq!(ack.reason_code, ConnectAckReason::ServerBusy);
    assert!(second.is_closed().await);
    let (_, ack) = Client3::connect(&rig, connect3()).await;
    assert_eq!(ack.return_code, v3::ConnectAckReason::ServiceUnavailable);
    rig.stop().await;
    mqtt = MqttConfig {
        connections_per_address_max: 1,
        ..config()
    };
    let rig = Rig::with(&mqtt, &hmac());
    let _first = Client5::open(&rig).await;
    let (_, ack) = Client5::connect(&rig, connect5()).await;
    assert_eq!(ack.reason_code, ConnectAckReason::QuotaExceeded);
    rig.stop().await;
}

#[tokio::test]
async fn a_silent_client_is_ended_after_one_and_a_half_times_its_keep_alive_and_not_before() {
    let rig = Rig::start();
    let mut client = Client5::open(&rig).await;
    for silence in [80, 85, 85] {
        rig.pass_noticed(Duration::from_secs(silence)).await;
        client.ping().await;
    }
    rig.pass(Duration::from_secs(95));
    assert_eq!(client.dismissed().await, Reason::KeepAliveTimeout);
    let mut client = Client3::open(&rig).await;
    rig.pass(Duration::from_secs(95));
    assert!(client.is_closed().await);
    rig.stop().await;
}

#[tokio::test]
async fn a_connection_without_connect_and_a_packet_that_never_ends_are_closed() {
    let rig = Rig::start();
    let mut mute = Client5::dial(&rig).await;
    let mut slow = Client5::open(&rig).await;
    slow.send_bytes(&[0x30, 100, 0]).await;
    // The broker has seen the beginning of the packet once it has answered somebody who came later.
    let mut other = Client5::open(&rig).await;
    other.ping().await;
    rig.pass(Duration::from_secs(40));
    assert!(mute.is_closed().await);
    drop(slow.receive::<v5::Packet>().await);
    rig.stop().await;
}

#[tokio::test]
async fn a_panic_ends_one_connection_and_its_session_and_nobody_else() {
    let mut rig = Rig::start();
    let mut victim = Client5::open(&rig).await;
    let connect = v5::Connect {
        client_id: "other".into(),
        ..connect5()
    };
    let (mut other, _) = Client5::connect(&rig, connect).await;
    victim.publish(1, 1, b"panic").await;
    assert!(victim.is_closed().await);
    other.publish(1, 1, b"fine").await;
    rig.settle(Outcome::Stored).await;
    assert_eq!(other.ack().await, (1, 0, None));
    let mut again = Client5::open(&rig).await;
    again.ping().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_stop_sends_what_is_settled_after_the_intake_closed_and_then_says_good_bye() {
    let mut rig = Rig::start();
    let mut client = Client5::open(&rig).await;
    let mut old = Client3::dial(&rig).await;
    let connect = v3::Connect {
        client_id: "old".into(),
        ..connect3()
    };
    old.send(v3::Packet::Connect(Box::new(connect))).await;
    assert!(old.receive::<v3::Packet>().await.is_some());
    client.publish(1, 1, b"owed").await;
    let owed = rig.seen().await.receipt.unwrap();
    timeout(PATIENCE, rig.handle.close_intake()).await.unwrap();
    client.publish(1, 2, b"too late").await;
    assert!(TcpStream::connect(rig.address).await.is_err());
    settle_abroad(vec![(owed, Outcome::Stored)]);
    assert_eq!(client.ack().await, (1, 0, None));
    let handle = rig.handle.clone();
    let ended = handle.disconnect_all(PATIENCE);
    let heard = async {
        assert_eq!(client.dismissed().await, Reason::ServerShuttingDown);
        assert!(old.is_closed().await);
    };
    let (ended, ()) = tokio::join!(ended, heard);
    assert_eq!(ended, Disconnected { cut: 0 });
    assert!(rig.seen.try_recv().is_err());
    rig.tasks.stop(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_stop_settles_and_disconnects_in_one_breath_without_losing_the_acknowledgement() {
    let mut rig = Rig::start();
    let mut client = Client5::open(&rig).await;
    client.publish(1, 1, b"owed").await;
    let owed = rig.seen().await.receipt.unwrap();
    let handle = rig.handle.clone();
    handle.close_intake().await;
    settle_abroad(vec![(owed, Outcome::Stored)]);
    let heard = async {
        assert_eq!(client.ack().await, (1, 0, None));
        assert_eq!(client.dismissed().await, Reason::ServerShuttingDown);
    };
    tokio::join!(handle.disconnect_all(PATIENCE), heard);
    rig.tasks.stop(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_at_the_deadline() {
    let rig = Rig::start();
    let mut client = Client5::open(&rig).await;
    client.subscribe(DOWN, 0).await;
    let identity = Identity::parse(DEVICE).unwrap();
    let large = ::bytes::Bytes::from(vec![0; 1 << 20]);
    for _ in 0..64 {
        let _queued = rig
            .handle
            .deliver(&identity, large.clone(), MessageQos::AtMostOnce);
    }
    let ended = rig.handle.disconnect_all(Duration::from_millis(50)).await;
    assert_eq!(ended, Disconnected { cut: 1 });
    assert_eq!(rig.handle.connections(), 0);
    rig.tasks.stop(PATIENCE).await.unwrap();
}
