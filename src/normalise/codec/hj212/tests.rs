//! HJ 212 frames: public vectors, what is refused and why, round trips, damage.

use proptest::prelude::*;
use serde_json::Value as Json;

use super::{
    super::{
        super::{
            payload::Reject,
            point::{Decimal, Key, Moment, OwnedKey, Point, Sink, Value},
            quality::Quality,
        },
        Codec, Decoded, Framing,
        encoding::{Encoder, Report},
        testing::{Found, Owned, Recorder, bad_vectors, bit_flips, read_all, truncations, vectors},
    },
    Crc, Hj212, Length, Options, Packets, check,
    content::time_of,
};
use crate::domain::{QuarantineReason, UnixNanos};

fn codec(options: &str) -> Hj212 {
    Hj212::new(toml::from_str::<Options>(options).unwrap()).unwrap()
}

fn standard() -> Hj212 {
    codec("")
}

fn key(name: &str) -> OwnedKey {
    OwnedKey::Name(name.into())
}

/// A frame with the right length and CRC.
fn frame(segment: &str) -> String {
    let (len, crc) = (segment.len(), check::crc(segment.as_bytes()));
    format!("##{len:04}{segment}{crc:04X}\r\n")
}

fn read(segment: &str) -> Recorder {
    read_all(&standard(), frame(segment).as_bytes()).unwrap()
}

fn found<'a>(recorder: &'a Recorder, name: &str) -> &'a Found {
    recorder
        .found(&key(name))
        .unwrap_or_else(|| panic!("no {name} in {recorder:?}"))
}

fn time(text: &str) -> Moment {
    time_of(text).unwrap()
}

fn text(text: &str) -> Owned {
    Owned::Text(text.to_owned())
}

#[test]
fn every_public_frame_gives_its_values_flags_and_times() {
    let all = vectors("hj212");
    assert_eq!(all.len(), 6);
    for vector in all {
        let recorder = read_all(&standard(), &vector.input).unwrap();
        let name = &vector.name;
        assert_eq!(recorder.records.len(), 1, "{name}");
        let observed = time(vector.expect["observed_local"].as_str().unwrap());
        assert_eq!(
            recorder.head(&key("DataTime")),
            Some(&Owned::Time(observed)),
            "{name}"
        );
        let device = match vector.expect["device"].as_str().unwrap() {
            "" => Owned::Missing,
            device => text(device),
        };
        for (head, value) in [
            ("MN", device.clone()),
            ("address", device),
            ("ST", text(vector.expect["st"].as_str().unwrap())),
            ("CN", text(vector.expect["cn"].as_str().unwrap())),
            ("command", text(vector.expect["cn"].as_str().unwrap())),
        ] {
            assert_eq!(recorder.head(&key(head)), Some(&value), "{name}: {head}");
        }
        for (spelled, expect) in vector.expect["readings"].as_object().unwrap() {
            let found = found(&recorder, &spelled.replace('.', "-"));
            assert_eq!(
                found.value,
                Owned::Number(expect["value"].as_f64().unwrap()),
                "{name}"
            );
            assert_eq!(found.quality, Quality::GOOD, "{name}");
            assert_eq!(found.unit, None, "{name}");
            let sampled = expect
                .get("observed_local")
                .and_then(Json::as_str)
                .map(time);
            assert_eq!(found.time, sampled, "{name}: {spelled}");
        }
    }
}

#[test]
fn every_published_frame_with_a_wrong_crc_is_refused_by_it() {
    let all = bad_vectors("hj212");
    assert_eq!(all.len(), 3);
    for vector in all {
        let reject = read_all(&standard(), &vector.input).unwrap_err();
        assert_eq!(
            reject.reason,
            QuarantineReason::FrameCheck,
            "{}",
            vector.name
        );
        let computed = vector.expect["error"].as_str().unwrap();
        let computed = computed
            .split("computed ")
            .nth(1)
            .unwrap()
            .trim_end_matches(')');
        assert!(
            reject.detail.contains(&format!("{computed} computed")),
            "{}",
            reject.detail
        );
    }
}

