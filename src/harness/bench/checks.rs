//! Authentication alone: credentials of many devices, checked in a loop of one thread by the code that CONNECT calls, beside
//! the bare cryptography of the same credentials.

use std::{
    fs::File,
    hint::black_box,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    hmac,
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair,
        Ed25519KeyPair, KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
        RsaPublicKeyComponents, UnparsedPublicKey,
    },
};
use rustix::time::{ClockId, clock_gettime};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use serde_json::{Value, json};
use thiserror::Error;

use super::{
    figures::{Figures, quotient},
    machine::Machine,
    readings::device_name,
    rig::Broken,
    table::{Report, Table},
};
use crate::{
    broker::{
        access::Access,
        auth::{Answer, Authentication, Credentials, token},
    },
    config::{AuthConfig, AuthMethod, ClaimTemplate},
    domain::{Clock as _, Identity, SystemClock, UnixNanos},
};

/// Devices whose credentials are checked in turn, so that nothing is remembered from one to the next.
const DEVICES: usize = 1024;
/// Checks between two looks at the clock.
const BATCH: usize = 256;
const KEY: &[u8] = b"a key of the benchmark, 32 bytes";
const HOUR_S: u64 = 3600;
const TOKEN_BYTES_MAX: usize = 8192;

/// Why checks cannot be measured.
#[derive(Debug, Error)]
pub(super) enum Unchecked {
    /// A key or a signature cannot be made.
    #[error("making {0}")]
    Key(&'static str),
    /// The gateway's own code does not let them in.
    #[error("{0}: credentials that are right were turned away")]
    TurnedAway(&'static str),
    /// Its configuration.
    #[error("setting up authentication: {0}")]
    SetUp(String),
}

/// How checks are measured.
#[derive(Debug, Clone)]
pub struct CheckScript {
    /// The machine's folder.
    pub dir: PathBuf,
    /// Runs of each.
    pub runs: u32,
    /// Time of each.
    pub measured: Duration,
}

/// What one device shows.
struct Shown {
    username: Option<String>,
    password: Vec<u8>,
}

type Bare = Box<dyn Fn(usize) -> bool>;

/// One kind of credentials.
struct Kind {
    name: &'static str,
    shown: Vec<Shown>,
    authentication: Access,
    /// The cryptography alone of the n-th device.
    bare: Bare,
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kind")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Measures each kind; tells its progress.
///
/// # Errors
/// Keys cannot be made, or what is right is turned away.
pub fn checks(script: &CheckScript, progress: &mut dyn Write) -> Result<Report, Broken> {
    let kinds = kinds(&script.dir)?;
    let mut figures: Vec<[Vec<f64>; 2]> = kinds.iter().map(|_| Default::default()).collect();
    for _ in 0..script.runs {
        for (kind, [whole, bare]) in kinds.iter().zip(&mut figures) {
            whole.push(kind.whole(script.measured)?);
            bare.push(kind.alone(script.measured)?);
            let each = whole.last().copied().unwrap_or_default();
            writeln!(progress, "{}: {each:.0} checks/s of a core", kind.name)?;
            progress.flush()?;
        }
    }
    let machine = Machine::describe(&script.dir)?;
    let mut report = Report::on(
        &machine,
        &[format!("sensegate {}", env!("CARGO_PKG_VERSION"))],
    );
    report.notes.push(format!(
        "{} runs of {} s each, medians; checks by seconds of the thread's processor time; {DEVICES} devices in turn; beside it the bare \
         cryptography (HMAC: one hash under the ready key; tokens: the signature alone)",
        script.runs,
        script.measured.as_secs_f64()
    ));
    let row = |(kind, [whole, bare]): (&Kind, &[Vec<f64>; 2])| {
        let (whole, bare) = (all(whole), all(bare));
        vec![
            kind.name.to_owned(),
            whole.middle(0),
            whole.range(0),
            bare.middle(0),
            format!("{:.2}", quotient(whole.median(), bare.median())),
        ]
    };
    report.tables = vec![Table {
        title: "Checks of credentials by one core".to_owned(),
        columns: vec![
            "credentials",
            "checks/s",
            "lowest–highest",
            "bare cryptography/s",
            "of that",
        ],
        rows: kinds.iter().zip(&figures).map(row).collect(),
    }];
    Ok(report)
}

fn all(figures: &[f64]) -> Figures {
    Figures::of(figures, |figure: &f64| *figure)
}

impl Kind {
    fn is_admitted(&self, device: usize, now: UnixNanos) -> bool {
        let Some(shown) = self.shown.get(device) else {
            return false;
        };
        let authentication: &Authentication = &self.authentication.authentication;
        let answer = authentication.ask(&Credentials {
            username: shown.username.as_deref(),
            password: Some(black_box(&shown.password)),
            certificate: None,
            now,
        });
        matches!(answer, Answer::Admitted(_))
    }

    fn whole(&self, measured: Duration) -> Result<f64, Broken> {
        let now = SystemClock.now();
        self.per_s(measured, |device| self.is_admitted(device, now))
    }

    fn alone(&self, measured: Duration) -> Result<f64, Broken> {
        self.per_s(measured, &self.bare)
    }

    fn per_s(&self, measured: Duration, check: impl Fn(usize) -> bool) -> Result<f64, Broken> {
        let (since, mut count) = (thread_time(), 0);
        loop {
            for n in count..count + BATCH {
                if !black_box(check(n % DEVICES)) {
                    return Err(broken(Unchecked::TurnedAway(self.name)));
                }
            }
            count += BATCH;
            let elapsed = thread_time().saturating_sub(since);
            if elapsed >= measured {
                let count = u64::try_from(count).unwrap_or(u64::MAX);
                return Ok(super::ratio(count, elapsed.as_secs_f64()));
            }
        }
    }
}

/// Processor time of this thread.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or(0), nanos.unwrap_or(0))
}

fn broken(why: Unchecked) -> Broken {
    Broken::Io(io::Error::other(why))
}

fn kinds(dir: &Path) -> Result<Vec<Kind>, Broken> {
    let signers = Signers::new().map_err(broken)?;
    let file = dir.join("jwks.json");
    // It holds a secret: the gateway takes none that others may read.
    File::options()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&file)?
        .write_all(signers.jwks().to_string().as_bytes())?;
    let mut kinds = vec![derived().map_err(broken)?];
    for (algorithm, name) in [
        (Algorithm::Hs256, "JWT, HS256"),
        (Algorithm::Rs256, "JWT, RS256 (2,048 bits)"),
        (Algorithm::Es256, "JWT, ES256"),
        (Algorithm::EdDsa, "JWT, EdDSA"),
    ] {
        let kind = signers.kind((algorithm, name), &file);
        kinds.push(kind.map_err(broken)?);
    }
    Ok(kinds)
}

fn loaded(config: &AuthConfig) -> Result<Access, Unchecked> {
    Access::load(config).map_err(|e| Unchecked::SetUp(e.to_string()))
}

/// Passwords of devices: the HMAC of their names.
fn derived() -> Result<Kind, Unchecked> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, KEY);
    let names: Vec<String> = (0..DEVICES).map(|n| device_name("check", n)).collect();
    let shown = names.iter().map(|name| {
        let identity = Identity::parse(name).map_err(|_fault| Unchecked::Key("a name"))?;
        Ok(Shown {
            username: Some(name.clone()),
            password: token(KEY, &identity).into_bytes(),
        })
    });
    let tags: Vec<_> = names
        .iter()
        .map(|name| hmac::sign(&key, name.as_bytes()))
        .collect();
    Ok(Kind {
        name: "HMAC-SHA256 password",
        shown: shown.collect::<Result<_, _>>()?,
        authentication: loaded(&AuthConfig::hmac(KEY))?,
        bare: Box::new(move |n| {
            let pair = names.get(n).zip(tags.get(n));
            pair.is_some_and(|(name, tag)| {
                hmac::verify(&key, name.as_bytes(), tag.as_ref()).is_ok()
            })
        }),
    })
}

