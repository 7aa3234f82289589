//! Payloads against the gateway's own normaliser, and a fleet against the yardstick's server.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use rand::{SeedableRng as _, rngs::SmallRng};

use super::{
    actor::Actor,
    payload::{Names, report, write_json},
    *,
};
use crate::{
    domain::{Clock as _, SystemClock, UnixNanos},
    harness::{client::Qos, series::recorded, yardstick::Server},
    normalise::{
        Classes, Encoded, Limits, Memory, Payload, PayloadFormat, Profiles, Report, normalise,
    },
};

fn limits() -> Limits {
    Limits {
        readings_per_payload_max: 10,
        reading_bytes_max: 65_536,
        skew_max: Duration::from_secs(600),
    }
}

fn read(classes: &Classes, class: &str, format: PayloadFormat, bytes: &[u8]) -> Encoded {
    let mut out = Encoded::default();
    let payload = Payload {
        device: "d",
        format,
        bytes,
        received_at: UnixNanos::from_millis(1_800_000_000_000),
        memory: None,
        attributes: &[],
    };
    let class = classes.get(class).unwrap();
    if let Err(reject) = normalise(class, &payload, &limits(), &mut out) {
        panic!(
            "{}: {reject:?}: {}",
            class.id(),
            String::from_utf8_lossy(bytes)
        );
    }
    out
}

#[test]
fn every_class_reads_what_its_devices_send_and_finds_it_plausible() {
    let classes = Classes::embedded().unwrap();
    let mut rng = SmallRng::seed_from_u64(7);
    for pattern in embedded().unwrap() {
        let mut values = pattern.start(&mut rng);
        for step in 0..50 {
            pattern.advance(&mut values, &mut rng);
            let at = 1_800_000_000_000_000_000 + step;
            let mut json = Vec::new();
            let names = if step % 2 == 0 {
                Names::Proto
            } else {
                Names::Json
            };
            write_json(&pattern, &values, at, names, &mut json);
            let wire = report(&pattern, &values, at);
            for (format, bytes) in [
                (PayloadFormat::Json, &json),
                (PayloadFormat::Protobuf, &wire),
            ] {
                let out = read(&classes, &pattern.class, format, bytes);
                assert_eq!(
                    (out.count, out.skewed, out.out_of_range, out.unknown_members),
                    (1, 0, 0, 0),
                    "{}: {}",
                    pattern.class,
                    String::from_utf8_lossy(&json)
                );
            }
        }
    }
}

#[test]
fn a_replaying_device_sends_its_series_once_with_its_recorded_times() {
    let classes = Classes::embedded().unwrap();
    let mut roster = Roster {
        patterns: embedded().unwrap(),
        members: Vec::new(),
        dialects: Vec::new(),
    };
    roster.add_replays(recorded().unwrap(), "x-");
    assert_eq!(roster.members.len(), 2);
    for place in 0..2 {
        let mut actor = Actor::new(&roster, place, 1);
        let class = roster.class_of(&roster.members[place]).to_owned();
        let mut sent = 0;
        let mut payload = Vec::new();
        while actor
            .next_reading(&roster, place, UnixNanos(0), &mut payload)
            .is_some()
        {
            let out = read(&classes, &class, PayloadFormat::Json, &payload);
            assert_eq!(
                (out.count, out.skewed, out.out_of_range),
                (1, 1, 0),
                "{class}"
            );
            payload.clear();
            sent += 1;
        }
        let Role::Replay { series, .. } = &roster.members[place].role else {
            panic!()
        };
        assert_eq!(sent, series.samples.len());
    }
}

#[test]
fn a_device_of_every_class_speaks_the_format_of_the_catalogue() {
    let classes = Classes::embedded().unwrap();
    let profiles = Profiles::load(None, &classes).unwrap();
    let patterns = embedded().unwrap();
    let formats = dialects(&patterns).unwrap();
    let roster = Roster::of_city_speaking(patterns, formats, (0.0, "510104-"));
    let limits = Limits {
        readings_per_payload_max: 64,
        ..limits()
    };
    let (mut spoken, mut telling) = (0, 0);
    let (now, memory) = (SystemClock.now(), Memory::of_devices(1_000));
    for (place, member) in roster.members.iter().enumerate() {
        let Some(dialect) = roster.dialect_of(member) else {
            continue;
        };
        let mut actor = Actor::new(&roster, place, 1);
        assert!(!actor.speaks_protobuf());
        for serial in 0..3 {
            let mut payload = Vec::new();
            let found = actor.next_reading(&roster, place, now, &mut payload);
            assert_eq!(found, Some(serial), "{}", roster.class_of(member));
            let suffix = dialect.topic_suffix();
            let profile = profiles.get(suffix.trim_start_matches('/')).unwrap();
            let publisher = (roster.class_of(member), member.device.as_str());
            let report = Report {
                topic: "",
                canonical: Some(publisher),
                publisher: Some(publisher),
                bytes: &payload,
                received_at: now,
                attributes: &[],
                memory: Some(&memory),
                may_report: &|class, device| (class, device) == publisher,
            };
            let mut out = Encoded::default();
            let outcome = profile.read(&report, (&classes, &limits), &mut out);
            assert!(outcome.unread.is_empty(), "{}: {outcome:?}", profile.id());
            assert_eq!(u64::from(out.count), dialect.readings, "{}", profile.id());
        }
        spoken += 1;
        telling += usize::from(dialect.tells_serial);
    }
    assert_eq!(spoken, 226);
    // The others have times of seconds, or none: of those the readings are counted.
    assert!(telling > 0, "{telling}");
}

