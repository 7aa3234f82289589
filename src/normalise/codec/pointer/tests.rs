//! JSON by pointers: public vectors, what is refused and why, round trips, damage.

use proptest::prelude::*;
use serde_json::json;

use super::{
    super::{
        encoding::{Encoder, Report},
        testing::{Owned, Recorder, bit_flips, read_all, truncations, vectors},
    },
    json::number_in_text,
    *,
};
use crate::{
    domain::{QuarantineReason, UnixNanos},
    normalise::point::{Civil, Decimal, Key, Moment, Point, Value},
};

fn codec(options: serde_json::Value, pointers: &[&str]) -> Pointer {
    let mut codec = Pointer::new(serde_json::from_value(options).unwrap()).unwrap();
    for (id, pointer) in pointers.iter().enumerate() {
        assert_eq!(
            codec.key(pointer),
            Ok(OwnedKey::Code(id as u64)),
            "{pointer}"
        );
    }
    codec
}

fn bad_options(options: serde_json::Value) -> String {
    Pointer::new(serde_json::from_value(options).unwrap()).unwrap_err()
}

/// Values in the order of arrival: key, value, own time in ms.
type Seen = Vec<(u64, Owned, Option<u64>)>;

fn records(codec: &Pointer, text: &str) -> Vec<Seen> {
    let recorder = read_all(codec, text.as_bytes()).unwrap();
    let records = recorder.records.into_iter();
    records
        .map(|record| {
            record
                .into_iter()
                .map(|found| (code(&found.key), found.value, found.time.map(ms)))
                .collect()
        })
        .collect()
}

fn one(codec: &Pointer, text: &str) -> Vec<(u64, Owned)> {
    let mut records = records(codec, text);
    assert_eq!(records.len(), 1, "{text}");
    records
        .remove(0)
        .into_iter()
        .map(|(key, value, _)| (key, value))
        .collect()
}

fn code(key: &OwnedKey) -> u64 {
    match key {
        OwnedKey::Code(code) => *code,
        OwnedKey::Name(name) => panic!("{name}"),
    }
}

fn ms(time: Moment) -> u64 {
    match time {
        Moment::Unix(time) => time.0 / 1_000_000,
        Moment::Local(_) => panic!("{time:?}"),
    }
}

fn heads(codec: &Pointer, text: &str) -> Vec<(u64, Owned)> {
    let recorder = read_all(codec, text.as_bytes()).unwrap();
    recorder
        .heads
        .into_iter()
        .map(|(key, value)| (code(&key), value))
        .collect()
}

fn refusal(codec: &Pointer, text: &str) -> QuarantineReason {
    read_all(codec, text.as_bytes()).unwrap_err().reason
}

fn text(text: &str) -> Owned {
    Owned::Text(text.to_owned())
}

fn unix(ms: u64) -> Owned {
    Owned::Time(Moment::Unix(UnixNanos(ms * 1_000_000)))
}

fn vector(format: &str, name: &str) -> String {
    let found = vectors(format)
        .into_iter()
        .find(|vector| vector.name == name);
    String::from_utf8(found.unwrap().input).unwrap()
}

const WHOLE: fn(i64) -> Owned = Owned::Whole;
const NUMBER: fn(f64) -> Owned = Owned::Number;

fn alink() -> Pointer {
    codec(
        json!({"value_member": "value", "time_sibling": "time"}),
        &["/id", "/params/Power", "/params/WF/value"],
    )
}

fn iotda() -> Pointer {
    codec(
        json!({"times": ["/services[service_id=Temperature]/event_time"]}),
        &[
            "/services[service_id=Battery]/properties/level",
            "/services[service_id=Battery]/properties/level2",
            "/services[service_id=Temperature]/properties/value",
            "/services[service_id=Temperature]/event_time",
        ],
    )
}

fn onenet_history() -> Pointer {
    codec(
        json!({"each": "/params", "value_member": "value", "time_sibling": "time"}),
        &["/id", "./properties/power"],
    )
}

