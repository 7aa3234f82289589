//! Packets whose form is right and whose contents are not.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::{
    raw::{
        Connect, Raw, V3, V5, Will, down, packet, properties, publish3, publish5, subscribe3,
        subscribe5, text, up, user_properties,
    },
    scene::Scene,
};
use crate::device::KEY;

/// UTF-8 that is none: a lone byte, an overlong slash, surrogates alone and as a pair, beyond Unicode, cut short, NUL.
const NO_TEXT: [&[u8]; 8] = [
    b"a\xffb",
    b"a\xc0\xafb",
    b"a\xed\xa0\x80b",
    b"\xed\xbf\xbf",
    b"\xed\xa0\xbd\xed\xb8\x80",
    b"\xf4\x90\x80\x80",
    b"\xe8\xbd",
    b"a\0b",
];

/// What became of a CONNECT.
fn verdict(scene: &Scene, connect: &Connect) -> Option<u8> {
    let mut client = scene.dial();
    client.send(&connect.bytes());
    client.last_word()
}

fn connect_with(change: impl FnOnce(&mut Connect)) -> Connect {
    let mut connect = Connect::of(V5, "faulty");
    change(&mut connect);
    connect
}

fn will_with(change: impl FnOnce(&mut Will)) -> Connect {
    let mut will = Will {
        topic: up("faulty").into(),
        payload: b"{}".to_vec(),
        ..Will::default()
    };
    change(&mut will);
    connect_with(|connect| connect.will = Some(will))
}

#[test]
fn a_will_with_bad_properties_is_refused_in_connack() {
    let scene = Scene::open(&[]);
    let bad = |bytes: &[u8]| will_with(|will| will.properties = bytes.to_vec());
    let topic = |topic: &[u8]| will_with(|will| will.topic = topic.to_vec());
    let cases: [(&str, Connect, &[u8]); 14] = [
        (
            "delay twice",
            bad(&[0x18, 0, 0, 0, 1, 0x18, 0, 0, 0, 1]),
            &[0x81, 0x82],
        ),
        ("format 2", bad(&[1, 2]), &[0x81, 0x82]),
        ("expiry cut short", bad(&[2, 0, 0]), &[0x81]),
        ("topic alias", bad(&[0x23, 0, 1]), &[0x81, 0x82]),
        ("subscription id", bad(&[0x0b, 1]), &[0x81, 0x82]),
        ("no such property", bad(&[0x7f, 1]), &[0x81, 0x82]),
        ("response topic #", bad(&[8, 0, 1, b'#']), &[0x81, 0x82]),
        ("response topic empty", bad(&[8, 0, 0]), &[0x81, 0x82]),
        ("content type no text", bad(&[3, 0, 1, 0xff]), &[0x81]),
        ("65 user properties", bad(&user_properties(65)), &[0x97]),
        ("thousands of them", bad(&user_properties(1000)), &[0x97]),
        (
            "wildcard",
            topic(b"v1/manhole_cover/+/up"),
            &[0x81, 0x82, 0x90],
        ),
        ("no topic", topic(b""), &[0x81, 0x82, 0x90]),
        (
            "of another device",
            topic(b"v1/manhole_cover/8/up"),
            &[0x87],
        ),
    ];
    for (what, connect, codes) in cases {
        let word = verdict(&scene, &connect);
        assert!(
            word.is_some_and(|code| codes.contains(&code)),
            "{what}: {word:x?}"
        );
    }
    // Flags of a will that is not there.
    for flags in [0x08, 0x20, 0x38] {
        let word = verdict(&scene, &connect_with(|connect| connect.flags = flags));
        assert!(matches!(word, Some(0x81 | 0x82)), "{flags:x} {word:x?}");
    }
    assert_eq!(scene.gateway.metric("sensegate_mqtt_wills_total", ""), 0.0);
    scene.close();
}

