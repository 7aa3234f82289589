//! Tasks with names. Every long-lived task of the gateway is spawned here, so that it is cancelled and joined on
//! shutdown, and so that one that ends or panics by itself is a failure of the gateway and never goes unnoticed:
//! nothing is alive but dead.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use thiserror::Error;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// What a supervised task ends with.
pub type TaskResult = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// A task that ended before it was asked to.
#[derive(Debug, Error)]
pub enum TaskFailure {
    /// It returned without an error, though nobody had cancelled it.
    #[error("task {0} ended by itself")]
    Ended(&'static str),
    /// It returned an error.
    #[error("task {name}: {source}")]
    Failed {
        /// The task's name.
        name: &'static str,
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It panicked.
    #[error("a task panicked: {0}")]
    Panicked(String),
}

/// A set of named tasks that live and end together.
#[derive(Debug)]
pub struct TaskSet {
    tasks: JoinSet<(&'static str, TaskResult)>,
    token: CancellationToken,
    alive: Arc<AtomicU64>,
    spawned: u64,
}

/// Tells whether every task of a set is still running.
#[derive(Debug, Clone)]
pub struct Liveness {
    alive: Arc<AtomicU64>,
    spawned: u64,
}

impl Liveness {
    /// Whether every task that was spawned before this handle was made still runs.
    #[must_use]
    pub fn all_alive(&self) -> bool {
        self.alive.load(Ordering::Relaxed) >= self.spawned
    }
}

struct AliveGuard(Arc<AtomicU64>);

impl Drop for AliveGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for TaskSet {
    fn default() -> Self {
        Self::new()
    }
}

impl TaskSet {
    /// An empty set with a cancellation token of its own.
    #[must_use]
    pub fn new() -> Self {
        Self {
            tasks: JoinSet::new(),
            token: CancellationToken::new(),
            alive: Arc::new(AtomicU64::new(0)),
            spawned: 0,
        }
    }

    /// The token that [`TaskSet::stop`] cancels; tasks watch it.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Runs a future as a task of this set.
    pub fn spawn<F>(&mut self, name: &'static str, task: F)
    where
        F: Future<Output = TaskResult> + Send + 'static,
    {
        self.alive.fetch_add(1, Ordering::Relaxed);
        self.spawned += 1;
        let guard = AliveGuard(Arc::clone(&self.alive));
        self.tasks.spawn(async move {
            let _guard = guard;
            (name, task.await)
        });
    }

    /// A handle that tells whether every task spawned so far still runs.
    #[must_use]
    pub fn liveness(&self) -> Liveness {
        Liveness {
            alive: Arc::clone(&self.alive),
            spawned: self.spawned,
        }
    }

    /// Waits for the first task that ends; pending for ever while the set is empty.
    pub async fn first_end(&mut self) -> TaskFailure {
        match self.tasks.join_next().await {
            None => std::future::pending().await,
            Some(ended) => failure(ended).unwrap_or(TaskFailure::Ended("of the set")),
        }
    }

    /// Cancels the token and joins every task; those that are still running at the deadline are aborted and counted.
    ///
    /// # Errors
    /// The first task that panicked or ended with an error.
    pub async fn stop(mut self, deadline: Duration) -> Result<Stopped, TaskFailure> {
        self.token.cancel();
        let mut stopped = Stopped { aborted: 0 };
        let mut first = None;
        let joined = tokio::time::timeout(deadline, async {
            while let Some(ended) = self.tasks.join_next().await {
                let fault = failure(ended).filter(|fault| !matches!(fault, TaskFailure::Ended(_)));
                first = first.take().or(fault);
            }
        })
        .await;
        if joined.is_err() {
            stopped.aborted = self.tasks.len();
            self.tasks.shutdown().await;
        }
        first.map_or(Ok(stopped), Err)
    }
}

/// How a set of tasks ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// Tasks that had to be aborted at the deadline.
    pub aborted: usize,
}

fn failure(ended: Result<(&'static str, TaskResult), JoinError>) -> Option<TaskFailure> {
    match ended {
        Ok((name, Ok(()))) => Some(TaskFailure::Ended(name)),
        Ok((name, Err(source))) => Some(TaskFailure::Failed { name, source }),
        Err(join) if join.is_panic() => Some(TaskFailure::Panicked(join.to_string())),
        Err(_) => None,
    }
}