fn chirpstack() -> Pointer {
    codec(
        json!({"times": ["/time"]}),
        &[
            "/deduplicationId",
            "/time",
            "/deviceInfo/devEui",
            "/object/BatV",
            "/object/temp_SOIL",
            "/data",
            "/fPort",
            "/rxInfo/0/rssi",
            "/rxInfo/0/snr",
        ],
    )
}

#[test]
fn alink_gives_values_with_their_own_times() {
    let post = vector("aliyun_alink", "property_post_value_time");
    let at = Some(1_524_448_722_000);
    let expected = vec![vec![
        (0, text("123"), None),
        (1, text("on"), at),
        (2, NUMBER(23.6), at),
    ]];
    assert_eq!(records(&alink(), &post), expected);
}

#[test]
fn alink_without_times_reads_the_same_pointers_bare() {
    let post = r#"{"id":"123","params":{"Power":"on","WF":23.6}}"#;
    let expected = vec![(0, text("123")), (1, text("on")), (2, NUMBER(23.6))];
    assert_eq!(one(&alink(), post), expected);
}

#[test]
fn alink_properties_may_be_a_record_each_under_their_name() {
    let each = codec(
        json!({"each": "/params", "value_member": "value", "time_sibling": "time"}),
        &["#name", ".", "/id"],
    );
    let post = vector("aliyun_alink", "property_post_value_time");
    let at = Some(1_524_448_722_000);
    let expected = vec![
        vec![(1, text("on"), at), (0, text("Power"), None)],
        vec![(1, NUMBER(23.6), at), (0, text("WF"), None)],
    ];
    assert_eq!(records(&each, &post), expected);
    assert_eq!(heads(&each, &post), vec![(2, text("123"))]);
}

#[test]
fn iotda_services_are_selected_by_their_id_wherever_it_stands() {
    let report = vector("huawei_iotda", "properties_report_two_services");
    let expected = vec![
        (2, WHOLE(57)),
        (3, unix(1_449_922_332_000)),
        (0, WHOLE(80)),
        (1, WHOLE(90)),
    ];
    assert_eq!(one(&iotda(), &report), expected);
    let behind = r#"{"services":[{"properties":{"level":80},"service_id":"Battery"}]}"#;
    assert_eq!(one(&iotda(), behind), vec![(0, WHOLE(80))]);
}

#[test]
fn iotda_services_may_be_a_record_each() {
    let each = codec(
        json!({"each": "/services", "times": ["./event_time"]}),
        &[
            "./event_time",
            ".[service_id=serviceId]/properties/Speed",
            ".[service_id=Other]/properties/Speed",
        ],
    );
    let report = vector("huawei_iotda", "properties_report_extended_time");
    let expected = vec![(1, NUMBER(23.24)), (0, unix(1_628_849_410_555))];
    assert_eq!(one(&each, &report), expected);
}

#[test]
fn a_service_that_is_selected_twice_is_refused() {
    let twice = r#"{"services":[{"service_id":"Battery","properties":{"level":1}},
        {"service_id":"Battery","properties":{"level":2}}]}"#;
    assert_eq!(refusal(&iotda(), twice), QuarantineReason::FieldDuplicate);
}

#[test]
fn onenet_posts_numbers_in_quotes_with_their_time() {
    let post = codec(
        json!({"value_member": "value", "time_sibling": "time"}),
        &["/params/power/value"],
    );
    let found = records(&post, &vector("onenet", "thing_property_post"));
    assert_eq!(
        found,
        vec![vec![(0, text("30.5"), Some(1_524_448_722_123))]]
    );
    assert_eq!(
        number_in_text("30.5"),
        Some(Value::Decimal(Decimal::new(305, 1)))
    );
    assert_eq!(number_in_text("30.5C"), None);
    assert_eq!(number_in_text("+1"), None);
}

#[test]
fn onenet_history_gives_each_value_at_its_time() {
    let history = vector("onenet", "thing_history_post_array");
    let expected = vec![vec![
        (1, text("30.5"), Some(1_524_448_722_123)),
        (1, text("30.5"), Some(1_524_448_722_170)),
    ]];
    assert_eq!(records(&onenet_history(), &history), expected);
    assert_eq!(heads(&onenet_history(), &history), vec![(0, text("1001"))]);
}

