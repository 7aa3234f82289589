//! CONNECT and CONNACK: names, versions, what is offered, keep-alive, and the end of a connection.

use std::time::{Duration, Instant};

use super::{
    client::{Broker, lasted, pass},
    heard::Heard,
    wire::{
        ALIAS_MAX, ASSIGNED_ID, AUTH_METHOD, BOTH, Connect, IDS_AVAILABLE, MAXIMUM_QOS, Message,
        PACKET_MAX, PINGREQ, RECEIVE_MAX, REQUEST_RESPONSE, RESPONSE_INFORMATION, RETAIN_AVAILABLE,
        SERVER_KEEP_ALIVE, SHARED_AVAILABLE, Value, Version, WILDCARDS_AVAILABLE, packet, property,
        string, subscribe, text,
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn connack_says_what_is_offered() {
    let broker = Broker::with(&["--mqtt-receive-max", "17", "--mqtt-topic-alias-max", "3"]);
    let (_client, connack) = broker.connect(&Connect::new(Version::V5, "c")).await;
    assert_eq!((connack.code, connack.present), (0, false));
    for available in [
        RETAIN_AVAILABLE,
        WILDCARDS_AVAILABLE,
        IDS_AVAILABLE,
        SHARED_AVAILABLE,
    ] {
        let value = property(&connack.props, available);
        assert!(
            matches!(value, None | Some(Value::Byte(1))),
            "{available:#x}"
        );
    }
    // Absent means 2, and no other value may stand there.
    assert_eq!(property(&connack.props, MAXIMUM_QOS), None);
    assert_eq!(property(&connack.props, RESPONSE_INFORMATION), None);
    assert_eq!(property(&connack.props, AUTH_METHOD), None);
    assert_eq!(property(&connack.props, ASSIGNED_ID), None);
    let receive_max = property(&connack.props, RECEIVE_MAX);
    assert_eq!(receive_max, Some(&Value::Short(17)));
    let alias_max = property(&connack.props, ALIAS_MAX);
    assert_eq!(alias_max, Some(&Value::Short(3)));
    assert!(property(&connack.props, PACKET_MAX).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn response_information_is_not_given_to_a_client_that_does_not_ask() {
    let broker = Broker::start();
    let connect = Connect::new(Version::V5, "c").with(REQUEST_RESPONSE, Value::Byte(0));
    let (_client, connack) = broker.connect(&connect).await;
    assert_eq!(connack.code, 0);
    assert_eq!(property(&connack.props, RESPONSE_INFORMATION), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn client_ids_of_1_to_23_letters_and_digits_are_taken_and_longer_ones_too() {
    let broker = Broker::start();
    for version in BOTH {
        for client_id in [
            "a",
            "0123456789abcdefghijklm",
            "nopqrstuvwxyzABCDEFGHIJ",
            "KLMNOPQRSTUVWXYZ",
            "a longer one, with signs: 市物联/#+$",
        ] {
            broker.client(version, client_id).await.leave().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_identifier_that_is_too_long_is_refused_by_its_code() {
    let broker = Broker::start();
    for (version, code) in [(Version::V3, 2), (Version::V5, 0x85)] {
        let connect = Connect::new(version, &"x".repeat(1000));
        let (mut client, connack) = broker.connect(&connect).await;
        assert_eq!((connack.code, connack.present), (code, false));
        assert_eq!(client.end().await, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reasons_are_left_out_where_they_would_be_too_large_for_the_client() {
    let broker = Broker::start();
    let mut told = 0;
    for most in 5..=60 {
        let connect = Connect::new(Version::V5, "c").with(PACKET_MAX, Value::Long(most));
        let mut client = broker.dial(Version::V5).await;
        client.send(&connect.bytes()).await;
        // A client that cannot even be told that it is connected is closed.
        if client.hear().await.is_some() {
            client.send(&connect.bytes()).await;
            client.ends_with(0x82).await;
            told += 1;
        }
        assert!(client.largest <= usize::try_from(most).unwrap());
    }
    assert!(told > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zero_length_client_id_is_given_one_of_its_own() {
    let broker = Broker::start();
    let mut given = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..3 {
        let (client, connack) = broker.connect(&Connect::new(Version::V5, "")).await;
        assert_eq!((connack.code, connack.present), (0, false));
        let id = property(&connack.props, ASSIGNED_ID).unwrap().clone();
        assert!(!given.contains(&id), "{id:?}");
        given.push(id);
        clients.push(client);
    }
    // Two of MQTT 3.1.1 are two clients as well.
    for _ in 0..2 {
        clients.push(broker.client(Version::V3, "").await);
    }
    for client in &mut clients {
        client.ping().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assigned_client_id_names_the_session() {
    let broker = Broker::start();
    let (client, connack) = broker.connect(&Connect::lasting(Version::V5, "")).await;
    assert_eq!(connack.code, 0);
    let Some(Value::Bytes(id)) = property(&connack.props, ASSIGNED_ID) else {
        panic!("{connack:?}");
    };
    let id = String::from_utf8(id.clone()).unwrap();
    client.leave().await;
    let (_client, connack) = broker.connect(&Connect::lasting(Version::V5, &id)).await;
    assert!(connack.present);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_3_1_1_client_without_an_id_must_ask_for_a_clean_session() {
    let broker = Broker::start();
    let (mut client, connack) = broker.connect(&Connect::lasting(Version::V3, "")).await;
    assert_eq!((connack.code, connack.present), (2, false));
    assert_eq!(client.end().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_connect_ends_the_connection() {
    let broker = Broker::start();
    for version in BOTH {
        let connect = Connect::new(version, "c");
        let mut client = broker.open(&connect).await;
        client.send(&connect.bytes()).await;
        client.ends_with(0x82).await;
    }
}

fn connect_named(name: &[u8], level: u8) -> Vec<u8> {
    let mut body = Vec::new();
    string(&mut body, name);
    body.extend([level, 2, 0, 60]);
    if level >= 5 {
        body.push(0);
    }
    string(&mut body, b"c");
    packet(0x10, &body)
}

#[tokio::test(flavor = "multi_thread")]
async fn another_protocol_name_is_closed_and_another_level_is_told_so() {
    let broker = Broker::start();
    for (name, level) in [(&b"hj"[..], 4), (b"mqtt", 5), (b"MQTTX", 5)] {
        let mut client = broker.dial(Version::V5).await;
        client.send(&connect_named(name, level)).await;
        match client.hear().await {
            None => {}
            Some(Heard::Connack(connack)) => {
                assert_eq!(connack.code, 0x84);
                assert_eq!(client.end().await, None);
            }
            other => panic!("{other:?}"),
        }
    }
    for (version, level, code) in [(Version::V3, 2, 1), (Version::V5, 6, 0x84)] {
        let mut client = broker.dial(version).await;
        client.send(&connect_named(b"MQTT", level)).await;
        match client.hear().await {
            Some(Heard::Connack(connack)) => {
                assert_eq!((connack.code, connack.present), (code, false));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(client.end().await, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_packet_other_than_connect_is_closed_without_a_word() {
    let broker = Broker::start();
    for version in BOTH {
        for first in [
            PINGREQ.to_vec(),
            Message::new("a", "m").bytes(version),
            subscribe(version, 1, &[("a", 0)], &Vec::new()),
            vec![0xe0, 0],
        ] {
            let mut client = broker.dial(version).await;
            client.send(&first).await;
            assert_eq!(client.hear().await, None);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_behind_a_refused_connect_is_done() {
    let broker = Broker::start();
    let mut witness = broker.client(Version::V5, "witness").await;
    witness.subscribe("a", 1).await;
    let mut client = broker.dial(Version::V5).await;
    let mut bytes = Connect::new(Version::V5, "c")
        .with(AUTH_METHOD, text("unheard-of"))
        .bytes();
    bytes.extend(Message::new("a", "m").bytes(Version::V5));
    client.send(&bytes).await;
    match client.hear().await {
        Some(Heard::Connack(connack)) => {
            assert_eq!((connack.code, connack.present), (0x8c, false));
            assert_eq!(property(&connack.props, AUTH_METHOD), None);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(client.hear().await, None);
    assert_eq!(witness.all().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auth_packet_without_a_method_in_connect_ends_the_connection() {
    let broker = Broker::start();
    let mut client = broker.client(Version::V5, "c").await;
    client.send(&packet(0xf0, &[0x19, 0])).await;
    assert!(client.end().await.is_some_and(|code| code >= 0x80));
    let mut old = broker.client(Version::V3, "old").await;
    old.send(&packet(0xf0, &[])).await;
    assert_eq!(old.end().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_client_is_closed_after_one_and_a_half_times_its_keep_alive_and_leaves_its_will() {
    let broker = Broker::start();
    let mut witness = broker.client(Version::V5, "witness").await;
    witness.subscribe("gone/+", 1).await;
    for version in BOTH {
        let mut connect =
            Connect::new(version, "silent").will(Message::new("gone/silent", "will").qos(1));
        connect.keep_alive_s = 1;
        let since = Instant::now();
        let mut client = broker.open(&connect).await;
        client.ends_with(0x8d).await;
        lasted(since, Duration::from_millis(1400), Duration::from_secs(6));
        assert_eq!(witness.message().await.text(), "will");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_anything_is_kept() {
    let broker = Broker::start();
    for version in BOTH {
        let mut connect = Connect::new(version, "c");
        connect.keep_alive_s = 1;
        let mut client = broker.open(&connect).await;
        for _ in 0..2 {
            pass(Duration::from_millis(900)).await;
            client.ping().await;
            pass(Duration::from_millis(900)).await;
            client.say("a", "m", 1).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keep_alive_beyond_the_brokers_is_lowered_and_said() {
    let broker = Broker::with(&["--mqtt-keep-alive-max", "10s"]);
    for (asked, granted) in [(10, None), (9, None), (60, Some(&Value::Short(10)))] {
        let mut connect = Connect::new(Version::V5, "c");
        connect.keep_alive_s = asked;
        let (_client, connack) = broker.connect(&connect).await;
        assert_eq!(property(&connack.props, SERVER_KEEP_ALIVE), granted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orderly_stop_says_good_bye_with_0x8b() {
    let mut broker = Broker::start();
    let mut clients = Vec::new();
    for version in BOTH {
        clients.push(broker.client(version, &format!("{version:?}")).await);
    }
    broker.stop();
    for client in &mut clients {
        client.ends_with(0x8b).await;
    }
}
