//! What a gateway says about itself, read as an operator's tools read it: HTTP, Prometheus text. The names of the
//! metrics that the lab relies on stand in [`names`] and nowhere else.

use std::{
    fmt,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use thiserror::Error;

use crate::domain::{Lane, LaneMap};

/// The metrics that the lab relies on.
pub mod names {
    /// Readings received into a lane; an unreadable payload counts as one. Label `lane`.
    pub const RECEIVED: &str = "sensegate_readings_received_total";
    /// Readings that the platform has confirmed. Label `lane`.
    pub const DELIVERED: &str = "sensegate_readings_delivered_total";
    /// Readings on disk and not delivered. Label `lane`.
    pub const SPOOLED: &str = "sensegate_readings_spooled";
    /// Readings in quarantine. Label `lane`.
    pub const QUARANTINED: &str = "sensegate_readings_quarantined";
    /// Readings that profiles suppressed. Label `lane`.
    pub const SUPPRESSED: &str = "sensegate_readings_suppressed_total";
    /// Readings dropped. Labels `lane` and `reason`.
    pub const DROPPED: &str = "sensegate_readings_dropped_total";
    /// Bytes of readings put into blocks, before compression. Label `lane`.
    pub const RAW_BYTES: &str = "sensegate_spool_block_raw_bytes_total";
    /// Bytes of blocks written to the spool. Label `lane`.
    pub const STORED_BYTES: &str = "sensegate_spool_block_stored_bytes_total";
    /// Bytes of batches handed to gRPC, before compression of the wire. Label `lane`.
    pub const SENT_BYTES: &str = "sensegate_uplink_sent_bytes_total";
}

/// Longest time for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer, bytes.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// Why a gateway could not be asked.
#[derive(Debug, Error)]
pub enum Unanswered {
    /// The connection.
    #[error("asking {address}{path}: {source}")]
    Io {
        /// Who was asked.
        address: SocketAddr,
        /// What for.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// It answered with something other than 200.
    #[error("asking {address}{path}: {status}")]
    Status {
        /// Who was asked.
        address: SocketAddr,
        /// What for.
        path: String,
        /// The status line.
        status: String,
    },
}

/// The body of a GET.
///
/// # Errors
/// No connection, no answer in time, or a status other than 200.
pub fn get(address: SocketAddr, path: &str) -> Result<String, Unanswered> {
    let answer = ask(address, path).map_err(|source| Unanswered::Io {
        address,
        path: path.to_owned(),
        source,
    })?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        return Err(Unanswered::Status {
            address,
            path: path.to_owned(),
            status: status.to_owned(),
        });
    }
    Ok(body.to_owned())
}

/// HTTP/1.0, so that the body ends with the connection.
fn ask(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(
        stream,
        "GET {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Samples of a scrape: name, labels as written, value.
#[derive(Debug, Clone, Default)]
pub struct Samples(Vec<(String, String, f64)>);

impl Samples {
    /// Reads the Prometheus text format, as far as counters and gauges go.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self(
            text.lines()
                .filter(|line| !line.starts_with('#'))
                .filter_map(sample)
                .collect(),
        )
    }

    /// Scrapes a gateway.
    ///
    /// # Errors
    /// It cannot be asked.
    pub fn of(admin: SocketAddr) -> Result<Self, Unanswered> {
        Ok(Self::parse(&get(admin, "/metrics")?))
    }

    /// The sum over all label sets that hold `label="value"`; all of them if it is none.
    #[must_use]
    pub fn sum(&self, name: &str, label: Option<(&str, &str)>) -> f64 {
        let wanted = label.map(|(label, value)| format!("{label}=\"{value}\""));
        self.0
            .iter()
            .filter(|(n, labels, _)| {
                n == name
                    && wanted
                        .as_ref()
                        .is_none_or(|wanted| labels.contains(wanted.as_str()))
            })
            .map(|(_, _, value)| value)
            .sum()
    }

    /// The same, as a count.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts; a cast from float saturates"
    )]
    pub fn count(&self, name: &str, label: Option<(&str, &str)>) -> u64 {
        self.sum(name, label).round() as u64
    }
}

