//! SL 651 frames: public vectors, what is refused and why, round trips, damage.

use proptest::prelude::*;
use serde_json::Value as Json;

use super::{
    super::{
        super::{
            point::{Civil, Decimal, Moment, OwnedKey, Value},
            quality::Quality,
        },
        Codec, Decoded, Framing,
        bits::crc16_modbus,
        encoding::{Encoder, Report},
        testing::{
            Found, Owned, Recorder, bad_vectors, bit_flips, read_all, truncations, unhex, vectors,
        },
    },
    Options, Sl651,
};
use crate::domain::{QuarantineReason, UnixNanos};

fn codec(options: &str) -> Sl651 {
    Sl651::new(toml::from_str::<Options>(options).unwrap()).unwrap()
}

fn standard() -> Sl651 {
    codec("")
}

fn name(name: &str) -> OwnedKey {
    OwnedKey::Name(name.into())
}

fn read(hex: &str) -> Recorder {
    read_all(&standard(), &unhex(hex)).unwrap()
}

fn found(recorder: &Recorder, id: u64) -> &Found {
    recorder
        .found(&OwnedKey::Code(id))
        .unwrap_or_else(|| panic!("no {id:02X} in {recorder:?}"))
}

fn text(text: &str) -> Owned {
    Owned::Text(text.to_owned())
}

fn civil(written: &str) -> Civil {
    let digits: Vec<u8> = written
        .bytes()
        .filter(u8::is_ascii_digit)
        .map(|b| b - b'0')
        .collect();
    let two = |at: usize| digits[at] * 10 + digits[at + 1];
    let year = u16::from(two(0)) * 100 + u16::from(two(2));
    Civil::new((year, two(4), two(6)), (two(8), two(10), 0)).unwrap()
}

/// A frame of a function around a body in hexadecimal digits.
fn frame(function: u8, body: &str) -> Vec<u8> {
    let body = unhex(body);
    let mut frame = unhex("7E7E01 0012345678 0000");
    frame.push(function);
    frame.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    frame.push(0x02);
    frame.extend(body);
    frame.push(0x03);
    frame.extend(crc16_modbus(&frame).to_be_bytes());
    frame
}

/// The same for elements of a timed report at 2020-01-02 03:00.
fn elements(function: u8, elements: &str) -> Recorder {
    let front = "0001 200102030405 F1F1001234567848 F0F02001020300";
    read_all(&standard(), &frame(function, &format!("{front}{elements}"))).unwrap()
}

/// Further frames of the same source as the public ones.
const HEARTBEAT: &str = "7E7E01001234567812342F0008020003591011155111036BCA";
const PERIOD: &str = "7E7E05001122334403E838002A020035170718110128F1F1001122334448F0F017071810050418000005F4600500000014FFFFFFFFFF000003E8AB";
const PUMP: &str = "7E7E0500112233441234440035020020170718110226F1F1001122334448F0F01707181005701902200371190220037219022003731902200374190220037519022003037E6D";
const VERSION: &str = "7E7E0500112233441234450021020022170718101955F1F10011223344114441544138362D53572D56312E3228482903C476";
const STATUS: &str = "7E7E0500112233441234460015020023170718102008F1F100112233444520000004000315C1";
const DOWN: &str = "7E7E00123456780112343080080200035910111549471B75D4";
const PACKET_13: &str = "7E7E01001234567812343600F41600D00D471F9D49A5EB66783C8548A268DB01635C2840063033F5FD28E633EA692DE4C41064FC860FE7522CEE461A4623D09AAB81FFD5A1E66697CCF7AA331AD27151349C52B81FFFD6C4792AB4AFC1A0CCA4B22ABAE72BB5B231D3A63FAF6ABF0CA0E39EB4D324FFD7E5655DF01C7A83FAD615B5BDAD9CD2290A240C5031392D5E96395ECFCCE3A2FA162E59552197F78019002147DEC838CE6AB6A23F7A8C3FBBFE35E63DCDCFFFD0F2F0DDB356F4694A6A3807865C7E87FF00AD48C8E995F1D2A457A2E33FFFD1C70F4A64C77A0CC6993DE98589A407FFD2E7C8623A544D193458C8AD25A67914C43243F4FD0D023FFFD900B703CBF6";

