//! Watches files by looking at them: certificates and whatever else is read again while running. Renewals replace files
//! by renaming or by turning a symbolic link, which a look at inode, size and times sees on every file system.
//!
//! A change counts once two looks in a row agree, so that a certificate and its key are both in place by then; what is
//! read too early all the same is refused as a whole and read again at the next change.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{
    broker::Handle,
    config::ListenerConfig,
    supervise::{TaskResult, TaskSet},
};

/// Files and how they looked last.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    /// The certificates, keys and lists of the listeners.
    certificates: Vec<PathBuf>,
    /// What whoever reads the files has been told of.
    told: Looks,
    last: Looks,
}

type Looks = BTreeMap<PathBuf, Option<Look>>;

/// Device, inode, size, modification and change of inode.
type Look = (u64, u64, u64, (i64, i64), (i64, i64));

impl Watch {
    /// Looks at the listeners' files; what changes from now on will be told.
    pub(super) fn new(listeners: &[ListenerConfig]) -> Self {
        let files = listeners.iter().flat_map(ListenerConfig::files);
        Self::of(files.cloned().collect())
    }

    fn of(certificates: Vec<PathBuf>) -> Self {
        let told = looks(certificates.clone());
        Self {
            certificates,
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
            let paths = [self.certificates.clone(), broker.access_files()].concat();
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
    Some((
        found.dev(),
        found.ino(),
        found.size(),
        (found.mtime(), found.mtime_nsec()),
        (found.ctime(), found.ctime_nsec()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_once_it_has_settled_and_only_once() {
        let dir = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = ["a", "b"].map(|name| dir.path().join(name)).into();
        fs::write(&paths[0], "1").unwrap();
        let mut watch = Watch::of(paths.clone());
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
}
