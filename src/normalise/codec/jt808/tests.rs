//! JT/T 808 frames: public vectors, what is refused and why, round trips, damage.

use proptest::prelude::*;

use super::{
    super::{
        super::point::{Civil, Decimal, Moment},
        super::quality::Quality,
        encoding::{Encoder, Report},
        testing::{Found, Owned, Recorder, bit_flips, read_all, truncations, unhex, vectors},
    },
    *,
};
use crate::domain::{QuarantineReason, UnixNanos};

const BATTERY: &str = r#"{ "extras": [{ "id": "06", "name": "battery", "type": "u8" }] }"#;
const NESTED: &str = r#"{ "nested": { "EB": "len16_id16" },
    "extras": [{ "id": "EB.00A8", "name": "battery", "type": "u8" }] }"#;

fn codec(options: &str) -> Jt808 {
    Jt808::new(serde_json::from_str(options).unwrap()).unwrap()
}

fn get<'r>(recorder: &'r Recorder, codec: &mut Jt808, key: &str) -> &'r Found {
    let code = codec.key(key).unwrap();
    recorder
        .found(&code)
        .unwrap_or_else(|| panic!("{key} in {recorder:?}"))
}

fn number(recorder: &Recorder, codec: &mut Jt808, key: &str) -> f64 {
    match get(recorder, codec, key).value {
        Owned::Number(number) => number,
        Owned::Whole(number) => number as f64,
        ref other => panic!("{key}: {other:?}"),
    }
}

fn local(text: &str) -> Owned {
    let part = |range: std::ops::Range<usize>| text.get(range).unwrap().parse::<u8>().unwrap();
    let date = (
        text.get(..4).unwrap().parse().unwrap(),
        part(5..7),
        part(8..10),
    );
    let civil = Civil::new(date, (part(11..13), part(14..16), part(17..19))).unwrap();
    Owned::Time(Moment::Local(civil))
}

/// Marks, escapes and the check around a message.
fn framed(message: &[u8]) -> Vec<u8> {
    let mut out = vec![packet::MARK];
    for byte in message.iter().chain([&xor8(message)]) {
        match byte {
            0x7E => out.extend([0x7D, 2]),
            0x7D => out.extend([0x7D, 1]),
            byte => out.push(*byte),
        }
    }
    out.push(packet::MARK);
    out
}

fn message(command: u16, attributes: u16, body: &[u8]) -> Vec<u8> {
    let mut out = command.to_be_bytes().to_vec();
    out.extend((attributes | u16::try_from(body.len()).unwrap()).to_be_bytes());
    out.extend([1, 0x39, 0x12, 0x34, 0x56, 0x78, 0, 7]);
    out.extend(body);
    out
}

/// A position in the south and west whose bytes need escapes.
fn position() -> Vec<u8> {
    unhex("0000007E 0000000F 015CA87D 06D2FFC0 FFFE 007D 0102 240229235959 0104 00000A7E")
}

fn reason(codec: &Jt808, payload: &[u8]) -> QuarantineReason {
    read_all(codec, payload).unwrap_err().reason
}

#[test]
fn public_positions_are_read_with_place_time_and_extras() {
    for vector in vectors("jt808") {
        if vector.name == "escape_example" {
            continue;
        }
        let mut codec = codec(match vector.name.as_str() {
            "location_0200_battery" => BATTERY,
            "location_0200_odometer" => NESTED,
            _ => "{}",
        });
        let found = read_all(&codec, &vector.input).unwrap();
        assert_eq!(found.records.len(), 1, "{}", vector.name);
        let address = Owned::Text(vector.expect["device"].as_str().unwrap().to_owned());
        assert_eq!(
            found.head(&OwnedKey::Name("address".into())),
            Some(&address)
        );
        let command = u16::from_str_radix(vector.expect["msg"].as_str().unwrap(), 16).unwrap();
        let command = Owned::Whole(i64::from(command));
        assert_eq!(
            found.head(&OwnedKey::Name("command".into())),
            Some(&command)
        );
        let time = local(vector.expect["observed_local"].as_str().unwrap());
        assert_eq!(get(&found, &mut codec, "time").value, time);
        for (name, expected) in vector.expect["readings"].as_object().unwrap() {
            let key = match name.as_str() {
                "lat" => "latitude",
                "lon" => "longitude",
                "altitude_m" => "altitude",
                "odometer_km" => "mileage",
                "battery_pct" => "battery",
                "satellites" => "satellites",
                other => panic!("{other}"),
            };
            assert_eq!(
                number(&found, &mut codec, key),
                expected.as_f64().unwrap(),
                "{key}"
            );
            assert_eq!(get(&found, &mut codec, key).quality, Quality::GOOD);
        }
    }
}

