//! Times in every format, zone and calendar trap.

use ::time::{OffsetDateTime, UtcOffset, format_description};
use proptest::prelude::*;

use super::{
    super::point::{Civil, Decimal},
    pattern::FormatFault,
    *,
};

const EAST: i32 = 8 * 3_600;
/// 2015-12-12 12:12:12 in Shanghai.
const TIME: u64 = 1_449_893_532_000_000_000;

fn parse(format: &str, value: Value<'_>) -> Option<u64> {
    let format = TimeFormat::new(format).unwrap();
    format.parse(&value, clock(EAST)).map(|time| time.0)
}

/// Of a payload that arrived at [`TIME`].
const fn clock(east_s: i32) -> Clock {
    Clock {
        east_s,
        received_at: UnixNanos(TIME),
    }
}

#[test]
fn relative_times_are_from_arrival() {
    for (format, value, apart_ns) in [
        ("relative_s", Value::Whole(-5), -5_000_000_000),
        ("relative_s", Value::Whole(0), 0),
        ("relative_s", Value::Whole(2), 2_000_000_000),
        ("relative_s", Value::Text(" -1.5 "), -1_500_000_000),
        ("relative_s", Value::Real(-0.25), -250_000_000),
        (
            "relative_s",
            Value::Decimal(Decimal::new(-1_500_000_001, 9)),
            -1_500_000_001,
        ),
        ("relative_ms", Value::Whole(-60_000), -60_000_000_000),
    ] {
        assert_eq!(
            parse(format, value),
            TIME.checked_add_signed(apart_ns),
            "{format} {value:?}"
        );
    }
}

#[test]
fn relative_times_before_1970_and_behind_2554_are_none() {
    for value in [
        Value::Whole(-1_449_893_533),
        Value::Whole(i64::MIN),
        Value::Whole(i64::MAX),
        Value::Real(f64::NAN),
        Value::Real(f64::NEG_INFINITY),
        Value::Decimal(Decimal::new(i64::MIN, 0)),
        Value::Text("--5"),
        Value::Text("-"),
        Value::Missing,
    ] {
        assert_eq!(parse("relative_s", value), None, "{value:?}");
    }
}

#[test]
fn times_of_the_field_are_read() {
    for (format, text, nanos) in [
        ("yyyyMMddHHmmss", "20151212121212", TIME),
        ("yyMMddHHmmss", "151212121212", TIME),
        ("yyyyMMddHHmmssSSS", "20151212121212345", TIME + 345_000_000),
        ("yyyyMMddHHmm", "201512121212", TIME - 12_000_000_000),
        ("yyyyMMdd", "20151212", TIME - 43_932_000_000_000),
        ("yyyy-MM-dd HH:mm:ss", " 2015-12-12 12:12:12\n", TIME),
        (
            "yyyy-MM-dd HH:mm:ss.S",
            "2015-12-12 12:12:12.5",
            TIME + 500_000_000,
        ),
        (
            "yyyy-MM-dd HH:mm:ss.SSSSSSSSS",
            "2015-12-12 12:12:12.000000001",
            TIME + 1,
        ),
        ("yyyy/M/d H:m:s", "2015/12/12 12:12:12", TIME),
        (
            "yyyy/M/d H:m:s",
            "2015/1/2 3:4:5",
            1_420_139_045_000_000_000,
        ),
        ("yyyy-MM-dd'T'HH:mm:ss", "2015-12-12T12:12:12", TIME),
        ("yyyy-MM-dd'T'HH:mm:ssXXX", "2015-12-12T04:12:12Z", TIME),
        (
            "yyyy-MM-dd'T'HH:mm:ssXXX",
            "2015-12-12T00:42:12-03:30",
            TIME,
        ),
        (
            "yyyy-MM-dd'T'HH:mm:ss.SSSZ",
            "2015-12-12T06:12:12.000+0200",
            TIME,
        ),
        ("yyyy-MM-dd'T'HH:mm:ssX", "2015-12-12T06:12:12+02", TIME),
        (
            "yyyy年M月d日 H时m分s秒",
            "2015年12月12日 12时12分12秒",
            TIME,
        ),
        ("HH:mm:ss dd.MM.yyyy", "12:12:12 12.12.2015", TIME),
        ("''yyyyMMdd''HHmmss", "'20151212'121212", TIME),
        ("iso_basic", "20151212T121212", TIME),
        ("iso_basic", "20151212T041212Z", TIME),
        ("iso_basic", "20151212T121212.25+08:00", TIME + 250_000_000),
        ("iso_basic", "20151212T001212,5-0400", TIME + 500_000_000),
        ("rfc3339", "2015-12-12T12:12:12+08:00", TIME),
        ("unix_s", "1449893532", TIME),
        ("unix_s", "1449893532.000000001", TIME + 1),
        ("unix_ms", "1449893532000", TIME),
        ("unix_us", "1449893532000000", TIME),
        ("unix_ns", "1449893532000000000", TIME),
        ("unix", "1449893532", TIME),
        ("unix", "1449893532.5", TIME + 500_000_000),
        ("unix", "1449893532000", TIME),
        ("unix", "1449893532000000", TIME),
        ("unix", "1449893532000000000", TIME),
        ("unix_s", "0", 0),
    ] {
        assert_eq!(
            parse(format, Value::Text(text)),
            Some(nanos),
            "{format} of {text}"
        );
    }
}

