//! Every embedded profile reads what its inverse writes.
//!
//! The rule of comparison: codes, truth values and texts come back exactly, and so do integers but where the wire counts in
//! steps of several. A number comes back exactly where the format can say it; otherwise as the nearest number that the
//! format can say: what came back comes back again when it is written, a number just nearer on the other side does not
//! come back as anything nearer, and the way to it is at most a hundredth of the class's range.

use std::collections::BTreeSet;

use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use serde_json::Value as Json;

use super::{
    super::{
        super::{
            class::{Class, Field, FieldKind},
            classes::Classes,
            memory::Memory,
            payload::{Encoded, Limits},
            render,
        },
        Profile, Profiles, Report,
    },
    Intended, Intent, Inverse, Sent, Unsayable,
};
use crate::domain::UnixNanos;

const SEED: u64 = 226;
const ROUNDS: usize = 8;
/// What conversions may cost in the last digit of a double.
const LAST_DIGIT: f64 = 1e-14;
/// Part of the range that the way to the nearest number may have.
const COARSEST: f64 = 0.01;
/// 2024-01-23T11:31:40.25+08:00.
const AT: UnixNanos = UnixNanos(1_705_980_700_250_000_000);
const LIMITS: Limits = Limits {
    readings_per_payload_max: 256,
    reading_bytes_max: 64 * 1024,
    skew_max: std::time::Duration::from_secs(u32::MAX as u64),
};
/// Ids that devices of the formats have: digits of meters, stations and terminals, a VIN, names.
const DEVICES: [&str; 10] = [
    "pole-17",
    "000000000017",
    "0000000017",
    "00000000000017",
    "0000000000000017",
    "00000017",
    "LSVAU2A37N2012345",
    "000000640017.0101.00010001",
    "000017",
    "17",
];

type Wishes = Vec<(u32, Intended)>;

struct Bench<'p> {
    classes: &'p Classes,
    class: &'p Class,
    profile: &'p Profile,
    inverse: Inverse<'p>,
    memory: Memory,
    device: &'static str,
}

/// What a payload gave: values of all its readings, and their times.
struct Found {
    values: serde_json::Map<String, Json>,
    devices: Vec<String>,
    times: Vec<UnixNanos>,
}

impl<'p> Bench<'p> {
    fn new(classes: &'p Classes, class: &'p Class, profile: &'p Profile) -> Self {
        Self {
            classes,
            class,
            profile,
            inverse: Inverse::new(profile, classes),
            memory: Memory::of_devices(16),
            device: DEVICES[0],
        }
    }

