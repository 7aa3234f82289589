//! Protobuf messages: public vectors, what is refused and why, round trips, damage.

use proptest::{collection::vec, prelude::*};
use prost_reflect::prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto,
    FileDescriptorProto, MessageOptions, OneofDescriptorProto,
    field_descriptor_proto::{Label, Type},
};

use super::{
    super::{
        super::{
            point::{Decimal, Key, Moment, OwnedKey, Value},
            quality::Quality,
        },
        encoding::{Encoder as _, Report},
        testing::{Owned, Recorder, bit_flips, read_all, unhex},
    },
    *,
};
use crate::domain::{QuarantineReason, UnixNanos};

fn field(name: &str, number: i32, kind: Type, type_name: &str) -> FieldDescriptorProto {
    FieldDescriptorProto {
        name: Some(name.into()),
        number: Some(number),
        label: Some(Label::Optional.into()),
        r#type: Some(kind.into()),
        type_name: (!type_name.is_empty()).then(|| type_name.into()),
        ..FieldDescriptorProto::default()
    }
}

fn list(name: &str, number: i32, kind: Type, type_name: &str) -> FieldDescriptorProto {
    FieldDescriptorProto {
        label: Some(Label::Repeated.into()),
        ..field(name, number, kind, type_name)
    }
}

fn message(name: &str, fields: Vec<FieldDescriptorProto>) -> DescriptorProto {
    DescriptorProto {
        name: Some(name.into()),
        field: fields,
        ..DescriptorProto::default()
    }
}

fn entry(name: &str, key: Type, value: FieldDescriptorProto) -> DescriptorProto {
    DescriptorProto {
        options: Some(MessageOptions {
            map_entry: Some(true),
            ..MessageOptions::default()
        }),
        ..message(name, vec![field("key", 1, key, ""), value])
    }
}

/// The .proto file of a vendor:
///
/// ```text
/// syntax = "proto3"; package vendor.v1;
/// enum State { UNKNOWN = 0; OK = 1; FAULT = 5; }
/// message Status { sint32 battery = 1; State state = 2; optional float rssi = 3; Report nested = 4; }
/// message Reading { google.protobuf.Timestamp at = 1; double value = 2; string unit = 3; }
/// message Report {
///   string device_id = 1;  Status status = 2;  repeated Reading readings = 3;  map<string, string> labels = 4;
///   repeated int32 temps = 5;  map<int32, Status> zones = 6;  fixed64 serial = 7;  bytes raw = 8;
///   google.protobuf.Duration uptime = 9;  google.protobuf.Int64Value count = 10;  sfixed32 offset = 11;
///   uint64 total = 12;  bool on = 13;  repeated string notes = 14;  repeated State states = 15;  float level = 1000;
/// }
/// ```
fn pool() -> DescriptorPool {
    let reading = message(
        "Reading",
        vec![
            field("at", 1, Type::Message, ".google.protobuf.Timestamp"),
            field("value", 2, Type::Double, ""),
            field("unit", 3, Type::String, ""),
        ],
    );
    let values = [("UNKNOWN", 0), ("OK", 1), ("FAULT", 5)];
    let states = EnumDescriptorProto {
        name: Some("State".into()),
        value: values
            .map(|(name, number)| EnumValueDescriptorProto {
                name: Some(name.into()),
                number: Some(number),
                options: None,
            })
            .into(),
        ..EnumDescriptorProto::default()
    };
    let file = FileDescriptorProto {
        name: Some("vendor.proto".into()),
        package: Some("vendor.v1".into()),
        syntax: Some("proto3".into()),
        dependency: ["timestamp", "duration", "wrappers"]
            .map(|name| format!("google/protobuf/{name}.proto"))
            .into(),
        message_type: vec![status(), reading, report()],
        enum_type: vec![states],
        ..FileDescriptorProto::default()
    };
    let mut pool = DescriptorPool::global();
    pool.add_file_descriptor_proto(file).unwrap();
    pool
}

const STATUS: &str = ".vendor.v1.Status";
const STATE: &str = ".vendor.v1.State";

fn status() -> DescriptorProto {
    let mut rssi = field("rssi", 3, Type::Float, "");
    rssi.proto3_optional = Some(true);
    rssi.oneof_index = Some(0);
    let mut status_message = message(
        "Status",
        vec![
            field("battery", 1, Type::Sint32, ""),
            field("state", 2, Type::Enum, STATE),
            rssi,
            field("nested", 4, Type::Message, ".vendor.v1.Report"),
        ],
    );
    status_message.oneof_decl.push(OneofDescriptorProto {
        name: Some("_rssi".into()),
        options: None,
    });
    status_message
}

