//! sensegate: the ingestion gateway of a city's IoT perception platform.
//!
//! Devices speak MQTT to the embedded broker; every payload is normalised to a protobuf reading under the schema of
//! its class, made durable in `RocksDB`, acknowledged, and delivered in batches over gRPC to the central platform.
//! ARCHITECTURE.md draws the flow; the modules below stand in its order, lowest layer first, and `tests/architecture.rs`
//! holds who may name whom.

pub mod domain;
pub mod proto;
pub mod supervise;
pub mod telemetry;
pub mod config;
pub mod store;
pub mod broker;
pub mod vault;
pub mod normalise;
pub mod spool;
pub mod ingest;
pub mod uplink;
pub mod admin;
pub mod gateway;
pub mod cli;
#[cfg(feature = "harness")]
pub mod harness;
