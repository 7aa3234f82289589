//! The gateway as its users meet it: the real binary, real sockets, a real `RocksDB`, a real platform.
#![cfg(test)]
#![expect(
    clippy::large_futures,
    reason = "the MQTT client of the tests holds TLS and WebSocket in its future; a test has stack enough"
)]

mod access;
mod alarms;
mod bench;
mod cli;
mod client;
mod clients;
mod delivery;
mod demo;
mod device;
mod limits;
mod mqtt;
mod path;
mod pieces;
mod platform;
mod profiles;
mod quarantine;
mod stop;
mod support;
mod transport;
mod vault;
mod worst;
