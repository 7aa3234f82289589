//! Frames among other bytes, escapes, checks.

use proptest::prelude::*;

use super::{
    super::super::{
        super::point::{Civil, Decimal},
        testing::{bit_flips, truncations},
    },
    vendors::examples,
    *,
};
use crate::domain::QuarantineReason;

const ESCAPED: &str = r#"
frame = { start = "7E", end = "7E", escape = { 7D01 = "7D", 7D02 = "7E" } }
check = { kind = "xor8", from = 1 }
trailing = "refuse"
take = [
  { name = "address", head = true, type = "hex", bytes = 4 },
  { name = "level", type = "u32be" },
]"#;

fn framed() -> Layout {
    layout(&examples().swap_remove(3))
}

fn levels(values: &[i64]) -> Vec<(&'static str, Value<'static>)> {
    values
        .iter()
        .map(|level| ("level", Value::Decimal(Decimal::new(*level, 3))))
        .collect()
}

#[test]
fn a_frame_has_its_bytes_where_the_profile_says() {
    let frame = write(&framed(), &levels(&[1234]));
    let head = "AA55 10 11223344 260304050607 01 001234";
    assert_eq!(hex::encode_upper(&frame[..17]), head.replace(' ', ""));
    assert_eq!(frame.len(), 0x10 + 5);
}

#[test]
fn a_series_has_a_time_for_each_value() {
    let layout = framed();
    let recorder = read_all(&layout, &write(&layout, &levels(&[1, 2]))).unwrap();
    let time = Civil::new((2026, 3, 4), (5, 6, 7)).unwrap();
    let times: Vec<_> = recorder.records[0]
        .iter()
        .filter_map(|point| point.time)
        .collect();
    assert_eq!(
        times,
        [Moment::Local(time), Moment::Local(time.plus_seconds(300))]
    );
    assert_eq!(head(&recorder, "address"), Owned::Text("11223344".into()));
}

#[test]
fn frames_are_found_among_noise_and_a_half_one_is_kept_for_later() {
    let layout = framed();
    let frame = write(&layout, &levels(&[1, 2, 3]));
    let noise = unhex("00AA11AA55FF0D0A");
    let payload = [&noise, &frame[..], &noise, &frame, &frame[..10]].concat();
    assert_eq!(read_all(&layout, &payload).unwrap().records.len(), 2);
    let tail = &payload[payload.len() - 10..];
    assert_eq!(layout.frame(tail), Framing::Partial { skip: 0 });
    assert_eq!(layout.frame(&[0, 0xAA]), Framing::Partial { skip: 1 });
    assert_eq!(layout.frame(&[0, 1]), Framing::Nothing);
}

#[test]
fn a_frame_behind_a_broken_length_is_found() {
    let layout = framed();
    let frame = write(&layout, &levels(&[5]));
    let payload = [&unhex("AA5540")[..], &frame].concat();
    assert_eq!(
        layout.frame(&payload),
        Framing::Frame {
            skip: 3,
            len: frame.len()
        }
    );
}

#[test]
fn a_spoilt_frame_gives_nothing() {
    for (codec, points) in [
        (framed(), levels(&[12_345, 678])),
        (layout(ESCAPED), vec![("level", Value::Whole(0x7E01_7D02))]),
    ] {
        let frame = write(&codec, &points);
        truncations(&codec, &frame);
        bit_flips(&codec, &frame, |_, _| false);
    }
}

#[test]
fn a_wrong_check_is_said_with_both_numbers() {
    let layout = framed();
    let mut frame = write(&layout, &levels(&[1]));
    let at = frame.len() - 4;
    frame[at] ^= 0xFF;
    let reject = layout.decode(&frame, &mut Recorder::default()).unwrap_err();
    assert_eq!(reject.reason, QuarantineReason::FrameCheck);
    assert!(
        reject.detail.starts_with("crc16_modbus: "),
        "{}",
        reject.detail
    );
}

#[test]
fn an_escape_that_means_nothing_is_refused_at_its_place() {
    let layout = layout(ESCAPED);
    let reject = read_all(&layout, &unhex("7E 11 7D05 22 7E")).unwrap_err();
    assert_eq!(reject.reason, QuarantineReason::FrameMalformed);
    assert!(reject.detail.starts_with("byte 2: "), "{}", reject.detail);
}

#[test]
fn a_frame_with_escapes_that_is_too_long_is_refused() {
    let layout = layout(ESCAPED);
    let payload = [vec![0x7E], [0x7D, 1].repeat(3000), vec![0x7E]].concat();
    assert!(
        read_all(&layout, &payload)
            .unwrap_err()
            .detail
            .contains("too long")
    );
}

#[test]
fn two_marks_that_follow_each_other_are_an_end_and_a_start() {
    let layout = layout(ESCAPED);
    let frame = write(&layout, &[("level", Value::Whole(7))]);
    let payload = [&frame[..], &frame, &frame[..4]].concat();
    assert_eq!(read_all(&layout, &payload).unwrap().records.len(), 2);
    assert_eq!(
        layout.frame(&payload[frame.len() - 1..]),
        Framing::Frame {
            skip: 1,
            len: frame.len()
        }
    );
}

