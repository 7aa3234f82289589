//! Canonical JSON payloads: what is taken, how it is judged, what becomes of what the class does not know.

use super::{
    super::{Encoded, Payload, PayloadFormat, Quality, Reject},
    DEVICE, NOW, payload, read,
};
use crate::proto::platform::{Reading, TimeSource};

pub(super) const CLASS: &str = "manhole_cover";

pub(super) fn json(text: &str) -> Result<(Vec<Reading>, Encoded), Reject> {
    read(CLASS, &payload(PayloadFormat::Json, text.as_bytes()))
}

fn one(text: &str) -> Reading {
    let (mut readings, _) = json(text).unwrap();
    assert_eq!(readings.len(), 1);
    readings.remove(0)
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
        memory: None,
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
