//! The laboratory: what the gateway is tested, measured and shown with. Never in the daemon.

pub mod platform;