#[test]
fn every_public_frame_gives_its_values_units_and_times() {
    let all = vectors("sl651");
    assert_eq!(all.len(), 3);
    for vector in all {
        let recorder = read_all(&standard(), &vector.input).unwrap();
        let expect = &vector.expect;
        let vector = &vector.name;
        let device = text(expect["device"].as_str().unwrap());
        assert_eq!(recorder.head(&name("address")), Some(&device), "{vector}");
        assert_eq!(recorder.head(&name("station")), Some(&device), "{vector}");
        assert_eq!(
            recorder.head(&name("station_type")),
            Some(&text("48")),
            "{vector}"
        );
        let function = text(expect["func"].as_str().unwrap());
        assert_eq!(recorder.head(&name("command")), Some(&function), "{vector}");
        for (spelled, expect) in expect["readings"].as_object().unwrap() {
            let id = u64::from_str_radix(spelled.split(' ').next().unwrap(), 16).unwrap();
            let found = found(&recorder, id);
            assert_eq!(
                found.value,
                Owned::Number(expect["value"].as_f64().unwrap()),
                "{vector}"
            );
            assert_eq!(found.unit, expect["unit"].as_str(), "{vector} {spelled}");
            assert_eq!((found.quality, found.time), (Quality::GOOD, None));
        }
        if let Some(observed) = expect["observed_local"].as_str() {
            assert_eq!(recorder.records.len(), 1);
            let unset = observed.starts_with("2059");
            let time = match unset {
                true => Owned::Missing,
                false => Owned::Time(Moment::Local(civil(observed))),
            };
            assert_eq!(found(&recorder, 0xF0).value, time, "{vector}");
            let flag = unset.then_some(&Owned::Bool(true));
            assert_eq!(recorder.head(&name("clock_unset")), flag, "{vector}");
        }
        for (spelled, expect) in expect["series"].as_object().into_iter().flatten() {
            let id = u64::from_str_radix(spelled.split(' ').next().unwrap(), 16).unwrap();
            let first = civil(expect["start_local"].as_str().unwrap());
            let all = recorder.records.iter().flatten();
            let values: Vec<_> = all
                .filter(|found| found.key == OwnedKey::Code(id))
                .collect();
            let wanted = expect["values"].as_array().unwrap();
            assert_eq!(values.len(), wanted.len(), "{spelled}");
            for ((found, wanted), step) in values.iter().zip(wanted).zip(0..) {
                let wanted = match wanted {
                    Json::Null => Owned::Missing,
                    wanted => Owned::Number(wanted.as_f64().unwrap()),
                };
                let time = first.plus_seconds(step * expect["step_s"].as_u64().unwrap());
                assert_eq!(found.value, wanted, "{spelled} {step}");
                assert_eq!(found.time, Some(Moment::Local(time)), "{spelled} {step}");
                assert_eq!(found.unit, expect["unit"].as_str());
            }
        }
    }
    assert!(bad_vectors("sl651").is_empty());
}

#[test]
fn each_observation_time_begins_a_record() {
    let all = vectors("sl651");
    let hour = all
        .iter()
        .find(|vector| vector.name == "hour_series_34_with_missing")
        .unwrap();
    let recorder = read_all(&standard(), &hour.input).unwrap();
    let times: Vec<_> = recorder
        .records
        .iter()
        .map(|record| record[0].value.clone())
        .collect();
    let at = |written| Owned::Time(Moment::Local(civil(written)));
    let (first, second) = (at("2017-07-18T10:05"), at("2017-07-18T11:00"));
    assert_eq!(times, [first.clone(), second.clone(), first, second]);
    let empty = elements(0x32, "F0F02001020400 F0F02001020500 2019000005");
    assert_eq!(empty.records.len(), 1, "a time without values is no record");
    assert_eq!(empty.records[0].len(), 2);
}

#[test]
fn no_truncation_and_no_turned_bit_gives_other_values() {
    let public = vectors("sl651").into_iter().map(|vector| vector.input);
    for input in public.chain([PERIOD, PUMP, VERSION, STATUS].map(unhex)) {
        truncations(&standard(), &input);
        bit_flips(&standard(), &input, |_, _| false);
    }
}

