//! Streams of every transport over real sockets, with certificates made on the spot and clients of other makers.

use std::{fs, path::Path, time::Duration};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams,
    SerialNumber, date_time_ymd,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::*;
use crate::{config::Config, domain::SystemClock};

const PATIENCE: Duration = Duration::from_secs(20);

/// A certificate authority and its files.
struct Office {
    dir: TempDir,
    ca: CertifiedIssuer<'static, KeyPair>,
}

struct Issued {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Office {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "office");
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let office = Self {
            dir: TempDir::new().unwrap(),
            ca,
        };
        office.write("ca.pem", &office.ca.pem());
        office.serve("localhost");
        office.revoke(&[]);
        office
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// A new server certificate, as files.
    fn serve(&self, name: &str) {
        let params = CertificateParams::new(vec![name.to_owned(), "localhost".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.ca).unwrap();
        self.write("cert.pem", &cert.pem());
        self.write("key.pem", &key.serialize_pem());
    }

    fn issue(&self, name: &str, serial: u8) -> Issued {
        let mut params = CertificateParams::default();
        params.serial_number = Some(SerialNumber::from_slice(&[serial]));
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.ca).unwrap();
        Issued {
            chain: vec![cert.der().clone()],
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        }
    }

    fn revoke(&self, serials: &[u8]) {
        let entry = |serial: &u8| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&[*serial]),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(2100, 1, 1),
            crl_number: SerialNumber::from_slice(&[1]),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        self.write("crl.pem", &list.signed_by(&self.ca).unwrap().pem().unwrap());
    }

    fn client(&self, issued: Option<&Issued>, fragment: Option<usize>) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match issued {
            None => builder.with_no_client_auth(),
            Some(issued) => builder
                .with_client_auth_cert(issued.chain.clone(), issued.key.clone_key())
                .unwrap(),
        };
        config.max_fragment_size = fragment;
        TlsConnector::from(Arc::new(config))
    }

    fn transport(&self, url: &str) -> Transport {
        let config = Config::with(&[
            ("mqtt.tls_cert_file", &self.path("cert.pem")),
            ("mqtt.tls_key_file", &self.path("key.pem")),
            ("mqtt.tls_client_ca_file", &self.path("ca.pem")),
            ("mqtt.tls_crl_files", &self.path("crl.pem")),
            ("mqtt.listen", url),
        ])
        .unwrap();
        Transport::load(&config.mqtt, Arc::new(SystemClock)).unwrap()
    }
}

/// A client's socket and the broker's stream.
async fn pair(transport: &Transport) -> (TcpStream, Stream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    let port = transport.ports().next().unwrap();
    let client = client.unwrap();
    client.set_nodelay(true).unwrap();
    (client, port.stream(accepted.unwrap().0).unwrap())
}

fn server_name() -> ServerName<'static> {
    "localhost".try_into().unwrap()
}

/// Sends back what comes until the end, and closes.
async fn echo(mut stream: Stream) -> (std::io::Result<u64>, Stream) {
    let ended = echo_all(&mut stream).await;
    let _closed = stream.shutdown().await;
    (ended, stream)
}

async fn echo_all(stream: &mut Stream) -> std::io::Result<u64> {
    let mut buffer = vec![0; 64 * 1024];
    let mut total = 0;
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(total);
        }
        total += count as u64;
        stream.write_all(&buffer[..count]).await?;
    }
}

fn payload() -> Vec<u8> {
    (0..300_000_u32).flat_map(u32::to_le_bytes).collect()
}

/// Sends the payload and reads it back.
async fn exchange<S: tokio::io::AsyncRead + tokio::io::AsyncWrite>(stream: S) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let sent = payload();
    let mut heard = vec![0; sent.len()];
    let (written, read) = tokio::join!(writer.write_all(&sent), reader.read_exact(&mut heard));
    written.unwrap();
    read.unwrap();
    assert!(sent == heard);
    writer.shutdown().await.unwrap();
}