#[test]
fn the_standards_example_of_escapes_is_undone() {
    let example = vectors("jt808")
        .into_iter()
        .find(|v| v.name == "escape_example")
        .unwrap();
    let escaped = packet::between_marks(&example.input).unwrap();
    let mut room = [0; 8];
    let plain = packet::unescape(escaped, &mut room).unwrap();
    let expected = example.expect["unescaped_body"].as_str().unwrap();
    assert_eq!(plain, unhex(expected));
    assert_eq!(
        reason(&codec("{}"), &example.input),
        QuarantineReason::FrameCheck
    );
}

#[test]
fn spoilt_and_cut_frames_are_never_taken_for_others() {
    let mut payloads: Vec<_> = vectors("jt808").into_iter().map(|v| v.input).collect();
    payloads.retain(|payload| read_all(&codec("{}"), payload).is_ok());
    payloads.push(framed(&message(0x0200, 0, &position())));
    assert_eq!(payloads.len(), 4);
    for payload in payloads {
        truncations(&codec(NESTED), &payload);
        bit_flips(&codec(NESTED), &payload, |_, _| false);
    }
}

#[test]
fn south_and_west_are_negative_and_altitude_is_signed() {
    let mut codec = codec("{}");
    let found = read_all(&codec, &framed(&message(0x0200, 0, &position()))).unwrap();
    assert_eq!(number(&found, &mut codec, "latitude"), -22.849661);
    assert_eq!(number(&found, &mut codec, "longitude"), -114.491328);
    assert_eq!(number(&found, &mut codec, "altitude"), -2.0);
    assert_eq!(number(&found, &mut codec, "speed"), 12.5);
    assert_eq!(get(&found, &mut codec, "speed").unit, Some("km/h"));
    assert_eq!(number(&found, &mut codec, "alarm"), 126.0);
    assert_eq!(number(&found, &mut codec, "mileage"), 268.6);
    assert_eq!(get(&found, &mut codec, "mileage").unit, Some("km"));
    assert_eq!(
        get(&found, &mut codec, "time").value,
        local("2024-02-29T23:59:59")
    );
}

