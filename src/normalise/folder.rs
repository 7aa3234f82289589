//! The files of a folder that an operator keeps: of classes, of profiles.

use std::{
    fmt,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use walkdir::{DirEntry, WalkDir};

/// How deep folders may lie in folders.
const DEPTH_MAX: usize = 8;
/// Most files of a folder.
const FILES_MAX: usize = 20_000;

/// What of a folder could not be listed, and why.
#[derive(Debug)]
pub(super) struct Unlisted {
    pub(super) path: PathBuf,
    pub(super) why: String,
}

impl fmt::Display for Unlisted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.why)
    }
}

/// The files with one of these extensions, those in its folders included, in the order of their names. Links are followed;
/// names that begin with a dot are passed over: what an editor keeps there, and the generations of a mounted `ConfigMap`.
///
/// # Errors
/// A folder that cannot be read, a link in a circle, more files than [`FILES_MAX`]: the others are given all the same.
pub(super) fn files(
    dir: &Path,
    extensions: &'static [&'static str],
) -> impl Iterator<Item = Result<PathBuf, Unlisted>> {
    let is_shown = |entry: &DirEntry| entry.depth() == 0 || !is_hidden(entry.path());
    let is_wanted = move |path: &Path| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|extension| extensions.contains(&extension))
    };
    let walk = WalkDir::new(dir)
        .follow_links(true)
        .max_depth(DEPTH_MAX)
        .sort_by_file_name();
    let dir = dir.to_owned();
    let found = walk.into_iter().filter_entry(is_shown);
    let found = found.filter_map(move |entry| match entry {
        Ok(entry) if entry.file_type().is_dir() || !is_wanted(entry.path()) => None,
        Ok(entry) => Some(Ok(entry.into_path())),
        Err(error) => {
            let path = error.path().unwrap_or(&dir);
            let why = error.io_error();
            let is_gone = why.is_some_and(|why| why.kind() == ErrorKind::NotFound);
            let is_of_nobody = is_hidden(path) || is_gone && !is_wanted(path);
            (error.depth() == 0 || !is_of_nobody).then(|| {
                Err(Unlisted {
                    path: path.to_owned(),
                    why: why.map_or_else(|| error.to_string(), ToString::to_string),
                })
            })
        }
    });
    found.take(FILES_MAX)
}

/// All files of classes and profiles below a folder that can be listed.
pub(crate) fn files_of(dir: &Path) -> impl Iterator<Item = PathBuf> {
    files(dir, &["toml", "proto"]).flatten()
}

fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(b".")
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn files_are_listed_through_folders_and_links_and_hidden_ones_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("..data")).unwrap();
        fs::create_dir_all(at("vendor")).unwrap();
        for name in [
            "..data/a.toml",
            "vendor/b.toml",
            "vendor/b.proto",
            ".c.toml.swp",
            ".c.toml",
            "notes.txt",
        ] {
            fs::write(at(name), "").unwrap();
        }
        symlink("..data/a.toml", at("a.toml")).unwrap();
        let found: Vec<PathBuf> = files(dir.path(), &["toml"]).map(Result::unwrap).collect();
        assert_eq!(found, [at("a.toml"), at("vendor/b.toml")]);

        symlink("..", at("vendor/circle")).unwrap();
        symlink("nowhere", at("gone.toml")).unwrap();
        symlink("nowhere", at(".#b.toml")).unwrap();
        symlink("nowhere", at("README")).unwrap();
        let (found, faults): (Vec<_>, Vec<_>) =
            files(dir.path(), &["toml", "proto"]).partition(Result::is_ok);
        assert_eq!(found.len(), 3, "{found:?}");
        let faults: Vec<String> = faults
            .into_iter()
            .map(|fault| fault.unwrap_err().to_string())
            .collect();
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(
            faults.iter().any(|fault| fault.contains("circle")),
            "{faults:?}"
        );
        assert!(
            faults.iter().any(|fault| fault.contains("gone.toml")),
            "{faults:?}"
        );
    }
}
