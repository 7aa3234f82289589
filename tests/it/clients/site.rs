//! The gateway that the clients meet: a listener of every transport, every way to prove who one is, and rights from a file.

use std::{
    fs,
    io::Write as _,
    net::IpAddr,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use jsonwebtoken::{EncodingKey, Header};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType,
};
use sensegate::{
    broker::auth,
    domain::{Clock as _, Identity, SystemClock},
};
use serde_json::json;
use tempfile::TempDir;

use super::round::{Access, Transport};
use crate::{
    device::KEY,
    support::{Gateway, Node},
};

const JWT_SECRET: &str = "the secret of the city's own issuer of tokens";
/// The application of the password file.
pub(super) const APPLICATION: (&str, &str) = ("street-board", "open sesame, 井盖");
const RIGHTS: &str = r#"
device_defaults = true

[[allow]]
anyone = true
publish = ["round/#", "notices/#"]
subscribe = ["round/#", "notices/#"]
"#;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// The HMAC of the username under the gateway's key.
    Token,
    Certificate,
    Jwt,
    /// A line of the password file.
    Password,
}

pub(super) struct Site {
    pub(super) gateway: Gateway,
    ca: CertifiedIssuer<'static, KeyPair>,
    files: TempDir,
    _node: Node,
}

impl Site {
    pub(super) fn open() -> Self {
        let files = TempDir::new().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
            .distinguished_name
            .push(DnType::CommonName, "the city's office");
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let put = |name: &str, text: &str| put(&files, name, text);
        let root = put("ca.pem", &ca.pem());
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let loopback = IpAddr::from([127, 0, 0, 1]);
        params.subject_alt_names.push(SanType::IpAddress(loopback));
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &ca).unwrap();
        let cert = put("gateway.pem", &cert.pem());
        let key = put("gateway.key", &key.serialize_pem());
        let passwords = put("passwords", &password_line());
        let [rights, secret] = [("rights.toml", RIGHTS), ("jwt.secret", JWT_SECRET)]
            .map(|(name, text)| put(name, text));
        let mutual = format!("mqtts://127.0.0.1:0?client-cert=required&client-ca={root}");
        let mut flags = vec!["--mqtt-tls-cert-file", &cert, "--mqtt-tls-key-file", &key];
        let (tls, ws, wss) = (
            "mqtts://127.0.0.1:0",
            "ws://127.0.0.1:0/mqtt",
            "wss://127.0.0.1:0/mqtt",
        );
        for listener in [tls, &mutual, ws, wss] {
            flags.extend(["--mqtt-listen", listener]);
        }
        for method in ["hmac", "certificate", "jwt", "password"] {
            flags.extend(["--auth-method", method]);
        }
        flags.extend(["--auth-jwt-secret-file", &secret]);
        flags.extend(["--auth-password-file", &passwords, "--rights", &rights]);
        let node = Node::new(&flags);
        Self {
            gateway: node.start(),
            ca,
            files,
            _node: node,
        }
    }

    pub(super) fn folder(&self) -> PathBuf {
        self.files.path().to_owned()
    }

    /// The port of a transport's listener.
    pub(super) fn port(&self, transport: Transport) -> u16 {
        let (scheme, at) = match transport {
            Transport::Tcp => ("mqtt", 0),
            Transport::Tls => ("mqtts", 0),
            Transport::Mutual => ("mqtts", 1),
            Transport::Ws => ("ws", 0),
            Transport::Wss => ("wss", 0),
        };
        self.gateway.listener(scheme, at).port()
    }

    /// How a device gets in this way, or the application with [`Proof::Password`].
    pub(super) fn access(&self, transport: Transport, proof: Proof, device: &str) -> Access {
        let username = format!("manhole_cover/{device}");
        let mut access = self.nobody(transport);
        if transport == Transport::Mutual {
            let (cert, key) = self.certify(&username);
            (access.cert, access.key) = (Some(cert), Some(key));
        }
        let (user, password) = match proof {
            Proof::Token => {
                let token = auth::token(KEY, &Identity::parse(&username).unwrap());
                (username, token)
            }
            Proof::Jwt => {
                let token = web_token(&username, 3600);
                (username, token)
            }
            Proof::Password => (APPLICATION.0.to_owned(), APPLICATION.1.to_owned()),
            Proof::Certificate => return access,
        };
        Access {
            user: Some(user),
            password: Some(password),
            ..access
        }
    }

    /// Without a proof.
    pub(super) fn nobody(&self, transport: Transport) -> Access {
        let (scheme, path, secure) = match transport {
            Transport::Tcp => ("mqtt", "", false),
            Transport::Tls | Transport::Mutual => ("mqtts", "", true),
            Transport::Ws => ("ws", "/mqtt", false),
            Transport::Wss => ("wss", "/mqtt", true),
        };
        let address = ([127, 0, 0, 1], self.port(transport)).into();
        Access {
            transport,
            address,
            url: format!("{scheme}://{address}{path}"),
            user: None,
            password: None,
            ca: secure.then(|| self.files.path().join("ca.pem")),
            cert: None,
            key: None,
        }
    }

    /// A token that ran out long ago.
    pub(super) fn stale(&self, device: &str) -> Access {
        let access = self.access(Transport::Tcp, Proof::Jwt, device);
        let token = web_token(access.user.as_deref().unwrap(), -3600);
        Access {
            password: Some(token),
            ..access
        }
    }

    /// A client certificate with this name, and its key: files.
    pub(super) fn certify(&self, name: &str) -> (PathBuf, PathBuf) {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.ca).unwrap();
        let (_, file) = name.rsplit_once('/').unwrap();
        let cert = put(&self.files, &format!("{file}.pem"), &cert.pem());
        let key = put(&self.files, &format!("{file}.key"), &key.serialize_pem());
        (cert.into(), key.into())
    }
}

/// Writes a file that only its owner reads; its path.
fn put(files: &TempDir, name: &str, text: &str) -> String {
    let path = files.path().join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}

fn web_token(subject: &str, lasts_s: i64) -> String {
    let now_s = i64::try_from(SystemClock.now().0 / 1_000_000_000).unwrap();
    let claims = json!({"sub": subject, "exp": now_s + lasts_s});
    let key = EncodingKey::from_secret(JWT_SECRET.as_bytes());
    jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap()
}

/// The application's line of the password file, by the daemon's own command.
fn password_line() -> String {
    let (name, password) = APPLICATION;
    let mut child = Command::new(env!("CARGO_BIN_EXE_sensegate"))
        .env("SENSEGATE_CONFIG", "/dev/null")
        .args(["password", "hash", "--name", name])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(password.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}
