//! The uplink against the reference platform over real gRPC: whatever the platform does, every reading arrives and
//! counts once.

mod liar;
mod memory;

use std::{future::Future, path::Path, sync::Arc, time::Duration};

use memory::MemorySpool;
use sensegate::{
    config::{Compression, UplinkConfig},
    domain::{Clock as _, Lane, SystemClock, UnixNanos},
    harness::platform::{
        AcceptsAhead, Faults, PlatformConfig, RunningPlatform, query::StoredData, start,
    },
    supervise::TaskSet,
    uplink::{Introduction, StatusView, Uplink},
};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(60);

fn config(platforms: &[&str]) -> UplinkConfig {
    UplinkConfig {
        platforms: platforms.iter().map(|url| (*url).to_owned()).collect(),
        batch_bytes_max: 8 << 10,
        window_bytes_max: 64 << 10,
        backoff_min: Duration::from_millis(2),
        backoff_max: Duration::from_millis(50),
        connect_deadline: Duration::from_secs(5),
        batch_deadline: Duration::from_secs(10),
        keep_alive: Duration::from_secs(10),
        backlog_rate_max: 1_000_000,
        backlog_age: Duration::from_secs(30),
        compression: Compression::Off,
    }
}

struct Gateway {
    tasks: TaskSet,
    status: StatusView,
}

fn gateway(config: UplinkConfig, spool: &MemorySpool) -> Gateway {
    let introduction = Introduction {
        gateway_id: "gw-1".to_owned(),
        district: "510104".to_owned(),
        software_version: "test".to_owned(),
        schema_digest: tokio::sync::watch::channel([0; 32]).1,
    };
    let uplink = Uplink::new(config, introduction, spool.clone(), Arc::new(SystemClock));
    let status = uplink.status();
    let mut tasks = TaskSet::new();
    uplink.spawn(&mut tasks);
    Gateway { tasks, status }
}

impl Gateway {
    async fn stop(self) {
        let stopped = self.tasks.stop(PATIENCE).await.unwrap();
        assert_eq!(stopped.aborted, 0);
    }

    /// Dies without a word.
    async fn kill(self) {
        self.tasks.stop(Duration::ZERO).await.unwrap();
    }
}

async fn platform(dir: &Path, faults: Faults) -> RunningPlatform {
    let mut config = PlatformConfig::local(dir.to_owned());
    config.faults = faults;
    start(config).await.unwrap()
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, future).await;
    done.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

