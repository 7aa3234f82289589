//! The running gateway: what was started, in which order, and how it stops.
//!
//! Start: ports, classes, store, spool and vault with their writers, uplink, broker, admin; READY last. Stop, in flow
//! order: intake, owed acknowledgements, uplink, vault, spool, store. Everything is told by one deadline.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{Notify, watch};

use super::{
    GatewayError,
    bound::Addresses,
    kept::{Kept, Writers},
    orders::Operator,
    reload::{self, Reread},
    status::GatewayStatus,
    watch::{Watch, folders},
};
use crate::{
    admin::{Admin, Notifier},
    broker::{self, Broker, Handle},
    config::{Config, NodeConfig, NormaliseConfig},
    domain::Clock,
    ingest::Ingest,
    normalise::Class,
    supervise::{TaskFailure, TaskSet},
    telemetry::{self, Exporter},
    uplink::{Introduction, Uplink},
};

/// Shares of the stop's deadline: acknowledgements first, then what is in flight to the platform; the spool's last
/// write takes what it takes.
const ACKNOWLEDGE_SHARE: u32 = 2;
/// How long admin tasks may take to end.
const ADMIN_DEADLINE: Duration = Duration::from_secs(1);

/// A gateway that serves.
pub(super) struct Running {
    stop_deadline: Duration,
    clock: Arc<dyn Clock>,
    notifier: Arc<Notifier>,
    ingest: Arc<Ingest>,
    /// Digest of the classes in force, for the next stream's Hello.
    schema: watch::Sender<[u8; 32]>,
    /// Folders of classes and profiles, for whoever looks whether they change.
    folders: watch::Sender<Vec<PathBuf>>,
    /// Told when files have changed that are read again while running.
    changes: Arc<Notify>,
    broker: Handle,
    writers: Writers,
    /// Broker's tasks, uplink's tasks, and admin's and the watchdog's.
    reception: TaskSet,
    delivery: TaskSet,
    outlook: TaskSet,
}

impl Running {
    pub(super) async fn start(
        config: Config,
        clock: Arc<dyn Clock>,
        exporter: Exporter,
    ) -> Result<Self, GatewayError> {
        let (watched, folders) = Watch::new(&config);
        let ports = Ports::bind(&config).await?;
        let (classes, profiles) = reload::schema(&config.normalise)?;
        let Kept {
            inlet,
            reader,
            quarantine,
            memory,
            writers,
        } = Kept::open(&config, &clock)?;

        let (schema, schema_digest) = watch::channel(classes.digest());
        let mut delivery = TaskSet::new();
        let hello = introduction(&config.node, schema_digest);
        let uplink = Uplink::new(config.uplink, hello, reader.clone(), Arc::clone(&clock));
        let uplink_status = uplink.status();
        uplink.spawn(&mut delivery);

        let mut reception = TaskSet::new();
        writers.watch(&mut reception);
        let ingest = Arc::new(Ingest::new(
            &config.normalise,
            (Arc::clone(&classes), profiles),
            inlet,
            Arc::clone(&clock),
        ));
        Operator::new(quarantine, config.normalise.clone(), Arc::clone(&ingest))
            .listen(&config.spool.data_dir, &mut reception);
        let broker = ports
            .mqtt
            .serve(
                Arc::clone(&ingest),
                Arc::clone(&clock),
                memory,
                &mut reception,
            )
            .map_err(GatewayError::Runtime)?;
        broker.replace_classes(classes.iter().map(Class::id));
        let changes = watched.start(config.node.watch_interval, &broker, &mut reception);

        let status = Arc::new(GatewayStatus {
            node: config.node.clone(),
            bounds: config.spool.lanes,
            clock: Arc::clone(&clock),
            started: clock.steady(),
            tasks: vec![reception.liveness(), delivery.liveness()],
            broker: broker.clone(),
            ingest: Arc::clone(&ingest),
            spool: reader,
            spool_health: writers.spool_health(),
            vault_health: writers.vault_health(),
            uplink: uplink_status,
        });
        let notifier = Arc::new(Notifier::from_env());
        let outlook = look_out(ports.admin, status, exporter, &notifier);

        ports.addresses.tell(config.node.bound_file.as_deref())?;
        notifier.ready();
        Ok(Self {
            stop_deadline: config.node.stop_deadline,
            clock,
            notifier,
            ingest,
            schema,
            folders,
            changes,
            broker,
            writers,
            reception,
            delivery,
            outlook,
        })
    }

    /// Resolves when a task ends that should not.
    pub(super) async fn failure(&mut self) -> TaskFailure {
        tokio::select! {
            failure = self.reception.first_end() => failure,
            failure = self.delivery.first_end() => failure,
            failure = self.outlook.first_end() => failure,
        }
    }

    /// Told when a reload is due because files have changed.
    pub(super) fn changes(&self) -> Arc<Notify> {
        Arc::clone(&self.changes)
    }