#[test]
fn thousands_of_user_properties_end_the_connection_and_leave_no_memory_behind() {
    let scene = Scene::open(&[]);
    let many = user_properties(100_000);
    let subscribe = [&[0, 1][..], &properties(&many), &text("a"), &[0]].concat();
    let unsubscribe = [&[0, 1][..], &properties(&many), &text("a")].concat();
    let disconnect = [&[0][..], &properties(&many)].concat();
    let puback = [&[0, 1, 0][..], &properties(&many)].concat();
    for _ in 0..20 {
        scene.each_ends_with(&[
            ("PUBLISH", publish5(1, up("faulty"), 1, &many), &[0x97]),
            ("SUBSCRIBE", packet(0x82, &subscribe), &[0x97]),
            ("UNSUBSCRIBE", packet(0xa2, &unsubscribe), &[0x97]),
            ("DISCONNECT", packet(0xe0, &disconnect), &[0x97]),
            ("PUBACK", packet(0x40, &puback), &[0x97]),
        ]);
        let connect = connect_with(|connect| connect.properties.clone_from(&many));
        let word = verdict(&scene, &connect);
        assert!(matches!(word, None | Some(0x95 | 0x97)), "{word:x?}");
        let connect = connect_with(|connect| connect.properties = user_properties(1000));
        assert_eq!(verdict(&scene, &connect), Some(0x97));
    }
    scene.close();
}

#[test]
fn an_empty_topic_is_refused_without_an_alias_and_an_empty_filter_always() {
    let scene = Scene::open(&[]);
    scene.each_ends_with(&[
        ("no alias", publish5(1, "", 1, &[]), &[0x81, 0x82, 0x90]),
        (
            "alias of nothing",
            publish5(1, "", 1, &[0x23, 0, 1]),
            &[0x82, 0x94],
        ),
        (
            "alias 0",
            publish5(1, up("faulty"), 1, &[0x23, 0, 0]),
            &[0x94],
        ),
        (
            "alias too high",
            publish5(1, up("faulty"), 1, &[0x23, 0xff, 0xff]),
            &[0x94],
        ),
        ("filter", subscribe5(1, "", 0), &[0x81, 0x82, 0x8f]),
        ("no filter", packet(0x82, &[0, 1, 0]), &[0x81, 0x82]),
        ("no filter", packet(0xa2, &[0, 1, 0]), &[0x81, 0x82]),
    ]);
    scene.each_ends_v3(&[
        ("topic", publish3(1, "", 1)),
        ("filter", subscribe3(1, "", 0)),
        ("no filter", packet(0x82, &[0, 1])),
    ]);
    scene.close();
}

#[test]
fn a_topic_of_65535_bytes_is_refused_as_topic_and_as_filter() {
    let scene = Scene::open(&[]);
    let long = vec![b'x'; 65_535];
    far_too_much(&scene, &long);
    scene.close();
}

#[test]
fn a_topic_of_65000_levels_is_refused_as_topic_and_as_filter() {
    let scene = Scene::open(&[]);
    for level in ["/", "a/", "+/"] {
        let deep = level.repeat(65_000 / level.len());
        far_too_much(&scene, deep.as_bytes());
    }
    scene.close();
}

/// Publishes to a topic and subscribes to it as a filter, many times over.
fn far_too_much(scene: &Scene, topic: &[u8]) {
    for _ in 0..20 {
        scene.each_ends_with(&[("PUBLISH", publish5(1, topic, 1, &[]), &[0x90])]);
        let mut connect = Connect::of(V5, "faulty");
        connect.will = Some(Will {
            topic: topic.to_vec(),
            ..Will::default()
        });
        let word = verdict(scene, &connect);
        assert!(word.is_none_or(|code| code >= 0x80), "{word:x?}");
    }
    // Many of them in one packet, and many packets of them.
    let filters = [&text(topic)[..], &[0]].concat().repeat(10);
    let subscribe = packet(0x82, &[&[0, 1, 0][..], &filters].concat());
    let mut client = scene.device("faulty");
    for _ in 0..20 {
        client.send(&subscribe);
        match client.receive() {
            Some(answer) if answer.first == 0x90 => {
                assert!(answer.body[3..].iter().all(|code| *code >= 0x80));
            }
            Some(answer) => {
                assert_eq!(answer.first, 0xe0, "{answer:?}");
                client = scene.device("faulty");
            }
            None => client = scene.device("faulty"),
        }
    }
}

