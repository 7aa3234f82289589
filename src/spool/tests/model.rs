//! Random days against a model: whatever is appended, delivered, refused, dropped, and however often the gateway is
//! killed in between, every reading is accounted for, and what is read is what was written, in sequence.

use super::*;
use crate::domain::DropReason;

/// A small generator, so that a failing seed can be named.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// What a lane should look like.
#[derive(Default)]
struct Model {
    /// Every reading that was ever stored, by sequence.
    stored: BTreeMap<u64, String>,
    /// Sequences that the platform said it holds, or was told of as gaps.
    done: std::collections::BTreeSet<u64>,
    refused: std::collections::BTreeSet<u64>,
    quarantined: u64,
    qos0: u64,
}

impl Model {
    fn next(&self) -> u64 {
        self.stored.len() as u64
    }

    fn check(&self, bench: &Bench, lane: Lane) {
        let ledger = bench.ledger(lane);
        let state = bench.reader.lane_state(lane);
        assert_eq!(state.committed_next.0, self.next());
        assert_eq!(ledger.received, self.next() + self.quarantined + self.qos0);
        let items = self.read(bench, lane);
        let read = bodies(&items);
        let told: BTreeMap<u64, ()> = gaps(&items)
            .into_iter()
            .flat_map(|(f, n)| (f..n).map(|s| (s, ())))
            .collect();
        for (sequence, body) in &self.stored {
            let present = read.get(sequence);
            let done = self.done.contains(sequence);
            assert_eq!(
                present.is_none() && !told.contains_key(sequence),
                done,
                "{lane} {sequence}"
            );
            assert!(
                present.is_none_or(|found| found == body),
                "{lane} {sequence}"
            );
        }
        if lane != Lane::Bulk {
            assert!(told.is_empty());
            assert_eq!(ledger.dropped(DropReason::Capacity), 0);
            let spooled = self
                .stored
                .keys()
                .filter(|s| !self.done.contains(s) && !self.refused.contains(s))
                .count();
            assert_eq!(ledger.spooled, spooled as u64);
            assert_eq!(
                ledger.quarantined,
                self.quarantined + self.refused.len() as u64
            );
        }
    }

    /// Everything there is, also behind what the platform holds ahead.
    fn read(&self, bench: &Bench, lane: Lane) -> Vec<Item> {
        let mut items: Vec<Item> = Vec::new();
        for item in bench.read(lane) {
            assert!(
                items
                    .last()
                    .is_none_or(|last| last.range().next <= item.range().first)
            );
            items.push(item);
        }
        items
    }
}

fn day(seed: u64, steps: u64) {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.lanes.bulk = StoreBounds {
        bytes_max: 6000,
        when_full: WhenFull::DropOldest,
    };
    config.lanes.telemetry.bytes_max = 9000;
    config.tail_bytes_max = usize::try_from(seed % 3 * 2000).unwrap();
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut bench = Bench::open(&config);
    let mut models: LaneMap<Model> = LaneMap::from_fn(|_| Model::default());
    let mut dirs = vec![dir];
    for step in 0..steps {
        let lane = Lane::ALL[usize::try_from(dice.roll(3)).unwrap()];
        let model = &mut models[lane];
        match dice.roll(12) {
            0..=5 => append(&bench, lane, model, &mut dice),
            6 => {
                bench.quarantine(lane, b"?");
                model.quarantined += 1;
            }
            7 | 8 => deliver(&bench, lane, model, &mut dice),
            9 => refuse(&bench, lane, model, &mut dice),
            10 => {
                bench
                    .reader
                    .hold(lane, Some(range(dice.roll(50), dice.roll(200))));
            }
            _ => {
                bench.done();
                // Killed, the directory is as it is at this moment; the process that goes on beside it does no harm.
                let killed =
                    (dice.roll(2) == 0).then(|| bench.crashed(dirs.last().unwrap().path()));
                bench.close();
                dirs.extend(killed);
                config.data_dir = dirs.last().unwrap().path().to_owned();
                bench = Bench::open(&config);
                assert_eq!(
                    bench.recovery.imbalances,
                    Vec::<String>::new(),
                    "seed {seed} step {step}"
                );
            }
        }
        if dice.roll(8) == 0 {
            bench.done();
            for (lane, model) in models.iter() {
                model.check(&bench, lane);
            }
        }
    }
    bench.done();
    for (lane, model) in models.iter() {
        model.check(&bench, lane);
        bench.delivered(lane, 0, model.next());
        let ledger = bench.ledger(lane);
        assert_eq!(
            (ledger.spooled, bench.reader.lane_state(lane).bytes),
            (0, 0),
            "seed {seed}"
        );
    }
    bench.close();
    assert!(super::super::stat(&config.data_dir).unwrap().balances);
}

fn append(bench: &Bench, lane: Lane, model: &mut Model, dice: &mut Dice) {
    let first = model.next();
    let bodies: Vec<String> = (0..1 + dice.roll(9))
        .map(|at| format!("{lane} {}", first + at))
        .collect();
    let texts: Vec<&str> = bodies.iter().map(String::as_str).collect();
    if bench.append(lane, &texts) == Outcome::Stored {
        model
            .stored
            .extend(bodies.into_iter().zip(first..).map(|(body, at)| (at, body)));
    } else {
        let bytes = entries(&texts);
        let count = u32::try_from(texts.len()).unwrap();
        bench
            .inlet
            .append(
                lane,
                Readings {
                    bytes: &bytes,
                    count,
                },
                None,
            )
            .unwrap();
        bench.done();
        let lost = bench.ledger(lane).dropped(DropReason::RefusedQos0);
        if lost > model.qos0 {
            model.qos0 = lost;
        } else {
            model
                .stored
                .extend(bodies.into_iter().zip(first..).map(|(body, at)| (at, body)));
        }
    }
}

fn deliver(bench: &Bench, lane: Lane, model: &mut Model, dice: &mut Dice) {
    let low = bench.reader.lane_state(lane).oldest.0;
    let first = if dice.roll(3) == 0 {
        low + dice.roll(30)
    } else {
        low
    };
    let next = (first + 1 + dice.roll(40)).min(model.next());
    if first < next {
        bench.delivered(lane, first, next);
        model.done.extend(first..next);
    }
}

fn refuse(bench: &Bench, lane: Lane, model: &mut Model, dice: &mut Dice) {
    if lane == Lane::Bulk || model.next() == 0 {
        return;
    }
    let sequence = dice.roll(model.next());
    bench
        .reader
        .refused(lane, Sequence(sequence), "bad".to_owned())
        .unwrap();
    if !model.done.contains(&sequence) {
        model.refused.insert(sequence);
    }
    bench.done();
}

#[test]
fn every_reading_is_accounted_for_on_any_day() {
    let seeds: u64 = std::env::var("SPOOL_SEEDS")
        .ok()
        .and_then(|seeds| seeds.parse().ok())
        .unwrap_or(12);
    for seed in 0..seeds {
        day(seed, 150);
    }
}