fn report() -> DescriptorProto {
    let mut report = message(
        "Report",
        vec![
            field("device_id", 1, Type::String, ""),
            field("status", 2, Type::Message, STATUS),
            list("readings", 3, Type::Message, ".vendor.v1.Reading"),
            list("labels", 4, Type::Message, ".vendor.v1.Report.LabelsEntry"),
            list("temps", 5, Type::Int32, ""),
            list("zones", 6, Type::Message, ".vendor.v1.Report.ZonesEntry"),
            field("serial", 7, Type::Fixed64, ""),
            field("raw", 8, Type::Bytes, ""),
            field("uptime", 9, Type::Message, ".google.protobuf.Duration"),
            field("count", 10, Type::Message, ".google.protobuf.Int64Value"),
            field("offset", 11, Type::Sfixed32, ""),
            field("total", 12, Type::Uint64, ""),
            field("on", 13, Type::Bool, ""),
            list("notes", 14, Type::String, ""),
            list("states", 15, Type::Enum, STATE),
            field("level", 1000, Type::Float, ""),
        ],
    );
    report.nested_type = vec![
        entry(
            "LabelsEntry",
            Type::String,
            field("value", 2, Type::String, ""),
        ),
        entry(
            "ZonesEntry",
            Type::Int32,
            field("value", 2, Type::Message, STATUS),
        ),
    ];
    report
}

fn options(table: &str) -> Options {
    toml::from_str(&format!("message = 'vendor.v1.Report'\n{table}")).unwrap()
}

fn codec(table: &str) -> Message {
    Message::new(options(table), &pool()).unwrap()
}

/// The values of a key in a payload given in hexadecimal.
fn values(codec: &mut Message, key: &str, payload: &str) -> Vec<(Owned, Quality)> {
    let key = codec.key(key).unwrap();
    let found = read_all(codec, &unhex(payload)).unwrap();
    let points = found.records.into_iter().flatten();
    let wanted = points.filter(|found| found.key == key);
    wanted.map(|found| (found.value, found.quality)).collect()
}

fn value(key: &str, payload: &str) -> Owned {
    let found = values(&mut codec(""), key, payload);
    assert_eq!(found.len(), 1, "{key}: {found:?}");
    found[0].0.clone()
}

#[test]
fn fields_are_read_by_their_types() {
    assert_eq!(value("device_id", "0A03 616263"), Owned::Text("abc".into()));
    assert_eq!(
        value("deviceId", "0A03 616263"),
        Owned::Text("abc".into()),
        "as in JSON"
    );
    assert_eq!(
        value("device_id", "0A02 61FF"),
        Owned::Text("a\u{FFFD}".into())
    );
    assert_eq!(value("status.battery", "1202 0801"), Owned::Whole(-1));
    assert_eq!(value("status.rssi", "1205 1D0000C0BF"), Owned::Number(-1.5));
    assert_eq!(
        value("serial", "39 FFFFFFFFFFFFFFFF"),
        Owned::Large(u64::MAX)
    );
    assert_eq!(value("raw", "4202 ABCD"), Owned::Bytes(vec![0xAB, 0xCD]));
    assert_eq!(value("count", "5203 08AC02"), Owned::Whole(300));
    assert_eq!(value("count", "5200"), Owned::Whole(0), "wrapped zero");
    assert_eq!(value("offset", "5D FEFFFFFF"), Owned::Whole(-2));
    assert_eq!(
        value("total", "60 FFFFFFFFFFFFFFFFFF01"),
        Owned::Large(u64::MAX)
    );
    assert_eq!(value("on", "6801"), Owned::Bool(true));
    assert_eq!(value("level", "C53E 0000803F"), Owned::Number(1.0));
    assert_eq!(
        value("status.nested.status.battery", "1206 2204 1202 0802"),
        Owned::Whole(1)
    );
}

#[test]
fn times_and_durations_are_read_whole() {
    let mut codec = codec("each = 'readings'");
    let at = values(&mut codec, "readings[].at", "1A06 0A04 0864 1005");
    let wanted = Moment::Unix(UnixNanos(100_000_000_005));
    assert_eq!(at, [(Owned::Time(wanted), Quality::GOOD)]);
    let before = values(
        &mut codec,
        "readings[].at",
        "1A0D 0A0B 08FFFFFFFFFFFFFFFFFF01",
    );
    assert_eq!(before, [(Owned::Missing, Quality::OUT_OF_RANGE)]);

    let mut codec = self::codec("");
    let key = codec.key("uptime").unwrap();
    let found = read_all(&codec, &unhex("4A08 0802 1080CAB5EE01")).unwrap();
    let uptime = found.found(&key).unwrap();
    assert_eq!(
        (uptime.value.clone(), uptime.unit),
        (Owned::Number(2.5), Some("s"))
    );
}

