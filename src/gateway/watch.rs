//! Watches files by looking at them: certificates and whatever else is read again while running. Renewals replace files
//! by renaming or by turning a symbolic link, which a look at inode, size and times sees on every file system.
//!
//! A change counts once two looks in a row agree, so that a certificate and its key are both in place by then; what is
//! read too early all the same is refused as a whole and read again at the next change.

use std::{
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
    config::{Config, ListenerConfig},
    supervise::{TaskResult, TaskSet},
};

/// The files of a configuration that are read again when they change.
pub(super) fn files(config: &Config) -> Vec<PathBuf> {
    let listeners = config.mqtt.listen.iter();
    listeners.flat_map(ListenerConfig::files).cloned().collect()
}

/// Files and how they looked last.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    paths: Arc<[PathBuf]>,
    /// What whoever reads the files has been told of.
    told: Looks,
    last: Looks,
}

type Looks = Vec<Option<Look>>;

/// Device, inode, size, modification and change of inode.
type Look = (u64, u64, u64, (i64, i64), (i64, i64));

impl Watch {
    /// Looks at the files; what changes from now on will be told.
    pub(super) fn new(paths: Vec<PathBuf>) -> Self {
        let told: Looks = paths.iter().map(|path| look(path)).collect();
        Self {
            paths: paths.into(),
            last: told.clone(),
            told,
        }
    }

    /// Looks at the files again and again in a task; what it gives is told of every change.
    pub(super) fn start(self, every: Duration, tasks: &mut TaskSet) -> Arc<Notify> {
        let changed = Arc::new(Notify::new());
        let watching = self.run(every, Arc::clone(&changed), tasks.token());
        tasks.spawn("file-watch", watching);
        changed
    }

    async fn run(
        self,
        every: Duration,
        changed: Arc<Notify>,
        stop: CancellationToken,
    ) -> TaskResult {
        let mut watch = self;
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                _ = ticks.tick() => {}
            }
            if watch.paths.is_empty() {
                continue;
            }
            let paths = Arc::clone(&watch.paths);
            let seen = move || paths.iter().map(|path| look(path)).collect();
            if watch.heed(tokio::task::spawn_blocking(seen).await?) {
                tracing::info!("files that are in use have changed");
                changed.notify_one();
            }
        }
    }

    /// Whether what is seen is a change that has settled.
    fn heed(&mut self, seen: Looks) -> bool {
        let settled = seen == self.last && seen != self.told;
        if settled {
            self.told.clone_from(&seen);
        }
        self.last = seen;
        settled
    }
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
        let mut watch = Watch::new(paths.clone());
        let look = |watch: &mut Watch| {
            let seen = paths.iter().map(|path| super::look(path)).collect();
            watch.heed(seen)
        };
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
    }
}
