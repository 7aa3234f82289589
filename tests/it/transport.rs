//! What carries MQTT, with clients and certificates of other makers: TLS, client certificates and their revocation,
//! WebSocket, PROXY headers, and what does not shake hands as it should.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpStream as StdStream},
    path::Path,
    process::Command,
    sync::Arc,
};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams,
    SanType, SerialNumber, date_time_ymd,
};
use rumqttc::{QoS, TlsConfiguration, Transport};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use tempfile::TempDir;
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::{
    device::{Device, options},
    support::{DEADLINE, Node, eventually},
};

const MANHOLE: &str = r#"{"cover_state":"tilted"}"#;

/// A certificate authority, and the gateway's files.
pub(crate) struct Office {
    dir: TempDir,
    ca: CertifiedIssuer<'static, KeyPair>,
}

impl Office {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "office");
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let office = Self {
            dir: TempDir::new().unwrap(),
            ca,
        };
        office.put("ca.pem", &office.ca.pem());
        office.certify();
        office.revoke(&[]);
        office
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    /// Puts a file in place as a whole, as renewals do.
    fn put(&self, name: &str, text: &str) {
        let part = self.path("part");
        fs::write(&part, text).unwrap();
        fs::rename(part, self.path(name)).unwrap();
    }

    /// A new certificate for the gateway; its DER.
    fn certify(&self) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let loopback = IpAddr::from([127, 0, 0, 1]);
        params.subject_alt_names.push(SanType::IpAddress(loopback));
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.ca).unwrap();
        self.put("key.pem", &key.serialize_pem());
        self.put("cert.pem", &cert.pem());
        cert.der().clone()
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
        let list = list.signed_by(&self.ca).unwrap();
        self.put("crl.pem", &list.pem().unwrap());
    }

    fn client(&self) -> ClientConfig {
        self.client_with(None)
    }

    /// A client with a certificate of this serial number.
    fn holder(&self, serial: u8) -> ClientConfig {
        self.named(serial, CertificateParams::default())
    }

    /// A client with a certificate of this common name and this URI.
    pub(crate) fn holder_named(&self, serial: u8, common_name: &str, uri: &str) -> ClientConfig {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, common_name);
        params
            .subject_alt_names
            .push(SanType::URI(uri.try_into().unwrap()));
        self.named(serial, params)
    }

    fn named(&self, serial: u8, mut params: CertificateParams) -> ClientConfig {
        params.serial_number = Some(SerialNumber::from_slice(&[serial]));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.ca).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        self.client_with(Some((cert.der().clone(), key)))
    }

    fn client_with(
        &self,
        own: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        match own {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => builder.with_client_auth_cert(vec![cert], key).unwrap(),
        }
    }

    /// Flags that name the files, and these listeners.
    pub(crate) fn node(&self, listeners: &[&str], more: &[&str]) -> Node {
        let [cert, key, ca, crl] =
            ["cert.pem", "key.pem", "ca.pem", "crl.pem"].map(|name| self.path(name));
        let mut flags = vec![
            "--mqtt-tls-cert-file",
            &cert,
            "--mqtt-tls-key-file",
            &key,
            "--mqtt-tls-client-ca-file",
            &ca,
            "--mqtt-tls-crl-file",
            &crl,
        ];
        for &listener in listeners {
            flags.extend(["--mqtt-listen", listener]);
        }
        flags.extend(more);
        Node::new(&flags)
    }
}

fn tls(config: &ClientConfig) -> TlsConfiguration {
    TlsConfiguration::Rustls(Arc::new(config.clone()))
}

async fn over_tls(
    address: SocketAddr,
    config: &ClientConfig,
    device: &str,
) -> Result<Device, rumqttc::ConnectionError> {
    let username = format!("manhole_cover/{device}");
    let mut options = options("127.0.0.1", address.port(), &username);
    options.set_transport(Transport::Tls(tls(config)));
    Device::connect_with(options).await
}

