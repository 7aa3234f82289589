//! Why canonical JSON is refused: one test for each reason, with the words that an operator will read.

use super::{
    super::{Encoded, Limits, Payload, PayloadFormat, normalise},
    LIMITS, embedded,
    json::{CLASS, json},
    payload, read,
};
use crate::domain::QuarantineReason;

#[track_caller]
fn refused(text: &str, reason: QuarantineReason, detail: &str) {
    let reject = json(text).unwrap_err();
    assert_eq!(
        (reject.reason, reject.detail.as_str()),
        (reason, detail),
        "{text}"
    );
}

#[test]
fn what_is_not_json_is_malformed_at_its_byte() {
    use QuarantineReason::MalformedJson;
    refused("", MalformedJson, "byte 0: a value is wanted");
    refused("hello", MalformedJson, "byte 0: a value is wanted");
    refused(
        r#"{"battery":1"#,
        MalformedJson,
        "byte 12: a comma or the end of the object is wanted",
    );
    refused(
        r#"{"battery":1}x"#,
        MalformedJson,
        "byte 13: the end is wanted",
    );
    refused(
        r#"{"battery":01}"#,
        MalformedJson,
        "byte 12: a comma or the end of the object is wanted",
    );
    refused(
        r#"{"fw":"\ud800","battery":1,"\ud800":1}"#,
        MalformedJson,
        "byte 27: text whose surrogates come in pairs is wanted",
    );
    let reject = read(CLASS, &payload(PayloadFormat::Json, b"{\"\xFF\":1}")).unwrap_err();
    assert_eq!(
        (reject.reason, reject.detail.as_str()),
        (MalformedJson, "byte 2: not UTF-8")
    );
}

#[test]
fn json_that_is_no_object_is_told_so() {
    use QuarantineReason::NotAnObject;
    refused(
        "5",
        NotAnObject,
        "a number where an object or an array of objects is wanted",
    );
    refused(
        "\"{}\"",
        NotAnObject,
        "text where an object or an array of objects is wanted",
    );
    refused(
        r#"[{"battery":1},[]]"#,
        NotAnObject,
        "reading 2: an array where an object is wanted",
    );
}

#[test]
fn a_member_of_the_wrong_type_is_named() {
    use QuarantineReason::FieldType;
    refused(
        r#"{"tilt_angle":true}"#,
        FieldType,
        r#"member "tilt_angle": a boolean where a number is wanted"#,
    );
    refused(
        r#"{"battery":"full"}"#,
        FieldType,
        r#"member "battery": text that is no number where a number is wanted"#,
    );
    refused(
        r#"{"signal":{}}"#,
        FieldType,
        r#"member "signal": an object where an integer is wanted"#,
    );
    refused(
        r#"{"water_overflow":1}"#,
        FieldType,
        r#"member "water_overflow": a number where true or false is wanted"#,
    );
    refused(
        r#"[{"battery":1},{"coverState":[]}]"#,
        FieldType,
        r#"reading 2: member "cover_state": an array where a code is wanted"#,
    );
}

