//! Canonical JSON payloads: what is taken, how it is judged, why it is refused.

use super::{
    super::{Encoded, Limits, Payload, PayloadFormat, Quality, Reject, normalise},
    DEVICE, LIMITS, NOW, embedded, payload, read,
};
use crate::{
    domain::QuarantineReason,
    proto::platform::{Reading, TimeSource},
};

const CLASS: &str = "manhole_cover";

fn json(text: &str) -> Result<(Vec<Reading>, Encoded), Reject> {
    read(CLASS, &payload(PayloadFormat::Json, text.as_bytes()))
}

fn one(text: &str) -> Reading {
    let (mut readings, _) = json(text).unwrap();
    assert_eq!(readings.len(), 1);
    readings.remove(0)
}

#[track_caller]
fn refused(text: &str, reason: QuarantineReason, detail: &str) {
    let reject = json(text).unwrap_err();
    assert_eq!(
        (reject.reason, reject.detail.as_str()),
        (reason, detail),
        "{text}"
    );
}

/// (field number, status code) of what is not good.
fn qualities(reading: &Reading) -> Vec<(u32, u32)> {
    let each = reading.qualities.iter();
    each.map(|quality| (quality.field_number, quality.status_code))
        .collect()
}

#[test]
fn a_reading_carries_who_what_and_when() {
    let reading =
        one(r#"{"observed_at":"2026-11-23T07:59:00+08:00","coverState":"open","signal":-71}"#);
    assert_eq!(
        (reading.device_id.as_str(), reading.class_id.as_str()),
        (DEVICE, CLASS)
    );
    assert_eq!(reading.observed_at_ns, NOW.0 - 60_000_000_000);
    assert_eq!(reading.received_at_ns, NOW.0);
    assert_eq!(reading.time_source(), TimeSource::Device);
    assert_eq!(&*reading.value, [0x08, 2, 0x28, 141, 1]);
    assert_eq!(qualities(&reading), []);
}

#[test]
fn the_wire_bytes_are_an_entry_of_batch_readings_with_fields_ascending() {
    let (_, out) = json(r#"{"tilt_angle":181,"x":1}"#).unwrap();
    let mut wanted = vec![0x7A, 106, 0x0A, 8];
    wanted.extend_from_slice(DEVICE.as_bytes());
    wanted.extend_from_slice(&[0x12, 13]);
    wanted.extend_from_slice(CLASS.as_bytes());
    wanted.push(0x19);
    wanted.extend_from_slice(&NOW.0.to_le_bytes());
    wanted.push(0x21);
    wanted.extend_from_slice(&NOW.0.to_le_bytes());
    wanted.extend_from_slice(&[0x28, 3, 0x32, 9, 0x11]);
    wanted.extend_from_slice(&181_f64.to_le_bytes());
    wanted.extend_from_slice(&[0x3A, 7, 0x08, 2, 0x15, 0, 0, 0x94, 0x40]);
    wanted.extend_from_slice(&[0x42, 13, 0x0A, 8]);
    wanted.extend_from_slice(b"member.x");
    wanted.extend_from_slice(&[0x12, 1, b'1']);
    wanted[1] = u8::try_from(wanted.len() - 2).unwrap();
    assert_eq!(out.bytes, wanted);
}

#[test]
fn names_in_either_form_give_the_same_bytes() {
    assert_eq!(
        one(r#"{"water_overflow":true}"#),
        one(r#"{"waterOverflow":true}"#)
    );
    assert_eq!(
        one(r#"{"observed_at":0,"battery":1}"#),
        one(r#"{"observedAt":0,"battery":1}"#)
    );
    assert_eq!(one(r#"{"battery":1}"#), one(r#"{"batt\u0065ry":1}"#));
}

#[test]
fn an_array_gives_its_readings_in_order() {
    let (readings, out) = json(r#" [ {"battery":1} , {"battery":2} ] "#).unwrap();
    assert_eq!(out.count, 2);
    assert_eq!(readings[1].value[1..], 2_f64.to_le_bytes());
}

#[test]
fn values_follow_the_json_mapping_of_proto3() {
    for (text, same) in [
        (r#"{"signal":"-71"}"#, r#"{"signal":-71}"#),
        (r#"{"signal":-7.1e1}"#, r#"{"signal":-71}"#),
        (r#"{"battery":"87.5"}"#, r#"{"battery":87.5}"#),
        (
            r#"{"cover_state":"COVER_STATE_LOST"}"#,
            r#"{"cover_state":4}"#,
        ),
        (r#"{"cover_state":"lost"}"#, r#"{"cover_state":4}"#),
        (
            r#"{"battery":1,"signal":null,"observed_at":null}"#,
            r#"{"battery":1}"#,
        ),
    ] {
        assert_eq!(one(text), one(same), "{text}");
    }
}

#[test]
fn absent_and_zero_differ() {
    assert_eq!(&*one(r#"{"water_overflow":false}"#).value, [0x18, 0]);
    assert_eq!(
        &*one(r#"{"cover_state":"COVER_STATE_UNSPECIFIED","signal":0}"#).value,
        [0x08, 0, 0x28, 0]
    );
}

#[test]
fn a_value_out_of_its_plausible_range_is_kept_and_flagged() {
    let (readings, out) = json(r#"{"battery":100.5,"signal":1,"tilt_angle":180}"#).unwrap();
    assert_eq!(
        qualities(&readings[0]),
        [(4, 0x4094_0000), (5, 0x4094_0000)]
    );
    assert_eq!(out.out_of_range, 2);
    assert_eq!(readings[0].value[1..9], 100.5_f64.to_le_bytes());
}

#[test]
fn a_number_that_is_not_finite_is_kept_and_bad() {
    for text in ["NaN", "Infinity", "-Infinity"] {
        let reading = one(&format!(r#"{{"battery":"{text}"}}"#));
        assert_eq!(qualities(&reading), [(4, Quality::OUT_OF_RANGE.0)]);
    }
}

#[test]
fn without_an_observed_time_the_arrival_stands_in() {
    let reading = one(r#"{"battery":1}"#);
    assert_eq!(
        (reading.observed_at_ns, reading.time_source()),
        (NOW.0, TimeSource::Arrival)
    );
}

#[test]
fn a_skewed_clock_is_flagged_and_its_time_kept() {
    for text in ["0", "\"2026-11-23T00:05:00.000000001Z\"", "1795391699999.5"] {
        let (readings, out) = json(&format!(r#"{{"battery":1,"observed_at":{text}}}"#)).unwrap();
        assert_eq!(qualities(&readings[0]), [(0, 0x8023_0000)], "{text}");
        assert_eq!(out.skewed, 1);
    }
    let (readings, out) = json(r#"{"battery":1,"observed_at":"2026-11-23T00:05:00Z"}"#).unwrap();
    assert_eq!((qualities(&readings[0]), out.skewed), (vec![], 0));
}

#[test]
fn unknown_members_are_kept_as_raw_json_and_counted() {
    let (readings, out) =
        json(r#"{"fw":"1.2","battery":1,"x":{"a":[1, 2],"b":null},"y":null}"#).unwrap();
    let kept = &readings[0].attributes;
    assert_eq!(kept["member.fw"], "\"1.2\"");
    assert_eq!(kept["member.x"], r#"{"a":[1, 2],"b":null}"#);
    assert_eq!(kept["member.y"], "null");
    assert_eq!((kept.len(), out.unknown_members), (3, 3));
}

#[test]
fn unknown_members_of_one_reading_do_not_reach_the_next() {
    let (readings, _) = json(r#"[{"battery":1,"a":1},{"battery":2,"b":2},{"battery":3}]"#).unwrap();
    let keys: Vec<Vec<&String>> = readings
        .iter()
        .map(|each| each.attributes.keys().collect())
        .collect();
    assert_eq!(keys, [vec!["member.a"], vec!["member.b"], vec![]]);
}

#[test]
fn what_the_transport_knew_stands_in_every_reading_and_nothing_is_overwritten() {
    let payload = Payload {
        attributes: &[("rssi", "-70"), ("rssi", "-71"), ("member.a", "mine")],
        ..payload(
            PayloadFormat::Json,
            br#"[{"battery":1,"a":5},{"battery":2}]"#,
        )
    };
    let (readings, _) = read(CLASS, &payload).unwrap();
    for reading in &readings {
        assert_eq!(reading.attributes["rssi"], "-70");
        assert_eq!(reading.attributes["rssi#2"], "-71");
        assert_eq!(reading.attributes["member.a"], "mine");
    }
    assert_eq!(readings[0].attributes["member.a#2"], "5");
    assert_eq!(readings[1].attributes.len(), 3);
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
