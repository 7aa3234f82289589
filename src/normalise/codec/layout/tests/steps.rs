//! Every kind of step and of value.

use proptest::prelude::*;

use super::{
    super::super::super::{
        point::{Civil, Decimal},
        quality::Quality,
    },
    *,
};

fn one(kind: &str, hex: &str) -> Owned {
    let layout = layout(&format!("take = [{{ name = 'a', {kind} }}]"));
    value(&layout, &read(&layout, hex), "a")
}

#[test]
fn numbers_are_read_in_every_order() {
    for (kind, hex) in [
        ("u32be", "01020304"),
        ("u32le", "04030201"),
        ("u32cdab", "03040102"),
        ("u32badc", "02010403"),
    ] {
        assert_eq!(
            one(&format!("type = '{kind}'"), hex),
            Owned::Whole(0x0102_0304),
            "{kind}"
        );
    }
    assert_eq!(
        one("type = 'u64cdab'", "0708050603040102"),
        Owned::Whole(0x0102_0304_0506_0708)
    );
    assert_eq!(one("type = 'f32cdab'", "00004148"), Owned::Number(12.5));
    assert_eq!(
        one("type = 'f64le'", "0000000000002940"),
        Owned::Number(12.5)
    );
}

#[test]
fn numbers_have_their_sign_and_their_full_range() {
    assert_eq!(one("type = 'i24le'", "FEFFFF"), Owned::Whole(-2));
    assert_eq!(
        one("type = 'u64be'", "FFFFFFFFFFFFFFFF"),
        Owned::Large(u64::MAX)
    );
    assert_eq!(
        one("type = 'i64be'", "8000000000000000"),
        Owned::Whole(i64::MIN)
    );
    assert_eq!(
        one("type = 'u16be', sign = 'bit', decimals = 1", "8065"),
        Owned::Number(-10.1)
    );
    assert_eq!(
        one("type = 'u16be', bits = [4, 8], sign = 'twos'", "0FF0"),
        Owned::Whole(-1)
    );
    assert_eq!(
        one("type = 'i16be', bits = [0, 12]", "7FFF"),
        Owned::Whole(-1)
    );
    assert_eq!(one("type = 'u8', sub = 40", "00"), Owned::Whole(-40));
}

#[test]
fn digits_have_their_sign() {
    assert_eq!(
        one("type = 'bcdle', bytes = 3, decimals = 2", "563412"),
        Owned::Number(1234.56)
    );
    assert_eq!(
        one("type = 'bcdle', bytes = 2, sign = 'nibble'", "34F2"),
        Owned::Whole(-234)
    );
    assert_eq!(
        one("type = 'bcdbe', bytes = 2, sign = 'bit'", "9234"),
        Owned::Whole(-1234)
    );
    assert_eq!(
        one("type = 'bcdbe', bytes = 2, sign = 'nibble'", "0234"),
        Owned::Whole(234)
    );
}

#[test]
fn texts_are_read_in_their_charset() {
    assert_eq!(
        one("type = 'hexle', bytes = 3", "010203"),
        Owned::Text("030201".into())
    );
    assert_eq!(
        one("type = 'ascii', bytes = 4", "41422000"),
        Owned::Text("AB".into())
    );
    assert_eq!(
        one("type = 'gb18030', bytes = 4", "BAC50000"),
        Owned::Text("号".into())
    );
    assert_eq!(
        one("type = 'ascii', bytes = 2", "BAC5"),
        Owned::Text("号".into())
    );
    assert_eq!(
        one("type = 'bytes', bytes = 'rest'", "0102"),
        Owned::Bytes(vec![1, 2])
    );
}

#[test]
fn times_are_read_in_every_writing() {
    let local = |clock| Owned::Time(Moment::Local(Civil::new((2026, 3, 4), clock).unwrap()));
    assert_eq!(one("type = 'bcdtime'", "260304050607"), local((5, 6, 7)));
    assert_eq!(
        one("type = 'bintime', pattern = 'ssmmHHddMMyy'", "07060504031A"),
        local((5, 6, 7))
    );
    assert_eq!(
        one(
            "type = 'bintime', pattern = 'yyyyMMdd__HHmm'",
            "07EA030401050600"
        ),
        local((5, 6, 0))
    );
    let unix = |nanos| Owned::Time(Moment::Unix(UnixNanos(nanos)));
    assert_eq!(
        one("type = 'u32be', as = 'unix_s'", "00000002"),
        unix(2_000_000_000)
    );
    assert_eq!(
        one("type = 'u64le', as = 'unix_ms'", "0300000000000000"),
        unix(3_000_000)
    );
}

