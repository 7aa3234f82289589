//! TLS handshakes that never come to an end, and what can be abused once they have: renegotiation, key updates,
//! resumption.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, ConnectionTrafficSecrets, ContentType, ProtocolVersion,
    RootCertStore, ServerConfig, ServerConnection, StreamOwned, SupportedCipherSuite,
    client::Resumption,
    crypto::{
        CryptoProvider,
        cipher::{MessageEncrypter, OutboundPlainMessage},
        ring,
    },
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};
use tempfile::TempDir;

use super::{
    raw::{Connect, Raw, V5},
    scene::Scene,
};
use crate::support::{DEADLINE, Node};

type Tls = StreamOwned<ClientConnection, TcpStream>;

/// A server's certificate, in files and for clients.
struct Office {
    dir: TempDir,
    authority: CertificateDer<'static>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Office {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let cert = params.signed_by(&key, &authority).unwrap();
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("cert.pem"), cert.pem()).unwrap();
        fs::write(dir.path().join("key.pem"), key.serialize_pem()).unwrap();
        Self {
            dir,
            authority: authority.der().clone(),
            chain: vec![cert.der().clone()],
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        }
    }

    /// A daemon that listens with TLS too; the second address is that one.
    fn scene(&self, flags: &[&str]) -> (Scene, SocketAddr) {
        let file = |name| self.dir.path().join(name).display().to_string();
        let (cert, key) = (file("cert.pem"), file("key.pem"));
        let url = format!("mqtts://127.0.0.1:0?cert={cert}&key={key}");
        let flags = [&["--mqtt-listen", &url], flags].concat();
        let scene = Scene::on(Node::new(&flags));
        let address = scene.gateway.listeners[1].1;
        (scene, address)
    }

    fn client(&self, provider: CryptoProvider) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone()).unwrap();
        ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }
}

fn localhost() -> ServerName<'static> {
    "localhost".try_into().unwrap()
}

/// A handshake up to its end.
fn handshake(address: SocketAddr, config: &Arc<ClientConfig>) -> io::Result<Tls> {
    let socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(DEADLINE))?;
    let client = ClientConnection::new(Arc::clone(config), localhost()).unwrap();
    let mut tls = StreamOwned::new(client, socket);
    while tls.conn.is_handshaking() {
        tls.conn.complete_io(&mut tls.sock)?;
    }
    Ok(tls)
}

/// A device that is connected over TLS.
fn device(address: SocketAddr, config: &Arc<ClientConfig>, name: &str) -> Tls {
    let mut tls = handshake(address, config).unwrap();
    tls.write_all(&Connect::of(V5, name).bytes()).unwrap();
    let mut head = [0; 4];
    tls.read_exact(&mut head).unwrap();
    assert_eq!((head[0], head[3]), (0x20, 0), "{head:x?}");
    let mut rest = vec![0; usize::from(head[1]) - 2];
    tls.read_exact(&mut rest).unwrap();
    tls
}

/// A device that is served over TLS now.
fn is_served(address: SocketAddr, config: &Arc<ClientConfig>, name: &str) {
    let mut tls = device(address, config, name);
    tls.write_all(&[0xc0, 0]).unwrap();
    let mut pong = [0; 2];
    tls.read_exact(&mut pong).unwrap();
    assert_eq!(pong, [0xd0, 0]);
}

/// The bytes that a client begins with.
fn client_hello(config: &Arc<ClientConfig>) -> Vec<u8> {
    let mut client = ClientConnection::new(Arc::clone(config), localhost()).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

#[test]
fn silent_tls_handshakes_end_at_the_connect_deadline_and_nobody_waits_behind_them() {
    let office = Office::new();
    let (scene, address) = office.scene(&["--mqtt-connect-deadline", "2s"]);
    let config = Arc::new(office.client(ring::default_provider()));
    let hello = client_hello(&config);
    let mut silent: Vec<_> = (0..300).map(|_| Raw::dial(address)).collect();
    for (n, client) in silent.iter_mut().enumerate() {
        match n % 3 {
            0 => {}
            1 => client.send(&hello[..hello.len() / 2]),
            // All of it, and then no word any more.
            _ => client.send(&hello),
        }
    }
    // And some that finish the handshake, and say nothing in MQTT.
    let done: Vec<_> = (0..20)
        .map(|_| handshake(address, &config).unwrap())
        .collect();
    for n in 0..5 {
        is_served(address, &config, &format!("tls-{n}"));
    }
    scene.clean_is_served();
    for client in &mut silent {
        client.drain();
    }
    for mut client in done {
        drop(client.read_to_end(&mut Vec::new()));
    }
    scene.close();
}

#[test]
fn what_is_no_tls_on_the_tls_port_ends_at_once() {
    let office = Office::new();
    let (scene, address) = office.scene(&[]);
    // A handshake message of 16 MB, in records of 16 KB.
    let mut endless = b"\x16\x03\x01\x40\x00\x01\xff\xff\xff".to_vec();
    endless.resize(5 + 0x4000, 0);
    for _ in 0..20 {
        endless.extend_from_slice(b"\x16\x03\x01\x40\x00");
        endless.resize(endless.len() + 0x4000, 0);
    }
    let words: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        &Connect::of(V5, "plain").bytes(),
        // SSL 2, an alert, application data before any key, and the endless one.
        b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10",
        b"\x15\x03\x01\x00\x02\x02\x28",
        b"\x17\x03\x03\x00\x05hello",
        &endless,
    ];
    for word in words {
        for _ in 0..10 {
            let mut client = Raw::dial(address);
            client.send(word);
            client.drain();
        }
    }
    scene.close();
}

