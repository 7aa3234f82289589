//! SZY 206 frames: public vectors, what is refused and why, round trips, damage.

use proptest::prelude::*;

use super::{
    super::{
        super::{
            point::{Decimal, Moment, OwnedKey, Value},
            quality::Quality,
        },
        Codec, Framing,
        encoding::{Encoder, Report},
        testing::{
            Found, Owned, Recorder, bad_vectors, bit_flips, read_all, truncations, unhex, vectors,
        },
    },
    Options, Szy206, crc8,
};
use crate::domain::{QuarantineReason, UnixNanos};

fn codec(options: &str) -> Szy206 {
    Szy206::new(toml::from_str::<Options>(options).unwrap()).unwrap()
}

fn standard() -> Szy206 {
    codec("")
}

fn key(spelled: &str) -> OwnedKey {
    standard().key(spelled).unwrap()
}

fn found<'a>(recorder: &'a Recorder, spelled: &str) -> &'a Found {
    recorder
        .found(&key(spelled))
        .unwrap_or_else(|| panic!("no {spelled} in {recorder:?}"))
}

fn number(recorder: &Recorder, spelled: &str) -> Owned {
    found(recorder, spelled).value.clone()
}

fn text(text: &str) -> Owned {
    Owned::Text(text.to_owned())
}

/// A frame of control byte, function and data.
fn frame(control: u8, function: u8, data: &str) -> Vec<u8> {
    let mut body = vec![control];
    body.extend(unhex("5303810D00"));
    body.push(function);
    body.extend(unhex(data));
    let mut frame = vec![0x68, u8::try_from(body.len()).unwrap(), 0x68];
    frame.extend(&body);
    frame.extend([crc8(&body), 0x16]);
    frame
}

/// What a report of a kind gives.
fn report_of(options: &str, kind: u8, values: &str) -> Recorder {
    let data = format!("{values} 0110 6000 004508090A");
    read_all(&codec(options), &frame(0xB0 | kind, 0xC0, &data)).unwrap()
}

#[test]
fn every_public_frame_gives_its_values_words_and_time_tag() {
    let all = vectors("szy206");
    assert_eq!(all.len(), 2);
    for vector in &all {
        let recorder = read_all(&standard(), &vector.input).unwrap();
        let device = text(vector.expect["device"].as_str().unwrap());
        assert_eq!(recorder.head(&key("address")), Some(&device));
        let function = text(vector.expect["afn"].as_str().unwrap());
        assert_eq!(recorder.head(&key("command")), Some(&function));
        assert_eq!(recorder.records.len(), 1);
    }
    let expect = &all[0].expect;
    let recorder = read_all(&standard(), &all[0].input).unwrap();
    for (spelled, expected) in [("flow", "flow_instant"), ("volume", "flow_cumulative")] {
        let expect = &expect["readings"][expected];
        let found = found(&recorder, spelled);
        assert_eq!(
            found.value,
            Owned::Number(expect["value"].as_f64().unwrap())
        );
        assert_eq!(found.unit, expect["unit"].as_str());
        assert_eq!((found.quality, found.time), (Quality::GOOD, None));
    }
    for (spelled, expected) in [("alarm", "alarm_word"), ("state", "state_word")] {
        let raw = i64::from_str_radix(expect[expected].as_str().unwrap(), 16).unwrap();
        let low_first = (raw & 0xFF) << 8 | raw >> 8;
        assert_eq!(number(&recorder, spelled), Owned::Whole(low_first));
        let high_first = read_all(&codec("words = 'high_first'"), &all[0].input).unwrap();
        assert_eq!(number(&high_first, spelled), Owned::Whole(raw));
    }
    let tp = &expect["tp"];
    assert_eq!(
        recorder.head(&key("tp_day")),
        Some(&Owned::Whole(tp["day"].as_i64().unwrap()))
    );
    let time = text(&tp["time"].as_str().unwrap().replace(':', ""));
    assert_eq!(recorder.head(&key("tp_time")), Some(&time));
    let delay = Owned::Whole(tp["delay_min"].as_i64().unwrap());
    assert_eq!(recorder.head(&key("tp_delay")), Some(&delay));

    let none = read_all(&standard(), &all[1].input).unwrap();
    assert_eq!(number(&none, "flow"), Owned::Missing);
    assert_eq!(none.found(&key("volume")), None);
    assert_eq!(number(&none, "state"), Owned::Whole(0x40));
    assert!(bad_vectors("szy206").is_empty());
}