#[test]
fn heartbeats_and_the_centre_s_own_frames_have_heads_and_no_record() {
    let heartbeat = read(HEARTBEAT);
    assert_eq!(heartbeat.head(&name("command")), Some(&text("2F")));
    assert_eq!(heartbeat.head(&name("serial")), Some(&Owned::Whole(3)));
    assert_eq!(heartbeat.head(&name("sent")), Some(&Owned::Missing));
    assert_eq!(
        heartbeat.head(&name("clock_unset")),
        Some(&Owned::Bool(true))
    );
    let down = read(DOWN);
    assert_eq!(down.head(&name("direction")), Some(&text("down")));
    assert_eq!(down.head(&name("address")), Some(&text("0012345678")));
    assert_eq!(down.head(&name("centre")), Some(&Owned::Whole(1)));
    assert!(heartbeat.records.is_empty() && down.records.is_empty());
    let configuration = frame(0x40, "0001 200102030405 F1F10012345678 0120050000 0002");
    assert!(
        read_all(&standard(), &configuration)
            .unwrap()
            .records
            .is_empty()
    );
}

#[test]
fn what_is_no_list_of_numbers_is_read_too() {
    let manual = frame(0x35, "0004 200102030405 F2F2 51312E3233342000");
    let manual = read_all(&standard(), &manual).unwrap();
    assert_eq!(found(&manual, 0xF2).value, text("Q1.234"));
    let status = read(STATUS);
    assert_eq!(found(&status, 0x45).value, Owned::Whole(0x400));
    assert_eq!(status.head(&name("station_type")), None);
    let version = read(VERSION);
    let found_version = version.found(&name("version")).unwrap();
    assert_eq!(found_version.value, text("DATA86-SW-V1.2(H)"));
    let pump = read(PUMP);
    assert_eq!(found(&pump, 0x70).value, Owned::Number(2200.3));
    assert_eq!(found(&pump, 0x75).unit, Some("A"));
}

#[test]
fn a_step_spaces_the_values_of_a_uniform_report() {
    let period = read(PERIOD);
    assert_eq!(found(&period, 0x04).value, Owned::Whole(300));
    assert_eq!(
        period.records[0]
            .iter()
            .filter(|f| f.key == OwnedKey::Code(0xF4))
            .count(),
        12
    );
    let uniform = elements(0x31, "0418000100 3923 00010490 FFFFFFFF 00010500");
    let levels: Vec<_> = uniform.records[0].iter().skip(2).collect();
    let first = civil("2020-01-02 03:00");
    for ((level, value), step) in levels
        .iter()
        .zip([Owned::Number(10.49), Owned::Missing, Owned::Number(10.5)])
        .zip(0..)
    {
        assert_eq!(level.value, value);
        assert_eq!(
            level.time,
            Some(Moment::Local(first.plus_seconds(step * 3_600)))
        );
    }
    assert_eq!(levels.len(), 3);
    // Without a step, or with what is no further value, elements follow.
    let plain = elements(0x31, "3812 1109 3812 1110");
    assert_eq!(plain.records[0].len(), 3);
}

#[test]
fn fill_is_missing_a_leading_ff_is_a_minus_and_broken_digits_spoil_nothing_else() {
    let recorder = elements(
        0x33,
        "3923FFFFFFFF 3A23FF001049 02110000 0218FF1234 0819A01234 FF0B12FFFF FF0319FF0015 2600 \
         60600000000000000000000000AA 2019000005",
    );
    let value = |id| {
        (
            found(&recorder, id).value.clone(),
            found(&recorder, id).quality,
        )
    };
    assert_eq!(value(0x39), (Owned::Missing, Quality::GOOD));
    assert_eq!(value(0x3A), (Owned::Number(-1.049), Quality::GOOD));
    assert_eq!(value(0x02), (Owned::Number(0.0), Quality::GOOD));
    assert_eq!(recorder.records[0][4].value, Owned::Number(-1234.0));
    assert_eq!(value(0x08), (Owned::Missing, Quality::BAD));
    assert_eq!(value(0xFF0B), (Owned::Missing, Quality::GOOD));
    assert_eq!(value(0xFF03), (Owned::Number(-1.5), Quality::GOOD));
    assert_eq!(
        value(0x26),
        (Owned::Missing, Quality::GOOD),
        "no bytes, no value"
    );
    assert!(matches!(value(0x60), (Owned::Bytes(bytes), _) if bytes.len() == 12));
    assert_eq!(value(0x20), (Owned::Number(0.5), Quality::GOOD));
}