#[test]
fn a_swapped_crc_is_taken_where_the_profile_says_so() {
    let all = bad_vectors("hj212");
    let swapped = all
        .iter()
        .find(|v| v.name == "byte_swapped_crc_in_the_wild")
        .unwrap();
    let recorder = read_all(&codec("crc = 'either_order'"), &swapped.input).unwrap();
    assert_eq!(found(&recorder, "PM25-Rtd").value, Owned::Number(15.4));
    // A key without a kind is a value like any other, whatever its vendor meant.
    assert_eq!(found(&recorder, "NOIS").value, text("N"));
    for vector in &all {
        let unchecked = codec("crc = 'unchecked'\npackets = 'alone'");
        let recorder = read_all(&unchecked, &vector.input).unwrap();
        assert_eq!(recorder.records.len(), 1, "{}", vector.name);
    }
}

#[test]
fn no_truncation_and_no_turned_bit_gives_other_values() {
    for vector in vectors("hj212") {
        truncations(&standard(), &vector.input);
        bit_flips(&standard(), &vector.input, |_, _| false);
    }
}

#[test]
fn several_frames_are_found_between_noise_and_a_half_one_waits() {
    let one = frame("ST=22;CN=2011;MN=A;CP=&&DataTime=20200101000000;Leq-Rtd=1&&");
    let two = frame("ST=22;CN=2011;MN=A;CP=&&DataTime=20200101000001;Leq-Rtd=2&&");
    let payload = format!(
        "#ab##12x{one}\0\0#{}##{two}{}",
        two.trim_end(),
        one.split_at(30).0
    );
    let recorder = read_all(&standard(), payload.as_bytes()).unwrap();
    let values: Vec<_> = recorder
        .records
        .iter()
        .map(|record| record[0].value.clone())
        .collect();
    assert_eq!(values, [1.0, 2.0, 2.0].map(Owned::Number));
    let half = &one.as_bytes()[..30];
    assert_eq!(standard().frame(half), Framing::Partial { skip: 0 });
    for end in 1..6 {
        let payload = [b"noise".as_slice(), &half[..end]].concat();
        assert_eq!(standard().frame(&payload), Framing::Partial { skip: 5 });
    }
    assert_eq!(standard().frame(b"noise # ##123a"), Framing::Nothing);
}

#[test]
fn a_frame_whose_length_runs_into_the_next_spoils_itself_alone() {
    let one = frame("ST=22;CN=2011;MN=A;CP=&&Leq-Rtd=1&&").replacen("##00", "##90", 1);
    let two = frame("ST=22;CN=2011;MN=A;CP=&&Leq-Rtd=2&&");
    let payload = format!("{one}{two}");
    let cut = Framing::Frame {
        skip: 0,
        len: one.len(),
    };
    assert_eq!(standard().frame(payload.as_bytes()), cut);
    let mut recorder = Recorder::default();
    let reject = standard()
        .decode(one.as_bytes(), &mut recorder)
        .unwrap_err();
    assert_eq!(reject.reason, QuarantineReason::FrameMalformed);
    assert!(read_all(&standard(), two.as_bytes()).is_ok());
}

#[test]
fn a_wrong_length_is_overlooked_where_the_profile_says_so() {
    let found_end = codec("length = 'found'");
    let right = frame("ST=22;CN=2011;MN=A;CP=&&DataTime=20200101000000;Leq-Rtd=1&&");
    for declared in ["0001", "0059", "9999"] {
        let one = format!("##{declared}{}", right.split_at(6).1);
        let payload = format!("{one}{one}");
        let recorder = read_all(&found_end, payload.as_bytes()).unwrap();
        assert_eq!(recorder.records.len(), 2, "{declared}");
        assert_eq!(found(&recorder, "Leq-Rtd").value, Owned::Number(1.0));
    }
    for declared in [b"##0001", b"##9999"] {
        let half = [declared, &right.as_bytes()[6..40]].concat();
        assert_eq!(found_end.frame(&half), Framing::Partial { skip: 0 });
    }
    let empty = frame("ST=91;CN=9014;MN=A;CP=&&&&");
    assert!(
        read_all(&found_end, empty.as_bytes())
            .unwrap()
            .records
            .is_empty()
    );
}

