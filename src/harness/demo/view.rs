//! What the demonstration shows: one frame a second, drawn over the last one on a terminal, one line each elsewhere.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{self, IsTerminal as _, Write},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    domain::Lane,
    harness::{
        devices::{Latency, Roster, Tally},
        evidence::LiveView,
        model::Verdict,
        scrape::LedgerView,
    },
};

/// Makes frames from counts.
#[derive(Debug)]
pub struct View {
    roster: Arc<Roster>,
    began: Instant,
    last: (Instant, u64),
}

/// One frame: a line, and the tables below it.
#[derive(Debug, Clone)]
pub struct Frame {
    line: String,
    tables: String,
}

impl View {
    /// A view of a roster's devices, from now on.
    #[must_use]
    pub fn new(roster: Arc<Roster>) -> Self {
        let now = Instant::now();
        Self {
            roster,
            began: now,
            last: (now, 0),
        }
    }

    /// The frame of this moment.
    pub fn frame(&mut self, tally: &Tally, live: &LiveView, ledger: &LedgerView) -> Frame {
        let now = Instant::now();
        let acknowledged = tally.acknowledged.get();
        let (then, before) = std::mem::replace(&mut self.last, (now, acknowledged));
        let rate = rate(acknowledged.saturating_sub(before), now - then);
        let backlog = ledger.total(|lane| lane.spooled);
        let line = format!(
            "{:>4} s  connected {}  sent {}  acknowledged {acknowledged} ({rate}/s)  stored {}  backlog {backlog}  \
             acknowledgement p50 {} p99 {}",
            self.began.elapsed().as_secs(),
            tally.connected.get(),
            tally.sent.get(),
            live.readings,
            millis(tally.p50_us.get()),
            millis(tally.p99_us.get()),
        );
        Frame {
            line,
            tables: self.tables(tally, live, ledger),
        }
    }

    fn tables(&self, tally: &Tally, live: &LiveView, ledger: &LedgerView) -> String {
        let mut text = String::new();
        let mut lanes: BTreeMap<Lane, u64> = BTreeMap::new();
        let mut domains: BTreeMap<&str, u64> = BTreeMap::new();
        for (pattern, count) in self.roster.patterns.iter().zip(&tally.by_pattern) {
            *lanes.entry(pattern.lane).or_default() += count.get();
            *domains.entry(&pattern.domain).or_default() += count.get();
        }
        let stored = |of: &BTreeMap<String, u64>, name: &str| of.get(name).copied().unwrap_or(0);
        let mut row = |name: &str, acknowledged, stored, backlog: String| {
            // Writing to a String cannot fail.
            writeln!(
                text,
                "{name:<16} {acknowledged:>13} {stored:>13} {backlog:>10}"
            )
            .unwrap_or_default();
        };
        row(
            "lane",
            "acknowledged".to_owned(),
            "stored".to_owned(),
            "backlog".to_owned(),
        );
        for (lane, acknowledged) in lanes {
            let stored = stored(&live.lanes, lane.name());
            let backlog = ledger.lanes[lane].spooled.to_string();
            row(
                lane.name(),
                acknowledged.to_string(),
                stored.to_string(),
                backlog,
            );
        }
        row("domain", String::new(), String::new(), String::new());
        for (domain, acknowledged) in domains {
            let stored = stored(&live.domains, domain);
            row(
                domain,
                acknowledged.to_string(),
                stored.to_string(),
                String::new(),
            );
        }
        text
    }
}

/// Where frames go.
pub struct Screen<'a> {
    out: &'a mut dyn Write,
    redraws: bool,
    drawn: usize,
}

impl std::fmt::Debug for Screen<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Screen")
            .field("redraws", &self.redraws)
            .finish_non_exhaustive()
    }
}

impl<'a> Screen<'a> {
    /// Draws over the last frame if the standard output is a terminal; writes lines otherwise.
    pub fn new(out: &'a mut dyn Write) -> Self {
        Self {
            out,
            redraws: io::stdout().is_terminal(),
            drawn: 0,
        }
    }

    /// Shows a frame.
    ///
    /// # Errors
    /// The output is gone.
    pub fn show(&mut self, frame: &Frame) -> io::Result<()> {
        if !self.redraws {
            return writeln!(self.out, "{}", frame.line);
        }
        if self.drawn > 0 {
            // Up to the first line of the last frame, and clear to the end of the screen.
            write!(self.out, "\x1b[{}A\x1b[J", self.drawn)?;
        }
        let text = format!("{}\n\n{}", frame.line, frame.tables);
        self.drawn = text.lines().count();
        write!(self.out, "{text}")?;
        self.out.flush()
    }
}

/// The last words: ledger and verdict.
pub(super) fn close(
    out: &mut dyn Write,
    (ledger, verdict): (&LedgerView, &Verdict),
    latency: &Latency,
) -> io::Result<()> {
    writeln!(
        out,
        "\nledger of the gateway, {}",
        if ledger.balances() {
            "balanced"
        } else {
            "NOT BALANCED"
        }
    )?;
    write!(out, "{ledger}")?;
    writeln!(
        out,
        "acknowledgement over the run: p50 {} p99 {}",
        millis(latency.quantile_us(0.5)),
        millis(latency.quantile_us(0.99))
    )?;
    writeln!(
        out,
        "every acknowledged reading at the platform, once: {}",
        if verdict.holds() { "yes" } else { "NO" }
    )?;
    writeln!(out, "{verdict}")
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn millis(us: u64) -> String {
    format!("{:.1} ms", us as f64 / 1000.0)
}

fn rate(count: u64, elapsed: Duration) -> u64 {
    let ms = u64::try_from(elapsed.as_millis())
        .unwrap_or(u64::MAX)
        .max(1);
    count.saturating_mul(1000) / ms
}