#[test]
fn frames_of_a_fixed_length_follow_each_other() {
    let layout = layout(
        "frame = { fixed = 3 }\ncheck = { kind = 'sum8' }\ntake = [{ name = 'a', type = 'u16be' }]",
    );
    let recorder = read(&layout, "010203 040509 01");
    assert_eq!(
        all(&layout, &recorder, "a"),
        [Owned::Whole(0x102), Owned::Whole(0x405)]
    );
    assert_eq!(layout.frame(&[1]), Framing::Partial { skip: 0 });
}

#[test]
fn lines_end_where_their_end_stands() {
    let layout = layout(
        "frame = { end = '0D0A' }\ntake = [{ name = 'a', type = 'digits', bytes = 'rest' }]",
    );
    let recorder = read_all(&layout, b"+1.50\r\n-20\r\n3").unwrap();
    assert_eq!(
        all(&layout, &recorder, "a"),
        [Owned::Number(1.5), Owned::Number(-20.0)]
    );
}

#[test]
fn checks_give_their_published_values() {
    let published = [
        ("kind = 'crc16_modbus'", "374B"),
        ("kind = 'crc16_ccitt'", "29B1"),
        ("kind = 'crc16_xmodem'", "31C3"),
        ("kind = 'crc16_kermit'", "2189"),
        (
            "kind = 'crc16', poly = 0x3D65, reflected = true, xorout = 0xFFFF",
            "EA82",
        ),
        ("kind = 'crc8'", "F4"),
        ("kind = 'crc8', poly = 0x31, reflected = true", "A1"),
        ("kind = 'crc8', poly = 0x9B, init = 0xFF", "DA"),
        ("kind = 'sum8'", "DD"),
        ("kind = 'sum16'", "01DD"),
        ("kind = 'xor8'", "31"),
        ("kind = 'crc16_modbus', order = 'be'", "4B37"),
        ("kind = 'crc16_modbus', order = 'either'", "4B37"),
        ("kind = 'crc16_modbus', order = 'either'", "374B"),
        ("kind = 'none'", ""),
    ];
    for (check, wanted) in published {
        let layout = layout(&format!(
            "check = {{ {check} }}\ntake = [{{ name = 'a', type = 'ascii', bytes = 'rest' }}]"
        ));
        let payload = [&b"123456789"[..], &unhex(wanted)].concat();
        let recorder = read_all(&layout, &payload).unwrap_or_else(|e| panic!("{check}: {e:?}"));
        assert_eq!(
            value(&layout, &recorder, "a"),
            Owned::Text("123456789".into())
        );
    }
}

#[test]
fn a_check_may_stand_in_front_of_what_it_covers() {
    let layout = layout(
        "check = { kind = 'sum8', at = 0, from = 1, to = -1 }\ntake = [{ name = 'a', at = 1, type = 'u16be' }]",
    );
    assert_eq!(
        value(&layout, &read(&layout, "03 0102 EE"), "a"),
        Owned::Whole(0x102)
    );
    assert!(read_all(&layout, &unhex("04 0102 EE")).is_err());
}

proptest! {
    #[test]
    fn what_is_written_into_frames_is_read(values in prop::collection::vec(0_i64..1_000_000, 1..60)) {
        let layout = framed();
        let points = levels(&values);
        let recorder = read_all(&layout, &write(&layout, &points)).unwrap();
        let wanted: Vec<_> = points.iter().map(|(_, value)| Owned::from(*value)).collect();
        prop_assert_eq!(all(&layout, &recorder, "level"), wanted);
    }

    #[test]
    fn every_number_survives_escapes(level: u32) {
        let layout = layout(ESCAPED);
        let recorder = read_all(&layout, &write(&layout, &[("level", Value::Whole(level.into()))])).unwrap();
        prop_assert_eq!(value(&layout, &recorder, "level"), Owned::Whole(level.into()));
    }

    #[test]
    fn arbitrary_bytes_are_cut_within_their_bounds(payload in prop::collection::vec(prop::sample::select(vec![0xAA, 0x55, 0x7E, 0x7D, 1, 2, 0x0D, 0x0A, 9, 0xFF]), 0..200)) {
        let escaped = layout(ESCAPED);
        for layout in [framed(), escaped] {
            let mut rest = &payload[..];
            while let Framing::Frame { skip, len } = layout.frame(rest) {
                prop_assert!(len > 0 && skip + len <= rest.len());
                let outcome = layout.decode(&rest[skip..skip + len], &mut Recorder::default());
                prop_assert!(outcome.is_ok() || outcome.is_err_and(|reject| !reject.detail.is_empty()));
                rest = &rest[skip + len..];
            }
        }
    }
}
