//! A worker's buffers, lent to whichever connection runs: an idle connection owns none.

use std::cell::RefCell;

use bytes::BytesMut;

use super::{line::News, message::Letter};

/// What one read takes at most.
const READ_BYTES: usize = 64 * 1024;

/// A worker's buffers, lent to whichever connection runs.
pub(crate) struct Scratch {
    pub(crate) read: Box<[u8]>,
    pub(crate) out: BytesMut,
    pub(crate) news: News,
    pub(crate) letters: Vec<Letter>,
    pub(crate) tally: Tally,
}

/// Counts of one turn.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) publishes: [u32; 3],
    pub(crate) received_bytes: u64,
    pub(crate) sent_bytes: u64,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        read: vec![0; READ_BYTES].into_boxed_slice(),
        out: BytesMut::with_capacity(READ_BYTES),
        news: News::default(),
        letters: Vec::new(),
        tally: Tally::default(),
    });
}

/// Runs a connection's turn with the worker's buffers.
pub(crate) fn with_scratch<T>(turn: impl FnOnce(&mut Scratch) -> T) -> T {
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.make_ready();
        turn(scratch)
    })
}

impl Scratch {
    /// Lends the buffer for reading; it is given back to `read`.
    pub(crate) fn lend_read(&mut self) -> Box<[u8]> {
        std::mem::take(&mut self.read)
    }

    /// Starts clean, also after a connection that panicked with the buffers in its hands.
    fn make_ready(&mut self) {
        if self.read.is_empty() {
            self.read = vec![0; READ_BYTES].into_boxed_slice();
        }
        self.out.clear();
        if self.out.capacity() == 0 || self.out.capacity() > 16 * READ_BYTES {
            self.out = BytesMut::with_capacity(READ_BYTES);
        }
        self.news.notes.clear();
        self.news.mailbox = None;
        self.letters.clear();
        self.news.settled.clear();
    }
}