#[tokio::test]
async fn plain_and_sealed_bytes_come_through_as_they_were() {
    let office = Office::new();
    let (client, stream) = pair(&office.transport("mqtt://127.0.0.1:0")).await;
    let (_, (echoed, _)) = tokio::join!(exchange(client), echo(stream));
    assert_eq!(echoed.unwrap(), 1_200_000);
    for fragment in [None, Some(300)] {
        let (client, stream) = pair(&office.transport("mqtts://127.0.0.1:0")).await;
        let talk = async {
            let connector = office.client(None, fragment);
            exchange(connector.connect(server_name(), client).await.unwrap()).await;
        };
        let (_, (echoed, _)) = tokio::join!(talk, echo(stream));
        assert_eq!(echoed.unwrap(), 1_200_000);
    }
}

/// Passes the client's bytes on one by one.
async fn dribble(client: TcpStream, inner: TcpStream) {
    let (mut from, mut back) = inner.into_split();
    let (mut answers, mut to) = client.into_split();
    let there = async {
        let mut byte = [0];
        while matches!(from.read(&mut byte).await, Ok(1)) {
            to.write_all(&byte).await.unwrap();
        }
        drop(to);
    };
    let here = async {
        let _copied = tokio::io::copy(&mut answers, &mut back).await;
    };
    tokio::join!(there, here);
}

#[tokio::test]
async fn a_handshake_byte_by_byte_in_small_records_gives_the_clients_certificate() {
    let office = Office::new();
    let transport = office.transport("mqtts://127.0.0.1:0?client-cert=required");
    let (client, stream) = pair(&transport).await;
    let relay = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dialled = TcpStream::connect(relay.local_addr().unwrap())
        .await
        .unwrap();
    let relayed = relay.accept().await.unwrap().0;
    let device = office.issue("manhole_cover/7", 7);
    let talk = async {
        let connector = office.client(Some(&device), Some(64));
        let mut tls = connector.connect(server_name(), dialled).await.unwrap();
        tls.write_all(b"hello").await.unwrap();
        let mut heard = [0; 5];
        tls.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"hello");
        tls.shutdown().await.unwrap();
    };
    let (_, (echoed, stream), _) = tokio::join!(talk, echo(stream), dribble(client, relayed));
    assert_eq!(echoed.unwrap(), 5);
    let certificate = stream.certificate().unwrap();
    assert_eq!(certificate.common_name.as_deref(), Some("manhole_cover/7"));
    assert_eq!(*certificate.serial, [7]);
}

#[tokio::test]
async fn bytes_count_as_written_only_once_the_socket_has_taken_them() {
    let office = Office::new();
    let (client, mut stream) = pair(&office.transport("mqtts://127.0.0.1:0")).await;
    let connector = office.client(None, None);
    let mut begun = [0];
    let (client, _) = tokio::join!(
        async {
            let mut tls = connector.connect(server_name(), client).await.unwrap();
            tls.write_all(b"!").await.unwrap();
            tls
        },
        stream.read_exact(&mut begun)
    );
    let sent = vec![7_u8; 32 << 20];
    let (mut reader, mut writer) = tokio::io::split(client);
    let stuck = timeout(Duration::from_millis(300), stream.write_all(&sent)).await;
    assert!(stuck.is_err(), "nobody reads");
    // The abandoned write may have left any number of whole pieces: what comes is a prefix and goes on.
    let (_, heard) = tokio::join!(
        async {
            stream.write_all(&sent[..1 << 20]).await.unwrap();
            stream.shutdown().await.unwrap();
        },
        async {
            let mut heard = Vec::new();
            reader.read_to_end(&mut heard).await.unwrap();
            heard
        }
    );
    assert!(heard.len() >= 1 << 20 && heard.iter().all(|&byte| byte == 7));
    drop(writer.shutdown().await);
}

/// What a client hears that sends these bytes and then only reads.
async fn answer_to(transport: &Transport, bytes: &[u8]) -> (Vec<u8>, std::io::Result<u64>) {
    let (mut client, stream) = pair(transport).await;
    let talk = async {
        client.write_all(bytes).await.unwrap();
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).await.unwrap();
        drop(client);
        heard
    };
    let (heard, (echoed, _)) = timeout(PATIENCE, async { tokio::join!(talk, echo(stream)) })
        .await
        .unwrap();
    (heard, echoed)
}

