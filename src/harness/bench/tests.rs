//! The loads against the yardstick's server, or against a server of TLS, briefly: that they measure, not what.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
};

use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};

use super::*;
use crate::harness::{
    client::remaining_length,
    devices::Unacknowledged,
    yardstick::{Served, Server},
};

fn with_server<T>(load: impl FnOnce(SocketAddr) -> T) -> (T, Served) {
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
        memory: None,
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

#[test]
fn a_storm_is_over_when_all_are_back_and_the_others_readings_are_timed_throughout() {
    let ((steady, storm), served) = with_server(|server| {
        let signal = Arc::new(Signal::default());
        let paced = Paced {
            server,
            devices: 7,
            per_s: 700,
            entry: Entry::anonymous(),
        };
        let rush = Rush {
            server,
            process_id: std::process::id(),
            devices: 40,
            entry: Entry {
                sessions: Unacknowledged::SendAgain,
                ..Entry::anonymous()
            },
            calm: Duration::from_millis(200),
            away: Duration::from_millis(50),
        };
        let for_paced = Arc::clone(&signal);
        let steady = thread::spawn(move || paced.run(&for_paced).unwrap());
        let storm = rush.run(&signal).unwrap();
        (steady.join().unwrap(), storm)
    });
    assert_eq!(storm.back.count(), 40);
    assert!(storm.turned_away.is_empty());
    assert_eq!(steady.acknowledged_in_all, served.publishes);
    let (before, during) = (steady.before.count(), steady.during.count());
    assert!(before > 0 && before + during < served.publishes);
}

/// MQTT over TLS, just enough for a load: a thread for each connection, until the client leaves.
fn serve_tls(office: &Office, clients: Option<RootCertStore>) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = match clients {
        None => config.with_no_client_auth(),
        Some(roots) => config.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .unwrap(),
        ),
    };
    let certificate = CertificateDer::from_pem_file(office.certificate()).unwrap();
    let key = PrivateKeyDer::from_pem_file(office.key()).unwrap();
    let config = Arc::new(config.with_single_cert(vec![certificate], key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let session = ServerConnection::new(Arc::clone(&config)).unwrap();
            let stream = StreamOwned::new(session, stream.unwrap());
            thread::spawn(move || answer(stream));
        }
    });
    address
}

fn answer(mut stream: StreamOwned<ServerConnection, std::net::TcpStream>) {
    let (mut bytes, mut some) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = stream.read(&mut some) {
        bytes.extend_from_slice(&some[..read]);
        while let Some((remaining, header)) = remaining_length(&bytes).unwrap() {
            if bytes.len() < header + remaining {
                break;
            }
            let rest = bytes.split_off(header + remaining);
            let packet = std::mem::replace(&mut bytes, rest);
            let topic = usize::from(packet[header]) << 8 | usize::from(packet[header + 1]);
            let answer: &[u8] = match packet[0] >> 4 {
                1 => &[0x20, 3, 0, 0, 0],
                3 => &[
                    0x40,
                    2,
                    packet[header + 2 + topic],
                    packet[header + 3 + topic],
                ],
                8 => &[0x90, 4, packet[header], packet[header + 1], 0, 1],
                _ => return,
            };
            stream.write_all(answer).unwrap();
        }
    }
}

#[test]
fn loads_run_over_tls_with_and_without_certificates_of_their_own() {
    let dir = tempfile::TempDir::new().unwrap();
    let office = Arc::new(Office::open(dir.path()).unwrap());
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(office.authority()).unwrap();
    roots.add(authority).unwrap();
    let tls = serve_tls(&office, None);
    let mutual = serve_tls(&office, Some(roots));
    for (server, seal) in [
        (tls, Seal::Tls(office.tls().clone())),
        (mutual, Seal::Mutual(Arc::clone(&office))),
    ] {
        let entry = Entry {
            seal,
            ..Entry::anonymous()
        };
        let load = Closed {
            server,
            process_id: std::process::id(),
            connections: 3,
            window: 200,
            entry: entry.clone(),
            warm_up: Duration::from_millis(20),
            measured: Duration::from_millis(100),
        };
        assert!(load.run().unwrap().acknowledged > 0);
        let herd = Herd {
            server,
            process_id: std::process::id(),
            entry,
            counts: [2, 5],
            settle: Duration::ZERO,
        };
        let outcome = herd.run().unwrap();
        assert_eq!(outcome.connections, 3);
        assert!(outcome.connects_per_s() > 0.0);
        assert!(outcome.resident[0] > 0 && outcome.resident[1] > 0);
    }
    let stranger = Closed {
        server: mutual,
        process_id: std::process::id(),
        connections: 1,
        window: 1,
        entry: Entry {
            seal: Seal::Tls(office.tls().clone()),
            ..Entry::anonymous()
        },
        warm_up: Duration::ZERO,
        measured: Duration::ZERO,
    };
    assert!(stranger.run().is_err(), "a certificate was asked for");
}