#[test]
fn every_byte_is_changed_before_it_is_read() {
    let layout = layout(
        "take = [{ byte_add = 205, take = [{ name = 'a', type = 'bcdle', bytes = 2 }, { name = 'b', type = 'u8', byte_add = 0 }] }]",
    );
    let recorder = read(&layout, "6745 33");
    assert_eq!(value(&layout, &recorder, "a"), Owned::Whole(1234));
    assert_eq!(value(&layout, &recorder, "b"), Owned::Whole(0x33));
    assert_eq!(one("type = 'u8', byte_xor = 255", "0F"), Owned::Whole(0xF0));
}

#[test]
fn fill_bytes_and_raw_numbers_mean_no_value() {
    for (kind, hex) in [
        ("type = 'u32be', missing = ['FF']", "FFFFFFFF"),
        ("type = 'bcdbe', bytes = 3, missing = ['AA']", "AAAAAA"),
        ("type = 'f32be', missing = ['7FC00000']", "7FC00000"),
        ("type = 'i16be', missing = [-32768]", "8000"),
        ("type = 'bcdtime', missing = ['00']", "000000000000"),
        ("type = 'u16be', bits = [0, 14], missing = [0x3FFF]", "7FFF"),
    ] {
        assert_eq!(one(kind, hex), Owned::Missing, "{kind}");
    }
    assert_eq!(
        one("type = 'u32be', missing = ['FF']", "FFFFFF00"),
        Owned::Whole(0xFFFF_FF00)
    );
}

#[test]
fn a_broken_value_is_out_of_range_and_the_others_stand() {
    let layout = layout(
        "take = [{ name = 'a', type = 'bcdbe', bytes = 2 }, { name = 't', type = 'bcdtime' }, { name = 'b', type = 'u8' }]",
    );
    let recorder = read(&layout, "1A00 261304050607 05");
    for name in ["a", "t"] {
        let found = found(&layout, &recorder, name).unwrap();
        assert_eq!(
            (found.value, found.quality),
            (Owned::Missing, Quality::OUT_OF_RANGE),
            "{name}"
        );
    }
    assert_eq!(value(&layout, &recorder, "b"), Owned::Whole(5));
}

#[test]
fn a_selector_gives_each_unit_its_decimals() {
    let layout = layout(
        "take = [{ name = 'unit', type = 'u8' },
        { name = 'volume', when = { name = 'unit', is = 0x29 }, type = 'u16be', decimals = 3 },
        { name = 'volume', when = { name = 'unit', in = [0x2C, 0x35] }, type = 'u16be', decimals = 0 }]",
    );
    assert_eq!(
        value(&layout, &read(&layout, "29 03E8"), "volume"),
        Owned::Number(1.0)
    );
    assert_eq!(
        value(&layout, &read(&layout, "35 03E8"), "volume"),
        Owned::Whole(1000)
    );
    assert_eq!(found(&layout, &read(&layout, "00 03E8"), "volume"), None);
}

#[test]
fn conditions_look_at_masks_negations_and_what_is_left() {
    let layout = layout(
        "take = [{ name = 'flags', type = 'u8' },
        { name = 'kind', bits = [4, 4] },
        { name = 'a', when = { name = 'flags', mask = 0x0F, is = 3 }, type = 'u8' },
        { name = 'b', when = { name = 'kind', not = 2 }, type = 'u8' },
        { name = 'c', when = { bytes_left = 1 }, type = 'u8' }]",
    );
    let names = |hex: &str| {
        let recorder = read(&layout, hex);
        ["a", "b", "c"].map(|name| found(&layout, &recorder, name).is_some())
    };
    assert_eq!(names("23 01"), [true, false, false]);
    assert_eq!(names("10 01 02"), [false, true, true]);
    assert_eq!(names("20 01"), [false, false, true]);
}

#[test]
fn a_word_that_was_passed_over_fulfils_nothing() {
    let layout = layout(
        "take = [{ repeat = {}, take = [{ name = 'n', type = 'u8' },
          { name = 'w', when = { name = 'n', is = 1 }, type = 'u8' },
          { name = 'low', of = 'w', bits = [0, 4] }] }]",
    );
    let recorder = read(&layout, "01 25 02");
    assert_eq!(all(&layout, &recorder, "low"), [Owned::Whole(5)]);
}

#[test]
fn every_element_can_be_a_record() {
    let layout = layout(
        "take = [{ name = 'address', head = true, type = 'hex', bytes = 1 }, { name = 'n', type = 'u8' },
         { repeat = { count = 'n', record = true }, take = [{ name = 'a', type = 'u8' }] }, { name = 'z', type = 'u8' }]",
    );
    let recorder = read(&layout, "99 02 0A 0B 0C");
    let sizes: Vec<_> = recorder.records.iter().map(Vec::len).collect();
    assert_eq!(sizes, [2, 1, 1]);
    assert!(read_all(&layout, &unhex("99 FF 0A 0B")).is_err());
}

