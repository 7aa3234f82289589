//! GB/T 26875.3 frames: public vectors, what is refused and why, round trips, damage.

use proptest::prelude::*;

use super::{
    super::{
        super::point::Decimal,
        encoding::{Encoder, Report},
        testing::{Found, Owned, Recorder, bit_flips, read_all, truncations, unhex, vectors},
    },
    *,
};
use crate::domain::{QuarantineReason, UnixNanos};

fn codec() -> Gb26875 {
    Gb26875::new(Options::default()).unwrap()
}

fn name(name: &str) -> OwnedKey {
    OwnedKey::Name(name.into())
}

fn value<'r>(record: &'r [Found], spelled: &str) -> &'r Owned {
    let key = codec().key(spelled).unwrap();
    let found = record.iter().find(|found| found.key == key);
    &found
        .unwrap_or_else(|| panic!("{spelled} in {record:?}"))
        .value
}

fn text(text: &str) -> Owned {
    Owned::Text(text.to_owned())
}

fn time(text: &str) -> Owned {
    let part = |at: usize, len: usize| text.get(at..at + len).unwrap().parse::<u16>().unwrap();
    let small = |at| u8::try_from(part(at, 2)).unwrap();
    let date = (part(0, 4), small(5), small(8));
    let civil = Civil::new(date, (small(11), small(14), small(17))).unwrap();
    Owned::Time(Moment::Local(civil))
}

fn framed(command: u8, data: &str) -> Vec<u8> {
    let data = unhex(data);
    let mut checked = unhex("0700 0102 2D340E0C0716 2C320000784D 640000000000");
    checked.extend(u16::try_from(data.len()).unwrap().to_le_bytes());
    checked.push(command);
    checked.extend(data);
    checked.push(sum8(&checked));
    [&START[..], &checked, &END].concat()
}

const AT: &str = "2D340E0C0716";

#[test]
fn public_frames_are_read_object_by_object() {
    for vector in vectors("gb26875") {
        let expect = &vector.expect;
        let found = read_all(&codec(), &vector.input).unwrap();
        let command = Owned::Whole(expect["cmd"].as_i64().unwrap());
        assert_eq!(found.head(&name("command")), Some(&command));
        for (head, member) in [("address", "source"), ("target", "target")] {
            if let Some(address) = expect[member].as_str() {
                assert_eq!(found.head(&name(head)), Some(&text(address)));
            }
        }
        let kind = expect["type"].as_i64().map(Owned::Whole);
        assert_eq!(found.head(&name("type")), kind.as_ref());
        let objects = expect["objects"].as_array().unwrap();
        assert_eq!(found.records.len(), objects.len(), "{}", vector.name);
        for (record, object) in found.records.iter().zip(objects) {
            let status = Owned::Whole(object["status"].as_i64().unwrap());
            let is_device = object["part_addr"].is_null();
            let key = if is_device {
                "device_status"
            } else {
                "part_status"
            };
            assert_eq!(value(record, key), &status);
            assert_eq!(
                value(record, "time"),
                &time(object["observed_local"].as_str().unwrap())
            );
            if is_device {
                continue;
            }
            for (key, member) in [
                ("system_type", "system_type"),
                ("system_address", "system_addr"),
                ("part_type", "part_type"),
            ] {
                assert_eq!(
                    value(record, key),
                    &Owned::Whole(object[member].as_i64().unwrap())
                );
            }
            let address = object["part_addr"].as_str().unwrap().to_uppercase();
            assert_eq!(value(record, "part_address"), &text(&address));
            if let Some(description) = object["description"].as_str() {
                assert_eq!(value(record, "part_description"), &text(description));
            }
        }
    }
}