#[test]
fn text_that_is_not_utf_8_is_malformed_wherever_it_stands() {
    let scene = Scene::open(&[]);
    for no_text in NO_TEXT {
        let pair = [&[0x26][..], &text("k"), &text(no_text)].concat();
        let kind = [&[3][..], &text(no_text)].concat();
        let bye = [
            &[0][..],
            &properties(&[&[0x1f][..], &text(no_text)].concat()),
        ]
        .concat();
        scene.each_ends_with(&[
            ("topic", publish5(0, no_text, 0, &[]), &[0x81]),
            (
                "user property",
                publish5(0, up("faulty"), 0, &pair),
                &[0x81],
            ),
            ("content type", publish5(0, up("faulty"), 0, &kind), &[0x81]),
            ("filter", subscribe5(1, no_text, 0), &[0x81, 0x8f]),
            ("reason string", packet(0xe0, &bye), &[0x81]),
        ]);
        scene.each_ends_v3(&[
            ("topic", publish3(0, no_text, 0)),
            ("filter", subscribe3(1, no_text, 0)),
        ]);
        for connect in [
            connect_with(|connect| connect.client_id = no_text.to_vec()),
            connect_with(|connect| connect.username = no_text.to_vec()),
            connect_with(|connect| connect.properties.clone_from(&pair)),
            will_with(|will| will.topic = no_text.to_vec()),
            will_with(|will| will.properties.clone_from(&kind)),
        ] {
            let word = verdict(&scene, &connect);
            assert_eq!(word, Some(0x81), "{connect:?}");
        }
    }
    scene.close();
}

#[test]
fn properties_that_stand_twice_are_a_protocol_error() {
    let scene = Scene::open(&[]);
    let twice = |property: &[u8]| publish5(1, up("faulty"), 1, &property.repeat(2));
    let identifiers = [&[0, 1, 4, 0x0b, 1, 0x0b, 1][..], &text("a"), &[0]].concat();
    let farewell = [&[0, 10][..], &[0x11, 0, 0, 0, 0].repeat(2)].concat();
    scene.each_ends_with(&[
        ("format", twice(&[1, 1]), &[0x82]),
        ("expiry", twice(&[2, 0, 0, 0, 9]), &[0x82]),
        ("content type", twice(&[3, 0, 1, b'a']), &[0x82]),
        ("response topic", twice(&[8, 0, 1, b'a']), &[0x82]),
        ("correlation", twice(&[9, 0, 1, b'a']), &[0x82]),
        ("alias", twice(&[0x23, 0, 1]), &[0x82]),
        (
            "subscription identifier",
            packet(0x82, &identifiers),
            &[0x82],
        ),
        ("session expiry", packet(0xe0, &farewell), &[0x82]),
    ]);
    for property in [
        &[0x11, 0, 0, 0, 9][..],
        &[0x21, 0, 9],
        &[0x27, 0, 1, 0, 0],
        &[0x22, 0, 9],
        &[0x19, 1],
        &[0x17, 1],
        &[0x15, 0, 1, b'a'],
    ] {
        let connect = connect_with(|connect| connect.properties = property.repeat(2));
        assert_eq!(verdict(&scene, &connect), Some(0x82), "{property:x?}");
    }
    scene.close();
}

#[test]
fn properties_with_values_that_are_not_allowed_are_a_protocol_error() {
    let scene = Scene::open(&[]);
    for property in [
        &[0x21, 0, 0][..],
        &[0x27, 0, 0, 0, 0],
        &[0x17, 2],
        &[0x19, 2],
        &[0x16, 0, 1, b'a'],
    ] {
        let connect = connect_with(|connect| connect.properties = property.to_vec());
        let word = verdict(&scene, &connect);
        assert!(matches!(word, Some(0x81 | 0x82)), "{property:x?} {word:x?}");
    }
    // A packet size that has no room for any answer.
    for most in 1..8 {
        let connect = connect_with(|connect| connect.properties = vec![0x27, 0, 0, 0, most]);
        let mut client = scene.dial();
        client.send(&connect.bytes());
        assert_eq!(client.receive(), None, "{most}");
    }
    scene.close();
}

