//! Each way in against a fresh server, in turn, several times: first the herds, on the gateway and on mosquitto; then the
//! ingest loads, on the gateway.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::herd::{Herd, Outcome};
use crate::harness::{
    bench::{
        closed::{self, Closed},
        entry::{Entry, Office, Seal},
        figures::{Figures, core_percent, ms, quotient, us_each},
        machine::Machine,
        rig::{Broken, Rig, Setup, raise_open_files},
        table::{Report, Table},
    },
    children::{Binaries, ChildError, Mosquitto, MosquittoTls},
    devices::Unacknowledged,
};

/// How TLS is measured.
#[derive(Debug, Clone)]
pub struct TlsScript {
    /// The binaries.
    pub binaries: Binaries,
    /// Data, certificates and logs lie below this.
    pub dir: PathBuf,
    /// Runs of each.
    pub runs: u32,
    /// Time before each measurement of readings.
    pub warm_up: Duration,
    /// Time of each measurement of readings.
    pub measured: Duration,
    /// The loads of readings: connections and window.
    pub loads: Vec<(usize, usize)>,
    /// Connections between which the slope of memory is taken.
    pub counts: [usize; 2],
}

/// A way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Plain,
    /// Plain, with sessions that outlive their connections.
    Lasting,
    Tls,
    Mutual,
}

impl Way {
    const HERDS: [Self; 4] = [Self::Plain, Self::Lasting, Self::Tls, Self::Mutual];
    const READINGS: [Self; 3] = [Self::Plain, Self::Tls, Self::Mutual];

    const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Lasting => "plain, sessions that last 10 min",
            Self::Tls => "TLS 1.3",
            Self::Mutual => "mTLS 1.3",
        }
    }

    fn entry(self, key: Option<Vec<u8>>, office: &Arc<Office>) -> Entry {
        Entry {
            key,
            seal: match self {
                Self::Plain | Self::Lasting => Seal::Plain,
                Self::Tls => Seal::Tls(office.tls().clone()),
                Self::Mutual => Seal::Mutual(Arc::clone(office)),
            },
            sessions: match self {
                Self::Lasting => Unacknowledged::SendAgain,
                _ => Unacknowledged::LetGo,
            },
        }
    }
}

/// Runs of one way: on the gateway and on mosquitto.
#[derive(Debug, Default)]
struct Herds {
    gateway: Vec<Outcome>,
    mosquitto: Vec<Outcome>,
}

/// Runs of one scenario, for each of [`Way::READINGS`].
type Readings = [Vec<closed::Outcome>; 3];

impl TlsScript {
    fn rig(&self, dir: &Path, way: Way, office: &Arc<Office>) -> Result<(Rig, Entry), Broken> {
        let seal = way.entry(None, office).seal;
        let mut flags = Vec::new();
        if !matches!(seal, Seal::Plain) {
            flags.extend(["--mqtt-listen".to_owned(), office.listener(&seal)]);
        }
        if way == Way::Mutual {
            flags.extend(["--auth-method".to_owned(), "certificate".to_owned()]);
        }
        let setup = Setup {
            flags,
            ..Setup::default()
        };
        let rig = Rig::start(&self.binaries, dir, setup)?;
        let entry = way.entry(Some(rig.key.clone()), office);
        Ok((rig, entry))
    }

    fn herd_on_gateway(&self, way: Way, office: &Arc<Office>) -> Result<Outcome, Broken> {
        let dir = self.dir.join("gateway");
        let (rig, entry) = self.rig(&dir, way, office)?;
        let outcome = Herd {
            server: listener(&rig, &entry)?,
            process_id: rig.gateway.process.id(),
            entry,
            counts: self.counts,
            settle: Duration::from_secs(3),
        }
        .run()?;
        rig.end(&dir)?;
        Ok(outcome)
    }

