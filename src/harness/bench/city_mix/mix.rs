//! Payloads of the city's classes, prepared before the clock runs: a sending copies one and puts the packet id in.
//! Otherwise it stays as it is: its time is that of the preparation, so its readings are read, judged and stored like any
//! others, and only their compression gains from the repetition.

use std::{collections::BTreeMap, time::Instant};

use rand::{SeedableRng as _, rngs::SmallRng, seq::SliceRandom as _};

use super::super::{Broken, closed::Feed, entry::Unissued, readings::put};
use crate::{
    domain::{Clock as _, SystemClock},
    harness::{
        client::{Qos, Version, publish},
        devices::{Dialect, DialectError, Pattern, dialects, embedded},
    },
    normalise::Classes,
};

/// The same mix every time.
const SEED: u64 = 226;
/// Devices of a class: as many as the shortest ids can tell apart.
const DEVICES_MAX: u32 = 900;
/// How often a device moves on to values that its format can say.
const TRIES: u32 = 32;

/// The payloads, in the order in which they are sent, again and again.
#[derive(Debug)]
pub(super) struct Mix {
    packets: Vec<Packet>,
    next: usize,
    /// What the mix is made of, by format.
    pub(super) formats: BTreeMap<String, Format>,
}

#[derive(Debug)]
struct Packet {
    bytes: Vec<u8>,
    /// Where the packet id stands.
    packet_id: usize,
    readings: u32,
}

/// What a format has of the mix.
#[derive(Debug, Clone, Default)]
pub(super) struct Format {
    pub(super) classes: u64,
    pub(super) payloads: u64,
    pub(super) readings: u64,
    pub(super) bytes: u64,
}

/// How a mix is made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recipe<'a> {
    /// Payloads, about; at least one of each class.
    pub(super) payloads: u32,
    /// Only classes of this format.
    pub(super) only: Option<&'a str>,
}

/// A class and how it speaks.
struct Speaker {
    /// Its place in the catalogue.
    place: usize,
    pattern: Pattern,
    dialect: Dialect,
    format: String,
    /// Payloads a second in the nominal city.
    rate: f64,
}

impl Mix {
    /// Prepares the payloads.
    pub(super) fn prepared(recipe: Recipe<'_>) -> Result<Self, Broken> {
        let speakers = speakers(recipe.only)?;
        let rate: f64 = speakers.iter().map(|speaker| speaker.rate).sum();
        let mut mix = Self {
            packets: Vec::new(),
            next: 0,
            formats: BTreeMap::new(),
        };
        let mut rng = SmallRng::seed_from_u64(SEED);
        for speaker in &speakers {
            let share = speaker.rate / rate * f64::from(recipe.payloads);
            let format = mix.formats.entry(speaker.format.clone()).or_default();
            format.classes += 1;
            let mut number = 0;
            while number == 0 || f64::from(number) + 0.5 < share {
                let (packet, payload_bytes) = speaker.packet(number, &mut rng)?;
                format.payloads += 1;
                format.readings += u64::from(packet.readings);
                format.bytes += payload_bytes as u64;
                mix.packets.push(packet);
                number += 1;
            }
        }
        mix.packets.shuffle(&mut rng);
        Ok(mix)
    }

    /// Payloads, readings and bytes of payloads of one round.
    pub(super) fn sums(&self) -> Format {
        let mut sums = Format::default();
        for format in self.formats.values() {
            sums.classes += format.classes;
            sums.payloads += format.payloads;
            sums.readings += format.readings;
            sums.bytes += format.bytes;
        }
        sums
    }
}

impl Feed for Mix {
    fn append(&mut self, _link: usize, packet_id: u16, out: &mut Vec<u8>, _now: Instant) -> u32 {
        let Some(packet) = self.packets.get(self.next) else {
            return 0;
        };
        self.next = (self.next + 1) % self.packets.len();
        let start = out.len();
        out.extend_from_slice(&packet.bytes);
        put(out, start + packet.packet_id, &packet_id.to_be_bytes());
        packet.readings
    }
}