    /// Puts in force what can change while running; what is wrong stays as it was.
    pub(super) async fn reload(&self, reread: &Reread) {
        self.notifier.reloading();
        let broker = self.broker.clone();
        let reread_certificates = move || broker.reload_certificates();
        match tokio::task::spawn_blocking(reread_certificates).await {
            Ok(certificates) => tracing::debug!(?certificates, "reload"),
            Err(error) => tracing::error!(%error, "reload: reading the certificates failed"),
        }
        match reread.read() {
            Err(problems) => tracing::error!(problems, "reload: the configuration stays as it was"),
            Ok(config) => {
                if let Err(error) = telemetry::refilter(&config.log.filter) {
                    tracing::error!(%error, "reload: the log filter stays as it was");
                }
                self.reload_access(&config).await;
                self.reload_schema(config.normalise).await;
            }
        }
        self.notifier.ready();
    }

    async fn reload_schema(&self, config: NormaliseConfig) {
        self.folders.send_replace(folders(&config));
        match tokio::task::spawn_blocking(move || reload::schema(&config)).await {
            Ok(Ok((classes, profiles))) => {
                let (count, read) = (classes.len(), profiles.len());
                tracing::info!(classes = count, profiles = read, "reload: in force");
                self.schema.send_replace(classes.digest());
                self.broker.replace_classes(classes.iter().map(Class::id));
                self.ingest.replace(classes, profiles);
            }
            Ok(Err(error)) => {
                self.ingest.keep_in_force();
                tracing::error!(%error, "reload: classes and profiles stay as they were");
            }
            Err(error) => {
                tracing::error!(%error, "reload: reading classes and profiles failed");
            }
        }
    }

    async fn reload_access(&self, config: &Config) {
        let broker = self.broker.clone();
        let (auth, data_dir) = (config.auth.clone(), config.spool.data_dir.clone());
        let read = tokio::task::spawn_blocking(move || reload::access(&broker, auth, &data_dir));
        match read.await {
            Ok(Ok(access)) => {
                self.broker.replace_access(access);
                tracing::info!("reload: keys, passwords, revocations and rights in force");
            }
            Ok(Err(faults)) => {
                self.broker.refuse_access();
                for fault in faults {
                    tracing::error!(%fault, "reload: access stays as it was");
                }
            }
            Err(error) => tracing::error!(%error, "reload: reading the files of access failed"),
        }
    }

    /// Stops in flow order, within the deadline.
    pub(super) async fn stop(self) -> Result<(), GatewayError> {
        self.notifier.stopping();
        let begun = self.clock.steady();
        let left = |begun: Instant| {
            let spent = self.clock.steady().saturating_duration_since(begun);
            self.stop_deadline.saturating_sub(spent)
        };
        self.broker.close_intake().await;
        let acknowledge = self.stop_deadline / ACKNOWLEDGE_SHARE;
        if tokio::time::timeout(acknowledge, self.writers.drained())
            .await
            .is_err()
        {
            tracing::warn!("the disk takes no writes: what it does not hold is not acknowledged");
        }
        let disconnected = self
            .broker
            .disconnect_all(left(begun) / ACKNOWLEDGE_SHARE)
            .await;
        if disconnected.cut > 0 {
            tracing::warn!(connections = disconnected.cut, "cut at the deadline");
        }
        let uplink = self.delivery.stop(left(begun)).await;
        let reception = self.reception.stop(ADMIN_DEADLINE).await;
        let writers = self.writers;
        let closed = tokio::task::spawn_blocking(move || writers.close()).await;
        let outlook = self.outlook.stop(ADMIN_DEADLINE).await;
        match closed {
            Ok(closed) => closed?,
            Err(join) => return Err(TaskFailure::Panicked(join.to_string()).into()),
        }
        for part in [uplink, reception, outlook] {
            part?;
        }
        let took = self.clock.steady().saturating_duration_since(begun);
        tracing::info!(?took, "stopped");
        Ok(())
    }
}

/// Every port of the gateway, bound before any serious work.
struct Ports {
    mqtt: broker::Bound,
    admin: Option<Admin>,
    addresses: Addresses,
}

impl Ports {
    async fn bind(config: &Config) -> Result<Self, GatewayError> {
        let mqtt = Broker::bind(&config.mqtt, &config.auth)?;
        let admin = match config.admin.listen {
            Some(address) => Some(Admin::bind(address).await?),
            None => None,
        };
        let addresses = Addresses {
            mqtt: mqtt.addresses().map_err(GatewayError::Runtime)?,
            admin: admin.as_ref().map(Admin::address),
        };
        Ok(Self {
            mqtt,
            admin,
            addresses,
        })
    }
}

fn introduction(node: &NodeConfig, schema_digest: watch::Receiver<[u8; 32]>) -> Introduction {
    Introduction {
        gateway_id: node.gateway_id.clone(),
        district: node.district.clone(),
        software_version: env!("CARGO_PKG_VERSION").to_owned(),
        schema_digest,
    }
}

/// Admin pages and systemd's notifications, in tasks of their own.
fn look_out(
    admin: Option<Admin>,
    status: Arc<GatewayStatus>,
    exporter: Exporter,
    notifier: &Arc<Notifier>,
) -> TaskSet {
    let mut tasks = TaskSet::new();
    if let Some(admin) = admin {
        tasks.spawn(
            "admin",
            admin.serve(Arc::clone(&status), exporter, tasks.token()),
        );
    }
    tasks.spawn("notify", Arc::clone(notifier).beat(status, tasks.token()));
    tasks
}