#[test]
fn a_date_that_is_none_is_missing_and_another_year_may_be_the_unset_one() {
    let body = "0001 001302030405 F1F1001234567848 F0F00001020300 2019000005";
    let bytes = frame(0x32, body);
    let recorder = read_all(&standard(), &bytes).unwrap();
    assert_eq!(recorder.head(&name("sent")), Some(&Owned::Missing));
    assert_eq!(recorder.head(&name("clock_unset")), None);
    assert!(matches!(found(&recorder, 0xF0).value, Owned::Time(_)));
    let recorder = read_all(&codec("unset_year = 0"), &bytes).unwrap();
    assert_eq!(
        recorder.head(&name("clock_unset")),
        Some(&Owned::Bool(true))
    );
    assert_eq!(found(&recorder, 0xF0).value, Owned::Missing);
    assert!(Sl651::new(toml::from_str("unset_year = 100").unwrap()).is_err());
    assert!(toml::from_str::<Options>("year = 1").is_err());
}

#[test]
fn several_frames_are_found_between_noise_and_a_half_one_waits() {
    let one = vectors("sl651")[1].input.clone();
    let noise = [0x7E, 0x7E, 0x7E, 0x01, 0x7E];
    let payload = [&noise, &one[..], &noise, &one[..], &one[..], &one[..40]].concat();
    assert_eq!(read_all(&standard(), &payload).unwrap().records.len(), 3);
    for end in 1..one.len() {
        assert_eq!(
            standard().frame(&one[..end]),
            Framing::Partial { skip: 0 },
            "{end}"
        );
    }
    assert_eq!(standard().frame(&[1, 2, 0x7E, 3]), Framing::Nothing);
}

#[test]
fn a_frame_whose_length_is_spoilt_swallows_no_other() {
    let one = vectors("sl651")[1].input.clone();
    let mut spoilt = one.clone();
    spoilt[11] |= 0x0F;
    let payload = [&spoilt[..], &one[..]].concat();
    let cut = Framing::Frame {
        skip: 0,
        len: one.len(),
    };
    assert_eq!(standard().frame(&payload), cut);
    let reject = standard()
        .decode(&spoilt, &mut Recorder::default())
        .unwrap_err();
    assert_eq!(reject.reason, QuarantineReason::FrameMalformed);
}

#[test]
fn a_wrong_crc_is_refused_and_a_swapped_one_taken_where_the_profile_says_so() {
    let mut bytes = vectors("sl651")[1].input.clone();
    let len = bytes.len();
    bytes.swap(len - 1, len - 2);
    let reject = read_all(&standard(), &bytes).unwrap_err();
    assert_eq!(reject.reason, QuarantineReason::FrameCheck);
    assert_eq!(
        read_all(&codec("crc = 'either_order'"), &bytes)
            .unwrap()
            .records
            .len(),
        1
    );
}

#[test]
fn an_element_longer_than_the_body_is_refused_with_its_place() {
    let bytes = frame(
        0x32,
        "0001 200102030405 F1F1001234567848 F0F02001020300 2019 0000",
    );
    let reject = read_all(&standard(), &bytes).unwrap_err();
    assert_eq!(reject.reason, QuarantineReason::FrameMalformed);
    assert!(reject.detail.starts_with("byte 39: "), "{}", reject.detail);
    for body in [
        "0001 2001",
        "0001 200102030405 F1F2",
        "0001 200102030405 F0F1",
    ] {
        let reject = read_all(&standard(), &frame(0x32, body)).unwrap_err();
        assert_eq!(reject.reason, QuarantineReason::FrameMalformed, "{body}");
    }
    let two = frame(0x32, "0001 200102030405 F1F1001234567848 F1F1001234567948");
    let reject = read_all(&standard(), &two).unwrap_err();
    assert_eq!(reject.reason, QuarantineReason::FrameUnsupported);
}

#[test]
fn a_picture_comes_in_packets_and_is_joined() {
    let bytes = unhex(PACKET_13);
    let Decoded::Part(part) = standard().decode(&bytes, &mut Recorder::default()).unwrap() else {
        panic!("no part")
    };
    assert_eq!(
        (part.number, part.total, part.body.len()),
        (13, 13, 0xF4 - 3)
    );
    let picture: Vec<u8> = (0..=255).cycle().take(2_500).collect();
    let points = [(OwnedKey::Code(0xF3), Value::Bytes(&picture))];
    let payload = standard().encode(&report(&points, 1_577_934_000)).unwrap();
    let recorder = read_all(&standard(), &payload).unwrap();
    assert_eq!(found(&recorder, 0xF3).value, Owned::Bytes(picture));
    assert_eq!(recorder.head(&name("serial")), Some(&Owned::Whole(7)));
    for numbers in [[0, 0x20, 0x00], [0, 0x20, 0x03], [0, 0, 0]] {
        let mut bytes = bytes.clone();
        bytes[14..17].copy_from_slice(&numbers);
        let end = bytes.len() - 2;
        let crc = crc16_modbus(&bytes[..end]).to_be_bytes();
        bytes[end..].copy_from_slice(&crc);
        let reject = standard()
            .decode(&bytes, &mut Recorder::default())
            .unwrap_err();
        assert_eq!(reject.reason, QuarantineReason::FrameMalformed);
    }
}

