//! The loads against the yardstick's server, briefly: that they measure, not what.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use super::*;
use crate::harness::yardstick::{Served, Server};

fn with_server<T>(load: impl FnOnce(std::net::SocketAddr) -> T) -> (T, Served) {
    let server = Server::bind(
        "127.0.0.1:0".parse().unwrap(),
        tempfile::tempfile().unwrap(),
    )
    .unwrap();
    let address = server.address().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let serving = thread::spawn(move || server.run(&stopped).unwrap());
    let found = load(address);
    stop.store(true, Ordering::Relaxed);
    (found, serving.join().unwrap())
}

#[test]
fn a_closed_load_counts_what_the_server_acknowledged() {
    let (outcome, served) = with_server(|server| {
        Closed {
            server,
            process_id: std::process::id(),
            connections: 20,
            window: 3,
            entry: Entry::keyed(b"0123456789abcdef".to_vec()),
            warm_up: Duration::from_millis(20),
            measured: Duration::from_millis(100),
        }
        .run()
        .unwrap()
    });
    assert_eq!(outcome.acknowledged_in_all, served.publishes);
    assert!(outcome.acknowledged > 0 && outcome.acknowledged < served.publishes);
    assert_eq!(outcome.rejected, 0);
    assert_eq!(outcome.latency.count(), outcome.acknowledged);
    assert!(outcome.rate() > 0.0);
}

#[test]
fn an_idle_load_connects_subscribes_and_looks_on() {
    let (outcome, served) = with_server(|server| {
        Idle {
            server,
            process_id: std::process::id(),
            connections: 100,
            key: b"0123456789abcdef".to_vec(),
            settle: Duration::ZERO,
            measured: Duration::from_millis(50),
        }
        .run()
        .unwrap()
    });
    assert_eq!((outcome.connections, served.publishes), (100, 0));
    assert!(outcome.connects_per_s() > 0.0);
}

#[test]
fn the_benchs_payload_is_one_that_the_gateway_reads() {
    use crate::{
        domain::UnixNanos,
        normalise::{Classes, Encoded, Limits, Payload, PayloadFormat, normalise},
    };
    let text = readings::PAYLOAD
        .replace('#', "7")
        .replace("TTTTTTTTTTTTT", "1800000000000");
    assert_eq!(text.len(), payload_bytes());
    let classes = Classes::embedded().unwrap();
    let payload = Payload {
        device: "d",
        format: PayloadFormat::Json,
        bytes: text.as_bytes(),
        received_at: UnixNanos::from_millis(1_800_000_000_000),
        attributes: &[],
    };
    let mut out = Encoded::default();
    let limits = Limits {
        readings_per_payload_max: 1,
        reading_bytes_max: 1024,
        skew_max: Duration::from_secs(1),
    };
    normalise(classes.get(CLASS).unwrap(), &payload, &limits, &mut out).unwrap();
    assert_eq!((out.count, out.skewed, out.out_of_range), (1, 0, 0));
}