fn speakers(only: Option<&str>) -> Result<Vec<Speaker>, Broken> {
    let unready = |why: DialectError| Broken::Dialect(Box::new(why));
    let classes = Classes::embedded().map_err(|why| unready(why.into()))?;
    let patterns = embedded().map_err(|why| unready(why.into()))?;
    let formats = dialects(&patterns).map_err(unready)?;
    let mut speakers = Vec::new();
    for (place, (pattern, dialect)) in patterns.into_iter().zip(formats).enumerate() {
        let format = classes
            .get(&pattern.class)
            .map_or("", |class| class.format());
        if only.is_some_and(|only| only != format) {
            continue;
        }
        let rate = f64::from(pattern.nominal_count) / f64::from(pattern.interval_s);
        let dialect = dialect.ok_or_else(|| unsaid(&pattern, "no profile reads its format"))?;
        speakers.push(Speaker {
            place,
            format: format.to_owned(),
            pattern,
            dialect,
            rate,
        });
    }
    if speakers.is_empty() {
        let only = only.unwrap_or_default();
        return Err(Broken::Io(std::io::Error::other(format!(
            "no class has the format {only:?}"
        ))));
    }
    Ok(speakers)
}

fn unsaid(pattern: &Pattern, why: &str) -> Broken {
    Broken::Dialect(Box::new(DialectError::Unsayable {
        class: pattern.class.clone(),
        why: why.to_owned(),
    }))
}

impl Speaker {
    /// A payload of the class's device of a number, as a PUBLISH, and the payload's bytes.
    fn packet(&self, number: u32, rng: &mut SmallRng) -> Result<(Packet, usize), Broken> {
        let device = self
            .dialect
            .name("510104-", self.place, number % DEVICES_MAX);
        let mut values = self.pattern.start(rng);
        let sent = (0..TRIES).find_map(|_| {
            self.pattern.advance(&mut values, rng);
            let said = (device.as_str(), SystemClock.now(), number);
            self.dialect.write(&self.pattern, &values, said)
        });
        let sent = sent.ok_or_else(|| unsaid(&self.pattern, "none of its values"))?;
        let topic = format!("v1/{}/{device}/{}", self.pattern.class, sent.topic_suffix);
        let mut bytes = Vec::new();
        let qos = (Qos::AtLeastOnce, 1);
        let spots =
            publish(Version::V5, qos, &topic, &sent.bytes, &mut bytes).map_err(Unissued::Wire)?;
        let packet = Packet {
            bytes,
            packet_id: spots.packet_id,
            readings: u32::try_from(self.dialect.readings()).unwrap_or(u32::MAX),
        };
        Ok((packet, sent.bytes.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_has_every_class_and_most_of_those_that_send_most() {
        let recipe = Recipe {
            payloads: 500,
            only: None,
        };
        let mut mix = Mix::prepared(recipe).unwrap();
        let sums = mix.sums();
        assert_eq!(sums.classes, 226);
        assert!((500..=500 + 226).contains(&sums.payloads), "{sums:?}");
        assert!(sums.readings >= sums.payloads);
        let mut out = Vec::new();
        let now = Instant::now();
        let round: u64 = (0..sums.payloads)
            .map(|_| u64::from(mix.append(0, 7, &mut out, now)))
            .sum();
        assert_eq!(round, sums.readings);
    }

    #[test]
    fn a_mix_of_one_format_has_its_classes_alone() {
        let recipe = Recipe {
            payloads: 20,
            only: Some("hj212"),
        };
        let mix = Mix::prepared(recipe).unwrap();
        let formats: Vec<&String> = mix.formats.keys().collect();
        assert_eq!(formats, ["hj212"]);
        let recipe = Recipe {
            payloads: 20,
            only: Some("morse"),
        };
        assert!(Mix::prepared(recipe).is_err());
    }
}