#[test]
fn no_truncation_and_no_turned_bit_gives_other_values() {
    for vector in vectors("szy206") {
        truncations(&standard(), &vector.input);
        bit_flips(&standard(), &vector.input, |_, _| false);
    }
}

#[test]
fn each_kind_has_its_width_decimals_and_unit() {
    for (kind, values, spelled, value, unit) in [
        (1, "123400", "rain", 341.2, "mm"),
        (2, "49100000", "level", 1.049, "m"),
        (2, "491000F0", "level", -1.049, "m"),
        (4, "341200", "velocity", 1.234, "m/s"),
        (5, "341200", "gate", 12.34, "m"),
        (6, "563412", "power", 123_456.0, "W"),
        (7, "131000", "air_pressure", 1_013.0, "hPa"),
        (8, "341270", "wind_speed", 12.34, "m/s"),
        (9, "5302", "water_temperature", 25.3, "Cel"),
        (9, "05F0", "water_temperature", -0.5, "Cel"),
        (11, "5502", "soil_moisture", 25.5, "%"),
        (12, "250000", "evaporation", 2.5, "mm"),
        (15, "25131000", "water_pressure", 1_013.25, "kPa"),
    ] {
        let recorder = report_of("", kind, values);
        let found = found(&recorder, spelled);
        assert_eq!(
            (found.value.clone(), found.unit),
            (Owned::Number(value), Some(unit)),
            "{spelled}"
        );
        assert_eq!(found.quality, Quality::GOOD);
    }
    assert_eq!(
        number(&report_of("", 8, "341270"), "wind_direction"),
        Owned::Whole(7)
    );
}

#[test]
fn the_top_digit_of_a_flow_is_sign_and_unit_unless_the_profile_knows_better() {
    for (options, values, value, unit) in [
        ("", "0059000000", 5.9, "m3/s"),
        ("", "0059000030", 5.9, "m3/h"),
        ("", "00590000C0", -5.9, "m3/s"),
        ("", "00590000F0", -5.9, "m3/h"),
        ("flow_unit = 'per_second'", "00590000F0", -5.9, "m3/s"),
        ("flow_unit = 'per_hour'", "0059000000", 5.9, "m3/h"),
        ("flow_unit = 'per_hour'", "0000000010", 1_000_000.0, "m3/h"),
    ] {
        let recorder = report_of(options, 3, values);
        let found = found(&recorder, "flow");
        assert_eq!(
            (found.value.clone(), found.unit),
            (Owned::Number(value), Some(unit)),
            "{values}"
        );
    }
    let odd = report_of("", 3, "0059000050");
    assert_eq!(number(&odd, "flow"), Owned::Missing);
    assert_eq!(found(&odd, "flow").quality, Quality::BAD);
}

#[test]
fn several_values_of_a_kind_are_numbered() {
    let levels = report_of("", 2, "49100000 AAAAAAAA 50100000");
    assert_eq!(number(&levels, "level"), Owned::Number(1.049));
    assert_eq!(number(&levels, "level_2"), Owned::Missing);
    assert_eq!(number(&levels, "level_3"), Owned::Number(1.05));
    let two = "0059000000 0060000000";
    assert_eq!(
        number(&report_of("", 3, two), "volume"),
        Owned::Number(6_000.0)
    );
    assert_eq!(
        number(&report_of("flow = 'rate'", 3, two), "flow_2"),
        Owned::Number(6.0)
    );
}

#[test]
fn water_quality_is_read_by_its_map() {
    let recorder = report_of("", 10, "0300000001 53020000 35070000 12000000");
    assert_eq!(number(&recorder, "quality_0"), Owned::Number(253.0));
    assert_eq!(number(&recorder, "quality_1"), Owned::Number(735.0));
    assert_eq!(number(&recorder, "quality_32"), Owned::Number(12.0));
    let long = report_of("", 10, "0000000100 9078563412");
    assert_eq!(number(&long, "quality_24"), Owned::Number(1_234_567_890.0));
}

#[test]
fn fill_is_missing_and_broken_digits_are_bad_and_spoil_nothing_else() {
    for (values, quality) in [
        ("AAAAAA", Quality::GOOD),
        ("FFFFFF", Quality::GOOD),
        ("1A0000", Quality::BAD),
        ("0000B0", Quality::BAD),
    ] {
        let recorder = report_of("", 1, &format!("{values}050000"));
        assert_eq!(
            (number(&recorder, "rain"), found(&recorder, "rain").quality),
            (Owned::Missing, quality)
        );
        assert_eq!(number(&recorder, "rain_2"), Owned::Number(0.5));
    }
    assert_eq!(
        number(&report_of("", 8, "AAAAAA"), "wind_direction"),
        Owned::Missing
    );
}

