//! The gateway with the clients that people have: mosquitto's, paho-mqtt, mqtt.js and rumqttc, as their makers publish them.
//!
//! Five transports, four ways to prove who one is, two versions of the protocol, three `QoS` and six kinds of rounds (`round`)
//! multiply to 720 rounds for each client. They are cut where the gateway's own layers are: what carries the bytes does not
//! know who one is, and neither knows what is said.
//!
//! | test, for each client | varies | fixed |
//! |---|---|---|
//! | `…_plays_every_round` | version × `QoS` × kind (nobody waits for `QoS` 0: 34 rounds) | TCP, HMAC token |
//! | `…_comes_by_every_transport` | transport × version; `QoS` 1 with 3.1.1, 2 with 5 | exact topic, HMAC token |
//! | `…_proves_who_it_is` | way to prove × version, and what must be refused × version | exact topic, `QoS` 1, TCP (certificates: mutual TLS) |
//!
//! And for all of them together: everyone hears everyone, with versions mixed both ways, at each `QoS`; and the examples of
//! docs/clients.md work as they stand there. mosquitto's clients before 2.1 speak no WebSocket.
//!
//! Everything comes from Debian's, Python's and Node's registries: `make test` fetches it once, and where that fails these
//! tests fail.

mod round;
mod site;
mod foreign;
mod mosquitto;
mod rust;
mod examples;

use std::{sync::Barrier, thread};

use self::{
    foreign::{Player, Script},
    mosquitto::Mosquitto,
    round::{Access, Heard, KINDS, Kind, ROOT, Round, Seen, Transport},
    rust::Rumqttc,
    site::{Proof, Site},
};

const VERSIONS: [u8; 2] = [4, 5];
const TRANSPORTS: [Transport; 5] = [
    Transport::Tcp,
    Transport::Tls,
    Transport::Mutual,
    Transport::Ws,
    Transport::Wss,
];

fn plays(player: &mut impl Player, round: &Round) {
    let seen = player.play(round, &|| ());
    round.judge(&seen);
}

fn every_round(player: &mut impl Player) {
    let site = Site::open();
    for version in VERSIONS {
        for qos in 0..3 {
            for kind in KINDS {
                if kind == Kind::Away && qos == 0 {
                    continue;
                }
                let name = format!("{kind:?}-{version}-{qos}").to_lowercase();
                let access = site.access(Transport::Tcp, Proof::Token, &name);
                plays(player, &Round::new(kind, &name, access, version, qos));
            }
        }
    }
}

fn every_transport(player: &mut impl Player, transports: &[Transport]) {
    let site = Site::open();
    for &transport in transports {
        for (version, qos) in [(4, 1), (5, 2)] {
            let name = format!("{transport:?}-{version}").to_lowercase();
            let access = site.access(transport, Proof::Token, &name);
            let round = Round::new(Kind::Exact, &name, access, version, qos);
            plays(player, &round);
        }
    }
}

fn every_proof(player: &mut impl Player) {
    let site = Site::open();
    for (proof, transport) in [
        (Proof::Token, Transport::Tcp),
        (Proof::Certificate, Transport::Mutual),
        (Proof::Jwt, Transport::Tcp),
        (Proof::Password, Transport::Tcp),
    ] {
        for version in VERSIONS {
            let name = format!("{proof:?}-{version}").to_lowercase();
            let access = site.access(transport, proof, &name);
            let round = Round::new(Kind::Exact, &name, access, version, 1);
            plays(player, &round);
        }
    }
    let other = site.access(Transport::Tcp, Proof::Token, "other");
    let mine = site.access(Transport::Tcp, Proof::Token, "mine");
    let stolen = Access {
        password: other.password,
        ..mine
    };
    let application = site.access(Transport::Tcp, Proof::Password, "");
    let mistyped = Access {
        password: Some("close sesame".to_owned()),
        ..application
    };
    for (name, access, code) in [
        ("stolen", stolen, 0x86),
        ("stale", site.stale("stale"), 0x86),
        ("mistyped", mistyped, 0x86),
        ("nobody", site.nobody(Transport::Tcp), 0x87),
    ] {
        for version in VERSIONS {
            plays(player, &Round::refused(name, access.clone(), version, code));
        }
    }
}

#[test]
fn mosquitto_plays_every_round() {
    every_round(&mut Mosquitto);
}

#[test]
fn mosquitto_comes_by_every_transport_that_it_knows() {
    every_transport(&mut Mosquitto, &TRANSPORTS[..3]);
}

