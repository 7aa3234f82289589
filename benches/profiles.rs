//! What a payload costs from a vendor's bytes to wire bytes through its profile, and how many allocations it makes. One
//! payload for each of the formats that carry most of a city's readings, as the first vector of an embedded profile has
//! it, and two of exact size: JSON with five properties, HJ 212 with ten factors.

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

/// The first vector of an embedded profile that gives a reading.
fn first_vector(id: &str) -> Option<(String, Vec<u8>)> {
    fn find(dir: &Path, name: &str) -> Option<toml::Table> {
        fs::read_dir(dir).unwrap().flatten().find_map(|entry| {
            let path = entry.path();
            if path.is_dir() {
                return find(&path, name);
            }
            let is_it = path.file_name().is_some_and(|found| found == name);
            is_it.then(|| toml::from_str(&fs::read_to_string(&path).unwrap()).unwrap())
        })
    }
    let profiles = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/profiles");
    let table = find(&profiles, &format!("{id}.toml"))?;
    let vectors = table.get("vector")?.as_array()?.clone();
    let vector = vectors
        .into_iter()
        .find(|vector| vector.get("expect").is_some() && vector.get("topic").is_none())?;
    let payload = match (vector.get("payload"), vector.get("payload_hex")) {
        (Some(text), _) => text.as_str()?.as_bytes().to_vec(),
        (None, Some(digits)) => {
            hex::decode(digits.as_str()?.replace(char::is_whitespace, "")).ok()?
        }
        (None, None) => return None,
    };
    Some((table.get("class")?.as_str()?.to_owned(), payload))
}

fn read(profile: &Profile, classes: &Classes, (class, bytes): (&str, &[u8]), out: &mut Encoded) {
    let report = Report {
        topic: "",
        canonical: Some((class, "510104-0007421")),
        publisher: None,
        bytes,
        received_at: RECEIVED_AT,
        attributes: &[],
        memory: None,
        may_report: &|_, _| true,
    };
    out.clear();
    let outcome = profile.read(&report, (classes, &LIMITS), out);
    assert!(outcome.unread.is_empty() && out.count > 0, "{outcome:?}");
}

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

fn measure(criterion: &mut Criterion) {
    let classes = Classes::embedded().unwrap();
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("five.toml"), FIVE).unwrap();
    fs::write(dir.path().join("ten.toml"), TEN).unwrap();
    let profiles = Profiles::load(Some(dir.path()), &classes).unwrap();
    let mut loads = vec![
        (
            "five".to_owned(),
            "air_station".to_owned(),
            FIVE_PAYLOAD.as_bytes().to_vec(),
        ),
        ("ten".to_owned(), "air_station".to_owned(), ten_payload()),
    ];
    for id in BUSIEST {
        match first_vector(id) {
            Some((class, payload)) => loads.push(((*id).to_owned(), class, payload)),
            None => println!("{id}: no such profile"),
        }
    }
    let mut group = criterion.benchmark_group("profile");
    for (id, class, payload) in &loads {
        let profile = profiles.get(id).unwrap();
        let mut out = Encoded::default();
        read(profile, &classes, (class, payload), &mut out);
        let counted = allocations_of(|| read(profile, &classes, (class, payload), &mut out));
        let each = counted.count_total;
        println!(
            "{id}: {} bytes, {} readings, {each} allocations",
            payload.len(),
            out.count
        );
        group.throughput(Throughput::Elements(1));
        group.bench_function(id, |bencher| {
            bencher.iter(|| {
                read(profile, &classes, (class, payload), &mut out);
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