#[test]
fn enums_are_names_or_numbers() {
    let mut names = codec("");
    let found = values(&mut names, "status.state", "1202 1005");
    assert_eq!(found, [(Owned::Text("FAULT".into()), Quality::GOOD)]);
    let found = values(&mut names, "status.state", "1202 1007");
    assert_eq!(
        found,
        [(Owned::Whole(7), Quality::OUT_OF_RANGE)],
        "a number without a name"
    );
    let found = values(&mut codec("enums = 'numbers'"), "status.state", "1202 1007");
    assert_eq!(found, [(Owned::Whole(7), Quality::GOOD)]);
}

#[test]
fn what_is_left_out_is_zero_where_its_message_is_there() {
    let zero = values(&mut codec(""), "status.battery", "1200");
    assert_eq!(zero, [(Owned::Whole(0), Quality::GOOD)]);
    let state = values(&mut codec(""), "status.state", "1200");
    assert_eq!(state, [(Owned::Text("UNKNOWN".into()), Quality::GOOD)]);
    assert_eq!(
        values(&mut codec(""), "status.battery", "6801"),
        [],
        "no status"
    );
    assert_eq!(
        values(&mut codec(""), "status.rssi", "1200"),
        [],
        "it is optional"
    );
    assert_eq!(
        values(&mut codec("zeros = 'missing'"), "status.battery", "1200"),
        []
    );
}

#[test]
fn repeated_fields_give_several_points_packed_or_not() {
    let wholes = |values: &[i64]| {
        let good = values
            .iter()
            .map(|value| (Owned::Whole(*value), Quality::GOOD));
        good.collect::<Vec<_>>()
    };
    let minus_one = "FFFFFFFFFFFFFFFFFF01";
    let packed = format!("2A0C 01 02 {minus_one}");
    assert_eq!(
        values(&mut codec(""), "temps[]", &packed),
        wholes(&[1, 2, -1])
    );
    let mixed = format!("2801 2A01 02 28 {minus_one}");
    assert_eq!(
        values(&mut codec(""), "temps[]", &mixed),
        wholes(&[1, 2, -1])
    );
    let notes = values(&mut codec(""), "notes[]", "7201 61 7201 62");
    assert_eq!(notes.len(), 2);
    let states = values(&mut codec(""), "states[]", "7A02 0105");
    assert_eq!(states[1].0, Owned::Text("FAULT".into()));
    let readings = values(
        &mut codec(""),
        "readings[].value",
        "1A09 11 000000000000F03F 1A00",
    );
    assert_eq!(
        readings.len(),
        2,
        "without `each` they are points of one record"
    );
}

#[test]
fn maps_are_read_by_key() {
    let labels = "2208 0A0473697465 1200 2207 0A0161 12023432";
    assert_eq!(value("labels[a]", labels), Owned::Text("42".into()));
    assert_eq!(value("labels[site]", labels), Owned::Text(String::new()));
    assert_eq!(values(&mut codec(""), "labels[other]", labels), []);
    assert_eq!(
        value("labels[site]", "2206 0A0473697465"),
        Owned::Text(String::new()),
        "no value"
    );
    let zones = "3206 0803 1202 0804 320D 08FFFFFFFFFFFFFFFFFF01 1200";
    assert_eq!(value("zones[3].battery", zones), Owned::Whole(2));
    assert_eq!(value("zones[-1].battery", zones), Owned::Whole(0));
    assert_eq!(
        value("zones[0].battery", "3204 1202 0804"),
        Owned::Whole(2),
        "no key is key 0"
    );
}

#[test]
fn each_element_is_a_record_and_the_rest_is_head() {
    let mut codec = codec("each = 'readings'");
    let keys = [
        "device_id",
        "readings[].value",
        "readings[].unit",
        "status.battery",
    ]
    .map(|key| codec.key(key).unwrap());
    let readings = "1A09 11 000000000000F03F 1A0C 11 0000000000000040 1A0163";
    let found = read_all(&codec, &unhex(&format!("{readings} 0A0161 1202 0804"))).unwrap();
    assert_eq!(
        found.head(&keys[0]),
        Some(&Owned::Text("a".into())),
        "also behind them"
    );
    assert_eq!(found.head(&keys[3]), Some(&Owned::Whole(2)));
    let records: Vec<_> = found
        .records
        .iter()
        .map(|record| {
            record
                .iter()
                .map(|found| found.value.clone())
                .collect::<Vec<_>>()
        })
        .collect();
    let text = |text: &str| Owned::Text(text.into());
    assert_eq!(
        records,
        [
            [Owned::Number(1.0), text("")],
            [Owned::Number(2.0), text("c")]
        ]
    );
    let none = read_all(&codec, &unhex("0A0161")).unwrap();
    assert!(none.records.is_empty());
}

