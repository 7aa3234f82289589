//! What a payload costs from a vendor's bytes to wire bytes through its profile, and how many allocations it makes. For
//! each codec a payload as the first vector of an embedded profile has it, and more of the classes with most readings;
//! profiles of the bench's own where none is embedded with the codec outermost (`cbor`, `protobuf`, `layout`, `cayenne`),
//! and where the size is to be exact: five properties, ten factors of HJ 212.
//!
//! Sparkplug is read without the memory of births, as a payload that names its metrics.

#![expect(missing_docs, reason = "criterion's macros write functions")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement may end at the first thing that is wrong, and says what it counted"
)]

use std::{fs, hint::black_box, path::Path, time::Duration};

use allocation_counter::measure as allocations_of;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sensegate::{
    domain::UnixNanos,
    normalise::{Classes, Encoded, Limits, Profile, Profiles, Report},
};
use tempfile::TempDir;

const RECEIVED_AT: UnixNanos = UnixNanos(1_795_392_001_000_000_000);
const LIMITS: Limits = Limits {
    readings_per_payload_max: 1_000,
    reading_bytes_max: 65_536,
    skew_max: Duration::from_secs(u32::MAX as u64),
};

const FIVE: &str = r#"
class = "air_station"
topics = ["five/{device}"]
[codec]
kind = "json"
[time]
from = "/ts"
[fields.pm2_5]
from = "/data/pm25"
unit = "mg/m3"
[fields.pm10]
from = "/data/pm10"
[fields.temperature]
from = "/data/t"
scale = 0.1
[fields.humidity]
from = "/data/rh"
[fields.pressure]
from = "/data/p"
unit = "hPa"
"#;
const FIVE_PAYLOAD: &str = r#"{"sn":"510104-0007421","ts":1795392000123,"data":{"pm25":0.033,"pm10":41.5,"t":-41,"rh":45.5,"p":956.2}}"#;

/// The same five in CBOR.
const FIVE_CBOR: &str = "\
A362736E6E3531303130342D303030373432316274731A6B0382006464617461A564706D3235FB3FA0E5604189374C64706D\
3130FB4044C0000000000061743828627268FB4046C000000000006170FB408DE1999999999A";

/// The same five in protobuf.
const FIVE_PROTO: &str = r#"
syntax = "proto3";
package five.v1;
message Values { double pm25 = 1; double pm10 = 2; sint32 t = 3; double rh = 4; double p = 5; }
message Report { string sn = 1; int64 ts = 2; Values data = 3; }
"#;
const FIVE_PROTOBUF: &str = "\
0A0E3531303130342D303030373432311080848ED8061A26094C37894160E5A03F110000000000C044401851210000000000\
C04640299A99999999E18D40";

/// Battery, temperature, humidity, keyed by channel and type.
const LAYOUT: &str = r#"
class = "air_station"
topics = ["layout/{device}"]
[codec]
kind = "layout"
[[codec.take]]
tlv = { key = 2 }
take = [
  { key = "0175", name = "battery", type = "u8" },
  { key = "0367", name = "temperature", type = "i16le", decimals = 1 },
  { key = "0468", name = "humidity", type = "u8", times = 5, decimals = 1 },
]
[fields.temperature]
from = "temperature"
[fields.humidity]
from = "humidity"
"#;
const LAYOUT_PAYLOAD: &str = "01755D0367D6FF04685B";

const CAYENNE: &str = r#"
class = "air_station"
topics = ["cayenne/{device}"]
[codec]
kind = "cayenne"
[fields.temperature]
from = "1.temperature"
[fields.humidity]
from = "2.humidity"
[fields.pressure]
from = "3.barometer"
"#;
const CAYENNE_PAYLOAD: &str = "0167FFD802685B0373255A";

const TEN: &str = r#"
class = "air_station"
device = ["MN", "topic.device"]
topics = ["ten/{device}"]
[codec]
kind = "hj212"
[when]
CN = "2011"
[time]
from = "DataTime"
[fields.so2]
from = "a21026-Rtd"
unit = "mg/m3"
[fields.no2]
from = "a21004-Rtd"
unit = "mg/m3"
[fields.co]
from = "a21005-Rtd"
[fields.o3]
from = "a05024-Rtd"
unit = "mg/m3"
[fields.pm2_5]
from = "a34004-Rtd"
[fields.pm10]
from = "a34002-Rtd"
[fields.temperature]
from = "a01001-Rtd"
[fields.humidity]
from = "a01002-Rtd"
[fields.wind_speed]
from = "a01007-Rtd"
[fields.wind_direction]
from = "a01008-Rtd"
"#;

