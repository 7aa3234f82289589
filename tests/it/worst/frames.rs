//! Lies about lengths, and bytes that are no MQTT at all.

use std::time::Duration;

use super::{
    raw::{Connect, V3, V5, packet, properties, publish5, text, varint},
    scene::Scene,
};

/// A promise of a million bytes.
fn promise(first: u8) -> Vec<u8> {
    [&[first][..], &varint(1_000_000)].concat()
}

#[test]
fn a_remaining_length_longer_than_the_data_reserves_nothing_and_meets_the_deadline() {
    let mut scene = Scene::open(&[
        "--mqtt-stall-deadline",
        "1s",
        "--mqtt-connect-deadline",
        "1s",
    ]);
    let mut liars = scene.crowd("liar", 100);
    for liar in &mut liars {
        liar.send(&promise(0x30));
        liar.send(&[0; 100]);
    }
    let mut strangers: Vec<_> = (0..100).map(|_| scene.dial()).collect();
    for stranger in &mut strangers {
        stranger.send(&promise(0x10));
        stranger.send(&text("MQTT"));
    }
    scene.clean_is_served();
    scene.memory_is_bounded();
    for client in liars.iter_mut().chain(&mut strangers) {
        assert_eq!(client.last_word(), None);
    }
    // A first packet that promises more than any CONNECT may have ends at once.
    assert_eq!(
        scene.ended("stalled") + scene.ended("connect_deadline") + scene.ended("packet_too_large"),
        200.0
    );
    scene.close();
}

#[test]
fn lengths_inside_a_packet_that_reach_beyond_it_are_malformed() {
    let scene = Scene::open(&[]);
    let field = |first: u8, body: &[u8]| packet(first, body);
    scene.each_ends_with(&[
        ("topic", field(0x30, b"\xff\xffa"), &[0x81]),
        ("packet id", field(0x32, b"\x00\x01a\x00"), &[0x81]),
        ("properties", field(0x30, b"\x00\x01a\x7f"), &[0x81]),
        (
            "user property",
            field(0x30, b"\x00\x01a\x05\x26\xff\xffab"),
            &[0x81],
        ),
        ("filter", field(0x82, b"\x00\x01\x00\x00\xffa\x00"), &[0x81]),
        (
            "filter options",
            field(0x82, b"\x00\x01\x00\x00\x01a"),
            &[0x81],
        ),
        (
            "PUBACK's properties",
            field(0x40, b"\x00\x01\x00\x7f"),
            &[0x81],
        ),
        ("DISCONNECT's", field(0xe0, b"\x00\x7f"), &[0x81]),
    ]);
    let connect = Connect::of(V5, "7").bytes();
    for end in [12, 20, connect.len() - 1] {
        let mut client = scene.dial();
        client.send(&packet(0x10, &connect[2..end]));
        assert!(matches!(client.last_word(), Some(0x81 | 0x82)), "{end}");
    }
    scene.close();
}

#[test]
fn a_varint_of_five_bytes_is_malformed_at_its_fourth() {
    let scene = Scene::open(&[]);
    let five = [0x80, 0x80, 0x80, 0x80, 0x01];
    let section = [&text("a")[..], &five].concat();
    let identifier = [&[0, 1, 6, 0x0b][..], &five, &text("a"), &[0]].concat();
    scene.each_ends_with(&[
        (
            "remaining length",
            vec![0x30, 0xff, 0xff, 0xff, 0xff],
            &[0x81],
        ),
        ("and the fifth byte", [&[0x30][..], &five].concat(), &[0x81]),
        ("property length", packet(0x30, &section), &[0x81]),
        (
            "subscription identifier",
            packet(0x82, &identifier),
            &[0x81],
        ),
    ]);
    scene.each_ends_v3(&[("remaining length", vec![0x30, 0xff, 0xff, 0xff, 0xff])]);
    let mut stranger = scene.dial();
    stranger.send(&[&[0x10][..], &five].concat());
    assert_eq!(stranger.receive(), None);
    scene.close();
}

#[test]
fn a_huge_first_packet_that_is_no_connect_is_not_waited_for() {
    let scene = Scene::open(&["--mqtt-connect-deadline", "1m"]);
    // Beyond the largest packet, and within it: in either case the first byte says enough.
    for length in [0x0fff_ffff, 1_000_000] {
        let mut crowd: Vec<_> = (0..50).map(|_| scene.dial()).collect();
        for stranger in &mut crowd {
            stranger.send(&[&[0x30][..], &varint(length), &[b'x'; 1000]].concat());
        }
        for stranger in &mut crowd {
            assert_eq!(stranger.receive(), None, "{length}");
        }
    }
    // The same at full length, as fast as it goes.
    let huge = [&promise(0x30)[..], &vec![b'x'; 1_000_000]].concat();
    for _ in 0..5 {
        let mut stranger = scene.dial();
        stranger.flood(&huge, 64 << 20, Duration::from_secs(1));
        assert_eq!(stranger.receive(), None);
    }
    scene.close();
}

#[test]
fn a_packet_beyond_the_largest_one_is_refused_at_its_length() {
    let scene = Scene::open(&[]);
    scene.each_ends_with(&[
        ("PUBLISH", [&[0x30][..], &varint(1 << 20)].concat(), &[0x95]),
        (
            "SUBSCRIBE",
            [&[0x82][..], &varint(0x0fff_ffff)].concat(),
            &[0x95],
        ),
    ]);
    scene.close();
}

#[test]
fn http_and_a_tls_client_hello_on_the_plain_port_end_at_their_first_byte() {
    let scene = Scene::open(&["--mqtt-connect-deadline", "1m"]);
    let hello = [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        &[7; 500],
    ]
    .concat();
    let words: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /mqtt HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n",
        &hello,
    ];
    for word in words {
        for _ in 0..20 {
            let mut stranger = scene.dial();
            stranger.send(word);
            assert_eq!(stranger.receive(), None, "{word:x?}");
        }
    }
    scene.close();
}

#[test]
fn a_connect_of_no_known_protocol_is_told_so_or_cut_off() {
    let scene = Scene::open(&[]);
    for (name, level, told) in [
        ("MQTT", 6, Some(0x84)),
        ("MQTT", 255, Some(0x84)),
        ("MQTT", 0, Some(0x01)),
        ("MQIsdp", 9, Some(0x01)),
        ("mqtt", 5, None),
        ("", 5, None),
    ] {
        let body = [
            &text(name)[..],
            &[level, 2, 0, 60],
            &properties(&[]),
            &text("c"),
        ]
        .concat();
        let mut stranger = scene.dial();
        stranger.send(&packet(0x10, &body));
        assert_eq!(stranger.last_word(), told, "{name} {level}");
    }
    scene.close();
}

#[test]
fn whole_packets_in_single_bytes_are_served_like_any_other() {
    let scene = Scene::open(&[]);
    for level in [V5, V3] {
        let mut patient = scene.dial();
        for byte in Connect::of(level, "patient").bytes() {
            patient.send(&[byte]);
        }
        assert_eq!(patient.connack(), 0);
        assert!(patient.answers_ping());
        if level == V5 {
            for byte in publish5(1, super::raw::up("patient"), 9, &[]) {
                patient.send(&[byte]);
            }
            let answer = patient.receive().expect("PUBACK");
            assert_eq!((answer.first, &answer.body[..]), (0x40, &[0, 9][..]));
        }
    }
    scene.close();
}
