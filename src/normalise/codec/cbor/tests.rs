//! CBOR trees: public vectors, what is refused and why, round trips, damage.

use proptest::prelude::*;
use serde_json::json;

use super::{
    super::{
        encoding::{Encoder, Report},
        testing::{Found, Owned, Recorder, bit_flips, read_all, truncations, unhex},
    },
    *,
};
use crate::{
    domain::{QuarantineReason, UnixNanos},
    normalise::point::{Decimal, Moment, Value},
};

fn codec(options: serde_json::Value, pointers: &[&str]) -> Cbor {
    let mut codec = Cbor::new(serde_json::from_value(options).unwrap()).unwrap();
    for (id, pointer) in pointers.iter().enumerate() {
        assert_eq!(
            codec.key(pointer),
            Ok(OwnedKey::Code(id as u64)),
            "{pointer}"
        );
    }
    codec
}

fn points(codec: &Cbor, hex: &str) -> Vec<(OwnedKey, Owned)> {
    let recorder = read_all(codec, &unhex(hex)).unwrap();
    let found = recorder.records.into_iter().flatten();
    found.map(|Found { key, value, .. }| (key, value)).collect()
}

/// The value of a payload that is only one.
fn bare(hex: &str) -> Owned {
    points(&codec(json!({"arrays": "text"}), &[""]), hex)
        .remove(0)
        .1
}

fn refusal(codec: &Cbor, hex: &str) -> QuarantineReason {
    read_all(codec, &unhex(hex)).unwrap_err().reason
}

fn at(nanos: u64) -> Owned {
    Owned::Time(Moment::Unix(UnixNanos(nanos)))
}

#[test]
fn examples_of_rfc_8949_appendix_a_read_as_it_says() {
    for (hex, value) in [
        ("00", Owned::Whole(0)),
        ("17", Owned::Whole(23)),
        ("1818", Owned::Whole(24)),
        ("1903e8", Owned::Whole(1_000)),
        ("1b000000e8d4a51000", Owned::Whole(1_000_000_000_000)),
        ("1bffffffffffffffff", Owned::Large(u64::MAX)),
        (
            "c249010000000000000000",
            Owned::Number(18_446_744_073_709_551_616.0),
        ),
        (
            "3bffffffffffffffff",
            Owned::Number(-18_446_744_073_709_551_616.0),
        ),
        (
            "c349010000000000000000",
            Owned::Number(-18_446_744_073_709_551_616.0),
        ),
        ("20", Owned::Whole(-1)),
        ("3863", Owned::Whole(-100)),
        ("3903e7", Owned::Whole(-1_000)),
        ("f90000", Owned::Number(0.0)),
        ("f93c00", Owned::Number(1.0)),
        ("fb3ff199999999999a", Owned::Number(1.1)),
        ("f93e00", Owned::Number(1.5)),
        ("f97bff", Owned::Number(65_504.0)),
        ("fa47c35000", Owned::Number(100_000.0)),
        ("fa7f7fffff", Owned::Number(3.402_823_466_385_288_6e38)),
        ("fb7e37e43c8800759c", Owned::Number(1.0e300)),
        ("f90001", Owned::Number(5.960_464_477_539_063e-8)),
        ("f90400", Owned::Number(0.000_061_035_156_25)),
        ("f9c400", Owned::Number(-4.0)),
        ("f97c00", Owned::Number(f64::INFINITY)),
        ("f9fc00", Owned::Number(f64::NEG_INFINITY)),
        ("f4", Owned::Bool(false)),
        ("f5", Owned::Bool(true)),
        ("f6", Owned::Missing),
        ("f7", Owned::Missing),
        (
            "c074323031332d30332d32315432303a30343a30305a",
            at(1_363_896_240_000_000_000),
        ),
        ("c11a514b67b0", at(1_363_896_240_000_000_000)),
        ("c1fb41d452d9ec200000", at(1_363_896_240_500_000_000)),
        ("d74401020304", Owned::Bytes(vec![1, 2, 3, 4])),
        ("d818456449455446", Owned::Bytes(unhex("6449455446"))),
        ("4401020304", Owned::Bytes(vec![1, 2, 3, 4])),
        ("6449455446", Owned::Text("IETF".to_owned())),
        ("62c3bc", Owned::Text("ü".to_owned())),
        ("5f42010243030405ff", Owned::Bytes(vec![1, 2, 3, 4, 5])),
        (
            "7f657374726561646d696e67ff",
            Owned::Text("streaming".to_owned()),
        ),
        ("c48221196ab3", Owned::Number(273.15)),
        ("c4820101", Owned::Whole(10)),
        ("83010203", Owned::Bytes(unhex("83010203"))),
        ("9f01820203ff", Owned::Bytes(unhex("9f01820203ff"))),
        ("d9d9f7a0", Owned::Bytes(unhex("a0"))),
    ] {
        assert_eq!(bare(hex), value, "{hex}");
    }
    assert!(matches!(bare("f97e00"), Owned::Number(real) if real.is_nan()));
}

