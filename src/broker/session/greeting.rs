//! CONNECT: what is agreed with a client, and why one is turned away. What CONNACK says is available is what is
//! offered: everything that MQTT 5 has but enhanced authentication.

use std::{num::NonZeroU16, sync::Arc};

use rmqtt_codec::v5::{Connect, ConnectAck, ConnectAckReason, LastWill};

use super::{Aliases, Kept, Mail, Session, Will};
use crate::{
    broker::{
        access::Access,
        auth::{Admitted, Denied},
        limits::Allowance,
        message::Message,
        principal::Principal,
        registry::Clean,
        rights::Rights,
        topics::{FilterLimits, check_name},
        wire::{Reasons, Version, forwarded_of},
    },
    config::MqttConfig,
    domain::UnixNanos,
};

/// Longest client identifier, bytes.
const CLIENT_ID_BYTES_MAX: usize = 256;

/// What holds for a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// The protocol's version.
    pub(crate) version: Version,
    /// Whether the client wants reason strings.
    pub(crate) reasons: Reasons,
    /// Largest packet the client takes, bytes.
    pub(crate) packet_bytes_max: u32,
    /// Most `QoS` 1 and 2 messages in flight to the client.
    pub(crate) receive_max: u16,
    /// Most `QoS` 1 and 2 publishes in flight from the client.
    pub(crate) receive_max_ours: u16,
    /// Highest topic alias the client may use.
    pub(crate) topic_alias_max: u16,
    /// Seconds between packets that were agreed.
    pub(crate) keep_alive_s: u16,
}

/// A client that may come in.
#[derive(Debug)]
pub(crate) struct Agreement {
    /// The session, new for now: the registry knows whether there is an older one.
    pub(crate) session: Box<Session>,
    /// The answer; session present is not yet known.
    pub(crate) connack: Box<ConnectAck>,
    /// Whether an older session ends here.
    pub(crate) clean: Clean,
}

/// Decides on a CONNECT of a client that has proved who it is; `fresh` names one that brings no identifier.
pub(crate) fn agree(
    version: Version,
    connect: Connect,
    config: &MqttConfig,
    (admitted, access): (Admitted, &Access),
    fresh: impl FnOnce() -> u128,
) -> Result<Agreement, ConnectAckReason> {
    if connect.auth_method.is_some() {
        return Err(ConnectAckReason::BadAuthenticationMethod);
    }
    let Admitted { principal, until } = admitted;
    let (client_id, assigned) = client_id(version, &connect, fresh)?;
    let will = will(connect.last_will, &principal, (config, &access.rights))?;
    let keep_alive_s = keep_alive(connect.keep_alive, config);
    let expiry_max_s = seconds(config.session_expiry_max);
    let expiry_s = connect.session_expiry_interval_secs.min(expiry_max_s);
    let terms = Terms {
        version,
        reasons: if connect.request_problem_info {
            Reasons::Wanted
        } else {
            Reasons::Unwanted
        },
        packet_bytes_max: connect.max_packet_size.map_or(u32::MAX, Into::into),
        receive_max: connect
            .receive_max
            .map_or(u16::MAX, Into::into)
            .min(config.limits.queues.inflight_max),
        receive_max_ours: config.receive_max.max(1),
        topic_alias_max: config.topic_alias_max,
        keep_alive_s,
    };
    let connack = ConnectAck {
        session_expiry_interval_secs: (expiry_s != connect.session_expiry_interval_secs)
            .then_some(expiry_s),
        receive_max: NonZeroU16::new(config.receive_max).unwrap_or(NonZeroU16::MIN),
        max_packet_size: Some(config.packet_bytes_max),
        assigned_client_id: assigned.then(|| (&*client_id).into()),
        topic_alias_max: config.topic_alias_max,
        server_keepalive_sec: (keep_alive_s != connect.keep_alive).then_some(keep_alive_s),
        ..ConnectAck::default()
    };
    let session = Session {
        principal,
        client_id,
        terms,
        expiry_s,
        will,
        until,
        aliases: Vec::new(),
        allowance: Allowance::default(),
        aliases_out: Aliases::new(connect.topic_alias_max),
        mail: Mail::None,
        kept: Kept::default(),
    };
    Ok(Agreement {
        session: Box::new(session),
        connack: Box::new(connack),
        clean: if connect.clean_start {
            Clean::Yes
        } else {
            Clean::No
        },
    })
}

impl From<Denied> for ConnectAckReason {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::BadCredentials => Self::BadUserNameOrPassword,
            Denied::NotAuthorised => Self::NotAuthorized,
            Denied::Banned => Self::Banned,
            Denied::Busy => Self::ServerBusy,
        }
    }
}

/// The client's identifier and whether it was assigned.
fn client_id(
    version: Version,
    connect: &Connect,
    fresh: impl FnOnce() -> u128,
) -> Result<(Arc<str>, bool), ConnectAckReason> {
    if connect.client_id.len() > CLIENT_ID_BYTES_MAX {
        return Err(ConnectAckReason::ClientIdentifierNotValid);
    }
    if !connect.client_id.is_empty() {
        return Ok((Arc::from(&*connect.client_id), false));
    }
    if version == Version::V3 && !connect.clean_start {
        return Err(ConnectAckReason::ClientIdentifierNotValid);
    }
    let assigned = format!("auto-{:032x}", fresh());
    Ok((Arc::from(assigned), true))
}

fn will(
    will: Option<LastWill>,
    principal: &Principal,
    (config, rights): (&MqttConfig, &Rights),
) -> Result<Option<Box<Will>>, ConnectAckReason> {
    let Some(will) = will else { return Ok(None) };
    let sizes = &config.limits.sizes;
    let limits = FilterLimits {
        bytes_max: sizes.topic_bytes_max,
        levels_max: sizes.topic_levels_max,
    };
    if check_name(&will.topic, &limits).is_err() {
        return Err(ConnectAckReason::TopicNameInvalid);
    }
    if !rights.may_publish(principal, &will.topic) {
        return Err(ConnectAckReason::NotAuthorized);
    }
    let delay_max_s = seconds(config.limits.sessions.will_delay_max);
    let message = Message {
        topic: Box::from(&*will.topic),
        forwarded: forwarded_of(&will),
        payload: will.message,
        qos: will.qos,
        retain: will.retain,
        expires: None,
        taken_at: UnixNanos::default(),
        body: None,
    };
    Ok(Some(Box::new(Will {
        principal: principal.clone(),
        message,
        payload_utf8: will.is_utf8_payload.unwrap_or(false),
        user_properties: will.user_properties,
        delay_s: will.will_delay_interval_sec.unwrap_or(0).min(delay_max_s),
        expiry_s: will.message_expiry_interval.map(Into::into),
    })))
}

fn keep_alive(asked_s: u16, config: &MqttConfig) -> u16 {
    let most = u16::try_from(config.keep_alive_max.as_secs())
        .unwrap_or(u16::MAX)
        .max(1);
    match asked_s {
        0 => most,
        asked => asked.min(most),
    }
}

/// Whole seconds of a limit.
pub(crate) fn seconds(limit: std::time::Duration) -> u32 {
    u32::try_from(limit.as_secs()).unwrap_or(u32::MAX)
}
