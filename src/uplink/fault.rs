//! Why a stream ended, and what that means for the next attempt.

use std::time::Duration;

use thiserror::Error;
use tonic::Code;

use super::core::Contract;
use crate::domain::Lane;

/// Why a stream to the platform ended.
#[derive(Debug, Error)]
pub enum LinkFault {
    /// The endpoint could not be reached in time.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The platform ended the stream with a status.
    #[error("the platform answered {}: {}", .0.code(), .0.message())]
    Status(Box<tonic::Status>),
    /// The platform closed the stream without a status.
    #[error("the platform closed the stream")]
    Closed,
    /// The platform did not answer Hello in time.
    #[error("no Resume within {0:?}")]
    NoResume(Duration),
    /// A batch stayed unacknowledged for too long.
    #[error("a batch of lane {0} was not acknowledged within {1:?}")]
    Deadline(Lane, Duration),
    /// The platform broke the contract.
    #[error("protocol fault: {0}")]
    Protocol(#[from] Contract),
    /// The spool cannot be read.
    #[error("cannot read the spool: {0}")]
    Source(String),
}

/// What to do after a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Try again after a growing pause.
    Retry,
    /// The same, and somebody has to look: the pause is the longest.
    Operator,
}

impl LinkFault {
    /// The fault's name in metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Connect(_) => "connect",
            Self::Status(_) => "status",
            Self::Closed => "closed",
            Self::NoResume(_) => "no_resume",
            Self::Deadline(..) => "deadline",
            Self::Protocol(_) => "protocol",
            Self::Source(_) => "spool",
        }
    }

    /// Statuses that no waiting mends are for the operator, and so is a platform that breaks the contract.
    pub(super) fn remedy(&self) -> Remedy {
        match self {
            Self::Status(status) => match status.code() {
                Code::Unauthenticated
                | Code::PermissionDenied
                | Code::Unimplemented
                | Code::InvalidArgument => Remedy::Operator,
                _ => Remedy::Retry,
            },
            Self::Protocol(_) => Remedy::Operator,
            _ => Remedy::Retry,
        }
    }

    /// Whether the platform refused the stream because it does not know the compression.
    pub(super) fn compression_unknown(&self) -> bool {
        matches!(self, Self::Status(status)
            if status.code() == Code::Unimplemented
                && status.message().to_ascii_lowercase().contains("compress"))
    }
}

impl From<tonic::Status> for LinkFault {
    fn from(status: tonic::Status) -> Self {
        Self::Status(Box::new(status))
    }
}
