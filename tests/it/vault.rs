//! What sessions need kept, in a process that is killed: what was told durable is there afterwards. The child is this
//! test binary itself.

use std::{
    collections::BTreeMap,
    env,
    io::{self, BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex, mpsc},
};

use sensegate::{
    broker::archive::{Changes, Memory, RecordKey, Then, Written},
    config::Config,
    domain::{Clock as _, Lane, SystemClock},
    spool::{self, Readings, Spool},
    vault::{self, Vault},
};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::DEADLINE;

/// Set for the child: the data directory.
const CHILD: &str = "VAULT_TEST_DIR";
/// Records that the child reports before it is killed.
const REPORTED: u64 = 400;

fn config(dir: &Path) -> Config {
    Config::with(&[("spool.data_dir", dir.to_str().unwrap())]).unwrap()
}

struct Kept {
    memory: Memory,
    vault: vault::RunningWriter,
    spool: spool::Opened<()>,
}

fn open(config: &Config) -> Kept {
    let store = Spool::open_store(&config.spool, SystemClock.now()).unwrap();
    let spool = Spool::open(&config.spool, store.clone(), Arc::new(SystemClock)).unwrap();
    let vault = Vault::open(&config.sessions, &store);
    Kept {
        memory: vault.memory,
        vault: vault.writer.start().unwrap(),
        spool,
    }
}

fn key(kind: u8, number: u64) -> RecordKey {
    let mut key = [kind, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    key[2..].copy_from_slice(&number.to_be_bytes());
    key
}

fn reading(number: u64) -> Vec<u8> {
    let body = format!("{number:020}");
    let mut bytes = vec![0x7A, u8::try_from(body.len()).unwrap()];
    bytes.extend_from_slice(body.as_bytes());
    bytes
}

#[test]
#[ignore = "the child of the test below"]
fn child_that_keeps_records_until_it_is_killed() {
    let Some(dir) = env::var_os(CHILD) else {
        return;
    };
    let kept = open(&config(Path::new(&dir)));
    let _writer = kept.spool.writer.start().unwrap();
    let from = kept
        .memory
        .records
        .filter(|(key, _)| key[0] == 0x62)
        .map(|(key, _)| u64::from_be_bytes(key[2..].try_into().unwrap()) + 1)
        .max()
        .unwrap_or_default();
    let out = Arc::new(Mutex::new(io::stdout()));
    for number in from.. {
        // The disk is shared with the spool's writer, which is as busy.
        let bytes = reading(number);
        let readings = Readings {
            bytes: &bytes,
            count: 1,
        };
        kept.spool
            .inlet
            .append(Lane::Telemetry, readings, Some(()))
            .unwrap_or_default();
        let mut changes = Changes::default();
        changes.put(key(0x62, number), number.to_be_bytes().repeat(20));
        changes.put(key(0x61, number), vec![1]);
        let out = Arc::clone(&out);
        let then = Box::new(move |written| {
            assert_eq!(written, Written::Durable);
            let mut out = out.lock().unwrap();
            writeln!(out, "\ndurable {number}").unwrap();
            out.flush().unwrap();
        });
        let mut call: (Changes, Option<Then>) = (changes, Some(then));
        while let Err(back) = kept.memory.archive.append(call.0, call.1) {
            call = (back.changes, back.then);
            std::thread::yield_now();
        }
        if number >= 10 {
            let mut old = Changes::default();
            old.delete(key(0x61, number - 10));
            kept.memory.archive.note(old, None);
        }
    }
}

/// Starts the child, kills it after some reports, and gives the last one.
fn killed_child(dir: &Path) -> u64 {
    let mut child = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "vault::child_that_keeps_records_until_it_is_killed",
            "--ignored",
            "--nocapture",
        ])
        .env(CHILD, dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut reports = lines.filter_map(|line| line.ok()?.strip_prefix("durable ")?.parse().ok());
    let mut last: u64 = reports.next().expect("the child reports");
    let wanted = last + REPORTED;
    while last < wanted {
        let next = reports.next().expect("the child reports");
        assert_eq!(next, last + 1, "told in the order of the calls");
        last = next;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it had written into the pipe before it died counts too.
    reports.last().unwrap_or(last)
}

#[test]
fn what_was_told_durable_survives_kill_9_beside_a_spool_that_writes_to_the_same_store() {
    let dir = TempDir::new().unwrap();
    let config = config(dir.path());
    for _ in 0..3 {
        let last = killed_child(dir.path());
        let kept = open(&config);
        let found: BTreeMap<_, _> = kept.memory.records.collect();
        for number in 0..=last {
            let body = found.get(&key(0x62, number)).expect("a durable record");
            assert_eq!(*body, number.to_be_bytes().repeat(20));
        }
        // Changes of one call happen together.
        let numbers = |kind: u8| {
            found
                .keys()
                .filter(move |key| key[0] == kind)
                .map(|key| key[2..].to_vec())
        };
        assert_eq!(numbers(0x61).max(), numbers(0x62).max());
        assert_eq!(kept.spool.recovery.imbalances, Vec::<String>::new());
        kept.vault.close().unwrap();
        kept.spool.writer.start().unwrap().close().unwrap();
    }
}

#[test]
fn sessions_stat_counts_the_records_by_kind() {
    let dir = TempDir::new().unwrap();
    let kept = open(&config(dir.path()));
    let mut changes = Changes::default();
    (0..3).for_each(|number| changes.put(key(0x60, number), vec![0; 90]));
    changes.put(key(0x63, 0), vec![0; 40]);
    changes.put(key(0x6f, 0), Vec::new());
    let (tell, told) = mpsc::channel();
    let then = Box::new(move |written| tell.send(written).unwrap());
    kept.memory.archive.append(changes, Some(then)).unwrap();
    assert_eq!(told.recv_timeout(DEADLINE).unwrap(), Written::Durable);

    let stat = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_sensegate"))
            .args(["sessions", "stat", "--config", "/dev/null", "--data-dir"])
            .arg(dir.path())
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let counted: Value = serde_json::from_str(&stat(&["--json"])).unwrap();
    assert_eq!(
        (&counted["records"], &counted["bytes"]),
        (&5.into(), &360.into())
    );
    let kind = |kind: u64| {
        let mut kinds = counted["kinds"].as_array().unwrap().iter();
        let one = kinds.find(|one| one["kind"] == kind).unwrap();
        (
            one["records"].as_u64().unwrap(),
            one["bytes"].as_u64().unwrap(),
        )
    };
    assert_eq!(
        (kind(0x60), kind(0x62), kind(0x63)),
        ((3, 300), (0, 0), (1, 50))
    );
    assert!(stat(&[]).contains("retained messages"));
    kept.vault.close().unwrap();
}
