//! JSON Web Tokens as passwords: JWS in its compact form (RFC 7515) with the claims of RFC 7519, checked with keys that the
//! operator gives. Nothing is fetched, and nothing in a token chooses how it is checked: the algorithm belongs to the
//! key, a header that names another is refused, and keys or addresses of keys in a header are not looked at.
//!
//! ```text
//!  length ─▶ header: alg, kid, no crit ─▶ key ─▶ signature ─▶ claims: exp, nbf, iss, aud ─▶ identity
//! ```
//!
//! Written out here instead of taken from a library, since those at hand read the machine's clock themselves and pass over
//! `crit`; the signatures are ring's. The tests' tokens are made by a library.
//!
//! The claims are read only after the signature was right. [`Jwt::check`] is a pure function of the token's bytes and the
//! time: what fuzzing feeds.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use thiserror::Error;

use super::jwks::Algorithm;
pub use super::jwks::KeySet;
use crate::{
    broker::principal::Principal,
    config::{Claimed, Demand, JwtConfig},
    domain::{Identity, UnixNanos},
};

/// Latest time that a claim may name, seconds: beyond 2^53 a JSON number is no longer exact.
const SECONDS_MAX: f64 = 9_007_199_254_740_992.0;

/// Why a token is not taken. Clients are told none of it.
#[expect(clippy::module_name_repetitions, reason = "files have faults too")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum JwtFault {
    /// It is longer than is taken.
    #[error("the token is too long")]
    Oversized,
    /// It is no JWS in compact form, or a part of it is no JSON object.
    #[error("the token is malformed")]
    Malformed,
    /// Its header asks for an extension (`crit`).
    #[error("the token asks for an extension")]
    Extension,
    /// Its algorithm is none that is offered, `none` above all, or not its key's.
    #[error("the algorithm is not the key's")]
    Algorithm,
    /// No key has its `kid`.
    #[error("no key has the token's kid")]
    KeyUnknown,
    /// The signature is wrong.
    #[error("the signature is wrong")]
    Signature,
    /// It has expired.
    #[error("the token has expired")]
    Expired,
    /// It has no `exp`, and one is required.
    #[error("the token never expires")]
    Endless,
    /// It is not yet in force.
    #[error("the token is not yet in force")]
    NotYet,
    /// A time in it is none.
    #[error("a time in the token is none")]
    Time,
    /// `iss` is not the issuer.
    #[error("the issuer is another")]
    Issuer,
    /// `aud` does not name this gateway.
    #[error("the audience is another")]
    Audience,
    /// Its claims give no identity.
    #[error("the claims give no identity")]
    Identity,
}

impl JwtFault {
    /// Its name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Oversized => "oversized",
            Self::Malformed => "malformed",
            Self::Extension => "extension",
            Self::Algorithm => "algorithm",
            Self::KeyUnknown => "key_unknown",
            Self::Signature => "signature",
            Self::Expired => "expired",
            Self::Endless => "endless",
            Self::NotYet => "not_yet",
            Self::Time => "time",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Identity => "no_identity",
        }
    }
}

/// Who a token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bearer {
    /// Who.
    pub principal: Principal,
    /// Until when, the leeway included; `None`: the token never expires.
    pub until: Option<UnixNanos>,
}

/// The keys and rules by which tokens are checked.
#[derive(Debug)]
pub struct Jwt {
    keys: KeySet,
    rules: JwtConfig,
}

impl Jwt {
    /// Checks tokens with these keys by the rules of a configuration; its files were read by whoever made the keys.
    #[must_use]
    pub const fn new(keys: KeySet, rules: JwtConfig) -> Self {
        Self { keys, rules }
    }