#[test]
fn chirpstack_objects_and_data_are_read() {
    let decoded = one(
        &chirpstack(),
        &vector("chirpstack_v4_json", "object_from_codec_strings"),
    );
    let time = Moment::Unix(UnixNanos(1_718_873_318_863_512_000));
    let expected = vec![
        (0, text("9ffbc7be-916a-4597-9d64-0713a3d5e030")),
        (1, Owned::Time(time)),
        (2, text("a8404187d187106e")),
        (3, NUMBER(3.301)),
        (4, text("13.25")),
    ];
    assert_eq!(decoded, expected);
    let raw = one(
        &chirpstack(),
        &vector("chirpstack_v4_json", "base64_data_no_codec"),
    );
    let behind = vec![
        (6, WHOLE(2)),
        (5, text("y8YAggDyAX//f/8=")),
        (7, WHOLE(-97)),
        (8, NUMBER(6.2)),
    ];
    assert_eq!(raw[3..], behind);
    assert_eq!(
        raw[1].1,
        Owned::Time(Moment::Unix(UnixNanos(1_667_208_855_775_023_242)))
    );
}

#[test]
fn data_without_an_escape_is_lent() {
    struct Lent<'p>(&'p [u8], bool);
    impl Sink for Lent<'_> {
        fn head(&mut self, _: Key<'_>, _: Value<'_>) -> Result<(), Reject> {
            Ok(())
        }
        fn point(&mut self, point: Point<'_>) -> Result<(), Reject> {
            let Value::Text(text) = point.value else {
                panic!("{point:?}")
            };
            self.1 = self.0.as_ptr_range().contains(&text.as_ptr());
            Ok(())
        }
        fn end_record(&mut self) -> Result<(), Reject> {
            Ok(())
        }
    }
    let payload = br#"{"data":"y8YAggDyAX//f/8="}"#;
    let mut sink = Lent(payload, false);
    codec(json!({}), &["/data"])
        .decode(payload, &mut sink)
        .unwrap();
    assert!(sink.1);
}

#[test]
fn numbers_are_exact_where_they_can_be() {
    for (written, value) in [
        ("0", Value::Whole(0)),
        ("-0", Value::Whole(0)),
        ("-17", Value::Whole(-17)),
        ("9223372036854775807", Value::Whole(i64::MAX)),
        ("-9223372036854775808", Value::Whole(i64::MIN)),
        ("18446744073709551615", Value::Large(u64::MAX)),
        ("23.60", Value::Decimal(Decimal::new(2_360, 2))),
        ("-0.5", Value::Decimal(Decimal::new(-5, 1))),
        ("1.5e-3", Value::Decimal(Decimal::new(15, 4))),
        ("1.5E3", Value::Whole(1_500)),
        ("1.5e+1", Value::Whole(15)),
        ("0e99", Value::Whole(0)),
        ("1e19", Value::Real(1e19)),
        (
            "18446744073709551616",
            Value::Real(18_446_744_073_709_551_616.0),
        ),
        (
            "-9223372036854775809",
            Value::Real(-9_223_372_036_854_775_809.0),
        ),
        (
            "0.1234567890123456789",
            Value::Real(0.123_456_789_012_345_68),
        ),
        ("1e999", Value::Real(f64::INFINITY)),
        ("1e99999999999", Value::Real(f64::INFINITY)),
        ("1e-99999999999", Value::Real(0.0)),
    ] {
        assert_eq!(json::number(written), value, "{written}");
    }
}

