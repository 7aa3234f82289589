//! Clients that are too slow, too quiet, or never listen.

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use super::{
    raw::{Connect, Raw, V3, V5, down, packet, publish5, subscribe5, up, varint},
    scene::Scene,
};

/// Pause between the bytes of a client that drips.
const DRIP: Duration = Duration::from_millis(200);
/// How much later than its deadline a connection may end: the sweep comes by every two seconds, and machines are busy.
const LATE: Duration = Duration::from_secs(5);

/// More than all buffers between a client and the broker take.
const FLOOD: usize = 64 << 20;

/// Sends the same bytes to everybody, one at a time, until nobody is left to take them; how long that took.
fn drip(crowd: &mut Vec<Raw>, bytes: &[u8], most: Duration) -> Duration {
    let begun = Instant::now();
    let (_clock, ticks) = mpsc::channel::<()>();
    for byte in bytes {
        crowd.retain_mut(|client| client.try_send(&[*byte]));
        if crowd.is_empty() {
            break;
        }
        assert!(begun.elapsed() < most, "{} are still heard", crowd.len());
        ticks.recv_timeout(DRIP).unwrap_err();
    }
    assert!(crowd.is_empty(), "{} got through", crowd.len());
    begun.elapsed()
}

#[test]
fn a_packet_at_one_byte_per_200_ms_ends_at_the_stall_deadline() {
    let scene = Scene::open(&["--mqtt-stall-deadline", "1s"]);
    let mut crowd = scene.crowd("drip", 100);
    let packet = publish5(1, up("drip"), 1, &[0x26; 1000]);
    drip(&mut crowd, &packet, Duration::from_secs(1) + LATE);
    assert_eq!(scene.ended("stalled"), 100.0);
    scene.close();
}

#[test]
fn a_connect_at_one_byte_per_200_ms_ends_at_the_connect_deadline() {
    let scene = Scene::open(&["--mqtt-connect-deadline", "1s"]);
    let mut crowd: Vec<_> = (0..100).map(|_| scene.dial()).collect();
    let mut connect = Connect::of(V5, "drip");
    connect.client_id = vec![b'x'; 200];
    drip(&mut crowd, &connect.bytes(), Duration::from_secs(1) + LATE);
    assert_eq!(scene.ended("connect_deadline"), 100.0);
    scene.close();
}

#[test]
fn half_open_connections_end_at_their_deadlines() {
    let scene = Scene::open(&[
        "--mqtt-connect-deadline",
        "1s",
        "--mqtt-sessions-per-device-max",
        "200",
    ]);
    let mut mute: Vec<_> = (0..300).map(|_| scene.dial()).collect();
    // Peers that vanished without a word: all that is left of them is silence.
    let mut connect = Connect::of(V5, "gone");
    connect.keep_alive_s = 1;
    let gone = |n| {
        connect.client_id = format!("gone-{n}").into();
        scene.connected(&connect)
    };
    let mut gone: Vec<_> = (0..100).map(gone).collect();
    scene.clean_is_served();
    for client in &mut mute {
        assert_eq!(client.last_word(), None);
    }
    for client in &mut gone {
        assert_eq!(client.last_word(), Some(0x8d));
    }
    assert_eq!(scene.ended("connect_deadline"), 300.0);
    assert_eq!(scene.ended("keep_alive"), 100.0);
    scene.close();
}

#[test]
fn keep_alive_0_and_65535_are_replaced_or_enforced() {
    let scene = Scene::open(&["--mqtt-keep-alive-max", "10s"]);
    let mut silent = Vec::new();
    for (level, keep_alive_s) in [(V5, 0), (V5, 65_535), (V3, 0), (V3, 65_535)] {
        let mut connect = Connect::of(level, &format!("k{level}-{keep_alive_s}"));
        connect.keep_alive_s = keep_alive_s;
        let mut client = scene.dial();
        client.send(&connect.bytes());
        let connack = client.receive().expect("CONNACK");
        assert_eq!(connack.body[1], 0);
        if level == V5 {
            let told = [0x13, 0, 10];
            assert!(
                connack.body.windows(3).any(|bytes| bytes == told),
                "{connack:?}"
            );
        }
        silent.push((level, client));
    }
    for (level, mut client) in silent {
        let told = (level == V5).then_some(0x8d);
        assert_eq!(client.last_word(), told);
    }
    scene.close();
}

#[test]
fn who_stops_reading_after_subscribe_is_not_read_either() {
    let scene = Scene::open(&["--mqtt-stall-deadline", "1s"]);
    let crowd: Vec<_> = (0..20)
        .map(|n| {
            let name = format!("deaf-{n}");
            let mut client = scene.device(&name);
            client.shrink_window();
            client.send(&subscribe5(1, down(&name), 1));
            client
        })
        .collect();
    // Each ping wants an answer; the answers fill what lies between, and then nobody takes pings any more.
    let pings = [0xc0, 0].repeat(1024);
    let threads: Vec<_> = crowd
        .into_iter()
        .map(|mut client| {
            let pings = pings.clone();
            thread::spawn(move || {
                let taken = client.flood(&pings, FLOOD, Duration::from_secs(1));
                (client, taken)
            })
        })
        .collect();
    for _ in 0..5 {
        scene.clean_is_served();
    }
    for thread in threads {
        let (client, taken) = thread.join().unwrap();
        assert!(taken < FLOOD, "{taken} bytes were taken");
        drop(client);
    }
    scene.close();
}

#[test]
fn who_reads_a_byte_at_a_time_holds_no_more_than_a_buffer() {
    let mut scene = Scene::open(&["--mqtt-stall-deadline", "1s"]);
    let mut crowd = scene.crowd("sip", 50);
    let pings = [0xc0, 0].repeat(100_000);
    for client in &mut crowd {
        client.shrink_window();
        client.flood(&pings, pings.len(), Duration::from_millis(10));
    }
    scene.clean_is_served();
    scene.memory_is_bounded();
    drop(crowd);
    scene.close();
}

#[test]
fn packets_that_never_end_hold_no_more_than_their_largest_size() {
    let scene = Scene::open(&["--mqtt-stall-deadline", "1s"]);
    // Ten at a time: each may hold one packet of a megabyte until its deadline.
    let mut crowd = scene.crowd("whale", 10);
    let head = [&[0x30][..], &varint(1_048_000)].concat();
    for client in &mut crowd {
        client.send(&head);
        client.send(&vec![b'x'; 1_040_000]);
    }
    scene.clean_is_served();
    for client in &mut crowd {
        assert_eq!(client.last_word(), None);
    }
    drop(crowd);
    scene.close();
}

#[test]
fn a_client_that_never_closes_after_the_last_word_is_closed_upon() {
    let scene = Scene::open(&[]);
    let mut crowd = scene.crowd("clingy", 100);
    for client in &mut crowd {
        client.send(&packet(0x30, b""));
        assert_eq!(client.receive().expect("DISCONNECT").first, 0xe0);
    }
    // Their ends stay open.
    scene.only_the_clean_is_left();
    drop(crowd);
    scene.close();
}