#[test]
fn replies_alarms_and_states_are_records_and_all_else_is_none() {
    let reply = read_all(&standard(), &frame(0xB1, 0xB0, "050000 0100 4000")).unwrap();
    assert_eq!(number(&reply, "rain"), Owned::Number(0.5));
    assert_eq!(number(&reply, "alarm"), Owned::Whole(1));
    assert_eq!(reply.head(&key("tp_day")), None);
    let alarm = read_all(&standard(), &frame(0xBD, 0x81, "0400 1234")).unwrap();
    assert_eq!(number(&alarm, "alarm"), Owned::Whole(4));
    assert_eq!(number(&alarm, "data"), Owned::Bytes(vec![0x12, 0x34]));
    let state = read_all(&standard(), &frame(0xBD, 0x5E, "0400 4000")).unwrap();
    assert_eq!(number(&state, "state"), Owned::Whole(0x40));
    assert_eq!(
        number(&report_of("", 14, "0123"), "data"),
        Owned::Bytes(vec![1, 0x23])
    );
    assert_eq!(report_of("", 13, "").records[0].len(), 2);

    let link = read_all(&standard(), &frame(0xB0, 0x02, "F2")).unwrap();
    assert_eq!(link.head(&key("link")), Some(&Owned::Whole(0xF2)));
    let down = read_all(&standard(), &frame(0x30, 0xC0, "00")).unwrap();
    assert_eq!(down.head(&key("direction")), Some(&text("down")));
    let clock = read_all(&standard(), &frame(0xB0, 0x51, "004508091120")).unwrap();
    assert!(
        [link, down, clock]
            .iter()
            .all(|recorder| recorder.records.is_empty())
    );
}

#[test]
fn a_time_tag_with_a_date_is_a_time() {
    let bytes = frame(0xB1, 0xC0, "050000 0000 0000 00450809112000");
    let recorder = read_all(&codec("tp = 'date'"), &bytes).unwrap();
    let Some(Owned::Time(Moment::Local(civil))) = recorder.head(&key("time")) else {
        panic!("no time in {recorder:?}")
    };
    assert_eq!(civil.at(0), Some(UnixNanos(1_604_911_500_000_000_000)));
    let none = frame(0xB1, 0xC0, "050000 0000 0000 00450832112000");
    let recorder = read_all(&codec("tp = 'date'"), &none).unwrap();
    assert_eq!(recorder.head(&key("time")), Some(&Owned::Missing));
}

#[test]
fn what_cannot_be_read_is_refused_with_its_reason() {
    for (control, function, data, reason) in [
        (
            0xB1,
            0xC0,
            "0500 0110 6000 004508090A",
            QuarantineReason::FrameMalformed,
        ),
        (0xB1, 0xC0, "0110", QuarantineReason::FrameMalformed),
        (
            0xBA,
            0xC0,
            "0300000000 01000000 0000 0000 004508090A",
            QuarantineReason::FrameMalformed,
        ),
        (0xBD, 0x5E, "0110", QuarantineReason::FrameMalformed),
        (
            0xF1,
            0xC0,
            "050000 0110 6000 004508090A",
            QuarantineReason::FrameUnsupported,
        ),
    ] {
        let reject = read_all(&standard(), &frame(control, function, data)).unwrap_err();
        assert_eq!(reject.reason, reason, "{data}");
    }
    let mut wrong = vectors("szy206")[0].input.clone();
    wrong[10] ^= 1;
    let reject = read_all(&standard(), &wrong).unwrap_err();
    assert_eq!(reject.reason, QuarantineReason::FrameCheck);
}

#[test]
fn several_frames_are_found_between_noise_and_a_half_one_waits() {
    let one = vectors("szy206")[0].input.clone();
    let noise = [0x68, 0xFF, 0x68, 0x68, 0x10, 0x68];
    let payload = [&noise, &one[..], &noise, &one[..], &one[..], &one[..9]].concat();
    assert_eq!(read_all(&standard(), &payload).unwrap().records.len(), 3);
    for end in 1..one.len() {
        assert_eq!(
            standard().frame(&one[..end]),
            Framing::Partial { skip: 0 },
            "{end}"
        );
    }
    assert_eq!(standard().frame(&[1, 0x68, 2, 0x68, 3]), Framing::Nothing);
    let mut spoilt = one;
    *spoilt.last_mut().unwrap() = 0;
    let len = spoilt.len();
    assert_eq!(standard().frame(&spoilt), Framing::Frame { skip: 0, len });
    assert!(read_all(&standard(), &spoilt).is_err());
}

