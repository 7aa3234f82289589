//! Whatever bytes come in, nothing panics; whatever valid values come in come out again, by prost and by reflection.

use std::fmt::Write as _;

use proptest::prelude::*;
use prost::Message as _;
use prost_reflect::{DynamicMessage, Value};

use super::{
    super::{Class, Encoded, Field, FieldKind, PayloadFormat, normalise, render},
    LIMITS, NOW, embedded, payload, read,
};
use crate::proto::device::{Report, Sample};

/// A value of a field as canonical JSON and as reflection sees it, made from a seed.
fn value(field: &Field, seed: u64) -> (String, Value) {
    match &field.kind {
        FieldKind::Double | FieldKind::Float => {
            let number = f64::from_bits(seed);
            let number = if number.is_finite() { number } else { 12.5 };
            (serde_json::to_string(&number).unwrap(), Value::F64(number))
        }
        FieldKind::Signed => {
            let number = seed.cast_signed() >> (seed % 64);
            (number.to_string(), Value::I64(number))
        }
        FieldKind::Unsigned => {
            let number = seed >> (seed % 64);
            (format!("\"{number}\""), Value::U64(number))
        }
        FieldKind::Bool => {
            let yes = seed.is_multiple_of(2);
            (yes.to_string(), Value::Bool(yes))
        }
        FieldKind::Text => {
            let text = format!("设备\t\"{seed}\" é");
            (serde_json::to_string(&text).unwrap(), Value::String(text))
        }
        FieldKind::Enum(codes) => {
            let code = &codes[usize::try_from(seed % codes.len() as u64).unwrap()];
            (format!("\"{}\"", code.code), Value::EnumNumber(code.number))
        }
    }
}

/// A payload with some of a class's fields, and what it must give.
fn object(class: &Class, seeds: &[Option<u64>]) -> (String, Vec<(u32, Value)>) {
    let (mut text, mut wanted) = (String::from("{"), Vec::new());
    for (at, (field, seed)) in class.fields().iter().zip(seeds).enumerate() {
        let Some(seed) = seed else { continue };
        let (json, typed) = value(field, *seed);
        let name = if at % 2 == 0 {
            &field.name
        } else {
            &field.json_name
        };
        write!(
            text,
            "{}\"{name}\": {json}",
            if wanted.is_empty() { "" } else { ", " }
        )
        .unwrap();
        wanted.push((field.number, typed));
    }
    text.push('}');
    (text, wanted)
}

fn some_class() -> impl Strategy<Value = &'static Class> {
    (0..226_usize).prop_map(|at| embedded().iter().nth(at).unwrap())
}