#[test]
fn a_series_may_begin_with_the_latest() {
    let layout = layout(
        "take = [{ name = 't', type = 'u32be', as = 'unix_s' }, { repeat = { step_s = -60 }, time = 't', take = [{ name = 'a', type = 'u8' }] }]",
    );
    let recorder = read(&layout, "00000064 01 02 03");
    let times: Vec<_> = recorder.records[0].iter().map(|point| point.time).collect();
    let at = |s: u64| Some(Moment::Unix(UnixNanos(s * 1_000_000_000)));
    assert_eq!(times, [None, at(100), at(40), None]);
}

#[test]
fn elements_that_read_nothing_or_step_back_come_to_an_end() {
    let nothing = layout(
        "take = [{ name = 'n', type = 'u32be' }, { repeat = { count = 'n' }, take = [{ when = { name = 'n', is = 0 }, name = 'a', type = 'u8' }] }]",
    );
    assert_eq!(read(&nothing, "FFFFFFFF 01").records.len(), 1);
    let back = layout(
        "take = [{ repeat = {}, take = [{ repeat = {}, take = [{ name = 'a', type = 'u8' }] }, { name = 'b', at = 0, type = 'u8' }] }]",
    );
    let recorder = read_all(&back, &[1; 5000]).unwrap();
    assert_eq!(all(&back, &recorder, "b").len(), 1);
    assert_eq!(all(&back, &recorder, "a").len(), 5000);
}

#[test]
fn offsets_in_an_element_begin_with_it() {
    let layout = layout(
        "take = [{ repeat = {}, take = [{ name = 'b', at = 1, type = 'u8' }, { name = 'a', at = 0, type = 'u8' }] }]",
    );
    let recorder = read(&layout, "0102 0304");
    assert_eq!(
        all(&layout, &recorder, "a"),
        [Owned::Whole(1), Owned::Whole(3)]
    );
    assert_eq!(
        all(&layout, &recorder, "b"),
        [Owned::Whole(2), Owned::Whole(4)]
    );
}

#[test]
fn rows_with_lengths_pass_over_what_they_do_not_know() {
    let layout = layout(
        "take = [{ tlv = { key = 1, length = 'u8' }, take = [
          { key = '01', name = 'a', type = 'u16be' }, { key = '02', name = 'text', type = 'ascii', bytes = 'rest' }] }]",
    );
    let recorder = read(&layout, "09 03 AABBCC 01 03 0102FF 02 02 4142");
    assert_eq!(value(&layout, &recorder, "a"), Owned::Whole(0x102));
    assert_eq!(value(&layout, &recorder, "text"), Owned::Text("AB".into()));
    assert!(recorder.heads.is_empty());
    assert!(
        read_all(&layout, &unhex("01 01 0102")).is_err(),
        "a value longer than its length"
    );
    assert!(
        read_all(&layout, &unhex("09 FF 01")).is_err(),
        "a length beyond the frame"
    );
}

#[test]
fn keys_are_compared_under_their_mask() {
    let layout = layout(
        "take = [{ tlv = { key = 2, mask = '00FF' }, take = [{ key = '0067', name = 't', type = 'i16le', decimals = 1 }] }]",
    );
    let recorder = read(&layout, "0367 0A00 0467 0B00");
    assert_eq!(
        all(&layout, &recorder, "t"),
        [Owned::Number(1.0), Owned::Number(1.1)]
    );
}

#[test]
fn text_records_are_read_by_name_and_by_place() {
    let named = layout(
        "text = { fields = ';', records = \"\\n\", equals = '=' }
        take = [{ name = 'address', head = true, field = 'id', as = 'text' }, { name = 't', field = 'T', missing = ['NA'] },
          { name = 'at', field = 'at', as = 'calendar' }, { name = 'on', field = 'on', as = 'bool' }]",
    );
    let recorder = read_all(
        &named,
        "id=号;T=-1.50;x=9\nT=NA;at=2026-03-04 05:06:07;on=yes\n\n".as_bytes(),
    )
    .unwrap();
    assert_eq!(recorder.records.len(), 2);
    assert_eq!(
        all(&named, &recorder, "t"),
        [Owned::Number(-1.5), Owned::Missing]
    );
    assert_eq!(value(&named, &recorder, "on"), Owned::Bool(true));
    let time = Civil::new((2026, 3, 4), (5, 6, 7)).unwrap();
    assert_eq!(
        value(&named, &recorder, "at"),
        Owned::Time(Moment::Local(time))
    );
    let placed = layout(
        "text = { fields = ',' }\ntake = [{ name = 'b', field = 1 }, { name = 'c', field = 2 }, { name = 'd', field = 3 }]",
    );
    let recorder = read_all(&placed, b"x, 12 ,1e3,oops").unwrap();
    assert_eq!(value(&placed, &recorder, "b"), Owned::Whole(12));
    assert_eq!(value(&placed, &recorder, "c"), Owned::Number(1000.0));
    assert_eq!(
        found(&placed, &recorder, "d").unwrap().quality,
        Quality::OUT_OF_RANGE
    );
}

