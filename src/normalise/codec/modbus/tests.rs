//! Modbus answers: public vectors, what is refused and why, round trips, damage.

use proptest::prelude::*;

use super::super::super::point::{Decimal, OwnedKey, Value};
use super::super::super::quality::Quality;
use super::super::bits::crc16_modbus;
use super::super::encoding::{Encoder, Report};
use super::super::testing::{
    Found, Owned, Recorder, bit_flips, read_all, truncations, unhex, vectors,
};
use super::super::{Codec, Framing};
use super::*;
use crate::domain::{QuarantineReason, UnixNanos};

/// The registers of the public frames.
const PUBLIC: &str = "map = [
  { name = 'humidity', unit_id = 1, count = 2, decimals = 1 },
  { name = 'temperature', unit_id = 1, count = 2, at = 1, type = 'i16', decimals = 1 },
  { name = 'flow_total', unit_id = 5, count = 4, type = 'u32', decimals = 2 },
  { name = 'low_battery', unit_id = 5, count = 4, at = 2, type = 'bool' },
  { name = 'tamper', unit_id = 5, count = 4, at = 2, type = 'bool', shift = 1 },
  { name = 'reverse_flow', unit_id = 5, count = 4, at = 2, type = 'bits', shift = 2 },
]";

fn try_codec(options: &str) -> Result<Modbus, String> {
    Modbus::new(toml::from_str(options).unwrap())
}

fn codec(options: &str) -> Modbus {
    try_codec(options).unwrap()
}

fn found(codec: &mut Modbus, recorder: &Recorder, spelled: &str) -> Found {
    let key = codec.key(spelled).unwrap();
    let found = recorder.found(&key);
    found
        .unwrap_or_else(|| panic!("{spelled} in {recorder:?}"))
        .clone()
}

fn head(recorder: &Recorder, name: &str) -> Option<Owned> {
    recorder.head(&OwnedKey::Name(name.into())).cloned()
}

/// A frame with its check.
fn frame_of(body: &str) -> Vec<u8> {
    let mut frame = unhex(body);
    let crc = crc16_modbus(&frame);
    frame.extend(crc.to_le_bytes());
    frame
}

/// The value of a map's only entry.
fn read(entry: &str, body: &str) -> Owned {
    let mut codec = codec(&format!("map = [{{ name = 'x', {entry} }}]"));
    let recorder = read_all(&codec, &frame_of(body)).unwrap();
    found(&mut codec, &recorder, "x").value
}

#[test]
fn every_public_frame_reads_as_published() {
    for vector in vectors("modbus_rtu") {
        let mut codec = codec(PUBLIC);
        let recorder = read_all(&codec, &vector.input).unwrap();
        let expect = &vector.expect;
        let unit = Owned::Whole(expect["unit_id"].as_i64().unwrap());
        assert_eq!(head(&recorder, "unit"), Some(unit));
        if expect["error"] == "illegal_data_address" {
            assert_eq!(head(&recorder, "exception"), Some(Owned::Whole(2)));
            assert_eq!(head(&recorder, "function"), Some(Owned::Whole(3)));
            assert!(recorder.records.is_empty());
            continue;
        }
        for (reading, expected) in expect["readings"].as_object().unwrap() {
            let value = found(&mut codec, &recorder, reading).value;
            assert_eq!(value, Owned::Number(expected["value"].as_f64().unwrap()));
        }
        if expect["flags"].is_object() {
            let mut flag = |name| found(&mut codec, &recorder, name).value;
            assert_eq!(flag("low_battery"), Owned::Bool(true));
            assert_eq!(flag("tamper"), Owned::Bool(false));
            assert_eq!(flag("reverse_flow"), Owned::Whole(1));
        }
    }
}

#[test]
fn every_public_frame_cut_short_or_spoilt_in_one_bit_gives_nothing() {
    for vector in vectors("modbus_rtu") {
        truncations(&codec(PUBLIC), &vector.input);
        bit_flips(&codec(PUBLIC), &vector.input, |_, _| false);
    }
}