    /// Says who a token speaks for.
    ///
    /// # Errors
    /// [`JwtFault`]: why it is not taken.
    pub fn check(&self, token: &[u8], now: UnixNanos) -> Result<Bearer, JwtFault> {
        if token.len() > self.rules.bytes_max {
            return Err(JwtFault::Oversized);
        }
        let token = str::from_utf8(token).map_err(|_utf8| JwtFault::Malformed)?;
        let (signed, signature) = token.rsplit_once('.').ok_or(JwtFault::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(JwtFault::Malformed)?;
        let header = object(header)?;
        if header.contains_key("crit") {
            return Err(JwtFault::Extension);
        }
        let algorithm = header.get("alg").and_then(Value::as_str);
        let algorithm = algorithm
            .and_then(Algorithm::of)
            .ok_or(JwtFault::Algorithm)?;
        let kid = match header.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid.as_str()),
            Some(_) => return Err(JwtFault::Malformed),
        };
        let signature = decoded(signature)?;
        self.keys
            .verify((algorithm, kid), signed.as_bytes(), &signature)?;
        self.judge(&object(claims)?, now)
    }

    fn judge(&self, claims: &Map<String, Value>, now: UnixNanos) -> Result<Bearer, JwtFault> {
        let leeway = u64::try_from(self.rules.leeway.as_nanos()).unwrap_or(u64::MAX);
        let until = match time(claims, "exp")? {
            Some(UnixNanos(exp)) => {
                let until = UnixNanos(exp.saturating_add(leeway));
                if now >= until {
                    return Err(JwtFault::Expired);
                }
                Some(until)
            }
            None if self.rules.expiry == Demand::Required => return Err(JwtFault::Endless),
            None => None,
        };
        if time(claims, "nbf")?.is_some_and(|nbf| now.0.saturating_add(leeway) < nbf.0) {
            return Err(JwtFault::NotYet);
        }
        if let Some(issuer) = &self.rules.issuer
            && claims.get("iss").and_then(Value::as_str) != Some(issuer)
        {
            return Err(JwtFault::Issuer);
        }
        if !self.rules.audiences.is_empty() && !self.is_meant(claims.get("aud")) {
            return Err(JwtFault::Audience);
        }
        let principal = self.bearer(claims).ok_or(JwtFault::Identity)?;
        Ok(Bearer { principal, until })
    }

    /// Whether `aud`, one text or an array of them, names one of our audiences.
    fn is_meant(&self, aud: Option<&Value>) -> bool {
        let ours = |value: &Value| {
            value
                .as_str()
                .is_some_and(|name| self.rules.audiences.iter().any(|ours| ours == name))
        };
        match aud {
            Some(Value::Array(names)) => names.iter().any(ours),
            Some(name) => ours(name),
            None => false,
        }
    }

    fn bearer(&self, claims: &Map<String, Value>) -> Option<Principal> {
        let claim = |name: &str| claims.get(name).and_then(Value::as_str);
        let mut filled = self
            .rules
            .identity
            .iter()
            .filter_map(|template| template.fill(claim));
        filled.find_map(|claimed| match claimed {
            Claimed::Device(text) => Identity::parse(&text).ok().map(Principal::Device),
            Claimed::Application(name) => Principal::application(&name),
        })
    }
}

/// Whether a password has the form of a token: three parts, the first one an object's beginning in base64url.
pub(crate) fn looks_like_one(password: &[u8]) -> bool {
    password.starts_with(b"eyJ") && password.iter().filter(|&&byte| byte == b'.').count() == 2
}

fn decoded(part: &str) -> Result<Vec<u8>, JwtFault> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_base64| JwtFault::Malformed)
}

fn object(part: &str) -> Result<Map<String, Value>, JwtFault> {
    serde_json::from_slice(&decoded(part)?).map_err(|_json| JwtFault::Malformed)
}

/// A `NumericDate` (RFC 7519, section 2): seconds since the epoch, fractions allowed.
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<UnixNanos>, JwtFault> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    let seconds = value.as_f64().ok_or(JwtFault::Time)?;
    if !(0.0..=SECONDS_MAX).contains(&seconds) {
        return Err(JwtFault::Time);
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float becomes the nearest integer in range; it is neither negative nor NaN"
    )]
    let millis = (seconds * 1e3) as u64;
    Ok(Some(UnixNanos::from_millis(millis)))
}