#[test]
fn keys_are_hexadecimal_ids_or_names_of_heads() {
    let mut codec = standard();
    for (spelled, id) in [("20", 0x20), ("f4", 0xF4), ("FF03", 0xFF03), ("F0", 0xF0)] {
        assert_eq!(codec.key(spelled), Ok(OwnedKey::Code(id)));
    }
    assert_eq!(codec.key("clock_unset"), Ok(name("clock_unset")));
    for bad in ["", "2", "FF", "F1", "1234", "+2", "rain", "0x20", "FF030"] {
        assert!(codec.key(bad).is_err(), "{bad}");
    }
}

fn report<'a>(points: &'a [(OwnedKey, Value<'a>)], at: u64) -> Report<'a> {
    Report {
        address: "0012345678",
        at: UnixNanos(at * 1_000_000_000),
        east_s: 28_800,
        serial: 7,
        points,
    }
}

fn a_point() -> impl Strategy<Value = (OwnedKey, Value<'static>)> {
    let id = prop_oneof![1..0x45_u64, 0x46..0x76_u64, 0xFF00..0xFFFF_u64];
    let id = id.prop_filter("a step", |id| *id != 4);
    let number = prop_oneof![
        (-99_999_999..999_999_999_i64, 0..8_u8)
            .prop_map(|(mantissa, places)| Value::Decimal(Decimal::new(mantissa, places))),
        Just(Value::Missing),
    ];
    prop_oneof![
        (id, number).prop_map(|(id, value)| (OwnedKey::Code(id), value)),
        (0..255_i64).prop_map(|v| (OwnedKey::Code(0xF4), Value::Decimal(Decimal::new(v, 1)))),
        (0..65_535_i64).prop_map(|v| (OwnedKey::Code(0xF5), Value::Decimal(Decimal::new(v, 2)))),
        any::<u32>().prop_map(|word| (OwnedKey::Code(0x45), Value::Whole(i64::from(word)))),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        points in prop::collection::vec(a_point(), 1..12),
        minute in 15_778_800_u64..40_000_000,
    ) {
        let report = report(&points, minute * 60);
        let Ok(payload) = standard().encode(&report) else {
            let series = points.iter().filter(|(key, _)| *key == OwnedKey::Code(0xF5)).count();
            prop_assert!(series > 15 / 2, "only a long series does not fit");
            return Ok(());
        };
        let recorder = read_all(&standard(), &payload).unwrap();
        prop_assert_eq!(recorder.records.len(), 1);
        let Owned::Time(Moment::Local(observed)) = recorder.records[0][0].value else { panic!() };
        prop_assert_eq!(observed.at(28_800), Some(report.at));
        let found: Vec<_> = recorder.records[0][1..].iter().map(|f| (f.key.clone(), f.value.clone())).collect();
        let wanted: Vec<_> = points.iter().map(|(key, value)| (key.clone(), Owned::from(*value))).collect();
        prop_assert_eq!(found, wanted);
    }

    #[test]
    fn arbitrary_bodies_and_bytes_never_panic(
        function in prop::sample::select(vec![0x30_u8, 0x31, 0x36, 0x38, 0x45, 0x46, 0xE1]),
        bytes in prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(vec![0x7E, 0xF0, 0xF1, 0xFF, 0x02, 0x04, 0x16])], 0..120,
        ),
    ) {
        let framed = standard().frame(&bytes);
        if let Framing::Frame { skip, len } = framed {
            prop_assert!(len > 0 && skip + len <= bytes.len());
        }
        let mut body = unhex("0001 200102030405");
        body.extend(&bytes);
        let mut whole = unhex("7E7E01 0012345678 0000");
        whole.push(function);
        whole.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        whole.push(2);
        whole.extend(body);
        whole.push(3);
        whole.extend(crc16_modbus(&whole).to_be_bytes());
        let len = whole.len();
        prop_assert_eq!(standard().frame(&whole), Framing::Frame { skip: 0, len });
        if let Err(reject) = read_all(&standard(), &whole) {
            prop_assert_ne!(reject.reason, QuarantineReason::FrameCheck);
        }
    }
}