fn ten_payload() -> Vec<u8> {
    let codes = [
        "a21026", "a21004", "a21005", "a05024", "a34004", "a34002", "a01001", "a01002", "a01007",
        "a01008",
    ];
    let factors: Vec<String> = codes
        .iter()
        .map(|code| format!("{code}-Rtd=12.34,{code}-Flag=N"))
        .collect();
    let data = format!(
        "QN=20261123080000123;ST=22;CN=2011;PW=123456;MN=Y80110010000010;Flag=5;CP=&&DataTime=20261123080000;{}&&",
        factors.join(";")
    );
    let crc = data.bytes().fold(0xFFFF_u16, |crc, byte| {
        (0..8).fold(crc >> 8 ^ u16::from(byte), |crc, _| {
            if crc & 1 == 1 {
                crc >> 1 ^ 0xA001
            } else {
                crc >> 1
            }
        })
    });
    format!("##{:04}{data}{crc:04X}\r\n", data.len()).into_bytes()
}

/// What is measured: a payload, and the profile that reads it.
struct Load {
    name: String,
    profile: String,
    class: String,
    /// Empty: the canonical one of the profile.
    topic: String,
    payload: Vec<u8>,
}

impl Load {
    fn own(profile: &str, payload: Vec<u8>) -> Self {
        Self {
            name: profile.to_owned(),
            profile: profile.to_owned(),
            class: "air_station".to_owned(),
            topic: String::new(),
            payload,
        }
    }

    /// The first vector of an embedded profile that gives a reading and whose payload begins so.
    fn embedded(profile: &str, begins: &[u8]) -> Option<Self> {
        let profiles = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/profiles");
        let table = found(&profiles, &format!("{profile}.toml"))?;
        let vectors = table.get("vector")?.as_array()?.iter();
        let (vector, payload) = vectors
            .filter(|vector| vector.get("expect").is_some())
            .filter_map(|vector| Some((vector, payload_of(vector)?)))
            .find(|(_, payload)| payload.starts_with(begins))?;
        let text = |value: Option<&toml::Value>| Some(value?.as_str()?.to_owned());
        Some(Self {
            name: profile.to_owned(),
            profile: profile.to_owned(),
            class: text(table.get("class"))?,
            topic: text(vector.get("topic")).unwrap_or_default(),
            payload,
        })
    }
}

fn found(dir: &Path, name: &str) -> Option<toml::Table> {
    fs::read_dir(dir).unwrap().flatten().find_map(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return found(&path, name);
        }
        let is_it = path.file_name().is_some_and(|found| found == name);
        is_it.then(|| toml::from_str(&fs::read_to_string(&path).unwrap()).unwrap())
    })
}

fn payload_of(vector: &toml::Value) -> Option<Vec<u8>> {
    match (vector.get("payload"), vector.get("payload_hex")) {
        (Some(text), _) => Some(text.as_str()?.as_bytes().to_vec()),
        (None, Some(digits)) => hex::decode(digits.as_str()?.replace(char::is_whitespace, "")).ok(),
        (None, None) => None,
    }
}

fn read(profile: &Profile, classes: &Classes, load: &Load, out: &mut Encoded) {
    let is_canonical = load.topic.is_empty();
    let report = Report {
        topic: &load.topic,
        canonical: is_canonical.then_some((&load.class, "510104-0007421")),
        publisher: None,
        bytes: &load.payload,
        received_at: RECEIVED_AT,
        attributes: &[],
        memory: None,
        may_report: &|_, _| true,
    };
    out.clear();
    let outcome = profile.read(&report, (classes, &LIMITS), out);
    assert!(outcome.unread.is_empty() && out.count > 0, "{outcome:?}");
}

