//! A fleet as others use it: what it is told, how it is started and ended, what it leaves behind.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use arc_swap::ArcSwap;
use thiserror::Error;

use super::{
    actor::Pace,
    crew::Crew,
    roster::Roster,
    session::{Identities, Protocols, Unacknowledged},
    tally::{Latency, Tally},
};
use crate::harness::{
    client::{Engine, Qos, WireError},
    model::Model,
};

/// What a fleet is told.
#[derive(Debug, Clone)]
pub struct FleetOptions {
    /// The gateway; may be changed while the fleet runs (a gateway that comes back elsewhere).
    pub gateway: Arc<ArcSwap<SocketAddr>>,
    /// Own loopback addresses 127.0.0.1 … to connect from; 0: the system's choice.
    pub source_addresses: u8,
    /// Who the devices say they are.
    pub identities: Identities,
    /// Which versions they speak.
    pub protocols: Protocols,
    /// At which `QoS` they publish.
    pub qos: Qos,
    /// Most publishes in flight per connection.
    pub window: usize,
    /// How fast they live.
    pub pace: Pace,
    /// What becomes of readings whose connection ends.
    pub unacknowledged: Unacknowledged,
    /// Seed of everything that is random.
    pub seed: u64,
}

/// Why a fleet cannot start or had to end.
#[derive(Debug, Error)]
pub enum FleetError {
    /// A device's name does not fit into MQTT.
    #[error("a device's packets cannot be encoded: {0}")]
    Wire(#[from] WireError),
    /// No thread, no epoll.
    #[error("the devices' loop: {0}")]
    Io(#[from] io::Error),
    /// The fleet's thread panicked.
    #[error("the devices' thread panicked")]
    Panicked,
    /// The histogram's bounds.
    #[error("latency histogram: {0}")]
    Latency(#[from] hdrhistogram::CreationError),
}

/// A running fleet.
#[derive(Debug)]
pub struct Fleet {
    /// What it has done so far.
    pub tally: Arc<Tally>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<FleetEnd, FleetError>>,
}

/// What a fleet leaves behind.
#[derive(Debug)]
pub struct FleetEnd {
    /// What was promised to its devices.
    pub model: Model,
    /// Times to the acknowledgement, whole run.
    pub latency: Latency,
}

impl Fleet {
    /// Starts the devices of a roster.
    ///
    /// # Errors
    /// No thread or epoll, or a name that does not fit into MQTT.
    pub fn start(roster: Arc<Roster>, options: FleetOptions) -> Result<Self, FleetError> {
        let stop = Arc::new(AtomicBool::new(false));
        let tally = Arc::new(Tally::new(roster.patterns.len()));
        let mut crew = Crew::new(roster, options, (Arc::clone(&tally), Arc::clone(&stop)))?;
        let thread = thread::Builder::new()
            .name("devices".to_owned())
            .spawn(move || {
                let mut engine = Engine::new(crew.connections())?;
                engine.run(&mut crew)?;
                Ok(crew.end())
            })?;
        Ok(Self {
            tally,
            stop,
            thread,
        })
    }

    /// No more readings; what is in flight may still be acknowledged until the deadline, then connections close.
    ///
    /// # Errors
    /// The loop had failed.
    pub fn finish(self) -> Result<FleetEnd, FleetError> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or(Err(FleetError::Panicked))
    }
}
