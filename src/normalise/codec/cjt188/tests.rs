//! CJ/T 188 frames: public vectors, what is refused and why, round trips, damage.

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

fn codec() -> Cjt188 {
    Cjt188::new(Options::default()).unwrap()
}

fn with(options: &str) -> Cjt188 {
    Cjt188::new(toml::from_str(options).unwrap()).unwrap()
}

fn name(name: &str) -> OwnedKey {
    OwnedKey::Name(name.into())
}

fn found(recorder: &Recorder, key: &str) -> Found {
    let found = recorder.found(&name(key));
    found
        .unwrap_or_else(|| panic!("{key} in {recorder:?}"))
        .clone()
}

fn local(date: (u16, u8, u8), clock: (u8, u8, u8)) -> Owned {
    Owned::Time(Moment::Local(Civil::new(date, clock).unwrap()))
}

fn frame_of(kind: u8, control: u8, data: &str) -> Vec<u8> {
    let data = unhex(data);
    let mut frame = vec![0x68, kind, 1, 0, 0, 0, 0, 0, 0, control];
    frame.push(u8::try_from(data.len()).unwrap());
    frame.extend(data);
    frame.push(sum8(&frame));
    frame.push(END);
    frame
}

fn vector(which: &str) -> Vec<u8> {
    let mut all = vectors("cjt188").into_iter();
    all.find(|vector| vector.name == which).unwrap().input
}

const WATER: &str = "901F00 34120000 2C 21430000 2C 30150825062320 0400";
const HEAT: &str = "901F01 00100000 05 34120000 05 56000000 17 45230100 35 00050000 2C \
                    305500 254000 230100 30150825062320 0100";

#[test]
fn every_public_frame_reads_as_published() {
    let spelled = [
        ("volume_total", "volume"),
        ("volume_settlement", "volume_settlement"),
        ("flow", "flow"),
    ];
    for vector in vectors("cjt188") {
        let recorder = read_all(&codec(), &vector.input).unwrap();
        let expect = &vector.expect;
        let address = Owned::Text(expect["device"].as_str().unwrap().to_owned());
        assert_eq!(
            recorder.head(&name("address")),
            Some(&address),
            "{}",
            vector.name
        );
        if let Some(control) = expect["ctrl"].as_str() {
            let control = Owned::Whole(i64::from_str_radix(control, 16).unwrap());
            assert_eq!(recorder.head(&name("command")), Some(&control));
        }
        let Some(readings) = expect["readings"].as_object() else {
            assert!(recorder.records.is_empty());
            continue;
        };
        assert_eq!(recorder.records.len(), 1);
        for (reading, expected) in readings {
            let (_, key) = spelled.iter().find(|(name, _)| name == reading).unwrap();
            let found = found(&recorder, key);
            assert_eq!(
                found.value,
                Owned::Number(expected["value"].as_f64().unwrap())
            );
            assert_eq!(found.unit, expected["unit"].as_str());
        }
        if let Some(status) = expect["status"].as_str() {
            let status = u16::from_le_bytes(unhex(status).try_into().unwrap());
            assert_eq!(
                found(&recorder, "status").value,
                Owned::Whole(status.into())
            );
        }
    }
}

#[test]
fn times_of_the_public_frames_are_read_in_the_order_of_the_profile() {
    let read = |codec: &Cjt188, which: &str| {
        found(&read_all(codec, &vector(which)).unwrap(), "time").value
    };
    let second_first = codec();
    let year_first = with("time_order = 'year_first'");
    let expected = local((2019, 12, 16), (14, 20, 41));
    assert_eq!(read(&second_first, "vendor_extension_ctrl_A1"), expected);
    let expected = local((2020, 5, 28), (20, 58, 24));
    assert_eq!(read(&year_first, "unit_29_litre_and_bcd_time"), expected);
    assert_eq!(
        read(&second_first, "unit_29_litre_and_bcd_time"),
        Owned::Missing
    );
    assert_eq!(
        read(&second_first, "cold_water_12.00m3_status02"),
        Owned::Missing
    );
}

#[test]
fn every_public_frame_cut_short_or_spoilt_in_one_bit_gives_nothing() {
    for vector in vectors("cjt188") {
        truncations(&codec(), &vector.input);
        bit_flips(&codec(), &vector.input, |_, _| false);
    }
}