/// Every codec that an embedded profile has: its name, or what else is to be told apart, and the profile.
const CODECS: &[(&str, &str)] = &[
    ("hj212", "air_station.hj212"),
    ("sl651", "groundwater_well.sl651"),
    ("szy206", "water_intake.szy206"),
    ("gb26875", "fire_alarm_part.gb26875"),
    ("jt808", "taxi_gps.jt808"),
    ("gb32960", "heavy_vehicle_obd.gb32960"),
    ("dlt645", "elec_meter_three_phase.dlt645"),
    ("cjt188", "gas_meter_residential.cjt188"),
    ("modbus", "pv_inverter.modbus_rtu"),
    ("mbus", "heat_meter.mbus"),
    ("senml_json", "road_waterlogging.senml_json"),
    ("senml_cbor", "bridge_vibration.senml_cbor"),
    ("sparkplug", "ring_main_unit.sparkplug_b"),
    ("chirpstack_layout", "indoor_air.lorawan_tlv"),
    ("chirpstack_cayenne", "food_cold_chain.lorawan_tlv"),
];

/// The classes with most readings a second, in their usual formats.
const BUSIEST: &[&str] = &[
    "checkpoint_event.vendor_json",
    "ev_realtime.gb32960",
    "elec_meter_residential.dlt645",
    "ridehail_gps.jt808",
    "face_capture_event.vendor_json",
    "bus_gps.jt808",
    "freight_gps.jt808",
    "taxi_gps.jt808",
    "combustible_gas_gds.modbus_rtu",
    "video_camera_status.vendor_json",
    "streetlight_controller.alink_json",
    "water_meter_residential.cjt188",
];

fn loads() -> Vec<Load> {
    let bytes = |digits: &str| hex::decode(digits).unwrap();
    let mut loads = vec![
        Load::own("five", FIVE_PAYLOAD.as_bytes().to_vec()),
        Load::own("five_cbor", bytes(FIVE_CBOR)),
        Load::own("five_protobuf", bytes(FIVE_PROTOBUF)),
        Load::own("layout", bytes(LAYOUT_PAYLOAD)),
        Load::own("cayenne", bytes(CAYENNE_PAYLOAD)),
        Load::own("ten", ten_payload()),
    ];
    let named = CODECS.iter().map(|(name, id)| (*name, *id, &[][..]));
    // The positions of a dead zone in one message (0704).
    let batch = [("jt808_batch", "taxi_gps.jt808", &[0x7E, 0x07, 0x04][..])];
    let busiest = BUSIEST.iter().map(|id| (*id, *id, &[][..]));
    for (name, id, begins) in named.chain(batch).chain(busiest) {
        match Load::embedded(id, begins) {
            Some(load) => loads.push(Load {
                name: name.to_owned(),
                ..load
            }),
            None => println!("{id}: no such profile"),
        }
    }
    loads
}

/// The bench's own profiles.
fn write_own(dir: &Path) {
    let five = |codec: &str, names: &str| {
        let (kind, to) = (format!("kind = \"{codec}\""), format!("{names}/{{device}}"));
        FIVE.replace("kind = \"json\"", &kind)
            .replace("five/{device}", &to)
    };
    let by_path = five("protobuf", "five_protobuf")
        .replace("\"/data/", "\"data.")
        .replace("\"/", "\"")
        .replace(
            "[time]",
            "proto = \"five.proto\"\nmessage = \"five.v1.Report\"\n[time]",
        );
    for (name, text) in [
        ("five.toml", FIVE),
        ("five_cbor.toml", &five("cbor", "five_cbor")),
        ("five_protobuf.toml", &by_path),
        ("five.proto", FIVE_PROTO),
        ("layout.toml", LAYOUT),
        ("cayenne.toml", CAYENNE),
        ("ten.toml", TEN),
    ] {
        fs::write(dir.join(name), text).unwrap();
    }
}

fn measure(criterion: &mut Criterion) {
    let classes = Classes::embedded().unwrap();
    let dir = TempDir::new().unwrap();
    write_own(dir.path());
    let profiles = Profiles::load(Some(dir.path()), &classes).unwrap();
    let mut group = criterion.benchmark_group("profile");
    for load in &loads() {
        let (id, payload) = (&load.name, &load.payload);
        let profile = profiles.get(&load.profile).unwrap();
        let mut out = Encoded::default();
        read(profile, &classes, load, &mut out);
        let counted = allocations_of(|| read(profile, &classes, load, &mut out));
        let each = counted.count_total;
        println!(
            "{id}: {} bytes, {} readings, {each} allocations",
            payload.len(),
            out.count
        );
        group.throughput(Throughput::Elements(1));
        group.bench_function(id, |bencher| {
            bencher.iter(|| {
                read(profile, &classes, load, &mut out);
                black_box(out.bytes.len());
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    targets = measure
}
criterion_main!(benches);
