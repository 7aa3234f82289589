//! The bad day: full disks, damaged files, records that cannot be loaded.

use super::*;
use crate::{
    store::{Batch, Durability, Start, Step},
    vault::{intake::Door, records},
};

#[test]
fn on_a_full_disk_nobody_is_told_anything_until_it_takes_writes_again() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(dir.path());
    bench.stuck(put(1), 1);
    let ailment = bench.ailment().unwrap();
    assert!(
        ailment.starts_with("sessions are not kept: ") && ailment.contains("full"),
        "{ailment}"
    );
    bench.append(put(2), 2);
    bench.archive.note(delete(1), bench.then(3));
    assert!(bench.told.try_recv().is_err());
    assert!(!bench.has(1));
    bench.pretend(Disk::Fine);
    for number in 1..4 {
        assert_eq!(bench.next(), (number, Written::Durable));
    }
    assert_eq!(bench.ailment(), None);
    assert!(!bench.has(1) && bench.has(2));
    bench.close();
}

#[test]
fn a_vault_closed_on_a_full_disk_abandons_and_says_so_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(dir.path());
    bench.keep(put(1));
    bench.stuck(put(2), 2);
    bench.append(put(3), 3);
    bench.archive.note(delete(1), None);
    bench.archive.note(put(4), bench.then(4));
    let Bench {
        writer,
        told,
        store,
        archive,
        ..
    } = bench;
    let closed = writer.close().unwrap_err();
    assert!(
        matches!(closed, VaultError::Abandoned { calls: 4, .. }),
        "{closed}"
    );
    let heard: Vec<_> = told.try_iter().collect();
    assert_eq!(heard, [2, 3, 4].map(|number| (number, Written::Abandoned)));
    drop((store, archive));
    assert_eq!(
        Bench::open(dir.path())
            .found
            .into_keys()
            .collect::<Vec<_>>(),
        [key(1)]
    );
}

#[test]
fn a_record_set_and_removed_in_one_group_is_never_written_and_an_older_one_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(dir.path());
    bench.keep(put(1));
    bench.store.flush().unwrap();
    bench.stuck(put(0), 0);
    // One group: the writer is held by the one before.
    bench.append(put_sized(1, 500), 1);
    bench.archive.note(delete(1), None);
    bench.append(put_sized(2, 500), 2);
    bench.archive.note(delete(2), None);
    bench.pretend(Disk::Fine);
    (0..3).for_each(|number| assert_eq!(bench.next(), (number, Written::Durable)));
    assert!(bench.has(0) && !bench.has(1) && !bench.has(2));
    let copy = crashed(dir.path());
    assert_eq!(
        Bench::open(copy.path())
            .found
            .into_keys()
            .collect::<Vec<_>>(),
        [key(0)]
    );
    bench.close();
}

#[test]
fn files_of_delivered_readings_are_let_go_of_without_a_record_going_with_them() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(dir.path());
    let lane = |number: u8| [0x10, 1, 0, 0, 0, 0, 0, 0, 0, number];
    let mut batch = Batch::default();
    (0..100).for_each(|number| batch.put(lane(number), vec![0; 1000]));
    bench.store.write(&batch, Durability::Synced).unwrap();
    (0..100).for_each(|number| bench.append(put_sized(number, 1000), number));
    (0..100).for_each(|number| assert_eq!(bench.next().0, number));
    bench.store.flush().unwrap();
    let mut end = records::all().start;
    bench.store.drop_files([0; 10]..end).unwrap();
    end[0] = 0x11;
    bench.store.drop_files(lane(0)..end).unwrap();
    assert!((0..100).all(|number| bench.has(number)));
    bench.close();
}

/// Flips a byte in the middle of every table file.
fn damage_tables(dir: &Path) {
    for entry in fs::read_dir(dir.join("store")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "sst") {
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
    }
}

#[test]
fn a_damaged_place_on_the_disk_costs_the_records_in_it_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(dir.path());
    (0..1000).for_each(|number| bench.append(put_sized(number, 500), number));
    (0..1000).for_each(|number| assert_eq!(bench.next().0, number));
    bench.store.flush().unwrap();
    let copy = crashed(dir.path());
    bench.close();
    damage_tables(copy.path());
    let again = Bench::open(copy.path());
    let found: Vec<_> = again.found.keys().copied().collect();
    // A block of the table is 32 KiB: some 60 of these records.
    assert!((900..1000).contains(&found.len()), "{}", found.len());
    assert!(found.contains(&key(0)) && found.contains(&key(999)));
    again.keep(put(5000));
    again.close();
}

#[test]
fn a_vault_whose_records_cannot_be_loaded_writes_nothing_and_ends() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(dir.path());
    bench.keep(put(1));
    bench.stuck(put(2), 2);
    bench.archive.note(delete(1), bench.then(3));
    bench
        .writer
        .shared()
        .shut(Door::Condemned("a test says so".to_owned()));
    let Bench {
        writer,
        told,
        store,
        archive,
        ..
    } = bench;
    let closed = writer.close().unwrap_err();
    assert!(
        matches!(
            closed,
            VaultError::Abandoned { .. } | VaultError::Unreadable { .. }
        ),
        "{closed}"
    );
    let heard: Vec<_> = told.try_iter().collect();
    assert_eq!(heard, [2, 3].map(|number| (number, Written::Abandoned)));
    drop(archive);
    let mut kept = Vec::new();
    let all = records::all();
    let from = Start::At(all.start);
    store
        .scan(all, from, |key, _| {
            kept.push(*key);
            Step::Next
        })
        .unwrap();
    assert_eq!(kept, [key(1)]);
}
