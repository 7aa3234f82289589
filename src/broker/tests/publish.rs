//! Publishes: what is offered, when it is acknowledged, with which code, in which order.

use super::*;
use crate::domain::{Outcome, QuarantineReason};
use v5::DisconnectReasonCode as Reason;

#[tokio::test]
async fn nothing_is_acknowledged_before_it_is_settled() {
    let mut rig = Rig::start();
    let mut client = Client5::open(&rig).await;
    client.publish(1, 7, b"{}").await;
    let seen = rig.seen().await;
    assert_eq!(
        (seen.topic.as_str(), seen.payload.as_slice()),
        (UP, &b"{}"[..])
    );
    // The answer to a later ping comes first: the acknowledgement was not there.
    client.ping().await;
    settle_abroad(vec![(seen.receipt.unwrap(), Outcome::Stored)]);
    assert_eq!(client.ack().await, (7, 0, None));
    rig.stop().await;
}

#[tokio::test]
async fn acknowledgements_leave_in_the_order_of_the_publishes() {
    let mut rig = Rig::start();
    let mut client = Client5::open(&rig).await;
    let mut receipts = Vec::new();
    for number in [30, 10, 20] {
        client.publish(1, number, b"{}").await;
        receipts.push((rig.seen().await.receipt.unwrap(), Outcome::Stored));
    }
    receipts.reverse();
    settle_abroad(receipts);
    for number in [30, 10, 20] {
        assert_eq!(client.ack().await.0, number);
    }
    rig.stop().await;
}

#[tokio::test]
async fn every_outcome_has_its_reason_code() {
    let mut rig = Rig::start();
    let mut client = Client5::open(&rig).await;
    for (number, outcome, code, reason) in [
        (1, Outcome::Stored, 0, None),
        (
            2,
            Outcome::Quarantined(QuarantineReason::MalformedJson),
            0x99,
            Some("malformed_json"),
        ),
        (
            3,
            Outcome::Quarantined(QuarantineReason::EnumCode),
            0x83,
            Some("enum_code"),
        ),
        (4, Outcome::Refused, 0x97, None),
    ] {
        client.publish(1, number, b"x").await;
        rig.settle(outcome).await;
        assert_eq!(
            client.ack().await,
            (number, code, reason.map(str::to_owned))
        );
    }
    client.publish(1, 5, b"x").await;
    drop(rig.seen().await.receipt);
    assert_eq!(client.ack().await, (5, 0x80, None));
    rig.stop().await;
}

#[tokio::test]
async fn a_client_that_wants_no_problem_information_gets_no_reason_string() {
    let mut rig = Rig::start();
    let connect = v5::Connect {
        request_problem_info: false,
        ..connect5()
    };
    let (mut client, _) = Client5::connect(&rig, connect).await;
    client.publish(1, 1, b"x").await;
    rig.settle(Outcome::Quarantined(QuarantineReason::MalformedJson))
        .await;
    assert_eq!(client.ack().await, (1, 0x99, None));
    rig.stop().await;
}

#[tokio::test]
async fn a_reason_string_that_does_not_fit_the_clients_packet_size_is_left_out() {
    let mut rig = Rig::start();
    let connect = v5::Connect {
        max_packet_size: std::num::NonZeroU32::new(30),
        ..connect5()
    };
    let (mut client, _) = Client5::connect(&rig, connect).await;
    client.publish(1, 1, b"x").await;
    rig.settle(Outcome::Quarantined(QuarantineReason::MalformedProtobuf))
        .await;
    assert_eq!(
        client.ack().await,
        (1, 0x99, Some("malformed_protobuf".into()))
    );
    let connect = v5::Connect {
        max_packet_size: std::num::NonZeroU32::new(5),
        ..connect5()
    };
    let mut client = Client5::dial(&rig).await;
    client.send(v5::Packet::Connect(Box::new(connect))).await;
    assert!(client.is_closed().await);
    rig.stop().await;
}

#[tokio::test]
async fn in_3_1_1_what_is_quarantined_is_acknowledged_and_what_is_refused_ends_the_connection() {
    let mut rig = Rig::start();
    let mut client = Client3::open(&rig).await;
    client.publish(1, 1, b"x").await;
    rig.settle(Outcome::Quarantined(QuarantineReason::MalformedJson))
        .await;
    assert_eq!(
        client.receive().await,
        Some(v3::Packet::PublishAck { packet_id: id(1) })
    );
    client.publish(1, 2, b"x").await;
    rig.settle(Outcome::Refused).await;
    assert!(client.is_closed().await);
    rig.stop().await;
}

