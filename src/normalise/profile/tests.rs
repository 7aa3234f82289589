//! Profiles as integrators write them, and what becomes of payloads under them.

mod pieces;

use std::path::PathBuf;

use super::{
    super::{
        classes::Classes,
        payload::{Encoded, Limits},
        render,
    },
    Outcome, Profile, Report,
    set::{Source, one},
};
use crate::domain::{Lane, QuarantineReason, UnixNanos};

const LIMITS: Limits = Limits {
    readings_per_payload_max: 16,
    reading_bytes_max: 4_096,
    skew_max: std::time::Duration::from_secs(u32::MAX as u64),
};
const RECEIVED_AT: UnixNanos = UnixNanos(1_705_980_720_000_000_000);

fn profile(text: &str) -> Result<Profile, Vec<String>> {
    let source = Source {
        path: PathBuf::from("test.toml"),
        text: text.to_owned(),
    };
    one(&source, &Classes::embedded().unwrap()).map(|(profile, _)| profile)
}

struct Read {
    outcome: Outcome,
    out: Encoded,
    shown: Vec<serde_json::Value>,
}

fn read_as(profile: &Profile, topic: &str, bytes: &[u8], may: &dyn Fn(&str, &str) -> bool) -> Read {
    let classes = Classes::embedded().unwrap();
    let report = Report {
        topic,
        canonical: None,
        publisher: Some(("air_station", "own")),
        bytes,
        received_at: RECEIVED_AT,
        attributes: &[],
        memory: None,
        may_report: may,
    };
    let mut out = Encoded::default();
    let outcome = profile.read(&report, (&classes, &LIMITS), &mut out);
    let shown = render::readings(&classes, &out.bytes).unwrap();
    Read {
        outcome,
        out,
        shown,
    }
}

fn read(profile: &Profile, topic: &str, bytes: &[u8]) -> Read {
    read_as(profile, topic, bytes, &|_, _| true)
}

impl Read {
    fn reasons(&self) -> Vec<QuarantineReason> {
        self.outcome
            .unread
            .iter()
            .map(|unread| unread.reject.reason)
            .collect()
    }

    fn value(&self, reading: usize, field: &str) -> serde_json::Value {
        self.shown[reading]["values"][field]["value"].clone()
    }
}

const AIR: &str = r#"
class = "air_station"
topics = ["acme/{device}/data"]
[codec]
kind = "json"
[time]
from = "/ts"
[fields.pm2_5]
from = ["/d/pm25", "/d/pm25_raw"]
unit = "mg/m3"
missing = [-1, "--"]
[fields.temperature]
from = "/d/t"
scale = 0.1
[fields.humidity]
from = "/d/rh"
[[status]]
from = "/st"
[status.bits]
0 = { quality = "BadSensorFailure", fields = ["pm2_5"] }
2 = { alarm = "door_open", level = "serious" }
"#;

#[test]
fn values_are_scaled_converted_and_of_the_first_candidate_that_has_one() {
    let profile = profile(AIR).unwrap();
    let payload = br#"{"ts":1705980700,"d":{"pm25":0.033,"t":-41,"rh":"45.5"},"st":0}"#;
    let found = read(&profile, "acme/A-7/data", payload);
    assert_eq!(found.reasons(), []);
    assert_eq!(found.value(0, "pm2_5"), 33.0);
    assert_eq!(found.value(0, "temperature"), -4.1);
    assert_eq!(found.value(0, "humidity"), 45.5);
    assert_eq!(found.shown[0]["device_id"], "A-7");
    assert_eq!(found.shown[0]["observed_at"], "2024-01-23T03:31:40Z");
    assert_eq!(found.shown[0]["profile_id"], "test");
    let payload = br#"{"ts":1705980700,"d":{"pm25":-1,"pm25_raw":0.5,"t":1}}"#;
    assert_eq!(
        read(&profile, "acme/A-7/data", payload).value(0, "pm2_5"),
        500.0
    );
}

#[test]
fn a_status_word_flags_fields_and_lifts_an_alarm_to_its_lane() {
    let profile = profile(AIR).unwrap();
    let payload = br#"{"ts":1705980700,"d":{"pm25":0.03},"st":5}"#;
    let found = read(&profile, "acme/A-7/data", payload);
    assert_eq!(
        found.shown[0]["values"]["pm2_5"]["quality"],
        "BadSensorFailure"
    );
    assert_eq!(found.shown[0]["alarms"][0]["code"], "door_open");
    assert_eq!(found.shown[0]["alarms"][0]["level"], "serious");
    assert_eq!(found.out.runs[0].lane, Lane::Alarm);
    let payload = br#"{"ts":1705980700,"d":{"pm25":0.03},"st":0}"#;
    assert_eq!(
        read(&profile, "acme/A-7/data", payload).out.runs[0].lane,
        Lane::Telemetry
    );
}

#[test]
fn a_reading_for_another_device_takes_the_right_to_report_for_it() {
    let profile = profile(AIR).unwrap();
    let payload = br#"{"d":{"t":1}}"#;
    let found = read_as(&profile, "acme/other/data", payload, &|class, device| {
        (class, device) == ("air_station", "own")
    });
    assert_eq!(found.reasons(), [QuarantineReason::DeviceRights]);
    assert!(found.shown.is_empty() && found.out.runs.is_empty());
}