    fn fields(&self) -> Vec<&'p Field> {
        let numbers = self.inverse.fields(self.class.id());
        let fields = self.class.fields().iter();
        fields.filter(|f| numbers.contains(&f.number)).collect()
    }

    fn intent<'a>(&self, values: &'a [(u32, Intended)]) -> Intent<'a>
    where
        'p: 'a,
    {
        Intent {
            class: self.class.id(),
            device: self.device,
            observed_at: AT,
            serial: 7,
            values,
        }
    }

    fn write(&mut self, values: &[(u32, Intended)]) -> Result<Sent, Unsayable> {
        let intent = self.intent(values);
        self.inverse.write(&intent)
    }

    /// A device and wishes that the format can say: numbers that it has no room for are halved, texts take other shapes.
    fn settle(&mut self, wishes: &mut Wishes) -> Result<Sent, String> {
        let mut faults = BTreeSet::new();
        let own = DEVICES.iter().position(|device| *device == self.device);
        for device in DEVICES
            .iter()
            .cycle()
            .skip(own.unwrap())
            .take(DEVICES.len())
        {
            self.device = *device;
            for _ in 0..400 {
                let why = match self.write(wishes) {
                    Ok(sent) => return Ok(sent),
                    Err(why) => why,
                };
                let named = self.class.fields().iter().find(|f| f.name == why.of);
                let mut wishes = wishes.iter_mut();
                let wish = wishes.find(|(number, _)| named.is_some_and(|f| f.number == *number));
                if !wish.is_some_and(|(_, wish)| other(wish)) {
                    faults.insert(format!("{device}: {}: {}", why.of, why.why));
                    break;
                }
            }
        }
        Err(faults.into_iter().collect::<Vec<_>>().join("; "))
    }

    fn read(&self, sent: &Sent) -> Result<Found, String> {
        let topic = format!(
            "v1/{}/{}/{}",
            self.class.id(),
            self.device,
            sent.topic_suffix
        );
        let report = Report {
            topic: &topic,
            canonical: Some((self.class.id(), self.device)),
            publisher: Some((self.class.id(), self.device)),
            bytes: &sent.bytes,
            received_at: UnixNanos(AT.0 + 1_000_000_000),
            attributes: &[],
            memory: Some(&self.memory),
            may_report: &|_, _| true,
        };
        let mut out = Encoded::default();
        let outcome = self
            .profile
            .read(&report, (self.classes, &LIMITS), &mut out);
        if let Some(unread) = outcome.unread.first() {
            return Err(format!("{:?}", unread.reject));
        }
        let mut found = Found {
            values: serde_json::Map::new(),
            devices: Vec::new(),
            times: Vec::new(),
        };
        for reading in render::readings(self.classes, &out.bytes).unwrap() {
            for (name, said) in reading["values"].as_object().into_iter().flatten() {
                if let Some(value) = said.get("value") {
                    found.values.insert(name.clone(), value.clone());
                }
            }
            found
                .devices
                .push(reading["device_id"].as_str().unwrap().to_owned());
            if reading["time_source"] == "device" {
                let text = reading["observed_at"].as_str().unwrap();
                found
                    .times
                    .push(super::super::super::time::from_text(text).unwrap());
            }
        }
        Ok(found)
    }

    /// What a number among the others comes back as.
    fn number(&mut self, wishes: &Wishes, field: &Field, value: f64) -> Result<f64, String> {
        let mut wishes = wishes.clone();
        for (number, wish) in &mut wishes {
            if *number == field.number {
                *wish = Intended::Number(value);
            }
        }
        let sent = self.write(&wishes).map_err(|why| why.to_string())?;
        let found = self.read(&sent)?;
        let value = found.values.get(&field.name).and_then(as_number);
        value.ok_or_else(|| "it does not come back".to_owned())
    }

    /// Whether a number came back as near as the format can say it.
    fn is_nearest(
        &mut self,
        wishes: &Wishes,
        field: &Field,
        (wished, found): (f64, f64),
    ) -> Result<(), String> {
        if is_same(wished, found) {
            return Ok(());
        }
        let way = (wished - found).abs();
        if way > span(field) * COARSEST {
            return Err(format!("{wished} comes back as {found}"));
        }
        let again = self.number(wishes, field, found)?;
        if !is_same(again, found) {
            return Err(format!("{found} comes back as {again}"));
        }
        if matches!(field.kind, FieldKind::Signed | FieldKind::Unsigned) {
            return Ok(());
        }
        let mirrored = wished + (wished - found) * 0.98;
        let other = self.number(wishes, field, mirrored).unwrap_or(found);
        if (other - wished).abs() < way && !is_same(other, found) {
            return Err(format!("{wished} comes back as {found}, {other} is nearer"));
        }
        Ok(())
    }
}

/// Another wish in place of one that the format cannot say; false if there is none.
fn other(wish: &mut Intended) -> bool {
    match wish {
        Intended::Number(number) if number.abs() >= 0.002 => {
            *number = if number.fract() == 0.0 {
                (*number / 2.0).trunc()
            } else {
                (*number * 500.0).round() / 1_000.0
            };
            true
        }
        // Some formats have no sign.
        Intended::Number(number) if *number < 0.0 => {
            *number = 12.0;
            true
        }
        Intended::Text(text) => {
            let shapes = ["K17", "24E124126C130017", "0100002A", "川A07213"];
            let at = shapes.iter().position(|shape| shape == text);
            let next = shapes.get(at.map_or(0, |at| at + 1));
            next.inspect(|next| (**next).clone_into(text)).is_some()
        }
        _ => false,
    }
}

fn is_same(a: f64, b: f64) -> bool {
    (a - b).abs() <= a.abs() * LAST_DIGIT
}

fn span(field: &Field) -> f64 {
    field.max.unwrap_or(1_000.0) - field.min.unwrap_or(0.0)
}

fn as_number(value: &Json) -> Option<f64> {
    value
        .as_f64()
        .or_else(|| value.as_str().and_then(|text| text.parse().ok()))
}

fn wished(bench: &Bench<'_>, field: &Field, rng: &mut SmallRng, round: usize) -> Intended {
    if let Some(choices) = bench.inverse.choices(bench.class.id(), field.number) {
        return choices[rng.random_range(0..choices.len())].clone();
    }
    let min = field.min.unwrap_or(0.0);
    let width = bench.inverse.width(bench.class.id(), field.number);
    let max = width.map_or(f64::MAX, |width| 2_f64.powi(i32::from(width)) - 1.0);
    let max = max.min(min + span(field));
    let value = min + (max - min) * rng.random_range(0.05..0.95);
    match &field.kind {
        // As devices show it, and with more digits than most formats have.
        FieldKind::Double | FieldKind::Float => {
            let places = if round.is_multiple_of(2) { 1 } else { 6 };
            let power = 10_f64.powi(places);
            Intended::Number((value * power).round() / power)
        }
        FieldKind::Signed | FieldKind::Unsigned => Intended::Number(value.min(1e15).round()),
        FieldKind::Bool => Intended::Bool(rng.random()),
        FieldKind::Text => Intended::Text(format!("K{}", rng.random_range(10..99))),
        FieldKind::Enum(codes) => Intended::Code(codes[rng.random_range(0..codes.len())].number),
    }
}