#[test]
fn a_position_without_a_fix_is_uncertain_or_missing() {
    let mut body = position();
    body[7] = 0x0C;
    let payload = framed(&message(0x0200, 0, &body));
    for (options, quality) in [
        ("{}", Quality::UNCERTAIN),
        (r#"{ "unfixed": "missing" }"#, Quality::BAD),
    ] {
        let mut codec = codec(options);
        let found = read_all(&codec, &payload).unwrap();
        for key in ["latitude", "longitude", "altitude", "speed", "direction"] {
            let point = get(&found, &mut codec, key);
            assert_eq!(point.quality, quality);
            assert_eq!(point.value == Owned::Missing, quality == Quality::BAD);
        }
        assert_eq!(get(&found, &mut codec, "mileage").quality, Quality::GOOD);
    }
    body[8..16].fill(0);
    let mut codec = codec("{}");
    let found = read_all(&codec, &framed(&message(0x0200, 0, &body))).unwrap();
    assert_eq!(get(&found, &mut codec, "latitude").value, Owned::Missing);
}

#[test]
fn a_clock_that_is_not_set_is_a_missing_time() {
    let mut body = position();
    body[22..28].fill(0);
    let mut codec = codec("{}");
    let found = read_all(&codec, &framed(&message(0x0200, 0, &body))).unwrap();
    assert_eq!(get(&found, &mut codec, "time").value, Owned::Missing);
}

#[test]
fn edition_2019_has_a_version_and_a_phone_of_twenty_digits() {
    let mut plain = unhex("0200 4000 01 00000000013912345678 0009");
    let body = position();
    plain[3] = u8::try_from(body.len()).unwrap();
    plain.extend(body);
    let found = read_all(&codec("{}"), &framed(&plain)).unwrap();
    let heads = [
        ("address", Owned::Text("00000000013912345678".to_owned())),
        ("command", Owned::Whole(0x0200)),
        ("serial", Owned::Whole(9)),
        ("version", Owned::Whole(1)),
    ];
    assert_eq!(
        found.heads,
        heads.map(|(key, value)| (OwnedKey::Name(key.into()), value))
    );
    assert_eq!(found.records.len(), 1);
}

#[test]
fn messages_without_a_position_are_no_records_and_no_errors() {
    for (command, body) in [
        (0x0002, vec![]),
        (0x0100, vec![0; 37]),
        (0x0102, b"ABC".to_vec()),
    ] {
        let found = read_all(&codec("{}"), &framed(&message(command, 0, &body))).unwrap();
        assert_eq!(found.records, Vec::<Vec<Found>>::new());
        let command = Owned::Whole(i64::from(command));
        assert_eq!(
            found.head(&OwnedKey::Name("command".into())),
            Some(&command)
        );
    }
}

#[test]
fn replies_hold_their_position_behind_the_serial_of_the_request() {
    for command in [0x0201, 0x0500] {
        let body = [&[0, 5][..], &position()].concat();
        let mut codec = codec("{}");
        let found = read_all(&codec, &framed(&message(command, 0, &body))).unwrap();
        assert_eq!(number(&found, &mut codec, "direction"), 258.0);
    }
}

#[test]
fn transparent_content_is_a_record_of_bytes() {
    let found = read_all(&codec("{}"), &framed(&message(0x0900, 0, &[0xF0, 1, 2]))).unwrap();
    assert_eq!(found.records[0][0].value, Owned::Whole(0xF0));
    assert_eq!(found.records[0][1].value, Owned::Bytes(vec![1, 2]));
}

fn batch(count: u16, items: &[&[u8]]) -> Vec<u8> {
    let mut body = count.to_be_bytes().to_vec();
    body.push(1);
    for item in items {
        body.extend(u16::try_from(item.len()).unwrap().to_be_bytes());
        body.extend(*item);
    }
    body
}

#[test]
fn a_batch_is_a_record_for_each_position_that_can_be_read() {
    let whole = position();
    let codec = codec("{}");
    let read = |body: &[u8]| read_all(&codec, &framed(&message(0x0704, 0, body)));
    let found = read(&batch(2, &[&whole, &whole])).unwrap();
    assert_eq!(found.records.len(), 2);
    assert_eq!(found.records[0], found.records[1]);
    assert_eq!(
        found.head(&OwnedKey::Name("batch_type".into())),
        Some(&Owned::Whole(1))
    );
    assert_eq!(
        read(&batch(3, &[&whole, &whole[..27], &whole]))
            .unwrap()
            .records
            .len(),
        2
    );
    let cut = batch(2, &[&whole, &whole]);
    assert_eq!(read(&cut[..cut.len() - 3]).unwrap().records.len(), 1);
    assert!(read(&batch(0, &[])).unwrap().records.is_empty());
    assert!(read(&batch(1, &[])).is_err());
    assert!(read(&batch(1, &[&whole[..27]])).is_err());
}

#[test]
fn packets_of_a_message_are_joined_with_their_escapes() {
    let body = batch(3, &[&position(), &position(), &position()]);
    let (first, second) = body.split_at(49);
    let packet = |serial: u16, number: u16, part: &[u8]| {
        let mut plain = message(0x0704, 1 << 13, part);
        plain[10..12].copy_from_slice(&serial.to_be_bytes());
        plain.splice(12..12, [0, 2].into_iter().chain(number.to_be_bytes()));
        framed(&plain)
    };
    let codec = codec("{}");
    let (one, two) = (packet(0xFFFF, 1, first), packet(0, 2, second));
    let found = read_all(&codec, &[one.clone(), two.clone()].concat()).unwrap();
    assert_eq!(found.records.len(), 3);
    let part = |frame| match codec.decode(frame, &mut Recorder::default()).unwrap() {
        Decoded::Part(part) => (part.message, part.number, part.total),
        Decoded::Whole => panic!("one of two packets"),
    };
    assert_eq!(part(&one).0, part(&two).0);
    assert_eq!((part(&two).1, part(&two).2), (2, 2));
    let other = packet(3, 2, second);
    assert_ne!(part(&one).0, part(&other).0);
    assert_eq!(
        reason(&codec, &packet(1, 3, second)),
        QuarantineReason::FrameMalformed
    );
    assert_eq!(
        reason(&codec, &packet(1, 0, second)),
        QuarantineReason::FrameMalformed
    );
}

#[test]
fn an_encrypted_body_is_unsupported() {
    let payload = framed(&message(0x0200, 1 << 10, &position()));
    assert_eq!(
        reason(&codec("{}"), &payload),
        QuarantineReason::FrameUnsupported
    );
}

#[test]
fn a_wrong_length_a_wrong_check_and_a_wrong_escape_are_told_apart() {
    let codec = codec("{}");
    let mut plain = message(0x0200, 0, &position());
    plain[3] += 1;
    assert_eq!(
        reason(&codec, &framed(&plain)),
        QuarantineReason::FrameMalformed
    );
    let mut payload = framed(&message(0x0002, 0, &[]));
    payload[3] ^= 2;
    assert_eq!(reason(&codec, &payload), QuarantineReason::FrameCheck);
    assert_eq!(
        reason(&codec, &unhex("7E007D037E")),
        QuarantineReason::FrameMalformed
    );
    assert_eq!(
        reason(
            &codec,
            &[&[0x7E][..], &[0x7D, 1].repeat(2000), &[0x7E]].concat()
        ),
        QuarantineReason::FrameMalformed
    );
}

#[test]
fn frames_are_found_between_noise_and_behind_half_a_frame() {
    let codec = codec("{}");
    let whole = framed(&message(0x0200, 0, &position()));
    let count = |parts: &[&[u8]]| {
        let mut rest = &parts.concat()[..];
        let mut good = 0;
        while let Framing::Frame { skip, len } = codec.frame(rest) {
            let (frame, behind) = rest[skip..].split_at(len);
            good += usize::from(codec.decode(frame, &mut Recorder::default()).is_ok());
            rest = behind;
        }
        (good, codec.frame(rest))
    };
    let half = &whole[..20];
    let tail = &whole[20..];
    let unmarked = &whole[..whole.len() - 1];
    assert_eq!(count(&[&whole, &whole]).0, 2);
    assert_eq!(
        count(&[b"noise", &whole, b"\r\n", &whole, b"more"]),
        (2, Framing::Nothing)
    );
    assert_eq!(count(&[tail, &whole]).0, 1);
    assert_eq!(count(&[half, &whole]).0, 1);
    assert_eq!(count(&[unmarked, &whole]).0, 2);
    assert_eq!(count(&[unmarked, unmarked, &whole, half]).0, 3);
    assert_eq!(
        count(&[&whole, b"x", half]),
        (1, Framing::Partial { skip: 1 })
    );
    assert_eq!(codec.frame(&[]), Framing::Nothing);
    assert_eq!(
        codec.frame(&[0x7E, 0x7E, 0x7E]),
        Framing::Partial { skip: 2 }
    );
}

#[test]
fn extras_of_an_unusual_length_come_as_bytes_and_a_cut_one_is_bad() {
    let mut codec = codec("{}");
    let body = [&position()[..28], &unhex("0101 05 3001 1F 0104 0000")].concat();
    let found = read_all(&codec, &framed(&message(0x0200, 0, &body))).unwrap();
    assert_eq!(
        get(&found, &mut codec, "mileage").value,
        Owned::Bytes(vec![5])
    );
    assert_eq!(number(&found, &mut codec, "signal_strength"), 31.0);
    let last = found.records[0].last().unwrap();
    assert_eq!((&last.value, last.quality), (&Owned::Missing, Quality::BAD));
}

#[test]
fn values_are_taken_out_of_extras_as_the_options_say() {
    let mut codec = codec(
        r#"{ "nested": { "51": "id8_len8", "E3": "id16_len8", "E4": "id16_len16" }, "extras": [
        { "id": "64", "name": "adas.level", "type": "u8", "at": 6 },
        { "id": "64", "name": "adas.beyond", "type": "u16", "at": 6 },
        { "id": "70", "type": "i16", "decimals": 1 },
        { "id": "71", "type": "bcd", "len": 2, "decimals": 2 },
        { "id": "72", "type": "text" },
        { "id": "06", "type": "signed15" },
        { "id": "51.0A", "name": "weight", "type": "u16" }] }"#,
    );
    let extras = unhex(
        "6407 00000000000002 7002 FFF6 7103 123456 7204 BAC50041 0602 8005 5104 0A02 0102 \
         E304 0001 01 09 E406 0002 0002 0A0B",
    );
    let body = [&position()[..28], &extras].concat();
    let found = read_all(&codec, &framed(&message(0x0200, 0, &body))).unwrap();
    assert_eq!(number(&found, &mut codec, "adas.level"), 2.0);
    let beyond = get(&found, &mut codec, "adas.beyond");
    assert_eq!(
        (&beyond.value, beyond.quality),
        (&Owned::Missing, Quality::BAD)
    );
    assert_eq!(
        get(&found, &mut codec, "extra.64").value,
        Owned::Bytes(vec![0, 0, 0, 0, 0, 0, 2])
    );
    assert_eq!(number(&found, &mut codec, "extra.70"), -1.0);
    assert_eq!(number(&found, &mut codec, "extra.71"), 12.34);
    assert_eq!(
        get(&found, &mut codec, "extra.72").value,
        Owned::Text("号".to_owned())
    );
    assert_eq!(number(&found, &mut codec, "carriage_temperature"), -5.0);
    assert_eq!(number(&found, &mut codec, "weight"), 258.0);
    assert_eq!(
        get(&found, &mut codec, "extra.E3.0001").value,
        Owned::Bytes(vec![9])
    );
    assert_eq!(
        get(&found, &mut codec, "extra.E4.0002").value,
        Owned::Bytes(vec![10, 11])
    );
}