proptest! {
    #[test]
    fn valid_values_come_out_as_they_went_in(
        class in some_class(), seeds in prop::collection::vec(any::<Option<u64>>(), 32),
    ) {
        let (text, wanted) = object(class, &seeds);
        prop_assume!(!wanted.is_empty());
        let (readings, _) = read(class.id(), &payload(PayloadFormat::Json, text.as_bytes())).unwrap();
        let value = DynamicMessage::decode(class.descriptor.clone(), readings[0].value.clone()).unwrap();
        let fields: Vec<(u32, Value)> = value.fields().map(|(field, value)| (field.number(), value.clone())).collect();
        prop_assert_eq!(fields, wanted, "{}", text);

        // The same through protobuf, and through the inverse.
        let sample = Sample { observed_at_ns: None, value: readings[0].value.clone() };
        let report = Report { samples: vec![sample] }.encode_to_vec();
        let (again, _) = read(class.id(), &payload(PayloadFormat::Protobuf, &report)).unwrap();
        prop_assert_eq!(&again, &readings);
        let canonical = render::canonical(class, &readings[0]).unwrap().to_string();
        let (again, _) = read(class.id(), &payload(PayloadFormat::Json, canonical.as_bytes())).unwrap();
        let other = DynamicMessage::decode(class.descriptor.clone(), again[0].value.clone()).unwrap();
        prop_assert_eq!(other, value, "{}", canonical);
    }

    #[test]
    fn no_bytes_panic(class in some_class(), bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        for format in [PayloadFormat::Json, PayloadFormat::Protobuf] {
            let _read = read(class.id(), &payload(format, &bytes));
        }
        let _shown = render::readings(embedded(), &bytes);
    }

    #[test]
    fn no_mutilated_payload_panics(
        class in some_class(), seeds in prop::collection::vec(any::<Option<u64>>(), 32),
        cut in any::<prop::sample::Index>(), byte: u8,
    ) {
        let (text, _) = object(class, &seeds);
        let mut bytes = text.into_bytes();
        let at = cut.index(bytes.len());
        bytes[at] = byte;
        let _read = read(class.id(), &payload(PayloadFormat::Json, &bytes));
        let _read = read(class.id(), &payload(PayloadFormat::Json, &bytes[..at]));
    }

    #[test]
    fn no_mutilated_report_panics(
        class in some_class(), seeds in prop::collection::vec(any::<Option<u64>>(), 32),
        cut in any::<prop::sample::Index>(), byte: u8,
    ) {
        let (text, wanted) = object(class, &seeds);
        prop_assume!(!wanted.is_empty());
        let (readings, _) = read(class.id(), &payload(PayloadFormat::Json, text.as_bytes())).unwrap();
        let sample = Sample { observed_at_ns: Some(NOW.0), value: readings[0].value.clone() };
        let mut bytes = Report { samples: vec![sample] }.encode_to_vec();
        let at = cut.index(bytes.len());
        let _read = read(class.id(), &payload(PayloadFormat::Protobuf, &bytes[..at]));
        bytes[at] = byte;
        if let Ok((readings, _)) = read(class.id(), &payload(PayloadFormat::Protobuf, &bytes)) {
            // What is taken, a decoder takes too.
            for reading in readings {
                prop_assert!(DynamicMessage::decode(class.descriptor.clone(), reading.value).is_ok());
            }
        }
    }
}

#[test]
fn a_reading_is_shown_with_names_units_codes_and_quality() {
    let class = embedded().get("manhole_cover").unwrap();
    let text = br#"{"observed_at":0,"cover_state":"tilted","tilt_angle":200,"fw":"2"}"#;
    let mut out = Encoded::default();
    normalise(
        class,
        &payload(PayloadFormat::Json, text),
        &LIMITS,
        &mut out,
    )
    .unwrap();
    let shown = render::readings(embedded(), &out.bytes).unwrap().remove(0);
    assert_eq!(shown["observed_at"], "1970-01-01T00:00:00Z");
    assert_eq!(shown["received_at"], "2026-11-23T00:00:00Z");
    assert_eq!(shown["time_source"], "device");
    assert_eq!(
        (&shown["class_en"], &shown["lane"]),
        (&"Smart manhole cover".into(), &"alarm".into())
    );
    assert_eq!(shown["values"]["cover_state"]["value"], "tilted");
    let tilt = &shown["values"]["tilt_angle"];
    assert_eq!(
        (&tilt["value"], &tilt["unit"]),
        (&200.0.into(), &"deg".into())
    );
    assert_eq!(tilt["quality"], "UncertainEngineeringUnitsExceeded");
    assert_eq!(shown["qualities"]["reading"], "BadInvalidTimestamp");
    assert_eq!(shown["attributes"]["member.fw"], "\"2\"");
}

#[test]
fn a_reading_of_a_class_not_in_force_is_shown_with_its_bytes() {
    let reading = crate::proto::platform::Reading {
        class_id: "unheard_of".to_owned(),
        value: vec![0xDE, 0xAD].into(),
        ..Default::default()
    };
    assert_eq!(render::reading(embedded(), &reading)["value_hex"], "dead");
}

#[test]
fn fields_that_the_class_does_not_know_are_shown_as_bytes() {
    let reading = crate::proto::platform::Reading {
        class_id: "manhole_cover".to_owned(),
        value: vec![0x18, 1, 0xF8, 0x06, 7].into(),
        ..Default::default()
    };
    let shown = render::reading(embedded(), &reading);
    assert_eq!(shown["unknown_fields_hex"], "f80607");
    assert_eq!(shown["values"]["water_overflow"]["value"], true);
}
