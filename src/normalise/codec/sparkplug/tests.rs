//! Sparkplug B certificates and data: public vectors, what is refused and why, round trips, damage.

use proptest::{collection::vec, prelude::*};

use super::super::super::recent::Recent;
use super::{
    super::{
        super::{
            payload::Reject,
            point::{Key, Moment, OwnedKey, Point, Sink, Value},
            quality::Quality,
        },
        encoding::{Encoder as _, Report},
        testing::{Owned, Recorder, Vector, bit_flips, read_all, unhex, vectors},
    },
    births::{Effect, Outcome},
    edge_node::EdgeNode,
    encode::Written,
    *,
};
use crate::{
    config::SparkplugGaps,
    domain::{QuarantineReason, UnixNanos},
};

const MS: u64 = 1_000_000;
const NOON: UnixNanos = UnixNanos(1_667_188_800_000 * MS);

fn name(key: &str) -> OwnedKey {
    Sparkplug.clone().key(key).unwrap()
}

fn time(milliseconds: u64) -> Option<Moment> {
    Some(Moment::Unix(UnixNanos(milliseconds * MS)))
}

fn vector(wanted: &str) -> Vector {
    let mut all = vectors("sparkplug_b").into_iter();
    all.find(|vector| vector.name == wanted).unwrap()
}

fn topic(text: &str) -> Topic<'_> {
    Topic::parse(text).unwrap().unwrap()
}

fn read(births: &mut Births, message: &(String, Vec<u8>)) -> Result<(Outcome, Recorder), Reject> {
    let mut recorder = Recorder::default();
    let outcome = births.read(topic(&message.0), &message.1, &mut recorder)?;
    Ok((outcome, recorder))
}

fn real(name: &str, value: f64) -> Written<'_> {
    Written::new(name, Value::Real(value), NOON)
}

/// A payload of one metric, the metric's fields given in hexadecimal.
fn payload(metric: &str) -> Vec<u8> {
    let metric = unhex(metric);
    let mut out = vec![0x12, u8::try_from(metric.len()).unwrap()];
    out.extend(metric);
    out
}

fn value_of(metric: &str) -> (Owned, Quality) {
    let found = read_all(&Sparkplug, &payload(metric)).unwrap();
    let point = found.records[0][0].clone();
    (point.value, point.quality)
}

#[test]
fn the_birth_vector_reads_with_names_values_and_times() {
    let birth = vector("dbirth_named_metrics");
    let found = read_all(&Sparkplug, &birth.input).unwrap();
    assert_eq!(found.records.len(), 1);
    for metric in birth.expect["metrics"].as_array().unwrap() {
        let point = found
            .found(&name(metric["name"].as_str().unwrap()))
            .unwrap();
        let wanted = match &metric["value"] {
            serde_json::Value::Bool(value) => Owned::Bool(*value),
            serde_json::Value::String(value) => Owned::Text(value.clone()),
            value => Owned::Number(value.as_f64().unwrap()),
        };
        assert_eq!(point.value, wanted);
        assert_eq!(point.time, None, "it is the payload's");
    }
    assert_eq!(
        found.head(&name("timestamp")),
        Some(&Owned::Time(time(1_667_188_800_000).unwrap()))
    );
    assert_eq!(found.head(&name("seq")), Some(&Owned::Whole(0)));
}

#[test]
fn the_data_vector_reads_after_its_birth_and_not_before() {
    let (birth, data) = (
        vector("dbirth_named_metrics"),
        vector("ddata_alias_only_and_null"),
    );
    let refused = read_all(&Sparkplug, &data.input).unwrap_err();
    assert_eq!(refused.reason, QuarantineReason::State);

    let mut births = Births::new(Limits::default());
    let data = (
        data.expect["topic"].as_str().unwrap().to_owned(),
        data.input,
    );
    let refused = read(&mut births, &data).unwrap_err();
    assert_eq!(refused.reason, QuarantineReason::State);
    assert!(births.rebirth_command(topic(&data.0), NOON).is_some());

    let birth = (
        birth.expect["topic"].as_str().unwrap().to_owned(),
        birth.input,
    );
    let mut births = Births::new(Limits::default());
    assert_eq!(read(&mut births, &birth).unwrap().0.effect, Effect::Born);
    let (outcome, found) = read(&mut births, &data).unwrap();
    assert_eq!(outcome.effect, Effect::Data);
    let level = found.found(&name("inputs/level")).unwrap();
    assert_eq!(level.value, Owned::Number(1.5));
    assert_eq!(level.time, time(1_667_188_859_500));
    assert_eq!(
        found.found(&name("inputs/flow")).unwrap().value,
        Owned::Missing
    );
    let heads = [
        ("group", "G"),
        ("node", "N"),
        ("device", "D"),
        ("type", "DDATA"),
    ];
    for (head, value) in heads {
        assert_eq!(found.head(&name(head)), Some(&Owned::Text(value.into())));
    }
}