#[test]
fn a_wrong_check_is_a_failed_check() {
    let reject = read_all(&codec(PUBLIC), &unhex("0103040292FF9B5A3E")).unwrap_err();
    assert_eq!(reject.reason, QuarantineReason::FrameCheck);
}

#[test]
fn four_orders_of_bytes_are_read() {
    for (order, registers) in [
        ("ABCD", "0001E240"),
        ("CDAB", "E2400001"),
        ("BADC", "010040E2"),
        ("DCBA", "40E20100"),
    ] {
        let entry = format!("type = 'u32', order = '{order}'");
        assert_eq!(
            read(&entry, &format!("010304{registers}")),
            Owned::Whole(123_456)
        );
    }
    let value = read("type = 'u64', order = 'CDAB'", "010308 0004 0003 0002 0001");
    assert_eq!(value, Owned::Whole(0x0001_0002_0003_0004));
    assert_eq!(read("order = 'BADC'", "010302 3412"), Owned::Whole(0x1234));
}

#[test]
fn every_type_is_read() {
    assert_eq!(read("type = 'i16'", "010302 FFFE"), Owned::Whole(-2));
    assert_eq!(
        read("type = 'i32', decimals = 3", "010304 FFFFFFFE"),
        Owned::Number(-0.002)
    );
    assert_eq!(
        read("type = 'i64'", "010308 FFFFFFFFFFFFFFFE"),
        Owned::Whole(-2)
    );
    assert_eq!(
        read("type = 'u64'", "010308 FFFFFFFFFFFFFFFE"),
        Owned::Large(u64::MAX - 1)
    );
    assert_eq!(read("type = 'f32'", "010304 41480000"), Owned::Number(12.5));
    assert_eq!(
        read("type = 'f64'", "010308 4029000000000000"),
        Owned::Number(12.5)
    );
    assert_eq!(
        read("type = 'bits', shift = 4, width = 8", "010302 0AB0"),
        Owned::Whole(0xAB)
    );
    assert_eq!(
        read("type = 'bcd', registers = 2", "010304 12345678"),
        Owned::Whole(12_345_678)
    );
    assert_eq!(read("type = 'bcd'", "010302 FFFF"), Owned::Missing);
    let text = Owned::Text("ABC".to_owned());
    assert_eq!(
        read("type = 'text', registers = 2", "010304 41424300"),
        text
    );
    assert_eq!(
        read(
            "type = 'text', registers = 2, order = 'BADC'",
            "010304 42412043"
        ),
        text
    );
}

#[test]
fn digits_that_are_none_spoil_their_value() {
    let mut codec = codec("map = [{ name = 'x', type = 'bcd' }]");
    let recorder = read_all(&codec, &frame_of("010302 0A00")).unwrap();
    let found = found(&mut codec, &recorder, "x");
    assert_eq!((found.value, found.quality), (Owned::Missing, Quality::BAD));
}

#[test]
fn coils_and_inputs_are_bits() {
    assert_eq!(
        read("function = 1, at = 9", "010102 0002"),
        Owned::Bool(true)
    );
    assert_eq!(
        read("function = 2, count = 10, at = 9", "010202 0000"),
        Owned::Bool(false)
    );
}

#[test]
fn a_reply_is_bound_by_unit_function_and_count() {
    let map = "map = [
      { name = 'a', unit_id = 1, count = 1 },
      { name = 'b', unit_id = 2, count = 1 },
      { name = 'c', function = 4, count = 1 },
      { name = 'd', count = 2 },
    ]";
    for (body, spelled) in [
        ("010302 0001", "a"),
        ("020302 0001", "b"),
        ("030402 0001", "c"),
    ] {
        let mut codec = codec(map);
        let recorder = read_all(&codec, &frame_of(body)).unwrap();
        assert_eq!(recorder.records.concat().len(), 1);
        assert_eq!(found(&mut codec, &recorder, spelled).value, Owned::Whole(1));
    }
    let reject = read_all(&codec(map), &frame_of("030302 0001")).unwrap_err();
    assert_eq!(reject.reason, QuarantineReason::FrameUnsupported);
    let ignoring = codec(&format!("unmapped = 'ignore'\n{map}"));
    assert!(
        read_all(&ignoring, &frame_of("030302 0001"))
            .unwrap()
            .records
            .is_empty()
    );
}

