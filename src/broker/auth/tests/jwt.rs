//! Tokens, made by another implementation, and what must not pass for one.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use serde_json::{Value, json};

use super::*;
use crate::{
    broker::auth::jwt::{Bearer, Jwt, JwtFault, KeySet},
    config::{ClaimTemplate, Demand, JwtConfig},
};

const SECRET: &[u8] = b"a secret of thirty-two bytes, yes";
const RSA_PEM: &[u8] = include_bytes!("rsa.pem");
const RSA_N: &str = include_str!("rsa.n");
const ED25519_SEED: [u8; 32] = [7; 32];
const NOW_S: u64 = 1_800_000_000;

fn rules() -> JwtConfig {
    JwtConfig {
        identity: vec![ClaimTemplate::parse("{sub}").unwrap()],
        leeway: Duration::from_secs(30),
        bytes_max: 8192,
        ..AuthConfig::only(Vec::new()).jwt
    }
}

fn ed25519() -> (EncodingKey, String) {
    let pair = Ed25519KeyPair::from_seed_unchecked(&ED25519_SEED).unwrap();
    // RFC 8410, section 7: the PKCS #8 frame around a seed.
    let frame = hex::decode("302e020100300506032b657004220420").unwrap();
    let der = [&frame[..], &ED25519_SEED].concat();
    let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    (EncodingKey::from_ed_der(&der), x)
}

/// One pair for all tests of this process.
fn p256() -> (EncodingKey, [String; 2]) {
    static PKCS8: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let random = SystemRandom::new();
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
        made.unwrap().as_ref().to_vec()
    });
    let random = SystemRandom::new();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &PKCS8, &random).unwrap();
    let point = pair.public_key().as_ref();
    let part = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
    (
        EncodingKey::from_ec_der(&PKCS8),
        [part(&point[1..33]), part(&point[33..])],
    )
}

fn jwks() -> Value {
    let [x, y] = p256().1;
    json!({"keys": [
        {"kty": "RSA", "kid": "rsa", "alg": "RS256", "use": "sig", "n": RSA_N.trim(), "e": "AQAB"},
        {"kty": "EC", "kid": "ec", "crv": "P-256", "x": x, "y": y},
        {"kty": "OKP", "kid": "ed", "crv": "Ed25519", "x": ed25519().1},
        {"kty": "oct", "kid": "hs", "k": URL_SAFE_NO_PAD.encode(SECRET)},
        {"kty": "RSA", "kid": "for encryption", "use": "enc", "n": RSA_N.trim(), "e": "AQAB"},
        {"kty": "EC", "kid": "another curve", "crv": "P-384", "x": "AA", "y": "AA"},
    ]})
}

fn with(rules: JwtConfig) -> Jwt {
    let mut keys = KeySet::default();
    keys.add_jwks(jwks().to_string().as_bytes()).unwrap();
    assert!(keys.secret);
    assert_eq!(keys.left_out, 2);
    Jwt::new(keys, rules)
}

fn claims() -> Value {
    json!({"sub": "lamp/7", "exp": NOW_S + 60})
}

fn signed(algorithm: Algorithm, kid: Option<&str>, claims: &Value) -> String {
    let key = match algorithm {
        Algorithm::HS256 => EncodingKey::from_secret(SECRET),
        Algorithm::RS256 | Algorithm::RS512 | Algorithm::PS256 => {
            EncodingKey::from_rsa_pem(RSA_PEM).unwrap()
        }
        Algorithm::ES256 => p256().0,
        Algorithm::EdDSA => ed25519().0,
        other => panic!("{other:?} has no key here"),
    };
    let mut header = Header::new(algorithm);
    header.kid = kid.map(str::to_owned);
    encode(&header, claims, &key).unwrap()
}

fn check(rules: JwtConfig, token: &str) -> Result<Bearer, JwtFault> {
    with(rules).check(token.as_bytes(), NOW)
}

/// A token with this header whose signature is the HMAC of `secret`.
fn forged(header: &Value, secret: &[u8]) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(&claims()));
    let mac = hmac::Mac::chain_update(derived::keyed(secret), &signed);
    let mac = hmac::Mac::finalize(mac).into_bytes();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac))
}