    fn herd_on_mosquitto(&self, way: Way, office: &Arc<Office>) -> Result<Outcome, Broken> {
        let dir = self.dir.join("mosquitto");
        let tls = MosquittoTls {
            certificate: office.certificate(),
            key: office.key(),
            client_authority: (way == Way::Mutual).then(|| office.authority()),
        };
        let is_sealed = matches!(way, Way::Tls | Way::Mutual);
        let mut server = Mosquitto::start(&dir, (1000, 20), is_sealed.then_some(&tls))?;
        let outcome = Herd {
            server: server.mqtt,
            process_id: server.process.id(),
            entry: way.entry(None, office),
            counts: self.counts,
            settle: Duration::from_secs(3),
        }
        .run()?;
        server.process.kill()?;
        fs::remove_dir_all(&dir)?;
        Ok(outcome)
    }

    fn readings(
        &self,
        (connections, window): (usize, usize),
        way: Way,
        office: &Arc<Office>,
    ) -> Result<closed::Outcome, Broken> {
        let dir = self.dir.join("readings");
        let (rig, entry) = self.rig(&dir, way, office)?;
        let load = Closed {
            server: listener(&rig, &entry)?,
            process_id: rig.gateway.process.id(),
            connections,
            window,
            entry,
            warm_up: self.warm_up,
            measured: self.measured,
        }
        .run()?;
        if load.rejected > 0 {
            return Err(Broken::Rejected(load.rejected));
        }
        rig.drained(load.acknowledged_in_all)?;
        rig.end(&dir)?;
        Ok(load)
    }
}

fn listener(rig: &Rig, entry: &Entry) -> Result<std::net::SocketAddr, ChildError> {
    match entry.seal {
        Seal::Plain => Ok(rig.gateway.mqtt),
        _ => rig.gateway.mqtts.ok_or_else(|| ChildError::Bound {
            name: "gateway",
            text: "no listener of mqtts".to_owned(),
        }),
    }
}

/// Runs everything; tells its progress.
///
/// # Errors
/// A server does not start, a load breaks, readings are lost.
pub fn tls(script: &TlsScript, progress: &mut dyn Write) -> Result<Report, Broken> {
    raise_open_files()?;
    let office = Arc::new(Office::open(&script.dir.join("office"))?);
    let mut herds: [Herds; 4] = Default::default();
    for _ in 0..script.runs {
        for (way, runs) in Way::HERDS.into_iter().zip(&mut herds) {
            let outcome = script.herd_on_gateway(way, &office)?;
            tell_herd(progress, ("sensegate", way), &outcome)?;
            runs.gateway.push(outcome);
            if way == Way::Lasting {
                continue;
            }
            let outcome = script.herd_on_mosquitto(way, &office)?;
            tell_herd(progress, ("mosquitto", way), &outcome)?;
            runs.mosquitto.push(outcome);
        }
    }
    let mut readings = Vec::new();
    for &scenario in &script.loads {
        let mut all = Readings::default();
        for _ in 0..script.runs {
            for (way, runs) in Way::READINGS.into_iter().zip(&mut all) {
                let load = script.readings(scenario, way, &office)?;
                let ((connections, window), rate) = (scenario, load.rate());
                writeln!(
                    progress,
                    "{} {connections} × {window}: {rate:.0}/s",
                    way.name()
                )?;
                progress.flush()?;
                runs.push(load);
            }
        }
        readings.push((scenario, all));
    }
    report(script, &herds, &readings)
}

fn tell_herd(
    progress: &mut dyn Write,
    (server, way): (&str, Way),
    outcome: &Outcome,
) -> io::Result<()> {
    writeln!(
        progress,
        "{server:<9} {}: {:.0} connects/s, {:.0} bytes each",
        way.name(),
        outcome.connects_per_s(),
        outcome.bytes_per_connection()
    )?;
    progress.flush()
}

