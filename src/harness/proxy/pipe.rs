//! One direction of a proxied connection.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    sync::mpsc,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{Mode, Shared};

/// Chunks on their way in one direction: bounds what a delayed connection holds.
const QUEUE: usize = 256;
const CHUNK_BYTES: usize = 16 * 1024;

/// How a direction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The sender was done; the receiver was told.
    Closed,
    /// An error, or a fault on order.
    Broken,
}

/// Bytes that a connection may pass before it breaks.
#[derive(Debug)]
pub(super) struct Allowance {
    left: AtomicU64,
    used_up: CancellationToken,
}

impl Allowance {
    pub(super) fn new(bytes: Option<u64>) -> Self {
        Self {
            left: AtomicU64::new(bytes.unwrap_or(u64::MAX)),
            used_up: CancellationToken::new(),
        }
    }

    pub(super) async fn used_up(&self) {
        self.used_up.cancelled().await;
    }

    /// How many of `wanted` bytes may still pass; they are taken.
    fn take(&self, wanted: u64) -> u64 {
        let before = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                Some(left.saturating_sub(wanted))
            })
            .unwrap_or(0);
        before.min(wanted)
    }
}

/// Moves bytes from one side to the other until one of them ends.
pub(super) async fn pump<R, W>(
    from: &mut R,
    to: &mut W,
    shared: &Shared,
    allowance: &Allowance,
) -> End
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let (queue, arrived) = mpsc::channel(QUEUE);
    let (read, written) = tokio::join!(
        take_in(from, queue, shared),
        pass_on(to, arrived, shared, allowance)
    );
    if read == End::Broken { read } else { written }
}

async fn take_in<R>(from: &mut R, queue: mpsc::Sender<(Instant, Bytes)>, shared: &Shared) -> End
where
    R: AsyncRead + Unpin,
{
    let mut faults = shared.faults.subscribe();
    loop {
        if faults
            .wait_for(|faults| faults.mode != Mode::Stalled)
            .await
            .is_err()
        {
            return End::Broken;
        }
        let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
        match from.read_buf(&mut chunk).await {
            Ok(0) => return End::Closed,
            Ok(_) => {}
            Err(_) => return End::Broken,
        }
        let due = Instant::now() + shared.faults.borrow().delay;
        if queue.send((due, chunk.freeze())).await.is_err() {
            return End::Broken;
        }
    }
}

async fn pass_on<W>(
    to: &mut W,
    mut arrived: mpsc::Receiver<(Instant, Bytes)>,
    shared: &Shared,
    allowance: &Allowance,
) -> End
where
    W: AsyncWrite + Unpin,
{
    let mut faults = shared.faults.subscribe();
    while let Some((due, chunk)) = arrived.recv().await {
        tokio::time::sleep_until(due).await;
        if faults
            .wait_for(|faults| faults.mode != Mode::Stalled)
            .await
            .is_err()
        {
            return End::Broken;
        }
        let wanted = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        let granted = allowance.take(wanted);
        let part = chunk
            .get(..usize::try_from(granted).unwrap_or(0))
            .unwrap_or_default();
        if to.write_all(part).await.is_err() {
            return End::Broken;
        }
        shared.passed.fetch_add(granted, Ordering::Relaxed);
        if granted < wanted {
            allowance.used_up.cancel();
            return End::Broken;
        }
        let rate = shared.faults.borrow().bytes_per_s;
        if let Some(rate) = rate {
            let secs =
                f64::from(u32::try_from(granted).unwrap_or(u32::MAX)) / f64::from(rate.max(1));
            tokio::time::sleep(Duration::try_from_secs_f64(secs).unwrap_or_default()).await;
        }
    }
    if to.shutdown().await.is_err() {
        End::Broken
    } else {
        End::Closed
    }
}