fn sample(line: &str) -> Option<(String, String, f64)> {
    let (key, value) = line.rsplit_once(' ')?;
    let (name, labels) = key.split_once('{').unwrap_or((key, ""));
    Some((name.to_owned(), labels.to_owned(), value.parse().ok()?))
}

/// One lane's account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LaneLedger {
    /// Received.
    pub received: u64,
    /// Confirmed by the platform.
    pub delivered: u64,
    /// On disk.
    pub spooled: u64,
    /// In quarantine.
    pub quarantined: u64,
    /// Suppressed by profiles.
    pub suppressed: u64,
    /// Dropped, any reason.
    pub dropped: u64,
}

impl LaneLedger {
    /// Whether every reading received is somewhere.
    #[must_use]
    pub const fn balances(&self) -> bool {
        self.received
            == self.delivered + self.spooled + self.quarantined + self.suppressed + self.dropped
    }
}

/// A gateway's accounts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LedgerView {
    /// Per lane.
    pub lanes: LaneMap<LaneLedger>,
}

impl LedgerView {
    /// From a scrape.
    #[must_use]
    pub fn of(samples: &Samples) -> Self {
        Self {
            lanes: LaneMap::from_fn(|lane| {
                let count = |name| samples.count(name, Some(("lane", lane.name())));
                LaneLedger {
                    received: count(names::RECEIVED),
                    delivered: count(names::DELIVERED),
                    spooled: count(names::SPOOLED),
                    quarantined: count(names::QUARANTINED),
                    suppressed: count(names::SUPPRESSED),
                    dropped: count(names::DROPPED),
                }
            }),
        }
    }

    /// Whether every lane balances.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.lanes.iter().all(|(_, lane)| lane.balances())
    }

    /// The sum of one column.
    #[must_use]
    pub fn total(&self, column: impl Fn(&LaneLedger) -> u64) -> u64 {
        self.lanes.iter().map(|(_, lane)| column(lane)).sum()
    }
}

impl fmt::Display for LedgerView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<10} {:>12} = {:>12} + {:>9} + {:>11} + {:>10} + {:>8}",
            "lane", "received", "delivered", "spooled", "quarantined", "suppressed", "dropped"
        )?;
        for lane in Lane::ALL {
            let l = &self.lanes[lane];
            writeln!(
                f,
                "{:<10} {:>12} {} {:>12} + {:>9} + {:>11} + {:>10} + {:>8}",
                lane.name(),
                l.received,
                if l.balances() { '=' } else { '≠' },
                l.delivered,
                l.spooled,
                l.quarantined,
                l.suppressed,
                l.dropped
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP sensegate_readings_received_total x\n\
        sensegate_readings_received_total{lane=\"alarm\"} 3\n\
        sensegate_readings_received_total{lane=\"bulk\"} 1e3\n\
        sensegate_readings_delivered_total{lane=\"bulk\"} 900\n\
        sensegate_readings_delivered_total{lane=\"alarm\"} 2\n\
        sensegate_readings_spooled{lane=\"alarm\"} 1\n\
        sensegate_readings_dropped_total{lane=\"bulk\",reason=\"capacity\"} 60\n\
        sensegate_readings_dropped_total{lane=\"bulk\",reason=\"refused_qos0\"} 40\n";

    #[test]
    fn a_ledger_is_read_and_balanced_per_lane() {
        let samples = Samples::parse(TEXT);
        let ledger = LedgerView::of(&samples);
        assert!(ledger.balances(), "{ledger}");
        assert_eq!(ledger.total(|l| l.received), 1003);
        assert_eq!(ledger.lanes.bulk.dropped, 100);
    }

    #[test]
    fn a_ledger_that_is_off_by_one_shows_it() {
        let ledger = LedgerView::of(&Samples::parse(&TEXT.replace("} 900", "} 901")));
        assert!(!ledger.balances());
        assert!(ledger.to_string().contains("1000 ≠"));
    }
}