#[derive(Debug, Clone, Copy)]
enum Algorithm {
    Hs256,
    Rs256,
    Es256,
    EdDsa,
}

impl Algorithm {
    const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// An issuer's keys.
struct Signers {
    random: SystemRandom,
    secret: hmac::Key,
    rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
}

impl Signers {
    fn new() -> Result<Self, Unchecked> {
        let random = SystemRandom::new();
        // Made for tests; making one at run time takes seconds, and ring does not.
        let pem = include_bytes!("../../broker/auth/tests/rsa.pem");
        let rsa = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_pem| Unchecked::Key("RSA"))?;
        let rsa = RsaKeyPair::from_pkcs8(rsa.secret_pkcs8_der());
        let p256 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
        let p256 = p256.map_err(|_ring| Unchecked::Key("P-256"))?;
        let signing = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let p256 = EcdsaKeyPair::from_pkcs8(signing, p256.as_ref(), &random);
        let ed25519 = Ed25519KeyPair::from_seed_unchecked(&[7; 32]);
        Ok(Self {
            secret: hmac::Key::new(hmac::HMAC_SHA256, KEY),
            rsa: rsa.map_err(|_ring| Unchecked::Key("RSA"))?,
            p256: p256.map_err(|_ring| Unchecked::Key("P-256"))?,
            ed25519: ed25519.map_err(|_ring| Unchecked::Key("Ed25519"))?,
            random,
        })
    }

    fn rsa_components(&self) -> PublicKeyComponents<Vec<u8>> {
        self.rsa.public().into()
    }