/// Every sequence there once, `readings` of them readings, and the values those that were sent.
fn assert_stored(dir: &Path, readings: u64) {
    let data = StoredData::open(dir).unwrap();
    let audit = data.audit().unwrap();
    assert!(audit.is_clean(), "{audit:?}");
    assert_eq!(audit.readings, readings);
    data.readings(|stored| {
        use prost::Message as _;
        let reading = sensegate::proto::platform::Reading::decode(stored.reading).unwrap();
        assert_eq!(reading.value[..], stored.sequence.0.to_be_bytes());
    })
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_arrives_once_in_all_lanes_compressed_and_not() {
    for (incarnation, compression) in [(1, Compression::Off), (2, Compression::Zstd)] {
        let dir = TempDir::new().unwrap();
        let platform = platform(dir.path(), Faults::default()).await;
        let spool = MemorySpool::new(incarnation);
        for lane in Lane::ALL {
            (1..60).for_each(|count| spool.commit(lane, count));
            spool.gap(lane, 5);
        }
        let gateway = gateway(
            UplinkConfig {
                compression,
                ..config(&[&platform.url()])
            },
            &spool,
        );
        within("delivery", spool.drained()).await;
        (1..60).for_each(|count| spool.commit(Lane::Telemetry, count));
        within("live delivery", spool.drained()).await;
        let snapshot = platform.handle().snapshot();
        assert_eq!(snapshot.readings, 59 * 30 * 4);
        assert_eq!((snapshot.gap_records, snapshot.gap_sequences), (3, 15));
        assert_eq!(snapshot.repeated, 0);
        assert!(snapshot.received_to_stored.count > 0);
        assert_eq!(snapshot.classes.len(), 2);
        assert!(!snapshot.last.is_empty());
        assert!(gateway.status.all_connected());
        gateway.stop().await;
        platform.stop().await.unwrap();
        assert_stored(dir.path(), 59 * 30 * 4);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_close_owing_acknowledgements_neither_lose_nor_double() {
    let dir = TempDir::new().unwrap();
    let platform = platform(
        dir.path(),
        Faults {
            close_every_batches: 3,
            ..Faults::default()
        },
    )
    .await;
    let spool = MemorySpool::new(3);
    (0..400).for_each(|_| spool.commit(Lane::Telemetry, 50));
    (0..50).for_each(|_| spool.commit(Lane::Alarm, 3));
    let gateway = gateway(config(&[&platform.url()]), &spool);
    within("delivery", spool.drained()).await;
    assert!(platform.handle().snapshot().streams_opened > 4);
    gateway.stop().await;
    platform.stop().await.unwrap();
    assert_stored(dir.path(), 400 * 50 + 50 * 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_that_dies_between_receive_and_store_is_sent_the_rest_again() {
    let dir = TempDir::new().unwrap();
    let spool = MemorySpool::new(4);
    (0..300).for_each(|_| spool.commit(Lane::Telemetry, 50));
    let mut listen = None;
    let mut running: Option<Gateway> = None;
    for round in 0..6 {
        let mut platform_config = PlatformConfig::local(dir.path().to_owned());
        platform_config.faults.crash_after_batches = 7 + round;
        if let Some(address) = listen {
            platform_config.listen = address;
        }
        let platform = start(platform_config).await.unwrap();
        listen = Some(platform.address());
        if running.is_none() {
            running = Some(gateway(config(&[&platform.url()]), &spool));
        }
        within("the platform's death", platform.handle().died()).await;
        platform.kill().await.unwrap();
    }
    let mut platform_config = PlatformConfig::local(dir.path().to_owned());
    platform_config.listen = listen.unwrap();
    let platform = start(platform_config).await.unwrap();
    within("delivery", spool.drained()).await;
    running.unwrap().stop().await;
    platform.stop().await.unwrap();
    assert_stored(dir.path(), 300 * 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_dies_goes_on_where_the_platform_says() {
    let dir = TempDir::new().unwrap();
    let platform = platform(
        dir.path(),
        Faults {
            delay_ms: 1,
            ..Faults::default()
        },
    )
    .await;
    let spool = MemorySpool::new(5);
    let mut total = 0;
    for round in 0..8 {
        (0..40).for_each(|_| spool.commit(Lane::Telemetry, 50 + round));
        total += 40 * (50 + round);
        let gateway = gateway(config(&[&platform.url()]), &spool);
        let before = spool.undelivered(Lane::Telemetry);
        within("some delivery", async {
            while spool.undelivered(Lane::Telemetry) >= before {
                tokio::task::yield_now().await;
            }
        })
        .await;
        gateway.kill().await;
    }
    let gateway = gateway(config(&[&platform.url()]), &spool);
    within("delivery", spool.drained()).await;
    gateway.stop().await;
    platform.stop().await.unwrap();
    assert_stored(dir.path(), total);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_readings_are_told_with_their_reason_and_block_nothing() {
    let dir = TempDir::new().unwrap();
    let faults = Faults {
        refuse_every: 10,
        ..Faults::default()
    };
    let platform = platform(dir.path(), faults).await;
    let spool = MemorySpool::new(6);
    (0..20).for_each(|_| spool.commit(Lane::Bulk, 25));
    let gateway = gateway(config(&[&platform.url()]), &spool);
    within("delivery", spool.drained()).await;
    let refused = spool.refused_readings(Lane::Bulk);
    let sequences: Vec<u64> = refused.iter().map(|(sequence, _)| *sequence).collect();
    assert_eq!(sequences, (0..500).step_by(10).collect::<Vec<_>>());
    assert!(refused[0].1.contains("every 10th"));
    let snapshot = platform.handle().snapshot();
    assert_eq!((snapshot.readings, snapshot.refused), (450, 50));
    gateway.stop().await;
    platform.stop().await.unwrap();
    assert_stored(dir.path(), 450);
}

fn an_hour_ago() -> UnixNanos {
    UnixNanos(SystemClock.now().0 - 3_600_000_000_000)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_readings_overtake_a_backlog_that_drains_beside_them() {
    let dir = TempDir::new().unwrap();
    let platform = platform(dir.path(), Faults::default()).await;
    let spool = MemorySpool::new(7);
    (0..200).for_each(|_| spool.commit_at(Lane::Telemetry, 50, an_hour_ago()));
    // 10,000 readings of backlog at 5,000/s take 2 s
    let slow = UplinkConfig {
        backlog_rate_max: 5_000,
        ..config(&[&platform.url()])
    };
    let gateway = gateway(slow, &spool);
    let handle = platform.handle();
    within("the backlog to begin", async {
        while handle.snapshot().readings == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    spool.commit(Lane::Telemetry, 5);
    within("the live reading", async {
        while handle
            .snapshot()
            .positions
            .iter()
            .all(|p| p.ahead != [(10_000, 10_005)])
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let overtaken = handle.snapshot();
    assert!(
        overtaken.readings < 9_000,
        "the backlog was not slow: {}",
        overtaken.readings
    );
    within("the backlog", spool.drained()).await;
    assert!(
        handle
            .snapshot()
            .positions
            .iter()
            .all(|position| position.ahead.is_empty())
    );
    gateway.stop().await;
    platform.stop().await.unwrap();
    assert_stored(dir.path(), 10_005);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_that_takes_in_sequence_only_gets_the_backlog_first() {
    let dir = TempDir::new().unwrap();
    let mut platform_config = PlatformConfig::local(dir.path().to_owned());
    platform_config.accepts_ahead = AcceptsAhead::No;
    let platform = start(platform_config).await.unwrap();
    let spool = MemorySpool::new(8);
    (0..100).for_each(|_| spool.commit_at(Lane::Telemetry, 50, an_hour_ago()));
    let slow = UplinkConfig {
        backlog_rate_max: 1,
        ..config(&[&platform.url()])
    };
    let gateway = gateway(slow, &spool);
    spool.commit(Lane::Telemetry, 5);
    within("delivery", spool.drained()).await;
    gateway.stop().await;
    platform.stop().await.unwrap();
    assert_stored(dir.path(), 5_005);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alarm_does_not_wait_for_a_telemetry_backlog() {
    let dir = TempDir::new().unwrap();
    // every batch takes 20 ms: 20,000 readings of telemetry keep the other stream busy for seconds
    let platform = platform(
        dir.path(),
        Faults {
            delay_ms: 20,
            ..Faults::default()
        },
    )
    .await;
    let spool = MemorySpool::new(9);
    (0..400).for_each(|_| spool.commit(Lane::Telemetry, 50));
    let gateway = gateway(config(&[&platform.url()]), &spool);
    let handle = platform.handle();
    within("telemetry to flow", async {
        while handle.snapshot().readings == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    spool.commit(Lane::Alarm, 1);
    within("the alarm", spool.lane_drained(Lane::Alarm)).await;
    assert!(
        spool.undelivered(Lane::Telemetry) > 5_000,
        "telemetry was not slow"
    );
    gateway.kill().await;
    platform.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_are_tried_in_turn_and_the_next_takes_over() {
    let (dir, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let refusing = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}", refusing.local_addr().unwrap());
    drop(refusing);
    let status = Faults {
        status: Some("permission_denied".to_owned()),
        ..Faults::default()
    };
    let denying = platform(other.path(), status).await;
    let willing = platform(dir.path(), Faults::default()).await;
    let spool = MemorySpool::new(10);
    (0..20).for_each(|_| spool.commit(Lane::Alarm, 2));
    let gateway = gateway(config(&[&nobody, &denying.url(), &willing.url()]), &spool);
    within("delivery", spool.drained()).await;
    let groups = gateway.status.groups();
    assert_eq!(groups[0].connected.as_deref(), Some(willing.url().as_str()));
    assert!(
        groups[0]
            .last_error
            .as_ref()
            .unwrap()
            .1
            .contains("permission"),
        "{groups:?}"
    );
    gateway.stop().await;
    denying.stop().await.unwrap();
    willing.stop().await.unwrap();
    assert_stored(dir.path(), 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_without_zstd_is_spoken_to_uncompressed() {
    let dir = TempDir::new().unwrap();
    let mut platform_config = PlatformConfig::local(dir.path().to_owned());
    platform_config.compression = false;
    let platform = start(platform_config).await.unwrap();
    let spool = MemorySpool::new(11);
    (0..20).for_each(|_| spool.commit(Lane::Telemetry, 50));
    let zstd = UplinkConfig {
        compression: Compression::Zstd,
        ..config(&[&platform.url()])
    };
    let gateway = gateway(zstd, &spool);
    within("delivery", spool.drained()).await;
    gateway.stop().await;
    platform.stop().await.unwrap();
    assert_stored(dir.path(), 1_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_restored_from_an_older_backup_gets_gaps_for_what_is_gone() {
    let (lost, dir) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let spool = MemorySpool::new(12);
    spool.commit(Lane::Telemetry, 50);
    let first = platform(lost.path(), Faults::default()).await;
    let running = gateway(config(&[&first.url()]), &spool);
    within("delivery", spool.drained()).await;
    running.stop().await;
    first.stop().await.unwrap();
    let second = platform(dir.path(), Faults::default()).await;
    spool.commit(Lane::Telemetry, 7);
    let running = gateway(config(&[&second.url()]), &spool);
    within("delivery", spool.drained()).await;
    running.stop().await;
    second.stop().await.unwrap();
    assert_stored(dir.path(), 7);
    let gaps = StoredData::open(dir.path()).unwrap().gaps().unwrap();
    assert_eq!((gaps.len(), gaps[0].first, gaps[0].next), (1, 0, 50));
    assert!(gaps[0].note.contains("OPERATOR"), "{gaps:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_read_beside_a_running_platform() {
    let dir = TempDir::new().unwrap();
    let platform = platform(dir.path(), Faults::default()).await;
    let spool = MemorySpool::new(13);
    (0..20).for_each(|_| spool.commit(Lane::Telemetry, 50));
    let gateway = gateway(config(&[&platform.url()]), &spool);
    within("delivery", spool.drained()).await;
    assert_stored(dir.path(), 1_000);
    let data = StoredData::open(dir.path()).unwrap();
    assert_eq!(data.counts().unwrap().classes["water_level"], 500);
    assert_eq!(data.devices().unwrap().len(), 14);
    assert_eq!(
        data.positions()
            .unwrap()
            .iter()
            .map(|(_, p)| p.next())
            .max(),
        Some(1_000)
    );
    gateway.stop().await;
    platform.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_that_breaks_the_contract_is_reported_and_not_obeyed() {
    let never_sent = liar::start(|lane| liar::accepted(lane, 1_000)).await;
    let backwards = liar::start(|lane| liar::refused(lane, 999)).await;
    for (liar, complaint) in [
        (never_sent, "accepted 0..1000"),
        (backwards, "refused 999..1000"),
    ] {
        let spool = MemorySpool::new(14);
        spool.commit(Lane::Alarm, 10);
        let gateway = gateway(config(&[&liar.url]), &spool);
        within("the complaint", async {
            while !gateway.status.groups()[0]
                .last_error
                .as_ref()
                .is_some_and(|e| e.1.contains(complaint))
            {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(spool.undelivered(Lane::Alarm), 10, "it was obeyed");
        assert!(
            spool.refused_readings(Lane::Alarm).is_empty(),
            "it was obeyed"
        );
        gateway.stop().await;
        liar.tasks.stop(PATIENCE).await.unwrap();
    }
}
