//! A lean MQTT client for thousands of devices in one thread: hand-made framing over mio, so that the load that a lab
//! makes costs little beside the gateway it measures. [`wire`] is the bytes, [`link`] one connection, [`carrier`] what
//! carries it (TCP or TLS), [`engine`] the loop that drives all of them; what they are for is a [`Driver`]'s affair.

mod engine;
mod carrier;
mod link;
mod wire;
mod inbound;

pub use carrier::Tls;
pub use engine::{Driver, Engine, Lost, Message, Turn};
pub(in crate::harness) use inbound::remaining_length;
pub use inbound::{AckKind, Inbound, next_inbound};
pub use link::{LinkStage, Links, Opening};
pub use wire::{
    Login, Qos, Spots, Version, WireError, connect, puback, publish, pubrel, subscribe,
    subscribe_to,
};

/// A DISCONNECT without a reason, both versions: the orderly end of a connection.
pub const DISCONNECT: [u8; 2] = [0xE0, 0];
/// A PINGREQ.
pub const PINGREQ: [u8; 2] = [0xC0, 0];