#[test]
fn words_texts_and_nothing_are_themselves() {
    let all = codec(json!({}), &["/a", "/b", "/c", "/d", "/e", "/f"]);
    let given =
        r#"{"a":true,"b":false,"c":null,"d":"\u53f7\ud83d\ude00\n\"","e":{"x":[1]},"f":""}"#;
    let expected = vec![
        (0, Owned::Bool(true)),
        (1, Owned::Bool(false)),
        (2, Owned::Missing),
        (3, text("号😀\n\"")),
        (4, text(r#"{"x":[1]}"#)),
        (5, text("")),
    ];
    assert_eq!(one(&all, given), expected);
    let long = "\\n".repeat(5_000);
    assert_eq!(
        one(&all, &format!(r#"{{"d":"{long}"}}"#)),
        vec![(3, text(&"\n".repeat(5_000)))]
    );
    for half in [
        r#"{"d":"\ud83d"}"#,
        r#"{"d":"\ud83dx"}"#,
        r#"{"d":"\ud83d\u0041"}"#,
        r#"{"d":"\ude00"}"#,
    ] {
        assert_eq!(
            refusal(&all, half),
            QuarantineReason::MalformedJson,
            "{half}"
        );
    }
}

#[test]
fn an_array_where_a_pointer_ends_is_a_series() {
    let series = codec(json!({}), &["/v"]);
    let expected = vec![(0, WHOLE(1)), (0, Owned::Missing), (0, NUMBER(2.5))];
    assert_eq!(one(&series, r#"{"v":[1,null,2.5]}"#), expected);
    assert_eq!(one(&series, r#"{"v":[[1],2]}"#), vec![(0, text("[[1],2]"))]);
    assert_eq!(records(&series, r#"{"v":[]}"#), Vec::<Seen>::new());
    let as_text = codec(json!({"arrays": "text"}), &["/v"]);
    assert_eq!(one(&as_text, r#"{"v":[1,2]}"#), vec![(0, text("[1,2]"))]);
    let timed = codec(json!({"value_member": "v", "time_sibling": "t"}), &["/s"]);
    let found = records(&timed, r#"{"s":{"v":[1,2],"t":5}}"#);
    assert_eq!(
        found,
        vec![vec![(0, WHOLE(1), Some(5)), (0, WHOLE(2), Some(5))]]
    );
}

#[test]
fn steps_of_rfc_6901_reach_what_it_lists() {
    let all = codec(
        json!({}),
        &[
            "", "/foo/0", "/", "/a~1b", "/c%d", "/e^f", "/k\"l", "/ ", "/m~0n", "/x~20~3",
        ],
    );
    let given =
        r#"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"k\"l":6," ":7,"m~n":8,"x[0]":9}"#;
    let found = one(&all, given);
    let expected = vec![
        (0, text(given)),
        (1, text("bar")),
        (2, WHOLE(0)),
        (3, WHOLE(1)),
        (4, WHOLE(2)),
        (5, WHOLE(3)),
        (6, WHOLE(6)),
        (7, WHOLE(7)),
        (8, WHOLE(8)),
        (9, WHOLE(9)),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_number_is_an_index_in_arrays_and_a_name_in_objects() {
    let both = codec(json!({}), &["/a/1", "/a/01"]);
    assert_eq!(one(&both, r#"{"a":[5,6]}"#), vec![(0, WHOLE(6))]);
    assert_eq!(
        one(&both, r#"{"a":{"01":5,"1":6}}"#),
        vec![(1, WHOLE(5)), (0, WHOLE(6))]
    );
}

#[test]
fn selections_compare_numbers_and_booleans_too_and_may_follow_each_other() {
    let all = codec(
        json!({}),
        &[
            "/l[type=3]/v",
            "/l[on=true]/v",
            "/l[type=3][on=false]/w",
            "/l/0/v",
        ],
    );
    let given = r#"{"l":[{"v":1,"type":3},{"v":2,"on":true,"type":4},7,null]}"#;
    assert_eq!(
        one(&all, given),
        vec![(0, WHOLE(1)), (3, WHOLE(1)), (1, WHOLE(2))]
    );
    let bare = r#"{"l":{"v":1,"w":2,"type":3,"on":false}}"#;
    assert_eq!(one(&all, bare), vec![(2, WHOLE(2)), (0, WHOLE(1))]);
}

#[test]
fn heads_come_first_even_from_behind_the_list() {
    let each = codec(json!({"each": "/list"}), &["./v", "/gw", "#name"]);
    let given = r#"{"list":[{"v":1},{"x":0},{"v":2}],"gw":"A"}"#;
    assert_eq!(heads(&each, given), vec![(1, text("A"))]);
    let expected = vec![
        vec![(0, WHOLE(1), None), (2, WHOLE(0), None)],
        vec![(0, WHOLE(2), None), (2, WHOLE(2), None)],
    ];
    assert_eq!(records(&each, given), expected);
}

#[test]
fn elements_of_elements_have_what_is_around_them() {
    let each = codec(
        json!({"each": ["/devices", "./points"]}),
        &["./v", "../sn", "/gw", "..#name", "#name"],
    );
    let given =
        r#"{"gw":"A","devices":{"d1":{"points":[{"v":1},{"v":2}],"sn":"\u0041"},"d2":{"sn":"B"}}}"#;
    let expected = vec![
        vec![
            (0, WHOLE(1), None),
            (4, WHOLE(0), None),
            (1, text("A"), None),
            (3, text("d1"), None),
        ],
        vec![
            (0, WHOLE(2), None),
            (4, WHOLE(1), None),
            (1, text("A"), None),
            (3, text("d1"), None),
        ],
    ];
    assert_eq!(records(&each, given), expected);
}

#[test]
fn a_payload_may_be_a_list_or_a_single_object() {
    let each = codec(json!({"each": "", "each_object": "record"}), &["./v"]);
    let given = |text| records(&each, text).len();
    assert_eq!(given(r#"[{"v":1},{"v":2}]"#), 2);
    assert_eq!(given(r#"{"v":1}"#), 1);
    assert_eq!(given("[]"), 0);
    assert_eq!(given("7"), 0);
}

#[test]
fn what_stands_twice_is_refused() {
    let twice = codec(
        json!({"value_member": "v", "time_sibling": "t"}),
        &["/a/b", "/c"],
    );
    for given in [
        r#"{"a":{"b":1,"b":1}}"#,
        r#"{"a":{"b":1},"a":{"b":2}}"#,
        r#"{"c":{"v":1,"v":2}}"#,
        r#"{"c":{"v":1,"t":1,"t":1}}"#,
    ] {
        assert_eq!(
            refusal(&twice, given),
            QuarantineReason::FieldDuplicate,
            "{given}"
        );
    }
    let each = codec(json!({"each": "/a"}), &["./v"]);
    assert_eq!(
        refusal(&each, r#"{"a":[],"a":[]}"#),
        QuarantineReason::FieldDuplicate
    );
    assert_eq!(records(&each, r#"{"a":[{"v":1},{"v":1}]}"#).len(), 2);
}

#[test]
fn what_is_no_time_is_refused_and_null_is_the_records() {
    for given in [
        r#"{"params":{"Power":{"value":1,"time":"now"}}}"#,
        r#"{"params":{"Power":{"value":1,"time":-1}}}"#,
    ] {
        assert_eq!(refusal(&alink(), given), QuarantineReason::ObservedAt);
    }
    let null = r#"{"params":{"Power":{"value":1,"time":null}}}"#;
    assert_eq!(records(&alink(), null), vec![vec![(1, WHOLE(1), None)]]);
    let local = codec(json!({"times": ["/t"]}), &["/t"]);
    let civil = Civil::new((2021, 8, 13), (10, 10, 10)).unwrap();
    let expected = vec![(0, Owned::Time(Moment::Local(civil)))];
    assert_eq!(one(&local, r#"{"t":"2021-08-13 10:10:10"}"#), expected);
}

#[test]
fn an_object_without_the_value_member_is_text_unless_it_was_spelled() {
    let given = r#"{"params":{"Power":{"x":1},"WF":{"x":1}}}"#;
    assert_eq!(one(&alink(), given), vec![(1, text(r#"{"x":1}"#))]);
}

#[test]
fn what_is_not_asked_for_gives_no_record() {
    assert_eq!(records(&alink(), "{}"), Vec::<Seen>::new());
    assert_eq!(records(&alink(), "[1]"), Vec::<Seen>::new());
    assert_eq!(one(&alink(), "\u{FEFF}{\"id\":1}"), vec![(0, WHOLE(1))]);
}

#[test]
fn what_is_not_json_is_refused() {
    for given in [
        "",
        "{",
        "{\"id\":1}x",
        "{\"id\":01}",
        "{\"other\":tru}",
        "[{\"id\":1},]",
        "{\"id\" 1}",
    ] {
        let mut sink = Recorder::default();
        let why = alink().decode(given.as_bytes(), &mut sink).unwrap_err();
        assert_eq!(why.reason, QuarantineReason::MalformedJson, "{given}");
    }
    let mut sink = Recorder::default();
    let why = alink().decode(b"{\"id\":\"\xFF\"}", &mut sink).unwrap_err();
    assert_eq!(
        (why.reason, &*why.detail),
        (QuarantineReason::MalformedJson, "byte 7: not UTF-8")
    );
    let deep = format!("{{\"x\":{}}}", "[".repeat(200_000));
    assert_eq!(refusal(&alink(), &deep), QuarantineReason::TooLarge);
}

#[test]
fn spellings_that_cannot_be_are_explained() {
    let mut plain = codec(json!({}), &[]);
    for (spelled, why) in [
        ("a/b", "where a slash"),
        ("/a~4", "~ is followed by"),
        ("/a[b]", "no equals sign"),
        ("/a[b=1", "where a slash"),
        ("../a", "2 dots"),
        ("../a", "from the root (/a)"),
        ("#name", "no `each`"),
        ("/a[b=1]c", "where a slash"),
    ] {
        let told = plain.key(spelled).unwrap_err();
        assert!(told.contains(why), "{spelled}: {told}");
    }
    let mut flat = codec(json!({"each": "/list"}), &[]);
    let told = flat.key("../gw").unwrap_err();
    assert!(told.contains("`each` has 1 levels"), "{told}");
    assert!(told.contains("from the root (/gw)"), "{told}");
    assert!(plain.key(&"/a".repeat(17)).is_err());
    for id in 0..256 {
        assert_eq!(plain.key(&format!("/p/{id}")), Ok(OwnedKey::Code(id)));
    }
    assert!(plain.key("/q").is_err());
    assert_eq!(plain.key("/p/7"), Ok(OwnedKey::Code(7)));
    assert!(bad_options(json!({"time_sibling": "t"})).contains("value_member"));
    assert!(bad_options(json!({"each": ["/a", "/b"]})).contains("each"));
    assert!(serde_json::from_value::<Options>(json!({"eech": ""})).is_err());
}

#[test]
fn many_members_of_one_object_are_all_found() {
    let pointers: Vec<String> = (0..100).map(|at| format!("/m/p{at}")).collect();
    let spelled: Vec<&str> = pointers.iter().map(String::as_str).collect();
    let all = codec(json!({}), &spelled);
    let members: Vec<String> = (0..100).rev().map(|at| format!("\"p{at}\":{at}")).collect();
    let found = one(&all, &format!("{{\"m\":{{{}}}}}", members.join(",")));
    assert_eq!(found.len(), 100);
    assert!(
        found
            .iter()
            .all(|(key, value)| *value == WHOLE(i64::try_from(*key).unwrap()))
    );
}

#[test]
fn spoilt_payloads_never_panic_nor_give_half_a_record() {
    for (codec, format) in [
        (alink(), "aliyun_alink"),
        (iotda(), "huawei_iotda"),
        (onenet_history(), "onenet"),
        (chirpstack(), "chirpstack_v4_json"),
    ] {
        for vector in vectors(format) {
            if read_all(&codec, &vector.input).is_ok() {
                truncations(&codec, &vector.input);
                bit_flips(&codec, &vector.input, |_, _| true);
            } else {
                assert_eq!(vector.name, "raw_passthrough");
            }
        }
    }
}

fn report<'a>(points: &'a [(OwnedKey, Value<'a>)]) -> Report<'a> {
    Report {
        address: "123",
        at: UnixNanos(1_524_448_722_000_000_000),
        east_s: 28_800,
        serial: 1,
        points,
    }
}

#[test]
fn what_platforms_send_is_written_as_they_send_it() {
    let written = |codec: &Pointer, points: &[(u64, Value<'_>)]| {
        let points: Vec<_> = points
            .iter()
            .map(|(id, value)| (OwnedKey::Code(*id), *value))
            .collect();
        String::from_utf8(codec.encode(&report(&points)).unwrap()).unwrap()
    };
    let wf = Value::Decimal(Decimal::new(-5, 2));
    assert_eq!(
        written(&alink(), &[(0, Value::Text("123")), (2, wf)]),
        r#"{"id":"123","params":{"WF":{"value":-0.05,"time":1524448722000}}}"#
    );
    assert_eq!(
        written(
            &iotda(),
            &[
                (0, Value::Whole(80)),
                (1, Value::Whole(90)),
                (2, Value::Whole(57))
            ]
        ),
        r#"{"services":[{"service_id":"Battery","properties":{"level":80,"level2":90}},{"service_id":"Temperature","properties":{"value":57},"event_time":1524448722000}]}"#
    );
    let each = codec(
        json!({"each": "/params", "value_member": "value"}),
        &["#name", "./value", "/id"],
    );
    assert_eq!(
        written(
            &each,
            &[
                (0, Value::Text("WF")),
                (1, Value::Real(0.5)),
                (2, Value::Bool(true))
            ]
        ),
        r#"{"params":{"WF":{"value":0.5}},"id":true}"#
    );
}

fn scalars() -> impl Strategy<Value = (Owned, Option<Decimal>)> {
    prop_oneof![
        Just((Owned::Missing, None)),
        any::<bool>().prop_map(|value| (Owned::Bool(value), None)),
        any::<i64>().prop_map(|value| (Owned::Whole(value), None)),
        any::<String>().prop_map(|value| (Owned::Text(value), None)),
        (any::<i32>(), 1..=18_u8).prop_map(|(mantissa, places)| {
            let decimal = Decimal::new(i64::from(mantissa), places);
            (Value::Decimal(decimal).into(), Some(decimal))
        }),
    ]
}

fn lent((owned, decimal): &(Owned, Option<Decimal>)) -> Value<'_> {
    match (owned, decimal) {
        (_, Some(decimal)) => Value::Decimal(*decimal),
        (Owned::Bool(value), _) => Value::Bool(*value),
        (Owned::Whole(value), _) => Value::Whole(*value),
        (Owned::Text(value), _) => Value::Text(value),
        _ => Value::Missing,
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(values in proptest::collection::vec(scalars(), 8)) {
        let spelled = ["./a", "./b/c/d", "./e/2", "./f[k=v]/w", "./f[k=w]/w", "./g", "./b/h", "./~0~1"];
        let both = codec(json!({"each": "/list/0"}), &spelled);
        let points: Vec<_> = values.iter().enumerate().map(|(id, value)| (OwnedKey::Code(id as u64), lent(value))).collect();
        let payload = both.encode(&report(&points)).unwrap();
        let found = read_all(&both, &payload).unwrap();
        prop_assert_eq!(found.records.len(), 1);
        for (id, value) in values.iter().enumerate() {
            let found = found.found(&OwnedKey::Code(id as u64)).map(|found| &found.value);
            prop_assert_eq!(found, Some(&value.0));
        }
    }

    #[test]
    fn no_text_panics(given in r#"[\[\]{}:,"\\/abtime0-9eE+. -]{0,40}"#) {
        let any = codec(
            json!({"each": "/a", "value_member": "i", "time_sibling": "t"}),
            &["/b", "./i", "#name", ".[e=1]/m", "."],
        );
        let mut sink = Recorder::default();
        let read = any.decode(given.as_bytes(), &mut sink);
        prop_assert!(read.is_ok() <= serde_json::from_str::<serde_json::Value>(&given).is_ok());
    }

    #[test]
    fn no_bytes_panic(given: Vec<u8>) {
        let mut sink = Recorder::default();
        let read = chirpstack().decode(&given, &mut sink);
        prop_assert!(read.is_ok() <= serde_json::from_slice::<serde_json::Value>(&given).is_ok());
    }

    #[test]
    fn numbers_are_those_that_the_standard_library_reads(number: f64) {
        prop_assume!(number.is_finite());
        let value = match json::number(&format!("{number:?}")) {
            Value::Whole(whole) => whole as f64,
            Value::Large(whole) => whole as f64,
            Value::Real(real) => real,
            Value::Decimal(Decimal { mantissa, places }) => format!("{mantissa}e-{places}").parse().unwrap(),
            other => panic!("{other:?}"),
        };
        prop_assert_eq!(value, number);
    }
}