#[test]
fn each_may_lie_deeper() {
    let mut codec = codec("each = 'status.nested.readings[]'");
    let found = values(
        &mut codec,
        "status.nested.readings[].unit",
        "1207 2205 1A03 1A0163",
    );
    assert_eq!(found, [(Owned::Text("c".into()), Quality::GOOD)]);
}

#[test]
fn wrong_keys_and_options_are_told_apart() {
    let told = [
        ("", "a field's name is missing"),
        (
            "battery",
            "has no field `battery`; it has device_id, status,",
        ),
        ("status", "is a message, vendor.v1.Status: go on with"),
        ("status.battery.x", "`battery` is no message"),
        ("temps", "write `temps[]`"),
        ("labels", "write `labels[key]`"),
        ("zones[a].battery", "keys are of another type"),
        ("device_id[]", "stands once"),
        ("labels[a", "a `]` is missing"),
        ("temps[]x", "a `.` is missing"),
        ("status..battery", "a field's name is missing"),
    ];
    for (key, wanted) in told {
        let why = codec("").key(key).unwrap_err();
        assert!(why.contains(wanted), "{key}: {why}");
    }
    let mut both = codec("");
    both.key("count").unwrap();
    assert_eq!(both.key("count"), Ok(OwnedKey::Code(0)), "twice is once");
    let deep = ["status.nested."; 20].concat() + "on";
    assert!(codec("").key(&deep).unwrap_err().contains("too deep"));
    assert!(codec("each = 'readings'").key("readings[]").is_err());
    for each in ["status", "labels", "temps", "nothing", "device_id"] {
        let each = options(&format!("each = '{each}'"));
        assert!(Message::new(each, &pool()).is_err());
    }
    let unknown = Options {
        message: "vendor.v1.Other".into(),
        ..Options::default()
    };
    let why = Message::new(unknown, &pool()).unwrap_err();
    assert!(why.contains("vendor.v1.Other"), "{why}");
    assert!(toml::from_str::<Options>("typo = 1").is_err());
}

#[test]
fn a_key_read_whole_and_by_fields_is_refused() {
    let mut codec = codec("each = 'readings'");
    codec.key("readings[].at").unwrap();
    let why = codec.key("readings[].at.seconds").unwrap_err();
    assert!(why.contains("at once"), "{why}");
}

#[test]
fn broken_payloads_are_refused_with_their_place() {
    let mut codec = codec("");
    codec.key("status.battery").unwrap();
    codec.key("temps[]").unwrap();
    let refused = |payload: &str| {
        let reject = read_all(&codec, &unhex(payload)).unwrap_err();
        (reject.reason, reject.detail)
    };
    let (reason, detail) = refused("6801 0A05 61");
    assert_eq!(reason, QuarantineReason::FrameMalformed);
    assert!(detail.starts_with("byte 2:"), "{detail}");
    let (reason, detail) = refused("1201 08");
    assert_eq!(reason, QuarantineReason::FrameMalformed);
    assert!(detail.starts_with("in field 2: byte 0:"), "{detail}");
    assert_eq!(refused("1205 0D00000000").0, QuarantineReason::FieldType);
    assert_eq!(
        refused("1202 0804 1202 0804").0,
        QuarantineReason::FieldDuplicate
    );
    assert_eq!(refused("2A01 80").0, QuarantineReason::FrameMalformed);
    assert_eq!(refused("2D00000000").0, QuarantineReason::FieldType);
}

fn all_keys(codec: &mut Message) -> Vec<OwnedKey> {
    let keys = [
        "device_id",
        "status.battery",
        "status.state",
        "status.rssi",
        "labels[site]",
        "temps[]",
        "zones[3].battery",
        "serial",
        "raw",
        "uptime",
        "count",
        "offset",
        "total",
        "on",
        "notes[]",
        "level",
        "readings[].at",
        "readings[].value",
        "readings[].unit",
    ];
    keys.iter().map(|key| codec.key(key).unwrap()).collect()
}

