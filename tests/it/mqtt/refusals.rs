//! Packets that break the standard: each ends its connection, with its reason in MQTT 5 and without a word in 3.1.1.

use super::{
    client::Broker,
    heard::Heard,
    wire::{
        ASSIGNED_ID, BOTH, CONTENT_TYPE, Connect, MESSAGE_EXPIRY, Message, PAYLOAD_FORMAT, Props,
        RECEIVE_MAX, RESPONSE_TOPIC, SUBSCRIPTION_ID, Value, Version, ack, packet, pair,
        properties, string, subscribe, text, unsubscribe,
    },
};

const MALFORMED: u8 = 0x81;
const PROTOCOL: u8 = 0x82;
const TOPIC_NAME: u8 = 0x90;

/// The packet ends the connection of a client that was connected; MQTT 5 says one of these codes.
async fn refused(broker: &Broker, version: Version, bytes: &[u8], codes: &[u8]) {
    let mut client = broker.client(version, "c").await;
    client.send(bytes).await;
    match (version, client.end().await) {
        (Version::V3, None) => {}
        (Version::V5, Some(code)) if codes.contains(&code) => {}
        (_, other) => panic!("{version:?} {bytes:02x?}: {other:02x?}"),
    }
}

/// A CONNECT that is turned away: in MQTT 5 perhaps with a code, in 3.1.1 without a word.
async fn turned_away(broker: &Broker, version: Version, bytes: &[u8]) {
    let mut client = broker.dial(version).await;
    client.send(bytes).await;
    match (version, client.hear().await) {
        (_, None) => return,
        (Version::V5, Some(Heard::Connack(connack))) => {
            assert!([MALFORMED, PROTOCOL].contains(&connack.code), "{connack:?}");
            assert!(!connack.present);
        }
        (_, other) => panic!("{version:?} {bytes:02x?}: {other:?}"),
    }
    assert_eq!(client.hear().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn reserved_flags_of_the_fixed_header_are_malformed() {
    let broker = Broker::start();
    for version in BOTH {
        let filter = &subscribe(version, 1, &[("a", 0)], &Vec::new())[2..];
        let topic = &unsubscribe(version, 1, &["a"])[2..];
        for (first, body) in [
            (0x80, filter),
            (0x83, filter),
            (0xa0, topic),
            (0xa6, topic),
            (0x60, &[0, 1][..]),
            (0x63, &[0, 1]),
            (0x41, &[0, 1]),
            (0x58, &[0, 1]),
            (0x74, &[0, 1]),
            (0xc1, &[]),
            (0xe1, &[]),
            (0xf1, &[]),
            (0x00, &[]),
        ] {
            refused(&broker, version, &packet(first, body), &[MALFORMED]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_that_only_a_broker_sends_end_the_connection() {
    let broker = Broker::start();
    for version in BOTH {
        for bytes in [
            packet(0x20, &[0, 0]),
            packet(0x90, &[0, 1, 0]),
            packet(0xb0, &[0, 1]),
            packet(0xd0, &[]),
        ] {
            refused(&broker, version, &bytes, &[MALFORMED, PROTOCOL]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn qos_3_and_dup_at_qos_0_are_malformed() {
    let broker = Broker::start();
    for version in BOTH {
        let qos_3 = Message::new("a", "m").qos(3).id(1).bytes(version);
        refused(&broker, version, &qos_3, &[MALFORMED]).await;
        let dup = Message::new("a", "m").again().bytes(version);
        refused(&broker, version, &dup, &[MALFORMED, PROTOCOL]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packet_identifier_of_zero_ends_the_connection() {
    let broker = Broker::start();
    for version in BOTH {
        for bytes in [
            Message::new("a", "m").qos(1).bytes(version),
            Message::new("a", "m").qos(2).bytes(version),
            subscribe(version, 0, &[("a", 0)], &Vec::new()),
            unsubscribe(version, 0, &["a"]),
            ack(0x62, 0, 0),
        ] {
            refused(&broker, version, &bytes, &[MALFORMED, PROTOCOL]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscribe_or_unsubscribe_without_a_filter_is_a_protocol_error() {
    let broker = Broker::start();
    for version in BOTH {
        let nothing = subscribe(version, 1, &[], &Vec::new());
        refused(&broker, version, &nothing, &[PROTOCOL, MALFORMED]).await;
        let nothing = unsubscribe(version, 1, &[]);
        refused(&broker, version, &nothing, &[PROTOCOL, MALFORMED]).await;
        let empty = subscribe(version, 1, &[("", 0)], &Vec::new());
        refused(&broker, version, &empty, &[PROTOCOL, MALFORMED, 0x8f]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reserved_bits_and_values_of_subscription_options_are_malformed() {
    let broker = Broker::start();
    for (version, options) in [
        (Version::V3, &[0x03, 0x04, 0x10, 0x40, 0x80][..]),
        (Version::V5, &[0x03, 0x30, 0x40, 0x80]),
    ] {
        for &byte in options {
            let bytes = subscribe(version, 1, &[("a", byte)], &Vec::new());
            refused(&broker, version, &bytes, &[MALFORMED, PROTOCOL]).await;
        }
    }
}

/// NUL, half a surrogate pair, an overlong slash, a lone continuation byte.
const NO_TEXTS: [&[u8]; 4] = [b"a\0b", b"a\xed\xa0\x80b", b"a\xc0\xafb", b"a\x80b"];

#[tokio::test(flavor = "multi_thread")]
async fn texts_with_nul_or_broken_utf_8_end_the_connection() {
    let broker = Broker::start();
    let codes = [MALFORMED, PROTOCOL, TOPIC_NAME, 0x8f];
    for version in BOTH {
        for wrong in NO_TEXTS {
            let no_props = if version == Version::V5 {
                &[0][..]
            } else {
                &[]
            };
            let mut topic = Vec::new();
            string(&mut topic, wrong);
            let publish = packet(0x30, &[&topic, no_props, b"m"].concat());
            let subscribe = packet(0x82, &[&[0, 1], no_props, &topic, &[0]].concat());
            let unsubscribe = packet(0xa2, &[&[0, 1], no_props, &topic].concat());
            for bytes in [publish, subscribe, unsubscribe] {
                refused(&broker, version, &bytes, &codes).await;
            }
            let level = if version == Version::V5 { 5 } else { 4 };
            // The client identifier; the will's topic; the username.
            let client: &[u8] = b"\0\x01c";
            for (flags, rest) in [
                (0x02, topic.clone()),
                (0x06, [client, no_props, &topic, b"\0\x04will"].concat()),
                (0x82, [client, &topic].concat()),
            ] {
                let head: &[u8] = &[0, 4, b'M', b'Q', b'T', b'T', level, flags, 0, 60];
                let body = [head, no_props, &rest].concat();
                turned_away(&broker, version, &packet(0x10, &body)).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_among_the_properties_must_be_texts_too() {
    let broker = Broker::start();
    for wrong in NO_TEXTS {
        for id in [CONTENT_TYPE, RESPONSE_TOPIC] {
            let message = Message::new("a", "m").with(id, Value::Bytes(wrong.to_vec()));
            let bytes = message.bytes(Version::V5);
            refused(&broker, Version::V5, &bytes, &[MALFORMED, PROTOCOL, 0x90]).await;
        }
        // A user property, by hand: its texts cannot be wrong here.
        for (name, value) in [(wrong, &b"v"[..]), (b"k", wrong)] {
            let mut section = vec![0x26];
            string(&mut section, name);
            string(&mut section, value);
            let mut body = b"\0\x01a".to_vec();
            body.push(u8::try_from(section.len()).unwrap());
            body.extend(section);
            refused(&broker, Version::V5, &packet(0x30, &body), &[MALFORMED]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_name_with_a_wildcard_or_without_a_character_is_refused() {
    let broker = Broker::start();
    for version in BOTH {
        for topic in ["a/+", "#", "a+", "a/#/b"] {
            let bytes = Message::new(topic, "m").bytes(version);
            refused(&broker, version, &bytes, &[TOPIC_NAME, MALFORMED, PROTOCOL]).await;
        }
        let empty = Message::new("", "m").bytes(version);
        refused(&broker, version, &empty, &[PROTOCOL, MALFORMED, TOPIC_NAME]).await;
    }
    for topic in ["a/+", "#"] {
        let message = Message::new("a", "m").with(RESPONSE_TOPIC, text(topic));
        let bytes = message.bytes(Version::V5);
        refused(&broker, Version::V5, &bytes, &[PROTOCOL, TOPIC_NAME]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_property_twice_or_of_another_packet_or_beyond_its_values_ends_the_connection() {
    let broker = Broker::start();
    let publish = |props: Props| {
        let message = Message::new("a", "m");
        Message { props, ..message }.bytes(Version::V5)
    };
    for props in [
        vec![(PAYLOAD_FORMAT, Value::Byte(1)); 2],
        vec![(MESSAGE_EXPIRY, Value::Long(1)); 2],
        vec![(CONTENT_TYPE, text("t")); 2],
        vec![(PAYLOAD_FORMAT, Value::Byte(2))],
        vec![(SUBSCRIPTION_ID, Value::Variable(1))],
        vec![(ASSIGNED_ID, text("c"))],
        vec![(RECEIVE_MAX, Value::Short(1))],
        vec![(0x7f, Value::Byte(1))],
    ] {
        refused(
            &broker,
            Version::V5,
            &publish(props),
            &[MALFORMED, PROTOCOL],
        )
        .await;
    }
    for props in [
        vec![(SUBSCRIPTION_ID, Value::Variable(0))],
        vec![(SUBSCRIPTION_ID, Value::Variable(1)); 2],
        vec![(CONTENT_TYPE, text("t"))],
    ] {
        let bytes = subscribe(Version::V5, 1, &[("a", 0)], &props);
        refused(&broker, Version::V5, &bytes, &[MALFORMED, PROTOCOL]).await;
    }
    // User properties may stand often, in every packet.
    let mut client = broker.client(Version::V5, "c").await;
    let props = vec![pair("k", "v"), pair("k", "v")];
    let codes = client.subscribe_all(&[("a", 0)], &props).await;
    assert_eq!(codes.codes, [0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_of_five_bytes_or_beyond_the_packet_is_malformed() {
    let broker = Broker::start();
    for version in BOTH {
        let five = [0x30, 0xff, 0xff, 0xff, 0xff, 0x01];
        refused(&broker, version, &five, &[MALFORMED]).await;
        // A topic that is longer than its packet.
        let short = packet(0x30, b"\0\x09a");
        refused(&broker, version, &short, &[MALFORMED]).await;
    }
    // Properties that are longer than their packet.
    let long = packet(0x30, b"\0\x01a\x20");
    refused(&broker, Version::V5, &long, &[MALFORMED]).await;
}

/// CONNECT with these flags and, behind the client identifier, these bytes.
fn connect_with(version: Version, flags: u8, props: &Props, rest: &[u8]) -> Vec<u8> {
    let mut body = b"\0\x04MQTT".to_vec();
    body.extend([if version == Version::V5 { 5 } else { 4 }, flags, 0, 60]);
    if version == Version::V5 {
        properties(&mut body, props);
    }
    body.extend(b"\0\x01c");
    body.extend(rest);
    packet(0x10, &body)
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_flags_that_do_not_fit_their_payload_are_malformed() {
    let broker = Broker::start();
    for version in BOTH {
        let will: &[u8] = match version {
            Version::V3 => b"\0\x01w\0\x01m",
            Version::V5 => b"\0\0\x01w\0\x01m",
        };
        for (flags, rest) in [
            (0x03, &b""[..]),          // the reserved flag
            (0x0a, b""),               // will QoS 1 without a will
            (0x22, b""),               // will retain without a will
            (0x1e, will),              // will QoS 3
            (0x06, b""),               // a will that is not there
            (0x02, will),              // a will that was not announced
            (0x82, b""),               // a username that is not there
            (0xc2, b"\0\x01u"),        // a password that is not there
            (0x02, b"\0\x01u"),        // a username that was not announced
            (0x82, b"\0\x01u\0\x01p"), // a password that was not announced
        ] {
            let bytes = connect_with(version, flags, &Vec::new(), rest);
            turned_away(&broker, version, &bytes).await;
        }
    }
    // MQTT 3.1.1 takes no password without a username; MQTT 5 does.
    let password = connect_with(Version::V3, 0x42, &Vec::new(), b"\0\x01p");
    turned_away(&broker, Version::V3, &password).await;
    let mut client = broker.dial(Version::V5).await;
    client
        .send(&connect_with(Version::V5, 0x42, &Vec::new(), b"\0\x01p"))
        .await;
    assert!(matches!(client.hear().await, Some(Heard::Connack(connack)) if connack.code == 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn properties_of_connect_that_break_the_rules_turn_the_client_away() {
    let broker = Broker::start();
    for props in [
        vec![(RECEIVE_MAX, Value::Short(0))],
        vec![(0x27, Value::Long(0))],
        vec![(RECEIVE_MAX, Value::Short(1)); 2],
        vec![(0x17, Value::Byte(2))],
        vec![(0x16, text("data without a method"))],
        vec![(MESSAGE_EXPIRY, Value::Long(1))],
    ] {
        let bytes = Connect {
            props,
            ..Connect::new(Version::V5, "c")
        };
        turned_away(&broker, Version::V5, &bytes.bytes()).await;
    }
}