#[tokio::test]
async fn what_is_no_tls_hears_an_alert_and_is_refused() {
    let office = Office::new();
    let transport = office.transport("mqtts://127.0.0.1:0");
    let endless = [&[22, 3, 1, 0x40, 0, 1, 0, 0xff, 0xf0][..], &[0; 16_380]].concat();
    let endless = [&endless[..], &[22, 3, 1, 0x40, 0], &[0; 16_384]].concat();
    for bytes in [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], &endless] {
        let (heard, echoed) = answer_to(&transport, bytes).await;
        assert!(echoed.is_err());
        assert!(heard.is_empty() || heard[0] == 21, "an alert: {heard:x?}");
    }
}

const REQUEST: &str = "GET /mqtt HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";

fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap() | 0x80;
    [&[first, length, 0, 0, 0, 0][..], payload].concat()
}

/// What comes after the answer to the request.
fn frames(heard: &[u8]) -> &[u8] {
    let end = heard
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    &heard[end + 4..]
}

#[tokio::test]
async fn a_websocket_carries_bytes_answers_pings_and_closes_as_asked() {
    let office = Office::new();
    let transport = office.transport("ws://127.0.0.1:0");
    let sent = [
        REQUEST.as_bytes(),
        &masked(0x82, b"ab"),
        &masked(0x89, b"ping"),
        &masked(0x88, &[0x03, 0xe8]),
    ]
    .concat();
    let (heard, echoed) = answer_to(&transport, &sent).await;
    assert_eq!(echoed.unwrap_or(2), 2);
    let frames = frames(&heard);
    assert!(
        frames
            .windows(6)
            .any(|six| six == [0x8a, 4, b'p', b'i', b'n', b'g']),
        "{frames:x?}"
    );
    assert!(frames.ends_with(&[0x88, 2, 0x03, 0xe8]), "{frames:x?}");
    let (heard, echoed) = answer_to(&transport, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(heard.starts_with(b"HTTP/1.1 404 ") && echoed.is_err());
    let text = [REQUEST.as_bytes(), &masked(0x81, b"ab")].concat();
    let (heard, echoed) = answer_to(&transport, &text).await;
    assert_eq!(self::frames(&heard), [0x88, 2, 0x03, 0xeb]);
    assert!(echoed.is_err());
}

#[tokio::test]
async fn a_websocket_over_tls_carries_more_than_a_record_both_ways() {
    let office = Office::new();
    let (client, stream) = pair(&office.transport("wss://127.0.0.1:0")).await;
    let talk = async {
        let connector = office.client(None, None);
        let tls = connector.connect(server_name(), client).await.unwrap();
        let (mut reader, mut writer) = tokio::io::split(tls);
        let sent = payload();
        let send = async {
            writer.write_all(REQUEST.as_bytes()).await.unwrap();
            for piece in sent.chunks(60_000) {
                let length = u16::try_from(piece.len()).unwrap().to_be_bytes();
                let head = [&[0x82, 0xfe][..], &length, &[0; 4]].concat();
                writer.write_all(&head).await.unwrap();
                writer.write_all(piece).await.unwrap();
            }
        };
        let hear = async {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(reader.read_u8().await.unwrap());
            }
            let mut heard = Vec::new();
            while heard.len() < sent.len() {
                assert_eq!(reader.read_u8().await.unwrap(), 0x82);
                let length = match reader.read_u8().await.unwrap() {
                    126 => usize::from(reader.read_u16().await.unwrap()),
                    short => usize::from(short),
                };
                let mut piece = vec![0; length];
                reader.read_exact(&mut piece).await.unwrap();
                heard.extend(piece);
            }
            heard
        };
        let ((), heard) = tokio::join!(send, hear);
        assert!(heard == sent);
    };
    let ((), (echoed, _)) = tokio::join!(talk, echo(stream));
    drop(echoed);
}

/// One handshake: whether the client heard a byte back, and the broker's stream.
async fn greet(transport: &Transport, connector: &TlsConnector) -> (bool, Stream) {
    let (client, stream) = pair(transport).await;
    let talk = async {
        let Ok(mut tls) = connector.connect(server_name(), client).await else {
            return false;
        };
        let mut heard = [0];
        tls.write_all(b"!").await.is_ok() && matches!(tls.read(&mut heard).await, Ok(1))
    };
    let (heard, (_, stream)) = timeout(PATIENCE, async { tokio::join!(talk, echo(stream)) })
        .await
        .unwrap();
    (heard, stream)
}

fn how(stream: &Stream) -> Option<super::metrics::Handshake> {
    match stream {
        Stream::Tls(tls) => tls.established(),
        _ => None,
    }
}

