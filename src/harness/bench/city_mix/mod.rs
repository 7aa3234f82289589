//! The city's mix of formats: payloads of all classes, as their catalogue's formats write them and as often as the city sends
//! them, against a gateway that reads them by its profiles; beside it, in turn, canonical JSON of one class.

mod mix;
mod script;

pub use script::{CityMixScript, city_mix};
