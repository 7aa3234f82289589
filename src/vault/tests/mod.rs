//! The vault on a real `RocksDB`, from the outside: what is told, in which order, and what a restart finds.

mod disk;
mod model;

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{self, Receiver, Sender},
    },
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{Opened, RunningWriter, Vault, VaultError};
use crate::{
    broker::archive::{Archive, Changes, NoRoom, RecordKey, Then, Written},
    config::SessionsConfig,
    domain::UnixNanos,
    store::{self, Store, StoreOptions},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// What writes meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disk {
    Fine,
    Full,
}

/// An open vault with its writer running.
struct Bench {
    store: Arc<Store>,
    archive: Arc<dyn Archive>,
    writer: RunningWriter,
    /// What it held.
    found: BTreeMap<RecordKey, Vec<u8>>,
    tell: Sender<(u64, Written)>,
    told: Receiver<(u64, Written)>,
}

impl Bench {
    fn open(dir: &Path) -> Self {
        Self::bounded(dir, 1 << 20)
    }

    fn bounded(dir: &Path, group_bytes_max: usize) -> Self {
        let opened = open_store(dir);
        let Opened { memory, writer } = Vault::open(&SessionsConfig { group_bytes_max }, &opened);
        let (tell, told) = mpsc::channel();
        Self {
            store: opened.store,
            found: memory.records.collect(),
            archive: memory.archive,
            writer: writer.start().unwrap(),
            tell,
            told,
        }
    }

    fn then(&self, number: u64) -> Option<Then> {
        let tell = self.tell.clone();
        Some(Box::new(move |written| {
            tell.send((number, written)).unwrap_or_default();
        }))
    }

    fn append(&self, changes: Changes, number: u64) {
        self.archive.append(changes, self.then(number)).unwrap();
    }

    /// What the next one who waited is told.
    fn next(&self) -> (u64, Written) {
        self.told.recv_timeout(PATIENCE).expect("somebody is told")
    }

    /// Appends and waits until it is durable.
    fn keep(&self, changes: Changes) {
        self.append(changes, u64::MAX);
        assert_eq!(self.next(), (u64::MAX, Written::Durable));
    }

    fn has(&self, number: u64) -> bool {
        self.store.get(&key(number)).unwrap().is_some()
    }

    fn pretend(&self, disk: Disk) {
        let full = disk == Disk::Full;
        self.store.pretended_full().store(full, Ordering::Relaxed);
    }

    /// The disk is full, and the writer has met it: it holds the group of this call, and later ones wait behind it.
    fn stuck(&self, changes: Changes, number: u64) {
        self.pretend(Disk::Full);
        self.append(changes, number);
        until("the writer fails", || self.ailment().is_some());
    }

    fn ailment(&self) -> Option<String> {
        self.writer.health().ailment()
    }

    fn close(self) {
        self.writer.close().unwrap();
    }
}

fn open_store(dir: &Path) -> store::Opened {
    let how = StoreOptions {
        wal_bytes_max: 64 << 20,
    };
    let (store, log_damage) = Store::open(dir, &how, UnixNanos(0)).unwrap();
    store::Opened {
        store: Arc::new(store),
        log_damage,
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(
            begun.elapsed() < PATIENCE,
            "{what}: not within {PATIENCE:?}"
        );
        std::thread::yield_now();
    }
}

fn key(number: u64) -> RecordKey {
    let mut key = [0x61, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    key[2..].copy_from_slice(&number.to_be_bytes());
    key
}

fn put(number: u64) -> Changes {
    put_sized(number, 8)
}

fn put_sized(number: u64, bytes: usize) -> Changes {
    let mut changes = Changes::default();
    let mut value = number.to_be_bytes().to_vec();
    value.resize(bytes, 0);
    changes.put(key(number), value);
    changes
}

fn delete(number: u64) -> Changes {
    let mut changes = Changes::default();
    changes.delete(key(number));
    changes
}

/// The directory as a crash at this moment would leave it; taken again if `RocksDB` tidied up under the copying.
fn crashed(dir: &Path) -> TempDir {
    let copy = |to: &Path| -> std::io::Result<()> {
        fs::copy(dir.join("FORMAT"), to.join("FORMAT"))?;
        fs::create_dir(to.join("store"))?;
        for entry in fs::read_dir(dir.join("store"))? {
            let entry = entry?;
            fs::copy(entry.path(), to.join("store").join(entry.file_name()))?;
        }
        Ok(())
    };
    (0..20)
        .find_map(|_| {
            let to = tempfile::tempdir().unwrap();
            copy(to.path()).is_ok().then_some(to)
        })
        .unwrap()
}

#[test]
fn whoever_waits_is_told_once_in_the_order_of_the_calls() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(dir.path());
    for number in 0..500 {
        match number % 3 {
            0 => bench.append(put(number), number),
            1 => bench.archive.note(delete(number - 1), bench.then(number)),
            _ => {
                bench.archive.note(put(number), None);
                bench.append(Changes::default(), number);
            }
        }
    }
    for number in 0..500 {
        assert_eq!(bench.next(), (number, Written::Durable));
    }
    assert!(bench.told.try_recv().is_err());
    bench.close();
}