#[test]
fn keys_are_names_of_kinds_with_numbers_or_of_heads() {
    let mut codec = standard();
    for (spelled, code) in [
        ("rain", 0x100),
        ("level_2", 0x201),
        ("quality_0", 0xA00),
        ("quality_39", 0xA27),
        ("volume_50", 0x1031),
        ("wind_direction", 0x1100),
        ("alarm", 0x1200),
    ] {
        assert_eq!(codec.key(spelled), Ok(OwnedKey::Code(code)), "{spelled}");
    }
    assert_eq!(codec.key("tp_day"), Ok(OwnedKey::Name("tp_day".into())));
    for bad in [
        "",
        "rain_1",
        "rain_0",
        "level_51",
        "quality",
        "quality_40",
        "alarm_2",
        "stage",
    ] {
        assert!(codec.key(bad).is_err(), "{bad}");
    }
    assert!(toml::from_str::<Options>("word = 1").is_err());
}

fn a_report() -> impl Strategy<Value = Vec<(&'static str, Value<'static>)>> {
    let number = |digits: u32, places| {
        (0..10_i64.pow(digits)).prop_map(move |m| Value::Decimal(Decimal::new(m, places)))
    };
    let signed = |digits: u32, places| {
        let most = 10_i64.pow(digits);
        prop_oneof![
            (1 - most..most).prop_map(move |m| Value::Decimal(Decimal::new(m, places))),
            Just(Value::Missing)
        ]
    };
    (
        (
            number(6, 1),
            signed(7, 3),
            signed(7, 3),
            signed(9, 3),
            signed(9, 0),
        ),
        (
            number(5, 2),
            0..16_i64,
            number(8, 0),
            number(8, 0),
            any::<u16>(),
        ),
    )
        .prop_map(
            |((rain, level, level_2, flow, volume), (wind, direction, first, last, alarm))| {
                vec![
                    ("rain", rain),
                    ("level", level),
                    ("level_2", level_2),
                    ("flow", flow),
                    ("volume", volume),
                    ("wind_speed", wind),
                    ("wind_direction", Value::Whole(direction)),
                    ("quality_3", first),
                    ("quality_39", last),
                    ("alarm", Value::Whole(i64::from(alarm))),
                ]
            },
        )
}

proptest! {
    #[test]
    fn what_is_written_is_read(points in a_report(), at in 946_684_800_u64..4_000_000_000) {
        for options in ["", "tp = 'date'\nwords = 'high_first'"] {
            let codec = codec(options);
            let lent: Vec<_> = points.iter().map(|(name, value)| (key(name), *value)).collect();
            let report = Report {
                address: "5303810D00",
                at: UnixNanos(at * 1_000_000_000),
                east_s: 28_800,
                serial: 0,
                points: &lent,
            };
            let recorder = read_all(&codec, &codec.encode(&report).unwrap()).unwrap();
            for (spelled, value) in &points {
                prop_assert_eq!(number(&recorder, spelled), Owned::from(*value), "{}", spelled);
            }
            prop_assert_eq!(recorder.head(&key("address")), Some(&text("5303810D00")));
            if let Some(Owned::Time(Moment::Local(civil))) = recorder.head(&key("time")) {
                prop_assert_eq!(civil.at(28_800), Some(report.at));
            }
        }
    }

    #[test]
    fn arbitrary_data_and_bytes_never_panic(
        control in 0x80..=0xFF_u8,
        function in prop::sample::select(vec![0x02_u8, 0x5E, 0x81, 0xB0, 0xC0, 0x61]),
        bytes in prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(vec![0x68, 0x16, 0xAA, 0x07, 0x10])], 0..200,
        ),
    ) {
        if let Framing::Frame { skip, len } = standard().frame(&bytes) {
            prop_assert!(len > 0 && skip + len <= bytes.len());
        }
        let whole = frame(control, function, &hex::encode(&bytes));
        let len = whole.len();
        prop_assert_eq!(standard().frame(&whole), Framing::Frame { skip: 0, len });
        for options in ["", "flow = 'rate'\nflow_unit = 'per_second'\ntp = 'date'"] {
            if let Err(reject) = read_all(&codec(options), &whole) {
                prop_assert_ne!(reject.reason, QuarantineReason::FrameCheck);
            }
        }
    }
}