#[test]
fn the_flag_of_a_factor_is_the_quality_of_its_values_wherever_it_stands() {
    for (flag, quality) in [
        ("N", Quality::GOOD),
        ("n", Quality::GOOD),
        ("F", Quality::OUT_OF_SERVICE),
        ("M", Quality::OUT_OF_SERVICE),
        ("S", Quality::SUBSTITUTE),
        ("D", Quality::SENSOR_FAILURE),
        ("P", Quality::DEVICE_FAILURE),
        ("C", Quality::SENSOR_CALIBRATION),
        ("T", Quality::SENSOR_NOT_ACCURATE),
        ("B", Quality::NO_COMMUNICATION),
        ("0", Quality::SENSOR_CALIBRATION),
        ("1", Quality::GOOD),
        ("2", Quality::UNCERTAIN),
        ("3", Quality::GOOD),
        ("", Quality::GOOD),
        ("X", Quality::UNCERTAIN),
        ("NN", Quality::UNCERTAIN),
    ] {
        for contents in [
            format!("a-Min=1,a-Rtd=2,a-Flag={flag};b-Rtd=3"),
            format!("a-Flag={flag},a-Min=1,a-Rtd=2,b-Rtd=3"),
            format!("a-Min=1;a-Rtd=2;a-Flag={flag};b-Rtd=3,b-Flag=N"),
        ] {
            let recorder = read(&format!("ST=22;CN=2011;MN=A;CP=&&{contents}&&"));
            assert_eq!(found(&recorder, "a-Min").quality, quality, "{contents}");
            assert_eq!(found(&recorder, "a-Rtd").quality, quality, "{contents}");
            assert_eq!(
                found(&recorder, "b-Rtd").quality,
                Quality::GOOD,
                "{contents}"
            );
            assert_eq!(recorder.found(&key("a-Flag")), None);
        }
    }
}

#[test]
fn digits_are_exact_and_what_is_none_is_missing() {
    struct Last(Option<Result<Decimal, String>>);
    impl Sink for Last {
        fn head(&mut self, _: Key<'_>, _: Value<'_>) -> Result<(), Reject> {
            Ok(())
        }
        fn point(&mut self, point: Point<'_>) -> Result<(), Reject> {
            self.0 = Some(match point.value {
                Value::Decimal(decimal) => Ok(decimal),
                other => Err(format!("{other:?}")),
            });
            Ok(())
        }
        fn end_record(&mut self) -> Result<(), Reject> {
            Ok(())
        }
    }
    let value = |written: &str| {
        let mut last = Last(None);
        let frame = frame(&format!("CP=&&a-Rtd={written}&&"));
        standard().decode(frame.as_bytes(), &mut last).unwrap();
        last.0.unwrap()
    };
    for (written, mantissa, places) in [
        ("0.00", 0, 2),
        ("-0.041", -41, 3),
        ("+12.5", 125, 1),
        ("5.", 5, 0),
        (".5", 5, 1),
        ("007", 7, 0),
        (" 7 ", 7, 0),
        ("999999999999999999", 999_999_999_999_999_999, 0),
    ] {
        assert_eq!(
            value(written),
            Ok(Decimal::new(mantissa, places)),
            "{written}"
        );
    }
    for absent in [
        "", " ", "-", "--", "---", "NaN", "nan", "-nan", "NULL", "N/A", "inf", "****", "1e999",
    ] {
        assert_eq!(value(absent), Err("Missing".to_owned()), "{absent:?}");
    }
    assert_eq!(value("1.2E-3"), Err("Real(0.0012)".to_owned()));
    assert_eq!(
        value("1234567890123456789"),
        Err("Real(1.2345678901234568e18)".to_owned())
    );
    assert_eq!(value("1.2.3"), Err("Text(\"1.2.3\")".to_owned()));
    assert_eq!(value("开"), Err("Text(\"开\")".to_owned()));
}

#[test]
fn text_in_gb18030_and_broken_text_spoil_no_reading() {
    let mut segment =
        b"ST=22;MN=A;CP=&&DataTime=20200101000000;State=\xBF\xAA\xFF;a-Rtd=1&&".to_vec();
    let crc = check::crc(&segment);
    segment.splice(0..0, format!("##{:04}", segment.len()).into_bytes());
    segment.extend(format!("{crc:04x}").bytes());
    let recorder = read_all(&standard(), &segment).unwrap();
    assert_eq!(found(&recorder, "a-Rtd").value, Owned::Number(1.0));
    assert!(
        matches!(&found(&recorder, "State").value, Owned::Text(text) if text.starts_with('开'))
    );
}