#[test]
fn a_wrong_sum_is_a_failed_check() {
    let mut frame = frame_of(0x10, 0x81, WATER);
    let at = frame.len() - 2;
    frame[at] ^= 1;
    let reject = read_all(&codec(), &frame).unwrap_err();
    assert_eq!(reject.reason, QuarantineReason::FrameCheck);
}

#[test]
fn water_is_read_with_both_orders_of_the_identifier() {
    for data in [WATER.to_owned(), WATER.replace("901F", "1F90")] {
        let recorder = read_all(&codec(), &frame_of(0x10, 0x81, &data)).unwrap();
        assert_eq!(found(&recorder, "volume").value, Owned::Number(12.34));
        assert_eq!(
            found(&recorder, "volume_settlement").value,
            Owned::Number(43.21)
        );
        assert_eq!(
            found(&recorder, "time").value,
            local((2023, 6, 25), (8, 15, 30))
        );
        assert_eq!(found(&recorder, "status").value, Owned::Whole(4));
    }
}

#[test]
fn heat_meters_have_their_own_layout() {
    let recorder = read_all(&codec(), &frame_of(0x20, 0x81, HEAT)).unwrap();
    let read = |key| {
        let found = found(&recorder, key);
        (found.value, found.unit.unwrap())
    };
    assert_eq!(read("heat_settlement"), (Owned::Number(10.0), "kW.h"));
    assert_eq!(read("heat"), (Owned::Number(12.34), "kW.h"));
    assert_eq!(read("power"), (Owned::Number(0.56), "kW"));
    assert_eq!(read("flow"), (Owned::Number(1.2345), "m3/h"));
    assert_eq!(read("volume"), (Owned::Number(5.0), "m3"));
    assert_eq!(read("supply_temperature"), (Owned::Number(55.3), "Cel"));
    assert_eq!(read("return_temperature"), (Owned::Number(40.25), "Cel"));
    assert_eq!(read("working_time"), (Owned::Whole(123), "h"));
    assert_eq!(found(&recorder, "status").value, Owned::Whole(1));
}

#[test]
fn hundreds_of_a_unit_are_scaled_and_unknown_units_are_uncertain() {
    let data = HEAT
        .replace("34120000 05", "34120000 13")
        .replace("56000000 17", "56000000 99");
    let recorder = read_all(&codec(), &frame_of(0x21, 0x81, &data)).unwrap();
    let heat = found(&recorder, "heat");
    assert_eq!((heat.value, heat.unit), (Owned::Whole(1234), Some("GJ")));
    let power = found(&recorder, "power");
    assert_eq!((power.unit, power.quality), (None, Quality::UNCERTAIN));
}

#[test]
fn numbers_of_fill_or_without_digits_spoil_their_element_only() {
    let data = WATER
        .replace("34120000", "FFFFFFFF")
        .replace("21430000", "2A430000");
    let recorder = read_all(&codec(), &frame_of(0x10, 0x81, &data)).unwrap();
    let read = |key| {
        let found = found(&recorder, key);
        (found.value, found.quality)
    };
    assert_eq!(read("volume"), (Owned::Missing, Quality::GOOD));
    assert_eq!(read("volume_settlement"), (Owned::Missing, Quality::BAD));
    assert_eq!(read("status"), (Owned::Whole(4), Quality::GOOD));
}

#[test]
fn a_settlement_of_the_past_is_its_own_key() {
    let recorder = read_all(&codec(), &frame_of(0x10, 0x81, "D12B00 34120000 2C")).unwrap();
    assert_eq!(
        found(&recorder, "volume_history12").value,
        Owned::Number(12.34)
    );
    let reject = read_all(&codec(), &frame_of(0x10, 0x81, "810200 00")).unwrap_err();
    assert_eq!(reject.reason, QuarantineReason::FrameUnsupported);
}

#[test]
fn decimals_and_bytes_behind_the_layout_are_the_meters_own() {
    let data = format!("{WATER} 3600");
    let codec = with("volume_decimals = 3");
    let recorder = read_all(&codec, &frame_of(0x10, 0x81, &data)).unwrap();
    assert_eq!(found(&recorder, "volume").value, Owned::Number(1.234));
    assert_eq!(
        found(&recorder, "extension").value,
        Owned::Bytes(vec![0x36, 0])
    );
    let nine = Options {
        volume_decimals: 9,
        ..Options::default()
    };
    assert!(Cjt188::new(nine).unwrap_err().contains("0 to 8"));
}