#[test]
fn every_type_of_number_is_a_time() {
    for (format, value, nanos) in [
        ("unix_ms", Value::Whole(1_449_893_532_000), TIME),
        ("unix_ns", Value::Large(TIME), TIME),
        (
            "unix_s",
            Value::Decimal(Decimal::new(14_498_935_325, 1)),
            TIME + 500_000_000,
        ),
        (
            "unix",
            Value::Decimal(Decimal::new(14_498_935_325, 1)),
            TIME + 500_000_000,
        ),
        ("unix_s", Value::Decimal(Decimal::new(1, 9)), 1),
        ("unix_s", Value::Decimal(Decimal::new(i64::MAX, 28)), 0),
        ("unix_s", Value::Decimal(Decimal::new(i64::MAX, 255)), 0),
        ("unix_s", Value::Real(1_449_893_532.5), TIME + 500_000_000),
        ("unix", Value::Real(1_449_893_532_000.0), TIME),
        ("yyyyMMddHHmmss", Value::Whole(20_151_212_121_212), TIME),
        ("yyyyMMddHHmmss", Value::Large(20_151_212_121_212), TIME),
        ("yyyyMMddHHmmss", Value::Real(20_151_212_121_212.0), TIME),
        (
            "yyMMddHHmmss",
            Value::Decimal(Decimal::new(1_512_121_212_120, 1)),
            TIME,
        ),
    ] {
        assert_eq!(parse(format, value), Some(nanos), "{format} of {value:?}");
    }
}

#[test]
fn what_a_codec_has_as_a_time_is_taken_by_every_format() {
    let civil = Civil::new((2015, 12, 12), (12, 12, 12)).unwrap();
    for format in ["rfc3339", "unix", "unix_s", "iso_basic", "yyyyMMdd"] {
        let unix = Value::Time(Moment::Unix(UnixNanos(7)));
        assert_eq!(parse(format, unix), Some(7), "{format}");
        assert_eq!(
            parse(format, Value::Time(Moment::Local(civil))),
            Some(TIME),
            "{format}"
        );
    }
}

#[test]
fn the_end_of_a_day_and_a_leap_second_are_the_second_after() {
    let midnight = Some(1_483_200_000_000_000_000);
    for text in ["20161231240000", "20170101000000", "20161231235960"] {
        assert_eq!(
            parse("yyyyMMddHHmmss", Value::Text(text)),
            midnight,
            "{text}"
        );
    }
    for text in ["20161231240001", "20161231240100", "20161231250000"] {
        assert_eq!(parse("yyyyMMddHHmmss", Value::Text(text)), None, "{text}");
    }
    assert_eq!(parse("iso_basic", Value::Text("20161231T240000.5")), None);
}

