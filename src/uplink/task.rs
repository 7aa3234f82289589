//! One task per lane group: connects, runs the stream to its end, pauses, and does so for ever.

use std::sync::Arc;

use rand::{SeedableRng as _, rngs::StdRng};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::codec::CompressionEncoding;
use tracing::{error, info, warn};

use super::{
    core::{Backoff, Endpoints, Limits},
    fault::{LinkFault, Remedy},
    group::Group,
    link::{self, Introduction},
    metrics::Meters,
    pump::{self, Ended},
    source::Source,
    status::{GroupStatus, StatusView},
};
use crate::{
    config::{Compression, UplinkConfig},
    domain::{Clock, Lane},
    supervise::TaskSet,
};

/// The lane groups: name of the task, name of the group, lanes.
const GROUPS: [(&str, &str, &[Lane]); 2] = [
    ("uplink-alarm", "alarm", &[Lane::Alarm]),
    (
        "uplink-telemetry",
        "telemetry+bulk",
        &[Lane::Telemetry, Lane::Bulk],
    ),
];

/// Delivery to the platform, ready to be spawned.
#[derive(Debug)]
pub struct Uplink<S> {
    config: Arc<UplinkConfig>,
    introduction: Arc<Introduction>,
    source: S,
    clock: Arc<dyn Clock>,
    status: Vec<watch::Sender<GroupStatus>>,
}

impl<S: Source> Uplink<S> {
    /// Delivers what `source` holds as `config` says.
    #[must_use]
    pub fn new(
        config: UplinkConfig,
        introduction: Introduction,
        source: S,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let status = GROUPS.iter().map(|(_, group, _)| {
            watch::Sender::new(GroupStatus {
                group,
                ..GroupStatus::default()
            })
        });
        Self {
            config: Arc::new(config),
            introduction: Arc::new(introduction),
            source,
            clock,
            status: status.collect(),
        }
    }

    /// A handle to look at the uplink.
    #[must_use]
    pub fn status(&self) -> StatusView {
        StatusView {
            groups: self.status.iter().map(watch::Sender::subscribe).collect(),
        }
    }

    /// Runs one task per lane group. Cancelling the set's token takes no new batches, waits a few seconds for
    /// acknowledgements of those in flight, and closes the streams.
    pub fn spawn(self, tasks: &mut TaskSet) {
        for ((task, name, lanes), status) in GROUPS.into_iter().zip(self.status) {
            let group = Group {
                lanes,
                source: self.source.clone(),
                clock: Arc::clone(&self.clock),
                limits: limits(&self.config),
                meters: Meters::new(name),
                status,
                stop: tasks.token(),
            };
            let config = Arc::clone(&self.config);
            let introduction = Arc::clone(&self.introduction);
            tasks.spawn(task, async move {
                let courier = Courier::new(config, introduction, group);
                Box::pin(courier.run()).await;
                Ok(())
            });
        }
    }
}

const fn limits(config: &UplinkConfig) -> Limits {
    Limits {
        batch_bytes_max: config.batch_bytes_max,
        window_bytes_max: config.window_bytes_max,
        batch_deadline: config.batch_deadline,
        backlog_age: config.backlog_age,
        backlog_rate_max: config.backlog_rate_max,
    }
}

/// Keeps one lane group connected.
struct Courier<S> {
    config: Arc<UplinkConfig>,
    introduction: Arc<Introduction>,
    group: Group<S>,
    endpoints: Endpoints,
    backoff: Backoff,
    rng: StdRng,
    compress: Option<CompressionEncoding>,
}

impl<S: Source> Courier<S> {
    fn new(config: Arc<UplinkConfig>, introduction: Arc<Introduction>, group: Group<S>) -> Self {
        Self {
            endpoints: Endpoints::new(config.platforms.clone()),
            backoff: Backoff::new(config.backoff_min, config.backoff_max),
            rng: StdRng::from_os_rng(),
            compress: match config.compression {
                Compression::Off => None,
                Compression::Zstd => Some(CompressionEncoding::Zstd),
            },
            config,
            introduction,
            group,
        }
    }

    async fn run(mut self) {
        let stop: CancellationToken = self.group.stop.clone();
        while !stop.is_cancelled() {
            let url = self.endpoints.current().to_owned();
            let started = self.group.clock.steady();
            let Some(ended) = self.attempt(&url).await else {
                return;
            };
            let Err(fault) = ended.result else { return };
            self.report(&url, &fault);
            if self.compress.is_some() && fault.compression_unknown() {
                warn!(%url, "the platform does not take zstd: going on without compression");
                self.compress = None;
                continue;
            }
            let lasted = self.group.clock.steady().saturating_duration_since(started);
            let due = if ended.progressed || lasted > self.config.backoff_max {
                self.endpoints.worked();
                self.backoff.reset();
                true
            } else {
                self.endpoints.failed()
            };
            if due && self.pause(&fault).await.is_none() {
                return;
            }
        }
    }

    /// Connects and runs the stream; none if a stop came before there was one.
    async fn attempt(&self, url: &str) -> Option<Ended> {
        let incarnation = self.group.source.incarnation().0;
        let hello = self.introduction.hello(incarnation, self.group.lanes);
        let opened = tokio::select! {
            biased;
            () = self.group.stop.cancelled() => return None,
            opened = link::open(url, &self.config, hello, self.compress) => opened,
        };
        let link = match opened {
            Ok(link) => link,
            Err(fault) => {
                return Some(Ended {
                    result: Err(fault),
                    progressed: false,
                });
            }
        };
        info!(
            url,
            group = self.group.status.borrow().group,
            "connected to the platform"
        );
        self.group.meters.connected.set(1.0);
        let now = self.group.clock.now();
        self.group.status.send_modify(|status| {
            status.connected = Some(url.to_owned());
            status.since = Some(now);
        });
        let ended = pump::run(&self.group, link).await;
        if ended.result.is_ok() {
            self.disconnected(None);
        }
        Some(ended)
    }

    fn report(&self, url: &str, fault: &LinkFault) {
        let group = self.group.status.borrow().group;
        match fault.remedy() {
            Remedy::Operator => {
                error!(url, group, %fault, "the platform needs the operator; trying on");
            }
            Remedy::Retry => warn!(url, group, %fault, "delivery interrupted"),
        }
        self.group.meters.ended(fault);
        for &lane in self.group.lanes {
            let state = self.group.source.lane_state(lane);
            let undelivered = state.committed_next.0.saturating_sub(state.oldest.0);
            self.group.meters.lanes[lane].undelivered(undelivered);
        }
        self.disconnected(Some(fault.to_string()));
    }

    fn disconnected(&self, error: Option<String>) {
        let now = self.group.clock.now();
        self.group.meters.connected.set(0.0);
        self.group.status.send_modify(|status| {
            if status.connected.take().is_some() {
                status.since = Some(now);
            }
            status.in_flight_bytes = 0;
            status.in_flight_batches = 0;
            if let Some(error) = error {
                status.last_error = Some((now, error));
            }
        });
    }

    /// Pauses as the fault asks for; none if a stop came meanwhile.
    async fn pause(&mut self, fault: &LinkFault) -> Option<()> {
        let pause = match fault.remedy() {
            Remedy::Retry => self.backoff.pause(&mut self.rng),
            Remedy::Operator => self.backoff.longest(&mut self.rng),
        };
        tokio::select! {
            () = self.group.stop.cancelled() => None,
            () = tokio::time::sleep(pause) => Some(()),
        }
    }
}
