//! Keys for tokens: a JSON Web Key Set (RFC 7517, with the keys of RFC 7518 and RFC 8037) and a file with one secret. A key
//! has one algorithm, which follows from what kind of key it is; so an RSA key can never be taken for the secret of an
//! HMAC.
//!
//! Keys of a kind that is not offered, and keys for encryption, are left out as RFC 7517, section 5 has it; a key that is
//! offered and wrong is a fault. Private keys have no place here.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac as _};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;

use super::{
    super::access::{Fault, Place},
    derived::keyed,
    jwt::JwtFault,
};

/// Most keys of a set: a token without `kid` is checked with every key of its algorithm.
const KEYS_MAX: usize = 16;
/// Shortest secret of HS256, bytes (RFC 7518, section 3.2).
const SECRET_BYTES_MIN: usize = 32;
/// Length of an RSA modulus, bytes: 2048 to 8192 bits.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// An algorithm that is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Hs256,
    Rs256,
    Es256,
    EdDsa,
}

impl Algorithm {
    pub(super) fn of(name: &str) -> Option<Self> {
        match name {
            "HS256" => Some(Self::Hs256),
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            _ => None,
        }
    }
}

enum Verifier {
    Hs256(Hmac<Sha256>),
    Rs256(RsaPublicKeyComponents<Vec<u8>>),
    Es256(UnparsedPublicKey<Vec<u8>>),
    EdDsa(UnparsedPublicKey<[u8; 32]>),
}

struct Key {
    kid: Option<Box<str>>,
    verifier: Verifier,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("kid", &self.kid)
            .field("algorithm", &self.verifier.algorithm())
            .finish_non_exhaustive()
    }
}

/// The keys that tokens are checked with.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<Key>,
    /// Keys of the set that were left out.
    pub(crate) left_out: usize,
    /// Whether a secret is among them: its file is no public one then.
    pub(crate) secret: bool,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

/// The members of a key; what is not here is not looked at.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    k: Option<String>,
    d: Option<serde::de::IgnoredAny>,
}

impl KeySet {
    /// Adds the keys of a JSON Web Key Set.
    ///
    /// # Errors
    /// It is none, or the first key that is offered and wrong.
    pub fn add_jwks(&mut self, text: &[u8]) -> Result<(), Fault> {
        let set: Set = serde_json::from_slice(text).map_err(|error| {
            Fault::at(Place::Line(error.line()), format!("is no key set: {error}"))
        })?;
        let before = self.keys.len();
        for (at, value) in set.keys.into_iter().enumerate() {
            let key = format!("keys[{at}]");
            let fault = |what: String| Fault::at(Place::Key(key.clone()), what);
            let jwk: Jwk = match serde_json::from_value(value) {
                Ok(jwk) => jwk,
                Err(error) => return Err(fault(format!("is no key: {error}"))),
            };
            match jwk.verifier().map_err(fault)? {
                None => self.left_out += 1,
                Some(verifier) => {
                    self.secret |= matches!(verifier, Verifier::Hs256(_));
                    self.add(jwk.kid, verifier).map_err(fault)?;
                }
            }
        }
        if self.keys.len() == before {
            let what = "holds no key for RS256, ES256, EdDSA or HS256";
            return Err(Fault::at(Place::Whole, what.to_owned()));
        }
        Ok(())
    }

    /// Adds a secret for HS256.
    ///
    /// # Errors
    /// It is too short.
    pub fn add_secret(&mut self, secret: &[u8]) -> Result<(), Fault> {
        let fault = |what| Fault::at(Place::Whole, what);
        let verifier = of_secret(secret).map_err(fault)?;
        self.add(None, verifier).map_err(fault)
    }

    fn add(&mut self, kid: Option<String>, verifier: Verifier) -> Result<(), String> {
        let kid = kid.map(String::into_boxed_str);
        if kid.is_some() && self.keys.iter().any(|key| key.kid == kid) {
            return Err(format!(
                "kid {:?} stands there twice",
                kid.unwrap_or_default()
            ));
        }
        if self.keys.len() == KEYS_MAX {
            return Err(format!(
                "is one too many: at most {KEYS_MAX} keys are taken"
            ));
        }
        self.keys.push(Key { kid, verifier });
        Ok(())
    }

