//! The public payloads of vendors, each read by a few lines of profile.

use proptest::prelude::*;

use super::{super::super::super::point::Decimal, super::super::testing::vectors, *};

const DOOR: &str = r#"
take = [
  { name = "battery", type = "u16be", bits = [0, 14], decimals = 3 },
  { name = "door_open", bits = [15, 1], as = "bool" },
  { type = "u8" },
  { name = "open_count", type = "u24be" },
  { name = "last_open_s", type = "u24be" },
  { name = "alarm", type = "u8", bits = [0, 1], as = "bool" },
]"#;

const SMOKE: &str = r#"
[[take]]
tlv = { key = 2 }
take = [
  { key = "0100", name = "battery_pct", type = "u8" },
  { key = "0200", name = "ac_power", type = "bool" },
  { key = "0300", name = "low_battery", type = "bool" },
  { key = "0400", name = "fault", type = "bool" },
  { key = "0500", name = "smoke_alarm", type = "bool" },
  { key = "0600", name = "interconnect", type = "bool" },
  { key = "0700", name = "test_button", type = "bool" },
]"#;

/// The examples of the module's documentation, in its order.
pub(super) fn examples() -> Vec<String> {
    let text = include_str!("../mod.rs");
    let docs: Vec<_> = text
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .collect();
    let docs = docs.join("\n");
    let blocks = docs
        .split("```toml")
        .skip(1)
        .map(|block| block.split("```").next().unwrap());
    blocks
        .map(|block| {
            block
                .replace("[codec]", "")
                .replace("kind = \"layout\"", "")
                .replace("codec.take", "take")
        })
        .collect()
}

fn example(number: usize) -> String {
    examples().swap_remove(number)
}

fn profile_of(vector: &str) -> String {
    match vector {
        "milesight_em300_th" => example(0),
        "decentlab_ctd10_water_depth" => example(1).replace("\"depth\"", "\"water_depth\""),
        "dragino_ldds75_distance" => example(2),
        "dragino_lds02_door" => DOOR.to_owned(),
        "yobiiq_sd1001_smoke_alarm" => SMOKE.to_owned(),
        other => panic!("no profile for {other}"),
    }
}

#[test]
fn every_example_of_the_documentation_compiles() {
    let examples = examples();
    assert_eq!(examples.len(), 5);
    for example in examples {
        assert!(!layout(&example).plan.names.is_empty(), "{example}");
    }
}

#[test]
fn the_published_payloads_give_their_published_values() {
    let mut compared = 0;
    for vector in vectors("lorawan_tlv")
        .into_iter()
        .chain(vectors("lorawan_binary"))
    {
        let layout = layout(&profile_of(&vector.name));
        let recorder = read_all(&layout, &vector.input).unwrap();
        assert_eq!(recorder.records.len(), 1, "{}", vector.name);
        for (name, wanted) in vector.expect["readings"].as_object().unwrap() {
            let wanted = wanted.get("value").unwrap_or(wanted);
            let is_same = match value(&layout, &recorder, name) {
                Owned::Bool(is) => wanted.as_bool() == Some(is),
                Owned::Whole(number) => wanted.as_i64() == Some(number),
                Owned::Number(number) => wanted.as_f64() == Some(number),
                other => panic!("{name}: {other:?}"),
            };
            assert!(is_same, "{} {name}: {wanted}", vector.name);
            compared += 1;
        }
    }
    assert_eq!(compared, 20);
}

#[test]
fn a_spoilt_vendor_payload_gives_a_beginning_or_is_refused() {
    for vector in vectors("lorawan_tlv")
        .into_iter()
        .chain(vectors("lorawan_binary"))
    {
        let layout = layout(&profile_of(&vector.name));
        let whole = read_all(&layout, &vector.input).unwrap().records.remove(0);
        for end in 0..vector.input.len() {
            if let Ok(part) = read_all(&layout, &vector.input[..end]) {
                let points: Vec<_> = part.records.into_iter().flatten().collect();
                assert!(whole.starts_with(&points), "{} {end}", vector.name);
            }
        }
        // No check: what a turned bit makes is taken.
        super::super::super::testing::bit_flips(&layout, &vector.input, |_, _| true);
    }
}