#[test]
fn a_number_that_does_not_fit_is_named() {
    use QuarantineReason::FieldRange;
    refused(
        r#"{"signal":9223372036854775808}"#,
        FieldRange,
        r#"member "signal": 9223372036854775808 does not fit the field's type"#,
    );
    refused(
        r#"{"signal":1.5}"#,
        FieldRange,
        r#"member "signal": 1.5 does not fit the field's type"#,
    );
    refused(
        r#"{"battery":1e999}"#,
        FieldRange,
        r#"member "battery": 1e999 does not fit the field's type"#,
    );
    let toilet = payload(PayloadFormat::Json, br#"{"people_in":-1}"#);
    let reject = read("public_toilet", &toilet).unwrap_err();
    assert_eq!(
        reject.detail,
        r#"member "people_in": -1 does not fit the field's type"#
    );
}

#[test]
fn a_member_that_stands_twice_is_named() {
    use QuarantineReason::FieldDuplicate;
    refused(
        r#"{"battery":1,"battery":1}"#,
        FieldDuplicate,
        r#"member "battery" stands twice"#,
    );
    refused(
        r#"{"tilt_angle":null,"tiltAngle":1}"#,
        FieldDuplicate,
        r#"member "tiltAngle" stands twice"#,
    );
    refused(
        r#"{"observed_at":1,"observedAt":1}"#,
        FieldDuplicate,
        r#"member "observedAt" stands twice"#,
    );
    refused(
        r#"{"x":1,"x":1}"#,
        FieldDuplicate,
        r#"member "x" stands twice"#,
    );
}

#[test]
fn an_unknown_code_is_named_with_those_that_are_known() {
    use QuarantineReason::EnumCode;
    refused(
        r#"{"cover_state":"ajar"}"#,
        EnumCode,
        r#"member "cover_state": "ajar" is none of closed, open, tilted, lost"#,
    );
    refused(
        r#"{"cover_state":5}"#,
        EnumCode,
        r#"member "cover_state": 5 is none of closed, open, tilted, lost"#,
    );
}

#[test]
fn an_observed_time_that_is_none_is_named() {
    for text in [
        "\"yesterday\"",
        "-1",
        "1e30",
        "true",
        "\"2026-11-23T00:00:00\"",
        "{}",
    ] {
        let reject = json(&format!(r#"{{"battery":1,"observed_at":{text}}}"#)).unwrap_err();
        assert_eq!(reject.reason, QuarantineReason::ObservedAt, "{text}");
        assert!(
            reject
                .detail
                .starts_with(r#"member "observed_at": neither"#),
            "{}",
            reject.detail
        );
    }
}

#[test]
fn a_reading_without_a_value_is_empty() {
    use QuarantineReason::Empty;
    refused("[]", Empty, "an array without a reading");
    refused("{}", Empty, "no value for any field of class manhole_cover");
    refused(
        r#"[{"battery":1},{"battery":null}]"#,
        Empty,
        "reading 2: no value for any field of class manhole_cover",
    );
    refused(
        r#"{"observed_at":1,"other":2}"#,
        Empty,
        "no value for any field of class manhole_cover",
    );
}

#[test]
fn what_is_larger_than_the_limits_is_refused() {
    use QuarantineReason::TooLarge;
    let many = (0..17)
        .map(|at| format!("\"m{at}\":1"))
        .collect::<Vec<_>>()
        .join(",");
    refused(
        &format!("{{{many}}}"),
        TooLarge,
        r#"member "m16": members unknown to class manhole_cover: more than 16 of them or 1024 bytes"#,
    );
    let long = format!(r#"{{"battery":1,"note":"{}"}}"#, "x".repeat(1_024));
    refused(
        &long,
        TooLarge,
        r#"member "note": members unknown to class manhole_cover: more than 16 of them or 1024 bytes"#,
    );
    let readings = vec![r#"{"battery":1}"#; 101].join(",");
    refused(
        &format!("[{readings}]"),
        TooLarge,
        "reading 101: more than 100 readings in one payload",
    );
    let deep = format!(r#"{{"battery":1,"x":{}}}"#, "[".repeat(100_000));
    refused(&deep, TooLarge, "byte 50: nested deeper than 32 levels");
}

#[test]
fn a_reading_larger_than_its_limit_is_refused() {
    let limits = Limits {
        reading_bytes_max: 60,
        ..LIMITS
    };
    let class = embedded().get(CLASS).unwrap();
    let payload = payload(PayloadFormat::Json, br#"{"battery":1,"tilt_angle":1}"#);
    let reject = normalise(class, &payload, &limits, &mut Encoded::default()).unwrap_err();
    assert_eq!(
        (reject.reason, reject.detail.as_str()),
        (
            QuarantineReason::TooLarge,
            "the reading takes 65 bytes, at most 60 are taken"
        )
    );
}

#[test]
fn too_many_user_properties_are_refused() {
    let payload = Payload {
        memory: None,
        attributes: &[("a", "b"); 17],
        ..payload(PayloadFormat::Json, br#"{"battery":1}"#)
    };
    let reject = read(CLASS, &payload).unwrap_err();
    assert_eq!(
        reject.detail,
        "user properties: more than 16 of them or 1024 bytes"
    );
}

#[test]
fn a_refused_payload_leaves_nothing_behind() {
    let class = embedded().get(CLASS).unwrap();
    let mut out = Encoded::default();
    let good = payload(PayloadFormat::Json, br#"{"battery":101,"x":1}"#);
    normalise(class, &good, &LIMITS, &mut out).unwrap();
    let before = out.bytes.clone();
    let bad = payload(
        PayloadFormat::Json,
        br#"[{"battery":102,"y":2,"observed_at":0},{}]"#,
    );
    normalise(class, &bad, &LIMITS, &mut out).unwrap_err();
    assert_eq!(out.bytes, before);
    assert_eq!(
        (out.count, out.out_of_range, out.unknown_members, out.skewed),
        (1, 1, 1, 0)
    );
}
