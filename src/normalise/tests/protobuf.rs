//! Protobuf payloads: reports of devices that speak the class's message themselves.

use prost::Message as _;

use super::{
    super::{Encoded, PayloadFormat, Reject},
    NOW, payload, read,
};
use crate::{
    domain::QuarantineReason,
    proto::{
        device::{Report, Sample},
        platform::{Reading, TimeSource},
    },
};

const CLASS: &str = "manhole_cover";

fn bytes(payload_bytes: &[u8]) -> Result<(Vec<Reading>, Encoded), Reject> {
    read(CLASS, &payload(PayloadFormat::Protobuf, payload_bytes))
}

fn report(values: &[&[u8]]) -> Result<(Vec<Reading>, Encoded), Reject> {
    let samples = values.iter().map(|value| Sample {
        observed_at_ns: Some(NOW.0),
        value: value.to_vec().into(),
    });
    let samples = samples.collect();
    bytes(&Report { samples }.encode_to_vec())
}

#[track_caller]
fn refused(value: &[u8], reason: QuarantineReason, detail: &str) {
    let reject = report(&[value]).unwrap_err();
    assert_eq!(
        (reject.reason, reject.detail),
        (reason, format!("sample 1: {detail}"))
    );
}

fn double(key: u8, value: f64) -> Vec<u8> {
    [&[key], &value.to_le_bytes()[..]].concat()
}

#[test]
fn every_sample_becomes_a_reading_with_its_value_untouched() {
    let (first, second) = (double(0x21, 50.0), [0x28, 141, 1]);
    let (readings, out) = report(&[&first, &second]).unwrap();
    assert_eq!(
        (&*readings[0].value, &*readings[1].value),
        (&first[..], &second[..])
    );
    assert_eq!(
        (out.count, readings[0].time_source()),
        (2, TimeSource::Device)
    );
}

#[test]
fn without_an_observed_time_the_arrival_stands_in() {
    let sample = Sample {
        observed_at_ns: None,
        value: vec![0x18, 1].into(),
    };
    let (readings, _) = bytes(
        &Report {
            samples: vec![sample],
        }
        .encode_to_vec(),
    )
    .unwrap();
    assert_eq!(
        (readings[0].observed_at_ns, readings[0].time_source()),
        (NOW.0, TimeSource::Arrival)
    );
}

#[test]
fn fields_that_the_class_does_not_know_are_kept_byte_for_byte_and_counted() {
    let value = [
        &[0x18, 1, 0xF8, 0x06, 7, 0xFA, 0x06, 2, b'h', b'i'][..],
        &[0x55, 1, 2, 3, 4],
        &double(0x59, 1.0),
    ]
    .concat();
    let (readings, out) = report(&[&value]).unwrap();
    assert_eq!(&*readings[0].value, value);
    assert_eq!(out.unknown_members, 4);
}

#[test]
fn values_are_judged_as_those_of_json_are() {
    let value = [double(0x11, 181.0), double(0x21, f64::NAN)].concat();
    let (readings, out) = report(&[&value]).unwrap();
    let flagged: Vec<(u32, u32)> = readings[0]
        .qualities
        .iter()
        .map(|q| (q.field_number, q.status_code))
        .collect();
    assert_eq!(flagged, [(2, 0x4094_0000), (4, 0x803C_0000)]);
    assert_eq!(out.out_of_range, 2);
}

#[test]
fn a_number_that_the_enum_does_not_know_is_kept_and_flagged() {
    let (readings, out) = report(&[&[0x08, 9]]).unwrap();
    assert_eq!(
        (
            readings[0].qualities[0].field_number,
            readings[0].qualities[0].status_code
        ),
        (1, 0x803C_0000)
    );
    assert_eq!((&*readings[0].value, out.out_of_range), (&[0x08, 9][..], 1));
}

#[test]
fn a_field_of_another_wire_type_is_named() {
    refused(
        &[0x10, 1],
        QuarantineReason::FieldType,
        "value: field 2 (tilt_angle): wire type 0 where 1 is wanted",
    );
}

#[test]
fn a_number_that_does_not_fit_is_named() {
    let wide = [0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F];
    refused(
        &wide,
        QuarantineReason::FieldRange,
        "value: field 1 (cover_state): the number does not fit the field's type",
    );
}

#[test]
fn a_field_that_stands_twice_is_named() {
    refused(
        &[0x18, 1, 0x18, 0],
        QuarantineReason::FieldDuplicate,
        "value: field 3 (water_overflow) stands twice",
    );
}

#[test]
fn bytes_that_break_the_wire_format_are_malformed() {
    use QuarantineReason::MalformedProtobuf;
    refused(
        &[0x11, 1, 2],
        MalformedProtobuf,
        "value: field 2 (tilt_angle): cut off",
    );
    refused(
        &[0x18],
        MalformedProtobuf,
        "value: field 3 (water_overflow): cut off",
    );
    refused(&[0x80], MalformedProtobuf, "value: a broken key");
    refused(&[0x00, 1], MalformedProtobuf, "value: a broken key");
    refused(
        &[0xFB, 0x06, 0xFC, 0x06],
        MalformedProtobuf,
        "value: field 111 is cut off or a group",
    );
    refused(
        &[0xFA, 0x06, 9, 1],
        MalformedProtobuf,
        "value: field 111 is cut off or a group",
    );
    for (payload, detail) in [
        (&[0x0A, 5, 1][..], "the report ends within a sample"),
        (
            &[0x12, 0],
            "field 2 is not what sensegate.device.v1.Report declares",
        ),
        (
            &[0x0A, 2, 0x18, 1],
            "sample 1: field 3 is not what sensegate.device.v1.Sample declares",
        ),
        (&[0x0A, 2, 0x12, 9], "sample 1: value is cut off"),
        (&[0xFF], "the report has a broken key"),
    ] {
        let reject = bytes(payload).unwrap_err();
        assert_eq!(
            (reject.reason, reject.detail.as_str()),
            (MalformedProtobuf, detail)
        );
    }
}

#[test]
fn text_that_is_not_utf8_is_malformed() {
    let value = [0x0A, 1, 0xFF];
    let samples = vec![Sample {
        observed_at_ns: None,
        value: value.to_vec().into(),
    }];
    let encoded = Report { samples }.encode_to_vec();
    let class = super::embedded()
        .iter()
        .find(|class| class.fields()[0].kind == super::super::FieldKind::Text);
    let class = class.unwrap();
    let reject = read(class.id(), &payload(PayloadFormat::Protobuf, &encoded)).unwrap_err();
    assert_eq!(reject.reason, QuarantineReason::MalformedProtobuf);
    assert!(reject.detail.ends_with("not UTF-8"), "{}", reject.detail);
}

#[test]
fn a_report_without_a_value_is_empty() {
    let reject = bytes(&[]).unwrap_err();
    assert_eq!(
        (reject.reason, reject.detail.as_str()),
        (QuarantineReason::Empty, "a report without a sample")
    );
    refused(
        &[],
        QuarantineReason::Empty,
        "no value for any field of class manhole_cover",
    );
    refused(
        &[0xF8, 0x06, 7],
        QuarantineReason::Empty,
        "no value for any field of class manhole_cover",
    );
}