#[test]
fn a_layout_that_ends_early_is_malformed() {
    let reject = read_all(&codec(), &frame_of(0x10, 0x81, "901F00 34120000 2C")).unwrap_err();
    assert_eq!(reject.reason, QuarantineReason::FrameMalformed);
}

#[test]
fn refusals_requests_and_other_replies_have_no_record() {
    let recorder = read_all(&codec(), &frame_of(0x10, 0xC1, "00 0400")).unwrap();
    assert_eq!(recorder.head(&name("error")), Some(&Owned::Whole(4)));
    assert!(recorder.records.is_empty());
    let recorder = read_all(&codec(), &frame_of(0x10, 0x83, "810A00")).unwrap();
    assert!(recorder.records.is_empty());
}

#[test]
fn frames_are_found_behind_text_of_a_dtu_and_the_last_may_be_half() {
    let water = vector("cold_water_12.00m3_status02");
    let vendor = vector("vendor_extension_ctrl_A1");
    let half = &water[..20];
    let payload = [b"imei:8612345h,", &*water, &[0xBD, 0x68], &vendor, half].concat();
    let recorder = read_all(&codec(), &payload).unwrap();
    assert_eq!(recorder.records.len(), 2);
    assert_eq!(codec().frame(half), Framing::Partial { skip: 3 });
    assert_eq!(codec().frame(b"no frame"), Framing::Nothing);
}

#[test]
fn a_wrong_spelling_is_told_the_right_ones() {
    assert!(
        codec()
            .key("volumes")
            .unwrap_err()
            .contains("volume_settlement")
    );
    assert_eq!(codec().key("volume_history3"), Ok(name("volume_history3")));
    assert_eq!(codec().key("address"), Ok(name("address")));
}

const NUMBERS: [(&str, u8, i64); 9] = [
    ("volume", 2, 99_999_999),
    ("heat", 2, 99_999_999),
    ("heat_settlement", 2, 99_999_999),
    ("power", 2, 99_999_999),
    ("flow", 4, 99_999_999),
    ("supply_temperature", 2, 999_999),
    ("return_temperature", 2, 999_999),
    ("working_time", 0, 999_999),
    ("volume_history7", 2, 99_999_999),
];

proptest! {
    #[test]
    fn what_is_written_is_read(
        address in "[0-9]{14}",
        numbers in prop::collection::btree_map(0..NUMBERS.len(), any::<u32>(), 1..9),
        status in any::<u16>(),
        order in prop::sample::select(vec![TimeOrder::SecondFirst, TimeOrder::YearFirst]),
    ) {
        let codec = Cjt188::new(Options { time_order: order, ..Options::default() }).unwrap();
        let mut points = vec![(name("status"), Value::Whole(status.into()))];
        for (place, number) in numbers {
            let (key, places, end) = NUMBERS[place];
            let mantissa = i64::from(number) % end;
            let value = match places {
                0 => Value::Whole(mantissa),
                _ => Value::Decimal(Decimal::new(mantissa, places)),
            };
            points.push((name(key), value));
        }
        let at = UnixNanos(1_700_000_000_000_000_000);
        let report = Report { address: &address, at, east_s: 28_800, serial: 7, points: &points };
        let recorder = read_all(&codec, &codec.encode(&report).unwrap()).unwrap();
        prop_assert_eq!(recorder.head(&name("address")), Some(&Owned::Text(address.clone())));
        for (key, value) in &points {
            let read = recorder.found(key).map(|found| found.value.clone());
            prop_assert_eq!(read, Some(Owned::from(*value)));
        }
        let time = recorder.found(&name("time")).map(|found| found.value.clone());
        prop_assert_eq!(time, Some(local((2023, 11, 15), (6, 13, 20))));
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _read = read_all(&codec(), &bytes);
        let _decoded = codec().decode(&bytes, &mut Recorder::default());
    }

    #[test]
    fn no_data_panics(kind in 0x10_u8..0x40, vendor in any::<bool>(), data in prop::collection::vec(any::<u8>(), 0..60)) {
        let data: String = data.iter().map(|byte| format!("{byte:02X}")).collect();
        let control = if vendor { 0xA1 } else { 0x81 };
        let _read = read_all(&codec(), &frame_of(kind, control, &format!("901F{data}")));
    }
}