#[test]
fn the_same_seed_gives_the_same_payloads() {
    let roster = Roster::of_city(embedded().unwrap(), 0.0, "");
    let payloads = |seed| {
        let mut out = Vec::new();
        for place in 0..roster.members.len() {
            let mut actor = Actor::new(&roster, place, seed);
            actor
                .next_reading(&roster, place, UnixNanos(1), &mut out)
                .unwrap();
        }
        out
    };
    assert_eq!(payloads(3), payloads(3));
    assert_ne!(payloads(3), payloads(4));
}

#[test]
fn a_small_city_has_every_class_and_its_mix() {
    let roster = Roster::of_city(embedded().unwrap(), 0.0001, "");
    assert_eq!(roster.patterns.len(), 226);
    let of = |class: &str| {
        roster
            .members
            .iter()
            .filter(|m| roster.class_of(m) == class)
            .count()
    };
    assert!(roster.patterns.iter().all(|p| of(&p.class) >= 1));
    assert_eq!(
        (of("streetlight_controller"), of("fire_pump").min(1)),
        (64, 1)
    );
}

/// Runs a fleet against the yardstick until it has acknowledged so many readings.
fn fleet(identities: Identities, acknowledged: u64) -> (FleetEnd, u64, Arc<Tally>) {
    let file = tempfile::tempfile().unwrap();
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), file).unwrap();
    let gateway = server.address().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let serving = thread::spawn(move || server.run(&stopped).unwrap());
    let roster = Arc::new(Roster::of_city(embedded().unwrap(), 0.0, ""));
    let speed = 5000.0 / roster.nominal_rate();
    let fleet = Fleet::start(
        roster,
        FleetOptions {
            gateway: Arc::new(ArcSwap::from_pointee(gateway)),
            source_addresses: 2,
            identities,
            protocols: Protocols::Mixed,
            qos: Qos::AtLeastOnce,
            window: 4,
            pace: Pace {
                speed,
                replay_speed: 1.0,
            },
            unacknowledged: Unacknowledged::LetGo,
            seed: 5,
        },
    )
    .unwrap();
    let began = Instant::now();
    while fleet.tally.acknowledged.get() < acknowledged {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "{:?}",
            fleet.tally
        );
        thread::yield_now();
    }
    let tally = Arc::clone(&fleet.tally);
    let end = fleet.finish().unwrap();
    stop.store(true, Ordering::Relaxed);
    (end, serving.join().unwrap().publishes, tally)
}

#[test]
fn what_the_server_took_is_what_the_model_was_promised() {
    for identities in [
        Identities::Anonymous { connections: 10 },
        Identities::Keyed(b"0123456789abcdef".to_vec()),
    ] {
        let (end, served, tally) = fleet(identities, 2000);
        assert_eq!(end.model.acknowledged_count(), served);
        assert_eq!(tally.acknowledged.get(), served);
        assert_eq!((tally.in_doubt.get(), tally.lost.get()), (0, 0));
        assert_eq!(end.latency.count(), served);
        let by_class: u64 = tally.by_pattern.iter().map(tally::Count::get).sum();
        assert_eq!(by_class, served);
    }
}

#[test]
fn a_fleet_without_a_gateway_ends_when_told_to() {
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let roster = Arc::new(Roster::of_city(embedded().unwrap(), 0.0, ""));
    let fleet = Fleet::start(
        roster,
        FleetOptions {
            gateway: Arc::new(ArcSwap::from_pointee(nowhere)),
            source_addresses: 0,
            identities: Identities::Anonymous { connections: 3 },
            protocols: Protocols::V5,
            qos: Qos::AtLeastOnce,
            window: 1,
            pace: AT_NOMINAL_SPEED,
            unacknowledged: Unacknowledged::SendAgain,
            seed: 5,
        },
    )
    .unwrap();
    let end = fleet.finish().unwrap();
    assert_eq!(end.model.acknowledged_count(), 0);
}

#[test]
fn times_stay_true_to_the_millisecond_and_tell_the_serial() {
    let roster = Roster::of_city(embedded().unwrap(), 0.0, "");
    let now = SystemClock.now();
    let mut actor = Actor::new(&roster, 0, 1);
    for serial in 0..3_u64 {
        let mut payload = Vec::new();
        actor.next_reading(&roster, 0, now, &mut payload).unwrap();
        let text = String::from_utf8(payload).unwrap();
        let at = text
            .rsplit_once("\"observed_at\":\"")
            .unwrap()
            .1
            .trim_end_matches("\"}");
        let at = u64::try_from(at.parse::<jiff::Timestamp>().unwrap().as_nanosecond()).unwrap();
        assert_eq!(at / 1_000_000, now.0 / 1_000_000);
        assert_eq!(at % 1_000_000, serial);
    }
}
