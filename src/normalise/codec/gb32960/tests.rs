//! GB/T 32960 frames: public vectors, what is refused and why, round trips, damage.

use proptest::prelude::*;

use super::{
    super::{
        super::{point::Decimal, quality::Quality},
        encoding::{Encoder, Report},
        testing::{Found, Owned, Recorder, bit_flips, read_all, truncations, unhex, vectors},
    },
    *,
};
use crate::domain::{QuarantineReason, UnixNanos};

fn codec(options: &str) -> Gb32960 {
    Gb32960::new(serde_json::from_str(options).unwrap()).unwrap()
}

fn get<'r>(recorder: &'r Recorder, codec: &mut Gb32960, key: &str) -> &'r Found {
    let code = codec.key(key).unwrap();
    recorder
        .found(&code)
        .unwrap_or_else(|| panic!("{key} in {recorder:?}"))
}

fn number(recorder: &Recorder, codec: &mut Gb32960, key: &str) -> f64 {
    match get(recorder, codec, key).value {
        Owned::Number(number) => number,
        Owned::Whole(number) => number as f64,
        ref other => panic!("{key}: {other:?}"),
    }
}

fn time(date: (u16, u8, u8), clock: (u8, u8, u8)) -> Owned {
    Owned::Time(Moment::Local(Civil::new(date, clock).unwrap()))
}

fn vector(name: &str) -> Vec<u8> {
    vectors("gb32960")
        .into_iter()
        .find(|vector| vector.name == name)
        .unwrap()
        .input
}

/// A frame with this data.
fn framed(command: u8, other: &[u8], data: &[u8]) -> Vec<u8> {
    let mut out = [&[0x23, 0x23, command][..], other, &[1]].concat();
    out.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    out.extend(data);
    out.push(xor8(&out[2..]));
    out
}

const VIN: &[u8] = b"\xFELH0CKEBJ7LH000212";
const VIN_17691: &[u8] = b"LH0CKEBJ7LH000212\x01";
const TIME: &str = "150701110420";

fn report(blocks: &str) -> Vec<u8> {
    framed(2, VIN, &unhex(&[TIME, blocks].concat()))
}

#[test]
fn a_public_report_is_read_block_by_block() {
    let mut codec = codec("{}");
    let found = read_all(&codec, &vector("realtime_02")).unwrap();
    let heads = [
        ("address", Owned::Text("LH0CKEBJ7LH000212".to_owned())),
        ("command", Owned::Whole(2)),
        ("response", Owned::Whole(0xFE)),
    ];
    assert_eq!(
        found.heads,
        heads.map(|(key, value)| (OwnedKey::Name(key.into()), value))
    );
    assert_eq!(found.records.len(), 1);
    let observed = time((2021, 7, 1), (17, 4, 32));
    assert_eq!(get(&found, &mut codec, "time").value, observed);
    for (key, value, unit) in [
        ("speed", 0.0, Some("km/h")),
        ("mileage", 20_402.9, Some("km")),
        ("voltage", 398.5, Some("V")),
        ("current", 4.5, Some("A")),
        ("soc", 61.0, Some("%")),
        ("insulation", 13.0, Some("kOhm")),
        ("motor1.speed", 0.0, Some("/min")),
        ("motor1.torque", 0.0, Some("N.m")),
        ("motor1.temperature", 35.0, Some("Cel")),
        ("motor1.current", 0.0, Some("A")),
        ("battery1.voltage", 398.5, Some("V")),
        ("battery1.cells", 104.0, None),
        ("battery1.cell104", 0.0, Some("V")),
        ("battery1.probe1", 27.0, Some("Cel")),
        ("battery1.probe52", 29.0, Some("Cel")),
        ("probe_temperature_max", 29.0, Some("Cel")),
        ("alarm", 0.0, None),
    ] {
        assert_eq!(number(&found, &mut codec, key), value, "{key}");
        assert_eq!(get(&found, &mut codec, key).unit, unit, "{key}");
    }
    for key in ["longitude", "latitude"] {
        let point = get(&found, &mut codec, key);
        assert_eq!(
            (&point.value, point.quality),
            (&Owned::Missing, Quality::BAD)
        );
    }
    let abnormal = get(&found, &mut codec, "cell_voltage_max_cell");
    assert_eq!(
        (&abnormal.value, abnormal.quality),
        (&Owned::Missing, Quality::BAD)
    );
    let probe = codec.key("battery1.probe53").unwrap();
    assert_eq!(found.found(&probe), None);
}