fn report(
    script: &TlsScript,
    herds: &[Herds; 4],
    readings: &[((usize, usize), Readings)],
) -> Result<Report, Broken> {
    let machine = Machine::describe(&script.dir)?;
    let versions = [
        format!("{}, rustls with ring", script.binaries.gateway_version()?),
        format!("{}, OpenSSL", Mosquitto::version().unwrap_or_default()),
    ];
    let mut report = Report::on(&machine, &versions);
    let [first, both] = script.counts;
    report.notes.extend([
        format!(
            "{} runs each, medians; readings {} s after {} s of warm-up; servers and ways in turn",
            script.runs,
            script.measured.as_secs_f64(),
            script.warm_up.as_secs_f64()
        ),
        "certificates: ECDSA on P-256, one for each device, signed by one authority; every handshake a full one (no resumption)"
            .to_owned(),
        "sensegate checks HMAC (plain, TLS) or takes the device's name from its certificate (mTLS); mosquitto lets everyone in"
            .to_owned(),
        format!(
            "memory: growth of the resident size from {first} to {both} connections, each connected, subscribed to one topic and idle"
        ),
        "load: one thread; it does not check the server's certificate".to_owned(),
    ]);
    report.tables = vec![herd_table(herds), reading_table(readings)];
    Ok(report)
}

fn herd_table(herds: &[Herds; 4]) -> Table {
    let mut rows = Vec::new();
    for (way, runs) in Way::HERDS.into_iter().zip(herds) {
        for (server, outcomes) in [("sensegate", &runs.gateway), ("mosquitto", &runs.mosquitto)] {
            if outcomes.is_empty() {
                continue;
            }
            let rates = Figures::of(outcomes, Outcome::connects_per_s);
            let cpu = Figures::of(outcomes, |run| us_each(run.server_cpu, run.connections));
            let bytes = Figures::of(outcomes, Outcome::bytes_per_connection);
            let load = Figures::of(outcomes, |run| core_percent(run.load_cpu, run.connecting));
            rows.push(vec![
                way.name().to_owned(),
                server.to_owned(),
                rates.middle(0),
                rates.range(0),
                cpu.middle(1),
                format!("{:.0}", quotient(1e6, cpu.median())),
                bytes.middle(0),
                bytes.range(0),
                load.middle(0),
            ]);
        }
    }
    Table {
        title: "Connecting (TCP, handshake, CONNECT, CONNACK), then idle".to_owned(),
        columns: vec![
            "way in",
            "server",
            "connects/s",
            "lowest–highest",
            "µs of server CPU/connect",
            "connects/s of one core's CPU",
            "resident bytes/connection",
            "lowest–highest",
            "load, % of a core",
        ],
        rows,
    }
}

fn reading_table(readings: &[((usize, usize), Readings)]) -> Table {
    let mut rows = Vec::new();
    for ((connections, window), all) in readings {
        let [plain, ..] = all;
        let plain = Figures::of(plain, closed::Outcome::rate).median();
        for (way, runs) in Way::READINGS.into_iter().zip(all) {
            let rates = Figures::of(runs, closed::Outcome::rate);
            let each = |cpu: fn(&closed::Outcome) -> crate::harness::bench::Cpu| {
                Figures::of(runs, |run| us_each(cpu(run), run.acknowledged)).middle(2)
            };
            let latency = |part| Figures::of(runs, |run| ms(run.latency.quantile_us(part)));
            rows.push(vec![
                format!("{connections} × {window}"),
                way.name().to_owned(),
                rates.middle(0),
                rates.range(0),
                format!("{:.2}", quotient(rates.median(), plain)),
                each(|run| run.server_cpu),
                each(|run| run.load_cpu),
                format!("{} ms", latency(0.5).middle(1)),
                format!("{} ms", latency(0.99).middle(1)),
            ]);
        }
    }
    Table {
        title: "Readings acknowledged".to_owned(),
        columns: vec![
            "connections × window",
            "way in",
            "acknowledged/s",
            "lowest–highest",
            "of plain",
            "µs of server CPU/reading",
            "of the load",
            "p50",
            "p99",
        ],
        rows,
    }
}
