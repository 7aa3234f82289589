//! What a client may cost: rates, connects, sizes, queues. Every number is a setting (`table::limits`, with its reason);
//! docs/limits.md says what a client sees when one bites.

use std::time::Duration;

/// Limits on clients, part of [`super::MqttConfig`].
#[derive(Debug, Clone)]
pub struct LimitsConfig {
    /// Messages and bytes per second.
    pub rates: RateLimits,
    /// How fast connections may come.
    pub connects: ConnectLimits,
    /// Sizes of packets and topics.
    pub sizes: SizeLimits,
    /// What sessions may hold and for how long.
    pub sessions: SessionLimits,
    /// What waits for subscribers.
    pub queues: QueueLimits,
    /// Retained messages.
    pub retained: RetainedLimits,
}

/// What happens to a client beyond its rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RatePolicy {
    /// Its socket is not read until there is room again; nothing is lost.
    Pause,
    /// Its connection ends, with 0x96 (message rate too high) in MQTT 5.
    Disconnect,
}

/// Messages and bytes per second.
#[derive(Debug, Clone)]
pub struct RateLimits {
    /// What happens beyond.
    pub policy: RatePolicy,
    /// Messages of one session per second; every packet counts, by its type's cost.
    pub messages_per_s: u32,
    /// Bytes of one session per second.
    pub bytes_per_s: u64,
    /// The same for a session of an application.
    pub application_messages_per_s: u32,
    /// The same for a session of an application.
    pub application_bytes_per_s: u64,
    /// How much may come at once after a quiet time: so much time's worth of the rate.
    pub burst: Duration,
    /// Publishes of all devices of one class per second.
    pub class_messages_per_s: u32,
    /// Classes with a rate of their own.
    pub class_rates: Vec<(String, u32)>,
}

/// How fast connections may come.
#[derive(Debug, Clone)]
pub struct ConnectLimits {
    /// Connections let in per second, all addresses.
    pub per_s: u32,
    /// How many may come in at once after a quiet time: so much time's worth of the rate.
    pub burst: Duration,
    /// Connections from one source address per second; beyond, they are turned away.
    pub per_address_per_s: u32,
    /// How many may come at once from one source address after a quiet time.
    pub per_address_burst: u32,
    /// Sockets that may wait for their turn.
    pub waiting_max: usize,
    /// How long one may wait.
    pub wait_max: Duration,
    /// Failed authentications from one source address per minute; beyond, its connections are turned away for a while.
    pub auth_failures_per_minute: u32,
    /// Longest such while; it starts at a second and doubles.
    pub auth_penalty_max: Duration,
}

/// Sizes of packets and topics.
#[derive(Debug, Clone)]
pub struct SizeLimits {
    /// Largest first packet, bytes: nobody is known before it.
    pub connect_bytes_max: u32,
    /// Longest topic or filter, bytes.
    pub topic_bytes_max: usize,
    /// Most levels of a topic or filter.
    pub topic_levels_max: usize,
    /// Most user properties of a packet.
    pub user_properties_max: usize,
    /// Most filters in one SUBSCRIBE or UNSUBSCRIBE.
    pub filters_max: usize,
}

/// What sessions may hold and for how long; most subscriptions, longest expiry and how many are kept for clients that
/// are away stand in [`super::MqttConfig`].
#[derive(Debug, Clone)]
pub struct SessionLimits {
    /// Most sessions of one device, here and away.
    pub per_device_max: usize,
    /// Most sessions of one application, here and away.
    pub per_application_max: usize,
    /// Most subscriptions of all sessions.
    pub subscriptions_total_max: usize,
    /// Longest time that a message waits for a client that is away.
    pub message_expiry_max: Duration,
    /// Longest delay of a will.
    pub will_delay_max: Duration,
}

/// What happens when a session's queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenQueueFull {
    /// The new message is dropped for this session.
    DropNewest,
    /// The oldest messages that wait make room for it.
    DropOldest,
}

/// What waits for subscribers.
#[derive(Debug, Clone)]
pub struct QueueLimits {
    /// What happens when a session's queue is full.
    pub when_full: WhenQueueFull,
    /// Most `QoS` 1 and 2 messages in flight to one client, whatever more it offers to take.
    pub inflight_max: u16,
    /// Most messages that wait for one session.
    pub messages_max: usize,
    /// Most bytes that wait for one session.
    pub bytes_max: usize,
    /// Most bytes that wait for all sessions.
    pub total_bytes_max: usize,
}

/// Retained messages.
#[derive(Debug, Clone)]
pub struct RetainedLimits {
    /// Most of them.
    pub messages_max: usize,
    /// Most bytes of all of them, topics and payloads.
    pub bytes_max: usize,
    /// Largest payload of one, bytes.
    pub payload_bytes_max: usize,
}

impl LimitsConfig {
    /// Every field empty; the table's setters fill it.
    pub(super) const fn blank() -> Self {
        Self {
            rates: RateLimits {
                policy: RatePolicy::Disconnect,
                messages_per_s: 0,
                bytes_per_s: 0,
                application_messages_per_s: 0,
                application_bytes_per_s: 0,
                burst: Duration::ZERO,
                class_messages_per_s: 0,
                class_rates: Vec::new(),
            },
            connects: ConnectLimits {
                per_s: 0,
                burst: Duration::ZERO,
                per_address_per_s: 0,
                per_address_burst: 0,
                waiting_max: 0,
                wait_max: Duration::ZERO,
                auth_failures_per_minute: 0,
                auth_penalty_max: Duration::ZERO,
            },
            sizes: SizeLimits {
                connect_bytes_max: 0,
                topic_bytes_max: 0,
                topic_levels_max: 0,
                user_properties_max: 0,
                filters_max: 0,
            },
            sessions: SessionLimits {
                per_device_max: 0,
                per_application_max: 0,
                subscriptions_total_max: 0,
                message_expiry_max: Duration::ZERO,
                will_delay_max: Duration::ZERO,
            },
            queues: QueueLimits {
                when_full: WhenQueueFull::DropNewest,
                inflight_max: 0,
                messages_max: 0,
                bytes_max: 0,
                total_bytes_max: 0,
            },
            retained: RetainedLimits {
                messages_max: 0,
                bytes_max: 0,
                payload_bytes_max: 0,
            },
        }
    }
}
