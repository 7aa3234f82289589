//! Who may come in and what they may do, asked of the real daemon: each method, and what a reload changes for those who
//! are in.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Output, Stdio},
    sync::Arc,
};

use argon2::{Argon2, Params, PasswordHasher as _, Version, password_hash::SaltString};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use rumqttc::{
    TlsConfiguration, Transport,
    v5::mqttbytes::v5::{ConnectReturnCode, DisconnectReasonCode},
};
use rustls::ClientConfig;
use sensegate::{broker::auth, domain::Identity};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    client::Client,
    device::KEY,
    support::{Node, eventually},
    transport::Office,
};

const MANHOLE: &str = r#"{"cover_state":"tilted","tilt_angle":31.5}"#;
const AIR: &str = r#"{"pm25": 35.5}"#;
const BAD: ConnectReturnCode = ConnectReturnCode::BadUserNamePassword;

/// A folder of files that decide who may do what.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn password(key: &[u8], username: &str) -> String {
    auth::token(key, &Identity::parse(username).unwrap())
}

/// A line of the password file, made by the daemon's own command.
fn hashed(name: &str, password: &str) -> String {
    use std::io::Write as _;
    let mut child = sensegate(&["password", "hash", "--name", name])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(password.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

fn sensegate(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sensegate"));
    command.env("SENSEGATE_CONFIG", "/dev/null").args(arguments);
    command
}

fn said(output: &Output) -> (i32, String) {
    let told = [&*output.stdout, &*output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(told).unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_changed_without_ending_a_session() {
    let files = Files::new();
    let (old, new): (&[u8], &[u8]) = (b"an old key of the city", b"the new key of the city");
    let second = files.write("second.key", "an old key of the city\n");
    let node = Node::new(&["--auth-key-file", &second]);
    let gateway = node.start();
    let name = "manhole_cover/7";
    let mut live = Client::connect(gateway.mqtt, name, &password(old, name))
        .await
        .unwrap();
    Client::connect(
        gateway.mqtt,
        "manhole_cover/8",
        &password(KEY, "manhole_cover/8"),
    )
    .await
    .unwrap();

    files.write("second.key", "the new key of the city");
    gateway.reload();
    assert_eq!(live.publish("v1/manhole_cover/7/up", MANHOLE).await, Ok(()));
    let name = "manhole_cover/9";
    let refused = Client::connect(gateway.mqtt, name, &password(old, name)).await;
    assert_eq!(refused.err(), Some(BAD));
    for key in [KEY, new] {
        Client::connect(gateway.mqtt, name, &password(key, name))
            .await
            .unwrap();
    }
    let counted = |label: &str| gateway.metric("sensegate_access_authentications_total", label);
    assert_eq!(counted("result=\"secret\""), 1.0);
    assert_eq!(counted("result=\"accepted\""), 4.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_classs_own_key_is_the_one_that_counts_and_that_tokens_are_issued_under() {
    let files = Files::new();
    let lamps = files.write("keys/air_station.key", "the key of the lamps' maker");
    let dir = files.path("keys");
    let dir = dir.to_str().unwrap();
    let node = Node::new(&["--auth-class-keys-dir", dir]);
    let gateway = node.start();
    let issue = |device: &str| {
        let key = files.write("auth.key", str::from_utf8(KEY).unwrap());
        let flags = [
            "token",
            "--auth-key-file",
            &key,
            "--auth-class-keys-dir",
            dir,
            "--device",
            device,
        ];
        let output = sensegate(&flags).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    for device in ["air_station/7", "manhole_cover/7"] {
        Client::connect(gateway.mqtt, device, &issue(device))
            .await
            .unwrap();
    }
    let gateways = password(KEY, "air_station/7");
    let refused = Client::connect(gateway.mqtt, "air_station/7", &gateways).await;
    assert_eq!(refused.err(), Some(BAD));
    fs::remove_file(lamps).unwrap();
    gateway.reload();
    Client::connect(gateway.mqtt, "air_station/7", &gateways)
        .await
        .unwrap();
}

fn now_s() -> u64 {
    use sensegate::domain::{Clock as _, SystemClock};
    SystemClock.now().0 / 1_000_000_000
}

fn ed25519(seed: [u8; 32], kid: &str) -> (EncodingKey, Value) {
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
    // RFC 8410, section 7: the PKCS #8 frame around a seed.
    let frame = hex::decode("302e020100300506032b657004220420").unwrap();
    let key = EncodingKey::from_ed_der(&[&frame[..], &seed].concat());
    let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    (
        key,
        json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x}),
    )
}

fn signed(key: &EncodingKey, algorithm: Algorithm, kid: Option<&str>, sub: &str) -> String {
    let mut header = Header::new(algorithm);
    header.kid = kid.map(str::to_owned);
    encode(&header, &json!({"sub": sub, "exp": now_s() + 3600}), key).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_lets_its_subject_in_until_its_key_leaves_the_set() {
    const SECRET: &str = "a secret of more than thirty-two bytes";
    let files = Files::new();
    let (first, first_public) = ed25519([1; 32], "first");
    let (second, second_public) = ed25519([2; 32], "second");
    let jwks = files.write("jwks.json", &json!({"keys": [first_public]}).to_string());
    let secret = files.write("secret", SECRET);
    let node = Node::new(&[
        "--auth-method",
        "jwt",
        "--auth-method",
        "hmac",
        "--auth-jwks-file",
        &jwks,
        "--auth-jwt-secret-file",
        &secret,
    ]);
    let gateway = node.start();
    let lamp = "air_station/7";
    let secret = EncodingKey::from_secret(SECRET.as_bytes());
    let by_first = signed(&first, Algorithm::EdDSA, Some("first"), lamp);
    for good in [
        &by_first,
        &signed(&secret, Algorithm::HS256, None, lamp),
        &password(KEY, lamp),
    ] {
        let mut client = Client::connect(gateway.mqtt, lamp, good).await.unwrap();
        assert_eq!(client.publish("v1/air_station/8/up", AIR).await, Err(0x87));
    }
    let by_second = signed(&second, Algorithm::EdDSA, Some("second"), lamp);
    let expired = json!({"sub": lamp, "exp": now_s() - 31});
    let expired = encode(&Header::new(Algorithm::HS256), &expired, &secret).unwrap();
    let public = first_public["x"].as_str().unwrap();
    let confused = EncodingKey::from_secret(&URL_SAFE_NO_PAD.decode(public).unwrap());
    let confused = signed(&confused, Algorithm::HS256, Some("first"), lamp);
    let none = format!("{}.", by_first.rsplit_once('.').unwrap().0);
    for (wrong, username) in [
        (&by_second, lamp),
        (&expired, lamp),
        (&confused, lamp),
        (&none, lamp),
        (&by_first, "air_station/8"),
    ] {
        let refused = Client::connect(gateway.mqtt, username, wrong).await;
        assert_eq!(refused.err(), Some(BAD), "{wrong}");
    }
    files.write("jwks.json", &json!({"keys": [second_public]}).to_string());
    gateway.reload();
    Client::connect(gateway.mqtt, lamp, &by_second)
        .await
        .unwrap();
    let refused = Client::connect(gateway.mqtt, lamp, &by_first).await;
    assert_eq!(refused.err(), Some(BAD));
    let counted = |result: &str| gateway.metric("sensegate_access_authentications_total", result);
    assert_eq!(counted("expired"), 1.0);
    assert_eq!(counted("username"), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_comes_in_with_its_password_and_others_are_served_meanwhile() {
    let files = Files::new();
    let passwords = files.write("passwords", &hashed("board", "open sesame\n"));
    let node = Node::new(&[
        "--auth-method",
        "hmac",
        "--auth-method",
        "password",
        "--auth-password-file",
        &passwords,
    ]);
    let gateway = node.start();
    let address = gateway.mqtt;
    let wrong: Vec<_> = (0..8)
        .map(|_| Client::connect(address, "board", "open sesam"))
        .collect();
    let device = Client::connect(address, "air_station/7", &password(KEY, "air_station/7"));
    let (refused, device) = tokio::join!(futures(wrong), device);
    assert!(refused.iter().all(|refused| *refused == Some(BAD)));
    device.unwrap();
    for _ in 0..2 {
        Client::connect(address, "board", "open sesame")
            .await
            .unwrap();
    }
    let unknown = Client::connect(address, "nobody", "open sesame").await;
    assert_eq!(unknown.err(), Some(BAD));
}

/// A line that takes long to check: the dearest that is taken.
fn hashed_dearly(name: &str, password: &str) -> String {
    let params = Params::new(64 * 1024, 10, 1, None).unwrap();
    let argon2 = Argon2::new(argon2::Algorithm::Argon2id, Version::V0x13, params);
    let salt = SaltString::encode_b64(b"sixteen bytes ab").unwrap();
    let phc = argon2.hash_password(password.as_bytes(), &salt).unwrap();
    format!("{name}:{phc}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_revoked_while_the_password_is_checked_does_not_come_in() {
    let files = Files::new();
    let name = "air_station/8";
    let passwords = files.write("passwords", &hashed_dearly(name, "open sesame"));
    let list = files.write("revoked", "");
    let node = Node::new(&[
        "--auth-method",
        "password",
        "--auth-password-file",
        &passwords,
        "--auth-revocation-file",
        &list,
    ]);
    let gateway = node.start();
    let revoke = async {
        eventually("the password is being checked", || {
            gateway.metric("sensegate_mqtt_connections", "") > 0.0
        })
        .await;
        files.write("revoked", "device air_station/8\n");
        gateway.reload();
    };
    let enter = Client::connect(gateway.mqtt, name, "open sesame");
    let (entered, ()) = tokio::join!(enter, revoke);
    assert!(entered.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_lets_its_holder_in_and_nobody_else() {
    let (files, office) = (Files::new(), Office::new());
    let list = files.write("revoked", "");
    let flags = [
        "--auth-method",
        "certificate",
        "--auth-certificate-identity",
        "san-uri:urn:city:{class}:{device}",
        "--auth-certificate-identity",
        "cn:app-{application}",
        "--auth-revocation-file",
        &list,
    ];
    let node = office.node(&["mqtts://127.0.0.1:0?client-cert=required"], &flags);
    let gateway = node.start();
    let address = gateway.listener("mqtts", 0);
    let enter = |config: ClientConfig, username: Option<&str>| {
        let mut options = Client::options(address, "any-client-id");
        let config = TlsConfiguration::Rustls(Arc::new(config));
        options.set_transport(Transport::Tls(config));
        if let Some(username) = username {
            options.set_credentials(username, "");
        }
        Client::with(options)
    };
    let lamp = || office.holder_named(7, "any", "urn:city:air_station:7");
    let mut live = enter(lamp(), None).await.unwrap();
    assert_eq!(live.publish("v1/air_station/7/up", AIR).await, Ok(()));
    assert_eq!(live.publish("v1/air_station/8/up", AIR).await, Err(0x87));
    drop(live);
    let mut live = enter(lamp(), Some("air_station/7")).await.unwrap();
    enter(
        office.holder_named(8, "app-board", "urn:other"),
        Some("board"),
    )
    .await
    .unwrap();
    for (config, username) in [
        (lamp(), Some("air_station/8")),
        (
            office.holder_named(9, "any", "urn:city:air_station:+"),
            None,
        ),
        (office.holder_named(9, "app-a b", "urn:other"), None),
    ] {
        assert_eq!(enter(config, username).await.err(), Some(BAD));
    }
    let nobody = office.holder_named(9, "stranger", "urn:other");
    let refused = enter(nobody, None).await;
    assert_eq!(refused.err(), Some(ConnectReturnCode::NotAuthorized));
    files.write("revoked", "serial 07\n");
    gateway.reload();
    assert_eq!(live.dismissed().await, DisconnectReasonCode::NotAuthorized);
    let refused = enter(lamp(), None).await;
    assert_eq!(refused.err(), Some(ConnectReturnCode::Banned));
}

/// Runs them side by side; how each was refused.
async fn futures(
    all: Vec<impl Future<Output = Result<Client, ConnectReturnCode>> + Send + 'static>,
) -> Vec<Option<ConnectReturnCode>> {
    let mut tasks = tokio::task::JoinSet::new();
    for one in all {
        tasks.spawn(one);
    }
    let ended = tasks.join_all().await;
    ended.into_iter().map(Result::err).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_revoked_is_put_out_and_the_others_stay() {
    let files = Files::new();
    let list = files.write("revoked", "# nobody yet\n");
    let node = Node::new(&["--auth-revocation-file", &list]);
    let gateway = node.start();
    let enter = |name: &'static str| Client::connect(gateway.mqtt, name, &password(KEY, name));
    let mut stolen = enter("air_station/7").await.unwrap();
    let mut faulty = enter("manhole_cover/1").await.unwrap();
    let mut sound = enter("air_station/8").await.unwrap();

    files.write("revoked", "device air_station/7\nclass manhole_cover\n");
    gateway.reload();
    for put_out in [&mut stolen, &mut faulty] {
        assert_eq!(
            put_out.dismissed().await,
            DisconnectReasonCode::NotAuthorized
        );
    }
    assert_eq!(sound.publish("v1/air_station/8/up", AIR).await, Ok(()));
    let refused = enter("air_station/7").await;
    assert_eq!(refused.err(), Some(ConnectReturnCode::Banned));
    let wrong = Client::connect(gateway.mqtt, "air_station/7", &"0".repeat(64)).await;
    assert_eq!(wrong.err(), Some(BAD), "only who proves who it is is told");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_concentrator_speaks_for_the_devices_behind_it_by_a_rule_and_only_for_them() {
    let files = Files::new();
    let rule = "[[allow]]\nidentity = \"dtu/1\"\npublish = [\"v1/manhole_cover/+/up\"]\n";
    let rights = files.write("rights.toml", rule);
    let node = Node::new(&["--rights", &rights]);
    let gateway = node.start();
    let enter = |name: &'static str| Client::connect(gateway.mqtt, name, &password(KEY, name));
    let mut dtu = enter("dtu/1").await.unwrap();
    let mut lamp = enter("air_station/7").await.unwrap();
    assert_eq!(dtu.publish("v1/manhole_cover/9/up", MANHOLE).await, Ok(()));
    assert_eq!(dtu.publish("v1/air_station/7/up", AIR).await, Err(0x87));
    // The file says everything: nothing is left of a device's own topics.
    assert_eq!(lamp.publish("v1/air_station/7/up", AIR).await, Err(0x87));
    files.write("rights.toml", &format!("device_defaults = true\n{rule}"));
    gateway.reload();
    assert_eq!(lamp.publish("v1/air_station/7/up", AIR).await, Ok(()));
    assert_eq!(
        lamp.publish("v1/manhole_cover/9/up", MANHOLE).await,
        Err(0x87)
    );
    eventually("denials are counted", || {
        gateway.metric("sensegate_access_denials_total", "publish") == 3.0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_finds_anything_wrong_changes_nothing() {
    let files = Files::new();
    let list = files.write("revoked", "");
    let rights = files.write("rights.toml", "device_defaults = true\n");
    let node = Node::new(&["--auth-revocation-file", &list, "--rights", &rights]);
    let gateway = node.start();
    let name = "air_station/7";
    let mut lamp = Client::connect(gateway.mqtt, name, &password(KEY, name))
        .await
        .unwrap();
    files.write("revoked", "device air_station/7\n");
    files.write("rights.toml", "device_defaults = perhaps\n");
    gateway.reload();
    assert_eq!(lamp.publish("v1/air_station/7/up", AIR).await, Ok(()));
    let reloads = |result: &str| gateway.metric("sensegate_access_reloads_total", result);
    assert_eq!((reloads("refused"), reloads("in_force")), (1.0, 0.0));
    files.write("rights.toml", "device_defaults = true\n");
    gateway.reload();
    assert_eq!(lamp.dismissed().await, DisconnectReasonCode::NotAuthorized);
    assert_eq!((reloads("refused"), reloads("in_force")), (1.0, 1.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn open_rights_are_told_on_the_status_page() {
    let gateway = Node::new(&["--rights", "open"]).start();
    let (_, page) = gateway.page("/status.json");
    assert!(page.contains("rights are open"), "{page}");
}

#[test]
fn what_a_file_of_rights_allows_is_explained_and_what_is_wrong_in_it_is_named() {
    let files = Files::new();
    let rights = files.write(
        "rights.toml",
        "[[allow]]\napplication = \"board\"\nsubscribe = [\"bus/v1/#\"]\n",
    );
    let explain = |more: &[&str]| {
        let flags = [&["rights", "explain", "--rights", &rights], more].concat();
        said(&sensegate(&flags).output().unwrap())
    };
    let allowed = explain(&["--principal", "app:board", "--subscribe", "bus/v1/+/x"]);
    assert_eq!(
        allowed,
        (0, "allowed: line 3 allows \"bus/v1/#\"\n".to_owned())
    );
    let not = explain(&[
        "--principal",
        "air_station/7",
        "--publish",
        "v1/air_station/7/up",
    ]);
    assert_eq!(
        not,
        (77, "sensegate: not allowed: no rule allows it\n".to_owned())
    );
    for (wrong, told) in [
        (["--principal", "board", "--publish", "x"], "app:NAME"),
        (
            ["--principal", "app:board", "--publish", "x/#"],
            "a topic has none",
        ),
        (
            ["--principal", "app:board", "--subscribe", "#/x"],
            "before its end",
        ),
    ] {
        let (code, text) = explain(&wrong);
        assert!(code == 64 && text.contains(told), "{text}");
    }
    let wrong = files.write(
        "wrong.toml",
        "[[allow]]\nclass = \"lamp\"\npublish = [\"a/#/b\"]\n",
    );
    let passwords = files.write("passwords", "board:open sesame\n");
    let dir = files.path("data");
    let check = [
        "check",
        "--data-dir",
        dir.to_str().unwrap(),
        "--rights",
        &wrong,
        "--auth-method",
        "password",
        "--auth-password-file",
        &passwords,
    ];
    let (code, text) = said(&sensegate(&check).output().unwrap());
    assert_eq!(code, 78, "{text}");
    assert!(
        text.contains(&format!("auth.rights: {wrong}:3: allow.publish: ")),
        "{text}"
    );
    assert!(
        text.contains(&format!("auth.password_file: {passwords}:1: \"board\" ")),
        "{text}"
    );
    assert!(!text.contains("open sesame"), "{text}");
}