#[test]
fn mosquitto_proves_who_it_is() {
    every_proof(&mut Mosquitto);
}

#[test]
fn paho_plays_every_round() {
    let mut paho = Script::python();
    every_round(&mut paho);
    paho.finish();
}

#[test]
fn paho_comes_by_every_transport() {
    let mut paho = Script::python();
    every_transport(&mut paho, &TRANSPORTS);
    paho.finish();
}

#[test]
fn paho_proves_who_it_is() {
    let mut paho = Script::python();
    every_proof(&mut paho);
    paho.finish();
}

#[test]
fn mqtt_js_plays_every_round() {
    let mut mqtt_js = Script::node();
    every_round(&mut mqtt_js);
    mqtt_js.finish();
}

#[test]
fn mqtt_js_comes_by_every_transport() {
    let mut mqtt_js = Script::node();
    every_transport(&mut mqtt_js, &TRANSPORTS);
    mqtt_js.finish();
}

#[test]
fn mqtt_js_proves_who_it_is() {
    let mut mqtt_js = Script::node();
    every_proof(&mut mqtt_js);
    mqtt_js.finish();
}

#[test]
fn rumqttc_plays_every_round() {
    every_round(&mut Rumqttc::new());
}

#[test]
fn rumqttc_comes_by_every_transport() {
    every_transport(&mut Rumqttc::new(), &TRANSPORTS);
}

#[test]
fn rumqttc_proves_who_it_is() {
    every_proof(&mut Rumqttc::new());
}

#[test]
fn clients_of_all_makers_hear_each_other() {
    let site = Site::open();
    let players: [(&str, Transport, Box<dyn Player>); 4] = [
        ("mosquitto", Transport::Tls, Box::new(Mosquitto)),
        ("paho", Transport::Ws, Box::new(Script::python())),
        ("mqttjs", Transport::Wss, Box::new(Script::node())),
        ("rumqttc", Transport::Tcp, Box::new(Rumqttc::new())),
    ];
    let mut players = Vec::from(players);
    for (turn, qos) in [0, 1, 2, 0, 1, 2].into_iter().enumerate() {
        let place = format!("{ROOT}/square-{turn}");
        let rounds: Vec<_> = players
            .iter()
            .enumerate()
            .map(|(at, (name, transport, _))| {
                // Half of them speak the other version, and in the second half of the turns the other half does.
                let version = VERSIONS[(at + turn / 3) % 2];
                let access = site.access(*transport, Proof::Token, name);
                square(&place, name, access, (version, qos))
            })
            .collect();
        let ready = Barrier::new(players.len());
        let wait = || {
            ready.wait();
        };
        let seen: Vec<_> = thread::scope(|scope| {
            let playing: Vec<_> = players
                .iter_mut()
                .zip(&rounds)
                .map(|((_, _, player), round)| scope.spawn(|| player.play(round, &wait)))
                .collect();
            let seen = playing.into_iter().map(|playing| playing.join().unwrap());
            seen.collect()
        });
        for (listener, seen) in rounds.iter().zip(&seen) {
            heard_everyone(listener, seen, &rounds);
        }
    }
}

/// A round on a place where everyone publishes below a level of its own and hears all.
fn square(place: &str, name: &str, access: Access, (version, qos): (u8, u8)) -> Round {
    let turn = place.rsplit_once('-').unwrap().1;
    let mut round = Round::square(&format!("{name}-{turn}"), access, version, qos);
    for message in &mut round.publish {
        message.topic = format!("{place}/{name}/said");
    }
    round.subscribers = vec![vec![format!("{place}/+/said")]];
    round.heard *= 4;
    round
}

fn heard_everyone(listener: &Round, seen: &Seen, speakers: &[Round]) {
    let Seen::Heard(heard) = seen else {
        panic!("{}: {seen:?}", listener.name);
    };
    let mut count = 0;
    for speaker in speakers {
        let mut said = speaker.arriving(&speaker.publish);
        for heard in &mut said {
            // User properties are lost on MQTT 3.1.1.
            heard.mark = heard.mark.take().filter(|_| listener.version == 5);
        }
        let of_this = |heard: &&Heard| heard.topic == said[0].topic;
        let heard: Vec<_> = heard[0].iter().filter(of_this).cloned().collect();
        assert_eq!(heard, said, "{} of {}", listener.name, speaker.name);
        count += said.len();
    }
    assert_eq!(heard[0].len(), count, "{}", listener.name);
}