#[test]
fn a_value_that_cannot_be_read_costs_the_payload_or_by_choice_only_its_field() {
    let payload = br#"{"d":{"pm25":"broken","t":20}}"#;
    let whole = read(&profile(AIR).unwrap(), "acme/1/data", payload);
    assert_eq!(whole.reasons(), [QuarantineReason::FieldType]);
    let lenient = format!("strictness = \"field\"\n{AIR}");
    let found = read(&profile(&lenient).unwrap(), "acme/1/data", payload);
    assert_eq!(found.reasons(), []);
    assert_eq!(found.value(0, "temperature"), 2.0);
    assert_eq!(found.shown[0]["attributes"]["member.pm2_5"], "broken");
}

#[test]
fn a_device_that_has_no_value_at_all_says_so_and_is_no_fault() {
    let found = read(
        &profile(AIR).unwrap(),
        "acme/1/data",
        br#"{"d":{"pm25":null}}"#,
    );
    assert_eq!(found.reasons(), []);
    assert_eq!(found.shown[0]["qualities"]["reading"], "Bad");
}

const METERS: &str = r#"
class = "smart_water_meter"
device = "address"
[codec]
kind = "cjt188"
[fields.total_volume]
from = "volume"
"#;

#[test]
fn frames_of_several_meters_are_readings_each_and_a_broken_one_spoils_no_other() {
    let classes = Classes::embedded().unwrap();
    let meter = classes
        .iter()
        .find(|class| class.format() == "cjt188" && class.id().contains("water"));
    let meter = meter.expect("a water meter is in the catalogue");
    let volume = meter
        .fields()
        .iter()
        .find(|field| field.unit == "m3")
        .unwrap();
    let text = METERS
        .replace("smart_water_meter", meter.id())
        .replace("total_volume", &volume.name);
    let profile = profile(&text).unwrap();
    let frame = "fefefe6810962911800100008116901f02001200002c000000002c0000000000000002007d16";
    let good = hex::decode(frame).unwrap();
    let mut broken = good.clone();
    broken[20] ^= 1;
    let payload = [&good[..], &broken, b"DTU", &good].concat();
    let found = read(&profile, "any", &payload);
    assert_eq!(found.reasons(), [QuarantineReason::FrameCheck]);
    assert_eq!(found.shown.len(), 2);
    assert_eq!(found.value(1, &volume.name), 12.0);
    assert_eq!(found.shown[1]["device_id"], "00000180112996");
    let range = found.outcome.unread[0].range.clone();
    assert_eq!(&payload[range], &broken[3..]);
}

#[test]
fn values_with_times_of_their_own_are_readings_of_their_own() {
    let text = r#"
class = "air_station"
device = "MN"
[codec]
kind = "hj212"
[codec]
"#;
    assert!(profile(text).is_err(), "a table stands twice");
    let text = r#"
class = "air_station"
device = "MN"
[codec]
kind = "hj212"
crc = "unchecked"
length = "found"
[when]
CN = "2011"
[time]
from = "DataTime"
[fields.pm2_5]
from = "a34004-Rtd"
[fields.pm10]
from = "a34002-Rtd"
"#;
    let profile = profile(text).unwrap();
    let frame = "##0000QN=1;ST=22;CN=2011;PW=1;MN=S1;CP=&&DataTime=20240123123200;a34004-SampleTime=20240123123100,\
                 a34004-Rtd=35,a34004-Flag=N;a34002-Rtd=80,a34002-Flag=D&&0000\r\n";
    let found = read(&profile, "any", frame.as_bytes());
    assert_eq!(found.reasons(), []);
    assert_eq!(found.shown.len(), 2);
    assert_eq!(found.shown[0]["observed_at"], "2024-01-23T04:31:00Z");
    assert_eq!(found.value(0, "pm2_5"), 35.0);
    assert_eq!(found.shown[1]["observed_at"], "2024-01-23T04:32:00Z");
    assert_eq!(
        found.shown[1]["values"]["pm10"]["quality"],
        "BadSensorFailure"
    );
    let other = frame.replace("CN=2011", "CN=2081");
    let left_out = read(&profile, "any", other.as_bytes());
    assert_eq!(left_out.reasons(), [QuarantineReason::NoProfile]);
}

