//! Too many: connections, takeovers, resets, open files.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use super::{
    raw::{CLEAN, Connect, HOSTILE, Raw, V3, V5, down, subscribe5},
    scene::Scene,
};

/// Runs the same on several threads; each is told its number.
fn at_once(threads: usize, work: impl Fn(usize) + Sync) {
    thread::scope(|scope| {
        for number in 0..threads {
            let work = &work;
            scope.spawn(move || work(number));
        }
    });
}

#[test]
fn a_takeover_storm_with_subscriptions_at_any_moment_leaves_one_session() {
    let scene = Scene::open(&[]);
    let address = scene.gateway.mqtt;
    at_once(8, |thread| {
        for round in 0..150 {
            take_over(address, thread * 7 + round);
        }
    });
    scene.only_the_clean_is_left();
    let away = scene.gateway.metric("sensegate_mqtt_sessions_away", "");
    assert!(away <= 1.0, "{away} sessions away");
    // The last one comes in peace, finds the session and is heard.
    let mut client = scene.connected(&wanderer(1));
    client.send(&subscribe5(1, down("wanderer"), 1));
    assert_eq!(client.suback(), 1);
    assert!(client.answers_ping());
    let mut over = scene.connected(&wanderer(2));
    assert_eq!(client.last_word(), Some(0x8e));
    assert!(over.answers_ping());
    drop(over);
    scene.close();
}

/// One identity, one client id; some come with a clean start, some with MQTT 3.1.1, all leave a session behind.
fn wanderer(turn: usize) -> Connect {
    let level = if turn.is_multiple_of(5) { V3 } else { V5 };
    let mut connect = Connect::of(level, "wanderer");
    connect.clean = turn.is_multiple_of(3);
    if level == V5 {
        connect.properties = vec![0x11, 0, 0, 0, 60];
    }
    connect
}

fn take_over(address: SocketAddr, turn: usize) {
    let mut client = Raw::dial(address);
    let connect = wanderer(turn).bytes();
    let subscribe = if turn.is_multiple_of(5) {
        super::raw::subscribe3(1, down("wanderer"), 1)
    } else {
        subscribe5(1, down("wanderer"), 1)
    };
    match turn % 7 {
        // Before, in one piece with, and long after the answer; and some never wait for it.
        0 => client.send(&[connect, subscribe].concat()),
        1 => {
            client.send(&connect);
            client.send(&subscribe[..3]);
        }
        2 => {
            client.send(&connect);
            return client.reset();
        }
        3 => {
            client.send(&connect);
            drop(client.receive());
            return client.reset();
        }
        _ => {
            client.send(&connect);
            drop(client.receive());
            client.send(&subscribe);
        }
    }
    drop(client.receive());
}

#[test]
fn a_reset_right_after_connect_leaves_nothing_behind() {
    let scene = Scene::open(&[]);
    let address = scene.gateway.mqtt;
    at_once(2, |thread| {
        for round in 0..2000 {
            let mut connect = Connect::of(V5, &format!("reset-{thread}"));
            connect.will = Some(super::raw::Will {
                topic: super::raw::up(&format!("reset-{thread}")).into(),
                payload: vec![b'x'; 1000],
                ..super::raw::Will::default()
            });
            let bytes = connect.bytes();
            let mut client = Raw::dial(address);
            // Some within the packet.
            let end = if round % 4 == 0 {
                round % bytes.len()
            } else {
                bytes.len()
            };
            client.send(&bytes[..end]);
            client.reset();
        }
    });
    scene.close();
}

