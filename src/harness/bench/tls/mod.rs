//! What TLS costs: connections shake hands and stay idle, beside mosquitto's (OpenSSL) in one run; readings are
//! acknowledged over it, beside the same gateway without it.

mod herd;
mod script;

pub use herd::Herd;
pub use script::{TlsScript, tls};
