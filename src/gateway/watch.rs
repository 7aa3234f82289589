//! Watches files by looking at them: certificates and whatever else is read again while running. Renewals replace files
//! by renaming or by turning a symbolic link, which a look at inode, size and times sees on every file system. A folder looks
//! as the files in it do.
//!
//! A change counts once two looks in a row agree, so that a certificate and its key are both in place by then; what is
//! read too early all the same is refused as a whole and read again at the next change.

use std::{
    collections::BTreeMap,
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{
    broker::Handle,
    config::{Config, ListenerConfig, NormaliseConfig},
    normalise,
    supervise::{TaskResult, TaskSet},
};

/// Files and how they looked last.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    /// The certificates, keys and lists of the listeners.
    certificates: Vec<PathBuf>,
    /// Those of classes and profiles, as the configuration in force has them.
    folders: watch::Receiver<Vec<PathBuf>>,
    /// What whoever reads the files has been told of.
    told: Looks,
    last: Looks,
}

type Looks = BTreeMap<PathBuf, Option<Look>>;

/// Of device, inode, size, modification and change of inode.
type Look = u64;

/// The folders of classes and profiles.
pub(super) fn folders(config: &NormaliseConfig) -> Vec<PathBuf> {
    let folders = [&config.class_dir, &config.profile_dir];
    folders.into_iter().flatten().cloned().collect()
}

impl Watch {
    /// Looks at the files and folders; what changes from now on will be told. The sender is for the folders of a
    /// configuration that is put in force later. Reads files: before the workers are busy.
    pub(super) fn new(config: &Config) -> (Self, watch::Sender<Vec<PathBuf>>) {
        let listeners = config.mqtt.listen.iter();
        let certificates = listeners.flat_map(ListenerConfig::files).cloned();
        let (sender, folders) = watch::channel(folders(&config.normalise));
        (Self::of(certificates.collect(), folders), sender)
    }

    fn of(certificates: Vec<PathBuf>, folders: watch::Receiver<Vec<PathBuf>>) -> Self {
        let told = looks([certificates.clone(), folders.borrow().clone()].concat());
        Self {
            certificates,
            folders,
            last: told.clone(),
            told,
        }
    }

    /// Looks again and again, in a task, also at the files of the access that is in force then; what it gives is told of
    /// every change.
    pub(super) fn start(
        self,
        every: Duration,
        broker: &Handle,
        tasks: &mut TaskSet,
    ) -> Arc<Notify> {
        let changed = Arc::new(Notify::new());
        let watching = self.run(every, broker.clone(), Arc::clone(&changed), tasks.token());
        tasks.spawn("file-watch", watching);
        changed
    }

    async fn run(
        mut self,
        every: Duration,
        broker: Handle,
        changed: Arc<Notify>,
        stop: CancellationToken,
    ) -> TaskResult {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                _ = ticks.tick() => {}
            }
            let folders = self.folders.borrow().clone();
            let paths = [self.certificates.clone(), broker.access_files(), folders].concat();
            if paths.is_empty() {
                continue;
            }
            let seen = tokio::task::spawn_blocking(move || looks(paths)).await?;
            if self.heed(seen) {
                tracing::info!("files that are in use have changed");
                changed.notify_one();
            }
        }
    }

    /// Whether what is seen is a change that has settled. Files that were not looked at before are as they should be.
    fn heed(&mut self, seen: Looks) -> bool {
        self.told.retain(|path, _| seen.contains_key(path));
        for (path, look) in &seen {
            if !self.told.contains_key(path) {
                self.told.insert(path.clone(), *look);
            }
        }
        let settled = seen == self.last && seen != self.told;
        if settled {
            self.told.clone_from(&seen);
        }
        self.last = seen;
        settled
    }
}

fn looks(paths: Vec<PathBuf>) -> Looks {
    let looked = paths.into_iter().map(|path| {
        let look = look(&path);
        (path, look)
    });
    looked.collect()
}

fn look(path: &Path) -> Option<Look> {
    let found = fs::metadata(path).ok()?;
    let mut hasher = DefaultHasher::new();
    if found.is_dir() {
        for file in normalise::files_of(path) {
            look(&file).hash(&mut hasher);
            file.hash(&mut hasher);
        }
        return Some(hasher.finish());
    }
    (found.dev(), found.ino(), found.size()).hash(&mut hasher);
    (found.mtime(), found.mtime_nsec()).hash(&mut hasher);
    (found.ctime(), found.ctime_nsec()).hash(&mut hasher);
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_once_it_has_settled_and_only_once() {
        let dir = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = ["a", "b"].map(|name| dir.path().join(name)).into();
        fs::write(&paths[0], "1").unwrap();
        let (_, none) = watch::channel(Vec::new());
        let mut watch = Watch::of(paths.clone(), none);
        let look = |watch: &mut Watch| watch.heed(looks(paths.clone()));
        assert!(!look(&mut watch));
        fs::write(&paths[1], "new").unwrap();
        assert!(!look(&mut watch), "it may go on changing");
        fs::write(dir.path().join("next"), "2").unwrap();
        fs::rename(dir.path().join("next"), &paths[0]).unwrap();
        assert!(!look(&mut watch));
        assert!(look(&mut watch));
        assert!(!look(&mut watch));
        fs::remove_file(&paths[0]).unwrap();
        assert!(!look(&mut watch));
        assert!(look(&mut watch));
        let further = [&paths[..], &[dir.path().to_owned()]].concat();
        assert!(!watch.heed(looks(further.clone())), "not known before");
        assert!(!watch.heed(looks(further)));
    }

    #[test]
    fn a_folder_changes_with_every_file_in_it_that_counts() {
        let dir = tempfile::tempdir().unwrap();
        let vendor = dir.path().join("vendor");
        fs::create_dir(&vendor).unwrap();
        let (_, folders) = watch::channel(vec![dir.path().to_owned()]);
        let mut watch = Watch::of(Vec::new(), folders);
        let mut is_told = || {
            let look = || looks(vec![dir.path().to_owned()]);
            let _first = watch.heed(look());
            watch.heed(look())
        };
        assert!(!is_told());
        fs::write(vendor.join("station.toml"), "1").unwrap();
        assert!(is_told(), "a file has come");
        assert!(!is_told());
        fs::write(vendor.join("station.toml"), "22").unwrap();
        assert!(is_told(), "a file was written in place");
        fs::write(vendor.join(".station.toml.swp"), "1").unwrap();
        fs::write(vendor.join("notes.txt"), "1").unwrap();
        assert!(!is_told(), "neither a profile nor a class");
        fs::rename(vendor.join("station.toml"), dir.path().join("station.toml")).unwrap();
        assert!(is_told(), "a file has moved");
        fs::remove_file(dir.path().join("station.toml")).unwrap();
        assert!(is_told(), "a file is gone");
    }
}
