//! What a reading costs from payload to wire bytes, beside two yardsticks in the same run: the same work done the
//! naive way (`serde_json::Value`, `DynamicMessage`, prost), and what `serde_json` takes to merely step over the text.

#![expect(missing_docs, reason = "criterion's macros write functions")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a measurement may end at the first thing that is wrong"
)]

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MessageDescriptor, Value};
use sensegate::{
    domain::UnixNanos,
    normalise::{Classes, Encoded, Limits, Payload, PayloadFormat, normalise},
    proto::{CLASS_DESCRIPTORS, device, platform},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

const CLASS: &str = "manhole_cover";
const DEVICE: &str = "510104-0007421";
const RECEIVED_AT: UnixNanos = UnixNanos(1_795_392_001_000_000_000);
/// Five properties and the time.
const READING: &str = r#"{"observed_at":"2026-11-23T08:00:00+08:00","cover_state":"closed","tilt_angle":1.25,"water_overflow":false,"battery":87.5,"signal":-71}"#;

const LIMITS: Limits = Limits {
    readings_per_payload_max: 1_000,
    reading_bytes_max: 65_536,
    skew_max: Duration::from_secs(300),
};

fn payload(format: PayloadFormat, bytes: &[u8]) -> Payload<'_> {
    Payload {
        device: DEVICE,
        format,
        bytes,
        received_at: RECEIVED_AT,
        memory: None,
        attributes: &[],
    }
}

fn report(class: &sensegate::normalise::Class) -> Vec<u8> {
    let mut out = Encoded::default();
    let json = payload(PayloadFormat::Json, READING.as_bytes());
    normalise(class, &json, &LIMITS, &mut out).unwrap();
    let batch = platform::Batch::decode(&*out.bytes).unwrap();
    let reading = &batch.readings[0];
    let sample = device::Sample {
        observed_at_ns: Some(reading.observed_at_ns),
        value: reading.value.clone(),
    };
    let samples = vec![sample];
    device::Report { samples }.encode_to_vec()
}

/// The same reading with a tree of values, a dynamic message and prost.
fn naive(message: &MessageDescriptor, bytes: &[u8], out: &mut Vec<u8>) {
    let tree: serde_json::Value = serde_json::from_slice(bytes).unwrap();
    let mut value = DynamicMessage::new(message.clone());
    let mut observed_at_ns = 0;
    for (name, member) in tree.as_object().unwrap() {
        if name == "observed_at" {
            let time = OffsetDateTime::parse(member.as_str().unwrap(), &Rfc3339).unwrap();
            observed_at_ns = u64::try_from(time.unix_timestamp_nanos()).unwrap();
            continue;
        }
        let field = message.get_field_by_name(name).unwrap();
        let typed = match field.kind() {
            Kind::Double => Value::F64(member.as_f64().unwrap()),
            Kind::Sint64 => Value::I64(member.as_i64().unwrap()),
            Kind::Bool => Value::Bool(member.as_bool().unwrap()),
            Kind::Enum(codes) => {
                let name = format!("COVER_STATE_{}", member.as_str().unwrap().to_uppercase());
                Value::EnumNumber(codes.get_value_by_name(&name).unwrap().number())
            }
            other => panic!("the class has a field of kind {other:?}"),
        };
        value.set_field(&field, typed);
    }
    let reading = platform::Reading {
        device_id: DEVICE.to_owned(),
        class_id: CLASS.to_owned(),
        observed_at_ns,
        received_at_ns: RECEIVED_AT.0,
        time_source: platform::TimeSource::Device.into(),
        value: value.encode_to_vec().into(),
        ..Default::default()
    };
    prost::encoding::message::encode(15, &reading, out);
}

fn readings(c: &mut Criterion) {
    let classes = Classes::embedded().unwrap();
    let class = classes.get(CLASS).unwrap();
    let array = format!("[{}]", [READING; 10].join(","));
    let report = report(class);
    let mut out = Encoded::default();

    let mut group = c.benchmark_group("normalise");
    for (name, format, bytes, count) in [
        (
            "json, 5 properties",
            PayloadFormat::Json,
            READING.as_bytes(),
            1,
        ),
        (
            "json, array of 10",
            PayloadFormat::Json,
            array.as_bytes(),
            10,
        ),
        ("protobuf report", PayloadFormat::Protobuf, &report, 1),
    ] {
        let payload = payload(format, bytes);
        group.throughput(Throughput::Elements(count));
        group.bench_function(name, |b| {
            b.iter(|| {
                out.clear();
                normalise(class, black_box(&payload), &LIMITS, &mut out).unwrap();
                black_box(out.bytes.len())
            });
        });
    }
    group.finish();

    let pool = DescriptorPool::decode(CLASS_DESCRIPTORS).unwrap();
    let message = pool.get_message_by_name(class.message_name()).unwrap();
    let mut bytes = Vec::new();
    let mut group = c.benchmark_group("yardstick");
    group.throughput(Throughput::Elements(1));
    group.bench_function("naive: Value, DynamicMessage, prost", |b| {
        b.iter(|| {
            bytes.clear();
            naive(&message, black_box(READING.as_bytes()), &mut bytes);
            black_box(bytes.len())
        });
    });
    group.bench_function("serde_json steps over the text", |b| {
        b.iter(|| {
            let text = black_box(READING.as_bytes());
            serde_json::from_slice::<serde::de::IgnoredAny>(text).unwrap()
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1));
    targets = readings
}
criterion_main!(benches);
