//! The gateway's key: where it is found, and how it comes to be on a first start. The order is: `auth.key` or
//! `auth.key_file` (the one from the higher source), systemd's credential, `auth.key` in the data directory.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use thiserror::Error;

use super::stages::{AuthConfig, AuthMethod, Secret};

/// Shortest key, bytes: 128 bits, below which guessing is thinkable.
const KEY_BYTES_MIN: usize = 16;
/// Longest key, bytes; a longer file is some other file.
const KEY_BYTES_MAX: u64 = 4096;
/// Its file's name among systemd's credentials and in the data directory.
const KEY_FILE_NAME: &str = "auth.key";

/// Whether a missing key is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The daemon makes one.
    Make,
    /// Everyone else says that there is none.
    Fail,
}

/// Where the key came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The method needs none.
    NotNeeded,
    /// `auth.key` of the environment or the file.
    Setting,
    /// This file.
    File(PathBuf),
    /// This file, made just now at random.
    Made(PathBuf),
}

/// Why there is no key.
#[derive(Debug, Error)]
pub enum Keyless {
    /// No file of the key.
    #[error("{}: there is no key yet: `sensegate run` makes one, or give auth.key_file", .0.display())]
    Absent(PathBuf),
    /// The file cannot be read.
    #[error("auth.key_file: {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is no key.
    #[error("auth.key_file: {}: {what}", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The key cannot be made.
    #[error("spool.data_dir: {}: cannot make the key: {source}", path.display())]
    NotMade {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Finds the key and puts it into `auth.key`. `credentials` is systemd's `$CREDENTIALS_DIRECTORY`.
///
/// # Errors
/// [`Keyless`]: the method needs a key, and there is none or it cannot be used.
pub fn settle(
    auth: &mut AuthConfig,
    data_dir: &Path,
    credentials: Option<&Path>,
    missing: Missing,
) -> Result<Found, Keyless> {
    if auth.method == AuthMethod::Anonymous {
        return Ok(Found::NotNeeded);
    }
    if auth.key.is_some() {
        return Ok(Found::Setting);
    }
    let credential = credentials
        .map(|dir| dir.join(KEY_FILE_NAME))
        .filter(|path| path.exists());
    let own = data_dir.join(KEY_FILE_NAME);
    let is_own = auth.key_file.is_none() && credential.is_none();
    let path = auth.key_file.clone().or(credential).unwrap_or(own);
    match read(&path) {
        Ok(key) => {
            auth.key = Some(key);
            Ok(Found::File(path))
        }
        Err(Keyless::Unreadable { source, path })
            if is_own && source.kind() == io::ErrorKind::NotADirectory =>
        {
            Err(Keyless::NotMade { path, source })
        }
        Err(Keyless::Unreadable { source, .. })
            if is_own && source.kind() == io::ErrorKind::NotFound =>
        {
            if missing == Missing::Fail {
                return Err(Keyless::Absent(path));
            }
            match make(&path) {
                Ok(key) => {
                    auth.key = Some(key);
                    Ok(Found::Made(path))
                }
                Err(source) => Err(Keyless::NotMade { path, source }),
            }
        }
        Err(error) => Err(error),
    }
}

/// Whether bytes can be a key; the error does not show them.
pub(super) fn check_key(key: &[u8]) -> Result<(), String> {
    if key.len() < KEY_BYTES_MIN {
        return Err(format!(
            "has {} bytes, a key needs at least {KEY_BYTES_MIN}",
            key.len()
        ));
    }
    Ok(())
}

fn read(path: &Path) -> Result<Secret, Keyless> {
    let unreadable = |source| Keyless::Unreadable {
        path: path.to_owned(),
        source,
    };
    let unfit = |what| Keyless::Unfit {
        path: path.to_owned(),
        what,
    };
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode();
    if mode & 0o007 != 0 {
        return Err(unfit(format!(
            "mode {:04o} lets everyone read or change the key: chmod 600",
            mode & 0o7777
        )));
    }
    let mut key = Vec::new();
    file.take(KEY_BYTES_MAX + 1)
        .read_to_end(&mut key)
        .map_err(unreadable)?;
    if u64::try_from(key.len()).is_ok_and(|len| len > KEY_BYTES_MAX) {
        return Err(unfit(format!(
            "is longer than a key's {KEY_BYTES_MAX} bytes"
        )));
    }
    while key.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        key.pop();
    }
    check_key(&key).map_err(unfit)?;
    Ok(Secret(key))
}

/// Makes the data directory and the key in it; durable before it is used, and never in place of another.
fn make(path: &Path) -> io::Result<Secret> {
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    DirBuilder::new().recursive(true).mode(0o750).create(dir)?;
    let text = hex::encode(rand::random::<[u8; 32]>());
    let part = path.with_extension("key.part");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&part)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    File::open(dir)?.sync_all()?;
    Ok(Secret(text.into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hmac() -> AuthConfig {
        AuthConfig {
            method: AuthMethod::Hmac,
            key: None,
            key_file: None,
        }
    }

    fn key_file(dir: &Path, name: &str, key: &str) -> PathBuf {
        let path = dir.join(name);
        fs::write(&path, key).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    #[test]
    fn a_first_start_makes_a_key_and_the_second_finds_it() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("new/data");
        let mut first = hmac();
        let made = settle(&mut first, &data, None, Missing::Make).unwrap();
        let path = data.join("auth.key");
        assert_eq!(made, Found::Made(path.clone()));
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let mut second = hmac();
        let found = settle(&mut second, &data, None, Missing::Fail).unwrap();
        assert_eq!(found, Found::File(path));
        assert_eq!(first.key, second.key);
    }

    #[test]
    fn who_only_asks_makes_no_key() {
        let dir = tempfile::tempdir().unwrap();
        let error = settle(&mut hmac(), dir.path(), None, Missing::Fail).unwrap_err();
        assert!(matches!(error, Keyless::Absent(_)), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_named_file_wins_over_the_credential_and_that_over_the_data_dir() {
        let dir = tempfile::tempdir().unwrap();
        let credentials = dir.path().join("credentials");
        fs::create_dir(&credentials).unwrap();
        key_file(dir.path(), "auth.key", "from the data directory");
        let mut auth = hmac();
        settle(&mut auth, dir.path(), Some(&credentials), Missing::Fail).unwrap();
        assert_eq!(auth.key.unwrap().0, b"from the data directory");
        key_file(&credentials, "auth.key", "from the credential\n");
        let mut auth = hmac();
        settle(&mut auth, dir.path(), Some(&credentials), Missing::Fail).unwrap();
        assert_eq!(auth.key.unwrap().0, b"from the credential");
        let mut auth = hmac();
        auth.key_file = Some(key_file(dir.path(), "named", "from the named file\r\n"));
        settle(&mut auth, dir.path(), Some(&credentials), Missing::Fail).unwrap();
        assert_eq!(auth.key.unwrap().0, b"from the named file");
    }

    #[test]
    fn a_named_key_that_is_missing_short_or_open_to_all_is_refused_and_never_made() {
        let dir = tempfile::tempdir().unwrap();
        let open = key_file(dir.path(), "open", "0123456789abcdef");
        fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
        let cases = [
            (dir.path().join("missing"), "No such file"),
            (key_file(dir.path(), "short", "short\n"), "has 5 bytes"),
            (open, "mode 0644"),
        ];
        for (path, wanted) in cases {
            let mut auth = hmac();
            auth.key_file = Some(path.clone());
            let error = settle(&mut auth, dir.path(), None, Missing::Make).unwrap_err();
            let text = error.to_string();
            assert!(
                text.contains(wanted) && text.contains(path.to_str().unwrap()),
                "{text}"
            );
        }
    }
}