#[test]
fn times_have_fourteen_or_seventeen_digits_and_what_is_no_date_is_missing() {
    let of = |written: &str| {
        let recorder = read(&format!("MN=A;CP=&&DataTime={written};a-Rtd=1&&"));
        recorder.head(&key("DataTime")).cloned().unwrap()
    };
    let Moment::Local(whole) = time("20200623122504") else {
        panic!()
    };
    assert_eq!(of("20200623122504"), Owned::Time(Moment::Local(whole)));
    assert_eq!(of("2020-06-23 12:25:04"), Owned::Time(Moment::Local(whole)));
    let millis = whole.with_nanos(356_000_000).unwrap();
    assert_eq!(of("20200623122504356"), Owned::Time(Moment::Local(millis)));
    for none in [
        "00000000000000",
        "20201323122504",
        "202006231225",
        "",
        "2020062312250435612",
    ] {
        assert_eq!(of(none), Owned::Missing, "{none}");
    }
}

#[test]
fn an_event_is_a_record_and_a_heartbeat_is_none() {
    let event = vectors("hj212")
        .into_iter()
        .find(|v| v.name == "restart_notice_2081")
        .unwrap();
    let recorder = read_all(&standard(), &event.input).unwrap();
    let restart = Owned::Time(time("20200623122342"));
    assert_eq!(found(&recorder, "RestartTime").value, restart);
    for segment in [
        "QN=1;ST=91;CN=9014;PW=;MN=A;Flag=4;CP=&&&&",
        "ST=22;CN=1062;MN=A",
        "",
    ] {
        let recorder = read(segment);
        assert!(recorder.records.is_empty(), "{segment}");
    }
    assert_eq!(
        read("MN=A;Flag=x;CP=&&&&").head(&key("Flag")),
        Some(&text("x"))
    );
    assert_eq!(
        read("MN=A;Flag=4;CP=&&&&").head(&key("Flag")),
        Some(&Owned::Whole(4))
    );
    assert_eq!(
        read("PW=;MN=A;CP=&&&&").head(&key("PW")),
        Some(&Owned::Missing)
    );
}

#[test]
fn packets_are_joined_or_stand_alone_as_the_profile_says() {
    let head = "QN=20200101000000001;ST=31;CN=2051;MN=A;Flag=7;PNUM=2;PNO=";
    let one = frame(&format!(
        "{head}1;CP=&&DataTime=20200101000000;a-Avg=1,a-Flag=D&&"
    ));
    let two = frame(&format!(
        "{head}2;CP=&&DataTime=20200101010000;b-Avg=2,b-Flag=N&&"
    ));
    let mut recorder = Recorder::default();
    let codec_ = standard();
    let messages: Vec<_> = [&one, &two]
        .map(|frame| {
            match codec_
                .decode(frame.trim_end().as_bytes(), &mut recorder)
                .unwrap()
            {
                Decoded::Part(part) => (part.message, part.number, part.total),
                Decoded::Whole => panic!("no part"),
            }
        })
        .to_vec();
    assert_eq!(messages[0].0, messages[1].0);
    assert_eq!((messages[0].1, messages[1].1, messages[1].2), (1, 2, 2));
    assert_eq!(recorder, Recorder::default(), "a part tells nothing yet");

    let payload = format!("{one}{two}");
    let joined = read_all(&codec_, payload.as_bytes()).unwrap();
    assert_eq!(joined.records.len(), 1);
    assert_eq!(
        joined.head(&key("DataTime")),
        Some(&Owned::Time(time("20200101000000")))
    );
    assert_eq!(found(&joined, "a-Avg").quality, Quality::SENSOR_FAILURE);
    assert_eq!(found(&joined, "a-Avg").time, None);
    assert_eq!(found(&joined, "b-Avg").quality, Quality::GOOD);
    assert_eq!(found(&joined, "b-Avg").time, Some(time("20200101010000")));

    let alone = read_all(&codec("packets = 'alone'"), payload.as_bytes()).unwrap();
    assert_eq!(alone.records.len(), 2);

    for numbers in [
        "PNUM=1;PNO=1",
        "PNUM=0;PNO=0",
        "PNUM=2;PNO=3",
        "PNUM=x;PNO=1",
        "PNUM=2",
    ] {
        let whole = read(&format!("MN=A;{numbers};CP=&&a-Avg=1&&"));
        assert_eq!(whole.records.len(), 1, "{numbers}");
    }
}