#[test]
fn text_ends_at_its_first_nul_and_objects_bear_the_names_of_their_place() {
    let vector = vectors("gb26875")
        .into_iter()
        .find(|v| v.name == "part_smoke_fire_type42");
    let found = read_all(&codec(), &vector.unwrap().input).unwrap();
    let record = &found.records[0];
    let Owned::Text(description) = value(record, "part_description") else {
        panic!("no text");
    };
    assert!(description.ends_with('号'), "{description}");
    assert_eq!(value(record, "object"), &text("0000322C312C.0101.00010001"));
    let wire = Gb26875::new(serde_json::from_str(r#"{ "addresses": "wire" }"#).unwrap()).unwrap();
    let found = read_all(&wire, &framed(2, &["0101 0203 0400", AT].concat())).unwrap();
    assert_eq!(
        value(&found.records[0], "object"),
        &text("2C320000784D.0203")
    );
    assert_eq!(value(&found.records[0], "system_status"), &Owned::Whole(4));
}

#[test]
fn spoilt_and_cut_frames_are_never_taken_for_others() {
    for vector in vectors("gb26875") {
        truncations(&codec(), &vector.input);
        bit_flips(&codec(), &vector.input, |_, _| false);
    }
}

#[test]
fn analog_values_have_the_step_and_unit_of_their_kind() {
    let object = |kind: &str, raw: &str| ["0101 2A 01000100", kind, raw, AT].concat();
    let kinds = [
        "01", "02", "03", "04", "05", "06", "07", "08", "09", "0A", "0B", "0C", "80",
    ];
    let objects: Vec<_> = kinds.iter().map(|kind| object(kind, "9CFF")).collect();
    let found = read_all(&codec(), &framed(2, &["030D", &objects.concat()].concat())).unwrap();
    let expected = [
        ("event_count", -100.0, None),
        ("height", -1.0, Some("m")),
        ("temperature", -10.0, Some("Cel")),
        ("pressure_mpa", -10.0, Some("MPa")),
        ("pressure_kpa", -10.0, Some("kPa")),
        ("gas", -10.0, Some("%{LEL}")),
        ("duration", -100.0, Some("s")),
        ("voltage", -10.0, Some("V")),
        ("current", -10.0, Some("A")),
        ("flow", -10.0, Some("L/s")),
        ("air_flow", -10.0, Some("m3/min")),
        ("wind_speed", -100.0, Some("m/s")),
        ("analog.128", -100.0, None),
    ];
    assert_eq!(found.records.len(), expected.len());
    for (record, (spelled, number, unit)) in found.records.iter().zip(expected) {
        let key = codec().key(spelled).unwrap();
        let point = record.iter().find(|found| found.key == key).unwrap();
        let is_number = point.value == Owned::Number(number)
            || matches!(point.value, Owned::Whole(whole) if whole as f64 == number);
        assert!(is_number, "{spelled}: {:?}", point.value);
        assert_eq!(point.unit, unit, "{spelled}");
        assert_eq!(value(record, "part_type"), &Owned::Whole(42));
    }
}

#[test]
fn every_type_that_goes_up_is_read_to_its_end() {
    let whole = Owned::Whole;
    for (data, keys, has_time) in [
        (
            "0401 0102 03 04",
            vec![
                ("system_operation", whole(3)),
                ("system_operator", whole(4)),
            ],
            true,
        ),
        (
            "0501 0102 03 04",
            vec![
                ("system_version_major", whole(3)),
                ("system_version_minor", whole(4)),
            ],
            false,
        ),
        (
            "0601 0102 03 BAC541",
            vec![("system_description", text("号A"))],
            false,
        ),
        ("0801 0102", vec![("system_address", whole(2))], true),
        ("1501 14", vec![("device_status", whole(20))], true),
        (
            "1801 05 06",
            vec![
                ("device_operation", whole(5)),
                ("device_operator", whole(6)),
            ],
            true,
        ),
        (
            "1901 01 02",
            vec![
                ("device_version_major", whole(1)),
                ("device_version_minor", whole(2)),
            ],
            false,
        ),
        (
            "1A01 02 4142",
            vec![("device_description", text("AB"))],
            false,
        ),
        ("1C01", vec![("object", text("4D780000322C"))], true),
    ] {
        let data = if has_time {
            [data, AT].concat()
        } else {
            data.to_owned()
        };
        let found = read_all(&codec(), &framed(2, &data)).unwrap();
        assert_eq!(found.records.len(), 1, "{data}");
        let record = &found.records[0];
        for (key, expected) in keys {
            assert_eq!(value(record, key), &expected);
        }
        let observed = record.iter().find(|point| point.key == name("time"));
        let expected = has_time.then(|| time("2022-07-12T14:52:45"));
        assert_eq!(
            observed.map(|point| point.value.clone()),
            expected,
            "{data}"
        );
    }
}

#[test]
fn a_vendors_type_is_one_record_of_bytes() {
    let found = read_all(&codec(), &framed(2, "8002 010203")).unwrap();
    assert_eq!(found.records.len(), 1);
    assert_eq!(
        value(&found.records[0], "data"),
        &Owned::Bytes(vec![1, 2, 3])
    );
}

#[test]
fn a_part_status_without_text_is_read_where_the_length_says_so() {
    let object = ["0101 2A 01000100 0200", AT].concat();
    let found = read_all(&codec(), &framed(2, &["0202", &object, &object].concat())).unwrap();
    assert_eq!(found.records.len(), 2);
    assert_eq!(
        value(&found.records[1], "time"),
        &time("2022-07-12T14:52:45")
    );
}

#[test]
fn a_clock_that_is_not_set_is_a_missing_time() {
    let found = read_all(&codec(), &framed(2, "1501 01 000000000000")).unwrap();
    assert_eq!(value(&found.records[0], "time"), &Owned::Missing);
}

#[test]
fn frames_that_report_nothing_are_no_records_and_no_errors() {
    for (command, data) in [
        (2, ""),
        (3, ""),
        (1, "5A01 2D340E0C0716"),
        (4, "3D01 0102"),
        (6, ""),
        (2, "5A01 2D340E0C0716"),
        (130, "01"),
        (2, "0100"),
    ] {
        let found = read_all(&codec(), &framed(command, data)).unwrap();
        assert!(found.records.is_empty(), "{data}");
        let command = Owned::Whole(command.into());
        assert_eq!(found.head(&name("command")), Some(&command));
    }
}

#[test]
fn faults_of_frames_are_told_apart() {
    let reason = |frame: &[u8]| {
        codec()
            .decode(frame, &mut Recorder::default())
            .unwrap_err()
            .reason
    };
    let whole = framed(2, &["1501 14", AT].concat());
    let mut spoilt = whole.clone();
    spoilt[30] ^= 1;
    assert_eq!(reason(&spoilt), QuarantineReason::FrameCheck);
    let mut longer = whole.clone();
    longer[24] += 1;
    assert_eq!(reason(&longer), QuarantineReason::FrameMalformed);
    assert_eq!(
        reason(&framed(2, &["1502 14", AT].concat())),
        QuarantineReason::FrameMalformed
    );
    assert_eq!(reason(&framed(2, "15")), QuarantineReason::FrameMalformed);
    assert_eq!(reason(&whole[..20]), QuarantineReason::FrameMalformed);
    assert_eq!(reason(b"@@##"), QuarantineReason::FrameMalformed);
}

#[test]
fn frames_are_found_between_noise_and_behind_broken_ones() {
    let codec = codec();
    let whole = framed(2, &["1501 14", AT].concat());
    let mut broken = whole.clone();
    broken[24] += 3;
    let cut = |parts: &[&[u8]]| {
        let payload = parts.concat();
        let mut rest = &payload[..];
        let mut good = Vec::new();
        while let Framing::Frame { skip, len } = codec.frame(rest) {
            let (frame, behind) = rest[skip..].split_at(len);
            good.push(codec.decode(frame, &mut Recorder::default()).is_ok());
            rest = behind;
        }
        (good, codec.frame(rest))
    };
    let half = &whole[..28];
    assert_eq!(
        cut(&[b"@x", &whole, b"@@", &whole, b"\r\n"]),
        (vec![true; 2], Framing::Nothing)
    );
    assert_eq!(
        cut(&[&whole, half]),
        (vec![true], Framing::Partial { skip: 0 })
    );
    assert_eq!(cut(&[half, &whole]).0, [true]);
    assert_eq!(cut(&[&broken, &whole, &whole]).0, [false, true, true]);
    assert_eq!(cut(&[&broken, b"###", half]).0, [false]);
    assert_eq!(cut(&[b"@"]), (vec![], Framing::Partial { skip: 0 }));
    assert_eq!(cut(&[b""]), (vec![], Framing::Nothing));
}

#[test]
fn keys_that_mean_nothing_are_refused_with_a_reason() {
    for key in ["status", "analog.", "analog.256", "analog"] {
        let fault = codec().key(key).unwrap_err();
        assert!(fault.contains(key), "{fault}");
    }
    assert_eq!(codec().key("analog.3"), codec().key("temperature"));
}

fn round_trip(spelled: &[(&str, Value<'_>)]) -> Result<(), TestCaseError> {
    let points: Vec<_> = spelled
        .iter()
        .map(|(key, value)| (codec().key(key).unwrap(), *value))
        .collect();
    let at = UnixNanos(1_700_000_000_000_000_000);
    let report = Report {
        address: "4D780000322C",
        at,
        east_s: 28_800,
        serial: 5,
        points: &points,
    };
    let found = read_all(&codec(), &codec().encode(&report).unwrap()).unwrap();
    for (key, value) in &points {
        prop_assert_eq!(&found.found(key).unwrap().value, &Owned::from(*value));
    }
    prop_assert_eq!(found.head(&name("address")), Some(&text("4D780000322C")));
    if let Some(Owned::Time(Moment::Local(time))) = found.found(&name("time")).map(|f| &f.value) {
        prop_assert_eq!(time.at(28_800), Some(at));
    }
    Ok(())
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        word in any::<u16>(),
        byte in any::<u8>(),
        raw in any::<i16>(),
        address in "[0-9A-F]{8}",
        description in "[一-龥a-z]{0,15}",
    ) {
        let (word, byte, raw) = (Value::Whole(word.into()), Value::Whole(byte.into()), i64::from(raw));
        let part = [
            ("system_type", byte), ("system_address", byte), ("part_type", byte),
            ("part_address", Value::Text(&address)),
        ];
        let with = |more: &[(&'static str, Value<'_>)]| {
            let all: Vec<_> = part.iter().chain(more).copied().collect();
            round_trip(&all)
        };
        let text = Value::Text(&description);
        with(&[("part_status", word), ("part_description", text)])?;
        with(&[("part_description", text)])?;
        let decimal = |places| Value::Decimal(Decimal::new(raw, places));
        with(&[("temperature", decimal(1)), ("height", decimal(2)), ("analog.200", Value::Whole(raw))])?;
        round_trip(&[("system_type", byte), ("system_status", word)])?;
        round_trip(&[("system_type", byte), ("system_operation", byte), ("system_operator", byte)])?;
        round_trip(&[("system_version_major", byte), ("system_version_minor", byte)])?;
        round_trip(&[("system_description", text)])?;
        round_trip(&[("device_status", byte)])?;
        round_trip(&[("device_operation", byte), ("device_operator", byte)])?;
        round_trip(&[("device_version_major", byte), ("device_version_minor", byte)])?;
        round_trip(&[("device_description", text)])?;
        round_trip(&[])?;
    }

    #[test]
    fn arbitrary_bytes_are_read_without_a_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        kind in prop::sample::select(vec![1_u8, 2, 3, 4, 5, 6, 7, 8, 21, 24, 25, 26, 28, 61, 200]),
        count in 0_u8..5,
    ) {
        let data = [&[kind, count][..], &bytes].concat();
        let digits: String = data.iter().map(|byte| format!("{byte:02X}")).collect();
        let marked = [&START[..], &bytes, &END, &START, &bytes].concat();
        for payload in [&bytes, &marked, &framed(2, &digits)] {
            let is_told = read_all(&codec(), payload).map_or_else(|f| !f.detail.is_empty(), |_| true);
            prop_assert!(is_told);
        }
    }
}