#[test]
fn what_is_no_time_is_refused() {
    for (format, value) in [
        ("yyyyMMddHHmmss", Value::Text("")),
        ("yyyyMMddHHmmss", Value::Text("2015121212121")),
        ("yyyyMMddHHmmss", Value::Text("201512121212120")),
        ("yyyyMMddHHmmss", Value::Text("00000000000000")),
        ("yyyyMMddHHmmss", Value::Text("20150229000000")),
        ("yyyyMMddHHmmss", Value::Text("20151301000000")),
        ("yyyyMMddHHmmss", Value::Text("19691231235959")),
        ("yyyyMMddHHmmss", Value::Text("99991231235959")),
        ("yyyyMMddHHmmss", Value::Text("2015121212121٣")),
        ("yyyyMMddHHmmss", Value::Whole(-20_151_212_121_212)),
        ("yyyyMMddHHmmss", Value::Real(20_151_212_121_212.5)),
        ("yyyy-MM-dd", Value::Text("2015-1-2")),
        ("yyyy/M/d", Value::Text("2015//2")),
        ("yyyyMMddX", Value::Text("20151212")),
        ("yyyyMMddX", Value::Text("20151212+2400")),
        ("yyyyMMddX", Value::Text("20151212+08:0")),
        ("yyyyMMddX", Value::Text("19700101+08")),
        ("iso_basic", Value::Text("20151212T121212.")),
        ("iso_basic", Value::Text("20151212 121212")),
        ("rfc3339", Value::Text("2015-12-12T12:12:12")),
        ("rfc3339", Value::Whole(1_449_893_532)),
        ("unix_s", Value::Text("")),
        ("unix_s", Value::Text("+1")),
        ("unix_s", Value::Text("-1")),
        ("unix_s", Value::Text("1.")),
        ("unix_s", Value::Text(".1")),
        ("unix_s", Value::Text("1e9")),
        ("unix_s", Value::Whole(-1)),
        ("unix_s", Value::Large(u64::MAX)),
        ("unix_s", Value::Real(f64::NAN)),
        ("unix_ns", Value::Real(f64::INFINITY)),
        ("unix", Value::Missing),
        ("unix", Value::Bool(true)),
        ("unix", Value::Bytes(b"1449893532")),
    ] {
        assert_eq!(parse(format, value), None, "{format} of {value:?}");
    }
}

#[test]
fn what_is_no_format_is_refused_where_it_goes_wrong() {
    let letters = |text: &str| FormatFault::Letters(text.to_owned());
    let twice = |text: &str| FormatFault::Twice(text.to_owned());
    for (format, at, why) in [
        ("", 0, FormatFault::Needs("year")),
        ("rfc822", 0, letters("rfc822")),
        ("unix_m", 0, letters("unix")),
        ("yyyy-MM-ddTHH:mm", 10, letters("THH")),
        ("yyyyMMddhhmmss", 8, letters("hh")),
        ("yyyMMdd", 0, letters("yyy")),
        ("yyyyMMddHHmmssSSSSSSSSSS", 14, letters("SSSSSSSSSS")),
        ("yyyy-DD-dd", 5, letters("DD")),
        ("yyyyMMdd'T", 8, FormatFault::Quote),
        ("yyyyMMddyy", 8, twice("yy")),
        ("yyyyMMddHHMM", 10, twice("MM")),
        ("yyyyMdd", 5, FormatFault::Digits),
        ("yyyyMMd0", 7, FormatFault::Digits),
        ("yyyyMMddXHH", 9, FormatFault::Digits),
        ("MMdd", 4, FormatFault::Needs("year")),
        ("yyyydd", 6, FormatFault::Needs("month")),
        ("yyyyMM", 6, FormatFault::Needs("day")),
        ("yyyyMMddmm", 10, FormatFault::Needs("hour")),
        ("yyyyMMddHHss", 12, FormatFault::Needs("minute")),
        ("yyyyMMddHHmmSSS", 15, FormatFault::Needs("second")),
    ] {
        let error = TimeFormat::new(format).unwrap_err();
        assert_eq!((error.at, error.why), (at, why), "{format}");
    }
    let long = TimeFormat::new(&"-".repeat(65)).unwrap_err();
    assert_eq!(long.why, FormatFault::TooLong);
    let said = TimeFormat::new("yyyyMMddhh").unwrap_err().to_string();
    assert!(said.contains("byte 8") && said.contains("HH") && said.contains("unix_ms"));
}

