//! The sweep: one task instead of a timer for each connection. At every tick it advances the pulse and visits one shard
//! of the connections and one of the sessions, so each connection is looked at every two seconds: deadlines are met
//! within that.

use std::sync::Arc;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{hub::Hub, inlet::Inlet, pulse::Ticks, registry::Due};
use crate::supervise::TaskResult;

/// Ticks between two looks at the age of retained messages: they are not sent when they are too old, this only gives
/// their room back.
const RETAINED_TURNS: usize = 240;

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
    let mut due = Due::default();
    core.registry.expire(turn, now, &mut due);
    for will in due.wills {
        hub.publish_will(Box::new(will));
    }
    for kept in due.ended {
        kept.retire(&core.exchange);
    }
    hub.retry_wills();
    if turn.is_multiple_of(RETAINED_TURNS) {
        let gone = core.exchange.retained.expire(core.clock.now());
        if !gone.is_empty() {
            core.exchange.archive.note(gone, None);
        }
    }
    core.exchange.show();
    #[expect(
        clippy::cast_precision_loss,
        reason = "a gauge; exact up to 2^52 sessions"
    )]
    core.metrics.away.set(core.registry.away() as f64);
}
