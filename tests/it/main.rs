//! Integration tests.

mod delivery;
