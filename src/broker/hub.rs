//! What all connections share. [`Core`] is the broker's state; [`Hub`] adds the inlet, the one thing that depends on who
//! uses the broker.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::ArcSwap;
use rmqtt_codec::types::QoS;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    access::Access,
    archive::{Archive, Changes},
    exchange::{Dispatch, Exchange, RetainedMessages, Routed},
    gate::Gate,
    inlet::{Inbound, Inlet, Offer, Sender},
    limits::{Admission, Incidents, Limits},
    line::locked,
    lines::Lines,
    listener::Pending,
    mailbox::Postage,
    message::Message,
    metrics::BrokerMetrics,
    pulse::{Pulse, Ticks},
    registry::Registry,
    session::Will,
    transport::Transport,
};
use crate::{
    config::MqttConfig,
    domain::{Clock, UnixNanos},
};

/// Wills that may wait for room; beyond, they are dropped and counted.
const WILLS_MAX: usize = 4096;

/// The broker's state.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: MqttConfig,
    /// Who may come in and what they may do; replaced as a whole.
    pub(crate) access: ArcSwap<Access>,
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) registry: Registry,
    pub(crate) lines: Lines,
    pub(crate) gate: Arc<Gate>,
    pub(crate) transport: Transport,
    /// Who comes in, and when.
    pub(crate) admission: Admission<Pending>,
    /// What those who are in may cost.
    pub(crate) limits: Limits,
    pub(crate) incidents: Arc<Incidents>,
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
        access: Access,
        transport: Transport,
        clock: Arc<dyn Clock>,
        archive: Arc<dyn Archive>,
    ) -> Self {
        let gate = Gate::new(config.connections_max, config.connections_per_address_max);
        let gate = Arc::new(gate);
        let incidents = Arc::new(Incidents::new(Arc::clone(&clock)));
        let queues = &config.limits.queues;
        let postage = Postage::new(
            queues.messages_max,
            queues.bytes_max,
            queues.total_bytes_max,
            queues.when_full,
        );
        let retained = &config.limits.retained;
        let retained = RetainedMessages::new(retained.messages_max, retained.bytes_max);
        let exchange = Exchange::new(
            archive,
            Arc::new(postage),
            retained,
            config.limits.sessions.message_expiry_max,
        );
        Self {
            admission: Admission::new(
                &config.limits.connects,
                Arc::clone(&gate),
                Arc::clone(&incidents),
                Arc::clone(&clock),
            ),
            limits: Limits::new(&config.limits.rates, Arc::clone(&incidents)),
            incidents,
            gate,
            registry: Registry::new(config.sessions_away_max, &config.limits.sessions),
            lines: Lines::new(),
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
            access: ArcSwap::from_pointee(access),
            exchange: Arc::new(exchange),
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

impl Core {
    /// Hands a will to whoever subscribed; gives it back if there is no room for what has to be recorded.
    fn route_will(&self, will: Box<Will>) -> Result<(), Box<Will>> {
        let mut message = will.message.unrecorded();
        message.expires = self.expiry(will.expiry_s);
        message.taken_at = self.clock.now();
        let dispatch = Dispatch {
            message,
            from: None,
            changes: Changes::default(),
            receipt: None,
        };
        match self.exchange.route(&self.registry, dispatch).0 {
            Routed::Now(..) | Routed::Later => self.metrics.will("published"),
            Routed::RetainedFull(_) => self.metrics.will("refused"),
            Routed::NoRoom => return Err(will),
        }
        Ok(())
    }

    /// Hands a message of the gateway's own to whoever subscribed. Nothing of it is kept for who is away.
    pub(crate) fn say(&self, topic: &str, payload: Vec<u8>) {
        let dispatch = Dispatch {
            message: Message {
                topic: topic.into(),
                payload: payload.into(),
                forwarded: Box::default(),
                qos: QoS::AtMostOnce,
                retain: false,
                expires: None,
                taken_at: self.clock.now(),
                body: None,
            },
            from: None,
            changes: Changes::default(),
            receipt: None,
        };
        // At QoS 0 there is nothing to record, and so nothing that there could be no room for.
        let (Routed::Now(..) | Routed::Later | Routed::RetainedFull(_) | Routed::NoRoom) =
            self.exchange.route(&self.registry, dispatch).0;
    }

    /// When a message is too old that is worth so many seconds from now.
    pub(crate) fn expiry(&self, seconds: Option<u32>) -> Option<UnixNanos> {
        let nanos = u64::from(seconds?).saturating_mul(1_000_000_000);
        Some(UnixNanos(self.clock.now().0.saturating_add(nanos)))
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.exchange.bodies.end();
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
        let access = self.core.access.load();
        let message = &will.message;
        let is_for_reports = self.inlet.is_for_reports(&message.topic);
        let is_granted = || access.rights.may_publish(&will.principal, &message.topic);
        if !is_for_reports && !is_granted() {
            self.core.metrics.will("refused");
            return Ok(());
        }
        let inbound = Inbound {
            topic: &message.topic,
            payload: &message.payload,
            payload_format_utf8: will.payload_utf8,
            user_properties: &will.user_properties,
            sender: Sender {
                principal: &will.principal,
                rights: &access.rights,
                core: &self.core,
            },
        };
        match self.inlet.offer(inbound, None) {
            Offer::Owed => self.core.metrics.will("published"),
            Offer::Refused(..) => self.core.metrics.will("refused"),
            Offer::Busy(_) => return Err(will),
            Offer::Ordinary(_) if is_for_reports && !is_granted() => {
                self.core.metrics.will("refused");
            }
            Offer::Ordinary(_) => return self.core.route_will(will),
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
