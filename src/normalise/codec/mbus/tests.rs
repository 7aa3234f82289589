//! M-Bus frames: public vectors, what is refused and why, round trips, damage.

use proptest::prelude::*;

use super::super::super::point::{Civil, Decimal, Moment, OwnedKey, Value};
use super::super::super::quality::Quality;
use super::super::encoding::{Encoder, Report};
use super::super::testing::{
    Found, Owned, Recorder, bit_flips, read_all, truncations, unhex, vectors,
};
use super::super::{Codec, Framing};
use super::*;
use crate::domain::{QuarantineReason, UnixNanos};

fn codec() -> Mbus {
    Mbus::new(Options::default()).unwrap()
}

fn head(recorder: &Recorder, name: &str) -> Option<Owned> {
    recorder.head(&OwnedKey::Name(name.into())).cloned()
}

/// The value that a spelling finds in a payload.
fn found(payload: &[u8], spelled: &str) -> Found {
    let mut codec = codec();
    let key = codec.key(spelled).unwrap();
    let recorder = read_all(&codec, payload).unwrap();
    recorder
        .found(&key)
        .unwrap_or_else(|| panic!("{spelled} in {recorder:?}"))
        .clone()
}

fn text(text: &str) -> Owned {
    Owned::Text(text.to_owned())
}

fn local(date: (u16, u8, u8), clock: (u8, u8, u8)) -> Owned {
    Owned::Time(Moment::Local(Civil::new(date, clock).unwrap()))
}

fn framed(counted: &[u8]) -> Vec<u8> {
    let length = u8::try_from(counted.len()).unwrap();
    let mut frame = vec![0x68, length, length, 0x68];
    frame.extend(counted);
    frame.extend([sum8(counted), 0x16]);
    frame
}

/// A telegram of meter 12345678 with these records.
fn telegram(records: &str) -> Vec<u8> {
    framed(&unhex(&format!(
        "08 01 72 78563412 2D2C 01 04 05 00 0000 {records}"
    )))
}

fn vector(which: &str) -> Vec<u8> {
    let mut all = vectors("mbus").into_iter();
    all.find(|vector| vector.name == which).unwrap().input
}

#[test]
fn every_public_frame_reads_as_published() {
    let spelled = [
        ("humidity", "text:%RH"),
        ("humidity_min", "text:%RH.min"),
        ("humidity_max", "text:%RH.max"),
        ("temperature", "temperature.external"),
        ("temperature_min", "temperature.external.min"),
        ("energy", "energy"),
        ("volume", "volume"),
        ("flow_temperature", "temperature.flow"),
        ("return_temperature", "temperature.return"),
        ("battery_days", "text:bat. time"),
    ];
    for vector in vectors("mbus") {
        let recorder = read_all(&codec(), &vector.input).unwrap();
        let expect = &vector.expect;
        assert_eq!(recorder.records.len(), 1, "{}", vector.name);
        assert_eq!(
            head(&recorder, "address"),
            Some(text(expect["device"].as_str().unwrap()))
        );
        assert_eq!(
            head(&recorder, "medium"),
            Some(text(expect["medium"].as_str().unwrap()))
        );
        for (reading, expected) in expect["readings"].as_object().unwrap() {
            let (_, spelled) = spelled.iter().find(|(name, _)| name == reading).unwrap();
            let found = found(&vector.input, spelled);
            let number = match found.value {
                Owned::Whole(whole) => whole as f64,
                Owned::Number(number) => number,
                other => panic!("{reading}: {other:?}"),
            };
            assert_eq!(Some(number), expected["value"].as_f64(), "{reading}");
            // the days of the battery stand in the text only
            let unit = expected["unit"]
                .as_str()
                .filter(|_| reading != "battery_days");
            assert_eq!(found.unit, unit, "{reading}");
        }
    }
}

#[test]
fn the_rest_of_the_public_frames_is_read() {
    let heat = vector("kamstrup_multical_601");
    assert_eq!(found(&heat, "time").value, local((2011, 1, 5), (15, 26, 0)));
    assert_eq!(
        found(&heat, "date.storage1").value,
        local((2010, 12, 31), (0, 0, 0))
    );
    assert_eq!(found(&heat, "fabrication_number").value, text("06855817"));
    assert_eq!(found(&heat, "volume.unit1").value, Owned::Number(0.0));
    assert_eq!(found(&heat, "energy.tariff2").unit, Some("kW.h"));
    assert_eq!(found(&heat, "energy.unit3.storage1").unit, Some("kW.h"));
    assert_eq!(found(&heat, "on_time").unit, Some("h"));
    let recorder = read_all(&codec(), &heat).unwrap();
    assert_eq!(head(&recorder, "manufacturer"), Some(text("KAM")));
    let gas = vector("itron_cyble_m-bus_v1.4_gas");
    assert_eq!(
        found(&gas, "time").value,
        local((2011, 10, 25), (15, 43, 0))
    );
    assert_eq!(found(&gas, "text:cust. ID").value, text(""));
    assert_eq!(
        found(&gas, "maker_data").value,
        Owned::Bytes(unhex("00021F"))
    );
    let climate = vector("elv_temp_humid");
    assert_eq!(found(&climate, "averaging_duration").unit, Some("h"));
    assert_eq!(
        found(&climate, "temperature.external.storage2").value,
        Owned::Number(22.69)
    );
    let recorder = read_all(&codec(), &climate).unwrap();
    assert_eq!(head(&recorder, "more"), Some(Owned::Bool(true)));
}

