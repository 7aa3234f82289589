//! What all connections share. [`Core`] is the broker's state; [`Hub`] adds the inlet, the one thing that depends on who
//! uses the broker.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    auth::Authentication,
    gate::Gate,
    inlet::{Inbound, Inlet, Offer},
    line::locked,
    lines::Lines,
    metrics::BrokerMetrics,
    pulse::{Pulse, Ticks},
    registry::Registry,
    rights::Rights,
    session::Will,
    transport::Transport,
};
use crate::{config::MqttConfig, domain::Clock};

/// Wills that may wait for room; beyond, they are dropped and counted.
const WILLS_MAX: usize = 4096;

/// The broker's state.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: MqttConfig,
    pub(crate) authentication: Authentication,
    pub(crate) rights: Rights,
    pub(crate) registry: Registry,
    pub(crate) lines: Lines,
    pub(crate) gate: Gate,
    pub(crate) transport: Transport,
    pub(crate) pulse: Pulse,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: BrokerMetrics,
    pub(crate) stall_max: Ticks,
    /// No publish may be offered any more.
    closed: AtomicBool,
    /// Cancelled when listeners are to stop.
    pub(crate) closing: CancellationToken,
    /// One token for each task that may still offer publishes or bring forth such tasks.
    pub(crate) intakes: TaskTracker,
    /// The connections' tasks.
    pub(crate) tasks: TaskTracker,
    wills: Mutex<VecDeque<Box<Will>>>,
}

impl Core {
    pub(crate) fn new(
        config: MqttConfig,
        authentication: Authentication,
        transport: Transport,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            registry: Registry::new(config.sessions_away_max),
            lines: Lines::new(),
            gate: Gate::new(config.connections_max, config.connections_per_address_max),
            pulse: Pulse::new(clock.steady()),
            stall_max: Ticks::at_least(config.stall_deadline),
            metrics: BrokerMetrics::new(),
            closed: AtomicBool::new(false),
            closing: CancellationToken::new(),
            intakes: TaskTracker::new(),
            tasks: TaskTracker::new(),
            wills: Mutex::default(),
            transport,
            config,
            authentication,
            rights: Rights::default(),
            clock,
        }
    }

    /// Whether the intake is closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Closes the intake.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }
}

/// The broker's state and where its publishes go.
#[derive(Debug)]
pub(crate) struct Hub<I> {
    pub(crate) core: Arc<Core>,
    pub(crate) inlet: Arc<I>,
}

impl<I: Inlet> Hub<I> {
    /// Publishes a will; if there is no room for it, it waits for the sweep.
    pub(crate) fn publish_will(&self, will: Box<Will>) {
        if self.core.is_closed() {
            self.core.metrics.will("intake_closed");
        } else if let Err(will) = self.offer_will(will) {
            let mut wills = locked(&self.core.wills);
            if wills.len() < WILLS_MAX {
                wills.push_back(will);
            } else {
                self.core.metrics.will("dropped");
            }
        }
    }

    fn offer_will(&self, will: Box<Will>) -> Result<(), Box<Will>> {
        let inbound = Inbound {
            identity: will.identity.as_ref(),
            topic: &will.topic,
            payload: &will.payload,
            payload_format_utf8: will.payload_utf8,
            user_properties: &will.user_properties,
        };
        match self.inlet.offer(inbound, None) {
            Offer::Owed => self.core.metrics.will("published"),
            Offer::Refused(..) | Offer::Ordinary(_) => self.core.metrics.will("refused"),
            Offer::Busy(_) => return Err(will),
        }
        Ok(())
    }

    /// Offers the wills that had to wait, until there is no room again.
    pub(crate) fn retry_wills(&self) {
        while !self.core.is_closed() {
            let Some(will) = locked(&self.core.wills).pop_front() else {
                return;
            };
            if let Err(will) = self.offer_will(will) {
                locked(&self.core.wills).push_front(will);
                return;
            }
        }
    }
}