#[test]
fn a_request_in_front_of_its_reply_says_the_first_register() {
    let map = "map = [{ name = 'a', start = 0, count = 1 }, { name = 'b', start = 16, count = 1 }]";
    let mut codec = codec(map);
    let reply = frame_of("010302 0007");
    let payload = [frame_of("0103 0010 0001"), reply.clone()].concat();
    let recorder = read_all(&codec, &payload).unwrap();
    assert_eq!(head(&recorder, "start"), Some(Owned::Whole(16)));
    assert_eq!(recorder.records.concat().len(), 1);
    assert_eq!(found(&mut codec, &recorder, "b").value, Owned::Whole(7));
    let reject = read_all(&codec, &reply).unwrap_err();
    assert!(reject.detail.contains("request"), "{}", reject.detail);
    truncations(&codec, &payload);
}

#[test]
fn acknowledgements_and_requests_alone_have_no_record() {
    for body in [
        "0106 0001 0003",
        "0105 0001 FF00",
        "0110 0001 0002",
        "0103 0000 0002",
        "0110 0001 0001 02 0003",
    ] {
        let recorder = read_all(&codec(PUBLIC), &frame_of(body)).unwrap();
        assert_eq!(head(&recorder, "unit"), Some(Owned::Whole(1)), "{body}");
        assert!(recorder.records.is_empty());
    }
}

#[test]
fn frames_are_found_behind_the_name_of_a_dtu_and_the_last_may_be_half() {
    let [first, second, exception] = [0, 1, 2].map(|at| vectors("modbus_rtu")[at].input.clone());
    let half = &second[..7];
    let payload = [b"DTU0001:", &*first, b"\r\n", &second, &exception, half].concat();
    let recorder = read_all(&codec(PUBLIC), &payload).unwrap();
    assert_eq!(recorder.records.len(), 2);
    assert_eq!(head(&recorder, "exception"), Some(Owned::Whole(2)));
    assert_eq!(codec(PUBLIC).frame(half), Framing::Partial { skip: 0 });
    assert_eq!(codec(PUBLIC).frame(b"no frame\r\n"), Framing::Nothing);
    assert_eq!(codec(PUBLIC).frame(&[0xFF; 20]), Framing::Nothing);
}

#[test]
fn a_spoilt_frame_is_not_taken_for_noise_of_the_next() {
    let mut spoilt = vectors("modbus_rtu")[0].input.clone();
    spoilt[4] ^= 1;
    let payload = [spoilt.clone(), vectors("modbus_rtu")[1].input.clone()].concat();
    let framing = codec(PUBLIC).frame(&payload);
    assert_eq!(
        framing,
        Framing::Frame {
            skip: 0,
            len: spoilt.len()
        }
    );
}

#[test]
fn wrong_entries_are_named() {
    for (entry, what) in [
        ("function = 5", "reads nothing"),
        ("function = 1, type = 'u16'", "bool only"),
        ("count = 1, at = 1", "behind"),
        ("function = 1, count = 4, at = 4", "behind"),
        ("type = 'u32', at = 124", "behind"),
        ("type = 'text'", "registers"),
        ("type = 'bcd', registers = 5", "1 to 4"),
        ("registers = 2", "bcd and text"),
        ("type = 'bits', shift = 9, width = 8", "16 bits"),
        ("shift = 1", "bits and bool"),
        ("type = 'f32', decimals = 1", "whole numbers"),
        ("type = 'text', registers = 1, order = 'CDAB'", "BADC"),
    ] {
        let error = try_codec(&format!("map = [{{ name = 'x', {entry} }}]")).unwrap_err();
        assert!(error.contains(what), "{entry}: {error}");
    }
    assert!(try_codec("").unwrap_err().contains("entries are wanted"));
    assert!(
        codec(PUBLIC)
            .key("pressure")
            .unwrap_err()
            .contains("humidity")
    );
    assert_eq!(codec(PUBLIC).key("unit"), Ok(OwnedKey::Name("unit".into())));
}

