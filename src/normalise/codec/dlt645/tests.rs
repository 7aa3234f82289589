//! DL/T 645 frames: public vectors, what is refused and why, round trips, damage.

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

fn codec() -> Dlt645 {
    Dlt645::new(Options::default()).unwrap()
}

fn with_items(items: &str) -> Result<Dlt645, String> {
    Dlt645::new(toml::from_str(items).unwrap())
}

fn name(name: &str) -> OwnedKey {
    OwnedKey::Name(name.into())
}

fn found(recorder: &Recorder, spelled: &str) -> Found {
    let key = codec().key(spelled).unwrap();
    recorder
        .found(&key)
        .unwrap_or_else(|| panic!("{spelled} in {recorder:?}"))
        .clone()
}

fn text(text: &str) -> Owned {
    Owned::Text(text.to_owned())
}

/// A frame of meter 1 with plain data.
fn frame_of(control: u8, data: &str) -> Vec<u8> {
    let data = unhex(data);
    let mut frame = unhex("68 01 00 00 00 00 00 68");
    frame.extend([control, u8::try_from(data.len()).unwrap()]);
    frame.extend(data.iter().map(|byte| byte.wrapping_add(BIAS)));
    frame.push(sum8(&frame));
    frame.push(END);
    frame
}

#[test]
fn every_public_frame_reads_as_published() {
    let spelled = [("energy_fwd_total", "00010000"), ("voltage_a", "02010100")];
    for vector in vectors("dlt645") {
        let recorder = read_all(&codec(), &vector.input).unwrap();
        let expect = &vector.expect;
        let address = text(expect["device"].as_str().unwrap());
        assert_eq!(
            recorder.head(&name("address")),
            Some(&address),
            "{}",
            vector.name
        );
        if let Some(error) = expect["error_word"].as_i64() {
            assert_eq!(recorder.head(&name("error")), Some(&Owned::Whole(error)));
            assert!(recorder.records.is_empty());
            continue;
        }
        let di = text(expect["di"].as_str().unwrap());
        assert_eq!(recorder.head(&name("di")), Some(&di));
        assert_eq!(recorder.records.len(), 1);
        for (reading, expected) in expect["readings"].as_object().unwrap() {
            let (_, key) = spelled.iter().find(|(name, _)| name == reading).unwrap();
            let found = found(&recorder, key);
            assert_eq!(
                found.value,
                Owned::Number(expected["value"].as_f64().unwrap())
            );
            assert_eq!(found.unit, expected["unit"].as_str());
        }
    }
}

#[test]
fn every_public_frame_cut_short_or_spoilt_in_one_bit_gives_nothing() {
    for vector in vectors("dlt645") {
        truncations(&codec(), &vector.input);
        bit_flips(&codec(), &vector.input, |_, _| false);
    }
}

#[test]
fn a_wrong_sum_is_a_failed_check() {
    let mut frame = frame_of(0x91, "00000100 26000000");
    let at = frame.len() - 2;
    frame[at] ^= 1;
    let reject = read_all(&codec(), &frame).unwrap_err();
    assert_eq!(reject.reason, QuarantineReason::FrameCheck);
}

#[test]
fn a_frame_without_its_end_is_malformed() {
    let mut frame = frame_of(0x91, "00000100 26000000");
    *frame.last_mut().unwrap() = 0x17;
    let reject = read_all(&codec(), &frame).unwrap_err();
    assert_eq!(reject.reason, QuarantineReason::FrameMalformed);
}