#[test]
fn what_was_told_durable_is_there_after_a_crash_and_so_is_all_that_was_called_before() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(dir.path());
    bench.keep(put(1));
    bench.keep(put(2));
    // Nobody waits for these two; the last call speaks for them.
    bench.archive.note(delete(1), None);
    bench.archive.note(put(3), None);
    bench.keep(put(4));
    let copy = crashed(dir.path());
    let again = Bench::open(copy.path());
    let found: Vec<_> = again.found.keys().copied().collect();
    assert_eq!(found, [key(2), key(3), key(4)]);
    again.close();
    bench.close();
}

#[test]
fn a_note_that_nobody_waits_for_is_written_without_anything_else_coming() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(dir.path());
    bench.keep(put(1));
    bench.archive.note(delete(1), None);
    until("the note is written", || !bench.has(1));
    // A call with nothing to write still speaks for it: the copy is of a disk that was synced.
    bench.keep(Changes::default());
    let copy = crashed(dir.path());
    assert!(Bench::open(copy.path()).found.is_empty());
    bench.close();
}

#[test]
fn the_records_come_back_in_the_order_of_keys_however_many_pages_they_fill() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::bounded(dir.path(), 16 << 20);
    for number in (0..3000).rev() {
        bench.append(put_sized(number, 1000), number);
    }
    (0..3000).for_each(|_| assert_eq!(bench.next().1, Written::Durable));
    bench.close();
    let opened = open_store(dir.path());
    let vault = Vault::open(&SessionsConfig { group_bytes_max: 1 }, &opened);
    let found: Vec<_> = vault.memory.records.map(|(key, _)| key).collect();
    assert_eq!(found, (0..3000).map(key).collect::<Vec<_>>());
}

#[tokio::test]
async fn beyond_the_bound_changes_come_back_until_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::bounded(dir.path(), 10_000);
    bench.stuck(put_sized(0, 4000), 0);
    // Each is taken as long as it fits beside what the writer has in hand.
    bench.append(put_sized(1, 4000), 1);
    let NoRoom { changes, then } = bench
        .archive
        .append(put_sized(2, 4000), bench.then(2))
        .unwrap_err();
    assert_eq!(changes.bytes(), put_sized(2, 4000).bytes());
    bench.archive.note(put_sized(3, 4000), bench.then(3));

    let room = bench.archive.room();
    tokio::pin!(room);
    let pending =
        std::future::poll_fn(|cx| std::task::Poll::Ready(room.as_mut().poll(cx).is_pending()));
    assert!(pending.await);
    bench.pretend(Disk::Fine);
    tokio::time::timeout(PATIENCE, room).await.unwrap();
    until("there is room", || {
        bench.told.try_recv().is_ok_and(|(number, _)| number == 3)
    });
    bench.archive.append(changes, then).unwrap();
    assert_eq!(bench.next(), (2, Written::Durable));
    tokio::time::timeout(PATIENCE, bench.writer.drained())
        .await
        .unwrap();
    // With room, there is nothing to wait for.
    tokio::time::timeout(PATIENCE, bench.archive.room())
        .await
        .unwrap();
    bench.close();
}

#[test]
fn changes_larger_than_the_bound_are_taken_alone() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::bounded(dir.path(), 1000);
    bench.keep(put_sized(1, 5000));
    assert!(bench.has(1));
    bench.close();
}

#[test]
fn a_closed_vault_has_written_everything_and_abandons_what_comes_later() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(dir.path());
    (0..200).for_each(|number| bench.append(put(number), number));
    bench.archive.note(delete(7), None);
    let Bench {
        archive,
        writer,
        tell,
        told,
        store,
        ..
    } = bench;
    let health = writer.health();
    writer.close().unwrap();
    let heard: Vec<_> = told.try_iter().collect();
    assert_eq!(
        heard,
        (0..200)
            .map(|number| (number, Written::Durable))
            .collect::<Vec<_>>()
    );
    archive
        .append(
            put(300),
            Some(Box::new(move |written| tell.send((300, written)).unwrap())),
        )
        .unwrap();
    assert_eq!(
        told.recv_timeout(PATIENCE).unwrap(),
        (300, Written::Abandoned)
    );
    assert!(health.ailment().is_some());
    drop((archive, store, health));
    let again = Bench::open(dir.path());
    let wanted: Vec<_> = (0..200).filter(|number| *number != 7).map(key).collect();
    assert_eq!(again.found.into_keys().collect::<Vec<_>>(), wanted);
}