    fn jwks(&self) -> Value {
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let rsa = self.rsa_components();
        let point = self.p256.public_key().as_ref();
        // The first byte says that both coordinates follow in full.
        let (x, y) = point
            .get(1..)
            .unwrap_or_default()
            .split_at_checked(32)
            .unwrap_or_default();
        let ed25519 = self.ed25519.public_key().as_ref();
        json!({"keys": [
            {"kty": "oct", "kid": "HS256", "k": part(KEY)},
            {"kty": "RSA", "kid": "RS256", "n": part(&rsa.n), "e": part(&rsa.e)},
            {"kty": "EC", "kid": "ES256", "crv": "P-256", "x": part(x), "y": part(y)},
            {"kty": "OKP", "kid": "EdDSA", "crv": "Ed25519", "x": part(ed25519)},
        ]})
    }

    fn sign(&self, algorithm: Algorithm, text: &[u8]) -> Result<Vec<u8>, Unchecked> {
        let failed = |_ring| Unchecked::Key("a signature");
        Ok(match algorithm {
            Algorithm::Hs256 => hmac::sign(&self.secret, text).as_ref().to_vec(),
            Algorithm::Rs256 => {
                let mut signature = vec![0; self.rsa.public().modulus_len()];
                let signed = self
                    .rsa
                    .sign(&RSA_PKCS1_SHA256, &self.random, text, &mut signature);
                signed.map_err(failed)?;
                signature
            }
            Algorithm::Es256 => {
                let signed = self.p256.sign(&self.random, text);
                signed.map_err(failed)?.as_ref().to_vec()
            }
            Algorithm::EdDsa => self.ed25519.sign(text).as_ref().to_vec(),
        })
    }

    /// Tokens of one algorithm, each for another device.
    fn kind(
        &self,
        (algorithm, name): (Algorithm, &'static str),
        jwks: &Path,
    ) -> Result<Kind, Unchecked> {
        let header = json!({"alg": algorithm.name(), "typ": "JWT", "kid": algorithm.name()});
        let header = URL_SAFE_NO_PAD.encode(header.to_string());
        let expires_s = SystemClock.now().0 / 1_000_000_000 + HOUR_S;
        let (mut shown, mut parts) = (Vec::new(), Vec::new());
        for n in 0..DEVICES {
            let claims =
                json!({"iss": "benchmark", "sub": device_name("check", n), "exp": expires_s});
            let claims = URL_SAFE_NO_PAD.encode(claims.to_string());
            let signed = format!("{header}.{claims}");
            let signature = self.sign(algorithm, signed.as_bytes())?;
            let password = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(&signature));
            parts.push((signed.into_bytes(), signature));
            shown.push(Shown {
                username: None,
                password: password.into_bytes(),
            });
        }
        let mut config = AuthConfig::only(vec![AuthMethod::Jwt]);
        config.jwt.jwks_file = Some(jwks.to_owned());
        config.jwt.identity = vec![ClaimTemplate::parse("{sub}").map_err(Unchecked::SetUp)?];
        config.jwt.bytes_max = TOKEN_BYTES_MAX;
        Ok(Kind {
            name,
            shown,
            authentication: loaded(&config)?,
            bare: self.bare(algorithm, parts),
        })
    }

    /// The signatures alone.
    fn bare(&self, algorithm: Algorithm, parts: Vec<(Vec<u8>, Vec<u8>)>) -> Bare {
        let one = move |n: usize, verify: &dyn Fn(&[u8], &[u8]) -> bool| {
            let part = parts.get(n);
            part.is_some_and(|(signed, signature)| verify(signed, signature))
        };
        match algorithm {
            Algorithm::Hs256 => {
                let key = self.secret.clone();
                Box::new(move |n| one(n, &|text, sign| hmac::verify(&key, text, sign).is_ok()))
            }
            Algorithm::Rs256 => {
                let PublicKeyComponents { n: modulus, e } = self.rsa_components();
                let key = RsaPublicKeyComponents { n: modulus, e };
                let scheme = &RSA_PKCS1_2048_8192_SHA256;
                Box::new(move |n| one(n, &|text, sign| key.verify(scheme, text, sign).is_ok()))
            }
            Algorithm::Es256 => {
                let point = self.p256.public_key().as_ref().to_vec();
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
                Box::new(move |n| one(n, &|text, sign| key.verify(text, sign).is_ok()))
            }
            Algorithm::EdDsa => {
                let public = self.ed25519.public_key().as_ref().to_vec();
                let key = UnparsedPublicKey::new(&ED25519, public);
                Box::new(move |n| one(n, &|text, sign| key.verify(text, sign).is_ok()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_takes_all_credentials_that_are_measured() {
        let dir = tempfile::TempDir::new().unwrap();
        let now = SystemClock.now();
        for kind in kinds(dir.path()).unwrap() {
            for device in [0, DEVICES - 1] {
                assert!(kind.is_admitted(device, now), "{}", kind.name);
                assert!((kind.bare)(device), "{}", kind.name);
            }
            assert!(!kind.is_admitted(DEVICES, now));
        }
    }
}
