//! What the two threads of a storm tell each other.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// Where the storm stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Nothing is measured.
    Elsewhen,
    /// All are connected and quiet.
    Before,
    /// From the moment at which all come back to the last one's CONNACK.
    During,
}

impl Moment {
    const fn number(self) -> u8 {
        match self {
            Self::Elsewhen => 0,
            Self::Before => 1,
            Self::During => 2,
        }
    }
}

/// Marks that one thread sets and the other looks at.
#[derive(Debug, Default)]
pub struct Signal {
    moment: AtomicU8,
    flowing: AtomicBool,
    over: AtomicBool,
}

impl Signal {
    /// The storm has come to a moment.
    pub fn enter(&self, moment: Moment) {
        self.moment.store(moment.number(), Ordering::Relaxed);
    }

    /// Where the storm stands.
    #[must_use]
    pub fn moment(&self) -> Moment {
        match self.moment.load(Ordering::Relaxed) {
            1 => Moment::Before,
            2 => Moment::During,
            _ => Moment::Elsewhen,
        }
    }

    /// All others are connected and send.
    pub fn flows(&self) {
        self.flowing.store(true, Ordering::Relaxed);
    }

    /// Whether the others send.
    #[must_use]
    pub fn is_flowing(&self) -> bool {
        self.flowing.load(Ordering::Relaxed)
    }

    /// The storm is over, or one of the two has failed: both come to their end.
    pub fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Whether both are to come to their end.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}
