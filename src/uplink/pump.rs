//! The life of one resumed stream: plan, read, send, settle. All waiting is in one `select`, all deciding in the core.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use tonic::Streaming;
use tracing::warn;

use super::{
    assemble::{Parcel, Trouble, lost, parcels},
    core::{Accepted, Contract, Flow, Plan, Session},
    fault::LinkFault,
    group::Group,
    link::{Link, lane},
    source::Source,
    status::LaneStatus,
};
use crate::{
    domain::{Lane, LaneMap, Sequence, SequenceRange},
    proto::platform::{DeliverResponse, Refused, deliver_response::Message},
};

/// How long a stop waits for acknowledgements of what is in flight.
const SETTLE_DEADLINE: Duration = Duration::from_secs(5);
/// How often gauges and the status are refreshed.
const STATUS_INTERVAL: Duration = Duration::from_millis(250);
/// How long a stream whose requests were dropped is listened to.
const LAST_WORD: Duration = Duration::from_secs(1);
/// Pause before sequences that the spool should have, but does not give, are asked for again.
const BARREN_PAUSE: Duration = Duration::from_millis(200);
/// Fruitless reads after which the sequences are given up as a gap.
const BARREN_MAX: u32 = 10;
/// No reading is smaller, encoded: turns bytes into the most sequences that a batch can span.
const READING_BYTES_MIN: u64 = 16;

enum Event {
    Answer(Option<DeliverResponse>),
    Sent,
    Stop,
    Woken,
}

/// How a stream went.
pub(super) struct Ended {
    /// Why it ended; `Ok` after an orderly stop.
    pub(super) result: Result<(), LinkFault>,
    /// Whether the platform acknowledged anything.
    pub(super) progressed: bool,
}

/// Runs a resumed stream to its end.
pub(super) async fn run<S: Source>(group: &Group<S>, link: Link) -> Ended {
    let mut pump = match Pump::resume(group, &link) {
        Ok(pump) => pump,
        Err(fault) => {
            return Ended {
                result: Err(fault.into()),
                progressed: false,
            };
        }
    };
    let result = pump.drive(link).await;
    for &lane in group.lanes {
        group.source.hold(lane, None);
    }
    Ended {
        result,
        progressed: pump.progressed,
    }
}

/// HTTP/2 has let go of the requests: what the platform says to that comes with the answers, if it comes at all.
async fn last_word(
    answers: &mut Streaming<DeliverResponse>,
) -> Result<Option<DeliverResponse>, LinkFault> {
    let answer = tokio::time::timeout(LAST_WORD, answers.message()).await;
    Ok(answer.map_err(|_elapsed| LinkFault::Closed)??)
}

struct Pump<'a, S> {
    group: &'a Group<S>,
    session: Session,
    /// Read, and waiting for room on the stream.
    parcels: VecDeque<Parcel>,
    seen: LaneMap<Sequence>,
    /// Not before this time is anything to be planned.
    wake: Option<Instant>,
    barren: u32,
    refreshed: Instant,
    stop_by: Option<Instant>,
    progressed: bool,
}

impl<'a, S: Source> Pump<'a, S> {
    fn resume(group: &'a Group<S>, link: &Link) -> Result<Self, Contract> {
        let now = group.now();
        let state = |lane| group.source.lane_state(lane);
        let session = Session::resume(
            group.lanes,
            &link.positions,
            link.ahead,
            (group.limits, &now),
            state,
        )?;
        for &lane in group.lanes {
            for range in session.known(lane) {
                group.source.delivered(lane, range);
            }
        }
        let pump = Self {
            group,
            session,
            parcels: VecDeque::new(),
            seen: LaneMap::default(),
            wake: None,
            barren: 0,
            refreshed: now.steady,
            stop_by: None,
            progressed: false,
        };
        pump.refresh();
        Ok(pump)
    }

