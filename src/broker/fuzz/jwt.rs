//! Tokens. The bytes are a token as they are; and, taken as a line of header and a line of claims, one that is signed with
//! the right secret, so that what comes after the signature is reached too.

use std::{sync::OnceLock, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac as _};
use serde_json::{Map, Value};
use sha2::Sha256;

use super::super::{
    auth::jwt::{Bearer, Jwt, KeySet},
    principal::Principal,
};
use crate::{
    config::{AuthConfig, ClaimTemplate, JwtConfig},
    domain::{Identity, UnixNanos},
};

const SECRET: &[u8] = b"a secret of thirty-two bytes, yes";
/// The public key of RFC 8032, section 7.1, test 1: its tokens cannot be made here, but its `kid` can be named.
const PUBLIC: &str = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "ed",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
const NOW: UnixNanos = UnixNanos::from_millis(1_800_000_000_000);

/// Checks a token and one that is made of the same bytes.
pub fn jwt(bytes: &[u8]) {
    if let Ok(bearer) = checker().check(bytes, NOW) {
        is_somebody(&bearer);
    }
    let mut lines = bytes.splitn(2, |&byte| byte == b'\n');
    let (header, claims) = (
        lines.next().unwrap_or_default(),
        lines.next().unwrap_or_default(),
    );
    let part = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
    let signed = format!("{}.{}", part(header), part(claims));
    let mac = Hmac::<Sha256>::new_from_slice(SECRET).expect("a key of any length");
    let mac = mac.chain_update(&signed).finalize().into_bytes();
    let token = format!("{signed}.{}", part(&mac));
    let Ok(bearer) = checker().check(token.as_bytes(), NOW) else {
        return;
    };
    is_somebody(&bearer);
    let object = |text| serde_json::from_slice::<Map<String, Value>>(text).expect("an object");
    let (header, claims) = (object(header), object(claims));
    assert_eq!(header.get("alg").and_then(Value::as_str), Some("HS256"));
    assert!(!header.contains_key("crit"), "an extension was passed over");
    assert_ne!(header.get("kid").and_then(Value::as_str), Some("ed"));
    let exp = claims.get("exp").and_then(Value::as_f64).expect("an end");
    assert!(exp + 30.0 > 1_800_000_000.0, "it had expired");
}

/// Whoever is let in has a name that means nothing in a topic, and an end.
fn is_somebody(bearer: &Bearer) {
    match &bearer.principal {
        Principal::Device(identity) => {
            assert!(Identity::parse(identity.as_str()).is_ok(), "{identity}");
        }
        Principal::Application(name) => {
            assert!(Principal::application(name).is_some(), "{name}");
        }
        Principal::Anonymous => unreachable!("a token without a bearer"),
    }
    assert!(bearer.until.is_some_and(|until| until > NOW));
}

fn checker() -> &'static Jwt {
    static CHECKER: OnceLock<Jwt> = OnceLock::new();
    CHECKER.get_or_init(|| {
        let mut keys = KeySet::default();
        keys.add_secret(SECRET).expect("a secret");
        keys.add_jwks(PUBLIC.as_bytes()).expect("a key set");
        let templates = ["{sub}", "{class}/{device}", "app:{sub}"];
        let templates = templates.map(|text| ClaimTemplate::parse(text).expect("a template"));
        let rules = JwtConfig {
            identity: templates.to_vec(),
            leeway: Duration::from_secs(30),
            bytes_max: 8192,
            ..AuthConfig::only(Vec::new()).jwt
        };
        Jwt::new(keys, rules)
    })
}
