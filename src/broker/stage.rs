//! Where a connection stands, and why it may not be read; [`super::connection`] draws the states.

use std::{future::Future, pin::Pin, time::Instant};

use rmqtt_codec::v5::Connect;
use tokio::time::Sleep;

use super::{
    auth::{Admitted, Denied},
    wire::Version,
};

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// CONNECT has not come.
    Greeting,
    /// The session is still with another connection.
    Claiming,
    /// Connected.
    Open,
    /// The last bytes are leaving.
    Leaving,
    /// The client is expected to close.
    Lingering,
    /// Over.
    Done,
}

/// Why the socket is not read.
pub(crate) enum Hold {
    /// The inlet had no room.
    Room(Pin<Box<dyn Future<Output = ()> + Send>>, Instant),
    /// The password of a CONNECT is being checked.
    Check(
        Pin<Box<dyn Future<Output = Result<Admitted, Denied>> + Send>>,
        Box<(Version, Connect)>,
    ),
    /// The client is beyond its rate.
    Rate(Pin<Box<Sleep>>),
    /// Too many acknowledgements are owed to a client that cannot be told a limit.
    Acknowledgements,
}
