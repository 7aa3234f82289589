//! The lab: simulated devices, the reference platform, load and faults: what the gateway is tested, measured and shown
//! with. Never in the daemon.

pub mod client;
pub mod series;
pub mod devices;
pub mod model;
pub mod proxy;
pub mod platform;
pub mod children;
pub mod scrape;
pub mod evidence;
pub mod yardstick;
pub mod demo;
pub mod chaos;
pub mod bench;
pub mod lab;
