//! Bytes from hell: whatever a client sends, the broker neither panics nor stops serving others.

use proptest::prelude::*;

use super::wire::{Publish, Version, frame, read_greeting, read_request};
use super::*;

/// Reads bytes as a broker would: a greeting first, then packets.
fn read_everything(bytes: &[u8]) {
    for version in [Version::V3, Version::V5] {
        let mut rest = bytes;
        while let Ok(Some(found)) = frame(rest, 1 << 20) {
            match found.first >> 4 {
                1 => drop(read_greeting(found)),
                3 => drop(Publish::read(version, found)),
                _ => drop(read_request(version, found)),
            }
            rest = &rest[found.whole.len()..];
        }
    }
}

#[expect(clippy::too_many_lines, reason = "a list")]
fn samples() -> Vec<Vec<u8>> {
    let will = v5::LastWill {
        qos: QoS::ExactlyOnce,
        retain: true,
        topic: UP.into(),
        message: "m".into(),
        will_delay_interval_sec: Some(1),
        correlation_data: Some("c".into()),
        message_expiry_interval: std::num::NonZeroU32::new(5),
        content_type: Some("t".into()),
        user_properties: vec![("k".into(), "v".into())],
        is_utf8_payload: Some(true),
        response_topic: Some("r".into()),
    };
    let properties = v5::PublishProperties {
        topic_alias: Some(id(1)),
        correlation_data: Some("c".into()),
        message_expiry_interval: std::num::NonZeroU32::new(5),
        content_type: Some("t".into()),
        user_properties: vec![("k".into(), "v".into())],
        is_utf8_payload: true,
        response_topic: Some("r".into()),
        subscription_ids: Vec::new(),
    };
    let publish5 = rmqtt_codec::types::Publish {
        properties: Some(properties),
        ..publish(2, 3, b"payload")
    };
    let ack = v5::PublishAck {
        packet_id: id(5),
        reason_code: v5::PublishAckReason::QuotaExceeded,
        properties: vec![("k".into(), "v".into())],
        reason_string: Some("why".into()),
    };
    let fives = vec![
        v5::Packet::Connect(Box::new(v5::Connect {
            last_will: Some(will),
            receive_max: Some(id(9)),
            ..connect5()
        })),
        v5::Packet::Publish(Box::new(publish5)),
        v5::Packet::PublishAck(ack.clone()),
        v5::Packet::PublishReceived(ack),
        v5::Packet::PublishRelease(v5::PublishAck2 {
            packet_id: id(6),
            ..v5::PublishAck2::default()
        }),
        v5::Packet::Subscribe(v5::Subscribe {
            packet_id: id(7),
            id: std::num::NonZeroU32::new(300),
            user_properties: vec![("k".into(), "v".into())],
            topic_filters: vec![(DOWN.into(), v5::SubscriptionOptions::default())],
        }),
        v5::Packet::Unsubscribe(v5::Unsubscribe {
            packet_id: id(8),
            user_properties: Vec::new(),
            topic_filters: vec![DOWN.into()],
        }),
        v5::Packet::Disconnect(v5::Disconnect {
            session_expiry_interval_secs: Some(4),
            reason_string: Some("bye".into()),
            ..v5::Disconnect::default()
        }),
        v5::Packet::Auth(v5::Auth::default()),
        v5::Packet::PingRequest,
    ];
    let threes = vec![
        v3::Packet::Connect(Box::new(connect3())),
        v3::Packet::Publish(Box::new(publish(1, 3, b"payload"))),
        v3::Packet::PublishAck { packet_id: id(1) },
        v3::Packet::Subscribe {
            packet_id: id(7),
            topic_filters: vec![(DOWN.into(), QoS::AtLeastOnce)],
        },
        v3::Packet::Unsubscribe {
            packet_id: id(7),
            topic_filters: vec![DOWN.into()],
        },
        v3::Packet::Disconnect,
    ];
    let encode5 = |packet| {
        let mut bytes = BytesMut::new();
        v5::Codec::default().encode(packet, &mut bytes).unwrap();
        bytes.to_vec()
    };
    let encode3 = |packet| {
        let mut bytes = BytesMut::new();
        v3::Codec::default().encode(packet, &mut bytes).unwrap();
        bytes.to_vec()
    };
    fives
        .into_iter()
        .map(encode5)
        .chain(threes.into_iter().map(encode3))
        .collect()
}

#[test]
fn every_packet_cut_short_anywhere_is_refused_without_a_panic() {
    for sample in samples() {
        for end in 0..sample.len() {
            read_everything(&sample[..end]);
            // The same bytes with an honest header: the body ends early.
            let body = sample.get(2..end).unwrap_or_default();
            let mut short = vec![sample[0], u8::try_from(body.len().min(127)).unwrap()];
            short.extend_from_slice(body);
            read_everything(&short);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn mutated_packets_never_panic(
        which in any::<prop::sample::Index>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        tail in prop::collection::vec(any::<u8>(), 0..8),
    ) {
        let samples = samples();
        let mut bytes = samples[which.index(samples.len())].clone();
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.extend(tail);
        read_everything(&bytes);
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read_everything(&bytes);
    }
}

#[tokio::test]
async fn a_broken_packet_ends_its_connection_with_its_code_and_no_other() {
    let rig = Rig::start();
    let connect = v5::Connect {
        client_id: "other".into(),
        ..connect5()
    };
    let (mut other, _) = Client5::connect(&rig, connect).await;
    use v5::DisconnectReasonCode as Code;
    for (bytes, reason) in [
        (&b"\x36\x00"[..], Code::MalformedPacket),
        (b"\x20\x00", Code::MalformedPacket),
        (b"\xc0\x01\x00", Code::MalformedPacket),
        (b"\x40\x02\x00\x00", Code::MalformedPacket),
        (b"\x82\x03\x00\x01\x00", Code::ProtocolError),
        (b"\x82\x06\x00\x01\x00\x00\x00\x00", Code::MalformedPacket),
        (b"\x82\x07\x00\x01\x00\x00\x01a\x40", Code::MalformedPacket),
        (b"\x30\xff\xff\xff\x7f", Code::PacketTooLarge),
        (b"\x30\xff\xff\xff\xff", Code::MalformedPacket),
    ] {
        let mut client = Client5::open(&rig).await;
        client.send_bytes(bytes).await;
        assert_eq!(client.dismissed().await, reason, "{bytes:x?}");
    }
    let mut client = Client3::open(&rig).await;
    client.send_bytes(b"\x82\x06\x00\x01\x00\x01a\x81").await;
    assert!(client.is_closed().await);
    other.ping().await;
    rig.stop().await;
}