#[test]
fn when_file_descriptors_are_used_up_accept_goes_on_once_they_return() {
    let mut scene = Scene::open(&[]);
    let open = scene.gateway.open_files();
    scene.gateway.limit_files(open + 40);
    // The system's queue takes them all; the daemon runs out of descriptors.
    let crowd: Vec<_> = (0..200).map(|_| scene.dial()).collect();
    let limit = open + 40;
    // One or the other comes and goes with the uplink, which looks for its platform.
    scene.until("the descriptors are in use", |gateway| {
        gateway.open_files() + 4 >= limit
    });
    // Who is in is served, its readings are stored.
    for _ in 0..3 {
        scene.clean_is_served();
    }
    for client in crowd {
        client.reset();
    }
    scene.greet_newcomer();
    let errors = |gateway: &crate::support::Gateway| {
        gateway.metric("sensegate_mqtt_accept_errors_total", "")
    };
    scene.until("accept errors are counted", |gateway| {
        errors(gateway) >= 1.0
    });
    scene.close();
}

#[test]
fn a_hundred_thousand_connects_from_one_address_leave_others_served() {
    let mut scene = Scene::open(&[]);
    let address = scene.gateway.mqtt;
    let connect = Connect::of(V5, "storm");
    let made = AtomicUsize::new(0);
    thread::scope(|scope| {
        for thread in 0..2 {
            let (mut connect, made) = (connect.clone(), &made);
            scope.spawn(move || {
                for round in 0..50_000_usize {
                    connect.client_id = format!("storm-{thread}-{}", round % 100).into();
                    let mut client = Raw::dial(address);
                    client.send(&connect.bytes());
                    client.reset();
                    made.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let mut greeted = 0;
        while made.load(Ordering::Relaxed) < 100_000 && greeted < 20 {
            scene.greet_newcomer();
            scene.clean_is_served();
            greeted += 1;
        }
    });
    assert_eq!(made.load(Ordering::Relaxed), 100_000);
    scene.close();
}

#[test]
fn thousands_of_connections_at_once_from_one_address_beyond_its_limit_are_turned_away() {
    let mut scene = Scene::open(&["--mqtt-connections-per-address-max", "1000"]);
    let address = scene.gateway.mqtt;
    let crowd: Vec<_> = (0..3000)
        .map(|_| Raw::dial_from(HOSTILE, address))
        .collect();
    scene.greet_newcomer();
    scene.clean_is_served();
    let most = 1000.0 + 64.0 + 1.0;
    scene.until("those beyond the limit are closed", |gateway| {
        let open = gateway.metric("sensegate_mqtt_connections", "");
        (1000.0..=most).contains(&open)
    });
    // One more is told or closed, from this address only.
    let mut late = scene.dial();
    late.send(&Connect::of(V5, "late").bytes());
    assert!(matches!(late.last_word(), None | Some(0x97 | 0x9f)));
    let mut elsewhere = Raw::dial_from(CLEAN, address).unwrap();
    elsewhere.send(&Connect::of(V5, "elsewhere").bytes());
    assert_eq!(elsewhere.connack(), 0);
    drop((crowd, elsewhere));
    scene.close();
}

#[test]
fn sessions_of_one_identity_without_end_do_not_crowd_out_the_others() {
    let scene = Scene::open(&["--mqtt-sessions-away-max", "500"]);
    let mut connect = Connect::of(V5, "hydra");
    connect.properties = vec![0x11, 0, 0, 0x0e, 0x10];
    for head in 0..1000 {
        connect.client_id = format!("head-{head}").into();
        let mut client = scene.dial();
        client.send(&connect.bytes());
        // A device has eight sessions, here and away.
        assert_eq!(client.connack(), if head < 8 { 0 } else { 0x97 });
        if head < 8 {
            client.send(&subscribe5(1, down("hydra"), 1));
            assert_eq!(client.suback(), 1);
        }
    }
    scene.only_the_clean_is_left();
    // Another device leaves for a moment and finds its session again.
    let mut other = Connect::of(V5, "honest");
    other.properties = vec![0x11, 0, 0, 0x0e, 0x10];
    other.clean = false;
    drop(scene.connected(&other));
    scene.only_the_clean_is_left();
    let mut back = scene.dial();
    back.send(&other.bytes());
    let connack = back.receive().expect("CONNACK");
    assert_eq!(connack.body[..2], [1, 0], "its session is present");
    drop(back);
    scene.close();
}
