//! What is fuzzed of payloads and profiles: plain functions of bytes, which panic where an invariant breaks. The targets in
//! fuzz/ call them under coverage guidance; the tests below replay the kept corpus and mutate it, so that every test run
//! smokes both on the stable toolchain. docs/fuzzing.md says how the long runs are made and what came of them.
#![expect(
    clippy::expect_used,
    reason = "a panic is what a fuzz target reports with"
)]

mod codecs;
mod spellings;

pub use codecs::codecs;
pub use spellings::spellings;

#[cfg(test)]
mod tests;
