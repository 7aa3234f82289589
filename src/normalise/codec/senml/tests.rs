//! `SenML` packs: public vectors, what is refused and why, round trips, damage.

use proptest::prelude::*;
use serde_json::json;

use super::{
    super::{
        cbor::write_cbor,
        encoding::{Encoder, Report},
        testing::{Owned, Recorder, bit_flips, read_all, truncations, unhex, vectors},
    },
    *,
};

fn codec(options: serde_json::Value) -> Senml {
    Senml::new(serde_json::from_value(options).unwrap()).unwrap()
}

/// Name, value, unit, own time in ms.
type Seen = (String, Owned, Option<&'static str>, Option<u64>);

fn records(codec: &Senml, pack: &[u8]) -> Vec<Vec<Seen>> {
    let recorder = read_all(codec, pack).unwrap();
    let records = recorder.records.into_iter();
    records
        .map(|record| record.into_iter().map(seen).collect())
        .collect()
}

fn seen(found: super::super::testing::Found) -> Seen {
    let OwnedKey::Name(name) = found.key else {
        panic!("{found:?}")
    };
    let time = found.time.map(|time| match time {
        Moment::Unix(time) => time.0 / 1_000_000,
        Moment::Local(_) => panic!("{time:?}"),
    });
    (name.into(), found.value, found.unit, time)
}

fn one(pack: &str) -> Vec<Seen> {
    records(&codec(json!({})), pack.as_bytes()).concat()
}

fn refusal(pack: &str) -> QuarantineReason {
    read_all(&codec(json!({})), pack.as_bytes())
        .unwrap_err()
        .reason
}

fn point(name: &str, value: Owned, unit: Option<&'static str>, time: Option<u64>) -> Seen {
    (name.to_owned(), value, unit, time)
}

fn address(recorder: &Recorder) -> Option<&Owned> {
    recorder.head(&OwnedKey::Name("address".into()))
}

fn voltage_and_currents() -> Vec<Seen> {
    let at = 1_276_020_076_001;
    let mut points = vec![point("voltage", Owned::Number(120.1), Some("V"), Some(at))];
    for (back, value) in [(5, 1.2), (4, 1.3), (3, 1.4), (2, 1.5), (1, 1.6), (0, 1.7)] {
        points.push(point(
            "current",
            Owned::Number(value),
            Some("A"),
            Some(at - back * 1_000),
        ));
    }
    points
}

#[test]
fn examples_of_the_standard_resolve_as_it_says_in_json_and_in_cbor() {
    let strip = codec(json!({"strip_prefix": "urn:dev:ow:", "strip_suffix": ":"}));
    let packs: Vec<_> = vectors("senml_json")
        .into_iter()
        .chain(vectors("senml_cbor"))
        .collect();
    assert_eq!(packs.len(), 3);
    for vector in packs {
        let recorder = read_all(&strip, &vector.input).unwrap();
        let found: Vec<Seen> = recorder
            .records
            .iter()
            .flatten()
            .cloned()
            .map(seen)
            .collect();
        if vector.name == "rfc8428_5.1.1_single" {
            let name = "urn:dev:ow:10e2073a01080063";
            assert_eq!(
                found,
                vec![point(name, Owned::Number(23.1), Some("Cel"), None)]
            );
            assert_eq!(address(&recorder), None);
        } else {
            assert_eq!(recorder.records.len(), 1);
            assert_eq!(found, voltage_and_currents(), "{}", vector.name);
            assert_eq!(
                address(&recorder),
                Some(&Owned::Text("10e2073a0108006".to_owned()))
            );
        }
    }
}

#[test]
fn names_are_split_at_the_last_separator_of_the_whole_name() {
    let split = codec(json!({"split": ":", "strip_prefix": "urn:dev:ow:"}));
    let found = |pack: &str| {
        let recorder = read_all(&split, pack.as_bytes()).unwrap();
        let name = seen(recorder.records[0][0].clone()).0;
        (address(&recorder).cloned(), name)
    };
    let text = |text: &str| Some(Owned::Text(text.to_owned()));
    assert_eq!(
        found(r#"[{"n":"urn:dev:ow:10e2:temp","v":1}]"#),
        (text("10e2"), "temp".to_owned())
    );
    let within = r#"[{"bn":"urn:dev:ow:10e2:room1_","n":"temp","v":1}]"#;
    assert_eq!(found(within), (text("10e2"), "room1_temp".to_owned()));
    assert_eq!(found(r#"[{"n":"temp","v":1}]"#), (None, "temp".to_owned()));
    assert!(Senml::new(serde_json::from_value(json!({"split": ""})).unwrap()).is_err());
}

#[test]
fn several_devices_in_one_pack_are_records_under_their_addresses() {
    let pack =
        br#"[{"bn":"a:","bt":1276020076,"n":"t","v":1},{"n":"h","v":2},{"bn":"b:","n":"t","v":3}]"#;
    let recorder = read_all(&codec(json!({"strip_suffix": ":"})), pack).unwrap();
    let sizes: Vec<_> = recorder.records.iter().map(Vec::len).collect();
    assert_eq!(sizes, [2, 1]);
    let heads: Vec<_> = recorder.heads.into_iter().map(|(_, value)| value).collect();
    assert_eq!(
        heads,
        [Owned::Text("a".to_owned()), Owned::Text("b".to_owned())]
    );
}

#[test]
fn every_kind_of_value_is_read() {
    let pack = r#"[{"bn":"x:","n":"a","vs":"caf\u00e9"},{"n":"b","vb":false},{"n":"c","vd":"aGkgCg"},{"v":7,"u":"/"},
        {"n":"e","v":21474836480,"s":2.5,"u":"W","x":{"y":[1]},"ut":5}]"#;
    let expected = vec![
        point("a", Owned::Text("café".to_owned()), None, None),
        point("b", Owned::Bool(false), None, None),
        point("c", Owned::Bytes(b"hi \n".to_vec()), None, None),
        point("", Owned::Whole(7), Some("1"), None),
        point("e", Owned::Whole(21_474_836_480), Some("W"), None),
        point("e#sum", Owned::Number(2.5), None, None),
    ];
    assert_eq!(one(pack), expected);
    let bytes = records(&codec(json!({})), &unhex("81a200616308426869"));
    assert_eq!(
        bytes,
        vec![vec![point("c", Owned::Bytes(b"hi".to_vec()), None, None)]]
    );
}

#[test]
fn base_values_are_added_exactly() {
    let pack = r#"[{"bn":"x","bv":0.1,"bs":100},{"n":"a","v":0.2},{"n":"b"},{"n":"c","v":-1,"s":1},{"n":"d","vs":"-"},{"bv":20,"n":"e","v":1e300}]"#;
    let hundred = |name: &str| point(name, Owned::Whole(100), None, None);
    let expected = vec![
        point("a", Owned::Number(0.3), None, None),
        hundred("a#sum"),
        point("b", Owned::Number(0.1), None, None),
        hundred("b#sum"),
        point("c", Owned::Number(-0.9), None, None),
        point("c#sum", Owned::Whole(101), None, None),
        point("d", Owned::Text("-".to_owned()), None, None),
        hundred("d#sum"),
        point("e", Owned::Number(1e300), None, None),
        hundred("e#sum"),
    ];
    assert_eq!(one(pack), expected);
}

#[test]
fn relative_times_part_the_records_and_say_their_offset() {
    let pack = r#"[{"n":"a","v":1},{"n":"b","v":2},{"n":"a","v":3,"t":-1.5},{"n":"b","v":4,"t":-1.5},{"n":"a","v":5,"t":1600000000}]"#;
    let found = records(&codec(json!({})), pack.as_bytes());
    let value = |name: &str, value| point(name, Owned::Whole(value), None, None);
    let expected = vec![
        vec![value("a", 1), value("b", 2)],
        vec![
            value("a", 3),
            value("b", 4),
            point("#offset", Owned::Number(-1.5), Some("s"), None),
        ],
        vec![point("a", Owned::Whole(5), None, Some(1_600_000_000_000))],
    ];
    assert_eq!(found, expected);
    let edge = |t: &str| one(&format!(r#"[{{"n":"a","v":1,"t":{t}}}]"#)).remove(0).3;
    assert_eq!(edge("268435455"), None);
    assert_eq!(edge("268435456"), Some(268_435_456_000));
}

#[test]
fn what_must_be_understood_and_is_not_refuses_the_pack() {
    for (pack, reason) in [
        (
            r#"[{"n":"a","v":1,"x_":0}]"#,
            QuarantineReason::FrameUnsupported,
        ),
        (
            r#"[{"bver":32,"n":"a","v":1}]"#,
            QuarantineReason::FrameUnsupported,
        ),
        (
            r#"[{"bver":-1,"n":"a","v":1}]"#,
            QuarantineReason::FrameUnsupported,
        ),
        (
            r#"[{"n":"a","v":1,"vs":"b"}]"#,
            QuarantineReason::FieldDuplicate,
        ),
        (
            r#"[{"n":"a","vs":"b","vb":true}]"#,
            QuarantineReason::FieldDuplicate,
        ),
        (
            r#"[{"n":"a","v":1,"v":1}]"#,
            QuarantineReason::FieldDuplicate,
        ),
        (r#"[{"n":"a","v":"1"}]"#, QuarantineReason::FrameMalformed),
        (r#"[{"n":"a","v":[1]}]"#, QuarantineReason::FrameMalformed),
        (r#"[{"n":1,"v":1}]"#, QuarantineReason::FrameMalformed),
        (r#"[{"n":"a","vb":1}]"#, QuarantineReason::FrameMalformed),
        (r#"[{"n":"a","vd":"!"}]"#, QuarantineReason::FrameMalformed),
        (r#"[{"n":"a","v":1,"u":"Foot"}]"#, QuarantineReason::Unit),
        (
            r#"[{"n":"a","v":1,"t":1e300}]"#,
            QuarantineReason::ObservedAt,
        ),
        (
            r#"[{"n":"a","v":1,"t":99999999999999}]"#,
            QuarantineReason::ObservedAt,
        ),
        (
            r#"[{"n":"a","v":1,"t":-99999999999999}]"#,
            QuarantineReason::ObservedAt,
        ),
        (r#"{"n":"a","v":1}"#, QuarantineReason::FrameMalformed),
        ("[1]", QuarantineReason::FrameMalformed),
        ("[{\"n\":\"a\"", QuarantineReason::MalformedJson),
    ] {
        assert_eq!(refusal(pack), reason, "{pack}");
    }
    assert_eq!(one(r#"[{"bver":26,"n":"a","v":1}]"#).len(), 1);
    let long = format!(r#"[{{"n":"{}","v":1}}]"#, "n".repeat(257));
    assert_eq!(refusal(&long), QuarantineReason::FrameMalformed);
    let ignore = codec(json!({"unknown_unit": "ignore"}));
    let found = records(&ignore, br#"[{"n":"a","v":1,"u":"Foot"}]"#);
    assert_eq!(found, vec![vec![point("a", Owned::Whole(1), None, None)]]);
}

#[test]
fn keys_are_names_and_their_sums() {
    let mut any = codec(json!({}));
    for spelled in ["voltage", "voltage#sum", "#offset", ""] {
        assert_eq!(any.key(spelled), Ok(OwnedKey::Name(spelled.into())));
    }
    assert!(any.key("voltage#mean").unwrap_err().contains("#sum"));
}

#[test]
fn packs_without_values_give_no_record() {
    for pack in ["[]", r#"[{"bn":"x","bt":5,"bv":1,"bs":2}]"#, "[{}]"] {
        assert_eq!(one(pack), Vec::<Seen>::new(), "{pack}");
    }
}

#[test]
fn spoilt_packs_never_panic_nor_give_half_a_record() {
    for vector in vectors("senml_json")
        .into_iter()
        .chain(vectors("senml_cbor"))
    {
        truncations(&codec(json!({})), &vector.input);
        bit_flips(
            &codec(json!({"unknown_unit": "ignore"})),
            &vector.input,
            |_, _| true,
        );
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_in_both_notations(
        numbers in proptest::collection::vec((-1_000_000_000..1_000_000_000_i64, 0..9_u8), 1..6), text: String, at in 268_435_456_000_u64..4_000_000_000_000,
    ) {
        let any = codec(json!({"strip_prefix": "urn:dev:mac:", "strip_suffix": ":"}));
        let mut points: Vec<_> = numbers.iter().enumerate().map(|(id, (mantissa, places))| {
            let value = if *places == 0 { Value::Whole(*mantissa) } else { Value::Decimal(Decimal::new(*mantissa, *places)) };
            (OwnedKey::Name(format!("n{id}").into()), value)
        }).collect();
        points.push((OwnedKey::Name("text".into()), Value::Text(&text)));
        points.push((OwnedKey::Name("n0#sum".into()), Value::Whole(5)));
        let report = Report { address: "0024befffe804ff1", at: UnixNanos(at * 1_000_000), east_s: 0, serial: 0, points: &points };
        let mut cbor = Vec::new();
        write_cbor(&any.pack(&report).unwrap(), &mut cbor).unwrap();
        for payload in [any.encode(&report).unwrap(), cbor] {
            let recorder = read_all(&any, &payload).unwrap();
            prop_assert_eq!(address(&recorder), Some(&Owned::Text("0024befffe804ff1".to_owned())));
            prop_assert_eq!(recorder.records.len(), 1);
            for (key, value) in &points {
                let found = recorder.found(key).unwrap();
                prop_assert_eq!(&found.value, &Owned::from(*value));
                prop_assert_eq!(found.time, Some(Moment::Unix(report.at)));
            }
        }
    }

    #[test]
    fn no_bytes_panic(given: Vec<u8>) {
        let mut sink = Recorder::default();
        let read = codec(json!({})).decode(&given, &mut sink);
        prop_assert!(read.is_err() || sink.records.len() <= given.len());
    }

    #[test]
    fn no_text_panics(given in r#"\[\{("(bn|bt|bv|bs|n|v|t|s|u|vs)":(-?[0-9]{1,20}|"V"|1e[0-9]{1,3}),?){0,6}\}\]"#) {
        let mut sink = Recorder::default();
        let read = codec(json!({"split": "V"})).decode(given.as_bytes(), &mut sink);
        prop_assert!(read.is_err() || sink.records.len() <= 1);
    }
}
