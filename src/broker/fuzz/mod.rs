//! What is fuzzed: plain functions of bytes, which panic where an invariant breaks. The targets in fuzz/ call them under
//! coverage guidance; the tests below replay the kept corpus and mutate it, so that every test run smokes all of them
//! on the stable toolchain. docs/fuzzing.md says how the long runs are made and what came of them.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a panic is what a fuzz target reports with"
)]

mod jwt;
mod packet;
mod play;
mod proxy;
mod session;
mod topics;
mod websocket;

pub use jwt::jwt;
pub use packet::packet;
pub use proxy::proxy;
pub use session::session;
pub use topics::topics;
pub use websocket::websocket;

#[cfg(test)]
mod tests;
