//! Tokens as passwords. Bytes that nobody signed are never taken; what is signed is taken only if its claims say so.

use std::sync::OnceLock;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac as _};
use serde_json::{Map, Value};
use sha2::Sha256;

use super::super::auth::jwt::{Jwt, KeySet};
use crate::{config::Config, domain::UnixNanos};

/// When the tokens are looked at: 2023-11-14T22:13:20Z.
const NOW: UnixNanos = UnixNanos(1_700_000_000_000_000_000);

fn secret() -> &'static [u8; 32] {
    static SECRET: OnceLock<[u8; 32]> = OnceLock::new();
    SECRET.get_or_init(rand::random)
}

fn checker() -> &'static Jwt {
    static CHECKER: OnceLock<Jwt> = OnceLock::new();
    CHECKER.get_or_init(|| {
        let config = Config::with(&[
            ("auth.jwt_audience", "gateway"),
            ("auth.jwt_issuer", "office"),
            ("auth.jwt_leeway", "0s"),
        ]);
        let mut keys = KeySet::default();
        keys.add_secret(secret()).expect("a secret");
        Jwt::new(keys, config.expect("settings that are known").auth.jwt)
    })
}

/// The first byte says whether the rest is a whole token, or header and claims, one line each, to be signed rightly.
pub fn jwt(bytes: &[u8]) {
    let Some((&how, rest)) = bytes.split_first() else {
        return;
    };
    if how & 1 == 0 {
        let taken = checker().check(rest, NOW);
        assert!(taken.is_err(), "a token that nobody signed: {taken:?}");
        return;
    }
    let mut parts = rest.splitn(2, |byte| *byte == b'\n');
    let header = parts.next().unwrap_or_default();
    let claims = parts.next().unwrap_or_default();
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let mac = Hmac::<Sha256>::new_from_slice(secret()).expect("a key of any length");
    let signature = mac.chain_update(&signed).finalize().into_bytes();
    let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
    if let Ok(bearer) = checker().check(token.as_bytes(), NOW) {
        assert!(bearer.until.is_none_or(|until| until > NOW), "{bearer:?}");
        let header: Map<String, Value> = serde_json::from_slice(header).expect("an object");
        let claims: Map<String, Value> = serde_json::from_slice(claims).expect("an object");
        let word = |of: &Map<String, Value>, name| of.get(name).map(ToString::to_string);
        assert_eq!(word(&header, "alg").as_deref(), Some("\"HS256\""));
        assert_eq!(word(&header, "crit"), None);
        assert_eq!(word(&claims, "iss").as_deref(), Some("\"office\""));
        assert!(word(&claims, "aud").is_some_and(|aud| aud.contains("gateway")));
    }
}
