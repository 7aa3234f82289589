//! Who plays in the kill rounds, and how each comes back.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;
use tokio::runtime::Runtime;

use super::{KillError, KillPlan};
use crate::harness::{
    children::{Binaries, Gateway, GatewaySpec, Platform, PlatformSpec},
    client::Qos,
    demo::{device_key, drained},
    devices::{Fleet, FleetEnd, FleetOptions, Identities, Pace, Protocols, Roster, Unacknowledged},
    proxy::Proxy,
    scrape::LedgerView,
};

/// A replayed series' hours pass in this many seconds' part: 1 h in 0.36 s.
const REPLAY_SPEED: f64 = 10_000.0;

pub(super) struct Cast {
    binaries: Binaries,
    gateway_spec: GatewaySpec,
    platform_spec: PlatformSpec,
    pub(super) gateway: Gateway,
    pub(super) platform: Platform,
    pub(super) fleet: Running,
    target: Arc<ArcSwap<SocketAddr>>,
    proxy: Proxy,
    /// The proxy's; ends last.
    _runtime: Runtime,
}

/// The fleet, until it is finished.
pub(super) struct Running {
    pub(super) tally: Arc<crate::harness::devices::Tally>,
    fleet: Option<Fleet>,
}

impl Cast {
    pub(super) fn new(plan: &KillPlan, roster: Arc<Roster>) -> Result<Self, KillError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let key = device_key();
        let platform_spec = PlatformSpec {
            dir: plan.dir.clone(),
            further: Vec::new(),
        };
        let platform = Platform::start(&plan.binaries, &platform_spec)?;
        let proxy = runtime.block_on(Proxy::start(platform.grpc))?;
        let gateway_spec = GatewaySpec {
            dir: plan.dir.clone(),
            platform: Some(proxy.address()),
            auth_key: Some(key.clone()),
            further: Vec::new(),
        };
        let gateway = Gateway::start(&plan.binaries, &gateway_spec)?;
        let target = Arc::new(ArcSwap::from_pointee(gateway.mqtt));
        let speed = plan.rate / roster.nominal_rate();
        let fleet = Fleet::start(
            roster,
            FleetOptions {
                gateway: Arc::clone(&target),
                source_addresses: 0,
                identities: Identities::Keyed(key),
                protocols: Protocols::Mixed,
                qos: Qos::AtLeastOnce,
                window: 16,
                pace: Pace {
                    speed,
                    replay_speed: REPLAY_SPEED,
                },
                unacknowledged: Unacknowledged::LetGo,
                seed: plan.seed,
            },
        )?;
        Ok(Self {
            binaries: plan.binaries.clone(),
            gateway_spec,
            platform_spec,
            gateway,
            platform,
            fleet: Running {
                tally: Arc::clone(&fleet.tally),
                fleet: Some(fleet),
            },
            target,
            proxy,
            _runtime: runtime,
        })
    }

    /// An error if somebody died who was not killed.
    pub(super) fn check(&mut self) -> Result<(), KillError> {
        self.gateway.process.check()?;
        self.platform.process.check()?;
        Ok(())
    }

    pub(super) fn restart_gateway(&mut self) -> Result<(), KillError> {
        self.gateway = Gateway::start(&self.binaries, &self.gateway_spec)?;
        self.target.store(Arc::new(self.gateway.mqtt));
        Ok(())
    }

    pub(super) fn restart_platform(&mut self) -> Result<(), KillError> {
        self.platform = Platform::start(&self.binaries, &self.platform_spec)?;
        self.proxy.set_upstream(self.platform.grpc);
        Ok(())
    }

    pub(super) fn platform_data(&self) -> PathBuf {
        self.platform_spec.data_dir()
    }

    /// Devices stop, everything reaches the platform, both stop in order.
    pub(super) fn finish(&mut self) -> Result<(FleetEnd, LedgerView), KillError> {
        let fleet = self.fleet.fleet.take();
        let fleet =
            fleet.ok_or_else(|| std::io::Error::other("the devices have stopped already"))?;
        let end = fleet.finish()?;
        let ledger = drained(&self.gateway, &self.platform, &end.model)?;
        self.gateway.process.stop()?;
        self.platform.process.stop()?;
        Ok((end, ledger))
    }
}
