//! Cayenne LPP payloads: public vectors, what is refused and why, round trips, damage.

use proptest::prelude::*;

use super::super::super::point::{Decimal, Moment};
use super::{
    super::{
        encoding::{Encoder, Report},
        testing::{Owned, Recorder, bit_flips, read_all, unhex, vectors},
    },
    *,
};
use crate::domain::{QuarantineReason, UnixNanos};

fn cayenne() -> Cayenne {
    Cayenne::new(Options::default()).unwrap()
}

fn key(spelled: &str) -> OwnedKey {
    cayenne().key(spelled).unwrap()
}

fn number(recorder: &Recorder, spelled: &str) -> f64 {
    match recorder.found(&key(spelled)).unwrap().value {
        Owned::Number(number) => number,
        Owned::Whole(number) => number as f64,
        ref other => panic!("{spelled}: {other:?}"),
    }
}

fn read(hex: &str) -> Recorder {
    read_all(&cayenne(), &unhex(hex)).unwrap()
}

#[test]
fn the_published_payloads_give_their_published_values() {
    let mut compared = 0;
    for vector in vectors("cayenne_lpp") {
        let found = read_all(&cayenne(), &vector.input).unwrap();
        assert_eq!(found.records.len(), 1);
        for (name, wanted) in vector.expect["readings"].as_object().unwrap() {
            let parts: &[&str] = match name.split_once('.').unwrap().1 {
                "gps" => &[".latitude", ".longitude", ".altitude"],
                "accelerometer" => &[".x", ".y", ".z"],
                _ => &[""],
            };
            let wanted = wanted
                .as_array()
                .cloned()
                .unwrap_or_else(|| vec![wanted.clone()]);
            assert_eq!(parts.len(), wanted.len());
            for (part, wanted) in parts.iter().zip(wanted) {
                assert_eq!(
                    Some(number(&found, &format!("{name}{part}"))),
                    wanted.as_f64()
                );
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 7);
}

#[test]
fn the_types_added_since_are_read_with_their_units() {
    let found = read(
        "0174014A 02750001 03760000C350 04780A 0579FFFE 06800064 0782000003E8 0883000005DC 0984010E 0A8E01",
    );
    assert_eq!(number(&found, "1.voltage"), 3.3);
    assert_eq!(number(&found, "2.current"), 0.001);
    assert_eq!(number(&found, "3.frequency"), 50_000.0);
    assert_eq!(number(&found, "4.percentage"), 10.0);
    assert_eq!(number(&found, "5.altitude"), -2.0);
    assert_eq!(number(&found, "6.power"), 100.0);
    assert_eq!(number(&found, "7.distance"), 1.0);
    assert_eq!(number(&found, "8.energy"), 1.5);
    assert_eq!(number(&found, "9.direction"), 270.0);
    assert_eq!(number(&found, "10.switch"), 1.0);
    assert_eq!(found.found(&key("8.energy")).unwrap().unit, Some("kW.h"));
    assert_eq!(found.found(&key("1.voltage")).unwrap().unit, Some("V"));
}

#[test]
fn a_time_and_a_colour_are_read() {
    let found = read("01 85 5F5E1000 02 87 FF8001");
    let time = Moment::Unix(UnixNanos(0x5F5E_1000 * 1_000_000_000));
    assert_eq!(
        found.found(&key("1.unixtime")).unwrap().value,
        Owned::Time(time)
    );
    assert_eq!(number(&found, "2.colour.red"), 255.0);
    assert_eq!(number(&found, "2.colour.green"), 128.0);
    assert_eq!(number(&found, "2.colour.blue"), 1.0);
}

#[test]
fn humidity_is_an_exact_half() {
    assert_eq!(
        types::find(104).unwrap().parts[0].value(&[23]),
        Value::Decimal(Decimal::new(115, 1))
    );
}

#[test]
fn an_unknown_type_ends_the_payload_with_what_was_read() {
    let found = read("016700FF 09F00A0102");
    assert_eq!(number(&found, "1.temperature"), 25.5);
    let unread = found.head(&OwnedKey::Name("unread".into()));
    assert_eq!(unread, Some(&Owned::Bytes(unhex("09F00A0102"))));
}

#[test]
fn a_payload_of_only_unknown_types_is_no_record() {
    let found = read("09F00A0102");
    assert!(found.records.is_empty());
    assert_eq!(found.heads.len(), 1);
}

#[test]
fn a_value_cut_short_is_refused_at_its_place() {
    let reject = read_all(&cayenne(), &unhex("016700FF0288 0676")).unwrap_err();
    assert_eq!(reject.reason, QuarantineReason::FrameMalformed);
    assert!(reject.detail.starts_with("byte 6:"), "{}", reject.detail);
}

#[test]
fn a_beginning_of_a_payload_is_refused_or_gives_the_first_points() {
    for vector in vectors("cayenne_lpp") {
        let whole = read_all(&cayenne(), &vector.input)
            .unwrap()
            .records
            .remove(0);
        for end in 0..vector.input.len() {
            match read_all(&cayenne(), &vector.input[..end]) {
                Ok(part) => {
                    let points: Vec<_> = part.records.into_iter().flatten().collect();
                    assert!(whole.starts_with(&points), "{}: {end}", vector.name);
                }
                Err(reject) => assert_eq!(reject.reason, QuarantineReason::FrameMalformed),
            }
        }
        // The format has no check: whatever a turned bit gives is taken, and none may panic.
        bit_flips(&cayenne(), &vector.input, |_, _| true);
    }
}

#[test]
fn spellings_that_do_not_exist_say_which_do() {
    let fault = |spelled| cayenne().key(spelled).unwrap_err();
    assert!(fault("temperature").contains("channel.type"));
    assert!(fault("256.temperature").contains("0 to 255"));
    assert!(fault("1.heat").contains("humidity"));
    assert!(fault("1.gps").contains("gps.latitude"));
    assert!(fault("1.temperature.x").contains("temperature"));
}

#[test]
fn unknown_options_are_refused() {
    assert!(toml::from_str::<Options>("packed = true").is_err());
}

#[test]
fn a_value_outside_of_its_type_is_not_written() {
    let points = [(key("1.temperature"), Value::Real(4000.0))];
    let fault = cayenne().encode(&report(&points)).unwrap_err();
    assert!(fault.contains("temperature"), "{fault}");
}

fn report<'a>(points: &'a [(OwnedKey, Value<'a>)]) -> Report<'a> {
    Report {
        address: "",
        at: UnixNanos(0),
        east_s: 0,
        serial: 0,
        points,
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(elements in prop::collection::vec((any::<u8>(), 0..TYPES.len(), any::<[u8; 12]>()), 1..20)) {
        let mut points = Vec::new();
        for (channel, kind, raw) in elements {
            let kind = &TYPES[kind];
            for (place, part) in kind.parts.iter().enumerate() {
                let raw = &raw[place * 4..][..usize::from(part.bytes)];
                points.push((OwnedKey::Code(code(channel, kind.id, place)), part.value(raw)));
            }
        }
        let payload = cayenne().encode(&report(&points)).unwrap();
        let found = read_all(&cayenne(), &payload).unwrap();
        let found: Vec<_> = found.records[0].iter().map(|f| (f.key.clone(), f.value.clone())).collect();
        let wanted: Vec<_> = points.into_iter().map(|(k, v)| (k, Owned::from(v))).collect();
        prop_assert_eq!(found, wanted);
    }

    #[test]
    fn arbitrary_bytes_give_points_or_are_refused(payload: Vec<u8>) {
        if let Ok(found) = read_all(&cayenne(), &payload) {
            prop_assert!(found.records.len() <= 1);
        }
    }
}