#[test]
fn every_public_frame_cut_short_or_spoilt_in_one_bit_gives_nothing() {
    for vector in vectors("mbus") {
        truncations(&codec(), &vector.input);
        bit_flips(&codec(), &vector.input, |_, _| false);
    }
}

#[test]
fn a_wrong_sum_is_a_failed_check_and_a_wrong_end_malformed() {
    let mut frame = telegram("04 06 01000000");
    let end = frame.len() - 1;
    frame[end - 1] ^= 1;
    let reject = read_all(&codec(), &frame).unwrap_err();
    assert_eq!(reject.reason, QuarantineReason::FrameCheck);
    frame[end] = 0;
    let reject = read_all(&codec(), &frame).unwrap_err();
    assert_eq!(reject.reason, QuarantineReason::FrameMalformed);
}

#[test]
fn every_coding_is_read() {
    let read = |records: &str| found(&telegram(records), "volume").value;
    assert_eq!(read("01 16 FE"), Owned::Whole(-2));
    assert_eq!(read("02 13 FEFF"), Owned::Number(-0.002));
    assert_eq!(read("03 13 010000"), Owned::Number(0.001));
    assert_eq!(read("04 17 02000000"), Owned::Whole(20));
    assert_eq!(read("05 13 00004841"), Owned::Number(0.0125));
    assert_eq!(read("06 16 010000000000"), Owned::Whole(1));
    assert_eq!(read("07 16 FFFFFFFFFFFFFFFF"), Owned::Whole(-1));
    assert_eq!(read("09 16 12"), Owned::Whole(12));
    assert_eq!(read("0A 16 3412"), Owned::Whole(1234));
    assert_eq!(read("0B 16 563412"), Owned::Whole(123_456));
    assert_eq!(read("0C 14 78563412"), Owned::Number(123_456.78));
    assert_eq!(read("0E 16 785634129078"), Owned::Whole(789_012_345_678));
    assert_eq!(read("0C 16 785634F2"), Owned::Whole(-2_345_678));
    assert_eq!(read("0D 16 C2 3412"), Owned::Whole(1234));
    assert_eq!(read("0D 16 D2 3412"), Owned::Whole(-1234));
    assert_eq!(read("0D 16 E3 563412"), Owned::Whole(0x12_3456));
    assert_eq!(read("0D 16 03 434241"), text("ABC"));
    assert_eq!(read("0D 16 02 E4C4"), text("Ää"));
    assert_eq!(
        read("07 97 7D FFFFFFFFFFFFFF7F"),
        Owned::Number(9.223_372_036_854_776e22)
    );
}

#[test]
fn factors_of_ten_that_add_up_beyond_what_is_exact_make_a_real_number() {
    assert_eq!(values::scaled(5, -18), Value::Decimal(Decimal::new(5, 18)));
    assert_eq!(values::scaled(5, -19), Value::Real(5e-19));
    // 10^-3 m3, and ten times 10^-6.
    let payload = telegram("01 93 F0F0F0F0F0F0F0F0F070 05");
    let Owned::Number(volume) = found(&payload, "volume").value else {
        panic!("no number");
    };
    assert!((volume / 5e-63 - 1.0).abs() < 1e-9, "{volume}");
}

#[test]
fn what_the_meter_marks_as_none_is_missing() {
    let read = |records: &str| {
        let found = found(&telegram(records), "volume");
        (found.value, found.quality)
    };
    let missing = (Owned::Missing, Quality::GOOD);
    assert_eq!(read("04 16 00000080"), missing);
    assert_eq!(read("0C 16 FFFFFFFF"), missing);
    assert_eq!(read("04 96 15 00000000"), missing);
    assert_eq!(read("0C 16 0A000000"), (Owned::Missing, Quality::BAD));
    assert_eq!(read("04 96 18 01000000"), (Owned::Whole(1), Quality::BAD));
    assert_eq!(
        read("04 96 16 01000000"),
        (Owned::Whole(1), Quality::RANGE_EXCEEDED)
    );
}