#[test]
fn a_block_gives_its_elements() {
    let recorder = read_all(&codec(), &frame_of(0x91, "00FF0102 0523 FFFF 9923")).unwrap();
    assert_eq!(found(&recorder, "02010100").value, Owned::Number(230.5));
    assert_eq!(found(&recorder, "02010200").value, Owned::Missing);
    assert_eq!(found(&recorder, "02010200").quality, Quality::GOOD);
    assert_eq!(found(&recorder, "02010300").value, Owned::Number(239.9));
    let recorder = read_all(&codec(), &frame_of(0x91, "00FF0302 563412 563492")).unwrap();
    assert_eq!(found(&recorder, "02030000").value, Owned::Number(12.3456));
    assert_eq!(found(&recorder, "02030100").value, Owned::Number(-12.3456));
    let recorder = read_all(&codec(), &frame_of(0x91, "FF050004 0100 0200")).unwrap();
    assert_eq!(found(&recorder, "04000502").value, Owned::Whole(2));
    let recorder = read_all(&codec(), &frame_of(0x91, "00FF0100 01000000 02000000")).unwrap();
    assert_eq!(found(&recorder, "00010100").value, Owned::Number(0.02));
}

#[test]
fn a_block_that_ends_within_an_element_is_malformed_unless_more_follows() {
    let data = "00FF0102 0523 05";
    let reject = read_all(&codec(), &frame_of(0x91, data)).unwrap_err();
    assert_eq!(reject.reason, QuarantineReason::FrameMalformed);
    let recorder = read_all(&codec(), &frame_of(0xB1, data)).unwrap();
    assert_eq!(recorder.head(&name("follows")), Some(&Owned::Bool(true)));
    assert_eq!(found(&recorder, "02010100").value, Owned::Number(230.5));
    let reject = read_all(&codec(), &frame_of(0xB2, data)).unwrap_err();
    assert_eq!(reject.reason, QuarantineReason::FrameUnsupported);
}

#[test]
fn a_demand_has_its_own_time() {
    let recorder = read_all(&codec(), &frame_of(0x91, "00000101 563412 3014250623")).unwrap();
    let found = found(&recorder, "01010000");
    let at = Civil::new((2023, 6, 25), (14, 30, 0)).unwrap();
    assert_eq!(found.value, Owned::Number(12.3456));
    assert_eq!(found.time, Some(Moment::Local(at)));
    let recorder = read_all(&codec(), &frame_of(0x91, "00000101 000000 0000000000")).unwrap();
    assert_eq!(recorder.records[0][0].time, None);
}

#[test]
fn frozen_energies_are_spelled_with_their_tariff() {
    let data = "01010605 78563412 01000000 02000000";
    let recorder = read_all(&codec(), &frame_of(0x91, data)).unwrap();
    assert_eq!(
        found(&recorder, "05060101").value,
        Owned::Number(123_456.78)
    );
    assert_eq!(found(&recorder, "05060101.2").value, Owned::Number(0.02));
    assert!(codec().key("00010000.1").unwrap_err().contains("one value"));
}

#[test]
fn clocks_addresses_and_text_are_read() {
    let read = |data: &str, key: &str| {
        let recorder = read_all(&codec(), &frame_of(0x91, data)).unwrap();
        found(&recorder, key).value
    };
    let date = Civil::new((2023, 6, 25), (0, 0, 0)).unwrap();
    assert_eq!(
        read("01010004 00250623", "04000101"),
        Owned::Time(Moment::Local(date))
    );
    assert_eq!(read("02010004 301514", "04000102"), Owned::Whole(51_330));
    assert_eq!(read("02010004 306114", "04000102"), Owned::Missing);
    assert_eq!(
        read("01040004 563412785634", "04000401"),
        text("345678123456")
    );
    assert_eq!(read("04040004 563032320000", "04000404"), text("220V"));
    let time = date.plus_seconds(51_330);
    let data = "0C010004 301514 00 250623";
    assert_eq!(read(data, "0400010C"), Owned::Time(Moment::Local(time)));
}

#[test]
fn digits_that_are_none_spoil_their_element_only() {
    let recorder = read_all(&codec(), &frame_of(0x91, "00FF0102 0A23 0523")).unwrap();
    let spoilt = found(&recorder, "02010100");
    assert_eq!(
        (spoilt.value, spoilt.quality),
        (Owned::Missing, Quality::BAD)
    );
    assert_eq!(found(&recorder, "02010200").value, Owned::Number(230.5));
}