    async fn drive(&mut self, link: Link) -> Result<(), LinkFault> {
        let Link {
            outgoing,
            mut answers,
            channel: _channel,
            ..
        } = link;
        loop {
            if self.parcels.is_empty() && self.stop_by.is_none() {
                self.fill().await?;
            }
            if self.stop_by.is_some() && self.session.in_flight_batches() == 0 {
                return Ok(());
            }
            let idle = self.parcels.is_empty();
            let stopping = self.stop_by.is_some();
            let group = self.group;
            let event = tokio::select! {
                biased;
                answer = answers.message() => Event::Answer(answer?),
                () = group.stop.cancelled(), if !stopping => Event::Stop,
                permit = outgoing.reserve(), if !idle => match permit {
                    Ok(permit) => {
                        if let Some(parcel) = self.parcels.pop_front() {
                            permit.send(self.dispatch(parcel));
                        }
                        Event::Sent
                    }
                    Err(_closed) => Event::Answer(last_word(&mut answers).await?),
                },
                () = group.source.committed(group.lanes, self.seen), if idle && !stopping => {
                    Event::Woken
                }
                () = tokio::time::sleep_until(self.timer().into()) => Event::Woken,
            };
            self.apply(event)?;
        }
    }

    fn apply(&mut self, event: Event) -> Result<(), LinkFault> {
        match event {
            Event::Answer(None) => return Err(LinkFault::Closed),
            Event::Answer(Some(answer)) => self.answer(answer)?,
            Event::Sent | Event::Woken => {}
            Event::Stop => {
                self.parcels.clear();
                self.stop_by = Some(self.group.clock.steady() + SETTLE_DEADLINE);
            }
        }
        let now = self.group.clock.steady();
        if let Some((deadline, lane)) = self.session.deadline()
            && deadline <= now
        {
            return Err(LinkFault::Deadline(lane, self.group.limits.batch_deadline));
        }
        if let Some(by) = self.stop_by
            && by <= now
        {
            warn!(
                batches = self.session.in_flight_batches(),
                "stopping with batches unacknowledged; they stay in the spool"
            );
            self.session.abandon();
        }
        if now.saturating_duration_since(self.refreshed) >= STATUS_INTERVAL {
            self.refreshed = now;
            self.refresh();
        }
        Ok(())
    }

    fn timer(&self) -> Instant {
        let due = [
            self.session.deadline().map(|(at, _)| at),
            self.wake,
            self.stop_by,
        ];
        let refresh = self.refreshed + STATUS_INTERVAL;
        due.into_iter().flatten().fold(refresh, Instant::min)
    }

    /// Plans and reads what is next, if anything is.
    async fn fill(&mut self) -> Result<(), LinkFault> {
        let now = self.group.now();
        if self.barren > 0 && self.wake.is_some_and(|at| now.steady < at) {
            return Ok(());
        }
        let source = &self.group.source;
        let states = LaneMap::from_fn(|lane| source.lane_state(lane));
        self.seen = LaneMap::from_fn(|lane| states[lane].committed_next);
        self.wake = None;
        match self.session.plan(&now, |lane| states[lane]) {
            Plan::Wait(until) => self.wake = until,
            Plan::Lost { lane, flow, range } => {
                warn!(%lane, first = %range.first, next = %range.next,
                    "the platform asks for what was delivered and deleted: reported as a gap");
                self.parcels
                    .push_back(lost(lane, flow, range, &Trouble::Delivered));
            }
            Plan::Read {
                lane,
                flow,
                range,
                bytes_max,
            } => {
                self.read(lane, flow, range, bytes_max).await?;
            }
        }
        Ok(())
    }

    async fn read(
        &mut self,
        lane: Lane,
        flow: Flow,
        range: SequenceRange,
        bytes_max: usize,
    ) -> Result<(), LinkFault> {
        let source = &self.group.source;
        self.hold_before(lane, range, bytes_max);
        let items = if source.cached(lane, range.first) {
            source.read(lane, range, bytes_max)
        } else {
            let source = source.clone();
            tokio::task::spawn_blocking(move || source.read(lane, range, bytes_max))
                .await
                .map_err(|fault| LinkFault::Source(fault.to_string()))?
        };
        let items = items.map_err(|fault| LinkFault::Source(fault.to_string()))?;
        if items.is_empty() {
            self.nothing_read(lane, flow, range);
            return Ok(());
        }
        self.barren = 0;
        let backlog = self.session.is_backlog(lane, flow, range.first);
        self.parcels = parcels((lane, flow, backlog), range, items, bytes_max)?;
        Ok(())
    }

