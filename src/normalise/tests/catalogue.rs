//! The catalogue: what the embedded .proto files must hold.

use std::collections::{BTreeSet, HashSet};

use super::{
    super::{Classes, FieldKind, memory::Beyond, ucum},
    embedded,
};
use crate::domain::{Lane, LaneMap};

#[test]
fn the_catalogue_holds_226_classes_each_with_its_own_id_and_message() {
    let classes = embedded();
    let ids: HashSet<&str> = classes.iter().map(|class| class.id()).collect();
    let messages: HashSet<&str> = classes.iter().map(|class| class.message_name()).collect();
    assert_eq!((classes.len(), ids.len(), messages.len()), (226, 226, 226));
    for (at, class) in classes.iter().enumerate() {
        assert_eq!(class.index(), at);
        assert_eq!(classes.get(class.id()).unwrap().index(), at);
    }
}

#[test]
fn every_class_stands_in_the_file_of_its_domain() {
    let mut domains = BTreeSet::new();
    for class in embedded().iter() {
        let file = format!("sensegate/classes/v1/{}.proto", class.domain());
        assert_eq!(class.file_name(), file, "{}", class.id());
        domains.insert(class.domain());
    }
    assert_eq!(domains.len(), 14);
}

#[test]
fn every_class_has_names_a_lane_and_an_interval() {
    let mut lanes = LaneMap::<usize>::default();
    for class in embedded().iter() {
        lanes[class.lane()] += 1;
        assert!(class.interval_s() > 0, "{}", class.id());
        assert!(!class.name_zh().is_empty(), "{}", class.id());
        assert!(!class.name_en().is_empty(), "{}", class.id());
        assert!(!class.domain_zh().is_empty(), "{}", class.id());
        assert!(!class.format().is_empty(), "{}", class.id());
    }
    let counts = Lane::ALL.map(|lane| lanes[lane]);
    assert_eq!(counts, [61, 134, 31], "alarm, telemetry, bulk");
}

#[test]
fn the_nominal_city_has_22_million_devices_and_1069_properties() {
    let counts = embedded()
        .iter()
        .map(|class| u64::from(class.nominal_count()));
    assert_eq!(counts.sum::<u64>(), 22_000_000);
    let fields = embedded().iter().map(|class| class.fields().len());
    assert_eq!(fields.sum::<usize>(), 1_069);
}

#[test]
fn every_unit_is_ucum_and_every_measured_field_has_a_range() {
    for class in embedded().iter() {
        for field in class.fields() {
            let place = format!("{}.{}", class.id(), field.name);
            let measured = matches!(
                field.kind,
                FieldKind::Double | FieldKind::Float | FieldKind::Signed | FieldKind::Unsigned
            );
            if !measured {
                assert_eq!(
                    (field.unit.as_str(), field.min, field.max),
                    ("", None, None),
                    "{place}"
                );
                continue;
            }
            assert_eq!(ucum::validate(&field.unit), Ok(()), "{place}");
            assert!(field.min.unwrap() <= field.max.unwrap(), "{place}");
        }
    }
}

#[test]
fn every_enum_is_closed() {
    for class in embedded().iter() {
        for field in class.fields() {
            let FieldKind::Enum(codes) = &field.kind else {
                continue;
            };
            let distinct: HashSet<&str> = codes.iter().map(|code| code.code.as_str()).collect();
            assert!(!codes.is_empty(), "{}.{}", class.id(), field.name);
            assert_eq!(distinct.len(), codes.len(), "{}.{}", class.id(), field.name);
            for code in codes {
                assert_ne!((code.code.as_str(), code.number), ("", 0), "{}", code.name);
            }
        }
    }
}

#[test]
fn the_digest_is_the_same_each_time() {
    assert_eq!(Classes::embedded().unwrap().digest(), embedded().digest());
    assert_ne!(embedded().digest(), [0; 32]);
}

#[test]
fn every_alarm_lies_in_the_plausible_range_and_can_clear() {
    let mut alarmed = 0;
    for class in embedded().iter() {
        let mut codes = HashSet::new();
        for field in class.fields() {
            for rule in &field.thresholds {
                let place = format!("{}.{}: {}", class.id(), field.name, rule.code);
                assert!(codes.insert(&rule.code), "{place}: once in a class");
                let (min, max) = (field.min.unwrap_or(0.0), field.max.unwrap_or(0.0));
                let back = match rule.threshold.beyond {
                    Beyond::Above(limit) => limit - rule.threshold.hysteresis,
                    Beyond::Below(limit) => limit + rule.threshold.hysteresis,
                    Beyond::Is(_) => continue,
                };
                assert!(min < back && back < max, "{place}");
                assert!(rule.threshold.hysteresis > 0.0, "{place}");
            }
        }
        alarmed += usize::from(!codes.is_empty());
    }
    assert_eq!(alarmed, 40);
}