    /// Checks a signature with the key of this `kid`. A key without one serves every token of its algorithm; a token
    /// without one is checked with every key of its algorithm.
    pub(super) fn verify(
        &self,
        (algorithm, kid): (Algorithm, Option<&str>),
        signed: &[u8],
        signature: &[u8],
    ) -> Result<(), JwtFault> {
        let mut fault = JwtFault::KeyUnknown;
        for key in &self.keys {
            let serves = match (kid, &key.kid) {
                (Some(wanted), Some(kid)) => wanted == &**kid,
                _ => true,
            };
            if !serves {
                continue;
            }
            if key.verifier.algorithm() != algorithm {
                if fault == JwtFault::KeyUnknown {
                    fault = JwtFault::Algorithm;
                }
                continue;
            }
            if key.verifier.verify(signed, signature) {
                return Ok(());
            }
            fault = JwtFault::Signature;
        }
        Err(fault)
    }
}

impl Verifier {
    const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Hs256(_) => Algorithm::Hs256,
            Self::Rs256(_) => Algorithm::Rs256,
            Self::Es256(_) => Algorithm::Es256,
            Self::EdDsa(_) => Algorithm::EdDsa,
        }
    }

    fn verify(&self, signed: &[u8], signature: &[u8]) -> bool {
        match self {
            // `verify_slice` compares in constant time and the whole length only.
            Self::Hs256(mac) => mac
                .clone()
                .chain_update(signed)
                .verify_slice(signature)
                .is_ok(),
            Self::Rs256(key) => key
                .verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature)
                .is_ok(),
            Self::Es256(key) => key.verify(signed, signature).is_ok(),
            Self::EdDsa(key) => key.verify(signed, signature).is_ok(),
        }
    }
}

fn of_secret(secret: &[u8]) -> Result<Verifier, String> {
    if secret.len() < SECRET_BYTES_MIN {
        return Err(format!(
            "has {} bytes, a secret for HS256 needs at least {SECRET_BYTES_MIN}",
            secret.len()
        ));
    }
    Ok(Verifier::Hs256(keyed(secret)))
}

impl Jwk {
    /// The key, or nothing if it is of a kind that is not offered.
    fn verifier(&self) -> Result<Option<Verifier>, String> {
        if self.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return Ok(None);
        }
        let algorithm = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => Algorithm::Rs256,
            ("EC", Some("P-256")) => Algorithm::Es256,
            ("OKP", Some("Ed25519")) => Algorithm::EdDsa,
            ("oct", _) => Algorithm::Hs256,
            _ => return Ok(None),
        };
        let other = |name: &str| Algorithm::of(name) != Some(algorithm);
        if self.alg.as_deref().is_some_and(other) {
            return Ok(None);
        }
        if self.d.is_some() {
            return Err("holds a private key (d): only its public part belongs here".to_owned());
        }
        Ok(Some(match algorithm {
            Algorithm::Hs256 => of_secret(&member("k", self.k.as_ref())?)?,
            Algorithm::Rs256 => self.rsa()?,
            Algorithm::Es256 => {
                let x: [u8; 32] = sized("x", self.x.as_ref())?;
                let y: [u8; 32] = sized("y", self.y.as_ref())?;
                // SEC 1, section 2.3.3: an uncompressed point.
                let point = [&[4_u8][..], &x, &y].concat();
                Verifier::Es256(UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point))
            }
            Algorithm::EdDsa => {
                let point = sized("x", self.x.as_ref())?;
                Verifier::EdDsa(UnparsedPublicKey::new(&ED25519, point))
            }
        }))
    }

    fn rsa(&self) -> Result<Verifier, String> {
        let plain = |bytes: Vec<u8>| -> Vec<u8> {
            bytes.into_iter().skip_while(|&byte| byte == 0).collect()
        };
        let n = plain(member("n", self.n.as_ref())?);
        let e = plain(member("e", self.e.as_ref())?);
        if !MODULUS_BYTES.contains(&n.len()) {
            return Err(format!(
                "n: has {} bits, an RSA key needs 2048 to 8192",
                n.len().saturating_mul(8)
            ));
        }
        if e.is_empty() || e.len() > 4 || e.last().is_some_and(|last| last % 2 == 0) {
            return Err("e: is no public exponent".to_owned());
        }
        Ok(Verifier::Rs256(RsaPublicKeyComponents { n, e }))
    }
}

fn member(name: &str, text: Option<&String>) -> Result<Vec<u8>, String> {
    let text = text.ok_or_else(|| format!("{name}: is missing"))?;
    let decoded = URL_SAFE_NO_PAD.decode(text);
    // The decoder's own words would show a character of the key.
    decoded.map_err(|_base64| format!("{name}: is no base64url without padding"))
}

fn sized<const N: usize>(name: &str, text: Option<&String>) -> Result<[u8; N], String> {
    let bytes = member(name, text)?;
    let length = bytes.len();
    let sized = bytes.try_into();
    sized.map_err(|_bytes| format!("{name}: has {length} bytes, {N} are needed"))
}