    /// The spool says that it holds these sequences and gives none: asks again for a while, then reports a gap rather
    /// than hang the lane.
    fn nothing_read(&mut self, lane: Lane, flow: Flow, range: SequenceRange) {
        self.barren += 1;
        if self.barren < BARREN_MAX {
            self.wake = Some(self.group.clock.steady() + BARREN_PAUSE);
            return;
        }
        self.barren = 0;
        self.parcels
            .push_back(lost(lane, flow, range, &Trouble::Missing));
    }

    /// Before reading, so that drop-oldest does not take what is being read.
    fn hold_before(&self, lane: Lane, range: SequenceRange, bytes_max: usize) {
        let span = (bytes_max as u64 / READING_BYTES_MIN).max(1);
        let reach = SequenceRange::new(range.first, range.next.min(range.first.plus(span)));
        let hold = match self.session.hold(lane) {
            Some(held) if held.next < reach.first => held,
            Some(held) => SequenceRange::new(
                held.first.min(reach.first),
                if reach.next < held.first {
                    reach.next
                } else {
                    held.next.max(reach.next)
                },
            ),
            None => reach,
        };
        self.group.source.hold(lane, Some(hold));
    }

    /// Books a parcel as sent and gives what goes on the wire.
    fn dispatch(&mut self, parcel: Parcel) -> super::codec::Outgoing {
        let Parcel {
            message,
            mut dispatch,
        } = parcel;
        dispatch.sent_at = self.group.clock.steady();
        self.group.meters.lanes[dispatch.lane].sent(&dispatch);
        self.session.sent(dispatch);
        if self.parcels.is_empty() {
            self.group
                .source
                .hold(dispatch.lane, self.session.hold(dispatch.lane));
        }
        message
    }

    fn answer(&mut self, answer: DeliverResponse) -> Result<(), Contract> {
        match answer.message {
            Some(Message::Accepted(accepted)) => self.accepted(&accepted),
            Some(Message::Refused(refused)) => self.refused(refused),
            Some(Message::Resume(_)) => Err(Contract::Order("a second Resume")),
            None => Err(Contract::Order("an empty answer")),
        }
    }

    fn accepted(&mut self, said: &crate::proto::platform::Accepted) -> Result<(), Contract> {
        let lane = lane(said.lane)?;
        let (first, next) = (Sequence(said.first_sequence), Sequence(said.next_sequence));
        let settled = self.session.accepted(Accepted { lane, first, next })?;
        for range in &settled.delivered {
            self.group.source.delivered(lane, *range);
        }
        let now = self.group.now();
        for dispatch in &settled.landed {
            self.group.meters.lanes[lane].landed(dispatch, &now);
        }
        if !settled.landed.is_empty() {
            self.progressed = true;
            if self.parcels.is_empty() {
                self.group.source.hold(lane, self.session.hold(lane));
            }
        }
        Ok(())
    }

    fn refused(&mut self, said: Refused) -> Result<(), Contract> {
        let lane = lane(said.lane)?;
        let sequence = Sequence(said.sequence);
        if self.session.refused(lane, sequence)? {
            warn!(%lane, %sequence, reason = %said.reason, "the platform refused a reading");
            self.group.meters.lanes[lane].refused.increment(1);
            self.group.source.refused(lane, sequence, said.reason);
        }
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
    fn refresh(&self) {
        let session = &self.session;
        let lanes = self.group.lanes.iter().map(|&lane| {
            let committed_next = self.group.source.lane_state(lane).committed_next;
            let undelivered = session.undelivered(lane, committed_next);
            self.group.meters.lanes[lane].undelivered(undelivered);
            LaneStatus {
                lane,
                position: session.position(lane),
                live: session.live(lane),
                committed_next,
                backlog: session.backlog(lane),
                ahead_ranges: session.ahead_count(lane),
            }
        });
        let lanes = lanes.collect();
        self.group
            .meters
            .in_flight
            .set(session.in_flight_bytes() as f64);
        self.group.status.send_modify(|status| {
            status.in_flight_bytes = session.in_flight_bytes();
            status.in_flight_batches = session.in_flight_batches();
            status.lanes = lanes;
        });
    }
}
