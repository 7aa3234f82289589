//! The limits by name: one word each for the metric, the offenders' page and the log.

/// A limit on clients. What full queues drop is counted by message: `sensegate_mqtt_messages_dropped_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// `mqtt.messages_per_s`, `mqtt.application_messages_per_s`.
    Messages,
    /// `mqtt.bytes_per_s`, `mqtt.application_bytes_per_s`.
    Bytes,
    /// `mqtt.class_messages_per_s`, `mqtt.class_rates`.
    ClassMessages,
    /// `mqtt.connections_max`.
    Connections,
    /// `mqtt.connections_per_address_max`.
    ConnectionsPerAddress,
    /// `mqtt.connects_per_address_per_s`.
    ConnectsPerAddress,
    /// `mqtt.connects_waiting_max`.
    ConnectsWaiting,
    /// `mqtt.connect_wait_max`.
    ConnectWait,
    /// `mqtt.auth_failures_per_minute`.
    AuthFailures,
    /// `mqtt.connect_deadline`.
    ConnectDeadline,
    /// `mqtt.stall_deadline`.
    Stall,
    /// `mqtt.connect_bytes_max`.
    ConnectBytes,
    /// `mqtt.packet_bytes_max`.
    PacketBytes,
    /// `mqtt.topic_bytes_max`.
    TopicBytes,
    /// `mqtt.topic_levels_max`.
    TopicLevels,
    /// `mqtt.user_properties_max`.
    UserProperties,
    /// `mqtt.filters_max`.
    Filters,
    /// `mqtt.subscriptions_max`.
    Subscriptions,
    /// `mqtt.subscriptions_total_max`.
    SubscriptionsTotal,
    /// `mqtt.sessions_per_device_max`, `mqtt.sessions_per_application_max`.
    Sessions,
    /// `mqtt.sessions_away_max`.
    SessionsAway,
    /// `mqtt.receive_max`.
    ReceiveMax,
    /// `mqtt.retained_messages_max`, `mqtt.retained_bytes_max`.
    Retained,
    /// `mqtt.retained_payload_bytes_max`.
    RetainedPayload,
}

impl Limit {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Self; 24] = [
        Self::Messages,
        Self::Bytes,
        Self::ClassMessages,
        Self::Connections,
        Self::ConnectionsPerAddress,
        Self::ConnectsPerAddress,
        Self::ConnectsWaiting,
        Self::ConnectWait,
        Self::AuthFailures,
        Self::ConnectDeadline,
        Self::Stall,
        Self::ConnectBytes,
        Self::PacketBytes,
        Self::TopicBytes,
        Self::TopicLevels,
        Self::UserProperties,
        Self::Filters,
        Self::Subscriptions,
        Self::SubscriptionsTotal,
        Self::Sessions,
        Self::SessionsAway,
        Self::ReceiveMax,
        Self::Retained,
        Self::RetainedPayload,
    ];

    /// The limit's word.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Bytes => "bytes",
            Self::ClassMessages => "class_messages",
            Self::Connections => "connections",
            Self::ConnectionsPerAddress => "connections_per_address",
            Self::ConnectsPerAddress => "connects_per_address",
            Self::ConnectsWaiting => "connects_waiting",
            Self::ConnectWait => "connect_wait",
            Self::AuthFailures => "auth_failures",
            Self::ConnectDeadline => "connect_deadline",
            Self::Stall => "stall",
            Self::ConnectBytes => "connect_bytes",
            Self::PacketBytes => "packet_bytes",
            Self::TopicBytes => "topic_bytes",
            Self::TopicLevels => "topic_levels",
            Self::UserProperties => "user_properties",
            Self::Filters => "filters",
            Self::Subscriptions => "subscriptions",
            Self::SubscriptionsTotal => "subscriptions_total",
            Self::Sessions => "sessions",
            Self::SessionsAway => "sessions_away",
            Self::ReceiveMax => "receive_max",
            Self::Retained => "retained",
            Self::RetainedPayload => "retained_payload",
        }
    }

    /// Its place in [`Self::ALL`].
    pub(crate) const fn number(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_limit_stands_at_its_number_and_has_a_word_of_its_own() {
        let mut words = BTreeSet::new();
        for (at, limit) in Limit::ALL.into_iter().enumerate() {
            assert_eq!(limit.number(), at);
            assert!(words.insert(limit.name()), "{} twice", limit.name());
        }
    }
}
