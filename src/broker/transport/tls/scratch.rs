//! The buffers that all TLS connections of a worker share, so that none keeps its own.

use std::cell::RefCell;

use super::step::SEAL_BYTES;

/// What one read takes at most, what waits from before included.
const INWARD_BYTES: usize = 64 * 1024;
/// Bytes of MQTT in one record: the most that TLS allows.
pub(super) const SEALED_BYTES_MAX: usize = 16 * 1024;

/// A worker's buffers.
pub(super) struct Scratch {
    pub(super) inward: Box<[u8]>,
    pub(super) outward: Vec<u8>,
    pub(super) gathered: Vec<u8>,
}

thread_local! {
    pub(super) static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        inward: vec![0; INWARD_BYTES].into_boxed_slice(),
        outward: Vec::with_capacity(SEALED_BYTES_MAX + SEAL_BYTES),
        gathered: Vec::new(),
    });
}
