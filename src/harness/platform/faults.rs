//! Misbehaviour on request: what a gateway has to survive.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use tonic::{Code, Status};

/// What the platform does wrong; the default is nothing. Zero means never.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Delay before each batch is taken, milliseconds.
    pub delay_ms: u64,
    /// Refuses every reading whose sequence is a multiple of this.
    pub refuse_every: u64,
    /// Refuses readings of this device.
    pub refuse_device: Option<String>,
    /// Refuses readings of this class.
    pub refuse_class: Option<String>,
    /// Dies after so many further batches were received, before that one is stored.
    pub crash_after_batches: u64,
    /// Closes a stream after so many batches on it, owing the acknowledgements of the last.
    pub close_every_batches: u64,
    /// Answers new streams with this status, for example `unavailable`.
    pub status: Option<String>,
    /// How many streams get that status; zero: all.
    pub status_times: u64,
}

impl Faults {
    /// The delay before each batch.
    #[must_use]
    pub const fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms)
    }

    /// Why this reading is refused, if it is. The same reading is refused every time.
    #[must_use]
    pub fn refusal(&self, sequence: u64, device: &[u8], class: &[u8]) -> Option<String> {
        let is = |wanted: &Option<String>, found: &[u8]| {
            wanted
                .as_ref()
                .is_some_and(|wanted| wanted.as_bytes() == found)
        };
        if self.refuse_every > 0 && sequence.is_multiple_of(self.refuse_every) {
            return Some(format!("every {}th is refused", self.refuse_every));
        }
        if is(&self.refuse_device, device) {
            return Some("the device is refused".to_owned());
        }
        is(&self.refuse_class, class).then(|| "the class is refused".to_owned())
    }
}

/// The faults in force; a cheap handle.
#[derive(Debug, Clone, Default)]
pub struct FaultBoard {
    faults: Arc<ArcSwap<Faults>>,
    to_crash: Arc<AtomicU64>,
    statuses: Arc<AtomicU64>,
}

impl FaultBoard {
    /// A board that shows these.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        let board = Self::default();
        board.set(faults);
        board
    }

    /// Replaces the faults in force.
    pub fn set(&self, faults: Faults) {
        self.to_crash
            .store(faults.crash_after_batches, Ordering::SeqCst);
        self.statuses.store(faults.status_times, Ordering::SeqCst);
        self.faults.store(Arc::new(faults));
    }

    /// The faults in force.
    #[must_use]
    pub fn get(&self) -> Arc<Faults> {
        self.faults.load_full()
    }

    /// Counts a batch received; `true`: die now.
    pub(super) fn crashes_now(&self) -> bool {
        let left = self
            .to_crash
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        left == Ok(1)
    }

    /// The status that a new stream gets, if it gets one.
    pub(super) fn status(&self) -> Option<Status> {
        let faults = self.get();
        let code = code(faults.status.as_deref()?);
        if faults.status_times > 0 {
            let left = self
                .statuses
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                    left.checked_sub(1)
                });
            left.ok()?;
        }
        Some(Status::new(code, "told to answer so"))
    }
}

/// The code of a name such as `permission_denied`; what is not known is `unknown`.
fn code(name: &str) -> Code {
    (0..=16)
        .map(Code::from_i32)
        .find(|code| {
            let camel = format!("{code:?}").to_ascii_lowercase();
            camel == name.replace('_', "").to_ascii_lowercase()
        })
        .unwrap_or(Code::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_named_as_grpc_names_it() {
        assert_eq!(code("PERMISSION_DENIED"), Code::PermissionDenied);
        assert_eq!(code("unavailable"), Code::Unavailable);
        assert_eq!(code("nonsense"), Code::Unknown);
    }

    #[test]
    fn a_crash_comes_once_and_at_the_batch_named() {
        let board = FaultBoard::new(Faults {
            crash_after_batches: 3,
            ..Faults::default()
        });
        let crashes: Vec<bool> = (0..6).map(|_| board.crashes_now()).collect();
        assert_eq!(crashes, [false, false, true, false, false, false]);
    }

    #[test]
    fn statuses_run_out() {
        let faults = Faults {
            status: Some("aborted".into()),
            status_times: 2,
            ..Faults::default()
        };
        let board = FaultBoard::new(faults);
        let codes: Vec<_> = (0..3).map(|_| board.status().map(|s| s.code())).collect();
        assert_eq!(codes, [Some(Code::Aborted), Some(Code::Aborted), None]);
    }
}