#[test]
fn a_width_other_than_the_standard_says_is_malformed_and_can_be_said() {
    let frame = frame_of(0x91, "00000100 2600000001");
    let reject = read_all(&codec(), &frame).unwrap_err();
    assert_eq!(reject.reason, QuarantineReason::FrameMalformed);
    let items = "[[items]]\ndi = '00010000'\nbytes = 5\ndecimals = 4\nunit = 'kW.h'";
    let recorder = read_all(&with_items(items).unwrap(), &frame).unwrap();
    assert_eq!(
        found(&recorder, "00010000").value,
        Owned::Number(10_000.002_6)
    );
}

#[test]
fn an_unknown_identifier_is_bytes_and_not_spelled() {
    let recorder = read_all(&codec(), &frame_of(0x91, "010000EE 0102")).unwrap();
    assert_eq!(recorder.records[0][0].key, OwnedKey::Code(0xEE00_0001));
    assert_eq!(recorder.records[0][0].value, Owned::Bytes(vec![1, 2]));
    assert!(codec().key("EE000001").unwrap_err().contains("items"));
}

#[test]
fn wrong_spellings_and_options_are_named() {
    assert!(
        codec()
            .key("energy")
            .unwrap_err()
            .contains("eight hexadecimal digits")
    );
    assert!(codec().key("0201FF00").unwrap_err().contains("02010100"));
    assert!(codec().key("05060101.64").unwrap_err().contains("tariff"));
    assert_eq!(codec().key("address"), Ok(name("address")));
    assert!(
        with_items("[[items]]\ndi = '1'\nbytes = 1")
            .unwrap_err()
            .contains("eight")
    );
    assert!(
        with_items("[[items]]\ndi = 'EE000001'\nbytes = 10")
            .unwrap_err()
            .contains("1 to 9")
    );
    let unit = "[[items]]\ndi = 'EE000001'\nbytes = 1\nunit = 'kWh'";
    assert!(with_items(unit).unwrap_err().contains("kW.h"));
    let one = "[[items]]\ndi = 'EE000001'\nbytes = 1\n";
    assert!(with_items(&one.repeat(2)).unwrap_err().contains("twice"));
}

#[test]
fn requests_and_other_replies_are_frames_without_a_record() {
    for control in [0x11, 0x94, 0x93, 0x08] {
        let recorder = read_all(&codec(), &frame_of(control, "00000100")).unwrap();
        assert_eq!(
            recorder.head(&name("command")),
            Some(&Owned::Whole(control.into()))
        );
        assert!(recorder.records.is_empty());
    }
}

#[test]
fn frames_of_several_meters_are_found_between_noise_and_the_last_may_be_half() {
    let [first, second, third] = [0, 1, 2].map(|place| vectors("dlt645")[place].input.clone());
    let noise: &[u8] = b"DTU h\x00";
    let half = &third[..third.len() - 3];
    let payload = [noise, &first, noise, &second, half].concat();
    let recorder = read_all(&codec(), &payload).unwrap();
    assert_eq!(recorder.records.len(), 2);
    assert_eq!(found(&recorder, "00010000").value, Owned::Number(0.26));
    assert_eq!(codec().frame(half), Framing::Partial { skip: 2 });
    assert_eq!(codec().frame(noise), Framing::Partial { skip: 4 });
    assert_eq!(codec().frame(b"no frame"), Framing::Nothing);
}

#[test]
fn a_broken_frame_does_not_hide_the_next() {
    let whole = frame_of(0x91, "00000100 26000000");
    let payload = [&whole[..12], &whole[..]].concat();
    assert_eq!(codec().frame(&payload), Framing::Frame { skip: 0, len: 12 });
    assert!(
        codec()
            .decode(&payload[..12], &mut Recorder::default())
            .is_err()
    );
}