#[test]
fn pointers_reach_into_maps_by_text_and_by_number_of_either_length() {
    let all = codec(json!({}), &["/a", "/b/1", "/-2/0", "/7"]);
    let expected: Vec<_> = [1, 3, 9, 5]
        .into_iter()
        .zip([0, 1, 2, 3])
        .map(|(value, id)| (OwnedKey::Code(id), Owned::Whole(value)))
        .collect();
    for hex in [
        "a46161016162820203 2181 09 07 05",
        "bf61610161629f0203ff 219f09ff 6137 05ff",
        "a5 6161 01 8101 02 6162820203 21d82a8109 07 d9d9f705",
    ] {
        assert_eq!(points(&all, hex), expected, "{hex}");
    }
}

#[test]
fn series_selections_and_elements_work_as_in_json() {
    let series = codec(json!({}), &["/v"]);
    let found: Vec<_> = points(&series, "a1617683 01 f6 f93e00")
        .into_iter()
        .map(|point| point.1)
        .collect();
    assert_eq!(
        found,
        vec![Owned::Whole(1), Owned::Missing, Owned::Number(1.5)]
    );
    let selected = codec(json!({"each": ""}), &[".[t=7]/v"]);
    let found = points(&selected, "82 a2 6174 07 6176 01 a2 6176 02 6174 08");
    assert_eq!(found, vec![(OwnedKey::Code(0), Owned::Whole(1))]);
    let observed = codec(
        json!({"value_member": "v", "time_sibling": "t", "time_unit": "s"}),
        &["/p"],
    );
    let recorder = read_all(&observed, &unhex("a1 6170 a2 6176 05 6174 1a514b67b0")).unwrap();
    let time = Moment::Unix(UnixNanos(1_363_896_240_000_000_000));
    assert_eq!(recorder.records[0][0].time, Some(time));
}

#[test]
fn what_breaks_cbor_is_refused() {
    let any = codec(json!({}), &["/a", ""]);
    for hex in [
        "18",
        "1c",
        "5f",
        "5f01ff",
        "5f5fffff",
        "ff",
        "a1",
        "a101",
        "bf01ff",
        "9f",
        "82 01",
        "6261",
        "f800",
        "f81f",
        "7f4101ff",
        "3f",
        "df00",
        "01 01",
        "c1",
        "bf6161ff",
        "9bffffffffffffffff",
    ] {
        assert_eq!(
            refusal(&any, hex),
            QuarantineReason::FrameMalformed,
            "{hex}"
        );
    }
    for (hex, reason) in [
        ("a16161f0", QuarantineReason::FrameUnsupported),
        ("a1616161ff", QuarantineReason::FrameMalformed),
        ("a16161c16161", QuarantineReason::ObservedAt),
        ("a16161c120", QuarantineReason::ObservedAt),
        ("a16161c001", QuarantineReason::FrameMalformed),
        ("a16161c201", QuarantineReason::FrameMalformed),
        ("a16161c48101", QuarantineReason::FrameMalformed),
        ("a26161016161 02", QuarantineReason::FieldDuplicate),
    ] {
        assert_eq!(refusal(&codec(json!({}), &["/a"]), hex), reason, "{hex}");
    }
}