#[test]
fn too_much_of_a_thing_is_refused() {
    let heads: String = (0..20).map(|n| format!("H{n}=1;")).collect();
    let values: String = (0..40).map(|n| format!("a-K{n}=1,")).collect();
    for segment in [format!("{heads}CP=&&&&"), format!("MN=A;CP=&&{values}&&")] {
        let reject = read_all(&standard(), frame(&segment).as_bytes()).unwrap_err();
        assert_eq!(reject.reason, QuarantineReason::FrameMalformed);
    }
}

#[test]
fn keys_are_spelled_as_on_the_wire_and_a_flag_is_none() {
    let mut codec = standard();
    for good in ["a34004-Rtd", "01-ZsRtd", "DataTime", "Leq-Rtd", "PolId"] {
        assert_eq!(codec.key(good), Ok(key(good)));
    }
    for bad in [
        "",
        "a=b",
        "a,b",
        "a b",
        "a34004-Flag",
        "w01018-SampleTime",
        "-Rtd",
        "a-",
    ] {
        assert!(codec.key(bad).is_err(), "{bad}");
    }
}

#[test]
fn options_are_read_and_unknown_ones_refused() {
    let options: Options =
        toml::from_str("crc = 'either_order'\nlength = 'found'\npackets = 'alone'").unwrap();
    assert_eq!(options.crc, Crc::EitherOrder);
    assert_eq!(options.length, Length::Found);
    assert_eq!(options.packets, Packets::Alone);
    assert!(toml::from_str::<Options>("crc16 = true").is_err());
}

fn a_value() -> impl Strategy<Value = (String, Owned)> {
    prop_oneof![
        (any::<i32>(), 0..7_u8).prop_map(|(mantissa, places)| (
            format!("{mantissa}/{places}"),
            Owned::from(Value::Decimal(Decimal::new(i64::from(mantissa), places)))
        )),
        "[G-M][O-Z]{1,6}".prop_map(|written| (written.clone(), Owned::Text(written))),
    ]
}

fn lent(written: &str) -> Value<'_> {
    match written.split_once('/') {
        Some((mantissa, places)) => Value::Decimal(Decimal::new(
            mantissa.parse().unwrap(),
            places.parse().unwrap(),
        )),
        None => Value::Text(written),
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        points in prop::collection::vec(("[a-z][0-9]{2,5}(-(Rtd|Avg|Min|Max|Cou))?", a_value()), 1..20),
        at in 946_684_800_u64..4_102_444_800,
    ) {
        let lent: Vec<_> = points.iter().map(|(name, (written, _))| (key(name), lent(written))).collect();
        let report = Report {
            address: "88888880000001",
            at: UnixNanos(at * 1_000_000_000),
            east_s: 28_800,
            serial: 7,
            points: &lent,
        };
        let recorder = read_all(&standard(), &standard().encode(&report).unwrap()).unwrap();
        let Some(Owned::Time(Moment::Local(civil))) = recorder.head(&key("DataTime")) else { panic!() };
        prop_assert_eq!(civil.at(28_800), Some(report.at));
        prop_assert_eq!(recorder.head(&key("address")), Some(&text("88888880000001")));
        prop_assert_eq!(recorder.records.len(), 1);
        let found: Vec<_> = recorder.records[0].iter().map(|f| (f.key.clone(), f.value.clone())).collect();
        let wanted: Vec<_> = points.iter().map(|(name, (_, value))| (key(name), value.clone())).collect();
        prop_assert_eq!(found, wanted);
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(b"##0123456789&=;,-CPNMQ".to_vec())], 0..200,
        ),
    ) {
        for options in ["", "crc = 'unchecked'\nlength = 'found'"] {
            let codec = codec(options);
            let framed = codec.frame(&bytes);
            if let Framing::Frame { skip, len } = framed {
                prop_assert!(len > 0 && skip + len <= bytes.len());
            }
            let mut whole = b"##0009".to_vec();
            whole.extend_from_slice(&bytes);
            let read = read_all(&codec, &whole);
            prop_assert!(read.is_ok() || read.is_err());
        }
        let contents = String::from_utf8_lossy(&bytes);
        let mut recorder = Recorder::default();
        prop_assert!(super::content::read(&contents, &mut recorder).is_ok() || !contents.is_empty());
    }
}