#[tokio::test]
async fn qos_2_is_offered_once_until_it_is_released() {
    let mut rig = Rig::start();
    let mut client = Client5::open(&rig).await;
    client.publish(2, 9, b"a").await;
    client.publish(2, 9, b"a").await;
    client.ping().await;
    rig.settle(Outcome::Stored).await;
    assert_eq!(client.ack().await, (9, 0, None));
    assert_eq!(client.ack().await, (9, 0, None));
    client.publish(2, 9, b"a").await;
    assert_eq!(client.ack().await, (9, 0, None));
    let release = |number| {
        v5::Packet::PublishRelease(v5::PublishAck2 {
            packet_id: id(number),
            ..v5::PublishAck2::default()
        })
    };
    client.send(release(9)).await;
    assert_eq!(client.ack().await, (9, 0, None));
    client.send(release(9)).await;
    assert_eq!(client.ack().await, (9, 0x92, None));
    assert!(rig.seen.try_recv().is_err());
    client.publish(2, 9, b"b").await;
    assert_eq!(rig.settle(Outcome::Stored).await.payload, b"b");
    assert_eq!(client.ack().await, (9, 0, None));
    rig.stop().await;
}

#[tokio::test]
async fn a_pubrec_that_refuses_ends_the_exchange() {
    let mut rig = Rig::start();
    let mut client = Client5::open(&rig).await;
    for payload in [&b"bad"[..], b"good"] {
        client.publish(2, 3, payload).await;
        let outcome = match payload {
            b"bad" => Outcome::Quarantined(QuarantineReason::MalformedJson),
            _ => Outcome::Stored,
        };
        assert_eq!(rig.settle(outcome).await.payload, payload);
        let code = if payload == b"bad" { 0x99 } else { 0 };
        assert_eq!(client.ack().await.1, code);
    }
    rig.stop().await;
}

#[tokio::test]
async fn qos_0_is_offered_without_a_receipt() {
    let mut rig = Rig::start();
    let mut client = Client3::open(&rig).await;
    client.publish(0, 0, b"z").await;
    let seen = rig.seen().await;
    assert!(seen.receipt.is_none() && seen.payload == b"z" && !seen.utf8);
    rig.stop().await;
}

#[tokio::test]
async fn more_in_flight_than_agreed_is_said_in_mqtt_5_and_left_unread_in_3_1_1() {
    let mut rig = Rig::start();
    let mut client = Client5::open(&rig).await;
    for number in 1..=9 {
        client.publish(1, number, b"x").await;
    }
    assert_eq!(client.dismissed().await, Reason::ReceiveMaximumExceeded);
    while rig.seen.try_recv().is_ok() {}
    let mut client = Client3::open(&rig).await;
    for number in 1..=20 {
        client.publish(1, number, b"x").await;
    }
    for number in 1..=20 {
        rig.settle(Outcome::Stored).await;
        assert_eq!(
            client.receive().await,
            Some(v3::Packet::PublishAck {
                packet_id: id(number)
            })
        );
    }
    rig.stop().await;
}

#[tokio::test]
async fn refusals_are_answered_in_mqtt_5_and_close_3_1_1() {
    let rig = Rig::start();
    let mut client = Client5::open(&rig).await;
    for (number, refusal, code) in [
        (1, Refusal::NotAuthorised, 0x87),
        (2, Refusal::TopicInvalid, 0x90),
        (3, Refusal::QuotaExceeded, 0x97),
    ] {
        rig.inlet.set(Mode::Refuse(refusal));
        client.publish(0, 0, b"x").await;
        client.publish(1, number, b"x").await;
        assert_eq!(client.ack().await, (number, code, None));
    }
    rig.inlet.set(Mode::Refuse(Refusal::NotAuthorised));
    let mut client = Client3::open(&rig).await;
    client.publish(1, 1, b"x").await;
    assert!(client.is_closed().await);
    rig.stop().await;
}