proptest! {
    #[test]
    fn written_text_is_read(values in prop::collection::vec(any::<i32>(), 1..5)) {
        let layout = layout("text = { fields = ',', records = \"\\n\" }\ntake = [{ name = 'b', field = 1 }]");
        let points: Vec<_> = values.iter().map(|v| ("b", Value::Decimal(Decimal::new((*v).into(), 2)))).collect();
        let recorder = read_all(&layout, &write(&layout, &points)).unwrap();
        let wanted: Vec<_> = points.iter().map(|(_, value)| Owned::from(*value)).collect();
        prop_assert_eq!(all(&layout, &recorder, "b"), wanted);
    }

    #[test]
    fn every_type_comes_back(number in 0_i64..10_000, minus: bool, real: f32) {
        let layout = layout(
            "take = [{ name = 'n', type = 'u8' }, { name = 'bcd', type = 'bcdle', bytes = 3, sign = 'nibble', decimals = 1, byte_add = 205 },
            { name = 'mag', type = 'u32cdab', sign = 'bit' }, { name = 'f', type = 'f32badc' }, { name = 'd', type = 'digits', bytes = 8 },
            { name = 'len', type = 'u8' }, { name = 's', type = 'gb18030', bytes = 'len' }, { name = 'at', type = 'bintime' },
            { name = 'at2', type = 'u32le', as = 'unix_s' },
            { repeat = { count = 'n' }, take = [{ name = 'e', type = 'i24le' }] }]",
        );
        let signed = if minus { -number } else { number };
        let time = Civil::new((2026, 3, 4), (5, 6, 7)).unwrap();
        let points = [
            ("bcd", Value::Decimal(Decimal::new(signed, 1))),
            ("mag", Value::Whole(signed)),
            ("f", Value::Real(real.into())),
            ("d", Value::Decimal(Decimal::new(signed, 2))),
            ("s", Value::Text("烟感1号")),
            ("at", Value::Time(Moment::Local(time))),
            ("at2", Value::Time(Moment::Unix(UnixNanos(5_000_000_000)))),
            ("e", Value::Whole(signed)),
            ("e", Value::Whole(1)),
        ];
        let recorder = read_all(&layout, &write(&layout, &points)).unwrap();
        prop_assert_eq!(value(&layout, &recorder, "n"), Owned::Whole(2));
        for (name, wanted) in &points[..8] {
            prop_assert_eq!(value(&layout, &recorder, name), Owned::from(*wanted), "{}", name);
        }
    }

    #[test]
    fn arbitrary_bytes_never_break_a_plan(payload: Vec<u8>) {
        let layout = layout(
            "take = [{ name = 'n', type = 'u8' }, { name = 'w', type = 'i64le', sub = -9223372036854775807, times = 9223372036854775807, decimals = 18 },
            { name = 'b', bits = [60, 4], sign = 'bit' }, { name = 's', type = 'hex', bytes = 'n' },
            { repeat = { count = 'n', record = true, step_s = -9223372036854775807 }, take = [{ name = 't', type = 'u32be', as = 'unix_s' },
              { name = 'u', time = 't', type = 'bcdbe', bytes = 2, sign = 'nibble', byte_xor = 90 }] },
            { tlv = { key = 1, length = 'i16be', plus = -9 }, take = [{ key = '01', name = 'x', type = 'gb18030', bytes = 'rest' }] }]",
        );
        if let Ok(recorder) = read_all(&layout, &payload) {
            prop_assert!(recorder.records.len() <= payload.len());
        }
    }

    #[test]
    fn arbitrary_text_never_breaks_a_text_layout(payload: Vec<u8>) {
        let layout = layout("text = { fields = ',', records = \"\\n\" }\ntake = [{ name = 'a', field = 0 }, { name = 'b', field = 1, as = 'unix_s' }, { name = 'c', field = 2, as = 'calendar' }]");
        prop_assert!(read_all(&layout, &payload).is_ok());
    }
}
