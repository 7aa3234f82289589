//! Packets out of their order: before CONNECT, twice, from the wrong side, with identifiers that are not theirs.

use super::{
    raw::{Connect, Packet, V3, V5, packet, publish3, publish5, subscribe3, subscribe5, up},
    scene::Scene,
};

#[test]
fn packets_before_connect_end_the_connection_without_a_word() {
    let scene = Scene::open(&[]);
    let packets = [
        publish5(0, up("7"), 0, &[]),
        publish5(2, up("7"), 1, &[]),
        subscribe5(1, "#", 0),
        packet(0x40, &[0, 1]),
        packet(0x62, &[0, 1]),
        vec![0xc0, 0],
        vec![0xe0, 0],
        vec![0xf0, 0],
        vec![0x20, 2, 0, 0],
    ];
    for bytes in packets {
        let mut stranger = scene.dial();
        stranger.send(&bytes);
        // A CONNECT in its wake changes nothing.
        stranger.send(&Connect::of(V5, "7").bytes());
        assert_eq!(stranger.receive(), None, "{bytes:x?}");
    }
    assert_eq!(
        scene
            .gateway
            .metric("sensegate_mqtt_publishes_received_total", "qos=\"2\""),
        0.0
    );
    scene.close();
}

#[test]
fn packets_in_the_wake_of_a_refused_connect_are_not_served() {
    let scene = Scene::open(&[]);
    let mut connect = Connect::of(V5, "7");
    connect.password = b"guessed".to_vec();
    let mut thief = scene.dial();
    thief.send(&[connect.bytes(), publish5(1, up("7"), 1, &[])].concat());
    assert_eq!(thief.connack(), 0x86);
    assert_eq!(thief.receive(), None);
    scene.close();
}

#[test]
fn a_second_connect_ends_the_session_that_it_came_in() {
    let scene = Scene::open(&[]);
    let second = Connect::of(V5, "other").bytes();
    scene.each_ends_with(&[("a second CONNECT", second, &[0x82])]);
    scene.each_ends_v3(&[("a second CONNECT", Connect::of(V3, "other").bytes())]);
    // In one write with the first one.
    let connect = Connect::of(V5, "twin").bytes();
    let mut twin = scene.dial();
    twin.send(&[&connect[..], &connect].concat());
    assert_eq!(twin.connack(), 0);
    assert_eq!(twin.last_word(), Some(0x82));
    scene.close();
}

#[test]
fn packets_that_only_a_server_sends_are_malformed() {
    let scene = Scene::open(&[]);
    let cases = [
        ("CONNACK", vec![0x20, 3, 0, 0, 0]),
        ("SUBACK", vec![0x90, 4, 0, 1, 0, 0]),
        ("UNSUBACK", vec![0xb0, 4, 0, 1, 0, 0]),
        ("PINGRESP", vec![0xd0, 0]),
        ("type 0", vec![0x00, 0]),
    ];
    let codes: Vec<(&str, Vec<u8>, &[u8])> = cases
        .iter()
        .map(|(what, bytes)| (*what, bytes.clone(), &[0x81_u8, 0x82][..]))
        .collect();
    scene.each_ends_with(&codes);
    scene.each_ends_v3(&cases);
    // MQTT 3.1.1 has no AUTH.
    scene.each_ends_v3(&[("AUTH", vec![0xf0, 0])]);
    scene.close();
}

#[test]
fn acknowledgements_of_nothing_are_answered_as_the_protocol_says_and_cost_nothing() {
    let scene = Scene::open(&[]);
    let mut client = scene.device("ghost");
    for id in 1..=2000_u16 {
        let [high, low] = id.to_be_bytes();
        client.send(&[0x40, 2, high, low, 0x70, 2, high, low]);
        client.send(&[0x50, 2, high, low, 0x62, 2, high, low]);
        let pubrel = client.receive().expect("PUBREL");
        assert_eq!((pubrel.first, pubrel.body[2]), (0x62, 0x92));
        let pubcomp = client.receive().expect("PUBCOMP");
        assert_eq!((pubcomp.first, pubcomp.body[2]), (0x70, 0x92));
    }
    assert!(client.answers_ping());
    drop(client);
    scene.close();
}