/// A value that an identifier can carry.
fn value_of(di: u32, number: u32) -> Value<'static> {
    let item = standard(di).unwrap();
    let bytes = u32::from(item.bytes.unwrap_or(4));
    let limit = match item.kind {
        items::Kind::Number(..) => 10_i64.pow(bytes * 2) / 10 * 8,
        items::Kind::Demand(_) => 800_000,
        _ => 60_000,
    };
    let mantissa = i64::from(number) % limit;
    match item.kind {
        items::Kind::Number(0, _) | items::Kind::Bits | items::Kind::Clock => {
            Value::Whole(mantissa)
        }
        items::Kind::Number(places, items::Sign::TopBit) => {
            let sign = if number.is_multiple_of(2) { 1 } else { -1 };
            Value::Decimal(Decimal::new(mantissa * sign, places))
        }
        items::Kind::Number(places, _) => Value::Decimal(Decimal::new(mantissa, places)),
        items::Kind::Demand(_) => Value::Decimal(Decimal::new(mantissa, 4)),
        items::Kind::Series(_) => Value::Decimal(Decimal::new(mantissa, 2)),
        items::Kind::Digits => Value::Text("001122334455"),
        items::Kind::Text => Value::Text("V1"),
        items::Kind::Raw => Value::Bytes(&[1, 2]),
        _ => {
            let date = Civil::new((2024, 2, 29), (0, 0, 0)).unwrap();
            Value::Time(Moment::Local(date))
        }
    }
}

const KEYS: &[&str] = &[
    "00000000", "00010000", "00030102", "00150000", "00900100", "00900200", "01010000", "02010100",
    "02020300", "02030000", "02040200", "02050000", "02060000", "02070100", "020A0105", "02800001",
    "02800002", "02800007", "0280000A", "03110000", "04000101", "04000102", "04000106", "0400010C",
    "04000401", "0400040B", "04000501", "04000508", "05060001", "05060101", "05040101",
];

proptest! {
    #[test]
    fn what_is_written_is_read(address in "[0-9]{12}", values in prop::collection::vec((0..KEYS.len(), any::<u32>()), 1..6)) {
        let mut codec = codec();
        let mut points = Vec::new();
        for (place, number) in values {
            let OwnedKey::Code(code) = codec.key(KEYS[place]).unwrap() else { panic!() };
            if points.iter().any(|(key, _)| *key == OwnedKey::Code(code)) {
                continue;
            }
            let di = u32::try_from(code).unwrap();
            points.push((OwnedKey::Code(code), value_of(di, number)));
        }
        let at = UnixNanos(1_700_000_000_000_000_000);
        let report = Report { address: &address, at, east_s: 28_800, serial: 0, points: &points };
        let recorder = read_all(&codec, &codec.encode(&report).unwrap()).unwrap();
        prop_assert_eq!(recorder.head(&name("address")), Some(&Owned::Text(address.clone())));
        prop_assert_eq!(recorder.records.len(), points.len());
        for ((key, value), record) in points.iter().zip(&recorder.records) {
            prop_assert_eq!(&record[0].key, key);
            prop_assert_eq!(&record[0].value, &Owned::from(*value));
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _read = read_all(&codec(), &bytes);
        let _decoded = codec().decode(&bytes, &mut Recorder::default());
    }

    #[test]
    fn no_data_of_any_identifier_panics(control in 0x91_u8..0xB3, data in prop::collection::vec(any::<u8>(), 0..80), place in 0..KEYS.len()) {
        let mut data = data;
        let di = u32::from_str_radix(KEYS[place], 16).unwrap();
        data.splice(0..0, di.to_le_bytes());
        let data: String = data.iter().map(|byte| format!("{byte:02X}")).collect();
        let _read = read_all(&codec(), &frame_of(control, &data));
    }
}
