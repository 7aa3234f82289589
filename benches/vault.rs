//! What the sessions' records cost on the disk that the spool writes to. `cargo bench --bench vault`; set
//! `VAULT_BENCH_DIR` to measure another disk than the temporary folder's.
//!
//! Messages here are a body of 200 bytes and a queue entry, appended by publishers that wait until they are durable, as
//! a broker does that acknowledges `QoS` 1. What becomes of a message decides its price: it stays, it is acknowledged by
//! its subscriber some time after the commit, or at once. Each round has a store of its own, and the last ones have the
//! spool's writer beside them. Rates follow what else the machine does; messages a commit, bytes and processor time do so
//! less. Bytes and processor time are the whole process's: beside the spool they say little.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a measurement may end at the first thing that is wrong, and prints what it found"
)]

use std::{
    fs,
    ops::Sub,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use sensegate::{
    broker::archive::{Archive, Changes, RecordKey},
    config::Config,
    domain::{Clock as _, Lane, Settle, SystemClock},
    spool::{Readings, Spool, SpoolInlet},
    telemetry::Exporter,
    vault::Vault,
};

/// How long a round lasts.
const ROUND: Duration = Duration::from_secs(4);
const BODY_BYTES: usize = 200;
/// Messages that a publisher has on the way.
const WINDOW: usize = 10;
/// Readings of one publisher beside, each in a payload of its own.
const SPOOL_WINDOW: usize = 2000;

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It stays on the disk: its subscriber is away.
    Kept,
    /// It is acknowledged after its commit.
    AckedLater,
    /// It is acknowledged before its commit.
    AckedAtOnce,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Company {
    Alone,
    BesideTheSpool,
}

fn main() {
    let exporter = Exporter::install().unwrap();
    println!(
        "| company | publishers | messages | messages/s | a commit | bytes written a message | CPU µs a message | vault commits/s \
         | spool commits/s | readings/s |"
    );
    println!("|---|---:|---|---:|---:|---:|---:|---:|---:|---:|");
    let row = |company, publishers, fate| {
        let dir = std::env::var("VAULT_BENCH_DIR")
            .map_or_else(|_| tempfile::tempdir(), tempfile::tempdir_in)
            .unwrap();
        let before = Meters::read(&exporter);
        let pace = measure(dir.path(), publishers, fate, company);
        let spent = Meters::read(&exporter) - before;
        println!(
            "| {company:?} | {publishers} | {fate:?} | {} |",
            spent.shown(&pace)
        );
    };
    for company in [Company::Alone, Company::BesideTheSpool] {
        for publishers in [1, 20, 200] {
            for fate in [Fate::Kept, Fate::AckedLater, Fate::AckedAtOnce] {
                row(company, publishers, fate);
            }
        }
    }
    // The spool alone.
    row(Company::BesideTheSpool, 0, Fate::Kept);
}

struct Pace {
    seconds: f64,
    messages: u64,
    readings: u64,
}

/// What the process has done so far.
#[derive(Debug, Clone, Copy)]
struct Meters {
    bytes: f64,
    cpu_seconds: f64,
    vault_commits: f64,
    spool_commits: f64,
}

impl Meters {
    fn read(exporter: &Exporter) -> Self {
        let written = fs::read_to_string("/proc/self/io").unwrap();
        let bytes = written
            .lines()
            .find_map(|line| line.strip_prefix("wchar: "));
        let times = fs::read_to_string("/proc/self/stat").unwrap();
        let (_, times) = times.rsplit_once(')').unwrap();
        // utime and stime, in ticks of 10 ms, are the 14th and 15th field; two stand before the bracket.
        let ticks = times.split_whitespace().skip(11).take(2);
        let ticks: f64 = ticks.map(|ticks| ticks.parse::<f64>().unwrap()).sum();
        let rendered = exporter.render();
        let metric = |name: &str| {
            let mut samples = rendered.lines().filter_map(|line| line.strip_prefix(name));
            samples
                .next()
                .map_or(0.0, |value| value.trim().parse().unwrap())
        };
        Self {
            bytes: bytes.unwrap().parse().unwrap(),
            cpu_seconds: ticks / 100.0,
            vault_commits: metric("sensegate_vault_commit_seconds_count "),
            spool_commits: metric("sensegate_spool_commit_seconds_count "),
        }
    }

    fn shown(&self, pace: &Pace) -> String {
        let messages = pace.messages as f64;
        let each = |sum: f64| sum / messages.max(1.0);
        format!(
            "{:.0} | {:.1} | {:.1} | {:.1} | {:.0} | {:.0} | {:.0}",
            messages / pace.seconds,
            messages / self.vault_commits.max(1.0),
            each(self.bytes),
            each(self.cpu_seconds * 1e6),
            self.vault_commits / pace.seconds,
            self.spool_commits / pace.seconds,
            pace.readings as f64 / pace.seconds,
        )
    }
}

impl Sub for Meters {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            bytes: self.bytes - before.bytes,
            cpu_seconds: self.cpu_seconds - before.cpu_seconds,
            vault_commits: self.vault_commits - before.vault_commits,
            spool_commits: self.spool_commits - before.spool_commits,
        }
    }
}