#[test]
fn renegotiation_is_refused_and_asking_for_it_again_ends_the_connection() {
    let office = Office::new();
    let (scene, address) = office.scene(&[]);
    let suite = ring::cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256;
    let mut config = office.client(CryptoProvider {
        cipher_suites: vec![suite],
        ..ring::default_provider()
    });
    config.enable_secret_extraction = true;
    let config = Arc::new(config);
    for n in 0..20 {
        let tls = device(address, &config, &format!("again-{n}"));
        let StreamOwned { conn, sock, .. } = tls;
        let (seq, secrets) = conn.dangerous_extract_secrets().unwrap().tx;
        let records = hellos(encrypter(suite, secrets), seq, 100);
        let mut client = Raw::over(sock);
        client.send(&records);
        client.drain();
    }
    scene.close();
}

/// Something that encrypts as the connection would have.
fn encrypter(
    suite: SupportedCipherSuite,
    secrets: ConnectionTrafficSecrets,
) -> Box<dyn MessageEncrypter> {
    match (suite, secrets) {
        (
            SupportedCipherSuite::Tls12(suite),
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv },
        ) => suite.aead_alg.encrypter(key, iv.as_ref(), &[]),
        _ => panic!("another suite than was asked for"),
    }
}

/// So many `ClientHellos` as records of a connection that is long established.
fn hellos(mut encrypter: Box<dyn MessageEncrypter>, seq: u64, count: u64) -> Vec<u8> {
    let mut hello = vec![0x01, 0, 0, 41, 3, 3];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0xcc, 0xa9, 1, 0]);
    let encrypt = |seq| {
        let message = OutboundPlainMessage {
            typ: ContentType::Handshake,
            version: ProtocolVersion::TLSv1_2,
            payload: hello.as_slice().into(),
        };
        encrypter.encrypt(message, seq).unwrap().encode()
    };
    (seq..seq + count).flat_map(encrypt).collect()
}

#[test]
fn a_flood_of_key_updates_ends_the_connection_or_costs_nobody_else_anything() {
    let office = Office::new();
    let (scene, address) = office.scene(&[]);
    let config = Arc::new(office.client(ring::default_provider()));
    let mut crowd: Vec<_> = (0..4)
        .map(|n| {
            let mut tls = device(address, &config, &format!("keys-{n}"));
            thread::spawn(move || {
                for _ in 0..2000 {
                    let refreshed = tls.conn.refresh_traffic_keys();
                    if refreshed.is_err() || tls.conn.write_tls(&mut tls.sock).is_err() {
                        break;
                    }
                }
                tls
            })
        })
        .collect();
    for _ in 0..3 {
        scene.clean_is_served();
        is_served(address, &config, "tls");
    }
    drop(
        crowd
            .drain(..)
            .map(|thread| thread.join().unwrap())
            .collect::<Vec<_>>(),
    );
    scene.close();
}

#[test]
fn tickets_used_again_and_tickets_of_others_cost_a_handshake_at_most() {
    let office = Office::new();
    let (scene, address) = office.scene(&[]);
    let mut config = office.client(ring::default_provider());
    config.resumption = Resumption::in_memory_sessions(32);
    let config = Arc::new(config);
    for n in 0..300 {
        is_served(address, &config, &format!("ticket-{}", n % 7));
    }
    // Tickets of another server with the same name, which mean nothing here.
    let elsewhere = another_server(&office);
    for n in 0..50 {
        drop(handshake(elsewhere, &config).and_then(|mut tls| tls.read(&mut [0; 1])));
        is_served(address, &config, &format!("foreign-{}", n % 7));
    }
    scene.close();
}

/// A server with the same certificate and tickets of its own; serves as long as the test runs.
fn another_server(office: &Office) -> SocketAddr {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(office.chain.clone(), office.key.clone_key())
        .unwrap();
    config.ticketer = ring::Ticketer::new().unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut socket in listener.incoming().map_while(Result::ok) {
            let mut server = ServerConnection::new(Arc::clone(&config)).unwrap();
            while server.is_handshaking() && server.complete_io(&mut socket).is_ok() {}
            server.writer().write_all(b"x").unwrap();
            drop(server.complete_io(&mut socket));
        }
    });
    address
}

#[test]
fn handshakes_cut_off_anywhere_leave_nothing_behind() {
    let office = Office::new();
    let (scene, address) = office.scene(&[]);
    let config = Arc::new(office.client(ring::default_provider()));
    let hello = client_hello(&config);
    for end in 0..1000 {
        let mut client = Raw::dial(address);
        client.send(&hello[..end % (hello.len() + 1)]);
        client.reset();
    }
    is_served(address, &config, "tls");
    scene.close();
}
