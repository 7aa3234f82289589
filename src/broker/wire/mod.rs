//! Between bytes and packets. Frames are cut here, within the size limit and before anything is allocated for them;
//! PUBLISH is read in place ([`publish`]); everything else goes through the library's codec ([`request`]) behind checks
//! for what the library lets pass; answers are written by [`answer`].
//!
//! Where the two versions differ only in form, MQTT 3.1.1 packets are lifted to their MQTT 5 shape, so that the session
//! has one vocabulary. Nothing here panics on any bytes: the tests cut, flip and stretch packets to hold that.

mod answer;
mod frame;
mod properties;
mod publish;
mod request;

pub(crate) use answer::{Ack, Answers, Outgoing, Reasons, TooLarge};
pub(crate) use frame::{Frame, Reader, first_frame, frame};
pub(crate) use publish::{Publish, forwarded_of, read_forwarded};
pub(crate) use request::{Greeting, Request, read_greeting, read_request};

use rmqtt_codec::v5::DisconnectReasonCode;

/// The protocol's version, as CONNECT says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// MQTT 3.1 and 3.1.1, which differ in nothing that the broker sends.
    V3,
    /// MQTT 5.
    V5,
}

impl Version {
    /// The name in metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::V3 => "3.1.1",
            Self::V5 => "5",
        }
    }
}

/// A client broke the protocol; the connection ends with this reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Violation {
    /// What MQTT 5 calls it.
    pub(crate) reason: DisconnectReasonCode,
    /// What was wrong, for the log and for MQTT 5's reason string.
    pub(crate) what: &'static str,
}

impl Violation {
    pub(crate) const fn new(reason: DisconnectReasonCode, what: &'static str) -> Self {
        Self { reason, what }
    }

    pub(crate) const fn malformed(what: &'static str) -> Self {
        Self::new(DisconnectReasonCode::MalformedPacket, what)
    }

    pub(crate) const fn protocol(what: &'static str) -> Self {
        Self::new(DisconnectReasonCode::ProtocolError, what)
    }
}

/// Most user properties in one packet: far beyond any use, and a bound for what one packet can make us allocate.
pub(crate) const USER_PROPERTIES_MAX: usize = 64;