#[tokio::test]
async fn a_session_is_resumed_until_new_material_is_in_force() {
    use super::metrics::Handshake::{Done, Resumed};
    let office = Office::new();
    let transport = office.transport("mqtts://127.0.0.1:0?client-cert=optional");
    let device = office.issue("d/1", 1);
    let connector = office.client(Some(&device), None);
    for wanted in [Done, Resumed, Resumed] {
        let (heard, stream) = greet(&transport, &connector).await;
        assert!(heard);
        assert_eq!(how(&stream), Some(wanted));
        assert!(stream.certificate().is_some());
    }
    assert_eq!(transport.reload().unchanged, 1);
    office.serve("another");
    assert_eq!(transport.reload().replaced, 1);
    assert_eq!(how(&greet(&transport, &connector).await.1), Some(Done));
    let anonymous = office.client(None, None);
    let (heard, stream) = greet(&transport, &anonymous).await;
    assert!(heard && stream.certificate().is_none());
}

#[tokio::test]
async fn a_revoked_certificate_is_refused_and_known_and_a_wrong_list_changes_nothing() {
    let office = Office::new();
    let transport = office.transport("mqtts://127.0.0.1:0?client-cert=required");
    let (good, bad) = (office.issue("d/1", 1), office.issue("d/2", 2));
    let (good, bad) = (
        office.client(Some(&good), None),
        office.client(Some(&bad), None),
    );
    let (heard, live) = greet(&transport, &bad).await;
    assert!(heard);
    let certificate = live.certificate().unwrap();
    assert!(!transport.is_revoked(&certificate));
    office.revoke(&[2]);
    assert_eq!(transport.reload().replaced, 1);
    assert!(transport.is_revoked(&certificate));
    assert!(!greet(&transport, &bad).await.0);
    assert!(greet(&transport, &good).await.0);
    assert!(!greet(&transport, &office.client(None, None)).await.0);
    office.write("crl.pem", "no list");
    assert_eq!(transport.reload().failed, 1);
    assert!(transport.is_revoked(&certificate));
    assert!(greet(&transport, &good).await.0);
}

#[test]
fn what_is_wrong_with_the_files_is_said_by_file() {
    let office = Office::new();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let listener = |options: &str| {
        let text = format!(
            "mqtts://127.0.0.1:0?cert={}&key={}{options}",
            office.path("cert.pem"),
            office.path("key.pem")
        );
        [text.parse::<ListenerConfig>().unwrap()]
    };
    let ca = format!("&client-cert=required&client-ca={}", office.path("ca.pem"));
    let lists = format!("{ca}&crl={}", office.path("crl.pem"));
    let told = |name: &str, options: &str| {
        let examined = examine(&listener(options), &clock);
        assert_eq!(examined.faults.len(), 1, "{examined:?}");
        let fault = examined.faults[0].clone();
        assert!(fault.contains(&office.path(name)), "{fault}");
        fault
    };
    let fine = examine(&listener(&lists), &clock);
    assert!(fine.faults.is_empty(), "{fine:?}");
    let saved = fs::read_to_string(office.path("key.pem")).unwrap();
    office.write("key.pem", &KeyPair::generate().unwrap().serialize_pem());
    assert!(told("key.pem", "").contains("is not the key of the certificate"));
    office.write("key.pem", "nothing");
    assert!(told("key.pem", "").contains("no private key"));
    office.write("key.pem", &saved);
    office.write("crl.pem", "nothing");
    assert!(told("crl.pem", &lists).contains("no revocation list"));
    office.write("ca.pem", "nothing");
    assert!(told("ca.pem", &ca).contains("no certificate"));
    fs::remove_file(office.path("ca.pem")).unwrap();
    assert!(told("ca.pem", &ca).contains("No such file"));
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_after = date_time_ymd(2020, 1, 1);
    let key = KeyPair::from_pem(&saved).unwrap();
    let old = params.signed_by(&key, &office.ca).unwrap();
    office.write("cert.pem", &old.pem());
    let examined = examine(&listener(""), &clock);
    assert!(examined.faults.is_empty());
    assert!(
        examined.warnings.iter().any(|w| w.contains("has expired")),
        "{examined:?}"
    );
    assert!(Path::new(&office.path("cert.pem")).exists());
}