#[test]
fn a_token_of_every_algorithm_speaks_for_its_subject_until_it_expires() {
    for (algorithm, kid) in [
        (Algorithm::HS256, "hs"),
        (Algorithm::RS256, "rsa"),
        (Algorithm::ES256, "ec"),
        (Algorithm::EdDSA, "ed"),
    ] {
        for kid in [Some(kid), None] {
            let bearer = check(rules(), &signed(algorithm, kid, &claims())).unwrap();
            assert_eq!(bearer.principal, device("lamp/7"), "{algorithm:?}");
            let until = UnixNanos::from_millis((NOW_S + 60 + 30) * 1000);
            assert_eq!(bearer.until, Some(until));
        }
    }
}

#[test]
fn the_algorithm_is_the_keys_and_never_the_tokens() {
    let rsa = RSA_PEM;
    let n = URL_SAFE_NO_PAD.decode(RSA_N.trim()).unwrap();
    let cases = [
        // No signature at all, in every spelling.
        (forged(&json!({"alg": "none"}), SECRET), JwtFault::Algorithm),
        (forged(&json!({"alg": "None"}), SECRET), JwtFault::Algorithm),
        (forged(&json!({"alg": ""}), SECRET), JwtFault::Algorithm),
        (forged(&json!({}), SECRET), JwtFault::Algorithm),
        (
            forged(&json!({"alg": ["HS256"]}), SECRET),
            JwtFault::Algorithm,
        ),
        // The public key taken for a secret.
        (
            forged(&json!({"alg": "HS256", "kid": "rsa"}), rsa),
            JwtFault::Algorithm,
        ),
        (
            forged(&json!({"alg": "HS256", "kid": "rsa"}), &n),
            JwtFault::Algorithm,
        ),
        (forged(&json!({"alg": "HS256"}), rsa), JwtFault::Signature),
        (
            forged(&json!({"alg": "HS256", "kid": "ec"}), SECRET),
            JwtFault::Algorithm,
        ),
        // The right key and secret, a neighbouring algorithm.
        (
            signed(Algorithm::RS512, Some("rsa"), &claims()),
            JwtFault::Algorithm,
        ),
        (
            signed(Algorithm::PS256, None, &claims()),
            JwtFault::Algorithm,
        ),
        (
            forged(&json!({"alg": "HS512", "kid": "hs"}), SECRET),
            JwtFault::Algorithm,
        ),
        // A key that comes along, and an extension that nobody here understands.
        (
            forged(
                &json!({"alg": "HS256", "jwk": {"kty": "oct", "k": "AAAA"}}),
                &[0; 3],
            ),
            JwtFault::Signature,
        ),
        (
            forged(
                &json!({"alg": "HS256", "crit": ["b64"], "b64": false}),
                SECRET,
            ),
            JwtFault::Extension,
        ),
        (
            forged(&json!({"alg": "HS256", "crit": null}), SECRET),
            JwtFault::Extension,
        ),
        // Keys by name.
        (
            signed(Algorithm::HS256, Some("gone"), &claims()),
            JwtFault::KeyUnknown,
        ),
        (
            forged(&json!({"alg": "HS256", "kid": 7}), SECRET),
            JwtFault::Malformed,
        ),
        (
            forged(&json!({"alg": "HS256", "kid": "for encryption"}), SECRET),
            JwtFault::KeyUnknown,
        ),
    ];
    for (token, wanted) in cases {
        assert_eq!(check(rules(), &token), Err(wanted), "{token}");
    }
}

#[test]
fn what_was_changed_after_signing_is_refused() {
    for algorithm in [
        Algorithm::HS256,
        Algorithm::RS256,
        Algorithm::ES256,
        Algorithm::EdDSA,
    ] {
        let token = signed(algorithm, None, &claims());
        let (body, signature) = token.rsplit_once('.').unwrap();
        let other = signed(
            algorithm,
            None,
            &json!({"sub": "lamp/8", "exp": NOW_S + 60}),
        );
        let (other, _) = other.rsplit_once('.').unwrap();
        let mut flipped = URL_SAFE_NO_PAD.decode(signature).unwrap();
        *flipped.last_mut().unwrap() ^= 1;
        let short = &flipped[..flipped.len() - 1];
        for wrong in [
            format!("{other}.{signature}"),
            format!("{body}.{}", URL_SAFE_NO_PAD.encode(&flipped)),
            format!("{body}.{}", URL_SAFE_NO_PAD.encode(short)),
            format!("{body}."),
        ] {
            assert_eq!(
                check(rules(), &wrong),
                Err(JwtFault::Signature),
                "{algorithm:?}"
            );
        }
    }
}