#[test]
fn keys_and_options_that_mean_nothing_are_refused_with_a_reason() {
    let mut codec = codec(NESTED);
    for (key, part) in [
        ("lat", "latitude"),
        ("extra.1", "hexadecimal"),
        ("extra.EB.1", "hexadecimal"),
        ("extra.51.01", "nested"),
        ("extra.", "hexadecimal"),
    ] {
        let fault = codec.key(key).unwrap_err();
        assert!(fault.contains(part), "{key}: {fault}");
    }
    assert_eq!(codec.key("extra.01"), codec.key("mileage"));
    for options in [
        r#"{ "nested": { "E": "id8_len8" } }"#,
        r#"{ "extras": [{ "id": "6", "type": "u8" }] }"#,
        r#"{ "extras": [{ "id": "06", "type": "u8" }, { "id": "06", "type": "i8" }] }"#,
        r#"{ "extras": [{ "id": "06", "type": "u8", "len": 1 }] }"#,
        r#"{ "extras": [{ "id": "06", "type": "u8", "decimals": 19 }] }"#,
        r#"{ "extras": [{ "id": "06", "type": "u8", "name": "speed" }] }"#,
        r#"{ "extras": [{ "id": "06", "type": "u8", "name": "mileage" }] }"#,
    ] {
        let options: Options = serde_json::from_str(options).unwrap();
        assert!(Jt808::new(options.clone()).is_err(), "{options:?}");
    }
}

