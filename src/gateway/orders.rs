//! How a request reaches the quarantine: over the admin socket of the running daemon, or, if none runs, by opening the
//! spool here. The store's lock decides which: there is no third way, and no race between the two.

use std::{io, ops::ControlFlow, path::Path, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    error::GatewayError,
    operate::{Request, Summary, operate},
    reload,
};
use crate::{
    admin::{self, Orders, Socket},
    config::{Config, NormaliseConfig, SpoolConfig, WhenFull},
    domain::{Lane, SystemClock},
    ingest::{Ingest, Replay},
    spool::{Opened, Quarantine, QuarantineSight, Spool},
    supervise::TaskSet,
};

/// A line of the daemon's answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    /// How far it is.
    Progress(Summary),
    /// It is done.
    Done(Summary),
    /// It is not.
    Failed(String),
}

impl Answer {
    fn line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What the daemon's socket speaks to.
pub(super) struct Operator {
    quarantine: Quarantine,
    normalise: NormaliseConfig,
    ingest: Arc<Ingest>,
}

impl Operator {
    pub(super) const fn new(
        quarantine: Quarantine,
        normalise: NormaliseConfig,
        ingest: Arc<Ingest>,
    ) -> Self {
        Self {
            quarantine,
            normalise,
            ingest,
        }
    }

    /// Listens for operators' commands. The gateway does its work without, if it must.
    pub(super) fn listen(self, data_dir: &Path, tasks: &mut TaskSet) {
        match Socket::bind(data_dir) {
            Ok(socket) => {
                tasks.spawn("admin-socket", socket.serve(Arc::new(self), tasks.token()));
            }
            Err(error) => {
                tracing::warn!(%error, "no admin socket: the quarantine can be changed only while the gateway is stopped");
            }
        }
    }
}

impl Orders for Operator {
    fn carry_out(&self, request: &str, tell: &mut dyn FnMut(String) -> ControlFlow<()>) -> String {
        let request: Request = match serde_json::from_str(request) {
            Ok(request) => request,
            Err(error) => return Answer::Failed(format!("request: {error}")).line(),
        };
        let replay = |trust| Replay::new(&self.normalise, self.ingest.in_force(), trust);
        let told = |summary: &Summary| tell(Answer::Progress(summary.clone()).line());
        let done = operate(&self.quarantine, &request, replay, told);
        match &done {
            Ok(summary) => tracing::info!(?request, ?summary, "quarantine: an operator's command"),
            Err(fault) => tracing::error!(?request, %fault, "quarantine: an operator's command"),
        }
        done.map_or_else(|fault| Answer::Failed(fault.to_string()), Answer::Done)
            .line()
    }
}

/// Who carried a request out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The running gateway.
    Daemon,
    /// This process: no gateway runs.
    Command,
}

/// Carries an operator's request out, by the running gateway or without one; shows how far it is.
///
/// # Errors
/// There is no spool, or it can be neither opened nor asked.
pub fn quarantine(
    config: &Config,
    request: &Request,
    mut show: impl FnMut(&Summary),
) -> Result<(By, Summary), GatewayError> {
    let data_dir = &config.spool.data_dir;
    // Says what is wrong with the directory, and does not make one.
    drop(QuarantineSight::of(data_dir)?);
    let failed = |error: &io::Error| GatewayError::Asked {
        path: data_dir.clone(),
        why: error.to_string(),
    };
    let text = serde_json::to_string(request).map_err(|error| failed(&error.into()))?;
    let mut outcome = None;
    let asked = admin::ask(data_dir, &text, |line| match serde_json::from_str(line) {
        Ok(Answer::Progress(summary)) => {
            show(&summary);
            ControlFlow::Continue(())
        }
        Ok(Answer::Done(summary)) => {
            outcome = Some(Ok(summary));
            ControlFlow::Break(())
        }
        Ok(Answer::Failed(why)) => {
            outcome = Some(Err(why));
            ControlFlow::Break(())
        }
        Err(error) => {
            outcome = Some(Err(error.to_string()));
            ControlFlow::Break(())
        }
    });
    match (asked, outcome) {
        (Ok(false), _) => Ok((By::Command, alone(config, request, show)?)),
        (Ok(true), Some(Ok(summary))) => Ok((By::Daemon, summary)),
        (Ok(true), Some(Err(why))) => Err(GatewayError::Asked {
            path: data_dir.clone(),
            why,
        }),
        (Ok(true), None) => Err(failed(&io::ErrorKind::UnexpectedEof.into())),
        (Err(error), _) => Err(failed(&error)),
    }
}

/// The same without a daemon.
fn alone(
    config: &Config,
    request: &Request,
    mut show: impl FnMut(&Summary),
) -> Result<Summary, GatewayError> {
    let schema = reload::schema(&config.normalise)?;
    let opened: Opened<()> = Spool::open_alone(&careful(&config.spool), Arc::new(SystemClock))?;
    let writer = opened.writer.start()?;
    let replay = |trust| Replay::new(&config.normalise, schema, trust);
    let done = operate(&opened.quarantine, request, replay, |summary| {
        show(summary);
        ControlFlow::Continue(())
    });
    writer.close()?;
    Ok(done?)
}

/// The spool's settings for a command: it drops nothing of a lane to make room for what was in quarantine.
fn careful(config: &SpoolConfig) -> SpoolConfig {
    let mut config = config.clone();
    for lane in Lane::ALL {
        config.lanes[lane].when_full = WhenFull::Refuse;
    }
    config
}