fn measure(dir: &Path, publishers: u64, fate: Fate, company: Company) -> Pace {
    let changes = [
        ("spool.data_dir", dir.to_str().unwrap()),
        ("spool.lanes.telemetry.bytes_max", "8GiB"),
    ];
    let config = Config::with(&changes).unwrap();
    let store = Spool::open_store(&config.spool, SystemClock.now()).unwrap();
    let spool = Spool::open::<Slip>(&config.spool, store.clone(), Arc::new(SystemClock)).unwrap();
    let vault = Vault::open(&config.sessions, &store);
    drop(store);
    let (spool_writer, vault_writer) =
        (spool.writer.start().unwrap(), vault.writer.start().unwrap());
    let over = Arc::new(AtomicBool::new(false));
    let readings = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let beside = (company == Company::BesideTheSpool).then(|| {
        let (over, readings) = (Arc::clone(&over), Arc::clone(&readings));
        let inlet = spool.inlet.clone();
        thread::spawn(move || report(&inlet, &over, &readings))
    });
    let threads: Vec<_> = (0..publishers)
        .map(|publisher| {
            let (over, archive) = (Arc::clone(&over), Arc::clone(&vault.memory.archive));
            thread::spawn(move || publish(&*archive, publisher, fate, &over))
        })
        .collect();
    thread::sleep(ROUND);
    over.store(true, Ordering::Relaxed);
    let messages: u64 = threads.into_iter().map(|t| t.join().unwrap()).sum();
    if let Some(beside) = beside {
        beside.join().unwrap();
    }
    let seconds = begun.elapsed().as_secs_f64();
    vault_writer.close().unwrap();
    spool_writer.close().unwrap();
    Pace {
        seconds,
        messages,
        readings: readings.load(Ordering::Relaxed),
    }
}

fn key(kind: u8, publisher: u64, number: u64) -> RecordKey {
    let [.., p, q] = publisher.to_be_bytes();
    let [_, n @ ..] = number.to_be_bytes();
    let [a, b, c, d, e, f, g] = n;
    [kind, p, q, a, b, c, d, e, f, g]
}

/// Publishes with a window until the time is over; how many were durable.
fn publish(archive: &dyn Archive, publisher: u64, fate: Fate, over: &AtomicBool) -> u64 {
    let (tell, told) = mpsc::channel();
    let mut number = 0;
    let mut done = 0;
    let removal = |number| {
        let mut changes = Changes::default();
        changes.delete(key(0x61, publisher, number));
        changes.delete(key(0x62, publisher, number));
        changes
    };
    while !over.load(Ordering::Relaxed) || done < number {
        while !over.load(Ordering::Relaxed) && number - done < WINDOW as u64 {
            let mut changes = Changes::default();
            changes.put(key(0x62, publisher, number), vec![7; BODY_BYTES]);
            changes.put(key(0x61, publisher, number), vec![1; 8]);
            let tell = tell.clone();
            let then = Box::new(move |_| tell.send(number).unwrap_or_default());
            archive.append(changes, Some(then)).unwrap();
            if fate == Fate::AckedAtOnce {
                archive.note(removal(number), None);
            }
            number += 1;
        }
        if done < number {
            let durable = told.recv().unwrap();
            done += 1;
            if fate == Fate::AckedLater {
                archive.note(removal(durable), None);
            }
        }
    }
    done
}

/// A receipt of the spool.
#[derive(Debug)]
struct Slip(mpsc::SyncSender<()>);

impl Settle for Slip {
    fn settle(self, _: sensegate::domain::Outcome) {
        self.0.try_send(()).unwrap_or_default();
    }
}

/// Reports readings with a window until the time is over, as many devices would.
fn report(inlet: &SpoolInlet<Slip>, over: &AtomicBool, readings: &AtomicU64) {
    let (settled, receipts) = mpsc::sync_channel(SPOOL_WINDOW);
    let mut bytes = vec![0x7A, 120];
    bytes.resize(122, b'r');
    let mut on_the_way = 0;
    while !over.load(Ordering::Relaxed) {
        while on_the_way < SPOOL_WINDOW {
            let one = Readings {
                bytes: &bytes,
                count: 1,
            };
            let slip = Slip(settled.clone());
            if inlet.append(Lane::Telemetry, one, Some(slip)).is_err() {
                break;
            }
            on_the_way += 1;
        }
        if receipts.recv_timeout(ROUND).is_ok() {
            on_the_way -= 1;
            readings.fetch_add(1, Ordering::Relaxed);
        }
    }
}