fn decimal(mantissa: i64, places: u8) -> Value<'static> {
    Value::Decimal(Decimal::new(mantissa, places))
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        place in (-90_000_000_i64..90_000_000, -180_000_000_i64..180_000_000),
        words in (any::<u32>(), any::<u16>(), any::<i16>(), any::<u32>(), any::<u8>()),
        bytes in prop::collection::vec(any::<u8>(), 0..40),
        phone in prop::sample::select(vec!["013912345678", "00000000013912345678"]),
        serial in any::<u16>(),
        seconds in 946_684_800_u64..4_000_000_000,
    ) {
        let mut codec = codec(NESTED);
        let (alarm, speed, altitude, mileage, battery) = words;
        let spelled = [
            ("latitude", decimal(place.0, 6)),
            ("longitude", decimal(place.1, 6)),
            ("alarm", Value::Whole(alarm.into())),
            ("speed", decimal(speed.into(), 1)),
            ("altitude", Value::Whole(altitude.into())),
            ("mileage", decimal(mileage.into(), 1)),
            ("battery", Value::Whole(battery.into())),
            ("extra.EB.0023", Value::Bytes(&bytes)),
            ("extra.F3", Value::Bytes(&bytes)),
        ];
        let points = spelled.map(|(key, value)| (codec.key(key).unwrap(), value));
        let at = UnixNanos(seconds % 3_000_000_000 * 1_000_000_000);
        let serial = u32::from(serial);
        let report = Report { address: phone, at, east_s: 28_800, serial, points: &points };
        prop_assume!(report.calendar().year >= 2000 && report.calendar().year < 2100);
        let found = read_all(&codec, &codec.encode(&report).unwrap()).unwrap();
        for (key, value) in &points {
            prop_assert_eq!(&found.found(key).unwrap().value, &Owned::from(*value));
        }
        let address = Owned::Text(phone.to_owned());
        prop_assert_eq!(found.head(&OwnedKey::Name("address".into())), Some(&address));
        let Owned::Time(Moment::Local(time)) = get(&found, &mut codec, "time").value else {
            panic!("no time");
        };
        prop_assert_eq!(time.at(28_800), Some(at));
    }

    #[test]
    fn arbitrary_bytes_are_read_without_a_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        command in prop::sample::select(vec![0x0200_u16, 0x0201, 0x0704, 0x0900]),
    ) {
        let codec = codec(NESTED);
        let marked = [&[0x7E][..], &bytes, &[0x7E], &bytes].concat();
        let checked = framed(&message(command, 0, &bytes));
        for payload in [&bytes, &marked, &checked] {
            let is_told = read_all(&codec, payload).map_or_else(|f| !f.detail.is_empty(), |_| true);
            prop_assert!(is_told);
        }
    }
}