#[tokio::test]
async fn a_publish_without_room_waits_unread_and_loses_nothing() {
    let mut rig = Rig::start();
    let mut client = Client5::open(&rig).await;
    client.publish(1, 1, b"before").await;
    let owed = rig.seen().await.receipt.unwrap();
    rig.inlet.set(Mode::Busy);
    client.publish(1, 2, b"held").await;
    client.publish(1, 3, b"behind").await;
    client.send(v5::Packet::PingRequest).await;
    timeout(PATIENCE, rig.inlet.busy.notified()).await.unwrap();
    // Acknowledgements still flow, and its silence does not count.
    settle_abroad(vec![(owed, Outcome::Stored)]);
    assert_eq!(client.ack().await, (1, 0, None));
    rig.pass(Duration::from_secs(500));
    rig.inlet.set(Mode::Take);
    assert_eq!(client.receive().await, Some(v5::Packet::PingResponse));
    for (number, payload) in [(2, &b"held"[..]), (3, b"behind")] {
        assert_eq!(rig.settle(Outcome::Stored).await.payload, payload);
        assert_eq!(client.ack().await, (number, 0, None));
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_3_1_1_publish_that_a_full_lane_refuses_comes_again_from_the_broker() {
    let mut rig = Rig::start();
    let mut client = Client3::open(&rig).await;
    rig.inlet.set(Mode::Refuse(Refusal::QuotaExceeded));
    client.publish(1, 1, b"x").await;
    client.publish(0, 0, b"y").await;
    rig.inlet.set(Mode::Take);
    rig.settle(Outcome::Stored).await;
    assert_eq!(
        client.receive().await,
        Some(v3::Packet::PublishAck { packet_id: id(1) })
    );
    rig.stop().await;
}

#[tokio::test]
async fn topic_aliases_are_learnt_used_and_bounded() {
    let mut rig = Rig::start();
    let mut client = Client5::open(&rig).await;
    let aliased = |alias: u16, topic: &str| {
        let properties = v5::PublishProperties {
            topic_alias: std::num::NonZeroU16::new(alias),
            user_properties: vec![("firmware".into(), "1.2".into())],
            is_utf8_payload: true,
            ..v5::PublishProperties::default()
        };
        let publish = rmqtt_codec::types::Publish {
            topic: topic.into(),
            properties: Some(properties),
            ..publish(0, 0, b"{}")
        };
        v5::Packet::Publish(Box::new(publish))
    };
    client.send(aliased(4, UP)).await;
    client.send(aliased(4, "")).await;
    for _ in 0..2 {
        let seen = rig.seen().await;
        assert_eq!(seen.topic, UP);
        assert!(seen.utf8);
        assert_eq!(
            seen.user_properties,
            [("firmware".to_owned(), "1.2".to_owned())]
        );
    }
    client.send(aliased(3, "")).await;
    assert_eq!(client.dismissed().await, Reason::ProtocolError);
    let mut client = Client5::open(&rig).await;
    client.send(aliased(5, UP)).await;
    assert_eq!(client.dismissed().await, Reason::TopicAliasInvalid);
    rig.stop().await;
}

#[tokio::test]
async fn what_breaks_a_limit_of_publish_ends_with_its_code() {
    let rig = Rig::start();
    let large = publish(0, 0, &[0; 5000]);
    let wildcard = rmqtt_codec::types::Publish {
        topic: "v1/+/up".into(),
        ..publish(0, 0, b"x")
    };
    for (packet, reason) in [
        (large, Reason::PacketTooLarge),
        (wildcard, Reason::TopicNameInvalid),
    ] {
        let mut client = Client5::open(&rig).await;
        client.send(v5::Packet::Publish(Box::new(packet))).await;
        assert_eq!(client.dismissed().await, reason);
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_reading_with_the_retain_flag_is_an_ordinary_one() {
    let mut rig = Rig::start();
    let mut client = Client3::open(&rig).await;
    let retained = rmqtt_codec::types::Publish {
        retain: true,
        ..publish(1, 1, b"x")
    };
    client.send(v3::Packet::Publish(Box::new(retained))).await;
    rig.settle(Outcome::Stored).await;
    assert_eq!(
        client.receive().await,
        Some(v3::Packet::PublishAck { packet_id: id(1) })
    );
    rig.stop().await;
}

#[tokio::test]
async fn a_publish_in_single_bytes_is_the_same_publish() {
    let mut rig = Rig::start();
    let mut client = Client5::open(&rig).await;
    let mut bytes = BytesMut::new();
    let packet = v5::Packet::Publish(Box::new(publish(1, 1, &[7; 300])));
    v5::Codec::default().encode(packet, &mut bytes).unwrap();
    client.stream.set_nodelay(true).unwrap();
    for byte in bytes {
        client.send_bytes(&[byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(rig.settle(Outcome::Stored).await.payload, [7; 300]);
    assert_eq!(client.ack().await, (1, 0, None));
    rig.stop().await;
}

#[tokio::test]
async fn an_anonymous_client_has_no_identity_and_hears_nothing() {
    let mut rig = Rig::with(&config(), &AuthConfig::anonymous());
    let mut client = Client5::open(&rig).await;
    client.publish(0, 0, b"{}").await;
    assert_eq!(rig.seen().await.topic, UP);
    assert_eq!(client.subscribe(DOWN, 1).await, [0x87]);
    rig.stop().await;
}