#[test]
fn what_is_no_token_is_refused_without_a_panic() {
    let token = signed(Algorithm::HS256, None, &claims());
    let padded = format!("{token}=");
    let spaced = format!("{token}\n");
    let four = format!("{token}.x");
    let long = format!("{}.{}.x", "e".repeat(9000), "y".repeat(10));
    for (text, wanted) in [
        ("", JwtFault::Malformed),
        (".", JwtFault::Malformed),
        ("..", JwtFault::Malformed),
        ("eyJ.eyJ.", JwtFault::Malformed),
        ("bnVsbA.bnVsbA.", JwtFault::Malformed),
        (&padded, JwtFault::Malformed),
        (&spaced, JwtFault::Malformed),
        (&four, JwtFault::Malformed),
        (&long, JwtFault::Oversized),
    ] {
        assert_eq!(check(rules(), text), Err(wanted), "{text}");
    }
    let jwt = with(rules());
    assert_eq!(jwt.check(b"\xff.\xff.\xff", NOW), Err(JwtFault::Malformed));
    for end in 0..token.len() {
        assert!(jwt.check(&token.as_bytes()[..end], NOW).is_err(), "{end}");
    }
}

#[test]
fn times_count_with_the_leeway_and_an_end_is_required_unless_said_otherwise() {
    let at = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        check(rules(), &signed(Algorithm::HS256, None, &claims)).map(|_| ())
    };
    let seconds = |offset: i64| json!(i64::try_from(NOW_S).unwrap() + offset);
    for (name, value, wanted) in [
        ("exp", seconds(1), Ok(())),
        ("exp", seconds(-29), Ok(())),
        ("exp", seconds(-30), Err(JwtFault::Expired)),
        ("exp", seconds(-3600), Err(JwtFault::Expired)),
        ("exp", json!(0), Err(JwtFault::Expired)),
        ("exp", json!(-1), Err(JwtFault::Time)),
        ("exp", json!("soon"), Err(JwtFault::Time)),
        ("exp", json!(null), Err(JwtFault::Time)),
        ("exp", json!(1e300), Err(JwtFault::Time)),
        ("exp", json!(1_800_000_060.5), Ok(())),
        ("nbf", seconds(-1), Ok(())),
        ("nbf", seconds(30), Ok(())),
        ("nbf", seconds(31), Err(JwtFault::NotYet)),
        ("nbf", json!("now"), Err(JwtFault::Time)),
    ] {
        assert_eq!(at(name, value.clone()), wanted, "{name} {value}");
    }
    let endless = signed(Algorithm::HS256, None, &json!({"sub": "lamp/7"}));
    assert_eq!(check(rules(), &endless), Err(JwtFault::Endless));
    let optional = JwtConfig {
        expiry: Demand::Optional,
        ..rules()
    };
    assert_eq!(check(optional, &endless).unwrap().until, None);
}

#[test]
fn issuer_and_audience_are_looked_at_if_they_are_configured() {
    let strict = || JwtConfig {
        issuer: Some("city".to_owned()),
        audiences: vec!["gw-1".to_owned(), "gateways".to_owned()],
        ..rules()
    };
    let cases = [
        (json!("city"), json!("gw-1"), Ok(())),
        (json!("city"), json!(["other", "gateways"]), Ok(())),
        (json!("town"), json!("gw-1"), Err(JwtFault::Issuer)),
        (json!(["city"]), json!("gw-1"), Err(JwtFault::Issuer)),
        (json!("city"), json!("other"), Err(JwtFault::Audience)),
        (json!("city"), json!([]), Err(JwtFault::Audience)),
        (json!("city"), json!(null), Err(JwtFault::Audience)),
    ];
    for (iss, aud, wanted) in cases {
        let mut claims = claims();
        claims["iss"] = iss;
        claims["aud"] = aud;
        let token = signed(Algorithm::HS256, None, &claims);
        assert_eq!(check(strict(), &token).map(|_| ()), wanted, "{claims}");
        assert!(check(rules(), &token).is_ok());
    }
    let without = signed(Algorithm::HS256, None, &claims());
    assert_eq!(check(strict(), &without), Err(JwtFault::Issuer));
}