#[test]
fn a_zone_is_an_offset_or_one_of_two_names() {
    for (text, east_s) in [
        ("Z", 0),
        ("UTC", 0),
        ("+08:00", 28_800),
        ("-03:30", -12_600),
        ("+14:00", 50_400),
        ("-00:00", 0),
        ("Asia/Shanghai", 28_800),
    ] {
        assert_eq!(zone_east_s(text), Ok(east_s), "{text}");
    }
    for text in [
        "",
        "z",
        "GMT",
        "+8",
        "+0800",
        "08:00",
        "+08:60",
        "+14:01",
        "+24:00",
        "Asia/Tokyo",
        "+08:00 ",
        "+0a:00",
    ] {
        assert_eq!(zone_east_s(text), Err(ZoneError), "{text}");
    }
    assert!(
        zone_east_s("Asia/Urumqi")
            .unwrap_err()
            .to_string()
            .contains("since 1992")
    );
}

proptest! {
    #[test]
    fn every_time_reads_as_the_time_crate_writes_it(
        nanos in 86_400_000_000_000..=18_000_000_000_000_000_000_u64, hours in -14_i8..=14, minutes in 0_i8..60,
    ) {
        let minutes = if hours < 0 { -minutes } else { minutes };
        let zone = UtcOffset::from_hms(hours, minutes, 0).unwrap();
        let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(nanos)).unwrap();
        let time = time.to_offset(zone);
        for (theirs, ours, unit) in [
            ("[year][month][day][hour][minute][second]", "yyyyMMddHHmmss", 1_000_000_000),
            ("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:3]", "yyyy-MM-dd HH:mm:ss.SSS", 1_000_000),
            (
                "[year]/[month padding:none]/[day padding:none] [hour padding:none]:[minute]:[second].[subsecond digits:9]",
                "yyyy/M/d H:m:s.SSSSSSSSS", 1,
            ),
            (
                "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6][offset_hour sign:mandatory]:[offset_minute]",
                "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX", 1_000,
            ),
            (
                "[year][month][day]T[hour][minute][second].[subsecond digits:9][offset_hour sign:mandatory][offset_minute]",
                "iso_basic", 1,
            ),
        ] {
            let text = time.format(&format_description::parse_borrowed::<2>(theirs).unwrap()).unwrap();
            let format = TimeFormat::new(ours).unwrap();
            let read = format.parse(&Value::Text(&text), clock(zone.whole_seconds()));
            prop_assert_eq!(read, Some(UnixNanos(nanos / unit * unit)), "{} of {}", ours, text);
        }
    }

    #[test]
    fn a_count_reads_alike_in_every_type(nanos in 0..=i64::MAX) {
        let expected = Some(nanos.unsigned_abs());
        prop_assert_eq!(parse("unix_ns", Value::Whole(nanos)), expected);
        for (format, places) in [("unix_s", 9), ("unix_ms", 6), ("unix_us", 3), ("unix_ns", 0)] {
            let value = Value::Decimal(Decimal::new(nanos, places));
            prop_assert_eq!(parse(format, value), expected, "{}", format);
        }
        let text = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
        prop_assert_eq!(parse("unix_s", Value::Text(&text)), expected);
    }

    #[test]
    fn no_format_and_no_value_panics(
        format in "[yMdHmsSXZ'T:/ .-]{0,20}|\\PC{0,20}", text in "[0-9TZ:.+ -]{0,30}|\\PC{0,30}",
        number in any::<i64>(), places in any::<u8>(), real in any::<f64>(), east_s in any::<i32>(),
    ) {
        let _zone = zone_east_s(&text);
        let kinds = ["unix", "unix_s", "unix_ns", "iso_basic", "rfc3339", "yyyyMMddHHmmss", "yy/M/d", &format];
        for format in kinds.into_iter().flat_map(TimeFormat::new) {
            let values = [
                Value::Text(&text),
                Value::Whole(number),
                Value::Large(number.cast_unsigned()),
                Value::Decimal(Decimal::new(number, places)),
                Value::Real(real),
            ];
            for value in values {
                let _time = format.parse(&value, clock(east_s));
            }
        }
    }
}