#[test]
fn a_status_of_an_error_makes_values_uncertain() {
    let frame = framed(&unhex(
        "08 01 72 78563412 2D2C 01 04 05 08 0000 04 06 01000000",
    ));
    assert_eq!(found(&frame, "energy").quality, Quality::UNCERTAIN);
    let frame = framed(&unhex("08 01 7A 05 04 0000 04 06 01000000"));
    assert_eq!(found(&frame, "energy").quality, Quality::GOOD);
    let frame = framed(&unhex("08 01 78 04 06 01000000"));
    assert_eq!(found(&frame, "energy").value, Owned::Whole(1));
}

#[test]
fn storage_tariff_unit_function_and_modifier_make_a_key() {
    let frame = telegram(
        "C4 61 14 64000000 54 2B 07000000 34 06 09000000 04 86 3B 02000000 84 80 80 40 06 03000000",
    );
    assert_eq!(
        found(&frame, "volume.storage3.tariff2.unit1").value,
        Owned::Number(1.0)
    );
    assert_eq!(
        found(&frame, "power.storage1.max").value,
        Owned::Number(0.007)
    );
    assert_eq!(found(&frame, "energy.error").value, Owned::Whole(9));
    assert_eq!(found(&frame, "energy.positive").value, Owned::Whole(2));
    assert_eq!(found(&frame, "energy.unit4").value, Owned::Whole(3));
    let frame = telegram("04 FD C8 FC 02 EA080000 02 FD 59 D007");
    assert_eq!(found(&frame, "voltage.l2").value, Owned::Number(228.2));
    assert_eq!(found(&frame, "current").value, Owned::Number(2.0));
}

#[test]
fn calendars_of_every_width_are_read() {
    let read = |records: &str, key: &str| found(&telegram(records), key).value;
    assert_eq!(read("02 6C 5F1C", "date"), local((2010, 12, 31), (0, 0, 0)));
    assert_eq!(read("02 6C FFFF", "date"), Owned::Missing);
    assert_eq!(
        read("04 6D 1A2F6511", "time"),
        local((2011, 1, 5), (15, 26, 0))
    );
    assert_eq!(read("04 6D 9A2F6511", "time"), Owned::Missing);
    assert_eq!(
        read("06 6D 1E 1A 0F 65 11 00", "time"),
        local((2011, 1, 5), (15, 26, 30))
    );
    assert_eq!(read("03 6D 1E 1A 0F", "time"), Owned::Whole(55_590));
}

#[test]
fn fill_is_passed_over_and_the_makers_data_are_bytes() {
    let frame = telegram("2F 2F 04 06 01000000 2F 0F 0102");
    assert_eq!(found(&frame, "energy").value, Owned::Whole(1));
    assert_eq!(found(&frame, "maker_data").value, Owned::Bytes(vec![1, 2]));
}

#[test]
fn a_record_that_ends_early_is_malformed() {
    for records in [
        "04 06 0100",
        "04",
        "04 86",
        "0D 7C 08 41",
        "0D 16 F7",
        "3F",
        &"84 ".repeat(20),
    ] {
        let reject = read_all(&codec(), &telegram(records)).unwrap_err();
        assert_eq!(reject.reason, QuarantineReason::FrameMalformed, "{records}");
    }
}

#[test]
fn what_cannot_be_read_is_said() {
    let encrypted = framed(&unhex("08 01 72 78563412 2D2C 01 04 05 00 1005 00000000"));
    let reject = read_all(&codec(), &encrypted).unwrap_err();
    assert_eq!(reject.reason, QuarantineReason::FrameUnsupported);
    assert!(reject.detail.contains("mode 5"));
    let fixed = framed(&unhex("08 01 73 78563412 05 00 E97E 01000000 35010000"));
    let reject = read_all(&codec(), &fixed).unwrap_err();
    assert_eq!(reject.reason, QuarantineReason::FrameUnsupported);
}

#[test]
fn requests_errors_and_empty_replies_have_no_record() {
    for counted in [
        "53 01 50",
        "08 01 70 08",
        "08 01 72 78563412 2D2C 01 04 05 00 0000",
    ] {
        let recorder = read_all(&codec(), &framed(&unhex(counted))).unwrap();
        assert_eq!(head(&recorder, "primary_address"), Some(Owned::Whole(1)));
        assert!(recorder.records.is_empty());
        let error = counted.contains(" 70 ").then_some(Owned::Whole(8));
        assert_eq!(head(&recorder, "error"), error);
    }
}