#[test]
fn claims_that_are_no_identity_let_nobody_in() {
    let rules = |templates: &[&str]| JwtConfig {
        identity: templates
            .iter()
            .map(|text| ClaimTemplate::parse(text).unwrap())
            .collect(),
        ..rules()
    };
    let bearer = |templates: &[&str], claims: &Value| {
        let mut claims = claims.clone();
        claims["exp"] = json!(NOW_S + 60);
        check(rules(templates), &signed(Algorithm::HS256, None, &claims)).map(|b| b.principal)
    };
    for sub in [
        "lamp/+", "#/7", "$SYS/7", "lamp", "lamp/7/8", "/7", "lamp/", "lamp/7\0", "lamp/7\n", "",
    ] {
        let told = bearer(&["{sub}"], &json!({"sub": sub}));
        assert_eq!(told, Err(JwtFault::Identity), "{sub:?}");
    }
    for sub in ["a/b", "+", "#", "a b", "", &"x".repeat(200)] {
        let told = bearer(&["app:{sub}"], &json!({"sub": sub}));
        assert_eq!(told, Err(JwtFault::Identity), "{sub:?}");
    }
    let odd = [
        json!({"sub": 7}),
        json!({"sub": ["lamp/7"]}),
        json!({"sub": null}),
        json!({}),
    ];
    for claims in odd {
        assert_eq!(
            bearer(&["{sub}"], &claims),
            Err(JwtFault::Identity),
            "{claims}"
        );
    }
    let two = ["{class}/{id}", "app:{sub}"];
    let parts = json!({"class": "lamp", "id": "7", "sub": "board"});
    assert_eq!(bearer(&two, &parts), Ok(device("lamp/7")));
    assert_eq!(
        bearer(&two, &json!({"sub": "board"})),
        Ok(application("board"))
    );
    let smuggled = json!({"class": "lamp/7/..", "id": "8"});
    assert_eq!(bearer(&two, &smuggled), Err(JwtFault::Identity));
}

#[test]
fn a_token_is_the_password_and_the_username_is_free_or_right() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("jwks.json");
    std::fs::write(&file, jwks().to_string()).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, private).unwrap();
    let mut config = hmac_with(&[KEY]);
    config.methods = vec![AuthMethod::Hmac, AuthMethod::Jwt];
    config.jwt = JwtConfig {
        jwks_file: Some(file.clone()),
        ..rules()
    };
    let token = signed(Algorithm::ES256, Some("ec"), &claims());
    for username in [None, Some(""), Some("lamp/7")] {
        assert_eq!(
            asked(&config, &given(username, Some(&token))),
            Ok(device("lamp/7"))
        );
    }
    for username in ["lamp/8", "board", "lamp"] {
        let told = asked(&config, &given(Some(username), Some(&token)));
        assert_eq!(told, Err(Denied::BadCredentials), "{username}");
    }
    // A set with a secret in it that everyone may read is no secret.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(&file, open).unwrap();
    let told = Access::load(&config).unwrap_err().to_string();
    assert!(
        told.starts_with("auth.jwks_file: ") && told.contains("mode 0644"),
        "{told}"
    );
}

#[test]
fn a_key_set_that_is_wrong_is_told_with_its_key() {
    let add = |text: &str| {
        KeySet::default()
            .add_jwks(text.as_bytes())
            .map_err(|f| f.to_string())
    };
    let one = |key: Value| add(&json!({"keys": [key]}).to_string());
    for (told, wanted) in [
        (add("{"), "1: is no key set"),
        (add("[]"), "1: is no key set"),
        (add("{\"keys\": []}"), "holds no key for"),
        (
            one(json!({"kty": "EC", "crv": "P-521"})),
            "holds no key for",
        ),
        (one(json!({"kid": "x"})), "keys[0]: is no key"),
        (
            one(json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"})),
            "keys[0]: n: has 24 bits",
        ),
        (
            one(json!({"kty": "RSA", "n": RSA_N.trim(), "e": "AA"})),
            "keys[0]: e: ",
        ),
        (
            one(json!({"kty": "RSA", "n": "!", "e": "AQAB"})),
            "keys[0]: n: is no base64url",
        ),
        (
            one(json!({"kty": "RSA", "e": "AQAB"})),
            "keys[0]: n: is missing",
        ),
        (
            one(json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"})),
            "keys[0]: x: has 1 bytes",
        ),
        (
            one(json!({"kty": "oct", "k": "AAAA"})),
            "keys[0]: has 3 bytes",
        ),
        (
            one(json!({"kty": "OKP", "crv": "Ed25519", "x": ed25519().1, "d": "AA"})),
            "keys[0]: holds a private key",
        ),
    ] {
        let told = told.unwrap_err();
        assert!(told.starts_with(wanted), "{told}");
    }
    let key = json!({"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": ed25519().1});
    let told = add(&json!({"keys": [key, key]}).to_string()).unwrap_err();
    assert!(told.contains("\"a\" stands there twice"), "{told}");
    let short = KeySet::default().add_secret(b"too short").unwrap_err();
    assert!(short.to_string().contains("at least 32"), "{short}");
}
