//! Hostile subscribers: who never listens, who never comes back, who asks for everything again and again. The rights
//! are open here: what a client may do to others is what is tested, not whether it may.

use std::{thread, time::Duration};

use super::{
    raw::{Connect, Raw, V5, packet, properties, subscribe5, text},
    scene::Scene,
};

/// A publish of so many bytes to a topic that is no reading.
fn notice(qos: u8, topic: &str, id: u16, bytes: usize) -> Vec<u8> {
    let mut body = text(topic);
    if qos > 0 {
        body.extend(id.to_be_bytes());
    }
    body.extend(properties(&[]));
    body.resize(body.len() + bytes, b'x');
    packet(0x30 | (qos << 1), &body)
}

/// Publishes so many times at `QoS` 1, each acknowledged before the next.
fn announce(publisher: &mut Raw, topic: impl Fn(usize) -> String, count: usize, bytes: usize) {
    for number in 0..count {
        let id = u16::try_from(number % 60_000 + 1).unwrap();
        publisher.send(&notice(1, &topic(number), id, bytes));
        let answer = publisher.receive().expect("PUBACK");
        assert_eq!(answer.first, 0x40, "{answer:?}");
        assert!(
            answer.body.get(2).is_none_or(|code| *code < 0x80),
            "{answer:x?}"
        );
    }
}

/// A CONNECT whose session outlives its connection.
fn lasting(device: &str, seconds: u8) -> Connect {
    let mut connect = Connect::of(V5, device);
    connect.properties = vec![0x11, 0, 0, 0, seconds];
    connect.clean = false;
    connect
}

#[test]
fn who_subscribes_and_never_reads_costs_its_own_queue_and_no_publisher_waits() {
    let scene = Scene::open(&["--rights", "open", "--mqtt-stall-deadline", "2s"]);
    let crowd: Vec<_> = (0..20)
        .map(|n| {
            let mut client = scene.device(&format!("deaf-{n}"));
            client.shrink_window();
            client.send(&subscribe5(1, "plaza/#", 1));
            assert_eq!(client.suback(), 1);
            client
        })
        .collect();
    let mut listener = scene.device("listener");
    listener.send(&subscribe5(1, "plaza/last", 0));
    assert_eq!(listener.suback(), 0);
    // 100 MB for each of them, if it were kept.
    let mut publisher = scene.device("speaker");
    announce(&mut publisher, |_| "plaza/x".to_owned(), 2000, 50_000);
    scene.clean_is_served();
    publisher.send(&notice(0, "plaza/last", 0, 5));
    assert_eq!(listener.receive().expect("the last notice").first, 0x30);
    scene.until("deaf clients are cut off", |_| {
        scene.ended("stalled") >= 20.0
    });
    drop((crowd, publisher, listener));
    scene.close();
}

#[test]
fn sessions_that_expire_with_full_queues_leave_neither_memory_nor_records() {
    let scene = Scene::open(&["--rights", "open"]);
    for n in 0..50 {
        let mut client = scene.connected(&lasting(&format!("gone-{n}"), 2));
        client.send(&subscribe5(1, "plaza/#", 1));
        assert_eq!(client.suback(), 1);
        client.reset();
    }
    let mut publisher = scene.device("speaker");
    announce(&mut publisher, |n| format!("plaza/{n}"), 200, 4000);
    drop(publisher);
    scene.until("the sessions expire", |gateway| {
        gateway.metric("sensegate_mqtt_sessions_away", "") == 0.0
    });
    scene.close();
}

#[test]
fn retained_messages_asked_for_again_and_again_wait_within_the_queues_bounds() {
    let mut scene = Scene::open(&["--rights", "open", "--mqtt-queue-bytes-max", "1MiB"]);
    let mut publisher = scene.device("speaker");
    for n in 0..1000_u16 {
        let mut bytes = notice(1, &format!("plaza/{n}"), n + 1, 1000);
        bytes[0] |= 1;
        publisher.send(&bytes);
        assert_eq!(publisher.receive().expect("PUBACK").first, 0x40);
    }
    // It takes one message at a time, acknowledges none, and asks 200 times for all of them.
    let mut glutton = Connect::of(V5, "glutton");
    glutton.properties = vec![0x11, 0, 0, 0, 60, 0x21, 0, 1];
    let mut glutton = scene.connected(&glutton);
    for _ in 0..200 {
        glutton.send(&subscribe5(1, "plaza/#", 1));
    }
    let mut answered = 0;
    while answered < 200 {
        answered += usize::from(glutton.receive().expect("SUBACK").first == 0x90);
    }
    scene.memory_is_bounded();
    // Nobody else's queue suffers.
    let mut listener = scene.device("listener");
    listener.send(&subscribe5(1, "square", 1));
    assert_eq!(listener.suback(), 1);
    publisher.send(&notice(1, "square", 7, 5));
    assert_eq!(listener.receive().expect("the notice").first & 0xf0, 0x30);
    drop((glutton, publisher, listener));
    scene.close();
}

#[test]
fn filters_beyond_every_count_are_refused_and_publishers_do_not_feel_them() {
    let scene = Scene::open(&["--rights", "open"]);
    let address = scene.gateway.mqtt;
    let threads: Vec<_> = (0..4)
        .map(|n| {
            thread::spawn(move || {
                let mut client = Raw::dial(address);
                client.send(&Connect::of(V5, &format!("weaver-{n}")).bytes());
                assert_eq!(client.connack(), 0);
                let mut refused = 0;
                for round in 0..50 {
                    let filter = |at| text(format!("+/{round}/{at}/+/#"));
                    let filters = (0..500).flat_map(|at| [filter(at), vec![0]].concat());
                    let body = [vec![0, 1, 0], filters.collect()].concat();
                    client.send(&packet(0x82, &body));
                    let answer = client.receive().expect("SUBACK");
                    refused += answer.body.iter().filter(|code| **code == 0x97).count();
                }
                assert!(refused > 20_000, "{refused} of 25000 refused");
            })
        })
        .collect();
    scene.clean_is_served();
    for thread in threads {
        thread.join().unwrap();
    }
    scene.close();
}

#[test]
fn a_flood_of_pings_costs_the_sender_and_nobody_else() {
    let scene = Scene::open(&[]);
    let address = scene.gateway.mqtt;
    let threads: Vec<_> = (0..8)
        .map(|n| {
            thread::spawn(move || {
                let mut client = Raw::dial(address);
                client.send(&Connect::of(V5, &format!("ping-{n}")).bytes());
                assert_eq!(client.connack(), 0);
                let mut reader = client.other_hand();
                let hears = thread::spawn(move || reader.last_word());
                client.flood(&[0xc0, 0].repeat(4096), 8 << 20, Duration::from_millis(500));
                // What it sent is not read yet, at its rate: it hangs up on that.
                client.hang_up();
                hears.join().unwrap();
            })
        })
        .collect();
    for _ in 0..5 {
        scene.clean_is_served();
    }
    for thread in threads {
        thread.join().unwrap();
    }
    scene.close();
}
