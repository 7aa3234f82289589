//! What each method lets in and turns away, and in which order they are asked.

mod jwt;
mod password;

use std::time::Duration;

use super::*;
use crate::{
    broker::access::Access,
    config::{AuthConfig, AuthMethod, Secret},
    domain::Identity,
};

pub(super) const KEY: &[u8] = b"0123456789abcdef";
pub(super) const NOW: UnixNanos = UnixNanos::from_millis(1_800_000_000_000);

pub(super) fn device(name: &str) -> Principal {
    Principal::Device(Identity::parse(name).unwrap())
}

pub(super) fn application(name: &str) -> Principal {
    Principal::application(name).unwrap()
}

fn hmac_with(keys: &[&[u8]]) -> AuthConfig {
    let mut config = AuthConfig::only(vec![AuthMethod::Hmac]);
    config.keys.gateway = keys.iter().map(|key| Secret(key.to_vec())).collect();
    config
}

fn asked(config: &AuthConfig, credentials: &Credentials<'_>) -> Result<Principal, Denied> {
    match Access::load(config)
        .unwrap()
        .authentication
        .ask(credentials)
    {
        Answer::Admitted(admitted) => Ok(admitted.principal),
        Answer::Denied(denied) => Err(denied),
        Answer::Slow(_) => panic!("no method here takes long"),
    }
}

fn given<'a>(username: Option<&'a str>, password: Option<&'a str>) -> Credentials<'a> {
    Credentials {
        username,
        password: password.map(str::as_bytes),
        certificate: None,
        now: NOW,
    }
}

fn ask(username: Option<&str>, password: Option<&str>) -> Result<Principal, Denied> {
    asked(&hmac_with(&[KEY]), &given(username, password))
}

fn certificate(common_name: &str) -> PeerCertificate {
    PeerCertificate::of(&[0x9a, 0x3f], common_name, &[], &[])
}

fn by_certificate() -> AuthConfig {
    let mut config = hmac_with(&[KEY]);
    config.methods = vec![AuthMethod::Certificate, AuthMethod::Hmac];
    config.certificate_identity = ["cn:{class}/{device}", "cn:app-{application}"]
        .map(|text| SubjectTemplate::parse(text).unwrap())
        .to_vec();
    config
}

#[test]
fn a_device_with_its_token_is_itself_in_either_case_of_hex() {
    let identity = Identity::parse("manhole_cover/7").unwrap();
    let token = token(KEY, &identity);
    let device = Ok(Principal::Device(identity));
    assert_eq!(ask(Some("manhole_cover/7"), Some(&token)), device);
    assert_eq!(
        ask(Some("manhole_cover/7"), Some(&token.to_uppercase())),
        device
    );
}

#[test]
fn a_token_of_another_device_or_none_is_turned_away() {
    let other = token(KEY, &Identity::parse("manhole_cover/8").unwrap());
    let zeros = "0".repeat(64);
    for wrong in [&*other, "", &zeros, "short", other.get(..62).unwrap()] {
        let told = ask(Some("manhole_cover/7"), Some(wrong));
        assert_eq!(told, Err(Denied::BadCredentials), "{wrong}");
    }
    assert_eq!(
        ask(Some("manhole_cover/7"), None),
        Err(Denied::NotAuthorised)
    );
    assert_eq!(ask(None, Some(&other)), Err(Denied::BadCredentials));
    assert_eq!(ask(None, None), Err(Denied::NotAuthorised));
}

#[test]
fn a_username_that_is_no_identity_is_turned_away_even_with_its_hmac() {
    for name in [
        "no-slash", "a/+", "#/b", "$SYS/b", "a/", "/b", "a/b/c", "a/b\0",
    ] {
        let mac = derived::keyed(KEY);
        let mac = hmac::Mac::chain_update(mac, name);
        let mac = hex::encode(hmac::Mac::finalize(mac).into_bytes());
        assert_eq!(
            ask(Some(name), Some(&mac)),
            Err(Denied::BadCredentials),
            "{name:?}"
        );
    }
}

#[test]
fn every_key_is_valid_while_they_are_changed_and_none_afterwards() {
    let identity = Identity::parse("lamp/7").unwrap();
    let (old, new) = (b"an old key of the city", b"the new key of the city");
    let (by_old, by_new) = (token(old, &identity), token(new, &identity));
    let rounds: [(&[&[u8]], bool, bool); 3] = [
        (&[old], true, false),
        (&[new, old], true, true),
        (&[new], false, true),
    ];
    for (keys, old_holds, new_holds) in rounds {
        let config = hmac_with(keys);
        for (password, holds) in [(&by_old, old_holds), (&by_new, new_holds)] {
            let told = asked(&config, &given(Some("lamp/7"), Some(password)));
            assert_eq!(told.is_ok(), holds, "{keys:?}");
        }
    }
}

#[test]
fn a_class_key_holds_for_its_class_alone_and_the_gateways_not_for_it() {
    let mut config = hmac_with(&[KEY]);
    let own: &[u8] = b"the key of the lamps' maker";
    config
        .keys
        .classes
        .insert("lamp".to_owned(), vec![Secret(own.to_vec())]);
    for (key, name, holds) in [
        (own, "lamp/7", true),
        (KEY, "lamp/7", false),
        (own, "pump/7", false),
        (KEY, "pump/7", true),
    ] {
        let password = token(key, &Identity::parse(name).unwrap());
        let told = asked(&config, &given(Some(name), Some(&password)));
        assert_eq!(told.is_ok(), holds, "{name}");
    }
}

