//! Credentials that are taken back while their bearers are connected.

use std::{fs, thread};

use tempfile::TempDir;

use super::{
    raw::{Connect, Raw, V3, V5, down, publish5, subscribe5, up},
    scene::Scene,
};

#[test]
fn revoked_credentials_end_live_sessions_and_do_not_come_back() {
    let dir = TempDir::new().unwrap();
    let list = dir.path().join("revoked");
    fs::write(&list, "# none yet\n").unwrap();
    let scene = Scene::open(&["--auth-revocation-file", list.to_str().unwrap()]);
    let mut thieves = scene.crowd("thief", 50);
    let mut old = scene.connected(&Connect::of(V3, "thief-old"));
    let mut honest = scene.crowd("honest", 10);
    // Some are in the middle of something.
    for (n, thief) in thieves.iter_mut().enumerate() {
        let name = format!("thief-{n}");
        thief.send(&subscribe5(1, down(&name), 1));
        assert_eq!(thief.suback(), 1);
        thief.send(&publish5(2, up(&name), 1, &[]));
        thief.send(&publish5(1, up(&name), 2, &[])[..9]);
    }
    let lines = (0..50).map(|n| format!("device manhole_cover/thief-{n}\n"));
    let lines: String = lines.collect();
    fs::write(&list, format!("{lines}device manhole_cover/thief-old\n")).unwrap();
    scene.gateway.reload();
    for thief in &mut thieves {
        let word = thief.last_word();
        assert!(matches!(word, Some(0x87 | 0x8a | 0x98)), "{word:x?}");
    }
    assert_eq!(old.last_word(), None);
    for client in &mut honest {
        assert!(client.answers_ping());
    }
    // They storm the door, and nobody else waits for it.
    let address = scene.gateway.mqtt;
    let storm = thread::spawn(move || {
        for n in 0..500 {
            let mut thief = Raw::dial(address);
            thief.send(&Connect::of(V5, &format!("thief-{}", n % 50)).bytes());
            let word = thief.last_word();
            assert!(matches!(word, Some(0x86 | 0x87 | 0x8a | 0x9f)), "{word:x?}");
        }
    });
    scene.clean_is_served();
    storm.join().unwrap();
    drop(honest);
    scene.close();
}

#[test]
fn a_revoked_class_goes_as_a_whole_and_others_stay() {
    let dir = TempDir::new().unwrap();
    let list = dir.path().join("revoked");
    fs::write(&list, "").unwrap();
    let scene = Scene::open(&["--auth-revocation-file", list.to_str().unwrap()]);
    let station = |n| Connect::of_class(V5, "air_station", &format!("s-{n}"));
    let mut stations: Vec<_> = (0..20).map(|n| scene.connected(&station(n))).collect();
    let mut cover = scene.device("s-1");
    fs::write(&list, "class air_station\n").unwrap();
    scene.gateway.reload();
    for client in &mut stations {
        let word = client.last_word();
        assert!(matches!(word, Some(0x87 | 0x8a | 0x98)), "{word:x?}");
    }
    assert!(cover.answers_ping());
    drop((stations, cover));
    scene.close();
}