fn shown(field: &Field, value: &Intended) -> Json {
    match (value, &field.kind) {
        (Intended::Number(number), _) => (*number).into(),
        (Intended::Bool(value), _) => (*value).into(),
        (Intended::Text(text), _) => text.as_str().into(),
        (Intended::Code(number), FieldKind::Enum(codes)) => {
            let code = codes.iter().find(|code| code.number == *number).unwrap();
            code.code.as_str().into()
        }
        (Intended::Code(number), _) => (*number).into(),
    }
}

/// How numbers are compared.
#[derive(Clone, Copy, PartialEq)]
enum Rule {
    Nearest,
    /// Within a hundredth of the range.
    Near,
}

/// What of a payload does not come back as it should.
fn compare(bench: &mut Bench<'_>, wishes: &Wishes, (sent, rule): (&Sent, Rule)) -> Vec<String> {
    let found = match bench.read(sent) {
        Ok(found) => found,
        Err(why) => return vec![format!("{why}: {}", hex::encode(&sent.bytes))],
    };
    let mut faults = Vec::new();
    if found.devices.iter().any(|device| device != bench.device) || found.devices.is_empty() {
        faults.push(format!("device {}: {:?}", bench.device, found.devices));
    }
    let is_far = |at: &UnixNanos| at.0.abs_diff(AT.0) >= 60_000_000_000;
    if found.times.iter().any(is_far) {
        faults.push(format!("time: {:?}", found.times));
    }
    for (number, wish) in wishes.iter().filter(|(n, _)| !sent.yielded.contains(n)) {
        let class = bench.class;
        let field = class.fields().iter().find(|f| f.number == *number).unwrap();
        let Some(value) = found.values.get(&field.name) else {
            faults.push(format!(
                "{}: {wish:?} does not come back: {}",
                field.name,
                hex::encode(&sent.bytes)
            ));
            continue;
        };
        let outcome = match (wish, as_number(value)) {
            (Intended::Number(wished), Some(found)) if rule == Rule::Nearest => {
                bench.is_nearest(wishes, field, (*wished, found))
            }
            (Intended::Number(wished), Some(found)) => {
                let is_near = (wished - found).abs() <= span(field) * COARSEST;
                is_near
                    .then_some(())
                    .ok_or_else(|| format!("{wished} comes back as {found}"))
            }
            (wish, _) if *value == shown(field, wish) => Ok(()),
            _ => Err(format!("{wish:?} comes back as {value}")),
        };
        faults.extend(outcome.err().map(|why| format!("{}: {why}", field.name)));
    }
    faults
}

/// All rounds of one class of a profile; the faults of the first round that has any, and what yielded.
fn rounds(bench: &mut Bench<'_>, yielded: &mut BTreeSet<String>) -> Vec<String> {
    let mut rng = SmallRng::seed_from_u64(SEED);
    for number in 0..ROUNDS {
        let fields = bench.fields();
        let mut wishes: Wishes = fields
            .iter()
            .map(|field| (field.number, wished(bench, field, &mut rng, number)))
            .collect();
        let sent = match bench.settle(&mut wishes) {
            Ok(sent) => sent,
            Err(why) => return vec![why],
        };
        let names = fields.iter().filter(|f| sent.yielded.contains(&f.number));
        yielded.extend(names.map(|field| format!("{}: {}", bench.profile.id(), field.name)));
        let mut faults = compare(bench, &wishes, (&sent, Rule::Nearest));
        let learned = bench.inverse.write_as_learned(&bench.intent(&wishes));
        match learned {
            Ok(sent) => faults.extend(compare(bench, &wishes, (&sent, Rule::Near))),
            Err(why) => faults.push(why.to_string()),
        }
        if !faults.is_empty() {
            return faults;
        }
    }
    Vec::new()
}

#[test]
fn every_embedded_profile_reads_what_its_inverse_writes() {
    let classes = Classes::embedded().unwrap();
    let profiles = Profiles::load(None, &classes).unwrap();
    let mut faults = Vec::new();
    let mut yielded = BTreeSet::new();
    for profile in profiles.iter() {
        for id in profile.class_ids(&classes) {
            let mut bench = Bench::new(&classes, classes.get(id).unwrap(), profile);
            let found = rounds(&mut bench, &mut yielded);
            faults.extend(
                found
                    .iter()
                    .map(|fault| format!("{}: {fault}", profile.id())),
            );
        }
    }
    assert!(
        faults.is_empty(),
        "{} faults\n{}\nyielded: {yielded:#?}",
        faults.len(),
        faults.join("\n")
    );
}
