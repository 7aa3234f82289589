//! Profiles as integrators write them.