#[test]
fn a_login_and_a_logout_are_frames_without_a_record() {
    let found = read_all(&codec("{}"), &vector("vehicle_login_01")).unwrap();
    assert!(found.records.is_empty());
    let head = |found: &Recorder, key: &str| found.head(&OwnedKey::Name(key.into())).cloned();
    assert_eq!(
        head(&found, "address"),
        Some(Owned::Text("LMGFE1G0000000SY1".to_owned()))
    );
    assert_eq!(
        head(&found, "time"),
        Some(time((2018, 5, 16), (11, 11, 48)))
    );
    assert_eq!(
        head(&found, "iccid"),
        Some(Owned::Text("89860616010054587601".to_owned()))
    );
    let logout = framed(4, VIN, &unhex("150701110420 0007"));
    let found = read_all(&codec("{}"), &logout).unwrap();
    assert_eq!(head(&found, "serial"), Some(Owned::Whole(7)));
    for (command, data) in [(7, ""), (2, ""), (2, TIME), (1, TIME), (8, "")] {
        let found = read_all(&codec("{}"), &framed(command, VIN, &unhex(data))).unwrap();
        assert_eq!(
            (found.records.len(), head(&found, "command")),
            (0, Some(Owned::Whole(command.into())))
        );
    }
}

#[test]
fn spoilt_and_cut_frames_are_never_taken_for_others() {
    for vector in vectors("gb32960") {
        truncations(&codec("{}"), &vector.input);
        bit_flips(&codec("{}"), &vector.input, |_, _| false);
    }
}

#[test]
fn every_block_is_read_to_its_end() {
    let mut codec = codec("{}");
    let found = read_all(
        &codec,
        &report(
            "03 0BB8 03E8 00FA 0002 50FF 0320 01 C350 02 0096 03 01 \
             04 01 0BB8 02EE \
             05 06 06D2FFC0 015CA87D \
             07 02 00000005 01 0000000A 02 00000001 00000002 00 FE \
             08 01 02 0F91 273D 0004 0003 02 0CE4 FFFE \
             81 0003 010203",
        ),
    )
    .unwrap();
    for (key, value) in [
        ("fuel_cell.voltage", 300.0),
        ("fuel_cell.current", 100.0),
        ("fuel_cell.consumption", 2.5),
        ("fuel_cell.probe1", 40.0),
        ("fuel_cell.hydrogen_temperature", 40.0),
        ("fuel_cell.hydrogen_concentration", 50_000.0),
        ("fuel_cell.hydrogen_pressure", 15.0),
        ("fuel_cell.dcdc_state", 1.0),
        ("engine.speed", 3_000.0),
        ("engine.fuel_rate", 7.5),
        ("longitude", -114.491328),
        ("latitude", -22.849661),
        ("alarm_level", 2.0),
        ("alarm", 5.0),
        ("battery_fault1", 10.0),
        ("motor_fault2", 2.0),
        ("battery2.cell3", 3.3),
    ] {
        assert_eq!(number(&found, &mut codec, key), value, "{key}");
    }
    let missing = |key: &str, codec: &mut Gb32960| {
        let point = get(&found, codec, key);
        (point.value == Owned::Missing, point.quality)
    };
    assert_eq!(
        missing("fuel_cell.probe2", &mut codec),
        (true, Quality::GOOD)
    );
    assert_eq!(missing("battery2.cell4", &mut codec), (true, Quality::BAD));
    assert_eq!(
        get(&found, &mut codec, "user.81").value,
        Owned::Bytes(vec![1, 2, 3])
    );
}