#[test]
fn nesting_is_bounded_in_every_way_it_can_be_nested() {
    let any = codec(json!({}), &["/a"]);
    let nested = |opening: &str, levels| [unhex("a16162"), unhex(opening).repeat(levels)].concat();
    for opening in ["81", "9f", "a100", "bf00"] {
        let why = read_all(&any, &nested(opening, 100_000)).unwrap_err();
        assert_eq!(why.reason, QuarantineReason::TooLarge, "{opening}");
    }
    let tags = [nested("d9d9f7", 100_000), vec![0]].concat();
    assert!(read_all(&any, &tags).is_ok());
    let asked = [unhex("a16161"), unhex("c482").repeat(100_000)].concat();
    assert_eq!(
        read_all(&any, &asked).unwrap_err().reason,
        QuarantineReason::FrameMalformed
    );
}

fn sample() -> (Cbor, Vec<u8>) {
    let codec = codec(
        json!({"each": "/list", "times": ["/t"]}),
        &["./v", "./s[k=x]/w", "/t"],
    );
    let points = [
        (OwnedKey::Code(0), Value::Real(0.5)),
        (OwnedKey::Code(1), Value::Decimal(Decimal::new(-12_345, 3))),
    ];
    let payload = codec.encode(&report(&points)).unwrap();
    (codec, payload)
}

fn report<'a>(points: &'a [(OwnedKey, Value<'a>)]) -> Report<'a> {
    Report {
        address: "",
        at: UnixNanos(1_524_448_722_000_000_000),
        east_s: 0,
        serial: 0,
        points,
    }
}

#[test]
fn what_is_written_is_read_and_spoilt_bytes_never_panic() {
    let (codec, payload) = sample();
    let recorder = read_all(&codec, &payload).unwrap();
    let of = |id| {
        recorder
            .found(&OwnedKey::Code(id))
            .map(|found| found.value.clone())
    };
    assert_eq!(of(0), Some(Owned::Number(0.5)));
    assert_eq!(of(1), Some(Owned::Number(-12.345)));
    assert_eq!(
        recorder.head(&OwnedKey::Code(2)),
        Some(&at(1_524_448_722_000_000_000))
    );
    truncations(&codec, &payload);
    bit_flips(&codec, &payload, |_, _| true);
}

proptest! {
    #[test]
    fn every_scalar_comes_back(whole: i64, large: u64, real: f64, text: String, bytes: Vec<u8>, mantissa: i32, places in 1..18_u8) {
        let keys = ["/a", "/b/0", "/b/1", "/c/x", "/c/y", "/-7"];
        let all = codec(json!({}), &keys);
        let real = if real.is_finite() { real } else { 0.0 };
        let values = [
            Value::Whole(whole),
            Value::Large(large),
            Value::Real(real),
            Value::Text(&text),
            Value::Bytes(&bytes),
            Value::Decimal(Decimal::new(i64::from(mantissa), places)),
        ];
        let points: Vec<_> = values.iter().enumerate().map(|(id, value)| (OwnedKey::Code(id as u64), *value)).collect();
        let recorder = read_all(&all, &all.encode(&report(&points)).unwrap()).unwrap();
        for (id, value) in values.iter().enumerate() {
            let expected = match *value {
                Value::Large(large) => i64::try_from(large).map_or(Owned::Large(large), Owned::Whole),
                other => other.into(),
            };
            let found = recorder.found(&OwnedKey::Code(id as u64)).map(|found| found.value.clone());
            prop_assert_eq!(found, Some(expected));
        }
    }

    #[test]
    fn no_bytes_panic(given: Vec<u8>) {
        let any = codec(json!({"each": "", "value_member": "a", "time_sibling": "b"}), &[".", "./0/1", "#name", ".[a=1]/b"]);
        let mut sink = Recorder::default();
        let read = any.decode(&given, &mut sink);
        prop_assert!(read.is_err() || !given.is_empty());
    }
}
