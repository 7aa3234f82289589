//! The sweep: one task instead of a timer for each connection. At every tick it advances the pulse and visits one shard
//! of the connections and one of the sessions, so each connection is looked at every two seconds: deadlines are met
//! within that.

use std::sync::Arc;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{hub::Hub, inlet::Inlet, pulse::Ticks};
use crate::supervise::TaskResult;

/// Runs until the token is cancelled.
pub(crate) async fn sweep<I: Inlet>(hub: Arc<Hub<I>>, stop: CancellationToken) -> TaskResult {
    let mut ticks = interval(Ticks::LENGTH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut turn = 0_usize;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            _ = ticks.tick() => {}
        }
        pass(&hub, turn);
        turn = turn.wrapping_add(1);
    }
}

/// One visit.
pub(crate) fn pass<I: Inlet>(hub: &Hub<I>, turn: usize) {
    let core = &*hub.core;
    let now = core.pulse.advance(core.clock.steady());
    core.lines.visit(turn, |line| {
        if let Some(signal) = line.overdue(now, core.stall_max) {
            line.signal(signal);
        }
    });
    let mut due = Vec::new();
    core.registry.expire(turn, now, &mut due);
    for will in due {
        hub.publish_will(will);
    }
    hub.retry_wills();
    #[expect(
        clippy::cast_precision_loss,
        reason = "a gauge; exact up to 2^52 sessions"
    )]
    core.metrics.away.set(core.registry.away() as f64);
}