#[test]
fn a_position_that_is_not_valid_is_the_last_one_or_missing() {
    let payload = report("05 01 06D2FFC0 015CA87D");
    let mut keeps = codec("{}");
    let found = read_all(&keeps, &payload).unwrap();
    assert_eq!(
        get(&found, &mut keeps, "longitude").quality,
        Quality::LAST_USABLE
    );
    assert_eq!(number(&found, &mut keeps, "longitude"), 114.491328);
    let mut drops = codec(r#"{ "unfixed": "missing" }"#);
    let found = read_all(&drops, &payload).unwrap();
    assert_eq!(get(&found, &mut drops, "latitude").value, Owned::Missing);
    assert_eq!(get(&found, &mut drops, "latitude").quality, Quality::BAD);
    assert_eq!(number(&found, &mut drops, "position_state"), 1.0);
}

#[test]
fn what_cannot_be_read_is_handed_over_as_it_stands() {
    let mut codec = codec("{}");
    for (blocks, unread) in [
        ("04 01 0BB8 02EE 0A 0102", "0A0102"),
        ("04 01 0BB8 02EE 90 0003 01", "90000301"),
    ] {
        let found = read_all(&codec, &report(blocks)).unwrap();
        assert_eq!(number(&found, &mut codec, "engine.speed"), 3_000.0);
        assert_eq!(
            get(&found, &mut codec, "unread").value,
            Owned::Bytes(unhex(unread))
        );
    }
}

#[test]
fn faults_of_frames_are_told_apart() {
    let reason = |payload: &[u8]| {
        let len = payload.len();
        assert_eq!(codec("{}").frame(payload), Framing::Frame { skip: 0, len });
        codec("{}")
            .decode(payload, &mut Recorder::default())
            .unwrap_err()
            .reason
    };
    let mut spoilt = report("04 01 0BB8 02EE");
    spoilt[30] ^= 1;
    assert_eq!(reason(&spoilt), QuarantineReason::FrameCheck);
    assert_eq!(
        reason(&report("04 01 0BB8 02")),
        QuarantineReason::FrameMalformed
    );
    assert_eq!(
        reason(&report("08 01 01 0000 0000 0001 0001 09 0000")),
        QuarantineReason::FrameMalformed
    );
    let mut encrypted = report("04 01 0BB8 02EE");
    encrypted[21] = 3;
    let last = encrypted.len() - 1;
    encrypted[last] ^= 2;
    assert_eq!(reason(&encrypted), QuarantineReason::FrameUnsupported);
}

#[test]
fn frames_are_found_between_noise() {
    let codec = codec("{}");
    let whole = report("04 01 0BB8 02EE");
    let noise = b"##\0#noise of no frame and none again ###";
    let payload = [&noise[..], &whole, b"\r\n", &whole, &whole[..30]].concat();
    let first = codec.frame(&payload);
    assert_eq!(
        first,
        Framing::Frame {
            skip: noise.len(),
            len: whole.len()
        }
    );
    assert_eq!(read_all(&codec, &payload).unwrap().records.len(), 2);
    assert_eq!(
        codec.frame(&payload[noise.len() + 2 * whole.len() + 2..]),
        Framing::Partial { skip: 0 }
    );
    assert_eq!(codec.frame(b"no frame"), Framing::Nothing);
    assert_eq!(codec.frame(b"a #"), Framing::Partial { skip: 2 });
    assert_eq!(codec.frame(b""), Framing::Nothing);
}

#[test]
fn engines_of_gb_17691_are_read_with_their_fine_steps() {
    let stream = "02 0A80 C8 8C 82 1F40 0064 1770 1068 C8 0190 3A98 38A4 0064 82 64 00 06D2FFC0 015CA87D 00000A7E";
    let obd = [
        "01 01 00 0003 0001",
        &"41".repeat(17),
        &"43".repeat(18),
        &"3132".repeat(9),
        &"00".repeat(36),
        "02 00000102 00000304",
    ]
    .concat();
    let between = [TIME, "0009", &obd, stream, "80 0102"].concat();
    let in_block = [
        TIME,
        &obd.replacen("01 ", "01 0009 ", 1),
        &stream.replacen("02 ", "02 0009 ", 1),
    ]
    .concat();
    for (edition, data) in [("gb17691", between), ("gb17691_serial_in_block", in_block)] {
        let mut codec = codec(&format!(r#"{{ "edition": "{edition}" }}"#));
        let found = read_all(&codec, &framed(2, VIN_17691, &unhex(&data))).unwrap();
        for (key, value) in [
            ("speed", 10.5),
            ("atmospheric_pressure", 100.0),
            ("engine_torque", 15.0),
            ("engine_speed", 1_000.0),
            ("fuel_rate", 5.0),
            ("nox_upstream", 100.0),
            ("nox_downstream", 10.0),
            ("urea_level", 80.0),
            ("scr_inlet_temperature", 195.75),
            ("coolant_temperature", 90.0),
            ("tank_level", 40.0),
            ("longitude", 114.491328),
            ("mileage", 268.6),
            ("obd_protocol", 1.0),
            ("fault_code2", 772.0),
        ] {
            assert_eq!(number(&found, &mut codec, key), value, "{key}");
        }
        assert_eq!(
            get(&found, &mut codec, "cvn").value,
            Owned::Text("12".repeat(9))
        );
        assert_eq!(
            found.head(&OwnedKey::Name("version".into())),
            Some(&Owned::Whole(1))
        );
        let unread = found
            .found(&OwnedKey::Name("unread".into()))
            .map(|found| &found.value);
        let expected = Owned::Bytes(vec![0x80, 1, 2]);
        assert_eq!(unread, (edition == "gb17691").then_some(&expected));
    }
}

#[test]
fn keys_that_mean_nothing_are_refused_with_a_reason() {
    let mut electric = codec("{}");
    for key in [
        "velocity",
        "motor.speed",
        "motor01.speed",
        "motor256.speed",
        "user.7F",
        "user.8",
        "battery1.cell",
        "battery1.cell01",
        "cell1",
        "engine_speed",
    ] {
        let fault = electric.key(key).unwrap_err();
        assert!(fault.contains(key), "{fault}");
    }
    let mut diesel = codec(r#"{ "edition": "gb17691" }"#);
    assert!(diesel.key("engine_speed").is_ok());
    assert!(diesel.key("motor1.speed").unwrap_err().contains("GB 17691"));
}

fn decimal(mantissa: i64, places: u8) -> Value<'static> {
    Value::Decimal(Decimal::new(mantissa, places))
}

fn round_trip(options: &str, spelled: &[(&str, Value<'_>)]) -> Result<(), TestCaseError> {
    let mut codec = codec(options);
    let points: Vec<_> = spelled
        .iter()
        .map(|(key, value)| (codec.key(key).unwrap(), *value))
        .collect();
    let report = Report {
        address: "LH0CKEBJ7LH000212",
        at: UnixNanos(1_700_000_000_000_000_000),
        east_s: 28_800,
        serial: 5,
        points: &points,
    };
    let found = read_all(&codec, &codec.encode(&report).unwrap()).unwrap();
    prop_assert_eq!(found.records.len(), 1);
    for (key, value) in &points {
        prop_assert_eq!(&found.found(key).unwrap().value, &Owned::from(*value));
    }
    let address = Owned::Text("LH0CKEBJ7LH000212".to_owned());
    prop_assert_eq!(
        found.head(&OwnedKey::Name("address".into())),
        Some(&address)
    );
    let Owned::Time(Moment::Local(time)) = get(&found, &mut codec, "time").value else {
        panic!("no time");
    };
    prop_assert_eq!(time.at(28_800), Some(report.at));
    Ok(())
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        words in (0_i64..0xFFFE, 0_i64..0xFFFF_FFFE, 0_i64..0xFE, any::<u32>()),
        place in (-180_000_000_i64..180_000_000, -90_000_000_i64..90_000_000),
        cell in 1_u16..200,
        motor in 1_u8..254,
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let (two, four, one, bits) = words;
        round_trip("{}", &[
            ("speed", decimal(two, 1)),
            ("mileage", decimal(four, 1)),
            ("current", decimal(two - 10_000, 1)),
            ("soc", Value::Whole(one)),
            (&format!("motor{motor}.torque"), decimal(two - 20_000, 1)),
            ("motor0.temperature", Value::Whole(one - 40)),
            ("fuel_cell.probe3", Value::Whole(one - 40)),
            ("fuel_cell.hydrogen_temperature", decimal(two - 400, 1)),
            ("engine.fuel_rate", decimal(two, 2)),
            ("longitude", decimal(place.0, 6)),
            ("latitude", decimal(place.1, 6)),
            ("cell_voltage_min", decimal(two, 3)),
            ("alarm", Value::Whole(bits.into())),
            ("engine_fault2", Value::Whole(bits.into())),
            (&format!("battery1.cell{cell}"), decimal(two, 3)),
            ("battery3.probe7", Value::Whole(one - 40)),
            ("user.80", Value::Bytes(&bytes)),
        ])?;
    }

    #[test]
    fn engines_that_are_written_are_read_again(
        two in 0_i64..0xFFFF,
        one in 0_i64..0xFF,
        place in (-180_000_000_i64..180_000_000, -90_000_000_i64..90_000_000),
        edition in prop::sample::select(vec!["gb17691", "gb17691_serial_in_block"]),
    ) {
        round_trip(&format!(r#"{{ "edition": "{edition}" }}"#), &[
            ("speed", decimal(two * 390_625, 8)),
            ("scr_inlet_temperature", decimal(two * 3_125 - 27_300_000, 5)),
            ("nox_downstream", decimal(two * 5 - 20_000, 2)),
            ("urea_level", decimal(one * 4, 1)),
            ("engine_torque", Value::Whole(one - 125)),
            ("longitude", decimal(place.0, 6)),
            ("latitude", decimal(place.1, 6)),
            ("fault_code3", Value::Whole(two)),
            ("calibration_id", Value::Text("CAL")),
        ])?;
    }

    #[test]
    fn arbitrary_bytes_are_read_without_a_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        block in 0_u8..0x0C,
    ) {
        let data = [&unhex(TIME), &[block][..], &bytes].concat();
        let electric = codec("{}");
        let diesel = codec(r#"{ "edition": "gb17691" }"#);
        for payload in [bytes, framed(2, VIN, &data), framed(2, VIN_17691, &data)] {
            for codec in [&electric, &diesel] {
                let is_told = read_all(codec, &payload).map_or_else(|f| !f.detail.is_empty(), |_| true);
                prop_assert!(is_told);
            }
        }
    }
}