#[test]
fn a_class_is_chosen_by_what_the_payload_says() {
    let text = r#"
device = "topic.device"
topics = ["multi/{device}"]
[class]
from = "/kind"
map = { A = "air_station", B = "air_micro_station" }
[codec]
kind = "json"
[fields.pm2_5]
from = "/pm"
"#;
    let profile = profile(text).unwrap();
    let found = read(&profile, "multi/1", br#"{"pm": 3, "kind": "B"}"#);
    assert_eq!(found.shown[0]["class_id"], "air_micro_station");
    let unknown = read(&profile, "multi/1", br#"{"pm": 3, "kind": "C"}"#);
    assert_eq!(unknown.reasons(), [QuarantineReason::UnknownClass]);
}

#[test]
fn a_series_without_times_is_spread_by_its_step() {
    let text = r#"
class = "air_station"
topics = ["s/{device}"]
[codec]
kind = "json"
[time]
from = "/t"
[fields.pm2_5]
from = "/v"
series = { step_s = 300, time_of = "last" }
"#;
    let profile = profile(text).unwrap();
    let found = read(&profile, "s/1", br#"{"t": 1705980600, "v": [1, null, 3]}"#);
    assert_eq!(found.reasons(), []);
    let times: Vec<_> = found
        .shown
        .iter()
        .map(|reading| reading["observed_at"].clone())
        .collect();
    assert_eq!(
        times,
        [
            "2024-01-23T03:20:00Z",
            "2024-01-23T03:25:00Z",
            "2024-01-23T03:30:00Z"
        ]
    );
    assert_eq!(found.value(2, "pm2_5"), 3.0);
}

#[test]
fn every_fault_of_a_file_is_told_with_its_line_and_key() {
    let text = "class = \"air_station\"\n[codec]\nkind = \"json\"\n[fields.pm2_5]\nfrom = \"/a\"\nunit = \"kPa\"\n\
                [fields.nothing]\nfrom = \"no pointer\"\n[time]\nzone = \"local\"\n";
    let faults = profile(text).unwrap_err();
    let has = |what: &str| faults.iter().any(|fault| fault.contains(what));
    assert!(has("test.toml: line 6: fields.pm2_5.unit"), "{faults:#?}");
    assert!(has("fields.nothing"), "{faults:#?}");
    assert!(has("time.zone"), "{faults:#?}");
    let unknown =
        profile("class = \"air_station\"\ncolour = 1\n[codec]\nkind=\"json\"\n").unwrap_err();
    assert!(
        unknown[0].contains("line 2") && unknown[0].contains("colour"),
        "{unknown:?}"
    );
    let codec = profile("class = \"air_station\"\n[codec]\nkind=\"jsno\"\n").unwrap_err();
    assert!(
        codec[0].contains("jsno") && codec[0].contains("hj212"),
        "{codec:?}"
    );
}

#[test]
fn arbitrary_bytes_go_to_quarantine_or_give_readings_and_never_panic() {
    let profile = profile(AIR).unwrap();
    for bytes in [
        &b""[..],
        b"{",
        b"[]",
        b"\xff\xfe",
        b"{\"d\":[]}",
        b"{\"d\":{\"t\":1e999}}",
    ] {
        let found = read(&profile, "acme/1/data", bytes);
        assert_eq!(
            found.shown.is_empty(),
            !found.reasons().is_empty(),
            "{bytes:?}"
        );
    }
}

#[test]
fn the_examples_of_the_page_come_out_as_they_say() {
    let page = include_str!("../../../docs/profiles.md");
    let classes = Classes::embedded().unwrap();
    let mut count = 0;
    for block in page.split("```toml\n").skip(1) {
        let text = block.split("```").next().unwrap().to_owned();
        let path = PathBuf::from("example.toml");
        let (profile, spec) = one(&Source { path, text }, &classes).unwrap();
        assert!(!spec.vectors.is_empty());
        assert_eq!(
            super::vectors::run(&profile, &spec, &classes),
            Vec::<String>::new()
        );
        count += 1;
    }
    assert_eq!(count, 7);
}

#[test]
fn every_embedded_profile_passes_its_vectors() {
    let classes = Classes::embedded().unwrap();
    match super::Profiles::check(None, &classes) {
        Ok(checked) => assert!(checked.vectors >= checked.profiles, "{checked:?}"),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_vendors_proto_file_beside_the_profile_is_all_that_its_messages_take() {
    let dir = tempfile::TempDir::new().unwrap();
    let proto = "syntax = \"proto3\"; package acme;\nmessage Up { string sn = 1; double pm = 2; uint64 at = 3; }\n";
    std::fs::write(dir.path().join("acme.proto"), proto).unwrap();
    let text = r#"
class = "air_station"
device = "sn"
[codec]
kind = "protobuf"
proto = "acme.proto"
message = "acme.Up"
[time]
from = "at"
[fields.pm2_5]
from = "pm"
"#;
    let classes = Classes::embedded().unwrap();
    let source = |text: &str| Source {
        path: dir.path().join("acme.toml"),
        text: text.to_owned(),
    };
    let (profile, _) = one(&source(text), &classes).unwrap();
    let mut payload = vec![0x0A, 2, b'A', b'7', 0x11];
    payload.extend_from_slice(&35.5_f64.to_le_bytes());
    payload.extend_from_slice(&[0x18, 0x9C, 0xB0, 0xBB, 0xAD, 0x06]);
    let found = read(&profile, "any", &payload);
    assert_eq!(found.reasons(), []);
    assert_eq!(found.value(0, "pm2_5"), 35.5);
    assert_eq!(found.shown[0]["device_id"], "A7");
    let faults = one(&source(&text.replace("acme.proto", "none.proto")), &classes).unwrap_err();
    assert!(faults[0].contains("none.proto"), "{faults:?}");
}
