//! Any calls, however they fall into groups, leave on the disk what they leave in a map.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Call {
    Append(Vec<(u64, Option<u8>)>),
    Note(Vec<(u64, Option<u8>)>),
    /// Waits until everything so far is durable.
    Wait,
    /// From here on calls gather in one group until the next [`Call::Wait`].
    Gather,
    /// Everything in memory goes to table files.
    Flush,
}

fn call() -> impl Strategy<Value = Call> {
    let changes = || prop::collection::vec((0_u64..8, prop::option::of(any::<u8>())), 1..4);
    prop_oneof![
        4 => changes().prop_map(Call::Append),
        4 => changes().prop_map(Call::Note),
        1 => Just(Call::Wait),
        1 => Just(Call::Gather),
        1 => Just(Call::Flush),
    ]
}

fn changes(of: &[(u64, Option<u8>)], model: &mut BTreeMap<RecordKey, Vec<u8>>) -> Changes {
    let mut changes = Changes::default();
    for (number, value) in of {
        match value {
            Some(value) => {
                changes.put(key(*number), vec![*value]);
                model.insert(key(*number), vec![*value]);
            }
            None => {
                changes.delete(key(*number));
                model.remove(&key(*number));
            }
        }
    }
    changes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_disk_holds_what_a_map_would(calls in prop::collection::vec(call(), 0..60)) {
        let dir = tempfile::tempdir().unwrap();
        let bench = Bench::open(dir.path());
        let mut model = BTreeMap::new();
        for call in calls {
            match call {
                Call::Append(of) => bench.archive.append(changes(&of, &mut model), None).unwrap(),
                Call::Note(of) => bench.archive.note(changes(&of, &mut model), None),
                Call::Wait => {
                    bench.pretend(Disk::Fine);
                    bench.keep(Changes::default());
                    let copy = crashed(dir.path());
                    prop_assert_eq!(&Bench::open(copy.path()).found, &model);
                }
                Call::Gather => bench.pretend(Disk::Full),
                Call::Flush => bench.store.flush().unwrap(),
            }
        }
        bench.pretend(Disk::Fine);
        let Bench { writer, store, archive, .. } = bench;
        writer.close().unwrap();
        drop((store, archive));
        prop_assert_eq!(Bench::open(dir.path()).found, model);
    }
}