const MIXED: &str = "map = [
  { name = 'u16', count = 30, at = 0 },
  { name = 'i16', count = 30, at = 1, type = 'i16', order = 'DCBA', decimals = 1 },
  { name = 'u32', count = 30, at = 2, type = 'u32', order = 'CDAB', decimals = 2 },
  { name = 'i32', count = 30, at = 4, type = 'i32', order = 'BADC' },
  { name = 'u64', count = 30, at = 6, type = 'u64', order = 'DCBA' },
  { name = 'i64', count = 30, at = 10, type = 'i64', order = 'CDAB' },
  { name = 'f64', count = 30, at = 14, type = 'f64' },
  { name = 'bcd', count = 30, at = 18, type = 'bcd', registers = 2, order = 'CDAB', decimals = 3 },
  { name = 'bits', count = 30, at = 20, type = 'bits', shift = 3, width = 5 },
  { name = 'bool', count = 30, at = 20, type = 'bool', shift = 9 },
  { name = 'coil', function = 1, start = 3, count = 12, at = 11 },
]";

proptest! {
    #[test]
    fn what_is_written_is_read(unit in 1_u8..=247, number in any::<u64>(), real in -1e9_f64..1e9, is_on in any::<bool>()) {
        let mut codec = codec(MIXED);
        let [.., c, d] = number.to_be_bytes();
        let short = u16::from_be_bytes([c, d]);
        let word = u32::try_from(number & 0xFFFF_FFFF).unwrap();
        let values = [
            ("u16", Value::Whole(short.into())),
            ("i16", Value::Decimal(Decimal::new(short.cast_signed().into(), 1))),
            ("u32", Value::Decimal(Decimal::new(word.into(), 2))),
            ("i32", Value::Whole(word.cast_signed().into())),
            ("u64", if number > i64::MAX.cast_unsigned() { Value::Large(number) } else { Value::Whole(number.cast_signed()) }),
            ("i64", Value::Whole(number.cast_signed())),
            ("f64", Value::Real(real)),
            ("bcd", Value::Decimal(Decimal::new(i64::from(word % 100_000_000), 3))),
            ("bits", Value::Whole(i64::from(short % 32))),
            ("bool", Value::Bool(is_on)),
            ("coil", Value::Bool(!is_on)),
        ];
        let points = values.map(|(name, value)| (codec.key(name).unwrap(), value));
        let address = unit.to_string();
        let report = Report { address: &address, at: UnixNanos(0), east_s: 0, serial: 0, points: &points };
        let recorder = read_all(&codec, &codec.encode(&report).unwrap()).unwrap();
        prop_assert_eq!(head(&recorder, "unit"), Some(Owned::Whole(unit.into())));
        prop_assert_eq!(head(&recorder, "start"), Some(Owned::Whole(3)));
        for (key, value) in &points {
            let read = recorder.found(key).map(|found| found.value.clone());
            prop_assert_eq!(read, Some(Owned::from(*value)));
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _read = read_all(&codec(MIXED), &bytes);
        let _decoded = codec(MIXED).decode(&bytes, &mut Recorder::default());
    }

    #[test]
    fn no_reply_panics(function in 1_u8..0x12, body in prop::collection::vec(any::<u8>(), 0..260)) {
        let body: String = body.iter().map(|byte| format!("{byte:02X}")).collect();
        let frame = frame_of(&format!("01{function:02X}{body}"));
        let _read = read_all(&codec(MIXED), &frame);
        let _decoded = codec(MIXED).decode(&frame, &mut Recorder::default());
    }
}