#[test]
fn frames_are_found_between_noise_and_the_last_may_be_half() {
    let (first, second) = (
        vector("elv_temp_humid"),
        vector("itron_cyble_m-bus_v1.4_gas"),
    );
    let half = &first[..40];
    let payload = [&[0xE5, 0x68, 0x10][..], &first, b"noise", &second, half].concat();
    let recorder = read_all(&codec(), &payload).unwrap();
    assert_eq!(recorder.records.len(), 2);
    assert_eq!(codec().frame(half), Framing::Partial { skip: 0 });
    assert_eq!(codec().frame(b"no frame"), Framing::Nothing);
}

#[test]
fn wrong_spellings_are_told_the_right_ones() {
    for spelled in [
        "power.peak",
        "heat",
        "energy.storage0",
        "energy.tariffx",
        "text:",
        "",
    ] {
        let error = codec().key(spelled).unwrap_err();
        assert!(
            error.contains("temperature.flow") && error.contains("uncorrected"),
            "{spelled}"
        );
    }
    let mut codec = codec();
    assert_eq!(
        codec.key("energy.max.storage1"),
        codec.key("energy.storage1.max")
    );
    assert_ne!(codec.key("text:a"), codec.key("text:b"));
    assert_eq!(codec.key("text:cust. ID"), codec.key("text:cust. ID"));
    assert_eq!(codec.key("address"), Ok(OwnedKey::Name("address".into())));
}

/// What is written and read back: spelling, and decimals from and to.
const NUMBERS: [(&str, u8, u8); 12] = [
    ("energy", 0, 6),
    ("volume", 0, 6),
    ("power", 0, 6),
    ("temperature.flow", 0, 3),
    ("volume_flow", 0, 6),
    ("voltage", 0, 9),
    ("frequency", 0, 3),
    ("reactive_energy", 0, 6),
    ("on_time", 0, 0),
    ("text:%RH", 0, 6),
    ("error_flags", 0, 0),
    ("pressure", 0, 3),
];
const SUFFIXES: [&str; 8] = [
    "",
    ".max",
    ".min.storage1",
    ".error.unit3",
    ".storage200",
    ".tariff9.storage2",
    ".unit1",
    ".storage31.tariff4.unit5.max",
];

proptest! {
    #[test]
    fn what_is_written_is_read(
        address in "[0-9]{8}",
        numbers in prop::collection::btree_map((0..NUMBERS.len(), 0..SUFFIXES.len()), (any::<i64>(), any::<u8>()), 1..8),
        year in 2000_u16..2099,
        minute in 0_u8..60,
        modifier in prop::sample::select(vec!["positive", "upper_limit", "l3", "neutral", "future", "derived"]),
    ) {
        let mut codec = codec();
        let mut points = Vec::new();
        for ((which, suffix), (number, places)) in numbers {
            let (spelled, least, most) = NUMBERS[which];
            let key = codec.key(&format!("{spelled}{}", SUFFIXES[suffix])).unwrap();
            let places = least + places % (most - least + 1);
            let number = if spelled == "error_flags" { number & 0x7FFF_FFFF } else { number.max(-i64::MAX) };
            let value = if places == 0 { Value::Whole(number) } else { Value::Decimal(Decimal::new(number, places)) };
            points.push((key, value));
        }
        let time = Civil::new((year, 2, 28), (23, minute, 0)).unwrap();
        points.push((codec.key("time").unwrap(), Value::Time(Moment::Local(time))));
        points.push((codec.key("customer").unwrap(), Value::Text("ab 1")));
        points.push((codec.key(&format!("volume.{modifier}")).unwrap(), Value::Whole(7)));
        points.push((codec.key("mass").unwrap(), Value::Missing));
        points.push((codec.key("maker_data").unwrap(), Value::Bytes(&[1, 2, 3])));
        let report = Report { address: &address, at: UnixNanos(0), east_s: 0, serial: 3, points: &points };
        let recorder = read_all(&codec, &codec.encode(&report).unwrap()).unwrap();
        prop_assert_eq!(head(&recorder, "address"), Some(Owned::Text(address.clone())));
        for (key, value) in &points {
            let read = recorder.found(key).map(|found| found.value.clone());
            prop_assert_eq!(read, Some(Owned::from(*value)));
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _read = read_all(&codec(), &bytes);
        let _decoded = codec().decode(&bytes, &mut Recorder::default());
    }

    #[test]
    fn no_records_panic(records in prop::collection::vec(any::<u8>(), 0..200)) {
        let records: String = records.iter().map(|byte| format!("{byte:02X}")).collect();
        let _read = read_all(&codec(), &telegram(&records));
    }
}
