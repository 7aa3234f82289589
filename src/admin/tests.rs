//! The pages over a real socket, and the notifications over a real datagram socket.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};
use std::{os::unix::net::UnixDatagram, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::*;
use crate::domain::Lane;

#[derive(Default)]
struct Fake {
    dead: AtomicBool,
    unready: Mutex<Vec<String>>,
}

impl Status for Fake {
    fn dead(&self) -> Vec<String> {
        let dead = self.dead.load(Ordering::SeqCst);
        dead.then(|| "task uplink is gone".to_owned())
            .into_iter()
            .collect()
    }

    fn unready(&self) -> Vec<String> {
        self.unready.lock().unwrap().clone()
    }

    fn report(&self) -> Report {
        Report {
            gateway_id: "gw-<1>".to_owned(),
            lanes: vec![LaneReport {
                lane: Lane::Alarm,
                received: 10,
                delivered: 7,
                spooled: 2,
                quarantined: 0,
                suppressed: 0,
                dropped: vec![DropReport {
                    reason: "capacity",
                    readings: 1,
                }],
                balances: true,
                bytes: 200,
                bytes_max: 1000,
                oldest_age_s: 75,
            }],
            uplinks: vec![UplinkReport {
                lanes: "alarm".to_owned(),
                platform: "http://platform:7443".to_owned(),
                state: "waiting".to_owned(),
                connected: false,
                in_flight_bytes: 0,
            }],
            offenders: self.offenders(),
            ..Report::default()
        }
    }

    fn offenders(&self) -> OffendersReport {
        OffendersReport {
            identities: vec![OffenderReport {
                name: "manhole_cover/<7>".to_owned(),
                count: 12,
                error: 2,
                limit: "messages",
                last_seen: "2026-11-23T00:00:00Z".to_owned(),
            }],
            addresses: Vec::new(),
        }
    }
}

async fn started(status: &Arc<Fake>) -> (SocketAddr, CancellationToken) {
    let admin = Admin::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = admin.address();
    let token = CancellationToken::new();
    let exporter = Exporter::detached();
    let task = admin.serve(Arc::clone(status), exporter, token.clone());
    tokio_util::task::TaskTracker::new().spawn(task);
    (address, token)
}

async fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_dead_task_is_unhealthy_and_an_unwritable_spool_only_unready() {
    let status = Arc::new(Fake::default());
    let (address, _token) = started(&status).await;
    assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200"));
    status
        .unready
        .lock()
        .unwrap()
        .push("spool: disk is full".to_owned());
    assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
    let unready = get(address, "/readyz").await;
    assert!(
        unready.starts_with("HTTP/1.1 503") && unready.contains("disk is full"),
        "{unready}"
    );
    status.dead.store(true, Ordering::SeqCst);
    let dead = get(address, "/healthz").await;
    assert!(
        dead.starts_with("HTTP/1.1 503") && dead.contains("task uplink is gone"),
        "{dead}"
    );
}

#[tokio::test]
async fn the_pages_show_the_ledger_and_close_their_connections() {
    let (address, _token) = started(&Arc::default()).await;
    let page = get(address, "/").await;
    assert!(
        page.contains("gw-&lt;1&gt;") && page.contains("1 capacity"),
        "{page}"
    );
    assert!(page.contains("1 min 15 s"), "{page}");
    assert!(page.contains("manhole_cover/&lt;7&gt;"), "{page}");
    let json = get(address, "/offenders.json").await;
    let (_, body) = json.split_once("\r\n\r\n").unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["identities"][0]["limit"], "messages");
    assert_eq!(body["addresses"].as_array().map(Vec::len), Some(0));
    let json = get(address, "/status.json").await;
    let (_, body) = json.split_once("\r\n\r\n").unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["lanes"][0]["lane"], "alarm");
    let metrics = get(address, "/metrics").await;
    assert!(
        metrics.contains("content-type: text/plain; version=0.0.4"),
        "{metrics}"
    );
    assert!(get(address, "/nothing").await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn a_request_without_end_is_cut() {
    let (address, _token) = started(&Arc::default()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nX: ").await.unwrap();
    let endless = [b'x'; 4096];
    let cut = async { while stream.write_all(&endless).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(30), cut)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_port_in_use_is_said_in_one_line_with_its_key() {
    let first = Admin::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let error = Admin::bind(first.address()).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("admin.listen: {}: ", first.address())),
        "{text}"
    );
    assert_eq!(error.exit_code(), 69);
}

/// Next datagram that has this line.
fn heard(socket: &UnixDatagram, wanted: &str) -> bool {
    let mut bytes = [0_u8; 4096];
    while let Ok(length) = socket.recv(&mut bytes) {
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        if text.lines().any(|line| line.starts_with(wanted)) {
            return true;
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn systemd_hears_all_and_the_watchdog_starves_when_a_task_dies() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    let notifier =
        Arc::new(Notifier::to(path.as_os_str(), Some(Duration::from_millis(20))).unwrap());
    notifier.ready();
    assert!(heard(&socket, "READY=1"));
    notifier.reloading();
    assert!(heard(&socket, "MONOTONIC_USEC="));
    let status = Arc::new(Fake::default());
    let token = CancellationToken::new();
    let task = Arc::clone(&notifier).beat(Arc::clone(&status), token.clone());
    tokio_util::task::TaskTracker::new().spawn(task);
    assert!(heard(&socket, "WATCHDOG=1"));
    status.dead.store(true, Ordering::SeqCst);
    assert!(heard(
        &socket,
        "STATUS=0 readings/s, 0 connections, backlog 2; task uplink is gone"
    ));
    // From the line that knows of the death on, no datagram feeds the watchdog.
    socket
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    assert!(!heard_within(&socket, "WATCHDOG=1", 5));
    token.cancel();
    notifier.stopping();
    socket
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    assert!(heard(&socket, "STOPPING=1"));
}

fn heard_within(socket: &UnixDatagram, wanted: &str, datagrams: usize) -> bool {
    let mut bytes = [0_u8; 4096];
    (0..datagrams).any(|_| {
        socket
            .recv(&mut bytes)
            .is_ok_and(|length| String::from_utf8_lossy(&bytes[..length]).contains(wanted))
    })
}