#[test]
fn an_empty_client_id_without_clean_start_is_rejected_or_given_a_name() {
    let scene = Scene::open(&[]);
    let mut old = Connect::of(V3, "nameless");
    old.clean = false;
    old.client_id.clear();
    assert_eq!(verdict(&scene, &old), Some(0x02));
    // MQTT 5: the broker gives a name, and says which.
    let mut new = old.clone();
    new.level = V5;
    let mut client = scene.dial();
    client.send(&new.bytes());
    let connack = client.receive().expect("CONNACK");
    assert_eq!(connack.body[1], 0);
    assert!(
        connack
            .body
            .windows(3)
            .any(|bytes| bytes[0] == 0x12 && bytes[1] == 0)
    );
    assert!(client.answers_ping());
    drop(client);
    scene.close();
}

#[test]
fn client_ids_that_mean_something_in_a_topic_widen_nothing() {
    let scene = Scene::open(&[]);
    let names: [&[u8]; 12] = [
        b"+",
        b"#",
        b"+/#",
        b"$SYS",
        b"$share/a/#",
        b"/",
        b"a//b",
        b"..",
        b"8",
        b"{device}",
        b"manhole_cover/8",
        &[b'x'; 4000],
    ];
    for name in names {
        let mut connect = Connect::of(V5, "7");
        connect.client_id = name.to_vec();
        let mut client = scene.dial();
        client.send(&connect.bytes());
        match client.connack() {
            0 => hears_and_says_its_own_only(&mut client, "7"),
            code => assert_eq!(code, 0x85, "{name:x?}"),
        }
    }
    scene.close();
}

fn hears_and_says_its_own_only(client: &mut Raw, device: &str) {
    for filter in [
        "#",
        "+/#",
        "v1/#",
        "v1/manhole_cover/+/down",
        "v1/manhole_cover/8/down",
        "$SYS/#",
    ] {
        for filter in [filter.to_owned(), format!("$share/x/{filter}")] {
            client.send(&subscribe5(1, &filter, 1));
            assert!(client.suback() >= 0x80, "{filter}");
        }
    }
    client.send(&publish5(1, up("8"), 1, &[]));
    let answer = client.receive().expect("PUBACK");
    assert_eq!((answer.first, answer.body[2]), (0x40, 0x87));
    client.send(&subscribe5(1, down(device), 1));
    assert_eq!(client.suback(), 1);
    client.send(&publish5(1, up(device), 2, &[]));
    let answer = client.receive().expect("PUBACK");
    assert_eq!((answer.first, &answer.body[..]), (0x40, &[0, 2][..]));
}

#[test]
fn usernames_that_mean_something_in_a_topic_are_nobody_even_with_the_right_password() {
    let scene = Scene::open(&[]);
    for username in [
        "manhole_cover/+",
        "manhole_cover/#",
        "+/7",
        "#/7",
        "$SYS/7",
        "manhole_cover/",
        "/7",
        "/",
        "",
        "manhole_cover/7/8",
        "manhole_cover//7",
        "manhole_cover/$7",
        "$share/manhole_cover/7",
    ] {
        let mac = Hmac::<Sha256>::new_from_slice(KEY).unwrap();
        let password = mac.chain_update(username).finalize().into_bytes();
        for level in [V5, V3] {
            let mut connect = Connect::of(level, "7");
            connect.username = username.into();
            connect.password = hex::encode(password).into();
            let word = verdict(&scene, &connect);
            let codes = [0x86, 0x87, 0x04, 0x05];
            assert!(
                word.is_some_and(|code| codes.contains(&code)),
                "{username}: {word:x?}"
            );
        }
    }
    scene.close();
}