#[test]
fn numbers_have_the_sign_of_their_datatype_extended_or_not() {
    let good = |value| (value, Quality::GOOD);
    assert_eq!(
        value_of("0A0161 2001 50FF01"),
        good(Owned::Whole(-1)),
        "0xFF as Int8"
    );
    assert_eq!(value_of("0A0161 2001 50FFFFFFFF0F"), good(Owned::Whole(-1)));
    assert_eq!(
        value_of("0A0161 2002 50FEFF03"),
        good(Owned::Whole(-2)),
        "0xFFFE as Int16"
    );
    assert_eq!(value_of("0A0161 2003 50FFFFFFFF0F"), good(Owned::Whole(-1)));
    assert_eq!(
        value_of("0A0161 2003 58FFFFFFFFFFFFFFFFFF01"),
        good(Owned::Whole(-1))
    );
    assert_eq!(
        value_of("0A0161 2004 58FFFFFFFFFFFFFFFFFF01"),
        good(Owned::Whole(-1))
    );
    assert_eq!(
        value_of("0A0161 2007 50FFFFFFFF0F"),
        good(Owned::Whole(4_294_967_295))
    );
    assert_eq!(
        value_of("0A0161 2008 58FFFFFFFFFFFFFFFFFF01"),
        good(Owned::Large(u64::MAX))
    );
    assert_eq!(
        value_of("0A0161 2001 50AC02"),
        (Owned::Whole(300), Quality::OUT_OF_RANGE),
        "300 is no Int8"
    );
}

#[test]
fn other_datatypes_read_as_what_they_are() {
    let value = |metric| value_of(metric).0;
    assert_eq!(
        value("0A0161 200B 5001"),
        Owned::Bool(true),
        "a number as Boolean"
    );
    assert_eq!(
        value("0A0161 200D 58E807"),
        Owned::Time(time(1000).unwrap())
    );
    assert_eq!(
        value_of("0A0161 200D 58FFFFFFFFFFFFFFFFFF01"),
        (Owned::Missing, Quality::OUT_OF_RANGE)
    );
    assert_eq!(
        value("0A0161 2011 820102ABCD"),
        Owned::Bytes(vec![0xAB, 0xCD])
    );
    assert_eq!(
        value("0A0161 200C 7A0261FF"),
        Owned::Text("a\u{FFFD}".into())
    );
    assert_eq!(value("0A0161 2009 6500000040"), Owned::Number(2.0));
    assert_eq!(value("0A0161"), Owned::Missing, "no value at all");
    assert_eq!(
        value("0A0161 3801 5005"),
        Owned::Missing,
        "null beside a value"
    );
}

#[test]
fn data_sets_and_templates_are_stepped_over() {
    let found = read_all(&Sparkplug, &payload("0A0161 2010 8A010108")).unwrap();
    assert_eq!(found.records.len(), 0);
    let found = read_all(&Sparkplug, &payload("0A0161 2013 92010108")).unwrap();
    assert_eq!(found.records.len(), 0);
}

#[test]
fn a_group_and_unknown_fields_are_stepped_over() {
    let group = "A301 0805 A301 A401 A401";
    let found = read_all(&Sparkplug, &payload(&format!("0A0161 {group} 50 05"))).unwrap();
    assert_eq!(found.records[0][0].value, Owned::Whole(5));
    let open = read_all(&Sparkplug, &payload("0A0161 A301 0805")).unwrap_err();
    assert_eq!(open.reason, QuarantineReason::FrameMalformed);
    assert!(open.detail.starts_with("byte 5:"), "{}", open.detail);
}

#[test]
fn quality_is_found_among_the_properties() {
    let quality = |code: &str| {
        let set = format!("0A0141 0A075175616C697479 12021809 1204 0803 18{code}");
        let bytes = unhex(&set).len();
        value_of(&format!("0A0161 4A{bytes:02X} {set} 5005")).1
    };
    let long = |code: &str| {
        let set = format!("0A0141 0A075175616C697479 12021809 1205 0803 18{code}");
        let bytes = unhex(&set).len();
        value_of(&format!("0A0161 4A{bytes:02X} {set} 5005")).1
    };
    assert_eq!(quality("00"), Quality::BAD);
    assert_eq!(quality("40"), Quality::UNCERTAIN);
    assert_eq!(long("C001"), Quality::GOOD);
    assert_eq!(long("F403"), Quality::LAST_USABLE);
    let other = "0A0141 12021809";
    assert_eq!(
        value_of(&format!("0A0161 4A07 {other} 5005")).1,
        Quality::GOOD
    );
}