#[tokio::test(flavor = "multi_thread")]
async fn four_listeners_at_once_carry_the_same_mqtt() {
    let office = Office::new();
    let listeners = [
        "mqtts://127.0.0.1:0",
        "ws://127.0.0.1:0",
        "wss://127.0.0.1:0",
    ];
    let node = office.node(&listeners, &[]);
    let gateway = node.start();
    let mut plain = Device::connect(gateway.mqtt, "manhole_cover", "1").await;
    plain.report(MANHOLE, QoS::AtLeastOnce).await;
    let mut config = office.client();
    config.alpn_protocols = vec![b"mqtt".to_vec()];
    let mut secure = over_tls(gateway.listener("mqtts", 0), &config, "2")
        .await
        .unwrap();
    secure.report(MANHOLE, QoS::ExactlyOnce).await;
    config.alpn_protocols.clear();
    for (scheme, transport) in [("ws", Transport::Ws), ("wss", Transport::Wss(tls(&config)))] {
        let port = gateway.listener(scheme, 0).port();
        let url = format!("{scheme}://127.0.0.1:{port}/mqtt");
        let mut options = options(&url, port, &format!("manhole_cover/{scheme}"));
        options.set_transport(transport);
        let mut device = Device::connect_with(options).await.unwrap();
        device.report(MANHOLE, QoS::AtLeastOnce).await;
        // More than one read and one frame of the client's library.
        let large = format!(
            r#"{{"cover_state":"tilted","note":"{}"}}"#,
            "x".repeat(9000)
        );
        device.report(&large, QoS::AtLeastOnce).await;
    }
    let done = "result=\"done\"";
    assert_eq!(gateway.metric("sensegate_mqtt_handshakes_total", done), 3.0);
    let expiry = "sensegate_tls_certificate_expiry_timestamp_seconds";
    assert!(gateway.metric(expiry, "listener=\"wss://127.0.0.1:0\"") > 1.7e9);
    assert_eq!(gateway.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_certificate_is_refused_after_a_reload_and_others_stay_connected() {
    let office = Office::new();
    let node = office.node(&["mqtts://127.0.0.1:0?client-cert=required"], &[]);
    let gateway = node.start();
    let address = gateway.listener("mqtts", 0);
    let (good, bad) = (office.holder(1), office.holder(2));
    assert!(
        over_tls(address, &office.client(), "0").await.is_err(),
        "no certificate"
    );
    let mut other = over_tls(address, &good, "1").await.unwrap();
    drop(over_tls(address, &bad, "2").await.unwrap());
    office.revoke(&[2]);
    gateway.reload();
    assert!(over_tls(address, &bad, "2").await.is_err(), "revoked");
    other.report(MANHOLE, QoS::AtLeastOnce).await;
    drop(over_tls(address, &good, "3").await.unwrap());
    office.put("crl.pem", "no list at all");
    gateway.reload();
    let reloads = |result: &str| gateway.metric("sensegate_tls_reloads_total", result);
    assert_eq!((reloads("replaced"), reloads("failed")), (1.0, 1.0));
    assert!(
        over_tls(address, &bad, "2").await.is_err(),
        "the list before stays in force"
    );
    other.report(MANHOLE, QoS::AtLeastOnce).await;
    let refused = gateway.metric("sensegate_mqtt_handshakes_total", "certificate");
    assert_eq!(refused, 3.0);
}

/// The certificate that a handshake shows.
fn shown(address: SocketAddr, config: ClientConfig) -> CertificateDer<'static> {
    let mut socket = StdStream::connect(address).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let name = "localhost".try_into().unwrap();
    let mut tls = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    while tls.is_handshaking() {
        tls.complete_io(&mut socket).unwrap();
    }
    tls.peer_certificates().unwrap()[0].clone().into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_replaced_on_disk_is_shown_to_the_next_and_drops_nobody() {
    let office = Office::new();
    let node = office.node(&["mqtts://127.0.0.1:0"], &["--watch-interval", "50ms"]);
    let gateway = node.start();
    let address = gateway.listener("mqtts", 0);
    let before = shown(address, office.client());
    let mut device = over_tls(address, &office.client(), "1").await.unwrap();
    let renewed = office.certify();
    assert_ne!(before, renewed);
    eventually("the new certificate is in force", || {
        gateway.metric("sensegate_tls_reloads_total", "replaced") >= 1.0
    })
    .await;
    assert_eq!(shown(address, office.client()), renewed);
    device.report(MANHOLE, QoS::AtLeastOnce).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_and_broken_handshakes_end_by_the_deadline_while_others_are_served() {
    const SILENT: usize = 600;
    let office = Office::new();
    let listeners = [
        "mqtts://127.0.0.1:0",
        "ws://127.0.0.1:0",
        "wss://127.0.0.1:0",
    ];
    let node = office.node(&listeners, &["--mqtt-connect-deadline", "1s"]);
    let gateway = node.start();
    let address = gateway.listener("mqtts", 0);
    let mut device = over_tls(address, &office.client(), "1").await.unwrap();
    let before = gateway.resident_kib();
    let mut silent = Vec::new();
    for turn in 0..SILENT {
        let (scheme, bytes): (_, &[u8]) = match turn % 4 {
            0 => ("mqtts", b""),
            1 => ("mqtts", &[22, 3, 1, 2, 0, 1, 0, 1]),
            2 => ("ws", b"GET /mqtt HTTP/1.1\r\nHost: "),
            _ => ("wss", &[22, 3]),
        };
        let mut socket = StdStream::connect(gateway.listener(scheme, 0)).unwrap();
        socket.write_all(bytes).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        silent.push(socket);
    }
    for _ in 0..20 {
        device.report(MANHOLE, QoS::AtLeastOnce).await;
    }
    drop(over_tls(address, &office.client(), "2").await.unwrap());
    let grown = gateway.resident_kib().saturating_sub(before);
    assert!(grown < 32 << 10, "{grown} KiB for {SILENT} handshakes");
    for socket in &mut silent {
        let mut rest = Vec::new();
        // The end may be told as a reset.
        let _ended = socket.read_to_end(&mut rest);
    }
    device.report(MANHOLE, QoS::AtLeastOnce).await;
    eventually("all are counted", || {
        gateway.metric("sensegate_mqtt_handshakes_total", "unfinished") >= SILENT as f64
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_handshakes_leaves_a_connected_device_served() {
    let office = Office::new();
    let node = office.node(&["mqtts://127.0.0.1:0"], &[]);
    let gateway = node.start();
    let address = gateway.listener("mqtts", 0);
    let mut device = over_tls(address, &office.client(), "1").await.unwrap();
    let before = gateway.resident_kib();
    let mut floods = JoinSet::new();
    for _ in 0..4 {
        let mut config = office.client();
        config.resumption = rustls::client::Resumption::disabled();
        floods.spawn_blocking(move || {
            for _ in 0..50 {
                shown(address, config.clone());
            }
        });
    }
    for _ in 0..20 {
        device.report(MANHOLE, QoS::AtLeastOnce).await;
    }
    floods.join_all().await;
    device.report(MANHOLE, QoS::AtLeastOnce).await;
    let grown = gateway.resident_kib().saturating_sub(before);
    assert!(grown < 32 << 10, "{grown} KiB after 200 handshakes");
}

/// What a port answers to these bytes.
fn answer(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut socket = StdStream::connect(address).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket.write_all(bytes).unwrap();
    let mut heard = Vec::new();
    drop(socket.read_to_end(&mut heard));
    heard
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_is_told_what_the_port_is_for_and_tls_hears_an_alert() {
    let office = Office::new();
    let node = office.node(&["ws://127.0.0.1:0", "mqtts://127.0.0.1:0"], &[]);
    let gateway = node.start();
    let ws = gateway.listener("ws", 0);
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", "404"),
        ("POST /mqtt HTTP/1.1\r\nHost: h\r\n\r\n", "405"),
        ("GET /mqtt HTTP/1.1\r\nHost: h\r\n\r\n", "426"),
        ("\u{10}\u{c}\u{0}\u{4}MQTT\u{4}", "400"),
    ] {
        let heard = String::from_utf8(answer(ws, request.as_bytes())).unwrap();
        assert!(
            heard.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request}: {heard}"
        );
    }
    let heard = answer(
        gateway.listener("mqtts", 0),
        b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    );
    assert_eq!(heard.first(), Some(&21), "{heard:x?}");
    assert_eq!(
        gateway.metric("sensegate_mqtt_handshakes_total", "http"),
        4.0
    );
}

/// A balancer: passes on what comes behind a header that names `source`.
async fn balancer(gateway: SocketAddr, source: [u8; 4], tasks: &mut JoinSet<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.spawn(async move {
        let mut pipes = JoinSet::new();
        while let Ok((mut client, _)) = listener.accept().await {
            let mut onward = TcpStream::connect(gateway).await.unwrap();
            let [a, b, c, d] = source;
            let header = [
                b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".as_slice(),
                &[a, b, c, d, 127, 0, 0, 1, 0x30, 0x39, 0x07, 0x5b],
            ]
            .concat();
            onward.write_all(&header).await.unwrap();
            pipes.spawn(async move {
                drop(tokio::io::copy_bidirectional(&mut client, &mut onward).await);
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_names_the_address_that_limits_count() {
    let office = Office::new();
    let node = office.node(
        &["mqtt://127.0.0.1:0?proxy=v2"],
        &[
            "--mqtt-proxy-from",
            "127.0.0.0/8",
            "--mqtt-connections-per-address-max",
            "1",
        ],
    );
    let gateway = node.start();
    let behind = gateway.listener("mqtt", 1);
    let mut tasks = JoinSet::new();
    let one = balancer(behind, [192, 0, 2, 1], &mut tasks).await;
    let other = balancer(behind, [192, 0, 2, 2], &mut tasks).await;
    let dial = |address: SocketAddr, device: &str| {
        Device::connect_with(options(
            "127.0.0.1",
            address.port(),
            &format!("manhole_cover/{device}"),
        ))
    };
    let mut first = dial(one, "1").await.unwrap();
    assert!(
        dial(one, "2").await.is_err(),
        "its address has its connection"
    );
    let mut second = dial(other, "3").await.unwrap();
    first.report(MANHOLE, QoS::AtLeastOnce).await;
    second.report(MANHOLE, QoS::AtLeastOnce).await;
    // Without a header nobody comes in, and nobody else waits for those that say nothing.
    let quiet = StdStream::connect(behind).unwrap();
    assert_eq!(
        answer(behind, b"\x10\x0c\0\x04MQTT\x04\x02\0\x3c\0\0\0\0\0\0"),
        b""
    );
    first.report(MANHOLE, QoS::AtLeastOnce).await;
    let malformed = gateway.metric("sensegate_mqtt_proxy_failures_total", "malformed");
    assert_eq!(malformed, 1.0);
    drop(quiet);
    tasks.shutdown().await;
    assert_eq!(gateway.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_untrusted_address_tells_nothing() {
    let office = Office::new();
    let node = office.node(
        &["mqtt://127.0.0.1:0?proxy=v2"],
        &["--mqtt-proxy-from", "10.0.0.0/8"],
    );
    let gateway = node.start();
    assert_eq!(answer(gateway.listener("mqtt", 1), b""), b"");
    eventually("it is counted", || {
        gateway.metric("sensegate_mqtt_proxy_failures_total", "untrusted") == 1.0
    })
    .await;
    let mut device = Device::connect(gateway.mqtt, "manhole_cover", "1").await;
    device.report(MANHOLE, QoS::AtLeastOnce).await;
}

#[test]
fn check_and_start_name_the_listener_and_the_file() {
    let office = Office::new();
    let (cert, key) = (office.path("cert.pem"), office.path("key.pem"));
    let listener = format!("mqtts://127.0.0.1:0?cert={cert}&key={key}");
    let check = || {
        let output = Command::new(env!("CARGO_BIN_EXE_sensegate"))
            .args(["check", "--mqtt-listen", &listener])
            .env("SENSEGATE_CONFIG", "/dev/null")
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    assert_eq!(check().0, Some(0));
    office.put("key.pem", &KeyPair::generate().unwrap().serialize_pem());
    let (code, told) = check();
    let wanted = format!("mqtts://127.0.0.1:0: {key}: is not the key of the certificate in {cert}");
    assert!(code == Some(78) && told.contains(&wanted), "{told}");
    let (code, told) = Node::new(&["--mqtt-listen", &listener]).refused();
    assert!(code == 78 && told.contains(&wanted), "{code}: {told}");
    assert!(Path::new(&key).exists());
}
