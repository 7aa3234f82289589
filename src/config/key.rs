//! The keys of `hmac`: where they are found, and how the first comes to be on a first start. The gateway's are `auth.key`
//! or the files of `auth.key_file` (what the higher source gives), else systemd's credential, else `auth.key` in the data
//! directory. A class has keys of its own if `auth.class_keys_dir` holds `{class}.key`, and `{class}.key.old` beside it
//! while they are changed.

use std::{
    collections::BTreeMap,
    env,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use thiserror::Error;

use super::{
    access::{AuthConfig, AuthMethod, KeyRing, Secret},
    guarded::{self, FileFault},
};
use crate::domain::ClassId;

/// Shortest key, bytes: 128 bits, below which guessing is thinkable.
const KEY_BYTES_MIN: usize = 16;
/// Longest key, bytes; a longer file is some other file.
const KEY_BYTES_MAX: u64 = 4096;
/// Its file's name among systemd's credentials and in the data directory.
const KEY_FILE_NAME: &str = "auth.key";
/// Most classes with keys of their own: the catalogue has 226.
const CLASSES_MAX: usize = 4096;

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
    #[error("{setting}: {}: {source}", path.display())]
    Unreadable {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is no key.
    #[error("{setting}: {}: {what}", path.display())]
    Unfit {
        /// The setting that names it.
        setting: &'static str,
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

const KEY_FILE: &str = "auth.key_file";
const CLASS_KEYS_DIR: &str = "auth.class_keys_dir";

/// Where systemd puts credentials (`LoadCredential=`).
#[must_use]
pub fn credentials() -> Option<PathBuf> {
    env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from)
}

/// Finds the keys and puts them into `auth.keys`. `credentials` is systemd's `$CREDENTIALS_DIRECTORY`.
///
/// # Errors
/// [`Keyless`]: `hmac` is asked for, and a key is missing or cannot be used.
pub fn settle(
    auth: &mut AuthConfig,
    data_dir: &Path,
    credentials: Option<&Path>,
    missing: Missing,
) -> Result<Found, Keyless> {
    auth.keys = KeyRing::default();
    if !auth.asks(AuthMethod::Hmac) {
        return Ok(Found::NotNeeded);
    }
    if let Some(dir) = &auth.class_keys_dir {
        auth.keys.classes = classes(dir)?;
        auth.keys.files.push(dir.clone());
    }
    if let Some(key) = &auth.key {
        auth.keys.gateway.push(key.clone());
        return Ok(Found::Setting);
    }
    if let [first, ..] = auth.key_files.as_slice() {
        let found = Found::File(first.clone());
        for path in &auth.key_files {
            auth.keys.gateway.push(read(KEY_FILE, path)?);
        }
        auth.keys.files.extend_from_slice(&auth.key_files);
        return Ok(found);
    }
    let credential = credentials
        .map(|dir| dir.join(KEY_FILE_NAME))
        .filter(|path| path.exists());
    let (key, found) = match credential {
        Some(path) => (read(KEY_FILE, &path)?, Found::File(path)),
        None => own(data_dir.join(KEY_FILE_NAME), missing)?,
    };
    if let Found::File(path) | Found::Made(path) = &found {
        auth.keys.files.push(path.clone());
    }
    auth.keys.gateway.push(key);
    Ok(found)
}

/// The key in the data directory.
fn own(path: PathBuf, missing: Missing) -> Result<(Secret, Found), Keyless> {
    match read(KEY_FILE, &path) {
        Ok(key) => Ok((key, Found::File(path))),
        Err(Keyless::Unreadable { source, path, .. })
            if source.kind() == io::ErrorKind::NotADirectory =>
        {
            Err(Keyless::NotMade { path, source })
        }
        Err(Keyless::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            if missing == Missing::Fail {
                return Err(Keyless::Absent(path));
            }
            match make(&path) {
                Ok(key) => Ok((key, Found::Made(path))),
                Err(source) => Err(Keyless::NotMade { path, source }),
            }
        }
        Err(error) => Err(error),
    }
}

/// The classes' keys in a folder: `{class}.key` comes first, `{class}.key.old` is valid beside it. Other files are none
/// of ours.
fn classes(dir: &Path) -> Result<BTreeMap<String, Vec<Secret>>, Keyless> {
    let unreadable = |source| Keyless::Unreadable {
        setting: CLASS_KEYS_DIR,
        path: dir.to_owned(),
        source,
    };
    let unfit = |path: &Path, what: String| Keyless::Unfit {
        setting: CLASS_KEYS_DIR,
        path: path.to_owned(),
        what,
    };
    let mut found: BTreeMap<String, Vec<Secret>> = BTreeMap::new();
    let mut old = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let (class, is_old) = match (name.strip_suffix(".key"), name.strip_suffix(".key.old")) {
            (Some(class), _) => (class.to_owned(), false),
            (None, Some(class)) => (class.to_owned(), true),
            (None, None) => continue,
        };
        ClassId::new(&class).map_err(|error| unfit(&path, format!("names no class: {error}")))?;
        let key = read(CLASS_KEYS_DIR, &path)?;
        if is_old {
            old.push((class, key, path));
        } else {
            found.insert(class, vec![key]);
        }
        if found.len() > CLASSES_MAX {
            return Err(unfit(
                dir,
                format!("holds keys of more than {CLASSES_MAX} classes"),
            ));
        }
    }
    for (class, key, path) in old {
        let keys = found.get_mut(&class);
        let keys = keys.ok_or_else(|| unfit(&path, format!("stands there without {class}.key")))?;
        keys.push(key);
    }
    Ok(found)
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

fn read(setting: &'static str, path: &Path) -> Result<Secret, Keyless> {
    let unfit = |path, what| Keyless::Unfit {
        setting,
        path,
        what,
    };
    let key = guarded::secret(path, KEY_BYTES_MAX).map_err(|fault| match fault {
        FileFault::Unreadable { path, source } => Keyless::Unreadable {
            setting,
            path,
            source,
        },
        FileFault::Unfit { path, what } => unfit(path, what),
    })?;
    check_key(&key).map_err(|what| unfit(path.to_owned(), what))?;
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
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn hmac() -> AuthConfig {
        AuthConfig::only(vec![AuthMethod::Hmac])
    }

    fn key_file(dir: &Path, name: &str, key: &str) -> PathBuf {
        let path = dir.join(name);
        fs::write(&path, key).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn texts(keys: &[Secret]) -> Vec<&str> {
        let text = |key| str::from_utf8(key).unwrap();
        keys.iter().map(|key| text(&key.0)).collect()
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
        assert_eq!(first.keys, second.keys);
    }

    #[test]
    fn who_only_asks_makes_no_key_and_who_asks_not_for_hmac_needs_none() {
        let dir = tempfile::tempdir().unwrap();
        let error = settle(&mut hmac(), dir.path(), None, Missing::Fail).unwrap_err();
        assert!(matches!(error, Keyless::Absent(_)), "{error}");
        let mut other = AuthConfig::only(vec![AuthMethod::Jwt, AuthMethod::Password]);
        let found = settle(&mut other, dir.path(), None, Missing::Make).unwrap();
        assert_eq!(found, Found::NotNeeded);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_named_files_win_over_the_credential_and_that_over_the_data_dir() {
        let dir = tempfile::tempdir().unwrap();
        let credentials = dir.path().join("credentials");
        fs::create_dir(&credentials).unwrap();
        key_file(dir.path(), "auth.key", "from the data directory");
        let mut auth = hmac();
        settle(&mut auth, dir.path(), Some(&credentials), Missing::Fail).unwrap();
        assert_eq!(texts(&auth.keys.gateway), ["from the data directory"]);
        key_file(&credentials, "auth.key", "from the credential\n");
        let mut auth = hmac();
        settle(&mut auth, dir.path(), Some(&credentials), Missing::Fail).unwrap();
        assert_eq!(texts(&auth.keys.gateway), ["from the credential"]);
        let mut auth = hmac();
        auth.key_files = vec![
            key_file(dir.path(), "named", "from the named file\r\n"),
            key_file(dir.path(), "former", "and from another"),
        ];
        settle(&mut auth, dir.path(), Some(&credentials), Missing::Fail).unwrap();
        let wanted = ["from the named file", "and from another"];
        assert_eq!(texts(&auth.keys.gateway), wanted);
        assert_eq!(auth.keys.files, auth.key_files);
    }

    #[test]
    fn a_class_has_its_own_keys_and_an_old_one_only_beside_a_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("classes");
        fs::create_dir(&keys).unwrap();
        key_file(&keys, "lamp.key", "the key of the lamps");
        key_file(&keys, "lamp.key.old", "their former key is old");
        key_file(&keys, "README", "no key");
        key_file(dir.path(), "auth.key", "from the data directory");
        let mut auth = hmac();
        auth.class_keys_dir = Some(keys.clone());
        settle(&mut auth, dir.path(), None, Missing::Fail).unwrap();
        let wanted = ["the key of the lamps", "their former key is old"];
        assert_eq!(texts(auth.keys.of_class("lamp")), wanted);
        assert_eq!(
            texts(auth.keys.of_class("other")),
            ["from the data directory"]
        );
        key_file(&keys, "pump.key.old", "an old key and no new one");
        let error = settle(&mut auth, dir.path(), None, Missing::Fail).unwrap_err();
        assert!(error.to_string().contains("without pump.key"), "{error}");
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
            auth.key_files = vec![path.clone()];
            let error = settle(&mut auth, dir.path(), None, Missing::Make).unwrap_err();
            let text = error.to_string();
            assert!(
                text.contains(wanted) && text.contains(path.to_str().unwrap()),
                "{text}"
            );
        }
    }
}
