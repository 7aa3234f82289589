//! MQTT 3.1.1 and 5 as any client meets them: the real binary, real sockets, anyone may publish and hear anything.
//! Packets are written and read by hand (`wire`), so that the broker is not judged by the library it reads with.
//! docs/mqtt.md says which statement of the standards each test shows; `table` holds that it says so truly.

mod basic;
mod client;
mod connect;
mod exactly;
mod filters;
mod flow;
mod heard;
mod properties;
mod refusals;
mod restart;
mod retained;
mod sessions;
mod shared;
mod table;
mod websocket;
mod wills;
mod wire;
