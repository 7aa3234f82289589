//! Sessions: subscriptions and messages to the device, clients that leave, come back, and take over.

use super::*;
use crate::domain::Outcome;
use rmqtt_codec::types::Publish;
use v5::DisconnectReasonCode as Reason;

#[expect(clippy::fn_params_excessive_bools, reason = "the field of CONNECT")]
fn lasting(clean_start: bool) -> v5::Connect {
    v5::Connect {
        clean_start,
        session_expiry_interval_secs: 600,
        ..connect5()
    }
}

fn device() -> Identity {
    Identity::parse(DEVICE).unwrap()
}

fn deliver(rig: &Rig, payload: &'static [u8], qos: MessageQos) -> Delivery {
    rig.handle
        .deliver(&device(), ::bytes::Bytes::from_static(payload), qos)
        .unwrap()
}

async fn puback(client: &mut Client5, message: &Publish) {
    let packet_id = message.packet_id.unwrap();
    client
        .send(v5::Packet::PublishAck(v5::PublishAck {
            packet_id,
            ..v5::PublishAck::default()
        }))
        .await;
}

#[tokio::test]
async fn a_device_hears_its_own_messages_and_is_refused_everything_else() {
    let rig = Rig::start();
    let mut client = Client5::open(&rig).await;
    for (filter, code) in [
        ("v1/manhole_cover/8/down", 0x87),
        (UP, 0x87),
        ("$SYS/broker", 0x87),
        ("#", 0x87),
        ("v1/manhole_cover/+/down", 0x87),
        ("a#", 0x8f),
        ("$share/g/v1/manhole_cover/8/down", 0x87),
        ("$share/+/v1/manhole_cover/7/down", 0x8f),
    ] {
        assert_eq!(client.subscribe(filter, 1).await, [code], "{filter}");
    }
    assert_eq!(
        deliver(&rig, b"x", MessageQos::AtLeastOnce),
        Delivery::default()
    );
    assert_eq!(client.subscribe(DOWN, 1).await, [1]);
    assert_eq!(
        deliver(&rig, b"open", MessageQos::ExactlyOnce),
        Delivery { queued: 1, full: 0 }
    );
    let message = client.message().await;
    assert_eq!((&*message.topic, &*message.payload), (DOWN, &b"open"[..]));
    assert_eq!(
        (message.qos, message.retain, message.dup),
        (QoS::AtLeastOnce, false, false)
    );
    client
        .send(v5::Packet::Unsubscribe(v5::Unsubscribe {
            packet_id: id(2),
            user_properties: Vec::new(),
            topic_filters: vec![DOWN.into(), "other".into()],
        }))
        .await;
    match client.receive().await {
        Some(v5::Packet::UnsubscribeAck(ack)) => {
            let codes: Vec<u8> = ack.status.into_iter().map(Into::into).collect();
            assert_eq!(codes, [0, 0x11]);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        deliver(&rig, b"x", MessageQos::AtLeastOnce),
        Delivery::default()
    );
    rig.stop().await;
}

#[tokio::test]
async fn a_3_1_1_device_is_refused_with_0x80() {
    let rig = Rig::start();
    let mut client = Client3::open(&rig).await;
    let filters = vec![
        (DOWN.into(), QoS::ExactlyOnce),
        ("#".into(), QoS::AtMostOnce),
    ];
    client
        .send(v3::Packet::Subscribe {
            packet_id: id(1),
            topic_filters: filters,
        })
        .await;
    let status = vec![
        v3::SubscribeReturnCode::Success(QoS::ExactlyOnce),
        v3::SubscribeReturnCode::Failure,
    ];
    assert_eq!(
        client.receive().await,
        Some(v3::Packet::SubscribeAck {
            packet_id: id(1),
            status
        })
    );
    deliver(&rig, b"m", MessageQos::AtMostOnce);
    match client.receive().await {
        Some(v3::Packet::Publish(message)) => assert_eq!(&*message.payload, b"m"),
        other => panic!("{other:?}"),
    }
    rig.stop().await;
}

#[tokio::test]
async fn exactly_once_goes_through_its_four_steps() {
    let rig = Rig::start();
    let mut client = Client5::open(&rig).await;
    client.subscribe(DOWN, 2).await;
    deliver(&rig, b"m", MessageQos::ExactlyOnce);
    let message = client.message().await;
    assert_eq!(message.qos, QoS::ExactlyOnce);
    let packet_id = message.packet_id.unwrap();
    client
        .send(v5::Packet::PublishReceived(v5::PublishAck {
            packet_id,
            ..v5::PublishAck::default()
        }))
        .await;
    match client.receive().await {
        Some(v5::Packet::PublishRelease(release)) => {
            assert_eq!(release.packet_id, packet_id);
            client.send(v5::Packet::PublishComplete(release)).await;
        }
        other => panic!("{other:?}"),
    }
    client.ping().await;
    rig.stop().await;
}

#[tokio::test]
async fn messages_stay_within_the_clients_receive_maximum() {
    let rig = Rig::start();
    let connect = v5::Connect {
        receive_max: Some(id(1)),
        ..connect5()
    };
    let (mut client, _) = Client5::connect(&rig, connect).await;
    client.subscribe(DOWN, 1).await;
    for payload in [&b"1"[..], b"2", b"3"] {
        deliver(&rig, payload, MessageQos::AtLeastOnce);
    }
    for payload in [b"1", b"2", b"3"] {
        let message = client.message().await;
        assert_eq!(&*message.payload, payload);
        // Nothing more before this one is acknowledged.
        client.ping().await;
        puback(&mut client, &message).await;
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_message_larger_than_the_client_takes_is_dropped() {
    let rig = Rig::start();
    let connect = v5::Connect {
        max_packet_size: std::num::NonZeroU32::new(60),
        ..connect5()
    };
    let (mut client, _) = Client5::connect(&rig, connect).await;
    client.subscribe(DOWN, 1).await;
    deliver(&rig, &[0; 100], MessageQos::AtLeastOnce);
    deliver(&rig, b"small", MessageQos::AtLeastOnce);
    assert_eq!(&*client.message().await.payload, b"small");
    rig.stop().await;
}

#[tokio::test]
async fn messages_wait_for_a_client_that_is_away_and_unacknowledged_ones_come_again() {
    let rig = Rig::start();
    let (mut client, ack) = Client5::connect(&rig, lasting(false)).await;
    assert!(!ack.session_present);
    client.subscribe(DOWN, 1).await;
    deliver(&rig, b"first", MessageQos::AtLeastOnce);
    let first = client.message().await;
    client.leave().await;
    deliver(&rig, b"second", MessageQos::AtLeastOnce);
    deliver(&rig, b"fleeting", MessageQos::AtMostOnce);
    assert_eq!(rig.handle.sessions_away(), 1);
    let (mut client, ack) = Client5::connect(&rig, lasting(false)).await;
    assert!(ack.session_present);
    let again = client.message().await;
    assert!(again.dup && again.packet_id == first.packet_id && &*again.payload == b"first");
    assert_eq!(&*client.message().await.payload, b"second");
    client.ping().await;
    puback(&mut client, &again).await;
    assert_eq!(rig.handle.sessions_away(), 0);
    rig.stop().await;
}

#[tokio::test]
async fn the_queue_of_a_client_that_is_away_is_bounded() {
    let mut mqtt = config();
    mqtt.limits.queues.messages_max = 40;
    let rig = Rig::with(&mqtt, &hmac());
    let (mut client, _) = Client5::connect(&rig, lasting(false)).await;
    client.subscribe(DOWN, 1).await;
    client.leave().await;
    let queued = (0..100)
        .filter(|_| deliver(&rig, b"m", MessageQos::AtLeastOnce).queued == 1)
        .count();
    assert_eq!(queued, 40);
    rig.stop().await;
}

#[tokio::test]
async fn a_second_connection_takes_the_session_over() {
    let rig = Rig::start();
    let (mut first, _) = Client5::connect(&rig, lasting(false)).await;
    first.subscribe(DOWN, 1).await;
    let (mut second, ack) = Client5::connect(&rig, lasting(false)).await;
    assert!(ack.session_present);
    assert_eq!(first.dismissed().await, Reason::SessionTakenOver);
    deliver(&rig, b"m", MessageQos::AtLeastOnce);
    assert_eq!(&*second.message().await.payload, b"m");
    let (_third, ack) = Client5::connect(&rig, lasting(true)).await;
    assert!(!ack.session_present);
    assert_eq!(second.dismissed().await, Reason::SessionTakenOver);
    assert_eq!(
        deliver(&rig, b"m", MessageQos::AtLeastOnce),
        Delivery::default()
    );
    rig.stop().await;
}

#[tokio::test]
async fn clients_of_one_identity_do_not_disturb_each_other() {
    let rig = Rig::start();
    let mut clients = Vec::new();
    for client_id in ["a", "b"] {
        let connect = v5::Connect {
            client_id: client_id.into(),
            ..connect5()
        };
        let (mut client, _) = Client5::connect(&rig, connect).await;
        client.subscribe(DOWN, 1).await;
        clients.push(client);
    }
    assert_eq!(deliver(&rig, b"m", MessageQos::AtLeastOnce).queued, 2);
    for client in &mut clients {
        assert_eq!(&*client.message().await.payload, b"m");
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_qos_2_publish_under_way_when_the_connection_dies_is_not_offered_twice() {
    let mut rig = Rig::start();
    let (mut client, _) = Client5::connect(&rig, lasting(false)).await;
    client.publish(1, 4, b"qos 1").await;
    client.publish(2, 5, b"qos 2").await;
    let one = rig.seen().await.receipt.unwrap();
    let two = rig.seen().await.receipt.unwrap();
    let (mut client, ack) = Client5::connect(&rig, lasting(false)).await;
    assert!(ack.session_present);
    client.publish(2, 5, b"qos 2").await;
    client.publish(1, 4, b"qos 1").await;
    let again = rig.seen().await;
    assert_eq!(again.payload, b"qos 1");
    // The old acknowledgement of id 4 must not answer for the new publish of id 4.
    settle_abroad(vec![(one, Outcome::Stored), (two, Outcome::Stored)]);
    assert_eq!(client.ack().await, (5, 0, None));
    client.ping().await;
    settle_abroad(vec![(again.receipt.unwrap(), Outcome::Stored)]);
    assert_eq!(client.ack().await, (4, 0, None));
    assert!(rig.seen.try_recv().is_err());
    rig.stop().await;
}

#[tokio::test]
async fn a_session_ends_when_it_expires() {
    let rig = Rig::start();
    let (client, _) = Client5::connect(&rig, lasting(false)).await;
    client.leave().await;
    assert_eq!(rig.handle.sessions_away(), 1);
    rig.pass(Duration::from_secs(700));
    let gone = async {
        while rig.handle.sessions_away() > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, gone).await.unwrap();
    let (_client, ack) = Client5::connect(&rig, lasting(false)).await;
    assert!(!ack.session_present);
    rig.stop().await;
}

#[tokio::test]
async fn disconnect_may_shorten_the_session_and_may_not_raise_it_from_nothing() {
    let rig = Rig::start();
    let goodbye = |expiry_s| {
        v5::Packet::Disconnect(v5::Disconnect {
            session_expiry_interval_secs: Some(expiry_s),
            ..v5::Disconnect::default()
        })
    };
    let (mut client, _) = Client5::connect(&rig, lasting(false)).await;
    client.send(goodbye(0)).await;
    assert!(client.is_closed().await);
    assert_eq!(rig.handle.sessions_away(), 0);
    let mut client = Client5::open(&rig).await;
    client.send(goodbye(60)).await;
    assert_eq!(client.dismissed().await, Reason::ProtocolError);
    rig.stop().await;
}

fn with_will(delay_s: u32, expiry_s: u32) -> v5::Connect {
    v5::Connect {
        session_expiry_interval_secs: expiry_s,
        clean_start: false,
        last_will: Some(v5::LastWill {
            qos: QoS::AtLeastOnce,
            retain: false,
            topic: UP.into(),
            message: "will".into(),
            will_delay_interval_sec: Some(delay_s),
            correlation_data: None,
            message_expiry_interval: None,
            content_type: None,
            user_properties: Vec::new(),
            is_utf8_payload: Some(true),
            response_topic: None,
        }),
        ..connect5()
    }
}

#[tokio::test]
async fn a_will_is_published_when_the_connection_dies_and_not_after_a_good_bye() {
    let mut rig = Rig::start();
    Client5::connect(&rig, with_will(0, 0))
        .await
        .0
        .leave()
        .await;
    drop(Client5::connect(&rig, with_will(0, 0)).await);
    let seen = rig.seen().await;
    assert_eq!(
        (seen.topic.as_str(), seen.payload.as_slice()),
        (UP, &b"will"[..])
    );
    assert!(seen.utf8);
    let (mut client, _) = Client5::connect(&rig, with_will(0, 0)).await;
    let with = v5::Disconnect::new(Reason::DisconnectWithWillMessage);
    client.send(v5::Packet::Disconnect(with)).await;
    assert_eq!(rig.seen().await.payload, b"will");
    assert!(rig.seen.try_recv().is_err());
    rig.stop().await;
}

#[tokio::test]
async fn a_delayed_will_waits_for_the_client_and_a_busy_inlet_does_not_lose_it() {
    let mut rig = Rig::start();
    drop(Client5::connect(&rig, with_will(60, 600)).await);
    let (client, ack) = Client5::connect(&rig, with_will(60, 600)).await;
    assert!(ack.session_present);
    drop(client);
    while rig.handle.sessions_away() == 0 {
        tokio::task::yield_now().await;
    }
    assert!(rig.seen.try_recv().is_err());
    rig.inlet.set(Mode::Busy);
    rig.pass(Duration::from_secs(100));
    timeout(PATIENCE, rig.inlet.busy.notified()).await.unwrap();
    rig.inlet.set(Mode::Take);
    assert_eq!(rig.seen().await.payload, b"will");
    assert_eq!(rig.handle.sessions_away(), 1);
    rig.stop().await;
}
