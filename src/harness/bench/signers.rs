//! An issuer's keys and the tokens that it signs with them, for the checks that are measured.

use std::path::Path;

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
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use serde_json::{Value, json};

use super::{
    checks::{Bare, DEVICES, KEY, Kind, Shown, Unchecked, loaded},
    readings::device_name,
};
use crate::{
    config::{AuthConfig, AuthMethod, ClaimTemplate},
    domain::{Clock as _, SystemClock},
};

const HOUR_S: u64 = 3600;
const TOKEN_BYTES_MAX: usize = 8192;

#[derive(Debug, Clone, Copy)]
pub(super) enum Algorithm {
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
pub(super) struct Signers {
    random: SystemRandom,
    secret: hmac::Key,
    rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
}

impl Signers {
    pub(super) fn new() -> Result<Self, Unchecked> {
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

    pub(super) fn jwks(&self) -> Value {
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
    pub(super) fn kind(
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