#[test]
fn truncations_and_bit_flips_never_panic() {
    let mut codec = codec("each = 'readings'");
    let keys = all_keys(&mut codec);
    let points = [
        (keys[0].clone(), Value::Text("a")),
        (keys[1].clone(), Value::Whole(-7)),
        (keys[4].clone(), Value::Text("roof")),
        (keys[5].clone(), Value::Whole(3)),
        (keys[6].clone(), Value::Whole(9)),
        (
            keys[16].clone(),
            Value::Time(Moment::Unix(UnixNanos(5_000_000_001))),
        ),
        (keys[17].clone(), Value::Real(1.5)),
        (keys[17].clone(), Value::Real(2.5)),
    ];
    let report = Report {
        address: "",
        at: UnixNanos(0),
        east_s: 0,
        serial: 0,
        points: &points,
    };
    let payload = codec.encode(&report).unwrap();
    assert_eq!(read_all(&codec, &payload).unwrap().records.len(), 2);
    // Protobuf has neither check nor end mark: what is read differently is all there is to see.
    bit_flips(&codec, &payload, |_, _| true);
    for end in 0..payload.len() {
        if let Ok(part) = read_all(&codec, &payload[..end]) {
            assert!(part.records.len() <= 2);
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        text in "\\PC{0,12}",
        small in any::<i32>(),
        temps in vec(any::<i32>(), 0..5),
        (serial, total) in any::<(u64, u64)>(),
        raw in vec(any::<u8>(), 0..9),
        uptime in -1_000_000_000_000_i64..1_000_000_000_000,
        rssi in any::<f32>(),
        readings in vec((1_u64..1 << 60, -1e9..1e9, "[a-z]{1,4}"), 0..4),
    ) {
        let mut codec = codec("each = 'readings'");
        let keys = all_keys(&mut codec);
        let whole = |value: u64| i64::try_from(value).map_or(Value::Large(value), Value::Whole);
        let mut points = vec![
            (keys[0].clone(), Value::Text(&text)),
            (keys[1].clone(), Value::Whole(i64::from(small))),
            (keys[2].clone(), Value::Text("FAULT")),
            (keys[3].clone(), Value::Real(f64::from(rssi))),
            (keys[4].clone(), Value::Text(&text)),
            (keys[6].clone(), Value::Whole(i64::from(small))),
            (keys[7].clone(), whole(serial)),
            (keys[8].clone(), Value::Bytes(&raw)),
            (keys[9].clone(), Value::Decimal(Decimal::new(uptime, 9))),
            (keys[10].clone(), Value::Whole(i64::from(small))),
            (keys[11].clone(), Value::Whole(i64::from(small))),
            (keys[12].clone(), whole(total)),
            (keys[13].clone(), Value::Bool(small > 0)),
            (keys[15].clone(), Value::Real(0.0)),
        ];
        points.extend(temps.iter().map(|t| (keys[5].clone(), Value::Whole(i64::from(*t)))));
        let heads = points.len();
        for (at, value, unit) in &readings {
            points.push((keys[16].clone(), Value::Time(Moment::Unix(UnixNanos(*at)))));
            points.push((keys[17].clone(), Value::Real(*value)));
            points.push((keys[18].clone(), Value::Text(unit)));
        }
        let report = Report { address: "", at: UnixNanos(0), east_s: 0, serial: 0, points: &points };
        let found = read_all(&codec, &codec.encode(&report).unwrap()).unwrap();
        let mut wanted: Vec<(OwnedKey, Owned)> =
            points[..heads].iter().map(|(key, value)| (key.clone(), (*value).into())).collect();
        let mut heads = found.heads.clone();
        let order = |head: &(OwnedKey, Owned)| head.0.clone();
        wanted.sort_by_key(order);
        heads.sort_by_key(order);
        prop_assert_eq!(heads, wanted);
        prop_assert_eq!(found.records.len(), readings.len());
        for (record, (at, value, unit)) in found.records.iter().zip(&readings) {
            prop_assert_eq!(&record[0].value, &Owned::Time(Moment::Unix(UnixNanos(*at))));
            prop_assert_eq!(&record[1].value, &Owned::Number(*value));
            prop_assert_eq!(&record[2].value, &Owned::Text(unit.clone()));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        for table in ["", "each = 'readings'"] {
            let mut codec = codec(table);
            let keys = all_keys(&mut codec);
            let mut recorder = Recorder::default();
            let read = codec.decode(&bytes, &mut recorder).map(drop);
            let is_known = |key: &OwnedKey| keys.contains(key);
            prop_assert!(recorder.heads.iter().all(|head| is_known(&head.0)));
            prop_assert!(read.is_ok() || recorder.records.len() <= bytes.len());
        }
    }
}

#[test]
fn keys_are_codes() {
    assert!(matches!(
        codec("").key("on").unwrap().as_key(),
        Key::Code(0)
    ));
}