#[test]
fn packet_identifier_0_is_malformed_wherever_one_is_needed() {
    let scene = Scene::open(&[]);
    let unsubscribe = packet(0xa2, &[0, 0, 0, 0, 1, b'a']);
    scene.each_ends_with(&[
        (
            "PUBLISH 1",
            publish5(1, up("faulty"), 0, &[]),
            &[0x81, 0x82],
        ),
        (
            "PUBLISH 2",
            publish5(2, up("faulty"), 0, &[]),
            &[0x81, 0x82],
        ),
        ("SUBSCRIBE", subscribe5(0, "a", 0), &[0x81, 0x82]),
        ("UNSUBSCRIBE", unsubscribe, &[0x81, 0x82]),
        ("PUBACK", packet(0x40, &[0, 0]), &[0x81, 0x82]),
        ("PUBREC", packet(0x50, &[0, 0]), &[0x81, 0x82]),
        ("PUBREL", packet(0x62, &[0, 0]), &[0x81, 0x82]),
        ("PUBCOMP", packet(0x70, &[0, 0, 0]), &[0x81, 0x82]),
    ]);
    scene.each_ends_v3(&[
        ("PUBLISH 1", publish3(1, up("faulty"), 0)),
        ("PUBLISH 2", publish3(2, up("faulty"), 0)),
        ("SUBSCRIBE", subscribe3(0, "a", 0)),
        ("PUBREL", packet(0x62, &[0, 0])),
    ]);
    scene.close();
}

#[test]
fn qos_3_is_malformed_wherever_it_is_asked_for() {
    let scene = Scene::open(&[]);
    scene.each_ends_with(&[
        ("PUBLISH", publish5(3, up("faulty"), 1, &[]), &[0x81]),
        ("SUBSCRIBE", subscribe5(1, "a", 3), &[0x81, 0x82]),
        ("retain handling 3", subscribe5(1, "a", 0x30), &[0x81, 0x82]),
        ("reserved bits", subscribe5(1, "a", 0xc0), &[0x81, 0x82]),
    ]);
    scene.each_ends_v3(&[
        ("PUBLISH", publish3(3, up("faulty"), 1)),
        ("SUBSCRIBE", subscribe3(1, "a", 3)),
        ("SUBSCRIBE with MQTT 5's options", subscribe3(1, "a", 4)),
    ]);
    for level in [V5, V3] {
        let mut connect = Connect::of(level, "7");
        connect.will = Some(super::raw::Will {
            topic: up("7").into(),
            flags: 0x18,
            ..super::raw::Will::default()
        });
        let mut client = scene.dial();
        client.send(&connect.bytes());
        let word = client.last_word();
        match level {
            V5 => assert!(matches!(word, Some(0x81 | 0x82)), "{word:x?}"),
            _ => assert_eq!(word, None),
        }
    }
    scene.close();
}

#[test]
fn a_qos_2_publish_repeated_without_pubrel_counts_once() {
    let scene = Scene::open(&[]);
    let mut client = scene.device("parrot");
    let first = publish5(2, up("parrot"), 7, &[]);
    let mut again = first.clone();
    again[0] |= 8;
    client.send(&first);
    for _ in 0..2000 {
        client.send(&again);
    }
    let pubrec = Packet {
        first: 0x50,
        body: vec![0, 7],
    };
    for _ in 0..2001 {
        assert_eq!(client.receive().as_ref(), Some(&pubrec));
    }
    client.send(&packet(0x62, &[0, 7]));
    assert_eq!(client.receive().expect("PUBCOMP").first, 0x70);
    drop(client);
    assert_eq!(
        scene
            .gateway
            .metric("sensegate_mqtt_publishes_received_total", "qos=\"2\""),
        1.0
    );
    scene.close();
}

#[test]
fn qos_2_identifiers_never_released_are_bounded_by_the_receive_maximum() {
    let scene = Scene::open(&[]);
    let mut client = scene.device("hoarder");
    let all: Vec<u8> = (1..=1000)
        .flat_map(|id| publish5(2, up("hoarder"), id, &[]))
        .collect();
    client.send(&all);
    assert_eq!(client.last_word(), Some(0x93));
    // MQTT 3.1.1 knows no receive maximum: there is a bound all the same.
    let mut old = scene.connected(&Connect::of(V3, "hoarder-3"));
    let all: Vec<u8> = (1..=u16::MAX)
        .flat_map(|id| publish3(2, up("hoarder-3"), id))
        .collect();
    let mut sender = old.other_hand();
    let thread = std::thread::spawn(move || sender.send(&all));
    assert_eq!(old.last_word(), None);
    thread.join().unwrap();
    scene.close();
}