#[test]
fn decentlab_without_its_sensor_says_only_the_battery() {
    let layout = layout(&example(1));
    let recorder = read(&layout, "02 07D9 0002 0C60");
    assert_eq!(found(&layout, &recorder, "temperature"), None);
    assert_eq!(value(&layout, &recorder, "battery"), Owned::Number(3.168));
}

#[test]
fn dragino_marks_an_absent_sensor() {
    let layout = layout(&example(2));
    let recorder = read(&layout, "0D0A 0000 00 7FFF 00");
    assert_eq!(value(&layout, &recorder, "distance"), Owned::Missing);
    assert_eq!(value(&layout, &recorder, "temperature"), Owned::Missing);
    assert_eq!(value(&layout, &recorder, "sensor_ok"), Owned::Bool(false));
}

#[test]
fn an_unknown_milesight_channel_ends_the_frame_with_what_was_read() {
    let layout = layout(&example(0));
    let recorder = read(&layout, "01755C FF0101 0999AABB 046817");
    assert_eq!(value(&layout, &recorder, "battery"), Owned::Whole(92));
    assert_eq!(found(&layout, &recorder, "humidity"), None);
    assert_eq!(
        head(&recorder, "unread"),
        Owned::Bytes(unhex("0999AABB046817"))
    );
}

proptest! {
    #[test]
    fn what_is_written_for_a_vendor_is_read(
        battery in 0_u8..=255, temperature in any::<i16>(), half in any::<u8>(), with in any::<[bool; 3]>(),
    ) {
        let layout = layout(&example(0));
        let points = [
            ("battery", Value::Whole(battery.into())),
            ("temperature", Value::Decimal(Decimal::new(temperature.into(), 1))),
            ("humidity", Value::Decimal(Decimal::new(i64::from(half) * 5, 1))),
        ];
        let points: Vec<_> = points.into_iter().zip(with).filter(|(_, with)| *with).map(|(p, _)| p).collect();
        let recorder = read_all(&layout, &write(&layout, &points)).unwrap();
        prop_assert_eq!(recorder.records.len(), usize::from(!points.is_empty()));
        for (name, wanted) in points {
            prop_assert_eq!(value(&layout, &recorder, name), Owned::from(wanted));
        }
    }

    #[test]
    fn flags_are_written_for_what_is_reported(depth in -32768_i64..32768, volt in prop::option::of(0_i64..65536), with: bool) {
        let layout = layout(&example(1));
        let mut points = Vec::new();
        if with {
            points.push(("depth", Value::Whole(depth)));
            points.push(("temperature", Value::Decimal(Decimal::new(depth, 1))));
        }
        points.extend(volt.map(|volt| ("battery", Value::Decimal(Decimal::new(volt, 3)))));
        let recorder = read_all(&layout, &write(&layout, &points)).unwrap();
        for name in ["depth", "temperature", "battery"] {
            let wanted = points.iter().find(|(known, _)| *known == name).map(|(_, value)| Owned::from(*value));
            prop_assert_eq!(found(&layout, &recorder, name).map(|found| found.value), wanted);
        }
    }

    #[test]
    fn bits_of_one_word_are_written_together(volt in 0_i64..16384, open: bool, count in 0_i64..0x100_0000) {
        let layout = layout(DOOR);
        let points = [
            ("battery", Value::Decimal(Decimal::new(volt, 3))),
            ("door_open", Value::Bool(open)),
            ("open_count", Value::Whole(count)),
        ];
        let recorder = read_all(&layout, &write(&layout, &points)).unwrap();
        for (name, wanted) in points {
            prop_assert_eq!(value(&layout, &recorder, name), Owned::from(wanted));
        }
    }
}
