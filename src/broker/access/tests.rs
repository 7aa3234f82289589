//! Reading everything at once: all that is wrong is told, and half an access is none.

use std::{fs, os::unix::fs::PermissionsExt as _};

use tempfile::TempDir;

use super::*;
use crate::{broker::auth::hashed, config::Secret};

fn file(dir: &TempDir, name: &str, mode: u32, text: &str) -> PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

fn told(config: &AuthConfig) -> Vec<String> {
    let AccessError(faults) = Access::load(config).unwrap_err();
    faults.iter().map(AccessFault::to_string).collect()
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_setting_file_line_and_key() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = AuthConfig::only(vec![
        AuthMethod::Hmac,
        AuthMethod::Jwt,
        AuthMethod::Password,
    ]);
    let jwks = file(
        &dir,
        "jwks",
        0o644,
        r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AA"}]}"#,
    );
    let passwords = file(&dir, "passwords", 0o600, "\nboard:open sesame\n");
    let revoked = file(&dir, "revoked", 0o644, "device lamp\n");
    let rights = file(
        &dir,
        "rights",
        0o644,
        "[[allow]]\nanyone = true\npublish = [\"a/#/b\"]\n",
    );
    config.jwt.jwks_file = Some(jwks.clone());
    config.password.file = Some(passwords.clone());
    config.revocation_file = Some(revoked.clone());
    config.rights = RightsConfig::File(rights.clone());
    let wanted = [
        "auth.key_file: is no key".to_owned(),
        format!(
            "auth.jwks_file: {}: keys[0]: x: has 1 bytes, 32 are needed",
            jwks.display()
        ),
        format!(
            "auth.password_file: {}:2: \"board\" is no PHC string",
            passwords.display()
        ),
        format!("auth.revocation_file: {}:1: device: ", revoked.display()),
        format!(
            "auth.rights: {}:3: allow.publish: \"a/#/b\" has `#`",
            rights.display()
        ),
    ];
    let told = told(&config);
    assert_eq!(told.len(), wanted.len(), "{told:#?}");
    for (told, wanted) in told.iter().zip(&wanted) {
        assert!(told.starts_with(wanted), "{told}\n{wanted}");
    }
}

#[test]
fn files_that_others_may_change_or_read_are_refused_and_missing_ones_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = AuthConfig::only(vec![AuthMethod::Password]);
    config.password.file = Some(file(&dir, "passwords", 0o644, ""));
    config.revocation_file = Some(file(&dir, "revoked", 0o666, ""));
    config.rights = RightsConfig::File(dir.path().join("missing"));
    let told = told(&config);
    assert!(told[0].contains("mode 0644 lets everyone read"), "{told:?}");
    assert!(
        told[1].contains("mode 0666 lets everyone change"),
        "{told:?}"
    );
    assert!(told[2].contains("missing: No such file"), "{told:?}");
}

#[test]
fn it_knows_the_files_that_it_was_read_from() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = AuthConfig::hmac(b"0123456789abcdef");
    config.methods.push(AuthMethod::Password);
    config
        .keys
        .classes
        .insert("lamp".to_owned(), vec![Secret(vec![7; 16])]);
    config.keys.files = vec![PathBuf::from("/keys")];
    let line = hashed("board", b"open sesame").unwrap();
    let passwords = file(&dir, "passwords", 0o600, &line);
    let rights = file(&dir, "rights", 0o644, "");
    config.password.file = Some(passwords.clone());
    config.rights = RightsConfig::File(rights.clone());
    let access = Access::load(&config).unwrap();
    assert_eq!(access.files(), [PathBuf::from("/keys"), passwords, rights]);
    assert!(access.troubles().is_empty());
    config.methods.push(AuthMethod::Anonymous);
    config.rights = RightsConfig::Open;
    assert_eq!(Access::load(&config).unwrap().troubles().len(), 2);
}