#[test]
fn arrays_give_a_point_for_each_element() {
    let elements = |metric: &str| {
        let found = read_all(&Sparkplug, &payload(metric)).unwrap();
        let values = found.records.iter().flatten();
        values.map(|found| found.value.clone()).collect::<Vec<_>>()
    };
    let wholes = |values: &[i64]| values.iter().map(|v| Owned::Whole(*v)).collect::<Vec<_>>();
    assert_eq!(elements("0A0161 2016 820102FF01"), wholes(&[-1, 1]));
    assert_eq!(elements("0A0161 2017 820104FFFF0100"), wholes(&[-1, 1]));
    assert_eq!(
        elements("0A0161 201B 820105FFFF010000"),
        wholes(&[65_535, 1]),
        "half an element"
    );
    let bits = [
        false, false, true, true, false, true, false, false, true, true, false, true,
    ];
    assert_eq!(
        elements("0A0161 2020 820106 0C000000 34D0"),
        bits.map(Owned::Bool),
        "the standard's own example"
    );
    assert_eq!(
        elements("0A0161 2021 820106 414243006400"),
        ["ABC", "d"].map(|text| Owned::Text(text.into()))
    );
    assert_eq!(
        elements("0A0161 201D 820108 FFFFFFFFFFFFFFFF"),
        [Owned::Large(u64::MAX)]
    );
    assert_eq!(elements("0A0161 2020 820104 FFFFFFFF"), []);
}

#[test]
fn historical_metrics_are_records_of_their_own() {
    let old = |name, value, ms| Written {
        is_historical: true,
        at: UnixNanos(ms * MS),
        ..real(name, value)
    };
    let mut node = EdgeNode::new("G", "N");
    let metrics = [
        old("a", 1.0, 10),
        real("a", 2.0),
        old("b", 3.0, 10),
        old("a", 4.0, 20),
    ];
    let message = node.data(None, NOON, &metrics).unwrap();
    let found = read_all(&Sparkplug, &message.1).unwrap();
    let marks: Vec<_> = found
        .records
        .iter()
        .map(|record| (record.len(), record[0].key == name("historical")))
        .collect();
    assert_eq!(marks, [(1, false), (3, true), (2, true)]);
    assert_eq!(found.records[1][2].time, time(10));
    assert_eq!(found.records[2][1].time, time(20));
}

#[test]
fn a_name_that_stands_twice_begins_another_record() {
    let mut node = EdgeNode::new("G", "N");
    let message = node
        .data(
            None,
            NOON,
            &[real("a", 1.0), real("b", 2.0), real("a", 3.0)],
        )
        .unwrap();
    let found = read_all(&Sparkplug, &message.1).unwrap();
    assert_eq!(
        found.records.iter().map(Vec::len).collect::<Vec<_>>(),
        [2, 1]
    );
}

#[test]
fn topics_are_taken_apart_or_refused() {
    let parsed = topic("spBv1.0/G 1/DDATA/N/D");
    assert_eq!(
        (parsed.group, parsed.node, parsed.device),
        ("G 1", "N", Some("D"))
    );
    assert_eq!(parsed.to_string(), "spBv1.0/G 1/DDATA/N/D");
    for ignored in ["STATE/scada", "spBv1.0/STATE/scada"] {
        assert_eq!(Topic::parse(ignored), Ok(None));
    }
    let bad = [
        "",
        "spAv1.0/G/NDATA/N",
        "spBv1.0/G/NDATA/N/D",
        "spBv1.0/G/DDATA/N",
        "spBv1.0/G/DDATA/N/D/E",
        "spBv1.0/G/XDATA/N",
        "spBv1.0//NDATA/N",
        "spBv1.0/G/DDATA/N/",
        "spBv1.0/+/NDATA/N",
        "spBv1.0",
    ];
    for topic in bad {
        let reason = Topic::parse(topic).unwrap_err().reason;
        assert_eq!(reason, QuarantineReason::DeviceId, "{topic}");
    }
}