#[test]
fn a_certificate_speaks_for_its_holder_and_for_nobody_else() {
    let config = by_certificate();
    let shown = certificate("lamp/7");
    let with = |username| Credentials {
        certificate: Some(&shown),
        ..given(username, None)
    };
    for username in [None, Some(""), Some("lamp/7")] {
        assert_eq!(asked(&config, &with(username)), Ok(device("lamp/7")));
    }
    assert_eq!(
        asked(&config, &with(Some("lamp/8"))),
        Err(Denied::BadCredentials)
    );
    let shown = certificate("app-board");
    let board = Credentials {
        certificate: Some(&shown),
        ..given(Some("board"), None)
    };
    assert_eq!(asked(&config, &board), Ok(application("board")));
}

#[test]
fn what_one_method_does_not_know_the_next_is_asked_and_what_it_knows_is_decided() {
    let config = by_certificate();
    let password = token(KEY, &Identity::parse("lamp/7").unwrap());
    // No certificate, or one that names nobody: the next method.
    let credentials = given(Some("lamp/7"), Some(&password));
    assert_eq!(asked(&config, &credentials), Ok(device("lamp/7")));
    let stranger = certificate("stranger");
    let credentials = Credentials {
        certificate: Some(&stranger),
        ..credentials
    };
    assert_eq!(asked(&config, &credentials), Ok(device("lamp/7")));
    // One that names another: the right password does not help.
    let other = certificate("lamp/8");
    let credentials = Credentials {
        certificate: Some(&other),
        ..credentials
    };
    assert_eq!(asked(&config, &credentials), Err(Denied::BadCredentials));
}

#[test]
fn anonymous_takes_those_whom_nobody_knows_and_not_the_wrong_ones() {
    let mut config = hmac_with(&[KEY]);
    config.methods.push(AuthMethod::Anonymous);
    assert_eq!(asked(&config, &given(None, None)), Ok(Principal::Anonymous));
    let zeros = "0".repeat(64);
    let told = asked(&config, &given(Some("lamp/7"), Some(&zeros)));
    assert_eq!(told, Err(Denied::BadCredentials));
}

#[test]
fn who_is_revoked_is_told_so_only_after_its_proof_was_right() {
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("revoked");
    std::fs::write(&list, "device lamp/7\nserial 9a3f\nclass pump\n").unwrap();
    let mut config = by_certificate();
    config.revocation_file = Some(list);
    let access = Access::load(&config).unwrap();
    let ask = |name: &str, password: &str, shown: Option<&PeerCertificate>| {
        let credentials = Credentials {
            certificate: shown,
            ..given(Some(name), Some(password))
        };
        match access.authentication.ask(&credentials) {
            Answer::Admitted(admitted) => Ok(admitted.principal),
            Answer::Denied(denied) => Err(denied),
            Answer::Slow(_) => panic!("no method here takes long"),
        }
    };
    let right = |name: &str| token(KEY, &Identity::parse(name).unwrap());
    let zeros = "0".repeat(64);
    assert_eq!(ask("lamp/7", &right("lamp/7"), None), Err(Denied::Banned));
    assert_eq!(ask("lamp/7", &zeros, None), Err(Denied::BadCredentials));
    assert_eq!(ask("pump/1", &right("pump/1"), None), Err(Denied::Banned));
    assert_eq!(ask("lamp/8", &right("lamp/8"), None), Ok(device("lamp/8")));
    let shown = certificate("stranger");
    assert_eq!(
        ask("lamp/8", &right("lamp/8"), Some(&shown)),
        Err(Denied::Banned)
    );
    // The same for those who are in.
    let recheck = |name, until| access.recheck(&device(name), None, until, NOW);
    assert_eq!(recheck("lamp/8", None), Ok(()));
    assert_eq!(recheck("lamp/7", None), Err(Denied::Banned));
    assert_eq!(recheck("lamp/8", Some(NOW)), Err(Denied::NotAuthorised));
    assert_eq!(recheck("lamp/8", Some(UnixNanos(NOW.0 + 1))), Ok(()));
}

#[test]
fn debug_texts_hold_no_secrets() {
    let mut config = hmac_with(&[b"a very secret key"]);
    config.methods = vec![AuthMethod::Hmac, AuthMethod::Jwt, AuthMethod::Password];
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let line = hashed("board", b"open sesame").unwrap();
    config.jwt.secret_file = Some(write("secret", &"very secret ".repeat(4)));
    config.password.file = Some(write("passwords", &line));
    config.password.checks_max = 1;
    config.jwt.leeway = Duration::from_secs(1);
    let access = Access::load(&config).unwrap();
    let shown = format!("{config:?} {access:?}");
    let hash = line.rsplit_once('$').unwrap().1;
    for secret in ["very secret", hash, &hex::encode("very secret")] {
        assert!(!shown.contains(secret), "{shown}");
    }
    // Nor numbers that are a key's bytes.
    assert!(!shown.contains("118, 101, 114, 121"), "{shown}");
}
