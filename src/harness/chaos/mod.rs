//! `kill -9` of the real gateway and the real platform at seeded random moments under load, over and over on the same
//! data. Devices go on throughout; at the end everything acknowledged must be stored exactly once, and after each
//! round the ledger must balance.
//!
//! ```text
//! devices ──MQTT──▶ gateway ──▶ proxy ──gRPC──▶ platform        one round: load, kill one or both, restart, heal
//! ```

mod cast;

use std::{
    fmt,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use thiserror::Error;

use super::{
    children::{Binaries, ChildError},
    demo::{Failed, city},
    devices::{FleetError, Latency, Speech},
    evidence::audit,
    model::Verdict,
    scrape::{LedgerView, Samples},
};
use cast::Cast;

/// Longest time under load before a kill.
const LOAD_MAX: Duration = Duration::from_millis(1500);
/// Longest time that a killed process stays away, where a round does not say otherwise.
const AWAY_MAX: Duration = Duration::from_millis(800);
/// How long it may take until readings are acknowledged again and the ledger balances.
const HEAL_DEADLINE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What is done.
#[derive(Debug, Clone)]
pub struct KillPlan {
    /// The binaries.
    pub binaries: Binaries,
    /// Data and logs lie below this.
    pub dir: PathBuf,
    /// Kills.
    pub rounds: u32,
    /// Seed of moments, victims and devices.
    pub seed: u64,
    /// Readings a second.
    pub rate: f64,
    /// Before the last round the platform is dead for this long while devices go on.
    pub platform_away: Duration,
}

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// The gateway.
    Gateway,
    /// The platform.
    Platform,
    /// Both, the gateway first.
    Both,
}

/// What a round was.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    /// Its number, from 1.
    pub number: u32,
    /// Who was killed.
    pub victim: Victim,
    /// How long the load had run in this round.
    pub after: Duration,
    /// How long the dead stayed away.
    pub away: Duration,
    /// From the restart until readings were acknowledged again and the ledger balanced.
    pub healed: Duration,
    /// Readings acknowledged so far.
    pub acknowledged: u64,
    /// Readings in doubt so far.
    pub in_doubt: u64,
    /// Looks at the ledger until one balanced: a scrape can fall between two of its counts.
    pub looks: u32,
    /// The ledger that balanced.
    pub ledger: LedgerView,
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "round {:>3}: killed {:<8} after {:>4} ms, away {:>6} ms, healed in {:>5} ms; acknowledged {}, in doubt {}; \
             ledger balances ({} looks): received {} = delivered {} + spooled {}",
            self.number,
            format!("{:?}", self.victim).to_lowercase(),
            self.after.as_millis(),
            self.away.as_millis(),
            self.healed.as_millis(),
            self.acknowledged,
            self.in_doubt,
            self.looks,
            self.ledger.total(|l| l.received),
            self.ledger.total(|l| l.delivered),
            self.ledger.total(|l| l.spooled),
        )
    }
}

/// Why the proof failed.
#[derive(Debug, Error)]
pub enum KillError {
    /// A child process.
    #[error(transparent)]
    Child(#[from] ChildError),
    /// The devices.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// Setting up or the drain at the end.
    #[error(transparent)]
    Demo(#[from] Failed),
    /// The proxy or its runtime.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// After a restart nothing was acknowledged any more.
    #[error("round {round}: no reading was acknowledged within {HEAL_DEADLINE:?} of the restart")]
    Silent {
        /// Which round.
        round: u32,
    },
    /// The ledger did not balance.
    #[error("round {round}: the ledger did not balance within {HEAL_DEADLINE:?}:\n{ledger}")]
    Ledger {
        /// Which round.
        round: u32,
        /// As it stood.
        ledger: Box<LedgerView>,
    },
    /// A reading is missing, doubled or unknown.
    #[error("the promise is broken: {0}")]
    Promise(Box<Verdict>),
}

/// What the rounds proved.
#[derive(Debug)]
pub struct Proof {
    /// Everything acknowledged against everything stored.
    pub verdict: Verdict,
    /// The ledger at the end.
    pub ledger: LedgerView,
    /// Times to the acknowledgement.
    pub latency: Latency,
}

/// Runs the rounds; tells each when it is over.
///
/// # Errors
/// Something does not start again, the ledger is off, or a reading is missing or doubled.
pub fn run(plan: &KillPlan, mut each: impl FnMut(&Round)) -> Result<Proof, KillError> {
    let roster = Arc::new(city(0.0, Speech::Canonical)?);
    let mut rng = SmallRng::seed_from_u64(plan.seed);
    let mut cast = Cast::new(plan, Arc::clone(&roster))?;
    for number in 1..=plan.rounds {
        let last = number == plan.rounds;
        let long = (last && !plan.platform_away.is_zero()).then_some(plan.platform_away);
        each(&round(&mut cast, &mut rng, (number, long))?);
    }
    let (end, ledger) = cast.finish()?;
    let verdict = audit(&cast.platform_data(), &roster, &end.model).map_err(Failed::Evidence)?;
    if !verdict.holds() {
        return Err(KillError::Promise(Box::new(verdict)));
    }
    Ok(Proof {
        verdict,
        ledger,
        latency: end.latency,
    })
}

/// `long`: the platform is the victim and stays away for that long.
fn round(
    cast: &mut Cast,
    rng: &mut SmallRng,
    (number, long): (u32, Option<Duration>),
) -> Result<Round, KillError> {
    let after = LOAD_MAX.mul_f64(rng.random());
    let away = long.unwrap_or_else(|| AWAY_MAX.mul_f64(rng.random()));
    let victim = match (long, rng.random_range(0..10)) {
        (Some(_), _) | (None, 5..=7) => Victim::Platform,
        (None, 0..=4) => Victim::Gateway,
        (None, _) => Victim::Both,
    };
    thread::sleep(after);
    cast.check()?;
    if victim != Victim::Platform {
        cast.gateway.process.kill()?;
    }
    if victim != Victim::Gateway {
        cast.platform.process.kill()?;
    }
    thread::sleep(away);
    let restarted = Instant::now();
    if victim != Victim::Gateway {
        cast.restart_platform()?;
    }
    if victim != Victim::Platform {
        cast.restart_gateway()?;
    }
    let before = cast.fleet.tally.acknowledged.get();
    while cast.fleet.tally.acknowledged.get() == before {
        if restarted.elapsed() >= HEAL_DEADLINE {
            return Err(KillError::Silent { round: number });
        }
        cast.check()?;
        thread::sleep(LOOK_EVERY);
    }
    let (ledger, looks) = balanced(cast, (number, restarted))?;
    Ok(Round {
        number,
        victim,
        after,
        away,
        healed: restarted.elapsed(),
        acknowledged: cast.fleet.tally.acknowledged.get(),
        in_doubt: cast.fleet.tally.in_doubt.get(),
        looks,
        ledger,
    })
}

fn balanced(cast: &Cast, (round, since): (u32, Instant)) -> Result<(LedgerView, u32), KillError> {
    let mut looks = 0;
    loop {
        looks += 1;
        let samples = Samples::of(cast.gateway.admin).map_err(Failed::Scrape)?;
        let ledger = LedgerView::of(&samples);
        if ledger.balances() && ledger.total(|lane| lane.received) > 0 {
            return Ok((ledger, looks));
        }
        if since.elapsed() >= HEAL_DEADLINE {
            let ledger = Box::new(ledger);
            return Err(KillError::Ledger { round, ledger });
        }
        thread::sleep(LOOK_EVERY);
    }
}