#[test]
fn keys_are_whole_names() {
    assert_eq!(name("inputs/level").as_key(), Key::Name("inputs/level"));
    for wrong in ["", "/a", "a/", "a//b"] {
        assert!(Sparkplug.clone().key(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_gap_makes_aliases_unknown_and_a_rebirth_wanted_at_most_so_often() {
    let mut births = Births::new(Limits::default());
    let mut node = EdgeNode::new("G", "N");
    let birth = node.nbirth(NOON, &[real("a", 1.0)], 1).unwrap();
    assert!(!read(&mut births, &birth).unwrap().0.is_rebirth_wanted);
    assert_eq!(births.rebirth_command(topic(&birth.0), NOON), None);
    let _lost = node.data(None, NOON, &[real("a", 2.0)]).unwrap();
    let data = node.data(None, NOON, &[real("a", 3.0)]).unwrap();
    let refused = read(&mut births, &data).unwrap_err();
    assert_eq!(refused.reason, QuarantineReason::State);

    let command = births.rebirth_command(topic(&data.0), NOON).unwrap();
    assert_eq!(command.topic, "spBv1.0/G/NCMD/N");
    let found = read_all(&Sparkplug, &command.payload).unwrap();
    let rebirth = found.found(&name("Node Control/Rebirth")).unwrap();
    assert_eq!(rebirth.value, Owned::Bool(true));
    assert_eq!(found.head(&name("seq")), None, "commands have none");
    let soon = UnixNanos(NOON.0 + 59_999 * MS);
    assert_eq!(births.rebirth_command(topic(&data.0), soon), None);
    let late = UnixNanos(NOON.0 + 60_000 * MS);
    assert!(births.rebirth_command(topic(&data.0), late).is_some());

    let birth = node.nbirth(NOON, &[real("a", 1.0)], 1).unwrap();
    assert!(!read(&mut births, &birth).unwrap().0.is_rebirth_wanted);
    let data = node.data(None, NOON, &[real("a", 3.0)]).unwrap();
    assert!(read(&mut births, &data).is_ok());
}

#[test]
fn names_are_read_across_a_gap() {
    let mut births = Births::new(Limits::default());
    let mut node = EdgeNode::new("G", "N");
    read(
        &mut births,
        &node.nbirth(NOON, &[real("a", 1.0)], 1).unwrap(),
    )
    .unwrap();
    let _lost = node.data(None, NOON, &[]).unwrap();
    let data = node.data(None, NOON, &[real("b", 3.0)]).unwrap();
    let (outcome, found) = read(&mut births, &data).unwrap();
    assert!(outcome.is_rebirth_wanted);
    assert_eq!(found.records.len(), 1);
}

#[test]
fn nodes_with_fixed_aliases_may_be_believed_across_a_gap() {
    let keep = Limits {
        gaps: SparkplugGaps::Keep,
        ..Limits::default()
    };
    let ignore = Limits {
        gaps: SparkplugGaps::Ignore,
        ..Limits::default()
    };
    for (limits, is_wanted) in [(keep, true), (ignore, false)] {
        let mut births = Births::new(limits);
        let mut node = EdgeNode::new("G", "N");
        read(
            &mut births,
            &node.nbirth(NOON, &[real("a", 1.0)], 1).unwrap(),
        )
        .unwrap();
        let _lost = node.data(None, NOON, &[]).unwrap();
        let data = node.data(None, NOON, &[real("a", 3.0)]).unwrap();
        assert_eq!(
            read(&mut births, &data).unwrap().0.is_rebirth_wanted,
            is_wanted
        );
    }
}

#[test]
fn the_sequence_wraps_after_255() {
    let mut births = Births::new(Limits::default());
    let mut node = EdgeNode::new("G", "N");
    read(
        &mut births,
        &node.nbirth(NOON, &[real("a", 1.0)], 1).unwrap(),
    )
    .unwrap();
    for _ in 0..600 {
        let data = node.data(None, NOON, &[real("a", 3.0)]).unwrap();
        assert!(!read(&mut births, &data).unwrap().0.is_rebirth_wanted);
    }
}

#[test]
fn a_death_forgets_and_a_late_one_does_not() {
    let mut births = Births::new(Limits::default());
    let mut node = EdgeNode::new("G", "N");
    read(
        &mut births,
        &node.nbirth(NOON, &[real("a", 1.0)], 1).unwrap(),
    )
    .unwrap();
    let late = node.ndeath(NOON).unwrap();
    node.reconnect();
    read(
        &mut births,
        &node.nbirth(NOON, &[real("b", 1.0)], 1).unwrap(),
    )
    .unwrap();
    assert_eq!(
        read(&mut births, &late).unwrap().0.effect,
        Effect::DiedBefore
    );
    let data = node.data(None, NOON, &[real("b", 2.0)]).unwrap();
    assert!(
        read(&mut births, &data)
            .unwrap()
            .1
            .found(&name("b"))
            .is_some()
    );

    read(
        &mut births,
        &node.dbirth("D", NOON, &[real("c", 1.0)], 7).unwrap(),
    )
    .unwrap();
    let death = node.ndeath(NOON).unwrap();
    assert_eq!(read(&mut births, &death).unwrap().0.effect, Effect::Died);
    let data = node.data(Some("D"), NOON, &[real("c", 2.0)]).unwrap();
    let refused = read(&mut births, &data).unwrap_err();
    assert_eq!(
        refused.reason,
        QuarantineReason::State,
        "the device died with its node"
    );
}

#[test]
fn a_device_dies_alone() {
    let mut births = Births::new(Limits::default());
    let mut node = EdgeNode::new("G", "N");
    read(
        &mut births,
        &node.nbirth(NOON, &[real("a", 1.0)], 1).unwrap(),
    )
    .unwrap();
    read(
        &mut births,
        &node.dbirth("D", NOON, &[real("a", 1.0)], 7).unwrap(),
    )
    .unwrap();
    let death = node.ddeath("D", NOON);
    assert_eq!(read(&mut births, &death).unwrap().0.effect, Effect::Died);
    let data = node.data(Some("D"), NOON, &[real("a", 2.0)]).unwrap();
    assert!(read(&mut births, &data).is_err());
    let data = node.data(None, NOON, &[real("a", 2.0)]).unwrap();
    assert!(read(&mut births, &data).is_ok());
}

#[test]
fn data_leaves_the_datatype_to_the_birth() {
    let mut births = Births::new(Limits::default());
    let birth = (
        "spBv1.0/G/NBIRTH/N".to_owned(),
        payload("0A0161 1001 2003 5000"),
    );
    read(&mut births, &birth).unwrap();
    let by_alias = (
        "spBv1.0/G/NDATA/N".to_owned(),
        [vec![0x18, 1], payload("1001 50FFFFFFFF0F")].concat(),
    );
    let (_, found) = read(&mut births, &by_alias).unwrap();
    assert_eq!(found.records[0][0].value, Owned::Whole(-1));
    let by_name = (
        "spBv1.0/G/NDATA/N".to_owned(),
        [vec![0x18, 2], payload("0A0161 50FFFFFFFF0F")].concat(),
    );
    let (_, found) = read(&mut births, &by_name).unwrap();
    assert_eq!(found.records[0][0].value, Owned::Whole(-1));
    let unborn = read_all(&Sparkplug, &by_name.1).unwrap_err();
    assert_eq!(unborn.reason, QuarantineReason::State);
}

#[test]
fn an_alias_of_two_names_or_of_another_datatype_means_nothing() {
    let mut births = Births::new(Limits::default());
    let twice = [
        payload("0A0161 1001 2003 5000"),
        payload("0A0162 1001 2003 5000"),
    ]
    .concat();
    read(&mut births, &("spBv1.0/G/NBIRTH/N".to_owned(), twice)).unwrap();
    let data = [vec![0x18, 1], payload("1001 5005")].concat();
    assert!(read(&mut births, &("spBv1.0/G/NDATA/N".to_owned(), data)).is_err());

    let once = payload("0A0161 1001 2003 5000");
    for other in ["1001 2008 5005", "1001 7A0161"] {
        read(
            &mut births,
            &("spBv1.0/G/NBIRTH/N".to_owned(), once.clone()),
        )
        .unwrap();
        let data = [vec![0x18, 1], payload(other)].concat();
        let refused = read(&mut births, &("spBv1.0/G/NDATA/N".to_owned(), data)).unwrap_err();
        assert_eq!(refused.reason, QuarantineReason::State);
    }
}

#[test]
fn a_birth_that_cannot_be_read_leaves_no_trust_behind() {
    let mut births = Births::new(Limits::default());
    let mut node = EdgeNode::new("G", "N");
    let birth = node.nbirth(NOON, &[real("a", 1.0)], 1).unwrap();
    for end in 0..birth.1.len() {
        read(&mut births, &birth).unwrap();
        let cut = (birth.0.clone(), birth.1[..end].to_vec());
        let was_read = read(&mut births, &cut).is_ok();
        let data = node.data(None, NOON, &[real("a", 2.0)]).unwrap();
        let is_known = read(&mut births, &data).is_ok();
        assert!(!is_known || was_read, "{end}");
        node.nbirth(NOON, &[real("a", 1.0)], 1).unwrap();
    }
}

#[test]
fn what_is_remembered_is_bounded_and_the_least_recent_goes_first() {
    let limits = Limits {
        nodes_max: 3,
        scopes_max: 4,
        ..Limits::default()
    };
    let mut births = Births::new(limits);
    let mut nodes: Vec<_> = (0..6).map(|n| EdgeNode::new("G", &n.to_string())).collect();
    for node in &mut nodes {
        read(
            &mut births,
            &node.nbirth(NOON, &[real("a", 1.0)], 1).unwrap(),
        )
        .unwrap();
        read(
            &mut births,
            &node.dbirth("D", NOON, &[real("a", 1.0)], 7).unwrap(),
        )
        .unwrap();
    }
    assert_eq!(births.scopes(), 4);
    let mut is_known = |node: usize| {
        let data = nodes[node]
            .data(Some("D"), NOON, &[real("a", 2.0)])
            .unwrap();
        read(&mut births, &data).is_ok()
    };
    assert!(is_known(5) && is_known(4), "the two last ones");
    assert!(!(0..4).any(is_known));
}

#[test]
fn bytes_and_metrics_are_bounded() {
    let limits = Limits {
        bytes_max: 2_000,
        metrics_max: 10,
        ..Limits::default()
    };
    let mut births = Births::new(limits);
    for node in 0..100 {
        let mut node = EdgeNode::new("G", &node.to_string());
        read(
            &mut births,
            &node.nbirth(NOON, &[real("a", 1.0)], 1).unwrap(),
        )
        .unwrap();
        assert!(births.bytes() <= 2_000);
    }
    assert!(births.scopes() > 2);
    let mut node = EdgeNode::new("G", "N");
    let names: Vec<_> = (0..11).map(|n| format!("metric {n}")).collect();
    let metrics: Vec<_> = names.iter().map(|name| real(name, 1.0)).collect();
    let birth = node.nbirth(NOON, &metrics, 1).unwrap();
    assert_eq!(
        read(&mut births, &birth).unwrap_err().reason,
        QuarantineReason::TooLarge
    );
}

#[test]
fn vectors_cut_short_or_with_a_bit_turned_never_panic() {
    let birth = vector("dbirth_named_metrics");
    a_cut_payload_gives_a_beginning_of_the_whole(&birth.input);
    // Protobuf has no check: what is read differently is all there is to see.
    bit_flips(&Sparkplug, &birth.input, |_, _| true);
    let data = vector("ddata_alias_only_and_null");
    let mut births = Births::new(Limits::default());
    for bit in 0..data.input.len() * 8 {
        let mut spoilt = data.input.clone();
        spoilt[bit / 8] ^= 1 << (bit % 8);
        births
            .read(
                topic("spBv1.0/G/DBIRTH/N/D"),
                &birth.input,
                &mut Recorder::default(),
            )
            .unwrap();
        let mut recorder = Recorder::default();
        let read = births.read(topic("spBv1.0/G/DDATA/N/D"), &spoilt, &mut recorder);
        assert!(read.is_ok() || births.scopes() == 1);
    }
}

/// A sink that refuses whatever it is given.
struct Refusing;

impl Sink for Refusing {
    fn head(&mut self, _key: Key<'_>, _value: Value<'_>) -> Result<(), Reject> {
        Ok(())
    }

    fn point(&mut self, _point: Point<'_>) -> Result<(), Reject> {
        Err(Reject::new(QuarantineReason::Unit, "refused"))
    }

    fn end_record(&mut self) -> Result<(), Reject> {
        Ok(())
    }
}

#[test]
fn a_birth_whose_values_are_refused_still_names_aliases() {
    let mut births = Births::new(Limits::default());
    let mut node = EdgeNode::new("G", "N");
    let birth = node.nbirth(NOON, &[real("a", 1.0)], 1).unwrap();
    let refused = births.read(topic(&birth.0), &birth.1, &mut Refusing);
    assert_eq!(refused.unwrap_err().reason, QuarantineReason::Unit);
    let data = node.data(None, NOON, &[real("a", 2.0)]).unwrap();
    let (outcome, found) = read(&mut births, &data).unwrap();
    assert!(!outcome.is_rebirth_wanted);
    assert!(found.found(&name("a")).is_some());
}

#[test]
fn commands_on_their_way_to_a_node_are_let_be() {
    let mut births = Births::new(Limits::default());
    let command = ("spBv1.0/G/NCMD/N".to_owned(), command::rebirth(NOON));
    let (outcome, found) = read(&mut births, &command).unwrap();
    assert_eq!(
        (outcome.effect, outcome.is_rebirth_wanted),
        (Effect::Command, false)
    );
    assert!(found.records.is_empty() && found.heads.is_empty());
}

/// A cut between two metrics is a payload of fewer metrics: protobuf has no end mark.
fn a_cut_payload_gives_a_beginning_of_the_whole(payload: &[u8]) {
    let whole = read_all(&Sparkplug, payload).unwrap();
    for end in 1..payload.len() {
        if let Ok(part) = read_all(&Sparkplug, &payload[..end]) {
            let found = part.records.concat();
            assert_eq!(found, whole.records[0][..found.len()], "{end}");
        }
    }
}

fn values() -> impl Strategy<Value = Owned> {
    prop_oneof![
        Just(Owned::Missing),
        any::<bool>().prop_map(Owned::Bool),
        any::<i64>().prop_map(Owned::Whole),
        (1_u64 << 63..).prop_map(Owned::Large),
        (-1e9..1e9).prop_map(Owned::Number),
        ".{0,20}".prop_map(Owned::Text),
        vec(any::<u8>(), 0..20).prop_map(Owned::Bytes),
        (1_u64..1 << 40).prop_map(|ms| Owned::Time(time(ms).unwrap())),
    ]
}

fn borrowed(value: &Owned) -> Value<'_> {
    match value {
        Owned::Missing => Value::Missing,
        Owned::Bool(value) => Value::Bool(*value),
        Owned::Whole(value) => Value::Whole(*value),
        Owned::Large(value) => Value::Large(*value),
        Owned::Number(value) => Value::Real(*value),
        Owned::Text(value) => Value::Text(value),
        Owned::Bytes(value) => Value::Bytes(value),
        Owned::Time(value) => Value::Time(*value),
    }
}

/// What becomes of a message on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Arrives,
    Lost,
}

/// What a simulated node does next.
#[derive(Debug, Clone)]
enum Step {
    /// A new session with aliases from another number; its death comes first, or late if the birth is not lost.
    Reconnect {
        first_alias: u64,
        is_death_late: bool,
    },
    /// A device comes with other aliases.
    Device {
        device: usize,
        first_alias: u64,
    },
    DeviceDeath(usize),
    Data {
        device: Option<usize>,
        metrics: Vec<usize>,
    },
}

fn steps() -> impl Strategy<Value = Vec<(Step, Fate)>> {
    let step = prop_oneof![
        1 => (1_u64..6, any::<bool>()).prop_map(|(first_alias, is_death_late)| Step::Reconnect { first_alias, is_death_late }),
        2 => (0_usize..2, 1_u64..9).prop_map(|(device, first_alias)| Step::Device { device, first_alias }),
        1 => (0_usize..2).prop_map(Step::DeviceDeath),
        8 => (proptest::option::of(0_usize..2), vec(0_usize..5, 1..4)).prop_map(|(device, metrics)| Step::Data { device, metrics }),
    ];
    let fate = prop_oneof![4 => Just(Fate::Arrives), 1 => Just(Fate::Lost)];
    vec((step, fate), 1..120)
}

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
const DEVICES: [&str; 2] = ["D0", "D1"];

/// Every metric's value is its name, so that a wrong name shows.
fn told(name: &'static str) -> Written<'static> {
    Written::new(name, Value::Text(name), NOON)
}

struct Peers {
    node: EdgeNode,
    births: Births,
    read: usize,
}

impl Peers {
    /// A message that arrives: every point must have its own name.
    fn deliver(&mut self, message: &(String, Vec<u8>)) -> Result<(), TestCaseError> {
        let mut recorder = Recorder::default();
        match self
            .births
            .read(topic(&message.0), &message.1, &mut recorder)
        {
            Ok(_) => self.read += 1,
            Err(reject) => prop_assert_eq!(reject.reason, QuarantineReason::State),
        }
        for found in recorder.records.iter().flatten() {
            if let Owned::Text(text) = &found.value {
                prop_assert_eq!(&found.key, &name(text));
            }
        }
        Ok(())
    }

    fn step(&mut self, step: &Step, fate: Fate) -> Result<(), TestCaseError> {
        let all = NAMES.map(told);
        let message = match step {
            Step::Reconnect {
                first_alias,
                is_death_late,
            } => {
                let death = self.node.ndeath(NOON).unwrap();
                let is_late = *is_death_late && fate == Fate::Arrives;
                if !is_late {
                    self.deliver(&death)?;
                }
                self.node.reconnect();
                let birth = self.node.nbirth(NOON, &all, *first_alias).unwrap();
                if is_late {
                    self.deliver(&birth)?;
                    return self.deliver(&death);
                }
                birth
            }
            Step::Device {
                device,
                first_alias,
            } => self
                .node
                .dbirth(DEVICES[*device], NOON, &all, *first_alias)
                .unwrap(),
            Step::DeviceDeath(device) => self.node.ddeath(DEVICES[*device], NOON),
            Step::Data { device, metrics } => {
                let metrics: Vec<_> = metrics.iter().map(|metric| all[*metric]).collect();
                self.node
                    .data(device.map(|device| DEVICES[device]), NOON, &metrics)
                    .unwrap()
            }
        };
        match fate {
            Fate::Lost => Ok(()),
            Fate::Arrives => self.deliver(&message),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_alias_ever_reads_as_a_wrong_name(steps in steps()) {
        let mut peers = Peers {
            node: EdgeNode::new("G", "N"),
            births: Births::new(Limits::default()),
            read: 0,
        };
        for (step, fate) in &steps {
            peers.step(step, *fate)?;
        }
        // And it heals: after a birth that arrives, everything is read.
        peers.step(&Step::Reconnect { first_alias: 3, is_death_late: false }, Fate::Arrives)?;
        let before = peers.read;
        peers.step(&Step::Data { device: None, metrics: vec![0, 1] }, Fate::Arrives)?;
        prop_assert_eq!(peers.read, before + 1);
    }

    #[test]
    fn the_least_recently_used_goes_first(uses in vec((0_usize..8, 0_usize..4), 1..60)) {
        let mut recent = Recent::default();
        // The same as a plain list, the oldest first.
        let mut model: Vec<(String, usize)> = Vec::new();
        for (turn, (name, what)) in uses.into_iter().enumerate() {
            let name = name.to_string();
            let place = model.iter().position(|(known, _)| *known == name);
            let before = place.map(|place| model.remove(place));
            let value = before.as_ref().map(|before| before.1);
            match what {
                0 => {
                    prop_assert_eq!(recent.remove(&name), value);
                }
                1 => {
                    prop_assert_eq!(recent.insert(&name, turn), value);
                    model.push((name, turn));
                }
                2 => {
                    prop_assert_eq!(recent.touch(&name).copied(), value);
                    model.extend(before);
                }
                _ => {
                    if let (Some(place), Some(before)) = (place, before) {
                        model.insert(place, before);
                    }
                    let oldest = (!model.is_empty()).then(|| model.remove(0).1);
                    prop_assert_eq!(recent.pop_oldest(), oldest);
                }
            }
            prop_assert_eq!(recent.len(), model.len());
        }
    }

    #[test]
    fn what_is_written_reads_back(values in vec(("[a-z]{1,8}/[a-z]{1,8}", values()), 1..20)) {
        let mut values = values;
        values.sort_by(|a, b| a.0.cmp(&b.0));
        values.dedup_by(|a, b| a.0 == b.0);
        let points: Vec<_> = values
            .iter()
            .map(|(key, value)| (name(key), borrowed(value)))
            .collect();
        let report = Report { address: "", at: NOON, east_s: 0, serial: 7, points: &points };
        let payload = Sparkplug.encode(&report).unwrap();
        let found = read_all(&Sparkplug, &payload).unwrap();
        prop_assert_eq!(found.records.len(), 1);
        for (point, found) in points.iter().zip(&found.records[0]) {
            prop_assert_eq!(&point.0, &found.key);
            prop_assert_eq!(Owned::from(point.1), found.value.clone());
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200), kind in 0_usize..6) {
        let kinds = ["NBIRTH/N", "NDATA/N", "NDEATH/N", "DBIRTH/N/D", "DDATA/N/D", "DDEATH/N/D"];
        let text = format!("spBv1.0/G/{}", kinds[kind]);
        let mut births = Births::new(Limits::default());
        let first = births.read(topic(&text), &bytes, &mut Recorder::default());
        let again = read_all(&Sparkplug, &bytes);
        prop_assert!(first.is_ok() || births.scopes() <= 1);
        drop(again);
    }
}

#[test]
fn a_message_that_comes_again_is_no_gap() {
    let (mut node, mut births) = (EdgeNode::new("G", "N"), Births::new(Limits::default()));
    let metrics = [real("a", 1.0), real("b", 2.0)];
    read(&mut births, &node.nbirth(NOON, &metrics, 7).unwrap()).unwrap();
    let first = node.data(None, NOON, &metrics[..1]).unwrap();
    let second = node.data(None, NOON, &metrics[1..]).unwrap();
    for message in [&first, &first, &second, &second, &second] {
        let (outcome, found) = read(&mut births, message).unwrap();
        assert!(!outcome.is_rebirth_wanted);
        assert_eq!(found.records.len(), 1);
    }
    assert!(
        births
            .rebirth_command(topic("spBv1.0/G/NDATA/N"), NOON)
            .is_none()
    );
    // One of before is.
    read(&mut births, &first).unwrap_err();
    assert!(
        births
            .rebirth_command(topic("spBv1.0/G/NDATA/N"), NOON)
            .is_some()
    );
}
